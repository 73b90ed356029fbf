"""Writing a run down: the run file and its checkpoint, or nothing at all for a run without a file."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .characteristics.record import RowsOfMoments
from .diagnostics import energy_law
from .equation import ContinuityEquation
from .errors import InputError
from .store import (
    RunFile,
    RunWriter,
    SeriesSpec,
    StorageError,
    checkpoint_path,
    load_checkpoint,
    provenance,
    save_checkpoint,
)

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]

LEAST_DEGREE = 2
"""No space is smaller: heads that attend to less (B = 0: to the mean) are recorded up to here."""


class Recorder:
    """Keeps the file of one run; every method does nothing when ``path`` is None.

    ``density``: write nodal values at save times; ``velocity``: write the source moments (degrees ≤ L_K) at every step.
    """

    def __init__(
        self, path: Path | None, model: ContinuityEquation, *, density: bool, velocity: bool, overwrite: bool
    ) -> None:
        self.path = path
        self.density = density
        self.source_degree = model.source_degree(0.0)
        """The bandwidth L_K of the attention kernel over the whole run, as far as :meth:`cover` was told."""
        self.memory_estimate = 0.0
        """Bytes that the run takes, for the file; 0 if nobody said."""
        self._wants_velocity = velocity
        self.overwrite = overwrite
        self._model = model
        self._kept: tuple[list[float], list[Modal]] | None = None  # the velocity, where no file records it
        self._writer: RunWriter | None = None
        self._written_degree: int | None = None  # of the velocity in a file that exists
        self._standing: tuple[int, int, int] | None = None  # the rows of a file that is to be taken up
        self.ended = False
        """Whether the file says that its run is done."""

    @property
    def velocity(self) -> bool:
        """Whether source moments are written: wanted, and the velocity depends on the density."""
        return self._wants_velocity and self.source_degree > 0

    @property
    def _recorded_degree(self) -> int:
        return min(max(self.source_degree, LEAST_DEGREE), self._model.space.lmax)

    def to_config(self) -> dict[str, Any]:
        """The file and what is written to it, as the [output] table of a configuration says it."""
        return {"file": str(self.path), "density": self.density, "velocity": self.velocity}

    def cover(self, until: float) -> None:
        """Make ``source_degree`` that of a run to ``until``.

        Raises InputError, and changes nothing, where a file written for an earlier end has no room for the degrees that
        heads given by a function of time then need, or where they are no heads.
        """
        degree = max(self.source_degree, self._model.source_degree(until))
        written = self._written_degree
        if written is not None and min(max(degree, LEAST_DEGREE), self._model.space.lmax) > written:
            raise InputError(
                f"{self.path} records the velocity up to degree {written}, but L_K = {degree} by t = {until:g}; "
                "expected a new run to that time at once, or one without the velocity (output.velocity = false)"
            )
        self.source_degree = degree

    @property
    def ready(self) -> bool:
        """Whether there is nothing to :meth:`restore` before :meth:`open`: no file, one taken up, or one open."""
        return self.path is None or self._standing is not None or self._writer is not None

    def open(
        self,
        series: Mapping[str, SeriesSpec],
        config: dict[str, Any],
        warnings: list[str],
        limit_measure: dict[str, Any] | None = None,
    ) -> None:
        """Create the file, or go on with the one that was restored. Raises InputError if that cannot be done."""
        if self.path is None:
            return
        self.ended = False
        if self._standing is not None:
            self._writer, self._standing = RunWriter.reopen(self.path, self._standing), None
        if self._writer is not None:
            self._writer.update(config=config, kernel_bandwidth=self.source_degree, warnings=" ".join(warnings))
            return
        space = self._model.space
        source = space.refined(self._recorded_degree) if self.velocity else None
        self._writer = RunWriter.create(
            self.path,
            axes=space.axes,
            degree=space.degree,
            order=space.order,
            series=dict(series),
            velocity_degree=None if source is None else source.degree,
            velocity_order=None if source is None else source.order,
            save_density=self.density,
            attributes=provenance(sys.argv)
            | {
                "config": config,
                "conventions": space.conventions,
                "seed": "none: the run is deterministic",
                "threads": space.threads,
                "fft_planner": "FFTW_ESTIMATE" if space.dim == 2 else f"{space.backend}, no timing",
                "backend": space.backend,
                "kernel_bandwidth": self.source_degree,
                "energy_law": energy_law(self._model),
                "warnings": " ".join(warnings),
            }
            | ({} if limit_measure is None else {"limit_measure": limit_measure})
            | ({"memory_estimate": self.memory_estimate} if self.memory_estimate else {}),
            overwrite=self.overwrite,
        )
        self._written_degree = self._recorded_degree if self.velocity else None

    def record(self, t: float, values: Mapping[str, Real], state: Modal) -> None:
        """One row of the series, and of the velocity's source moments."""
        if self._kept is not None:
            self._kept[0].append(t)
            self._kept[1].append(self._model.space.restrict(state, self._recorded_degree))
        if self._writer is not None:
            if self.velocity:  # before the series: a row counts once both are there
                self._writer.record_velocity(t, self._model.space.restrict(state, self._recorded_degree))
            self._writer.record(t, values)

    def save(self, t: float, state: Modal) -> None:
        """One snapshot; everything recorded so far is on disk afterwards."""
        if self._writer is not None:
            self._writer.save(t, state, self._model.space.to_nodal(state) if self.density else None)

    def checkpoint(self, arrays: Mapping[str, NDArray[Any]], state: Mapping[str, Any]) -> None:
        """Replace the checkpoint beside the file by this state, which knows how far the file had come."""
        if self._writer is not None and self.path is not None:
            self._writer.flush()
            save_checkpoint(checkpoint_path(self.path), arrays, {**state, "counts": list(self._writer.counts)})

    def restore(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Read the checkpoint, and from the file whether and how far it records the velocity.

        Both stay as they are: :meth:`open` cuts the file back to the checkpoint.
        """
        if self.path is None:
            raise InputError("a run without a file has no checkpoint to resume from")
        arrays, state = load_checkpoint(checkpoint_path(self.path))
        with RunFile(self.path) as written:
            self.source_degree = int(written.attributes["kernel_bandwidth"])
            self._written_degree = None if written.velocity is None else int(written.velocity.degree.max())
            self.ended = written.attributes["status"] == "done"
        self._wants_velocity = self._written_degree is not None
        self._standing = tuple(state["counts"])
        return arrays, state

    def last_values(self) -> dict[str, Real]:
        """The last row of the series in a file that is not open."""
        assert self.path is not None
        with RunFile(self.path) as written:
            return {name: values[-1] for name, values in written.series.items() if name != "t"}

    def keep_velocity(self) -> None:
        """From now on, before the first record: keep source moments in memory unless a file records them."""
        if (self.path is None or not self.velocity) and self._kept is None:
            self._kept = ([], [])

    def velocity_record(self, time: float) -> tuple[Real, RowsOfMoments]:
        """Times (n,) and source moments (n, lm) of all records from 0 to ``time``, where the run stands.

        With hardmax there are none. Raises InputError where a run taken up at a checkpoint did not write them.
        """
        if self._writer is not None and self.velocity:
            return self._writer.velocity_rows()
        if not self.source_degree:
            return np.array([0.0, time]), np.zeros((2, 0), dtype=np.complex128)
        if self._kept is None or not self._kept[0] or self._kept[0][0] > 0.0:
            raise InputError(
                f"{self.path} has no velocity from t = 0 on; expected output.velocity = true to go on with nodes"
            )
        return np.array(self._kept[0]), np.array(self._kept[1])

    def note(self, **attributes: Any) -> None:
        """Set attributes of the file."""
        if self._writer is not None:
            self._writer.update(**attributes)

    def finish(self, status: str, reason: str, horizons: Mapping[str, float | None]) -> None:
        """Write how the run ended. A full disk is not reported twice: what was flushed stays readable."""
        if self._writer is not None:
            with suppress(StorageError):
                self._writer.update(**{f"{k}_horizon": np.nan if t is None else t for k, t in horizons.items()})
                self._writer.finish(status, reason)
                self.ended = status == "done"

    def close(self) -> None:
        """Close the file; what a full disk kept out of it has been reported by the flush that failed."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(StorageError):
                writer.close()
