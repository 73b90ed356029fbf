"""What every evaluator of kernel sums offers, and the directions in which a score looks."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..heads import Head

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]


class KernelSums(Protocol):
    r"""Z and N of a measure at targets that were fixed when the evaluator was planned.

    ``source_degree``: L_K, the degree up to which coefficients of the measure are read; ``log_scale`` (n,):
    :math:`\beta|B^\top x|`, the logarithm of the factor taken out of both.
    """

    source_degree: int
    log_scale: Real

    def evaluate(self, c: Modal, partition: Real, first: Real) -> None:
        r"""Fill ``partition`` (n,) and ``first`` (d, n) with :math:`Z` and :math:`N`, times exp(−log_scale).

        ``c`` are the modal coefficients of the measure, packed as in :mod:`spherepde.spaces`.
        """


def directions(head: Head, targets: Real) -> tuple[Real, Real]:
    r"""Lengths r (n,) and directions ω (n, d) of :math:`w=B^\top x`; ω is the first axis where w vanishes."""
    w = targets @ head.B
    length = np.linalg.norm(w, axis=1)
    seen = length > 0.0
    omega = np.zeros_like(w)
    np.divide(w, length[:, None], out=omega, where=seen[:, None])
    omega[~seen, 0] = 1.0
    return length, omega


def kappa_range(beta: float, lengths: Real) -> tuple[float, float]:
    """Smallest and largest κ = β r, as plain numbers."""
    return beta * float(lengths.min()), beta * float(lengths.max())


def colatitude_longitude(omega: Real) -> Real:
    """Angles (n, 2) of unit vectors, colatitude and longitude in [0, 2π), to full accuracy at the poles."""
    across = np.hypot(omega[:, 0], omega[:, 1])
    longitude = np.arctan2(omega[:, 1], omega[:, 0])
    return np.stack([np.arctan2(across, omega[:, 2]), np.where(longitude < 0.0, longitude + 2.0 * np.pi, longitude)], 1)
