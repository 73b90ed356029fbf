r"""Damped Newton on the Kantorovich dual of semi-discrete transport (Kitagawa, Mérigot, Thibert, JEMS 2019).

The dual :math:`\psi\mapsto\sum_i\nu_i\psi_i+\int\min_i(c(x,y_i)-\psi_i)\,\rho(x)dx` is concave; its gradient is ν less
the cell masses, its Hessian the graph Laplacian of the couplings between neighbouring cells. Steps are halved until no
cell falls below half the smallest mass seen at the start (or wanted), so the Hessian never degenerates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, diags_array
from scipy.sparse.linalg import splu

from .laguerre import Cells

Array = NDArray[np.float64]
Evaluate = Callable[[Array], Cells]

SMALLEST_STEP = 2.0**-16
ROUNDING = 1e-14
"""Residuals below this fraction of the total mass are rounding."""


@dataclass(frozen=True)
class Ascent:
    """Where the iteration ended: potentials, their cells, Newton steps taken, and whether the tolerance was met."""

    potentials: Array
    cells: Cells
    iterations: int
    converged: bool


def residual_of(cells: Cells, weights: Array) -> Array:
    """ν − masses, with the total mass of the cells shared out as ν is."""
    return weights * (cells.mass.sum() / weights.sum()) - cells.mass


def newton_direction(cells: Cells, residual: Array) -> Array:
    """Solve (graph Laplacian of the couplings) δ = residual with δ = 0 at the first atom."""
    degree = np.asarray(cells.coupling.sum(axis=1)).ravel()
    laplacian = csc_array(diags_array(np.where(degree > 0.0, degree * (1.0 + ROUNDING), 1.0)) - cells.coupling)
    factor = splu(laplacian[1:, 1:], permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    return np.concatenate([[0.0], factor.solve(residual[1:])])


def ascend(evaluate: Evaluate, potentials: Array, weights: Array, tolerance: float, most: int) -> Ascent:
    """Raise the dual from potentials whose cells all have mass, until Σ|ν − masses| ≤ tolerance × total.

    Takes at most ``most`` Newton steps, and stops early when no step of useful size helps.
    """
    cells = evaluate(potentials)
    total = float(weights.sum())
    floor = 0.5 * min(float(cells.mass.min()), float(weights.min()))
    step = 1.0
    for iteration in range(most + 1):
        residual = residual_of(cells, weights)
        missing = float(np.abs(residual).sum())
        if missing <= tolerance * total:
            return Ascent(potentials, cells, iteration, True)
        if iteration == most or floor <= 0.0:
            break
        try:
            direction = newton_direction(cells, residual)
        except RuntimeError:  # exactly singular: a cell has lost its neighbours
            break
        if not np.isfinite(direction).all():
            break
        size, step = float(np.linalg.norm(residual)), min(1.0, 4.0 * step)
        while step > SMALLEST_STEP:
            trial = evaluate(potentials + step * direction)
            smaller = float(np.linalg.norm(residual_of(trial, weights))) <= (1.0 - 0.5 * step) * size
            if trial.mass.min() >= floor and smaller:
                break
            step *= 0.5
        else:
            return Ascent(potentials, cells, iteration, False)
        potentials, cells = potentials + step * direction, trial
    return Ascent(potentials, cells, iteration, False)
