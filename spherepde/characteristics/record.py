"""Source moments between the steps that recorded them: local polynomials in time, read row by row when needed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..layer_arrays import SAME_TIME
from ..store import RunFile

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]
Rows = NDArray[np.int64]

ROWS = 8
"""Records that a polynomial goes through, of degree 7: its error stays below that of the steps, of order 4."""
BLOCK_BYTES, BLOCKS = 1 << 20, 8
"""Size of the blocks of rows that are read at once, and how many of them are kept."""


class RowsOfMoments(Protocol):
    """Moments (n, lm), of which ranges of rows are asked for: an array, or something that reads them."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, lm)."""

    def __getitem__(self, rows: slice) -> Modal:
        """Some rows, (k, lm)."""


class StoredMoments:
    """The moments of a run file, which is open only while rows are read."""

    def __init__(self, path: str | Path, shape: tuple[int, ...]) -> None:
        self.path = Path(path)
        self.shape = shape

    def __getitem__(self, rows: slice) -> Modal:
        with RunFile(self.path) as run:
            if run.velocity is None:
                raise InputError(f"{self.path} no longer holds the velocity it held when it was opened")
            moments: Modal = run.velocity.moments[rows]
        return moments


class RecordedMoments:
    """Moments at any time within a record, by polynomials of degree 7 through the eight nearest rows.

    ``t`` (n,) increases strictly; no polynomial reaches across one of the ``breaks``, where derivatives jump (the rows
    recorded there serve both sides). Near an end, or in a stretch of fewer rows, the degree is what they allow.
    """

    def __init__(self, t: Real, moments: RowsOfMoments, breaks: Sequence[float] = (), rows: Rows | None = None) -> None:
        self.t = t
        self._moments = moments
        self._rows = np.arange(len(t)) if rows is None else rows
        edges = np.searchsorted(t * (1.0 + SAME_TIME), np.asarray(breaks, dtype=np.float64))
        self._edges = np.unique([0, *edges[(edges > 0) & (edges < len(t) - 1)], len(t) - 1])
        self._size = max(ROWS, BLOCK_BYTES // (16 * moments.shape[1]))
        self._blocks: OrderedDict[int, Modal] = OrderedDict()

    def at(self, t: float) -> Modal:
        """Moments (lm,) at a time of the record."""
        after = int(np.searchsorted(self.t, t))
        if after < len(self.t) and self.t[after] == t:
            return self.row(after)
        interval = min(max(after - 1, 0), max(len(self.t) - 2, 0))
        stretch = int(np.searchsorted(self._edges, interval, side="right")) - 1
        first, last = self._edges[stretch], self._edges[min(stretch + 1, len(self._edges) - 1)]
        start = max(first, min(interval - ROWS // 2 + 1, last + 1 - ROWS))
        chosen = range(start, min(start + ROWS, last + 1))
        return lagrange_weights(self.t[chosen.start : chosen.stop], t) @ np.array([self.row(i) for i in chosen])

    def row(self, index: int) -> Modal:
        """The moments recorded at ``t[index]``."""
        number = int(self._rows[index])
        block, place = divmod(number, self._size)
        if block not in self._blocks:
            self._blocks[block] = np.asarray(
                self._moments[block * self._size : (block + 1) * self._size], dtype=np.complex128
            )
            if len(self._blocks) > BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(block)
        rows: Modal = self._blocks[block]
        return rows[place]

    def thinned(self) -> RecordedMoments:
        """The same record with every second row left out, but for those at its ends and at breaks."""
        kept = [np.arange(a, b, 2) for a, b in zip(self._edges[:-1], self._edges[1:], strict=True)]
        rows = np.unique(np.concatenate([*kept, self._edges]))
        return RecordedMoments(self.t[rows], self._moments, self.t[self._edges[1:-1]].tolist(), self._rows[rows])


def lagrange_weights(nodes: Real, t: float) -> Real:
    """Weights (n,) with which values at the nodes give the value at t of the polynomial through them."""
    differences = nodes[:, None] - nodes
    np.fill_diagonal(differences, 1.0)
    offsets = np.broadcast_to(t - nodes, differences.shape).copy()
    np.fill_diagonal(offsets, 1.0)
    return np.asarray(np.prod(offsets / differences, axis=1))
