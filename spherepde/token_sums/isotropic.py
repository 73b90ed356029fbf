r"""Kernel sums for B = sO at scattered points, by two complex Fourier series.

Z and the Cartesian components of N are smooth functions of ω = Oᵀx with modes up to L_K + 1. On S² they are formed on
a grid of equispaced colatitudes and continued over the poles, :math:`f(2\pi-\theta,\varphi+\pi)=f(\theta,\varphi)`: a
function on the torus, with a Fourier series. Two real functions share a complex one, so that four of them cost two
non-uniform transforms. Half the time of syntheses and gradients at the points, which is the time of a million tokens.
"""

from __future__ import annotations

from typing import Any

import ducc0
import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.fft import fft2, next_fast_len

from ..kernels import Multipliers, funk_hecke
from .coefficients import EPSILON, Modal

Real = NDArray[np.float64]


def _at(modes: Modal, location: Real, threads: int) -> Modal:
    """Values (n,) of Σ_k a_k e^{ik·location}, modes in the order of an FFT."""
    plan = {"forward": False, "fft_order": True, "epsilon": EPSILON, "nthreads": threads}
    values: Modal = ducc0.nufft.u2nu(grid=modes, coord=location, **plan)
    return values


def _on_circle(table: Multipliers, c: Modal, location: Real, threads: int) -> tuple[Real, Real]:
    r"""Z = Σλ_k c_k e^{ikθ}/2π and N_x + iN_y = Σλ_k c_{k−1} e^{ikθ}/2π over all integers k."""
    both = np.concatenate([np.conj(c[:0:-1]), c]) / (2.0 * np.pi)
    multipliers = np.concatenate([table.value[:0:-1], table.value])
    shifted = multipliers * np.concatenate([[0.0], both[:-1]])
    partition, first = (_at(np.fft.ifftshift(a), location, threads) for a in (multipliers * both, shifted))
    return partition.real, np.stack([first.real, first.imag])


@njit(cache=True, error_model="numpy")
def _continue(theta, phi, partition, radial, slope, one, other):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Z + iN_x and N_y + iN_z with N = R e_r + T_θ e_θ + T_φ e_φ, on the sphere's half of the torus and the other."""
    rings, columns = partition.shape
    cosine, sine = np.cos(phi), np.sin(phi)
    for i in range(rings):
        ct, st = np.cos(theta[i]), np.sin(theta[i])
        for j in range(columns):
            horizontal = radial[i, j] * st + slope[0, i, j] * ct
            x = horizontal * cosine[j] - slope[1, i, j] * sine[j]
            y = horizontal * sine[j] + slope[1, i, j] * cosine[j]
            z = radial[i, j] * ct - slope[0, i, j] * st
            one[i, j] = complex(partition[i, j], x)
            other[i, j] = complex(y, z)
            opposite = (j + columns // 2) % columns
            one[2 * rings - 1 - i, opposite] = one[i, j]
            other[2 * rings - 1 - i, opposite] = other[i, j]


def _on_torus(table: Multipliers, c: Modal, threads: int) -> tuple[Modal, Modal, float]:
    """Fourier modes of Z + iN_x and N_y + iN_z on the torus, and the colatitude of its first point."""
    lmax = len(table.value) - 1
    columns = 2 * next_fast_len(lmax + 2)
    rings = columns // 2
    order = np.repeat(np.arange(lmax + 1), np.arange(lmax + 1, 0, -1))
    degree = np.concatenate([np.arange(m, lmax + 1) for m in range(lmax + 1)])
    c = np.where(order % 2 == 0, c, -c)  # ducc0 keeps the Condon-Shortley phase
    plan: dict[str, Any] = {"lmax": lmax, "ntheta": rings, "nphi": columns, "geometry": "F1", "nthreads": threads}
    partition = ducc0.sht.synthesis_2d(alm=(table.value[degree] * c)[None], spin=0, **plan)[0]
    radial = ducc0.sht.synthesis_2d(alm=(table.radial[degree] * c)[None], spin=0, **plan)[0]
    slope = ducc0.sht.synthesis_2d(alm=(table.tangential[degree] * c)[None], spin=1, mode="DERIV1", **plan)
    theta, phi = np.pi * (np.arange(rings) + 0.5) / rings, 2.0 * np.pi * np.arange(columns) / columns
    fields = np.empty((2, columns, columns), complex)
    _continue(theta, phi, partition, radial, slope, *fields)
    one, other = (fft2(field, norm="forward", overwrite_x=True) for field in fields)
    return one, other, float(theta[0])


def _on_sphere(table: Multipliers, c: Modal, location: Real, threads: int) -> tuple[Real, Real]:
    one, other, offset = _on_torus(table, c, threads)
    moved = location - [offset, 0.0]
    a, b = _at(one, moved, threads), _at(other, moved, threads)
    return a.real, np.stack([a.imag, b.real, b.imag])


def isotropic_sums(kappa: float, c: Modal, degree: int, location: Real, threads: int = 1) -> tuple[Real, Real]:
    r"""Z (n,) and N (d, n), times e^{−κ}, at directions ω given by their :func:`~.coefficients.angles`.

    ``c``: coefficients of the measure up to ``degree``; κ = βs. N is in the coordinates of the measure: no O enters
    but in ω. Errors 1e-13 of the largest Z on the sphere.
    """
    dim = location.shape[1] + 1
    table = funk_hecke(dim, kappa, degree)
    return (_on_circle if dim == 2 else _on_sphere)(table, c, location, threads)
