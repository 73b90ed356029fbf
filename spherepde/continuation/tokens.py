"""Two sets of nodes in lockstep, from row to row of what a run records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

from ..adaptive import CellMeasure
from ..diagnostics import Diagnostics
from ..monitors import Interrupt, guard
from .readings import LOST, NodeReadings
from .tracks import NodeFlow, Stretch, Track

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]

ADVANCE = 0.1
"""No token moves further than this (radians) between recorded rows, and none are further apart in time: between them
the velocity is a polynomial of degree 7."""

TURN = (1.0, 0.8, -0.6)
"""Rates of the rotation by which the second set is displaced, (12, 13, 23): about no axis of anybody's."""
LEAST_CHANGE = 0.1
"""What the moments of a nearly uniform density are taken to change by, at rate 1."""


class Row(NamedTuple):
    """One record: when, the step that led there, its values with error bars, and the modal coefficients."""

    time: float
    step_size: float
    values: dict[str, Real]
    state: Modal


@dataclass
class TokenContinuation:
    """A run carried on by its nodes.

    ``offsets`` are the error bars at the handover, which all later ones include beside what the second set differs by,
    times ``weight``. Where a run lands, at save times and jumps of the heads, does not depend on interrupts: a stretch
    between two of them is taken up at any of its rows by repeating the steps around that row.
    """

    diagnostics: Diagnostics
    fine: Track
    coarse: Track
    stretch: Stretch
    offsets: Mapping[str, float] = field(default_factory=dict)
    weight: float = 1.0

    def __post_init__(self) -> None:
        self._readings = NodeReadings(self.diagnostics)

    @property
    def time(self) -> float:
        """Where the last row is."""
        return self.stretch.time

    def rows(self, target: float) -> Iterator[Row]:
        """The records up to a save time or jump of the heads, which is the last of them.

        Raises NumericalError or Interrupted and stays at the last one.
        """
        if self.stretch.target != target or self.stretch.done == self.stretch.rows:
            self._set_out(target)
        while self.stretch.done < self.stretch.rows:
            before = replace(self.fine), replace(self.coarse)
            following = self.stretch.next
            try:
                row = self._row(following.time)
                guard(row.time, {name: value for name, value in row.values.items() if name not in LOST})
            except Exception:
                self.fine, self.coarse = before
                raise
            self.stretch = following
            if following.time == target:
                self.fine.land()
                self.coarse.land()
            yield row

    def _set_out(self, target: float) -> None:
        """Begin a stretch where the last one ended or, towards another target than before, at its last row."""
        cells, start = self.fine.cells, self.time
        velocity = self.fine.flow.velocity(self.fine.time, cells.points, cells.weights)
        speed = float(np.linalg.norm(velocity, axis=1).max())
        rows = max(1, int(np.ceil((target - start) * max(speed, 1.0) / ADVANCE * (1.0 - 1e-9))))
        self.fine.step_back()
        self.coarse.step_back()
        self.stretch = Stretch(start, target, rows)

    def _row(self, t: float) -> Row:
        step_size, cells = self.fine.at(t, self.stretch.target)
        _, other = self.coarse.at(t, self.stretch.target)
        return Row(t, step_size, *self._measured(t, cells, other))

    def now(self) -> Row:
        """The record of where the nodes stand, once more."""
        return self._row(self.time)._replace(step_size=0.0)

    def displace(self, size: float) -> None:
        """Turn the second set until a moment has changed by this much, so that error bars grow as such errors would."""
        cells = self.coarse.cells
        turning = np.zeros((cells.dim, cells.dim))
        turning[np.triu_indices(cells.dim, 1)] = TURN[: cells.dim * (cells.dim - 1) // 2]
        turning -= turning.T
        mean, second = cells.integrate(cells.points), cells.points.T @ (cells.weights[:, None] * cells.points)
        change = max(np.abs(turning @ mean).max(), np.abs(turning @ second - second @ turning).max(), LEAST_CHANGE)
        self.coarse.cells = cells.at(cells.points @ expm(size / change * turning).T)

    def _measured(self, t: float, cells: CellMeasure, other: CellMeasure) -> tuple[dict[str, Real], Modal]:
        values, state = self._readings.measure(t, cells)
        coarse = self._readings.observables(self._readings.halved(other))
        for name, seen in coarse.items():
            bar = self.weight * float(np.max(np.abs(values[name] - seen))) + self.offsets.get(name, 0.0)
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
        tracks = {
            name: {
                "time": track.time,
                "step_size": track.step_size,
                "tolerance": track.flow.tolerance,
                "most_nodes": track.flow.most_nodes,
            }
            for name, track in self._tracks.items()
        }
        bars = {"offsets": dict(self.offsets), "weight": self.weight}
        return {"stretch": self.stretch._asdict(), "tracks": tracks, **bars}

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
        interrupt: Interrupt,
    ) -> TokenContinuation:
        """The continuation that ``arrays`` and ``to_json`` described; ``density`` is the initial one."""
        law, threads = diagnostics.equation.attention, diagnostics.space.threads
        tracks = []
        for name in ("fine", "coarse"):
            own = {key.removeprefix(f"{name}_"): value for key, value in arrays.items() if key.startswith(f"{name}_")}
            kept = state["tracks"][name]
            flow = NodeFlow(law, kept["tolerance"], kept["most_nodes"], threads, interrupt.check)
            tracks.append(Track(flow, CellMeasure.from_arrays(density, own), kept["time"], kept["step_size"]))
        stretch = Stretch(**state["stretch"])
        return cls(diagnostics, tracks[0], tracks[1], stretch, dict(state["offsets"]), float(state["weight"]))
