r"""W₁ and W₂ between atoms on the circle in milliseconds, for the thousands of samples that a band takes.

Source: Rabin, Delon and Gousseau, SSVM 2011, for W₁; Delon, Salomon and Sobolevskii, SIAM J. Appl. Math. 70 (2010)
2239, for W₂.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]

TURN = 2.0 * np.pi
GOLDEN = 0.5 * (np.sqrt(5.0) - 1.0)


@njit(cache=True, error_model="numpy")
def _differences(x: Array, a: Array, y: Array, b: Array, levels: Array, lengths: Array) -> int:
    """F − G on the intervals between the atoms of two sorted measures on [0, 2π), with the intervals' lengths."""
    i, j, level, count, last = 0, 0, 0.0, 0, 0.0
    while i < x.size or j < y.size:
        from_x = j >= y.size or (i < x.size and x[i] <= y[j])
        here = x[i] if from_x else y[j]
        levels[count], lengths[count] = level, here - last
        count, last = count + 1, here
        if from_x:
            level += a[i]
            i += 1
        else:
            level -= b[j]
            j += 1
    levels[count], lengths[count] = level, TURN - last
    return count + 1


@njit(cache=True, error_model="numpy")
def _squares(x: Array, a: Array, y: Array, b: Array, shift: float) -> float:
    r"""∫(q_x(u) − q_y(u + shift))² du over one turn, q lifted quantile functions."""
    turns = np.floor(shift)
    level = shift - turns
    j, rest = 0, level
    while j < y.size - 1 and rest >= b[j]:
        rest -= b[j]
        j += 1
    lift = TURN * turns
    room = b[j] - rest
    total = 0.0
    for i in range(x.size):
        mass = a[i]
        while mass > 0.0:
            moved = min(mass, room)
            gap = x[i] - y[j] - lift
            total += moved * gap * gap
            mass -= moved
            room -= moved
            if room <= 1e-15:
                j += 1
                if j == y.size:
                    j, lift = 0, lift + TURN
                room = b[j]
    return total


@njit(cache=True, error_model="numpy")
def _least_squares(x: Array, a: Array, y: Array, b: Array) -> float:
    """The minimum over all shifts of ``_squares``, which is convex, by golden sections."""
    centre = (np.sum(a * x) - np.sum(b * y)) / TURN
    low, high = centre - 1.0, centre + 1.0
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = _squares(x, a, y, b, left), _squares(x, a, y, b, right)
    while high - low > 1e-10:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN * (high - low)
            at_left = _squares(x, a, y, b, left)
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN * (high - low)
            at_right = _squares(x, a, y, b, right)
    return min(at_left, at_right)


def circle_distances(x: Array, a: Array, y: Array, b: Array) -> tuple[float, float]:
    r"""Geodesic W₁ and W₂ between atoms at angles x (n,) and y (m,), ascending in [0, 2π), weights of sum 1.

    .. math:: W_1=\min_c\int_0^{2\pi}|F-G-c|\,d\theta,\qquad W_2^2=\min_s\int_0^1|q_x(u)-q_y(u+s)|^2du

    The first exactly, c being a weighted median; the second to 1e-9. Nothing is checked: weights positive, O(n + m).
    """
    levels, lengths = np.empty(x.size + y.size + 1), np.empty(x.size + y.size + 1)
    count = _differences(x, a, y, b, levels, lengths)
    order = np.argsort(levels[:count])
    levels, lengths = levels[order], lengths[order]
    median = levels[min(int(np.searchsorted(np.cumsum(lengths), 0.5 * TURN)), count - 1)]
    return float(np.abs(levels - median) @ lengths), float(np.sqrt(max(_least_squares(x, a, y, b), 0.0)))


def on_circle(points: Array, weights: Array) -> tuple[Array, Array]:
    """Angles (n,) of points (n, 2), ascending in [0, 2π), with their weights: what :func:`circle_distances` takes."""
    present = weights > 0.0
    angle = np.arctan2(points[present, 1], points[present, 0]) % TURN
    order = np.argsort(angle)
    return angle[order], weights[present][order]
