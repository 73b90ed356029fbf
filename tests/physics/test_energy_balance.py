"""C15: the interaction energy rises exactly by its dissipation, up to the stepper's own error."""

import numpy as np
import pytest
from physics_helpers import bounded, evolve, number, orders, space_of, uniform_state
from scipy.interpolate import make_interp_spline

from spherepde import exact
from spherepde.attention import Softmax, Unnormalised
from spherepde.densities import fisher_bingham
from spherepde.equation import ContinuityEquation
from spherepde.heads import Head
from spherepde.simulation import Simulation
from spherepde.steppers import TABLEAUX
from spherepde.store import RunFile
from spherepde.summary import energy_balance

BETA = 2.0
COUNTS = (16, 32, 64)
ASYMMETRIC = np.array([[0.8, 0.3, -0.2], [-0.3, 0.9, 0.1], [0.2, 0.4, 0.5]])


class WithDissipation:
    """The equation with one more unknown, the integral of its dissipation: stepped by the same scheme, at its order."""

    def __init__(self, equation):
        self.equation = equation
        self.space = equation.space

    def explicit_terms(self, y, t, out):
        u = y[:-1]
        out[-1] = self.equation.field.budget(u, self.space.to_nodal(u)).dissipation
        self.equation.explicit_terms(u, t, out[:-1])
        return out

    def implicit_terms(self, y, out):
        out[-1] = 0.0
        self.equation.implicit_terms(y[:-1], out[:-1])
        return out

    def implicit_inverse(self, y, eta, out):
        out[-1] = y[-1]
        self.equation.implicit_inverse(y[:-1], eta, out[:-1])
        return out

    def norm(self, y):
        return self.equation.norm(y[:-1])

    def energy(self, u):
        return self.equation.field.budget(u, self.space.to_nodal(u)).energy


def problem(dim, model, V):
    space = space_of(dim, 39)
    equation = ContinuityEquation(space, model(Head(V, beta=BETA)))
    return equation, space.project(fisher_bingham([0.5, 0.4, -0.3][:dim], np.zeros((dim, dim))))


@pytest.mark.parametrize("V", ["identity", "not symmetric"])
@pytest.mark.parametrize("tableau", TABLEAUX)
@pytest.mark.parametrize("model", [Softmax, Unnormalised])
@pytest.mark.parametrize("dim", [2, 3])
def test_residual_falls_at_the_order_of_the_stepper(dim, model, tableau, V):
    equation, start = problem(dim, model, np.eye(dim) if V == "identity" else ASYMMETRIC[:dim, :dim])
    extended, time = WithDissipation(equation), (1.0 if model is Softmax else 0.25)
    residuals = []
    for steps in COUNTS:
        end = evolve(extended, np.append(start, 0.0), time, steps, tableau)
        rise = extended.energy(end[:-1]) - extended.energy(start)
        residuals.append(abs(rise - end[-1].real) / abs(rise))
    name = f"energy balance {tableau} S{dim - 1} {model.name} V {V}"
    print(f"TABLE {name}: " + ", ".join(f"{n} steps: {r:.1e}" for n, r in zip(COUNTS, residuals, strict=True)))
    number(f"{name}: order of the residual", orders(residuals)[-1], TABLEAUX[tableau].order, atol=0.2)
    bounded(f"{name}: residual over rise", residuals[-1], 1e-10 if tableau == "ark436" else 2e-7)


@pytest.mark.parametrize(("dim", "model"), [(2, Softmax), (2, Unnormalised), (3, Softmax)])
def test_residual_with_several_heads(dim, model):
    """The mean of three heads of different scores and temperatures, one of them repulsive: only the rate is known."""
    reflection, general = np.diag([1.0, -1.0, 1.0][:dim]), np.diag([1.0, 0.4, -0.3][:dim])
    heads = [Head(reflection, reflection), Head(np.eye(dim), beta=3.0), Head(-general, general, beta=2.0)]
    space = space_of(dim, 39 if dim == 2 else 23)
    equation = ContinuityEquation(space, model(heads[: 5 - dim], combine="mean"))
    start = space.project(fisher_bingham([0.5, 0.4, -0.3][:dim], np.zeros((dim, dim))))
    extended, residuals = WithDissipation(equation), []
    for steps in COUNTS:
        end = evolve(extended, np.append(start, 0.0), 1.0 if model is Softmax else 0.25, steps)
        rise = extended.energy(end[:-1]) - extended.energy(start)
        residuals.append(abs(rise - end[-1].real) / abs(rise))
    name = f"energy balance of several heads, S{dim - 1} {model.name}"
    number(f"{name}: order of the residual", orders(residuals)[-1], 4, atol=0.2)
    bounded(f"{name}: residual over rise", residuals[-1], 2e-10)


@pytest.mark.parametrize("model", [Softmax, Unnormalised])
@pytest.mark.parametrize("dim", [2, 3])
def test_recorded_energy_rises_by_the_recorded_dissipation(dim, model, tmp_path):
    """V = B = I, through a run and its file; the energy stays between those of the uniform density and a point."""
    equation, _ = problem(dim, model, np.eye(dim))
    rho0 = fisher_bingham([0.5, 0.4, -0.3][:dim], np.zeros((dim, dim)))
    result = Simulation(equation, rho0, tmp_path / "run.h5", rtol=1e-12, progress=False).run(until=0.5)
    with RunFile(result.path) as run:
        t, energy, dissipation = (run.series[key] for key in ("t", "energy", "dissipation"))
    assert np.all(np.diff(energy) > 0.0)
    assert exact.energy_uniform(dim, BETA, scaled=True) < energy[0]
    assert energy[-1] < exact.energy_dirac(BETA, scaled=True)
    integral = make_interp_spline(t, dissipation, k=5).integrate(t[0], t[-1])
    name = f"energy balance of a run, S{dim - 1} {model.name}"
    number(f"{name}: rise * 1e3", 1e3 * (energy[-1] - energy[0]), 1e3 * float(integral), rtol=1e-9)
    residual = np.abs(energy_balance(t, energy, dissipation)).max() / np.ptp(energy)
    bounded(f"{name}: residual over rise, as the summary reports it", residual, 1e-8)


def test_energy_of_the_uniform_density():
    for dim in (2, 3):
        equation, _ = problem(dim, Softmax, np.eye(dim))
        u = uniform_state(equation.space)
        budget = equation.field.budget(u, equation.space.to_nodal(u))
        number(f"energy S{dim - 1} uniform", budget.energy, exact.energy_uniform(dim, BETA, scaled=True), rtol=1e-13)
        bounded(f"energy S{dim - 1} uniform: dissipation", abs(budget.dissipation), 1e-28)
