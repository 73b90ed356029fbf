"""The initial density at rest, in cells on which it is smooth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, NumericalError
from .cells import CellMeasure, Density, divided_until
from .charts import base_boxes, frame_about
from .resolution import LONGEST, ORDERS, rule_of

Array = NDArray[np.float64]

NEGLIGIBLE = 1e-100
"""Initial cells of less mass need not be smooth."""
RELATIVE = 1e-7
"""Last Legendre coefficients of the initial density on a cell, relative to its largest value there."""


def initial_cells(density: Density, dim: int, tolerance: float = 1e-9, axis: ArrayLike | None = None) -> CellMeasure:
    r"""The measure :math:`\rho_0\,dx` at rest, in cells on which the density is smooth.

    ``density`` maps unit vectors (n, d) to (n,) values per unit of surface measure, of integral 1. Cells divide until
    the last Legendre coefficients on each are below 1e-7 of its largest value there and below ``tolerance`` in mass.
    Weights are divided by their sum, which must be 1 to the tolerance. ``axis`` (3,) is the pole of the coordinates on
    S²: the flow should carry points from its equator towards it, or from it to the equator.
    Raises InputError for another dimension than 2 or 3, a mass that is not 1, or a density too rough.
    """
    if dim not in ORDERS:
        raise InputError(f"cells: dim = {dim}; expected 2 or 3")
    if not (np.isfinite(tolerance) and tolerance > 0.0):
        raise InputError(f"cells: tolerance = {tolerance!r}; expected a number > 0")
    rule, lines = rule_of(ORDERS[dim]), 1 if dim == 2 else ORDERS[dim]
    along, half_along, across, half_across = base_boxes(dim, LONGEST)
    across, half_across = (np.repeat(values[:, None], lines, axis=1) for values in (across, half_across))
    nodes = (rule.order,) * (dim - 1)
    weights = rule.weights if dim == 2 else np.multiply.outer(rule.weights, rule.weights)

    def excess(cells: CellMeasure) -> Array:
        size = np.empty((len(cells.along), dim - 1))
        mass = cells.cell_masses
        values = cells.masses / weights
        largest = np.abs(values).reshape(len(size), -1).max(axis=1)
        for direction in range(dim - 1):
            tail = np.abs(np.einsum("kp,cp...->ck...", rule.tails, np.moveaxis(values, -1 - direction, 1)))
            tail = tail.reshape(len(size), -1).max(axis=1)
            size[:, direction] = np.maximum(tail / (RELATIVE * largest + 1e-300), tail / tolerance)
        size[mass < NEGLIGIBLE] = 0.0
        return size

    frame, zero = frame_about(axis, dim), np.zeros((len(along), *nodes))
    cells = CellMeasure(density, frame, along, half_along, across, half_across, np.zeros((*zero.shape, dim)), zero)
    images, masses = cells.initial()
    try:
        cells = divided_until(replace(cells, images=images, masses=masses), excess, "the initial density")
    except NumericalError as error:
        raise InputError(str(error)) from None
    images, masses = cells.initial()  # exact nodes instead of interpolated ones
    mass = float(masses.sum())
    if not abs(mass - 1.0) <= max(100.0 * tolerance, 1e-12):
        raise InputError(f"cells: the initial density has mass {mass:.12g}; expected 1")
    return replace(cells, images=images, masses=masses / mass, factor=1.0 / mass)
