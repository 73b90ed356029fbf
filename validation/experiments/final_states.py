"""Final states from smooth densities and the path of a collapsed cluster: the runs of terminal_phase.py."""

from __future__ import annotations

import numpy as np
from claims import Measured, followed, limit_of, rate_fit

from experiments.crossovers import Setting
from spherepde import Head, Softmax, fisher_bingham, von_mises_fisher
from spherepde.adaptive import CellMeasure, initial_cells
from spherepde.densities import Density
from spherepde.lagrangian import LagrangianFlow
from spherepde.transport import CircleMeasure, wasserstein_circle

TURNING = ((1.0, -2.0), (0.5, 1.0))
"""Eigenvalues 1 ± i: a cluster turns by 2π in 2π, at a speed that varies."""
RIGID = ((1.0, -1.0), (1.0, 1.0))
SPIRAL = ((1.0, -1.0, 0.0), (1.0, 1.0, 0.0), (0.0, 0.0, 0.3))
PERIOD = 2.0 * np.pi
Matrix = tuple[tuple[float, ...], ...]

DIRAC_VALUES = ((0.8, -1.1), (0.3, 0.5))
DIRAC_START, DIRAC_TIME = (1.0, 0.0), 1.5
DIRAC_CONCENTRATIONS = (1e4, 4e4, 1.6e5)
"""The mean of a cluster of concentration κ errs by O(1/κ)."""
DIRAC_TOLERANCE = 1e-9


def series(head: Head, density: Density, until: float, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Times, and rows of mean (d), second moment (d²) and the mass at x₁ > 0."""

    def moments(m: CellMeasure) -> list[float]:
        second = np.einsum("n,ni,nj->ij", m.weights, m.points, m.points)
        return [*(m.weights @ m.points), *second.ravel(), float(m.weights[m.points[:, 0] > 0.0].sum())]

    return followed(head, density, until, tolerance, moments, axis=None if head.dim == 2 else (1.0, 0.0, 0.0))


def opposite_end(setting: Setting, beta: float, tolerance: float) -> tuple[Measured, float]:
    """Rate of ∫(1 − x₂²) and what is left of it at the end, from a density that leans to e₂."""
    t, y = series(setting.head(beta), setting.density(0.1), 28.0, tolerance)
    dim = len(setting.values)
    left = np.sum([y[:, dim + dim * i + i] for i in range(dim) if i != 1], axis=0)
    return rate_fit(t, left, (20.0, 28.0)), float(left[-1])


def degenerate_end(third: float, tolerance: float) -> tuple[Measured, float]:
    """Rate of x₃/|x| of the mean under V = diag(1, 1, third), β = 2, and 1 − |mean| at the end."""
    density = fisher_bingham([0.8, 0.3, 0.2], np.diag([0.3, 0.0, 0.0]))
    t, y = series(Head(np.diag([1.0, 1.0, third]), beta=2.0), density, 12.0, tolerance)
    length = np.linalg.norm(y[:, :3], axis=1)
    return rate_fit(t, np.abs(y[:, 2]) / length, (6.0, 12.0)), float(1.0 - length[-1])


def polarised(beta: float, concentration: float, tolerance: float) -> tuple[float, float, float]:
    """Log odds of the masses at first and at the end, and ∫x₂² there, V = QᵀK = diag(−1, −0.4)."""
    matrix = np.diag([-1.0, -0.4])
    _, y = series(Head(matrix, B=matrix, beta=beta), von_mises_fisher([1.0, 0.3], concentration), 30.0, tolerance)
    first, last = y[[0, -1], -1]
    return float(np.log(first / (1.0 - first))), float(np.log(last / (1.0 - last))), float(y[-1, 5])


def turned(values: Matrix, beta: float, until: float, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Times and the angle of the mean in the plane of e₁ and e₂, unwrapped; its last column the third component."""
    dim = len(values)
    t, y = series(Head(np.array(values), beta=beta), fisher_bingham([0.8, 0.3, 0.4][:dim]), until, tolerance)
    third = np.abs(y[:, 2]) / np.hypot(y[:, 0], y[:, 1]) if dim == 3 else np.zeros(len(t))
    return t, np.column_stack([np.unwrap(np.arctan2(y[:, 1], y[:, 0])), third])


def recurrence(values: Matrix, beta: float, times: tuple[float, ...], tolerance: float) -> np.ndarray:
    """W₂(ρ_t, ρ_{t+T/4}), geodesic, at some times; T the period."""
    head, density = Head(np.array(values), beta=beta), fisher_bingham([0.8, 0.3])
    wanted = sorted({time + late for time in times for late in (0.0, 0.25 * PERIOD)})
    found = {0.0: initial_cells(density, 2, tolerance)}
    for step in LagrangianFlow(Softmax(head), tolerance).march(found[0.0], 0.0, wanted[-1]):
        found |= {time: step.at(time) for time in wanted if step.start < time <= step.time}
    atoms = {time: CircleMeasure.from_atoms(cells.points, cells.weights) for time, cells in found.items()}
    return np.array([wasserstein_circle(atoms[time], atoms[time + 0.25 * PERIOD]).value for time in times])


def dirac_angle(beta: float, scores: Matrix) -> Measured:
    """Angle of the mean of a narrow cluster at the end, in the limit of no width."""
    head, found = Head(np.array(DIRAC_VALUES), B=np.array(scores), beta=beta), []
    for concentration in DIRAC_CONCENTRATIONS:
        _, y = series(head, von_mises_fisher(DIRAC_START, concentration), DIRAC_TIME, DIRAC_TOLERANCE)
        found.append(float(np.arctan2(y[-1, 1], y[-1, 0])))
    return limit_of(found, 4.0).plus("tolerance", DIRAC_TOLERANCE)
