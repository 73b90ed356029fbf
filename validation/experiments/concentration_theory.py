r"""First-order theory of ``concentration.py``: how mass crosses between clusters at finite β; and the bound, fitted.

Tokens leave :math:`E^\perp` between the clusters, the gate, along :math:`y'=\kappa y+h(t)/\beta`, h the part towards E
of the first correction to the velocity (C4), :math:`P_xV\nabla\log\rho(t,\omega)/|B^\top x|` at
:math:`\omega=B^\top x/|B^\top x|`. So the gate moves by O(1/β), and the mass

.. math:: \delta=\frac D\beta,\qquad D=\sum_{gates}\rho_0\int_0^\infty e^{-\kappa s}h(s)\,ds

ends at the other cluster than Π sends it to, however long one waits. While the gate empties, its mass per unit of
Z(y) is :math:`\rho_g\varepsilon`, :math:`\varepsilon=e^{-\kappa t}`, with Z the coordinate in which the
zero-temperature flow is linear (tan y for B = I). The best plan sends the missing δ from next to the gate, up to some
y_c, at an extra cost 2πy: with :math:`u=\delta/\rho_g\varepsilon` and B = I

.. math:: W_2^2(\rho_t^\beta,\Pi_\sharp\rho_0)\approx
          2\pi\rho_g\varepsilon\,\bigl[\ln2+u\arctan u-\tfrac12\ln(1+u^2)\bigr],

which is least at :math:`u=\sqrt3`, where it is :math:`\tfrac23\pi^2\delta`, and ends at :math:`\pi^2\delta`. In general
:math:`W_2^2=2\pi y_c\delta` at the minimum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import quad, solve_ivp
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq, minimize

from experiments.concentration_runs import SETTINGS, Course, Setting

POINTS = 40
"""Times of each run that are used, from 0 to its minimum."""
STARTS = ((0.05, 0.1), (0.2, 0.2), (0.6, 0.4))
BOUNDS = ((-8.0, 5.0), (-8.0, 5.0), (0.0, 3.0), (0.0, 3.0))
"""Of the envelope's (log first, log second, C, c)."""
FEASIBLE = 1e-6
"""To what fraction the fit keeps the envelope above the runs."""
MARGIN = 0.02
"""Mean excess, in logarithms, by which an envelope may be worse than the best and still count as one."""


class Gate(NamedTuple):
    """First-order theory: κ, D, the mass ρ_g, and where and when W₂ is least: W₂² = 2πy_cδ at ε = δ/(ρ_g Z(y_c))."""

    leaving: float
    crossing: float
    mass: float
    reach: float
    spread: float

    @property
    def least(self) -> float:
        """β W₂² at the minimum."""
        return 2.0 * np.pi * self.reach * abs(self.crossing)

    @property
    def since(self) -> float:
        """t_min − log β/κ."""
        return float(np.log(self.spread / abs(self.crossing))) / self.leaving

    def master(self, beta: float, t: ArrayLike) -> np.ndarray:
        """W₂ over time for B = sO."""
        left = self.mass * np.exp(-self.leaving * np.asarray(t))
        u = abs(self.crossing) / (beta * left)
        return np.sqrt(2.0 * np.pi * left * (np.log(2.0) + u * np.arctan(u) - 0.5 * np.log1p(u * u)))


def gate_of_circle(name: str) -> Gate:
    """The gate {±e₂} of a setting on S¹, by quadrature along the zero-temperature flow."""
    setting = SETTINGS[name]
    kappa, masses = setting.leaving, [float(setting.density(np.array([[0.0, side]]))[0]) for side in (1.0, -1.0)]
    crossing = sum(mass * _pushed(setting, side) for mass, side in zip(masses, (1.0, -1.0), strict=True))
    log_tan = np.linspace(-30.0, 30.0, 6001)
    y = np.arctan(np.exp(log_tan))
    length = np.linalg.norm(np.array(setting.B)[1])
    both = []
    for side in (1.0, -1.0):  # d log Z = |Bᵀx|/|Bᵀe₂| d log tan y
        x = np.array([-side * np.sin(y), np.cos(y)])
        ratio = np.linalg.norm(np.array(setting.B).T @ x, axis=0) / length
        both.append(np.exp(log_tan[0] + CubicSpline(log_tan, ratio).antiderivative()(log_tan)))
    step = 0.5 / np.cosh(log_tan)
    first = 0 if crossing > 0.0 else 1
    given = masses[0] * both[first] + masses[1] * both[1 - first]
    tail = CubicSpline(log_tan, sum(masses) * (both[0] + both[1]) * (np.pi - 2.0 * y) * step).integrate(-30.0, 30.0)
    area = CubicSpline(log_tan, 2.0 * np.pi * given * step).antiderivative()
    reach = float(brentq(lambda x: float(area(x)) - float(tail), -10.0, 29.0))
    spread = float(np.exp(CubicSpline(log_tan, np.log(given))(reach)))
    return Gate(kappa, crossing, sum(masses), float(np.arctan(np.exp(reach))), spread)


def _pushed(setting: Setting, side: float) -> float:
    """D per density at the gate ±e₂: the score at ω, carried back along θ' = f(θ), integrated over time."""
    B, V, kappa = np.array(setting.B), setting.head().V, setting.leaving
    gap, until = setting.values[0] - setting.values[1], 40.0 / setting.leaving

    def point(a: float) -> np.ndarray:
        return np.array([np.cos(a), np.sin(a)])

    def flow(a: float) -> tuple[float, float]:
        w, dw = B.T @ point(a), B.T @ point(a + 0.5 * np.pi)
        r = float(np.linalg.norm(w))
        f = -0.5 * gap * np.sin(2.0 * a) / r
        return f, (-gap * np.cos(2.0 * a) - f * float(w @ dw) / r) / r

    def score(a: float) -> float:
        return float(np.array(setting.linear) @ point(a + 0.5 * np.pi))

    w = side * B[1]
    seen = float(np.arctan2(w[1], w[0]))
    speed, slope = flow(seen)
    if abs(speed) < 1e-12:
        moved = 0.5 * score(seen) / kappa
    else:
        path = solve_ivp(
            lambda s, a: [-flow(a[0])[0]], (0.0, until), [seen], rtol=1e-10, atol=1e-12, dense_output=True
        ).sol

        def weighted(s: float) -> float:
            a = float(path(s)[0])
            f, df = flow(a)
            return float(np.exp(-kappa * s)) * (score(a) * f + df - slope) / speed

        moved = quad(weighted, 0.0, until, limit=200)[0]
    return moved * float(V[0] @ point(seen + 0.5 * np.pi)) / float(np.linalg.norm(w))


def broadening(name: str) -> float:
    """K of W₂(ρ^β_t, ρ^∞_t) ≈ K e^{(λ₁−λ₂)t}/β on S¹ with B = I: finite β widens clusters by the score in them.

    With z = e^{Δt} tan θ and p(z) = ρ₀(arctan z)/(1 + z²), Δ = λ₁ − λ₂, tokens are v₂ (log p)'(z) e^{Δt}/(2Δβ) away
    from where β = ∞ has them.
    """
    setting = SETTINGS[name]

    def information(a: float) -> float:
        c, s = np.cos(a), np.sin(a)
        slope = c * c * float(np.array(setting.linear) @ np.array([-s, c])) - 2.0 * s * c
        return float(setting.density(np.array([[c, s]]))[0]) * slope**2

    fisher = quad(information, 0.0, 2.0 * np.pi, epsabs=1e-12)[0]
    return 0.5 * setting.values[1] / setting.leaving * float(np.sqrt(fisher))


def gate_of_sphere(name: str) -> Gate:
    """The gate of a setting on S² with B = I: the great circle across e₁, left slowest at ±e₂."""
    setting = SETTINGS[name]
    top, *rest = setting.values
    a = np.linspace(0.0, 2.0 * np.pi, 512, endpoint=False)
    c, s = np.cos(a), np.sin(a)
    rho = setting.density(np.column_stack([np.zeros_like(a), c, s]))
    stay = 0.5 * c**2 / (top - rest[0]) + 0.5 * s**2 / (top - rest[1])
    crossing = float(top * setting.linear[0] * np.mean(rho * stay) * 2.0 * np.pi)
    mass = float(np.mean(rho * np.abs(c)) * 2.0 * np.pi)
    return Gate(setting.leaving, crossing, mass, np.pi / 3.0, np.sqrt(3.0) * mass)


def plane_theory(name: str, times: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    r"""First-order theory for dim E = 2 on S² with B = I: distance to E at β = ∞, and β times the distance along E.

    Latitudes: tan = e^{-Δt} tan; longitudes move by the score, :math:`\varphi'=\partial_\varphi\log\rho/\cos^2`.
    The flux through φ is :math:`\int\partial_\varphi\rho_0\,[t+\tan^2(1-e^{-2\Delta t})/2\Delta]`, the distance along E
    the L² norm of flux/√f, f the density of Π♯ρ₀. For large t it grows like √I t, I the Fisher information of f.
    """
    setting, times = SETTINGS[name], np.atleast_1d(times)
    gap = setting.values[0] - setting.values[2]
    nodes, weights = np.polynomial.legendre.leggauss(400)
    latitude, longitude = 0.5 * np.pi * nodes, np.linspace(0.0, 2.0 * np.pi, 32, endpoint=False)
    c, s = np.cos(latitude)[:, None], np.sin(latitude)[:, None]
    x = np.stack(np.broadcast_arrays(c * np.cos(longitude), c * np.sin(longitude), s), axis=-1)
    mass = setting.density(x.reshape(-1, 3)).reshape(x.shape[:2]) * (0.5 * np.pi * weights)[:, None] * c
    f, rise = mass.sum(axis=0), mass * (np.cross([0.0, 0.0, 1.0], x) @ np.array(setting.linear))
    steady, bent = rise.sum(axis=0), (rise * (s / c) ** 2).sum(axis=0)
    flux = times[:, None] * steady - np.expm1(-2.0 * gap * times)[:, None] / (2.0 * gap) * bent
    flux -= np.sum(flux / f, axis=1, keepdims=True) / np.sum(1.0 / f)
    angle = np.arctan(np.exp(-gap * times) * s / c)
    to_circle = np.sqrt(mass.sum(axis=1) @ angle**2 * longitude[1])
    return to_circle, np.sqrt(np.sum(flux**2 / f, axis=1) * longitude[1])


# ---- the bound


@dataclass(frozen=True)
class Envelope:
    """``first`` √(log(β+1)/β) e^{Ct} + ``second`` e^{−ct}."""

    first: float
    second: float
    C: float
    c: float

    def __call__(self, beta: ArrayLike, t: ArrayLike) -> np.ndarray:
        """The bound."""
        beta, t = np.asarray(beta, float), np.asarray(t, float)
        return self.first * np.sqrt(np.log1p(beta) / beta) * np.exp(self.C * t) + self.second * np.exp(-self.c * t)

    def worst(self, course: Course) -> float:
        """The largest W₂ over its bound, up to the minimum."""
        t = _times(course)
        return float(np.max(course.at(t) / self(course.beta, t)))

    def __str__(self) -> str:
        return f"{self.first:.3g} √(log(β+1)/β) e^({self.C:.3g} t) + {self.second:.3g} e^(−{self.c:.3g} t)"


def _times(course: Course) -> np.ndarray:
    return np.linspace(0.0, course.least[0], POINTS)


def _excess_over(courses: Sequence[Course]) -> Callable[[np.ndarray], np.ndarray]:
    """log(envelope / W₂) at all times of all runs, as a function of (log first, log second, C, c)."""
    t = np.concatenate([_times(c) for c in courses])
    beta = np.repeat([c.beta for c in courses], POINTS)
    data = np.log(np.concatenate([c.at(_times(c)) for c in courses]))
    root = 0.5 * np.log(np.log1p(beta) / beta)
    return lambda q: np.logaddexp(q[0] + root + q[2] * t, q[1] - q[3] * t) - data


def _least(courses: Sequence[Course], bounds: Sequence[tuple[float, float]]) -> tuple[float, np.ndarray]:
    """The least mean excess of an envelope within bounds that no run exceeds, and its parameters."""
    excess = _excess_over(courses)
    found = [
        minimize(
            lambda q: float(np.mean(excess(q))),
            np.clip([0.0, 1.0, *start], *np.transpose(bounds)),
            method="SLSQP",
            bounds=bounds,
            constraints={"type": "ineq", "fun": excess},
            options={"maxiter": 500, "ftol": 1e-10},
        )
        for start in STARTS
    ]
    feasible = [one for one in found if excess(one.x).min() > -FEASIBLE]
    best = min(feasible, key=lambda one: one.fun, default=None)
    return (np.inf, np.full(4, np.nan)) if best is None else (float(best.fun), best.x)


def fitted(courses: Sequence[Course]) -> Envelope:
    """The envelope of least mean excess, in logarithms, that no run exceeds before its minimum; C, c ≥ 0."""
    _, q = _least(courses, BOUNDS)
    return Envelope(float(np.exp(q[0])), float(np.exp(q[1])), float(q[2]), float(q[3]))


def profile(courses: Sequence[Course], rate: str) -> tuple[float, float]:
    """The C (or c) for which some envelope, the rest fitted anew, has a mean excess within MARGIN of the least."""
    k = {"C": 2, "c": 3}[rate]
    least, best = _least(courses, BOUNDS)

    def beyond(value: float) -> float:
        fixed = [*BOUNDS]
        fixed[k] = (value, value)
        return min(_least(courses, fixed)[0], least + 1.0) - least - MARGIN

    def edge(end: float) -> float:
        return end if beyond(end) <= 0.0 else float(brentq(beyond, best[k], end, xtol=1e-3))

    low, high = BOUNDS[k]
    return edge(low), edge(high)
