"""The main experiment: V = diag(1, 0.4, −0.3), B = I, β = 100 on S², far beyond the density's own resolution."""

from functools import cache

import numpy as np
from physics_helpers import bounded, number

from spherepde.attention import Softmax
from spherepde.densities import fisher_bingham
from spherepde.equation import ContinuityEquation
from spherepde.heads import Head
from spherepde.simulation import Simulation
from spherepde.spaces import Sphere

TABLE = [0.97601170, 0.02392563, 0.00006267]  # second moments at t = 6, lmax 255
TABLE_MEAN = 0.0387718
ROUNDING = 5e-9


@cache
def results(lmax, companion_lmax, *stops):
    """One run, paused at each of the stops."""
    model = ContinuityEquation(Sphere(lmax), Softmax(Head(np.diag([1.0, 0.4, -0.3]), beta=100.0)))
    quadratic = np.zeros((3, 3))
    quadratic[0, 2] = quadratic[2, 0] = 0.25
    rho0 = fisher_bingham([0.0, 0.8, 0.0], quadratic)
    sim = Simulation(model, rho0, save_every=1.0, rtol=1e-8, companion_lmax=companion_lmax, progress=False)
    return [sim.run(until=stop) for stop in stops]


def test_second_moments_at_t_6():
    result = results(191, 127, 4.0, 6.0)[1]
    assert (result.status, result.time) == ("done", 6.0)
    moments, bars = result.values["second_moment"], result.values["second_moment_error"]
    for i, (expected, name) in enumerate(zip(TABLE, ("x1^2", "x2^2", "x3^2"), strict=True)):
        number(f"main experiment lmax 191 t=6 <{name}>", moments[i, i], expected, atol=2e-8)
        bounded(f"main experiment lmax 191 t=6 <{name}>, error bar", bars[i, i], 1e-7)
        assert abs(moments[i, i] - expected) <= bars[i, i] + ROUNDING, "the error bar should cover the difference"
    mean, bar = result.values["mean"], result.values["mean_error"]
    number("main experiment lmax 191 t=6 <x2>", mean[1], TABLE_MEAN, atol=6e-8)
    bounded("main experiment lmax 191 t=6 <x2>, error bar", bar[1], 1e-7)
    assert abs(mean[1] - TABLE_MEAN) <= bar[1] + 5e-8
    assert result.horizons.velocity is None


def test_lower_resolution_agrees_within_its_error_bar():
    """At t = 4, where degree 127 holds a quarter of the L² norm in its upper third, moments are still good to 1e-8."""
    coarse, fine = results(127, 95, 4.0)[0], results(191, 127, 4.0, 6.0)[0]
    assert coarse.time == fine.time == 4.0
    assert coarse.values["spectral_tail"] > 0.05
    for name in ("mean", "second_moment"):
        difference = np.abs(coarse.values[name] - fine.values[name])
        bounded(f"main experiment t=4, lmax 127 against 191: {name}", difference.max(), 1e-8)
        bounded(f"main experiment t=4, lmax 127: error bar of {name}", coarse.values[f"{name}_error"].max(), 1e-7)
        assert np.all(difference <= coarse.values[f"{name}_error"] + 1e-15)
