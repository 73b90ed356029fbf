"""Velocity fields prepared on a space: flux, velocity, and the energy budget of a density."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..heads import Head
from ..spaces import Circle, Space, Sphere
from .moments import KernelMoments
from .pointwise import PARTITION_FLOOR, circle_kernel, sphere_kernel

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]


TINY = 1e-300


class Budget(NamedTuple):
    """What a density's own velocity does to it: ``speed`` max |v|; energy and its rate of change, if there is one."""

    speed: float
    energy: float = float("nan")
    dissipation: float = float("nan")


def _largest_length(field: Real) -> float:
    return float(np.sqrt(np.max(sum(component * component for component in field))))


class VelocityField(ABC):
    """The velocity a density induces at the nodes of ``space``.

    ``source_degree``: degrees of the density above it never influence the velocity (L_K; 0 for hardmax).
    ``speed_scale``: the natural size of |v|, ‖V‖ summed over heads; times the uniform density's Z without denominator.
    Arrays returned are buffers, overwritten by the next call.
    """

    space: Space
    source_degree: int
    speed_scale: float
    has_energy = False
    energy_log_scale = 0.0

    @abstractmethod
    def flux(self, u: Modal) -> Real:
        """Tangential components of ρ v at the nodes, shape (d-1, *shape)."""

    @abstractmethod
    def velocity(self, u: Modal) -> Real:
        """Tangential components of v at the nodes, shape (d-1, *shape)."""

    @abstractmethod
    def budget(self, u: Modal, density: Real) -> Budget:
        """Largest speed, energy and dissipation of the density with coefficients u and nodal values ``density``."""


class KernelField(VelocityField):
    r"""Softmax or unnormalised velocity of several heads from their kernel moments.

    The energy of a head with symmetric B is
    :math:`E=\frac{1}{2\beta}\iint e^{\beta\langle x,By\rangle}d\rho\,d\rho`, with
    :math:`\dot E=\int\langle P_xBN,v\rangle d\rho` for any velocity v; both are returned multiplied by
    :math:`e^{-\texttt{energy\_log\_scale}}`. For V = B this is the known Ė = ∫Z|v|²dρ of softmax and Ė = ∫|v|²dρ of
    unnormalised attention (arXiv 2312.10794).
    """

    def __init__(self, space: Space, moments: Sequence[KernelMoments], head_weight: float, *, normalise: bool) -> None:
        self.space = space
        self._moments = list(moments)
        self._normalise = normalise
        self.source_degree = max(part.source_degree for part in moments)
        self.energy_log_scale = max(float(np.max(part.log_scale)) for part in moments)
        self.has_energy = all(part.head.symmetric_score for part in moments)
        self.speed_scale = head_weight * sum(
            float(np.linalg.norm(part.head.V, 2)) * (1.0 if normalise else part.uniform_partition) for part in moments
        )
        self._density = space.empty()
        self._field = space.empty(space.dim - 1)
        self._matrices = [head_weight * part.head.V @ part.turn.T for part in moments]
        self._trigonometry: tuple[Real, ...]
        if isinstance(space, Sphere):
            self._kernel = sphere_kernel
            self._trigonometry = (np.cos(space.theta), np.sin(space.theta), np.cos(space.phi), np.sin(space.phi))
        elif isinstance(space, Circle):
            self._kernel = circle_kernel
            self._trigonometry = (np.cos(space.theta), np.sin(space.theta))
        else:
            raise InputError(f"attention on {space!r}: expected a Circle or a Sphere")

    def _evaluate(self, u: Modal, weighted: bool) -> Real:
        for index, (part, matrix) in enumerate(zip(self._moments, self._matrices, strict=True)):
            part.update(u)
            if not self._normalise:
                part.first *= np.exp(part.log_scale)
            self._push(part, matrix, self._normalise, weighted, index > 0, self._field)
        return self._field

    def _push(self, part: KernelMoments, matrix: Real, normalise: bool, weighted: bool, add: bool, out: Real) -> None:
        arrays = (part.partition, part.first, self._density, out)
        partition, first, density, target = (a.swapaxes(-1, -2) for a in arrays) if self.space.dim == 3 else arrays
        floor = max(PARTITION_FLOOR * float(partition.max()), TINY)
        kernel = self._kernel(normalise, weighted, add)
        kernel(*self._trigonometry, matrix, partition, first, floor, density, target)

    def flux(self, u: Modal) -> Real:
        """Tangential components of ρ v at the nodes."""
        self.space.to_nodal(u, self._density)
        return self._evaluate(u, weighted=True)

    def velocity(self, u: Modal) -> Real:
        """Tangential components of v at the nodes."""
        return self._evaluate(u, weighted=False)

    def budget(self, u: Modal, density: Real) -> Budget:
        """Largest speed, and the scaled energy and dissipation of the heads if every B is symmetric."""
        velocity = self._evaluate(u, weighted=False).copy()
        speed = _largest_length(velocity)
        if not self.has_energy:
            return Budget(speed)
        energy = rate = 0.0
        for part in self._moments:
            if not self._normalise:
                part.update(u)  # its first moment was unscaled in place
            scale = np.exp(part.log_scale - self.energy_log_scale)
            energy += self.space.integrate(scale * part.partition * density) / (2.0 * part.head.beta)
            self._push(part, part.head.B @ part.turn.T, False, False, False, self._field)
            rate += self.space.integrate(scale * density * np.einsum("i...,i...->...", self._field, velocity))
        return Budget(speed, energy, rate)


class HardmaxField(VelocityField):
    """The zero-temperature velocity: fixed, whatever the density. It has no interaction energy."""

    source_degree = 0

    def __init__(self, space: Space, heads: Sequence[Head], head_weight: float) -> None:
        self.space = space
        self._velocity = space.empty(space.dim - 1)
        self._velocity[:] = 0.0
        for head in heads:
            if np.linalg.svd(head.B, compute_uv=False)[-1] <= 1e-12 * np.linalg.norm(head.B, 2):
                raise InputError(f"hardmax attention divides by |B'x|: expected an invertible B, got {head.B.tolist()}")
            size = np.linalg.norm(space.points @ head.B, axis=-1)
            pull = space.points @ head.A.T / size[..., None]
            self._velocity += head_weight * np.einsum("i...j,...j->i...", space.tangent_frame, pull)
        self._speed = _largest_length(self._velocity)
        self.speed_scale = head_weight * sum(float(np.linalg.norm(head.V, 2)) for head in heads)
        self._field = space.empty(space.dim - 1)

    def flux(self, u: Modal) -> Real:
        """Tangential components of ρ v at the nodes."""
        return np.multiply(self._velocity, self.space.to_nodal(u), out=self._field)

    def velocity(self, u: Modal) -> Real:
        """Tangential components of v at the nodes."""
        return self._velocity

    def budget(self, u: Modal, density: Real) -> Budget:
        """Largest speed; no energy."""
        return Budget(self._speed)
