r"""Funk–Hecke multipliers of the attention kernel.

The kernel :math:`e^{\kappa\langle x,y\rangle}` on :math:`S^{d-1}` is zonal, so integrating it
against a function multiplies every harmonic of degree :math:`l` by

.. math:: \lambda_l(\kappa) = (2\pi)^{d/2}\,\kappa^{1-d/2}\,I_{l+d/2-1}(\kappa)

(surface measure). Everything here is scaled by :math:`e^{-\kappa}` so that no inverse temperature
overflows. The Bessel ratios come from their continued fraction, run downwards in the order, which
is stable and keeps full relative accuracy where the Bessel functions themselves underflow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import lgamma, log, pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import ive

from .errors import InputError
from .quadrature import gauss_legendre

Array = NDArray[np.float64]

LARGEST_KAPPA = 1e6
"""Largest inverse temperature times scale of B for which multipliers are tabulated."""
BAND_TOLERANCE = 1e-16
"""Degrees whose multiplier is below this fraction of the zeroth are invisible to attention."""


def sphere_area(dim: int) -> float:
    r"""Area :math:`2\pi^{d/2}/\Gamma(d/2)` of the unit sphere :math:`S^{d-1}\subset R^d`."""
    return 2.0 * float(np.exp(0.5 * dim * log(pi) - lgamma(0.5 * dim)))


def _scaled_ratios(dim: int, kappa: float, lmax: int) -> Array:
    r"""Ratios :math:`q_l = I_{\nu+1}(\kappa)/(\kappa I_\nu(\kappa))`, :math:`\nu=l+d/2-1`, l ≤ lmax.

    The recurrence :math:`q_\nu = 1/(2(\nu+1)+\kappa^2 q_{\nu+1})` has no singularity at κ = 0 and
    contracts errors by :math:`e^{-(2\nu+1)/\kappa}` a step, which fixes where to start it.
    """
    start = int(sqrt((lmax + 0.5 * dim) ** 2 + 40.0 * kappa)) + lmax // 8 + 40
    order = start + 0.5 * dim - 1.0
    ratio = 1.0 / (order + 0.5 + sqrt((order + 1.5) ** 2 + kappa**2))  # Amos' bound
    ratios = np.empty(lmax + 1)
    for degree in range(start - 1, -1, -1):
        ratio = 1.0 / (2.0 * (degree + 0.5 * dim) + kappa**2 * ratio)
        if degree <= lmax:
            ratios[degree] = ratio
    return ratios


def _scaled_zeroth(dim: int, kappa: float) -> float:
    r"""The multiplier :math:`e^{-\kappa}\lambda_0(\kappa)`, in logarithms so that no factor overflows."""
    order = 0.5 * dim - 1.0
    bessel = ive(order, kappa)
    if kappa < 1.0 or bessel < 1e-200:  # ascending series of I_order, all terms positive
        term = total = 1.0
        step = 0
        while term > 1e-17 * total:
            step += 1
            term *= 0.25 * kappa**2 / (step * (step + order))
            total += term
        return sphere_area(dim) * total * float(np.exp(-kappa))
    return float(np.exp(0.5 * dim * log(2.0 * pi) - order * log(kappa) + log(bessel)))


@dataclass(frozen=True)
class Multipliers:
    r"""What the exponential kernel does to each degree, all scaled by :math:`e^{-\kappa}`.

    With :math:`F(r\omega)=\int e^{\kappa r\langle\omega,y\rangle}\rho(y)\,dy` at r = 1:

    * ``value`` :math:`\lambda_l`: :math:`F=\sum\lambda_l\rho_l`, the partition function;
    * ``radial`` :math:`\lambda_l'(\kappa)`: :math:`\partial_r F/\kappa`, radial part of the first moment;
    * ``tangential`` :math:`\lambda_l/\kappa`: its surface gradient is the tangential part (``[0]`` is 0).

    Shapes (lmax+1,), dimensionless.
    """

    dim: int
    kappa: float
    value: Array
    radial: Array
    tangential: Array

    @property
    def bandwidth(self) -> int:
        """Largest degree L_K ≥ 1 that attention can see: what is above contributes < 1e-16 of Z and of N.

        Equal to the table's last degree if the table ends before the kernel does.
        """
        seen = np.maximum(self.value / self.value[0], self.tangential / self.tangential.max())
        return int(np.flatnonzero(seen >= BAND_TOLERANCE)[-1])


def funk_hecke(dim: int, kappa: float, lmax: int) -> Multipliers:
    r"""Tabulate the scaled multipliers of :math:`e^{\kappa\langle x,y\rangle}` on :math:`S^{d-1}`.

    Parameters: ``dim`` = d ≥ 2; ``kappa`` = β·s ≥ 0, the inverse temperature times the scale of an
    orthogonal B (dimensionless); ``lmax`` the last degree wanted.
    Full relative accuracy (1e-13) for κ from 0 to 1e6; values below 1e-300 become zero.
    Raises InputError outside that range.
    Source: Funk–Hecke theorem with DLMF 10.32.2; ratios DLMF 10.33.1.
    """
    if dim < 2 or lmax < 0 or not 0.0 <= kappa <= LARGEST_KAPPA:
        raise InputError(
            f"multipliers for dim={dim}, beta*scale={kappa:g}, lmax={lmax}: "
            "expected dim >= 2, lmax >= 0 and beta*scale between 0 and 1e6"
        )
    ratios = _scaled_ratios(dim, kappa, lmax)
    value = np.empty(lmax + 2)
    value[0] = _scaled_zeroth(dim, kappa)
    tangential = np.zeros(lmax + 2)
    for degree in range(lmax + 1):
        tangential[degree + 1] = value[degree] * ratios[degree]
        value[degree + 1] = kappa * tangential[degree + 1]
    radial = value[1:] + np.arange(lmax + 1) * tangential[:-1]
    return Multipliers(dim, kappa, value[:-1], radial, tangential[:-1])


def kernel_bandwidth(dim: int, kappa: float) -> int:
    r"""The degree L_K ≈ 8.7√κ + 12 beyond which :math:`\lambda_l/\lambda_0` < 1e-16."""
    guess = int(9.0 * sqrt(kappa)) + 32 + dim
    return funk_hecke(dim, kappa, guess).bandwidth


def zonal_multipliers(profile: Callable[[Array], Array], dim: int, lmax: int, pieces: int = 2) -> Array:
    r"""Funk–Hecke eigenvalues of a zonal kernel :math:`g(\angle(x,y))` given by its angular profile.

    .. math:: \lambda_l[g] = |S^{d-2}| \int_0^\pi g(\alpha)\,P_l(\cos\alpha)\,\sin^{d-2}\alpha\,d\alpha

    with :math:`P_l` the Gegenbauer polynomial normalised to :math:`P_l(1)=1`. The angle is cut into
    ``pieces`` equal intervals, each integrated by Gauss–Legendre: spectrally accurate when ``profile``
    is analytic on each (two pieces suit distances to an eigenspace, kinked at the right angle).
    Returns shape (lmax+1,).
    """
    theta, weights = gauss_legendre(lmax + 40)
    width = pi / pieces
    angle = np.concatenate([width * (k + 0.5 - 0.5 * np.cos(theta)) for k in range(pieces)])
    measure = np.tile(0.5 * width * weights, pieces) * profile(angle) * np.sin(angle) ** (dim - 2)
    area = 2.0 if dim == 2 else sphere_area(dim - 1)
    order, cosine = 0.5 * dim - 1.0, np.cos(angle)
    polynomial, previous = np.ones_like(angle), np.zeros_like(angle)
    multipliers = np.empty(lmax + 1)
    for degree in range(lmax + 1):
        multipliers[degree] = area * (polynomial @ measure)
        if dim == 2:
            polynomial = np.cos((degree + 1) * angle)
        else:
            following = (2.0 * (degree + order) * cosine * polynomial - degree * previous) / (degree + 2.0 * order)
            polynomial, previous = following, polynomial
    return multipliers
