"""What a run may be asked to do, checked; what to warn of; and when it saves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from .densities import Density
from .equation import ContinuityEquation
from .errors import InputError
from .heads import NUMBER
from .layer_arrays import SAME_TIME
from .steppers import Tableau

Modal = NDArray[np.complex128]

CONTINUATIONS = ("auto", "tokens", "none")


def check_options(
    model: ContinuityEquation,
    initial: Density,
    tableau: Tableau,
    *,
    rtol: float | None,
    dt: float | None,
    save_every: float | None,
    companion_lmax: int,
    checkpoint_every: float,
    continuation: str,
) -> None:
    """Raise InputError, saying which and what was expected, for options that are wrong or contradict each other."""
    if not isinstance(initial, Density):
        raise InputError(f"initial density: expected a Density, got {initial!r}; wrap a function in from_callable")
    if rtol is not None and dt is not None:
        raise InputError(f"time: expected rtol or dt, got both (rtol = {rtol!r}, dt = {dt!r})")
    if dt is None and tableau.error_weights is None:
        raise InputError(f"time.stepper = {tableau.name!r} has no embedded error: expected a fixed time.dt")
    if not (isinstance(checkpoint_every, NUMBER) and checkpoint_every >= 0.0):
        raise InputError(f"output.checkpoint_every = {checkpoint_every!r}: expected seconds >= 0")
    for name, value in {"time.rtol": rtol, "time.dt": dt, "time.save_every": save_every}.items():
        if value is not None and not (isinstance(value, NUMBER) and np.isfinite(value) and value > 0.0):
            raise InputError(f"{name} = {value!r}: expected a positive number")
    if continuation not in CONTINUATIONS:
        raise InputError(f"time.continue = {continuation!r}: expected one of {', '.join(map(repr, CONTINUATIONS))}")
    if continuation == "tokens" and model.diffusion:
        raise InputError("time.continue = 'tokens': nodes follow characteristics, expected no diffusion")
    lmax = model.space.lmax
    whole = isinstance(companion_lmax, int | np.integer)
    if not whole or (companion_lmax and not 3 <= companion_lmax < lmax):
        raise InputError(f"space.companion_lmax = {companion_lmax}: expected 3 <= companion_lmax < lmax = {lmax}")
    if initial.dim != model.space.dim:
        raise InputError(f"initial density has dim {initial.dim}, the model has dim {model.space.dim}")


def initial_state(model: ContinuityEquation, initial: Density, key: str = "lmax") -> Modal:
    """Modal coefficients (lm,) of the initial density, of mass 1; ``key`` names the degree in the [space] table."""
    try:
        u = model.space.project(initial)
    except InputError as error:
        raise InputError(str(error).replace("space.lmax", f"space.{key}")) from None
    return u / model.space.moments(u)[0]


def run_warnings(
    tableau: Tableau, *, lmax: int, bandwidth: int, dt: float | None, stable: float | None, timed: bool
) -> list[str]:
    """Sentences about a run that will work less well than it could.

    ``bandwidth``: L_K of the attention kernel; ``dt``: the fixed step, ``stable`` the largest stable one; ``timed``:
    error bars, if there are any, cover the error in time.
    """
    found = [cut_density(bandwidth, lmax)] if bandwidth > lmax else []
    if not timed:
        found.append(f"{tableau.name} estimates no time error: the error bars cover the resolution in space only")
    if dt is not None and stable is not None and dt > stable:
        found.append(f"time.dt = {dt:g} exceeds {stable:.2g}, where {tableau.name} is stable at lmax = {lmax}")
    return found


def cut_density(bandwidth: int, lmax: int) -> str:
    """The warning that attention sees less of the density than it could."""
    return (
        f"space.lmax = {lmax} is below the bandwidth L_K = {bandwidth} of the attention kernel, "
        "which sees a cut density"
    )


def save_times(start: float, until: float, every: float) -> Iterator[float]:
    """Multiples of ``every`` after ``start``, each exact, then ``until``."""
    count = int(np.floor(start / every * (1.0 + 1e-12))) + 1
    while (target := count * every) < until * (1.0 - 1e-9):
        yield target
        count += 1
    yield until


def snapshot_count(until: float, every: float) -> int:
    """How many snapshots a run from 0 to ``until`` writes: t = 0 and the :func:`save_times`, counted without them."""
    end = until * (1.0 - 1e-9)
    inner = math.ceil(end / every) - 1
    if (inner + 1) * every < end:  # the quotient was rounded
        inner += 1
    elif inner * every >= end:
        inner -= 1
    return max(inner, 0) + 2


def landing_times(start: float, until: float, every: float, breaks: Sequence[float]) -> Iterator[tuple[float, bool]]:
    """The :func:`save_times` with True, and before each the breaks that come first, with False.

    A break as good as a save time, or as ``start``, is not landed on twice.
    """
    last = start
    for target in save_times(start, until, every):
        yield from ((t, False) for t in breaks if last * (1.0 + SAME_TIME) < t < target * (1.0 - SAME_TIME))
        yield target, True
        last = target
