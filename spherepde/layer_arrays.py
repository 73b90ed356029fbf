"""The arrays of a stack of layers as files and tables hold them: read, checked, and brought to one shape."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError

Array = NDArray[np.float64]

MATRICES = ("V", "B", "Q", "K")
NAMES = (*MATRICES, "beta", "times")

SAME_TIME = 1e-12
"""Times closer than this fraction of their size are one time."""


def read_layer_arrays(path: str | os.PathLike[str]) -> dict[str, Array]:
    """The arrays of an .npz or HDF5 file (told by content), checked and shaped by :func:`check_layer_arrays`.

    HDF5 datasets lie at the root. Raises InputError, which begins with the path, if the file cannot be read, holds
    anything else, or its arrays do not fit each other.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"layers: expected the name of an .npz or HDF5 file, got {_short(path)}")
    path = Path(path)
    try:
        raw = _read_hdf5(path) if h5py.is_hdf5(path) else _read_npz(path)
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
        words = (
            os.strerror(error.errno)
            if isinstance(error, OSError) and error.errno
            else "no .npz or HDF5 file of numbers"
        )
        raise InputError(f"{path}: cannot be read ({words}); expected an .npz or HDF5 file of layers") from None
    try:
        return check_layer_arrays(raw)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    with open(path, "rb") as archive:
        if not zipfile.is_zipfile(archive):
            raise ValueError
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _read_hdf5(path: Path) -> dict[str, NDArray[Any]]:
    with h5py.File(path) as file:
        return {name: np.asarray(item[()]) if isinstance(item, h5py.Dataset) else item for name, item in file.items()}


def check_layer_arrays(arrays: Mapping[str, ArrayLike]) -> dict[str, Array]:
    r"""Bring the arrays of L layers of H heads to one shape each; layers and heads are numbered from 0.

    ``V`` (L, H, d, d); ``B`` (L, H, d, d), or ``Q`` and ``K`` (L, H, k, d) with :math:`B=Q^\top K`; without the axis H
    for one head in each layer. V or B left out are identities. ``beta``: a number, (L,) or (L, H), comes out as (L, H).
    ``times`` (n,) passes if its numbers are finite. Raises InputError, one sentence naming array, layer and head.
    """
    if not isinstance(arrays, Mapping):
        raise InputError(f"layers: expected arrays by name, like {{'V': ..., 'B': ...}}, got {_short(arrays)}")
    for name in arrays:
        if name not in NAMES:
            raise InputError(f"unknown array {name}; expected V, B or Q and K, and possibly beta, times")
    if ("Q" in arrays) != ("K" in arrays):
        raise InputError(f"{'Q' if 'Q' in arrays else 'K'} alone; expected both Q and K")
    if "Q" in arrays and "B" in arrays:
        raise InputError("B beside Q and K; expected either B or the pair Q, K")
    matrices = {name: _matrices(name, arrays[name]) for name in MATRICES if name in arrays}
    if not matrices:
        raise InputError("no matrices; expected V, B or Q and K of shape (layers, heads, d, d)")
    first = next(iter(matrices))
    layers, heads, _, dim = matrices[first].shape
    for name, stack in matrices.items():
        square = name in "VB"
        expected = (layers, heads, dim if square else stack.shape[2], dim)
        if name == "K":
            expected = matrices["Q"].shape
        if stack.shape != expected:
            raise InputError(
                f"{name} has shape {stack.shape}; expected {expected} to fit {first} {matrices[first].shape}"
            )
    checked = dict(matrices)
    if "V" not in checked:
        checked["V"] = np.broadcast_to(np.eye(dim), (layers, heads, dim, dim))
    if "beta" in arrays:
        checked["beta"] = check_temperatures(arrays["beta"], layers, heads)
    if "times" in arrays:
        checked["times"] = check_times(arrays["times"])
    return checked


def check_temperatures(value: ArrayLike, layers: int, heads: int) -> Array:
    """Inverse temperatures as (layers, heads) from a number, (layers,) or (layers, heads); InputError if one is ≤ 0."""
    beta = _numbers("beta", value)
    if beta.shape not in ((), (layers,), (layers, heads)):
        raise InputError(f"beta has shape {beta.shape}; expected a number, ({layers},) or ({layers}, {heads})")
    full = np.broadcast_to(beta[:, None] if beta.ndim == 1 else beta, (layers, heads)).copy()
    bad = np.argwhere(~(np.isfinite(full) & (full > 0.0)))
    if bad.size:
        layer, head = bad[0]
        raise InputError(
            f"beta, layer {layer}, head {head}: expected an inverse temperature > 0, got {full[layer, head]:g}"
        )
    return full


def check_times(value: ArrayLike) -> Array:
    """Times as an array (n,); InputError unless they are finite numbers."""
    times = _numbers("times", value)
    if times.ndim != 1 or not np.isfinite(times).all():
        raise InputError(f"times: expected a list of finite numbers, got {_short(value)}")
    return times


def layer_edges(times: ArrayLike | None, layer_time: float | None, layers: int, interpolate: bool) -> Array:
    """When layers act: L + 1 edges, or L times where they are interpolated; multiples of ``layer_time`` if given.

    Raises InputError, naming the layer, unless they are of that number and increase.
    """
    if (times is None) == (layer_time is None):
        got = "neither" if times is None else "both"
        raise InputError(f"layers: expected either the times of the layers or layer_time, got {got}")
    number = layers if interpolate else layers + 1
    if times is None:
        duration = np.asarray(layer_time)
        if duration.ndim or duration.dtype.kind not in "iuf" or not 0.0 < duration < np.inf:
            raise InputError(f"layer_time: expected a duration > 0, got {layer_time!r}")
        return np.arange(number, dtype=np.float64) * float(duration)
    edges = check_times(times)
    if edges.shape != (number,):
        kind = "one for each layer" if interpolate else "the beginning of each layer and the end of the last"
        raise InputError(f"layer times: expected {number} times, {kind}, got {edges.size}")
    short = np.flatnonzero(~(np.diff(edges) > 2.0 * SAME_TIME * np.abs(edges).max()))
    if short.size:
        layer = int(short[0])
        raise InputError(
            f"layer times: layer {layer} would last from {edges[layer]:g} to {edges[layer + 1]:g}; "
            "expected times that increase"
        )
    return edges


def remark_on_layers(edges: Array, layers: int, until: float) -> str | None:
    """A sentence if a run from 0 to ``until`` ends before some layers begin or a whole layer after the last; or None.

    ``edges`` are those of :func:`layer_edges`.
    """
    begin, end = edges[:layers], float(edges[-1])
    idle = np.flatnonzero(begin[1:] >= until * (1.0 - SAME_TIME)) + 1
    if idle.size:
        which = f"layer {idle[0]}" if len(idle) == 1 else f"layers {idle[0]} to {idle[-1]}"
        return f"the run ends at t = {until:g}, before {which}, from t = {begin[idle[0]]:g} on, can act"
    if len(edges) > 1 and until - end > 1.01 * float(np.diff(edges).mean()):
        return f"the layers end at t = {end:g}; the last of them acts on until t = {until:g}"
    return None


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:59] + "…"


def _numbers(name: str, value: Any) -> Array:
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "iuf":
        raise InputError(f"{name}: expected an array of real numbers, got {_short(value)}")
    return np.asarray(array, dtype=np.float64)


def _matrices(name: str, value: Any) -> Array:
    if isinstance(value, list | tuple) and not _regular(value):
        _refuse_ragged(name, _nested(value))
    stack = _numbers(name, value)
    if stack.ndim not in (3, 4) or 0 in stack.shape:
        shape = "(layers, heads, d, d)" if name in "VB" else "(layers, heads, k, d)"
        raise InputError(f"{name} has shape {stack.shape}; expected {shape}, or without heads for one head each")
    if stack.ndim == 3:
        stack = stack[:, None]
    if name in "VB" and stack.shape[2] != stack.shape[3]:
        raise InputError(f"{name}, layer 0, head 0: expected a square matrix, got shape {stack.shape[2:]}")
    bad = np.argwhere(~np.isfinite(stack))
    if bad.size:
        layer, head, row, column = bad[0]
        raise InputError(
            f"{name}, layer {layer}, head {head}: expected finite numbers, got {stack[tuple(bad[0])]} "
            f"in row {row}, column {column}"
        )
    return stack


def _regular(value: Any) -> bool:
    """Whether numpy makes one array of numbers of it."""
    try:
        return np.asarray(value).dtype.kind in "iuf"
    except ValueError:
        return False


def _nested(value: Any) -> Any:
    """Lists for lists, tuples and arrays, at every depth."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [_nested(entry) for entry in value] if isinstance(value, list | tuple) else value


def _refuse_ragged(name: str, layers: list[Any]) -> None:
    """Say where nested lists stop fitting the first matrix; numpy would only say that they do."""
    nested = [layer if _depth(layer) == 3 else [layer] for layer in layers]
    for index, heads in enumerate(nested):
        if len(heads) != len(nested[0]):
            raise InputError(f"{name}, layer {index}: {len(heads)} head(s); expected {len(nested[0])} as in layer 0")
        for head, matrix in enumerate(heads):
            if _shape(matrix) is None or _shape(matrix) != _shape(nested[0][0]):
                expected = _shape(nested[0][0]) or "rows of numbers"
                raise InputError(
                    f"{name}, layer {index}, head {head}: expected {expected}"
                    f"{' as in layer 0, head 0' if (index, head) != (0, 0) else ''}, got {_short(matrix)}"
                )


def _depth(value: Any) -> int:
    return 1 + _depth(value[0]) if isinstance(value, list) and value else 0


def _shape(matrix: Any) -> tuple[int, int] | None:
    """Rows and columns of a list of rows of numbers; None if it is none."""
    if not (isinstance(matrix, list) and matrix and all(isinstance(row, list) and row for row in matrix)):
        return None
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for row in matrix for x in row)
    return (len(matrix), len(matrix[0])) if numbers and len({len(row) for row in matrix}) == 1 else None
