"""How a run steps: its scheme, a tolerance or one fixed step, and the step that stays stable."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .equation import ContinuityEquation
from .steppers import FixedStep, Step, StepController, Tableau, imex_step, initial_step_size

Modal = NDArray[np.complex128]

COURANT_SAFETY = 0.95
"""Adaptive steps stay below this fraction of the scheme's stability limit in dt·max|v|·lmax: beyond it, explicit stages
amplify the spectral tail long before a weak norm notices."""


class Pace:
    """The stepping of one equation: adaptive with relative tolerance ``rtol`` from a state, or in steps of ``dt``.

    The memory of ``controller``, in :meth:`to_json`, is part of a run's state.
    """

    def __init__(
        self, model: ContinuityEquation, tableau: Tableau, rtol: float | None, dt: float | None, state: Modal
    ) -> None:
        self.tableau, self.rtol, self.dt = tableau, rtol, dt
        self._model = model
        self.controller: StepController | FixedStep
        if dt is not None:
            self.controller = FixedStep(dt)
        else:
            assert rtol is not None
            order = tableau.order
            size = initial_step_size(model, model.norm, state, rtol, order)
            self.controller = StepController(rtol, order, size)

    @cached_property
    def step(self) -> Step:
        """One step of the scheme."""
        return imex_step(self._model, self.tableau)

    def prepare(self, state: Modal, speed: float) -> None:
        """What the next step takes from the state it starts from, and from nothing else: damping and Courant limit."""
        self._model.adapt_damping(state)
        if self.dt is None:
            self.controller.largest_step = self.stable_step(speed)

    def stable_step(self, speed: float) -> float:
        """The longest step at a largest nodal speed."""
        return COURANT_SAFETY * self.tableau.imaginary_limit / max(speed * self._model.space.lmax, 1e-300)

    def to_config(self) -> dict[str, Any]:
        """The scheme with its tolerance or step, as the [time] table of a configuration says it."""
        return {"stepper": self.tableau.name, **({"rtol": self.rtol} if self.dt is None else {"dt": self.dt})}

    def to_json(self) -> dict[str, float]:
        """What a checkpoint needs."""
        return {"step_size": self.controller.step_size, "last_error": self.controller.last_error}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what ``to_json`` described."""
        self.controller.step_size, self.controller.last_error = state["step_size"], state["last_error"]
