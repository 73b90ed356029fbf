r"""The contract every space keeps: nodal grid, modal coefficients, and the exact maps between them.

Conventions (written into every run file by :attr:`Space.conventions`): real functions, orthonormal
harmonics without Condon–Shortley phase, m-major packing; on the circle Fourier coefficients
:math:`c_k=\int f e^{-ik\theta}d\theta`, so that :math:`c_0` is the mass. A space holds no state, but works in buffers
and is not to be shared by threads; a function on it is a bare complex array of modal coefficients. Given an array
``out``, contiguous and of the right type, a map writes its result there, returns it and allocates nothing after its
first call.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]

PROJECTION_LIMIT = 1024
RESOLVED = 1e-10
"""A density is resolved when the modes left out hold less than this fraction of its L² norm."""


def checked_degree(space: str, lmax: int, largest: int) -> int:
    """A degree as a plain integer; InputError, naming the space, unless 2 ≤ lmax ≤ largest."""
    whole = lmax if isinstance(lmax, int | np.integer) else -1
    if not 2 <= whole <= largest:
        raise InputError(f"{space}: expected lmax >= 2 and <= {largest}, got {lmax!r}")
    return int(whole)


class Space(ABC):
    """Band-limited functions on :math:`S^{d-1}` up to degree ``lmax``, on a grid dealiased by 3/2.

    Attributes: ``dim`` d; ``lmax``; ``threads``; ``shape`` of a nodal array; ``degree``, ``order`` (n_modal,) of
    each coefficient; ``points`` (*shape, d) Cartesian nodes; ``weights`` (*shape,) quadrature weights;
    ``parseval`` (n_modal,) weights of the L² inner product; ``area`` of the sphere.
    """

    dim: int
    lmax: int
    threads: int
    shape: tuple[int, ...]
    degree: NDArray[np.int64]
    order: NDArray[np.int64]
    points: Real
    weights: Real
    parseval: Real
    area: float
    backend: str
    conventions: str

    # ---- what each space provides

    @property
    @abstractmethod
    def axes(self) -> dict[str, Real]:
        """Names and values of the nodal axes, in the order of a nodal array's dimensions."""

    @property
    @abstractmethod
    def tangent_frame(self) -> Real:
        """Orthonormal tangent vectors at the nodes, shape (d-1, *shape, d)."""

    @abstractmethod
    def to_nodal(self, u: Modal, out: Real | None = None) -> Real:
        """Values at the nodes of the function with coefficients u (synthesis); ``out`` comes from :meth:`empty`."""

    @abstractmethod
    def to_modal(self, f: Real, out: Modal | None = None) -> Modal:
        """Coefficients of the function with nodal values f (analysis; exact for band-limited f)."""

    @abstractmethod
    def gradient(self, u: Modal, out: Real | None = None) -> Real:
        """Surface gradient at the nodes in the tangent frame, shape (d-1, *shape)."""

    @abstractmethod
    def divergence(self, field: Real, out: Modal | None = None, *, overwrite: bool = False) -> Modal:
        r"""Coefficients of div F, the exact adjoint of minus the gradient: ⟨div F, g⟩ = −∫F·∇g.

        With ``overwrite`` the field, which must come from :meth:`empty`, is destroyed to save a copy.
        """

    @abstractmethod
    def evaluate(self, u: Modal, points: ArrayLike) -> Real:
        """Values at arbitrary unit vectors (n, d), to about 1e-13 of the largest value."""

    @abstractmethod
    def point_mass(self, point: ArrayLike) -> Modal:
        """Coefficients of the Dirac mass at a unit vector (d,)."""

    @abstractmethod
    def rotate(self, u: Modal, orthogonal: ArrayLike, out: Modal | None = None) -> Modal:
        r"""Coefficients of :math:`x\mapsto f(O^\top x)` for an orthogonal O, reflections included; ``out`` is not u."""

    @abstractmethod
    def refined(self, lmax: int) -> Self:
        """A space of the same kind with another ``lmax``, on its own dealiased grid."""

    @abstractmethod
    def band(self, lmax: int) -> Self:
        """The functions of degree ≤ lmax on *this* grid: cheap transforms of smooth quantities."""

    # ---- what follows from it

    @cached_property
    def laplacian(self) -> Real:
        """Eigenvalues −l(l+d−2) of the Laplace–Beltrami operator, one per coefficient."""
        return -(self.degree * (self.degree + self.dim - 2.0))

    @property
    def n_modal(self) -> int:
        """Number of complex coefficients."""
        return len(self.degree)

    def empty(self, *leading: int) -> Real:
        """An uninitialised nodal array (*leading, *shape) in the memory order the transforms like best."""
        return np.empty((*leading, *self.shape))

    def flat(self, nodal: Real) -> Real:
        """Nodal values (…, *shape) as (…, n), in the order they have in memory: a view of arrays from :meth:`empty`."""
        return nodal

    def integrate(self, f: Real) -> float:
        """∫ f over the sphere from nodal values."""
        return float(np.vdot(self.weights, f))

    def inner(self, u: Modal, v: Modal) -> float:
        """L² inner product of two functions given by coefficients (Parseval)."""
        return float(np.sum(self.parseval * (u.real * v.real + u.imag * v.imag)))

    def restrict(self, u: Modal, lmax: int, out: Modal | None = None) -> Modal:
        """The coefficients of degree ≤ lmax, packed as in that space: cut, or padded with zeros where u has none."""
        count, positions = self._packing(lmax)
        if lmax <= self.lmax:
            return np.take(u, positions, out=out, mode="clip")  # checking bounds would cost numpy a buffer
        padded = np.empty(count, complex) if out is None else out
        padded.fill(0.0)
        padded[positions] = u
        return padded

    def _packing(self, lmax: int) -> tuple[int, NDArray[np.intp]]:
        """Number of coefficients up to lmax, and where the smaller of the two sets stands in the larger."""
        cache: dict[int, tuple[int, NDArray[np.intp]]] = self.__dict__.setdefault("_packings", {})
        if lmax not in cache:
            other = self.refined(lmax) if lmax > self.lmax else self
            positions = np.flatnonzero(other.degree <= min(lmax, self.lmax))
            cache[lmax] = (max(len(positions), other.n_modal if lmax > self.lmax else 0), positions)
        return cache[lmax]

    @cached_property
    def _moment_functionals(self) -> tuple[Modal, Modal]:
        small = self.refined(max(2, min(self.lmax, 3)))
        x = small.points
        first = [small.to_modal(np.ascontiguousarray(x[..., i])) for i in range(self.dim)]
        second = [small.to_modal(x[..., i] * x[..., j]) for i in range(self.dim) for j in range(self.dim)]
        keep = small._packing(2)[1]
        weight = small.parseval[keep]
        return np.array(first)[:, keep] * weight, np.array(second)[:, keep] * weight

    def moments(self, u: Modal) -> tuple[float, Real, Real]:
        """Mass ∫ρ, first moment ∫xρ (d,) and second moment ∫xxᵀρ (d, d), exact from degrees ≤ 2."""
        low = self.restrict(u, 2).conj()
        first, second = self._moment_functionals
        matrix = np.real(second @ low).reshape(self.dim, self.dim)
        return float(np.trace(matrix)), np.real(first @ low), matrix

    def project(self, function: Callable[[Real], Real], resolved: float | None = RESOLVED) -> Modal:
        """L² projection of a function of points (..., d) on this space.

        The function is sampled on finer and finer grids until its own spectrum ends and its expansion reproduces the
        samples, so that no aliasing enters. Raises InputError, naming the lmax that would do, if the modes beyond
        ``lmax`` hold more than the fraction ``resolved`` of the L² norm, and if values are not finite or all zero;
        ``resolved=None`` truncates without asking (and lets a function rougher than degree 4·lmax alias).
        """
        fine = self.refined(max(self.lmax + self.lmax // 2, 32))
        while True:
            f = np.ascontiguousarray(function(fine.points), dtype=np.float64)
            if not np.isfinite(f).all() or not f.any():
                raise InputError("the function to project is not finite everywhere, or zero: expected a density")
            u = fine.to_modal(f)
            power = np.bincount(fine.degree, fine.parseval * np.abs(u) ** 2, minlength=fine.lmax + 1)
            tail = np.sqrt(np.cumsum(power[::-1])[::-1] / max(power.sum(), np.finfo(float).tiny))
            small = 0.01 * (resolved or 1e-12)
            missed = np.abs(f - fine.to_nodal(u)).max() / np.abs(f).max()
            ended = tail[int(0.9 * fine.lmax)] < small and missed < max(small, 1e-11)
            if ended or fine.lmax >= PROJECTION_LIMIT or (resolved is None and fine.lmax >= 4 * self.lmax):
                break
            fine = self.refined(min(2 * fine.lmax, max(PROJECTION_LIMIT, self.lmax)))
        if resolved is not None and tail[self.lmax + 1] > resolved:
            below = np.flatnonzero(tail <= resolved)
            needed = f"lmax >= {below[0]}" if below.size else f"more than lmax = {fine.lmax}"
            raise InputError(
                f"space.lmax = {self.lmax} is too small for the initial density: "
                f"it leaves out {tail[self.lmax + 1]:.1e} of its norm; expected {needed}"
            )
        return fine.restrict(u, self.lmax)

    def to_config(self) -> dict[str, Any]:
        """The space as the keys of a configuration file."""
        return {"lmax": self.lmax, "backend": self.backend, "threads": self.threads}

    def __repr__(self) -> str:
        grid = " × ".join(str(n) for n in self.shape)
        return f"{type(self).__name__}(lmax={self.lmax}, grid {grid}, {self.n_modal} coefficients, {self.backend})"
