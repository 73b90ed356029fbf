"""Figures from a run file alone, finished, running or killed: no live solver is needed, none is imported.

Trust is drawn the same way everywhere: solid lines up to the horizon of what is shown, dashed beyond; both horizons are
vertical lines. The snapshots shown, and their colours, are the same in all figures of a run.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from ..errors import InputError
from ..store import RunFile
from .circle import circle_figure
from .distance import distance_figure
from .energy import energy_figure
from .maps import maps_figure
from .moments import moments_figure
from .overview import overview_figure
from .record import Record
from .spectrum import spectrum_figure
from .style import save
from .terminal import terminal_figure
from .zoom import zoom_characteristics, zoom_figure

__all__ = ["Record", "figures", "plot_run"]


def density_figure(record: Record) -> Figure:
    """The density at the chosen times: maps of the sphere, curves over the circle."""
    return maps_figure(record) if record.dim == 3 else circle_figure(record)


FIGURES: dict[str, Callable[[Record], Figure]] = {
    "overview": overview_figure,
    "density": density_figure,
    "moments": moments_figure,
    "distance": distance_figure,
    "terminal": terminal_figure,
    "energy": energy_figure,
    "spectrum": spectrum_figure,
}


def figures(record: Record) -> dict[str, Callable[[Record], Figure]]:
    """The figures this run can fill, by name.

    There is no distance for several heads or where E is everything, and no terminal phase unless the run entered it.
    """
    fillable = {"distance": record.has_distance, "terminal": record.has_terminal}
    return {name: make for name, make in FIGURES.items() if fillable.get(name, True)}


def plot_run(path: str | Path, out: str | Path | None = None, *, zoom: bool = False) -> list[Path]:
    """Draw a run file: ``<out>/{overview,density,moments,distance,terminal,energy,spectrum}.png``; returns the paths.

    With ``zoom`` also ``zoom.png``, the densest cluster at the end at its own scale, from characteristics: a minute.
    ``out`` defaults to a folder beside the file, named like it without its ending. Figures found under these names are
    replaced; those that this run cannot fill (see :func:`figures`) are removed, not left stale.
    Raises InputError for a file that is no run file, holds no snapshot yet or names no model, for a folder that cannot
    be written, and with ``zoom`` for a run without characteristics.
    """
    folder = Path(path).with_suffix("") if out is None else Path(out)
    with RunFile(path) as run:
        record = Record(run)
        if zoom:
            zoom_characteristics(record)  # refused before anything is drawn
        chosen = figures(record) | ({"zoom": zoom_figure} if zoom else {})
        try:
            folder.mkdir(parents=True, exist_ok=True)
            written = []
            for name in FIGURES | chosen:
                target = folder / f"{name}.png"
                if name in chosen:
                    save(chosen[name](record), target, record)
                    written.append(target)
                else:
                    target.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"figures cannot be written to {folder}: {error.strerror or error}") from None
    return written
