"""The density on the circle: curves over the angle, and around the circle itself."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes

from .record import Real, Record
from .style import GUIDE, WARNING, log_limits, new_figure, styled, time_colours, time_label

ZOOM = 60.0
"""Half width of the enlarged piece of the circle, in units of the smallest wavelength / 2π."""
PI_TICKS = (np.pi * np.array([-1.0, -0.5, 0.0, 0.5, 1.0]), ["−π", "−π/2", "0", "π/2", "π"])


def curve(record: Record, index: int) -> tuple[Real, Real]:
    """Angles in [−π, π) and the density there, rebuilt from the coefficients."""
    rho = record.space.to_nodal(record.coefficients(index))
    theta = record.space.axes["theta"]
    turned = np.where(theta >= np.pi, theta - 2.0 * np.pi, theta)
    order = np.argsort(turned)
    return turned[order], rho[order]


def draw_curves(ax: Axes, record: Record, resolved: bool) -> None:
    """Density against angle on a log axis for the resolved times, or for the others with |ρ| in red where ρ < 0."""
    shown, negative = [], False
    for index, colour in zip(record.shown, time_colours(record), strict=True):
        if record.resolved(index) == resolved:
            theta, rho = curve(record, index)
            ax.plot(theta, np.where(rho > 0.0, rho, np.nan), color=colour, label=time_label(record, index))
            if np.any(rho < 0.0):
                ax.plot(theta, np.where(rho < 0.0, -rho, np.nan), color=WARNING, linewidth=0.8)
                negative = True
            shown.append(np.abs(rho))
    if negative:
        ax.plot([], [], color=WARNING, linewidth=0.8, label=r"$-\rho$ where $\rho<0$")
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


def draw_zoom(ax: Axes, record: Record) -> None:
    """The unresolved densities around the last highest peak, on a linear axis that shows how they oscillate."""
    theta, rho = curve(record, record.shown[-1])
    reach = min(ZOOM / record.space.lmax, 0.5 * np.pi)
    angles = theta[np.argmax(rho)] + reach * np.linspace(-1.0, 1.0, 1001)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    for index, colour in zip(record.shown, time_colours(record), strict=True):
        if not record.resolved(index):
            ax.plot(angles, record.space.evaluate(record.coefficients(index), points), color=colour, linewidth=1.0)
    ax.axhline(0.0, color=WARNING, linewidth=0.8)
    ax.set_xlim(angles[0], angles[-1])
    ax.set_title("around the highest peak", fontsize=8.0)
    ax.set_xlabel(r"angle $\theta$ (radians)")
    ax.set_ylabel(r"$\rho$, linear scale")


@styled
def circle_figure(record: Record) -> Figure:
    """Resolved densities over the angle and around the circle; below them the unresolved ones."""
    kinds = sorted(set(map(record.resolved, record.shown)), reverse=True)
    figure = new_figure(record, 9.6, 1.4 + 2.4 * len(kinds))
    grid = figure.add_gridspec(len(kinds), 2, width_ratios=[1.8, 1.0])
    axes = [figure.add_subplot(grid[row, 0]) for row in range(len(kinds))]
    for ax, resolved in zip(axes, kinds, strict=True):
        draw_curves(ax, record, resolved)
        ax.legend(loc="best")
    ring = figure.add_subplot(grid[0, 1], projection="polar")
    assert isinstance(ring, PolarAxes)
    draw_ring(ring, record)
    ring.set_title(r"around the circle, height $\propto\rho^{1/2}$", fontsize=8.0, pad=8.0)
    if len(kinds) == 2:
        draw_zoom(figure.add_subplot(grid[1, 1]), record)
    axes[-1].set_xlabel(r"angle $\theta$ (radians)")
    return figure
