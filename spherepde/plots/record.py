"""An open run file as the figures see it: what to show, how far to trust it, and what theory expects."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..heads import DominantEigenspace, concentration_rate
from ..phases import RunPhases, read_phases
from ..spaces import Space, space_for
from ..store import RunFile
from ..summary import handover_of, head_of, jumps_of, model_in_words

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]

FAMILIES = {
    "fisher_bingham": "Fisher–Bingham",
    "von_mises_fisher": "von Mises–Fisher",
    "poisson_kernel": "Poisson kernel",
    "file": "from an earlier run",
}
SHOWN = 6
"""Snapshots shown, at most."""
RESOLVED_SHARE = 4
"""How many of them lie before the field horizon, if the run goes beyond it."""


class Record:
    """A run file, open, and what every figure asks of it.

    Attributes: ``run``; ``model`` its [model] table; ``dim``; ``series`` and ``t`` (n,) their times; ``field_horizon``
    and ``velocity_horizon`` (None: not reached); ``handover``, when nodes took over (None: never); ``head`` the single
    head or None; ``target`` its E; ``rate`` the predicted rate of decay of the distance to E, None where theory has
    none (several heads, no denominator, diffusion); ``log_beta`` or None (several heads, no denominator, hardmax,
    β ≤ 1); ``jumps`` (m,) the times where heads jump.
    Raises InputError if the file holds no snapshot or no model.
    """

    def __init__(self, run: RunFile) -> None:
        self.run = run
        self.series = run.series
        self.t = self.series["t"]
        if not len(run.times) or not len(self.t):
            raise InputError(f"{run.path} holds no snapshot yet: nothing to draw")
        if not {"model", "initial", "space"} <= set(run.config):
            raise InputError(f"{run.path} does not say which model it ran: no figures without a configuration")
        self.model: dict[str, Any] = run.config["model"]
        self.dim = int(self.model["dim"])
        self.field_horizon = self._horizon("field")
        self.velocity_horizon = self._horizon("velocity")
        handover = handover_of(run.attributes)
        self.handover = None if handover is None else float(handover["time"])
        self.jumps = jumps_of(self.model)
        self.head = head_of(run.config)
        self.target = None if self.head is None else DominantEigenspace(self.head.A)
        beta, self.rate, self.log_beta = self.model.get("beta"), None, None
        if self.head is not None and self.model["attention"] != "unnormalised":
            self.rate = None if self.model.get("diffusion") else concentration_rate(self.head)
            self.log_beta = float(np.log(beta)) if beta is not None and beta > 1.0 else None

    def _horizon(self, name: str) -> float | None:
        last = float(self.series[f"{name}_horizon"][-1]) if f"{name}_horizon" in self.series else np.nan
        return None if np.isnan(last) else last

    # ---- words

    @property
    def title(self) -> str:
        """The model; matrices and "V = …" hold together where lines are broken."""
        return model_in_words(self.model)

    @property
    def subtitle(self) -> str:
        """Initial density, resolution and how the run ended."""
        space = self.run.config["space"]
        companion, family = space.get("companion_lmax"), self.run.config["initial"]["family"]
        words = [
            f"initial density: {FAMILIES.get(family, family)}",
            f"lmax {space['lmax']}" + (f", companion {companion}" if companion else ", no companion"),
        ]
        status = self.run.attributes.get("status", "")
        if status != "done":
            words.append(f"{status} at t = {self.t[-1]:.4g}")
        return "   ·   ".join(words)

    @property
    def source(self) -> str:
        """Where the numbers are from: file, commit, time of creation."""
        attributes = self.run.attributes
        return f"{self.run.path.name}, commit {attributes.get('commit', 'unknown')}, {attributes.get('created', '')}"

    # ---- what to show

    @cached_property
    def shown(self) -> list[int]:
        """Snapshots to show: the first, the last, and others evenly spread over the resolved time and the rest."""
        times = self.run.times
        resolved = int(np.searchsorted(times, self.resolved_until))
        if 0 < resolved < len(times):
            before = np.linspace(times[0], times[resolved - 1], RESOLVED_SHARE)
            after = np.linspace(times[resolved - 1], times[-1], SHOWN - RESOLVED_SHARE + 1)[1:]
            wanted = np.concatenate([before, after])
        else:
            wanted = np.linspace(times[0], times[-1], SHOWN)
        return sorted({int(np.argmin(np.abs(times - t))) for t in wanted})

    def resolved(self, index: int) -> bool:
        """Whether the density of a snapshot is resolved: taken before the field horizon and before nodes took over."""
        return bool(self.run.times[index] < self.resolved_until)

    @property
    def resolved_until(self) -> float:
        """When the grid ceased to resolve the density, or nodes took over; infinite if neither happened."""
        return min((t for t in (self.field_horizon, self.handover) if t is not None), default=np.inf)

    @property
    def unresolved_note(self) -> str:
        """Which of the times shown are left out of the curves of the density, and why; empty if none is."""
        times = [f"{self.run.times[index]:.4g}" for index in self.shown if not self.resolved(index)]
        return f"not resolved on the grid:\nt = {', '.join(times)}" if times else ""

    def doubt(self, index: int) -> str:
        """What is wrong with the density of a snapshot, in a word or two; empty before the field horizon."""
        if self.velocity_horizon is not None and self.run.times[index] >= self.velocity_horizon:
            return "beyond both horizons" if not self.resolved(index) else "beyond the velocity horizon"
        return "" if self.resolved(index) else "unresolved: moments only"

    @cached_property
    def space(self) -> Space:
        """The space the run was computed on, rebuilt with whichever backend is installed."""
        return space_for(self.dim, int(self.run.config["space"]["lmax"]))

    def coefficients(self, index: int) -> Modal:
        """Modal coefficients of a snapshot."""
        return self.run.coefficients(index)

    def error(self, name: str) -> Real | None:
        """The error bar of a quantity, or None if the run had no companion."""
        return self.series.get(f"{name}_error")

    # ---- theory

    @property
    def has_limit(self) -> bool:
        """Whether the distances to the low-temperature limit Π♯ρ₀ were recorded, of both orders and both grounds."""
        names = {f"wasserstein_{p}_{ground}" for p in (1, 2) for ground in ("geodesic", "chordal")}
        return self.target is not None and self.target.dim < self.dim and names <= set(self.series)

    @property
    def has_distance(self) -> bool:
        """Whether a distance to E was recorded that is not zero by definition."""
        return "distance_to_E" in self.series and self.target is not None and self.target.dim < self.dim

    @cached_property
    def phases(self) -> RunPhases | None:
        """The phases of the run beside what is predicted; None where there are none to speak of."""
        found = read_phases(self.run)
        return None if isinstance(found, str) else found

    @property
    def has_terminal(self) -> bool:
        """Whether the run entered a terminal phase."""
        return self.has_distance and self.phases is not None and self.phases.left
