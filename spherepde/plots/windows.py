"""Where a cluster is, how long and how wide, and what mass a window holds: by nodes carried along characteristics."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..adaptive import CellMeasure, initial_cells
from ..characteristics import Characteristics
from ..errors import InputError
from ..tokens.points import check_points, normalised

Real = NDArray[np.float64]

TOLERANCE = {2: 1e-7, 3: 1e-4}
"""Of the initial nodes, by dimension d."""
FEWEST = {2: 1000, 3: 4000}
"""Nodes carried, at least, so that one comes near the densest place."""
FEWEST_INSIDE = 100
"""Nodes that a window on S² must hold for its mass to be told."""
SHARE, WIDTHS = 0.5, 6.0
"""The window is so many times as wide as the place that holds this share of the cluster, along each of its axes."""
NARROWEST = 1e-9
"""Narrowest window chosen: where a cluster stands is known to 1e-13 or so of a radian, from rounded kernel sums."""
SHAPE_ROUNDS, SHAPE_TOLERANCE = 200, 1e-3


class Window(NamedTuple):
    """A window: its centre (d,), its axes (d−1, d), orthonormal and tangent there, and its angular widths (d−1,)."""

    centre: Real
    axes: Real
    widths: Real


class Carried(NamedTuple):
    """Cells of the initial density at rest, with their nodes' images (n, d) at some time and log ρ (n,) there."""

    cells: CellMeasure
    points: Real
    log_density: Real


def window_about(centre: ArrayLike, width: float | ArrayLike) -> Window:
    """A window about a centre (d,), of one width or of one along each axis (d−1,), radians.

    Raises InputError for a centre that is no unit vector of length 2 or 3, and for widths not in (0, π].
    """
    c = check_points("zoom", np.atleast_2d(np.asarray(centre)), np.size(centre))[0]
    if len(c) not in (2, 3):
        raise InputError(f"zoom: a centre with {len(c)} coordinates; expected 2 or 3")
    axes = np.array([[-c[1], c[0]]]) if len(c) == 2 else np.linalg.svd(c[None])[2][1:]
    widths = np.atleast_1d(width)
    good = widths.dtype.kind in "fiu" and widths.shape in ((1,), (len(c) - 1,))
    if not (good and np.all((widths > 0.0) & (widths <= np.pi))):
        raise InputError(f"zoom: width = {width!r}; expected an angle between 0 and π")
    return Window(c, axes, np.broadcast_to(widths.astype(np.float64), len(c) - 1))


def window_points(window: Window, across: int) -> tuple[Real, Real]:
    """Points (across^{d−1}, d) of a window, and its axis (across,) in units of the width, from −½ to ½.

    On S² the points are (row, column), row 0 at the bottom, columns along the first axis: the exponential image of a
    rectangle in the tangent plane. Differences of neighbours are right to the rounding 1e-16 of the points themselves.
    """
    axis = np.linspace(-0.5, 0.5, across)
    steps = np.stack(np.meshgrid(*[axis] * len(window.axes)), axis=-1).reshape(-1, len(window.axes))
    offsets = (steps * window.widths) @ window.axes
    angle = np.linalg.norm(offsets, axis=1)[:, None]
    return normalised(np.cos(angle) * window.centre + np.sinc(angle / np.pi) * offsets), axis


def offsets_of(window: Window, points: Real) -> Real:
    """Offsets (n, d−1) of points (n, d) along the axes of a window, in radians: the inverse of its exponential map."""
    away = points - window.centre
    angle = 2.0 * np.arcsin(np.minimum(0.5 * np.linalg.norm(away, axis=1), 1.0))
    along = away @ window.axes.T
    length = np.linalg.norm(along, axis=1)
    return along * np.divide(angle, length, out=np.ones_like(angle), where=length > 0.0)[:, None]


def inside(window: Window, points: Real) -> NDArray[np.bool_]:
    """Which points (n, d) lie in a window."""
    return np.asarray((np.abs(offsets_of(window, points)) <= 0.5 * window.widths).all(axis=1))


def carried(characteristics: Characteristics, t: float) -> Carried:
    """Nodes of the initial density carried to time t."""
    dim = characteristics.dim
    cells = initial_cells(characteristics.initial, dim, TOLERANCE[dim])
    while cells.weights.size < FEWEST[dim]:
        cells = _at_rest(cells.divided(np.ones((len(cells.along), dim - 1), bool)))
    moved = characteristics.flow(cells.points, characteristics.start, t)
    with np.errstate(divide="ignore"):
        log_density = np.log(characteristics.initial(cells.points)) - moved.log_jacobian
    return Carried(cells, moved.points, log_density)


def _at_rest(cells: CellMeasure) -> CellMeasure:
    """The cells with their nodes exactly where they began."""
    return replace(cells, images=cells.initial()[0])


def cluster_window(nodes: Carried) -> Window:
    r"""A window that shows the cluster about the densest place, on the scale of its long axis and of its short one.

    Axes and their ratio are those of Tyler's scatter matrix of the offsets u of all mass within 90°,

    .. math:: \Sigma\propto\sum_j w_j\frac{u_ju_j^\top}{u_j^\top\Sigma^{-1}u_j},

    which unlike the covariance is not that of the thin tails (hardmax leaves :math:`\rho\propto r^{-3}`, without
    variance). Source: D. Tyler, A distribution-free M-estimator of multivariate scatter, Ann. Statist. 15, 1987.
    """
    centre = nodes.points[int(np.argmax(nodes.log_density))]
    window = window_about(centre, np.pi)
    near = nodes.points @ centre > 0.0
    offsets, weights = offsets_of(window, nodes.points[near]), nodes.cells.weights[near]
    whiten = _whitening(offsets, weights)
    radius = np.linalg.norm(offsets @ whiten.T, axis=1)
    order = np.argsort(radius)
    held = np.cumsum(weights[order])
    reach = radius[order[min(int(np.searchsorted(held, SHARE * held[-1])), len(order) - 1)]]
    turn, scales, _ = np.linalg.svd(np.linalg.inv(whiten))
    axes = turn.T @ window.axes
    axes *= np.sign(np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)) if len(axes) > 1 else 1.0
    return Window(centre, axes, np.clip(WIDTHS * reach * scales, NARROWEST, np.pi))


def _whitening(offsets: Real, weights: Real) -> Real:
    """The matrix (k, k) that makes Tyler's scatter of offsets (n, k) a multiple of the identity."""
    size = offsets.shape[1]
    scale = max(float(np.abs(offsets).max()), 1e-300)
    matrix = np.eye(size) / scale
    for _ in range(SHAPE_ROUNDS if size > 1 else 0):
        u = offsets @ matrix.T
        squares = np.sum(u**2, axis=1)
        share = np.divide(weights, squares, out=np.zeros_like(weights), where=squares > 0.0)
        values, vectors = np.linalg.eigh(u.T @ (share[:, None] * u) / max(float(weights[squares > 0.0].sum()), 1e-300))
        root = np.sqrt(np.maximum(values, 1e-12) * size)
        matrix = (vectors / root).T @ matrix
        if np.abs(root - 1.0).max() < SHAPE_TOLERANCE:
            break
    return matrix


def mass_inside(characteristics: Characteristics, t: float, window: Window, nodes: Carried) -> float:
    """The mass in a window at time t; NaN where it cannot be told.

    On S¹ that of the arc it came from. On S² of the nodes inside, NaN for fewer than 100 of them: with 4000 altogether
    and a cluster in sight, that is right to one or two per cent.
    """
    if characteristics.dim == 3:
        weights = nodes.cells.weights[inside(window, nodes.points)]
        return float(weights.sum()) if len(weights) >= FEWEST_INSIDE else np.nan
    ends = characteristics.flow(window_points(window, 3)[0], t, characteristics.start).points
    left, middle, right = np.arctan2(ends[:, 1], ends[:, 0])
    start, length = left, (middle - left) % (2.0 * np.pi) + (right - middle) % (2.0 * np.pi)
    cells = nodes.cells
    cuts = (cells.across[:, 0] - cells.half_across[:, 0] - start) % (2.0 * np.pi)
    edges = np.concatenate([[0.0], np.sort(cuts[cuts < length]), [length]])
    half = 0.5 * np.diff(edges)
    angle = start + edges[:-1] + half + cells.rule.nodes[:, None] * half
    values = characteristics.initial(np.stack([np.cos(angle), np.sin(angle)], axis=-1))
    return float(cells.rule.weights @ values @ half)
