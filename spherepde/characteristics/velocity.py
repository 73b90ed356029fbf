r"""The velocity of a run at any time and place, and its derivative, from what the run recorded.

.. math:: v(t,x)=P_x\sum_ha_hV_hm_h,\qquad
          Dv=P_x\Bigl(\sum_ha_hV_h\frac{\partial m_h}{\partial x}\Bigr)P_x-\Bigl\langle x,\sum_ha_hV_hm_h\Bigr\rangle
          P_x,\qquad \operatorname{div}v=\operatorname{tr}Dv

with the mean tokens m_h of each head (:mod:`.mean_tokens`) and its weight a_h, 1 or 1/H.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..attention import Attention, Hardmax, Unnormalised
from ..errors import InputError
from ..heads import Head
from ..layer_arrays import SAME_TIME
from ..spaces import space_for
from ..tokens.points import check_points
from .mean_tokens import (
    MeanTokens,
    SourceMoments,
    hardmax_tokens,
    largest_partition,
    softmax_tokens,
    unnormalised_tokens,
)
from .record import ROWS, RecordedMoments, RowsOfMoments

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]

PROBES_PER_DEGREE = 0.5
"""Degree of the grid on which the largest Z is looked for, as a fraction of L_K: three nodes a kernel width."""
TRIALS, PLACES, FEWEST = 24, 400, 3
"""Times and places at which the interpolation in time is tried, and the records that takes."""


class VelocityGradient(NamedTuple):
    """Velocities (n, d), their derivatives (n, d, d) along the sphere, and the error (n,) of kernel sums in them."""

    velocity: Real
    derivative: Real
    error: Real

    @property
    def divergence(self) -> Real:
        """The divergence (n,)."""
        return np.asarray(np.trace(self.derivative, axis1=1, axis2=2))


class RecordedVelocity:
    r"""The velocity v(t, x) that a recorded density induces, for any attention model, on S¹ and S².

    Parameters
    ----------
    attention: the model, whose heads may change with time.
    t: (n,) times of the record, strictly increasing; every jump of the heads among them is one.
    moments: (n, lm) modal coefficients of the density up to some degree (those that attention sees suffice), in the
    conventions of :mod:`spherepde.spaces`; an array, or anything of which rows can be sliced. None for hardmax.
    threads: for transforms.

    Between the recorded times the moments are polynomials of degree 7 (:class:`.record.RecordedMoments`). Softmax
    floors Z at 1e-12 of its largest value and keeps |N/Z| ≤ 1, as the solver does: where Z is that small, velocities
    are rounding errors, and ``error`` of :meth:`gradient` says so. Raises InputError for a record that is no record.
    """

    def __init__(
        self, attention: Attention, t: ArrayLike, moments: RowsOfMoments | None = None, *, threads: int = 1
    ) -> None:
        self.attention = attention
        self.t: Real = np.asarray(t, dtype=np.float64)
        self._threads = threads
        if self.t.ndim != 1 or not self.t.size or not (np.isfinite(self.t).all() and (np.diff(self.t) > 0.0).all()):
            raise InputError("velocity record: expected finite times that increase strictly")
        self.breaks = tuple(b for b in attention.schedule.breaks if self.start < b < self.until)
        """The times, increasing, at which heads jump or bend within the record."""
        self._record: RecordedMoments | None = None
        if not isinstance(attention, Hardmax):
            self._record = self._checked(moments)
        self._largest: dict[tuple[int, float], list[float]] = {}

    def _checked(self, moments: RowsOfMoments | None) -> RecordedMoments:
        if moments is None:
            raise InputError(f"velocity record: {self.attention.name} attention needs the density's moments")
        shape = moments.shape
        degree = _degree_of(self.dim, shape[-1]) if len(shape) == 2 else -1
        if len(shape) != 2 or shape[0] < len(self.t) or degree < 2:
            raise InputError(
                f"velocity record: {len(self.t)} times with moments of shape {shape}; expected a row for each time, "
                "of all harmonics up to some degree >= 2"
            )
        self._space = space_for(self.dim, degree)
        self._raised = space_for(self.dim, degree + 1)
        seen = self.attention.source_degree(self.start, self.until)
        probes = space_for(self.dim, max(8, int(PROBES_PER_DEGREE * seen))).points
        self._probes = probes.reshape(-1, self.dim)
        return RecordedMoments(self.t, moments, self.breaks)

    @property
    def dim(self) -> int:
        """Dimension d of the ambient space."""
        return self.attention.dim

    @property
    def start(self) -> float:
        """The first recorded time."""
        return float(self.t[0])

    @property
    def until(self) -> float:
        """The last recorded time."""
        return float(self.t[-1])

    def __call__(self, t: float, points: ArrayLike, since: float | None = None) -> Real:
        """Velocities (n, d) at unit vectors (n, d).

        Where heads jump, those that begin act, unless ``since`` says when the step began that ends there.
        Raises InputError for times outside the record and points that are no unit vectors.
        """
        return self._evaluated(t, points, since, derivative=False)[0]

    def gradient(self, t: float, points: ArrayLike, since: float | None = None) -> VelocityGradient:
        """Velocities with their derivatives; otherwise as a call. Takes d kernel sums instead of one."""
        velocity, derivative, error = self._evaluated(t, points, since, derivative=True)
        assert derivative is not None
        return VelocityGradient(velocity, derivative, error)

    def with_error(self, t: float, points: ArrayLike, since: float | None = None) -> tuple[Real, Real]:
        """Velocities and the error (n,) of kernel sums in them; otherwise as a call."""
        velocity, _, error = self._evaluated(t, points, since, derivative=False)
        return velocity, error

    def divergence(self, t: float, points: ArrayLike, since: float | None = None) -> Real:
        """The divergence (n,) of the velocity at unit vectors (n, d)."""
        return self.gradient(t, points, since).divergence

    def moments(self, t: float) -> Modal:
        """The source moments (lm,) at a time of the record. Raises InputError outside it, and for hardmax."""
        if self._record is None:
            raise InputError("velocity record: hardmax attention sees no moments")
        return self._record.at(self.check_time(t))

    def check_time(self, t: float) -> float:
        """A time of the record. Raises InputError for any other."""
        if np.ndim(t) or np.asarray(t).dtype.kind not in "fiu":
            raise InputError(f"t = {t!r}; expected a time, one number in {self.start:g} … {self.until:g}")
        slack = SAME_TIME * max(abs(self.start), abs(self.until))
        if not self.start - slack <= t <= self.until + slack:
            raise InputError(
                f"t = {t!r} is outside the record of the velocity; expected a time in {self.start:g} … {self.until:g}"
            )
        return min(max(float(t), self.start), self.until)

    def time_error(self) -> float:
        r"""Estimated largest error of velocities by interpolation in time, relative to their largest.

        By leaving out every second record: polynomials of degree 7 then err 2⁸ times as much. At 24 times half-way
        between records and 400 places; NaN for fewer than three records, which say nothing.
        """
        if self._record is None:
            return 0.0
        if len(self.t) < FEWEST:
            return float("nan")
        thin = self._record.thinned()
        spread = np.random.default_rng(0).standard_normal((PLACES, self.dim))
        places = spread / np.linalg.norm(spread, axis=1, keepdims=True)
        intervals = np.unique(np.linspace(0, len(self.t) - 2, TRIALS).astype(int))
        error = speed = 0.0
        for i in intervals:
            t = float(0.5 * (self.t[i] + self.t[i + 1]))
            fine, coarse = (
                self._at(t, places, t, record.at(t), derivative=False)[0] for record in (self._record, thin)
            )
            error = max(error, float(np.linalg.norm(fine - coarse, axis=1).max()))
            speed = max(speed, float(np.linalg.norm(fine, axis=1).max()))
        return error / 2.0 ** min(ROWS, len(thin.t)) / max(speed, 1e-300)

    # ---- evaluation

    def _evaluated(
        self, t: float, points: ArrayLike, since: float | None, *, derivative: bool
    ) -> tuple[Real, Real | None, Real]:
        t = self.check_time(t)
        x = check_points("velocity", points, self.dim)
        moments = None if self._record is None else self._record.at(t)
        return self._at(t, x, t if since is None else since, moments, derivative=derivative)

    def _at(
        self, t: float, x: Real, since: float, moments: Modal | None, *, derivative: bool
    ) -> tuple[Real, Real | None, Real]:
        schedule = self.attention.schedule
        heads = schedule.heads_at(schedule.moment(t, since))
        source = None if moments is None else SourceMoments(self._space, self._raised, moments)
        largest = [0.0] * len(heads) if source is None else self._largest_partitions(t, since)
        pull, slope = np.zeros_like(x), np.zeros((*x.shape, x.shape[1])) if derivative else None
        error = np.zeros(len(x))
        for head, top in zip(heads, largest, strict=True):
            found = self._tokens(head, x, source, top, derivative)
            pull += found.token @ head.V.T
            error += np.linalg.norm(head.V, 2) * found.error
            if slope is not None and found.derivative is not None:
                slope += head.V @ found.derivative
        weight = self.attention.head_weight
        radial = np.einsum("ni,ni->n", x, pull)
        velocity = weight * (pull - radial[:, None] * x)
        if slope is None:
            return velocity, None, weight * error
        across = np.eye(x.shape[1]) - x[:, :, None] * x[:, None, :]
        tangential = across @ slope @ across - radial[:, None, None] * across
        return velocity, weight * tangential, weight * error

    def _tokens(self, head: Head, x: Real, source: SourceMoments | None, top: float, derivative: bool) -> MeanTokens:
        if source is None:
            return hardmax_tokens(head, x, derivative=derivative)
        law = unnormalised_tokens if isinstance(self.attention, Unnormalised) else softmax_tokens
        return law(head, x, source, top, derivative=derivative, threads=self._threads)

    def _largest_partitions(self, t: float, since: float) -> list[float]:
        """The largest Z of each head, linear in time between records."""
        after = min(max(int(np.searchsorted(self.t, t)), 1), len(self.t) - 1)
        if len(self.t) == 1:
            return self._largest_recorded(0, since)
        left, right = self._largest_recorded(after - 1, since), self._largest_recorded(after, since)
        share = (t - self.t[after - 1]) / (self.t[after] - self.t[after - 1])
        return [(1.0 - share) * a + share * b for a, b in zip(left, right, strict=True)]

    def _largest_recorded(self, index: int, since: float) -> list[float]:
        schedule, t = self.attention.schedule, float(self.t[index])
        moment = schedule.moment(t, since)
        if (index, moment) not in self._largest:
            assert self._record is not None
            source = SourceMoments(self._space, self._raised, self._record.row(index))
            heads = schedule.heads_at(moment)
            found = [largest_partition(head, self._probes, source, self._threads) for head in heads]
            self._largest[index, moment] = found
        return self._largest[index, moment]

    def __repr__(self) -> str:
        return f"RecordedVelocity({self.attention!r}, t = {self.start:g} … {self.until:g}, {len(self.t)} records)"


def _degree_of(dim: int, count: int) -> int:
    """The degree up to which there are so many harmonics; −1 if there is none."""
    degree = count - 1 if dim == 2 else round((np.sqrt(8.0 * count + 1.0) - 3.0) / 2.0)
    return degree if dim == 2 or (degree + 1) * (degree + 2) // 2 == count else -1
