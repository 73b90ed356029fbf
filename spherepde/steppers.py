r"""Implicit–explicit Runge–Kutta steppers, as coefficient tables, and a step-size controller.

A stepper advances :math:`\dot u = F(u) + G u` with F explicit and G implicit; it asks the equation for
``explicit_terms(u)``, ``implicit_terms(u)`` and ``implicit_inverse(u, eta)`` = (1 − ηG)⁻¹u and knows nothing
else about it. One-step schemes only, so that any step size and any restart keep the order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .errors import InputError, NumericalError

Array = NDArray[Any]


class ImplicitExplicitODE(Protocol):
    """What a stepper needs to know of an equation."""

    def explicit_terms(self, u: Array) -> Array:
        """F(u)."""

    def implicit_terms(self, u: Array) -> Array:
        """G u."""

    def implicit_inverse(self, u: Array, eta: float) -> Array:
        """(1 − ηG)⁻¹ u."""


@dataclass(frozen=True)
class Tableau:
    """Coefficients of an additive Runge–Kutta pair.

    ``error_weights`` is b − b̂, or None without embedded scheme; the explicit part is stable on the imaginary axis up to
    ``imaginary_limit``, which bounds dt·max|v|·lmax for transport.
    """

    name: str
    order: int
    explicit: Array
    implicit: Array
    explicit_weights: Array
    implicit_weights: Array
    error_weights: Array | None
    imaginary_limit: float
    reference: str

    @property
    def stages(self) -> int:
        """Number of stages, the first of them explicit."""
        return len(self.explicit_weights)


def _lower(*rows: tuple[float, ...]) -> Array:
    matrix = np.zeros((len(rows), len(rows)))
    for i, row in enumerate(rows):
        matrix[i, : len(row)] = row
    return matrix


_ARK436_WEIGHTS = np.array([82889 / 524892, 0.0, 15625 / 83664, 69875 / 102672, -2260 / 8211, 1 / 4])
_ARK436_EMBEDDED = np.array(
    [4586570599 / 29645900160, 0.0, 178811875 / 945068544, 814220225 / 1159782912, -3700637 / 11593932, 61727 / 225920]
)

ARK436 = Tableau(
    name="ark436",
    order=4,
    explicit=_lower(
        (),
        (1 / 2,),
        (13861 / 62500, 6889 / 62500),
        (-116923316275 / 2393684061468, -2731218467317 / 15368042101831, 9408046702089 / 11113171139209),
        (
            -451086348788 / 2902428689909,
            -2682348792572 / 7519795681897,
            12662868775082 / 11960479115383,
            3355817975965 / 11060851509271,
        ),
        (
            647845179188 / 3216320057751,
            73281519250 / 8382639484533,
            552539513391 / 3454668386233,
            3354512671639 / 8306763924573,
            4040 / 17871,
        ),
    ),
    implicit=_lower(
        (),
        (1 / 4, 1 / 4),
        (8611 / 62500, -1743 / 31250, 1 / 4),
        (5012029 / 34652500, -654441 / 2922500, 174375 / 388108, 1 / 4),
        (15267082809 / 155376265600, -71443401 / 120774400, 730878875 / 902184768, 2285395 / 8070912, 1 / 4),
        tuple(_ARK436_WEIGHTS),
    ),
    explicit_weights=_ARK436_WEIGHTS,
    implicit_weights=_ARK436_WEIGHTS,
    error_weights=_ARK436_WEIGHTS - _ARK436_EMBEDDED,
    imaginary_limit=4.0,
    reference="ARK4(3)6L[2]SA, Kennedy & Carpenter, Appl. Numer. Math. 44 (2003), doi:10.1016/S0168-9274(02)00138-1",
)

ARS443 = Tableau(
    name="ars443",
    order=3,
    explicit=_lower((), (1 / 2,), (11 / 18, 1 / 18), (5 / 6, -5 / 6, 1 / 2), (1 / 4, 7 / 4, 3 / 4, -7 / 4)),
    implicit=_lower(
        (), (0.0, 1 / 2), (0.0, 1 / 6, 1 / 2), (0.0, -1 / 2, 1 / 2, 1 / 2), (0.0, 3 / 2, -3 / 2, 1 / 2, 1 / 2)
    ),
    explicit_weights=np.array([1 / 4, 7 / 4, 3 / 4, -7 / 4, 0.0]),
    implicit_weights=np.array([0.0, 3 / 2, -3 / 2, 1 / 2, 1 / 2]),
    error_weights=None,
    imaginary_limit=1.57,
    reference="ARS(4,4,3), Ascher, Ruuth & Spiteri, Appl. Numer. Math. 25 (1997), sec. 2.8",
)

TABLEAUX = {tableau.name: tableau for tableau in (ARK436, ARS443)}


def tableau_named(name: str) -> Tableau:
    """The tableau called "ark436" or "ars443". Raises InputError otherwise."""
    if name not in TABLEAUX:
        raise InputError(f"time.stepper = {name!r}: expected one of {', '.join(TABLEAUX)}")
    return TABLEAUX[name]


Step = Callable[[Array, float], tuple[Array, Array | None]]


@njit(cache=True)
def _combine(u: Array, dt: float, weights: Array, terms: Array) -> Array:  # pragma: no cover - compiled
    """u + dt Σ_k weights_k terms_k, without a threaded library whose sums would depend on the machine's load."""
    total = u.copy()
    for k in range(len(weights)):
        factor = dt * weights[k]
        if factor != 0.0:
            for i in range(total.size):
                total[i] += factor * terms[k, i]
    return total


def imex_step(equation: ImplicitExplicitODE, tableau: Tableau) -> Step:
    """Return step(u, dt) → (u at the next time, embedded error estimate or None).

    Each stage solves :math:`(1-\\Delta t\\,a_{ii}G)U_i = u+\\Delta t\\sum_{j<i}(a^E_{ij}F(U_j)+a^I_{ij}GU_j)`.
    """
    stages = tableau.stages
    coefficients = np.concatenate([tableau.explicit, np.tril(tableau.implicit, -1)], axis=1)
    weights = np.concatenate([tableau.explicit_weights, tableau.implicit_weights])
    last = np.flatnonzero(np.any(coefficients[:, :stages] != 0, axis=0) | (tableau.explicit_weights != 0)).max()

    def step(u: Array, dt: float) -> tuple[Array, Array | None]:
        terms = np.zeros((2 * stages, u.size), dtype=u.dtype)
        for i in range(stages):
            stage = u if i == 0 else _combine(u, dt, coefficients[i], terms)
            if tableau.implicit[i, i] != 0.0:
                stage = equation.implicit_inverse(stage, dt * tableau.implicit[i, i])
            if i <= last:
                terms[i] = equation.explicit_terms(stage)
            terms[stages + i] = equation.implicit_terms(stage)
        error = None
        if tableau.error_weights is not None:
            error = _combine(np.zeros_like(u), dt, np.tile(tableau.error_weights, 2), terms)
            error = equation.implicit_inverse(error, dt * tableau.implicit[-1, -1])  # b̂ alone is not L-stable
        return _combine(u, dt, weights, terms), error

    return step


@dataclass
class StepController:
    """Proportional–integral control of the step size from the embedded error (Hairer & Wanner II, sec. IV.2).

    ``rtol`` is the error allowed per step relative to the size of the state; ``order`` that of the embedded scheme + 1.
    ``largest_step`` is a bound set from outside (a Courant limit). The whole memory is ``step_size`` and
    ``last_error``: store both to resume bit for bit.
    """

    rtol: float
    order: int
    step_size: float
    last_error: float = 1.0
    largest_step: float = np.inf
    safety: float = 0.9
    largest_growth: float = 2.0
    largest_cut: float = 0.2

    def judge(self, error: float, taken: float) -> bool:
        """Accept or reject a step of size ``taken`` with the given relative error, and set the next ``step_size``."""
        ratio = error / self.rtol
        if not np.isfinite(ratio):
            self.step_size = self.largest_cut * taken
            return False
        ratio = max(ratio, 1e-10)
        if ratio > 1.0:
            self.step_size = taken * max(self.largest_cut, self.safety * ratio ** (-1.0 / self.order))
            return False
        factor = self.safety * ratio ** (-0.7 / self.order) * self.last_error ** (0.4 / self.order)
        self.step_size = taken * float(np.clip(factor, self.largest_cut, self.largest_growth))
        self.last_error = ratio
        return True


@dataclass
class FixedStep:
    """Steps of a fixed size, shortened evenly where a landing time asks for it; rejects only what is not finite."""

    step_size: float
    last_error: float = 1.0
    largest_step: float = np.inf

    def judge(self, error: float, taken: float) -> bool:
        """Accept unless the error is NaN (a scheme without embedded error reports 0)."""
        if not np.isfinite(error):
            self.step_size = 0.0
            return False
        return True


@dataclass(frozen=True)
class Accepted:
    """One accepted step: the time reached, the state there, its error estimate, the step taken."""

    time: float
    state: Array
    error: Array | None
    step_size: float


SMALLEST_STEP = 1e-12
"""Steps below this fraction of the interval to be marched are refused."""


def march(
    step: Step,
    norm: Callable[[Array], float],
    controller: StepController | FixedStep,
    u: Array,
    start: float,
    stop: float,
) -> Iterator[Accepted]:
    """Yield accepted steps from ``start`` until one lands exactly on ``stop``.

    The remaining interval is divided evenly, so that no tiny residual step is ever taken.
    Raises NumericalError, naming the time, when no acceptable step above 1e-12 of the interval is left.
    """
    now, smallest = start, SMALLEST_STEP * (stop - start)
    if not controller.step_size > smallest:
        raise NumericalError(f"no step left to take at t = {now:.6g}: the state changes too fast")
    while now < stop:
        parts = max(1, int(np.ceil((stop - now) / min(controller.step_size, controller.largest_step) * (1.0 - 1e-9))))
        dt = (stop - now) / parts
        with np.errstate(over="ignore", invalid="ignore"):  # a step that explodes is rejected, not warned about
            candidate, error = step(u, dt)
            size = norm(candidate)
            relative = (0.0 if error is None else norm(error) / size) if np.isfinite(size) else np.nan
        if controller.judge(relative, dt):
            u, now = candidate, (stop if parts == 1 else now + dt)
            yield Accepted(now, u, error, dt)
        elif not controller.step_size > smallest:
            seen = "the state is no longer finite" if not np.isfinite(relative) else f"its error is {relative:.1e}"
            raise NumericalError(f"no acceptable step left at t = {now:.6g}: with dt = {dt:.1e} {seen}")


def initial_step_size(
    equation: ImplicitExplicitODE, norm: Callable[[Array], float], u: Array, rtol: float, order: int
) -> float:
    """A first step from the sizes of u and of its rate of change (Hairer, Nørsett & Wanner I, sec. II.4, shortened)."""
    rate = norm(equation.explicit_terms(u) + equation.implicit_terms(u))
    return 0.1 if rate == 0.0 else min(0.1, float(rtol ** (1.0 / order) * norm(u) / rate))
