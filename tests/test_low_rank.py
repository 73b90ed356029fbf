"""Packing of source moments: bounds that hold, factors that keep their promise, rows that may be left out."""

import numpy as np
import pytest
from scipy.special import ive, sph_harm_y

from spherepde.archive.checksums import array_digest, whole_digest
from spherepde.archive.low_rank import compress, interpolation_error, kernel_error, kernel_weights, thinned_rows

CIRCLE_DEGREE, CIRCLE_ORDER = np.arange(31), np.zeros(31, dtype=np.int64)
SPHERE = np.array([(l, m) for m in range(13) for l in range(m, 13)])
SPHERE_DEGREE, SPHERE_ORDER = SPHERE.T
TIMES = np.linspace(0.0, 1.0, 81)


def moments(degree, order, t=TIMES, seed=0):
    """Smooth in time, real where the order is 0 on the sphere; degree 0 is a unit mass."""
    rng = np.random.default_rng(seed)
    amplitude = rng.standard_normal(len(degree)) + 1j * rng.standard_normal(len(degree))
    zonal = (degree == 0) if order.max() == 0 else (order == 0)
    amplitude = np.where(zonal, amplitude.real, amplitude)
    values = amplitude * np.exp(-0.5 * np.outer(t, degree)) * np.cos(np.outer(t, rng.random(len(degree)) * 3.0))
    values[:, degree == 0] = 1.0
    return values


def on_the_circle(weighted, angles):
    factor = np.where(CIRCLE_DEGREE > 0, 2.0, 1.0)
    return np.real((weighted * factor) @ np.exp(1j * np.outer(CIRCLE_DEGREE, angles))) / (2.0 * np.pi)


def on_the_sphere(weighted, theta, phi):
    total = 0.0
    for i, (l, m) in enumerate(SPHERE):
        harmonic = (-1) ** m * sph_harm_y(l, m, theta, phi)
        total = total + (2.0 if m else 1.0) * np.real(weighted[:, i, None] * harmonic)
    return total


def test_the_bound_covers_the_circle_and_is_attained():
    u = moments(CIRCLE_DEGREE, CIRCLE_ORDER)
    angles = np.linspace(0.0, 2.0 * np.pi, 400)
    largest = np.abs(on_the_circle(u, angles)).max() * 2.0 * np.pi  # over the mean of a unit mass, 1/2π
    assert largest <= kernel_error(2, CIRCLE_DEGREE, CIRCLE_ORDER, u) <= 4.0 * largest
    peak = np.ones((1, 31), complex)  # all phases meet at θ = 0
    expected = on_the_circle(peak, np.zeros(1)).item() * 2.0 * np.pi
    assert kernel_error(2, CIRCLE_DEGREE, CIRCLE_ORDER, peak) == pytest.approx(expected, rel=1e-14)


def test_the_bound_covers_the_sphere_and_is_attained():
    u = moments(SPHERE_DEGREE, SPHERE_ORDER)
    rng = np.random.default_rng(3)
    theta, phi = np.arccos(rng.uniform(-1.0, 1.0, 500)), rng.uniform(0.0, 2.0 * np.pi, 500)
    largest = np.abs(on_the_sphere(u, theta, phi)).max() * 4.0 * np.pi
    assert largest <= kernel_error(3, SPHERE_DEGREE, SPHERE_ORDER, u) <= 6.0 * largest
    theta, phi = np.array([1.1]), np.array([0.7])  # a unit mass there: all harmonics meet
    mass = np.array([[(-1) ** m * np.conj(sph_harm_y(l, m, theta[0], phi[0])) for l, m in SPHERE]])
    expected = on_the_sphere(mass, theta, phi).item() * 4.0 * np.pi
    assert kernel_error(3, SPHERE_DEGREE, SPHERE_ORDER, mass) == pytest.approx(expected, rel=1e-12)


def test_weights_are_what_the_kernel_sees():
    """On the circle λ_k/λ_0 = I_k/I_0, and the gradient of λ_k/κ adds (k + 1)/κ of it."""
    kappa = 5.0
    expected = ive(CIRCLE_DEGREE, kappa) / ive(0, kappa) * (1.0 + (CIRCLE_DEGREE + 1) / kappa)
    expected[0] = 1.0
    np.testing.assert_allclose(kernel_weights(2, kappa, CIRCLE_DEGREE), np.maximum(expected, 1e-16), rtol=1e-12)


@pytest.mark.parametrize("tolerance", [1e-4, 1e-8, 1e-12])
@pytest.mark.parametrize(("dim", "degree", "order"), [(2, CIRCLE_DEGREE, CIRCLE_ORDER), (3, *SPHERE.T)])
def test_factors_keep_the_tolerance_with_few_of_them(dim, degree, order, tolerance):
    u = moments(degree, order)
    packed = compress(dim, degree, order, u, 4.0, tolerance)
    off = kernel_error(dim, degree, order, (packed.moments - u) * kernel_weights(dim, 4.0, degree))
    assert off <= 1.01 * packed.error + 1e-15
    assert 1e-3 * tolerance < packed.error <= tolerance
    rank = packed.temporal.shape[1]
    assert rank < 20 and rank == len(packed.spatial)
    coarser = compress(dim, degree, order, u, 4.0, 100.0 * tolerance)
    assert coarser.temporal.shape[1] < rank
    spare = [np.count_nonzero(x.view(np.uint64) & np.uint64(0xFF) == 0) / x.size for x in (packed.temporal,)]
    assert min(spare) == 1.0 or tolerance < 1e-11, "the last byte of every number is zero"


def test_the_least_rank_is_found():
    """Moments of exact rank 3 pack into 3 factors."""
    rng = np.random.default_rng(5)
    basis = rng.standard_normal((3, 31)) + 1j * rng.standard_normal((3, 31))
    u = np.stack([np.ones(81), TIMES, TIMES**2], axis=1) @ basis
    assert compress(2, CIRCLE_DEGREE, CIRCLE_ORDER, u, 4.0, 1e-11).temporal.shape[1] == 3


def test_rows_are_left_out_as_far_as_a_spline_allows():
    t = np.linspace(0.0, 1.0, 401)
    u = moments(CIRCLE_DEGREE, CIRCLE_ORDER, t) * kernel_weights(2, 4.0, CIRCLE_DEGREE)
    kept = t[[0, 133, 400]]
    counts = []
    for tolerance in (1e-11, 1e-9, 1e-7):
        rows, error = thinned_rows(2, CIRCLE_DEGREE, CIRCLE_ORDER, t, kept, u, tolerance, 20)
        assert error <= tolerance
        assert set(kept) <= set(t[rows])
        assert interpolation_error(2, CIRCLE_DEGREE, CIRCLE_ORDER, t, u, rows) == error
        counts.append(len(rows))
    assert counts[0] > counts[1] > counts[2] >= 20


def test_the_error_of_a_record_kept_whole_is_what_its_spline_makes_between_the_rows():
    t = np.linspace(0.0, 4.0, 201)
    fine = moments(CIRCLE_DEGREE, CIRCLE_ORDER, t) * kernel_weights(2, 4.0, CIRCLE_DEGREE)
    rows, estimate = thinned_rows(2, CIRCLE_DEGREE, CIRCLE_ORDER, t[::2], t[:1], fine[::2], 1e-16, 20)
    assert len(rows) == 101
    actual = interpolation_error(2, CIRCLE_DEGREE, CIRCLE_ORDER, t, fine, np.arange(0, 201, 2))
    assert 0.2 * actual < estimate < 5.0 * actual


def test_nothing_is_left_out_of_what_no_spline_follows():
    t, rng = np.linspace(0.0, 1.0, 101), np.random.default_rng(2)
    rough = rng.standard_normal((101, 31)) + 0j
    rows, error = thinned_rows(2, CIRCLE_DEGREE, CIRCLE_ORDER, t, t[:1], rough, 1e-6, 20)
    assert len(rows) == 101 and error > 1e-3


def test_digests_see_values_shapes_and_types():
    a = np.arange(6.0)
    digests = {array_digest(x) for x in (a, a.reshape(2, 3), a.astype(np.float32), a + 1e-15, a.astype(np.int64))}
    assert len(digests) == 5
    assert array_digest(a[::-1]) == array_digest(a[::-1].copy()) == array_digest(a[::-1].astype(">f8"))
    assert whole_digest({"a": "1", "b": "2"}, {}) == whole_digest({"b": "2", "a": "1"}, {})
    assert whole_digest({"a": "1"}, {"x": 1}) != whole_digest({"a": "1"}, {"x": 2})
