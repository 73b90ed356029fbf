r"""The sphere S² with spherical harmonics, on a Gauss–Legendre grid.

.. math:: f = \sum_l c_{l0}Y_{l0} + 2\,\mathrm{Re}\sum_{m>0} c_{lm}Y_{lm}

with orthonormal harmonics, no Condon–Shortley phase, m-major packing (m = 0: l = 0..L, m = 1: l = 1..L, …).
Nodal arrays are (theta, phi), theta fastest in memory (see :meth:`Sphere.empty`); the tangent frame is
:math:`(e_\theta, e_\phi)`.
"""

from __future__ import annotations

from functools import cached_property

import ducc0
import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from ..errors import InputError
from ..quadrature import gauss_legendre, spherical_points
from .base import Modal, Real, Space, checked_degree
from .ducc import DuccTransforms, condon_shortley
from .transforms import SphereTransforms

LARGEST_DEGREE = 4095


def _choose(backend: str) -> type[SphereTransforms]:
    if backend not in ("auto", "shtns", "ducc0"):
        raise InputError(f"Sphere: expected backend 'auto', 'shtns' or 'ducc0', got {backend!r}")
    if backend == "ducc0":
        return DuccTransforms
    try:
        from .shtns import ShtnsTransforms
    except ImportError as error:
        if backend == "auto":
            return DuccTransforms
        raise InputError(
            f"Sphere: backend 'shtns' is not installed ({error}); expected `apt install libfftw3-dev` "
            "(or `brew install fftw`) and `pip install shtns`, or backend 'ducc0'"
        ) from None
    return ShtnsTransforms


def dealiased_grid(lmax: int) -> tuple[int, int]:
    """Latitudes and longitudes that integrate products of three harmonics, in sizes at which SHTns is fast.

    Latitudes: an odd multiple of 8, whole vectors that do not fall on the same cache lines. Longitudes: 2^k times
    1, 3, 5 or 9 (measured: 640 and 768 take less time than 648 or 672).
    """
    latitudes = 8 * (-(-3 * (lmax + 1) // 16) | 1)
    needed = 3 * lmax + 2
    longitudes = min(m << max(3, (-(-needed // m) - 1).bit_length()) for m in (1, 3, 5, 9))
    return max(40, latitudes), longitudes


class Sphere(Space):
    """Spherical harmonics of degree ≤ ``lmax`` on a (3/2)-dealiased Gauss grid.

    ``backend`` is "shtns" (fastest), "ducc0" (wheels everywhere) or "auto" (the first that is installed);
    ``threads`` per transform. Raises InputError unless 2 ≤ lmax ≤ 4095, or for a backend that is not there.
    """

    dim = 3
    area = 4.0 * np.pi
    conventions = (
        "sphere: f = sum_l c_l0 Y_l0 + 2 Re sum_{m>0} c_lm Y_lm, orthonormal Y_lm without Condon-Shortley phase, "
        "m-major packing with l >= m; theta colatitude in (0, pi), phi longitude in [0, 2pi); "
        "x = (sin theta cos phi, sin theta sin phi, cos theta); density per unit area; dimensionless"
    )

    def __init__(
        self, lmax: int, *, backend: str = "auto", threads: int = 1, grid: tuple[int, int] | None = None
    ) -> None:
        self.lmax = lmax = checked_degree("Sphere", lmax, LARGEST_DEGREE)
        grid = grid or dealiased_grid(lmax)
        self.threads = threads
        self.shape = grid
        self._transforms = _choose(backend)(lmax, *grid, threads=threads)
        self.backend = self._transforms.name
        self.theta, latitude_weights = gauss_legendre(grid[0])
        self.phi = 2.0 * np.pi * np.arange(grid[1]) / grid[1]
        self._latitude_weights = latitude_weights * (2.0 * np.pi / grid[1])
        self.weights = np.repeat(self._latitude_weights[:, None], grid[1], axis=1)
        order = np.repeat(np.arange(lmax + 1), np.arange(lmax + 1, 0, -1))
        self.order = order
        self.degree = np.concatenate([np.arange(m, lmax + 1) for m in range(lmax + 1)])
        self.parseval = np.where(order == 0, 1.0, 2.0)

    @property
    def axes(self) -> dict[str, Real]:
        """Colatitudes theta and longitudes phi of the nodes."""
        return {"theta": self.theta, "phi": self.phi}

    @cached_property
    def points(self) -> Real:  # type: ignore[override]
        """Cartesian nodes, shape (n_theta, n_phi, 3)."""
        return spherical_points(self.theta, self.phi)

    @cached_property
    def tangent_frame(self) -> Real:
        """The unit vectors e_theta and e_phi, shape (2, n_theta, n_phi, 3)."""
        sine, cosine = np.sin(self.theta)[:, None], np.cos(self.theta)[:, None]
        cos_phi, sin_phi = np.cos(self.phi), np.sin(self.phi)
        zero = np.zeros(self.shape)
        e_theta = np.stack([cosine * cos_phi, cosine * sin_phi, -sine + zero], axis=-1)
        e_phi = np.stack([-sin_phi + zero, cos_phi + zero, zero], axis=-1)
        return np.stack([e_theta, e_phi])

    def empty(self, *leading: int) -> Real:
        """An uninitialised nodal array (*leading, n_theta, n_phi) with theta fastest in memory."""
        return np.empty((*leading, *self.shape[::-1])).swapaxes(-1, -2)

    def flat(self, nodal: Real) -> Real:
        """Nodal values (…, n_theta, n_phi) as (…, n), theta fastest."""
        return nodal.swapaxes(-1, -2).reshape(*nodal.shape[:-2], -1)

    def integrate(self, f: Real) -> float:
        """∫ f over the sphere from nodal values."""
        return float(self._latitude_weights @ f.sum(axis=-1))

    def to_nodal(self, u: Modal, out: Real | None = None) -> Real:
        """Values at the nodes, shape (n_theta, n_phi)."""
        result = self.empty() if out is None else out
        self._transforms.synthesis(u, result.T)
        return result

    def to_modal(self, f: Real, out: Modal | None = None) -> Modal:
        """Coefficients c_lm, shape ((lmax+1)(lmax+2)/2,)."""
        result = np.empty(self.n_modal, complex) if out is None else out
        spare = self._spare_field[0]  # analysis may destroy its input
        np.copyto(spare, f.T)
        self._transforms.analysis(spare, result)
        return result

    def gradient(self, u: Modal, out: Real | None = None) -> Real:
        """Components of the surface gradient along e_theta and e_phi, shape (2, n_theta, n_phi)."""
        result = self.empty(2) if out is None else out
        self._transforms.gradient(u, result.swapaxes(-1, -2))
        return result

    def divergence(self, field: Real, out: Modal | None = None, *, overwrite: bool = False) -> Modal:
        """Coefficients of the surface divergence of a field of shape (2, n_theta, n_phi)."""
        result = np.empty(self.n_modal, complex) if out is None else out
        swapped = field.swapaxes(-1, -2)
        if not overwrite:
            np.copyto(self._spare_field, swapped)
            swapped = self._spare_field
        self._transforms.divergence(swapped, result)
        return result

    @cached_property
    def _spare_field(self) -> Real:
        return np.empty((2, *self.shape[::-1]))

    @cached_property
    def _phase(self) -> Modal:
        return condon_shortley(self.lmax)

    @cached_property
    def _phase_of_reflection(self) -> Modal:
        return np.where((self.degree + self.order) % 2 == 0, 1.0 + 0j, -1.0)  # (−1)^m, and (−1)^l for x → −x

    def evaluate(self, u: Modal, points: ArrayLike) -> Real:
        """Values at unit vectors (n, 3), by ducc0's non-uniform spherical transform."""
        x = np.asarray(points, dtype=np.float64)
        location = np.stack(
            [np.arctan2(np.hypot(x[:, 0], x[:, 1]), x[:, 2]), np.arctan2(x[:, 1], x[:, 0]) % (2.0 * np.pi)], axis=-1
        )
        values = ducc0.sht.synthesis_general(
            alm=(u * self._phase)[None], spin=0, lmax=self.lmax, loc=location, epsilon=3e-13, nthreads=self.threads
        )
        return np.asarray(values[0])

    def point_mass(self, point: ArrayLike) -> Modal:
        """Coefficients Y_lm(e) (conjugated) of the Dirac mass at e."""
        x = np.asarray(point, dtype=np.float64)
        coefficients = ducc0.sht.adjoint_synthesis(
            map=np.ones((1, 1)),
            theta=np.array([np.arctan2(np.hypot(x[0], x[1]), x[2])]),
            nphi=np.array([1], dtype=np.uint64),
            phi0=np.array([np.arctan2(x[1], x[0])]),
            ringstart=np.array([0], dtype=np.uint64),
            spin=0,
            lmax=self.lmax,
            nthreads=1,
        )
        return np.asarray(coefficients[0] * self._phase)

    def rotate(self, u: Modal, orthogonal: ArrayLike, out: Modal | None = None) -> Modal:
        """Coefficients of f(Oᵀx): a Wigner rotation, after the parity (−1)^l if O reflects."""
        O = np.asarray(orthogonal, dtype=np.float64)
        proper = np.linalg.det(O) > 0
        psi, theta, phi = Rotation.from_matrix(O if proper else -O).as_euler("zyz", suppress_warnings=True)
        turned = np.multiply(u, self._phase if proper else self._phase_of_reflection, out=out)
        ducc0.sht.rotate_alm(turned, self.lmax, psi, theta, phi, nthreads=self.threads, out=turned)
        turned *= self._phase
        return turned

    def refined(self, lmax: int) -> Sphere:
        """Sphere with another lmax on its own grid."""
        return Sphere(lmax, backend=self.backend, threads=self.threads)

    def band(self, lmax: int) -> Sphere:
        """Degrees ≤ lmax on this grid."""
        return Sphere(min(lmax, self.lmax), backend=self.backend, threads=self.threads, grid=self.shape)  # type: ignore[arg-type]
