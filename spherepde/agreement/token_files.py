"""Token trajectories as other people's codes write them: read, checked, and brought to one shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, is_zipfile

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Array = NDArray[np.float64]

NAMES = ("t", "x", "angles", "weights")
LENGTH_TOLERANCE = 1e-5
"""Lengths off 1 by less are rounding (float32, a few operations): the tokens are scaled back to the sphere."""
MASS_TOLERANCE = 1e-5
"""Sums of weights off 1 by less are rounding."""


@dataclass(frozen=True, eq=False, repr=False)
class Trajectories:
    """Tokens at T times: ``t`` (T,), ``positions`` (T, N, d) unit vectors, ``weights`` (T, N) or None for equal ones.

    ``source`` says where they are from.
    """

    t: Array
    positions: Array
    weights: Array | None
    source: str

    @property
    def dim(self) -> int:
        """Dimension d of the ambient space."""
        return int(self.positions.shape[2])

    @property
    def count(self) -> int:
        """Number N of tokens."""
        return int(self.positions.shape[1])

    def effective_counts(self) -> NDArray[np.int64]:
        r"""Number of equal tokens that scatter as much, :math:`1/\sum_iw_i^2` at each time (T,), rounded."""
        if self.weights is None:
            return np.full(len(self.t), self.count)
        return np.maximum(np.rint(1.0 / np.sum(self.weights**2, axis=1)), 1.0).astype(np.int64)

    def __repr__(self) -> str:
        weighted = "" if self.weights is None else "weighted "
        return f"Trajectories({self.count} {weighted}tokens on S^{self.dim - 1} at {len(self.t)} times, {self.source})"


def read_tokens(tokens: str | Path | Mapping[str, Any]) -> Trajectories:
    r"""Tokens from an ``.npz`` file (``numpy.savez``) or from arrays by name.

    ``t`` (T,) increasing times; ``x`` (T, N, d) unit vectors, or ``angles`` (T, N) on the circle, radians, any lift;
    optionally ``weights`` (N,) or (T, N), each ≥ 0 with sum 1. Other arrays are left alone. Single precision will do:
    lengths and sums within 1e-5 of 1 are set to 1. Raises InputError, one sentence, for a file that is no such archive,
    arrays that are missing or do not fit, numbers that are not finite, and tokens off the sphere.
    """
    if isinstance(tokens, Mapping):
        return _checked(dict(tokens), "tokens")
    if not isinstance(tokens, str | Path):
        kind = type(tokens).__name__
        raise InputError(f"tokens: got {kind}; expected the path of an .npz archive, or arrays t and x by name")
    path = Path(tokens)
    if not path.is_file():
        raise InputError(f"{path} is no file; expected an .npz archive of tokens")
    if not is_zipfile(path):
        raise InputError(f"{path} is no .npz archive; expected one written by numpy.savez")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in NAMES if name in archive.files}
    except (BadZipFile, OSError, ValueError, EOFError):
        raise InputError(f"{path} holds no readable arrays of numbers; expected what numpy.savez writes") from None
    return _checked(arrays, str(path))


def _checked(arrays: dict[str, Any], source: str) -> Trajectories:
    if "t" not in arrays or not ({"x", "angles"} & set(arrays)):
        missing = "t" if "t" not in arrays else "x"
        raise InputError(f"{source}: no array {missing}; expected t (T,), and x (T, N, d) or angles (T, N)")
    if {"x", "angles"} <= set(arrays):
        raise InputError(f"{source}: both x and angles; expected one of them")
    t = _numbers(source, "t", arrays["t"])
    if t.ndim != 1 or t.size == 0:
        raise InputError(f"{source}: t has shape {t.shape}; expected (T,), one time for each row of positions")
    if not np.all(np.diff(t) > 0.0):
        late = int(np.flatnonzero(~(np.diff(t) > 0.0))[0]) + 1
        raise InputError(f"{source}: t[{late}] = {t[late]:g} follows {t[late - 1]:g}; expected increasing times")
    positions = _from_angles(source, arrays["angles"]) if "angles" in arrays else _from_points(source, arrays["x"])
    if len(positions) != len(t):
        name = "angles" if "angles" in arrays else "x"
        raise InputError(f"{source}: {name} has {len(positions)} rows and t {len(t)} times; expected as many")
    weights = None if "weights" not in arrays else _weights(source, arrays["weights"], positions.shape[:2])
    return Trajectories(t, positions, weights, source)


def _from_angles(source: str, value: Any) -> Array:
    angles = _numbers(source, "angles", value)
    if angles.ndim != 2 or angles.size == 0:
        raise InputError(f"{source}: angles has shape {angles.shape}; expected (T, N)")
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def _from_points(source: str, value: Any) -> Array:
    x = _numbers(source, "x", value)
    if x.ndim != 3 or x.size == 0 or x.shape[2] not in (2, 3):
        raise InputError(f"{source}: x has shape {x.shape}; expected (T, N, d) with d = 2 or 3")
    length = np.linalg.norm(x, axis=2)
    off = np.abs(length - 1.0)
    if off.max() > LENGTH_TOLERANCE:
        time, token = np.unravel_index(int(off.argmax()), off.shape)
        raise InputError(f"{source}: x[{time}, {token}] has length {length[time, token]:.9g}; expected unit vectors")
    return np.asarray(x / length[..., None])


def _weights(source: str, value: Any, shape: tuple[int, ...]) -> Array:
    w = _numbers(source, "weights", value)
    if w.shape not in (shape, shape[1:]):
        raise InputError(f"{source}: weights has shape {w.shape}; expected {shape[1:]} or {shape}")
    if w.min() < 0.0:
        raise InputError(f"{source}: weights go down to {w.min():.3g}; expected numbers >= 0")
    sums = w.sum(axis=-1, keepdims=True)
    if np.abs(sums - 1.0).max() > MASS_TOLERANCE:
        worst = float(sums.ravel()[np.abs(sums - 1.0).argmax()])
        raise InputError(f"{source}: weights sum to {worst:.9g}; expected 1")
    return np.broadcast_to(w / sums, shape).copy()


def _numbers(source: str, name: str, value: Any) -> Array:
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "fiu":
        raise InputError(f"{source}: {name} is no array of real numbers; expected numbers, not {array.dtype}")
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        where = ", ".join(str(i) for i in bad[0])
        raise InputError(f"{source}: {name}[{where}] is {array[tuple(bad[0])]}; expected finite numbers")
    return array.astype(np.float64)
