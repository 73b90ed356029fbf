"""From the grid to nodes: when, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..adaptive import initial_cells
from ..characteristics import RecordedVelocity
from ..characteristics.reconstruction import carry_along, pole
from ..characteristics.record import RowsOfMoments
from ..densities import Density
from ..diagnostics import Diagnostics
from ..monitors import VELOCITY_TOLERANCE, Interrupt
from .tokens import TokenContinuation
from .tracks import NodeFlow, Stretch, Track

Real = NDArray[np.float64]

READY = 5e-9
"""Error bar of a moment from which a run that must hand over does: later, the seam would show."""
ROUNDING = 1e-12
"""Bars below this are rounding, and say nothing of growth."""
BUILD = {2: 1e-10, 3: 3e-7}
"""Tolerance of the nodes at the handover, by dimension d; on S² they turn out ten times better."""
FINE = {2: 1e-8, 3: 1e-5}
"""Tolerance of their motion from then on,"""
MOST_NODES = {2: 20_000, 3: 200_000}
"""as long as it takes no more nodes than these; half as many for the second set, so that error bars tell."""
COARSER = 30.0
"""The second set's tolerances are larger by this factor,"""
EARLIER = 0.9
"""and it leaves the grid at this fraction of the time."""
ALONE = 2.0
"""What its difference counts where nothing else tells how far the grid was off: it errs too, by up to half as much."""
WITHOUT_BARS = 1.3
"""Multiple of the field horizon at which a run without error bars hands over."""


WIDE_SEAM = 1e-8
"""Jumps of moments at the handover above this are not left to the eye."""


class Handover(NamedTuple):
    """When a run went over to nodes, how many, their tolerance, and the jump of its second moment there."""

    time: float
    nodes: int
    tolerance: float
    seam: float

    @property
    def remark(self) -> str:
        """A sentence about a seam that shows; empty if it does not."""
        if self.seam <= WIDE_SEAM:
            return ""
        return (
            f"the second moment jumps by {self.seam:.1e} at the handover (t = {self.time:.4g}), by more than "
            f"{WIDE_SEAM:g}; error bars include that"
        )


@dataclass
class HorizonWatch:
    """The part of the error bars of moments that resolution makes, over the last ``span`` of time, and its growth."""

    span: float
    t: list[float] = field(default_factory=list)
    bars: list[float] = field(default_factory=list)

    def add(self, t: float, bar: float) -> None:
        """Take up the bar of one more record."""
        self.t.append(t)
        self.bars.append(bar)
        while self.t[0] < t - self.span:
            del self.t[0], self.bars[0]

    def horizon(self) -> float | None:
        """When the bars pass what is trusted if they go on growing as lately; None while nothing can be said."""
        return predicted_horizon(self.t, self.bars)


def predicted_horizon(t: Sequence[float], bars: Sequence[float]) -> float | None:
    """When error bars recorded so far will pass what is trusted, if they go on growing as lately; None if unknown.

    Bars below :data:`READY` predict nothing.
    """
    if not t or not bars[-1] > READY:
        return None
    if bars[-1] >= VELOCITY_TOLERANCE:
        return float(t[-1])
    grown = np.asarray(bars) > ROUNDING
    times, sizes = np.asarray(t)[grown], np.asarray(bars)[grown]
    if len(times) < 2:
        return None
    rate = float(np.log(sizes[-1] / sizes[0]) / (times[-1] - times[0]))
    return float(times[-1] + np.log(VELOCITY_TOLERANCE / sizes[-1]) / rate) if rate > 0.0 else np.inf


class _HeardVelocity(RecordedVelocity):
    """A recorded velocity that lets interrupts be heard while nodes follow it."""

    interrupt: Interrupt

    def __call__(self, t: float, points: ArrayLike, since: float | None = None) -> Real:
        self.interrupt.check()
        return super().__call__(t, points, since)


def hand_over(
    diagnostics: Diagnostics,
    initial: Density,
    t: Real,
    moments: RowsOfMoments,
    offsets: dict[str, float],
    say: Callable[[str], None],
    interrupt: Interrupt,
    *,
    barred: bool,
) -> TokenContinuation:
    """Carry the initial density along the recorded velocity to the last of the times t, and take it up there.

    ``moments`` are the source moments (n, lm) at those. ``offsets``: the error bars of the grid at the handover.
    Without such bars (not ``barred``), the second set of nodes never follows that velocity, so that the two tell how
    far the grid was off.
    Raises NumericalError where the flow needs more nodes than can be followed.
    """
    law, space = diagnostics.equation.attention, diagnostics.space
    end, dim = float(t[-1]), space.dim
    velocity = _HeardVelocity(law, t, None if law.name == "hardmax" else moments, threads=space.threads)
    velocity.interrupt = interrupt
    tracks = []
    for coarser, leaves in ((1.0, end), (COARSER, EARLIER * end if barred else 0.0)):
        most = MOST_NODES[dim] if coarser == 1.0 else MOST_NODES[dim] // 2
        flow = NodeFlow(law, FINE[dim] * coarser, most, space.threads, interrupt.check)
        build = BUILD[dim] * coarser
        cells = initial_cells(initial, dim, build, axis=pole(diagnostics.limit_space), most_nodes=most)
        if leaves > 0.0:
            cells = carry_along(velocity, cells, 0.0, leaves, build, rtol=max(0.1 * build, 1e-11))
        if coarser == 1.0:
            say(f"handover at t = {end:.4g}: {cells.weights.size} weighted nodes go on where the grid ends")
        track = Track(flow, cells, leaves)
        track.at(end, end)
        track.land()
        tracks.append(track)
    weight = 1.0 if barred else ALONE
    return TokenContinuation(diagnostics, tracks[0], tracks[1], Stretch(end, end), offsets, weight)
