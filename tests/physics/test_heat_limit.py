"""C8 and C9: as β → ∞ repulsive attention is diffusion, with an error of order 1/β."""

import numpy as np
from physics_helpers import number, orders, space_of
from scipy.integrate import solve_ivp
from scipy.special import i0

from spherepde import exact
from spherepde.attention import Softmax, Unnormalised
from spherepde.densities import harmonics
from spherepde.equation import ContinuityEquation
from spherepde.heads import Head
from spherepde.simulation import Simulation

BETAS = {Softmax: (20.0, 40.0, 80.0, 160.0, 320.0), Unnormalised: (15.0, 30.0, 60.0, 120.0, 240.0)}
S_END = 0.3
START = [{"degree": 1, "cos": 0.6}, {"degree": 2, "cos": 0.3 * np.cos(1.0), "sin": -0.3 * np.sin(1.0)}]  # 2πρ₀ − 1


COEFFICIENTS = np.array([1.0, 0.3, 0.15 * np.exp(1j)])  # ρ₀ = (1 + 0.6 cos θ + 0.3 cos(2θ + 1))/2π


def solution(space, model, beta, time):
    """Nodal values from the datum of C8, for V = −I and B = I."""
    equation = ContinuityEquation(space, model(Head(-np.eye(2), beta=beta)))
    sim = Simulation(equation, harmonics(2, START), rtol=1e-9, progress=False)
    np.testing.assert_allclose(sim.state[:3], COEFFICIENTS, rtol=0.0, atol=1e-15)
    result = sim.run(until=time)
    assert result.status == "done", result.reason
    return space.to_nodal(result.state)


def report(name, betas, errors):
    print(f"TABLE {name}: " + ", ".join(f"beta {b:g}: {e:.3e}" for b, e in zip(betas, errors, strict=True)))
    for beta, order in zip(betas[1:], orders(errors), strict=True):
        number(f"{name}, order in 1/beta at beta={beta:g}", order, 1.0, atol=1.0 / beta)


def test_softmax_tends_to_the_heat_equation():
    space, betas = space_of(2, 63), BETAS[Softmax]
    truth = exact.heat_circle(COEFFICIENTS, S_END, space.theta)
    errors = [space.integrate(np.abs(solution(space, Softmax, beta, beta * S_END) - truth)) for beta in betas]
    report("heat limit S1", betas, errors)


def porous_medium(theta, time):
    """∂_s ρ = ½ Δ(2π ρ²) by plain Fourier collocation, sharing nothing with the solver."""
    n, wave = 96, np.fft.rfftfreq(96, 1.0 / 96)
    grid = 2.0 * np.pi * np.arange(n) / n
    start = exact.heat_circle(COEFFICIENTS, 0.0, grid)

    def rate(_, rho):
        return np.fft.irfft(-(wave**2) * np.fft.rfft(np.pi * rho**2), n)

    end = solve_ivp(rate, (0.0, time), start, method="DOP853", rtol=1e-11, atol=1e-13).y[:, -1]
    modes = np.fft.rfft(end) / n
    return modes[0].real + 2.0 * np.real(np.exp(1j * np.multiply.outer(theta, wave[1:-1])) @ modes[1:-1])


def test_unnormalised_tends_to_the_porous_medium_equation():
    space, betas = space_of(2, 63), BETAS[Unnormalised]
    truth = porous_medium(space.theta, S_END)
    times = {beta: beta * S_END / i0(beta) for beta in betas}
    errors = [space.integrate(np.abs(solution(space, Unnormalised, beta, times[beta]) - truth)) for beta in betas]
    report("porous medium limit S1", betas, errors)
