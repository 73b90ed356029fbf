r"""Functions of one variable as Legendre series on panels that bisection has adapted to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.special import eval_legendre

from ...errors import InputError

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Function = Callable[[Array], Array]

TERMS = 16
"""Terms of the series on each panel."""
FIRST_PANELS = 16
MOST_PANELS = 200_000
RELATIVE = 1e-14
"""A panel is resolved when its last terms are below this fraction of its largest."""
BUDGET = 2e-17
"""…or when they contribute less than this to the integral."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(TERMS)
_ORDERS = np.arange(TERMS)
_TO_SERIES = (_ORDERS[:, None] + 0.5) * eval_legendre(_ORDERS[:, None], _NODES) * _WEIGHTS


@njit(cache=True, error_model="numpy")
def _series_at(series: Array, k: int, t: float, target: float) -> tuple[float, float]:
    """The Legendre series k at t less ``target``, and its derivative."""
    before, here = 1.0, t
    slope_before, slope_here = 0.0, 1.0
    total = series[k, 0] - target
    rate = 0.0
    for n in range(1, series.shape[1]):
        total += series[k, n] * here
        rate += series[k, n] * slope_here
        after = ((2 * n + 1) * t * here - n * before) / (n + 1)
        slope_after = slope_before + (2 * n + 1) * here
        before, here = here, after
        slope_before, slope_here = slope_here, slope_after
    return total, rate


@njit(cache=True, error_model="numpy")
def _evaluate(series: Array, panel: Index, local: Array, value: Array, slope: Array) -> None:
    for i in range(local.size):
        value[i], slope[i] = _series_at(series, panel[i], local[i], 0.0)


@njit(cache=True, error_model="numpy")
def _solve_panel(series: Array, k: int, target: float) -> float:
    """Where in [-1, 1] the non-decreasing series k takes the value ``target``: Newton inside a bracket."""
    low, high = -1.0, 1.0
    t = 0.0
    for _ in range(200):
        total, rate = _series_at(series, k, t, target)
        if total > 0.0:
            high = t
        elif total < 0.0:
            low = t
        else:
            return t
        following = t - total / rate if rate > 0.0 else 2.0
        if not low < following < high:
            following = 0.5 * (low + high)
        if abs(following - t) <= 1e-16 or high - low <= 2e-16:
            return following
        t = following
    return t


@njit(cache=True, error_model="numpy")
def _invert(edges: Array, series: Array, panel: Index, value: Array, x: Array) -> None:
    for i in range(value.size):
        k = panel[i]
        t = _solve_panel(series, k, value[i])
        x[i] = edges[k] + 0.5 * (t + 1.0) * (edges[k + 1] - edges[k])


@dataclass(frozen=True, eq=False)
class Piecewise:
    r"""A function equal to :math:`\sum_n s_{kn}P_n(t)` on panel k, t running over [-1, 1] from edge k to edge k+1.

    ``edges`` (K+1,) increasing, ``series`` (K, n). It may jump at the edges, where the value is that of the right side.
    """

    edges: Array
    series: Array

    @classmethod
    def fit(cls, function: Function, edges: ArrayLike, noise: float = 0.0, what: str = "function") -> Piecewise:
        """A function resolved to about 1e-14 between edges[0] and edges[-1], with panels that end at each edge.

        ``noise`` is the absolute error of its values, below which nothing is to be resolved. Panels are halved until
        the last terms fall below that, below rounding, or below what matters in an integral; jumps off the edges are
        bracketed to rounding. Raises InputError if 200 000 panels do not suffice.
        """
        given = np.unique(np.asarray(edges, dtype=np.float64))
        start = np.unique(np.concatenate([given, np.linspace(given[0], given[-1], FIRST_PANELS + 1)]))
        start = start[np.concatenate([[True], np.diff(start) > 0.0])]
        low, high = start[:-1], start[1:]
        done: list[tuple[Array, Array]] = []
        count = 0
        while low.size:
            count += low.size
            if count > MOST_PANELS:
                raise InputError(f"transport: the {what} is too rough to be resolved; expected a piecewise smooth one")
            middle, half = 0.5 * (low + high), 0.5 * (high - low)
            values = function((middle[:, None] + half[:, None] * _NODES).ravel()).reshape(-1, TERMS)
            series = values @ _TO_SERIES.T
            tail = np.abs(series[:, -4:]).max(axis=1)
            resolved = tail <= np.maximum(RELATIVE * np.abs(series).max(axis=1), noise)
            resolved |= tail * half <= BUDGET
            tiny = ~resolved & (half <= 2.0 * np.spacing(np.maximum(np.abs(low), np.abs(high))))
            series[tiny, 1:] = 0.0
            keep = resolved | tiny
            done.append((low[keep], series[keep]))
            split = ~keep
            low, middle, high = low[split], middle[split], high[split]
            low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
        left = np.concatenate([piece[0] for piece in done])
        order = np.argsort(left)
        return cls(np.append(left[order], given[-1]), np.concatenate([piece[1] for piece in done])[order])

    def locate(self, x: Array) -> Index:
        """The panel of each x (the first or last one outside)."""
        return np.asarray(np.clip(np.searchsorted(self.edges, x, side="right") - 1, 0, len(self.series) - 1))

    def local(self, x: Array, panel: Index) -> Array:
        """The coordinate t in [-1, 1] of each x on its panel."""
        low, high = self.edges[panel], self.edges[panel + 1]
        return np.asarray(np.clip(((x - low) - (high - x)) / (high - low), -1.0, 1.0))

    def at(self, panel: Index, t: Array) -> tuple[Array, Array]:
        """Values and derivatives with respect to t, at coordinates t on panels of the same shape."""
        value, slope = np.empty(t.size), np.empty(t.size)
        _evaluate(self.series, np.ascontiguousarray(panel).ravel(), np.ascontiguousarray(t).ravel(), value, slope)
        return value.reshape(t.shape), slope.reshape(t.shape)

    def __call__(self, x: Array) -> Array:
        """Values at x."""
        panel = self.locate(np.asarray(x, dtype=np.float64))
        return self.at(panel, self.local(np.asarray(x, dtype=np.float64), panel))[0]

    @property
    def panel_integrals(self) -> Array:
        """The integral over each panel."""
        return np.asarray(self.series[:, 0] * np.diff(self.edges))

    def antiderivative(self) -> Piecewise:
        """The integral from the first edge on."""
        half = 0.5 * np.diff(self.edges)[:, None]
        n = np.arange(self.series.shape[1])
        scaled = half * self.series / (2 * n + 1)
        series = np.zeros((len(scaled), len(n) + 1))
        series[:, 1:] += scaled
        series[:, :-2] -= scaled[:, 1:]
        series[:, 0] += scaled[:, 0]  # the integral of P_0 is 1 + t from -1 on; the others vanish at both ends
        series[1:, 0] += np.cumsum(self.panel_integrals)[:-1]
        return Piecewise(self.edges, series)

    def inverse(self, value: Array) -> Array:
        """Where a continuous non-decreasing function takes given values; past a flat stretch if it has one there."""
        flat = np.ascontiguousarray(value, dtype=np.float64).ravel()
        signs = np.where(np.arange(self.series.shape[1]) % 2 == 0, 1.0, -1.0)
        starts = np.maximum.accumulate(self.series @ signs)
        panel = np.clip(np.searchsorted(starts, flat, side="right") - 1, 0, len(starts) - 1)
        x = np.empty_like(flat)
        _invert(self.edges, self.series, panel, flat, x)
        return x.reshape(np.shape(value))

    def parts(self) -> tuple[Piecewise, float, Array]:
        """The positive part, the integral of the negative part (≥ 0), and the edges where the two meet."""
        values = self.series @ eval_legendre(np.arange(self.series.shape[1])[:, None], np.linspace(-1.0, 1.0, 33))
        suspects = np.flatnonzero(values.min(axis=1) < 0.0)
        if not suspects.size:
            return self, 0.0, np.empty(0)
        cuts: list[float] = []
        for k in suspects:
            roots = np.polynomial.legendre.legroots(np.trim_zeros(self.series[k], "b"))
            real = np.real(roots[(np.abs(np.imag(roots)) < 1e-9) & (np.abs(np.real(roots)) < 1.0)])
            cuts.extend(0.5 * (self.edges[k] * (1.0 - real) + self.edges[k + 1] * (1.0 + real)))
        edges = np.unique(np.concatenate([self.edges, cuts]))
        middle, half = 0.5 * (edges[1:] + edges[:-1]), 0.5 * np.diff(edges)
        owner = np.repeat(self.locate(middle)[:, None], TERMS, axis=1)
        series = self.at(owner, self.local(middle[:, None] + half[:, None] * _NODES, owner))[0] @ _TO_SERIES.T
        mass = series[:, 0] * 2.0 * half
        negative = mass < 0.0
        positive = Piecewise(edges, np.where(negative[:, None], 0.0, series))
        return positive, float(-mass[negative].sum()), edges[1:-1][np.diff(negative.astype(int)) != 0]
