"""Reading a run file, finished, running or killed."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .files import growing, open_hdf5, root_attributes
from .layout import FORMAT, FORMAT_VERSION

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class VelocityRecord(NamedTuple):
    """Source moments at every step: t (n,), degree and order (lm_source,), moments (n, lm_source).

    ``moments`` is the HDF5 variable: index it (``moments[i]``, ``moments[:]``) while the file is open.
    """

    t: Floats
    degree: Integers
    order: Integers
    moments: h5py.Dataset


class RunFile:
    """A run file opened for reading; big arrays are read when asked for, so keep it open (``with``).

    Only rows counted in the attribute ``records`` are shown: the whole of what was flushed when the
    file was opened, also if its writer is still at it or was killed.
    Raises InputError for a path that is no run file of ours, is damaged, or comes from a later version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = open_hdf5(self.path, FORMAT, FORMAT_VERSION)
        try:
            self._snapshots = growing(self._file)
            self._records = growing(self._file["series"])
            self._moments = growing(self._file["velocity"]) if "velocity" in self._file else {}
            self.degree: Integers = self._file["degree"][:]
            self.order: Integers = self._file["order"][:]
            self.attributes: dict[str, Any] = root_attributes(self._file)
            self._counts: list[int] = self.attributes.pop("records").tolist()
            self.times: Floats = self._snapshots["time"][: self._counts[0]]
            self.axes: dict[str, Floats] = {
                name: item[:]
                for name, item in self._file.items()
                if isinstance(item, h5py.Dataset) and item.is_scale and name not in ("time", "lm")
            }
        except (OSError, KeyError, AttributeError, RuntimeError, ValueError) as error:
            self._file.close()
            raise InputError(f"{self.path} is a damaged run file: a part of it is missing or unreadable") from error

    @property
    def config(self) -> dict[str, Any]:
        """The configuration the run was started with; empty if the file has none."""
        config: dict[str, Any] = json.loads(self.attributes.get("config", "{}"))
        return config

    def coefficients(self, index: int) -> NDArray[np.complex128]:
        """Modal coefficients (lm,) of snapshot ``index`` (negative: from the end); IndexError outside."""
        coefficients: NDArray[np.complex128] = self._snapshots["coefficients"][self._row(index)]
        return coefficients

    def density(self, index: int) -> Floats:
        """Nodal density (theta[, phi]) of snapshot ``index``; InputError if the run did not keep densities."""
        if "density" not in self._snapshots:
            raise InputError(f"{self.path} holds no density: it was written with density = false")
        density: Floats = self._snapshots["density"][self._row(index)]
        return density

    @cached_property
    def series(self) -> dict[str, Floats]:
        """Every recorded quantity by name, (n,), (n, d), (n, d, d) or (n, heads), and their times under "t"."""
        return {name: variable[: self._counts[1]] for name, variable in self._records.items()}

    @cached_property
    def velocity(self) -> VelocityRecord | None:
        """The source moments along the run, or None if the file has none."""
        if not self._moments:
            return None
        t = self._moments["t"][: self._counts[2]]
        group = self._file["velocity"]
        return VelocityRecord(t, group["degree"][:], group["order"][:], self._moments["moments"])

    def close(self) -> None:
        """Close the file; harmless when closed already."""
        self._file.close()

    def _row(self, index: int) -> int:
        """The row of a snapshot counted from either end."""
        count = len(self.times)
        if not -count <= index < count:
            raise IndexError(f"{self.path} has {count} snapshots, number {index} was asked for")
        return index % count

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        span = f"t = {self.times[0]:g} to {self.times[-1]:g}" if len(self.times) else "no snapshot yet"
        sizes = f"{len(self.times)} snapshots, {self._counts[1]} records"
        return f"<RunFile {self.path.name}: {self.attributes.get('status')}, {span}, {sizes}>"
