r"""Two further measurements of ``concentration.py`` on S²: B a rotation, and the solved distance for dim E = 2.

With B a rotation and the :math:`A=VB^\top` of the setting ``sphere`` the flow at zero temperature is the same,
:math:`x(s)=e^{As}x_0/|e^{As}x_0|`; but the score is read at :math:`\omega=B^\top x`, off the gate: D is another.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.spatial.transform import Rotation

from experiments.concentration_runs import SETTINGS, Course, Setting, course
from spherepde import ContinuityEquation, RunFile, Simulation, Softmax, Sphere

ROTATED = "sphere orthogonal"
TURN = (0.5, 0.0, 0.1)
"""Mostly about e₁: where Bᵀ tilts the gate by 0.3 or more, β·(mass that crossed) is far from its limit at β = 160."""
SETTINGS[ROTATED] = Setting(
    SETTINGS["sphere"].values,
    tuple(map(tuple, Rotation.from_rotvec(TURN).as_matrix().tolist())),
    SETTINGS["sphere"].linear,
    "S², A = diag(1, 0.4, −0.3), B a rotation by 0.51",
)
ANGLES, TIMES = 4096, 160
"""Of the quadrature: D to six digits."""


def rotated_course(beta: float, until: float, lmax: int, rtol: float, companion: bool) -> Course:
    """The run at one β with B a rotation."""
    return course(ROTATED, beta, until, lmax, rtol, companion)


def crossing_when_rotated() -> float:
    r"""D with B a rotation, by quadrature over the gate and over time.

    A token of the gate is seen at ω = Bᵀx(s) along u = Bᵀe₁, and there
    :math:`\log\rho(s,\omega)=\log\rho_0(e^{-As}\omega/|e^{-As}\omega|)-3\log|e^{-As}\omega|` + const. It is pushed by
    λ₁ u·∇log ρ/β, which counts :math:`e^{-\lambda_1s}|e^{As}x_0|`, the integral of the rate of leaving.
    """
    setting = SETTINGS[ROTATED]
    values, linear, B = np.array(setting.values), np.array(setting.linear), np.array(setting.B)
    a = 2.0 * np.pi * (np.arange(ANGLES) + 0.5) / ANGLES
    x, u, pushed = np.column_stack([np.zeros_like(a), np.cos(a), np.sin(a)]), B[0], np.zeros_like(a)
    nodes, weights = np.polynomial.legendre.leggauss(TIMES)
    until = 30.0 / setting.leaving
    for s, weight in zip(0.5 * until * (nodes + 1.0), 0.5 * until * weights, strict=True):
        grown, back = x * np.exp(values * s), np.exp(-values * s)
        size = np.linalg.norm(grown, axis=1)
        w = grown / size[:, None] @ B * back
        r = np.linalg.norm(w, axis=1)
        along = w @ (u * back) / r**2
        score = ((u * back) @ linear - (w @ linear) * along) / r - 3.0 * along
        pushed += weight * np.exp(-values[0] * s) * size * score
    return float(values[0] * np.mean(setting.density(x) * pushed) * 2.0 * np.pi)


def solved_plane(beta: float, until: float, lmax: int, every: float) -> np.ndarray:
    """Rows (t, solved W₂, √(lower² + (upper − lower)²)) of the setting ``plane``, as long as the solver knows W₂."""
    setting = SETTINGS["plane"]
    model = ContinuityEquation(Sphere(lmax), Softmax(setting.head(beta)))
    with TemporaryDirectory() as folder:
        out = Path(folder) / "run.h5"
        Simulation(
            model,
            setting.density,
            out,
            rtol=1e-6,
            save_every=every,
            save_density=False,
            save_velocity=False,
            continuation="none",
            progress=False,
        ).run(until)
        with RunFile(out) as run:
            solved, lower, upper = (run.series[f"wasserstein_2_geodesic{end}"] for end in ("", "_lower", "_upper"))
            known = np.isfinite(solved)
            return np.column_stack([run.series["t"], solved, np.hypot(lower, upper - lower)])[known]
