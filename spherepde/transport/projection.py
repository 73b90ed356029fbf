r"""Push-forward of a density on the circle or the 2-sphere under x ↦ Lx/|Lx|: two atoms, or a density on a circle.

With orthonormal rows L is the orthogonal projection onto a subspace E and the map the nearest-point map
:math:`\Pi(x)=P_Ex/|P_Ex|`; rows of another kind give oblique projections along the kernel of L.

Densities are callables on unit vectors (n, d), or coefficients: harmonic ones on the sphere, on the circle
:math:`c_k=\int f e^{-ik\theta}d\theta`, k ≥ 0. Grids follow the map (hemispheres, half meridians) and are refined by
doubling until two of them agree; their mass is held against that of the density refined where it varies, so that a
peak between their nodes is noticed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import pi

import ducc0
import numpy as np
from numpy.polynomial.legendre import legvander
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import null_space

from ..errors import InputError
from ..quadrature import gauss_legendre
from .circle_series import checked_coefficients
from .costs import Cost
from .laguerre import laguerre_cells, resolve
from .measures import HarmonicDensity, as_density, checked_mass, checked_numbers

Array = NDArray[np.float64]
Modal = NDArray[np.complex128]
Function = Callable[[Array], Array]

TOLERANCE = 1e-12
"""Grids are refined until their masses agree to this fraction of the whole."""
SMALLEST_GRID = 24
LARGEST_POINTS = 2_000_000
NOTICED = 1e-9
"""A mass that differs by this fraction from that of the density refined where it varies has missed something."""
NOISE = 1e-14
"""Coefficients beyond the last one above this fraction of the mass are left out."""


@dataclass(frozen=True)
class AxisProjection:
    """Two opposite atoms: ``points`` (2, d), ``weights`` (2,) the masses on either side, ``error`` of the masses."""

    points: Array
    weights: Array
    error: float

    @property
    def mass(self) -> float:
        """The density's whole mass."""
        return float(self.weights.sum())


@dataclass(frozen=True)
class PlaneProjection:
    r"""A density on a great circle: ``coefficients`` (K+1,), :math:`c_k=\int f e^{-ik\varphi}d\varphi`.

    The angle φ runs from the first towards the second column of ``basis`` (3, 2); ``error`` is the largest error of a
    coefficient, those cut off included.
    """

    coefficients: Modal
    basis: Array
    error: float

    @property
    def mass(self) -> float:
        """The density's whole mass."""
        return float(self.coefficients[0].real)


def orthonormal_plane(basis: ArrayLike) -> Array:
    """Two orthonormal columns (3, 2), checked. Raises InputError otherwise."""
    plane = checked_numbers(basis, "columns of the basis of a plane", "(3, 2)")
    if plane.shape != (3, 2):
        raise InputError(f"transport: basis of a plane has shape {plane.shape}; expected (3, 2), two columns")
    if not np.abs(plane.T @ plane - np.eye(2)).max() < 1e-8:
        raise InputError("transport: basis of a plane is not orthonormal; expected two orthogonal unit columns")
    q, r = np.linalg.qr(plane)
    return np.asarray(q * np.sign(np.diag(r)))


def latitude_rule(lmax: int, width: float | None) -> tuple[Array, Array, Array]:
    """Gauss–Legendre rule on half of a half meridian: latitudes in (0, π/2) and weights, cos λ included.

    Finer panels lead towards the circle if a ``width`` (radians) is given. The third array holds the weights of a
    coarser rule on every second node, to judge the first by. Raises InputError for a width that is not positive.
    """
    edges = [0.0, 0.5 * pi]
    if width is not None:
        if not 0.0 < width < np.inf:
            raise InputError(f"transport: great circle with width = {width!r}; expected a positive angle in radians")
        while edges[1] > width:
            edges.insert(1, 0.25 * edges[1])
    nodes, weights, coarse = [], [], []
    for low, high in pairwise(edges):
        half = 0.5 * (high - low)
        theta, weight = gauss_legendre(int(lmax * half / (0.5 * pi)) + 20)
        x = -np.cos(theta)
        fewer = np.zeros_like(x)
        fewer[::2] = np.linalg.solve(legvander(x[::2], x[::2].size - 1).T, 2.0 * np.eye(x[::2].size)[0])
        nodes.append(low + half + half * x)
        weights.append(half * weight)
        coarse.append(half * fewer)
    latitude = np.concatenate(nodes)
    return latitude, np.concatenate(weights) * np.cos(latitude), np.concatenate(coarse) * np.cos(latitude)


def project_to_axis(density: Function | ArrayLike, axis: ArrayLike, left: ArrayLike | None = None) -> AxisProjection:
    r"""The image of a density under :math:`x\mapsto\mathrm{sign}\langle\ell,x\rangle\,e`: atoms at e and −e.

    ``axis`` e (d,), d = 2 or 3; ``left`` ℓ (d,) the normal of the separating hyperplane, e itself by default (the
    nearest-point map). On the sphere Gauss–Legendre in the polar angle of each half times equispaced longitudes, on
    the circle Gauss–Legendre on each half: both exact at the edge where the image jumps. Raises InputError for vectors
    that are zero or do not fit, and for a mass that is not positive.
    """
    e = _direction(axis, "axis")
    normal = e if left is None else _direction(left, "left")
    if e.size not in (2, 3) or normal.size != e.size:
        raise InputError(f"transport: axis and left have sizes {e.size} and {normal.size}; expected both 2, or both 3")
    rho, degree = _on_sphere(density, e.size)
    across = null_space(normal[None])

    def masses(n: int) -> Array:
        theta, weight = gauss_legendre(n)
        angle = 0.25 * pi * (1.0 - np.cos(theta))
        weight = 0.25 * pi * weight
        up = np.cos(angle)[:, None, None] * normal
        if e.size == 2:
            side = np.sin(angle)[:, None, None] * np.stack([across[:, 0], -across[:, 0]])
        else:
            weight = weight * np.sin(angle) * (pi / n)
            turn = pi * np.arange(2 * n) / n
            ring = np.stack([np.cos(turn), np.sin(turn)], axis=-1) @ across.T
            side = np.sin(angle)[:, None, None] * ring
        points = np.stack([side + up, side - up])
        values = rho(points.reshape(-1, e.size)).reshape(points.shape[:-1])
        return np.asarray(np.einsum("sij,i->s", values, weight))

    n = max(SMALLEST_GRID, degree)
    power = e.size - 1
    weights, error = masses(n), np.inf
    while error > TOLERANCE * abs(float(weights.sum())) and 4 * (2 * n) ** power <= LARGEST_POINTS:
        n, coarse = 2 * n, weights
        weights = masses(n)
        error = float(np.abs(weights - coarse).max())
    if e.size == 3:
        weights, error = _what_is_seen(rho, normal, weights, error)
    checked_mass(float(weights.sum()))
    return AxisProjection(np.stack([e, -e]), weights, error)


def _what_is_seen(rho: Function, normal: Array, weights: Array, error: float) -> tuple[Array, float]:
    """The masses of the two halves, from a density refined where it varies if the product grids have missed some."""
    patches = resolve(rho)
    missed = abs(patches.total - patches.negative_mass - float(weights.sum()))
    if missed <= 4.0 * error + 10.0 * patches.unresolved + NOTICED * patches.total:
        return weights, error
    halves = laguerre_cells(patches, np.stack([normal, -normal]), np.zeros(2), Cost(2.0, "chordal")).mass
    return halves, patches.unresolved + 2.0 * patches.negative_mass


def project_to_plane(density: Function | ArrayLike, basis: ArrayLike) -> PlaneProjection:
    r"""The image of a density on the 2-sphere under the nearest-point map onto a plane's unit circle.

    .. math:: f(\varphi)=\int_{-\pi/2}^{\pi/2}\rho(\lambda,\varphi)\cos\lambda\,d\lambda

    along half meridians, by Gauss–Legendre in the latitude λ. ``basis`` (3, 2) orthonormal. Raises InputError
    otherwise, and for a mass that is not positive.
    """
    plane = orthonormal_plane(basis)
    return project_by(density, plane.T, plane)


def project_by(density: Function | ArrayLike, linear: ArrayLike, basis: ArrayLike) -> PlaneProjection:
    r"""The image of a density on the 2-sphere under :math:`x\mapsto ULx/|ULx|`.

    ``linear`` L (2, 3) of rank 2, oblique if its rows do not span the plane; ``basis`` U (3, 2) orthonormal. The half
    great circles between the two points of ker L are the fibres: :math:`\int f(\alpha)e^{-ik\varphi(\alpha)}d\alpha`,
    f as in :func:`project_to_plane` but about ker L, φ the angle of :math:`L(\cos\alpha,\sin\alpha)`.
    Raises InputError for other shapes or ranks.
    """
    plane, matrix = orthonormal_plane(basis), checked_numbers(linear, "rows of the linear map", "(2, 3)")
    if matrix.shape != (2, 3) or not np.isfinite(matrix).all() or np.linalg.matrix_rank(matrix) < 2:
        raise InputError(f"transport: the linear map has shape {matrix.shape}; expected (2, 3), finite and of rank 2")
    rho, degree = _on_sphere(density, 3)
    fibre = null_space(matrix)[:, 0]
    rows = np.linalg.qr(matrix.T)[0]
    on_plane = matrix @ rows

    def coefficients(latitudes: int, longitudes: int) -> Modal:
        theta, weight = gauss_legendre(latitudes)
        latitude = 0.5 * pi * np.cos(theta)
        alpha = 2.0 * pi * np.arange(longitudes) / longitudes
        flat = np.stack([np.cos(alpha), np.sin(alpha)], axis=-1)
        points = np.cos(latitude)[:, None, None] * (flat @ rows.T) + np.sin(latitude)[:, None, None] * fibre
        values = rho(points.reshape(-1, 3)).reshape(points.shape[:-1])
        masses = (0.5 * pi * weight * np.cos(latitude)) @ values * (2.0 * pi / longitudes)
        image = flat @ on_plane.T
        angle = np.arctan2(image[:, 1], image[:, 0])[:, None]
        both = np.zeros(2 * (longitudes // 3) + 1, dtype=np.complex128)
        ducc0.nufft.nu2u(
            points=masses + 0j, coord=angle, forward=True, epsilon=3e-13, nthreads=1, out=both, periodicity=2.0 * pi
        )
        both[longitudes // 3] = masses.sum()
        return both[longitudes // 3 :]

    n, m = max(SMALLEST_GRID, degree // 2 + 20), 3 * max(SMALLEST_GRID, degree + 8)
    c, error = coefficients(n, m), np.inf
    scale = TOLERANCE * abs(c[0])
    while error > scale and 2 * n * m <= LARGEST_POINTS:
        n, coarse = 2 * n, c
        c = coefficients(n, m)
        error = float(np.abs(c - coarse).max())
    while _tail(c) > scale and 2 * n * m <= LARGEST_POINTS:
        m *= 2
        c = coefficients(n, m)
    checked_mass(float(c[0].real))
    patches = resolve(rho)
    whole, error = patches.total - patches.negative_mass, max(error, _tail(c))
    if not abs(whole - c[0].real) <= 10.0 * (error + patches.unresolved) + NOTICED * whole or error > 1e-3 * whole:
        raise InputError(
            f"transport: the density integrates to {whole:.9g}, but to {c[0].real:.9g} on the grids of the projection; "
            "expected peaks wide enough for them to see"
        )
    kept = np.flatnonzero(np.abs(c) > NOISE * abs(c[0]))[-1] + 1
    return PlaneProjection(c[:kept], plane, error)


def _tail(coefficients: Modal) -> float:
    return float(np.abs(coefficients[-max(4, coefficients.size // 8) :]).max())


def _direction(vector: ArrayLike, what: str) -> Array:
    v = checked_numbers(vector, what, "(d,)")
    if v.ndim != 1 or not np.isfinite(v).all() or not np.linalg.norm(v) > 0.0:
        raise InputError(f"transport: {what} = {v.tolist()}; expected a vector of finite numbers, not zero")
    return np.asarray(v / np.linalg.norm(v))


def _on_sphere(density: Function | ArrayLike, dim: int) -> tuple[Function, int]:
    """The density as a function, and the degree known beforehand (0 for a callable)."""
    if callable(density):
        return as_density(density), density.lmax if isinstance(density, HarmonicDensity) else 0
    if dim == 3:
        harmonic = HarmonicDensity(density)
        return harmonic, harmonic.lmax
    c = checked_coefficients(density, "density")
    twice = np.where(np.arange(c.size) == 0, 1.0, 2.0) * c / (2.0 * pi)

    def on_circle(points: Array) -> Array:
        return np.asarray(np.real(np.polyval(twice[::-1], points[:, 0] + 1j * points[:, 1])))

    return on_circle, c.size - 1
