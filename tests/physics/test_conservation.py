"""Mass and symmetry: what the flow keeps, the solver keeps to round-off."""

import numpy as np
import pytest
from physics_helpers import bounded, number, space_of

from spherepde.attention import Softmax, Unnormalised
from spherepde.densities import fisher_bingham, harmonics
from spherepde.equation import ContinuityEquation
from spherepde.heads import Head
from spherepde.simulation import Simulation
from spherepde.steppers import TABLEAUX, FixedStep, imex_step, march

SHEAR = np.array([[0.9, 0.3, -0.2], [-0.4, 0.5, 0.1], [0.2, 0.7, -0.6]])
STEPS = 1000


@pytest.mark.parametrize("diffusion", [0.0, 0.02])
@pytest.mark.parametrize("model", [Softmax, Unnormalised])
@pytest.mark.parametrize("dim", [2, 3])
def test_mass_over_a_thousand_steps(dim, model, diffusion):
    """From smooth data into the unresolved regime, where only the divergence form protects the mass."""
    space = space_of(dim, 63 if dim == 2 else 23)
    beta = 10.0 if model is Softmax else 2.0
    equation = ContinuityEquation(space, model(Head(SHEAR[:dim, :dim], beta=beta)), diffusion=diffusion)
    u = space.project(fisher_bingham([0.3, 0.8, -0.2][:dim], np.zeros((dim, dim))), resolved=None)
    u /= space.moments(u)[0]
    step, worst, count, nodal = imex_step(equation, TABLEAUX["ark436"]), 0.0, 0, 0.0
    for accepted in march(step, equation.norm, FixedStep(5.0 / STEPS), u, 0.0, 5.0):
        count += 1
        worst = max(worst, abs(space.moments(accepted.state)[0] - 1.0))
        nodal = max(nodal, abs(space.integrate(space.to_nodal(accepted.state)) - 1.0))
    assert count == STEPS
    name = f"mass S{dim - 1} {model.name} kappa={diffusion:g}, {STEPS} steps"
    bounded(f"{name}, drift", worst, 1e-13)
    bounded(f"{name}, drift of the nodal integral", nodal, 1e-12)
