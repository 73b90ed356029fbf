"""Transport between densities on the sphere: zonal laws, maps with known potentials, bounds, symmetry, bad input."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from physics_helpers import bounded, number, orders
from scipy.spatial.transform import Rotation

from spherepde.errors import InputError
from spherepde.quadrature import sphere_rule
from spherepde.transport.continuous import ContinuousDistance, wasserstein_continuous
from spherepde.transport.costs import Cost
from spherepde.transport.zonal import ZonalMeasure, wasserstein_zonal

Array = NDArray[np.float64]
Function = Callable[[Array], Array]
PI = np.pi
AXIS = np.array([1.0, 2.0, 2.0]) / 3.0
COSTS = {str(cost): cost for cost in (Cost(p, ground) for p in (2.0, 1.0) for ground in ("geodesic", "chordal"))}


def peaked(concentration: float) -> Function:
    """Von Mises and Fisher's density as a function of the cosine."""
    k = concentration
    return lambda z: k / (2.0 * PI * -np.expm1(-2.0 * k)) * np.exp(k * (z - 1.0))


def squared(z: Array) -> Array:
    """Touches zero all along the equator."""
    return 3.0 * z**2 / (4.0 * PI)


def flat(z: Array) -> Array:
    return np.full_like(z, 1.0 / (4.0 * PI))


def about(profile: Function, axis: Array = AXIS) -> Function:
    return lambda x: profile(x @ axis)


def inside(found: ContinuousDistance, truth: float, slack: float = 1e-9) -> None:
    """The truth lies in the bounds, and within three error bars of the value."""
    print(f"NUMBER {found.cost}: value {found.value:.9g}, truth {truth:.9g}, off {found.value - truth:+.1e}, "
          f"error bar {found.error:.1e}, bounds {found.lower - truth:+.1e} {found.upper - truth:+.1e}")  # fmt: skip
    assert found.lower - slack <= truth <= found.upper + slack
    assert found.lower <= found.value <= found.upper
    assert abs(found.value - truth) <= 3.0 * found.error


def exact_zonal(mu: Function, nu: Function, cost: Cost) -> tuple[float, float]:
    laws = [ZonalMeasure.from_density(lambda theta, f=f: f(np.cos(theta)), 3, [PI / 2]) for f in (mu, nu)]
    found = wasserstein_zonal(laws[0], laws[1], cost)
    return found.lower, found.upper


# --- zonal laws: exact in one dimension


@pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS)
def test_default_against_zonal_laws(cost: Cost) -> None:
    low, high = exact_zonal(peaked(1.0), peaked(4.0), cost)
    began = time.process_time()
    found = wasserstein_continuous(about(peaked(1.0)), about(peaked(4.0)), cost)
    bounded(f"seconds, {cost}", time.process_time() - began, 30.0)
    truth = 0.5 * (low + high)
    inside(found, truth, slack=0.5 * (high - low) + 1e-9)
    if high - low < 1e-8:
        bounded(f"relative error, {cost}", abs(found.value / truth - 1.0), 3e-5 if cost.p == 2.0 else 1e-4)
        excess = np.abs(found.raw**cost.p - truth**cost.p)
        for role, measured in zip(("first to atoms", "atoms to second"), excess, strict=False):
            bounded(
                f"order in N less 1, {cost}, {role}",
                float(np.abs(orders(measured) - 1.0).max()),
                0.05 if cost.p == 2.0 else 0.2,
            )
    bounded(f"relative gap, {cost}", found.gap / truth, 0.02)
    assert found.converged and "extrapolated" in found.status


@pytest.mark.parametrize("profiles", [(squared, flat), (peaked(60.0), squared)], ids=["touching zero", "concentrated"])
@pytest.mark.parametrize("p", [1.0, 2.0])
def test_hard_densities(profiles: tuple[Function, Function], p: float) -> None:
    cost = Cost(p)
    low, high = exact_zonal(*profiles, cost)
    inside(
        wasserstein_continuous(about(profiles[0]), about(profiles[1]), cost, atoms=(30, 60, 120)), 0.5 * (low + high)
    )


# --- maps with a known potential: S(y) = exp_y(−∇φ/2) carries ν to μ and is optimal for small φ


@dataclass
class Pulled:
    """ν = μ∘S · det DS for the map whose cost at y has the gradient −∇φ(y), φ(y) = a·y + yᵀBy/2."""

    density: Function
    a: Array
    b: Array
    ground: str

    def image(self, y: Array) -> Array:
        y = y / np.sqrt(np.sum(y * y, axis=-1, keepdims=True))
        v = -0.5 * (self.a + y @ self.b)
        v = v - np.sum(v * y, axis=-1, keepdims=True) * y
        square = np.sum(v * v, axis=-1, keepdims=True)
        if self.ground == "chordal":
            return v + np.sqrt(1.0 - square) * y
        size = np.sqrt(square)
        return np.cos(size) * y + np.sin(size) / size * v

    def __call__(self, y: Array) -> Array:
        helper = np.where(np.abs(y[:, :1]) < 0.7, np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))
        first = np.cross(y, helper)
        first /= np.linalg.norm(first, axis=1, keepdims=True)
        image = self.image(y)
        one, two = (self.image(y + 1e-30j * t).imag / 1e-30 for t in (first, np.cross(y, first)))
        return self.density(image) * np.sum(image * np.cross(one, two), axis=1)

    def distance(self, cost: Cost) -> float:
        x, w = sphere_rule(3, 80)
        return float(np.sqrt(np.sum(w * self(x) * cost.between(x, self.image(x)))))


def pulled(seed: int, ground: str, size: float = 0.3) -> Pulled:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(3, 3))
    density = about(peaked(rng.uniform(0.2, 2.0)), Rotation.random(random_state=seed).as_matrix()[0])
    return Pulled(density, size * rng.normal(size=3), size * 0.25 * (matrix + matrix.T), ground)


@pytest.mark.parametrize("ground", ["geodesic", "chordal"])
def test_maps_with_known_potential(ground: str) -> None:
    cost, case = Cost(2.0, ground), pulled(1, ground)
    x, w = sphere_rule(3, 80)
    number("mass of the pulled density", float(w @ case(x)), 1.0, atol=1e-12)
    found = wasserstein_continuous(case.density, case, cost, atoms=(30, 60, 120))
    inside(found, case.distance(cost))
    bounded(f"relative error, map, {ground}", abs(found.value / case.distance(cost) - 1.0), 1e-3)


@pytest.mark.parametrize("seed", range(2, 6))
def test_bounds_hold_with_few_atoms(seed: int) -> None:
    cost = Cost(2.0, ("geodesic", "chordal")[seed % 2])
    case = pulled(seed, cost.ground)
    found, truth = wasserstein_continuous(case.density, case, cost, atoms=(16, 32)), case.distance(cost)
    print(f"NUMBER bounds, {cost}: {found.lower - truth:+.1e} {found.upper - truth:+.1e} about {truth:.6g}")
    assert found.lower <= truth <= found.upper


# --- a metric, invariant under rotations


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_symmetry_triangle_and_rotation(p: float) -> None:
    cost, atoms = Cost(p, "chordal"), (16, 32)
    rotations = Rotation.random(4, random_state=3).as_matrix()
    one, two, three = (about(peaked(k), r[0]) for k, r in zip((0.5, 2.0, 4.0), rotations, strict=False))
    ab, bc, ac, ba = (wasserstein_continuous(f, g, cost, atoms=atoms) for f, g in
                      ((one, two), (two, three), (one, three), (two, one)))  # fmt: skip
    number(f"symmetry, p = {p:g}", ba.value, ab.value, atol=1e-9 if p == 2.0 else 3.0 * ab.error)
    sides = sorted([ab, bc, ac], key=lambda side: side.value)
    print(f"NUMBER triangle, p = {p:g}: {sides[2].value:.6f} <= {sides[0].value:.6f} + {sides[1].value:.6f}")
    assert sides[2].value <= sides[0].value + sides[1].value + sum(side.error for side in sides)
    assert sides[2].lower <= sides[0].upper + sides[1].upper
    turned = wasserstein_continuous(lambda x: one(x @ rotations[3]), lambda x: two(x @ rotations[3]), cost, atoms=atoms)
    bounded(f"rotation, p = {p:g}", abs(turned.value - ab.value), 3.0 * (turned.error + ab.error))
    assert max(turned.lower, ab.lower) <= min(turned.upper, ab.upper)


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_equal_densities(p: float) -> None:
    density = about(peaked(2.0))
    found = wasserstein_continuous(density, density, Cost(p), atoms=(40, 80))
    assert found.lower <= 1e-7
    bounded(f"distance to itself, p = {p:g}", found.value, 3.0 * found.error)


# --- what is reported, what is refused


def test_harmonics_masses_and_negative_parts() -> None:
    uniform, tilted = np.zeros(6, complex), np.zeros(6, complex)
    uniform[0] = tilted[0] = 2.0 / np.sqrt(4.0 * PI)
    tilted[1] = 2.0 * 0.65 / np.sqrt(4.0 * PI)  # 1 + 0.65·√3·cos θ: negative near the south pole
    found = wasserstein_continuous(uniform, tilted, atoms=(16, 32))
    assert "second density is negative with mass" in found.status and "first" not in found.status
    half = wasserstein_continuous(0.5 * uniform, 0.5 * tilted, atoms=(16, 32))
    number("half the mass", half.value, found.value / np.sqrt(2.0), atol=3.0 * found.error)


def test_no_convergence_is_said_and_bounds_hold() -> None:
    low, high = exact_zonal(peaked(1.0), peaked(4.0), Cost())
    found = wasserstein_continuous(about(peaked(1.0)), about(peaked(4.0)), atoms=(16, 32), most=1)
    assert not found.converged and "NOT CONVERGED" in found.status
    assert found.lower <= low <= high <= found.upper


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((flat, lambda z: 2.0 * flat(z)), "second density has total mass 2; expected that of the first, 1"),
        ((flat, lambda z: np.full_like(z, np.nan)), "density is not finite at"),
        ((lambda z: -flat(z), flat), "total mass"),
        ((flat, flat, Cost(3.0)), "expected 1 or 2"),
        ((flat, flat, "geodesic"), "expected a Cost"),
    ],
)
def test_bad_measures(arguments: tuple, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        wasserstein_continuous(about(arguments[0]), about(arguments[1]), *arguments[2:])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("atoms", [(100,), (200, 100), (8, 100), (20.5, 40), "ab", 100, (20, np.inf)])
def test_bad_numbers_of_atoms(atoms: object) -> None:
    with pytest.raises(InputError, match="expected at least two integers increasing from 16"):
        wasserstein_continuous(about(flat), about(flat), atoms=atoms)


def test_coefficients_of_no_density() -> None:
    with pytest.raises(InputError, match="expected"):
        wasserstein_continuous(np.ones(5), about(flat))
