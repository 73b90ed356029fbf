"""A claim: what theory predicts, what was measured, how far the measurement can be trusted, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, NamedTuple

RELATIONS = {"equal": "", "at most": "<= ", "at least": ">= "}


class Measured(NamedTuple):
    """A number, its error bar (half width, the same units), and what the bar is made of, in a phrase."""

    value: float
    bar: float
    origin: str

    def plus(self, origin: str, bar: float) -> Measured:
        """The same number with a further error: ``measured.plus("lmax 127 against 191", 2e-9)``."""
        return Measured(self.value, self.bar + abs(bar), f"{self.origin}; {origin}")

    def times(self, factor: float) -> Measured:
        """In other units."""
        return Measured(factor * self.value, abs(factor) * self.bar, self.origin)


@dataclass(frozen=True)
class Claim:
    """One line of a script.

    ``predicted`` by theory, or independently of what is measured; ``relation`` is "equal", "at most" or "at least";
    ``source`` names theory ("C7", "C15; arXiv 2312.10794"); ``excluded`` is the value of a rival law, if there is one;
    ``known`` is the sentence of the README on why measurement and theory differ here, if they do.
    """

    what: str
    predicted: float
    measured: Measured
    relation: str = "equal"
    source: str = ""
    excluded: float | None = None
    known: str = ""

    @property
    def holds(self) -> bool:
        """Whether the measurement agrees with the prediction within its own error bar; NaN does not."""
        value, bar, _ = self.measured
        if not (isfinite(value) and isfinite(bar) and bar >= 0.0):
            return False
        excess = value - self.predicted
        agrees = {"equal": abs(excess) <= bar, "at most": excess <= bar, "at least": -excess <= bar}[self.relation]
        return agrees and (self.excluded is None or abs(value - self.excluded) > 2.0 * bar)

    @property
    def verdict(self) -> str:
        """PASS, MISS, or DIFFERS where the README says so; a difference that is gone is a MISS too."""
        if self.known:
            finite = isfinite(self.measured.value) and isfinite(self.measured.bar)
            return "DIFFERS" if finite and not self.holds else "MISS"
        return "PASS" if self.holds else "MISS"

    def __str__(self) -> str:
        value, bar, origin = self.measured
        rival = "" if self.excluded is None else f", not {self.excluded:.6g}"
        source = f" [{self.source}]" if self.source else ""
        predicted = f"{RELATIONS[self.relation]}{self.predicted:.7g}"
        return (
            f"PREDICTED {predicted:<13s} MEASURED {value:<13.7g} ERROR BAR {bar:<8.1e} {self.verdict:<7s} "
            f"{self.what}{rival}{source} (bar: {origin})"
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON takes it; what is not finite becomes a string."""
        return {key: _plain(value) for key, value in asdict(self).items()} | {"verdict": self.verdict}


def claim_from_json(row: Mapping[str, Any]) -> Claim:
    """The claim of :meth:`Claim.to_json`."""
    rest = {key: row[key] for key in ("what", "relation", "source", "known")}
    excluded = None if row["excluded"] is None else float(row["excluded"])
    value, bar, origin = row["measured"]
    return Claim(
        predicted=float(row["predicted"]),
        measured=Measured(float(value), float(bar), origin),
        excluded=excluded,
        **rest,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    if isinstance(value, int | float):
        return float(value) if isfinite(value) else str(value)
    return value
