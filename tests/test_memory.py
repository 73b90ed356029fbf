"""Memory: what is said before a run is what it takes, and a run that cannot fit is refused before it starts."""

import json
import subprocess
import sys

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
    memory,
    uniform,
)
from spherepde.config import parse_config
from spherepde.experiment import build_equation, build_simulation
from spherepde.footprint import LIBRARIES, run_footprint
from spherepde.memory import machine_memory, readable, require_memory
from spherepde.schedules import Layers
from spherepde.spaces import grid_shape, space_for
from spherepde.token_sums import token_attention
from spherepde.tokens import simulate_tokens

PEAK = """
import json, sys
import numpy as np
from spherepde import *

def run(lmax, out):
    dim = options["dim"]
    head = Head(np.diag([1.0, 0.4, -0.3][:dim]), np.array(options["B"]), beta=100.0)
    attention = {"softmax": Softmax, "hardmax": Hardmax}[options["attention"]](head)
    model = ContinuityEquation(space_for(dim, lmax, options["backend"]), attention)
    rho0 = fisher_bingham([0.3, 0.8, 0.1][:dim])
    companion = lmax * 3 // 4 if options["companion"] else 0
    Simulation(model, rho0, out, dt=1e-4, save_every=2e-4, companion_lmax=companion, progress=False).run(4e-4)

from spherepde.spaces import space_for
options = json.loads(sys.argv[1])
def peak():  # not ru_maxrss, which a process inherits from the one that starts it
    return 1024 * next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

run(31, sys.argv[2] + "/warm.h5")
libraries = peak()
run(options["lmax"], sys.argv[2] + "/run.h5")
print(json.dumps([libraries, peak()]))
"""
ROTATED = np.array([[0.48, -0.64, 0.6], [0.8, 0.6, 0.0], [-0.36, 0.48, 0.8]])
GENERAL = (ROTATED @ np.diag([1.0, 0.6, 0.3])).tolist()

MEASURED = {
    "sphere": {"dim": 3, "lmax": 255, "B": np.eye(3).tolist()},
    "sphere, companion, ducc0": {"dim": 3, "lmax": 255, "B": np.eye(3).tolist(), "companion": True, "backend": "ducc0"},
    "sphere, general B": {"dim": 3, "lmax": 255, "B": GENERAL},
    "sphere, hardmax": {"dim": 3, "lmax": 255, "B": np.eye(3).tolist(), "attention": "hardmax"},
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.slow if "," in case else (), id=case) for case in MEASURED]
)
def test_estimates_against_measured_peaks(tmp_path, case):
    options = {"attention": "softmax", "backend": "auto", "companion": False} | MEASURED[case]
    done = subprocess.run([sys.executable, "-c", PEAK, json.dumps(options), tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    libraries, peak = json.loads(done.stdout)
    head = Head(np.eye(3), np.array(options["B"]), beta=100.0)
    attention = (Hardmax if options["attention"] == "hardmax" else Softmax)(head)
    companion = options["lmax"] * 3 // 4 if options["companion"] else 0
    said = run_footprint(attention, options["lmax"], backend=options["backend"], companion_lmax=companion)
    own = said.peak - LIBRARIES
    print(
        f"NUMBER memory of {case}, estimate over measured: measured {own / (peak - libraries):.3f}, expected 0.8 to 1.4"
    )
    print(
        f"NUMBER libraries of {case}, estimate over measured: measured {LIBRARIES / libraries:.3f}, expected 0.8 to 1.2"
    )
    assert 0.8 < own / (peak - libraries) < 1.4
    assert 0.8 < LIBRARIES / libraries < 1.2


def test_estimates_grow_with_what_is_asked():
    head = Head(np.eye(3), beta=10.0)
    small = run_footprint(Softmax(head), 255, companion_lmax=127)
    for larger in (
        run_footprint(Softmax(head), 511, companion_lmax=127),
        run_footprint(Softmax(head), 255, companion_lmax=191),
        run_footprint(Softmax([head] * 3), 255, companion_lmax=127),
        run_footprint(Softmax(Head(np.eye(3), GENERAL, beta=10.0)), 255, companion_lmax=127),
    ):
        assert larger.marching > 1.05 * small.marching
    assert run_footprint(Softmax(head), 255, density=False).snapshot == 16 * 256 * 257 / 2


def test_heads_between_layers_count_and_each_once():
    """Two rotated scores have cheap kernels; half-way between them it takes radial factors, or none if they agree."""
    turned, mirrored = Head(np.eye(3), beta=10.0), Head(np.eye(3), np.diag([1.0, 1.0, -1.0]), beta=10.0)

    def marching(layers, **how):
        return run_footprint(Softmax(Layers(layers, layer_time=1.0, **how)), 255).marching

    assert marching([turned, mirrored], interpolate=True) > 1.05 * marching([turned, mirrored])
    assert marching([turned, turned], interpolate=True) == marching([turned, turned])


@pytest.mark.parametrize(("dim", "lmax"), [(2, 3), (2, 100), (3, 3), (3, 31), (3, 100)])
def test_grid_shape_is_that_of_the_space(dim, lmax):
    assert grid_shape(dim, lmax) == space_for(dim, lmax).shape


CONFIG = {
    "model": {"dim": 3, "beta": 10.0},
    "initial": {"family": "uniform"},
    "space": {"lmax": 255},
    "time": {"until": 0.1},
}


def test_a_machine_too_small_refuses_equations_and_runs(monkeypatch):
    monkeypatch.setattr(memory, "_physical", lambda: 200 * 10**6)
    head = Softmax(Head(np.eye(3), beta=10.0))
    space = Sphere(255)  # a space by itself is nobody's business
    with pytest.raises(
        InputError, match=r"space.lmax = 255 .* needs about .* this machine has 200 MB; expected a lower"
    ):
        ContinuityEquation(space, head)
    with pytest.raises(InputError, match=r"space.lmax = 4000 .* GB of memory"):
        build_equation(parse_config(CONFIG | {"space": {"lmax": 4000}}))
    monkeypatch.setattr(memory, "_physical", lambda: 280 * 10**6)
    circle = ContinuityEquation(Circle(63), Hardmax(Head(np.eye(2))))
    assert Simulation(circle, uniform(2), progress=False).footprint.peak < 280e6
    model = ContinuityEquation(Sphere(95), head)
    monkeypatch.setattr(memory, "_physical", lambda: 256 * 10**6)
    with pytest.raises(InputError, match="companion_lmax = 94"):
        Simulation(model, uniform(3), companion_lmax=94, progress=False)


def test_nothing_large_is_allocated_before_the_refusal(monkeypatch):
    monkeypatch.setattr(memory, "_physical", lambda: 10**9)
    monkeypatch.setattr("spherepde.experiment.space_for", lambda *_: pytest.fail("the space was made"))
    with pytest.raises(InputError, match="space.lmax = 2000"):
        build_simulation(parse_config(CONFIG | {"space": {"lmax": 2000}}))


def test_the_file_keeps_the_estimate(tmp_path):
    model = ContinuityEquation(Circle(31), Softmax(Head(np.eye(2))))
    simulation = Simulation(model, uniform(2), tmp_path / "run.h5", progress=False)
    simulation.run(0.1)
    with RunFile(tmp_path / "run.h5") as run:
        assert run.attributes["memory_estimate"] == simulation.footprint.peak


@pytest.mark.parametrize("version", [1, 2])
def test_control_groups_around_the_process_count(monkeypatch, tmp_path, version):
    root, name, line = (
        (tmp_path / "memory", "memory.limit_in_bytes", "4:memory:/outer/inner\n0::/\n")
        if version == 1
        else (tmp_path, "memory.max", "0::/outer/inner\n")
    )
    (root / "outer" / "inner").mkdir(parents=True)
    (root / "outer" / "inner" / name).write_text("max\n" if version == 2 else f"{2**63 - 4096}\n")
    (root / "outer" / name).write_text("123456789\n")
    (tmp_path / "membership").write_text(line)
    monkeypatch.setattr(memory, "CONTROL_GROUPS", tmp_path)
    monkeypatch.setattr(memory, "MEMBERSHIP", tmp_path / "membership")
    assert machine_memory() == 123456789
    (root / "outer" / name).write_text("max\n")
    assert machine_memory() > 123456789


def test_address_space_limit_counts():
    code = (
        "import resource\nfrom spherepde.memory import machine_memory\n"
        "resource.setrlimit(resource.RLIMIT_AS, (3 * 10**9, 3 * 10**9))\nprint(machine_memory())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert int(done.stdout) <= 3 * 10**9, done.stderr


def test_a_system_that_does_not_tell_refuses_nothing(monkeypatch):
    for name in ("_physical", "_address_space"):
        monkeypatch.setattr(memory, name, lambda: None)
    monkeypatch.setattr(memory, "_control_groups", list)
    assert machine_memory() is None
    require_memory(1e30, "a cloud of tokens", "number of tokens")


def test_the_sentence(monkeypatch):
    monkeypatch.setattr(memory, "_physical", lambda: 10**9)
    with pytest.raises(InputError) as caught:
        require_memory(2.4e10, "10000000 tokens:", "number of tokens")
    assert str(caught.value) == (
        "10000000 tokens: needs about 24 GB of memory, this machine has 1 GB; expected a lower number of tokens"
    )
    assert [readable(size) for size in (12, 999, 99_950, 1.26e9, 3e13)] == [
        "12 bytes",
        "999 bytes",
        "100 kB",
        "1.26 GB",
        "30 TB",
    ]


def test_too_many_tokens_are_refused(monkeypatch):
    monkeypatch.setattr("spherepde.memory.machine_memory", lambda: 100_000)
    monkeypatch.setattr("spherepde.memory.ALWAYS_THERE", 0)
    head, tokens = Head(np.eye(3), beta=2.0), np.eye(3)[np.arange(400) % 3]
    with pytest.raises(InputError, match="attention of 400 targets to 400 tokens needs about 160 kB"):
        token_attention(head, tokens)
    with pytest.raises(InputError, match="a trajectory of 400 tokens at 5 times needs about 250 kB"):
        simulate_tokens(head, tokens, np.arange(1.0, 6.0))
    token_attention(head, tokens[:100])
