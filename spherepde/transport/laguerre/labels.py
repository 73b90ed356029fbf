"""Which cell each of many points lies in: atoms are weeded out for whole groups of neighbouring points first."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...compiled import drop_stale
from ..costs import Cost
from .descent import gap_of, in_play
from .ground import kind_of
from .patches import FACES

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

GROUPS_PER_SIDE = 24
"""Groups along an edge of the cube onto which the sphere is projected."""


def cell_labels(points: Array, atoms: Array, potentials: Array, cost: Cost) -> Labels:
    """Number (n,) of the atom with the smallest c(x, y_i) − ψ_i for each of the unit vectors (n, 3)."""
    along = points @ FACES[:, 0].T
    face = np.argmax(along, axis=1)
    height = along[np.arange(len(points)), face]
    place = [np.einsum("ij,ij->i", points, FACES[face, axis]) / height for axis in (1, 2)]
    first, second = (np.clip((0.5 * (c + 1.0) * GROUPS_PER_SIDE).astype(int), 0, GROUPS_PER_SIDE - 1) for c in place)
    group = (face * GROUPS_PER_SIDE + first) * GROUPS_PER_SIDE + second
    order = np.argsort(group, kind="stable")
    starts = np.append(np.flatnonzero(np.diff(group[order], prepend=-1)), len(points))
    found = np.empty(len(points), np.int64)
    found[order] = _labels(
        kind_of(cost), np.ascontiguousarray(points[order]), starts, np.ascontiguousarray(atoms), potentials
    )
    return found


@njit(cache=True, error_model="numpy")
def _labels(kind, points, starts, atoms, shifts):  # type: ignore[no-untyped-def]
    n = len(atoms)
    found = np.empty(len(points), np.int64)
    pool, center = np.empty(2 * n, np.int64), np.empty(3)
    for i in range(n):
        pool[i] = i
    gap, slope, angle = np.empty(n), np.empty(n), np.empty(n)
    for group in range(len(starts) - 1):
        low, high = starts[group], starts[group + 1]
        length = 0.0
        for j in range(3):
            center[j] = points[low:high, j].sum()
            length += center[j] ** 2
        for j in range(3):
            center[j] /= np.sqrt(length)
        chord = 0.0
        for k in range(low, high):
            chord = max(chord, np.sqrt(((points[k] - center) ** 2).sum()))
        radius = 2.0 * np.arcsin(min(0.5 * chord, 1.0)) + 1e-12
        count = in_play(kind, atoms, shifts, center, radius, pool, 0, n, pool, n, gap, slope, angle)
        for k in range(low, high):
            best, smallest = pool[n], np.inf
            for m in range(count):
                value = gap_of(kind, atoms, shifts, pool[n + m], points[k])
                if value < smallest:
                    best, smallest = pool[n + m], value
            found[k] = best
    return found


drop_stale(__file__, "ground", "envelope", "tiles", "descent", "labels")
