"""Time stepping in buffers: nothing is allocated once it runs, and nothing is overwritten while it is needed."""

import gc
import tracemalloc
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from physics.physics_helpers import bounded

from spherepde.attention import Hardmax, Softmax, Unnormalised
from spherepde.densities import fisher_bingham
from spherepde.equation import ContinuityEquation
from spherepde.filters import damping_strength, spectral_damping, spectral_tail
from spherepde.heads import Head
from spherepde.simulation import Simulation
from spherepde.spaces import Circle, Sphere
from spherepde.steppers import TABLEAUX, FixedStep, StepController, imex_step, march
from spherepde.store import RunFile

SPACES = {
    "circle": lambda lmax: Circle(lmax),
    "shtns": lambda lmax: Sphere(lmax, backend="shtns"),
    "ducc0": lambda lmax: Sphere(lmax, backend="ducc0"),
}
LMAX = {"circle": 2047, "shtns": 63, "ducc0": 63}
VALUE = np.array([[0.9, 0.3, -0.2], [-0.4, 0.5, 0.1], [0.2, 0.7, -0.6]])
TURN = {2: np.array([[0.6, -0.8], [0.8, 0.6]]), 3: np.array([[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]])}
SCORES = {
    "I": lambda dim: np.eye(dim),
    "rotation": TURN.get,
    "reflection": lambda dim: TURN[dim] * ([-1.0] + [1.0] * (dim - 1)),
    "general": lambda dim: TURN[dim] @ np.diag([1.0, 0.5, 0.4][:dim]),
    "singular": lambda dim: TURN[dim] @ np.diag([1.0, 0.0, 0.7][:dim]),
}
MODELS = {"softmax": Softmax, "unnormalised": Unnormalised, "hardmax": Hardmax}
FULL_BAND = {2: 1e5, 3: 60.0}  # β at which softmax attends to every degree up to LMAX
STEPS = 20


def problem(kind, model, score, lmax, beta):
    if kind == "shtns":
        pytest.importorskip("shtns", exc_type=ImportError)
    space = SPACES[kind](lmax)
    head = Head(VALUE[: space.dim, : space.dim], SCORES[score](space.dim), beta=beta)
    return ContinuityEquation(space, MODELS[model](head), diffusion=0.01), start(space.dim)


def start(dim):
    return fisher_bingham([0.3, 0.8, -0.2][:dim], 0.2 * np.diag([1.0, -1.0, 0.5][:dim]))


# ---- nothing is allocated


def array_bytes():
    """Bytes of the numpy arrays allocated since tracing began and still alive."""
    arrays = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([arrays]).traces)


@pytest.mark.parametrize("tableau", TABLEAUX)
@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", SPACES)
def test_the_time_loop_allocates_no_arrays(kind, model, score, tableau):
    full = model == "softmax" and score not in ("general", "singular")
    beta = FULL_BAND[2 if kind == "circle" else 3] if full else 2.0
    if model == "hardmax" and score == "singular":
        pytest.skip("hardmax divides by |Bᵀx|")
    equation, density = problem(kind, model, score, LMAX[kind], beta)
    assert not full or equation.field.source_degree >= LMAX[kind]
    u = equation.space.project(density)
    embedded = TABLEAUX[tableau].error_weights is not None
    controller = StepController(1e-9, 4, 1e-3, largest_step=2e-3) if embedded else FixedStep(1e-3)
    steps = march(imex_step(equation, TABLEAUX[tableau]), equation.norm, controller, u, 0.0, 1.0)
    next(steps)
    gc.collect()
    tracemalloc.start()
    try:
        for _ in islice(steps, 5):  # until the interpreter's own caches are full
            pass
        peaks, growths = [], []
        for _ in range(STEPS):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            next(steps)
            after, peak = tracemalloc.get_traced_memory()
            peaks.append((peak - before) / u.nbytes)
            growths.append((after - before) / u.nbytes)
        arrays = array_bytes()
    finally:
        tracemalloc.stop()
    name = f"allocation {kind} {model} B={score} {tableau}, {STEPS} steps"
    bounded(f"{name}: bytes of arrays gained", arrays, 0.0)
    # medians: once in thousands of steps the interpreter rebuilds its table of interned names inside some call
    bounded(f"{name}: all objects gained in a step, over the bytes of a state", np.median(growths), 0.05)
    bounded(f"{name}: peak within a step, over the bytes of a state", np.median(peaks), 0.4)


# ---- nothing is overwritten too early


class Linear:
    """G of a continuity equation from its definition, and fresh arrays everywhere."""

    def __init__(self, equation):
        self.equation = equation
        space = equation.space
        self.diffusion = equation.diffusion * space.laplacian
        self.damping = spectral_damping(space, equation.damping * equation.field.speed_scale)
        self.rates = self.diffusion

    def adapt_damping(self, u):
        self.rates = self.diffusion - damping_strength(spectral_tail(self.equation.space, u)) * self.damping


def plain_step(linear, tableau, u, dt):
    """One step as the tableau is written, each stage and term an array of its own."""
    F, G = [], []
    for i in range(tableau.stages):
        stage = u + dt * sum(
            (tableau.explicit[i, j] * F[j] + tableau.implicit[i, j] * G[j] for j in range(i)), np.zeros_like(u)
        )
        stage = stage / (1.0 - dt * tableau.implicit[i, i] * linear.rates)
        F.append(linear.equation.explicit_terms(stage))
        G.append(linear.rates * stage)
    return u + dt * (np.tensordot(tableau.explicit_weights, F, 1) + np.tensordot(tableau.implicit_weights, G, 1))


class Capricious:
    """Rejects every third attempt, twice in a row every sixth: what a step is worth is not the question here."""

    largest_step = np.inf
    step_size = 0.04

    def __init__(self):
        self.attempts = self.accepted = 0

    def judge(self, error, taken):
        self.attempts += 1
        if self.attempts % 6 in (2, 4, 5):
            self.step_size = 0.6 * taken
            return False
        self.accepted += 1
        self.step_size = 0.04
        return True


@pytest.mark.parametrize("tableau", TABLEAUX)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", SPACES)
def test_steps_around_rejected_ones_are_those_of_plain_arrays(kind, model, tableau):
    equation, density = problem(kind, model, "rotation", 31, 2.0)
    plain = ContinuityEquation(equation.space, equation.attention, diffusion=equation.diffusion)
    linear, controller = Linear(plain), Capricious()
    u = equation.space.project(density, resolved=None)
    given, previous, expected, worst, late = u.copy(), u, u, 0.0, 0.0
    for accepted in march(imex_step(equation, TABLEAUX[tableau]), equation.norm, controller, u, 0.0, 0.4):
        late = max(late, np.abs(previous - expected).max())  # the state before, after the next one was computed
        expected = plain_step(linear, TABLEAUX[tableau], expected, accepted.step_size)
        worst = max(worst, np.abs(accepted.state - expected).max())
        previous = accepted.state
        equation.adapt_damping(accepted.state)
        linear.adapt_damping(expected)
    assert accepted.time == 0.4
    assert controller.attempts >= 1.5 * controller.accepted, "rejected steps are the point"
    np.testing.assert_array_equal(u, given)
    name = f"rejected steps {kind} {model} {tableau}"
    bounded(f"{name}: difference to plain arrays", worst / np.abs(u).max(), 1e-13)
    bounded(f"{name}: the same one step later", late / np.abs(u).max(), 1e-13)


@pytest.mark.parametrize("dim", [2, 3])
def test_a_run_with_rejected_steps_and_companion_is_that_of_plain_arrays(dim, tmp_path):
    """The simulation's own loop, its companion and its checkpoint, replayed from the recorded steps."""
    space = Circle(31) if dim == 2 else Sphere(23)
    equation = ContinuityEquation(space, Softmax(Head(VALUE[:dim, :dim], beta=3.0)), diffusion=0.01)
    simulation = Simulation(
        equation,
        start(dim),
        tmp_path / "run.h5",
        rtol=1e-11,
        save_every=0.5,
        companion_lmax=15,
        wasserstein=False,
        progress=False,
    )
    companion = simulation.error_bars.companion.equation
    begins = simulation.state.copy(), simulation.error_bars.companion_state.copy()
    judge, rejected = simulation.pace.controller.judge, 0

    def judging(error, taken):
        nonlocal rejected
        good = judge(error, taken)
        rejected += not good
        simulation.pace.controller.step_size *= 1.4 if good else 1.0  # too bold: some of the next are rejected
        return good

    simulation.pace.controller.judge = judging
    companion_step, companion_times = simulation.error_bars.step, []

    def stepping(u, dt, t):
        companion_times.append(t)
        return companion_step(u, dt, t)

    simulation.error_bars = replace(simulation.error_bars, step=stepping)
    result = simulation.run(until=0.5)
    assert result.status == "done"
    assert rejected >= 3
    with RunFile(result.path) as run:
        sizes, times = run.series["step_size"][1:], run.series["t"][:-1]
    np.testing.assert_array_equal(companion_times, times)
    ends = (result.state, simulation.error_bars.companion_state)
    for model, u, end, name in zip((equation, companion), begins, ends, ("run", "companion"), strict=True):
        linear = Linear(ContinuityEquation(model.space, model.attention, diffusion=model.diffusion))
        for dt in sizes:
            linear.adapt_damping(u)
            u = plain_step(linear, TABLEAUX["ark436"], u, dt)
        bounded(f"S{dim - 1} {name} with {rejected} rejected steps: difference", np.abs(end - u).max(), 1e-13)
