"""A picture of cells on the 2-sphere: which atom each point belongs to, seen from two opposite sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array

from ...errors import InputError
from ..measures import Function, as_density, checked_points

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

PIXELS = 640
"""Across a hemisphere …"""
MANY = 2000
"""… and twice as many, on twice as fine a file, for more atoms than this."""
CHUNK = 1 << 15
"""Points asked about at once."""
OUTSIDE = -1
PALETTE = tuple(
    tuple(0.72 * channel + 0.28 for channel in to_rgb(colour))
    for colour in ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
)
"""Okabe and Ito's colours, lightened. A planar map needs no more than six of them when coloured greedily."""
BOUNDARY = 0.4
"""Brightness of the pixels at the edge of a cell."""
DARKEST = 0.22
"""Brightness where the density is zero."""
RESOLUTION = 150
TEXT: dict[str, Any] = {"font.size": 9.0, "axes.titlesize": 9.0, "mathtext.fontset": "dejavusans"}


def draw_cells(
    label: Callable[[Array], NDArray[np.integer]],
    atoms: ArrayLike,
    *,
    density: Function | ArrayLike | None = None,
    view: ArrayLike = (1.0, 1.0, 1.0),
    axes: Sequence[Axes] | None = None,
    path: str | Path | None = None,
) -> Figure:
    """Draw the cells of atoms on the 2-sphere as two orthographic hemispheres, the front and the back.

    ``label`` maps unit vectors (n, 3) to the number (n,) of the atom each belongs to; it is asked about 32768 points at
    a time. ``atoms`` (k, 3) unit vectors, drawn as dots. ``density``, a callable of unit vectors or harmonic
    coefficients, shades the cells: brightness rises with its square root, zero (or less) is dark. ``view`` is the
    direction from which the front is seen; e₃ is up, or e₂ if it is seen from above. Cells that share an edge in the
    picture differ in colour, which is chosen among seven that every eye tells apart, and are parted by a dark line.
    Cells smaller than a pixel (1/640 of the diameter, half that for more than 2000 atoms) may be missed.

    ``axes``: two axes to draw into instead of a new figure; ``path``: write the figure there, in the format of its
    ending. Returns the figure, which belongs to no window and no global state of matplotlib. Raises InputError for
    points off the sphere, a view of no direction, labels of another shape or of no atom, and a path that cannot be
    written.
    """
    points = checked_points(atoms, 3)
    frame = view_frame(view)
    frames = [frame, frame * np.array([-1.0, 1.0, -1.0])]
    finer = 2 if len(points) > MANY else 1
    directions = [hemisphere(turned, finer * PIXELS) for turned in frames]
    labels = [_ask(label, x, len(points)) for x in directions]
    colour_of = cell_colours(labels, len(points))
    images = [np.where((l == OUTSIDE)[..., None], 1.0, np.array(PALETTE)[colour_of[l]]) for l in labels]
    if density is not None:
        _shade(images, labels, directions, as_density(density))
    with style.context([TEXT], after_reset=True):
        if axes is None:
            figure = Figure(figsize=(7.2, 3.9), layout="constrained")
            FigureCanvasAgg(figure)
            axes = list(figure.subplots(1, 2))
        elif len(axes) != 2:
            raise InputError(f"picture of cells: got {len(axes)} axes; expected two, for the front and the back")
        seen = ", ".join(f"{x:.2g}" for x in frame[:, 2]).replace("-", "−")
        titles = (f"seen from ({seen})", "from the opposite side")
        for ax, image, cells, turned, words in zip(axes, images, labels, frames, titles, strict=True):
            image[_edges(cells)] *= BOUNDARY
            _draw(ax, image, points @ turned, turned, words)
        drawn = axes[0].get_figure(root=True)
        assert drawn is not None
        if path is not None:
            try:
                drawn.savefig(path, dpi=finer * RESOLUTION)
            except (OSError, ValueError) as error:
                raise InputError(f"picture of cells cannot be written to {path}: {error}") from None
    return drawn


def view_frame(view: ArrayLike) -> Array:
    """Orthonormal columns (3, 3): right, up, and towards the eye, for a direction to look from."""
    w = np.asarray(view, dtype=np.float64)
    if w.shape != (3,) or not np.isfinite(w).all() or not np.any(w):
        raise InputError(f"picture of cells: view {view!r}; expected a direction of three numbers, not all zero")
    w = w / np.linalg.norm(w)
    up = np.array([0.0, 1.0, 0.0]) if abs(w[2]) > 1.0 - 1e-9 else np.array([0.0, 0.0, 1.0])
    right = np.cross(up, w)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(w, right), w], axis=1)


def hemisphere(frame: Array, pixels: int) -> Array:
    """Unit vectors (pixels, pixels, 3) under an orthographic picture, NaN outside of it; row 0 at the bottom."""
    a = 2.0 * (np.arange(pixels) + 0.5) / pixels - 1.0
    x, y = np.meshgrid(a, a)
    with np.errstate(invalid="ignore"):
        z = np.sqrt(1.0 - x**2 - y**2)
    return np.asarray(np.stack([x + 0.0 * z, y + 0.0 * z, z], axis=-1) @ frame.T)


def cell_colours(labels: Sequence[Labels], count: int) -> Labels:
    """Numbers (count,) of colours such that labels next to each other in some pictures differ; −1 stands for no cell.

    Greedily, each cell after those that have fewer neighbours left when it is taken away (smallest last): at most six
    colours for a planar map. Of the colours free it takes the one used least.
    """
    pairs = [
        np.stack([l[here].ravel(), l[there].ravel()])
        for l in labels
        for here, there in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1]))
    ]
    i, j = np.concatenate(pairs, axis=1)
    edge = (i != j) & (i != OUTSIDE) & (j != OUTSIDE)
    graph = coo_array((np.ones(2 * edge.sum()), (np.r_[i[edge], j[edge]], np.r_[j[edge], i[edge]])), (count, count))
    rows = graph.tocsr()
    neighbours = np.split(rows.indices, rows.indptr[1:-1])
    colours, used = np.full(count, -1), np.zeros(len(PALETTE))
    for cell in reversed(_smallest_first(neighbours)):
        taken = np.bincount(colours[neighbours[cell]] + 1, minlength=len(PALETTE) + 1)[1:]
        best = int(np.lexsort((used, taken))[0])
        colours[cell] = best
        used[best] += 1
    return colours


def _smallest_first(neighbours: Sequence[NDArray[np.integer]]) -> list[int]:
    """Cells in the order in which they are taken away, always one with the fewest neighbours left."""
    degree = [len(around) for around in neighbours]
    queue = [(d, cell) for cell, d in enumerate(degree)]
    heapify(queue)
    order, gone = [], [False] * len(degree)
    while queue:
        d, cell = heappop(queue)
        if gone[cell] or d != degree[cell]:
            continue
        gone[cell] = True
        order.append(cell)
        for other in neighbours[cell].tolist():
            degree[other] -= 1
            if not gone[other]:
                heappush(queue, (degree[other], other))
    return order


def _on_points(function: Callable[[Array], NDArray[Any]], directions: Array) -> NDArray[Any]:
    inside = directions[np.isfinite(directions[..., 0])]
    return np.concatenate([np.asarray(function(inside[k : k + CHUNK])) for k in range(0, len(inside), CHUNK)])


def _ask(label: Callable[[Array], NDArray[np.integer]], directions: Array, count: int) -> Labels:
    given = _on_points(label, directions)
    inside = np.isfinite(directions[..., 0])
    if given.shape != (np.count_nonzero(inside),) or not np.issubdtype(given.dtype, np.integer):
        raise InputError(
            f"picture of cells: the labels have shape {given.shape} and type {given.dtype}; expected an integer a point"
        )
    if given.min() < 0 or given.max() >= count:
        raise InputError(f"picture of cells: labels {given.min()} to {given.max()}; expected 0 to {count - 1}")
    labels = np.full(inside.shape, OUTSIDE, dtype=np.int64)
    labels[inside] = given
    return labels


def _shade(images: list[Array], labels: list[Labels], directions: list[Array], density: Function) -> None:
    values = [np.sqrt(np.maximum(_on_points(density, x), 0.0)) for x in directions]
    top = max(float(v.max()) for v in values)
    for image, cells, v in zip(images, labels, values, strict=True):
        image[cells != OUTSIDE] *= (DARKEST + (1.0 - DARKEST) * (v / top if top > 0.0 else v))[:, None]


def _edges(labels: Labels) -> NDArray[np.bool_]:
    """Pixels of a cell whose neighbour to the right or above belongs to another cell."""
    edge = np.zeros(labels.shape, dtype=bool)
    inside = labels != OUTSIDE
    for here, there in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        edge[here] |= (labels[here] != labels[there]) & inside[here] & inside[there]
    return edge


def _draw(ax: Axes, image: Array, atoms: Array, frame: Array, words: str) -> None:
    """A hemisphere, the atoms (k, 3) in its frame, and the coordinate directions that are in sight."""
    rim = Circle((0.0, 0.0), 1.0, facecolor="none", edgecolor="0.3", linewidth=0.8)
    ax.add_patch(rim)
    ax.imshow(image, extent=(-1.0, 1.0, -1.0, 1.0), origin="lower", interpolation="antialiased").set_clip_path(rim)
    halo = [withStroke(linewidth=2.0, foreground="white")]
    for sign, name in ((1.0, "e"), (-1.0, "-e")):
        for i, (x, y, z) in enumerate(sign * frame):
            if z > -1e-12:
                ax.plot(x, y, "+", color="black", markersize=5.0, path_effects=halo)
                ax.annotate(f"${name}_{i + 1}$", (x, y), (3, 3), textcoords="offset points", path_effects=halo)
    front = atoms[atoms[:, 2] >= 0.0]
    size = float(np.clip(60.0 / np.sqrt(len(atoms)), 0.8, 4.5))
    look: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.12 * size, "linestyle": "none"}
    ax.plot(front[:, 0], front[:, 1], "o", color="black", markersize=size, zorder=3.0, **look)
    ax.set(xlim=(-1.03, 1.03), ylim=(-1.03, 1.03), aspect="equal", title=words)
    ax.set_axis_off()
