"""Write the reference moments of a run as a small CSV table that other codes can be held against.

python validation/reference_table.py --run data/sphere_softmax.h5 --out data/sphere_softmax_moments.csv
"""

from __future__ import annotations

import numpy as np

from spherepde import RunFile
from spherepde.config import script_parameters
from spherepde.errors import InputError, one_sentence

PARAMETERS = {"run": "data/sphere_softmax.h5", "out": "data/sphere_softmax_moments.csv", "every": 0.5}


def table(run: RunFile, every: float) -> tuple[list[str], np.ndarray]:
    """Column names and rows: time, first moment, second moment (upper triangle), distance to E, and the error bars."""
    series, dim = run.series, run.config["model"]["dim"]
    if "second_moment_error" not in series:
        raise InputError(f"{run.path} has no error bars; expected a run with a companion")
    wanted = every * np.arange(int(series["t"][-1] / every + 1e-9) + 1)
    rows = [int(np.argmin(np.abs(series["t"] - t))) for t in wanted]
    upper = [(i, j) for i in range(dim) for j in range(i, dim)]
    columns = {"t": series["t"][rows]}
    columns |= {f"mean_{i + 1}": series["mean"][rows, i] for i in range(dim)}
    columns["mean_error"] = series["mean_error"][rows].max(axis=1)
    columns |= {f"second_moment_{i + 1}{j + 1}": series["second_moment"][rows, i, j] for i, j in upper}
    columns["second_moment_error"] = series["second_moment_error"][rows].max(axis=(1, 2))
    columns["distance_to_E"] = series["distance_to_E"][rows]
    columns["distance_to_E_error"] = series["distance_to_E_error"][rows]
    return list(columns), np.column_stack(list(columns.values()))


def main() -> None:
    """Read the run, write the table."""
    with one_sentence():
        p = script_parameters(PARAMETERS, __doc__)
        with RunFile(p.run) as run:
            names, rows = table(run, p.every)
        np.savetxt(
            p.out,
            rows,
            fmt=[("%.10g", "%.2e")[name.endswith("error")] for name in names],
            delimiter=",",
            header=",".join(names),
            comments="",
        )
        print(f"{p.out}: {len(rows)} times, {len(names)} columns")


if __name__ == "__main__":
    main()
