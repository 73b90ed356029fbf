"""The terminal phase: how the clusters leave E, at which rate, and where their axis turns."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..phases import RunPhases, usable
from .marks import draw_marks, horizons
from .rates import BESIDE, draw_slope, draw_terminal_window
from .record import Record
from .style import COMPONENTS, GUIDE, INK, THEORY, draw_band, draw_trusted, log_limits, new_figure, styled, time_axis

SHOWN_UP_TO = 30.0
"""Displacements (tangents) above are of clusters that have all but arrived."""


def draw_departure(ax: Axes, record: Record, found: RunPhases) -> None:
    """The distance to E with the predicted rate of decay; the rate of escape is that of the displacement."""
    t, values = usable(record.t, record.series["distance_to_E"])
    draw_trusted(ax, t, values, record.velocity_horizon, color=COMPONENTS[0], label="distance to $E$")
    log_limits(ax, values)
    bottom, top = ax.get_ylim()
    above, theory, decay = (top / bottom) ** BESIDE, found.theory, None if found.decay is None else found.decay.decay
    if theory is not None and theory.wasserstein_2.value is not None and decay is not None:
        rate = theory.wasserstein_2.value
        draw_slope(ax, decay.window, decay.level / above, -rate, f"predicted decay {rate:.4g}")
    ax.set_ylabel("distance to $E$")


def draw_displacement(ax: Axes, record: Record, found: RunPhases) -> None:
    """The displacement of the clusters: shrinking with them, then growing; or the angles of the dominant axis."""
    end, theory = found.end, found.theory
    if found.moved is None or end is None or theory is None:
        _draw_angles(ax, record, found)
        return
    t, moved = usable(record.t, found.moved)
    draw_trusted(ax, t, moved, record.velocity_horizon, color=COMPONENTS[2], label="displacement of the clusters")
    log_limits(ax, moved[moved <= SHOWN_UP_TO])
    bottom, top = ax.get_ylim()
    above = (top / bottom) ** BESIDE
    if end.escape is not None:
        ends = np.array(end.escape.window)
        words = f"escape {end.escape}".replace(" on [", "\non [")
        ax.plot(ends, above * end.escape.at(ends), color=THEORY, linestyle="--", linewidth=1.3, label=words)
        if theory.escape.value is not None:
            words = f"predicted {theory.escape.value:.4g}"
            draw_slope(ax, end.escape.window, end.escape.level / above, theory.escape.value, words)
    if end.turn is not None:
        ax.plot([end.turn], [end.least], "o", color=INK, markersize=4.0, label=f"turn at t = {end.turn:.2f}")
    ax.set_ylabel("displacement")


def _draw_angles(ax: Axes, record: Record, found: RunPhases) -> None:
    """Angles of the dominant axis of the second moment from E and from the predicted final axis, in degrees."""
    dominant = np.linalg.eigh(record.series["second_moment"])[1][..., -1]
    final = None if found.theory is None else found.theory.final.axis
    for axis, words, colour in ((found.target.axis, "$E$", COMPONENTS[0]), (final, "the final axis", COMPONENTS[1])):
        if axis is not None:
            angle = np.degrees(np.arccos(np.clip(np.abs(dominant @ axis), 0.0, 1.0)))
            draw_trusted(ax, record.t, angle, record.velocity_horizon, color=colour, label=f"from {words}")
    ax.set_ylabel("dominant axis (degrees)")


def draw_axes(ax: Axes, record: Record, found: RunPhases) -> None:
    """How much of the second moment lies along E and along the direction of escape or the final axis."""
    second, bar = record.series["second_moment"], record.error("second_moment")
    bar = None if bar is None else bar.reshape(len(record.t), -1).max(axis=1)
    theory = found.theory
    final = None if theory is None or theory.keeps_target else theory.final.axis
    towards, words = (final, "the final axis") if final is not None else (None, "")
    if towards is None and theory is not None:
        towards, words = theory.escape.direction, "the direction of escape"
    for axis, along, colour in ((found.target.axis, "$E$", COMPONENTS[0]), (towards, words, COMPONENTS[1])):
        if axis is not None:
            share = np.einsum("nij,i,j->n", second, axis, axis)
            draw_band(ax, record.t, share, bar, colour)
            draw_trusted(ax, record.t, share, record.velocity_horizon, color=colour, label=f"along {along}")
    ax.set_ylim(-0.03, 1.03)
    ax.axhline(0.5, color=GUIDE, linewidth=0.6)
    ax.set_ylabel("second moment")


@styled
def terminal_figure(record: Record) -> Figure:
    """The distance to E, the displacement of the clusters and the second moment along both axes, over time."""
    figure = new_figure(record, 8.2, 7.4)
    panels = list(figure.subplots(3, 1, height_ratios=[1.3, 1.6, 1.2]))
    assert record.phases is not None
    for ax, draw in zip(panels, (draw_departure, draw_displacement, draw_axes), strict=True):
        draw(ax, record, record.phases)
        time_axis(ax, record, label=ax is panels[-1])
        marks = horizons(record) + draw_terminal_window(ax, record, named=ax is panels[0])
        draw_marks(ax, marks, label=ax is panels[0])
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0.0)
    return figure
