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
from .budgets import circle_budget, largest_length, sphere_budget
from .laws import EnergyLaw, law_of
from .moments import KernelMoments
from .pointwise import PARTITION_FLOOR, circle_kernel, sphere_kernel

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]


TINY = 1e-300


class Budget(NamedTuple):
    """What a density's own velocity does to it, and how it attends.

    ``speed`` max |v|; the energy and its rate of change by transport, scaled, NaN if there is none; ``head_energy``
    (H,) of each head, likewise; ``attention_entropy`` (H,) of each head, empty for hardmax.
    """

    speed: float
    energy: float = float("nan")
    dissipation: float = float("nan")
    head_energy: tuple[float, ...] = ()
    attention_entropy: tuple[float, ...] = ()


def _speed(field: Real) -> float:
    flat = field.swapaxes(-1, -2) if field.ndim == 3 else field
    return largest_length(flat.reshape(len(field), -1))


class VelocityField(ABC):
    """The velocity a density induces at the nodes of ``space``.

    ``source_degree``: degrees of the density above it never influence the velocity (L_K; 0 for hardmax).
    ``speed_scale``: the natural size of |v|, ‖V‖ summed over heads; times the uniform density's Z without denominator.
    ``energy_law``: which law the energy obeys, or why there is none; energies come times exp(−``energy_log_scale``).
    ``attention_heads``: how many heads have an attention entropy.
    Arrays returned are buffers, overwritten by the next call.
    """

    space: Space
    source_degree: int
    speed_scale: float
    energy_law = EnergyLaw(False, None, "no energy: hardmax has none")
    energy_log_scale = 0.0
    attention_heads = 0

    @property
    def has_energy(self) -> bool:
        """Whether there is an interaction energy: every B symmetric, β finite."""
        return self.energy_law.exists

    @abstractmethod
    def flux(self, u: Modal) -> Real:
        """Tangential components of ρ v at the nodes, shape (d-1, *shape)."""

    @abstractmethod
    def velocity(self, u: Modal) -> Real:
        """Tangential components of v at the nodes, shape (d-1, *shape)."""

    @abstractmethod
    def budget(self, u: Modal, density: Real) -> Budget:
        """Speed, energies and attention entropies of the density with coefficients u and nodal values ``density``."""


class KernelField(VelocityField):
    r"""Softmax or unnormalised velocity of several heads from their kernel moments.

    The energy of heads with symmetric B is :math:`E=a\sum_hE_h`, a the ``head_weight``, with
    :math:`E_h=\frac{1}{2\beta_h}\iint e^{\beta_h\langle x,B_hy\rangle}d\rho\,d\rho` and
    :math:`\dot E=a\sum_h\int\langle P_xB_hN_h,v\rangle d\rho` for any velocity v; :mod:`.laws` tells its sign.
    The attention entropy of a head is :math:`-\iint a\log a\,d\rho(y)d\rho(x)` with
    :math:`a=e^{\beta\langle x,By\rangle}/Z(x)`: minus the mean relative entropy of what a token attends to, so never
    positive, and 0 once all tokens are one.
    """

    def __init__(self, space: Space, moments: Sequence[KernelMoments], head_weight: float, *, normalise: bool) -> None:
        self.space = space
        self._moments = list(moments)
        self._normalise = normalise
        self.source_degree = max(part.source_degree for part in moments)
        self.energy_log_scale = max(float(np.max(part.log_scale)) for part in moments)
        self.energy_law = law_of([part.head for part in moments], normalise=normalise)
        self.attention_heads = len(moments)
        self._head_weight = head_weight
        self.speed_scale = head_weight * sum(
            float(np.linalg.norm(part.head.V, 2)) * (1.0 if normalise else part.uniform_partition) for part in moments
        )
        self._density = space.empty()
        self._field = space.empty(space.dim - 1)
        self._matrices = [head_weight * part.head.V @ part.turn.T for part in moments]
        self._scales = [] if normalise else [np.exp(part.log_scale) for part in moments]
        self._trigonometry: tuple[Real, ...]
        if isinstance(space, Sphere):
            self._kernel, self._budget = sphere_kernel, sphere_budget
            self._latitude_weights, self._sums = space.weights[:, 0].copy(), np.empty((3, len(space.theta)))
            self._trigonometry = (np.cos(space.theta), np.sin(space.theta), np.cos(space.phi), np.sin(space.phi))
        elif isinstance(space, Circle):
            self._kernel, self._budget = circle_kernel, circle_budget
            self._latitude_weights, self._sums = space.weights, np.empty((3, len(space.theta)))
            self._trigonometry = (np.cos(space.theta), np.sin(space.theta))
        else:
            raise InputError(f"attention on {space!r}: expected a Circle or a Sphere")

    def _evaluate(self, u: Modal, weighted: bool) -> Real:
        for index, (part, matrix) in enumerate(zip(self._moments, self._matrices, strict=True)):
            part.update(u)
            if not self._normalise:
                part.first *= self._scales[index]
            self._push(part, matrix, self._normalise, weighted, index > 0, self._field)
        return self._field

    def _push(self, part: KernelMoments, matrix: Real, normalise: bool, weighted: bool, add: bool, out: Real) -> None:
        arrays = (part.partition, part.first, self._density, out)
        partition, first, density, target = (a.swapaxes(-1, -2) for a in arrays) if self.space.dim == 3 else arrays
        floor = max(PARTITION_FLOOR * float(partition.max()), TINY)
        kernel = self._kernel(normalise, weighted, add, part.ambient)
        kernel(*self._trigonometry, matrix, partition, first, floor, density, target)

    def flux(self, u: Modal) -> Real:
        """Tangential components of ρ v at the nodes."""
        self.space.to_nodal(u, self._density)
        return self._evaluate(u, weighted=True)

    def velocity(self, u: Modal) -> Real:
        """Tangential components of v at the nodes."""
        return self._evaluate(u, weighted=False)

    def budget(self, u: Modal, density: Real) -> Budget:
        """Largest speed, attention entropies, and the scaled energies and their rate if every B is symmetric."""
        velocity = self._evaluate(u, weighted=False)
        for part, scale in zip(self._moments, self._scales, strict=not self._normalise):
            part.first /= scale  # undoes what the velocity needed
        sums = np.array([self._integrals(part, density, velocity) for part in self._moments])
        speed, entropy = _speed(velocity), tuple(sums[:, 2].tolist())
        if not self.has_energy:
            return Budget(speed, attention_entropy=entropy)
        energy = sums[:, 0] / (2.0 * np.array([part.head.beta for part in self._moments]))
        total, rate = self._head_weight * float(energy.sum()), self._head_weight * float(sums[:, 1].sum())
        return Budget(speed, total, rate, tuple(energy.tolist()), entropy)

    def _integrals(self, part: KernelMoments, density: Real, velocity: Real) -> Real:
        """∫Zρ and ∫⟨P_xBN,v⟩ρ, both scaled, and the attention entropy of one head, whose buffers hold the moments."""
        even = part.log_scale.ndim == 0
        scale = part.log_scale.reshape((1,) * len(self.space.shape)) if even else part.log_scale
        arrays = [scale, part.partition, part.first, density, velocity]
        if self.space.dim == 3:
            arrays = [a.swapaxes(-1, -2) for a in arrays]
        scale, partition, first, mass, field = arrays
        floor = max(PARTITION_FLOOR * float(partition.max()), TINY)
        moments = (part.head.beta, scale, self.energy_log_scale, partition, first, floor)
        kernel = self._budget(even, part.ambient)
        kernel(*self._trigonometry, part.head.B @ part.turn.T, *moments, mass, field, self._sums)
        return np.asarray(self._sums @ self._latitude_weights)


class HardmaxField(VelocityField):
    """The zero-temperature velocity of invertible B: fixed, whatever the density. It has no interaction energy."""

    source_degree = 0

    def __init__(self, space: Space, heads: Sequence[Head], head_weight: float) -> None:
        self.space = space
        self._velocity = space.empty(space.dim - 1)
        self._velocity[:] = 0.0
        for head in heads:
            size = np.linalg.norm(space.points @ head.B, axis=-1)
            pull = space.points @ head.A.T / size[..., None]
            self._velocity += head_weight * np.einsum("i...j,...j->i...", space.tangent_frame, pull)
        self._speed = _speed(self._velocity)
        self.speed_scale = head_weight * sum(float(np.linalg.norm(head.V, 2)) for head in heads)
        self._density = space.empty()
        self._field = space.empty(space.dim - 1)

    def flux(self, u: Modal) -> Real:
        """Tangential components of ρ v at the nodes."""
        return np.multiply(self._velocity, self.space.to_nodal(u, self._density), out=self._field)

    def velocity(self, u: Modal) -> Real:
        """Tangential components of v at the nodes."""
        return self._velocity

    def budget(self, u: Modal, density: Real) -> Budget:
        """Largest speed; no energy."""
        return Budget(self._speed)
