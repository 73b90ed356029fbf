"""Figures fit for a paper: one style, measurement solid with error bars, theory dashed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from spherepde.plots.style import COMPONENTS, GUIDE, INK, RESOLUTION, STYLE, THEORY, TIME_LABEL

__all__ = ["COMPONENTS", "GUIDE", "INK", "SERIES", "THEORY", "TIME_LABEL", "canvas", "drawn", "theory", "with_bars"]

SERIES = (*COMPONENTS, "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", INK)
"""Colours of up to eight lines (Okabe and Ito's)."""


def canvas(width: float, height: float) -> Figure:
    """An empty figure of that size in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def with_bars(
    ax: Axes, x: ArrayLike, y: ArrayLike, bars: ArrayLike, label: str | None, colour: str, **options: Any
) -> None:
    """Measurements as a solid line of dots, each with its error bar."""
    settings: dict[str, Any] = {"fmt": "o-", "markersize": 4.0, "capsize": 2.0, "elinewidth": 0.9} | options
    ax.errorbar(x, y, np.broadcast_to(np.asarray(bars, float), np.shape(y)), color=colour, label=label, **settings)


def theory(ax: Axes, x: ArrayLike, y: ArrayLike, label: str | None, **options: Any) -> None:
    """A prediction, dashed."""
    settings: dict[str, Any] = {"color": THEORY, "linestyle": "--", "linewidth": 1.2, "zorder": 2.5} | options
    ax.plot(x, y, label=label, **settings)


def drawn(draw: Callable[[], Figure], path: Path) -> Path:
    """Draw in the style of all figures and write the file."""
    with style.context([STYLE], after_reset=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        draw().savefig(path, dpi=RESOLUTION)
    return path
