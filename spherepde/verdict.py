"""Does a run show what the low-temperature theory says? Numbers with error bars, and a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .heads import DominantEigenspace, Head
from .phases import RunPhases, fit_exponential, read_phases, table_of_phases, trusted_until
from .summary import RECORDED, Recorded, energy_balance, head_of, horizon_of, refuse_empty, wasserstein_bounds

Real = NDArray[np.float64]

RATE_TOLERANCE = 0.15
"""Measured rates this close to the asymptotic one, on [½ log β, log β] and on the last quarter, count as predicted."""
LEAVES = 1.5
"""A distance that has grown by this factor since its minimum belongs to a later phase."""
TURNS = 1.01
"""A distance that has grown by this factor is not measured beyond its minimum."""
LEAST_SHRINKAGE = 4.0
"""A distance must have shrunk by this factor before anything is said about concentration."""
REACHES = 2.0
"""Early at the predicted rate and later faster is concentration if W₂(ρ_t, Π♯ρ₀) has shrunk by this factor, too."""
FEWEST = 5
"""Fewer records give no rate."""
CONSTANT = 1e-12
"""An energy that varies by less than this fraction of it only shows rounding."""


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
        reached = f"{value[i]:.8f}" if np.isfinite(value[i]) else f"{'–':>10}"
        beyond = "   beyond the velocity horizon" if t[i] >= horizon_of(series, "velocity") else ""
        rows.append(
            f"  {t[i]:6.3f}   {distance[i]:.8f}              {_bar(bar[i])}   "
            f"{reached}    {_bar(value_bar[i])}       {between}{beyond}"
        )
    return rows


def _bar(value: float) -> str:
    return f"{value:9.1e}" if np.isfinite(value) else f"{'–':>9}"


def _energy_lines(run: Recorded, head: Head) -> list[str]:
    series = run.series
    if "energy" not in series or not np.array_equal(head.V, head.B) or run.config["model"].get("diffusion"):
        return []
    energy, t = series["energy"], series["t"]
    course = f"energy × e^(−β|B|) {energy[0]:.8f} → {energy[-1]:.8f}"
    if np.ptp(energy) <= CONSTANT * np.abs(energy).max():
        return [f"{course}, the same at every step to rounding"]
    rises = bool(np.all(np.diff(energy) > -1e-13 * np.abs(energy).max()))
    gap = np.abs(energy_balance(t, energy, series["dissipation"])).max()
    residual = gap / max(float(np.ptp(energy)), np.finfo(float).tiny)
    how = "rising at every step" if rises else "NOT monotone"
    return [f"{course}, {how}, balance with its dissipation to {residual:.1e} of the rise"]


def verdict(run: Recorded) -> str:
    """The phases beside their predictions; energy budget, distances and bounds, measured rates, and a sentence.

    Takes a run file or a reference run. Raises InputError for a file without a record, or without a configuration.
    """
    refuse_empty(run)
    read = read_phases(run)
    return f"{table_of_phases(run, read)}\n\n{_judgement(run, read)}"


@dataclass(frozen=True, kw_only=True)
class _Approach:
    """How close a run came to E while it is trusted, row ``last``, and whether it went away again.

    ``low`` is the row of the closest approach, or of the exit if that is earlier; ``left`` whether it left E after,
    ``turned`` whether the distance grew at all; ``exit`` the time it was half way to the final axis, None if never.
    """

    low: int
    last: int
    left: bool
    turned: bool
    exit: float | None


def _approach(read: RunPhases, series: Mapping[str, Real]) -> _Approach:
    t, distance = series["t"], series["distance_to_E"]
    last = int(np.argmin(np.abs(t - trusted_until(series))))
    low, leaving = int(np.argmin(distance[: last + 1])), read.terminal
    half_way = None
    if leaving is not None and leaving.exit is not None and leaving.off_final < leaving.off_target:
        half_way = leaving.exit  # an axis that came back to E has not left it
        low = min(low, int(np.searchsorted(t, half_way, side="right")) - 1)
    grown = float(distance[last]) / float(distance[low])
    left = half_way is not None or grown > LEAVES
    return _Approach(low=low, last=last, left=left, turned=left or grown > TURNS, exit=half_way)


def _judgement(run: Recorded, read: RunPhases | str) -> str:
    """What a run shows of concentration, in numbers and a sentence."""
    head, series = head_of(run.config), run.series
    if head is None or "distance_to_E" not in series:
        changes = " that does not change with time" if "layers" in run.config["model"] else ""
        return f"verdict: none, the theory of concentration speaks about a single head{changes}"
    lines, why = _energy_lines(run, head), _silence(run, head, read)
    expected = None if isinstance(read, str) or read.theory is None else read.theory.wasserstein_2
    if why or expected is None or expected.value is None or isinstance(read, str):
        return "\n".join([*lines, f"verdict: the low-temperature theory makes no prediction for this run ({why})"])
    t, distance = series["t"], series["distance_to_E"]
    trusted = trusted_until(series)
    if not np.min(distance[t <= trusted], initial=np.inf) > 0.0:
        return "\n".join([*lines, "verdict: none, the distance to E was not recorded as positive numbers"])
    seen = _approach(read, series)
    scale = trusted if read.log_beta is None else read.log_beta
    moments = scale * np.array([0.0, 0.5, 1.0, 1.5, 2.0])
    lines += _table(series, moments[moments <= t[-1] + 0.1], read.target)
    stop = float(t[seen.low]) if seen.turned else trusted
    end = min(stop, scale)
    windows = [(0.5 * end, end)]
    if not seen.left:  # where it was left, the last stretch before is no longer that of the theory
        windows.append((0.75 * stop, stop))
    enough = min(np.count_nonzero((t >= a) & (t <= b)) for a, b in windows) >= FEWEST
    if not enough and not seen.left:
        return "\n".join([*lines, "verdict: none, the run is too short to measure a rate, or recorded too rarely"])
    fits = [fit_exponential(t, distance, window) for window in windows] if enough else []
    rates = [-fit.slope for fit in fits if fit is not None]
    rate, power = expected.value, expected.power
    if rates:
        shown = ", ".join(f"{value:.4f} on [{a:.1f}, {b:.1f}]" for value, (a, b) in zip(rates, windows, strict=True))
        powers = f", times t^{power:.2g}" if power else ", up to powers of t" if read.target.dim > 1 else ""
        lines.append(f"rate of decay  predicted {rate:.4f} (β = ∞, t → ∞{powers}), measured {shown}")
    ratios = np.array(rates) / rate
    factor = np.array([power * np.log(b / a) / (b - a) / rate for a, b in windows[: len(rates)]])
    judged = np.where(ratios < 1.0, np.minimum(ratios + factor, 1.0), ratios)  # what is left to the factor t^power
    lines.append(f"verdict: {_sentence(read, series, seen, ratios, judged)}")
    return "\n".join(lines)


def _silence(run: Recorded, head: Head, read: RunPhases | str) -> str:
    """Why the theory says nothing about a run, empty if it does."""
    model = run.config["model"]
    space = DominantEigenspace(head.A)
    silent = {
        "it is about softmax and hardmax attention": model["attention"] == "unnormalised",
        "it has no diffusion": bool(model.get("diffusion")),
        "here E is everything": space.dim == head.dim,
        "here VBᵀ is not symmetric": not space.symmetric,
        "it is about low temperature, β > e": model["attention"] == "softmax" and head.beta <= np.e,
    }
    why = next((reason for reason, applies in silent.items() if applies), "")
    if why or isinstance(read, str) or read.theory is None or read.theory.wasserstein_2.value is not None:
        return why
    return read.theory.wasserstein_2.sentence.removeprefix("not predicted: ")


def _sentence(read: RunPhases, series: Mapping[str, Real], seen: _Approach, ratios: Real, judged: Real) -> str:
    """What happened, from measured over predicted rates: how close it came, how fast, and what became of it.

    ``judged`` are the ratios less what a predicted factor :math:`t^{power}` explains.
    """
    t, distance = series["t"], series["distance_to_E"]
    closer, when = float(distance[0] / distance[seen.low]), float(t[seen.low if seen.turned else seen.last])
    grown = float(distance[seen.last] / distance[seen.low])
    off = float(np.abs(ratios - 1.0).max()) if ratios.size else np.nan
    speed = f"rate{'' if seen.left else 's'} off by {'' if seen.left else 'at most '}{off:.1%}"
    if not ratios.size:
        speed = "too few records for a rate"
    elif judged[worst := int(np.argmax(np.abs(ratios - 1.0)))] > ratios[worst]:
        speed += ", which the factor of t explains" if judged[worst] == 1.0 else ", in part by the factor of t"
    if seen.left:
        found = "NO concentration on E" if closer < LEAVES else _quality(judged, series, seen, closer)
        return f"{found} until t = {when:.2f}, {closer:.1f} times closer, {speed}; then E was left: " + _departure(
            read, f"{grown:.1f} times as far at t = {t[seen.last]:.2f}", seen.exit
        )
    if closer >= LEAST_SHRINKAGE:
        found = _quality(judged, series, seen, closer)
    elif read.theory is not None and read.theory.final.kind == "none":
        found = "NO concentration on E, V spreads clusters"
    elif read.decay is not None and read.decay.at_rest:
        found = "NO concentration on E, the distance came to rest"
    else:
        found = "none yet, too short to see concentration"
    since = f", {grown - 1.0:.0%} farther since" if seen.turned else ""
    return f"{found}: {closer:.1f} times closer at t = {when:.2f}{since}, {speed}"


def _quality(ratios: Real, series: Mapping[str, Real], seen: _Approach, closer: float) -> str:
    """The name of a concentration whose measured rates, over the predicted one, are these."""
    name = "CONCENTRATION on E" if closer >= LEAST_SHRINKAGE else "PARTIAL CONCENTRATION on E"
    early, late = (ratios[0], ratios[-1]) if ratios.size else (1.0, 1.0)
    if np.abs(np.array([early, late]) - 1.0).max() < RATE_TOLERANCE:
        return name
    if abs(early - 1.0) < RATE_TOLERANCE < late - 1.0 and _reached(series, seen.last) >= REACHES:
        return f"{name}, later faster than predicted"
    pace = (
        "a faster" if min(early, late) > 1.0 - RATE_TOLERANCE else "a slower" if max(early, late) < 1.0 else "another"
    )
    return f"NOT the predicted concentration on E, but {pace} one"


def _reached(series: Mapping[str, Real], last: int) -> float:
    """By which factor W₂(ρ_t, Π♯ρ₀) fell up to a record; zero where it is not known."""
    value = series.get(RECORDED, np.empty(0))[: last + 1]
    known = value[np.isfinite(value)]
    return float(known[0] / known.min()) if known.size and known.min() > 0.0 else 0.0


def _departure(read: RunPhases, grown: str, half_way: float | None) -> str:
    """How a run went away from E, and where to; ``grown`` says how far, ``half_way`` when it was."""
    terminal, theory, words = read.terminal, read.theory, []
    if terminal is None or theory is None:
        return grown
    if terminal.turn is not None and terminal.turn > 0.0 and not terminal.seeded_by_rounding:
        words.append(f"clusters turned at t = {terminal.turn:.2f}")
    words.append(grown if half_way is None else f"half way to the final axis at t = {half_way:.2f}")
    if theory.final.axis is not None and not theory.keeps_target:
        words.append(f"{np.degrees(terminal.off_final):.2g}° from the final axis at t = {terminal.when:.4g}")
    return ", ".join(words)
