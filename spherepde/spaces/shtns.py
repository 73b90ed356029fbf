"""Spherical harmonic transforms by SHTns (N. Schaeffer, G-cubed 14, 2013, doi:10.1002/ggge.20071)."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from .base import Modal, Real


@contextmanager
def _silent_stdout() -> Iterator[None]:
    """Send what a C library prints to nowhere: SHTns greets on standard output when imported."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            yield
            ctypes.CDLL(None).fflush(None)
    finally:
        os.dup2(kept, 1)
        os.close(kept)


with _silent_stdout():
    import shtns

_NORM = shtns.sht_orthonormal | shtns.SHT_NO_CS_PHASE
_GRID = shtns.sht_quick_init | shtns.SHT_THETA_CONTIGUOUS  # quick_init: no timing at start, so runs reproduce

shtns.set_verbosity(0)


class ShtnsTransforms:
    """The transforms of :class:`~spherepde.spaces.transforms.SphereTransforms` by SHTns."""

    name = "shtns"

    def __init__(self, lmax: int, nlat: int, nphi: int, *, threads: int) -> None:
        self._sht = shtns.sht(lmax, lmax, 1, _NORM, threads)
        self._sht.set_grid(nlat, nphi, _GRID, 0.0)
        self._eigenvalues = -(self._sht.l * (self._sht.l + 1.0)) + 0j  # complex, as the coefficients they scale
        self._toroidal = np.empty(self._sht.nlm, complex)

    def synthesis(self, u: Modal, out: Real) -> None:
        """Nodal values."""
        self._sht.SH_to_spat(u, out)

    def analysis(self, f: Real, out: Modal) -> None:
        """Coefficients."""
        self._sht.spat_to_SH(f, out)

    def gradient(self, u: Modal, out: Real) -> None:
        """Surface gradient."""
        self._sht.SHsph_to_spat(u, out[0], out[1])

    def divergence(self, field: Real, out: Modal) -> None:
        """Surface divergence: the spheroidal potential times −l(l+1)."""
        self._sht.spat_to_SHsphtor(field[0], field[1], out, self._toroidal)
        out *= self._eigenvalues
