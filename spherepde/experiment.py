"""From a configuration to a simulation, and from a run file back to one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .attention import Attention, attention_named
from .config import RunConfig, parse_config
from .densities import Density, density_from_config, uniform
from .equation import ContinuityEquation
from .errors import InputError
from .filters import DAMPING_RATE
from .footprint import Footprint, require_run_memory
from .heads import Head
from .schedules import Layers
from .simulation import Simulation
from .spaces import space_for
from .steppers import tableau_named
from .store import RunFile, checkpoint_path, load_checkpoint

Real = NDArray[np.float64]


def build_attention(config: RunConfig) -> Attention:
    """The attention model of a configuration."""
    model = config.model
    heads: list[Head] | Layers
    if model.layers is None:
        heads = [Head(**arguments) for arguments in model.head_arguments()]
    else:
        arrays = model.layers.arrays()
        unused = 1.0 if model.attention == "hardmax" and "beta" not in arrays else None
        beta = unused if model.beta is None else model.beta
        heads = Layers.from_arrays(arrays, beta=beta, times=model.layer_times, interpolate=model.interpolate)
    return attention_named(model.attention)(heads, combine=model.combine)


def required_memory(config: RunConfig) -> Footprint:
    """What the run of a configuration takes. Raises InputError, naming space.lmax, if the machine has less memory."""
    space, output = config.space, config.output
    return require_run_memory(
        build_attention(config),
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
    return ContinuityEquation(space, build_attention(config), diffusion=config.model.diffusion, damping=damping)


def build_density(config: RunConfig) -> Density:
    """The initial density of a configuration, an earlier run's snapshot included."""
    parameters = config.initial.model_dump(mode="json", exclude_none=True)
    if parameters["family"] == "file":
        return density_from_run(parameters["path"], parameters.get("time"))
    return density_from_config(config.model.dim, parameters)


def density_from_run(path: str | Path, time: float | None = None) -> Density:
    """The density of an earlier run at the snapshot nearest to ``time`` (default: the last).

    Evaluated from its coefficients wherever asked, so any other resolution may start from it. Raises InputError if
    the snapshot is not positive (beyond its field horizon) or the file is no run file.
    """
    with RunFile(path) as run:
        index = len(run.times) - 1 if time is None else int(np.argmin(np.abs(run.times - time)))
        table, dim = run.config["space"], run.config["model"]["dim"]
        space = space_for(dim, table["lmax"], table["backend"], table["threads"])
        coefficients, saved = run.coefficients(index), float(run.times[index])
    lowest = float(space.to_nodal(coefficients).min())
    if lowest < 0.0:
        raise InputError(
            f"initial.path = {str(path)!r}: its snapshot at t = {saved:g} is unresolved (smallest value {lowest:.1e}); "
            "expected an earlier initial.time"
        )

    def values(points: Real) -> Real:
        return space.evaluate(coefficients, points.reshape(-1, dim)).reshape(points.shape[:-1])

    return Density(dim, {"family": "file", "path": str(path), "time": saved}, values)


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

    Continues bit for bit as if never interrupted (same machine and backend). Raises InputError without a checkpoint.
    """
    with RunFile(path) as run:
        tables = run.config
    load_checkpoint(checkpoint_path(path))
    config = parse_config(tables | {"initial": {"family": "uniform"}}, source=str(path))
    start = replace(uniform(config.model.dim), parameters=tables["initial"])  # its values come from the checkpoint
    simulation = Simulation(build_equation(config), start, progress=progress, **_options(config, path))
    simulation.restore()
    return simulation, config.time.until
