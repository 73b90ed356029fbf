"""What all figures share: type, colours, and how lines, axes and numbers are drawn."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib import colormaps, style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from numpy.typing import NDArray

from ..summary import stretches
from .record import Record

Real = NDArray[np.float64]
RGBA = tuple[float, float, float, float]

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
UNRESOLVED = "0.85"
"""The ground where a density is not resolved."""
TIME_LABEL = "time $t$ (dimensionless)"
LETTERS_PER_INCH = 12.0
"""Of a title."""
FEW = 3
"""So many points of a line are dots, too."""
NO_JUMPS = np.empty(0)


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
    words = fill(record.title, int(LETTERS_PER_INCH * width), max_lines=3, placeholder=" …", break_on_hyphens=False)
    title = figure.suptitle(f"{words}\n", fontsize=10.0)
    below = Annotation(record.subtitle, (0.5, 0.0), xycoords=title, ha="center", va="bottom", fontsize=8.0, color=GUIDE)
    figure.add_artist(below)
    return figure


def draw_trusted(ax: Axes, t: Real, y: Real, until: float | None, jumps: Real = NO_JUMPS, **options: Any) -> None:
    """A line over time, solid up to a horizon and dashed beyond, broken at jumps; with dots where it has few points."""
    layers = stretches(t, jumps)
    dotted = np.concatenate([np.full(rows.stop - rows.start, rows.stop - rows.start <= FEW) for rows in layers])
    breaks = [rows.start for rows in layers[1:]]
    t, y, dotted = np.insert(t, breaks, t[breaks]), np.insert(y, breaks, np.nan), np.insert(dotted, breaks, False)
    split = len(t) if until is None else int(np.searchsorted(t, until, side="right"))
    if dotted.any():
        options |= {"marker": "o", "markersize": 6.0 if dotted.all() else 3.0}
    ax.plot(t[:split], y[:split], markevery=np.flatnonzero(dotted[:split]), **options)
    if split < len(t):
        first = max(split - 1, 0)
        options |= {"linestyle": (0, (3, 2)), "label": None, "alpha": 0.7}
        ax.plot(t[first:], y[first:], markevery=np.flatnonzero(dotted[first:]), **options)


def draw_band(ax: Axes, t: Real, y: Real, bar: Real | None, colour: str) -> None:
    """The error bar of a line as a shaded band."""
    if bar is not None:
        ax.fill_between(t, y - bar, y + bar, color=colour, alpha=0.3, linewidth=0.0)


def time_axis(ax: Axes, record: Record, label: bool = True) -> None:
    """From 0 to the last record, a thin line where heads jump; with its label or without tick labels."""
    ax.set_xlim(record.t[0], max(record.t[-1], record.t[0] + 1e-3))
    jumps = record.jumps[(record.jumps > record.t[0]) & (record.jumps < record.t[-1])]
    for time in jumps:
        ax.axvline(time, color="0.75", linewidth=0.7, zorder=0.9, gid=f"jump at {time:g}")
    if label:
        ax.set_xlabel(f"{TIME_LABEL}; thin lines: the next layer begins" if jumps.size else TIME_LABEL)
    else:
        ax.tick_params(labelbottom=False)


def log_limits(ax: Axes, *values: Real, decades: float = 18.0) -> bool:
    """A log axis around the positive ones among some values; False, and a linear axis, if there are none."""
    positive = np.concatenate([np.empty(0), *(v[np.isfinite(v) & (v > 0.0)] for v in map(np.ravel, values))])
    if not positive.size:
        return False
    top = float(positive.max())
    bottom = max(float(positive.min()), top * 10.0**-decades)
    ax.set_yscale("log")
    ax.set_ylim(bottom / 1.5, top * 1.5)
    return True


def number(value: float) -> str:
    """A number to three digits (more where that is shorter), as mathematical text."""
    if 1e3 <= abs(value) < 1e5:
        return f"{value:.0f}"
    mantissa, _, exponent = f"{value:.3g}".partition("e")
    return mantissa if not exponent else rf"{mantissa}\times10^{{{int(exponent)}}}"


def time_colours(record: Record) -> list[RGBA]:
    """One colour per snapshot shown, early ones dark."""
    return [tuple(colour) for colour in colormaps["viridis"](np.linspace(0.0, 0.88, len(record.shown)))]


def time_label(record: Record, index: int) -> str:
    """The time of a snapshot, and whether its density can be trusted."""
    doubt = record.doubt(index)
    return f"$t={record.run.times[index]:.4g}$" + (f"  ({doubt})" if doubt else "")
