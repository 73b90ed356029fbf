"""Wasserstein distances between weighted points on any sphere: exactly by POT, by Sinkhorn when there are too many."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist

from ..errors import InputError
from .costs import Cost, checked_cost
from .distance import Distance
from .entropic import entropic_plan, rounded_plan
from .measures import checked_points, checked_weights

Array = NDArray[np.float64]
Method = Literal["auto", "emd", "sinkhorn"]

METHODS = ("auto", "emd", "sinkhorn")
EMD_PAIRS = 16_000_000
"""Up to so many pairs of points the exact solver is the default."""
EMD_ITERATIONS = 1_000_000_000
GAP_TOLERANCE = 1e-9
"""The simplex has absolute tolerances; a relative gap above this is told."""
BYTES_PER_PAIR = {"emd": 64, "sinkhorn": 48}
"""Memory of each solver with the cost matrix and its temporaries."""


@dataclass(frozen=True, kw_only=True)
class DiscreteDistance(Distance):
    """A distance with the plan (n, m) that costs ``upper`` and the feasible potentials (n,), (m,) behind ``lower``."""

    plan: csr_array = field(repr=False)
    potentials: tuple[Array, Array] = field(repr=False)

    __repr__ = Distance.__repr__


def wasserstein_discrete(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    cost: Cost | None = None,
    method: Method = "auto",
) -> DiscreteDistance:
    r"""The distance :math:`W_p^p=\min_\pi\sum_{ij}\pi_{ij}\,c(x_i,y_j)` between weighted points on a sphere.

    ``x`` (n, d), ``y`` (m, d) unit vectors, ``a`` (n,), ``b`` (m,) weights of sum 1 (equal by default); ``cost``
    geodesic p = 2 by default. "emd" solves the linear programme by POT's network simplex; "sinkhorn" lowers an entropic
    regularisation until the bounds agree to 1 % of :math:`W_p^p` or 3000 iterations are spent; "auto" takes the first
    up to 16 million pairs. ``lower`` is the value of potentials made feasible by the c-transform, ``upper`` the cost of
    a plan with exactly these marginals; ``value`` is ``upper`` for "emd" and lies midway (in :math:`W_p^p`) for
    "sinkhorn". A gap of "emd" above 1e-9 of :math:`W_p^p` is told. Both hold the whole cost matrix: 64 and 48 bytes for
    each pair of points with the temporaries.
    Raises InputError for points off the sphere, wrong weights, no Cost, an unknown method, or a problem that exceeds
    the memory.
    Sources: Bonneel et al., ACM TOG 30 (2011) 158; Schmitzer, SIAM J. Sci. Comput. 41 (2019) A1443; for the rounding
    Altschuler, Weed and Rigollet, NeurIPS 2017, algorithm 2.
    """
    cost = checked_cost(cost)
    left = checked_points(x, what="x")
    right = checked_points(y, left.shape[1], what="y")
    weights_left = checked_weights(a, len(left), what="a")
    weights_right = checked_weights(b, len(right), what="b")
    if not isinstance(method, str) or method not in METHODS:
        raise InputError(f"transport: method = {method!r}; expected one of {', '.join(METHODS)}")
    pairs = len(left) * len(right)
    chosen = method if method != "auto" else "emd" if pairs <= EMD_PAIRS else "sinkhorn"
    _refuse_what_does_not_fit(chosen, len(left), len(right))
    matrix = cost_matrix(left, right, cost)
    rows, columns = np.flatnonzero(weights_left > 0.0), np.flatnonzero(weights_right > 0.0)
    whole = len(rows) == len(left) and len(columns) == len(right)
    inner = matrix if whole else matrix[np.ix_(rows, columns)]
    solver = exact_plan if chosen == "emd" else entropic_plan
    plan, phi, status = solver(weights_left[rows], weights_right[columns], inner)
    psi_all = np.min(matrix[rows] - phi[:, None], axis=0)
    phi_all = np.min(matrix - psi_all, axis=1)
    lower = float(phi_all @ weights_left + psi_all @ weights_right)
    upper = float(np.sum(plan * inner))
    value = upper if chosen == "emd" else 0.5 * (max(lower, 0.0) + upper)
    if chosen == "emd" and upper - lower > GAP_TOLERANCE * upper:
        status += f"; the bounds of the cost are {(upper - lower) / upper:.1e} of it apart"
    sparse = csr_array(plan).tocoo()
    full = csr_array((sparse.data, (rows[sparse.row], columns[sparse.col])), shape=matrix.shape)
    return DiscreteDistance(
        value=cost.distance(value),
        lower=cost.distance(min(lower, upper)),
        upper=cost.distance(upper),
        cost=cost,
        status=status,
        plan=full,
        potentials=(phi_all, psi_all),
    )


def cost_matrix(x: Array, y: Array, cost: Cost) -> Array:
    """Costs (n, m) between unit vectors, with angles accurate near 0 and near π."""
    chord = cdist(x, y)
    if cost.ground == "chordal":
        return np.asarray(chord**cost.p)
    return cost.of_angle(2.0 * np.arctan2(chord, cdist(x, -y)))


def exact_plan(a: Array, b: Array, matrix: Array) -> tuple[Array, Array, str]:
    """An optimal plan (n, m), the potential (n,) of the rows, and how it went; all weights positive.

    The costs are divided by the largest before POT sees them: its tolerances are absolute.
    """
    import ot

    scale = float(matrix.max()) or 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan, log = ot.emd(a, b, matrix / scale, numItermax=EMD_ITERATIONS, log=True)
    trouble = log.get("warning")
    status = "linear programme solved"
    if trouble is not None:
        plan, status = rounded_plan(np.asarray(plan), a, b), f"linear programme not solved: {str(trouble).strip()}"
    return np.asarray(plan), scale * np.asarray(log["u"]), f"{status} ({len(a)} × {len(b)} points)"


def _refuse_what_does_not_fit(method: str, n: int, m: int) -> None:
    needed = BYTES_PER_PAIR[method] * n * m
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > 0.8 * memory:
        raise InputError(
            f"transport: {n} × {m} points need about {needed / 2**30:.1f} GiB by {method} and this machine has "
            f"{memory / 2**30:.1f}; expected fewer points"
        )
