r"""Wasserstein distances between measures on a sphere that are symmetric about the same axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import gamma, pi

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .costs import Cost, checked_cost
from .discrete import wasserstein_discrete
from .distance import Distance
from .line.laws import Law, checked_callable, law_of_atoms, law_of_cdf, law_of_density
from .line.monotone import CERTIFIED, MonotonePlan, unit_vectors
from .line.quantised import quantised_bounds
from .measures import checked_numbers, checked_weights

Array = NDArray[np.float64]
Function = Callable[[Array], Array]


@njit(cache=True, error_model="numpy")
def _gegenbauer_series(coefficients: Array, dim: int, theta: Array) -> Array:
    """Σ a_l P_l(cos θ) by the three-term recurrence of the polynomials with P_l(1) = 1."""
    value = np.empty_like(theta)
    for i in range(theta.size):
        z = np.cos(theta[i])
        before, here = 1.0, z
        total = coefficients[0]
        for degree in range(1, coefficients.size):
            total += coefficients[degree] * here
            after = ((2 * degree + dim - 2) * z * here - degree * before) / (degree + dim - 2)
            before, here = here, after
        value[i] = total
    return value


class ZonalMeasure:
    r"""A probability measure on :math:`S^{d-1}` symmetric about an axis, by the law of the polar angle on [0, π].

    On the circle (d = 2) the two sides of the axis carry the same measure. Made by :meth:`from_density`,
    :meth:`from_legendre`, :meth:`from_atoms` or :meth:`from_cdf`; never changes. ``negative_mass`` is what was cut off
    a density below zero, as a fraction of the rest. ``dim`` is None where the law does not depend on it.
    """

    def __init__(self, law: Law, dim: int | None = None, rings: tuple[Array, Array] | None = None) -> None:
        self.law = law
        self.dim = dim
        self.rings = rings

    @classmethod
    def from_density(cls, profile: Function, dim: int, breaks: Sequence[float] = ()) -> ZonalMeasure:
        r"""The density profile(θ) with respect to the surface: the angle has the density
        :math:`|S^{d-2}|\,\sin^{d-2}\theta\cdot\mathrm{profile}(\theta)`.

        ``profile`` takes and returns arrays; ``breaks`` are the angles where it jumps or next to which it varies
        rapidly. A negative part is cut off and reported. Raises InputError if the mass is not 1 to 1e-8.
        """
        return cls(_law(profile, dim, breaks, 0.0), dim)

    @classmethod
    def from_legendre(cls, coefficients: ArrayLike, dim: int) -> ZonalMeasure:
        r"""The density :math:`\rho=\sum_l a_lP_l(\cos\theta)`, P_l the Gegenbauer polynomials of
        :math:`S^{d-1}` with P_l(1) = 1 (Legendre's for d = 3, cosines for d = 2); its mass is
        :math:`a_0|S^{d-1}|`.

        Raises InputError if that is not 1 to 1e-8, or for an array that is not (L+1,) finite numbers.
        """
        a = checked_numbers(coefficients, "zonal coefficients", "(L+1,)")
        if a.ndim != 1 or a.size < 1 or not np.isfinite(a).all():
            raise InputError(f"transport: zonal coefficients of shape {a.shape}; expected (L+1,) finite numbers")
        _check_dim(dim)
        cells = np.linspace(0.0, pi, max(2, a.size // 8))[1:-1]
        noise = 4e-16 * float(np.abs(a).sum()) * _shell(dim)
        return cls(_law(lambda theta: _gegenbauer_series(a, dim, theta), dim, list(cells), noise), dim)

    @classmethod
    def from_atoms(cls, thetas: ArrayLike, weights: ArrayLike | None = None) -> ZonalMeasure:
        """Uniform rings at polar angles (n,) in [0, π], equal weights by default: 0 and π are the poles.

        Raises InputError for angles outside and for weights that are negative or do not sum to 1.
        """
        angle = checked_numbers(thetas, "polar angles", "(n,) of numbers in [0, π]")
        if angle.ndim != 1 or angle.size < 1 or not ((angle >= 0.0) & (angle <= pi)).all():
            raise InputError(f"transport: polar angles of shape {angle.shape}; expected (n,) numbers in [0, π]")
        w = checked_weights(weights, angle.size)
        return cls(law_of_atoms(angle, w, pi, "rings"), None, (angle, w))

    @classmethod
    def from_cdf(cls, cdf: Function, quantile: Function | None = None, breaks: Sequence[float] = ()) -> ZonalMeasure:
        """The measure whose polar angle has a given cumulative function on [0, π] and, if known, quantile function.

        Both take and return arrays; ``breaks`` are the angles next to which either varies rapidly. Raises InputError
        for functions that are not such a pair.
        """
        return cls(law_of_cdf(cdf, pi, quantile, breaks))

    @property
    def negative_mass(self) -> float:
        """The mass cut off where the density was negative, as a fraction of the rest."""
        return self.law.negative_mass

    def cdf(self, theta: ArrayLike) -> Array:
        """The mass within polar angle θ of the pole."""
        return np.asarray(self.law.cdf(np.clip(np.asarray(theta, dtype=np.float64), 0.0, pi)))

    def quantile(self, u: ArrayLike) -> Array:
        """The polar angle within which the mass u ∈ [0, 1] lies."""
        return np.asarray(self.law.quantile(np.clip(np.asarray(u, dtype=np.float64), 0.0, 1.0)))

    def __repr__(self) -> str:
        where = "" if self.dim is None else f" on S^{self.dim - 1}"
        if self.rings is not None:
            return f"ZonalMeasure({self.law.atoms} rings)"
        cut = f", negative part of mass {self.negative_mass:.2g} cut off" if self.negative_mass else ""
        return f"ZonalMeasure({self.law.origin}{where}, {len(self.law.table.series)} panels{cut})"


def wasserstein_zonal(mu: ZonalMeasure, nu: ZonalMeasure, cost: Cost | None = None) -> Distance:
    r"""The distance between two measures on a sphere symmetric about the same axis.

    .. math:: W_p^p=\min_\pi\int h(|\theta-\theta'|)\,d\pi,\qquad h(\delta)=\delta^p\ \text{or}\ (2\sin(\delta/2))^p

    over the couplings of the two polar angles: no two points are closer than their polar angles, and points on one
    meridian are exactly as close. Measures about different axes cannot be given, and none of this holds for them.
    Geodesic cost: the monotone rearrangement is optimal for every p ≥ 1, and the bounds are the quadrature error.
    Chordal cost: h is convex up to a right angle only (p = 2) or nowhere (p = 1), so the monotone plan need not be
    optimal; it is certified by dual potentials, compared on up to 1500 points. When that fails the status says so, and
    a linear programme takes over, exact between rings and with estimated bounds a few 1e-3 apart otherwise. ``cost`` is
    geodesic p = 2 by default.
    Raises InputError for measures on spheres of different dimension, and for what is no ZonalMeasure or no Cost.
    """
    cost = checked_cost(cost)
    for measure in (mu, nu):
        if not isinstance(measure, ZonalMeasure):
            raise InputError(f"transport: a measure of type {type(measure).__name__}; expected a ZonalMeasure")
    if mu.dim is not None and nu.dim is not None and mu.dim != nu.dim:
        raise InputError(f"transport: measures on S^{mu.dim - 1} and on S^{nu.dim - 1}; expected the same sphere")
    plan = MonotonePlan(mu.law.table, nu.law.table, cost)
    total, error = plan.total()
    value, lower, upper = total, total - error, total + error
    status = "exact up to quadrature"
    if cost.ground == "chordal":
        violation = plan.violation()
        lower -= violation
        status = f"monotone plan certified by its potentials to {violation:.1e}"
        if violation > CERTIFIED * cost.largest:
            value, lower, upper, status = _without_monotone_plan(mu, nu, cost, lower, upper)
    return Distance(
        value=cost.distance(value),
        lower=cost.distance(lower),
        upper=cost.distance(upper),
        cost=cost,
        status=status + mu.law.warning + nu.law.warning,
    )


def _without_monotone_plan(
    mu: ZonalMeasure, nu: ZonalMeasure, cost: Cost, lower: float, upper: float
) -> tuple[float, float, float, str]:
    status = "monotone plan not optimal for this cost"
    if mu.rings is not None and nu.rings is not None:
        (x, a), (y, b) = mu.rings, nu.rings
        exact = wasserstein_discrete(unit_vectors(x), unit_vectors(y), a, b, cost, "emd")
        return exact.value**cost.p, exact.lower**cost.p, exact.upper**cost.p, f"{status}; {exact.status}"
    below, above = quantised_bounds(mu.law.table, nu.law.table, cost)
    lower, upper = max(lower, below), min(upper, above)
    status += "; midway between estimated bounds from a linear programme on pieces"
    return 0.5 * (lower + upper), lower, upper, status


def _shell(dim: int) -> float:
    """The area of S^{d-2}, the ring at a right angle; for d = 2 its two points."""
    return float(2.0 * pi ** (0.5 * (dim - 1)) / gamma(0.5 * (dim - 1)))


def _law(profile: Function, dim: int, breaks: Sequence[float], noise: float) -> Law:
    _check_dim(dim)
    checked_callable(profile, "profile")
    shell = _shell(dim)

    def polar(theta: Array) -> Array:
        values = checked_numbers(profile(theta), "values of the profile", str(theta.shape))
        if values.shape != theta.shape:
            raise InputError(f"transport: the profile returned shape {values.shape}; expected {theta.shape}")
        return np.asarray(shell * np.sin(theta) ** (dim - 2) * values)

    return law_of_density(polar, pi, breaks, noise)


def _check_dim(dim: int) -> None:
    if not (isinstance(dim, int | np.integer) and not isinstance(dim, bool) and dim >= 2):
        raise InputError(f"transport: dim = {dim!r}; expected an integer >= 2")
