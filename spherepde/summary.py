"""A run file in words: one screen that says what was computed, how far to trust it, and what it shows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

from .errors import InputError
from .heads import DominantEigenspace, Head
from .layer_arrays import SAME_TIME
from .memory import readable
from .store import RunFile

Real = NDArray[np.float64]

RECORDED = "wasserstein_2_geodesic"
"""The series of W₂(ρ_t, Π♯ρ₀) that the summary and the verdict speak of."""
FEWEST = 6
"""A layer of fewer rows gets no balance: the error of its quadrature is all that could be seen."""


class Recorded(Protocol):
    """A run file or a reference run, as far as series and configuration say what it shows."""

    @property
    def path(self) -> Path:
        """The file."""
        ...

    @property
    def config(self) -> dict[str, Any]:
        """Its configuration."""
        ...

    @property
    def series(self) -> dict[str, Real]:
        """Every recorded quantity by name, and the times "t"."""
        ...


def refuse_empty(run: Recorded) -> None:
    """Raise InputError for a file without a single record, or one that names no model."""
    if not len(run.series["t"]):
        raise InputError(f"{run.path} holds no snapshot yet: nothing to describe")
    if not {"model", "initial", "space", "time"} <= set(run.config):
        raise InputError(f"{run.path} does not say which model it ran: nothing to describe without a configuration")


def head_of(config: dict[str, Any]) -> Head | None:
    """The single head of a run's configuration; None if it has several, or heads that change with time."""
    model = config["model"]
    return None if {"head", "layers"} & set(model) else Head(model["V"], model["B"], beta=model.get("beta", 1.0))


def _unbroken(words: str) -> str:
    return words.replace(" ", "\N{NO-BREAK SPACE}")


def _matrix(values: Any) -> str:
    matrix = np.asarray(values, dtype=float)
    if np.array_equal(matrix, np.eye(len(matrix))):
        return "I"
    if np.array_equal(matrix, np.diag(np.diag(matrix))):
        return "diag(" + ", ".join(f"{x:.4g}" for x in np.diag(matrix)) + ")"
    return "[" + "; ".join(" ".join(f"{x:.3g}" for x in row) for row in matrix) + "]"


def model_in_words(model: dict[str, Any]) -> str:
    """The [model] table in a line; no-break spaces hold a matrix and its name together where lines are broken."""
    name = f"{model['attention']} attention on S{'¹²'[model['dim'] - 2]}"
    tail = f", diffusion {model['diffusion']:g}" if model.get("diffusion") else ""
    if "layers" in model:
        return f"{name}, {_layers_in_words(model)}{tail}"
    heads = model.get("head", [model])
    parts = [
        ", ".join(
            [_unbroken(f"{name} = {_matrix(head[name])}") for name in "VB"]
            + ([_unbroken(f"β = {head['beta']:g}")] if "beta" in head else [])
        )
        for head in heads
    ]
    words = f"{name}, {parts[0]}"
    if len(parts) > 1:
        words = f"{name}, {model['combine']} of {len(parts)} heads: " + "; ".join(f"({part})" for part in parts)
    return (words + tail).replace("-", "−")


def _layers_in_words(model: Mapping[str, Any]) -> str:
    """The layers of a [model] table: how many, of how many heads, and when they act."""
    layers = model["layers"]
    if "function" in layers:
        count, when = layers["heads"], f"as a function of time, {layers['function']}"
    else:
        stack, times = layers["V"], model["layer_times"]
        between = ", interpolated" if model["interpolate"] else ""
        count, when = len(stack[0]), f"t = {times[0]:g} … {times[-1]:g}{between}"
    heads = f"{count} head{'s' if count > 1 else ''}"
    if "function" not in layers:
        depth = len(layers["V"])
        heads = f"{depth} layer{'s' if depth > 1 else ''} × {heads}"
    combined = f"{model['combine']} of " if count > 1 else ""
    given = layers.get("beta", model.get("beta"))
    beta = np.empty(0) if given is None else np.unique(given)
    coldness = f", β = {_range(beta)}" if beta.size else ""
    return f"{combined}{heads}, {when}" + coldness.replace(" … ", _unbroken(" … "))


def _range(values: Real) -> str:
    low, high = values.min(), values.max()
    return f"{low:.4g}" if low == high else f"{low:.4g} … {high:.4g}"


def _until(horizon: float) -> str:
    return f"until t = {horizon:.4g}" if np.isfinite(horizon) else "to the end"


def describe(run: RunFile) -> str:
    """The summary that ``info`` prints. Raises InputError for a file without a record, or without a configuration."""
    refuse_empty(run)
    config, attributes, series = run.config, run.attributes, run.series
    t = series["t"]
    time, space = config["time"], config["space"]
    stepping = f"rtol {time['rtol']:g}" if time.get("rtol") is not None else f"dt {time['dt']:g}"
    grid = " × ".join(str(len(axis)) for axis in run.axes.values())
    initial = ", ".join(f"{key} = {value}" for key, value in config["initial"].items() if key != "family")
    companion = f"companion lmax {space['companion_lmax']}" if space["companion_lmax"] else "no companion"
    lines = {
        "status": f"{attributes['status']}: {attributes['reason']}",
        "model": model_in_words(config["model"]).replace("\N{NO-BREAK SPACE}", " "),
        "initial": f"{config['initial']['family']} {initial}".strip(),
        "space": f"lmax {space['lmax']}, {companion}, grid {grid}, {attributes['backend']}, "
        f"{attributes['threads']} thread(s), kernel bandwidth L_K = {attributes['kernel_bandwidth']}",
        "time": f"0 … {t[-1]:g} in {len(t) - 1} steps ({time['stepper']}, {stepping}), {len(run.times)} snapshots",
    }
    field, velocity = (horizon_of(series, name) for name in ("field", "velocity"))
    lines["trust"] = f"density {_until(field)}; moments {_until(velocity)}"
    if "second_moment_error" in series:
        lines["trust"] += (
            f" (error bar of the second moment at the end: {np.max(series['second_moment_error'][-1]):.1e})"
        )
    else:
        lines["trust"] += "; no companion run, so moments carry no error bar"
    if "handover" in attributes:
        lines["handover"] = _handover_line(attributes)
    lines["at the end"] = (
        f"mass − 1 = {series['mass'][-1] - 1.0:.1e}, mean = {np.array2string(series['mean'][-1], precision=6)}"
    )
    lines[""] = "second moment diagonal = " + np.array2string(np.diag(series["second_moment"][-1]), precision=8)
    if np.isfinite(horizon_of(series, "velocity")):
        lines["at the end"] += "  BEYOND THE VELOCITY HORIZON: see the error bars"
    head = head_of(config)
    if "distance_to_E" in series and head is not None and DominantEigenspace(head.A).dim < head.dim:
        course = _course(t, series["distance_to_E"])
        lines["distance to E"] = f"{course} (geodesic; W₂ to the nearest measure on E)"
    if RECORDED in series:
        lines["W₂ to Π♯ρ₀"] = _at_the_end(series)
    lines |= _energy_lines(series, attributes.get("energy_law", ""))
    if not attributes["kernel_bandwidth"]:
        lines["space"] = lines["space"].split(", kernel bandwidth")[0]
    if "memory_estimate" in attributes:
        lines["memory"] = f"about {readable(attributes['memory_estimate'])}"
    command = shorten(attributes["command"], 80, placeholder=" …")
    lines["made by"] = f"{command} · commit {attributes['commit'][:12]} · {attributes['created']}"
    if attributes.get("warnings"):
        lines["warning"] = attributes["warnings"]
    width = max(map(len, lines))
    return "\n".join([str(run.path), *(f"  {name:<{width}}  {text}" for name, text in lines.items())])


def _course(t: Real, values: Real) -> str:
    """The first and the last value known; between them the least and its time, if that is below half of both."""
    known = np.isfinite(values)
    if not known.any():
        return "not known"
    t, values = t[known], values[known]
    start, end, low = float(values[0]), float(values[-1]), int(np.argmin(values))
    least = f" → {values[low]:.6f} (t = {t[low]:.4g})" if 2.0 * values[low] < min(start, end) else ""
    return f"{start:.6f}{least} → {end:.6f}"


def _handover_line(attributes: Mapping[str, Any]) -> str:
    """When a run went over to nodes, and what was remarkable about it."""
    at = handover_of(attributes) or {}
    words = [
        f"at t = {at['time']:.4g} to {at['nodes']} weighted nodes, tolerance {at['tolerance']:.0e}",
        attributes.get("handover_remark", f"the second moment jumps by {at['seam']:.1e} there"),
    ]
    if "nodes_exhausted" in attributes:
        words.append(f"as many nodes as there may be from t = {attributes['nodes_exhausted']:.4g} on")
    return "; ".join(words)


def handover_of(attributes: Mapping[str, Any]) -> dict[str, Any] | None:
    """When a run went over to nodes, how many, their tolerance and the seam; None for a run that stayed on its grid."""
    return None if "handover" not in attributes else dict(json.loads(attributes["handover"]))


def _energy_lines(series: Mapping[str, Real], law: str) -> dict[str, str]:
    """The energy with the law it obeys, and how evenly the heads attend, where they were recorded."""
    lines = {}
    if "energy" in series:
        start, end = series["energy"][[0, -1]]
        lines["energy"] = f"{start:.6g} → {end:.6g}, scaled as stored" + (f"; {law}" if law else "")
    elif law:
        lines["energy"] = law
    if "attention_entropy" in series:
        start, end = (", ".join(f"{x:.4g}" for x in series["attention_entropy"][i]) for i in (0, -1))
        lines["attention"] = f"entropy of each head {start} → {end} (0: attends to all tokens alike)".replace("-", "−")
    return lines


def _at_the_end(series: Mapping[str, Real]) -> str:
    """The last known distance to the limit measure, with its bar and its bounds."""
    known = np.flatnonzero(np.isfinite(series[RECORDED]))
    if not known.size:
        return "not known"
    last = known[-1]
    value, lower, upper = (series[name][last] for name in (RECORDED, f"{RECORDED}_lower", f"{RECORDED}_upper"))
    bar = f" ± {series[f'{RECORDED}_error'][last]:.1e}" if f"{RECORDED}_error" in series else ""
    when = f" at t = {series['t'][last]:g}, not known later" if last < len(series["t"]) - 1 else ""
    return f"{series[RECORDED][known[0]]:.6f} → {value:.6f}{bar}{when} (geodesic; bounds {lower:.6f} … {upper:.6f})"


def transported(t: Real, rate: Real) -> Real:
    """∫₀ᵗ rate by the antiderivative of an interpolating spline of degree 5 (less where there are fewer points)."""
    degree = min(5, (len(t) - 2) // 2 * 2 + 1)
    if degree < 1:
        return np.zeros(len(t))
    integral = make_interp_spline(t, rate, degree).antiderivative()
    return np.asarray(integral(t) - integral(t[0]), dtype=np.float64)


def jumps_of(model: Mapping[str, Any]) -> Real:
    """Times (n,) at which the heads of a [model] table jump: the edges between layers, unless it interpolates them."""
    edges = [] if model.get("interpolate") else model.get("layer_times", [])
    return np.array(edges[1:-1], dtype=np.float64)


def stretches(t: Real, jumps: Real) -> list[slice]:
    """The rows of each layer, in order; a row recorded at a jump belongs to the layer that begins there."""
    first = np.unique(np.searchsorted(t * (1.0 + SAME_TIME), jumps))
    starts = [0, *(int(row) for row in first if 0 < row < len(t))]
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], len(t)], strict=True)]


def energy_balance(t: Real, energy: Real, dissipation: Real, jumps: Real | Sequence[float] = ()) -> Real:
    r"""Residual :math:`E(t)-E(s)-\int_s^t\dot E` at each recorded time (n,), s = 0 or the last of the ``jumps`` till t.

    Each layer is balanced by itself. What its energy has become where the next one begins is not recorded (that row is
    the next layer's), so its last step is in no residual. Among several layers, one of fewer than 6 rows has NaN.
    The identity needs heads that do not change between jumps, and no diffusion.
    """
    layers = stretches(t, np.asarray(jumps, dtype=np.float64))
    residual = np.full(len(t), np.nan)
    for rows in layers:
        if rows.stop - rows.start >= FEWEST or len(layers) == 1:
            residual[rows] = energy[rows] - energy[rows.start] - transported(t[rows], dissipation[rows])
    return residual


def wasserstein_bounds(series: Mapping[str, Real]) -> tuple[Real, Real] | None:
    r"""Lower and upper bounds of W₂(ρ_t, Π♯ρ₀), geodesic, error bars included; None where they are not recorded.

    A density gives E^⊥ no mass, so its distance d to the measures on E∩S is a lower bound. For dim E = 1, Π♯ρ_t and
    Π♯ρ₀ differ by mass at ±e, moved at cost π, so :math:`d+\pi|p_t-p_0|^{1/2}` is an upper one (p the mass on the side
    of +e); files of earlier versions hold what it takes. For dim E = 2 it is d plus a distance along the circle, and
    the only error bar is that of d.
    """
    if "distance_to_E_error" not in series:
        return None
    distance, bar = series["distance_to_E"], series["distance_to_E_error"]
    recorded = f"{RECORDED}_upper" in series
    if "hemisphere_mass_error" in series:
        mass, mass_bar = series["hemisphere_mass"], series["hemisphere_mass_error"]
        moved = np.abs(mass - mass[0])
        if recorded:
            moved = ((series[f"{RECORDED}_upper"] - series[f"{RECORDED}_lower"]) / np.pi) ** 2
        upper = distance + np.pi * np.sqrt(moved + mass_bar + mass_bar[0])
    elif recorded:
        upper = series[f"{RECORDED}_upper"]
    else:
        return None
    return np.maximum(distance - bar, 0.0), upper + bar


def horizon_of(series: Mapping[str, Real], name: str) -> float:
    """The field or velocity horizon of a run, infinite if it was not reached."""
    last = float(series[f"{name}_horizon"][-1])
    return float("inf") if np.isnan(last) else last
