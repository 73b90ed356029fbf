r"""Sums on S¹ for an invertible score at many targets, through a grid in the direction ω of :math:`w=B^\top x`.

Z and N are smooth functions of ω on the ellipse :math:`r(\omega)=1/|B^{-\top}\omega|`. They are formed at equispaced
ω by :class:`~spherepde.kernel_sums.ring.CircleSums`; two complex non-uniform transforms carry them to the targets,
whatever the rank of the factors.
"""

from __future__ import annotations

from functools import lru_cache

import ducc0
import numpy as np
from numpy.typing import NDArray

from ..heads import Head
from .base import TRANSFORM_FLOOR, Modal, Real, directions
from .ring import CircleSums

TAIL = 1e-15
"""Fraction of a kernel's largest mode that those beyond the grid may reach."""
EPSILON = 2e-13


def _angles(nodes: int) -> Real:
    return 2.0 * np.pi * np.arange(nodes) / nodes


def smooth_nodes(head: Head, most_nodes: int) -> int | None:
    r"""Nodes in ω that resolve Z and N, for any measure; None if more than given.

    As on the sphere, the spectra of :math:`e^{\beta r(\omega)(\langle\omega,y\rangle-1)}` are measured, for y along and
    between the principal axes.
    """
    return _smooth_nodes(head.beta, tuple(map(tuple, head.B.tolist())), most_nodes)


@lru_cache(maxsize=16)
def _smooth_nodes(beta: float, score: tuple[tuple[float, ...], ...], most_nodes: int) -> int | None:
    B = np.array(score)
    first, second = np.linalg.svd(B)[2]
    inverse = np.linalg.inv(B)
    nodes = 128
    while nodes <= most_nodes:
        omega = np.stack([np.cos(_angles(nodes)), np.sin(_angles(nodes))], axis=-1)
        kappa = beta / np.linalg.norm(omega @ inverse, axis=1)
        last = 0
        for y in (first, second, (first + second) / np.sqrt(2.0), (3.0 * first + second) / np.sqrt(10.0)):
            size = np.abs(np.fft.rfft(np.exp(kappa * (omega @ y - 1.0))))
            last = max(last, int(np.flatnonzero(size >= TAIL * size.max() * np.sqrt(nodes))[-1]))
        if last < 0.45 * nodes:
            return nodes
        nodes *= 2
    return None


class EllipseSums:
    """Kernel sums for an invertible B on S¹ whose ellipse that many nodes resolve."""

    floor = 2.0 * TRANSFORM_FLOOR

    def __init__(self, head: Head, targets: Real, nodes: int, threads: int) -> None:
        length, omega = directions(head, targets)
        self.log_scale = head.beta * length
        self._angle = np.arctan2(omega[:, 1], omega[:, 0])[:, None]
        grid = np.stack([np.cos(_angles(nodes)), np.sin(_angles(nodes))], axis=-1) @ np.linalg.inv(head.B)
        self._sums = CircleSums(head, grid / np.linalg.norm(grid, axis=1, keepdims=True))
        self.source_degree = self._sums.source_degree
        self._partition, self._first = np.empty(nodes), np.empty((2, nodes))
        self._pair: NDArray[np.complex128] = np.empty(nodes, complex)
        self._found: NDArray[np.complex128] = np.empty(len(targets), complex)
        self._threads = threads

    def _carry(self, pair: Modal) -> Modal:
        """Values at the targets of two real functions on the grid, held in one complex array."""
        modes = ducc0.fft.c2c(pair, inorm=2, out=pair, nthreads=self._threads)
        options = {"forward": False, "epsilon": EPSILON, "periodicity": 2.0 * np.pi, "nthreads": self._threads}
        return np.asarray(ducc0.nufft.u2nu(grid=modes, coord=self._angle, fft_order=True, out=self._found, **options))

    def evaluate(self, c: Modal, partition: Real, first: Real) -> None:
        """Fill Z and the Cartesian components of N, both scaled."""
        self._sums.evaluate(c, self._partition, self._first)
        self._pair.real, self._pair.imag = self._partition, 0.0
        partition[:] = self._carry(self._pair).real
        self._pair.real, self._pair.imag = self._first
        found = self._carry(self._pair)
        first[0], first[1] = found.real, found.imag
