"""The terminal phase in numbers: when clusters stop gathering on E, how fast they leave it, and what tokens make of it.

Diagonal V and B with v₁b₁ > v₂b₂ but v₂ > v₁ (C7): clusters gather on ±e₁, turn when their width is β^{-1/2}, and leave
for ±e₂. From a smooth positive density with a small asymmetry, followed by adaptive weighted nodes:

- t_turn, when the mean displacement of the cluster is smallest, against log β: slope 1/(2c), c = (v₁b₁ − v₂b₂)/b₁;
- the escape rate v₂ − v₁ of that displacement and the rate v₁ at which the width falls, once βs² ≪ 1;
- the same on S², along the direction that escapes;
- no floor in the distance to E at β = 640, where 800 tokens have one: isolated tokens attend only to themselves;
- V = I: two clusters of mass ½ leave at the exponentially slow rate λ(1 − tanh βb) (C6).

    python validation/terminal_phase.py                          # S¹ only, a minute
    python validation/terminal_phase.py --full --figures out     # S², all β and settings, some twenty minutes

Exit status 1 if a rate or a slope misses by more than 2 %, or the floors are not what is said.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from crossovers import ALLOWED, Crossover, Setting, crossover, crossover_numbers
from late_phase import Number, canvas, drawn, followed
from matplotlib.figure import Figure
from scipy.interpolate import CubicSpline

from spherepde import Head, mixture, von_mises_fisher
from spherepde.config import script_parameters
from spherepde.errors import one_sentence
from spherepde.plots.style import COMPONENTS, GUIDE, THEORY, TIME_LABEL
from spherepde.tokens import circle_quantiles, sample_tokens, simulate_tokens

PARAMETERS = {"full": False, "tolerance": 1e-6, "figures": ""}

DOUBLING = (20.0, 40.0, 80.0, 160.0, 320.0, 640.0)
CIRCLE = (
    Setting((1.0, 1.4), (2.0, 0.5), 2.0, DOUBLING),
    Setting((1.0, 1.6), (3.0, 0.6), 2.0, DOUBLING),
    Setting((1.0, 1.2), (1.0, 0.2), 1.0, DOUBLING),
    Setting((1.0, 1.4), (2.0, 1.0), 2.0, DOUBLING[2:]),
)
QUICK = Setting((1.0, 1.4), (2.0, 0.5), 2.0, (20.0, 80.0, 320.0))
SPHERE = Setting((1.0, 1.4, 0.3), (2.0, 0.5, 0.5), 2.0, (10.0, 20.0, 40.0, 80.0))
SPHERE_TOLERANCE = 1e-4

# ---- no floor

FLOOR = Setting((1.0, 1.2), (2.0, 1.0), 0.0, (640.0,))
FLOOR_BETA, FLOOR_UNTIL, FLOOR_TOLERANCE = FLOOR.betas[0], 17.0, 1e-5
TOKENS = 800


def distance(points: np.ndarray, weights: np.ndarray | float) -> float:
    """Root mean square of the angle to ±e₁."""
    angles = np.arctan2(np.abs(points[:, 1]), np.abs(points[:, 0]))
    return float(np.sqrt(np.sum(weights * angles**2)))


def floors() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Distance to E over time at β = 640: the density, and 800 tokens from quantiles and at random."""
    head, density = FLOOR.head(FLOOR_BETA), FLOOR.density()
    t, values = followed(head, density, FLOOR_UNTIL, FLOOR_TOLERANCE, lambda m: [distance(m.points, m.weights)])
    found = {"density": (t, values[:, 0])}
    times = np.linspace(0.0, FLOOR_UNTIL, 181)
    for name, start in {
        "quantiles": circle_quantiles(density, TOKENS),
        "independent": sample_tokens(density, 2, TOKENS, seed=1),
    }.items():
        path = simulate_tokens(head, start, times, rtol=1e-6, atol=1e-8)
        found[name] = times, np.array([distance(x, 1.0 / TOKENS) for x in path])
    return found


# ---- two clusters under V = I

PAIR_KEYS, PAIR_TILT, PAIR_CONCENTRATION = (1.0, 0.5), 1e-3, 1e4
PAIR_WINDOW = (8.0, 16.0)
"""Before, the clusters are not narrow."""


def pair_rate(beta: float, tolerance: float) -> float:
    """Growth rate of the common displacement of two narrow clusters at ±e₁, both tilted a little towards e₂."""
    head = Head(np.eye(2), B=np.diag(PAIR_KEYS), beta=beta)
    tilted = (von_mises_fisher([side, PAIR_TILT], PAIR_CONCENTRATION) for side in (1.0, -1.0))
    density = mixture([(0.5, cluster) for cluster in tilted])
    t, values = followed(head, density, PAIR_WINDOW[1], tolerance, lambda m: [float(m.weights @ m.points[:, 1])])
    mean = CubicSpline(t, np.log(values[:, 0]))
    return float((mean(PAIR_WINDOW[1]) - mean(PAIR_WINDOW[0])) / (PAIR_WINDOW[1] - PAIR_WINDOW[0]))


def pair_prediction(beta: np.ndarray | float) -> np.ndarray | float:
    """λ(1 − tanh βb) with λ = 1, without cancellation."""
    return 2.0 / (1.0 + np.exp(2.0 * beta * PAIR_KEYS[0]))


# ---- figures


def draw_crossovers(found: dict[Setting, list[Crossover]]) -> Figure:
    """Displacements over time for the first setting, and t_turn against β for all."""
    figure = canvas(9.0, 3.8)
    left, right = figure.subplots(1, 2)
    setting, runs = next(iter(found.items()))
    v1, v2 = setting.values[:2]
    for k, run in enumerate(runs):
        shade = 0.3 + 0.7 * (k + 1) / len(runs)
        left.semilogy(run.t, run.displacement, color=COMPONENTS[0], alpha=shade, label=f"β = {run.beta:g}")
        left.plot(run.turn, run.least, "o", color=COMPONENTS[1], markersize=4.0)
    last = runs[-1]
    after = last.t[last.t > last.turn + 2.0]
    start = 0.7 * np.interp(after[0], last.t, last.displacement)
    left.plot(after, start * np.exp((v2 - v1) * (after - after[0])), "--", color=THEORY, label=f"rate {v2 - v1:.3g}")
    left.set(xlabel=TIME_LABEL, ylabel="displacement of the cluster at $e_1$ (tangent)", title=f"$S^1$: {setting}")
    left.legend(ncols=2)
    for k, (one, several) in enumerate(found.items()):
        betas, turns = np.array([run.beta for run in several]), np.array([run.turn for run in several])
        marker = "o" if len(one.values) == 2 else "s"
        colour = (*COMPONENTS, GUIDE)[k % 4] if marker == "o" else "0.2"
        sphere = f"$S^{len(one.values) - 1}$"
        right.semilogx(betas, turns, f"{marker}-", color=colour, label=f"{sphere}, {one}")
        line = turns[-1] + 0.5 / one.contraction * np.log(betas / betas[-1])
        right.plot(betas, line, "--", color=THEORY, label="slope 1/(2c)" if k == len(found) - 1 else None)
    ticks = sorted({run.beta for several in found.values() for run in several})
    right.set_xticks(ticks, [f"{beta:g}" for beta in ticks])
    right.minorticks_off()
    right.set(xlabel=r"$\beta$", ylabel=r"$t_{\mathrm{turn}}$ (dimensionless)")
    right.set_title(r"the displacement is smallest at $t=\log\beta/(2c)$ + const")
    right.legend(fontsize=6.5)
    return figure


def draw_floors(found: dict[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Distance to E over time, density and tokens."""
    figure = canvas(6.0, 3.8)
    ax = figure.subplots()
    names = {
        "density": "mean field (adaptive nodes)",
        "quantiles": f"{TOKENS} tokens, quantiles",
        "independent": f"{TOKENS} tokens, independent",
    }
    for k, (name, (t, values)) in enumerate(found.items()):
        ax.semilogy(t, values, color=COMPONENTS[k], label=names[name])
    t, values = found["density"]
    middle = t[(values < 0.3) & (values > 2e-2)]
    line = 0.6 * np.interp(middle[0], t, values) * np.exp(-FLOOR.contraction * (middle - middle[0]))
    ax.plot(
        middle, line, "--", color=THEORY, label=f"$e^{{-ct}}$ until the cluster collapses, $c$ = {FLOOR.contraction:g}"
    )
    stuck = np.pi / 2.0 * np.sqrt(1.0 / TOKENS)
    ax.axhline(stuck, linestyle=":", color=GUIDE, label=r"one token stuck at $e_2$: $\frac{\pi}{2}N^{-1/2}$")
    ax.set(xlabel=TIME_LABEL, ylabel="root mean square angle to $E$ (radians)")
    ax.set_title(f"$\\beta$ = {FLOOR_BETA:g}, {FLOOR}")
    ax.legend()
    return figure


def draw_pairs(betas: np.ndarray, rates: np.ndarray) -> Figure:
    """The slow rate against β."""
    figure = canvas(4.6, 3.6)
    ax = figure.subplots()
    fine = np.linspace(betas[0] - 0.2, betas[-1] + 0.2, 60)
    ax.semilogy(fine, pair_prediction(fine), "--", color=THEORY, label=r"$\lambda(1-\tanh\beta b)$")
    ax.plot(betas, rates, "o", color=COMPONENTS[0], label="two clusters of mass ½, measured")
    ax.set(xlabel=r"$\beta$", ylabel="rate of escape", title=f"$S^1$, $V=I$, $B$ = diag{PAIR_KEYS}")
    ax.legend()
    return figure


def main() -> None:
    """Measure, print as it comes, and draw what was asked for."""
    with one_sentence():
        p = script_parameters(PARAMETERS, __doc__)
        say, numbers = partial(print, flush=True), []
        found: dict[Setting, list[Crossover]] = {}
        for setting in (*CIRCLE, SPHERE) if p.full else (QUICK,):
            tolerance = p.tolerance if len(setting.values) == 2 else SPHERE_TOLERANCE
            say(setting)
            found[setting] = []
            for beta in setting.betas:
                run = crossover(setting, beta, tolerance)
                found[setting].append(run)
                say(f"  β = {beta:g}: t_turn = {run.turn:.5f}, displacement {run.least:.3e} there")
            for number in crossover_numbers(setting, found[setting]):
                say(number)
                numbers.append(number)

        betas = np.array([1.0, 2.0, 3.0, 4.0])
        say(f"V = I, B = diag{PAIR_KEYS}, two clusters of mass 1/2")
        rates = np.array([pair_rate(beta, 1e-9) for beta in betas])
        for beta, rate in zip(betas, rates, strict=True):
            number = Number(f"S^1: escape rate λ(1 − tanh βb) at β = {beta:g}", pair_prediction(beta), rate, ALLOWED)
            say(number)
            numbers.append(number)

        say(f"distance to E at β = {FLOOR_BETA:g}, {FLOOR}")
        levels = floors()
        least = {name: float(values.min()) for name, (_, values) in levels.items()}
        one = np.pi / 2.0 / np.sqrt(TOKENS)
        for name, value in least.items():
            say(f"  least distance, {name:12s} {value:.3e} ({value / one:.3g} of one token stuck at e_2)")
        no_floor = least["density"] < 0.1 * one and min(least["quantiles"], least["independent"]) > 0.9 * one
        say(f"  no floor for the density, one for the tokens: {'PASS' if no_floor else 'MISS'}")

        if p.figures:
            folder = Path(p.figures)
            say(drawn(lambda: draw_crossovers(found), folder / "terminal_phase.png"))
            say(drawn(lambda: draw_floors(levels), folder / "terminal_floor.png"))
            say(drawn(lambda: draw_pairs(betas, rates), folder / "two_clusters.png"))
        raise SystemExit(0 if no_floor and all(number.met for number in numbers) else 1)


if __name__ == "__main__":
    main()
