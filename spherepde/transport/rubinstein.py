r"""W₁ between two densities on the 2-sphere: what they share is taken off, the rest matched by a linear programme."""

from __future__ import annotations

from dataclasses import dataclass
from math import asin, sqrt

import numpy as np
from numba import njit
from numpy.polynomial.chebyshev import chebval2d
from numpy.typing import NDArray

from .costs import Cost
from .discrete import cost_matrix, exact_plan
from .laguerre import Patches, resolve
from .laguerre.patches import nodes_and_weights, points_on
from .measures import Function
from .quantisation import Quantised, quantise

Array = NDArray[np.float64]

SHARPNESS = 4.0
"""The larger, the closer what is taken off comes to the minimum of both densities, and the harder it is to resolve."""
MOST_POINTS = 100_000
"""Points on which a potential is integrated, at most …"""
FEWEST_NODES, MOST_NODES, COARSER = 4, 14, 0.7
"""… by Gauss–Legendre rules on the density's own tiles, and once more with fewer nodes to see the error."""


@dataclass(frozen=True)
class Matched:
    """W₁ of the two sets of atoms, and the bounds it gives for the densities."""

    count: int
    total: float
    lower: float
    upper: float
    status: str


def less_shared(density: Function, other: Function) -> Function:
    r"""ρ less the smooth minimum :math:`\rho\sigma/(\rho^q+\sigma^q)^{1/q}` of itself and the other density σ.

    W₁ depends on the difference of the measures only, so taking the same off both leaves it unchanged.
    """

    def rest(points: Array) -> Array:
        a, b = np.maximum(density(points), 0.0), np.maximum(other(points), 0.0)
        largest = np.maximum(np.maximum(a, b), 1e-300)
        root = ((a / largest) ** SHARPNESS + (b / largest) ** SHARPNESS) ** (1.0 / SHARPNESS)
        return np.asarray(np.maximum(a * (1.0 - (b / largest) / np.maximum(root, 1.0)), 0.0))

    return rest


def matched(mu: Function, nu: Function, cost: Cost, counts: tuple[int, ...], mass: float) -> list[Matched]:
    r"""W₁ for several numbers of atoms, between densities of the given equal mass.

    ``total`` is the linear programme's. ``upper`` is the cost of the plan that spreads what atom i sends to atom j
    independently over the two cells: :math:`\int d\le\sqrt{\int d^2}`, where the cells' spreads add to the squared
    distance of their barycentres. ``lower`` is Kantorovich and Rubinstein's :math:`\int f\,d(\mu-\nu)` for a
    1-Lipschitz f, the c-transform of the programme's potentials, less the difference of two quadratures.
    """
    parts = [less_shared(mu, nu), less_shared(nu, mu)]
    patches = [resolve(part) for part in parts]
    doubt = (sum(p.unresolved for p in patches) + abs(patches[0].total - patches[1].total)) * cost.largest
    samples = [[_nodes(p, coarser) for p in patches] for coarser in (COARSER, 1.0)]
    results = []
    for count in counts:
        left, right = (quantise(p, part, count, cost) for p, part in zip(patches, parts, strict=True))
        weights = right.weights * (left.weights.sum() / right.weights.sum())
        matrix = cost_matrix(left.atoms, right.atoms, cost)
        plan, potential, status = exact_plan(left.weights, weights, matrix)
        other = np.min(matrix - potential[:, None], axis=0)
        back = np.min(matrix - other, axis=1)
        below = max(_dual(samples, y, psi, cost) for y, psi in ((right.atoms, other), (left.atoms, back)))
        above = _glued(left, right, plan, matrix, cost) + 1e-14 * mass
        total = float(np.sum(plan * matrix))
        results.append(Matched(count, total, min(below, above) - doubt, above + doubt, status))
    return results


def _glued(left: Quantised, right: Quantised, plan: Array, matrix: Array, cost: Cost) -> float:
    i, j = np.nonzero(plan)
    sent = plan[i, j]
    if cost.ground == "chordal":
        inner = np.einsum("ij,ij->i", left.atoms[i], right.atoms[j]) * left.length[i] * right.length[j]
        return float(sent @ np.sqrt(np.maximum(2.0 - 2.0 * inner, 0.0)))
    (one, drift_one), (two, drift_two) = ((q.spread / q.weights, q.drift / q.weights) for q in (left, right))
    d = matrix[i, j]
    reach = d + np.sqrt(one[i])
    return float(sent @ np.sqrt(d**2 + one[i] + two[j] + 2.0 * d * drift_one[i] + 2.0 * reach * drift_two[j]))


def _nodes(patches: Patches, coarser: float) -> tuple[Array, Array]:
    """Gauss–Legendre nodes (n, 3) on every leaf, and the masses (n,) they stand for."""
    leaves = np.flatnonzero(patches.leaf >= 0)
    side = round(coarser * np.clip(np.sqrt(MOST_POINTS / len(leaves)), FEWEST_NODES, MOST_NODES))
    x, w = nodes_and_weights(int(side))
    coefficients = np.moveaxis(patches.coefficients[patches.leaf[leaves]], 0, -1)
    values = np.maximum(chebval2d(*np.meshgrid(x, x, indexing="ij"), coefficients), 0.0)
    center, half = patches.center[leaves], patches.half[leaves, None, None]
    a, b = np.broadcast_arrays(center[:, 0, None, None] + half * x[:, None], center[:, 1, None, None] + half * x)
    face = np.broadcast_to(patches.face[leaves, None, None], a.shape)
    return points_on(face, a, b).reshape(-1, 3), (values * half**2 * (w[:, None] * w)).ravel()


def _dual(samples: list[list[tuple[Array, Array]]], atoms: Array, potentials: Array, cost: Cost) -> float:
    """The size of ∫f d(μ − ν), f(x) = min c(x, y_j) − ψ_j, by the finer quadrature less its difference to the other."""
    coarse, fine = (
        sum(
            sign * float(mass @ _transform(cost.ground == "geodesic", x, atoms, potentials))
            for sign, (x, mass) in zip((1.0, -1.0), pair, strict=True)
        )
        for pair in samples
    )
    return abs(fine) - abs(fine - coarse)


@njit(cache=True, error_model="numpy")
def _transform(geodesic: bool, x: Array, atoms: Array, potentials: Array) -> Array:
    """min over j of dist(x_i, y_j) − ψ_j for each i."""
    lowest = np.empty(len(x))
    for i in range(len(x)):
        best = np.inf
        for j in range(len(atoms)):
            q = (x[i, 0] - atoms[j, 0]) ** 2 + (x[i, 1] - atoms[j, 1]) ** 2 + (x[i, 2] - atoms[j, 2]) ** 2
            chord = sqrt(q)
            if chord - potentials[j] < best:  # the angle is no shorter than the chord
                best = min(
                    best, 2.0 * asin(min(0.5 * chord, 1.0)) - potentials[j] if geodesic else chord - potentials[j]
                )
        lowest[i] = best
    return lowest
