"""C28: the density and plain interacting tokens, which share no code, agree as the number of tokens grows."""

from functools import cache

import numpy as np
import pytest
from physics_helpers import bounded, number, space_of

from spherepde import tokens
from spherepde.attention import Softmax
from spherepde.densities import fisher_bingham
from spherepde.equation import ContinuityEquation
from spherepde.heads import Head
from spherepde.simulation import Simulation

QUADRATIC = np.array([[0.0, 0.3, 0.2], [0.3, 0.0, 0.0], [0.2, 0.0, 0.0]])
START = {dim: fisher_bingham([0.3, 0.6, -0.2][:dim], QUADRATIC[:dim, :dim]) for dim in (2, 3)}
SHEAR = np.array([[0.8, 0.4, -0.2], [-0.3, 0.4, 0.1], [0.2, 0.5, -0.4]])

CIRCLE = Head([[0.8, 0.3], [-0.2, 0.4]], beta=8.0)
SPHERE = Head(np.diag([1.0, 0.4, -0.3]), beta=6.0)
TWO_HEADS = {  # one B of each pair is singular, none is symmetric or a scaled rotation
    2: [
        Head(SHEAR[:2, :2], Q=[[1.2, -0.4]], K=[[0.9, 0.7]], beta=5.0),
        Head([[-0.5, 0.2], [0.1, 0.6]], Q=[[0.8, 0.3], [-0.5, 1.0]], K=[[1.0, 0.1], [0.4, 0.7]], beta=4.0),
    ],
    3: [
        Head(SHEAR, Q=[[0.8, 0.2, -0.5], [0.1, -0.7, 0.4]], K=[[0.6, -0.3, 0.4], [0.2, 0.9, 0.1]], beta=2.0),
        Head(np.diag([-0.5, 0.6, 0.2]), Q=np.diag([1.0, 0.5, 0.8]), K=SHEAR + 0.5 * np.eye(3), beta=1.5),
    ],
}


def _stacked(mean, second):
    return np.concatenate([mean, second.ravel()])


@cache
def density_moments(which, until, lmax, rtol=1e-12):
    """Mean and second moment of the density at time ``until``, as one row."""
    dim, model = {
        "circle": (2, Softmax(CIRCLE)),
        "sphere": (3, Softmax(SPHERE)),
        "two heads on the circle": (2, Softmax(TWO_HEADS[2], combine="mean")),
        "two heads on the sphere": (3, Softmax(TWO_HEADS[3], combine="mean")),
    }[which]
    sim = Simulation(ContinuityEquation(space_of(dim, lmax), model), START[dim], rtol=rtol, progress=False)
    result = sim.run(until=until)
    assert result.status == "done"
    return _stacked(result.values["mean"], result.values["second_moment"])


def token_moments(heads, start, until, weights=None, rtol=1e-10, combine="sum"):
    end = tokens.simulate_tokens(heads, start, [until], weights, combine=combine, rtol=rtol, atol=0.01 * rtol)[0]
    return _stacked(*tokens.moments(end, weights))


def largest_difference(heads, start, until, density, **options):
    return float(np.abs(token_moments(heads, start, until, **options) - density).max())


def table(name, sizes, errors):
    print(f"TABLE {name}: " + ", ".join(f"N {n}: {e:.1e}" for n, e in zip(sizes, errors, strict=True)))


# ---- the circle, tokens at quantiles


def test_circle_quantiles_converge_faster_than_any_power():
    """Quantiles are the midpoint rule in the mass coordinate: spectral for a smooth positive density."""
    density = density_moments("circle", 1.0, 127)
    sizes = (8, 16, 32, 64)
    errors = [largest_difference(CIRCLE, tokens.circle_quantiles(START[2], n), 1.0, density) for n in sizes]
    table("tokens S1 quantiles", sizes, errors)
    powers = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all(powers > 1.0), powers
    assert np.all(np.diff(powers) > 0.0), powers
    bounded("tokens S1 quantiles, N=64: difference of moments", errors[-1], 1e-7)


@pytest.mark.parametrize(
    "count", [250, 500, 1000, pytest.param(2000, marks=pytest.mark.slow), pytest.param(4000, marks=pytest.mark.slow)]
)
def test_circle_quantiles_agree(count):
    density = density_moments("circle", 1.0, 127)
    difference = largest_difference(CIRCLE, tokens.circle_quantiles(START[2], count), 1.0, density)
    bounded(f"tokens S1 quantiles, N={count}: difference of moments", difference, 1e-10)


# ---- the sphere


def root_mean_square(count, seeds, density, until=1.0):
    """Root mean square difference over seeds and moments."""
    samples = [tokens.sample_tokens(START[3], 3, count, seed) for seed in range(seeds)]
    differences = np.array([token_moments(SPHERE, x, until, rtol=1e-5) - density for x in samples])
    return float(np.sqrt(np.mean(differences**2)))


def test_independent_tokens_on_the_sphere_converge_like_one_over_root_n():
    density = density_moments("sphere", 1.0, 63)
    sizes = (96, 192, 384, 768)
    errors = [root_mean_square(n, 16, density) for n in sizes]
    table("tokens S2 independent, 16 seeds", sizes, errors)
    slope = -np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    number("tokens S2 independent: order in N", slope, 0.5, atol=0.1)


@pytest.mark.slow
def test_five_thousand_independent_tokens():
    density = density_moments("sphere", 1.0, 63)
    small, large = root_mean_square(768, 16, density), root_mean_square(5000, 4, density)
    number("tokens S2 independent: order in N, 768 to 5000", np.log(small / large) / np.log(5000 / 768), 0.5, atol=0.2)


def gauss_differences(heads, density, degrees, until, dim=3, **options):
    differences, sizes = [], []
    for degree in degrees:
        start, weights = tokens.gauss_tokens(START[dim], degree, dim)
        sizes.append(len(start))
        differences.append(largest_difference(heads, start, until, density, weights=weights, **options))
    return sizes, differences


def test_weighted_gauss_tokens_on_the_sphere_converge_fast():
    density = density_moments("sphere", 1.0, 63)
    sizes, differences = gauss_differences(SPHERE, density, (8, 16, 32, 48), 1.0)
    table("tokens S2 Gauss nodes", sizes, differences)
    for few, many in ((0, 1), (1, 2), (2, 3)):
        power = np.log(differences[few] / differences[many]) / np.log(sizes[many] / sizes[few])
        assert power > 2.0 + few * 0.5, "faster than any fixed power, far from N^-1/2"
    bounded(f"tokens S2 Gauss nodes, N={sizes[-1]}: difference of moments", differences[-1], 1e-6)


@pytest.mark.slow
def test_five_thousand_gauss_tokens():
    density = density_moments("sphere", 1.0, 95)
    sizes, differences = gauss_differences(SPHERE, density, (72, 98), 1.0)
    table("tokens S2 Gauss nodes", sizes, differences)
    bounded(f"tokens S2 Gauss nodes, N={sizes[-1]}: difference of moments", differences[-1], 2e-9)


# ---- several general heads, through the quadrature path


def test_two_general_heads_on_the_circle():
    density = density_moments("two heads on the circle", 1.0, 95)
    sizes, differences = gauss_differences(TWO_HEADS[2], density, (31, 63, 127, 255), 1.0, dim=2, combine="mean")
    table("tokens S1 two general heads", sizes, differences)
    bounded(f"tokens S1 two general heads, N={sizes[-1]}: difference of moments", differences[-1], 1e-10)


def test_two_general_heads_on_the_sphere():
    density = density_moments("two heads on the sphere", 0.5, 17, rtol=1e-7)
    sizes, differences = gauss_differences(TWO_HEADS[3], density, (12, 20, 32), 0.5, combine="mean")
    table("tokens S2 two general heads", sizes, differences)
    bounded(f"tokens S2 two general heads, N={sizes[-1]}: difference of moments", differences[-1], 1e-9)
