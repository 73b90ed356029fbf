"""The summary and the verdict: what they say follows from the file, and they can say no."""

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from spherepde import (
    Circle,
    ContinuityEquation,
    Hardmax,
    Head,
    RunFile,
    Simulation,
    Softmax,
    Sphere,
    Unnormalised,
    concentration_rate,
    exact,
    fisher_bingham,
)
from spherepde.summary import describe, energy_balance, jumps_of, stretches, wasserstein_bounds
from spherepde.verdict import verdict

sys.path.insert(0, str(Path(__file__).parent / "physics"))

from physics_helpers import bounded, number

LOW = {"companion_lmax": 47, "rtol": 1e-6}


def run(path, attention, until, *, lmax=255, **options):
    model = ContinuityEquation(Circle(lmax), attention)
    rho0 = fisher_bingham([0.1, 0.4], np.zeros((2, 2)))
    Simulation(model, rho0, path, progress=False, **{"companion_lmax": 191, **options}).run(until)
    with RunFile(path) as opened:
        return describe(opened), verdict(opened)


def test_least_distance_is_said_if_it_lies_between(tmp_path):
    description, _ = run(tmp_path / "r.h5", Softmax(Head(np.diag([1.0, 1.4]), np.diag([2.0, 1.0]), beta=20.0)), 12.0)
    with RunFile(tmp_path / "r.h5") as opened:
        t, distance = opened.series["t"], opened.series["distance_to_E"]
    low = int(np.argmin(distance))
    assert distance[low] < 0.5 * min(distance[0], distance[-1])
    assert f"{distance[0]:.6f} → {distance[low]:.6f} (t = {t[low]:.4g}) → {distance[-1]:.6f} (geod" in description


def test_concentration_is_recognised(tmp_path):
    description, judgement = run(tmp_path / "run.h5", Softmax(Head(np.diag([1.0, 0.2]), beta=200.0)), 6.0)
    assert "verdict: CONCENTRATION on E" in judgement and "predicted 0.4000" in judgement
    assert "softmax attention on S¹" in description and "error bar of the second moment" in description
    assert len(description.splitlines()) < 20 and max(map(len, description.splitlines())) < 180


def test_hardmax_decays_at_the_exact_rate(tmp_path):
    _, judgement = run(tmp_path / "run.h5", Hardmax(Head(np.diag([1.0, 0.0]))), 4.0, lmax=511)
    assert "verdict: CONCENTRATION on E" in judgement and "predicted 0.5000" in judgement


def test_high_temperature_is_not_called_concentration(tmp_path):
    _, judgement = run(tmp_path / "run.h5", Softmax(Head(np.diag([1.0, 0.0]), beta=3.0)), 6.0)
    assert "verdict: NOT the predicted concentration on E" in judgement


@pytest.mark.parametrize(
    ("V", "B", "words"),
    [
        (-np.diag([1.0, 2.0]), np.eye(2), "verdict: NO concentration on E, V spreads clusters: "),
        (-np.eye(2), np.diag([1.0, 0.0]), "makes no prediction for this run (B ignores E)"),
        ([[1.0, 1.0], [0.0, 0.5]], np.eye(2), "makes no prediction for this run (here VBᵀ is not symmetric)"),
    ],
)
def test_what_cannot_concentrate_is_not_too_short(tmp_path, V, B, words):
    attention = Softmax(Head(V, B, beta=5.0))
    assert words in run(tmp_path / "run.h5", attention, 2.0, lmax=63, **LOW)[1]


def test_an_energy_that_rests_does_not_rise(tmp_path):
    _, judgement = run(tmp_path / "run.h5", Hardmax(Head(np.eye(2))), 0.1)
    assert "energy" not in judgement
    model = ContinuityEquation(Circle(31), Softmax(Head(np.eye(2), beta=20.0)))
    Simulation(model, fisher_bingham([0.0, 0.0]), tmp_path / "rest.h5", companion_lmax=23, progress=False).run(0.2)
    with RunFile(tmp_path / "rest.h5") as opened:
        assert "the same at every step to rounding" in verdict(opened)


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_records_without_a_distance_are_told(tmp_path, value):
    run(tmp_path / "run.h5", Softmax(Head(np.diag([1.0, 0.5]), beta=20.0)), 0.2, lmax=31, companion_lmax=23)
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file["series/distance_to_E"][:] = value
    with RunFile(tmp_path / "run.h5") as opened:
        assert "verdict: none, the distance to E was not recorded as positive numbers" in verdict(opened)
        assert ("distance to E  not known" in describe(opened)) == np.isnan(value)


def test_no_theory_no_verdict(tmp_path):
    heads = [Head(np.eye(2)), Head(np.diag([1.0, 0.0]))]
    assert "single head" in run(tmp_path / "two.h5", Softmax(heads), 0.1)[1]
    assert "E is everything" in run(tmp_path / "all.h5", Softmax(Head(np.eye(2))), 0.1)[1]
    _, judgement = run(tmp_path / "usa.h5", Unnormalised(Head(np.eye(2), beta=2.0)), 0.1)
    assert "rising at every step" in judgement and "no prediction" in judgement
    cold = Softmax(Head(np.diag([1.0, 0.5]), beta=9.0))
    assert "too short" in run(tmp_path / "short.h5", cold, 0.01, save_every=0.01)[1]


def test_without_companion_the_summary_says_so(tmp_path):
    description, _ = run(tmp_path / "run.h5", Softmax(Head(np.diag([1.0, 0.5]))), 0.1, companion_lmax=0)
    assert "no companion run, so moments carry no error bar" in description


def test_energy_balance_of_a_known_function():
    t = np.sort(np.random.default_rng(0).uniform(0.0, 1.0, 400))
    t[0] = 0.0
    assert np.abs(energy_balance(t, np.sin(t), np.cos(t))).max() < 1e-9
    assert np.abs(energy_balance(t, np.sin(t), 1.1 * np.cos(t))).max() > 0.05


def test_energy_balance_starts_anew_where_layers_jump():
    """E = sin t, 5 + e^{−t}, t³ in three layers: the row at a jump is the next layer's, so nothing crosses it."""
    t = np.concatenate([np.linspace(0.0, 0.5, 21), np.linspace(0.5, 1.2, 31)[1:], np.linspace(1.2, 2.0, 41)[1:]])
    layer = np.searchsorted([0.5, 1.2], t, side="right")
    energy = np.choose(layer, [np.sin(t), 5.0 + np.exp(-t), t**3])
    rate = np.choose(layer, [np.cos(t), -np.exp(-t), 3.0 * t**2])
    residual = energy_balance(t, energy, rate, [0.5, 1.2])
    bounded("residual of three layers, each by itself", np.abs(residual).max(), 1e-12)
    assert np.all(residual[[0, 20, 50]] == 0.0)
    assert np.abs(energy_balance(t, energy, rate)).max() > 1.0
    wrong = energy_balance(t, energy, np.where(layer == 1, 1.1 * rate, rate), [0.5, 1.2])
    assert np.array_equal(wrong[layer != 1], residual[layer != 1])
    number("a rate 10 % off, seen in its layer", wrong[49], -0.1 * (np.exp(-t[49]) - np.exp(-0.5)), atol=1e-12)
    short = energy_balance(t, energy, rate, [0.5, t[24], 1.2])
    assert np.isnan(short[20:24]).all() and np.isfinite(np.delete(short, range(20, 24))).all()


def test_rows_of_layers():
    t, third = np.array([0.0, 0.1, 0.2, 3 * 0.1, 0.4]), 0.3  # 3 · 0.1 > 0.3, and the other way round
    assert stretches(t, np.array([third])) == stretches(np.array([0.0, 0.1, 0.2, 0.3, 0.4]), np.array([3 * 0.1]))
    assert stretches(t, np.array([third])) == [slice(0, 3), slice(3, 5)]
    assert stretches(t, np.array([-1.0, 0.0, 9.0])) == stretches(t, np.empty(0)) == [slice(0, 5)]
    layers = {"layer_times": [0.0, 0.1, 0.3, 0.6]}
    assert jumps_of(layers | {"interpolate": False}).tolist() == [0.1, 0.3]
    assert not jumps_of(layers | {"interpolate": True}).size and not jumps_of({}).size
    assert not jumps_of({"layers": {"function": "f", "heads": 1}}).size


@pytest.mark.parametrize(
    ("A", "B", "rate"),
    [
        (np.diag([1.0, 0.45]), np.diag([1.0, 0.3]), 1.1 / 2),
        (np.diag([1.0, 0.45]), np.diag([1.0, 2.0]), 0.275 / 2),
        (np.diag([1.0, 0.5]), np.eye(2), 0.25),
        (np.diag([1.0, 0.4, -0.3]), np.eye(3), 0.3),
        (np.diag([1.0, 1.0, 0.5]), np.eye(3), 0.5),
        (np.diag([1.0, 0.4, -0.3]), np.diag([1.0, 1.0, 10.0]), 0.1),
        (np.diag([1.0, 0.4, -0.3]), np.diag([1.0, 3.0, 1.0]), 0.1),
        (np.eye(3), np.eye(3), None),
        (np.array([[1.0, 1.0], [0.0, 0.5]]), np.eye(2), None),
    ],
)
def test_concentration_rate(A, B, rate):
    """literature.md C2: the two rates that compete for B ≠ I, halves of the rates of W₂²."""
    found = concentration_rate(Head(A @ np.linalg.inv(B).T, B))
    assert found is None if rate is None else found == pytest.approx(rate, rel=1e-12)


def test_distances_below_their_error_bar_are_not_judged(tmp_path):
    """V = diag(1, −19): by t = 3 the distance is far below what the grid can see, and the bar says so."""
    model = ContinuityEquation(Circle(63), Hardmax(Head(np.diag([1.0, -19.0]))))
    rho0 = fisher_bingham([0.1, 0.4])
    Simulation(model, rho0, tmp_path / "run.h5", companion_lmax=47, save_every=0.02, progress=False).run(3.0)
    with RunFile(tmp_path / "run.h5") as opened:
        series, judgement, description = opened.series, verdict(opened), describe(opened)
    assert "verdict: NOT" not in judgement
    lower, upper = wasserstein_bounds(series)
    truth = 1e-12  # less than that: W₂ ~ e^{−10 t}
    assert lower[-1] <= truth <= upper[-1]
    assert np.all(lower <= series["distance_to_E"]) and np.all(series["distance_to_E"] <= upper)
    assert ("beyond the velocity horizon" in judgement) == ("BEYOND THE VELOCITY HORIZON" in description)


def test_bounds_need_error_bars(tmp_path):
    run(tmp_path / "run.h5", Softmax(Head(np.diag([1.0, 0.5]))), 0.1, companion_lmax=0)
    with RunFile(tmp_path / "run.h5") as opened:
        assert wasserstein_bounds(opened.series) is None
        assert "needs a companion run" in verdict(opened) or "no prediction" in verdict(opened)


def test_bounds_hold_the_truth_for_the_exact_flow(tmp_path):
    """Zero temperature keeps Π♯ρ_t = Π♯ρ₀, so W₂ is the distance itself, here by fine quadrature of the exact flow."""
    head, until = Head(np.diag([1.0, 0.2])), 1.5
    rho0 = fisher_bingham([0.3, 0.8])
    model = ContinuityEquation(Circle(127), Hardmax(head))
    Simulation(model, rho0, tmp_path / "run.h5", companion_lmax=95, progress=False).run(until)
    angle = 2.0 * np.pi * (np.arange(40000) + 0.5) / 40000
    x = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    image = exact.hardmax_flow(head, x, until)
    away = np.arctan2(np.abs(image[:, 1]), np.abs(image[:, 0]))
    truth = np.sqrt(np.mean(away**2 * rho0(x)) * 2.0 * np.pi)
    with RunFile(tmp_path / "run.h5") as opened:
        lower, upper = wasserstein_bounds(opened.series)
    assert lower[-1] - 1e-8 <= truth <= upper[-1] + 1e-8
    assert upper[-1] - lower[-1] < 1e-3


def test_recorded_distances_are_told(tmp_path):
    """The table and the summary give the value with its bar; files of before distances were recorded still work."""
    cold = Softmax(Head(np.diag([1.0, 0.2]), beta=200.0))
    description, judgement = run(tmp_path / "new.h5", cold, 2.0)
    older, without = run(tmp_path / "old.h5", cold, 2.0, wasserstein=False)
    with RunFile(tmp_path / "new.h5") as new, RunFile(tmp_path / "old.h5") as old:
        recorded, plain = new.series, old.series
    last = recorded["wasserstein_2_geodesic"][-1]
    assert f"→ {last:.6f} ± " in description and "W₂ to Π♯ρ₀" not in older
    assert f"{recorded['wasserstein_2_geodesic'][0]:.8f}" in judgement and "–" in without
    for new_bound, old_bound in zip(wasserstein_bounds(recorded), wasserstein_bounds(plain), strict=True):
        np.testing.assert_allclose(new_bound, old_bound, rtol=0.0, atol=1e-7)  # √ of the masses' rounding


def test_bounds_for_a_great_circle(tmp_path):
    model = ContinuityEquation(Sphere(31), Softmax(Head(np.diag([1.0, 1.0, -0.3]), beta=10.0)))
    rho0 = fisher_bingham([0.5, 0.8, 0.2])
    Simulation(model, rho0, tmp_path / "run.h5", companion_lmax=23, save_every=0.25, progress=False).run(0.6)
    with RunFile(tmp_path / "run.h5") as opened:
        series, description = opened.series, describe(opened)
    lower, upper = wasserstein_bounds(series)
    value = series["wasserstein_2_geodesic"]
    known = np.isfinite(value)
    assert known.sum() == 4 and (lower[known] <= value[known]).all() and (value[known] <= upper[known]).all()
    assert f"→ {value[-1]:.6f} (geodesic; bounds" in description


def test_low_temperature_only(tmp_path):
    assert "about low temperature" in run(tmp_path / "warm.h5", Softmax(Head(np.diag([1.0, 0.5]), beta=2.0)), 0.1)[1]


def test_energy_and_attention_are_told(tmp_path):
    B, skew = np.diag([1.0, -0.5]), np.array([[1.0, 0.2], [-0.2, 1.0]])
    description, _ = run(tmp_path / "two.h5", Unnormalised([Head(B, B), Head(B, B, beta=2.0)]), 0.1)
    with RunFile(tmp_path / "two.h5") as opened:
        energy, entropy = opened.series["energy"], opened.series["attention_entropy"]
        assert opened.series["head_energy"].shape == (len(energy), 2)
        assert opened.attributes["energy_law"].startswith("transport never lowers it")
    assert f"{energy[0]:.6g} → {energy[-1]:.6g}, scaled as stored; transport never lowers it" in description
    assert f"→ {entropy[-1, 0]:.4g}, {entropy[-1, 1]:.4g} (0: attends".replace("-", "−") in description
    description, _ = run(tmp_path / "skew.h5", Softmax([Head(B, B), Head(B, skew)]), 0.1)
    assert "no energy: B of head 1 (counted from 0) is not symmetric" in description
    description, _ = run(tmp_path / "hardmax.h5", Hardmax(Head(B)), 0.1)
    assert "no energy: hardmax has none" in description and "attends" not in description
