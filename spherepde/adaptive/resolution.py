"""When a cell is too coarse: rules of Gauss–Legendre nodes, and what they resolve."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

Array = NDArray[np.float64]

ORDERS = {2: 16, 3: 12}
"""Nodes of a cell in each direction, by dimension d."""
LONGEST = 1.6
"""Arc length beyond which no cell is left, however smooth the flow map."""


@dataclass(frozen=True)
class Resolution:
    """What the nodes of a measure must resolve.

    ``tolerance``: error of integrals of functions that vary over unit length. ``kernel_width``: standard deviation of
    the narrowest Gaussian that is summed over the nodes, (β‖B‖)^{-1/2} of attention; None if nothing is summed.
    ``most_nodes``: beyond so many no cell divides any more, and what is asked for is no longer kept; None if that is
    to be an error, at 600 000.
    """

    tolerance: float = 1e-9
    kernel_width: float | None = None
    most_nodes: int | None = None

    @property
    def negligible_mass(self) -> float:
        """Mass of a cell that no integral notices: among hundreds of cells, a thousandth of the tolerance."""
        return 1e-3 * self.tolerance

    def cell_length(self, order: int) -> float:
        """The longest image of a cell, along either axis."""
        if self.kernel_width is None:
            return LONGEST
        return min(LONGEST, self.kernel_width * gaussian_length(order, self.tolerance))


@cache
def gaussian_length(order: int, tolerance: float) -> float:
    """Length, in standard deviations, of cells whose rules integrate a Gaussian to a relative tolerance.

    The worst over the position of the Gaussian among the cells.
    """
    nodes, weights = np.polynomial.legendre.leggauss(order)

    def excess(length: float) -> float:
        reach = int(12.0 / length) + 2
        cells = length * np.arange(-reach, reach + 1)
        offsets = np.linspace(0.0, length, 9)
        points = offsets[:, None, None] + cells[:, None] + 0.5 * length * (1.0 + nodes)
        sums = np.exp(-0.5 * points**2) @ (0.5 * length * weights)
        error = np.abs(sums.sum(axis=1) / np.sqrt(2.0 * np.pi) - 1.0).max()
        return float(np.log(max(error, 1e-17) / tolerance))

    longest = 20.0
    while excess(longest) < 0.0:
        longest *= 2.0
    return float(brentq(excess, 0.5, longest, xtol=1e-3))


class Rule:
    """Gauss–Legendre nodes of a cell in one direction with what is done to values (p,) at them.

    ``analysis`` (p, p) gives Legendre coefficients, ``tails`` (2, p) the last two of them, ``halves`` (2, p, p) values
    at the nodes of both halves; ``covered`` is the part of the cell that lies between its first node and its last.
    """

    def __init__(self, order: int) -> None:
        self.order = order
        self.nodes, self.weights = np.polynomial.legendre.leggauss(order)
        values = np.polynomial.legendre.legvander(self.nodes, order - 1)
        self.analysis: Array = (np.arange(order)[:, None] + 0.5) * values.T * self.weights
        self.tails: Array = self.analysis[-2:]
        self.halves: Array = np.stack(
            [np.polynomial.legendre.legvander(0.5 * (self.nodes + side), order - 1) @ self.analysis for side in (-1, 1)]
        )
        self.covered = float(self.nodes[-1] - self.nodes[0]) / 2.0


@cache
def rule_of(order: int) -> Rule:
    """The rule of an order, made once."""
    return Rule(order)
