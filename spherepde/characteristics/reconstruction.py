"""Densities, samples, images and basins of a run, by following its characteristics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..adaptive import CellMeasure, Resolution, carry, initial_cells
from ..attention import Attention
from ..densities import Density
from ..errors import InputError, NumericalError
from ..heads import NUMBER, DominantEigenspace
from ..store import RunFile
from ..tokens import sample_tokens
from ..tokens.points import check_points, normalised
from .flow import RTOL, FlowMap, flow_map, move_points, segments
from .sources import LiveRun, Source, source_of_run
from .velocity import RecordedVelocity

Real = NDArray[np.float64]
Integers = NDArray[np.int64]
Values = Callable[[Real], Real]

AXES_TOLERANCE = 1e-7
"""Of the nodes that, carried along, tell the axes around which tokens gather."""
CURVE_ROUNDS, CURVE_POINTS = 64, 1 << 18
"""Rounds of halving the arcs of a curve, and how many points it may get."""


def carry_along(
    velocity: RecordedVelocity,
    cells: CellMeasure,
    start: float,
    stop: float,
    tolerance: float,
    *,
    rtol: float,
    most_nodes: int | None = None,
) -> CellMeasure:
    """Cells moved by a recorded velocity from one time to another, of which every integral keeps the tolerance.

    ``most_nodes`` as in :class:`~spherepde.adaptive.Resolution`.
    """
    resolution = Resolution(tolerance, most_nodes=most_nodes)
    for begin, end in segments(velocity, start, stop):

        def moving(t: float, points: Real, weights: Real, since: float = begin) -> Real:
            return velocity(t, points, since)

        cells = carry(cells, moving, begin, end, resolution, rtol=rtol)
    return cells


def pole(target: DominantEigenspace | None) -> Real | None:
    """The axis to whose equator, or from whose equator, points go: E itself or the normal of E on S²."""
    if target is None or target.dim == 3 or len(target.basis) == 2:
        return None
    return target.axis if target.dim == 1 else np.linalg.svd(target.basis.T)[2][-1]


def pole_of(attention: Attention, until: float) -> Real | None:
    """The same for any heads up to a time: if there are several, or they change, E of the mean of their VBᵀ."""
    target = attention.limit_space
    if target is None:
        target = DominantEigenspace(
            np.mean([head.A for heads in attention.schedule.acting(until) for head in heads], 0)
        )
    return pole(target)


class WeightedSample(NamedTuple):
    """Points (n, d) with weights (n,) of sum 1, and how many independent points of equal weight they are worth."""

    points: Real
    weights: Real
    effective_size: float


class Characteristics:
    r"""The measure :math:`\rho_t=X_t{}_\#\rho_0` of a run at any time of its record, by the flow X of its velocity.

    Parameters
    ----------
    run: a run file, by its path or open; a finished Simulation, whose file is read; or a RecordedVelocity.
    initial: the density at the start; by default the one that the run was configured with.
    attention: the model of a run whose heads are a function of time, which no file holds.
    rtol: error of positions and of log ρ in each time step. The record's own error comes on top
    (:meth:`RecordedVelocity.time_error`, and that of the run's steps).
    threads: for transforms.

    ``horizon`` is the time beyond which the run itself says that its moments, and so its velocity, are not to be
    trusted; infinite if there is none. Characteristics exist without diffusion only. Where softmax attends to less than
    1e-12 of the largest Z, its velocity is made of rounding errors: log ρ there is of the right order at best.
    Raises InputError for a run that cannot be followed.
    """

    def __init__(
        self,
        run: str | Path | RunFile | LiveRun | RecordedVelocity,
        initial: Density | None = None,
        *,
        attention: Attention | None = None,
        rtol: float = RTOL,
        threads: int = 1,
    ) -> None:
        if isinstance(run, RecordedVelocity):
            if initial is None or initial.dim != run.dim:
                raise InputError(f"characteristics of a velocity: expected initial=, a density on S^{run.dim - 1}")
            source = Source(run, initial, np.inf)
        else:
            source = source_of_run(run, initial, attention, threads)
        self.velocity, self.initial, self.horizon = source
        self.rtol = rtol

    @property
    def dim(self) -> int:
        """Dimension d of the ambient space."""
        return self.velocity.dim

    @property
    def start(self) -> float:
        """The time of the initial density."""
        return self.velocity.start

    @property
    def until(self) -> float:
        """The last time of the record."""
        return self.velocity.until

    # ---- points

    def flow(self, points: ArrayLike, start: float, stop: float) -> FlowMap:
        """Where points (n, d) go from one time to another, forward or backward, and log J (:func:`.flow.flow_map`)."""
        return flow_map(self.velocity, points, start, stop, rtol=self.rtol)

    def log_density(self, t: float, points: ArrayLike) -> Real:
        r"""log ρ(t, x) at points (n, d), per unit of surface measure; −∞ where ρ₀ vanishes.

        .. math:: \log\rho(t,x)=\log\rho_0\bigl(X_t^{-1}x\bigr)-\int_0^t\operatorname{div}v(s,X_sX_t^{-1}x)\,ds
        """
        origin = self.flow(points, t, self.start)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.initial(origin.points)) + origin.log_jacobian)

    def density(self, t: float, points: ArrayLike) -> Real:
        """ρ(t, x) at points (n, d), per unit of surface measure: positive where ρ₀ is, down to 1e-308."""
        return np.asarray(np.exp(self.log_density(t, points)))

    # ---- measures

    def sample(self, t: float, count: int, seed: int) -> Real:
        """Independent points (count, d) from ρ_t: drawn from ρ₀ by rejection, and moved."""
        drawn = sample_tokens(self.initial.function, self.dim, count, seed)
        return self.image(drawn, t)

    def weighted_sample(self, t: float, proposal: Values, count: int, seed: int) -> WeightedSample:
        """Points from ρ_t drawn where one wants them: from another density at the start, with weights ∝ ρ₀/proposal.

        ``proposal`` maps unit vectors (n, d) to (n,) positive values, whatever their integral. Rare regions of ρ_t get
        as many points as it gives them; where it vanishes and ρ₀ does not, mass is missed without notice.
        """
        return self.reweighted(t, sample_tokens(proposal, self.dim, count, seed), proposal)

    def reweighted(self, t: float, tokens: ArrayLike, proposal: Values) -> WeightedSample:
        """The same with initial tokens (n, d) that somebody else drew from ``proposal``."""
        x = check_points("weighted sample", tokens, self.dim)
        given = np.asarray(proposal(x), dtype=np.float64)
        if given.shape != (len(x),) or not (np.isfinite(given).all() and (given > 0.0).all()):
            raise InputError("weighted sample: expected a proposal with finite positive values at all its own points")
        weights = self.initial(x) / given
        if not weights.any():
            raise InputError("weighted sample: the initial density vanishes at all points; expected another proposal")
        weights /= weights.sum()
        return WeightedSample(self.image(x, t), weights, 1.0 / float(np.sum(weights**2)))

    def measure(self, t: float, tolerance: float = 1e-8) -> CellMeasure:
        """ρ_t as weighted nodes that resolve its integrals to a tolerance (:mod:`spherepde.adaptive`).

        On S² their coordinates have the dominant eigenspace E as pole or equator, so that cells stay few: 1e5 nodes at
        gap·t = 20 and tolerance 1e-6. Raises InputError for times outside the record and tolerances that are no
        number > 0, NumericalError where more than 600 000 nodes would be needed.
        """
        return next(self.measures([t], tolerance))

    def measures(
        self, times: Sequence[float], tolerance: float = 1e-8, *, most_nodes: int | None = None
    ) -> Iterator[CellMeasure]:
        """The measures at several increasing times, each carried on from the one before.

        ``most_nodes``: beyond so many cells no longer divide, and the tolerance is not kept; by default an error.
        """
        axis = pole_of(self.velocity.attention, self.until)
        cells, now = initial_cells(self.initial, self.dim, tolerance, axis=axis), self.start
        for t in map(self.velocity.check_time, times):
            if t < now:
                raise InputError(f"measures: expected increasing times from {self.start:g} on, got {t!r} after {now:g}")
            rtol = max(self.rtol, 1e-3 * tolerance)
            cells = carry_along(self.velocity, cells, now, t, tolerance, rtol=rtol, most_nodes=most_nodes)
            now = t
            yield cells

    # ---- regions

    def image(self, points: ArrayLike, t: float) -> Real:
        """Where initial points (n, d) are at time t."""
        return move_points(self.velocity, points, self.start, t, rtol=self.rtol)

    def curve_image(self, curve: ArrayLike, t: float, spacing: float = 0.05) -> tuple[Real, Real]:
        """A closed curve on S², the boundary of a region at the start, and its image at time t: points (n, 3) of both.

        ``curve`` (m, 3) holds its corners, joined by great circles, which are halved until neighbouring images are at
        most ``spacing`` apart (radians). Raises InputError on S¹, for fewer than 3 corners, neighbours that are
        opposite, and images so long that it takes more than 262144 points; NumericalError where the flow tears
        neighbours apart between which there is no floating-point number left.
        """
        corners = check_points("curve", curve, self.dim)
        if self.dim != 3 or len(corners) < 3:
            raise InputError(f"curve: expected at least 3 points on S^2, got {len(corners)} on S^{self.dim - 1}")
        if not (isinstance(spacing, NUMBER) and spacing > 0.0):
            raise InputError(f"curve: spacing = {spacing!r}; expected an angle > 0")
        if np.linalg.norm(corners + np.roll(corners, -1, axis=0), axis=1).min() < 1e-8:
            raise InputError("curve: two neighbours are opposite points; expected one great circle between them")
        images, longest = self.image(corners, t), 2.0 * np.sin(0.5 * min(spacing, np.pi))
        for _ in range(CURVE_ROUNDS):
            chords = np.linalg.norm(images - np.roll(images, -1, axis=0), axis=1)
            far = chords > longest
            if not far.any():
                return corners, images
            if len(corners) + far.sum() > CURVE_POINTS:
                raise InputError(f"curve: its image is too long for a spacing of {spacing:g}; expected a larger one")
            ends = corners[far], np.roll(corners, -1, axis=0)[far]
            middles = normalised(ends[0] + ends[1])
            if any((middles == end).all(axis=1).any() for end in ends):
                break
            places = np.flatnonzero(far) + 1
            corners = np.insert(corners, places, middles, axis=0)
            images = np.insert(images, places, self.image(middles, t), axis=0)
        raise NumericalError(
            f"curve: at t = {t:g} the images of neighbours that rounding hardly tells apart are "
            f"{2.0 * np.arcsin(min(0.5 * chords.max(), 1.0)):.2g} apart; expected an earlier time, or a larger spacing"
        )

    def attractors(self, t: float | None = None) -> Real:
        """±the dominant axis of ∫xxᵀdρ_t, as rows (2, d): where tokens gather, unless that is a circle or a sphere."""
        nodes = initial_cells(self.initial, self.dim, AXES_TOLERANCE)
        images = self.image(nodes.points, self.until if t is None else t)
        axis = np.linalg.eigh(images.T @ (nodes.weights[:, None] * images))[1][:, -1]
        axis *= np.sign(axis[np.argmax(np.abs(axis))])
        return np.stack([axis, -axis])

    def basins(self, points: ArrayLike, t: float | None = None, attractors: ArrayLike | None = None) -> Integers:
        """Which attractor each initial point (n, d) is nearest to at time t: rows of ``attractors`` (k, d), from 0.

        By default at the end of the record, and :meth:`attractors`.
        """
        t = self.until if t is None else t
        targets = self.attractors(t) if attractors is None else check_points("attractors", attractors, self.dim)
        nearest: Integers = np.argmax(self.image(points, t) @ targets.T, axis=1).astype(np.int64)
        return nearest

    def __repr__(self) -> str:
        trust = f", velocity trusted until t = {self.horizon:.4g}" if np.isfinite(self.horizon) else ""
        return f"Characteristics({self.initial!r}, {self.velocity!r}{trust})"
