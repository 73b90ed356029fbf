"""What synchronisation.py measures: states at small β, distances, runs of adaptive nodes, energies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from claims import Measured, limit_of
from scipy.integrate import quad
from scipy.interpolate import CubicSpline, make_interp_spline

from experiments.polar_angle import PolarRun
from spherepde import (
    Circle,
    ContinuityEquation,
    Density,
    Head,
    Simulation,
    Softmax,
    Sphere,
    Unnormalised,
    exact,
    fisher_bingham,
    mixture,
    poisson_kernel,
    polynomial,
    token_attention,
    von_mises_fisher,
)
from spherepde.adaptive import CellMeasure, initial_cells
from spherepde.lagrangian import LagrangianFlow
from spherepde.steppers import TABLEAUX, FixedStep, imex_step, march
from spherepde.transport import CircleMeasure, Cost, Distance, ZonalMeasure, wasserstein_circle, wasserstein_zonal

ATTENTION = {"softmax": Softmax, "unnormalised": Unnormalised}
AXIS = {2: np.array([0.6, 0.8]), 3: np.array([2.0, -3.0, 6.0]) / 7.0}
POLE = np.array([0.0, 0.0, 1.0])
OFFSET, POISSON_TIME, DEGREE = 0.2, {2: 2.0, 3: 1.0}, {2: 95, 3: 47}
CONCENTRATION = 1.0
FIELD_TOLERANCE = 1e-10
BEYOND = 0.1
"""Radians nearer than where clusters meet, down to where their path is interpolated."""


@dataclass(frozen=True)
class OnSphere:
    """Runs on S²: rows (n, 4) of adaptive nodes and their bars by attention, polar angles, late PL quotients."""

    rows: dict[str, np.ndarray]
    bars: dict[str, np.ndarray]
    resonant: PolarRun
    quotients: dict[str, Measured]


def poisson_state(dim: int, attention: str, beta: float, lmax: int, rtol: float) -> np.ndarray:
    """Coefficients to which a Poisson kernel of offset 0.2 is carried."""
    space = Circle(lmax) if dim == 2 else Sphere(lmax)
    equation = ContinuityEquation(space, ATTENTION[attention](Head(np.eye(dim), beta=beta)))
    simulation = Simulation(
        equation, poisson_kernel(OFFSET * AXIS[dim]), rtol=rtol, wasserstein=False, continuation="none", progress=False
    )
    return simulation.run(until=POISSON_TIME[dim]).state


def poisson_mean(dim: int, attention: str, beta: float, lmax: int, rtol: float) -> float:
    """The mean of that, along the axis."""
    space = Circle(lmax) if dim == 2 else Sphere(lmax)
    return float(space.moments(poisson_state(dim, attention, beta, lmax, rtol))[1] @ AXIS[dim])


def dirac_distances(dim: int) -> tuple[float, float, float]:
    """W₂² to the Dirac at the axis by the first moment, by transport, and how far transport's bounds are apart."""
    found: Distance
    if dim == 2:
        state = poisson_state(2, "softmax", 1.0, DEGREE[2], 1e-9)
        mean = Circle(DEGREE[2]).moments(state)[1] @ AXIS[2]
        angle = np.arctan2(AXIS[2][1], AXIS[2][0])
        found = wasserstein_circle(
            CircleMeasure.from_fourier(state), CircleMeasure.from_atoms([angle]), Cost(2.0, "chordal")
        )
    else:
        space = Sphere(DEGREE[3])
        state = space.rotate(poisson_state(3, "softmax", 1.0, DEGREE[3], 1e-9), turn_to_pole(AXIS[3]))
        mean = space.moments(state)[1] @ POLE
        along = space.order == 0
        series = state[along].real * np.sqrt((2.0 * space.degree[along] + 1.0) / (4.0 * np.pi))
        profile = ZonalMeasure.from_legendre(series, 3)
        found = wasserstein_zonal(profile, ZonalMeasure.from_atoms([0.0]), Cost(2.0, "chordal"))
    return 2.0 * (1.0 - float(mean)), found.value**2, found.upper**2 - found.lower**2


def turn_to_pole(axis: np.ndarray) -> np.ndarray:
    """The reflection that takes the axis to the pole."""
    mirror = (axis - POLE) / np.linalg.norm(axis - POLE)
    return np.eye(3) - 2.0 * np.outer(mirror, mirror)


def observed(head: Head, cells: CellMeasure) -> tuple[float, float, float]:
    """Squared chordal W₂ to the nearest Dirac, at m/|m| now; E_max − E, and ∫|v|²dρ of the unnormalised flow."""
    x, w = cells.points, cells.weights
    mean = w @ x
    log_partition, m = token_attention(head, x, w, tolerance=FIELD_TOLERANCE)
    partition = np.exp(log_partition)
    speed = np.sum(m**2, axis=1) - np.sum(m * x, axis=1) ** 2
    squared = 2.0 * float(w @ np.sum((x - mean) ** 2, axis=1)) / (1.0 + float(np.linalg.norm(mean)))
    gap = float(w @ (np.exp(head.beta) - partition)) / (2.0 * head.beta)
    return squared, gap, float(w @ (partition**2 * speed))


def three_a_step(
    attention: str, head: Head, density: Density, until: float, tolerance: float
) -> Iterator[tuple[float, CellMeasure]]:
    """Times and nodes along the flow from t = 0 on, at the thirds of every step."""
    cells = initial_cells(density, head.dim, tolerance)
    yield 0.0, cells
    for step in LagrangianFlow(ATTENTION[attention](head), tolerance).march(cells, 0.0, until):
        for t in np.linspace(step.start, step.time, 4)[1:]:
            yield float(t), step.at(t)


def on_circle(attention: str, beta: float, until: float, tolerance: float) -> np.ndarray:
    """Rows of time and what is observed, three a step, from a positive density without symmetry."""
    head, density = Head(np.eye(2), beta=beta), fisher_bingham([1.0, 0.0], [[0.3, 0.3], [0.3, 0.0]])
    flow = three_a_step(attention, head, density, until, tolerance)
    return np.array([(t, *observed(head, cells)) for t, cells in flow])


def on_sphere(attention: str, until: float, tolerance: float, spacing: float) -> np.ndarray:
    """The same at equal spacings of time, β = 1, from ρ₀ ∝ e^{⟨x, e⟩}, whose axis is that of the nodes."""
    head = Head(np.eye(3), beta=1.0)
    cells = initial_cells(von_mises_fisher(AXIS[3], CONCENTRATION), 3, tolerance, axis=AXIS[3])
    times = spacing * np.arange(1, round(until / spacing) + 1)
    rows = [(0.0, *observed(head, cells))]
    for step in LagrangianFlow(ATTENTION[attention](head), tolerance).march(cells, 0.0, until):
        for t in times[(times > step.start) & (times <= step.time)]:
            rows.append((t, *observed(head, step.at(t))))
    return np.array(rows)


def double_root_limit(values: np.ndarray, step: float, rate: float) -> Measured:
    """Limit of values at equal steps whose error is (a + bt)e^{−rate·t}: a double root, hence twice by its factor.

    The field at the antipode differs from its limit by e^{−2κt}, and its cubic term by that of nodes that leave at
    e^{κt}: a resonance, hence the t.
    """
    factor = np.exp(rate * step)
    return limit_of((values[1:] + np.diff(values) / (factor - 1.0)).tolist(), factor)


def late_limits(
    t: np.ndarray, squared: np.ndarray, quotient: np.ndarray, edges: np.ndarray, rate: float
) -> tuple[Measured, Measured]:
    """Limits of the local rates of W₂² between edges, and of the PL quotient at them (unnormalised)."""
    step = edges[1] - edges[0]
    decay = -np.diff(CubicSpline(t, np.log(squared))(edges)) / step
    return double_root_limit(decay, step, rate), double_root_limit(CubicSpline(t, quotient)(edges[1:]), step, rate)


def infimum(runs: tuple[np.ndarray, np.ndarray]) -> Measured:
    """Least PL quotient along a flow, interpolated between records, by two runs of another tolerance each."""
    least = []
    for t, _, gap, dissipation in (run.T for run in runs):
        fine = np.linspace(0.0, t[-1], 20 * t.size)
        quotient = CubicSpline(t, dissipation / gap)(fine)
        least.append((float(quotient.min()), float(fine[np.argmin(quotient)])))
    (value, when), (other, _) = least
    bar = abs(value - other) + FIELD_TOLERANCE
    return Measured(value, bar, f"at t = {when:.2g}; tolerance against ten times it, tolerance of the field")


def two_clusters(beta: float, until: float, tolerance: float, attention: str) -> np.ndarray:
    """Times, ∫|x − e₁|²dρ and mass with x₁ < 0, three rows a step, from (1 + 0.4 cos θ)/2π."""
    rows = []
    for t, cells in three_a_step(attention, Head(np.eye(2), beta=beta), polynomial([0.4, 0.0]), until, tolerance):
        x, w = cells.points, cells.weights
        rows.append((t, float(w @ np.sum((x - [1.0, 0.0]) ** 2, axis=1)), float(w[x[:, 0] < 0.0].sum())))
    return np.array(rows)


def facing_rate(mass: float, concentration: float, tolerance: float) -> float:
    """Rate at which a narrow cluster of that mass widens that faces the rest at the antipode (unnormalised, β = 1)."""
    parts = [(1.0 - mass, von_mises_fisher([1.0, 0.0], concentration))]
    cells = initial_cells(mixture([*parts, (mass, von_mises_fisher([-1.0, 0.0], concentration))]), 2, tolerance)

    def width(measure: CellMeasure) -> float:
        x, w = measure.points, measure.weights
        there = x[:, 0] < 0.0
        return float(np.sqrt(w[there] @ x[there, 1] ** 2 / w[there].sum()))

    before = width(cells)
    for step in LagrangianFlow(Unnormalised(Head(np.eye(2), beta=1.0)), tolerance).march(cells, 0.0, 1.0):
        cells = step.measure
    return float(np.log(width(cells) / before))


def meeting_time(attention: str, mass: float, concentration: float) -> float:
    """When two narrow clusters of masses ``mass`` and the rest, 2 radians apart, are 0.3 radians apart (β = 2)."""
    density = mixture(
        [
            (mass, von_mises_fisher([np.cos(1.0), np.sin(1.0)], concentration)),
            (1.0 - mass, von_mises_fisher([np.cos(1.0), -np.sin(1.0)], concentration)),
        ]
    )
    rows, q = [], 1.0 - mass
    for t, cells in three_a_step(attention, Head(np.eye(2), beta=2.0), density, 10.0, 1e-8):
        mean = cells.integrate(cells.points)
        cosine = float(mean @ mean - mass**2 - q**2) / (2.0 * mass * q)
        rows.append((t, np.arccos(min(cosine, 1.0)) - 0.3))
        if rows[-1][1] < -BEYOND:
            break
    t, excess = np.array(rows).T
    return float(CubicSpline(t, excess).roots(extrapolate=False)[0])


def meeting_prediction(attention: str, mass: float) -> float:
    """∫dr/r' of C11."""
    p, q, beta = mass, 1.0 - mass, 2.0

    def rate(r: float) -> float:
        pull = np.exp(beta * (1.0 - r))
        sides = q / (p * pull + q) + p / (q * pull + p) if attention == "softmax" else np.exp(beta * r)
        return (1.0 - r * r) * sides

    return float(quad(lambda r: 1.0 / rate(r), np.cos(2.0), np.cos(0.3), epsabs=1e-13)[0])


def balance_residual(dim: int, attention: str, tableau: str, steps: int) -> float:
    """|E(T) − E(0) − ∫ dissipation dt| over the rise, by equal steps of a stepper."""
    space = Circle(39) if dim == 2 else Sphere(31)
    equation = ContinuityEquation(space, ATTENTION[attention](Head(np.eye(dim), beta=2.0)))
    u = space.project(fisher_bingham([0.5, 0.4, -0.3][:dim]))
    until = 1.0 if attention == "softmax" else 0.25

    def budget(state: np.ndarray) -> tuple[float, float]:
        found = equation.field.budget(state, space.to_nodal(state))
        return found.energy, found.dissipation

    rows = [(0.0, *budget(u))]
    stepper = imex_step(equation, TABLEAUX[tableau])
    for accepted in march(stepper, equation.norm, FixedStep(until / steps), u, 0.0, until):
        rows.append((accepted.time, *budget(accepted.state)))
    t, energy, dissipation = np.array(rows).T
    gained = float(make_interp_spline(t, dissipation, k=7).integrate(0.0, until))
    return abs(energy[-1] - energy[0] - gained) / (energy[-1] - energy[0])


def cap_quantities(dim: int, beta: float, concentration: float) -> tuple[float, float]:
    """PL quotient and energy of a von Mises–Fisher cap, by the spectral code."""
    space = Circle(511) if dim == 2 else Sphere(255)
    field = Unnormalised(Head(np.eye(dim), beta=beta)).on(space)
    u = space.project(von_mises_fisher(AXIS[dim], concentration))
    found = field.budget(u, space.to_nodal(u))
    energy, dissipation = np.exp(field.energy_log_scale) * np.array([found.energy, found.dissipation])
    return float(dissipation / (exact.energy_dirac(beta) - energy)), float(energy)
