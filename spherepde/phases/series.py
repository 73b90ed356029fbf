r"""The phases of a distance to the low-temperature limit: decay, a metastable state, slow growth out of it.

The theory (arXiv 2605.10931, abstract) bounds :math:`W_2(\rho_t,\Pi_\sharp\rho_0)` by
:math:`\sqrt{\log(\beta+1)/\beta}\,e^{Ct}+e^{-ct}`: decay at a rate c up to :math:`t\sim\log\beta`, then growth at a
rate C. Both are fitted here to recorded series, which are arrays of any positive quantity over time. Time is
dimensionless, rates are per unit of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

Array = NDArray[np.float64]

FACTOR = 2.0
"""A value within this factor of the minimum belongs to the metastable window."""
CLEAR = 4.0
"""Above this multiple of the minimum one of the two exponentials outweighs the other."""
RISE = 1.01
"""A series has turned when it rises by this factor after its minimum, and falls if it does before."""
REST = 2.0
"""A series that has not turned is at rest when its last halving takes this many times as long as the one before."""
DRIFT = 0.1
"""A rate that changes by more than this share of it over its window is said to drift."""
LEAST_RECORDS = 5
"""Fewer records are not fitted."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    r"""An exponential :math:`w(t)=\text{level}\cdot e^{\text{slope}\,(t-\bar t)}` fitted over a window of times.

    ``slope`` is negative where the series decays; ``error`` its standard error (:func:`fit_exponential`); ``window``
    (start, end); :math:`\bar t` the middle of the window; ``records`` how many were fitted; ``drift`` the slopes at
    the start and the end of the window of a parabola through log w, fitted alike.
    """

    slope: float
    error: float
    window: tuple[float, float]
    level: float
    records: int
    drift: tuple[float, float]

    @property
    def foldings(self) -> float:
        """By how many factors e the series changes over the window: less than one says little about a rate."""
        return abs(self.slope) * (self.window[1] - self.window[0])

    @property
    def drifting(self) -> str:
        """The rates at both ends of the window in words, if they differ by more than 10 % of the fitted one."""
        start, end = (rate * np.copysign(1.0, self.slope) for rate in self.drift)
        return f"drifting {start:.3g} → {end:.3g}" if abs(end - start) > DRIFT * abs(self.slope) else ""

    def at(self, time: ArrayLike) -> Array:
        """The fitted exponential at other times, in the shape of ``time``."""
        middle = 0.5 * (self.window[0] + self.window[1])
        return np.asarray(self.level * np.exp(self.slope * (np.asarray(time, dtype=np.float64) - middle)))

    def __str__(self) -> str:
        return f"{abs(self.slope):.4f} ± {self.error:.1g} on [{self.window[0]:.2f}, {self.window[1]:.2f}]"


class Window(NamedTuple):
    """The times around the minimum at which a series stays within a factor 2 of it; open if the record ends first."""

    start: float
    end: float
    open_right: bool

    def __str__(self) -> str:
        return f"[{self.start:.2f}, {self.end:.2f}" + (" …)" if self.open_right else "]")


@dataclass(frozen=True, kw_only=True)
class Phases:
    """What a series does: see :func:`phases`. Its text says what was seen, and what not until when.

    ``minimum_time``, ``minimum`` the smallest record; ``window`` the times within a factor 2 of it; ``turned`` whether
    the series rises after it, by 1 % at least; ``at_rest`` whether it has turned or stalled, so that the window is a
    metastable state and not the last stretch of a decay; ``decay`` and ``growth`` the two fits, None where there is
    nothing to fit; ``until`` the last time that was looked at.
    """

    minimum_time: float
    minimum: float
    window: Window
    turned: bool
    at_rest: bool
    decay: Fit | None
    growth: Fit | None
    until: float

    @property
    def decay_in_words(self) -> str:
        """The rate of decay, or that there is none."""
        return "no decay seen" if self.decay is None else f"decay {self.decay}"

    @property
    def clear_growth(self) -> Fit | None:
        """The growth if it was followed over at least one factor e; a rate from less is none to compare with."""
        return self.growth if self.growth is not None and self.growth.foldings >= 1.0 else None

    @property
    def growth_in_words(self) -> str:
        """The rate of growth, a lower estimate while the minimum is near; or until when there is none."""
        growth = self.clear_growth
        if growth is not None:
            near = growth.at(growth.window[0]) < 0.9 * CLEAR * self.minimum
            return f"growth {growth}" + (", still steepening" if near else "")
        if self.growth is not None:
            return f"growth not measurable by t = {self.until:.4g} (less than a factor e)"
        if not self.turned:
            return f"growth not seen by t = {self.until:.4g}"
        return f"growth not measurable by t = {self.until:.4g} (turned at t = {self.minimum_time:.2f})"

    @property
    def rest_in_words(self) -> str:
        """When the series is near its minimum, if it rests there."""
        if self.at_rest:
            left = ", not left by the end" if self.window.open_right else ""
            return f"metastable on {self.window}{left}"
        falling = "still falling" if self.decay is not None else "not metastable"
        return f"{falling} at t = {self.until:.4g}"

    def __str__(self) -> str:
        least = f"minimum {self.minimum:.4g} at t = {self.minimum_time:.4g}"
        return "; ".join((self.decay_in_words, least, self.rest_in_words, self.growth_in_words))


def usable(t: ArrayLike, values: ArrayLike, until: float | None = None) -> tuple[Array, Array]:
    """The times and values of the records that are positive, finite, and no later than ``until``.

    Raises InputError unless both are rows (n,) of numbers and the times increase.
    """
    times, w = np.asarray(t, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if times.ndim != 1 or times.shape != w.shape:
        raise InputError(f"phases: times {times.shape} and values {w.shape}; expected two rows of the same length")
    if not np.all(np.diff(times) > 0.0):
        raise InputError("phases: the times do not increase; expected the times of a record, in order")
    good = np.isfinite(w) & (w > 0.0) & (times <= (np.inf if until is None else until))
    return times[good], w[good]


def fit_exponential(t: ArrayLike, values: ArrayLike, window: tuple[float, float]) -> Fit | None:
    r"""Least-squares exponential through the positive values in a window of times; None if fewer than five.

    A line through :math:`y=\log w`, records weighted by the time they stand for (the trapezoidal rule), so that the
    result does not depend on where the time stepper put more of them:

    .. math:: \text{slope}=\frac{\overline{(t-\bar t)(y-\bar y)}}{\overline{(t-\bar t)^2}},\qquad
              \text{error}^2=\frac{\overline{r^2}}{\overline{(t-\bar t)^2}\,\max(m-2,1)},\quad m=n\frac{1-a}{1+a}

    r the residuals, a ≥ 0 their correlation from one record to the next, m the number of independent ones among n
    (Santer et al., J. Geophys. Res. 105 (2000) 7337). Neighbouring records of a smooth curve are no independent
    measurements: what is left is how much the local rate varies over the window, whatever the number of records.
    """
    times, w = usable(t, values)
    inside = (times >= window[0]) & (times <= window[1])
    times, y = times[inside], np.log(w[inside])
    count = len(times)
    if count < LEAST_RECORDS:
        return None
    weight = np.gradient(times)
    weight[[0, -1]] *= 0.5
    weight /= weight.sum()
    center, mean = float(weight @ times), float(weight @ y)
    spread = float(weight @ (times - center) ** 2)
    slope = float(weight @ ((times - center) * (y - mean))) / spread
    residual = y - mean - slope * (times - center)
    power = float(residual @ residual)
    memory = max(float(residual[1:] @ residual[:-1]) / power, 0.0) if power > 0.0 else 0.0
    independent = count * (1.0 - memory) / (1.0 + memory)
    error = np.sqrt(float(weight @ residual**2) / (spread * max(independent - 2.0, 1.0)))
    level = np.exp(mean + slope * (0.5 * (window[0] + window[1]) - center))
    bend = np.polynomial.Polynomial.fit(times, y, 2, w=np.sqrt(weight)).deriv()
    drift = (float(bend(times[0])), float(bend(times[-1])))
    return Fit(slope=slope, error=float(error), window=window, level=float(level), records=count, drift=drift)


def phases(
    t: ArrayLike, values: ArrayLike, *, until: float | None = None, concentrated_by: float | None = None
) -> Phases | None:
    r"""Decay, metastable window and growth of a positive series (n,) over increasing times (n,).

    ``until`` ends what is looked at (a run's velocity horizon); ``concentrated_by`` the decay (log β in the theory).
    Records that are not finite or not positive are left out, so that a quantity recorded now and then may be NaN
    between. None if no record is left. Raises InputError as :func:`usable` does.

    - The window: the times around the minimum with :math:`w\le2\min w`, its ends interpolated in log w.
    - The decay, if w has halved or still falls: fitted over the second half of the time to the earliest of
      ``concentrated_by``, the last record used and, if w comes to rest, when it was last 4 times its minimum (or 2).
    - Growth, if w has doubled after its minimum: fitted from 4 times the minimum on (2 times, until that is reached),
      or from half way to the end if that is later, until w is half as large as at the start: there it need no longer
      be exponential.

    For :math:`w=e^{-ct}+\varepsilon e^{Ct}` the fits are off by what is left of the other exponential in their windows:
    some per cent if the minimum is shallow, nothing to speak of far from it.
    """
    times, w = usable(t, values, until)
    if not len(times):
        return None
    low = int(np.argmin(w))
    start, end = (_crossing(times, w, FACTOR * float(w[low]), low, step) for step in (-1, 1))
    last = float(times[-1])
    window = Window(float(times[0]) if start is None else start, last if end is None else end, end is None)
    turned = bool(w[low:].max() >= RISE * w[low])
    at_rest = turned or _stalled(times, w, low, start)
    ends = [last, *([] if concentrated_by is None else [concentrated_by])]
    decay = growth = None
    if start is not None or (not turned and w[0] >= RISE * w[low]):
        clear = _crossing(times, w, CLEAR * float(w[low]), low, -1)
        decayed = min([*ends, window.start if clear is None else clear] if at_rest else ends)
        decay = fit_exponential(times, w, (0.5 * (float(times[0]) + decayed), decayed))
    if end is not None:
        large = low + np.flatnonzero(w[low:] > w[0] / FACTOR)
        stop = float(times[large[0]]) if large.size else last
        clear = _crossing(times, w, CLEAR * float(w[low]), low, 1)
        half = 0.5 * (float(times[low]) + stop)
        starts = [max(half, begin) for begin in (clear, end) if begin is not None]
        fits = (fit_exponential(times, w, (begin, stop)) for begin in starts)
        growth = next((fit for fit in fits if fit is not None), None)
    return Phases(
        minimum_time=float(times[low]),
        minimum=float(w[low]),
        window=window,
        turned=turned,
        at_rest=at_rest,
        decay=decay,
        growth=growth,
        until=last,
    )


def _crossing(t: Array, w: Array, level: float, low: int, step: int) -> float | None:
    """When w first exceeds a level, going from record ``low`` in steps of ±1; None if it never does."""
    outside = low + step * np.flatnonzero(w[low::step] > level)
    if not outside.size:
        return None
    far, near = int(outside[0]), int(outside[0]) - step
    share = np.log(level / w[near]) / np.log(w[far] / w[near])
    return float(t[near] + share * (t[far] - t[near]))


def _stalled(t: Array, w: Array, low: int, start: float | None) -> bool:
    """Whether the last halving before the minimum takes much longer than the one before it."""
    before = _crossing(t, w, FACTOR**2 * float(w[low]), low, -1)
    return start is not None and before is not None and float(t[-1]) - start > REST * (start - before)
