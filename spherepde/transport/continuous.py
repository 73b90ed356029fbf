r"""Transport between two densities on the 2-sphere, by quantised targets and extrapolation over the number of atoms."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .costs import Cost, angle_between, checked_cost
from .discrete import cost_matrix
from .distance import Distance
from .laguerre import Patches, laguerre_cells, resolve
from .measures import MASS_TOLERANCE, Function, as_density
from .quantisation import Quantised, quantise
from .rubinstein import matched
from .semidiscrete import SemiDiscrete, wasserstein_semidiscrete
from .spreading import spread_onto

Array = NDArray[np.float64]

ATOMS = (125, 250, 500)
FEWEST = 16
NEWTON_TOLERANCE = 1e-9
"""For Σ|ν − masses| as a fraction of the mass; it moves the value by its square and the bounds by itself."""
LONELY = 0.5
"""Where no atom is nearer than this (radians), the triangulation for the lower bound gets a corner of its own."""
LEAST_OF_STEP, LEAST_OF_GAP = 0.05, 0.005
"""The error is never estimated at less than these fractions of the last extrapolation's step and of upper − lower."""
HELPERS = np.array(
    [np.roll([0.0, a, b * 0.5 * (1.0 + np.sqrt(5.0))], k) for k in range(3) for a in (-1.0, 1.0) for b in (-1.0, 1.0)]
) / np.sqrt(1.0 + (0.5 * (1.0 + np.sqrt(5.0))) ** 2)
"""The corners of an icosahedron."""


@dataclass(frozen=True, kw_only=True)
class ContinuousDistance(Distance):
    r"""A distance between two densities.

    ``value`` is extrapolated, an estimate, and ``error`` its estimated error; ``lower`` and ``upper`` bound the truth
    whatever the extrapolation does. ``counts`` (k,) atoms asked for; ``raw`` (1 or 2, k) the distances before
    extrapolation: for p = 2 from the first density to the atoms of the second and, below, the other way round, for
    p = 1 between the atoms of both; ``converged`` whether every semi-discrete problem was solved.
    """

    error: float
    counts: tuple[int, ...]
    raw: Array = field(repr=False)
    converged: bool

    def __repr__(self) -> str:
        return f"error about {self.error:.1e}: {super().__repr__()}"


@dataclass(frozen=True)
class _Rung:
    """What one number of atoms gives: transport cost to the atoms, the number extrapolated, bounds of its limit."""

    total: float
    corrected: float
    lower: float
    upper: float
    trouble: str = ""


def wasserstein_continuous(
    mu: Function | ArrayLike,
    nu: Function | ArrayLike,
    cost: Cost | None = None,
    *,
    atoms: tuple[int, ...] = ATOMS,
    most: int = 100,
) -> ContinuousDistance:
    r"""The distance :math:`W_p` between two densities of equal mass on the 2-sphere, p = 1 or 2.

    Parameters: ``mu``, ``nu`` callables of unit vectors (n, 3) or harmonic coefficients; ``cost`` geodesic p = 2 by
    default; ``atoms`` the numbers of atoms, increasing, at least two; ``most`` Newton steps of each problem.

    p = 2: ν is replaced by atoms ν_N at the barycentres of N cells, and :math:`T_N=W_2^2(\mu,\nu_N)` solved for. With
    :math:`d^2(x,\cdot)` no more convex than in the plane,

    .. math::
        D_{\hat\nu}(\psi)-\int\textstyle\sum_j\lambda_j\,d^2(y,y_j)\,d\nu\le W_2^2(\mu,\nu)
        \le T_N+\sum_i\int_{V_i}d^2(y,y_i)\,d\nu+O(N^{-3/2})

    where the last term is bounded too, and on the left ν is spread onto the corners of Delaunay triangles in shares
    λ_j that keep y the barycentre, D the dual value. The same is done with the roles exchanged. p = 1: what the
    densities share is taken off, both are quantised, and :math:`T_N` is a linear programme's; the lower bound is that
    of its potentials, less the difference of two quadratures.

    The bounds hold up to the quadrature error they include, close in like 1/N in :math:`W_p^p`, and are not sharp for
    :math:`W_p^p\lesssim1/N`. ``value`` is the mean over roles of Richardson's extrapolation in 1/N of T_N (p = 2: of
    :math:`T_N-W_2^2(\nu,\nu_N)`, right at once where the map is nearly a rotation),
    and ``error`` the largest distance to it of any extrapolation from successive N in either role, and no less than a
    twentieth of what the last one adds and half a percent of upper − lower: an estimate, for smooth densities.

    Raises InputError for densities that are not finite or of mass ≤ 0, for unequal masses, another p, and numbers of
    atoms that do not increase from 16 or more.
    """
    cost = checked_cost(cost, (1.0, 2.0))
    counts = _checked_counts(atoms)
    given = [as_density(density) for density in (mu, nu)]
    patches = [resolve(density) for density in given]
    mass, other = (p.total - p.negative_mass for p in patches)
    if not abs(mass - other) <= MASS_TOLERANCE * mass:
        raise InputError(
            f"transport: the second density has total mass {other:.12g}; expected that of the first, {mass:.12g}"
        )
    used = [_projected(density, mass / p.total) for density, p in zip(given, patches, strict=True)]
    if cost.p == 1.0:
        rungs = [[_Rung(m.total, m.total, m.lower, m.upper) for m in matched(used[0], used[1], cost, counts, mass)]]
    else:
        rungs = [_ladder(patches[a], patches[b], used[b], mass, cost, counts, most) for a, b in ((0, 1), (1, 0))]
    return _summed_up(rungs, patches, mass, cost, counts)


def _checked_counts(atoms: tuple[int, ...]) -> tuple[int, ...]:
    try:
        counts = tuple(int(count) for count in atoms)
        fits = len(counts) >= 2 and counts[0] >= FEWEST and all(a < b for a, b in pairwise(counts))
        fits = fits and all(count == given for count, given in zip(counts, atoms, strict=True))
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits:
        raise InputError(
            f"transport: atoms = {atoms!r}; expected at least two integers increasing from {FEWEST} or more"
        )
    return counts


def _projected(density: Function, scale: float) -> Function:
    """The positive part, rescaled to the mass of the whole."""
    return lambda points: scale * np.maximum(density(points), 0.0)


def _ladder(
    source: Patches, target: Patches, density: Function, mass: float, cost: Cost, counts: tuple[int, ...], most: int
) -> list[_Rung]:
    """The target quantised ever finer, each problem started from the one before."""
    rungs: list[_Rung] = []
    before: SemiDiscrete | None = None
    for count in counts:
        atoms = quantise(target, density, count, cost)
        scale = mass / target.total
        start = None if before is None else _transformed(before, atoms.atoms)
        found = wasserstein_semidiscrete(
            source, atoms.atoms, atoms.weights * scale, cost, tolerance=NEWTON_TOLERANCE, most=most, start=start
        )
        doubt = cost.largest * (source.unresolved + target.unresolved)
        lower = _lower(source, density, found, mass) - doubt
        upper = _upper(atoms, scale, found) + doubt
        total = found.value**2
        corrected = total - scale * float(atoms.spread.sum())
        rungs.append(_Rung(total, corrected, lower, upper, "" if found.converged else f"{count} atoms: {found.status}"))
        before = found if found.converged else None
    return rungs


def _transformed(found: SemiDiscrete, points: Array) -> Array:
    """About the c-transform at further points: the minimum over the barycentres of the cells only."""
    length = np.linalg.norm(found.barycenters, axis=1, keepdims=True)
    used = length[:, 0] > 0.0
    places = found.barycenters[used] / length[used]
    level = found.potentials[used] - found.cost.between(places, found.atoms[used])
    return np.asarray(np.min(level[:, None] + cost_matrix(places, points, found.cost), axis=0))


def _upper(quantised: Quantised, scale: float, found: SemiDiscrete) -> float:
    r"""The cost of the plan that spreads what atom i receives over V_i, independently of where it came from.

    Chordal: :math:`|b_i||x-y_i|^2+2(1-|b_i|)` on average. Geodesic: at most d²(x, y_i) + d²(y_i, y) on average if y_i
    is the barycentre, by Toponogov's comparison of hinges, and what it is off by costs 2·drift·d(x, y_i)/ν_i.
    """
    plan, spread = found.upper**2, scale * float(quantised.spread.sum())
    if found.cost.ground == "chordal":
        kept = np.minimum(1.0, found.weights / np.maximum(found.masses, 1e-300))
        return plan + spread - float((1.0 - quantised.length) @ (found.costs * kept))
    drift = float(np.sqrt(scale * np.sum(quantised.drift**2 / quantised.weights)))
    return plan + spread + 2.0 * drift * float(np.sqrt(plan))


def _lower(source: Patches, density: Function, found: SemiDiscrete, mass: float) -> float:
    """The dual value for weights spread onto the corners of triangles, less the cost of spreading."""
    atoms, potentials, masses, costs = found.atoms, found.potentials, found.masses, found.costs
    error = found.value**2 - found.lower**2
    nearest = np.min(angle_between(HELPERS[:, None, :], atoms), axis=1)
    if np.any(lonely := nearest > LONELY):
        atoms = np.concatenate([atoms, HELPERS[lonely]])
        potentials = np.concatenate([potentials, _transformed(found, HELPERS[lonely])])
        cells = laguerre_cells(source, atoms, potentials, found.cost, full=True)
        masses, costs = (part * (mass / source.total) for part in (cells.mass, cells.cost))
        error += found.cost.largest * cells.doubt + 1e-12 * mass
    weights, price, off = spread_onto(density, atoms, found.cost, mass)
    potentials = potentials - 0.5 * (potentials.max() + potentials.min())
    dual = float(costs.sum()) + float(potentials @ (weights * (masses.sum() / weights.sum()) - masses))
    return dual - price - error - off * (1.0 + 2.0 * float(np.abs(potentials).max()))


def _summed_up(
    rungs: list[list[_Rung]], patches: list[Patches], mass: float, cost: Cost, counts: tuple[int, ...]
) -> ContinuousDistance:
    totals = np.array([[rung.total for rung in role] for role in rungs])
    corrected = np.array([[rung.corrected for rung in role] for role in rungs])
    lower = max(rung.lower for role in rungs for rung in role)
    upper = min(rung.upper for role in rungs for rung in role)
    n = np.array(counts, dtype=np.float64)
    extrapolated = (n[1:] * corrected[:, 1:] - n[:-1] * corrected[:, :-1]) / np.diff(n)
    best = float(extrapolated[:, -1].mean())
    moved = float(np.abs(extrapolated[:, -1] - corrected[:, -1]).max())
    error = max(float(np.abs(extrapolated - best).max()), LEAST_OF_STEP * moved, LEAST_OF_GAP * (upper - lower))
    inside = min(max(best, lower, 0.0), upper)
    value = cost.distance(inside)
    bar = max(cost.distance(inside + error) - value, value - cost.distance(inside - error))
    troubles = [rung.trouble for role in rungs for rung in role if rung.trouble]
    return ContinuousDistance(
        value=value,
        lower=cost.distance(lower),
        upper=cost.distance(upper),
        cost=cost,
        status=_status(best, inside, troubles, patches, mass),
        error=bar,
        counts=counts,
        raw=np.maximum(totals, 0.0) ** (1.0 / cost.p),
        converged=not troubles,
    )


def _status(best: float, inside: float, troubles: list[str], patches: list[Patches], mass: float) -> str:
    words = ["extrapolated in 1/N" if best == inside else "the extrapolation left the bounds and was cut off there"]
    for name, density in zip(("first", "second"), patches, strict=True):
        if density.negative_mass > 1e-12 * mass:
            words.append(
                f"the {name} density is negative with mass {density.negative_mass:.1e}: its positive part was used, "
                "rescaled"
            )
        if density.unresolved > 1e-9 * mass:
            words.append(f"of the {name} density {density.unresolved:.1e} of mass are in doubt")
    return "; ".join(words + troubles[:1])
