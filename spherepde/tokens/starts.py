"""Tokens that stand for a density: quantiles, random ones, and nodes of a quadrature rule."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

from ..errors import InputError
from ..quadrature import sphere_rule
from .points import Array, as_array, normalised

Density = Callable[[Array], Array]


def _values(density: Density, points: Array) -> Array:
    values = as_array(density(points))
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
    if not (isinstance(count, int | np.integer) and count >= 1):
        raise InputError(f"quantiles: expected a whole count >= 1, got {count!r}")
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
    if not (dim >= 2 and isinstance(count, int | np.integer) and count >= 1):
        raise InputError(f"sample: expected dim >= 2 and a whole count >= 1, got dim={dim}, count={count!r}")
    generator = np.random.default_rng(seed)
    pilot = normalised(generator.standard_normal((2000 * dim, dim)))
    best = pilot[np.argsort(_values(density, pilot))[-3:]]
    peaks = [minimize(lambda z: -_values(density, normalised(z[None]))[0], x, method="Nelder-Mead").fun for x in best]
    bound, kept, drawn = -1.05 * float(min(peaks)), np.empty((0, dim)), 0
    while len(kept) < count:
        if bound <= 0.0 or drawn > 100_000 * count + 1_000_000:
            raise InputError("sample: the density is zero, or too concentrated for rejection sampling")
        points = normalised(generator.standard_normal((min(4 * count + 1000, 100_000), dim)))
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
