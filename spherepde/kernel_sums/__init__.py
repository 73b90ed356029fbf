r"""Kernel sums Z and N at arbitrary targets from modal coefficients of the sources, for any score matrix.

.. math:: Z(x)=\int e^{\beta\langle x,By\rangle}\mu(dy),\qquad N(x)=\int e^{\beta\langle x,By\rangle}y\,\mu(dy)

Both depend on x through :math:`w=B^\top x` only, and N = ∇_w F/β with F(w) = ∫e^{β⟨w,y⟩}μ(dy). What is planned once for
a set of targets is then evaluated for any measure: a density, or a cloud of tokens.
"""

from __future__ import annotations

from ..heads import Head
from .base import TRANSFORM_FLOOR, KernelSums, Real, kappa_range
from .ellipsoid import EllipsoidSums, amplification, smooth_degrees
from .ring import CircleSums, PlaneSums
from .sphere import IsotropicSums, ScatteredSums

__all__ = ["LARGEST_AMPLIFICATION", "TRANSFORM_FLOOR", "KernelSums", "amplification", "kernel_sums"]

NEGLIGIBLE = 1e-13
"""A singular value σ of B with βσ below this changes no digit of e^{β⟨x,By⟩}."""
LARGEST_AMPLIFICATION = 105.0
"""Beyond it the ellipsoid's grid is not taken: measured, its errors reach 7e-11 there."""
FEW_NODES, NODES_FOR_A_TARGET = 50_000.0, 4.0
"""Larger grids than these cost more than evaluating every factor at the targets."""


def kernel_sums(head: Head, targets: Real, *, threads: int = 1) -> KernelSums:
    """Plan the sums of one head at targets (n, d) on S¹ or S², by the method that suits its B.

    Errors are relative to the largest scaled Z: 1e-10 through the ellipsoid's grid, 1e-13 otherwise. The grid is taken
    where it resolves B with few nodes, or at most four for each target.
    """
    if head.dim == 2:
        return CircleSums(head, targets)
    if head.scaled_orthogonal() is not None:
        return IsotropicSums(head, targets, threads)
    if kappa_range(head)[0] < NEGLIGIBLE:
        return PlaneSums(head, targets, threads)
    degrees = None
    if amplification(head) < LARGEST_AMPLIFICATION:
        degrees = smooth_degrees(head, max(FEW_NODES, NODES_FOR_A_TARGET * len(targets)))
    return ScatteredSums(head, targets, threads) if degrees is None else EllipsoidSums(head, targets, degrees, threads)
