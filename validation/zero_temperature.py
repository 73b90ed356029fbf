"""Zero temperature: hardmax flow against its closed form, Lyapunov functions, invariants, and two competing rates.

At β = ∞ tokens follow x˙ = P_xAx/|Bᵀx|, A = VBᵀ symmetric with eigenvalues λ₁ > λ₂ ≥ …, E the first
eigenspace, Δ = λ₁ − λ₂, ε = e^{−Δt}, Π(x) = P_E x/|P_E x|. Theory (checks C1, C2 and what precedes them):

* B = I: x(t) = e^{tA}x₀/|e^{tA}x₀|. On S¹ with Bᵀ = diag(b₁, b₂) the arrival time is elementary too.
* R = ∫⟨x,Ax⟩dρ never falls: Ṙ = ∫2|P_xAx|²/|Bᵀx|dρ. |P_⊥x|/|P_E x| falls at least at Δ/‖B‖ along every trajectory.
* Π♯ρ_t = Π♯ρ₀, so that W_p(ρ_t, Π♯ρ₀)^p = ∫dist(x,E)^p dρ_t: the distance is an integral.
* From the uniform density with B = I: on S¹ W₂² ≈ 2 ln2·ε (chordal 4/π·ε), W₁ ≈ (2/π)ε(1 + ln 1/ε); on S² with
  dim E = 1 W₂² ≈ π ln2·ε (chordal 2ε), W₁ ≈ ε(ln 1/ε + ln 2); with dim E = 2 W₂² ≈ ε²(ln 1/ε + ln 2 + ½ − π²/8),
  W₁ ≈ ε. So W₂ falls like e^{−Δt/2} for dim E = 1: half the rate of a single token, by the mass near E^⊥.
* B ≠ I: W_p^p ~ e^{−min(pκ∥, κ_w)t}, κ∥ = Δ/|Bᵀe| next to E, and κ_w for leaving the eigenvectors w of E^⊥, on S¹
  κ⊥ = Δ/|Bᵀu|. Where ρ₀ vanishes like |x₁|^m on E^⊥, κ⊥ becomes (1+m)κ⊥ and the full rate returns.

Densities come from the spectral solver, late times from nodes that resolve 1e-9 (experiments/hardmax_flows.py).
Constants and rates are limits, extrapolated with the known factor by which the next term is smaller.

    python validation/zero_temperature.py                   # 25 seconds
    python validation/zero_temperature.py --full --out out  # 3 minutes of processor time
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from claims import Inquiry, Measured, canvas, limit_of, line_fit, run, with_bars
from claims.figures import SERIES, TIME_LABEL, theory
from experiments.hardmax_flows import (
    COMPETING,
    RTOL,
    SCORES,
    TILTED,
    TURN,
    VALUES,
    Case,
    balance,
    distances,
    flow_deviation,
    l1_errors,
    late_images,
    nearest,
    trajectories,
    transported,
)
from matplotlib.figure import Figure
from numpy.typing import NDArray

Array = NDArray[np.float64]

NODES = (1e-6, 1e-8)
TOLERANCES = {(2, False): (1e-8, 1e-10), (2, True): (1e-10, 1e-12), (3, False): NODES, (3, True): (1e-7, 1e-9)}
"""Of nodes, followed twice, by dimension and mode: errors of the light ones near E^⊥ grow like 1/ε."""


class Constants(NamedTuple):
    """Of W₂² (geodesic, chordal) and of W₁ for B = I and uniform data, and the factor of ln 1/ε in W₁/ε."""

    geodesic: float
    chordal: float
    first: float
    slope: float


CONSTANTS = {
    Case((1.0, 0.0)): Constants(2.0 * np.log(2.0), 4.0 / np.pi, 2.0 / np.pi, 2.0 / np.pi),
    Case((1.0, 0.0, 0.0)): Constants(np.pi * np.log(2.0), 2.0, np.log(2.0), 1.0),
    Case((1.0, 1.0, 0.0), dominant=2): Constants(
        np.log(2.0) + 0.5 - 0.125 * np.pi**2, 2.0 * np.log(2.0) - 1.5, 1.0, 0.0
    ),
}
SWEEP = (0.2, 0.3, 0.4, 0.65, 0.8, 1.3, 2.0, 3.6)
"""b₂ in Bᵀ = diag(1, b₂): not where two rates are equal and a logarithm joins them (½, 1, 1½, 2½, 3, 5)."""
CLAIMED = (0.3, 2.0)
"""Those of which each rate is a claim."""
LEVELS = (1.0, 0.6, -0.6)
TRIANGLES = {
    "κ∥": (((1.0, 0.1, 0.1), (0.0, 0.2, 0.1), (0.0, 0.0, 1.5)), (4.0, 9.0), 0.4),
    "the second eigenvector": (((1.0, 0.2, 0.1), (0.0, 2.0, 0.3), (0.0, 0.0, 0.5)), (6.0, 16.0), 0.398),
    "the third eigenvector": (((1.0, 0.2, 0.1), (0.0, 0.35, 0.1), (0.0, 0.0, 7.0)), (8.0, 18.0), 0.343),
}
"""By what holds the mass back on S², VBᵀ = diag(LEVELS): Bᵀ, when the rate is read, how much faster the next term is.

The last is κ∥ next to E, and otherwise twice the slowest rate at which the patch about the eigenvector shrinks.
"""
SLOW_NODES = (3e-6, 1e-6)


def compared(fine: float, other: float, origin: str) -> Measured:
    """A number with its difference from one computed less well as error bar."""
    return Measured(float(fine), abs(float(fine - other)), origin)


# ---- closed forms


class ByDegree(NamedTuple):
    """L¹ errors by lmax, and what theory adds to their logarithm per degree."""

    label: str
    sizes: tuple[int, ...]
    errors: list[float]
    decay: float


def closed_forms(ask: Inquiry) -> list[ByDegree]:
    """Spectral densities and nodes against what is known exactly."""
    ask.heading("closed form")
    shown = []
    for dim, time in ((2, 2.0), (3, 1.0)):
        sizes = (15, 23, 31, 39, 47, 55, 63, 95) if ask.full else (15, 23, 31, 39, 47, 71)
        errors = ask.part(l1_errors, dim, False, time, sizes, RTOL[1])
        stretch = np.exp(time * (VALUES[0] - VALUES[dim - 1]))
        decay = -0.5 * np.log((stretch + 1.0) / (stretch - 1.0))
        clear = np.array(errors) > 100.0 * errors[-1]
        slope = line_fit(np.array(sizes)[clear], np.log(np.array(errors)[clear]))
        ask.equal(f"S^{dim - 1}, uniform data, t = {time:g}: ln(L¹ error) per degree", decay, slope, source="C1")
        shown.append(ByDegree(f"$S^{dim - 1}$, t = {time:g}", sizes, errors, decay))
        lmax, early = (127, 1.0) if dim == 2 else (63, 0.6)
        coarse, fine = (ask.part(l1_errors, dim, True, early, (lmax,), rtol)[0] for rtol in RTOL)
        measured = compared(fine, coarse, "time steps 1e-12 against 1e-11")
        ask.equal(f"S^{dim - 1}, V not symmetric, B a rotation: L¹ error at lmax {lmax}", 0.0, measured, source="C1")
    deviations = [ask.part(flow_deviation, tolerance) for tolerance in (TOLERANCES[2, True] if ask.full else NODES)]
    words = ("S², B = I, Δt = 6: mean error of nodes, in x", "S¹, Bᵀ = diag(1, 0.3), t = 12: mean error, in Δt")
    for what, coarse, fine in zip(words, *deviations, strict=True):
        ask.equal(what, 0.0, compared(fine, coarse, "nodes of a hundred times the tolerance"), source="C1")
    return shown


# ---- Lyapunov functions


def lyapunov(ask: Inquiry) -> tuple[Array, Array, Array]:
    """R and the log ratio never rise the wrong way, at the rates theory gives."""
    ask.heading("Lyapunov functions; S², general B, VBᵀ symmetric")
    gain, dissipated, rows = ask.part(balance, *((95, 10, RTOL[1]) if ask.full else (31, 6, 1e-8)))
    other = ask.part(balance, *((63, 8, RTOL[0]) if ask.full else (23, 5, 1e-7)))
    measured = Measured(gain, abs(gain - other[0]) + abs(dissipated - other[1]), "lmax, time steps, Gauss' rule")
    ask.equal("R(1) − R(0) against ∫∫2|P_xAx|²/|Bᵀx| dρ dt", dissipated, measured, source="section 1.2")
    least = np.diff(rows[:, 1]).min()
    ask.at_least("least rise of R between recorded times", 0.0, Measured(least, abs(gain - other[0]), "as above"))
    (times, R, ratio), (_, R_other, ratio_other) = (ask.part(trajectories, rtol) for rtol in (1e-11, 1e-9))
    rise, rise_other = np.diff(R, axis=0).min(), np.diff(R_other, axis=0).min()
    ask.at_least(
        "least rise of ⟨x,Ax⟩ of 200 tokens in 0.2",
        0.0,
        Measured(rise, abs(rise - rise_other) + 4e-16, "time steps 1e-9; rounding"),
    )
    rates, others = (np.diff(each, axis=0) / np.diff(times)[:, None] for each in (ratio, ratio_other))
    gap = VALUES[0] - VALUES[1]
    slowest = compared(rates.max(), others.max(), "time steps 1e-9")
    bound = -gap / float(np.linalg.norm(SCORES, 2))
    ask.at_most("slowest fall of ln|P_⊥x|/|P_E x| of any token, −Δ/‖B‖", bound, slowest, source="section 1.2")
    late = np.median(rates, axis=1)
    near = -gap / float(np.linalg.norm(SCORES.T @ TURN[:, 0]))
    final = compared(late[-1], late[-6], "one unit of time before")
    ask.equal("its rate at late times, −Δ/|Bᵀe|", near, final, source="C2", excluded=bound)
    return times, R, ratio


# ---- invariants


def invariants(ask: Inquiry) -> None:
    """Π♯ρ stays what it was, and the distance to it is an integral."""
    ask.heading("invariants; general B, tilted data")
    for name, case in TILTED.items():
        small, large = (95, 127) if case.dim == 2 else (63, 95) if ask.full else (31, 47)
        early, until = (1.2, 8.0) if ask.full or case.dim == 2 else (0.7, 2.0)
        powers = (1.0, 2.0) if case.dim == 2 else (2.0,)
        (change, solved), (other, rough) = (ask.part(transported, name, powers, lmax, early) for lmax in (large, small))
        moved = Measured(np.abs(change).max(), np.abs(change - other).max() + 1e-14, f"lmax {small}; rounding")
        ask.equal(f"{name}: change of Π♯ρ to t = {early:g}, spectral", 0.0, moved, source="section 1.2")
        (coarse, _), (fine, unsure) = (ask.part(late_images, name, until, tolerance) for tolerance in NODES)
        bar = np.abs(coarse - fine).max() + unsure + 1e-15
        moved = Measured(np.abs(fine).max(), bar, "nodes of tolerance 1e-6 against 1e-8; quadrature; rounding")
        ask.equal(f"{name}: Π♯ρ at t = {until:g}, nodes, less Π♯ρ₀, quadrature", 0.0, moved, source="section 1.2")
        for p, (value, gap), (less, _) in zip(powers, solved, rough, strict=True):
            check, integral = (ask.part(nearest, name, p, early, tolerance) for tolerance in NODES)
            bar = abs(value - less) + gap + abs(integral - check)
            measured = Measured(value, bar, f"lmax {small}; bounds of the solver; nodes")
            ask.equal(f"{name}: W_{p:g} solved, against (∫dist^p)^(1/p)", integral, measured, source="section 1.2")


# ---- constants and rates


@dataclass(frozen=True)
class Late:
    """∫dist, ∫dist², ∫chord² (columns) at equally spaced ``t``, by nodes of two tolerances."""

    t: Array
    fine: Array
    coarse: Array

    def limit(self, of: Callable[[Array], Array], decay: float) -> Measured:
        """Limit of what is made of the columns, whose next term falls like e^{−decay·t}, with the nodes' tolerance."""
        ratio = float(np.exp(decay * (self.t[1] - self.t[0])))
        fine, coarse = (limit_of(of(columns).tolist(), ratio) for columns in (self.fine, self.coarse))
        return fine.plus("tolerance of nodes", fine.value - coarse.value)

    def rate(self, p: int, decay: float) -> Measured:
        """Rate of W_p^p at late times."""
        return self.limit(lambda d: np.diff(np.log(d[:, p - 1])) / np.diff(self.t), decay)


def late(ask: Inquiry, case: Case, span: tuple[float, float], tolerances: tuple[float, float] | None = None) -> Late:
    """The distances of a case at six late times."""
    times = tuple(np.linspace(*span, 6).tolist())
    wanted = tolerances or TOLERANCES[case.dim, ask.full]
    coarse, fine = (ask.part(distances, case, times, tolerance) for tolerance in wanted)
    return Late(np.array(times), fine, coarse)


def rescaled(columns: Array, column: int, scale: Array, logarithm: Array) -> Array:
    """One of the distances in units of its law, less the logarithm in it."""
    return columns[:, column] / scale - logarithm


def constants(ask: Inquiry) -> dict[Case, Late]:
    """The constants of C2 for B = I and uniform data, and whether W₂ keeps the rate of a single token."""
    ask.heading("constants for B = I, uniform data; ε = e^{−Δt}")
    shown = {}
    for case, found in CONSTANTS.items():
        flat = case.dominant == 2
        span = (6.0, 14.0) if case.dim == 2 else (4.0, 9.0) if case.dominant == 1 else (3.0, 6.0)
        seen = late(ask, case, span if ask.full or case.dim == 2 else (3.0, 5.0))
        eps, logs = np.exp(-seen.t), flat * seen.t
        name, square = f"S^{case.dim - 1}, dim E = {case.dominant}", eps**case.dominant
        rows: list[tuple[str, float, Measured]] = []
        for column, (ground, wanted) in enumerate((("", found.geodesic), (", chordal", found.chordal)), 1):
            value = seen.limit(partial(rescaled, column=column, scale=square, logarithm=logs), case.dominant)
            rows.append((("W₂²/ε² − ln 1/ε" if flat else "W₂²/ε") + ground, wanted, value))
        first = seen.limit(partial(rescaled, column=0, scale=eps, logarithm=found.slope * seen.t), 1.0)
        rows.append(("W₁/ε" + (f" − {found.slope:.4g} ln 1/ε" if found.slope else ""), found.first, first))
        for what, wanted, value in rows:
            ask.equal(f"{name}: {what}", wanted, value, source="C2")
        if not flat:
            speed = seen.rate(2, 1.0).times(0.5)
            ask.equal(f"{name}: rate of W₂", -0.5, speed, source="C2", excluded=-1.0)
        shown[case] = seen
    return shown


def competing(ask: Inquiry) -> dict[int, dict[float, tuple[Measured, Measured]]]:
    """Rates of W₁ and W₂² on S¹, where two compete, over b₂ for data that vanish at E^⊥ or do not."""
    ask.heading("two competing rates, VBᵀ = diag(1, 0.45) on S¹")
    swept: dict[int, dict[float, tuple[Measured, Measured]]] = {}
    off: list[float] = []
    for vanishing in (0, 2, 4) if ask.full else (0, 2):
        swept[vanishing] = {}
        for b in SWEEP if ask.full else CLAIMED:
            case = Case(COMPETING, ((1.0, 0.0), (0.0, b)), vanishing)
            seen = late(ask, case, (6.0, 24.0) if case.rates(2)[0] < 0.9 else (4.0, 14.0))
            found = seen.rate(1, case.rates(1)[1]), seen.rate(2, case.rates(2)[1])
            swept[vanishing][b] = found
            for p, name in ((1, "W₁"), (2, "W₂²")) if b in CLAIMED else ():
                first, other = case.rates(p)
                law = f"Bᵀ = diag(1, {b:g}), ρ₀ ∝ |x₁|^{vanishing}: rate of {name}"
                ask.equal(law, -first, found[p - 1], source="C2", excluded=-first - other)
            off += [abs(each.value + case.rates(p)[0]) / each.bar for p, each in enumerate(found, 1)]
    worst = Measured(max(off), 0.0, "each rate has its own")
    ask.at_most(
        f"all {len(off)} rates of the figure: largest distance from theory, in error bars", 1.0, worst, source="C2"
    )
    return swept


def on_the_sphere(ask: Inquiry) -> None:
    """Three general B on S², another direction slowest in each; and the full rate for data vanishing at E^⊥."""
    ask.heading("competing rates on S²")
    for slowest, (keys, span, following) in TRIANGLES.items() if ask.full else ():
        case = Case(LEVELS, keys)
        first, other = case.rates(2)
        found = late(ask, case, span, SLOW_NODES).rate(2, following)
        ask.equal(
            f"rate of W₂², general B, held back by {slowest}", -first, found, source="C2", excluded=-first - other
        )
    case = Case((1.0, 0.6, 0.4), vanishing=2)
    found = late(ask, case, (6.0, 12.0) if ask.full else (3.5, 5.5)).rate(2, case.rates(2)[1])
    ask.equal("rate of W₂², B = I, ρ₀ ∝ x₁²: 2Δ", -2.0 * case.gap, found, source="C2", excluded=-case.gap)


# ---- figures


def draw_closed(errors: list[ByDegree], rows: tuple[Array, Array, Array]) -> Figure:
    """Spectral errors by lmax; ⟨x,Ax⟩ and the log ratio of tokens over time."""
    figure = canvas(10.5, 3.5)
    left, middle, right = figure.subplots(1, 3)
    for colour, (name, sizes, found, decay) in zip(SERIES, errors, strict=False):
        left.semilogy(sizes, found, "o-", color=colour, label=name)
        line = np.array(sizes)[np.array(found) > 10.0 * found[-1]]
        label = r"rate of analyticity of $\rho$" if name == errors[-1][0] else None
        theory(left, line, found[0] * np.exp(decay * (line - sizes[0])), label)
    left.set(xlabel="lmax", ylabel=r"$\int|\rho-\rho_{\rm exact}|$ (dimensionless)")
    times, R, ratio = rows
    for ax, values in ((middle, R), (right, ratio)):
        ax.plot(times, values[:, ::10], color=SERIES[0], linewidth=0.7, label=["20 tokens"] + 19 * [None])
        ax.set_xlabel(TIME_LABEL)
    middle.axhline(VALUES[0], color="0.5", linestyle=":", label=r"$\lambda_1$")
    middle.set(ylabel=r"$\langle x,Ax\rangle$ of tokens (dimensionless)")
    bound = (VALUES[0] - VALUES[1]) / np.linalg.norm(SCORES, 2)
    theory(right, times, 4.0 - bound * times, r"slowest allowed, $-\Delta/\|B\|$")
    right.set(ylabel=r"$\ln\,|P_{E^\bot}x|\,/\,|P_Ex|$")
    for ax in (left, middle, right):
        ax.legend()
    return figure


def draw_decay(shown: dict[Case, Late]) -> Figure:
    """W₁ and W₂ over time for B = I with their asymptotic laws."""
    figure = canvas(10.5, 3.5)
    for ax, (case, seen) in zip(figure.subplots(1, 3), shown.items(), strict=True):
        law, t = CONSTANTS[case], np.linspace(seen.t[0], seen.t[-1], 100)
        eps, flat = np.exp(-t), case.dominant == 2
        first, second = (np.stack([c[:, 0], np.sqrt(c[:, 1])]) for c in (seen.fine, seen.coarse))
        for k, name in enumerate(("$W_1$", "$W_2$")):
            with_bars(ax, seen.t, first[k], np.abs(first[k] - second[k]), name, SERIES[k])
        theory(ax, t, eps * (law.slope * t + law.first), "asymptotic law")
        theory(ax, t, np.sqrt(eps**case.dominant * (flat * t + law.geodesic)), None)
        ax.set(xlabel=TIME_LABEL, ylabel=r"distance to $\Pi_\#\rho_0$ (radians)", yscale="log")
        ax.set_title(f"$S^{case.dim - 1}$, dim $E$ = {case.dominant}")
        ax.legend()
    return figure


def draw_rates(swept: dict[int, dict[float, tuple[Measured, Measured]]]) -> Figure:
    """Rates of W₁ and W₂² over b₂, for positive densities and for such that vanish at E^⊥."""
    figure = canvas(8.0, 3.6)
    b, gap = np.geomspace(0.18, 4.0, 200), COMPETING[0] - COMPETING[1]
    for p, ax in zip((1, 2), figure.subplots(1, 2), strict=True):
        for colour, (m, found) in zip(SERIES, swept.items(), strict=False):
            rates, bars = [-each[p - 1].value for each in found.values()], [each[p - 1].bar for each in found.values()]
            name = r"$\rho_0$ uniform" if m == 0 else rf"$\rho_0\propto|x_1|^{m}$"
            with_bars(ax, list(found), rates, bars, name, colour, fmt="o")
            law = np.minimum(p * gap, (1 + m) * gap / b)
            theory(ax, b, law, r"$\min(p\kappa_\parallel,(1+m)\kappa_\bot)$" if m == 0 else None)
        ax.set(xscale="log", xlabel=r"$b_2$ in $B=\mathrm{diag}(1,b_2)$ (dimensionless)", ylim=(0.0, None))
        ax.set_ylabel(("rate of $W_1$", "rate of $W_2^2$")[p - 1] + " (per unit of time)")
        ax.set_xticks([0.2, 0.5, 1.0, 2.0, 4.0], ["0.2", "0.5", "1", "2", "4"])
        ax.minorticks_off()
    ax.legend()
    return figure


def investigate(ask: Inquiry) -> None:
    """Everything, in the order of the module's list."""
    errors, rows = closed_forms(ask), lyapunov(ask)
    invariants(ask)
    shown, swept = constants(ask), competing(ask)
    on_the_sphere(ask)
    ask.figure(
        "closed_form", lambda: draw_closed(errors, rows), "Spectral errors against lmax, and Lyapunov functions."
    )
    ask.figure("decay", lambda: draw_decay(shown), "Distances to the limit for B = I from uniform data, by nodes.")
    ask.figure("competing_rates", lambda: draw_rates(swept), "Rates on S¹ against b₂.")


if __name__ == "__main__":
    run(investigate, __doc__)
