"""Two clusters at ±e₁ in the mean field: how their displacements and widths grow, as theory has it and as measured.

Masses p and 1 − p, V and B diagonal, V e₁ = λe₁, b = ⟨e₁,Be₁⟩ (C6): with the shares of attention
a = p e^{βb}/(p e^{βb} + (1 − p)e^{−βb}) and a' the same of 1 − p, displacements along e_u obey

    η' = (λ_u [[a, 1 − a], [1 − a', a']] − λ diag(2a − 1, 2a' − 1)) η

and the widths grow at −λ(2a − 1) and −λ(2a' − 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from claims import Measured, followed
from scipy.interpolate import CubicSpline
from scipy.linalg import logm

from spherepde import Head, mixture, von_mises_fisher
from spherepde.adaptive import CellMeasure

AXIS = (1.0, 0.0, 0.0)
ORIGIN = "halves of the window; tolerance times 10; what the linearisation leaves out"


@dataclass(frozen=True)
class Pair:
    """Diagonals of V and B, β, and the mass of the cluster at +e₁."""

    values: tuple[float, ...]
    keys: tuple[float, ...]
    beta: float
    mass: float = 0.5

    @property
    def head(self) -> Head:
        """The head."""
        return Head(np.diag(self.values), B=np.diag(self.keys), beta=self.beta)

    @property
    def shares(self) -> np.ndarray:
        """(a, a')."""
        p = np.array([self.mass, 1.0 - self.mass])
        own, other = p * np.exp(self.beta * self.keys[0]), p[::-1] * np.exp(-self.beta * self.keys[0])
        return own / (own + other)

    def rates(self, direction: int = 1) -> np.ndarray:
        """Growth rates of displacements along e_u, u = ``direction`` from 0, the faster first."""
        a, other = self.shares
        coupling = self.values[direction] * np.array([[a, 1.0 - a], [1.0 - other, other]])
        return np.sort(np.linalg.eigvals(coupling - np.diag(self.values[0] * (2.0 * self.shares - 1.0))).real)[::-1]

    @property
    def widening(self) -> np.ndarray:
        """Growth rates of both widths."""
        return -self.values[0] * (2.0 * self.shares - 1.0)

    def __str__(self) -> str:
        values, keys = (", ".join(f"{x:g}" for x in numbers) for numbers in (self.values, self.keys))
        sphere = f"S{'¹²'[len(self.values) - 2]}"
        return f"{sphere}, V = diag({values}), B = diag({keys}), β = {self.beta:g}, p = {self.mass:g}"


def halves(measure: CellMeasure) -> list[float]:
    """Displacements (d − 1) and widths (d − 1) across e₁, of the cluster at +e₁ and then of that at −e₁."""
    row: list[float] = []
    for half in (measure.points[:, 0] > 0.0, measure.points[:, 0] <= 0.0):
        x, w = measure.points[half], measure.weights[half]
        mean = w @ x / w.sum()
        width = np.sqrt(w @ (x - mean) ** 2 / w.sum())
        row += [*(mean[1:] / abs(mean[0])), *width[1:]]
    return row


@dataclass(frozen=True)
class Growth:
    """Measured rates with bars: ``rates`` (d − 1, 2) as :meth:`Pair.rates` has them, ``widening`` (2,) along e₂."""

    rates: np.ndarray
    widening: np.ndarray
    rate_bars: np.ndarray
    widening_bars: np.ndarray

    def rate(self, direction: int, which: int) -> Measured:
        """One growth rate of displacements."""
        at = direction - 1, which
        return Measured(float(self.rates[at]), float(self.rate_bars[at]), ORIGIN)

    def width(self, which: int) -> Measured:
        """Growth rate of one width."""
        return Measured(float(self.widening[which]), float(self.widening_bars[which]), ORIGIN)


def growth(pair: Pair, concentration: float, tilt: float, window: tuple[float, float], tolerance: float) -> Growth:
    """Rates from the propagator of displacements, which two runs give: tilted the same way, and opposite ways.

    Between times s and t, η(t) = Pη(s), and the rates are the eigenvalues of (log P)/(t − s). Those of the second half
    of the window are given. Their bars: the change from the first half, the change from ten times the tolerance, and
    the sizes η² and (1 + β‖B‖)s² of what the linearisation leaves out.
    """
    rates, widening, left_out = _growth(pair, concentration, tilt, window, tolerance)
    coarse = _growth(pair, concentration, tilt, window, 10.0 * tolerance)
    both = zip((rates, widening), coarse[:2], strict=True)
    bars = [np.abs(fine[1] - fine[0]) + np.abs(fine[1] - rough[1]) + left_out for fine, rough in both]
    return Growth(rates[1], widening[1], *bars)


def _growth(
    pair: Pair, concentration: float, tilt: float, window: tuple[float, float], tolerance: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Rates of displacements (2, d − 1, 2) and widths (2, 2) in both halves of the window, and the size left out."""
    dim = len(pair.values)
    times = np.linspace(*window, 3)
    runs = []
    for sign in (1.0, -1.0):
        small = [np.array([tilt, 2.0 * tilt][: dim - 1]) * side for side in (1.0, sign)]
        parts = [von_mises_fisher([e, *u], concentration) for e, u in zip((1.0, -1.0), small, strict=True)]
        density = mixture(list(zip((pair.mass, 1.0 - pair.mass), parts, strict=True)))
        t, y = followed(pair.head, density, window[1], tolerance, halves, axis=None if dim == 2 else AXIS)
        runs.append(np.stack([_at(t, column, times) for column in y.T], axis=1).reshape(3, 2, -1))
    moved = np.stack([run[:, :, : dim - 1] for run in runs], axis=2)  # (times, cluster, run, direction)
    rates = np.empty((2, dim - 1, 2))
    for half in range(2):
        for u in range(dim - 1):
            step = moved[half + 1, :, :, u] @ np.linalg.inv(moved[half, :, :, u])
            found = np.linalg.eigvals(logm(step)) / (times[half + 1] - times[half])
            rates[half, u] = np.sort(found.real)[::-1]
    widths = runs[0][:, :, dim - 1 :]
    widening = np.diff(np.log(widths[:, :, 0]), axis=0) / np.diff(times)[:, None]
    left_out = np.max(moved[1:] ** 2) + (1.0 + pair.head.strength) * np.max(widths[1:] ** 2)
    return rates, widening, float(left_out)


def _at(t: np.ndarray, values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Values at some times: cubic splines, of the logarithm where there is one."""
    if np.all(values * values[-1] > 0.0):
        return np.asarray(np.sign(values[-1]) * np.exp(CubicSpline(t, np.log(np.abs(values)))(times)))
    return np.asarray(CubicSpline(t, values)(times))
