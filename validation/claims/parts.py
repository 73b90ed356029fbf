"""Parts of a script that take long are kept on disk, so that an interrupted one goes on where it was."""

from __future__ import annotations

import hashlib
import pickle
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import spherepde

T = TypeVar("T")
VALIDATION = Path(__file__).resolve().parents[1]


@cache
def code_hash(script: str) -> str:
    """Hash of all code a script's numbers come from: the package, what scripts share, and the script itself."""
    shared = sorted(path for path in (VALIDATION / "claims").glob("*.py") if path.name in ("fits.py", "flows.py"))
    package = sorted(Path(spherepde.__file__).parent.rglob("*.py"))
    digest = hashlib.sha256(script.encode())
    for path in dict.fromkeys((*package, *shared, *_modules())):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _modules() -> list[Path]:
    """The modules beside the script that are loaded, and the script."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return sorted({path for path in map(Path, filter(None, files)) if path.resolve().parent == VALIDATION})


def kept(
    folder: Path | None, script: str, function: Callable[..., T], *args: Any, stale: bool = False
) -> tuple[T, bool]:
    """``function(*args)``, from disk if the same code computed it before; and whether it was other code.

    Arguments must have a faithful ``repr``. ``stale`` takes what other code computed. A half-written file is computed
    again.
    """
    if folder is None:
        return function(*args), False
    name = hashlib.sha256(f"{script} {function.__qualname__} {args!r}".encode()).hexdigest()[:16]
    path, code = folder / f"{script}-{function.__name__}-{name}.pickle", code_hash(script)
    try:
        made_by, value = pickle.loads(path.read_bytes())
        if made_by == code or stale:
            return value, made_by != code
    except (OSError, EOFError, pickle.UnpicklingError, AttributeError, ImportError, ValueError, TypeError):
        pass
    value = function(*args)
    folder.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".part")
    scratch.write_bytes(pickle.dumps((code, value)))
    scratch.replace(path)
    return value, False
