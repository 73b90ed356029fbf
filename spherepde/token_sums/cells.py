r"""Dense sums that skip what provably cannot matter: sources in cells, bounds for whole cells first.

Sources are sorted along a Morton curve and cut into cells of 256. With centre c, radius a and weight W a cell
contributes to the partition function of the query q

.. math:: We^{\langle q,c\rangle-|q|a}\le\sum_{j\in\mathrm{cell}}w_je^{\langle q,y_j\rangle}
          \le We^{\langle q,c\rangle+|q|a}

so that all cells together whose upper bound is far below the largest lower bound can be left out, at a known relative
error.
"""

from __future__ import annotations

from math import log

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..compiled import drop_stale
from .dense import BLOCK, add_sources, finish, in_chunks

Real = NDArray[np.float64]

CELL = BLOCK
MORTON_BITS = 20
"""Bits for each coordinate: cells are told apart down to 2e-6."""


drop_stale(__file__, "dense", "cells")


@njit(cache=True, error_model="numpy")
def _morton_codes(points, bits):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    n, dim = points.shape
    codes = np.zeros(n, np.int64)
    side = 2.0 ** (bits - 1) * (1.0 - 1e-9)
    for i in range(n):
        for k in range(dim):
            cell = np.int64((min(max(points[i, k], -1.0), 1.0) + 1.0) * side)
            for b in range(bits):
                codes[i] |= ((cell >> b) & 1) << (b * dim + k)
    return codes


def morton_order(points: Real) -> NDArray[np.intp]:
    """Order of points of the unit ball (n, d ≤ 3) along a curve that keeps neighbours together."""
    return np.argsort(_morton_codes(np.ascontiguousarray(points), MORTON_BITS), kind="stable")


@njit(cache=True, error_model="numpy", nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _by_cells(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    queries, keys, log_weights, centres, radii, log_masses, slack, margin, log_partition, mean
):
    workspace, powers = np.empty((3, BLOCK)), np.empty(BLOCK, np.int64)
    n, dim = queries.shape
    cells = radii.size
    middle = np.empty(cells)
    state = np.empty(dim + 2)
    for i in range(n):
        query = queries[i]
        length = 0.0
        for k in range(dim):
            length += query[k] * query[k]
        length = np.sqrt(length)
        for c in range(cells):
            middle[c] = log_masses[c]
        for k in range(dim):
            factor, row = query[k], centres[k]
            for c in range(cells):
                middle[c] += factor * row[c]
        lowest = -np.inf
        for c in range(cells):
            bound = middle[c] - length * radii[c]
            lowest = bound if bound > lowest else lowest
        lowest -= slack
        state[:] = 0.0
        state[0] = -np.inf
        for c in range(cells):
            if middle[c] + length * radii[c] >= lowest:
                end = min((c + 1) * CELL, keys.shape[1])
                add_sources(query, keys, log_weights, c * CELL, end, margin, workspace, powers, state)
        finish(state, i, log_partition, mean)


class Cells:
    """Sources (m, d ≤ 3) with finite log weights (m,), sorted into cells with bounds."""

    def __init__(self, sources: Real, log_weights: Real) -> None:
        order = morton_order(sources)
        points = sources[order]
        self._log_weights = log_weights[order]
        self._keys = np.ascontiguousarray(points.T)
        starts = np.arange(0, len(points), CELL)
        counts = np.diff(np.append(starts, len(points)))
        centres = np.add.reduceat(points, starts) / counts[:, None]
        away = np.linalg.norm(points - np.repeat(centres, counts, axis=0), axis=1)
        self._radii = np.maximum.reduceat(away, starts) + 1e-15
        self._centres = np.ascontiguousarray(centres.T)
        top = np.maximum.reduceat(self._log_weights, starts)
        self._log_masses = top + np.log(np.add.reduceat(np.exp(self._log_weights - np.repeat(top, counts)), starts))

    def sums(self, queries: Real, tolerance: float, threads: int = 1) -> tuple[Real, Real]:
        """Log partition (n,) and mean (n, d) of queries (n, d), to ``tolerance`` relative to each Z.

        Queries that lie together should come together: they share the sources that are in the cache.
        """
        slack = log(len(self._radii) / (0.1 * tolerance))
        margin = log(self._log_weights.size / (0.1 * tolerance))
        log_partition, mean = np.empty(len(queries)), np.empty_like(queries)
        bounds = (self._keys, self._log_weights, self._centres, self._radii, self._log_masses, slack, margin)

        def work(rows: Real, *outputs: Real) -> None:
            _by_cells(rows, *bounds, *outputs)

        in_chunks(work, queries, threads, log_partition, mean)
        return log_partition, mean
