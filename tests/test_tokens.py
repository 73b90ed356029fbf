"""Interacting tokens against written-out sums, reduced equations, exact solutions and known distributions."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.special import iv

from spherepde import exact, tokens
from spherepde.errors import InputError, NumericalError
from spherepde.heads import Head

Array = NDArray[np.float64]

V3 = np.array([[1.0, 0.3, -0.2], [-0.4, 0.5, 0.6], [0.1, 0.2, -0.7]])


def unit(count: int, dim: int, seed: int = 3) -> Array:
    x = np.random.default_rng(seed).standard_normal((count, dim))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def project(x: Array, v: Array) -> Array:
    return v - x * np.sum(x * v, axis=1, keepdims=True)


def angles(points: Array) -> Array:
    return np.mod(np.arctan2(points[:, 1], points[:, 0]), 2.0 * np.pi)


def solve(rate: Callable[[float, Array], Array], start: float, times: Array) -> Array:
    return solve_ivp(rate, (0.0, times[-1]), [start], method="DOP853", t_eval=times, rtol=1e-12, atol=1e-13).y[0]


# --- the velocity


@pytest.mark.parametrize("combine", ["sum", "mean"])
@pytest.mark.parametrize("attention", ["softmax", "unnormalised", "hardmax"])
def test_velocity_is_the_sum_written_out(attention: str, combine: str) -> None:
    rng = np.random.default_rng(0)
    Q, K = rng.standard_normal((2, 2, 3))
    heads = [Head(V3, Q=Q, K=K, beta=2.0), Head(V3.T - 0.3, V3 @ V3, beta=1.3)]
    if attention == "hardmax":
        heads = [Head(V3, V3 + 2.0 * np.eye(3)), heads[1]]
    y, x, w = unit(7, 3), unit(5, 3, seed=4), rng.random(7)
    expected = np.zeros((5, 3))
    for i in range(5):
        for head in heads:
            if attention == "hardmax":
                inner = head.B.T @ x[i] / np.linalg.norm(head.B.T @ x[i])
            else:
                factors = [w[j] * np.exp(head.beta * x[i] @ head.B @ y[j]) for j in range(7)]
                inner = sum(factors[j] * y[j] for j in range(7))
                inner = inner / sum(factors) if attention == "softmax" else inner
            expected[i] += (np.eye(3) - np.outer(x[i], x[i])) @ head.V @ inner / (2 if combine == "mean" else 1)
    result = tokens.token_velocity(heads, y, w, attention, combine, targets=x)
    np.testing.assert_allclose(result, expected, rtol=1e-13, atol=1e-14)


def test_velocity_does_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    head, x, w = Head(V3, V3.T, beta=20.0), unit(301, 3), np.random.default_rng(1).random(301)
    results = []
    for block in (1, 1000, 10**9):
        monkeypatch.setattr(tokens.motion, "BLOCK", block)
        results.append([tokens.token_velocity(head, x, w, name) for name in ("softmax", "unnormalised")])
    for other in results[1:]:
        np.testing.assert_allclose(other[0], results[0][0], rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(other[1], results[0][1], rtol=1e-12)


def test_softmax_survives_low_temperature_and_tiny_weights() -> None:
    turn = 0.05
    near, far = np.array([np.cos(turn), np.sin(turn), 0.0]), np.array([-0.6, 0.0, 0.8])
    x = np.array([[1.0, 0.0, 0.0]])
    velocity = tokens.token_velocity(Head(np.eye(3), beta=1e5), [near, far], [1e-300, 1.0], targets=x)
    np.testing.assert_allclose(velocity, [[0.0, np.sin(turn), 0.0]], atol=1e-14)  # e^{-690} against e^{-159875}
    even = tokens.token_velocity(
        Head(np.eye(3), beta=400.0), [near, far], [np.exp(-400.0 * (near[0] + 0.6)), 1.0], targets=x
    )
    np.testing.assert_allclose(even, [[0.0, 0.5 * near[1], 0.4]], atol=1e-12)


def test_how_weights_enter() -> None:
    head, x, w = Head(V3, beta=3.0), unit(9, 3), np.random.default_rng(2).random(9)
    softmax, plain = tokens.token_velocity(head, x, w), tokens.token_velocity(head, x, w, "unnormalised")
    np.testing.assert_allclose(tokens.token_velocity(head, x, 7.0 * w), softmax, atol=1e-14)
    np.testing.assert_allclose(tokens.token_velocity(head, x, 7.0 * w, "unnormalised"), 7.0 * plain, rtol=1e-12)
    w[3:] = 0.0  # passive markers: as if absent from the sums
    for attention in ("softmax", "unnormalised"):
        expected = tokens.token_velocity(head, x[:3], w[:3], attention, targets=x)
        np.testing.assert_allclose(tokens.token_velocity(head, x, w, attention), expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("dim", "attention"), [(2, "softmax"), (3, "softmax"), (2, "unnormalised"), (3, "unnormalised")]
)
def test_perturbed_uniform_density_moves_at_the_linear_rate(dim: int, attention: str) -> None:
    beta, epsilon = 5.0, 1e-6
    x = unit(8, dim)
    for degree in (1, 2, 3):  # harmonic Re(x₀ + i x₁)^l: velocity γ/(l(l+d−2)) ε times its surface gradient
        points, weights = tokens.gauss_tokens(
            lambda p, k=degree: 1.0 + epsilon * ((p[:, 0] + 1j * p[:, 1]) ** k).real, 60, dim
        )
        velocity = tokens.token_velocity(
            Head(np.eye(dim), beta=beta), points, weights / weights.sum(), attention, targets=x
        )
        power = degree * (x[:, 0] + 1j * x[:, 1]) ** (degree - 1)
        gradient = np.zeros_like(x)
        gradient[:, 0], gradient[:, 1] = power.real, -power.imag
        rate = exact.growth_rate(dim, beta, degree, attention) / (degree * (degree + dim - 2))
        np.testing.assert_allclose(velocity / epsilon, rate * project(x, gradient), atol=1e-5 * float(rate))


def test_two_opposite_clusters_move_as_linearised() -> None:
    V, B, beta, p, h = np.diag([0.8, 1.1]), np.diag([0.9, 0.4]), 1.5, 0.7, 1e-4
    a = 1.0 / (1.0 + (1 - p) / p * np.exp(-2 * beta * 0.9))
    b = 1.0 / (1.0 + p / (1 - p) * np.exp(-2 * beta * 0.9))
    expected = 1.1 * np.array([[a, 1 - a], [1 - b, b]]) - 0.8 * np.diag([2 * a - 1, 2 * b - 1])
    jacobian = np.empty((2, 2))
    for j in range(2):
        shift = h * np.eye(2)[j]
        sides = []
        for sign in (1, -1):
            eta = sign * shift
            x = np.stack([np.array([1.0, -1.0]) * np.cos(eta), np.sin(eta)], axis=-1)
            sides.append(tokens.token_velocity(Head(V, B, beta=beta), x, [p, 1 - p])[:, 1])
        jacobian[:, j] = (sides[0] - sides[1]) / (2 * h)
    np.testing.assert_allclose(jacobian, expected, atol=1e-7)


# --- trajectories against reduced equations


def test_one_cluster_follows_the_power_flow_whatever_the_score() -> None:
    start, times = unit(1, 3), np.array([0.0, 0.7, 2.0])
    for head in (Head(V3, beta=1.0), Head(V3, V3.T - np.eye(3), beta=300.0)):
        path = tokens.simulate_tokens(head, np.repeat(start, 3, axis=0), times, rtol=1e-11, atol=1e-13)
        expected = exact.dirac_path(V3, start[0], times)
        np.testing.assert_allclose(path, np.repeat(expected[:, None], 3, axis=1), atol=1e-9)


@pytest.mark.parametrize("beta", [0.5, 4.0])
def test_two_clusters_follow_the_scalar_equation(beta: float) -> None:
    p, q, r0, times = 0.7, 0.3, -0.8, np.array([0.2, 0.5, 1.0])

    def softmax(_: float, r: Array) -> Array:
        e, f = np.exp(beta), np.exp(beta * r)
        return (1 - r**2) * (q * f / (p * e + q * f) + p * f / (q * e + p * f))

    def unnormalised(_: float, r: Array) -> Array:
        return (1 - r**2) * np.exp(beta * r)

    start = np.array([[1.0, 0.0, 0.0], [r0, 0.0, np.sqrt(1 - r0**2)]])
    for attention, rate in (("softmax", softmax), ("unnormalised", unnormalised)):
        path = tokens.simulate_tokens(Head(np.eye(3), beta=beta), start, times, [p, q], attention)
        np.testing.assert_allclose(np.sum(path[:, 0] * path[:, 1], axis=1), solve(rate, r0, times), atol=1e-8)


@pytest.mark.parametrize("attention", ["softmax", "unnormalised"])
def test_equiangular_tokens_follow_the_scalar_equation(attention: str) -> None:
    n, beta, r0, times = 5, 1.0, -0.2, np.array([0.0, 1.0, 3.0, 5.0])
    gram = (1 - r0) * np.eye(n) + r0
    values, vectors = np.linalg.eigh(gram)
    start = vectors * np.sqrt(values)  # rows of unit length with pairwise products r0

    def rate(_: float, r: Array) -> Array:
        if attention == "softmax":
            factor = 2 * np.exp(beta * r) / (np.exp(beta) + (n - 1) * np.exp(beta * r))
        else:
            factor = 2 / n * np.exp(beta * r)
        return factor * (1 - r) * ((n - 1) * r + 1)

    path = tokens.simulate_tokens(Head(np.eye(n), beta=beta), start, times, attention=attention)
    expected = solve(rate, r0, times)
    assert expected[-1] > 0.5
    for snapshot, r in zip(path, expected, strict=True):
        np.testing.assert_allclose((snapshot @ snapshot.T)[~np.eye(n, dtype=bool)], r, atol=1e-8)


def test_unnormalised_tokens_climb_the_energy_at_their_squared_speed() -> None:
    beta, x0, w = 3.0, unit(12, 3), np.full(12, 1 / 12)
    head = Head(np.eye(3), beta=beta)
    times = 0.3 + 0.003 * np.arange(-2, 3)
    path = tokens.simulate_tokens(head, x0, times, attention="unnormalised", rtol=1e-12, atol=1e-13)
    energy = [w @ np.exp(beta * x @ x.T) @ w / (2 * beta) for x in path]
    slope = (energy[0] - 8 * energy[1] + 8 * energy[3] - energy[4]) / 0.036
    speed = tokens.token_velocity(head, path[2], attention="unnormalised")
    assert slope == pytest.approx(float(w @ np.sum(speed**2, axis=1)), rel=1e-6)
    assert energy[-1] < exact.energy_dirac(beta)


# --- trajectories against exact densities


def test_hardmax_tokens_carry_the_exact_density() -> None:
    head = Head(V3, 1.7 * np.linalg.qr(V3)[0])

    def initial(x: Array) -> Array:
        return (1.0 + 0.5 * x[:, 0] * x[:, 1] + 0.3 * x[:, 2]) / (4.0 * np.pi)

    points, weights = tokens.gauss_tokens(initial, 60)
    moved = tokens.simulate_tokens(head, points, [0.8], weights, "hardmax")[-1]
    np.testing.assert_allclose(moved, exact.hardmax_flow(head, points, 0.8), atol=1e-8)
    later = tokens.gauss_tokens(lambda x: exact.hardmax_density(head, initial, 0.8, x), 60)
    for one, other in zip(tokens.moments(moved, weights), tokens.moments(*later), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-8)


def test_hot_tokens_follow_the_poisson_kernel_on_the_circle() -> None:
    start = tokens.circle_quantiles(lambda x: exact.poisson_kernel(x, [0.2, 0.0]), 600)
    times = np.array([1.0, 2.0, 4.0, 6.0])
    path = tokens.simulate_tokens(Head(np.eye(2), beta=1e-6), start, times)
    np.testing.assert_allclose(tokens.moments(path)[0][:, 0], [0.318965, 0.485183, 0.833456, 0.971520], atol=2e-6)


def test_hot_tokens_follow_the_poisson_kernel_on_the_sphere() -> None:
    axis, times = np.array([0.48, 0.6, -0.64]), np.array([0.5, 1.5])
    start, weights = tokens.gauss_tokens(lambda x: exact.poisson_kernel(x, 0.3 * axis), 40)
    for attention in ("softmax", "unnormalised"):
        path = tokens.simulate_tokens(Head(np.eye(3), beta=1e-6), start, times, weights, attention, rtol=1e-8)
        mean, _ = tokens.moments(path, weights)
        expected = exact.poisson_mean(3, exact.poisson_offset(3, 0.3, times))
        np.testing.assert_allclose(mean, expected[:, None] * axis, atol=3e-6)


def test_repelling_tokens_approach_the_heat_equation_at_first_order() -> None:
    coefficients, s = np.array([1.0, 0.3, 0.15 * np.exp(1j)]), 0.3

    def initial(x: Array) -> Array:
        return exact.heat_circle(coefficients, 0.0, np.arctan2(x[:, 1], x[:, 0]))

    start = tokens.circle_quantiles(initial, 160)
    assert tokens.moments(start)[0][0] == pytest.approx(0.3, abs=1e-3)
    errors = []
    for beta in (20.0, 40.0):
        head = Head(-np.eye(2), np.eye(2), beta=beta)
        mean = tokens.moments(tokens.simulate_tokens(head, start, [s * beta], rtol=1e-7, atol=1e-9))[0][0]
        errors.append(np.linalg.norm(mean - [0.3 * np.exp(-s), 0.0]))
    assert 1.7 < errors[0] / errors[1] < 2.4
    assert errors[1] < 0.02


# --- starts and moments


def test_quantiles_of_the_uniform_density_are_equally_spaced() -> None:
    points = tokens.circle_quantiles(lambda x: np.full(len(x), 7.0), 12)
    np.testing.assert_allclose(angles(points), 2.0 * np.pi * (np.arange(12) + 0.5) / 12, atol=1e-14)


@pytest.mark.parametrize("r", [0.3, 0.99])
def test_quantiles_of_the_poisson_kernel(r: float) -> None:
    points = tokens.circle_quantiles(lambda x: exact.poisson_kernel(x, [r, 0.0]), 101)
    mass = (np.arange(101) + 0.5) / 101
    expected = np.mod(2.0 * np.arctan((1 - r) / (1 + r) * np.tan(np.pi * mass)), 2.0 * np.pi)
    np.testing.assert_allclose(angles(points), expected, atol=1e-12 if r < 0.5 else 1e-11)


def test_quantiles_across_jumps_and_empty_arcs() -> None:
    def density(x: Array) -> Array:  # 3 on (0, 1), nothing on (1, 2), 1 from there on
        theta = angles(x)
        return np.where(theta < 1.0, 3.0, np.where(theta < 2.0, 0.0, 1.0))

    total = 3.0 + 2.0 * np.pi - 2.0
    wanted = total * (np.arange(40) + 0.5) / 40
    expected = np.where(wanted < 3.0, wanted / 3.0, wanted - 1.0)
    np.testing.assert_allclose(angles(tokens.circle_quantiles(density, 40)), expected, atol=1e-12)


def test_quantiles_of_a_narrow_peak_have_its_moments() -> None:
    kappa, direction = 1e4, np.array([0.6, 0.8])
    points = tokens.circle_quantiles(lambda x: np.exp(kappa * (x @ direction - 1.0)), 4000)
    spread = np.arctan2(points @ [-0.8, 0.6], points @ direction)
    assert np.abs(spread.mean()) < 1e-12
    assert np.sqrt(np.mean(spread**2)) == pytest.approx(0.01, rel=2e-3)


def test_sampled_tokens_have_the_moments_of_their_density() -> None:
    count, kappa = 20_000, 3.0
    for dim, mean in (
        (2, iv(1, kappa) / iv(0, kappa)),
        (3, 1 / np.tanh(kappa) - 1 / kappa),
        (4, iv(2, kappa) / iv(1, kappa)),
    ):
        x = tokens.sample_tokens(lambda p: 5.0 * np.exp(kappa * p[:, -1]), dim, count, seed=5)
        first, second = tokens.moments(x)
        np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1.0, atol=1e-14)
        np.testing.assert_allclose(first, [0.0] * (dim - 1) + [mean], atol=4.5 / np.sqrt(count))
        across = mean / kappa  # E x_i² for i ≠ axis, by parts
        np.testing.assert_allclose(np.diag(second)[:-1], across, atol=4.5 * across / np.sqrt(count) * 1.5)
    again = tokens.sample_tokens(lambda p: 1.0 + p[:, 0], 3, 50, seed=1)
    assert np.array_equal(again, tokens.sample_tokens(lambda p: 1.0 + p[:, 0], 3, 50, seed=1))
    assert not np.array_equal(again, tokens.sample_tokens(lambda p: 1.0 + p[:, 0], 3, 50, seed=2))


def test_sampling_raises_its_bound_when_a_peak_was_missed() -> None:
    def cap(x: Array) -> Array:
        return x[:, 2] > 0.98  # one hundredth of the area

    def spike(x: Array) -> Array:  # a third of the mass in the cap, kept from the 6000 pilot points and the search
        return 1.0 + 50.0 * (cap(x) & (len(x) > 6000))

    x = tokens.sample_tokens(spike, 3, 3000, seed=0)
    assert np.mean(cap(x)) == pytest.approx(51.0 / 150.0, abs=0.03)


def test_gauss_tokens_integrate_their_density() -> None:
    kappa = 4.0
    points, weights = tokens.gauss_tokens(lambda p: kappa / (4 * np.pi * np.sinh(kappa)) * np.exp(kappa * p[:, 1]), 50)
    mean, second = tokens.moments(points, weights)
    first = 1 / np.tanh(kappa) - 1 / kappa
    assert weights.sum() == pytest.approx(1.0, rel=1e-13)
    np.testing.assert_allclose(mean, [0.0, first, 0.0], atol=1e-13)
    np.testing.assert_allclose(second, np.diag([first / kappa, 1 - 2 * first / kappa, first / kappa]), atol=1e-13)


def test_moments_keep_the_axis_of_time() -> None:
    path = tokens.simulate_tokens(Head(V3), unit(6, 3), [0.0, 0.4], np.arange(6.0))
    mean, second = tokens.moments(path, np.arange(6.0))
    assert mean.shape == (2, 3) and second.shape == (2, 3, 3)
    np.testing.assert_allclose(second[1], sum(j * np.outer(path[1, j], path[1, j]) for j in range(6)), rtol=1e-13)
    np.testing.assert_allclose(mean[1], sum(j * path[1, j] for j in range(6)), rtol=1e-13)


def test_trajectories_start_where_told_and_stay_on_the_sphere() -> None:
    x = unit(6, 3)
    path = tokens.simulate_tokens(Head(V3, beta=9.0), x, [0.0, 5.0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(path[0], x, atol=1e-15)
    np.testing.assert_allclose(np.linalg.norm(path, axis=2), 1.0, atol=1e-15)
    np.testing.assert_allclose(tokens.simulate_tokens(Head(V3), x, [0.0]), x[None], atol=1e-15)


# --- refusals


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("attention", lambda x: tokens.token_velocity(Head(V3), x, attention="linear")),
        ("combine", lambda x: tokens.token_velocity(Head(V3), x, combine="max")),
        ("shape", lambda x: tokens.token_velocity(Head(V3), x[:, :2])),
        ("shape", lambda x: tokens.token_velocity(Head(V3), x[:0])),
        ("unit vectors", lambda x: tokens.token_velocity(Head(V3), 1.001 * x)),
        ("unit vectors", lambda x: tokens.token_velocity(Head(V3), np.full((2, 3), np.nan))),
        ("targets", lambda x: tokens.token_velocity(Head(V3), x, targets=2.0 * x)),
        ("weights", lambda x: tokens.token_velocity(Head(V3), x, [1.0, 1.0])),
        ("weights", lambda x: tokens.token_velocity(Head(V3), x, [1.0, 1.0, 1.0, -1e-9])),
        ("weights", lambda x: tokens.token_velocity(Head(V3), x, np.zeros(4))),
        ("overflows", lambda x: tokens.token_velocity(Head(V3, beta=601.0), x, attention="unnormalised")),
        (
            "overflows",
            lambda x: tokens.simulate_tokens(Head(V3, 7 * np.eye(3), beta=90.0), x, [1.0], None, "unnormalised"),
        ),
        ("kernel", lambda x: tokens.token_velocity(Head(V3, np.diag([1, 1, 0])), np.eye(3), attention="hardmax")),
        ("times", lambda x: tokens.simulate_tokens(Head(V3), x, [0.0, 1.0, 1.0])),
        ("times", lambda x: tokens.simulate_tokens(Head(V3), x, [-1.0, 1.0])),
        ("times", lambda x: tokens.simulate_tokens(Head(V3), x, [])),
        ("times", lambda x: tokens.simulate_tokens(Head(V3), x, [np.inf])),
        ("moments", lambda x: tokens.moments(x[0])),
        ("initial density", lambda x: tokens.circle_quantiles(lambda p: p[:, 0], 5)),
        ("initial density", lambda x: tokens.gauss_tokens(lambda p: p, 5)),
        ("initial density", lambda x: tokens.sample_tokens(lambda p: np.full(len(p), np.inf), 3, 5, 0)),
        ("zero everywhere", lambda x: tokens.circle_quantiles(lambda p: np.zeros(len(p)), 5)),
        ("count", lambda x: tokens.circle_quantiles(lambda p: np.ones(len(p)), 0)),
        ("count", lambda x: tokens.sample_tokens(lambda p: np.ones(len(p)), 3, 0, 0)),
        ("zero, or too", lambda x: tokens.sample_tokens(lambda p: np.zeros(len(p)), 3, 5, 0)),
        ("too concentrated", lambda x: tokens.sample_tokens(lambda p: np.exp(1e8 * (p[:, 0] - 1.0)), 3, 5, 0)),
        ("quadrature", lambda x: tokens.gauss_tokens(lambda p: np.ones(len(p)), 5, dim=4)),
    ],
)
def test_refusals_name_what_is_wrong(message: str, call: Callable[[Array], object]) -> None:
    with pytest.raises(InputError, match=message):
        call(unit(4, 3))


def test_failed_integrations_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = SimpleNamespace(success=False, message="step too small", t=np.array([0.0]))
    monkeypatch.setattr(tokens.motion, "solve_ivp", lambda *_, **__: failed)
    monkeypatch.setattr(exact, "solve_ivp", lambda *_, **__: failed)
    with pytest.raises(NumericalError, match="step too small"):
        tokens.simulate_tokens(Head(V3), unit(4, 3), [1.0])
    with pytest.raises(NumericalError, match="step too small"):
        exact.poisson_offset(3, 0.2, 1.0)
