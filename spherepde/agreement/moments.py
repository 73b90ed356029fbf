"""Differences of first and second moments, in absolute terms and in units of an exact sample's scatter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NARROWEST = 1e-5
"""A combination of moments that varies by less over the density is held to this scatter: rounding and the run's own
error are as large, and what is off by much more is still seen."""


def moment_functions(points: Array) -> Array:
    r"""The functions :math:`x_i`, :math:`x_i^2` and :math:`\sqrt2x_ix_j` (i < j) at points (n, d), one in each column.

    Differences of their means are those of the mean and, in the Frobenius norm, of the second moment.
    """
    i, j = np.triu_indices(points.shape[1])
    products = points[:, i] * points[:, j] * np.where(i == j, 1.0, np.sqrt(2.0))
    return np.concatenate([points, products], axis=1)


def moments_apart(points: Array, weights: Array | None, means: Array) -> Array:
    """Means of the moment functions of tokens (n, d) less ``means``."""
    f = moment_functions(points)
    return np.asarray((f.mean(axis=0) if weights is None else weights @ f) - means)


def sizes(difference: Array, dim: int) -> tuple[float, float]:
    """|difference of the means| and |difference of the second moments| in a difference of all moment functions."""
    return float(np.linalg.norm(difference[:dim])), float(np.linalg.norm(difference[dim:]))


class MomentScore:
    r"""First and second moments of a measure, and how far a sample's are from them.

    .. math:: s^2=n\,(\hat m-m)^\top C^{-1}(\hat m-m),\qquad C=\int(f-m)(f-m)^\top d\rho

    with C the exact covariance of the functions f under ρ, over weighted nodes, its eigenvalues at least 1e-10. For n
    exact draws s² has at most mean rank C and nearly a χ² distribution.
    """

    def __init__(self, points: Array, weights: Array) -> None:
        f = moment_functions(points)
        self.dim = points.shape[1]
        self.means = weights @ f
        centred = f - self.means
        values, vectors = np.linalg.eigh((weights[:, None] * centred).T @ centred)
        self.whitening = vectors / np.sqrt(np.maximum(values, NARROWEST**2))

    def measure(self, points: Array, weights: Array | None, count: float) -> tuple[float, float, float]:
        """|difference of the means|, |difference of the second moments| and the score s for ``count`` draws."""
        difference = moments_apart(points, weights, self.means)
        score = np.sqrt(count) * float(np.linalg.norm(difference @ self.whitening))
        return *sizes(difference, self.dim), score
