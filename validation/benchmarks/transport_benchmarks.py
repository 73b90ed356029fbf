r"""Speed of transport: semi-discrete on S² beside POT's solver, and what a run pays for its distances.

    python validation/benchmarks/transport_benchmarks.py          # about three minutes, one thread
    python validation/benchmarks/transport_benchmarks.py --full   # with 10 000 atoms, about a quarter of an hour more

Both write ``transport.json`` into the folder ``--out``.

POT's averaged stochastic gradient (``ot.semidiscrete``) gets the processor time our solver took, with samples drawn
beforehand, and with the better of two schedules of its regularisation, which start at 0.1 (its default) and at 1
(found by hand); 10 000 atoms get the one that did better for 1 000. Its potentials are judged without its sampling
noise, by the exact dual value :math:`\sum\nu_i\psi_i+\int\min_i(c-\psi_i)\rho` and the exact cell masses. Our own error
is the certified gap between the two bounds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reporting import Row, console, ratio_row, table_of, write_json, yes_or_no
from rich.table import Table
from threadpoolctl import threadpool_limits
from timing import paired_milliseconds, wall_and_cpu_seconds

from spherepde import ContinuityEquation, Head, Simulation, Softmax, Sphere, fisher_bingham
from spherepde.config import script_parameters
from spherepde.densities import Density, von_mises_fisher
from spherepde.errors import one_sentence
from spherepde.exact import hardmax_density
from spherepde.tokens import sample_tokens
from spherepde.transport import Cost, GreatCircle, SemiDiscrete, project_to_plane, resolve, wasserstein_semidiscrete
from spherepde.transport.laguerre import Patches, laguerre_cells

PARAMETERS = {"full": False, "out": "data/benchmarks"}

Array = NDArray[np.float64]
Solve = dict[str, Any]

SMOOTH = fisher_bingham([0.0, 0.8, 0.0], [[0.0, 0.0, 0.25], [0.0, 0.0, 0.0], [0.25, 0.0, 0.0]])
CONCENTRATED = von_mises_fisher([0.0, 0.6, 0.8], 30.0)
SAMPLES = 250_000
WANTED = {1_000: 10.0, 10_000: 120.0}
"""Seconds a solve with so many atoms may take."""
MASSES_WANTED = {"chordal": 1e-8, "geodesic": 1e-6}
"""Σ|ν − masses| that a solve may leave."""
COLD = """
import time, numpy as np
from spherepde.transport import Cost, wasserstein_semidiscrete
atoms = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
density = lambda x: np.exp(x[:, 2]) / (4.0 * np.pi * np.sinh(1.0))
spent = []
for _ in range(2):
    start = time.process_time()
    for ground in ("geodesic", "chordal"):
        wasserstein_semidiscrete(density, atoms, cost=Cost(2, ground))
    spent.append(time.process_time() - start)
print(spent[0] - spent[1])
"""


def fibonacci_atoms(count: int) -> tuple[Array, Array]:
    """Points (n, 3) of the golden spiral with equal weights (n,)."""
    z = 1.0 - (2.0 * np.arange(count) + 1.0) / count
    turn = np.pi * (1.0 + np.sqrt(5.0)) * np.arange(count)
    radius = np.sqrt(1.0 - z**2)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), z], axis=1), np.full(count, 1.0 / count)


def random_atoms(count: int, least: float = 0.0) -> tuple[Array, Array]:
    """Independent uniform points (n, 3) with weights (n,) uniform between ``least`` and 1, rescaled to the sum 1."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((count, 3))
    weights = least + (1.0 - least) * generator.random(count)
    return x / np.linalg.norm(x, axis=1, keepdims=True), weights / weights.sum()


def compile_seconds() -> float:
    """Processor time of compiling the semi-discrete solver, in a process of its own with an empty cache."""
    with TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        done = subprocess.run([sys.executable, "-c", COLD], env=environment, check=True, capture_output=True, text=True)
    return float(done.stdout)


class TimeIsUpError(Exception):
    """Raised by the sampler to stop POT, which knows only a number of steps."""


class Samples:
    """Points of a density drawn beforehand and handed out in turn; raises TimeIsUpError after a deadline."""

    def __init__(self, points: Array, seconds: float = np.inf) -> None:
        self.points = points
        self.deadline = time.process_time() + seconds
        self.calls = 0

    def __call__(self, count: int) -> Array:
        """The next points (count, 3)."""
        if time.process_time() > self.deadline:
            raise TimeIsUpError
        start = self.calls * count % (len(self.points) - count + 1)
        self.calls += 1
        return self.points[start : start + count]


def pot_steps_and_potentials(
    points: Array, atoms: Array, weights: Array, cost: Cost, seconds: float, **settings: float
) -> tuple[int, Array]:
    """POT's potentials after as many steps as fit into the time: counted in a first run, taken in a second."""
    from ot.semidiscrete import solve_semidiscrete

    def squared_angle(x: Array, y: Array) -> Array:
        return np.asarray(np.arccos(np.clip(x @ y.T, -1.0, 1.0)) ** 2)

    metric = "sqeuclidean" if cost.ground == "chordal" else squared_angle
    counting = Samples(points, seconds)
    solve = partial(solve_semidiscrete, atoms, a_target=weights, metric=metric, max_cost=cost.largest, **settings)
    try:
        solve(sampler_source=counting, max_iter=10**9)
    except TimeIsUpError:
        return counting.calls, np.asarray(solve(sampler_source=Samples(points), max_iter=counting.calls))
    raise AssertionError("POT took 10⁹ steps in time")


def judged(patches: Patches, atoms: Array, weights: Array, potentials: Array, cost: Cost) -> tuple[float, float]:
    """The exact dual value of potentials, as a distance, and Σ|ν − masses| of their cells."""
    cells = laguerre_cells(patches, atoms, potentials, cost, full=True)
    missing = weights - cells.mass
    return cost.distance(float(cells.cost.sum() + potentials @ missing)), float(np.abs(missing).sum())


def solved_beside_pot(
    name: str,
    density: Density,
    atoms: Array,
    weights: Array,
    cost: Cost,
    samples: Array | None,
    schedules: tuple[float, ...] = (0.1, 1.0),
) -> Solve:
    """Our solution of one problem, its time and certified error, and POT's errors after the same time."""
    solve: Callable[[], SemiDiscrete] = partial(wasserstein_semidiscrete, density, atoms, weights, cost)
    found, wall, cpu = wall_and_cpu_seconds(solve)
    row: Solve = {
        "work": f"{len(atoms)} {name}, {cost.ground}",
        "seconds": wall,
        "cpu_seconds": cpu,
        "wanted": WANTED[len(atoms)],
        "newton_steps": found.iterations,
        "converged": found.converged,
        "gap": found.gap / found.value,
        "masses_off": float(np.abs(found.masses - found.weights).sum()),
    }
    row["met"] = cpu <= row["wanted"] and row["masses_off"] <= MASSES_WANTED[cost.ground]
    if samples is None:
        return row
    patches = resolve(density)
    best = (np.inf, np.inf, 0)
    for first in schedules:
        steps, potentials = pot_steps_and_potentials(
            samples, atoms, weights, cost, cpu, decreasing_reg_initial_eps=first
        )
        value, off = judged(patches, atoms, weights, potentials, cost)
        best = min(best, (abs(value / found.value - 1.0), off, steps))
    row["pot_error"], row["pot_masses_off"], row["pot_steps"] = best
    row["ratio"] = row["pot_error"] / row["gap"]
    return row


def semidiscrete_solves(full: bool, *, beside_pot: bool = True) -> list[Solve]:
    """Every semi-discrete problem; ``full`` adds 10 000 atoms and the ones with atoms of nearly no weight.

    POT's times and errors take most of the time; without ``beside_pot`` there are none.
    """
    geodesic, chordal = Cost(2, "geodesic"), Cost(2, "chordal")
    wasserstein_semidiscrete(SMOOTH, *fibonacci_atoms(20), geodesic)
    wasserstein_semidiscrete(SMOOTH, *fibonacci_atoms(20), chordal)
    smooth, concentrated = (
        sample_tokens(rho, 3, SAMPLES, seed=1) if beside_pot else None for rho in (SMOOTH, CONCENTRATED)
    )
    equal, unequal = fibonacci_atoms(1_000), random_atoms(1_000)
    rows = [
        solved_beside_pot("Fibonacci atoms", SMOOTH, *equal, geodesic, smooth),
        solved_beside_pot("Fibonacci atoms", SMOOTH, *equal, chordal, None),
        solved_beside_pot("random atoms and weights", SMOOTH, *unequal, geodesic, smooth),
        solved_beside_pot("random atoms and weights", SMOOTH, *unequal, chordal, smooth),
        solved_beside_pot("Fibonacci atoms, von Mises–Fisher 30", CONCENTRATED, *equal, geodesic, concentrated),
        solved_beside_pot(
            "random atoms, weights ½ … 1, von Mises–Fisher 30", CONCENTRATED, *random_atoms(1_000, 0.5), geodesic, None
        ),
    ]
    if full:
        many, uneven = fibonacci_atoms(10_000), random_atoms(10_000)
        rows += [
            solved_beside_pot("Fibonacci atoms", SMOOTH, *many, geodesic, smooth, (1.0,)),
            solved_beside_pot("Fibonacci atoms", SMOOTH, *many, chordal, None),
            solved_beside_pot("random atoms and weights", SMOOTH, *uneven, geodesic, smooth, (0.1,)),
            solved_beside_pot("random atoms and weights", SMOOTH, *uneven, chordal, None),
        ]
        for cost in (geodesic, chordal):
            name = "random atoms and weights, von Mises–Fisher 30"
            rows.append(solved_beside_pot(name, CONCENTRATED, *unequal, cost, None))
    return rows


def distance_rows(lmax: int = 191, beta: float = 100.0, repeats: int = 3) -> list[Row]:
    """What distances to the limit add to a run up to t = 0.5, and one distance to a great circle against a step's work.

    The run is the main experiment (companion, files, a save every 0.1) with dim E = 1, and the same with dim E = 2.
    """
    space = Sphere(lmax)
    rows: list[Row] = []
    with TemporaryDirectory() as folder:
        for dim, middle in ((1, 0.4), (2, 1.0)):
            model = ContinuityEquation(space, Softmax(Head(np.diag([1.0, middle, -0.3]), beta=beta)))

            def run(wasserstein: bool, model: ContinuityEquation = model) -> object:
                options: dict[str, Any] = {"save_every": 0.1, "rtol": 1e-8, "companion_lmax": 127, "overwrite": True}
                path = Path(folder) / "run.h5"
                return Simulation(model, SMOOTH, path, wasserstein=wasserstein, progress=False, **options).run(0.5)

            pair = paired_milliseconds(partial(run, True), [partial(run, False)], repeats)
            name = f"run recording W₁, W₂ to Π♯ρ₀, dim E = {dim}, lmax {lmax}"
            rows.append(ratio_row(name, pair, "without", at_most=1.2 if dim == 1 else None))
    head = Head(np.diag([1.0, 0.9, -0.3]), beta=beta)
    model = ContinuityEquation(space, Softmax(head))
    u = space.project(SMOOTH)
    plane = np.eye(3)[:, :2]
    circle, target = GreatCircle(plane, lmax), project_to_plane(SMOOTH, plane).coefficients
    before, now = (hardmax_density(head, SMOOTH, t, circle.points) for t in (0.9, 1.0))
    for cost in (Cost(2, "geodesic"), Cost(1, "geodesic")):
        start = circle.distance(before, target, cost)
        for name, given in (("", None), (", from the last save time", start)):
            work = partial(circle.distance, now, target, cost, given)
            pair = paired_milliseconds(work, [lambda: model.explicit_terms(u)], repeats)
            rows.append(ratio_row(f"W_{cost.p:g} to a great circle{name}, lmax {lmax}", pair, "one right-hand side"))
    return rows


def semidiscrete_table(rows: list[Solve]) -> Table:
    """The semi-discrete problems, and POT beside them where it was measured."""
    beside_pot = any("ratio" in row for row in rows)
    table = Table("semi-discrete", "s", "CPU s", "wanted", "met", "our gap", "our\nmasses off")
    for name in ("POT's error\n/ ours", "POT error", "POT\nmasses off", "POT steps") if beside_pot else ():
        table.add_column(name)
    for row in rows:
        cells = [f"{row['seconds']:.1f}", f"{row['cpu_seconds']:.1f}", f"≤ {row['wanted']:g}", yes_or_no(row["met"])]
        cells += [f"{row['gap']:.0e}" + ("" if row["converged"] else " NOT CONVERGED"), f"{row['masses_off']:.0e}"]
        if "ratio" in row:
            cells += [f"{row['ratio']:.0e}", f"{row['pot_error']:.1e}", f"{row['pot_masses_off']:.1e}"]
            cells.append(str(row["pot_steps"]))
        table.add_row(row["work"], *cells)
    return table


def main() -> None:
    """Measure with one thread, print the tables, write the JSON."""
    with one_sentence():
        p = script_parameters(PARAMETERS, __doc__)
        screen = console()
        with threadpool_limits(1):
            screen.print(f"compiling the semi-discrete solver once: {compile_seconds():.1f} CPU s")
            distances = distance_rows()
            screen.print(table_of("distances", distances))
            solves = semidiscrete_solves(p.full)
            screen.print(semidiscrete_table(solves))
            write_json(Path(p.out) / "transport.json", distances=distances, semidiscrete=solves)


if __name__ == "__main__":
    main()
