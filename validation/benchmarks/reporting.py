"""Measured numbers beside what was wanted: rows, their table, and the JSON file with the facts of the machine."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_info

from spherepde.store.provenance import provenance

Timing = tuple[float, float, float]


@dataclass(frozen=True)
class Row:
    """One measured number. ``unit`` is "×" for ratios; ``at_most`` or ``at_least`` is what was wanted, if anything was.

    ``note`` says for a reader how it came about, ``details`` the numbers behind it for a program.
    """

    work: str
    value: float
    unit: str = "×"
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the value is what was wanted; None if nothing was, False for NaN."""
        if self.at_most is not None:
            return self.value <= self.at_most
        return None if self.at_least is None else self.value >= self.at_least

    @property
    def wanted(self) -> str:
        """What was wanted in words."""
        if self.at_most is not None:
            return f"≤ {self.at_most:g}"
        return "" if self.at_least is None else f"≥ {self.at_least:g}"


def ratio_row(work: str, timing: Timing, against: str, *, at_most: float | None = None) -> Row:
    """A row from :func:`timing.paired_milliseconds`."""
    ours, theirs, ratio = timing
    note = f"{ours:.3g} ms against {theirs:.3g} ms: {against}"
    return Row(work, ratio, at_most=at_most, note=note, details={"ms": ours, "yardstick": against, "ms_of_it": theirs})


def yes_or_no(met: bool | None) -> str:
    """The cell of a table."""
    return "" if met is None else "yes" if met else "[bold]NO[/bold]"


def table_of(title: str, rows: Sequence[Row]) -> Table:
    """The rows of one section, ``title`` over the first column."""
    table = Table(title, "measured", "wanted", "met", "how")
    for row in rows:
        table.add_row(row.work, f"{row.value:.3g} {row.unit}", row.wanted, yes_or_no(row.met), row.note)
    return table


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def machine_facts() -> dict[str, Any]:
    """Processor, cores, system, load, thread pools, and the command, versions and commit."""
    source: dict[str, Any] = dict(provenance(sys.argv))
    source["versions"] = json.loads(source["versions"])
    pools = {pool["internal_api"]: pool["num_threads"] for pool in threadpool_info()}
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "load_average": os.getloadavg(),
        "threads": pools,
        **source,
    }


def write_json(path: Path, **parts: Any) -> None:
    """Write the parts and the machine's facts; rows get what they wanted and whether it was met."""

    def plain(value: Any) -> Any:
        if isinstance(value, Row):
            return {**asdict(value), "met": value.met}
        if isinstance(value, Mapping):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine_facts(), **plain(parts)}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")


def console() -> Console:
    """A console wide enough for the tables, whatever the terminal."""
    return Console(width=170)
