"""C12, C32: perturbations of the uniform density grow at the Funk–Hecke rates, of several heads at their sum."""

import numpy as np
import pytest
from physics_helpers import evolve, number, perturbation, space_of, uniform_state
from scipy.special import ive

from spherepde import exact
from spherepde.attention import Softmax, Unnormalised
from spherepde.densities import harmonics
from spherepde.equation import ContinuityEquation
from spherepde.heads import Head
from spherepde.simulation import Simulation

MODELS = {"softmax": Softmax, "unnormalised": Unnormalised}
DEGREES = np.arange(1, 7)
LMAX = 47  # the damping of degree 6 is 500·(6/47)^16 = 3e-12 per unit time


def measured_rates(equation, time, amplitude=1e-6, steps=60):
    """Rates of degrees 1…6, all excited at once, and their spread over the orders of a degree.

    Runs from ±amplitude are subtracted, so that what modes do to each other enters at relative size amplitude² only.
    """
    space = equation.space
    bump = amplitude * uniform_state(space)[0] * perturbation(space, DEGREES)
    up, down = (evolve(equation, uniform_state(space) + sign * bump, time, steps) for sign in (1.0, -1.0))
    here = bump != 0.0
    growth = np.log((up - down)[here] / (2.0 * bump[here])) / time
    rates, degree = growth.real, space.degree[here]
    assert np.max(np.abs(growth.imag)) <= 1e-10 * np.max(np.abs(rates)), "phases must not turn"
    middle = np.array([rates[degree == l].mean() for l in DEGREES])
    spread = np.array([np.ptp(rates[degree == l]) for l in DEGREES])
    return middle, spread


def check(dim, attention, beta, diffusion_fraction=0.0, sign=1.0, backend="auto", tag=""):
    top = exact.growth_rate(dim, beta, DEGREES, attention).max()
    diffusion = diffusion_fraction * top
    space = space_of(dim, LMAX, backend)
    model = MODELS[attention](Head(sign * np.eye(dim), beta=beta))
    equation = ContinuityEquation(space, model, diffusion=diffusion)
    expected = sign * exact.growth_rate(dim, beta, DEGREES, attention, sign * diffusion)
    rates, spread = measured_rates(equation, 1.0 / np.max(np.abs(expected)))
    for l, rate, target in zip(DEGREES, rates, expected, strict=True):
        number(f"growth S{dim - 1} {attention} beta={beta:g}{tag} degree {l}", rate, target, rtol=2e-7)
    assert np.max(spread / np.abs(expected)) <= 4e-7, "all orders of a degree grow alike"


@pytest.mark.parametrize("beta", [1.0, 5.0, 10.0])
@pytest.mark.parametrize("attention", MODELS)
@pytest.mark.parametrize("dim", [2, 3])
def test_growth_rate(dim, attention, beta):
    check(dim, attention, beta)


@pytest.mark.parametrize("attention", MODELS)
@pytest.mark.parametrize("dim", [2, 3])
def test_growth_rate_with_diffusion(dim, attention):
    check(dim, attention, 5.0, diffusion_fraction=0.07, tag=" with diffusion")


@pytest.mark.parametrize("dim", [2, 3])
def test_decay_rate_of_repulsion(dim):
    check(dim, "softmax", 5.0, sign=-1.0, tag=" V=-I")


def test_growth_rate_with_the_other_backend():
    check(3, "softmax", 5.0, backend="ducc0", tag=" ducc0")


def rate_of_heads(dim, attention, combine, scales, betas):
    r"""Heads V = B = m I: :math:`\gamma_l=l(l+d-2)\sum_h\lambda_l(\beta_hm_h)/\beta_h`, softmax each over its own λ₀.

    λ_l(κ) ∝ κ^{1−d/2} I_{l+d/2−1}(κ), normalised to a kernel of mean λ₀ over the sphere; it has the parity of l in κ.
    """
    order, total = 0.5 * dim - 1.0, np.zeros(len(DEGREES))
    for m, beta in zip(scales, betas, strict=True):
        kappa = beta * abs(m)
        ratio = np.sign(m) ** DEGREES * ive(DEGREES + order, kappa) / ive(order, kappa)
        zeroth = np.sinh(kappa) / kappa if dim == 3 else ive(0, kappa) * np.exp(kappa)
        total += ratio / beta * (1.0 if attention == "softmax" else zeroth)
    return DEGREES * (DEGREES + dim - 2) * total / (1.0 if combine == "sum" else len(scales))


@pytest.mark.parametrize("combine", ["sum", "mean"])
@pytest.mark.parametrize("attention", MODELS)
@pytest.mark.parametrize("dim", [2, 3])
def test_growth_rate_of_several_heads(dim, attention, combine):
    """Three radial heads, one attending to the opposite side, at two temperatures."""
    scales, betas = (1.0, 0.4, -0.7), (4.0, 4.0, 6.0)
    heads = [Head(m * np.eye(dim), m * np.eye(dim), beta=beta) for m, beta in zip(scales, betas, strict=True)]
    equation = ContinuityEquation(space_of(dim, LMAX), MODELS[attention](heads, combine=combine))
    expected = rate_of_heads(dim, attention, combine, scales, betas)
    rates, spread = measured_rates(equation, 1.0 / np.max(np.abs(expected)))
    for l, rate, target in zip(DEGREES, rates, expected, strict=True):
        number(f"C32 S{dim - 1} {attention}, {combine} of 3 heads, degree {l}", rate, target, rtol=1e-8)
    assert np.max(spread / np.abs(expected)) <= 2e-8, "all orders of a degree grow alike"


@pytest.mark.parametrize(
    ("dim", "attention", "listed"),
    [
        (2, "softmax", 0.68267833),
        (2, "unnormalised", 18.59607),
        (3, "softmax", 0.67234869),
        (3, "unnormalised", 9.9780862),
    ],
)
def test_perturbed_density_through_a_whole_simulation(dim, attention, listed):
    """Degree 3 at β = 5, the fastest growing, from a density to adaptive steps; the literature lists eight digits."""
    mode = {"degree": 3, "cos": 8e-6, "sin": 6e-6} if dim == 2 else {"degree": 3, "order": 2, "amplitude": 1e-5}
    model = ContinuityEquation(space_of(dim, LMAX), MODELS[attention](Head(np.eye(dim), beta=5.0)))
    sim = Simulation(model, harmonics(dim, [mode]), rtol=1e-11, progress=False)
    mode_at = np.flatnonzero(np.abs(sim.state) > 1e-8)[1]
    start, time = sim.state[mode_at], 2.0 / listed
    result = sim.run(until=time)
    assert (result.status, result.time) == ("done", time)
    rate = np.log(np.abs(result.state[mode_at] / start)) / time
    number(f"growth S{dim - 1} {attention} beta=5 degree 3, Simulation", rate, listed, rtol=1e-7)
    number(
        f"growth S{dim - 1} {attention} beta=5 degree 3, Simulation (exact)",
        rate,
        float(exact.growth_rate(dim, 5.0, 3, attention)),
        rtol=1e-8,
    )
