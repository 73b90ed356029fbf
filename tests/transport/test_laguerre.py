"""Laguerre cells on the 2-sphere: masses, costs, moments, couplings against boundary integrals, rays, counting."""

from __future__ import annotations

import numpy as np
import pytest
from physics_helpers import bounded
from transport_helpers import (
    COSTS,
    Array,
    affine,
    mild_potentials,
    platonic,
    power_cells,
    random_atoms,
    ray_cell,
    spiral,
    turned,
    uniform,
    unit,
    winners,
)

from spherepde.errors import InputError
from spherepde.transport.costs import Cost
from spherepde.transport.laguerre import laguerre_cells, resolve
from spherepde.transport.laguerre.patches import FACES

CHORD2 = Cost(2.0, "chordal")
UNIFORM = resolve(uniform)


def smooth(x: Array) -> Array:
    return 0.1 * np.exp(x @ np.array([0.9, -1.1, 0.6]) + x[:, 0] * x[:, 1])


SMOOTH = resolve(smooth)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 12, 40])
def test_chordal_cells_are_polygons_of_circle_arcs(count: int) -> None:
    """Random power diagrams, some with empty cells: Gauss–Bonnet and Stokes on the arcs, density (1 + ⟨a, x⟩)/4π."""
    mass_error, cost_error = 0.0, 0.0
    for seed in range(3):
        atoms, slope = random_atoms(count, 10 * count + seed), 0.9 * random_atoms(1, seed)[0]
        potentials = np.random.default_rng(seed).uniform(0.0, 1.5 / count, count)
        masses, costs = power_cells(atoms, potentials, slope)
        assert masses.sum() == pytest.approx(1.0, abs=1e-14)
        cells = laguerre_cells(resolve(affine(slope)), atoms, potentials, CHORD2, full=True)
        mass_error = max(mass_error, float(np.abs(cells.mass - masses).max()))
        cost_error = max(cost_error, float(np.abs(cells.cost - costs).max()))
    bounded(f"masses of {count} chordal cells", mass_error, 5e-15)
    bounded(f"costs of {count} chordal cells", cost_error, 5e-15)


@pytest.mark.parametrize("separation", [1e-3, 1e-6])
def test_clustered_atoms(separation: float) -> None:
    """Three atoms next to each other among five: the thin cells by their arcs (offsets lose ulp/separation)."""
    atoms = random_atoms(5, 4)
    atoms[:3] = unit(atoms[0] + separation * random_atoms(3, 5))
    potentials = np.array([0.0, 0.3, -0.2, 0.05, 0.02]) * np.array([separation, separation, separation, 1.0, 1.0])
    masses, costs = power_cells(atoms, potentials)
    cells = laguerre_cells(UNIFORM, atoms, potentials, CHORD2, full=True)
    bounded(f"masses of atoms {separation} apart", float(np.abs(cells.mass - masses).max()), 1e-16 / separation)
    bounded(f"costs of atoms {separation} apart", float(np.abs(cells.cost - costs).max()), 1e-16 / separation)


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_cells_of_every_cost_along_rays(cost: Cost) -> None:
    """Quadrature in log coordinates about each atom, boundary and corners by bisection, for a smooth density."""
    errors = np.zeros(5)
    for count in (2, 4, 7):
        atoms = random_atoms(count, count + 50)
        potentials = mild_potentials(atoms, cost, count)
        expected = np.array([ray_cell(i, atoms, potentials, cost, smooth) for i in range(count)])
        cells = laguerre_cells(SMOOTH, atoms, potentials, cost, full=True)
        found = np.column_stack([cells.mass, cells.cost, cells.moment])
        assert expected[:, 0].sum() == pytest.approx(SMOOTH.total, rel=1e-13)
        errors = np.maximum(errors, np.abs(found - expected).max(axis=0))
        bounded("doubtful mass", cells.doubt, 0.0)
    bounded(f"masses, {cost}", errors[0], 1e-14)
    bounded(f"costs, {cost}", errors[1], 1e-14)
    bounded(f"moments, {cost}", float(errors[2:].max()), 1e-14)


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_wild_cells_by_counting(cost: Cost) -> None:
    """Potentials so apart that some atoms lie outside their cells and some cells are empty or in pieces."""
    x, worst = spiral(400_000), 0.0
    for seed in range(3):
        atoms = random_atoms(9, 70 + seed)
        potentials = np.random.default_rng(seed).uniform(0.0, 0.5 * cost.largest, 9)
        label = winners(x, atoms, potentials, cost)
        counted = np.bincount(label, smooth(x), minlength=9) * 4.0 * np.pi / len(x)
        cells = laguerre_cells(SMOOTH, atoms, potentials, cost)
        worst = max(worst, float(np.abs(cells.mass - counted).max()) / SMOOTH.total)
        assert np.all(cells.mass[counted == 0.0] < 1e-4)
    bounded(f"share of the mass against 400 000 labels, {cost}", worst, 2e-4)


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_couplings_are_derivatives_of_the_masses(cost: Cost) -> None:
    """Against central differences of masses found along rays; rows of the Hessian sum to zero by construction."""
    atoms, h = random_atoms(5, 53), 1e-4
    potentials = mild_potentials(atoms, cost, 8)
    assert sum(ray_cell(i, atoms, potentials, cost, smooth)[0] for i in range(5)) == pytest.approx(SMOOTH.total, 1e-13)
    coupling = laguerre_cells(SMOOTH, atoms, potentials, cost).coupling.toarray()
    bounded("asymmetry", float(np.abs(coupling - coupling.T).max()), 0.0)
    assert np.all(coupling >= 0.0) and np.all(np.diag(coupling) == 0.0)
    worst = 0.0
    for j in range(2):
        up, down = potentials + h * np.eye(5)[j], potentials - h * np.eye(5)[j]
        for i in range(5):
            rise = ray_cell(i, atoms, up, cost, smooth)[0] - ray_cell(i, atoms, down, cost, smooth)[0]
            expected = coupling[j].sum() if i == j else -coupling[i, j]
            worst = max(worst, abs(rise / (2.0 * h) - expected))
    bounded(f"∂mass/∂ψ against central differences, {cost}", worst, 1e-7)


def test_couplings_of_chordal_polygons() -> None:
    atoms, h = random_atoms(12, 6), 1e-5
    potentials = np.random.default_rng(1).uniform(0.0, 0.1, 12)
    coupling = laguerre_cells(UNIFORM, atoms, potentials, CHORD2).coupling.toarray()
    hessian = np.diag(coupling.sum(axis=1)) - coupling
    worst = 0.0
    for j in range(12):
        rise = (
            power_cells(atoms, potentials + h * np.eye(12)[j])[0]
            - power_cells(atoms, potentials - h * np.eye(12)[j])[0]
        )
        worst = max(worst, float(np.abs(rise / (2.0 * h) - hessian[j]).max()))
    bounded("Hessian of 12 polygons against central differences", worst, 5e-11)


@pytest.mark.parametrize("cost", COSTS, ids=str)
@pytest.mark.parametrize("name", list(platonic()))
def test_platonic_cells_are_equal(name: str, cost: Cost) -> None:
    """Three, four or five cells meet at a point; as they stand, and turned at random."""
    atoms, _ = platonic()[name]
    worst = 0.0
    for frame in (np.eye(3), turned(3)):
        cells = laguerre_cells(UNIFORM, atoms @ frame, np.zeros(len(atoms)), cost)
        worst = max(worst, float(np.abs(cells.mass - 1.0 / len(atoms)).max()), cells.doubt)
    bounded(f"masses of the {name}, {cost}", worst, 2e-15)


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_atoms_on_edges_and_corners_of_the_cube(cost: Cost) -> None:
    """Where tiles of different faces meet: corners, mid-edges and centres of the cube that carries the density."""
    _, u, v = FACES[0]
    n = FACES[0][0]
    atoms = unit(np.array([n, n + u, n + u + v, -n, u - v, -n - u - v]))
    potentials = mild_potentials(atoms, cost, 2)
    expected = [ray_cell(i, atoms, potentials, cost, smooth)[0] for i in range(6)]
    cells = laguerre_cells(SMOOTH, atoms, potentials, cost)
    bounded(f"masses, {cost}", float(np.abs(cells.mass - expected).max()), 5e-15)


def test_background_mixes_in_the_uniform_density() -> None:
    atoms, potentials = random_atoms(7, 1), np.zeros(7)
    plain, flat = (laguerre_cells(p, atoms, potentials, CHORD2).mass for p in (SMOOTH, UNIFORM))
    mixed = laguerre_cells(SMOOTH, atoms, potentials, CHORD2, background=0.3).mass
    bounded("mixture", float(np.abs(mixed - 0.7 * plain - 0.3 * SMOOTH.total * flat).max()), 4e-15)


def test_other_powers_are_refused() -> None:
    with pytest.raises(InputError, match="p = 1.5 between a density and atoms on the sphere; expected 1 or 2"):
        laguerre_cells(UNIFORM, random_atoms(2, 0), np.zeros(2), Cost(1.5))
