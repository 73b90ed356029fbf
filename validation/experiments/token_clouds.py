"""Tokens and the density they stand for: their distance at one time and along the way, for chaos.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

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

LARGEST_PLAN, PLANS = {2: 4096, 3: 2048, 4: 2048}, {3: 60, 4: 30}
"""Clouds whose W₁ is computed, and of how many pairs at most."""
TIMES = tuple((UNTIL * np.linspace(0.0, 2.0, 9)).tolist())
FIXED, ATOMS = 64, 20_000
MOMENT, VELOCITY = "second moment", "velocity field"


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
        errors = errors_about_the_mean(dim, ends)
    distances: list[float] = []
    if count <= LARGEST_PLAN[dim]:
        cost = Cost(1, "geodesic")
        if dim == 2:
            distances = [circle_distance(end) for end in ends]
        else:
            distances = [wasserstein_discrete(one, other, cost=cost).value for one, other in pairs[: PLANS[dim]]]
    moment, velocity = np.array(errors).T
    return {MOMENT: moment, VELOCITY: velocity, "W1": np.array(distances)}


def errors_about_the_mean(dim: int, ends: list[np.ndarray]) -> list[tuple[float, float]]:
    """Errors of each cloud against the mean of all, made up for what that mean has of the cloud itself."""
    seconds, velocities = (np.array(each) for each in zip(*(observed(dim, end) for end in ends), strict=True))
    own = (1.0 - 1.0 / len(ends)) ** -0.5
    off, slower = (own * (each - each.mean(axis=0)) for each in (seconds, velocities))
    return [(float(np.linalg.norm(m)), _rms_length(v)) for m, v in zip(off, slower, strict=True)]


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
