"""The phases of a run in a table: each measurement beside its prediction, one line each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..predictions import Predictions
from ..summary import Recorded
from .reading import RunPhases, read_phases
from .series import Fit
from .terminal import Terminal

NOTHING = "–"
HEADER = ("", "", "measured", "predicted", "ratio")


class Row(NamedTuple):
    """One line: the phase, the quantity, what was measured, what is predicted, their ratio."""

    phase: str
    quantity: str
    measured: str
    predicted: str
    ratio: str = NOTHING


def table_of_phases(run: Recorded, read: RunPhases | str | None = None) -> str:
    """What ``info`` says of the phases of a run: a table, and notes where something calls for one.

    ``read`` is what :func:`.read_phases` says of the run, where that is known already.
    """
    read = read_phases(run) if read is None else read
    if isinstance(read, str):
        return f"phases: none to speak of ({read})"
    rows = rows_of(read)
    cells = [("phases", *HEADER[1:]), *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(5)]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([lines[0], *(f"  {line}" for line in lines[1:]), *(f"  {note}" for note in notes_of(read))])


def rows_of(read: RunPhases) -> list[Row]:
    """The lines of the table."""
    theory = read.theory
    rows = [_concentration(read, theory), _rest(read, theory)]
    if theory is None or read.terminal is None or read.end is None:
        return [*rows, Row("terminal", NOTHING, NOTHING, _no_terminal(read))]
    if theory.escape.kind == "stable":
        seen = f"{_degrees(read.end.off_target)} from E at t = {read.end.when:.4g}"
        return [
            *rows,
            Row("terminal", "dominant axis", seen, f"none: E is stable, rate {_signed(theory.escape.value)}"),
        ]
    return [*rows, *_terminal(read, theory, read.terminal, read.end)]


def notes_of(read: RunPhases) -> list[str]:
    """What a reader of the table has to know besides."""
    notes = []
    if np.isfinite(read.horizon):
        notes.append(f"* read beyond the velocity horizon, t = {read.horizon:.4g}: no error bar")
    if read.silent:
        notes.append(f"no predictions: {read.silent}")
    if read.end is not None and read.end.seeded_by_rounding and read.moved is not None:
        notes.append(
            "displacements grew out of rounding errors: the data are symmetric, so when they turned means nothing"
        )
    if read.theory is not None and read.theory.escape.kind == "drift" and read.terminal is not None:
        notes.append(read.theory.escape.sentence)
    return notes


def _concentration(read: RunPhases, theory: Predictions | None) -> Row:
    fit = None if read.decay is None else read.decay.decay
    measured = NOTHING if fit is None else _fitted(fit)
    if theory is None:
        return Row("concentration", "rate towards E", measured, NOTHING)
    expected = theory.wasserstein_2
    if expected.value is None:
        return Row("concentration", "rate towards E", measured, expected.sentence)
    words = f"{expected.value:.4f} = {expected.formula}" + (f", times t^{expected.power:.2g}" if expected.power else "")
    if theory.pointwise.value is not None and abs(theory.pointwise.value - expected.value) > 1e-9:
        words += f"; {theory.pointwise.value:.4f} near E"
    return Row("concentration", "rate towards E", measured, words, _ratio(fit, -expected.value))


def _rest(read: RunPhases, theory: Predictions | None) -> Row:
    found = read.resting
    if found is None:
        return Row("metastable", f"{read.name} ≤ 2 min", NOTHING, NOTHING)
    least = f"minimum {found.minimum:.4g} at t = {found.minimum_time:.2f}"
    open_end = " …" if found.window.open_right else ""
    if found.at_rest:
        measured = f"t = {found.window.start:.2f} … {found.window.end:.2f}{open_end}, {least}"
    else:
        measured = f"{'not reached by' if found.decay is None else 'still falling at'} t = {found.until:.4g}"
    slope = None if theory is None else theory.least_distance.value
    predicted = NOTHING if slope is None else f"minimum at {slope:.3f}·log β + const"
    return Row("metastable", f"{read.name} ≤ 2 min", measured, predicted)


def _no_terminal(read: RunPhases) -> str:
    if read.target.dim > 1:
        return "not predicted: E is a great circle, along which tokens move slowly, at 1/β"
    if read.silent:
        return NOTHING
    return "none at zero temperature"


def _terminal(read: RunPhases, theory: Predictions, trusted: Terminal, end: Terminal) -> list[Row]:
    rows, until = [], end.when

    def seen(within: float | None, later: float | None) -> str:
        if within is not None:
            return f"at t = {within:.3f}"
        mark = " *" if until > read.horizon else ""
        return f"not by t = {until:.4g}{mark}" if later is None else f"at t = {later:.3f} *"

    if theory.escape.kind == "exponential" and theory.escape.value is not None:
        slope = theory.turning.value
        words = NOTHING if slope is None else f"{slope:.3f}·log β + const, at βs² = {theory.turning.width:.3g}"
        turns = "grows from the start" if trusted.turn == 0.0 else seen(trusted.turn, end.turn)
        rows.append(Row("terminal", "cluster displacement turns", turns, words))
        fit, mark = (trusted.escape, "") if trusted.escape is not None else (end.escape, " *")
        measured = "too little to measure" if fit is None else f"{_fitted(fit)}{mark}"
        words = f"{theory.escape.value:.4g} = {theory.escape.formula}"
        rows.append(Row("", "escape rate", measured, words, _ratio(fit, theory.escape.value)))
    else:
        drift = f"at the speed {theory.escape.speed:.3g} = |P_eVe|, late" if theory.escape.kind == "drift" else ""
        rows.append(Row("terminal", "escape", NOTHING, drift or theory.escape.sentence))
    if theory.final.axis is not None and not theory.keeps_target:
        rows.append(Row("", "half way (exit)", seen(trusted.exit, end.exit), NOTHING))
    rows.append(_final(read, theory, end))
    return rows


def _final(read: RunPhases, theory: Predictions, end: Terminal) -> Row:
    mark = " *" if end.when > read.horizon else ""
    where = np.array2string(end.axis, precision=4, suppress_small=True, separator=", ")
    words = NOTHING
    if theory.final.axis is not None and not theory.keeps_target:
        where += f", {_degrees(end.off_final)} from it"
        words = "±" + np.array2string(theory.final.axis, precision=4, suppress_small=True, separator=", ") + " of V"
    elif theory.final.axis is None:
        words = theory.final.sentence.split(":")[0]
    return Row("", f"axis at t = {end.when:.4g}", f"{where}{mark}", words)


def _ratio(fit: Fit | None, expected: float) -> str:
    return NOTHING if fit is None or expected == 0.0 else f"{fit.slope / expected:.3f}"


def _fitted(fit: Fit) -> str:
    return f"{fit}, {fit.drifting}" if fit.drifting else str(fit)


def _signed(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4g}".replace("-", "−")


def _degrees(angle: float) -> str:
    return f"{np.degrees(angle):.2g}°"
