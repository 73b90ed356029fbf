r"""Sums on S² for an invertible score, through a grid in the direction ω of :math:`w=B^\top x`.

The targets' w lie on the ellipsoid :math:`r(\omega)=1/|B^{-\top}\omega|`. On a Gauss grid in ω the K functions G_k of
:mod:`~spherepde.kernel_sums.radial` cost one small synthesis each, and give Z and its radial derivative R there. With
κ = βr(ω) and P = (Z − Z_0)/κ, Z_0 the part of degree 0 (which has no gradient), the tangential part of N is

.. math:: \nabla_\omega P\big|_{\kappa}=\nabla P-\partial_\kappa P\,\nabla\kappa,\qquad
          \partial_\kappa P=\frac{(R-R_0)-P}{\kappa}-P

(all scaled by e^{−κ}, whose derivative is the last term). So Z and N are known on the grid, where they are smooth; four
non-uniform transforms carry them to the targets.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..heads import Head
from ..spaces import Sphere
from .base import Modal, Real, directions
from .radial import radial_factors
from .sphere import ScatteredSynthesis, to_cartesian

TAIL = 3e-13
"""Fraction of a kernel's L² norm that its modes beyond the grid may hold. Measured: sums are then right to 1e-11."""
TILE = 512


@njit(cache=True, error_model="numpy", fastmath=True)
def _radial_sums(weights, values, isotropic, kappa, partition, radial, potential, slope):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Z, R, P and ∂_κP at every grid point, tile by tile so that the sums stay in cache; isotropic: Z_0 and R_0."""
    for low in range(0, kappa.size, TILE):
        high = min(low + TILE, kappa.size)
        partition[low:high] = 0.0
        radial[low:high] = 0.0
        for k in range(weights.shape[0]):
            for i in range(low, high):
                partition[i] += weights[k, 0, i] * values[k, i]
                radial[i] += weights[k, 1, i] * values[k, i]
        for i in range(low, high):
            potential[i] = (partition[i] - isotropic[0, i]) / kappa[i]
            slope[i] = (radial[i] - isotropic[1, i] - potential[i]) / kappa[i] - potential[i]


@njit(cache=True, error_model="numpy")
def _first_moment(location, kappa_gradient, radial, slope, gradient, first):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """N from R, ∂_κP and ∇P at every grid point."""
    for i in range(radial.size):
        gradient[0, i] -= slope[i] * kappa_gradient[0, i]
        gradient[1, i] -= slope[i] * kappa_gradient[1, i]
    to_cartesian(location, radial, gradient, first)


def _grid_for(degree: int, threads: int) -> Sphere:
    """The smallest grid that analyses functions of that degree."""
    latitudes = max(40, 8 * (-(-(degree + 1) // 8) | 1))
    return Sphere(degree, threads=threads, grid=(latitudes, 8 * (-(-2 * degree // 8) + 1)))


def smooth_degree(head: Head, largest: int) -> int | None:
    r"""Degree in ω at which Z and N are resolved, for any measure; None if that is beyond ``largest``.

    They are integrals over y of :math:`e^{\beta r(\omega)(\langle\omega,y\rangle-1)}`, whose spectra in ω are measured
    for y along and between the principal axes of the ellipsoid.
    """
    first, second, third = np.linalg.svd(head.B)[2]
    between = (first + third) / np.sqrt(2.0), (first + second + third) / np.sqrt(3.0)
    inverse = np.linalg.inv(head.B)
    degree = 50
    while degree < largest:
        degree = min(2 * degree, largest)
        space = Sphere(degree)
        kappa = head.beta / np.linalg.norm(space.points @ inverse, axis=-1)
        last = 0
        for y in (first, second, third, *between):
            u = space.to_modal(np.exp(kappa * (space.points @ y - 1.0)))
            power = np.bincount(space.degree, space.parseval * (u.real**2 + u.imag**2))
            tail = np.sqrt(np.cumsum(power[::-1])[::-1] / power.sum())
            last = max(last, int(np.flatnonzero(tail >= TAIL)[-1]))
        if last < 0.9 * degree:
            return last + 1
    return None


class EllipsoidSums:
    """Kernel sums for an invertible B whose ellipsoid a grid of the given ``degree`` in ω resolves."""

    def __init__(self, head: Head, targets: Real, degree: int, threads: int) -> None:
        length, omega = directions(head, targets)
        self.log_scale = head.beta * length
        sizes = head.beta * np.linalg.svd(head.B, compute_uv=False)
        factors = radial_factors(3, float(sizes[-1]), float(sizes[0]))
        self.source_degree = factors.source_degree
        self._grid = grid = _grid_for(max(degree, self.source_degree), threads)
        self._band = grid.band(self.source_degree)
        self._basis = factors.degree_basis[:, self._band.degree]

        inverse = np.linalg.inv(head.B)
        stretched = grid.points @ inverse
        kappa = head.beta / np.linalg.norm(stretched, axis=-1)
        slope = np.einsum("i...a,...a->i...", grid.tangent_frame, stretched @ inverse.T) * (-(kappa**3) / head.beta**2)
        self._kappa, self._kappa_gradient = (
            np.ascontiguousarray(grid.flat(kappa)),
            np.ascontiguousarray(grid.flat(slope)),
        )
        weights = factors.weights(self._kappa)
        self._weights = np.ascontiguousarray(weights[:, :2])
        self._isotropic = np.tensordot(factors.degree_basis[:, 0], self._weights, 1) / np.sqrt(4.0 * np.pi)
        angles = np.broadcast_arrays(grid.theta[:, None], grid.phi)
        self._location = np.stack([angle.T.ravel() for angle in angles], axis=-1)

        self._values, self._sums = grid.empty(factors.rank), grid.empty(4)
        self._gradient, self._first = grid.empty(2), grid.empty(3)
        self._scaled_isotropic = np.empty_like(self._isotropic)
        self._synthesis = ScatteredSynthesis(grid.lmax, omega, threads)

    def evaluate(self, c: Modal, partition: Real, first: Real) -> None:
        """Fill Z and the Cartesian components of N, both scaled."""
        grid = self._grid
        for basis, value in zip(self._basis, self._values, strict=True):
            self._band.to_nodal(basis * c, value)
        np.multiply(self._isotropic, c[0].real, out=self._scaled_isotropic)
        partition_sum, radial, potential, slope = self._sums
        _radial_sums(
            self._weights, grid.flat(self._values), self._scaled_isotropic, self._kappa, *grid.flat(self._sums)
        )
        grid.gradient(grid.to_modal(potential), self._gradient)
        flat = [grid.flat(field) for field in (radial, slope, self._gradient, self._first)]
        _first_moment(self._location, self._kappa_gradient, *flat)
        for field, out in zip((partition_sum, *self._first), (partition, *first), strict=True):
            self._synthesis.values(grid.to_modal(field), out)
