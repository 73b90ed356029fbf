r"""The transformer continuity equation as an ordinary differential equation for modal coefficients.

.. math:: \partial_t\rho = \underbrace{-\nabla\cdot(\rho\,v[\rho])}_{\text{explicit}}
          + \underbrace{\kappa\Delta\rho - \sigma\rho}_{\text{implicit, diagonal}}
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .attention import Attention, VelocityField
from .errors import InputError
from .filters import DAMPING_RATE, damping_strength, spectral_damping, spectral_tail
from .footprint import require_run_memory
from .heads import NUMBER
from .spaces import Space

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]


@njit(cache=True, error_model="numpy")
def _scale(rates: Real, u: Modal, out: Modal) -> None:  # pragma: no cover - compiled
    """out = rates · u, real times complex without numpy's conversion of the real factor."""
    for i in range(u.size):
        out[i] = complex(rates[i] * u[i].real, rates[i] * u[i].imag)


@njit(cache=True, error_model="numpy")
def _solve(rates: Real, eta: float, u: Modal, out: Modal) -> None:  # pragma: no cover - compiled
    """out = u / (1 − η rates)."""
    for i in range(u.size):
        factor = 1.0 / (1.0 - eta * rates[i])
        out[i] = complex(factor * u[i].real, factor * u[i].imag)


class ContinuityEquation:
    """∂_t ρ + div(ρ v[ρ]) = κΔρ on a space, in the three methods an IMEX stepper asks for.

    ``diffusion`` κ ≥ 0 is physical; ``damping`` is the rate σ_L at the top degree, in units of the field's
    ``speed_scale`` (0 for none). It sleeps until :meth:`adapt_damping` sees an unresolved state.
    Raises InputError if the dimensions of space and attention differ, a rate is negative, or the machine has too little
    memory (:mod:`spherepde.footprint`).
    """

    def __init__(
        self, space: Space, attention: Attention, *, diffusion: float = 0.0, damping: float = DAMPING_RATE
    ) -> None:
        if space.dim != attention.dim:
            raise InputError(
                f"equation: space has dim {space.dim}, heads act on dim {attention.dim}; expected the same"
            )
        for name, rate in (("diffusion", diffusion), ("damping", damping)):
            if not (isinstance(rate, NUMBER) and np.isfinite(rate) and rate >= 0.0):
                raise InputError(f"equation: expected {name} >= 0, got {rate!r}")
        require_run_memory(attention, space.lmax, backend=space.backend, file=False)
        self.space = space
        self.attention = attention
        self.diffusion = float(diffusion)
        self.damping = float(damping)
        self._diffusion_rate = diffusion * space.laplacian
        self._since = 0.0
        self._stand_on(attention.schedule.moment(0.0, 0.0), attention.on(space))
        self._linear = self._diffusion_rate.copy()
        self._norm_weight = space.parseval / (1.0 + space.degree) ** 4
        self._squares = np.empty((2, space.n_modal))

    def enter(self, t: float) -> None:
        """Stand at time t: ``field`` is that of the heads that act from t on, and a step from t keeps to their layer.

        Before each step if heads change with time (:mod:`spherepde.schedules`); no step may reach beyond the next of
        ``attention.schedule.breaks``, but it may end there. Raises InputError where a function of time gives no heads.
        """
        self._since = t
        field = self.field_at(t)
        if field is not self.field:
            self._stand_on(self.attention.schedule.moment(t, t), field)

    def _stand_on(self, moment: float, field: VelocityField) -> None:
        self.field = field
        self._fields = {moment: field}
        self._damping_rate = spectral_damping(self.space, self.damping * field.speed_scale)

    def field_at(self, t: float) -> VelocityField:
        """The velocity field at time t of the step begun where :meth:`enter` was told; the last one made is kept."""
        moment = self.attention.schedule.moment(t, self._since)
        if moment not in self._fields:
            field = self.attention.at(moment).on(self.space)
            self._fields = {key: kept for key, kept in self._fields.items() if kept is self.field} | {moment: field}
        return self._fields[moment]

    def source_degree(self, until: float) -> int:
        """The largest degree L_K of the density that influences the velocity up to a time.

        Heads given by a function of time are tried at 129 times. Raises InputError, saying where, for heads that the
        attention cannot take.
        """
        if self.attention.schedule.constant:
            return self.field.source_degree
        return self.attention.source_degree(0.0, until)

    def explicit_terms(self, u: Modal, t: float = 0.0, out: Modal | None = None) -> Modal:
        """Coefficients of −div(ρ v[ρ]) at time t, into ``out`` (not u) if given."""
        rate = self.space.divergence(self.field_at(t).flux(u), out, overwrite=True)
        return np.negative(rate, out=rate)

    def adapt_damping(self, u: Modal) -> None:
        """Set the strength of damping for steps from u on, none while u is resolved (:mod:`spherepde.filters`)."""
        strength = damping_strength(spectral_tail(self.space, u))
        np.multiply(self._damping_rate, -strength, out=self._linear)
        self._linear += self._diffusion_rate

    def implicit_terms(self, u: Modal, out: Modal | None = None) -> Modal:
        """Coefficients of κΔρ − σρ, into ``out`` if given."""
        result = np.empty(u.shape, complex) if out is None else out
        _scale(self._linear, u, result)
        return result

    def implicit_inverse(self, u: Modal, eta: float, out: Modal | None = None) -> Modal:
        """Solve (1 − η G) w = u for the implicit operator G, into ``out`` if given (u itself will do)."""
        result = np.empty(u.shape, complex) if out is None else out
        _solve(self._linear, eta, u, result)
        return result

    def norm(self, u: Modal) -> float:
        r"""Size of a state for step control, :math:`(\sum_l|u_l|^2/(1+l)^4)^{1/2}`: it weighs what attention sees."""
        total, square = self._squares
        np.square(u.real, out=total)
        np.square(u.imag, out=square)
        total += square
        total *= self._norm_weight
        return float(np.sqrt(np.sum(total)))

    def on(self, space: Space) -> ContinuityEquation:
        """The same equation on another space."""
        return ContinuityEquation(space, self.attention, diffusion=self.diffusion, damping=self.damping)

    def to_config(self) -> dict[str, Any]:
        """The [model] table of a configuration file."""
        return self.attention.to_config() | {"diffusion": self.diffusion}

    def __repr__(self) -> str:
        diffusion = f", diffusion={self.diffusion:g}" if self.diffusion else ""
        return f"ContinuityEquation({self.space!r}, {self.attention!r}{diffusion})"
