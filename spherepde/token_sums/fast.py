r"""Sums over sources by harmonic expansion, made safe where they would lose their digits.

The expansion is good to a known fraction, the floor, of the largest scaled partition function that the same κ = β|Bᵀx|
meets anywhere on the sphere. A target whose own is so much smaller that this exceeds the tolerance lies in a depleted
zone: it is summed directly, by :mod:`~spherepde.token_sums.cells`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from threading import get_ident

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..heads import Head
from ..kernel_sums import TRANSFORM_FLOOR, kernel_sums, takes_grid
from ..kernels import funk_hecke, kernel_bandwidth
from ..spaces import Space, space_for
from .cells import Cells, morton_order
from .coefficients import angles, token_coefficients
from .isotropic import isotropic_sums

Real = NDArray[np.float64]

LIGHT_BLOCK, HEAVY_BLOCK = 1 << 20, 1 << 17
"""Targets planned at once. A plan keeps about 100 bytes for a target if B is orthogonal or a grid resolves it, up to
1.5 kB otherwise."""

MARGIN = 1e-9
"""Coefficients go this much beyond β‖B‖, so that rounding never makes a plan ask for a degree more."""


@lru_cache(maxsize=4)
def _space(dim: int, degree: int, thread: int) -> Space:
    """A space for one thread: its transforms work in buffers."""
    return space_for(dim, degree)


@njit(cache=True, error_model="numpy", nogil=True)
def _normalise(log_scale, partition, first, least, log_partition, mean, depleted):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Log Z and m = N/Z with |m| ≤ 1, and which targets have too little Z for that."""
    for i in range(partition.size):
        depleted[i] = not (partition[i] > least[i])
        if depleted[i]:
            continue
        log_partition[i] = log_scale[i] + np.log(partition[i])
        square = 0.0
        for k in range(mean.shape[1]):
            square += first[k, i] * first[k, i]
        size = max(partition[i], np.sqrt(square))
        for k in range(mean.shape[1]):
            mean[i, k] = first[k, i] / size


def _blocks(count: int, size: int) -> Iterator[slice]:
    return (slice(first, min(first + size, count)) for first in range(0, count, size))


class _Evaluator:
    """Z and N of one measure at any targets: by two series if B = sO, otherwise by planned kernel sums."""

    def __init__(self, head: Head, sources: Real, weights: Real, threads: int) -> None:
        self.head, self.threads = head, threads
        strength = head.strength * (1.0 + MARGIN)
        self.degree = max(2, kernel_bandwidth(head.dim, strength))
        self.space = _space(head.dim, self.degree, get_ident())
        self.mass = float(weights.sum())
        self._orthogonal = head.scaled_orthogonal()
        self._location = angles(sources)
        self._sources = sources
        self.isotropic = self._orthogonal is not None
        light = self.isotropic or takes_grid(head, len(sources))
        self.block = LIGHT_BLOCK if light else HEAVY_BLOCK
        self.c = token_coefficients(self._location, weights, self.degree, threads)

    def __call__(self, targets: Real) -> tuple[Real, Real, Real, float]:
        """Scale in logarithms (n,), Z (n,) and N (d, n) divided by it, and the floor."""
        n = len(targets)
        if self._orthogonal:
            scale, rotation = self._orthogonal
            same = targets is self._sources and np.array_equal(rotation, np.eye(self.head.dim))
            location = self._location if same else angles(targets @ rotation)
            kappa = self.head.beta * scale
            sums = isotropic_sums(kappa, self.c, self.degree, location, self.threads)
            return np.full(n, kappa), *sums, TRANSFORM_FLOOR
        planned = kernel_sums(self.head, targets, threads=self.threads)
        partition, first = np.empty(n), np.empty((self.head.dim, n))
        planned.evaluate(self.c[self.space.degree <= planned.source_degree], partition, first)
        return planned.log_scale, partition, first, planned.floor


def _suprema(evaluate: _Evaluator, kappa: Real) -> Real:
    r"""For each target a bound on :math:`\max_\omega e^{-\kappa}F(\kappa\omega)`, F = ∫e^{⟨w,y⟩}dμ; shape (n,).

    That maximum decreases in κ, so that its value at the next of the levels κ_max, κ_max/2, … below serves.
    """
    lowest, level = float(kappa.min()), float(kappa.max())
    if lowest < level:
        level *= 0.5
    space = evaluate.space
    bound = np.full(len(kappa), np.inf)
    while True:
        if level < 1.0:
            bound[np.isinf(bound)] = evaluate.mass
            return bound
        multipliers = funk_hecke(space.dim, level, evaluate.degree).value[space.degree]
        reached = np.isinf(bound) & (kappa >= level * (1.0 - 1e-12))
        bound[reached] = np.abs(space.to_nodal(multipliers * evaluate.c)).max()
        if level <= lowest:
            return bound
        level *= 0.5


def fast_sums(
    head: Head, sources: Real, weights: Real, targets: Real, tolerance: float, threads: int
) -> tuple[Real, Real, int]:
    r"""Log partition (n,) and mean (n, d) at targets (n, d) of sources (m, d) with weights (m,) > 0; d is 2 or 3.

    Relative error of Z and absolute error of the mean below ``tolerance``, except for the rounding 2e-16·β‖B‖ of the
    scores. Third, the number of targets that had to be summed directly.
    """
    largest = float(weights.max())
    relative = weights / largest
    evaluate = _Evaluator(head, sources, relative, threads)
    n = len(targets)
    log_partition, mean, depleted = np.empty(n), np.empty_like(targets), np.empty(n, bool)
    for block in _blocks(n, evaluate.block):
        log_scale, partition, first, floor = evaluate(targets if n <= evaluate.block else targets[block])
        least = _suprema(evaluate, log_scale) * (floor / tolerance)
        _normalise(log_scale, partition, first, least, log_partition[block], mean[block], depleted[block])
    rest = np.flatnonzero(depleted)
    if rest.size:
        rest = rest[morton_order(targets[rest])]
        queries = head.beta * targets[rest] @ head.B
        log_partition[rest], mean[rest] = Cells(sources, np.log(weights) - np.log(largest)).sums(
            queries, tolerance, threads
        )
    return log_partition + np.log(largest), mean, int(rest.size)
