r"""Kernel sums Z and N at arbitrary targets from modal coefficients of the sources, for any score matrix.

.. math:: Z(x)=\int e^{\beta\langle x,By\rangle}\mu(dy),\qquad N(x)=\int e^{\beta\langle x,By\rangle}y\,\mu(dy)

Both depend on x through :math:`w=B^\top x` only, and N = ∇_w F/β with F(w) = ∫e^{β⟨w,y⟩}μ(dy). What is planned once for
a set of targets is then evaluated for any measure: a density, or a cloud of tokens.
"""

from __future__ import annotations

from ..heads import Head
from .base import TRANSFORM_FLOOR, KernelSums, Real, kappa_range
from .ellipse import EllipseSums, smooth_nodes
from .ellipsoid import EllipsoidSums, smooth_degrees
from .ring import CircleSums, PlaneSums
from .sphere import IsotropicSums, ScatteredSums

__all__ = ["TRANSFORM_FLOOR", "KernelSums", "kernel_sums", "takes_grid"]

NEGLIGIBLE = 1e-13
"""A singular value σ of B with βσ below this changes no digit of e^{β⟨x,By⟩}."""
FEW_NODES, MOST_NODES, NODES_FOR_A_TARGET = 50_000.0, 300_000.0, 4.0
"""Grids with more nodes than the last number allows cost more than evaluating every factor at the targets, unless they
have few; the largest takes half a gigabyte."""


TARGETS_FOR_A_NODE = 4
"""On S¹ a grid is worth its while from so many targets for each node on."""


def _grid_on_circle(head: Head, targets: int) -> int | None:
    """Nodes in ω that so many targets of a general head on S¹ are worth; None if none are."""
    invertible = kappa_range(head)[0] >= NEGLIGIBLE
    return smooth_nodes(head, targets // TARGETS_FOR_A_NODE) if invertible else None


def _grid_on_sphere(head: Head, targets: int) -> tuple[int, int] | None:
    """Degree and order of the grid in ω that so many targets of a general head on S² are worth; None if none is."""
    invertible = kappa_range(head)[0] >= NEGLIGIBLE
    most = min(max(FEW_NODES, NODES_FOR_A_TARGET * targets), MOST_NODES)
    return smooth_degrees(head, most) if invertible else None


def takes_grid(head: Head, targets: int) -> bool:
    """Whether so many targets of a general head go through a grid in ω, whose plan needs little memory for each."""
    return (_grid_on_circle if head.dim == 2 else _grid_on_sphere)(head, targets) is not None


def kernel_sums(head: Head, targets: Real, *, threads: int = 1, backend: str = "auto") -> KernelSums:
    """Plan the sums of one head at targets (n, d) on S¹ or S², by the method that suits its B.

    Errors are relative to the largest scaled Z, and stated by each evaluator as its ``floor``. ``backend`` is that of
    :class:`~spherepde.spaces.Sphere`.
    """
    if head.dim == 2:
        nodes = _grid_on_circle(head, len(targets))
        return CircleSums(head, targets) if nodes is None else EllipseSums(head, targets, nodes, threads)
    if head.scaled_orthogonal() is not None:
        return IsotropicSums(head, targets, threads)
    degrees = _grid_on_sphere(head, len(targets))
    if degrees is not None:
        return EllipsoidSums(head, targets, degrees, threads, backend)
    if kappa_range(head)[0] < NEGLIGIBLE:
        return PlaneSums(head, targets, threads, backend)
    return ScatteredSums(head, targets, threads)
