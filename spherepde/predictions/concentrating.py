r"""How fast tokens gather on E, the dominant eigenspace of :math:`A=VB^\top`, at low temperature.

For a positive density the zero-temperature flow :math:`\dot x=P_xAx/|B^\top x|` is a time change of the projective
linear flow :math:`e^{sA}x/|e^{sA}x|`, :math:`ds/dt=1/|B^\top x|` (arXiv 2509.25040, Thm 3.2). Near an eigenspace its
rates are differences of eigenvalues (of their real parts) over :math:`|B^\top x|`; all rates below follow from that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..heads import Head

Array = NDArray[np.float64]

SAME = 1e-9
"""Eigenvalues, and exponents, this close (in units of the largest) are one."""
CONDITION = 1e6
"""Eigenvectors worse conditioned than this are those of a matrix that cannot be diagonalised."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A predicted number, or why there is none.

    ``value`` per unit of time (None: not predicted); ``formula`` what it is, briefly; ``sentence`` why, and whence.
    """

    value: float | None
    formula: str
    sentence: str

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True, kw_only=True)
class Decay(Prediction):
    r"""A distance that falls like :math:`t^{\text{power}}e^{-\text{value}\,t}`."""

    power: float = 0.0


class Level(NamedTuple):
    r"""An eigenspace of A: the real part of its eigenvalue, its dimension, smallest and largest :math:`|B^\top w|`.

    Zero where B ignores w, to rounding.
    """

    value: float
    dim: int
    slowest: float
    fastest: float


def levels(head: Head) -> list[Level] | str:
    """The eigenspaces of A from the top; or why speeds near them are not known, in words."""
    A, scaled = head.A, head.scaled_orthogonal()
    values, vectors = np.linalg.eig(A)
    size = max(float(np.abs(values).max()), np.finfo(float).tiny)
    if scaled is None:
        if np.abs(values.imag).max() > SAME * size:
            return "VBᵀ has complex eigenvalues and |Bᵀx| varies along the rotation"
        if not np.allclose(A, A.T, rtol=0.0, atol=1e-12 * size) and np.linalg.cond(vectors) > CONDITION:
            return "VBᵀ cannot be diagonalised"
    if np.allclose(A, A.T, rtol=0.0, atol=1e-12 * size):
        values, vectors = np.linalg.eigh(0.5 * (A + A.T))
    found: list[Level] = []
    left = np.sort(values.real)[::-1]
    while left.size:
        member = np.abs(values.real - left[0]) <= max(SAME, 1e-7 * (scaled is not None)) * size
        if scaled is None:
            basis = np.linalg.qr(vectors[:, member].real)[0]
            speeds = np.linalg.svd(head.B.T @ basis, compute_uv=False)
            speeds[speeds <= SAME * np.linalg.norm(head.B, 2)] = 0.0  # rounding must not make a speed of a kernel
        else:
            speeds = np.array([scaled[0]])
        found.append(Level(float(left[0]), int(member.sum()), float(speeds.min()), float(speeds.max())))
        left = left[int(member.sum()) :]
    return found


def pointwise_decay(head: Head) -> Prediction:
    r"""The rate at which a token near E approaches it, :math:`\kappa_\parallel=(\lambda_1-\lambda_2)/|B^\top e|`.

    Where :math:`|B^\top e|` differs along E, the slowest. Not predicted where :func:`levels` is silent, E is everything
    or B ignores all of it. Source: the linearised projective flow.
    """
    formula, found = "(λ₁ − λ₂)/|Bᵀe|", levels(head)
    why = _silence(found)
    if why or isinstance(found, str):
        return Prediction(value=None, formula=formula, sentence=f"not predicted: {why}")
    gap, slowest, fastest = found[0].value - found[1].value, found[0].slowest, found[0].fastest
    rate, where = gap / fastest, ""
    if slowest == 0.0:
        where = ", and ever faster towards a direction of E that B ignores"
    elif fastest - slowest > SAME * fastest:
        where = f", up to {gap / slowest:.4g} elsewhere on E"
    return Prediction(
        value=rate,
        formula=formula,
        sentence=f"a token near E approaches it at {formula} = {rate:.4g}{where} (linearised zero-temperature flow)",
    )


def leaving_rates(head: Head) -> list[float]:
    r"""For each eigenspace w of A below the top, the rate at which the mass left near it decays.

    .. math:: \kappa_w=\frac{\sum_{\lambda_i>\lambda_w}(\lambda_i-\lambda_w)}{|B^\top w|},

    one factor for each direction that leads away; on S¹ the :math:`\kappa_\perp=(\lambda_1-\lambda_2)/|B^\top u|` at
    which :math:`E^\perp` is left. Empty where that is not known; infinite where B ignores w.
    """
    found = levels(head)
    if _silence(found) or isinstance(found, str):
        return []
    rates = []
    for i, low in enumerate(found[1:], start=1):
        expansion = sum(high.dim * (high.value - low.value) for high in found[:i])
        rates.append(expansion / low.fastest if low.fastest > 0.0 else float("inf"))
    return rates


def wasserstein_decay(head: Head, p: Literal[1, 2] = 2) -> Decay:
    r"""The rate of :math:`W_p(\rho_t,\Pi_\sharp\rho_0)` for a positive smooth initial density, at zero temperature.

    .. math:: W_p^p\sim t^{n-1}e^{-rt},\qquad r=\min(p\,\kappa_\parallel,\ \min_w\kappa_w),

    n of these exponents being equal to r. A token spends a time τ_w near each w (mass :math:`e^{-\kappa_w\tau_w}`) and
    what is left of t near E (distance :math:`e^{-\kappa_\parallel\tau}`): the integral over all ways to spend t is a
    sum of such exponentials. Holds while :math:`|B^\top\cdot|` is constant on each eigenspace; where it varies, up
    to powers of t. For finite β it holds until t ~ log β.
    """
    near, leaving = pointwise_decay(head), leaving_rates(head)
    if near.value is None:
        return Decay(value=None, formula="rate", sentence=near.sentence)
    exponents = np.array([p * near.value, *leaving])
    least = float(exponents.min())
    ties = int(np.count_nonzero(exponents <= least * (1.0 + SAME)))
    if p * near.value <= least * (1.0 + SAME) and ties == 1:
        formula, why = "(λ₁ − λ₂)/|Bᵀe|", "all tokens narrow at the same rate"
    elif ties == 1:
        formula, why = f"κ_⊥/{p}", "what starts near the directions between the clusters leaves them late"
    else:
        formula, why = f"κ_⊥/{p} = (λ₁ − λ₂)/|Bᵀe|", "leaving E^⊥ and narrowing near E take turns"
    power = (ties - 1) / p
    factor = "" if not power else " with a factor t" if power == 1.0 else f" with a factor t^{power:.3g}"
    return Decay(
        value=least / p,
        formula=formula,
        power=power,
        sentence=f"W{'₁' if p == 1 else '₂'} decays at {least / p:.4g}{factor} until t ~ log β: {why}",
    )


def _silence(found: list[Level] | str) -> str:
    if isinstance(found, str):
        return found
    if len(found) < 2:
        return "E is everything"
    return "B ignores E" if found[0].fastest == 0.0 else ""
