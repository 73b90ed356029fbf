"""Initial densities: masses, closed forms, conventions, refusals, and the way to a configuration and back."""

import json
from decimal import Decimal

import numpy as np
import pytest
from scipy.special import ive

from spherepde.config import parse_config
from spherepde.densities import (
    density_from_config,
    fisher_bingham,
    from_callable,
    harmonics,
    mixture,
    poisson_kernel,
    polynomial,
    uniform,
    von_mises_fisher,
)
from spherepde.errors import InputError
from spherepde.quadrature import sphere_rule

CROSS = [[0.0, 0.0, 0.25], [0.0, 0.0, 0.0], [0.25, 0.0, 0.0]]

EXAMPLES = {
    "uniform circle": uniform(2),
    "uniform": uniform(3),
    "von mises circle": von_mises_fisher([1.0, -2.0], 30.0),
    "von mises": von_mises_fisher([1.0, -2.0, 0.5], 30.0),
    "von mises flat": von_mises_fisher([0.0, 0.0, 1.0], 0.0),
    "fisher bingham circle": fisher_bingham([2.0, 1.0], [[0.0, 3.0], [0.0, 1.0]]),
    "fisher bingham": fisher_bingham([0.0, 0.8, 0.0], CROSS),
    "fisher bingham girdle": fisher_bingham([0.0, 0.0, 0.0], np.diag([-20.0, 0.0, 0.0])),
    "polynomial circle": polynomial([0.3, 0.1], [[0.2, 0.1], [0.0, -0.3]]),
    "polynomial": polynomial([0.3, 0.1, 0.0], [[0.2, 0.1, 0.0], [0.0, -0.3, 0.0], [0.0, 0.0, 0.5]]),
    "harmonics circle": harmonics(2, [{"degree": 1, "cos": 0.3}, {"degree": 7, "cos": 0.1, "sin": -0.2}]),
    "harmonics": harmonics(
        3, [{"degree": 2, "order": -1, "amplitude": 0.4}, {"degree": 20, "order": 20, "amplitude": 0.1}]
    ),
    "poisson circle": poisson_kernel([0.5, 0.6]),
    "poisson": poisson_kernel([0.1, -0.2, 0.4]),
    "mixture": mixture(
        [(3.0, uniform(3)), (1.0, mixture([(1.0, poisson_kernel([0.5, 0.0, 0.0])), (2.0, uniform(3))]))]
    ),
}


def random_points(dim, n=40, seed=1):
    x = np.random.default_rng(seed).normal(size=(n, dim))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def moments(density, degree=180):
    points, weights = sphere_rule(density.dim, degree)
    values = weights * density(points)
    return values.sum(), values @ points


@pytest.mark.parametrize("density", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_integral_is_one(density):
    assert abs(moments(density)[0] - 1.0) < 5e-14  # the nodes of the rule carry 1e-14 themselves


@pytest.mark.parametrize("density", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_parameters_rebuild_the_density_through_json_and_configuration(density):
    x = random_points(density.dim)
    parameters = json.loads(json.dumps(density.parameters))
    rebuilt = density_from_config(density.dim, parameters)
    assert rebuilt.parameters == density.parameters
    assert np.array_equal(rebuilt(x), density(x))
    tables = {
        "model": {"dim": density.dim, "beta": 1.0},
        "initial": parameters,
        "space": {"lmax": 9},
        "time": {"until": 1},
    }
    assert np.array_equal(density_from_config(density.dim, parse_config(tables).to_dict()["initial"])(x), density(x))


def test_values_have_the_shape_of_the_points():
    density = EXAMPLES["poisson"]
    x = random_points(3, 12)
    assert density(x.reshape(3, 4, 3)).shape == (3, 4)
    assert np.array_equal(density(x.reshape(3, 4, 3)).ravel(), density(x))
    assert density(x[0]).shape == () and density(x[0]) == density(x)[0]
    assert density(np.empty((0, 3))).shape == (0,)


def test_repr_names_family_and_parameters():
    text = repr(von_mises_fisher([0.0, 1.0], 2.5))
    assert "von_mises_fisher" in text and "S^1" in text and "concentration=2.5" in text and "0x" not in text


@pytest.mark.parametrize("kappa", [1e-20, 0.3, 30.0, 3e3])
def test_von_mises_fisher_mean_length(kappa):
    circle, sphere = von_mises_fisher([0.6, 0.8], kappa), von_mises_fisher([0.0, 5.0, 0.0], kappa)
    assert moments(circle, 1500)[1] == pytest.approx(ive(1, kappa) / ive(0, kappa) * np.array([0.6, 0.8]), abs=1e-13)
    langevin = kappa / 3.0 if kappa < 1e-3 else 1.0 / np.tanh(kappa) - 1.0 / kappa
    assert moments(sphere, 500)[1] == pytest.approx([0.0, langevin, 0.0], abs=1e-12)


def test_sharp_von_mises_fisher_neither_overflows_nor_cancels():
    kappa = 1e4
    pole, angle = np.array([0.0, 0.0, 1.0]), 0.03
    density = von_mises_fisher(pole, kappa)
    away = np.array([np.sin(angle), 0.0, np.cos(angle)])
    assert density(pole) == pytest.approx(kappa / (2 * np.pi), rel=1e-15)
    assert density(away) / density(pole) == pytest.approx(np.exp(-2 * kappa * np.sin(angle / 2) ** 2), rel=1e-13, abs=0)
    assert density(-pole) == 0.0
    assert abs(moments(von_mises_fisher([0.6, 0.8], kappa), 2000)[0] - 1.0) < 2e-14
    assert np.isfinite(von_mises_fisher([1.0, 0.0], 1e300)(np.array([1.0, 0.0])))


@pytest.mark.parametrize("direction", [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.6, 0.0, -0.8], [0.0, 1.0], [-0.8, 0.6]])
@pytest.mark.parametrize("kappa", [0.5, 50.0, 300.0])
def test_fisher_bingham_without_quadratic_part_is_von_mises_fisher(direction, kappa):
    dim = len(direction)
    # a multiple of the identity and an antisymmetric part change nothing
    quadratic = 3.0 * np.eye(dim) + np.eye(dim, k=1) - np.eye(dim, k=-1)
    bumped = fisher_bingham(kappa * np.array(direction), quadratic)
    near = np.array(direction) + 0.03 * random_points(dim)
    x = np.concatenate([near / np.linalg.norm(near, axis=1, keepdims=True), random_points(dim)])
    expected = von_mises_fisher(direction, kappa)(x)
    assert np.all(np.abs(bumped(x) - expected) <= 1e-12 * expected + 1e-290)


def test_fisher_bingham_is_the_exponential_of_its_form():
    b, Q = np.array([1.0, -2.0, 0.5]), np.array([[3.0, 1.0, 0.0], [0.0, -2.0, 4.0], [0.0, 1.0, 0.0]])
    x = random_points(3)
    form = x @ b + np.einsum("ni,ij,nj->n", x, Q, x)
    assert np.log(fisher_bingham(b, Q)(x)) - form == pytest.approx(
        np.full(len(x), np.log(fisher_bingham(b, Q)(x[0])) - form[0])
    )


def test_fisher_bingham_with_two_equal_peaks():
    density = fisher_bingham([0.0, 0.0, 0.0], np.diag([0.0, 0.0, 100.0]))
    pole = np.array([0.0, 0.0, 1.0])
    assert density(pole) == density(-pole)
    assert density(pole) == pytest.approx(100.0 / (2 * np.pi) * (1 - 1 / 200.0), rel=1e-3)  # Laplace's method


def test_polynomial_values_and_exact_limit_of_positivity():
    x = random_points(3)
    density = polynomial([0.2, 0.0, 0.0], np.diag([0.0, 0.3, 0.0]))
    assert density(x) == pytest.approx((1 + 0.2 * x[:, 0] + 0.3 * x[:, 1] ** 2) / (4 * np.pi * 1.1), rel=1e-14)
    polynomial([0.0, 0.6, 0.8 - 1e-9], np.zeros((3, 3)))
    with pytest.raises(InputError, match=r"minimum -1e-0?9"):
        polynomial([0.0, 1.0 + 1e-9, 0.0], np.zeros((3, 3)))
    with pytest.raises(InputError, match=r"minimum -0\.25"):  # two opposite minima
        polynomial([0.0, 0.0], [[0.0, 0.0], [0.0, -1.25]])


@pytest.mark.parametrize(
    ("degree", "order", "formula"),
    [
        (1, 0, lambda x, y, z: np.sqrt(3 / (4 * np.pi)) * z),
        (1, 1, lambda x, y, z: np.sqrt(3 / (4 * np.pi)) * x),
        (1, -1, lambda x, y, z: np.sqrt(3 / (4 * np.pi)) * y),
        (2, 1, lambda x, y, z: np.sqrt(15 / (4 * np.pi)) * x * z),
        (2, -2, lambda x, y, z: np.sqrt(15 / (4 * np.pi)) * x * y),
        (3, 3, lambda x, y, z: np.sqrt(35 / (32 * np.pi)) * (x**3 - 3 * x * y**2)),
    ],
)
def test_harmonics_on_the_sphere_have_no_condon_shortley_phase(degree, order, formula):
    x = random_points(3)
    density = harmonics(3, [{"degree": degree, "order": order, "amplitude": 0.5}])
    assert density(x) == pytest.approx((1 + 0.5 * formula(*x.T)) / (4 * np.pi), rel=1e-14)


def test_harmonics_on_the_circle_and_modes_that_add_up():
    x = random_points(2)
    theta = np.arctan2(x[:, 1], x[:, 0])
    density = harmonics(2, [{"degree": 3, "cos": 0.2}, {"degree": 3, "cos": 0.1, "sin": -0.4}])
    assert density(x) == pytest.approx((1 + 0.3 * np.cos(3 * theta) - 0.4 * np.sin(3 * theta)) / (2 * np.pi), rel=1e-13)


@pytest.mark.parametrize(
    ("dim", "modes"),
    [
        (2, [{"degree": 5, "cos": 0.6, "sin": 0.8}]),
        (3, [{"degree": 1, "order": -1, "amplitude": np.sqrt(4 * np.pi / 3)}]),
        (3, [{"degree": 4, "order": 0, "amplitude": 0.0}]),
    ],
)
def test_harmonics_may_touch_zero_but_not_cross_it(dim, modes):
    density = harmonics(dim, modes)
    assert density(sphere_rule(dim, 200)[0]).min() >= 0.0
    name = "cos" if dim == 2 else "amplitude"
    with pytest.raises(InputError, match=r"harmonics.*minimum -"):
        harmonics(dim, [{**modes[0], name: 4.0 if modes[0][name] == 0 else modes[0][name] * (1 + 1e-6)}])


def test_harmonics_never_return_a_negative_round_off():
    assert harmonics(2, [{"degree": 1, "cos": 1 + 5e-13}])([-1.0, 0.0]) == 0.0


def test_harmonics_search_finds_the_lower_of_many_dips():
    # the dip at π falls between two nodes of the search grid and the one at 0 on a node, but it is the lower one
    with pytest.raises(InputError, match=r"minimum -0\.001;"):
        harmonics(2, [{"degree": 2, "cos": -0.999}, {"degree": 1, "cos": 0.002}])
    # cos 40 θ dips 40 times; cos θ brings the two dips beside π down to 0.0015
    modes = [{"degree": 40, "cos": 0.5}, {"degree": 1, "cos": 0.5}]
    with pytest.raises(InputError, match="minimum -"):
        harmonics(2, [*modes, {"degree": 41, "cos": -0.01}])
    harmonics(2, modes)


@pytest.mark.parametrize(("length", "mean"), [(0.1, 0.133066), (0.5, 0.632031), (0.9, 0.972749)])
def test_poisson_kernel_mean_on_the_sphere(length, mean):
    assert moments(poisson_kernel([0.0, length, 0.0]), 400)[1] == pytest.approx([0.0, mean, 0.0], abs=1e-6)


def test_poisson_kernel_on_the_circle_has_geometric_coefficients():
    n, r = 4096, 0.97
    angle = 2 * np.pi * np.arange(n) / n
    values = poisson_kernel([r, 0.0])(np.stack([np.cos(angle), np.sin(angle)], axis=1))
    assert np.fft.rfft(values).real[:50] * 2 * np.pi / n == pytest.approx(r ** np.arange(50), abs=1e-13)


def test_poisson_kernel_next_to_the_boundary_does_not_cancel():
    w = [0.6 * (1 - 1e-10), 0.8 * (1 - 1e-10)]
    length = (Decimal(w[0]) ** 2 + Decimal(w[1]) ** 2).sqrt()
    antipode = float((1 - length) / (1 + length)) / (2 * np.pi)
    assert poisson_kernel(w)([-0.6, -0.8]) == pytest.approx(antipode, rel=1e-14, abs=0)


def test_mixture_averages_with_relative_weights():
    first, second = EXAMPLES["poisson"], EXAMPLES["von mises"]
    x = random_points(3)
    assert mixture([(1.0, first), (3.0, second)])(x) == pytest.approx(0.25 * first(x) + 0.75 * second(x), rel=1e-14)


@pytest.mark.parametrize("direction", [[0.8, 0.6, 0.0], [0.6, -0.8]])
def test_from_callable_normalises(direction):
    w = np.array(direction)
    wrapped = from_callable(lambda x: 7.0 * np.exp(40.0 * (x @ w)), len(w))
    x = random_points(len(w))
    assert wrapped(x) == pytest.approx(von_mises_fisher(w, 40.0)(x), rel=5e-14)
    assert wrapped.parameters == {"family": "callable"} and "callable" in repr(wrapped)


def test_from_callable_does_not_stop_before_a_kinked_density_is_settled():
    cubic = from_callable(lambda x: np.abs(x[:, 0]) ** 3, 2)
    assert cubic([1.0, 0.0]) == pytest.approx(3.0 / 8.0, rel=2e-13)


def test_from_callable_checks_every_evaluation():
    narrow = from_callable(lambda x: np.where(np.abs(x[:, 0] - 0.123456789) < 1e-12, -1.0, 1.0), 2)
    with pytest.raises(InputError, match="callable: got -1 at"):
        narrow([0.123456789, np.sqrt(1 - 0.123456789**2)])


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: uniform(4), "uniform: dim is 4; expected 2 or 3"),
        (lambda: von_mises_fisher([1.0, 0.0, 0.0, 0.0], 1.0), "von_mises_fisher: mean.*2 or 3 finite numbers"),
        (lambda: von_mises_fisher([0.0, 0.0], 1.0), "mean is zero"),
        (lambda: von_mises_fisher([1.0, np.nan], 1.0), "mean.*finite"),
        (lambda: von_mises_fisher([1.0, 0.0], -1.0), "concentration is -1; expected >= 0"),
        (lambda: von_mises_fisher([1.0, 0.0], "high"), "concentration is 'high'"),
        (lambda: von_mises_fisher([1.0, 0.0], np.inf), "concentration is inf"),
        (lambda: fisher_bingham([1.0, 0.0, 0.0], np.eye(2)), "quadratic has shape .*expected .3, 3."),
        (lambda: fisher_bingham([1.0, 0.0], [[1.0, 2.0], [3.0]]), "fisher_bingham: quadratic"),
        (lambda: fisher_bingham([1e6, 0.0], np.zeros((2, 2))), "too sharp"),
        (lambda: fisher_bingham([0.0, 1e6, 0.0], np.zeros((3, 3))), "too sharp"),
        (lambda: polynomial([2.0, 0.0, 0.0], np.zeros((3, 3))), "polynomial.*minimum -1;"),
        (lambda: poisson_kernel([0.6, 0.8]), "offset has length 1; expected < 1"),
        (lambda: harmonics(4, []), "harmonics: dim is 4"),
        (lambda: harmonics(3, [{"degree": 1, "cos": 1.0}]), "modes.0.*degree, order, amplitude"),
        (lambda: harmonics(2, [{"degree": 1, "order": 1, "amplitude": 1.0}]), "modes.0.*degree, cos, sin"),
        (lambda: harmonics(2, [{"degree": 1}, {"degree": 0, "cos": 0.1}]), "modes.1.*degree >= 1"),
        (lambda: harmonics(3, [{"degree": 1, "order": 2, "amplitude": 0.1}]), "order.* <= degree"),
        (lambda: harmonics(3, [{"degree": 1, "order": 1, "amplitude": "a"}]), "modes.0.amplitude is 'a'"),
        (lambda: mixture([]), "mixture.*one or more"),
        (lambda: mixture([(0.0, uniform(2))]), "mixture.*weights > 0"),
        (lambda: mixture([(1.0, uniform(2)), (1.0, uniform(3))]), "all on one sphere"),
        (lambda: from_callable(lambda x: x[:, 0], 3), "callable: got -.*finite numbers >= 0"),
        (lambda: from_callable(lambda x: np.full(len(x), np.nan), 2), "callable: got nan"),
        (lambda: from_callable(lambda x: x, 2), "callable: got shape .257, 2."),
        (lambda: from_callable(lambda x: np.sqrt(np.abs(x[:, 0])), 2), "callable: too sharp"),
        (lambda: from_callable(lambda x: np.zeros(len(x)), 2), "callable: too sharp"),
        (lambda: from_callable(lambda x: np.ones(len(x)), 5), "expected dim 2 or 3"),
        (lambda: density_from_config(3, {}), "initial.family is None"),
        (lambda: density_from_config(3, {"family": "file", "path": "run.h5"}), "initial.family is 'file'"),
        (lambda: density_from_config(3, {"family": "uniform", "mean": [1.0]}), "initial.mean"),
        (
            lambda: density_from_config(3, {"family": "von_mises_fisher", "mean": [1.0, 0.0, 0.0]}),
            "initial.concentration",
        ),
        (lambda: density_from_config(3, {"family": "poisson_kernel", "offset": [0.1, 0.2]}), "length 2; expected 3"),
        (
            lambda: density_from_config(2, {"family": "mixture", "component": [{"family": "uniform"}]}),
            "weight 0 is None",
        ),
        (lambda: uniform(3)([1.0, 0.0]), r"points of shape \(\.\.\., 3\)"),
        (lambda: uniform(3)([1.0, 0.0, 0.1]), "unit vectors"),
        (lambda: uniform(3)([1.0, 0.0, np.nan]), "unit vectors"),
    ],
)
def test_wrong_input_is_one_sentence(build, words):
    with pytest.raises(InputError, match=words) as caught:
        build()
    assert "\n" not in str(caught.value)


def test_absent_parts_of_a_configuration_are_zero():
    x = random_points(2)
    partial = density_from_config(2, {"family": "fisher_bingham", "linear": [3.0, 0.0], "quadratic": None})
    assert partial(x) == pytest.approx(von_mises_fisher([1.0, 0.0], 3.0)(x), rel=1e-13)
