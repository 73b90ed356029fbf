r"""Tokens with equal inner products ρ: the motion of n of them in R^d is one scalar equation, solved by scipy.

.. math:: \dot\rho=2(1-\rho)((n-1)\rho+1)\,g(\rho),\qquad
          g_{SA}=\sum_h\frac{m_he^{\beta m_h\rho}}{e^{\beta m_h}+(n-1)e^{\beta m_h\rho}},\qquad
          g_{USA}=\frac1n\sum_hm_he^{\beta m_h\rho}

for heads B = V = m_h I (literature sections 4 and 11); for n → ∞ and one head, ρ' = 2ρ(1−ρ) and 2e^{βρ}ρ(1−ρ) (C16).
"""

from itertools import pairwise

import numpy as np
import pytest
from physics_helpers import bounded, number
from scipy.integrate import solve_ivp

from spherepde.heads import Head
from spherepde.token_sums import token_attention
from spherepde.tokens import simulate_tokens

TIMES = np.linspace(0.0, 2.0, 9)[1:]
TIGHT = {"rtol": 1e-11, "atol": 1e-12}


def equiangular(count, cosine, dim):
    """Unit vectors of R^dim, any two of them at this cosine: rows of a root of the Gram matrix, turned at random."""
    gram = np.full((count, count), cosine) + (1.0 - cosine) * np.eye(count)
    values, vectors = np.linalg.eigh(gram)
    root = (vectors * np.sqrt(np.maximum(values, 0.0)))[:, max(0, count - dim) :]
    turn = np.linalg.qr(np.random.default_rng(count).standard_normal((dim, dim)))[0]
    return root @ turn[: root.shape[1]]


def fast(*arguments):
    return token_attention(*arguments, method="fast", tolerance=1e-12)


def cosines(path):
    """All inner products of different tokens at each time, shape (times, pairs)."""
    count = path.shape[1]
    return (path @ path.swapaxes(1, 2))[:, ~np.eye(count, dtype=bool)]


def scalar(rate, start, times):
    solution = solve_ivp(lambda _, r: rate(r), (0.0, times[-1]), [start], "DOP853", times, rtol=1e-12, atol=1e-13)
    return solution.y[0]


def closed_rate(count, beta, scales, attention):
    def rate(r):
        if attention == "softmax":
            g = sum(m / (np.exp(beta * m * (1.0 - r)) + count - 1.0) for m in scales)
        else:
            g = sum(m * np.exp(beta * m * r) for m in scales) / count
        return 2.0 * (1.0 - r) * ((count - 1.0) * r + 1.0) * g

    return rate


def compared(name, heads, start, count, dim, attention, rate, combine="sum", attend=None):
    x = equiangular(count, start, dim)
    path = simulate_tokens(heads, x, TIMES, attention=attention, combine=combine, attend=attend, **TIGHT)
    found, expected = cosines(path), scalar(rate, start, TIMES)
    bounded(f"{name}: pairs differ by", float(np.ptp(found, axis=1).max()), 1e-8)
    number(name, found[-1].mean(), expected[-1], atol=1e-8)
    bounded(f"{name}: worst time", float(np.abs(found - expected[:, None]).max()), 1e-8)
    assert abs(expected[-1] - start) > 0.05  # something moved


@pytest.mark.parametrize("attention", ["softmax", "unnormalised"])
@pytest.mark.parametrize(("count", "dim", "beta", "start"), [(3, 3, 4.0, 0.1), (8, 9, 1.0, -0.1), (40, 40, 2.0, 0.02)])
def test_tokens_stay_equiangular_and_follow_the_scalar_equation(count, dim, beta, start, attention):
    rate = closed_rate(count, beta, [1.0], attention)
    name = f"{attention}, {count} equiangular tokens in R^{dim}, beta {beta:g}"
    compared(name, Head(np.eye(dim), beta=beta), start, count, dim, attention, rate)


@pytest.mark.parametrize("attention", ["softmax", "unnormalised"])
@pytest.mark.parametrize(
    ("count", "dim", "start"), [(2, 2, -0.2), (2, 3, 0.2), (3, 2, -0.5), (3, 3, -0.1), (4, 3, -1 / 3)]
)
def test_fast_sums_give_the_same_motion(count, dim, start, attention):
    beta, heads = 3.0, Head(np.eye(dim), beta=3.0)
    rate = closed_rate(count, beta, [1.0], attention)
    name = f"{attention}, {count} equiangular tokens on S^{dim - 1} by fast sums"
    if start == -1.0 / (count - 1):  # the simplex is an equilibrium, but an unstable one
        path = simulate_tokens(heads, equiangular(count, start, dim), [0.5], attention=attention, attend=fast, **TIGHT)
        bounded(f"{name}: the simplex moves by", float(np.abs(cosines(path) - start).max()), 1e-9)
    else:
        compared(name, heads, start, count, dim, attention, rate, attend=fast)


@pytest.mark.parametrize("combine", ["sum", "mean"])
@pytest.mark.parametrize("attention", ["softmax", "unnormalised"])
@pytest.mark.parametrize("scales", [(1.0, 0.3), (1.5, 0.2, -0.4)])
def test_several_scalar_heads(scales, attention, combine):
    beta, parts = 1.2, len(scales) if combine == "mean" else 1
    for dim, tokens, attend in ((6, 6, None), (3, 3, fast)):
        rate = closed_rate(tokens, beta, scales, attention)
        heads = [Head(m * np.eye(dim), m * np.eye(dim), beta=beta) for m in scales]
        name = f"{attention}, {combine} of heads {scales}, {tokens} tokens in R^{dim}"
        compared(name, heads, 0.05, tokens, dim, attention, lambda r, f=rate: f(r) / parts, combine, attend)


@pytest.mark.parametrize("attention", ["softmax", "unnormalised"])
def test_many_tokens_approach_the_mean_field_equation(attention):
    beta, start, time = 1.0, 0.2, np.array([0.5])
    factor = (lambda r: 1.0) if attention == "softmax" else (lambda r: np.exp(beta * r))
    limit = scalar(lambda r: 2.0 * factor(r) * r * (1.0 - r), start, time)[0]
    gaps = []
    for count in (32, 64, 128):
        path = simulate_tokens(
            Head(np.eye(count), beta=beta), equiangular(count, start, count), time, attention=attention, **TIGHT
        )
        gaps.append(cosines(path).mean() - limit)
    first = [2.0 * b - a for a, b in pairwise(gaps)]  # Richardson: free of 1/n, and below of 1/n²
    number(f"{attention}: order of the distance to the mean field in 1/n", np.log2(gaps[1] / gaps[2]), 1.0, atol=0.05)
    number(f"{attention}: extrapolated to n = infinity", limit + (4.0 * first[1] - first[0]) / 3.0, limit, atol=2e-5)
    if attention == "softmax":
        number("logistic equation in closed form", limit, 1.0 / (1.0 + (1.0 / start - 1.0) * np.exp(-1.0)), atol=1e-11)


def test_collapse_of_equiangular_tokens_at_the_linear_rates():
    count, beta, scales = 5, 1.5, (1.0, 0.4)
    for attention in ("softmax", "unnormalised"):
        heads = [Head(m * np.eye(count), m * np.eye(count), beta=beta) for m in scales]
        times = np.array([0.2, 0.3])
        start = equiangular(count, 1.0 - 1e-4, count)
        gap = 1.0 - cosines(simulate_tokens(heads, start, times, attention=attention, **TIGHT)).mean(axis=1)
        rate = 2.0 * sum(m * (1.0 if attention == "softmax" else np.exp(beta * m)) for m in scales)
        number(f"{attention}: rate of 1 − cosine", np.log(gap[0] / gap[1]) / 0.1, rate, rtol=3e-4)
