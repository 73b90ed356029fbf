r"""Integrals over the grid that say what a velocity does to the energy of a head, and how it attends, in one pass each.

At a node with :math:`w=B^\top x` the moments are stored times :math:`e^{-\beta|w|}` (Z', N'). With the mean token m,
floored as in the velocity (:mod:`.pointwise`), three integrands are formed:

* energy :math:`\rho Z`; rate :math:`\rho\langle P_xBN,v\rangle`, both times :math:`e^{-s}`, s common to all heads;
* attention entropy :math:`-\rho\int a\log a\,d\rho` with :math:`a=e^{\beta\langle x,By\rangle}/Z`, that is
  :math:`\log Z-\beta\langle w,m\rangle=\log Z'+\beta(|w|-\langle w,m\rangle)`: of the two large numbers β|w| only their
  difference, of size one where attention is local, is ever added to a logarithm, so the rounding error is β|w|ε.

The kernels are compiled for B = sO, where |w| is the same everywhere (``even``), and for the frame of ``first``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

Real = NDArray[np.float64]


@njit(cache=True, error_model="numpy")
def largest_length(field: Real) -> float:  # pragma: no cover - compiled
    """The largest length of the vectors in a field of components (k, n); NaN if there is one."""
    largest = 0.0
    for i in range(field.shape[1]):
        square = 0.0
        for k in range(field.shape[0]):
            square += field[k, i] * field[k, i]
        if not square <= largest:
            largest = square
    return float(np.sqrt(largest))


@cache
def sphere_budget(even: bool, ambient: bool) -> Callable[..., None]:
    """Kernel for S²: the three integrands, summed over longitude, into ``out`` (3, n_theta).

    ``score`` is BOᵀ for a turn O; nodal arrays come with theta fastest, ``velocity`` as (2, n_phi, n_theta).
    ``log_scale`` β|w| is nodal, too, unless ``even``: then it has shape (1, 1). ``top`` is s.
    """

    @njit(cache=True, error_model="numpy")
    def sums(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
        cos_theta,
        sin_theta,
        cos_phi,
        sin_phi,
        score,
        beta,
        log_scale,
        top,
        partition,
        first,
        floor,
        density,
        velocity,
        out,
    ):
        a, b, c = score[0]
        d, e, f = score[1]
        g, h, k = score[2]
        out[:] = 0.0
        shift = log_scale[0, 0]
        factor = np.exp(shift - top)
        for i in range(partition.shape[0]):
            cp, sp = cos_phi[i], sin_phi[i]
            for j in range(partition.shape[1]):
                ct, st = cos_theta[j], sin_theta[j]
                x, y, z = first[0, i, j], first[1, i, j], first[2, i, j]
                length = np.sqrt(x * x + y * y + z * z)
                if not ambient:
                    horizontal = x * st + y * ct
                    x, y, z = horizontal * cp - z * sp, horizontal * sp + z * cp, x * ct - y * st
                bx = a * x + b * y + c * z
                by = d * x + e * y + f * z
                bz = g * x + h * y + k * z
                across = cp * bx + sp * by
                if not even:
                    shift = log_scale[i, j]
                    factor = np.exp(shift - top)
                size = max(partition[i, j], floor, length)
                mass = density[i, j]
                along_velocity = velocity[0, i, j] * (ct * across - st * bz) + velocity[1, i, j] * (cp * by - sp * bx)
                out[0, j] += factor * mass * partition[i, j]
                out[1, j] += factor * mass * along_velocity
                out[2, j] += mass * (np.log(size) + (shift - beta * (st * across + ct * bz) / size))

    return sums


@cache
def circle_budget(even: bool, ambient: bool) -> Callable[..., None]:
    """Kernel for S¹: the three integrands into ``out`` (3, n); ``log_scale`` (1,) if ``even``."""

    @njit(cache=True, error_model="numpy")
    def sums(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
        cos_theta, sin_theta, score, beta, log_scale, top, partition, first, floor, density, velocity, out
    ):
        (a, b), (c, d) = score[0], score[1]
        shift = log_scale[0]
        factor = np.exp(shift - top)
        for i in range(partition.shape[0]):
            ct, st = cos_theta[i], sin_theta[i]
            x, y = first[0, i], first[1, i]
            length = np.sqrt(x * x + y * y)
            if not ambient:
                x, y = x * ct - y * st, x * st + y * ct
            bx, by = a * x + b * y, c * x + d * y
            if not even:
                shift = log_scale[i]
                factor = np.exp(shift - top)
            size = max(partition[i], floor, length)
            out[0, i] = factor * density[i] * partition[i]
            out[1, i] = factor * density[i] * velocity[0, i] * (ct * by - st * bx)
            out[2, i] = density[i] * (np.log(size) + (shift - beta * (ct * bx + st * by) / size))

    return sums
