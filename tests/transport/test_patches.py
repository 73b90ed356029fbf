"""Densities resolved on the cube: integrals, values, what is cut off, what is in doubt, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial.chebyshev import chebval2d
from physics_helpers import bounded, number
from transport_helpers import Array, Function, random_atoms, uniform

from spherepde.errors import InputError
from spherepde.quadrature import sphere_rule
from spherepde.transport import HarmonicDensity
from spherepde.transport.laguerre import Patches, resolve, weighted_points
from spherepde.transport.laguerre.patches import points_on

AXIS = random_atoms(1, 7)[0]


def smooth(x: Array) -> Array:
    return 0.1 * np.exp(x @ np.array([0.9, -1.1, 0.6]) + x[:, 0] * x[:, 1])


def misfit(patches: Patches, density: Function) -> float:
    """Largest error of the polynomials at random points of random leaves."""
    rng = np.random.default_rng(0)
    worst = 0.0
    for node in rng.choice(np.flatnonzero(patches.leaf >= 0), 100):
        s, t = rng.uniform(-1.0, 1.0, (2, 20))
        a, b = patches.center[node, 0] + patches.half[node] * s, patches.center[node, 1] + patches.half[node] * t
        value = chebval2d(s, t, patches.coefficients[patches.leaf[node]]) * (1.0 + a**2 + b**2) ** 1.5
        expected = density(points_on(np.full(20, patches.face[node]), a, b))
        worst = max(worst, float(np.abs(value - expected).max()))
    return worst


def test_mass_moment_and_values_of_a_smooth_density() -> None:
    patches = resolve(smooth)
    x, w = sphere_rule(3, 60)
    number("mass", patches.total, float(w @ smooth(x)), rtol=2e-15)
    bounded("moment", float(np.abs(patches.moment[:6].sum(axis=0) - (w * smooth(x)) @ x).max()), 1e-14)
    number("area", float(patches.area[:6].sum()), 4.0 * np.pi, rtol=1e-14)
    bounded("polynomials at random points", misfit(patches, smooth), 1e-12)
    assert patches.negative_mass == 0.0 and patches.unresolved == 0.0
    assert f"{len(patches.coefficients)} leaves" in repr(patches)


def test_children_make_up_their_parents() -> None:
    patches = resolve(smooth)
    for node in np.flatnonzero(patches.child >= 0):
        four = slice(patches.child[node], patches.child[node] + 4)
        assert patches.mass[four].sum() == pytest.approx(patches.mass[node], rel=1e-14)
        assert np.allclose(patches.center[four].mean(axis=0), patches.center[node], atol=1e-15)


@pytest.mark.parametrize("lmax", [0, 8, 60])
def test_harmonic_coefficients(lmax: int) -> None:
    """Random coefficients, also of degrees so high that a coarse tile would not see them: only l = 0 has mass."""
    rng = np.random.default_rng(lmax)
    size = (lmax + 1) * (lmax + 2) // 2
    c = (rng.normal(size=size) + 1j * rng.normal(size=size)) * 1e-2 / (lmax + 1)
    c[: lmax + 1] = c[: lmax + 1].real
    c[0] = 3.0
    patches = resolve(c)
    number(f"mass, degree {lmax}", patches.total, 3.0 * np.sqrt(4.0 * np.pi), rtol=1e-14)
    bounded(f"polynomials, degree {lmax}", misfit(patches, HarmonicDensity(c)), 2e-12)
    bounded(f"in doubt, degree {lmax}", patches.unresolved, 0.0)


def test_a_single_high_degree_is_not_overlooked() -> None:
    """1 + P_60(cos θ)/2, whose projection on coarse tiles might vanish."""
    legendre = np.polynomial.legendre.Legendre.basis(60)
    c = np.zeros(61 * 62 // 2, complex)
    c[0], c[60] = 2.0 * np.sqrt(np.pi), 0.5 * np.sqrt(4.0 * np.pi / 121.0)
    bounded("1 + P_60/2", misfit(resolve(c), lambda x: 1.0 + 0.5 * legendre(x[:, 2])), 2e-12)


def test_a_density_that_touches_zero() -> None:
    patches = resolve(lambda x: x[:, 2] ** 2)
    number("∫x₃²", patches.total, 4.0 * np.pi / 3.0, rtol=1e-14)
    bounded("cut off", patches.negative_mass, 1e-25)
    bounded("in doubt", patches.unresolved, 1e-15)


@pytest.mark.parametrize("concentration", [100.0, 1e4])
def test_a_concentrated_density(concentration: float) -> None:
    patches = resolve(lambda x: np.exp(concentration * (x @ AXIS - 1.0)))
    exact = 2.0 * np.pi * (1.0 - np.exp(-2.0 * concentration)) / concentration
    number(f"mass, concentration {concentration:g}", patches.total, exact, rtol=5e-13)
    bounded("in doubt", patches.unresolved, 1e-15)


def test_the_negative_part_is_cut_off_and_reported() -> None:
    """x₃² − h² is negative where |x₃| < h; quadrature across the kink errs by no more than what is in doubt."""
    h = 0.1
    patches = resolve(lambda x: x[:, 2] ** 2 - h * h)
    below = 4.0 * np.pi * (h**3 - h**3 / 3.0)
    above = 4.0 * np.pi * ((1.0 - h**3) / 3.0 - h * h * (1.0 - h))
    number("negative mass", patches.negative_mass, below, atol=2e-6)
    number("positive mass", patches.total, above, atol=patches.unresolved)
    bounded("in doubt", patches.unresolved, 2e-5)
    assert np.all(patches.mass >= 0.0)


def test_a_cliff_is_in_doubt() -> None:
    patches = resolve(lambda x: (x @ AXIS > 0.3).astype(float))
    number("a cap's area", patches.total, 2.0 * np.pi * 0.7, atol=patches.unresolved)
    bounded("in doubt", patches.unresolved, 1e-3)
    assert patches.unresolved > 1e-5 and len(patches.coefficients) < 60_000


@pytest.mark.parametrize("count", [1, 40, 3000])
@pytest.mark.parametrize("concentration", [0.0, 50.0])
def test_weighted_points_stand_for_the_density(count: int, concentration: float) -> None:
    patches = resolve(lambda x: np.exp(concentration * (x @ AXIS - 1.0)))
    points, masses = weighted_points(patches, count)
    assert len(points) == len(masses) <= 60 * count + 2000
    assert np.all(masses > 0.0) and np.allclose(np.linalg.norm(points, axis=1), 1.0)
    number(f"mass of {len(points)} points", float(masses.sum()), patches.total, rtol=1e-13)


@pytest.mark.parametrize(
    ("density", "sentence"),
    [
        (lambda x: np.full(len(x), np.nan), "the density is not finite at"),
        (lambda x: np.where(x[:, 2] > 0.999, np.inf, 1.0), "the density is not finite at"),
        (lambda x: np.zeros(len(x)), "the density has total mass 0; expected a positive finite number"),
        (lambda x: x[:, 2], "the density has total mass"),
        (lambda x: -uniform(x), "the density has total mass -1; expected a positive"),
        (lambda x: x, "the density returned shape"),
        (np.full(7, 1.0), "density coefficients of shape"),
        (np.full(6, np.nan), "density coefficients are not all finite"),
        (np.array([-1.0, 0.0, 0.0]), "the density has total mass -3.54"),
    ],
)
def test_bad_densities_are_refused_with_one_sentence(density: Function | Array, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        resolve(density)
    assert str(caught.value).count("\n") == 0
