r"""The transformer continuity equation as an ordinary differential equation for modal coefficients.

.. math:: \partial_t\rho = \underbrace{-\nabla\cdot(\rho\,v[\rho])}_{\text{explicit}}
          + \underbrace{\kappa\Delta\rho - \sigma\rho}_{\text{implicit, diagonal}}
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .attention import Attention
from .errors import InputError
from .filters import DAMPING_RATE, damping_strength, spectral_damping, spectral_tail
from .heads import NUMBER
from .spaces import Space

Modal = NDArray[np.complex128]


class ContinuityEquation:
    """∂_t ρ + div(ρ v[ρ]) = κΔρ on a space, in the three methods an IMEX stepper asks for.

    ``diffusion`` κ ≥ 0 is physical; ``damping`` is the rate σ_L at the top degree, in units of the field's
    ``speed_scale`` (0 for none). It sleeps until :meth:`adapt_damping` sees an unresolved state.
    Raises InputError if the dimensions of space and attention differ or a rate is negative.
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
        self.space = space
        self.attention = attention
        self.diffusion = float(diffusion)
        self.damping = float(damping)
        self.field = attention.on(space)
        self._diffusion_rate = diffusion * space.laplacian
        self._damping_rate = spectral_damping(space, damping * self.field.speed_scale)
        self._linear = self._diffusion_rate
        self._norm_weight = space.parseval / (1.0 + space.degree) ** 4

    def explicit_terms(self, u: Modal) -> Modal:
        """Coefficients of −div(ρ v[ρ])."""
        return -self.space.divergence(self.field.flux(u), overwrite=True)

    def adapt_damping(self, u: Modal) -> None:
        """Set the strength of damping for steps from u on, none while u is resolved (:mod:`spherepde.filters`)."""
        strength = damping_strength(spectral_tail(self.space, u))
        self._linear = self._diffusion_rate - strength * self._damping_rate

    def implicit_terms(self, u: Modal) -> Modal:
        """Coefficients of κΔρ − σρ."""
        return self._linear * u

    def implicit_inverse(self, u: Modal, eta: float) -> Modal:
        """Solve (1 − η G) w = u for the implicit operator G."""
        return u / (1.0 - eta * self._linear)

    def norm(self, u: Modal) -> float:
        r"""Size of a state for step control, :math:`(\sum_l|u_l|^2/(1+l)^4)^{1/2}`: it weighs what attention sees."""
        return float(np.sqrt(np.sum(self._norm_weight * (u.real**2 + u.imag**2))))

    def on(self, space: Space) -> ContinuityEquation:
        """The same equation on another space."""
        return ContinuityEquation(space, self.attention, diffusion=self.diffusion, damping=self.damping)

    def to_config(self) -> dict[str, Any]:
        """The [model] table of a configuration file."""
        return self.attention.to_config() | {"diffusion": self.diffusion}

    def __repr__(self) -> str:
        diffusion = f", diffusion={self.diffusion:g}" if self.diffusion else ""
        return f"ContinuityEquation({self.space!r}, {self.attention!r}{diffusion})"
