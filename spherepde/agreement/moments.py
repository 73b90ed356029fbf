"""Differences of first and second moments, in absolute terms and in units of an exact sample's scatter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NARROWEST = 1e-5
"""Combinations of moments that vary by less over the density say nothing beyond rounding and the run's own error."""


def moment_functions(points: Array) -> Array:
    r"""The functions :math:`x_i`, :math:`x_i^2` and :math:`\sqrt2x_ix_j` (i < j) at points (n, d), one in each column.

    Differences of their means are those of the mean and, in the Frobenius norm, of the second moment.
    """
    i, j = np.triu_indices(points.shape[1])
    products = points[:, i] * points[:, j] * np.where(i == j, 1.0, np.sqrt(2.0))
    return np.concatenate([points, products], axis=1)


class MomentScore:
    r"""First and second moments of a measure, and how far a sample's are from them.

    .. math:: s^2=n\,(\hat m-m)^\top C^{+}(\hat m-m),\qquad C=\int(f-m)(f-m)^\top d\rho

    with C the exact covariance of the functions f under ρ, over weighted nodes; directions of standard deviation below
    1e-5 are left out. For n exact draws s² has mean rank C and nearly a χ² distribution.
    """

    def __init__(self, points: Array, weights: Array) -> None:
        f = moment_functions(points)
        self.dim = points.shape[1]
        self.means = weights @ f
        centred = f - self.means
        values, vectors = np.linalg.eigh((weights[:, None] * centred).T @ centred)
        kept = values > NARROWEST**2
        self.whitening = vectors[:, kept] / np.sqrt(values[kept])

    def measure(self, points: Array, weights: Array | None, count: float) -> tuple[float, float, float]:
        """|difference of the means|, |difference of the second moments| and the score s for ``count`` draws."""
        f = moment_functions(points)
        difference = (f.mean(axis=0) if weights is None else weights @ f) - self.means
        score = np.sqrt(count) * float(np.linalg.norm(difference @ self.whitening))
        mean, second = difference[: self.dim], difference[self.dim :]
        return float(np.linalg.norm(mean)), float(np.linalg.norm(second)), score
