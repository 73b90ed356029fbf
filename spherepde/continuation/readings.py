"""What a run records, read off weighted nodes instead of a grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..adaptive import CellMeasure, divided_between
from ..attention import Budget
from ..concentration import AntipodalLimit, series_name
from ..diagnostics import Diagnostics
from ..filters import spectral_tail
from ..heads import DominantEigenspace
from ..token_sums import token_attention
from ..token_sums.coefficients import angles, token_coefficients
from ..tokens import token_velocity
from ..transport.antipodes import COSTS
from ..transport.cloud import wasserstein_cloud_antipodes

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]

LOST = ("entropy", "min_density")
"""Quantities that need values of the density, which nodes do not have."""
SUMS = 1e-6
"""Relative error of the sums behind energies and entropies."""


class NodeReadings:
    """The quantities of a run's diagnostics for a measure of weighted nodes; those of :data:`LOST` are NaN."""

    def __init__(self, diagnostics: Diagnostics) -> None:
        self.diagnostics = diagnostics
        self.space = diagnostics.space

    def coefficients(self, cells: CellMeasure) -> Modal:
        """Modal coefficients (lm,) of the nodes, exact whatever the nodes resolve."""
        return token_coefficients(angles(cells.points), cells.weights, self.space.lmax, self.space.threads)

    def halved(self, cells: CellMeasure) -> CellMeasure:
        """The same measure, with small cells where distances to ±e and transport to them have a kink."""
        target, limit = self.diagnostics.limit_space, self.diagnostics.limit
        if target is None or target.dim != 1:
            return cells
        return divided_between(cells, target.axis, _mass_plus(limit) if isinstance(limit, AntipodalLimit) else None)

    def observables(self, cells: CellMeasure) -> dict[str, Real]:
        """The quantities that carry error bars, of cells that were :meth:`halved`."""
        x, w = cells.points, cells.weights
        values: dict[str, Real | float] = {"mean": w @ x, "second_moment": x.T @ (w[:, None] * x)}
        target = self.diagnostics.limit_space
        if target is not None:
            near = distances_to(target, x)
            values["distance_to_E"] = np.sqrt(w @ near**2)
            values["distance_to_E_chordal"] = np.sqrt(w @ (2.0 * np.sin(0.5 * near)) ** 2)
            if target.dim == 1:
                values["hemisphere_mass"] = w[x @ target.axis > 0.0].sum()
        limit = self.diagnostics.limit
        if isinstance(limit, AntipodalLimit):
            values |= {name: value for name, value in _to_antipodes(limit, cells).items() if name.count("_") == 2}
        return {name: np.asarray(value, dtype=np.float64) for name, value in values.items()}

    def measure(self, t: float, cells: CellMeasure) -> tuple[dict[str, Real], Modal]:
        """All quantities of the diagnostics at time t but the solved ones, and the modal coefficients."""
        u, small = self.coefficients(cells), self.halved(cells)
        values: dict[str, Real | float] = {"mass": cells.weights.sum(), **self.observables(small)}
        limit, target = self.diagnostics.limit, self.diagnostics.limit_space
        if isinstance(limit, AntipodalLimit):
            values |= _to_antipodes(limit, small)
        elif target is not None:
            values |= self._bounds(u, cells, target)
        budget = self._budget(t, cells)
        values["max_speed"] = budget.speed
        values |= self.diagnostics.attention_values(budget)
        values |= dict.fromkeys(LOST, np.nan)
        values["spectral_tail"] = spectral_tail(self.space, u)
        return {name: np.asarray(value, dtype=np.float64) for name, value in values.items()}, u

    def _bounds(self, u: Modal, cells: CellMeasure, target: DominantEigenspace) -> dict[str, float]:
        """Bounds of distances to a measure on a circle: to E by the nodes, and along E by the coefficients."""
        bounds, near = self.diagnostics.bounds(u), distances_to(target, cells.points)
        for cost in COSTS:
            lower, upper = (f"{series_name(cost)}_{side}" for side in ("lower", "upper"))
            if lower in bounds:
                nearest = cost.distance(float(cells.weights @ cost.of_angle(near)))
                bounds[upper] += nearest - bounds[lower]
                bounds[lower] = nearest
        return bounds

    def _budget(self, t: float, cells: CellMeasure) -> Budget:
        """Speed, energies (scaled as the field scales them) and attention entropies."""
        law, x, w = self.diagnostics.equation.attention, cells.points, cells.weights
        heads = law.schedule.heads_at(t)
        if law.name == "hardmax":
            return Budget(float(np.linalg.norm(token_velocity(heads, x, w, law.name, law.combine), axis=1).max()))
        scale = self.diagnostics.equation.field.energy_log_scale
        velocity, pulls, energies, entropies = np.zeros_like(x), np.zeros_like(x), [], []
        for head in heads:
            log_partition, mean = token_attention(head, x, w, tolerance=SUMS, threads=self.space.threads)
            share = mean if law.name == "softmax" else mean * np.exp(log_partition)[:, None]
            velocity += law.head_weight * share @ head.V.T
            scaled = np.exp(log_partition - scale)
            pulls += law.head_weight * scaled[:, None] * (mean @ head.B.T)
            energies.append(float(w @ scaled) / (2.0 * head.beta))
            scores = head.beta * np.sum((x @ head.B) * mean, axis=1)
            entropies.append(float(w @ (log_partition - scores)))
        velocity -= x * np.sum(x * velocity, axis=1)[:, None]
        speed = float(np.linalg.norm(velocity, axis=1).max())
        dissipation = float(w @ np.sum(pulls * velocity, axis=1))
        return Budget(speed, law.head_weight * sum(energies), dissipation, tuple(energies), tuple(entropies))


def distances_to(target: DominantEigenspace, points: Real) -> Real:
    """Geodesic distances (n,) of points (n, d) to the unit sphere of an eigenspace."""
    inside = points @ target.basis
    across = points - inside @ target.basis.T
    return np.arctan2(np.linalg.norm(across, axis=1), np.linalg.norm(inside, axis=1))


def _to_antipodes(limit: AntipodalLimit, cells: CellMeasure) -> dict[str, float]:
    """Distances to two antipodal atoms with their bounds, by name of the series."""
    found: dict[str, float] = {}
    here = wasserstein_cloud_antipodes(cells.points, limit.axis, _mass_plus(limit), cells.weights)
    for cost, distance in here.items():
        name = series_name(cost)
        found |= {name: distance.value, f"{name}_lower": distance.lower, f"{name}_upper": distance.upper}
    return found


def _mass_plus(limit: AntipodalLimit) -> float:
    """The part of the mass that e receives."""
    return limit.masses[0] / sum(limit.masses)
