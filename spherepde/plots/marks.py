"""Named vertical lines: the two horizons, log β, special degrees; their names stand where there is room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from .record import Record
from .style import GUIDE, WARNING

HEIGHTS = {"center": 0.5, "bottom": 0.04, "top": 0.96}
"""Where a name may stand: the alignment of its text and the height at which, as a fraction of the axes."""
MIDDLES = {"center": 0.5, "bottom": 0.24, "top": 0.76}
NEAR = 0.06
"""Lines closer than this fraction of the axes would have names on top of each other."""


MERGED = 0.04
"""Lines closer than this fraction of the axes share one name."""


class Mark(NamedTuple):
    """A place on the horizontal axis, its name and its colour."""

    x: float
    words: str
    colour: str


def horizons(record: Record) -> list[Mark]:
    """The horizons that the run has reached, and where it left its grid."""
    reached = (
        ("field horizon", record.field_horizon, GUIDE),
        ("velocity horizon", record.velocity_horizon, WARNING),
        ("weighted nodes", record.handover, GUIDE),
    )
    return [Mark(x, words, colour) for words, x, colour in reached if x is not None]


def draw_marks(ax: Axes, marks: Sequence[Mark], *, label: bool = False, places: Sequence[str] = tuple(HEIGHTS)) -> None:
    """Vertical lines; with ``label`` the name stands along each, left of it unless the line before is too near.

    Of some ``places`` (keys of HEIGHTS) a name takes the one farthest from the curves: draw those first, and set the
    limits. Lines too close to each other share one name, "first, second".
    """
    left, right = ax.get_xlim()
    previous = -np.inf
    seen = sorted(mark for mark in marks if left <= mark.x <= right)
    for mark in seen:
        ax.axvline(mark.x, color=mark.colour, linewidth=1.0, linestyle=(0, (5, 1.5, 1, 1.5)), gid=mark.words)
    for mark in merged(seen, MERGED * (right - left)):
        across = (mark.x - left) / (right - left)
        before = across > NEAR and (across - previous > NEAR or across > 1.0 - NEAR)
        previous = across
        if label:
            clearance = {name: _clearance(ax, across, MIDDLES[name]) for name in places}
            place = max(clearance, key=clearance.__getitem__)
            ax.text(
                mark.x,
                HEIGHTS[place],
                mark.words,
                transform=ax.get_xaxis_transform(),
                rotation=90.0,
                fontsize=7.5,
                color=mark.colour,
                va=place,
                ha="right" if before else "left",
                bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.0},
            )


def merged(marks: Sequence[Mark], near: float) -> list[Mark]:
    """Sorted marks, those within ``near`` of the first of a group made one: all names, the loudest colour."""
    groups: list[Mark] = []
    for mark in marks:
        if groups and mark.x - groups[-1].x < near:
            first = groups.pop()
            colour = WARNING if WARNING in (first.colour, mark.colour) else first.colour
            mark = Mark(first.x, f"{first.words}, {mark.words}", colour)
        groups.append(mark)
    return groups


def _clearance(ax: Axes, across: float, height: float) -> float:
    """Distance of a point of the axes (as fractions) from the curves above and below it."""
    to_axes = ax.transData + ax.transAxes.inverted()
    nearest = np.inf
    for line in ax.lines:
        points = np.asarray(line.get_xydata(), dtype=np.float64)
        if len(points) > 2:  # not a vertical or horizontal line
            curve = to_axes.transform(points)
            column = curve[(np.abs(curve[:, 0] - across) < 0.5 * NEAR) & np.isfinite(curve[:, 1]), 1]
            nearest = min(nearest, np.abs(column - height).min(initial=np.inf))
    return float(nearest)
