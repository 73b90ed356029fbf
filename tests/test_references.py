"""The reference runs: what they hold is what was written, fits together, and is what other methods find."""

import json
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from physics.physics_helpers import bounded

from spherepde import InputError, RunFile, build_simulation
from spherepde.archive import (
    layout,
    read_reference,
    reference,
    references,
    run_or_reference,
    write_reference,
    writer,
)
from spherepde.archive.writer import with_time_errors
from spherepde.attention.configured import attention_of
from spherepde.cli import main
from spherepde.config import parse_config
from spherepde.quadrature import sphere_rule

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "data" / "references"
NAMES = [
    "circle_cluster",
    "circle_cold",
    "circle_modes",
    "circle_terminal",
    "sphere_axis",
    "sphere_repulsive",
    "sphere_terminal",
    "sphere_two_heads",
]
loaded = cache(reference)


# ---- what is there


def test_eight_references_that_cover_the_settings():
    assert references() == NAMES
    assert sorted(path.stem for path in FOLDER.glob("*.toml")) == NAMES
    models = [loaded(name).config["model"] for name in NAMES]
    assert {model["dim"] for model in models} == {2, 3}
    assert {model["attention"] for model in models} == {"softmax", "unnormalised"}
    betas = [head["beta"] for model in models for head in model.get("head", [model])]
    assert (min(betas), max(betas)) == (1.0, 1000.0)


@pytest.mark.parametrize("name", NAMES)
def test_a_reference_says_what_it_is_and_holds_what_its_checksums_say(name):
    path = FOLDER / f"{name}.h5"
    ref = loaded(name)
    assert path.stat().st_size <= layout.LARGEST_FILE
    assert ref.verify() == ref.attributes["sha256"]
    assert f"{sha256(path.read_bytes()).hexdigest()}  {name}.h5" in (FOLDER / "SHA256SUMS").read_text().splitlines()
    assert ref.toml == (FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", ref.attributes["commit"])
    assert {"spherepde", "numpy", "python"} <= set(json.loads(ref.attributes["versions"]))
    assert str(ROOT) not in json.dumps(ref.attributes)
    shown = repr(ref)
    assert name in shown and ref.purpose[:40] in shown and "error bars" in shown
    assert f"`{name}`" in (ROOT / "data" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_the_configuration_in_the_file_is_that_of_the_text(name):
    ref = loaded(name)
    told, held = parse_config(tomllib.loads(ref.toml)), parse_config(ref.config)
    assert told.to_dict()["time"]["until"] == pytest.approx(ref.t[-1], abs=1e-12)
    for table in ("space", "time"):
        stated = told.to_dict()[table]
        assert {key: held.to_dict()[table][key] for key in stated} == stated | (
            {"backend": held.space.backend} if table == "space" else {}
        )
    for one, other in zip(attention_of(told).heads, ref.attention.heads, strict=True):
        assert one.beta == other.beta
        np.testing.assert_array_equal(one.V, other.V)
        np.testing.assert_allclose(one.B, other.B, atol=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_the_first_row_is_the_initial_density(name):
    ref = loaded(name)
    points, weights = sphere_rule(ref.dim, 200)
    mass = weights * ref.initial(points)
    assert ref.t[0] == 0.0
    bounded(f"{name}: mass at t = 0", abs(mass.sum() - 1.0), 1e-13)
    bounded(f"{name}: mean at t = 0", np.abs(mass @ points - ref.series["mean"][0]).max(), 1e-13)
    second = (mass * points.T) @ points
    bounded(f"{name}: second moment at t = 0", np.abs(second - ref.series["second_moment"][0]).max(), 1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_the_source_moments_are_those_of_the_recorded_moments(name):
    """Coefficients of degrees 0, 1 and 2 are mass, mean and second moment in another basis."""
    ref = loaded(name)
    moments, series = ref.source_moments, ref.series
    if ref.dim == 2:
        mean = np.stack([moments[:, 1].real, -moments[:, 1].imag], axis=1)
        mass, second = moments[:, 0].real, 0.5 * (1.0 + moments[:, 2].real)
        wanted = series["second_moment"][:, 0, 0]
    else:
        degree, order = ref.arrays["velocity/degree"], ref.arrays["velocity/order"]
        of = {(l, m): moments[:, i] for i, (l, m) in enumerate(zip(degree, order, strict=True))}
        mass = np.sqrt(4.0 * np.pi) * of[0, 0].real
        z, x = np.sqrt(4.0 * np.pi / 3.0) * of[1, 0].real, np.sqrt(8.0 * np.pi / 3.0) * of[1, 1]
        mean = np.stack([x.real, -x.imag, z], axis=1)
        second, wanted = (1.0 + 4.0 * np.sqrt(np.pi / 5.0) * of[2, 0].real) / 3.0, series["second_moment"][:, 2, 2]
    bounded(f"{name}: mass of the source moments", np.abs(mass - 1.0).max(), 1e-11)
    bounded(f"{name}: mean of the source moments", np.abs(mean - series["mean"]).max(), 1e-11)
    bounded(f"{name}: second moment of the source moments", np.abs(second - wanted).max(), 1e-11)


# ---- files that are not what they should be


def test_a_wrong_name_lists_the_names():
    with pytest.raises(InputError) as caught:
        reference("circle_hot")
    assert str(caught.value) == f"no reference run is called 'circle_hot'; expected one of {', '.join(NAMES)}"


@pytest.fixture
def copied(tmp_path):
    path = tmp_path / "copied.h5"
    path.write_bytes((FOLDER / "circle_cold.h5").read_bytes())
    return path


def refused(path):
    with pytest.raises(InputError) as caught:
        read_reference(path)
    sentence = str(caught.value)
    assert str(path) in sentence and "\n" not in sentence
    return sentence


def test_a_changed_number_is_noticed(copied):
    with h5py.File(copied, "r+") as file:
        file["series/mean"][5, 0] += 1e-16
    assert "checksum of series/mean" in refused(copied)


def test_a_changed_number_with_a_checksum_to_match_is_noticed(copied):
    from spherepde.archive.checksums import array_digest

    with h5py.File(copied, "r+") as file:
        file["series/mean"][5, 0] *= 2.0
        file["series/mean"].attrs["sha256"] = array_digest(file["series/mean"][()])
    assert "its checksum does not fit" in refused(copied)


def test_a_changed_attribute_is_noticed(copied):
    with h5py.File(copied, "r+") as file:
        file.attrs["toml"] = file.attrs["toml"].replace("1000", "1001")
    assert "its checksum does not fit" in refused(copied)


def test_a_missing_array_is_noticed(copied):
    with h5py.File(copied, "r+") as file:
        del file["velocity/temporal"]
    assert "is damaged" in refused(copied)


def test_flipped_bytes_are_noticed(copied):
    """Wherever they are: in the data, where checksums find them, or in what HDF5 needs to read at all."""
    content = copied.read_bytes()
    generator = np.random.default_rng(1)
    unnoticed = 0
    for place in generator.integers(0, len(content), 60):
        copied.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            found = read_reference(copied)
        except InputError as error:
            assert "\n" not in str(error)
            continue
        assert repr(found.attributes) == repr(loaded("circle_cold").attributes)  # a byte that nothing reads
        assert all(found.arrays[k].tobytes() == v.tobytes() for k, v in loaded("circle_cold").arrays.items())
        unnoticed += 1
    assert unnoticed < 30


def test_a_truncated_a_foreign_and_a_missing_file(copied, tmp_path):
    copied.write_bytes(copied.read_bytes()[:5000])
    assert "truncated or damaged" in refused(copied)
    foreign = tmp_path / "foreign.h5"
    with h5py.File(foreign, "w") as file:
        file["x"] = 1.0
    assert "'spherepde reference'" in refused(foreign)
    assert "does not exist" in refused(tmp_path / "missing.h5")


def test_a_later_format_is_refused(copied):
    with h5py.File(copied, "r+") as file:
        file.attrs["format_version"] = layout.FORMAT_VERSION + 1
    assert "update it" in refused(copied)


# ---- writing


def fake(t, values, bars):
    series = {"t": np.array(t), "mean": np.array(values), "mean_error": np.array(bars)}
    return SimpleNamespace(path="run.h5", series=series)


def test_error_bars_learn_from_a_run_with_looser_steps():
    """The larger difference of two common times up to the second; never less than the run's own bar."""
    own = np.full((5, 2), 0.1)
    run = fake([0.0, 0.5, 1.0, 1.5, 2.0], np.zeros((5, 2)), own)
    looser = fake([0.0, 0.7, 1.0, 2.0], [[0.0, 0.0], [9.0, 9.0], [0.3, -0.4], [0.05, 0.0]], np.zeros((4, 2)))
    bars = with_time_errors(run, looser)["mean_error"]
    np.testing.assert_allclose(bars, np.array([[0.1], [0.4], [0.4], [0.4], [0.4]]) @ np.ones((1, 2)))
    np.testing.assert_array_equal(own, 0.1)
    with pytest.raises(InputError, match="expected a run to the same end"):
        with_time_errors(run, fake([0.0, 1.0], np.zeros((2, 2)), np.zeros((2, 2))))


SMALL = {
    "model": {"dim": 2, "attention": "softmax", "beta": 2.0},
    "initial": {"family": "poisson_kernel", "offset": [0.3, 0.1]},
    "space": {"lmax": 31, "companion_lmax": 23},
    "time": {"until": 0.5, "save_every": 0.1, "rtol": 1e-10},
}


def small_run(path, **tables):
    config = parse_config(SMALL | tables)
    build_simulation(config, path, progress=False).run(config.time.until)
    return RunFile(path)


def test_a_run_written_and_read_again(tmp_path):
    """Series as recorded, rows that include every save time, and a path that does not show in the file."""
    text = "# Small.\n[model]\n"
    with small_run(tmp_path / "run.h5") as run, small_run(tmp_path / "looser.h5", time=SMALL["time"]) as looser:
        size = write_reference(tmp_path / "small.h5", run, looser, text)
        ref = read_reference(tmp_path / "small.h5")
        assert (ref.name, ref.purpose, ref.toml, ref.dim) == ("small", "Small.", text, 2)
        assert size == (tmp_path / "small.h5").stat().st_size
        for name, values in run.series.items():
            np.testing.assert_array_equal(ref.series[name], values)
        np.testing.assert_allclose(ref.times, 0.1 * np.arange(6), atol=1e-12)
        degree = len(ref.arrays["velocity/degree"])
        np.testing.assert_allclose(ref.source_moments[:, :5], run.velocity.moments[:, :5], rtol=0.0, atol=1e-11)
        assert run.velocity.moments.shape[1] == degree
    assert str(tmp_path) not in str(ref.config) and ref.verify() == ref.attributes["sha256"]


def test_what_cannot_become_a_reference(tmp_path, monkeypatch):
    space, output = SMALL["space"], {"velocity": False}
    for i, tables in enumerate(({"space": space | {"companion_lmax": 0}}, {"output": output})):
        with (
            small_run(tmp_path / f"{i}.h5", **tables) as run,
            pytest.raises(InputError, match="expected a finished run"),
        ):
            write_reference(tmp_path / "no.h5", run, run, "")
    monkeypatch.setattr(writer, "LARGEST_FILE", 1000)
    with small_run(tmp_path / "run.h5") as run, pytest.raises(InputError, match="expected at most 1000"):
        write_reference(tmp_path / "no.h5", run, run, "")
    assert not (tmp_path / "no.h5").exists()


# ---- installed


def test_a_build_of_the_package_carries_the_references(tmp_path):
    build = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    code = "import spherepde; print(spherepde.reference('circle_cold').path, len(spherepde.references()))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == [str(tmp_path / "spherepde" / "reference_runs" / "circle_cold.h5"), "8"]


# ---- against tokens of one's own


def test_validate_takes_the_name_of_a_reference(tmp_path, capsys, monkeypatch):
    ref = loaded("circle_cluster")
    times = np.array([0.5, 1.0])
    rho = ref.characteristics()
    np.savez(tmp_path / "mine.npz", t=times, x=np.stack([rho.sample(t, 300, seed=3) for t in times]))
    command = ["spherepde", "validate", str(tmp_path / "mine.npz"), "--against", "circle_cluster", "--quiet"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0, capsys.readouterr().out
    assert (tmp_path / "mine_agreement" / "agreement.png").stat().st_size > 10_000


def test_a_name_that_is_neither_a_file_nor_a_reference(tmp_path):
    assert run_or_reference(FOLDER / "circle_cold.toml") == FOLDER / "circle_cold.toml"
    with pytest.raises(InputError, match=r"nowhere\.h5 is neither a file nor a reference run; expected RUN\.h5 or one"):
        run_or_reference("nowhere.h5")
    with pytest.raises(InputError, match="is neither a file nor a reference run"):
        run_or_reference(tmp_path)


def test_a_folder_hides_no_reference_and_a_file_does(tmp_path, monkeypatch):
    """``validate circle_cold.npz`` writes a folder circle_cold, which is not what --against circle_cold means."""
    monkeypatch.chdir(tmp_path)
    Path("circle_cold").mkdir()
    assert run_or_reference("circle_cold").path == reference("circle_cold").path
    Path("circle_terminal").write_text("anything")
    assert run_or_reference("circle_terminal") == Path("circle_terminal")


def test_a_reference_is_known_by_its_path(copied):
    """Whatever it is called there; a damaged one is refused as by any other way."""
    found = run_or_reference(copied)
    assert found.path == copied and found.name == "circle_cold"
    with h5py.File(copied, "r+") as file:
        file["series/mean"][5, 0] += 1e-16
    with pytest.raises(InputError, match="checksum of series/mean"):
        run_or_reference(copied)


@pytest.mark.parametrize("name", [*NAMES, FOLDER / "circle_terminal.h5"])
def test_info_of_a_reference(name, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["spherepde", "info", str(name)])
    with pytest.raises(SystemExit) as caught:
        main()
    out, err = capsys.readouterr()
    assert caught.value.code in (0, None) and err == ""
    assert f"<Reference {Path(name).stem}: " in out and "phases" in out and "verdict: " in out
    assert not re.search(r"\b(nan|inf)\b", out)
    if Path(name).stem == "circle_terminal":
        assert "then E was left: clusters turned at t = " in out and "from the final axis at t = " in out


@pytest.mark.parametrize("name", ["circle_cold", FOLDER / "circle_cold.h5"])
def test_plot_of_a_reference_says_what_to_plot(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["spherepde", "plot", str(name), "--out", "figures"])
    with pytest.raises(SystemExit) as caught:
        main()
    _, err = capsys.readouterr()
    assert caught.value.code == 2 and err.count("\n") == 1 and not list(tmp_path.iterdir())
    assert "is a reference run, which holds no density to draw; expected the run file" in err
