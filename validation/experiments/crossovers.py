"""Runs through the turn of C7: when the cluster at e₁ stops gathering, how fast it leaves, how fast it narrows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from claims import Measured, followed, limit_of, line_fit
from scipy.interpolate import CubicSpline

from spherepde import Head, fisher_bingham
from spherepde.adaptive import CellMeasure
from spherepde.densities import Density

ASYMMETRY = 1e-3
ESCAPED, NARROWED = (1e-5, 1e-9), {2: (1e-4, 1e-7), 3: (1e-2, 1e-5)}
"""βs² between which the late rates are measured, approached like βs²: escape; width, by d: as long as steps tell it."""
CORE = 0.3
"""Distance from e₁ at the start of those by whom the width is told."""
LONG = 60.0
HUMP = 2.0**0.5
"""By what the error of a local slope of t_turn falls as β doubles: parts of either sign, 1/β and slower."""


@dataclass(frozen=True)
class Setting:
    """Diagonals of V and B, and the concentration of ρ₀ ∝ exp(k x₁² + small x₂)."""

    values: tuple[float, ...]
    keys: tuple[float, ...]
    concentration: float

    @property
    def contraction(self) -> float:
        """c, at which width and displacement fall before the turn."""
        (v1, v2, *_), (b1, b2, *_) = self.values, self.keys
        return (v1 * b1 - v2 * b2) / b1

    @property
    def escape(self) -> float:
        """v₂ − v₁, at which a collapsed cluster leaves e₁."""
        return self.values[1] - self.values[0]

    @property
    def stragglers(self) -> float:
        """By what the error of a local slope of the least displacement falls as β doubles.

        Stragglers, whose mass falls at (v₁b₁ − v₂b₂)/b₂, displace the mean by (β^{-1/2})^{b₁/b₂ − 1} of what it is.
        """
        b1, b2, *_ = self.keys
        return float(2.0 ** min(1.0, 0.5 * (b1 / b2 - 1.0)))

    def head(self, beta: float) -> Head:
        """The head at one β."""
        return Head(np.diag(self.values), B=np.diag(self.keys), beta=beta)

    def density(self, asymmetry: float = ASYMMETRY) -> Density:
        """Symmetric in x₁, nearly so in x₂."""
        dim = len(self.values)
        return fisher_bingham(asymmetry * np.eye(dim)[1], np.diag([self.concentration] + [0.0] * (dim - 1)))

    def __str__(self) -> str:
        values, keys = (", ".join(f"{x:g}" for x in numbers) for numbers in (self.values, self.keys))
        return f"S{'¹²'[len(self.values) - 2]}, V = diag({values}), B = diag({keys}), k = {self.concentration:g}"


@dataclass(frozen=True)
class Crossover:
    """One run through the turn: displacement and βs² of the cluster at e₁ over time, the turn, and the late rates."""

    beta: float
    t: np.ndarray
    displacement: np.ndarray
    width: np.ndarray
    turn: float
    least: float
    escape: Measured
    narrowing: Measured


def cluster(measure: CellMeasure, beta: float) -> tuple[float, float]:
    """Displacement of the half at +e₁ towards e₂, and βs², s the width along e₂ of what began within 0.3 of e₁.

    The displacement is the tangent of the mean's angle: a Dirac's grows as e^{(v₂−v₁)t}. A width of the whole half
    would tell of the stragglers from the depleted zone: of little mass, but further out than a narrow cluster is wide.
    That of the core is an integral of smooth functions of the start, which nodes resolve however narrow it is now.
    """
    half = measure.points[:, 0] > 0.0
    x, w = measure.points[half], measure.weights[half]
    mean = w @ x
    began = measure.initial()[0].reshape(len(half), -1)[half]
    core = w * np.exp((began[:, 0] - 1.0) / CORE**2)
    core /= core.sum()
    spread = core @ (x[:, 1] - core @ x[:, 1]) ** 2
    return float(mean[1] / mean[0]), float(beta * spread)


def crossover(setting: Setting, beta: float, tolerance: float) -> Crossover:
    """Follow the density until the cluster is far narrower than β^{-1/2}."""
    t, values = followed(
        setting.head(beta),
        setting.density(),
        LONG,
        tolerance,
        partial(cluster, beta=beta),
        enough=lambda last: bool(last[1] < ESCAPED[1]),
        axis=None if len(setting.values) == 2 else (1.0, 0.0, 0.0),
    )
    moved, width = np.abs(values[:, 0]), values[:, 1]
    log_moved = CubicSpline(t, np.log(moved))
    lows = log_moved.derivative().roots(extrapolate=False)
    turn = float(lows[np.argmin(log_moved(lows))])
    late = width < ESCAPED[0]
    escape = line_fit(t[late], np.log(moved[late]))
    high, low = NARROWED[len(setting.values)]
    late = (width < high) & (width > low)
    narrowing = line_fit(t[late], 0.5 * np.log(width[late])).times(-1.0)
    return Crossover(beta, t, moved, width, turn, float(np.exp(log_moved(turn))), escape, narrowing)


def slope_limit(setting: Setting, runs: list[Crossover], coarser: list[Crossover], quantity: str) -> Measured:
    """Slope over log β, as β → ∞, of the ``turn`` or of the log of the ``least`` displacement (β doubling).

    Local slopes extrapolated; the change of the limit with the tolerance, and with a slower approach, is added.
    """

    def found(several: list[Crossover], ratio: float) -> Measured:
        values = np.array([getattr(run, quantity) for run in several])
        local = np.diff(values if quantity == "turn" else np.log(values)) / np.log(2.0)
        return limit_of(local.tolist(), ratio)

    ratio = HUMP if quantity == "turn" else setting.stragglers
    fine = found(runs, ratio)
    fine = fine.plus("its change with the tolerance", found(coarser, ratio).value - fine.value)
    if ratio > HUMP:
        fine = fine.plus(f"its change with ratio {HUMP:g}", found(runs, HUMP).value - fine.value)
    return fine


def rate(runs: list[Crossover], coarser: list[Crossover], quantity: str, predicted: float) -> Measured:
    """The ``escape`` or ``narrowing`` furthest from the prediction, with the largest change by the tolerance."""
    rates = [getattr(run, quantity) for run in runs]
    change = max(abs(one.value - getattr(other, quantity).value) for one, other in zip(rates, coarser, strict=True))
    worst = max(rates, key=lambda one: abs(one.value - predicted))
    return worst.plus("largest change with the tolerance", change)
