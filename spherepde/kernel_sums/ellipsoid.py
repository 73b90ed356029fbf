r"""Sums on S² for an invertible score, through a grid in the direction ω of :math:`w=B^\top x`.

The targets' w lie on the ellipsoid :math:`r(\omega)=1/|B^{-\top}\omega|`. On a Gauss grid in ω the K functions G_k of
:mod:`~spherepde.kernel_sums.radial` and their gradients cost two small syntheses each, and give Z and N there, where
they are smooth; four non-uniform transforms carry them to the targets. The poles lie on the axis of the ellipsoid that
stands out: a thin one then varies fast in latitude only, and needs few longitudes.
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

TAIL, MARGIN = 3e-13, 1.05
"""Fraction of a kernel's L² norm beyond the degree found, and the factor by which the grid's degree exceeds that."""
FLOOR = 1e-11
"""Error of the sums for condition numbers up to ten, in proportion to them beyond (measured for point sources on the
principal axes, the worst there are: 8e-12 at ten, 2e-11 at forty)."""
TILE = 512


@njit(cache=True, error_model="numpy", fastmath=True)
def _radial_sums(weights, values, slopes, sums):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Z, R and the two tangential parts at every grid point, tile by tile so that the sums stay in cache."""
    for low in range(0, values.shape[1], TILE):
        high = min(low + TILE, values.shape[1])
        sums[:, low:high] = 0.0
        for k in range(weights.shape[0]):
            for i in range(low, high):
                sums[0, i] += weights[k, 0, i] * values[k, i]
                sums[1, i] += weights[k, 1, i] * values[k, i]
                sums[2, i] += weights[k, 2, i] * slopes[k, 0, i]
                sums[3, i] += weights[k, 2, i] * slopes[k, 1, i]


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
            degree, order = (int(MARGIN * end) + 1 for end in ends)
            return (degree, order) if 2.0 * degree * order <= most_nodes else None
        size = [2 * limit if end >= 0.9 * limit else limit for end, limit in zip(ends, size, strict=True)]
    return None


class EllipsoidSums:
    """Kernel sums for an invertible B whose ellipsoid a grid of the given degree and order in ω resolves."""

    def __init__(self, head: Head, targets: Real, degrees: tuple[int, int], threads: int, backend: str) -> None:
        self._frame = principal_frame(head.B)
        score = head.B @ self._frame.T
        length, omega = directions(Head(head.V, score, beta=head.beta), targets)
        self.log_scale = head.beta * length
        lowest, highest = kappa_range(head)
        self.floor = FLOOR * max(1.0, 0.1 * highest / lowest)
        factors = radial_factors(3, lowest, highest)
        self.source_degree = band = factors.source_degree

        self._grid = GaussGrid(max(degrees[0], band), max(degrees[1], band), threads)
        self._band = nodes = Sphere(band, backend=backend, threads=threads, grid=self._grid.shape)
        self._basis = factors.degree_basis[:, nodes.degree] + 0j
        kappa = head.beta / np.linalg.norm(nodes.points @ np.linalg.inv(score), axis=-1)
        self._weights = factors.weights(np.ascontiguousarray(nodes.flat(kappa)))
        angles = np.broadcast_arrays(nodes.theta[:, None], nodes.phi)
        self._nodes = np.stack([angle.T.ravel() for angle in angles], axis=-1)

        self._values, self._slopes = nodes.empty(factors.rank), nodes.empty(factors.rank, 2)
        self._sums, self._fields = nodes.empty(4), nodes.empty(4)
        self._turned, self._part = np.empty(nodes.n_modal, complex), np.empty(nodes.n_modal, complex)
        self._modal = np.empty(self._grid.n_modal, complex)
        self._at_targets = np.empty((3, len(targets)))
        self._plan: dict[str, Any] = self._grid.plan | {"loc": colatitude_longitude(omega), "epsilon": EPSILON}

    def evaluate(self, c: Modal, partition: Real, first: Real) -> None:
        """Fill Z and the Cartesian components of N, both scaled."""
        nodes, grid = self._band, self._grid
        nodes.rotate(c, self._frame, self._turned)
        for basis, value, slope in zip(self._basis, self._values, self._slopes, strict=True):
            np.multiply(basis, self._turned, out=self._part)
            nodes.to_nodal(self._part, value)
            nodes.gradient(self._part, slope)
        sums, fields = nodes.flat(self._sums), nodes.flat(self._fields)
        _radial_sums(self._weights, nodes.flat(self._values), nodes.flat(self._slopes), sums)
        to_cartesian(self._nodes, sums[1], sums[2:], fields[1:])
        self._fields[0] = self._sums[0]
        for field, out in zip(self._fields, (partition, *self._at_targets), strict=True):
            alm = grid.to_modal(field, self._modal)[None]
            ducc0.sht.synthesis_general(alm=alm, spin=0, map=out[None], **self._plan)
        np.matmul(self._frame.T, self._at_targets, out=first)
