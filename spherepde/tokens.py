r"""Finitely many interacting tokens, integrated directly: the cross-check that shares no code with the solver.

Weighted tokens :math:`(x_j,w_j)` on :math:`S^{d-1}` stand for the measure :math:`\mu=\sum_j w_j\delta_{x_j}` and
move by the same velocity as the density. Every sum is a plain dense one, so an evaluation costs n² exponentials per
head (n = 5000 on S²: about 0.1 s on one core), in blocks of rows that need 1 MB beside the tokens.

Starts: :func:`circle_quantiles` (error 1/n), :func:`sample_tokens` (error 1/√n), :func:`gauss_tokens` (spectral while
the flow stays smooth). Isolated tokens attend only to themselves: once neighbours are further apart than
:math:`\beta^{-1/2}`, or depleted zones hold less than one token, tokens no longer follow the density.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp
from scipy.optimize import minimize

from .errors import InputError, NumericalError
from .heads import Head, as_heads
from .quadrature import sphere_rule

Array = NDArray[np.float64]
Density = Callable[[Array], Array]

BLOCK = 1 << 15
"""Scores held at once (256 kB, the size of a fast cache), or one row of them if that is longer."""

EXPONENT_LIMIT = 600.0
"""Largest β‖B‖ for unnormalised attention: its exponentials are not shifted and float64 ends at 709."""


def _array(values: ArrayLike) -> Array:
    return np.asarray(values, dtype=np.float64)


def _normalised(vectors: Array) -> Array:
    return vectors / _array(np.linalg.norm(vectors, axis=-1, keepdims=True))


def _check_points(what: str, points: ArrayLike, dim: int) -> Array:
    x = _array(points)
    if x.ndim != 2 or x.shape[0] == 0 or x.shape[1] != dim:
        raise InputError(f"{what}: expected unit vectors of shape (n, {dim}), got an array of shape {x.shape}")
    if not np.all(np.abs(np.linalg.norm(x, axis=1) - 1.0) < 1e-8):
        raise InputError(f"{what}: expected unit vectors, got lengths {np.linalg.norm(x, axis=1).tolist()[:5]}")
    return x


def _check_weights(weights: ArrayLike | None, count: int) -> Array:
    if weights is None:
        return np.full(count, 1.0 / count)
    w = _array(weights)
    if w.shape != (count,):
        raise InputError(f"token weights: expected shape ({count},), one for each token, got {w.shape}")
    if not (np.all(np.isfinite(w)) and np.all(w >= 0.0) and np.any(w > 0.0)):
        raise InputError("token weights: expected finite numbers >= 0, not all of them zero")
    return w


def _check_heads(heads: Head | Sequence[Head], attention: str, combine: str) -> tuple[Head, ...]:
    several = as_heads(heads)
    if attention not in ("softmax", "unnormalised", "hardmax"):
        raise InputError(f'tokens: expected attention "softmax", "unnormalised" or "hardmax", got {attention!r}')
    if combine not in ("sum", "mean"):
        raise InputError(f'tokens: expected combine to be "sum" or "mean", got {combine!r}')
    strength = max(head.beta * float(np.linalg.norm(head.B, 2)) for head in several)
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


def _velocity(heads: tuple[Head, ...], x: Array, tokens: Array, weights: Array, attention: str, combine: str) -> Array:
    present = weights > 0.0
    tokens, weights = tokens[present], weights[present]
    total = np.zeros_like(x)
    for head in heads:
        queries = x @ head.B
        if attention == "hardmax":
            length = _array(np.linalg.norm(queries, axis=1, keepdims=True))
            if not length.min() > 0.0:
                raise InputError("tokens: hardmax attention needs Bᵀx ≠ 0, but a token lies in the kernel of Bᵀ")
            attended = queries / length
        else:
            attended = _attended(head.beta * queries, tokens, weights, attention)
        total += attended @ head.V.T
    if combine == "mean":
        total /= len(heads)
    return total - x * _array(np.sum(x * total, axis=1, keepdims=True))


def token_velocity(
    heads: Head | Sequence[Head],
    tokens: ArrayLike,
    weights: ArrayLike | None = None,
    attention: str = "softmax",
    combine: str = "sum",
    targets: ArrayLike | None = None,
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

    Raises InputError for shapes that do not fit, vectors not of unit length (to 1e-8), negative weights, unknown
    names, unnormalised β‖B‖ > 600, and hardmax at a point with Bᵀx = 0. Relative accuracy 1e-16·β‖B‖.
    """
    several = _check_heads(heads, attention, combine)
    y = _check_points("tokens", tokens, several[0].dim)
    w = _check_weights(weights, len(y))
    x = y if targets is None else _check_points("targets", targets, several[0].dim)
    return _velocity(several, x, y, w, attention, combine)


def simulate_tokens(
    heads: Head | Sequence[Head],
    tokens: ArrayLike,
    times: ArrayLike,
    weights: ArrayLike | None = None,
    attention: str = "softmax",
    combine: str = "sum",
    rtol: float = 1e-9,
    atol: float = 1e-11,
) -> Array:
    r"""Positions (len(times), n, d) of tokens moving by :math:`\dot x_i=v(x_i)`, see :func:`token_velocity`.

    ``tokens`` is the state at time 0; ``times`` increase strictly from ≥ 0. DOP853 with the tolerances given (in the
    root mean square over all coordinates); the field is continued to :math:`x/|x|` off the sphere and the positions
    returned are renormalised to unit length. Weights stay with their tokens; a token of weight 0 is a passive marker.
    Raises InputError as :func:`token_velocity` and for unusable times, NumericalError if the integrator gives up.
    """
    several = _check_heads(heads, attention, combine)
    start = _check_points("tokens", tokens, several[0].dim)
    w = _check_weights(weights, len(start))
    t = _array(times)
    if t.ndim != 1 or t.size == 0 or not (np.all(np.isfinite(t)) and t[0] >= 0.0 and np.all(np.diff(t) > 0.0)):
        raise InputError("tokens: expected times that increase strictly from a first one >= 0")
    if t[-1] == 0.0:
        return _normalised(start)[None]

    def rate(_: float, state: Array) -> Array:
        x = _normalised(state.reshape(start.shape))
        return _velocity(several, x, x, w, attention, combine).ravel()

    span = (0.0, float(t[-1]))
    solution = solve_ivp(rate, span, start.ravel(), method="DOP853", t_eval=t, rtol=rtol, atol=atol)
    if not solution.success:
        raise NumericalError(f"tokens: the integrator stopped at time {solution.t[-1:]} ({solution.message})")
    return _normalised(_array(solution.y).T.reshape(t.size, *start.shape))


def moments(tokens: ArrayLike, weights: ArrayLike | None = None) -> tuple[Array, Array]:
    r"""Mean :math:`\sum_jw_jx_j` (d,) and second moment :math:`\sum_jw_jx_jx_j^\top` (d, d), not centred.

    ``tokens`` may carry leading axes (a trajectory (times, n, d)), which the results keep. Weights by default 1/n.
    """
    x = _array(tokens)
    if x.ndim < 2:
        raise InputError(f"moments: expected tokens of shape (..., n, d), got {x.shape}")
    w = _check_weights(weights, x.shape[-2])
    return w @ x, np.swapaxes(x * w[:, None], -1, -2) @ x


def _values(density: Density, points: Array) -> Array:
    values = _array(density(points))
    if values.shape != points.shape[:1]:
        raise InputError(f"initial density: expected one value for each point, {points.shape[:1]}, got {values.shape}")
    if not (np.all(np.isfinite(values)) and np.all(values >= 0.0)):
        raise InputError(f"initial density: expected finite values >= 0, got one of {values.min():g}")
    return values


def _circle_values(density: Density, angles: Array) -> Array:
    points = np.stack([np.cos(angles.ravel()), np.sin(angles.ravel())], axis=-1)
    return _values(density, points).reshape(angles.shape)


def circle_quantiles(density: Density, count: int) -> Array:
    r"""Tokens (count, 2) of equal weight at the quantiles :math:`F(\theta_i)=(i+\frac12)/N` on the circle.

    F is the mass from θ = 0 on, divided by the whole (the density's own factor does not matter): 16-point
    Gauss–Legendre on cells bisected until they agree with their halves to 1e-15, inverted by Newton's method kept
    inside its cell. Angles are exact to 1e-14 over the relative density there. Kinks and jumps are fine; a peak
    narrower than 1e-3 may go unseen. Raises InputError for negative or unusable values.
    """
    if count < 1:
        raise InputError(f"quantiles: expected a count >= 1, got {count}")
    nodes, gauss = np.polynomial.legendre.leggauss(16)

    def mass(left: Array, width: Array) -> Array:
        return 0.5 * width * (_circle_values(density, left[:, None] + 0.5 * width[:, None] * (1.0 + nodes)) @ gauss)

    left = 2.0 * np.pi * np.arange(256) / 256
    width = np.full(256, 2.0 * np.pi / 256)
    whole = mass(left, width)
    scale = float(whole.sum())
    if not scale > 0.0:
        raise InputError("quantiles: the density is zero everywhere")
    cells: list[Array] = []
    for _ in range(45):
        left, width = np.stack([left, left + 0.5 * width], axis=1), np.stack([0.5 * width] * 2, axis=1)
        halves = mass(left.ravel(), width.ravel()).reshape(left.shape)
        rough = np.abs(halves.sum(axis=1) - whole) > 1e-15 * scale
        cells.append(np.stack([left[~rough], width[~rough], halves[~rough]]).reshape(3, -1))
        left, width, whole = left[rough].ravel(), width[rough].ravel(), halves[rough].ravel()
        if left.size == 0:
            break
    table = np.concatenate([*cells, np.stack([left, width, whole])], axis=1)
    left, width, whole = table[:, np.argsort(table[0])]

    edges = np.concatenate([[0.0], np.cumsum(whole)])
    wanted = edges[-1] * (np.arange(count) + 0.5) / count
    cell = np.clip(np.searchsorted(edges, wanted, side="right") - 1, 0, left.size - 1)
    start, missing = left[cell], wanted - edges[cell]
    low, high = start, start + width[cell]
    angle = 0.5 * (low + high)
    for _ in range(60):
        excess, slope = mass(start, angle - start) - missing, _circle_values(density, angle)
        low, high = np.where(excess <= 0.0, angle, low), np.where(excess > 0.0, angle, high)
        newton = angle - np.divide(excess, slope, out=np.full(count, np.inf), where=slope > 0.0)
        step = np.where((newton >= low) & (newton <= high), newton, 0.5 * (low + high)) - angle
        angle = angle + step
        if np.abs(step).max() < 1e-15:
            break
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def sample_tokens(density: Density, dim: int, count: int, seed: int) -> Array:
    r"""Independent tokens (count, d) from a density on :math:`S^{d-1}`, by rejection from the uniform density.

    The bound is the largest of a pilot sample, improved by local search, plus 5 %; if a later point exceeds it, it
    is raised and the draw starts again. Only the density's shape matters; the same seed gives the same tokens.
    Raises InputError for unusable densities and ones so concentrated that fewer than one point in 10⁵ is kept.
    """
    if dim < 2 or count < 1:
        raise InputError(f"sample: expected dim >= 2 and count >= 1, got dim={dim}, count={count}")
    generator = np.random.default_rng(seed)
    pilot = _normalised(generator.standard_normal((2000 * dim, dim)))
    best = pilot[np.argsort(_values(density, pilot))[-3:]]
    peaks = [minimize(lambda z: -_values(density, _normalised(z[None]))[0], x, method="Nelder-Mead").fun for x in best]
    bound, kept, drawn = -1.05 * float(min(peaks)), np.empty((0, dim)), 0
    while len(kept) < count:
        if bound <= 0.0 or drawn > 100_000 * count + 1_000_000:
            raise InputError("sample: the density is zero, or too concentrated for rejection sampling")
        points = _normalised(generator.standard_normal((min(4 * count + 1000, 100_000), dim)))
        values, level = _values(density, points), generator.random(len(points))
        drawn += len(points)
        if values.max() > bound:
            bound, kept = 1.05 * float(values.max()), np.empty((0, dim))
            continue
        kept = np.concatenate([kept, points[level * bound < values]])
    return kept[:count]


def gauss_tokens(density: Density, degree: int, dim: int = 3) -> tuple[Array, Array]:
    r"""Points (n, d) and weights (n,) of the quadrature rule of the given degree, weighted by the density.

    :math:`\sum_jw_jf(x_j)` is ∫fρ exactly if fρ is a polynomial of that degree; n ≈ degree²/2 on S² (dim 3), and
    degree + 1 on the circle (dim 2). The weights add up to 1 as far as the rule resolves ρ.
    Raises InputError for other dimensions and unusable densities.
    """
    points, weights = sphere_rule(dim, degree)
    return points, weights * _values(density, points)
