"""Distances and moments of tokens beside a run's, over time: every band of exact samples, the pair, the verdict."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import Any, Protocol, cast

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ..agreement import Agreement, Comparison
from ..errors import InputError
from ..store import RunFile
from .record import Record
from .style import COMPONENTS, GUIDE, INK, TIME_LABEL, WARNING, log_limits, new_figure, save, styled

Real = NDArray[np.float64]

LABELS = {
    "wasserstein_1": "$W_1$, geodesic (rad)",
    "wasserstein_2": "$W_2$, geodesic (rad)",
    "wasserstein_1_in_cells": "$W_1$ in cells and true, geodesic (rad)",
    "wasserstein_2_in_cells": "$W_2$ in cells and true, geodesic (rad)",
    "moment_score": "moment score",
    "mean": r"$|\Delta\,$mean$|$",
    "second_moment": r"$|\Delta M_2|$",
}
PAIR_LABELS = {"wasserstein_1": "$W_1$", "mean": r"$|\Delta\,$mean$|$", "second_moment": r"$|\Delta M_2|$"}
BANDS = {"independent": COMPONENTS[0], "interacting": COMPONENTS[1]}
TRUE = COMPONENTS[2]
WIDTH, HEIGHT, LETTERS = 9.2, 8.6, 118
LEAST = 1e-9
"""Pairs nearer than this part of what is allowed are drawn there: rounding."""


def _tokens(ax: Axes, t: Real, values: Real, beyond: NDArray[np.bool_]) -> None:
    ax.plot(t, values, color=INK, linewidth=0.7)
    ax.plot(t[~beyond], values[~beyond], color=INK, linestyle="", marker="o", markersize=4.0)
    ax.plot(t[beyond], values[beyond], color=WARNING, linestyle="", marker="X", markersize=6.0)


def _draw(ax: Axes, agreement: Agreement, name: str, column: int) -> None:
    """One statistic: bands from the 1 % quantile of exact samples to their edge, medians, the tokens."""
    t, values, edges = agreement.t, agreement.values[name], [agreement.values[name]]
    for comparison in agreement.comparisons:
        lower, median, limit = _band(comparison, column)
        colour = BANDS[comparison.kind]
        if len(t) > 1:
            ax.fill_between(t, lower, limit, color=colour, alpha=0.22, linewidth=0.0)
            ax.plot(t, median, color=colour, linewidth=0.9)
        else:
            ax.errorbar(t, median, [median - lower, limit - median], color=colour, marker="_", capsize=4.0)
        edges += [lower, limit]
    true = agreement.distances.get(name.removesuffix("_in_cells"))
    if true is not None and name.endswith("_in_cells") and np.isfinite(true).any():
        ax.plot(t, true, color=TRUE, linewidth=0.9, linestyle="--", marker="s", markersize=3.0)
        edges.append(true)
    _tokens(ax, t, values, values > agreement.limit[name])
    log_limits(ax, *edges)
    ax.set_ylabel(LABELS[name])


def _band(comparison: Comparison, column: int) -> tuple[Real, Real, Real]:
    """The 1 % quantile, median and edge of a statistic of exact samples."""
    lower = np.quantile(comparison.samples[..., column], 0.01, axis=0)
    return lower, comparison.band.median[:, column], comparison.band.upper[:, column]


def _draw_pair(ax: Axes, agreement: Agreement) -> None:
    """What separates tokens from their own first ones, moved accurately, over what may."""
    pair = agreement.pair
    if pair is None:
        ax.set_axis_off()
        words = "one time: no pair" if len(agreement.t) == 1 else "no pair: the kind of samples was chosen"
        ax.text(0.5, 0.5, words, ha="center", va="center", color=GUIDE, transform=ax.transAxes)
        return
    t, ratio = agreement.t[1:], np.maximum(pair.values[1:] / pair.limit[1:], LEAST)
    ax.axhspan(LEAST / 10.0, 1.0, color=GUIDE, alpha=0.14, linewidth=0.0)
    ax.axhline(1.0, color=GUIDE, linewidth=0.9)
    for label, marker, values in zip(PAIR_LABELS.values(), "osD", ratio.T, strict=True):
        ax.plot(t, values, color=INK, linewidth=0.7, marker=marker, markersize=3.5, label=label)
        beyond = values > 1.0
        ax.plot(t[beyond], values[beyond], color=WARNING, linestyle="", marker=marker, markersize=5.0)
    ax.set_yscale("log")
    ax.set_ylim(0.3 * min(0.1, float(ratio.min())), 3.0 * max(1.0, float(ratio.max())))
    ax.set_ylabel("pair of clouds: apart, over allowed")
    ax.legend(loc="best", ncols=3, fontsize=7.5)


def _legend(agreement: Agreement) -> list[Artist]:
    """What the lines, marks and bands of all panels are."""
    size = f"{agreement.tokens.count}" if agreement.tokens.weights is None else "as many effective"
    words: list[Artist] = [
        Line2D([], [], color=INK, marker="o", markersize=4.0, linewidth=0.7, label="tokens"),
        Line2D([], [], color=WARNING, marker="X", markersize=6.0, linestyle="", label="above the limit"),
    ]
    for comparison in agreement.comparisons:
        label = f"99 % of {comparison.kind} samples of {size} points, median"
        words.append(Patch(facecolor=BANDS[comparison.kind], alpha=0.3, label=label))
    if agreement.tokens.dim == 3:
        words.append(Line2D([], [], color=TRUE, linestyle="--", marker="s", markersize=3.0, label="true distances"))
    return words


def _figure(record: Record, agreement: Agreement) -> Figure:
    """W₁, W₂, moments and the pair in six panels, above the verdict."""
    figure = new_figure(record, WIDTH, HEIGHT)
    places = figure.subplot_mosaic("WW;ab;cd;ef", height_ratios=[0.12, 1.0, 1.0, 1.0])
    words, *panels = places.values()
    words.set_axis_off()
    words.legend(handles=_legend(agreement), loc="center", ncols=3, fontsize=7.5).set_in_layout(False)
    for column, (ax, name) in enumerate(zip(panels, agreement.limit, strict=False)):
        _draw(ax, agreement, name, column)
    _draw_pair(panels[-1], agreement)
    edges = agreement.t[[0, -1]] if len(agreement.t) > 1 else agreement.t[0] + np.array([-0.5, 0.5])
    margin = 0.03 * float(np.ptp(edges))
    for ax in panels:
        ax.set_xlim(edges[0] - margin, edges[1] + margin)
    for ax in panels[-2:]:
        ax.set_xlabel(TIME_LABEL)
    colour = GUIDE if agreement.inside else WARNING
    verdict, _, reason = agreement.sentence.partition(": ")
    figure.supxlabel(fill(f"{verdict.upper()}: {reason}", LETTERS), fontsize=8.5, color=colour)
    return figure


class Described(Protocol):
    """What a figure says of a run without its snapshots: a run file has all of it, and so has a reference run."""

    @property
    def path(self) -> Path:
        """Its file."""

    @property
    def attributes(self) -> dict[str, Any]:
        """What the file says of itself."""

    @property
    def series(self) -> dict[str, Any]:
        """Every recorded quantity by name."""

    @property
    def config(self) -> dict[str, Any]:
        """The configuration."""

    @property
    def times(self) -> Any:
        """Times of snapshots."""


def plot_agreement(agreement: Agreement, run: str | Path | Described, out: str | Path) -> Path:
    """Draw tokens as ``<out>/agreement.png``, replacing it, against a run (path of its file) or a reference run.

    Returns the file. Raises InputError for a file that is no run file and for a folder that cannot be written.
    """
    target = Path(out) / "agreement.png"
    with RunFile(run) if isinstance(run, str | Path) else nullcontext(cast(RunFile, run)) as opened:
        record = Record(opened)
        figure = styled(partial(_figure, agreement=agreement))(record)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            save(figure, target, record)
        except OSError as error:
            raise InputError(f"figures cannot be written to {target.parent}: {error.strerror or error}") from None
    return target
