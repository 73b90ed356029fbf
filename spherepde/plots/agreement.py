"""Distances of tokens to a run over time, with the band of exact samples."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..agreement import Agreement
from ..errors import InputError
from ..store import RunFile
from .record import Record
from .style import COMPONENTS, GUIDE, INK, TIME_LABEL, WARNING, log_limits, new_figure, save, styled

LABELS = {
    "wasserstein_1": "$W_1$, geodesic",
    "wasserstein_2": "$W_2$, geodesic",
    "moment_score": "moment score",
}
BAND = COMPONENTS[0]


def _draw(ax: Axes, agreement: Agreement, name: str) -> None:
    """One statistic: the band from the 1 % quantile of exact samples to its edge, their median, the tokens."""
    t, values = agreement.t, agreement.values[name]
    lower, median, limit = agreement.lower[name], agreement.median[name], agreement.limit[name]
    if len(t) > 1:
        ax.fill_between(t, lower, limit, color=BAND, alpha=0.22, linewidth=0.0)
        ax.plot(t, median, color=BAND, linewidth=0.9)
    else:
        ax.errorbar(t, median, [median - lower, limit - median], color=BAND, marker="_", capsize=4.0)
    beyond = values > limit
    ax.plot(t, values, color=INK, linewidth=0.7)
    ax.plot(t[~beyond], values[~beyond], color=INK, linestyle="", marker="o", markersize=4.0)
    ax.plot(t[beyond], values[beyond], color=WARNING, linestyle="", marker="X", markersize=6.0)
    log_limits(ax, values, lower, limit)
    ax.set_ylabel(LABELS[name])


def _figure(record: Record, agreement: Agreement) -> Figure:
    """W₁, W₂ and the moment score, one below the other, above the verdict."""
    figure = new_figure(record, 7.2, 7.6)
    panels = list(figure.subplots(len(LABELS), 1, sharex=True))
    for ax, name in zip(panels, LABELS, strict=True):
        _draw(ax, agreement, name)
    edges = agreement.t[[0, -1]] if len(agreement.t) > 1 else agreement.t[0] + np.array([-0.5, 0.5])
    margin = 0.03 * float(np.ptp(edges))
    panels[-1].set_xlim(edges[0] - margin, edges[1] + margin)
    panels[-1].set_xlabel(TIME_LABEL)
    size = f"{agreement.tokens.count}" if agreement.tokens.weights is None else "as many effective"
    exact = f"99 % of {agreement.kind} samples of {size} points"
    words = [
        Line2D([], [], color=INK, marker="o", markersize=4.0, linewidth=0.7, label="tokens"),
        Line2D([], [], color=WARNING, marker="X", markersize=6.0, linestyle="", label="above the band"),
        Line2D([], [], color=BAND, linewidth=7.0, alpha=0.3, label=exact),
        Line2D([], [], color=BAND, linewidth=0.9, label="their median"),
    ]
    panels[0].legend(handles=words, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, fontsize=7.5)
    verdict, _, reason = agreement.sentence.partition("; ")
    colour = GUIDE if agreement.inside else WARNING
    figure.supxlabel(f"{verdict};\n{reason}", fontsize=8.0, color=colour)
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
