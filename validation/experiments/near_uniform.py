"""Perturbations of the uniform density marched by the time stepper: their growth, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from claims import Measured, limit_of
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from scipy.spatial.transform import Rotation

from spherepde import Circle, ContinuityEquation, Head, Softmax, Sphere, Unnormalised, exact
from spherepde.kernels import kernel_bandwidth
from spherepde.steppers import TABLEAUX, FixedStep, imex_step, march

Modal = NDArray[np.complex128]

MODELS: dict[str, type[Softmax] | type[Unnormalised]] = {"softmax": Softmax, "unnormalised": Unnormalised}
SPHERE = {2: "S¹", 3: "S²"}
AMPLITUDE = 1e-5
"""Of a mode, relative to the uniform density: what modes do to each other is its square, round-off 1e-16 over it."""
STEPS = 40
"""Per e-folding time of the fastest mode; the fourth-order error is extrapolated from these and twice as many."""


@dataclass(frozen=True)
class Rates:
    """Growth rates of all modes of the asked degrees, with error bars, and how far their phases turned."""

    degree: np.ndarray
    order: np.ndarray
    rate: np.ndarray
    bar: np.ndarray
    turned: float

    def worst(self, predicted: np.ndarray) -> int:
        """The mode that misses its prediction by most of its own error bars."""
        return int(np.argmax(np.abs(self.rate - predicted[self.degree]) / self.bar))

    def measured(self, mode: int) -> Measured:
        """The rate of one mode."""
        return Measured(float(self.rate[mode]), float(self.bar[mode]), BAR)


BAR = "extrapolated amplitude to 0, step to 0; round-off"


def equation_of(
    dim: int, attention: str, beta: float, sign: float = 1.0, diffusion: float = 0.0, lmax: int = 0
) -> ContinuityEquation:
    """V = ±I, B = I; ``lmax`` 0 is all that attention sees."""
    lmax = lmax or kernel_bandwidth(dim, beta) + 1
    space = Circle(lmax) if dim == 2 else Sphere(lmax)
    return ContinuityEquation(space, MODELS[attention](Head(sign * np.eye(dim), beta=beta)), diffusion=diffusion)


def uniform_state(equation: ContinuityEquation) -> Modal:
    """Coefficients of the uniform density."""
    u = np.zeros(equation.space.n_modal, complex)
    u[0] = 1.0 if equation.space.dim == 2 else (4.0 * np.pi) ** -0.5
    return u


def noise(equation: ContinuityEquation, degrees: Sequence[int], seed: int = 0) -> Modal:
    """A real function with every order of those degrees, moduli ½ … 1 of the uniform coefficient, random phases."""
    space, rng = equation.space, np.random.default_rng(seed)
    u = rng.uniform(0.5, 1.0, space.n_modal) * np.exp(2j * np.pi * rng.random(space.n_modal))
    if space.dim == 3:
        u[space.order == 0] = np.abs(u[space.order == 0])  # m = 0 coefficients are real
    return np.where(np.isin(space.degree, degrees), u, 0.0) * uniform_state(equation)[0]


def marched(equation: ContinuityEquation, u: Modal, until: float, steps: int) -> Iterator[tuple[float, Modal]]:
    """Times and states, from the start on, in equal steps of the solver's scheme."""
    yield 0.0, u.copy()
    for step in march(imex_step(equation, TABLEAUX["ark436"]), equation.norm, FixedStep(until / steps), u, 0.0, until):
        yield step.time, step.state.copy()


def end_of(equation: ContinuityEquation, u: Modal, until: float, steps: int) -> Modal:
    """The last of those states."""
    *_, (_, state) = marched(equation, u, until, steps)
    return state


def growth(
    dim: int,
    attention: str,
    beta: float,
    degrees: Sequence[int],
    sign: float = 1.0,
    diffusion: float = 0.0,
    amplitude: float = AMPLITUDE,
) -> Rates:
    """Rates of all orders of the degrees, all excited at once, over one e-folding time of the fastest of all degrees.

    Nonlinear runs from ±amplitude are subtracted, so that quadratic effects cancel; the rest is extrapolated to 0.
    """
    equation = equation_of(dim, attention, beta, sign, diffusion)
    bump = noise(equation, degrees)
    here = bump != 0.0
    all_degrees = np.arange(2.0 * np.sqrt(2.0 * beta) + 3.0)
    time = 1.0 / max(float(exact.growth_rate(dim, beta, all_degrees, attention).max()), diffusion)

    def rates(size: float, steps: int) -> np.ndarray:
        up, down = (end_of(equation, uniform_state(equation) + s * size * bump, time, steps) for s in (1.0, -1.0))
        return np.log((up - down)[here] / (2.0 * size * bump[here])) / time

    coarse, large, fine = rates(amplitude, STEPS), rates(2.0 * amplitude, STEPS), rates(amplitude, 2 * STEPS)
    nonlinear, late = (coarse - large) / 3.0, (fine - coarse) / 15.0
    relative = amplitude * np.abs(bump[here]) / abs(uniform_state(equation)[0])
    rounding = np.finfo(float).eps * np.sqrt(2.0 * STEPS) / relative / time
    bar = np.abs(nonlinear) + np.abs(late) + rounding
    space, found = equation.space, fine + nonlinear + late
    turned = float(np.max(np.abs(found.imag) / bar))
    return Rates(space.degree[here], space.order[here], found.real, bar, turned)


def twice_extrapolated(values: Sequence[float]) -> Measured:
    """Limit for β doubling: the 1/β term removed, then the next."""
    once = [2.0 * b - a for a, b in pairwise(values)]
    return limit_of(once, 4.0)


# ---- far from uniform

NOISE = 1e-6
"""Small enough for the fastest mode to outgrow neighbours that start up to twice as large."""
END_OF_LINEAR, NOISE_FOLDINGS, NOISE_STEPS = 0.5, 15.5, 400
PHASE, CLUSTER_AMPLITUDE = 0.7, 1e-3
CLUSTERS = {5.0: (3, 0.425), 7.0: (4, 0.067)}
"""β: k and a time just before the clusters leave lmax 255."""
CLUSTER_RUNS = ((255, 400, 0.0), (255, 800, 0.9), (320, 800, 0.0))
"""lmax, steps, and by how much the datum is rotated."""

SYMMETRIES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "zonal": lambda degree, order: order == 0,
    "even": lambda degree, order: degree % 2 == 0,
    "three-fold": lambda degree, order: order % 3 == 0,
    "mirror-symmetric": lambda degree, order: (degree + order) % 2 == 0,
    "rotated": lambda degree, order: degree >= 0,
}
SYMMETRY_TIME, SYMMETRY_STEPS = 3.0, 60
TURN = Rotation.from_euler("zyz", (0.4, 1.1, -0.7)).as_matrix()


@dataclass(frozen=True)
class FromNoise:
    """What grows out of noise: times, moduli of degrees 0 … 12 over the uniform one (n, 13), maxima at the end (S¹).

    Half the difference to what grows out of the opposite noise has no quadratic effects: ``deviation`` is its largest
    value over the uniform density, ``size`` and ``phase`` (S¹) are those of its ``fastest`` degree.
    """

    t: np.ndarray
    moduli: np.ndarray
    deviation: np.ndarray
    size: np.ndarray
    phase: np.ndarray
    fastest: int
    maxima: int

    def until(self, deviation: float) -> tuple[float, float]:
        """Mean growth rate and turn (radians) of the fastest degree until the density is that far from uniform."""
        late = slice(len(self.t) // 2, None)
        level = np.log(self.deviation[late])
        values = self.t, np.log(self.size / self.size[0]), self.phase - self.phase[0]
        t, gain, turn = (float(CubicSpline(level, value[late])(np.log(deviation))) for value in values)
        return gain / t, turn


def from_noise(dim: int, attention: str, beta: float, seed: int) -> FromNoise:
    """From noise on degrees 1 … 12, and from the opposite noise, to a deviation of one half."""
    rates = exact.growth_rate(dim, beta, np.arange(13), attention)
    equation = equation_of(dim, attention, beta, lmax=63 if dim == 2 else 47)
    space, flat, k = equation.space, uniform_state(equation), int(np.argmax(rates))
    start, until = NOISE * noise(equation, range(1, 13), seed), NOISE_FOLDINGS / rates[k]
    up, down = (marched(equation, flat + sign * start, until, NOISE_STEPS) for sign in (1.0, -1.0))

    def moduli(u: Modal) -> np.ndarray:
        square = np.bincount(space.degree, space.parseval * np.abs(u) ** 2)[:13] / space.parseval[0]
        return np.sqrt(square) / abs(flat[0])

    rows = []
    for (t, u), (_, v) in zip(up, down, strict=True):
        odd = 0.5 * (u - v)
        deviation = np.abs(space.to_nodal(odd)).max() * space.area
        rows.append((t, moduli(u), deviation, moduli(odd)[k], np.angle(odd[k])))
        if deviation > END_OF_LINEAR:
            break
    density = space.to_nodal(u) * space.area
    higher = (density > np.roll(density, 1)) & (density >= np.roll(density, -1)) & (density > 1.0)
    times, modes, deviations, sizes, phases = (np.array(column) for column in zip(*rows, strict=True))
    return FromNoise(times, modes, deviations, sizes, np.unwrap(phases), k, int(higher.sum()))


WHITE, GRID = 0.01, 10_000
"""Independent normal numbers of this standard deviation on so many points, added to the density 1/2π: the noise of the
authors of C14."""
WHITE_UNTIL, WHITE_STEPS = 0.2, 200
"""End of the linear phase: that deviation from uniform, relative."""


def from_white_noise(beta: float, seed: int) -> tuple[int, int, float]:
    """Which degree leads at the end of the linear phase: by linear theory, and in the run; its lead over the next.

    Unnormalised attention on S¹. The end is when the linear solution from the same amplitudes is so far from uniform.
    """
    equation = equation_of(2, "unnormalised", beta, lmax=63)
    space, flat = equation.space, uniform_state(equation)
    values = 1.0 + 2.0 * np.pi * WHITE * np.random.default_rng(seed).standard_normal(GRID)
    u = np.fft.rfft(values)[: space.n_modal] / values.sum()
    rates = exact.growth_rate(2, beta, np.arange(space.n_modal), "unnormalised")

    def beyond(t: float) -> float:
        return float(np.abs(space.to_nodal(u * np.exp(rates * t) - flat)).max() * space.area) - WHITE_UNTIL

    until = float(brentq(beyond, 0.0, 20.0 / rates.max()))
    linear, end = np.abs(u * np.exp(rates * until))[1:], np.abs(end_of(equation, u, until, WHITE_STEPS))[1:]
    second, first = np.sort(end)[-2:]
    return int(np.argmax(linear)) + 1, int(np.argmax(end)) + 1, float(first / second - 1.0)


@dataclass(frozen=True)
class Clusters:
    """Angles and density × 2π at the end, its maxima, and the largest modulus of a mode that symmetry forbids.

    ``off``: largest distance of a maximum from where the datum's phase says.
    """

    theta: np.ndarray
    density: np.ndarray
    maxima: np.ndarray
    off: float
    forbidden: float


def clusters(beta: float, lmax: int, steps: int, turn: float) -> Clusters:
    """Unnormalised attention on S¹ from 1 + ε cos(kθ + φ), rotated by −turn/k."""
    k, until = CLUSTERS[beta]
    equation, phase = equation_of(2, "unnormalised", beta, lmax=lmax), PHASE + turn
    space, u = equation.space, uniform_state(equation)
    u[k] = 0.5 * CLUSTER_AMPLITUDE * np.exp(1j * phase)
    u = end_of(equation, u, until, steps)
    density, j = 2.0 * np.pi * space.to_nodal(u), np.arange(1, space.lmax + 1)
    tops = np.flatnonzero((density > np.roll(density, 1)) & (density >= np.roll(density, -1)) & (density > 1.0))

    def slope(angle: float) -> float:
        return float(-2.0 * np.imag(np.exp(1j * j * angle) @ (j * u[1:])) / (2.0 * np.pi))

    theta = space.axes["theta"]
    maxima = np.array([brentq(slope, theta[i] - theta[1], theta[i] + theta[1], xtol=1e-15) for i in tops])
    off = np.abs((maxima * k + phase + np.pi) % (2.0 * np.pi) - np.pi).max() / k
    forbidden = float(np.abs(u[np.arange(space.n_modal) % k != 0]).max())
    return Clusters(theta, density, maxima, float(off), forbidden)


def broken(symmetry: str) -> tuple[float, float]:
    """Softmax, β = 5, S², from 1 + modes of degree ≤ 4 with a symmetry: largest forbidden mode; peak density × 4π.

    The run starts from the rotated datum and its end is rotated back, so that the grid has no part in the symmetry.
    "rotated": the difference between that and the run from the datum itself.
    """
    equation = equation_of(3, "softmax", 5.0, lmax=63)
    space, flat = equation.space, uniform_state(equation)
    allowed = SYMMETRIES[symmetry](space.degree, space.order)
    start = flat + 0.1 * np.where(allowed, noise(equation, range(1, 5)), 0.0)
    turned = end_of(equation, space.rotate(start, TURN), SYMMETRY_TIME, SYMMETRY_STEPS)
    end = space.rotate(turned, TURN.T)
    left = end - end_of(equation, start, SYMMETRY_TIME, SYMMETRY_STEPS) if symmetry == "rotated" else end[~allowed]
    return float(np.abs(left).max() / flat[0].real), float(space.to_nodal(end).max() * space.area)


def finite_amplitude(dim: int, beta: float, amplitude: float) -> float:
    """At threshold, d log a/dt over a² for degree 1 of amplitude a, in units of the decay rate of degree 2.

    Degree 2 is slaved to the square of a after the first half of the run, which is left out.
    """
    kappa = float(exact.growth_rate(dim, beta, 1, "unnormalised")) / (dim - 1.0)
    decay = -float(exact.growth_rate(dim, beta, 2, "unnormalised", kappa))
    equation = equation_of(dim, "unnormalised", beta, diffusion=kappa)
    u = uniform_state(equation)
    mode = np.flatnonzero(equation.space.degree == 1)[0]
    u[mode] = amplitude * u[0]
    until, steps = 30.0 / decay, 100
    a = np.array([abs(v[mode] / v[0]) for _, v in marched(equation, u, until, steps)])[steps // 2 :]
    return float(np.log(a[-1] / a[0]) / (0.5 * until) / np.mean(a**2) / decay)
