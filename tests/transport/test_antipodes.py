"""Transport onto two antipodes: closed forms, rates of exact densities, brute force, linear programming, gaps."""

import numpy as np
import pytest
from physics_helpers import bounded, number

from spherepde import exact, fisher_bingham
from spherepde.errors import InputError
from spherepde.heads import Head
from spherepde.spaces import Circle, Sphere
from spherepde.transport.antipodes import COSTS, AntipodalTransport
from spherepde.transport.caps import wasserstein_antipodes
from spherepde.transport.costs import Cost

W1, W2, CHORD1, CHORD2 = COSTS
AREA = {2: 2.0 * np.pi, 3: 4.0 * np.pi}


def uniform(dim, lmax=40):
    a = np.zeros(lmax + 1)
    a[0] = 1.0 / AREA[dim]
    return a


def zonal_part(space, rho, axis):
    """The coefficients a_l, by projecting the density on the harmonics of a Dirac mass."""
    u, about = space.project(rho), space.point_mass(axis)
    return np.bincount(space.degree, space.parseval * np.real(u * about.conj()))


def profile(dim, a, theta):
    """Σ a_l P_l(cos θ) by numpy's own series."""
    if dim == 2:
        return np.polynomial.chebyshev.chebval(np.cos(theta), a)
    return np.polynomial.legendre.legval(np.cos(theta), a)


def by_quantiles(dim, a, mass_plus, cost, cells=400_000):
    """The cost by midpoint sums over the sorted angles, the cell of the threshold split."""
    theta = np.pi * (np.arange(cells) + 0.5) / cells
    mass = profile(dim, a, theta) * (2.0 if dim == 2 else 2.0 * np.pi * np.sin(theta)) * np.pi / cells
    share = np.clip((mass_plus * mass.sum() - (np.cumsum(mass) - mass)) / mass, 0.0, 1.0)
    return float(np.sum(mass * (share * cost.of_angle(theta) + (1.0 - share) * cost.of_angle(np.pi - theta))))


def test_uniform_density_to_two_halves():
    """C3."""
    circle = AntipodalTransport(2, 40).distances(uniform(2), 0.5)
    sphere = AntipodalTransport(3, 40).distances(uniform(3), 0.5)
    for name, found, expected in (
        ("W1 geodesic S1", circle[W1].value, np.pi / 4),
        ("W2 geodesic S1", circle[W2].value, np.pi / (2 * np.sqrt(3))),
        ("W2^2 chordal S1", circle[CHORD2].value ** 2, 2 - 4 / np.pi),
        ("W1 chordal S1", circle[CHORD1].value, 4 * (2 - np.sqrt(2)) / np.pi),
        ("W1 geodesic S2", sphere[W1].value, 1.0),
        ("W2^2 geodesic S2", sphere[W2].value ** 2, np.pi - 2),
        ("W2^2 chordal S2", sphere[CHORD2].value ** 2, 1.0),
        ("W1 chordal S2", sphere[CHORD1].value, 2 * np.sqrt(2) / 3),
    ):
        number(f"uniform to two antipodes, {name}", found, expected, atol=2e-15)


@pytest.mark.parametrize("mass", [0.0, 0.02, 0.3, 0.5, 0.81, 1.0])
def test_uniform_density_to_unequal_masses(mass):
    """By hand: the cap of angle a holds a/π (circle) or (1 − cos a)/2 (sphere)."""
    circle = AntipodalTransport(2, 40).distances(uniform(2), mass)
    sphere = AntipodalTransport(3, 40).distances(uniform(3), mass)
    a, b = np.pi * mass, np.pi * (1.0 - mass)
    number(f"S1, mass {mass}, W2^2 geodesic", circle[W2].value ** 2, (a**3 + b**3) / (3 * np.pi), atol=1e-14)
    number(f"S1, mass {mass}, W1 geodesic", circle[W1].value, (a**2 + b**2) / (2 * np.pi), atol=1e-14)
    number(f"S1, mass {mass}, W2^2 chordal", circle[CHORD2].value ** 2, 2 - 4 * np.sin(a) / np.pi, atol=1e-14)
    a = np.arccos(1.0 - 2.0 * mass)

    def half(end):
        """∫₀^end θ² sin θ dθ / 2."""
        return (2 * end * np.sin(end) + (2 - end**2) * np.cos(end) - 2) / 2

    number(f"S2, mass {mass}, W2^2 geodesic", sphere[W2].value ** 2, half(a) + half(np.pi - a), atol=2e-14)
    chordal = 4 * (np.sin(a / 2) ** 4 + np.cos(a / 2) ** 4) / 2
    number(f"S2, mass {mass}, W2^2 chordal", sphere[CHORD2].value ** 2, chordal, atol=1e-14)
    chordal = 4 * (np.sin(a / 2) ** 3 + np.cos(a / 2) ** 3) / 3
    number(f"S2, mass {mass}, W1 chordal", sphere[CHORD1].value, chordal, atol=1e-14)


@pytest.mark.parametrize("dim", [2, 3])
def test_against_brute_force_and_the_direct_solver(dim):
    """Random smooth densities, axes and masses; sorted angles, and adaptive quadrature with its two bounds."""
    rng = np.random.default_rng(11)
    space = Circle(63) if dim == 2 else Sphere(63, backend="ducc0")
    transport = AntipodalTransport(dim, 63)
    worst, apart, widest = 0.0, 0.0, 0.0
    for _ in range(6):
        axis = rng.normal(size=dim)
        axis /= np.linalg.norm(axis)
        rho = fisher_bingham(rng.normal(size=dim), np.diag(rng.normal(size=dim)))
        a, mass = zonal_part(space, rho, axis), rng.uniform(0.05, 0.95)
        found = transport.distances(a, mass)
        for cost in COSTS:
            worst = max(worst, abs(found[cost].value ** cost.p - by_quantiles(dim, a, mass, cost)))
        cost = COSTS[int(rng.integers(4))]
        direct = wasserstein_antipodes(rho, axis, mass, cost)
        apart = max(apart, abs(direct.value - found[cost].value))
        widest = max(widest, direct.gap / direct.value)
        assert direct.lower <= direct.value <= direct.upper
    bounded(f"S{dim - 1}: W_p^p against 400 000 sorted angles", worst, 1e-10)
    bounded(f"S{dim - 1}: series against adaptive quadrature", apart, 1e-14)
    bounded(f"S{dim - 1}: Kantorovich gap relative to the value", widest, 2e-13)


@pytest.mark.parametrize("dim", [2, 3])
def test_against_linear_programming(dim):
    """POT's exact solver on quadrature points knows nothing of caps; the error is that of the cut cells."""
    import ot

    rho = fisher_bingham([0.4, -0.9, 0.3][:dim], np.diag([0.5, 0.0, -0.4][:dim]))
    axis = np.array([0.6, 0.8, 0.0][:dim])
    fine = Circle(1400) if dim == 2 else Sphere(60, backend="ducc0")
    x = fine.points.reshape(-1, dim)
    weights = fine.weights.ravel() * rho(x)
    weights /= weights.sum()
    atoms, masses = np.stack([axis, -axis]), np.array([0.37, 0.63])
    for cost in COSTS:
        expected = wasserstein_antipodes(rho, axis, 0.37, cost).value ** cost.p
        plan = ot.emd2(weights, masses, cost.between(x[:, None, :], atoms[None]), numItermax=10**7)
        number(f"S{dim - 1} {cost}: W_p^p by emd2", plan, expected, rtol=1e-6 if dim == 2 else 6e-5)


@pytest.mark.parametrize(
    ("dim", "cost", "law"),
    [
        (2, W2, lambda eps: 2 * np.log(2) * eps),
        (2, CHORD2, lambda eps: 4 / np.pi * eps),
        (2, W1, lambda eps: 2 / np.pi * eps * (1 - np.log(eps))),
        (3, W2, lambda eps: np.pi * np.log(2) * eps),
        (3, CHORD2, lambda eps: 2 * eps),
    ],
    ids=["S1 W2 geodesic", "S1 W2 chordal", "S1 W1", "S2 W2 geodesic", "S2 W2 chordal"],
)
def test_rates_of_the_exact_density(dim, cost, law):
    """C2 from C1: the density of width e^{-8} at gap·t = 8, from the uniform one."""
    head = Head(np.diag([1.0, 0.0, 0.0][:dim]))

    def rho(x):
        return exact.hardmax_density(head, lambda y: np.full(len(y), 1.0 / AREA[dim]), 8.0, x)

    found = wasserstein_antipodes(rho, np.eye(dim)[0], 0.5, cost)
    bounded(f"gap at gap·t = 8, S{dim - 1} {cost}", found.gap / found.value, 1e-10)
    number(f"constant at gap·t = 8, S{dim - 1} {cost}", found.value**cost.p / law(np.exp(-8.0)), 1.0, atol=1e-3)


def test_concentrated_circle_density_from_its_coefficients():
    """C1 on the circle is a Poisson kernel in 2θ, a_2j = r^j/π with (1 − r)/(1 + r) = ε: resolved by degree 4000."""
    gap, lmax = 4.0, 4000
    r = np.tanh(gap / 2)
    a = np.zeros(lmax + 1)
    a[::2] = r ** np.arange(lmax // 2 + 1) / np.pi
    a[0] = 1 / AREA[2]
    head = Head(np.diag([1.0, 0.0]))

    def rho(x):
        return exact.hardmax_density(head, lambda y: np.full(len(y), 1.0 / AREA[2]), gap, x)

    for mass in (0.5, 0.45):
        for cost, found in AntipodalTransport(2, lmax).distances(a, mass).items():
            expected = wasserstein_antipodes(rho, [1.0, 0.0], mass, cost)
            number(f"Poisson kernel, mass {mass}, {cost}", found.value, expected.value, atol=1e-14)


@pytest.mark.parametrize("dim", [2, 3])
def test_signed_unresolved_densities_stay_between_finite_bounds(dim):
    """Random coefficients of no density at all: the cumulative function turns, and nothing is NaN."""
    rng = np.random.default_rng(5)
    transport = AntipodalTransport(dim, 80)
    for size in (0.02, 1.0, 50.0):
        for _ in range(60):
            a = size * rng.normal(size=81)
            a[0] = 1.0 / AREA[dim]
            for mass in (0.0, rng.uniform(), 1.0):
                for found in transport.distances(a, mass).values():
                    assert np.isfinite([found.lower, found.value, found.upper]).all()
                    assert 0.0 <= found.lower <= found.value <= found.upper


@pytest.mark.parametrize("dim", [2, 3])
def test_rotation_and_reflection(dim):
    rng = np.random.default_rng(2)
    rotation = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    rho, axis = fisher_bingham(rng.normal(size=dim), np.diag(rng.normal(size=dim))), np.eye(dim)[0]
    still = wasserstein_antipodes(rho, axis, 0.3).value
    turned = wasserstein_antipodes(lambda x: rho(x @ rotation), rotation @ axis, 0.3).value
    number(f"S{dim - 1} rotated", turned, still, atol=3e-15)
    number(f"S{dim - 1} atoms exchanged", wasserstein_antipodes(rho, -axis, 0.7).value, still, atol=3e-15)


def test_distance_to_a_dirac_is_the_first_moment():
    """C19: W₂² chordal = 2(1 − ⟨mean, e⟩)."""
    rho, axis = fisher_bingham([0.5, -1.0, 0.7]), np.array([0.0, 0.6, -0.8])
    space = Sphere(63, backend="ducc0")
    mean = space.moments(space.project(rho))[1]
    found = AntipodalTransport(3, 63).distances(zonal_part(space, rho, axis), 1.0)[CHORD2].value
    number("W2^2 chordal to a Dirac", found**2, 2.0 * (1.0 - mean @ axis), atol=1e-14)


def test_harmonic_coefficients_and_signs_are_understood():
    space, axis = Sphere(31, backend="ducc0"), np.array([0.0, 0.6, 0.8])
    rho = fisher_bingham([0.5, -1.0, 0.7])
    number(
        "harmonic coefficients against the function",
        wasserstein_antipodes(space.project(rho), axis, 0.4).value,
        wasserstein_antipodes(rho, axis, 0.4).value,
        atol=3e-15,
    )
    signed = wasserstein_antipodes(lambda x: (1.0 + 1.2 * x[:, 0]) / AREA[3], [1.0, 0.0, 0.0], 0.5)
    assert "signed measure" in signed.status and signed.gap < 1e-11


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: AntipodalTransport(4, 8), "expected dim 2 or 3"),
        (lambda: AntipodalTransport(2, 8).distances(np.ones(5), 0.5), "expected \\(9,\\)"),
        (lambda: AntipodalTransport(2, 8).distances(uniform(2, 8), 1.5), "from 0 to 1"),
        (lambda: AntipodalTransport(2, 8).distances(uniform(2, 8), np.nan), "from 0 to 1"),
        (lambda: AntipodalTransport(2, 8).distances(uniform(2, 8), "a"), "from 0 to 1"),
        (lambda: AntipodalTransport(2, 8).distances(np.full(9, np.nan), 0.5), "not all finite"),
        (lambda: AntipodalTransport(2, 8).distances(["a"] * 9, 0.5), "no array of real numbers"),
        (lambda: AntipodalTransport(2, 8).distances(np.zeros(9), 0.5), "total mass 0"),
        (lambda: AntipodalTransport(2, 8).distances(-uniform(2, 8), 0.5), "total mass -1"),
        (lambda: AntipodalTransport(2, 4.5), "integer lmax"),
        (lambda: AntipodalTransport(2, 8, "geodesic"), "list of Cost"),
        (lambda: AntipodalTransport(2, 8, [2]), "expected a Cost"),
        (lambda: wasserstein_antipodes(np.ones(3), [0.0, 2.0, 0.0], 0.5), "unit sphere"),
        (lambda: wasserstein_antipodes(lambda x: x[:, 0] * 0, [0.0, 1.0], 0.5), "positive finite"),
        (lambda: wasserstein_antipodes(lambda x: x[:, 0] / 0.0, [0.0, 1.0], 0.5), "not finite"),
        (lambda: wasserstein_antipodes(lambda x: x[:, 0], [0.0, 1.0], "half"), "from 0 to 1"),
        (lambda: wasserstein_antipodes(lambda x: x[:, 0], np.eye(4)[0], 0.5), "expected 2 or 3"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_bad_input_in_one_sentence(call, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_costs_of_any_power():
    transport = AntipodalTransport(3, 20, [Cost(3.5), Cost(1.0, "chordal")])
    found = transport.distances(uniform(3, 20), 0.25)
    assert list(found) == list(transport.costs) and "lmax=20" in repr(transport)
    for cost, distance in found.items():
        expected = wasserstein_antipodes(lambda x: np.full(len(x), 1 / AREA[3]), [0.0, 0.0, 1.0], 0.25, cost)
        number(f"uniform, {cost}", distance.value, expected.value, atol=2e-15)
