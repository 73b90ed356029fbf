"""Propagation of chaos: how far N tokens are from the density they stand for.

Theory (C28): N tokens that start as independent draws from ρ₀ and move by softmax attention differ from ρ_t by N^{-1/2}
in every smooth observable and in the velocity field, in any dimension, however they interact; the constant grows with t
at most like e^{Lt}. As a measure they are further away: E W₁ ~ N^{-1/2} on S¹, (log N / N)^{1/2} on S², N^{-1/3} on S³
(with m-dimensional spheres N^{-1/m} for m ≥ 3). Tokens at quantiles of ρ₀ (S¹) have W₁ ~ N^{-1}; in smooth observables
they, and weighted Gauss nodes (S²), are quadrature rules: N^{-1} at least, faster than any power once N resolves how
far the flow has thinned them out.

Measured at t = log β, β = 5, as root mean squares over seeds: the errors of the second moment M (Frobenius norm) and of
the velocity at 64 fixed points, against the density solver; W₁ on S¹ against the quantiles of its density. On S² and S³
W₁ is that of two independent clouds of N, by linear programming: at least E W₁(μ_N, ρ) and at most twice that (Jensen,
triangle), so it obeys the same law. On S³, where there is no density solver, moments and velocities are those of two
clouds as well, over √2.

    python validation/chaos.py                      # N up to 2400, 25 s
    python validation/chaos.py --full --out out     # N up to 10⁵, seven minutes
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from claims import Inquiry, Measured, canvas, line_fit, order_fit, run, with_bars
from claims.figures import GUIDE, SERIES, THEORY, TIME_LABEL, theory
from matplotlib.figure import Figure

from spherepde import Circle, ContinuityEquation, Head, Simulation, Softmax, Sphere, fisher_bingham, token_attention
from spherepde.agreement.circle_distances import circle_distances
from spherepde.tokens import circle_quantiles, gauss_tokens, moments, sample_tokens, simulate_tokens, token_velocity
from spherepde.transport import CircleMeasure, Cost, wasserstein_circle, wasserstein_discrete

BETA = 5.0
"""Colder, the velocity where few tokens are needs more of them before the law shows: at β = 10 it is −0.36 on S² up to
N = 3200."""
UNTIL = float(np.log(BETA))
VALUES = (1.0, 0.4, -0.3, 0.1)
RTOL, GRADED_RTOL = 1e-4, 1e-11
"""Time steps of independent tokens, whose sampling error is 10⁻³ and more, and of those placed by the density."""

DENSE = 1500
"""Up to so many tokens plain sums take less time than fast ones."""

Seeds = tuple[tuple[int, int], ...]
"""(N, number of clouds, even) in ascending order of N."""
CLOUDS: dict[int, Seeds] = {
    2: ((256, 200), (512, 200), (1024, 150), (2048, 100), (4096, 80), (16_384, 40), (100_000, 16)),
    3: ((64, 120), (128, 120), (256, 120), (512, 100), (1024, 80), (2048, 60), (4096, 40), (16_384, 24), (100_000, 12)),
    4: ((128, 120), (256, 120), (512, 100), (1024, 60), (2048, 30)),
}
QUICK_CLOUDS: dict[int, Seeds] = {
    2: ((300, 40), (600, 30), (1200, 20), (2400, 12)),
    3: ((100, 40), (200, 30), (400, 20), (800, 10)),
    4: ((64, 40), (128, 30), (256, 24), (512, 12)),
}
SMOOTH_FROM = 500
"""Fewer tokens are not yet on the law of moments and velocities (full mode)."""
PLAN_FROM = {2: 0, 3: 0, 4: 256}
"""The same of W₁ on S³, where the clouds' common shift, of order N^{-1/2}, still counts among 128 tokens."""
LARGEST_PLAN = {2: 4096, 3: 2048, 4: 2048}
"""Clouds whose W₁ is computed."""
QUANTILES = (20, 40, 80, 160, 320)
GAUSS_DEGREES, QUICK_DEGREES = (7, 15, 31, 63, 95), (7, 15, 31)
COUNTS_W1 = (64, 128, 256, 512)
TIMES = tuple((UNTIL * np.linspace(0.0, 2.0, 9)).tolist())
FIXED, ATOMS = 64, 20_000
MOMENT, VELOCITY = "second moment", "velocity field"

Rows = list[tuple[int, dict[str, np.ndarray]]]
"""(N, what was found)."""


def head_of(dim: int) -> Head:
    """V = diag(1, 0.4, −0.3, 0.1) cut to size, B = I."""
    return Head(np.diag(VALUES[:dim]), beta=BETA)


def initial(x: np.ndarray) -> np.ndarray:
    """ρ₀ ∝ exp(0.8 x₂ + 0.5 x₁x_d), not normalised."""
    return np.exp(0.8 * x[:, 1] + 0.5 * x[:, 0] * x[:, -1])


@cache
def fixed_points(dim: int) -> np.ndarray:
    """Where velocities are compared, (64, d)."""
    x = np.random.default_rng(0).standard_normal((FIXED, dim))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def moved(dim: int, start: np.ndarray, weights: np.ndarray | None, rtol: float, times: tuple[float, ...]) -> np.ndarray:
    """Tokens (times, n, d) along their own flow."""
    attend = partial(token_attention, tolerance=0.1 * rtol) if dim < 4 and len(start) > DENSE else None
    return simulate_tokens(head_of(dim), start, times, weights, rtol=rtol, atol=0.01 * rtol, attend=attend)


def observed(dim: int, tokens: np.ndarray, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Second moment (d, d), and velocities at the fixed points (64, d)."""
    velocity = token_velocity(head_of(dim), tokens, weights, targets=fixed_points(dim))
    return moments(tokens, weights)[1], velocity


@dataclass(frozen=True)
class Reference:
    """What the density solver finds at one time: both observables, the error bar of the first, the coefficients."""

    second: np.ndarray
    velocity: np.ndarray
    bar: float
    state: np.ndarray

    def errors(self, dim: int, tokens: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, float]:
        """Frobenius norm of the difference of second moments, and root mean square of that of velocities."""
        second, velocity = observed(dim, tokens, weights)
        return float(np.linalg.norm(second - self.second)), _rms_length(velocity - self.velocity)


def _rms_length(vectors: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.sum(vectors**2, axis=1))))


@cache
def references(dim: int, times: tuple[float, ...]) -> list[Reference]:
    """The density at increasing times; velocities by summing over the nodes of the solver's own grid."""
    quadratic = np.zeros((dim, dim))
    quadratic[0, -1] = quadratic[-1, 0] = 0.25
    density = fisher_bingham(0.8 * np.eye(dim)[1], quadratic)
    space = Circle(255) if dim == 2 else Sphere(127)
    model = ContinuityEquation(space, Softmax(head_of(dim)))
    sim = Simulation(
        model, density, companion_lmax=3 * space.lmax // 4, continuation="none", save_every=UNTIL, progress=False
    )
    found = []
    for t in times:
        bar = 0.0
        if t > 0.0:
            bar = float(sim.run(until=t).values["second_moment_error"].max())
        mass = np.maximum(space.to_nodal(sim.state) * space.weights, 0.0).ravel()
        second, velocity = observed(dim, np.reshape(space.points, (-1, dim)), mass)
        found.append(Reference(second, velocity, bar, sim.state.copy()))
    return found


# ---- independent tokens


def clouds(dim: int, count: int, seeds: int, times: tuple[float, ...] = (UNTIL,)) -> Iterator[np.ndarray]:
    """So many clouds of independent tokens from ρ₀: where they are at the times, (times, n, d)."""
    for start in np.split(sample_tokens(initial, dim, count * seeds, seed=count), seeds):
        yield moved(dim, start, None, RTOL, times)


def cloud_errors(dim: int, count: int, seeds: int) -> dict[str, np.ndarray]:
    """Errors of the second moment and of the velocity, (seeds,), and W₁ of each cloud (S¹) or of pairs (seeds/2,)."""
    ends = [end for (end,) in clouds(dim, count, seeds)]
    pairs = list(zip(ends[::2], ends[1::2], strict=True))
    if dim < 4:
        exact = references(dim, (UNTIL,))[0]
        errors = [exact.errors(dim, end) for end in ends]
    else:
        errors = [two_cloud_errors(dim, *pair) for pair in pairs]
    distances: list[float] = []
    if count <= LARGEST_PLAN[dim]:
        cost = Cost(1, "geodesic")
        if dim == 2:
            distances = [circle_distance(end) for end in ends]
        else:
            distances = [wasserstein_discrete(one, other, cost=cost).value for one, other in pairs]
    moment, velocity = np.array(errors).T
    return {MOMENT: moment, VELOCITY: velocity, "W1": np.array(distances)}


def two_cloud_errors(dim: int, one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """What the errors of one cloud are on average, from the differences of two."""
    (m, v), (n, w) = observed(dim, one), observed(dim, other)
    return float(np.linalg.norm(m - n) / np.sqrt(2.0)), _rms_length(v - w) / np.sqrt(2.0)


@cache
def circle_density() -> CircleMeasure:
    """The density on S¹ at t = log β."""
    return CircleMeasure.from_fourier(references(2, (UNTIL,))[0].state)


@cache
def circle_quantiles_of_density() -> np.ndarray:
    """Its quantiles (ATOMS,) in [0, 2π), ascending."""
    return np.sort(np.mod(circle_density().quantile((np.arange(ATOMS) + 0.5) / ATOMS), 2.0 * np.pi))


def circle_distance(tokens: np.ndarray) -> float:
    """Geodesic W₁ between tokens on S¹ and that density, to half the mean distance of its quantiles, 2e-4."""
    x, y = np.sort(np.mod(np.arctan2(tokens[:, 1], tokens[:, 0]), 2.0 * np.pi)), circle_quantiles_of_density()
    return circle_distances(x, np.full(x.size, 1.0 / x.size), y, np.full(ATOMS, 1.0 / ATOMS))[0]


def growth(dim: int, count: int, seeds: int) -> np.ndarray:
    """Errors (seeds, times, 2) along the way to t = 2 log β."""
    exact, paths = references(dim, TIMES), clouds(dim, count, seeds, TIMES)
    return np.array([[at.errors(dim, x) for at, x in zip(exact, path, strict=True)] for path in paths])


# ---- tokens placed by the density


def graded_errors(dim: int, sizes: tuple[int, ...]) -> np.ndarray:
    """Rows (N, error of the second moment, of the velocity) for quantiles of equal weight or weighted Gauss nodes."""
    exact, rows = references(dim, (UNTIL,))[0], []
    for size in sizes:
        tokens, weights = (circle_quantiles(initial, size), None) if dim == 2 else gauss_tokens(initial, size)
        if weights is not None:
            weights = weights / weights.sum()
        end = moved(dim, tokens, weights, GRADED_RTOL, (UNTIL,))[0]
        rows.append((len(tokens), *exact.errors(dim, end, weights)))
    return np.array(rows)


def quantile_distances(counts: tuple[int, ...]) -> np.ndarray:
    """Geodesic W₁ (n,) to the density of tokens that started at its quantiles, on S¹."""
    ends = (moved(2, circle_quantiles(initial, count), None, GRADED_RTOL, (UNTIL,))[0] for count in counts)
    cost = Cost(1, "geodesic")
    return np.array([wasserstein_circle(CircleMeasure.from_atoms(end), circle_density(), cost).value for end in ends])


# ---- averages


def root_mean_squares(samples: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Of each sample, with its standard error from the scatter of all samples together, each in its own units."""
    square = np.array([np.mean(sample**2) for sample in samples])
    scatter = np.concatenate([sample**2 / mean for sample, mean in zip(samples, square, strict=True)]).std(ddof=1)
    return np.sqrt(square), 0.5 * np.sqrt(square) * scatter / np.sqrt([len(sample) for sample in samples])


def means(samples: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Of each sample, with its standard error."""
    return np.array([s.mean() for s in samples]), np.array([s.std(ddof=1) / np.sqrt(len(s)) for s in samples])


@dataclass(frozen=True)
class Curve:
    """Numbers against N with standard errors, and the slope of their logarithms."""

    label: str
    counts: np.ndarray
    values: np.ndarray
    bars: np.ndarray
    slope: Measured


def curve_of(label: str, rows: Rows, name: str, logarithm: float = 0.0) -> Curve:
    """A curve with its slope, after division by a power of log N: means of W₁, root mean squares of errors."""
    counts = np.array([count for count, _ in rows], float)
    values, bars = (means if name == "W1" else root_mean_squares)([found[name] for _, found in rows])
    slope = line_fit(np.log(counts), np.log(values / np.log(counts) ** logarithm), bars / values)
    return Curve(label, counts, values, bars, slope)


# ---- figures

CAPTION = (
    "Tokens against the density at t = log β, β = 5 (bars: 95 %). Left, middle: root mean square error of the second "
    "moment and of the velocity at 64 points. Right: W₁ to the density (S¹), or between two clouds (S², S³)."
)
GROWTH_CAPTION = "Root mean square errors of independent tokens over time, relative to those of the initial sample."


def draw(curves: dict[str, list[Curve]], graded: dict[int, np.ndarray], apart: np.ndarray) -> Figure:
    """Three panels against N, the laws dashed."""
    figure = canvas(11.0, 3.9)
    panels = figure.subplots(1, 3)
    labels = {
        MOMENT: r"$\Vert M_N-M\Vert_F$ (dimensionless)",
        VELOCITY: "rms error of the velocity (dimensionless)",
        "W1": "$W_1$, geodesic (radians)",
    }
    for ax, (name, several) in zip(panels, curves.items(), strict=True):
        for k, curve in enumerate(several):
            with_bars(ax, curve.counts, curve.values, 1.96 * curve.bars, curve.label, SERIES[k])
            n = curve.counts
            law = n ** (-1.0 / 3.0 if name == "W1" and k == 2 else -0.5) * np.log(n) ** (
                0.5 * (name == "W1" and k == 1)
            )
            names = ("$N^{-1/2}$", r"$\sqrt{\log N/N}$", "$N^{-1/3}$") if name == "W1" else ("$N^{-1/2}$", None, None)
            theory(ax, n, law * curve.values[-1] / law[-1], names[k], color=SERIES[k] if name == "W1" else THEORY)
        if name == "W1":
            ax.plot(COUNTS_W1, apart, "s-", color=SERIES[3], markersize=4.0, label="$S^1$, quantiles")
            theory(ax, COUNTS_W1, apart[-1] * COUNTS_W1[-1] / np.array(COUNTS_W1), "$N^{-1}$", color=SERIES[3])
        else:
            for k, (dim, found) in enumerate(graded.items()):
                kind = "quantiles" if dim == 2 else "Gauss nodes"
                column = found[:, 1 if name == MOMENT else 2]
                ax.plot(found[:, 0], column, "s-", color=SERIES[3 + k], markersize=4.0, label=f"$S^{dim - 1}$, {kind}")
        ax.set(xscale="log", yscale="log", xlabel="number of tokens $N$", ylabel=labels[name])
        bottom, top = ax.get_ylim()
        ax.set_ylim(bottom, top * (top / bottom) ** 0.35)
        ax.legend(fontsize=7, loc="upper right", ncols=2)
    return figure


def draw_growth(grown: dict[int, np.ndarray]) -> Figure:
    """Errors over time relative to the start, with 95 % bars."""
    figure = canvas(5.2, 3.6)
    ax = figure.subplots()
    for k, (dim, errors) in enumerate(grown.items()):
        for column, name in enumerate((MOMENT, VELOCITY)):
            values, bars = root_mean_squares(list(errors[:, :, column].T))
            style = {"fmt": "o-" if column == 0 else "s--"}
            with_bars(
                ax, TIMES, values / values[0], 1.96 * bars / values[0], f"$S^{dim - 1}$, {name}", SERIES[k], **style
            )
    ax.set(xlabel=TIME_LABEL, ylabel="error / error at $t=0$ (dimensionless)")
    ax.axvline(UNTIL, color=GUIDE, linewidth=0.8, linestyle=":", label=r"$\log\beta$")
    ax.set_ylim(0.0, 1.6 * ax.get_ylim()[1])
    ax.legend(loc="upper left", ncols=2)
    return figure


# ---- what is claimed


def independent_tokens(ask: Inquiry) -> dict[str, list[Curve]]:
    """Moments and velocities: −1/2 in every dimension. W₁: −1/2, the same with a logarithm on S², −1/3 on S³."""
    curves: dict[str, list[Curve]] = {MOMENT: [], VELOCITY: [], "W1": []}
    for dim, seeds in (CLOUDS if ask.full else QUICK_CLOUDS).items():
        rows = [(count, ask.part(cloud_errors, dim, count, number)) for count, number in seeds]
        how = "" if dim < 4 else ", two clouds"
        for name in (MOMENT, VELOCITY):
            fitted = [row for row in rows if row[0] >= (SMOOTH_FROM if ask.full and dim < 4 else 0)]
            curves[name].append(curve_of(f"$S^{dim - 1}${how}", rows, name))
            slope = curve_of("", fitted, name).slope
            ask.equal(f"S^{dim - 1}: slope of the error in log N, {name}{how}", -0.5, slope, source="C28")
        least = PLAN_FROM[dim] if ask.full else 0
        planned = [(count, found) for count, found in rows if found["W1"].size and count >= least]
        law, rival = {2: (-0.5, -1.0), 3: (-0.5, -1.0 / 3.0), 4: (-1.0 / 3.0, -0.5)}[dim]
        kind = "to the density" if dim == 2 else "of two clouds"
        curve = curve_of(f"$S^{dim - 1}$, {kind}", planned, "W1", 0.5 if dim == 3 else 0.0)
        what = f"S^{dim - 1}: slope of W1{'/sqrt(log N)' if dim == 3 else ''} in log N, {kind}"
        ask.equal(what, law, curve.slope, source="C28", excluded=rival if ask.full else None)
        curves["W1"].append(curve)
    return curves


def placed_tokens(ask: Inquiry) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Quantiles and Gauss nodes: W₁ ~ N^{-1}, smooth observables faster than any power."""
    graded = {}
    for dim, sizes in {2: QUANTILES, 3: GAUSS_DEGREES if ask.full else QUICK_DEGREES}.items():
        graded[dim] = ask.part(graded_errors, dim, sizes)
        name = "quantiles" if dim == 2 else "weighted Gauss nodes"
        bar = references(dim, (UNTIL,))[0].bar
        for column, what in ((1, MOMENT), (2, VELOCITY)):
            (n, before), (m, error) = graded[dim][-2:, [0, column]]
            order = np.log(error / before) / np.log(m / n)
            slope = Measured(order, 2.0 * bar / error / np.log(m / n), "error bar of the density, twice")
            ask.at_most(f"S^{dim - 1}: last slope of the error, {what}, {name}", -1.0, slope, source="C28")
    apart = ask.part(quantile_distances, COUNTS_W1)
    ask.equal("S^1: order of W1 in N, quantiles", -1.0, order_fit(COUNTS_W1, apart), source="C28", excluded=-0.5)
    return graded, apart


def investigate(ask: Inquiry) -> None:
    """All of it."""
    ask.heading("Independent tokens")
    curves = independent_tokens(ask)
    ask.heading("Tokens placed by the density")
    graded, apart = placed_tokens(ask)
    ask.heading("Growth in time")
    grown = {dim: ask.part(growth, dim, *((2000, 60) if ask.full else (400, 6))) for dim in (2, 3)}
    for dim, errors in grown.items():
        rms = np.sqrt(np.mean(errors**2, axis=0))
        factors = rms.max(axis=0) / rms[0]
        ask.remark(
            f"S^{dim - 1}: up to t = 2 log β the error of the second moment grows at most {factors[0]:.1f}-fold, that "
            f"of the velocity {factors[1]:.1f}-fold."
        )
    ask.figure("chaos", lambda: draw(curves, graded, apart), CAPTION)
    ask.figure("chaos_in_time", lambda: draw_growth(grown), GROWTH_CAPTION)


if __name__ == "__main__":
    run(investigate, __doc__)
