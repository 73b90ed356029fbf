"""Clocks of processor time, which neighbours on the machine do not lengthen, and how a cost grows with size."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

Timed = Callable[[], object]
Result = TypeVar("Result")


def paired_milliseconds(work: Timed, yardstick: Sequence[Timed], repeats: int) -> tuple[float, float, float]:
    """Two pieces of work timed in turn, ``repeats`` times, after one round that does not count.

    Returns the median processor time of ``work``, that of the yardstick's parts one after the other, and the median of
    the paired ratios. Neighbours still share caches and memory: ratios move by some per cent on a busy machine.
    """
    work()
    for part in yardstick:
        part()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        middle = time.process_time()
        for part in yardstick:
            part()
        times.append((middle - start, time.process_time() - middle))
    ours, theirs = np.array(times).T * 1e3
    return float(np.median(ours)), float(np.median(theirs)), float(np.median(ours / theirs))


def seconds_in_turn(works: Sequence[Timed], repeats: int) -> list[float]:
    """Median processor time of each piece of work, all timed in turn so that a slow spell of the machine hits all."""
    for work in works:
        work()
    times = np.empty((repeats, len(works)))
    for row in times:
        for i, work in enumerate(works):
            start = time.process_time()
            work()
            row[i] = time.process_time() - start
    return [float(median) for median in np.median(times, axis=0)]


def wall_and_cpu_seconds(work: Callable[[], Result]) -> tuple[Result, float, float]:
    """What ``work`` returns, the seconds that passed, and the processor's seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def fitted_slope(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The exponent a of seconds ≈ c·size^a, by least squares in logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
