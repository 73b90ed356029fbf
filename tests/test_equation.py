"""The equation: conservation, the implicit operator, damping, diffusion, and linear growth of perturbations."""

from functools import cache

import numpy as np
import pytest
from scipy.special import ive

from spherepde.attention import Hardmax, Softmax, Unnormalised
from spherepde.equation import ContinuityEquation
from spherepde.errors import InputError
from spherepde.filters import DAMPING_RATE, WAKING_TAIL, damping_strength, spectral_damping, spectral_tail
from spherepde.heads import Head
from spherepde.spaces import Circle, Sphere
from spherepde.steppers import TABLEAUX, imex_step

DIMS = pytest.mark.parametrize("dim", [2, 3])
SHEAR = np.array([[0.9, 0.3, -0.2], [-0.4, 0.5, 0.1], [0.2, 0.7, -0.6]])


@cache
def make_space(dim, lmax=15):
    return Circle(lmax) if dim == 2 else Sphere(lmax)


def density(x):
    c = x[..., :2] @ [0.5, -0.4] + (0.3 * x[..., 2] if x.shape[-1] == 3 else 0.0)
    return np.exp(c + 0.3 * x[..., 0] * x[..., 1]) / 8.0


def random_modal(space, seed=0):
    rng = np.random.default_rng(seed)
    u = rng.normal(size=space.n_modal) + 1j * rng.normal(size=space.n_modal)
    own_conjugate = space.degree == 0 if space.dim == 2 else space.order == 0
    u[own_conjugate] = u[own_conjugate].real
    return u


def uniform_modal(space):
    u = np.zeros(space.n_modal, complex)
    u[0] = 1.0 if space.dim == 2 else 1.0 / np.sqrt(4.0 * np.pi)
    return u


def still(dim):
    """Attention that moves nothing."""
    return Softmax(Head(np.zeros((dim, dim))))


MODELS = {
    "softmax": lambda dim: Softmax(Head(SHEAR[:dim, :dim], beta=5.0)),
    "softmax general": lambda dim: Softmax(Head(np.eye(dim), SHEAR[:dim, :dim], beta=3.0)),
    "unnormalised": lambda dim: Unnormalised(Head(SHEAR[:dim, :dim], beta=5.0)),
    "hardmax": lambda dim: Hardmax(Head(SHEAR[:dim, :dim], np.eye(dim) + 0.2 * SHEAR[:dim, :dim])),
}


# ---- transport


@DIMS
@pytest.mark.parametrize("model", MODELS)
def test_mass_does_not_change(dim, model):
    space = make_space(dim)
    equation = ContinuityEquation(space, MODELS[model](dim), diffusion=0.1)
    for u in (space.project(density), random_modal(space)):
        rate = equation.explicit_terms(u)
        assert np.max(np.abs(rate)) > 1e-3
        assert abs(rate[0]) <= 1e-15 * np.max(np.abs(rate))
        assert equation.implicit_terms(u)[0] == 0.0
        assert equation.implicit_inverse(u, 0.3)[0] == u[0]


@DIMS
@pytest.mark.parametrize("model", MODELS)
def test_first_moment_moves_with_the_flux(dim, model):
    """d/dt ∫xρ = ∫ρv, and d/dt ∫xxᵀρ = ∫ρ(xvᵀ + vxᵀ)."""
    space = make_space(dim)
    u = space.project(density)
    equation = ContinuityEquation(space, MODELS[model](dim))
    flux = np.einsum("i...,i...a->...a", equation.field.flux(u), space.tangent_frame)
    weighted = (space.weights[..., None] * flux).reshape(-1, dim)
    mass, mean, second = space.moments(equation.explicit_terms(u))
    scale = np.abs(weighted).sum()
    assert abs(mass) <= 1e-14 * scale
    np.testing.assert_allclose(mean, weighted.sum(axis=0), rtol=0.0, atol=1e-14 * scale)
    expected = space.points.reshape(-1, dim).T @ weighted
    np.testing.assert_allclose(second, expected + expected.T, rtol=0.0, atol=1e-14 * scale)


@DIMS
@pytest.mark.parametrize("model", MODELS)
def test_rate_does_not_depend_on_the_resolution(dim, model):
    coarse, fine = make_space(dim), make_space(dim, 23)
    equation = ContinuityEquation(coarse, MODELS[model](dim))
    there = equation.on(fine).explicit_terms(fine.project(density))
    here = equation.explicit_terms(coarse.project(density))
    assert np.linalg.norm(here - fine.restrict(there, coarse.lmax)) <= 3e-11 * np.linalg.norm(here)


@DIMS
def test_zero_temperature_transport_of_the_uniform_density(dim):
    """B = I: −div(P_x V x)/|S| = (d⟨x,Vx⟩ − tr V)/|S|."""
    space = make_space(dim)
    V = SHEAR[:dim, :dim]
    rate = ContinuityEquation(space, Hardmax(Head(V))).explicit_terms(uniform_modal(space))
    x = space.points
    expected = (dim * np.einsum("...i,ij,...j->...", x, V, x) - np.trace(V)) / space.area
    np.testing.assert_allclose(space.to_nodal(rate), expected, rtol=0.0, atol=1e-14)


@DIMS
@pytest.mark.parametrize("beta", [1.0, 5.0, 40.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_perturbations_of_the_uniform_density_grow_at_the_funk_hecke_rates(dim, beta, sign):
    """γ_l = ±l(l+d−2)/β · I_{l+d/2−1}/I_{d/2−1} for softmax, times the mean of the kernel without denominator (C12)."""
    space = make_space(dim)
    base, degree = uniform_modal(space), np.arange(1, 9)
    ratio = ive(degree + 0.5 * dim - 1.0, beta) / ive(0.5 * dim - 1.0, beta)
    growth = sign * degree * (degree + dim - 2) / beta * ratio
    kernel_mean = ive(0, beta) if dim == 2 else -np.expm1(-2.0 * beta) / (2.0 * beta)
    for model, factor, tolerance in ((Softmax, 1.0, 1e-9), (Unnormalised, np.exp(beta) * kernel_mean, 1e-12)):
        equation = ContinuityEquation(space, model(Head(sign * np.eye(dim), beta=beta)))
        for l, expected in zip(degree, growth * factor, strict=True):
            direction = np.where(space.degree == l, random_modal(space, int(l)), 0.0)
            step = 1e-5 * abs(base[0])  # no denominator: quadratic, no truncation error; softmax: step²
            if model is Unnormalised:
                step = abs(base[0])
            rise = equation.explicit_terms(base + step * direction) - equation.explicit_terms(base - step * direction)
            found = space.inner(direction, rise) / (2.0 * step * space.inner(direction, direction))
            assert found == pytest.approx(expected, rel=0.0, abs=tolerance * np.max(np.abs(growth * factor)))


@pytest.mark.parametrize(
    ("dim", "beta", "rates"),
    [
        (2, 5.0, [0.17867663, 0.5141174, 0.68267833, 0.60008914, 0.39610586]),
        (2, 7.0, [0.13221889, 0.42032127, 0.64955692, 0.69148406, 0.56953181]),
        (3, 5.0, [0.32003632, 0.62393462, 0.67234869, 0.51096847, 0.30125686]),
        (3, 10.0, [0.18, 0.438, 0.642, 0.711, 0.64515]),
    ],
)
def test_growth_rates_listed_in_the_literature(dim, beta, rates):
    space = make_space(dim)
    equation = ContinuityEquation(space, Softmax(Head(np.eye(dim), beta=beta)))
    base = uniform_modal(space)
    for l, expected in enumerate(rates, start=1):
        bump = 1e-5 * (space.degree == l) * (space.order == 0) * abs(base[0])
        rise = equation.explicit_terms(base + bump) - equation.explicit_terms(base - bump)
        assert space.inner(bump + 0j, rise) / space.inner(bump + 0j, 2.0 * bump + 0j) == pytest.approx(
            expected, rel=1e-7
        )


# ---- the implicit operator


@DIMS
@pytest.mark.parametrize("eta", [1e-6, 0.01, 3.0])
@pytest.mark.parametrize(("diffusion", "damping"), [(0.0, 500.0), (0.7, 0.0), (0.7, 500.0), (0.0, 0.0)])
def test_implicit_inverse_inverts(dim, eta, diffusion, damping):
    space = make_space(dim)
    equation = ContinuityEquation(space, still(dim), diffusion=diffusion, damping=damping)
    u = random_modal(space)
    w = equation.implicit_inverse(u, eta)
    np.testing.assert_allclose(w - eta * equation.implicit_terms(w), u, rtol=1e-14)
    np.testing.assert_allclose(equation.implicit_inverse(u - eta * equation.implicit_terms(u), eta), u, rtol=1e-14)


@DIMS
def test_diffusion_decays_each_harmonic_at_its_eigenvalue(dim):
    space, kappa = make_space(dim), 0.013
    equation = ContinuityEquation(space, still(dim), diffusion=kappa, damping=0.0)
    u = random_modal(space)
    rates = kappa * space.degree * (space.degree + dim - 2)
    np.testing.assert_allclose(equation.implicit_terms(u), -rates * u, rtol=1e-15)
    assert np.max(np.abs(equation.explicit_terms(u))) == 0.0

    step = imex_step(equation, TABLEAUX["ark436"])
    w, n, t = u, 100, 0.5
    for _ in range(n):
        w, _ = step(w, t / n)
    np.testing.assert_allclose(w, np.exp(-rates * t) * u, rtol=2e-9)
    assert w[0] == u[0]


@DIMS
def test_damping_grows_from_nothing_to_its_rate_at_the_top(dim):
    space = make_space(dim, 60)
    rates = spectral_damping(space, rate=500.0)
    assert rates[0] == 0.0
    np.testing.assert_allclose(rates[space.degree == 60], 500.0, rtol=1e-15)
    np.testing.assert_allclose(rates[space.degree == 30], 500.0 / 3**6, rtol=1e-13)
    assert not rates[space.degree <= 15].any(), "the lower quarter is untouched"
    assert np.all(np.diff(np.unique(rates)) > 0.0)
    assert np.all(spectral_damping(space, rate=0.0) == 0.0)


@DIMS
def test_damping_is_the_default_and_wakes_with_the_tail(dim):
    space = make_space(dim)
    equation = ContinuityEquation(space, still(dim))
    u = random_modal(space)
    assert equation.damping == DAMPING_RATE
    assert not equation.implicit_terms(u).any(), "asleep until a state was seen"
    full = spectral_damping(space, DAMPING_RATE * equation.field.speed_scale)
    equation.adapt_damping(u)
    np.testing.assert_allclose(equation.implicit_terms(u), -full * u, rtol=1e-12, atol=0.0)
    tail = np.where(space.degree > 2 * space.lmax // 3, u, 0.0)
    for size in (1e-12, 1e-9, 1e-6):
        mixed = u - tail + size * tail
        equation.adapt_damping(mixed)
        strength = damping_strength(spectral_tail(space, mixed))
        np.testing.assert_allclose(equation.implicit_terms(u), -strength * full * u, rtol=1e-12, atol=0.0)
    assert damping_strength(WAKING_TAIL) == 0.5
    assert damping_strength(1e-14) < 1e-9 < 1.0 - 1e-5 < damping_strength(1e-6) <= 1.0


@DIMS
def test_damping_follows_the_speed_of_the_flow(dim):
    """V → 3V is the same flow three times faster, whatever the law: so is its damping, and the uniform USA velocity."""
    space = make_space(dim)
    for model in (Softmax, Unnormalised, Hardmax):
        scales = [model(Head(c * np.eye(dim), beta=7.0)).on(space).speed_scale for c in (1.0, 3.0)]
        assert scales[1] == pytest.approx(3.0 * scales[0], rel=1e-14)
    uniform = space.project(lambda x: np.full(x.shape[:-1], 1.0 / space.area))
    field = Unnormalised(Head(np.eye(dim), beta=7.0)).on(space)
    energy = field.budget(uniform, space.to_nodal(uniform)).energy * np.exp(field.energy_log_scale)
    assert field.speed_scale == pytest.approx(2.0 * 7.0 * energy, rel=1e-13), "E = λ₀/2β for the uniform density"


@DIMS
def test_damping_leaves_the_resolved_rate_alone(dim):
    """On a resolved density the damping is a perturbation at the level of its unresolved tail."""
    space = make_space(dim, 31)
    equation = ContinuityEquation(space, MODELS["softmax"](dim))
    u = space.project(density)
    equation.adapt_damping(u)
    assert equation.norm(equation.implicit_terms(u)) < 1e-12 * equation.norm(equation.explicit_terms(u))


# ---- the rest


@DIMS
def test_norm_weighs_degrees_by_their_square(dim):
    space = make_space(dim)
    equation = ContinuityEquation(space, still(dim))
    for l in (0, 1, 7, 15):
        u = np.where(space.degree == l, random_modal(space), 0.0)
        assert equation.norm(u) == pytest.approx(np.sqrt(space.inner(u, u)) / (1 + l) ** 2, rel=1e-14)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_norm_measures_every_rate_the_model_allows():
    equation = ContinuityEquation(make_space(2), Unnormalised(Head(np.eye(2), beta=300.0)))
    assert np.isfinite(equation.norm(equation.explicit_terms(make_space(2).project(density))))


@pytest.mark.parametrize("name", ["diffusion", "damping"])
@pytest.mark.parametrize("rate", [-1e-3, np.nan, np.inf])
def test_bad_rates_are_refused(name, rate):
    with pytest.raises(InputError, match=f"equation: expected {name} >= 0, got"):
        ContinuityEquation(make_space(2), still(2), **{name: rate})


def test_a_rate_that_is_no_number_is_refused():
    with pytest.raises(InputError, match="expected diffusion >= 0"):
        ContinuityEquation(make_space(2), still(2), diffusion="small")


def test_dimensions_must_fit():
    with pytest.raises(InputError, match="space has dim 2, heads act on dim 3; expected the same"):
        ContinuityEquation(make_space(2), still(3))


def test_equation_moves_to_another_space_with_its_rates():
    equation = ContinuityEquation(make_space(2), still(2), diffusion=0.2, damping=7.0)
    other = equation.on(make_space(2, 8))
    assert (other.space.lmax, other.diffusion, other.damping) == (8, 0.2, 7.0)
    assert other.attention is equation.attention


def test_configuration_and_representation():
    head = Head(np.eye(2), beta=3.0)
    equation = ContinuityEquation(make_space(2), Softmax(head), diffusion=0.2)
    assert equation.to_config() == {"attention": "softmax", "dim": 2, "diffusion": 0.2} | head.to_config()
    assert repr(equation) == f"ContinuityEquation({make_space(2)!r}, Softmax({head!r}), diffusion=0.2)"
    assert "diffusion" not in repr(ContinuityEquation(make_space(2), Softmax(head)))
