"""What stationary.py measures: final energies, rates of tilts, descents, equilibria of four particles."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import iv

from spherepde import (
    Circle,
    ContinuityEquation,
    Density,
    Head,
    Simulation,
    Softmax,
    Sphere,
    Unnormalised,
    fisher_bingham,
    mixture,
    polynomial,
    token_attention,
    von_mises_fisher,
)
from spherepde.adaptive import CellMeasure, initial_cells
from spherepde.lagrangian import LagrangianFlow
from spherepde.tokens import simulate_tokens

ATTENTION = {"softmax": Softmax, "unnormalised": Unnormalised}
ASCENT, DESCENT = 1.0, -1.0
TOLERANCE = 1e-9
NARROW = 40.0
"""Concentration of caps whose mass on the other hemisphere, 1e-36, never matters."""
DATA = {"one bump": polynomial([0.5, 0.3]), "two bumps": polynomial([-0.2, 0.3], [[0.2, -0.25], [-0.25, -0.1]])}


def head_of(diagonal: tuple[float, ...], direction: float) -> Head:
    """B = D, and V = D uphill or −D downhill."""
    D = np.diag(diagonal)
    return Head(direction * D, D, beta=1.0)


def start_of(name: str) -> Density:
    """Initial densities by name."""
    return {
        "a cap beside e₁": lambda: von_mises_fisher([1.0, 0.4], NARROW),
        "a cap beside e₂": lambda: von_mises_fisher([0.4, 1.0], NARROW),
        "two caps beside ±e₁": lambda: mixture(
            [(0.5, von_mises_fisher([1.0, 0.2], NARROW)), (0.5, von_mises_fisher([-1.0, 0.1], NARROW))]
        ),
        "positive, even": lambda: fisher_bingham([0.0, 0.0], [[0.5, 0.4], [0.4, 0.0]]),
    }[name]()


def energy_of(head: Head, cells: CellMeasure) -> float:
    """∬e^{⟨x,Dy⟩}dμdμ."""
    return float(cells.weights @ np.exp(token_attention(head, cells.points, cells.weights, tolerance=1e-12)[0]))


def final_energy(
    diagonal: tuple[float, ...], direction: float, attention: str, start: str, until: float
) -> tuple[float, float]:
    """Energy at the end of a flow, and two time units before."""
    head = head_of(diagonal, direction)
    cells, before = initial_cells(start_of(start), 2, TOLERANCE), np.nan
    for step in LagrangianFlow(ATTENTION[attention](head), TOLERANCE).march(cells, 0.0, until):
        if step.start < until - 2.0 <= step.time:
            before = energy_of(head, step.at(until - 2.0))
        cells = step.measure
    return energy_of(head, cells), before


def spread_out(dim: int, until: float) -> float:
    """Final energy of the softmax descent with D = I."""
    return spectral_descent((1.0,) * dim, "softmax", polynomial([0.5, 0.3, 0.2][:dim]), 15, until, 1e-10)[1]


def tilt_rate(d: float, sides: tuple[float, float], concentration: float) -> float:
    """Growth rate of tilts towards e₂ (signs ``sides``) of two equal narrow clusters on ±e₁, D = diag(−1, d)."""
    small = 1e-3
    parts = [
        (0.5, von_mises_fisher([end, side * small], concentration))
        for end, side in zip((1.0, -1.0), sides, strict=True)
    ]
    cells = initial_cells(mixture(parts), 2, 1e-10)
    flow = LagrangianFlow(Softmax(head_of((-1.0, d), ASCENT)), 1e-10)

    def tilt(measure: CellMeasure) -> float:
        ends = np.where(measure.points[:, 0] > 0.0, sides[0], sides[1])
        return float(measure.weights @ (ends * measure.points[:, 1]))

    times, tilts = [0.0], [tilt(cells)]
    for step in flow.march(cells, 0.0, 1.0):
        times.append(step.time)
        tilts.append(tilt(step.measure))
    return float(np.log(tilts[-1] / tilts[0]) / times[-1])


def single_rate(d: float, concentration: float) -> float:
    """The same of one narrow cluster beside e₂, of its tilt towards e₁: C6 says −(1 + d)."""
    cells = initial_cells(von_mises_fisher([1e-3, 1.0], concentration), 2, 1e-10)
    first = float(cells.weights @ cells.points[:, 0])
    for step in LagrangianFlow(Softmax(head_of((-1.0, d), ASCENT)), 1e-10).march(cells, 0.0, 1.0):
        cells = step.measure
    return float(np.log(cells.weights @ cells.points[:, 0] / first))


def width_rate(d: float, concentration: float) -> float:
    """Rate at which one narrow cluster on e₂ changes its width, D = diag(−1, d): −d."""
    cells = initial_cells(von_mises_fisher([0.0, 1.0], concentration), 2, 1e-10)
    first = float(cells.weights @ cells.points[:, 0] ** 2)
    for step in LagrangianFlow(Softmax(head_of((-1.0, d), ASCENT)), 1e-10).march(cells, 0.0, 1.0):
        cells = step.measure
    return 0.5 * float(np.log(cells.weights @ cells.points[:, 0] ** 2 / first))


def minimiser(epsilon: float, terms: int = 12) -> tuple[np.ndarray, float]:
    """Cosine coefficients a_n of m = (1 + Σ aₙ cos 2nθ)/2π with ∫e^{⟨x,Dy⟩}m = const, and that constant, its energy.

    e^{⟨x,Dy⟩} = exp(p cos(θ − φ) + q cos(θ + φ)), p = 1 + ε/2, q = −ε/2: the product of two Fourier series.
    """
    p, q = 1.0 + 0.5 * epsilon, -0.5 * epsilon
    k = 2 * np.arange(-terms, terms + 1)
    K = iv((k[:, None] + k) // 2, p) * iv((k[:, None] - k) // 2, q)
    scale = 1.0 / np.sqrt(iv(np.abs(k), p))
    c = scale * np.linalg.solve(scale[:, None] * K * scale, scale * (k == 0))
    middle = terms
    return 2.0 * c[middle + 1 :] / c[middle], float(1.0 / c[middle])


def spectral_descent(
    diagonal: tuple[float, ...], attention: str, data: Density, lmax: int, until: float, rtol: float
) -> tuple[np.ndarray, float]:
    """Coefficients and energy at the end of a descent."""
    space = Circle(lmax) if len(diagonal) == 2 else Sphere(lmax)
    equation = ContinuityEquation(space, ATTENTION[attention](head_of(diagonal, DESCENT)))
    simulation = Simulation(
        equation, data, rtol=rtol, wasserstein=False, continuation="none", progress=False, save_every=until
    )
    state = simulation.run(until=until).state
    budget = equation.field.budget(state, space.to_nodal(state))
    return state, float(2.0 * np.exp(equation.field.energy_log_scale) * budget.energy)


def descended(epsilon: float, attention: str, data: str, lmax: int, until: float, rtol: float) -> np.ndarray:
    """Energy and cosine coefficients a₁, a₂, a₃ of 2θ, 4θ, 6θ, and the size of all others up to degree 6."""
    state, energy = spectral_descent((1.0, 1.0 + epsilon), attention, DATA[data], lmax, until, rtol)
    cosines, sines = 2.0 * state.real, -2.0 * state.imag
    rest = np.abs(np.concatenate([cosines[[1, 3, 5]], sines[1:7]])).max()
    return np.array([energy, *cosines[[2, 4, 6]], rest])


def anisotropy(epsilon: float, attention: str, until: float, rtol: float) -> float:
    """(⟨x₃²⟩ − 1/3)/ε of the minimiser on S² for D = diag(1, 1, 1 + ε)."""
    data = polynomial([0.3, -0.2, 0.4])
    state = spectral_descent((1.0, 1.0, 1.0 + epsilon), attention, data, 11, until, rtol)[0]
    return float((Sphere(11).moments(state)[2][2, 2] - 1.0 / 3.0) / epsilon)


def balanced_angle(strengths: tuple[float, float]) -> float:
    """x₁² where D₁ tanh D₁x₁² = D₂ tanh D₂x₂²."""
    a, b = strengths
    return float(brentq(lambda s: a * np.tanh(a * s) - b * np.tanh(b * (1.0 - s)), 0.0, 1.0, xtol=1e-15))


def four_tokens(strengths: tuple[float, float], attention: str, until: float) -> float:
    """x₁² of four tokens (±x₁, ±x₂) after a descent."""
    x = np.array([[i * np.cos(0.3), j * np.sin(0.3)] for i in (1, -1) for j in (1, -1)])
    path = simulate_tokens(head_of(strengths, DESCENT), x, [until], attention=attention, rtol=1e-12, atol=1e-13)
    return float(np.mean(path[-1][:, 0] ** 2))


def four_clusters(strengths: tuple[float, float], concentration: float) -> float:
    """x₁² where four narrow clusters have no velocity at their centres, by the spectral code."""
    space = Circle(255)
    field = Softmax(head_of(strengths, DESCENT)).on(space)

    def velocity(angle: float) -> float:
        x = np.array([[i * np.cos(angle), j * np.sin(angle)] for i in (1, -1) for j in (1, -1)])
        u = space.project(mixture([(0.25, von_mises_fisher(y, concentration)) for y in x]))
        return float(space.evaluate(space.to_modal(field.velocity(u)[0]), x[:1])[0])

    return float(np.cos(brentq(velocity, 0.2, 1.4, xtol=1e-13)) ** 2)
