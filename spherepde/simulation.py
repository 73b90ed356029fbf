"""A run: march the equation, watch it, write it down; stop for a reason, and resume bit for bit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from .continuation import LOST, WITHOUT_BARS, Handover, HorizonWatch, TokenContinuation, hand_over
from .densities import Density
from .diagnostics import Diagnostics
from .equation import ContinuityEquation
from .error_bars import ErrorBars, bar_quantities
from .errors import InputError, NumericalError
from .footprint import require_run_memory
from .heads import NUMBER
from .memory import of_this_machine
from .monitors import Horizons, Interrupt, ProgressLine, guard, interruptible
from .recording import Recorder
from .result import Result
from .run_options import check_options, landing_times, run_warnings
from .steppers import (
    FixedStep,
    Step,
    StepController,
    Tableau,
    imex_step,
    initial_step_size,
    march,
    tableau_named,
)
from .store import SeriesSpec, StorageError

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]

DEFAULT_RTOL = 1e-8
POTENTIAL, TOKENS = "potential_", "tokens_"
COURANT_SAFETY = 0.95
"""Adaptive steps stay below this fraction of the scheme's stability limit in dt·max|v|·lmax: beyond it, explicit stages
amplify the spectral tail long before a weak norm notices."""


class Simulation:
    """One run of a continuity equation from an initial density.

    Parameters
    ----------
    model: the equation on its space.
    initial: a :class:`~spherepde.densities.Density`.
    out: HDF5 file to write, or None to keep only the final state. Refused if it exists, unless ``overwrite``.
    save_every: interval between snapshots (time units; default: until / 50).
    stepper: "ark436" (order 4, adaptive) or "ars443" (order 3, fixed steps only).
    rtol: local error per step relative to the state; or dt: a fixed step.
    companion_lmax: degree of a second run in lockstep whose difference is the error bar of every moment; 0 for none.
    save_density, save_velocity: write nodal densities; write the source moments of the velocity at every step.
    wasserstein: record the distances to the limit Π♯ρ₀ where it is known (:mod:`spherepde.concentration`).
    checkpoint_every: wall-clock seconds between checkpoints.
    continuation: beyond the velocity horizon the density may go on as weighted nodes (:mod:`spherepde.continuation`):
    "auto" if ``until`` lies beyond the horizon that the companion foretells; "tokens" also without a companion, at 1.3
    times the field horizon; "none" to stay on the grid. Not with diffusion, which has no characteristics.

    Raises InputError for a density the space cannot hold, contradictory options, an output that cannot be written, or a
    machine with too little memory; ``footprint`` is what the run takes.
    """

    def __init__(
        self,
        model: ContinuityEquation,
        initial: Density,
        out: str | Path | None = None,
        *,
        save_every: float | None = None,
        stepper: str = "ark436",
        rtol: float | None = None,
        dt: float | None = None,
        companion_lmax: int = 0,
        save_density: bool = True,
        save_velocity: bool = True,
        wasserstein: bool = True,
        checkpoint_every: float = 60.0,
        continuation: str = "auto",
        overwrite: bool = False,
        progress: bool = True,
    ) -> None:
        self.model = model
        self.initial = initial
        self.save_every = save_every
        self.tableau: Tableau = tableau_named(stepper)
        self.rtol = DEFAULT_RTOL if rtol is None and dt is None else rtol
        self.dt = dt
        self.companion_lmax = companion_lmax
        self.wasserstein = wasserstein
        self.checkpoint_every = checkpoint_every
        self.continuation = continuation
        self.progress = progress
        check_options(
            model,
            initial,
            self.tableau,
            rtol=self.rtol,
            dt=dt,
            save_every=save_every,
            companion_lmax=companion_lmax,
            checkpoint_every=checkpoint_every,
            continuation=continuation,
        )
        path = None if out is None else Path(out)
        self.footprint = require_run_memory(
            model.attention,
            model.space.lmax,
            backend=model.space.backend,
            companion_lmax=companion_lmax,
            stages=self.tableau.stages,
            file=path is not None,
            density=save_density,
            velocity=save_velocity,
        )
        self.recorder = Recorder(path, model, density=save_density, velocity=save_velocity, overwrite=overwrite)
        self.recorder.memory_estimate = self.footprint.peak
        self.diagnostics = Diagnostics(model)
        self.horizons = Horizons()
        self.time = 0.0
        self.state = self._project(model, "lmax")
        if wasserstein:
            self.diagnostics.start(self.state)
        self.error_bars: ErrorBars | None = None
        if companion_lmax:
            coarse = model.on(model.space.refined(companion_lmax))
            state = self._project(coarse, "companion_lmax")
            watching = Diagnostics(coarse)
            watching.limit = self.diagnostics.limit
            self.error_bars = ErrorBars.start(self.diagnostics, watching, self.tableau, state)
        self.controller = self._controller()
        self.tokens: TokenContinuation | None = None
        """The nodes that carry the density once the grid no longer does."""
        self._landed = True
        self._watch = HorizonWatch()
        self._may_hand_over = continuation != "none" and not model.diffusion
        if self._may_hand_over:
            self.recorder.keep_velocity()

    def __repr__(self) -> str:
        out = f", file {self.recorder.path}" if self.recorder.path is not None else ""
        return f"Simulation({self.model!r}, {self.initial!r}, at t = {self.time:g}{out})"

    # ---- setting up

    def _project(self, model: ContinuityEquation, key: str) -> Modal:
        try:
            u = model.space.project(self.initial)
        except InputError as error:
            raise InputError(str(error).replace("space.lmax", f"space.{key}")) from None
        return u / model.space.moments(u)[0]

    def _controller(self) -> StepController | FixedStep:
        if self.dt is not None:
            return FixedStep(self.dt)
        assert self.rtol is not None
        order = self.tableau.order
        return StepController(
            self.rtol, order, initial_step_size(self.model, self.model.norm, self.state, self.rtol, order)
        )

    @property
    def warnings(self) -> list[str]:
        """Sentences about a run that will work less well than it could."""
        stable = None
        if self.dt is not None:
            stable = self._stable_step(float(self.diagnostics.measure(self.state)["max_speed"]))
        return run_warnings(
            self.tableau,
            lmax=self.model.space.lmax,
            bandwidth=self.recorder.source_degree,
            dt=self.dt,
            stable=stable,
            timed=self.error_bars is None or self.error_bars.timed,
        )

    def to_config(self, until: float | None = None) -> dict[str, Any]:
        """The run as a configuration file would say it."""
        stepping = {"dt": self.dt} if self.dt is not None else {"rtol": self.rtol}
        return {
            "model": self.model.to_config(),
            "initial": self.initial.parameters,
            "space": {
                **self.model.space.to_config(),
                "companion_lmax": self.companion_lmax,
                "damping": self.model.damping,
            },
            "time": {
                "until": until,
                "save_every": self.save_every,
                "stepper": self.tableau.name,
                **stepping,
                "continue": self.continuation,
            },
            "output": {
                "file": str(self.recorder.path),
                "density": self.recorder.density,
                "velocity": self.recorder.velocity,
                "wasserstein": self.wasserstein,
                "checkpoint_every": self.checkpoint_every,
            },
        }

    # ---- running

    def run(self, until: float) -> Result:
        """March to ``until``, recording every accepted step; ends with a reason, a flushed file and a checkpoint."""
        if not (isinstance(until, NUMBER) and np.isfinite(until) and until > self.time):
            raise InputError(f"time.until = {until!r}: expected a time after t = {self.time:g}")
        if self.save_every is None:
            self.save_every = until / 50.0
        line = ProgressLine(self.time, until, enabled=self.progress)
        try:
            self.recorder.cover(until)
            if self.time > 0.0 and self.recorder.path is not None and not self.recorder.is_open:
                self.restore()  # a second run of the same simulation goes on with its file
            remark = self.model.attention.schedule.remark(until)
            warnings = self.warnings + ([] if remark is None else [remark])
            self.recorder.open(self._series(), self.to_config(until), warnings, self._limit())
            line.say(f"memory: {of_this_machine(self.footprint.peak)}")
            for warning in warnings:
                line.say(f"warning: {warning}")
            with interruptible() as interrupt, threadpool_limits(self.model.space.threads, user_api="blas"):
                status, reason, values = self._march(until, line, interrupt)
                status, reason = self._conclude(status, reason)
        except Exception as error:  # a function of time that fails: the file says so before the program ends
            sentence = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
            self._conclude("stopped", f"{sentence} (at t = {self.time:.6g})")
            raise
        finally:
            line.close()
            self.recorder.close()
        return Result(status, reason, self.time, self.state, values, self.horizons, self.recorder.path)

    def _march(self, until: float, line: ProgressLine, interrupt: Interrupt) -> tuple[str, str, dict[str, Real]]:
        last_checkpoint = time.monotonic()
        values = self._stand(line)
        try:
            if self.time == 0.0:
                self.recorder.record(self.time, values, self.state)
                self.recorder.save(self.time, self.state)
                self._checkpoint()
            assert self.save_every is not None
            breaks = self.model.attention.schedule.breaks
            for target, saving in landing_times(self.time, until, self.save_every, breaks):
                self._hand_over_if_due(until, values, line)
                on = (
                    self._on_grid(target, saving, line) if self.tokens is None else self._on_nodes(target, saving, line)
                )
                for values in on:
                    if interrupt.name and self._landed:
                        return "interrupted", f"interrupted by {interrupt.name} at t = {self.time:g}", values
                    if self._landed and time.monotonic() - last_checkpoint > self.checkpoint_every:
                        self._checkpoint()
                        last_checkpoint = time.monotonic()
        except (NumericalError, StorageError, InputError) as error:  # the last: heads that a function of time gave
            return "stopped", str(error), values
        return "done", f"reached t = {until:g}", values

    def _stand(self, line: ProgressLine) -> dict[str, Real]:
        """The values at the time where a march begins."""
        self.model.enter(self.time)
        if self.tokens is not None:
            return self._values(self.tokens.now().values, 0.0, line, saving=False)
        if self.error_bars is not None:
            self.error_bars.companion.equation.enter(self.time)
        values = self._values(self.diagnostics.measure(self.state), 0.0, line, saving=self.time == 0.0)
        self._prepare_step(values)
        return values

    def _on_grid(self, target: float, saving: bool, line: ProgressLine) -> Iterator[dict[str, Real]]:
        """Accepted steps to a target, recorded; what was recorded of each."""
        step = self._step
        for accepted in march(step, self.model.norm, self.controller, self.state, self.time, target):
            self.model.enter(accepted.time)
            measured = self.diagnostics.measure(accepted.state)
            guard(accepted.time, measured)
            self.time, self.state = accepted.time, accepted.state
            if self.error_bars is not None:
                self.error_bars = self.error_bars.after(accepted, measured)
            values = self._values(measured, accepted.step_size, line, saving=saving and self.time == target)
            if self.error_bars is not None:
                self._watch.add(self.time, self.error_bars.from_space(values))
            self._prepare_step(values)
            self._write(values, line, saving=saving and self.time == target)
            yield values

    def _on_nodes(self, target: float, saving: bool, line: ProgressLine) -> Iterator[dict[str, Real]]:
        """The same of the nodes that go on where the grid ended."""
        assert self.tokens is not None
        self._landed = False
        for row in self.tokens.rows(target):
            self.model.enter(row.time)
            guard(row.time, {name: value for name, value in row.values.items() if name not in LOST})
            self.time, self.state = row.time, row.state
            values = self._values(row.values, row.step_size, line, saving=saving and self.time == target)
            self._write(values, line, saving=saving and self.time == target)
            self._landed = self.time == target
            yield values

    def _write(self, values: dict[str, Real], line: ProgressLine, *, saving: bool) -> None:
        self.recorder.record(self.time, values, self.state)
        line.update(self.time, float(values["step_size"]), values)
        if saving:
            self.recorder.save(self.time, self.state)

    def _hand_over_if_due(self, until: float, values: dict[str, Real], line: ProgressLine) -> None:
        """Go over to nodes where the run must, or where it was asked to and can."""
        if not self._may_hand_over or self.tokens is not None or self.time == 0.0:
            return
        foretold = self._watch.horizon() if self.error_bars is not None else None
        if self.error_bars is None and self.continuation == "tokens" and self.horizons.field is not None:
            foretold = WITHOUT_BARS * self.horizons.field if self.time >= WITHOUT_BARS * self.horizons.field else None
        if foretold is None or foretold >= until:
            return
        offsets = {
            name: float(np.max(values[f"{name}_error"]))
            for name in self.diagnostics.observable_quantities
            if f"{name}_error" in values
        }
        try:
            t, moments = self.recorder.velocity_record()
            self.tokens = hand_over(self.diagnostics, self.initial, t, moments, offsets, line.say)
        except (NumericalError, InputError) as error:
            if self.continuation == "tokens":
                raise
            self._may_hand_over = False
            line.say(f"no handover at t = {self.time:.4g}, the grid goes on: {error}")
            return
        here = self.tokens.now().values
        seam = float(np.abs(here["second_moment"] - values["second_moment"]).max())
        handover = Handover(self.time, int(here["nodes"]), self.tokens.fine.flow.tolerance, seam)
        self.recorder.note(handover=handover._asdict())

    def _conclude(self, status: str, reason: str) -> tuple[str, str]:
        """Leave a checkpoint of the last good state and the reason in the file; a full disk changes both."""
        try:
            self._checkpoint()
        except StorageError as error:
            status, reason = "stopped", str(error) if status == "done" else reason
        self.recorder.finish(status, reason, asdict(self.horizons))
        return status, reason

    def _values(
        self, measured: dict[str, Real], step_size: float, line: ProgressLine, *, saving: bool
    ) -> dict[str, Real]:
        """A row of the series: what was measured, its error bars, the horizons known so far, the step taken."""
        solved = dict.fromkeys(self.diagnostics.solved_quantities, np.array(np.nan))
        if saving:
            solved = self.diagnostics.solve(self.state, measured)
        bars: dict[str, Real] = {}
        if self.error_bars is not None and self.tokens is None:
            bars = self.error_bars.values(measured)
        values = measured | solved | bars
        for sentence in self.horizons.watch(self.time, values):
            line.say(sentence)
        for name, horizon in asdict(self.horizons).items():
            values[f"{name}_horizon"] = np.array(np.nan if horizon is None else horizon)
        return {"nodes": np.array(0.0)} | values | {"step_size": np.array(step_size)}

    def _prepare_step(self, values: dict[str, Real]) -> None:
        """What the next step takes from the state it starts from, and from nothing else: damping and Courant limit."""
        self.model.adapt_damping(self.state)
        if self.dt is None:
            self.controller.largest_step = self._stable_step(float(values["max_speed"]))

    @cached_property
    def _step(self) -> Step:
        return imex_step(self.model, self.tableau)

    def _stable_step(self, speed: float) -> float:
        return COURANT_SAFETY * self.tableau.imaginary_limit / max(speed * self.model.space.lmax, 1e-300)

    # ---- writing

    def _series(self) -> dict[str, SeriesSpec]:
        quantities = dict(self.diagnostics.quantities)
        if self.error_bars is not None:
            quantities |= self.error_bars.quantities
        elif self.continuation == "tokens":
            quantities |= bar_quantities(self.diagnostics, "of the nodes that go on beyond the grid")
        quantities["field_horizon"] = SeriesSpec(
            (), "time beyond which the density is unresolved (NaN: not reached yet)"
        )
        quantities["velocity_horizon"] = SeriesSpec(
            (), "time beyond which moments are unreliable (NaN: not reached yet)"
        )
        quantities["step_size"] = SeriesSpec((), "time step just taken")
        quantities["nodes"] = SeriesSpec((), "weighted nodes that carry the density; 0 while the grid does")
        return quantities

    def _limit(self) -> dict[str, Any] | None:
        return None if self.diagnostics.limit is None else self.diagnostics.limit.to_json()

    def _checkpoint(self) -> None:
        if not self._landed:
            return
        arrays = {"state": self.state} | {POTENTIAL + name: a for name, a in self.diagnostics.potentials.items()}
        if self.error_bars is not None and self.error_bars.companion_state is not None:
            arrays["companion_state"] = self.error_bars.companion_state
        state = {
            "time": self.time,
            "save_every": self.save_every,
            "step_size": self.controller.step_size,
            "last_error": self.controller.last_error,
            "horizons": asdict(self.horizons),
            "limit_measure": self._limit(),
            "time_error": dict(self.error_bars.time_error) if self.error_bars is not None else {},
            "watch": asdict(self._watch),
        }
        if self.tokens is not None:
            arrays |= {TOKENS + name: array for name, array in self.tokens.arrays().items()}
            state["tokens"] = self.tokens.to_json()
        self.recorder.checkpoint(arrays, state)

    def restore(self) -> None:
        """Take up the state of the checkpoint beside the run file, dropping what the file holds beyond it."""
        arrays, state = self.recorder.restore()
        self.time, self.state = float(state["time"]), arrays["state"]
        self.wasserstein &= "limit_measure" in state  # a run begun before distances were recorded goes on without
        self.diagnostics.limit_from_json(state.get("limit_measure"))
        self.diagnostics.potentials.update(
            {name.removeprefix(POTENTIAL): a for name, a in arrays.items() if name.startswith(POTENTIAL)}
        )
        if self.error_bars is not None:
            self.error_bars.companion.limit = self.diagnostics.limit
            self.error_bars = replace(
                self.error_bars, companion_state=arrays.get("companion_state"), time_error=state["time_error"]
            )
        self.save_every = state["save_every"]
        self.controller.step_size, self.controller.last_error = state["step_size"], state["last_error"]
        self.horizons = Horizons(**state["horizons"])
        self._watch = HorizonWatch(**state.get("watch", {}))
        if "tokens" in state:
            own = {name.removeprefix(TOKENS): a for name, a in arrays.items() if name.startswith(TOKENS)}
            self.tokens = TokenContinuation.restored(self.diagnostics, self.initial, own, state["tokens"])
