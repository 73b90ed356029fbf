r"""The circle S¹ with real Fourier transforms (pyFFTW).

.. math:: f(\theta) = \frac{1}{2\pi}\sum_{|k|\le L} c_k e^{ik\theta},\qquad
          c_k = \int_0^{2\pi} f(\theta)e^{-ik\theta}d\theta

Only k ≥ 0 is stored. The tangent vector is :math:`e_\theta=(-\sin\theta,\cos\theta)`.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import ducc0
import numpy as np
import pyfftw
from numpy.typing import ArrayLike
from scipy.fft import next_fast_len

from ..errors import InputError
from .base import Modal, Real, Space, checked_degree

LARGEST_DEGREE = 2**20


def dealiased_nodes(lmax: int) -> int:
    """How many equispaced angles integrate products of three harmonics, a number at which FFTs are fast."""
    return int(next_fast_len(3 * lmax + 2, real=True))


class Circle(Space):
    """Trigonometric polynomials of degree ≤ ``lmax`` on at least 3·lmax + 2 equispaced angles.

    ``threads`` is accepted for symmetry with the sphere; transforms this short run on one thread.
    Raises InputError unless 2 ≤ lmax ≤ 2²⁰.
    """

    dim = 2
    area = 2.0 * np.pi
    backend = "fftw"
    conventions = (
        "circle: f(theta) = (1/2pi) sum_k c_k exp(i k theta), c_k = int f exp(-i k theta), k = 0..lmax stored "
        "(c_0 is the mass); theta in [0, 2pi); x = (cos theta, sin theta); density per unit arc length; dimensionless"
    )

    def __init__(self, lmax: int, *, backend: str = "auto", threads: int = 1, nodes: int | None = None) -> None:
        if backend not in ("auto", "fftw"):
            raise InputError(f"Circle: expected backend 'auto', got {backend!r} (shtns and ducc0 belong to the sphere)")
        self.lmax = lmax = checked_degree("Circle", lmax, LARGEST_DEGREE)
        self.threads = threads
        n = nodes or dealiased_nodes(lmax)
        self.shape = (n,)
        self.theta = 2.0 * np.pi * np.arange(n) / n
        self.points = np.stack([np.cos(self.theta), np.sin(self.theta)], axis=-1)
        self.weights = np.full(n, 2.0 * np.pi / n)
        self.degree = np.arange(lmax + 1)
        self.order = np.zeros(lmax + 1, dtype=np.int64)
        self.parseval = np.where(self.degree == 0, 1.0, 2.0) / (2.0 * np.pi)
        self._derivative = 1j * self.degree
        self._nodal = pyfftw.empty_aligned(n, dtype="float64")
        self._spectrum = pyfftw.zeros_aligned(n // 2 + 1, dtype="complex128")
        self._kept = self._spectrum[: lmax + 1]
        plan: dict[str, Any] = {"threads": 1, "flags": ("FFTW_ESTIMATE",)}
        self._forward = pyfftw.FFTW(self._nodal, self._spectrum, **plan)
        self._backward = pyfftw.FFTW(
            self._spectrum,
            self._nodal,
            direction="FFTW_BACKWARD",
            **{**plan, "flags": ("FFTW_ESTIMATE", "FFTW_DESTROY_INPUT")},
        )

    @property
    def axes(self) -> dict[str, Real]:
        """The angle theta of each node."""
        return {"theta": self.theta}

    @cached_property
    def tangent_frame(self) -> Real:
        """The unit tangent (−sin θ, cos θ), shape (1, n, 2)."""
        return np.stack([-self.points[:, 1], self.points[:, 0]], axis=-1)[None]

    def _synthesise(self, out: Real | None) -> Real:
        """Nodal values of the coefficients in ``_kept``."""
        self._spectrum[self.lmax + 1 :] = 0.0
        self._backward.execute()  # unnormalised, reads k >= 0 as half of a Hermitian sum
        return np.multiply(self._nodal, 1.0 / (2.0 * np.pi), out=out)

    def to_nodal(self, u: Modal, out: Real | None = None) -> Real:
        """Values at the nodes, shape (n,)."""
        self._kept[:] = u
        return self._synthesise(out)

    def to_modal(self, f: Real, out: Modal | None = None) -> Modal:
        """Fourier coefficients c_k, shape (lmax+1,)."""
        self._nodal[:] = f
        self._forward.execute()
        return np.multiply(self._kept, 2.0 * np.pi / self.shape[0], out=out)

    def gradient(self, u: Modal, out: Real | None = None) -> Real:
        """Derivative with respect to θ at the nodes, shape (1, n)."""
        result = np.empty((1, *self.shape)) if out is None else out
        np.multiply(self._derivative, u, out=self._kept)
        self._synthesise(result[0])
        return result

    def divergence(self, field: Real, out: Modal | None = None, *, overwrite: bool = False) -> Modal:
        """Coefficients of ∂_θ F for a field of shape (1, n)."""
        coefficients = self.to_modal(field[0], out)
        return np.multiply(self._derivative, coefficients, out=coefficients)

    def evaluate(self, u: Modal, points: ArrayLike) -> Real:
        """Values at unit vectors (n, 2), by a non-uniform FFT."""
        x = np.asarray(points, dtype=np.float64)
        angle = np.arctan2(x[:, 1], x[:, 0])
        two_sided = np.concatenate([np.conj(u[:0:-1]), u]) / (2.0 * np.pi)
        two_sided[self.lmax] = u[0].real / (2.0 * np.pi)
        values = ducc0.nufft.u2nu(
            grid=two_sided, coord=angle[:, None], forward=False, epsilon=1e-14, periodicity=2.0 * np.pi, nthreads=1
        )
        return np.ascontiguousarray(values.real)

    def point_mass(self, point: ArrayLike) -> Modal:
        """Coefficients e^{−ikα} of the Dirac mass at (cos α, sin α)."""
        x = np.asarray(point, dtype=np.float64)
        return np.exp(-1j * self.degree * np.arctan2(x[1], x[0]))

    def rotate(self, u: Modal, orthogonal: ArrayLike, out: Modal | None = None) -> Modal:
        """Coefficients of f(Oᵀx): a phase, and a conjugation if O reflects."""
        O = np.asarray(orthogonal, dtype=np.float64)
        proper, angle = np.linalg.det(O) > 0, np.arctan2(O[1, 0], O[0, 0])
        turned = np.multiply(self._derivative, -angle if proper else angle, out=out)
        np.exp(turned, out=turned)
        turned *= u
        return turned if proper else np.conj(turned, out=turned)

    def refined(self, lmax: int) -> Circle:
        """Circle with another lmax on its own grid."""
        return Circle(lmax, threads=self.threads)

    def band(self, lmax: int) -> Circle:
        """Degrees ≤ lmax on this grid."""
        return Circle(min(lmax, self.lmax), threads=self.threads, nodes=self.shape[0])
