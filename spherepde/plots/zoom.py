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
from .circle import PI_TICKS
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


def carried(characteristics: Characteristics, t: float) -> tuple[Real, Real, Real]:
    """Nodes of the initial density carried to time t (n, d), their weights (n,) and log ρ there (n,)."""
    dim = characteristics.dim
    nodes, weights = gauss_tokens(characteristics.initial.function, NODES_DEGREE[dim], dim)
    moved = characteristics.flow(nodes, characteristics.start, t)
    log_density = np.log(np.maximum(characteristics.initial(nodes), 1e-300)) - moved.log_jacobian
    return moved.points, weights, log_density


def densest(characteristics: Characteristics, t: float) -> tuple[Real, float]:
    """The densest place (d,) at time t, and the width of a window that shows it."""
    points, weights, log_density = carried(characteristics, t)
    centre = points[int(np.argmax(log_density))]
    angle = 2.0 * np.arcsin(np.minimum(0.5 * np.linalg.norm(points - centre, axis=1), 1.0))
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

    On S¹ a curve over the angle and, beside it, the whole circle with the window marked; on S² a map of the tangent
    plane and, with a ``record``, what its grid sees there: the band-limited density of the snapshot nearest to t, on
    the same scale. Offsets are in units of the width. The title says where the centre is and which mass is in sight.
    Raises InputError as :func:`window_points` and :meth:`Characteristics.density` do.
    """
    c = np.asarray(centre, dtype=np.float64)
    points, axis = window_points(c, width, CURVE if characteristics.dim == 2 else PIXELS)
    values = characteristics.density(t, points)
    seen = f"centre {_place(c)}, mass in the frame {mass_in_frame(values, axis, width):.4g}"
    if characteristics.dim == 2:
        axes = list(figure.subplots(1, 2))
        _draw_curve(axes[0], axis, values)
        _draw_circle(axes[1], characteristics, t, c, width)
    else:
        maps = [values]
        if record is not None:
            index = int(np.argmin(np.abs(record.run.times - t)))
            maps.append(record.space.evaluate(record.coefficients(index), points))
        axes = list(figure.subplots(1, len(maps), squeeze=False).ravel())
        _draw_maps(figure, axes, axis, maps)
        for ax in axes[1:]:
            assert record is not None
            ax.set_title(f"on the grid, lmax {record.space.lmax}", color=WARNING)
            ax.set_xlabel(rf"offset, in units of ${number(width)}$ radians")
    axes[0].set_title(f"$t={t:.4g}$, along characteristics\n{seen}", color=INK)
    axes[0].set_xlabel(rf"offset, in units of ${number(width)}$ radians")


def mass_in_frame(values: Real, axis: Real, width: float) -> float:
    """The mass of a window from the density (n,) at its :func:`window_points`, by the trapezoidal rule.

    On S² the exponential image of a square has the area element sin r / r at the angle r from its centre.
    """
    if len(values) == len(axis):
        return float(np.trapezoid(values, width * axis))
    angle = width * np.hypot(axis[:, None], axis[None, :])
    density = values.reshape(len(axis), len(axis)) * np.sinc(angle / np.pi)
    return float(np.trapezoid(np.trapezoid(density, width * axis, axis=1), width * axis))


def _place(centre: Real) -> str:
    """The centre of a window in words: its angle, or its coordinates."""
    if len(centre) == 2:
        return rf"$\theta={np.arctan2(centre[1], centre[0]):.4f}$"
    return "(" + ", ".join(f"{x:.3f}" for x in centre).replace("-", "−") + ")"


def _draw_curve(ax: Axes, axis: Real, values: Real) -> None:
    ax.plot(axis, values, color=INK)
    ax.set_xlim(-0.5, 0.5)
    log_limits(ax, values)
    ax.set_ylabel(r"density $\rho$ per unit length")


def _draw_circle(ax: Axes, characteristics: Characteristics, t: float, centre: Real, width: float) -> None:
    """The density of the whole circle: at equally spaced angles, in the window, and where carried nodes went."""
    theta = np.linspace(-np.pi, np.pi, CURVE)
    even = np.stack([np.cos(theta), np.sin(theta)], axis=-1)
    nodes, _, log_density = carried(characteristics, t)
    window, _ = window_points(centre, width, CURVE)
    points = np.concatenate([even, window])
    angles = np.concatenate([theta, np.arctan2(window[:, 1], window[:, 0]), np.arctan2(nodes[:, 1], nodes[:, 0])])
    rho = np.concatenate([characteristics.density(t, points), np.exp(log_density)])
    order = np.argsort(angles)
    ax.plot(angles[order], rho[order], color=INK)
    middle = float(np.arctan2(centre[1], centre[0]))
    for turn in (-2.0 * np.pi, 0.0, 2.0 * np.pi):
        ax.axvspan(middle + turn - 0.5 * width, middle + turn + 0.5 * width, color=WARNING, alpha=0.2, linewidth=0.0)
    ax.plot(middle, 1.02, "v", color=WARNING, transform=ax.get_xaxis_transform(), clip_on=False, gid="frame")
    log_limits(ax, rho)
    ax.set_xlim(-np.pi, np.pi)
    ax.set_xticks(*PI_TICKS)
    ax.set_xlabel(r"angle $\theta$ (radians)")
    ax.set_ylabel(r"density $\rho$ per unit length")
    ax.set_title("the whole circle; the red triangle marks the frame", color=INK, pad=12.0)


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
