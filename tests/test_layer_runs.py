"""Runs through layers: landing, resuming bit for bit, error bars, the file and the command line."""

import gc
import json
import os
import signal
import sys
import weakref
from pathlib import Path

import h5py
import numpy as np
import pytest

from spherepde import (
    Circle,
    ContinuityEquation,
    Hardmax,
    Head,
    InputError,
    RunFile,
    Simulation,
    Softmax,
    Sphere,
    build_simulation,
    fisher_bingham,
    load_config,
    resume_simulation,
)
from spherepde.cli import main
from spherepde.config import parse_config
from spherepde.schedules import Layers
from spherepde.summary import describe, model_in_words
from spherepde.verdict import verdict

ROOT = Path(__file__).parents[1]


def head(rng, dim, beta):
    return Head(0.5 * rng.normal(size=(dim, dim)), np.linalg.qr(rng.normal(size=(dim, dim)))[0], beta=beta)


def layers(dim, count=4, width=2, **times):
    rng = np.random.default_rng(dim)
    times = times or {"times": [0.0, 0.1, 0.25, 0.3, 0.5][: count + 1]}
    return Layers([[head(rng, dim, 2.0 + 3.0 * layer) for _ in range(width)] for layer in range(count)], **times)


def simulation(attention, out=None, lmax=31, **options):
    dim = attention.dim
    space = Circle(lmax) if dim == 2 else Sphere(lmax)
    rho0 = fisher_bingham([0.0, 0.8, 0.2][:dim], np.zeros((dim, dim)))
    return Simulation(
        ContinuityEquation(space, attention), rho0, out, **{"save_every": 0.15, "progress": False, **options}
    )


def datasets(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: found.update({name: item[()].tobytes()}) if isinstance(item, h5py.Dataset) else None
        )
    return found


# ---- marching


@pytest.mark.parametrize("stepping", [{"rtol": 1e-8}, {"dt": 0.03}], ids=["adaptive", "fixed"])
def test_breaks_are_landed_on_and_saves_stay_where_they_were(tmp_path, stepping):
    simulation(Softmax(layers(2)), tmp_path / "run.h5", companion_lmax=23, **stepping).run(0.6)
    with RunFile(tmp_path / "run.h5") as run:
        t = run.series["t"]
        assert {0.0, 0.1, 0.25, 0.3} <= set(t.tolist())
        assert run.times.tolist() == [0.0, 0.15, 0.3, 3 * 0.15, 0.6]
        assert np.all(np.diff(t) > 1e-3)


def test_a_row_at_a_jump_belongs_to_the_layer_that_begins(tmp_path):
    fast, slow = Head(np.diag([8.0, 0.0])), Head(np.diag([1.0, 0.0]))
    simulation(Hardmax(Layers([slow, fast, slow], layer_time=0.1)), tmp_path / "run.h5", lmax=63).run(0.3)
    with RunFile(tmp_path / "run.h5") as run:
        t, speed = run.series["t"], run.series["max_speed"]
        expected = np.where((t >= 0.1) & (t < 0.2), 4.0, 0.5)  # |v| = λ |cos θ sin θ|
        assert np.allclose(speed, expected, rtol=1e-3)
        steps = {layer: np.diff(t)[(t[:-1] >= 0.1 * layer) & (t[:-1] < 0.1 * layer + 0.0999)].max() for layer in (1, 2)}
        assert steps[1] <= 0.95 * 4.0 / (4.0 * 63) * 1.001 < steps[2]  # the Courant limit is the layer's own


@pytest.mark.parametrize("kind", ["layers", "interpolated"])
@pytest.mark.parametrize("dim", [2, 3])
def test_interrupted_in_a_layer_and_resumed_equals_uninterrupted_bit_for_bit(tmp_path, dim, kind):
    schedule = layers(dim)
    if kind == "interpolated":
        alike = [[Head(head.V, beta=head.beta) for head in heads] for heads in schedule.layers]
        schedule = Layers(alike, times=[0.05, 0.1, 0.25, 0.3], interpolate=True)
    whole, parts = tmp_path / "whole.h5", tmp_path / "parts.h5"
    options = {"companion_lmax": 23, "checkpoint_every": 1e9}
    simulation(Softmax(schedule), whole, **options).run(0.45)
    first = simulation(Softmax(schedule), parts, **options)
    recorded, calls = first.recorder.record, []

    def record(t, values, state):
        recorded(t, values, state)
        calls.append(t)
        if t > 0.1 >= calls[-2]:
            os.kill(os.getpid(), signal.SIGINT)

    calls.append(0.0)
    first.recorder.record = record
    stopped = first.run(0.45)
    assert stopped.status == "interrupted" and 0.1 < stopped.time < 0.25
    again, until = resume_simulation(parts, progress=False)
    assert again.run(until).status == "done"
    assert datasets(whole) == datasets(parts)


def test_finished_at_a_break_and_extended_equals_the_whole_bit_for_bit(tmp_path):
    schedule = layers(2, layer_time=0.1)
    simulation(Softmax(schedule), tmp_path / "whole.h5", companion_lmax=23, save_every=0.1).run(0.4)
    simulation(Softmax(schedule), tmp_path / "parts.h5", companion_lmax=23, save_every=0.1).run(0.2)
    again, _ = resume_simulation(tmp_path / "parts.h5", progress=False)
    again.run(0.4)
    assert datasets(tmp_path / "whole.h5") == datasets(tmp_path / "parts.h5")


def test_a_stack_of_equal_layers_is_the_constant_run(tmp_path):
    single = head(np.random.default_rng(0), 3, 5.0)
    stacked = simulation(Softmax(Layers([single] * 6, layer_time=0.05)), rtol=1e-12).run(0.3)
    plain = simulation(Softmax(single), rtol=1e-12).run(0.3)
    assert np.abs(stacked.state - plain.state).max() < 1e-10


def test_a_deep_stack_keeps_two_prepared_fields_at_most(monkeypatch):
    alive, most = weakref.WeakSet(), []
    prepare = Softmax.on

    def on(self, space):
        field = prepare(self, space)
        alive.add(field)
        gc.collect()
        most.append(len(alive))
        return field

    monkeypatch.setattr(Softmax, "on", on)
    simulation(Softmax(layers(2, count=24, width=3, layer_time=0.02))).run(0.48)
    assert len(most) == 24 and max(most) == 2


def test_error_bars_cover_the_truth_through_layers(tmp_path):
    schedule = layers(3, width=1)
    truth = simulation(Softmax(schedule), lmax=63, rtol=1e-11)
    truth.run(0.4)
    _, mean, second = truth.model.space.moments(truth.state)
    run = simulation(Softmax(schedule), companion_lmax=15, lmax=23).run(0.4)
    for name, exact in (("mean", mean), ("second_moment", second)):
        error, bar = np.abs(run.values[name] - exact).max(), np.max(run.values[f"{name}_error"])
        assert error <= bar < 1e-3


def test_velocity_reconstructs_in_every_layer_from_the_recorded_moments(tmp_path):
    schedule = layers(3)  # β grows: the last layer sees the highest degrees, more than there are
    attention = Softmax(schedule)
    simulation(attention, tmp_path / "run.h5").run(0.45)
    with RunFile(tmp_path / "run.h5") as run:
        space = Sphere(31)
        record = run.velocity
        needed = max(Softmax(heads).on(space).source_degree for heads in schedule.layers)
        assert record.degree.max() == 31 and run.attributes["kernel_bandwidth"] == needed > 31
        for index, time in enumerate(run.times):
            row = int(np.argmin(np.abs(record.t - time)))
            u = np.zeros(space.n_modal, complex)
            kept = [
                int(np.flatnonzero((space.degree == l) & (space.order == m))[0])
                for l, m in zip(record.degree, record.order, strict=True)
            ]
            u[kept] = record.moments[row]
            field = attention.at(time).on(space)
            seen = field.velocity(u).copy()
            assert np.abs(seen - field.velocity(run.coefficients(index))).max() < 1e-13


# ---- heads as a function of time


def turning(t):
    return Head(np.diag([1.0, 0.5, -0.2]), beta=4.0 + 6.0 * t)


def bandwidth(t):
    return Softmax(turning(t)).on(Sphere(31)).source_degree


def test_a_function_of_time_runs_is_written_and_is_not_resumed(tmp_path):
    path = tmp_path / "run.h5"
    simulation(Softmax(turning), path, companion_lmax=23).run(0.45)
    with RunFile(path) as run:
        assert "1 head, as a function of time, turning" in describe(run)
        assert verdict(run).endswith("a single head that does not change with time")
        assert run.velocity.degree.max() == run.attributes["kernel_bandwidth"] == bandwidth(0.45) > bandwidth(0.0)
        assert "energy" not in run.series and "distance_to_E" not in run.series
    before = path.read_bytes()
    with pytest.raises(
        InputError, match="the heads were a function of time, turning, which no file can hold"
    ) as caught:
        resume_simulation(path)
    assert "\n" not in str(caught.value) and path.read_bytes() == before


@pytest.mark.parametrize("kind", ["same", "restored"])
def test_the_velocity_on_file_is_never_cut_as_a_function_of_time_sharpens(tmp_path, kind):
    """The file has room for the degrees of the time it was made for; a run beyond is refused or has enough."""
    path = tmp_path / "run.h5"
    made = simulation(Softmax(turning), path)
    made.run(0.15)
    assert bandwidth(0.45) > bandwidth(0.15)
    before = path.read_bytes()
    if kind == "restored":  # another program that has the function
        made = simulation(Softmax(turning), path)
        made.restore()
    said = f"records the velocity up to degree {bandwidth(0.15)}, but L_K = {bandwidth(0.45)} by t = 0.45; expected"
    with pytest.raises(InputError, match=said) as caught:
        made.run(0.45)
    assert "\n" not in str(caught.value) and path.read_bytes() == before
    with RunFile(path) as run:
        assert run.attributes["status"] == "done"
        assert run.attributes["kernel_bandwidth"] == run.velocity.degree.max() == bandwidth(0.15)
    assert made.run(0.1501).status == "done"  # needs no higher degree


def test_without_the_velocity_a_function_of_time_goes_on_and_the_file_says_the_bandwidth(tmp_path):
    path = tmp_path / "run.h5"
    made = simulation(Softmax(turning), path, save_velocity=False)
    made.run(0.15)
    again = simulation(Softmax(turning), path)  # would record the velocity, but the file does not
    again.restore()
    assert again.run(0.45).status == "done"
    with RunFile(path) as run:
        assert run.velocity is None and run.attributes["kernel_bandwidth"] == bandwidth(0.45)
        assert run.config["output"]["velocity"] is False and run.series["t"][-1] == 0.45


def test_restored_in_another_program_equals_the_whole_bit_for_bit(tmp_path):
    def slow(t):  # sharpest at t = 0: every later time fits
        return Head(np.diag([1.0, 0.5, -0.2]), beta=9.0 - 4.0 * t)

    simulation(Softmax(slow), tmp_path / "whole.h5", companion_lmax=23).run(0.45)
    simulation(Softmax(slow), tmp_path / "parts.h5", companion_lmax=23).run(0.3)
    again = simulation(Softmax(slow), tmp_path / "parts.h5", companion_lmax=23)
    again.restore()
    again.run(0.45)
    assert datasets(tmp_path / "whole.h5") == datasets(tmp_path / "parts.h5")


def test_a_function_that_fails_leaves_a_finished_file_and_its_own_error(tmp_path):
    def failing(t):  # where no probe looks
        if 0.2001 < t < 0.2019:
            raise ZeroDivisionError("no heads here")
        return Head(np.diag([1.0, 0.0]))

    made = simulation(Softmax(failing), tmp_path / "run.h5", dt=0.001)
    with pytest.raises(ZeroDivisionError, match="no heads here"):
        made.run(0.256)
    with RunFile(tmp_path / "run.h5") as run:
        assert run.attributes["status"] == "stopped" and run.attributes["finished"]
        assert run.attributes["reason"].startswith("ZeroDivisionError: no heads here (at t = 0.2")
        assert run.series["t"][-1] == made.time
    again = simulation(Softmax(lambda t: Head(np.diag([1.0, 0.0]))), tmp_path / "run.h5", dt=0.001)
    again.restore()  # the last good state is there to go on from
    assert again.time == made.time and again.run(0.256).status == "done"


def test_a_function_that_goes_wrong_is_refused_before_the_run_or_stops_it(tmp_path):
    with pytest.raises(InputError, match=r"heads at t = 0\.3.*: head: expected an inverse temperature beta > 0"):
        simulation(Softmax(lambda t: Head(np.eye(2), beta=0.3 - t)), tmp_path / "run.h5").run(0.6)
    assert list(tmp_path.iterdir()) == []

    def spiky(t):  # wrong where no probe looks
        return Head(np.diag([1.0, 0.0]), beta=-1.0 if 0.2001 < t < 0.2019 else 1.0)

    result = simulation(Softmax(spiky), tmp_path / "run.h5", dt=0.001).run(0.256)
    assert result.status == "stopped" and "heads at t = 0.20" in result.reason and result.time <= 0.2021


def test_energy_is_recorded_only_where_every_layer_has_one_and_at_one_scale(tmp_path):
    symmetric = [Head(np.diag([1.0, 0.3]), np.diag([1.0, 0.5]), beta=b) for b in (2.0, 40.0)]
    simulation(Softmax(Layers(symmetric, layer_time=0.1)), tmp_path / "both.h5").run(0.2)
    with RunFile(tmp_path / "both.h5") as run:
        t, energy = run.series["t"], run.series["energy"]
        assert np.isfinite(energy).all() and np.all(energy[t < 0.1] < 1e-14) and np.all(energy[t >= 0.1] > 1e-6)
    mixed = [symmetric[0], Head(np.eye(2), [[0.0, 1.0], [-1.0, 0.0]])]
    result = simulation(Softmax(Layers(mixed, layer_time=0.1)), tmp_path / "one.h5").run(0.2)
    assert result.status == "done" and "energy" not in result.values


# ---- configuration and command line

CONFIG = """
[model]
dim = 2
layers = "weights.npz"
layer_time = 0.1
beta = 4.0

[initial]
family = "fisher_bingham"
linear = [0.3, 0.8]

[space]
lmax = 31
companion_lmax = 23

[time]
until = 0.4
save_every = 0.1
"""


def arrays(count=3, width=2, dim=2):
    rng = np.random.default_rng(5)
    return {name: 0.5 * rng.normal(size=(count, width, dim, dim)) for name in "VQK"}


@pytest.fixture
def cli(monkeypatch, capsys, tmp_path):
    """Run a command line beside a configuration and its weights; returns (exit status, stdout, stderr)."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "config.toml").write_text(CONFIG)
    np.savez(tmp_path / "models" / "weights.npz", **arrays())
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["spherepde", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        out, err = capsys.readouterr()
        return exit_.value.code or 0, out, err

    return call


def test_run_info_plot_resume_without_the_weights(cli):
    assert cli("run", "models/config.toml", "--quiet", "--out", "run.h5")[0] == 0
    Path("models/weights.npz").unlink()
    status, out, _ = cli("info", "run.h5")
    assert status == 0 and "sum of 3 layers × 2 heads, t = 0 … 0.3, β = 4" in out
    assert "verdict: none" in out
    status, out, err = cli("plot", "run.h5", "--out", "figures")
    assert status == 0, err
    assert all(Path(figure).stat().st_size > 5000 for figure in out.split())
    status, out, err = cli("resume", "run.h5", "--until", "0.5", "--quiet")
    assert status == 0 and "reached t = 0.5" in out, err
    with RunFile("run.h5") as run:
        model = run.config["model"]
        weights = arrays()
        assert np.array_equal(model["layers"]["V"], weights["V"])
        assert np.array_equal(model["layers"]["B"], np.swapaxes(weights["Q"], -1, -2) @ weights["K"])


def test_inline_layers_equal_those_of_the_file(tmp_path):
    (tmp_path / "config.toml").write_text(CONFIG)
    np.savez(tmp_path / "weights.npz", **arrays())
    read = load_config(tmp_path / "config.toml")
    inline = {name: array.tolist() for name, array in arrays().items()}
    text = CONFIG.replace('layers = "weights.npz"', "").replace(
        "beta = 4.0", f"beta = 4.0\nlayers = {json.dumps(inline)}"
    )
    (tmp_path / "inline.toml").write_text(text.replace('"V":', "V =").replace('"Q":', "Q =").replace('"K":', "K ="))
    assert load_config(tmp_path / "inline.toml") == read
    assert parse_config(read.to_dict()) == read
    made = build_simulation(read, tmp_path / "run.h5", progress=False)
    assert made.model.to_config()["layer_times"] == [0.0, 0.1, 0.2, 3 * 0.1]


def test_words_for_a_real_transformer_and_its_size_in_the_file(tmp_path):
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(size=(96, 12, 2, 2)) / 30.0 for name in "VB"}
    stack = Layers.from_arrays(weights, beta=1.0, layer_time=0.1)
    made = simulation(Softmax(stack, combine="mean"), tmp_path / "run.h5", lmax=15, save_every=1.0)
    assert "mean of 96 layers × 12 heads, t = 0 … 9.6, β = 1" in model_in_words(made.model.to_config())
    made.run(0.15)
    with RunFile(tmp_path / "run.h5") as run:
        assert np.array_equal(run.config["model"]["layers"]["V"], weights["V"])
    again, _ = resume_simulation(tmp_path / "run.h5", progress=False)
    assert again.model.attention.schedule.to_config() == stack.to_config()


def test_the_example_is_made_by_the_seed_it_states():
    config = (ROOT / "data" / "circle_layers.toml").read_text().splitlines()
    made = {}
    recipe = [line.removeprefix("#   ") for line in config if line.startswith(("#   rng", "#   drift", "#   Q, K, V"))]
    exec("\n".join(recipe), {"np": np}, made)
    with np.load(ROOT / "data" / "circle_layers.npz") as file:
        assert sorted(file.files) == ["K", "Q", "V"] and len(recipe) == 3
        assert all(np.array_equal(file[name], made[name]) for name in "QKV")
    stack = build_simulation(load_config(ROOT / "data" / "circle_layers.toml"), progress=False).model.attention.schedule
    assert len(stack.layers) == 12 and len(stack.layers[0]) == 2


REFUSED = {
    "no such file": (["--set", 'model.layers="nowhere.npz"'], "nowhere.npz: cannot be read (No such file"),
    "text": (["--set", 'model.layers="models/config.toml"'], "config.toml: cannot be read (no .npz or HDF5"),
    "number": (["--set", "model.layers=3"], "model.layers is 3; expected the name of an .npz or HDF5 file"),
    "duration": (["--set", "model.layer_time=0.0"], "model.layer_time: expected a duration > 0, got 0.0"),
    "both": (["--set", "model.layer_times=[0.0, 1.0]"], "expected either the times of the layers or layer_time"),
    "V beside": (["--set", 'model.V="identity"'], "model.V is 'identity'; expected either this key or layers"),
    "head beside": (["--set", "model.head=[{beta = 1.0}]"], "model.head is [{'beta': 1.0}]; expected either this"),
    "beta": (["--set", "model.beta=-1.0"], "model.beta is -1.0"),
    "no beta": (
        ["--set", "model={dim = 2, layers = {V = [[[1, 0], [0, 1]]]}, layer_time = 1}"],
        "model.beta is missing",
    ),
    "beta twice": (
        ["--set", "model={dim = 2, layers = {V = [[[1, 0], [0, 1]]], beta = 1}, layer_time = 1, beta = 2}"],
        "model.beta is 2; expected beta here or with the layers, not both",
    ),
    "beta of a head": (
        ["--set", "model={dim = 2, layers = {V = [[[1, 0], [0, 1]]], beta = [0.0]}, layer_time = 1}"],
        "model.layers: beta, layer 0, head 0: expected an inverse temperature > 0, got 0",
    ),
    "dimension": (["--set", "model.dim=3"], "model.layers: the matrices act on d = 2; expected d = model.dim = 3"),
    "no name": (["--set", 'model.layers=""'], "model.layers is ''; expected the name of an .npz or HDF5 file"),
    "file in a table": (
        ["--set", 'model.layers={file = "weights.npz"}'],
        "model.layers is a table with file = 'weights.npz'; expected the name",
    ),
    "unknown array": (
        ["--set", "model={dim = 2, layers = {W = [[[1, 0], [0, 1]]]}, beta = 1, layer_time = 1}"],
        "model.layers: unknown array W",
    ),
    "hardmax between": (
        [
            "--set",
            'model={dim = 2, attention = "hardmax", layers = {B = [[[1, 0], [0, 1]], [[1, 0], [0, -1]]]}, '
            "layer_time = 1, interpolate = true}",
        ],
        "between layers 0 and 1: hardmax attention divides by",
    ),
    "times only": (
        ["--set", "model={dim = 2, beta = 1, layer_time = 1}"],
        "model.layers is missing; expected layers, since their times are given",
    ),
    "order": (
        ["--set", "model={dim = 2, beta = 1, layers = {V = [[[1, 0], [0, 1]]]}, layer_times = [1, 0]}"],
        "layer 0 would last from 1 to 0",
    ),
    "interpolate": (["--set", 'model.interpolate="yes"'], "model.interpolate is 'yes'; expected true or false"),
    "hardmax": (
        [
            "--set",
            'model={dim = 2, attention = "hardmax", layers = {B = [[[1, 0], [0, 1]], [[1, 0], [0, 0]]]}, '
            "layer_time = 1}",
        ],
        "layer 1: hardmax attention divides by",
    ),
}


@pytest.mark.parametrize("case", REFUSED, ids=list(REFUSED))
def test_bad_layers_are_one_sentence_and_write_nothing(cli, case):
    options, fragment = REFUSED[case]
    initial = ["--set", 'initial={family = "uniform"}']
    status, out, err = cli("run", "models/config.toml", "--quiet", "--out", "run.h5", *initial, *options)
    assert status == 2 and fragment in err, err
    assert out == "" and err.count("\n") == 1 and "Traceback" not in err
    assert list(Path().glob("*.h5")) == []


def test_weights_that_do_not_fit_name_array_layer_and_head(cli):
    wrong = arrays()
    wrong["K"][2, 1, 0, 0] = np.nan
    np.savez("models/weights.npz", **wrong)
    status, _, err = cli("run", "models/config.toml", "--quiet")
    assert (
        status == 2 and "model.layers: models/weights.npz: K, layer 2, head 1: expected finite numbers, got nan" in err
    )
    np.savez("models/weights.npz", **(arrays() | {"V": arrays()["V"][:, :1]}))
    status, _, err = cli("run", "models/config.toml", "--quiet")
    assert status == 2 and "Q has shape (3, 2, 2, 2); expected (3, 1, 2, 2) to fit V (3, 1, 2, 2)" in err
    wide = np.ones((1, 1, 64, 64))
    np.savez("models/weights.npz", V=wide)
    status, _, err = cli("run", "models/config.toml", "--quiet", "--set", "model.dim=3")
    assert status == 2 and err.endswith("the matrices act on d = 64; only d = 2 and d = 3 are available\n")


def stacked(*scores, **model):
    return (
        f"model={{dim = 2, beta = 4, layer_time = 0.1, layers = {{B = {json.dumps(scores)}}}"
        + "".join(f", {key} = {value}" for key, value in model.items())
        + "}"
    )


def test_the_plan_describes_all_layers(cli):
    identity, general = np.eye(2).tolist(), [[1.0, 0.0], [0.0, 0.4]]

    def said(*settings):
        initial = ["--set", 'initial={family = "uniform"}']
        status, out, err = cli("info", "models/config.toml", *initial, *(x for s in settings for x in ("--set", s)))
        assert status == 0, err
        return {line.split("  ")[1].strip(): line.split("  ", 2)[2].strip() for line in out.splitlines()[1:]}

    multipliers, factors = "multipliers (B = s·O)", "radial factors (general B)"
    assert said(stacked(identity, identity))["attention"] == multipliers
    mixed = said(stacked(identity, general, general))
    assert mixed["attention"] == f"{multipliers} in 1 of 3 layers; {factors} in 2 of 3 layers"
    turned = said(stacked(identity, [[0.0, 1.0], [-1.0, 0.0]], identity, [[1.0, 0.0], [0.0, -1.0]], interpolate="true"))
    assert turned["attention"] == f"{multipliers} and {factors}, prepared anew at every stage"  # a mirror between
    many = ", ".join(f"{{beta = 1, B = {identity if i % 3 else general}}}" for i in range(96))
    several = said(f"model={{dim = 2, head = [{many}]}}")
    assert several["attention"] == f"{factors}: 32 heads; {multipliers}: 64 heads"


@pytest.mark.parametrize(
    ("until", "words"),
    [
        (0.2, "the run ends at t = 0.2, before layer 2, from t = 0.2 on, can act"),
        (0.05, "the run ends at t = 0.05, before layers 1 to 2, from t = 0.1 on, can act"),
        (0.3, None),
        (0.4, None),
        (0.5, "the layers end at t = 0.3; the last of them acts on until t = 0.5"),
    ],
)
def test_a_run_that_does_not_match_its_layers_is_said(cli, until, words):
    until = f"time.until={until}"
    _, plan, _ = cli("info", "models/config.toml", "--set", until)
    status, _, err = cli("run", "models/config.toml", "--set", until, "--out", "run.h5")
    assert status == 0
    for text in (plan, err):
        assert words in text if words else "warning" not in text, text
    with RunFile("run.h5") as run:
        assert run.attributes["warnings"] == (words or "")


def test_weights_are_told_from_runs_and_configurations(cli):
    status, out, err = cli("info", "models/weights.npz")
    assert status == 2 and out == "" and err.count("\n") == 1
    assert "weights.npz is an archive of arrays; expected a run file, or a configuration with model.layers" in err
