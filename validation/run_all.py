"""Every claim of the low-temperature theory as a number: runs all scripts and writes one report.

    python validation/run_all.py           # quick, under three minutes on two cores
    python validation/run_all.py --full    # everything, under 45 minutes; interrupted, it goes on where it was

Prints each claim as it comes. Writes figures, a JSON file and a log for each script into ``--out``/quick or /full, and
report.html, which holds all of it and needs neither network nor other files. ``--only "['chaos']"`` runs some and puts
the last results of the others into the report.

Exit status 1 if a claim missed or a script failed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

from claims.page import report

from spherepde.config import script_parameters
from spherepde.errors import InputError, one_sentence

PARAMETERS: dict[str, Any] = {"full": False, "out": "data/validation", "processes": 2, "only": [], "stale": False}
SCRIPTS = (
    "concentration",
    "zero_temperature",
    "laplace_principle",
    "metastability",
    "terminal_phase",
    "uniform_instability",
    "heat_limits",
    "synchronisation",
    "chaos",
    "stationary",
    "cost",
)
TITLE = "Mean-field transformers at low temperature: what theory says and what was measured"
HERE = Path(__file__).resolve().parent
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def result_of(name: str, folder: Path) -> dict[str, Any] | None:
    """The JSON a script wrote, or None."""
    try:
        found: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def expected_seconds(name: str, folder: Path) -> float:
    """Processor time of the last run, to begin with the longest; new scripts come first."""
    found = result_of(name, folder)
    return float("inf") if found is None else float(found["processor_seconds"])


def run_script(name: str, options: list[str], folder: Path, stop: Event) -> int:
    """Run one script, print its claims as they come, keep all it says in its log; returns its exit status."""
    if stop.is_set():
        return 130
    command = [sys.executable, str(HERE / f"{name}.py"), "--out", str(folder), *options]
    began = time.perf_counter()
    print(f"{name}: begins", flush=True)
    last = ""
    with (
        (folder / f"{name}.log").open("w", encoding="utf-8") as log,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | ONE_THREAD
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            log.flush()
            last = line.strip() or last
            if line.startswith("PREDICTED"):
                print(f"{name}: {line}", end="", flush=True)
            if stop.is_set():
                process.terminate()
    print(
        f"{last if process.returncode in (0, 1) else f'{name}: {last}'} ({time.perf_counter() - began:.0f} s)",
        flush=True,
    )
    return process.returncode


def write_report(folder: Path) -> Path:
    """report.html of all results in a folder."""
    results = [found for found in (result_of(name, folder) for name in SCRIPTS) if found is not None]
    path, scratch = folder / "report.html", folder / "report.part"
    scratch.write_text(report(results, folder, TITLE), encoding="utf-8")
    scratch.replace(path)
    return path


def run_all(names: list[str], options: list[str], folder: Path, processes: int) -> dict[str, int]:
    """Run scripts side by side, longest first; an interrupt ends them all, and what they had is in the report."""
    stop, order = Event(), sorted(names, key=lambda name: -expected_seconds(name, folder))
    with ThreadPoolExecutor(processes) as pool:
        running = {name: pool.submit(run_script, name, options, folder, stop) for name in order}
        try:
            return {name: future.result() for name, future in running.items()}
        except KeyboardInterrupt:
            stop.set()
            raise
        finally:
            pool.shutdown(wait=True)
            print(f"report: {write_report(folder)}", flush=True)


def main() -> None:
    """Run what was asked for, write the report, and say what missed."""
    with one_sentence():
        p = script_parameters(PARAMETERS, __doc__)
        unknown = [name for name in p.only if name not in SCRIPTS]
        if unknown:
            raise InputError(f"--only: {unknown[0]!r} is no script; expected some of {', '.join(SCRIPTS)}")
        folder = Path(p.out) / ("full" if p.full else "quick")
        folder.mkdir(parents=True, exist_ok=True)
        options = [flag for flag, given in {"--full": p.full, "--stale": p.stale}.items() if given]
        began = time.perf_counter()
        states = run_all(p.only or list(SCRIPTS), options, folder, p.processes)
        for name, state in states.items():
            found = result_of(name, folder) or {"claims": []}
            missed = [row["what"] for row in found["claims"] if row["verdict"] == "MISS"]
            for what in missed:
                print(f"MISS {name}: {what}")
            if state not in (0, 1) or (state == 1 and not missed):
                print(f"FAILED {name}: exit status {state}, see {folder / name}.log")
        print(f"{len(states)} scripts, {time.perf_counter() - began:.0f} s")
        raise SystemExit(0 if all(state == 0 for state in states.values()) else 1)


if __name__ == "__main__":
    main()
