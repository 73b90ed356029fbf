"""Attention as diffusion: heat, porous medium and backward heat as temperature falls, each with its first correction.

With B = I and V = ±I the velocity is ±∇φ/β: φ = log Z for softmax, φ = Z for unnormalised attention. As β → ∞

    Z/λ_0 = p + Δp/2β + O(β⁻²),    p = density over the uniform one, λ_0 = ∫ e^{βx·y} dσ,

so that V = −I is the heat equation ∂_s p = Δp for softmax at s = t/β (C8) and the porous medium equation
∂_s p = ½Δp² for unnormalised attention at s = λ_0 t/β (C9); V = +I is the heat equation backwards (C10). The error is
r/β + O(β⁻²), where r starts at 0 and solves

    softmax:  ∂_s r = ±[Δr + ½ div(p∇(Δp/p))],    unnormalised:  ∂_s r = Δ(pr) + ½ div(p∇Δp).

Limits and corrections come from a pseudo-spectral method of lines (Fourier, Legendre; DOP853), which shares nothing
with the solver. Errors are root mean squares of p over the uniform measure. A single degree obeys
β|γ_l| = l(l+d−2) I_{l+d/2−1}/I_{d/2−1}(β): heat for l ≪ √β, cut off like e^{−l²/2β}.

    python validation/heat_limits.py                     # quick: 20 s
    python validation/heat_limits.py --full --out out    # larger β, both spheres: 2 min
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from claims import Inquiry, Measured, canvas, limit_of, order_fit, run, with_bars
from claims.figures import GUIDE, SERIES, theory
from experiments.diffusion_limits import LIMITS, Limit, datum_at, harmonics_at, reference
from experiments.near_uniform import MODELS, SPHERE, growth, twice_extrapolated
from matplotlib.figure import Figure

from spherepde import Circle, ContinuityEquation, Head, Simulation, Sphere, exact
from spherepde.densities import Density, harmonics, polynomial

LARGEST = {"heat": 640.0, "porous medium": 300.0, "backward heat": 320.0}
DOUBLINGS = {"heat": 5, "porous medium": 4, "backward heat": 4}
"""Up to the largest β (quick: 3). Unnormalised attention overflows beyond 300; backwards round-off grows by e^{0.74βs}.
"""
DRAWN = (5.0, 20.0)
TWO_RUNS = "two degrees more, rtol 1e-10 for 1e-12; round-off"
DENSITIES = (
    "Densities and their limits; below, errors times β and r. Backward heat: mild data for a short time only, which "
    "hardly move, for the problem is ill-posed: round-off and whatever degree l holds grow like exp(l² s)."
)
LMAX, RTOL = 47, 1e-11
FINER = (63, 1e-12)
"""For the run that judges the others."""


def density_of(limit: Limit) -> Density:
    """The datum for the solver."""
    a, b = limit.datum
    if limit.dim == 2:
        second = {"degree": 2, "cos": b * np.cos(1.0), "sin": -b * np.sin(1.0)}
        return harmonics(2, [{"degree": 1, "cos": a}, second])
    return polynomial([0.0, 0.0, a], b * np.diag([-0.5, -0.5, 1.0]))


@dataclass(frozen=True)
class Solution:
    """p at the end on angles (a meridian on S²), and the weights of those for the uniform measure."""

    angle: np.ndarray
    p: np.ndarray
    weights: np.ndarray


def attention(name: str, beta: float, lmax: int, rtol: float) -> Solution:
    """The density that attention makes of the datum at the rescaled time."""
    limit = LIMITS[name]
    space = Circle(lmax) if limit.dim == 2 else Sphere(lmax)
    head = Head(limit.sign * np.eye(limit.dim), beta=beta)
    equation = ContinuityEquation(space, MODELS[limit.attention](head))
    clock = beta if limit.attention == "softmax" else 0.5 / exact.energy_uniform(limit.dim, beta)
    result = Simulation(equation, density_of(limit), rtol=rtol, progress=False).run(until=clock * limit.time)
    if result.status != "done":
        raise ArithmeticError(f"{name}, beta = {beta:g}: {result.reason}")
    p, weights = space.area * space.to_nodal(result.state), space.weights / space.area
    if limit.dim == 3:
        p, weights = p[:, 0], weights.sum(axis=1)
    return Solution(space.theta, p, weights)


@dataclass(frozen=True)
class Errors:
    """For each β: distance to the limit, and to that with its first correction; both for a finer run at the largest β.

    ``correction`` is ‖r‖, ``unsure`` how much r changes with two degrees more.
    """

    beta: np.ndarray
    first: np.ndarray
    second: np.ndarray
    finer: tuple[float, float]
    correction: float
    unsure: float
    last: Solution


def errors_of(name: str, betas: tuple[float, ...]) -> Errors:
    """Root mean square distances for each β."""
    limit = LIMITS[name]
    exactly, more = reference(name, limit.degrees, 1e-12), reference(name, limit.degrees + 2, 1e-11)
    unsure = abs(float(np.linalg.norm(exactly.r) - np.linalg.norm(more.r)))

    def distances(beta: float, found: Solution) -> tuple[float, float]:
        values = harmonics_at(limit.dim, limit.degrees, found.angle)[0]
        off = found.p - values @ exactly.p
        rest = off - values @ exactly.r / beta
        return float(np.sqrt(found.weights @ off**2)), float(np.sqrt(found.weights @ rest**2))

    solutions = tuple(attention(name, beta, LMAX, RTOL) for beta in betas)
    first, second = np.array([distances(*pair) for pair in zip(betas, solutions, strict=True)]).T
    finer = distances(betas[-1], attention(name, betas[-1], *FINER))
    return Errors(np.array(betas), first, second, finer, float(np.linalg.norm(exactly.r)), unsure, solutions[-1])


def all_orders(beta: float) -> float:
    """Distance to the heat equation on S² from a datum with all orders of degrees 1 and 2 at time 0.15."""
    modes = [(1, 0, 0.2), (1, 1, -0.15), (1, -1, 0.1), (2, 0, 0.1), (2, 1, 0.08), (2, -2, 0.1)]
    datum = harmonics(3, [{"degree": l, "order": m, "amplitude": a} for l, m, a in modes])
    equation = ContinuityEquation(Sphere(LMAX), MODELS["softmax"](Head(-np.eye(3), beta=beta)))
    sim = Simulation(equation, datum, rtol=RTOL, progress=False)
    start, time = sim.state.copy(), LIMITS["heat, S²"].time
    end, space = sim.run(until=beta * time).state, equation.space
    off = end - start * exact.heat_decay(3, space.degree, time)
    return float(np.sqrt(4.0 * np.pi * space.inner(off, off)))


def rates_of(dim: int, betas: tuple[float, ...], degree: int, sign: float) -> tuple[list[float], float]:
    """β times the measured softmax growth rate of a degree, for several β, and the largest error bar among them."""
    found = [growth(dim, "softmax", beta, (degree,), sign) for beta in betas]
    values = [beta * float(np.mean(one.rate)) for beta, one in zip(betas, found, strict=True)]
    return values, max(beta * float(one.bar.max()) for beta, one in zip(betas, found, strict=True))


# ---- figures


def draw_densities(found: dict[str, Errors]) -> Figure:
    """Above the datum, what attention makes of it, and the limit, on S¹; below the error times β, and its limit r."""
    names = [name for name in found if name.endswith("S¹")]
    figure = canvas(10.0, 5.6)
    angle = np.linspace(0.0, 2.0 * np.pi, 300)
    for above, below, name in zip(*figure.subplots(2, len(names), sharex=True), names, strict=True):
        limit = LIMITS[name]
        end, values = reference(name, limit.degrees, RTOL), harmonics_at(2, limit.degrees, angle)[0]
        above.plot(angle, datum_at(limit, angle), ":", color=GUIDE, label="datum")
        shown = [(beta, attention(name, beta, LMAX, RTOL)) for beta in DRAWN]
        shown.append((found[name].beta[-1], found[name].last))
        for colour, (beta, one) in zip(SERIES, shown, strict=False):
            above.plot(one.angle, one.p, color=colour, label=f"β = {beta:g}")
            off = beta * (one.p - harmonics_at(2, limit.degrees, one.angle)[0] @ end.p)
            below.plot(one.angle, off, color=colour, label=f"β = {beta:g}")
        theory(above, angle, values @ end.p, "limit")
        theory(below, angle, values @ end.r, "$r$")
        above.set_title(f"{name}, rescaled time {limit.time:g}")
        below.set_xlabel("angle θ (radians)")
        for ax in (above, below):
            low, high = ax.get_ylim()
            ax.set_ylim(low, high + 0.35 * (high - low))
            ax.legend(ncols=3, loc="upper center", fontsize=7.0)
    figure.axes[0].set_ylabel("density / uniform density")
    figure.axes[len(names)].set_ylabel("β × (density − limit) / uniform density")
    return figure


def draw_errors(found: dict[str, Errors]) -> Figure:
    """Distance to each limit against β, and what is left after the first correction."""
    figure = canvas(9.5, 4.0)
    left, right = figure.subplots(1, 2)
    for k, (colour, (name, one)) in enumerate(zip(SERIES, found.items(), strict=False)):
        marker = "o-" if LIMITS[name].dim == 2 else "s-"
        with_bars(left, one.beta, one.first, abs(one.first[-1] - one.finer[0]), name, colour, fmt=marker)
        with_bars(right, one.beta, one.second, abs(one.second[-1] - one.finer[1]), name, colour, fmt=marker)
        last = k == len(found) - 1
        theory(left, one.beta, one.correction / one.beta, r"$\|r\|/\beta$, no fit" if last else None, zorder=5)
        square = one.second[-1] * (one.beta[-1] / one.beta) ** 2
        theory(right, one.beta, square, r"slope $-2$" if last else None, zorder=5)
    ticks = sorted({beta for name, one in found.items() if "heat" in name for beta in one.beta})
    for ax, words in ((left, "to the limit"), (right, "to the limit with its first correction")):
        ax.set(xscale="log", yscale="log", xlabel=r"$\beta$ (dimensionless)", title=f"distance {words}")
        ax.set_xticks(ticks, [f"{beta:g}" for beta in ticks])
        ax.minorticks_off()
    left.set_ylabel("root mean square of p (dimensionless)")
    left.legend(fontsize=7.0)
    right.legend(fontsize=7.0)
    return figure


def draw_rates(found: dict[tuple[int, float], np.ndarray]) -> Figure:
    """Rates over those of the heat equation, against l/√(2β)."""
    figure = canvas(6.0, 3.8)
    ax = figure.subplots()
    for colour, ((dim, beta), (rates, bars)) in zip(SERIES, found.items(), strict=False):
        l, label = np.arange(1, rates.size + 1) + 0.5 * dim - 1.0, f"{SPHERE[dim]}, β = {beta:g}"
        with_bars(ax, l / np.sqrt(2.0 * beta), rates, bars, label, colour, fmt="o", markersize=3.5)
    x = np.linspace(0.0, 2.2, 200)
    theory(ax, x, np.exp(-(x**2)), r"$e^{-l^2/2\beta}$, β → ∞")
    ax.set(xlabel=r"$(l+d/2-1)/\sqrt{2\beta}$", ylabel=r"$\beta\gamma_l\,/\,l(l+d-2)$ (dimensionless)")
    ax.set_title("backward heat at low degrees, cut off at √(2β)")
    ax.legend()
    return figure


# ---- the claims


def ask_limit(ask: Inquiry, name: str) -> Errors:
    """Order, constant and what is left after the first correction."""
    limit, kind = LIMITS[name], name.partition(",")[0]
    doublings = DOUBLINGS[kind] if ask.full else 3
    errors = ask.part(errors_of, name, tuple(LARGEST[kind] * 0.5**j for j in range(doublings, -1, -1)))
    steps = [abs(mine - finer) for mine, finer in zip((errors.first[-1], errors.second[-1]), errors.finer, strict=True)]
    words = f"lmax {FINER[0]}, rtol {FINER[1]:g} at the largest β"
    order = order_fit(errors.beta, errors.first).plus(words, 2.0 * steps[0] / errors.first[-1] / np.log(2.0))
    ask.equal(f"{name}: order of the distance in β", -1.0, order, source=limit.source, excluded=-0.5)
    further = 2.0 * errors.beta[-1] * steps[0] + errors.unsure
    constant = limit_of((errors.beta * errors.first).tolist()).plus(f"{words}, reference", further)
    ask.equal(f"{name}: β × distance, β → ∞, against ‖r‖", errors.correction, constant, source=limit.source)
    order = order_fit(errors.beta, errors.second).plus(words, 2.0 * steps[1] / errors.second[-1] / np.log(2.0))
    ask.equal(f"{name}: order after the first correction", -2.0, order, source=limit.source, excluded=-1.0)
    return errors


def ask_references(ask: Inquiry) -> None:
    """The reference solutions against what is known of them."""
    ask.heading("the reference solutions, judged without the solver")
    angle = np.linspace(0.0, 2.0 * np.pi, 50)
    for name, limit in LIMITS.items():
        mine, finer = reference(name, limit.degrees, 1e-12), reference(name, limit.degrees + 2, 1e-10)
        values = [harmonics_at(limit.dim, n, angle)[0] for n in (limit.degrees, limit.degrees + 2)]
        change = np.abs(values[0] @ mine.p - values[1] @ finer.p).max()
        if limit.attention == "unnormalised":
            lost = Measured(mine.dissipated, abs(mine.dissipated - finer.dissipated) + 1e-14, TWO_RUNS)
            ask.equal(f"{name}: ∫∫p|∇p|² against the loss of ½∫p²", mine.lost, lost, source="C9")
        else:
            a, b = np.array(limit.datum) * exact.heat_decay(limit.dim, np.array([1, 2]), -limit.sign * limit.time)
            ended = np.linalg.norm([1.0, a / np.sqrt(limit.dim), b / np.sqrt(2.0 if limit.dim == 2 else 5.0)])
            norm = Measured(float(np.linalg.norm(mine.p)), float(change) + 1e-14, TWO_RUNS)
            ask.equal(f"{name}: ‖p‖ against exact decay", float(ended), norm, source=limit.source)


def ask_rates(ask: Inquiry) -> None:
    """One degree at a time: heat for low ones, cut off beyond √(2β)."""
    ask.heading("single degrees, from nonlinear runs")
    betas = {2: tuple(40.0 * 2.0**j for j in range(5)), 3: tuple(20.0 * 2.0**j for j in range(4))}
    for dim, l, sign in product((2, 3) if ask.full else (2,), range(1, 5) if ask.full else (1, 3), (-1.0, 1.0)):
        values, bar = ask.part(rates_of, dim, betas[dim], l, sign)
        what = f"{SPHERE[dim]}, V = {'−' if sign < 0 else ''}I: βγ of degree {l}, β → ∞"
        limit = twice_extrapolated(values).plus("of the rates", 6.0 * bar)
        ask.equal(what, sign * l * (l + dim - 2), limit, source="C8" if sign < 0 else "C10")
    cut = [rates_of(2, (0.5 * l * l,), l, 1.0)[0][0] / (l * l) for l in (4, 8, 16, 32)]
    ask.equal("S¹: βγ/l² at l = √(2β), β → ∞", np.exp(-1.0), limit_of(cut, 4.0), source="C10")
    cases = [(2, 8.0), (2, 32.0), (2, 128.0), *([(3, 8.0), (3, 32.0)] if ask.full else [])]
    shown = {case: ask.part(relative_rates, *case) for case in cases}
    ask.figure("cut_off", lambda: draw_rates(shown), "Rates over those of backward heat, and the Gaussian cut-off.")


def relative_rates(dim: int, beta: float) -> np.ndarray:
    """Measured βγ/l(l+d−2) of degrees up to 2√(2β), and their error bars."""
    l = np.arange(1, int(2.1 * np.sqrt(2.0 * beta)) + 1)
    found = growth(dim, "softmax", beta, l.tolist())
    rates = np.array([[column[found.degree == k].mean() for k in l] for column in (found.rate, found.bar)])
    return beta * rates / (l * (l + dim - 2.0))


def investigate(ask: Inquiry) -> None:
    """All of it."""
    ask_references(ask)
    found = {}
    for name in LIMITS:
        ask.heading(name)
        found[name] = ask_limit(ask, name)
    if ask.full:
        betas = [40.0 * 2.0**j for j in range(5)]
        order = order_fit(betas, [ask.part(all_orders, beta) for beta in betas])
        ask.equal("heat, S², all orders: order of the distance in β", -1.0, order, source="C8", excluded=-0.5)
    ask.figure("densities", lambda: draw_densities(found), DENSITIES)
    ask.figure("errors", lambda: draw_errors(found), "Distances to the limits: order 1, or 2 with the correction.")
    ask_rates(ask)


if __name__ == "__main__":
    run(investigate, __doc__)
