r"""The continuity equation followed by the measure itself: weighted nodes that move by the velocity they induce.

.. math:: \dot x_j=v\Bigl[\sum_iw_i\delta_{x_i}\Bigr](x_j)

with the nodes of :mod:`spherepde.adaptive`. No grid limits how far a density may concentrate, and depleted zones keep
their relative accuracy, which softmax needs: tokens there attend to each other until what is left of them is outweighed
by :math:`e^{-\beta\cdot\text{gap}}`. The cost is that of attention among a few thousand tokens.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .adaptive import CellMeasure, CellStep, Resolution, march_cells
from .attention import Attention
from .errors import InputError
from .heads import NUMBER, Head
from .token_sums import token_attention
from .tokens import token_velocity

Real = NDArray[np.float64]
Mask = NDArray[np.bool_]


class LagrangianFlow:
    """The motion of a cell measure under an attention model.

    ``tolerance`` is that of integrals of the measure, and of each time step, kept while that takes fewer than
    ``most_nodes`` (None: 600 000, and an error beyond). ``threads`` are for the sums.
    Raises InputError for a tolerance that is no number > 0.
    """

    def __init__(
        self, attention: Attention, tolerance: float = 1e-9, *, most_nodes: int | None = None, threads: int = 1
    ) -> None:
        if not (isinstance(tolerance, NUMBER) and np.isfinite(tolerance) and tolerance > 0.0):
            raise InputError(f"nodes: tolerance = {tolerance!r}; expected a number > 0")
        self.attention = attention
        self.tolerance = tolerance
        self.most_nodes = most_nodes
        self.threads = threads
        self.evaluations = 0

    def velocity(self, t: float, points: Real, weights: Real) -> Real:
        """Tangential velocities (n, d) of weighted nodes (n, d) at time t."""
        self.evaluations += 1
        law = self.attention
        return token_velocity(law.schedule.heads_at(t), points, weights, law.name, law.combine, attend=self._attend)

    def march(self, measure: CellMeasure, start: float, stop: float, first_step: float = 1e-2) -> Iterator[CellStep]:
        """Accepted steps from ``start`` to ``stop`` (:func:`~spherepde.adaptive.march_cells`)."""
        law = self.attention
        now = start

        def seen(cells: CellMeasure) -> Mask:
            return self.seen(now, cells, current.points, current.weights)

        current = measure
        width = None if law.name == "hardmax" else max(law.strength(start, stop), 1e-12) ** -0.5
        resolution = Resolution(self.tolerance, width, self.most_nodes)
        steps = march_cells(
            measure,
            self.velocity,
            start,
            stop,
            resolution,
            rtol=self.tolerance,
            breaks=law.schedule.breaks,
            seen=seen if law.name == "softmax" and measure.dim == 2 else None,
            first_step=first_step,
        )
        for step in steps:
            current, now = step.measure, step.time
            yield step

    def seen(self, t: float, cells: CellMeasure, points: Real, weights: Real) -> Mask:
        """Which cells (m,) are noticed among all the mass at points (n, d), with softmax.

        By their own nodes, which attend to their surroundings, and by whoever asks for them, x = By/|By| for a node y.
        """
        order, dim = cells.rule.order, cells.dim
        picked = [0, order // 2, order - 1]
        some = cells.images[:, picked] if dim == 2 else cells.images[:, picked][:, :, picked]
        nodes, mass = some.reshape(-1, dim), cells.cell_masses
        share, log_mass = np.zeros(len(mass)), np.full(len(mass), -np.inf)
        np.log(mass, out=log_mass, where=mass > 0.0)
        for head in self.attention.schedule.heads_at(t):
            wanted = nodes @ head.B.T
            length = np.linalg.norm(wanted, axis=1, keepdims=True)
            asking = np.divide(wanted, length, out=nodes.copy(), where=length > 0.0)
            for queries in (nodes,) if np.allclose(asking, nodes) else (nodes, asking):
                log_partition = self._attend(head, points, weights, queries)[0]
                noticed = head.beta * np.sum((queries @ head.B) * nodes, axis=1) - log_partition
                noticed = noticed.reshape(len(mass), -1).max(axis=1) + log_mass
                share = np.maximum(share, np.exp(np.minimum(noticed, 0.0)))
        return np.asarray(share > self.tolerance**0.5)

    def _attend(self, head: Head, tokens: Real, weights: Real, targets: Real) -> tuple[Real, Real]:
        tolerance = 0.1 * self.tolerance**0.5  # where mass is, errors are smaller by far
        return token_attention(head, tokens, weights, targets, tolerance=tolerance, threads=self.threads)

    def __repr__(self) -> str:
        return f"LagrangianFlow({self.attention!r}, tolerance={self.tolerance:g})"
