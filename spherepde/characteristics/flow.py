r"""Flow maps of a recorded velocity, forward and backward, with the logarithm of their Jacobians.

.. math:: \dot x=v(t,x),\qquad \frac{d}{dt}\log J=\operatorname{div}v(t,x)

Steps of DOP853 keep the local error of positions and of log J below a tolerance. A flow that spreads points amplifies
errors, so what came from a cluster of width w needs its distance *from the cluster* right to that tolerance, not its
position: near a fixed point the error of a step is in proportion to that distance, by a factor that falls like the
ninth power of the step times the rate of expansion. Steps are kept so short that this factor is small, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import DOP853

from ..errors import InputError, NumericalError
from ..heads import NUMBER
from ..tokens.points import check_points, normalised
from .velocity import RecordedVelocity

Real = NDArray[np.float64]

RTOL = 1e-10
TIGHTEST = 3e-14
"""What rounding leaves of a relative tolerance."""
EXPANSION = 4.0
"""Step times rate of expansion, at most, over the eighth root of the tolerance."""
CROWD = 1000.0
"""The solver's norm is the root mean square over all points; so many may hide one whose error is at the tolerance."""
BLOCK = 1 << 16
"""Points moved at once."""


class FlowMap(NamedTuple):
    """Images (n, d) of points, unit vectors, and the logarithm (n,) of the Jacobian of the map there."""

    points: Real
    log_jacobian: Real


def flow_map(
    velocity: RecordedVelocity, points: ArrayLike, start: float, stop: float, *, rtol: float = RTOL
) -> FlowMap:
    """Where the flow takes points (n, d) from one time to another, either way, and how it stretches area there.

    ``rtol``: error of positions (radians) and of log J, per step. Where softmax has nothing but rounding errors to
    divide (see :class:`.velocity.RecordedVelocity`), the tolerance is theirs. Raises InputError for times outside the
    record and points that are no unit vectors, NumericalError if no step is left.
    """
    state = _moved(velocity, points, start, stop, rtol, jacobian=True)
    return FlowMap(normalised(state[:, :-1]), state[:, -1].copy())


def move_points(
    velocity: RecordedVelocity, points: ArrayLike, start: float, stop: float, *, rtol: float = RTOL
) -> Real:
    """The same images (n, d) without Jacobians, at 1/d of the cost; errors are not small against a cluster's width."""
    return normalised(_moved(velocity, points, start, stop, rtol, jacobian=False))


def segments(velocity: RecordedVelocity, start: float, stop: float) -> Iterator[tuple[float, float]]:
    """The interval between two times cut where heads jump or bend, in the order in which it is passed.

    Raises InputError for times outside the record.
    """
    start, stop = velocity.check_time(start), velocity.check_time(stop)
    inside = sorted((t for t in velocity.breaks if min(start, stop) < t < max(start, stop)), reverse=stop < start)
    ends = [start, *inside, stop]
    for a, b in pairwise(ends):
        if a != b:
            yield a, b


def _moved(
    velocity: RecordedVelocity, points: ArrayLike, start: float, stop: float, rtol: float, *, jacobian: bool
) -> Real:
    """Points (n, d) at the end, with log J as one more column if asked for."""
    x = normalised(check_points("flow map", points, velocity.dim))
    if not (isinstance(rtol, NUMBER) and 0.0 < rtol < 1.0):
        raise InputError(f"flow map: rtol = {rtol!r}; expected a number between 0 and 1")
    state = np.column_stack([x, np.zeros(len(x))]) if jacobian else x
    parts = []
    for first in range(0, len(state), BLOCK):
        part = state[first : first + BLOCK]
        for a, b in segments(velocity, start, stop):
            part = _Segment(velocity, a, b, rtol, jacobian).carry(part)
        parts.append(part)
    return np.concatenate(parts)


class _Segment:
    """A stretch of time without breaks, over which points are carried."""

    def __init__(self, velocity: RecordedVelocity, a: float, b: float, rtol: float, jacobian: bool) -> None:
        self._velocity, self._a, self._b = velocity, a, b
        self._rtol = rtol
        self._jacobian = jacobian
        self._sign = 1.0 if b > a else -1.0
        self._expansion = 0.0
        self._noise: Real = np.zeros(0)

    def _rate(self, t: float, rows: Real) -> Real:
        x, since = normalised(rows[:, : self._velocity.dim]), min(self._a, self._b)
        if not self._jacobian:
            velocity, self._noise = self._velocity.with_error(t, x, since)
            return velocity
        found = self._velocity.gradient(t, x, since)
        self._expansion = float(_expansion(self._sign * found.derivative).max())
        self._noise = found.error
        return np.column_stack([found.velocity, found.divergence])

    def carry(self, rows: Real) -> Real:
        """Rows (n, d) or (n, d + 1) at the end of the stretch."""
        shape = rows.shape
        tolerance = max(self._rtol / np.sqrt(min(len(rows), CROWD)), TIGHTEST)
        options = {"rtol": tolerance, "atol": tolerance}
        solver = DOP853(lambda t, y: self._rate(t, y.reshape(shape)).ravel(), self._a, rows.ravel(), self._b, **options)
        while solver.status == "running":
            solver.max_step = EXPANSION * self._rtol**0.125 / max(self._expansion, 1e-300)
            solver.atol = tolerance + np.repeat(self._noise * solver.h_abs, shape[1])
            message = solver.step()
        if solver.status == "failed":
            raise NumericalError(f"flow map: no step left at t = {solver.t:.6g} ({message})")
        return np.asarray(solver.y.reshape(shape))


def _expansion(derivative: Real) -> Real:
    """The fastest rate (n,) at which nearby points part, not below 0; derivatives (n, d, d) along the sphere."""
    symmetric = 0.5 * (derivative + derivative.swapaxes(1, 2))
    trace = np.trace(symmetric, axis1=1, axis2=2)
    if derivative.shape[1] == 2:
        return np.maximum(trace, 0.0)
    square = np.einsum("nij,nij->n", symmetric, symmetric)  # sum and sum of squares of the two eigenvalues
    return np.maximum(0.5 * trace + np.sqrt(np.maximum(0.5 * square - 0.25 * trace**2, 0.0)), 0.0)
