"""Bounds by a linear programme on pieces of two laws, for costs whose optimal plan is not monotone."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..costs import Cost
from ..discrete import cost_matrix, exact_plan
from .monotone import chord_power, unit_vectors
from .piecewise import Piecewise

Array = NDArray[np.float64]

PIECES = 256
MOST_PIECES = 600
INNER, FINER = 4, 7
"""Gauss–Legendre nodes inside each piece."""


@njit(cache=True, error_model="numpy")
def _transform(x: Array, phi: Array, y: Array, power: float) -> Array:
    """min over i of |x_i − y_j|^(2·power) − phi_i for each j; points in the plane."""
    psi = np.empty(len(y))
    for j in range(len(y)):
        best = np.inf
        for i in range(len(x)):
            square = (x[i, 0] - y[j, 0]) ** 2 + (x[i, 1] - y[j, 1]) ** 2
            best = min(best, chord_power(square, power) - phi[i])
        psi[j] = best
    return psi


def _pieces(law: Piecewise) -> tuple[Array, float]:
    """Ends of the pieces, and the sum of mass times rise over those where the quantile function is no polynomial."""
    ends = np.unique(np.concatenate([law.edges, np.linspace(0.0, 1.0, PIECES + 1)]))
    if len(ends) <= MOST_PIECES:
        return ends, 0.0
    mass = np.minimum(np.diff(ends, prepend=-1.0), np.diff(ends, append=2.0))
    kept = ends[mass >= np.sort(mass)[-MOST_PIECES]]
    spoilt = np.histogram(np.setdiff1d(law.edges, kept), kept)[0] > 0
    inner = np.diff(kept) * 1e-9
    rise = law(kept[1:] - inner) - law(kept[:-1])
    return kept, float((np.diff(kept) * np.abs(rise))[spoilt].sum())


def quantised_bounds(mu: Piecewise, nu: Piecewise, cost: Cost) -> tuple[float, float]:
    r"""Estimated lower and upper bound of the chordal :math:`W_p^p` from tabulated quantile functions (angles).

    Each law is cut into some 256 pieces that end where its quantile function jumps; their medians are matched by a
    linear programme. Upper: what piece i sends to piece j is carried over rising or falling, whichever is cheaper.
    Lower: the potentials, c-transformed twice on 4 and on 7 nodes of every piece, the difference of the two taken off.
    Potentials feasible at the nodes may fail between them, and the upper one has the quadrature error inside pieces:
    both are estimates, whose errors fall with the square of the spacing for p = 2.
    """
    nodes, weights = np.polynomial.legendre.leggauss(INNER)
    share = 0.5 * weights
    inside = 0.5 + 0.5 * nodes
    ends, spoilt = zip(*(_pieces(law) for law in (mu, nu)), strict=True)
    mass = [np.diff(e) for e in ends]
    x, y = (unit_vectors(law(0.5 * (e[1:] + e[:-1]))) for law, e in zip((mu, nu), ends, strict=True))
    matrix = cost_matrix(x, y, cost)
    plan, phi, _ = exact_plan(mass[0], mass[1], matrix)

    rough, lower = (_dual((mu, nu), ends, x, phi, 0.5 * cost.p, count) for count in (INNER, FINER))
    lower -= abs(lower - rough)

    i, j = np.nonzero(plan)
    sent = plan[i, j]
    from_u = ends[0][i] + (np.cumsum(plan, axis=1) - plan)[i, j]
    onto_u = ends[1][j] + (np.cumsum(plan, axis=0) - plan)[i, j]
    place, target = (
        law.at(owner, law.local(start[:, None] + sent[:, None] * inside, owner))[0]
        for law, start, owner in (
            (mu, from_u, np.repeat(mu.locate(_mid(ends[0])[i])[:, None], INNER, axis=1)),
            (nu, onto_u, np.repeat(nu.locate(_mid(ends[1])[j])[:, None], INNER, axis=1)),
        )
    )
    rising, falling = (np.abs(2.0 * np.sin(0.5 * (place - t))) ** cost.p @ share for t in (target, target[:, ::-1]))
    upper = float(sent @ np.minimum(rising, falling))
    doubt = cost.p * 2.0 ** (cost.p - 1.0) * (spoilt[0] + spoilt[1])
    return min(lower, upper) - doubt, upper + doubt


def _dual(
    laws: tuple[Piecewise, Piecewise], ends: tuple[Array, ...], x: Array, phi: Array, power: float, count: int
) -> float:
    """The dual value of potentials c-transformed from x to ``count`` nodes of every piece of ν, and back onto μ."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    mass = [np.diff(e) for e in ends]
    of_mu, of_nu = (
        unit_vectors(law(e[:-1, None] + m[:, None] * (0.5 + 0.5 * nodes)))
        for law, e, m in zip(laws, ends, mass, strict=True)
    )
    psi = _transform(x, phi, of_nu, power)
    back = _transform(of_nu, psi, of_mu, power)
    return float(sum(m @ (v.reshape(-1, count) @ (0.5 * weights)) for m, v in zip(mass, (back, psi), strict=True)))


def _mid(ends: Array) -> Array:
    return np.asarray(0.5 * (ends[1:] + ends[:-1]))
