"""The snapshots shown: the same colour and the same words for a time in every figure."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps

from .record import Record

RGBA = tuple[float, float, float, float]


def time_colours(record: Record) -> list[RGBA]:
    """One colour per snapshot shown, early ones dark."""
    return [tuple(colour) for colour in colormaps["viridis"](np.linspace(0.0, 0.88, len(record.shown)))]


def time_label(record: Record, index: int) -> str:
    """The time of a snapshot, and whether its density can be trusted."""
    doubt = record.doubt(index)
    return f"$t={record.run.times[index]:.4g}$" + (f"  ({doubt})" if doubt else "")
