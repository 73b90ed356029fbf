r"""Optimal transport of any density, given as a function, onto two antipodal atoms, with both bounds.

The optimal plan sends a cap about e to e and the rest to −e (see :mod:`~spherepde.transport.antipodes`). Here its angle
and its cost come from adaptive quadrature of the law of the angle to e, so that no band limit enters. On the sphere its
mass is held against that of the density refined where it varies; if they differ, the cells of semi-discrete transport
take over.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import cubature
from scipy.optimize import brentq

from ..errors import InputError
from .costs import Cost, checked_cost
from .distance import Distance
from .laguerre import Patches, resolve
from .measures import Function, as_density, checked_mass, checked_points
from .semidiscrete import wasserstein_semidiscrete

Array = NDArray[np.float64]

MOST_LONGITUDES, MOST_PANELS = 1024, 200
"""Where a density is too rough for these, what is missing goes into the bounds."""
CONVERGED = 1e-14
NOTICED = 1e-9
"""A mass that differs by this fraction from that of the density refined where it varies has missed something."""


def wasserstein_antipodes(
    density: Function | ArrayLike, axis: ArrayLike, mass_plus: float, cost: Cost | None = None
) -> Distance:
    r""":math:`W_p` from a density on :math:`S^{d-1}`, d = 2 or 3, to ``mass_plus`` at e and the rest at −e.

    ``density``: a function of unit vectors (n, d) returning (n,), or for d = 3 harmonic coefficients (see
    :class:`~spherepde.transport.measures.HarmonicDensity`), taken relative to its mass; ``axis`` e (d,);
    0 ≤ ``mass_plus`` ≤ 1; ``cost`` by default W₂, geodesic. With a the angle of the cap,
    :math:`h=c(a)-c(\pi-a)` and δ the error of the cap's mass, ``lower`` is the value of the dual potentials of the
    threshold, :math:`P-h\delta`, and ``upper`` the cost of a plan, :math:`P+|\delta|\max c`, both less or more the
    estimated quadrature error; the gap is of rounding size. A density of changing sign is reported in ``status``:
    the number is then that of a signed measure. Raises InputError for bad arguments and for a mass ≤ 0.
    """
    cost = checked_cost(cost)
    e = checked_points(np.asarray(axis)[None], what="axis")[0]
    if e.size not in (2, 3):
        raise InputError(f"transport to antipodes: the axis has {e.size} components; expected 2 or 3")
    if not (isinstance(mass_plus, int | float | np.number) and 0.0 <= mass_plus <= 1.0):
        raise InputError(f"transport to antipodes: mass {mass_plus!r} at +e; expected a number from 0 to 1")
    rho = as_density(density)
    law, rough = _law_of_angle(rho, e)

    def integral(low: float, high: float, weight: Callable[[Array], Array] | None = None) -> tuple[Array, float]:
        """∫ of (1, weight) under the law, with the largest estimated error."""
        if high <= low:
            return np.zeros(2), 0.0

        def integrand(theta: Array) -> Array:
            angle = theta[:, 0]
            g = law(angle)
            return np.stack([g, g * (angle if weight is None else weight(angle))], axis=-1)

        found = cubature(integrand, [low], [high], rtol=CONVERGED, atol=CONVERGED, max_subdivisions=MOST_PANELS)
        return np.asarray(found.estimate), float(np.max(found.error))

    right = 0.5 * pi
    halves = integral(0.0, right)[0][0], integral(right, pi)[0][0]
    total = float(sum(halves))
    if e.size == 3:
        seen = resolve(rho)
        whole = seen.total - seen.negative_mass
        if abs(whole - total) > NOTICED * whole + pi * rough + 10.0 * seen.unresolved:  # the rings have missed a peak
            return _by_cells(seen, e, whole * mass_plus, whole, cost)
    checked_mass(total)
    wanted = total * mass_plus

    def excess(angle: float) -> float:
        slab = integral(min(right, angle), max(right, angle))[0][0]
        return float(halves[0] + (slab if angle > right else -slab) - wanted)

    at_right = excess(right)
    end = 0.0 if at_right > 0.0 else pi
    level = abs(at_right) <= 4.0 * CONVERGED * total
    beyond = excess(end) * at_right >= 0.0
    a = right if level else end if beyond else float(brentq(excess, min(right, end), max(right, end), xtol=1e-15))
    near, error_near = integral(0.0, a, cost.of_angle)
    far, error_far = integral(a, pi, lambda angle: cost.of_angle(pi - angle))
    plan = float(near[1] + far[1]) / total
    error = (error_near + error_far + rough * cost.largest) / total
    delta = float(near[0]) / total - mass_plus
    jump = float(cost.of_angle(a) - cost.of_angle(pi - a))
    probe = law(np.linspace(0.0, pi, 1001))
    signed = (
        f"; the density's average about e falls to {probe.min():.1e}: a signed measure" if probe.min() < 0.0 else ""
    )
    return Distance(
        value=cost.distance(plan - jump * delta),
        lower=cost.distance(plan - jump * delta - error),
        upper=cost.distance(plan + abs(delta) * cost.largest + error),
        cost=cost,
        status=f"the cap of angle {a:.9g} about +e goes there, quadrature error {error:.0e}{signed}",
    )


def _by_cells(patches: Patches, e: Array, plus: float, mass: float, cost: Cost) -> Distance:
    """The distance by semi-discrete transport, whose quadrature is refined where the density varies."""
    found = wasserstein_semidiscrete(patches, np.stack([e, -e]), np.array([plus, mass - plus]), cost)
    value, lower, upper = (w * mass ** (-1.0 / cost.p) for w in (found.value, found.lower, found.upper))
    return Distance(value=value, lower=lower, upper=upper, cost=cost, status=found.status)


def _law_of_angle(density: Function, e: Array) -> tuple[Callable[[Array], Array], float]:
    """The density g(θ) of the angle to e, a sum over both sides (circle) or longitudes; the mass it may have wrong."""
    across = np.linalg.svd(e[None])[2][1:]
    if e.size == 2:

        def both_sides(theta: Array) -> Array:
            along, off = np.cos(theta)[:, None] * e, np.sin(theta)[:, None] * across[0]
            return np.asarray(density(along + off) + density(along - off))

        return both_sides, 0.0

    def around(theta: Array, longitudes: int) -> Array:
        phi = 2.0 * pi * (np.arange(longitudes) + 0.5) / longitudes
        ring = np.cos(phi)[:, None] * across[0] + np.sin(phi)[:, None] * across[1]
        x = np.cos(theta)[:, None, None] * e + np.sin(theta)[:, None, None] * ring
        mean = np.asarray(density(x.reshape(-1, 3))).reshape(len(theta), longitudes).mean(axis=1)
        return 2.0 * pi * np.sin(theta) * mean

    sample = 0.5 * pi * (1.0 - np.cos(pi * (np.arange(33) + 0.5) / 33.0))
    longitudes, coarse, change = 8, around(sample, 8), 0.0
    while longitudes < MOST_LONGITUDES:
        fine = around(sample, 2 * longitudes)
        change, longitudes, coarse = float(np.abs(fine - coarse).max()), 2 * longitudes, fine
        if change <= CONVERGED * float(np.abs(fine).max()):
            change = 0.0
            break
    return lambda theta: around(theta, longitudes), pi * change
