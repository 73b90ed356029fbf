"""The density around a cluster at any width, from its characteristics, and what the grid sees there."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from ..characteristics import Characteristics
from ..errors import InputError
from .circle import PI_TICKS
from .maps import COLOURS, NEGATIVE, add_colour_bar
from .record import Record
from .style import INK, WARNING, log_limits, new_figure, styled
from .windows import Carried, Window, carried, cluster_window, inside, mass_inside, offsets_of, window_points

Real = NDArray[np.float64]

CURVE, PIXELS = 401, 49
"""Points of a curve, and of each side of a map: odd, so that the centre is one."""
DECADES = 6.0
"""Of the colour scale of a map."""
DIGITS = {2: 4, 3: 2}
"""Of the mass in sight, by dimension d."""
ROUGH, SHARP = 1e-7, 1e-3
"""Tolerance of the flows of a picture, and what it may be at most as a share of the window's smallest width."""


def draw_zoom(
    figure: Figure | SubFigure,
    characteristics: Characteristics,
    t: float,
    window: Window | None = None,
    record: Record | None = None,
) -> None:
    """Fill a figure with the density at time t in a window, by default that of the densest cluster.

    On S¹ a curve over the angle and, beside it, the whole circle with the window marked; on S² a map of the tangent
    plane, each axis on its own scale, and, with a ``record``, what its grid sees there: the band-limited density of the
    snapshot nearest to t, in the same colours. The title says where the centre is and which mass is in sight, that of
    nodes carried along. Raises InputError as :meth:`Characteristics.density` does.
    """
    nodes = carried(characteristics, t)
    _draw(figure, characteristics, t, nodes, cluster_window(nodes) if window is None else window, record)


def _draw(
    figure: Figure | SubFigure,
    characteristics: Characteristics,
    t: float,
    nodes: Carried,
    window: Window,
    record: Record | None,
) -> None:
    dim = characteristics.dim
    mass = mass_inside(characteristics, t, window, nodes)
    told = "too small to tell" if np.isnan(mass) else f"{mass:.{DIGITS[dim]}g}"
    seen = f"centre {_place(window.centre)}, mass in the frame {told}"
    points, _ = window_points(window, CURVE if dim == 2 else PIXELS)
    if dim == 2:
        axes = list(figure.subplots(1, 2))
        theta = np.linspace(-np.pi, np.pi, CURVE)
        even = np.stack([np.cos(theta), np.sin(theta)], axis=-1)
        places = np.concatenate([points, nodes.points, even])
        fresh = characteristics.density(t, np.concatenate([points, even]))
        rho = np.concatenate([fresh[:CURVE], np.exp(nodes.log_density), fresh[CURVE:]])
        _draw_curve(axes[0], window, places[:-CURVE], rho[:-CURVE])
        angles = np.concatenate([np.arctan2(places[:-CURVE, 1], places[:-CURVE, 0]), theta])
        _draw_circle(axes[1], window, angles, rho)
    else:
        maps = [characteristics.density(t, points)]
        if record is not None:
            index = int(np.argmin(np.abs(record.run.times - t)))
            maps.append(record.space.evaluate(record.coefficients(index), points))
        axes = list(figure.subplots(1, len(maps), squeeze=False).ravel())
        _draw_maps(figure, axes, window, maps)
        for ax in axes[1:]:
            assert record is not None
            ax.set_title(f"on the grid, lmax {record.space.lmax}", color=WARNING)
    axes[0].set_title(f"$t={t:.4g}$, along characteristics\n{seen}", color=INK)


def _scale(width: float) -> tuple[float, str]:
    """The unit of an axis, a power of ten not above half the width, and its name."""
    power = int(np.floor(np.log10(0.5 * width)))
    return (1.0, "rad") if power >= -1 else (10.0**power, rf"$10^{{{power}}}$ rad")


def _place(vector: Real) -> str:
    """A direction in words: its angle, or its coordinates."""
    if len(vector) == 2:
        return rf"$\theta={np.arctan2(vector[1], vector[0]):.4f}$"
    return "(" + ", ".join(f"{x + 0.0:.3f}" for x in vector.round(3)).replace("-", "−") + ")"


def _draw_curve(ax: Axes, window: Window, points: Real, rho: Real) -> None:
    """The density at those of the points (n, 2) that lie in the window: even ones, and nodes that came to be there."""
    seen = inside(window, points)
    unit, name = _scale(float(window.widths[0]))
    offset = offsets_of(window, points[seen])[:, 0] / unit
    order = np.argsort(offset)
    ax.plot(offset[order], rho[seen][order], color=INK)
    half = 0.5 * float(window.widths[0]) / unit
    ax.set_xlim(-half, half)
    log_limits(ax, rho[seen])
    ax.set_xlabel(f"offset from the centre, in {name}")
    ax.set_ylabel(r"density $\rho$ per unit length")


def _draw_circle(ax: Axes, window: Window, angles: Real, rho: Real) -> None:
    """The density of the whole circle at angles (n,), and where the window is."""
    order = np.argsort(angles)
    ax.plot(angles[order], rho[order], color=INK)
    middle, half = float(np.arctan2(window.centre[1], window.centre[0])), 0.5 * float(window.widths[0])
    for turn in (-2.0 * np.pi, 0.0, 2.0 * np.pi):
        ax.axvspan(middle + turn - half, middle + turn + half, color=WARNING, alpha=0.2, linewidth=0.0)
    ax.plot(middle, 1.02, "v", color=WARNING, transform=ax.get_xaxis_transform(), clip_on=False, gid="frame")
    log_limits(ax, rho)
    ax.set_xlim(-np.pi, np.pi)
    ax.set_xticks(*PI_TICKS)
    ax.set_xlabel(r"angle $\theta$ (radians)")
    ax.set_ylabel(r"density $\rho$ per unit length")
    ax.set_title("the whole circle, the frame in red", color=INK, pad=12.0)


def _draw_maps(figure: Figure | SubFigure, axes: list[Axes], window: Window, maps: list[Real]) -> None:
    top = float(maps[0].max())
    norm = LogNorm(max(top * 10.0**-DECADES, float(maps[0].min())), top * 1.000001)
    colours = colormaps[COLOURS].with_extremes(bad=NEGATIVE)
    (right, across), (upward, up) = (_scale(float(width)) for width in window.widths)
    half = 0.5 * window.widths * PIXELS / (PIXELS - 1) / (right, upward)  # points are the centres of pixels
    for ax, values in zip(axes, maps, strict=True):
        image = ax.imshow(
            np.ma.masked_less_equal(values.reshape(PIXELS, PIXELS), 0.0),
            extent=(-half[0], half[0], -half[1], half[1]),
            origin="lower",
            norm=norm,
            cmap=colours,
            interpolation="nearest",
            aspect="auto",
        )
        ax.grid(False)
        ax.set_xlabel(f"offset along {_place(window.axes[0])}, in {across}")
    axes[0].set_ylabel(f"offset along {_place(window.axes[1])}, in {up}")
    add_colour_bar(figure, image, axes, maps)


def zoom_characteristics(record: Record) -> Characteristics:
    """The characteristics that a zoom follows.

    Raises InputError for a run that has none, and for one whose file cannot name its heads or its initial density:
    those need Python, :func:`draw_zoom`.
    """
    for lost, what, key in (
        ("function" in record.model.get("layers", {}), "heads", "attention"),
        (record.run.config["initial"].get("family") == "callable", "initial density", "initial"),
    ):
        if lost:
            raise InputError(
                f"{record.run.path}: no zoom, its {what} came from a Python function, which no file holds; in Python, "
                f"spherepde.plots.zoom.draw_zoom(figure, Characteristics(path, {key}=...), t) draws it"
            )
    return Characteristics(record.run, rtol=ROUGH)


@styled
def zoom_figure(record: Record) -> Figure:
    """The densest cluster of the last snapshot, wherever it is and however narrow.

    Raises what :func:`zoom_characteristics` raises.
    """
    characteristics = zoom_characteristics(record)
    t = min(float(record.run.times[-1]), characteristics.until)
    nodes = carried(characteristics, t)
    window = cluster_window(nodes)
    if window.widths.min() < ROUGH / SHARP:  # the window must stand still to a small part of its width
        characteristics.rtol = SHARP * float(window.widths.min())
        nodes = carried(characteristics, t)
        window = cluster_window(nodes)
    figure = new_figure(record, 9.0, 4.6)
    _draw(figure, characteristics, t, nodes, window, record)
    return figure
