"""Coordinates of the initial sphere: the angle on S¹; longitude about an axis, and colatitude from it, on S²."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

Array = NDArray[np.float64]


def frame_about(axis: ArrayLike | None, dim: int) -> Array:
    """Rows (d, d) of an orthonormal right-handed frame, the last along the axis (by default the last coordinate)."""
    if axis is None or dim == 2:
        return np.eye(dim)
    pole = np.asarray(axis, dtype=np.float64)
    length = np.linalg.norm(pole)
    if pole.shape != (3,) or not (np.isfinite(length) and length > 0.0):
        raise InputError(f"cells: axis = {axis!r}; expected a direction, 3 numbers")
    pole = pole / length
    first = np.eye(3)[np.argmin(np.abs(pole))]
    first = first - (first @ pole) * pole
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(pole, first), pole])


def base_boxes(dim: int, size: float) -> tuple[Array, Array, Array, Array]:
    """Longitudes and half widths (m,), colatitudes and half widths (m,), of equal boxes no longer than ``size``.

    On S¹ the angle stands for the colatitude, and there are no longitudes.
    """
    whole = 2.0 * np.pi if dim == 2 else np.pi
    rows = max(4 if dim == 2 else 2, int(np.ceil(whole / size)))
    across: Array = np.asarray((np.arange(rows) + 0.5) * (whole / rows), dtype=np.float64)
    half_across: Array = np.full(rows, 0.5 * whole / rows)
    if dim == 2:
        return np.zeros(rows), np.zeros(rows), across, half_across
    columns = max(4, int(np.ceil(2.0 * np.pi / size)))
    along: Array = np.asarray((np.arange(columns) + 0.5) * (2.0 * np.pi / columns), dtype=np.float64)
    return (
        np.repeat(along, rows),
        np.full(rows * columns, np.pi / columns),
        np.tile(across, columns),
        np.tile(half_across, columns),
    )


def embed(frame: Array, along: Array, across: Array) -> tuple[Array, Array]:
    """Unit vectors (..., d) and area elements (...) at longitudes and colatitudes (...), on S¹ the latter alone."""
    if len(frame) == 2:
        return np.stack([np.cos(across), np.sin(across)], axis=-1), np.ones(across.shape)
    sine = np.sin(across)
    local = np.stack([sine * np.cos(along), sine * np.sin(along), np.cos(across)], axis=-1)
    return local @ frame, sine
