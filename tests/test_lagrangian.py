"""The self-consistent flow of weighted nodes: against grids, exact solutions, plain tokens, and itself."""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from spherepde import (
    Circle,
    ContinuityEquation,
    Hardmax,
    Head,
    InputError,
    Layers,
    Simulation,
    Softmax,
    Sphere,
    Unnormalised,
    exact,
    fisher_bingham,
    polynomial,
)
from spherepde.adaptive import initial_cells
from spherepde.lagrangian import LagrangianFlow
from spherepde.tokens import circle_quantiles, simulate_tokens

sys.path.insert(0, str(Path(__file__).parent / "physics"))

from physics_helpers import bounded, number

TERMINAL = Head(np.diag([1.0, 1.4]), np.diag([2.0, 1.0]), beta=20.0)
SKEW = Head([[1.0, 0.6], [-0.3, 0.5]], [[1.0, 0.2], [0.1, 0.7]], beta=6.0)
RHO = fisher_bingham([0.3, 0.8])


def carried(attention, rho0, until, tolerance):
    """The measure at ``until``, and the flow that took it there."""
    flow = LagrangianFlow(attention, tolerance)
    cells = initial_cells(rho0, attention.dim, tolerance)
    for step in flow.march(cells, 0.0, until):
        cells = step.measure
    return cells, flow


def second_moment(cells):
    return cells.points.T @ (cells.weights[:, None] * cells.points)


def on_the_grid(attention, rho0, until, space):
    model = ContinuityEquation(space, attention)
    result = Simulation(
        model, rho0, rtol=1e-10, save_every=until, progress=False, wasserstein=False, continuation="none"
    ).run(until)
    assert result.status == "done" and float(result.values["spectral_tail"]) < 1e-12
    return result.values


JUMPING = Layers(
    [Head(np.diag([1.0, 0.3]), beta=6.0), Head([[0.2, 1.0], [-1.0, 0.4]], np.diag([0.8, 0.5]), beta=6.0)],
    times=[0.0, 0.45, 1.2],
)
LAWS = {
    "terminal": (Softmax(TERMINAL), 2.0),
    "skew": (Softmax(SKEW), 2.0),
    "two heads": (Softmax([SKEW, Head(np.diag([0.2, 1.0]), beta=3.0)], combine="mean"), 2.0),
    "unnormalised": (Unnormalised(Head(np.diag([1.0, 0.4]), beta=2.0)), 0.5),
    "layers": (Softmax(JUMPING), 1.2),
}


@pytest.mark.parametrize("law", LAWS)
def test_moments_are_those_of_a_resolved_density_on_the_circle(law):
    attention, until = LAWS[law]
    values = on_the_grid(attention, RHO, until, Circle(255))
    cells, _ = carried(attention, RHO, until, 1e-9)
    bounded(f"{law}: second moment", np.abs(second_moment(cells) - values["second_moment"]).max(), 3e-10)
    bounded(f"{law}: mean", np.abs(cells.weights @ cells.points - values["mean"]).max(), 3e-10)
    assert (cells.weights > 0.0).all()


def test_moments_are_those_of_a_resolved_density_on_the_sphere():
    attention = Softmax(Head(np.diag([1.0, 0.4, -0.3]), beta=5.0))
    rho0 = fisher_bingham([0.0, 0.8, 0.3])
    values = on_the_grid(attention, rho0, 0.8, Sphere(95))
    cells, _ = carried(attention, rho0, 0.8, 1e-5)
    bounded("sphere: second moment", np.abs(second_moment(cells) - values["second_moment"]).max(), 1e-6)


def test_hardmax_nodes_move_by_the_exact_flow():
    """gap·t = 20; the exact flow of the nodes is that of where they began, so of a set that never divided."""
    head = Head([[1.0, 0.2], [0.2, 0.0]], 0.8 * np.eye(2))
    cells, _ = carried(Hardmax(head), RHO, 16.0, 1e-10)
    fine = 2.0 * np.pi * np.arange(200_000) / 200_000
    start = np.stack([np.cos(fine), np.sin(fine)], axis=1)
    image, weights = exact.hardmax_flow(head, start, 2.0), RHO(start) * (2.0 * np.pi / 200_000)
    early, _ = carried(Hardmax(head), RHO, 2.0, 1e-10)
    bounded(
        "hardmax: second moment at t = 2",
        np.abs(second_moment(early) - image.T @ (weights[:, None] * image)).max(),
        1e-10,
    )
    axis = np.linalg.eigh(head.V)[1][:, 1]
    bounded("hardmax: second moment at gap·t = 20", np.abs(second_moment(cells) - np.outer(axis, axis)).max(), 1e-7)


def test_plain_tokens_converge_to_it():
    """Quantiles of ρ₀ as tokens: their error falls with their number, the nodes stay."""
    cells, _ = carried(Softmax(TERMINAL), RHO, 1.0, 1e-9)
    errors = []
    for count in (100, 400, 1600):
        tokens = simulate_tokens(TERMINAL, circle_quantiles(RHO, count), [1.0], rtol=1e-8)[-1]
        errors.append(np.abs(tokens.T @ tokens / count - second_moment(cells)).max())
    print(f"NUMBER tokens − nodes, N = 100, 400, 1600: {errors}")
    assert all(finer < 0.5 * coarser for coarser, finer in pairwise(errors))
    bounded("1600 quantiles", errors[-1], 1e-6)


@pytest.mark.slow
def test_long_after_the_grid_tolerances_agree():
    """C7 at t = 12, β = 20, in the terminal phase: the value that two smaller tolerances agreed on."""
    for tolerance, allowed in ((1e-6, 1e-6), (1e-8, 1e-8)):
        cells, flow = carried(Softmax(TERMINAL), polynomial([0.1, 0.2]), 12.0, tolerance)
        print(f"NUMBER nodes {cells.weights.size}, evaluations {flow.evaluations}")
        number(f"m11, tolerance {tolerance:g}", second_moment(cells)[0, 0], 0.57661935935, atol=allowed)


def axis_of(sign, until):
    """Direction (degrees) of the leading axis of an even density that waits for its depleted zone, heads (±V, ±B)."""
    shape = np.array([[1.0, -0.5], [-0.5, 1.2]])
    head = Head(sign * np.diag([1.5, 1.0]) @ shape, sign * np.linalg.inv(shape), beta=128.0)
    cells = initial_cells(fisher_bingham([0.0, 0.0], [[0.1, -0.1], [-0.1, 0.0]]), 2, 1e-3)
    for step in LagrangianFlow(Softmax(head), 1e-3).march(cells, 0.0, until):
        cells = step.measure
    second = cells.points.T @ (cells.weights[:, None] * cells.points)
    x, y = np.linalg.eigh(second)[1][:, -1]
    return np.degrees(np.arctan2(y, x)) % 180.0


def test_light_cells_that_only_others_attend_to_are_followed():
    """For even densities (−V, −B) moves like (V, B), but its tokens attend to their antipodes, never to themselves."""
    assert axis_of(-1.0, 36.0) == pytest.approx(
        axis_of(1.0, 36.0), abs=0.05
    )  # 10 degrees off where only they are asked


@pytest.mark.parametrize("tolerance", [0.0, -1.0, float("nan"), "1e-9"])
def test_a_tolerance_that_is_none(tolerance):
    with pytest.raises(InputError, match=r"nodes: tolerance = .*; expected a number > 0"):
        LagrangianFlow(Softmax(Head(np.eye(2))), tolerance)
