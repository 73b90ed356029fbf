"""Where the grid no longer sees the density: distances from characteristics, and a run that goes on without it.

1. The main experiment (S², β = 100): W₂(ρ_t, Π♯ρ₀) at t = log β and 2 log β from the nodes that characteristics carry
   along, against the exact semi-discrete value of the band-limited density, with lmax ≤ 255 (agreement 1e-5).
2. A terminal phase on S² (V = diag(1, 1.4, 0.5), B = diag(2, 1, 1), β = 20, to t = 12): the handover to nodes, the jump
   of the second moment there (1e-8), and the time of the whole run (120 s).

    python validation/beyond_the_grid.py           # lmax 191 against itself, a few minutes
    python validation/beyond_the_grid.py --full    # the run of lmax 255 against one of lmax 511, a quarter of an hour

Exit status 1 if a number misses.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import numpy as np

from spherepde import (
    Characteristics,
    ContinuityEquation,
    Head,
    RunFile,
    Simulation,
    Softmax,
    Sphere,
    build_simulation,
    load_config,
    polynomial,
)
from spherepde.adaptive import distances_to_antipodes
from spherepde.config import script_parameters
from spherepde.errors import one_sentence

PARAMETERS = {"full": False, "tolerance": 1e-7, "until": 12.0, "beta": 20.0}

EXPERIMENT = Path(__file__).parents[1] / "data" / "sphere_softmax.toml"
AGREEMENT, SEAM, SECONDS = 1e-5, 1e-8, 120.0
TIMES = [float(k * np.log(100.0)) for k in (1, 2)]
RECORDED = "wasserstein_2_geodesic"


def main_experiment(lmax: int, folder: Path) -> Path:
    """The run file of the main experiment at a resolution, saved at log β and 2 log β."""
    changes = [f"space.lmax={lmax}", f"time.save_every={TIMES[0]!r}", "output.density=false", "time.continue=none"]
    config = load_config(EXPERIMENT, changes)
    path = folder / f"main_{lmax}.h5"
    build_simulation(config, path, progress=False).run(config.time.until)
    return path


def on_the_grid(path: Path) -> list[tuple[float, float]]:
    """W₂ with its bar at the two times, as recorded."""
    with RunFile(path) as run:
        rows = [int(np.argmin(np.abs(run.series["t"] - t))) for t in TIMES]
        return [(float(run.series[RECORDED][row]), float(run.series[f"{RECORDED}_error"][row])) for row in rows]


def by_characteristics(path: Path, tolerance: float) -> list[tuple[float, int, float]]:
    """W₂ at the two times from carried nodes, how many they are, and the seconds it took from the start."""
    with RunFile(path) as run:
        limit = json.loads(run.attributes["limit_measure"])
    began, found = time.monotonic(), []
    rho = Characteristics(path)
    for cells in rho.measures(np.minimum(TIMES, rho.until).tolist(), tolerance):
        distances = distances_to_antipodes(cells, limit["axis"], limit["masses"][0])
        value = next(d.value for cost, d in distances.items() if cost.p == 2.0 and cost.ground == "geodesic")
        found.append((value, cells.weights.size, time.monotonic() - began))
    return found


def compare_distances(full: bool, tolerance: float) -> bool:
    """Part 1: print both values at both times; whether they agree."""
    with tempfile.TemporaryDirectory() as name:
        coarse = main_experiment(255 if full else 191, Path(name))
        recorded = on_the_grid(main_experiment(511, Path(name)) if full else coarse)
        carried = by_characteristics(coarse, tolerance)
    good = True
    for t, (value, bar), (nodes, count, seconds) in zip(TIMES, recorded, carried, strict=True):
        good &= abs(value - nodes) <= AGREEMENT
        print(
            f"t = {t:.3f}: W2 semi-discrete (lmax {511 if full else 191}) {value:.8f} ± {bar:.1e}, by characteristics "
            f"(lmax {255 if full else 191}, {count} nodes, {seconds:.0f} s) {nodes:.8f}, difference {nodes - value:.1e}"
        )
    return good


def terminal_phase(beta: float, until: float) -> bool:
    """Part 2: run through the handover; whether seam and time are as wanted."""
    head = Head(np.diag([1.0, 1.4, 0.5]), np.diag([2.0, 1.0, 1.0]), beta=beta)
    model = ContinuityEquation(Sphere(95), Softmax(head))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "terminal.h5"
        sim = Simulation(
            model, polynomial([0.0, 0.2, 0.1]), path, companion_lmax=71, save_every=0.5, continuation="tokens"
        )
        began = time.monotonic()
        result = sim.run(until)
        seconds = time.monotonic() - began
        with RunFile(path) as run:
            handover, series = json.loads(run.attributes["handover"]), run.series
    print(f"S², β = {beta:g}: {result.reason} in {seconds:.0f} s; handover {handover}")
    for t in (handover["time"], 0.5 * until, until):
        row = int(np.argmin(np.abs(series["t"] - t)))
        moment, bar = series["second_moment"][row], series["second_moment_error"][row].max()
        print(f"  t = {series['t'][row]:6.3f}: second moment diagonal {np.diag(moment)} ± {bar:.1e}")
    return bool(handover["seam"] <= SEAM and seconds <= SECONDS)


def main() -> None:
    """Both parts; exit status 0 if everything is as wanted."""
    with one_sentence():
        p = script_parameters(PARAMETERS, __doc__)
        good = [compare_distances(p.full, p.tolerance), terminal_phase(p.beta, p.until)]
        raise SystemExit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
