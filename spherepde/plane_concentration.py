r"""How far a state on S² is from the low-temperature limit Π♯ρ₀ when dim E = 2: a density on a great circle.

The two bounds are recorded at every step: :math:`(\int\mathrm{dist}(x,E)^p\rho)^{1/p}`, and that plus a bound of
:math:`W_p(\Pi_\#\rho_t,\Pi_\#\rho_0)` along the circle. The distance itself is a convex problem
(:mod:`spherepde.transport.great_circle`), solved at save times only, each from the solution before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .concentration import series_name, theorem_of
from .heads import DominantEigenspace, Head
from .kernels import zonal_multipliers
from .spaces import Space
from .store import SeriesSpec
from .transport.antipodes import COSTS
from .transport.circle_series import circle_bound
from .transport.costs import Cost
from .transport.great_circle import GreatCircle

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]

NOISE = 1e-15
"""Coefficients of the limit beyond the last one above this are those of rounding."""
MOST_COEFFICIENTS = 512
"""Limits rougher than this many coefficients are not recorded: no attribute of a file holds them."""
SMALLEST_LMAX = 8
ACCURACY = 1e-3
"""A distance is recorded when it is known to this fraction."""


@dataclass(frozen=True)
class CircleLimit:
    r"""The measure Π♯ρ₀ for dim E = 2 in R³: a density on the great circle through the columns of ``basis``.

    ``real``, ``imaginary``: its coefficients :math:`c_k=\int f e^{-ik\varphi}d\varphi`, k = 0, 1, …; φ runs from the
    first column to the second. ``theorem`` a sentence. Plain numbers, so that a checkpoint returns them bit for bit.
    """

    basis: tuple[tuple[float, ...], ...]
    real: tuple[float, ...]
    imaginary: tuple[float, ...]
    theorem: str
    kind: str = "circle"

    @property
    def coefficients(self) -> Modal:
        """The coefficients (K+1,)."""
        return np.array(self.real) + 1j * np.array(self.imaginary)

    def to_json(self) -> dict[str, Any]:
        """The limit as a run file and its checkpoint keep it."""
        return asdict(self)

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> CircleLimit:
        """The limit that ``to_json`` wrote."""
        rows = tuple(tuple(row) for row in table["basis"])
        return cls(rows, tuple(table["real"]), tuple(table["imaginary"]), table["theorem"])


class PlaneConcentration:
    """Distances from the states on one sphere to Π♯ρ₀, for symmetric A with dim E = 2; made by :meth:`of`.

    ``potentials`` are the solutions of the last solve by the name of the series, where the next one starts.
    """

    def __init__(self, space: Space, head: Head, target: DominantEigenspace) -> None:
        self._space = space
        self._head = head
        self._circle = GreatCircle(target.basis, space.lmax)
        self._nearest = self._functionals(target)
        self.potentials: dict[str, Modal] = {}

    @classmethod
    def of(cls, space: Space, head: Head, target: DominantEigenspace) -> PlaneConcentration | None:
        """The distances on a space; None where the limit is not a density on a great circle, or not known."""
        fits = space.dim == 3 and target.dim == 2 and target.symmetric and space.lmax >= SMALLEST_LMAX
        return cls(space, head, target) if fits else None

    def limit_of(self, u: Modal) -> CircleLimit | None:
        """Π♯ρ for the density with coefficients u; None if it takes too many coefficients."""
        c = self._image(self._values(u))
        count = int(np.flatnonzero(np.abs(c) > NOISE * abs(c[0]))[-1]) + 1
        if count > MOST_COEFFICIENTS:
            return None
        rows = tuple(tuple(row) for row in self._circle.basis.tolist())
        real, imaginary = tuple(c[:count].real.tolist()), tuple(c[:count].imag.tolist())
        return CircleLimit(rows, real, imaginary, theorem_of(self._head))

    def bounds(self, u: Modal, limit: CircleLimit) -> dict[str, float]:
        """Lower and upper bounds of each distance, by the name of the series."""
        image, target = self._image(self._values(u)), limit.coefficients
        moved = {cost.p: circle_bound(image / image[0].real, target / target[0].real, cost) for cost in COSTS}
        found: dict[str, float] = {}
        for cost, functional in zip(COSTS, self._nearest, strict=True):
            lower = cost.distance(self._space.inner(functional, u))
            found |= {f"{series_name(cost)}_lower": lower, f"{series_name(cost)}_upper": lower + moved[cost.p]}
        return found

    def distances(self, u: Modal, limit: CircleLimit, bounds: Mapping[str, Real]) -> dict[str, Real]:
        """The distances, between their bounds, to a thousandth; NaN where they are not known so well.

        That is the case when negative values of an unresolved density hold too much mass, or a solve stops early.
        """
        values, target = self._values(u), limit.coefficients
        negative = float(
            np.sum(np.maximum(-values, 0.0).reshape(2, *self._circle.weights.shape) * self._circle.weights)
        )
        found: dict[str, Real] = {}
        for cost in COSTS:
            name = series_name(cost)
            low, high = float(bounds[f"{name}_lower"]), float(bounds[f"{name}_upper"])
            found[name] = np.array(np.nan)
            if negative * cost.largest <= ACCURACY * low**cost.p:
                solved = self._circle.distance(values, target, cost, start=self.potentials.get(name))
                self.potentials[name] = solved.potential
                if solved.gap <= ACCURACY * solved.value:
                    found[name] = np.array(min(max(solved.value, low), high))
        return found

    def _values(self, u: Modal) -> Real:
        return self._space.evaluate(u, self._circle.points)

    def _image(self, values: Real) -> Modal:
        """Coefficients of the density on the circle from values at the grid's points."""
        halves = values.reshape(2, *self._circle.weights.shape)
        return np.asarray(np.fft.rfft(np.einsum("sij,ij->j", halves, self._circle.weights)))

    def _functionals(self, target: DominantEigenspace) -> list[Modal]:
        """Coefficients of dist(x, E)^p for each cost, zonal about the normal of E."""
        normal = np.linalg.svd(target.basis.T)[2][-1]
        about, degree = self._space.point_mass(normal), self._space.degree

        def multipliers(cost: Cost) -> Real:
            return zonal_multipliers(lambda angle: cost.of_angle(0.5 * np.pi - angle), 3, self._space.lmax)

        return [multipliers(cost)[degree] * about for cost in COSTS]


def solved_quantities() -> dict[str, SeriesSpec]:
    """The distances, for the run file."""
    when = "solved at save times, NaN in between"
    return {
        series_name(cost): SeriesSpec((), f"W_{cost.p:g}(rho_t, Pi#rho_0), {cost.ground}: {when}") for cost in COSTS
    }
