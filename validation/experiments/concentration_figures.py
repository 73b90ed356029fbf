"""Figures of ``concentration.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from claims.figures import GUIDE, SERIES, TIME_LABEL, canvas, theory
from matplotlib import colormaps
from matplotlib.figure import Figure

from experiments.concentration_runs import SETTINGS, Course
from experiments.concentration_theory import Envelope, Gate

WIDE = 10.0
KNOWN = 0.01
"""Relative error bar beyond which a distance is not drawn: the grid has lost the clusters."""


def _shade(k: int, count: int) -> tuple[float, ...]:
    return tuple(colormaps["viridis"](0.9 * k / max(count - 1, 1)))


def draw_courses(found: Mapping[str, Sequence[Course]], gates: Mapping[str, Gate]) -> Figure:
    """W₂ over time for every β, on S¹ and S²."""
    figure = canvas(WIDE, 4.2)
    for ax, name in zip(figure.subplots(1, 2), ("circle", "sphere"), strict=True):
        for k, c in enumerate(found[name]):
            known = c.bar <= KNOWN * c.w2
            ax.semilogy(c.t[known], c.w2[known], color=_shade(k, len(found[name])), label=f"β = {c.beta:g}")
            late = c.t[c.t > 1.5 / gates[name].leaving]
            theory(
                ax,
                late,
                gates[name].master(c.beta, late),
                "first-order theory" if c is found[name][-1] else None,
                linewidth=0.9,
            )
            ax.plot(*c.least, "o", color=_shade(k, len(found[name])), markersize=4.0)
        ax.set(xlabel=TIME_LABEL, ylabel=r"$W_2(\rho_t^\beta,\Pi_\#\rho_0)$ (radians)", title=SETTINGS[name].words)
        ax.legend(ncols=2, fontsize=7.5)
    return figure


def draw_minima(
    found: Mapping[str, Sequence[Course]], gates: Mapping[str, Gate], minima: Sequence[tuple[float, float]]
) -> Figure:
    """Time of the minimum, and its size, against β."""
    figure = canvas(WIDE, 4.4)
    left, right = figure.subplots(1, 2)
    for k, (name, runs) in enumerate(found.items()):
        if name == "plane":
            continue
        betas, (t, w2) = np.array([c.beta for c in runs]), np.array([c.least for c in runs]).T
        left.semilogx(betas, t, "o-", color=SERIES[k], markersize=4.0, label=SETTINGS[name].words)
        right.loglog(betas, w2, "o-", color=SERIES[k], markersize=4.0)
        if name in gates:
            gate, first = gates[name], k == 0
            theory(left, betas, np.log(betas) / gate.leaving + gate.since, "theory (dashed)" if first else None)
            theory(right, betas, np.sqrt(gate.least / betas), r"theory, $\sqrt{2\pi y_cD/\beta}$" if first else None)
    betas = np.array([c.beta for c in found["plane"]])
    measured, ideal = np.array(minima).T
    left.plot(betas, measured, "s-", color=SERIES[len(found) - 1], markersize=4.0, label=SETTINGS["plane"].words)
    theory(left, betas, ideal, None)
    left.set(xlabel=r"$\beta$ (dimensionless)", ylabel=r"$t_{\min}$ (dimensionless)")
    right.set(xlabel=r"$\beta$ (dimensionless)", ylabel=r"$\min_t W_2$ (radians)", title="colours as on the left")
    left.set_ylim(top=1.4 * left.get_ylim()[1])
    for ax in (left, right):
        ax.legend(fontsize=7.0, loc="upper left" if ax is left else "upper right")
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
        left.semilogy(c.t[before], c.w2[before], color=_shade(k, len(runs)), label=f"β = {c.beta:g}")
        left.plot(c.t[before], envelope(c.beta, c.t[before]), ":", color=_shade(k, len(runs)))
    left.set(xlabel=TIME_LABEL, ylabel=r"$W_2$ to the limit (radians), until it is least")
    left.set_title(f"{words}: measured, and envelope (dotted)", fontsize=9)
    left.legend(ncols=2, fontsize=7.5)
    betas = np.array([c.beta for c in circle])
    right.loglog(betas, [c.least[1] for c in circle], "o-", color=SERIES[0], label=r"$\min_tW_2$, $B=I$")
    theory(right, betas, np.sqrt(gate.least / betas), r"$\sqrt{2\pi^2D/3\beta}$")
    right.loglog(*fixed, "s-", color=SERIES[1], label=r"$W_2(\rho_t^\beta,\rho_t^\infty)$ at $t=2$")
    theory(right, fixed[0], fixed[1][-1] * fixed[0][-1] / fixed[0], "order −1")
    bound = np.sqrt(np.log1p(betas) / betas)
    right.loglog(betas, bound, ":", color=GUIDE, label=r"$\sqrt{\log(\beta+1)/\beta}$ of the bound")
    right.set(xlabel=r"$\beta$ (dimensionless)", ylabel="distance (radians)")
    right.set_ylim(bottom=2e-3)
    right.legend(fontsize=8, loc="lower left")
    return figure
