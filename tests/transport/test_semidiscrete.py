"""From a density to atoms on S²: closed forms, cases with known answers, bounds, invariance, linear programmes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from physics_helpers import bounded, number
from scipy.stats import linregress
from transport_helpers import (
    COSTS,
    Array,
    Function,
    affine,
    mild_potentials,
    platonic,
    power_cells,
    random_atoms,
    ray_cell,
    regular_cells,
    ring,
    turned,
    uniform,
    unit,
    winners,
    zonal_pair,
)

from spherepde.errors import InputError
from spherepde.quadrature import sphere_rule
from spherepde.transport import Cost, SemiDiscrete, resolve, wasserstein_discrete, wasserstein_semidiscrete

GEODESIC1, GEODESIC2, CHORDAL1, CHORDAL2 = COSTS
UNIFORM = resolve(uniform)
AXIS = random_atoms(1, 7)[0]
PAIR = np.stack([AXIS, -AXIS])


def smooth(x: Array) -> Array:
    return 0.1 * np.exp(x @ np.array([0.9, -1.1, 0.6]) + x[:, 0] * x[:, 1])


SMOOTH = resolve(smooth)


def holds(found: SemiDiscrete, truth: float, slack: float = 1e-14) -> float:
    """The error of the value, after asserting that the bounds hold the truth up to its own rounding."""
    assert found.lower - slack <= truth <= found.upper + slack, f"{truth!r} outside {found!r}"
    return abs(found.value - truth)


@pytest.mark.parametrize(
    ("cost", "power"),
    [(GEODESIC2, np.pi - 2.0), (CHORDAL2, 1.0), (GEODESIC1, 1.0), (CHORDAL1, 2.0 * np.sqrt(2.0) / 3.0)],
    ids=str,
)
def test_uniform_to_two_antipodes(cost: Cost, power: float) -> None:
    """C3, about a random axis."""
    found = wasserstein_semidiscrete(UNIFORM, PAIR, cost=cost)
    number(f"uniform to ±e, {cost}", found.value**cost.p, power, atol=5e-15)
    bounded("gap", found.gap, 5e-13)
    holds(found, cost.distance(power))


@pytest.mark.parametrize("cost", COSTS, ids=str)
@pytest.mark.parametrize(
    ("profile", "breaks"),
    [
        (lambda z: 1.0 + 0.0 * z, []),
        (lambda z: 3.0 * z * z, []),
        (lambda z: np.exp(100.0 * (z - 1.0)), [0.1, 0.3, 0.6]),
        (lambda z: np.maximum(1.0 + 1.05 * z, 0.0), [np.arccos(-1.0 / 1.05)]),
    ],
    ids=["uniform", "zero on the equator", "concentrated", "cut off at zero"],
)
def test_zonal_densities_to_unequal_antipodes(profile: Function, breaks: list[float], cost: Cost) -> None:
    """Sums of one-dimensional integrals; a cut-off density is in doubt by what quadrature across the kink may miss."""
    patches = resolve(lambda x: profile(x @ AXIS))
    worst, widest = 0.0, 0.0
    for plus in (0.03, 0.6):
        found = wasserstein_semidiscrete(patches, PAIR, np.array([plus, 1.0 - plus]) * patches.total, cost)
        mass, total = zonal_pair(profile, plus, cost, breaks)
        worst = max(worst, holds(found, cost.distance(total * patches.total / mass)) / found.value)
        widest = max(widest, found.gap / found.value)
        assert found.converged
    kinked = patches.unresolved > 1e-9
    bounded(f"error relative to the value, {cost}", worst, 2e-9 if kinked else 5e-13)
    bounded(f"gap relative to the value, {cost}", widest, 2e-8)


def test_distance_to_one_atom() -> None:
    """C19: chordal p = 2 from the barycentre; the others by the law of the angle, along rays."""
    x, w = sphere_rule(3, 60)
    barycentre = (w * smooth(x)) @ x
    for cost in COSTS:
        found = wasserstein_semidiscrete(SMOOTH, [AXIS], cost=cost)
        total = ray_cell(0, AXIS[None], np.zeros(1), cost, smooth)[1]
        holds(found, cost.distance(total))
        number(f"to one atom, {cost}", found.value**cost.p, total, rtol=2e-14)
        assert found.iterations == 0
    number("2(mass − ⟨barycentre, e⟩)", found.value**2, 2.0 * (SMOOTH.total - barycentre @ AXIS), atol=1e-14)


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_uniform_to_regular_atoms(cost: Cost) -> None:
    """The solids, and equal atoms on a great circle with all cells meeting at its poles: one polygon by quadrature."""
    cases = [(name, atoms, sides) for name, (atoms, sides) in platonic().items()]
    cases += [(f"ring of {n}", ring(n), 2) for n in (2, 3, 7, 11)]
    for name, atoms, sides in cases:
        inradius = 0.5 * float(np.min(np.arccos(np.clip(atoms[1:] @ atoms[0], -1.0, 1.0))))
        found = wasserstein_semidiscrete(UNIFORM, atoms @ turned(3), cost=cost)
        total = regular_cells(len(atoms), sides, inradius, cost)
        holds(found, cost.distance(total))
        number(f"{name}, {cost}", found.value**cost.p, total, atol=2e-14)


def test_a_hundred_random_cases() -> None:
    """Weights are the masses of cells of random potentials, worked out by other means: so the value is known."""
    worst, widest, off = np.zeros(2), 0.0, 0.0
    for seed in range(80):
        rng = np.random.default_rng(1000 + seed)
        count = int(40.0 ** rng.uniform(0.0, 1.001))  # 1 to 40
        atoms, potentials = random_atoms(count, seed), rng.uniform(0.0, 0.5 / count, count)
        slope = rng.uniform(0.0, 1.0) * random_atoms(1, seed + 500)[0]
        masses, costs = power_cells(atoms, potentials, slope)
        found = wasserstein_semidiscrete(affine(slope), atoms, masses / masses.sum(), CHORDAL2)
        worst[0] = max(worst[0], holds(found, float(np.sqrt(costs.sum()))))
        off = max(off, float(np.abs(found.potentials - potentials + masses @ potentials)[masses > 0.0].max()))
        widest = max(widest, found.gap / found.value)
        assert found.converged
    for seed in range(24):
        cost, count = COSTS[seed % 4], 2 if COSTS[seed % 4] == CHORDAL1 else 3 + seed // 12  # star-shaped cells
        atoms = random_atoms(count, 200 + seed)
        potentials = mild_potentials(atoms, cost, seed)
        cells = np.array([ray_cell(i, atoms, potentials, cost, smooth, 40) for i in range(count)])
        assert cells[:, 0].sum() == pytest.approx(SMOOTH.total, rel=1e-12), seed
        found = wasserstein_semidiscrete(SMOOTH, atoms, cells[:, 0], cost)
        worst[1] = max(worst[1], holds(found, cost.distance(float(cells[:, 1].sum())), 1e-13))
        widest = max(widest, found.gap / found.value)
        assert found.converged
    bounded("80 chordal cases by polygons, error of the value", worst[0], 2e-14)
    bounded("the same, error of the potentials", off, 1e-10)
    bounded("24 cases of every cost along rays, error of the value", worst[1], 1e-13)
    bounded("104 cases, gap relative to the value", widest, 5e-10)


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_against_linear_programming(cost: Cost) -> None:
    """POT on product grids of more and more points: cells lose what their boundaries cut off the grid."""
    atoms, weights = random_atoms(6, 31), np.array([0.05, 0.1, 0.15, 0.2, 0.2, 0.3])
    found = wasserstein_semidiscrete(SMOOTH, atoms, weights * SMOOTH.total, cost)
    truth, errors, counts = found.value**cost.p / SMOOTH.total, [], []
    for degree in (16, 24, 32, 48, 64):
        apart = []
        for seed in range(2):
            x, w = sphere_rule(3, degree)
            x = x @ turned(seed)
            mass = w * smooth(x)
            value = wasserstein_discrete(x, atoms, mass / mass.sum(), weights, cost, "emd").value
            apart.append(abs(value**cost.p - truth))
        errors.append(max(apart))
        counts.append(degree)
        print(f"degree {degree}: {errors[-1]:.2e}")
    rate = -float(linregress(np.log(counts), np.log(errors)).slope)
    number(f"rate in the degree, {cost}", rate, 2.0, atol=0.9)
    bounded(f"linear programme of 2145 points, {cost}", errors[-1], 3e-4)


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_turning_and_renumbering_change_nothing(cost: Cost) -> None:
    atoms, weights, frame = random_atoms(9, 12), np.linspace(1.0, 2.0, 9), turned(4)
    weights *= SMOOTH.total / weights.sum()
    plain = wasserstein_semidiscrete(SMOOTH, atoms, weights, cost)
    spun = wasserstein_semidiscrete(lambda x: smooth(x @ frame), atoms @ frame.T, weights, cost)
    order = np.random.default_rng(0).permutation(9)
    shuffled = wasserstein_semidiscrete(SMOOTH, atoms[order], weights[order], cost)
    bounded(f"turned, {cost}", abs(spun.value - plain.value), 5e-15)
    bounded(f"potentials turned, {cost}", float(np.abs(spun.potentials - plain.potentials).max()), 3e-11)
    bounded(f"renumbered, {cost}", abs(shuffled.value - plain.value), 5e-15)
    number("Σνψ", float(weights @ plain.potentials), 0.0, atol=1e-14)
    bounded("barycentres", float(np.abs(plain.barycenters.sum(axis=0) - SMOOTH.moment[:6].sum(axis=0)).max()), 5e-15)


def test_orders_of_the_distances() -> None:
    """W₁ ≤ W₂ for a probability, chord ≤ angle; atoms split in two close ones move the distance by no more.

    Atoms 1e-6 apart leave potentials no digits to balance masses to 1e-11: that is said, and bounded.
    """
    atoms = random_atoms(5, 3)
    w = {str(cost): wasserstein_semidiscrete(UNIFORM, atoms, cost=cost).value for cost in COSTS}
    assert w[str(CHORDAL1)] < w[str(GEODESIC1)] < w[str(GEODESIC2)] and w[str(CHORDAL1)] < w[str(CHORDAL2)]
    for apart in (1e-3, 1e-6):
        split = np.concatenate([unit(atoms + apart * random_atoms(5, 4)), unit(atoms - apart * random_atoms(5, 4))])
        for cost in COSTS if apart > 1e-4 else (GEODESIC2, CHORDAL1):
            found = wasserstein_semidiscrete(UNIFORM, split, cost=cost)
            bounded(f"atoms split by {apart}, {cost}", abs(found.value - w[str(cost)]), apart)
            bounded(f"gap, converged {found.converged}", found.gap, 1e-11 if apart > 1e-4 else 3e-10)


def test_weights_of_zero() -> None:
    atoms = random_atoms(4, 9)
    some = wasserstein_semidiscrete(UNIFORM, atoms, [0.5, 0.0, 0.3, 0.2])
    fewer = wasserstein_semidiscrete(UNIFORM, atoms[[0, 2, 3]], [0.5, 0.3, 0.2])
    number("value", some.value, fewer.value, atol=1e-15)
    assert some.masses[1] == some.costs[1] == 0.0
    number("Σνψ", float(some.weights @ some.potentials), 0.0, atol=1e-15)
    assert not np.any(some.labels(random_atoms(1000, 1)) == 1)


def test_negative_parts_and_cliffs_are_said() -> None:
    slightly = wasserstein_semidiscrete(lambda x: (x @ AXIS) ** 2 - 1e-4, PAIR)
    number("negative mass", slightly.negative_mass, 4.0 * np.pi * (2.0 / 3.0) * 1e-6, rtol=0.1)
    assert "the density is negative with mass" in slightly.status and "positive part was used" in slightly.status
    patches, edge = resolve(lambda x: 1.0 + 1.05 * (x @ AXIS)), float(np.arccos(-1.0 / 1.05))
    mass = patches.total - patches.negative_mass
    for cost in COSTS:
        found = wasserstein_semidiscrete(patches, PAIR, np.array([0.3, 0.7]) * mass, cost)
        positive, total = zonal_pair(lambda z: max(1.0 + 1.05 * z, 0.0), 0.3, cost, [edge])
        error = holds(found, cost.distance(total / positive * mass)) / found.value
        bounded(f"cut off at zero and rescaled, {cost}", error, 1e-6)
        bounded("gap relative to the value", found.gap / found.value, 1e-5)
    cliff = wasserstein_semidiscrete(lambda x: (x @ AXIS > 0.3).astype(float), PAIR, cost=CHORDAL2)
    _, total = zonal_pair(lambda z: float(z > 0.3), 0.5, CHORDAL2, [float(np.arccos(0.3))])
    holds(cliff, float(np.sqrt(total)))
    assert "in doubt" in cliff.status
    bounded("gap at a cliff", cliff.gap, 1.5e-3)


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_without_convergence_the_bounds_hold_and_it_says_so(cost: Cost) -> None:
    atoms, weights = random_atoms(20, 2), np.linspace(1.0, 9.0, 20)
    weights *= SMOOTH.total / weights.sum()
    full = wasserstein_semidiscrete(SMOOTH, atoms, weights, cost)
    cut = wasserstein_semidiscrete(SMOOTH, atoms, weights, cost, most=1)
    assert full.converged and not cut.converged
    assert cut.status.startswith("NOT CONVERGED to 1e-11, the bounds hold all the same")
    assert cut.lower <= full.lower and full.upper <= cut.upper and "20 atoms" in repr(cut)
    again = wasserstein_semidiscrete(SMOOTH, atoms, weights, cost, start=full.potentials)
    assert again.iterations <= 3
    number("from the solution", again.value, full.value, atol=2e-15)


def test_labels_and_picture(tmp_path: Path) -> None:
    found = wasserstein_semidiscrete(SMOOTH, random_atoms(15, 5))
    x = random_atoms(20_000, 6)
    assert np.array_equal(found.labels(x), winners(x, found.atoms, found.potentials, found.cost))
    found.plot(tmp_path / "cells.png", smooth)
    image = imread(tmp_path / "cells.png")
    assert image.shape[0] > 300 and image[..., :3].std() > 0.1


def bad(**changes: object) -> Callable[[], SemiDiscrete]:
    given: dict[str, object] = {"density": uniform, "atoms": np.eye(3), **changes}
    return lambda: wasserstein_semidiscrete(**given)  # type: ignore[arg-type]


def flat(value: float) -> Function:
    return lambda x: np.full(len(x), value)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (bad(weights=[0.5, 0.6, -0.1]), r"weights\[2\] = -0.1 is negative"),
        (bad(weights=[0.5, 0.6, 0.1]), "weights sum to 1.2; expected the mass to be moved, 1"),
        (bad(weights=[0.5, np.nan, 0.1]), r"weights\[1\] is not finite"),
        (bad(weights=[0.5, 0.5]), r"weights have shape \(2,\); expected \(3,\)"),
        (bad(atoms=np.eye(3)[[0, 1, 0]]), r"atoms\[0\] and atoms\[2\] are the same point"),
        (bad(atoms=1.1 * np.eye(3)), r"atoms\[0\] has length 1.1"),
        (bad(atoms=np.eye(3) * np.nan), r"atoms\[0\] is not finite"),
        (bad(atoms=np.eye(2)), r"atoms have shape \(2, 2\); expected \(n, 3\)"),
        (bad(density=flat(-1.0)), "the density has total mass -12.5664; expected a positive finite number"),
        (bad(density=flat(0.0)), "the density has total mass 0"),
        (bad(density=flat(np.nan)), "the density is not finite at"),
        (bad(cost=Cost(3.0)), "p = 3 between a density and atoms on the sphere; expected 1 or 2"),
        (bad(start=[0.0, 1.0]), r"start has shape \(2,\); expected \(3,\)"),
        (bad(start=[0.0, 1.0, np.nan]), r"start\[2\] is not finite; expected a potential per atom"),
    ],
)
def test_bad_input_is_refused_with_one_sentence(call: Callable[[], SemiDiscrete], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
