"""The density on the circle: curves over the angle, and around the circle itself."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes

from .record import Real, Record
from .style import GUIDE, UNRESOLVED, WARNING, log_limits, new_figure, styled, time_colours, time_label

PI_TICKS = (np.pi * np.array([-1.0, -0.5, 0.0, 0.5, 1.0]), ["−π", "−π/2", "0", "π/2", "π"])


def curve(record: Record, index: int) -> tuple[Real, Real]:
    """Angles in [−π, π) and the density there, rebuilt from the coefficients."""
    rho = record.space.to_nodal(record.coefficients(index))
    theta = record.space.axes["theta"]
    turned = np.where(theta >= np.pi, theta - 2.0 * np.pi, theta)
    order = np.argsort(turned)
    return turned[order], rho[order]


def draw_curves(ax: Axes, record: Record) -> None:
    """Density against angle on a log axis, |ρ| in red where ρ < 0; of unresolved times the legend says that they are.

    Beyond the field horizon the band-limited density is a kernel of the grid, not the density: it is not drawn.
    """
    shown, negative = [], False
    for index, colour in zip(record.shown, time_colours(record), strict=True):
        if record.resolved(index):
            theta, rho = curve(record, index)
            ax.plot(theta, np.where(rho > 0.0, rho, np.nan), color=colour, label=time_label(record, index))
            if np.any(rho < 0.0):
                ax.plot(theta, np.where(rho < 0.0, -rho, np.nan), color=WARNING, linewidth=0.8)
                negative = True
            shown.append(np.abs(rho))
    if negative:
        ax.plot([], [], color=WARNING, linewidth=0.8, label=r"$-\rho$ where $\rho<0$")
    if record.unresolved_note:
        ax.plot([], [], color=UNRESOLVED, linewidth=5.0, label=record.unresolved_note)
    log_limits(ax, *shown, decades=8.0)
    ax.set_xlim(-np.pi, np.pi)
    ax.set_xticks(*PI_TICKS)
    ax.set_ylabel(r"density $\rho$ per unit length")
    _mark_eigenspace(ax, record)


def _mark_eigenspace(ax: Axes, record: Record) -> None:
    if record.target is None or record.target.dim == 2:
        return
    e = record.target.axis
    angle = float(np.arctan2(e[1], e[0]))
    for shift, words in ((0.0, "$+e$"), (np.pi, "$-e$")):
        place = (angle + shift + np.pi) % (2.0 * np.pi) - np.pi
        for x in {place, np.pi} if np.isclose(place, -np.pi) else {place}:
            ax.axvline(x, color=GUIDE, linewidth=0.9, linestyle=(0, (2, 3)))
            ax.text(
                x, 1.01, words, transform=ax.get_xaxis_transform(), ha="center", va="bottom", color=GUIDE, fontsize=8.0
            )


def draw_ring(ax: PolarAxes, record: Record) -> None:
    """The resolved densities around the circle, at a height ∝ ρ^(1/2) above it so that both ends show."""
    curves = {i: curve(record, i) for i in record.shown if record.resolved(i)}
    peak = max((float(rho.max()) for _, rho in curves.values()), default=1.0)
    for index, colour in zip(record.shown, time_colours(record), strict=True):
        if index in curves:
            theta, rho = curves[index]
            closed = np.append(np.arange(len(theta)), 0)
            ax.plot(theta[closed], 1.0 + np.sqrt(np.maximum(rho, 0.0) / peak)[closed], color=colour)
    ax.plot(np.linspace(0.0, 2.0 * np.pi, 200), np.ones(200), color=GUIDE, linewidth=0.8)
    ax.set_ylim(0.0, 2.05)
    ax.set_yticks([])
    ax.set_xticks(0.5 * np.pi * np.arange(4), ["0", "π/2", "±π", "−π/2"])
    ax.grid(False)
    ax.spines["polar"].set_visible(False)


@styled
def circle_figure(record: Record) -> Figure:
    """The resolved densities over the angle and around the circle."""
    figure = new_figure(record, 9.6, 4.2)
    grid = figure.add_gridspec(1, 2, width_ratios=[1.8, 1.0])
    ax = figure.add_subplot(grid[0])
    draw_curves(ax, record)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3)
    ax.set_xlabel(r"angle $\theta$ (radians)")
    ring = figure.add_subplot(grid[1], projection="polar")
    assert isinstance(ring, PolarAxes)
    draw_ring(ring, record)
    ring.set_title(r"around the circle, height $\propto\rho^{1/2}$", fontsize=8.0, pad=8.0)
    return figure
