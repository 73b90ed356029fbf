"""Funk–Hecke multipliers against recurrences in 50 digits, elementary closed forms and quadrature."""

from decimal import Decimal, localcontext
from functools import cache
from itertools import pairwise
from math import comb

import numpy as np
import pytest
from scipy.special import eval_chebyt, eval_gegenbauer, ive

from spherepde.errors import InputError
from spherepde.kernels import BAND_TOLERANCE, funk_hecke, kernel_bandwidth, sphere_area, zonal_multipliers

DIMS = (2, 3, 4, 10, 50)
KAPPAS = (1e-10, 1e-3, 1.0, 30.0, 1e3, 1e5)
TINY = 1e-300


def harmonics_count(dim, degree):
    """Dimension of the space of harmonics of one degree."""
    return 1 if degree == 0 else comb(degree + dim - 2, degree) + comb(degree + dim - 3, degree - 1)


@cache
def miller(dim, kappa, lmax):
    """e^{−κ}λ_l by downward recurrence in 50 digits, normalised by the kernel's value 1 at x = y."""
    start = 2 * lmax + 100
    with localcontext() as context:
        context.prec = 50
        exact = Decimal(kappa)
        y = [Decimal(0)] * (start + 2)
        y[start] = Decimal(1)
        for degree in range(start, 0, -1):
            y[degree - 1] = y[degree + 1] + (2 * degree + dim - 2) / exact * y[degree]
        total = sum(harmonics_count(dim, degree) * y[degree] for degree in range(start + 1))
        area = Decimal(sphere_area(dim))
        return np.array([float(area * value / total) for value in y[: lmax + 2]])


def zonal_basis(dim, lmax, cosine):
    """P_l(cosine)·(number of harmonics)/area: the reproducing kernel of each degree."""
    degree = np.arange(lmax + 1)
    if dim == 2:
        polynomials = eval_chebyt(degree, cosine)
    else:
        order = 0.5 * dim - 1.0
        polynomials = eval_gegenbauer(degree, order, cosine) / eval_gegenbauer(degree, order, 1.0)
    return polynomials * np.array([float(harmonics_count(dim, l)) for l in degree]) / sphere_area(dim)


@pytest.mark.parametrize(
    ("dim", "area"),
    [(2, 2 * np.pi), (3, 4 * np.pi), (4, 2 * np.pi**2), (5, 8 * np.pi**2 / 3), (6, np.pi**3), (10, np.pi**5 / 12)],
)
def test_sphere_area_matches_closed_form(dim, area):
    assert sphere_area(dim) == pytest.approx(area, rel=1e-14)


@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize("dim", DIMS)
def test_multipliers_keep_thirteen_digits_at_every_degree(dim, kappa):
    lmax = max(10, kernel_bandwidth(dim, kappa))
    reference = miller(dim, kappa, lmax)
    table = funk_hecke(dim, kappa, lmax)
    visible = reference[:-1] > TINY
    np.testing.assert_allclose(table.value[visible], reference[:-1][visible], rtol=5e-14)

    tangential = reference[:-1] / kappa
    tangential[0] = 0.0
    radial = reference[1:] + np.arange(lmax + 1) * reference[:-1] / kappa
    np.testing.assert_allclose(table.tangential[visible], tangential[visible], rtol=5e-14)
    np.testing.assert_allclose(table.radial[visible], radial[visible], rtol=5e-14)


@pytest.mark.parametrize("kappa", [1e-3, 0.3, 1.0, 30.0, 1e3, 1e5, 1e6])
@pytest.mark.parametrize("dim", DIMS)
def test_low_degrees_match_scipy_bessel_functions(dim, kappa):
    degree = np.arange(15)
    bessel = ive(degree + 0.5 * dim - 1.0, kappa)
    reference = (2.0 * np.pi) ** (0.5 * dim) * kappa ** (1.0 - 0.5 * dim) * bessel
    visible = bessel > 1e-200
    np.testing.assert_allclose(funk_hecke(dim, kappa, 14).value[visible], reference[visible], rtol=1e-13)


@pytest.mark.parametrize("kappa", [0.5, 3.0, 1e3, 1e6])
def test_three_dimensional_multipliers_are_elementary(kappa):
    table = funk_hecke(3, kappa, 1)
    sinh, cosh = -np.expm1(-2.0 * kappa) / 2.0, (1.0 + np.exp(-2.0 * kappa)) / 2.0
    np.testing.assert_allclose(table.value[0], 4.0 * np.pi * sinh / kappa, rtol=1e-14)
    np.testing.assert_allclose(table.value[1], 4.0 * np.pi * (cosh / kappa - sinh / kappa**2), rtol=1e-14)


@pytest.mark.parametrize("dim", DIMS)
def test_kernel_without_score_averages(dim):
    table = funk_hecke(dim, 0.0, 5)
    area = sphere_area(dim)
    np.testing.assert_allclose(table.value, [area, 0, 0, 0, 0, 0], rtol=1e-15)
    np.testing.assert_allclose(table.radial, [0, area / dim, 0, 0, 0, 0], rtol=1e-15)
    np.testing.assert_allclose(table.tangential, [0, area / dim, 0, 0, 0, 0], rtol=1e-15)


@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize("dim", DIMS)
def test_multipliers_are_finite_positive_and_decreasing_far_beyond_the_band(dim, kappa):
    table = funk_hecke(dim, kappa, 5 * kernel_bandwidth(dim, kappa) + 300)
    for column in (table.value, table.radial, table.tangential):
        assert np.all(np.isfinite(column))
        assert np.all(column >= 0.0)
    normal = table.value > TINY
    assert np.all(np.diff(table.value[normal]) < 0.0)
    assert np.all(np.diff(table.value) <= 0.0)
    assert not normal[-1], "the table should end below 1e-300, where underflow is exercised"


@pytest.mark.parametrize("kappa", [0.5, 20.0, 1e3, 1e5])
@pytest.mark.parametrize("dim", DIMS)
def test_radial_is_the_derivative_of_the_multiplier(dim, kappa):
    lmax, step = 8, min(0.05, 0.005 * kappa)
    stencil = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}

    def unscaled(offset):  # e^{−κ}λ_l(κ+offset)
        return np.exp(offset) * funk_hecke(dim, kappa + offset, lmax).value

    difference = sum(w * (unscaled(j * step) - unscaled(-j * step)) for j, w in stencil.items()) / step
    table = funk_hecke(dim, kappa, lmax)
    scale = np.maximum(table.radial, table.value)  # round-off of the difference is relative to the value
    assert np.max(np.abs(difference - table.radial) / scale) < 2e-10


@pytest.mark.parametrize("kappa", [1e-3, 1.0, 30.0, 1e3])
@pytest.mark.parametrize("dim", DIMS)
def test_multipliers_match_quadrature_of_the_kernel(dim, kappa):
    lmax = min(60, kernel_bandwidth(dim, kappa) + 10)
    integrals = zonal_multipliers(lambda angle: np.exp(-2.0 * kappa * np.sin(0.5 * angle) ** 2), dim, lmax, pieces=4)
    table = funk_hecke(dim, kappa, lmax).value
    np.testing.assert_allclose(integrals, table, rtol=0.0, atol=2e-13 * table[0])


@pytest.mark.parametrize("kappa", [1e-3, 1.0, 30.0, 1e3])
@pytest.mark.parametrize("dim", [2, 3, 4, 10])
def test_multipliers_rebuild_the_kernel(dim, kappa):
    lmax = kernel_bandwidth(dim, kappa) + 20
    value = funk_hecke(dim, kappa, lmax).value
    for cosine in (1.0, 0.99, 0.3, -0.7, -1.0):
        rebuilt = float(value @ zonal_basis(dim, lmax, cosine))
        assert rebuilt == pytest.approx(np.exp(kappa * (cosine - 1.0)), rel=0.0, abs=2e-13)


def test_zonal_multipliers_of_a_kinked_profile():
    def kinked(angle):
        return np.abs(np.cos(angle))

    circle = [4.0, 0.0, 4 / 3, 0.0, -4 / 15]
    sphere = np.pi * np.array([2.0, 0.0, 1 / 2, 0.0, -1 / 12])
    np.testing.assert_allclose(zonal_multipliers(kinked, 2, 4), circle, rtol=0.0, atol=1e-14)
    np.testing.assert_allclose(zonal_multipliers(kinked, 3, 4), sphere, rtol=0.0, atol=3e-14)
    assert abs(zonal_multipliers(kinked, 3, 4, pieces=1)[0] - 2.0 * np.pi) > 1e-6, "the kink needs its own piece"


@pytest.mark.parametrize("dim", [2, 3, 4])
def test_zonal_multipliers_of_a_single_harmonic_vanish_elsewhere(dim):
    basis = zonal_multipliers(lambda angle: np.array([zonal_basis(dim, 3, c)[3] for c in np.cos(angle)]), dim, 6)
    np.testing.assert_allclose(basis, np.arange(7) == 3, rtol=0.0, atol=1e-14)


@pytest.mark.parametrize("kappa", [1e-10, 1e-3, 1.0, 100.0, 1e4, 1e6])
@pytest.mark.parametrize("dim", DIMS)
def test_bandwidth_is_the_last_visible_degree(dim, kappa):
    band = kernel_bandwidth(dim, kappa)
    table = funk_hecke(dim, kappa, band + 1)
    seen = np.maximum(table.value / table.value[0], table.tangential / table.tangential.max())  # Z, and N beside it
    assert seen[band] >= BAND_TOLERANCE > seen[band + 1]


@pytest.mark.parametrize("kappa", [30.0, 100.0, 1e3, 1e4, 1e5, 1e6])
@pytest.mark.parametrize("dim", [2, 3, 4, 10])
def test_bandwidth_follows_the_square_root_law(dim, kappa):
    law = 8.7 * np.sqrt(kappa) + 12.0
    assert 0.985 * law - 15.0 < kernel_bandwidth(dim, kappa) < law


def test_bandwidth_of_a_short_table_is_its_end():
    assert funk_hecke(3, 100.0, 17).bandwidth == 17


def test_tables_of_different_length_agree():
    for shorter, longer in pairwise((0, 1, 7, 90, 800)):
        np.testing.assert_allclose(
            funk_hecke(3, 50.0, shorter).value, funk_hecke(3, 50.0, longer).value[: shorter + 1], rtol=1e-14
        )


@pytest.mark.parametrize(
    ("dim", "kappa", "lmax"),
    [(1, 1.0, 5), (0, 1.0, 5), (3, -1e-9, 5), (3, np.nan, 5), (3, np.inf, 5), (3, 1.1e6, 5), (3, 1.0, -1)],
)
def test_bad_input_is_refused_in_a_sentence(dim, kappa, lmax):
    with pytest.raises(InputError, match=r"expected dim >= 2, lmax >= 0 and beta\*scale between 0 and 1e6") as caught:
        funk_hecke(dim, kappa, lmax)
    assert f"dim={dim}" in str(caught.value)
    assert f"lmax={lmax}" in str(caught.value)
