r"""Integrals of a density over the pieces into which shifted costs cut one tile (compiled).

The pieces are integrated as an outer integral over one coordinate of an inner one over the other. For a fixed outer
coordinate the inner line is cut where the smallest cost changes; the outer interval is cut where that changes its
pattern: where boundaries leave the tile and at their triple points. On each panel everything is smooth, so
Gauss–Legendre in both directions follows the boundaries with spectral accuracy.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .envelope import MOST_PIECES, lower_envelope, shifted_cost
from .ground import cost_of

MOST_PANELS = 48
FLATTEST = 0.15
"""A tile is cut into four if some boundary runs at less than this sine to the inner direction, whichever is taken …"""
FLATTEST_PER_SIZE = 10.0
"""… or less than this many half widths: on a small tile boundaries are too straight to turn."""


@njit(cache=True, error_model="numpy")
def contracted(coefficients, xi, first_axis, out):  # type: ignore[no-untyped-def]
    """Chebyshev coefficients in the other coordinate of a patch's polynomial at ξ of the given one."""
    n = coefficients.shape[0]
    before, value = 1.0, xi
    for j in range(n):
        out[j] = coefficients[0, j] if first_axis else coefficients[j, 0]
    for k in range(1, n):
        if first_axis:
            for j in range(n):
                out[j] += value * coefficients[k, j]
        else:
            for j in range(n):
                out[j] += value * coefficients[j, k]
        before, value = value, 2.0 * xi * value - before


@njit(cache=True, error_model="numpy")
def clenshaw(series, xi):  # type: ignore[no-untyped-def]
    """Value of a Chebyshev series."""
    first, second = 0.0, 0.0
    for k in range(len(series) - 1, 0, -1):
        first, second = series[k] + 2.0 * xi * first - second, first
    return series[0] + xi * first - second


@njit(cache=True, error_model="numpy")
def _direction(kind, atoms, count, tile):  # type: ignore[no-untyped-def]
    """How steeply boundaries cross the two directions at worst: sines for inner = a, inner = b."""
    value, da, db = np.empty((count, 4)), np.empty((count, 4)), np.empty((count, 4))
    for k in range(count):
        for corner in range(4):
            s, t = 2.0 * (corner & 1) - 1.0, float(corner & 2) - 1.0
            value[k, corner], db[k, corner] = shifted_cost(kind, atoms[k], atoms[k, 3], tile, s, t, True)
            _, da[k, corner] = shifted_cost(kind, atoms[k], atoms[k, 3], tile, t, s, False)
    along_a, along_b = 1.0, 1.0
    for i in range(count):
        for j in range(i):
            above = 0
            for corner in range(4):
                above += value[i, corner] > value[j, corner]
            if above == 0 or above == 4:
                continue
            turned_a, turned_b = False, False
            for corner in range(4):
                ga, gb = da[i, corner] - da[j, corner], db[i, corner] - db[j, corner]
                size = np.hypot(ga, gb)
                if size == 0.0:
                    return 0.0, 0.0
                along_a, along_b = min(along_a, abs(ga) / size), min(along_b, abs(gb) / size)
                turned_a |= ga * (da[i, 0] - da[j, 0]) <= 0.0
                turned_b |= gb * (db[i, 0] - db[j, 0]) <= 0.0
            along_a, along_b = 0.0 if turned_a else along_a, 0.0 if turned_b else along_b
    return along_a, along_b


@njit(cache=True, error_model="numpy")
def _triple_points(kind, atoms, count, tile, along_b, cuts, used):  # type: ignore[no-untyped-def]
    """Append the outer coordinates of the points where three costs are equal and smallest; returns the new length."""
    value, da, db = np.empty(count), np.empty(count), np.empty(count)
    for k in range(count):
        value[k], db[k] = shifted_cost(kind, atoms[k], atoms[k, 3], tile, 0.0, 0.0, True)
        da[k] = shifted_cost(kind, atoms[k], atoms[k, 3], tile, 0.0, 0.0, False)[1]
    for i in range(count):
        for j in range(i):
            for k in range(j):
                fi, fj = value[i] - value[k], value[j] - value[k]
                ai, aj, bi, bj = da[i] - da[k], da[j] - da[k], db[i] - db[k], db[j] - db[k]
                s, t, step, found = 0.0, 0.0, 1.0, False
                for iteration in range(12):
                    determinant = ai * bj - aj * bi
                    if determinant == 0.0:
                        break
                    ds, dt = (fj * bi - fi * bj) / determinant, (fi * aj - fj * ai) / determinant
                    s, t = s + ds, t + dt
                    step = abs(ds) + abs(dt)
                    if abs(s) > 2.0 or abs(t) > 2.0:
                        break
                    if step < 1e-13 or (iteration > 6 and step < 1e-9):
                        found = True
                        break
                    vk, bk = shifted_cost(kind, atoms[k], atoms[k, 3], tile, s, t, True)
                    ak = shifted_cost(kind, atoms[k], atoms[k, 3], tile, t, s, False)[1]
                    fi, bi = shifted_cost(kind, atoms[i], atoms[i, 3], tile, s, t, True)
                    ai = shifted_cost(kind, atoms[i], atoms[i, 3], tile, t, s, False)[1] - ak
                    fj, bj = shifted_cost(kind, atoms[j], atoms[j, 3], tile, s, t, True)
                    aj = shifted_cost(kind, atoms[j], atoms[j, 3], tile, t, s, False)[1] - ak
                    fi, bi, fj, bj = fi - vk, bi - bk, fj - vk, bj - bk
                if not found or abs(s) > 1.0 or abs(t) > 1.0:
                    continue
                level = shifted_cost(kind, atoms[k], atoms[k, 3], tile, s, t, True)[0]
                smallest = True
                for other in range(count):
                    if other != i and other != j and other != k:
                        smallest &= (
                            shifted_cost(kind, atoms[other], atoms[other, 3], tile, s, t, True)[0] > level - 1e-13
                        )
                if smallest and used < MOST_PANELS:
                    cuts[used] = s if along_b else t
                    used += 1
    return used


@njit(cache=True, error_model="numpy")
def cut_pattern(kind, atoms, count, tile, nodes, scratch):  # type: ignore[no-untyped-def]
    """Find the panels of a tile and the pieces of every inner line; scratch is a tuple of buffers to fill.

    Returns (number of panels, inner direction is b); −1 panels if the tile must be cut into four.
    """
    cuts, pieces, breaks, labels = scratch
    along_a, steep_b = _direction(kind, atoms, count, tile)
    along_b = steep_b >= along_a
    if max(along_a, steep_b) < min(FLATTEST, FLATTEST_PER_SIZE * tile[2]):
        return -1, along_b
    used = 1
    cuts[0] = -1.0
    for side in (-1.0, 1.0):
        found = lower_envelope(kind, atoms, count, tile, side, not along_b, breaks[0, 0], labels[0, 0])
        if found < 0 or used + found > MOST_PANELS:
            return -1, along_b
        for m in range(found - 1):
            cuts[used] = breaks[0, 0, m]
            used += 1
    if count > 2:
        used = _triple_points(kind, atoms, count, tile, along_b, cuts, used)
    if used >= MOST_PANELS:
        return -1, along_b
    for k in range(2, used):  # insertion: a handful of numbers
        here, m = cuts[k], k
        while m > 1 and cuts[m - 1] > here:
            cuts[m] = cuts[m - 1]
            m -= 1
        cuts[m] = here
    panels = 0
    for k in range(used):
        end = cuts[k + 1] if k + 1 < used else 1.0
        if end - cuts[panels] > 1e-12:
            panels += 1
            cuts[panels] = end
    cuts[panels] = 1.0
    for panel in range(panels):
        middle, half = 0.5 * (cuts[panel] + cuts[panel + 1]), 0.5 * (cuts[panel + 1] - cuts[panel])
        for k in range(len(nodes)):
            outer = middle + half * nodes[k]
            found = lower_envelope(kind, atoms, count, tile, outer, along_b, breaks[panel, k], labels[panel, k])
            if found < 0:
                return -1, along_b
            if k == 0:
                pieces[panel] = found
            elif found != pieces[panel]:
                return -1, along_b
            for m in range(found):
                if labels[panel, k, m] != labels[panel, 0, m]:
                    return -1, along_b
    return panels, along_b


@njit(cache=True, error_model="numpy")
def integrate_line(  # type: ignore[no-untyped-def]
    kind, atom, tile, patch, series, outer, along_b, low, high, weight, nodes, weights, background, full, sums
):
    """Add to ``sums`` (mass, moment in the face's frame, cost) the integral over one piece of one inner line."""
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    for k in range(len(nodes)):
        inner = middle + half * nodes[k]
        if along_b:
            a, b = tile[0] + tile[2] * outer, tile[1] + tile[2] * inner
            xi = (b - patch[1]) / patch[2]
        else:
            a, b = tile[0] + tile[2] * inner, tile[1] + tile[2] * outer
            xi = (a - patch[0]) / patch[2]
        r2 = 1.0 / (1.0 + a * a + b * b)
        r = np.sqrt(r2)
        density = (1.0 - background[0]) * max(clenshaw(series, xi), 0.0) + background[1] * r2 * r
        mass = weight * half * weights[k] * density
        sums[0] += mass
        sums[1] += mass * r
        sums[2] += mass * r * a
        sums[3] += mass * r * b
        if full:
            dn, du, dv = r - atom[0], r * a - atom[1], r * b - atom[2]
            sums[4] += mass * cost_of(kind, dn * dn + du * du + dv * dv)


@njit(cache=True, error_model="numpy")
def integrate_pattern(  # type: ignore[no-untyped-def]
    kind, atoms, tile, patch, coefficients, panels, along_b, nodes, weights, background, full, scratch, sums, edges
):
    """Integrate over all pieces of a tile whose pattern is known.

    ``sums`` (count, 5) collects per local atom; ``edges`` (rows: atom, atom, ∂mass/∂ψ) one row per boundary and panel.
    Returns the number of edges.
    """
    cuts, pieces, breaks, labels = scratch
    series = np.empty(coefficients.shape[0])
    count = 0
    for panel in range(panels):
        middle, half = 0.5 * (cuts[panel] + cuts[panel + 1]), 0.5 * (cuts[panel + 1] - cuts[panel])
        for m in range(pieces[panel] - 1):
            edges[count + m, 0], edges[count + m, 1] = labels[panel, 0, m], labels[panel, 0, m + 1]
            edges[count + m, 2] = 0.0
        for k in range(len(nodes)):
            outer = middle + half * nodes[k]
            weight = half * weights[k] * tile[2] * tile[2]
            center = tile[0] if along_b else tile[1]
            origin = patch[0] if along_b else patch[1]
            contracted(coefficients, (center + tile[2] * outer - origin) / patch[2], along_b, series)
            low = -1.0
            for m in range(pieces[panel]):
                high, label = breaks[panel, k, m], labels[panel, k, m]
                if high > low:
                    integrate_line(
                        kind,
                        atoms[label],
                        tile,
                        patch,
                        series,
                        outer,
                        along_b,
                        low,
                        high,
                        weight,
                        nodes,
                        weights,
                        background,
                        full,
                        sums[label],
                    )
                if m + 1 < pieces[panel]:
                    other = labels[panel, k, m + 1]
                    slope = abs(
                        shifted_cost(kind, atoms[label], 0.0, tile, outer, high, along_b)[1]
                        - shifted_cost(kind, atoms[other], 0.0, tile, outer, high, along_b)[1]
                    )
                    inner = (tile[1] if along_b else tile[0]) + tile[2] * high
                    fixed = center + tile[2] * outer
                    here = max(clenshaw(series, (inner - (patch[1] if along_b else patch[0])) / patch[2]), 0.0)
                    here = (1.0 - background[0]) * here + background[1] * (1.0 + inner * inner + fixed * fixed) ** -1.5
                    if slope > 0.0:
                        edges[count + m, 2] += weight * here / slope
                low = high
        count += pieces[panel] - 1
    return count


MOST_EDGES = MOST_PANELS * MOST_PIECES
