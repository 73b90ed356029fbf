"""Probability laws on an interval, by their cumulative function, its inverse, and a table of the inverse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import elementwise

from ...errors import InputError
from ..measures import MASS_TOLERANCE, checked_mass, checked_numbers
from .piecewise import Function, Piecewise

Array = NDArray[np.float64]

ROUNDING = 1e-15
"""Negative parts of less mass are rounding, not something to report."""
CONSISTENCY = 1e-6
"""A quantile function given beside a cumulative one has to invert it to this accuracy."""


@dataclass(frozen=True, eq=False)
class Law:
    """A law on [0, length]: ``cdf`` rising from 0 to 1 there, ``quantile`` on [0, 1] and ``table``, the same resolved.

    A quantile function given by the user may start elsewhere, as long as it spans at most ``length``.
    ``negative_mass`` is what was cut off a density where it was below zero; ``origin`` says what it was made from.
    """

    length: float
    cdf: Function
    quantile: Function
    table: Piecewise
    origin: str
    negative_mass: float = 0.0
    atoms: int = 0

    @property
    def warning(self) -> str:
        """A clause for the status sentence if the density was negative somewhere, else nothing."""
        if self.negative_mass == 0.0:
            return ""
        return f"; a negative part of mass {self.negative_mass:.2g} was cut off the {self.origin}"


def law_of_density(
    density: Function, length: float, breaks: Sequence[float] = (), noise: float = 0.0, origin: str = "density"
) -> Law:
    """The law with a given density on [0, length]; its negative part is cut off and the rest rescaled to mass 1.

    ``breaks`` are where the density or its derivatives jump, or next to which it varies on a scale below length/500.
    Raises InputError if the integral is not 1 to 1e-8 or the density is not finite.
    """

    def checked(x: Array) -> Array:
        values = checked_numbers(density(x), f"values of the {origin}", str(x.shape))
        if values.shape != x.shape:
            raise InputError(f"transport: the {origin} returned shape {values.shape}; expected {x.shape}")
        if not np.isfinite(values).all():
            where = x[~np.isfinite(values)][0]
            raise InputError(f"transport: the {origin} is not finite at {where:.9g}; expected numbers everywhere")
        return values

    edges = _edges(breaks, length)
    fitted = Piecewise.fit(checked, edges, noise, origin)
    mass = checked_mass(float(fitted.panel_integrals.sum()), origin)
    if abs(mass - 1.0) > MASS_TOLERANCE:
        raise InputError(f"transport: the {origin} has total mass {mass:.12g}; expected 1 (narrow peaks need breaks)")
    positive, negative, crossings = fitted.parts()
    scale = float(positive.panel_integrals.sum())
    cumulative = Piecewise(positive.edges, positive.series / scale).antiderivative()
    empty = positive.series[:, 0] <= 0.0
    gaps = np.concatenate([positive.edges[:-1][empty], positive.edges[1:][empty], crossings, edges[1:-1]])
    return Law(
        length,
        lambda x: np.clip(cumulative(x), 0.0, 1.0),
        cumulative.inverse,
        Piecewise.fit(
            cumulative.inverse, _edges(np.clip(cumulative(gaps), 0.0, 1.0), 1.0), what=f"law of the {origin}"
        ),
        origin,
        negative / scale if negative > ROUNDING * scale else 0.0,
    )


def law_of_atoms(positions: Array, weights: Array, length: float, origin: str = "atoms") -> Law:
    """The law of weighted atoms in [0, length], weights checked; those of weight zero are left out."""
    order = np.argsort(positions, kind="stable")
    order = order[weights[order] > 0.0]
    place, weight = positions[order], weights[order]
    ends = np.concatenate([[0.0], np.cumsum(weight)])
    ends /= ends[-1]
    distinct = np.concatenate([np.diff(ends) > 0.0, [True]])
    if not distinct.all():
        place, ends = place[distinct[:-1]], ends[np.concatenate([[True], distinct[:-1]])]
    table = Piecewise(ends, place[:, None].copy())
    return Law(length, lambda x: ends[np.searchsorted(place, x, side="right")], table, table, origin, 0.0, len(place))


def law_of_cdf(
    cdf: Function, length: float, quantile: Function | None, breaks: Sequence[float] = (), origin: str = "cdf"
) -> Law:
    """The law with a given cumulative function on [0, length] and, if given, its inverse on (0, 1).

    Without the inverse it is found by bracketing. Raises InputError unless cdf(length) − cdf(0) = 1 to 1e-6, both
    functions are finite and non-decreasing, and the second inverts the first to 1e-6.
    """
    cdf = _checked_function(cdf, origin)
    quantile = None if quantile is None else _checked_function(quantile, f"quantile function of the {origin}")
    ends = cdf(np.array([0.0, length]))
    if ends.shape != (2,) or not abs(ends[1] - ends[0] - 1.0) <= CONSISTENCY:
        raise InputError(f"transport: the {origin} takes the values {ends.tolist()} at the ends; expected a rise by 1")
    offset = float(ends[0])
    edges = _edges(breaks, length)
    grid = np.linspace(0.0, length, 1025)
    if not (np.diff(cdf(grid)) >= -CONSISTENCY).all():
        raise InputError(f"transport: the {origin} is not finite and non-decreasing; expected a cumulative function")

    def inverted(u: Array) -> Array:
        target = np.minimum(offset + np.mod(np.asarray(u) - offset, 1.0), ends[1])
        found = elementwise.find_root(
            lambda x, v: np.asarray(cdf(x)) - v,
            (np.zeros_like(target), np.full_like(target, length)),
            args=(target,),
            tolerances={"xatol": 0.0, "fatol": 0.0, "xrtol": 4e-16, "frtol": 0.0},
            maxiter=300,
        )
        bracket = found.bracket
        middle = np.where(np.isfinite(found.x), found.x, 0.5 * (bracket[0] + bracket[1]))
        return np.asarray(middle + length * np.floor(np.asarray(u) - offset))

    function = inverted if quantile is None else quantile
    table = Piecewise.fit(
        lambda u: np.asarray(function(u), dtype=np.float64),
        _edges(np.mod(np.asarray(cdf(edges), dtype=np.float64), 1.0), 1.0),
        what=f"quantile function of the {origin}",
    )
    u = (np.arange(257) + 0.5) / 257
    x = np.asarray(function(u), dtype=np.float64)
    if not (np.isfinite(x).all() and (np.diff(x) >= -CONSISTENCY).all() and x[-1] - x[0] <= length + CONSISTENCY):
        raise InputError(f"transport: the quantile function of the {origin} is not finite and non-decreasing")

    def excess(y: Array) -> Array:
        turns = np.floor(y / length)
        return np.asarray(cdf(y - length * turns) + turns - u)

    low, high = excess(x - CONSISTENCY * length) - CONSISTENCY, excess(x + CONSISTENCY * length) + CONSISTENCY
    wrong = np.ceil(low) > high
    if wrong.any():
        raise InputError(
            f"transport: the quantile function is off at u = {u[wrong][0]:.6g}; expected the {origin}'s inverse"
        )
    return Law(length, cdf, function, table, origin)


def checked_callable(function: object, what: str) -> None:
    """Raise InputError unless the function is one."""
    if not callable(function):
        raise InputError(f"transport: the {what} is {function!r}; expected a function of an array")


def _checked_function(function: Function, what: str) -> Function:
    """The function, whose values are checked to be real numbers in the shape of its argument."""
    checked_callable(function, what)

    def checked(x: Array) -> Array:
        values = checked_numbers(function(x), f"values of the {what}", str(x.shape))
        if values.shape != x.shape:
            raise InputError(f"transport: the {what} returned shape {values.shape}; expected {x.shape}")
        return values

    return checked


def _edges(breaks: ArrayLike, length: float) -> Array:
    given = np.ravel(breaks) if np.size(breaks) == 0 else checked_numbers(breaks, "breaks", "(n,)").ravel()
    if not np.isfinite(given).all():
        raise InputError("transport: breaks are not all finite; expected numbers")
    inside = given[(given > 0.0) & (given < length)]
    return np.unique(np.concatenate([[0.0], inside, [length]]))
