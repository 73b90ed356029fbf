"""The phases of a run file, with what theory predicts for its head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..heads import DominantEigenspace, Head
from ..predictions import Predictions, predict
from ..summary import RECORDED, Recorded, head_of, horizon_of
from .series import Phases, phases
from .terminal import Terminal, displacement, terminal_phase

Array = NDArray[np.float64]

DISTANCE_TOLERANCE = 0.05
"""Rates are measured while the error bar of the distance is below this fraction of it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RunPhases:
    """Measured and predicted phases of a run with a single head.

    ``decay`` of the distance to E, ``resting`` of W₂(ρ_t, Π♯ρ₀) (of the distance to E where W₂ was not recorded, see
    ``name``), read while trusted; ``terminal`` phase up to the velocity ``horizon`` (inf if that was not reached) and
    to the ``end`` of the record, both None where dim E > 1 or theory is silent; ``moved`` (n,) the displacement of the
    clusters, None where it is not expected to grow exponentially; ``theory`` None where there is none, ``silent`` says
    why; ``target`` E; ``log_beta`` None where β plays no role.
    """

    target: DominantEigenspace
    decay: Phases | None
    resting: Phases | None
    name: str
    terminal: Terminal | None
    end: Terminal | None
    moved: Array | None
    horizon: float
    theory: Predictions | None
    silent: str
    log_beta: float | None

    @property
    def left(self) -> bool:
        """Whether the run entered its terminal phase: the clusters are on their way, or beyond half way."""
        return self.end is not None and (self.end.turn is not None or self.end.exit is not None)


def trusted_until(series: Mapping[str, Array]) -> float:
    """Until when the distance to E is trusted: the velocity horizon, or where its own bar passes 5 % of it."""
    t, distance = series["t"], series["distance_to_E"]
    bar = series.get("distance_to_E_error", np.zeros_like(distance))
    lost = np.flatnonzero(~(bar <= DISTANCE_TOLERANCE * distance) | (distance == 0.0))
    return min(float(t[lost[0] - 1] if lost.size and lost[0] else t[-1]), horizon_of(series, "velocity"))


def read_phases(run: Recorded) -> RunPhases | str:
    """The phases of a run, or of a reference run; or why there are none to speak of, in words."""
    head, series = head_of(run.config), run.series
    if head is None or "distance_to_E" not in series:
        changes = " that does not change with time" if "layers" in run.config["model"] else ""
        return f"they are those of a single head{changes}"
    target = DominantEigenspace(head.A)
    if target.dim == head.dim:
        return "E is everything"
    model, t = run.config["model"], series["t"]
    cold = model["attention"] != "hardmax" and head.beta > 1.0
    log_beta = float(np.log(head.beta)) if cold else None
    silent = ""
    if model["attention"] == "unnormalised":
        silent = "theory is about softmax and hardmax attention"
    elif model.get("diffusion"):
        silent = "theory has no diffusion"
    theory = None if silent else predict(head, _mass(series))
    distance, trusted = series["distance_to_E"], trusted_until(series)
    known = series.get(RECORDED, np.full_like(distance, np.nan))
    recorded = int(np.count_nonzero(np.isfinite(known) & (t <= trusted))) >= 3
    decay = phases(t, distance, until=trusted, concentrated_by=log_beta)
    resting = phases(t, known if recorded else distance, until=trusted, concentrated_by=log_beta)
    horizon = horizon_of(series, "velocity")
    terminal, end, moved = None, None, None
    if target.dim == 1 and theory is not None and model["attention"] == "softmax":
        moved = _moved(head, theory, series)
        final = None if theory.keeps_target else theory.final.axis
        axis, second = target.axis, series["second_moment"]
        terminal = terminal_phase(t, moved, second, axis, final, until=horizon)
        end = terminal_phase(t, moved, second, axis, final)
    return RunPhases(
        target=target,
        decay=decay,
        resting=resting,
        name="W₂" if recorded else "distance to E",
        terminal=terminal,
        end=end,
        moved=moved,
        horizon=horizon,
        theory=theory,
        silent=silent,
        log_beta=log_beta,
    )


def _mass(series: Mapping[str, Array]) -> float:
    """The mass of the cluster at +e, when the density was trusted to be closest to E."""
    if "hemisphere_mass" not in series or not np.isfinite(series["distance_to_E"]).any():
        return 0.5
    trusted = series["t"] <= trusted_until(series)
    trusted[0] = True
    closest = int(np.nanargmin(np.where(trusted, series["distance_to_E"], np.inf)))
    return float(np.clip(series["hemisphere_mass"][closest], 0.0, 1.0))


def _moved(head: Head, theory: Predictions, series: Mapping[str, Array]) -> Array | None:
    """The displacement of the clusters in the direction that is predicted to grow, if exponential growth is."""
    pair, across = theory.escape.clusters, theory.escape.direction
    if pair is None or across is None:
        return None
    axis = _dual(head, pair.value, pair.axis)
    across = _dual(head, float(pair.transverse[pair.fastest].real), across)
    mode = pair.mode(pair.fastest)
    mass = float(np.clip(pair.mass, 1e-12, 1.0 - 1e-12))
    return displacement(series["mean"], series["second_moment"], axis, across, mode, mass)


def _dual(head: Head, value: float, vector: Array) -> Array:
    """The left eigenvector of V that belongs to an eigenvector, or that itself where it is one (V symmetric, or λI)."""
    if np.linalg.norm(head.V.T @ vector - value * vector) <= 1e-9 * np.linalg.norm(head.V, 2):
        return vector
    values, vectors = np.linalg.eig(head.V.T)
    left = np.real(vectors[:, int(np.argmin(np.abs(values - value)))])
    return np.asarray(left * np.sign(left @ vector) / np.linalg.norm(left), dtype=np.float64)
