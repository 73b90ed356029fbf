"""The figures of metastability.py."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
from claims import Measured, canvas, with_bars
from claims.figures import GUIDE, SERIES, TIME_LABEL, theory
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.crossovers import Crossover, Setting

Exits = dict[str, tuple[dict[float, Measured], dict[tuple[float, int], dict[str, Measured]]]]


def powers_of_two(ax: Axes, betas: list[float]) -> None:
    """A logarithmic axis of β with a tick at each."""
    ax.set_xscale("log")
    ax.set_xticks(betas, [f"{beta:g}" for beta in betas], fontsize=8)
    ax.minorticks_off()
    ax.set_xlabel(r"$\beta$ (dimensionless)")


def draw_lifetimes(
    rates: dict[float, Measured],
    rate: Callable[[float], float],
    merging: dict[float, Measured],
    merger: Callable[[float], float],
    keys: tuple[float, float],
) -> Figure:
    """Rates and times against β."""
    figure = canvas(8.4, 3.6)
    left, right = figure.subplots(1, 2)
    rows = ((left, rates, rate, r"$\lambda(1-\tanh\beta b)$"), (right, merging, merger, r"two points, by quadrature"))
    for ax, measured, predicted, label in rows:
        fine = np.linspace(min(measured) - 0.2, max(measured) + 0.2, 60)
        values, bars, _ = zip(*measured.values(), strict=True)
        with_bars(ax, list(measured), values, bars, "mean field", SERIES[0], fmt="o")
        theory(ax, fine, [predicted(float(beta)) for beta in fine], label)
        ax.set(yscale="log", xlabel=r"$\beta$ (dimensionless)")
        ax.legend()
    left.set(ylabel="rate of escape (1/time, dimensionless)", title=f"$V=I$, $B$ = diag({keys[0]:g}, {keys[1]:g})")
    right.set(ylabel="time until at a right angle (dimensionless)", title="$V=B=I$")
    return figure


def draw_crossovers(found: dict[Setting, list[Crossover]]) -> Figure:
    """Displacements over time for the first setting, and t_turn against β for all."""
    figure = canvas(9.6, 4.6)
    left, right = figure.subplots(1, 2)
    setting, runs = next(iter(found.items()))
    for k, one in enumerate(runs):
        shade = 0.25 + 0.75 * (k + 1) / len(runs)
        left.semilogy(one.t, one.displacement, color=SERIES[0], alpha=shade, label=f"β = {one.beta:g}")
        left.plot(one.turn, one.least, "o", color=SERIES[1], markersize=4.0, label="turn" if k == 0 else None)
    last = runs[-1]
    after = last.t[(last.t > last.turn + 2.0) & (last.displacement < 1.0)]
    start = 0.6 * np.interp(after[0], last.t, last.displacement)
    theory(left, after, start * np.exp(setting.escape * (after - after[0])), f"rate $v_2-v_1$ = {setting.escape:.3g}")
    left.set(xlabel=TIME_LABEL, ylabel="displacement of the cluster at $e_1$ (tangent)", xlim=(0.0, after[-1] + 1.0))
    left.set_title(str(setting), fontsize=9)
    left.legend(fontsize=7)
    for k, (case, several) in enumerate(found.items()):
        betas, turns = np.array([run.beta for run in several]), np.array([run.turn for run in several])
        marker = "o" if len(case.values) == 2 else "s"
        with_bars(right, betas, turns, 0.0, str(case), SERIES[k % len(SERIES)], fmt=marker)
        line = turns[-1] + 0.5 / case.contraction * np.log(betas / betas[-1])
        theory(right, betas, line, "slope 1/(2c)" if k == len(found) - 1 else None)
    powers_of_two(right, sorted({run.beta for several in found.values() for run in several}))
    right.set(ylabel=r"$t_{\mathrm{turn}}$ (dimensionless)")
    right.set_ylim(top=right.get_ylim()[1] + 0.45 * np.ptp(right.get_ylim()))
    right.legend(fontsize=7, loc="upper left")
    return figure


def draw_exits(found: Exits) -> Figure:
    """Exit time against β, one panel for each S."""
    figure = canvas(3.6 * len(found) + 0.8, 4.0)
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for ax, (name, (times, tokens)) in zip(panels, found.items(), strict=True):
        exact = list(times.values())
        with_bars(ax, list(times), [m.value for m in exact], [m.bar for m in exact], "mean field", "k", fmt="s-")
        counts = sorted({count for _, count in tokens})
        for k, (count, kind) in enumerate(product(counts, ("at quantiles", "independent"))):
            chosen = [(beta, kinds[kind]) for (beta, number), kinds in tokens.items() if number == count]
            values, bars = [m.value for _, m in chosen], [m.bar for _, m in chosen]
            line, label = "o--" if kind == "at quantiles" else "^:", f"{count} tokens, {kind}"
            with_bars(ax, [beta for beta, _ in chosen], values, bars, label, SERIES[k // 2], fmt=line)
        powers_of_two(ax, list(times))
        ax.set(yscale="log")
        low, high = ax.get_ylim()
        ticks = [tick for tick in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48) if low < tick < high]
        ax.set_yticks(ticks, [str(tick) for tick in ticks])
        ax.minorticks_off()
        ax.set_title(name, fontsize=9)
    panels[0].set_ylabel("exit time (dimensionless)")
    panels[-1].legend(fontsize=7, loc="lower right")
    return figure


def draw_floors(found: dict[str, tuple[np.ndarray, np.ndarray]], setting: Setting, count: int) -> Figure:
    """Distance to E over time, density and tokens."""
    figure = canvas(6.4, 4.0)
    ax = figure.subplots()
    names = {
        "density": "mean field (adaptive nodes)",
        "quantiles": f"{count} tokens at quantiles",
        "independent": f"{count} independent tokens",
    }
    for k, (name, (t, values)) in enumerate(found.items()):
        ax.semilogy(t, values, color=SERIES[k], label=names[name])
    t, values = found["density"]
    middle = t[(values < 0.3) & (values > 2e-2)]
    line = 0.6 * np.interp(middle[0], t, values) * np.exp(-setting.contraction * (middle - middle[0]))
    theory(ax, middle, line, f"$e^{{-ct}}$ until the cluster collapses, $c$ = {setting.contraction:g}")
    stuck = 0.5 * np.pi / np.sqrt(count)
    ax.axhline(stuck, linestyle=":", color=GUIDE, label=r"one token stuck at $e_2$: $\frac{\pi}{2}N^{-1/2}$")
    ax.set(xlabel=TIME_LABEL, ylabel="root mean square angle to $E$ (radians)")
    ax.legend(fontsize=8)
    return figure
