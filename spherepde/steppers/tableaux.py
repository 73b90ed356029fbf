"""Additive Runge–Kutta pairs from the literature, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Array = NDArray[Any]


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

    @property
    def times(self) -> Array:
        """Where the stages stand in the step, as fractions of it: the row sums of the explicit matrix."""
        return self.explicit.sum(axis=1)


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
