"""The density around a cluster at any width, from its characteristics, and what the grid sees there."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure, SubFigure
from numpy.typing import ArrayLike, NDArray

from ..characteristics import Characteristics
from ..errors import InputError
from ..tokens import gauss_tokens
from ..tokens.points import check_points, normalised
from .maps import COLOURS, NEGATIVE, add_colour_bar
from .record import Record
from .style import INK, WARNING, log_limits, new_figure, number, styled

Real = NDArray[np.float64]

CURVE, PIXELS = 401, 48
"""Points of a curve, and of each side of a map."""
DECADES = 6.0
"""Of the colour scale of a map."""
NODES_DEGREE = {2: 1500, 3: 64}
"""Degree of the rule whose nodes, carried along, find the densest place."""
SHARE, WIDTHS = 0.5, 6.0
"""The window is so many times as wide as the place that holds this share of the cluster."""
ROUGH, SHARP = 1e-7, 1e-3
"""Tolerance of the flows of a picture, and what it may be at most as a share of the window's width."""
NARROWEST = 1e-9
"""Narrowest window chosen: where a cluster stands is known to 1e-13 or so of a radian, from rounded kernel sums."""


def window_points(centre: ArrayLike, width: float, across: int) -> tuple[Real, Real]:
    """Points (across^{d−1}, d) of a window of that angular width about a centre (d,), and its axes (across,).

    Axes are in units of the width, from −½ to ½; on S² the points are (row, column), row 0 at the bottom, the
    exponential image of a square in the tangent plane. Differences of neighbours are right to the rounding 1e-16 of
    the points themselves. Raises InputError for a centre that is no unit vector and a width not in (0, π].
    """
    c = check_points("zoom", np.atleast_2d(np.asarray(centre, dtype=np.float64)), np.size(centre))[0]
    if not 0.0 < width <= np.pi:
        raise InputError(f"zoom: width = {width!r}; expected an angle between 0 and π")
    axis = np.linspace(-0.5, 0.5, across)
    frame = np.linalg.svd(c[None])[2][1:]
    if len(c) == 2:
        offsets = axis[:, None] * np.array([[-c[1], c[0]]])
    else:
        offsets = (axis[:, None, None] * frame[1] + axis[None, :, None] * frame[0]).reshape(-1, 3)
    offsets = offsets * width
    angle = np.linalg.norm(offsets, axis=1)[:, None]
    points = np.cos(angle) * c + np.sinc(angle / np.pi) * offsets
    return normalised(points), axis


def densest(characteristics: Characteristics, t: float) -> tuple[Real, float]:
    """The densest place (d,) at time t, and the width of a window that shows it."""
    dim = characteristics.dim
    nodes, weights = gauss_tokens(characteristics.initial.function, NODES_DEGREE[dim], dim)
    moved = characteristics.flow(nodes, characteristics.start, t)
    log_density = np.log(np.maximum(characteristics.initial(nodes), 1e-300)) - moved.log_jacobian
    centre = moved.points[int(np.argmax(log_density))]
    angle = 2.0 * np.arcsin(np.minimum(0.5 * np.linalg.norm(moved.points - centre, axis=1), 1.0))
    near = np.argsort(angle)
    near = near[angle[near] < 0.5 * np.pi]
    held = np.cumsum(weights[near])
    reach = float(angle[near[min(int(np.searchsorted(held, SHARE * held[-1])), len(near) - 1)]])
    return centre, float(np.clip(WIDTHS * reach, NARROWEST, np.pi))


def draw_zoom(
    figure: Figure | SubFigure,
    characteristics: Characteristics,
    t: float,
    centre: ArrayLike,
    width: float,
    record: Record | None = None,
) -> None:
    """Fill a figure with the density at time t in a window of angular width ``width`` (radians) about ``centre`` (d,).

    On S¹ a curve over the angle, on S² a map of the tangent plane; axes are in units of the width. With a ``record``,
    beside it what its grid sees there: the band-limited density of the snapshot nearest to t, on the same scale.
    Raises InputError as :func:`window_points` and :meth:`Characteristics.density` do.
    """
    points, axis = window_points(centre, width, CURVE if characteristics.dim == 2 else PIXELS)
    values = {"along characteristics": characteristics.density(t, points)}
    if record is not None:
        index = int(np.argmin(np.abs(record.run.times - t)))
        name = f"on the grid, lmax {record.space.lmax}"
        values[name] = record.space.evaluate(record.coefficients(index), points)
    axes = list(figure.subplots(1, len(values), sharey=characteristics.dim == 2, squeeze=False).ravel())
    draw = _draw_curves if characteristics.dim == 2 else _draw_maps
    draw(figure, axes, axis, list(values.values()))
    for ax, name in zip(axes, values, strict=True):
        ax.set_title(rf"$t={t:.4g}$, {name}", color=INK if ax is axes[0] else WARNING)
        ax.set_xlabel(rf"offset, in units of ${number(width)}$ radians")


def _draw_curves(figure: Figure | SubFigure, axes: list[Axes], axis: Real, curves: list[Real]) -> None:
    for ax, values in zip(axes, curves, strict=True):
        ax.plot(axis, np.where(values > 0.0, values, np.nan), color=INK)
        if np.any(values < 0.0):
            ax.plot(axis, np.where(values < 0.0, -values, np.nan), color=WARNING, label=r"$-\rho$")
            ax.legend()
        ax.set_xlim(-0.5, 0.5)
    log_limits(axes[0], *map(np.abs, curves))
    axes[0].set_ylabel(r"density $\rho$ per unit length")


def _draw_maps(figure: Figure | SubFigure, axes: list[Axes], axis: Real, maps: list[Real]) -> None:
    top = float(maps[0].max())
    norm = LogNorm(max(top * 10.0**-DECADES, float(maps[0].min())), top * 1.000001)
    colours = colormaps[COLOURS].with_extremes(bad=NEGATIVE)
    for ax, values in zip(axes, maps, strict=True):
        image = ax.imshow(
            np.ma.masked_less_equal(values.reshape(len(axis), len(axis)), 0.0),
            extent=(-0.5, 0.5, -0.5, 0.5),
            origin="lower",
            norm=norm,
            cmap=colours,
            interpolation="nearest",
        )
        ax.grid(False)
    add_colour_bar(figure, image, axes, maps)


@styled
def zoom_figure(record: Record) -> Figure:
    """The densest cluster of the last snapshot, wherever it is and however narrow.

    Raises InputError for a run that has no characteristics.
    """
    t = float(record.run.times[-1])
    characteristics = Characteristics(record.run, rtol=ROUGH)
    centre, width = densest(characteristics, t)
    if width < ROUGH / SHARP:  # the window must stand still to a small part of its width
        characteristics.rtol = SHARP * width
        centre, width = densest(characteristics, t)
    figure = new_figure(record, 9.0, 4.6)
    draw_zoom(figure, characteristics, t, centre, width, record)
    return figure
