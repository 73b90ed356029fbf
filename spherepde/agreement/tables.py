"""What a comparison prints for each time: statistics beside those of exact samples, the pair, the verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .gauges import DISTANCES
from .pairing import PAIR_NAMES

if TYPE_CHECKING:
    from .report import Agreement

Array = NDArray[np.float64]
Cell = tuple[float, bool]
"""A number, and whether it exceeds its limit."""
Row = tuple[list[Cell], list[str]]
"""Numbers and verdicts."""

BEYOND = "*"
"""Marks a statistic beyond its limit."""
SHORT = {"wasserstein_1": "W₁", "wasserstein_2": "W₂", "moment_score": "score", "mean": "|Δmean|"}
SHORT |= {"second_moment": "|ΔM₂|", "wasserstein_1_in_cells": "W₁ cells", "wasserstein_2_in_cells": "W₂ cells"}
ABSOLUTE = ("mean", "second_moment")
"""In the score already: their medians are left to the JSON."""
NO_POWER = "no power"
WIDTH, WORD_WIDTH = 8, 11


def band_table(agreement: Agreement) -> str:
    """The statistics with median and limit of exact samples, and what each kind of comparison says."""
    headings = [
        word for name in agreement.limit for word in (SHORT[name], *(["median"] * (name not in ABSOLUTE)), "limit")
    ]
    kinds = [comparison.kind for comparison in agreement.comparisons] + ["paired"] * (agreement.pair is not None)
    rows: list[Row] = []
    for i in range(len(agreement.t)):
        numbers: list[Cell] = []
        for name, limit in agreement.limit.items():
            value = float(agreement.values[name][i])
            numbers.append((value, bool(value > limit[i])))
            if name not in ABSOLUTE:
                numbers.append((float(agreement.median[name][i]), False))
            numbers.append((float(limit[i]), False))
        rows.append((numbers, _verdicts(agreement, i)))
    return _lines(agreement.t, headings, rows, kinds)


def pair_table(agreement: Agreement) -> str:
    """How far the tokens are from their own first ones, moved accurately, and how far they may be."""
    if agreement.pair is None:
        return ""
    headings = [word for name in PAIR_NAMES for word in (SHORT[name], "limit")]
    values, limit = agreement.pair.values[1:], agreement.pair.limit[1:]
    rows: list[Row] = []
    for value, most in zip(values.tolist(), limit.tolist(), strict=True):
        numbers = [cell for v, m in zip(value, most, strict=True) for cell in ((v, v > m), (m, False))]
        rows.append((numbers, []))
    return _lines(agreement.t[1:], headings, rows, [])


def distance_table(agreement: Agreement) -> str:
    """True distances with what they may be off by, where those in the other table are between cells."""
    if agreement.tokens.dim == 2 or not np.isfinite(agreement.distances[DISTANCES[0]]).any():
        return ""
    headings = [word for name in DISTANCES for word in (SHORT[name], "±")]
    both = [(agreement.distances[name], agreement.rounding[name]) for name in DISTANCES]
    columns = [column.tolist() for pair in both for column in pair]
    rows: list[Row] = [([(number, False) for number in numbers], []) for numbers in zip(*columns, strict=True)]
    return _lines(agreement.t, headings, rows, [])


def _verdicts(agreement: Agreement, i: int) -> list[str]:
    """What each comparison says at a time; the one that decides says whether it has power."""
    words = [_where(comparison.judgement.outside[i]) for comparison in agreement.comparisons]
    pair = agreement.pair
    if pair is not None:
        words.append("no pair" if i == 0 else _where(pair.outside[i]) if pair.decides[i] else "no rows")
    decisive = len(words) - 1 if pair is None or pair.decides[i] else len(words) - 2
    if agreement.powerless[i]:
        words[decisive] = NO_POWER
    return words


def _where(outside: bool) -> str:
    return "outside" if outside else "inside"


def _lines(times: Array, headings: Sequence[str], rows: Iterable[Row], kinds: list[str]) -> str:
    tail = "  ".join(f"{kind:<{WORD_WIDTH}}" for kind in kinds)
    head = f"{'t':>9}  " + " ".join(f"{word:>{WIDTH}}" for word in headings) + (f"  {tail}" if tail else "")
    lines = [head.rstrip(), "-" * len(head.rstrip())]
    for time, (numbers, words) in zip(times, rows, strict=True):
        cells = " ".join(f"{_short(number) + BEYOND * beyond:>{WIDTH}}" for number, beyond in numbers)
        said = "  ".join(f"{word:<{WORD_WIDTH}}" for word in words)
        lines.append(f"{time:>9.4g}  {cells}" + (f"  {said}" if said else ""))
    return "\n".join(line.rstrip() for line in lines)


def _short(number: float) -> str:
    return f"{number:.1e}" if 0.0 < abs(number) < 1e-3 or abs(number) >= 1e4 else f"{number:.4f}"
