r"""Sums over directions on a circle: every score on S¹, and scores of rank ≤ 2 on S².

If all :math:`w=B^\top x` lie in a plane, F(w) = Σ_k w_k(κ) G_k(φ) with K trigonometric polynomials G_k of degree L_K.
They are put on a grid twice as fine as needed, each mode divided by the transform of the kernel
:math:`e^{b(\sqrt{1-z^2}-1)}` that then interpolates (Barnett, Magland & af Klinteberg, SIAM J. Sci. Comput. 41, 2019):
16 neighbours give 14 digits at any angle, for all K at once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import ducc0
import numpy as np
import pyfftw
from numba import njit
from scipy.fft import next_fast_len

from ..heads import Head
from ..spaces import Sphere
from ..spaces.ducc import condon_shortley
from .base import TRANSFORM_FLOOR, Modal, Real, directions, factor_floor, kappa_range
from .radial import RadialFactors, radial_factors

NEIGHBOURS = 16
SHAPE = 2.30 * NEIGHBOURS
"""The parameter b for a grid twice as fine as the Nyquist rate (the same source, eq. 4.5)."""


@njit(cache=True, error_model="numpy", fastmath=True)
def _interpolate(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    grid, start, bump, weights, partition, radial, tangent
):
    """Z, R and tangential sums of each target; grid (n + NEIGHBOURS, fields·K), weights (targets, 3, K)."""
    rank = weights.shape[2]
    near = np.empty(grid.shape[1])
    for i in range(start.size):
        near[:] = 0.0
        for p in range(bump.shape[1]):
            factor = bump[i, p]
            row = grid[start[i] + p]
            for q in range(near.size):
                near[q] += factor * row[q]
        value, slope, turn = weights[i]
        z, r = 0.0, 0.0
        for k in range(rank):
            z += value[k] * near[k]
            r += slope[k] * near[k]
        partition[i] = z
        radial[i] = r
        for f in range(tangent.shape[0]):
            t = 0.0
            for k in range(rank):
                t += turn[k] * near[(f + 1) * rank + k]
            tangent[f, i] = t


def _bump(z: Real) -> Real:
    """The interpolating kernel on [−1, 1]."""
    return np.exp(SHAPE * (np.sqrt(np.maximum(1.0 - z * z, 0.0)) - 1.0))


@lru_cache(maxsize=16)
def _correction(degree: int, size: int) -> Real:
    """What each mode up to a degree must be multiplied by before it is interpolated on a grid of that size."""
    nodes, gauss = np.polynomial.legendre.leggauss(64)
    mode = np.arange(degree + 1) * (np.pi * NEIGHBOURS / size)
    return np.asarray(1.0 / (np.cos(np.outer(mode, nodes)) @ (_bump(nodes) * gauss * (0.5 * NEIGHBOURS))))


class RingInterpolation:
    """Fields given by Fourier modes, at fixed angles (n,), combined with the radial weights of each target.

    ``modes`` (L_K+1, fields·K) is where the modes of the real fields go, positive frequencies, before each
    :meth:`evaluate`; ``correction`` (L_K+1,) is the factor that each must carry.
    """

    def __init__(self, factors: RadialFactors, kappa: Real, angle: Real, fields: int) -> None:
        degree, columns = factors.source_degree, fields * factors.rank
        size = next_fast_len(2 * (2 * degree + 1) + NEIGHBOURS, real=True)
        self._weights = np.ascontiguousarray(factors.weights(kappa).transpose(2, 1, 0))
        position = (angle % (2.0 * np.pi)) * (size / (2.0 * np.pi)) - 0.5 * NEIGHBOURS
        first = np.ceil(position)
        self._start = first.astype(np.int64) % size
        self._bump = _bump(((first - position)[:, None] + np.arange(NEIGHBOURS)) * (2.0 / NEIGHBOURS) - 1.0)
        self.correction = _correction(degree, size)
        self._grid = pyfftw.zeros_aligned((size + NEIGHBOURS, columns), dtype="float64")
        self._spectrum = pyfftw.zeros_aligned((size // 2 + 1, columns), dtype="complex128")
        plan: dict[str, Any] = {"axes": (0,), "threads": 1, "flags": ("FFTW_ESTIMATE", "FFTW_DESTROY_INPUT")}
        self._transform = pyfftw.FFTW(self._spectrum, self._grid[:size], direction="FFTW_BACKWARD", **plan)
        self.modes: Modal = self._spectrum[: degree + 1]

    def evaluate(self, partition: Real, radial: Real, tangent: Real) -> None:
        """Fill Z (n,), R (n,) and the tangential sums (fields − 1, n); the modes are destroyed."""
        self._spectrum[len(self.modes) :] = 0.0
        self._transform.execute()
        self._grid[-NEIGHBOURS:] = self._grid[:NEIGHBOURS]
        _interpolate(self._grid, self._start, self._bump, self._weights, partition, radial, tangent)


@njit(cache=True, error_model="numpy")
def _scale_rows(basis, c, modes):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Row m of the basis times c_m; numpy would take a buffer to broadcast it."""
    for m in range(basis.shape[0]):
        for k in range(basis.shape[1]):
            modes[m, k] = basis[m, k] * c[m]


class CircleSums:
    """Kernel sums on S¹ for any B, singular ones included."""

    floor = TRANSFORM_FLOOR

    def __init__(self, head: Head, targets: Real) -> None:
        length, omega = directions(head, targets)
        self._omega = np.ascontiguousarray(omega.T)
        self.log_scale = head.beta * length
        factors = radial_factors(2, *kappa_range(head))
        self.source_degree = factors.source_degree
        angle = np.arctan2(self._omega[1], self._omega[0])
        self._ring = RingInterpolation(factors, self.log_scale, angle, fields=2)
        basis = factors.degree_basis.T * (self._ring.correction / (2.0 * np.pi))[:, None]
        self._basis = np.hstack([basis, 1j * np.arange(self.source_degree + 1)[:, None] * basis])
        self._along = np.stack([-self._omega[1], self._omega[0]])
        self._radial, self._tangent = np.empty(len(targets)), np.empty((1, len(targets)))
        self._term = np.empty((2, len(targets)))

    def evaluate(self, c: Modal, partition: Real, first: Real) -> None:
        """Fill Z and the Cartesian components of N, both scaled."""
        _scale_rows(self._basis, c, self._ring.modes)
        self._ring.evaluate(partition, self._radial, self._tangent)
        np.multiply(self._radial, self._omega, out=first)
        first += np.multiply(self._tangent[0], self._along, out=self._term)


@njit(cache=True, error_model="numpy")
def _equator_modes(c, value, slope, basis, correction, modes):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Modes on the equator of every G_k, of its derivatives in longitude and towards the pole; modes (L+1, 3·K)."""
    size, rank = basis.shape
    modes[:] = 0.0
    at = 0
    for m in range(size):
        for l in range(m, size):
            here, upward = c[at] * value[at], -c[at] * slope[at]
            for k in range(rank):
                modes[m, k] += basis[l, k] * here
                modes[m, 2 * rank + k] += basis[l, k] * upward
            at += 1
        for k in range(rank):
            modes[m, k] *= correction[m]
            modes[m, rank + k] = 1j * m * modes[m, k]
            modes[m, 2 * rank + k] *= correction[m]


class PlaneSums:
    r"""Kernel sums on S² for a B of rank ≤ 2: all :math:`B^\top x` lie in a plane through the origin.

    In coordinates in which that plane is the equator the fields are Fourier series on it, and N has a component
    across, the derivative towards the pole.
    """

    def __init__(self, head: Head, targets: Real, threads: int, backend: str) -> None:
        frame = np.linalg.svd(head.B)[2]
        self._frame = frame * np.linalg.det(frame)  # rows: two axes of the plane and its normal, right-handed
        length, omega = directions(head, targets)
        self.log_scale = head.beta * length
        factors = radial_factors(3, 0.0, kappa_range(head)[1])
        self.source_degree = factors.source_degree
        self.floor = factor_floor(self.source_degree)
        self._basis = np.ascontiguousarray(factors.degree_basis.T)
        self._space = Sphere(self.source_degree, backend=backend, threads=threads)
        self._value, self._slope = _on_the_equator(self._space)
        self._turned = np.empty(self._space.n_modal, complex)
        angle = np.arctan2(omega @ self._frame[1], omega @ self._frame[0])
        self._ring = RingInterpolation(factors, self.log_scale, angle, fields=3)
        first, second, normal = self._frame[:, :, None]
        self._axes = np.cos(angle) * first + np.sin(angle) * second, np.cos(angle) * second - np.sin(angle) * first
        self._normal = normal
        self._radial, self._tangent = np.empty(len(targets)), np.empty((2, len(targets)))
        self._term = np.empty((3, len(targets)))

    def evaluate(self, c: Modal, partition: Real, first: Real) -> None:
        """Fill Z and the Cartesian components of N, both scaled."""
        self._space.rotate(c, self._frame, self._turned)
        _equator_modes(self._turned, self._value, self._slope, self._basis, self._ring.correction, self._ring.modes)
        self._ring.evaluate(partition, self._radial, self._tangent)
        omega, along = self._axes
        np.multiply(self._radial, omega, out=first)
        for size, axis in zip(self._tangent, (along, self._normal), strict=True):
            first += np.multiply(size, axis, out=self._term)


def _on_the_equator(space: Sphere) -> tuple[Real, Real]:
    """The harmonics and their derivatives in colatitude at the node (1, 0, 0) of the equator, where they are real."""
    point: dict[str, Any] = {
        "theta": np.array([0.5 * np.pi]),
        "nphi": np.array([1], dtype=np.uint64),
        "phi0": np.array([0.0]),
        "ringstart": np.array([0], dtype=np.uint64),
        "lmax": space.lmax,
    }
    phase = condon_shortley(space.lmax)
    value = ducc0.sht.adjoint_synthesis(map=np.ones((1, 1)), spin=0, **point)[0]
    slope = ducc0.sht.adjoint_synthesis(map=np.array([[1.0], [0.0]]), spin=1, mode="DERIV1", **point)[0]
    return np.ascontiguousarray((value * phase).real), np.ascontiguousarray((slope * phase).real)
