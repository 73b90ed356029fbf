r"""A density on the 2-sphere as atoms at the barycentres of small cells, with what that replaces known exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .costs import Cost, Ground, angle_between
from .laguerre import Patches, laguerre_cells, weighted_points
from .measures import Function

Array = NDArray[np.float64]

POINTS_PER_ATOM, MOST_POINTS = 32, 150_000
"""Weighted points that stand for the density while the atoms settle …"""
SETTLING = 24
"""… in so many steps of Lloyd's algorithm."""
TILT = np.diag([0.0, 1e-6, 2e-6])
"""Added to the second moments, so that rounding does not choose the axes of a uniform density."""
GOLDEN = 0.5 * (1.0 + np.sqrt(5.0))
FOURTH = 16.7
r""":math:`d^4\le16.7\,(d^2-|x-y|^2)` for every angle d ≤ π; near zero the constant would be 12."""


@dataclass(frozen=True)
class Quantised:
    r"""Atoms :math:`y_i` (n, 3) in the direction of :math:`\int_{V_i}y\,\nu`, for a partition into cells V_i.

    ``weights`` (n,) the masses ν_i of the cells; ``spread`` (n,) ∫dist²(y, y_i)ν over each, an upper bound that is
    exact for the chordal distance and otherwise off by the fourth order; ``drift`` (n,) a bound of
    :math:`|\int_{V_i}\log_{y_i}y\,\nu|`, of third order, zero for the chordal distance, where the barycentre
    :math:`|b_i|y_i` is exact; ``length`` (n,) :math:`|b_i|`.
    """

    atoms: Array
    weights: Array
    spread: Array
    drift: Array
    length: Array


def quantise(patches: Patches, density: Function, count: int, cost: Cost) -> Quantised:
    """At most ``count`` atoms for a resolved density, as dense as suits the cost: like ρ to the power 2/(2+p).

    The atoms start on a golden-ratio lattice carried over by the cumulative functions of the density about its
    principal axis and settle by Lloyd's algorithm. Weights sum to the mass of the resolved density; cells that hold
    none are dropped.
    """
    x, mass = weighted_points(patches, min(POINTS_PER_ATOM * count, MOST_POINTS))
    share = mass * np.maximum(density(x), 1e-300) ** (-cost.p / (2.0 + cost.p))
    atoms = _lattice(x, share / share.sum(), count)
    for _ in range(SETTLING):
        nearest = np.asarray(cKDTree(atoms).query(x)[1])
        held = [np.bincount(nearest, mass * x[:, k], minlength=count) for k in range(3)]
        moment = np.stack(held, axis=1).astype(np.float64)
        atoms = _directions(moment, atoms)
    return _barycentric(patches, atoms, cost.ground)


def _barycentric(patches: Patches, centers: Array, ground: Ground) -> Quantised:
    """The barycentres of the Voronoi cells of ``centers``."""
    cells = laguerre_cells(patches, centers, np.zeros(len(centers)), Cost(2.0, ground), full=True)
    used = cells.mass > 1e-14 * patches.total / len(centers)
    mass, moment, about, price = cells.mass[used], cells.moment[used], centers[used], cells.cost[used]
    mass = mass * (patches.total / mass.sum())
    length = np.linalg.norm(moment, axis=1)
    atoms = moment / length[:, None]
    if ground == "chordal":
        spread = np.maximum(2.0 * (mass - length), 0.0)
        return Quantised(atoms, mass, spread, np.zeros(len(atoms)), length / mass)
    chords = np.maximum(2.0 * (mass - np.einsum("ij,ij->i", moment, about)), 0.0)
    fourth = FOURTH * np.maximum(price - chords, 0.0)
    moved = angle_between(atoms, about)
    third = np.sqrt(price * fourth) / 6.0
    pull = np.linalg.norm(moment - np.einsum("ij,ij->i", moment, about)[:, None] * about, axis=1)
    spread = np.maximum(price + moved**2 * mass - 2.0 * moved * (pull - third), 0.0)
    drift = np.sqrt(spread) * (fourth**0.25 + moved * mass**0.25) ** 2 / 6.0
    return Quantised(atoms, mass, spread, drift, length / mass)


def _directions(moment: Array, otherwise: Array) -> Array:
    length = np.linalg.norm(moment, axis=1, keepdims=True)
    return np.asarray(np.where(length > 0.0, moment / np.maximum(length, 1e-300), otherwise))


def _lattice(x: Array, share: Array, count: int) -> Array:
    """A golden-ratio lattice (count, 3) of the points x (n, 3) with shares of sum 1, in latitude bands."""
    axes = np.linalg.eigh(np.einsum("n,ni,nj->ij", share, x, x) + TILT)[1]
    height, longitude = x @ axes[:, 2], np.arctan2(x @ axes[:, 1], x @ axes[:, 0])
    order = np.argsort(height)
    place = np.cumsum(share[order]) - 0.5 * share[order]
    number = np.arange(count)
    level = (number + 0.5) / count
    turn = (number / GOLDEN) % 1.0
    z = np.interp(level, place, height[order])
    bands = max(1, round(0.5 * np.sqrt(count)))
    phi = np.empty(count)
    band_of_point = np.minimum((place * bands).astype(int), bands - 1)
    band_of_atom = np.minimum((level * bands).astype(int), bands - 1)
    for band in range(bands):
        inside, mine = order[band_of_point == band], band_of_atom == band
        around = inside[np.argsort(longitude[inside])]
        ends = np.cumsum(share[around]) - 0.5 * share[around]
        phi[mine] = np.interp(turn[mine], ends / share[around].sum(), longitude[around])
    radius = np.sqrt(np.maximum(1.0 - z**2, 0.0))
    return np.asarray(np.stack([radius * np.cos(phi), radius * np.sin(phi), z], axis=1) @ axes.T)
