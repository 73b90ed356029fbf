"""Tokens of any code held against a run: the same statistics of them and of exact samples, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from ..characteristics import Characteristics
from ..errors import InputError
from .band import FEWEST, Band, Judgement
from .draws import CellDraws
from .gauges import JUDGED, NAMES, RESOLUTION, CircleGauge, Gauge, SphereGauge
from .interacting import interacting_tokens, tokens_interact
from .token_files import Trajectories

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Item = TypeVar("Item")

SAMPLES = 199
"""Exact samples by default: the second largest of them is the edge of the band."""
INDEPENDENT, INTERACTING = "independent", "interacting"
"""The kinds of exact samples."""
PILOT_PER_TOKEN, SMALLEST_PILOT, LARGEST_PILOT = 32, 32_768, 262_144
TOLERANCE = 1e-7
"""Error of integrals of ρ_t, and of positions: far below any sampling error."""
SAME_TIME = 1e-6
"""Times off the ends of the run by this fraction of it are rounding."""
OWN_STREAM = 0x5EED
"""Mixed into the seed, so that tokens drawn from the same seed by a user are not our samples."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Tokens and exact samples of one ``kind``, "independent" or "interacting", measured alike.

    ``values`` (T, 5) the statistics ``NAMES`` of the tokens, ``rounding`` (T, 2) by how much the true distances may
    differ from the first two; ``samples`` (R, T, 5) those of the exact samples.
    """

    kind: str
    values: Array
    rounding: Array
    samples: Array
    band: Band
    judgement: Judgement


class Expectation:
    """What a run expects at some times: gauges to measure tokens with, and exact samples of ``counts`` (T,) points.

    Samples that interact have a stream of their own: they are the same whether independent ones were drawn before.
    """

    def __init__(
        self, reference: Characteristics, times: Array, counts: Counts, generator: np.random.Generator, progress: bool
    ) -> None:
        self.reference, self.times, self.counts, self.generator = reference, times, counts, generator
        self.starts = generator.spawn(1)[0]
        self.draws: list[CellDraws] = []
        self.gauges: list[Gauge] = []
        measures = reference.measures(times.tolist(), TOLERANCE)
        for measure, count in _shown(zip(measures, counts.tolist(), strict=True), len(times), "reference", progress):
            self.draws.append(CellDraws(measure))
            if reference.dim == 2:
                self.gauges.append(CircleGauge(measure, self.draws[-1], count))
            else:
                pilot = int(np.clip(PILOT_PER_TOKEN * count, SMALLEST_PILOT, LARGEST_PILOT))
                self.gauges.append(SphereGauge(measure, self.draws[-1].draw(pilot, generator), count))

    def independent(self) -> Iterator[Array]:
        """Independent draws at each time."""
        for draws, count in zip(self.draws, self.counts.tolist(), strict=True):
            yield draws.draw(count, self.generator)

    def interacting(self) -> Iterator[Array]:
        """Independent draws at the start of the run that attend to each other."""
        first = next(self.reference.measures([self.reference.start], TOLERANCE))
        tokens = CellDraws(first).draw(int(self.counts.max()), self.starts)
        for x, count in zip(interacting_tokens(self.reference, tokens, self.times), self.counts, strict=True):
            yield x[:count]

    def statistics(self, number: int, interacting: bool = False, progress: bool = False) -> Array:
        """The statistics (number, T, 5) of so many samples."""
        out = np.empty((number, len(self.times), len(NAMES)))
        what = "samples that interact" if interacting else "exact samples"
        for row in _shown(range(number), number, what, progress):
            points = self.interacting() if interacting else self.independent()
            for i, (x, count) in enumerate(zip(points, self.counts.tolist(), strict=True)):
                out[row, i] = self.gauges[i].statistics(x, None, float(count))
        return out

    def of_tokens(self, tokens: Trajectories) -> tuple[Array, Array]:
        """The statistics (T, 5) of tokens at these times, and the ``rounding`` (T, 2) of their distances."""
        values, rounding = np.empty((len(self.times), len(NAMES))), np.empty((len(self.times), 2))
        for i, (gauge, count) in enumerate(zip(self.gauges, self.counts.tolist(), strict=True)):
            x, w = tokens.positions[i], None
            if tokens.weights is not None:
                present = tokens.weights[i] > 0.0
                x, w = x[present], tokens.weights[i][present]
            values[i], rounding[i] = gauge.statistics(x, w, float(count)), gauge.rounding(x, w)
        return values, rounding


def measured(
    tokens: Trajectories,
    reference: Characteristics,
    samples: int = SAMPLES,
    seed: int = 0,
    *,
    interacting: bool | None = None,
    progress: bool = False,
) -> list[Comparison]:
    """Tokens and ``samples`` exact samples measured at the tokens' times, and judged: the last of the list decides.

    ``interacting`` says which samples; by None independent ones, and others if tokens of this model interact and are
    outside. Raises InputError.
    """
    if not (isinstance(samples, int | np.integer) and samples >= FEWEST):
        raise InputError(f"samples = {samples!r}: expected a whole number >= {FEWEST}, for a band at 99 %")
    if not (isinstance(seed, int | np.integer) and seed >= 0):
        raise InputError(f"seed = {seed!r}: expected a whole number >= 0")
    times, counts = _times(tokens, reference), tokens.effective_counts()
    expected = Expectation(reference, times, counts, np.random.default_rng([seed, OWN_STREAM]), progress)
    values, rounding = expected.of_tokens(tokens)

    def judged(kind: str) -> Comparison:
        own = expected.statistics(samples, kind == INTERACTING, progress)
        band = Band(own[..., :JUDGED], RESOLUTION)
        return Comparison(kind, values, rounding, own, band, band.judge(values[:, :JUDGED]))

    if interacting is not None:
        return [judged(INTERACTING if interacting else INDEPENDENT)]
    first = judged(INDEPENDENT)
    if not first.judgement.overall_outside or not tokens_interact(reference):
        return [first]
    return [first, judged(INTERACTING)]


def _times(tokens: Trajectories, reference: Characteristics) -> Array:
    """The tokens' times inside the run. Raises InputError if they are not, or for another dimension."""
    if tokens.dim != reference.dim:
        raise InputError(
            f"{tokens.source}: the tokens have dimension {tokens.dim} and the run {reference.dim}; expected the same"
        )
    slack = SAME_TIME * max(abs(reference.until), abs(reference.start))
    outside = (tokens.t < reference.start - slack) | (tokens.t > reference.until + slack)
    if outside.any():
        raise InputError(
            f"{tokens.source}: t = {tokens.t[outside][0]:g} is outside the run; "
            f"expected times from {reference.start:g} to {reference.until:g}"
        )
    return np.clip(tokens.t, reference.start, reference.until)


def _shown(items: Iterable[Item], number: int, what: str, progress: bool) -> Iterable[Item]:
    console = Console(stderr=True)
    return track(items, what, total=number, console=console, transient=True, disable=not progress)
