"""One set of nodes on its way: steps that can be taken anew, bit for bit, from where they began."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..adaptive import CellMeasure, CellStep
from ..attention import Attention
from ..lagrangian import LagrangianFlow

Real = NDArray[np.float64]

FIRST_STEP = 0.05


class NodeFlow(LagrangianFlow):
    """The motion of the nodes of a run: before each velocity it is asked for, ``check`` may raise to be left there."""

    def __init__(
        self, attention: Attention, tolerance: float, most_nodes: int | None, threads: int, check: Callable[[], None]
    ) -> None:
        super().__init__(attention, tolerance, most_nodes=most_nodes, threads=threads)
        self._check = check

    def velocity(self, t: float, points: Real, weights: Real) -> Real:
        """Tangential velocities (n, d) of weighted nodes (n, d) at time t."""
        self._check()
        return super().velocity(t, points, weights)


class Stretch(NamedTuple):
    """The way between two times where the run must land, in so many ``rows``, of which ``done`` are behind."""

    start: float
    target: float
    rows: int = 0
    done: int = 0

    @property
    def time(self) -> float:
        """Where the last row is."""
        if self.done == self.rows:
            return self.target
        return self.start + (self.target - self.start) * self.done / self.rows

    @property
    def next(self) -> Stretch:
        """With one more row behind."""
        return self._replace(done=self.done + 1)


@dataclass
class Track:
    """A set of nodes: its flow, where the nodes were when the last step began, and how long that was to be.

    What is read off lies inside the step or at its end. The step follows from these three and the time where it must
    end, so that they are all a checkpoint keeps.
    """

    flow: LagrangianFlow
    cells: CellMeasure
    time: float
    step_size: float = FIRST_STEP
    _step: CellStep | None = field(default=None, repr=False)

    def at(self, t: float, target: float) -> tuple[float, CellMeasure]:
        """Go on until time t, ending a step at ``target`` ≥ t: how long the step around t is, and the measure at t."""
        while (self.time if self._step is None else self._step.time) < t:
            self.land()
            self._step = next(self.flow.march(self.cells, self.time, target, self.step_size))
        return (0.0, self.cells) if self._step is None else (self._step.time - self.time, self._step.at(t))

    def land(self) -> None:
        """Stand where the last step ended."""
        if self._step is not None:
            self.cells, self.time, self.step_size = self._step.measure, self._step.time, self._step.next_size
            self._step = None

    def step_back(self) -> None:
        """Forget the last step: it must end elsewhere."""
        self._step = None
