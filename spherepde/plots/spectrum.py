"""The spectrum of the density at the chosen times: where its own modes end, and which of them attention sees."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .marks import Mark, draw_marks
from .record import Modal, Real, Record
from .style import GUIDE, THEORY, log_limits, new_figure, styled, time_colours, time_label


def degree_amplitudes(record: Record, u: Modal) -> Real:
    r"""L² norm of the part of each degree, (lmax+1,): on the sphere :math:`(\sum_m|c_{lm}|^2)^{1/2}`, |m| ≤ l."""
    power = record.space.parseval * (u.real**2 + u.imag**2)
    return np.asarray(np.sqrt(np.bincount(record.space.degree, power)), dtype=np.float64)


def draw_spectrum(ax: Axes, record: Record) -> None:
    """One curve per chosen time, dashed if unresolved, with the bandwidth of the kernel and the start of the tail."""
    lmax = record.space.lmax
    curves = []
    for index, colour in zip(record.shown, time_colours(record), strict=True):
        amplitudes = degree_amplitudes(record, record.coefficients(index))
        curves.append(amplitudes)
        look = "-" if record.resolved(index) else (0, (3, 1.5))
        ax.plot(
            np.where(amplitudes > 0.0, amplitudes, np.nan),
            color=colour,
            linestyle=look,
            label=time_label(record, index),
        )
    log_limits(ax, *curves)
    bandwidth = int(record.run.attributes.get("kernel_bandwidth", 0))
    ax.set_xlim(0, lmax)
    marks = [Mark(2.0 * lmax / 3.0, r"$2\,l_{max}/3$: the tail", GUIDE)]
    if bandwidth:
        marks.append(Mark(bandwidth, f"kernel band $L_K={bandwidth}$", THEORY))
    draw_marks(ax, marks, label=True)
    ax.set_xlabel("degree $l$")
    formula = r"(\sum_m|c_{lm}|^2)^{1/2}" if record.dim == 3 else r"|c_l|/\sqrt{\pi}"
    ax.set_ylabel(rf"amplitude  $\|\rho_l\|={formula}$")


@styled
def spectrum_figure(record: Record) -> Figure:
    """The spectrum at the chosen times."""
    figure = new_figure(record, 8.2, 4.6)
    ax = figure.subplots()
    draw_spectrum(ax, record)
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)
    return figure
