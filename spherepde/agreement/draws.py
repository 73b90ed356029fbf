"""Independent draws from a measure on cells: exact as far as the cells resolve it, and no flow is followed again."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..adaptive import CellMeasure

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

MARGIN = 1.05
"""The density on a cell is taken to stay below its largest value on a fine grid by this factor."""
FINE = 3
"""Points of that grid in each direction, per node."""
LINES = 16
"""Straight lines, per node of a cell, that replace a distribution function."""


@njit(cache=True, error_model="numpy")
def _basis(x: float, nodes: Array, barycentric: Array, out: Array) -> None:
    """Values at x of the polynomials that are 1 at one node and 0 at the others."""
    total = 0.0
    for i in range(nodes.size):
        gap = x - nodes[i]
        if gap == 0.0:
            out[:] = 0.0
            out[i] = 1.0
            return
        out[i] = barycentric[i] / gap
        total += out[i]
    for i in range(nodes.size):
        out[i] /= total


@njit(cache=True, error_model="numpy")
def _interpolated(cells: Indices, local: Array, nodes: Array, barycentric: Array, table: Array) -> Array:
    """Rows table[cell] (p^(d−1), k), given at the nodes, at places local (n, d−1) in [−1, 1] of their cells: (n, k)."""
    order, axes, columns = nodes.size, local.shape[1], table.shape[2]
    out = np.zeros((len(cells), columns))
    first, second = np.ones(order), np.ones(order)
    for i in range(len(cells)):
        _basis(local[i, 0], nodes, barycentric, first)
        if axes == 2:
            _basis(local[i, 1], nodes, barycentric, second)
        for a in range(order):
            for b in range(order if axes == 2 else 1):
                factor = first[a] * second[b] if axes == 2 else first[a]
                row = a * order + b if axes == 2 else a
                for k in range(columns):
                    out[i, k] += factor * table[cells[i], row, k]
    return out


class CellDraws:
    r"""Draws from a cell measure: a cell by its mass, a place in it by rejection, the image of that place.

    On each cell the initial density and the flow map are the polynomials through their values at the nodes, which is
    what the cells were divided for; a draw is off by no more than these are (1e-7 of the density, 1e-8 in position).
    """

    def __init__(self, measure: CellMeasure) -> None:
        cells, axes = len(measure.masses), measure.dim - 1
        rule = measure.rule
        self.axes, self.nodes = axes, rule.nodes
        differences = rule.nodes[:, None] - rule.nodes + np.eye(rule.order)
        self.barycentric = 1.0 / np.prod(differences, axis=1)
        weights = rule.weights if axes == 1 else np.multiply.outer(rule.weights, rule.weights)
        density = measure.masses.reshape(cells, -1) / weights.ravel()
        images = measure.images.reshape(cells, -1, measure.dim)
        self.density, self.images = np.ascontiguousarray(density[:, :, None]), np.ascontiguousarray(images)
        self.shares = np.cumsum(measure.masses.reshape(cells, -1).sum(axis=1))
        self.bounds = MARGIN * self._largest(density)

    def _largest(self, density: Array) -> Array:
        fine = np.linspace(-1.0, 1.0, FINE * self.nodes.size)
        ones = np.eye(self.nodes.size)[None, :, :]
        matrix = _interpolated(np.zeros(len(fine), np.int64), fine[:, None], self.nodes, self.barycentric, ones)
        values = density.reshape(len(density), *(self.nodes.size,) * self.axes)
        for axis in range(1, self.axes + 1):
            values = np.moveaxis(np.tensordot(values, matrix, axes=(axis, 1)), -1, axis)
        return np.asarray(values.reshape(len(density), -1).max(axis=1))

    def circle_quantiles(self, levels: Array) -> Array:
        r"""Angles (n,), increasing, at which the mass from some first cell on reaches levels (n,) in (0, 1), on S¹.

        Mass and angle of the flow map's polynomials at points so dense that straight lines between them will do.
        """
        order = self.nodes.size
        fine = np.linspace(-1.0, 1.0, LINES * order + 1)
        weights = np.polynomial.legendre.leggauss(order)[1]
        values = np.polynomial.legendre.legvander(self.nodes, order - 1)
        series = (self.density[:, :, 0] * weights) @ (values * (np.arange(order) + 0.5))
        mass = np.polynomial.legendre.legval(fine, np.polynomial.legendre.legint(series.T, lbnd=-1.0))
        cells, places = len(series), np.tile(fine, len(series))[:, None]
        which = np.repeat(np.arange(cells), fine.size)
        points = _interpolated(which, places, self.nodes, self.barycentric, self.images)
        angle = np.unwrap(np.arctan2(points[:, 1], points[:, 0]).reshape(cells, -1), axis=1)
        angle -= 2.0 * np.pi * np.floor(angle[:, :1] / (2.0 * np.pi))
        following = np.argsort(angle[:, 0])
        before = np.concatenate([[0.0], np.cumsum(mass[following, -1])])
        reached = (before[:-1, None] + mass[following]).ravel() / before[-1]
        return np.asarray(np.interp(levels, reached, angle[following].ravel()))

    def draw(self, count: int, generator: np.random.Generator) -> Array:
        """Independent unit vectors (count, d), in random order."""
        wanted = np.searchsorted(self.shares, generator.random(count) * self.shares[-1], side="right")
        points = np.empty((count, self.axes + 1))
        waiting = np.arange(count)
        while waiting.size:
            cells = wanted[waiting]
            local = generator.uniform(-1.0, 1.0, (waiting.size, self.axes))
            values = _interpolated(cells, local, self.nodes, self.barycentric, self.density)[:, 0]
            kept = generator.random(waiting.size) * self.bounds[cells] < values
            points[waiting[kept]] = _interpolated(cells[kept], local[kept], self.nodes, self.barycentric, self.images)
            waiting = waiting[~kept]
        return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True))
