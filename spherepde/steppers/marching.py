"""From one time to another by accepted steps, landing exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import NumericalError
from .controllers import FixedStep, StepController
from .imex import ImplicitExplicitODE, Step

Array = NDArray[Any]


@dataclass(frozen=True)
class Accepted:
    """One accepted step: the time reached, the state there, its error estimate, the step taken and where it began.

    The arrays are the stepper's buffers (:func:`imex_step`): ``state`` stays valid until the step after the next one
    is asked for, ``error`` until the next one.
    """

    time: float
    state: Array
    error: Array | None
    step_size: float
    start: float


SMALLEST_STEP = 1e-12
"""Steps below this fraction of the interval to be marched are refused."""


def march(
    step: Step,
    norm: Callable[[Array], float],
    controller: StepController | FixedStep,
    u: Array,
    start: float,
    stop: float,
) -> Iterator[Accepted]:
    """Yield accepted steps from ``start`` until one lands exactly on ``stop``.

    The remaining interval is divided evenly, so that no step is less than half of what was proposed, unless the whole
    interval is; a proposal shortened so is not forgotten by the next interval's steps. Steps come in the stepper's
    buffers (:class:`Accepted`): a list of all of them holds the last two states only, so copy what is to be kept.
    Raises NumericalError, naming the time, when no acceptable step above 1e-12 of the interval is left.
    """
    now, smallest = start, SMALLEST_STEP * (stop - start)
    if not controller.step_size > smallest:
        raise NumericalError(f"no step left to take at t = {now:.6g}: the state changes too fast")
    while now < stop:
        parts = max(1, int(np.ceil((stop - now) / min(controller.step_size, controller.largest_step) * (1.0 - 1e-9))))
        dt = (stop - now) / parts
        with np.errstate(over="ignore", invalid="ignore"):  # a step that explodes is rejected, not warned about
            candidate, error = step(u, dt, now)
            size = norm(candidate)
            relative = (0.0 if error is None else norm(error) / size) if np.isfinite(size) else np.nan
        if controller.judge(relative, dt):
            u, began, now = candidate, now, (stop if parts == 1 else now + dt)
            yield Accepted(now, u, error, dt, began)
        elif not controller.step_size > smallest:
            seen = "the state is no longer finite" if not np.isfinite(relative) else f"its error is {relative:.1e}"
            raise NumericalError(f"no acceptable step left at t = {now:.6g}: with dt = {dt:.1e} {seen}")


def initial_step_size(
    equation: ImplicitExplicitODE, norm: Callable[[Array], float], u: Array, rtol: float, order: int, t: float = 0.0
) -> float:
    """A first step from the sizes of u and of its rate of change (Hairer, Nørsett & Wanner I, sec. II.4, shortened)."""
    change = equation.explicit_terms(u, t, np.empty_like(u)) + equation.implicit_terms(u, np.empty_like(u))
    rate = norm(change)
    return 0.1 if rate == 0.0 else min(0.1, float(rtol ** (1.0 / order) * norm(u) / rate))
