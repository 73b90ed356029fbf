"""A run: march the equation, watch it, write it down; stop for a reason, and resume bit for bit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from .checkpointing import limit_table, pack, unpack
from .continuation import Continuation
from .densities import Density
from .diagnostics import Diagnostics
from .equation import ContinuityEquation
from .error_bars import ErrorBars
from .errors import InputError, NumericalError
from .footprint import require_run_memory
from .heads import NUMBER
from .memory import of_this_machine
from .monitors import Horizons, Interrupt, Interrupted, ProgressLine, guard, interruptible
from .pace import Pace
from .recorded_series import run_series
from .recording import Recorder
from .result import Result
from .run_options import check_options, initial_state, landing_times, run_warnings
from .steppers import march, tableau_named
from .store import StorageError

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]

DEFAULT_RTOL = 1e-8


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
        tableau = tableau_named(stepper)
        rtol = DEFAULT_RTOL if rtol is None and dt is None else rtol
        self.companion_lmax = companion_lmax
        self.wasserstein = wasserstein
        self.checkpoint_every = checkpoint_every
        self.progress = progress
        check_options(
            model,
            initial,
            tableau,
            rtol=rtol,
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
            stages=tableau.stages,
            file=path is not None,
            density=save_density,
            velocity=save_velocity,
        )
        self.recorder = Recorder(path, model, density=save_density, velocity=save_velocity, overwrite=overwrite)
        self.recorder.memory_estimate = self.footprint.peak
        self.diagnostics = Diagnostics(model)
        self.horizons = Horizons()
        self.time = 0.0
        self.state = initial_state(model, initial)
        if wasserstein:
            self.diagnostics.start(self.state)
        self.error_bars: ErrorBars | None = None
        if companion_lmax:
            coarse = model.on(model.space.refined(companion_lmax))
            state = initial_state(coarse, initial, "companion_lmax")
            watching = Diagnostics(coarse)
            watching.limit = self.diagnostics.limit
            self.error_bars = ErrorBars.start(self.diagnostics, watching, tableau, state)
        self.pace = Pace(model, tableau, rtol, dt, self.state)
        self._last: dict[str, Real] = {}  # what was recorded or measured last
        self._interrupt = Interrupt()
        self.onward = Continuation(continuation, self.diagnostics, self._interrupt, barred=bool(companion_lmax))
        if self.onward.possible:
            self.recorder.keep_velocity()

    def __repr__(self) -> str:
        out = f", file {self.recorder.path}" if self.recorder.path is not None else ""
        return f"Simulation({self.model!r}, {self.initial!r}, at t = {self.time:g}{out})"

    # ---- setting up

    @property
    def warnings(self) -> list[str]:
        """Sentences about a run that will work less well than it could."""
        stable = None
        if self.pace.dt is not None:
            stable = self.pace.stable_step(float(self.diagnostics.measure(self.state)["max_speed"]))
        return run_warnings(
            self.pace.tableau,
            lmax=self.model.space.lmax,
            bandwidth=self.recorder.source_degree,
            dt=self.pace.dt,
            stable=stable,
            timed=self.error_bars is None or self.error_bars.timed,
        )

    def to_config(self, until: float | None = None) -> dict[str, Any]:
        """The run as a configuration file would say it."""
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
                **self.pace.to_config(),
                "continue": self.onward.option,
            },
            "output": {
                **self.recorder.to_config(),
                "wasserstein": self.wasserstein,
                "checkpoint_every": self.checkpoint_every,
            },
        }

    # ---- running

    def run(self, until: float) -> Result:
        """March to ``until``, recording every accepted step; ends with a reason, a flushed file and a checkpoint.

        SIGINT and SIGTERM stop it after the step on the grid, or amid one of nodes. A run that is done with just this
        end leaves its file alone. Raises InputError for an earlier end.
        """
        written = self.time > 0.0 and self.recorder.path is not None
        if not (isinstance(until, NUMBER) and np.isfinite(until) and until >= self.time) or (
            until == self.time and not written
        ):
            raise InputError(f"time.until = {until!r}: expected a time after t = {self.time:g}")
        if until == self.time and self.recorder.ended:
            reason = f"nothing left to do: it had reached t = {until:g}"
            values = self.recorder.last_values()
            return Result("done", reason, self.time, self.state.copy(), values, self.horizons, self.recorder.path)
        if self.save_every is None:
            self.save_every = until / 50.0
        line = ProgressLine(self.time, until, enabled=self.progress)
        try:
            self.recorder.cover(until)
            if self.time > 0.0 and not self.recorder.ready:
                self.restore()  # a second run of the same simulation goes on with its file
            remark = self.model.attention.schedule.remark(until)
            warnings = self.warnings + ([] if remark is None else [remark])
            series = run_series(self.diagnostics, self.error_bars, self.onward.option)
            with interruptible(self._interrupt), threadpool_limits(self.model.space.threads, user_api="blas"):
                self.recorder.open(series, self.to_config(until), warnings, limit_table(self.diagnostics))
                line.say(f"memory: {of_this_machine(self.footprint.peak)}")
                for warning in warnings:
                    line.say(f"warning: {warning}")
                status, reason = self._conclude(*self._march(until, line))
        except Exception as error:  # a function of time that fails: the file says so before the program ends
            sentence = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
            self._conclude("stopped", f"{sentence} (at t = {self.time:.6g})")
            raise
        finally:
            line.close()
            self.recorder.close()
        return Result(status, reason, self.time, self.state.copy(), self._last, self.horizons, self.recorder.path)

    def _march(self, until: float, line: ProgressLine) -> tuple[str, str]:
        last_checkpoint = time.monotonic()
        try:
            self._last = self._stand(line)
            if self.time == 0.0:
                self.recorder.record(self.time, self._last, self.state)
                self.recorder.save(self.time, self.state)
                self._checkpoint()
            assert self.save_every is not None
            breaks = self.model.attention.schedule.breaks
            for target, saving in landing_times(self.time, until, self.save_every, breaks):
                while self.time != target:
                    self._leave_grid_if_due(until, line)
                    go = self._on_grid if self.onward.tokens is None else self._on_nodes
                    for self._last in go(target, saving, until, line):
                        self._interrupt.check()
                        if time.monotonic() - last_checkpoint > self.checkpoint_every:
                            self._checkpoint()
                            last_checkpoint = time.monotonic()
        except Interrupted as signal:
            if self.time != until:
                return "interrupted", f"interrupted by {signal} at t = {self.time:g}"
        except (NumericalError, StorageError, InputError) as error:  # the last: heads that a function of time gave
            return "stopped", str(error)
        return "done", f"reached t = {until:g}"

    def _stand(self, line: ProgressLine) -> dict[str, Real]:
        """The values at the time where a march begins."""
        self.model.enter(self.time)
        if self.onward.tokens is not None:
            return self._values(self.onward.tokens.now().values, 0.0, line, saving=False)
        if self.error_bars is not None:
            self.error_bars.companion.equation.enter(self.time)
        values = self._values(self.diagnostics.measure(self.state), 0.0, line, saving=self.time == 0.0)
        self.pace.prepare(self.state, float(values["max_speed"]))
        return values

    def _on_grid(self, target: float, saving: bool, until: float, line: ProgressLine) -> Iterator[dict[str, Real]]:
        """Accepted steps to a target, or to where the grid must be left, recorded; what was recorded of each."""
        for accepted in march(self.pace.step, self.model.norm, self.pace.controller, self.state, self.time, target):
            self.model.enter(accepted.time)
            measured = self.diagnostics.measure(accepted.state)
            guard(accepted.time, measured)
            self.time, self.state = accepted.time, accepted.state
            if self.error_bars is not None:
                self.error_bars = self.error_bars.after(accepted, measured)
            values = self._values(measured, accepted.step_size, line, saving=saving and self.time == target)
            if self.error_bars is not None:
                self.onward.watch(self.time, self.error_bars.from_space(values))
            self.pace.prepare(self.state, float(values["max_speed"]))
            self._write(values, line, saving=saving and self.time == target)
            yield values
            if self.onward.due(self.time, until, self.horizons.field):
                return

    def _on_nodes(self, target: float, saving: bool, until: float, line: ProgressLine) -> Iterator[dict[str, Real]]:
        """The same of the nodes that go on where the grid ended."""
        assert self.onward.tokens is not None
        for row in self.onward.tokens.rows(target):
            self.model.enter(row.time)
            self.time, self.state = row.time, row.state
            values = self._values(row.values, row.step_size, line, saving=saving and self.time == target)
            self._write(values, line, saving=saving and self.time == target)
            if self.onward.now_exhausted(self.time, float(values["nodes"])):
                line.say(f"nodes at t = {self.time:.4g}: as many as may be, cells divide no more; see the error bars")
                self.recorder.note(nodes_exhausted=self.time)
            yield values

    def _write(self, values: dict[str, Real], line: ProgressLine, *, saving: bool) -> None:
        self.recorder.record(self.time, values, self.state)
        line.update(self.time, float(values["step_size"]), values)
        if saving:
            self.recorder.save(self.time, self.state)

    def _leave_grid_if_due(self, until: float, line: ProgressLine) -> None:
        """Go over to nodes where the run must, or where it was asked to and can."""
        if not self.onward.due(self.time, until, self.horizons.field):
            return
        self.onward.begin(self.initial, lambda: self.recorder.velocity_record(self.time), self._last, line.say)
        if self.onward.handover is not None:
            self.recorder.note(handover=self.onward.handover._asdict())
            if remark := self.onward.handover.remark:
                line.say(f"warning: {remark}")
                self.recorder.note(handover_remark=remark)
            self._checkpoint()

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
        values = measured | dict.fromkeys(self.diagnostics.solved_quantities, np.array(np.nan))
        if saving:
            values |= self.diagnostics.solve(self.state, measured)
        if self.error_bars is not None and self.onward.tokens is None:
            values |= self.error_bars.values(measured)
        for sentence in self.horizons.watch(self.time, values):
            line.say(sentence)
        values |= self.horizons.values()
        return self.onward.absent() | values | {"step_size": np.array(step_size)}

    # ---- checkpoints

    def _checkpoint(self) -> None:
        self.recorder.checkpoint(*pack(self))

    def restore(self) -> None:
        """Take up the state of the checkpoint beside the run file; what that holds beyond it is dropped by ``run``."""
        unpack(self, *self.recorder.restore())
