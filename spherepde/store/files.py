"""What every file here needs: opening with a sentence instead of a traceback, replacing atomically, JSON."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import InputError

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def to_json(value: Any) -> str:
    """JSON text of nested dicts, lists and numbers; numpy scalars and arrays become plain ones.

    Floats are written by ``repr`` and so come back bit for bit, infinities and NaN included.
    Keys come back as strings, tuples as lists. Raises TypeError for anything else.
    """

    def plain(item: Any) -> Any:
        if isinstance(item, np.ndarray | np.generic):
            return item.tolist()
        if isinstance(item, os.PathLike):
            return os.fspath(item)
        raise TypeError(f"{type(item).__name__} cannot be written as JSON: {item!r}")

    return json.dumps(value, default=plain, ensure_ascii=False)


def utc_now() -> str:
    """The present time, UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def reason_of(error: Exception) -> str:
    """The operating system's words for an error, also when HDF5 wraps them; else the first line of HDF5's own."""
    number = getattr(error, "errno", None)
    wrapped = re.search(r"errno = (\d+)", str(error))
    if number or wrapped:
        return os.strerror(number or int(wrapped[1] if wrapped else 0))
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def replace_file(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path`` so that readers see the old file or the new one, never a mixture.

    Written and fsynced under a temporary name in the same folder, then renamed.
    Raises OSError and removes the temporary file when the disk is full or the folder unwritable.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # not every file system lets a folder be synced
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def refuse_if_written(path: Path) -> None:
    """Raise InputError if some process, this one included, has the file open for writing.

    HDF5 holds an exclusive ``flock`` while it writes; a shared one is tried here and let go. Sees
    nothing where locking is switched off (HDF5_USE_FILE_LOCKING=FALSE) or unsupported.
    """
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{path} is being written by another process") from None
        except OSError:
            return


def refuse_if_foreign(path: Path, expected: str) -> None:
    """Raise InputError unless the file is empty, one of ours, or an HDF5 file too damaged to say whose it is."""
    with open(path, "rb") as file:
        start = file.read(len(HDF5_SIGNATURE))
    ours = start == b"" or start == HDF5_SIGNATURE
    if ours and start:
        with suppress(OSError, RuntimeError), _open_for_reading(path) as opened:
            ours = opened.attrs.get("format") == expected
    if not ours:
        raise InputError(f"{path} will not be replaced: expected a {expected} file there, found something else")


def open_hdf5(path: Path, expected: str, newest: int) -> h5py.File:
    """Open one of our files for reading, with or without the lock of a running writer.

    ``expected`` is the format attribute wanted, ``newest`` the last format_version understood.
    Raises InputError for a missing, foreign, damaged or too new file.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; expected a file written by spherepde")
    if not path.is_file():
        raise InputError(f"{path} is not a regular file; expected one written by spherepde")
    try:
        with open(path, "rb"):
            pass
        if not h5py.is_hdf5(path):
            raise InputError(f"{path} is not an HDF5 file; expected one written by spherepde")
        file = _open_for_reading(path)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            raise InputError(f"{path} cannot be read: {reason_of(error)}") from None
        raise InputError(f"{path} is a truncated or damaged HDF5 file and cannot be opened") from error
    try:
        attributes = root_attributes(file)
        found, version = attributes.get("format"), int(attributes.get("format_version", 0))
        if found != expected:
            has = f"its format is {found!r}" if found is not None else "it has no format attribute"
            raise InputError(f"{path} is not a {expected!r} file: {has}")
        if version > newest:
            raise InputError(f"{path} has format version {version}, this spherepde reads up to {newest}: update it")
    except InputError:
        file.close()
        raise
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        file.close()
        raise InputError(f"{path} is a damaged HDF5 file: its attributes cannot be read") from error
    return file


def _open_for_reading(path: Path) -> h5py.File:
    """Open for reading; where a writer holds the lock, look without it (it flushes whole records)."""
    try:
        return h5py.File(path, "r")
    except BlockingIOError:
        return h5py.File(path, "r", locking=False)


def root_attributes(file: h5py.File) -> dict[str, Any]:
    """The attributes of a file as plain text and numbers; netCDF keeps a number as a list of one."""
    return {
        name: value.item() if isinstance(value, np.ndarray | np.generic) and value.size == 1 else value
        for name, value in file.attrs.items()
        if not name.startswith("_")
    }


def mend_end(path: Path) -> None:
    """Move the end of file recorded in an HDF5 superblock (version 0) to the file's actual end.

    A writer killed inside a flush may leave an index that points behind the recorded end; whoever
    appends there would overwrite what the index holds. Behind the actual end nothing was ever allocated.
    """
    with open(path, "r+b") as file:
        head = file.read(48)
        size = os.fstat(file.fileno()).st_size
        if head[8] == 0 and head[13] == 8 and int.from_bytes(head[40:48], "little") < size:
            file.seek(40)
            file.write(size.to_bytes(8, "little"))


def growing(group: h5py.Group) -> dict[str, h5py.Dataset]:
    """The variables of a group that lie along its unlimited dimension, that dimension included."""
    return {
        name: item
        for name, item in group.items()
        if isinstance(item, h5py.Dataset) and item.maxshape and item.maxshape[0] is None
    }
