"""Ways of following the mean field, each a ladder of accuracies: what it takes and how far off it is.

Every method yields, at each of a system's times, the processor seconds so far and a :class:`State`. Seconds hold all the
method itself does from ρ₀ on (placing or drawing tokens included, judging them not).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from spherepde import Circle, ContinuityEquation, Head, Simulation, Softmax, Sphere, fisher_bingham, token_attention
from spherepde.adaptive import initial_cells
from spherepde.agreement.circle_distances import circle_distances
from spherepde.densities import Density
from spherepde.lagrangian import LagrangianFlow
from spherepde.limit import limit_measure
from spherepde.tokens import circle_quantiles, gauss_tokens, moments, sample_tokens, simulate_tokens, token_velocity
from spherepde.transport import CircleMeasure, Cost, wasserstein_circle, wasserstein_cloud_antipodes

TURN = 2.0 * np.pi
ATOMS, MOST_EXACT = 200_000, 1500
"""Quantiles that stand for a density on S¹ (W₂ to 3e-5) where more tokens than that are compared with it."""
GEODESIC = Cost(2, "geodesic")


@dataclass(frozen=True)
class System:
    """Diagonal V and B, ρ₀ ∝ exp(linear·x + xᵀ quadratic x), and the times at which methods are compared."""

    name: str
    values: tuple[float, ...]
    keys: tuple[float, ...]
    beta: float
    linear: tuple[float, ...]
    quadratic: tuple[tuple[float, ...], ...]
    times: tuple[float, ...]
    labels: tuple[str, ...]

    @property
    def dim(self) -> int:
        """Of the ambient space."""
        return len(self.values)

    def head(self) -> Head:
        """The one head."""
        return Head(np.diag(self.values), B=np.diag(self.keys), beta=self.beta)

    def density(self) -> Density:
        """ρ₀."""
        return fisher_bingham(self.linear, self.quadratic)

    def stretches(self) -> Iterator[float]:
        """From each time to the next."""
        yield from np.diff((0.0, *self.times)).tolist()


@dataclass(frozen=True)
class State:
    """A measure: weighted ``points`` or ``coefficients``, its second moment, and on S² its W₂ to the limit Π♯ρ₀."""

    second: np.ndarray
    distance: float
    points: np.ndarray | None = None
    weights: np.ndarray | None = None
    coefficients: np.ndarray | None = None


Timed = Iterator[tuple[float, State]]
Method = Callable[..., Timed]


@cache
def limit_mass(system: System) -> float:
    """Mass of Π♯ρ₀ at e₁."""
    limit = limit_measure(system.head(), system.density())
    return float(limit.weights[np.argmax(limit.points[:, 0])])


def of_points(system: System, points: np.ndarray, weights: np.ndarray | None = None) -> State:
    """The state of weighted nodes."""
    found = wasserstein_cloud_antipodes(points, np.eye(system.dim)[0], limit_mass(system), weights, [GEODESIC])
    return State(moments(points, weights)[1], found[GEODESIC].value, points, weights)


# ---- methods


def euler(system: System, count: int, dt: float, seed: int | None) -> Timed:
    """Tokens of equal weight, independent (at quantiles without a seed), explicit Euler steps, dense sums."""
    head, start = system.head(), time.process_time()
    if seed is None:
        x = circle_quantiles(system.density(), count)
    else:
        x = sample_tokens(system.density(), system.dim, count, seed)
    seconds = time.process_time() - start
    for stretch in system.stretches():
        start = time.process_time()
        steps = int(np.ceil(stretch / dt - 1e-9))
        for _ in range(steps):
            x = x + stretch / steps * token_velocity(head, x)
            x /= np.linalg.norm(x, axis=1, keepdims=True)
        seconds += time.process_time() - start
        yield seconds, of_points(system, x)


def adaptive_steps(system: System, placed: str, size: int, rtol: float, fast: bool, seed: int = 0) -> Timed:
    """Tokens "drawn" at random or "placed" by ρ₀ (quantiles, or Gauss nodes with weights), DOP853."""
    start, weights = time.process_time(), None
    if placed == "drawn":
        x = sample_tokens(system.density(), system.dim, size, seed)
    elif system.dim == 2:
        x = circle_quantiles(system.density(), size)
    else:
        x, weights = gauss_tokens(system.density(), size)
        weights /= weights.sum()
    attend = partial(token_attention, tolerance=max(0.1 * rtol, 1e-10)) if fast else None
    seconds = time.process_time() - start
    for stretch in system.stretches():
        start = time.process_time()
        x = simulate_tokens(system.head(), x, [stretch], weights, rtol=rtol, atol=0.01 * rtol, attend=attend)[0]
        seconds += time.process_time() - start
        yield seconds, of_points(system, x, weights)


def spectral(system: System, lmax: int, rtol: float) -> Timed:
    """The density solver, recording its series, without a companion run."""
    start = time.process_time()
    space = Circle(lmax) if system.dim == 2 else Sphere(lmax)
    model = ContinuityEquation(space, Softmax(system.head()))
    options = {"rtol": rtol, "save_every": system.times[-1], "continuation": "none", "progress": False}
    sim = Simulation(model, system.density(), **options)
    seconds = time.process_time() - start
    for until in system.times:
        start = time.process_time()
        values = sim.run(until=until).values
        seconds += time.process_time() - start
        distance = float(values["wasserstein_2_geodesic"])
        yield seconds, State(np.asarray(values["second_moment"]), distance, coefficients=sim.state.copy())


def cells(system: System, tolerance: float) -> Timed:
    """Weighted nodes whose cells divide as they stretch."""
    start, now = time.process_time(), 0.0
    flow, measure = LagrangianFlow(Softmax(system.head()), tolerance), initial_cells(system.density(), system.dim, tolerance)
    seconds = time.process_time() - start
    for until in system.times:
        start = time.process_time()
        for step in flow.march(measure, now, until):
            measure = step.measure
        now = until
        seconds += time.process_time() - start
        yield seconds, of_points(system, measure.points, measure.weights)


# ---- errors


def circle_measure(state: State) -> CircleMeasure:
    """A state on S¹ as transport takes it."""
    if state.coefficients is not None:
        return CircleMeasure.from_fourier(state.coefficients)
    return CircleMeasure.from_atoms(state.points, state.weights)


def quantiles(measure: CircleMeasure) -> np.ndarray:
    """Its quantiles (ATOMS,) in [0, 2π), ascending."""
    return np.sort(np.mod(measure.quantile((np.arange(ATOMS) + 0.5) / ATOMS), TURN))


def circle_w2(state: State, reference: CircleMeasure, atoms: np.ndarray) -> float:
    """Geodesic W₂ of a state on S¹ to the reference, by its quantiles ``atoms`` if the state has many points."""
    if state.points is None or len(state.points) <= MOST_EXACT:
        return wasserstein_circle(circle_measure(state), reference, GEODESIC).value
    angle = np.mod(np.arctan2(state.points[:, 1], state.points[:, 0]), TURN)
    order = np.argsort(angle)
    w = np.full(angle.size, 1.0 / angle.size) if state.weights is None else state.weights[order]
    return circle_distances(angle[order], w / w.sum(), atoms, np.full(ATOMS, 1.0 / ATOMS))[1]
