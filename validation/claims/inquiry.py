"""What a script asks and finds: claims, figures and remarks, printed as they come and written as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from matplotlib.figure import Figure

from spherepde.store import provenance

from .figures import drawn
from .lines import Claim, Measured
from .parts import kept, uninterrupted

T = TypeVar("T")


@dataclass
class Inquiry:
    """Collects what a script finds; ``full`` is its mode, ``out`` the folder of figures, JSON and kept parts (or None).

    ``script`` is its file, ``description`` its docstring. After each claim and figure the JSON is written anew, so that
    an interrupted script leaves what it had.
    """

    script: Path
    full: bool = False
    out: Path | None = None
    stale: bool = False
    description: str = ""
    claims: list[Claim] = field(default_factory=list)
    groups: list[tuple[str, int]] = field(default_factory=list)
    figures: list[dict[str, str]] = field(default_factory=list)
    tables: list[dict[str, Any]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    from_other_code: bool = False
    began: float = field(default_factory=time.perf_counter)
    worked: float = field(default_factory=time.process_time)
    provenance: dict[str, str] = field(default_factory=lambda: provenance(sys.argv))

    # ---- claims

    def equal(
        self,
        what: str,
        predicted: float,
        measured: Measured,
        *,
        source: str = "",
        excluded: float | None = None,
        known: str = "",
    ) -> bool:
        """The measurement agrees with the prediction within its error bar (and is two bars off a rival law's value)."""
        return self._add(Claim(what, float(predicted), measured, "equal", source, excluded, known))

    def at_most(self, what: str, limit: float, measured: Measured, *, source: str = "", known: str = "") -> bool:
        """The measurement exceeds the limit by no more than its error bar."""
        return self._add(Claim(what, float(limit), measured, "at most", source, None, known))

    def at_least(self, what: str, limit: float, measured: Measured, *, source: str = "", known: str = "") -> bool:
        """The measurement falls short of the limit by no more than its error bar."""
        return self._add(Claim(what, float(limit), measured, "at least", source, None, known))

    def _add(self, claim: Claim) -> bool:
        self.claims.append(claim)
        print(claim, flush=True)
        self.write()
        return claim.holds

    @property
    def passed(self) -> bool:
        """Whether no claim missed."""
        return all(claim.verdict != "MISS" for claim in self.claims)

    # ---- the rest

    def heading(self, words: str) -> None:
        """Start a group of claims."""
        self.groups.append((words, len(self.claims)))
        print(f"-- {words}", flush=True)

    def say(self, words: str) -> None:
        """Progress, for people at the screen."""
        print(f"   {words}", flush=True)

    def remark(self, words: str) -> None:
        """A sentence for the reader of the report."""
        self.remarks.append(words)
        print(f"   {words}", flush=True)

    def table(self, caption: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table of text, printed and shown in the report."""
        self.tables.append({"caption": caption, "header": list(header), "rows": [list(row) for row in rows]})
        print(f"   {caption}", flush=True)
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        for row in (header, *rows):
            print("   " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)), flush=True)

    def part(self, function: Callable[..., T], *args: Any) -> T:
        """``function(*args)``, kept on disk in the full mode: an interrupted script goes on with the next part."""
        if not self.full or self.out is None:
            return uninterrupted(function, *args)
        value, other = kept(self.out / "parts", self.script, function, *args, stale=self.stale)
        self.from_other_code |= other
        return value

    def figure(self, name: str, draw: Callable[[], Figure], caption: str) -> None:
        """Draw a figure into ``out`` (nothing without), with the sentence that stands under it in the report."""
        if self.out is None:
            return
        path = drawn(draw, self.out / f"{name}.png")
        self.figures.append({"file": path.name, "caption": caption})
        print(f"   figure: {path}", flush=True)
        self.write()

    def write(self, finished: bool = False) -> None:
        """The JSON file of the script, replaced in one step."""
        if self.out is None:
            return
        self.out.mkdir(parents=True, exist_ok=True)
        found = {
            "script": self.script.stem,
            "description": self.description,
            "mode": "full" if self.full else "quick",
            "finished": finished,
            "from_other_code": self.from_other_code,
            "provenance": self.provenance,
            "seconds": time.perf_counter() - self.began,
            "processor_seconds": time.process_time() - self.worked,
            "claims": [claim.to_json() for claim in self.claims],
            "groups": self.groups,
            "figures": self.figures,
            "tables": self.tables,
            "remarks": self.remarks,
        }
        path = self.out / f"{self.script.stem}.json"
        scratch = path.with_suffix(".part")
        scratch.write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")
        scratch.replace(path)
