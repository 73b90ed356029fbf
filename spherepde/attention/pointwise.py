r"""The fused pointwise part of attention: moments of the kernel at the nodes → tangential velocity.

At a node x with tangent frame (e_1, …) the first moment is given by its components
``first[0]`` = ⟨N, x⟩ and ``first[1:]`` = ⟨N, e_i⟩. One pass over the grid forms the mean token
:math:`m=N/\max(Z,\,\varepsilon\max Z,\,|N|)`, which floors the partition function and keeps |m| ≤ 1 at once, applies
the value matrix and projects on the tangent plane. The inner loops are free of branches, so that they vectorise.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Real = NDArray[np.float64]

PARTITION_FLOOR = 1e-12
"""Z is floored at this fraction of its maximum: below, cancellation has eaten every digit (design 3.3)."""


@njit(cache=True, error_model="numpy")
def sphere_velocity(
    cos_theta: Real,
    sin_theta: Real,
    cos_phi: Real,
    sin_phi: Real,
    value: Real,
    partition: Real,
    first: Real,
    floor: float,
    normalise: bool,
    density: Real,
    weighted: bool,
    add: bool,
    out: Real,
) -> None:  # pragma: no cover - compiled
    """Velocity on S² (or flux, if ``weighted`` by the density), written or added to ``out``.

    Nodal arrays come with theta fastest: partition and density (n_phi, n_theta), first (3, …), out (2, …).
    """
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
            length = np.sqrt(radial * radial + along * along + across * across)
            size = row[j] if row[j] > floor else floor
            size = length if length > size else size
            scale = (weight[j] if weighted else 1.0) / (size if normalise else 1.0)
            horizontal = radial * st + along * ct
            x = horizontal * cp - across * sp
            y = horizontal * sp + across * cp
            z = radial * ct - along * st
            vx = a * x + b * y + c * z
            vy = d * x + e * y + f * z
            vz = g * x + h * y + k * z
            theta_row[j] = (theta_row[j] if add else 0.0) + scale * (ct * (cp * vx + sp * vy) - st * vz)
            phi_row[j] = (phi_row[j] if add else 0.0) + scale * (cp * vy - sp * vx)


@njit(cache=True, error_model="numpy")
def circle_velocity(
    cos_theta: Real,
    sin_theta: Real,
    value: Real,
    partition: Real,
    first: Real,
    floor: float,
    normalise: bool,
    density: Real,
    weighted: bool,
    add: bool,
    out: Real,
) -> None:  # pragma: no cover - compiled
    """Velocity on S¹ (or flux, if ``weighted`` by the density), written or added to ``out`` (1, n)."""
    for i in range(partition.shape[0]):
        ct, st = cos_theta[i], sin_theta[i]
        radial, along = first[0, i], first[1, i]
        length = np.sqrt(radial * radial + along * along)
        size = partition[i] if partition[i] > floor else floor
        size = length if length > size else size
        scale = (density[i] if weighted else 1.0) / (size if normalise else 1.0)
        x = radial * ct - along * st
        y = radial * st + along * ct
        vx = value[0, 0] * x + value[0, 1] * y
        vy = value[1, 0] * x + value[1, 1] * y
        out[0, i] = (out[0, i] if add else 0.0) + scale * (ct * vy - st * vx)
