"""Distances of a cell measure to two antipodal atoms, which the nodes of whole cells do not resolve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..transport import Cost, Distance, wasserstein_cloud_antipodes
from ..transport.antipodes import COSTS
from .cells import CellMeasure

Array = NDArray[np.float64]

ROUNDS = {2: 6, 3: 4}
"""How often cells are cut along planes where an integrand has a kink, by dimension d,"""
TIPS = {2: 16, 3: 2}
"""and divided about points where it has a tip."""


def divided_between(cells: CellMeasure, axis: ArrayLike, mass_plus: float | None = None) -> CellMeasure:
    """The same measure with small cells between two atoms at ±e, e = ``axis``, for integrals that notice where.

    At ±e their distances have tips; at ⟨x, e⟩ = 0 the smaller of both has a kink, and the mass about e ends. If e is to
    receive ``mass_plus``, the integrand of transport has a kink at the level above which there is that much.
    """
    pole, rounds = np.asarray(axis, dtype=np.float64), ROUNDS[cells.dim]
    for atom in (pole, -pole):
        cells = cells.divided_about(atom, TIPS[cells.dim])
    cells = cells.divided_at(pole, rounds)
    return cells if mass_plus is None else cells.divided_at(pole, rounds, mass_plus)


def distances_to_antipodes(
    cells: CellMeasure, axis: ArrayLike, mass_plus: float, costs: Sequence[Cost] = COSTS
) -> dict[Cost, Distance]:
    """Distances from a cell measure to ``mass_plus`` at e = ``axis`` and the rest at −e, by cost.

    :func:`~spherepde.transport.wasserstein_cloud_antipodes` of the nodes of :func:`divided_between`: as exact as the
    cells resolve integrals. Raises what that raises.
    """
    fine = divided_between(cells, axis, mass_plus)
    return wasserstein_cloud_antipodes(fine.points, axis, mass_plus, fine.weights, costs)
