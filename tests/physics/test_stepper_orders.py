"""Every stepper keeps its order on the full nonlinear equation, with and without diffusion and damping."""

import numpy as np
import pytest
from physics_helpers import evolve, number, orders, space_of

from spherepde.attention import Softmax, Unnormalised
from spherepde.densities import fisher_bingham
from spherepde.equation import ContinuityEquation
from spherepde.filters import DAMPING_RATE
from spherepde.heads import Head
from spherepde.steppers import TABLEAUX

TIME = {Softmax: 1.0, Unnormalised: 0.25}  # short enough to stay resolved, or stiff damping lowers the order
COUNTS = (10, 20, 40)
SHEAR = np.array([[0.8, 0.4, -0.2], [-0.3, 0.4, 0.1], [0.2, 0.5, -0.4]])


def problem(dim, model, diffusion, damping):
    space = space_of(dim, 31 if dim == 2 else 23)
    equation = ContinuityEquation(space, model(Head(SHEAR[:dim, :dim], beta=2.0)), diffusion=diffusion, damping=damping)
    return equation, space.project(fisher_bingham([0.3, 0.6, -0.2][:dim], np.zeros((dim, dim))))


@pytest.mark.parametrize(("diffusion", "damping"), [(0.0, 0.0), (0.0, DAMPING_RATE), (0.05, DAMPING_RATE)])
@pytest.mark.parametrize("tableau", TABLEAUX)
@pytest.mark.parametrize("model", [Softmax, Unnormalised])
@pytest.mark.parametrize("dim", [2, 3])
def test_order(dim, model, tableau, diffusion, damping):
    equation, start = problem(dim, model, diffusion, damping)
    equation.adapt_damping(np.ones_like(start))  # awake (if it is there), as for an unresolved state
    reference = evolve(equation, start, TIME[model], 16 * COUNTS[-1])
    errors = []
    for steps in COUNTS:
        difference = evolve(equation, start, TIME[model], steps, tableau) - reference
        errors.append(
            np.sqrt(equation.space.inner(difference, difference) / equation.space.inner(reference, reference))
        )
    name = f"order {tableau} S{dim - 1} {model.name} kappa={diffusion:g} damping={damping:g}"
    print(f"TABLE {name}: " + ", ".join(f"{n} steps: {e:.1e}" for n, e in zip(COUNTS, errors, strict=True)))
    for found in orders(errors):
        number(name, found, TABLEAUX[tableau].order, atol=0.1)
