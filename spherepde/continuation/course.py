"""Whether and when a run leaves its grid, and the nodes it goes on with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..characteristics.record import RowsOfMoments
from ..densities import Density
from ..diagnostics import Diagnostics
from ..errors import InputError, NumericalError
from ..monitors import VELOCITY_TOLERANCE, Interrupt
from .handover import WITHOUT_BARS, Handover, HorizonWatch, hand_over
from .tokens import TokenContinuation

Real = NDArray[np.float64]

MOMENTS = ("mean", "second_moment")
WORST_SEAM = 10.0
"""Nodes whose moments miss the grid's by this factor beyond its error bar do not stand for the same density."""
TOKENS = "tokens_"
"""Prefix of the nodes' arrays in a checkpoint."""


class Continuation:
    """What a run does about its velocity horizon; part of the run's state.

    ``option``: "auto" goes over to nodes if the horizon that the error bars foretell comes before the end, and stays on
    the grid where that cannot be done, or foretold; "tokens" must, and without error bars (``barred``) does at 1.3
    times the field horizon; "none" never does, and nor does a run with diffusion, which has no characteristics.
    """

    def __init__(self, option: str, diagnostics: Diagnostics, interrupt: Interrupt, *, barred: bool) -> None:
        self.option = option
        self.tokens: TokenContinuation | None = None
        """The nodes that carry the density once the grid no longer does."""
        self.handover: Handover | None = None
        self.exhausted: float | None = None
        """The first time of a record with as many nodes as there may be, where cells no longer divide."""
        wanted = option == "tokens" or (option == "auto" and barred)
        self.possible = wanted and not diagnostics.equation.diffusion
        self._diagnostics = diagnostics
        self._interrupt = interrupt
        self._barred = barred
        self._watch = HorizonWatch(1.0 / max(diagnostics.equation.field.speed_scale, 1e-300))

    def watch(self, t: float, bar: float) -> None:
        """Take up an error bar of the first two moments: the part that the resolution in space makes."""
        self._watch.add(t, bar)

    def due(self, t: float, until: float, field_horizon: float | None) -> bool:
        """Whether a run at time t > 0, on its way to ``until``, should leave its grid now."""
        if not self.possible or self.tokens is not None or t == 0.0:
            return False
        if self._barred:
            foretold = self._watch.horizon()
            return foretold is not None and foretold < until
        return self.option == "tokens" and field_horizon is not None and t >= WITHOUT_BARS * field_horizon

    def begin(
        self,
        initial: Density,
        record: Callable[[], tuple[Real, RowsOfMoments]],
        values: Mapping[str, Real],
        say: Callable[[str], None],
    ) -> None:
        """Go over to nodes, or say why the grid goes on.

        ``record`` gives the times and source moments so far, ``values`` what was read off the grid last. Where nodes
        cannot go on, raises NumericalError or InputError with "tokens".
        """
        bars = {name: values.get(f"{name}_error", np.nan) for name in self._diagnostics.observable_quantities}
        offsets = {name: float(np.max(bar)) for name, bar in bars.items() if np.isfinite(bar).all()}
        bar = max((offsets[name] for name in MOMENTS if name in offsets), default=0.0)
        try:
            t, moments = record()
            tokens = hand_over(
                self._diagnostics, initial, t, moments, offsets, say, self._interrupt, barred=self._barred
            )
            here = tokens.now().values
            seams = {name: float(np.abs(here[name] - values[name]).max()) for name in MOMENTS}
            if max(seams.values()) > WORST_SEAM * (bar + VELOCITY_TOLERANCE):
                raise NumericalError(f"the nodes' moments are off those of the grid by {max(seams.values()):.1e}")
        except (NumericalError, InputError) as error:
            if self.option == "tokens":
                raise
            self.possible = False
            say(f"no handover, the grid goes on: {error}")
            return
        for name, seam in seams.items():
            offsets[name] = offsets.get(name, 0.0) + seam
        if self._barred:
            tokens.displace(max(offsets[name] for name in MOMENTS))
        self.tokens = tokens
        nodes, tolerance = int(here["nodes"]), tokens.fine.flow.tolerance
        self.handover = Handover(tokens.time, nodes, tolerance, seams["second_moment"])

    def absent(self) -> dict[str, Real]:
        """What is recorded on the grid for series that only nodes fill."""
        absent = {"nodes": np.array(0.0)}
        if not self._barred and self.option == "tokens":
            specs = self._diagnostics.observable_quantities
            absent |= {f"{name}_error": np.full(spec.shape, np.nan) for name, spec in specs.items()}
        return absent

    def now_exhausted(self, t: float, nodes: float) -> bool:
        """Whether a record at time t is the first with as many nodes as there may be."""
        most = None if self.tokens is None else self.tokens.fine.flow.most_nodes
        if self.exhausted is not None or most is None or nodes < most:
            return False
        self.exhausted = t
        return True

    # ---- checkpoints

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The nodes, for a checkpoint."""
        return {} if self.tokens is None else {TOKENS + name: a for name, a in self.tokens.arrays().items()}

    def to_json(self) -> dict[str, Any]:
        """What else a checkpoint needs."""
        state: dict[str, Any] = {"watch": asdict(self._watch), "may_hand_over": self.possible}
        if self.tokens is not None and self.handover is not None:
            state |= {"tokens": self.tokens.to_json(), "handover": self.handover._asdict()}
            state["exhausted"] = self.exhausted
        return state

    def restore(self, initial: Density, arrays: Mapping[str, NDArray[Any]], state: Mapping[str, Any]) -> None:
        """Take up what ``arrays`` and ``to_json`` described; ``initial`` is the density that the run began with."""
        if "watch" in state:
            self._watch = HorizonWatch(**state["watch"])
            self.possible = state["may_hand_over"]
        self.tokens = None
        if "tokens" in state:
            if "tracks" not in state["tokens"]:
                raise InputError("the checkpoint keeps nodes as an earlier version did; expected a run begun anew")
            own = {name.removeprefix(TOKENS): a for name, a in arrays.items() if name.startswith(TOKENS)}
            self.tokens = TokenContinuation.restored(self._diagnostics, initial, own, state["tokens"], self._interrupt)
            self.handover = Handover(**state["handover"])
        self.exhausted = state.get("exhausted")
