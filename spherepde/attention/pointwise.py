r"""The fused pointwise part of attention: moments of the kernel at the nodes → tangential velocity.

At a node x with tangent frame (e_1, …) the first moment is given by its components
``first[0]`` = ⟨N, x⟩ and ``first[1:]`` = ⟨N, e_i⟩. One pass over the grid forms the mean token
:math:`m=N/Z` with Z floored and |m| ≤ 1, applies the value matrix and projects on the tangent plane.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Real = NDArray[np.float64]

PARTITION_FLOOR = 1e-12
"""Z is floored at this fraction of its maximum: below, cancellation has eaten every digit (design 3.3)."""


@njit(cache=True)
def sphere_velocity(
    cos_theta: Real,
    sin_theta: Real,
    cos_phi: Real,
    sin_phi: Real,
    value: Real,
    partition: Real,
    first: Real,
    normalise: bool,
    density: Real,
    weighted: bool,
    add: bool,
    out: Real,
) -> None:  # pragma: no cover - compiled
    """Velocity on S² (or flux, if ``weighted`` by the density), written or added to ``out``.

    Nodal arrays come with theta fastest: partition and density (n_phi, n_theta), first (3, …), out (2, …).
    """
    rows, columns = partition.shape
    floor = 0.0
    if normalise:
        for i in range(rows):
            for j in range(columns):
                floor = max(floor, partition[i, j])
        floor = max(floor * PARTITION_FLOOR, 1e-300)
    a, b, c = value[0]
    d, e, f = value[1]
    g, h, k = value[2]
    for i in range(rows):
        cp, sp = cos_phi[i], sin_phi[i]
        for j in range(columns):
            ct, st = cos_theta[j], sin_theta[j]
            radial, along, across = first[0, i, j], first[1, i, j], first[2, i, j]
            scale = 1.0
            if normalise:
                scale = 1.0 / max(partition[i, j], floor)
                length = scale * np.sqrt(radial * radial + along * along + across * across)
                if length > 1.0:
                    scale /= length
            horizontal = radial * st + along * ct
            x = horizontal * cp - across * sp
            y = horizontal * sp + across * cp
            z = radial * ct - along * st
            vx = a * x + b * y + c * z
            vy = d * x + e * y + f * z
            vz = g * x + h * y + k * z
            if weighted:
                scale *= density[i, j]
            v_theta = scale * (ct * (cp * vx + sp * vy) - st * vz)
            v_phi = scale * (cp * vy - sp * vx)
            if add:
                out[0, i, j] += v_theta
                out[1, i, j] += v_phi
            else:
                out[0, i, j] = v_theta
                out[1, i, j] = v_phi


@njit(cache=True)
def circle_velocity(
    cos_theta: Real,
    sin_theta: Real,
    value: Real,
    partition: Real,
    first: Real,
    normalise: bool,
    density: Real,
    weighted: bool,
    add: bool,
    out: Real,
) -> None:  # pragma: no cover - compiled
    """Velocity on S¹ (or flux, if ``weighted`` by the density), written or added to ``out`` (1, n)."""
    floor = 0.0
    if normalise:
        for i in range(partition.shape[0]):
            floor = max(floor, partition[i])
        floor = max(floor * PARTITION_FLOOR, 1e-300)
    for i in range(partition.shape[0]):
        ct, st = cos_theta[i], sin_theta[i]
        radial, along = first[0, i], first[1, i]
        scale = 1.0
        if normalise:
            scale = 1.0 / max(partition[i], floor)
            length = scale * np.sqrt(radial * radial + along * along)
            if length > 1.0:
                scale /= length
        x = radial * ct - along * st
        y = radial * st + along * ct
        vx = value[0, 0] * x + value[0, 1] * y
        vy = value[1, 0] * x + value[1, 1] * y
        if weighted:
            scale *= density[i]
        v = scale * (ct * vy - st * vx)
        if add:
            out[0, i] += v
        else:
            out[0, i] = v
