"""Tokens of a run's model that attend to each other: exact samples that interact, and a user's own moved accurately."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from ..attention import Attention
from ..characteristics import Characteristics
from ..characteristics.flow import segments
from ..errors import NumericalError
from ..heads import Head
from ..token_sums import token_attention
from ..tokens import token_velocity

Array = NDArray[np.float64]

DENSE = 600
"""Up to so many tokens, dense sums are the faster ones."""


class Accuracy(NamedTuple):
    """Tolerances of positions, in the root mean square, relative and absolute; relative error of sums over tokens."""

    rtol: float
    atol: float
    sums: float


OF_SAMPLES = Accuracy(1e-4, 1e-5, 1e-6)
"""A hundredth of the sampling error of ten thousand tokens."""
OF_PAIRS = Accuracy(1e-6, 1e-7, 1e-8)
"""What it leaves, 3e-6 in the root mean square after the whole of ``circle_terminal``, is no sampling error's part."""


def tokens_interact(reference: Characteristics) -> bool:
    """Whether tokens of the model see each other: not under hardmax, whose velocity is the same for all densities."""
    law = reference.velocity.attention
    return law.source_degree(reference.start, reference.until) > 0


def interacting_tokens(
    reference: Characteristics,
    tokens: Array,
    times: Array,
    weights: Array | None = None,
    *,
    start: float | None = None,
    accuracy: Accuracy = OF_SAMPLES,
) -> Array:
    r"""Positions (T, N, d) of tokens (N, d) that move by :math:`\dot x_i=v[\mu_N](x_i)` from ``start`` on.

    ``times`` (T,) increase from ``start``, by default that of the run; ``weights`` (N,) by default 1/N. DOP853 stretch
    by stretch between jumps of the heads, by :func:`spherepde.token_attention` if there are many. Raises
    NumericalError if no step is left.
    """
    law = reference.velocity.attention
    out, x, now = np.empty((len(times), *tokens.shape)), tokens, reference.start if start is None else start
    for i, time in enumerate(times):
        for a, b in segments(reference.velocity, now, float(time)):
            x = _moved(law, x, weights, a, b, accuracy)
        out[i], now = x, float(time)
    return out


def euler_tokens(
    reference: Characteristics, tokens: Array, times: Array, weights: Array | None, start: float, step: float
) -> Array:
    """The same by Euler's method, in steps of at most ``step``: what a simple code makes of them."""
    law = reference.velocity.attention
    out, x, now = np.empty((len(times), *tokens.shape)), tokens, start
    for i, time in enumerate(times):
        for a, b in segments(reference.velocity, now, float(time)):
            number = max(1, int(np.ceil((b - a) / step - 1e-9)))
            for k in range(number):
                t = a + (b - a) * k / number
                x = x + (b - a) / number * _rate(law, x, weights, t, a, OF_SAMPLES)
                x = x / np.linalg.norm(x, axis=1, keepdims=True)
        out[i], now = x, float(time)
    return out


def _moved(
    law: Attention, tokens: Array, weights: Array | None, start: float, stop: float, accuracy: Accuracy
) -> Array:
    def rate(t: float, state: Array) -> Array:
        x = state.reshape(tokens.shape)
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        return _rate(law, x, weights, t, start, accuracy).ravel()

    options = {"method": "DOP853", "rtol": accuracy.rtol, "atol": accuracy.atol}
    solution = solve_ivp(rate, (start, stop), tokens.ravel(), **options)
    if not solution.success:
        raise NumericalError(f"tokens that interact: no step left at t = {solution.t[-1]:.6g} ({solution.message})")
    x = solution.y[:, -1].reshape(tokens.shape)
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))


def _rate(law: Attention, x: Array, weights: Array | None, t: float, since: float, accuracy: Accuracy) -> Array:
    """Velocities (N, d) of tokens at unit vectors, at a time of the stretch that began at ``since``."""

    def attend(head: Head, sources: Array, masses: Array, targets: Array) -> tuple[Array, Array]:
        return token_attention(head, sources, masses, targets, tolerance=accuracy.sums)

    heads = law.schedule.heads_at(law.schedule.moment(t, since))
    return token_velocity(heads, x, weights, law.name, law.combine, attend=None if len(x) <= DENSE else attend)
