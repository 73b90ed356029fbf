"""The commands as a user types them: exit status, one sentence for bad input, nothing lost."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from spherepde.cli import main
from spherepde.monitors import ProgressLine

ROOT = Path(__file__).parents[1]

CONFIG = """
[model]
dim = 2
attention = "softmax"
beta = 10.0
V = [[1.0, 0.0], [0.0, 0.5]]

[initial]
family = "fisher_bingham"
linear = [0.3, 0.8]

[space]
lmax = 47
companion_lmax = 31

[time]
until = 0.4
save_every = 0.1
"""


@pytest.fixture
def cli(monkeypatch, capsys, tmp_path):
    """Run a command line in a folder of its own; returns (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text(CONFIG)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["spherepde", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        out, err = capsys.readouterr()
        return exit_.value.code or 0, out, err

    return call


def test_run_info_plot_resume(cli):
    status, out, _ = cli("run", "config.toml", "--out", "run.h5", "--quiet")
    assert status == 0 and "done" in out
    status, out, _ = cli("info", "run.h5")
    assert status == 0
    assert "softmax attention on S¹" in out and "lmax 47, companion lmax 31" in out and "distance to E" in out
    status, out, _ = cli("plot", "run.h5", "--out", "figures")
    assert status == 0
    figures = out.split()
    assert len(figures) >= 5 and all(Path(figure).stat().st_size > 5000 for figure in figures)
    status, out, _ = cli("resume", "run.h5", "--until", "0.6", "--quiet")
    assert status == 0 and "reached t = 0.6" in out


def test_set_overrides_the_configuration(cli):
    assert cli("run", "config.toml", "--quiet", "--set", "time.until=0.2", "--set", "space.lmax=63")[0] == 0
    _, out, _ = cli("info", "run.h5")
    assert "reached t = 0.2" in out and "lmax 63" in out


def test_progress_is_plain_lines_when_not_a_terminal(capfd):
    line = ProgressLine(0.0, 2.0, interval=0.0)
    line.update(0.5, 0.01, {"min_density": np.array(0.02), "spectral_tail": np.array(1e-9), "nodes": np.array(0.0)})
    line.say("a sentence")
    line.close()
    first, second = capfd.readouterr().err.splitlines()
    assert first.split()[0] == "25%" and first.endswith("s left")
    assert all(part in first for part in ("t = 0.500", "dt = 0.01", "min ρ = 2.0e-02", "tail = 1e-09"))
    assert second == "a sentence"


def test_quiet_is_quiet(cli):
    assert cli("run", "config.toml", "--quiet")[2] == ""


REFUSED = {
    "unknown key": (["--set", "time.untl=3"], "did you mean time.until"),
    "wrong shape": (["--set", "model.V=[[1.0, 0.0, 0.0]]"], "model.V"),
    "beta": (["--set", "model.beta=-1.0"], "model.beta"),
    "Q without K": (["--set", "model.Q=[[1.0, 0.0]]"], "Q and K together"),
    "Q of the wrong width": (["--set", "model.Q=[[1.0]]", "--set", "model.K=[[1.0]]"], "model.Q"),
    "negative density": (["--set", 'initial={family="polynomial", linear=[2.0, 0.0]}'], "polynomial"),
    "unknown family": (["--set", 'initial={family="gaussian"}'], "initial.family"),
    "too sharp for lmax": (["--set", "initial.linear=[900.0, 0.0]"], "lmax >= "),
    "companion finer": (["--set", "space.companion_lmax=64"], "companion_lmax"),
    "backend": (["--set", 'space.backend="healpy"'], "space.backend"),
    "dimension": (["--set", "model.dim=4"], "model.dim"),
    "folder": (["--out", "nowhere/run.h5"], "nowhere"),
}


@pytest.mark.parametrize("case", REFUSED, ids=list(REFUSED))
def test_bad_input_is_one_sentence_and_writes_nothing(cli, case):
    options, fragment = REFUSED[case]
    status, out, err = cli("run", "config.toml", "--quiet", *options)
    assert status == 2, err
    assert fragment in err
    assert out == "" and err.count("\n") == 1 and "Traceback" not in err
    assert list(Path().glob("*.h5")) == []


def test_existing_output_is_refused_and_kept(cli):
    cli("run", "config.toml", "--quiet")
    before = Path("run.h5").read_bytes()
    status, _, err = cli("run", "config.toml", "--quiet")
    assert status == 2 and "--overwrite" in err and "run.h5" in err
    assert Path("run.h5").read_bytes() == before
    assert cli("run", "config.toml", "--quiet", "--overwrite")[0] == 0


def test_unwritable_folder(cli):
    Path("file").write_text("not a folder")
    status, _, err = cli("run", "config.toml", "--quiet", "--out", "file/run.h5")
    assert status == 2 and "file" in err and err.count("\n") == 1


@pytest.mark.parametrize("command", ["info", "plot", "resume"])
@pytest.mark.parametrize("kind", ["missing", "text", "foreign", "truncated"])
def test_files_that_are_no_run_files(cli, command, kind):
    path = Path("other.h5")
    if kind == "text":
        path.write_text("hello")
    elif kind == "foreign":
        with h5py.File(path, "w") as file:
            file["x"] = np.arange(3)
    elif kind == "truncated":
        cli("run", "config.toml", "--quiet", "--out", path)
        path.write_bytes(path.read_bytes()[:3000])
    before = path.read_bytes() if path.exists() else None
    status, _, err = cli(command, path)
    assert status == 2 and "other.h5" in err and err.count("\n") == 1
    assert (path.read_bytes() if path.exists() else None) == before


@pytest.mark.parametrize("attention", ["softmax", "hardmax"])
def test_a_run_killed_before_its_first_record(cli, attention):
    """All commands that read it say the same, none with a traceback."""
    cli("run", "config.toml", "--quiet", *([] if attention == "softmax" else ["--set", 'model.attention="hardmax"']))
    with h5py.File("run.h5", "r+") as file:
        file.attrs["records"] = np.zeros_like(file.attrs["records"])
    angles = np.linspace(0.0, 6.0, 40)
    np.savez("mine.npz", t=[0.0], angles=angles[None])
    for command in (["info", "run.h5"], ["plot", "run.h5"], ["validate", "mine.npz", "--against", "run.h5", "--quiet"]):
        status, out, err = cli(*command)
        assert status == 2 and out == "" and err.count("\n") == 1
        assert "run.h5 holds no snapshot yet: nothing to " in err


def test_info_of_a_file_that_names_no_model(cli):
    cli("run", "config.toml", "--quiet")
    with h5py.File("run.h5", "r+") as file:
        file.attrs["config"] = "{}"
    status, _, err = cli("info", "run.h5")
    assert status == 2 and "run.h5 does not say which model it ran" in err and err.count("\n") == 1


def test_resume_without_a_checkpoint(cli):
    cli("run", "config.toml", "--quiet")
    Path("run.ckpt.h5").unlink()
    before = Path("run.h5").read_bytes()
    status, _, err = cli("resume", "run.h5")
    assert status == 2 and "run.ckpt.h5" in err
    assert Path("run.h5").read_bytes() == before


def test_configurations_of_the_repository_run(cli):
    for config in sorted((ROOT / "data").glob("*.toml")):
        lmax = ["--set", "space.lmax=31", "--set", "space.companion_lmax=23", "--set", "time.until=0.1"]
        status, _, err = cli("run", config, "--quiet", "--out", f"{config.stem}.h5", *lmax)
        assert status == 0, err


SMALL = {
    "circle_softmax": ["--lmax", "63", "--companion-lmax", "47", "--beta", "10", "--until", "1"],
    "sphere_softmax": ["--lmax", "31", "--companion-lmax", "23", "--beta", "10", "--until", "1"],
    "sphere_unnormalised": ["--lmax", "31", "--companion-lmax", "23", "--until", "0.1"],
    "hardmax": ["--lmax", "47", "--companion-lmax", "31", "--until", "0.3"],
}


@pytest.mark.parametrize("name", SMALL, ids=list(SMALL))
def test_solver_scripts(tmp_path, name):
    assert {script.stem for script in (ROOT / "solvers").glob("*.py")} == set(SMALL)
    command = [sys.executable, ROOT / "solvers" / f"{name}.py", "--out", "run.h5", "--figures", "figures"]
    done = subprocess.run([*command, *SMALL[name]], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "verdict:" in done.stdout and (tmp_path / "figures" / "overview.png").exists()
    if name == "hardmax":
        error = float(done.stdout.split("exact density at t = 0.3: ")[1].split()[0])
        assert error < 1e-9
    wrong = subprocess.run([*command, "--lmax", "many"], cwd=tmp_path, capture_output=True, text=True)
    assert wrong.returncode == 2 and "--lmax" in wrong.stderr and wrong.stderr.count("\n") == 1


def test_info_of_a_configuration(cli):
    status, out, err = cli("info", "config.toml")
    assert status == 0 and err == ""
    for part in (
        "softmax attention on S¹",
        "multipliers (B = s·O)",
        "lmax 47",
        "grid 144",
        "L_K = 3",
        "memory",
        "MB of",
    ):
        assert part in out, part
    assert "5 × 1.92 kB = 9.6 kB" in out and "warning" not in out
    assert len(out.splitlines()) < 20 and not list(Path().glob("*.h5"))
    assert (
        "below the bandwidth L_K = "
        in cli("info", "config.toml", "--set", "space.lmax=32", "--set", "model.beta=90.0")[1]
    )
    _, out, _ = cli("info", "config.toml", "--set", "model.B=[[1.0, 0.0], [0.0, 0.5]]")
    assert "radial factors (general B)" in out


def test_info_counts_snapshots_without_walking_to_them(cli):
    status, out, err = cli("info", "config.toml", "--set", "time.save_every=1e-9")
    assert status == 0 and "400000001 snapshots" in out, err


def test_info_tells_files_by_their_content(cli):
    assert cli("run", "config.toml", "--quiet", "--out", "run.toml")[0] == 0
    Path("config.h5").write_text(CONFIG)
    assert "done" in cli("info", "run.toml")[1]
    assert "not run yet" in cli("info", "config.h5")[1]
    status, _, err = cli("info", "run.toml", "--set", "space.lmax=31")
    assert status == 2 and "--set" in err


def test_memory_is_said_and_refused(cli, monkeypatch):
    assert "memory: about" in cli("run", "config.toml")[2]
    assert "memory" in cli("info", "run.h5")[1]
    monkeypatch.setattr("spherepde.memory._physical", lambda: 10**8)
    for command in (["info", "config.toml"], ["run", "config.toml", "--overwrite", "--quiet"]):
        status, out, err = cli(*command)
        assert status == 2 and out == "" and err.count("\n") == 1
        assert "space.lmax" in err and "this machine has 100 MB" in err
