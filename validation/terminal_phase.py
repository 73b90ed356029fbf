"""The terminal phase: final states of softmax attention and their rates, over the spectrum of V.

Clusters of mass p and 1 − p at ±e₁, V e₁ = λe₁, b = ⟨e₁,Be₁⟩: growth rates of displacements and widths (C6),
measured as eigenvalues of the propagator of displacements of narrow clusters (experiments/two_clusters.py).

- Aligned (λ leads V): every rate is negative, the two clusters stay.
- Opposite (λ_u > λ): displacements grow at λ_u − λ tanh βb, which is v₂ − v₁ for large β, widths shrink at v₁ (C7); all
  mass ends on the leading eigenvector of V; from data symmetric in x₁ the rest ∫(1 − x_u²), a width, falls at 2v₂.
- Degenerate: V = I keeps one cluster at rest wherever it formed; V = diag(1, 1, μ) in the plane of its leading
  eigenspace, which is approached at 1 − μ.
- Negative definite, QᵀK = V: the density splits by sign along the most negative direction e₁, λ = −1. Stable iff every
  λ_u < tanh β, and the heavier cluster narrows iff β > |log(p/(1 − p))|/2 (C26): both thresholds are zeros of measured
  rates. From smooth densities the split ends inside the stable range.
- Not symmetric: complex leading eigenvalues a ± iω turn the clusters for ever, a quarter of a period apart at W₂ = π/2.
- A collapsed cluster at x follows ẋ = PₓVx, whatever β and B are.

    python validation/terminal_phase.py                      # seventeen seconds
    python validation/terminal_phase.py --full --out out     # three minutes
"""

from __future__ import annotations

from functools import partial

import numpy as np
from claims import Inquiry, Measured, rate_fit, run
from experiments.crossovers import Setting, crossover, rate
from experiments.final_states import (
    DIRAC_START,
    DIRAC_TIME,
    DIRAC_VALUES,
    PERIOD,
    RIGID,
    SPIRAL,
    TURNING,
    degenerate_end,
    dirac_angle,
    opposite_end,
    polarised,
    recurrence,
    turned,
)
from experiments.terminal_figures import Recurrence, Threshold, draw_rates, draw_rotation, draw_thresholds
from experiments.two_clusters import Pair, growth
from scipy.interpolate import CubicSpline

from spherepde.exact import dirac_path

Runs = dict[str, tuple[float, Measured]]

# ---- linear rates of two clusters: concentration, tilt, window, tolerance

CIRCLE, QUICK = (1e4, 1e-5, (4.0, 8.0), 1e-9), (1e4, 1e-4, (2.0, 5.0), 1e-7)
SPHERE = (20.0, 1e-2, (4.0, 8.0), 1e-6)
"""Wide at first, for fewer nodes; they narrow by themselves."""
ONE, THREE = (1.0, 1.0), (1.0, 1.0, 1.0)
ALIGNED = (Pair((1.0, 0.4), ONE, 1.0), Pair((1.0, 0.4), ONE, 1.0, 0.7), Pair((1.0, 0.4, -0.3), THREE, 1.0))
OPPOSITE = (Pair((1.0, 1.4), ONE, 1.0), Pair((1.0, 1.4), (2.0, 0.5), 0.7, 0.6))
NEGATIVE = (Pair((-1.0, -0.4), (-1.0, -0.4), 1.0), Pair((-1.0, -0.4, -0.7), (-1.0, -0.4, -0.7), 1.0))

# ---- thresholds of polarisation

POSITIVE = 0.45
HEAVY = 0.75
THRESHOLD_BETAS = (0.35, 0.45, 0.55, 0.65, 0.75)
HEAVY_RUN = (1e6, 1e-4, (1.0, 3.0), 1e-9)
"""Clusters so narrow that a growing width stays small."""

# ---- the escape at large β

ESCAPES = (
    Setting((1.0, 1.4), (2.0, 0.5), 2.0),
    Setting((1.0, 1.6), (3.0, 0.6), 2.0),
    Setting((1.0, 1.2), (1.0, 0.2), 1.0),
)
ESCAPE_SPHERE = Setting((1.0, 1.4, 0.3), (2.0, 0.5, 0.5), 2.0)
ESCAPE_BETAS, SPHERE_BETA = (20.0, 80.0, 320.0), 20.0
TOLERANCES, SPHERE_TOLERANCES = (1e-4, 1e-5), (3e-3, 1e-3)

# ---- smooth densities

FINAL_TOLERANCES, QUICK_TOLERANCES = (1e-4, 1e-5), (1e-3, 1e-4)
# ---- collapsed clusters

DIRAC_SCORES = {
    (1.0, ((1.0, 0.0), (0.0, 1.0))): "B = I",
    (100.0, ((1.0, 0.0), (0.0, 0.2))): "B = diag(1, 0.2)",
    (20.0, ((0.5, 1.0), (-1.0, 0.5))): "B = ((0.5, 1), (−1, 0.5))",
}


def tolerances(ask: Inquiry) -> tuple[float, float]:
    """Of the runs from smooth densities."""
    return FINAL_TOLERANCES if ask.full else QUICK_TOLERANCES


def compare_pair(ask: Inquiry, pair: Pair, shown: Runs, label: str) -> None:
    """All rates of one pair."""
    found = ask.part(growth, pair, *((CIRCLE if len(pair.values) == 2 else SPHERE) if ask.full else QUICK))
    for u in range(1, len(pair.values)):
        for k, name in enumerate(("faster", "slower")):
            shown[f"{label}, e{u + 1}, {name}: {pair}"] = pair.rates(u)[k], found.rate(u, k)
            ask.equal(
                f"rate of displacements along e{u + 1}, the {name}; {pair}",
                pair.rates(u)[k],
                found.rate(u, k),
                source="C6",
            )
    for k, name in enumerate(("+e₁", "−e₁") if pair.mass != 0.5 else ("±e₁",)):
        shown[f"{label}, width {name}: {pair}"] = pair.widening[k], found.width(k)
        ask.equal(f"rate of the width at {name}; {pair}", pair.widening[k], found.width(k), source="C6")


def symmetric(ask: Inquiry) -> None:
    """Aligned and opposite."""
    shown: Runs = {}
    groups = (
        ("Aligned: V keeps the clusters", "aligned", ALIGNED),
        ("Negative definite: split by sign", "negative", NEGATIVE),
        ("Opposite: V pulls them off", "opposite", OPPOSITE),
    )
    for words, label, pairs in groups if ask.full else groups[:2]:
        ask.heading(words)
        for pair in pairs if ask.full else pairs[:1]:
            compare_pair(ask, pair, shown, label)
    ask.figure("rates", partial(draw_rates, shown), "Growth rates of two clusters: measured against theory.")


def escaping(ask: Inquiry) -> None:
    """The escape and the final state at large β."""
    ask.heading("Opposite, large β: escape, width, final state")
    for setting in (*ESCAPES, ESCAPE_SPHERE) if ask.full else ESCAPES[:1]:
        flat = len(setting.values) == 2
        betas = ESCAPE_BETAS if flat and ask.full else (SPHERE_BETA,)
        coarse, fine = (
            [ask.part(crossover, setting, beta, tolerance) for beta in betas]
            for tolerance in (TOLERANCES if flat else SPHERE_TOLERANCES)
        )
        rest = f"the worst of β = {', '.join(f'{beta:g}' for beta in betas)}; {setting}"
        ask.equal(
            f"escape rate v₂ − v₁, {rest}", setting.escape, rate(fine, coarse, "escape", setting.escape), source="C7"
        )
        narrowing = rate(fine, coarse, "narrowing", setting.values[0])
        ask.equal(f"rate of the width v₁, {rest}", setting.values[0], narrowing, source="C7")
    (rough, _), (end, left) = (ask.part(opposite_end, ESCAPES[0], 20.0, tolerance) for tolerance in tolerances(ask))
    end = end.plus("tolerance times 10", end.value - rough.value)
    ask.equal(
        f"rate of the last approach to ±e₂, 2v₂; β = 20, {ESCAPES[0]}",
        -2.0 * ESCAPES[0].values[1],
        end,
        source="C7",
    )
    ask.at_most("what is off e₂ at t = 28, ∫(1 − x₂²)", 1e-4, Measured(left, 0.0, "as it is"), source="C7")


def degenerate(ask: Inquiry) -> None:
    """Several leading eigenvalues."""
    ask.heading("Degenerate: at rest anywhere in the leading eigenspace")
    for third in (1.0, 0.4) if ask.full else (0.4,):
        rough, fine = (ask.part(degenerate_end, third, tolerance) for tolerance in tolerances(ask))
        drift = fine[0].plus("tolerance times 10", fine[0].value - rough[0].value)
        what = f"rate of x₃/|(x₁, x₂)| of the cluster, V = diag(1, 1, {third:g}), S², β = 2"
        ask.equal(what, third - 1.0, drift, source="C6")
        spread = Measured(fine[1], abs(fine[1] - rough[1]), "tolerance times 10")
        ask.at_most(f"1 − |mean| at t = 12, V = diag(1, 1, {third:g})", 1e-5, spread)


def polarising(ask: Inquiry) -> None:
    """Negative definite V = QᵀK."""
    ask.heading("Polarisation: thresholds as zeros of measured rates")
    betas = THRESHOLD_BETAS if ask.full else THRESHOLD_BETAS[1:4]
    curves: dict[str, Threshold] = {}
    positive = [Pair((-1.0, POSITIVE), (-1.0, POSITIVE), beta) for beta in betas]
    heavy = [Pair((-1.0, -0.4), (-1.0, -0.4), beta, HEAVY) for beta in betas]
    cases = (
        (f"displacements along λ₊ = {POSITIVE:g}: λ₊ = tanh β*", np.arctanh(POSITIVE), positive, CIRCLE),
        (
            f"the width of a cluster of mass {HEAVY:g}: β* = log(p/(1 − p))/2",
            np.arctanh(2.0 * HEAVY - 1.0),
            heavy,
            HEAVY_RUN,
        ),
    )
    for what, exact, pairs, settings in cases if ask.full else cases[:1]:
        found = [ask.part(growth, pair, *(settings if ask.full else QUICK)) for pair in pairs]
        measured = [
            one.width(0) if pair.mass == HEAVY else one.rate(1, 0) for pair, one in zip(pairs, found, strict=True)
        ]
        theory = [pair.widening[0] if pair.mass == HEAVY else pair.rates()[0] for pair in pairs]
        for beta, value, one in zip(betas, theory, measured, strict=True):
            if beta in (betas[0], betas[-1]):
                ask.equal(f"growth rate of {what.split(':')[0]}, β = {beta:g}", value, one, source="C26")
        ask.equal(f"threshold for {what}", float(exact), _zero(betas, measured), source="C26")
        curves[what] = Threshold(betas, measured, pairs, float(exact))
    ask.figure("thresholds", partial(draw_thresholds, curves), "Growth rates around both thresholds of polarisation.")
    for beta, concentration in ((0.5, 2.0), (1.0, 4.0)) if ask.full else ((0.5, 2.0),):
        rough, fine = (ask.part(polarised, beta, concentration, tolerance) for tolerance in tolerances(ask))
        odds = Measured(abs(fine[1]), abs(fine[1] - rough[1]), "tolerance times 10")
        ask.at_most(
            f"|log odds| of the masses at t = 30, from {fine[0]:.3g}, β = {beta:g}: 2β", 2.0 * beta, odds, source="C26"
        )
        spread = Measured(fine[2], abs(fine[2] - rough[2]), "tolerance times 10")
        ask.at_most(f"∫x₂² there, β = {beta:g}: split along e₁", 1e-4, spread, source="C26")


def _zero(betas: tuple[float, ...], rates: list[Measured]) -> Measured:
    """Where the rate vanishes: the polynomial through all points; bars, and its change without one end or the other."""
    x, y = np.array(betas), np.array([rate.value for rate in rates])
    zeros = []
    for part in (slice(None), slice(1, None), slice(None, -1)):
        root = np.roots(np.polyfit(x[part], y[part], len(x[part]) - 1))
        real = root[np.abs(root.imag) < 1e-9].real
        zeros.append(float(real[np.argmin(np.abs(real - x.mean()))]))
    slope = abs((y[-1] - y[0]) / (x[-1] - x[0]))
    bar = max(rate.bar for rate in rates) / slope + max(abs(zero - zeros[0]) for zero in zeros[1:])
    return Measured(zeros[0], bar, "bars of the rates over the slope; interpolation without either end")


def rotating(ask: Inquiry) -> None:
    """Complex leading eigenvalues."""
    ask.heading("Not symmetric: no limit")
    cases = ((TURNING, 1.0, "((1, −2), (½, 1)), S¹"), (SPIRAL, 2.0, "I + J in the plane and 0.3 across, S²"))
    for values, beta, name in cases if ask.full else cases[:1]:
        (t, y), (s, z) = (
            ask.part(turned, values, beta, 14.0 + PERIOD, tolerance) for tolerance in tolerances(ask)[::-1]
        )
        ends = [CubicSpline(times, rows[:, 0]) for times, rows in ((t, y), (s, z))]
        speeds = [
            float(end(stop) - end(stop - PERIOD)) / PERIOD
            for end, stop in ((ends[0], t[-1]), (ends[1], t[-1]), (ends[0], t[-1] - 2.0))
        ]
        bar = abs(speeds[0] - speeds[1]) + abs(speeds[0] - speeds[2])
        measured = Measured(speeds[0], bar, "tolerance times 10; a period that ends 2 earlier")
        ask.equal(
            f"angular speed over a period, imaginary part of the eigenvalues; V = {name}, β = {beta:g}",
            1.0,
            measured,
            source="C6",
        )
        if len(values) == 3:
            approach = rate_fit(t, y[:, 1], (8.0, 16.0))
            other = rate_fit(s, z[:, 1], (8.0, 16.0))
            approach = approach.plus("tolerance times 10", approach.value - other.value)
            ask.equal(f"rate of approach to the plane; V = {name}, β = {beta:g}", -0.7, approach, source="C6")
    times = tuple(np.arange(0.0, 21.0, 2.0).tolist()) if ask.full else (0.0, 8.0, 16.0)
    shown = {}
    for beta in (1.0, 50.0) if ask.full else (1.0,):
        rough, fine = (ask.part(recurrence, RIGID, beta, times, tolerance) for tolerance in tolerances(ask))
        shown[f"β = {beta:g}"] = Recurrence(times, fine, np.abs(fine - rough))
        if beta == 1.0:
            last = Measured(
                float(fine[-1]),
                abs(float(fine[-1] - rough[-1])) + abs(float(fine[-1] - fine[-2])),
                "tolerance times 10; its change over the last interval",
            )
            ask.equal(
                "W₂ a quarter period apart, at the end; V = I + J, S¹, β = 1",
                0.5 * np.pi,
                last,
                source="C6",
                excluded=0.0,
            )
        else:
            growth_of = Measured(
                float(fine[-1] / fine[0]), abs(float(fine[-1] - rough[-1])) / float(fine[0]), "tolerance times 10"
            )
            ask.at_least(
                f"W₂ a quarter period apart, t = {times[-1]:g} over t = 0; V = I + J, S¹, β = {beta:g}", 1.0, growth_of
            )
    ask.figure("rotation", partial(draw_rotation, shown), "W₂ between the density and itself a quarter period later.")


def collapsed(ask: Inquiry) -> None:
    """A Dirac's path."""
    ask.heading("A collapsed cluster: β and B drop out")
    x, y = dirac_path(np.array(DIRAC_VALUES), np.array(DIRAC_START), DIRAC_TIME)
    for (beta, scores), name in list(DIRAC_SCORES.items())[: None if ask.full else 2]:
        what = f"angle of a cluster at t = {DIRAC_TIME:g}, V = ((0.8, −1.1), (0.3, 0.5)), β = {beta:g}, {name}"
        ask.equal(what, float(np.arctan2(y, x)), ask.part(dirac_angle, beta, scores), source="C6")


def investigate(ask: Inquiry) -> None:
    """The whole spectrum."""
    for group in (symmetric, escaping, degenerate, polarising, rotating, collapsed):
        group(ask)


if __name__ == "__main__":
    run(investigate, __doc__)
