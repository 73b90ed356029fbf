r"""How far a state is from the low-temperature limit Π♯ρ₀: the Wasserstein distances a run records at every step.

For dim E = 1 the limit is two atoms at ±e, and the distance from a density to two antipodes is exact and costs
microseconds (:mod:`spherepde.transport.antipodes`): only the zonal part of the density about e matters.

Value and bounds are those of the band-limited density. Once that is unresolved, :math:`W_1` and its bounds, whose cost
has a kink at ±e where the mass gathers, are off by about 1/lmax, as their error bars say; :math:`W_2` hardly is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .heads import DominantEigenspace, Head
from .limit import limit_measure
from .spaces import Space
from .store import SeriesSpec
from .transport.antipodes import COSTS, AntipodalTransport
from .transport.costs import Cost
from .transport.distance import Distance

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]

SMALLEST_OVERLAP = 1e-6
"""Left and right eigenvectors closer to orthogonal than this belong to a Jordan block as far as floats can tell."""


@dataclass(frozen=True)
class AntipodalLimit:
    """The measure Π♯ρ₀ for dim E = 1: ``masses`` of the atoms at e and −e, e = ``axis`` (d,); ``theorem`` a sentence.

    ``separating`` (d,) is the vector whose scalar product with x decides the side: e for symmetric A, otherwise the
    left eigenvector. Plain numbers, so that a checkpoint returns them bit for bit.
    """

    axis: tuple[float, ...]
    separating: tuple[float, ...]
    masses: tuple[float, float]
    theorem: str
    kind: str = "atoms"

    def to_json(self) -> dict[str, Any]:
        """The limit as a run file and its checkpoint keep it."""
        return asdict(self)

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> AntipodalLimit:
        """The limit that ``to_json`` wrote."""
        masses = (float(table["masses"][0]), float(table["masses"][1]))
        return cls(tuple(table["axis"]), tuple(table["separating"]), masses, table["theorem"])


def series_name(cost: Cost) -> str:
    """The name of a distance in a run file: wasserstein_2_geodesic."""
    return f"wasserstein_{cost.p:g}_{cost.ground}"


def theorem_of(head: Head) -> str:
    """What is known of a head's limit, a sentence; the same for every initial density, so a uniform one will do."""
    return limit_measure(head, lambda x: np.ones(len(x))).theorem


def separating_vector(head: Head, target: DominantEigenspace) -> Real | None:
    r"""The unit vector w with Π(x) = sign(⟨w,x⟩)·e, the limit of :math:`\dot x=P_xAx/|B^\top x|`, for dim E = 1.

    e itself for symmetric A, else the left eigenvector of the leading eigenvalue, ⟨w,e⟩ > 0. None if that is not simple
    as far as floats can tell.
    """
    if target.symmetric:
        return target.axis
    values, vectors = np.linalg.eig(head.A.T)
    left = np.real(vectors[:, int(np.argmax(values.real))])
    left = left / np.linalg.norm(left)
    overlap = float(left @ target.axis)
    return left * np.sign(overlap) if abs(overlap) > SMALLEST_OVERLAP else None


class Concentration:
    """Distances from the states on one space to Π♯ρ₀, for a head with dim E = 1; made by :meth:`of`."""

    def __init__(self, space: Space, head: Head, target: DominantEigenspace, separating: Real) -> None:
        self._space = space
        self._head = head
        self._target = target
        self._separating = separating
        self._transport = AntipodalTransport(space.dim, space.lmax)
        self._about_e = space.parseval * space.point_mass(target.axis)

    @classmethod
    def of(cls, space: Space, head: Head, target: DominantEigenspace) -> Concentration | None:
        """The distances of a head's equation; None where the limit is not two atoms, or not known."""
        separating = separating_vector(head, target) if target.dim == 1 else None
        return None if separating is None else cls(space, head, target, separating)

    def limit_of(self, u: Modal) -> AntipodalLimit:
        """Π♯ρ for the density with coefficients u, exact for the band-limited density."""
        about = self._space.parseval * self._space.point_mass(self._separating)
        plus = self._transport.hemisphere_mass(self._zonal(u, about))
        masses = (plus, self._space.moments(u)[0] - plus)
        axis, separating = tuple(self._target.axis.tolist()), tuple(self._separating.tolist())
        return AntipodalLimit(axis, separating, masses, theorem_of(self._head))

    def distances(self, u: Modal, limit: AntipodalLimit) -> dict[str, Distance]:
        """The distances from the density with coefficients u to a limit with their bounds, by name of the series."""
        zonal = self._zonal(u, self._about_e)
        if not np.isfinite(zonal).all():  # a state that blew up: the guard says so, not the distances
            return {
                series_name(cost): Distance(value=np.nan, lower=np.nan, upper=np.nan, cost=cost, status="not finite")
                for cost in COSTS
            }
        found = self._transport.distances(zonal, min(max(limit.masses[0], 0.0), 1.0))
        return {series_name(cost): distance for cost, distance in found.items()}

    def _zonal(self, u: Modal, about: Modal) -> Real:
        """Values at a point of the parts of each degree, (lmax+1,): the point's Dirac mass paired degree by degree."""
        paired = u.real * about.real + u.imag * about.imag
        return np.asarray(np.bincount(self._space.degree, paired), dtype=np.float64)


def distance_quantities() -> dict[str, SeriesSpec]:
    """The distances, for the run file."""
    return {
        series_name(cost): SeriesSpec((), f"W_{cost.p:g}(rho_t, Pi#rho_0), {cost.ground}: exact for a density >= 0")
        for cost in COSTS
    }


def bound_quantities() -> dict[str, SeriesSpec]:
    """Their two bounds, for the run file."""
    quantities = {}
    for cost in COSTS:
        p, of = f"{cost.p:g}", f"W_{cost.p:g}(rho_t, Pi#rho_0), {cost.ground}"
        quantities[f"{series_name(cost)}_lower"] = SeriesSpec(
            (), f"lower bound of {of}: (int dist(x, E)^{p} rho)^(1/{p})"
        )
        quantities[f"{series_name(cost)}_upper"] = SeriesSpec(
            (), f"upper bound of {of}: the lower one plus W_{p}(Pi#rho_t, Pi#rho_0)"
        )
    return quantities
