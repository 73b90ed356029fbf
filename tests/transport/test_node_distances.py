"""Distances of cell measures to antipodal atoms: cut where integrands have kinks, as exact as the cells."""

import numpy as np
import pytest
from physics_helpers import number

from spherepde import Head, fisher_bingham, polynomial
from spherepde.adaptive import Resolution, carry, distances_to_antipodes, divided_between, initial_cells
from spherepde.exact import hardmax_density
from spherepde.tokens import token_velocity
from spherepde.transport.antipodes import COSTS
from spherepde.transport.caps import wasserstein_antipodes

TILTED = np.array([0.6, 0.48, 0.64])


def carried(head, density, dim, t, tolerance, axis=None):
    """The density after a time t of hardmax attention, as cells."""

    def velocity(_, points, weights):
        return token_velocity([head], points, weights, "hardmax", "sum")

    cells = initial_cells(density, dim, tolerance, axis=axis)
    return carry(cells, velocity, 0.0, t, Resolution(tolerance), rtol=1e-12)


@pytest.mark.parametrize("plus", [0.2, 0.5, 0.93])
def test_on_the_circle_they_are_exact_whatever_mass_an_atom_receives(plus):
    density, axis = polynomial([0.3, 0.4], [[0.2, 0.1], [0.1, 0.0]]), np.array([0.6, 0.8])
    for cost in COSTS:
        found = distances_to_antipodes(initial_cells(density, 2, 1e-12), axis, plus)[cost]
        truth = wasserstein_antipodes(density, axis, plus, cost)
        assert found.lower <= found.value <= found.upper
        number(f"W{cost.p:g} {cost.ground}", found.value, truth.value, rtol=1e-9)  # 5e-6 without cuts


@pytest.mark.parametrize("plus", [0.35, 0.65])
def test_on_the_circle_they_are_exact_long_after_mass_has_crossed(plus):
    head, density = Head(np.diag([1.0, 0.5])), polynomial([0.3, 0.4])
    cells = carried(head, density, 2, 6.0, 1e-10)
    for cost in COSTS:
        truth = wasserstein_antipodes(lambda x: hardmax_density(head, density, 6.0, x), [1.0, 0.0], plus, cost)
        found = distances_to_antipodes(cells, [1.0, 0.0], plus)[cost]
        number(f"W{cost.p:g} {cost.ground}", found.value, truth.value, rtol=2e-9)


@pytest.mark.parametrize("plus", [0.3, 0.62])
def test_on_the_sphere_they_are_as_good_as_the_cells(plus):
    density = fisher_bingham([0.2, 0.5, -0.3], [[0.3, 0.1, 0.0], [0.1, 0.0, 0.2], [0.0, 0.2, 0.0]])
    cells = initial_cells(density, 3, 1e-8, axis=TILTED)
    for cost in COSTS:
        found = distances_to_antipodes(cells, TILTED, plus)[cost]
        truth = wasserstein_antipodes(density, TILTED, plus, cost)
        number(f"W{cost.p:g} {cost.ground}", found.value, truth.value, rtol=2e-8)


def test_cuts_keep_mass_and_weights_and_give_the_mass_of_a_hemisphere():
    density, half = fisher_bingham([0.2, 0.5, -0.3], [[0.3, 0.1, 0.0], [0.1, 0.0, 0.2], [0.0, 0.2, 0.0]]), []
    for tolerance in (1e-6, 1e-9):
        cells = divided_between(initial_cells(density, 3, tolerance, axis=TILTED), TILTED, 0.4)
        assert cells.weights.min() > 0.0
        assert cells.weights.sum() == pytest.approx(1.0, abs=1e-10)
        half.append(cells.weights[cells.points @ TILTED > 0.0].sum())
    number("mass of a hemisphere", half[0], half[1], rtol=1e-8)  # 1e-3 from whole cells


@pytest.mark.parametrize("axis", [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.48, -0.6, 0.64]])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_planes_askew_to_the_cells_leave_positive_weights(axis, share):
    density = fisher_bingham([0.2, 0.5, -0.3])
    cells = initial_cells(density, 3, 1e-6, axis=TILTED).divided_at(np.array(axis), 6, share)
    assert cells.weights.min() > 0.0
    assert cells.weights.sum() == pytest.approx(1.0, abs=1e-9)
