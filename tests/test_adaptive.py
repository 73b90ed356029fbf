"""Cells that move and divide: what they weigh, what they integrate, what they cost, and what is refused."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad

from spherepde import Head, InputError, NumericalError, fisher_bingham, from_callable, uniform
from spherepde.adaptive import CellMeasure, Resolution, carry, initial_cells, march_cells
from spherepde.adaptive.resolution import gaussian_length
from spherepde.exact import hardmax_flow
from spherepde.quadrature import sphere_rule

sys.path.insert(0, str(Path(__file__).parent / "physics"))

from physics_helpers import bounded, number

GAP = 0.5


def matrix(dim):
    """Symmetric, with a gap of 0.5 above its other eigenvalues, and no axis along a coordinate."""
    turn = np.linalg.qr(np.array([[0.9, 0.3, -0.2], [-0.4, 0.5, 0.1], [0.2, 0.7, -0.6]])[:dim, :dim])[0]
    return turn @ np.diag([1.0, 0.5, 0.2][:dim]) @ turn.T, turn[:, 0]


def projective(A):
    """The hardmax velocity for B = I."""

    def velocity(t, points, weights):
        moved = points @ A.T
        return moved - points * np.sum(points * moved, axis=1)[:, None]

    return velocity


def bump(dim):
    return fisher_bingham([0.3, 0.8, 0.1][:dim], np.diag([0.0, 0.5, 0.2][:dim]))


def fine_rule(density, dim):
    """Nodes and weights of the initial density that know nothing of cells: equispaced, or Gauss in both angles."""
    if dim == 2:
        theta = 2.0 * np.pi * np.arange(400) / 400
        x, w = np.stack([np.cos(theta), np.sin(theta)], axis=1), np.full(400, 2.0 * np.pi / 400)
    else:
        x, w = sphere_rule(60)
    return x, w * density(x)


# ---- mass and integrals under the exact flow C1


@pytest.mark.parametrize("dim", [2, 3])
def test_measure_of_width_2e_minus_9_keeps_mass_positivity_and_integrals(dim):
    """gap·t = 20: the image of every integrand is pulled back by the exact flow and integrated over the start."""
    A, axis = matrix(dim)
    t = 20.0 / GAP
    tolerance = {2: 1e-11, 3: 1e-8}[dim]
    cells = initial_cells(bump(dim), dim, tolerance, axis=axis if dim == 3 else None)
    moved = carry(cells, projective(A), 0.0, t, Resolution(tolerance), rtol=1e-11)
    assert moved.points.shape == (len(moved.weights), dim)
    assert (moved.weights > 0.0).all()
    bounded(f"S{dim - 1}: mass − 1", abs(moved.weights.sum() - 1.0), 1e-12)
    bounded(f"S{dim - 1}: length − 1", np.abs(np.linalg.norm(moved.points, axis=1) - 1.0).max(), 1e-15)
    # E = R·axis: mass leaves the strip |x.axis| < s as e^{−20}; beyond that every integral is that over ±axis
    plus = half_mass(bump(dim), axis)
    limit = [np.outer(axis, axis), plus * np.exp(0.7) + (1.0 - plus) * np.exp(-0.7)]
    exact = limit if dim == 2 else limit
    spread = 20.0 * np.exp(-20.0)
    bounded(f"S{dim - 1}: second moment", np.abs(moved.points.T @ (moved.weights[:, None] * moved.points) - exact[0]).max(), 3 * spread)
    number(f"S{dim - 1}: ∫exp(0.7 e·x)", moved.integrate(np.exp(0.7 * moved.points @ axis)), exact[1], atol=10 * tolerance + spread)
    number(f"S{dim - 1}: mass on the side of e", moved.weights[moved.points @ axis > 0.0].sum(), plus, atol=tolerance * 10)


def half_mass(density, axis):
    """∫_{x·e>0} ρ₀ by Gauss rules about e."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    dim = len(axis)
    if dim == 2:
        angle = np.arctan2(axis[1], axis[0]) + 0.5 * np.pi * nodes
        return 0.5 * np.pi * weights @ density(np.stack([np.cos(angle), np.sin(angle)], axis=1))
    first = np.cross(axis, [1.0, 0.0, 0.0])
    first /= np.linalg.norm(first)
    second, height = np.cross(axis, first), 0.5 * (1.0 + nodes)
    phi = 2.0 * np.pi * np.arange(100) / 100
    ring = np.cos(phi)[:, None] * first + np.sin(phi)[:, None] * second
    x = height[:, None, None] * axis + np.sqrt(1.0 - height**2)[:, None, None] * ring
    values = density(x.reshape(-1, 3)).reshape(60, 100).mean(axis=1)
    return float(np.pi * weights @ values)


@pytest.mark.parametrize(("dim", "limit"), [(2, 2.0 * np.log(2.0)), (3, np.pi * np.log(2.0))])
def test_squared_distance_to_e_decays_as_theory_says(dim, limit):
    """C2: W₂² ≈ 2 ln 2·ε on S¹ and π ln 2·ε on S², ε = e^{−gap·t}, from uniform data, with gap·t = 16."""
    A = np.diag([0.0] * (dim - 1) + [GAP])
    epsilon = np.exp(-16.0)
    cells = initial_cells(uniform(dim), dim, 1e-11 if dim == 2 else 1e-8)
    resolution = Resolution(1e-12 if dim == 2 else 1e-10)
    moved = carry(cells, projective(A), 0.0, 16.0 / GAP, resolution, rtol=1e-11)
    x, w = moved.points, moved.weights
    angle = np.arctan2(np.linalg.norm(x[:, :-1], axis=1), np.abs(x[:, -1]))
    number(f"S{dim - 1}: W₂² / ε", w @ angle**2 / epsilon, limit, rtol=1e-4)


@pytest.mark.parametrize("t", [4.0, 16.0])
def test_circle_integrals_against_the_exact_flow(t):
    """∫f(X_t) ρ₀ by adaptive quadrature of the exact flow, f = exp(a·x)."""
    A, axis = matrix(2)
    head, a = Head(A), np.array([0.4, -1.1])
    density = bump(2)
    separatrix = np.arctan2(axis[1], axis[0]) + 0.5 * np.pi
    near = np.exp(-GAP * t) * np.array([0.0, 1.0, 10.0, 100.0, 1000.0])

    def integrand(theta):
        x = np.array([[np.cos(theta), np.sin(theta)]])
        return float(density(x)[0] * np.exp(hardmax_flow(head, x, t)[0] @ a))

    truth = 0.0
    for base in (separatrix, separatrix + np.pi):
        edges = np.unique(np.clip(np.concatenate([base - near, base + near, [base - np.pi / 2, base + np.pi / 2]]), base - np.pi / 2, base + np.pi / 2))
        truth += sum(quad(integrand, low, high, epsabs=1e-13, limit=200)[0] for low, high in zip(edges[:-1], edges[1:], strict=True))
    errors = []
    for tolerance in (1e-5, 1e-7, 1e-9, 1e-11):
        moved = carry(initial_cells(density, 2, tolerance), projective(A), 0.0, t, Resolution(tolerance), rtol=max(0.1 * tolerance, 1e-12))
        errors.append(abs(float(moved.integrate(np.exp(moved.points @ a))) - truth))
        bounded(f"t = {t:g}, tolerance {tolerance:g}", errors[-1], max(tolerance, 1e-11))


def test_cells_of_the_circle_become_smaller_than_rounding_allows_coordinates_to_tell():
    """A separatrix at angle 0, where floats are dense: gap·t = 60 leaves cells of 1e-20, of which e^{-60} is kept."""
    A = np.diag([0.0, 1.0])
    density = from_callable(2, lambda x: np.full(len(x), 0.5 / np.pi))
    resolution = Resolution(1e-30)
    cells = initial_cells(density, 2, 1e-12)
    moved = march_to(cells, projective(A), 30.0, resolution)
    assert moved is not None


def march_to(cells, velocity, t, resolution):
    *_, last = march_cells(cells, velocity, 0.0, t, resolution, rtol=1e-10)
    return last.measure
