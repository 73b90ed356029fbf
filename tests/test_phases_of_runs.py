"""The phases of runs: moments of known clusters, real runs on the circle and the sphere, their table and figure."""

import sys
from pathlib import Path

import numpy as np
import pytest

from spherepde import Circle, ContinuityEquation, Hardmax, Head, RunFile, Simulation, Softmax, Sphere, Unnormalised
from spherepde import fisher_bingham as density
from spherepde.phases import displacement, halfway, read_phases, table_of_phases, terminal_phase
from spherepde.plots import Record, figures
from spherepde.predictions import two_clusters
from spherepde.tokens import simulate_tokens
from spherepde.verdict import verdict

sys.path.insert(0, str(Path(__file__).parent / "physics"))

from physics_helpers import bounded, number

E1, E2 = np.eye(2)
TILT = np.array([[1.0, 0.3], [0.3, 0.8]])
TURNING = Head(np.diag([1.0, 1.4]), np.diag([2.0, 1.0]), beta=20.0)


def moments(tokens, weights):
    """Means (n, d) and second moments (n, d, d) of weighted tokens (n, m, d)."""
    return np.einsum("j,njd->nd", weights, tokens), np.einsum("j,njd,nje->nde", weights, tokens, tokens)


def collapsed(V, starts, t):
    """Paths (n, m, d) of isolated collapsed clusters, ẋ = PₓVx: e^{tV}x/|e^{tV}x|."""
    values, vectors = np.linalg.eig(V)
    coordinates = np.linalg.solve(vectors, np.asarray(starts).T)
    path = np.einsum("ik,nk,kj->nji", vectors, np.exp(np.outer(t, values)), coordinates)
    return path / np.linalg.norm(path, axis=-1, keepdims=True)


# ---- the displacement of clusters, its turn, and the half-way time


@pytest.mark.parametrize("mass", [0.5, 0.8])
@pytest.mark.parametrize("way", [1.0, -1.0])
def test_displacement_of_collapsed_clusters_grows_exponentially(mass, way):
    """Both clusters the same way, or opposite ways: at the difference of eigenvalues until they arrive."""
    t = np.linspace(0.0, 20.0, 401)
    starts = np.array([[1.0, 0.01], [-1.0, 0.01 * way]])
    mean, second = moments(collapsed(np.diag([1.0, 1.4]), starts, t), [mass, 1.0 - mass])
    moved = displacement(mean, second, E1, E2)
    growth = np.diff(np.log(moved)) / np.diff(t)
    bounded("largest deviation of the rate from λ₂ − λ₁", np.abs(growth - 0.4).max(), 1e-12)
    number("size, to a factor", moved[0], 0.01 * np.hypot(1.0, 2.0 * mass - 1.0), rtol=1e-12)
    found = terminal_phase(t, moved, second, E1, E2)
    number("half way", found.exit, np.log(100.0) / 0.4, rtol=1e-8)
    number("fitted escape", found.escape.slope, 0.4, rtol=1e-10)
    number("end of the fit, at tan = 1/2", found.escape.at(found.escape.window[1]), 0.5, rtol=0.02)
    if way < 0.0:  # one axis at all times
        number("angle from the final axis at the end", found.off_final, np.arctan(100.0 * np.exp(-8.0)), rtol=1e-9)
        number("share of the dominant axis", found.share, 1.0, rtol=1e-12)


def test_turn_and_escape_of_a_displacement_that_shrinks_first():
    t = np.linspace(0.0, 30.0, 1501)
    w = 0.1 * np.exp(-0.3 * t) + 1e-4 * np.exp(0.4 * t)
    second = np.broadcast_to(np.diag([1.0, 0.0]), (len(t), 2, 2))
    found = terminal_phase(t, w, second, E1, E2)
    number("turn", found.turn, np.log(0.03 / 4e-5) / 0.7, atol=0.02)
    number("least displacement", found.least, w.min(), rtol=1e-12)
    number("escape", found.escape.slope, 0.4, rtol=0.01)
    assert found.exit is None and found.off_target == 0.0 and not found.seeded_by_rounding
    large = terminal_phase(t, 15.0 * w, second, E1, E2)  # 4 times the least is more than 0.5: fitted from twice that
    number(
        "start of the fit / least displacement", large.escape.at(large.escape.window[0]) / large.least, 2.0, rtol=0.2
    )
    early = terminal_phase(t, w, second, E1, E2, until=found.turn + 0.5)
    assert early.turn is None and early.escape is None and early.when <= found.turn + 0.5
    rounded = terminal_phase(t, 1e-14 * w, second, E1, E2)
    assert rounded.seeded_by_rounding


def test_an_early_dip_is_not_the_turn():
    """A mode that changes sign early leaves a dip; the turn is the last minimum before the growth."""
    t = np.linspace(0.0, 30.0, 1501)
    w = np.abs(0.1 * np.exp(-0.3 * t) - 0.01) * (t < 9.0) + (t >= 9.0) * 0.00328 * np.exp(-0.02 * (t - 9.0))
    w = np.where(t > 15.0, w[np.searchsorted(t, 15.0)] * np.exp(0.4 * (t - 15.0)), w)
    second = np.broadcast_to(np.diag([1.0, 0.0]), (len(t), 2, 2))
    found = terminal_phase(t, w, second, E1, E2)
    number("turn", found.turn, 15.0, atol=0.05)


def test_half_way_to_an_oblique_axis():
    """On S¹ the dominant axis then bisects the two, wherever they point."""
    t = np.linspace(0.0, 12.0, 61)
    final = np.array([np.cos(1.1), np.sin(1.1)])
    angle = 0.1 + 1.0 / (1.0 + np.exp(-(t - 6.0)))
    axis = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    second = 0.9 * np.einsum("ni,nj->nij", axis, axis) + 0.05 * np.eye(2)
    exact = 6.0 + np.log(0.45 / 0.55)
    number("half way", halfway(t, second, E1, final), exact, atol=5e-8)
    assert halfway(t[:25], second[:25], E1, final) is None
    assert halfway(t[40:], second[40:], E1, final) is None


@pytest.mark.parametrize("mass", [0.5, 0.7])
def test_slow_escape_of_a_degenerate_head(mass):
    """V = I: only one combination of the displacements grows; the other rests and would hide it."""
    head = Head(np.eye(2), np.diag([1.0, 0.5]), beta=1.5)
    pair = two_clusters(head, E1, mass)
    rate = pair.rates[0, 0].real
    t = np.linspace(0.0, 5.5 / rate, 301)
    start = np.array([[1.0, 2.02e-2], [-1.0, -1.98e-2]])
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    path = simulate_tokens(head, start, t, [mass, 1.0 - mass], rtol=1e-11, atol=1e-13)
    mean, second = moments(path, np.array([mass, 1.0 - mass]))
    moved = displacement(mean, second, E1, E2, pair.mode(0), mass)
    found = terminal_phase(t, moved, second, E1)
    number(f"escape rate, V = I, mass {mass:g}", found.escape.slope, rate, rtol=2e-3)
    hidden = terminal_phase(t, displacement(mean, second, E1, E2), second, E1)
    assert hidden.escape is None or abs(hidden.escape.slope / rate - 1.0) > 0.02


# ---- runs

RUNS = {
    "turning": (Circle(127), Softmax(TURNING), 16.0, {"companion_lmax": 95}),
    "stable": (Circle(63), Softmax(Head(np.diag([1.0, 0.5]), beta=20.0)), 6.0, {"companion_lmax": 47}),
    "degenerate": (Circle(63), Softmax(Head(np.eye(2), np.diag([1.0, 0.5]), beta=2.0)), 4.0, {"companion_lmax": 47}),
    "drift": (
        Circle(63),
        Softmax(Head(np.diag([1.5, 1.0]) @ TILT, np.linalg.inv(TILT), beta=8.0)),
        8.0,
        {"companion_lmax": 0},
    ),
    "plane": (Sphere(15), Softmax(Head(np.diag([1.0, 1.0, 0.2]), beta=5.0)), 0.6, {}),
    "two heads": (Circle(31), Softmax([Head(np.diag([1.0, 0.5])), Head(np.eye(2))]), 0.2, {}),
    "everything": (Circle(31), Softmax(Head(np.eye(2))), 0.2, {}),
    "unnormalised": (Circle(31), Unnormalised(Head(np.diag([1.0, 0.5]))), 0.2, {}),
    "hardmax": (Circle(63), Hardmax(Head(np.diag([1.0, 0.5]))), 1.0, {}),
    "diffusion": (Circle(31), Softmax(Head(np.diag([1.0, 0.5]), beta=5.0)), 0.2, {"diffusion": 0.01}),
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """The run file of a case, computed when first asked for."""
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def get(case):
        if case not in made:
            space, attention, until, options = RUNS[case]
            options = dict(options)
            model = ContinuityEquation(space, attention, diffusion=options.pop("diffusion", 0.0))
            rho0 = density([0.5, 0.1, 0.2][: space.dim], np.zeros((space.dim, space.dim)))
            path = folder / f"{case}.h5"
            Simulation(model, rho0, path, rtol=1e-6, save_every=until / 10, progress=False, **options).run(until)
            made[case] = RunFile(path)
        return made[case]

    yield get
    for file in made.values():
        file.close()


def row(table, words):
    """The line of the table that holds some words."""
    return next(line for line in table.splitlines() if words in line)


def test_terminal_phase_of_a_run(opened):
    """C7 at β = 20: concentration on ±e₁, then escape to ±e₂, in a run's own moments."""
    run = opened("turning")
    found, table = read_phases(run), table_of_phases(run)
    number("escape rate / (v₂ − v₁)", found.terminal.escape.slope, 0.4, rtol=0.02)
    t, second = run.series["t"], run.series["second_moment"]
    axis = np.linalg.eigh(second)[1][..., -1]
    crossing = t[np.flatnonzero(np.abs(axis[:, 1]) > np.abs(axis[:, 0]))]
    number("half way, beside the dominant axis of the records", found.end.exit, crossing[crossing > 1.0][0], atol=0.02)
    bounded("angle from the final axis at the end (radians)", found.end.off_final, 0.2)
    assert found.left and found.moved is not None and found.name == "W₂"
    assert found.terminal.turn < found.resting.window.end < found.end.exit
    assert "minimum at 1.667·log β + const" in row(table, "metastable")
    assert "1.667·log β + const, at βs² = 0.667" in row(table, "cluster displacement turns  at t =")
    rate = row(table, "escape rate")
    assert "0.4 = λ_u" in rate and abs(float(rate.split()[-1]) - 1.0) < 0.02
    assert "[0., 1.] of V" in row(table, "axis at t = 16")
    assert table in verdict(run) and max(map(len, table.splitlines())) < 170
    horizon = run.series["velocity_horizon"][-1]
    if np.isfinite(horizon):
        assert f"beyond the velocity horizon, t = {horizon:.4g}: no error bar" in table
        assert "*" in row(table, "axis at t = 16")


def test_stable_run_has_no_second_phase(opened):
    run = opened("stable")
    found, table = read_phases(run), table_of_phases(run)
    assert not found.left and found.theory.escape.kind == "stable"
    assert "none: E is stable, rate −0.5" in row(table, "terminal") and "0.2500 = κ_⊥/2" in table
    number("rate of concentration", -found.decay.decay.slope, 0.25, rtol=0.2)
    assert "terminal" not in figures(Record(run))


def test_degenerate_run_is_not_said_to_escape(opened):
    run = opened("degenerate")
    found, table = read_phases(run), table_of_phases(run)
    assert not found.left and "not by t = 4" in row(table, "cluster displacement turns")
    assert "too little to measure" in row(table, "escape rate") and "λ(2 − a − a′)" in table
    assert table_of_phases(run, found) == table
    assert "no final axis" in row(table, "axis at t = 4") and "half way" not in table


def test_run_whose_clusters_v_does_not_keep(opened):
    run = opened("drift")
    found, table = read_phases(run), table_of_phases(run)
    assert found.left and found.moved is None and found.end.exit is not None
    assert f"t = {found.end.exit:.3f}" in row(table, "half way (exit)")
    assert "at the speed 0.3 = |P_eVe|" in row(table, "terminal") and "grows with β, not log β" in table
    number("angle between E and the axis of V", found.end.off_target + found.end.off_final, 0.33655, atol=2e-3)


# ---- what the verdict makes of them


def test_a_run_that_left_is_told_as_a_story(opened):
    """C7 at β = 20: closest to E, then half way to e₂. Nothing is measured beyond the closest approach."""
    run = opened("turning")
    found, sentence = read_phases(run), verdict(run).splitlines()[-1]
    closest = run.series["t"][int(np.argmin(run.series["distance_to_E"]))]
    assert sentence.startswith(f"verdict: CONCENTRATION on E until t = {closest:.2f}, ")
    turn, half_way = found.terminal.turn, found.terminal.exit
    assert (
        f"E was left: clusters turned at t = {turn:.2f}, half way to the final axis at t = {half_way:.2f}" in sentence
    )
    assert f"{np.degrees(found.terminal.off_final):.2g}° from the final axis at t = " in sentence


def test_a_run_that_left_early_is_not_too_short(opened):
    """V does not keep e: the distance falls even while the clusters go, since the final axis is near E."""
    run = opened("drift")
    half_way, judgement = read_phases(run).end.exit, verdict(run)
    assert np.argmin(run.series["distance_to_E"]) > 0.9 * len(run.series["t"])
    assert "verdict: PARTIAL CONCENTRATION on E until t = 4." in judgement
    assert f"then E was left: half way to the final axis at t = {half_way:.2f}, " in judgement
    measured = next(line for line in judgement.splitlines() if line.startswith("rate of decay"))
    assert measured.count(" on [") == 1 and float(measured.split("measured ")[1].split()[0]) > 0.15
    assert "nan" not in judgement


def test_faster_later_is_concentration(opened):
    """Beyond log β, where the theory ends, narrow clusters contract faster."""
    assert "verdict: CONCENTRATION on E, later faster than predicted: " in verdict(opened("stable"))


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("plane", "not predicted: E is a great circle"),
        ("two heads", "none to speak of (they are those of a single head)"),
        ("everything", "none to speak of (E is everything)"),
        ("unnormalised", "no predictions: theory is about softmax and hardmax attention"),
        ("hardmax", "none at zero temperature"),
        ("diffusion", "no predictions: theory has no diffusion"),
    ],
)
def test_no_terminal_phase_without_a_reason(opened, case, words):
    run = opened(case)
    assert words in table_of_phases(run) and words in verdict(run)
    assert "terminal" not in figures(Record(run))


# ---- figures


@pytest.mark.parametrize("case", ["turning", "drift"])
def test_figure_of_the_terminal_phase(opened, case):
    run = opened(case)
    record = Record(run)
    figure = figures(record)["terminal"](record)
    figure.draw_without_rendering()
    departure, moved, axes = figure.get_axes()
    words = [text.get_text() for ax in (departure, moved, axes) for text in ax.get_legend().get_texts()]
    assert "along the final axis" in words and "distance to $E$" in words
    assert ("from the final axis" in words) == (case == "drift")
    if case == "turning":
        found = record.phases
        assert "predicted 0.4" in words and "predicted decay 0.3" in words
        assert not any("escape" in str(line.get_label()) for line in departure.lines)  # distances grow at other rates
        line = next(line for line in moved.lines if str(line.get_label()).startswith("predicted 0.4"))
        x, y = line.get_data()
        number("slope of the predicted escape", np.diff(np.log(y))[0] / np.diff(x)[0], 0.4, rtol=1e-9)
        assert tuple(x) == found.end.escape.window and line.get_linestyle() == "--"
        assert f"turn at t = {found.end.turn:.2f}" in words
    places = {line.get_gid(): line.get_xdata()[0] for line in axes.lines if line.get_gid()}
    assert places["half way to the final axis"] == record.phases.end.exit


def test_distance_and_overview_shade_the_phases(opened):
    record = Record(opened("turning"))
    for name in ("distance", "overview"):
        figure = figures(record)[name](record)
        words = [text.get_text() for ax in figure.get_axes() if ax.get_legend() for text in ax.get_legend().get_texts()]
        assert any(word.startswith("metastable") for word in words) and "concentration" in words
        ax = next(ax for ax in figure.get_axes() if "W_2" in ax.get_ylabel())
        spans = {
            p.get_label().split(",")[0].split(":")[0]: p.get_x() + np.array([0.0, p.get_width()]) for p in ax.patches
        }
        edges = np.concatenate([spans[phase] for phase in ("concentration", "metastable", "terminal phase")])
        assert edges[0] == record.t[0] and edges[-1] == record.t[-1]
        assert edges[[1, 3]] == pytest.approx(edges[[2, 4]], abs=1e-12) and np.all(np.diff(edges[::2]) > 0.5)
        turn = next(line.get_xdata()[0] for line in ax.lines if line.get_gid() == "clusters turn")
        assert turn == record.phases.end.turn
