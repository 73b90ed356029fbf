"""Energy and its budget; entropy and the smallest density where a model has no energy."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..summary import energy_balance
from .marks import draw_marks, horizons
from .record import Real, Record
from .style import COMPONENTS, INK, RGBA, WARNING, draw_trusted, log_limits, new_figure, styled, time_axis

SCALE = r"e^{-\beta\|B\|}"
NAMED = 8
"""So many heads get a name each."""


def balance_residual(record: Record) -> Real:
    """|E(t) − E(0) − ∫₀ᵗ Ė| relative to the largest |E|."""
    energy = record.series["energy"]
    gap = np.abs(energy_balance(record.t, energy, record.series["dissipation"]))
    return np.asarray(gap / np.abs(energy).max(), dtype=np.float64)


def head_colours(count: int) -> list[RGBA]:
    """One colour per head."""
    return [tuple(colour) for colour in colormaps["plasma"](np.linspace(0.1, 0.85, count))]


def draw_heads(ax: Axes, record: Record, values: Real) -> None:
    """One thin line per head (t, H), named if there are few."""
    count = values.shape[1]
    for h, (line, colour) in enumerate(zip(values.T, head_colours(count), strict=True)):
        name = f"head {h}" if count <= NAMED else None
        draw_trusted(ax, record.t, line, record.velocity_horizon, color=colour, linewidth=0.9, label=name)


def draw_energy(ax: Axes, record: Record) -> None:
    """The interaction energy, as stored, times exp(−β‖B‖); thin lines for each of several heads."""
    several = record.series.get("head_energy")
    if several is not None:
        draw_heads(ax, record, several)
    label = None if several is None else f"{record.model.get('combine', 'sum')} of {several.shape[1]} heads"
    draw_trusted(ax, record.t, record.series["energy"], record.velocity_horizon, color=COMPONENTS[0], label=label)
    ax.set_ylabel(rf"energy  $\mathcal{{E}}\,{SCALE}$")
    if several is not None:
        ax.legend(loc="best", ncols=2)


def draw_attention(ax: Axes, record: Record) -> None:
    """Attention entropy of each head."""
    entropy = record.series["attention_entropy"]
    if entropy.shape[1] == 1:
        draw_trusted(ax, record.t, entropy[:, 0], record.velocity_horizon, color=COMPONENTS[0])
    else:
        draw_heads(ax, record, entropy)
        if entropy.shape[1] <= NAMED:
            ax.legend(loc="best", ncols=2)
    ax.axhline(0.0, color=INK, linewidth=0.7)
    ax.set_ylabel("attention entropy\n" + r"$-\iint a\log a\,d\rho\,d\rho$")


def _draw_budget(axes: list[Axes], record: Record) -> None:
    energy, rate, residual = axes
    draw_energy(energy, record)
    draw_trusted(rate, record.t, record.series["dissipation"], record.velocity_horizon, color=COMPONENTS[2])
    rate.axhline(0.0, color=INK, linewidth=0.7)
    rate.set_ylabel(rf"by transport  $\dot{{\mathcal{{E}}}}\,{SCALE}$")
    values = balance_residual(record)
    draw_trusted(residual, record.t, np.where(values > 0.0, values, np.nan), None, color=INK)
    log_limits(residual, values)
    residual.set_ylabel("balance residual")
    words = r"$|\mathcal{E}(t)-\mathcal{E}(0)-\int_0^t\dot{\mathcal{E}}\,ds|\;/\;\max|\mathcal{E}|$"
    if record.model.get("diffusion"):
        words += f"   (what diffusion {record.model['diffusion']:g} did)"
    residual.set_title(words, loc="left", fontsize=8.0)


def _draw_substitutes(axes: list[Axes], record: Record) -> None:
    entropy, lowest = axes
    draw_trusted(entropy, record.t, record.series["entropy"], record.field_horizon, color=COMPONENTS[0])
    entropy.set_ylabel(r"entropy  $\int\rho\,\log\rho$")
    why = record.run.attributes.get("energy_law", "no interaction energy")
    entropy.set_title(f"{why}; entropy and smallest density instead", loc="left", fontsize=8.0)
    smallest = record.series["min_density"]
    trusted = smallest if record.field_horizon is None else smallest[record.t < record.field_horizon]
    positive = trusted[trusted > 0.0]
    if positive.size:
        lowest.set_yscale("symlog", linthresh=10.0 ** np.floor(np.log10(positive.min())))
    draw_trusted(lowest, record.t, smallest, record.field_horizon, color=COMPONENTS[2])
    lowest.axhline(0.0, color=WARNING, linewidth=0.7)
    lowest.set_ylabel(r"smallest density  $\min\rho$")


@styled
def energy_figure(record: Record) -> Figure:
    """Energy, its rate of change and the residual of their balance; or entropy and smallest density.

    Below, the attention entropy where it was recorded.
    """
    draw, panels = (_draw_budget, 3) if "energy" in record.series else (_draw_substitutes, 2)
    attends = "attention_entropy" in record.series
    figure = new_figure(record, 6.6, 1.6 + 1.6 * (panels + attends))
    axes = list(figure.subplots(panels + attends, 1))
    draw(axes[:panels], record)
    if attends:
        draw_attention(axes[-1], record)
    for ax in axes:
        time_axis(ax, record, label=ax is axes[-1])
        draw_marks(ax, horizons(record), label=ax is axes[0])
    return figure
