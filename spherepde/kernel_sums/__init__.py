r"""Kernel sums Z and N at arbitrary targets from modal coefficients of the sources, for any score matrix.

.. math:: Z(x)=\int e^{\beta\langle x,By\rangle}\mu(dy),\qquad N(x)=\int e^{\beta\langle x,By\rangle}y\,\mu(dy)

Both depend on x through :math:`w=B^\top x` only, and N = ∇_w F/β with F(w) = ∫e^{β⟨w,y⟩}μ(dy). What is planned once for
a set of targets is then evaluated for any measure: a density, or a cloud of tokens.
"""

from __future__ import annotations

import numpy as np

from ..heads import Head
from .base import KernelSums, Real
from .ellipsoid import EllipsoidSums, smooth_degree
from .ring import CircleSums, PlaneSums
from .sphere import IsotropicSums, ScatteredSums

__all__ = ["KernelSums", "kernel_sums"]

NEGLIGIBLE = 1e-13
"""A singular value σ of B with βσ below this changes no digit of e^{β⟨x,By⟩}."""
SMALLEST_KAPPA = 1e-3
"""The ellipsoid's grid divides by β|Bᵀx| and keeps eleven digits down to this value."""


def kernel_sums(head: Head, targets: Real, *, threads: int = 1) -> KernelSums:
    """Plan the sums of one head at targets (n, d) on S¹ or S², by the method that suits its B.

    Errors are relative to the largest scaled Z: 1e-11 through the ellipsoid's grid, 1e-13 otherwise. The grid is taken
    where it resolves B with at most four nodes for each target.
    """
    if head.dim == 2:
        return CircleSums(head, targets)
    if head.scaled_orthogonal() is not None:
        return IsotropicSums(head, targets, threads)
    smallest = head.beta * float(np.linalg.svd(head.B, compute_uv=False)[-1])
    if smallest < NEGLIGIBLE:
        return PlaneSums(head, targets, threads)
    degree = smooth_degree(head, int(np.sqrt(2.0 * len(targets)))) if smallest > SMALLEST_KAPPA else None
    return ScatteredSums(head, targets, threads) if degree is None else EllipsoidSums(head, targets, degree, threads)
