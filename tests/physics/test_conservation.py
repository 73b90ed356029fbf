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
        equation.adapt_damping(accepted.state)
        worst = max(worst, abs(space.moments(accepted.state)[0] - 1.0))
        nodal = max(nodal, abs(space.integrate(space.to_nodal(accepted.state)) - 1.0))
    assert count == STEPS
    name = f"mass S{dim - 1} {model.name} kappa={diffusion:g}, {STEPS} steps"
    bounded(f"{name}, drift", worst, 1e-14)
    bounded(f"{name}, drift of the nodal integral", nodal, 1e-14)


# ---- C14: a k-fold perturbation of the uniform density keeps its symmetry


@pytest.mark.parametrize(
    ("dim", "model", "until"), [(2, Softmax, 8.0), (2, Unnormalised, 0.3), (3, Softmax, 8.0), (3, Unnormalised, 0.55)]
)
def test_threefold_symmetry(dim, model, until):
    """β = 5, where degree 3 grows fastest: clusters form where the perturbation is largest, the rest is round-off."""
    space = space_of(dim, 95 if dim == 2 else 47)
    equation = ContinuityEquation(space, model(Head(np.eye(dim), beta=5.0)))
    phase = 0.7
    if dim == 2:
        modes = [{"degree": 3, "cos": 0.01 * np.cos(phase), "sin": -0.01 * np.sin(phase)}]  # 0.01·cos(3θ + φ)
    else:
        modes = [
            {"degree": 3, "order": 3, "amplitude": 0.02 * np.cos(phase)},
            {"degree": 3, "order": -3, "amplitude": -0.02 * np.sin(phase)},
        ]
    result = Simulation(equation, harmonics(dim, modes), rtol=1e-9, progress=False).run(until=until)
    assert result.status == "done"
    turns = space.degree if dim == 2 else space.order
    size = np.abs(result.state)
    name = f"symmetry S{dim - 1} {model.name} t={until:g}"
    bounded(f"{name}: modes without threefold symmetry", size[turns % 3 != 0].max() / size.max(), 1e-13)
    third = result.state[3] if dim == 2 else result.state[(space.degree == 3) & (space.order == 3)][0]
    number(f"{name}: angle of the three clusters, times -3", float(np.angle(third)), phase, atol=1e-12)
    assert np.abs(third) > 0.2 * size.max(), "the clusters should have formed"
    turn = np.eye(dim)
    turn[:2, :2] = [[-0.5, -np.sqrt(0.75)], [np.sqrt(0.75), -0.5]]
    change = np.abs(space.rotate(result.state, turn) - result.state).max() / size.max()
    bounded(f"{name}: change under a turn by 120 degrees", change, 1e-12)
