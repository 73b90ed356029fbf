"""What a comparison says: a table, a sentence, a JSON object."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .band import LEVEL
from .comparison import INDEPENDENT, Comparison
from .gauges import JUDGED, NAMES
from .token_files import Trajectories

Array = NDArray[np.float64]

WORDS = {"wasserstein_1": "W₁", "wasserstein_2": "W₂", "moment_score": "the moment score"}
HEADINGS = ("W₁", "median", "limit", "W₂", "median", "limit", "|Δmean|", "|ΔM₂|", "score", "median", "limit")
FORMAT, FORMAT_VERSION = "spherepde agreement", 1
CERTAIN = 2.0
"""A statistic that exceeds its limit by this factor is no accident."""
INTERACTION = (
    "Tokens that attend to each other are moved by their sampling error, too; where the flow amplifies it, correct "
    "code leaves the band of independent samples. Samples that interact (--interacting) have that error as well."
)
BEYOND = "*"
"""Marks a statistic beyond its limit."""


class Agreement:
    """The outcome of a comparison: ``inside``, :attr:`sentence`, :meth:`table`, :meth:`to_json`, and the numbers.

    ``t`` (T,); ``values``, ``median``, ``lower`` and ``limit``: by name of the statistic, (T,) each: of the tokens, and
    of exact samples the median, the 1 % quantile and the upper edge of the 99 % band; ``p`` (T,) and ``outside`` (T,)
    at each time; ``overall_p`` and ``inside`` for all times together; ``remarks`` sentences about what was compared.
    If samples of two kinds were drawn all these are by the last, ``kind``; ``first`` is the Comparison with the others.
    """

    def __init__(
        self,
        tokens: Trajectories,
        comparisons: Sequence[Comparison],
        against: str,
        seed: int,
        *,
        interacts: bool,
        remarks: list[str],
    ) -> None:
        comparison = comparisons[-1]
        samples, band = comparison.samples, comparison.band
        self.tokens, self.against, self.seed = tokens, against, seed
        self.kind, self.interacts = comparison.kind, interacts
        self.first = comparisons[0] if len(comparisons) > 1 else None
        self._excess = (comparison.values[:, :JUDGED] - band.median) / band.spread
        self.t = tokens.t
        self.samples = len(samples)
        self.effective_counts = tokens.effective_counts()
        self.values = {name: comparison.values[:, k] for k, name in enumerate(NAMES)}
        self.median = {name: np.median(samples[..., k], axis=0) for k, name in enumerate(NAMES)}
        self.lower = {name: np.quantile(samples[..., k], LEVEL, axis=0) for k, name in enumerate(NAMES)}
        self.limit = {name: band.upper[:, k] for k, name in enumerate(NAMES[:JUDGED])}
        self.rounding = {name: comparison.rounding[:, k] for k, name in enumerate(NAMES[:2])}
        self.p = comparison.judgement.p
        self.outside = comparison.judgement.outside
        self.overall_p = comparison.judgement.overall_p
        self.inside = not comparison.judgement.overall_outside
        self.remarks = remarks

    @property
    def exit_status(self) -> int:
        """0 inside, 1 outside."""
        return 0 if self.inside else 1

    @cached_property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        times, number = len(self.t), int(self.outside.sum())
        which = f"{number} of {times} time{'s' if times > 1 else ''} outside the 99 % band"
        rank = f"p = {self.overall_p:.3g}" if self.overall_p > self.smallest_p else f"p ≤ {self.overall_p:.3g}"
        who = f"{self.tokens.count} tokens"
        if self.inside:
            chance = ", no more than chance" if number else ""
            if self.first is None:
                return f"inside: {who} are as close to {self.against} as exact samples are ({rank}); {which}{chance}"
            return (
                f"inside: {who} are outside the band of independent samples of {self.against}, inside that of samples "
                f"that interact as the model says ({rank}); {which} of the latter{chance}"
            )
        kinds = "" if self.first is None else ", independent ones and those that interact as the model says"
        row, column = np.unravel_index(int(self._excess.argmax()), self._excess.shape)
        worst, first = NAMES[int(column)], f", first at t = {self.t[self.outside][0]:g}" if number else ""
        ratio = self.values[worst][row] / self.limit[worst][row]
        return (
            f"outside: {who} are farther from {self.against} than exact samples are{kinds} ({rank}); {which}{first}, "
            f"farthest at t = {self.t[row]:g}, where {WORDS[worst]} is {ratio:.3g} times its limit"
        )

    @property
    def smallest_p(self) -> float:
        """The smallest p that so many samples can give."""
        return 1.0 / (self.samples + 1)

    @property
    def hint(self) -> str:
        """What is wrong if that is certain, and what to keep in mind if the tokens are outside; else empty."""
        if self.inside:
            return ""
        first = max(float(self.values[name][0] / self.limit[name][0]) for name in self.limit)
        if self.t[0] == 0.0 and first > CERTAIN:
            return (
                "The tokens are outside at t = 0 already: whatever else may be wrong, they are no sample of the run's "
                "initial density."
            )
        return INTERACTION if self.kind == INDEPENDENT and self.interacts else ""

    def table(self) -> str:
        """One line for each time: the statistics, median and limit of exact samples, the verdict or both of them."""
        verdicts = "verdict" if self.first is None else f"{self.first.kind:<11}  {self.kind}"
        head = f"{'t':>9}  " + " ".join(f"{word:>9}" for word in HEADINGS) + f"  {verdicts}"
        lines = [head, "-" * len(head)]
        for i, time in enumerate(self.t):
            first, second, score = ([self.values[n][i], self.median[n][i], self.limit[n][i]] for n in NAMES[:JUDGED])
            moments = [self.values["mean"][i], self.values["second_moment"][i]]
            beyond = {3 * k + 2 * (k == 2): self.values[n][i] > self.limit[n][i] for k, n in enumerate(self.limit)}
            numbers = enumerate((*first, *second, *moments, *score))
            cells = " ".join(f"{_short(number) + BEYOND * bool(beyond.get(k)):>9}" for k, number in numbers)
            before = "" if self.first is None else f"  {_where(self.first.judgement.outside[i]):<11}"
            lines.append(f"{time:>9.4g}  {cells}{before}  {_where(self.outside[i])}")
        return "\n".join(lines)

    def __str__(self) -> str:
        notes = [
            "W₁, W₂: geodesic, in radians; |Δmean|, |ΔM₂|: differences of first and second moments; "
            "score: these in units of their scatter",
            f"median, limit: of {self.samples} {self.kind} samples of the same size, seed {self.seed}; "
            f"99 % are below all three limits; {BEYOND} beyond its limit",
            *self.remarks,
        ]
        return "\n".join([self.table(), "", *notes, "", self.sentence, *([self.hint] if self.hint else [])])

    def __repr__(self) -> str:
        return f"Agreement({self.sentence})"

    def to_json(self) -> dict[str, Any]:
        """All numbers, as lists; see the class for their names."""
        tables = ("values", "median", "lower", "limit", "rounding")
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "tokens": self.tokens.source,
            "against": self.against,
            "dim": self.tokens.dim,
            "count": self.tokens.count,
            "effective_counts": self.effective_counts.tolist(),
            "samples": self.samples,
            "kind_of_samples": self.kind,
            "seed": self.seed,
            "t": self.t.tolist(),
            **{key: {name: array.tolist() for name, array in getattr(self, key).items()} for key in tables},
            "p": self.p.tolist(),
            "outside": self.outside.tolist(),
            "overall_p": self.overall_p,
            "inside": self.inside,
            "independent": None if self.first is None else self._of_first(self.first),
            "sentence": self.sentence,
            "remarks": [*self.remarks, *([self.hint] if self.hint else [])],
        }

    @staticmethod
    def _of_first(first: Comparison) -> dict[str, Any]:
        """What independent samples say, where others decide."""
        names, judgement = NAMES[:JUDGED], first.judgement
        return {
            "median": {name: first.band.median[:, k].tolist() for k, name in enumerate(names)},
            "limit": {name: first.band.upper[:, k].tolist() for k, name in enumerate(names)},
            "p": judgement.p.tolist(),
            "outside": judgement.outside.tolist(),
            "overall_p": judgement.overall_p,
            "inside": not judgement.overall_outside,
        }

    def write(self, folder: str | Path) -> Path:
        """Write ``<folder>/agreement.json``, replacing it. Raises InputError for a folder that cannot be written."""
        target = Path(folder) / "agreement.json"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(json.dumps(self.to_json(), indent=1) + "\n")
        except OSError as error:
            raise InputError(f"{target} cannot be written: {error.strerror or error}") from None
        return target


def _where(outside: bool) -> str:
    return "outside" if outside else "inside"


def _short(number: float) -> str:
    return f"{number:.2e}" if 0.0 < abs(number) < 1e-3 or abs(number) >= 1e4 else f"{number:.4f}"
