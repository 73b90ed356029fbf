"""Push-forwards under projections against closed forms, brute force, and the flow that has them as its limit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from physics_helpers import bounded, number
from scipy.integrate import dblquad, quad
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y

from spherepde import exact
from spherepde.errors import InputError
from spherepde.heads import Head
from spherepde.quadrature import sphere_rule
from spherepde.transport.measures import HarmonicDensity
from spherepde.transport.projection import latitude_rule, project_by, project_to_axis, project_to_plane

Array = NDArray[np.float64]
PLANE = np.eye(3)[:, :2]
TURN = Rotation.from_rotvec([0.7, -1.1, 0.4]).as_matrix()


def tilted(x: Array) -> Array:
    """Mass 1; hemisphere masses 1/2 ± |m|/4 for the mean direction m."""
    return (1.0 + x @ np.array([0.4, -0.3, 0.5])[: x.shape[1]]) / (4.0 * np.pi if x.shape[1] == 3 else 2.0 * np.pi)


def lumpy(x: Array) -> Array:
    return np.exp(x[:, 0] - 0.7 * x[:, 1] * x[:, 2] + 0.4 * x[:, 2]) / 15.0


@pytest.mark.parametrize("axis", [[0.0, 0.0, 2.0], [1.0, -1.0, 0.3], [-0.2, 0.5, 0.9]])
def test_hemisphere_masses_of_a_tilted_density(axis: list[float]) -> None:
    e = np.array(axis) / np.linalg.norm(axis)
    result = project_to_axis(tilted, axis)
    number("hemisphere mass, S2", result.weights[0], 0.5 + 0.25 * e @ [0.4, -0.3, 0.5], atol=2e-15)
    number("both hemispheres, S2", result.mass, 1.0, atol=4e-15)
    np.testing.assert_allclose(result.points, [e, -e], atol=1e-15)
    assert result.error < 1e-14


def test_half_circle_masses() -> None:
    e = np.array([0.6, 0.8])
    result = project_to_axis(tilted, e)
    number("half circle mass, S1", result.weights[0], 0.5 + (e @ [0.4, -0.3]) / np.pi, atol=2e-15)
    coefficients = project_to_axis(np.array([1.0, 0.5 * (0.4 + 0.3j)]), e)  # the same density by its Fourier series
    np.testing.assert_allclose(coefficients.weights, result.weights, atol=1e-14)


def test_lumpy_hemispheres_by_adaptive_integration() -> None:
    left = TURN[:, 2]
    result = project_to_axis(lumpy, [0.0, 1.0, 0.0], left)

    def integrand(phi: float, theta: float) -> float:
        x = TURN @ [np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)]
        return float(lumpy(x[None])[0] * np.sin(theta))

    expected = dblquad(integrand, 0.0, 0.5 * np.pi, 0.0, 2.0 * np.pi, epsabs=1e-10)[0]
    number("oblique hemisphere mass", result.weights[0], expected, atol=1e-14)
    np.testing.assert_allclose(result.points[0], [0.0, 1.0, 0.0])


def test_plane_of_the_harmonics_of_a_tilted_density() -> None:
    """1 + a·x has the image (2 + (π/2)(a₁ cos φ + a₂ sin φ))/4π on the equator."""
    result = project_to_plane(tilted, PLANE)
    number("c1 of the tilted density", abs(result.coefficients[1] - 0.125 * np.pi * (0.4 + 0.3j)), 0.0, atol=3e-14)
    number("mass of the tilted density", result.mass, 1.0, atol=4e-15)
    bounded("other coefficients", np.abs(result.coefficients[2:]).max(initial=0.0), 5e-13)


def test_plane_values_by_integration_along_meridians() -> None:
    result = project_to_plane(lumpy, TURN[:, :2])
    k = np.arange(result.coefficients.size)
    for phi in (0.3, 2.0, 5.0):
        ray = TURN[:, 0] * np.cos(phi) + TURN[:, 1] * np.sin(phi)

        def along(t, ray=ray):
            return float(lumpy((np.cos(t) * ray + np.sin(t) * TURN[:, 2])[None])[0] * np.cos(t))

        expected = quad(along, -0.5 * np.pi, 0.5 * np.pi, epsabs=1e-13)[0]
        waves = np.where(k == 0, 1.0, 2.0) * np.real(result.coefficients * np.exp(1j * k * phi)) / (2.0 * np.pi)
        number(f"density on the circle at {phi}", waves.sum(), expected, atol=3e-13)
    assert result.error < 1e-11


def test_harmonic_coefficients_give_what_their_function_gives() -> None:
    rng, lmax = np.random.default_rng(5), 12
    c = rng.standard_normal((lmax + 1) * (lmax + 2) // 2) + 1j * rng.standard_normal((lmax + 1) * (lmax + 2) // 2)
    c *= 0.01
    c[: lmax + 1] = c[: lmax + 1].real
    c[0] = 1.0 / np.sqrt(4.0 * np.pi)
    pairs = [(l, m) for m in range(lmax + 1) for l in range(m, lmax + 1)]

    def function(x: Array) -> Array:
        theta, phi = np.arccos(np.clip(x[:, 2], -1.0, 1.0)), np.arctan2(x[:, 1], x[:, 0])
        total = np.zeros(len(x))
        for (l, m), value in zip(pairs, c, strict=True):
            total += (1.0 if m == 0 else 2.0) * (-1.0) ** m * np.real(value * sph_harm_y(l, m, theta, phi))
        return total

    basis = TURN[:, :2]
    ours, theirs = project_to_plane(c, basis), project_to_plane(function, basis)
    n = min(ours.coefficients.size, theirs.coefficients.size)
    bounded(
        "coefficients against function, plane", np.abs(ours.coefficients[:n] - theirs.coefficients[:n]).max(), 5e-13
    )
    bounded("degree beyond the band limit", np.abs(ours.coefficients[lmax + 1 :]).max(initial=0.0), 5e-13)
    difference = (
        project_to_axis(HarmonicDensity(c), basis[:, 0]).weights - project_to_axis(function, basis[:, 0]).weights
    )
    bounded("coefficients against function, axis", np.abs(difference).max(), 5e-13)


def test_rotating_density_and_plane_changes_nothing_and_turning_the_plane_turns_the_phase() -> None:
    def turned(x):
        return lumpy(x @ TURN)

    still, moved = project_to_plane(lumpy, PLANE), project_to_plane(turned, TURN @ PLANE)
    n = min(still.coefficients.size, moved.coefficients.size)
    bounded("rotation invariance", np.abs(still.coefficients[:n] - moved.coefficients[:n]).max(), 5e-13)
    angle = 0.8
    spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    spun = project_to_plane(lumpy, PLANE @ spin).coefficients
    n = min(n, spun.size)
    phase = np.exp(1j * angle * np.arange(n))
    bounded("turned plane", np.abs(spun[:n] - still.coefficients[:n] * phase).max(), 5e-13)


@pytest.mark.parametrize("kind", ["straight", "oblique"])
def test_plane_against_a_histogram_of_the_sphere(kind: str) -> None:
    """Moments of the image of a fine quadrature, whatever the fibres are."""
    linear = PLANE.T if kind == "straight" else np.array([[1.0, 0.4, -0.5], [0.2, 0.8, 0.6]])
    basis = TURN[:, :2]
    result = project_by(lumpy, linear, basis)
    points, weights = sphere_rule(3, 1200)
    image = points @ linear.T
    angle = np.arctan2(image[:, 1], image[:, 0])
    for k in range(4):
        brute = np.sum(weights * lumpy(points) * np.exp(-1j * k * angle))
        bounded(f"{kind} image, c{k}, by brute force", abs(result.coefficients[k] - brute), 2e-5)


def test_oblique_image_is_the_late_flow() -> None:
    """For A = S diag(1,1,λ) S⁻¹ the flow carries x to the spectral projection, direction kept."""
    S = np.array([[1.0, 0.3, 0.2], [0.1, 1.2, 0.4], [-0.2, 0.5, 0.9]])
    A = S @ np.diag([1.0, 1.0, -1.0]) @ np.linalg.inv(S)
    basis = np.linalg.qr(S[:, :2])[0]
    linear = np.linalg.solve(np.linalg.inv(S)[:2] @ basis, np.linalg.inv(S)[:2])
    points, weights = sphere_rule(3, 240)
    late = exact.hardmax_flow(Head(A), points, 18.0)
    angle = np.arctan2(late @ basis[:, 1], late @ basis[:, 0])
    image = points @ linear.T
    gap = np.abs(np.exp(1j * angle) - np.exp(1j * np.arctan2(image[:, 1], image[:, 0]))).max()
    bounded("late flow against the oblique projection", gap, 8e-13)
    result = project_by(lumpy, linear, basis)
    flow = np.sum(weights * lumpy(points) * np.exp(-2j * angle))
    bounded("c2 of the image by the flow", abs(flow - result.coefficients[2]), 1e-4)


def test_concentrated_density_keeps_its_image() -> None:
    """Π♯ρ is constant along the zero-temperature flow (A symmetric): the same at t = 0 and at width 0.03."""
    head = Head(np.diag([1.0, 1.0, 0.0]))

    def later(x):
        return exact.hardmax_density(head, lumpy, 3.5, x)

    before, after = project_to_plane(lumpy, PLANE), project_to_plane(later, PLANE)
    n = min(before.coefficients.size, after.coefficients.size)
    bounded("image kept by the flow", np.abs(before.coefficients[:n] - after.coefficients[:n]).max(), 5e-14)
    blunt = project_to_plane(lambda x: exact.hardmax_density(head, lumpy, 14.0, x), PLANE)
    assert blunt.error > 1e-6, "a density finer than the largest grid must say so"


def test_latitude_rule_and_its_coarse_half() -> None:
    for width in (None, 1e-3):
        latitude, weight, coarse = latitude_rule(24, width)
        number("∫ λ² cos λ", weight @ latitude**2, np.pi**2 / 4.0 - 2.0, atol=2e-15)
        number("∫ λ² cos λ on every second node", coarse @ latitude**2, np.pi**2 / 4.0 - 2.0, atol=2e-15)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: project_to_axis(tilted, [0.0, 0.0, 0.0]), "axis"),
        (lambda: project_to_axis(tilted, [1.0, 0.0, 0.0], [1.0, 0.0]), "sizes"),
        (lambda: project_to_axis(lambda x: -tilted(x), [1.0, 0.0, 0.0]), "positive"),
        (lambda: project_to_axis(lambda x: np.full(len(x), np.nan), [1.0, 0.0, 0.0]), "finite"),
        (lambda: project_to_plane(tilted, np.ones((3, 2))), "orthonormal"),
        (lambda: project_to_plane(tilted, np.eye(3)), r"\(3, 2\)"),
        (lambda: project_by(tilted, [[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]], PLANE), "rank 2"),
        (lambda: project_to_plane(np.ones(4), PLANE), "coefficients"),
        (lambda: project_to_plane(lambda x: np.zeros(len(x)), PLANE), "mass"),
        (lambda: latitude_rule(10, -1.0), "width"),
    ],
)
def test_bad_input_is_one_sentence(call: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
