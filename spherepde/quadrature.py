r"""Product quadrature on the circle and the 2-sphere, exact for harmonics up to a given degree."""

from __future__ import annotations

import ducc0
import numpy as np
from numpy.typing import NDArray

from .errors import InputError

Array = NDArray[np.float64]


def gauss_legendre(n: int) -> tuple[Array, Array]:
    r"""Gauss–Legendre rule: colatitudes θ (n,) in increasing order, weights (n,) for :math:`\int_{-1}^1 d\cos\theta`.

    Angles, not cosines: near the poles they keep the digits that an arccos would lose.
    """
    return ducc0.misc.GL_thetas(n), ducc0.misc.GL_weights(n, 1) / (2.0 * np.pi)


def sphere_rule(dim: int, degree: int) -> tuple[Array, Array]:
    """Points (n, d) and weights (n,) integrating every polynomial of the given degree exactly.

    d = 2: equispaced angles. d = 3: Gauss–Legendre in the colatitude times equispaced longitudes,
    ordered (theta, phi) row by row. The weights sum to the area of the sphere.
    Raises InputError for other dimensions.
    """
    n = degree + 1
    if dim == 2:
        angle = 2.0 * np.pi * np.arange(n) / n
        return np.stack([np.cos(angle), np.sin(angle)], axis=-1), np.full(n, 2.0 * np.pi / n)
    if dim == 3:
        theta, weight = gauss_legendre(degree // 2 + 1)
        phi = 2.0 * np.pi * np.arange(n) / n
        return spherical_points(theta, phi).reshape(-1, 3), np.repeat(weight * 2.0 * np.pi / n, n)
    raise InputError(f"quadrature on S^{dim - 1}: expected dim 2 or 3, got {dim}")


def spherical_points(theta: Array, phi: Array) -> Array:
    """Unit vectors (ntheta, nphi, 3) of the grid with colatitudes theta and longitudes phi."""
    sine, cosine = np.sin(theta)[:, None], np.cos(theta)[:, None]
    ones = np.ones_like(phi)
    return np.stack([sine * np.cos(phi), sine * np.sin(phi), cosine * ones], axis=-1)
