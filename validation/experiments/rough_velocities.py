r"""Softmax velocity minus hardmax velocity on S¹ for any density, by quadrature, and its laws next to singular points.

Independent of the solver: Gauss panels graded towards every singular point and the kernel's peak, weights relative to
the largest, so that no β is too large. V = diag(1, 0.4), B = I. At the scale l = β^{-1/2} of the kernel a token at
θ* + l a sees weights e^{−s²/2} g(a+s), g the density next to θ*: what is left of that as l → 0 are the shapes here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import gamma, hyp1f1, ndtr

Array = np.ndarray

V = np.diag([1.0, 0.4])
THETA = 0.5 * np.pi
"""Where densities are rough: there t is an eigenvector of V, so that the next terms are of relative size 1/β."""
RHO_MINUS, RHO_PLUS, HEIGHT, SLOPE, HOLE = 1.0, 3.0, 1.0, 0.5, 0.8
"""Densities beside the jump; height of cusp and kink; slope of the kink's tilt; half the arc without mass."""


@dataclass(frozen=True)
class Profile:
    """A density on S¹ up to a factor, a function of δ = θ − π/2 ∈ (−π, π), singular at ``points``."""

    name: str
    of: Callable[[Array], Array]
    points: tuple[float, ...] = (0.0,)


def chord(delta: Array) -> Array:
    """|2 sin(δ/2)|, which is |δ| and smooth elsewhere."""
    return np.abs(2.0 * np.sin(0.5 * delta))


JUMP = Profile("jump", lambda d: np.where(d > 0.0, RHO_PLUS, RHO_MINUS))
KINK = Profile("kink", lambda d: 1.0 + HEIGHT * chord(d) + SLOPE * np.sin(d))
ARC = Profile("zero on an arc", lambda d: 1.0 * (np.abs(d) > HOLE), (-HOLE, HOLE))


SMOOTH = Profile("smooth", lambda d: np.exp(0.8 * np.cos(d) + 0.3 * np.sin(2.0 * d)))


def cusp(alpha: float) -> Profile:
    """1 + |δ|^α."""
    return Profile(f"cusp, α = {alpha:g}", lambda d: 1.0 + HEIGHT * chord(d) ** alpha)


def zero(k: float) -> Profile:
    """|δ|^k."""
    return Profile(f"zero, k = {k:g}", lambda d: chord(d) ** k)


CUSPS, ZEROS = (0.25, 0.5, 0.75), (1.0, 2.0, 4.0)
PROFILES = {each.name: each for each in (JUMP, KINK, ARC, SMOOTH, *map(cusp, CUSPS), *map(zero, ZEROS))}

GAUSS = np.polynomial.legendre.leggauss(16)
GRADES = np.pi * 0.5 ** np.arange(60.0)
"""Ends of panels on both sides of each singular point and of the kernel's peak."""


def error_at(profile: Profile, beta: float, delta: float) -> float:
    """⟨t, v_β − v_∞⟩ at θ = π/2 + δ for V, B = I: t the tangent, weights relative to the largest."""
    graded = [
        point + side * GRADES
        for point in (delta, delta - 2.0 * np.pi, delta + 2.0 * np.pi, *profile.points)
        for side in (-1.0, 1.0)
    ]
    ends = np.unique(np.clip(np.concatenate([*graded, profile.points, [delta, -np.pi, np.pi]]), -np.pi, np.pi))
    half = 0.5 * np.diff(ends)
    nodes = (ends[:-1] + half)[:, None] + half[:, None] * GAUSS[0]
    mass = half[:, None] * GAUSS[1] * profile.of(nodes)
    angle = nodes - delta
    exponent = -2.0 * beta * np.sin(0.5 * angle) ** 2
    weights = mass * np.exp(np.minimum(exponent - exponent[mass > 0.0].max(), 0.0))
    along, radial = (
        float(np.sum(weights * f) / weights.sum()) for f in (np.sin(angle), -2.0 * np.sin(0.5 * angle) ** 2)
    )
    return pulled(delta, along, radial)


def pulled(delta: float, along: float, radial: float) -> float:
    """⟨t, V(along·t + radial·x)⟩ at θ = π/2 + δ."""
    x = np.array([np.cos(THETA + delta), np.sin(THETA + delta)])
    t = np.array([-x[1], x[0]])
    return float(t @ V @ (along * t + radial * x))


def largest(of: Callable[[float], float], low: float, high: float, count: int) -> float:
    """Largest |of| on an interval: a scan, then a bounded search about the highest."""
    grid = np.linspace(low, high, count)
    best = int(np.argmax([abs(of(a)) for a in grid]))
    inside = (grid[max(best - 1, 0)], grid[min(best + 1, count - 1)])
    found = minimize_scalar(lambda a: -abs(of(a)), bounds=inside, method="bounded", options={"xatol": 1e-9})
    return max(-float(found.fun), abs(of(grid[best])))


def rough_errors(name: str, betas: tuple[float, ...]) -> Array:
    """sup|v_β − v_∞| near the singular point, over a in (−8, 8); over all of an arc without mass."""
    profile = PROFILES[name]
    if profile is ARC:
        return np.array([largest(partial(error_at, profile, b), -HOLE, HOLE, 161) for b in betas])

    def scaled(beta: float, a: float) -> float:
        return error_at(profile, beta, a * beta**-0.5)

    return np.array([largest(partial(scaled, b), -8.0, 8.0, 65) for b in betas])


def bump(a: float, power: float) -> tuple[float, float]:
    """M(a) = E|a+s|^power for a standard Gaussian s, and M'(a)."""
    scale = 2.0 ** (0.5 * power) * gamma(0.5 * (power + 1.0)) / np.sqrt(np.pi)
    z = -0.5 * a * a
    return float(scale * hyp1f1(-0.5 * power, 0.5, z)), float(scale * power * a * hyp1f1(1.0 - 0.5 * power, 1.5, z))


def jump_shape(a: float) -> float:
    """The scaled error next to a jump."""
    bell = np.exp(-0.5 * a * a) / np.sqrt(2.0 * np.pi)
    return float((RHO_PLUS - RHO_MINUS) * bell / (RHO_PLUS * ndtr(a) + RHO_MINUS * ndtr(-a)))


def cusp_shape(a: float, alpha: float) -> float:
    """The scaled error next to a cusp."""
    return HEIGHT * bump(a, alpha)[1]


def zero_shape(a: float, k: float) -> float:
    """The scaled error next to a zero."""
    M, slope = bump(a, k)
    return slope / M
