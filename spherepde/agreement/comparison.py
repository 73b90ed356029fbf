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
from .band import FEWEST, LEVEL, Band, Judgement
from .draws import CellDraws
from .gauges import NAMES, RESOLUTION, CircleGauge, Gauge, SphereGauge
from .interacting import interacting_tokens, tokens_interact
from .pairing import PAIR_NAMES, Paired, paired
from .token_files import Trajectories

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Counts = NDArray[np.int64]
Item = TypeVar("Item")

SAMPLES = 199
"""Exact samples by default: the second largest of them is the edge of the band."""
INDEPENDENT, INTERACTING = "independent", "interacting"
"""The kinds of exact samples."""
PILOT_PER_TOKEN, SMALLEST_PILOT, LARGEST_PILOT = 32, 32_768, 262_144
CIRCLE_TOLERANCE = 1e-7
"""Error of integrals of ρ_t on S¹, far below any sampling error …"""
SPHERE_TOLERANCE = 1e-2
"""… and on S², where nodes are dear, in units of 1/√N …"""
MOST_NODES = 300_000
"""… as long as they are no more than this."""
SAME_TIME = 1e-6
"""Times off the ends of the run by this fraction of it are rounding."""
OWN_STREAM = 0x5EED
"""Mixed into the seed, so that tokens drawn from the same seed by a user are not our samples."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Exact samples of one ``kind``, "independent" or "interacting", their statistics (R, T, 5) and what they say.

    ``powerless`` (T,): a sample of the initial density would be inside at this time, too.
    """

    kind: str
    samples: Array
    band: Band
    judgement: Judgement
    powerless: Mask


@dataclass(frozen=True, eq=False)
class Outcome:
    """All that was found of tokens, ``values`` (T, 5) being their statistics ``NAMES``.

    ``distances`` (T, 2) are the true W₁ and W₂, off by ``rounding`` at most. At each time the pair decides where it
    does, and elsewhere the last of ``comparisons``; ``overall_p`` is the rank at all those other times together.
    """

    values: Array
    distances: Array
    rounding: Array
    comparisons: list[Comparison]
    pair: Paired | None
    outside: Mask
    powerless: Mask
    overall_p: float
    inside: bool
    exhausted: Mask
    """Where the nodes of ρ_t were as many as they may be (T,)."""


class Expectation:
    """What a run expects at some times: gauges to measure tokens with, and exact samples of ``counts`` (T,) points.

    Samples that interact have a stream of their own: they are the same whether independent ones were drawn before.
    """

    def __init__(
        self, reference: Characteristics, times: Array, counts: Counts, generator: np.random.Generator, progress: bool
    ) -> None:
        self.reference, self.times, self.counts, self.generator = reference, times, counts, generator
        self.starts, self.others = generator.spawn(2)
        self.draws: list[CellDraws] = []
        self.gauges: list[Gauge] = []
        self.tolerance = CIRCLE_TOLERANCE if reference.dim == 2 else SPHERE_TOLERANCE / float(np.sqrt(counts.max()))
        self.exhausted = np.zeros(len(times), bool)
        measures = reference.measures([reference.start, *times.tolist()], self.tolerance, most_nodes=MOST_NODES)
        self.first = CellDraws(next(measures))
        paired_up = enumerate(zip(measures, counts.tolist(), strict=True))
        for i, (measure, count) in _shown(paired_up, len(times), "reference", progress):
            self.draws.append(CellDraws(measure))
            self.exhausted[i] = measure.weights.size >= MOST_NODES
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
        tokens = self.first.draw(int(self.counts.max()), self.starts)
        for x, count in zip(interacting_tokens(self.reference, tokens, self.times), self.counts, strict=True):
            yield x[:count]

    def statistics(self, number: int, interacting: bool = False, progress: bool = False) -> Array:
        """The statistics (number, T, 5) of so many samples."""
        out = np.empty((number, len(self.times), len(RESOLUTION)))
        what = "samples that interact" if interacting else "exact samples"
        for row in _shown(range(number), number, what, progress):
            out[row] = self._measured(self.interacting() if interacting else self.independent())
        return out

    def of_initial(self) -> Array:
        """The statistics (T, 5) of a sample of the initial density that stays where it is."""
        tokens = self.first.draw(int(self.counts.max()), self.others)
        return self._measured(tokens[:count] for count in self.counts.tolist())

    def _measured(self, samples: Iterable[Array]) -> Array:
        rows = zip(self.gauges, samples, self.counts.tolist(), strict=True)
        return np.array([gauge.statistics(x, None, float(count)) for gauge, x, count in rows])

    def of_tokens(self, tokens: Trajectories) -> Array:
        """The statistics (T, 5) of tokens at these times."""
        rows = zip(self.gauges, _present(tokens), self.counts.tolist(), strict=True)
        return np.array([gauge.statistics(x, w, float(count)) for gauge, (x, w), count in rows])

    def true_distances(self, tokens: Trajectories, progress: bool = False) -> tuple[Array, Array]:
        """W₁ and W₂ (T, 2) of the tokens, not of cells, and by how much they may be off (T, 2)."""
        pairs = zip(self.gauges, _present(tokens), strict=True)
        rows = [gauge.true_distances(x, w) for gauge, (x, w) in _shown(pairs, len(self.times), "distances", progress)]
        return np.array([found for found, _ in rows]), np.array([off for _, off in rows])


def measured(
    tokens: Trajectories,
    reference: Characteristics,
    samples: int = SAMPLES,
    seed: int = 0,
    *,
    interacting: bool | None = None,
    progress: bool = False,
) -> Outcome:
    """Tokens and ``samples`` exact samples measured at the tokens' times, and judged.

    ``interacting`` says which samples, and that these alone decide. By None the tokens are held to their own first
    ones, moved accurately; where that says nothing to independent samples, and to others if tokens of this model
    interact and are outside. Raises InputError.
    """
    if not (isinstance(samples, int | np.integer) and samples >= FEWEST):
        raise InputError(f"samples = {samples!r}: expected a whole number >= {FEWEST}, for a band at 99 %")
    if not (isinstance(seed, int | np.integer) and seed >= 0):
        raise InputError(f"seed = {seed!r}: expected a whole number >= 0")
    times, counts = _times(tokens, reference), tokens.effective_counts()
    generator = np.random.default_rng([seed, OWN_STREAM])
    expected = Expectation(reference, times, counts, generator, progress)
    values, unmoved = expected.of_tokens(tokens), expected.of_initial()

    def judged(kind: str) -> Comparison:
        own = expected.statistics(samples, kind == INTERACTING, progress)
        band = Band(own, RESOLUTION)
        powerless = np.all(unmoved <= band.upper, axis=1) & (times > reference.start)
        return Comparison(kind, own, band, band.judge(values), powerless)

    comparisons = [judged(INTERACTING if interacting else INDEPENDENT)]
    pair, rest = None, np.ones(len(times), bool)
    if interacting is None:
        columns = [NAMES[reference.dim].index(name) for name in PAIR_NAMES[1:]]
        sampling = np.quantile(comparisons[0].samples, 1.0 - LEVEL, axis=0)[:, [0, *columns]]
        pair = paired(tokens, reference, times, sampling, expected.others)
        rest = rest if pair is None else ~pair.decides
        of_rest = _of_times(comparisons[0], rest, values)
        if of_rest.overall_outside and tokens_interact(reference) and times[rest][-1] > reference.start:
            comparisons.append(judged(INTERACTING))
    last = comparisons[-1]
    of_rest = _of_times(last, rest, values)
    outside, powerless = np.where(rest, last.judgement.outside, False), np.where(rest, last.powerless, False)
    beyond = False
    if pair is not None:
        outside, powerless = np.where(rest, outside, pair.outside), np.where(rest, powerless, pair.powerless)
        beyond = bool(pair.outside[~rest].any())
    inside = not (beyond or of_rest.overall_outside)
    found = expected.true_distances(tokens, progress)
    powerless = powerless & ~outside
    return Outcome(values, *found, comparisons, pair, outside, powerless, of_rest.overall_p, inside, expected.exhausted)


def _of_times(comparison: Comparison, rest: Mask, values: Array) -> Judgement:
    """The judgement at some of the times alone."""
    return Band(comparison.samples[:, rest], RESOLUTION).judge(values[rest])


def _present(tokens: Trajectories) -> Iterator[tuple[Array, Array | None]]:
    """The tokens of positive weight at each time, and their weights, if any."""
    for i, x in enumerate(tokens.positions):
        if tokens.weights is None:
            yield x, None
        else:
            present = tokens.weights[i] > 0.0
            yield x[present], tokens.weights[i][present]


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
