r"""The c-transform on the 2-sphere of a potential on a great circle, point by point.

With latitude λ over the circle's plane and longitude φ in it, a point is :math:`\cos d=\cos\lambda\cos\Delta` from the
circle's point at φ + Δ, and

.. math:: \psi^c(\lambda,\varphi)=\min_\Delta c(\lambda,\Delta)-\psi(\varphi+\Delta)

is attained where :math:`c_\Delta=\psi'`. On rows where the cost outweighs the potential that equation has one root,
in a known bracket; on the others (near the circle's poles) the minimum is searched for over the whole circle first.
"""

from __future__ import annotations

from math import atan2, cos, pi, sin, sqrt

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .costs import Cost

Array = NDArray[np.float64]

STEP_TOLERANCE = 1e-9
"""Newton's last step; the error left behind is its square times the curvature ratio."""
LARGEST_SOLVE = 80

_KINDS = {(1.0, "geodesic"): 0, (2.0, "geodesic"): 1, (1.0, "chordal"): 2, (2.0, "chordal"): 3}


def cost_kind(cost: Cost) -> int | None:
    """The number by which the compiled code knows the cost; None for an exponent other than 1 and 2."""
    return _KINDS.get((float(cost.p), cost.ground))


@njit(cache=True, error_model="numpy")
def _cost(kind: int, row: tuple[float, float], delta: float) -> tuple[float, float, float]:
    """Cost of moving by Δ in longitude down to the circle, and its first two derivatives with respect to Δ.

    ``row`` holds the sine and the cosine of the latitude.
    """
    across, along = row
    s, co = sin(delta), cos(delta)
    if kind <= 1:
        sine2 = across * across + along * along * s * s
        sine, cosine = sqrt(sine2), along * co
        d = atan2(sine, cosine)
        d1 = along * s / sine
        d2 = cosine * across * across / (sine2 * sine)
        if kind == 0:
            return d, d1, d2
        return d * d, 2.0 * d * d1, 2.0 * (d1 * d1 + d * d2)
    turn = sin(0.5 * delta)
    chord2 = 2.0 * across * across / (1.0 + along) + 4.0 * along * turn * turn
    if kind == 3:
        return chord2, 2.0 * along * s, 2.0 * along * co
    chord = sqrt(chord2)
    slope = along * s / chord
    return chord, slope, (along * co - slope * slope) / chord


@njit(cache=True, error_model="numpy")
def _potential(table: Array, position: float) -> tuple[float, float, float]:
    """The potential and two derivatives with respect to the node number, from the quintics of its table."""
    n = table.shape[0]
    node = int(np.floor(position))
    x = position - node
    q = table[node % n]
    value = q[0] + x * (q[1] + x * (q[2] + x * (q[3] + x * (q[4] + x * q[5]))))
    slope = q[1] + x * (2.0 * q[2] + x * (3.0 * q[3] + x * (4.0 * q[4] + x * 5.0 * q[5])))
    curvature = 2.0 * q[2] + x * (6.0 * q[3] + x * (12.0 * q[4] + x * 20.0 * q[5]))
    return value, slope, curvature


@njit(cache=True, error_model="numpy")
def _minimum(
    kind: int, row: tuple[float, float], table: Array, base: float, low: float, high: float, start: float
) -> tuple[float, float, float, float]:
    """Safeguarded Newton for c_Δ = ψ' inside a bracket: value of c − ψ, cost, curvature, Δ."""
    nodes_per_radian = table.shape[0] / (2.0 * pi)
    x = min(max(start, low), high)
    for _ in range(LARGEST_SOLVE):
        _, c1, c2 = _cost(kind, row, x)
        _, p1, p2 = _potential(table, base + x * nodes_per_radian)
        f = c1 - p1 * nodes_per_radian
        bend = c2 - p2 * nodes_per_radian * nodes_per_radian
        if f > 0.0:
            high = x
        else:
            low = x
        move = -f / bend if bend > 0.0 else np.inf
        if not low <= x + move <= high:
            move = 0.5 * (low + high) - x
        x += move
        if abs(move) < STEP_TOLERANCE:
            break
    c, _, c2 = _cost(kind, row, x)
    p, _, p2 = _potential(table, base + x * nodes_per_radian)
    return c - p, c, c2 - p2 * nodes_per_radian * nodes_per_radian, x


@njit(cache=True, error_model="numpy")
def _bracket(kind: int, row: tuple[float, float], slope: float, curvature: float, oscillation: float) -> float:
    """Half-width of an interval around Δ = 0 that holds the only root, and the global minimum; −1 if none is known.

    c_Δ rises from zero to one maximum and falls back to zero at the antipode, and c_ΔΔ decreases before it. Beyond a
    right angle the cost alone exceeds what the potential can give back.
    """
    far, far1, _ = _cost(kind, row, 0.5 * pi)
    near, _, _ = _cost(kind, row, 0.0)
    if not (far1 > slope and far - near > oscillation):
        return -1.0
    low, high = 0.0, 0.5 * pi
    for _ in range(60):
        middle = 0.5 * (low + high)
        if _cost(kind, row, middle)[1] > slope:
            high = middle
        else:
            low = middle
        if high - low < 0.01 * high:
            break
    return high if _cost(kind, row, high)[2] > curvature else -1.0


@njit(cache=True, error_model="numpy", fastmath=True)
def _lowest(costs: Array, nodes: Array, first: int) -> float:
    lowest = np.inf
    for j in range(costs.shape[0]):
        lowest = min(lowest, costs[j] - nodes[first + j])
    return lowest


@njit(cache=True, error_model="numpy")
def _searched(
    kind: int, row: tuple[float, float], table: Array, base: int, costs: Array, nodes: Array
) -> tuple[float, float, float, float]:
    """The global minimum: every local minimum on the grid of longitudes that could be it, each refined.

    Between the grid's points a minimum is taken to lie lower by at most half of the grid's second difference.
    """
    n = costs.shape[0]
    first = base // (table.shape[0] // n)
    lowest = _lowest(costs, nodes, first)
    spacing = 2.0 * pi / n
    best = (np.inf, 0.0, 0.0, 0.0)
    before, here = costs[n - 1] - nodes[first + n - 1], costs[0] - nodes[first]
    for j in range(n):
        after = costs[j + 1] - nodes[first + j + 1] if j + 1 < n else costs[0] - nodes[first]
        if here <= before and here <= after and here - 0.5 * (before - here + after - here) <= lowest:
            delta = spacing * (j if 2 * j < n else j - n)
            found = _minimum(kind, row, table, float(base), delta - spacing, delta + spacing, delta)
            if found[0] < best[0]:
                best = found
        before, here = here, after
    return best


@njit(cache=True, error_model="numpy")
def transform(
    kind: int,
    latitudes: Array,
    table: Array,
    bounds: tuple[float, float, float],
    delta: Array,
    value: Array,
    cost: Array,
    curvature: Array,
) -> int:
    r"""Fill ψ^c, the cost paid, :math:`c_{\Delta\Delta}-\psi''` and Δ on the grid (n_latitudes, n_longitudes).

    ``latitudes`` in (0, π/2]; ``table`` (N, 6) quintic coefficients of ψ on N equal intervals, N a multiple of the
    number of longitudes; ``bounds`` = (max |ψ'|, max ψ'', max ψ − min ψ); ``delta`` holds the starting values on entry.
    Returns the number of rows on which the whole circle was searched.
    """
    rows, n = delta.shape
    stride = table.shape[0] // n
    slope, bend, oscillation = bounds
    costs, nodes = np.empty(n), np.empty(2 * n)
    for j in range(2 * n):
        nodes[j] = table[(j * stride) % table.shape[0], 0]
    searched = 0
    for i in range(rows):
        row = (sin(latitudes[i]), cos(latitudes[i]))
        width = _bracket(kind, row, slope, bend, oscillation)
        if width < 0.0:
            searched += 1
            for j in range(n):
                costs[j] = _cost(kind, row, 2.0 * pi * j / n)[0]
        for j in range(n):
            base = j * stride
            if width < 0.0:
                found = _searched(kind, row, table, base, costs, nodes)
            else:
                found = _minimum(kind, row, table, float(base), -width, width, delta[i, j])
            value[i, j], cost[i, j], curvature[i, j], delta[i, j] = found
    return searched
