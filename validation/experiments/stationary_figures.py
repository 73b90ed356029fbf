"""Figures of stationary.py."""

from __future__ import annotations

import numpy as np
from claims.figures import SERIES, canvas, theory, with_bars
from matplotlib.figure import Figure
from scipy.special import iv

from experiments.stationary_flows import minimiser


def draw_thresholds(found: dict[str, np.ndarray]) -> Figure:
    """Final energies and rates of the pair's tilt against d."""
    figure = canvas(8.4, 3.4)
    left, right = figure.subplots(1, 2)
    d, fine = found["d"], np.linspace(found["d"][0] - 0.02, found["d"][-1] + 0.02, 60)
    for k, (ends, label) in enumerate((("single", "one cluster on $e_2$"), ("pair", "a pair on $\\pm e_1$"))):
        late, before = found[ends].T
        with_bars(left, d, late, np.abs(late - before) + 1e-9, label, SERIES[k], fmt="os"[k])
    theory(left, fine, np.exp(fine), r"$e^d$, $\cosh 1$")
    theory(left, fine, np.full_like(fine, np.cosh(1.0)), None)
    left.axvline(np.log(np.cosh(1.0)), linestyle=":", color="0.5", label=r"$d=\ln\cosh 1$")
    left.set(xlabel="$d$", ylabel=r"final energy $\iint e^{\langle x,Dy\rangle}$ (dimensionless)")
    left.set_title("$D$ = diag(−1, $d$): ascent")
    left.set_xticks(d)
    left.legend()
    wide = np.linspace(found["wide"][0] - 0.03, found["wide"][-1] + 0.03, 50)
    narrow, wider = found["rates"]
    label = "common tilt of the pair, measured"
    with_bars(right, found["wide"], narrow, np.abs(narrow - wider), label, SERIES[2], fmt="o")
    theory(right, wide, wide - np.tanh(1.0), r"$d-\tanh 1$")
    right.axhline(0.0, linewidth=0.6, color="0.5")
    right.axvline(np.tanh(1.0), linestyle=":", color="0.5", label=r"$d=\tanh 1$")
    right.set(xlabel="$d$", ylabel="growth rate (dimensionless)", title="the pair is a local maximum up to tanh 1")
    right.legend(loc="lower right")
    return figure


def draw_minimisers(shown: dict[float, np.ndarray]) -> Figure:
    """Densities that the descent ends in, and the first order in ε."""
    figure = canvas(8.4, 3.4)
    left, right = figure.subplots(1, 2)
    theta = np.linspace(0.0, 2.0 * np.pi, 241)
    for k, epsilon in enumerate(sorted(e for e in shown if e >= 0.1)):
        measured = 1.0 + sum(a * np.cos(2 * (n + 1) * theta) for n, a in enumerate(shown[epsilon][0]))
        solved = 1.0 + sum(a * np.cos(2 * (n + 1) * theta) for n, a in enumerate(minimiser(epsilon)[0]))
        left.plot(theta, measured, color=SERIES[k], label=f"$\\epsilon$ = {epsilon:g}")
        theory(left, theta, solved, "linear solve" if k == 0 else None)
    left.set(xlabel=r"$\theta$ from the weak axis $e_1$ (radians)", ylabel=r"$2\pi m(\theta)$ (dimensionless)")
    left.set_title("descent, $D$ = diag(1, 1 + $\\epsilon$)")
    left.set_xticks(np.pi * np.arange(0, 5) / 2, ["0", "π/2", "π", "3π/2", "2π"])
    left.set_ylim(0.0, 2.2)
    left.legend(fontsize=7, ncols=4, loc="lower center")
    epsilons = np.array(sorted(shown))
    ratios, bars = np.array([shown[e][:, 0] / e for e in epsilons]).T
    with_bars(right, epsilons, ratios, bars, "flow, t = 750 or 3000", SERIES[0], fmt="o")
    fine = np.linspace(1e-3, epsilons[-1] * 1.03, 50)
    theory(right, fine, [minimiser(e)[0][0] / e for e in fine], "linear solve")
    right.axhline(iv(1, 1.0) / (2.0 * iv(2, 1.0)), linestyle=":", color="0.4", label=r"$I_1(1)/2I_2(1)$")
    right.set(xlabel=r"$\epsilon$", ylabel=r"$a_1/\epsilon$ (dimensionless)", xlim=(0.0, None))
    right.set_title("coefficient of $\\cos 2\\theta$")
    right.legend()
    return figure
