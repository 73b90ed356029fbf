"""Energies of several heads and the laws they obey: C29, C30, C33. Attention entropies against plain sums."""

import numpy as np
import pytest
from physics_helpers import bounded, evolve, number, orders, space_of
from scipy.special import ive

from spherepde.attention import Hardmax, Softmax, Unnormalised
from spherepde.attention.laws import law_of
from spherepde.densities import fisher_bingham, von_mises_fisher
from spherepde.equation import ContinuityEquation
from spherepde.heads import Head
from spherepde.quadrature import sphere_rule
from spherepde.simulation import Simulation
from spherepde.steppers import TABLEAUX
from spherepde.store import RunFile
from spherepde.summary import energy_balance
from spherepde.tokens import token_velocity

MODELS = {"softmax": Softmax, "unnormalised": Unnormalised}
ROTATION = {2: np.array([[0.8, -0.6], [0.6, 0.8]]), 3: np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]}


def symmetric(dim, *eigenvalues):
    return ROTATION[dim] @ np.diag(eigenvalues[:dim]) @ ROTATION[dim].T


def radial(dim, beta, *scales):
    return [Head(m * np.eye(dim), m * np.eye(dim), beta=beta) for m in scales]


def crossed(beta):
    """The pair of literature.md C33."""
    return [Head(np.diag(d), np.diag(d), beta=beta) for d in ((1.0, -0.5), (-0.5, 1.0))]


def budget_of(model, space, u):
    return model.on(space).budget(u, space.to_nodal(u))


def smooth(dim):
    return fisher_bingham([0.5, 0.4, -0.3][:dim], symmetric(dim, 0.7, -0.2, 0.1))


# ---- against sums over the atoms of a quadrature rule, with the velocity of the token code


def atoms(dim, density):
    x, w = sphere_rule(dim, 59)
    return x, w * density(x)


def dense_budget(heads, attention, combine, x, mass):
    """Energies of each head, the rate of their total, attention entropies of each head: plain sums."""
    velocity = token_velocity(heads, x, mass, attention, combine)
    energies, entropies, rate = [], [], 0.0
    for head in heads:
        score = head.beta * (x @ head.B @ x.T)
        kernel = np.exp(score)
        energies.append(mass @ kernel @ mass / (2.0 * head.beta))
        rate += mass @ np.sum((kernel * mass) @ x @ head.B.T * velocity, axis=1)
        a = kernel / (kernel @ mass)[:, None]
        entropies.append(-mass @ (a * np.log(a)) @ mass)
    weight = 1.0 if combine == "sum" else 1.0 / len(heads)
    return np.array(energies), weight * rate, np.array(entropies)


@pytest.mark.parametrize("combine", ["sum", "mean"])
@pytest.mark.parametrize("attention", MODELS)
@pytest.mark.parametrize("dim", [2, 3])
def test_budget_equals_dense_sums(dim, attention, combine):
    """One head by multipliers with a reflection, one general, one not aligned; several temperatures."""
    reflection = symmetric(dim, 1.0, -1.0, 1.0)
    heads = [
        Head(reflection, 0.8 * reflection, beta=3.0),
        Head(symmetric(dim, 1.0, 0.4, -0.3), symmetric(dim, 1.0, 0.4, -0.3), beta=5.0),
        Head(np.diag([1.0, 0.2, 0.5][:dim]), symmetric(dim, 0.5, 0.9, 0.3), beta=1.5),
    ]
    space, density = space_of(dim, 31), smooth(dim)
    model = MODELS[attention](heads, combine=combine)
    budget = budget_of(model, space, space.project(density))
    energies, rate, entropies = dense_budget(heads, attention, combine, *atoms(dim, density))
    scale = np.exp(-max(head.beta * np.linalg.norm(space.points @ head.B, axis=-1).max() for head in heads))
    name = f"S{dim - 1} {attention} {combine}"
    for h, energy in enumerate(energies):
        number(f"{name}: energy of head {h}", budget.head_energy[h], scale * energy, rtol=1e-12)
        number(f"{name}: attention entropy of head {h}", budget.attention_entropy[h], entropies[h], rtol=2e-12)
    total = energies.sum() if combine == "sum" else energies.mean()
    number(f"{name}: energy", budget.energy, scale * total, rtol=1e-12)
    number(f"{name}: rate of change", budget.dissipation, scale * rate, rtol=2e-11)


# ---- which law holds

LAWS = {
    "gradient flow, sum": (Unnormalised, lambda d, B, C: [Head(2 * B, B), Head(2 * C, C, beta=3.0)], 1, 2.0),
    "gradient flow, mean": (Unnormalised, lambda d, B, C: [Head(-B, B), Head(-C, C, beta=3.0)], -1, -1.0),
    "one head": (Softmax, lambda d, B, C: [Head(0.5 * B, B, beta=4.0)], 1, 0.5),
    "one head, repulsive": (Softmax, lambda d, B, C: [Head(-B, B, beta=4.0)], -1, -1.0),
    "twins": (Softmax, lambda d, B, C: [Head(2.0 * B, B), Head(-B, B), Head(0.5 * B, B)], 1, 0.5),
}


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("dim", [2, 3])
def test_rate_where_a_law_holds(dim, name):
    """dE/dt = (1/c)∫|v|²ρ, or (1/c)∫Z|v|²ρ with Z by plain sums, for a few densities."""
    kind, make, sign, c = LAWS[name]
    heads = make(dim, symmetric(dim, 1.0, -0.4, 0.3), symmetric(dim, -0.2, 0.9, 0.5))
    model = kind(heads, combine="mean" if "mean" in name else "sum")
    space = space_of(dim, 31 if dim == 2 else 23)
    field = model.on(space)
    assert field.energy_law.sign == sign
    assert f"c = {c:g}" in field.energy_law.sentence
    rng = np.random.default_rng(5)
    for _ in range(2):
        density = fisher_bingham(rng.normal(size=dim), np.diag(rng.normal(size=dim)))
        u = space.project(density)
        rho = space.to_nodal(u)
        mobility = np.ones(space.shape)
        if kind is Softmax:
            x, mass = atoms(dim, density)
            exponent = heads[0].beta * (space.points.reshape(-1, dim) @ heads[0].B @ x.T)
            mobility = (np.exp(exponent) @ mass).reshape(space.shape)
        budget = field.budget(u, rho)
        squared = space.integrate(mobility * np.sum(field.velocity(u) ** 2, axis=0) * rho) / c
        rate = budget.dissipation * np.exp(field.energy_log_scale)
        number(f"{name} S{dim - 1}: rate against its formula", rate, squared, rtol=1e-11)
        assert np.sign(rate) == sign


def test_where_no_law_holds():
    B, C = np.diag([1.0, -0.4]), np.diag([0.3, 0.8])
    skew = np.array([[1.0, 0.3], [-0.3, 1.0]])
    for heads, normalise, exists, words in (
        ([Head(B, B), Head(C, C)], True, True, "softmax divides each head by its own Z_h"),
        ([Head(B, B), Head(B, B, beta=2.0)], True, True, "softmax divides each head by its own Z_h"),
        ([Head(B, B), Head(2 * C, C)], False, True, "not V_h = c B_h with one c"),
        ([Head(np.eye(2), B)], True, True, "not V = c B"),
        ([Head(B, B), Head(B, skew)], True, False, "B of head 1 (counted from 0) is not symmetric"),
        ([Head(B, skew)], False, False, "B is not symmetric"),
    ):
        law = law_of(heads, normalise=normalise)
        assert (law.exists, law.sign) == (exists, None)
        assert words in law.sentence
    assert law_of([Head(0 * B, B)], normalise=True).sign == 0
    silent = Head(np.zeros((2, 2)), np.zeros((2, 2)))
    assert law_of([Head(B, B), silent], normalise=True).sign == 1
    assert not Hardmax(Head(B)).on(space_of(2, 15)).has_energy


# ---- C33: total and single heads


def test_total_rises_while_a_single_head_falls(tmp_path):
    """M₁ = diag(1, −½), M₂ = diag(−½, 1), no denominator: the theorem's case, through a run and its file."""
    model = Unnormalised(crossed(2.0))
    equation = ContinuityEquation(space_of(2, 95), model)
    rho0 = von_mises_fisher([np.cos(0.6), np.sin(0.6)], 1.0)
    Simulation(equation, rho0, tmp_path / "run.h5", rtol=1e-10, progress=False).run(until=1.0)
    with RunFile(tmp_path / "run.h5") as run:
        t, total, heads = (run.series[key] for key in ("t", "energy", "head_energy"))
        rate, law = run.series["dissipation"], run.attributes["energy_law"]
    assert law.startswith("transport never lowers it: Wasserstein gradient flow")
    assert heads.shape == (len(t), 2)
    assert np.all(np.diff(total) > 0.0)
    fall = (heads[0] - heads.min(axis=0)) / heads[0]
    print(f"NUMBER C33 without denominator: relative fall of head 0 {fall[0]:.4f}, of head 1 {fall[1]:.4f}")
    assert fall.max() > 0.05
    number("C33: total at the end", total[-1], heads[-1].sum(), rtol=1e-14)
    bounded(
        "C33: balance of the total over its rise", np.abs(energy_balance(t, total, rate)).max() / np.ptp(total), 1e-9
    )


def test_softmax_heads_can_lower_the_total():
    """Two equal bumps at 20° and 70°, the same two heads: the rate by plain sums of the token code is negative, too."""

    def density(x):
        bumps = [np.exp(30.0 * (x @ [np.cos(a), np.sin(a)] - 1.0)) for a in np.deg2rad([20.0, 70.0])]
        return sum(bumps) / (4.0 * np.pi * ive(0, 30.0))

    space, heads = space_of(2, 127), crossed(2.0)
    x, w = sphere_rule(2, 399)
    energies, rate, _ = dense_budget(heads, "softmax", "sum", x, w * density(x))
    budget = budget_of(Softmax(heads), space, space.project(density))
    relative = budget.dissipation / budget.energy
    number("C33 softmax, two bumps: relative rate of the total", relative, rate / energies.sum(), rtol=1e-11)
    assert relative < -0.2
    assert budget_of(Unnormalised(heads), space, space.project(density)).dissipation > 0.0


def test_a_cluster_lowers_the_total_of_two_softmax_heads():
    """A point at angle θ moves along P(M₁+M₂)x, the energy weighs M_h by e^{β⟨x,M_hx⟩}: diag(0, 1) and diag(2.9, 2)."""
    diagonals, angle, beta = np.array([[0.0, 1.0], [2.9, 2.0]]), 0.7, 1.0
    heads = [Head(np.diag(d), np.diag(d), beta=beta) for d in diagonals]
    c, s = np.cos(angle), np.sin(angle)
    pull = (diagonals[:, 1] - diagonals[:, 0]) * s * c
    weight = np.exp(beta * (diagonals[:, 0] * c * c + diagonals[:, 1] * s * s))
    expected = 2.0 * beta * pull.sum() * (pull @ weight) / weight.sum()
    space = space_of(2, 511)
    rates = []
    for concentration in (1000.0, 2000.0, 4000.0):
        u = space.project(von_mises_fisher([c, s], concentration))
        budget = budget_of(Softmax(heads), space, u)
        rates.append(budget.dissipation / budget.energy)
    limit = (8.0 * rates[2] - 6.0 * rates[1] + rates[0]) / 3.0
    assert max(*rates, expected) < -0.02
    number("point mass under two softmax heads: relative rate, extrapolated", limit, expected, rtol=1e-4)


# ---- C30: scores that change with time


def oscillating(t):
    return np.array([[2.0 + 1.5 * np.cos(t), np.sin(2 * t)], [np.sin(2 * t), 2.0 - 1.5 * np.cos(t)]])


def oscillating_rate(t):
    return np.array([[-1.5 * np.sin(t), 2.0 * np.cos(2 * t)], [2.0 * np.cos(2 * t), 1.5 * np.sin(t)]])


class WithWork:
    """The equation with heads V = ∓D(t), B = D(t), and one more unknown: ∫(∂_tE + Ė by transport)."""

    def __init__(self, sign, model):
        self.space, self.sign, self.model, self.fields = space_of(2, 39), sign, model, {}
        x, self.weights = self.space.points, self.space.weights
        self.outer = x[:, None, :, None] * x[None, :, None, :]
        self.constant = ContinuityEquation(self.space, model(Head(np.eye(2))))

    def field(self, t):
        if t not in self.fields:
            D = oscillating(t)
            self.fields = {t: self.model(Head(self.sign * D, D), method="quadrature").on(self.space)}
        return self.fields[t]

    def pairs(self, u, t):
        mass = self.weights * self.space.to_nodal(u)
        return mass[:, None] * np.exp(np.einsum("ijab,ab->ij", self.outer, oscillating(t))) * mass

    def energy(self, u, t):
        return 0.5 * self.pairs(u, t).sum()

    def explicit_terms(self, y, t, out):
        u, field = y[:-1], self.field(t)
        rate = field.budget(u, self.space.to_nodal(u)).dissipation * np.exp(field.energy_log_scale)
        drift = 0.5 * np.sum(self.pairs(u, t) * np.einsum("ijab,ab->ij", self.outer, oscillating_rate(t)))
        out[:-1] = -self.space.divergence(field.flux(u))
        out[-1] = rate + drift
        return out

    def implicit_terms(self, y, out):
        out[:] = 0.0
        return out

    def implicit_inverse(self, y, eta, out):
        out[:] = y
        return out

    def norm(self, y):
        return self.constant.norm(y[:-1])


@pytest.mark.parametrize(("model", "sign", "tableau"), [(Softmax, -1.0, "ark436"), (Unnormalised, 1.0, "ars443")])
def test_energy_under_scores_that_change(model, sign, tableau):
    """E_T − E_0 = ∫∂_tE + ∫Ė by transport, up to the stepper's error (softmax: the descending flow of C30)."""
    problem, time = WithWork(sign, model), (1.0 if model is Softmax else 0.02)
    start = problem.space.project(fisher_bingham([0.5, 0.4], np.zeros((2, 2))))
    rise, residuals = 0.0, []
    for steps in (8, 16, 32):
        end = evolve(problem, np.append(start, 0.0), time, steps, tableau)
        rise = problem.energy(end[:-1], time) - problem.energy(start, 0.0)
        residuals.append(abs(rise - end[-1].real) / abs(rise))
    name = f"C30 {model.name} {tableau}"
    number(f"{name}: order of the residual", orders(residuals)[-1], TABLEAUX[tableau].order, atol=0.2)
    bounded(f"{name}: residual over rise {rise:.3g}, 32 steps", residuals[-1], 6e-7)
