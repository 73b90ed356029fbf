"""The band that an exact sample stays in, from the statistics of samples that were treated like the tokens."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEVEL = 0.01
"""An exact sample is outside at a given time, and as a whole, with this probability."""
FEWEST = round(1.0 / LEVEL) - 1
"""Samples below which no rank is as rare as that."""
SPREAD = 0.9
"""Distances are compared in units of the way from the median of the exact samples to this quantile."""


@dataclass(frozen=True)
class Judgement:
    """``p`` (T,) the rank of the tokens among the samples at each time, ``outside`` (T,), and both for the whole."""

    p: Array
    outside: Mask
    overall_p: float
    overall_outside: bool


class Band:
    r"""A one-sided band for K statistics at T times, from those of R exact samples, ``samples`` (R, T, K).

    Statistics in units of their upper spread, :math:`u_k=(s_k-q_{0.5})/(q_{0.9}-q_{0.5})`, become one number for each
    time, :math:`\max_ku_k`, and one for the whole, the maximum over times. The tokens are outside where at most 1 % of
    R + 1 such numbers, theirs included, are as large: by exchangeability an exact sample is so in 1 of 100 cases, up to
    what the spread depends on the sample (of order 1/R). If samples are independent at different times, trajectories,
    whose times resemble each other, are judged with caution as a whole. ``resolution`` (K,): a smaller spread is taken
    for that. Raises InputError for R < 99.
    """

    def __init__(self, samples: Array, resolution: Array) -> None:
        if len(samples) < FEWEST:
            raise InputError(f"samples = {len(samples)}: expected at least {FEWEST}, for a band at 99 %")
        self.samples = samples
        self.median = np.median(samples, axis=0)
        self.spread = np.maximum(np.quantile(samples, SPREAD, axis=0) - self.median, resolution)
        self._allowed = int(LEVEL * (len(samples) + 1) + 1e-9) - 1

    def excess(self, values: Array) -> Array:
        """The largest of the K statistics (..., T, K) in units of their spread, (..., T)."""
        return np.asarray(np.max((values - self.median) / self.spread, axis=-1))

    @cached_property
    def _of_samples(self) -> Array:
        return self.excess(self.samples)

    @cached_property
    def _of_wholes(self) -> Array:
        return np.asarray(np.max(self._of_samples, axis=1))

    @cached_property
    def upper(self) -> Array:
        """The edge of the band (T, K): inside is who is below in every statistic."""
        edge = np.sort(self._of_samples, axis=0)[len(self.samples) - 1 - self._allowed]
        return np.asarray(self.median + edge[:, None] * self.spread)

    def judge(self, values: Array) -> Judgement:
        """Where statistics (T, K) of tokens are."""
        excess, number = self.excess(values), len(self.samples) + 1
        rank = 1 + np.sum(self._of_samples >= excess, axis=0)
        whole = 1 + int(np.sum(self._of_wholes >= excess.max()))
        allowed = self._allowed + 1
        return Judgement(rank / number, rank <= allowed, whole / number, whole <= allowed)
