"""Exact samples that interact: independent tokens at the start of a run, moving by what they attend to themselves."""

from __future__ import annotations

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

RTOL, ATOL = 1e-4, 1e-5
"""Of positions, in the root mean square: a hundredth of the sampling error of ten thousand tokens."""
SUMS = 1e-6
"""Relative error of the sums over tokens."""
DENSE = 600
"""Up to so many tokens, dense sums are the faster ones."""


def tokens_interact(reference: Characteristics) -> bool:
    """Whether tokens of the model see each other: not under hardmax, whose velocity is the same for all densities."""
    law = reference.velocity.attention
    return law.source_degree(reference.start, reference.until) > 0


def interacting_tokens(reference: Characteristics, tokens: Array, times: Array) -> Array:
    r"""Positions (T, N, d) of tokens (N, d) that start with the run and move by :math:`\dot x_i=v[\mu_N](x_i)`.

    ``times`` (T,) increase from the start of the run on. DOP853 stretch by stretch between jumps of the heads, by
    :func:`spherepde.token_attention` if there are many. Raises NumericalError if no step is left.
    """
    law = reference.velocity.attention
    out, x, now = np.empty((len(times), *tokens.shape)), tokens, reference.start
    for i, time in enumerate(times):
        for a, b in segments(reference.velocity, now, float(time)):
            x = _moved(law, x, a, b)
        out[i], now = x, float(time)
    return out


def _moved(law: Attention, tokens: Array, start: float, stop: float) -> Array:
    attend = None if len(tokens) <= DENSE else _attend

    def rate(t: float, state: Array) -> Array:
        x = state.reshape(tokens.shape)
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        heads = law.schedule.heads_at(law.schedule.moment(t, start))
        return token_velocity(heads, x, None, law.name, law.combine, attend=attend).ravel()

    solution = solve_ivp(rate, (start, stop), tokens.ravel(), method="DOP853", rtol=RTOL, atol=ATOL)
    if not solution.success:
        raise NumericalError(f"interacting samples: no step left at t = {solution.t[-1]:.6g} ({solution.message})")
    x = solution.y[:, -1].reshape(tokens.shape)
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))


def _attend(head: Head, tokens: Array, weights: Array, targets: Array) -> tuple[Array, Array]:
    return token_attention(head, tokens, weights, targets, tolerance=SUMS)
