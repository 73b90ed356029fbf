"""Cells carried by a flow, with error control in time, dividing on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import DOP853, DenseOutput

from ..errors import NumericalError
from .cells import CellMeasure, Seen
from .resolution import Resolution

Array = NDArray[np.float64]
Velocity = Callable[[float, Array, Array], Array]
"""(t, points (n, d), weights (n,)) → tangential velocities (n, d)."""

OVERSHOOT = 3.0
"""A step after which a cell is this many times too coarse is taken back, and the cell divided before it."""
FIRST_STEP, LONGEST_STEP = 1e-2, 0.5
SMALLEST_STEP = 1e-10
HEAVY = 1e-3
"""Positions in cells of at least this mass need the whole accuracy, if only integrals matter."""
MOMENT = 1e-11
"""What is shorter, as a fraction of the time, is no time to a flow."""


class CellStep:
    """One accepted step: from ``start`` to ``time``, the ``measure`` there, and :meth:`at` any time between."""

    def __init__(self, solver: DOP853, moved: CellMeasure, start: float, next_size: float) -> None:
        self.start = start
        self.time = float(solver.t)
        self.next_size = next_size
        """The step that accuracy allows from here."""
        self.measure = moved
        self._moved = moved
        self._solver = solver

    def at(self, t: float) -> CellMeasure:
        """The measure at a time of this step, by the scheme's continuous extension of order 7 (three more stages)."""
        return self.measure if t == self.time else self._moved.at(np.asarray(self._dense(t)))

    @cached_property
    def _dense(self) -> DenseOutput:
        return self._solver.dense_output()


def march_cells(
    measure: CellMeasure,
    velocity: Velocity,
    start: float,
    stop: float,
    resolution: Resolution,
    *,
    rtol: float = 1e-9,
    breaks: Sequence[float] = (),
    seen: Seen | None = None,
    first_step: float = FIRST_STEP,
) -> Iterator[CellStep]:
    """Yield accepted steps of the cells' motion from ``start`` to ``stop``, either way in time.

    DOP853 with relative tolerance ``rtol`` and an absolute one a tenth of it on positions (root mean square over all
    nodes). Steps end at the ``breaks``, where the velocity may jump: it is never asked for at one. ``seen`` as in
    :meth:`CellMeasure.excess`. Raises NumericalError when no step is left or cells divide without end.
    """
    forward = stop >= start
    inside = sorted((t for t in breaks if min(start, stop) < t < max(start, stop)), reverse=not forward)
    now, size = start, first_step
    measure = measure.refined(resolution, seen)
    for target in (*inside, stop):
        inner = _between(velocity, now, target, breaks)
        while now != target:
            step = _step(measure, inner, now, target, resolution, seen, rtol, size)
            step.measure = measure = step.measure.refined(resolution, seen)
            now, size = step.time, step.next_size
            yield step


def _between(velocity: Velocity, start: float, stop: float, breaks: Sequence[float]) -> Velocity:
    """The velocity of one stretch: asked for at a break that bounds it, it answers for a moment inside."""
    low, high = min(start, stop), max(start, stop)
    if low in breaks:
        low += MOMENT * max(abs(low), high - low)
    if high in breaks:
        high -= MOMENT * abs(high)

    def inner(t: float, points: Array, weights: Array) -> Array:
        return velocity(min(max(t, low), high), points, weights)

    return inner


def carry(
    measure: CellMeasure,
    velocity: Velocity,
    start: float,
    stop: float,
    resolution: Resolution | None = None,
    *,
    rtol: float = 1e-9,
    breaks: Sequence[float] = (),
) -> CellMeasure:
    """The measure at ``stop`` that was ``measure`` at ``start``, as :func:`march_cells` steps it there."""
    for step in march_cells(measure, velocity, start, stop, resolution or Resolution(), rtol=rtol, breaks=breaks):
        measure = step.measure
    return measure


def _step(
    measure: CellMeasure,
    velocity: Velocity,
    now: float,
    target: float,
    resolution: Resolution,
    seen: Seen | None,
    rtol: float,
    size: float,
) -> CellStep:
    """One step, taken again with finer cells where it stretched some too far."""
    wanted = size
    while True:
        absolute = np.full(measure.images.size, 0.1 * rtol) if seen is not None else _mattering(measure, rtol)
        solver = _solver(measure, velocity, now, target, rtol, absolute, min(size, abs(target - now)))
        with np.errstate(over="ignore", invalid="ignore"):
            message = solver.step()
        if solver.status == "failed" or not abs(solver.t - now) > SMALLEST_STEP * abs(target - now):
            raise NumericalError(f"cells: no step left at t = {now:.6g}: {message}")
        moved = measure.at(solver.y)
        excess = moved.excess(resolution, seen)
        if not np.isfinite(excess).all():
            raise NumericalError(f"cells: a position is not finite at t = {solver.t:.6g}")
        if not (excess > OVERSHOOT).any():
            cut = solver.t == target and wanted > solver.h_previous
            return CellStep(solver, moved, now, max(solver.h_abs, wanted) if cut else solver.h_abs)
        measure, size = measure.divided(excess > OVERSHOOT), abs(solver.t - now)


def _mattering(measure: CellMeasure, rtol: float) -> Array:
    """Tolerances of positions (n·d,) by what integrals make of them: where the mass is small they may be large."""
    allowed = 0.1 * rtol * np.clip(HEAVY / np.maximum(measure.cell_masses, 1e-300), 1.0, 1.0 / rtol)
    return np.repeat(allowed, measure.images[0].size)


def _solver(
    measure: CellMeasure, velocity: Velocity, now: float, target: float, rtol: float, absolute: Array, first: float
) -> DOP853:
    weights = measure.weights

    def rate(t: float, y: Array) -> Array:
        return velocity(t, measure.at(y).points, weights).ravel()

    options = {"rtol": rtol, "atol": absolute, "first_step": first, "max_step": max(LONGEST_STEP, first)}
    return DOP853(rate, now, measure.points.ravel(), target, **options)
