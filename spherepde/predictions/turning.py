r"""When the terminal phase begins, and when :math:`W_2(\rho_t,\Pi_\sharp\rho_0)` is smallest: times affine in log β."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..heads import DominantEigenspace, Head
from .clusters import Escape
from .concentrating import Prediction, wasserstein_decay

Array = NDArray[np.float64]

COMMUTE = 1e-9
"""Matrices whose commutator is this small a fraction of the product of their norms commute."""


@dataclass(frozen=True, kw_only=True)
class Turning(Prediction):
    r"""When a displacement of the clusters stops shrinking: ``value`` the slope of :math:`t_{turn}` in log β.

    ``contraction`` c, the common rate of width and displacement before; ``width`` the :math:`\beta s^2` when it turns
    (s the standard deviation of a cluster along ``direction``); None where not predicted.
    """

    contraction: float | None = None
    width: float | None = None


def turning(head: Head, leaving: Escape) -> Turning:
    r"""The crossover of Gaussian clusters of width s around e, with mean m:

    .. math:: \frac{s'}s=\frac{v_u\beta b_u}{s^{-2}+\beta b_1}-v_1,\qquad
              \frac{m'}m=\frac{v_u(s^{-2}+\beta b_u)}{s^{-2}+\beta b_1}-v_1

    with :math:`v_1=\langle e,Ve\rangle`, :math:`b_1=\langle e,Be\rangle` and v_u, b_u the same across e. While
    :math:`s^2\gg1/\beta` both shrink at :math:`c=(v_1b_1-v_ub_u)/b_1`; the mean turns when
    :math:`\beta s^2=(v_u-v_1)/(v_1b_1-v_ub_u)`, hence
    :math:`t_{turn}=\log\beta/(2c)+\text{const}`. Derived for clusters that V and B keep at ±e, where V and B across e
    are symmetric and commute (always so on S¹), and v_u > v_1; the constant depends on the density.
    """
    formula = "log β/(2c) + const"

    def silent(why: str) -> Turning:
        return Turning(value=None, formula=formula, sentence=f"not predicted: {why}")

    if leaving.kind == "drift":
        return silent("V does not keep e, and the wait grows with β, not log β")
    if leaving.clusters is None or leaving.direction is None or leaving.value is None:
        return silent("there is no second phase" if leaving.kind == "stable" else "no escape rate is known")
    e, u = leaving.clusters.axis, leaving.direction
    v1, b1 = float(e @ head.V @ e), float(e @ head.B @ e)
    if np.linalg.norm(head.B.T @ e - b1 * e) > COMMUTE * np.linalg.norm(head.B, 2) or b1 <= 0.0:
        return silent("B does not keep e, or turns it round")
    if not _diagonal_across(head, e):
        return silent("V and B across e are not symmetric, or do not commute")
    vu, bu = float(u @ head.V @ u), float(u @ head.B @ u)
    gap = v1 * b1 - vu * bu
    if vu - v1 <= 1e-9 * abs(v1) or gap <= 0.0:
        return silent("V is degenerate, so displacements grow at an exponentially small rate only")
    c, width = gap / b1, (vu - v1) / gap
    return Turning(
        value=0.5 / c,
        formula=formula,
        contraction=c,
        width=width,
        sentence=f"the clusters turn when βs² = {width:.4g}, at t = {0.5 / c:.4g}·log β + const (Gaussian clusters)",
    )


def least_distance(head: Head, leaving: Escape, turn: Turning) -> Prediction:
    r"""Slope in log β of the time t_min at which :math:`W_2(\rho_t,\Pi_\sharp\rho_0)` is smallest.

    .. math:: W_2^2\sim e^{-2rt}+\beta^{-1}e^{2\sigma(t-\log\beta/2c)}\ \Rightarrow\
              t_{min}=\frac{1+\sigma/c}{2(r+\sigma)}\log\beta+\text{const}

    r the rate of W₂ (:func:`wasserstein_decay`), σ that of the escape, c that of the crossover, where displacements are
    of size :math:`\beta^{-1/2}`. The O(1/β) of mass that finite β moves between the clusters adds a constant to W₂² and
    leaves t_min where it is. In a stable state it makes a floor :math:`\pi\sqrt\delta` of W₂, δ that mass, after a
    minimum of :math:`\sqrt{2/3}` of it (B = sO), at :math:`\log\beta/\kappa_\perp` + const, not predicted here.
    """
    formula, decay = "slope·log β + const", wasserstein_decay(head)
    if turn.value is None or turn.contraction is None or leaving.value is None or decay.value is None:
        return Prediction(value=None, formula=formula, sentence=turn.sentence if turn.value is None else decay.sentence)
    slope = 0.5 * (1.0 + leaving.value / turn.contraction) / (decay.value + leaving.value)
    return Prediction(
        value=slope,
        formula=formula,
        sentence=f"W₂ is smallest at t = {slope:.4g}·log β + const (decay and escape in balance)",
    )


def keeps_target(head: Head) -> bool:
    """Whether E lies in the leading eigenspace of V: then clusters on E are where V wants them."""
    inside = DominantEigenspace(head.V).basis
    basis = DominantEigenspace(head.A).basis
    return bool(np.linalg.norm(basis - inside @ (inside.T @ basis)) < 1e-6)


def _diagonal_across(head: Head, e: Array) -> bool:
    across = np.linalg.svd(e[None, :])[2][1:].T
    V, B = across.T @ head.V @ across, across.T @ head.B @ across
    size = np.linalg.norm(V) * np.linalg.norm(B)
    skew = np.linalg.norm(V - V.T) * np.linalg.norm(B) + np.linalg.norm(B - B.T) * np.linalg.norm(V)
    return bool(np.linalg.norm(V @ B - B @ V) + skew <= COMMUTE * max(float(size), np.finfo(float).tiny))
