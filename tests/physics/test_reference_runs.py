"""The reference runs against tokens that share no code with the solver, made again, and carried on."""

from functools import cache

import numpy as np
import pytest
from physics_helpers import bounded

from spherepde import build_simulation, load_config, reference, references, tokens

NAMES = references()
loaded = cache(reference)


def row(ref, t):
    index = int(np.argmin(np.abs(ref.t - t)))
    assert ref.t[index] == pytest.approx(t, abs=1e-12)
    return index


def graded(ref, count, stages):
    """Weighted tokens on the circle, spread evenly over e₂-ward gradings of the circle by e^{±g}, g in ``stages``.

    Those of large g stand where the flow leaves next to nothing: plain tokens are missing there at late times.
    """

    def spread(x):
        return sum(1.0 / ((x[:, 0] * np.exp(g)) ** 2 + (x[:, 1] * np.exp(-g)) ** 2) for g in stages) / len(stages)

    x = tokens.circle_quantiles(spread, count)
    weights = ref.initial(x) / spread(x)
    return x, weights / weights.sum()


STARTS = {
    "circle_cluster": lambda ref: (tokens.circle_quantiles(ref.initial, 300), None),
    "circle_modes": lambda ref: (tokens.circle_quantiles(ref.initial, 400), None),
    "circle_cold": lambda ref: (tokens.circle_quantiles(ref.initial, 600), None),
    "circle_terminal": lambda ref: graded(ref, 600, (0.0, 1.5, 3.0, 4.5, 6.0)),
    "sphere_axis": lambda ref: tokens.gauss_tokens(ref.initial, 40),
    "sphere_repulsive": lambda ref: tokens.gauss_tokens(ref.initial, 60),
    "sphere_terminal": lambda ref: tokens.gauss_tokens(ref.initial, 56),
    "sphere_two_heads": lambda ref: tokens.gauss_tokens(ref.initial, 40),
}
TIMES = {
    "circle_cluster": (1.0, 3.0, 5.0),
    "circle_modes": (0.1, 0.2),
    "circle_cold": (0.5,),
    "circle_terminal": (5.0, 10.0, 15.0, 20.0),
    "sphere_axis": (0.5,),
    "sphere_repulsive": (0.2,),
    "sphere_terminal": (0.3,),
    "sphere_two_heads": (1.0, 2.0),
}


OWN_ERROR = {"circle_terminal": 1e-9}
"""Of the tokens; that of circle_terminal halves with twice as many."""


@pytest.mark.parametrize("name", NAMES)
def test_tokens_of_another_code_reproduce_the_moments_within_the_bars(name):
    """Dense sums over tokens share nothing with the solver."""
    ref = loaded(name)
    attention, times = ref.attention, TIMES[name]
    start, weights = STARTS[name](ref)
    moved = tokens.simulate_tokens(
        attention.heads, start, times, weights, attention.name, attention.combine, rtol=1e-10, atol=1e-12
    )
    for t, x in zip(times, moved, strict=True):
        i = row(ref, t)
        for quantity, found in zip(("mean", "second_moment"), tokens.moments(x, weights), strict=True):
            difference = np.abs(found - ref.series[quantity][i]).max()
            bar = float(ref.series[f"{quantity}_error"][i].max())
            limit = bar + OWN_ERROR.get(name, 1e-10)
            bounded(f"{name}, t = {t:g}: {quantity} of {len(x)} tokens", difference, limit)


SLOW = ("sphere_axis", "sphere_terminal", "circle_cluster")
AGAIN = {
    "circle_cluster": 4.0,
    "circle_cold": 2.0,
    "circle_modes": 0.2,
    "circle_terminal": 2.0,
    "sphere_axis": 1.0,
    "sphere_repulsive": 0.2,
    "sphere_terminal": 0.3,
    "sphere_two_heads": 0.5,
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in NAMES])
def test_the_run_made_again_at_a_lower_resolution_agrees(name, tmp_path):
    """The text in the file, run by whoever has it: lmax and companion at half, to a time that this resolves."""
    ref = loaded(name)
    path = tmp_path / f"{name}.toml"
    path.write_text(ref.toml, encoding="utf-8")
    space, until = ref.config["space"], AGAIN[name]
    settings = {
        "space.lmax": space["lmax"] // 2,
        "space.companion_lmax": space["companion_lmax"] // 2,
        "time.until": until,
        "time.save_every": until,
    }
    config = load_config(path, [f"{key}={value}" for key, value in settings.items()])
    result = build_simulation(config, tmp_path / "again.h5", progress=False).run(until)
    i = row(ref, until)
    for quantity in ("mean", "second_moment"):
        difference = np.abs(result.values[quantity] - ref.series[quantity][i]).max()
        bars = float((result.values[f"{quantity}_error"] + ref.series[f"{quantity}_error"][i]).max())
        bounded(f"{name}, t = {until:g}: {quantity} at half the resolution", difference, bars + 1e-13)


def test_the_measure_at_the_end_of_the_coldest_run():
    """Nodes carried along the stored velocity have the recorded moments; nothing is left of the grid by then."""
    ref = loaded("circle_cold")
    measure = ref.characteristics().measure(ref.t[-1])
    mean = measure.weights @ measure.points
    second = (measure.weights * measure.points.T) @ measure.points
    bounded("circle_cold: mean of the nodes at log β", np.abs(mean - ref.series["mean"][-1]).max(), 1e-9)
    bounded("circle_cold: second moment at log β", np.abs(second - ref.series["second_moment"][-1]).max(), 2e-9)


def test_the_density_of_a_resolved_run_is_that_of_the_run(tmp_path):
    """Characteristics of the stored velocity against the nodal density of a run of the same configuration."""
    ref = loaded("sphere_repulsive")
    (tmp_path / "c.toml").write_text(ref.toml, encoding="utf-8")
    config = load_config(tmp_path / "c.toml", ["space.companion_lmax=0"])
    simulation = build_simulation(config, tmp_path / "run.h5", progress=False)
    space, state = simulation.model.space, simulation.run(0.2).state
    points = np.random.default_rng(0).standard_normal((200, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    rho = ref.characteristics().density(0.2, points)
    error = np.abs(rho - space.evaluate(state, points)).max() / rho.max()
    bounded("sphere_repulsive, t = 0.2: density at 200 points", error, 1e-7)
    assert rho.min() > 0.0
