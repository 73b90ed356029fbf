"""Rows that wait in memory until they are appended to a run file in one block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

INDEX_ENTRY, INDEX_NODES = 256, 2**14
"""Bytes of HDF5's chunk index: for each new chunk, and for the nodes that one flush may split."""


class Table:
    """Variables that share an unlimited dimension, and the rows that wait to be appended to them."""

    def __init__(self, axis: str, variables: dict[str, h5py.Dataset], count: int) -> None:
        self.axis = axis
        self.variables = variables
        self.count = count
        self.waiting: list[dict[str, NDArray[Any]]] = []

    def add(self, values: Mapping[str, ArrayLike]) -> None:
        """Copy one row; ValueError unless it has exactly this table's names and shapes."""
        if values.keys() != self.variables.keys():
            odd = sorted(values.keys() ^ self.variables.keys())
            raise ValueError(f"record along {self.axis}: {odd} missing or unexpected")
        row = {name: np.array(value, dtype=self.variables[name].dtype) for name, value in values.items()}
        for name, value in row.items():
            if value.shape != self.variables[name].shape[1:]:
                raise ValueError(f"{name} of shape {value.shape}: expected {self.variables[name].shape[1:]}")
        self.waiting.append(row)

    def room(self) -> int:
        """Bytes that the waiting rows can take at most: their chunks and the index nodes that point to them."""
        total = 0
        for variable in self.variables.values() if self.waiting else ():
            chunk = int(np.prod(variable.chunks, dtype=np.int64)) * variable.dtype.itemsize
            total += (chunk + INDEX_ENTRY) * (2 + len(self.waiting) // variable.chunks[0]) + INDEX_NODES
        return total

    def write(self) -> None:
        """Append the waiting rows; may be repeated, since the count moves only in ``settle``."""
        end = self.count + len(self.waiting)
        for name, variable in self.variables.items() if self.waiting else ():
            variable.resize(end, axis=0)
            variable[self.count : end] = np.stack([row[name] for row in self.waiting])

    def settle(self) -> None:
        """The waiting rows are on disk."""
        self.count += len(self.waiting)
        self.waiting.clear()

    def cut(self, count: int) -> None:
        """Keep the first ``count`` rows only."""
        for variable in self.variables.values():
            variable.resize(count, axis=0)
        self.count = count
