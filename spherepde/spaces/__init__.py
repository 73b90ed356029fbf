"""Discretised spheres: one contract (:class:`Space`), one class a geometry."""

from __future__ import annotations

from ..errors import InputError
from .base import Space
from .circle import Circle, dealiased_nodes
from .sphere import Sphere, dealiased_grid

__all__ = ["Circle", "Space", "Sphere", "grid_shape", "space_for"]


def space_for(dim: int, lmax: int, backend: str = "auto", threads: int = 1) -> Space:
    """The space for :math:`S^{dim-1}`: a circle for 2, a sphere for 3. Raises InputError otherwise."""
    if dim == 2:
        return Circle(lmax, threads=threads)
    if dim == 3:
        return Sphere(lmax, backend=backend, threads=threads)
    raise InputError(f"model.dim = {dim}: expected 2 (circle) or 3 (sphere)")


def grid_shape(dim: int, lmax: int) -> tuple[int, ...]:
    """Shape of a nodal array of :func:`space_for`, without making the space."""
    return (dealiased_nodes(lmax),) if dim == 2 else dealiased_grid(lmax)
