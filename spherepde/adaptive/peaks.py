"""Peaks of a density that are narrower than the nodes which first look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Density = Callable[[Array], Array]

SCAN = {2: 1 << 19, 3: 1000}
"""Points of the scan in angle on S¹ and in colatitude on S², twice as many in longitude."""
BLOCK = 64
"""Colatitudes looked at at once."""
BROAD = 0.1
"""Half width, in radians, from which on the first nodes see a peak."""
MOST = 64
"""Peaks followed, the highest ones."""
ASCENT = 60
"""Rounds of the ascent to the top, with ever smaller steps."""
AROUND = 16
"""Directions looked into from a point on S²."""
HEIGHT = 0.5
"""Of the top, where the width is measured."""


class Peaks(NamedTuple):
    """Tops (k, d), unit vectors, and the distances (k,) within which the density falls to half, in radians."""

    tops: Array
    widths: Array


def sharp_peaks(density: Density, dim: int) -> Peaks:
    """The peaks of a density on S^{d−1} narrower than 0.1 that a scan of spacing 1e-5 (S¹) or 3e-3 (S²) sees.

    A von Mises–Fisher density is seen where it does not underflow, up to a concentration of 1e7 on S² and beyond 1e10
    on S¹; a peak in a sea of other mass has to stand out of it over the spacing.
    """
    tops = np.concatenate([np.empty((0, dim)), *_maxima(density, dim)])
    tops = tops[np.argsort(-_values(density, tops))][:MOST] if len(tops) else tops
    if not len(tops):
        return Peaks(tops, np.empty(0))
    tops = _ascended(density, tops, np.pi / SCAN[3] if dim == 3 else 2.0 * np.pi / SCAN[2])
    widths = _widths(density, tops)
    kept: list[int] = []
    for i in np.flatnonzero(widths < BROAD):
        if all(np.linalg.norm(tops[i] - tops[j]) > widths[j] for j in kept):
            kept.append(int(i))
    return Peaks(tops[kept], widths[kept])


def _values(density: Density, points: Array) -> Array:
    return np.asarray(density(points.reshape(-1, points.shape[-1])), dtype=np.float64).reshape(points.shape[:-1])


def _maxima(density: Density, dim: int) -> Iterator[Array]:
    """Points (n, d) of the scan at which the density is positive and nowhere near larger."""
    count = SCAN[dim]
    if dim == 2:
        angle = 2.0 * np.pi * np.arange(count) / count
        points = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        values = _values(density, points)
        before, after = np.roll(values, 1), np.roll(values, -1)
        yield _highest(points, values, (values >= before) & (values >= after) & (values > np.minimum(before, after)))
        return
    longitude = np.pi * np.arange(2 * count) / count
    ring = np.stack([np.cos(longitude), np.sin(longitude)], axis=-1)
    for first in range(0, count, BLOCK):
        rows = np.arange(max(first - 1, 0), min(first + BLOCK + 1, count))
        colatitude = (rows + 0.5) * (np.pi / count)
        points = np.empty((len(rows), len(ring), 3))
        points[..., :2], points[..., 2] = np.sin(colatitude)[:, None, None] * ring, np.cos(colatitude)[:, None]
        values = _values(density, points)
        padded = np.pad(values, ((1, 1), (0, 0)), mode="edge")
        near = np.stack([padded[:-2], padded[2:], np.roll(values, 1, axis=1), np.roll(values, -1, axis=1)])
        top = (values >= near.max(axis=0)) & (values > near.min(axis=0))
        own = (rows >= first) & (rows < first + BLOCK)  # the rows beside a block only bound it
        yield _highest(points[own], values[own], top[own])


def _highest(points: Array, values: Array, chosen: NDArray[np.bool_]) -> Array:
    points, values = points[chosen], values[chosen]
    return points[np.argsort(-values)[:MOST]]


def _around(points: Array, radius: Array) -> Array:
    """Points (k, n, d) at a distance (k,) from points (k, d), in all directions."""
    if points.shape[1] == 2:
        tangents = np.stack([-points[:, 1], points[:, 0]], axis=-1)[:, None] * np.array([[-1.0], [1.0]])
    else:
        first = np.cross(points, np.eye(3)[np.argmin(np.abs(points), axis=1)])
        first /= np.linalg.norm(first, axis=1, keepdims=True)
        angle = 2.0 * np.pi * np.arange(AROUND) / AROUND
        tangents = np.cos(angle)[:, None] * first[:, None] + np.sin(angle)[:, None] * np.cross(points, first)[:, None]
    found = np.cos(radius)[:, None, None] * points[:, None] + np.sin(radius)[:, None, None] * tangents
    return np.asarray(found / np.linalg.norm(found, axis=-1, keepdims=True))


def _ascended(density: Density, points: Array, step: float) -> Array:
    """Points moved uphill as long as one around is higher, by half as far where none is."""
    best, radius = _values(density, points), np.full(len(points), step)
    for _ in range(ASCENT):
        around = _around(points, radius)
        values = _values(density, around)
        highest = values.argmax(axis=1)
        rows = np.arange(len(points))
        higher = values[rows, highest] > best
        points = np.where(higher[:, None], around[rows, highest], points)
        best = np.where(higher, values[rows, highest], best)
        radius = np.where(higher, radius, 0.5 * radius)
    return points


def _widths(density: Density, tops: Array) -> Array:
    """The largest 2^{−k} (k,) within which the density nowhere falls below half its value at the top."""
    best, radius = _values(density, tops), np.ones(len(tops))
    for _ in range(ASCENT):
        low = _values(density, _around(tops, radius)).min(axis=1) < HEIGHT * best
        if not low.any():
            break
        radius = np.where(low, 0.5 * radius, radius)
    return radius
