"""Settings of ``concentration.py``, its runs, and what is kept of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline

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
        result = Simulation(
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
        if result.status != "done":
            raise RuntimeError(f"{setting.words}, β = {beta:g}: {result.reason}")
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
