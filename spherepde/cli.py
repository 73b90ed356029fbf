"""The command line: run, resume, info, plot, validate. Exit status 0 done, 1 stopped for a reason, 2 bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from zipfile import is_zipfile

import typer
from h5py import is_hdf5

from .agreement import SAMPLES
from .archive import reference_meant, run_or_reference
from .comparing import compare_tokens, out_folder
from .config import load_config
from .errors import InputError, one_sentence
from .experiment import build_simulation, resume_simulation
from .plan import describe_plan
from .result import Result
from .store import RunFile
from .summary import describe
from .verdict import verdict

app = typer.Typer(
    help="Solve the transformer continuity equation on the circle and the sphere.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

RunPath = Annotated[Path, typer.Argument(metavar="RUN.h5", help="a run file")]
Quiet = Annotated[bool, typer.Option("--quiet", help="no progress line")]


def _report(result: Result) -> None:
    print(f"{result.path}: {result.status}, {result.reason}")
    raise SystemExit(result.exit_status)


@app.command()
def run(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="what to solve (see the README)")],
    out: Annotated[Path | None, typer.Option(help="run file to write, instead of output.file")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="override, like time.until=3")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace an existing run file")] = False,
    quiet: Quiet = False,
) -> None:
    """Solve what CONFIG.toml describes and write a run file."""
    loaded = load_config(config, settings or [])
    simulation = build_simulation(loaded, out, overwrite=overwrite, progress=not quiet)
    _report(simulation.run(loaded.time.until))


@app.command()
def resume(
    path: RunPath,
    until: Annotated[float | None, typer.Option(help="go on to this time instead")] = None,
    quiet: Quiet = False,
) -> None:
    """Continue an interrupted run from its checkpoint, or a finished one to a later time."""
    simulation, planned = resume_simulation(path, progress=not quiet)
    _report(simulation.run(planned if until is None else until))


@app.command()
def info(
    path: Annotated[
        Path, typer.Argument(metavar="RUN.h5|CONFIG.toml|NAME", help="a run file, a configuration or a reference run")
    ],
    settings: Annotated[list[str] | None, typer.Option("--set", help="override, like space.lmax=511")] = None,
) -> None:
    """Say on one screen what a run file holds and how far to trust it, or what a configuration would do and take."""
    if path.is_file() and is_zipfile(path):
        raise InputError(f"{path} is an archive of arrays; expected a run file, or a configuration with model.layers")
    if path.is_file() and not is_hdf5(path):
        print(describe_plan(load_config(path, settings or []), str(path)))
        return
    if settings:
        raise InputError(f"{path} is not a configuration: expected no --set")
    known = reference_meant(path)
    if known is not None:
        print(f"{known!r}\n\n{verdict(known)}")
        return
    with RunFile(path) as opened:
        print(describe(opened))
        print()
        print(verdict(opened))


@app.command()
def plot(
    path: RunPath,
    out: Annotated[Path | None, typer.Option(help="folder for the figures (default: beside the file)")] = None,
    zoom: Annotated[bool, typer.Option("--zoom", help="also the densest cluster, at its own scale")] = False,
) -> None:
    """Draw density, moments, distance to E, energy and spectrum from a run file."""
    from .plots import plot_run  # matplotlib only when asked for

    if reference_meant(path) is not None:
        again = f"the run file that 'spherepde run' writes from the {path.stem}.toml beside it"
        raise InputError(f"{path} is a reference run, which holds no density to draw; expected {again}")
    for figure in plot_run(path, out, zoom=zoom):
        print(figure)


@app.command()
def validate(
    tokens: Annotated[Path, typer.Argument(metavar="TOKENS.npz", help="token trajectories of any code")],
    against: Annotated[str, typer.Option(metavar="RUN.h5|NAME", help="run file or reference run to hold them to")],
    out: Annotated[Path | None, typer.Option(help="folder for figure and JSON (default: TOKENS_agreement)")] = None,
    samples: Annotated[int, typer.Option(help="exact samples that make the band, at least 99")] = SAMPLES,
    seed: Annotated[int, typer.Option(help="seed of the exact samples")] = 0,
    interacting: Annotated[
        bool | None,
        typer.Option("--interacting/--independent", help="samples attend to each other, or not, instead of by need"),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Say whether particles of any code follow the mean field of a run as closely as an exact sample would.

    TOKENS.npz (numpy.savez) holds t (T,), x (T, N, d) unit vectors or angles (T, N), and optionally weights (N,) or
    (T, N) of sum 1. Tokens are held to their own first ones, moved accurately, and where that says nothing to exact
    samples: independent ones, then ones that interact as the model says. Exit status 0: inside; 1: outside; 2: bad
    input, or no comparison possible.
    """
    from .plots.agreement import plot_agreement  # matplotlib only when asked for

    folder = out_folder(tokens.with_name(f"{tokens.stem}_agreement") if out is None else out)
    run = run_or_reference(against)
    agreement = compare_tokens(tokens, run, samples=samples, seed=seed, interacting=interacting, progress=not quiet)
    print(agreement)
    print(f"\n{agreement.write(folder)}\n{plot_agreement(agreement, run, folder)}")
    raise SystemExit(agreement.exit_status)


def main() -> None:
    """Entry point: one sentence instead of a traceback for everything a user can cause."""
    with one_sentence():
        app()
