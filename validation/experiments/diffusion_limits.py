r"""Equations that attention tends to as temperature falls, with their first corrections, by the method of lines.

Nothing here knows the solver: Fourier and Legendre pseudo-spectral in space, scipy's DOP853 in time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre
from scipy.integrate import solve_ivp

FORTH, BACK = (0.6, 0.3), (0.2, 0.1)
"""p = 1 + 0.6 cos θ + 0.3 cos(2θ + 1) on S¹ (the datum of C8), 1 + 0.6 P₁ + 0.3 P₂ on S²; backwards a third of that is
where the heat equation arrives: from larger data or for longer times the correction is not resolved, or 1/β² sets in
only beyond the β reached here."""


@dataclass(frozen=True)
class Limit:
    """One equation that attention tends to: sphere, attention, sign of V, rescaled time, degrees of the reference."""

    name: str
    dim: int
    attention: str
    sign: float
    time: float
    degrees: int
    source: str

    @property
    def datum(self) -> tuple[float, float]:
        """The two amplitudes at time 0."""
        a, b = FORTH if self.sign < 0 else BACK
        past = self.time if self.sign > 0 else 0.0
        return a * np.exp(-(self.dim - 1.0) * past), b * np.exp(-2.0 * self.dim * past)


LIMITS = {
    "heat, S¹": Limit("heat, S¹", 2, "softmax", -1.0, 0.3, 32, "C8"),
    "heat, S²": Limit("heat, S²", 3, "softmax", -1.0, 0.15, 32, "C8"),
    "porous medium, S¹": Limit("porous medium, S¹", 2, "unnormalised", -1.0, 0.3, 32, "C9"),
    "porous medium, S²": Limit("porous medium, S²", 3, "unnormalised", -1.0, 0.15, 32, "C9"),
    "backward heat, S¹": Limit("backward heat, S¹", 2, "softmax", 1.0, 0.02, 14, "C10"),
    "backward heat, S²": Limit("backward heat, S²", 3, "softmax", 1.0, 0.02, 14, "C10"),
}
"""Backwards, degree l grows by e^{l² time}: few degrees, for a short time."""


@dataclass(frozen=True)
class Lines:
    """Orthonormal harmonics of p dσ on nodes of one angle (all of them on S¹, zonal ones on S²), and their slopes."""

    angle: np.ndarray
    values: np.ndarray
    slopes: np.ndarray
    weights: np.ndarray
    eigenvalues: np.ndarray

    def coefficients(self, nodal: np.ndarray) -> np.ndarray:
        """Of a function given at the nodes."""
        return self.values.T @ (self.weights * nodal)

    def divergence(self, p: np.ndarray, potential: np.ndarray) -> np.ndarray:
        """Coefficients of div(p∇q) from nodal p and q, in weak form."""
        return -self.slopes.T @ (self.weights * p * (self.slopes @ self.coefficients(potential)))


def harmonics_at(dim: int, degrees: int, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values and slopes at angles, and eigenvalues l(l+d−2), of harmonics orthonormal for the uniform measure."""
    if dim == 2:
        k = np.arange(1, degrees + 1)
        waves = np.sqrt(2.0) * np.exp(1j * np.multiply.outer(angle, k))
        values = np.concatenate([np.ones((angle.size, 1)), waves.real, waves.imag], axis=1)
        slopes = np.concatenate([np.zeros((angle.size, 1)), -k * waves.imag, k * waves.real], axis=1)
        return values, slopes, np.concatenate([[0.0], k**2, k**2])
    l, norm = np.arange(degrees + 1), np.sqrt(2.0 * np.arange(degrees + 1) + 1.0)
    derivative = np.array([legendre.legval(np.cos(angle), legendre.legder(row)) for row in np.eye(degrees + 1)]).T
    return legendre.legvander(np.cos(angle), degrees) * norm, -np.sin(angle)[:, None] * derivative * norm, l * (l + 1.0)


def lines_of(dim: int, degrees: int) -> Lines:
    """Nodes that integrate products of three harmonics exactly."""
    if dim == 2:
        n = 4 * degrees
        angle, weights = 2.0 * np.pi * np.arange(n) / n, np.full(n, 1.0 / n)
    else:
        x, weights = legendre.leggauss(2 * degrees)
        angle, weights = np.arccos(x), 0.5 * weights
    return Lines(angle, *harmonics_at(dim, degrees, angle)[:2], weights, harmonics_at(dim, degrees, angle)[2])


def datum_at(limit: Limit, angle: np.ndarray) -> np.ndarray:
    """p at time 0."""
    a, b = limit.datum
    if limit.dim == 2:
        return 1.0 + a * np.cos(angle) + b * np.cos(2.0 * angle + 1.0)
    return 1.0 + a * np.cos(angle) + 0.5 * b * (3.0 * np.cos(angle) ** 2 - 1.0)


@dataclass(frozen=True)
class Reference:
    """Coefficients of p and of its first correction r at the end; ½∫p² lost and the dissipation ∫∫p|∇p|²."""

    p: np.ndarray
    r: np.ndarray
    lost: float
    dissipated: float


def reference(name: str, degrees: int, rtol: float) -> Reference:
    """The limit equation with its correction, by the method of lines."""
    limit, lines = LIMITS[name], lines_of(LIMITS[name].dim, degrees)
    n = lines.eigenvalues.size

    def rate(_: float, state: np.ndarray) -> np.ndarray:
        p, r = lines.values @ state[:n], lines.values @ state[n : 2 * n]
        laplacian = lines.values @ (-lines.eigenvalues * state[:n])
        if limit.attention == "softmax":
            dp = -lines.eigenvalues * state[:n]
            dr = -lines.eigenvalues * state[n : 2 * n] + 0.5 * lines.divergence(p, laplacian / p)
        else:
            dp = lines.divergence(p, p)
            dr = -lines.eigenvalues * lines.coefficients(p * r) + 0.5 * lines.divergence(p, laplacian)
        dissipation = lines.weights @ (p * (lines.slopes @ state[:n]) ** 2)
        return np.concatenate([-limit.sign * dp, -limit.sign * dr, [dissipation]])

    start = lines.coefficients(datum_at(limit, lines.angle))
    first = np.concatenate([start, np.zeros(n + 1)])
    found = solve_ivp(rate, (0.0, limit.time), first, method="DOP853", rtol=rtol, atol=0.01 * rtol)
    if not found.success:
        raise ArithmeticError(f"{name}: {found.message}")
    end = found.y[:, -1]
    return Reference(end[:n], end[n : 2 * n], 0.5 * float(start @ start - end[:n] @ end[:n]), float(end[-1]))
