r"""The descent of a quadtree with the atoms that can win on each tile (compiled).

An atom is dropped only when a bound proves that another beats it on the whole tile: of the distance, or of second order
along geodesics. So no cell is ever missed.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .envelope import MOST_PIECES
from .ground import CHORDAL_1, CHORDAL_2, GEODESIC_2, cost_at_angle, cost_of, curvature_bounds, slope_of
from .tiles import MOST_EDGES, MOST_PANELS, contracted, cut_pattern, integrate_line, integrate_pattern

MOST_ATOMS = 10
"""Atoms in play on a tile that is integrated; with more it is cut into four."""
LARGEST_CUT = 0.12
"""Angular radius above which a tile with a boundary is cut into four: boundaries bend on the scale 1."""
SMALLEST_CUT = 1e-9
SMALLEST_MASS = 1e-14
"""Half width, and fraction of the mass, below which a tile of unclear pattern goes to the winner at its centre."""
SINGULAR_SIZE = 3e-4
"""Tiles near an apex of the cost are cut down to this angular radius: the cone's error falls with its cube."""


@njit(cache=True, error_model="numpy")
def gap_of(kind, atoms, shifts, i, center):  # type: ignore[no-untyped-def]
    """c(x, y_i) − ψ_i at one point."""
    dx, dy, dz = center[0] - atoms[i, 0], center[1] - atoms[i, 1], center[2] - atoms[i, 2]
    return cost_of(kind, dx * dx + dy * dy + dz * dz) - shifts[i]


@njit(cache=True, error_model="numpy")
def in_play(kind, atoms, shifts, center, radius, given, start, count, pool, top, gap, slope, angle):  # type: ignore[no-untyped-def]
    """Write to ``pool`` from ``top`` on those of the given atoms that can win within a cap; returns how many."""
    best, lowest, ceiling = -1, np.inf, np.inf
    for k in range(count):
        i = given[start + k]
        dx, dy, dz = center[0] - atoms[i, 0], center[1] - atoms[i, 1], center[2] - atoms[i, 2]
        q = dx * dx + dy * dy + dz * dz
        gap[k] = cost_of(kind, q) - shifts[i]
        slope[k] = slope_of(kind, q)
        angle[k] = 2.0 * np.arcsin(min(0.5 * np.sqrt(q), 1.0))
        ceiling = min(ceiling, cost_at_angle(kind, angle[k] + radius) - shifts[i])
        if gap[k] < lowest:
            best, lowest = k, gap[k]
    winner = given[start + best]
    upper = curvature_bounds(kind, angle[best] - radius, angle[best] + radius)[1]
    kept = 0
    for k in range(count):
        i = given[start + k]
        if k != best:
            if cost_at_angle(kind, angle[k] - radius) - shifts[i] > ceiling:
                continue
            dx = slope[k] * atoms[i, 0] - slope[best] * atoms[winner, 0]
            dy = slope[k] * atoms[i, 1] - slope[best] * atoms[winner, 1]
            dz = slope[k] * atoms[i, 2] - slope[best] * atoms[winner, 2]
            along = dx * center[0] + dy * center[1] + dz * center[2]
            across = np.sqrt(max(dx * dx + dy * dy + dz * dz - along * along, 0.0))
            if kind == CHORDAL_2:
                bend = 2.0 * np.sqrt(dx * dx + dy * dy + dz * dz)
            else:
                bend = upper - curvature_bounds(kind, angle[k] - radius, angle[k] + radius)[0]
            if gap[k] - lowest - 2.0 * across * radius - 0.5 * max(bend, 0.0) * radius * radius > 0.0:
                continue
        pool[top + kept] = i
        kept += 1
    return kept


@njit(cache=True, error_model="numpy")
def _near_apex(kind, atoms, pool, start, count, center, radius):  # type: ignore[no-untyped-def]
    """Whether a point where one of the costs is not smooth lies within two radii of the centre."""
    for k in range(count):
        i = pool[start + k]
        cosine = center[0] * atoms[i, 0] + center[1] * atoms[i, 1] + center[2] * atoms[i, 2]
        if kind != GEODESIC_2 and cosine > np.cos(2.0 * radius):
            return True
        if kind != CHORDAL_1 and cosine < -np.cos(2.0 * radius):
            return True
    return False


@njit(cache=True, error_model="numpy")
def _doubled(array):  # type: ignore[no-untyped-def]
    longer = np.empty(2 * len(array), array.dtype)
    for k in range(len(array)):
        longer[k] = array[k]
    return longer


@njit(cache=True, error_model="numpy")
def descend(  # type: ignore[no-untyped-def]
    kind, full, atoms, shifts, frames, node_face, node_center, node_half, node_child, node_leaf, node_mass, node_moment,
    node_area, coefficients, nodes, weights, background,
):  # fmt: skip
    """Per atom (mass, moment, cost), the edges (atom, atom, coupling) as three arrays, and the doubtful mass."""
    n = len(atoms)
    sums = np.zeros((n, 5))
    rows, columns, values = np.empty(4096, np.int64), np.empty(4096, np.int64), np.empty(4096)
    edges_used, doubt, total = 0, 0.0, 0.0
    for face in range(6):
        total += node_mass[face]
    pool = np.empty(40 * n + 64, np.int64)
    for i in range(n):
        pool[i] = i
    gap, slope, angle = np.empty(n), np.empty(n), np.empty(n)
    stack = np.empty((256, 4), np.int64)  # face, tree node, start and length of the list of atoms it inherits
    place = np.empty((256, 3))
    for face in range(6):
        stack[face, 0], stack[face, 1], stack[face, 2], stack[face, 3] = face, face, 0, n
        for j in range(3):
            place[face, j] = node_center[face, j] if j < 2 else node_half[face]
    depth = 6
    scratch = (
        np.empty(MOST_PANELS + 1),
        np.empty(MOST_PANELS, np.int64),
        np.empty((MOST_PANELS, len(nodes), MOST_PIECES)),
        np.empty((MOST_PANELS, len(nodes), MOST_PIECES), np.int64),
    )
    local, local_sums, edges = np.empty((MOST_ATOMS, 4)), np.empty((MOST_ATOMS, 5)), np.empty((MOST_EDGES, 3))
    series, center, tile = np.empty(coefficients.shape[1]), np.empty(3), np.empty(3)
    while depth > 0:
        depth -= 1
        face, node, inherited, length = stack[depth, 0], stack[depth, 1], stack[depth, 2], stack[depth, 3]
        for j in range(3):
            tile[j] = place[depth, j]
        frame = frames[face]
        r = 1.0 / np.sqrt(1.0 + tile[0] * tile[0] + tile[1] * tile[1])
        for j in range(3):
            center[j] = r * (frame[0, j] + tile[0] * frame[1, j] + tile[1] * frame[2, j])
        radius = 0.0
        for corner in range(4):
            a, b = tile[0] + tile[2] * (2.0 * (corner & 1) - 1.0), tile[1] + tile[2] * ((corner & 2) - 1.0)
            s = 1.0 / np.sqrt(1.0 + a * a + b * b)
            chord = (s - r) ** 2 + (s * a - r * tile[0]) ** 2 + (s * b - r * tile[1]) ** 2
            radius = max(radius, 2.0 * np.arcsin(0.5 * np.sqrt(chord)))
        top = inherited + length
        count = in_play(kind, atoms, shifts, center, radius, pool, inherited, length, pool, top, gap, slope, angle)
        leaf = node_leaf[node]
        whole = tile[2] == node_half[node]
        if count == 1 and whole and (not full or kind == CHORDAL_2):
            i = pool[top]
            sums[i, 0] += (1.0 - background[0]) * node_mass[node] + background[1] * node_area[node]
            for j in range(3):
                sums[i, 1 + j] += node_moment[node, j]
            continue
        divide = leaf < 0 or count > MOST_ATOMS or (count > 1 and radius > LARGEST_CUT)
        if not divide and kind != CHORDAL_2 and (full or count > 1) and radius > SINGULAR_SIZE:
            divide = _near_apex(kind, atoms, pool, top, count, center, radius)
        panels, along_b = 1, True
        if not divide:
            for k in range(count):
                i = pool[top + k]
                for j in range(3):
                    local[k, j] = atoms[i, 0] * frame[j, 0] + atoms[i, 1] * frame[j, 1] + atoms[i, 2] * frame[j, 2]
                local[k, 3] = shifts[i]
            if count > 1:
                panels, along_b = cut_pattern(kind, local, count, tile, nodes, scratch)
                divide = panels < 0
        held = (1.0 - background[0]) * node_mass[node] + background[1] * node_area[node]
        held *= (tile[2] / node_half[node]) ** 2
        if divide and leaf >= 0 and (tile[2] < SMALLEST_CUT or held < SMALLEST_MASS * total):  # the winner takes it
            best = 0
            for k in range(count):
                if gap_of(kind, atoms, shifts, pool[top + k], center) < gap_of(
                    kind, atoms, shifts, pool[top + best], center
                ):
                    best = k
            pool[top] = pool[top + best]
            for j in range(3):
                local[0, j] = (
                    atoms[pool[top], 0] * frame[j, 0]
                    + atoms[pool[top], 1] * frame[j, 1]
                    + atoms[pool[top], 2] * frame[j, 2]
                )
            count, divide = 1, False
            doubt += held
        if divide:
            quarter = 0.5 * tile[2]
            for q in range(4):
                child = node if leaf >= 0 else node_child[node] + q
                stack[depth, 0], stack[depth, 1], stack[depth, 2], stack[depth, 3] = face, child, top, count
                place[depth, 0] = tile[0] + quarter * ((q & 2) - 1.0)
                place[depth, 1] = tile[1] + quarter * (2.0 * (q & 1) - 1.0)
                place[depth, 2] = quarter
                depth += 1
            continue
        patch = (node_center[node, 0], node_center[node, 1], node_half[node])
        for k in range(count):
            for j in range(5):
                local_sums[k, j] = 0.0
        if count == 1:
            for k in range(len(nodes)):
                weight = weights[k] * tile[2] * tile[2]
                contracted(coefficients[leaf], (tile[0] + tile[2] * nodes[k] - patch[0]) / patch[2], True, series)
                integrate_line(
                    kind,
                    local[0],
                    tile,
                    patch,
                    series,
                    nodes[k],
                    True,
                    -1.0,
                    1.0,
                    weight,
                    nodes,
                    weights,
                    background,
                    full,
                    local_sums[0],
                )
        else:
            found = integrate_pattern(
                kind,
                local,
                tile,
                patch,
                coefficients[leaf],
                panels,
                along_b,
                nodes,
                weights,
                background,
                full,
                scratch,
                local_sums,
                edges,
            )
            if edges_used + found > len(rows):
                rows, columns, values = _doubled(rows), _doubled(columns), _doubled(values)
            for k in range(found):
                rows[edges_used] = pool[top + np.int64(edges[k, 0])]
                columns[edges_used] = pool[top + np.int64(edges[k, 1])]
                values[edges_used] = edges[k, 2]
                edges_used += 1
        for k in range(count):
            i = pool[top + k]
            sums[i, 0] += local_sums[k, 0]
            sums[i, 4] += local_sums[k, 4]
            for j in range(3):
                for axis in range(3):
                    sums[i, 1 + j] += local_sums[k, 1 + axis] * frame[axis, j]
    return sums, rows[:edges_used], columns[:edges_used], values[:edges_used], doubt
