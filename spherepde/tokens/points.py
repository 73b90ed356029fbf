"""Unit vectors and weights, as the sums over tokens take them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

Array = NDArray[np.float64]

OFF_SPHERE, EXACT = 1e-6, 1e-8
"""How far lengths may be off 1, and up to where they are left as they are."""


def as_array(values: ArrayLike) -> Array:
    """Numbers as float64."""
    return np.asarray(values, dtype=np.float64)


def normalised(vectors: Array) -> Array:
    """Vectors divided by their lengths."""
    return vectors / as_array(np.linalg.norm(vectors, axis=-1, keepdims=True))


def check_points(what: str, points: ArrayLike, dim: int) -> Array:
    """Unit vectors (n, dim), of length 1 to 1e-6, as single precision holds them; beyond 1e-8 off they are normalised.

    Raises InputError for anything else.
    """
    try:
        x = as_array(points)
    except (TypeError, ValueError):
        raise InputError(f"{what}: expected unit vectors of shape (n, {dim}), got no array of numbers") from None
    if x.ndim != 2 or x.shape[0] == 0 or x.shape[1] != dim:
        raise InputError(f"{what}: expected unit vectors of shape (n, {dim}), got an array of shape {x.shape}")
    length = np.linalg.norm(x, axis=1)
    off = np.abs(length - 1.0)
    if not np.all(off <= OFF_SPHERE):
        row = int(np.argmax(~(off <= OFF_SPHERE)))
        raise InputError(
            f"{what}: expected unit vectors, of length 1 to {OFF_SPHERE:g}, got length {length[row]:.9g} in row {row}"
        )
    return x if np.all(off < EXACT) else normalised(x)


def check_weights(weights: ArrayLike | None, count: int) -> Array:
    """Weights (count,), finite and ≥ 0, 1/count by default. Raises InputError."""
    if weights is None:
        return np.full(count, 1.0 / count)
    w = as_array(weights)
    if w.shape != (count,):
        raise InputError(f"token weights: expected shape ({count},), one for each token, got {w.shape}")
    if not (np.all(np.isfinite(w)) and np.all(w >= 0.0) and np.any(w > 0.0)):
        raise InputError("token weights: expected finite numbers >= 0, not all of them zero")
    return w
