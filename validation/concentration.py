"""Concentration at low temperature: W₂(ρ_t^β, Π♯ρ₀) over time and β, the bound on it, and what is attained.

Theory, for A = VBᵀ symmetric, E its leading eigenspace, ρ₀ smooth and positive:

- the approach: W₂ ~ e^{−rt}, r from C2, until t ~ log β;
- the bound of arXiv 2605.10931, constants unknown to us: W₂ ≲ √(log(β+1)/β)e^{Ct} + e^{−ct};
- at a fixed time finite β costs O(1/β) only (C4): on S¹ with B = I, Δ = λ₁ − λ₂,
  W₂(ρ_t^β, ρ_t^∞) ≈ Ke^{Δt}/β, K in closed form;
- uniformly in time it costs more: a mass δ = D/β crosses between the clusters. So W₂ is least, 2πy_cδ
  when squared (⅔π²δ for B = I), at t_min = log β/κ + const, κ the rate at which
  the set between the clusters empties, and rises to π√δ from there: W₁ ~ 1/β, but W₂ ~ β^{-1/2}.
  D, y_c, the constant: see experiments/concentration_theory.py. A density that favours no cluster is spared;
- dim E = 2: W₂ along E grows like √I t/β, I the Fisher information of Π♯ρ₀ (backward heat on E). At β = ∞ the
  distance to E is ε√(log 1/ε + …); finite β gathers what is closer than β^{-1/2}, halves the logarithm where
  ε ~ 1/β, and so brings t_min forward by log 2/(2Δ). That t_min is of the surrogate
  √(lower² + (upper − lower)²), the distance to E and the one along E as if
  orthogonal, which is known at every step and agrees with the solved W₂ to O(β⁻²).

The rates at β = ∞ are C2's, the bound is the theorem's; D, y_c, K, slopes and orders are first-order theory of our own
("first order in 1/β, here"), derived in experiments/.

Measured: spectral runs on S¹ (β = 10 … 1280) and S² (10 … 320; B a rotation … 160, general … 80). Limits β → ∞ are
Richardson's; corrections of t_min and of the minimum are taken to fall like β^{-1/2}, the width below which the kernel
sees a cluster as a point, and the bars say how well that fits.

    python validation/concentration.py                        # half a minute
    python validation/concentration.py --full --out report    # fourteen minutes
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from claims import Inquiry, Measured, limit_of, line_fit, order_fit, rate_fit, run
from experiments.concentration_figures import draw_courses, draw_envelope, draw_minima
from experiments.concentration_runs import SETTINGS, Course, course, first_order
from experiments.concentration_sphere import ROTATED, crossing_when_rotated, rotated_course, solved_plane
from experiments.concentration_theory import (
    BOUNDS,
    MARGIN,
    Envelope,
    Gate,
    broadening,
    fitted,
    gate_of_circle,
    gate_of_sphere,
    plane_theory,
    profile,
)
from scipy.interpolate import CubicSpline

from spherepde.predictions import Prediction, predict

HALF = np.sqrt(2.0)
"""By what errors that fall like β^{-1/2} shrink when β doubles."""
DOUBLING = (10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0)
BETAS = {  # quick, full
    "circle": (DOUBLING[1:5], DOUBLING),
    "orthogonal": ((), DOUBLING),
    "general": ((), DOUBLING),
    "turning": (DOUBLING[:3], DOUBLING),
    "sphere": (DOUBLING[:3], DOUBLING[:6]),
    ROTATED: ((), DOUBLING[:5]),
    "sphere general": ((), DOUBLING[:4]),
    "plane": (DOUBLING[:3], DOUBLING[:6]),
}
FIT_FROM = {"orthogonal": 40.0, "general": 160.0}
"""Below, what is left between the clusters draws them away from E too early: drawn, but not extrapolated from."""
FIRST = "first order in 1/β, here"
CIRCLES = ("circle", "orthogonal", "general")
COLD, COLD_UNTIL = (1e4, 2e4, 4e4), 8.0
"""For the approach alone, which ends the later the larger β."""
FIXED, EARLY_BETAS = 2.0, (20.0, 40.0, 80.0, 160.0)
LATE, LATE_BETAS = (6.0, 7.0, 8.0), (1e4, 2e4, 4e4)
"""Ke^{Δt}/β is the largest part of W₂(ρ^β, ρ^∞) while 1 ≪ e^{2Δt} ≪ β."""
MOVED_AT = 3.0
SOLVED = (10.0, 3.5, 90, 0.5)
"""β, end, degree and interval of the run whose W₂ is solved for dim E = 2: until its minimum, at the smallest β."""


def length(name: str, beta: float) -> float:
    """How long to run: two units beyond the minimum that theory foretells."""
    if name == "turning":
        return 0.77 * float(np.log(beta)) + 2.6
    if name == "plane":
        return 1.6 * float(np.log(beta)) + 1.0
    gate = gate_of_sphere("sphere") if name.startswith("sphere") else gate_of_circle(name)
    return max(float(np.log(beta)) / gate.leaving + gate.since + 2.0, 5.0)


def resolution(name: str, beta: float) -> int:
    """A degree at which the minimum is resolved to 1e-4 or better, as the companions' error bars show."""
    root = float(np.sqrt(beta))
    if SETTINGS[name].dim == 2:
        return int(18.0 * root + 80.0)
    return int((9.0 if name == "plane" else 8.0 if name == "sphere general" else 13.0) * root + 31.0)


def courses(ask: Inquiry, name: str) -> list[Course]:
    """All runs of one setting."""
    rtol = 1e-6 if ask.full and name != "sphere general" else 1e-5
    barred = name != "plane" and ask.full
    found = []
    for beta in BETAS[name][ask.full]:
        ask.say(f"{SETTINGS[name].words}: β = {beta:g}")
        rest = (beta, length(name, beta), resolution(name, beta), rtol, barred)
        found.append(ask.part(rotated_course, *rest) if name == ROTATED else ask.part(course, name, *rest))
    return found


def bar_at_least(one: Course) -> float:
    """Relative error bar of the smallest W₂ by the companion; 0 where none ran."""
    at, value = one.least
    return float(np.interp(at, one.t, one.bar)) / value


def with_companions(measured: Measured, bar: float) -> Measured:
    """With what the companions say, where they ran."""
    return measured.plus("companions", bar) if bar > 0.0 else measured


def foretold(prediction: Prediction) -> float:
    """The predicted number; every setting here has one."""
    if prediction.value is None:
        raise ValueError(prediction.sentence)
    return prediction.value


# ---- claims


def ask_about_approach(ask: Inquiry, name: str, runs: Sequence[Course], starts: Sequence[float]) -> None:
    """The rate of W₂ at β = ∞: local rates in later and later windows, each a limit in 1/β."""
    predicted = foretold(predict(SETTINGS[name].head(), 0.5).wasserstein_2)
    kappa, windows = SETTINGS[name].leaving, []
    for start in starts:
        a, b = start / kappa, (start + 0.5) / kappa
        windows.append(limit_of([float(np.log(c.at(a) / c.at(b)) / (b - a)) for c in runs]))
    rate = limit_of([window.value for window in windows], float(np.exp(0.5)))
    rate = rate.plus("limits in 1/β", max(window.bar for window in windows))
    ask.equal(f"{SETTINGS[name].words}: rate r of W₂ in the approach", predicted, rate, source="C2")


def deep_limit(betas: np.ndarray, values: np.ndarray) -> Measured:
    """Limit of what differs by O(β^{-1/2}) from it; the bar holds what a further factor √log β would change."""
    found = limit_of(values.tolist(), HALF)
    slower = limit_of(values.tolist(), HALF * float(np.sqrt(np.log(betas[-2]) / np.log(betas[-1]))))
    return found.plus("a factor √log β in the corrections", slower.value - found.value)


def ask_about_crossing(ask: Inquiry, words: str, runs: Sequence[Course], gate: Gate) -> None:
    """D, in the limit β → ∞; off the gate what W₂ does not resolve any more spoils the mass, which is read at t_min."""
    tilted = words == SETTINGS[ROTATED].words
    when = [int(np.searchsorted(c.t, c.least[0])) if tilted else -1 for c in runs]
    crossed = limit_of([c.beta * float(c.crossed[k]) for c, k in zip(runs, when, strict=True)])
    bars = [c.beta * float(c.crossed_bar[k]) for c, k in zip(runs, when, strict=True)]
    crossed = with_companions(crossed, max(bars[-3:]))
    ask.equal(f"{words}: D = lim β·(mass that crossed)", gate.crossing, crossed, source=FIRST)


def ask_about_minimum(ask: Inquiry, name: str, runs: Sequence[Course], gate: Gate) -> None:
    """D, the smallest W₂ and its time, in the limit β → ∞; W₂ of order −1/2, not −1."""
    runs = [c for c in runs if c.beta >= FIT_FROM.get(name, 0.0)]
    words, betas = SETTINGS[name].words, np.array([c.beta for c in runs])
    t, w2 = np.array([c.least for c in runs]).T
    worst = max(map(bar_at_least, runs))
    ask_about_crossing(ask, words, runs, gate)
    if len(runs) < 4:
        return
    least = deep_limit(betas, betas * w2**2)
    ask.equal(f"{words}: lim β min W₂² = 2π y_c D", gate.least, with_companions(least, worst), source=FIRST)
    since = deep_limit(betas, t - np.log(betas) / gate.leaving)
    ask.equal(f"{words}: lim t_min − log β/κ", gate.since, with_companions(since, worst), source=FIRST)
    ask_about_slopes(ask, words, betas, t, w2, 1.0 / gate.leaving)


def ask_about_slopes(
    ask: Inquiry, words: str, betas: np.ndarray, t: np.ndarray, w2: np.ndarray, predicted: float
) -> None:
    """How t_min and the minimum go with β: limits of local slopes."""
    slope = deep_limit(betas, np.diff(t) / np.diff(np.log(betas)))
    ask.equal(f"{words}: slope of t_min in log β", predicted, slope, source=FIRST)
    order = deep_limit(betas, np.diff(np.log(w2)) / np.diff(np.log(betas)))
    ask.equal(f"{words}: order of min W₂ in β", -0.5, order, source=FIRST, excluded=-1.0)


def ask_about_general_sphere(ask: Inquiry, runs: Sequence[Course]) -> None:
    """S², general B, at the β within reach: none is large enough for the law, as on S¹ below ``FIT_FROM``."""
    words, betas = SETTINGS["sphere general"].words, np.array([c.beta for c in runs])
    crossed = order_fit(betas, [abs(float(c.crossed[-1])) for c in runs])
    known = f"up to β = {betas[-1]:g} not on the law yet, like S¹ with general B below {FIT_FROM['general']:g}"
    ask.equal(f"{words}: order of the mass that crossed", -1.0, crossed, source=FIRST, excluded=-0.5, known=known)
    t, w2 = (np.log(column) if k else column for k, column in enumerate(np.array([c.least for c in runs]).T))
    slopes, orders = (", ".join(f"{x:.2f}" for x in np.diff(each) / np.diff(np.log(betas))) for each in (t, w2))
    ask.remark(
        f"{words}: stops at β = {betas[-1]:g}, the next doubling takes longer than the full mode has. Local slopes of "
        f"t_min in log β {slopes} (law: {1.0 / SETTINGS['sphere general'].leaving:.2f}), local orders of min W₂ "
        f"{orders} (law: −0.5)."
    )


def ask_about_fixed_times(ask: Inquiry) -> tuple[np.ndarray, np.ndarray]:
    """W₂(ρ^β_t, ρ^∞_t) at one time: order −1; and its growth Ke^{Δt}/β."""
    name = "circle"
    at_fixed = np.array([ask.part(first_order, name, beta, (FIXED,), 255, 1e-9)[0] / beta for beta in EARLY_BETAS])
    order = order_fit(EARLY_BETAS, at_fixed)
    ask.equal(f"S¹, B = I: order of W₂(ρ^β, ρ^∞) at t = {FIXED:g}", -1.0, order, source="C4", excluded=-0.5)
    if ask.full:
        late = np.array([ask.part(first_order, name, beta, LATE, 1023, 1e-9) for beta in LATE_BETAS]).T
        squares = [limit_of(row) for row in np.exp(-2.0 * SETTINGS[name].leaving * np.array(LATE))[:, None] * late**2]
        square = limit_of([one.value for one in squares], float(np.exp(SETTINGS[name].leaving)))
        root, bar = float(np.sqrt(square.value)), square.bar + max(one.bar for one in squares)
        ask.equal(
            "S¹, B = I: K of W₂(ρ^β, ρ^∞) ≈ K e^{Δt}/β",
            broadening(name),
            Measured(root, 0.5 * bar / root, f"of the square: {square.origin}; limits in 1/β"),
            source=FIRST,
        )
    return np.array(EARLY_BETAS), at_fixed


def ask_about_turning(ask: Inquiry, runs: Sequence[Course]) -> None:
    """V dominant elsewhere (C7): W₂ turns where escape takes over."""
    words, betas = SETTINGS["turning"].words, np.array([c.beta for c in runs])
    t, w2 = np.array([c.least for c in runs]).T
    predicted = foretold(predict(SETTINGS["turning"].head()).least_distance)
    if len(runs) > 3:
        local = np.diff(t) / np.diff(np.log(betas))
        slope = limit_of(local, HALF)
        slope = slope.plus("corrections of order 1/β instead", limit_of(local).value - slope.value)
        ask.equal(f"{words}: slope of t_min in log β, decay against escape", predicted, slope, source="C7")
    order = line_fit(np.log(betas), np.log(w2))
    ask.equal(f"{words}: order of min W₂ in β", -0.5, order, source="C7", excluded=-1.0)


def ask_about_even(ask: Inquiry) -> None:
    """A density that favours no cluster: nothing crosses, and W₂ has no minimum."""
    beta = 40.0
    one = ask.part(course, "even", beta, 13.0, resolution("even", 4.0 * beta), 1e-6, ask.full)
    words = "S¹, ρ₀ even along E"
    crossed = Measured(float(np.abs(one.crossed).max()), 1e-12, "rounding: 500 steps of 1e-15, amplified by 1/κ")
    ask.equal(f"{words}: mass that crossed, β = {beta:g}", 0.0, crossed)
    late = rate_fit(one.t, one.w2, (9.0, 13.0)).times(-1.0)
    ask.at_least(f"{words}: W₂ goes on falling at r or faster, no minimum", 0.5 * SETTINGS["even"].leaving, late)


def ask_about_plane(ask: Inquiry, runs: Sequence[Course]) -> list[tuple[float, float]]:
    """dim E = 2: how far mass has moved along E at a time, and when the surrogate of W₂ is least.

    Returned: that time, and what theory says of it, for each β.
    """
    words = SETTINGS["plane"].words
    moved = limit_of([c.beta * float(np.interp(MOVED_AT, c.t, c.upper - c.lower)) for c in runs])
    to_theory, along = (float(one[0]) for one in plane_theory("plane", MOVED_AT))
    ask.equal(f"{words}: β W₂ along E at t = {MOVED_AT:g}, growing like √I t", along, moved, source=FIRST)
    to_circle = limit_of([float(np.interp(MOVED_AT, c.t, c.lower)) for c in runs])
    ask.equal(f"{words}: distance to E at t = {MOVED_AT:g} as β → ∞", to_theory, to_circle, source="C2")
    minima = []
    times = np.linspace(1.0, 12.0, 111)
    narrow, spread = plane_theory("plane", times)
    for c in runs:
        spline = CubicSpline(c.t, np.hypot(c.lower, c.upper - c.lower))
        lows = spline.derivative().roots(extrapolate=False)
        ideal = CubicSpline(times, np.hypot(narrow, spread / c.beta)).derivative().roots(extrapolate=False)
        minima.append((float(lows[np.argmin(spline(lows))]) if lows.size else np.nan, float(ideal[0])))
    sooner = -0.5 * float(np.log(2.0)) / (SETTINGS["plane"].values[0] - SETTINGS["plane"].values[2])
    if len(runs) > 3:
        late = limit_of([found - ideal for found, ideal in minima], HALF)
        ask.equal(
            f"{words}: t_min of √(lower² + (upper − lower)²) less that of β = ∞ and √I t/β, −log 2/(2Δ)",
            sooner,
            late,
            source=f"C2; {FIRST}",
        )
        t, solved, surrogate = ask.part(solved_plane, *SOLVED).T
        ask.remark(
            f"{words}: solved at β = {SOLVED[0]:g}, up to t = {t[-1]:g}, W₂ is at most "
            f"{100.0 * float(np.max(np.abs(surrogate / solved - 1.0))):.2g} % off √(lower² + (upper − lower)²), whose "
            "minimum is asked about; the larger β, the closer they are."
        )
    return [(found, ideal + sooner) for found, ideal in minima]


def ask_about_envelope(ask: Inquiry, name: str, runs: Sequence[Course]) -> Envelope:
    """The bound fitted above all runs; whether smaller β foretell it; how well C and c are known."""
    words, envelope = SETTINGS[name].words, fitted(runs)
    over = [fitted(runs[:k]).worst(runs[k]) for k in range(2, len(runs))]
    if ask.full and name == "circle":
        ask.at_most(
            f"{words}: factor by which W₂ exceeds the envelope of all smaller β, β → ∞: its constants settle",
            1.0,
            limit_of(over, HALF),
            source="arXiv 2605.10931",
        )
    ask.remark(
        f"{words}: W₂ exceeds the envelope of all smaller β by factors up to "
        + ", ".join(f"{factor:.4f} (β = {c.beta:g})" for factor, c in zip(over, runs[2:], strict=True))
    )
    if not ask.full:
        return envelope
    known = []
    for rate, end in (("C", BOUNDS[2][1]), ("c", BOUNDS[3][1])):
        low, high = profile(runs, rate)
        lost = ", so that it is not identifiable from these runs" if low <= 0.0 or high >= end else ""
        known.append(f"{rate} from {low:.3g} to {high:.3g}{lost}")
    approach = foretold(predict(SETTINGS[name].head(), 0.5).wasserstein_2)
    ask.remark(
        f"{words}: envelope of all β up to t_min {envelope}. Envelopes whose mean excess is within {MARGIN:g} of the "
        f"least exist for {'; and for '.join(known)} (of 0 to {end:g}). The approach has the rate "
        f"r = {approach:.4g}, which c need not exceed; "
        "a small C says that the growth in t is not seen before t_min, nothing about the theorem, "
        "whose constants are unknown to us."
    )
    return envelope


def investigate(ask: Inquiry) -> None:
    """All claims and figures."""
    circles = CIRCLES if ask.full else CIRCLES[:1]
    found = {name: courses(ask, name) for name in circles}
    ask.heading("S¹: approach, minimum, and the mass that crosses")
    gates = {name: gate_of_circle(name) for name in circles}
    cold = [ask.part(course, "circle", beta, COLD_UNTIL, 400, 1e-6, False) for beta in COLD]
    ask_about_approach(ask, "circle", cold, (2.5, 3.0, 3.5))
    for name in circles:
        ask_about_minimum(ask, name, found[name], gates[name])
    ask_about_even(ask)
    ask.heading("S¹: the error at a fixed time")
    fixed = ask_about_fixed_times(ask)
    ask.heading("S¹: V dominant elsewhere")
    found["turning"] = courses(ask, "turning")
    ask_about_turning(ask, found["turning"])
    ask.heading("S², dim E = 1")
    found["sphere"] = courses(ask, "sphere")
    gates["sphere"] = gate_of_sphere("sphere")
    ask_about_minimum(ask, "sphere", found["sphere"], gates["sphere"])
    if ask.full:
        ask_about_approach(ask, "sphere", found["sphere"][-3:], (1.5, 2.0, 2.5))
        found[ROTATED] = courses(ask, ROTATED)
        gates[ROTATED] = gates["sphere"]._replace(crossing=crossing_when_rotated())
        ask_about_crossing(ask, SETTINGS[ROTATED].words, found[ROTATED], gates[ROTATED])
        found["sphere general"] = courses(ask, "sphere general")
        ask_about_general_sphere(ask, found["sphere general"])
    ask.heading("S², dim E = 2")
    found["plane"] = courses(ask, "plane")
    minima = ask_about_plane(ask, found["plane"])
    ask.heading("the bound as an envelope")
    envelopes = {name: ask_about_envelope(ask, name, found[name]) for name in ("circle", "turning")[: 1 + ask.full]}
    last = next(reversed(envelopes))
    ask.remark(
        "Without second phase min W₂ falls like β^{-1/2}, W₁ and W₂(ρ^β, ρ^∞) at fixed times like 1/β; nothing "
        "follows about the sharpness of the theorem. The exponent c/(2(C + c)) of C5, and t_opt ~ log β/(2(C + c)), "
        "belong to the optimum of the bound over t, not to the solution, whose t_min goes like log β/κ."
    )
    bands = " Bands: companion runs of lower degree." if ask.full else ""
    bars = " Error bars: companion runs of lower degree." if ask.full else ""
    ask.figure(
        "concentration",
        lambda: draw_courses(found, gates),
        "W₂ to the limit over time: measured (solid); dashed, for B = I and rotations, first-order theory for the "
        f"mass that crosses.{bands}",
    )
    slope = foretold(predict(SETTINGS["turning"].head()).least_distance)
    ask.figure(
        "minimum",
        lambda: draw_minima(found, gates, minima, slope),
        "Time and size of the smallest W₂ against β. First-order theory dashed, in the colour of its setting; where "
        "only its slopes are known, a line through the last point, dash-dotted. dim E = 2: t_min of the surrogate "
        f"√(lower² + (upper − lower)²).{bars}",
    )
    ask.figure(
        "envelope",
        lambda: draw_envelope(
            SETTINGS[last].words, found[last], envelopes[last], found["circle"], gates["circle"], fixed
        ),
        "The bound as a fitted envelope, and the laws measured: 1/β at a fixed time, β^{-1/2} at the minimum." + bands,
    )


if __name__ == "__main__":
    run(investigate, __doc__)
