"""What watches a run: the progress line, the two horizons, the guards, and the interrupt switch."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from .errors import NumericalError

Real = NDArray[np.float64]

FIELD_TOLERANCE = 1e-6
"""Spectral tail above which nodal values of the density are no longer trusted."""
VELOCITY_TOLERANCE = 1e-6
"""Error bar of a moment above which moments and velocity are no longer trusted."""
LARGEST_VIOLATION = 1e-2
"""A second moment with an eigenvalue below minus this ends the run: it is no longer that of a measure."""
MASS_TOLERANCE = 1e-10


@dataclass
class Horizons:
    """Times beyond which the density (``field``) and its moments (``velocity``) are not trusted; None: not reached.

    The velocity horizon is the first time at which an error bar of the first or second moment exceeds 1e-6 (with a
    companion run), or at which the second moment has an eigenvalue below −1e-6, impossible for a positive measure.
    """

    field: float | None = None
    velocity: float | None = None

    def values(self) -> dict[str, Real]:
        """Both as series record them, NaN if not reached."""
        known = {"field_horizon": self.field, "velocity_horizon": self.velocity}
        return {name: np.array(np.nan if t is None else t) for name, t in known.items()}

    def watch(self, t: float, values: Mapping[str, Real]) -> list[str]:
        """Update from recorded values; returns a sentence for each horizon just crossed."""
        crossed = []
        if self.field is None and values["spectral_tail"] > FIELD_TOLERANCE:
            self.field = t
            crossed.append(
                f"field horizon at t = {t:.4g}: the density is no longer resolved; its moments are watched apart"
            )
        bars = [
            float(np.max(values[f"{name}_error"])) for name in ("mean", "second_moment") if f"{name}_error" in values
        ]
        unphysical = -float(np.linalg.eigvalsh(values["second_moment"])[0])
        if self.velocity is None and not np.max([unphysical, *bars]) <= VELOCITY_TOLERANCE:
            self.velocity = t
            seen = (
                f"the second moment has eigenvalue {-unphysical:.1e}"
                if unphysical > VELOCITY_TOLERANCE
                else ("the companion run is lost" if np.isnan(bars).any() else f"the error bar is {max(bars):.1e}")
            )
            crossed.append(
                f"velocity horizon at t = {t:.4g}: {seen}; do not use moments beyond without their error bars"
            )
        return crossed


def guard(t: float, values: Mapping[str, Real]) -> None:
    """Raise NumericalError, saying what was seen, when a state can no longer be continued."""
    for name, value in values.items():
        if not np.all(np.isfinite(value)) and not name.endswith(("_error", "_horizon")):
            raise NumericalError(f"{name} is not finite at t = {t:.6g}")
    if abs(values["mass"] - 1.0) > MASS_TOLERANCE:
        raise NumericalError(
            f"mass drifted to 1 {values['mass'] - 1.0:+.1e} at t = {t:.6g}, expected 1 to {MASS_TOLERANCE:g}"
        )
    lowest = float(np.linalg.eigvalsh(values["second_moment"])[0])
    if lowest < -LARGEST_VIOLATION:
        raise NumericalError(
            f"resolution lost at t = {t:.6g}: the second moment has eigenvalue {lowest:.1e}, impossible for a density; "
            "a larger lmax (or a smaller fixed dt) reaches further"
        )


class ProgressLine:
    """One line that lives on a terminal; plain lines every few seconds elsewhere; nothing when switched off.

    Shows percentage, t, dt, the smallest density and the spectral tail (or how many nodes carry the density, beyond
    the grid), and the time remaining.
    """

    def __init__(self, start: float, until: float, *, enabled: bool = True, interval: float = 5.0) -> None:
        self._start, self._until = start, until
        self._enabled = enabled
        self._interval = interval
        self._began = self._spoke = time.monotonic()
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        if enabled and self._console.is_terminal:
            self._bar = Progress(
                TaskProgressColumn(),
                BarColumn(24),
                TextColumn("{task.description}"),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._task = self._bar.add_task("", total=until - start)
            self._bar.start()

    def update(self, t: float, dt: float, values: Mapping[str, Real]) -> None:
        """Show where the run is."""
        text = f"t = {t:.3f}  dt = {dt:.2g}  "
        if values["nodes"] > 0.0:
            text += f"n = {values['nodes']:.0f} nodes"
        else:
            text += f"min ρ = {values['min_density']:.1e}  tail = {values['spectral_tail']:.0e}"
        if self._bar is not None:
            self._bar.update(self._task, completed=t - self._start, description=text)
        elif self._enabled and time.monotonic() - self._spoke > self._interval:
            self._spoke = time.monotonic()
            done = (t - self._start) / (self._until - self._start)
            left = (self._spoke - self._began) * (1.0 - done) / done
            print(f"{100.0 * done:3.0f}%  {text}  {left:.0f} s left", file=sys.stderr, flush=True)

    def say(self, sentence: str) -> None:
        """A sentence of its own, above the line."""
        if self._bar is not None:
            self._bar.console.print(sentence, highlight=False)
        elif self._enabled:
            print(sentence, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the terminal tidy."""
        if self._bar is not None:
            self._bar.stop()


class Interrupted(Exception):  # noqa: N818
    """A run was told to stop; the message is the name of the signal."""


class Interrupt:
    """Set by SIGINT or SIGTERM; the run goes back to its last record, writes a checkpoint and stops."""

    def __init__(self) -> None:
        self.name: str | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Signal handler."""
        self.name = signal.Signals(number).name

    def check(self) -> None:
        """Raise Interrupted if a signal came: where work can be left and taken up again."""
        if self.name is not None:
            raise Interrupted(self.name)


@contextmanager
def interruptible(switch: Interrupt | None = None) -> Iterator[Interrupt]:
    """Catch SIGINT and SIGTERM while inside (main thread only; elsewhere the switch simply never turns)."""
    switch = Interrupt() if switch is None else switch
    switch.name = None
    previous = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, switch)
    except ValueError:
        previous.clear()
    try:
        yield switch
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
