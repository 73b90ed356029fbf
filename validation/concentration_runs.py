"""Runs of `concentration.py`, and what theory says of them: how mass crosses between the clusters at finite β.

A token leaves the set E^⊥ between the clusters, the gate, along y' = κy + (1/β) h(t). Here h is the part towards E of the
first correction to the velocity (C4), P_xV∇log ρ(t, ω)/|Bᵀx| with ω = Bᵀx/|Bᵀx|. The gate therefore moves by
O(1/β), and the mass δ = D/β goes to the other cluster than Π sends it to, however long one waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from scipy.integrate import quad, solve_ivp
from scipy.interpolate import CubicSpline

from spherepde import Circle, ContinuityEquation, Head, RunFile, Simulation, Softmax, Sphere, fisher_bingham
from spherepde.densities import Density

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
            w2, mass = s["wasserstein_2_geodesic"], s["hemisphere_mass"]
            bars = [s.get(f"{k}_error", np.zeros_like(w2)) for k in ("wasserstein_2_geodesic", "hemisphere_mass")]
            return Course(beta, s["t"], w2, bars[0], mass - mass[0], bars[1])
