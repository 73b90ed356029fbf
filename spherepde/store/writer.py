"""Writing a run file: rows wait in memory, whole blocks go to disk, a killed run keeps what was flushed.

Three tables grow: snapshots (root), series and source moments. A flush goes in three steps:

1. ask the file system for all the room that may be needed, because HDF5 neither survives a failed
   write (it crashes when the interpreter exits) nor leaves a readable file behind;
2. write the rows, flush HDF5;
3. count them in the root attribute ``records``, flush HDF5 again. A row not counted does not exist.

A kill between two flushes loses nothing that was flushed; a kill inside one only if it hits the
microseconds in which HDF5 splits a node of a chunk index (once in 32 chunks of a variable). Every
prefix of the writes of 110 flushes was read and continued: 2 of 2900 states failed, both there.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, StorageError
from .files import growing, mend_end, reason_of, refuse_if_foreign, refuse_if_written, replace_file, utc_now
from .layout import FORMAT, FORMAT_VERSION, SeriesSpec, attribute, empty_run_file
from .reader import RunFile
from .tables import Table

FLUSH_SECONDS = 1.0
"""Records wait in memory at most about this long (wall time)."""

FLUSH_ROOM = 2**16
"""Bytes asked for at every flush beyond what the tables need: headers, attributes."""

ATTRIBUTE_ROOM = 2**14
"""The same for a change of attributes, small enough to fit in what a failed flush left unused."""

Integers = NDArray[np.integer[Any]]


class RunWriter:
    """The run file being written; made by ``create`` or ``reopen``, closed by ``close`` or ``with``.

    Every method may raise StorageError when the disk is full: the file then holds what was flushed
    before, the waiting rows stay in memory and a later flush tries again. Only if HDF5 itself fails
    to write (a lost mount, a copy-on-write file system that broke its promise of room) is the file
    let go: every later call raises, and the file may end mid-record.
    """

    def __init__(self, path: Path) -> None:
        """Open an existing run file for appending; InputError if another process has it open."""
        refuse_if_written(path)
        try:
            self._file = h5py.File(path, "r+")
        except BlockingIOError:
            raise InputError(f"{path} is being read by another process: close it there first") from None
        except OSError as error:
            raise InputError(f"{path} cannot be opened for writing: {reason_of(error)}") from error
        self.path = path
        self._closed = False
        counts = self._file.attrs["records"].tolist()
        self._snapshots = Table("time", growing(self._file), counts[0])
        self._series = Table("t", growing(self._file["series"]), counts[1])
        self._tables = [self._snapshots, self._series]
        if "velocity" in self._file:
            self._tables.append(Table("t", growing(self._file["velocity"]), counts[2]))
        self._flushed = monotonic()

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        axes: Mapping[str, NDArray[np.float64]],
        degree: Integers,
        order: Integers,
        series: Mapping[str, SeriesSpec],
        velocity_degree: Integers | None = None,
        velocity_order: Integers | None = None,
        save_density: bool,
        attributes: Mapping[str, Any],
        overwrite: bool = False,
    ) -> Self:
        """Make a run file without records and open it; the arguments are those of ``layout.empty_run_file``.

        The root attributes format, format_version, status ("running"), reason and finished ("") are set
        here, created (UTC) unless given. Raises InputError if the file exists and ``overwrite`` is not set,
        is being written, or cannot be made; an existing file is replaced only when all else is well.
        """
        path = Path(os.path.realpath(path))
        if not path.parent.is_dir():
            raise InputError(f"{path} cannot be written: there is no folder {path.parent}")
        if path.exists():
            if not path.is_file():
                raise InputError(f"{path} cannot be written: it is not a regular file")
            if not overwrite:
                raise InputError(f"{path} exists already: choose another name or replace it with --overwrite")
            if not os.access(path, os.W_OK):
                raise InputError(f"{path} cannot be replaced: it is write-protected")
            refuse_if_foreign(path, FORMAT)
            refuse_if_written(path)
        fixed = {"format": FORMAT, "format_version": FORMAT_VERSION}
        fixed |= {"status": "running", "reason": "", "finished": ""}
        content = empty_run_file(
            axes=axes,
            degree=degree,
            order=order,
            series=series,
            velocity_degree=velocity_degree,
            velocity_order=velocity_order,
            save_density=save_density,
            attributes={"created": utc_now(), **attributes, **fixed},
        )
        try:
            if overwrite:
                replace_file(path, content)
            else:
                with open(path, "xb") as file:
                    file.write(content)
        except FileExistsError:
            raise InputError(f"{path} exists already: choose another name or replace it with --overwrite") from None
        except OSError as error:
            raise InputError(f"{path} cannot be written: {reason_of(error)}") from error
        writer = cls(path)
        writer.update(status="running")  # makes room for changes, which then leave the older blocks alone
        return writer

    @classmethod
    def reopen(cls, path: str | Path, counts: tuple[int, int, int]) -> Self:
        """Go on with a run file from a checkpoint: cut it back to ``counts`` rows and mark it running.

        Raises InputError if it is no run file, is open elsewhere, or holds fewer rows than that.
        """
        path = Path(os.path.realpath(path))
        if path.is_file():
            refuse_if_written(path)
        RunFile(path).close()
        try:
            mend_end(path)
        except OSError as error:
            raise InputError(f"{path} cannot be opened for writing: {reason_of(error)}") from None
        writer = cls(path)
        have = writer.counts
        if any(wanted > there for wanted, there in zip(counts, have, strict=True)):
            writer.close()
            raise InputError(f"{path} holds {have} records, the checkpoint expects {counts}: not the same run")
        try:
            writer._count_rows(list(counts))
            for table, wanted in zip(writer._tables, counts, strict=False):
                table.cut(wanted)
        except (OSError, RuntimeError, KeyError) as error:
            writer._let_go()
            raise InputError(f"{path} is a damaged run file and cannot be continued") from error
        writer.update(status="running", reason="", finished="")
        return writer

    @property
    def counts(self) -> tuple[int, int, int]:
        """Snapshots, series rows and velocity rows in the file. Flushes first: a checkpoint may rely on them."""
        self.flush()
        counts = [table.count for table in self._tables]
        return counts[0], counts[1], counts[2] if len(counts) > 2 else 0

    def save(
        self, time: float, coefficients: NDArray[np.complex128], density: NDArray[np.float64] | None = None
    ) -> None:
        """Append a snapshot, coefficients (lm,) and density (theta[, phi]) if the file keeps it, and flush."""
        values: dict[str, ArrayLike] = {"time": time, "coefficients": coefficients}
        if density is not None:
            values["density"] = density
        self._snapshots.add(values)
        self.flush()

    def record(self, t: float, values: Mapping[str, ArrayLike]) -> None:
        """Append one row of the series, all of them; flushes when the last flush is over a second ago."""
        self._series.add({"t": t, **values})
        if monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def record_velocity(self, t: float, moments: NDArray[np.complex128]) -> None:
        """Append the source moments (lm_source,) at t. They go to disk with the next flush, so call this
        before the ``record`` of the same time.
        """
        if len(self._tables) < 3:
            raise ValueError(f"{self.path} was created without source moments")
        self._tables[2].add({"t": t, "moments": moments})

    def velocity_rows(self) -> tuple[NDArray[np.float64], h5py.Dataset]:
        """Times (n,) and source moments recorded so far, the variable whose first n rows they are; flushes first."""
        self.flush()
        count, variables = self._tables[2].count, growing(self._file["velocity"])
        return variables["t"][:count], variables["moments"]

    def flush(self) -> None:
        """Write all waiting rows as one block each and hand them to the operating system.

        They survive a kill of this process from then on (not a power cut: nothing is fsynced).
        """
        self._commit(FLUSH_ROOM + sum(table.room() for table in self._tables), {})

    def update(self, **attributes: Any) -> None:
        """Set root attributes, as in ``create``, and flush them."""
        encoded = {name: attribute(value) for name, value in attributes.items()}
        self._commit(ATTRIBUTE_ROOM + 4 * sum(len(str(value)) for value in encoded.values()), encoded, rows=False)

    def finish(self, status: str, reason: str) -> None:
        """Flush and record how the run ended; "finished" gets the time (UTC).

        If the last rows find no room, the status becomes "stopped", the reason says so and StorageError is raised.
        """
        try:
            self.flush()
        except StorageError as error:
            if not self._closed:
                self.update(status="stopped", reason=f"{reason} {error}", finished=utc_now())
            raise
        self.update(status=status, reason=reason, finished=utc_now())

    def close(self) -> None:
        """Flush and close; harmless when closed already."""
        if self._closed:
            return
        try:
            self.flush()
        finally:
            if not self._closed:
                with suppress(OSError):  # give back the room that was not needed
                    os.ftruncate(self._file.id.get_vfd_handle(), self._file.id.get_filesize())
                self._file.close()
                self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except StorageError:
            if error is None:
                raise

    def _commit(self, room: int, attributes: Mapping[str, str | int | float], rows: bool = True) -> None:
        """Ask for room, then write the waiting rows and count them, or the attributes."""
        if self._closed:
            raise StorageError(f"{self.path} is closed")
        self._reserve(room)
        tables = self._tables if rows else []
        try:
            for table in tables:
                table.write()
            for name, value in attributes.items():
                self._file.attrs[name] = value
            self._file.flush()
            if any(table.waiting for table in tables):
                self._count_rows([table.count + len(table.waiting) for table in tables])
        except (OSError, RuntimeError) as error:
            self._let_go()
            raise StorageError(f"{self.path} could not be written: {reason_of(error)}") from error
        for table in tables:
            table.settle()
            self._flushed = monotonic()

    def _count_rows(self, counts: list[int]) -> None:
        """Declare that many rows of each table complete; overwrites the attribute in place."""
        self._file.attrs.modify("records", np.array([*counts, 0][:3], dtype=np.int64))
        self._file.flush()

    def _reserve(self, room: int) -> None:
        """Allocate ``room`` bytes behind the file's end, or raise StorageError before HDF5 has written any."""
        if not hasattr(os, "posix_fallocate"):
            return
        try:
            os.posix_fallocate(self._file.id.get_vfd_handle(), self._file.id.get_filesize(), room)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO):
                raise StorageError(f"{self.path} could not be written: {reason_of(error)}") from None

    def _let_go(self) -> None:
        """Close after a failed write: point the descriptor at a scratch file, where HDF5 may end in peace."""
        self._closed = True
        in_memory = hasattr(os, "memfd_create")  # Linux; elsewhere a file in the system's folder for such
        with open(os.memfd_create("spherepde"), "wb") if in_memory else tempfile.TemporaryFile() as scratch:
            os.dup2(scratch.fileno(), self._file.id.get_vfd_handle(), inheritable=False)
        with suppress(OSError, RuntimeError):
            self._file.close()
