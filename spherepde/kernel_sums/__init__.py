r"""Kernel sums Z and N at arbitrary targets from modal coefficients of the sources, for any score matrix.

.. math:: Z(x)=\int e^{\beta\langle x,By\rangle}\mu(dy),\qquad N(x)=\int e^{\beta\langle x,By\rangle}y\,\mu(dy)

Both depend on x through :math:`w=B^\top x` only, and N = ∇_w F/β with F(w) = ∫e^{β⟨w,y⟩}μ(dy). What is planned once for
a set of targets is then evaluated for any measure: a density, or a cloud of tokens.
"""

from __future__ import annotations

from ..heads import Head
from .base import TRANSFORM_FLOOR, KernelSums, Real, kappa_range
from .ellipsoid import EllipsoidSums, smooth_degrees
from .ring import CircleSums, PlaneSums
from .sphere import IsotropicSums, ScatteredSums

__all__ = ["TRANSFORM_FLOOR", "KernelSums", "grid_degrees", "kernel_sums"]

NEGLIGIBLE = 1e-13
"""A singular value σ of B with βσ below this changes no digit of e^{β⟨x,By⟩}."""
FEW_NODES, MOST_NODES, NODES_FOR_A_TARGET = 50_000.0, 300_000.0, 4.0
"""Grids with more nodes than the last number allows cost more than evaluating every factor at the targets, unless they
have few; the largest takes half a gigabyte."""


def grid_degrees(head: Head, targets: int) -> tuple[int, int] | None:
    """Degree and order of the grid in ω that so many targets of a general head on S² are worth; None if of none."""
    if kappa_range(head)[0] < NEGLIGIBLE:
        return None
    return smooth_degrees(head, min(max(FEW_NODES, NODES_FOR_A_TARGET * targets), MOST_NODES))


def kernel_sums(head: Head, targets: Real, *, threads: int = 1, backend: str = "auto") -> KernelSums:
    """Plan the sums of one head at targets (n, d) on S¹ or S², by the method that suits its B.

    Errors are relative to the largest scaled Z, and stated by each evaluator as its ``floor``. ``backend`` is that of
    :class:`~spherepde.spaces.Sphere`.
    """
    if head.dim == 2:
        return CircleSums(head, targets)
    if head.scaled_orthogonal() is not None:
        return IsotropicSums(head, targets, threads)
    degrees = grid_degrees(head, len(targets))
    if degrees is not None:
        return EllipsoidSums(head, targets, degrees, threads, backend)
    if kappa_range(head)[0] < NEGLIGIBLE:
        return PlaneSums(head, targets, threads, backend)
    return ScatteredSums(head, targets, threads)
