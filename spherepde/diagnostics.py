"""Numbers from a state: what a run records at every accepted step."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .attention import Budget
from .concentration import AntipodalLimit, Concentration, bound_quantities, distance_quantities
from .equation import ContinuityEquation
from .filters import spectral_tail
from .heads import DominantEigenspace, Head
from .kernels import zonal_multipliers
from .plane_concentration import CircleLimit, PlaneConcentration, solved_quantities
from .schedules import Layers
from .spaces import Space
from .store import SeriesSpec

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]

UNDERFLOW = 700.0
"""An energy stored e^{−700} times its own scale may be lost: e^{−745} is the smallest number above 0."""


def distance_functional(space: Space, target: DominantEigenspace, *, chordal: bool) -> Modal:
    r"""Coefficients of :math:`x\mapsto\mathrm{dist}(x, E\cap S)^2`, to be paired with a density by ``space.inner``.

    The function is zonal about E (if dim E = 1) or about its normal (if dim E = d−1) with a kink at the equator, so its
    coefficients come from one-dimensional integrals in the angle: the pairing is exact for the band-limited
    density, with no error from the kink.
    """
    if target.dim == space.dim:
        return np.zeros(space.n_modal, complex)
    axis = target.axis if target.dim == 1 else np.linalg.svd(target.basis.T)[2][-1]

    def profile(angle: Real) -> Real:
        distance = np.minimum(angle, np.pi - angle)
        if target.dim > 1:
            distance = 0.5 * np.pi - distance
        return 4.0 * np.sin(0.5 * distance) ** 2 if chordal else distance**2

    return zonal_multipliers(profile, space.dim, space.lmax)[space.degree] * space.point_mass(axis)


def hemisphere_functional(space: Space, target: DominantEigenspace) -> Modal:
    """Coefficients of the indicator of ⟨x, e⟩ > 0 for dim E = 1: paired with a density, the mass Π sends to +e."""
    indicator = zonal_multipliers(lambda angle: (angle < 0.5 * np.pi).astype(float), space.dim, space.lmax)
    return indicator[space.degree] * space.point_mass(target.axis)


def energy_law(equation: ContinuityEquation) -> str:
    """What is known beforehand of the energy of an equation: a sentence."""
    law = equation.field.energy_law
    if equation.field.attention_heads and not equation.attention.schedule.constant:
        return _changing_law(equation)
    if not (law.exists and equation.diffusion):
        return law.sentence
    return f"{law.sentence}; the rate recorded is by transport alone, diffusion adds its own"


def _changing_law(equation: ContinuityEquation) -> str:
    """The same of heads that change with time."""
    schedule = equation.attention.schedule
    if not isinstance(schedule, Layers):
        return "no energy: heads change with time, and not every B is known to be symmetric"
    for layer, heads in enumerate(schedule.layers):
        for index, head in enumerate(heads):
            if not head.symmetric_score:
                which = f"layer {layer}" + (f", head {index}" if len(heads) > 1 else "")
                return f"no energy: B of {which} (counted from 0) is not symmetric"
    how = (
        "heads change with time, and the energy with them" if schedule.interpolate else "each layer has its own energy"
    )
    added = ", diffusion adds its own" if equation.diffusion else ""
    return f"{how}; the rate recorded is by transport alone{added}{_lost_layers(schedule)}"


def _lost_layers(schedule: Layers) -> str:
    """Which layers have energies too small for the scale of the largest, if any."""

    def scale(heads: tuple[Head, ...]) -> float:
        return max(head.strength for head in heads)

    scales = np.array([scale(heads) for heads in schedule.layers])
    lost = np.flatnonzero(scales < scales.max() - UNDERFLOW)
    if not lost.size:
        return ""
    return (
        f"; energies of {lost.size} of {len(scales)} layers (the first: layer {lost[0]}, counted from 0) are too small "
        f"for the one scale of the file, e^{scales.max():g}, and stored as 0 or with few digits"
    )


class Diagnostics:
    """Everything recorded of a state of one equation.

    ``observables`` are the cheap statistics that carry error bars; ``measure`` adds what needs the grid. Distances to
    Π♯ρ₀ are among them once :attr:`limit` is set, by :meth:`start` or from elsewhere.
    """

    def __init__(self, equation: ContinuityEquation) -> None:
        self.equation = equation
        self.space = equation.space
        self.limit_space = equation.attention.limit_space
        self._has_energy = equation.field.has_energy
        self._energy_log_scale = equation.field.energy_log_scale
        if not equation.attention.schedule.constant:  # one series, one scale for all layers
            self._has_energy &= equation.attention.symmetric_scores
            self._energy_log_scale = max(self._energy_log_scale, equation.attention.strength(0.0, 0.0))
        self.limit: AntipodalLimit | CircleLimit | None = None
        """The measure Π♯ρ₀; None if it is unknown or not wanted."""

    def start(self, u: Modal) -> None:
        """Take u as the initial state: its image under Π is what distances are measured to from now on."""
        concentration = self._antipodal or self._plane
        self.limit = None if concentration is None else concentration.limit_of(u)

    def limit_from_json(self, table: Mapping[str, Any] | None) -> None:
        """Take up the limit that a checkpoint kept."""
        self.limit = None
        if table is not None:
            kind = CircleLimit if table["kind"] == "circle" else AntipodalLimit
            self.limit = kind.from_json(table)

    @cached_property
    def _antipodal(self) -> Concentration | None:
        if self.limit_space is None:
            return None
        return Concentration.of(self.space, self.equation.attention.heads[0], self.limit_space)

    @cached_property
    def _plane(self) -> PlaneConcentration | None:
        if self.limit_space is None:
            return None
        return PlaneConcentration.of(self.space, self.equation.attention.heads[0], self.limit_space)

    @property
    def potentials(self) -> dict[str, Modal]:
        """What the next solve of a dearer distance starts from; part of a run's state."""
        return {} if self.limit is None or self._plane is None else self._plane.potentials

    @cached_property
    def _distances(self) -> dict[str, Modal]:
        if self.limit_space is None:
            return {}
        return {
            name: distance_functional(self.space, self.limit_space, chordal=chordal)
            for name, chordal in (("distance_to_E", False), ("distance_to_E_chordal", True))
        }

    @cached_property
    def _hemisphere(self) -> Modal | None:
        if self.limit_space is None or self.limit_space.dim != 1:
            return None
        return hemisphere_functional(self.space, self.limit_space)

    @property
    def observable_quantities(self) -> dict[str, SeriesSpec]:
        """The statistics that get an error bar."""
        dim = self.space.dim
        quantities = {
            "mean": SeriesSpec((dim,), "first moment int x rho"),
            "second_moment": SeriesSpec((dim, dim), "second moment int x x^T rho"),
        }
        for name in self._distances:
            cost = "chordal" if name.endswith("chordal") else "geodesic"
            quantities[name] = SeriesSpec(
                (), f"(int dist(x, E)^2 rho)^(1/2), {cost}: the W2 distance of rho to measures on E"
            )
        if self._hemisphere is not None:
            quantities["hemisphere_mass"] = SeriesSpec(
                (), "mass where x.e > 0, e spanning E: what the projection sends to +e"
            )
        return quantities | (distance_quantities() if isinstance(self.limit, AntipodalLimit) else {})

    @property
    def first_order(self) -> set[str]:
        """The observables that converge only like 1/lmax towards a measure that is no longer resolved."""
        return {name for name in self.observable_quantities if name.startswith("wasserstein_")}

    @property
    def solved_quantities(self) -> dict[str, SeriesSpec]:
        """The quantities that are solved for at save times only."""
        return solved_quantities() if isinstance(self.limit, CircleLimit) else {}

    @property
    def quantities(self) -> dict[str, SeriesSpec]:
        """All recorded quantities but the error bars."""
        quantities = {"mass": SeriesSpec((), "mass int rho")} | self.observable_quantities
        if self.limit is not None:
            quantities |= self.solved_quantities | bound_quantities()
        return (
            quantities
            | self._attention_quantities
            | {
                "max_speed": SeriesSpec((), "largest nodal speed |v|"),
                "entropy": SeriesSpec((), "int rho log rho over the nodes where rho > 0"),
                "min_density": SeriesSpec((), "smallest nodal density"),
                "spectral_tail": SeriesSpec((), "fraction of the L2 norm in the upper third of the degrees"),
            }
        )

    @property
    def _attention_quantities(self) -> dict[str, SeriesSpec]:
        """Energies where there are any, and how evenly each head attends."""
        attention, heads = self.equation.attention, (self.equation.field.attention_heads,)
        scale, quantities = f"times exp(-{self._energy_log_scale:.17g})", {}
        if not attention.schedule.constant:
            scale += f", one scale for all times: 0 where beta |B| is smaller by more than about {UNDERFLOW:g}"
        energy = "(1/2beta) int int exp(beta x.By) rho rho"
        if self._has_energy and heads[0] == 1:
            quantities["energy"] = SeriesSpec((), f"interaction energy {energy}, {scale}")
        elif self._has_energy:
            quantities["energy"] = SeriesSpec((), f"{attention.combine} of the heads' interaction energies, {scale}")
            quantities["head_energy"] = SeriesSpec(heads, f"interaction energy {energy} of each head, {scale}", "head")
        if self._has_energy:
            quantities["dissipation"] = SeriesSpec((), f"rate of change of the energy by transport, {scale}")
        if heads[0]:
            words = "attention entropy -int int a log a rho rho of each head, a = exp(beta x.By)/Z(x)"
            quantities["attention_entropy"] = SeriesSpec(heads, words, "head")
        return quantities

    def attention_values(self, budget: Budget) -> dict[str, float | Real]:
        """Values of those quantities; energies at the scale that the file states, whatever the heads are by now."""
        values: dict[str, float | Real] = {}
        if self._has_energy:
            exists = self.equation.field.has_energy
            factor = np.exp(self.equation.field.energy_log_scale - self._energy_log_scale) if exists else np.nan
            values = {"energy": factor * budget.energy, "dissipation": factor * budget.dissipation}
            if len(budget.attention_entropy) > 1:
                energies = budget.head_energy or (np.nan,) * len(budget.attention_entropy)
                values["head_energy"] = factor * np.array(energies)
        if budget.attention_entropy:
            values["attention_entropy"] = np.array(budget.attention_entropy)
        return values

    def observables(self, u: Modal) -> dict[str, Real]:
        """First and second moments, distances to E and to Π♯ρ₀, from coefficients alone."""
        return self._statistics(u) | {name: np.array(value) for name, value in self._to_limit(u, ("",)).items()}

    def solve(self, u: Modal, measured: Mapping[str, Real]) -> dict[str, Real]:
        """The quantities of :attr:`solved_quantities`; ``measured`` is what :meth:`measure` says of u."""
        if not isinstance(self.limit, CircleLimit) or self._plane is None:
            return {}
        return self._plane.distances(u, self.limit, measured)

    def bounds(self, u: Modal) -> dict[str, float]:
        """The bounds of the distances to Π♯ρ₀, where there are any."""
        return self._to_limit(u, ("_lower", "_upper"))

    def _to_limit(self, u: Modal, parts: tuple[str, ...]) -> dict[str, float]:
        """Distances to Π♯ρ₀ and their bounds, those whose names end with one of the parts."""
        if isinstance(self.limit, AntipodalLimit) and self._antipodal is not None:
            found = self._antipodal.distances(u, self.limit).items()
            pick = {"": "value", "_lower": "lower", "_upper": "upper"}
            return {f"{name}{part}": getattr(d, pick[part]) for name, d in found for part in parts}
        if isinstance(self.limit, CircleLimit) and self._plane is not None and "_lower" in parts:
            return self._plane.bounds(u, self.limit)
        return {}

    def _statistics(self, u: Modal) -> dict[str, Real]:
        _, mean, second = self.space.moments(u)
        values = {"mean": mean, "second_moment": second}
        for name, functional in self._distances.items():
            values[name] = np.sqrt(np.array(max(self.space.inner(functional, u), 0.0)))
        if self._hemisphere is not None:
            values["hemisphere_mass"] = np.array(self.space.inner(self._hemisphere, u))
        return values

    def measure(self, u: Modal) -> dict[str, Real]:
        """All quantities of :attr:`quantities` but those of :attr:`solved_quantities`."""
        density = self.space.to_nodal(u, self._density)
        values: dict[str, float | Real] = {"mass": self.space.moments(u)[0], **self._statistics(u)}
        values |= self._to_limit(u, ("", "_lower", "_upper"))
        budget = self.equation.field.budget(u, density)
        values["max_speed"] = budget.speed
        values |= self.attention_values(budget)
        values["min_density"] = float(density.min())
        values["entropy"] = self._entropy(density)
        values["spectral_tail"] = spectral_tail(self.space, u)
        return {name: np.asarray(value, dtype=np.float64) for name, value in values.items()}

    @cached_property
    def _density(self) -> Real:
        return self.space.empty()

    @cached_property
    def _logarithm(self) -> Real:
        return self.space.empty()

    def _entropy(self, density: Real) -> float:
        """∫ρ log ρ where ρ > 0; the density's array is overwritten."""
        np.maximum(density, np.finfo(float).tiny, out=density)
        np.log(density, out=self._logarithm)
        return self.space.integrate(np.multiply(density, self._logarithm, out=density))
