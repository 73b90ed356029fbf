"""Steppers: algebraic order conditions, measured orders, stability, step control, marching."""

import sys
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

from spherepde.errors import InputError, NumericalError
from spherepde.steppers import (
    TABLEAUX,
    FixedStep,
    StepController,
    Tableau,
    imex_step,
    initial_step_size,
    march,
    tableau_named,
)

sys.path.insert(0, str(Path(__file__).parent / "physics"))

from physics_helpers import bounded

ALL = pytest.mark.parametrize("tableau", TABLEAUX.values(), ids=TABLEAUX)
EMBEDDED = [tableau for tableau in TABLEAUX.values() if tableau.error_weights is not None]
WITH_ERROR = pytest.mark.parametrize("tableau", EMBEDDED, ids=[tableau.name for tableau in EMBEDDED])


class Linear:
    """u' = G u with diagonal G."""

    def __init__(self, rates):
        self.rates = np.asarray(rates)

    def explicit_terms(self, u, t, out):
        out.fill(0.0)
        return out

    def implicit_terms(self, u, out):
        return np.multiply(self.rates, u, out=out)

    def implicit_inverse(self, u, eta, out):
        return np.divide(u, 1.0 - eta * self.rates, out=out)


class StuartLandau:
    """u' = (1+iω)u − |u|²u, of which −λu is implicit: closed form for any λ, nonlinear and stiff-ish."""

    damping = np.array([0.0, 2.0, 8.0])
    frequency = np.array([1.0, 2.0, 3.0])
    start = np.array([0.3, 0.5j, -0.2 + 0.1j])

    def explicit_terms(self, u, t, out):
        return np.subtract((1.0 + 1j * self.frequency + self.damping) * u, np.abs(u) ** 2 * u, out=out)

    def implicit_terms(self, u, out):
        return np.multiply(-self.damping, u, out=out)

    def implicit_inverse(self, u, eta, out):
        return np.divide(u, 1.0 + eta * self.damping, out=out)

    def exact(self, t):
        size = np.abs(self.start)
        radius = 1.0 / np.sqrt(1.0 + (1.0 / size**2 - 1.0) * np.exp(-2.0 * t))
        return radius * self.start / size * np.exp(1j * self.frequency * t)


class Driven:
    """u' = −λ(u − sin ωt) + ω cos ωt (Prothero & Robinson): −λu implicit, the drive explicit, u = sin ωt exact."""

    damping = np.array([0.5, 2.0, 8.0])
    frequency = np.array([3.0, 2.0, 4.0])
    start = np.zeros(3)

    def explicit_terms(self, u, t, out):
        return np.add(self.damping * self.exact(t), self.frequency * np.cos(self.frequency * t), out=out)

    def implicit_terms(self, u, out):
        return np.multiply(-self.damping, u, out=out)

    def implicit_inverse(self, u, eta, out):
        return np.divide(u, 1.0 + eta * self.damping, out=out)

    def exact(self, t):
        return np.sin(self.frequency * t)


def norm(u):
    return float(np.linalg.norm(u))


def order_conditions(tableau, order, explicit_weights, implicit_weights):
    """Defects of the conditions of one order, over every way to colour its trees explicit or implicit."""
    matrices = (tableau.explicit, tableau.implicit)
    weights = (explicit_weights, implicit_weights)
    nodes = [matrix.sum(axis=1) for matrix in matrices]
    if order == 1:
        return [b.sum() - 1.0 for b in weights]
    if order == 2:
        return [b @ c - 1 / 2 for b, c in product(weights, nodes)]
    if order == 3:
        bushy = [b @ (c * e) - 1 / 3 for b, c, e in product(weights, nodes, nodes)]
        return bushy + [b @ A @ c - 1 / 6 for b, A, c in product(weights, matrices, nodes)]
    bushy = [b @ (c * e * f) - 1 / 4 for b, c, e, f in product(weights, nodes, nodes, nodes)]
    mixed = [(b * c) @ A @ e - 1 / 8 for b, c, A, e in product(weights, nodes, matrices, nodes)]
    broom = [b @ A @ (c * e) - 1 / 12 for b, A, c, e in product(weights, matrices, nodes, nodes)]
    tall = [b @ A @ D @ c - 1 / 24 for b, A, D, c in product(weights, matrices, matrices, nodes)]
    return bushy + mixed + broom + tall


def integrate(tableau, equation, u, steps):
    step, t = imex_step(equation, tableau), 0.0
    for dt in steps:
        u, _ = step(u, dt, t)
        t += dt
    return u


# ---- the tables


@ALL
def test_tables_are_consistent(tableau: Tableau):
    assert np.all(np.triu(tableau.explicit) == 0.0), "the explicit part looks back only"
    assert np.all(np.triu(tableau.implicit, 1) == 0.0)
    assert tableau.explicit.shape == tableau.implicit.shape == (tableau.stages, tableau.stages)
    assert np.all(tableau.implicit[0] == 0.0), "the first stage is explicit"
    np.testing.assert_allclose(tableau.explicit.sum(axis=1), tableau.implicit.sum(axis=1), rtol=0.0, atol=1e-15)
    diagonal = np.diag(tableau.implicit)[1:]
    assert np.all(diagonal == diagonal[0])
    assert diagonal[0] > 0.0
    np.testing.assert_array_equal(tableau.implicit[-1], tableau.implicit_weights)  # stiffly accurate


@ALL
def test_order_conditions_hold_to_the_order_and_not_beyond(tableau):
    weights = tableau.explicit_weights, tableau.implicit_weights
    for order in range(1, tableau.order + 1):
        assert np.max(np.abs(order_conditions(tableau, order, *weights))) < 2e-15
    if tableau.order < 4:
        assert np.max(np.abs(order_conditions(tableau, tableau.order + 1, *weights))) > 1e-3


@WITH_ERROR
def test_embedded_scheme_is_one_order_lower(tableau):
    lower = tableau.explicit_weights - tableau.error_weights, tableau.implicit_weights - tableau.error_weights
    for order in range(1, tableau.order):
        assert np.max(np.abs(order_conditions(tableau, order, *lower))) < 2e-15
    assert np.max(np.abs(order_conditions(tableau, tableau.order, *lower))) > 1e-3


@pytest.mark.parametrize(
    ("name", "times"), [("ark436", [0, 1 / 2, 83 / 250, 31 / 50, 17 / 20, 1]), ("ars443", [0, 1 / 2, 2 / 3, 1 / 2, 1])]
)
def test_stages_stand_where_the_literature_has_them(name, times):
    np.testing.assert_allclose(TABLEAUX[name].times, times, rtol=0.0, atol=1e-15)


def test_tableaux_are_found_by_name():
    for name, tableau in TABLEAUX.items():
        assert tableau_named(name) is tableau
        assert tableau.name == name
        assert tableau.reference
    with pytest.raises(InputError, match="time.stepper = 'rk4': expected one of ark436, ars443"):
        tableau_named("rk4")


# ---- measured order


@ALL
@pytest.mark.parametrize("equation", [StuartLandau(), Driven()], ids=["autonomous", "driven"])
@pytest.mark.parametrize("pattern", [(1.0,), (0.6, 1.4)], ids=["even", "uneven"])
def test_measured_order(tableau, equation, pattern):
    errors = []
    for n in (80, 160, 320):
        steps = np.tile(pattern, n // len(pattern)) / n
        errors.append(norm(integrate(tableau, equation, equation.start, steps) - equation.exact(1.0)))
    for coarse, fine in pairwise(errors):
        assert np.log2(coarse / fine) == pytest.approx(tableau.order, abs=0.2)


@WITH_ERROR
def test_error_estimate_has_the_local_order_of_the_embedded_scheme(tableau):
    equation = StuartLandau()
    step = imex_step(equation, tableau)
    for dt in (1 / 80, 1 / 160):
        sizes = [norm(step(equation.start, h)[1]) for h in (dt, dt / 2)]
        assert np.log2(sizes[0] / sizes[1]) == pytest.approx(tableau.order, abs=0.2)


@WITH_ERROR
def test_error_estimate_is_the_difference_to_the_embedded_solution(tableau):
    """The embedded solution advances at its own order, one less."""
    equation = StuartLandau()
    step = imex_step(equation, tableau)
    errors = []
    for n in (320, 640, 1280):
        u = equation.start
        for _ in range(n):
            u, error = step(u, 1.0 / n)
            u = u - error
        errors.append(norm(u - equation.exact(1.0)))
    for coarse, fine in pairwise(errors):
        assert np.log2(coarse / fine) == pytest.approx(tableau.order - 1, abs=0.2)


def test_a_scheme_without_embedded_one_reports_no_error():
    assert imex_step(StuartLandau(), TABLEAUX["ars443"])(StuartLandau.start, 0.1)[1] is None


@ALL
def test_a_step_is_repeatable_and_leaves_its_input_alone(tableau):
    equation = StuartLandau()
    step = imex_step(equation, tableau)
    u = equation.start.copy()
    first = step(u, 0.1)[0].copy()
    step(2.0 * u, 0.3)
    second, _ = step(u, 0.1)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(u, equation.start)


@ALL
def test_a_state_outlives_the_next_step_and_its_repetition(tableau):
    equation = StuartLandau()
    step = imex_step(equation, tableau)
    u = equation.start
    for _ in range(5):
        u = step(u, 0.1)[0]
        kept = u.copy()
        for dt in (0.3, 0.2, 0.1):
            after = step(u, dt)[0]
            np.testing.assert_array_equal(u, kept)
        assert not np.may_share_memory(after, u)


@ALL
def test_states_of_another_size_or_type_get_their_own_buffers(tableau):
    rates = np.array([-1.0, -2.0])
    step = imex_step(Linear(rates), tableau)
    both = step(np.ones(2), 0.1)[0].copy()
    alone = imex_step(Linear(rates[:1]), tableau)(np.ones(1), 0.1)[0]
    turned = step(1j * np.ones(2), 0.1)[0]
    np.testing.assert_allclose(turned, 1j * both, rtol=1e-15)
    assert both[0] == alone[0]


@ALL
def test_unused_explicit_stages_are_not_evaluated(tableau):
    class Counting(StuartLandau):
        calls = 0

        def explicit_terms(self, u, t, out):
            self.calls += 1
            return super().explicit_terms(u, t, out)

    equation = Counting()
    imex_step(equation, tableau)(equation.start, 0.1)
    used = np.any(tableau.explicit != 0.0, axis=0) | (tableau.explicit_weights != 0.0)
    assert equation.calls == np.flatnonzero(used).max() + 1


# ---- stability


def stability_function(tableau, z):
    one = np.ones(tableau.stages)
    return 1.0 + z * tableau.implicit_weights @ np.linalg.solve(np.eye(tableau.stages) - z * tableau.implicit, one)


@ALL
def test_implicit_part_is_a_stable(tableau):
    """|R| ≤ 1 on the imaginary axis; R has its only pole on the right, so on the left half-plane too."""
    sizes = [abs(stability_function(tableau, 1j * y)) for y in np.geomspace(1e-3, 1e6, 400)]
    assert max(sizes) <= 1.0 + 1e-14


@ALL
def test_a_linear_step_is_the_stability_function(tableau):
    z = -np.geomspace(1e-3, 1e3, 13)
    u, error = imex_step(Linear(z / 0.1), tableau)(np.ones_like(z), 0.1)
    np.testing.assert_allclose(u, [stability_function(tableau, value) for value in z], rtol=0.0, atol=1e-13)
    if error is not None:
        lower = replace(tableau, implicit_weights=tableau.implicit_weights - tableau.error_weights)
        embedded = np.array([stability_function(lower, value) for value in z])
        damped = 1.0 - z * tableau.implicit[-1, -1]  # the estimate is filtered: b̂ alone is not L-stable
        np.testing.assert_allclose(error, (u - embedded) / damped, rtol=0.0, atol=1e-13)


@ALL
def test_huge_rates_are_damped_out_in_one_step(tableau):
    rates = np.geomspace(1e3, 1e8, 6)
    u, _ = imex_step(Linear(-rates), tableau)(np.ones_like(rates), 1.0)
    assert np.all(np.abs(u) <= 10.0 / rates)
    u, _ = imex_step(Linear([-1e12]), tableau)(np.ones(1), 1.0)
    assert abs(u[0]) <= 1e-3, "round-off ε·rate of the stiff sums"


# ---- step control


def controller(**options):
    return StepController(**({"rtol": 1e-6, "order": 4, "step_size": 0.1} | options))


def test_controller_accepts_up_to_its_tolerance():
    assert controller().judge(1e-6, 0.1)
    assert not controller().judge(1.0001e-6, 0.1)


def test_controller_grows_and_shrinks_by_the_error():
    accepted = controller(last_error=0.3)
    assert accepted.judge(0.4e-6, 0.1)
    assert accepted.step_size == pytest.approx(0.1 * 0.9 * 0.4 ** (-0.7 / 4) * 0.3 ** (0.4 / 4), rel=1e-14)
    assert accepted.last_error == pytest.approx(0.4, rel=1e-14)
    rejected = controller(last_error=0.3)
    assert not rejected.judge(3e-6, 0.1)
    assert rejected.step_size == pytest.approx(0.1 * 0.9 * 3.0**-0.25, rel=1e-14)
    assert rejected.last_error == 0.3, "a rejected step leaves no memory"


def test_controller_judges_from_the_step_taken_not_the_one_proposed():
    clipped = controller(step_size=0.1)
    assert clipped.judge(0.9e-6, 0.01)
    assert clipped.step_size == pytest.approx(0.01 * 0.9 * 0.9 ** (-0.7 / 4), rel=1e-14)


def test_a_step_shortened_to_land_leaves_the_proposal_and_the_memory():
    landed = controller(step_size=0.1, last_error=0.5)
    assert landed.judge(1e-16, 1e-7) and (landed.step_size, landed.last_error) == (0.1, 0.5)
    bounded_outside = controller(step_size=0.1, largest_step=0.02, last_error=0.5)
    assert bounded_outside.judge(1e-16, 1e-7) and bounded_outside.step_size == 0.02
    grown = controller(step_size=0.1)
    assert grown.judge(1e-9, 0.09)  # hardly shortened and good for more: an ordinary step
    assert grown.step_size == pytest.approx(0.18, rel=1e-14) and grown.last_error == pytest.approx(1e-3)
    rejected = controller(step_size=0.1, last_error=0.5)
    assert not rejected.judge(2e-6, 0.06) and rejected.step_size < 0.06


def test_landing_times_close_together_cost_no_recovery():
    """u' = u cos 3t is marched over times that come in pairs 1e-6 apart in as many steps as without the pairs."""

    class Swinging(Driven):
        def explicit_terms(self, u, t, out):
            return np.multiply(u, np.cos(3.0 * t), out=out)

        def implicit_terms(self, u, out):
            return np.multiply(u, 0.0, out=out)

        def implicit_inverse(self, u, eta, out):
            np.copyto(out, u)
            return out

    def taken(landings):
        step, control = imex_step(Swinging(), TABLEAUX["ark436"]), controller(step_size=1e-2, rtol=1e-8)
        u, now, count = np.array([1.0 + 0.0j]), 0.0, 0
        for target in landings:
            for accepted in march(step, norm, control, u, now, target):
                u, count = accepted.state, count + 1
            now = target
        assert abs(u[0] - np.exp(np.sin(3.0 * now) / 3.0)) < 1e-6
        return count

    single = np.arange(1.0, 11.0)
    paired = np.sort(np.concatenate([single - 1e-6, single]))
    without, with_pairs = taken(single), taken(paired)
    bounded("steps that ten landings 1e-6 before another ten cost, each", (with_pairs - without) / 10.0, 1.5)


@pytest.mark.parametrize("error", [0.0, 1e-30])
def test_controller_limits_growth(error):
    growing = controller()
    assert growing.judge(error, 0.1)
    assert growing.step_size == pytest.approx(0.2, rel=1e-14)


@pytest.mark.parametrize("error", [1.0, np.inf, np.nan])
def test_controller_limits_cuts_and_refuses_what_is_not_finite(error):
    cut = controller()
    assert not cut.judge(error, 0.1)
    assert cut.step_size == pytest.approx(0.02, rel=1e-14)
    assert cut.last_error == 1.0


def test_controller_resumes_from_its_two_numbers():
    errors = 1e-6 * np.random.default_rng(0).lognormal(-1.0, 1.5, size=60)
    whole = controller()
    history = []
    for error in errors:
        whole.judge(error, whole.step_size)
        history.append((whole.step_size, whole.last_error))
    assert len({accepted for accepted in (errors <= 1e-6)}) == 2, "both branches should be exercised"
    step_size, last_error = history[29]
    resumed = controller(step_size=step_size, last_error=last_error)
    for error, expected in zip(errors[30:], history[30:], strict=True):
        resumed.judge(error, resumed.step_size)
        assert (resumed.step_size, resumed.last_error) == expected


def test_adaptive_runs_keep_error_in_proportion_to_tolerance():
    equation, tableau = StuartLandau(), TABLEAUX["ark436"]
    attempts, counts, errors = 0, [], []
    advance = imex_step(equation, tableau)

    def step(u, dt, t):
        nonlocal attempts
        attempts += 1
        return advance(u, dt, t)

    tolerances = 1e-5 * 16.0 ** -np.arange(3.0)
    for rtol in tolerances:
        first = initial_step_size(equation, norm, equation.start, rtol, tableau.order)
        steps = list(march(step, norm, controller(rtol=rtol, step_size=first), equation.start, 0.0, 5.0))
        counts.append(len(steps))
        errors.append(norm(steps[-1].state - equation.exact(5.0)) / norm(equation.exact(5.0)) / rtol)
    assert attempts <= 1.05 * sum(counts), "rejected steps should be rare"
    for few, many in pairwise(counts):
        assert many / few == pytest.approx(2.0, abs=0.2)  # steps scale like rtol^(-1/order)
    assert max(errors) <= 60.0  # some hundred steps of one tolerance each
    assert max(errors) <= 1.3 * min(errors)


def test_initial_step_follows_the_rate_of_change():
    u = np.ones(3)
    assert initial_step_size(Linear([-50.0] * 3), norm, u, 1e-8, 4) == pytest.approx(1e-2 / 50.0, rel=1e-14)
    assert initial_step_size(Linear([-1e-3] * 3), norm, u, 1e-8, 4) == 0.1
    assert initial_step_size(Linear([0.0] * 3), norm, u, 1e-8, 4) == 0.1


# ---- marching


def drift(u, dt, t):
    return u + dt, None


def marched(step_controller, start, stop, step=drift):
    return list(march(step, norm, step_controller, np.array([1.0 + start]), start, stop))


@pytest.mark.parametrize(("dt", "count"), [(0.1, 10), (0.3, 4), (1.0, 1), (7.0, 1), (1 / 3, 3), (0.999, 2)])
def test_fixed_steps_divide_the_interval_evenly(dt, count):
    steps = marched(FixedStep(dt), 2.0, 3.0)
    assert len(steps) == count
    np.testing.assert_allclose([step.step_size for step in steps], 1.0 / count, rtol=1e-13)
    np.testing.assert_allclose([step.time for step in steps], 2.0 + np.arange(1, count + 1) / count, rtol=1e-14)
    assert steps[-1].time == 3.0, "landing is exact"
    assert steps[-1].state[0] == pytest.approx(4.0, rel=1e-14)


@ALL
def test_marching_passes_the_time(tableau):
    """Driven from t = 0.7 on by steps of a fixed size, to the exact solution at 1.9."""
    equation, n = Driven(), 120
    step = imex_step(equation, tableau)
    began = []
    for accepted in march(step, norm, FixedStep(1.2 / n), equation.exact(0.7), 0.7, 1.9):
        began.append(accepted.start)
        assert accepted.start + accepted.step_size == pytest.approx(accepted.time, rel=1e-15)
    assert norm(accepted.state - equation.exact(1.9)) <= {"ark436": 3e-8, "ars443": 3e-5}[tableau.name]
    np.testing.assert_allclose(began, 0.7 + 0.01 * np.arange(n), rtol=1e-13)


def test_save_times_are_hit_exactly():
    pairs = [(0.1 * i, 0.1 * j) for i in range(30) for j in range(i + 1, 60)]
    assert any(start + (stop - start) != stop for start, stop in pairs), "sums of floats would miss some"
    for start, stop in pairs:
        for which in (FixedStep(10.0), FixedStep((stop - start) / 3.0)):
            assert marched(which, start, stop)[-1].time == stop


def test_nothing_to_do_takes_no_step():
    assert marched(FixedStep(0.1), 1.0, 1.0) == []


@pytest.mark.parametrize("bounded", [FixedStep(0.5, largest_step=0.01), controller(step_size=0.5, largest_step=0.01)])
def test_outer_bound_on_the_step_is_kept(bounded):
    def exact_drift(u, dt, t):
        return u + dt, np.zeros_like(u)

    steps = marched(bounded, 0.0, 0.2, exact_drift)
    assert len(steps) == 20
    assert max(step.step_size for step in steps) <= 0.01 * (1.0 + 1e-8)


def test_rejected_steps_are_repeated_from_the_same_state():
    seen = []

    def picky(u, dt, t):
        seen.append((float(u[0]), dt))
        return u + dt, np.array([1.0 if dt > 0.3 else 0.0])

    steps = marched(controller(step_size=1.0), 0.0, 1.0, picky)
    assert seen[0] == (1.0, 1.0)
    assert seen[1] == (1.0, pytest.approx(0.2, rel=1e-13))
    assert steps[0].time == pytest.approx(0.2, rel=1e-13)
    assert all(step.step_size <= 0.3 for step in steps)
    assert steps[-1].time == 1.0
    assert steps[-1].state[0] == pytest.approx(2.0, rel=1e-14)


@pytest.mark.parametrize("which", [FixedStep(0.25), controller(step_size=0.25)])
def test_a_state_that_is_not_finite_ends_the_march_with_the_time(which):
    def breaking(u, dt, t):
        return (u + dt if u[0] < 1.45 else u * np.nan), np.zeros_like(u)

    which.largest_step = 0.25
    reached = []
    with pytest.raises(NumericalError, match="no acceptable step left at t = 0.5: .* the state is no longer finite"):
        for step in march(breaking, norm, which, np.array([1.0]), 0.0, 1.0):
            reached.append(step.time)
    assert reached == [0.25, 0.5]


def test_an_error_that_never_shrinks_ends_the_march():
    def hopeless(u, dt, t):
        return u + dt, np.ones_like(u)

    with pytest.raises(NumericalError, match="no acceptable step left at t = 0: with dt = .* its error is"):
        marched(controller(), 0.0, 1.0, hopeless)


def test_a_rate_that_overflows_ends_the_march_in_a_sentence():
    class Overflowing(StuartLandau):
        def explicit_terms(self, u, t, out):
            out.fill(np.inf)
            return out

    equation = Overflowing()
    first = initial_step_size(equation, norm, equation.start, 1e-8, 4)
    with pytest.raises(NumericalError, match="at t = 0"):
        next(
            march(imex_step(equation, TABLEAUX["ark436"]), norm, controller(step_size=first), equation.start, 0.0, 1.0)
        )
