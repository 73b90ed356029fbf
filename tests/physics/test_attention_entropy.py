"""C34: how evenly a head attends, against closed forms and along a flow to a point."""

import numpy as np
import pytest
from physics_helpers import bounded, evolve, number, space_of, uniform_state
from scipy.special import ive

from spherepde.attention import Softmax
from spherepde.densities import fisher_bingham, von_mises_fisher
from spherepde.equation import ContinuityEquation
from spherepde.heads import Head
from spherepde.quadrature import sphere_rule

TURN = {2: np.array([[0.8, -0.6], [0.6, 0.8]]), 3: np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]}
SKEW = {2: np.array([[0.7, 0.4], [-0.6, 0.2]]), 3: np.array([[0.8, 0.3, -0.2], [-0.3, 0.9, 0.1], [0.2, 0.4, 0.5]])}


def entropies_of(heads, space, u):
    return Softmax(heads).on(space).budget(u, space.to_nodal(u)).attention_entropy


def log_mass(dim, k):
    """log ∫e^{k⟨e,y⟩}dy − k over the sphere, and the mean A(k) of that law."""
    order = 0.5 * dim - 1.0
    return 0.5 * dim * np.log(2 * np.pi) - order * np.log(k) + np.log(ive(order, k)), ive(order + 1, k) / ive(order, k)


def entropy_of_von_mises_fisher(dim, head, mean, concentration, x):
    """H(x) = log Z − β⟨w,m⟩ in closed form: tilting a von Mises–Fisher law by e^{β⟨w,y⟩} gives another."""
    w = head.beta * x @ head.B
    tilted = concentration * mean + w
    k = np.linalg.norm(tilted, axis=1)
    log_tilted, pull = log_mass(dim, k)
    log_partition = log_tilted + k - log_mass(dim, concentration)[0] - concentration
    return log_partition - pull * np.sum(w * tilted, axis=1) / k


@pytest.mark.parametrize("beta", [0.01, 1.0, 100.0, 10000.0])
@pytest.mark.parametrize("dim", [2, 3])
def test_attention_entropy_of_the_uniform_density(dim, beta):
    space, turn = space_of(dim, 31), TURN[dim]
    found = entropies_of(Head(np.eye(dim), turn, beta=beta), space, uniform_state(space))[0]
    log_partition, mean = log_mass(dim, beta)
    area = 2.0 * np.pi if dim == 2 else 4.0 * np.pi
    expected = log_partition - np.log(area) + beta * (1.0 - mean)
    number(f"C34 S{dim - 1} uniform, beta={beta:g}", found, expected, atol=1e-14 + 3e-15 * beta)
    assert found < 0.0


@pytest.mark.parametrize("score", ["identity", "not symmetric", "singular"])
@pytest.mark.parametrize("dim", [2, 3])
def test_attention_entropy_of_bumps(dim, score):
    """From wide to narrow: closed form at each point, summed over a fine rule; it tends to 0 like β²/K."""
    B = {"identity": np.eye(dim), "not symmetric": SKEW[dim], "singular": np.outer(SKEW[dim][0], SKEW[dim][1])}[score]
    head, mean = Head(np.eye(dim), B, beta=6.0), np.array([0.6, 0.8, 0.0][:dim])
    space, entropies = space_of(dim, 55), []
    for concentration in (0.5, 5.0, 40.0)[3 - dim :]:
        density = von_mises_fisher(mean, concentration)
        x, w = sphere_rule(dim, 149)
        closed = w * density(x) @ entropy_of_von_mises_fisher(dim, head, mean, concentration, x)
        found = entropies_of(head, space, space.project(density))[0]
        number(f"C34 S{dim - 1} bump of concentration {concentration:g}, B {score}", found, closed, atol=2e-13)
        entropies.append(found)
    assert all(entropy < 0.0 for entropy in entropies)
    assert abs(entropies[-1]) < 0.3 * abs(entropies[0])


def test_attention_entropy_without_a_score():
    space = space_of(3, 31)
    heads = [Head(np.eye(3), np.zeros((3, 3)), beta=5.0), Head(np.eye(3))]
    silent, speaking = entropies_of(heads, space, space.project(fisher_bingham([0.5, 0.4, -0.3])))
    bounded("C34: B = 0 attends evenly", abs(silent), 1e-14)
    assert speaking < -0.01


def test_attention_becomes_even_as_tokens_become_one():
    """V = B = I from a positive density: the tail that keeps attention uneven dies like W₂², at rate 1 on S¹ (C20)."""
    head = Head(np.eye(2), beta=0.5)
    equation = ContinuityEquation(space_of(2, 127), Softmax(head))
    state = equation.space.project(von_mises_fisher([1.0, 0.0], 1.0))
    entropies = []
    for time in (4.0, 5.0, 0.5):
        state = evolve(equation, state, time, int(50 * time), adapt=True)
        entropies.append(entropies_of(head, equation.space, state)[0])
    print(f"NUMBER C34 along a clustering flow: entropies {entropies}")
    assert -0.1 < entropies[0] < entropies[1] < entropies[2] < 0.0
    number("C34: rate at which attention becomes even", np.log(entropies[1] / entropies[2]) / 0.5, 1.0, atol=5e-4)
