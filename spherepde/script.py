"""What every solver script does around its physics: options from the command line, the report, the figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from .config import script_parameters
from .errors import one_sentence
from .result import Result
from .store import RunFile
from .summary import describe
from .verdict import verdict

OUTPUT: dict[str, Any] = {"out": "run.h5", "overwrite": False, "figures": ""}
"""Options of every script: the run file, whether to replace it, and a folder for figures (none: no figures)."""


def run_script(solve: Callable[[SimpleNamespace], Result], parameters: Mapping[str, Any], description: str) -> None:
    """Run ``solve`` with ``parameters`` overridden from the command line; report, draw, and exit with its status."""
    with one_sentence():
        p = script_parameters({**parameters, **{k: parameters.get(k, v) for k, v in OUTPUT.items()}}, description)
        result = solve(p)
        if result.path is not None:
            with RunFile(result.path) as run:
                print(f"\n{describe(run)}\n\n{verdict(run)}")
            if p.figures:
                from .plots import plot_run  # matplotlib only when asked for

                print("\nfigures:", *plot_run(result.path, p.figures), sep="\n  ")
        raise SystemExit(result.exit_status)
