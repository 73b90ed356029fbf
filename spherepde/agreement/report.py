"""What a comparison says: tables, a sentence, a JSON object."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .band import LEVEL
from .comparison import INDEPENDENT, Comparison, Outcome
from .gauges import DISTANCES, NAMES
from .pairing import FRACTION, OWN, PAIR_NAMES, SIMPLE, simple_step
from .tables import BEYOND, band_table, distance_table, pair_table
from .token_files import Trajectories

Array = NDArray[np.float64]

WORDS = {"wasserstein_1": "W₁", "wasserstein_2": "W₂", "moment_score": "the moment score", "mean": "|Δmean|"}
WORDS |= {"second_moment": "|ΔM₂|", "wasserstein_1_in_cells": "W₁ in cells", "wasserstein_2_in_cells": "W₂ in cells"}
FORMAT, FORMAT_VERSION = "spherepde agreement", 2
CERTAIN = 2.0
"""A statistic that exceeds its limit by this factor is no accident."""
INTERACTION = (
    "Tokens that attend to each other are moved by their sampling error, too; where the flow amplifies it, correct "
    "code leaves the band of independent samples. Samples that interact (--interacting) have that error as well."
)


class Agreement:
    """The outcome of a comparison: ``inside``, :attr:`sentence`, :meth:`table`, :meth:`to_json`, and the numbers.

    ``t`` (T,); ``values``, ``median``, ``lower`` and ``limit``: by name of the statistic, (T,) each: of the tokens, and
    of exact samples the median, the 1 % quantile and the upper edge of the 99 % band; ``p`` (T,) the rank at each time;
    these by the last of ``comparisons``, whose samples are of a ``kind``. ``distances`` and ``rounding``: the true W₁
    and W₂ and how far off they may be, where those in ``values`` are between cells (on S²).
    ``pair``: the tokens against their own first ones, moved accurately, or None. ``decided`` says which of them made
    ``outside`` (T,); ``powerless`` (T,) where tokens that never moved would be inside, too. ``inside`` is for all times
    together, ``overall_p`` the rank at those that no pair decides. ``remarks`` are sentences about what was compared.
    """

    def __init__(
        self,
        tokens: Trajectories,
        outcome: Outcome,
        against: str,
        seed: int,
        *,
        interacts: bool,
        remarks: list[str],
    ) -> None:
        self.comparisons = outcome.comparisons
        last = self.comparisons[-1]
        samples, band, names = last.samples, last.band, NAMES[tokens.dim]
        self.tokens, self.against, self.seed = tokens, against, int(seed)
        self.kind, self.interacts = last.kind, interacts
        self.first = self.comparisons[0] if len(self.comparisons) > 1 else None
        self.pair = outcome.pair
        self._excess = (outcome.values - band.median) / band.spread
        self.t = tokens.t
        self.samples = len(samples)
        self.effective_counts = tokens.effective_counts()
        self.values = {name: outcome.values[:, k] for k, name in enumerate(names)}
        self.median = {name: np.median(samples[..., k], axis=0) for k, name in enumerate(names)}
        self.lower = {name: np.quantile(samples[..., k], LEVEL, axis=0) for k, name in enumerate(names)}
        self.limit = {name: band.upper[:, k] for k, name in enumerate(names)}
        self.distances = {name: outcome.distances[:, k] for k, name in enumerate(DISTANCES)}
        self.rounding = {name: outcome.rounding[:, k] for k, name in enumerate(DISTANCES)}
        self.p = last.judgement.p
        self.outside, self.powerless = outcome.outside, outcome.powerless
        by_pair = np.zeros(len(self.t), bool) if self.pair is None else self.pair.decides
        self.decided = ["paired" if paired else self.kind for paired in by_pair]
        self._by_pair = by_pair
        self.overall_p, self.inside = outcome.overall_p, outcome.inside
        self.remarks = remarks

    @property
    def exit_status(self) -> int:
        """0 inside, 1 outside."""
        return 0 if self.inside else 1

    @property
    def who(self) -> str:
        """How many tokens."""
        return f"{self.tokens.count} token{'s' if self.tokens.count > 1 else ''}"

    @cached_property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        times, number = len(self.t), int(self.outside.sum())
        which = f"{number} of {times} time{'s' if times > 1 else ''} outside"
        if self.inside:
            reasons = [reason for reason in (self._pair_inside(), self._band_inside()) if reason]
            return f"inside: {self.who} {', and '.join(reasons)}; {which}{', no more than chance' if number else ''}"
        first = f", first at t = {self.t[self.outside][0]:g}" if number else ""
        beyond = self.outside & self._by_pair
        return f"outside: {self._pair_outside() if beyond.any() else self._band_outside()}; {which}{first}"

    def _rank(self) -> str:
        return f"p = {self.overall_p:.3g}" if self.overall_p > self.smallest_p else f"p ≤ {self.overall_p:.3g}"

    def _mover(self) -> str:
        return "an accurate integrator" if self.pair is None or self.pair.by == OWN else "the run's velocity"

    def _farthest(self) -> tuple[int, str, float]:
        """Where the pair is farthest apart for its limit: time, statistic, and times the limit."""
        assert self.pair is not None
        ratio = np.where(self._by_pair[:, None], self.pair.values / np.maximum(self.pair.limit, 1e-300), -1.0)
        row, column = np.unravel_index(int(ratio.argmax()), ratio.shape)
        return int(row), PAIR_NAMES[int(column)], float(ratio[row, column])

    def _pair_inside(self) -> str:
        if self.pair is None or not self._by_pair.any():
            return ""
        row, name, ratio = self._farthest()
        return (
            f"move like {self.against}: {self._mover()} takes your own first tokens to within "
            f"{self.pair.values[self._by_pair, 0].max():.2g} rad of them, at most {ratio:.2g} of what is allowed "
            f"({WORDS[name]} at t = {self.t[row]:g})"
        )

    def _pair_outside(self) -> str:
        assert self.pair is not None
        row, name, ratio = self._farthest()
        value = (
            "" if name == PAIR_NAMES[0] else f" and {WORDS[name]} = {self.pair.values[row, PAIR_NAMES.index(name)]:.2g}"
        )
        return (
            f"moved from your own first tokens by {self._mover()} after the model of {self.against}, {self.who} come "
            f"{self.pair.values[row, 0]:.2g} rad{value} away from yours at t = {self.t[row]:g}: "
            f"{ratio:.3g} times what is allowed"
        )

    def _band_inside(self) -> str:
        if self._by_pair.all():
            return ""
        rank, where = self._rank(), ""
        if self._by_pair.any():
            rest = self.t[~self._by_pair]
            where = f" at t = {', '.join(f'{t:g}' for t in rest)}" if len(rest) < 4 else f" at {len(rest)} other times"
        if self.first is None:
            return f"are as close to {self.against} as exact samples are{where} ({rank})"
        return (
            f"are outside the band of independent samples of {self.against}{where}, inside that of samples that "
            f"interact as the model says ({rank})"
        )

    def _band_outside(self) -> str:
        kinds = "" if self.first is None else ", independent ones and those that interact as the model says"
        excess = np.where(self._by_pair[:, None], -np.inf, self._excess)
        row, column = np.unravel_index(int(excess.argmax()), excess.shape)
        worst = NAMES[self.tokens.dim][int(column)]
        ratio = self.values[worst][row] / self.limit[worst][row]
        return (
            f"{self.who} are farther from {self.against} than exact samples are{kinds} ({self._rank()}), farthest at "
            f"t = {self.t[row]:g}, where {WORDS[worst]} is {ratio:.3g} times its limit"
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
        return INTERACTION if self.pair is None and self.kind == INDEPENDENT and self.interacts else ""

    def table(self) -> str:
        """One line for each time: the statistics, median and limit of exact samples, and all verdicts.

        The last that is not "no pair" or "no rows" (which are no trajectories) decides.
        """
        return band_table(self)

    def _notes(self) -> list[str]:
        notes = [
            "W₁, W₂: geodesic, in radians; |Δmean|, |ΔM₂|: differences of first and second moments; score: these in "
            "units of their scatter"
        ]
        if self.tokens.dim == 3:
            notes.append(
                "W₁ cells, W₂ cells: between the masses in cells that hold equal parts of the run, not of tokens"
            )
        notes.append(
            f"median, limit: of {self.samples} {self.kind} samples of the same size, seed {self.seed}; "
            f"99 % are below all limits; {BEYOND} beyond its limit"
        )
        if self.powerless.any():
            when = ", ".join(f"{t:g}" for t in self.t[self.powerless])
            notes.append(f"no power at t = {when}: tokens that never moved would be inside, too")
        return [*notes, *self.remarks]

    def __str__(self) -> str:
        parts = [self.table(), ""]
        if distances := distance_table(self):
            parts += ["Distances of the tokens themselves to the run, and how far off these may be:", distances, ""]
        if self.pair is not None:
            parts += [
                f"From your own first tokens, moved by {self.pair.by}: allowed is {self.allowed}.",
                pair_table(self),
                "",
            ]
        return "\n".join([*parts, *self._notes(), "", self.sentence, *([self.hint] if self.hint else [])])

    @property
    def allowed(self) -> str:
        """How far apart a pair may be, in words."""
        return (
            f"{FRACTION:g} of the 99 % limit of an exact sample, {SIMPLE:g} times what Euler steps of "
            f"{simple_step(self.t):.3g} change, or one token on the other side, whichever is most"
        )

    def __repr__(self) -> str:
        return f"Agreement({self.sentence})"

    def to_json(self) -> dict[str, Any]:
        """All numbers, as lists; see the class for their names. Null stands for what was not measured."""
        tables = ("values", "median", "lower", "limit", "distances", "rounding")
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
            **{key: {name: _listed(array) for name, array in getattr(self, key).items()} for key in tables},
            "p": self.p.tolist(),
            "decided": self.decided,
            "outside": self.outside.tolist(),
            "powerless": self.powerless.tolist(),
            "overall_p": self.overall_p,
            "inside": self.inside,
            "independent": None if self.first is None else self._of_first(self.first),
            "paired": self._of_pair(),
            "sentence": self.sentence,
            "remarks": [*self.remarks, *([self.hint] if self.hint else [])],
        }

    def _of_pair(self) -> dict[str, Any] | None:
        """The tokens against their own first ones; null at the first time."""
        if self.pair is None:
            return None
        both = {"values": self.pair.values, "limit": self.pair.limit}
        listed = {
            key: {name: [None, *array[1:, k].tolist()] for k, name in enumerate(PAIR_NAMES)}
            for key, array in both.items()
        }
        return {"moved_by": self.pair.by, "allowed": self.allowed, **listed, "decides": self.pair.decides.tolist()}

    def _of_first(self, first: Comparison) -> dict[str, Any]:
        """What independent samples say, where others decide."""
        names, judgement = NAMES[self.tokens.dim], first.judgement
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
            target.write_text(json.dumps(self.to_json(), indent=1, allow_nan=False) + "\n")
        except OSError as error:
            raise InputError(f"{target} cannot be written: {error.strerror or error}") from None
        return target


def _listed(array: Array) -> list[float | None]:
    return [float(x) if np.isfinite(x) else None for x in array]
