"""Error bars of a run: a companion at lower resolution in lockstep, and the embedded errors of the time steps.

The bar of an observable is the largest component of |run − companion| plus the sum over the steps of what the embedded
error would change: the first covers the truncation in space, the second that in time. Quantities that converge like
1/lmax only once the density is unresolved (distances: W₁ has a tip where the mass gathers, W₂ notices how much of it is
on either side) get the error that this order implies for the companion: the difference times r/(r − 1), r the ratio of
the two degrees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .diagnostics import Diagnostics
from .steppers import Accepted, Step, Tableau, imex_step
from .store import SeriesSpec

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]


@dataclass(frozen=True)
class ErrorBars:
    """The companion's state and the accumulated time error, after some step of a run.

    ``companion_state`` is a buffer of ``step``, valid until the step after the next one; None after a step means that
    the companion was lost: bars are NaN from there on. ``timed`` is False for a scheme without embedded error, whose
    bars cover space only.
    """

    diagnostics: Diagnostics
    companion: Diagnostics
    step: Step
    companion_state: Modal | None
    time_error: Mapping[str, float]
    timed: bool

    @classmethod
    def start(cls, diagnostics: Diagnostics, companion: Diagnostics, tableau: Tableau, state: Modal) -> ErrorBars:
        """Bars at the start of a run, with the companion's initial state."""
        none = dict.fromkeys(diagnostics.observable_quantities, 0.0)
        timed = tableau.error_weights is not None
        return cls(diagnostics, companion, imex_step(companion.equation, tableau), state, none, timed)

    def after(self, accepted: Accepted, observables: Mapping[str, Real]) -> ErrorBars:
        """The bars one accepted step later; ``observables`` are those of the run's new state."""
        coarse = self.companion_state
        if coarse is not None:
            self.companion.equation.adapt_damping(coarse)
            with np.errstate(over="ignore", invalid="ignore"):  # a companion may be lost; the run goes on
                coarse = self.step(coarse, accepted.step_size, accepted.start)[0]
            coarse = coarse if np.isfinite(coarse).all() else None
            self.companion.equation.enter(accepted.time)
        time_error = self.time_error
        if accepted.error is not None:
            embedded = self.diagnostics.observables(accepted.state - accepted.error)
            time_error = {
                name: total + float(np.max(np.abs(observables[name] - embedded[name])))
                for name, total in self.time_error.items()
            }
        return replace(self, companion_state=coarse, time_error=time_error)

    def values(self, observables: Mapping[str, Real]) -> dict[str, Real]:
        """The bar of every observable, by the name ``<observable>_error`` and in its shape."""
        coarse = None if self.companion_state is None else self.companion.observables(self.companion_state)
        bars = {}
        for name, total in self.time_error.items():
            difference = np.nan if coarse is None else float(np.max(np.abs(observables[name] - coarse[name])))
            if name in self.diagnostics.first_order:
                ratio = self.diagnostics.space.lmax / self.companion.space.lmax
                difference *= ratio / (ratio - 1.0)
            bars[f"{name}_error"] = np.full(np.shape(observables[name]), difference + total)
        return bars

    def from_space(self, bars: Mapping[str, Real]) -> float:
        """The part of the first two moments' bars, among those of :meth:`values`, that truncation in space makes."""
        parts = [float(np.max(bars[f"{name}_error"])) - self.time_error[name] for name in ("mean", "second_moment")]
        return float(np.inf) if np.isnan(parts).any() else max(parts)

    def arrays(self) -> dict[str, Modal]:
        """The companion, for a checkpoint; ``time_error`` is the rest of it."""
        return {} if self.companion_state is None else {"companion_state": self.companion_state}

    def restored(self, arrays: Mapping[str, Modal], time_error: Mapping[str, float]) -> ErrorBars:
        """These bars at what a checkpoint kept."""
        return replace(self, companion_state=arrays.get("companion_state"), time_error=time_error)

    @property
    def quantities(self) -> dict[str, SeriesSpec]:
        """What the bars are, for the run file."""
        timed = " plus accumulated time error" if self.timed else " only"
        return bar_quantities(self.diagnostics, f"largest component: companion difference{timed}")


def bar_quantities(diagnostics: Diagnostics, what: str) -> dict[str, SeriesSpec]:
    """The error bars of observables, for the run file; ``what`` says what they are made of."""
    return {
        f"{name}_error": SeriesSpec(spec.shape, f"error bar of {name}, {what}")
        for name, spec in diagnostics.observable_quantities.items()
    }
