"""Cost: seconds to a given accuracy, the density solver against tokens as people run them and as they could.

Methods, each with a ladder of its own parameters: *plain tokens* (independent, explicit Euler, dense sums); *placed
tokens* (quantiles on S¹, weighted Gauss nodes on S²; DOP853; dense sums, fast ones from 3000 on); *fast tokens*
(independent, DOP853, this package's fast sums); *adaptive nodes* (LagrangianFlow); *density* (the spectral solver, no
companion run). Seconds are processor time of one thread, compiled beforehand. Errors are those of the second moment
(Frobenius norm) and of W₂(ρ_t, Π♯ρ₀), the distance theory speaks about, against the finest density run, which another
code (adaptive nodes of a small tolerance) confirms: their difference is the reference's error bar, below which nothing
is said. W₂ between the states and ρ_t itself is told for one case.

Theory: dense sums cost N² and independent tokens err by N^{-1/2} (C28, measured in chaos.py), so that the error falls
like cost^{-1/4}; Euler steps err by O(dt); kernel density estimates from N draws by N^{-2/5} (L¹, S¹) at best.

    python validation/cost.py                      # S¹ early, and S² at β = 10: 25 s
    python validation/cost.py --full --out out     # all; ten minutes
"""

from __future__ import annotations

from functools import cache

import numpy as np
from claims import Inquiry, Measured, order_fit, run
from experiments.cost_methods import State, System, cells, euler, placed_or_drawn, spectral
from experiments.cost_table import CAPTION, TABLE_CAPTION, Point, draw, plain, table
from scipy.interpolate import CubicSpline

from spherepde.transport import CircleMeasure, Cost, wasserstein_circle

METHODS = {"plain tokens": euler, "fast tokens": placed_or_drawn, "placed tokens": placed_or_drawn}
METHODS |= {"adaptive nodes": cells, "density": spectral}

FLAT2 = ((0.0, 0.0), (0.0, 0.0))
SKEW3 = ((0.0, 0.0, 0.25), (0.0, 0.0, 0.0), (0.25, 0.0, 0.0))
SPECTRUM, ROUND = (1.0, 0.4, -0.3), (1.0, 1.0, 1.0)
EARLY = System("$S^1$, β = 20", (1.0, 0.5), (1.0, 1.0), 20.0, (0.3, 0.8), FLAT2, (1.0,))
COLD = System("$S^1$, β = 100", (1.0, 0.5), (1.0, 1.0), 100.0, (0.3, 0.8), FLAT2, (float(np.log(100.0)),))
TURNED = System(
    "$S^1$, V = diag(1, 1.4), B = diag(2, 0.5), β = 20",
    (1.0, 1.4),
    (2.0, 0.5),
    20.0,
    (0.0, 1e-3),
    ((2.0, 0.0), (0.0, 0.0)),
    (4.0, 9.0),
)
"""Past the turn of C7, t ≈ 3.3: the clusters leave E the earlier the more asymmetric they are."""
MILD = System("$S^2$, β = 10", SPECTRUM, ROUND, 10.0, (0.0, 0.8, 0.0), SKEW3, (1.0, float(np.log(10.0))))
LOG = float(np.log(100.0))
MAIN = System("$S^2$, β = 100", SPECTRUM, ROUND, 100.0, (0.0, 0.8, 0.0), SKEW3, (1.0, LOG, 2.0 * LOG))

Rungs = dict[str, tuple[tuple, ...]]
CIRCLE: Rungs = {
    "plain tokens": ((1000, 0.1), (3162, 0.05), (10_000, 0.05)),
    "fast tokens": (("drawn", 10_000, 1e-4), ("drawn", 100_000, 1e-4)),
    "placed tokens": tuple(
        ("placed", n, r)
        for n, r in (
            (16, 1e-4),
            (32, 1e-5),
            (64, 1e-6),
            (128, 1e-8),
            (256, 1e-9),
            (512, 1e-9),
            (1024, 1e-10),
            (4096, 1e-10),
        )
    ),
    "adaptive nodes": ((1e-3,), (1e-5,), (1e-7,), (1e-9,)),
    "density": ((23, 1e-4), (31, 1e-5), (63, 1e-6), (127, 1e-8), (255, 1e-9), (511, 1e-10)),
}
SPHERE: Rungs = {
    "plain tokens": ((1000, 0.1), (3162, 0.05), (10_000, 0.1)),
    "fast tokens": (("drawn", 10_000, 1e-3), ("drawn", 100_000, 1e-3)),
    "placed tokens": tuple(
        ("placed", n, r) for n, r in ((15, 1e-4), (31, 1e-5), (47, 1e-6), (63, 1e-6), (95, 1e-6), (159, 1e-6))
    ),
    "adaptive nodes": ((1e-3,), (1e-4,)),
    "density": ((31, 1e-4), (47, 1e-5), (63, 1e-6), (95, 1e-7), (127, 1e-8)),
}
SEEDS = {1000: 6, 3162: 3, 10_000: 1, 100_000: 1}
"""Seeds of independent tokens, whose errors are root mean squares."""
REFERENCES = {
    EARLY: ((1023, 1e-11), 1e-10),
    COLD: ((1023, 1e-11), 1e-10),
    TURNED: ((511, 1e-11), 1e-10),
    MILD: ((127, 1e-10), 1e-5),
    MAIN: ((159, 1e-10), 1e-4),
}
QUICK_REFERENCES = {EARLY: ((255, 1e-11), 1e-10), MILD: ((95, 1e-9), 1e-4)}
"""The density run, and the tolerance of the adaptive nodes that confirm it."""
FULL = {EARLY: CIRCLE, COLD: CIRCLE, TURNED: CIRCLE, MILD: SPHERE, MAIN: SPHERE}
QUICK = {EARLY: CIRCLE, MILD: SPHERE}
QUICK_RUNGS = {"plain tokens": 1, "fast tokens": 1, "placed tokens": 4, "adaptive nodes": 1, "density": 4}


# ---- what is timed


@cache
def reference(system: System, full: bool) -> list[tuple[State, float, float]]:
    """At each time: the finest density run, and by how much another code differs: second moment, W₂ to the limit."""
    run_at, tolerance = (REFERENCES if full else QUICK_REFERENCES)[system]
    return [
        (fine, float(np.linalg.norm(fine.second - other.second)), abs(fine.distance - other.distance))
        for (_, fine), (_, other) in zip(spectral(system, *run_at), cells(system, tolerance), strict=True)
    ]


def reference_bars(system: System, full: bool) -> list[tuple[float, float]]:
    """Error bars of the reference, second moment and W₂, at each time."""
    return [(moment, distance) for _, moment, distance in reference(system, full)]


def rung_points(system: System, method: str, rung: tuple, full: bool) -> list[Point]:
    """One rung: a run, or for independent tokens several (seconds are means, errors root mean squares)."""
    count = next((n for n in rung if n in SEEDS), None) if method in ("plain tokens", "fast tokens") else None
    runs = [METHODS[method](system, *rung, *(() if count is None else (seed,))) for seed in range(SEEDS.get(count, 1))]
    rows = [[(seconds, state) for seconds, state in one] for one in runs]
    points = []
    for k, t in enumerate(system.times):
        exact = reference(system, full)[k][0]
        moment = [np.linalg.norm(row[k][1].second - exact.second) for row in rows]
        distance = [row[k][1].distance - exact.distance for row in rows]
        seconds = float(np.mean([row[k][0] for row in rows]))
        points.append(Point(method, rung, t, seconds, _rms(moment), _rms(distance)))
    return points


def _rms(values: list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def warm_up() -> None:
    """Compile and load everything once."""
    for system in (EARLY, MILD):
        brief = System("", system.values, system.keys, 5.0, system.linear, system.quadratic, (0.1,))
        for method, rung in (
            (spectral, (15, 1e-3)),
            (cells, (1e-3,)),
            (euler, (50, 0.1, 0)),
            (placed_or_drawn, ("drawn", 4000, 1e-2)),
            (placed_or_drawn, ("placed", 15, 1e-2)),
        ):
            list(method(brief, *rung))


# ---- claims


def euler_bias(steps: tuple[int, ...]) -> np.ndarray:
    """Error of the second moment of Euler's steps, tokens at 256 quantiles, against DOP853 with the same tokens."""
    ((_, exact),) = placed_or_drawn(EARLY, "placed", 256, 1e-12)
    ends = (next(euler(EARLY, 256, EARLY.times[0] / n, None))[1] for n in steps)
    return np.array([np.linalg.norm(end.second - exact.second) for end in ends])


def euler_claim(ask: Inquiry) -> None:
    """The order of what explicit Euler steps add."""
    steps = (10, 20, 40, 80)
    bias = ask.part(euler_bias, steps)
    ask.equal("S^1 early: order of Euler's error in the number of steps", -1.0, order_fit(steps, bias), excluded=-2.0)


def race(rungs: tuple[tuple[str, tuple], tuple[str, tuple]], repeats: int) -> list[list[float]]:
    """Seconds (method, repeat) of two rungs on S¹ at β = 20, t = 1, in turns."""
    seconds: list[list[float]] = [[], []]
    for _ in range(repeats):
        for k, (method, rung) in enumerate(rungs):
            *_, (taken, _) = METHODS[method](EARLY, *rung)
            seconds[k].append(taken)
    return seconds


def early_claim(ask: Inquiry, points: list[Point]) -> None:
    """At early times on S¹ placed tokens are in no way slower than the density."""
    best = {}
    for method in ("density", "placed tokens"):
        reaching = [p for p in points if p.method == method and p.moment <= 1e-6]
        best[method] = min(reaching, key=lambda p: p.seconds)
    rungs = tuple((method, point.rung) for method, point in best.items())
    ours, theirs = ask.part(race, rungs, 9)
    ratios = np.array(ours) / np.array(theirs)
    bar = 2.0 * ratios.std(ddof=1) / np.sqrt(ratios.size)
    found = Measured(float(ratios.mean()), float(bar), "two standard errors over 9 repeats in turns")
    ask.at_least("S^1 early: seconds of the density over those of quantiles, both to 1e-6 in moments", 1.0, found)


def limits(ask: Inquiry, system: System, points: list[Point]) -> None:
    """At t = log β on S²: what the density reaches and tokens do not, on these ladders."""
    k = 1
    bar = ask.part(reference_bars, system, ask.full)[k][0]
    at = [p for p in points if p.time == system.times[k]]
    origin = "difference of two codes at the reference"
    best = {method: min(p.moment for p in at if p.method == method) for method in METHODS}
    ask.at_most(
        f"{plain(system)}, t = log β: error of the density at its best", 1e-6, Measured(best["density"], bar, origin)
    )
    drawn = next(p for p in at if p.method == "fast tokens")
    ask.at_least(
        f"{plain(system)}, t = log β: error of 10⁴ independent tokens", 1e-3, Measured(drawn.moment, bar, origin)
    )
    placed = Measured(best["placed tokens"], bar, origin)
    ask.at_least(f"{plain(system)}, t = log β: error of placed tokens at their best", 1e-5, placed)


def density_values() -> dict[str, Measured]:
    """L¹ errors of density values on S¹ at β = 100, t = log β; kernel estimates with the best of all bandwidths."""
    bar = "the density's own error at lmax 511, against 1023"
    *_, (_, exact) = spectral(COLD, 1023, 1e-11)
    exact_modes = np.asarray(exact.coefficients)
    modes = np.arange(exact_modes.size)

    def distance(coefficients: np.ndarray) -> float:
        difference = -exact_modes.copy()
        difference[: coefficients.size] += coefficients[: exact_modes.size]
        return float(np.mean(np.abs(np.fft.irfft(difference, 8192) * 8192)))

    def estimate(state: State) -> float:
        angle = np.arctan2(state.points[:, 1], state.points[:, 0])
        waves = np.array([np.mean(np.exp(-1j * k * angle)) for k in modes])
        return min(distance(waves * np.exp(-0.5 * (modes * h) ** 2)) for h in np.geomspace(3e-3, 0.3, 41))

    def differentiated(state: State) -> float:
        angle = np.unwrap(np.arctan2(state.points[:, 1], state.points[:, 0]))
        angle = np.append(angle, angle[0] + 2.0 * np.pi)
        share = CubicSpline(angle, np.linspace(0.0, 1.0, angle.size))
        nodes = np.linspace(0.0, 2.0 * np.pi, 8192, endpoint=False)
        values = share((nodes - angle[0]) % (2.0 * np.pi) + angle[0], 1)
        return float(2.0 * np.pi * np.mean(np.abs(values - np.fft.irfft(exact_modes, 8192) * 8192 / (2.0 * np.pi))))

    found = {}
    for count in (1000, 4000, 16_000):
        runs = [placed_or_drawn(COLD, "drawn", count, 1e-4, seed) for seed in range(4)]
        errors = np.array([estimate(state) for one in runs for _, state in one])
        spread = Measured(float(errors.mean()), float(errors.std(ddof=1)), "two standard errors of four seeds")
        found[f"{count} independent tokens, kernels"] = spread
    finest: dict[int, float] = {}
    for lmax, rtol in ((511, 1e-10), (255, 1e-9), (127, 1e-7)):
        ((_, state),) = spectral(COLD, lmax, rtol)
        finest[lmax] = distance(np.asarray(state.coefficients))
        found[f"density, lmax {lmax}"] = Measured(finest[lmax], finest[511], bar)
    for count in (256, 1024):
        ((_, state),) = placed_or_drawn(COLD, "placed", count, 1e-8)
        for how, error in (("kernels", estimate(state)), ("their distribution differentiated", differentiated(state))):
            found[f"{count} quantiles, {how}"] = Measured(error, finest[511], bar)
    return found


def true_distances(full: bool) -> dict[str, float]:
    """W₂ on S¹ at β = 20, t = 1 between states and ρ_t itself: no N equal atoms can be nearer than their spacing."""
    exact = CircleMeasure.from_fourier(reference(EARLY, full)[0][0].coefficients)
    found = {}
    for name, (how, count) in {
        "10⁴ independent tokens": ("drawn", 10_000),
        "64 quantiles": ("placed", 64),
        "1024 quantiles": ("placed", 1024),
    }.items():
        ((_, state),) = placed_or_drawn(EARLY, how, count, 1e-8)
        atoms = CircleMeasure.from_atoms(state.points, state.weights)
        found[name] = wasserstein_circle(atoms, exact, Cost(2, "geodesic")).value
    ((_, state),) = spectral(EARLY, 63, 1e-8)
    found["density, lmax 63"] = wasserstein_circle(
        CircleMeasure.from_fourier(state.coefficients), exact, Cost(2, "geodesic")
    ).value
    return found


def investigate(ask: Inquiry) -> None:
    """All of it."""
    warm_up()
    ask.heading("Euler's steps")
    euler_claim(ask)
    systems = FULL if ask.full else QUICK
    found: dict[System, list[Point]] = {}
    for system, ladders in systems.items():
        found[system] = []
        for method, rungs in ladders.items():
            for rung in rungs if ask.full else rungs[: QUICK_RUNGS[method]]:
                found[system] += ask.part(rung_points, system, method, rung, ask.full)
    if ask.full:
        ask.heading("Early times on S^1")
        early_claim(ask, found[EARLY])
    ask.heading("S^2 at t = log β")
    for system in found:
        if system.dim == 3:
            limits(ask, system, found[system])
    if ask.full:
        ask.heading("Density values")
        values = ask.part(density_values)
        name = "S^1, β = 100, t = log β: L¹ error of density values"
        ask.at_most(f"{name}, density at lmax 511", 1e-6, values["density, lmax 511"])
        kernel = values["16000 independent tokens, kernels"]
        ask.at_least(f"{name}, 16000 independent tokens, best kernel estimate", 1e-2, kernel)
        told = "; ".join(f"{what}: {error.value:.1e}" for what, error in values.items())
        ask.remark(f"L¹ errors of density values on S¹, β = 100, t = log β: {told}.")
    apart = ask.part(true_distances, ask.full)
    told = "; ".join(f"{what}: {distance:.1e}" for what, distance in apart.items())
    ask.remark(f"W₂ between the states and ρ_t itself, S¹, β = 20, t = 1 (the table has W₂ to the limit): {told}.")
    bars = {
        (system, t): bar
        for system in found
        for t, bar in zip(system.times, ask.part(reference_bars, system, ask.full), strict=True)
    }
    ask.table(TABLE_CAPTION, *table(found, bars, list(METHODS)))
    ask.remark(
        "Early on S¹ placed tokens are as good in moments as anything: spectrally accurate, in hundredths of a second. "
        "They fall behind where the flow pulls them apart: on S² (algebraic in N), past log β, and where the fate of "
        "clusters hangs on the depleted zone between them."
    )
    ask.figure("cost", lambda: draw(found, list(METHODS)), CAPTION)


if __name__ == "__main__":
    run(investigate, __doc__)
