"""The initial density at rest, in cells on which it is smooth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, NumericalError
from ..heads import NUMBER
from .cells import WITHIN, CellMeasure, Density, divided_until
from .charts import base_boxes, frame_about
from .peaks import Peaks, sharp_peaks
from .resolution import LONGEST, ORDERS, Resolution, rule_of

Array = NDArray[np.float64]

NEGLIGIBLE = 1e-100
"""Initial cells of less mass need not be smooth."""
RELATIVE = 1e-7
"""Last Legendre coefficients of the initial density on a cell, relative to its largest value there."""
ROUNDING, MISSED = 1e-12, 1e-6
"""Of the mass; how much of it must be missing before peaks are looked for, unless that is tolerated, or refused."""
LONG, REACH = 6.0, 6.0
"""Length of the cells about a sharp peak, and how far they reach, in units of its width."""


def initial_cells(
    density: Density,
    dim: int,
    tolerance: float = 1e-9,
    axis: ArrayLike | None = None,
    *,
    most_nodes: int | None = None,
) -> CellMeasure:
    r"""The measure :math:`\rho_0\,dx` at rest, in cells on which the density is smooth.

    ``density`` maps unit vectors (n, d) to (n,) values per unit of surface measure, of integral 1. Cells divide until
    the last Legendre coefficients on each are below ``tolerance`` in mass, and below 1e-7 of its largest value there:
    on S¹ whatever the cell weighs, for depleted zones keep their relative accuracy; on S², where integrals are all that
    is claimed, unless they are below a thousandth of the tolerance. Where mass is missed, the density is scanned for
    peaks that fall between the first nodes (:func:`.peaks.sharp_peaks`). Weights are divided by their sum.

    ``axis`` (3,) is the pole of the coordinates on S²: the flow should carry points from its equator towards it, or
    from it to the equator. ``most_nodes``: how many nodes there may be, 600 000 by default.
    Raises InputError for another dimension than 2 or 3, a mass that is not 1 to 100 tolerances, or a density too rough.
    """
    if dim not in ORDERS:
        raise InputError(f"cells: dim = {dim}; expected 2 or 3")
    if not (isinstance(tolerance, NUMBER) and np.isfinite(tolerance) and tolerance > 0.0):
        raise InputError(f"cells: tolerance = {tolerance!r}; expected a number > 0")
    frame = frame_about(axis, dim)
    cells = _smooth_cells(density, frame, tolerance, None)
    wrong = max(100.0 * tolerance, ROUNDING)
    if float(cells.weights.sum()) < 1.0 - min(max(tolerance, MISSED), wrong):
        cells = _smooth_cells(density, frame, tolerance, sharp_peaks(density, dim))
    mass = float(cells.weights.sum())
    if not abs(mass - 1.0) <= wrong:
        raise InputError(f"cells: the initial density has mass {mass:.12g}; expected 1, and no peaks too sharp to find")
    if most_nodes is not None and cells.weights.size > most_nodes:
        raise InputError(
            f"cells: the initial density takes {cells.weights.size} nodes, more than the {most_nodes} that are followed"
        )
    return replace(cells, masses=cells.masses / mass, factor=1.0 / mass)


def _smooth_cells(density: Density, frame: Array, tolerance: float, peaks: Peaks | None) -> CellMeasure:
    """Cells on which the density is smooth, about its peaks if some are known, not yet of mass 1."""
    dim = len(frame)
    rule, lines = rule_of(ORDERS[dim]), 1 if dim == 2 else ORDERS[dim]
    along, half_along, across, half_across = base_boxes(dim, LONGEST)
    across, half_across = (np.repeat(values[:, None], lines, axis=1) for values in (across, half_across))
    nodes = (rule.order,) * (dim - 1)
    weights = rule.weights if dim == 2 else np.multiply.outer(rule.weights, rule.weights)
    unnoticed = 0.0 if dim == 2 else Resolution(tolerance).negligible_mass

    def excess(cells: CellMeasure) -> Array:
        size = np.empty((len(cells.along), dim - 1))
        mass = cells.cell_masses
        values = cells.masses / weights
        largest = np.abs(values).reshape(len(size), -1).max(axis=1)
        allowed = np.minimum(np.maximum(RELATIVE * largest + 1e-300, unnoticed), tolerance)
        for direction in range(dim - 1):
            tail = np.abs(np.einsum("kp,cp...->ck...", rule.tails, np.moveaxis(values, -1 - direction, 1)))
            size[:, direction] = tail.reshape(len(size), -1).max(axis=1) / allowed
        size[mass < NEGLIGIBLE] = 0.0
        return size if peaks is None else np.maximum(size, _about_peaks(cells, peaks))

    zero = np.zeros((len(along), *nodes))
    cells = CellMeasure(density, frame, along, half_along, across, half_across, np.zeros((*zero.shape, dim)), zero)
    images, masses = cells.initial()
    try:
        cells = divided_until(replace(cells, images=images, masses=masses), excess, "the initial density")
    except NumericalError as error:
        raise InputError(str(error)) from None
    images, masses = cells.initial()  # exact nodes instead of interpolated ones
    return replace(cells, images=images, masses=masses)


def _about_peaks(cells: CellMeasure, peaks: Peaks) -> Array:
    """How much too long cells (m, d−1) are that come near a peak, in units of what lets their nodes see it."""
    lengths = _lengths(cells)
    excess = np.zeros_like(lengths)
    nodes = cells.images.reshape(len(lengths), -1, cells.dim)
    for top, width in zip(peaks.tops, peaks.widths, strict=True):
        nearest = np.linalg.norm(nodes - top, axis=-1).min(axis=1)
        near = nearest < REACH * width + WITHIN * lengths.max(axis=1)
        excess[near] = np.maximum(excess[near], lengths[near] / (LONG * width))
    return excess


def _lengths(cells: CellMeasure) -> Array:
    """Lengths of cells (m, d−1), across and along, between their first nodes and their last."""
    lines = [np.moveaxis(cells.images, -2 - direction, 1) for direction in range(cells.dim - 1)]
    spans = [np.linalg.norm(line[:, -1] - line[:, 0], axis=-1).reshape(len(line), -1).max(axis=1) for line in lines]
    return np.stack(spans, axis=1)
