"""The file of a reference run: HDF5 with checksums, small enough to travel with the code.

::

    /          attrs: format, format_version, name, sha256, toml, config (JSON), status, reason, command,
               commit, created, conventions, horizons, kernel_bandwidth, velocity_error,
               interpolation_error, …
    /series    t and one variable per recorded quantity, (n, …)
    /velocity  degree, order, weights (lm,), temporal (n, rank), spatial (rank, 2 lm): real parts, then imaginary ones

Every array has its own attribute sha256. The source moments at the times of the series are
temporal · spatial / weights (:mod:`.low_rank`).
"""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError

FORMAT = "spherepde reference"
FORMAT_VERSION = 1
LARGEST_FILE = 1_000_000
"""Bytes that a reference may take."""

FOLDERS = (Path(__file__).parents[1] / "reference_runs", Path(__file__).parents[2] / "data" / "references")
"""Where references lie: in an installed package, and in the source tree."""


def reference_paths() -> dict[str, Path]:
    """The file of each reference run by its name, in alphabetical order."""
    folder = next((folder for folder in FOLDERS if folder.is_dir()), FOLDERS[-1])
    return {path.stem: path for path in sorted(folder.glob("*.h5"))}


def path_of(name: str) -> Path:
    """The file of the reference run with this name; InputError, which lists them, if there is none."""
    paths = reference_paths()
    if name not in paths:
        known = ", ".join(paths) or "nothing: the folder of reference runs is empty"
        raise InputError(f"no reference run is called {name!r}; expected one of {known}")
    return paths[name]
