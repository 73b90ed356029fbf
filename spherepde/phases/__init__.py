"""The phases of a run, read from its record: concentration, a metastable state, a terminal phase; beside the theory."""

from __future__ import annotations

from .reading import DISTANCE_TOLERANCE, RunPhases, read_phases, trusted_until
from .series import Fit, Phases, Window, fit_exponential, phases, usable
from .table import table_of_phases
from .terminal import Terminal, displacement, halfway, terminal_phase

__all__ = [
    "DISTANCE_TOLERANCE",
    "Fit",
    "Phases",
    "RunPhases",
    "Terminal",
    "Window",
    "displacement",
    "fit_exponential",
    "halfway",
    "phases",
    "read_phases",
    "table_of_phases",
    "terminal_phase",
    "trusted_until",
    "usable",
]
