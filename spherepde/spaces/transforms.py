"""What the sphere asks of a transform library, so that either can be put behind it."""

from __future__ import annotations

from typing import Protocol

from .base import Modal, Real


class SphereTransforms(Protocol):
    """Transforms between coefficients (m-major, no Condon–Shortley phase) and a Gauss grid (theta, phi)."""

    name: str

    def __init__(self, lmax: int, nlat: int, nphi: int, *, threads: int) -> None: ...

    def synthesis(self, u: Modal, out: Real | None = None) -> Real:
        """Nodal values (nlat, nphi)."""

    def analysis(self, f: Real) -> Modal:
        """Coefficients by Gauss quadrature."""

    def gradient(self, u: Modal, out: Real | None = None) -> Real:
        """Components (∂_θ, ∂_φ/sin θ), shape (2, nlat, nphi)."""

    def divergence(self, field: Real) -> Modal:
        """Minus the adjoint of ``gradient`` under Gauss quadrature."""
