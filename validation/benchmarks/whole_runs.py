"""Whole runs, each in a process of its own: the solver scripts as a user starts them, imports and planning included."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from reporting import Row

from spherepde import RunFile

Array = NDArray[np.float64]

SOLVERS = Path(__file__).resolve().parents[2] / "solvers"
MOMENTS = ("mean", "second_moment")
DISTANCE = "wasserstein_2_geodesic"
COLD = ("--beta", "10000", "--lmax", "4095", "--companion-lmax", "3071", "--until", str(np.log(1e4)))


@dataclass(frozen=True)
class Finished:
    """One run: seconds of the processor and of the wall clock, how it ended, last moments and largest error bars."""

    cpu: float
    wall: float
    reason: str
    moments: Array
    bar: float
    distance_bar: float


def run_solver(script: str, options: Sequence[str] = ()) -> Finished:
    """Run a solver script on one thread and read its file. Raises CalledProcessError if it stops early."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.h5"
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [sys.executable, str(SOLVERS / script), "--out", str(path), *options]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        with RunFile(path) as run:
            series = run.series
            trusted = np.isnan(run.attributes["velocity_horizon"])
            return Finished(
                cpu=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
                wall=wall,
                reason=f"{run.attributes['reason']}, {'moments trusted' if trusted else 'past its velocity horizon'}",
                moments=np.concatenate([series[name][-1].ravel() for name in MOMENTS]),
                bar=float(np.max([series[f"{name}_error"].max() for name in MOMENTS])),
                distance_bar=float(series[f"{DISTANCE}_error"].max()),
            )


def rows_of(name: str, run: Finished, *, distance_bar: float | None = None) -> list[Row]:
    """Time and error bars of a run beside what was wanted, of W₂ ``distance_bar``."""
    details = {"wall_seconds": run.wall, "cpu_seconds": run.cpu}
    note = f"wall clock {run.wall:.0f} s; {run.reason}"
    return [
        Row(f"{name}: processor time", run.cpu, "s", at_most=60.0, note=note, details=details),
        Row(f"{name}: error bar of moments", run.bar, "", at_most=1e-6, note="largest over the run"),
        Row(
            f"{name}: error bar of W₂ to Π♯ρ₀", run.distance_bar, "", at_most=distance_bar, note="largest over the run"
        ),
    ]


def whole_run_rows(*, full: bool) -> list[Row]:
    """The main experiment to t = 2 log β and the coldest one on S¹ to log β; ``full`` judges the first one's bar."""
    sphere = run_solver("sphere_softmax.py")
    rows = rows_of("main experiment, S², β = 100, t = 2 log β", sphere)
    if full:
        finer = run_solver("sphere_softmax.py", ["--lmax", "255", "--companion-lmax", "191"])
        difference = float(np.abs(sphere.moments - finer.moments).max())
        note = f"moments differ by {difference:.1e} from lmax 255 at the end, bar {sphere.bar:.1e}"
        rows.append(Row("the same: difference over error bar", difference / sphere.bar, at_most=1.0, note=note))
    cold = run_solver("circle_softmax.py", COLD)
    return rows + rows_of("S¹, β = 10⁴, lmax 4095, t = log β", cold, distance_bar=1e-6)
