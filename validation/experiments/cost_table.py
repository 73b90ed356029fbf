"""What ``cost.py`` shows: the table of seconds to an accuracy, and errors against seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from claims.figures import GUIDE, SERIES, canvas, theory
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from experiments.cost_methods import Point, System

LEVELS = (1e-2, 1e-4, 1e-6, 1e-8)
CAPTION = (
    "Error of the second moment (filled, solid) and of W₂ to the limit (open, dotted) against processor time of one "
    "thread, each method along its own ladder; dashed what plain tokens cost as N grows, error ~ seconds^(−1/4)."
)
TABLE_CAPTION = (
    "Seconds of processor time to an error in the second moment (M₂) and in W₂ to the limit, interpolated along each "
    "method's ladder. ≤: the cheapest rung is better already; —: no rung reaches it; ?: finer than the reference's own "
    "error bar. Last: the best error and its cost."
)


def plain(system: System) -> str:
    """Its name where no formulas are set."""
    return system.name.replace("$", "")


def seconds_to(level: float, rungs: list[tuple[float, float]], bar: float) -> str:
    """Seconds to an error, interpolated in the ladder of (seconds, error)."""
    if level < bar:
        return "?"
    frontier: list[tuple[float, float]] = []
    for seconds, error in sorted(rungs):
        if not frontier or error < frontier[-1][1]:
            frontier.append((seconds, max(error, bar)))
    reached = next((k for k, (_, error) in enumerate(frontier) if error <= level), None)
    if reached is None:
        return "—"
    if reached == 0:
        return f"≤ {frontier[0][0]:.2g}"
    (s, e), (t, f) = frontier[reached - 1], frontier[reached]
    share = np.log(e / level) / np.log(e / max(f, 1e-300))
    return f"{s * (t / s) ** share:.2g}"


def table(
    found: Mapping[System, Sequence[Point]],
    bars: Mapping[tuple[System, float], tuple[float, float]],
    methods: Sequence[str],
) -> tuple[list[str], list[list[str]]]:
    """Header and rows, one for each system, time and method; ``bars`` are those of the reference."""
    heads = [f"{what} {level}" for what in ("M₂", "W₂") for level in (*(f"{x:.0e}" for x in LEVELS), "best")]
    rows = []
    for (system, points), t in ((item, t) for item in found.items() for t in item[0].times):
        for method in methods:
            here = [p for p in points if p.method == method and p.time == t]
            cost = []
            for column, bar in zip(("moment", "distance"), bars[system, t], strict=True):
                rungs = [(p.seconds, getattr(p, column)) for p in here]
                cost += [seconds_to(level, rungs, bar) for level in LEVELS]
                seconds, best = min(rungs, key=lambda rung: rung[1])
                cost.append(f"{'< ' if best < bar else ''}{max(best, bar):.0e} in {seconds:.2g}")
            rows.append([plain(system), f"{t:.3g}", method, *cost])
    return ["system", "t", "method", *heads], rows


def draw(
    found: Mapping[System, Sequence[Point]],
    bars: Mapping[tuple[System, float], tuple[float, float]],
    methods: Sequence[str],
) -> Figure:
    """A panel for each system and time; grey where the reference itself is not known."""
    panels = [(system, t) for system in found for t in system.times]
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = canvas(3.5 * columns, 2.9 * rows + 0.6)
    axes = np.atleast_1d(figure.subplots(rows, columns, sharey=True)).ravel()
    for ax, (system, t) in zip(axes, panels, strict=False):
        for k, method in enumerate(methods):
            here = [p for p in found[system] if p.method == method and p.time == t]
            seconds = [p.seconds for p in here]
            ax.loglog(seconds, [p.moment for p in here], "o-", color=SERIES[k], markersize=4.0, label=method)
            ax.loglog(seconds, [p.distance for p in here], "o:", color=SERIES[k], markersize=4.0, mfc="none")
            if k == 0:
                later = seconds[0] * np.array([1.0, 30.0])
                law = here[0].moment * (later / later[0]) ** -0.25
                theory(ax, later, law, r"$\propto$ seconds$^{-1/4}$", linewidth=0.9)
        ax.axhspan(1e-16, bars[system, t][0], color="0.93", zorder=0, label="below the reference's error bar ($M_2$)")
        ax.set_title(f"{system.name}, $t$ = {t:.3g}", fontsize=7.5)
        ax.set(ylim=(1e-11, 1.0), xlabel="processor time (s)")
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    for row in range(rows):
        axes[row * columns].set_ylabel("error (dimensionless; $W_2$: radians)")
    for style, what in (("o-", "second moment $M_2$"), ("o:", "$W_2$ to the limit")):
        axes[0].plot([], [], style, color=GUIDE, markersize=4.0, mfc=GUIDE if style == "o-" else "none", label=what)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)
    return figure
