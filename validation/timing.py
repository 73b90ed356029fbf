"""Clocks: two pieces of work timed in turn, and one piece with the processor time it took."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

Timed = Callable[[], object]
Result = TypeVar("Result")


def paired_milliseconds(work: Timed, yardstick: list[Timed], repeats: int) -> tuple[float, float, float]:
    """Median time of ``work``, of the yardstick's parts one after the other, and the median of their paired ratios."""
    work()
    for part in yardstick:
        part()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        middle = time.perf_counter()
        for part in yardstick:
            part()
        times.append((middle - start, time.perf_counter() - middle))
    ours, theirs = np.array(times).T * 1e3
    return float(np.median(ours)), float(np.median(theirs)), float(np.median(ours / theirs))


def wall_and_cpu_seconds(work: Callable[[], Result]) -> tuple[Result, float, float]:
    """What ``work`` returns, the seconds that passed, and the processor's seconds, which neighbours do not lengthen."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu
