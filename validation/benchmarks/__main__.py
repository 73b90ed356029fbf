"""Speed against the yardsticks: every number beside what was wanted, ratios measured in turn in one process.

    python validation/benchmarks                    # one thread, some four minutes
    python validation/benchmarks --full             # with lmax 255, POT and 10 000 atoms, half an hour
    python validation/benchmarks --no-transport --no-runs --tokens 100000 --out out

Prints the table, and writes ``benchmarks.json`` and the figure ``costs.png`` (cost against lmax and against the number
of tokens) into the folder ``--out``. Times are processor time, which busy neighbours hardly lengthen; still, quote the
ratios. Whole runs are processes of their own, imports included.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from reporting import Row, console, table_of, write_json
from right_hand_sides import general_rows, isotropic_rows, variant_rows
from scaling import CIRCLE_LMAX, GENERAL_RATIO, Curve, cost_against_lmax, draw_costs
from threadpoolctl import threadpool_limits
from token_benchmarks import Cloud, attention_seconds, rows_of_a_cloud
from transport_benchmarks import distance_rows, semidiscrete_solves, semidiscrete_table
from whole_runs import whole_run_rows

from spherepde.config import script_parameters
from spherepde.errors import one_sentence

PARAMETERS: dict[str, Any] = {
    "beta": 100.0,
    "lmax": 511,
    "tokens": 1_000_000,
    "repeats": 20,
    "runs": True,
    "transport": True,
    "full": False,
    "out": "data/benchmarks",
}

SMALLEST_LMAX = 15
"""Holds ρ₀."""
FAST_REPEATS, DENSE_REPEATS = 5, 3
DENSE_TOKENS = 20_000


def right_hand_side_rows(p: SimpleNamespace) -> list[Row]:
    """Right-hand sides up to lmax, general heads at a quarter of it."""
    middle, small = p.lmax // 2, p.lmax // 4
    return [
        *isotropic_rows([small, middle, p.lmax], middle, p.beta, p.repeats),
        *general_rows(small, p.beta, max(3, p.repeats // 3)),
        *variant_rows(middle, p.beta, p.repeats),
    ]


def lmax_curves(p: SimpleNamespace) -> list[Curve]:
    """Cost against lmax on S², from lmax/16 on if that holds ρ₀, and on S¹."""
    sphere = [p.lmax // factor for factor in (16, 8, 4, 2, 1) if p.lmax // factor >= SMALLEST_LMAX]
    circle = [lmax for lmax in CIRCLE_LMAX if lmax <= 64 * p.lmax]
    repeats = max(3, p.repeats // 2)
    return [*cost_against_lmax("S²", sphere, p.beta, repeats), *cost_against_lmax("S¹", circle, p.beta, repeats)]


def token_measurements(p: SimpleNamespace) -> tuple[list[Row], list[Curve]]:
    """Rows of a million tokens, and the cost of their attention and of dense sums against N."""
    counts = [int(p.tokens * factor) for factor in (1e-3, 1e-2, 1e-1, 10**-0.5, 1.0)]
    dense = [n for n in (1250, 2500, 5000, 10_000, DENSE_TOKENS) if n <= max(p.tokens // 10, 5000)]
    rows, curves = [], []
    for dim in (3, 2):
        space = f"S{'¹²'[dim - 2]}"
        plain, general = (Cloud(dim, ratio, p.beta) for ratio in (1.0, GENERAL_RATIO))
        by_numpy = attention_seconds(plain, dense if dim == 3 else dense[-1:], "numpy", DENSE_REPEATS)
        for cloud, what in ((plain, "B = I"), (general, "general B")):
            seconds = attention_seconds(cloud, counts, "fast", FAST_REPEATS)
            rows += rows_of_a_cloud(cloud, counts, seconds, dense[-1], by_numpy[-1])
            curves.append(Curve(what, space, counts, seconds))
        if dim == 3:
            compiled = attention_seconds(plain, dense, "dense", DENSE_REPEATS)
            curves += [
                Curve("dense, compiled", space, dense, compiled),
                Curve("dense, numpy", space, dense, by_numpy),
            ]
    return rows, curves


def main() -> None:
    """Measure with one thread, print the tables, write the JSON and the figure."""
    with one_sentence():
        p = script_parameters(PARAMETERS, __doc__)
        screen, out = console(), Path(p.out)
        sections: dict[str, list[Row]] = {}

        def show(title: str, rows: list[Row]) -> None:
            sections[title] = rows
            screen.print(table_of(title, rows))

        with threadpool_limits(1):
            show("softmax right-hand side", right_hand_side_rows(p))
            by_lmax = lmax_curves(p)
            token_rows, by_count = token_measurements(p)
            show("attention of tokens", token_rows)
            if p.runs:
                show("whole runs", whole_run_rows(full=p.full))
            solves = []
            if p.transport:
                show("distances", distance_rows())
                solves = semidiscrete_solves(p.full, beside_pot=p.full)
                screen.print(semidiscrete_table(solves))
            curves = [{**vars(c), "slope": c.slope} for c in (*by_lmax, *by_count)]
            write_json(out / "benchmarks.json", **sections, semidiscrete=solves, curves=curves)
        draw_costs(by_lmax, by_count, p.beta, out / "costs.png")
        screen.print(f"{out / 'benchmarks.json'}, {out / 'costs.png'}")


if __name__ == "__main__":
    main()
