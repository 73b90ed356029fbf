r"""Attention of a million tokens: its time, its error, and how it grows, against sums over all pairs in plain numpy.

The sums are float64, in blocks of rows, :math:`\log\sum_je^{\beta\langle x_i,By_j\rangle}` with the largest score taken
off; their time at 20 000 tokens is extrapolated as N².
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray
from reporting import Row
from right_hand_sides import general_score, initial_density, value_matrix
from timing import fitted_slope, seconds_in_turn

from spherepde import Head, token_attention
from spherepde.tokens import sample_tokens

Array = NDArray[np.float64]

SCORES_AT_ONCE = 1 << 17
"""1 MB: measured, larger blocks are slower."""
SAMPLED = 100
"""Tokens whose attention is compared with the dense sum over all others."""


@dataclass(frozen=True)
class Cloud:
    """Tokens of ρ₀ on S^{dim-1}, and a head with B = I (``ratio`` 1) or that smallest over largest singular value."""

    dim: int
    ratio: float
    beta: float

    @property
    def name(self) -> str:
        """For tables and legends."""
        score = "B = I" if self.ratio == 1.0 else f"σ ratio {self.ratio:g}"
        return f"S{'¹²'[self.dim - 2]}, {score}"

    @property
    def head(self) -> Head:
        """The head."""
        B = np.eye(self.dim) if self.ratio == 1.0 else general_score(self.dim, self.ratio)
        return Head(value_matrix(self.dim), B, beta=self.beta)


@cache
def tokens(dim: int, count: int) -> Array:
    """Independent tokens (count, d) of ρ₀."""
    return sample_tokens(initial_density(dim), dim, count, seed=0)


def numpy_sums(head: Head, sources: Array, targets: Array) -> tuple[Array, Array]:
    """Log partition (n,) and mean token (n, d) at the targets, sources of equal weight 1/m, in plain numpy."""
    keys, log_count = np.ascontiguousarray(sources.T), np.log(len(sources))
    log_partition, mean = np.empty(len(targets)), np.empty_like(targets)
    rows = max(1, SCORES_AT_ONCE // len(sources))
    for first in range(0, len(targets), rows):
        block = slice(first, first + rows)
        scores = (head.beta * targets[block] @ head.B) @ keys
        top = scores.max(axis=1, keepdims=True)
        np.exp(np.subtract(scores, top, out=scores), out=scores)
        total = scores.sum(axis=1)
        log_partition[block] = top[:, 0] + np.log(total) - log_count
        mean[block] = (scores @ sources) / total[:, None]
    return log_partition, mean


def attention_seconds(cloud: Cloud, counts: Sequence[int], method: str, repeats: int) -> list[float]:
    """Processor time of the attention of so many tokens to each other; "numpy" for the plain sums."""
    head, everybody = cloud.head, tokens(cloud.dim, max(counts))

    def attend(x: Array) -> object:
        return numpy_sums(head, x, x) if method == "numpy" else token_attention(head, x, method=method)

    return seconds_in_turn([partial(attend, everybody[:count]) for count in counts], repeats)


def error_on_a_sample(cloud: Cloud, count: int) -> float:
    """Largest relative error of Z, or absolute error of the mean token, on a sample of the tokens."""
    x = tokens(cloud.dim, count)
    sample = np.random.default_rng(1).choice(count, min(SAMPLED, count), replace=False)
    log_partition, mean = token_attention(cloud.head, x, method="fast")
    exact, exact_mean = numpy_sums(cloud.head, x, x[sample])
    relative = np.abs(np.expm1(log_partition[sample] - exact)).max()
    return float(max(relative, np.abs(mean[sample] - exact_mean).max()))


def rows_of_a_cloud(
    cloud: Cloud, counts: Sequence[int], seconds: Sequence[float], dense_count: int, dense_seconds: float
) -> list[Row]:
    """What was wanted of a million tokens, from the times already taken at several counts; the last one is judged."""
    count, ours = counts[-1], seconds[-1]
    extrapolated = dense_seconds * (count / dense_count) ** 2
    large = [i for i, n in enumerate(counts) if n >= count // 10]
    slope = fitted_slope([counts[i] for i in large], [seconds[i] for i in large])
    name = f"{cloud.name}, {count:.0e} tokens"
    details = {"seconds": ours, "dense_seconds": dense_seconds, "dense_count": dense_count}
    how = f"numpy: {dense_seconds:.3g} s for {dense_count}, extrapolated as N²"
    return [
        Row(f"{name}: processor time", ours, "s", at_most=0.5, note=f"{1e9 * ours / count:.0f} ns a token"),
        Row(
            f"{name}: error",
            error_on_a_sample(cloud, count),
            "",
            at_most=1e-12,
            note=f"Z relative and m, against numpy at {SAMPLED} tokens",
        ),
        Row(f"{name}: dense sums take", extrapolated / ours, at_least=1000.0, note=how, details=details),
        Row(f"{name}: slope in N", slope, "", at_most=1.05, note=f"N = {counts[large[0]]:.0e} … {count:.0e}"),
    ]
