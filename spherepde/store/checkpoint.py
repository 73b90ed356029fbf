"""The checkpoint: everything that changes in a run, replaced atomically, bit for bit."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, StorageError
from .files import open_hdf5, reason_of, replace_file, to_json

FORMAT = "spherepde checkpoint"
FORMAT_VERSION = 1


def checkpoint_path(run_path: str | Path) -> Path:
    """Where the checkpoint of a run file lies: beside it, RUN.h5 -> RUN.ckpt.h5."""
    return Path(run_path).with_suffix(".ckpt.h5")


def save_checkpoint(path: str | Path, arrays: Mapping[str, NDArray[Any]], state: Mapping[str, Any]) -> None:
    """Replace the checkpoint at ``path`` by these arrays (any shape and number type) and this state.

    ``state`` is anything JSON can hold (text, numbers, lists, dicts with text keys); floats return bit
    for bit, infinities included. The file is built in memory, written under a temporary name, synced
    and renamed, so that the previous one stays until the new one is safe.
    Raises ValueError for arrays with a NaN or an infinity: such a state must not replace a good one;
    StorageError if the disk is full or the folder cannot be written.
    """
    path = Path(path)
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"checkpoint {path}: {name} is not finite, the previous checkpoint is kept")
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs.update(format=FORMAT, format_version=FORMAT_VERSION, state=to_json(dict(state)))
        for name, array in arrays.items():
            file.create_dataset(f"arrays/{name}", data=array)
    try:
        replace_file(path, buffer.getvalue())
    except OSError as error:
        raise StorageError(f"{path} could not be written: {reason_of(error)}") from error


def load_checkpoint(path: str | Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays and the state that ``save_checkpoint`` wrote; InputError if the file is not one of its."""
    path = Path(path)
    with open_hdf5(path, FORMAT, FORMAT_VERSION) as file:
        try:
            arrays = {name: np.asarray(item[()]) for name, item in file.get("arrays", {}).items()}
            state: dict[str, Any] = json.loads(file.attrs["state"])
        except (OSError, KeyError, RuntimeError, ValueError) as error:
            raise InputError(f"{path} is a damaged checkpoint: a part of it is missing or unreadable") from error
    return arrays, state
