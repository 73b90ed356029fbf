"""The systems and ladders of ``cost.py``, and what is measured on them."""

from __future__ import annotations

from functools import cache

import numpy as np
from claims import Measured
from scipy.interpolate import CubicSpline

from experiments.cost_methods import Method, Point, Rung, State, System, cells, euler, placed_or_drawn, spectral
from spherepde.transport import Cost, wasserstein_circle

METHODS: dict[str, Method] = {"plain tokens": euler, "fast tokens": placed_or_drawn, "placed tokens": placed_or_drawn}
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

Rungs = dict[str, tuple[Rung, ...]]
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


def rung_points(system: System, method: str, rung: Rung, full: bool) -> list[Point]:
    """One rung: a run, or for independent tokens several (seconds are means, errors root mean squares)."""
    seeds = next((SEEDS[n] for n in rung if isinstance(n, int) and n in SEEDS), 1)
    drawn = method in ("plain tokens", "fast tokens")
    given = [(*rung, seed) for seed in range(seeds)] if drawn else [rung]
    rows = [list(METHODS[method](system, *one)) for one in given]
    points = []
    for k, t in enumerate(system.times):
        exact = reference(system, full)[k][0]
        moment = [float(np.linalg.norm(row[k][1].second - exact.second)) for row in rows]
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


def euler_bias(steps: tuple[int, ...]) -> np.ndarray:
    """Error of the second moment of Euler's steps, tokens at 256 quantiles, against DOP853 with the same tokens."""
    ((_, exact),) = placed_or_drawn(EARLY, "placed", 256, 1e-12)
    ends = (next(euler(EARLY, 256, EARLY.times[0] / n, None))[1] for n in steps)
    return np.array([np.linalg.norm(end.second - exact.second) for end in ends])


def race(rungs: tuple[tuple[str, Rung], tuple[str, Rung]], repeats: int) -> list[list[float]]:
    """Seconds (method, repeat) of two rungs on S¹ at β = 20, t = 1, in turns."""
    seconds: list[list[float]] = [[], []]
    for _ in range(repeats):
        for k, (method, rung) in enumerate(rungs):
            *_, (taken, _) = METHODS[method](EARLY, *rung)
            seconds[k].append(taken)
    return seconds


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
        angle = state.angles()
        waves = np.array([np.mean(np.exp(-1j * k * angle)) for k in modes])
        return min(distance(waves * np.exp(-0.5 * (modes * h) ** 2)) for h in np.geomspace(3e-3, 0.3, 41))

    def differentiated(state: State) -> float:
        angle = np.unwrap(state.angles())
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
    exact = reference(EARLY, full)[0][0].on_circle()
    found = {}
    for name, (how, count) in {
        "10⁴ independent tokens": ("drawn", 10_000),
        "64 quantiles": ("placed", 64),
        "1024 quantiles": ("placed", 1024),
    }.items():
        ((_, state),) = placed_or_drawn(EARLY, how, count, 1e-8)
        found[name] = wasserstein_circle(state.on_circle(), exact, Cost(2, "geodesic")).value
    ((_, state),) = spectral(EARLY, 63, 1e-8)
    found["density, lmax 63"] = wasserstein_circle(state.on_circle(), exact, Cost(2, "geodesic")).value
    return found
