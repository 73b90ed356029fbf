"""A run file in words: one screen that says what was computed, how far to trust it, and what it shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from textwrap import shorten
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

from .heads import DominantEigenspace, Head, concentration_rate
from .store import RunFile

Real = NDArray[np.float64]

RATE_TOLERANCE = 0.15
"""Measured rates this close to the asymptotic one, on [½ log β, log β] and on the last quarter, count as predicted."""


def head_of(config: dict[str, Any]) -> Head | None:
    """The single head of a run's configuration; None if it has several."""
    model = config["model"]
    return None if "head" in model else Head(model["V"], model["B"], beta=model.get("beta", 1.0))


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
    heads = model.get("head", [model])
    parts = [
        ", ".join(
            [_unbroken(f"{name} = {_matrix(head[name])}") for name in "VB"]
            + ([_unbroken(f"β = {head['beta']:g}")] if "beta" in head else [])
        )
        for head in heads
    ]
    name = f"{model['attention']} attention on S{'¹²'[model['dim'] - 2]}"
    words = f"{name}, {parts[0]}"
    if len(parts) > 1:
        words = f"{name}, {model['combine']} of {len(parts)} heads: " + "; ".join(f"({part})" for part in parts)
    if model.get("diffusion"):
        words += f", diffusion {model['diffusion']:g}"
    return words.replace("-", "−")


def _until(horizon: float | None) -> str:
    return "to the end" if horizon is None or np.isnan(horizon) else f"until t = {horizon:.4g}"


def describe(run: RunFile) -> str:
    """The summary that ``info`` prints."""
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
    field, velocity = (float(series[f"{name}_horizon"][-1]) for name in ("field", "velocity"))
    lines["trust"] = f"density {_until(field)}; moments {_until(velocity)}"
    if "second_moment_error" in series:
        lines["trust"] += (
            f" (error bar of the second moment at the end: {np.max(series['second_moment_error'][-1]):.1e})"
        )
    else:
        lines["trust"] += "; no companion run, so moments carry no error bar"
    lines["at the end"] = (
        f"mass − 1 = {series['mass'][-1] - 1.0:.1e}, mean = {np.array2string(series['mean'][-1], precision=6)}"
    )
    lines[""] = "second moment diagonal = " + np.array2string(np.diag(series["second_moment"][-1]), precision=8)
    if "distance_to_E" in series:
        lines["distance to E"] = f"{series['distance_to_E'][0]:.6f} → {series['distance_to_E'][-1]:.6f} (geodesic, W₂)"
    if not attributes["kernel_bandwidth"]:
        lines["space"] = lines["space"].split(", kernel bandwidth")[0]
    command = shorten(attributes["command"], 80, placeholder=" …")
    lines["made by"] = f"{command} · commit {attributes['commit'][:12]} · {attributes['created']}"
    if attributes.get("warnings"):
        lines["warning"] = attributes["warnings"]
    width = max(map(len, lines))
    return "\n".join([str(run.path), *(f"  {name:<{width}}  {text}" for name, text in lines.items())])


def measured_rate(t: Real, distance: Real, window: tuple[float, float]) -> float:
    """Exponential rate −d log(distance)/dt by least squares over a window of times."""
    inside = (t >= window[0]) & (t <= window[1])
    return -float(np.polyfit(t[inside], np.log(distance[inside]), 1)[0])


def transported(t: Real, rate: Real) -> Real:
    """∫₀ᵗ rate by the antiderivative of an interpolating spline of degree 5 (less where there are fewer points)."""
    degree = min(5, (len(t) - 2) // 2 * 2 + 1)
    if degree < 1:
        return np.zeros(len(t))
    integral = make_interp_spline(t, rate, degree).antiderivative()
    return np.asarray(integral(t) - integral(t[0]), dtype=np.float64)


def energy_balance(t: Real, energy: Real, dissipation: Real) -> Real:
    """Residual E(t) − E(0) − ∫₀ᵗ dissipation at each recorded time."""
    return energy - energy[0] - transported(t, dissipation)


def _horizon(series: Mapping[str, Real], name: str) -> float:
    last = float(series[f"{name}_horizon"][-1])
    return float("inf") if np.isnan(last) else last


def _bounds(series: Mapping[str, Real], moments: Iterable[float], target: DominantEigenspace) -> list[str]:
    t, lower = series["t"], series["distance_to_E"]
    bar = series.get("distance_to_E_error", np.full_like(lower, np.nan))
    rows = [
        f"W₂(ρ_t, Π♯ρ₀), geodesic, E of dimension {target.dim}",
        "       t    lower bound   error bar   upper bound",
    ]
    for i in dict.fromkeys(int(np.argmin(np.abs(t - moment))) for moment in moments):
        upper = "(needs transport on E)"
        if "hemisphere_mass" in series:
            change = abs(series["hemisphere_mass"][i] - series["hemisphere_mass"][0])
            change += series["hemisphere_mass_error"][i] if "hemisphere_mass_error" in series else 0.0
            upper = f"{lower[i] + np.pi * np.sqrt(change):.6f}"
        rows.append(f"  {t[i]:6.3f}     {lower[i]:.8f}     {bar[i]:.1e}      {upper}")
    return rows


def _energy_lines(run: RunFile, head: Head) -> list[str]:
    series = run.series
    if "energy" not in series or not np.array_equal(head.V, head.B) or run.config["model"].get("diffusion"):
        return []
    energy, t = series["energy"], series["t"]
    rises = bool(np.all(np.diff(energy) > -1e-13 * np.abs(energy).max()))
    gap = np.abs(energy_balance(t, energy, series["dissipation"])).max()
    residual = gap / max(float(np.ptp(energy)), np.finfo(float).tiny)
    how = "rising at every step" if rises else "NOT monotone"
    return [
        f"energy × e^(−β|B|) {energy[0]:.8f} → {energy[-1]:.8f}, {how}, "
        f"balance with its dissipation to {residual:.1e} of the rise"
    ]


def verdict(run: RunFile) -> str:
    """Does the run show concentration on E at the predicted rate? Numbers with error bars, and a sentence.

    The distance of ρ_t to the measures on E∩S is a rigorous lower bound of W₂(ρ_t, Π♯ρ₀); adding the transport between
    the masses Π sends to ±e, π·|p_t − p_0|^{1/2} for dim E = 1, makes it an upper bound (triangle inequality).
    """
    head, series = head_of(run.config), run.series
    if head is None or "distance_to_E" not in series:
        return "verdict: none, the theory of concentration speaks about a single head"
    attention = run.config["model"]["attention"]
    lines = _energy_lines(run, head)
    target, rate = DominantEigenspace(head.A), concentration_rate(head)
    silent = {
        "it is about softmax": attention == "unnormalised",
        "it has no diffusion": bool(run.config["model"].get("diffusion")),
        "here VBᵀ is not symmetric, or E is everything": rate is None,
    }
    if rate is None or any(silent.values()):
        why = next(reason for reason, applies in silent.items() if applies)
        return "\n".join([*lines, f"verdict: the low-temperature theory makes no prediction for this run ({why})"])
    t, distance = series["t"], series["distance_to_E"]
    trusted = min(float(t[-1]), _horizon(series, "velocity"))
    log_beta = float(np.log(head.beta)) if attention == "softmax" else trusted
    end = min(trusted, log_beta)
    lines += _bounds(series, [m for m in log_beta * np.array([0, 0.5, 1, 1.5, 2]) if m <= t[-1] + 0.1], target)
    early, late = (0.5 * end, end), (0.75 * trusted, trusted)
    if min(np.count_nonzero((t >= a) & (t <= b)) for a, b in (early, late)) < 5:
        return "\n".join([*lines, "verdict: none, the run is too short to measure a rate"])
    rates = [measured_rate(t, distance, window) for window in (early, late)]
    shown = ", ".join(f"{seen:.4f} on [{a:.1f}, {b:.1f}]" for seen, (a, b) in zip(rates, (early, late), strict=True))
    lines.append(f"rate of decay  predicted {rate:.4f} (β = ∞, t → ∞), measured {shown}")
    off = max(abs(seen / rate - 1.0) for seen in rates)
    closer = float(distance[0] / distance[int(np.argmin(np.abs(t - trusted)))])
    found = "CONCENTRATION on E" if off < RATE_TOLERANCE else "NOT the predicted concentration on E"
    lines.append(f"verdict: {found}: {closer:.1f} times closer at t = {trusted:.2f}, rates off by at most {off:.1%}")
    return "\n".join(lines)
