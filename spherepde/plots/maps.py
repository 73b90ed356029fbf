"""Maps of a density on the sphere: equal-area (Mollweide), turned so that E and what flees from it are in sight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.patches import Ellipse, Patch
from matplotlib.patheffects import withStroke

from .record import Real, Record
from .style import GUIDE, UNRESOLVED, WARNING, new_figure, number, styled, time_label

WIDTH = 720
"""Pixels across a map."""
COLOURS = "magma"
NEGATIVE = "#7FB8C9"
"""Where a truncated expansion is below zero: no colour of the scale."""
DECADES = 6.0


def map_frame(record: Record) -> Real:
    """Orthonormal columns (3, 3): the directions at the centre, the right (longitude 90°) and the top of the maps.

    dim E = 1: ±e at the right and left, so that E^⊥ is the central meridian and the rim, with its slowest
    direction at the centre and the rim's middle. dim E = 2: E is the equator. No single E: the coordinate axes.
    """
    if record.head is None or record.target is None or record.target.dim == 3:
        return np.eye(3)
    mean = record.series["mean"][0]
    if record.target.dim == 2:
        centre, right = record.target.basis.T
        return np.stack([centre, right, np.cross(centre, right)], axis=1)
    e = record.target.axis
    complement = np.linalg.svd(e[None])[2][1:].T
    restricted = complement.T @ (0.5 * (record.head.A + record.head.A.T)) @ complement
    slowest = complement @ np.linalg.eigh(restricted)[1][:, -1]
    largest = slowest[np.argmax(np.abs(slowest))]
    centre = slowest * np.sign(slowest @ mean if abs(slowest @ mean) > 1e-12 else largest)
    return np.stack([centre, e, np.cross(centre, e)], axis=1)


def pixel_directions(frame: Real, width: int) -> Real:
    """Unit vectors (width/2, width, 3) under the pixels of a Mollweide map on [−2, 2] × [−1, 1], row 0 at the bottom.

    Pixels outside the ellipse get the nearest direction on its rim of the same height.
    """
    x = 4.0 * (np.arange(width) + 0.5) / width - 2.0
    y = 2.0 * (np.arange(width // 2) + 0.5) / (width // 2) - 1.0
    auxiliary = np.arcsin(y)[:, None]
    latitude = np.arcsin((2.0 * auxiliary + np.sin(2.0 * auxiliary)) / np.pi)
    longitude = np.clip(0.5 * np.pi * x / np.cos(auxiliary), -np.pi, np.pi)
    local = [
        np.cos(latitude) * np.cos(longitude),
        np.cos(latitude) * np.sin(longitude),
        np.sin(latitude) + 0.0 * longitude,
    ]
    return np.stack(local, axis=-1) @ frame.T


def density_rasters(record: Record, indices: Sequence[int]) -> list[Real]:
    """Densities at the pixels, exact values of the band-limited snapshots (no interpolation)."""
    points = pixel_directions(map_frame(record), WIDTH)
    flat = points.reshape(-1, 3)
    return [record.space.evaluate(record.coefficients(i), flat).reshape(points.shape[:2]) for i in indices]


def colour_scale(rasters: Sequence[Real]) -> LogNorm:
    """A log scale over some maps."""
    top = max(float(raster.max()) for raster in rasters)
    positive = min(float(raster[raster > 0.0].min()) for raster in rasters)
    return LogNorm(max(positive, top * 10.0**-DECADES), max(top, positive * 1.01))


def draw_maps(figure: Figure | SubFigure, axes: list[Axes], record: Record, indices: Sequence[int]) -> None:
    """Maps of the resolved snapshots with one colour bar; the others are blank, and say why.

    Beyond the field horizon the band-limited density is a kernel of the grid, not the density: it is not drawn.
    """
    resolved = [index for index in indices if record.resolved(index)]
    rasters = dict(zip(resolved, density_rasters(record, resolved), strict=True))
    norm = colour_scale(list(rasters.values())) if rasters else None
    images = []
    for ax, index in zip(axes, indices, strict=False):
        if norm is not None and index in rasters:
            images.append(_draw_map(ax, record, index, rasters[index], norm))
        else:
            ax.add_patch(Ellipse((0.0, 0.0), 4.0, 2.0, facecolor=UNRESOLVED, edgecolor="0.3", linewidth=0.8))
            ax.text(0.0, 0.0, "not resolved\non the grid", ha="center", va="center", fontsize=7.5, color=GUIDE)
        _finish(ax, record, index)
    if images:
        add_colour_bar(figure, images[0], axes, list(rasters.values()))


def _draw_map(ax: Axes, record: Record, index: int, raster: Real, norm: LogNorm) -> AxesImage:
    """One map with its range and E; negative values show the ground below the map."""
    rim = Ellipse((0.0, 0.0), 4.0, 2.0, facecolor=NEGATIVE, edgecolor="none")
    ax.add_patch(rim)
    colours = colormaps[COLOURS].with_extremes(bad=(0.0, 0.0, 0.0, 0.0))
    image = ax.imshow(
        np.ma.masked_less_equal(raster, 0.0),
        extent=(-2.0, 2.0, -1.0, 1.0),
        origin="lower",
        norm=norm,
        cmap=colours,
        interpolation="antialiased",
        interpolation_stage="rgba",
        zorder=1.5,
    )
    image.set_clip_path(rim)
    ax.add_patch(Ellipse((0.0, 0.0), 4.0, 2.0, facecolor="none", edgecolor="0.3", linewidth=0.8))
    _mark_eigenspace(ax, record)
    span = rf"${number(raster.min())}\leq\rho\leq{number(raster.max())}$"
    ax.text(0.0, -1.08, span, ha="center", va="top", fontsize=7.5, color=WARNING if record.doubt(index) else GUIDE)
    return image


def _finish(ax: Axes, record: Record, index: int) -> None:
    """The frame of a map, and its time above it."""
    ax.set(xlim=(-2.02, 2.02), ylim=(-1.02, 1.02), aspect="equal")
    ax.set_axis_off()
    ax.set_title(time_label(record, index), color=WARNING if record.doubt(index) else "black", pad=3.0)


def _mark_eigenspace(ax: Axes, record: Record) -> None:
    """±e and the meridian E^⊥, or the equator E and the poles E^⊥."""
    halo = [withStroke(linewidth=1.4, foreground="black")]
    line: dict[str, Any] = {"color": "white", "linewidth": 0.9, "path_effects": halo}
    text: dict[str, Any] = {"color": "white", "fontsize": 7.5, "ha": "center", "va": "center", "path_effects": halo}
    if record.target is None or record.target.dim == 3:
        return
    if record.target.dim == 1:
        ax.plot([0.0, 0.0], [-1.0, 1.0], linestyle=(0, (2, 3)), **line)
        for x, words in ((1.0, "$+e$"), (-1.0, "$-e$")):
            ax.plot(x, 0.0, "o", markersize=4.0, markerfacecolor="none", markeredgecolor="white", path_effects=halo)
            ax.text(x, 0.24, words, **text)
        ax.text(0.22, 0.72, r"$E^\bot$", **text)
    else:
        ax.plot([-2.0, 2.0], [0.0, 0.0], linestyle=(0, (2, 3)), **line)
        ax.text(0.0, 0.14, "$E$", **text)
        ax.text(0.0, 0.84, r"$E^\bot$", **text)


def add_colour_bar(figure: Figure | SubFigure, image: AxesImage, axes: list[Axes], rasters: list[Real]) -> None:
    """The colour bar of the maps, with the colour of negative values below it if there are any."""
    bar = figure.colorbar(image, ax=axes, extend="both", shrink=0.85, aspect=14 * len(axes) ** 0.4, pad=0.015)
    bar.set_label(r"$\rho$ per unit area")
    bar.ax.grid(False)
    if any(np.any(raster < 0.0) for raster in rasters):
        mark = Patch(color=NEGATIVE, label=r"$\rho<0$")
        bar.ax.legend(handles=[mark], loc="upper left", bbox_to_anchor=(-1.0, -0.03), handlelength=1.0, borderpad=0.0)


@styled
def maps_figure(record: Record) -> Figure:
    """The density at the chosen times."""
    shown = record.shown
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure = new_figure(record, 3.3 * columns + 0.9, 2.05 * rows + 0.85)
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for ax in axes[len(shown) :]:
        ax.set_axis_off()
    draw_maps(figure, axes, record, shown)
    return figure
