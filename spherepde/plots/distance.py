"""Distances of the density to its low-temperature limit, with bounds and rates; to E if only that was recorded."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..phases import DISTANCE_TOLERANCE, usable
from ..summary import RECORDED, wasserstein_bounds
from .marks import Mark, draw_marks, horizons
from .rates import draw_phases, draw_rate_levels, draw_terminal_window, phases_of
from .record import Real, Record
from .style import COMPONENTS, INK, THEORY, draw_trusted, log_limits, new_figure, styled, time_axis

COLOURS = {"geodesic": COMPONENTS[0], "chordal": COMPONENTS[2]}
TO_E = {"geodesic": "distance_to_E", "chordal": "distance_to_E_chordal"}
VISIBLE = 1.05
"""The bound from the distance to E is drawn if it is above it by this factor."""
MANY = 6
"""A legend of more entries hides curves, and goes below the axes."""
ROUNDING = 1e-12
"""Bounds that are apart by no more than this are the same."""


class Curve(NamedTuple):
    """A distance over the times of a record (n,), NaN where it was not computed; None for what was not recorded.

    ``lower`` and ``upper`` bound it, the error bars of a run included; ``gap`` is what they are apart without error
    bars, ``bar`` the error bar of the value. It is trusted ``until`` a time: the velocity horizon, or when its own
    error bar passes 5 % of it (None: to the end).
    """

    ground: str
    values: Real
    lower: Real | None
    upper: Real | None
    gap: Real | None
    bar: Real | None
    until: float | None


def curves(record: Record, p: int) -> list[Curve]:
    """W_p to the limit measure, geodesic and chordal; for a record without, W₂ to E (and nothing for p = 1)."""
    if record.has_limit:
        return [_to_limit(record, f"wasserstein_{p}_{ground}", ground) for ground in COLOURS]
    return [_to_eigenspace(record, name, ground) for ground, name in TO_E.items()] if p == 2 else []


def _to_limit(record: Record, name: str, ground: str) -> Curve:
    lower, upper = (record.series.get(f"{name}_{side}") for side in ("lower", "upper"))
    gap = None if lower is None or upper is None else upper - lower
    with_bars = wasserstein_bounds(record.series) if name == RECORDED else None
    bar = record.error(name)
    if with_bars is not None:
        lower, upper = with_bars
    elif lower is not None and upper is not None and bar is not None:
        lower, upper = np.maximum(lower - bar, 0.0), upper + bar
    return Curve(ground, record.series[name], lower, upper, gap, bar, _trusted_until(record, record.series[name], bar))


def _to_eigenspace(record: Record, name: str, ground: str) -> Curve:
    values, bar = record.series[name], record.error(name)
    if bar is None:
        return Curve(ground, values, None, None, None, None, record.velocity_horizon)
    until = _trusted_until(record, values, bar)
    return Curve(ground, values, np.maximum(values - bar, 0.0), values + bar, None, bar, until)


def _trusted_until(record: Record, values: Real, bar: Real | None) -> float | None:
    """The velocity horizon, or an earlier time from which the error bar exceeds 5 % of the value."""
    lost = np.zeros(0, int) if bar is None else np.flatnonzero(bar > DISTANCE_TOLERANCE * np.abs(values))
    own = float(record.t[lost[0]]) if lost.size else np.inf
    horizon = np.inf if record.velocity_horizon is None else record.velocity_horizon
    until = min(own, horizon)
    return None if np.isinf(until) else until


def upper_bound(record: Record) -> Real | None:
    """Upper bound on W₂(ρ_t, Π♯ρ₀) from the distance to E: a symmetric head, dim E = 1, a run with error bars."""
    if record.target is None or not record.target.symmetric:
        return None
    bounds = wasserstein_bounds(record.series)
    return None if bounds is None else bounds[1]


def name_of(record: Record, p: int) -> str:
    """The distance as the axes name it."""
    return rf"W_{p}(\rho_t,\,\Pi_\sharp\rho_0)" if record.has_limit else rf"W_{p}(\rho_t,\,E)"


def _draw_curves(ax: Axes, record: Record, p: int) -> None:
    """The distances with the bounds of the geodesic one as a band."""
    shown: list[Real] = []
    for curve in curves(record, p):
        colour = COLOURS[curve.ground]
        t, values = usable(record.t, curve.values)
        if curve.ground == "geodesic" and curve.lower is not None and curve.upper is not None:
            known = np.isfinite(curve.lower) & np.isfinite(curve.upper)
            top = curve.upper[known]
            bottom = np.maximum(curve.lower[known], 1e-3 * top)  # a log axis has no zero
            words = "bounds, geodesic" if record.has_limit else "error bar, geodesic"
            ax.fill_between(record.t[known], bottom, top, color=colour, alpha=0.22, linewidth=0.0, label=words)
            shown.append(top)
        draw_trusted(ax, t, values, curve.until, color=colour, label=curve.ground)
        shown.append(values)
    upper = None if record.has_limit else upper_bound(record)
    if upper is not None and np.any(upper > VISIBLE * record.series["distance_to_E"]):
        words = r"bound on $W_2(\rho_t,\Pi_\sharp\rho_0)$, geodesic"
        ax.plot(record.t, upper, color=COLOURS["geodesic"], linewidth=0.9, linestyle=":", label=words)
        shown.append(upper)
    log_limits(ax, *shown)
    ax.set_ylabel(f"${name_of(record, p)}$")


def draw_distance(ax: Axes, record: Record, p: int = 2, *, brief: bool = False) -> None:
    """W_p with its bounds and the fitted rates; for p = 2 also the predicted one, the metastable window and log β.

    ``brief`` says less, and keeps the legend inside the axes.
    """
    _draw_curves(ax, record, p)
    time_axis(ax, record)
    geodesic = curves(record, p)[0]
    found = phases_of(record, geodesic.values, geodesic.until)
    if found is not None:
        draw_phases(ax, record, found, predicted=record.rate if p == 2 else None, window=p == 2, brief=brief)
    marks = horizons(record) + draw_terminal_window(ax, record, after=found if p == 2 else None, named=p == 2)
    if record.log_beta is not None:
        marks.append(Mark(record.log_beta, r"$t=\log\beta$", THEORY))
    draw_marks(ax, marks, label=p == 2, places=("top", "center"))
    if brief and len(ax.get_legend_handles_labels()[1]) > MANY:
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.24), ncols=3, fontsize=7.0)
    elif brief:
        ax.legend(loc="best", fontsize=7.0)
    else:
        _legend_outside(ax)
    if p == 2:
        _draw_top_axis(ax, record)


def _draw_top_axis(ax: Axes, record: Record) -> None:
    if record.log_beta is not None:
        scale = record.log_beta
        top = ax.secondary_xaxis("top", functions=(partial(np.multiply, 1.0 / scale), partial(np.multiply, scale)))
        top.set_xlabel(r"$t\,/\log\beta$")


def _draw_local_rate(ax: Axes, record: Record) -> None:
    """−d log W/dt of the recorded distances, beside the predicted and the fitted rates."""
    for p, look in ((1, ":"), (2, "-")):
        for curve in curves(record, p):
            t, values = usable(record.t, curve.values)
            if len(t) > 1 and (p == 2 or curve.ground == "geodesic"):
                rate, label = -np.gradient(np.log(values), t), f"$W_{p}$, {curve.ground}"
                colour = COLOURS[curve.ground]
                draw_trusted(ax, t, rate, curve.until, color=colour, linestyle=look, label=label)
    geodesic = curves(record, 2)[0]
    draw_rate_levels(ax, record, phases_of(record, geodesic.values, geodesic.until))
    ax.set_ylabel(r"$-d\log W/dt$")
    _legend_outside(ax)


def _draw_uncertainty(ax: Axes, record: Record) -> None:
    """How far the two bounds of W₂ are apart, and the error bars of its value."""
    drawn: list[Real] = []
    for curve in curves(record, 2):
        colour = COLOURS[curve.ground]
        if curve.gap is not None and np.any(curve.gap > ROUNDING):
            t, gap = usable(record.t, np.maximum(curve.gap, ROUNDING))
            draw_trusted(ax, t, gap, record.velocity_horizon, color=colour, label=f"upper − lower, {curve.ground}")
            drawn.append(gap)
        if curve.bar is not None:
            t, bar = usable(record.t, curve.bar)
            draw_trusted(ax, t, bar, None, color=colour, linestyle=":", label=f"error bar, {curve.ground}")
            drawn.append(bar)
    if not (drawn and log_limits(ax, *drawn, decades=10.0)):
        ax.text(0.5, 0.5, "no companion run: no error bar", transform=ax.transAxes, ha="center", va="center", color=INK)
        ax.set_yticks([])
    else:
        _legend_outside(ax)
    ax.set_ylabel("uncertainty of $W_2$")


def _legend_outside(ax: Axes) -> None:
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0.0)


@styled
def distance_figure(record: Record) -> Figure:
    """W₂ and W₁ to the limit measure with their bounds, the local rate of decay, and what is uncertain."""
    first = curves(record, 1)
    figure = new_figure(record, 8.2, 8.4 if first else 6.8)
    ratios = [3.0, *([1.8] if first else []), 1.4, 1.2]
    panels = list(figure.subplots(len(ratios), 1, height_ratios=ratios))
    main, rate, uncertainty = panels[0], panels[-2], panels[-1]
    draw_distance(main, record)
    if first:
        draw_distance(panels[1], record, 1)
    _draw_local_rate(rate, record)
    _draw_uncertainty(uncertainty, record)
    for ax in panels:
        time_axis(ax, record, label=ax is uncertainty)
    for ax in (rate, uncertainty):
        draw_marks(ax, horizons(record))
    for ax in panels[:-1]:
        ax.set_xlabel("")
    return figure
