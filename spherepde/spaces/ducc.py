"""Spherical harmonic transforms by ducc0 (M. Reinecke), which needs no compiler to install."""

from __future__ import annotations

from typing import Any

import ducc0
import numpy as np

from .base import Modal, Real


def condon_shortley(lmax: int) -> Modal:
    """(−1)^m for every coefficient up to lmax, the ratio of ducc0's to ours; complex, as the coefficients it scales."""
    order = np.repeat(np.arange(lmax + 1), np.arange(lmax + 1, 0, -1))
    return np.where(order % 2 == 0, 1.0 + 0j, -1.0)


class DuccTransforms:
    """The transforms of :class:`~spherepde.spaces.transforms.SphereTransforms` by ducc0.

    ducc0's harmonics carry the Condon–Shortley phase, ours do not: a factor (−1)^m on the way in and out.
    """

    name = "ducc0"

    def __init__(self, lmax: int, nlat: int, nphi: int, *, threads: int) -> None:
        self._phase = condon_shortley(lmax)
        self._minus_phase = -self._phase
        self._alm = np.empty_like(self._phase)
        self._plan: dict[str, Any] = {"lmax": lmax, "geometry": "GL", "nthreads": threads}
        self._ring_weights = ducc0.sht.get_gridweights("GL", nlat) / nphi

    def synthesis(self, u: Modal, out: Real) -> None:
        """Nodal values."""
        np.multiply(u, self._phase, out=self._alm)
        ducc0.sht.synthesis_2d(alm=self._alm[None], spin=0, map=out.T[None], **self._plan)

    def analysis(self, f: Real, out: Modal) -> None:
        """Coefficients."""
        options = {"ringfactor": self._ring_weights, **self._plan}
        ducc0.sht.adjoint_synthesis_2d(map=f.T[None], spin=0, alm=out[None], **options)
        out *= self._phase

    def gradient(self, u: Modal, out: Real) -> None:
        """Surface gradient."""
        maps = out.transpose(0, 2, 1)
        np.multiply(u, self._phase, out=self._alm)
        ducc0.sht.synthesis_2d(alm=self._alm[None], spin=1, mode="DERIV1", map=maps, **self._plan)

    def divergence(self, field: Real, out: Modal) -> None:
        """Surface divergence, as minus the adjoint of the gradient."""
        maps = field.transpose(0, 2, 1)
        options = {"ringfactor": self._ring_weights, **self._plan}
        ducc0.sht.adjoint_synthesis_2d(map=maps, spin=1, mode="DERIV1", alm=out[None], **options)
        out *= self._minus_phase
