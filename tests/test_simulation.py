"""Runs: they land where they should, resume bit for bit, stop for a reason, and lose nothing."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest

from spherepde import (
    Characteristics,
    Circle,
    ContinuityEquation,
    Hardmax,
    Head,
    InputError,
    RunFile,
    Simulation,
    Softmax,
    Sphere,
    Unnormalised,
    build_simulation,
    density_from_run,
    exact,
    fisher_bingham,
    from_callable,
    harmonics,
    resume_simulation,
    uniform,
)
from spherepde.config import parse_config
from spherepde.monitors import Horizons
from spherepde.store import checkpoint_path, load_checkpoint
from spherepde.transport.caps import wasserstein_antipodes
from spherepde.transport.costs import Cost
from spherepde.transport.projection import project_to_axis

sys.path.insert(0, str(Path(__file__).parent / "physics"))

from physics_helpers import bounded

ARRAYS = ("density", "coefficients", "time")


def circle_simulation(out, *, beta=20.0, lmax=63, rho0=None, **options):
    model = ContinuityEquation(Circle(lmax), Softmax(Head(np.diag([1.0, 0.5]), beta=beta)))
    rho0 = rho0 or fisher_bingham([0.3, 0.8], np.zeros((2, 2)))
    return Simulation(model, rho0, out, **{"save_every": 0.1, "progress": False, **options})


def sphere_simulation(out, *, lmax=31, **options):
    model = ContinuityEquation(Sphere(lmax), Softmax(Head(np.diag([1.0, 0.4, -0.3]), beta=10.0)))
    return Simulation(
        model,
        fisher_bingham([0.0, 0.8, 0.2], np.zeros((3, 3))),
        out,
        **{"save_every": 0.1, "progress": False, **options},
    )


def test_the_state_of_a_result_stays_when_the_run_goes_on():
    simulation = circle_simulation(None)
    result = simulation.run(0.1)
    kept = result.state.copy()
    for until in (0.2, 0.5):
        later = simulation.run(until).state
        np.testing.assert_array_equal(result.state, kept)
    assert np.abs(later - kept).max() > 1e-3


def contents(path):
    """Every number of a run file, by name."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def assert_same_files(left, right):
    a, b = contents(left), contents(right)
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype, name
        assert a[name].tobytes() == b[name].tobytes(), f"{name} differs"


STEPPING = {"adaptive": {"rtol": 1e-10}, "fixed": {"dt": 0.013}, "third order": {"dt": 0.013, "stepper": "ars443"}}


@pytest.mark.parametrize("stepping", STEPPING, ids=list(STEPPING))
@pytest.mark.parametrize("make", [circle_simulation, sphere_simulation], ids=["circle", "sphere"])
def test_interrupted_and_resumed_equals_uninterrupted_bit_for_bit(tmp_path, make, stepping):
    options = {**STEPPING[stepping], "companion_lmax": 23, "checkpoint_every": 1e9, "save_every": 0.5}
    whole, halves = tmp_path / "whole.h5", tmp_path / "halves.h5"
    make(whole, **options).run(1.0)
    first = make(halves, **options)
    recorded = first.recorder.record
    calls = []

    def record(t, values, state):  # a Ctrl-C in the middle of a save interval
        recorded(t, values, state)
        calls.append(t)
        if len(calls) == 9:
            os.kill(os.getpid(), signal.SIGINT)

    first.recorder.record = record
    stopped = first.run(1.0)
    assert (stopped.status, stopped.exit_status) == ("interrupted", 130)
    assert 0.0 < stopped.time < 0.9 and stopped.time != 0.5
    with RunFile(halves) as run:
        assert run.attributes["status"] == "interrupted" and "SIGINT" in run.attributes["reason"]
    simulation, until = resume_simulation(halves, progress=False)
    result = simulation.run(until)
    assert result.status == "done" and result.time == 1.0
    assert_same_files(whole, halves)


def test_finished_run_extends_bit_for_bit(tmp_path):
    circle_simulation(tmp_path / "whole.h5", companion_lmax=47).run(0.8)
    circle_simulation(tmp_path / "parts.h5", companion_lmax=47).run(0.4)
    simulation, until = resume_simulation(tmp_path / "parts.h5", progress=False)
    assert until == 0.4
    simulation.run(0.8)
    assert_same_files(tmp_path / "whole.h5", tmp_path / "parts.h5")
    with RunFile(tmp_path / "parts.h5") as run:
        assert run.config["time"]["until"] == 0.8


def test_resuming_a_run_that_is_done_changes_nothing(tmp_path):
    path = tmp_path / "run.h5"
    finished = circle_simulation(path).run(0.4)
    before = path.read_bytes(), checkpoint_path(path).read_bytes()
    simulation, until = resume_simulation(path, progress=False)
    result = simulation.run(until)
    assert (result.status, result.exit_status, result.reason) == (
        "done",
        0,
        "nothing left to do: it had reached t = 0.4",
    )
    assert result.time == 0.4 and result.values.keys() == finished.values.keys()
    for name, value in finished.values.items():
        np.testing.assert_array_equal(result.values[name], value, name)
    np.testing.assert_array_equal(result.state, finished.state)
    for wrong in (0.3, np.nan, "1"):
        with pytest.raises(InputError, match=r"expected a time after t = 0\.4"):
            resume_simulation(path, progress=False)[0].run(wrong)
    assert (path.read_bytes(), checkpoint_path(path).read_bytes()) == before


def test_a_run_interrupted_at_its_end_is_done(tmp_path):
    run = circle_simulation(tmp_path / "run.h5")
    recorded = run.recorder.record

    def record(t, values, state):
        recorded(t, values, state)
        if t == 0.4:
            os.kill(os.getpid(), signal.SIGINT)

    run.recorder.record = record
    result = run.run(0.4)
    assert (result.status, result.reason) == ("done", "reached t = 0.4")


def test_a_run_whose_end_could_not_be_written_is_done_by_a_resume(tmp_path):
    """The state is at its end, the file says otherwise."""
    path = tmp_path / "run.h5"
    circle_simulation(path).run(0.4)
    with h5py.File(path, "r+") as file:
        file.attrs["status"] = "stopped"
    simulation, until = resume_simulation(path, progress=False)
    assert simulation.run(until).status == "done"
    with RunFile(path) as run:
        assert run.attributes["status"] == "done" and run.series["t"][-1] == 0.4


def test_heads_that_attend_to_all_alike_leave_a_file(tmp_path):
    """B = 0: the velocity depends on the mean alone, and no space has but one degree."""
    model = ContinuityEquation(Circle(47), Softmax(Head(np.diag([1.0, 0.2]), np.zeros((2, 2)), beta=5.0)))
    run = Simulation(model, fisher_bingham([0.3, 0.8]), tmp_path / "run.h5", progress=False, save_every=0.25)
    assert run.run(0.5).status == "done"
    assert resume_simulation(tmp_path / "run.h5", progress=False)[0].run(1.0).status == "done"
    with RunFile(tmp_path / "run.h5") as file:
        assert file.velocity.degree.max() == 2
        mean = file.series["mean"][-1]
    x = np.array([[1.0, 0.0], [0.6, -0.8]])
    pulled = np.diag([1.0, 0.2]) @ mean
    expected = pulled - x * (x @ pulled)[:, None]
    np.testing.assert_allclose(Characteristics(tmp_path / "run.h5").velocity(1.0, x), expected, atol=1e-12)


def test_a_second_run_goes_on_with_the_file(tmp_path):
    circle_simulation(tmp_path / "whole.h5", companion_lmax=47).run(0.8)
    simulation = circle_simulation(tmp_path / "parts.h5", companion_lmax=47)
    simulation.run(0.4)
    simulation.run(0.8)
    assert_same_files(tmp_path / "whole.h5", tmp_path / "parts.h5")


def plane_simulation(out, **options):
    """dim E = 2 on the sphere: distances are solved at save times, each from the solution before."""
    model = ContinuityEquation(Sphere(31), Softmax(Head(np.diag([1.0, 1.0, -0.3]), beta=10.0)))
    rho0 = fisher_bingham([0.5, 0.8, 0.2], np.diag([0.3, 0.0, 0.0]))
    return Simulation(model, rho0, out, **{"save_every": 0.1, "progress": False, **options})


def oblique_simulation(out, **options):
    """A not symmetric: the left eigenvector decides the side."""
    model = ContinuityEquation(Circle(63), Softmax(Head([[1.0, 0.6], [0.0, 0.5]], beta=10.0)))
    return Simulation(model, fisher_bingham([0.3, 0.8]), out, **{"save_every": 0.1, "progress": False, **options})


@pytest.mark.parametrize("make", [plane_simulation, oblique_simulation], ids=["plane", "oblique"])
def test_limit_and_potentials_survive_a_resume_bit_for_bit(tmp_path, make):
    make(tmp_path / "whole.h5", companion_lmax=23).run(0.8)
    make(tmp_path / "parts.h5", companion_lmax=23).run(0.4)
    simulation, _ = resume_simulation(tmp_path / "parts.h5", progress=False)
    simulation.run(0.8)
    assert_same_files(tmp_path / "whole.h5", tmp_path / "parts.h5")
    with RunFile(tmp_path / "whole.h5") as whole, RunFile(tmp_path / "parts.h5") as parts:
        assert whole.attributes["limit_measure"] == parts.attributes["limit_measure"]
        assert np.isfinite(whole.series["wasserstein_2_geodesic"]).sum() >= 6


WASSERSTEIN = [f"wasserstein_{p}_{ground}" for p in (1, 2) for ground in ("geodesic", "chordal")]


@pytest.mark.parametrize(
    "make", [circle_simulation, sphere_simulation, plane_simulation, oblique_simulation], ids=lambda f: f.__name__
)
def test_distances_lie_between_their_bounds_beyond_every_horizon(tmp_path, make):
    """To t = 5, where lmax 31 and 63 have lost the density: bounds in order, finite, and all start from Π♯ρ₀."""
    make(tmp_path / "run.h5", companion_lmax=23, save_every=1.0, continuation="none").run(5.0)
    with RunFile(tmp_path / "run.h5") as run:
        series, limit = run.series, json.loads(run.attributes["limit_measure"])
    assert np.isfinite(series["field_horizon"][-1])
    assert limit["kind"] == ("circle" if make is plane_simulation else "atoms") and limit["theorem"]
    for name in WASSERSTEIN:
        value, lower, upper = series[name], series[f"{name}_lower"], series[f"{name}_upper"]
        assert np.isfinite([lower, upper]).all() and (lower >= 0.0).all() and (lower <= upper).all()
        known = np.isfinite(value)
        assert known[0] and (known.all() or make is plane_simulation)
        assert (lower[known] <= value[known]).all() and (value[known] <= upper[known]).all()
        if make is not oblique_simulation:  # Π is the nearest-point map: at the start the two bounds meet
            assert upper[0] - lower[0] < 1e-13
        assert (f"{name}_error" in series) == (make is not plane_simulation)
    distance = series["distance_to_E"]
    assert np.abs(series["wasserstein_2_geodesic_lower"] - distance).max() < 1e-12


@pytest.mark.parametrize(("lmax", "companion_lmax"), [(63, 47), (255, 63)])
def test_bars_of_the_distances_cover_the_truth(tmp_path, lmax, companion_lmax):
    """The exact density at t = 6, of width e^{-6}: far beyond the field horizon W₁ converges like 1/lmax only."""
    head, rho0 = Head(np.diag([1.0, 0.0])), fisher_bingham([0.3, 0.8])
    model = ContinuityEquation(Circle(lmax), Hardmax(head))
    result = Simulation(model, rho0, companion_lmax=companion_lmax, save_every=0.5, progress=False).run(6.0)
    assert result.horizons.field is not None and result.horizons.field < 4.0
    plus = float(project_to_axis(rho0, [1.0, 0.0]).weights[0])
    for name in WASSERSTEIN:
        cost = Cost(int(name[12]), name[14:])
        truth = wasserstein_antipodes(lambda x: exact.hardmax_density(head, rho0, 6.0, x), [1.0, 0.0], plus, cost).value
        error, bar = abs(float(result.values[name]) - truth), float(result.values[f"{name}_error"])
        bounded(f"lmax {lmax}, {name}: error over its bar", error / bar, 0.8)


def test_distances_can_be_switched_off_and_stay_off(tmp_path):
    simulation = circle_simulation(tmp_path / "run.h5", wasserstein=False, companion_lmax=47)
    simulation.run(0.2)
    resumed, _ = resume_simulation(tmp_path / "run.h5", progress=False)
    resumed.run(0.4)
    with RunFile(tmp_path / "run.h5") as run:
        assert not [name for name in run.series if name.startswith("wasserstein")]
        assert "limit_measure" not in run.attributes and run.config["output"]["wasserstein"] is False
        assert "distance_to_E" in run.series and "hemisphere_mass_error" in run.series


def test_a_run_from_before_distances_were_recorded_goes_on_without(tmp_path):
    """Its checkpoint knows no limit and its file has no such series."""
    path = tmp_path / "run.h5"
    circle_simulation(path, wasserstein=False, companion_lmax=47).run(0.2)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["config"])
        del config["output"]["wasserstein"]
        file.attrs["config"] = json.dumps(config)
    with h5py.File(checkpoint_path(path), "r+") as file:
        state = json.loads(file.attrs["state"])
        del state["limit_measure"]
        file.attrs["state"] = json.dumps(state)
    resumed, _ = resume_simulation(path, progress=False)
    assert resumed.run(0.4).status == "done"
    with RunFile(path) as run:
        assert run.config["output"]["wasserstein"] is False


def test_only_run_files_are_overwritten(tmp_path):
    notes, foreign = tmp_path / "notes.toml", tmp_path / "data.h5"
    notes.write_text("precious")
    with h5py.File(foreign, "w") as file:
        file["x"] = np.arange(3)
    for path in (notes, foreign):
        before = path.read_bytes()
        with pytest.raises(InputError, match="will not be replaced"):
            circle_simulation(path, overwrite=True).run(0.1)
        assert path.read_bytes() == before


def test_bars_of_a_scheme_without_time_error_say_so(tmp_path):
    simulation = circle_simulation(tmp_path / "run.h5", dt=0.02, stepper="ars443", companion_lmax=47)
    assert any("space only" in warning for warning in simulation.warnings)
    simulation.run(0.1)
    with h5py.File(tmp_path / "run.h5") as file:
        assert file["series/mean_error"].attrs["long_name"].endswith("companion difference only")


def test_killed_run_resumes_from_its_last_checkpoint(tmp_path):
    script = textwrap.dedent(
        """
        import sys, numpy as np
        from spherepde import *
        model = ContinuityEquation(Circle(63), Softmax(Head(np.diag([1.0, 0.5]), beta=20.0)))
        rho0 = fisher_bingham([0.3, 0.8], np.zeros((2, 2)))
        sim = Simulation(model, rho0, sys.argv[1], save_every=0.01, dt=5e-4, checkpoint_every=0.05, progress=False)
        sim.run(float(sys.argv[2]))
        """
    )
    whole, killed = tmp_path / "whole.h5", tmp_path / "killed.h5"
    child = subprocess.Popen([sys.executable, "-c", script, str(killed), "0.4"])
    for _ in range(600):  # kill it once it has gone some way past a checkpoint
        time.sleep(0.05)
        try:
            if load_checkpoint(checkpoint_path(killed))[1]["time"] > 0.03:
                break
        except InputError:
            continue
    child.kill()
    child.wait()
    with RunFile(killed) as run:
        assert run.attributes["status"] == "running"
    simulation, until = resume_simulation(killed, progress=False)
    assert 0.03 < simulation.time < 0.4
    simulation.run(until)
    subprocess.run([sys.executable, "-c", script, str(whole), "0.4"], check=True)
    assert_same_files(whole, killed)


def test_save_times_are_hit_exactly_and_no_step_is_tiny(tmp_path):
    simulation = circle_simulation(tmp_path / "run.h5", save_every=0.3)
    simulation.run(1.0)
    with RunFile(tmp_path / "run.h5") as run:
        np.testing.assert_array_equal(run.times, [0.0, 0.3, 0.6, 3 * 0.3, 1.0])
        t, steps = run.series["t"], run.series["step_size"][1:]
    assert t[0] == 0.0 and set(run.times) <= set(t)
    np.testing.assert_allclose(np.diff(t), steps, rtol=1e-12)
    assert steps.min() > 0.2 * np.median(steps)


def test_fixed_steps_divide_the_save_interval():
    simulation = circle_simulation(None, dt=0.03)
    taken = []
    simulation.recorder.record = lambda t, values, state: taken.append(float(values["step_size"]))
    simulation.run(0.2)
    np.testing.assert_allclose(taken[1:], 0.025, rtol=1e-12)


def test_error_bars_cover_the_truth(tmp_path):
    coarse = sphere_simulation(None, lmax=23, companion_lmax=17, rtol=1e-6)
    truth = sphere_simulation(None, lmax=63, rtol=1e-11).run(2.0)
    result = coarse.run(2.0)
    for name in ("mean", "second_moment", "distance_to_E", "distance_to_E_chordal"):
        difference = np.abs(result.values[name] - truth.values[name])
        assert np.all(difference <= result.values[f"{name}_error"] + 1e-14), name
    assert np.max(result.values["second_moment_error"]) < 1e-2


def test_velocity_reconstructs_from_the_recorded_source_moments(tmp_path):
    simulation = sphere_simulation(tmp_path / "run.h5", lmax=47)
    simulation.run(0.5)
    model = simulation.model
    with RunFile(tmp_path / "run.h5") as run:
        record = run.velocity
        assert record is not None
        np.testing.assert_array_equal(record.t, run.series["t"])
        low = model.space.refined(int(record.degree.max()))
        np.testing.assert_array_equal(record.degree, low.degree)
        np.testing.assert_array_equal(record.order, low.order)
        expected = model.field.velocity(run.coefficients(-1)).copy()
        padded = low.restrict(record.moments[-1], model.space.lmax)
    np.testing.assert_allclose(model.field.velocity(padded), expected, rtol=0.0, atol=1e-12)


def test_horizons_are_found_in_order_and_written(tmp_path):
    result = circle_simulation(tmp_path / "run.h5", beta=100.0, lmax=95, companion_lmax=63, continuation="none").run(
        9.0
    )
    assert result.horizons.field is not None and result.horizons.velocity is not None
    assert 1.0 < result.horizons.field < result.horizons.velocity < 9.0
    with RunFile(tmp_path / "run.h5") as run:
        series = run.series
        assert run.attributes["field_horizon"] == result.horizons.field
        assert run.attributes["velocity_horizon"] == result.horizons.velocity
    for name in ("field", "velocity"):
        horizon = getattr(result.horizons, name)
        before = series["t"] < horizon
        assert np.all(np.isnan(series[f"{name}_horizon"][before]))
        assert np.all(series[f"{name}_horizon"][~before] == horizon)


def test_second_moment_of_no_measure_marks_the_velocity_horizon():
    horizons = Horizons()
    good = {"spectral_tail": np.array(0.0), "second_moment": np.diag([0.7, 0.3])}
    assert horizons.watch(1.0, good) == [] and horizons.velocity is None
    assert len(horizons.watch(2.0, {**good, "second_moment": np.diag([1.0 + 1e-5, -1e-5])})) == 1
    assert horizons.velocity == 2.0


def test_a_lost_companion_leaves_unknown_error_bars_and_marks_the_horizon():
    horizons = Horizons()
    values = {
        "spectral_tail": np.array(0.0),
        "second_moment": np.eye(2) / 2,
        "second_moment_error": np.full((2, 2), np.nan),
    }
    assert horizons.watch(1.0, values)
    assert horizons.velocity == 1.0


def test_nan_stops_the_run_with_a_reason_and_keeps_the_last_good_state(tmp_path):
    simulation = circle_simulation(tmp_path / "run.h5", dt=0.02, checkpoint_every=0.0)
    flux, calls = simulation.model.field.flux, []

    def poisoned(u):
        calls.append(None)
        field = flux(u)
        return field * np.nan if len(calls) > 60 else field

    simulation.model.field.flux = poisoned
    result = simulation.run(1.0)
    assert (result.status, result.exit_status) == ("stopped", 1)
    assert "no longer finite" in result.reason and "t = 0.2" in result.reason
    assert np.isfinite(result.state).all()
    with RunFile(tmp_path / "run.h5") as run:
        assert run.attributes["status"] == "stopped" and run.attributes["reason"] == result.reason
        assert all(np.isfinite(run.coefficients(i)).all() for i in range(len(run.times)))
    arrays, state = load_checkpoint(checkpoint_path(tmp_path / "run.h5"))
    assert state["time"] == result.time
    assert arrays["state"].tobytes() == result.state.tobytes()


def test_unphysical_state_stops_the_run():
    simulation = circle_simulation(None, dt=0.05)
    u = simulation.state.copy()
    u[2] = -1.5  # second moment diag(-0.25, 1.25)
    simulation.state = u
    result = simulation.run(1.0)
    assert result.status == "stopped" and "impossible for a density" in result.reason


def test_a_rejected_state_leaves_no_trace(tmp_path):
    """What a run returns, its file and its checkpoint all end with the last state that passed the guards."""
    simulation = circle_simulation(tmp_path / "run.h5", dt=0.05, companion_lmax=31)
    measure, calls = simulation.diagnostics.measure, []

    def spoilt(u):
        calls.append(None)
        values = measure(u)
        return values if len(calls) < 8 else values | {"mass": np.array(1.5)}

    simulation.diagnostics.measure = spoilt
    result = simulation.run(1.0)
    assert result.status == "stopped" and "mass drifted" in result.reason
    assert result.values["mass"] == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_array_equal(result.values["mean"], simulation.diagnostics.observables(result.state)["mean"])
    with RunFile(tmp_path / "run.h5") as run:
        assert run.series["t"][-1] == result.time
    arrays, state = load_checkpoint(checkpoint_path(tmp_path / "run.h5"))
    assert state["time"] == result.time
    assert arrays["state"].tobytes() == result.state.tobytes()


def test_mass_drift_stops_the_run():
    simulation = circle_simulation(None, dt=0.05)
    simulation.state = simulation.state * (1.0 + 1e-8)
    assert "mass drifted" in simulation.run(1.0).reason


def test_full_disk_stops_the_run_and_leaves_a_readable_file(tmp_path):
    script = textwrap.dedent(
        """
        import resource, signal, sys, numpy as np
        from spherepde import *
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_200_000, 4_200_000))
        model = ContinuityEquation(Circle(63), Softmax(Head(np.diag([1.0, 0.5]), beta=20.0)))
        rho0 = fisher_bingham([0.3, 0.8], np.zeros((2, 2)))
        sim = Simulation(model, rho0, sys.argv[1], save_every=0.01, dt=1e-3, progress=False)
        result = sim.run(1.0)
        print(result.reason)
        raise SystemExit(result.exit_status)
        """
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "run.h5")], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr and "run.h5" in done.stdout
    with RunFile(tmp_path / "run.h5") as run:
        assert len(run.times) > 3
        assert np.isfinite(run.coefficients(len(run.times) - 1)).all()


def test_starting_from_an_earlier_run(tmp_path):
    circle_simulation(tmp_path / "first.h5", rtol=1e-10).run(0.5)
    rho = density_from_run(tmp_path / "first.h5")
    second = circle_simulation(None, rho0=rho, lmax=95, rtol=1e-10).run(0.5)
    whole = circle_simulation(None, lmax=95, rtol=1e-10).run(1.0)
    np.testing.assert_allclose(second.values["second_moment"], whole.values["second_moment"], atol=1e-9)
    assert density_from_run(tmp_path / "first.h5", 0.21).parameters["time"] == 0.2


def test_snapshot_beyond_its_field_horizon_cannot_start_a_run(tmp_path):
    circle_simulation(tmp_path / "first.h5", beta=100.0, lmax=47).run(7.0)
    with pytest.raises(InputError, match=r"snapshot at t = 7 is unresolved.*expected an earlier initial.time"):
        density_from_run(tmp_path / "first.h5")


def test_run_from_a_callable_can_be_resumed(tmp_path):
    rho0 = from_callable(lambda x: 1.0 + 0.5 * x[:, 0], 2)
    circle_simulation(tmp_path / "run.h5", rho0=rho0).run(0.2)
    simulation, _ = resume_simulation(tmp_path / "run.h5", progress=False)
    assert simulation.run(0.3).status == "done"


def test_configuration_in_the_file_rebuilds_the_run(tmp_path):
    sphere_simulation(tmp_path / "run.h5", companion_lmax=23).run(0.2)
    with RunFile(tmp_path / "run.h5") as run:
        config = parse_config(run.config)
    again = build_simulation(config, tmp_path / "again.h5", progress=False)
    again.run(config.time.until)
    assert_same_files(tmp_path / "run.h5", tmp_path / "again.h5")


@pytest.mark.parametrize("attention", [Softmax, Unnormalised, Hardmax])
def test_every_recorded_quantity_is_finite_and_named(tmp_path, attention):
    model = ContinuityEquation(Sphere(23), attention(Head(np.diag([1.0, 0.4, -0.3]), beta=5.0)))
    Simulation(
        model, fisher_bingham([0, 0.5, 0], np.zeros((3, 3))), tmp_path / "run.h5", companion_lmax=15, progress=False
    ).run(0.02)
    with RunFile(tmp_path / "run.h5") as run:
        series = run.series
        assert (run.velocity is None) == (attention is Hardmax)
    assert ("energy" in series) == (attention is not Hardmax)
    for name, values in series.items():
        assert name.endswith("_horizon") or np.all(np.isfinite(values)), name


def test_warning_below_the_kernel_bandwidth(capfd):
    simulation = circle_simulation(None, beta=1000.0, lmax=63, progress=True)
    assert len(simulation.warnings) == 1
    simulation.run(0.01)
    assert "below the bandwidth L_K = 272" in capfd.readouterr().err


NARROW = fisher_bingham([30.0, 0.0], np.zeros((2, 2)))


def test_warning_for_a_fixed_step_beyond_the_stability_limit():
    """dt·max|v|·lmax may reach 4.0 for ark436 and 1.57 for ars443."""
    calm = circle_simulation(None, dt=0.05)
    assert calm.warnings == []
    speed = float(calm.diagnostics.measure(calm.state)["max_speed"])
    for stepper, limit in (("ark436", 4.0), ("ars443", 1.57)):
        assert not circle_simulation(None, dt=0.9 * limit / speed / 63, stepper=stepper).warnings
        (warning,) = circle_simulation(None, dt=1.1 * limit / speed / 63, stepper=stepper).warnings
        assert f"where {stepper} is stable" in warning


def test_short_times_are_as_good_as_long_ones():
    """Unnormalised flows live on times e^{-β}: only ratios of times may matter."""
    head = Head(np.eye(2), beta=40.0)
    model = ContinuityEquation(Circle(31), Unnormalised(head))
    until = 3.0 / float(exact.growth_rate(2, 40.0, 4, "unnormalised"))
    assert until < 1e-14
    rho0 = harmonics(2, [{"degree": 4, "cos": 0.1}])
    result = Simulation(model, rho0, save_every=until, progress=False).run(until)
    assert result.status == "done", result.reason


BAD = {
    "companion too coarse": (
        lambda out: circle_simulation(out, companion_lmax=7, rho0=fisher_bingham([5.0, 0.0], np.zeros((2, 2)))),
        "space.companion_lmax = 7",
    ),
    "too narrow": (
        lambda out: circle_simulation(out, lmax=7, rho0=fisher_bingham([30.0, 0.0], np.zeros((2, 2)))),
        "lmax >= ",
    ),
    "both steps": (lambda out: circle_simulation(out, dt=0.1, rtol=1e-8), "expected rtol or dt"),
    "no error estimate": (lambda out: circle_simulation(out, stepper="ars443"), "no embedded error"),
    "unknown stepper": (lambda out: circle_simulation(out, stepper="rk4"), "expected one of ark436, ars443"),
    "companion too fine": (lambda out: circle_simulation(out, companion_lmax=63), "companion_lmax"),
    "wrong dimension": (lambda out: circle_simulation(out, rho0=uniform(3)), "dim 3"),
    "negative dt": (lambda out: circle_simulation(out, dt=-1.0), "expected a positive number"),
    "time as text": (lambda out: circle_simulation(out).run("3"), "expected a time after"),
    "interval as text": (lambda out: circle_simulation(out, save_every="a"), "time.save_every"),
    "no function": (lambda out: circle_simulation(out, rho0=lambda x: x), "from_callable"),
    "no head": (lambda out: Softmax(np.eye(2)), "expected a Head"),
    "half a degree": (lambda out: Circle(7.5), "expected lmax >= 2"),
    "too many degrees": (lambda out: Sphere(10**6), "<= 4095"),
    "colder than the tables": (lambda out: circle_simulation(out, beta=1e9), "model.beta"),
    "negative interval": (lambda out: circle_simulation(out, checkpoint_every=-1.0), "output.checkpoint_every"),
    "end before start": (lambda out: circle_simulation(out).run(0.0), "expected a time after"),
    "no folder": (lambda out: circle_simulation(out / "nowhere" / "run.h5").run(0.1), "nowhere"),
}


@pytest.mark.parametrize("case", BAD, ids=list(BAD))
def test_bad_input_is_one_sentence(tmp_path, case):
    attempt, fragment = BAD[case]
    with pytest.raises(InputError) as caught:
        attempt(tmp_path)
    assert fragment in str(caught.value) and "\n" not in str(caught.value)


def test_required_lmax_is_enough():
    with pytest.raises(InputError) as caught:
        circle_simulation(None, lmax=7, rho0=NARROW)
    needed = int(str(caught.value).split("lmax >= ")[1].split()[0])
    circle_simulation(None, lmax=needed, rho0=NARROW)


def test_representations_tell_the_story(tmp_path):
    simulation = circle_simulation(tmp_path / "run.h5")
    result = simulation.run(0.1)
    assert repr(result) == f"Result(done: reached t = 0.1, file {tmp_path / 'run.h5'})"
    assert (
        "Circle(lmax=63" in repr(simulation)
        and "fisher_bingham" in repr(simulation)
        and "at t = 0.1" in repr(simulation)
    )


def test_existing_file_is_kept_unless_overwritten(tmp_path):
    path = tmp_path / "run.h5"
    circle_simulation(path).run(0.1)
    before = path.read_bytes()
    with pytest.raises(InputError, match="--overwrite"):
        circle_simulation(path).run(0.1)
    assert path.read_bytes() == before
    assert circle_simulation(path, overwrite=True).run(0.2).status == "done"


def test_xarray_opens_a_run_with_no_options(tmp_path):
    import xarray as xr

    sphere_simulation(tmp_path / "run.h5", lmax=15, companion_lmax=11).run(0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with xr.open_dataset(tmp_path / "run.h5") as data:
            assert data["density"].dims == ("time", "theta", "phi")
            total = (data["density"].isel(time=-1).mean("phi") * 2 * np.pi).values
            nodes, weights = np.polynomial.legendre.leggauss(len(data["theta"]))
            np.testing.assert_allclose(np.arccos(nodes)[::-1], data["theta"], atol=1e-12)
            assert abs(total @ weights - 1.0) < 1e-12
        with xr.open_datatree(tmp_path / "run.h5") as tree:
            assert tree["series"]["second_moment"].shape[1:] == (3, 3)
