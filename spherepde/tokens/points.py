"""Unit vectors and weights, as the sums over tokens take them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

Array = NDArray[np.float64]


def as_array(values: ArrayLike) -> Array:
    """Numbers as float64."""
    return np.asarray(values, dtype=np.float64)


def normalised(vectors: Array) -> Array:
    """Vectors divided by their lengths."""
    return vectors / as_array(np.linalg.norm(vectors, axis=-1, keepdims=True))


def check_points(what: str, points: ArrayLike, dim: int) -> Array:
    """Unit vectors (n, dim), to 1e-8. Raises InputError."""
    x = as_array(points)
    if x.ndim != 2 or x.shape[0] == 0 or x.shape[1] != dim:
        raise InputError(f"{what}: expected unit vectors of shape (n, {dim}), got an array of shape {x.shape}")
    if not np.all(np.abs(np.linalg.norm(x, axis=1) - 1.0) < 1e-8):
        raise InputError(f"{what}: expected unit vectors, got lengths {np.linalg.norm(x, axis=1).tolist()[:5]}")
    return x


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
