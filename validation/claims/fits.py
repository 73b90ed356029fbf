"""Slopes, rates and orders with error bars that hold scatter and curvature: what makes a claim pass or fail."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from .lines import Measured

CONFIDENCE = 0.95


def line_fit(x: ArrayLike, y: ArrayLike, bars: ArrayLike | None = None) -> Measured:
    """Slope of y over x by least squares; weighted, if the bars of y (standard errors) are given.

    Without bars: the slope of the later half of the points, with its 95 % interval from the residuals plus its distance
    from the slope of all points, so that a law which is not a line yet shows. With bars, where noise rules: the slope
    of all points, with its 95 % interval from the bars (from the residuals, if larger) plus what the slope of the later
    half differs by beyond its own noise. Raises ValueError for fewer than three points.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.size < 3 or x.shape != y.shape:
        raise ValueError(f"a line needs three points, got {x.size} and {y.size}")
    late = slice(max(min(x.size // 2, x.size - 3), 0), None)
    if bars is None:
        whole, (slope, scatter) = _slope(x, y)[0], _slope(x[late], y[late])
        return Measured(slope, scatter + abs(slope - whole), "95 % of the fit to the later half, its distance from all")
    sigma = np.asarray(bars, float)
    slope, scatter = _slope(x, y, sigma)
    later, noise = _slope(x[late], y[late], sigma[late])
    origin = "95 % of the weighted fit, and its change beyond noise over the later half"
    return Measured(slope, scatter + max(0.0, abs(later - slope) - noise), origin)


def _slope(x: np.ndarray, y: np.ndarray, sigma: np.ndarray | None = None) -> tuple[float, float]:
    """Weighted slope and the half width of its 95 % interval."""
    w = np.ones_like(x) if sigma is None else sigma**-2.0
    centre = (w @ x) / w.sum()
    spread = float(w @ (x - centre) ** 2)
    slope = float((w * (x - centre)) @ y / spread)
    free = x.size - 2
    normal = 0.0 if sigma is None else float(stats.norm.ppf(0.5 + 0.5 * CONFIDENCE)) / np.sqrt(spread)
    if free == 0:
        return slope, normal
    residual = y - slope * x
    residual -= (w @ residual) / w.sum()
    deviation = np.sqrt(float(w @ residual**2) / free / spread)
    wide = float(stats.t.ppf(0.5 + 0.5 * CONFIDENCE, free)) * deviation
    return slope, float(wide if sigma is None else max(normal, min(wide, 3.0 * normal)))


def rate_fit(t: ArrayLike, values: ArrayLike, window: tuple[float, float] | None = None) -> Measured:
    """Rate λ of values ~ e^{λt} over a window of times: :func:`line_fit` of their logarithm. Decay is negative."""
    t, y = np.asarray(t, float), np.asarray(values, float)
    inside = np.ones_like(t, bool) if window is None else (t >= window[0]) & (t <= window[1])
    return line_fit(t[inside], np.log(y[inside]))


def limit_of(sequence: Sequence[float], ratio: float = 2.0) -> Measured:
    """Limit of values whose error falls by ``ratio`` from each to the next (1/β with β doubling: 2).

    Richardson's extrapolation of the last two; its error bar is the larger of half of what it adds to the last value
    and of what it changes when the last value is left out. Raises ValueError for fewer than three
    values or a ratio ≤ 1.
    """
    if len(sequence) < 3 or not ratio > 1.0:
        raise ValueError(f"a limit needs three values and a ratio > 1, got {len(sequence)} and {ratio:g}")
    a, b, c = (float(value) for value in sequence[-3:])
    value, before = c + (c - b) / (ratio - 1.0), b + (b - a) / (ratio - 1.0)
    bar = max(0.5 * abs(value - c), abs(value - before))
    return Measured(value, bar, f"extrapolation with ratio {ratio:g}: its change by the last value, half its step")


def order_fit(sizes: ArrayLike, errors: ArrayLike) -> Measured:
    """Order p of errors ~ sizes^p (β^{-1}: p = −1), the limit of local slopes whose error falls as sizes grow.

    ``sizes`` (n ≥ 4) increase by a constant factor, by which the error of a local slope is taken to fall.
    """
    x, y = np.log(np.asarray(sizes, float)), np.log(np.asarray(errors, float))
    local = np.diff(y) / np.diff(x)
    if not np.allclose(np.diff(x), x[1] - x[0], rtol=1e-6):
        raise ValueError("an order needs sizes that grow by one factor")
    found = limit_of(local.tolist(), float(np.exp(x[1] - x[0])))
    return Measured(found.value, found.bar, f"local orders, {found.origin}")
