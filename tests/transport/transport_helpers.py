"""Cells of shifted costs on the 2-sphere worked out another way: along their boundary, or along rays from the atom."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from spherepde.transport.costs import Cost

Array = NDArray[np.float64]
Function = Callable[[Array], Array]

COSTS = [Cost(p, ground) for ground in ("geodesic", "chordal") for p in (1.0, 2.0)]  # type: ignore[arg-type]
GOLDEN = np.pi * (3.0 - np.sqrt(5.0))


def unit(v: Array) -> Array:
    return np.asarray(v / np.linalg.norm(v, axis=-1, keepdims=True))


def random_atoms(count: int, seed: int) -> Array:
    return unit(np.random.default_rng(seed).normal(size=(count, 3)))


def turned(seed: int) -> Array:
    """A random rotation matrix."""
    return np.asarray(Rotation.random(random_state=seed).as_matrix())


def uniform(x: Array) -> Array:
    return np.full(len(x), 0.25 / np.pi)


def affine(slope: Array) -> Function:
    """(1 + ⟨a, x⟩)/4π, a probability density for |a| ≤ 1."""
    return lambda x: (1.0 + x @ slope) * (0.25 / np.pi)


def spiral(count: int) -> Array:
    """Points (count, 3) that cover the sphere evenly."""
    z = 1.0 - (2.0 * np.arange(count) + 1.0) / count
    angle, s = GOLDEN * np.arange(count), np.sqrt(1.0 - z**2)
    return np.stack([s * np.cos(angle), s * np.sin(angle), z], axis=-1)


def winners(x: Array, atoms: Array, potentials: Array, cost: Cost) -> NDArray[np.int64]:
    """argmin of c(x, y_i) − ψ_i by brute force, from inner products."""
    cosine = np.clip(x @ atoms.T, -1.0, 1.0)
    distance = np.arccos(cosine) if cost.ground == "geodesic" else np.sqrt(2.0 - 2.0 * cosine)
    return np.asarray(np.argmin(distance**cost.p - potentials, axis=1))


# --- chordal p = 2: the cells are bounded by arcs of circles


def arcs_of(i: int, atoms: Array, potentials: Array) -> list[tuple[int, int, Array, Array, Array, float, float, float]]:
    """Boundary arcs of a cell, the cell to their left: (circle, circle at the end, u, v, n, offset, from, to)."""
    others = np.flatnonzero(np.arange(len(atoms)) != i)
    length = 2.0 * np.linalg.norm(atoms[i] - atoms[others], axis=1)
    normals = 2.0 * (atoms[i] - atoms[others]) / length[:, None]
    offsets = (potentials[others] - potentials[i]) / length
    if np.any(offsets >= 1.0):
        return []
    real = offsets > -1.0
    normals, offsets = normals[real], offsets[real]
    found = []
    for j, (n, d) in enumerate(zip(normals, offsets, strict=True)):
        u = unit(np.cross(n, np.eye(3)[np.argmin(np.abs(n))]))
        v, s = np.cross(n, u), np.sqrt(1.0 - d * d)
        rest = np.flatnonzero(np.arange(len(normals)) != j)
        a, b, c = s * normals[rest] @ u, s * normals[rest] @ v, offsets[rest] - d * normals[rest] @ n
        size = np.hypot(a, b)
        if np.any(c >= size):
            continue
        cut = np.abs(c) < size
        middle, half = np.arctan2(b[cut], a[cut]), np.arccos(c[cut] / size[cut])
        if not cut.any():
            found.append((j, -1, u, v, n, d, 0.0, 2.0 * np.pi))
            continue
        ends = np.concatenate([middle - half, middle + half]) % (2.0 * np.pi)
        by = np.tile(rest[cut], 2)
        order = np.argsort(ends)
        ends, by = ends[order], by[order]
        following = np.append(ends[1:], ends[0] + 2.0 * np.pi)
        probe = 0.5 * (ends + following)
        inside = np.all(np.outer(a, np.cos(probe)) + np.outer(b, np.sin(probe)) >= c[:, None], axis=0)
        for m in np.flatnonzero(inside & (following - ends > 1e-14)):
            found.append((j, int(by[(m + 1) % len(by)]), u, v, n, d, ends[m], following[m]))
    return [(j, k, u, v, n, d, t0, t1) if k < 0 else (j, k, u, v, n, d, t0, t1) for j, k, u, v, n, d, t0, t1 in found]
