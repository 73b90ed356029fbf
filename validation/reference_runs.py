"""Make the reference runs of data/references from their configurations, or check that they still come out the same.

    python validation/reference_runs.py                          # all, two at a time: some five minutes
    python validation/reference_runs.py circle_cold sphere_axis  # these
    python validation/reference_runs.py --check                  # run, compare with what is there, write nothing

Each data/references/NAME.toml becomes NAME.h5 beside it, and SHA256SUMS lists them (sha256sum -c). A check runs the
configuration again and compares every moment with the stored one: the difference must lie within the two error bars.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from spherepde import InputError, RunFile, build_simulation, load_config
from spherepde.archive import Reference, read_reference, write_reference
from spherepde.errors import one_sentence
from spherepde.summary import horizon_of

FOLDER = Path(__file__).resolve().parents[1] / "data" / "references"
CHECKSUMS = "SHA256SUMS"
MOMENTS = ("mean", "second_moment")
LOOSER = 4.0
"""How much larger the tolerance of the second run is, from which the error bars learn what becomes of time errors."""
PLAIN = ("space.companion_lmax=0", "output.density=false", "output.velocity=false")
ROUNDING = 1e-13
"""What another machine may add to a moment whose error bar is zero, as at t = 0."""
COLUMNS = ("reference", "rows", "bytes", "field horizon", "velocity horizon", "mean ±", "second moment ±", "seconds")


@dataclass(frozen=True)
class Made:
    """One reference run as made just now: cells of its line, and whether a check found the stored one again."""

    cells: tuple[str, ...]
    found_again: bool | None


def largest_excess(new: Reference, stored: Reference) -> float:
    """The largest difference of a moment over the sum of both error bars, at the times recorded in both."""
    _, mine, theirs = np.intersect1d(new.t, stored.t, return_indices=True)
    ratios = []
    for name in MOMENTS:
        bars = new.series[f"{name}_error"][mine] + stored.series[f"{name}_error"][theirs] + ROUNDING
        ratios.append(np.max(np.abs(new.series[name][mine] - stored.series[name][theirs]) / bars))
    return float(max(ratios))


def _horizon(reference: Reference, name: str) -> str:
    horizon = horizon_of(reference.series, name)
    return "beyond the end" if horizon == float("inf") else f"{horizon:.3g}"


def solve(configuration: Path, out: Path, settings: Sequence[str] = ()) -> None:
    """Run a configuration. Raises InputError unless it reaches its end."""
    config = load_config(configuration, settings)
    result = build_simulation(config, out, progress=False).run(config.time.until)
    if result.status != "done":
        raise InputError(f"{configuration}: the run ended early, {result.reason}")


def make(name: str, check: bool, fresh: Path) -> Made:
    """Run one configuration and write its reference to a folder, or compare it with the one that is there."""
    configuration, start = FOLDER / f"{name}.toml", perf_counter()
    config = load_config(configuration)
    if config.time.rtol is None:
        raise InputError(f"{configuration}: expected time.rtol, which a second run loosens for the error bars")
    with TemporaryDirectory() as folder:
        finer, looser = (Path(folder) / f"{name}.{which}.h5" for which in ("run", "looser"))
        solve(configuration, finer)
        solve(configuration, looser, [f"time.rtol={LOOSER * config.time.rtol}", *PLAIN])
        target = fresh / f"{name}.h5"
        with RunFile(finer) as run, RunFile(looser) as other:
            size = write_reference(target, run, other, configuration.read_text(encoding="utf-8"))
        made = read_reference(target)
    bars = [f"{np.max(made.series[f'{moment}_error']):.1e}" for moment in MOMENTS]
    horizons = [_horizon(made, kind) for kind in ("field", "velocity")]
    cells = (name, str(len(made.t)), str(size), *horizons, *bars, f"{perf_counter() - start:.0f}")
    again = largest_excess(made, read_reference(FOLDER / f"{name}.h5")) <= 1.0 if check else None
    return Made(cells, again)


def made_in_turn(names: list[str], check: bool, workers: int) -> Iterator[Made]:
    """The references as they get ready; processes of their own, one thread each.

    They replace the stored ones once all are there, so that each tells of the commit it was made with, unchanged.
    """
    with (
        TemporaryDirectory() as folder,
        ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool,
    ):
        for future in as_completed([pool.submit(make, name, check, Path(folder)) for name in names]):
            yield future.result()
        for name in [] if check else names:
            shutil.copyfile(Path(folder) / f"{name}.h5", FOLDER / f"{name}.h5")


def write_checksums() -> None:
    """SHA256SUMS of the references that are there."""
    lines = [f"{sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(FOLDER.glob("*.h5"))]
    (FOLDER / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def main(
    names: Annotated[list[str] | None, typer.Argument(help="reference runs (default: all)")] = None,
    check: Annotated[bool, typer.Option("--check", help="compare with what is there, write nothing")] = False,
    workers: Annotated[int, typer.Option(help="processes at a time")] = 2,
) -> None:
    """Make the reference runs from their configurations, or check that they still come out the same."""
    with one_sentence():
        known = sorted(path.stem for path in FOLDER.glob("*.toml"))
        wanted = names or known
        unknown = sorted(set(wanted) - set(known))
        if unknown:
            raise InputError(f"{unknown[0]} is no reference run; expected some of {', '.join(known)}")
        os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        screen, table, lost = Console(width=170), Table(*COLUMNS, *(["found again"] if check else [])), []
        for made in made_in_turn(wanted, check, workers):
            screen.print("  ".join(made.cells))
            again = [] if made.found_again is None else ["yes" if made.found_again else "[bold]NO[/bold]"]
            table.add_row(*made.cells, *again)
            lost += [made.cells[0]] if made.found_again is False else []
        screen.print(table)
        if not check:
            write_checksums()
        if lost:
            raise SystemExit(f"{', '.join(lost)}: moments differ from the stored ones by more than the error bars")


if __name__ == "__main__":
    typer.run(main)
