"""A partition of the sphere into cells of equal mass, and transport between the masses that two samples give them."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from ..transport.costs import angle_between

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

PIVOTS = 10_000_000


@njit(cache=True, error_model="numpy")
def _descend(points: Array, normals: Array, thresholds: Array, levels: int) -> Indices:
    cells = np.empty(len(points), np.int64)
    for i in range(len(points)):
        node = 0
        for _ in range(levels):
            side = 0.0
            for k in range(points.shape[1]):
                side += points[i, k] * normals[node, k]
            node = 2 * node + (2 if side > thresholds[node] else 1)
        cells[i] = node - (len(thresholds))
    return cells


class EqualCells:
    r"""2^levels cells of the sphere, each with as many of the given points, and the centre of each.

    Cells are halved, again and again, by the plane through the median that is normal to their longest axis: small where
    the points are dense, at whatever scale. ``centres`` (m, d) unit vectors; ``masses`` (m,) the fractions of points.
    """

    def __init__(self, points: Array, levels: int) -> None:
        count, dim = points.shape
        self.levels = levels
        self.normals = np.zeros((2**levels - 1, dim))
        self.thresholds = np.zeros(2**levels - 1)
        node_of = np.zeros(count, np.int64)
        for level in range(levels):
            order = np.argsort(node_of, kind="stable")
            first = 2**level - 1
            ends = np.searchsorted(node_of[order], np.arange(first, 2 * first + 2))
            for node, (low, high) in enumerate(pairwise(ends), start=first):
                self._halve(node, points[order[low:high]])
            above = np.einsum("nk,nk->n", points, self.normals[node_of]) > self.thresholds[node_of]
            node_of = 2 * node_of + np.where(above, 2, 1)
        self.centres, self.masses = self._barycentres(points, node_of - (2**levels - 1))

    def _halve(self, node: int, inside: Array) -> None:
        if len(inside) < 2:
            return
        spread = inside - inside.mean(axis=0)
        self.normals[node] = np.linalg.eigh(spread.T @ spread)[1][:, -1]
        self.thresholds[node] = float(np.median(inside @ self.normals[node]))

    def _barycentres(self, points: Array, cells: Indices) -> tuple[Array, Array]:
        number = 2**self.levels
        sums = np.stack([np.bincount(cells, column, minlength=number) for column in points.T], axis=1)
        sums = np.where(np.linalg.norm(sums, axis=1, keepdims=True) > 0.0, sums, points[0])
        masses = np.bincount(cells, minlength=number) / len(points)
        return sums / np.linalg.norm(sums, axis=1, keepdims=True), masses

    @cached_property
    def cost(self) -> Array:
        """Angles (m, m) between the centres."""
        return angles_between(self.centres, self.centres)

    def histogram(self, points: Array, weights: Array | None = None) -> tuple[Indices, Array]:
        """The cell (n,) of each point (n, d), and the mass (m,) in each cell."""
        cells = _descend(np.ascontiguousarray(points), self.normals, self.thresholds, self.levels)
        w = np.full(len(points), 1.0 / len(points)) if weights is None else weights
        return cells, np.bincount(cells, w, minlength=len(self.masses)).astype(np.float64)

    def distances(self, masses: Array) -> tuple[float, float]:
        r"""Geodesic W₁ and W₂ between :math:`\sum_ia_i\delta_{y_i}` and the cells' own masses at the same centres."""
        surplus = masses - self.masses
        gives, takes = surplus > 0.0, surplus < 0.0
        if not gives.any():
            return 0.0, 0.0
        first = optimum(surplus[gives], -surplus[takes], self.cost[np.ix_(gives, takes)])
        present, held = masses > 0.0, self.masses > 0.0
        second = optimum(masses[present], self.masses[held], self.cost[np.ix_(present, held)] ** 2)
        return first, float(np.sqrt(second))

    def distances_of_points(self, points: Array, weights: Array | None = None) -> tuple[float, float]:
        """Geodesic W₁ and W₂ between points (n, d), where they are, and the cells' masses at their centres."""
        w = np.full(len(points), 1.0 / len(points)) if weights is None else weights
        held = self.masses > 0.0
        cost = angles_between(points, self.centres[held])
        return optimum(w, self.masses[held], cost), float(np.sqrt(optimum(w, self.masses[held], cost**2)))

    def radii(self, points: Array) -> tuple[float, float]:
        r"""Root mean p-th powers, p = 1 and 2, of the angles from points (n, d) to the centres of their cells."""
        angle = angle_between(points, self.centres[self.histogram(points)[0]])
        return float(angle.mean()), float(np.sqrt(np.mean(angle**2)))


def angles_between(x: Array, y: Array) -> Array:
    """Angles (n, m) between unit vectors (n, d) and (m, d), accurate near 0 and π."""
    return np.asarray(2.0 * np.arctan2(cdist(x, y), cdist(x, -y)))


def optimum(a: Array, b: Array, cost: Array) -> float:
    """The least cost of moving masses a (n,) to b (m,), of equal sums up to rounding."""
    import ot

    scale, mass = float(cost.max()), float(a.sum())
    if scale == 0.0 or mass < 1e-14:
        return 0.0
    return float(ot.emd2(a / mass, b / b.sum(), np.ascontiguousarray(cost / scale), numItermax=PIVOTS)) * scale * mass
