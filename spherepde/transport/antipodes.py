r"""Optimal transport of a density onto two antipodal atoms, exact on the circle and on the 2-sphere.

The difference :math:`c(x,e)-c(x,-e)` of the costs of the two atoms grows with the angle θ between x and e, whatever the
ground distance and p ≥ 1. So the cap :math:`\{\theta\le a\}` goes to e and the rest to −e, with a such that the cap has
the mass wanted, and only the law of θ matters:

.. math:: g(\theta)=|S^{d-2}|\sin^{d-2}\theta\,\bar\rho(\theta),\qquad \bar\rho(\theta)=\sum_l a_lP_l(\cos\theta)

with :math:`\bar\rho` the average of the density over the points at angle θ and :math:`a_l` the value at e of its
degree-l part (:math:`P_l(1)=1`; :math:`\cos l\theta` on the circle). The cost is that of going to the nearer atom,
whose kink at the right angle is integrated exactly, plus a slab between the right angle and a.
:mod:`~spherepde.transport.caps` does the same for a density given as a function, however concentrated.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi, sin

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..quadrature import gauss_legendre
from .costs import Cost, checked_cost
from .distance import Distance
from .measures import checked_mass, checked_numbers

Array = NDArray[np.float64]

COSTS = (Cost(1.0, "geodesic"), Cost(2.0, "geodesic"), Cost(1.0, "chordal"), Cost(2.0, "chordal"))
AREA = {2: 2.0 * pi, 3: 4.0 * pi}
PANEL_NODES = 20
PANEL_PHASE = 16.0
"""Gauss–Legendre with this many nodes integrates waves over a panel of this phase to rounding."""


class AntipodalTransport:
    r""":math:`W_p` from band-limited densities to masses at ±e, by the cap that is optimal.

    Parameters: ``dim`` d = 2 or 3; ``lmax`` the degree of the densities; ``costs`` those wanted, by default p = 1, 2
    for both ground distances. Made once, it takes some 10 µs a density. Raises InputError for other dimensions, a
    degree that is no integer ≥ 0, and costs that are none.
    """

    def __init__(self, dim: int, lmax: int, costs: Sequence[Cost] = COSTS) -> None:
        whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in (dim, lmax))
        if not whole or dim not in (2, 3) or lmax < 0:
            raise InputError(
                f"transport to antipodes: dim = {dim!r}, lmax = {lmax!r}; expected dim 2 or 3 and an integer lmax >= 0"
            )
        if isinstance(costs, str | Cost) or not isinstance(costs, Sequence):
            raise InputError(f"transport to antipodes: costs = {costs!r}; expected a list of Cost")
        self.dim = int(dim)
        self.lmax = int(lmax)
        self.costs = tuple(checked_cost(cost) for cost in costs)
        self._powers = np.array([cost.p for cost in self.costs])
        self._chordal = np.array([cost.ground == "chordal" for cost in self.costs])
        theta, weights = gauss_legendre(PANEL_NODES)
        self._rule = -np.cos(theta), weights
        self._nearer = self._nearer_functionals()

    def __repr__(self) -> str:
        return f"AntipodalTransport(dim={self.dim}, lmax={self.lmax}, costs: {'; '.join(map(str, self.costs))})"

    def hemisphere_mass(self, zonal: ArrayLike) -> float:
        """Mass at angles below π/2 from e, shape () from coefficients (lmax+1,): what goes to e by proximity."""
        return float(_cumulative(self.dim, *self._series(zonal), 0.5 * pi))

    def distances(self, zonal: ArrayLike, mass_plus: float) -> dict[Cost, Distance]:
        r"""Distances from a density with coefficients :math:`a_l` (lmax+1,) to ``mass_plus`` at e and the rest at −e.

        ``lower`` is :math:`(\int\mathrm{dist}(x,\pm e)^p\rho)^{1/p}`, which no measure on {±e} beats; ``upper`` adds
        the distance :math:`D|\Delta p|^{1/p}` between the masses of the two hemispheres and those wanted, D = π or 2.
        ``value`` is exact for a density ≥ 0. One that is negative somewhere is a signed measure: a is then the
        angle nearest the right angle at which the mass fits, and the value is kept between the bounds. Never NaN for
        finite coefficients. Raises InputError unless 0 ≤ mass_plus ≤ 1, the shape fits, the coefficients are finite and
        the total mass :math:`a_0|S^{d-1}|` is positive.
        """
        number = isinstance(mass_plus, int | float | np.integer | np.floating) and not isinstance(mass_plus, bool)
        if not (number and -1e-9 <= mass_plus <= 1.0 + 1e-9):
            raise InputError(f"transport to antipodes: mass {mass_plus!r} at +e; expected a number from 0 to 1")
        a, b = self._series(zonal)
        checked_mass(float(a[0]) * AREA[self.dim])
        missing = mass_plus - float(_cumulative(self.dim, a, b, 0.5 * pi))
        angle = _threshold(self.dim, a, b, missing)
        slab = _slab(self.dim, a, angle, *self._rule, self._powers, self._chordal)
        found = {}
        for cost, nearer, beyond in zip(self.costs, np.einsum("cl,l->c", self._nearer, a), slab, strict=True):
            lower = cost.distance(nearer)
            upper = lower + cost.distance(cost.largest * abs(missing))
            value = min(max(cost.distance(nearer + beyond), lower), upper)
            status = f"exact: the cap of angle {angle:.9g} about +e goes there"
            found[cost] = Distance(value=value, lower=lower, upper=upper, cost=cost, status=status)
        return found

    def _series(self, zonal: ArrayLike) -> tuple[Array, Array]:
        """The coefficients, checked, and those of the cumulative function in sines or Legendre polynomials."""
        a = checked_numbers(zonal, "zonal coefficients", f"({self.lmax + 1},)")
        if a.shape != (self.lmax + 1,):
            raise InputError(f"transport to antipodes: coefficients of shape {a.shape}; expected ({self.lmax + 1},)")
        if not np.isfinite(a).all():
            raise InputError("transport to antipodes: coefficients are not all finite; expected real numbers")
        degree = np.arange(self.lmax + 1)
        if self.dim == 2:
            return a, a / np.maximum(degree, 1)
        scaled = a / (2 * degree + 1)
        b = np.zeros(self.lmax + 2)
        b[0] = scaled[0]
        b[: self.lmax] += scaled[1:]
        b[1:] -= scaled
        return a, b

    def _nearer_functionals(self) -> Array:
        """∫ dist(x, ±e)^p of each zonal harmonic, (costs, lmax+1): integrals over the half with the smaller angles."""
        theta, weights = gauss_legendre(self.lmax // 2 + 40)
        angle = 0.5 * pi * np.sin(0.5 * theta) ** 2
        measure = 0.25 * pi * weights * (2.0 if self.dim == 2 else 2.0 * pi * np.sin(angle))
        weighted = measure * np.stack([cost.of_angle(angle) for cost in self.costs])
        cosine, polynomial, following = np.cos(angle), np.ones_like(angle), np.cos(angle)
        functionals = np.zeros((len(self.costs), self.lmax + 1))
        for l in range(self.lmax + 1):
            if l % 2 == 0:
                functionals[:, l] = 2.0 * (weighted @ polynomial)
            if self.dim == 2:
                polynomial = np.cos((l + 1) * angle)
            else:
                after = ((2 * l + 3) * cosine * following - (l + 1) * polynomial) / (l + 2)
                polynomial, following = following, after
        return functionals


@njit(cache=True, error_model="numpy")
def _clenshaw(dim, c, theta):  # type: ignore[no-untyped-def]
    """Σ c_l P_l(cos θ), cosines on the circle, by Clenshaw's recurrence."""
    x, first, second = cos(theta), 0.0, 0.0
    if dim == 2:
        for l in range(len(c) - 1, 0, -1):
            first, second = c[l] + 2.0 * x * first - second, first
        return c[0] + x * first - second
    for l in range(len(c) - 1, -1, -1):
        first, second = c[l] + (2.0 * l + 1.0) / (l + 1.0) * x * first - (l + 1.0) / (l + 2.0) * second, first
    return first


@njit(cache=True, error_model="numpy")
def _law(dim, a, theta):  # type: ignore[no-untyped-def]
    """Density of the angle at θ."""
    area = 2.0 if dim == 2 else 2.0 * pi * sin(theta)
    return area * _clenshaw(dim, a, theta)


@njit(cache=True, error_model="numpy")
def _cumulative(dim, a, b, theta):  # type: ignore[no-untyped-def]
    """Mass at angles up to θ."""
    if dim == 3:
        return 2.0 * pi * _clenshaw(dim, b, theta)
    x, first, second = cos(theta), 0.0, 0.0
    for l in range(len(b) - 1, 0, -1):
        first, second = b[l] + 2.0 * x * first - second, first
    return 2.0 * (a[0] * theta + sin(theta) * first)


@njit(cache=True, error_model="numpy")
def _threshold(dim, a, b, missing):  # type: ignore[no-untyped-def]
    """The angle nearest the right one, on the side that ``missing`` points to, between which and it that mass lies."""
    right = 0.5 * pi
    if missing == 0.0:
        return right
    side = 1.0 if missing > 0.0 else -1.0
    wanted = _cumulative(dim, a, b, right) + missing
    near, far, reached = right, right, False
    while not reached and abs(far - right) < right:
        near, far = far, right + side * min(abs(far - right) + 1.0 / len(a), right)
        reached = side * (_cumulative(dim, a, b, far) - wanted) >= 0.0
    if not reached:
        return far
    theta = 0.5 * (near + far)
    for _ in range(100):
        excess = _cumulative(dim, a, b, theta) - wanted
        if side * excess >= 0.0:
            far = theta
        else:
            near = theta
        slope = _law(dim, a, theta)
        following = theta - excess / slope if slope != 0.0 else near
        if not (min(near, far) < following < max(near, far)):
            following = 0.5 * (near + far)
        if abs(following - theta) < 1e-15 or abs(far - near) < 1e-15:
            return following
        theta = following
    return theta


@njit(cache=True, error_model="numpy")
def _power_of_distance(angle, p, chordal):  # type: ignore[no-untyped-def]
    distance = 2.0 * sin(0.5 * angle) if chordal else angle
    return distance if p == 1.0 else distance**p


@njit(cache=True, error_model="numpy")
def _slab(dim, a, angle, nodes, weights, powers, chordal):  # type: ignore[no-untyped-def]
    """∫ from π/2 to ``angle`` of c(θ) − c(π−θ) under the law, one for each cost."""
    total = np.zeros(len(powers))
    width = angle - 0.5 * pi
    panels = 1 + int(abs(width) * len(a) / PANEL_PHASE)
    half = 0.5 * width / panels
    for panel in range(panels):
        for k in range(len(nodes)):
            theta = 0.5 * pi + half * (2 * panel + 1 + nodes[k])
            mass = half * weights[k] * _law(dim, a, theta)
            for i in range(len(powers)):
                total[i] += mass * (
                    _power_of_distance(theta, powers[i], chordal[i])
                    - _power_of_distance(pi - theta, powers[i], chordal[i])
                )
    return total
