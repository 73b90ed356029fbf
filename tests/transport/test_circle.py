"""Distances on the circle against closed forms, POT's circle solvers, linear programmes and adaptive quadrature."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import numpy as np
import ot
import pytest
from numpy.typing import NDArray
from physics_helpers import bounded, number
from scipy.integrate import quad

from spherepde.transport.circle import CircleMeasure, wasserstein_circle
from spherepde.transport.costs import Cost

Array = NDArray[np.float64]
PI = np.pi
GEODESIC = [Cost(p) for p in (1.0, 1.5, 2.0, 3.0)]
CHORDAL = [Cost(p, "chordal") for p in (1.0, 1.5, 2.0, 3.0)]


def coefficients(seed: int, band: int = 12, size: float = 0.8) -> Array:
    """Fourier coefficients of a random positive density."""
    rng = np.random.default_rng(seed)
    c = rng.random(band) * np.exp(2j * PI * rng.random(band)) / np.arange(1, band + 1)
    return np.concatenate([[1.0], 0.5 * size * c / np.abs(c).sum()])


def density(c: Array) -> Callable[[Array], Array]:
    return lambda t: (
        (np.exp(1j * np.multiply.outer(t, np.arange(len(c)))) @ (c * np.where(np.arange(len(c)), 2, 1))).real / (2 * PI)
    )


def rotated(c: Array, angle: float) -> Array:
    return c * np.exp(-1j * angle * np.arange(len(c)))


def atoms(seed: int, count: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    w = rng.random(count)
    return 2 * PI * rng.random(count), w / w.sum()


def mixed(seed: int) -> tuple[CircleMeasure, CircleMeasure, CircleMeasure]:
    """A random measure, the same rotated by 1.234, and reflected."""
    if seed % 2:
        x, w = atoms(seed, 3 + seed % 5)
        return tuple(CircleMeasure.from_atoms(y, w) for y in (x, x + 1.234, -x))  # type: ignore[return-value]
    c = coefficients(seed)
    return tuple(CircleMeasure.from_fourier(k) for k in (c, rotated(c, 1.234), c.conj()))  # type: ignore[return-value]


def pair_cost(x: Array, y: Array, cost: Cost) -> Array:
    apart = np.abs(np.mod(x[:, None] - y + PI, 2 * PI) - PI)
    return (apart if cost.ground == "geodesic" else 2.0 * np.sin(0.5 * apart)) ** cost.p


UNIFORM = CircleMeasure.from_fourier([1.0])
POLES = CircleMeasure.from_atoms([0.0, PI])


# --- closed forms (C3, C19, C2)


@pytest.mark.parametrize(
    ("cost", "power"),
    [
        (Cost(2), PI**2 / 12),
        (Cost(2, "chordal"), 2 - 4 / PI),
        (Cost(1), PI / 4),
        (Cost(1, "chordal"), (8 - 4 * np.sqrt(2)) / PI),
        (Cost(3), (PI / 2) ** 3 / 4),
        (Cost(1.5), (PI / 2) ** 1.5 / 2.5),
    ],
    ids=str,
)
def test_uniform_to_two_antipodal_halves(cost: Cost, power: float) -> None:
    for nu in (POLES, CircleMeasure.from_atoms([[0.6, 0.8], [-0.6, -0.8]])):
        distance = wasserstein_circle(UNIFORM, nu, cost)
        number(f"uniform to antipodal halves, {cost}", distance.value**cost.p, power, atol=2e-14)
        assert distance.lower - 1e-15 <= power ** (1 / cost.p) <= distance.upper + 1e-15
        bounded("gap", distance.gap, 2e-13)


@pytest.mark.parametrize("seed", range(4))
def test_distance_to_a_dirac_is_in_the_first_coefficient(seed: int) -> None:
    c, angle = coefficients(seed), 0.7 + seed
    mean = c[1].conjugate()
    for ground in ("chordal", "geodesic"):
        cost = Cost(2, ground)  # type: ignore[arg-type]
        distance = wasserstein_circle(CircleMeasure.from_fourier(c), CircleMeasure.from_atoms([angle]), cost)
        expected = 2 * (1 - (mean * np.exp(-1j * angle)).real)
        if ground == "geodesic":
            f = density(c)
            expected = quad(lambda t, f=f, a=angle: t**2 * f(np.asarray(t + a)), -PI, PI, epsabs=1e-13)[0]
        number(f"to a Dirac, {cost}", distance.value**2, expected, atol=1e-14)
        bounded("gap", distance.gap, 2e-13)


def hardmax(gap_time: float) -> tuple[Callable[[Array], Array], Callable[[Array], Array], float]:
    """Cumulative and quantile function of the zero-temperature solution from uniform data, and its width."""
    width = np.exp(-gap_time)
    return (
        lambda t: np.arctan2(np.sin(t) / width, np.cos(t)) / (2 * PI) + (np.asarray(t) > PI),
        lambda u: np.arctan2(width * np.sin(2 * PI * u), np.cos(2 * PI * u)) + 2 * PI * (np.asarray(u) > 0.5),
        width,
    )


def hardmax_power(width: float, cost: Cost) -> float:
    """The same distance by mpmath: every point goes to the nearer of the two atoms."""
    mpmath.mp.dps = 30
    width = mpmath.mpf(width)

    def integrand(s: mpmath.mpf) -> mpmath.mpf:
        away = mpmath.atan(width / mpmath.tan(s))
        return (away if cost.ground == "geodesic" else 2 * mpmath.sin(away / 2)) ** cost.p

    cuts = [mpmath.mpf(0), *(mpmath.mpf(10) ** k for k in range(-14, 0)), mpmath.pi / 2]
    return float(mpmath.quad(integrand, cuts) * 2 / mpmath.pi)


@pytest.mark.parametrize("gap_time", [8.0, 20.0])
@pytest.mark.parametrize("cost", [Cost(1), Cost(2), Cost(2, "chordal")], ids=str)
def test_concentrating_density_keeps_its_digits(gap_time: float, cost: Cost) -> None:
    cdf, quantile, width = hardmax(gap_time)
    breaks = [PI / 2, PI, 3 * PI / 2]
    distance = wasserstein_circle(CircleMeasure.from_cdf(cdf, quantile, breaks), POLES, cost)
    power = hardmax_power(width, cost)
    number(f"width {width:.0e}, {cost}, against mpmath", distance.value**cost.p / power, 1.0, atol=1e-7)
    bounded(f"width {width:.0e}, {cost}, absolute", abs(distance.value - power ** (1 / cost.p)), 3e-12)
    law = {"geodesic": 2 * np.log(2), "chordal": 4 / PI}[cost.ground]
    if cost.p == 2:
        number(f"asymptotic constant at gap·t = {gap_time:g}, {cost}", distance.value**2 / width, law, rtol=1e-3)
    by_root_finding = wasserstein_circle(CircleMeasure.from_cdf(cdf, breaks=breaks), POLES, cost)
    bounded("without the quantile function", abs(by_root_finding.value - distance.value), 1e-11)


def test_hardmax_density_by_its_fourier_coefficients() -> None:
    width = np.exp(-3.0)
    k = np.arange(1400)
    c = np.where(k % 2 == 0, ((1 - width) / (1 + width)) ** (k // 2), 0.0)
    distance = wasserstein_circle(CircleMeasure.from_fourier(c), POLES, Cost(2))
    number("Fourier coefficients, width 0.05", distance.value**2, hardmax_power(width, Cost(2)), atol=1e-14)


# --- independent solvers


@pytest.mark.parametrize("cost", GEODESIC + CHORDAL, ids=str)
def test_random_atoms_against_the_linear_programme(cost: Cost) -> None:
    worst = 0.0
    for seed in range(8):
        (x, a), (y, b) = atoms(seed, 4 + 5 * seed), atoms(100 + seed, 3 + 4 * seed)
        distance = wasserstein_circle(CircleMeasure.from_atoms(x, a), CircleMeasure.from_atoms(y, b), cost)
        exact = ot.emd2(a, b, pair_cost(x, y, cost))
        worst = max(worst, abs(distance.value**cost.p - exact))
        assert distance.lower - 1e-13 <= exact ** (1 / cost.p) <= distance.upper + 1e-13
    bounded(f"random atoms, {cost}", worst, 2e-14)


def test_circle_solvers_of_pot() -> None:
    (x, a), (y, b) = atoms(1, 30), atoms(2, 40)
    one, two = CircleMeasure.from_atoms(x, a), CircleMeasure.from_atoms(y, b)
    turn = 2 * PI  # POT's circle has length 1
    for p in (1, 2):
        theirs = ot.wasserstein_circle(x / turn, y / turn, a, b, p=p)[0] * turn**p
        tolerance = 1e-15 * 10**p
        number(f"POT circle, p = {p}", wasserstein_circle(one, two, Cost(p)).value ** p, theirs, atol=tolerance)
    order = np.argsort(x)  # it sorts the atoms but not their weights
    theirs = ot.semidiscrete_wasserstein2_unif_circle(x[order] / turn, a[order])[0] * turn**2
    number("POT uniform to atoms", wasserstein_circle(UNIFORM, one).value ** 2, theirs, atol=1e-13)


def test_first_distance_of_densities_is_that_of_the_median() -> None:
    c, e = coefficients(4), coefficients(6)
    t = 2 * PI * (np.arange(20_000) + 0.5) / 20_000
    k = np.arange(1, len(c))
    difference = (np.exp(1j * np.outer(t, k)) @ ((c - e)[1:] / (1j * k))).real / PI
    expected = np.mean(np.abs(difference - np.median(difference))) * 2 * PI
    distance = wasserstein_circle(CircleMeasure.from_fourier(c), CircleMeasure.from_fourier(e), Cost(1))
    number("W_1 by the median", distance.value, expected, atol=3e-9)


@pytest.mark.parametrize("cost", [*GEODESIC[:1], GEODESIC[2], *CHORDAL[:1], CHORDAL[2]], ids=str)
def test_densities_against_the_linear_programme_on_cells(cost: Cost) -> None:
    c, e = coefficients(8, size=1.0), coefficients(10, size=1.0)
    one, two = CircleMeasure.from_fourier(c), CircleMeasure.from_fourier(e)
    cells = np.linspace(0.0, 2 * PI, 401)
    middle = 0.5 * (cells[1:] + cells[:-1])
    exact = ot.emd2(np.diff(one.cdf(cells)), np.diff(two.cdf(cells)), pair_cost(middle, middle, cost)) ** (1 / cost.p)
    distance = wasserstein_circle(one, two, cost)
    limit = 2 * PI / 400  # half a cell for each measure
    number(f"cells, {cost}", distance.value, exact, atol=0.1 * limit)
    assert distance.lower - limit <= exact <= distance.upper + limit
    bounded("gap", distance.gap, 8e-3 if cost.ground == "chordal" else 1e-13)


def test_truth_lies_inside_the_bounds_for_projections_on_two_points() -> None:
    for seed in range(40):
        c, angle = coefficients(seed, band=2 + seed % 9), 0.1 * seed
        f, one = density(c), CircleMeasure.from_fourier(c)
        share = float(one.cdf(angle + PI / 2) - one.cdf(angle - PI / 2))
        two = CircleMeasure.from_atoms([angle, angle + PI], [share, 1 - share])
        cost = (*GEODESIC, *CHORDAL)[seed % 8]
        size = (lambda t: t) if cost.ground == "geodesic" else (lambda t: 2 * np.sin(t / 2))
        near = quad(
            lambda t, f=f, s=size, p=cost.p, a=angle: (
                s(t) ** p
                * (f(np.asarray(a + t)) + f(np.asarray(a - t)) + f(np.asarray(a + PI + t)) + f(np.asarray(a + PI - t)))
            ),
            0.0,
            PI / 2,
            epsabs=1e-13,
            epsrel=1e-13,
        )
        distance = wasserstein_circle(one, two, cost)
        assert distance.lower - 1e-13 <= near[0] ** (1 / cost.p) <= distance.upper + 1e-13
        assert distance.gap < 1e-9
        assert abs(distance.value**cost.p - near[0]) < 2e-13


# --- metric properties


@pytest.mark.parametrize("cost", [*GEODESIC, *CHORDAL], ids=str)
def test_symmetry_invariance_and_the_triangle(cost: Cost) -> None:
    for seed in (0, 3):
        one, two, three = (mixed(s) for s in (seed, seed + 1, seed + 2))
        distance = wasserstein_circle(one[0], two[0], cost)
        for other in (
            wasserstein_circle(two[0], one[0], cost),
            wasserstein_circle(one[1], two[1], cost),
            wasserstein_circle(one[2], two[2], cost),
        ):
            assert abs(other.value - distance.value) <= 1e-12 + 0.5 * (distance.gap + other.gap)
        longer = wasserstein_circle(one[0], three[0], cost)
        assert longer.lower <= distance.upper + wasserstein_circle(two[0], three[0], cost).upper


def test_a_measure_is_at_no_distance_from_itself() -> None:
    for seed in (0, 1):
        one = mixed(seed)[0]
        for cost in (Cost(1), Cost(2), Cost(2, "chordal")):
            bounded(f"to itself, {cost}", wasserstein_circle(one, one, cost).upper, 1e-13)


def test_rotation_of_few_atoms_is_the_distance() -> None:
    x = np.array([0.1, 6.2, 3.0])
    distance = wasserstein_circle(CircleMeasure.from_atoms(x), CircleMeasure.from_atoms(x + 0.3), Cost(2))
    number("rotated atoms", distance.value, 0.3, atol=1e-15)
    assert np.all(np.diff(CircleMeasure.from_atoms(x).quantile(np.linspace(-2, 2, 99))) >= 0)
