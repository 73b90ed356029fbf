"""What all figures share: type, colours, and how the horizons are marked."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from numpy.typing import NDArray

from .record import Record

Real = NDArray[np.float64]
Heights = tuple[float, ...]

RESOLUTION = 150
"""Dots per inch of the files."""

STYLE: dict[str, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 9.0,
    "legend.fontsize": 8.0,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.4,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "legend.frameon": True,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "axes.formatter.use_mathtext": True,
    "axes.formatter.limits": (-3, 4),
    "axes.unicode_minus": True,
    "mathtext.fontset": "dejavusans",
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
    "figure.constrained_layout.wspace": 0.04,
}

COMPONENTS = ("#0072B2", "#E69F00", "#009E73")
"""Colours of the coordinate axes 1, 2, 3 (Okabe and Ito's, told apart by every eye)."""
INK, GUIDE, THEORY, WARNING = "0.15", "0.45", "#7A3E9D", "#C1272D"
HEIGHTS: Heights = (0.5, 0.2, 0.8)
"""Where the name of a vertical line may stand, as fractions of the height of its axes."""
TIME_LABEL = "time $t$ (dimensionless)"


def styled(make: Callable[[Record], Figure]) -> Callable[[Record], Figure]:
    """Make a figure in our style; the caller's matplotlib settings neither matter nor change."""

    @wraps(make)
    def wrapper(record: Record) -> Figure:
        with style.context([STYLE], after_reset=True):
            return make(record)

    return wrapper


def save(figure: Figure, path: Path, record: Record) -> None:
    """Write a figure as PNG, with the run it shows in the file's text fields."""
    with style.context([STYLE], after_reset=True):
        figure.savefig(path, dpi=RESOLUTION, metadata={"Title": record.title, "Source": record.source})


def new_figure(record: Record, width: float, height: float) -> Figure:
    """An empty figure of that size in inches, under two lines that say which run it shows."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    title = figure.suptitle(f"{record.title}\n", fontsize=10.0)
    below = Annotation(record.subtitle, (0.5, 0.0), xycoords=title, ha="center", va="bottom", fontsize=8.0, color=GUIDE)
    figure.add_artist(below)
    return figure


def draw_trusted(ax: Axes, t: Real, y: Real, until: float | None, **options: Any) -> None:
    """A line over time, solid up to a horizon and dashed beyond; a dot where there is only one point."""
    split = len(t) if until is None else int(np.searchsorted(t, until, side="right"))
    if len(t) == 1:
        options["marker"] = "o"
    ax.plot(t[:split], y[:split], **options)
    if split < len(t):
        first = max(split - 1, 0)
        ax.plot(t[first:], y[first:], **{**options, "linestyle": (0, (3, 2)), "label": None, "alpha": 0.7})


def draw_band(ax: Axes, t: Real, y: Real, bar: Real | None, colour: str) -> None:
    """The error bar of a line as a shaded band."""
    if bar is not None:
        ax.fill_between(t, y - bar, y + bar, color=colour, alpha=0.3, linewidth=0.0)


def time_axis(ax: Axes, record: Record, label: bool = True) -> None:
    """From 0 to the last record, with its label or without tick labels."""
    ax.set_xlim(record.t[0], max(record.t[-1], record.t[0] + 1e-3))
    if label:
        ax.set_xlabel(TIME_LABEL)
    else:
        ax.tick_params(labelbottom=False)


def mark_horizons(ax: Axes, record: Record, label: bool = False, heights: Heights = HEIGHTS) -> None:
    """Vertical lines at the field and velocity horizons; with ``label`` their names stand along them."""
    marks = (("field", record.field_horizon, GUIDE), ("velocity", record.velocity_horizon, WARNING))
    for name, horizon, colour in marks:
        if horizon is not None:
            vertical_line(ax, horizon, f"{name} horizon", colour, label, heights)


def vertical_line(ax: Axes, x: float, words: str, colour: str, label: bool = True, heights: Heights = HEIGHTS) -> None:
    """A named vertical line; with ``label`` its name stands along it, on the left if there is room.

    The name takes the one among some ``heights`` that is farthest from the curves, so draw those first.
    """
    ax.axvline(x, color=colour, linewidth=1.0, linestyle=(0, (5, 1.5, 1, 1.5)), gid=words)
    left, right = ax.get_xlim()
    if not label or not left <= x <= right:
        return
    ax.text(
        x,
        _free_height(ax, x, heights),
        words,
        transform=ax.get_xaxis_transform(),
        rotation=90.0,
        fontsize=7.5,
        color=colour,
        va="center",
        ha="right" if x - left > 0.05 * (right - left) else "left",
        bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.0},
    )


def _free_height(ax: Axes, x: float, heights: Heights) -> float:
    near = [np.array([np.inf])]
    for line in ax.lines:
        if len(line.get_xdata()) > 2:
            curve = (ax.transData + ax.transAxes.inverted()).transform(line.get_xydata())
            centre = (ax.transData + ax.transAxes.inverted()).transform((x, ax.get_ylim()[0]))[0]
            near.append(curve[np.abs(curve[:, 0] - centre) < 0.03, 1])
    taken = np.concatenate(near)
    return max(heights, key=lambda height: float(np.nanmin(np.abs(taken - height))))


def log_limits(ax: Axes, *values: Real, decades: float = 18.0) -> bool:
    """A log axis around the positive ones among some values; False, and a linear axis, if there are none."""
    positive = np.concatenate([v[np.isfinite(v) & (v > 0.0)] for v in map(np.ravel, values)])
    if not positive.size:
        return False
    top = float(positive.max())
    bottom = max(float(positive.min()), top * 10.0**-decades)
    ax.set_yscale("log")
    ax.set_ylim(bottom / 1.5, top * 1.5)
    return True


def number(value: float) -> str:
    """A number to three digits, as mathematical text."""
    mantissa, _, exponent = f"{value:.3g}".partition("e")
    return mantissa if not exponent else rf"{mantissa}\times10^{{{int(exponent)}}}"
