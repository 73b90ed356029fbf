"""Discretised spheres: one contract (:class:`Space`), one class a geometry."""

from __future__ import annotations

from ..errors import InputError
from .base import Space
from .circle import Circle
from .sphere import Sphere

__all__ = ["Circle", "Space", "Sphere", "space_for"]


def space_for(dim: int, lmax: int, backend: str = "auto", threads: int = 1) -> Space:
    """The space for :math:`S^{dim-1}`: a circle for 2, a sphere for 3. Raises InputError otherwise."""
    if dim == 2:
        return Circle(lmax, threads=threads)
    if dim == 3:
        return Sphere(lmax, backend=backend, threads=threads)
    raise InputError(f"model.dim = {dim}: expected 2 (circle) or 3 (sphere)")
