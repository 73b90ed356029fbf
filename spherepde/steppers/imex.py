r"""One implicit–explicit Runge–Kutta step, for any tableau.

A stepper advances :math:`\dot u = F(u, t) + G u` with F explicit and G implicit; it asks the equation for
``explicit_terms(u, t, out)``, ``implicit_terms(u, out)`` and ``implicit_inverse(u, eta, out)`` = (1 − ηG)⁻¹u and knows
nothing else about it. One-step schemes only, so that any step size and any restart keep the order. Every array of a
step is a buffer made at the first one: marching allocates nothing.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .tableaux import Tableau

Array = NDArray[Any]


class ImplicitExplicitODE(Protocol):
    """What a stepper needs to know of an equation; every method fills ``out``, an array like u, and returns it."""

    def explicit_terms(self, u: Array, t: float, out: Array) -> Array:
        """F(u, t); ``out`` is none of the arrays the equation was given before."""

    def implicit_terms(self, u: Array, out: Array) -> Array:
        """G u."""

    def implicit_inverse(self, u: Array, eta: float, out: Array) -> Array:
        """(1 − ηG)⁻¹ u; ``out`` may be u itself."""


class Step(Protocol):
    """step(u, dt, t=0.0) → (u at t + dt, its error estimate or None): see :func:`imex_step`."""

    def __call__(self, u: Array, dt: float, t: float = 0.0) -> tuple[Array, Array | None]: ...  # noqa: D102


@njit(cache=True, error_model="numpy")
def _add(dt: float, weights: Array, terms: Array, out: Array) -> None:  # pragma: no cover - compiled
    """out += dt Σ_k weights_k terms_k, without a threaded library whose sums would depend on the machine's load."""
    for k in range(len(weights)):
        factor = dt * weights[k]
        if factor != 0.0:
            for i in range(out.size):
                out[i] += factor * terms[k, i]


class _Workspace:
    """The arrays of a step for states like u: terms F then G of every stage, a stage, two states, an error."""

    def __init__(self, u: Array, stages: int) -> None:
        self.like = u.shape, u.dtype
        self.terms = np.zeros((2 * stages, u.size), dtype=u.dtype)
        rows = list(self.terms)
        self.explicit, self.implicit = rows[:stages], rows[stages:]
        self.stage, self.error, *self.states = (np.empty_like(u) for _ in range(4))

    def apart_from(self, u: Array) -> Array:
        """The one of the two states that does not hold u."""
        first, second = self.states
        return second if np.may_share_memory(u, first) else first


def imex_step(equation: ImplicitExplicitODE, tableau: Tableau) -> Step:
    """Return step(u, dt, t=0.0) → (u at the next time, embedded error estimate or None).

    Stages solve :math:`(1-\\Delta t\\,a_{ii}G)U_i=u+\\Delta t\\sum_{j<i}(a^E_{ij}F(U_j,t+c_j\\Delta t)+a^I_{ij}GU_j)`.
    What it returns are buffers: the state stays valid while the next one is computed from it and is overwritten by the
    step after that one; the error is overwritten by the next step. Copy what is to live longer.
    """
    stages, times = tableau.stages, tableau.times.tolist()
    coefficients = np.concatenate([tableau.explicit, np.tril(tableau.implicit, -1)], axis=1)
    weights = np.concatenate([tableau.explicit_weights, tableau.implicit_weights])
    error_weights = None if tableau.error_weights is None else np.tile(tableau.error_weights, 2)
    diagonal = np.diag(tableau.implicit).tolist()
    last = np.flatnonzero(np.any(coefficients[:, :stages] != 0, axis=0) | (tableau.explicit_weights != 0)).max()
    work: _Workspace | None = None

    def step(u: Array, dt: float, t: float = 0.0) -> tuple[Array, Array | None]:
        nonlocal work
        if work is None or work.like != (u.shape, u.dtype):
            work = _Workspace(u, stages)
        for i in range(stages):
            stage = u
            if i > 0:
                stage = work.stage
                np.copyto(stage, u)
                _add(dt, coefficients[i], work.terms, stage)
                if diagonal[i] != 0.0:
                    equation.implicit_inverse(stage, dt * diagonal[i], stage)
            if i <= last:
                equation.explicit_terms(stage, t + times[i] * dt, work.explicit[i])
            equation.implicit_terms(stage, work.implicit[i])
        candidate = work.apart_from(u)
        np.copyto(candidate, u)
        _add(dt, weights, work.terms, candidate)
        if error_weights is None:
            return candidate, None
        work.error.fill(0.0)
        _add(dt, error_weights, work.terms, work.error)
        equation.implicit_inverse(work.error, dt * diagonal[-1], work.error)  # b̂ alone is not L-stable
        return candidate, work.error

    return step
