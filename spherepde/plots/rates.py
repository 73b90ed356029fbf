"""The phases of a distance on its axes: fitted rates, the predicted one, and the metastable window."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from ..phases import Phases, phases
from .marks import Mark
from .record import Real, Record
from .style import GUIDE, INK, THEORY

BESIDE = 0.055
"""Fitted rates are drawn this far above the curve, the predicted one below it, as a fraction of the axes."""
CONCENTRATION, METASTABLE, TERMINAL = "#56B4E9", "#F0E442", "#CC79A7"
"""Colours of the three phases."""


def phases_of(record: Record, values: Real, until: float | None) -> Phases | None:
    """The phases of a recorded quantity, read while it is trusted; decay ends by log β."""
    return phases(record.t, values, until=until, concentrated_by=record.log_beta)


def draw_phases(
    ax: Axes, record: Record, found: Phases, *, predicted: float | None = None, window: bool = True, brief: bool = False
) -> None:
    """Dashed lines beside the curve for what was fitted and predicted; words in the legend for what was not seen.

    Lines span the window of the fit. With ``window`` the metastable window is shaded, or missed in the legend.
    ``brief`` keeps the words about it short, and says nothing of growth that the terminal phase explains.
    """
    if window and found.at_rest:
        start, end, open_right = found.window
        if start > record.t[0]:
            ax.axvspan(record.t[0], start, color=CONCENTRATION, alpha=0.12, linewidth=0.0, label="concentration")
        words = f"metastable: within 2 × minimum\non {found.window}" + (", open at the end" if open_right else "")
        ax.axvspan(start, end, color=METASTABLE, alpha=0.25, linewidth=0.0, label="metastable" if brief else words)
        for edge in (start,) if open_right else (start, end):
            ax.axvline(edge, color=GUIDE, linewidth=0.8, linestyle=(0, (1, 1.5)))
    elif window and not brief:
        _say(ax, f"no metastable state:\n{found.rest_in_words}")
    bottom, top = ax.get_ylim()
    above = (top / bottom) ** BESIDE
    for fit, words in ((found.decay, found.decay_in_words), (found.clear_growth, found.growth_in_words)):
        if fit is None and not (brief and record.has_terminal):
            _say(ax, words.replace(" (", "\n("))
        elif fit is not None:
            label = words.replace(" on [", "\non [")
            ends = np.array(fit.window)
            ax.plot(ends, above * fit.at(ends), color=THEORY, linestyle="--", linewidth=1.3, label=label)
    if predicted is not None and found.decay is not None:
        draw_slope(ax, found.decay.window, found.decay.level / above, -predicted, f"predicted decay {predicted:.4f}")


def draw_terminal_window(ax: Axes, record: Record, *, after: Phases | None = None, named: bool = True) -> list[Mark]:
    """Shade the terminal phase if the run entered it; the marks of the turn of the clusters and of their half way.

    It begins where the metastable window of ``after`` ends (of the distance to the limit by default), so that phases
    do not overlap: the clusters turn while the distance still rests. Without such a window it begins at the turn.
    """
    found = record.phases
    if found is None or found.end is None or not found.left:
        return []
    turn, half_way = found.end.turn, found.end.exit
    rest = found.resting if after is None else after
    begin = rest.window.end if rest is not None and rest.at_rest else turn if turn is not None else half_way
    if begin is not None and begin < record.t[-1]:
        words = f"terminal phase, from {begin:.2f}" if named else None
        ax.axvspan(begin, record.t[-1], color=TERMINAL, alpha=0.12, linewidth=0.0, label=words)
    named_times = ((turn, "clusters turn"), (half_way, "half way to the final axis"))
    return [Mark(time, words, TERMINAL) for time, words in named_times if time is not None]


def draw_slope(ax: Axes, window: tuple[float, float], value: float, slope: float, label: str) -> None:
    """A predicted exponential through a value at the middle of a window."""
    ends = np.array(window)
    ax.plot(ends, value * np.exp(slope * (ends - ends.mean())), color=INK, linestyle="--", linewidth=1.0, label=label)


def draw_rate_levels(ax: Axes, record: Record, found: Phases | None) -> None:
    """The predicted rate as a level, and the fitted ones over their windows (growth is negative decay)."""
    if record.rate is not None:
        ax.axhline(record.rate, color=INK, linestyle="--", linewidth=1.0, label=f"predicted {record.rate:.4f}")
    ax.axhline(0.0, color=GUIDE, linewidth=0.7)
    fits = [] if found is None else [fit for fit in (found.decay, found.clear_growth) if fit is not None]
    for fit in fits:
        label = None if fit is not fits[0] else "fitted, over its window"
        ax.plot(fit.window, (-fit.slope, -fit.slope), color=THEORY, linestyle="--", linewidth=1.1, label=label)


def _say(ax: Axes, words: str) -> None:
    ax.plot([], [], " ", label=words)
