"""A finished run file becomes a reference run."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..attention.configured import attention_of
from ..config import parse_config
from ..errors import InputError, StorageError
from ..store import RunFile
from ..store.files import reason_of, replace_file, to_json
from .checksums import array_digest, whole_digest
from .layout import FORMAT, FORMAT_VERSION, LARGEST_FILE
from .low_rank import compress, kernel_weights, thinned_rows

Real = NDArray[np.float64]

VELOCITY_TOLERANCE = 1e-12
"""What packing may add to Z(x), over its mean on the sphere, unless 1e-4 of the run's error bar is more."""
TIME_TOLERANCE = 1e-10
"""What leaving out rows may add to it between them, unless a tenth of the run's error bar is more."""
FEWEST_ROWS = 200
LEFT_OUT = ("format", "format_version", "records", "config", "memory_estimate", "warnings")
"""Attributes of a run file that a reference says itself, or that say something of the machine only."""


def with_time_errors(run: RunFile, looser: RunFile) -> dict[str, Real]:
    """The series of a run, its error bars at least the difference from a run with looser time steps.

    Embedded errors of single steps, which the bars count, may be amplified by the flow later on; the difference of two
    runs has that in it. It is known at common save times; up to each of them since the one before the larger counts.
    """
    series, other = dict(run.series), looser.series
    t = series["t"]
    _, mine, theirs = np.intersect1d(t, other["t"], return_indices=True)
    if t[-1] not in t[mine]:
        raise InputError(f"{looser.path}: expected a run to the same end with the same save times as {run.path}")
    right = np.searchsorted(t[mine], t)
    left = np.maximum(right - 1, 0)
    for name in [name for name in series if f"{name}_error" in series]:
        difference = np.abs(series[name][mine] - other[name][theirs])
        largest = difference.reshape(len(mine), -1).max(axis=1)
        between = np.maximum(largest[left], largest[right]).reshape(-1, *[1] * (series[name].ndim - 1))
        series[f"{name}_error"] = np.maximum(series[f"{name}_error"], between)
    return series


def _packed(arrays: Mapping[str, NDArray[Any]], attributes: Mapping[str, Any]) -> bytes:
    """The HDF5 file as bytes, without times of creation; arrays by their path."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=("earliest", "v110")) as file:
        file.attrs.update(attributes)
        for name, array in arrays.items():
            options: dict[str, Any] = {
                "compression": "gzip",
                "compression_opts": 9,
                "shuffle": True,
                "fletcher32": True,
            }
            stored = file.create_dataset(name, data=array, track_times=False, **(options if array.size else {}))
            stored.attrs["sha256"] = array_digest(array)
    return buffer.getvalue()


def write_reference(path: str | Path, run: RunFile, looser: RunFile, toml: str) -> int:
    """Write the reference ``path`` from a finished run of the configuration text ``toml``; returns its size in bytes.

    ``looser`` is the same run with a larger tolerance, for the error bars (:func:`with_time_errors`). Keeps every
    series, and the source moments at rows close enough in time, packed (:mod:`.low_rank`). Raises InputError for a run
    that did not finish, has no companion or no record of its velocity, and for more than 1 MB; StorageError if the file
    cannot be written.
    """
    path, record = Path(path), run.velocity
    if run.attributes["status"] != "done" or record is None or "second_moment_error" not in run.series:
        raise InputError(f"{run.path}: expected a finished run with a companion and a record of its velocity")
    config = run.config
    dim, moments = config["model"]["dim"], record.moments[: len(record.t)]
    strength = attention_of(parse_config(config, str(run.path))).strength(0.0, float(record.t[-1]))
    series = with_time_errors(run, looser)
    bar = max(float(np.max(series[name])) for name in ("mean_error", "second_moment_error"))
    weighted = moments * kernel_weights(dim, strength, record.degree)
    rows, time_error = thinned_rows(
        dim,
        record.degree,
        record.order,
        record.t,
        run.times,
        weighted,
        max(TIME_TOLERANCE, 0.1 * bar),
        FEWEST_ROWS,
    )
    tolerance = max(VELOCITY_TOLERANCE, 1e-4 * bar)
    packed = compress(dim, record.degree, record.order, moments[rows], strength, tolerance)
    arrays = {f"series/{name}": values[rows] for name, values in series.items()} | {
        "velocity/degree": record.degree,
        "velocity/order": record.order,
        "velocity/weights": packed.weights,
        "velocity/temporal": packed.temporal,
        "velocity/spatial": np.concatenate([packed.spatial.real, packed.spatial.imag], axis=1),
    }
    config["output"]["file"] = f"{path.stem}.run.h5"
    attributes = {name: value for name, value in run.attributes.items() if name not in LEFT_OUT} | {
        "name": path.stem,
        "toml": toml,
        "config": to_json(config),
        "velocity_error": packed.error,
        "interpolation_error": time_error,
        "steps": len(record.t) - 1,
    }
    digests = {name: array_digest(array) for name, array in arrays.items()}
    attributes |= {"sha256": whole_digest(digests, attributes), "format": FORMAT, "format_version": FORMAT_VERSION}
    content = _packed(arrays, attributes)
    if len(content) > LARGEST_FILE:
        raise InputError(
            f"{path} would take {len(content)} bytes; expected at most {LARGEST_FILE}: an earlier end or fewer steps"
        )
    try:
        replace_file(path, content)
    except OSError as error:
        raise StorageError(f"{path} could not be written: {reason_of(error)}") from error
    return len(content)
