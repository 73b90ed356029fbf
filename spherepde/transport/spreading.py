r"""A density on the 2-sphere spread onto the corners of a triangulation, so that every barycentre stays in place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from .costs import Cost
from .laguerre.patches import nodes_and_weights
from .measures import Function

Array = NDArray[np.float64]

COARSE, FINE = 4, 6
"""Gauss–Legendre nodes per direction of a triangle; one is halved until both rules agree."""
TOLERANCE = 1e-10
LEVELS = 9


def _rule(nodes: int) -> tuple[Array, Array]:
    """Barycentric coordinates (n, 3) and weights (n,) of sum ½ of the collapsed product rule on a triangle."""
    x, w = nodes_and_weights(nodes)
    s, t = np.meshgrid(0.5 * (1.0 + x), 0.5 * (1.0 + x), indexing="ij")
    weight = 0.25 * np.outer(w, w) * (1.0 - s)
    return np.stack([s, t * (1.0 - s), (1.0 - t) * (1.0 - s)], axis=-1).reshape(-1, 3), weight.ravel()


def _shares(y: Array, corners: Array, cost: Cost) -> Array:
    r"""λ (t, n, 3) ≥ 0 of sum 1 with Σλ_j log_y y_j = 0 (geodesic) or Σλ_j y_j ∥ y (chordal).

    ``y`` (t, n, 3) in the triangles of ``corners`` (t, 3, 3).
    """
    normal = np.cross(corners[:, (1, 2, 0)], corners[:, (2, 0, 1)])
    share = np.maximum(np.einsum("tnc,tjc->tnj", y, normal), 0.0)
    if cost.ground == "geodesic":
        angle = np.sqrt(cost.between(y[:, :, None, :], corners[:, None, :, :]))
        share = share * (np.sinc(angle / np.pi))
    return share / share.sum(axis=-1, keepdims=True)


def _integrate(density: Function, part: Array, corners: Array, cost: Cost, nodes: int) -> Array:
    """∫λ_jν over spherical triangles ``part`` (t, 3, 3) inside those of ``corners``, and ∫Σλ_j c(y, y_j)ν: (t, 4)."""
    inner, weight = _rule(nodes)
    flat = np.einsum("nj,tjc->tnc", inner, part)
    radius = np.linalg.norm(flat, axis=-1)
    y = flat / radius[..., None]
    volume = np.abs(np.linalg.det(part))
    measure = density(y.reshape(-1, 3)).reshape(radius.shape) * weight * volume[:, None] / radius**3
    share = _shares(y, corners, cost)
    price = np.sum(share * cost.between(y[:, :, None, :], corners[:, None, :, :]), axis=-1)
    return np.concatenate([np.einsum("tn,tnj->tj", measure, share), np.sum(measure * price, axis=1)[:, None]], axis=1)


def spread_onto(density: Function, atoms: Array, cost: Cost, mass: float) -> tuple[Array, float, float]:
    r"""Weights (n,) on the atoms, the cost of spreading, and the quadrature error, for p = 2.

    Every point of a Delaunay triangle goes to its corners in the shares λ_j that keep it their barycentre. The atoms
    must not leave a hemisphere empty.
    """
    corner = ConvexHull(atoms).simplices
    turned = np.linalg.det(atoms[corner]) < 0.0
    corner[turned] = corner[turned][:, (0, 2, 1)]
    weights, price, error = np.zeros(len(atoms)), 0.0, 0.0
    part = atoms[corner]
    for level in range(LEVELS + 1):
        fine = _integrate(density, part, atoms[corner], cost, FINE)
        off = np.abs(_integrate(density, part, atoms[corner], cost, COARSE) - fine).sum(axis=1)
        good = (off <= TOLERANCE * mass / len(atoms)) | (level == LEVELS)
        for j in range(3):
            weights += np.bincount(corner[good, j], fine[good, j], minlength=len(atoms))
        price, error = price + float(fine[good, 3].sum()), error + float(off[good].sum())
        if good.all():
            break
        part, corner = _quartered(part[~good]), np.repeat(corner[~good], 4, axis=0)
    return weights, price, error


def _quartered(triangles: Array) -> Array:
    """The four halves-of-sides triangles (4t, 3, 3) of spherical triangles (t, 3, 3)."""
    middle = triangles[:, (1, 2, 0)] + triangles[:, (2, 0, 1)]
    middle = middle / np.linalg.norm(middle, axis=-1, keepdims=True)
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    four = [(a, middle[:, 2], middle[:, 1]), (b, middle[:, 0], middle[:, 2]), (c, middle[:, 1], middle[:, 0])]
    stacked = [np.stack(corners, axis=1) for corners in four] + [middle]
    return np.stack(stacked, axis=1).reshape(-1, 3, 3)
