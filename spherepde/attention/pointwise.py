r"""The fused pointwise part of attention: moments of the kernel at the nodes → tangential velocity.

At a node x with tangent frame (e_1, …) the first moment is given by its components
``first[0]`` = ⟨N, x⟩ and ``first[1:]`` = ⟨N, e_i⟩, or by its Cartesian ones if ``ambient``. One pass over the grid
forms the mean token :math:`m=N/\max(Z,\,\varepsilon\max Z,\,|N|)`, which floors the partition function and keeps
|m| ≤ 1 at once, applies the value matrix and projects on the tangent plane.

What a kernel does (divide by Z, multiply by the density, add to what is there, in which frame) is fixed when it is
compiled: the inner loop is free of branches and vectorises, three times faster than with the same choices made at run
time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

Real = NDArray[np.float64]

PARTITION_FLOOR = 1e-12
"""Z is floored at this fraction of its maximum: below, cancellation has eaten every digit."""


@cache
def sphere_kernel(normalise: bool, weighted: bool, add: bool, ambient: bool = False) -> Callable[..., None]:
    """Kernel for S²: velocity, or flux if ``weighted`` by the density, written or added to ``out``.

    Nodal arrays come with theta fastest: partition and density (n_phi, n_theta), first (3, …), out (2, …).
    """

    @njit(cache=True, error_model="numpy")
    def velocity(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
        cos_theta, sin_theta, cos_phi, sin_phi, value, partition, first, floor, density, out
    ):
        a, b, c = value[0]
        d, e, f = value[1]
        g, h, k = value[2]
        for i in range(partition.shape[0]):
            cp, sp = cos_phi[i], sin_phi[i]
            row, weight = partition[i], density[i]
            radial_row, along_row, across_row = first[0, i], first[1, i], first[2, i]
            theta_row, phi_row = out[0, i], out[1, i]
            for j in range(partition.shape[1]):
                ct, st = cos_theta[j], sin_theta[j]
                radial, along, across = radial_row[j], along_row[j], across_row[j]
                scale = 1.0
                if normalise:
                    length = np.sqrt(radial * radial + along * along + across * across)
                    size = row[j] if row[j] > floor else floor
                    scale = 1.0 / (length if length > size else size)
                if weighted:
                    scale *= weight[j]
                x, y, z = radial, along, across
                if not ambient:
                    horizontal = radial * st + along * ct
                    x = horizontal * cp - across * sp
                    y = horizontal * sp + across * cp
                    z = radial * ct - along * st
                vx = a * x + b * y + c * z
                vy = d * x + e * y + f * z
                vz = g * x + h * y + k * z
                v_theta = scale * (ct * (cp * vx + sp * vy) - st * vz)
                v_phi = scale * (cp * vy - sp * vx)
                theta_row[j] = theta_row[j] + v_theta if add else v_theta
                phi_row[j] = phi_row[j] + v_phi if add else v_phi

    return velocity


@cache
def circle_kernel(normalise: bool, weighted: bool, add: bool, ambient: bool = False) -> Callable[..., None]:
    """Kernel for S¹: velocity, or flux if ``weighted`` by the density, written or added to ``out`` (1, n)."""

    @njit(cache=True, error_model="numpy")
    def velocity(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
        cos_theta, sin_theta, value, partition, first, floor, density, out
    ):
        (a, b), (c, d) = value[0], value[1]
        for i in range(partition.shape[0]):
            ct, st = cos_theta[i], sin_theta[i]
            radial, along = first[0, i], first[1, i]
            scale = 1.0
            if normalise:
                length = np.sqrt(radial * radial + along * along)
                size = partition[i] if partition[i] > floor else floor
                scale = 1.0 / (length if length > size else size)
            if weighted:
                scale *= density[i]
            x, y = radial, along
            if not ambient:
                x = radial * ct - along * st
                y = radial * st + along * ct
            v = scale * (ct * (c * x + d * y) - st * (a * x + b * y))
            out[0, i] = out[0, i] + v if add else v

    return velocity
