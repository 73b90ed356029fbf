"""Attention of weighted points against sums written out by scipy and mpmath, relative to each target's own Z."""

from __future__ import annotations

import time

import mpmath
import numpy as np
import pytest
from scipy.special import logsumexp

from spherepde import tokens
from spherepde.errors import InputError
from spherepde.heads import Head
from spherepde.token_sums import coefficients, dense, fast, token_attention

FINE, GENERAL = 2e-12, 1e-10
"""Errors beside the rounding of scores: tokens that spread, B = sO or S¹; any other B on S²."""


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def uniform(count, dim, seed=0):
    return unit(np.random.default_rng(seed).standard_normal((count, dim)))


def scores_with(*values, seed=2):
    """A score matrix with these singular values and random axes."""
    rng = np.random.default_rng(seed)
    left, right = (np.linalg.qr(rng.standard_normal((len(values),) * 2))[0] for _ in range(2))
    return left @ np.diag(values) @ right


def written_out(head, y, w, x):
    """Log Z and mean from the full matrix of scores."""
    with np.errstate(divide="ignore"):
        scores = head.beta * (x @ head.B) @ y.T + np.log(w)
    log_partition = logsumexp(scores, axis=1)
    return log_partition, np.exp(scores - log_partition[:, None]) @ y


def errors(found, expected):
    """Largest relative error of Z and largest error of the mean."""
    assert np.all(np.isfinite(found[0]))
    assert np.linalg.norm(found[1], axis=1).max() <= 1.0 + 1e-15
    return np.abs(np.expm1(found[0] - expected[0])).max(), np.linalg.norm(found[1] - expected[1], axis=1).max()


def report(name, found, expected, limit):
    z, m = errors(found, expected)
    print(f"NUMBER {name}: measured Z {z:.1e}, mean {m:.1e}, expected <= {limit:.1e}, error {max(z, m):.1e}")
    assert max(z, m) <= limit, f"{name}: {z!r}, {m!r} > {limit!r}"


SCORES = {
    "B = I": lambda dim: np.eye(dim),
    "B = 0.7 O": lambda dim: scores_with(*[0.7] * dim),
    "ratio 0.3": lambda dim: scores_with(*np.linspace(1.0, 0.3, dim)),
    "ratio 0.1": lambda dim: scores_with(*np.linspace(1.0, 0.1, dim)),
    "rank 1": lambda dim: scores_with(*np.eye(dim)[0]),
    "B = 0": lambda dim: np.zeros((dim, dim)),
}


# --- the sums


@pytest.mark.parametrize("beta", [1e-3, 1.0, 100.0])
@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("dim", [2, 3])
def test_both_methods_give_the_sums_written_out(dim, score, beta):
    head = Head(np.eye(dim), SCORES[score](dim), beta=beta)
    y, x = uniform(3000, dim), uniform(150, dim, seed=1)
    w = np.random.default_rng(2).random(3000)
    expected = written_out(head, y, w, x)
    limit = FINE if dim == 2 or head.scaled_orthogonal() else GENERAL
    for method, allowed in (("dense", 1e-13), ("fast", limit)):
        name = f"{method} sums, d = {dim}, {score}, beta {beta:g}"
        report(name, token_attention(head, y, w, x, method), expected, allowed)


@pytest.mark.parametrize("dim", [2, 3])
def test_low_temperature(dim):
    head = Head(np.eye(dim), beta=1e4)
    y = uniform(20000, dim)
    expected = written_out(head, y, np.full(20000, 5e-5), y[:100])
    for method in ("dense", "fast"):  # scipy and we round scores of 1e4 differently, by 4e-12
        found = token_attention(head, y, targets=y[:100], method=method)
        report(f"{method} sums, d = {dim}, beta 1e4", found, expected, 1.2e-11)


@pytest.mark.parametrize("dim", [4, 7])
def test_dense_sums_in_any_dimension(dim):
    head = Head(np.eye(dim), scores_with(*np.linspace(2.0, -0.5, dim)), beta=30.0)
    y, x, w = uniform(700, dim), uniform(50, dim, seed=1), np.random.default_rng(3).random(700)
    for method in ("dense", "auto"):
        assert max(errors(token_attention(head, y, w, x, method), written_out(head, y, w, x))) < 2e-14


def test_targets_default_to_all_sources_and_weights_to_equal_ones():
    head, y = Head(np.eye(3), beta=20.0), uniform(900, 3)
    for method in ("dense", "fast"):
        assert (
            max(errors(token_attention(head, y, method=method), written_out(head, y, np.full(900, 1 / 900), y))) < FINE
        )
        w = np.r_[np.zeros(300), np.ones(600)]  # tokens of weight zero attend, and nobody attends to them
        log_partition, mean = token_attention(head, y, w, method=method)
        assert mean.shape == (900, 3)
        assert max(errors((log_partition, mean), written_out(head, y[300:], w[300:], y))) < FINE


def test_the_default_takes_whichever_is_faster(monkeypatch):
    def never(*_):
        raise AssertionError("the other method was meant")

    head, y = Head(np.eye(3), beta=20.0), uniform(20_000, 3)
    with monkeypatch.context() as patch:
        patch.setattr("spherepde.token_sums.dense_sums", never)
        token_attention(head, y)
    monkeypatch.setattr("spherepde.token_sums.fast_sums", never)
    token_attention(head, y[:500])
    token_attention(Head(np.eye(3), beta=2e6), y, targets=y[:20])


def test_scale_of_the_weights_goes_into_the_logarithm():
    head, y, w = Head(np.eye(3), beta=40.0), uniform(2000, 3), np.random.default_rng(5).random(2000)
    for method in ("dense", "fast"):
        log_partition, mean = token_attention(head, y, w, y[:50], method)
        for power in (-290, 290):
            scaled = token_attention(head, y, w * 10.0**power, y[:50], method)
            np.testing.assert_allclose(scaled[0], log_partition + power * np.log(10.0), rtol=0.0, atol=3e-13)
            np.testing.assert_allclose(scaled[1], mean, atol=1e-13)


@pytest.mark.parametrize("score", ["B = I", "ratio 0.3"])
@pytest.mark.parametrize("dim", [2, 3])
def test_blocks_and_threads_change_nothing(dim, score, monkeypatch):
    head, y, x = Head(np.eye(dim), SCORES[score](dim), beta=15.0), uniform(3000, dim), uniform(2001, dim, seed=1)
    whole = [token_attention(head, y, None, x, method, tolerance=1e-11) for method in ("dense", "fast")]
    for name in ("LIGHT_BLOCK", "HEAVY_BLOCK"):
        monkeypatch.setattr(fast, name, 1000)
    monkeypatch.setattr(coefficients, "BLOCK", 701)
    for method, expected in zip(("dense", "fast"), whole, strict=True):
        found = token_attention(head, y, None, x, method, tolerance=1e-11, threads=2)
        assert max(errors(found, expected)) < 2e-11


# --- depleted zones


def depleted(dim, count=4000, seed=4):
    """Two clusters of width 1e-3, tails of weight 1e-30 everywhere else, and targets everywhere."""
    rng = np.random.default_rng(seed)
    side = np.where(rng.random(count) < 0.7, 1.0, -1.0)[:, None]
    clusters = unit(np.eye(dim)[0] * side + 1e-3 * rng.standard_normal((count, dim)))
    y, w = np.concatenate([clusters, uniform(count, dim, seed)]), np.repeat([1.0 / count, 1e-30], count)
    return y, w, np.concatenate([uniform(150, dim, 7), y[:25], y[-25:]])


@pytest.mark.parametrize("beta", [1.0, 30.0, 300.0])
@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("dim", [2, 3])
def test_depleted_zones_keep_their_digits(dim, score, beta):
    head = Head(np.eye(dim), SCORES[score](dim), beta=beta)
    y, w, x = depleted(dim)
    expected = written_out(head, y, w, x)
    report(f"depleted, d = {dim}, {score}, beta {beta:g}", token_attention(head, y, w, x, "fast"), expected, 1e-10)


def test_depleted_zones_against_fifty_digits():
    head = Head(np.eye(3), scores_with(1.0, 0.8, 0.5), beta=250.0)
    y, w, x = depleted(3, count=400)
    x = x[[0, 1, 2, -1]]
    log_partition, mean = token_attention(head, y, w, x, "fast")
    with mpmath.workdps(50):
        for i, target in enumerate(x):
            query = [mpmath.fdot(target, head.B[:, k]) * 250 for k in range(3)]
            terms = [mpmath.exp(mpmath.fdot(query, source)) * weight for source, weight in zip(y, w, strict=True)]
            partition = mpmath.fsum(terms)
            assert abs(mpmath.expm1(mpmath.log(partition) - log_partition[i])) < 1e-12
            for k in range(3):
                assert abs(mpmath.fdot(terms, y[:, k]) / partition - mean[i, k]) < 1e-12


@pytest.mark.parametrize("tolerance", [1e-5, 1e-8, 1e-12])
@pytest.mark.parametrize("dim", [2, 3])
def test_the_tolerance_is_kept_and_sets_who_is_summed_directly(dim, tolerance):
    head, y = Head(np.eye(dim), beta=40.0), uniform(20_000, dim)
    w = np.exp(25.0 * (y[:, 0] - 1.0))  # Z falls by ten orders of magnitude
    x = uniform(400, dim, seed=8)
    expected = written_out(head, y, w, x)
    assert max(errors(token_attention(head, y, w, x, "fast", tolerance=tolerance), expected)) < tolerance
    directly = fast.fast_sums(head, y, w, x, tolerance, 1)[2]
    below = np.count_nonzero(expected[0] < expected[0].max() + np.log(fast.TRANSFORM_FLOOR / tolerance))
    print(f"tolerance {tolerance:g}, d = {dim}: {directly} of 400 summed directly, {below} below the threshold")
    assert 0 < directly < 400
    assert abs(directly - below) <= 8  # the largest Z is taken over the sphere, not over these targets


@pytest.mark.parametrize("score", ["B = I", "ratio 0.1", "rank 1"])
@pytest.mark.parametrize("dim", [2, 3])
def test_the_largest_partition_function_is_bounded_closely(dim, score):
    head = Head(np.eye(dim), SCORES[score](dim), beta=100.0)
    y, w = unit(0.3 * uniform(500, dim) + np.eye(dim)[0]), np.full(500, 1.0)
    kappa = head.beta * np.linalg.norm(uniform(60, dim, seed=1) @ head.B, axis=1)
    bound = fast._suprema(fast._Evaluator(head, y, w, 1), kappa)
    cosine = unit(y + 0.02 * uniform(500, dim, seed=2)) @ y.T
    largest = np.array([np.exp(k * (cosine - 1.0)).sum(axis=1).max() for k in kappa])
    assert np.all(bound >= 0.99 * largest)
    assert np.all(bound <= 5.0 * largest)


@pytest.mark.parametrize("method", ["dense", "fast"])
@pytest.mark.parametrize(("dim", "beta"), [(2, 1e-3), (2, 1.0), (2, 1e4), (3, 1e-3), (3, 1.0), (3, 1e3)])
def test_never_a_nan(dim, method, beta):
    head, x = Head(np.eye(dim), beta=beta), uniform(20, dim, seed=1)
    pole = np.eye(dim)[-1:]
    with np.errstate(all="raise", under="ignore"):
        one = token_attention(head, pole, None, x, method)
        assert max(errors(one, (beta * x[:, -1], np.tile(pole, (20, 1))))) < 1e-12 * max(1.0, beta)
        np.testing.assert_allclose(one[1], np.tile(pole, (20, 1)), atol=1e-9)
        many = np.tile(x[:1], (50, 1))
        log_partition, mean = token_attention(head, many, None, pole, method)
        np.testing.assert_allclose(log_partition, beta * x[:1, -1], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(mean, x[:1], atol=1e-9)
        y = np.concatenate([uniform(50, dim), -pole])  # all weight far from the target
        far = token_attention(head, y, np.r_[np.zeros(50), 1e-300], pole, method)
        np.testing.assert_allclose(far[0], [-beta + np.log(1e-300)], rtol=1e-14)
        np.testing.assert_allclose(far[1], -pole, atol=1e-9)


def test_symmetric_tokens_have_mean_zero_and_the_closed_form():
    cosh = Head(np.eye(3), beta=2.0)
    pair = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    x = uniform(40, 3)
    for method in ("dense", "fast"):
        log_partition, mean = token_attention(cosh, pair, None, x, method)
        np.testing.assert_allclose(log_partition, np.log(np.cosh(2.0 * x[:, 2])), atol=1e-12)
        np.testing.assert_allclose(mean[:, 2], np.tanh(2.0 * x[:, 2]), atol=1e-12)
        np.testing.assert_allclose(mean[:, :2], 0.0, atol=1e-12)


# --- in the motion of tokens


@pytest.mark.parametrize("attention", ["softmax", "unnormalised"])
def test_tokens_move_by_the_sums_they_are_given(attention):
    rng = np.random.default_rng(6)
    heads = [Head(rng.standard_normal((3, 3)), SCORES[name](3), beta=3.0) for name in ("B = I", "ratio 0.3")]
    x, w = uniform(200, 3), rng.dirichlet(np.ones(200))

    def attend(*arguments):
        return token_attention(*arguments, method="fast")

    options = {"weights": w, "attention": attention, "combine": "mean"}
    expected = tokens.token_velocity(heads, x, **options)
    found = tokens.token_velocity(heads, x, attend=attend, **options)
    np.testing.assert_allclose(found, expected, atol=1e-11 * np.abs(expected).max())
    paths = [tokens.simulate_tokens(heads[0], x, [0.3], w, attention, attend=sums) for sums in (None, attend)]
    np.testing.assert_allclose(paths[1], paths[0], atol=1e-10)


# --- what it costs


@pytest.mark.parametrize(("dim", "ratio"), [(2, 1.0), (2, 0.3), (3, 1.0), (3, 0.3), (3, 0.1), (3, 0.0)])
def test_accuracy_for_many_tokens(dim, ratio):
    head = Head(np.eye(dim), scores_with(*np.linspace(1.0, ratio, dim)), beta=100.0)
    y = unit(uniform(30_000, dim) + 0.3 * np.eye(dim)[0])
    w = np.full(len(y), 1.0 / len(y))
    found = token_attention(head, y, method="fast")
    expected = written_out(head, y, w, y[::300])
    limit = 1e-12 if dim == 2 or ratio == 1.0 else 1e-10
    report(f"30 000 tokens, d = {dim}, ratio {ratio:g}, beta 100", [f[::300] for f in found], expected, limit)


def seconds(work, repeats=3):
    def once():
        start = time.process_time()
        work()
        return time.process_time() - start

    work()
    return min(once() for _ in range(repeats))


@pytest.mark.slow
@pytest.mark.parametrize("dim", [2, 3])
def test_a_million_tokens(dim):
    head = Head(np.eye(dim), beta=100.0)
    y = unit(uniform(10**6, dim) + 0.3 * np.eye(dim)[0])
    found = token_attention(head, y)
    some = np.random.default_rng(1).integers(0, 10**6, 100)
    expected = written_out(head, y, np.full(len(y), 1e-6), y[some])
    report(f"a million tokens, d = {dim}, beta 100", [f[some] for f in found], expected, 1e-12)
    taken = [seconds(lambda n=n: token_attention(head, y[:n])) for n in (10**5, 10**6)]
    slope = np.log10(taken[1] / taken[0])
    block = 1 << 15
    z = y[:20_000]

    def blocked():
        rows = block // len(z)
        for first in range(0, 200, rows):
            e = np.exp(100.0 * (z[first : first + rows] @ z.T - 1.0))
            e @ z / e.sum(axis=1, keepdims=True)

    plain = seconds(blocked) * len(z) / 200 * (10**6 / len(z)) ** 2
    print(f"NUMBER seconds for 1e6 tokens, d = {dim}: measured {taken[1]:.3f}, expected <= 0.5, error {taken[1]:.3f}")
    print(f"NUMBER cost slope from 1e5 to 1e6, d = {dim}: measured {slope:.3f}, expected <= 1.05, error {slope:.3f}")
    print(f"NUMBER blocked dense sums over it, d = {dim}: measured {plain / taken[1]:.0f}, expected >= 1000, error 0")
    assert slope < 1.15
    assert plain > 1000.0 * taken[1]


# --- bad input


@pytest.mark.parametrize(
    ("sentence", "call"),
    [
        ("expected one Head", lambda h, y: token_attention([h], y)),
        ("sources: expected unit vectors of shape .n, 3.", lambda h, y: token_attention(h, y[:, :2])),
        ("sources: expected unit vectors of shape", lambda h, y: token_attention(h, y[0])),
        ("sources: expected unit vectors of shape", lambda h, y: token_attention(h, y[:0])),
        ("sources: expected an array of real numbers", lambda h, y: token_attention(h, "points")),
        ("sources: expected an array of real numbers", lambda h, y: token_attention(h, y + 0j)),
        ("sources: expected unit vectors, got .* in row 0", lambda h, y: token_attention(h, 1.001 * y)),
        ("sources: .* in row 3", lambda h, y: token_attention(h, np.where(np.arange(9)[:, None] == 3, np.nan, y))),
        ("targets: expected unit vectors, got", lambda h, y: token_attention(h, y, targets=0.0 * y)),
        ("targets: expected unit vectors of shape", lambda h, y: token_attention(h, y, targets=np.eye(2))),
        ("token weights: expected shape .9,.", lambda h, y: token_attention(h, y, np.ones(8))),
        ("token weights: expected an array", lambda h, y: token_attention(h, y, ["heavy"] * 9)),
        ("token weights: expected finite", lambda h, y: token_attention(h, y, np.r_[np.ones(8), np.inf])),
        ("token weights: expected finite", lambda h, y: token_attention(h, y, np.r_[np.ones(8), -1.0])),
        ("token weights: .* not all of them zero", lambda h, y: token_attention(h, y, np.zeros(9))),
        ("expected method", lambda h, y: token_attention(h, y, method="tree")),
        ("tolerance", lambda h, y: token_attention(h, y, tolerance=1e-14)),
        ("tolerance", lambda h, y: token_attention(h, y, tolerance=float("nan"))),
        ("threads", lambda h, y: token_attention(h, y, threads=0)),
        ('"fast" works on', lambda h, y: token_attention(Head(np.eye(4)), np.eye(4), method="fast")),
        ("beta = 1e.07 is beyond", lambda h, y: token_attention(Head(np.eye(3), beta=1e7), y, method="fast")),
    ],
)
def test_bad_input_is_one_sentence(sentence, call):
    with pytest.raises(InputError, match=sentence) as caught:
        call(Head(np.eye(3)), uniform(9, 3))
    assert "\n" not in str(caught.value)


def test_compiled_exponentials_are_exact():
    x = -np.r_[0.0, np.random.default_rng(0).random(200) * 40.0, 100.0, 600.0]
    out, workspace = np.empty(len(x)), np.empty(len(x))
    dense._exponentials(x.copy(), 0.0, len(x), workspace, np.empty(len(x), np.int64), out)
    np.testing.assert_allclose(out, [float(mpmath.exp(value)) for value in x], rtol=4e-16)


@pytest.mark.parametrize("dim", [2, 3])
def test_an_almost_orthogonal_score_keeps_its_digits(dim):
    """Counting B = diag(1 + 4e-13, …) as the identity would cost β·4e-13 of Z."""
    head = Head(np.eye(dim), np.diag([1.0 + 4e-13, 1.0, 1.0 - 4e-13][:dim]), beta=1e4)
    y = uniform(300, dim)
    exact = written_out(head, y, np.full(300, 1.0 / 300), y)
    log_partition, mean = token_attention(head, y, method="fast")
    assert np.abs(log_partition - exact[0]).max() < 1e-10 + 4e-16 * 1e4
    assert np.abs(mean - exact[1]).max() < 1e-10


def test_weights_six_hundred_orders_apart():
    head, y = Head(np.eye(3), beta=1000.0), np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    for w in ([1e10, 1e-310], [1e300, 1e-300]):
        exact = written_out(head, y, np.array(w), y)
        with np.errstate(divide="raise", invalid="raise"):
            log_partition, mean = token_attention(head, y, w, method="fast")
        np.testing.assert_allclose(log_partition, exact[0], rtol=1e-14)
        np.testing.assert_allclose(mean, exact[1], atol=1e-12)


def test_beyond_all_harmonics_is_dense():
    head, y = Head(np.eye(3), beta=2.5e5), uniform(700, 3)
    exact = written_out(head, y, np.full(700, 1.0 / 700), y)
    log_partition, _ = token_attention(head, y)
    np.testing.assert_allclose(log_partition, exact[0], rtol=1e-15, atol=1e-10)
    with pytest.raises(InputError, match='beta = 250000 is beyond method "fast"; expected method "dense"'):
        token_attention(head, y, method="fast")


def test_clusters_on_the_axes_of_thin_scores():
    """The worst case of the grid in ω: all weight on one principal axis, targets everywhere, each with its own Z."""
    for sizes, beta in (((1.0, 0.053, 0.025), 15.3), ((1.0, 0.046, 0.044), 6.4), ((1.0, 0.6, 0.1), 3.0)):
        B = scores_with(*sizes)
        y = unit(np.linalg.svd(B)[2][0] + 0.01 * np.random.default_rng(1).standard_normal((300, 3)))
        head, x = Head(np.eye(3), B, beta=beta), uniform(6000, 3)
        exact = written_out(head, y, np.full(300, 1.0 / 300), x)
        log_partition, mean = token_attention(head, y, targets=x, method="fast")
        assert np.abs(log_partition - exact[0]).max() < 1e-9
        assert np.abs(mean - exact[1]).max() < 1e-9
