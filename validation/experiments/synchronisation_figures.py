"""Figures of synchronisation.py."""

from __future__ import annotations

import numpy as np
from claims import Measured
from claims.figures import SERIES, TIME_LABEL, canvas, theory, with_bars
from matplotlib.figure import Figure

from experiments.polar_angle import PolarRun
from experiments.synchronisation_flows import ATTENTION, OnSphere


def draw_distances(
    found: dict[tuple[str, float], np.ndarray], sphere: OnSphere, polar: dict[tuple[int, str], PolarRun]
) -> Figure:
    """W₂² to the nearest Dirac over time in all dimensions, and the factor t of the resonance."""
    figure = canvas(10.2, 3.5)
    axes = figure.subplots(1, 3)
    for ax, attention in zip(axes, ATTENTION, strict=False):
        further = polar[4, attention]
        curves = [found[attention, 1.0], sphere.rows[attention], np.column_stack([further.times, further.squared])]
        for k, (dim, rows) in enumerate(zip((2, 3, 4), curves, strict=True)):
            t, squared = rows[:, 0], rows[:, 1]
            rate = min(dim - 1, 2) if attention == "softmax" else (dim - 1) / np.e
            ax.semilogy(t, squared, color=SERIES[k], label=f"$S^{dim - 1}$")
            grows = t / t[-1] if (dim, attention) == (3, "softmax") else np.ones_like(t)
            late = t > 0.3 * t[-1]
            guide = squared[-1] * np.exp(-rate * (t - t[-1])) * grows
            theory(ax, t[late], 2.5 * guide[late], "theory (shifted)" if dim == 4 else None)
        ax.set(xlabel=TIME_LABEL, title=f"{attention}, $\\beta$ = 1", ylim=(1e-11, 4.0))
        ax.set_ylabel(r"$W_2^2(\rho_t,\delta_{m/|m|})$ (chordal, dimensionless)")
        ax.legend()
    ax, rows, resonant = axes[2], sphere.rows["softmax"], sphere.resonant
    scale, t = np.exp(2.0 * rows[:, 0]), resonant.times
    bars = sphere.bars["softmax"][:, 1] * scale
    with_bars(ax, rows[:, 0], rows[:, 1] * scale, bars, "adaptive nodes", SERIES[0], fmt="-")
    ax.plot(
        t[::8], (resonant.squared * np.exp(2.0 * t))[::8], "o", color=SERIES[1], markersize=3.5, label="polar angles"
    )
    slope = 32.0 * np.pi * resonant.antipode[-1] * np.exp(2.0 * t[-1])
    line = resonant.squared[-1] * np.exp(2.0 * t[-1]) + slope * (t - t[-1])
    theory(ax, t[line > 0.0], line[line > 0.0], r"slope $32\pi G$ (polar angles)")
    ax.set(xlabel=TIME_LABEL, ylabel=r"$W_2^2\,e^{2t}$ (dimensionless)", title="$S^2$, softmax: the factor $t$")
    ax.legend(loc="upper left", fontsize=7)
    return figure


def draw_quotients(
    found: dict[tuple[str, float], np.ndarray],
    late: dict[float, Measured],
    sphere: OnSphere,
    two: tuple[np.ndarray, list[Measured], float],
) -> Figure:
    """PL quotients along the flow, and the two clusters at β = 2."""
    figure = canvas(8.4, 3.5)
    left, right = figure.subplots(1, 2)
    left.set_yscale("log")
    rows, bars = sphere.rows["unnormalised"], sphere.bars["unnormalised"]
    quotient = rows[1:, 3] / rows[1:, 2]
    doubt = quotient * (bars[1:, 3] / rows[1:, 3] + bars[1:, 2] / rows[1:, 2])
    with_bars(left, rows[1:, 0], quotient, doubt, r"$S^2$, $\beta$ = 1", SERIES[0], fmt="-")
    theory(left, [0.0, rows[-1, 0]], [2.0 / np.e] * 2, r"$(d-1)e^{-\beta}$")
    for k, (beta, end) in enumerate(late.items(), 1):
        rows = found["unnormalised", beta]
        t = rows[1:, 0]
        left.plot(t, rows[1:, 3] / rows[1:, 2], color=SERIES[k], label=f"$S^1$, $\\beta$ = {beta:g}")
        with_bars(left, [0.9 * t[-1]], [end.value], end.bar, None, SERIES[k], fmt="o")
        theory(left, [0.0, t[-1]], [np.exp(-beta)] * 2, None)
    theory(left, [0.0, 26.0], [2.0 * np.e] * 2, r"$2e^\beta$, a cap, $\beta$ = 1", dashes=(1, 2))
    left.set(xlabel=TIME_LABEL, ylabel=r"$\int|v|^2d\rho\,/\,(E_{\max}-E)$ (dimensionless)", ylim=(0.1, 8.0))
    left.set_title("unnormalised, from positive densities")
    left.set_yticks([0.1, 0.2, 0.5, 1.0, 2.0, 5.0], ["0.1", "0.2", "0.5", "1", "2", "5"])
    left.minorticks_off()
    left.legend(ncols=2, fontsize=7, loc="lower right")
    rows, ends, behind = two
    t = rows[:, 0]
    for k, (label, end) in enumerate(zip((r"$\int|x-e_1|^2d\rho$", "mass with $x_1<0$"), ends, strict=True)):
        right.plot(t, rows[:, 1 + k], color=SERIES[k], label=label)
        with_bars(right, t[-1:], [end.value], end.bar, None, SERIES[k], fmt="o")
    theory(right, [0.0, t[-1]], [4.0 * behind] * 2, "by other code: the mass beyond\nthe separatrix, and 4 times it")
    theory(right, [0.0, t[-1]], [behind] * 2, None)
    right.set(xlabel=TIME_LABEL, ylabel="dimensionless", title=r"unnormalised, $\beta$ = 2: two clusters remain")
    right.legend()
    return figure
