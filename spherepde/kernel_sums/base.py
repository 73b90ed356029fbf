"""What every evaluator of kernel sums offers, and the directions in which a score looks."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..heads import Head

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]


TRANSFORM_FLOOR = 4e-13
"""Error of sums that go through non-uniform transforms only. Measured at most 2.4e-13: 8000 tokens uniform, in one or
two clusters of width 1e-3 on the principal axes, or all weight on one; β from 1 to 500, beyond which the rounding
2e-16·β of the scores themselves hides it."""


def factor_floor(degree: int) -> float:
    """Error of sums over radial factors on S², whose gradients cancel up to L_K where κ is small.

    Measured for point sources at most 6e-14 L_K: 2e-12 at β = 1000 for a singular B, 1.7e-11 for σ₃ = 0.001.
    """
    return TRANSFORM_FLOOR + 8e-14 * degree


class KernelSums(Protocol):
    r"""Z and N of a measure at targets that were fixed when the evaluator was planned.

    ``source_degree``: L_K, the degree up to which coefficients of the measure are read; ``log_scale`` (n,):
    :math:`\beta|B^\top x|`, the logarithm of the factor taken out of both; ``floor``: their error, relative to the
    largest scaled Z that any direction has at the same κ (measured).
    """

    source_degree: int
    log_scale: Real
    floor: float

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


def kappa_range(head: Head) -> tuple[float, float]:
    """Smallest and largest κ = β|Bᵀx| on the sphere."""
    sizes = head.beta * np.linalg.svd(head.B, compute_uv=False)
    return float(sizes[-1]), float(sizes[0])


def colatitude_longitude(points: Real) -> Real:
    """Angles (n, 2) of unit vectors, colatitude and longitude in [0, 2π), to full accuracy at the poles."""
    location: Real = _angles(points)
    return location


@njit(cache=True, error_model="numpy", nogil=True)
def _angles(points):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    location = np.empty((points.shape[0], 2))
    for i in range(points.shape[0]):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        location[i, 0] = np.arctan2(np.sqrt(x * x + y * y), z)
        longitude = np.arctan2(y, x)
        location[i, 1] = longitude + 2.0 * np.pi if longitude < 0.0 else longitude
    return location
