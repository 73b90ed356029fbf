"""Where a result comes from: command, versions as imported, commit, date."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from .files import to_json, utc_now

LIBRARIES = ("numpy", "scipy", "h5py", "h5netcdf", "ducc0", "shtns", "pyfftw", "numba")
GIT_SECONDS = 10


def _version(name: str) -> str:
    """Version of an imported module: its own word, else that of its installed distribution, else "unknown"."""
    own = getattr(sys.modules.get(name), "__version__", None)
    if own is not None:
        return str(own)
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"


def _commit() -> str:
    """Commit of the source tree this module belongs to, "-dirty" if files differ from it, else "unknown".

    An installed copy inside somebody else's repository is not tracked there, and so is "unknown".
    """
    folder = Path(__file__).resolve().parent
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    outputs = []
    for arguments in (
        ("ls-files", "--error-unmatch", "../errors.py"),
        ("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"),
    ):
        try:
            done = subprocess.run(
                ("git", "--no-optional-locks", *arguments),
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=GIT_SECONDS,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return "unknown"
        outputs.append(done.stdout.strip())
    return outputs[-1] or "unknown"


def provenance(command: list[str]) -> dict[str, str]:
    """Root attributes that say how a file came to be: command, versions (JSON), commit, created (UTC).

    Versions are those of the libraries imported by now; one that a run does not use is left out.
    """
    versions = {"python": platform.python_version(), "spherepde": _version("spherepde")}
    versions |= {name: _version(name) for name in LIBRARIES if name in sys.modules}
    return {"command": shlex.join(command), "versions": to_json(versions), "commit": _commit(), "created": utc_now()}
