"""Series along the mean-field flow, followed by adaptive weighted nodes from t = 0 on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from spherepde import Head, Softmax
from spherepde.adaptive import CellMeasure, Resolution, initial_cells, march_cells
from spherepde.densities import Density
from spherepde.lagrangian import LagrangianFlow

RECORDS_A_STEP = 5
SPARE = 2.0
"""How much shorter than they need be the cells of a finer flow are; its time steps are a tenth as accurate again."""

Observe = Callable[[CellMeasure], Sequence[float]]


def followed(
    head: Head,
    density: Density,
    until: float,
    tolerance: float,
    observe: Observe,
    enough: Callable[[np.ndarray], bool] | None = None,
    axis: Sequence[float] | None = None,
    finer: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Times (n,) and what is observed (n, k) along the mean-field flow, five times a step, until it is ``enough``.

    ``enough`` judges the last observation. ``finer`` resolves more than the tolerance asks for: cells half as long,
    none left aside however light, time steps ten times as accurate.
    """
    flow = LagrangianFlow(Softmax(head), tolerance)
    cells = initial_cells(density, head.dim, tolerance, axis=axis)
    steps = flow.march(cells, 0.0, until)
    if finer:
        wanted = Resolution(tolerance, (SPARE**2 * head.strength) ** -0.5)
        steps = march_cells(cells, flow.velocity, 0.0, until, wanted, rtol=0.1 * tolerance, seen=_all_of)
    t, values = [0.0], [observe(cells)]
    for step in steps:
        for share in np.arange(1, RECORDS_A_STEP + 1) / RECORDS_A_STEP:
            t.append(step.time if share == 1.0 else step.start + share * (step.time - step.start))
            values.append(observe(step.at(t[-1])))
        if enough is not None and enough(np.asarray(values[-1])):
            break
    return np.array(t), np.array(values)


def _all_of(cells: CellMeasure) -> np.ndarray:
    return np.ones(len(cells.along), dtype=bool)
