"""Runs through the turn of C7: displacement and width of the cluster at e₁, and the numbers they give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from late_phase import Number, followed
from scipy.interpolate import CubicSpline

from spherepde import Head, fisher_bingham
from spherepde.adaptive import CellMeasure

ALLOWED = 0.02
ASYMMETRY = 1e-3
NARROW = (1e-3, 1e-7)
"""βs² between which the rates of the terminal phase are measured."""
QUARTILES = 1.3489795
"""Distance of the quartiles of a Gaussian, in standard deviations."""
LONG = 60.0


@dataclass(frozen=True)
class Setting:
    """Diagonals of V and B, the concentration of ρ₀ ∝ exp(k x₁² + small x₂), and the β it is run at."""

    values: tuple[float, ...]
    keys: tuple[float, ...]
    concentration: float
    betas: tuple[float, ...]

    @property
    def contraction(self) -> float:
        """c, at which width and displacement fall before the turn."""
        (v1, v2, *_), (b1, b2, *_) = self.values, self.keys
        return (v1 * b1 - v2 * b2) / b1

    def head(self, beta: float) -> Head:
        """The head at one β."""
        return Head(np.diag(self.values), B=np.diag(self.keys), beta=beta)

    def density(self, asymmetry: float = ASYMMETRY):
        """Symmetric in x₁, nearly so in x₂."""
        dim = len(self.values)
        return fisher_bingham(asymmetry * np.eye(dim)[1], np.diag([self.concentration] + [0.0] * (dim - 1)))

    def __str__(self) -> str:
        values, keys = (", ".join(f"{x:g}" for x in numbers) for numbers in (self.values, self.keys))
        return f"V = diag({values}), B = diag({keys}), k = {self.concentration:g}"


@dataclass(frozen=True)
class Crossover:
    """One run through the turn: displacement of the cluster at e₁ over time, when it is least, and the late rates."""

    beta: float
    t: np.ndarray
    displacement: np.ndarray
    turn: float
    least: float
    escape: float
    narrowing: float


def cluster(measure: CellMeasure, beta: float) -> tuple[float, float]:
    """Displacement of the half at +e₁ towards e₂, and βs², s the width of the Gaussian with the same quartiles.

    The displacement is the tangent of the mean's angle: a Dirac's grows as e^{(v₂−v₁)t}. A variance would tell of the
    stragglers from the depleted zone: of little mass, but further out than a narrow cluster is wide.
    """
    half = measure.points[:, 0] > 0.0
    x, w = measure.points[half], measure.weights[half]
    mean = w @ x
    order = np.argsort(x[:, 1])
    below = np.cumsum(w[order]) - 0.5 * w[order]
    low, high = np.interp(np.array([0.25, 0.75]) * w.sum(), below, x[order, 1])
    return float(mean[1] / mean[0]), float(beta * ((high - low) / QUARTILES) ** 2)


def crossover(setting: Setting, beta: float, tolerance: float) -> Crossover:
    """Follow the density until the cluster is far narrower than β^{-1/2}."""
    axis = None if len(setting.values) == 2 else (1.0, 0.0, 0.0)
    t, values = followed(
        setting.head(beta),
        setting.density(),
        LONG,
        tolerance,
        partial(cluster, beta=beta),
        enough=lambda last: bool(last[1] < NARROW[1]),
        axis=axis,
    )
    moved, width = np.abs(values[:, 0]), values[:, 1]
    log_moved = CubicSpline(t, np.log(moved))
    lows = log_moved.derivative().roots(extrapolate=False)
    turn = float(lows[np.argmin(log_moved(lows))])
    late = width < NARROW[0]
    escape, narrowing = (float(np.polyfit(t[late], y[late], 1)[0]) for y in (np.log(moved), -0.5 * np.log(width)))
    return Crossover(beta, t, moved, turn, float(np.exp(log_moved(turn))), escape, narrowing)


def crossover_numbers(setting: Setting, runs: list[Crossover]) -> Iterator[Number]:
    """The slope over all β, over neighbours, and the worst rates of all runs."""
    log_beta, turns = np.log([run.beta for run in runs]), np.array([run.turn for run in runs])
    slope = 0.5 / setting.contraction
    sphere = f"S^{len(setting.values) - 1}"
    for low, high in pairwise(runs):
        local = (high.turn - low.turn) / np.log(high.beta / low.beta)
        yield Number(f"  slope of t_turn, β = {low.beta:g} → {high.beta:g}", slope, local, None)
    used = slice(None) if len(setting.values) == 2 else slice(-3, None)
    fitted = float(np.polyfit(log_beta[used], turns[used], 1)[0])
    span = f"β = {runs[used][0].beta:g} … {runs[-1].beta:g}"
    yield Number(f"{sphere}: slope of t_turn in log β, {span}", slope, fitted, ALLOWED)
    least = (np.log(runs[-1].least) - np.log(runs[-2].least)) / (log_beta[-1] - log_beta[-2])
    yield Number("  slope of the least log displacement in log β, last two β", -0.5, least, None)
    for what, name, predicted in (
        ("escape rate v₂ − v₁", "escape", setting.values[1] - setting.values[0]),
        ("late width rate v₁", "narrowing", setting.values[0]),
    ):
        found = np.array([getattr(run, name) for run in runs])
        worst = float(found[np.argmax(np.abs(found - predicted))])
        yield Number(f"{sphere}: {what}, the worst of {len(runs)} runs", predicted, worst, ALLOWED)
