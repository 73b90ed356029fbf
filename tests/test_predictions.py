"""Predictions against Jacobians of token systems, the exact zero-temperature flow, and narrow Gaussian clusters."""

import re
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import pytest

from spherepde import Head, InputError, concentration_rate
from spherepde.predictions import (
    escape,
    final_state,
    least_distance,
    leaving_rates,
    pointwise_decay,
    predict,
    turning,
    two_clusters,
    wasserstein_decay,
)
from spherepde.tokens import simulate_tokens, token_velocity

sys.path.insert(0, str(Path(__file__).parent / "physics"))

from physics_helpers import bounded, number

C7 = {"V": np.diag([1.0, 1.4]), "B": np.diag([2.0, 1.0])}
TILT = np.array([[1.0, 0.3], [0.3, 0.8]])


def head_keeping_an_axis(dim, seed, *, beta=1.3):
    """A head with Ve = 0.9 e for a random e, V and B otherwise without any symmetry."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    V = rng.normal(size=(dim, dim))
    V[:, 0] = 0.9 * np.eye(dim)[0]
    return Head(basis @ V @ basis.T, rng.normal(size=(dim, dim)), beta=beta), basis[:, 0]


# ---- two clusters


def jacobian_of_two_tokens(head, e, mass):
    """Eigenvalues (2(d−1),) of the motion of two weighted tokens around ±e, by central differences."""
    across = np.linalg.svd(e[None, :])[2][1:].T
    step, count = 1e-5, across.shape[1]

    def speed(shift):
        tokens = np.array([e, -e]) + (across @ shift.reshape(2, count).T).T
        tokens /= np.linalg.norm(tokens, axis=1, keepdims=True)
        return (token_velocity(head, tokens, [mass, 1.0 - mass]) @ across).ravel()

    columns = [(speed(step * unit) - speed(-step * unit)) / (2.0 * step) for unit in np.eye(2 * count)]
    return np.linalg.eigvals(np.array(columns).T)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("mass", [0.5, 0.8])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_two_clusters_are_as_stable_as_two_tokens(dim, mass, seed):
    """V without symmetry but for Ve = λe, any B: rates real or complex."""
    head, e = head_keeping_an_axis(dim, seed)
    found = np.sort_complex(two_clusters(head, e, mass).rates.ravel())
    expected = np.sort_complex(jacobian_of_two_tokens(head, e, mass))
    bounded(f"rates of two clusters, S^{dim - 1}, seed {seed}", np.abs(found - expected).max(), 1e-8)


def test_rates_of_equal_clusters_in_closed_form():
    head = Head(np.diag([1.2, 0.5, 1.7]), np.diag([0.8, 0.3, 1.1]), beta=1.5)
    rates, tanh = two_clusters(head, [1.0, 0.0, 0.0]).rates, np.tanh(1.5 * 0.8)
    for own, value in zip(sorted(rates.real.tolist()), (0.5, 1.7), strict=True):
        expected = sorted((value - 1.2 * tanh, (value - 1.2) * tanh), reverse=True)
        assert own == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("beta", [1.0, 2.0, 4.0, 20.0])
def test_degenerate_escape_is_exponentially_slow(beta):
    """V = I, to full relative accuracy where 1 − tanh is far below rounding."""
    found = escape(Head(np.eye(2), np.diag([1.0, 0.5]), beta=beta))
    exact = 2.0 / (1.0 + np.exp(2.0 * beta))
    number(f"λ(1 − tanh βb), β = {beta:g}", found.value, exact, rtol=1e-12)
    assert found.kind == "exponential" and "exponentially slow" in found.sentence
    unequal = escape(Head(np.eye(2), np.diag([1.0, 0.5]), beta=beta), 0.8)
    odds = np.array([4.0, 0.25]) * np.exp(2.0 * beta)
    number(f"λ(2 − a − a′), β = {beta:g}", unequal.value, np.sum(1.0 / (1.0 + odds)), rtol=1e-12)


def test_growing_mode_is_told_from_the_other():
    """V = I, masses p and 1 − p: η₁ − η₂ rests, p-weighted combinations grow."""
    pair = two_clusters(Head(np.eye(2), np.diag([1.0, 0.5]), beta=1.0), [1.0, 0.0], 0.7)
    left = pair.mode(0)
    assert np.abs(left @ pair.matrices[0] - pair.rates[0, 0] * left).max() < 1e-15
    assert two_clusters(Head(**C7, beta=20.0), [1.0, 0.0]).mode(0) is None


# ---- the zero-temperature flow


def distances_on_the_circle(values, basis, B, times, p):
    r"""∫ dist(x, E)^p dσ along the projective flow on S¹, A of eigenvalues ``values`` in a ``basis`` (2, 2).

    In y = log of the ratio of coordinates the flow is a translation at the speed Δ/|Bᵀx|: one trajectory serves all.
    """
    gap, y = values[0] - values[1], np.linspace(-60.0, 60.0, 120001)
    total = np.zeros(len(times))
    for sign in (1.0, -1.0):
        x = basis[:, :1] * np.exp(np.minimum(-y, 0.0)) + sign * basis[:, 1:] * np.exp(np.minimum(y, 0.0))
        x /= np.linalg.norm(x, axis=0)
        pace = np.linalg.norm(B.T @ x, axis=0) / gap
        clock = np.concatenate([[0.0], np.cumsum(0.5 * (pace[1:] + pace[:-1]) * np.diff(y))])
        u = basis[:, :1] * np.exp(-0.5 * y) + sign * basis[:, 1:] * np.exp(0.5 * y)
        density = np.abs(np.linalg.det(basis)) / np.sum(u**2, axis=0)  # |dθ/dy|
        e = basis[:, 0] / np.linalg.norm(basis[:, 0])
        away = np.arctan2(np.abs(e[0] * x[1] - e[1] * x[0]), np.abs(e @ x))
        for i, t in enumerate(times):
            total[i] += np.trapezoid(np.interp(clock - t, clock, away) ** p * density, y)
    return total / np.pi


CIRCLE = [
    ("narrowing wins", [1.0, 0.45], np.eye(2), np.diag([1.0, 0.3])),
    ("leaving wins", [1.0, 0.45], np.eye(2), np.diag([1.0, 2.0])),
    ("oblique eigenvectors", [1.0, 0.3], np.array([[1.0, 0.5], [0.0, 1.0]]), np.array([[1.0, 0.2], [0.1, 1.4]])),
    ("negative", [-0.5, -1.5], np.eye(2), np.diag([1.0, 2.5])),
]


@pytest.mark.parametrize(("name", "values", "basis", "B"), CIRCLE, ids=[case[0] for case in CIRCLE])
@pytest.mark.parametrize("p", [1, 2])
def test_rates_of_concentration_on_the_circle(name, values, basis, B, p):
    A = basis @ np.diag(values) @ np.linalg.inv(basis)
    head = Head(A @ np.linalg.inv(B.T), B)
    found = wasserstein_decay(head, p)
    times = np.array([14.0, 15.0]) / found.value
    w = distances_on_the_circle(values, basis, B, times, p) ** (1.0 / p)
    number(f"rate of W_{p}, {name}", -np.diff(np.log(w))[0] / np.diff(times)[0], found.value, rtol=2e-3)
    if np.allclose(A, A.T) and p == 2:
        assert concentration_rate(head) == pytest.approx(found.value, rel=1e-12)


def test_factor_of_t_where_two_exponents_are_equal():
    """literature.md C2: W₁ ≈ (2/π) ε (1 + ln 1/ε) on S¹, B = I; dim E = 2: W₂ ~ √t ε."""
    found = wasserstein_decay(Head(np.diag([1.0, 0.5])), 1)
    times = np.array([40.0, 41.0])
    w = distances_on_the_circle([1.0, 0.5], np.eye(2), np.eye(2), times, 1)
    slope = np.diff(np.log(w))[0] - found.power * np.diff(np.log(1.0 + 0.5 * times))[0]
    number("W₁ without its factor t", -slope, found.value, rtol=1e-4)
    assert found.power == 1.0 and "factor t " in found.sentence
    plane = wasserstein_decay(Head(np.diag([1.0, 1.0, 0.5])))
    assert (plane.value, plane.power) == (0.5, 0.5)


SPHERE = [
    ("the second direction leaves last", [1.0, 0.4, -0.3], [1.0, 3.0, 1.0]),
    ("the third direction leaves last", [1.0, 0.4, -0.3], [1.0, 1.0, 10.0]),
    ("narrowing wins", [1.0, 0.4, -0.3], [1.0, 0.25, 0.4]),
]


@pytest.mark.parametrize(("name", "values", "weights"), SPHERE, ids=[case[0] for case in SPHERE])
def test_rates_of_concentration_on_the_sphere(name, values, weights):
    """∫ dist² dσ by the flow itself, in the logarithms of x₂/x₁ and x₃/x₁, where it is a translation."""
    B = np.diag(weights)
    found = wasserstein_decay(Head(np.diag(values) @ np.linalg.inv(B), B))
    y2, y3 = np.meshgrid(np.linspace(-12.0, 36.0, 145), np.linspace(-12.0, 48.0, 181), indexing="ij")
    area = np.exp(y2 + y3 - 1.5 * np.logaddexp(np.logaddexp(0.0, 2.0 * y2), 2.0 * y3))
    gaps = values[0] - np.array(values[1:])

    def place(s):
        logs = np.stack([np.zeros_like(s), y2 - gaps[0] * s, y3 - gaps[1] * s])
        x = np.exp(logs - logs.max(axis=0))
        return x / np.linalg.norm(x, axis=0)

    def pace(s):
        return 1.0 / np.linalg.norm(np.array(weights)[:, None, None] * place(s), axis=0)

    s, steps, logs, times = np.zeros_like(y2), 200, [], []
    step = 6.5 / found.value / steps
    for i in range(steps):
        k1 = pace(s)
        k2 = pace(s + 0.5 * step * k1)
        k3 = pace(s + 0.5 * step * k2)
        s = s + step / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + pace(s + step * k3))
        if i in (steps - 21, steps - 1):
            x = place(s)
            logs.append(0.5 * np.log(np.sum(area * np.arctan2(np.hypot(x[1], x[2]), x[0]) ** 2)))
            times.append((i + 1) * step)
    number(f"rate of W₂ on S², {name}", -np.diff(logs)[0] / np.diff(times)[0], found.value, rtol=5e-3)


def test_rates_near_an_eigenspace():
    head = Head(np.diag([0.5, 0.45]), np.diag([2.0, 0.5]))
    number("κ_∥", pointwise_decay(head).value, (1.0 - 0.225) / 2.0, rtol=1e-14)
    assert leaving_rates(head) == pytest.approx([(1.0 - 0.225) / 0.5], rel=1e-14)
    turned = Head(np.array([[0.3, -1.0, 0.0], [1.0, 0.3, 0.0], [0.0, 0.0, 1.0]]))
    number("κ_∥, the other two eigenvalues complex", pointwise_decay(turned).value, 0.7, rtol=1e-12)
    assert leaving_rates(Head(np.diag([1.0, 0.0]), np.diag([1.0, 0.0]))) == [np.inf]


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (Head(np.eye(2)), "E is everything"),
        (Head([[0.0, -1.0], [1.0, 0.0]]), "E is everything"),
        (Head([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.5]], np.diag([1.0, 1.0, 2.0])), "cannot be diagonalised"),
        (Head([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]], np.diag([1.0, 2.0, 1.0])), "complex eigenvalues"),
        (Head(-np.eye(2), np.diag([1.0, 0.0])), "B ignores E"),
    ],
)
def test_no_rate_without_a_reason(head, why):
    for found in (pointwise_decay(head), wasserstein_decay(head)):
        assert found.value is None and found.sentence.startswith("not predicted: ") and why in found.sentence
        assert str(found) == found.sentence


def test_speeds_where_b_ignores_part_of_the_target():
    """V = diag(−1, 0, 0), B = diag(1, 1, 0): E is the plane of e₂ and e₃, and B ignores e₃; turned, to rounding."""
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    for O in (np.eye(3), turn):
        head = Head(O @ np.diag([-1.0, 0.0, 0.0]) @ O.T, O @ np.diag([1.0, 1.0, 0.0]) @ O.T)
        found = predict(head).pointwise
        number("κ_∥ where B sees E", found.value, 1.0, rtol=1e-12)
        assert found.sentence.count("= 1, and ever faster towards a direction of E that B ignores") == 1
    hidden = Head(-np.eye(3), turn @ np.diag([1.0, 1.0, 0.0]) @ turn.T)
    assert predict(hidden).pointwise.sentence == "not predicted: B ignores E"


def heads_of_all_kinds(rng, dim):
    """Pairs (V, B): general, small integers, diagonal with repeats, triangular, of rank one, huge and tiny."""

    def integers(*shape):
        return rng.integers(-2, 3, shape).astype(float)

    Q, u, w = np.linalg.qr(rng.normal(size=(dim, dim)))[0], *rng.normal(size=(2, dim, 1))
    general, sizes = rng.normal(size=(4, dim, dim)), 10.0 ** rng.uniform(-150, 150, 2)
    skew = integers(dim, dim)
    return [
        (general[0], general[1]),
        (integers(dim, dim), integers(dim, dim)),
        (np.diag(integers(dim)), np.diag(integers(dim))),
        (np.diag(rng.integers(-1, 2, dim)), np.diag(rng.integers(-1, 2, dim))),
        (Q @ np.diag(integers(dim)) @ Q.T, Q @ np.diag(integers(dim)) @ Q.T),
        (np.triu(integers(dim, dim)), np.triu(integers(dim, dim))),
        (general[2], u @ w.T),
        (u @ w.T, general[3]),
        (u @ w.T, w @ u.T),
        (integers(dim, dim), -2.0 * Q),
        (skew - skew.T, integers(dim, dim)),
        (sizes[0] * general[0], sizes[1] * general[1]),
        (np.zeros((dim, dim)), integers(dim, dim)),
        (integers(dim, dim), np.zeros((dim, dim))),
    ]


def parts(found, name=""):
    """Every value inside a dataclass, with its name."""
    if not is_dataclass(found):
        yield name, found
        return
    for field in fields(found):
        yield from parts(getattr(found, field.name), f"{name}.{field.name}")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dim", [2, 3])
def test_every_head_is_predicted_or_says_why_not(dim):
    """No exception, no warning; every number finite, and no sentence that prints one that is not."""
    rng = np.random.default_rng(dim)
    for _ in range(20):
        for V, B in heads_of_all_kinds(rng, dim):
            beta, mass = 10.0 ** rng.uniform(-3.0, 6.0), rng.choice([0.0, 0.5, 1.0, rng.uniform()])
            for name, found in parts(predict(Head(V, B, beta=beta), mass)):
                if isinstance(found, str):
                    assert not re.search(r"\b(nan|inf)\b", found), (V, B, name, found)
                elif found is not None:
                    assert np.isfinite(found).all(), (V, B, name)


# ---- when it begins


def cluster_rates(head, width, mean):
    """s′/s and m′/m of Gaussian clusters at ±e₁ on S¹, from the velocity of their Gauss–Hermite nodes as tokens."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    angle = mean + width * nodes
    tokens = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    weights = weights / weights.sum()
    velocity = token_velocity(head, np.concatenate([tokens, -tokens]), 0.5 * np.concatenate([weights, weights]))
    turn = (velocity[:60] * np.stack([-np.sin(angle), np.cos(angle)], axis=1)).sum(axis=1)
    return weights @ (turn * nodes) / width, weights @ turn / mean


@pytest.mark.parametrize(("V", "B"), [(C7["V"], C7["B"]), ([[1.0, 0.7], [0.0, 1.4]], [[2.0, 0.0], [-0.7, 1.0]])])
def test_narrow_clusters_turn_where_predicted(V, B):
    """Also for V and B that are not symmetric (VBᵀ is): only what they do across e matters."""
    beta = 1e8
    head = Head(V, B, beta=beta)
    found = turning(head, escape(head))
    width = np.sqrt(found.width / beta)
    for factor, sign in ((0.98, 1.0), (1.02, -1.0)):
        assert np.sign(cluster_rates(head, factor * width, width)[1]) == sign
    narrowing, moving = cluster_rates(head, width, width)
    bounded("m′/m at the turn", abs(moving), 5e-4)
    number("s′/s there", narrowing, 1.4 * found.width / (1.0 + 2.0 * found.width) - 1.0, atol=5e-4)
    number("c", found.contraction, 0.3, rtol=1e-12)
    wide = cluster_rates(head, 5.0 / np.sqrt(beta), 5.0 / np.sqrt(beta))
    for rate, off in zip(wide, (-1.4 / 102.0, 1.4 / 102.0), strict=True):  # c ∓ v₂/(2 + 4βs²)
        number("rate of clusters of width 5 β^{−1/2}", rate, -found.contraction + off, atol=0.01)


def test_time_of_the_turn_is_affine_in_log_beta():
    """Gaussian clusters marched from a width of 0.5: what β changes is when they turn."""
    slopes = []
    for beta in (1e8, 1e9):
        head = Head(**C7, beta=beta)
        found, s, t, step = turning(head, escape(head)), 0.5, 0.0, 1e-3
        while beta * s**2 > found.width:
            middle = s * np.exp(0.5 * step * (1.4 * beta / (s**-2 + 2.0 * beta) - 1.0))
            s, t = s * np.exp(step * (1.4 * beta / (middle**-2 + 2.0 * beta) - 1.0)), t + step
        slopes.append(t)
    number("Δt_turn / Δ log β", np.diff(slopes)[0] / np.log(10.0), found.value, rtol=1e-3)


@pytest.mark.parametrize("b2", [1.0, 1.3])
def test_least_distance_balances_decay_and_escape(b2):
    head = Head(np.diag([1.0, 1.4]), np.diag([2.0, b2]))
    leaving = escape(Head(head.V, head.B, beta=50.0))
    turn = turning(head, leaving)
    slope, rate = least_distance(head, leaving, turn).value, wasserstein_decay(head).value
    times, t = [], np.linspace(0.0, 600.0, 600001)
    for log_beta in (20.0, 60.0):
        w = np.logaddexp(-2.0 * rate * t, -log_beta + 2.0 * leaving.value * (t - log_beta * turn.value))
        times.append(t[np.argmin(w)])
    number("Δt_min / Δ log β", np.diff(times)[0] / 40.0, slope, rtol=1e-4)
    assert (slope > turn.value * 1.01) == (b2 == 1.3)


# ---- where it ends


@pytest.mark.parametrize(
    ("V", "kind", "words"),
    [
        (np.diag([1.0, 1.4]), "axis", "leading eigenvector of V"),
        ([[1.5, 0.45], [0.3, 0.8]], "axis", "leading eigenvector of V"),
        (np.diag([1.0, 0.2, 1.0]), "plane", "2-fold"),
        (np.eye(3), "everything", "any direction"),
        ([[0.3, -1.0], [1.0, 0.3]], "rotation", "for ever"),
        ([[0.0, -1.0], [1.0, 0.0]], "rotation", "for ever"),
        ([[-0.3, -1.0], [1.0, -0.3]], "none", "spread"),
        (np.diag([-1.0, -0.2]), "none", "spread"),
    ],
)
def test_final_state(V, kind, words):
    found = final_state(Head(V))
    assert found.kind == kind and words in found.sentence and (found.axis is None) == (kind != "axis")


@pytest.mark.parametrize("seed", range(3))
def test_a_collapsed_cluster_ends_there(seed):
    V = np.random.default_rng(seed).normal(size=(3, 3)) + 2.0 * np.diag([1.0, 0.0, 0.0])
    V = V + V.T if seed else V
    head = Head(V, np.random.default_rng(9).normal(size=(3, 3)), beta=3.0)
    found = final_state(head)
    assert found.kind == "axis"
    times = np.array([0.0, 6.0, 7.0]) / found.value
    path = simulate_tokens(head, np.array([[0.6, 0.48, 0.64]]), times, rtol=1e-11, atol=1e-13)[:, 0]
    off = np.linalg.norm(path - np.outer(path @ found.axis, found.axis), axis=1)
    bounded("distance from the final axis", off[2], 0.02)
    if np.abs(np.linalg.eigvals(V).imag).max() == 0.0:
        number("rate of approach", -np.log(off[2] / off[1]) * found.value, found.value, rtol=0.05)


def test_clusters_that_v_does_not_keep_set_off_at_once():
    """VBᵀ = diag(1.5, 1), V's eigenvectors elsewhere: the speed of two collapsed clusters, cold."""
    V, B = np.diag([1.5, 1.0]) @ TILT, np.linalg.inv(TILT)
    head = Head(V, B, beta=100.0)
    found = escape(head)
    velocity = token_velocity(head, np.array([[1.0, 0.0], [-1.0, 0.0]]), [0.6, 0.4])
    assert found.kind == "drift" and found.value is None and found.clusters is None
    number("speed of a cluster at e", np.linalg.norm(velocity[0]), found.speed, rtol=1e-12)
    number("direction", float(velocity[0] @ found.direction), found.speed, rtol=1e-12)
    number("score gap", found.score_gap, np.linalg.norm(B[0]) - B[0, 0], rtol=1e-12)
    predicted = predict(head)
    assert "grows with β, not log β" in predicted.turning.sentence and predicted.least_distance.value is None
    assert not predicted.keeps_target and predicted.final.kind == "axis"


def stability(head):
    """The fastest growth of a displacement of two equal tokens at ±e₁."""
    return jacobian_of_two_tokens(head, np.array([1.0, 0.0]), 0.5).real.max()


def test_what_is_not_predicted_says_why():
    stable = predict(Head(np.diag([1.0, 0.5]), beta=20.0))
    assert stable.escape.kind == "stable" and stable.escape.value < 0.0 and stable.keeps_target
    assert "no second phase" in stable.escape.sentence and "no second phase" in stable.turning.sentence
    plane = predict(Head(np.diag([1.0, 1.0, 0.5]), beta=20.0))
    assert plane.escape.kind == "unknown" and "great circle" in plane.escape.sentence
    head = Head(np.diag([-1.0, 0.5]), np.diag([-1.0, 0.5]), beta=2.0)  # each cluster attends to the other
    crossed = predict(head)
    number("rate of clusters that attend to each other", crossed.escape.value, stability(head), atol=1e-8)
    assert crossed.escape.kind == "stable" and not crossed.keeps_target and crossed.turning.value is None
    apart = predict(Head(np.diag([-1.0, -2.0]), beta=20.0))
    assert apart.escape.kind == "unknown" and "do not hold together" in apart.escape.sentence
    hidden = Head(np.diag([1.0, 1.5, 1.2]), np.array([[3.0, 0.0, 0.0], [0.0, 1.0, 0.3], [0.0, 0.3, 0.7]]), beta=9.0)
    assert "commute" in predict(hidden).turning.sentence
    with pytest.raises(InputError, match="expected a number between 0 and 1"):
        predict(Head(np.diag([1.0, 0.5])), 1.5)
