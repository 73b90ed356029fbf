"""From a configuration to a simulation, and from a run file back to one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .attention.configured import attention_of
from .config import RunConfig, parse_config
from .densities import Density, uniform
from .equation import ContinuityEquation
from .errors import InputError
from .filters import DAMPING_RATE
from .footprint import Footprint, require_run_memory
from .initial_density import build_density
from .simulation import Simulation
from .spaces import space_for
from .steppers import tableau_named
from .store import RunFile, checkpoint_path, load_checkpoint

Real = NDArray[np.float64]


def required_memory(config: RunConfig) -> Footprint:
    """What the run of a configuration takes. Raises InputError, naming space.lmax, if the machine has less memory."""
    space, output = config.space, config.output
    return require_run_memory(
        attention_of(config),
        space.lmax,
        backend=space.backend,
        companion_lmax=space.companion_lmax,
        stages=tableau_named(config.time.stepper).stages,
        density=output.density,
        velocity=output.velocity,
    )


def build_equation(config: RunConfig) -> ContinuityEquation:
    """The equation of a configuration on its space; its memory is checked before anything large is allocated."""
    required_memory(config)
    table = config.space
    space = space_for(config.model.dim, table.lmax, table.backend, table.threads)
    damping = DAMPING_RATE if table.damping is None else table.damping
    return ContinuityEquation(space, attention_of(config), diffusion=config.model.diffusion, damping=damping)


def _options(config: RunConfig, out: str | Path | None) -> dict[str, Any]:
    time, output = config.time, config.output
    return {
        "out": out or output.file,
        "save_every": time.save_every,
        "stepper": time.stepper,
        "rtol": time.rtol,
        "dt": time.dt,
        "companion_lmax": config.space.companion_lmax,
        "save_density": output.density,
        "save_velocity": output.velocity,
        "wasserstein": output.wasserstein,
        "checkpoint_every": output.checkpoint_every,
        "continuation": time.continuation,
    }


def build_simulation(
    config: RunConfig, out: str | Path | None = None, *, overwrite: bool = False, progress: bool = True
) -> Simulation:
    """A simulation ready to ``run(config.time.until)``; ``out`` replaces the configured file."""
    return Simulation(
        build_equation(config), build_density(config), overwrite=overwrite, progress=progress, **_options(config, out)
    )


def resume_simulation(path: str | Path, *, progress: bool = True) -> tuple[Simulation, float]:
    """The simulation of a run file, taken up at its checkpoint, and the time it was meant to reach.

    Continues bit for bit as if never interrupted (same machine and backend); nothing is written before it runs.
    Raises InputError without a checkpoint.
    """
    with RunFile(path) as run:
        tables = run.config
    load_checkpoint(checkpoint_path(path))
    config = parse_config(tables | {"initial": {"family": "uniform"}}, source=str(path))
    start = replace(uniform(config.model.dim), parameters=tables["initial"])  # its values come from the checkpoint
    simulation = Simulation(build_equation(config), start, progress=progress, **_options(config, path))
    simulation.initial = _initial_of(tables, config.model.dim)
    simulation.restore()
    return simulation, config.time.until


def _initial_of(tables: dict[str, Any], dim: int) -> Density:
    """The density that a run began with; where it cannot be had, one that says so when it is asked for values."""
    parameters, missing = tables["initial"], ""
    if parameters["family"] == "callable":
        missing = (
            "the initial density was a function, which no file keeps; expected a configured one to go on with nodes"
        )
    try:
        if not missing:
            return build_density(parse_config(tables))
    except InputError as error:
        missing = str(error)

    def values(points: Real) -> Real:
        raise InputError(missing)

    return Density(dim, parameters, values)
