"""Figures of ``concentration.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from claims.figures import GUIDE, SERIES, TIME_LABEL, canvas, theory, with_bars
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.concentration_runs import SETTINGS, Course
from experiments.concentration_theory import Envelope, Gate

WIDE = 10.0
PANELS = (("circle", "orthogonal", "general"), ("sphere", "sphere orthogonal", "sphere general"))
WITH_MASTER = ("circle", "orthogonal", "sphere", "sphere orthogonal")
"""Settings with B = sO, whose W₂ over time is known in closed form."""
KNOWN = 0.01
"""Relative error bar beyond which a distance is not drawn: the grid has lost the clusters."""


def _shade(k: int, count: int) -> tuple[float, ...]:
    return tuple(colormaps["viridis"](0.9 * k / max(count - 1, 1)))


def _banded(ax: Axes, c: Course, shown: np.ndarray, colour: tuple[float, ...]) -> None:
    """W₂ over time, with the band of its error bars where a companion ran."""
    ax.semilogy(c.t[shown], c.w2[shown], color=colour, label=f"β = {c.beta:g}")
    if c.bar.any():
        low, high = c.w2[shown] - c.bar[shown], c.w2[shown] + c.bar[shown]
        ax.fill_between(c.t[shown], low, high, color=colour, alpha=0.3, linewidth=0.0)


def draw_courses(found: Mapping[str, Sequence[Course]], gates: Mapping[str, Gate]) -> Figure:
    """W₂ over time for every β, on S¹ and S²."""
    rows = [[name for name in row if name in found] for row in PANELS]
    wide = len(rows[0]) > 1
    figure = canvas(1.4 * WIDE, 8.0) if wide else canvas(WIDE, 4.2)
    panels = figure.subplots(2 if wide else 1, len(rows[0]) if wide else 2)
    for ax, name in zip(np.ravel(panels), rows[0] + rows[1], strict=True):
        for k, c in enumerate(found[name]):
            colour = _shade(k, len(found[name]))
            _banded(ax, c, c.bar <= KNOWN * c.w2, colour)
            if name in WITH_MASTER:
                late = c.t[c.t > 1.5 / gates[name].leaving]
                label = "first-order theory" if c is found[name][-1] else None
                theory(ax, late, gates[name].master(c.beta, late), label, linewidth=0.9)
            ax.plot(*c.least, "o", color=colour, markersize=4.0)
        ax.set(xlabel=TIME_LABEL, ylabel=r"$W_2(\rho_t^\beta,\Pi_\#\rho_0)$ (radians)", title=SETTINGS[name].words)
        ax.legend(ncols=2, fontsize=7.5)
    return figure


def draw_minima(
    found: Mapping[str, Sequence[Course]],
    gates: Mapping[str, Gate],
    minima: Sequence[tuple[float, float]],
    turning: float,
) -> Figure:
    """Time of the minimum, and its size, against β; ``turning`` is the slope of t_min in log β with a second phase."""
    figure = canvas(WIDE, 5.0)
    left, right = figure.subplots(1, 2)
    slopes = {"turning": turning, "sphere general": 1.0 / SETTINGS["sphere general"].leaving}
    for k, (name, runs) in enumerate(found.items()):
        colour, betas = SERIES[k], np.array([c.beta for c in runs])
        if name == "plane":
            t, expected = np.array(minima).T
            left.semilogx(betas, t, "s-", color=colour, markersize=4.0, label=f"{SETTINGS[name].words} (surrogate)")
            theory(left, betas, expected, None, color=colour)
            continue
        t, w2 = np.array([c.least for c in runs]).T
        bars = [float(np.interp(at, c.t, c.bar)) for c, at in zip(runs, t, strict=True)]
        left.semilogx(betas, t, "o-", color=colour, markersize=4.0, label=SETTINGS[name].words)
        with_bars(right, betas, w2, bars, "", colour)
        if name in gates:
            gate = gates[name]
            theory(left, betas, np.log(betas) / gate.leaving + gate.since, None, color=colour)
            theory(right, betas, np.sqrt(gate.least / betas), None, color=colour)
        else:
            guide = {"color": colour, "linestyle": "-."}
            theory(left, betas, t[-1] + slopes[name] * np.log(betas / betas[-1]), None, **guide)
            theory(right, betas, w2[-1] * np.sqrt(betas[-1] / betas), None, **guide)
    right.set(xscale="log", yscale="log", title=r"colours as on the left; theory $\sqrt{2\pi y_cD/\beta}$ dashed")
    left.set(xlabel=r"$\beta$ (dimensionless)", ylabel=r"$t_{\min}$ (dimensionless)", title="theory dashed")
    right.set(xlabel=r"$\beta$ (dimensionless)", ylabel=r"$\min_t W_2$ (radians)")
    left.set_ylim(top=1.6 * left.get_ylim()[1])
    left.legend(fontsize=7.0, loc="upper left")
    return figure


def draw_envelope(
    words: str,
    runs: Sequence[Course],
    envelope: Envelope,
    circle: Sequence[Course],
    gate: Gate,
    fixed: tuple[np.ndarray, np.ndarray],
) -> Figure:
    """Data below the fitted bound; what is measured against β."""
    figure = canvas(WIDE, 4.2)
    left, right = figure.subplots(1, 2)
    for k, c in enumerate(runs):
        before = c.t <= c.least[0]
        _banded(left, c, before, _shade(k, len(runs)))
        left.plot(c.t[before], envelope(c.beta, c.t[before]), ":", color=_shade(k, len(runs)))
    left.set(xlabel=TIME_LABEL, ylabel=r"$W_2$ to the limit (radians), until it is least")
    left.set_title(f"{words}: measured, and envelope (dotted)", fontsize=9)
    left.legend(ncols=2, fontsize=7.5)
    betas = np.array([c.beta for c in circle])
    bars = [float(np.interp(c.least[0], c.t, c.bar)) for c in circle]
    with_bars(right, betas, [c.least[1] for c in circle], bars, r"$\min_tW_2$, $B=I$", SERIES[0])
    theory(right, betas, np.sqrt(gate.least / betas), r"$\sqrt{2\pi^2D/3\beta}$")
    right.loglog(*fixed, "s-", color=SERIES[1], label=r"$W_2(\rho_t^\beta,\rho_t^\infty)$ at $t=2$")
    right.loglog(fixed[0], 0.7 * fixed[1][-1] * fixed[0][-1] / fixed[0], "-.", color=GUIDE, label="order −1, a guide")
    bound = np.sqrt(np.log1p(betas) / betas)
    right.loglog(betas, bound, ":", color=GUIDE, label=r"$\sqrt{\log(\beta+1)/\beta}$ of the bound")
    right.set(xlabel=r"$\beta$ (dimensionless)", ylabel="distance (radians)")
    right.set_ylim(bottom=2e-3)
    right.legend(fontsize=8, loc="lower left")
    return figure
