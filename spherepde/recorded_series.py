"""What a run file's series are: every quantity that a run records, in words."""

from __future__ import annotations

from .diagnostics import Diagnostics
from .error_bars import ErrorBars, bar_quantities
from .store import SeriesSpec


def run_series(diagnostics: Diagnostics, error_bars: ErrorBars | None, continuation: str) -> dict[str, SeriesSpec]:
    """All series of a run by name: what is measured, error bars, horizons, steps and nodes.

    Without a companion error bars are recorded of nodes alone, where a run must go over to them ("tokens").
    """
    quantities = dict(diagnostics.quantities)
    if error_bars is not None:
        quantities |= error_bars.quantities
    elif continuation == "tokens":
        quantities |= bar_quantities(diagnostics, "of the nodes that go on beyond the grid")
    return quantities | {
        "field_horizon": SeriesSpec((), "time beyond which the density is unresolved (NaN: not reached yet)"),
        "velocity_horizon": SeriesSpec((), "time beyond which moments are unreliable (NaN: not reached yet)"),
        "step_size": SeriesSpec((), "time step just taken"),
        "nodes": SeriesSpec((), "weighted nodes that carry the density; 0 while the grid does"),
    }
