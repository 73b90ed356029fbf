r"""Sums over directions on a circle: every score on S¹, and scores of rank ≤ 2 on S².

If all :math:`w=B^\top x` lie in a plane, F(w) = Σ_k w_k(κ) G_k(φ) with K trigonometric polynomials G_k of degree L_K.
They are put on a grid twice as fine as needed, each mode divided by the transform of the kernel
:math:`e^{b(\sqrt{1-z^2}-1)}` that then interpolates (Barnett, Magland & af Klinteberg, SIAM J. Sci. Comput. 41, 2019):
16 neighbours give 14 digits at any angle, for all K at once.
"""

from __future__ import annotations

import ducc0
import numpy as np
from numba import njit
from scipy.fft import irfft, next_fast_len

from ..heads import Head
from ..spaces import Sphere
from .base import Modal, Real, directions, kappa_range
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


class RingInterpolation:
    """Fields given by Fourier modes, at fixed angles (n,), combined with the radial weights of each target."""

    def __init__(self, factors: RadialFactors, kappa: Real, angle: Real, fields: int) -> None:
        degree = factors.source_degree
        size = next_fast_len(2 * (2 * degree + 1) + NEIGHBOURS, real=True)
        self._weights = np.ascontiguousarray(factors.weights(kappa).transpose(2, 1, 0))
        position = (angle % (2.0 * np.pi)) * (size / (2.0 * np.pi)) - 0.5 * NEIGHBOURS
        first = np.ceil(position)
        self._start = first.astype(np.int64) % size
        self._bump = _bump(((first - position)[:, None] + np.arange(NEIGHBOURS)) * (2.0 / NEIGHBOURS) - 1.0)
        nodes, gauss = np.polynomial.legendre.leggauss(64)
        mode = np.arange(degree + 1) * (np.pi * NEIGHBOURS / size)
        self._correction = 1.0 / (np.cos(np.outer(mode, nodes)) @ (_bump(nodes) * gauss * (0.5 * NEIGHBOURS)))
        self._grid = np.empty((size + NEIGHBOURS, fields * factors.rank))
        self._size = size

    def evaluate(self, modes: Modal, partition: Real, radial: Real, tangent: Real) -> None:
        """Fill Z (n,), R (n,) and the tangential sums (fields − 1, n) from modes (fields·K, L_K+1) of real fields."""
        grid = self._grid
        grid[: self._size] = irfft(modes * self._correction, self._size, axis=-1, norm="forward").T
        grid[self._size :] = grid[:NEIGHBOURS]
        _interpolate(grid, self._start, self._bump, self._weights, partition, radial, tangent)


class CircleSums:
    """Kernel sums on S¹ for any B, singular ones included."""

    def __init__(self, head: Head, targets: Real) -> None:
        length, self._omega = directions(head, targets)
        self.log_scale = head.beta * length
        self._factors = radial_factors(2, *kappa_range(head.beta, length))
        self.source_degree = self._factors.source_degree
        angle = np.arctan2(self._omega[:, 1], self._omega[:, 0])
        self._ring = RingInterpolation(self._factors, self.log_scale, angle, fields=2)
        self._radial, self._tangent = np.empty(len(targets)), np.empty((1, len(targets)))

    def evaluate(self, c: Modal, partition: Real, first: Real) -> None:
        """Fill Z and the Cartesian components of N, both scaled."""
        value = self._factors.degree_basis * (c / (2.0 * np.pi))
        slope = 1j * np.arange(self.source_degree + 1) * value
        self._ring.evaluate(np.concatenate([value, slope]), partition, self._radial, self._tangent)
        x, y = self._omega.T
        first[0] = self._radial * x - self._tangent[0] * y
        first[1] = self._radial * y + self._tangent[0] * x


class PlaneSums:
    r"""Kernel sums on S² for a B of rank ≤ 2: all :math:`B^\top x` lie in a plane through the origin.

    In coordinates in which that plane is the equator the fields are Fourier series on it, and N has a component
    across, the derivative in colatitude.
    """

    def __init__(self, head: Head, targets: Real, threads: int) -> None:
        frame = np.linalg.svd(head.B)[2]
        self._frame = frame * np.linalg.det(frame)  # rows: two axes of the plane and its normal, right-handed
        length, omega = directions(head, targets)
        self.log_scale = head.beta * length
        self._factors = radial_factors(3, 0.0, kappa_range(head.beta, length)[1])
        self.source_degree = self._factors.source_degree
        self._space = Sphere(self.source_degree, threads=threads)
        self._phase = np.where(self._space.order % 2 == 0, 1.0, -1.0)
        angle = np.arctan2(omega @ self._frame[1], omega @ self._frame[0])
        self._ring = RingInterpolation(self._factors, self.log_scale, angle, fields=3)
        cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
        first, second, self._normal = self._frame
        self._axes = cosine * first + sine * second, cosine * second - sine * first
        self._radial, self._tangent = np.empty(len(targets)), np.empty((2, len(targets)))

    def evaluate(self, c: Modal, partition: Real, first: Real) -> None:
        """Fill Z and the Cartesian components of N, both scaled."""
        turned = self._space.rotate(c, self._frame) * self._phase
        degree, plan = self._space.degree, {"lmax": self.source_degree, "theta": np.array([0.5 * np.pi])}
        values, slopes = [], []
        for basis in self._factors.degree_basis:
            alm = (basis[degree] * turned)[None]
            values.append(ducc0.sht.alm2leg(alm=alm, spin=0, **plan)[0, 0])
            slopes.append(ducc0.sht.alm2leg_deriv1(alm=alm, **plan)[:, 0])
        down, along = np.swapaxes(np.array(slopes), 0, 1)
        self._ring.evaluate(np.concatenate([values, along, -down]), partition, self._radial, self._tangent)
        omega, tangent = self._axes
        first[:] = (self._radial[:, None] * omega + self._tangent[0][:, None] * tangent).T
        first += self._normal[:, None] * self._tangent[1]
