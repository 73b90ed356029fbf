"""How the uniform density breaks up: growth rates, the number of clusters, symmetries kept, and noise that prevents it.

With V = ±I and B = I a perturbation of degree l of the uniform density on S^{d−1} grows at (C12, C37)

    γ_l = ±l(l+d−2) (λ_l/β)/n − κ l(l+d−2),    λ_l ∝ I_{l+d/2−1}(β) with λ_l = ∫ e^{βx·y} Y_l dσ / Y_l,

n = λ_0 for softmax and 1 for unnormalised attention, κ diffusion. So both have the same fastest degree, which passes
from k to k+1 where k(k+d−2) I_{k+d/2−1} = (k+1)(k+d−1) I_{k+d/2} (C13) and tends to √(2β), while the softmax rate
tends to 2/e. From weak noise the fastest degree says how many clusters form; from cos(kθ + φ) they stand at
(2πj − φ)/k (C14), tested until they leave lmax 255: t = 0.425 for β = 5, 0.067 for β = 7. From strong noise, 0.01
white on 10⁴ points, the linear phase is short: the degree with the largest |u_k| e^{γ_k t} leads, not always the
fastest. Diffusion keeps the uniform density stable for κ > λ_1/β (unnormalised), degree 1 being the first to go;
there the bifurcation turns from continuous to discontinuous where I_{d/2+1}/I_{d/2} = 1/d (C37).

Everything is measured from nonlinear runs of the time stepper; switches and thresholds are roots of measured rates.

    python validation/uniform_instability.py                     # quick: 20 s
    python validation/uniform_instability.py --full --out out    # all β, switches and spheres: 2 min
"""

from __future__ import annotations

from itertools import product

import numpy as np
from claims import Inquiry, Measured, canvas, limit_of, run, with_bars
from claims.figures import GUIDE, SERIES, TIME_LABEL, theory
from experiments.near_uniform import (
    BAR,
    CLUSTER_RUNS,
    CLUSTERS,
    MODELS,
    NOISE,
    PHASE,
    SPHERE,
    SYMMETRIES,
    SYMMETRY_STEPS,
    SYMMETRY_TIME,
    Clusters,
    FromNoise,
    Rates,
    broken,
    clusters,
    finite_amplitude,
    from_noise,
    from_white_noise,
    growth,
    twice_extrapolated,
)
from matplotlib.figure import Figure
from scipy.optimize import brentq
from scipy.special import ive

from spherepde import exact

DEGREES = range(1, 9)
EPSILON = float(np.finfo(float).eps)
SEEDS, WHITE_SEEDS = 8, 32
LEVELS = (0.4, 0.2, 0.1, 0.05)
"""Deviations at which gains are read; what is left of nonlinear effects falls as their square."""

# ---- degrees that grow


def ratio(dim: int, beta: float, degree: int) -> float:
    """λ_l/λ_0 by Bessel functions."""
    return float(ive(degree + 0.5 * dim - 1.0, beta) / ive(0.5 * dim - 1.0, beta))


def switch_by_bessel(dim: int, k: int) -> float:
    """Where degrees k and k+1 grow alike."""

    def difference(beta: float) -> float:
        return (k + 1) * (k + dim - 1) * ratio(dim, beta, k + 1) - k * (k + dim - 2) * ratio(dim, beta, k)

    return float(brentq(difference, 0.5, (k + dim) ** 2, xtol=1e-13))


def switch(dim: int, attention: str, k: int) -> Measured:
    """Where the measured rates of degrees k and k+1 are equal: root, and the rates' error bars over the slope."""

    def difference(beta: float) -> tuple[float, float]:
        found = growth(dim, attention, beta, (k, k + 1))
        low, high = (np.mean(found.rate[found.degree == l]) for l in (k, k + 1))
        return float(high / low - 1.0), float(2.0 * found.bar.max() / low)

    triangle = 0.5 * k * (k + 1)
    root = brentq(lambda beta: difference(beta)[0], 0.9 * triangle, triangle + k + 1.0, xtol=1e-9, rtol=1e-9)
    slope = (difference(1.01 * root)[0] - difference(0.99 * root)[0]) / (0.02 * root)
    bar = difference(root)[1] / slope + 2e-9 * root
    return Measured(root, bar, f"root of measured rates: 1e-9, {BAR}")


def fastest(dim: int, beta: float) -> tuple[float, float]:
    """Largest softmax rate, and (l + d/2 − 1)²/(2β) there, from five measured degrees as a smooth function of log l."""
    shift = 0.5 * dim - 1.0
    middle = round(np.sqrt(2.0 * beta) - shift)
    found = growth(dim, "softmax", beta, range(middle - 2, middle + 3))
    rates = [np.mean(found.rate[found.degree == l]) for l in range(middle - 2, middle + 3)]
    centre = np.log(middle + shift)
    curve = np.poly1d(np.polyfit(np.log(np.arange(middle - 2, middle + 3) + shift) - centre, np.log(rates), 4))
    tops = [x.real for x in curve.deriv().roots if abs(x.imag) < 1e-12 and abs(x) < 0.5]
    top = max(tops, key=curve)
    return float(np.exp(curve(top))), float(np.exp(2.0 * (top + centre)) / (2.0 * beta))


# ---- noise against instability


def threshold(dim: int, attention: str, beta: float) -> tuple[Measured, int]:
    """The diffusion at which degree 1 stops growing, and how many of degrees 1 … 8 grow just below it."""
    largest = 1.0 / beta * (1.0 if attention == "softmax" else 2.0 * beta * exact.energy_uniform(dim, beta))
    rates = {}

    def rate(diffusion: float) -> float:
        rates[diffusion] = growth(dim, attention, beta, (1,), diffusion=diffusion)
        return float(np.mean(rates[diffusion].rate))

    root = float(brentq(rate, 0.0, largest, xtol=1e-10 * largest, rtol=1e-12))
    bar = rates[min(rates, key=lambda kappa: abs(kappa - root))].bar.max() * root / rates[0.0].rate.max()
    near = growth(dim, attention, beta, DEGREES, diffusion=0.999 * root)
    growing = set(near.degree[near.rate > 0.0])
    return Measured(root, float(bar + 1e-10 * largest), f"root of measured rates, {BAR}"), len(growing)


def tricritical(dim: int) -> Measured:
    """Where :func:`finite_amplitude` changes sign as the amplitude tends to 0; the bar is what extrapolation adds."""
    cache: dict[float, tuple[float, float]] = {}

    def both(beta: float) -> tuple[float, float]:
        cache[beta] = cache.get(beta) or (finite_amplitude(dim, beta, 0.01), finite_amplitude(dim, beta, 0.02))
        return cache[beta]

    def limit(beta: float) -> float:
        small, large = both(beta)
        return (4.0 * small - large) / 3.0

    root = float(brentq(limit, 1.2, 3.5, xtol=1e-6))
    slope = (limit(1.02 * root) - limit(0.98 * root)) / (0.04 * root)
    small, large = both(root)
    return Measured(root, abs((small - large) / 3.0 / slope) + 1e-6, "amplitude to 0")


# ---- figures

MARKERS = {
    "softmax": ({"fmt": "o", "markersize": 4.0}, "softmax"),
    "unnormalised": ({"fmt": "s", "mfc": "none", "markersize": 8.0}, r"unnormalised$/\lambda_0$"),
}


def draw_rates(found: dict[tuple[int, str, float], Rates]) -> Figure:
    """Measured softmax rates against degree, those of unnormalised attention over λ_0, and the formula."""
    figure = canvas(9.0, 3.6)
    for ax, dim in zip(figure.subplots(1, 2, sharey=True), (2, 3), strict=True):
        l = np.linspace(0.0, 8.3, 200)
        betas = sorted({beta for d, _, beta in found if d == dim})
        for colour, beta in zip(SERIES, betas, strict=False):
            for attention in MODELS:
                rates = found[dim, attention, beta]
                over = 1.0 if attention == "softmax" else 2.0 * beta * exact.energy_uniform(dim, beta)
                options, name = MARKERS[attention]
                values, bars = rates.rate / over, rates.bar / over
                with_bars(ax, rates.degree, values, bars, f"{name}, β = {beta:g}", colour, **options)
            theory(ax, l, exact.growth_rate(dim, beta, l, "softmax"), "theory" if beta == betas[-1] else None)
        ax.set(xlabel="degree $l$ (all orders)", title=f"{SPHERE[dim]}, V = B = I", ylim=(-0.02, 1.02))
        ax.legend(fontsize=7.0, ncols=2, loc="upper right")
    figure.axes[0].set_ylabel(r"growth rate $\gamma_l$ (dimensionless)")
    return figure


def draw_switches(found: dict[int, dict[int, Measured]]) -> Figure:
    """The fastest degree against β: measured switches, the formula dashed, and √(2β)."""
    figure = canvas(6.0, 3.8)
    ax = figure.subplots()
    top = 1.12 * max(m.value for rows in found.values() for m in rows.values())
    for colour, (dim, rows) in zip(SERIES, found.items(), strict=False):
        ks = sorted(rows)
        values, bars = [rows[k].value for k in ks], [rows[k].bar for k in ks]
        label = f"{SPHERE[dim]}: measured switch"
        ax.errorbar(values, np.array(ks) + 0.5, xerr=bars, fmt="o", markersize=5.0, color=colour, label=label)
        exact_switches = [switch_by_bessel(dim, k) for k in ks]
        edges = [0.0, *exact_switches, min(top, switch_by_bessel(dim, ks[-1] + 1))]
        degrees = np.repeat(np.arange(1, len(edges)), 2)
        theory(ax, np.repeat(edges, 2)[1:-1], degrees, f"{SPHERE[dim]}: Bessel ratios", color=colour)
    beta = np.linspace(0.0, top, 200)
    ax.plot(beta, np.sqrt(2.0 * beta), ":", color=GUIDE, label=r"$\sqrt{2\beta}$")
    ax.set(xlabel=r"$\beta$ (dimensionless)", ylabel="fastest degree", title="the degree that grows fastest")
    ax.set_yticks(range(2 + max(max(rows) for rows in found.values())))
    ax.legend(loc="lower right")
    return figure


def draw_clusters(noisy: FromNoise, grown: dict[float, Clusters]) -> Figure:
    """Modes growing out of noise, and the clusters that stand where the phase of the datum says."""
    figure = canvas(9.0, 3.6)
    left, right = figure.subplots(1, 2)
    for colour, k in zip(SERIES, range(1, 6), strict=False):
        left.semilogy(noisy.t, noisy.moduli[:, k], color=colour, label=f"degree {k}")
        line = noisy.moduli[0, k] * np.exp(float(exact.growth_rate(2, 5.0, k, "unnormalised")) * noisy.t)
        theory(left, noisy.t, line, r"$e^{\gamma_k t}$" if k == 5 else None)
    left.set(xlabel=TIME_LABEL, ylabel="modulus / uniform density", title="S¹, unnormalised, β = 5, from noise")
    left.set_ylim(0.5 * NOISE, 2.0)
    left.legend(ncols=2, loc="upper left")
    for colour, (beta, one) in zip(SERIES, grown.items(), strict=False):
        k = CLUSTERS[beta][0]
        right.plot(one.theta, one.density, color=colour, label=f"β = {beta:g}, from $\\cos({k}θ + {PHASE})$")
        for j in range(k):
            label = r"$(2\pi j-\varphi)/k$" if j == 0 else None
            where = (2.0 * np.pi * j - PHASE) / k % (2.0 * np.pi)
            right.axvline(where, color=colour, linestyle="--", linewidth=0.9, ymax=0.76, label=label)
    right.set(xlabel="angle θ (radians)", ylabel=r"density $\times\,2\pi$", title="clusters stay $k$-fold")
    right.set_ylim(0.0, 1.35 * max(one.density.max() for one in grown.values()))
    right.legend(ncols=2, loc="upper center")
    return figure


# ---- the claims


def ask_rates(ask: Inquiry) -> None:
    """Rates of degrees 1 … 8, all orders, and the figure."""
    ask.heading("growth rates of degrees 1 … 8, all orders (the one that misses by most of its error bars)")
    found = {}
    turned = 0.0
    for dim, attention, beta, sign in product((2, 3), MODELS, (1.0, 5.0, 10.0) if ask.full else (5.0,), (1.0, -1.0)):
        rates = ask.part(growth, dim, attention, beta, DEGREES, sign)
        predicted = sign * exact.growth_rate(dim, beta, np.arange(9), attention)
        mode, turned = rates.worst(predicted), max(turned, rates.turned)
        degree = rates.degree[mode]
        what = f"{SPHERE[dim]}, {attention}, β = {beta:g}, V = {'−' if sign < 0 else ''}I: rate of degree {degree}"
        ask.equal(what, predicted[degree], rates.measured(mode), source="C12")
        if sign > 0:
            found[dim, attention, beta] = rates
    turn = Measured(turned, 1.0, "its unit")
    ask.equal("largest turn of a phase, in error bars of its rate", 0.0, turn, source="C12")
    ask.figure("growth_rates", lambda: draw_rates(found), "Growth rates of all orders of a degree, and theory.")


def ask_switches(ask: Inquiry) -> None:
    """Where the fastest degree changes, and its limits for large β."""
    ask.heading("the fastest degree")
    wanted = {2: range(1, 8), 3: range(1, 6)} if ask.full else {2: range(1, 3), 3: range(1, 2)}
    found: dict[int, dict[int, Measured]] = {2: {}, 3: {}}
    for dim, ks in wanted.items():
        for k, attention in product(ks, MODELS):
            if attention == "softmax" or (ask.full and k <= 2):
                root = ask.part(switch, dim, attention, k)
                what = f"{SPHERE[dim]}, {attention}: β of {k} → {k + 1}"
                ask.equal(what, switch_by_bessel(dim, k), root, source="C13")
                found[dim].setdefault(k, root)
    ask.figure("switches", lambda: draw_switches(found), "The degree that grows fastest, switches measured.")
    betas = {2: [50.0 * 2**j for j in range(5)], 3: [12.5, 25.0, 50.0, 100.0]}
    for dim in (2, 3) if ask.full else (2,):
        tops = [ask.part(fastest, dim, beta) for beta in betas[dim]]
        rate, place = (twice_extrapolated([top[i] for top in tops]) for i in (0, 1))
        ask.equal(f"{SPHERE[dim]}: largest softmax rate, β → ∞", 2.0 / np.e, rate, source="C13")
        ask.equal(f"{SPHERE[dim]}: (l + d/2 − 1)²/2β of the fastest degree, β → ∞", 1.0, place, source="C13")


def ask_noise(ask: Inquiry) -> FromNoise:
    """Which degree noise makes grow."""
    ask.heading("from noise to the fastest degree")
    cases = [(2, "unnormalised", 5.0, SEEDS), (2, "unnormalised", 7.0, SEEDS)]
    cases += [(3, "softmax", 5.0, 3), (3, "unnormalised", 10.0, 3)] if ask.full else []
    first: list[FromNoise] = []
    for dim, attention, beta, seeds in cases:
        runs = [ask.part(from_noise, dim, attention, beta, seed) for seed in range(seeds)]
        k = runs[0].fastest
        name = f"{SPHERE[dim]}, {attention}, β = {beta:g}"
        first.append(runs[0])
        means, turns = zip(*(runs[0].until(deviation) for deviation in LEVELS), strict=True)
        what = f"{name}: mean rate of degree {k} from amplitude 1e-6, deviation → 0"
        ask.equal(what, float(exact.growth_rate(dim, beta, k, attention)), limit_of(means, 4.0), source="C12")
        if dim == 2:
            peaks = Measured(sum(one.maxima == k for one in runs), 0.0, "counted")
            ask.equal(f"{name}: seeds of {seeds} with {k} maxima", seeds, peaks, source="C14")
            ask.equal(f"{name}: turn of mode {k} (radians), deviation → 0", 0.0, limit_of(turns, 4.0), source="C14")
    for beta in (5.0, 7.0):
        predicted, led, leads = zip(*(from_white_noise(beta, seed) for seed in range(WHITE_SEEDS)), strict=True)
        same = Measured(sum(a == b for a, b in zip(predicted, led, strict=True)), 0.0, "counted")
        name = f"S¹, unnormalised, β = {beta:g}, white noise 0.01"
        what = f"{name}: seeds of {WHITE_SEEDS} led by the degree that leads in linear theory"
        ask.equal(what, WHITE_SEEDS, same, source="C12; section 3")
        counts = ", ".join(f"degree {k} in {led.count(k)}" for k in sorted(set(led)))
        ask.remark(
            f"{name}: at the end of the linear phase {counts} of {WHITE_SEEDS} seeds leads, by {min(leads):.1%} of the "
            "next or more. So the fastest degree need not win."
        )
    return first[0]


def ask_symmetry(ask: Inquiry, noisy: FromNoise) -> None:
    """Clusters where the datum's phase says, and symmetries kept to round-off."""
    ask.heading("symmetries kept")
    grown = {}
    for beta, (k, until) in CLUSTERS.items():
        runs = [ask.part(clusters, beta, *run) for run in CLUSTER_RUNS]
        grown[beta] = runs[0]
        name = f"S¹, unnormalised, β = {beta:g}, from cos({k}θ + {PHASE}) to t = {until:g}"
        ask.equal(f"{name}: clusters", k, Measured(len(runs[0].maxima), 0.0, "counted"), source="C14")
        rounding = EPSILON * np.sqrt(CLUSTER_RUNS[-1][1])
        for what, worst in (
            ("largest distance of a maximum from (2πj − φ)/k", max(one.off for one in runs)),
            (f"modes that are no multiple of {k}", max(one.forbidden for one in runs)),
        ):
            measured = Measured(worst, rounding, "largest of three runs; 2e-16 × √steps, no growth")
            ask.equal(f"{name}: {what}", 0.0, measured, source="C14")
    ask.figure("clusters", lambda: draw_clusters(noisy, grown), "Noise picks the fastest mode; clusters keep a phase.")
    growing = np.exp(SYMMETRY_TIME * exact.growth_rate(3, 5.0, 3, "softmax"))
    for symmetry in SYMMETRIES:
        left, peak = ask.part(broken, symmetry)
        bar = EPSILON * np.sqrt(SYMMETRY_STEPS) * growing
        kind = f"modes that a datum of symmetry {symmetry} excludes, rotated against the grid"
        kind = "a rotated datum less the rotated solution" if symmetry == "rotated" else kind
        what = f"S², softmax, β = 5, t = {SYMMETRY_TIME:g}, peak at {peak:.1f} times uniform: {kind}"
        ask.equal(what, 0.0, Measured(left, float(bar), "2e-16 × √steps × growth"), source="C14")


def ask_diffusion(ask: Inquiry) -> None:
    """Diffusion that keeps the uniform density stable."""
    ask.heading("noise against instability")
    cases = product((2, 3), MODELS, (1.0, 5.0)) if ask.full else [(2, "unnormalised", 5.0), (3, "softmax", 5.0)]
    for dim, attention, beta in cases:
        root, growing = ask.part(threshold, dim, attention, beta)
        over = 1.0 if attention == "softmax" else 2.0 * beta * exact.energy_uniform(dim, beta)
        name = f"{SPHERE[dim]}, {attention}, β = {beta:g}"
        ask.equal(f"{name}: κ at which degree 1 stops growing", over * ratio(dim, beta, 1) / beta, root, source="C37")
        ask.equal(f"{name}: degrees growing just below", 1, Measured(growing, 0.0, "counted"), source="C37")
    for dim in (2, 3) if ask.full else (2,):
        order = 0.5 * dim
        predicted = brentq(lambda b, v=order: ive(v + 1.0, b) / ive(v, b) - 0.5 / v, 0.5, 5.0, xtol=1e-13)
        what = f"{SPHERE[dim]}, unnormalised: β at which the bifurcation becomes discontinuous"
        ask.equal(what, predicted, ask.part(tricritical, dim), source="C37; arXiv 2606.05140")


def investigate(ask: Inquiry) -> None:
    """All of it."""
    ask_rates(ask)
    ask_switches(ask)
    noisy = ask_noise(ask)
    ask_symmetry(ask, noisy)
    ask_diffusion(ask)


if __name__ == "__main__":
    run(investigate, __doc__)
