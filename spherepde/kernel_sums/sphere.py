r"""Sums at scattered directions on S²: isotropic scores by three transforms, any score by 2K of them."""

from __future__ import annotations

from typing import Any

import ducc0
import numpy as np
from numba import njit

from ..heads import Head
from ..kernels import funk_hecke, kernel_bandwidth
from .base import Modal, Real, colatitude_longitude, directions, kappa_range
from .radial import radial_factors

EPSILON = 2e-13
"""Accuracy asked of the non-uniform transforms, the best that ducc0 offers."""


@njit(cache=True, error_model="numpy")
def to_cartesian(location, radial, gradient, first):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """N = R ω + T_θ e_θ + T_φ e_φ, added up in Cartesian components."""
    for i in range(radial.size):
        ct, st = np.cos(location[i, 0]), np.sin(location[i, 0])
        cp, sp = np.cos(location[i, 1]), np.sin(location[i, 1])
        horizontal = radial[i] * st + gradient[0, i] * ct
        first[0, i] = horizontal * cp - gradient[1, i] * sp
        first[1, i] = horizontal * sp + gradient[1, i] * cp
        first[2, i] = radial[i] * ct - gradient[0, i] * st


class ScatteredSynthesis:
    """Functions of degree ≤ L and their gradients at fixed directions, by ducc0's non-uniform transforms."""

    def __init__(self, degree: int, omega: Real, threads: int) -> None:
        self.location = colatitude_longitude(omega)
        order = np.repeat(np.arange(degree + 1), np.arange(degree + 1, 0, -1))
        self.degree = np.concatenate([np.arange(m, degree + 1) for m in range(degree + 1)])
        self._phase = np.where(order % 2 == 0, 1.0, -1.0)
        self._coefficients = np.empty((1, len(order)), complex)
        self._plan: dict[str, Any] = {"lmax": degree, "loc": self.location, "epsilon": EPSILON, "nthreads": threads}

    def values(self, c: Modal, out: Real) -> None:
        """Values (n,)."""
        np.multiply(c, self._phase, out=self._coefficients[0])
        ducc0.sht.synthesis_general(alm=self._coefficients, spin=0, map=out[None], **self._plan)

    def gradient(self, c: Modal, out: Real) -> None:
        """Components (2, n) along e_θ and e_φ."""
        np.multiply(c, self._phase, out=self._coefficients[0])
        ducc0.sht.synthesis_general(alm=self._coefficients, spin=1, mode="DERIV1", map=out, **self._plan)


class IsotropicSums:
    """Kernel sums for B = sO: two non-uniform syntheses and one gradient."""

    def __init__(self, head: Head, targets: Real, threads: int) -> None:
        length, omega = directions(head, targets)
        kappa = head.beta * float(np.linalg.norm(head.B) / np.sqrt(3.0))
        self.log_scale = np.full(len(length), kappa)
        self.source_degree = kernel_bandwidth(3, kappa)
        self._synthesis = ScatteredSynthesis(self.source_degree, omega, threads)
        table, degree = funk_hecke(3, kappa, self.source_degree), self._synthesis.degree
        self._multipliers = table.value[degree], table.radial[degree], table.tangential[degree]
        self._radial, self._gradient = np.empty(len(targets)), np.empty((2, len(targets)))

    def evaluate(self, c: Modal, partition: Real, first: Real) -> None:
        """Fill Z and the Cartesian components of N, both scaled."""
        value, radial, tangential = self._multipliers
        self._synthesis.values(value * c, partition)
        self._synthesis.values(radial * c, self._radial)
        self._synthesis.gradient(tangential * c, self._gradient)
        to_cartesian(self._synthesis.location, self._radial, self._gradient, first)


class ScatteredSums:
    """Kernel sums for any B: every G_k and its gradient at the targets themselves, 2K non-uniform transforms."""

    def __init__(self, head: Head, targets: Real, threads: int) -> None:
        length, omega = directions(head, targets)
        self.log_scale = head.beta * length
        self._factors = radial_factors(3, *kappa_range(head.beta, length))
        self.source_degree = self._factors.source_degree
        self._synthesis = ScatteredSynthesis(self.source_degree, omega, threads)
        self._weights = self._factors.weights(self.log_scale)
        n = len(targets)
        self._value, self._slope = np.empty(n), np.empty((2, n))
        self._radial, self._gradient = np.empty(n), np.empty((2, n))

    def evaluate(self, c: Modal, partition: Real, first: Real) -> None:
        """Fill Z and the Cartesian components of N, both scaled."""
        partition[:], self._radial[:], self._gradient[:] = 0.0, 0.0, 0.0
        degree = self._synthesis.degree
        for basis, (value, radial, tangential) in zip(self._factors.degree_basis, self._weights, strict=True):
            part = basis[degree] * c
            self._synthesis.values(part, self._value)
            self._synthesis.gradient(part, self._slope)
            partition += value * self._value
            self._radial += radial * self._value
            self._gradient += tangential * self._slope
        to_cartesian(self._synthesis.location, self._radial, self._gradient, first)
