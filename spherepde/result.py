"""How a run ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .monitors import Horizons

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]

STATUS_EXIT = {"done": 0, "stopped": 1, "interrupted": 130}


@dataclass(frozen=True)
class Result:
    """How a run ended: ``status`` ("done", "stopped" or "interrupted"), ``reason`` a sentence, and where.

    ``state`` holds the modal coefficients at ``time``; ``values`` the last recorded diagnostics.
    """

    status: str
    reason: str
    time: float
    state: Modal
    values: dict[str, Real]
    horizons: Horizons
    path: Path | None

    @property
    def exit_status(self) -> int:
        """0 done, 1 stopped for a numerical or storage reason, 130 interrupted."""
        return STATUS_EXIT[self.status]

    def __repr__(self) -> str:
        where = f", file {self.path}" if self.path is not None else ""
        return f"Result({self.status}: {self.reason}{where})"
