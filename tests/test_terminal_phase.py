"""The late phase of the mean field on S¹: crossover, slow escape, exit from metastability, and the floor of tokens."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.interpolate import CubicSpline

from spherepde import Head, Softmax, von_mises_fisher
from spherepde.adaptive import Resolution, initial_cells, march_cells
from spherepde.lagrangian import LagrangianFlow
from spherepde.tokens import circle_quantiles, simulate_tokens

sys.path.insert(0, str(Path(__file__).parent / "physics"))

from physics_helpers import bounded, number

VALIDATION = Path(__file__).resolve().parents[1] / "validation"


@pytest.fixture(autouse=True)
def _scripts(monkeypatch):
    """Make the validation scripts importable, as they are for each other."""
    monkeypatch.syspath_prepend(str(VALIDATION))


# ---- the crossover (C7)


def test_rates_and_slope_of_the_crossover():
    from experiments.crossovers import Setting, crossover

    setting = Setting((1.0, 1.4), (2.0, 0.5), 2.0)
    low, high = (crossover(setting, beta, 1e-4) for beta in (40.0, 80.0))
    number("slope of t_turn in log β", (high.turn - low.turn) / np.log(2.0), 0.5 / 0.65, rtol=1e-2)
    for run in (low, high):
        number("escape rate", run.escape.value, 0.4, rtol=1e-5)
        number("late width rate", run.narrowing.value, 1.0, rtol=3e-3)


def test_a_narrow_gaussian_cluster_follows_the_closure():
    """βs² and the mean of a Gaussian cluster obey the two equations of C7, exactly as its angles go to zero."""
    (v1, v2), (b1, b2), beta, concentration, until = (1.0, 1.4), (2.0, 1.0), 2e4, 500.0, 9.0
    flow = LagrangianFlow(Softmax(Head(np.diag([v1, v2]), B=np.diag([b1, b2]), beta=beta)), 1e-6)
    cells = initial_cells(von_mises_fisher([1.0, 1e-3], concentration), 2, 1e-6)
    resolution = Resolution(1e-6, (2.0 * beta) ** -0.5)
    t, mean, width = [0.0], [1e-3], [beta / concentration]
    for step in march_cells(cells, flow.velocity, 0.0, until, resolution, rtol=1e-7):
        for time in np.linspace(step.start, step.time, 5)[1:]:
            x, w = step.at(time).points, step.measure.weights
            t.append(time)
            mean.append(w @ x[:, 1])
            width.append(beta * (w @ (x[:, 1] - w @ x[:, 1]) ** 2))
    t, mean, width = np.array(t), np.array(mean), np.array(width)

    def speed(u):  # d log(βs²)/dt
        return 2.0 * (v2 * b2 * u / (1.0 + b1 * u) - v1)

    def growth(u):  # d log(mean)/dt
        return v2 * (1.0 + u * b2) / (1.0 + u * b1) - v1

    def along(integrand, until):  # ∫ integrand dt while βs² falls from where it began
        return quad(lambda y: integrand(np.exp(y)) / speed(np.exp(y)), np.log(width[0]), np.log(until))[0]

    number("time until βs² is as small as at the end", until, along(lambda u: 1.0, width[-1]), rtol=1e-3)
    number("log growth of the mean", np.log(mean[-1] / mean[0]), along(growth, width[-1]), atol=2e-3)
    turn = CubicSpline(t, np.log(mean)).derivative().roots(extrapolate=False)[0]
    number("t_turn", turn, along(lambda u: 1.0, (v2 - v1) / (v1 * b1 - v2 * b2)), rtol=2e-3)


# ---- two clusters (C6)


@pytest.mark.parametrize("beta", [1.0, 3.0])
def test_equal_clusters_under_the_identity_leave_slowly(beta):
    from metastability import pair_rate

    number(f"escape rate at β = {beta:g}", pair_rate(beta, 1e-8).value, 1.0 - np.tanh(beta), rtol=2e-5)


# ---- depleted zones


def test_the_density_has_no_floor_where_tokens_have_one():
    from claims import followed
    from experiments.exit_times import FLOOR, distance

    count, until, density = 100, 8.0, FLOOR.density()
    head = FLOOR.head(640.0)
    tokens = simulate_tokens(head, circle_quantiles(density, count), [until], rtol=1e-6, atol=1e-8)[-1]
    floor = np.pi / 2.0 * np.sqrt(2.0 / count)  # a token stuck at e₂, another at −e₂
    number("distance to E of 100 tokens", distance(tokens, 1.0 / count), floor, rtol=0.05)
    _, values = followed(head, density, until, 1e-4, lambda m: [distance(m.points, m.weights)])
    bounded("distance to E of the density", values[-1, 0], 0.4 * floor)


def test_exit_from_metastability():
    from experiments.exit_times import mean_field_exit, spectral_exit
    from metastability import SHAPES

    shape, beta = SHAPES[1], 8.0
    exit_time = mean_field_exit(shape, beta, 1e-5)
    number("exit time by the spectral solver", spectral_exit(shape, beta, 95, 5.0), exit_time, rtol=1e-6)
    number("exit time with finer cells", mean_field_exit(shape, beta, 1e-5, finer=True), exit_time, rtol=1e-6)


def test_few_tokens_leave_too_early():
    from experiments.exit_times import DENSITY, mean_field_exit, token_exit
    from metastability import SHAPES

    shape, beta = SHAPES[1], 64.0
    exit_time = mean_field_exit(shape, beta, 1e-4)
    number("exit time of the density", exit_time, 9.93865, rtol=1e-4)  # spectral solver, lmax 255
    bounded("of 100 tokens at quantiles", token_exit(shape, beta, circle_quantiles(DENSITY, 100), 10.0), 8.5)
