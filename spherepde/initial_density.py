"""The initial density that a configuration describes, an earlier run's snapshot included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .config import RunConfig
from .densities import Density, density_from_config
from .errors import InputError
from .spaces import space_for
from .store import RunFile

Real = NDArray[np.float64]


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
