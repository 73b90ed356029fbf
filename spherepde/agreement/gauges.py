"""What is measured of tokens, and in the same way of exact samples, at one time."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from ..adaptive import CellMeasure
from .cells import EqualCells
from .circle_distances import circle_distances, on_circle
from .draws import CellDraws
from .moments import MomentScore

Array = NDArray[np.float64]

DISTANCES = ("wasserstein_1", "wasserstein_2")
MOMENTS = ("moment_score", "mean", "second_moment")
NAMES = {2: DISTANCES + MOMENTS, 3: tuple(f"{name}_in_cells" for name in DISTANCES) + MOMENTS}
"""The statistics in their order, by dimension; all of them make the verdict."""
RESOLUTION = np.array([1e-6, 1e-6, 1e-2, 1e-6, 1e-6])
"""Their spreads below which rounding and the run's own error would be judged."""
ATOMS_PER_TOKEN = 4
FEWEST_ATOMS = 4096
TOKENS_PER_CELL = 16
FEWEST_LEVELS, MOST_LEVELS = 3, 8
FINEST_LEVELS = 11
FINE_PAIRS = 4_200_000
"""Tokens times fine cells: transport between them takes one or two seconds."""


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
        """The first two of ``NAMES``, in radians."""

    @abstractmethod
    def true_distances(self, points: Array, weights: Array | None) -> tuple[Array, Array]:
        """Geodesic W₁ and W₂ (2,) of the tokens themselves to the reference, and by how much each may be off (2,)."""


class CircleGauge(Gauge):
    """Exact transport on the circle to atoms of equal mass at the quantiles of the reference."""

    def __init__(self, measure: CellMeasure, draws: CellDraws, count: int) -> None:
        super().__init__(measure)
        number = max(FEWEST_ATOMS, ATOMS_PER_TOKEN * count)
        quarters = draws.circle_quantiles((np.arange(4 * number) + 0.5) / (4 * number))
        self.atoms, self.masses = on_circle_angles(draws.circle_quantiles((np.arange(number) + 0.5) / number))
        self.off = np.array(circle_distances(self.atoms, self.masses, *on_circle_angles(quarters)))

    def distances(self, points: Array, weights: Array | None) -> tuple[float, float]:
        """W₁ and W₂ between the tokens and the atoms."""
        w = np.full(len(points), 1.0 / len(points)) if weights is None else weights
        return circle_distances(*on_circle(points, w), self.atoms, self.masses)

    def true_distances(self, points: Array, weights: Array | None) -> tuple[Array, Array]:
        """The same, off by no more than the atoms are from the reference: from four times as many, and a third more."""
        return np.array(self.distances(points, weights)), 4.0 / 3.0 * self.off


class SphereGauge(Gauge):
    """Transport on the 2-sphere between the masses in cells that hold equal parts of the reference.

    ``pilot`` (n, 3): an exact sample of the reference, much larger than the tokens', which fixes the cells and what
    they hold. What tokens do within a cell is seen by the moments only, and by :meth:`true_distances`.
    """

    def __init__(self, measure: CellMeasure, pilot: Array, count: int) -> None:
        super().__init__(measure)
        levels = int(np.clip(np.rint(np.log2(max(count, 1) / TOKENS_PER_CELL)), FEWEST_LEVELS, MOST_LEVELS))
        self.cells = EqualCells(pilot, levels)
        self.pilot = pilot

    def distances(self, points: Array, weights: Array | None) -> tuple[float, float]:
        """W₁ and W₂ between the masses in the cells."""
        return self.cells.distances(self.cells.histogram(points, weights)[1])

    def true_distances(self, points: Array, weights: Array | None) -> tuple[Array, Array]:
        """Tokens against the centres of fine cells, 2048 for 2000 tokens; NaN beyond 32768 tokens.

        Off by the mean angle, or its root mean square, from the pilot's points to their centres, and by the pilot's own
        sampling error, which is to that of the tokens as the roots of their numbers.
        """
        levels = int(np.log2(FINE_PAIRS / len(points))) if len(points) < FINE_PAIRS else 0
        if levels < MOST_LEVELS - 1:
            return np.full(2, np.nan), np.full(2, np.nan)
        fine = EqualCells(self.pilot, min(levels, FINEST_LEVELS))
        spread = np.array(fine.radii(self.pilot))
        found = np.array(fine.distances_of_points(points, weights))
        return found, spread + found * np.sqrt(len(points) / len(self.pilot))


def on_circle_angles(angles: Array) -> tuple[Array, Array]:
    """Atoms of equal mass at angles (n,): angles ascending in [0, 2π), masses."""
    return on_circle(np.stack([np.cos(angles), np.sin(angles)], axis=1), np.full(len(angles), 1.0 / len(angles)))
