"""Exit times from metastability and distances to E, of the density and of tokens: the runs of metastability.py."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from claims import Measured, followed
from scipy import stats

from experiments.crossovers import Setting
from spherepde import (
    Circle,
    ContinuityEquation,
    Head,
    RunFile,
    Simulation,
    Softmax,
    fisher_bingham,
    token_attention,
)
from spherepde.adaptive import CellMeasure
from spherepde.heads import DominantEigenspace
from spherepde.phases import halfway
from spherepde.tokens import circle_quantiles, moments, sample_tokens, simulate_tokens

VALUES = np.diag([1.5, 1.0])
DENSITY = fisher_bingham([0.1, 0.2])
E = np.array([1.0, 0.0])
SEEDS = 4
TOKEN_TIMES, LONG = 0.05, 200.0
FLOOR, FLOOR_BETA = Setting((1.0, 1.2), (2.0, 1.0), 0.0), 640.0


def shape_matrix(shape: tuple[float, float]) -> np.ndarray:
    """S."""
    s, r = shape
    return np.array([[1.0, s], [s, r]])


def shape_head(shape: tuple[float, float], beta: float) -> Head:
    """V = diag(1.5, 1)·S and B = S⁻¹ at one β."""
    return Head(VALUES @ shape_matrix(shape), B=np.linalg.inv(shape_matrix(shape)), beta=beta)


def final_axis(shape: tuple[float, float]) -> np.ndarray:
    """The leading eigenvector f of V, on the side of e₁."""
    axis = DominantEigenspace(VALUES @ shape_matrix(shape)).axis
    return np.asarray(axis * np.sign(axis[0]))


def second_moment(measure: CellMeasure) -> list[float]:
    """∫x xᵀ, flattened."""
    return list(np.einsum("n,ni,nj->ij", measure.weights, measure.points, measure.points).ravel())


def mean_field_exit(shape: tuple[float, float], beta: float, tolerance: float, finer: bool = False) -> float:
    """Exit time of the density."""
    final = final_axis(shape)

    def left(second: np.ndarray) -> bool:
        matrix = np.reshape(second, (2, 2))
        return bool(final @ matrix @ final - E @ matrix @ E > 0.02)

    t, values = followed(shape_head(shape, beta), DENSITY, LONG, tolerance, second_moment, left, finer=finer)
    return crossing(t, values.reshape(-1, 2, 2), final)


def crossing(t: np.ndarray, second: np.ndarray, final: np.ndarray) -> float:
    """When the second moment is half way, NaN if never."""
    found = halfway(t, second, E, final)
    return np.nan if found is None else found


def token_exit(shape: tuple[float, float], beta: float, start: np.ndarray, until: float, rtol: float = 1e-6) -> float:
    """Exit time of tokens of equal weight, if not later than ``until``."""
    attend = partial(token_attention, tolerance=1e-7)
    times = np.arange(0.0, until + TOKEN_TIMES, TOKEN_TIMES)
    path = simulate_tokens(shape_head(shape, beta), start, times, rtol=rtol, atol=1e-2 * rtol, attend=attend)
    return crossing(times, moments(path)[1], final_axis(shape))


def token_exits(shape: tuple[float, float], beta: float, count: int, until: float) -> dict[str, Measured]:
    """Exit times of tokens at quantiles, and the mean over seeds of independent ones with its 95 %."""
    quantiles = circle_quantiles(DENSITY, count)
    fine, coarse = (token_exit(shape, beta, quantiles, until, rtol) for rtol in (1e-6, 1e-5))
    drawn = (sample_tokens(DENSITY, 2, count, seed=k) for k in range(SEEDS))
    several = [token_exit(shape, beta, start, until, 1e-5) for start in drawn]
    spread = stats.t.ppf(0.975, SEEDS - 1) * np.std(several, ddof=1) / np.sqrt(SEEDS)
    return {
        "at quantiles": Measured(fine, abs(fine - coarse), "tolerance of the integrator"),
        "independent": Measured(float(np.mean(several)), float(spread), f"95 % over {SEEDS} seeds"),
    }


def spectral_exit(shape: tuple[float, float], beta: float, lmax: int, until: float) -> float:
    """Exit time by the spectral solver, which shares neither cells nor sums with the above."""
    with TemporaryDirectory() as folder:
        out = Path(folder) / "run.h5"
        model = ContinuityEquation(Circle(lmax), Softmax(shape_head(shape, beta)))
        Simulation(model, DENSITY, out=out, save_every=until, progress=False).run(until=until)
        with RunFile(out) as file:
            return crossing(file.series["t"], file.series["second_moment"], final_axis(shape))


def distance(points: np.ndarray, weights: np.ndarray | float) -> float:
    """Root mean square of the angle to ±e₁."""
    angles = np.arctan2(np.abs(points[:, 1]), np.abs(points[:, 0]))
    return float(np.sqrt(np.sum(weights * angles**2)))


def density_floor(until: float, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Distance of the density to E over time at β = 640."""
    head, density = FLOOR.head(FLOOR_BETA), FLOOR.density()
    t, values = followed(head, density, until, tolerance, lambda m: [distance(m.points, m.weights)])
    return t, values[:, 0]


def token_floor(kind: str, count: int, until: float, rtol: float) -> tuple[np.ndarray, np.ndarray]:
    """The same of tokens at "quantiles", or "independent" ones."""
    density, times = FLOOR.density(), np.linspace(0.0, until, 181)
    start = circle_quantiles(density, count) if kind == "quantiles" else sample_tokens(density, 2, count, seed=1)
    path = simulate_tokens(FLOOR.head(FLOOR_BETA), start, times, rtol=rtol, atol=1e-2 * rtol)
    return times, np.array([distance(x, 1.0 / count) for x in path])
