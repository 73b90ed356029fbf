r"""Settings and runs of ``concentration.py``, and first-order theory: how mass crosses between clusters at finite β.

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

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import quad, solve_ivp
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

from spherepde import Circle, ContinuityEquation, Head, RunFile, Simulation, Softmax, Sphere, fisher_bingham
from spherepde.densities import Density
from spherepde.transport import CircleMeasure, Cost, wasserstein_circle

ROTATION = ((np.cos(0.5), -np.sin(0.5)), (np.sin(0.5), np.cos(0.5)))
COARSER = 0.75
"""Degree of the companion run, whose difference is the error bar of every series."""


@dataclass(frozen=True)
class Setting:
    """A = diag(values) and B, so that V = A B^{-T} makes V Bᵀ symmetric; ρ₀ ∝ exp(linear·x)."""

    values: tuple[float, ...]
    B: tuple[tuple[float, ...], ...]
    linear: tuple[float, ...]
    words: str

    @property
    def dim(self) -> int:
        """Of the space around the sphere."""
        return len(self.values)

    @property
    def density(self) -> Density:
        """ρ₀, smooth and positive."""
        return fisher_bingham(self.linear, np.zeros((self.dim, self.dim)))

    @property
    def leaving(self) -> float:
        """κ, the rate at which the gate empties in its slowest direction."""
        return (self.values[0] - self.values[1]) / float(np.linalg.norm(np.array(self.B)[1]))

    def head(self, beta: float = 1.0) -> Head:
        """The head at one β."""
        B = np.array(self.B)
        return Head(V=np.diag(self.values) @ np.linalg.inv(B).T, B=B, beta=beta)


def _identity(dim: int) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, np.eye(dim).tolist()))


SETTINGS = {
    "circle": Setting((1.0, 0.5), _identity(2), (0.8, 0.3), "S¹, V = diag(1, 0.5), B = I"),
    "orthogonal": Setting((1.0, 0.5), ROTATION, (0.8, 0.3), "S¹, A = diag(1, 0.5), B a rotation by 0.5"),
    "general": Setting((1.0, 0.5), ((1.0, 0.7), (-0.5, 0.8)), (0.8, 0.3), "S¹, A = diag(1, 0.5), B general"),
    "turning": Setting((2.0, 0.7), ((2.0, 0.0), (0.0, 0.5)), (0.3, 0.8), "S¹, V = diag(1, 1.4), B = diag(2, 0.5)"),
    "even": Setting((1.0, 0.5), _identity(2), (0.0, 0.8), "S¹, V = diag(1, 0.5), B = I, no preference for a cluster"),
    "sphere": Setting((1.0, 0.4, -0.3), _identity(3), (0.8, 0.3, 0.2), "S², V = diag(1, 0.4, −0.3), B = I"),
    "plane": Setting((1.0, 1.0, 0.3), _identity(3), (0.5, 0.0, 0.3), "S², V = diag(1, 1, 0.3), B = I"),
    "sphere general": Setting(
        (1.0, 0.4, -0.3), ((1.0, 0.4, 0.0), (-0.3, 0.9, 0.2), (0.0, 0.1, 0.8)), (0.8, 0.3, 0.2), "S², B general"
    ),
}


# ---- runs


@dataclass(frozen=True)
class Course:
    """Series of one run: W₂ to the limit with its error bar, the mass that crossed to +e, and bounds of W₂."""

    beta: float
    t: np.ndarray
    w2: np.ndarray
    bar: np.ndarray
    crossed: np.ndarray
    crossed_bar: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @property
    def least(self) -> tuple[float, float]:
        """Time of the smallest W₂, and its value, between the steps by a spline."""
        spline = CubicSpline(self.t, np.log(self.w2))
        lows = spline.derivative().roots(extrapolate=False)
        if not lows.size:
            return np.nan, np.nan
        at = float(lows[np.argmin(spline(lows))])
        return at, float(np.exp(spline(at)))

    def at(self, t: np.ndarray | float) -> np.ndarray:
        """W₂ at times."""
        return np.exp(CubicSpline(self.t, np.log(self.w2))(t))


def course(name: str, beta: float, until: float, lmax: int, rtol: float, companion: bool = True) -> Course:
    """Run one setting at one β and keep the series."""
    setting = SETTINGS[name]
    space = Circle(lmax) if setting.dim == 2 else Sphere(lmax)
    model = ContinuityEquation(space, Softmax(setting.head(beta)))
    with TemporaryDirectory() as folder:
        out = Path(folder) / "run.h5"
        Simulation(
            model,
            setting.density,
            out,
            rtol=rtol,
            save_every=until,
            save_density=False,
            save_velocity=False,
            companion_lmax=int(COARSER * lmax) if companion else 0,
            continuation="none",
            progress=False,
        ).run(until)
        with RunFile(out) as run:
            s = run.series
            t, none = s["t"], np.zeros(len(s["t"]))
            lower, upper = (s[f"wasserstein_2_geodesic_{bound}"] for bound in ("lower", "upper"))
            mass = s.get("hemisphere_mass", none)
            bars = [s.get(f"{k}_error", none) for k in ("wasserstein_2_geodesic", "hemisphere_mass")]
            w2 = s["wasserstein_2_geodesic"]
            return Course(beta, t, w2, bars[0], mass - mass[0], bars[1], lower, upper)


def first_order(name: str, beta: float, times: tuple[float, ...], lmax: int, rtol: float) -> list[float]:
    """β W₂(ρ^β_t, ρ^∞_t) on S¹ with B = I at increasing times, the second density by its exact flow (C1)."""
    setting = SETTINGS[name]
    space = Circle(lmax)
    run = Simulation(
        ContinuityEquation(space, Softmax(setting.head(beta))),
        setting.density,
        rtol=rtol,
        save_every=times[-1],
        wasserstein=False,
        continuation="none",
        progress=False,
    )
    start, found = CircleMeasure.from_fourier(run.state), []
    for t in times:
        run.run(t)
        cold, warm = _cold(start, np.exp(setting.leaving * t)), CircleMeasure.from_fourier(run.state)
        found.append(beta * wasserstein_circle(warm, cold, Cost(2)).value)
    return found


def _cold(start: CircleMeasure, factor: float) -> CircleMeasure:
    """The measure after the tangents of all angles were divided by a factor."""
    return CircleMeasure.from_cdf(
        lambda angle: start.cdf(_stretched(angle, factor)),
        lambda level: _stretched(start.quantile(level), 1.0 / factor),
        breaks=(0.0, np.pi, 2.0 * np.pi),
    )


def _stretched(angle: ArrayLike, factor: float) -> np.ndarray:
    """The angle whose tangent is ``factor`` times as large, on the same lift."""
    s, c = np.sin(angle), np.cos(angle)
    return np.asarray(angle) + np.arctan2((factor - 1.0) * s * c, c * c + factor * s * s)


# ---- theory of the gate


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


class Plane(NamedTuple):
    """First-order theory for dim E = 2 on S² with B = I: distance to E at β = ∞, and β times the motion along E."""

    to_circle: float
    along: float


def plane_theory(name: str, t: float) -> Plane:
    r"""Latitudes obey tan = e^{-Δt} tan; longitudes move by the score, :math:`\varphi'=\partial_\varphi\log\rho/\cos^2`.

    The flux through φ is :math:`\int\partial_\varphi\rho_0\,[t+\tan^2(1-e^{-2\Delta t})/2\Delta]`, the distance along E
    the L² norm of flux/√f, f the density of Π♯ρ₀. For large t it grows like √I t, I the Fisher information of f.
    """
    setting = SETTINGS[name]
    gap = setting.values[0] - setting.values[2]
    nodes, weights = np.polynomial.legendre.leggauss(400)
    latitude, longitude = 0.5 * np.pi * nodes, np.linspace(0.0, 2.0 * np.pi, 128, endpoint=False)
    c, s = np.cos(latitude)[:, None], np.sin(latitude)[:, None]
    x = np.stack(np.broadcast_arrays(c * np.cos(longitude), c * np.sin(longitude), s), axis=-1)
    mass = setting.density(x.reshape(-1, 3)).reshape(x.shape[:2]) * (0.5 * np.pi * weights)[:, None] * c
    f = mass.sum(axis=0)
    score = np.cross([0.0, 0.0, 1.0], x) @ np.array(setting.linear)
    stay = t - (s / c) ** 2 * np.expm1(-2.0 * gap * t) / (2.0 * gap)
    flux = (mass * score * stay).sum(axis=0)
    flux -= np.sum(flux / f) / np.sum(1.0 / f)
    step = longitude[1]
    squared = np.sum(mass * np.arctan(np.exp(-gap * t) * s / c) ** 2) * step
    return Plane(float(np.sqrt(squared)), float(np.sqrt(np.sum(flux**2 / f) * step)))
