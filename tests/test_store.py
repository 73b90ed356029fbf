"""The run file: what is written is read back, by us and by xarray, also after a kill or on a full disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np
import pytest

from spherepde import store
from spherepde.errors import InputError
from spherepde.store import RunFile, RunWriter, SeriesSpec, StorageError

DEGREE = np.array([0, 1, 2, 1, 2, 2])
ORDER = np.array([0, 0, 0, 1, 1, 2])
SOURCE = slice(0, 4)
AXES = {"theta": np.linspace(0.1, 3.0, 5), "phi": np.linspace(0.0, 6.0, 8)}
SERIES = {
    "mass": SeriesSpec((), "total mass"),
    "mean": SeriesSpec((3,), "mean of the tokens"),
    "second_moment": SeriesSpec((3, 3), "second moment of the tokens"),
}
SETUP = {
    "axes": AXES,
    "degree": DEGREE,
    "order": ORDER,
    "series": SERIES,
    "velocity_degree": DEGREE[SOURCE],
    "velocity_order": ORDER[SOURCE],
    "save_density": True,
    "attributes": {"config": {"model": {"beta": 100.0, "V": [[1.0, 0.0]]}}, "seed": 7, "conventions": "β, Λ"},
}


def coefficients(k: int) -> Any:
    return np.random.default_rng(k).normal(size=(6, 2)) @ [1.0, 1j]


def density(k: int) -> Any:
    return np.random.default_rng(k).normal(size=(5, 8))


def values(k: int) -> dict[str, Any]:
    return {"mass": 1.0 + k, "mean": np.full(3, k), "second_moment": np.full((3, 3), 0.1 * k)}


def write(writer: RunWriter, steps: range, every: int = 3) -> None:
    for k in steps:
        writer.record_velocity(0.1 * k, coefficients(k)[SOURCE])
        writer.record(0.1 * k, values(k))
        if k % every == 0:
            writer.save(0.1 * k, coefficients(k), density(k))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "run.h5"
    with RunWriter.create(path, **SETUP) as writer:
        write(writer, range(10))
        writer.finish("done", "reached t = 0.9")
    return path


def check(file: RunFile, steps: int, every: int = 3) -> None:
    assert np.array_equal(file.series["t"], 0.1 * np.arange(steps))
    assert np.array_equal(file.series["second_moment"][:, 2, 1], 0.1 * np.arange(steps))
    assert file.velocity is not None and len(file.velocity.t) == steps
    assert np.array_equal(file.velocity.moments[steps - 1], coefficients(steps - 1)[SOURCE])
    for i, k in enumerate(range(0, steps, every)):
        assert file.times[i] == 0.1 * k
        assert np.array_equal(file.coefficients(i), coefficients(k))
        assert np.array_equal(file.density(i), density(k))


def test_round_trip(run: Path) -> None:
    with RunFile(run) as file:
        check(file, 10)
        assert np.array_equal(file.density(-1), density(9))
        assert list(file.axes) == ["theta", "phi"] and np.array_equal(file.axes["phi"], AXES["phi"])
        assert np.array_equal(file.degree, DEGREE) and np.array_equal(file.order, ORDER)
        assert np.array_equal(file.velocity.degree, DEGREE[SOURCE])
        assert file.config == SETUP["attributes"]["config"]
        assert {"format": "spherepde run", "format_version": 1, "seed": 7}.items() <= file.attributes.items()
        assert {"status": "done", "reason": "reached t = 0.9", "conventions": "β, Λ"}.items() <= file.attributes.items()
        assert file.attributes["created"].endswith("+00:00")
        assert repr(file) == "<RunFile run.h5: done, t = 0 to 0.9, 4 snapshots, 10 records>"
        with pytest.raises(IndexError, match="has 4 snapshots, number 4 was asked for"):
            file.coefficients(4)


def test_circle_without_density_or_velocity(tmp_path: Path) -> None:
    only = {"axes": {"theta": np.arange(4.0)}, "save_density": False, "series": {"mass": SERIES["mass"]}}
    with RunWriter.create(tmp_path / "r", degree=DEGREE, order=ORDER, attributes={}, **only) as writer:
        writer.save(0.0, coefficients(0))
        writer.record(0.0, {"mass": 1})
        assert writer.counts == (1, 1, 0)
        with pytest.raises(ValueError, match="without source moments"):
            writer.record_velocity(0.0, coefficients(0))
    with RunFile(tmp_path / "r") as file:
        assert file.velocity is None and file.config == {} and list(file.axes) == ["theta"]
        with pytest.raises(InputError, match="holds no density"):
            file.density(0)


def test_rows_are_copied_and_checked_when_given(tmp_path: Path) -> None:
    row = values(1)
    with RunWriter.create(tmp_path / "r", **SETUP) as writer:
        writer.record(0.0, row)
        row["mean"][:] = 99.0
        with pytest.raises(ValueError, match=r"record along t: \['mass'\] missing or unexpected"):
            writer.record(0.1, {name: row[name] for name in ("mean", "second_moment")})
        with pytest.raises(ValueError, match=r"mean of shape \(2,\): expected \(3,\)"):
            writer.record(0.1, {**row, "mean": np.zeros(2)})
        with pytest.raises(ValueError, match="density"):
            writer.save(0.0, coefficients(0))
    with RunFile(tmp_path / "r") as file:
        assert np.array_equal(file.series["mean"], np.ones((1, 3)))


def test_many_rows_cross_chunks_and_leave_no_slack(tmp_path: Path) -> None:
    with RunWriter.create(tmp_path / "r", **SETUP) as writer:
        for block in range(3):
            for k in range(700 * block, 700 * block + 700):
                writer.record(float(k), values(k))
            writer.flush()
    with RunFile(tmp_path / "r") as file:
        assert np.array_equal(file.series["mass"], 1.0 + np.arange(2100))
    with h5py.File(tmp_path / "r") as raw:
        assert raw.id.get_filesize() == os.path.getsize(tmp_path / "r")


def test_records_flush_themselves_after_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RunWriter.create(tmp_path / "r", **SETUP) as writer:
        writer.record(0.0, values(0))
        assert len(RunFile(tmp_path / "r").series["t"]) == 0
        monkeypatch.setattr("spherepde.store.writer.FLUSH_SECONDS", 0.0)
        writer.record(0.1, values(1))
        with RunFile(tmp_path / "r") as file:
            assert len(file.series["t"]) == 2 and file.attributes["status"] == "running"


def test_long_and_often_changed_attributes(tmp_path: Path) -> None:
    table = np.random.default_rng(0).normal(size=(80, 80))
    with RunWriter.create(tmp_path / "r", **{**SETUP, "attributes": {"config": {"V": table}, "none": None}}) as writer:
        for k in range(30):
            writer.update(**{f"word_{k % 13}": "x" * k, "reason": "", "horizon": float(k), "on": True})
    with RunFile(tmp_path / "r") as file:
        assert np.array_equal(file.config["V"], table)
        assert file.attributes["word_3"] == "x" * 29 and file.attributes["horizon"] == 29.0
        assert (file.attributes["on"], file.attributes["none"], file.attributes["reason"]) == ("true", "null", "")


def test_h5netcdf_finds_every_dimension(run: Path) -> None:
    with h5netcdf.File(run) as file:
        assert file["density"].dimensions == ("time", "theta", "phi")
        assert file["coefficients"].dimensions == ("time", "lm") and file.dimensions["time"].isunlimited()
        assert file["series/second_moment"].dimensions == ("t", "component", "component_2")
        assert file["velocity/moments"].dimensions == ("t", "lm_source")
        for group in (file, file["series"], file["velocity"]):
            for name, variable in group.variables.items():
                assert variable.attrs["units"] == "1" and variable.attrs["long_name"], name


def test_xarray_opens_it_without_options(run: Path) -> None:
    xr = pytest.importorskip("xarray")
    with xr.open_dataset(run) as data:
        assert dict(data.sizes) == {"time": 4, "theta": 5, "phi": 8, "lm": 6}
        assert set(data.coords) == {"time", "theta", "phi", "degree", "order"}
        assert data.time.dtype == float and data.density.dims == ("time", "theta", "phi")
        assert np.array_equal(data.coefficients.values[1], coefficients(3)) or data.coefficients.dtype.fields
        assert data.attrs["status"] == "done" and json.loads(data.attrs["config"])["model"]["beta"] == 100.0
        assert float(data.density.sel(time=0.3, theta=0.1, phi=0.0, method="nearest")) == density(3)[0, 0]
    with xr.open_datatree(run) as tree:
        assert set(tree.children) == {"series", "velocity"}
        assert tree["series/second_moment"].dims == ("t", "component", "component_2")
        assert np.array_equal(tree["series/mass"], 1.0 + np.arange(10))
        assert dict(tree["velocity"].sizes)["lm_source"] == 4
        assert tree["series/mean"].attrs == {"long_name": "mean of the tokens", "units": "1"}


# ---------------------------------------------------------------- kills, full disks, two writers

CHILD = """
import importlib.util, os, resource, sys, types
package = types.ModuleType("spherepde")  # the store only: the rest takes a second to load
package.__path__ = importlib.util.find_spec("spherepde").submodule_search_locations
sys.modules["spherepde"] = package
sys.path.insert(0, {tests!r})
from test_store import SETUP, RunWriter, StorageError, coefficients, density, values, write
writer = RunWriter.create(sys.argv[1], **SETUP)
"""


def child(path: Path, body: str) -> subprocess.Popen[str]:
    code = CHILD.format(tests=str(Path(__file__).parent)) + textwrap.dedent(body)
    return subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)


def test_killed_runs_keep_every_flushed_record(tmp_path: Path) -> None:
    body = """
    for k in range(10**6):
        write(writer, range(k, k + 1), every=1)
        print(k + 1, flush=True)
    """
    running = [(tmp_path / f"{trial}.h5", child(tmp_path / f"{trial}.h5", body)) for trial in range(5)]
    for trial, (path, process) in enumerate(running):
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.03 + 0.041 * trial)
        process.send_signal(signal.SIGKILL)
        flushed = int(process.stdout.read().split("\n")[-2] or 1)
        process.wait()
        with RunFile(path) as file:
            assert file.attributes["status"] == "running"
            assert len(file.times) >= flushed and len(file.series["t"]) >= flushed
            check(file, min(len(file.times), len(file.series["t"])), every=1)
        with RunWriter.reopen(path, (flushed, flushed, flushed)) as writer:
            write(writer, range(flushed, flushed + 2), every=1)
        with RunFile(path) as file:
            check(file, flushed + 2, every=1)


def test_a_torn_last_snapshot_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill just before the superblock: the index points to chunks behind the recorded end of file.

    Going on with such a file as it is would put new data where the index believes others to be.
    """
    monkeypatch.setattr("spherepde.store.layout.CHUNK_BYTES", 1)
    path = tmp_path / "run.h5"
    with RunWriter.create(path, **SETUP) as writer:
        write(writer, range(4))
        before = path.read_bytes()[:96]
        monkeypatch.setattr(writer, "_count_rows", lambda counts: None)
        writer.save(0.4, coefficients(4), density(4))
        torn = before + path.read_bytes()[96:]
    path.write_bytes(torn)
    with h5py.File(path) as raw, pytest.raises(OSError, match="addr overflow"):
        raw["density"][:]
    with RunFile(path) as file:
        check(file, 4)
        assert len(file.times) == 2
    with RunWriter.reopen(path, (2, 4, 4)) as writer:
        write(writer, range(4, 7))
    with RunFile(path) as file:
        check(file, 7)


def test_reopen_truncates_and_goes_on_bit_for_bit(tmp_path: Path, run: Path) -> None:
    path = tmp_path / "resumed.h5"
    with RunWriter.create(path, **SETUP) as writer:
        write(writer, range(5))
        counts = writer.counts
        assert counts == (2, 5, 5)
        write(writer, range(5, 8))
        writer.finish("stopped", "interrupted")
    with RunWriter.reopen(path, counts) as writer:
        write(writer, range(5, 10))
        assert writer.counts == (4, 10, 10)
    with RunFile(path) as file, RunFile(run) as straight:
        check(file, 10)
        assert (file.attributes["status"], file.attributes["reason"]) == ("running", "")
        assert file.attributes["finished"] == ""
        for name, column in straight.series.items():
            assert np.array_equal(file.series[name], column)
    with pytest.raises(InputError, match=r"holds \(4, 10, 10\) records, the checkpoint expects \(4, 11, 10\)"):
        RunWriter.reopen(path, (4, 11, 10))


def test_two_writers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    process = child(path, "writer.save(0.0, coefficients(0), density(0)); print(1, flush=True); sys.stdin.read()")
    assert process.stdout is not None
    try:
        process.stdout.readline()
        with pytest.raises(InputError, match="is being written by another process"):
            RunWriter.reopen(path, (1, 0, 0))
        with pytest.raises(InputError, match="is being written by another process"):
            RunWriter.create(path, **SETUP, overwrite=True)
        with RunFile(path) as file:  # looking is allowed
            assert np.array_equal(file.density(0), density(0))
    finally:
        process.kill()
        process.wait()
    with RunWriter.reopen(path, (1, 0, 0)), pytest.raises(InputError, match="is being written"):
        RunWriter.reopen(path, (1, 0, 0))
    with RunFile(path), pytest.raises(InputError, match=r"close it there first|cannot be opened for writing"):
        RunWriter.reopen(path, (1, 0, 0))


FULL = {
    "a limit on file sizes": """
        resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(sys.argv[1]) + 5 * 10**5, resource.RLIM_INFINITY))
        """,
    "a device that refuses writes": """
        os.dup2(os.open("/dev/full", os.O_RDWR), writer._file.id.get_vfd_handle())
        """,
}


@pytest.mark.parametrize("how", FULL)
@pytest.mark.parametrize("end", ["writer.close()", "del writer; exit()"])
def test_a_full_disk_leaves_a_readable_file(tmp_path: Path, how: str, end: str) -> None:
    body = f"""
    write(writer, range(10))
    {textwrap.dedent(FULL[how]).strip()}
    k = 9
    try:
        while True:
            k += 1
            write(writer, range(k, k + 1), every=1)
            [writer.record(0.1 * k, values(k)) for _ in range(1000)]
    except StorageError as error:
        print(len(writer._snapshots.waiting), error, flush=True)
    try:
        writer.finish("stopped", "Disk.")
    except StorageError as error:
        pass
    try:
        {end}
    except StorageError as error:
        pass
    """
    process = child(tmp_path / "run.h5", body)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "run.h5 could not be written: " in out and ("File too large" in out or "No space left on device" in out)
    with RunFile(tmp_path / "run.h5") as file:
        assert len(file.series["t"]) >= 10 and np.array_equal(file.series["mass"][:10], 1.0 + np.arange(10))
        assert np.array_equal(file.density(3), density(9))
        if how == "a limit on file sizes":
            assert file.attributes["status"] == "stopped" and file.attributes["reason"].startswith("Disk. /")


def test_room_found_again_means_nothing_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    with RunWriter.create(tmp_path / "r", **SETUP) as writer:
        with monkeypatch.context() as patch:
            patch.setattr(os, "posix_fallocate", full)
            with pytest.raises(StorageError, match="No space left on device"):
                writer.save(0.0, coefficients(0), density(0))
            assert StorageError.exit_status == 1
        assert writer.counts == (1, 0, 0)
    with pytest.raises(StorageError, match="is closed"):
        writer.flush()


def test_an_existing_file_needs_overwrite(run: Path) -> None:
    content = run.read_bytes()
    with pytest.raises(InputError, match=r"run\.h5 exists already: .* --overwrite"):
        RunWriter.create(run, **SETUP)
    with pytest.raises(InputError, match="expected two lists of one length"):  # creation fails: the old file stays
        RunWriter.create(run, **{**SETUP, "order": ORDER[1:]}, overwrite=True)
    assert run.read_bytes() == content
    with RunFile(run) as reader:
        RunWriter.create(run, **SETUP, overwrite=True).close()
        assert np.array_equal(reader.density(3), density(9))  # an open reader keeps the old one
    with RunFile(run) as file:
        assert len(file.times) == 0 and "no snapshot yet" in repr(file)
    assert os.listdir(run.parent) == ["run.h5"]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [("no/run.h5", "there is no folder .*/no"), (".", "not a regular file"), ("/proc/run.h5", "cannot be written: ")],
)
def test_places_where_no_file_can_be_made(tmp_path: Path, path: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        RunWriter.create(tmp_path / path, **SETUP)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"series": {"t": SERIES["mass"]}}, "series named 't'"),
        ({"series": {"a/b": SERIES["mass"]}}, "series named 'a/b'"),
        ({"series": {"a": SeriesSpec((3,), ""), "b": SeriesSpec((2, 2), "")}}, "with a single d"),
        ({"series": {"a": SeriesSpec((3,), "", "head"), "b": SeriesSpec((2,), "", "head")}}, "with a single d"),
        ({"axes": {"theta": np.zeros((2, 2))}}, r"axis 'theta' of shape \(2, 2\)"),
        ({"velocity_order": ORDER}, "expected two lists of one length"),
        ({"velocity_order": None}, "both or neither"),
    ],
)
def test_layouts_that_do_not_fit(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        RunWriter.create(tmp_path / "run.h5", **{**SETUP, **change})
    assert os.listdir(tmp_path) == []


def broken(path: Path, how: str) -> None:
    if how == "text":
        path.write_text("theta,phi\n")
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[:-5000])
    elif how == "scrambled":
        path.write_bytes(path.read_bytes()[:200] + bytes(10**5))
    elif how == "folder":
        path.unlink()
        path.mkdir()
    elif how == "missing":
        path.unlink()
    else:
        with h5py.File(path, "r+") as file:
            if how == "foreign":
                del file.attrs["format"]
            elif how == "other":
                file.attrs["format"] = "gusto checkpoint"
            elif how == "newer":
                file.attrs["format_version"] = 2
            elif how == "incomplete":
                del file["series"]


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("missing", r"run\.h5 does not exist; expected a file written by spherepde"),
        ("folder", "is not a regular file"),
        ("text", "is not an HDF5 file"),
        ("empty", "is not an HDF5 file"),
        ("truncated", "is a truncated or damaged HDF5 file"),
        ("scrambled", "damaged"),
        ("foreign", "is not a 'spherepde run' file: it has no format attribute"),
        ("other", "its format is 'gusto checkpoint'"),
        ("newer", "has format version 2, this spherepde reads up to 1: update it"),
        ("incomplete", "is a damaged run file"),
    ],
)
def test_files_that_cannot_be_read(run: Path, how: str, sentence: str) -> None:
    broken(run, how)
    with pytest.raises(InputError, match=sentence):
        RunFile(run)
    with pytest.raises(InputError, match=sentence):
        RunWriter.reopen(run, (0, 0, 0))


def test_checkpoint_returns_every_bit(tmp_path: Path) -> None:
    path = store.checkpoint_path(tmp_path / "run.h5")
    assert path == tmp_path / "run.ckpt.h5"
    arrays = {"u": coefficients(1), "f": np.array([0.1, -0.0, 5e-324]), "n": np.arange(3), "empty": np.zeros((0, 2))}
    state = {"t": 0.1 + 0.2, "inf": np.inf, "dt": np.float64(1 / 3), "step": np.int64(7), "counts": [1, 2], "β": "x"}
    store.save_checkpoint(path, {}, {})
    store.save_checkpoint(path, arrays, state)
    back, loaded = store.load_checkpoint(path)
    assert loaded == state and type(loaded["step"]) is int
    assert {name: (a.dtype, a.shape, a.tobytes()) for name, a in back.items()} == {
        name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()
    }
    assert os.listdir(tmp_path) == ["run.ckpt.h5"]


def test_a_bad_checkpoint_never_replaces_a_good_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.ckpt.h5"
    store.save_checkpoint(path, {"u": np.ones(3)}, {"t": 1.0})
    good = path.read_bytes()
    for bad in (np.nan, np.inf, complex(0, np.nan)):
        with pytest.raises(ValueError, match="u is not finite"):
            store.save_checkpoint(path, {"u": np.array([1.0, bad])}, {"t": 2.0})
    with pytest.raises(TypeError, match="cannot be written as JSON"):
        store.save_checkpoint(path, {}, {"t": object()})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"run\.ckpt\.h5 could not be written: No space left on device"):
        store.save_checkpoint(path, {"u": np.ones(4)}, {"t": 3.0})
    assert path.read_bytes() == good and os.listdir(tmp_path) == ["run.ckpt.h5"]


def test_checkpoints_that_cannot_be_read(tmp_path: Path, run: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        store.load_checkpoint(tmp_path / "none.ckpt.h5")
    with pytest.raises(InputError, match="is not a 'spherepde checkpoint' file: its format is 'spherepde run'"):
        store.load_checkpoint(run)
    path = tmp_path / "c.ckpt.h5"
    store.save_checkpoint(path, {"u": np.ones(3000)}, {})
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(InputError, match="truncated or damaged"):
        store.load_checkpoint(path)


def test_provenance(monkeypatch: pytest.MonkeyPatch) -> None:
    record = store.provenance(["spherepde", "run", "my config.toml"])
    assert record["command"] == "spherepde run 'my config.toml'"
    versions = json.loads(record["versions"])
    assert versions["numpy"] == np.__version__ and versions["h5py"] == h5py.__version__ and "spherepde" in versions
    assert record["commit"] == "unknown" or len(record["commit"].removesuffix("-dirty")) == 40
    monkeypatch.setenv("PATH", "")  # no git
    assert store.provenance([])["commit"] == "unknown"
