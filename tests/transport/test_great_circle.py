"""Distances to a density on a great circle: exact values, optimal plans built by hand, and an independent solver."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from physics_helpers import bounded, number, orders
from scipy.integrate import quad
from scipy.spatial.transform import Rotation
from scipy.special import ive

from spherepde import exact
from spherepde.errors import InputError
from spherepde.heads import Head
from spherepde.quadrature import gauss_legendre
from spherepde.transport.costs import Cost
from spherepde.transport.great_circle import GreatCircle, wasserstein_great_circle
from spherepde.transport.projection import project_to_plane

Array = NDArray[np.float64]
Modal = NDArray[np.complex128]
PLANE = np.eye(3)[:, :2]
COSTS = [Cost(p, ground) for p in (1.0, 2.0) for ground in ("geodesic", "chordal")]  # type: ignore[arg-type]


def uniform(x: Array) -> Array:
    return np.full(len(x), 1.0 / (4.0 * np.pi))


def lumpy(x: Array) -> Array:
    return (1.0 + 0.4 * x[:, 0] + 0.5 * x[:, 0] * x[:, 1] + 0.3 * x[:, 2]) / (4.0 * np.pi)


def rotated(coefficients: Modal, angle: float) -> Modal:
    return np.asarray(coefficients * np.exp(-1j * angle * np.arange(coefficients.size)))


def fine_grid(latitudes: int, longitudes: int) -> tuple[Array, Array, Array, Array]:
    """Latitude, longitude, weight and unit vector of a Gauss–Legendre grid in λ over either half of (−π/2, π/2)."""
    theta, weight = gauss_legendre(latitudes // 2)
    lam = np.concatenate([0.25 * np.pi * (np.cos(theta) + s) for s in (-1.0, 1.0)])
    weight = 0.5 * np.tile(weight, 2)
    phi = 2.0 * np.pi * (np.arange(longitudes) + 0.37) / longitudes
    L, P = np.meshgrid(lam, phi, indexing="ij")
    w = np.repeat(0.5 * np.pi * weight * np.cos(lam), longitudes) * (2.0 * np.pi / longitudes)
    x = np.stack([np.cos(L) * np.cos(P), np.cos(L) * np.sin(P), np.sin(L)], axis=-1)
    return L.ravel(), P.ravel(), w, x.reshape(-1, 3)


# --- the nearest-point plan


@pytest.mark.parametrize(
    ("cost", "power"),
    [
        (Cost(2.0, "geodesic"), np.pi**2 / 4.0 - 2.0),
        (Cost(2.0, "chordal"), 2.0 - 0.5 * np.pi),
        (Cost(1.0, "geodesic"), 0.5 * np.pi - 1.0),
        (Cost(1.0, "chordal"), 8.0 / 3.0 * np.sqrt(0.5) - 4.0 / 3.0),
    ],
    ids=str,
)
def test_uniform_to_the_uniform_circle(cost: Cost, power: float) -> None:
    result = wasserstein_great_circle(uniform, PLANE, [1.0], cost, 32)
    number(f"uniform to great circle, {cost}", result.value**cost.p, power, atol=2e-15)
    bounded(f"gap, {cost}", result.gap, 5e-15)
    assert result.converged and result.iterations == 0


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_projected_density_costs_the_distance_to_the_plane(cost: Cost) -> None:
    turn = Rotation.from_rotvec([0.3, 0.9, -0.5]).as_matrix()
    target = project_to_plane(lumpy, turn[:, :2]).coefficients
    result = wasserstein_great_circle(lumpy, turn[:, :2], target, cost, 32)
    theta, w = gauss_legendre(1000)
    lam = 0.25 * np.pi * (1.0 - np.cos(theta))
    w = 0.25 * np.pi * w * np.cos(lam)
    phi = 2.0 * np.pi * np.arange(8) / 8
    ring = np.stack([np.cos(phi), np.sin(phi)], axis=-1) @ turn[:, :2].T
    both = [np.cos(lam)[:, None, None] * ring + s * np.sin(lam)[:, None, None] * turn[:, 2] for s in (1.0, -1.0)]
    law = sum(lumpy(b.reshape(-1, 3)).reshape(b.shape[:2]).mean(axis=1) for b in both) * 2.0 * np.pi
    distance = lam if cost.ground == "geodesic" else 2.0 * np.sin(0.5 * lam)
    number(f"distance to the plane, {cost}", result.value**cost.p, float(w @ (law * distance**cost.p)), atol=5e-15)
    bounded(f"gap, {cost}", result.gap, 2e-13)


def test_rate_on_the_great_circle() -> None:
    """C2: W2² = ∫ arctan(ε tan λ)² cos λ dλ → ε²(ln(1/ε) − 0.04); ε = e^(−8), u = sin λ."""
    epsilon = np.exp(-8.0)
    head = Head(np.diag([1.0, 1.0, 0.0]))

    def density(x):
        return exact.hardmax_density(head, uniform, 8.0, x)

    result = wasserstein_great_circle(density, PLANE, [1.0], Cost(2.0), 24, width=0.3 * epsilon)

    def integrand(u):
        return np.arctan2(epsilon * u, np.sqrt((1.0 - u) * (1.0 + u))) ** 2

    points = [1.0 - epsilon**2 * 10.0**k for k in range(-2, 7)]
    truth = quad(integrand, 0.0, 1.0, points=points, epsabs=0.0, epsrel=1e-12, limit=400)[0]
    number("W2² at gap·t = 8 by its integral", result.value**2, truth, rtol=1e-10)
    number("W2²/ε² against ln(1/ε) − 0.04", truth / epsilon**2, 8.0 - 0.04, atol=0.01)

    def skew(x):
        return exact.hardmax_density(head, lumpy, 8.0, x)

    target = project_to_plane(lumpy, PLANE).coefficients
    skewed = wasserstein_great_circle(skew, PLANE, target, Cost(2.0), 24, width=0.3 * epsilon)
    number("the same from a lumpy density", skewed.value**2, truth, rtol=1e-10)
    bounded("its relative gap", skewed.gap / skewed.value, 1e-8)


# --- other targets


def test_chordal_plan_built_by_hand() -> None:
    """For ψ = ε cos φ the chordal transform is closed: ψᶜ = 2 − |2 cos λ e^{iφ} + ε|, T its argument."""
    epsilon = 0.25
    latitude, longitude, weight, x = fine_grid(400, 800)
    mass = weight * lumpy(x)
    arrow = 2.0 * np.cos(latitude) * np.exp(1j * longitude) + epsilon
    target = np.array([np.sum(mass * (np.conj(arrow) / np.abs(arrow)) ** k) for k in range(25)])
    truth = np.sum(mass * (2.0 - np.abs(arrow))) + epsilon * target[1].real
    for lmax, tolerance in ((24, 2e-6), (64, 2e-5)):
        result = wasserstein_great_circle(lumpy, PLANE, target, Cost(2.0, "chordal"), lmax)
        number(f"W2² of a plan built by hand, lmax {lmax}", result.value**2, truth, atol=tolerance)
        bounded("its gap", result.gap, 5e-5)
        number("its potential", 2.0 * result.potential[1].real / (2.0 * np.pi), epsilon, atol=1e-3)


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_plan_built_from_a_smooth_potential(cost: Cost) -> None:
    """A small ψ, its minima searched for on a fine grid: the pair it defines is optimal and has a known cost."""
    amplitude = 0.04
    latitude, longitude, weight, x = fine_grid(120, 128)
    mass = weight * lumpy(x)
    angles = 2.0 * np.pi * np.arange(720) / 720

    def psi(t):
        return amplitude * (np.cos(t) + 0.5 * np.sin(2.0 * t))

    def slope(t):
        return amplitude * (-np.sin(t) + np.cos(2.0 * t))

    def height(lam: Array, phi: Array, t: Array) -> Array:
        chord2 = 4.0 * np.sin(0.5 * lam) ** 2 + 4.0 * np.cos(lam) * np.sin(0.5 * (t - phi)) ** 2
        angle = 2.0 * np.arcsin(np.minimum(0.5 * np.sqrt(chord2), 1.0))
        return (angle if cost.ground == "geodesic" else np.sqrt(chord2)) ** cost.p - psi(t)

    foot = np.empty_like(latitude)
    for rows in np.array_split(np.arange(latitude.size), 40):
        lam, phi = latitude[rows, None], longitude[rows, None]
        foot[rows] = angles[np.argmin(height(lam, phi, angles[None]), axis=1)]
        low, high = np.minimum(foot[rows] - 0.01, phi[:, 0] - 0.0), np.maximum(foot[rows] + 0.01, phi[:, 0] + 0.0)
        far = np.abs(foot[rows] - phi[:, 0]) > 0.5
        low, high = np.where(far, foot[rows] - 0.01, low), np.where(far, foot[rows] + 0.01, high)
        ratio = 0.5 * (np.sqrt(5.0) - 1.0)
        for _ in range(45):  # golden section
            a, b = high - ratio * (high - low), low + ratio * (high - low)
            left = height(lam[:, 0], phi[:, 0], a) < height(lam[:, 0], phi[:, 0], b)
            low, high = np.where(left, low, a), np.where(left, b, high)
        foot[rows] = 0.5 * (low + high)
    assert np.abs(slope(foot)).max() < 0.1
    target = np.array([np.sum(mass * np.exp(-1j * k * foot)) for k in range(33)])
    pair = np.sum(mass * height(latitude, longitude, foot))
    truth = pair + np.sum(mass * psi(foot))
    result = wasserstein_great_circle(lumpy, PLANE, target, cost, 48)
    number(f"plan from a smooth potential, {cost}", result.value**cost.p, float(truth), atol=5e-7)
    bounded(f"its gap, {cost}", result.gap, 2e-6)


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_rotated_target_against_linear_programming(cost: Cost) -> None:
    """POT's exact solver on refined discretisations converges to the same number."""
    import ot

    target = rotated(project_to_plane(lumpy, PLANE).coefficients, 0.4)
    result = wasserstein_great_circle(lumpy, PLANE, target, cost, 48)
    errors = []
    for n in (12, 24, 48):
        latitude, longitude, weight, x = fine_grid(n, n)
        mass = weight * lumpy(x)
        atoms = 2.0 * np.pi * (np.arange(n) + 0.5) / n
        k = np.arange(1, target.size)
        inner = np.sinc(k / n) * target[1:]
        nu = (1.0 + 2.0 * np.real(np.exp(1j * np.outer(atoms, k)) @ inner)) / n
        matrix = cost.of_angle(np.arccos(np.cos(latitude)[:, None] * np.cos(atoms - longitude[:, None])))
        discrete = ot.emd2(mass / mass.sum(), nu / nu.sum(), matrix, numItermax=10**7)
        errors.append(abs(discrete - result.value**cost.p))
    print(f"NUMBER errors of emd, {cost}: {errors}, orders {orders(errors)}")
    bounded(f"emd on the finest grid, {cost}", errors[-1], 2e-3)
    assert (orders(errors) > 1.2).all()
    bounded(f"gap, {cost}", result.gap, 2e-5)


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_value_does_not_depend_on_coordinates_or_resolution(cost: Cost) -> None:
    turn, straight = Rotation.from_rotvec([-0.4, 0.2, 1.3]).as_matrix(), project_to_plane(lumpy, PLANE)
    target = rotated(straight.coefficients, 0.1)
    still = wasserstein_great_circle(lumpy, PLANE, target, cost, 32)
    moved = wasserstein_great_circle(lambda x: lumpy(x @ turn), turn @ PLANE, target, cost, 32)
    number(f"turned, {cost}", moved.value, still.value, atol=1e-12)
    fine = wasserstein_great_circle(lumpy, PLANE, target, cost, 96)
    bounded(f"refined, {cost}", abs(fine.value - still.value), 5e-7)
    assert abs(fine.value - still.value) <= still.quadrature_error
    bounded(f"gap, {cost}", max(still.gap, fine.gap), 5e-6)


def test_warm_start_and_time_at_band_limit_191() -> None:
    circle = GreatCircle(PLANE, 191)
    values, target = lumpy(circle.points), project_to_plane(lumpy, PLANE).coefficients
    for cost in COSTS:
        circle.distance(values, rotated(target, 0.01), cost)
        begin = time.process_time()
        cold = circle.distance(values, rotated(target, 0.03), cost)
        middle = time.process_time()
        warm = circle.distance(values, rotated(target, 0.031), cost, cold)
        end = time.process_time()
        print(f"NUMBER seconds, {cost}: cold {middle - begin:.3f}, warm {end - middle:.3f}; {warm.iterations} steps")
        assert warm.converged and warm.iterations <= cold.iterations
        bounded(f"relative gap, {cost}", warm.gap / warm.value, 1e-7)
        assert end - middle < 1.0


@pytest.mark.parametrize("mean", [(1.0, 0.0, 0.0), (0.6, 0.0, 0.8), (0.0, 0.0, 1.0)], ids=str)
def test_bounds_hold_for_densities_that_the_grid_hardly_resolves(mean: tuple[float, float, float]) -> None:
    """von Mises–Fisher, κ = 400, to its own image: the height z has the law κ e^{κ(mz−1)} I₀(κ√(1−m²)√(1−z²))."""
    kappa, (along, _, up) = 400.0, mean

    def density(x):
        return kappa / (2.0 * np.pi) * np.exp(kappa * (x @ np.array(mean) - 1.0))

    def law(z):
        flat = kappa * along * np.sqrt(1.0 - z * z)
        return kappa * ive(0, flat) * np.exp(kappa * (up * z - 1.0) + flat) * np.arcsin(z) ** 2

    peaks = [float(np.clip(up + k / np.sqrt(kappa), -1.0, 1.0)) for k in range(-6, 7)]
    truth = np.sqrt(quad(law, -1.0, 1.0, points=peaks, epsabs=0.0, epsrel=1e-11, limit=400)[0])
    target = project_to_plane(density, PLANE).coefficients
    for lmax in (12, 16, 20, 24, 48):
        result = wasserstein_great_circle(density, PLANE, target, Cost(), lmax)
        print(f"NUMBER lmax {lmax}: {truth - result.lower:.1e} above lower, {result.upper - truth:.1e} below upper")
        assert result.lower <= truth <= result.upper and "quadrature error" in result.status


# --- what is refused, and what is told


def test_negative_densities_are_told() -> None:
    circle = GreatCircle(PLANE, 16)
    values = lumpy(circle.points) - 0.08 * circle.points[:, 2] ** 2
    result = circle.distance(values, [1.0, 0.7, 0.1], Cost(2.0))
    assert "of the density set to zero" in result.status and "of the target set to zero" in result.status
    assert result.lower <= result.value <= result.upper


def test_a_hopeless_solve_returns_bounds_and_says_so() -> None:
    """p = 1, everything within 1e-3 of the circle and half a radian off: ψ′ is ±1 almost everywhere."""
    head = Head(np.diag([1.0, 1.0, 0.0]))

    def density(x):
        return exact.hardmax_density(head, lumpy, 7.0, x)

    target = rotated(project_to_plane(lumpy, PLANE).coefficients, 0.5)
    result = wasserstein_great_circle(density, PLANE, target, Cost(1.0), 16, width=1e-3)
    print(result)
    assert not result.converged and "not converged" in result.status
    assert result.lower < result.value < result.upper < 1.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: GreatCircle(np.eye(3), 32), r"\(3, 2\)"),
        (lambda: GreatCircle(PLANE, 3), "lmax"),
        (lambda: GreatCircle(PLANE, 32, width=0.0), "width"),
        (lambda: GreatCircle(PLANE, 32, width="a"), "width"),  # type: ignore[arg-type]
        (lambda: GreatCircle(PLANE, 16).distance(np.ones(5), [1.0], Cost()), "shape"),
        (lambda: GreatCircle(PLANE, 16).distance("values", [1.0]), "no array of real numbers"),
        (lambda: GreatCircle(PLANE, 16).distance(uniform(np.ones((5, 3))), "ab"), "shape"),
        (lambda: wasserstein_great_circle(uniform, PLANE, ["1"], lmax=16), "no array of numbers"),
        (lambda: wasserstein_great_circle(uniform, PLANE, [1.0], "geodesic", 16), "expected a Cost"),
        (lambda: wasserstein_great_circle(uniform, PLANE, [1.0], Cost(3.0), 16), "p = 3"),
        (lambda: wasserstein_great_circle(uniform, PLANE, [np.nan], Cost(), 16), "finite"),
        (lambda: wasserstein_great_circle(uniform, PLANE, [0.0], Cost(), 16), "mass"),
        (lambda: wasserstein_great_circle(uniform, PLANE, [[1.0]], Cost(), 16), "shape"),
        (lambda: wasserstein_great_circle(lambda x: -uniform(x), PLANE, [1.0], Cost(), 16), "mass"),
        (lambda: wasserstein_great_circle(lambda x: x[:, 0] / 0.0, PLANE, [1.0], Cost(), 16), "finite"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_bad_input_is_one_sentence(call: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
