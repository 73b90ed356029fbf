"""Compiled code across modules: numba's cache watches the file of a function, not those of the functions it calls."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def drop_stale(file: str, *modules: str) -> None:
    """Delete cached machine code older than any of the sources it was compiled from.

    ``modules`` are beside ``file`` and call each other's compiled functions; the cache is made anew at the next call.
    Without the right to delete, nothing happens.
    """
    folder = Path(file).parent
    newest = max((folder / f"{name}.py").stat().st_mtime for name in modules)
    with suppress(OSError):
        for name in modules:
            for index in (folder / "__pycache__").glob(f"{name}.*.nbi"):
                if index.stat().st_mtime < newest:
                    index.unlink()
