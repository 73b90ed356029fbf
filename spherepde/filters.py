r"""Spectral damping of the unresolved end of the spectrum.

A collapsing density sends mass to high degrees for ever. Removing it at rate

.. math:: \sigma_l = \sigma_L\,(l/L)^{p}

keeps the low degrees, and with them the velocity, accurate long after the density itself is unresolved
(design 3.3). Being a linear rate and not a filter applied once a step, its effect does not depend on the step size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .spaces import Space

DAMPING_RATE = 500.0
DAMPING_ORDER = 16


def spectral_damping(space: Space, rate: float = DAMPING_RATE, order: int = DAMPING_ORDER) -> NDArray[np.float64]:
    """Rates σ_l ≥ 0 of each coefficient (per unit time): at the defaults 5 at 3/4 of lmax, 8e-3 at half of it."""
    return rate * (space.degree / space.lmax) ** order
