r"""Sums at scattered directions on S²: isotropic scores by three transforms, any score by 2K of them."""

from __future__ import annotations

from typing import Any

import ducc0
import numpy as np
from numba import njit

from ..heads import Head
from ..kernels import funk_hecke, kernel_bandwidth
from ..spaces.ducc import condon_shortley
from .base import TRANSFORM_FLOOR, Modal, Real, colatitude_longitude, directions, factor_floor, kappa_range
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
        self.degree = np.concatenate([np.arange(m, degree + 1) for m in range(degree + 1)])
        self._phase = condon_shortley(degree)
        self._coefficients = np.empty((1, len(self.degree)), complex)
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

    floor = TRANSFORM_FLOOR

    def __init__(self, head: Head, targets: Real, threads: int) -> None:
        length, omega = directions(head, targets)
        kappa = head.beta * float(np.linalg.norm(head.B) / np.sqrt(3.0))
        self.log_scale = np.full(len(length), kappa)
        self.source_degree = kernel_bandwidth(3, kappa)
        self._synthesis = ScatteredSynthesis(self.source_degree, omega, threads)
        table, degree = funk_hecke(3, kappa, self.source_degree), self._synthesis.degree
        self._multipliers = [part[degree] + 0j for part in (table.value, table.radial, table.tangential)]
        self._part = np.empty(len(degree), complex)
        self._radial, self._gradient = np.empty(len(targets)), np.empty((2, len(targets)))

    def evaluate(self, c: Modal, partition: Real, first: Real) -> None:
        """Fill Z and the Cartesian components of N, both scaled."""
        value, radial, tangential = self._multipliers
        self._synthesis.values(np.multiply(value, c, out=self._part), partition)
        self._synthesis.values(np.multiply(radial, c, out=self._part), self._radial)
        self._synthesis.gradient(np.multiply(tangential, c, out=self._part), self._gradient)
        to_cartesian(self._synthesis.location, self._radial, self._gradient, first)


class ScatteredSums:
    """Kernel sums for any B: every G_k and its gradient at the targets themselves, 2K non-uniform transforms."""

    def __init__(self, head: Head, targets: Real, threads: int) -> None:
        length, omega = directions(head, targets)
        self.log_scale = head.beta * length
        factors = radial_factors(3, *kappa_range(head))
        self.source_degree = factors.source_degree
        self._synthesis = ScatteredSynthesis(self.source_degree, omega, threads)
        self.floor = factor_floor(self.source_degree)
        self._basis = factors.degree_basis[:, self._synthesis.degree] + 0j
        self._weights = factors.weights(self.log_scale)
        self._part = np.empty(self._basis.shape[1], complex)
        n = len(targets)
        self._value, self._slope = np.empty(n), np.empty((2, n))
        self._radial, self._gradient = np.empty(n), np.empty((2, n))

    def evaluate(self, c: Modal, partition: Real, first: Real) -> None:
        """Fill Z and the Cartesian components of N, both scaled."""
        partition[:], self._radial[:], self._gradient[:] = 0.0, 0.0, 0.0
        for basis, weights in zip(self._basis, self._weights, strict=True):
            np.multiply(basis, c, out=self._part)
            self._synthesis.values(self._part, self._value)
            self._synthesis.gradient(self._part, self._slope)
            _add(weights, self._value, self._slope, partition, self._radial, self._gradient)
        to_cartesian(self._synthesis.location, self._radial, self._gradient, first)


@njit(cache=True, error_model="numpy")
def _add(weights, value, slope, partition, radial, gradient):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """One factor's share of Z, R and the tangential part."""
    for i in range(value.size):
        partition[i] += weights[0, i] * value[i]
        radial[i] += weights[1, i] * value[i]
        gradient[0, i] += weights[2, i] * slope[0, i]
        gradient[1, i] += weights[2, i] * slope[1, i]
