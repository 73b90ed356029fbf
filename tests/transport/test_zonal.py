"""Zonal measures against closed forms, the exact collapsing density, and points of the whole sphere."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import ot
import pytest
from numpy.typing import NDArray
from physics_helpers import bounded, number
from scipy.integrate import quad
from scipy.special import gamma, gegenbauer

from spherepde.errors import InputError
from spherepde.exact import hardmax_density
from spherepde.heads import Head
from spherepde.transport.circle import CircleMeasure, wasserstein_circle
from spherepde.transport.costs import Cost
from spherepde.transport.discrete import wasserstein_discrete
from spherepde.transport.zonal import ZonalMeasure, wasserstein_zonal

Array = NDArray[np.float64]
PI = np.pi
COSTS = [Cost(p, ground) for p in (1.0, 2.0, 3.0) for ground in ("geodesic", "chordal")]
POLES, EQUATOR = ZonalMeasure.from_atoms([0.0, PI]), ZonalMeasure.from_atoms([PI / 2])


def area(dim: int) -> float:
    return float(2.0 * PI ** (dim / 2) / gamma(dim / 2))


def uniform(dim: int) -> ZonalMeasure:
    return ZonalMeasure.from_density(lambda theta: np.full_like(theta, 1.0 / area(dim)), dim)


def rings(seed: int, count: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    w = rng.random(count)
    return PI * rng.random(count), w / w.sum()


def smooth(seed: int, dim: int = 3) -> Array:
    """Zonal coefficients of a random positive density."""
    rng = np.random.default_rng(seed)
    a = rng.uniform(-1.0, 1.0, 9) / np.arange(1, 10)
    return np.concatenate([[1.0], 0.9 * a / np.abs(a).sum()]) / area(dim)


def measure(seed: int) -> ZonalMeasure:
    return (
        ZonalMeasure.from_atoms(*rings(seed, 4 + seed % 4)) if seed % 2 else ZonalMeasure.from_legendre(smooth(seed), 3)
    )


# --- closed forms (C3, C19, C2)


@pytest.mark.parametrize(
    ("target", "ground", "power"),
    [
        (POLES, "geodesic", PI - 2),
        (POLES, "chordal", 1.0),
        (EQUATOR, "geodesic", PI**2 / 4 - 2),
        (EQUATOR, "chordal", 2 - PI / 2),
    ],
)
def test_uniform_on_the_sphere(target: ZonalMeasure, ground: str, power: float) -> None:
    cost = Cost(2, ground)  # type: ignore[arg-type]
    for mu in (uniform(3), ZonalMeasure.from_legendre([1 / (4 * PI)], 3)):
        distance = wasserstein_zonal(mu, target, cost)
        number(f"uniform on S² to {target.law.atoms} ring(s), {cost}", distance.value**2, power, atol=5e-15)
        assert distance.lower <= np.sqrt(power) + 1e-15
        assert distance.upper >= np.sqrt(power) - 1e-15
        bounded("gap", distance.gap, 2e-13)


@pytest.mark.parametrize("dim", [2, 3, 4, 7])
def test_distance_to_a_pole_is_in_the_mean(dim: int) -> None:
    a = smooth(3, dim)
    one = ZonalMeasure.from_legendre(a, dim)
    mean = a[1] * area(dim) / dim  # the mean square of a coordinate is 1/d
    distance = wasserstein_zonal(one, ZonalMeasure.from_atoms([0.0]), Cost(2, "chordal"))
    number(f"to a pole of S^{dim - 1}, chordal", distance.value**2, 2 * (1 - mean), atol=5e-14)
    bounded("gap", distance.gap, 1e-13)


def collapsing(width: float, dim: int) -> ZonalMeasure:
    head, time = Head(np.diag([0.0] * (dim - 1) + [1.0])), -np.log(width)

    def profile(theta: Array) -> Array:
        x = np.zeros((theta.size, dim))
        x[:, 0], x[:, -1] = np.sin(theta), np.cos(theta)
        return hardmax_density(head, lambda y: np.full(len(y), 1.0 / area(dim)), time, x)

    return ZonalMeasure.from_density(profile, dim, breaks=[width, PI / 2, PI - width])


@pytest.mark.parametrize(
    ("dim", "ground", "constant"),
    [(3, "geodesic", PI * np.log(2)), (3, "chordal", 2.0), (2, "geodesic", 2 * np.log(2)), (2, "chordal", 4 / PI)],
)
def test_rate_of_the_collapsing_density(dim: int, ground: str, constant: float) -> None:
    width, cost = np.exp(-8.0), Cost(2, ground)  # type: ignore[arg-type]
    distance = wasserstein_zonal(collapsing(width, dim), POLES, cost)
    number(f"asymptotic constant on S^{dim - 1}, {ground}", distance.value**2 / width, constant, rtol=1e-3)

    def pulled_back(theta: float) -> float:  # uniform mass at theta goes to atan(width·tan theta)
        away = np.arctan(width * np.tan(theta))
        weight = 2 / PI if dim == 2 else np.sin(theta)
        return weight * (away if ground == "geodesic" else 2 * np.sin(away / 2)) ** 2

    cuts = [PI / 2 - c for c in (PI / 2, 0.3, 1e-2, 1e-3, 1e-4, 1e-5, 0.0)]
    exact = sum(quad(pulled_back, lo, hi, epsabs=1e-18)[0] for lo, hi in pairwise(cuts))
    number(f"the same by quadrature on S^{dim - 1}, {ground}", distance.value**2 / exact, 1.0, atol=1e-9)


# --- independent computations


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_random_rings_against_the_linear_programme(cost: Cost) -> None:
    worst = 0.0
    for seed in range(8):
        (x, a), (y, b) = rings(seed, 3 + seed), rings(50 + seed, 4 + 2 * seed)
        apart = np.abs(x[:, None] - y)
        exact = ot.emd2(a, b, (apart if cost.ground == "geodesic" else 2 * np.sin(apart / 2)) ** cost.p)
        distance = wasserstein_zonal(ZonalMeasure.from_atoms(x, a), ZonalMeasure.from_atoms(y, b), cost)
        worst = max(worst, abs(distance.value**cost.p - exact))
        assert distance.lower - 1e-13 <= exact ** (1 / cost.p) <= distance.upper + 1e-13
    bounded(f"random rings, {cost}", worst, 1e-14)


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_rings_of_points_on_the_sphere_go_along_meridians(cost: Cost) -> None:
    (x, a), (y, b) = rings(3, 4), rings(4, 5)
    phi = 2 * PI * np.arange(12) / 12
    points = [
        np.stack(
            [np.outer(np.sin(t), np.cos(phi)), np.outer(np.sin(t), np.sin(phi)), np.outer(np.cos(t), 0 * phi + 1)], -1
        )
        for t in (x, y)
    ]
    on_sphere = wasserstein_discrete(
        *(p.reshape(-1, 3) for p in points), np.repeat(a, 12) / 12, np.repeat(b, 12) / 12, cost
    )
    distance = wasserstein_zonal(ZonalMeasure.from_atoms(x, a), ZonalMeasure.from_atoms(y, b), cost)
    number(f"rings of points, {cost}", distance.value, on_sphere.value, atol=1e-14)


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_circle_measures_even_about_the_axis_are_zonal(cost: Cost) -> None:
    c = np.array([1.0, 0.3, -0.1, 0.05])
    cosines = c * np.array([1.0, 2.0, 2.0, 2.0]) / (2 * PI)
    zonal = wasserstein_zonal(ZonalMeasure.from_legendre(cosines, 2), uniform(2), cost)
    circle = wasserstein_circle(CircleMeasure.from_fourier(c), CircleMeasure.from_fourier([1.0]), cost)
    number(f"even on the circle, {cost}", zonal.value, circle.value, atol=1e-13 + zonal.gap + circle.gap)


def test_densities_against_the_linear_programme_on_zones() -> None:
    one, two = ZonalMeasure.from_legendre(smooth(2), 3), ZonalMeasure.from_legendre(smooth(4), 3)
    cells = np.linspace(0.0, PI, 401)
    apart = np.abs(cells[:-1, None] - cells[:-1])
    for cost in COSTS:
        matrix = (apart if cost.ground == "geodesic" else 2 * np.sin(apart / 2)) ** cost.p
        exact = ot.emd2(np.diff(one.cdf(cells)), np.diff(two.cdf(cells)), matrix) ** (1 / cost.p)
        distance = wasserstein_zonal(one, two, cost)
        number(f"zones, {cost}", distance.value, exact, atol=0.1 * PI / 400)


# --- metric properties and measures


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_symmetry_reflection_and_the_triangle(cost: Cost) -> None:
    for seed in (0, 1):
        one, two, three = measure(seed), measure(seed + 3), measure(seed + 4)
        distance, back = wasserstein_zonal(one, two, cost), wasserstein_zonal(two, one, cost)
        assert abs(distance.value - back.value) <= 1e-13 + 0.5 * (distance.gap + back.gap)
        assert wasserstein_zonal(one, three, cost).lower <= distance.upper + wasserstein_zonal(two, three, cost).upper
    flip = (-1.0) ** np.arange(10)
    pair = [ZonalMeasure.from_legendre(smooth(k), 3) for k in (6, 8)]
    turned = [ZonalMeasure.from_legendre(smooth(k) * flip, 3) for k in (6, 8)]
    straight, reflected = wasserstein_zonal(*pair, cost), wasserstein_zonal(*turned, cost)
    assert abs(straight.value - reflected.value) <= 1e-12 + 0.5 * (straight.gap + reflected.gap)


@pytest.mark.parametrize("dim", [3, 4, 6])
def test_cumulative_function_of_a_series_is_its_integral(dim: int) -> None:
    a = smooth(5, dim)
    one = ZonalMeasure.from_legendre(a, dim)
    alpha = dim / 2 - 1
    profile: Callable[[float], float] = lambda t: sum(  # noqa: E731
        c * gegenbauer(n, alpha)(np.cos(t)) / gegenbauer(n, alpha)(1.0) for n, c in enumerate(a)
    )
    shell = area(dim - 1)
    exact = quad(lambda t: shell * profile(t) * np.sin(t) ** (dim - 2), 0.0, 1.3, epsabs=1e-14)[0]
    number(f"mass of a cap of S^{dim - 1}", float(one.cdf(1.3)), exact, atol=2e-15)
    u = np.linspace(0.0, 1.0, 301)
    bounded("inverse", float(np.abs(one.cdf(one.quantile(u)) - u).max()), 3e-15)


def test_negative_part_is_cut_off_and_reported() -> None:
    one = ZonalMeasure.from_legendre(np.array([1.0, 2.0]) / (4 * PI), 3)  # (1 + 2 cos θ)/4π, negative beyond 2π/3
    number("negative mass on S²", one.negative_mass, 0.125 / 1.125, atol=1e-15)
    assert "negative part of mass 0.11" in wasserstein_zonal(one, POLES).status
    assert "negative part" in repr(one)
    assert "negative" not in wasserstein_zonal(uniform(3), POLES).status + repr(uniform(3))


def test_law_given_by_its_cumulative_function() -> None:
    cdf = lambda t: 0.5 * (1 - np.cos(t))  # noqa: E731
    for quantile in (None, lambda u: np.arccos(1 - 2 * np.asarray(u))):
        distance = wasserstein_zonal(ZonalMeasure.from_cdf(cdf, quantile), POLES)
        number("uniform by its cumulative function", distance.value**2, PI - 2, atol=5e-15)


def test_caps_are_resolved_at_their_edge() -> None:
    cap = ZonalMeasure.from_density(lambda t: np.where(t < 1.0, 1.0, 0.0) / (2 * PI * (1 - np.cos(1.0))), 3, [1.0])
    exact = quad(lambda t: t**2 * np.sin(t), 0, 1, epsabs=1e-15)[0] / (1 - np.cos(1.0))
    number("cap to its pole", wasserstein_zonal(cap, ZonalMeasure.from_atoms([0.0])).value ** 2, exact, atol=1e-14)


def test_plans_that_are_not_monotone_say_so() -> None:
    one, two = ZonalMeasure.from_atoms([0.0, 1.0]), ZonalMeasure.from_atoms([1.0, 3.0])
    distance = wasserstein_zonal(one, two, Cost(1, "chordal"))
    number("one ring stays", distance.value, np.sin(1.5), atol=1e-15)
    assert "monotone plan not optimal" in distance.status
    assert "2 rings" in repr(one)


def test_bad_input_is_refused_with_one_sentence() -> None:
    for call, sentence in (
        (lambda: ZonalMeasure.from_legendre([1.0], 3), "total mass 12.566"),
        (lambda: ZonalMeasure.from_legendre([0.0, 1.0], 3), "total mass"),
        (lambda: ZonalMeasure.from_legendre([np.nan], 3), "finite"),
        (lambda: ZonalMeasure.from_legendre([1.0], 1), "dim = 1"),
        (lambda: ZonalMeasure.from_density(lambda t: t * np.nan, 3), "not finite at"),
        (lambda: ZonalMeasure.from_density(lambda t: 0 * t, 3), "total mass 0"),
        (lambda: ZonalMeasure.from_density(lambda t: np.ones(3), 3), "returned shape"),
        (lambda: ZonalMeasure.from_atoms([-0.1]), "in \\[0, π\\]"),
        (lambda: ZonalMeasure.from_atoms([np.nan]), "in \\[0, π\\]"),
        (lambda: ZonalMeasure.from_atoms([0.0, 1.0], [2.0, -1.0]), "negative"),
        (lambda: ZonalMeasure.from_atoms([0.0, 1.0], [0.2, 0.2]), "sum to 0.4"),
        (lambda: ZonalMeasure.from_atoms([1j]), "no array of real numbers"),
        (lambda: ZonalMeasure.from_legendre(["a"], 3), "no array of real numbers"),
        (lambda: ZonalMeasure.from_density(3, 3), "the profile is 3"),  # type: ignore[arg-type]
        (lambda: ZonalMeasure.from_cdf(3), "the cdf is 3"),  # type: ignore[arg-type]
        (lambda: wasserstein_zonal([1.0], uniform(4)), "expected a ZonalMeasure"),  # type: ignore[arg-type]
        (lambda: wasserstein_zonal(uniform(3), uniform(3), "geodesic"), "expected a Cost"),  # type: ignore[arg-type]
        (lambda: wasserstein_zonal(uniform(3), uniform(4)), "same sphere"),
    ):
        with pytest.raises(InputError, match=sentence):
            call()
