"""Cost against lmax and against the number of tokens: curves, fitted slopes, and the figure of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from right_hand_sides import Space, bare_transforms, general_score, right_hand_side, softmax
from timing import Timed, fitted_slope, seconds_in_turn

from spherepde import Circle, Sphere
from spherepde.plots.style import COMPONENTS, GUIDE, RESOLUTION, STYLE

SPACES: dict[str, Callable[[int], Space]] = {"S²": Sphere, "S¹": Circle}
CIRCLE_LMAX = (63, 255, 1023, 4095, 16383)
GENERAL_RATIO = 0.3
COLOURS = {
    "B = I": COMPONENTS[0],
    "general B": COMPONENTS[1],
    "bare transforms": COMPONENTS[2],
    "dense, compiled": COMPONENTS[2],
    "dense, numpy": GUIDE,
}
FIT = 3
"""So many of a curve's largest sizes make its slope."""
DASHES = {"S²": "-", "S¹": (0, (4, 2))}


@dataclass(frozen=True)
class Curve:
    """Processor seconds against a size: ``what`` was done on which ``space``."""

    what: str
    space: str
    sizes: Sequence[int]
    seconds: Sequence[float]

    @property
    def slope(self) -> float:
        """Exponent of the cost over the largest sizes."""
        return fitted_slope(self.sizes[-FIT:], self.seconds[-FIT:])


def in_turn(parts: Sequence[Timed]) -> Timed:
    """All parts, one after the other."""

    def work() -> None:
        for part in parts:
            part()

    return work


def cost_against_lmax(name: str, lmaxes: Sequence[int], beta: float, repeats: int) -> list[Curve]:
    """Right-hand sides for B = I and for general B, and the bare transforms of the first, on "S²" or "S¹"."""
    seconds: dict[str, list[float]] = {"general B": [], "B = I": [], "bare transforms": []}
    for lmax in lmaxes:
        space = SPACES[name](lmax)
        works = {
            "B = I": right_hand_side(softmax(space, np.eye(space.dim), beta)),
            "bare transforms": in_turn(bare_transforms(space, [beta])),
            "general B": right_hand_side(softmax(space, general_score(space.dim, GENERAL_RATIO), beta)),
        }
        for what, measured in zip(works, seconds_in_turn(list(works.values()), repeats), strict=True):
            seconds[what].append(measured)
    return [Curve(what, name, lmaxes, times) for what, times in seconds.items()]


def _draw(ax: Axes, curves: Sequence[Curve], title: str, size: str) -> None:
    for curve in curves:
        label = f"{curve.space}, {curve.what}: slope {curve.slope:.2f}"
        options = {"color": COLOURS[curve.what], "linestyle": DASHES[curve.space], "label": label}
        ax.loglog(curve.sizes, curve.seconds, marker="o", markersize=3.5, **options)
    ax.set(xlabel=size, ylabel="processor time (s)", title=title)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncol=2)


def draw_costs(lmax_curves: Sequence[Curve], token_curves: Sequence[Curve], beta: float, path: Path) -> None:
    """Both panels, one thread, as PNG."""
    with style.context([STYLE], after_reset=True):
        figure = Figure(figsize=(11.0, 5.6), layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2)
        _draw(left, lmax_curves, f"one softmax right-hand side, β = {beta:g}", "lmax (degree)")
        _draw(right, token_curves, f"attention of N tokens to each other, β = {beta:g}", "N (tokens)")
        figure.suptitle(f"one thread; slopes over the {FIT} largest sizes; general B: σ ratio {GENERAL_RATIO:g}")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=RESOLUTION)
