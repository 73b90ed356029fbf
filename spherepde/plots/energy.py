"""Energy and its budget; entropy and the smallest density where a model has no energy."""

from __future__ import annotations

from textwrap import fill

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..summary import FEWEST, energy_balance, stretches
from .marks import draw_marks, horizons
from .record import Real, Record
from .style import COMPONENTS, INK, RGBA, WARNING, draw_trusted, log_limits, new_figure, styled, time_axis

SCALE = r"e^{-\beta\|B\|}"
NAMED = 8
"""So many heads get a name each."""
IN_A_ROW = 5
"""Names of a legend."""
LETTERS = 96
"""Of a line of small type across the axes."""


def has_balance(record: Record) -> bool:
    """Whether the recorded rate is all that changes the energy between jumps: not if layers are interpolated."""
    return "energy" in record.series and not record.model.get("interpolate")


def balance_residual(record: Record) -> Real:
    """|E(t) − E(s) − ∫ₛᵗ Ė| relative to the largest |E| of its layer, which began at s (0 without layers)."""
    energy = known_energy(record.series["energy"])
    gap = np.abs(energy_balance(record.t, energy, record.series["dissipation"], record.jumps))
    for rows in stretches(record.t, record.jumps):
        gap[rows] /= np.abs(energy[rows]).max()
    return gap


def known_energy(energy: Real) -> Real:
    """Energies with NaN for those that are 0: an energy is positive, so this one was too small for its scale."""
    return np.where(energy == 0.0, np.nan, energy)


def head_colours(count: int) -> list[RGBA]:
    """One colour per head."""
    return [tuple(colour) for colour in colormaps["plasma"](np.linspace(0.1, 0.85, count))]


def draw_heads(ax: Axes, record: Record, values: Real) -> None:
    """One thin line per head (t, H), named if there are few."""
    count = values.shape[1]
    for h, (line, colour) in enumerate(zip(values.T, head_colours(count), strict=True)):
        name = f"head {h}" if count <= NAMED else None
        look = {"color": colour, "linewidth": 0.9, "label": name}
        draw_trusted(ax, record.t, line, record.velocity_horizon, record.jumps, **look)


def draw_energy(ax: Axes, record: Record) -> None:
    """The interaction energy, as stored, times exp(−β‖B‖); thin lines for each of several heads."""
    several = record.series.get("head_energy")
    if several is not None:
        draw_heads(ax, record, known_energy(several))
    label = None if several is None else f"{record.model.get('combine', 'sum')} of {several.shape[1]} heads"
    energy, look = known_energy(record.series["energy"]), {"color": COMPONENTS[0], "label": label}
    draw_trusted(ax, record.t, energy, record.velocity_horizon, record.jumps, **look)
    ax.set_ylabel(rf"energy  $\mathcal{{E}}\,{SCALE}$")
    if several is not None:
        _legend_above(ax)


def _legend_above(ax: Axes) -> None:
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=IN_A_ROW, borderaxespad=0.1)


def draw_attention(ax: Axes, record: Record) -> None:
    """Attention entropy of each head."""
    entropy = record.series["attention_entropy"]
    if entropy.shape[1] == 1:
        draw_trusted(ax, record.t, entropy[:, 0], record.velocity_horizon, record.jumps, color=COMPONENTS[0])
    else:
        draw_heads(ax, record, entropy)
        if entropy.shape[1] <= NAMED:
            _legend_above(ax)
    ax.axhline(0.0, color=INK, linewidth=0.7)
    ax.set_ylabel("attention entropy\n" + r"$-\iint a\log a\,d\rho\,d\rho$")


def _draw_budget(axes: list[Axes], record: Record) -> None:
    energy, rate = axes[:2]
    draw_energy(energy, record)
    speed = np.where(record.series["energy"] == 0.0, np.nan, record.series["dissipation"])
    draw_trusted(rate, record.t, speed, record.velocity_horizon, record.jumps, color=COMPONENTS[2])
    rate.axhline(0.0, color=INK, linewidth=0.7)
    rate.set_ylabel(rf"by transport  $\dot{{\mathcal{{E}}}}\,{SCALE}$")
    if has_balance(record):
        _draw_residual(axes[2], record)
    else:
        rate.set_title("no balance: the heads change the energy as well", loc="left", fontsize=8.0)


def _draw_residual(ax: Axes, record: Record) -> None:
    values = balance_residual(record)
    draw_trusted(ax, record.t, np.where(values > 0.0, values, np.nan), None, record.jumps, color=INK)
    ax.set_ylabel("balance residual")
    if not log_limits(ax, values) and record.jumps.size:
        words = f"no layer has {FEWEST} records and an energy at this scale"
        ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", va="center", color=INK)
        ax.set_yticks([])
    start = r"t_\ell" if record.jumps.size else "0"
    words = rf"$|\mathcal{{E}}(t)-\mathcal{{E}}({start})-\int_{{{start}}}^t\dot{{\mathcal{{E}}}}\,ds|"
    words += r"\;/\;\max|\mathcal{E}|$"
    if record.jumps.size:
        words += r"   within each layer, from its beginning $t_\ell$"
    if record.model.get("diffusion"):
        words += ("\n" if record.jumps.size else "   ") + f"(what diffusion {record.model['diffusion']:g} did)"
    ax.set_title(words, loc="left", fontsize=8.0)


def _draw_substitutes(axes: list[Axes], record: Record) -> None:
    entropy, lowest = axes
    draw_trusted(entropy, record.t, record.series["entropy"], record.field_horizon, color=COMPONENTS[0])
    entropy.set_ylabel(r"entropy  $\int\rho\,\log\rho$")
    why = record.run.attributes.get("energy_law", "no interaction energy")
    words = fill(f"{why}; entropy and smallest density instead", LETTERS, break_on_hyphens=False)
    entropy.set_title(words, loc="left", fontsize=8.0)
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
    """Energy, its rate of change and the residual of their balance, if they have one; or entropy and smallest density.

    Below, the attention entropy where it was recorded.
    """
    draw, panels = (_draw_budget, 2 + has_balance(record)) if "energy" in record.series else (_draw_substitutes, 2)
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
