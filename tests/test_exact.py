"""The closed forms against quadrature, finite differences, independent integrators and published numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.special import gamma, iv

from spherepde import exact
from spherepde.errors import InputError
from spherepde.heads import Head
from spherepde.quadrature import sphere_rule

Array = NDArray[np.float64]

V3 = np.array([[1.0, 0.3, -0.2], [-0.4, 0.5, 0.6], [0.1, 0.2, -0.7]])
B3 = 1.7 * np.linalg.qr(np.array([[1.0, 2.0, 0.5], [-1.0, 0.3, 2.0], [0.4, -0.6, 1.0]]))[0]


def unit(count: int, dim: int, seed: int = 3) -> Array:
    x = np.random.default_rng(seed).standard_normal((count, dim))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def bumpy(x: Array) -> Array:
    """A smooth positive density of mass 1 on the circle or the 2-sphere, without symmetry."""
    area = 2.0 * np.pi if x.shape[1] == 2 else 4.0 * np.pi
    return (1.0 + 0.5 * x[:, 0] * x[:, 1] + 0.3 * x[:, -1]) / area


def divergence(field: Callable[[Array], Array], x: Array, h: float = 2e-3) -> Array:
    """Surface divergence of a tangential field, extended as constant along rays: fourth-order differences."""
    total = np.zeros(len(x))
    for axis, direction in enumerate(np.eye(x.shape[1])):
        for shift, weight in ((-2, 1), (-1, -8), (1, 8), (2, -1)):
            y = x + shift * h * direction
            total += weight * field(y / np.linalg.norm(y, axis=1, keepdims=True))[:, axis] / (12.0 * h)
    return total


def time_derivative(function: Callable[[float], Array], t: float, h: float = 2e-3) -> Array:
    return (function(t - 2 * h) - 8 * function(t - h) + 8 * function(t + h) - function(t + 2 * h)) / (12 * h)


def project(x: Array, v: Array) -> Array:
    return v - x * np.sum(x * v, axis=1, keepdims=True)


# --- hardmax (C1, C2)


@pytest.mark.parametrize("dim", [2, 3])
def test_hardmax_density_keeps_mass_one(dim: int) -> None:
    head = Head(V3[:dim, :dim], 0.6 * np.linalg.qr(B3[:dim, :dim])[0])
    points, weights = sphere_rule(dim, 120)
    moved = exact.hardmax_density(head, bumpy, 0.7, points)
    assert weights @ moved == pytest.approx(1.0, abs=1e-12)
    assert np.abs(moved - bumpy(points)).max() > 0.05


@pytest.mark.parametrize("dim", [2, 3])
def test_hardmax_density_solves_the_continuity_equation(dim: int) -> None:
    head, x = Head(V3[:dim, :dim], 0.6 * np.linalg.qr(B3[:dim, :dim])[0]), unit(20, dim)

    def flux(y: Array) -> Array:
        velocity = project(y, y @ head.A.T) / np.linalg.norm(y @ head.B, axis=1, keepdims=True)
        return exact.hardmax_density(head, bumpy, 0.5, y)[:, None] * velocity

    change = time_derivative(lambda t: exact.hardmax_density(head, bumpy, t, x), 0.5)
    assert np.abs(change).max() > 0.1
    np.testing.assert_allclose(change + divergence(flux, x), 0.0, atol=1e-8)


@pytest.mark.parametrize("V", [V3, V3 + V3.T], ids=["general", "symmetric"])
def test_hardmax_flow_follows_its_differential_equation(V: Array) -> None:
    head, x = Head(V, B3), unit(6, 3)

    def rate(_: float, state: Array) -> Array:
        y = state.reshape(x.shape)
        return (project(y, y @ head.A.T) / np.linalg.norm(y @ head.B, axis=1, keepdims=True)).ravel()

    path = solve_ivp(rate, (0.0, 1.3), x.ravel(), method="DOP853", rtol=1e-12, atol=1e-13)
    image = exact.hardmax_flow(head, x, 1.3)
    np.testing.assert_allclose(image, path.y[:, -1].reshape(x.shape), atol=1e-10)
    np.testing.assert_allclose(exact.hardmax_flow(head, image, -1.3), x, atol=1e-13)


def test_hardmax_density_on_the_circle_is_the_angular_gaussian() -> None:
    theta, t, gap = np.linspace(0.0, 6.0, 50), 2.0, 1.4
    stretch = np.exp(gap * t)
    expected = stretch / (np.cos(theta) ** 2 + stretch**2 * np.sin(theta) ** 2) / (2.0 * np.pi)
    points = np.stack([np.cos(theta), np.sin(theta)], axis=-1)
    head = Head(np.diag([1.0, -0.4]), 2.0 * np.eye(2))  # A/s = V
    uniform = exact.hardmax_density(head, lambda x: np.full(len(x), 0.5 / np.pi), t, points)
    np.testing.assert_allclose(uniform, expected, rtol=1e-12)


def test_hardmax_distance_to_the_eigenspace_falls_at_the_known_rate() -> None:
    theta = 2.0 * np.pi * (np.arange(60_000) + 0.5) / 60_000
    x = exact.hardmax_flow(Head(np.diag([0.5, -0.5])), np.stack([np.cos(theta), np.sin(theta)], axis=-1), 7.0)
    assert np.mean(2.0 * (1.0 - np.abs(x[:, 0]))) == pytest.approx(4.0 / np.pi * np.exp(-7.0), rel=5e-3)


@pytest.mark.parametrize("B", [np.diag([1.0, 2.0]), np.zeros((2, 2))])
def test_hardmax_refuses_other_score_matrices(B: Array) -> None:
    with pytest.raises(InputError, match="s·O"):
        exact.hardmax_density(Head(np.eye(2), B), bumpy, 1.0, unit(4, 2))


def test_hardmax_refuses_bad_points_times_and_densities() -> None:
    head = Head(np.diag([1.0, 0.5]))
    with pytest.raises(InputError, match="unit vectors"):
        exact.hardmax_flow(head, 1.01 * unit(4, 2), 1.0)
    with pytest.raises(InputError, match="unit vectors"):
        exact.hardmax_flow(head, unit(4, 3), 1.0)
    with pytest.raises(InputError, match="range of floats"):
        exact.hardmax_flow(head, unit(4, 2), 1e5)
    with pytest.raises(InputError, match="initial density"):
        exact.hardmax_density(head, lambda x: x, 1.0, unit(4, 2))


# --- β → 0 (C17, C18)


def test_poisson_radius_matches_published_values() -> None:
    values = exact.poisson_radius(0.2, np.array([0.0, 1.0, 2.0, 4.0, 6.0, 10.0]))
    np.testing.assert_allclose(values, [0.2, 0.318965, 0.485183, 0.833456, 0.971520, 0.999456], atol=6e-7)


def test_poisson_mean_matches_published_values_and_its_closed_form() -> None:
    np.testing.assert_allclose(exact.poisson_mean(3, [0.1, 0.5, 0.9]), [0.133066, 0.632031, 0.972749], atol=6e-7)
    w = np.linspace(0.2, 0.999, 9)
    closed = (1 + w**2) / (2 * w) - (1 - w**2) ** 2 / (4 * w**2) * np.log((1 + w) / (1 - w))
    np.testing.assert_allclose(exact.poisson_mean(3, w), closed, rtol=1e-14)
    np.testing.assert_allclose(exact.poisson_mean(2, w), w, rtol=1e-15)
    np.testing.assert_allclose(
        exact.poisson_mean(3, -1e-9), -4e-9 / 3, rtol=1e-15
    )  # where the closed form has no digit


@pytest.mark.parametrize("dim", [2, 3, 4, 6, 9])
def test_poisson_kernel_has_mass_one_and_the_stated_mean(dim: int) -> None:
    nodes, gauss = np.polynomial.legendre.leggauss(300)
    angle = 0.5 * np.pi * (nodes + 1.0)  # from the axis; both signs of the second coordinate weigh the same
    points = np.zeros((300, dim))
    points[:, 0], points[:, 1] = np.cos(angle), np.sin(angle)
    shell = 2.0 * np.pi ** ((dim - 1) / 2) / gamma((dim - 1) / 2)  # area of S^{d-2}
    measure = 0.5 * np.pi * gauss * shell * np.sin(angle) ** (dim - 2)
    density = exact.poisson_kernel(points, 0.8 * np.eye(dim)[0])
    assert measure @ density == pytest.approx(1.0, rel=1e-12)
    assert measure @ (density * points[:, 0]) == pytest.approx(float(exact.poisson_mean(dim, 0.8)), rel=1e-12)


def test_circle_kernel_is_the_general_one_and_has_mean_r() -> None:
    theta = np.linspace(0.0, 2.0 * np.pi, 256, endpoint=False)
    points = np.stack([np.cos(theta), np.sin(theta)], axis=-1)
    for r in (0.7, -0.7):
        density = exact.poisson_kernel_circle(r, theta)
        np.testing.assert_allclose(density, exact.poisson_kernel(points, [r, 0.0]), rtol=1e-13)
        np.testing.assert_allclose(2.0 * np.pi / 256 * density @ points, [r, 0.0], atol=1e-13)


def test_offset_on_the_circle_is_the_radius() -> None:
    t = np.array([[-2.0, 0.0, 0.5], [3.0, 8.0, 12.0]])
    for start in (1e-6, 0.2, 0.9, -0.4):
        expected = exact.poisson_radius(start, t)
        np.testing.assert_allclose(exact.poisson_offset(2, start, t), expected, rtol=1e-12)
    assert np.all(exact.poisson_offset(4, 0.0, t) == 0.0)


def test_offset_solves_its_equation_in_higher_dimension() -> None:
    for dim in (3, 5):
        w = exact.poisson_offset(dim, 0.3, 1.2)
        slope = time_derivative(lambda t, d=dim: exact.poisson_offset(d, 0.3, t), 1.2, 1e-2)
        closed = 0.5 * (1.0 - w**2) * exact.poisson_mean(dim, w)
        assert slope == pytest.approx(float(closed), rel=1e-8)
        assert exact.poisson_offset(dim, float(w), -1.2) == pytest.approx(0.3, rel=1e-12)


@pytest.mark.parametrize("dim", [2, 3, 4])
def test_moving_poisson_kernel_solves_the_continuity_equation(dim: int) -> None:
    axis = unit(1, dim, seed=8)[0]
    x, t = unit(20, dim), 0.9

    def density(time: float, y: Array) -> Array:
        return exact.poisson_kernel(y, float(exact.poisson_offset(dim, 0.3, time)) * axis)

    mean = float(exact.poisson_mean(dim, exact.poisson_offset(dim, 0.3, t))) * axis

    def flux(y: Array) -> Array:
        return density(t, y)[:, None] * project(y, np.broadcast_to(mean, y.shape))

    change = time_derivative(lambda time: density(time, x), t)
    assert np.abs(change).max() > 0.01
    np.testing.assert_allclose(change + divergence(flux, x), 0.0, atol=1e-8)


def test_poisson_refuses_what_is_not_a_kernel() -> None:
    for call in (
        lambda: exact.poisson_radius(1.0, 0.0),
        lambda: exact.poisson_kernel_circle(-1.2, 0.0),
        lambda: exact.poisson_offset(3, float("nan"), 1.0),
        lambda: exact.poisson_mean(3, [0.5, 1.0]),
        lambda: exact.poisson_mean(1, 0.5),
        lambda: exact.poisson_kernel(unit(3, 3), [0.0, 0.0, 1.0]),
        lambda: exact.poisson_kernel(unit(3, 2), [0.0, 0.0, 0.5]),
    ):
        with pytest.raises(InputError):
            call()


# --- growth rates (C8, C12, C13, C37)

RATES = [
    (2, 5, "unnormalised", [4.8671284, 14.004492, 18.59607, 16.346351, 10.789873, 5.7044568, 2.5135916]),
    (2, 5, "softmax", [0.17867663, 0.5141174, 0.68267833, 0.60008914, 0.39610586, 0.2094157, 0.092276192]),
    (2, 7, "unnormalised", [22.291299, 70.863606, 109.51134, 116.58, 96.019594, 64.77898, 37.047452]),
    (2, 7, "softmax", [0.13221889, 0.42032127, 0.64955692, 0.69148406, 0.56953181]),
    (2, 1, "unnormalised", [0.5651591, 0.54299068, 0.19951582]),
    (2, 1, "softmax", [0.44638997, 0.42888027, 0.15758724]),
    (3, 1, "unnormalised", [0.73575888, 0.42937722, 0.12078109]),
    (3, 1, "softmax", [0.62607057, 0.36536486, 0.10277482]),
    (3, 5, "unnormalised", [4.7495445, 9.2595904, 9.9780862, 7.5831001, 4.4708452]),
    (3, 5, "softmax", [0.32003632, 0.62393462, 0.67234869, 0.51096847, 0.30125686]),
    (3, 10, "unnormalised", [198.23819, 482.3796, 707.04956, 783.04085, 710.51875]),
    (3, 10, "softmax", [0.18, 0.438, 0.642, 0.711, 0.64515]),
]


@pytest.mark.parametrize(("dim", "beta", "attention", "expected"), RATES)
def test_growth_rates_match_the_published_table(dim: int, beta: float, attention: str, expected: list[float]) -> None:
    rates = exact.growth_rate(dim, beta, np.arange(len(expected) + 1), attention)
    assert rates[0] == 0.0
    np.testing.assert_allclose(rates[1:], expected, rtol=1e-7 if 0.18 not in expected else 1e-6)


@pytest.mark.parametrize(
    ("dim", "switches"),
    [
        (2, [1.0445, 3.1654, 6.2113, 10.2285, 15.2363, 21.2405, 28.243, 36.2446]),
        (3, [1.8162, 4.4253, 7.9624, 12.4774, 17.9849, 24.4891, 31.9918, 40.4936]),
        (4, [2.5285, 5.6558, 9.6988, 14.7176]),
    ],
)
def test_fastest_degree_switches_where_published(dim: int, switches: list[float]) -> None:
    for k, beta in enumerate(switches, start=1):
        for attention in ("softmax", "unnormalised"):
            before = exact.growth_rate(dim, beta - 1e-4, np.arange(30), attention)
            after = exact.growth_rate(dim, beta + 1e-4, np.arange(30), attention)
            assert (int(np.argmax(before)), int(np.argmax(after))) == (k, k + 1)


@pytest.mark.parametrize(("dim", "beta"), [(2, 2.446918), (3, 1.816155), (4, 6.0)])
def test_diffusion_stabilises_degree_one_at_the_published_threshold(dim: int, beta: float) -> None:
    threshold = beta ** (dim / 2) / (2 ** (dim / 2) * gamma(dim / 2) * iv(dim / 2, beta))
    diffusion = 1.0 / (2.0 * threshold)
    assert exact.growth_rate(dim, beta, 1, "unnormalised", diffusion) == pytest.approx(0.0, abs=1e-12)
    slower = exact.growth_rate(dim, beta, 2, "softmax", 0.3)
    free = exact.growth_rate(dim, beta, 2, "softmax")
    assert free - slower == pytest.approx(0.3 * 2 * dim, rel=1e-14)


def test_growth_rate_at_low_temperature_tends_to_backward_heat() -> None:
    degree = np.array([1, 2, 5])
    for beta in (1e3, 1e5):
        heat = -np.log(exact.heat_decay(3, degree, 1.0 / beta))
        rate = exact.growth_rate(3, beta, degree, "softmax")
        np.testing.assert_allclose(rate / heat, 1.0 - degree * (degree + 1) / (2.0 * beta), atol=300 / beta**2)
    assert exact.growth_rate(3, 1e5, np.arange(900), "softmax").max() == pytest.approx(2.0 / np.e, abs=1e-4)


def test_growth_rate_and_energy_refuse_bad_input() -> None:
    for call in (
        lambda: exact.growth_rate(3, 1.0, 1, "hardmax"),
        lambda: exact.growth_rate(1, 1.0, 1, "softmax"),
        lambda: exact.growth_rate(3, 0.0, 1, "softmax"),
        lambda: exact.growth_rate(3, 700.0, 1, "unnormalised"),
        lambda: exact.growth_rate(3, 1.0, -1, "softmax"),
        lambda: exact.growth_rate(600, 1e-3, 1, "softmax"),
        lambda: exact.energy_uniform(3, 700.0),
        lambda: exact.energy_dirac(-1.0),
        lambda: exact.energy_antipodal_pair(float("inf"), scaled=True),
        lambda: exact.heat_decay(1, 1, 1.0),
        lambda: exact.heat_circle(np.eye(2), 1.0, 0.0),
    ):
        with pytest.raises(InputError):
            call()


# --- energies (C15)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("beta", [0.01, 3.0, 40.0])
def test_energy_of_the_uniform_density_by_quadrature(dim: int, beta: float) -> None:
    points, weights = sphere_rule(dim, 140)
    integral = weights @ np.exp(beta * (points[:, -1] - 1.0)) / weights.sum() / (2.0 * beta)
    assert exact.energy_uniform(dim, beta, scaled=True) == pytest.approx(integral, rel=1e-12)
    assert exact.energy_uniform(dim, beta) == pytest.approx(integral * np.exp(beta), rel=1e-12)


def test_energies_at_low_temperature_and_in_order() -> None:
    beta = 1e4
    assert exact.energy_uniform(3, beta, scaled=True) == pytest.approx(1.0 / (4.0 * beta**2), rel=1e-13)
    assert exact.energy_uniform(5, 600.0, True) == pytest.approx(exact.energy_uniform(5, 600.001, True), rel=1e-5)
    assert exact.energy_dirac(2.0) == pytest.approx(np.exp(2.0) / 4.0, rel=1e-15)
    assert exact.energy_antipodal_pair(2.0) == pytest.approx(np.cosh(2.0) / 4.0, rel=1e-15)
    assert exact.energy_antipodal_pair(beta, scaled=True) == pytest.approx(0.25 / beta, rel=1e-15)
    for beta in (0.5, 50.0):
        assert exact.energy_uniform(4, beta) < exact.energy_antipodal_pair(beta) < exact.energy_dirac(beta)


# --- heat (C8) and collapsed clusters (C6)


def test_heat_on_the_circle_widens_a_wrapped_normal() -> None:
    k, theta, t = np.arange(60), np.linspace(-3.0, 9.0, 40), 0.07

    def wrapped(variance: float) -> Array:
        images = theta[:, None] - 1.0 - 2.0 * np.pi * np.arange(-4, 7)
        return np.exp(-(images**2) / (2.0 * variance)).sum(axis=1) / np.sqrt(2.0 * np.pi * variance)

    coefficients = np.exp(-1j * k - 0.5 * 0.1 * k**2)  # mean 1, variance 0.1
    np.testing.assert_allclose(exact.heat_circle(coefficients, 0.0, theta), wrapped(0.1), atol=1e-13)
    np.testing.assert_allclose(exact.heat_circle(coefficients, t, theta, 1.5), wrapped(0.1 + 3.0 * t), atol=1e-13)


def test_heat_decay_is_that_of_spherical_harmonics() -> None:
    factors = exact.heat_decay(3, [[0], [1], [4]], [0.1, 0.2], diffusion=2.0)
    np.testing.assert_allclose(factors, np.exp(-np.outer([0.0, 2.0, 20.0], [0.2, 0.4])), rtol=1e-15)


@pytest.mark.parametrize("V", [V3, V3 + V3.T], ids=["general", "symmetric"])
def test_cluster_path_follows_its_differential_equation(V: Array) -> None:
    start, times = unit(1, 3)[0], np.array([0.0, 0.8, 2.5])
    rhs = lambda _, x: V @ x - x * (x @ V @ x)  # noqa: E731
    path = solve_ivp(rhs, (0.0, 2.5), start, method="DOP853", t_eval=times, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(exact.dirac_path(V, start, times), path.y.T, atol=1e-9)


def test_cluster_ends_on_the_top_eigenvector() -> None:
    V = np.diag([1.0, 2.5, -40.0])
    end = exact.dirac_path(V, np.array([0.6, -0.48, 0.64]), 4.0)
    assert end.shape == (3,)
    np.testing.assert_allclose(end[0] / end[1], 0.6 / -0.48 * np.exp(-6.0), rtol=1e-13)
    with pytest.raises(InputError, match="unit vectors"):
        exact.dirac_path(V, np.eye(3), 1.0)
    with pytest.raises(InputError, match="square"):
        exact.dirac_path(np.ones((2, 3)), np.array([1.0, 0.0]), 1.0)
