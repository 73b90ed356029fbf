"""A Gauss grid for functions of degree ≤ lmax and order ≤ mmax, with the longitudes that the order needs."""

from __future__ import annotations

from typing import Any

import ducc0
import numpy as np
from numpy.typing import NDArray

from ..quadrature import gauss_legendre, spherical_points
from .base import Modal, Real


class GaussGrid:
    """Transforms by ducc0, in its own conventions (Condon–Shortley phase), since coefficients never leave this package.

    Nodal arrays are (n_theta, n_phi) in any memory order; coefficients are m-major, l ≥ m, up to order ``mmax``.
    ``plan`` holds the keywords that ducc0's non-uniform transforms share.
    """

    def __init__(self, lmax: int, mmax: int, threads: int = 1) -> None:
        mmax = min(mmax, lmax)
        latitudes, longitudes = max(40, 8 * (-(-(lmax + 1) // 8) | 1)), max(40, 8 * (-(-2 * mmax // 8) + 1))
        self.shape = latitudes, longitudes
        self.plan: dict[str, Any] = {"lmax": lmax, "mmax": mmax, "nthreads": threads}
        self._ring_weights = ducc0.sht.get_gridweights("GL", latitudes) / longitudes
        self.order = np.repeat(np.arange(mmax + 1), np.arange(lmax + 1, lmax - mmax, -1))
        self.degree = np.concatenate([np.arange(m, lmax + 1) for m in range(mmax + 1)])
        self.n_modal = len(self.degree)

    @property
    def points(self) -> Real:
        """Cartesian nodes, shape (n_theta, n_phi, 3)."""
        latitudes, longitudes = self.shape
        return spherical_points(gauss_legendre(latitudes)[0], 2.0 * np.pi * np.arange(longitudes) / longitudes)

    @property
    def parseval(self) -> Real:
        """Weights of the L² inner product."""
        return np.where(self.order == 0, 1.0, 2.0)

    def to_modal(self, f: Real, out: Modal | None = None) -> Modal:
        """Coefficients by Gauss quadrature."""
        alm = np.empty(self.n_modal, complex) if out is None else out
        weights = {"geometry": "GL", "ringfactor": self._ring_weights}
        ducc0.sht.adjoint_synthesis_2d(map=f[None], spin=0, alm=alm[None], **weights, **self.plan)
        return alm

    @staticmethod
    def end(power: Real, index: NDArray[np.int64], tail: float) -> int:
        """The last degree (or order, by ``index``) beyond which some spectrum (…, n_modal) holds more than a tail."""
        worst = 0
        for spectrum in power:
            beyond = np.sqrt(np.cumsum(np.bincount(index, spectrum)[::-1])[::-1] / spectrum.sum())
            worst = max(worst, int(np.flatnonzero(beyond >= tail)[-1]))
        return worst
