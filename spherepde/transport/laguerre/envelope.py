r"""Which of a few shifted costs is the smallest along a line of a tile, and where that changes (compiled).

A tile is a square of face coordinates (see module ``patches``) with centre (a, b) and half width h.
Along a line one of its coordinates s, t ∈ [−1, 1] is fixed and the other runs. Atoms come in the frame of the face,
rows (⟨y,n⟩, ⟨y,u⟩, ⟨y,v⟩), with the shift ψ in ``shift``: the competing functions are :math:`c(x,y_k)-\psi_k`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .ground import cost_of, slope_of

MOST_PIECES = 24
"""Pieces a line of a tile may be cut into; a tile with more is cut into four first."""


@njit(cache=True, error_model="numpy")
def shifted_cost(kind, atom, shift, tile, fixed, running, along_b):  # type: ignore[no-untyped-def]
    """c(x, y) − ψ and its derivative along the running coordinate, at one point of a tile (a, b, h)."""
    if along_b:
        a, b = tile[0] + tile[2] * fixed, tile[1] + tile[2] * running
        axis, position = atom[2], b
    else:
        a, b = tile[0] + tile[2] * running, tile[1] + tile[2] * fixed
        axis, position = atom[1], a
    r = 1.0 / np.sqrt(1.0 + a * a + b * b)
    dn, du, dv = r - atom[0], a * r - atom[1], b * r - atom[2]
    q = dn * dn + du * du + dv * dv
    cosine = (atom[0] + a * atom[1] + b * atom[2]) * r
    rate = -2.0 * r * (axis - cosine * r * position) * tile[2]
    return cost_of(kind, q) - shift, slope_of(kind, q) * rate


@njit(cache=True, error_model="numpy")
def _difference(kind, first, second, tile, fixed, running, along_b):  # type: ignore[no-untyped-def]
    """(c − ψ)(first) − (c − ψ)(second) with its derivative; atoms are rows (⟨y,n⟩, ⟨y,u⟩, ⟨y,v⟩, ψ)."""
    f, df = shifted_cost(kind, first, first[3], tile, fixed, running, along_b)
    g, dg = shifted_cost(kind, second, second[3], tile, fixed, running, along_b)
    return f - g, df - dg


@njit(cache=True, error_model="numpy")
def _root(kind, first, second, tile, fixed, along_b, left, right, at_left, at_right):  # type: ignore[no-untyped-def]
    """Where the difference falls through zero in [left, right]: safeguarded Newton from the secant."""
    z = left + (right - left) * at_left / (at_left - at_right)
    for _ in range(60):
        if not (left < z < right):
            z = 0.5 * (left + right)
        value, slope = _difference(kind, first, second, tile, fixed, z, along_b)
        if value > 0.0:
            left = z
        else:
            right = z
        step = value / slope if slope != 0.0 else 0.0
        following = z - step
        if abs(step) < 1e-13 or right - left < 1e-15:
            return min(max(following, left), right) if slope != 0.0 else z
        z = following
    return z


@njit(cache=True, error_model="numpy")
def first_crossing(kind, other, current, tile, fixed, along_b, left, right):  # type: ignore[no-untyped-def]
    """First z in [left, right] where ``other`` becomes smaller than ``current``; beyond ``right`` if nowhere."""
    never = right + 1.0
    at_left, slope_left = _difference(kind, other, current, tile, fixed, left, along_b)
    at_right, slope_right = _difference(kind, other, current, tile, fixed, right, along_b)
    if at_left <= 0.0:  # a crossing of rounding size at the start, or a tie that other loses at once
        if slope_left < 0.0:
            return left
        if at_right >= 0.0:
            return never
        middle = 0.5 * (left + right)
        value, _ = _difference(kind, other, current, tile, fixed, middle, along_b)
        if value <= 0.0:
            return left
        return _root(kind, other, current, tile, fixed, along_b, middle, right, value, at_right)
    if at_right < 0.0:
        return _root(kind, other, current, tile, fixed, along_b, left, right, at_left, at_right)
    if slope_left < 0.0 and slope_right > 0.0:  # it may dip below zero in between
        meet = (at_right - at_left + slope_left * left - slope_right * right) / (slope_left - slope_right)
        if at_left + slope_left * (meet - left) >= 0.0:
            return never
        low, high, low_slope, high_slope = left, right, slope_left, slope_right
        for _ in range(40):
            middle = low - low_slope * (high - low) / (high_slope - low_slope)
            if not (low < middle < high):
                middle = 0.5 * (low + high)
            value, slope = _difference(kind, other, current, tile, fixed, middle, along_b)
            if value < 0.0:
                return _root(kind, other, current, tile, fixed, along_b, left, middle, at_left, value)
            if abs(slope) < 1e-12 * (abs(slope_left) + abs(slope_right)):
                return never
            if slope < 0.0:
                low, low_slope = middle, slope
            else:
                high, high_slope = middle, slope
    return never


@njit(cache=True, error_model="numpy")
def lower_envelope(kind, atoms, count, tile, fixed, along_b, breaks, labels):  # type: ignore[no-untyped-def]
    """Cut the line into intervals on which one atom wins.

    Fills ``labels[m]`` and the end ``breaks[m]`` of interval m; returns their number, or −1 if there are too many.
    """
    current, smallest, falling = 0, np.inf, np.inf
    for k in range(count):
        value, slope = shifted_cost(kind, atoms[k], atoms[k, 3], tile, fixed, -1.0, along_b)
        if value < smallest or (value == smallest and slope < falling):
            current, smallest, falling = k, value, slope
    position = -1.0
    for piece in range(MOST_PIECES):
        nearest, following = 2.0, -1
        for k in range(count):
            if k != current:
                z = first_crossing(kind, atoms[k], atoms[current], tile, fixed, along_b, position, 1.0)
                if z < nearest:
                    nearest, following = z, k
        labels[piece] = current
        if following < 0 or nearest >= 1.0:
            breaks[piece] = 1.0
            return piece + 1
        breaks[piece] = nearest
        current, position = following, nearest
    return -1
