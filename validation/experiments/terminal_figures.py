"""The figures of terminal_phase.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from claims import Measured, canvas, with_bars
from claims.figures import GUIDE, SERIES, THEORY, TIME_LABEL, theory
from matplotlib.figure import Figure

from experiments.two_clusters import Pair


class Threshold(NamedTuple):
    """Rates of pairs measured around their zero, β by β, and where theory has it."""

    betas: Sequence[float]
    measured: Sequence[Measured]
    pairs: Sequence[Pair]
    exact: float


class Recurrence(NamedTuple):
    """W₂(ρ_t, ρ_{t+T/4}) over time, with error bars."""

    times: Sequence[float]
    distances: np.ndarray
    bars: np.ndarray


def draw_rates(found: Mapping[str, tuple[float, Measured]]) -> Figure:
    """Measured rates against theory, and how far off they are."""
    figure = canvas(8.6, 3.8)
    left, right = figure.subplots(1, 2)
    names = ("aligned", "opposite", "negative")
    words = {"aligned": "aligned", "opposite": "opposite", "negative": "negative definite"}
    ends = [min(value for value, _ in found.values()) - 0.1, max(value for value, _ in found.values()) + 0.1]
    theory(left, ends, ends, "theory (C6)")
    for k, name in enumerate(names):
        rows = [(value, one) for key, (value, one) in found.items() if key.startswith(name)]
        if not rows:
            continue
        for shape, chosen in (("o", "displacement"), ("s", "width")):
            some = [
                (value, one)
                for (key, (value, one)) in found.items()
                if key.startswith(name) and ("width" in key) == (chosen == "width")
            ]
            if some:
                x, y, bars = np.array([(value, one.value, one.bar) for value, one in some]).T
                label = f"{words[name]}: {chosen}s"
                with_bars(left, x, y, bars, label, SERIES[k], fmt=shape, markerfacecolor="none")
        x, off, bars = np.array([(value, abs(one.value - value), one.bar) for value, one in rows]).T
        right.semilogy(x, bars, "_", color=SERIES[k], markersize=9, label=f"{words[name]}: error bar")
        right.semilogy(
            x, np.maximum(off, 1e-12), "o", color=SERIES[k], markersize=4, label=f"{words[name]}: difference"
        )
    left.set(xlabel="rate by theory (1/time)", ylabel="rate measured in the mean field (1/time)")
    right.set(xlabel="rate by theory (1/time)", ylabel="measured − theory, absolute (1/time)")
    left.legend(fontsize=7)
    right.set_ylim(top=right.get_ylim()[1] * 300.0)
    right.legend(fontsize=7, ncols=2, loc="upper right")
    return figure


def draw_thresholds(curves: Mapping[str, Threshold]) -> Figure:
    """Rates against β around their zeros."""
    figure = canvas(4.2 * len(curves), 3.6)
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for ax, (what, (betas, measured, pairs, exact)) in zip(panels, curves.items(), strict=True):
        first = pairs[0]
        fine = np.linspace(betas[0] - 0.05, betas[-1] + 0.05, 60)
        some = [Pair(first.values, first.keys, float(beta), first.mass) for beta in fine]
        heavy = first.mass != 0.5
        theory(ax, fine, [pair.widening[0] if heavy else pair.rates()[0] for pair in some], "theory")
        values, bars, _ = zip(*measured, strict=True)
        with_bars(ax, betas, values, bars, "mean field", SERIES[0], fmt="o")
        ax.axhline(0.0, color=GUIDE, linewidth=0.8)
        ax.axvline(exact, linestyle=":", color=THEORY, label=rf"$\beta^*$ = {exact:.4f}")
        ax.set(xlabel=r"$\beta$ (dimensionless)", ylabel="growth rate (1/time)")
        ax.set_title(what.split(":")[0], fontsize=9)
        ax.legend()
    return figure


def draw_rotation(found: Mapping[str, Recurrence]) -> Figure:
    """W₂ over time."""
    figure = canvas(5.2, 3.6)
    ax = figure.subplots()
    for k, (name, (times, values, bars)) in enumerate(found.items()):
        with_bars(ax, times, values, bars, name, SERIES[k])
    ax.axhline(0.5 * np.pi, linestyle="--", color=THEORY, label=r"one cluster: $\pi/2$")
    ax.set(xlabel=TIME_LABEL, ylabel=r"$W_2(\rho_t,\rho_{t+T/4})$ (radians)", ylim=(0.0, 1.8))
    ax.set_title("$V=I+J$, $B=I$, $S^1$", fontsize=9)
    ax.legend(loc="lower right")
    return figure
