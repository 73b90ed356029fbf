"""The empty run file: groups, dimensions and attributes, in netCDF-4 as h5netcdf writes it.

::

    /          time*, axes (theta[, phi]), lm     time, theta, phi, density (time, axes),
                                                  coefficients (time, lm), degree, order (lm)
    /series    t*, component, component_2, head   t and one variable per SeriesSpec
    /velocity  t*, lm_source                      t, degree, order (lm_source), moments (t, lm_source)

Stars are unlimited dimensions. The source moments have a dimension of their own because a tree of
groups may not hold two lengths of ``lm``: ``xarray.open_datatree`` would refuse it. Complex numbers
use the named compound type {r, i} that netCDF-C and h5netcdf agree upon. The root attribute
``records`` counts the rows of the three groups that are complete.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h5netcdf
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .files import to_json

FORMAT = "spherepde run"
FORMAT_VERSION = 1

CHUNK_BYTES = 2**18
CHUNK_ROWS = 1024
RESERVED = ("t", "component", "component_2", "head")
MODES = "degree order"


@dataclass(frozen=True)
class SeriesSpec:
    """One recorded quantity: trailing shape (), (d,) or (d, d), what it is in words, and what its entries belong to.

    ``along`` names the dimension of a vector: "component" of R^d, or another that has its own length, like "head".
    """

    shape: tuple[int, ...]
    long_name: str
    along: str = "component"

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the trailing dimensions."""
        return (self.along, f"{self.along}_2")[: len(self.shape)]


def attribute(value: Any) -> str | int | float:
    """A value as netCDF can hold it: text and numbers as they are, everything else as JSON text."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    return to_json(value)


def _chunk(row: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Chunk shape of a variable with this row: about CHUNK_BYTES, at least one and at most CHUNK_ROWS rows."""
    size = max(1, int(np.prod(row, dtype=np.int64)) * itemsize)
    return (min(CHUNK_ROWS, max(1, CHUNK_BYTES // size)), *(max(1, n) for n in row))


def _growing(
    group: h5netcdf.Group, name: str, dims: tuple[str, ...], row: tuple[int, ...], dtype: type, **attributes: str
) -> None:
    """Create a variable without rows yet along the unlimited ``dims[0]``; ``row`` is the shape of one."""
    variable = group.create_variable(name, dims, dtype, chunks=_chunk(row, np.dtype(dtype).itemsize))
    variable.attrs.update(attributes, units="1")


def _modes(group: h5netcdf.Group, dim: str, degree: NDArray[np.integer[Any]], order: NDArray[np.integer[Any]]) -> int:
    """Create the dimension of the harmonics with their degree and order; returns its length."""
    degree, order = np.asarray(degree), np.asarray(order)
    if degree.ndim != 1 or degree.shape != order.shape:
        raise InputError(f"degree {degree.shape} and order {order.shape}: expected two lists of one length")
    group.dimensions[dim] = degree.size
    for name, values in (("degree", degree), ("order", order)):
        variable = group.create_variable(name, (dim,), np.int64, data=values.astype(np.int64))
        variable.attrs.update(long_name=f"{name} of the harmonic", units="1")
    return int(degree.size)


def _series(group: h5netcdf.Group, series: Mapping[str, SeriesSpec]) -> None:
    """Create the dense axis ``t`` and the recorded quantities along it."""
    sizes = {(spec.along, n) for spec in series.values() for n in spec.shape}
    if len(dict(sizes)) < len(sizes) or any(len(spec.shape) > 2 for spec in series.values()):
        shapes = {name: spec.shape for name, spec in series.items() if spec.shape}
        raise InputError(f"series of shapes {shapes}: expected (), (d,) or (d, d) with a single d")
    group.dimensions["t"] = None
    lengths = dict(sizes)
    for spec in series.values():
        group.dimensions.update({dim: lengths[spec.along] for dim in spec.dims if dim not in group.dimensions})
    _growing(group, "t", ("t",), (), np.float64, long_name="time of each record")
    for name, spec in series.items():
        if name in RESERVED or not name.isidentifier():
            raise InputError(f"series named {name!r}: expected a word of letters, digits and _ other than {RESERVED}")
        _growing(group, name, ("t", *spec.dims), spec.shape, np.float64, long_name=spec.long_name)


def empty_run_file(
    axes: Mapping[str, NDArray[np.float64]],
    degree: NDArray[np.integer[Any]],
    order: NDArray[np.integer[Any]],
    series: Mapping[str, SeriesSpec],
    velocity_degree: NDArray[np.integer[Any]] | None,
    velocity_order: NDArray[np.integer[Any]] | None,
    save_density: bool,
    attributes: Mapping[str, Any],
) -> bytes:
    """The bytes of a run file that holds no record yet: see the module's picture of it.

    ``axes``: name -> coordinates (n,), in the order of the density's axes; ``degree`` and ``order``
    (lm,) of the coefficients, and of the source moments if given; ``attributes`` become root attributes
    (text and numbers as they are, everything else as JSON).
    Raises InputError for shapes or names that do not fit the layout. Built in memory, so that a full
    disk meets a plain write of bytes.
    """
    if (velocity_degree is None) != (velocity_order is None):
        raise InputError("source moments: expected degree and order, both or neither")
    buffer = io.BytesIO()
    with h5netcdf.File(buffer, "w") as file:
        file.dimensions["time"] = None
        for name, values in axes.items():
            values = np.asarray(values, dtype=np.float64)
            if values.ndim != 1 or name in ("time", "lm"):
                raise InputError(f"axis {name!r} of shape {values.shape}: expected a list of coordinates")
            file.dimensions[name] = values.size
            words = {"theta": "colatitude" if "phi" in axes else "angle", "phi": "longitude"}.get(name, name)
            file.create_variable(name, (name,), np.float64, data=values).attrs.update(long_name=words, units="1")
        _growing(file, "time", ("time",), (), np.float64, long_name="time of each snapshot")
        modes = _modes(file, "lm", degree, order)
        words = "modal coefficients of the density"
        _growing(file, "coefficients", ("time", "lm"), (modes,), np.complex128, long_name=words, coordinates=MODES)
        if save_density:
            row = tuple(np.size(values) for values in axes.values())
            words = "density with respect to the surface measure"
            _growing(file, "density", ("time", *axes), row, np.float64, long_name=words)
        _series(file.create_group("series"), series)
        if velocity_degree is not None and velocity_order is not None:
            group = file.create_group("velocity")
            group.dimensions["t"] = None
            modes = _modes(group, "lm_source", velocity_degree, velocity_order)
            _growing(group, "t", ("t",), (), np.float64, long_name="time of each record")
            words = "source moments: the modes of the density that attention sees"
            dims = ("t", "lm_source")
            _growing(group, "moments", dims, (modes,), np.complex128, long_name=words, coordinates=MODES)
        file.attrs["records"] = np.zeros(3, dtype=np.int64)
        for key, value in attributes.items():
            file.attrs[key] = attribute(value)
    return buffer.getvalue()
