"""Ways of following the mean field, each a ladder of accuracies: what it takes and how far off it is.

Every method yields, at each of a system's times, the processor seconds so far and a :class:`State`. Seconds hold all
that the method does from ρ₀ on (placing or drawing tokens included, judging them not).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from spherepde import Circle, ContinuityEquation, Head, Simulation, Softmax, Sphere, fisher_bingham, token_attention
from spherepde.adaptive import initial_cells
from spherepde.densities import Density
from spherepde.lagrangian import LagrangianFlow
from spherepde.limit import limit_measure
from spherepde.tokens import circle_quantiles, gauss_tokens, moments, sample_tokens, simulate_tokens, token_velocity
from spherepde.transport import CircleMeasure, Cost, wasserstein_cloud_antipodes

MOST_DENSE = 3000
"""Up to so many tokens plain sums are used where a clever user would."""
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
    """A measure: its second moment, its geodesic W₂ to Π♯ρ₀, and weighted ``points`` or ``coefficients``."""

    second: np.ndarray
    distance: float
    points: np.ndarray | None = None
    weights: np.ndarray | None = None
    coefficients: np.ndarray | None = None

    def on_circle(self) -> CircleMeasure:
        """As transport on S¹ takes it."""
        if self.coefficients is not None:
            return CircleMeasure.from_fourier(self.coefficients)
        assert self.points is not None
        return CircleMeasure.from_atoms(self.points, self.weights)

    def angles(self) -> np.ndarray:
        """Of the points, on S¹."""
        assert self.points is not None
        return np.arctan2(self.points[:, 1], self.points[:, 0])


Rung = tuple[float | str, ...]
"""What a method takes after the system."""


@dataclass(frozen=True)
class Point:
    """One rung at one time: seconds, errors of the second moment and of W₂ to the limit."""

    method: str
    rung: Rung
    time: float
    seconds: float
    moment: float
    distance: float


Timed = Iterator[tuple[float, State]]
Method = Callable[..., Timed]


@cache
def limit_mass(system: System) -> float:
    """Mass of Π♯ρ₀ at e₁."""
    limit = limit_measure(system.head(), system.density())
    assert limit.points is not None and limit.weights is not None
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


def placed_or_drawn(system: System, how: str, size: int, rtol: float, seed: int = 0) -> Timed:
    """Tokens "drawn" at random, fast sums, or "placed" by ρ₀ (quantiles, or weighted Gauss nodes), the better sums."""
    start, weights = time.process_time(), None
    if how == "drawn":
        x = sample_tokens(system.density(), system.dim, size, seed)
    elif system.dim == 2:
        x = circle_quantiles(system.density(), size)
    else:
        x, weights = gauss_tokens(system.density(), size)
        weights /= weights.sum()
    attend = partial(token_attention, tolerance=max(0.1 * rtol, 1e-10)) if len(x) > MOST_DENSE else None
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
    saved, density = system.times[-1], system.density()
    sim = Simulation(model, density, rtol=rtol, save_every=saved, continuation="none", progress=False)
    seconds = time.process_time() - start
    for until in system.times:
        start = time.process_time()
        result = sim.run(until=until)
        if result.status == "interrupted":
            raise KeyboardInterrupt
        values = result.values
        seconds += time.process_time() - start
        distance = float(values["wasserstein_2_geodesic"])
        yield seconds, State(np.asarray(values["second_moment"]), distance, coefficients=sim.state.copy())


def cells(system: System, tolerance: float) -> Timed:
    """Weighted nodes whose cells divide as they stretch."""
    start, now = time.process_time(), 0.0
    flow = LagrangianFlow(Softmax(system.head()), tolerance)
    measure = initial_cells(system.density(), system.dim, tolerance)
    seconds = time.process_time() - start
    for until in system.times:
        start = time.process_time()
        for step in flow.march(measure, now, until):
            measure = step.measure
        now = until
        seconds += time.process_time() - start
        yield seconds, of_points(system, measure.points, measure.weights)
