"""C15: the interaction energy rises exactly by its dissipation, up to the stepper's own error."""

import numpy as np
import pytest
from physics_helpers import bounded, evolve, number, orders, space_of

from spherepde import exact
from spherepde.attention import Softmax, Unnormalised
from spherepde.densities import fisher_bingham
from spherepde.equation import ContinuityEquation
from spherepde.heads import Head
from spherepde.simulation import Simulation
from spherepde.steppers import TABLEAUX

BETA = 2.0
COUNTS = (8, 16, 32)
ASYMMETRIC = np.array([[0.8, 0.3, -0.2], [-0.3, 0.9, 0.1], [0.2, 0.4, 0.5]])


class WithDissipation:
    """The equation with one more unknown, the integral of its dissipation: stepped by the same scheme, at its order."""

    def __init__(self, equation):
        self.equation = equation
        self.space = equation.space

    def explicit_terms(self, y):
        u = y[:-1]
        rate = self.equation.field.budget(u, self.space.to_nodal(u)).dissipation
        return np.append(self.equation.explicit_terms(u), rate)

    def implicit_terms(self, y):
        return np.append(self.equation.implicit_terms(y[:-1]), 0.0)

    def implicit_inverse(self, y, eta):
        return np.append(self.equation.implicit_inverse(y[:-1], eta), y[-1])

    def norm(self, y):
        return self.equation.norm(y[:-1])

    def energy(self, u):
        return self.equation.field.budget(u, self.space.to_nodal(u)).energy


def problem(dim, model, V):
    space = space_of(dim, 39 if dim == 2 else 23)
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
    print(tableau, residuals,orders(residuals), rise)
