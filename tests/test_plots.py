"""Figures: each says what the file holds, marks what is not to be trusted, and leaves no trace elsewhere."""

import shutil
import sys
import warnings
from functools import partial
from itertools import pairwise
from pathlib import Path

import h5py
import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

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
    Unnormalised,
    fisher_bingham,
)
from spherepde.phases import fit_exponential
from spherepde.plots import FIGURES, Record, figures, maps, plot_run
from spherepde.plots.circle import circle_figure, draw_curves
from spherepde.plots.distance import curves, distance_figure, upper_bound
from spherepde.plots.energy import balance_residual, energy_figure
from spherepde.plots.maps import density_rasters, map_frame, maps_figure, pixel_directions
from spherepde.plots.marks import Mark, draw_marks
from spherepde.plots.moments import moments_figure
from spherepde.plots.overview import overview_figure
from spherepde.plots.spectrum import degree_amplitudes, spectrum_figure
from spherepde.plots.style import TIME_LABEL, new_figure, number, save, styled, time_colours
from spherepde.schedules import Layers
from spherepde.summary import transported

sys.path.insert(0, str(Path(__file__).parent / "physics"))

from physics_helpers import bounded

RHO2 = fisher_bingham([0.3, 0.8], np.zeros((2, 2)))
RHO3 = fisher_bingham([0.2, 0.8, 0.1], np.zeros((3, 3)))
GAP2, GAP3 = np.diag([1.0, 0.5]), np.diag([1.0, 0.4, -0.3])
TURNED = [[0.2, 0.6, 0.0], [0.3, 1.0, 0.1], [0.0, 0.2, -0.3]]
ALL = ["overview", "density", "moments", "distance", "energy", "spectrum"]
WITHOUT_DISTANCE = [name for name in ALL if name != "distance"]

SYMMETRIC = [
    Head(V, B, beta=beta)
    for V, B, beta in (
        (np.diag([1.0, 0.3]), np.diag([1.0, 0.5]), 2.0),
        (np.diag([0.4, -0.8]), np.array([[0.5, 0.2], [0.2, 0.9]]), 3.0),
        (np.array([[0.6, 0.3], [0.3, -0.2]]), np.diag([0.7, -0.6]), 2.5),
    )
]
EDGES = [0.0, 0.25, 0.4, 0.7]
SKEW = Head(np.eye(2), [[1.0, 0.2], [-0.2, 1.0]])

DRAWN = {"hardmax": "energy", "heads": "overview", "unsymmetric": "distance", "layers": "energy", "skew": "energy"}
"""The figure laid out in full because the case makes it special (plot_run draws sphere and circle)."""

GRID = {"continuation": "none"}

CASES = {
    "sphere": (Sphere(24), RHO3, Softmax(Head(GAP3, beta=3.0)), {"companion_lmax": 18} | GRID, 2.5),
    "circle": (Circle(32), RHO2, Softmax(Head(GAP2, beta=10.0)), {"companion_lmax": 24} | GRID, 5.0),
    "resolved": (Circle(48), RHO2, Softmax(Head(GAP2, beta=10.0)), {"companion_lmax": 40}, 1.2),
    "hardmax": (Sphere(24), RHO3, Hardmax(Head(GAP3)), {"save_density": False}, 1.2),
    "plane": (Sphere(24), RHO3, Softmax(Head(np.diag([1.0, 1.0, 0.2]), beta=5.0)), {}, 0.6),
    "heads": (
        Circle(32),
        RHO2,
        Softmax([Head(GAP2, beta=4.0), Head(np.eye(2), beta=2.0)]),
        {"companion_lmax": 24},
        0.5,
    ),
    "everything": (Sphere(24), RHO3, Softmax(Head(np.eye(3), beta=4.0)), {"save_velocity": False}, 0.3),
    "unsymmetric": (Sphere(24), RHO3, Unnormalised(Head(TURNED, beta=1.0)), {"companion_lmax": 18}, 0.3),
    "layers": (Circle(32), RHO2, Softmax(Layers(SYMMETRIC, times=EDGES)), {"dt": 0.0125}, 0.7),
    "interpolated": (Circle(32), RHO2, Softmax(Layers(SYMMETRIC, times=EDGES[:3], interpolate=True)), {}, 0.4),
    "skew": (Circle(32), RHO2, Softmax([Head(GAP2), SKEW]), {}, 0.2),
}
NO_DISTANCE = ("heads", "everything", "layers", "interpolated", "skew")
"""Cases without a distance."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Path of the run file of a case, computed when first asked for."""
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def path(case):
        if case not in made:
            space, rho0, attention, options, until = CASES[case]
            made[case] = folder / f"{case}.h5"
            model = ContinuityEquation(space, attention, diffusion=0.01 if case == "unsymmetric" else 0.0)
            options = {"rtol": None if "dt" in options else 1e-6, "save_every": until / 12, "progress": False} | options
            Simulation(model, rho0, made[case], **options).run(until)
        return made[case]

    return path


@pytest.fixture
def record(run):
    """The record of a case, its file open until the test ends."""
    opened = []

    def get(case):
        opened.append(RunFile(run(case)))
        return Record(opened[-1])

    yield get
    for file in opened:
        file.close()


@pytest.fixture(autouse=True)
def small_maps(monkeypatch):
    monkeypatch.setattr(maps, "WIDTH", 160)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def texts(figure):
    """Every word drawn in a figure."""
    return " | ".join(item.get_text() for item in figure.findobj(matplotlib.text.Text) if item.get_visible())


def marks(ax):
    """Named vertical lines of some axes: name -> place."""
    return {line.get_gid(): line.get_xdata()[0] for line in ax.lines if line.get_gid()}


def labels(ax):
    """Words of the legend of some axes."""
    return [text.get_text() for text in ax.get_legend().get_texts()]


# ---- files


@pytest.mark.parametrize(("case", "names"), [("sphere", ALL), ("circle", ["overview", "density"])])
def test_figures_are_written_and_show_something(run, tmp_path, monkeypatch, case, names):
    monkeypatch.setattr("spherepde.plots.style.RESOLUTION", 80)
    monkeypatch.setattr("spherepde.plots.FIGURES", {name: FIGURES[name] for name in names})
    written = plot_run(run(case), tmp_path / "figures")
    assert [path.name for path in written] == [f"{name}.png" for name in names]
    for path in written:
        pixels = imread(path)[..., :3]
        assert min(pixels.shape[:2]) > 280 and pixels.std() > 0.05, path.name
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert np.all(border > 0.99), f"{path.name} is cut off at its border"


@pytest.fixture
def empty_figures(monkeypatch):
    """Figures with nothing but a title, for tests of what happens to the files."""
    make = partial(new_figure, width=6.0, height=1.0)
    monkeypatch.setattr("spherepde.plots.FIGURES", {"distance": make, "spectrum": make})


@pytest.mark.usefixtures("empty_figures")
def test_default_folder_is_beside_the_file(run, tmp_path):
    path = shutil.copy(run("resolved"), tmp_path / "mine.h5")
    assert {figure.parent for figure in plot_run(path)} == {tmp_path / "mine"}


@pytest.mark.usefixtures("empty_figures")
def test_figure_that_no_longer_applies_is_removed(run, tmp_path):
    stale, other = tmp_path / "distance.png", tmp_path / "notes.png"
    for file in (stale, other):
        file.write_bytes(b"of an earlier run")
    assert [path.name for path in plot_run(run("heads"), tmp_path)] == ["spectrum.png"]
    assert not stale.exists() and other.exists()


def test_bad_input_is_one_sentence(run, tmp_path):
    with pytest.raises(InputError, match="not"):
        plot_run(tmp_path / "missing.h5")
    in_the_way = tmp_path / "taken"
    in_the_way.write_text("a file, not a folder")
    for out in (in_the_way, in_the_way / "below"):
        with pytest.raises(InputError, match=r"figures cannot be written to .*taken") as caught:
            plot_run(run("resolved"), out)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("counts", ([1, 1, 1], [2, 4, 4]))
def test_killed_run(run, tmp_path, counts):
    """Only what was flushed is drawn, be it one record."""
    path = shutil.copy(run("circle"), tmp_path / "killed.h5")
    with h5py.File(path, "r+") as file:
        file.attrs.modify("records", np.array(counts))
        file.attrs["status"] = "running"
    with RunFile(path) as killed:
        record = Record(killed)
        made = [make(record) for make in figures(record).values()]
        assert len(made) == 6 and all("running at t = " in texts(figure) for figure in made)
        for figure in made if counts[1] == 1 else []:
            figure.draw_without_rendering()


def test_run_without_a_snapshot_is_refused(run, tmp_path):
    path = shutil.copy(run("circle"), tmp_path / "empty.h5")
    with h5py.File(path, "r+") as file:
        file.attrs.modify("records", np.array([0, 0, 0]))
    with pytest.raises(InputError, match="holds no snapshot yet"):
        plot_run(path)


def test_unknown_model_is_refused(run, tmp_path):
    path = shutil.copy(run("resolved"), tmp_path / "anonymous.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["config"] = "{}"
    with pytest.raises(InputError, match="which model"):
        plot_run(path)


def test_matplotlib_settings_neither_matter_nor_change(record, tmp_path):
    r = record("resolved")
    make = styled(lambda record: new_figure(record, 4.0, 2.0).subplots().figure)
    save(make(r), tmp_path / "a.png", r)
    with matplotlib.rc_context({"font.size": 30.0, "axes.facecolor": "black"}):
        before = dict(matplotlib.rcParams)
        save(make(r), tmp_path / "b.png", r)
        assert dict(matplotlib.rcParams) == before
    assert np.array_equal(imread(tmp_path / "a.png"), imread(tmp_path / "b.png"))


def test_pyplot_is_not_used():
    for source in Path(maps.__file__).parent.glob("*.py"):
        assert "pyplot" not in source.read_text(encoding="utf-8"), source.name


# ---- what is shown


@pytest.mark.parametrize("case", CASES)
def test_every_axis_says_what_it_shows(record, case):
    r = record(case)
    assert list(figures(r)) == (WITHOUT_DISTANCE if case in NO_DISTANCE else ALL)
    for name, make in figures(r).items():
        figure = make(r)
        assert r.title.split(",")[0] in texts(figure) and "initial density" in texts(figure)
        for ax in figure.get_axes():
            if ax.name == "polar" or not ax.axison:
                continue
            assert ax.get_ylabel(), name
            colour_bar = ax.get_label() == "<colorbar>"
            shared = not ax.xaxis.get_tick_params().get("labelbottom", True)
            above = name == "density" and not colour_bar and ax.get_subplotspec().rowspan.start == 0
            assert ax.get_xlabel() or shared or colour_bar or above, name
        if name == DRAWN.get(case):
            figure.draw_without_rendering()


def test_shown_times_favour_the_resolved_ones(record):
    r = record("sphere")
    assert r.shown[0] == 0 and r.shown[-1] == len(r.run.times) - 1 and len(r.shown) <= 6
    resolved = [i for i in r.shown if r.resolved(i)]
    assert len(resolved) >= 3 and r.run.times[resolved[-1]] < r.field_horizon <= r.run.times[resolved[-1] + 1]
    early = record("resolved")
    assert early.field_horizon is None and len(early.shown) == 6 and all(map(early.resolved, early.shown))


def test_maps(record):
    r = record("sphere")
    figure = maps_figure(r)
    maps = [ax for ax in figure.get_axes() if "t=" in ax.get_title()]
    assert len(maps) == len(r.shown)
    assert [bool(ax.images) for ax in maps] == [r.resolved(i) for i in r.shown]
    assert [any("not resolved" in text.get_text() for text in ax.texts) for ax in maps] == [
        not r.resolved(i) for i in r.shown
    ]
    titles = [ax.get_title() for ax in maps]
    assert titles[0] == "$t=0$"
    assert ["unresolved" in title or "beyond" in title for title in titles] == [not r.resolved(i) for i in r.shown]
    assert "per unit area" in texts(figure)
    resolved = density_rasters(r, [i for i in r.shown if r.resolved(i)])
    assert maps[0].images[0].norm.vmax == pytest.approx(max(raster.max() for raster in resolved))


def test_negative_densities_are_shown_as_such(record):
    r, circle = record("sphere"), record("circle")
    r.field_horizon = circle.field_horizon = None  # as if the grid had been trusted for longer
    figure = maps_figure(r)
    images = [ax.images[0] for ax in figure.get_axes() if ax.images]
    rasters = density_rasters(r, r.shown)
    assert any(np.any(raster < 0.0) for raster in rasters)
    for image, raster in zip(images, rasters, strict=True):
        assert np.array_equal(np.ma.getmaskarray(image.get_array()), raster <= 0.0)
    assert r"$\rho<0$" in texts(figure)
    ax = new_figure(circle, 5.0, 4.0).subplots()
    draw_curves(ax, circle)
    assert r"$-\rho$ where $\rho<0$" in [line.get_label() for line in ax.lines]


def test_map_pixels_are_the_density(record):
    r = record("hardmax")  # saved without /density
    raster = density_rasters(r, [0])[0]
    exact = RHO3(pixel_directions(map_frame(r), 160))
    assert np.abs(raster - exact).max() < 1e-9 * exact.max()


def test_map_is_equal_area_and_shows_E(record):
    width = 400
    frame = map_frame(record("sphere"))
    points = pixel_directions(frame, width)
    assert np.linalg.norm(points, axis=-1) == pytest.approx(1.0, abs=1e-14)
    y, x = (np.mgrid[: width // 2, :width] + 0.5) / (width // 4) - np.array([1.0, 2.0])[:, None, None]
    inside = 0.25 * x**2 + y**2 < 1.0
    second = points[inside].T @ points[inside] / np.count_nonzero(inside)
    assert second == pytest.approx(np.eye(3) / 3.0, abs=2e-3)
    e, slowest = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
    assert points[width // 4, 3 * width // 4] == pytest.approx(e, abs=0.02)
    assert points[width // 4, width // 4] == pytest.approx(-e, abs=0.02)
    assert points[width // 4, width // 2] == pytest.approx(slowest, abs=0.02)
    assert frame.T @ frame == pytest.approx(np.eye(3), abs=1e-14) and np.linalg.det(frame) == pytest.approx(1.0)
    normal = map_frame(record("plane"))[:, 2]
    assert np.abs(normal) == pytest.approx([0.0, 0.0, 1.0], abs=1e-12)


def test_circle_density(record):
    r = record("circle")
    figure = circle_figure(r)
    assert len(figure.get_axes()) == 2
    resolved = figure.get_axes()[0]
    drawn = [line for line in resolved.lines if len(line.get_xdata()) > 2]
    assert len(drawn) == sum(map(r.resolved, r.shown)) < len(r.shown)
    assert any(
        word.startswith("not resolved on the grid") and word.endswith(f" {r.t[-1]:.4g}") for word in labels(resolved)
    )
    assert resolved.get_yscale() == "log" and "per unit length" in resolved.get_ylabel()
    theta, rho = resolved.lines[0].get_data()
    assert rho == pytest.approx(RHO2(np.stack([np.cos(theta), np.sin(theta)], axis=-1)), rel=1e-9)
    assert {"$+e$", "$-e$"} <= {text.get_text() for text in resolved.texts}
    assert not any("not resolved" in word for word in labels(circle_figure(record("resolved")).get_axes()[0]))


def test_times_have_the_same_colours_everywhere(record):
    r = record("circle")
    colours = time_colours(r)
    spectrum = [line.get_color() for line in spectrum_figure(r).get_axes()[0].lines[: len(r.shown)]]
    density = [line.get_color() for line in circle_figure(r).get_axes()[0].lines[:3]]
    assert spectrum == colours and density == colours[:3]


def test_names_of_close_lines_are_merged(record):
    ax = new_figure(record("circle"), 5.0, 4.0).subplots()
    ax.set_xlim(0.0, 10.0)
    draw_marks(ax, [Mark(2.3, "b", "k"), Mark(2.0, "a", "k"), Mark(2.6, "c", "k"), Mark(11.0, "d", "k")], label=True)
    assert marks(ax) == {"a": 2.0, "b": 2.3, "c": 2.6}
    assert [text.get_text() for text in ax.texts] == ["a, b", "c"]


def test_moments(record):
    r = record("sphere")
    second, mean, bars = moments_figure(r).get_axes()
    assert bars.get_xlabel() == TIME_LABEL and bars.get_yscale() == "log"
    assert labels(second) == ["$i=1$", "$i=2$", "$i=3$"]
    drawn = second.lines[0].get_ydata()
    assert np.array_equal(drawn, r.series["second_moment"][: len(drawn), 0, 0])
    assert len(second.collections) == len(mean.collections) == 3  # shaded error bars
    assert "no error bar" in texts(moments_figure(record("plane")))


def test_horizons_are_marked_where_they_are(record):
    r = record("sphere")
    assert 0.0 < r.field_horizon < r.velocity_horizon < r.t[-1]
    for make in (moments_figure, distance_figure, energy_figure):
        for ax in make(r).get_axes():
            found = marks(ax)
            assert found["field horizon"] == r.field_horizon and found["velocity horizon"] == r.velocity_horizon
        assert "velocity horizon" in texts(make(r))
    curves = [line for line in moments_figure(r).get_axes()[0].lines if not line.get_gid()]
    for solid, dashed in zip(curves[::2], curves[1::2], strict=True):
        assert not solid.is_dashed() and solid.get_xdata()[-1] == r.velocity_horizon
        assert dashed.is_dashed() and list(dashed.get_xdata()[[0, -1]]) == [r.velocity_horizon, r.t[-1]]
    assert not any(marks(ax) for ax in moments_figure(record("resolved")).get_axes())


def line_of(ax, start):
    """The line of some axes whose name in the legend starts so."""
    return next(line for line in ax.lines if line.get_label().startswith(start))


def slope_of(line):
    """Exponential rate of a line of two points."""
    (start, stop), (first, last) = line.get_data()
    return np.log(last / first) / (stop - start)


WASSERSTEIN = [f"wasserstein_{p}_{ground}" for p in (1, 2) for ground in ("geodesic", "chordal")]


def with_series(r, curve, every=1, horizon=None):
    """A record whose distances to the limit follow a curve, bounded 10 % below and 20 % above, known now and then."""
    r.t, r.velocity_horizon = np.linspace(0.0, 5.0, 401), horizon
    r.phases = None  # those of the run itself, which these series are not
    values = curve(r.t)
    known = np.where(np.arange(len(r.t)) % every == 0, values, np.nan)
    for name in WASSERSTEIN:
        r.series.update({name: known, f"{name}_lower": 0.9 * values, f"{name}_upper": 1.2 * values})
    for name in [name for name in r.series if name.endswith("_error")]:
        del r.series[name]
    return r


def without_series(r):
    """A record as earlier versions wrote it, without distances to the limit."""
    for name in [name for name in r.series if name.startswith("wasserstein")]:
        del r.series[name]
    return r


def test_distance_to_the_limit(record):
    r = with_series(record("circle"), lambda t: 2.0 * np.exp(-0.3 * t))
    main, first, rate, uncertainty = distance_figure(r).get_axes()
    assert main.get_yscale() == first.get_yscale() == "log" and marks(main)[r"$t=\log\beta$"] == np.log(10.0)
    assert main.child_axes[0].get_xlabel() == r"$t\,/\log\beta$"
    assert r"W_2(\rho_t,\,\Pi_\sharp\rho_0)" in main.get_ylabel() and "W_1" in first.get_ylabel()
    assert {"bounds, geodesic", "geodesic", "chordal", "predicted decay 0.2500"} <= set(labels(main))
    assert slope_of(line_of(main, "predicted")) == pytest.approx(-0.25)
    assert slope_of(line_of(main, "decay 0.3000")) == pytest.approx(-0.3)
    band = first.collections[0].get_paths()[0].vertices
    lower, upper = (r.series[f"wasserstein_1_geodesic_{side}"] for side in ("lower", "upper"))
    assert band[:, 1].max() == upper.max() and band[:, 1].min() == lower.min()
    assert rate.lines[0].get_ydata() == pytest.approx(0.3, rel=1e-2) and "predicted 0.2500" in labels(rate)
    gap = line_of(uncertainty, "upper − lower, geodesic").get_ydata()
    assert gap == pytest.approx(0.3 * r.series["wasserstein_2_geodesic"])


def test_recorded_distances_lie_in_their_bands(record):
    for case in ("circle", "sphere", "hardmax"):
        for p in (1, 2):
            for curve in curves(record(case), p):
                slack = 1e-6 * curve.values[0]  # of quadrature
                assert np.all(curve.lower <= curve.values + slack) and np.all(curve.values <= curve.upper + slack)


def test_both_rates_and_the_metastable_window(record):
    r = record("circle")
    with_series(r, lambda t: np.exp(-4.0 * t) + 1e-4 * np.exp(2.0 * t))
    main, *_ = distance_figure(r).get_axes()
    assert slope_of(line_of(main, "decay")) == pytest.approx(-4.0, rel=0.04)
    assert slope_of(line_of(main, "growth")) == pytest.approx(2.0, rel=0.02)
    assert any(word.startswith("metastable: within 2 × minimum") and "open" not in word for word in labels(main))
    with_series(r, lambda t: np.exp(-4.0 * t) + 1e-4)
    main, *_ = distance_figure(r).get_axes()
    assert any("open at the end" in word for word in labels(main)) and "growth not seen by t = 5" in labels(main)
    with_series(r, lambda t: np.exp(-t))
    assert "no metastable state:\nstill falling at t = 5" in labels(distance_figure(r).get_axes()[0])


def test_nothing_is_fitted_beyond_the_velocity_horizon(record):
    end = 2.5
    r = with_series(record("sphere"), lambda t: np.exp(np.where(t <= end, -t, -end + 3.0 * (t - end))), horizon=end)
    main, _, rate, _ = distance_figure(r).get_axes()
    assert "growth not seen by t = 2.5" in labels(main)
    assert all(
        line.get_xdata()[-1] <= end for line in main.lines if line.get_label().startswith(("decay", "predicted"))
    )
    assert slope_of(line_of(main, "decay")) == pytest.approx(-1.0, rel=1e-9)
    for ax in (main, rate):
        beyond = [line for line in ax.lines if len(line.get_xdata()) > 2 and line.get_xdata()[-1] > end]
        assert beyond and all(line.is_dashed() for line in beyond)


def test_distances_known_only_now_and_then(record):
    r = with_series(record("plane"), lambda t: np.exp(-0.5 * t), every=4)
    main, *_, uncertainty = distance_figure(r).get_axes()
    assert np.array_equal(line_of(main, "geodesic").get_xdata(), r.t[::4])
    assert len(line_of(uncertainty, "upper − lower, geodesic").get_xdata()) == len(r.t)
    assert slope_of(line_of(main, "decay 0.5000")) == pytest.approx(-0.5)
    for name in WASSERSTEIN:
        r.series[name] = np.full_like(r.t, np.nan)
    distance_figure(r).draw_without_rendering()


def test_record_without_distances_to_the_limit_shows_those_to_E(record):
    r = without_series(record("circle"))
    main, rate, bars = distance_figure(r).get_axes()
    assert r"W_2(\rho_t,\,E)" in main.get_ylabel()
    seen = fit_exponential(r.t, r.series["distance_to_E"], (0.5 * np.log(10.0), np.log(10.0)))
    assert slope_of(line_of(main, f"decay {-seen.slope:.4f}")) == pytest.approx(seen.slope)
    curve = rate.lines[0].get_ydata()
    assert curve[len(curve) // 2] == pytest.approx(-seen.slope, rel=0.3)
    assert {"error bar, geodesic", "error bar, chordal"} == set(labels(bars))
    assert np.all(upper_bound(r) >= r.series["distance_to_E"])
    assert any("bound on" in word for word in labels(main))


def test_no_theory_is_drawn_where_there_is_none(record):
    hardmax = distance_figure(record("hardmax")).get_axes()[0]
    assert not hardmax.child_axes and any(word.startswith("predicted") for word in labels(hardmax))
    r = without_series(record("unsymmetric"))
    other = distance_figure(r).get_axes()[0]
    assert upper_bound(r) is None and not other.child_axes
    assert not any(word.startswith("predicted") for word in labels(other))


def test_energy_balance_is_not_limited_by_its_quadrature(record):
    rng = np.random.default_rng(0)
    t = np.concatenate([[0.0], np.cumsum(rng.uniform(0.02, 0.06, 60))])
    assert transported(t, np.cos(3.0 * t)) == pytest.approx(np.sin(3.0 * t) / 3.0, abs=1e-8)
    assert transported(t[:3], 2.0 * t[:3]) == pytest.approx(t[:3] ** 2)
    assert np.array_equal(transported(t[:1], t[:1]), [0.0])
    r = record("resolved")
    assert balance_residual(r).max() < 1e-5
    energy, rate, residual, attention = energy_figure(r).get_axes()
    assert r"e^{-\beta\|B\|}" in energy.get_ylabel() and r"e^{-\beta\|B\|}" in rate.get_ylabel()
    assert residual.get_yscale() == "log"
    assert attention.get_ylabel().startswith("attention entropy") and attention.get_ylim()[1] > 0.0


def test_layers_are_balanced_each_by_itself(record, tmp_path):
    r = record("layers")
    values, rows = balance_residual(r), [(r.t >= a) & (r.t < b) for a, b in pairwise(EDGES)]
    assert all(values[layer][0] == 0.0 and np.isfinite(values[layer]).all() for layer in rows)
    for index, layer in enumerate(rows):
        bounded(f"balance residual within layer {index}", values[layer].max(), 5e-12)
    alone = tmp_path / "alone.h5"
    model = ContinuityEquation(Circle(32), Softmax(SYMMETRIC[0]))
    Simulation(model, RHO2, alone, dt=0.0125, save_every=0.7 / 12, progress=False).run(EDGES[1])
    with RunFile(alone) as run:
        own = balance_residual(Record(run))
        assert np.array_equal(run.series["t"][:-1], r.t[rows[0]])
        bounded("layer 0 against a run of layer 0 alone", np.abs(values[rows[0]] - own[:-1]).max(), 1e-14)
    residual = energy_figure(r).get_axes()[2]
    drawn = residual.lines[0].get_ydata()
    assert np.nanmax(drawn) == np.nanmax(values) and "within each layer" in residual.get_title(loc="left")


def test_lines_break_at_jumps_which_are_marked(record):
    r = record("layers")
    for make in (energy_figure, moments_figure):
        axes = make(r).get_axes()
        assert all(marks(ax) == {"jump at 0.25": 0.25, "jump at 0.4": 0.4} for ax in axes)
        assert "the next layer begins" in axes[-1].get_xlabel()
    for ax in energy_figure(r).get_axes():
        t, values = ax.lines[0].get_data()
        gaps = np.flatnonzero(np.isnan(values) & np.isin(t, EDGES[1:3]))
        assert {0.25, 0.4} <= set(t[gaps]) and len(t) == len(r.t) + 2
    second = moments_figure(r).get_axes()[0].lines[0]  # moments have no jumps
    assert np.array_equal(second.get_ydata(), r.series["second_moment"][:, 0, 0])
    assert not any(marks(ax) for ax in energy_figure(record("interpolated")).get_axes())


def test_interpolated_layers_have_no_balance(record):
    figure = energy_figure(record("interpolated"))
    assert [ax.get_ylabel().split()[0] for ax in figure.get_axes()] == ["energy", "by", "attention"]
    assert "no balance: the heads change the energy as well" in texts(figure)
    assert "balance residual" not in texts(figure)


def test_energy_lost_to_the_scale_is_not_drawn(record):
    r = record("layers")
    for name in ("energy", "dissipation"):
        r.series[name] = np.where(r.t < 0.25, 0.0, r.series[name])
    energy, rate, residual, _ = energy_figure(r).get_axes()
    for ax in (energy, rate, residual):
        t, values = ax.lines[0].get_data()
        assert np.isnan(values[t < 0.25]).all() and np.isfinite(values[(t > 0.26) & (t < 0.38)]).all()


def test_words_of_the_energy_figure_stand_beside_the_curves(record):
    changing = "no energy: heads change with time, and not every B is known to be symmetric"
    for case, law in (("heads", None), ("skew", None), ("skew", changing)):
        r = record(case)
        r.run.attributes |= {} if law is None else {"energy_law": law}
        figure = energy_figure(r)
        figure.draw_without_rendering()
        for ax in figure.get_axes():
            title = ax.title if ax.get_title() else ax._left_title
            assert title.get_window_extent().x1 <= figure.bbox.x1
            if ax.get_legend() is not None:
                assert ax.get_legend().get_window_extent().y0 >= ax.bbox.y1
    assert energy_figure(record("skew")).get_axes()[0].get_title(loc="left").startswith("no energy: B of head 1")


def test_heads_are_drawn_and_named(record):
    r = record("heads")
    energy, *_, attention = energy_figure(r).get_axes()
    assert labels(energy) == ["head 0", "head 1", "sum of 2 heads"]
    assert labels(attention) == ["head 0", "head 1"]
    for h in range(2):
        assert np.array_equal(energy.lines[h].get_ydata(), r.series["head_energy"][:, h])
        assert np.array_equal(attention.lines[h].get_ydata(), r.series["attention_entropy"][:, h])


def test_model_without_energy_says_so(record):
    for case, why in (("hardmax", "hardmax has none"), ("heads", None), ("unsymmetric", None)):
        r = record(case)
        words = texts(energy_figure(r))
        assert ("energy" in r.series) == (why is None)
        assert ("smallest density" in words) == (why is not None) and (why or "energy") in words
    assert "diffusion" in texts(energy_figure(record("unsymmetric")))


def test_spectrum(record):
    r = record("sphere")
    ax = spectrum_figure(r).get_axes()[0]
    curves = ax.lines[: len(r.shown)]
    assert [line.is_dashed() for line in curves] == [not r.resolved(i) for i in r.shown]
    places = list(marks(ax).values())
    assert 16.0 in places and r.run.attributes["kernel_bandwidth"] in places
    u = r.coefficients(0)
    amplitudes = degree_amplitudes(r, u)
    assert amplitudes[0] == pytest.approx(1.0 / np.sqrt(4.0 * np.pi))
    assert np.sum(amplitudes**2) == pytest.approx(r.space.inner(u, u))
    assert len(marks(spectrum_figure(record("hardmax")).get_axes()[0])) == 1  # sees no degree: no kernel band


def test_overview(record):
    r = record("sphere")
    figure = overview_figure(r)
    axes = figure.get_axes()
    assert sum(bool(ax.images) for ax in axes) == sum(map(r.resolved, r.shown[:4])) > 2
    distance = next(ax for ax in axes if "W_2" in ax.get_ylabel())
    assert r"\Pi_\sharp" in distance.get_ylabel() and any(word.startswith("predicted") for word in labels(distance))
    assert any("W_2" in ax.get_ylabel() for ax in axes) and any("second moment" in ax.get_ylabel() for ax in axes)
    heads = overview_figure(record("heads")).get_axes()
    assert not any("W_2" in ax.get_ylabel() for ax in heads) and any("energy" in ax.get_ylabel() for ax in heads)


def test_numbers_in_words():
    assert [number(x) for x in (0.0318, -104.2, 1380.4, 1.2e-7)] == ["0.0318", "-104", "1380", r"1.2\times10^{-7}"]
