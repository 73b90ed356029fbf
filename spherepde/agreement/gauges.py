"""What is measured of tokens, and in the same way of exact samples, at one time."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from ..adaptive import CellMeasure
from .cells import EqualCells
from .circle_distances import circle_distances
from .draws import CellDraws
from .moments import MomentScore

Array = NDArray[np.float64]

NAMES = ("wasserstein_1", "wasserstein_2", "moment_score", "mean", "second_moment")
"""The statistics in their order; the last two are in the third, in absolute terms."""
JUDGED = 3
"""So many of them make the verdict."""
RESOLUTION = np.array([1e-6, 1e-6, 1e-2])
"""Spreads of the judged ones below which rounding and the run's own error would be judged."""
ATOMS_PER_TOKEN = 4
FEWEST_ATOMS = 4096
TOKENS_PER_CELL = 16
FEWEST_LEVELS, MOST_LEVELS = 3, 8
TURN = 2.0 * np.pi


class Gauge(ABC):
    """Distances and moment differences between tokens and a reference measure, the latter prepared once."""

    def __init__(self, measure: CellMeasure) -> None:
        self.score = MomentScore(measure.points, measure.weights)

    def statistics(self, points: Array, weights: Array | None, count: float) -> Array:
        """All of ``NAMES`` for tokens (n, d); ``count`` their effective number."""
        mean, second, score = self.score.measure(points, weights, count)
        return np.array([*self.distances(points, weights), score, mean, second])

    @abstractmethod
    def distances(self, points: Array, weights: Array | None) -> tuple[float, float]:
        """Geodesic W₁ and W₂ to the reference, W₂ in radians, too."""

    @abstractmethod
    def rounding(self, points: Array, weights: Array | None) -> tuple[float, float]:
        """By how much the true W₁ and W₂ may differ from :meth:`distances`, at most."""


class CircleGauge(Gauge):
    """Exact transport on the circle to atoms of equal mass at the quantiles of the reference."""

    def __init__(self, measure: CellMeasure, draws: CellDraws, count: int) -> None:
        super().__init__(measure)
        number = max(FEWEST_ATOMS, ATOMS_PER_TOKEN * count)
        self.atoms = np.sort(draws.circle_quantiles((np.arange(number) + 0.5) / number) % TURN)
        self.masses = np.full(number, 1.0 / number)

    def distances(self, points: Array, weights: Array | None) -> tuple[float, float]:
        """W₁ and W₂ between the tokens and the atoms."""
        angle = np.arctan2(points[:, 1], points[:, 0]) % TURN
        order = np.argsort(angle)
        w = np.full(len(angle), 1.0 / len(angle)) if weights is None else weights[order]
        return circle_distances(angle[order], w, self.atoms, self.masses)

    def rounding(self, points: Array, weights: Array | None) -> tuple[float, float]:
        """Nothing is rounded to cells here."""
        return 0.0, 0.0


class SphereGauge(Gauge):
    """Transport on the 2-sphere between the masses in cells that hold equal parts of the reference.

    ``pilot`` (n, 3): an exact sample of the reference, much larger than the tokens', which fixes the cells and what
    they hold. What tokens do within a cell is seen by the moments only.
    """

    def __init__(self, measure: CellMeasure, pilot: Array, count: int) -> None:
        super().__init__(measure)
        levels = int(np.clip(np.rint(np.log2(max(count, 1) / TOKENS_PER_CELL)), FEWEST_LEVELS, MOST_LEVELS))
        self.cells = EqualCells(pilot, levels)
        self.spread = self.cells.radii(pilot, self.cells.histogram(pilot)[0])

    def distances(self, points: Array, weights: Array | None) -> tuple[float, float]:
        """W₁ and W₂ between the masses in the cells."""
        return self.cells.distances(self.cells.histogram(points, weights)[1])

    def rounding(self, points: Array, weights: Array | None) -> tuple[float, float]:
        """What moving tokens and reference to the centres of their cells may change, by the triangle inequality."""
        first, second = self.cells.radii(points, self.cells.histogram(points, weights)[0], weights)
        return first + self.spread[0], second + self.spread[1]
