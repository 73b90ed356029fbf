"""Numbers from a state: distances against closed forms, tails, entropy, and what E is for."""

import numpy as np
import pytest

from spherepde import (
    Circle,
    ContinuityEquation,
    DominantEigenspace,
    Head,
    Softmax,
    Sphere,
    Unnormalised,
    fisher_bingham,
)
from spherepde.diagnostics import Diagnostics, distance_functional, spectral_tail

SPACES = {2: Circle(95), 3: Sphere(95)}
UNIFORM = {
    (2, 1): (np.pi**2 / 12, 2 - 4 / np.pi),
    (3, 1): (np.pi - 2, 1.0),
    (3, 2): (np.pi**2 / 4 - 2, 2 - np.pi / 2),
}


def diagnostics(dim, V, beta=10.0, attention=Softmax):
    return Diagnostics(ContinuityEquation(SPACES[dim], attention(Head(V, beta=beta))))


def uniform_state(dim):
    space = SPACES[dim]
    return space.project(lambda x: np.full(x.shape[:-1], 1.0 / space.area))


@pytest.mark.parametrize(("dim", "rank"), list(UNIFORM))
def test_distances_of_the_uniform_density(dim, rank):
    """literature.md C3: uniform → E∩S, where the distance of the density to E is the Wasserstein distance."""
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(dim, dim)))[0]
    V = rotation @ np.diag([1.0, 1.0 if rank == 2 else 0.4, -0.3][:dim]) @ rotation.T
    values = diagnostics(dim, V).measure(uniform_state(dim))
    geodesic, chordal = UNIFORM[dim, rank]
    assert values["distance_to_E"] ** 2 == pytest.approx(geodesic, abs=2e-14)
    assert values["distance_to_E_chordal"] ** 2 == pytest.approx(chordal, abs=2e-14)


@pytest.mark.parametrize("dim", [2, 3])
def test_distances_of_a_smooth_density_by_brute_force(dim):
    rho = fisher_bingham([0.3, -0.8, 0.5][:dim], np.diag([0.4, 0.0, -0.6][:dim]))
    head = Head(np.diag([0.2, 1.0, -0.5][:dim]))
    target = DominantEigenspace(head.A)
    fine = SPACES[dim].refined(511)
    x = fine.points.reshape(-1, dim)
    measure = fine.weights.ravel() * rho(x)
    values = diagnostics(dim, head.V).measure(SPACES[dim].project(rho))
    brute = np.sqrt(np.sum(measure * target.angle(x) ** 2))  # the kink costs this sum its digits, not the functional
    assert values["distance_to_E"] == pytest.approx(brute, abs=1e-5)
    brute = np.sqrt(np.sum(measure * 4 * np.sin(target.angle(x) / 2) ** 2))
    assert values["distance_to_E_chordal"] == pytest.approx(brute, abs=1e-5)
    side = np.sum(measure[x[:, 1] > 0]) + 0.5 * np.sum(measure[np.abs(x[:, 1]) < 1e-13])
    assert values["hemisphere_mass"] == pytest.approx(side, abs=2e-3)
    assert values["entropy"] == pytest.approx(np.sum(measure * np.log(rho(x))), abs=1e-10)


@pytest.mark.parametrize("dim", [2, 3])
def test_hemisphere_mass_of_a_linear_density(dim):
    """rho = (1 + a x₁)/|S| holds 1/2 + a/π (circle) or 1/2 + a/4 (sphere) where x₁ > 0."""
    space, a = SPACES[dim], 0.6
    u = space.project(lambda x: (1 + a * x[..., 0]) / space.area)
    expected = 0.5 + a / (np.pi if dim == 2 else 4.0)
    values = diagnostics(dim, np.diag([1.0, 0.2, 0.1][:dim])).measure(u)
    assert values["hemisphere_mass"] == pytest.approx(expected, abs=1e-14)


def test_everything_is_no_distance():
    space = SPACES[3]
    assert not distance_functional(space, DominantEigenspace(np.eye(3)), chordal=False).any()


def test_several_heads_have_no_eigenspace_of_their_own():
    heads = [Head(np.eye(2)), Head(np.diag([1.0, 0.0]))]
    quantities = Diagnostics(ContinuityEquation(SPACES[2], Softmax(heads))).quantities
    assert not [name for name in quantities if name.startswith(("distance", "hemisphere"))]


@pytest.mark.parametrize("dim", [2, 3])
def test_spectral_tail(dim):
    space = SPACES[dim]
    u = np.zeros(space.n_modal, complex)
    u[0] = 1.0
    assert spectral_tail(space, u) < 1e-15
    edge = int(np.flatnonzero(space.degree == 2 * space.lmax // 3)[0])
    u[edge] = 1.0
    assert spectral_tail(space, u) < 1e-15
    u[int(np.flatnonzero(space.degree == 2 * space.lmax // 3 + 1)[0])] = 1e-3
    assert 1e-4 < spectral_tail(space, u) < 1e-3


@pytest.mark.parametrize("attention", [Softmax, Unnormalised])
def test_speed_bounds(attention):
    rho = fisher_bingham([0.3, -0.8, 0.5], np.zeros((3, 3)))
    watched = diagnostics(3, np.diag([1.0, 0.4, -0.3]), attention=attention)
    u = SPACES[3].project(rho)
    values = watched.measure(u)
    field = watched.equation.field.velocity(u)
    assert values["max_speed"] == pytest.approx(np.sqrt((field**2).sum(axis=0)).max(), rel=1e-14)
