"""Cells of shifted costs on the 2-sphere worked out another way: along their boundary, or along rays from the atom."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.optimize import brentq
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


def polygon(i: int, atoms: Array, potentials: Array) -> tuple[float, Array, Array]:
    r"""Area, ∫x and ∫xxᵀ over a cell {⟨n_j, x⟩ ≥ d_j} of the chordal cost with p = 2, from its boundary alone.

    Gauss–Bonnet for the area (the Euler number by counting points), ½∮x×dx for the moment, and for the second one
    :math:`\int(xx^T-I/3)=-\frac16\oint(\nu x^T+x\nu^T)`, its entries being harmonics of degree 2. Not for cells with
    more than three meeting at a point.
    """
    others = np.flatnonzero(np.arange(len(atoms)) != i)
    length = 2.0 * np.linalg.norm(atoms[i] - atoms[others], axis=1)
    normals, offsets = 2.0 * (atoms[i] - atoms[others]) / length[:, None], (potentials[others] - potentials[i]) / length
    x = spiral(4000)
    counted = 4.0 * np.pi * np.mean(np.all(x @ normals.T >= offsets, axis=1))
    if np.any(offsets >= 1.0):
        return 0.0, np.zeros(3), np.zeros((3, 3))
    normals, offsets = normals[offsets > -1.0], offsets[offsets > -1.0]
    turning, moment, second = 0.0, np.zeros(3), np.zeros((3, 3))
    node, weight = np.polynomial.legendre.leggauss(30)
    for j, (n, d) in enumerate(zip(normals, offsets, strict=True)):
        for start, end, corner in _arcs(j, normals, offsets):
            t, w = 0.5 * (start + end) + 0.5 * (end - start) * node, 0.5 * (end - start) * weight
            point, tangent = _on_circle(n, d, t)
            moment += 0.5 * w @ np.cross(point, tangent)
            outer = np.einsum("t,ti,j->ij", w, point, n) - d * np.einsum("t,ti,tj->ij", w, point, point)
            second += (outer + outer.T) / 6.0
            turning += d * (end - start)
            if corner >= 0:
                at, along = (found[0] for found in _on_circle(n, d, np.array([end])))
                onward = np.cross(normals[corner], at)
                turning += np.arctan2(at @ np.cross(along, onward), along @ onward)
    area = 2.0 * np.pi * np.round((counted + turning) / (2.0 * np.pi)) - turning
    return float(area), moment, second + area / 3.0 * np.eye(3)


def _on_circle(n: Array, d: float, t: Array) -> tuple[Array, Array]:
    """Points of the circle ⟨n, x⟩ = d and their derivatives, counterclockwise about n."""
    u = unit(np.cross(n, np.eye(3)[np.argmin(np.abs(n))]))
    v, s = np.cross(n, u), np.sqrt(1.0 - d * d)
    cosine, sine = s * np.cos(t)[:, None], s * np.sin(t)[:, None]
    return d * n + cosine * u + sine * v, cosine * v - sine * u


def _arcs(j: int, normals: Array, offsets: Array) -> list[tuple[float, float, int]]:
    """The parts of circle j inside all other half spaces: start, end, and the circle that ends it (−1 if none)."""
    rest = np.flatnonzero(np.arange(len(normals)) != j)
    (east, north), _ = _on_circle(normals[j], offsets[j], np.array([0.0, 0.5 * np.pi]))
    center = offsets[j] * normals[j]
    a, b, c = normals[rest] @ (east - center), normals[rest] @ (north - center), offsets[rest] - normals[rest] @ center
    size = np.hypot(a, b)
    if np.any(c >= size):
        return []
    cut = c > -size
    if not cut.any():
        return [(0.0, 2.0 * np.pi, -1)]
    middle, half = np.arctan2(b[cut], a[cut]), np.arccos(c[cut] / size[cut])
    ends, by = np.concatenate([middle - half, middle + half]) % (2.0 * np.pi), np.tile(rest[cut], 2)
    order = np.argsort(ends)
    ends, by = ends[order], by[order]
    following, by = np.append(ends[1:], ends[0] + 2.0 * np.pi), np.roll(by, -1)
    probe = 0.5 * (ends + following)
    inside = np.all(np.outer(np.cos(probe), a) + np.outer(np.sin(probe), b) >= c, axis=1) & (following > ends)
    return [(ends[m], following[m], int(by[m])) for m in np.flatnonzero(inside)]


def power_cells(atoms: Array, potentials: Array, slope: Array | None = None) -> tuple[Array, Array]:
    """Masses and costs of the chordal p = 2 cells for the density (1 + ⟨a, x⟩)/4π, to rounding."""
    a = np.zeros(3) if slope is None else slope
    masses, costs = np.empty(len(atoms)), np.empty(len(atoms))
    for i in range(len(atoms)):
        area, moment, second = polygon(i, atoms, potentials)
        masses[i] = (area + a @ moment) * 0.25 / np.pi
        costs[i] = 2.0 * (masses[i] - atoms[i] @ (moment + second @ a) * 0.25 / np.pi)
    return masses, costs


# --- any cost: along rays from the atom


def ray_cell(i: int, atoms: Array, potentials: Array, cost: Cost, density: Function, most: int = 60) -> Array:
    """(mass, transport cost, ∫xρ) of a cell that is star-shaped about its atom: Gauss–Legendre in log coordinates.

    The boundary is bisected on every ray; rays are gathered in panels between the corners, found by bisection too.
    """
    y = atoms[i]
    u = unit(np.cross(y, np.eye(3)[np.argmin(np.abs(y))]))
    v = np.cross(y, u)

    def point(phi: Array, r: Array) -> Array:
        across = np.cos(phi)[..., None] * u + np.sin(phi)[..., None] * v
        return np.cos(r)[..., None] * y + np.sin(r)[..., None] * across

    def boundary(phi: Array) -> tuple[Array, NDArray[np.int64]]:
        low, high = np.zeros_like(phi), np.full_like(phi, np.pi)
        for _ in range(54):
            r = 0.5 * (low + high)
            inside = winners(point(phi, r), atoms, potentials, cost) == i
            low, high = np.where(inside, r, low), np.where(inside, high, r)
        return 0.5 * (low + high), winners(point(phi, high + 1e-9), atoms, potentials, cost)

    edges = 2.0 * np.pi * np.arange(most * 12 + 1) / (most * 12)
    _, beyond = boundary(edges)
    change = np.flatnonzero(beyond[1:] != beyond[:-1])
    left, right, label = edges[change], edges[change + 1], beyond[change]
    for _ in range(26):  # the boundary is continuous: errors of a corner count squared
        middle = 0.5 * (left + right)
        same = boundary(middle)[1] == label
        left, right = np.where(same, middle, left), np.where(same, right, middle)
    ends = np.unique(np.concatenate([0.5 * (left + right), np.linspace(0.0, 2.0 * np.pi, most // 2 + 1)]))
    node, weight = np.polynomial.legendre.leggauss(20)
    phi = (0.5 * (ends[1:] + ends[:-1])[:, None] + 0.5 * np.diff(ends)[:, None] * node).ravel()
    around = (0.5 * np.diff(ends)[:, None] * weight).ravel()
    end = boundary(phi)[0][:, None]
    r = 0.5 * end * (1.0 + node)
    x = point(phi[:, None] + np.zeros_like(r), r)
    measure = density(x.reshape(-1, 3)).reshape(r.shape) * np.sin(r) * 0.5 * end * weight * around[:, None]
    distance = r if cost.ground == "geodesic" else 2.0 * np.sin(0.5 * r)
    return np.array([measure.sum(), (measure * distance**cost.p).sum(), *np.einsum("ab,abi->i", measure, x)])


def mild_potentials(atoms: Array, cost: Cost, seed: int) -> Array:
    """Random potentials that leave every atom in its own cell."""
    apart = np.arccos(np.clip(atoms @ atoms.T, -1.0, 1.0)) + 4.0 * np.eye(len(atoms))
    return np.asarray(np.random.default_rng(seed).uniform(0.0, 0.7 * cost.of_angle(apart.min()), len(atoms)))


# --- symmetric atoms under the uniform density


def regular_cells(count: int, sides: int, inradius: float, cost: Cost) -> float:
    """Cost of the uniform density to equal atoms whose cells are regular polygons with great circles for sides."""

    def to_edge(phi: float) -> float:
        end = np.arctan2(np.sin(inradius), np.cos(inradius) * np.cos(phi))
        return quad(lambda r: float(cost.of_angle(r)) * np.sin(r), 0.0, end, epsabs=1e-14, epsrel=1e-13)[0]

    whole = quad(to_edge, 0.0, np.pi / sides, epsabs=1e-14, epsrel=1e-13)[0]
    return float(2 * sides * count * whole / (4.0 * np.pi))


def platonic() -> dict[str, tuple[Array, int]]:
    """Vertices of the five solids, with the number of sides of their Voronoi cells."""
    g = 0.5 * (1.0 + np.sqrt(5.0))
    cube = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)], float)
    swapped = [np.roll([0.0, a, b * g], k) for a in (-1, 1) for b in (-1, 1) for k in range(3)]
    long = [np.roll([0.0, a / g, b * g], k) for a in (-1, 1) for b in (-1, 1) for k in range(3)]
    return {
        "tetrahedron": (unit(cube[[0, 3, 5, 6]]), 3),
        "octahedron": (np.concatenate([np.eye(3), -np.eye(3)]), 4),
        "cube": (unit(cube), 3),
        "icosahedron": (unit(np.array(swapped)), 5),
        "dodecahedron": (unit(np.concatenate([cube, np.array(long)])), 3),
    }


def ring(count: int) -> Array:
    angle = 2.0 * np.pi * np.arange(count) / count
    return np.stack([np.cos(angle), np.sin(angle), np.zeros(count)], axis=-1)


def zonal_pair(profile: Callable[[float], float], plus: float, cost: Cost, breaks: list[float]) -> tuple[float, float]:
    """Mass of a density profile(cos θ) about e, and the cost of moving the fraction ``plus`` to e, the rest to −e.

    One-dimensional quadrature on either side of the ``breaks`` (angles) and of the angle of the cap that goes to e.
    """
    ends = [0.0, *breaks, np.pi]

    def integral(low: float, high: float, price: Callable[[float], float]) -> float:
        cuts = [low, *(b for b in ends if low < b < high), high]
        pairs = pairwise(cuts)
        law = [
            quad(lambda t: price(t) * 2 * np.pi * np.sin(t) * profile(np.cos(t)), a, b, epsabs=1e-14) for a, b in pairs
        ]
        return float(sum(found[0] for found in law))

    mass = integral(0.0, np.pi, lambda t: 1.0)
    cap = float(brentq(lambda t: integral(0.0, t, lambda s: 1.0) - plus * mass, 0.0, np.pi, xtol=1e-14))
    near = integral(0.0, cap, lambda t: float(cost.of_angle(t)))
    return mass, near + integral(cap, np.pi, lambda t: float(cost.of_angle(np.pi - t)))
