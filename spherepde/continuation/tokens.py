"""Two sets of nodes in lockstep, from one save time to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..adaptive import CellMeasure
from ..diagnostics import Diagnostics
from ..errors import NumericalError
from ..lagrangian import LagrangianFlow
from .readings import NodeReadings

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]

ADVANCE = 0.1
"""No token moves further than this (radians) between recorded rows, and none are further apart in time: between them
the velocity is a polynomial of degree 7."""
FIRST_STEP = 0.05


class Row(NamedTuple):
    """One record: when, the step that led there, its values with error bars, and the modal coefficients."""

    time: float
    step_size: float
    values: dict[str, Real]
    state: Modal


@dataclass
class Track:
    """One set of nodes: its flow, where they are at which time, and the step to try next."""

    flow: LagrangianFlow
    cells: CellMeasure
    time: float
    step_size: float = FIRST_STEP

    def to(self, times: list[float]) -> Iterator[tuple[float, CellMeasure]]:
        """The step sizes and measures at increasing times, ending the last step at the last of them."""
        steps = self.flow.march(self.cells, self.time, times[-1], self.step_size)
        waiting = list(times)
        for step in steps:
            self.cells, self.time, self.step_size = step.measure, step.time, step.next_size
            while waiting and waiting[0] <= step.time:
                yield step.time - step.start, step.at(waiting.pop(0))


@dataclass
class TokenContinuation:
    """A run carried on by its nodes.

    ``offsets`` are the error bars at the handover, which all later ones include. A checkpoint keeps both tracks where
    they last landed together: at a save time, or a jump of the heads.
    """

    diagnostics: Diagnostics
    fine: Track
    coarse: Track
    offsets: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._readings = NodeReadings(self.diagnostics)

    @property
    def time(self) -> float:
        """Where the nodes stand."""
        return self.fine.time

    def rows(self, target: float) -> Iterator[Row]:
        """The records up to a save time or jump of the heads, which is the last of them."""
        start, speed = self.fine.time, self._speed()
        count = max(1, int(np.ceil((target - start) * max(speed, 1.0) / ADVANCE * (1.0 - 1e-9))))
        times = [start + (target - start) * k / count for k in range(1, count)] + [target]
        landed = replace(self.fine), replace(self.coarse)
        try:
            pairs = zip(times, self.fine.to(times), self.coarse.to(times), strict=True)
            for t, (step_size, cells), (_, other) in pairs:
                yield Row(t, step_size, *self._measured(t, cells, other))
        except NumericalError:
            self.fine, self.coarse = landed
            raise

    def _speed(self) -> float:
        """The largest speed of a node where they stand."""
        cells = self.fine.cells
        velocity = self.fine.flow.velocity(self.fine.time, cells.points, cells.weights)
        return float(np.linalg.norm(velocity, axis=1).max())

    def displace(self, size: float) -> None:
        """Shift the second set by an angle of this size, so that error bars grow as the flow amplifies such errors."""
        cells = self.coarse.cells
        self.coarse.cells = cells.at(cells.points + size / np.sqrt(cells.dim))

    @property
    def exhausted(self) -> bool:
        """Whether the nodes are as many as they may be, so that cells no longer divide."""
        most = self.fine.flow.most_nodes
        return most is not None and self.fine.cells.weights.size >= most

    def now(self) -> Row:
        """The record of where the nodes stand."""
        return Row(self.time, 0.0, *self._measured(self.time, self.fine.cells, self.coarse.cells))

    def _measured(self, t: float, cells: CellMeasure, other: CellMeasure) -> tuple[dict[str, Real], Modal]:
        values, state = self._readings.measure(t, cells)
        coarse = self._readings.observables(self._readings.halved(other))
        for name, seen in coarse.items():
            bar = float(np.max(np.abs(values[name] - seen))) + self.offsets.get(name, 0.0)
            values[f"{name}_error"] = np.full(np.shape(seen), bar)
        return values | {"nodes": np.array(float(cells.weights.size))}, state

    # ---- checkpoints

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Both sets of nodes, for a checkpoint."""
        return {
            f"{name}_{key}": value
            for name, track in self._tracks.items()
            for key, value in track.cells.to_arrays().items()
        }

    def to_json(self) -> dict[str, Any]:
        """What else a checkpoint needs."""
        steps = {name: track.step_size for name, track in self._tracks.items()}
        flows = {name: [track.flow.tolerance, track.flow.most_nodes] for name, track in self._tracks.items()}
        return {"time": self.time, "step_sizes": steps, "flows": flows, "offsets": dict(self.offsets)}

    @property
    def _tracks(self) -> dict[str, Track]:
        return {"fine": self.fine, "coarse": self.coarse}

    @classmethod
    def restored(
        cls,
        diagnostics: Diagnostics,
        density: Any,
        arrays: Mapping[str, NDArray[Any]],
        state: Mapping[str, Any],
    ) -> TokenContinuation:
        """The continuation that ``arrays`` and ``to_json`` described; ``density`` is the initial one."""
        law, threads = diagnostics.equation.attention, diagnostics.space.threads
        tracks = []
        for name in ("fine", "coarse"):
            own = {key.removeprefix(f"{name}_"): value for key, value in arrays.items() if key.startswith(f"{name}_")}
            tolerance, most_nodes = state["flows"][name]
            flow = LagrangianFlow(law, tolerance, most_nodes=most_nodes, threads=threads)
            cells = CellMeasure.from_arrays(density, own)
            tracks.append(Track(flow, cells, float(state["time"]), float(state["step_sizes"][name])))
        return cls(diagnostics, tracks[0], tracks[1], dict(state["offsets"]))
