"""How large the next step is, and whether the last one counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class StepController:
    """Proportional–integral control of the step size from the embedded error (Hairer & Wanner II, sec. IV.2).

    ``rtol`` is the error allowed per step relative to the size of the state; ``order`` that of the embedded scheme + 1.
    ``largest_step`` is a bound set from outside (a Courant limit). The whole memory is ``step_size`` and
    ``last_error``: store both to resume bit for bit.
    """

    rtol: float
    order: int
    step_size: float
    last_error: float = 1.0
    largest_step: float = np.inf
    safety: float = 0.9
    largest_growth: float = 2.0
    largest_cut: float = 0.2

    def judge(self, error: float, taken: float) -> bool:
        """Accept or reject a step of size ``taken`` with the given relative error, and set the next ``step_size``.

        A good step that was shorter than proposed only to land on some time says nothing against that size: it is
        proposed again, and the memory stays.
        """
        proposed = min(self.step_size, self.largest_step)
        ratio = error / self.rtol
        if not np.isfinite(ratio):
            self.step_size = self.largest_cut * taken
            return False
        ratio = max(ratio, 1e-10)
        if ratio > 1.0:
            self.step_size = taken * max(self.largest_cut, self.safety * ratio ** (-1.0 / self.order))
            return False
        factor = self.safety * ratio ** (-0.7 / self.order) * self.last_error ** (0.4 / self.order)
        self.step_size = taken * float(np.clip(factor, self.largest_cut, self.largest_growth))
        if taken <= self.step_size < proposed:
            self.step_size = proposed
        else:
            self.last_error = ratio
        return True


@dataclass
class FixedStep:
    """Steps of a fixed size, shortened evenly where a landing time asks for it; rejects only what is not finite."""

    step_size: float
    last_error: float = 1.0
    largest_step: float = np.inf

    def judge(self, error: float, taken: float) -> bool:
        """Accept unless the error is NaN (a scheme without embedded error reports 0)."""
        if not np.isfinite(error):
            self.step_size = 0.0
            return False
        return True
