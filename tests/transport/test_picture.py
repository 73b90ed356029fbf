"""The picture of cells: right colours in the right places, and no trace left in matplotlib."""

from pathlib import Path
from time import perf_counter

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from physics_helpers import bounded
from scipy.spatial import cKDTree

from spherepde import InputError
from spherepde.transport.laguerre import picture
from spherepde.transport.laguerre.picture import OUTSIDE, PALETTE, cell_colours, draw_cells, hemisphere, view_frame


def random_atoms(count, seed=0):
    x = np.random.default_rng(seed).normal(size=(count, 3))
    return x / np.linalg.norm(x, axis=1)[:, None]


def nearest(atoms):
    """The label of the nearest atom: the cells of equal weights."""
    tree = cKDTree(atoms)
    return lambda x: tree.query(x)[1]


def images(figure):
    return [np.asarray(ax.images[0].get_array()) for ax in figure.get_axes()]


def labels_of(label, view, pixels):
    """Labels under the two pictures, worked out anew: front and back, −1 outside."""
    frame = view_frame(view)
    found = []
    for turned in (frame, frame * [-1.0, 1.0, -1.0]):
        x = hemisphere(turned, pixels)
        inside = np.isfinite(x[..., 0])
        grid = np.full((pixels, pixels), OUTSIDE)
        grid[inside] = label(x[inside])
        found.append(grid)
    return found


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(picture, "PIXELS", 160)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("view", [(1.0, 1.0, 1.0), (0.0, 0.0, 1.0), (-2.0, 0.3, -0.1)])
def test_labels_match_colours(view):
    atoms = random_atoms(60)
    label = nearest(atoms)
    colour_of = np.full(60, -1)
    for image, cells in zip(images(draw_cells(label, atoms, view=view)), labels_of(label, view, 160), strict=True):
        distance = np.abs(image[..., None, :] - np.array(PALETTE)).max(axis=-1)
        plain = (distance.min(axis=-1) < 1e-12) & (cells != OUTSIDE)  # not darkened as an edge
        assert plain.sum() > 0.7 * (cells != OUTSIDE).sum()
        assert np.all(image[cells == OUTSIDE] == 1.0)
        colours = distance.argmin(axis=-1)
        for cell in np.unique(cells[plain]):
            seen = np.unique(colours[plain & (cells == cell)])
            assert len(seen) == 1 and colour_of[cell] in (-1, seen[0]), "one cell, one colour, on both sides"
            colour_of[cell] = seen[0]


@pytest.mark.parametrize(("count", "pixels"), [(60, 200), (10_000, 1280)])
def test_cells_side_by_side_differ_in_colour(count, pixels):
    grids = labels_of(nearest(random_atoms(count)), (1.0, 1.0, 1.0), pixels)
    colour_of = cell_colours(grids, count)
    touching, alike = 0, 0
    for cells in grids:
        for a, b in ((cells[1:], cells[:-1]), (cells[:, 1:], cells[:, :-1])):
            border = (a != b) & (a != OUTSIDE) & (b != OUTSIDE)
            touching += border.sum()
            alike += (colour_of[a[border]] == colour_of[b[border]]).sum()
    assert touching > 10 * pixels**0.5 and colour_of.min() >= 0
    bounded(f"{count} cells: neighbours of one colour", alike / touching, 0.0)
    share = np.bincount(colour_of, minlength=len(PALETTE)) / count
    assert share.max() < 0.25, "every colour is used"


def test_a_map_that_needs_four_colours_gets_them():
    """Three sectors and a disc around their corner, each next to all others."""
    y, x = np.mgrid[-50:51, -50:51]
    sectors = 1 + (np.floor((np.arctan2(y, x) + np.pi) / (2.0 * np.pi / 3.0)).astype(int) % 3)
    cells = np.where(np.hypot(x, y) < 20.0, 0, np.where(np.hypot(x, y) < 49.0, sectors, OUTSIDE))
    assert len(set(cell_colours([cells], 4))) == 4


@pytest.mark.usefixtures("small")
def test_the_two_sides_make_up_the_sphere():
    asked = []

    def label(x):
        asked.append(x)
        return np.zeros(len(x), dtype=int)

    draw_cells(label, [[0.0, 0.0, 1.0]], view=(1.0, 2.0, 3.0))
    x = np.concatenate(asked)
    assert np.linalg.norm(x, axis=1) == pytest.approx(1.0, abs=1e-14)
    towards = x @ np.array([1.0, 2.0, 3.0]) / np.sqrt(14.0)
    assert towards.min() < -0.99 and towards.max() > 0.99 and np.count_nonzero(towards > 0.0) == len(x) // 2
    bounded("mean direction of the points seen", np.abs(x.mean(axis=0)).max(), 1e-12)
    frame = view_frame([1.0, 2.0, 3.0])
    assert frame.T @ frame == pytest.approx(np.eye(3), abs=1e-15) and np.linalg.det(frame) == pytest.approx(1.0)
    assert frame[2, 1] > 0.0 and frame[2, 0] == pytest.approx(0.0, abs=1e-15), "e₃ is up"


@pytest.mark.usefixtures("small")
def test_atoms_are_dots_on_the_side_where_they_are():
    atoms = np.array([[0.6, 0.0, 0.8], [0.0, -0.6, -0.8], [1.0, 0.0, 0.0]])
    front, back = draw_cells(nearest(atoms), atoms, view=(0.0, 0.0, 1.0)).get_axes()
    dots = [next(line for line in ax.lines if line.get_marker() == "o") for ax in (front, back)]
    assert dots[0].get_xydata() == pytest.approx(np.array([[0.6, 0.0], [1.0, 0.0]]))
    assert dots[1].get_xydata()[0] == pytest.approx([0.0, -0.6])
    words = {text.get_text() for text in front.texts}
    assert {"$e_1$", "$e_2$", "$e_3$", "$-e_1$", "$-e_2$"} == words


@pytest.mark.usefixtures("small")
def test_density_shades():
    atoms = np.array([[0.0, 0.0, 1.0]])
    bright, dark = images(draw_cells(lambda x: np.zeros(len(x), int), atoms, density=lambda x: x[:, 2], view=(0, 0, 1)))
    assert bright[80, 80].max() > 0.99 * max(PALETTE[0]) and dark[80, 80].max() < 0.3  # negative counts as zero
    colour = np.array(PALETTE[0])
    height = hemisphere(np.eye(3), 160)[80, :, 2]
    inside = np.isfinite(height)
    expected = colour * (0.22 + 0.78 * np.sqrt(height[inside] / np.nanmax(hemisphere(np.eye(3), 160)[..., 2])))[:, None]
    assert bright[80, inside] == pytest.approx(expected, abs=1e-12)


@pytest.mark.usefixtures("small")
def test_no_state_leaks(tmp_path):
    atoms = random_atoms(5)
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    draw_cells(nearest(atoms), atoms, path=paths[0])
    with matplotlib.rc_context({"font.size": 30.0, "figure.facecolor": "black"}):
        before = dict(matplotlib.rcParams)
        figure = draw_cells(nearest(atoms), atoms, path=paths[1])
        assert dict(matplotlib.rcParams) == before
    assert np.array_equal(imread(paths[0]), imread(paths[1]))
    assert type(figure) is Figure
    assert "pyplot" not in Path(picture.__file__).read_text(encoding="utf-8")


@pytest.mark.usefixtures("small")
def test_axes_of_the_caller_are_used():
    figure = Figure()
    axes = figure.subplots(1, 2)
    atoms = random_atoms(4)
    assert draw_cells(nearest(atoms), atoms, axes=axes) is figure and all(ax.images for ax in axes)


def test_ten_thousand_cells_in_seconds(tmp_path):
    atoms = random_atoms(10_000)
    start = perf_counter()
    draw_cells(nearest(atoms), atoms, path=tmp_path / "cells.png")
    bounded("seconds for 10 000 cells", perf_counter() - start, 30.0)
    assert imread(tmp_path / "cells.png").shape[1] > 2000


@pytest.mark.usefixtures("small")
def test_bad_input_is_one_sentence(tmp_path):
    atoms = random_atoms(3)
    label = nearest(atoms)
    bad = [
        (label, 2.0 * atoms, {}),
        (label, atoms[:, :2], {}),
        (label, atoms, {"view": (0.0, 0.0, 0.0)}),
        (label, atoms, {"view": (1.0, 0.0)}),
        (label, atoms, {"axes": Figure().subplots(1, 3)}),
        (label, atoms, {"density": lambda x: np.full(len(x), np.nan)}),
        (lambda x: np.full(len(x), 3), atoms, {}),
        (lambda x: np.full(len(x), -1), atoms, {}),
        (lambda x: np.zeros(len(x)), atoms, {}),
        (lambda x: np.zeros((len(x), 2), int), atoms, {}),
        (label, atoms, {"path": tmp_path / "missing" / "cells.png"}),
        (label, atoms, {"path": tmp_path / "cells.unknown"}),
    ]
    for function, x, options in bad:
        with pytest.raises(InputError) as caught:
            draw_cells(function, x, **options)
        assert "\n" not in str(caught.value)
