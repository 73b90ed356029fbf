r"""Densities with an axis on the sphere of any dimension, followed by the polar angle of their nodes.

With :math:`s=\ln\tan(\theta/2)` the unnormalised flow under V = B = I is

.. math:: \dot s=-\frac1\beta\sum_la_lm_lP_l'(\cos\theta),\quad m_l=\int P_l(\cos\theta)\,d\rho,\quad
          e^{\beta u}=\sum_la_lP_l(u)

with the Gegenbauer polynomials of the sphere, :math:`P_l(1)=1`; softmax divides by
:math:`Z=\sum_la_lm_lP_l(\cos\theta)`. Nodes equally spaced in s carry the weights of the trapezoidal rule, which
converges exponentially because densities are smooth in s and vanish at both ends. It shares no code with the package.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, gamma

import numpy as np
from scipy.integrate import solve_ivp
from scipy.special import iv

DEGREES = 24
"""For β ≤ 2 the coefficients a_l beyond are below 1e-22 of the first."""
RANGE = 45.0
"""Nodes reach to |s| = RANGE: to cells around the antipode that leave it after all runs have ended."""
ROUNDS = 4
"""Of guesses: the third is off by 1e-5, the fourth by 3e-8 (20 panels)."""
PROBES = np.linspace(0.0, np.pi, 2001)[1:-1]
"""Where the velocity is looked at for the point that parts them at the end."""


@dataclass(frozen=True)
class PolarRun:
    """At ``times`` (n,): squared chordal W₂ to the pole, distance to the largest energy, ∫|v|²dρ.

    ``antipode`` is the density at the antipode of the pole, in units of the surface measure.
    """

    times: np.ndarray
    squared: np.ndarray
    energy_gap: np.ndarray
    dissipation: np.ndarray
    antipode: np.ndarray


def kernel_series(dim: int, beta: float) -> np.ndarray:
    """Coefficients a_l of e^{βu} = Σ a_l P_l(u)."""
    l, order = np.arange(DEGREES), 0.5 * dim - 1.0
    multipliers = gamma(0.5 * dim) * (2.0 / beta) ** order * iv(l + order, beta)
    harmonics = [1] + [comb(n + dim - 1, n) - (comb(n + dim - 3, n - 2) if n > 1 else 0) for n in range(1, DEGREES)]
    return np.array(harmonics) * multipliers


def polynomials(dim: int, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P_l(u) and their derivatives, (DEGREES, n) each."""
    values, slopes = np.ones((DEGREES, u.size)), np.zeros((DEGREES, u.size))
    values[1], slopes[1] = u, 1.0
    for l in range(1, DEGREES - 1):
        a, b = (2 * l + dim - 2) / (l + dim - 2), l / (l + dim - 2)
        values[l + 1] = a * u * values[l] - b * values[l - 1]
        slopes[l + 1] = a * (values[l] + u * slopes[l]) - b * slopes[l - 1]
    return values, slopes


def polar_run(
    dim: int, attention: str, beta: float, concentration: float, until: float, records: int, spacing: float
) -> PolarRun:
    """The flow on S^{d−1} from the density ∝ exp(concentration · cos θ), at equally spaced times."""
    s0 = spacing * np.arange(-int(RANGE / spacing), int(RANGE / spacing) + 1)
    peak = 2.0 / (1.0 + np.exp(-2.0 * s0))
    weights = np.exp(-concentration * peak) * np.cosh(s0) ** (1 - dim)
    total = weights.sum()
    weights /= total
    shell = 2.0 * np.pi ** (0.5 * dim - 0.5) / gamma(0.5 * dim - 0.5)
    antipode = np.exp(-2.0 * concentration) / (total * spacing * shell)
    series = kernel_series(dim, beta)

    def state(s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        values, slopes = polynomials(dim, -np.tanh(s))
        moments = values @ weights
        return -(series * moments) @ slopes / beta, (series * moments) @ values, moments

    def rate(_: float, s: np.ndarray) -> np.ndarray:
        motion, partition = state(s)[:2]
        return motion / partition if attention == "softmax" else motion

    times = np.linspace(0.0, until, records)
    path = solve_ivp(rate, (0.0, until), s0, "DOP853", times, rtol=1e-11, atol=1e-12).y.T
    found = np.empty((records, 4))
    for row, s in zip(found, path, strict=True):
        motion, partition, moments = state(s)
        speed = (motion / partition if attention == "softmax" else motion) / np.cosh(s)
        row[0] = weights @ (4.0 / (1.0 + np.exp(-2.0 * s)))
        row[1] = series @ (1.0 - moments**2) / (2.0 * beta)
        row[2] = weights @ speed**2
        row[3] = antipode * np.exp((dim - 1) * (s[-1] - s0[-1]))
    return PolarRun(times, *found.T)


# ---- two clusters on the circle


def mass_left_behind(beta: float, amplitude: float, until: float, panels: int) -> tuple[float, float]:
    """Mass that the unnormalised flow from (1 + a cos θ)/2π takes to θ = π, and how far the last guess was off.

    Nodes on the half circle crowd around a guess of the point that parts those that end at 0 from the others, panel by
    panel half as long; the next guess lies between the last of the ones and the first of the others.
    """
    rule, share = np.polynomial.legendre.leggauss(12)
    edges = 2.0 ** -np.arange(panels + 1.0)
    edges[-1] = 0.0
    middle, half = 0.5 * (edges[1:] + edges[:-1]), 0.5 * (edges[:-1] - edges[1:])
    graded = (middle[:, None] + half[:, None] * rule).ravel()
    lengths = (half[:, None] * share).ravel()
    k = np.arange(DEGREES)
    strengths = 2.0 / beta * k * iv(k, beta)

    def outside(angle: float) -> float:
        return float(1.0 - (angle + amplitude * np.sin(angle)) / np.pi)

    guesses = [0.6 * np.pi]
    for _ in range(ROUNDS):
        far = np.pi - guesses[-1]
        start = np.concatenate([guesses[-1] * (1.0 - graded), guesses[-1] + far * graded])
        weights = np.concatenate([guesses[-1] * lengths, far * lengths])
        weights *= (1.0 + amplitude * np.cos(start)) / np.pi

        def velocity(angle: np.ndarray, nodes: np.ndarray, weights: np.ndarray = weights) -> np.ndarray:
            moments = np.cos(np.multiply.outer(k, nodes)) @ weights
            return -(strengths * moments) @ np.sin(np.multiply.outer(k, angle))

        end = solve_ivp(lambda _, x: velocity(x, x), (0.0, until), start, "DOP853", rtol=1e-9, atol=1e-10).y[:, -1]
        outwards = velocity(PROBES, end) > 0.0
        to_pole = end < PROBES[np.argmax(outwards)]
        guesses.append(0.5 * float(start[to_pole].max() + start[~to_pole].min()))
    return outside(guesses[-1]), abs(outside(guesses[-1]) - outside(guesses[-2]))
