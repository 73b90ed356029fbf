"""Parts of a script that take long are kept on disk, so that an interrupted one goes on where it was."""

from __future__ import annotations

import ast
import hashlib
import pickle
import signal
import socket
from collections.abc import Callable
from functools import cache
from inspect import getsourcefile
from pathlib import Path
from typing import Any, TypeVar

import spherepde

T = TypeVar("T")
SHARED = (Path(__file__).with_name("fits.py"), Path(__file__).with_name("flows.py"))
DAMAGED = (OSError, EOFError, pickle.UnpicklingError, AttributeError, ImportError, ValueError, TypeError)


def sources(module: Path, folder: Path) -> list[Path]:
    """A module and the modules in the scripts' folder that it imports, directly or not; what all share counts apart."""
    found, open_ = [], [module]
    while open_:
        path = open_.pop()
        found.append(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            own = (name for name in names if name.partition(".")[0] != "claims")
            beside = (folder / f"{name.replace('.', '/')}.py" for name in own)
            open_ += [path for path in beside if path.exists() and path not in (*found, *open_)]
    return sorted(found)


@cache
def code_hash(module: Path, folder: Path) -> str:
    """Hash of the code that a function's numbers come from: the package, fits and flows, its module's sources."""
    package = sorted(Path(spherepde.__file__).parent.rglob("*.py"))
    digest = hashlib.sha256()
    for path in (*package, *SHARED, *sources(module, folder)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def uninterrupted(function: Callable[..., T], *args: Any) -> T:
    """``function(*args)``, or KeyboardInterrupt if the process was told to stop meanwhile and the function returned.

    A simulation that is interrupted returns what it has, which is no result of this function.
    """
    told, teller = socket.socketpair()
    with told, teller:
        for end in (told, teller):
            end.setblocking(False)
        before = signal.set_wakeup_fd(teller.fileno(), warn_on_full_buffer=False)
        try:
            value = function(*args)
        finally:
            signal.set_wakeup_fd(before)
        try:
            told.recv(1)
        except BlockingIOError:
            return value
    raise KeyboardInterrupt


def kept(folder: Path, script: Path, function: Callable[..., T], *args: Any, stale: bool = False) -> tuple[T, bool]:
    """``function(*args)``, from disk if the same code computed it before; and whether it was other code.

    Arguments must have a faithful ``repr``. ``stale`` takes what other code computed. Damaged files are made again.
    """
    name = hashlib.sha256(f"{function.__qualname__} {args!r}".encode()).hexdigest()[:16]
    path = folder / f"{script.stem}-{function.__name__}-{name}.pickle"
    code = code_hash(Path(getsourcefile(function) or script).resolve(), script.parent)
    try:
        made_by, value = pickle.loads(path.read_bytes())
        if made_by == code or stale:
            return value, made_by != code
    except DAMAGED:
        pass
    value = uninterrupted(function, *args)
    folder.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".part")
    scratch.write_bytes(pickle.dumps((code, value)))
    scratch.replace(path)
    return value, False
