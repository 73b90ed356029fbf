r"""Sums on S² for an invertible score, through a grid in the direction ω of :math:`w=B^\top x`.

The targets' w lie on the ellipsoid :math:`r(\omega)=1/|B^{-\top}\omega|`. On a Gauss grid in ω the K functions G_k of
:mod:`~spherepde.kernel_sums.radial` cost one small synthesis each, and give Z and its radial derivative R there. With
κ = βr(ω) and P = (Z − Z_0)/κ, Z_0 the part of degree 0 (which has no gradient), the tangential part of N is

.. math:: \nabla_\omega P\big|_{\kappa}=\nabla P-\partial_\kappa P\,\nabla\kappa,\qquad
          \partial_\kappa P=\frac{(R-R_0)-P}{\kappa}-P

(all scaled by e^{−κ}, whose derivative is the last term). So Z and N are known on the grid, where they are smooth; four
non-uniform transforms carry them to the targets. The poles lie on the axis of the ellipsoid that stands out: a thin one
then varies fast in latitude only, and needs few longitudes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import ducc0
import numpy as np
from numba import njit

from ..heads import Head
from ..spaces import Sphere
from .base import Modal, Real, colatitude_longitude, directions, kappa_range
from .gauss_grid import GaussGrid
from .radial import radial_factors
from .sphere import EPSILON, to_cartesian

TAIL = 3e-13
"""Fraction of a kernel's L² norm that its modes beyond the grid may hold. Measured: sums are then right to 1e-11
for condition numbers up to ten."""
FLOOR = 2e-12
"""Error of the sums over the amplification σ₁/σ₃·max(1, 1/βσ₃) of 4 and more (measured: at most 2e-12, at 33)."""
TILE = 512


@njit(cache=True, error_model="numpy", fastmath=True)
def _radial_sums(weights, values, isotropic, mass, kappa, partition, radial, potential, slope):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Z, R, P and ∂_κP at every grid point, tile by tile so that sums stay in cache; isotropic: Z_0, R_0 of mass 1."""
    for low in range(0, kappa.size, TILE):
        high = min(low + TILE, kappa.size)
        partition[low:high] = 0.0
        radial[low:high] = 0.0
        for k in range(weights.shape[0]):
            for i in range(low, high):
                partition[i] += weights[k, 0, i] * values[k, i]
                radial[i] += weights[k, 1, i] * values[k, i]
        for i in range(low, high):
            potential[i] = (partition[i] - mass * isotropic[0, i]) / kappa[i]
            slope[i] = (radial[i] - mass * isotropic[1, i] - potential[i]) / kappa[i] - potential[i]


@njit(cache=True, error_model="numpy")
def _first_moment(location, kappa_gradient, radial, slope, gradient, first):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """N from R, ∂_κP and ∇P at every grid point."""
    for i in range(radial.size):
        gradient[0, i] -= slope[i] * kappa_gradient[0, i]
        gradient[1, i] -= slope[i] * kappa_gradient[1, i]
    to_cartesian(location, radial, gradient, first)


def amplification(head: Head) -> float:
    """How much forming N multiplies the error of Z on the grid, σ₁/σ₃·max(1, 1/βσ₃); inf for a singular B."""
    lowest, highest = kappa_range(head)
    return highest / lowest * max(1.0, 1.0 / lowest) if lowest > 0.0 else np.inf


def principal_frame(B: Real) -> Real:
    """Rows: the principal axes of the ellipsoid, right-handed, the one that stands out last (smallest or largest σ)."""
    _, sizes, axes = np.linalg.svd(B)
    flat = sizes[1] ** 2 >= sizes[0] * sizes[2]
    frame = axes if flat else axes[[1, 2, 0]]
    return np.ascontiguousarray(frame * np.linalg.det(frame))


def smooth_degrees(head: Head, most_nodes: float) -> tuple[int, int] | None:
    r"""Degree and order in ω at which Z and N are resolved, for any measure; None if that takes more nodes than given.

    They are integrals over y of :math:`e^{\beta r(\omega)(\langle\omega,y\rangle-1)}`, whose spectra in ω are measured
    for y along and between the principal axes of the ellipsoid.
    """
    score = head.B @ principal_frame(head.B).T
    return _smooth_degrees(head.beta, tuple(map(tuple, score.tolist())), most_nodes)


@lru_cache(maxsize=16)
def _smooth_degrees(beta: float, score: tuple[tuple[float, ...], ...], most_nodes: float) -> tuple[int, int] | None:
    """The degrees for a score whose principal axes are those of coordinates, remembered."""
    inverse = np.linalg.inv(np.array(score))
    between = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    sources = np.concatenate([np.eye(3), between / np.linalg.norm(between, axis=1, keepdims=True)])
    size = [64, 64]
    while size[0] * size[1] <= 2.0 * most_nodes:
        grid = GaussGrid(*size)
        kappa = beta / np.linalg.norm(grid.points @ inverse, axis=-1)
        spectra = np.array([grid.to_modal(np.exp(kappa * (grid.points @ y - 1.0))) for y in sources])
        power = grid.parseval * (spectra.real**2 + spectra.imag**2)
        ends = [grid.end(power, index, TAIL) for index in (grid.degree, grid.order)]
        if all(end < 0.9 * limit for end, limit in zip(ends, size, strict=True)):
            return (ends[0] + 1, ends[1] + 1) if 2.0 * ends[0] * ends[1] <= most_nodes else None
        size = [2 * limit if end >= 0.9 * limit else limit for end, limit in zip(ends, size, strict=True)]
    return None


class EllipsoidSums:
    """Kernel sums for an invertible B whose ellipsoid a grid of the given degree and order in ω resolves."""

    def __init__(self, head: Head, targets: Real, degrees: tuple[int, int], threads: int) -> None:
        self._frame = principal_frame(head.B)
        score = head.B @ self._frame.T
        length, omega = directions(Head(head.V, score, beta=head.beta), targets)
        self.log_scale = head.beta * length
        self.floor = FLOOR * max(4.0, amplification(head))
        factors = radial_factors(3, *kappa_range(head))
        self.source_degree = band = factors.source_degree

        self._grid = GaussGrid(max(degrees[0], band), max(degrees[1], band), threads)
        self._band = nodes = Sphere(band, threads=threads, grid=self._grid.shape)
        self._basis = factors.degree_basis[:, nodes.degree] + 0j
        stretched = nodes.points @ np.linalg.inv(score)
        kappa = head.beta / np.linalg.norm(stretched, axis=-1)
        slope = np.einsum("i...a,...a->i...", nodes.tangent_frame, stretched @ np.linalg.inv(score).T)
        slope *= -(kappa**3) / head.beta**2
        self._kappa, self._kappa_gradient = (
            np.ascontiguousarray(nodes.flat(kappa)),
            np.ascontiguousarray(nodes.flat(slope)),
        )
        self._weights = np.ascontiguousarray(factors.weights(self._kappa)[:, :2])
        self._isotropic = np.tensordot(factors.degree_basis[:, 0], self._weights, 1) / np.sqrt(4.0 * np.pi)
        angles = np.broadcast_arrays(nodes.theta[:, None], nodes.phi)
        self._nodes = np.stack([angle.T.ravel() for angle in angles], axis=-1)

        self._values, self._sums = nodes.empty(factors.rank), nodes.empty(4)
        self._gradient, self._first = nodes.empty(2), nodes.empty(3)
        self._turned, self._part = np.empty(nodes.n_modal, complex), np.empty(nodes.n_modal, complex)
        self._modal = np.empty(self._grid.n_modal, complex)
        self._at_targets = np.empty((3, len(targets)))
        self._plan: dict[str, Any] = self._grid.plan | {"loc": colatitude_longitude(omega), "epsilon": EPSILON}

    def evaluate(self, c: Modal, partition: Real, first: Real) -> None:
        """Fill Z and the Cartesian components of N, both scaled."""
        nodes, grid = self._band, self._grid
        nodes.rotate(c, self._frame, self._turned)
        for basis, value in zip(self._basis, self._values, strict=True):
            nodes.to_nodal(np.multiply(basis, self._turned, out=self._part), value)
        _radial_sums(
            self._weights, nodes.flat(self._values), self._isotropic, c[0].real, self._kappa, *nodes.flat(self._sums)
        )
        partition_sum, radial, potential, slope = self._sums
        grid.gradient(grid.to_modal(potential, self._modal), self._gradient)
        flat = [nodes.flat(field) for field in (radial, slope, self._gradient, self._first)]
        _first_moment(self._nodes, self._kappa_gradient, *flat)
        for field, out in zip((partition_sum, *self._first), (partition, *self._at_targets), strict=True):
            alm = grid.to_modal(field, self._modal)[None]
            ducc0.sht.synthesis_general(alm=alm, spin=0, map=out[None], **self._plan)
        np.matmul(self._frame.T, self._at_targets, out=first)
