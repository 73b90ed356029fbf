r"""The four ground costs as compiled functions of the squared chord :math:`q=|x-y|^2\in[0,4]`.

Kinds: 0 chordal p = 2, 1 chordal p = 1, 2 geodesic p = 1, 3 geodesic p = 2. The squared chord comes from the difference
of the points, so small distances keep their digits.
"""

from __future__ import annotations

from math import asin, cos, pi, sin, sqrt, tan

from numba import njit

from ...errors import InputError
from ..costs import Cost

CHORDAL_2, CHORDAL_1, GEODESIC_1, GEODESIC_2 = range(4)


def kind_of(cost: Cost) -> int:
    """The number of a cost among those compiled. Raises InputError unless p is 1 or 2."""
    kinds = {("chordal", 2.0): CHORDAL_2, ("chordal", 1.0): CHORDAL_1, ("geodesic", 1.0): GEODESIC_1}
    kinds["geodesic", 2.0] = GEODESIC_2
    if (cost.ground, float(cost.p)) not in kinds:
        raise InputError(f"transport: p = {cost.p:g} between a density and atoms on the sphere; expected 1 or 2")
    return kinds[cost.ground, float(cost.p)]


@njit(cache=True, error_model="numpy")
def cost_of(kind, q):  # type: ignore[no-untyped-def]
    """The cost of points with squared chord q."""
    if kind == CHORDAL_2:
        return q
    if kind == CHORDAL_1:
        return sqrt(q)
    angle = 2.0 * asin(min(0.5 * sqrt(q), 1.0))
    return angle if kind == GEODESIC_1 else angle * angle


@njit(cache=True, error_model="numpy")
def slope_of(kind, q):  # type: ignore[no-untyped-def]
    """Derivative of the cost with respect to q; finite everywhere, as the true one is not (at q = 0 and 4)."""
    if kind == CHORDAL_2:
        return 1.0
    chord = sqrt(max(q, 1e-30))
    if kind == CHORDAL_1:
        return 0.5 / chord
    rate = 1.0 / (chord * sqrt(max(4.0 - q, 1e-30)))
    if kind == GEODESIC_1:
        return rate
    return 2.0 * rate * 2.0 * asin(min(0.5 * chord, 1.0))


@njit(cache=True, error_model="numpy")
def cost_at_angle(kind, angle):  # type: ignore[no-untyped-def]
    """The cost of points an angle apart, the angle cut to [0, π]."""
    theta = min(max(angle, 0.0), pi)
    if kind == GEODESIC_1:
        return theta
    if kind == GEODESIC_2:
        return theta * theta
    chord = 2.0 * sin(0.5 * theta)
    return chord if kind == CHORDAL_1 else chord * chord


@njit(cache=True, error_model="numpy")
def curvature_bounds(kind, nearest, farthest):  # type: ignore[no-untyped-def]
    """Lower and upper bound of the Hessian of x ↦ c(x, y) where the angle to y is between these two."""
    near, far = max(nearest, 1e-9), min(farthest, pi - 1e-9)
    if kind == CHORDAL_2:
        return 2.0 * cos(far), 2.0 * cos(max(nearest, 0.0))
    if kind == CHORDAL_1:
        return -0.5, max(0.5 * cos(near) / sin(0.5 * near), -0.5)
    if kind == GEODESIC_1:
        return min(0.0, 1.0 / tan(far)), max(0.0, 1.0 / tan(near))
    return 2.0 * far / tan(far), 2.0
