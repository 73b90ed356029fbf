"""C17 and C18: as β → 0 Poisson kernels stay Poisson kernels, an exact solution of the full nonlinear equation."""

import numpy as np
import pytest
from physics_helpers import bounded, number, space_of

from spherepde import exact
from spherepde.attention import Softmax, Unnormalised
from spherepde.densities import poisson_kernel
from spherepde.equation import ContinuityEquation
from spherepde.heads import Head
from spherepde.simulation import Simulation

BETA = 1e-10
AXIS = {2: np.array([0.6, 0.8]), 3: np.array([2.0, -3.0, 6.0]) / 7.0}
RADIUS = {1.0: 0.318965, 2.0: 0.485183, 4.0: 0.833456}  # listed in the literature, from 0.2 on the circle


def run(dim, model, lmax, until, rtol=1e-11, **head):
    """The final state, its space and mean, from a kernel of offset 0.2 in a direction of no symmetry."""
    space = space_of(dim, lmax)
    equation = ContinuityEquation(space, model(Head(np.eye(dim), beta=BETA, **head)))
    sim = Simulation(equation, poisson_kernel(0.2 * AXIS[dim]), rtol=rtol, progress=False)
    result = sim.run(until=until)
    assert result.status == "done"
    return space, result.state


def distance(space, state, offset):
    """∫|ρ − ρ_exact|, by the quadrature of the grid."""
    truth = exact.poisson_kernel(space.points.reshape(-1, space.dim), offset).reshape(space.shape)
    return space.integrate(np.abs(space.to_nodal(state) - truth))


@pytest.mark.parametrize("until", RADIUS)
@pytest.mark.parametrize("model", [Softmax, Unnormalised])
def test_circle(model, until):
    space, state = run(2, model, 95 if until < 3.0 else 255, until)
    radius = float(exact.poisson_radius(0.2, until))
    name = f"Poisson kernel S1 {model.name} t={until:g}"
    number(f"{name} radius", float(np.linalg.norm(space.moments(state)[1])), RADIUS[until], atol=6e-7)
    number(f"{name} radius (exact)", float(np.linalg.norm(space.moments(state)[1])), radius, atol=2e-10)
    bounded(f"{name} L1 error", distance(space, state, radius * AXIS[2]), 1e-9)


@pytest.mark.parametrize("model", [Softmax, Unnormalised])
def test_sphere(model):
    space, state = run(3, model, 71, 2.0)
    offset = float(exact.poisson_offset(3, 0.2, 2.0))
    mean = float(exact.poisson_mean(3, offset))
    name = f"Poisson kernel S2 {model.name} t=2"
    number(f"{name} mean", float(space.moments(state)[1] @ AXIS[3]), mean, atol=2e-10)
    bounded(f"{name} L1 error", distance(space, state, offset * AXIS[3]), 1e-9)


@pytest.mark.parametrize("dim", [2, 3])
def test_score_matrix_does_not_matter(dim):
    """At β = 0 attention weighs all tokens alike: any B, here through the quadrature path, gives the same flow."""
    B = np.array([[1.0, 0.4, 0.0], [-0.2, 0.5, 0.3], [0.0, 0.1, 2.0]])[:dim, :dim]
    until = {2: 1.0, 3: 0.5}[dim]
    space, state = run(dim, Softmax, 31, until, rtol=1e-10, B=B)
    offset = float(exact.poisson_offset(dim, 0.2, until)) * AXIS[dim]
    bounded(f"Poisson kernel S{dim - 1} softmax, general B, t={until:g} L1 error", distance(space, state, offset), 1e-9)
