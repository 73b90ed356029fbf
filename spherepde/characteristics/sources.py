"""What characteristics need of a run: its velocity and its initial density, from a file or a simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..attention import Attention, Hardmax
from ..attention.configured import attention_of
from ..config import parse_config
from ..densities import Density
from ..errors import InputError
from ..initial_density import build_density
from ..store import RunFile
from .record import StoredMoments
from .velocity import RecordedVelocity


class LiveRun(Protocol):
    """A simulation, as far as it matters here: its file, its model and its initial density."""

    recorder: Any
    model: Any
    initial: Density


class Source(NamedTuple):
    """A recorded velocity, the density it began with, and the time up to which moments can be trusted (or infinity)."""

    velocity: RecordedVelocity
    initial: Density
    horizon: float


def source_of_run(
    run: str | Path | RunFile | LiveRun, initial: Density | None, attention: Attention | None, threads: int
) -> Source:
    """The source in a run file, by its path or open, or in the file of a simulation.

    Raises InputError for a run that cannot be followed: without a file or its velocity, with diffusion, or with a model
    or an initial density that its file cannot name.
    """
    if not isinstance(run, str | Path | RunFile):
        if not all(hasattr(run, name) for name in ("recorder", "model", "initial")):
            raise InputError(f"characteristics: expected a run file or a simulation, got {type(run).__name__}")
        if run.recorder.path is None:
            raise InputError("characteristics: the simulation has no file; expected one, Simulation(..., out=...)")
        initial, attention = initial or run.initial, attention or run.model.attention
        path = Path(run.recorder.path)
    else:
        path = run.path if isinstance(run, RunFile) else Path(run)
    with RunFile(path) as file:
        return _source_of_file(file, initial, attention, threads)


def _source_of_file(file: RunFile, initial: Density | None, attention: Attention | None, threads: int) -> Source:
    path, tables = file.path, file.config
    if not {"model", "initial"} <= set(tables):
        raise InputError(f"{path} does not say which model it ran: no characteristics without a configuration")
    if not len(file.series["t"]):
        raise InputError(f"{path} holds no snapshot yet: nothing to follow")
    if tables["model"].get("diffusion"):
        raise InputError(f"{path} ran with diffusion {tables['model']['diffusion']:g}: it has no characteristics")
    attention = attention or _attention(path, tables)
    initial = initial or _initial(path, tables)
    if initial.dim != attention.dim:
        raise InputError(
            f"initial: a density on S^{initial.dim - 1}; expected one on S^{attention.dim - 1}, as in {path}"
        )
    record = file.velocity
    if isinstance(attention, Hardmax):
        velocity = RecordedVelocity(attention, file.series["t"], threads=threads)
    elif record is None:
        raise InputError(f"{path} holds no velocity: it was written with output.velocity = false")
    elif not len(record.t):
        raise InputError(f"{path} holds no record of the velocity yet")
    else:
        moments = StoredMoments(path, record.moments.shape)
        velocity = RecordedVelocity(attention, record.t, moments, threads=threads)
    horizon = float(file.series["velocity_horizon"][-1]) if "velocity_horizon" in file.series else np.nan
    return Source(velocity, initial, np.inf if np.isnan(horizon) else horizon)


def _attention(path: Path, tables: dict[str, Any]) -> Attention:
    if "function" in tables["model"].get("layers", {}):
        name = tables["model"]["layers"]["function"]
        raise InputError(f"{path}: its heads are a function of time, {name}, which no file holds; expected attention=")
    return attention_of(parse_config(tables | {"initial": {"family": "uniform"}}, source=str(path)))


def _initial(path: Path, tables: dict[str, Any]) -> Density:
    if tables["initial"].get("family") == "callable":
        raise InputError(f"{path}: its initial density is a function, which no file holds; expected initial=")
    model = {"attention": "hardmax", "dim": tables["model"]["dim"], "V": "identity"}
    return build_density(parse_config(tables | {"model": model}, source=str(path)))
