r"""Semi-discrete transport on the 2-sphere: from a density to weighted atoms, with two-sided bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from ..errors import InputError
from .costs import Cost, checked_cost
from .discrete import cost_matrix, exact_plan
from .distance import Distance
from .laguerre import Cells, Patches, cell_labels, laguerre_cells, resolve, weighted_points
from .laguerre.ground import kind_of
from .measures import Function, checked_numbers, checked_points, checked_weights, refuse_duplicates
from .newton import Ascent, ascend, residual_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

NEWTON_NODES, FINAL_NODES, CHECK_NODES = 4, 8, 6
"""Gauss–Legendre nodes per direction and piece: while iterating, for the last steps and the result, to check it."""
ROUNDING = 2e-14
"""What sums over all cells may lose, as a fraction of the cost: added to the bounds."""
EASY_ATOMS = 300
"""Up to this many atoms equal potentials are tried first."""
EMPTY = 0.02
"""A cell with less than this fraction of the mass it should have counts as starved at the start."""
PROGRAMME_ATOMS, PROGRAMME_POINTS = 2000, 4
"""Up to this many atoms a linear programme with that many points per atom is a start worth its time …"""
COARSENING, NEIGHBOURS = 6, 12
"""… and for more, the problem is solved for one atom in six first."""
MEALS, FIRST_RISE = (16, 4), (0.002, 0.03)
"""Rounds of feeding starved cells, and the first rise of their potentials in units of a cell's cost: from a linear
programme, and from fewer atoms (where a round is dear)."""
FEW = 0.2
"""The fraction of cells that may starve, halved every four rounds."""
BACKGROUNDS = tuple(0.5 * 8.0**-k for k in range(16))
"""Fractions of uniform density mixed in, one after the other, while cells are starved."""


@dataclass(frozen=True, kw_only=True)
class SemiDiscrete(Distance):
    r"""The transport from a density ρ to atoms :math:`y_i` of weights ν_i.

    ``potentials`` ψ (n,) with Σν_iψ_i = 0; ``masses`` (n,) and ``costs`` (n,) of the cells
    :math:`\{x:c(x,y_i)-\psi_i\text{ smallest}\}`; ``barycenters`` ∫xρ over them (n, 3); ``iterations`` Newton steps;
    ``negative_mass`` ∫max(−ρ, 0), what was cut off (the density used is max(ρ, 0), rescaled).
    """

    atoms: Array = field(repr=False)
    weights: Array = field(repr=False)
    potentials: Array = field(repr=False)
    masses: Array = field(repr=False)
    costs: Array = field(repr=False)
    barycenters: Array = field(repr=False)
    iterations: int
    converged: bool
    negative_mass: float

    def labels(self, points: ArrayLike) -> NDArray[np.int64]:
        """Number of the cell in which each unit vector (n, 3) lies."""
        return cell_labels(checked_points(points, 3, "points"), self.atoms, self.potentials, self.cost)

    def plot(self, path: str | Path | None = None, density: Function | ArrayLike | None = None) -> Figure:
        """Two hemispheres with the cells in colour and the atoms as dots, saved to ``path`` if one is given."""
        from .laguerre.picture import draw_cells

        return draw_cells(self.labels, self.atoms, density=density, path=path)

    def __repr__(self) -> str:
        return f"{len(self.atoms)} atoms, {self.iterations} Newton steps: {super().__repr__()}"


def wasserstein_semidiscrete(
    density: Function | ArrayLike | Patches,
    atoms: ArrayLike,
    weights: ArrayLike | None = None,
    cost: Cost | None = None,
    *,
    tolerance: float = 1e-11,
    most: int = 100,
    start: ArrayLike | None = None,
    mass: float | None = None,
) -> SemiDiscrete:
    r"""Distance :math:`W_p` from a density to weighted atoms on S², by damped Newton on the Kantorovich dual.

    Parameters: ``density`` a callable of unit vectors (n, 3), harmonic coefficients (see
    :class:`~spherepde.transport.HarmonicDensity`), or a density resolved before (:func:`resolve`; worth it for several
    calls); ``atoms`` (n, 3); ``weights`` (n,) ≥ 0 with the mass of the density as their sum, equal by default; ``cost``
    geodesic p = 2 by default, p = 1 or 2; ``tolerance`` for Σ|ν − masses| as a fraction of the mass; ``most`` Newton
    steps; ``start`` potentials (n,) to begin with; ``mass`` the integral of the density if known, to notice a peak that
    the quadrature would miss (weights that are given do the same).

    The bounds hold for the density as resolved: the dual value and the cost of a plan with the right marginals, moved
    apart by the measured quadrature error. Without convergence they are still bounds, and ``status`` says so.

    Raises InputError for bad measures: negative weights or another total, duplicate atoms, points off the sphere,
    a total mass ≤ 0, numbers that are not finite.
    Source: Kitagawa, Mérigot, Thibert, J. Eur. Math. Soc. 21 (2019).
    """
    cost = checked_cost(cost)
    kind_of(cost)
    _check_effort(tolerance, most)
    y = checked_points(atoms, 3)
    refuse_duplicates(y)
    patches = density if isinstance(density, Patches) else resolve(density, mass)
    whole = patches.total - patches.negative_mass
    nu = checked_weights(weights, len(y), whole) * (patches.total / whole)
    used = nu > 0.0
    begin = None if start is None else _checked_start(start, used)
    found = _solve(patches, y[used], nu[used], cost, tolerance, most, begin)
    return _certified(patches, y, nu, cost, found, whole / patches.total, tolerance)


def _check_effort(tolerance: float, most: int) -> None:
    if not (isinstance(tolerance, int | float | np.number) and tolerance > 0.0):
        raise InputError(f"transport: tolerance = {tolerance!r}; expected a positive number")
    if not (isinstance(most, int | np.integer) and most >= 0):
        raise InputError(f"transport: most = {most!r}; expected a number of Newton steps, an integer >= 0")


def _checked_start(start: ArrayLike, used: NDArray[np.bool_]) -> Array:
    """Potentials of the atoms in use."""
    potentials = checked_numbers(start, "start", f"{used.shape}")
    if potentials.shape != used.shape:
        raise InputError(f"transport: start has shape {potentials.shape}; expected {used.shape}, a potential per atom")
    if not np.isfinite(potentials).all():
        worst = int(np.flatnonzero(~np.isfinite(potentials))[0])
        raise InputError(f"transport: start[{worst}] is not finite; expected a potential per atom")
    return potentials[used]


def _solve(
    patches: Patches, y: Array, nu: Array, cost: Cost, tolerance: float, most: int, start: Array | None
) -> Ascent:
    """The dual solution, from a coarser problem if there are many atoms, through mixed densities if cells starve."""
    if len(y) == 1:
        return Ascent(np.zeros(1), laguerre_cells(patches, y, np.zeros(1), cost), 0, True)

    def cells(potentials: Array, background: float = 0.0, nodes: int = NEWTON_NODES) -> Cells:
        return laguerre_cells(patches, y, potentials, cost, nodes=nodes, background=background)

    for begin in _starts(patches, y, nu, cost, most, start):
        fed = _fed(cells, nu, begin, cost)
        if fed is not None:
            found = _ascended(cells, fed, nu, tolerance, most)
            if found.converged:
                return found
    return _continued(cells, nu, tolerance, most)


def _ascended(cells: Callable[..., Cells], potentials: Array, nu: Array, tolerance: float, most: int) -> Ascent:
    """Newton with few nodes, and with more for its last steps, or where few stall because tiles change."""
    first = ascend(cells, potentials, nu, tolerance, most)
    last = ascend(partial(cells, nodes=FINAL_NODES), first.potentials, nu, tolerance, most - first.iterations)
    return Ascent(last.potentials, last.cells, first.iterations + last.iterations, last.converged)


def _starts(patches: Patches, y: Array, nu: Array, cost: Cost, most: int, given: Array | None) -> Iterator[Array]:
    """Potentials to begin with, the likeliest first."""
    if given is not None:
        yield given
    if len(y) <= EASY_ATOMS:
        yield np.zeros(len(y))
    if len(y) <= PROGRAMME_ATOMS:
        yield _programmed_start(patches, y, nu, cost)
    else:
        yield _refined_start(patches, y, nu, cost, most)


def _programmed_start(patches: Patches, y: Array, nu: Array, cost: Cost) -> Array:
    """Potentials of the linear programme between points that stand for the density and the atoms."""
    x, mass = weighted_points(patches, PROGRAMME_POINTS * len(y))
    matrix = cost_matrix(x, y, cost)
    _, price, _ = exact_plan(mass, nu * (mass.sum() / nu.sum()), matrix)
    return np.asarray(np.min(matrix - price[:, None], axis=0))


def _continued(cells: Callable[..., Cells], nu: Array, tolerance: float, most: int) -> Ascent:
    """Newton from equal potentials, mixing in less and less of the uniform density while a cell is starved."""
    potentials, done = np.zeros(len(nu)), 0
    for background in BACKGROUNDS:
        mixed = ascend(partial(cells, background=background), potentials, nu, 1e-2 * float(nu.min() / nu.sum()), most)
        potentials, done = mixed.potentials, done + mixed.iterations
        if not mixed.converged or np.all(cells(potentials).mass >= EMPTY * nu):
            break
    found = _ascended(cells, potentials, nu, tolerance, most)
    return Ascent(found.potentials, found.cells, done + found.iterations, found.converged)


def _refined_start(patches: Patches, y: Array, nu: Array, cost: Cost, most: int) -> Array:
    """Potentials from the solution for a sixth of the atoms, each standing for those nearest to it.

    With b_J the barycentre of the cell of the coarse atom y_J, the potential there is tangent to the function
    ψ_J + c(b_J, y) − c(b_J, y_J) of y: the mean of these over the nearest few, with Gaussian weights, is smooth and
    treats all atoms alike.
    """
    chosen = np.sort(np.random.default_rng(len(y)).permutation(len(y))[: len(y) // COARSENING])
    tree = cKDTree(y[chosen])
    shares = np.bincount(np.asarray(tree.query(y)[1]), nu, minlength=len(chosen)).astype(np.float64)
    coarse = _solve(patches, y[chosen], shares, cost, 1e-3, most, None)
    places = _directions(coarse.cells, y[chosen])
    distance, near = tree.query(y, k=NEIGHBOURS)
    level = coarse.potentials - cost.between(places, y[chosen])
    tangent = level[near] + cost.between(places[near], y[:, None, :])
    weight = np.exp(-((distance / np.median(distance[:, 3])) ** 2))
    return np.asarray(np.sum(weight * tangent, axis=1) / np.sum(weight, axis=1))


def _directions(cells: Cells, atoms: Array) -> Array:
    """Unit vectors towards the barycentres of the cells; the atom itself where a cell is empty."""
    length = np.linalg.norm(cells.moment, axis=1, keepdims=True)
    return np.where(length > 0.0, cells.moment / np.maximum(length, 1e-300), atoms)


def _fed(cells: Callable[..., Cells], nu: Array, potentials: Array, cost: Cost) -> Array | None:
    """The potentials with those of starved cells raised until every cell has some mass; None if that gets nowhere.

    The rise of a cell doubles from round to round for as long as it starves.
    """
    width = np.sqrt(4.0 * np.pi / len(nu))
    many = len(nu) > PROGRAMME_ATOMS
    gently = FIRST_RISE[many] * width * float(cost.slope_at(width))
    rise = np.full(len(nu), gently)
    for meal in range(MEALS[many]):
        now = cells(potentials)
        starved = now.mass < EMPTY * nu
        if not starved.any():
            return potentials
        if starved.sum() > FEW * 0.5 ** (meal // 4) * len(nu) + 8:
            return None
        response = np.asarray(now.coupling.sum(axis=1)).ravel()
        needed = 0.3 * nu / np.maximum(response, 1e-300)
        potentials = np.where(starved, potentials + np.minimum(needed, rise), potentials)
        rise = np.where(starved, 2.0 * rise, gently)
    return None


def _certified(
    patches: Patches, y: Array, nu: Array, cost: Cost, found: Ascent, scale: float, tolerance: float
) -> SemiDiscrete:
    """Bounds from the final cells; ``scale`` takes the mass of the projected density back to that of the given one."""
    used = nu > 0.0
    potentials = np.full(len(y), found.potentials.min() - 2.0 * cost.largest)  # beaten everywhere
    potentials[used] = found.potentials
    potentials -= float(nu @ potentials) / float(nu.sum())
    cells, check = (
        laguerre_cells(patches, y[used], found.potentials, cost, full=True, nodes=n) for n in (FINAL_NODES, CHECK_NODES)
    )
    weights, masses, costs = nu[used], cells.mass, cells.cost
    missing = float(np.abs(residual_of(cells, weights)).sum())
    price = float(costs.sum())
    duals = [float(c.cost.sum() + found.potentials @ residual_of(c, weights)) for c in (cells, check)]
    kept = np.minimum(1.0, weights / np.maximum(masses, 1e-300))
    primal = float(costs @ kept) + 0.5 * missing * cost.largest
    error = max(abs(float(check.cost.sum()) - price), abs(duals[1] - duals[0])) + ROUNDING * price
    error += cost.largest * (patches.unresolved + cells.doubt)
    every = np.zeros((3, len(y)))
    every[0, used], every[1, used] = masses * scale, costs * scale
    barycenters = np.zeros((len(y), 3))
    barycenters[used] = cells.moment * scale
    return SemiDiscrete(
        value=cost.distance(duals[0] * scale),
        lower=cost.distance((duals[0] - error) * scale),
        upper=cost.distance((primal + error) * scale),
        cost=cost,
        status=_status(found, missing / patches.total, tolerance, patches),
        atoms=y,
        weights=nu * scale,
        potentials=potentials,
        masses=every[0],
        costs=every[1],
        barycenters=barycenters,
        iterations=found.iterations,
        converged=found.converged,
        negative_mass=patches.negative_mass * scale,
    )


def _status(found: Ascent, missing: float, tolerance: float, patches: Patches) -> str:
    words = f"cell masses off by {missing:.1e} of the total after {found.iterations} Newton steps"
    if not found.converged:
        words = f"NOT CONVERGED to {tolerance:.0e}, the bounds hold all the same: {words}"
    if patches.negative_mass > 1e-12 * patches.total:
        words += (
            f"; the density is negative with mass {patches.negative_mass:.1e}: its positive part was used, rescaled"
        )
    if patches.unresolved > 1e-9 * patches.total:
        words += f"; the density is not smooth enough to be resolved: {patches.unresolved:.1e} of mass are in doubt"
    return words
