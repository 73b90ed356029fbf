"""The command line of every script: quick or full, where figures go, one sentence for bad input."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from spherepde.config import script_parameters
from spherepde.errors import one_sentence

from .inquiry import Inquiry

PARAMETERS = {"full": False, "out": "", "stale": False}


def run(investigate: Callable[[Inquiry], None], description: str) -> None:
    """Investigate, print every claim, write figures and JSON into ``--out``; exit with 1 if a claim missed.

    ``--full`` takes minutes instead of seconds, and keeps its parts in ``OUT/parts``: the same command goes on where
    it was interrupted. ``--stale`` takes parts that other code computed, which the report says.
    """
    with one_sentence():
        p = script_parameters(PARAMETERS, description)
        script = Path(sys.argv[0]).resolve()
        ask = Inquiry(script, p.full, Path(p.out) if p.out else None, p.stale, description.strip())
        print(f"{script.stem} ({'full' if p.full else 'quick'}): {ask.description.partition(chr(10))[0]}", flush=True)
        investigate(ask)
        ask.write(finished=True)
        missed = sum(claim.verdict == "MISS" for claim in ask.claims)
        known = sum(claim.verdict == "DIFFERS" for claim in ask.claims)
        differs = f", {known} differ{'s' if known == 1 else ''} as the README says" if known else ""
        print(
            f"{script.stem}: {len(ask.claims) - missed - known} of {len(ask.claims)} claims pass{differs}", flush=True
        )
        raise SystemExit(0 if ask.passed and ask.claims else 1)
