"""Heads that change with time: the order survives the jumps, and exact solutions of time-dependent flows are met."""

import numpy as np
import pytest
from physics_helpers import bounded, number, orders, space_of
from scipy.integrate import quad, solve_ivp

from spherepde import ContinuityEquation, Hardmax, Head, Simulation, Softmax, exact, fisher_bingham
from spherepde.schedules import Layers
from spherepde.steppers import TABLEAUX, FixedStep, imex_step, march
from spherepde.tokens import gauss_tokens, moments, simulate_tokens, token_velocity

SEEDS = {2: 3, 3: 4}


def start(dim):
    return fisher_bingham([0.3, 0.6, -0.2][:dim], np.zeros((dim, dim)))


def random_head(rng, dim, beta=1.0, size=0.3):
    return Head(size * rng.normal(size=(dim, dim)), np.linalg.qr(rng.normal(size=(dim, dim)))[0], beta=beta)


def run(space, attention, until, rho0=None, **options):
    model = ContinuityEquation(space, attention, damping=0.0)
    options = options or {"rtol": 1e-10}
    result = Simulation(model, rho0 or start(space.dim), progress=False, save_every=until, **options).run(until)
    assert result.status == "done", result.reason
    return result.state


def through(heads, durations, density):
    """The exact density behind hardmax layers: one projective flow after the other."""
    if not len(heads):
        return density
    before = through(heads[:-1], durations[:-1], density)
    return lambda x: exact.hardmax_density(heads[-1], before, durations[-1], x)


class Careless:
    """An equation whose heads jump wherever a stage happens to stand, as if nobody knew of the breaks."""

    def __init__(self, equation):
        self._equation = equation
        self.implicit_terms, self.implicit_inverse = equation.implicit_terms, equation.implicit_inverse

    def explicit_terms(self, u, t, out):
        self._equation.enter(t)
        return self._equation.explicit_terms(u, t, out)


@pytest.mark.parametrize("dim", [2, 3])
def test_order_four_survives_the_jumps_that_are_hit_and_no_others(dim):
    rng = np.random.default_rng(SEEDS[dim])
    heads = [random_head(rng, dim) for _ in range(3)]
    edges, until = [0.0, 0.3, 0.75, 1.0], 1.0
    space = space_of(dim, 63 if dim == 2 else 47)
    truth = through(heads, np.diff(edges), start(dim))(space.points.reshape(-1, dim)).reshape(space.shape)
    attention = Hardmax(Layers(heads, times=edges))

    def error(u):
        return np.abs(space.to_nodal(u) - truth).max()

    # equal steps of 1/19 would miss the jumps; landing on them makes it 6, 9 and 5 steps, at 1/38 twice as many
    hit = orders([error(run(space, attention, until, dt=until / n)) for n in (19, 38)])
    number(f"order through two jumps, S^{dim - 1}", hit[-1], 4.0, atol=0.2)

    def carelessly(n):
        equation = ContinuityEquation(space, attention, damping=0.0)
        u = space.project(start(dim))
        for accepted in march(
            imex_step(Careless(equation), TABLEAUX["ark436"]), equation.norm, FixedStep(until / n), u, 0.0, until
        ):
            u = accepted.state
        return error(u)

    steps = (13, 17, 21, 27, 33, 39, 47, 57, 67, 79, 93)  # 0.3 n and 0.75 n are whole for none of them
    slope = np.polyfit(np.log(steps), -np.log([carelessly(n) for n in steps]), 1)[0]
    number(f"order when the jumps are missed, S^{dim - 1}", slope, 1.0, atol=0.5)


@pytest.mark.parametrize("kind", ["layers", "interpolated", "function"])
def test_order_four_of_softmax_in_every_kind_of_schedule(kind):
    rng = np.random.default_rng(8)
    heads = [[random_head(rng, 2, beta=beta) for beta in betas] for betas in ((3.0, 6.0), (5.0, 2.0))]
    left, right = heads

    def smooth(t):
        share = np.sin(t)
        return [Head(a.V + share * b.V, a.B, beta=a.beta + share) for a, b in zip(left, right, strict=True)]

    schedule = {
        "layers": Layers(heads, times=[0.0, 0.4, 1.0]),
        "interpolated": Layers([right, *heads], times=[-0.6, 0.4, 1.4], interpolate=True),
        "function": smooth,
    }[kind]
    space = space_of(2, 47)
    attention = Softmax(schedule, combine="mean")
    coarse, middle, fine = (run(space, attention, 1.0, dt=1.0 / n) for n in (20, 40, 80))
    order = orders([np.abs(coarse - middle).max(), np.abs(middle - fine).max()])[0]
    number(f"order of softmax, {kind}", order, 4.0, atol=0.2)


@pytest.mark.parametrize("dim", [2, 3])
def test_linear_v_of_t_is_a_change_of_time_of_the_projective_flow(dim):
    V = random_head(np.random.default_rng(SEEDS[dim]), dim).V
    schedule = Layers([Head(0.4 * V), Head(1.2 * V)], times=[0.2, 1.2], interpolate=True)
    until = 1.5
    passed = 0.4 * 0.2 + (0.4 + 1.2) / 2.0 * 1.0 + 1.2 * 0.3  # constant, linear, constant
    space = space_of(dim, 63 if dim == 2 else 47)
    points = space.points.reshape(-1, dim)
    truth = exact.hardmax_density(Head(V), start(dim), passed, points).reshape(space.shape)
    seen = space.to_nodal(run(space, Hardmax(schedule), until))
    bounded(f"linear V(t), hardmax on S^{dim - 1}: density", np.abs(seen - truth).max(), 5e-8)


@pytest.mark.parametrize("dim", [2, 3])
def test_softmax_with_f_times_v_is_the_constant_run_at_the_integral_of_f(dim):
    head = Head(random_head(np.random.default_rng(SEEDS[dim]), dim).V, beta=8.0)
    until, space = 1.0, space_of(dim, 47 if dim == 2 else 31)

    def factor(t):
        return 1.0 + 0.8 * np.sin(3.0 * t)

    plain = run(space, Softmax(head), quad(factor, 0.0, until)[0])
    varying = run(space, Softmax(lambda t: Head(factor(t) * head.V, beta=head.beta)), until)
    bounded(f"V(t) = f(t) V, softmax on S^{dim - 1}: coefficients", np.abs(varying - plain).max(), 2e-8)
    edges = np.array([0.0, 0.25, 0.5, 0.6, 1.0])
    factors = [0.5, 2.0, -0.3, 1.0]
    stack = Layers([Head(f * head.V, beta=head.beta) for f in factors], times=edges)
    plain = run(space, Softmax(head), float(factors @ np.diff(edges)))
    bounded(
        f"layers f V, softmax on S^{dim - 1}: coefficients",
        np.abs(run(space, Softmax(stack), until) - plain).max(),
        2e-9,
    )


@pytest.mark.parametrize("dim", [2, 3])
def test_jumping_temperatures_against_tokens_layer_by_layer(dim):
    rng = np.random.default_rng(SEEDS[dim])
    layers = [[random_head(rng, dim, beta), random_head(rng, dim, 2.0)] for beta in (2.0, 12.0, 0.5)]
    edges = [0.0, 0.2, 0.5, 0.6]
    space = space_of(dim, 63 if dim == 2 else 31)
    _, mean, second = space.moments(run(space, Softmax(Layers(layers, times=edges), combine="mean"), edges[-1]))
    density = start(dim)
    x, w = gauss_tokens(lambda x: density(x), 200 if dim == 2 else 36, dim)
    w /= w.sum()
    for heads, duration in zip(layers, np.diff(edges), strict=True):
        x = simulate_tokens(heads, x, [duration], w, combine="mean", rtol=1e-11)[-1]
    expected_mean, expected_second = moments(x, w)
    bounded(f"β jumps, mean against tokens, S^{dim - 1}", np.abs(mean - expected_mean).max(), 2e-11)
    bounded(f"β jumps, second moment against tokens, S^{dim - 1}", np.abs(second - expected_second).max(), 1e-10)


def test_interpolated_layers_against_tokens_with_heads_of_their_own():
    rng = np.random.default_rng(11)
    V, B = rng.normal(size=(2, 3, 2, 2)) * 0.4
    beta, times, until = np.array([2.0, 9.0, 4.0]), np.array([0.1, 0.4, 0.9]), 1.0
    schedule = Layers([Head(*head, beta=b) for *head, b in zip(V, B, beta, strict=True)], times=times, interpolate=True)
    space = space_of(2, 63)
    _, mean, second = space.moments(run(space, Softmax(schedule), until))
    x, w = gauss_tokens(start(2), 100, 2)
    w /= w.sum()

    def linear(values, t):
        flat = values.reshape(len(times), -1)
        return np.array([np.interp(t, times, column) for column in flat.T]).reshape(values.shape[1:])

    def rate(t, state):
        tokens = state.reshape(x.shape)
        tokens = tokens / np.linalg.norm(tokens, axis=1, keepdims=True)
        return token_velocity(Head(linear(V, t), linear(B, t), beta=float(linear(beta, t))), tokens, w).ravel()

    state = x.ravel()
    for begin, end in zip([0.0, *times], [*times, until], strict=True):
        state = solve_ivp(rate, (begin, end), state, method="DOP853", rtol=1e-10, atol=1e-11).y[:, -1]
    tokens = state.reshape(x.shape)
    expected_mean, expected_second = moments(tokens / np.linalg.norm(tokens, axis=1, keepdims=True), w)
    bounded("interpolated V, B, β: mean against tokens", np.abs(mean - expected_mean).max(), 5e-10)
    bounded("interpolated V, B, β: second moment against tokens", np.abs(second - expected_second).max(), 1e-9)
