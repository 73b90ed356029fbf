"""Weighted points on spheres: closed forms, an independent assignment solver, dual feasibility, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from physics_helpers import bounded, number
from scipy.optimize import linear_sum_assignment

from spherepde.errors import InputError
from spherepde.transport import discrete
from spherepde.transport.costs import Cost
from spherepde.transport.discrete import wasserstein_discrete

Array = NDArray[np.float64]
COSTS = [Cost(p, ground) for p in (1.0, 1.5, 2.0) for ground in ("geodesic", "chordal")]


def sphere(count: int, dim: int, seed: int = 0) -> Array:
    x = np.random.default_rng(seed).standard_normal((count, dim))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def weights(count: int, seed: int) -> Array:
    w = np.random.default_rng(seed).random(count) ** 2
    return w / w.sum()


def angles(x: Array, y: Array) -> Array:
    return np.arccos(np.clip(x @ y.T, -1.0, 1.0))


def powers(x: Array, y: Array, cost: Cost) -> Array:
    apart = angles(x, y)
    return (apart if cost.ground == "geodesic" else np.sqrt(np.maximum(2.0 - 2.0 * np.cos(apart), 0.0))) ** cost.p


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_two_points_are_as_far_as_their_angle(cost: Cost) -> None:
    apart = 2.9
    x, y = np.array([[1.0, 0.0, 0.0]]), np.array([[np.cos(apart), 0.0, np.sin(apart)]])
    distance = wasserstein_discrete(x, y, cost=cost)
    number(f"two points, {cost}", distance.value, apart if cost.ground == "geodesic" else 2 * np.sin(1.45), rtol=1e-15)
    assert wasserstein_discrete(x, -x, cost=cost).value == pytest.approx(cost.largest ** (1 / cost.p), rel=1e-15)


@pytest.mark.parametrize("dim", [2, 3, 5])
@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_equal_weights_are_the_assignment_problem(dim: int, cost: Cost) -> None:
    x, y = sphere(60, dim, 1), sphere(60, dim, 2)
    matrix = powers(x, y, cost)
    rows, columns = linear_sum_assignment(matrix)
    distance = wasserstein_discrete(x, y, cost=cost)
    number(f"assignment d={dim}, {cost}", distance.value**cost.p, matrix[rows, columns].mean(), atol=1e-13)
    bounded("gap", distance.gap, 1e-13)
    assert distance.lower <= distance.value <= distance.upper


def test_potentials_are_feasible_and_the_plan_has_its_marginals() -> None:
    x, y, a, b = sphere(50, 3, 3), sphere(70, 3, 4), weights(50, 5), weights(70, 6)
    a[7] = 0.0
    a /= a.sum()
    distance = wasserstein_discrete(x, y, a, b)
    phi, psi = distance.potentials
    bounded("infeasibility", float((phi[:, None] + psi - angles(x, y) ** 2).max()), 1e-14)
    bounded("row sums", float(np.abs(distance.plan.sum(axis=1) - a).max()), 1e-16)
    bounded("column sums", float(np.abs(distance.plan.sum(axis=0) - b).max()), 1e-16)
    number("dual value", phi @ a + psi @ b, distance.value**2, atol=1e-13)
    number("plan's cost", (distance.plan.toarray() * angles(x, y) ** 2).sum(), distance.value**2, atol=1e-13)


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_sinkhorn_bounds_hold_the_exact_value(cost: Cost) -> None:
    x, y, a, b = sphere(80, 3, 7), sphere(100, 3, 8), weights(80, 9), weights(100, 10)
    exact = wasserstein_discrete(x, y, a, b, cost, "emd")
    distance = wasserstein_discrete(x, y, a, b, cost, "sinkhorn")
    assert distance.lower <= exact.value + 1e-13
    assert distance.upper >= exact.value - 1e-13
    assert "Sinkhorn" in distance.status
    bounded(f"gap of Sinkhorn, {cost}", distance.gap / exact.value, 2e-2)
    bounded("row sums", float(np.abs(distance.plan.sum(axis=1) - a).max()), 1e-15)


def test_sinkhorn_of_near_measures_still_bounds() -> None:
    x = sphere(60, 3, 11)
    y = x + 1e-3 * sphere(60, 3, 12)
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    exact = wasserstein_discrete(x, y)
    distance = wasserstein_discrete(x, y, method="sinkhorn")
    assert distance.lower <= exact.value + 1e-15  # rounding of angles of size 1 by 1e-16 in the dual
    assert distance.upper >= exact.value - 1e-15
    bounded("gap of Sinkhorn, near measures", distance.gap / exact.value, 2e-2)


def test_a_solver_cut_short_returns_bounds_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, a, b = sphere(60, 3, 13), sphere(60, 3, 14), weights(60, 15), weights(60, 16)
    exact = wasserstein_discrete(x, y, a, b)
    monkeypatch.setattr(discrete, "EMD_ITERATIONS", 20)
    distance = wasserstein_discrete(x, y, a, b)
    assert "not solved" in distance.status and "of it apart" in distance.status
    assert distance.lower <= exact.value <= distance.upper
    bounded("column sums", float(np.abs(distance.plan.sum(axis=0) - b).max()), 1e-15)


@pytest.mark.parametrize("shrunk", [1.0, 1e-2])
def test_tiny_costs_are_not_lost_in_absolute_tolerances(shrunk: float) -> None:
    """Costs of 1e-22 and less; on the line p ≥ 1 is monotone: 0.3 move 0 → 0.005, 0.3 0.01 → 0.005, 0.4 0.01 → 0.02."""
    start, end = shrunk * np.array([0.0, 0.01]), shrunk * np.array([0.005, 0.02])
    x, y = (np.stack([np.cos(t), np.sin(t)], axis=1) for t in (start, end))
    distance = wasserstein_discrete(x, y, [0.3, 0.7], [0.6, 0.4], Cost(12.0))
    truth = shrunk * (0.6 * 0.005**12 + 0.4 * 0.01**12) ** (1.0 / 12.0)
    number("close atoms, p = 12", distance.value / shrunk, truth / shrunk, rtol=1e-13)
    bounded("its relative gap", distance.gap / truth, 1e-12)
    assert "apart" not in distance.status


def test_automatic_choice_and_repr() -> None:
    distance = wasserstein_discrete(sphere(5, 3), sphere(4, 3))
    assert "linear programme solved (5 × 4 points)" in repr(distance)


def test_bad_input_is_refused_with_one_sentence() -> None:
    x, y = sphere(5, 3), sphere(4, 3)
    for call, sentence in (
        (lambda: wasserstein_discrete(x, y, a=[0.5, 0.6, 0.1, 0.1, -0.3]), "a\\[4\\] = -0.3 is negative"),
        (lambda: wasserstein_discrete(x, y, b=[0.5, 0.6, 0.1, 0.1]), "b sum to 1.3"),
        (lambda: wasserstein_discrete(x, y, b=[np.nan, 0.6, 0.1, 0.1]), "b\\[0\\] is not finite"),
        (lambda: wasserstein_discrete(x, y, a=np.zeros(5)), "sum to 0"),
        (lambda: wasserstein_discrete(x, y, cost="geodesic"), "expected a Cost"),  # type: ignore[arg-type]
        (lambda: wasserstein_discrete(x + 1j, y), "no array of real numbers"),
        (lambda: wasserstein_discrete(1.1 * x, y), "x\\[0\\] has length 1.1"),
        (lambda: wasserstein_discrete(x, y[:, :2]), "expected \\(n, 3\\)"),
        (lambda: wasserstein_discrete(x, np.full((2, 3), np.nan)), "y\\[0\\] is not finite"),
        (lambda: wasserstein_discrete(x, y, method="simplex"), "expected one of auto"),  # type: ignore[arg-type]
        (lambda: wasserstein_discrete(np.tile(x, (100_000, 1)), np.tile(y, (100_000, 1))), "GiB by sinkhorn"),
    ):
        with pytest.raises(InputError, match=sentence):
            call()
