"""Minimisers and maximisers of the interaction energy for symmetric D, reached by the flow; where they lose stability.

E(μ) = ∬e^{⟨x,Dy⟩}dμdμ. Attention with B = D, β = 1 ascends it for V = D and descends it
for V = −D, softmax and unnormalised alike (with another mobility).

- Candidates (C35): e^λ for one cluster on an eigenvector, cosh λ for a balanced pair,
  λ₀ (I₀(1) on S¹, sinh 1 on S²) for the uniform density with D = I. Adaptive nodes flow into them.
- D = diag(−1, d): one cluster on e₂ has more energy than a pair on e₁ from d = ln cosh 1 = 0.433781 on: the root of a
  line through the logarithms of the ratios of *final* energies, measured at several d. The pair stays a local maximum
  until a common tilt of both its clusters grows, at d = tanh 1 = 0.761594: the root of the measured rate of that tilt
  (softmax: d − tanh 1; opposite tilts: −(1 + d) tanh 1); the single cluster from d = 0 on.
- D = diag(1, 1 + ε), V = −D (C36): a positive definite kernel, hence one minimiser, a positive density. It solves
  ∫e^{⟨x,Dy⟩}m(y)dy = const, a linear system in Fourier space (solved here, by other code).
  Both attentions reach it from different smooth positive data; the coefficient of cos 2θ on S¹ is
  a₁ ~ εI₁(1)/2I₂(1) = 2.081653ε, and on S² the anisotropy of the second moment tends
  to that of 1 − ε(λ₁/λ₂)(x₃² − 1/3).
- Four particles ±x₁, ±x₂ on the axes' diagonals: stationary where D₁ tanh D₁x₁² = D₂ tanh D₂x₂²,
  reached by tokens, and the root of the velocity of four narrow clusters.

    python validation/stationary.py                      # 20 s
    python validation/stationary.py --full --out out     # 80 s
"""

from __future__ import annotations

import numpy as np
from claims import Inquiry, Measured, limit_of, run
from experiments.stationary_figures import draw_minimisers, draw_thresholds
from experiments.stationary_flows import (
    ASCENT,
    ATTENTION,
    DATA,
    DESCENT,
    anisotropy,
    balanced_angle,
    descended,
    final_energy,
    four_clusters,
    four_tokens,
    minimiser,
    single_rate,
    spread_out,
    tilt_rate,
    width_rate,
)
from scipy.special import iv, spherical_in

SETTLED = 3000.0
"""Degree k relaxes at about k²I_k(1): 0.04, 7e-3, 8e-4 for k = 4, 5, 6."""
LONG_SETTLED = 9000.0
"""For degree 6, of which e^{-7} is left then."""
STRENGTHS = ((1.0, 1.5), (2.0, 1.2))

# ---- extremisers


def final_claim(ask: Inquiry, what: str, predicted: float, found: tuple[float, float]) -> None:
    """The final energy is the extremiser's; its bar: what the last two time units changed, and round-off."""
    bar = abs(found[0] - found[1]) + 1e-9
    ask.equal(what, predicted, Measured(found[0], bar, "last two time units, tolerance of integrals"), source="C35")


def extremisers(ask: Inquiry) -> None:
    """C35: flows end at the candidates."""
    cases = [
        ("one cluster maximises for D = diag(1.2, 0.5)", (1.2, 0.5), ASCENT, "a cap beside e₁", 12.0, np.exp(1.2)),
        ("one cluster minimises for D = diag(−1, 0.5)", (-1.0, 0.5), DESCENT, "a cap beside e₁", 24.0, np.exp(-1.0)),
        (
            "a pair maximises for D = diag(−1, −0.5)",
            (-1.0, -0.5),
            ASCENT,
            "positive, even",
            24.0 if ask.full else 14.0,
            np.cosh(1.0),
        ),
    ]
    for name, diagonal, direction, start, until, predicted in cases if ask.full else cases[::2]:
        for attention in ATTENTION if ask.full else ("softmax",):
            found = ask.part(final_energy, diagonal, direction, attention, start, until)
            final_claim(ask, f"{name}: final energy, {attention}, from {start}", predicted, found)
    for dim, predicted in ((2, float(iv(0, 1.0))), (3, float(np.sinh(1.0)))):
        late, early = (ask.part(spread_out, dim, until) for until in (800.0, 200.0))
        measured = Measured(late, abs(late - early) + 1e-12, "t = 800 against 200; round-off")
        name = f"the uniform density minimises for D = I on S^{dim - 1}: final energy"
        ask.equal(name, predicted, measured, source="C35")


# ---- thresholds


def root_of_line(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Root and slope of a line through the points, and how far they are off it."""
    slope, level = np.polyfit(x, y, 1)
    return float(-level / slope), float(slope), float(np.abs(np.polyval([slope, level], x) - y).max())


def rooted(ask: Inquiry, what: str, predicted: float, lines: list[tuple[float, float, float]], source: str) -> None:
    """A threshold as the root of measured rates, for two concentrations."""
    (coarse, _, _), (fine, slope, bend) = lines
    bar = abs(fine - coarse) + bend / abs(slope)
    ask.equal(what, predicted, Measured(fine, bar, "concentration 1e5 against 4e5, bend of the rates"), source=source)


def thresholds(ask: Inquiry) -> dict[str, np.ndarray]:
    """C35 and stability; what the figure shows."""
    many, until = ask.full, 16.0 if ask.full else 11.0
    d = np.array([0.36, 0.4, 0.44, 0.48, 0.52] if many else [0.4, 0.44, 0.48])
    single = [ask.part(final_energy, (-1.0, float(v)), ASCENT, "unnormalised", "a cap beside e₂", until) for v in d]
    pair = [ask.part(final_energy, (-1.0, float(v)), ASCENT, "unnormalised", "two caps beside ±e₁", until) for v in d]
    for index in (0, -1):
        final_claim(ask, f"D = diag(−1, {d[index]:g}): one cluster on e₂", np.exp(d[index]), single[index])
        final_claim(ask, f"D = diag(−1, {d[index]:g}): a pair on e₁", np.cosh(1.0), pair[index])
    excess = np.log([one[0] / two[0] for one, two in zip(single, pair, strict=True)])
    root, slope, bend = root_of_line(d, excess)
    settled = max(abs(found[0] - found[1]) for found in [*single, *pair])
    bar = (settled + 1e-9 + bend) / slope
    measured = Measured(root, bar, "last two time units of the flows, bend of the line")
    ask.equal(
        "where one cluster overtakes the pair: root in d of a line through measured ln(ratio of final energies)",
        np.log(np.cosh(1.0)),
        measured,
        source="C35",
        excluded=np.tanh(1.0),
    )
    wide = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 1.0] if many else [0.6, 0.75, 0.9])
    common = {c: np.array([ask.part(tilt_rate, float(v), (1.0, 1.0), c) for v in wide]) for c in (1e5, 4e5)}
    lines = [root_of_line(wide, rates) for rates in common.values()]
    rooted(ask, "where the pair stops being a local maximum: root of its tilt's rate", np.tanh(1.0), lines, "C26, C6")
    opposite = {c: ask.part(tilt_rate, 0.5, (1.0, -1.0), c) for c in (1e5, 4e5)}
    change = Measured(opposite[4e5], abs(opposite[4e5] - opposite[1e5]) + 1e-6, "concentration 1e5 against 4e5; tilt²")
    ask.equal("rate of opposite tilts of the pair, d = 0.5", -1.5 * np.tanh(1.0), change, source="C6")
    near = np.array([-0.1, 0.0, 0.1])
    widths = [root_of_line(near, np.array([ask.part(width_rate, float(v), c) for v in near])) for c in (1e5, 4e5)]
    rooted(ask, "where one cluster on e₂ stops gathering: root of its width's rate", 0.0, widths, "C6")
    turning = {c: ask.part(single_rate, 0.5, c) for c in (1e5, 4e5)}
    change = Measured(turning[4e5], abs(turning[4e5] - turning[1e5]) + 1e-6, "concentration 1e5 against 4e5; tilt²")
    ask.equal("rate of the tilt of one cluster on e₂, d = 0.5", -1.5, change, source="C6")
    return {
        "d": d,
        "single": np.array(single),
        "pair": np.array(pair),
        "wide": wide,
        "rates": np.array([common[4e5], common[1e5]]),
    }


# ---- the minimiser of a positive definite kernel


def slowest(ask: Inquiry, epsilon: float) -> None:
    """C36: the coefficient of cos 6θ, the mean over attentions and data.

    A long flow has relaxed degree 6, but not degree 8, which takes t = 10⁵ and draws degree 6 with it: that shows as
    scatter over where the flows started.
    """
    starts = [(attention, data) for attention in ATTENTION for data in DATA]
    late, before = (
        np.array([ask.part(descended, epsilon, *start, 31, until, 1e-10) for start in starts])
        for until in (LONG_SETTLED, SETTLED)
    )
    values, change = late[:, 3], np.abs(late[:, 3] - before[:, 3]).max()
    measured = Measured(
        float(values.mean()), float(np.ptp(values) + change), "range over starts, t = 9000 against 3000"
    )
    what = f"ε = {epsilon:g}: coefficient of cos 6θ, mean over attentions and starts"
    ask.equal(what, float(minimiser(epsilon)[0][2]), measured, source="C36")
    ask.remark(f"What is not even in both axes (degrees up to 6) is at most {late[:, 4].max():.1e} at t = 9000.")


def minimisers(ask: Inquiry) -> dict[float, np.ndarray]:
    """C36 on the circle; cosine coefficients and their bars by ε for the figure."""
    shown = {}
    cases = [(epsilon, attention, data) for epsilon in (0.5, 0.25) for attention in ATTENTION for data in DATA]
    for epsilon, attention, data in cases if ask.full else cases[3:4]:
        found = ask.part(descended, epsilon, attention, data, 31, SETTLED, 1e-10)
        earlier = ask.part(descended, epsilon, attention, data, 31, 0.25 * SETTLED, 1e-10)
        coarse = ask.part(descended, epsilon, attention, data, 23, SETTLED, 1e-9)
        bars = np.abs(found - earlier) + np.abs(found - coarse) + 1e-12
        origin = "t = 3000 against 750, lmax 31 against 23, rtol 1e-10 against 1e-9"
        (first, second, *_), energy = minimiser(epsilon)
        name = f"ε = {epsilon:g}, {attention}, from {data}"
        rows = {"energy": energy, "coefficient of cos 2θ": first, "of cos 4θ": second}
        for k, (what, predicted) in enumerate(rows.items()):
            ask.equal(f"{name}: {what}", predicted, Measured(float(found[k]), float(bars[k]), origin), source="C36")
        shown[epsilon] = np.array([found[1:4], bars[1:4]])
    for epsilon in (0.5, 0.25) if ask.full else ():
        slowest(ask, epsilon)
    halves = (0.1, 0.05, 0.025, 0.0125)[not ask.full :]
    ratios = []
    for epsilon in halves:
        found, earlier = (
            ask.part(descended, epsilon, "softmax", "one bump", 31, share * SETTLED, 1e-10) for share in (0.25, 0.125)
        )
        ratios.append(float(found[1] / epsilon))
        shown[epsilon] = np.array([found[1:4], np.abs(found - earlier)[1:4]])
    limit = float(iv(1, 1.0) / (2.0 * iv(2, 1.0)))
    ask.equal("a₁/ε as ε → 0", limit, limit_of(ratios), source="C36")
    return shown


def minimisers_on_sphere(ask: Inquiry) -> None:
    """C36 on S²: the first order in ε."""
    predicted = -float(spherical_in(1, 1.0) / spherical_in(2, 1.0)) * (1.0 / 5.0 - 1.0 / 9.0)
    accuracy = (60.0, 1e-9) if ask.full else (25.0, 1e-6)
    for attention in ATTENTION if ask.full else ("softmax",):
        values = [ask.part(anisotropy, epsilon, attention, *accuracy) for epsilon in (0.2, 0.1, 0.05)]
        ask.equal(f"S², {attention}: (⟨x₃²⟩ − 1/3)/ε as ε → 0", predicted, limit_of(values), source="C36")


# ---- four particles


def four(ask: Inquiry) -> None:
    """C35 and the ratio of the four-particle equilibria."""
    for strengths in STRENGTHS:
        predicted, name = balanced_angle(strengths), f"four particles, D = diag{strengths}: x₁²"
        for attention in ATTENTION:
            late, early = (ask.part(four_tokens, strengths, attention, until) for until in (60.0, 40.0))
            measured = Measured(late, abs(late - early) + 1e-10, "t = 60 against 40, rtol 1e-12 over 10² steps")
            ask.equal(f"{name}, tokens, {attention}", predicted, measured, source="C35; section 12")
        narrow = [ask.part(four_clusters, strengths, c) for c in (100.0, 200.0, 400.0, 800.0)]
        ask.equal(f"{name}, clusters that narrow", predicted, limit_of(narrow), source="C35; section 12")


def investigate(ask: Inquiry) -> None:
    """All claims, then the figures."""
    ask.heading("Extremisers that the flow ends in")
    extremisers(ask)
    ask.heading("Thresholds for D = diag(−1, d)")
    found = thresholds(ask)
    ask.heading("The minimiser of a positive definite kernel")
    shown = minimisers(ask)
    minimisers_on_sphere(ask)
    ask.heading("Four particles")
    four(ask)
    ask.figure(
        "stationary_thresholds",
        lambda: draw_thresholds(found),
        "D = diag(−1, d): where one cluster overtakes the pair, and where the pair loses stability.",
    )
    ask.figure(
        "stationary_minimisers",
        lambda: draw_minimisers(shown),
        "Where the descent for D = diag(1, 1 + ε) ends, against an independent linear solve.",
    )


if __name__ == "__main__":
    run(investigate, __doc__)
