r"""Modal coefficients of a cloud of tokens, packed as in :mod:`spherepde.spaces`.

.. math:: S^1:\;c_k=\sum_jw_je^{-ik\theta_j},\qquad S^2:\;c_{lm}=\sum_jw_j\overline{Y_{lm}(y_j)}

by non-uniform transforms of type 1 (ducc0): O(m) for m tokens.
"""

from __future__ import annotations

import ducc0
import numpy as np
from numpy.typing import NDArray

from ..kernel_sums.base import colatitude_longitude

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]

EPSILON = 2.1e-13
"""Accuracy asked of ducc0's non-uniform transforms, which refuse 2e-13."""

BLOCK = 1 << 20
"""Tokens transformed at once: ducc0 needs about 50 bytes for each."""


def angles(points: Real) -> Real:
    """Angle (n, 1) of points of the circle; colatitude and longitude in [0, 2π), (n, 2), on the sphere."""
    if points.shape[1] == 2:
        return np.arctan2(points[:, 1], points[:, 0])[:, None]
    return colatitude_longitude(points)


def _on_circle(location: Real, weights: Real, degree: int, threads: int) -> Modal:
    modes = np.empty(2 * degree + 1, complex)
    points = weights.astype(complex)
    ducc0.nufft.nu2u(points=points, coord=location, out=modes, forward=True, epsilon=EPSILON, nthreads=threads)
    return modes[degree:]


def _on_sphere(location: Real, weights: Real, degree: int, threads: int) -> Modal:
    c: Modal = ducc0.sht.adjoint_synthesis_general(
        map=weights[None], spin=0, lmax=degree, loc=location, epsilon=EPSILON, nthreads=threads
    )[0]
    order = np.repeat(np.arange(degree + 1), np.arange(degree + 1, 0, -1))
    c[order % 2 == 1] *= -1.0  # ducc0 keeps the Condon-Shortley phase
    return c


def token_coefficients(location: Real, weights: Real, degree: int, threads: int = 1) -> Modal:
    r"""Coefficients up to ``degree`` of tokens with weights (m,) at ``location``, the :func:`angles` of m points.

    Tokens are taken in blocks, so that memory stays bounded. Absolute error at most 1e-13·Σ|w_j|, where all tokens
    sit in one place; 5e-15 where they spread.
    """
    transform = _on_circle if location.shape[1] == 1 else _on_sphere
    parts = (slice(first, first + BLOCK) for first in range(0, len(location), BLOCK))
    total: Modal = np.sum([transform(location[part], weights[part], degree, threads) for part in parts], axis=0)
    return total
