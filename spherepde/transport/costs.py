"""Ground costs: the p-th power of the geodesic or of the chordal distance on the unit sphere."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

Array = NDArray[np.float64]
Ground = Literal["geodesic", "chordal"]

GROUNDS = ("geodesic", "chordal")

LARGEST_POWER = 200.0
"""π^p and sums of it stay inside float64 far beyond this."""


@dataclass(frozen=True)
class Cost:
    r"""The cost :math:`c(x,y)=\mathrm{dist}(x,y)^p` of moving a unit of mass from x to y, both unit vectors.

    ``ground`` is "geodesic" (the angle, in radians) or "chordal" (:math:`|x-y|=2\sin(\text{angle}/2)`); ``p`` from 1 to
    200.
    Raises InputError for anything else.
    """

    p: float = 2.0
    ground: Ground = "geodesic"

    def __post_init__(self) -> None:
        number = isinstance(self.p, int | float | np.integer | np.floating) and not isinstance(self.p, bool)
        if not (number and 1.0 <= self.p <= LARGEST_POWER):
            raise InputError(f"transport: p = {self.p!r}; expected a number from 1 to {LARGEST_POWER:g}")
        if self.ground not in GROUNDS:
            raise InputError(f"transport: ground = {self.ground!r}; expected one of {', '.join(GROUNDS)}")

    def of_angle(self, angle: ArrayLike) -> Array:
        """The cost of points an angle apart (radians, any sign, at most π)."""
        theta = np.abs(np.asarray(angle, dtype=np.float64))
        distance = theta if self.ground == "geodesic" else 2.0 * np.sin(0.5 * theta)
        return distance if self.p == 1.0 else np.asarray(distance**self.p)

    def slope_at(self, angle: ArrayLike) -> Array:
        """Derivative of the cost with respect to the angle, for angles in [0, π]."""
        theta = np.asarray(angle, dtype=np.float64)
        if self.ground == "geodesic":
            return np.asarray(self.p * theta ** (self.p - 1.0))
        return np.asarray(self.p * (2.0 * np.sin(0.5 * theta)) ** (self.p - 1.0) * np.cos(0.5 * theta))

    def between(self, x: ArrayLike, y: ArrayLike) -> Array:
        """The cost between unit vectors of shapes (..., d), broadcast against each other."""
        return self.of_angle(angle_between(x, y))

    def distance(self, total: float) -> float:
        """The p-th root of a total cost (rounding below zero counts as zero)."""
        return float(max(total, 0.0) ** (1.0 / self.p))

    @property
    def largest(self) -> float:
        """The cost between antipodes, which none exceeds."""
        return float((pi if self.ground == "geodesic" else 2.0) ** self.p)

    def __str__(self) -> str:
        return f"W_{self.p:g}, {self.ground}"


def checked_cost(cost: Cost | None, powers: tuple[float, ...] = ()) -> Cost:
    """The cost asked for, W₂ geodesic by default, p among ``powers`` if any are given. Raises InputError otherwise."""
    if cost is None:
        return Cost()
    if not isinstance(cost, Cost):
        raise InputError(f"transport: cost = {cost!r}; expected a Cost, such as Cost(2, 'geodesic')")
    if powers and cost.p not in powers:
        raise InputError(f"transport: p = {cost.p:g}; expected {' or '.join(f'{p:g}' for p in powers)} here")
    return cost


def angle_between(x: ArrayLike, y: ArrayLike) -> Array:
    """Angles between unit vectors (..., d), accurate for near and for nearly antipodal points alike."""
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    return np.asarray(2.0 * np.arctan2(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1)))
