"""What a user may get wrong about tokens: points, weights and options, one sentence each."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..heads import NUMBER, Head
from ..kernels import LARGEST_KAPPA, kernel_bandwidth
from ..spaces.sphere import LARGEST_DEGREE

Real = NDArray[np.float64]

METHODS = ("auto", "fast", "dense")

UNIT_TOLERANCE = 1e-8
"""Vectors this close to unit length are meant to be of unit length, and are normalised."""

LOWEST_TOLERANCE = 1e-12
"""The harmonic sums cannot promise more digits than this."""


@njit(cache=True, error_model="numpy", nogil=True)
def _normalise(points, unit):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Fill ``unit`` with points/|points|; the first row whose length is not one (or not a number), −1 if none."""
    for i in range(points.shape[0]):
        square = 0.0
        for k in range(points.shape[1]):
            square += points[i, k] * points[i, k]
        length = np.sqrt(square)
        if not abs(length - 1.0) < UNIT_TOLERANCE:
            return i
        for k in range(points.shape[1]):
            unit[i, k] = points[i, k] / length
    return -1


def _numbers(what: str, values: ArrayLike) -> Real:
    try:
        array = np.asarray(values)
        if np.iscomplexobj(array):
            raise TypeError
        return np.ascontiguousarray(array, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{what}: expected an array of real numbers, got {type(values).__name__}") from None


def checked_points(what: str, points: ArrayLike, dim: int) -> Real:
    """Unit vectors (n, dim), normalised to rounding. Raises InputError."""
    x = _numbers(what, points)
    if x.ndim != 2 or x.shape[0] == 0 or x.shape[1] != dim:
        raise InputError(f"{what}: expected unit vectors of shape (n, {dim}) to fit the head, got shape {x.shape}")
    unit = np.empty_like(x)
    wrong = _normalise(x, unit)
    if wrong >= 0:
        raise InputError(f"{what}: expected unit vectors, got {x[wrong].tolist()} in row {wrong}")
    return unit


def checked_weights(weights: ArrayLike | None, count: int) -> Real:
    """Weights (count,), finite and ≥ 0, 1/count if None. Raises InputError."""
    if weights is None:
        return np.full(count, 1.0 / count)
    w = _numbers("token weights", weights)
    if w.shape != (count,):
        raise InputError(f"token weights: expected shape ({count},), one for each source, got {w.shape}")
    if not (np.all(np.isfinite(w)) and np.all(w >= 0.0) and np.any(w > 0.0)):
        raise InputError("token weights: expected finite numbers >= 0, not all of them zero")
    return w


def beyond_harmonics(head: Head) -> bool:
    """Whether attention on S¹ or S² sees more degrees than there are harmonics or multipliers for."""
    return head.strength > LARGEST_KAPPA or (head.dim == 3 and kernel_bandwidth(3, head.strength) > LARGEST_DEGREE)


def check_options(head: Head, method: str, tolerance: float, threads: int) -> None:
    """Refuse what :func:`spherepde.token_attention` cannot use. Raises InputError."""
    if not isinstance(head, Head):
        raise InputError(f"token attention: expected one Head, got {type(head).__name__}")
    if method not in METHODS:
        raise InputError(f'token attention: expected method "auto", "fast" or "dense", got {method!r}')
    if method == "fast" and head.dim > 3:
        raise InputError(f'token attention: method "fast" works on S^1 and S^2, got a head of dimension {head.dim}')
    if method == "fast" and beyond_harmonics(head):
        raise InputError(f'token attention: beta = {head.beta:g} is beyond method "fast"; expected method "dense"')
    if not (isinstance(tolerance, NUMBER) and LOWEST_TOLERANCE <= tolerance < 1.0):
        raise InputError(f"token attention: expected a tolerance from {LOWEST_TOLERANCE:g} to 1, got {tolerance!r}")
    if isinstance(threads, bool) or not isinstance(threads, int | np.integer) or threads < 1:
        raise InputError(f"token attention: expected threads >= 1, got {threads!r}")
