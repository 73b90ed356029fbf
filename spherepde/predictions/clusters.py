r"""What becomes of two clusters at ±e once they are narrower than :math:`\beta^{-1/2}`: the terminal phase.

A collapsed cluster moves by :math:`\dot x=P_xVx` whatever β and B are, and comes to rest on the leading eigenvector
of V. Everything here follows from softmax attention linearised about :math:`p\,\delta_e+(1-p)\,\delta_{-e}`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from ..errors import InputError
from ..heads import DominantEigenspace, Head
from .concentrating import SAME, Prediction

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

LEAST_MASS = 1e-12
"""A cluster of less mass than this is given this much."""


@dataclass(frozen=True, kw_only=True)
class FinalState(Prediction):
    """Where collapsed clusters go: ``kind`` and, for "axis", the unit vector ``axis`` (d,); ``value`` the gap of V.

    "axis" a simple leading eigenvector of V; "plane" a leading eigenspace of higher dimension, "everything" all of it
    (V = λI): any direction is at rest; "rotation" V turns clusters for ever; "none" clusters do not hold together.
    """

    kind: Literal["axis", "plane", "everything", "rotation", "none"]
    axis: Array | None


def final_state(head: Head) -> FinalState:
    """Where a single collapsed cluster ends under softmax attention; ``value`` is the rate of the last approach."""
    values = np.linalg.eigvals(head.V)
    top = float(values.real.max())
    size = max(float(np.abs(values).max()), np.finfo(float).tiny)
    leading = values[values.real >= top - SAME * size]
    space = DominantEigenspace(head.V)

    def state(kind: Literal["axis", "plane", "everything", "rotation", "none"], sentence: str) -> FinalState:
        simple = kind == "axis"
        gap = space.gap if simple else None
        axis = space.axis if simple else None
        return FinalState(value=gap, formula="gap of V", sentence=sentence, kind=kind, axis=axis)

    turning = bool(np.abs(leading.imag).max() > SAME * size)
    if top < -SAME * size or (top <= SAME * size and not turning):
        return state("none", "no final axis: V has no eigenvalue of positive real part, so clusters spread")
    if turning:
        return state("rotation", "no final axis: the leading eigenvalues of V are complex, clusters turn for ever")
    if space.dim == head.dim:
        return state("everything", "no final axis: all eigenvalues of V are the same, any direction is at rest")
    if space.dim > 1:
        return state("plane", f"no single final axis: the leading eigenvalue {top:.4g} of V is {space.dim}-fold")
    where = np.array2string(space.axis, precision=4, suppress_small=True, separator=", ")
    return state("axis", f"clusters end at ±{where}, the leading eigenvector of V: ẋ = PₓVx (β and B drop out)")


@dataclass(frozen=True, kw_only=True)
class TwoClusters:
    r"""Two clusters, of mass p at e and 1 − p at −e, with :math:`Ve=\lambda e`, and how small displacements grow.

    .. math:: \dot\eta_u=M_u\eta_u,\qquad M_u=\lambda_u\begin{pmatrix}a&1-a\\1-a'&a'\end{pmatrix}
              -\lambda\begin{pmatrix}2a-1&0\\0&2a'-1\end{pmatrix},

    :math:`a=p e^{\beta b}/(p e^{\beta b}+(1-p)e^{-\beta b})`, a' the same of 1 − p, :math:`b=\langle e,Be\rangle`.
    B enters through b alone, diagonal or not. ``axis`` e (d,); ``mass`` p; ``value`` λ; ``shares`` (a, a');
    ``transverse`` (d−1,) the λ_u, eigenvalues of V across e (complex for a rotation); ``directions`` (d, d−1) their
    unit vectors u, orthogonal to e; ``matrices`` (d−1, 2, 2); ``rates`` (d−1, 2) the eigenvalues of each, the faster
    first.
    """

    axis: Array
    mass: float
    value: float
    shares: tuple[float, float]
    transverse: Complex
    directions: Complex
    matrices: Complex
    rates: Complex

    @property
    def narrowing(self) -> float:
        """The smaller of λ(2a − 1) and λ(2a' − 1), the rates at which the widths of the clusters contract."""
        return min(self.value * (2.0 * share - 1.0) for share in self.shares)

    @property
    def fastest(self) -> int:
        """The transverse direction that grows fastest."""
        return int(np.argmax(self.rates[:, 0].real))

    def mode(self, direction: int) -> Array | None:
        r"""Left eigenvector (2,) of the growing mode, None if both grow alike or are complex."""
        values, vectors = np.linalg.eig(self.matrices[direction].T)
        low, high = sorted(values.real)
        if np.abs(values.imag).max() > 0.0 or high - low <= 0.05 * abs(high):
            return None
        found: Array = vectors[:, int(np.argmax(values.real))].real
        return found


def two_clusters(head: Head, axis: ArrayLike, mass: float = 0.5) -> TwoClusters | None:
    """The stability of clusters at ±axis under softmax attention; None if V does not keep the axis.

    ``axis`` (d,) any length, ``mass`` of the cluster at +axis. Raises InputError for a mass outside [0, 1].
    """
    if not 0.0 <= mass <= 1.0:
        raise InputError(f"two clusters: the mass of the first is {mass!r}; expected a number between 0 and 1")
    e = np.asarray(axis, dtype=np.float64) / np.linalg.norm(axis)
    value = float(e @ head.V @ e)
    if np.linalg.norm(head.V @ e - value * e) > 1e-9 * np.linalg.norm(head.V, 2):
        return None
    p = float(np.clip(mass, LEAST_MASS, 1.0 - LEAST_MASS))
    score = 2.0 * head.beta * float(e @ head.B @ e)
    away = [float(expit(-score - sign * logit(p))) for sign in (1.0, -1.0)]  # 1 − a, 1 − a', to full relative accuracy
    across = np.linalg.svd(e[None, :])[2][1:].T
    inner = across.T @ head.V @ across
    if np.allclose(inner, inner.T, rtol=0.0, atol=1e-12 * max(float(np.abs(inner).max()), 1e-300)):
        transverse, vectors = np.linalg.eigh(0.5 * (inner + inner.T))
    else:
        transverse, vectors = np.linalg.eig(inner)
    excess, coupling = transverse - value, np.array([[-1.0, 1.0], [1.0, -1.0]]) * np.array(away)[:, None]
    matrices = excess[:, None, None] * np.eye(2) + transverse[:, None, None] * coupling + 2.0 * value * np.diag(away)
    rates = np.array([sorted(np.linalg.eigvals(matrix), key=lambda z: -z.real) for matrix in matrices], dtype=complex)
    return TwoClusters(
        axis=e,
        mass=mass,
        value=value,
        shares=(1.0 - away[0], 1.0 - away[1]),
        transverse=transverse.astype(complex),
        directions=(across @ vectors).astype(complex),
        matrices=matrices.astype(complex),
        rates=rates,
    )


@dataclass(frozen=True, kw_only=True)
class Escape(Prediction):
    """Whether and how two clusters leave ±e, for dim E = 1: ``value`` the fastest growth rate of a displacement.

    ``kind``: "stable" (every rate negative or zero: no second phase), "exponential", "drift" (V does not keep e, they
    leave at a speed of order one), "unknown"; ``direction`` (d,) in which, None if there is none; ``clusters`` the
    linearisation, None for "drift" and "unknown"; for "drift" ``speed`` is that of a collapsed cluster at e and
    ``score_gap`` :math:`|B^\\top e|-\\langle e,Be\\rangle`, by which the depleted zone outscores that cluster.
    """

    kind: Literal["stable", "exponential", "drift", "unknown"]
    direction: Array | None = None
    clusters: TwoClusters | None = None
    speed: float = 0.0
    score_gap: float = 0.0


def escape(head: Head, mass: float = 0.5) -> Escape:
    """How two clusters at ±e, of masses ``mass`` and 1 − ``mass``, leave E under softmax attention."""
    target = DominantEigenspace(head.A)
    if target.dim > 1:
        what = "everything" if target.dim == head.dim else "a great circle, along which tokens move slowly, at 1/β"
        return Escape(value=None, formula="", sentence=f"not predicted: E is {what}", kind="unknown")
    e = target.axis
    pair = two_clusters(head, e, mass)
    if pair is None:
        return _drift(head, e)
    if pair.narrowing <= 0.0:
        why = "clusters at ±e do not hold together (λ tanh βb ≤ 0, or one much lighter than the other)"
        return Escape(value=None, formula="", sentence=f"not predicted: {why}", kind="unknown", clusters=pair)
    index = pair.fastest
    rate, transverse = float(pair.rates[index, 0].real), complex(pair.transverse[index])
    direction = np.real(pair.directions[:, index])
    direction = direction / np.linalg.norm(direction)
    degenerate = abs(transverse - pair.value) <= SAME * abs(pair.value)
    if rate <= 0.0:
        return Escape(
            value=rate,
            formula="λ_u − λ tanh βb < 0",
            sentence=f"two clusters at ±e are stable (largest rate {rate:.4g}): no second phase",
            kind="stable",
            clusters=pair,
        )
    if mass == 0.5:
        formula = "λ(1 − tanh βb)" if degenerate else "λ_u − λ tanh βb"
    else:
        formula = "λ(2 − a − a′)" if degenerate else "λ_u − λ(2a − 1), nearly"
    slow = ", exponentially slow in β," if degenerate else ""
    return Escape(
        value=rate,
        formula=formula,
        sentence=f"displacements{slow} grow at {rate:.4g} (linearised clusters of mass {mass:.3g} and {1 - mass:.3g})",
        kind="exponential",
        direction=direction,
        clusters=pair,
    )


def _drift(head: Head, e: Array) -> Escape:
    """Clusters that V does not keep at ±e."""
    push = head.V @ e - float(e @ head.V @ e) * e
    speed = float(np.linalg.norm(push))
    gap = float(np.linalg.norm(head.B.T @ e) - e @ head.B @ e)
    return Escape(
        value=None,
        formula="|P_eVe|",
        sentence=f"V does not keep e: a collapsed cluster there sets off at the speed |P_eVe| = {speed:.4g}; before, "
        f"it attends to the depleted zone, whose score is higher by β·{gap:.4g}: the wait grows with β, not log β",
        kind="drift",
        direction=push / speed,
        speed=speed,
        score_gap=gap,
    )
