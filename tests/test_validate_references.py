"""The shipped reference runs as judges: right codes inside, wrong ones outside, at late times too."""

from itertools import pairwise

import numpy as np
import pytest

from spherepde import (
    Head,
    compare_tokens,
    reference,
    references,
    token_attention,
)
from spherepde.agreement import read_tokens
from spherepde.agreement.comparison import Expectation
from spherepde.agreement.pairing import paired
from spherepde.tokens import simulate_tokens, token_velocity

COUNT = 2000
CLUSTER = reference("circle_cluster")


def normalised(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def codes(characteristics, x, times):
    """Trajectories of right and wrong codes by name, made when asked for; sums by ``token_attention``."""
    law = characteristics.velocity.attention
    heads = law.schedule.heads_at(0.0)

    def changed(sign=1.0, beta=1.0, values=lambda v: v):
        return [Head(V=sign * values(head.V), B=head.B, beta=beta * head.beta) for head in heads]

    def steps(heads, step, order, x=x):
        def rate(x):
            return token_velocity(heads, x, None, law.name, law.combine, attend=token_attention)

        rows = [x]
        for start, stop in pairwise(times):
            number = max(1, round((stop - start) / step))
            h = (stop - start) / number
            for _ in range(number):
                first = rate(x)
                if order == 1:
                    x = normalised(x + h * first)
                    continue
                second = rate(normalised(x + 0.5 * h * first))
                third = rate(normalised(x + 0.5 * h * second))
                x = normalised(x + h / 6.0 * (first + 2.0 * (second + third) + rate(normalised(x + h * third))))
            rows.append(x)
        return {"t": times, "x": np.stack(rows)}

    def unprojected(step=0.25, x=x):
        (head,) = heads
        rows = [x]
        for start, stop in pairwise(times):
            for _ in range(round((stop - start) / step)):
                scores = head.beta * x @ head.B @ x.T
                weights = np.exp(scores - scores.max(axis=1, keepdims=True))
                x = x + step * (weights @ x / weights.sum(axis=1, keepdims=True)) @ head.V.T
            rows.append(normalised(x))
        return {"t": times, "x": np.stack(rows)}

    return {
        "right, Runge-Kutta steps of 0.1": lambda: steps(heads, 0.1, 4),
        "right, Euler steps of 0.02": lambda: steps(heads, 0.02, 1),
        "right, Euler steps of 0.01": lambda: steps(heads, 0.01, 1),
        "beta 5 % too large": lambda: steps(changed(beta=1.05), 0.1, 4),
        "beta 5 % too small": lambda: steps(changed(beta=0.95), 0.1, 4),
        "sign of V": lambda: steps(changed(sign=-1.0), 0.1, 4),
        "Euler steps of 0.5": lambda: steps(heads, 0.5, 1),
        "V the wrong way round": lambda: steps(changed(values=lambda v: v[::-1, ::-1]), 0.1, 4),
        "no projection": unprojected,
    }


POWER = {
    "circle_cluster": (np.array([0.0, 2.5, 5.0, 8.0]), ("V the wrong way round",)),
    "circle_terminal": (np.array([0.0, 3.0, 10.0, 20.0]), ()),
    "sphere_axis": (np.array([0.0, 2.5, 4.0, 6.0]), ("V the wrong way round",)),
    "sphere_two_heads": (np.array([0.0, 2.0, 4.0, 6.0]), ("no projection", "V the wrong way round")),
}
"""Times that a user would save, and which codes are left out: two heads without a projection are another story; the
wrong way round, V = I is the same and V = diag(1, 0.4, −0.3) another model."""


def ratios(name, seed, only=None):
    """Largest value over what is allowed, by code: 2000 tokens of a reference run."""
    times, without = POWER[name]
    run = reference(name).characteristics()
    generator = np.random.default_rng(seed)
    samples = Expectation(run, times, np.full(len(times), COUNT), generator, False).statistics(99)
    sampling = np.quantile(samples, 0.99, axis=0)[:, [0, 3, 4]]
    found = {}
    for code, tokens in codes(run, run.sample(0.0, COUNT, seed), times).items():
        if code in without or (only is not None and code not in only):
            continue
        pair = paired(read_tokens(tokens()), run, times, sampling, generator)
        assert pair.follows.all() and pair.decides[1:].all()
        found[code] = pair.worst
        print(f"NUMBER {name}, {code}: {pair.worst:.3g} times what is allowed, moved by {pair.by}")
    return found


def check(found):
    for code, ratio in found.items():
        assert ratio < 0.95 if code.startswith("right") else ratio > 1.2, code


def test_pairs_tell_right_codes_from_wrong_ones():
    wrong = ("right, Runge-Kutta steps of 0.1", "right, Euler steps of 0.02", "no projection")
    also = ("beta 5 % too large", "beta 5 % too small", "sign of V", "Euler steps of 0.5")
    found = ratios("circle_cluster", 5, wrong + also)
    assert len(found) == 7
    check(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", POWER)
def test_pairs_tell_right_codes_from_wrong_ones_on_other_runs(name):
    check(ratios(name, 6))


def test_euler_is_outside_and_the_report_says_what_decided():
    run = CLUSTER.characteristics()
    times = np.array([0.0, 5.0, 8.0])
    made = codes(run, run.sample(0.0, COUNT, 5), times)
    found = compare_tokens(made["Euler steps of 0.5"](), CLUSTER, samples=99)
    assert not found.inside and found.decided == ["independent", "paired", "paired"] and found.kind == "independent"
    assert "moved from your own first tokens by an accurate integrator" in found.sentence
    assert "times what is allowed" in found.sentence and "2 of 3 times outside, first at t = 5" in found.sentence
    assert "From your own first tokens, moved by their own attention: allowed is 0.1 of" in str(found)
    saved = found.to_json()["paired"]
    assert saved["values"]["wasserstein_1"][0] is None and saved["values"]["wasserstein_1"][1] > 0.05
    assert saved["decides"] == [False, True, True]


def test_unmoved_tokens_of_the_terminal_phase_are_outside():
    """V the wrong way round: tokens stay at ±e₁, and samples of 250 that interact scatter over the whole circle."""
    run, times = reference("circle_terminal").characteristics(), np.array([0.0, 19.77])
    head = Head(V=np.diag([1.4, 1.0]), B=np.diag([2.0, 1.0]), beta=80.0)
    x = simulate_tokens(head, run.sample(0.0, 250, 32), times, None, "softmax", rtol=1e-6)
    found = compare_tokens({"t": times, "x": x}, "circle_terminal", samples=99)
    assert not found.inside and found.decided[1] == "paired" and found.outside[1]
    alone = compare_tokens({"t": times, "x": x}, "circle_terminal", samples=99, interacting=False)
    ratio = alone.values["second_moment"][1] / alone.limit["second_moment"][1]
    print(f"NUMBER |ΔM₂| is {ratio:.3g} times the limit of independent samples, inside {alone.inside}")
    assert not alone.inside and ratio > 2.0


@pytest.mark.slow
def test_limits_that_the_initial_density_keeps_are_said_to_have_no_power():
    run, until = reference("circle_terminal").characteristics(), 15.0
    tokens = {"t": np.array([until]), "x": run.sample(0.0, 60, 3)[None]}
    found = compare_tokens(tokens, run, samples=99, interacting=True)
    assert found.powerless[0] == found.inside and (("no power at t = 15" in str(found)) == found.inside)


@pytest.mark.slow
@pytest.mark.parametrize("name", references())
def test_every_reference_judges_at_its_end(name):
    """Tokens of the mean field to the last time, at N = 250: inside, once they are no longer an exact sample's luck."""
    run = reference(name).characteristics()
    x = run.sample(0.0, 250, 4)
    times = np.array([0.0, 0.37 * run.until, run.until])
    found = compare_tokens({"t": times, "x": np.stack([x, *(run.image(x, t) for t in times[1:])])}, run, samples=99)
    print(found)
    assert not found.outside[1:].any() and found.decided[1:] == ["paired", "paired"]
    drawn = np.stack([run.sample(t, 250, seed) for seed, t in enumerate(times, start=20)])
    assert compare_tokens({"t": times, "x": drawn}, run, samples=99, interacting=False).overall_p > 0.005
