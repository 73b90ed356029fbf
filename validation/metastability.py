"""Metastability: how long the mean field stays concentrated, and how much earlier tokens leave.

Softmax attention gathers the density on E, the leading eigenspace of VBᵀ; what comes after depends on V.

- V = I is degenerate. Two clusters of mass ½ at ±e₁ leave at λ(1 − tanh βb) = 2/(1 + e^{2βb}): a lifetime that grows as
  e^{2bβ} (C6). Two points at inner product r = ⟨x₁,x₂⟩ merge by r' = 2(1 − r²)/(1 + e^{β(1−r)}) (C11). Measured with
  narrow clusters followed by adaptive weighted nodes, as rates and as times until they are a right angle apart.
- V e₁ = v₁e₁ with v₂ > v₁ (C7): the displacement of the cluster is smallest at t_turn = log β/(2c) + const, where it
  is of order β^{-1/2}, c = (v₁b₁ − v₂b₂)/b₁. Local slopes over doublings of β are extrapolated.
- V does not keep e₁: V = diag(1.5, 1)·S and B = S⁻¹, S = [[1, s], [s, r]]. The cluster attends to the depleted zone as
  long as that outweighs its own mass: the wait grows with β, faster than log β. The exit time is when the dominant axis
  of the second moment is half way between e₁ and the leading eigenvector f of V. Three ways to compute it must agree.
  Tokens have no depleted zone once it holds less than one of them: they leave earlier, the fewer the earlier.
- Nor can the distance to E fall below that of one token stuck at ±e₂: (π/2)N^{-1/2}. The density has no such floor.

    python validation/metastability.py                      # twenty seconds
    python validation/metastability.py --full --out out     # thirteen minutes
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np
from claims import Inquiry, Measured, followed, limit_of, rate_fit, run
from experiments.crossovers import Crossover, Setting, crossover, slope_limit
from experiments.exit_times import (
    FLOOR,
    FLOOR_BETA,
    density_floor,
    mean_field_exit,
    shape_matrix,
    spectral_exit,
    token_exits,
    token_floor,
)
from experiments.metastable_figures import draw_crossovers, draw_exits, draw_floors, draw_lifetimes
from scipy.integrate import quad
from scipy.interpolate import CubicSpline

from spherepde import Head, mixture, von_mises_fisher
from spherepde.adaptive import CellMeasure

# ---- two clusters under V = I

KEYS = (1.0, 0.5)
PAIR_CONCENTRATION = 1e4
PAIR_WINDOW = (8.0, 16.0)
"""Before, the clusters are not narrow."""
TILTS = (2e-4, 1e-4)
"""The rate errs by the square of the displacement: that of the smaller, by a third of their difference."""
APART = 0.2
"""Angle of either cluster from ±e₁ when the merger begins."""
WIDTHS = (1e3, 1e4)
"""Concentrations of merging clusters: the error is of the order of their inverse."""

# ---- the turn

CIRCLE = (
    Setting((1.0, 1.4), (2.0, 0.5), 2.0),
    Setting((1.0, 1.6), (3.0, 0.6), 2.0),
    Setting((1.0, 1.2), (1.0, 0.2), 1.0),
    Setting((1.0, 1.4), (2.0, 1.0), 2.0),
)
SPHERE = Setting((1.0, 1.4, 0.3), (2.0, 0.5, 0.5), 2.0)
CIRCLE_BETAS, SPHERE_BETAS = (20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0, 2560.0), (20.0, 40.0, 80.0, 160.0)
QUICK_BETAS, QUICK_TOLERANCES = (320.0, 640.0, 1280.0, 2560.0), (1e-3, 1e-4)
WINDOW = {**dict.fromkeys(CIRCLE, (20.0, 640.0)), CIRCLE[3]: (80.0, 640.0), SPHERE: (20.0, 160.0)}
"""Where slopes of t_turn are those of the law, without extrapolation: to 2 %."""
CIRCLE_TOLERANCES, SPHERE_TOLERANCES = (1e-4, 1e-5), (1e-3, 3e-4)

# ---- the exit

SHAPES = ((0.15, 0.8), (0.3, 1.0), (-0.5, 1.2))
"""(s, r) of S."""
BETAS = {SHAPES[0]: (8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0), SHAPES[1]: (8.0, 16.0, 32.0, 64.0, 128.0, 256.0)}
BETAS[SHAPES[2]] = BETAS[SHAPES[1]][:5]
QUICK_EXITS = (16.0, 32.0, 64.0)
TOLERANCES = (1e-4, 1e-5)
SPECTRAL = {True: ((64.0, (127, 255)),), False: ((16.0, (95, 127)),)}
"""β and lmax at which the spectral solver is asked too, by full."""
WORST = "largest relative change with ten times the tolerance, over β"
"""A single change may vanish by accident."""
FEW, MANY = 512, (512, 1024, 2048, 4096)
TOKEN_RUNS = (
    *((beta, FEW) for beta in (8.0, 16.0, 32.0)),
    *((beta, count) for beta in (64.0, 128.0) for count in MANY),
)
EARLY = {"independent": 64.0, "at quantiles": 128.0}
"""β from which few tokens leave clearly early; at quantiles only where the wait is long by then (the last two S).
Many do where it is longest (the last S)."""
LATER = 1.25
"""How much longer than the density tokens are watched."""

# ---- the floor

FLOOR_TOLERANCES = (1e-4, 1e-5)


def pair_rate(beta: float, tolerance: float) -> Measured:
    """Growth rate of the common displacement of two narrow clusters at ±e₁, both tilted a little towards e₂."""
    head = Head(np.eye(2), B=np.diag(KEYS), beta=beta)
    found = []
    for tilt in TILTS:
        tilted = [(0.5, von_mises_fisher([side, tilt], PAIR_CONCENTRATION)) for side in (1.0, -1.0)]
        t, y = followed(head, mixture(tilted), PAIR_WINDOW[1], tolerance, lambda m: [float(m.weights @ m.points[:, 1])])
        found.append(rate_fit(t, y[:, 0], PAIR_WINDOW))
    return found[1].plus("its change with the tilt", found[1].value - found[0].value)


def pair_prediction(beta: float) -> float:
    """λ(1 − tanh βb) with λ = 1, without cancellation."""
    return float(2.0 / (1.0 + np.exp(2.0 * beta * KEYS[0])))


def merging_time(beta: float, tolerance: float) -> Measured:
    """Time until two narrow clusters, nearly opposite, are a right angle apart under V = B = I."""

    def angle(measure: CellMeasure) -> list[float]:
        half = measure.points[:, 0] > 0.0
        mean = measure.weights[half] @ measure.points[half]
        return [float(np.arctan2(mean[1], mean[0]))]

    times = []
    for concentration in WIDTHS:
        tilted = [(0.5, von_mises_fisher([side, np.tan(APART)], concentration)) for side in (1.0, -1.0)]
        t, y = followed(Head(np.eye(2), beta=beta), mixture(tilted), 1e4, tolerance, angle, lambda last: last[0] > 0.8)
        times.append(float(CubicSpline(t, y[:, 0] - 0.25 * np.pi).roots(extrapolate=False)[0]))
    return Measured(times[1], abs(times[1] - times[0]), "clusters √10 times as wide")


def merging_prediction(beta: float) -> float:
    """The same of two points (C11), by quadrature."""
    return float(quad(lambda r: 0.5 * (1.0 + np.exp(beta * (1.0 - r))) / (1.0 - r * r), -np.cos(2.0 * APART), 0.0)[0])


def degenerate(ask: Inquiry) -> None:
    """V = I."""
    ask.heading("V = I: an exponentially long life")
    betas = (1.0, 2.0, 3.0, 4.0, 5.0) if ask.full else (3.0,)
    rates = {beta: ask.part(pair_rate, beta, 1e-9) for beta in betas}
    for beta, rate in rates.items():
        ask.equal(f"escape rate of two clusters, V = I, β = {beta:g}", pair_prediction(beta), rate, source="C6")
    if ask.full:
        lives = [-np.log(rate.value) for rate in rates.values()]
        slope = limit_of(np.diff(lives).tolist(), float(np.exp(2.0 * KEYS[0])))
        ask.equal("slope of log lifetime in β: 2b", 2.0 * KEYS[0], slope, source="C6", excluded=KEYS[0])
    merging = {beta: ask.part(merging_time, beta, 1e-7) for beta in ((1.0, 2.0, 3.0, 4.0) if ask.full else (1.0,))}
    for beta, time in merging.items():
        what = f"time until two clusters are a right angle apart, V = B = I, β = {beta:g}"
        ask.equal(what, merging_prediction(beta), time, source="C11")
    draw = partial(draw_lifetimes, rates, pair_prediction, merging, merging_prediction, KEYS)
    ask.figure("lifetimes", draw, "Two clusters of mass ½ under V = I: rate of escape and time until they merge.")


def fitted_excess(setting: Setting, runs: list[Crossover]) -> float:
    """Slope of t_turn over log β by least squares in the setting's window, relative to 1/(2c), less 1."""
    low, high = WINDOW[setting]
    inside = [run for run in runs if low <= run.beta <= high]
    slope = np.polyfit(np.log([run.beta for run in inside]), [run.turn for run in inside], 1)[0]
    return float(slope * 2.0 * setting.contraction - 1.0)


def turning(ask: Inquiry) -> None:
    """v₂ > v₁."""
    ask.heading("v₂ > v₁: the turn at log β/(2c)")
    found: dict[Setting, list[Crossover]] = {}
    for setting in (*CIRCLE, SPHERE) if ask.full else CIRCLE[:1]:
        flat = len(setting.values) == 2
        betas = (CIRCLE_BETAS if flat else SPHERE_BETAS) if ask.full else QUICK_BETAS
        coarse, fine = (
            [ask.part(crossover, setting, float(beta), tolerance) for beta in betas]
            for tolerance in ((CIRCLE_TOLERANCES if flat else SPHERE_TOLERANCES) if ask.full else QUICK_TOLERANCES)
        )
        found[setting] = fine
        local = ", ".join(f"{(b.turn - a.turn) / np.log(2.0):.4f}" for a, b in pairwise(fine))
        ask.say(f"{setting}, β = {betas[0]:g} … {betas[-1]:g}: local slopes {local}")
        slope = 0.5 / setting.contraction
        if ask.full:
            (low, high), (off, rough) = WINDOW[setting], (fitted_excess(setting, runs) for runs in (fine, coarse))
            what = f"slope of t_turn through β = {low:g} … {high:g}, relative distance from 1/(2c); {setting}"
            ask.at_most(what, 0.02, Measured(abs(off), abs(off - rough), "tolerance times 10"), source="C7")
        what = f"slope of t_turn in log β: 1/(2c); {setting}"
        ask.equal(what, slope, slope_limit(setting, fine, coarse, "turn"), source="C7", excluded=2.0 * slope)
        if flat:
            what = f"slope of the log of the least displacement; {setting}"
            ask.equal(what, -0.5, slope_limit(setting, fine, coarse, "least"), source="C7")
    draw = partial(draw_crossovers, found)
    ask.figure("turning", draw, "When clusters turn away from E: displacements over time, and t_turn against β.")


def exits(ask: Inquiry) -> None:
    """V does not keep e₁."""
    ask.heading("V does not keep e₁: exits from metastability")
    shown = {}
    for shape in SHAPES if ask.full else SHAPES[:1]:
        name = f"S = {shape_matrix(shape).tolist()}"
        betas = BETAS[shape] if ask.full else QUICK_EXITS
        tolerances = TOLERANCES if ask.full else QUICK_TOLERANCES
        both = {beta: [ask.part(mean_field_exit, shape, beta, tol) for tol in tolerances] for beta in betas}
        worst = max(abs(fine / coarse - 1.0) for coarse, fine in both.values())
        times = {beta: Measured(fine, worst * fine, WORST) for beta, (_, fine) in both.items()}
        for beta in (8.0, 32.0) if ask.full else (16.0,):
            finer = ask.part(mean_field_exit, shape, beta, tolerances[1], True)
            ask.equal(f"exit time at β = {beta:g}, {name}: cells half as long", finer, times[beta])
        for beta, (low, high) in SPECTRAL[ask.full]:
            until = 1.1 * times[beta].value
            spectral = [ask.part(spectral_exit, shape, beta, lmax, until) for lmax in (low, high)]
            measured = Measured(spectral[1], abs(spectral[1] - spectral[0]), f"lmax {low} to {high}")
            measured = measured.plus("bar of the nodes", times[beta].bar)
            ask.equal(f"exit time at β = {beta:g}, {name}: spectral solver", times[beta].value, measured)
        first, middle, last = list(times.values())[-3:]
        ratio = (last.value - middle.value) / (middle.value - first.value)
        bar = (last.bar + middle.bar + ratio * (middle.bar + first.bar)) / (middle.value - first.value)
        what = f"exit time, {name}: increments over the last two doublings of β, the later over the earlier (log β: 1)"
        ask.at_least(what, 1.0, Measured(ratio, bar, "bars of the times"))
        tokens = {}
        for beta, count in TOKEN_RUNS if ask.full else ((64.0, FEW),):
            tokens[beta, count] = ask.part(token_exits, shape, beta, count, LATER * times[beta].value)
        shown[name] = (times, tokens)
        rows = [
            [
                f"{beta:g}",
                f"{times[beta].value:.5f}",
                str(count),
                *(f"{m.value:.3f} ± {m.bar:.2g}" for m in found.values()),
            ]
            for (beta, count), found in tokens.items()
        ]
        ask.table(f"Exit times, {name}", ["β", "density", "tokens", *next(iter(tokens.values()))], rows)
        for kind, beta in EARLY.items():
            if kind == "independent" or (ask.full and shape in SHAPES[1:]):
                for count in (FEW, MANY[-1]) if shape == SHAPES[-1] else (FEW,):
                    early = tokens[beta, count][kind].times(1.0 / times[beta].value)
                    what = f"exit of {count} tokens {kind} at β = {beta:g} over that of the density, {name}: earlier"
                    ask.at_most(what, 1.0, early)
    ask.figure("exits", partial(draw_exits, shown), "Exit time against β: mean field, and tokens by their number.")


def floors(ask: Inquiry) -> None:
    """What tokens leave behind."""
    ask.heading(f"The floor of tokens, β = {FLOOR_BETA:g}, {FLOOR}")
    until, count = (17.0, 800) if ask.full else (9.0, 200)
    one = 0.5 * np.pi / np.sqrt(count)
    coarse, fine = (ask.part(density_floor, until, tolerance) for tolerance in FLOOR_TOLERANCES)
    levels = {"density": fine}
    least = Measured(fine[1].min(), abs(fine[1].min() - coarse[1].min()), "tolerance 1e-4 to 1e-5")
    for kind in ("quantiles", "independent"):
        rough, levels[kind] = (ask.part(token_floor, kind, count, until, rtol) for rtol in (1e-5, 1e-6))
        value = levels[kind][1].min()
        bar = Measured(value, abs(value - rough[1].min()), "tolerance of the integrator")
        ask.at_least(f"least distance of {count} tokens to E, {kind}: one stuck at e₂", one, bar, source="C7")
    part = 0.1 if ask.full else 0.5
    ask.at_most(
        f"least distance of the density to E, in units of that: {part}", part, least.times(1.0 / one), source="C7"
    )
    ask.figure("floor", partial(draw_floors, levels, FLOOR, count), "Distance to E at β = 640: tokens have a floor.")


def investigate(ask: Inquiry) -> None:
    """All lifetimes."""
    for group in (degenerate, turning, exits, floors):
        group(ask)


if __name__ == "__main__":
    run(investigate, __doc__)
