"""One figure for the whole run: what the density does, how close it comes to its limit, and where the moments go."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes

from .circle import draw_curves, draw_ring
from .distance import draw_distance
from .energy import draw_energy
from .maps import draw_maps
from .marks import draw_marks, horizons
from .moments import draw_mean, draw_second_moment
from .record import Record
from .style import new_figure, styled, time_axis

MAPS = 4


@styled
def overview_figure(record: Record) -> Figure:
    """Density above; below the distance to the limit (or energy, or mean, whichever there is) and the second moment."""
    figure = new_figure(record, 10.0, 6.2)
    ratios = [1.0, 2.3] if record.dim == 3 else [1.3, 1.6]
    above, below = figure.subfigures(2, 1, height_ratios=ratios, squeeze=False).ravel()
    if record.dim == 3:
        shown = record.shown[:MAPS]
        axes = list(above.subplots(1, len(shown), squeeze=False).ravel())
        draw_maps(above, axes, record, shown)
    else:
        grid = above.add_gridspec(1, 2, width_ratios=[2.6, 1.0])
        curves = above.add_subplot(grid[0])
        draw_curves(curves, record)
        curves.set_xlabel(r"angle $\theta$ (radians)")
        curves.legend(loc="upper center", bbox_to_anchor=(0.5, -0.24), ncols=6, fontsize=7.0)
        ring = above.add_subplot(grid[1], projection="polar")
        assert isinstance(ring, PolarAxes)
        draw_ring(ring, record)
    left, right = below.subplots(1, 2)
    _draw_left(left, record)
    draw_second_moment(right, record)
    time_axis(right, record)
    draw_marks(right, horizons(record), label=True)
    return figure


def _draw_left(ax: Axes, record: Record) -> None:
    if record.has_distance:
        draw_distance(ax, record, brief=True)
        return
    if "energy" in record.series:
        draw_energy(ax, record)
    else:
        draw_mean(ax, record)
    time_axis(ax, record)
    draw_marks(ax, horizons(record), label=True)
