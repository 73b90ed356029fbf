"""Does a run show what the low-temperature theory says? Numbers with error bars, and a sentence."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .heads import DominantEigenspace, Head, concentration_rate
from .phases import fit_exponential, table_of_phases, trusted_until
from .store import RunFile
from .summary import RECORDED, energy_balance, head_of, horizon_of, wasserstein_bounds

Real = NDArray[np.float64]

RATE_TOLERANCE = 0.15
"""Measured rates this close to the asymptotic one, on [½ log β, log β] and on the last quarter, count as predicted."""
LEAVES = 1.5
"""A distance that has grown by this factor since its minimum belongs to a later phase."""
LEAST_SHRINKAGE = 4.0
"""A distance must have shrunk by this factor before anything is said about concentration."""


def _table(series: Mapping[str, Real], moments: Real, target: DominantEigenspace) -> list[str]:
    t, distance = series["t"], series["distance_to_E"]
    unknown = np.full_like(distance, np.nan)
    bar, bounds = series.get("distance_to_E_error", unknown), wasserstein_bounds(series)
    value, value_bar = series.get(RECORDED, unknown), series.get(f"{RECORDED}_error", unknown)
    rows = [
        f"       t   distance to E (dim {target.dim})   error bar   W₂(ρ_t, Π♯ρ₀)   error bar   bounds, bars included"
    ]
    shown = np.flatnonzero(np.isfinite(value)) if np.isfinite(value).any() else np.arange(len(t))
    for i in dict.fromkeys(int(shown[np.argmin(np.abs(t[shown] - moment))]) for moment in moments):
        if bounds is not None:
            between = f"{bounds[0][i]:.6f} … {bounds[1][i]:.6f}"
        else:
            between = "needs transport on E" if "distance_to_E_error" in series else "needs a companion run"
        reached = f"{value[i]:.8f}    {value_bar[i]:9.1e}" if np.isfinite(value[i]) else f"{'–':>10}    {'–':>9}"
        beyond = "   beyond the velocity horizon" if t[i] >= horizon_of(series, "velocity") else ""
        rows.append(f"  {t[i]:6.3f}   {distance[i]:.8f}              {bar[i]:9.1e}   {reached}       {between}{beyond}")
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
    """The phases beside their predictions; energy budget, distances and bounds, measured rates, and a sentence."""
    return f"{table_of_phases(run)}\n\n{_judgement(run)}"


def _judgement(run: RunFile) -> str:
    """What a run shows of concentration, in numbers and a sentence."""
    head, series = head_of(run.config), run.series
    if head is None or "distance_to_E" not in series:
        changes = " that does not change with time" if "layers" in run.config["model"] else ""
        return f"verdict: none, the theory of concentration speaks about a single head{changes}"
    lines = _energy_lines(run, head)
    attention = run.config["model"]["attention"]
    target, rate = DominantEigenspace(head.A), concentration_rate(head)
    silent = {
        "it is about softmax and hardmax attention": attention == "unnormalised",
        "it has no diffusion": bool(run.config["model"].get("diffusion")),
        "here VBᵀ is not symmetric, or E is everything": rate is None,
        "it is about low temperature, β > e": attention == "softmax" and head.beta <= np.e,
    }
    if rate is None or any(silent.values()):
        why = next(reason for reason, applies in silent.items() if applies)
        return "\n".join([*lines, f"verdict: the low-temperature theory makes no prediction for this run ({why})"])
    t, distance = series["t"], series["distance_to_E"]
    trusted = trusted_until(series)
    scale = float(np.log(head.beta)) if attention == "softmax" else trusted
    moments = scale * np.array([0.0, 0.5, 1.0, 1.5, 2.0])
    lines += _table(series, moments[moments <= t[-1] + 0.1], target)
    last = int(np.argmin(np.abs(t - trusted)))
    low = int(np.argmin(distance[: last + 1]))
    leaves = bool(distance[last] > LEAVES * distance[low])
    end = min(trusted, scale)
    windows = [(0.5 * end, end), (0.75 * trusted, trusted)]
    if leaves:  # what comes after the minimum is another phase
        windows = [(0.5 * min(end, t[low]), min(end, float(t[low])))]
    closer = float(distance[0] / distance[low if leaves else last])
    if min(np.count_nonzero((t >= a) & (t <= b)) for a, b in windows) < 5:
        return "\n".join([*lines, "verdict: none, the run is too short to measure a rate"])
    fits = [fit_exponential(t, distance, window) for window in windows]
    rates = [-fit.slope for fit in fits if fit is not None]
    shown = ", ".join(f"{seen:.4f} on [{a:.1f}, {b:.1f}]" for seen, (a, b) in zip(rates, windows, strict=True))
    powers = ", up to powers of t" if target.dim > 1 else ""
    lines.append(f"rate of decay  predicted {rate:.4f} (β = ∞, t → ∞{powers}), measured {shown}")
    off = max(abs(seen / rate - 1.0) for seen in rates)
    if closer < LEAST_SHRINKAGE:
        found = "none yet, too short to see concentration"
    elif leaves:
        found = "CONCENTRATION on E, left again in another phase (above)"
    else:
        found = "CONCENTRATION on E" if off < RATE_TOLERANCE else "NOT the predicted concentration on E"
    when, several = (t[low], "rate off by") if leaves else (trusted, "rates off by at most")
    lines.append(f"verdict: {found}: {closer:.1f} times closer at t = {when:.2f}, {several} {off:.1%}")
    return "\n".join(lines)
