r"""The terminal phase in recorded moments: when two clusters turn away from ±e, how fast, when they are half way.

For clusters of mass p at e + η₁ and 1 − p at −e + η₂ the mean :math:`\mu` and the second moment S hold both
displacements along a direction u: :math:`\langle\mu,u\rangle=p\eta_1+(1-p)\eta_2` and
:math:`\langle e,Su\rangle=p\eta_1-(1-p)\eta_2`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import make_interp_spline
from scipy.optimize import brentq

from .series import CLEAR, FACTOR, RISE, Fit, fit_exponential, usable

Array = NDArray[np.float64]

LARGE = 0.5
"""Displacement (tangent of the angle from e) up to which the escape is fitted: clusters apart no longer move alike."""
SEEDED = 1e-12
"""A displacement that was ever smaller grew out of rounding errors, and when it did says nothing."""
NEIGHBOURS = 4
"""Records on either side of a crossing that are interpolated."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Terminal:
    """How far a run went into its terminal phase.

    ``turn`` when the displacement of the clusters was last smallest before it grew, None if it did not double after;
    ``least`` its value there (radians); ``escape`` the exponential fitted to its growth, None if there is too little of
    it; ``exit`` when the second moment was half way between the axis of E and the final one, None if never; ``axis``
    (d,) its dominant eigenvector at the end, ``share`` the eigenvalue, ``when`` that end; ``off_target`` the angle of
    ``axis`` from E, ``off_final`` that from the predicted final axis (NaN if there is none), in radians.
    """

    turn: float | None
    least: float
    escape: Fit | None
    exit: float | None
    axis: Array
    share: float
    when: float
    off_target: float
    off_final: float

    @property
    def seeded_by_rounding(self) -> bool:
        """Whether the displacement was once of the size of rounding errors: an exactly symmetric initial density."""
        return self.least < SEEDED


def displacement(
    mean: ArrayLike, second: ArrayLike, axis: Array, across: Array, mode: ArrayLike | None = None, mass: float = 0.5
) -> Array:
    r"""The size (n,) of the displacement of two clusters from ±e, from means (n, d) and second moments (n, d, d).

    .. math:: \Big(\frac{\langle\mu,u\rangle^2}{S_{ee}}+\frac{S_{eu}^2}{S_{ee}^2}\Big)^{1/2},

    e = ``axis``, u = ``across``. A collapsed cluster moves by :math:`\dot x=P_xVx`, under which ⟨x,u⟩/⟨x,e⟩ grows
    exponentially if e and u are left eigenvectors of V: so does this, without saturating, whether both clusters go the
    same way, opposite ways or between. ``mode`` (2,) projects (η₁, η₂) instead, the clusters being of masses ``mass``
    and 1 − ``mass``: needed where only one combination grows.
    """
    mu, S = np.asarray(mean, dtype=np.float64), np.asarray(second, dtype=np.float64)
    along = np.maximum(np.einsum("nij,i,j->n", S, axis, axis), np.finfo(float).tiny)
    same, opposite = mu @ across / np.sqrt(along), np.einsum("nij,i,j->n", S, axis, across) / along
    if mode is None:
        return np.asarray(np.hypot(same, opposite), dtype=np.float64)
    left = np.asarray(mode, dtype=np.float64)
    both = np.stack([(same + opposite) / (2.0 * mass), (same - opposite) / (2.0 * (1.0 - mass))], axis=-1)
    return np.asarray(np.abs(both @ (left / np.linalg.norm(left))), dtype=np.float64)


def halfway(t: ArrayLike, second: ArrayLike, axis: Array, final: Array) -> float | None:
    r"""When the second moments (n, d, d) first have as much along the final axis f as along e; None if they never do.

    :math:`\langle f,Sf\rangle=\langle e,Se\rangle`: on S¹ the dominant axis of S then bisects e and f. Interpolated by
    the cubic spline of the records around; a record that starts beyond is not said to cross.
    """
    times, S = np.asarray(t, dtype=np.float64), np.asarray(second, dtype=np.float64)
    lead = np.einsum("nij,i,j->n", S, final, final) - np.einsum("nij,i,j->n", S, axis, axis)
    before = np.flatnonzero((lead[:-1] < 0.0) & (lead[1:] >= 0.0))
    if not before.size:
        return None
    first = int(before[0])
    near = slice(max(first - NEIGHBOURS + 1, 0), first + NEIGHBOURS + 1)
    curve = make_interp_spline(times[near], lead[near], min(3, len(times[near]) - 1))
    return float(brentq(lambda s: float(curve(s)), times[first], times[first + 1], xtol=1e-14, rtol=1e-14))


def terminal_phase(
    t: ArrayLike,
    moved: ArrayLike | None,
    second: ArrayLike,
    axis: Array,
    final: Array | None = None,
    *,
    until: float | None = None,
) -> Terminal:
    """Turn, escape and exit from the displacement (n,), its times (n,) and the second moments (n, d, d).

    ``moved`` as :func:`displacement` gives it, None where its growth is not expected to be exponential; ``axis`` (d,)
    that of E; ``final`` (d,) the predicted final axis; ``until`` ends what is looked at. The escape is fitted from
    4 times the displacement at the turn to one of 0.5; from 2 times, if it would not double in between.
    """
    times, S = np.asarray(t, dtype=np.float64), np.asarray(second, dtype=np.float64)
    known = np.isfinite(S).all(axis=(1, 2)) & (times <= (np.inf if until is None else until))
    if not known.any():
        known[0] = True
    times, S = times[known], S[known]
    values, vectors = np.linalg.eigh(S[-1])
    dominant = vectors[:, -1] * np.sign(vectors[np.argmax(np.abs(vectors[:, -1])), -1])
    turn, least, fit = (None, np.nan, None) if moved is None else _growth(times, np.asarray(moved)[known])
    return Terminal(
        turn=turn,
        least=least,
        escape=fit,
        exit=None if final is None else halfway(times, S, axis, final),
        axis=dominant,
        share=float(values[-1]),
        when=float(times[-1]),
        off_target=_angle(dominant, axis),
        off_final=np.nan if final is None else _angle(dominant, final),
    )


def _growth(t: Array, moved: Array) -> tuple[float | None, float, Fit | None]:
    """The last minimum before a displacement becomes large, its value, and the exponential that follows."""
    times, w = usable(t, moved)
    if not len(w):
        return None, np.nan, None
    start = int(np.argmin(w))
    beyond = start + np.flatnonzero(w[start:] >= LARGE)
    stop = int(beyond[0]) if beyond.size else len(w) - 1
    low = stop
    for index in range(stop, -1, -1):  # back down the last rise; what is 1 % higher lies before the minimum
        if w[index] > RISE * w[low]:
            break
        low = index if w[index] < w[low] else low
    clear = [low + np.flatnonzero(w[low : stop + 1] >= factor * w[low]) for factor in (CLEAR, FACTOR)]
    if not clear[1].size:
        return None, float(w[low]), None
    wide = [rows for rows in clear if rows.size and w[stop] >= FACTOR * w[rows[0]]] or clear[1:]
    fits = (fit_exponential(times, w, (float(times[rows[0]]), float(times[stop]))) for rows in wide)
    return float(times[low]), float(w[low]), next((fit for fit in fits if fit is not None), None)


def _angle(x: Array, y: Array) -> float:
    """The angle between two axes."""
    inner = float(abs(x @ y))
    return float(np.arctan2(np.linalg.norm(x - (x @ y) * y), inner))
