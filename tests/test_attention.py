"""Attention: fast path against quadrature against brute force, limits, bounds, equivariance, energy."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import ive, logsumexp

from spherepde.attention import Attention, Hardmax, Softmax, Unnormalised, attention_named
from spherepde.attention.moments import FactorMoments, FunkHeckeMoments, QuadratureMoments
from spherepde.equation import ContinuityEquation
from spherepde.errors import InputError
from spherepde.heads import Head
from spherepde.spaces import Circle, Space, Sphere

SHEAR = np.array([[0.9, 0.3, -0.2], [-0.4, 0.5, 0.1], [0.2, 0.7, -0.6]])
BETAS = {2: (1e-3, 1.0, 10.0, 100.0, 1000.0), 3: (1e-3, 1.0, 10.0, 100.0)}
SCORES = ("identity", "rotation", "reflection", "minus")
FAST_CASES = [(dim, beta, score) for dim, betas in BETAS.items() for beta in betas for score in SCORES]
FAST_CASES.remove((3, 100.0, "identity"))  # a second each; the reflection at β = 120 says more
FAST_CASES.remove((3, 100.0, "minus"))


@cache
def make_space(dim: int, lmax: int = 15) -> Space:
    return Circle(lmax) if dim == 2 else Sphere(lmax)


def value_matrix(dim):
    """Neither symmetric nor orthogonal, so that every component of N matters."""
    return SHEAR[:dim, :dim]


def turn(dim, angle=0.7):
    """A rotation, about a skew axis on the sphere."""
    c, s = np.cos(angle), np.sin(angle)
    if dim == 2:
        return np.array([[c, -s], [s, c]])
    axis = np.array([1.0, 2.0, -2.0]) / 3.0
    cross = np.cross(np.eye(3), -axis)
    return np.eye(3) + s * cross + (1.0 - c) * cross @ cross


def orthogonal_scores(dim):
    flip = np.eye(dim)
    flip[0, 0] = -1.0
    return {
        "identity": np.eye(dim),
        "rotation": 0.8 * turn(dim),
        "reflection": 1.2 * flip @ turn(dim, 1.1),
        "minus": -np.eye(dim),
    }


def density(x):
    """Positive, of integral near 1, without symmetry, resolved to round-off by degree 15."""
    c = x[..., :2] @ [0.5, -0.4] + (0.3 * x[..., 2] if x.shape[-1] == 3 else 0.0)
    return np.exp(c + 0.3 * x[..., 0] * x[..., 1]) / 8.0


def density_gradient_of_log(x):
    """Ambient gradient of log density, to be projected."""
    g = np.zeros_like(x)
    g[..., 0] = 0.5 + 0.3 * x[..., 1]
    g[..., 1] = -0.4 + 0.3 * x[..., 0]
    if x.shape[-1] == 3:
        g[..., 2] = 0.3
    return g


@cache
def density_modal(dim, lmax=15):
    return make_space(dim, lmax).project(density)


def product_rule(dim, degree):
    """Quadrature written here, finer than anything in the package needs."""
    if dim == 2:
        angle = 2.0 * np.pi * (np.arange(2 * degree) + 0.3) / (2 * degree)
        return np.stack([np.cos(angle), np.sin(angle)], axis=-1), np.full(2 * degree, np.pi / degree)
    z, w = np.polynomial.legendre.leggauss(degree)
    angle = np.pi * (np.arange(2 * degree) + 0.3) / degree
    z, phi = (a.ravel() for a in np.meshgrid(z, angle, indexing="ij"))
    r = np.sqrt(1.0 - z * z)
    return np.stack([r * np.cos(phi), r * np.sin(phi), z], axis=-1), np.repeat(w, 2 * degree) * np.pi / degree


def brute_force(space, head, degree, normalise=True):
    """P_x V N/Z (or P_x V N) in the tangent frame, by log-sum-exp over a product rule, straight from the definition."""
    y, weight = product_rule(space.dim, degree)
    log_mass = np.log(weight * density(y))
    x = space.points.reshape(-1, space.dim)
    result = np.empty_like(x)
    for rows in np.array_split(np.arange(len(x)), max(1, len(x) * len(y) // 2**22)):
        score = head.beta * x[rows] @ head.B @ y.T + log_mass
        log_partition = logsumexp(score, axis=1, keepdims=True)
        mean = np.exp(score - log_partition) @ y
        result[rows] = (mean if normalise else mean * np.exp(log_partition)) @ head.V.T
    return np.einsum("i...a,...a->i...", space.tangent_frame, result.reshape(space.points.shape))


def relative(found, expected):
    return np.max(np.abs(np.asarray(found) - expected)) / np.max(np.abs(expected))


def ambient(space, components):
    """(d, *shape) components along (x, e_1, …) as vectors (*shape, d)."""
    return np.einsum("i...,i...a->...a", components, np.concatenate([space.points[None], space.tangent_frame]))


def wild_modal(space, seed=0):
    """White noise of mass 1 and large amplitude: its values change sign everywhere, and so does Z at high β."""
    rng = np.random.default_rng(seed)
    u = 30.0 * (rng.normal(size=space.n_modal) + 1j * rng.normal(size=space.n_modal))
    own_conjugate = space.degree == 0 if space.dim == 2 else space.order == 0
    u[own_conjugate] = u[own_conjugate].real
    u[0] = 1.0 if space.dim == 2 else 1.0 / np.sqrt(4.0 * np.pi)
    return u


# ---- fast path against quadrature


@pytest.mark.parametrize(("dim", "beta", "score"), FAST_CASES)
def test_fast_path_equals_quadrature(dim, beta, score):
    space, u = make_space(dim), density_modal(dim)
    head = Head(value_matrix(dim), orthogonal_scores(dim)[score], beta=beta)
    fast, slow = FunkHeckeMoments(head, space), QuadratureMoments(head, space)
    fast.update(u)
    slow.update(u)
    np.testing.assert_allclose(fast.log_scale, slow.log_scale, rtol=1e-14)
    assert fast.source_degree == slow.source_degree
    tolerance = 1e-13 + 2e-14 * beta  # the exponents of the direct sum carry errors β·ε
    assert relative(fast.partition, slow.partition) <= tolerance
    first = np.moveaxis(slow.first, 0, -1)
    assert relative(ambient(space, fast.first) @ fast.turn, first) <= tolerance  # N = OᵀN'
    assert np.all(np.linalg.norm(first, axis=-1) <= slow.partition * (1.0 + 1e-12))

    models: list[type[Attention]] = [Softmax, Unnormalised] if beta < 400.0 else [Softmax]
    for model in models:
        quick, careful = model(head, method="funk_hecke").on(space), model(head, method="quadrature").on(space)
        part = careful._moments[0]  # spare the dense sums: they are in ``slow`` already
        part.partition, part.first, part.update = slow.partition, slow.first.copy(), lambda _: None
        assert relative(quick.velocity(u), careful.velocity(u)) <= tolerance
        part.first = slow.first.copy()  # unscaled in place where there is no denominator
        assert relative(quick.flux(u), careful.flux(u)) <= tolerance


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("model", [Softmax, Unnormalised])
def test_flux_is_density_times_velocity(dim, model):
    space, u = make_space(dim), density_modal(dim)
    for method in ("funk_hecke", "quadrature"):
        field = model(Head(value_matrix(dim), beta=3.0), method=method).on(space)
        expected = space.to_nodal(u) * field.velocity(u)
        assert relative(field.flux(u), expected) <= 1e-14


@pytest.mark.parametrize("kappa", [1e-14, 1e-7])
@pytest.mark.parametrize("dim", [2, 3])
def test_weak_scores_average_the_density(dim, kappa):
    """To first order in κ, N/Z = mean + κ·covariance·x: at small κ the first two moments are all there is."""
    space, u = make_space(dim), density_modal(dim)
    mass, mean, second = space.moments(u)
    mean, covariance = mean / mass, second / mass - np.outer(mean, mean) / mass**2
    push = (mean + kappa * space.points @ covariance) @ value_matrix(dim).T
    expected = np.einsum("i...a,...a->i...", space.tangent_frame, push)
    assert relative(Softmax(Head(value_matrix(dim), beta=kappa)).on(space).velocity(u), expected) <= 1e-12


@pytest.mark.parametrize("dim", [2, 3])
def test_weak_scores_keep_the_second_moment(dim):
    test_weak_scores_average_the_density(dim, 1e-9)


@pytest.mark.parametrize("dim", [2, 3])
def test_zero_score_moves_towards_the_mean(dim):
    space, u = make_space(dim), density_modal(dim)
    mass, mean, _ = space.moments(u)
    expected = np.einsum("i...a,a->i...", space.tangent_frame, value_matrix(dim) @ mean / mass)
    field = Softmax(Head(value_matrix(dim), np.zeros((dim, dim)))).on(space)
    assert relative(field.velocity(u), expected) <= 1e-13


# ---- against brute force


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("beta", [0.3, 20.0])
@pytest.mark.parametrize("model", [Softmax, Unnormalised])
@pytest.mark.parametrize("score", ["identity", "rotation", "shear", "singular", "low rank"])
def test_velocity_matches_its_definition(dim, beta, model, score):
    B = {
        "identity": np.eye(dim),
        "rotation": turn(dim),
        "shear": SHEAR.T[:dim, :dim],
        "singular": np.diag([1.0, 0.0, 0.6])[:dim, :dim],
        "low rank": np.outer(np.arange(1, dim + 1), np.arange(dim, 0, -1)) / dim**2,
    }[score]
    space, u = make_space(dim), density_modal(dim)
    head = Head(value_matrix(dim), B, beta=beta)
    expected = brute_force(space, head, 40, normalise=model is Softmax)
    tolerance = 2e-12 if (dim, score) == (3, "shear") else 2e-13  # its grid in ω keeps eleven digits
    assert relative(model(head).on(space).velocity(u), expected) <= tolerance


@pytest.mark.parametrize("dim", [2, 3])
def test_query_and_key_of_low_rank(dim):
    space, u = make_space(dim), density_modal(dim)
    Q, K = SHEAR[:1, :dim], SHEAR[1:2, :dim]
    head = Head(np.eye(dim), Q=Q, K=K, beta=15.0)
    assert relative(Softmax(head).on(space).velocity(u), brute_force(space, head, 40)) <= 2e-13


@pytest.mark.parametrize("score", [np.eye(2), np.array([[1.0, 0.4], [0.1, 0.5]]), np.diag([1.0, 0.0])])
def test_very_low_temperature_on_the_circle(score):
    space, u = make_space(2), density_modal(2)
    head = Head(value_matrix(2), score, beta=1e5)
    velocity = Softmax(head).on(space).velocity(u)
    assert np.all(np.isfinite(velocity))
    assert relative(velocity, brute_force(space, head, 6000)) <= 2e-11  # β·ε


@pytest.mark.parametrize("dim", [2, 3])
def test_memory_blocks_do_not_matter(dim, monkeypatch):
    space, u = make_space(dim), density_modal(dim)
    head = Head(value_matrix(dim), SHEAR[:dim, :dim], beta=5.0)
    whole = Softmax(head).on(space).velocity(u).copy()
    monkeypatch.setattr("spherepde.attention.moments.BLOCK_BYTES", 8 * 2000 * 37)
    assert relative(Softmax(head).on(space).velocity(u), whole) <= 1e-13


# ---- several heads


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("model", [Softmax, Unnormalised, Hardmax])
def test_heads_add_up_or_average(dim, model):
    space, u = make_space(dim), density_modal(dim)
    heads = [
        Head(value_matrix(dim), turn(dim), beta=2.0),
        Head(-2.0 * np.eye(dim), SHEAR[:dim, :dim].T, beta=5.0),
        Head(np.diag([0.3, -1.0, 2.0])[:dim, :dim], beta=0.4),
    ]
    parts = [model(head).on(space) for head in heads]
    flux = sum(part.flux(u).copy() for part in parts)
    velocity = sum(part.velocity(u).copy() for part in parts)
    assert relative(model(heads).on(space).velocity(u), velocity) <= 1e-14
    assert relative(model(heads).on(space).flux(u), flux) <= 1e-14
    assert relative(model(heads, combine="mean").on(space).velocity(u), velocity / 3.0) <= 1e-14
    assert relative(model(heads, combine="mean").on(space).flux(u), flux / 3.0) <= 1e-14


# ---- symmetry


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("model", [Softmax, Unnormalised])
@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("beta", [1e-3, 10.0, 240.0])
def test_uniform_density_does_not_move_itself(dim, model, score, beta):
    """By Funk–Hecke N is parallel to Bᵀx, so P_x V N vanishes for V = B⁻ᵀ up to a factor; V = B = I is one case."""
    space = make_space(dim)
    u = np.zeros(space.n_modal, complex)
    u[0] = 1.0 if dim == 2 else 1.0 / np.sqrt(4.0 * np.pi)
    B = orthogonal_scores(dim)[score]
    head = Head(np.linalg.inv(B.T), B, beta=beta)
    scale = 1.0 if model is Softmax else np.exp(beta * np.linalg.norm(B, 2))
    assert np.max(np.abs(model(head).on(space).velocity(u))) <= 2e-14 * scale


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("model", [Softmax, Unnormalised, Hardmax])
@pytest.mark.parametrize("determinant", [1, -1])
@pytest.mark.parametrize("general", [False, True])
def test_rotating_everything_rotates_the_flow(dim, model, determinant, general):
    space, u = make_space(dim), density_modal(dim)
    R = turn(dim, 2.0)
    R[:, 0] *= determinant
    V, B = value_matrix(dim), np.eye(dim) + 0.2 * SHEAR[:dim, :dim] if general else 0.8 * turn(dim, 0.3)
    here = ContinuityEquation(space, model(Head(V, B, beta=1.5)))
    there = ContinuityEquation(space, model(Head(R @ V @ R.T, R @ B @ R.T, beta=1.5)))
    expected = space.rotate(here.explicit_terms(u), R)
    found = there.explicit_terms(space.rotate(u, R))
    tolerance = 4e-13 if general and dim == 3 else 1e-13  # non-uniform transforms of a general B keep 13 digits of Z
    assert np.linalg.norm(found - expected) <= tolerance * np.linalg.norm(expected)


# ---- zero temperature


def zero_temperature(space, V, B):
    """P_x V ω with ω = Bᵀx/|Bᵀx|, node by node."""
    result = np.empty((space.dim - 1, *space.shape))
    for index in np.ndindex(*space.shape):
        w = B.T @ space.points[index]
        result[(slice(None), *index)] = space.tangent_frame[(slice(None), *index)] @ (V @ w / np.linalg.norm(w))
    return result


@pytest.mark.parametrize("dim", [2, 3])
def test_hardmax_formula(dim):
    space, u = make_space(dim), density_modal(dim)
    V, B = value_matrix(dim), SHEAR.T[:dim, :dim]
    field = Hardmax(Head(V, B)).on(space)
    expected = zero_temperature(space, V, B)
    assert relative(field.velocity(u), expected) <= 1e-14
    assert relative(field.flux(u), expected * space.to_nodal(u)) <= 1e-14
    assert field.source_degree == 0


@pytest.mark.parametrize(
    ("dim", "score"), [(2, "identity"), (2, "rotation"), (2, "general"), (3, "identity"), (3, "rotation")]
)
def test_softmax_tends_to_hardmax_like_one_over_beta(dim, score):
    """C4: β(v_β − v_∞) → P_x V[∇ log ρ(ω) − (d−1)/2 ω]/|Bᵀx|, with a remainder O(1/β)."""
    space, u = make_space(dim), density_modal(dim)
    B = {"identity": np.eye(dim), "rotation": 0.8 * turn(dim), "general": np.eye(dim) + 0.5 * SHEAR[:dim, :dim]}[score]
    V = value_matrix(dim)
    limit = Hardmax(Head(V, B)).on(space).velocity(u)
    w = space.points @ B
    size = np.linalg.norm(w, axis=-1, keepdims=True)
    omega = w / size
    slope = density_gradient_of_log(omega)
    slope -= np.sum(slope * omega, axis=-1, keepdims=True) * omega
    pull = (slope - 0.5 * (dim - 1) * omega) / size @ V.T
    correction = np.einsum("i...a,...a->i...", space.tangent_frame, pull)

    betas = np.array([200.0, 400.0, 800.0])
    velocities = [Softmax(Head(V, B, beta=beta)).on(space).velocity(u).copy() for beta in betas]
    first = [np.max(np.abs(v - limit)) for v in velocities]
    second = [np.max(np.abs(v - limit - correction / beta)) for v, beta in zip(velocities, betas, strict=True)]
    for coarse, fine in pairwise(first):
        assert np.log2(coarse / fine) == pytest.approx(1.0, abs=0.02)
    for coarse, fine in pairwise(second):
        assert np.log2(coarse / fine) == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("values", [(1.0, 0.0, 0.5), (1.0, 1e-14, 1.0)])
def test_hardmax_refuses_a_singular_score(dim, values):
    with pytest.raises(InputError, match="expected an invertible B"):
        Hardmax(Head(np.eye(dim), np.diag(values[:dim]))).on(make_space(dim))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_hardmax_refuses_the_zero_score():
    with pytest.raises(InputError, match="expected an invertible B"):
        Hardmax(Head(np.eye(2), np.zeros((2, 2)))).on(make_space(2))


# ---- bounds


@pytest.mark.parametrize(
    ("dim", "beta", "method"),
    [(dim, beta, "funk_hecke") for dim in (2, 3) for beta in (1e-3, 1.0, 60.0, 1e4)]
    + [(2, beta, "quadrature") for beta in (1e-3, 1.0, 60.0, 1e4)]
    + [(3, 1.0, "quadrature"), (3, 30.0, "quadrature")],
)
def test_mean_token_stays_in_the_ball_for_a_wild_density(dim, beta, method):
    space = make_space(dim)
    u = wild_modal(space)
    V = value_matrix(dim)
    field = Softmax(Head(V, beta=beta), method=method).on(space)
    for values in (field.velocity(u).copy(), field.flux(u) / np.max(np.abs(space.to_nodal(u)))):
        assert np.all(np.isfinite(values))
        assert np.max(np.linalg.norm(values, axis=0)) <= np.linalg.norm(V, 2) * (1.0 + 1e-14)
    if beta > 10.0:
        part = field._moments[0]
        assert part.partition.min() < 0.0 < part.partition.max()
        assert np.any(np.linalg.norm(part.first, axis=0) > np.abs(part.partition)), "the cap should have had work to do"


@pytest.mark.parametrize("dim", [2, 3])
def test_floor_acts_where_the_partition_is_lost_in_round_off(dim):
    """A point mass seen from afar: Z/max Z underflows past 1e-12, m is bounded and the near field untouched."""
    space = make_space(dim, 63)
    mean = np.eye(dim)[0]
    u = space.project(lambda x: np.exp(60.0 * (x @ mean - 1.0)))
    field = Softmax(Head(np.eye(dim), beta=60.0)).on(space)
    velocity = field.velocity(u)
    along = space.points @ mean
    partition = field._moments[0].partition
    assert partition.min() < 1e-12 * partition.max()
    assert np.all(np.linalg.norm(velocity, axis=0) <= 1.0)
    near = along > 0.7
    half = np.sqrt((1.0 + along[near]) / 2.0)
    kappa = 120.0 * half  # two equal concentrations add up as vectors
    length = ive(0.5 * dim, kappa) / ive(0.5 * dim - 1.0, kappa)
    speed = length * np.sqrt(1.0 - half**2)
    assert relative(np.linalg.norm(velocity, axis=0)[near], speed) <= 1e-10


@pytest.mark.parametrize("factor", [0.0, -1.0])
def test_density_without_positive_mass_gives_no_nan(factor):
    space, u = make_space(2), density_modal(2)
    assert np.all(np.isfinite(Softmax(Head(np.eye(2), beta=3.0)).on(space).velocity(factor * u)))


def test_a_broken_density_is_not_hidden():
    """Floor and cap must not turn a NaN into a number: the guards of a run look for it."""
    for dim in (2, 3):
        space = make_space(dim)
        u = density_modal(dim) * np.nan
        assert np.all(np.isnan(Softmax(Head(np.eye(dim))).on(space).flux(u)))


# ---- energy


def energy_heads(dim):
    S = np.diag([1.0, -0.4, 0.6])[:dim, :dim] + 0.2
    return {
        "V = B = I": [Head(np.eye(dim), beta=4.0)],
        "V = B = -I": [Head(-np.eye(dim), -np.eye(dim), beta=4.0)],
        "B = I": [Head(value_matrix(dim), beta=6.0)],
        "symmetric orthogonal B": [Head(value_matrix(dim), 0.7 * np.diag([1.0, -1.0, 1.0])[:dim, :dim], beta=6.0)],
        "V = B symmetric": [Head(S, S, beta=3.0)],
        "B symmetric": [Head(value_matrix(dim), S, beta=3.0)],
        "two heads": [Head(value_matrix(dim), beta=2.0), Head(np.eye(dim), S, beta=2.5)],
    }


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("model", [Softmax, Unnormalised])
@pytest.mark.parametrize("case", list(energy_heads(2)))
def test_dissipation_is_the_rate_of_change_of_the_energy(dim, model, case):
    """E is quadratic in ρ, so its central difference along ∂_tρ has no truncation error at any step."""
    space, u = make_space(dim), density_modal(dim)
    heads = energy_heads(dim)[case]
    equation = ContinuityEquation(space, model(heads, combine="mean"), damping=0.0)
    assert equation.field.has_energy
    rate = equation.explicit_terms(u)
    step = np.linalg.norm(u) / np.linalg.norm(rate)

    def budget(modal):
        return equation.field.budget(modal, space.to_nodal(modal))

    found = budget(u)
    slope = (budget(u + step * rate).energy - budget(u - step * rate).energy) / (2.0 * step)
    assert found.dissipation == pytest.approx(slope, rel=0.0, abs=1e-13 * found.energy / step)
    assert abs(found.dissipation) > 1e-3 * found.energy / step, "the rate should not be negligible"
    if case.startswith("V = B"):
        assert found.dissipation > 0.0


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("model", [Softmax, Unnormalised])
def test_energy_matches_its_double_integral(dim, model):
    space, u = make_space(dim), density_modal(dim)
    S = energy_heads(dim)["V = B symmetric"][0].B
    field = model(Head(np.eye(dim), S, beta=3.0)).on(space)
    y, weight = product_rule(dim, 24)
    mass = weight * density(y)
    expected = mass @ np.exp(3.0 * y @ S @ y.T) @ mass / 6.0
    found = field.budget(u, space.to_nodal(u)).energy * np.exp(field.energy_log_scale)
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("model", [Softmax, Unnormalised])
def test_speed_is_the_largest_velocity(dim, model):
    space, u = make_space(dim), density_modal(dim)
    for head in (Head(value_matrix(dim), beta=2.0), Head(np.eye(dim), turn(dim), beta=2.0)):
        field = model(head).on(space)
        expected = np.max(np.linalg.norm(field.velocity(u), axis=0))
        assert field.budget(u, space.to_nodal(u)).speed == pytest.approx(expected, rel=1e-14)
    hard = Hardmax(head).on(space)
    expected = np.max(np.linalg.norm(hard.velocity(u), axis=0))
    assert hard.budget(u, space.to_nodal(u)).speed == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("beta", [0.1, 5.0, 300.0, 1e4])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_energy_of_the_uniform_density(beta, scale):
    kappa = beta * scale
    mean_kernel = {2: ive(0, kappa), 3: -np.expm1(-2.0 * kappa) / (2.0 * kappa)}  # ∫e^{κ(⟨x,y⟩−1)} against uniform y
    for dim in (2, 3):
        space = make_space(dim)
        u = np.zeros(space.n_modal, complex)
        u[0] = 1.0 if dim == 2 else 1.0 / np.sqrt(4.0 * np.pi)
        field = Softmax(Head(np.eye(dim), scale * np.eye(dim), beta=beta)).on(space)
        assert field.energy_log_scale == pytest.approx(kappa, rel=1e-15)
        budget = field.budget(u, space.to_nodal(u))
        assert budget.energy == pytest.approx(mean_kernel[dim] / (2.0 * beta), rel=1e-13)
        assert abs(budget.dissipation) <= 1e-14 * budget.energy


@pytest.mark.parametrize("dim", [2, 3])
def test_no_energy_where_there_is_none(dim):
    space, u = make_space(dim), density_modal(dim)
    models = [
        Softmax(Head(np.eye(dim), turn(dim))),
        Unnormalised([Head(np.eye(dim)), Head(np.eye(dim), SHEAR[:dim, :dim])]),
        Hardmax(Head(np.eye(dim))),
    ]
    for model in models:
        field = model.on(space)
        budget = field.budget(u, space.to_nodal(u))
        assert not field.has_energy
        assert np.isnan(budget.energy)
        assert np.isnan(budget.dissipation)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("model", [Softmax, Unnormalised])
def test_budget_does_not_disturb_the_next_flux(dim, model):
    space, u = make_space(dim), density_modal(dim)
    field = model([Head(value_matrix(dim), beta=2.0), Head(np.eye(dim), beta=3.0)]).on(space)
    before = field.flux(u).copy()
    field.budget(2.0 * u, space.to_nodal(2.0 * u))
    np.testing.assert_array_equal(field.flux(u), before)


# ---- models as descriptions


def test_auto_takes_the_fast_path_where_it_can():
    space = make_space(3)
    heads = [Head(np.eye(3)), Head(np.eye(3), -2.0 * turn(3)), Head(np.eye(3), np.diag([1.0, 1.0, 0.5]))]
    kinds = [type(part) for part in Softmax(heads).on(space)._moments]
    assert kinds == [FunkHeckeMoments, FunkHeckeMoments, FactorMoments]
    assert {type(part) for part in Softmax(heads, method="quadrature").on(space)._moments} == {QuadratureMoments}


def test_sources_end_at_the_bandwidth_of_the_widest_kernel():
    heads = [Head(np.eye(3), beta=10.0), Head(np.eye(3), 3.0 * np.eye(3), beta=20.0)]
    space = make_space(3)
    assert Softmax(heads).on(space).source_degree == Softmax(heads[1]).on(space).source_degree == 68


def test_degrees_above_the_bandwidth_do_not_matter():
    space = make_space(2, 63)
    field = Softmax(Head(value_matrix(2), beta=4.0)).on(space)
    u = density_modal(2, 63)
    expected = field.velocity(u).copy()
    assert field.source_degree < 63
    np.testing.assert_array_equal(field.velocity(u + 0.5 * (space.degree > field.source_degree)), expected)
    assert relative(field.velocity(u + 0.5 * (space.degree == 3)), expected) > 1e-3


@pytest.mark.parametrize("model", [Softmax, Unnormalised, Hardmax])
def test_bad_options_are_refused(model):
    head = Head(np.eye(3))
    with pytest.raises(InputError, match="expected combine 'sum' or 'mean', got 'max'"):
        model([head, head], combine="max")
    with pytest.raises(InputError, match="expected method one of auto, funk_hecke, factors, quadrature, got 'fft'"):
        model(head, method="fft")
    with pytest.raises(InputError, match="expected at least one head"):
        model([])


def test_fast_path_refuses_other_scores():
    head = Head(np.eye(2), np.diag([1.0, 0.5]))
    with pytest.raises(InputError, match="method 'funk_hecke' needs B = s\\*O with O orthogonal"):
        Softmax(head, method="funk_hecke").on(make_space(2))


def test_unnormalised_attention_refuses_to_overflow():
    space = make_space(2)
    with pytest.raises(InputError, match=r"velocities reach e\^301; expected beta\*\|B\| <= 300"):
        Unnormalised(Head(np.eye(2), beta=301.0)).on(space)
    fast = Unnormalised(Head(np.eye(2), beta=300.0)).on(space).velocity(density_modal(2))
    assert np.all(np.isfinite(fast))
    assert np.max(np.abs(fast)) > 1e100


def test_models_are_found_by_name():
    for model in (Softmax, Unnormalised, Hardmax):
        assert attention_named(model.name) is model
    with pytest.raises((InputError, KeyError), match="sigmoid"):
        attention_named("sigmoid")


def test_configuration_lists_heads_and_their_combination():
    one, two = Head(np.eye(2), beta=3.0), Head(-np.eye(2), beta=4.0)
    assert Softmax(one).to_config() == {"attention": "softmax", "dim": 2} | one.to_config()
    several = Softmax([one, two], combine="mean").to_config()
    assert several == {"attention": "softmax", "dim": 2, "combine": "mean", "head": [one.to_config(), two.to_config()]}
    assert "beta" not in Hardmax(one).to_config()
    assert all("beta" not in table for table in Hardmax([one, two]).to_config()["head"])


def test_representation_shows_the_heads():
    one = Head(np.eye(2), beta=3.0)
    assert repr(Softmax(one)) == "Softmax(Head(V=I, B=I, beta=3))"
    assert repr(Unnormalised([one, one], combine="mean")) == f"Unnormalised(mean of {one!r}, {one!r})"


def test_limit_space_belongs_to_a_single_head():
    head = Head(np.diag([2.0, 1.0]), np.diag([1.0, 3.0]))
    space = Softmax(head).limit_space
    assert space is not None
    np.testing.assert_allclose(np.abs(space.basis[:, 0]), [0.0, 1.0], atol=1e-15)
    assert Softmax([head, head]).limit_space is None
