"""Distance of the density to the dominant eigenspace E, beside the predicted rate."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..summary import wasserstein_bounds
from ..verdict import measured_rate
from .marks import Mark, draw_marks, horizons
from .record import Real, Record
from .style import COMPONENTS, GUIDE, INK, THEORY, draw_trusted, log_limits, new_figure, styled, time_axis

GEODESIC, CHORDAL = COMPONENTS[0], COMPONENTS[2]
VISIBLE = 1.05
"""The upper bound on the distance to the limit measure is drawn where it differs by more than this factor."""


def upper_bound(record: Record) -> Real | None:
    """Upper bound on W₂(ρ_t, Π♯ρ₀) where there is one: a single symmetric head, dim E = 1, a run with error bars."""
    if record.target is None or not record.target.symmetric:
        return None
    bounds = wasserstein_bounds(record.series)
    return None if bounds is None else bounds[1]


def draw_distance(ax: Axes, record: Record) -> None:
    """Geodesic and chordal distance, the fitted window and the predicted rate, with log β on top."""
    t, geodesic = record.t, record.series["distance_to_E"]
    upper = upper_bound(record)
    for name, words, colour in (("distance_to_E", "geodesic", GEODESIC), ("distance_to_E_chordal", "chordal", CHORDAL)):
        distance, bar = record.series[name], record.error(name)
        if bar is not None:
            lowest = np.maximum(distance - bar, 1e-3 * distance)  # a log axis has no zero
            ax.fill_between(t, lowest, distance + bar, color=colour, alpha=0.3, linewidth=0.0)
        draw_trusted(ax, t, distance, record.velocity_horizon, color=colour, label=f"to $E$, {words}")
    shown = [geodesic, record.series["distance_to_E_chordal"]]
    if upper is not None and np.any(upper > VISIBLE * geodesic):
        ax.plot(
            t,
            upper,
            color=GEODESIC,
            linewidth=0.9,
            linestyle=":",
            label=r"bound on $W_2(\rho_t,\Pi_\sharp\rho_0)$, geodesic",
        )
        shown.append(upper)
    log_limits(ax, *shown)
    time_axis(ax, record)
    _draw_rates(ax, record)
    marks = horizons(record)
    if record.log_beta is not None:
        log_beta = record.log_beta
        top = ax.secondary_xaxis(
            "top", functions=(partial(np.multiply, 1.0 / log_beta), partial(np.multiply, log_beta))
        )
        top.set_xlabel(r"$t\,/\log\beta$")
        marks.append(Mark(log_beta, r"$t=\log\beta$", THEORY))
    ax.set_ylabel(r"distance  $W_2(\rho_t,\,E)$")
    draw_marks(ax, marks, label=True, places=("top", "center"))
    ax.legend(loc="lower left")


def _draw_rates(ax: Axes, record: Record) -> None:
    """The measured rate over its window, and the predicted one as a line through the middle of it."""
    t, distance, window = record.t, record.series["distance_to_E"], record.window
    if window is None or not np.all(distance[(t >= window[0]) & (t <= window[1])] > 0.0):
        return
    seen = measured_rate(t, distance, window)
    ax.axvspan(*window, color=GUIDE, alpha=0.1, linewidth=0.0, label=f"measured rate {seen:.4f}")
    if record.rate is None:
        return
    middle = int(np.argmin(np.abs(t - 0.5 * sum(window))))
    reach = np.array([max(t[0], 1.5 * window[0] - 0.5 * window[1]), min(t[-1], 1.5 * window[1] - 0.5 * window[0])])
    line = 0.8 * distance[middle] * np.exp(-record.rate * (reach - t[middle]))
    ax.plot(reach, line, color=INK, linestyle="--", linewidth=1.0, label=f"predicted rate {record.rate:.4f}")


def _draw_local_rate(ax: Axes, record: Record) -> None:
    t = record.t
    for name, colour in (("distance_to_E_chordal", CHORDAL), ("distance_to_E", GEODESIC)):
        distance = record.series[name]
        if len(t) > 1 and np.all(distance > 0.0):
            draw_trusted(ax, t, -np.gradient(np.log(distance), t), record.velocity_horizon, color=colour)
    if record.rate is not None:
        ax.axhline(record.rate, color=INK, linestyle="--", linewidth=1.0)
    ax.set_ylabel(r"$-d\log W_2/dt$")


def _draw_bars(ax: Axes, record: Record) -> None:
    bars = {name: record.error(name) for name in ("distance_to_E", "distance_to_E_chordal")}
    known = [bar for bar in bars.values() if bar is not None]
    for bar, colour in zip(known, (GEODESIC, CHORDAL), strict=False):
        draw_trusted(ax, record.t, bar, None, color=colour)
    if not (known and log_limits(ax, *known, decades=6.0)):
        ax.text(0.5, 0.5, "no companion run: no error bar", transform=ax.transAxes, ha="center", va="center", color=INK)
        ax.set_yticks([])
    ax.set_ylabel("error bar")


@styled
def distance_figure(record: Record) -> Figure:
    """Distance to E, its local rate of decay and its error bar."""
    figure = new_figure(record, 6.6, 6.8)
    main, rate, bars = figure.subplots(3, 1, height_ratios=[3.0, 1.2, 1.2])
    draw_distance(main, record)
    _draw_local_rate(rate, record)
    _draw_bars(bars, record)
    for ax in (main, rate, bars):
        time_axis(ax, record, label=ax is bars)
        if ax is not main:
            draw_marks(ax, horizons(record))
    main.set_xlabel("")
    return figure
