r"""A density on the 2-sphere as polynomials on the tiles of a cube, refined until they resolve it.

Each face of the cube is mapped by central projection: the point of face coordinates (a, b) ∈ [−1, 1]² on the face with
normal n and axes u, v is :math:`x=(n+au+bv)/\sqrt{1+a^2+b^2}`, and the surface measure is :math:`J\,da\,db` with
:math:`J=(1+a^2+b^2)^{-3/2}`. Tiles are squares of face coordinates, cut into four where needed: a quadtree. Leaves
carry ρJ as a Chebyshev expansion. Integrals over anything then cost no further evaluation of ρ.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from ...errors import InputError
from ...quadrature import gauss_legendre
from ..measures import MASS_TOLERANCE, Function, HarmonicDensity, as_density, checked_mass

Array = NDArray[np.float64]
Index = NDArray[np.int64]

NODES = 12
"""Gauss–Legendre nodes per direction of a leaf, whose polynomial has degree NODES − 1."""
TOLERANCE = 1e-11
"""A leaf is resolved when its last coefficients are below this fraction of the mean density …"""
ROUNDING = 2e-13
"""… or of the largest density, which is as well as the density itself can be evaluated."""
CHECK_NODES, NEAR_ZERO = 17, 0.05
"""Nodes that check the integral of a leaf whose smallest value is below this fraction of its largest."""
FIRST_LEVEL, LAST_LEVEL = 1, 11
MOST_LEAVES = 150_000
CHUNK = 1 << 20


def _faces() -> Array:
    """The cube, turned at random once and for all: boundaries between cells, often symmetric, then miss tile edges."""
    normal, first, second = np.eye(3), np.roll(np.eye(3), 1, axis=0), np.roll(np.eye(3), 2, axis=0)
    upright = np.stack([np.stack([sign * normal, first, second], axis=1) for sign in (1.0, -1.0)]).reshape(6, 3, 3)
    return np.asarray(upright @ Rotation.from_rotvec([0.3141, -0.2718, 0.1414]).as_matrix().T)


FACES = _faces()
"""Normal n and axes u, v of the six faces, shape (6, 3, 3)."""


def nodes_and_weights(n: int) -> tuple[Array, Array]:
    """Gauss–Legendre nodes (n,) on [−1, 1] in increasing order and their weights (n,)."""
    theta, weights = gauss_legendre(n)
    return -np.cos(theta), weights


def points_on(face: Index, a: Array, b: Array) -> Array:
    """Unit vectors (..., 3) of face coordinates a, b (...) on the faces given by number."""
    frame = FACES[face]
    x = frame[..., 0, :] + a[..., None] * frame[..., 1, :] + b[..., None] * frame[..., 2, :]
    return np.asarray(x / np.sqrt(1.0 + a**2 + b**2)[..., None])


@dataclass(frozen=True)
class Patches:
    """A density ρ resolved on a quadtree over the cube; nodes 0 … 5 are the faces.

    Per node: ``face``, ``center`` (n, 2) and ``half`` width in face coordinates, first of four ``child`` nodes (−1 at a
    leaf), ``leaf`` row (−1 inside), ``mass`` ∫ρ, ``moment`` ∫xρ (n, 3), ``area``. Per leaf: the Chebyshev
    ``coefficients`` of ρJ (m, NODES, NODES), first axis along a.
    ``negative_mass`` ∫max(−ρ, 0) of the density as given; what is stored and used is max(ρ, 0).
    ``unresolved`` bounds the mass that the polynomials, or quadrature where they are cut off at zero, may have wrong.
    """

    face: Index
    center: Array
    half: Array
    child: Index
    leaf: Index
    mass: Array
    moment: Array
    area: Array
    coefficients: Array
    negative_mass: float
    unresolved: float

    @property
    def total(self) -> float:
        """Mass of the whole (projected) density."""
        return float(self.mass[:6].sum())

    def __repr__(self) -> str:
        return (
            f"Patches({len(self.coefficients)} leaves, mass {self.total:.9g}, negative mass {self.negative_mass:.1e}, "
            f"unresolved {self.unresolved:.1e})"
        )


def resolve(density: Function | ArrayLike, mass: float | None = None) -> Patches:
    """Resolve a density given as a callable of unit vectors (n, 3), or by harmonic coefficients.

    Tiles are refined until the polynomials' tails are below 1e-11 of the mean density (2e-13 of the largest), at most
    down to tiles of size 2⁻¹¹: a discontinuous density ends there, with ``unresolved`` saying what is missing. A peak
    narrower than about 1e-3 can hide between the first nodes: ``mass``, the integral it should have, tells.
    Raises InputError for values that are not finite, a total mass ≤ 0, or one that is not ``mass``.
    """
    function = as_density(density)
    x, w = nodes_and_weights(NODES)
    to_chebyshev = np.linalg.inv(chebyshev.chebvander(x, NODES - 1))
    coarsest = FIRST_LEVEL
    if isinstance(function, HarmonicDensity):  # no tile may hold more waves than its nodes can see
        coarsest = max(FIRST_LEVEL, int(np.ceil(np.log2(max(function.lmax, 1) / 24.0))))
    face, center, half = np.arange(6), np.zeros((6, 2)), np.ones(6)
    faces, centers, halves, children = [face], [center], [half], []
    sampled: list[tuple[Index, Array]] = []
    count, leaves, largest, mean, unresolved = 6, 0, 0.0, 0.0, 0.0
    for level in range(LAST_LEVEL + 1):
        refine = np.ones(len(face), dtype=bool)
        if level >= coarsest:
            scaled, values = _sample(function, x, face, center, half)
            largest = max(largest, float(np.abs(values).max()))
            if mean == 0.0:
                mean = float(np.einsum("n,nij,i,j->", half**2, scaled, w, w)) / (4.0 * pi)
            coefficients = np.einsum("ki,nij,lj->nkl", to_chebyshev, scaled, to_chebyshev)
            tail = np.maximum(
                np.abs(coefficients[:, -2:]).max(axis=(1, 2)), np.abs(coefficients[:, :, -2:]).max(axis=(1, 2))
            )
            refine = tail > max(TOLERANCE * abs(mean), ROUNDING * largest)
            if level == LAST_LEVEL or leaves + 4 * int(refine.sum()) > MOST_LEAVES:
                unresolved += float(np.sum(tail[refine] * 4.0 * half[refine] ** 2))
                refine[:] = False
            sampled.append((count - len(face) + np.flatnonzero(~refine), scaled[~refine]))
            leaves += int((~refine).sum())
        child = np.full(len(face), -1)
        child[refine] = count + 4 * np.arange(int(refine.sum()))
        children.append(child)
        if not refine.any():
            break
        face = np.repeat(face[refine], 4)
        quarter = np.repeat(0.5 * half[refine], 4)
        offset = np.tile([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]], (int(refine.sum()), 1))
        center = np.repeat(center[refine], 4, axis=0) + quarter[:, None] * offset
        half = quarter
        faces.append(face)
        centers.append(center)
        halves.append(half)
        count += len(face)
    patches = _assembled(
        np.concatenate(faces),
        np.concatenate(centers),
        np.concatenate(halves),
        np.concatenate(children),
        np.concatenate([where for where, _ in sampled]),
        np.concatenate([scaled for _, scaled in sampled]),
        unresolved,
    )
    found = patches.total - patches.negative_mass
    if mass is not None and not abs(found - mass) <= 10.0 * patches.unresolved + MASS_TOLERANCE * abs(mass):
        raise InputError(
            f"transport: the density integrates to {found:.9g} as far as can be seen; expected its mass {mass!r}"
        )
    return patches


def _sample(function: Function, x: Array, face: Index, center: Array, half: Array) -> tuple[Array, Array]:
    """ρJ and ρ at the nodes of every tile, shapes (n, NODES, NODES)."""
    a = (center[:, 0, None] + half[:, None] * x)[:, :, None] + np.zeros((1, 1, NODES))
    b = (center[:, 1, None] + half[:, None] * x)[:, None, :] + np.zeros((1, NODES, 1))
    values = np.empty(a.shape)
    step = max(1, CHUNK // NODES**2)
    for start in range(0, len(face), step):
        part = slice(start, start + step)
        points = points_on(np.broadcast_to(face[part, None, None], a[part].shape), a[part], b[part])
        values[part] = function(points.reshape(-1, 3)).reshape(a[part].shape)
    return values * (1.0 + a**2 + b**2) ** -1.5, values


def _assembled(
    face: Index, center: Array, half: Array, child: Index, where: Index, scaled: Array, unresolved: float
) -> Patches:
    """Integrals of every node from those of its leaves, children before parents."""
    x, w = nodes_and_weights(NODES)
    to_chebyshev = np.linalg.inv(chebyshev.chebvander(x, NODES - 1))
    weights = half[where, None, None] ** 2 * w[:, None] * w
    negative = float(np.sum(weights * np.maximum(-scaled, 0.0)))
    coefficients = np.einsum("ki,nij,lj->nkl", to_chebyshev, scaled, to_chebyshev)
    positive = np.maximum(scaled, 0.0)
    a = (center[where, 0, None] + half[where, None] * x)[:, :, None]
    b = (center[where, 1, None] + half[where, None] * x)[:, None, :]
    radius = np.sqrt(1.0 + a**2 + b**2)
    frame = FACES[face[where]]
    measure = weights * positive
    count = len(face)
    mass, area, moment, leaf = np.zeros(count), np.zeros(count), np.zeros((count, 3)), np.full(count, -1)
    leaf[where] = np.arange(len(where))
    mass[where] = measure.sum(axis=(1, 2))
    area[where] = np.sum(weights * radius**-3, axis=(1, 2))
    ray = np.stack([np.sum(measure * c / radius, axis=(1, 2)) for c in (1.0, a, b)], axis=-1)
    moment[where] = np.einsum("ni,nij->nj", ray, frame)
    for node in np.flatnonzero(child >= 0)[::-1]:
        four = slice(child[node], child[node] + 4)
        mass[node], area[node], moment[node] = mass[four].sum(), area[four].sum(), moment[four].sum(axis=0)
    checked_mass(float(mass[:6].sum()) - negative)
    unresolved += _lost_where_cut(scaled, coefficients, half[where], mass[where])
    return Patches(face, center, half, child, leaf, mass, moment, area, coefficients, negative, unresolved)


def _lost_where_cut(scaled: Array, coefficients: Array, half: Array, mass: Array) -> float:
    """What quadrature may miss of max(ρ, 0) on leaves where ρ may change its sign: twice the change by other nodes."""
    near = scaled.min(axis=(1, 2)) < NEAR_ZERO * scaled.max(axis=(1, 2))
    x, w = nodes_and_weights(CHECK_NODES)
    basis = chebyshev.chebvander(x, NODES - 1)
    values = np.maximum(np.einsum("ik,nkl,jl->nij", basis, coefficients[near], basis), 0.0)
    return 2.0 * float(np.abs(half[near] ** 2 * np.einsum("nij,i,j->n", values, w, w) - mass[near]).sum())
