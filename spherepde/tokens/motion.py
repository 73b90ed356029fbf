"""Dense sums over tokens, the velocity they give, and the motion that follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp

from ..errors import InputError, NumericalError
from ..heads import Head, as_heads
from ..memory import require_memory
from .points import Array, as_array, check_points, check_weights, normalised

Attend = Callable[[Head, Array, Array, Array], tuple[Array, Array]]
"""(head, tokens, weights, targets) → logarithm of the partition function (n,) and mean token (n, d) at the targets."""

BLOCK = 1 << 15
"""Scores held at once (256 kB, the size of a fast cache), or one row of them if that is longer."""

STATES = 16
"""Copies of all positions that the integrator holds at once."""

EXPONENT_LIMIT = 600.0
"""Largest β‖B‖ for unnormalised attention: its exponentials are not shifted and float64 ends at 709."""


def _check_heads(heads: Head | Sequence[Head], attention: str, combine: str) -> tuple[Head, ...]:
    several = as_heads(heads)
    if attention not in ("softmax", "unnormalised", "hardmax"):
        raise InputError(f'tokens: expected attention "softmax", "unnormalised" or "hardmax", got {attention!r}')
    if combine not in ("sum", "mean"):
        raise InputError(f'tokens: expected combine to be "sum" or "mean", got {combine!r}')
    strength = max(head.strength for head in several)
    if attention == "unnormalised" and strength > EXPONENT_LIMIT:
        raise InputError(f"tokens: unnormalised attention overflows, expected beta*|B| <= 600, got {strength:g}")
    return several


def _attended(queries: Array, tokens: Array, weights: Array, attention: str) -> Array:
    r"""Rows :math:`\sum_jw_je^{\langle q,x_j\rangle}x_j`, divided for softmax by the same sum without :math:`x_j`.

    Softmax adds log w to the scores and takes off each row's maximum: no overflow, and no tiny weight is lost.
    """
    keys, present = np.ascontiguousarray(tokens.T), np.column_stack([tokens, np.ones(len(tokens))])
    uniform = weights.min() == weights.max()
    log_weights, weighted = np.log(weights), weights[:, None] * tokens
    out, rows = np.empty_like(queries), max(1, BLOCK // len(tokens))
    for first in range(0, len(queries), rows):
        block = slice(first, first + rows)
        scores = queries[block] @ keys
        if attention == "unnormalised":
            np.exp(scores, out=scores)
            out[block] = scores @ weighted
            continue
        if not uniform:
            scores += log_weights
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        sums = scores @ present
        out[block] = sums[:, :-1] / sums[:, -1:]
    return out


def _velocity(
    heads: tuple[Head, ...],
    x: Array,
    tokens: Array,
    weights: Array,
    attention: str,
    combine: str,
    attend: Attend | None,
) -> Array:
    present = weights > 0.0
    tokens, weights = tokens[present], weights[present]
    total = np.zeros_like(x)
    for head in heads:
        queries = x @ head.B
        if attention == "hardmax":
            length = as_array(np.linalg.norm(queries, axis=1, keepdims=True))
            if not length.min() > 0.0:
                raise InputError("tokens: hardmax attention needs Bᵀx ≠ 0, but a token lies in the kernel of Bᵀ")
            attended = queries / length
        elif attend is not None:
            log_partition, attended = attend(head, tokens, weights, x)
            if attention == "unnormalised":
                attended = attended * np.exp(log_partition)[:, None]
        else:
            attended = _attended(head.beta * queries, tokens, weights, attention)
        total += attended @ head.V.T
    if combine == "mean":
        total /= len(heads)
    return total - x * as_array(np.sum(x * total, axis=1, keepdims=True))


def token_velocity(
    heads: Head | Sequence[Head],
    tokens: ArrayLike,
    weights: ArrayLike | None = None,
    attention: str = "softmax",
    combine: str = "sum",
    targets: ArrayLike | None = None,
    attend: Attend | None = None,
) -> Array:
    r"""Velocity that weighted tokens induce at ``targets``, by default at themselves; shape (n, d), tangential.

    .. math:: v(x)=P_x\sum_hV_h\frac{\sum_jw_je^{\beta_h\langle x,B_hx_j\rangle}x_j}
                                    {\sum_jw_je^{\beta_h\langle x,B_hx_j\rangle}}

    for "softmax"; without the denominator for "unnormalised"; divided by the number of heads if ``combine`` is "mean".
    For "hardmax" the inner mean is :math:`B_h^\top x/|B_h^\top x|`, the limit β → ∞ for a *density that is positive
    everywhere*: tokens then do not interact (the argmax over finitely many tokens is another, discontinuous, model).

    Parameters
    ----------
    heads: one head or several, any Q, K, V. tokens: (n, d) unit vectors. targets: (m, d) unit vectors.
    weights: (n,) ≥ 0, by default 1/n. They are used as given: unnormalised velocities scale with their sum.
    attend: sums to use instead of the dense ones here, called as attend(head, tokens, weights, targets) → log Z (n,)
    and mean (n, d); :func:`spherepde.token_attention` is one, for many tokens.

    Raises InputError for shapes that do not fit, vectors not of unit length (to 1e-8), negative weights, unknown
    names, unnormalised β‖B‖ > 600, and hardmax at a point with Bᵀx = 0. Relative accuracy 1e-16·β‖B‖.
    """
    several = _check_heads(heads, attention, combine)
    y = check_points("tokens", tokens, several[0].dim)
    w = check_weights(weights, len(y))
    x = y if targets is None else check_points("targets", targets, several[0].dim)
    return _velocity(several, x, y, w, attention, combine, attend)


def simulate_tokens(
    heads: Head | Sequence[Head],
    tokens: ArrayLike,
    times: ArrayLike,
    weights: ArrayLike | None = None,
    attention: str = "softmax",
    combine: str = "sum",
    rtol: float = 1e-9,
    atol: float = 1e-11,
    attend: Attend | None = None,
) -> Array:
    r"""Positions (len(times), n, d) of tokens moving by :math:`\dot x_i=v(x_i)`, see :func:`token_velocity`.

    ``tokens`` is the state at time 0; ``times`` increase strictly from ≥ 0. DOP853 with the tolerances given (in the
    root mean square over all coordinates); the field is continued to :math:`x/|x|` off the sphere and the positions
    returned are renormalised to unit length. Weights stay with their tokens; a token of weight 0 is a passive marker.
    ``attend`` as for :func:`token_velocity`; its error should stay below ``rtol``.
    Raises InputError as :func:`token_velocity`, for unusable times and for more than the machine's memory holds,
    NumericalError if the integrator gives up.
    """
    several = _check_heads(heads, attention, combine)
    start = check_points("tokens", tokens, several[0].dim)
    w = check_weights(weights, len(start))
    t = as_array(times)
    if t.ndim != 1 or t.size == 0 or not (np.all(np.isfinite(t)) and t[0] >= 0.0 and np.all(np.diff(t) > 0.0)):
        raise InputError("tokens: expected times that increase strictly from a first one >= 0")
    what = f"a trajectory of {len(start)} tokens at {t.size} times"
    require_memory(8.0 * start.size * (STATES + 2 * t.size), what, "number of either")
    if t[-1] == 0.0:
        return normalised(start)[None]

    def rate(_: float, state: Array) -> Array:
        x = normalised(state.reshape(start.shape))
        return _velocity(several, x, x, w, attention, combine, attend).ravel()

    span = (0.0, float(t[-1]))
    solution = solve_ivp(rate, span, start.ravel(), method="DOP853", t_eval=t, rtol=rtol, atol=atol)
    if not solution.success:
        raise NumericalError(f"tokens: the integrator stopped at time {solution.t[-1:]} ({solution.message})")
    return normalised(as_array(solution.y).T.reshape(t.size, *start.shape))


def moments(tokens: ArrayLike, weights: ArrayLike | None = None) -> tuple[Array, Array]:
    r"""Mean :math:`\sum_jw_jx_j` (d,) and second moment :math:`\sum_jw_jx_jx_j^\top` (d, d), not centred.

    ``tokens`` may carry leading axes (a trajectory (times, n, d)), which the results keep. Weights by default 1/n.
    """
    x = as_array(tokens)
    if x.ndim < 2:
        raise InputError(f"moments: expected tokens of shape (..., n, d), got {x.shape}")
    w = check_weights(weights, x.shape[-2])
    return w @ x, np.swapaxes(x * w[:, None], -1, -2) @ x
