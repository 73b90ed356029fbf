"""First and second moments against time, with their error bars."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .marks import draw_marks, horizons
from .record import Record
from .style import COMPONENTS, INK, draw_band, draw_trusted, log_limits, new_figure, styled, time_axis


def draw_second_moment(ax: Axes, record: Record) -> None:
    """Diagonal of the second moment ∫ x xᵀ ρ."""
    moment, bar = record.series["second_moment"], record.error("second_moment")
    for i, colour in enumerate(COMPONENTS[: record.dim]):
        draw_band(ax, record.t, moment[:, i, i], None if bar is None else bar[:, i, i], colour)
        label = rf"$i={i + 1}$"
        draw_trusted(ax, record.t, moment[:, i, i], record.velocity_horizon, color=colour, label=label)
    ax.set_ylim(-0.04, 1.04)
    ax.set_ylabel(r"second moment  $\int x_i^2\,d\rho_t$")
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.1)


def draw_mean(ax: Axes, record: Record) -> None:
    """First moment ∫ x ρ."""
    mean, bar = record.series["mean"], record.error("mean")
    for i, colour in enumerate(COMPONENTS[: record.dim]):
        draw_band(ax, record.t, mean[:, i], None if bar is None else bar[:, i], colour)
        draw_trusted(ax, record.t, mean[:, i], record.velocity_horizon, color=colour, label=rf"$i={i + 1}$")
    reach = 1.15 * max(float(np.nanmax(np.abs(mean))), 1e-3)
    ax.set_ylim(-reach if mean.min() < -0.02 * reach else -0.1 * reach, reach)
    ax.set_ylabel(r"mean  $\int x_i\,d\rho_t$")


def draw_bars(ax: Axes, record: Record) -> None:
    """The error bars themselves, on a log axis: the largest of each moment's entries."""
    ax.set_ylabel("error bar")
    drawn = []
    for name, words, look in (("second_moment", "second moment", "-"), ("mean", "mean", ":")):
        bar = record.error(name)
        if bar is not None:
            largest = bar.reshape(len(bar), -1).max(axis=1)
            draw_trusted(ax, record.t, largest, None, color=INK, linestyle=look, label=f"{words}, largest entry")
            drawn.append(largest)
    if drawn and log_limits(ax, *drawn, decades=6.0):
        ax.legend(loc="lower right")
    elif not drawn:
        words = "no companion run: the moments carry no error bar"
        ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", va="center", color=INK)
        ax.set_yticks([])


@styled
def moments_figure(record: Record) -> Figure:
    """Second moment, mean, and their error bars."""
    figure = new_figure(record, 6.6, 6.4)
    second, mean, bars = figure.subplots(3, 1, height_ratios=[2.0, 1.5, 1.3])
    draw_second_moment(second, record)
    draw_mean(mean, record)
    draw_bars(bars, record)
    for ax in (second, mean, bars):
        time_axis(ax, record, label=ax is bars)
        draw_marks(ax, horizons(record), label=ax is second)
    return figure
