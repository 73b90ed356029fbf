"""A run file in words: one screen that says what was computed, how far to trust it, and what it shows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .heads import DominantEigenspace, Head, concentration_rate
from .store import RunFile

Real = NDArray[np.float64]


def head_of(config: dict[str, Any]) -> Head | None:
    """The single head of a run's configuration; None if it has several."""
    model = config["model"]
    return None if "head" in model else Head(model["V"], model["B"], beta=model.get("beta", 1.0))


def _matrix(values: Any) -> str:
    matrix = np.atleast_2d(np.asarray(values, dtype=float))
    if matrix.shape[0] == matrix.shape[1] and np.array_equal(matrix, np.diag(np.diag(matrix))):
        diagonal = np.diag(matrix)
        return "I" if np.all(diagonal == 1.0) else "diag(" + ", ".join(f"{x:g}" for x in diagonal) + ")"
    return "[" + "; ".join(" ".join(f"{x:g}" for x in row) for row in matrix) + "]"


def _model_line(model: dict[str, Any]) -> str:
    heads = model.get("head", [model])
    parts = [
        ", ".join([f"V = {_matrix(h['V'])}", f"B = {_matrix(h['B'])}"] + ([f"β = {h['beta']:g}"] if "beta" in h else []))
        for h in heads
    ]
    text = f"{model['attention']} on S{'¹²'[model['dim'] - 2]}, " + f" {model.get('combine', '')} ".join(f"({p})" for p in parts)
    return text + (f", diffusion {model['diffusion']:g}" if model.get("diffusion") else "")


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
        "model": _model_line(config["model"]),
        "initial": f"{config['initial']['family']} {initial}".strip(),
        "space": f"lmax {space['lmax']}, {companion}, grid {grid}, {attributes['backend']}, {attributes['threads']} thread(s), "
        f"kernel bandwidth L_K = {attributes['kernel_bandwidth']}",
        "time": f"0 … {t[-1]:g} in {len(t) - 1} steps ({time['stepper']}, {stepping}), {len(run.times)} snapshots",
    }
    field, velocity = (float(series[f"{name}_horizon"][-1]) for name in ("field", "velocity"))
    lines["trust"] = f"density {_until(field)}; moments {_until(velocity)}"
    if "second_moment_error" in series:
        lines["trust"] += f" (error bar of the second moment at the end: {np.max(series['second_moment_error'][-1]):.1e})"
    else:
        lines["trust"] += "; no companion run, so moments carry no error bar"
    lines["at the end"] = (
        f"mass − 1 = {series['mass'][-1] - 1.0:.1e}, mean = {np.array2string(series['mean'][-1], precision=6)}"
    )
    lines[""] = "second moment diagonal = " + np.array2string(np.diag(series["second_moment"][-1]), precision=8)
    if "distance_to_E" in series:
        lines["distance to E"] = f"{series['distance_to_E'][0]:.6f} → {series['distance_to_E'][-1]:.6f} (geodesic, W₂)"
    lines["made by"] = f"{attributes['command']} · commit {attributes['commit'][:12]} · {attributes['created']}"
    if attributes.get("warnings"):
        lines["warning"] = attributes["warnings"]
    width = max(map(len, lines))
    return "\n".join([str(run.path), *(f"  {name:<{width}}  {text}" for name, text in lines.items())])


def measured_rate(t: Real, distance: Real, window: tuple[float, float]) -> float:
    """Exponential rate −d log(distance)/dt by least squares over a window of times."""
    inside = (t >= window[0]) & (t <= window[1])
    return -float(np.polyfit(t[inside], np.log(distance[inside]), 1)[0])


def verdict(run: RunFile) -> str:
    """Does the run show concentration on E at the predicted rate? Numbers with error bars, and a sentence.

    The distance of ρ_t to the measures on E∩S is a rigorous lower bound of W₂(ρ_t, Π♯ρ₀); adding the transport between the
    masses Π sends to ±e, π·|p_t − p_0|^{1/2} for dim E = 1, makes it an upper bound (triangle inequality).
    """
    head, series = head_of(run.config), run.series
    if head is None or "distance_to_E" not in series:
        return "verdict: none, the theory speaks about a single head"
    target, rate = DominantEigenspace(head.A), concentration_rate(head)
    t, lower = series["t"], series["distance_to_E"]
    bar = series.get("distance_to_E_error", np.full_like(lower, np.nan))
    upper = lower.copy()
    if "hemisphere_mass" in series:
        moved = np.abs(series["hemisphere_mass"] - series["hemisphere_mass"][0]) + series.get("hemisphere_mass_error", 0.0)
        upper = lower + np.pi * np.sqrt(moved)
    log_beta = float(np.log(head.beta))
    rows = [f"W₂(ρ_t, Π♯ρ₀), E of dimension {target.dim}, log β = {log_beta:.3f}", "      t      lower bound   ± error bar   upper bound"]
    for moment in (0.0, 0.5 * log_beta, log_beta, 1.5 * log_beta, 2.0 * log_beta):
        i = int(np.argmin(np.abs(t - moment)))
        if abs(t[i] - moment) < 0.1:
            top = f"{upper[i]:.6f}" if "hemisphere_mass" in series else "(needs transport on E)"
            rows.append(f"  {t[i]:6.3f}     {lower[i]:.8f}      {bar[i]:.1e}     {top}")
    velocity_horizon = float(series["velocity_horizon"][-1])
    end = min(t[-1], log_beta if np.isnan(velocity_horizon) else velocity_horizon, log_beta)
    window = (0.5 * end, end)
    if rate is None or np.count_nonzero((t >= window[0]) & (t <= window[1])) < 5:
        return "\n".join([*rows, "verdict: no rate is predicted for this head, or the run is too short to measure one"])
    seen = measured_rate(t, lower, window)
    late = min(t[-1], 2.0 * log_beta, np.inf if np.isnan(velocity_horizon) else velocity_horizon)
    late_rate = measured_rate(t, lower, (0.75 * late, late))
    shrink = lower[0] / lower[int(np.argmin(np.abs(t - late)))]
    rows.append(f"rate of decay   predicted {rate:.4f} (β = ∞, t → ∞)   measured {seen:.4f} on [{window[0]:.1f}, {window[1]:.1f}], "
                f"{late_rate:.4f} on [{0.75 * late:.1f}, {late:.1f}]")
    rows.append(f"mass            1 {series['mass'][-1] - 1.0:+.1e}")
    agrees = abs(seen / rate - 1.0) < 0.15 and shrink > 2.0
    rows.append(
        f"verdict: CONCENTRATION on E, {shrink:.1f} times closer at t = {late:.2f}, at the predicted rate to {abs(seen / rate - 1.0):.0%}"
        if agrees
        else f"verdict: NOT the predicted concentration (rate off by {abs(seen / rate - 1.0):.0%}, {shrink:.1f} times closer)"
    )
    return "\n".join(rows)
