"""What the sphere asks of a transform library, so that either can be put behind it."""

from __future__ import annotations

from typing import Protocol

from .base import Modal, Real


class SphereTransforms(Protocol):
    """Transforms between coefficients (m-major, no Condon–Shortley phase) and a Gauss grid.

    Nodal arrays are C-contiguous with theta fastest, (nphi, nlat): the layout in which the Legendre sums run at full
    speed. Inputs of ``analysis`` and ``divergence`` may be destroyed. Results go to ``out``, no array is allocated.
    """

    name: str

    def __init__(self, lmax: int, nlat: int, nphi: int, *, threads: int) -> None: ...

    def synthesis(self, u: Modal, out: Real) -> None:
        """Nodal values into ``out`` (nphi, nlat)."""

    def analysis(self, f: Real, out: Modal) -> None:
        """Coefficients by Gauss quadrature."""

    def gradient(self, u: Modal, out: Real) -> None:
        """Components (∂_θ, ∂_φ/sin θ) into ``out`` (2, nphi, nlat)."""

    def divergence(self, field: Real, out: Modal) -> None:
        """Minus the adjoint of ``gradient`` under Gauss quadrature."""
