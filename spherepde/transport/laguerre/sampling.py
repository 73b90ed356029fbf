"""A resolved density as weighted points: a discrete stand-in with about as many points as asked for."""

from __future__ import annotations

import numpy as np
from numpy.polynomial.chebyshev import chebval2d
from numpy.typing import NDArray

from .patches import Patches, nodes_and_weights, points_on

Array = NDArray[np.float64]

MOST_PER_SIDE = 24


def weighted_points(patches: Patches, count: int) -> tuple[Array, Array]:
    """Unit vectors (n, 3) and masses (n,) of the same total, n about ``count``: Gauss–Legendre nodes of every leaf.

    A leaf gets points in proportion to its mass; those with less than a tenth of a share get none, unless
    all have less.
    """
    leaves = np.flatnonzero(patches.leaf >= 0)
    share = patches.mass[leaves] * count / patches.total
    sides = np.minimum(np.ceil(np.sqrt(share)), MOST_PER_SIDE).astype(int)
    sides[share < min(0.1, float(share.max()))] = 0
    points, masses = [], []
    for side in np.unique(sides[sides > 0]):
        x, w = nodes_and_weights(int(side))
        chosen = leaves[sides == side]
        center, half = patches.center[chosen], patches.half[chosen]
        coefficients = np.moveaxis(patches.coefficients[patches.leaf[chosen]], 0, -1)
        values = np.maximum(chebval2d(*np.meshgrid(x, x, indexing="ij"), coefficients), 0.0)
        a = center[:, 0, None, None] + half[:, None, None] * x[:, None] + np.zeros((1, 1, side))
        b = center[:, 1, None, None] + half[:, None, None] * x + np.zeros((1, side, 1))
        face = np.broadcast_to(patches.face[chosen][:, None, None], a.shape)
        points.append(points_on(face, a, b).reshape(-1, 3))
        masses.append((values * half[:, None, None] ** 2 * (w[:, None] * w)).ravel())
    mass = np.concatenate(masses)
    keep = mass > 0.0
    return np.concatenate(points)[keep], mass[keep] * (patches.total / mass.sum())
