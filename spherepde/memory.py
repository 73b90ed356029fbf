r"""What the machine has: a job that cannot fit is refused before anything large is allocated.

Memory that is asked for and not there ends a process without a word, or makes a machine unusable for everybody.
"""

from __future__ import annotations

import os
from pathlib import Path

from .errors import InputError

CONTROL_GROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
NO_LIMIT = 2**60
"""Control groups write "no limit" as a number of this size."""
ALWAYS_THERE = 2**24
"""Bytes that are not worth asking for: the answer takes longer than moving a thousand tokens."""
UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")


def machine_memory() -> int | None:
    """Bytes this process may use at most; None where the system does not tell.

    The smallest of the physical memory, the limit of the address space (RLIMIT_AS) and the limits of the control
    groups, versions 1 and 2, that the process is in. What other processes hold is not subtracted.
    """
    known = [limit for limit in (_physical(), _address_space(), *_control_groups()) if limit]
    return min(known, default=None)


def readable(size: float) -> str:
    """A number of bytes as people say it: "1.3 GB", powers of 1000."""
    unit = 0
    while size >= 999.5 and unit < len(UNITS) - 1:
        size, unit = size / 1000.0, unit + 1
    return f"{size:.3g} {UNITS[unit]}"


def of_this_machine(needed: float) -> str:
    """How many bytes are needed, beside what there is: "about 0.5 GB of this machine's 16 GB"."""
    there = machine_memory()
    return f"about {readable(needed)}" + (f" of this machine's {readable(there)}" if there is not None else "")


def require_memory(needed: float, what: str, key: str) -> None:
    """Raise InputError if ``what`` needs more bytes than the machine has; ``key`` is what to lower.

    The sentence reads "``what`` needs about 5 GB of memory, this machine has 2 GB; expected a lower ``key``".
    """
    if needed <= ALWAYS_THERE:
        return
    there = machine_memory()
    if there is not None and needed > there:
        raise InputError(
            f"{what} needs about {readable(needed)} of memory, this machine has {readable(there)}; "
            f"expected a lower {key}"
        )


def _physical() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # a system without these names
        return None


def _address_space() -> int | None:
    try:
        from resource import RLIM_INFINITY, RLIMIT_AS, getrlimit
    except ImportError:  # not a Unix
        return None
    limit = getrlimit(RLIMIT_AS)[0]
    return None if limit == RLIM_INFINITY else limit


def _control_groups() -> list[int]:
    """The limits of the process's own groups and of all groups around them."""
    version_1, version_2 = (CONTROL_GROUPS / "memory", "memory.limit_in_bytes"), (CONTROL_GROUPS, "memory.max")
    folders = {version_1, version_2}
    for line in _text(MEMBERSHIP).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, name = version_1 if controllers else version_2
        inside = Path(path.lstrip("/"))
        folders |= {(root / part, name) for part in (inside, *inside.parents)}
    texts = [_text(folder / name).strip() for folder, name in folders]
    return [int(text) for text in texts if text.isdecimal() and int(text) < NO_LIMIT]


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
