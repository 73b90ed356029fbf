"""Energy and its budget; entropy and the smallest density where a model has no energy."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..summary import energy_balance
from .marks import draw_marks, horizons
from .record import Real, Record
from .style import COMPONENTS, INK, WARNING, draw_trusted, log_limits, new_figure, styled, time_axis

SCALE = r"e^{-\beta\|B\|}"


def balance_residual(record: Record) -> Real:
    """|E(t) − E(0) − ∫₀ᵗ Ė| relative to the largest |E|."""
    energy = record.series["energy"]
    gap = np.abs(energy_balance(record.t, energy, record.series["dissipation"]))
    return np.asarray(gap / np.abs(energy).max(), dtype=np.float64)


def draw_energy(ax: Axes, record: Record) -> None:
    """The interaction energy, as stored: times exp(−β‖B‖)."""
    draw_trusted(ax, record.t, record.series["energy"], record.velocity_horizon, color=COMPONENTS[0])
    ax.set_ylabel(rf"energy  $\mathcal{{E}}\,{SCALE}$")


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
    why = "hardmax has none" if record.model["attention"] == "hardmax" else "B is not symmetric"
    entropy.set_title(f"no interaction energy ({why}): entropy and smallest density instead", loc="left", fontsize=8.0)
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
    """Energy, its rate of change and the residual of their balance; or entropy and smallest density."""
    if "energy" in record.series:
        figure = new_figure(record, 6.6, 6.4)
        axes = list(figure.subplots(3, 1))
        _draw_budget(axes, record)
    else:
        figure = new_figure(record, 6.6, 4.8)
        axes = list(figure.subplots(2, 1))
        _draw_substitutes(axes, record)
    for ax in axes:
        time_axis(ax, record, label=ax is axes[-1])
        draw_marks(ax, horizons(record), label=ax is axes[0])
    return figure
