"""The whole state of a run as arrays and JSON, so that a resumed run goes on bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .continuation import Continuation
from .densities import Density
from .diagnostics import Diagnostics
from .error_bars import ErrorBars
from .monitors import Horizons
from .pace import Pace

Modal = NDArray[np.complex128]
Arrays = Mapping[str, NDArray[Any]]

POTENTIAL = "potential_"


class Standing(Protocol):
    """What a run is made of, where it stands."""

    time: float
    state: Modal
    initial: Density
    save_every: float | None
    wasserstein: bool
    diagnostics: Diagnostics
    error_bars: ErrorBars | None
    horizons: Horizons
    pace: Pace
    onward: Continuation


def limit_table(diagnostics: Diagnostics) -> dict[str, Any] | None:
    """The measure Π♯ρ₀ as a file keeps it; None if it is unknown or not wanted."""
    return None if diagnostics.limit is None else diagnostics.limit.to_json()


def pack(run: Standing) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Everything the next step depends on."""
    arrays: dict[str, NDArray[Any]] = {POTENTIAL + name: a for name, a in run.diagnostics.potentials.items()}
    if run.error_bars is not None:
        arrays |= run.error_bars.arrays()
    state = {
        "time": run.time,
        "save_every": run.save_every,
        "horizons": asdict(run.horizons),
        "limit_measure": limit_table(run.diagnostics),
        "time_error": dict(run.error_bars.time_error) if run.error_bars is not None else {},
    }
    return (
        {"state": run.state} | arrays | run.onward.arrays(),
        state | run.pace.to_json() | run.onward.to_json(),
    )


def unpack(run: Standing, arrays: Arrays, state: Mapping[str, Any]) -> None:
    """Put a run of the same configuration where :func:`pack` saw it."""
    run.time, run.state = float(state["time"]), arrays["state"]
    run.wasserstein &= "limit_measure" in state  # a run begun before distances were recorded goes on without
    run.diagnostics.limit_from_json(state.get("limit_measure"))
    run.diagnostics.potentials.update(
        {name.removeprefix(POTENTIAL): a for name, a in arrays.items() if name.startswith(POTENTIAL)}
    )
    if run.error_bars is not None:
        run.error_bars.companion.limit = run.diagnostics.limit
        run.error_bars = run.error_bars.restored(arrays, state["time_error"])
    run.save_every = state["save_every"]
    run.horizons = Horizons(**state["horizons"])
    run.pace.restore(state)
    run.onward.restore(run.initial, arrays, state)
