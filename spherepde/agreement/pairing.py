r"""Tokens against their own first ones, moved accurately: what is left is the code's error, no sampling error.

A flow that amplifies the sampling error of tokens hides errors of a code behind it. Moved from the same first tokens by
the same model, two clouds have the same sampling error, and their distance is that of two integrators.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..characteristics import Characteristics
from ..characteristics.flow import move_points
from ..transport.costs import angle_between
from .cells import angles_between, optimum
from .circle_distances import circle_distances, on_circle
from .interacting import OF_PAIRS, euler_tokens, interacting_tokens, tokens_interact
from .moments import moment_functions, moments_apart, sizes
from .token_files import Trajectories

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

PAIR_NAMES = ("wasserstein_1", "mean", "second_moment")
"""What is measured of a pair of clouds. No W₂: one token of thousands that takes the other side of a separatrix makes
it."""
FRACTION = 0.1
"""A pair may be this part of the 99 % limit of an exact sample apart …"""
STEP, STEPS = 0.02, (100, 1000)
SIMPLE = 1.2
"""… or this many times what Euler steps of 0.02 make of the tokens (between a hundredth and a thousandth of the times
covered, if these are very short or long) …"""
ONE_TOKEN = np.array([np.pi, 2.0, np.sqrt(2.0)])
"""… or what N tokens differ by, times N, if one of them takes the other side of a separatrix."""
FOLLOWING = 5.0
"""Standard deviations by which tokens near each other must have stayed so, for rows to be the same tokens."""
PAIRS = 4_200_000
"""Pairs of points up to which transport on S² is solved; beyond, tokens keep to their order."""
OWN, GIVEN = "their own attention", "the run's velocity"


@dataclass(frozen=True, eq=False)
class Paired:
    """Tokens less their own first ones moved by ``by``: ``values`` and ``limit`` (T, 3) of ``PAIR_NAMES``.

    ``decides`` (T,): at the first time there is no pair, and a pair too far apart decides only if the file ``follows``
    (T,) the same tokens. ``powerless`` (T,): the first tokens, where they were, would be within the limit.
    """

    by: str
    values: Array
    limit: Array
    follows: Mask
    powerless: Mask

    @property
    def outside(self) -> Mask:
        """Where any of the three exceeds its limit (T,)."""
        return np.asarray(np.any(self.values > self.limit, axis=1))

    @property
    def decides(self) -> Mask:
        """Where the pair has the last word (T,)."""
        decides = ~self.outside | self.follows
        decides[0] = False
        return decides

    @property
    def worst(self) -> float:
        """The largest value over its limit."""
        return float((self.values[1:] / self.limit[1:]).max())


def paired(
    tokens: Trajectories, reference: Characteristics, times: Array, sampling: Array, generator: np.random.Generator
) -> Paired | None:
    """Tokens against their own first ones moved by what they attend to, or by ρ_t if that is nearer; None for one time.

    ``sampling`` (T, 3): the 99 % quantiles of ``PAIR_NAMES`` for exact samples.
    """
    if len(times) < 2:
        return None
    follows = _follows(tokens.positions, generator)
    first, start = tokens.positions[0], float(times[0])
    w = None if tokens.weights is None else tokens.weights[0]
    moved = interacting_tokens(reference, first, times, w, start=start, accuracy=OF_PAIRS)
    simple = euler_tokens(reference, first, times, w, start, simple_step(times))
    off = np.array([_apart(x, w, y, w, np.inf) for x, y in zip(simple, moved, strict=True)])
    one = ONE_TOKEN / tokens.effective_counts()[:, None]
    limit = np.maximum(np.maximum(FRACTION * sampling, SIMPLE * off), one)
    unmoved = np.array([_apart(first, w, y, w, np.inf) for y in moved])

    def against(by: str, clouds: Array) -> Paired:
        now = [None] * len(times) if tokens.weights is None else list(tokens.weights)
        rows = zip(tokens.positions, now, clouds, limit[:, 0].tolist(), strict=True)
        values = np.array([_apart(x, a, y, w, most) for x, a, y, most in rows])
        return Paired(by, values, limit, follows, np.all(unmoved <= limit, axis=1))

    found = against(OWN if tokens_interact(reference) else GIVEN, moved)
    if found.worst > 1.0 and found.by == OWN:
        found = min(found, against(GIVEN, _carried(reference, first, times)), key=lambda pair: pair.worst)
    return found


def simple_step(times: Array) -> float:
    """The step of a simple code over times (T,) that still counts as right."""
    span = float(times[-1] - times[0])
    return max(min(STEP, span / STEPS[0]), span / STEPS[1])


def _carried(reference: Characteristics, tokens: Array, times: Array) -> Array:
    """Tokens moved by the recorded velocity, as points that nobody attends to."""
    out = [tokens]
    for now, time in pairwise(times.tolist()):
        out.append(move_points(reference.velocity, out[-1], now, time, rtol=OF_PAIRS.rtol))
    return np.stack(out)


def _apart(x: Array, a: Array | None, y: Array, b: Array | None, wanted: float) -> Array:
    r"""``PAIR_NAMES`` between clouds (n, d) with weights, whatever their order.

    On S² the mean angle between tokens of the same row bounds W₁; where it is above ``wanted``, transport is solved.
    """
    means = moments_apart(y, b, np.zeros(len(moment_functions(y[:1])[0])))
    mean, second = sizes(moments_apart(x, a, means), x.shape[1])
    return np.array([_first_distance(x, a, y, b, wanted), mean, second])


def _first_distance(x: Array, a: Array | None, y: Array, b: Array | None, wanted: float) -> float:
    equal = np.full(len(x), 1.0 / len(x))
    a, b = equal if a is None else a, equal if b is None else b
    if x.shape[1] == 2:
        return circle_distances(*on_circle(x, a), *on_circle(y, b))[0]
    bound = float(b @ angle_between(x, y)) + np.pi * 0.5 * float(np.abs(a - b).sum())
    here, there = a > 0.0, b > 0.0
    if bound <= wanted or int(here.sum()) * int(there.sum()) > PAIRS:
        return bound
    return min(bound, optimum(a[here], b[there], angles_between(x[here], y[there])))


def _follows(positions: Array, generator: np.random.Generator) -> Mask:
    """At which times (T,) rows are the tokens of the first one, in their order or one as good.

    Whoever is nearest to a token at first should later be nearer to it than somebody drawn by lot, in more than half of
    the cases by :data:`FOLLOWING` standard deviations. A flow map is continuous; independent draws are not.
    """
    first, count = positions[0], len(positions[0])
    if count < 2:
        return np.zeros(len(positions), bool)
    near = np.asarray(cKDTree(first).query(first, k=2)[1])[:, 1]
    other = (np.arange(count) + generator.integers(1, count, count)) % count
    to_near = np.linalg.norm(positions - positions[:, near], axis=2)
    to_other = np.linalg.norm(positions - positions[:, other], axis=2)
    wins = np.mean(to_near < to_other, axis=1) + 0.5 * np.mean(to_near == to_other, axis=1)
    return np.asarray(2.0 * np.sqrt(count) * (wins - 0.5) > FOLLOWING)
