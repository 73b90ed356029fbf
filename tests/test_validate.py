"""Tokens held against a run: the band is calibrated, right codes are inside, wrong ones outside, bad files refused."""

import json
import sys

import numpy as np
import pytest
from matplotlib.image import imread
from physics.physics_helpers import bounded, number
from scipy.stats import kstest, vonmises

from spherepde import (
    Characteristics,
    Circle,
    ContinuityEquation,
    Hardmax,
    Head,
    InputError,
    NumericalError,
    Simulation,
    Sphere,
    Unnormalised,
    assert_matches_reference,
    compare_tokens,
    polynomial,
    reference,
    token_attention,
    uniform,
    von_mises_fisher,
)
from spherepde.agreement import read_tokens
from spherepde.agreement.band import Band
from spherepde.agreement.cells import EqualCells
from spherepde.agreement.circle_distances import circle_distances
from spherepde.agreement.comparison import Expectation
from spherepde.agreement.draws import CellDraws
from spherepde.agreement.gauges import RESOLUTION, SphereGauge
from spherepde.agreement.moments import MomentScore
from spherepde.characteristics import RecordedVelocity
from spherepde.cli import main
from spherepde.exact import hardmax_flow
from spherepde.plots.agreement import plot_agreement
from spherepde.tokens import circle_quantiles, gauss_tokens, sample_tokens, simulate_tokens, token_velocity
from spherepde.transport import CircleMeasure, Cost, wasserstein_circle, wasserstein_discrete

BETA, UNTIL = 4.0, 0.12
TIMES = np.array([0.0, 0.06, 0.12])
VALUES = {2: np.diag([1.0, -0.5]), 3: np.diag([1.0, 0.4, -0.3])}
INITIAL = {2: von_mises_fisher([0.4, 0.9], 4.0), 3: von_mises_fisher([0.4, 0.4, 0.8], 4.0)}
COUNT = 2000
CLUSTER, CLUSTER_TIMES = reference("circle_cluster"), np.array([0.0, 4.0, 8.0])


def head_of(dim, beta=BETA, sign=1.0):
    return Head(V=sign * VALUES[dim], beta=beta)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run files of unnormalised attention, whose speed grows like e^β, on S¹ and S²."""
    folder, paths = tmp_path_factory.mktemp("runs"), {}
    for dim, space in ((2, Circle(63)), (3, Sphere(47))):
        paths[dim] = folder / f"run{dim}.h5"
        model = ContinuityEquation(space, Unnormalised(head_of(dim)))
        simulation = Simulation(model, INITIAL[dim], out=paths[dim], progress=False, wasserstein=False)
        assert simulation.run(until=UNTIL).status == "done"
    return paths


def tokens_of(dim, seed, head=None, times=TIMES, count=COUNT, weights=None, start=None):
    """A trajectory of the token code, which shares nothing with the solver."""
    start = sample_tokens(INITIAL[dim], dim, count, seed) if start is None else start
    x = simulate_tokens(head or head_of(dim), start, times, weights, "unnormalised", rtol=1e-6, attend=token_attention)
    return {"t": times, "x": x}


@pytest.fixture(scope="module")
def judge(runs):
    """2000 tokens → (judgement, largest statistic over its limit), by bands made once for each d and kind."""
    made = {}

    def verdict(dim, tokens, interacting=False):
        if (dim, interacting) not in made:
            generator = np.random.default_rng(8)
            expected = Expectation(Characteristics(runs[dim]), TIMES, np.full(3, COUNT), generator, False)
            samples = expected.statistics(99 if interacting else 199, interacting)
            made[dim, interacting] = expected, Band(samples, RESOLUTION)
        expected, band = made[dim, interacting]
        values = expected.of_tokens(read_tokens(tokens))
        return band.judge(values), float((values / band.upper).max())

    return verdict


def normalised(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


# ---- the parts


def test_circle_distances_are_those_of_transport():
    rng = np.random.default_rng(1)
    worst = 0.0
    for n, m, spread in ((7, 5, 6.3), (40, 90, 2.0), (200, 31, 0.01)):
        x, y = (np.sort(rng.uniform(0.0, spread, k) + rng.uniform(0.0, 6.2)) % (2.0 * np.pi) for k in (n, m))
        x, y = np.sort(x), np.sort(y)
        a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
        mine = circle_distances(x, a, y, b)
        for p, value in zip((1, 2), mine, strict=True):
            exact = wasserstein_circle(CircleMeasure.from_atoms(x, a), CircleMeasure.from_atoms(y, b), Cost(p))
            worst = max(worst, abs(value - exact.value))
    bounded("W1 and W2 on the circle against transport", worst, 1e-9)


def test_cells_hold_equal_parts_and_their_transport_is_optimal():
    rng = np.random.default_rng(2)
    points = normalised(rng.standard_normal((4096, 3)) * [1.0, 0.3, 0.1] + [0.0, 0.0, 0.4])
    cells = EqualCells(points, 5)
    assert np.all(cells.masses == 1.0 / 32.0)
    where, masses = cells.histogram(points[:300])
    assert np.all(np.einsum("nk,nk->n", points[:300], cells.centres[where]) > -1.0) and masses.sum() == pytest.approx(1)
    for p, value in zip((1, 2), cells.distances(masses), strict=True):
        exact = wasserstein_discrete(cells.centres, cells.centres, masses, cells.masses, Cost(p))
        assert value == pytest.approx(exact.value, rel=1e-9)


def test_distances_of_tokens_on_the_sphere_are_true_ones(runs):
    measure = Characteristics(runs[3]).measure(UNTIL)
    draws = CellDraws(measure)
    pilot, other = (draws.draw(4096, np.random.default_rng(seed)) for seed in (3, 4))
    tokens = normalised(draws.draw(400, np.random.default_rng(5)) + np.array([0.05, 0.0, 0.0]))
    gauge = SphereGauge(measure, pilot, 400)
    found, off = gauge.true_distances(tokens, None)
    for p, value, rounding, cells in zip((1, 2), found, off, gauge.distances(tokens, None), strict=True):
        exact = wasserstein_discrete(tokens, other, cost=Cost(p)).value
        print(f"NUMBER W{p}: {value:.4f} ± {rounding:.4f}, {exact:.4f} to another sample of 4096, {cells:.4f} in cells")
        assert abs(value - exact) <= rounding and abs(value - exact) < 0.5 * abs(cells - exact)


@pytest.mark.parametrize("dim", [2, 3])
def test_draws_from_cells_come_from_the_density(dim):
    head, count, t = Head(V=np.diag([1.0, 0.4, -0.3][:dim]), beta=1.0), 400_000, 4.0
    characteristics = Characteristics(RecordedVelocity(Hardmax(head), [0.0, t]), INITIAL[dim])
    drawn = CellDraws(characteristics.measure(t)).draw(count, np.random.default_rng(4))
    origin = hardmax_flow(head, drawn, -t)
    mean = normalised(np.array([[0.4, 0.9], [0.4, 0.4, 0.8]][dim - 2]))
    if dim == 2:
        angle = np.arctan2(origin[:, 1], origin[:, 0]) - np.arctan2(mean[1], mean[0])
        statistic = kstest((angle + np.pi) % (2.0 * np.pi) - np.pi, vonmises(4.0).cdf).statistic
    else:
        cdf = lambda z: np.expm1(4.0 * (z + 1.0)) / np.expm1(8.0)  # noqa: E731
        statistic = kstest(origin @ mean, cdf).statistic
        across = np.linalg.svd(mean[None])[2][1:]
        turn = np.arctan2(*(across @ origin.T)) / (2.0 * np.pi) + 0.5
        statistic = max(statistic, kstest(turn, "uniform").statistic)
    limit = 2.23 / np.sqrt(count)  # one seed in 10⁴ exceeds it
    bounded(f"S^{dim - 1}: Kolmogorov's distance of 4e5 draws, pulled back, to the initial law", statistic, limit)


def test_moment_score_has_as_many_degrees_of_freedom_as_moments():
    for dim, moments in ((2, 4), (3, 8)):
        points, weights = gauss_tokens(uniform(dim), 16, dim)
        score = MomentScore(points, weights / weights.sum())
        samples = sample_tokens(uniform(dim), dim, 200 * 4000, 5).reshape(4000, 200, dim)
        squares = [score.measure(x, None, 200.0)[2] ** 2 for x in samples]
        number(f"S^{dim - 1}: mean of the squared score", np.mean(squares), moments, rtol=0.03)
    narrow = MomentScore(np.array([[1.0, 0.0], [np.cos(1e-7), np.sin(1e-7)]]), np.array([0.5, 0.5]))
    assert narrow.measure(np.array([[0.0, 1.0]]), None, 1.0)[2] > 1e5  # no direction is left out for being narrow
    assert narrow.measure(np.array([[np.cos(5e-8), np.sin(5e-8)]]), None, 1.0)[2] < 1e-6
    mean, second, _ = score.measure(np.tile([0.0, 0.6, 0.8], (5, 1)), None, 5.0)
    assert mean == pytest.approx(1.0) and second == pytest.approx(np.sqrt(2.0 / 3.0))  # |xxᵀ − I/3|


def test_band_is_left_once_in_a_hundred():
    rng = np.random.default_rng(6)
    trials = rng.standard_gamma([0.5, 2.0, 9.0], (4000, 5, 3))
    single, whole = [], []
    for number_of_band in range(20):
        band = Band(rng.standard_gamma([0.5, 2.0, 9.0], (199, 5, 3)), np.zeros(3))
        judged = [band.judge(values) for values in trials[200 * number_of_band : 200 * (number_of_band + 1)]]
        single += [j.outside.mean() for j in judged]
        whole += [j.overall_outside for j in judged]
        inside = np.all(trials[0] <= band.upper, axis=1)
        np.testing.assert_array_equal(inside, ~band.judge(trials[0]).outside)
    number("share of exact samples outside at a time", np.mean(single), 0.01, atol=0.004)
    number("share of exact samples outside as a whole", np.mean(whole), 0.01, atol=0.006)


# ---- calibration


def exact_samples_outside(path, dim, count, trials=100):
    """How many of some exact samples, drawn and moved without the cells, are outside at all times together."""
    characteristics = Characteristics(path, rtol=1e-7)
    expected = Expectation(characteristics, TIMES, np.full(3, count), np.random.default_rng(7), False)
    band = Band(expected.statistics(199), RESOLUTION)
    moved = [
        characteristics.sample(t, trials * count, seed).reshape(trials, count, dim)
        for seed, t in enumerate(TIMES, start=100)
    ]
    values = [expected.of_tokens(read_tokens({"t": TIMES, "x": x})) for x in np.swapaxes(moved, 0, 1)]
    judged = [band.judge(rows) for rows in values]
    print(f"outside at single times: {np.sum([j.outside for j in judged], axis=0)} of {trials}")
    return sum(j.overall_outside for j in judged)


@pytest.mark.parametrize("dim", [2, 3])
def test_exact_samples_are_inside(runs, dim):
    outside = exact_samples_outside(runs[dim], dim, 250)
    bounded(f"S^{dim - 1}: exact samples of 250 tokens outside, of 100", outside, 5)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [2, 3])
def test_exact_samples_of_2000_are_inside(runs, dim):
    outside = exact_samples_outside(runs[dim], dim, COUNT)
    bounded(f"S^{dim - 1}: exact samples of 2000 tokens outside, of 100", outside, 5)


# ---- right and wrong codes


def euler(dim, seed, step=0.5):
    """Steps of 0.5, renormalised, with positions between them interpolated."""
    x = sample_tokens(INITIAL[dim], dim, COUNT, seed)
    after = normalised(x + step * token_velocity(head_of(dim), x, None, "unnormalised"))
    return {"t": TIMES, "x": np.stack([normalised(x + t / step * (after - x)) for t in TIMES])}


def unprojected(dim, seed, step=1e-3):
    """Without P_x: tokens drift outward, attend by their lengths, and are scaled back when written only."""
    x = sample_tokens(INITIAL[dim], dim, COUNT, seed)
    raw, time = [x], 0.0
    for until in TIMES[1:]:
        while time < until - 0.5 * step and np.abs(x).max() < 2.0:  # it explodes soon after
            x = x + step * np.exp(BETA * x @ x.T) @ x @ VALUES[dim] / COUNT
            time += step
        raw.append(x)
    return {"t": TIMES, "x": np.stack(raw)}


def scaled_back(tokens):
    return {"t": tokens["t"], "x": normalised(tokens["x"])}


WRONG = {
    "beta 5 % too large": lambda dim: tokens_of(dim, 0, head_of(dim, 1.05 * BETA)),
    "beta 5 % too small": lambda dim: tokens_of(dim, 0, head_of(dim, 0.95 * BETA)),
    "sign of V": lambda dim: tokens_of(dim, 0, head_of(dim, sign=-1.0)),
    "Euler steps of 0.5": lambda dim: euler(dim, 0),
    "no projection, scaled back when written": lambda dim: scaled_back(unprojected(dim, 0)),
}


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("name", ["right", *WRONG])
def test_wrong_codes_are_outside_and_the_right_one_is_not(judge, dim, name):
    judged, ratio = judge(dim, tokens_of(dim, 0) if name == "right" else WRONG[name](dim))
    print(f"NUMBER S^{dim - 1}, {name}: {ratio:.3g} times the limit, p {judged.overall_p:g}, outside {judged.outside}")
    if name == "right":
        assert not judged.outside.any() and not judged.overall_outside and ratio < 0.95
    else:
        assert judged.overall_outside and not judged.outside[0] and judged.outside[-1] and ratio > 1.2


@pytest.mark.slow
@pytest.mark.parametrize("dim", [2, 3])
def test_wrong_codes_are_outside_the_band_of_samples_that_interact(judge, dim):
    assert not judge(dim, tokens_of(dim, 0), True)[0].overall_outside
    for name, tokens in WRONG.items():
        judged, ratio = judge(dim, tokens(dim), True)
        print(f"NUMBER S^{dim - 1}, {name}: {ratio:.3g} times the limit of samples that interact")
        assert judged.overall_outside and not judged.outside[0] and ratio > 1.3


def test_forgotten_projection_is_a_sentence(runs):
    with pytest.raises(InputError, match=r"x\[\d, \d+\] has length .*; expected unit vectors"):
        compare_tokens(unprojected(2, 0), runs[2])


def test_other_initial_density_is_told(runs):
    start = sample_tokens(polynomial([0.2, 0.3]), 2, 300, 0)
    found = compare_tokens(tokens_of(2, 0, start=start), runs[2], samples=99, interacting=False)
    assert not found.inside and found.outside[0] and "no sample of the run's initial density" in found.hint


def test_tokens_better_than_a_sample_are_inside(runs):
    quantiles = compare_tokens(tokens_of(2, 0, start=circle_quantiles(INITIAL[2], COUNT)), runs[2], samples=99)
    assert quantiles.inside and np.all(quantiles.p > 0.9)
    number("W1 of N quantiles", quantiles.values["wasserstein_1"][0], 0.5 * np.pi / COUNT, rtol=0.06)
    nodes, weights = gauss_tokens(INITIAL[3], 24)
    weights = weights / weights.sum()
    moved = tokens_of(3, 0, weights=weights, start=nodes, times=TIMES[:1])
    gauss = compare_tokens(moved | {"weights": weights}, runs[3], samples=99)
    assert gauss.inside and "effective number" in str(gauss)
    number("effective number", gauss.effective_counts[0], 1.0 / np.sum(weights**2), atol=0.5)


def test_weights_count_by_their_effective_number(runs):
    x = sample_tokens(INITIAL[2], 2, 4000, 9)
    weights = np.where(np.arange(4000) < 400, 9.0, 1.0 / 9.0)
    weights /= weights.sum()
    found = compare_tokens({"t": [0.0], "x": x[None], "weights": weights}, runs[2], samples=99)
    number("effective number of 400 heavy tokens among 3600 light ones", found.effective_counts[0], 493, atol=0.5)
    assert found.inside
    plain = compare_tokens({"t": [0.0], "x": x[None]}, runs[2], samples=99)
    ratio = found.median["wasserstein_1"][0] / plain.median["wasserstein_1"][0]
    number("their floor over that of 4000 equal ones", ratio, np.sqrt(4000.0 / 493.0), rtol=0.25)


def test_verdict_depends_on_the_seed_alone_and_not_on_precision(runs):
    tokens = tokens_of(2, 3, count=300)
    first, again = (compare_tokens(tokens, runs[2], samples=99, seed=5) for _ in range(2))
    assert first.to_json() == again.to_json()
    angles = np.arctan2(tokens["x"][..., 1], tokens["x"][..., 0]).astype(np.float32) + np.float32(2.0 * np.pi)
    single = compare_tokens({"t": TIMES.astype(np.float32), "angles": angles}, runs[2], samples=99, seed=5)
    for name, values in first.values.items():
        np.testing.assert_allclose(single.values[name], values, atol=2e-5 if name == "moment_score" else 1e-6)


@pytest.mark.slow
def test_samples_that_interact_have_the_error_of_tokens_that_do(runs):
    """Right tokens of seed 2 begin inside; the flow amplifies their sampling error until they leave."""
    tokens = tokens_of(2, 2)
    independent = compare_tokens(tokens, runs[2], interacting=False)
    interacting = compare_tokens(tokens, runs[2], samples=99, interacting=True)
    print(independent, interacting, sep="\n")
    assert not independent.outside[0] and independent.outside[-1]
    assert interacting.inside and not interacting.outside.any()
    ratio = interacting.limit["moment_score"] / independent.limit["moment_score"]
    print(f"NUMBER the limit of interacting samples over that of independent ones: {ratio}")
    assert ratio[-1] > 1.1
    wrong = tokens_of(2, 0, head_of(2, 1.05 * BETA))
    assert not compare_tokens(wrong, runs[2], samples=99, interacting=True).inside


# ---- samples that interact, where independent ones are not enough


def dense_runge_kutta(seed, sign=1.0, count=100, step=0.1):
    """Somebody else's code for ``circle_cluster``: dense softmax and the classical method of order four."""

    def rate(x):
        weights = np.exp(x @ x.T)
        mean = sign * (weights @ x) / weights.sum(axis=1, keepdims=True)
        return mean - np.sum(mean * x, axis=1, keepdims=True) * x

    x = CLUSTER.characteristics().sample(0.0, count, seed)
    rows = [x]
    for row in range(1, round(CLUSTER_TIMES[-1] / step) + 1):
        first = rate(x)
        second = rate(x + 0.5 * step * first)
        third = rate(x + 0.5 * step * second)
        x = normalised(x + step / 6.0 * (first + 2.0 * second + 2.0 * third + rate(x + step * third)))
        if row % 40 == 0:
            rows.append(x)
    return {"t": CLUSTER_TIMES, "x": np.stack(rows)}


def last(tokens):
    """The last time alone: nothing is known of the tokens before, so no pair can decide."""
    return {"t": tokens["t"][-1:], "x": tokens["x"][-1:]}


def test_samples_that_interact_decide_where_there_is_no_pair():
    for seed in (0, 1):
        found = assert_matches_reference(last(dense_runge_kutta(seed)), "circle_cluster", samples=99)
        assert found.kind == "interacting" and found.pair is None and found.decided == ["interacting"]
        assert found.exit_status == 0 and not found.outside.any()
        assert "outside the band of independent samples" in found.sentence
        assert "inside that of samples that interact as the model says" in found.sentence
        assert "independent  interacting" in found.table()
        apart = found.to_json()["independent"]
        assert apart["inside"] is False and apart["outside"][-1]
        ratio = found.limit["moment_score"][-1] / apart["limit"]["moment_score"][-1]
        print(f"NUMBER limit of samples that interact over that of independent ones at t = 8: {ratio}")
        assert ratio > 5.0
    alone = compare_tokens(last(dense_runge_kutta(1)), CLUSTER, samples=99, interacting=True)
    assert alone.first is None and alone.against == found.against == "circle_cluster"
    for name, limit in alone.limit.items():
        np.testing.assert_array_equal(limit, found.limit[name])


def test_wrong_interacting_tokens_are_outside_of_both():
    found = compare_tokens(last(dense_runge_kutta(0, sign=-1.0)), CLUSTER, samples=99)
    excess = max(float((found.values[name] / found.limit[name]).max()) for name in found.limit)
    print(f"NUMBER sign of V: {excess} times the limit of samples that interact")
    assert found.kind == "interacting" and not found.inside and excess > 1.4
    assert "independent ones and those that interact" in found.sentence


# ---- pairs: tokens against their own first ones


def test_rows_in_any_order_and_tokens_of_the_mean_field_are_inside():
    run, times = CLUSTER.characteristics(), CLUSTER_TIMES
    x = dense_runge_kutta(1, count=400)["x"]
    generator = np.random.default_rng(0)
    shuffled = np.stack([generator.permutation(row) for row in x])
    found = compare_tokens({"t": times, "x": shuffled}, run, samples=99)
    assert found.inside and found.decided[1:] == ["paired", "paired"] and found.pair.by == "their own attention"
    start = run.sample(0.0, 400, 1)
    passive = np.stack([start, *(run.image(start, t) for t in times[1:])])
    found = compare_tokens({"t": times, "x": passive}, run, samples=99)
    assert (
        found.inside and found.pair.by == "the run's velocity" and "the run's velocity takes your own" in found.sentence
    )
    drawn = np.stack([run.sample(t, 400, seed) for seed, t in enumerate(times, start=7)])
    found = compare_tokens({"t": times, "x": drawn}, run, samples=99)
    assert found.inside and found.decided == ["independent"] * 3 and "rows are no trajectories there" in str(found)


def test_pairs_know_weights_and_times_off_the_grid(runs):
    weights = np.random.default_rng(1).uniform(0.2, 1.8, 400)
    weights /= weights.sum()
    times, start = np.array([0.013, 0.0471, 0.1177]), sample_tokens(INITIAL[2], 2, 400, 3)
    for beta, inside in ((1.0, True), (1.5, False)):
        tokens = tokens_of(2, 0, head_of(2, beta * BETA), start=start, weights=weights, times=times)
        found = compare_tokens(tokens | {"weights": weights}, runs[2], samples=99)
        assert found.decided[1:] == ["paired", "paired"] and found.outside[1:].any() != inside
        assert (found.pair.worst < 0.01) == inside


def test_asterisks_are_where_a_limit_is_exceeded(runs):
    found = compare_tokens(tokens_of(2, 0, head_of(2, sign=-1.0), count=20), runs[2], samples=99, interacting=False)
    lines = found.table().splitlines()[2:]
    for row, line in enumerate(lines):
        cells = line.split()
        marked = [cells[column].endswith("*") for column in (1, 4, 7, 10, 12)]
        assert marked == [found.values[name][row] > found.limit[name][row] for name in found.limit]
        assert any(marked) == found.outside[row] and sum("*" in cell for cell in cells) == sum(marked)
    assert found.outside.any() and "fewer than 30 tokens have no power" in str(found)


def test_tokens_that_do_not_interact_are_judged_by_independent_samples():
    head = Head(V=VALUES[2], beta=1.0)
    run = Characteristics(RecordedVelocity(Hardmax(head), [0.0, 1.0]), INITIAL[2])
    start = sample_tokens(polynomial([0.2, 0.3]), 2, 300, 0)
    found = compare_tokens({"t": [0.0], "x": start[None]}, run, samples=99)
    assert not found.inside and found.kind == "independent" and found.first is None
    assert "no power" not in str(found) and "--interacting" not in found.hint


# ---- bad input

GOOD = {"t": np.array([0.0, 0.1]), "x": np.tile([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], (2, 1, 1))}
NOT_A_NUMBER = GOOD["x"].copy()
NOT_A_NUMBER[1, 2, 0] = np.nan

BAD = {
    "no t": ({"t": None}, "no array t"),
    "no positions": ({"x": None}, "no array x"),
    "both": ({"angles": np.zeros((2, 3))}, "both x and angles"),
    "t of two axes": ({"t": np.zeros((2, 1))}, r"t has shape \(2, 1\)"),
    "t decreasing": ({"t": np.array([0.1, 0.0])}, r"t\[1\] = 0 follows 0.1"),
    "x of two axes": ({"x": np.ones((2, 3))}, r"x has shape \(2, 3\)"),
    "x in four dimensions": ({"x": np.ones((2, 3, 4))}, r"d = 2 or 3"),
    "angles of three axes": ({"x": None, "angles": np.zeros((2, 3, 1))}, r"angles has shape \(2, 3, 1\)"),
    "rows": ({"t": np.array([0.0])}, "x has 2 rows and t 1 times"),
    "dimension": ({"x": np.tile([1.0, 0.0, 0.0], (2, 3, 1))}, "dimension 3 and the run 2"),
    "late": ({"t": np.array([0.0, 7.0])}, "t = 7 is outside the run; expected times from 0 to 0.12"),
    "early": ({"t": np.array([-0.1, 0.0])}, "t = -0.1 is outside the run"),
    "off the sphere": ({"x": 1.001 * GOOD["x"]}, r"has length 1\.001; expected unit vectors"),
    "NaN": ({"x": NOT_A_NUMBER}, r"x\[1, 2, 0\] is nan"),
    "infinite time": ({"t": np.array([0.0, np.inf])}, r"t\[1\] is inf"),
    "strings": ({"t": np.array(["a", "b"])}, "t is no array of real numbers"),
    "objects": ({"x": np.array([None, 1], dtype=object)}, "no readable arrays of numbers"),
    "negative weights": ({"weights": np.array([1.0, 1.0, -1.0])}, "weights go down to -1"),
    "weights not normalised": ({"weights": np.ones(3)}, "weights sum to 3; expected 1"),
    "weights of a wrong shape": ({"weights": np.ones(4) / 4}, r"weights has shape \(4,\); expected \(3,\) or \(2, 3\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arrays_are_one_sentence(name, runs, tmp_path):
    changes, sentence = BAD[name]
    arrays = {key: value for key, value in (GOOD | changes).items() if value is not None}
    np.savez(tmp_path / "tokens.npz", **arrays)
    with pytest.raises(InputError, match=sentence) as caught:
        compare_tokens(tmp_path / "tokens.npz", runs[2])
    assert "\n" not in str(caught.value) and str(tmp_path / "tokens.npz") in str(caught.value)


def test_bad_files_and_options_are_one_sentence(runs, tmp_path):
    text, single = tmp_path / "text.npz", tmp_path / "single.npy"
    text.write_text("no archive")
    np.save(single, np.zeros(3))
    for path, sentence in (
        (tmp_path / "none.npz", "is no file"),
        (tmp_path, "is no file"),
        (text, "is no .npz archive"),
        (single, "is no .npz archive"),
    ):
        with pytest.raises(InputError, match=sentence):
            read_tokens(path)
    with pytest.raises(InputError, match="samples = 98: expected a whole number >= 99"):
        compare_tokens(GOOD, runs[2], samples=98)
    with pytest.raises(InputError, match="seed = -1"):
        compare_tokens(GOOD, runs[2], seed=-1)
    for wrong in ([1], 3, None):
        with pytest.raises(InputError, match="tokens: got .*; expected the path of an .npz archive"):
            compare_tokens(wrong, runs[2])
        with pytest.raises(InputError, match="against: got .*; expected a run file"):
            compare_tokens(GOOD, wrong)
    with pytest.raises(InputError, match="tokens: x has 2 rows"):
        compare_tokens(GOOD | {"t": [0.0]}, runs[2])


# ---- as it is used


@pytest.fixture
def cli(monkeypatch, capsys):
    """Run a command line; returns (exit status, stdout, stderr)."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["spherepde", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        out, err = capsys.readouterr()
        return exit_.value.code or 0, out, err

    return call


def test_command_line(cli, runs, tmp_path):
    right, wrong = tmp_path / "right.npz", tmp_path / "wrong.npz"
    np.savez(right, **tokens_of(2, 3, count=500))
    np.savez(wrong, **tokens_of(2, 0, head_of(2, sign=-1.0), count=100))
    status, out, _ = cli("validate", right, "--against", runs[2], "--samples", 99, "--quiet")
    assert status == 0 and "inside: 500 tokens move like run2.h5" in out and "are as close to run2.h5 as exact" in out
    table = [line for line in out.splitlines() if line.endswith(("  no pair", "  inside"))]
    assert len(table) == 3 and all(len(line.split()) in (16, 17) for line in table)
    figure = imread(tmp_path / "right_agreement" / "agreement.png")
    assert min(figure.shape[:2]) > 900 and figure.std() > 0.05
    options = ("--samples", 99, "--seed", 3, "--out", tmp_path / "w")
    status, out, _ = cli("validate", wrong, "--against", runs[2], *options)
    assert status == 1 and "100 tokens come" in out and "2 of 3 times outside, first at t = 0.06" in out
    saved = json.loads((tmp_path / "w" / "agreement.json").read_text())
    assert saved["inside"] is False and saved["outside"] == [False, True, True] and saved["seed"] == 3
    assert all(len(saved[key]["wasserstein_2"]) == 3 for key in ("values", "median", "lower", "limit", "rounding"))
    status, _, err = cli("validate", tmp_path / "none.npz", "--against", runs[2])
    assert status == 2 and err.count("\n") == 1 and "is no file" in err
    assert cli("validate", right, "--against", tmp_path / "none.h5")[0] == 2


def test_folders_that_cannot_be_written_are_told_first(cli, runs, tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("")
    with monkeypatch.context() as patch:
        patch.setattr("spherepde.cli.compare_tokens", lambda *_, **__: pytest.fail("compared first"))
        for out in (file, file / "below"):
            status, _, err = cli("validate", tmp_path / "x.npz", "--against", runs[2], "--out", out)
            assert status == 2 and err.count("\n") == 1 and "is a file; expected a folder" in err
    monkeypatch.chdir(tmp_path)
    np.savez("circle_cluster.npz", **last(dense_runge_kutta(0)) | {"t": [0.0]})
    (tmp_path / "circle_cluster.npz").rename("plain")
    for _ in range(2):  # a file without a suffix, and a folder that is there already
        assert cli("validate", "plain", "--against", runs[2], "--samples", 99, "--quiet")[0] == 1
    assert (tmp_path / "plain_agreement" / "agreement.json").is_file()


def test_a_comparison_that_fails_is_not_outside(cli, runs, tmp_path, monkeypatch):
    def give_up(*_, **__):
        raise NumericalError("cells: no step left at t = 1")

    np.savez(tmp_path / "right.npz", **tokens_of(2, 3, count=50))
    monkeypatch.setattr("spherepde.comparing.measured", give_up)
    status, _, err = cli("validate", tmp_path / "right.npz", "--against", runs[2])
    assert status == 2 and "no comparison with run2.h5: cells: no step left at t = 1" in err


def test_seeds_of_any_kind_and_effective_numbers(runs, tmp_path):
    x = sample_tokens(INITIAL[2], 2, 500, 9)
    weights = np.zeros(500)
    weights[7] = 1.0
    found = compare_tokens({"t": [0.0], "x": x[None], "weights": weights}, runs[2], samples=99, seed=np.int64(3))
    assert found.effective_counts[0] == 1 and "effective tokens (here 1) have no power" in str(found)
    assert json.loads(found.write(tmp_path).read_text())["seed"] == 3


@pytest.mark.parametrize("dim", [2, 3])
def test_figure_shows_all_of_its_words(runs, tmp_path, monkeypatch, dim):
    figures = []
    monkeypatch.setattr("spherepde.plots.agreement.save", lambda figure, *_: figures.append(figure))
    for head in (head_of(dim), head_of(dim, sign=-1.0)):
        found = compare_tokens(tokens_of(dim, 0, head, count=60), runs[dim], samples=99)
        plot_agreement(found, runs[dim], tmp_path)
        figure = figures[-1]
        figure.canvas.draw()
        width, height = figure.canvas.get_width_height()
        labels = [axis.label for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]
        boxes = [text for ax in figure.axes if ax.get_legend() for text in ax.get_legend().get_texts()]
        for text in (figure._suptitle, figure._supxlabel, *labels, *boxes):
            box = text.get_window_extent()
            if text.get_text() and text.get_visible():
                assert box.x0 > -1 and box.y0 > -1 and box.x1 < width + 1 and box.y1 < height + 1, text.get_text()
        title, legend = figure._suptitle.get_window_extent(), figure.axes[0].get_legend().get_window_extent()
        assert legend.y1 < title.y0 + 1
        assert all(ax.get_position().width > 0.38 for ax in figure.axes[1:])
        assert figure.get_supxlabel().startswith("INSIDE: " if found.inside else "OUTSIDE: ")


def test_pytest_helper(runs):
    right = tokens_of(2, 1, count=300)  # one sample in 100, seed 0 for one, begins outside
    assert assert_matches_reference(right, runs[2], samples=99).inside
    wrong = tokens_of(2, 0, head_of(2, sign=-1.0), count=100)
    with pytest.raises(AssertionError, match=r"(?s)tokens do not match the reference.*outside: 100 tokens are farther"):
        assert_matches_reference(wrong, runs[2], samples=99, interacting=False)
    with pytest.raises(AssertionError, match=r"(?s)independent  paired.*outside: moved from your own.*100 tokens come"):
        assert_matches_reference(wrong, runs[2], samples=99)
