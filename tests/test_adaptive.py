"""Cells that move and divide: what they weigh, what they integrate, what they cost, and what is refused."""

import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import i0e, i1e

from spherepde import Head, InputError, NumericalError, fisher_bingham, mixture, uniform, von_mises_fisher
from spherepde.adaptive import CellMeasure, Resolution, carry, initial_cells, march_cells
from spherepde.adaptive.peaks import sharp_peaks
from spherepde.adaptive.resolution import gaussian_length
from spherepde.exact import hardmax_flow
from spherepde.quadrature import sphere_rule

sys.path.insert(0, str(Path(__file__).parent / "physics"))

from physics_helpers import bounded, number

GAP = 0.5
FINE_CELLS = Resolution(1e-3, 0.02)
"""So fine that short motions divide nothing, at tolerance 1e-3."""


def matrix(dim):
    """Symmetric, with a gap of 0.5 above its other eigenvalues, and no axis along a coordinate."""
    turn = np.linalg.qr(np.array([[0.9, 0.3, -0.2], [-0.4, 0.5, 0.1], [0.2, 0.7, -0.6]])[:dim, :dim])[0]
    return turn @ np.diag([1.0, 0.5, 0.2][:dim]) @ turn.T, turn[:, 0]


def projective(A):
    """The hardmax velocity for B = I."""

    def velocity(t, points, weights):
        moved = points @ A.T
        return moved - points * np.sum(points * moved, axis=1)[:, None]

    return velocity


def bump(dim):
    return fisher_bingham([0.3, 0.8, 0.1][:dim], np.diag([0.0, 0.5, 0.2][:dim]))


def fine_rule(density, dim):
    """Nodes and weights of the initial density that know nothing of cells: equispaced, or Gauss in both angles."""
    if dim == 2:
        theta = 2.0 * np.pi * np.arange(400) / 400
        x, w = np.stack([np.cos(theta), np.sin(theta)], axis=1), np.full(400, 2.0 * np.pi / 400)
    else:
        x, w = sphere_rule(60)
    return x, w * density(x)


# ---- mass and integrals under the exact flow C1


@pytest.mark.parametrize("dim", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_measure_of_width_2e_minus_9_keeps_mass_positivity_and_integrals(dim):
    """gap·t = 20: the image of every integrand is pulled back by the exact flow and integrated over the start."""
    A, axis = matrix(dim)
    t = 20.0 / GAP
    tolerance = {2: 1e-11, 3: 1e-8}[dim]
    cells = initial_cells(bump(dim), dim, tolerance, axis=axis if dim == 3 else None)
    moved = carry(cells, projective(A), 0.0, t, Resolution(tolerance), rtol=1e-11)
    assert moved.points.shape == (len(moved.weights), dim)
    assert (moved.weights > 0.0).all()
    bounded(f"S{dim - 1}: mass − 1", abs(moved.weights.sum() - 1.0), 1e-12)
    bounded(f"S{dim - 1}: length − 1", np.abs(np.linalg.norm(moved.points, axis=1) - 1.0).max(), 1e-15)
    # E = R·axis: mass leaves the strip |x.axis| < s as e^{−20}; beyond that every integral is that over ±axis
    plus = half_mass(bump(dim), axis)
    limit = [np.outer(axis, axis), plus * np.exp(0.7) + (1.0 - plus) * np.exp(-0.7)]
    spread = 20.0 * np.exp(-20.0)
    bounded(
        f"S{dim - 1}: second moment",
        np.abs(moved.points.T @ (moved.weights[:, None] * moved.points) - limit[0]).max(),
        3 * spread,
    )
    number(
        f"S{dim - 1}: ∫exp(0.7 e·x)",
        moved.integrate(np.exp(0.7 * moved.points @ axis)),
        limit[1],
        atol=10 * tolerance + spread,
    )
    number(
        f"S{dim - 1}: mass on the side of e", moved.weights[moved.points @ axis > 0.0].sum(), plus, atol=tolerance * 10
    )


def half_mass(density, axis):
    """∫_{x·e>0} ρ₀ by Gauss rules about e."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    dim = len(axis)
    if dim == 2:
        angle = np.arctan2(axis[1], axis[0]) + 0.5 * np.pi * nodes
        return 0.5 * np.pi * weights @ density(np.stack([np.cos(angle), np.sin(angle)], axis=1))
    first = np.cross(axis, [1.0, 0.0, 0.0])
    first /= np.linalg.norm(first)
    second, height = np.cross(axis, first), 0.5 * (1.0 + nodes)
    phi = 2.0 * np.pi * np.arange(100) / 100
    ring = np.cos(phi)[:, None] * first + np.sin(phi)[:, None] * second
    x = height[:, None, None] * axis + np.sqrt(1.0 - height**2)[:, None, None] * ring
    values = density(x.reshape(-1, 3)).reshape(60, 100).mean(axis=1)
    return float(np.pi * weights @ values)


@pytest.mark.parametrize(
    ("dim", "limit"), [(2, 2.0 * np.log(2.0)), pytest.param(3, np.pi * np.log(2.0), marks=pytest.mark.slow)]
)
def test_squared_distance_to_e_decays_as_theory_says(dim, limit):
    """C2: W₂² ≈ 2 ln 2·ε on S¹ and π ln 2·ε on S², ε = e^{−gap·t}, from uniform data, with gap·t = 16."""
    A = np.diag([0.0] * (dim - 1) + [GAP])
    epsilon = np.exp(-16.0)
    cells = initial_cells(uniform(dim), dim, 1e-11 if dim == 2 else 1e-8)
    resolution = Resolution(1e-12 if dim == 2 else 1e-10)
    moved = carry(cells, projective(A), 0.0, 16.0 / GAP, resolution, rtol=1e-11)
    x, w = moved.points, moved.weights
    angle = np.arctan2(np.linalg.norm(x[:, :-1], axis=1), np.abs(x[:, -1]))
    number(f"S{dim - 1}: W₂² / ε", w @ angle**2 / epsilon, limit, rtol=1e-4)


@pytest.mark.parametrize("t", [4.0, 16.0])
def test_circle_integrals_against_the_exact_flow(t):
    """∫f(X_t) ρ₀ by adaptive quadrature of the exact flow, f = exp(a·x)."""
    A, axis = matrix(2)
    head, a = Head(A), np.array([0.4, -1.1])
    density = bump(2)
    separatrix = np.arctan2(axis[1], axis[0]) + 0.5 * np.pi
    near = np.exp(-GAP * t) * np.array([0.0, 1.0, 10.0, 100.0, 1000.0])

    def integrand(theta):
        x = np.array([[np.cos(theta), np.sin(theta)]])
        return float(density(x)[0] * np.exp(hardmax_flow(head, x, t)[0] @ a))

    truth = 0.0
    for base in (separatrix, separatrix + np.pi):
        edges = np.unique(
            np.clip(
                np.concatenate([base - near, base + near, [base - np.pi / 2, base + np.pi / 2]]),
                base - np.pi / 2,
                base + np.pi / 2,
            )
        )
        truth += sum(quad(integrand, low, high, epsabs=1e-13, limit=200)[0] for low, high in pairwise(edges))
    errors = []
    for tolerance in (1e-5, 1e-7, 1e-9, 1e-11):
        moved = carry(
            initial_cells(density, 2, tolerance),
            projective(A),
            0.0,
            t,
            Resolution(tolerance),
            rtol=max(0.1 * tolerance, 1e-12),
        )
        errors.append(abs(float(moved.integrate(np.exp(moved.points @ a))) - truth))
        bounded(f"t = {t:g}, tolerance {tolerance:g}", errors[-1], max(tolerance, 1e-11))


def test_depleted_zone_keeps_its_relative_accuracy_in_cells_below_rounding():
    """gap·t = 45, separatrix at a generic angle: ∫(1−(x·e)²)⁴ρ = (5/16)e^{−45}, from cells deeper than 1e-17.

    Light cells that are seen are followed to the fourth root of the tolerance, 1.8e-3.
    """
    A, axis = matrix(2)
    everything = {"seen": lambda cells: np.ones(len(cells.along), dtype=bool)}
    cells = initial_cells(uniform(2), 2, 1e-11)
    *_, last = march_cells(cells, projective(A), 0.0, 45.0 / GAP, Resolution(1e-11), rtol=1e-11, **everything)
    moved = last.measure
    assert 2.0 * moved.half_across.min() < 1e-17
    assert len(moved.along) < 1000
    depleted = moved.weights @ (1.0 - (moved.points @ axis) ** 2) ** 4
    number("S1: ∫(1−(x·e)²)⁴ρ·e^{gap t}", depleted * np.exp(45.0), 5.0 / 16.0, rtol=1e-2)
    bounded("S1: mass − 1", abs(moved.weights.sum() - 1.0), 1e-12)


@pytest.mark.slow
def test_cells_follow_a_separatrix_that_no_coordinate_line_follows():
    """Coordinates about the wrong axis: curved strips, few, where squares would be more than e^{12} = 160 000 cells."""
    A, _ = matrix(3)
    counts, cells, now = [], initial_cells(uniform(3), 3, 1e-3), 0.0
    for gap_t in (4.0, 8.0, 12.0):
        cells = carry(cells, projective(A), now, gap_t / GAP, Resolution(1e-3), rtol=1e-5)
        now = gap_t / GAP
        counts.append(len(cells.along))
    print(f"NUMBER S2: cells at gap·t = 4, 8, 12: {counts}")
    assert counts[2] < 3000 and counts[2] < 1.5 * counts[1]
    thin = (cells.half_across.max(axis=1) / cells.half_along).min()
    bounded("S2: thinnest cell, across over along", thin, 1e-2)
    bounded("S2: mass − 1", abs(cells.weights.sum() - 1.0), 1e-12)


# ---- motion


def test_dense_output_is_of_order_seven():
    """One step of size h, its middle against the exact flow: the error falls like h⁸."""
    A, _ = matrix(2)
    cells = initial_cells(bump(2), 2, 1e-8).refined(FINE_CELLS)
    errors, sizes = [], [0.4, 0.2, 0.1]
    for h in sizes:
        step = next(march_cells(cells, projective(8.0 * A), 0.0, h, Resolution(1e-3), rtol=1.0, first_step=h))
        assert step.start == 0.0 and step.time == h and len(step.measure.weights) == len(cells.weights)
        exact = hardmax_flow(Head(8.0 * A), cells.points, 0.37 * h)
        errors.append(np.abs(step.at(0.37 * h).points - exact).max())
        assert step.at(h) is step.measure
    order = np.log(errors[0] / errors[-1]) / np.log(sizes[0] / sizes[-1])
    number("order of the local error at 0.37 h", order, 8.0, atol=0.7)


def test_a_march_back_returns_to_the_start():
    A, _ = matrix(2)
    cells = initial_cells(bump(2), 2, 1e-10)
    there = carry(cells, projective(A), 1.0, 9.0, Resolution(1e-10), rtol=1e-11)
    back = carry(there, projective(A), 9.0, 1.0, Resolution(1e-10), rtol=1e-11)
    a = np.array([0.4, -1.1])
    assert len(there.weights) > len(cells.weights)
    assert abs(there.integrate(np.exp(there.points @ a)) - cells.integrate(np.exp(cells.points @ a))) > 0.1
    number("∫exp(a·x)", back.integrate(np.exp(back.points @ a)), cells.integrate(np.exp(cells.points @ a)), atol=1e-9)


@pytest.mark.parametrize(("start", "stop"), [(0.0, 1.0), (1.0, 0.0)])
def test_a_jump_of_the_velocity_is_stepped_on_and_never_asked_for(start, stop):
    """A before t = 0.5, −A after it: all is back at the end, and no step is spent on finding the jump."""
    A, _ = matrix(2)
    asked = []

    def velocity(t, points, weights):
        asked.append(t)
        return projective(A if t < 0.5 else -A)(t, points, weights)

    cells = initial_cells(bump(2), 2, 1e-8).refined(FINE_CELLS)
    steps = list(march_cells(cells, velocity, start, stop, Resolution(1e-3), rtol=1e-9, breaks=[0.5]))
    assert 0.5 in [step.time for step in steps] and steps[-1].time == stop
    assert 0.5 not in asked
    bounded("distance from the start", np.abs(steps[-1].measure.points - cells.points).max(), 1e-9)
    asked.clear()
    list(march_cells(cells, velocity, start, stop, Resolution(1e-3), rtol=1e-9))
    unaware = len(asked)
    asked.clear()
    list(march_cells(cells, velocity, start, stop, Resolution(1e-3), rtol=1e-9, breaks=[0.5]))
    assert len(asked) < 0.8 * unaware


def test_arrays_give_the_same_measure_bit_for_bit():
    A, axis = matrix(3)
    cells = carry(initial_cells(bump(3), 3, 1e-5, axis=axis), projective(A), 0.0, 3.0, Resolution(1e-5))
    again = CellMeasure.from_arrays(bump(3), cells.to_arrays())
    assert again.points.tobytes() == cells.points.tobytes() and again.weights.tobytes() == cells.weights.tobytes()
    further = [carry(c, projective(A), 3.0, 5.0, Resolution(1e-5)) for c in (cells, again)]
    assert len(further[0].weights) > len(cells.weights)
    assert further[0].points.tobytes() == further[1].points.tobytes()
    assert further[0].weights.tobytes() == further[1].weights.tobytes()


@pytest.mark.parametrize("order", [12, 16])
@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-8])
def test_longest_cells_integrate_gaussians_to_the_tolerance(order, tolerance):
    """A Gaussian anywhere among such cells, against √(2π); cells half as long again miss the tolerance."""
    nodes, weights = np.polynomial.legendre.leggauss(order)

    def error(length):
        edges = length * np.arange(-60, 60)
        worst = 0.0
        for offset in np.linspace(0.0, length, 23):
            x = edges[:, None] + 0.5 * length * (1.0 + nodes) + offset
            worst = max(worst, abs(np.sum(np.exp(-0.5 * x**2) @ (0.5 * length * weights)) / np.sqrt(2.0 * np.pi) - 1.0))
        return worst

    length = gaussian_length(order, tolerance)
    assert error(length) < 1.2 * tolerance < error(1.5 * length)


# ---- what is refused


def test_what_cannot_be_followed_is_said_in_a_sentence(monkeypatch):
    with pytest.raises(InputError, match="the initial density takes more than 600000 nodes"):
        initial_cells(lambda x: 0.5 / np.pi * (1.0 + 0.5 * np.sin(1e6 * x[:, 0])), 2)
    with pytest.raises(InputError, match="mass 2; expected 1"):
        initial_cells(lambda x: np.full(len(x), 1.0 / np.pi), 2)
    with pytest.raises(InputError, match="dim = 4; expected 2 or 3"):
        initial_cells(uniform(3), 4)
    for axis in ([0.0, 0.0, 0.0], [1.0, 0.0], [1.0, 0.0, np.nan]):
        with pytest.raises(InputError, match="expected a direction"):
            initial_cells(uniform(3), 3, axis=axis)
    cells = initial_cells(uniform(2), 2, 1e-8)
    with pytest.raises(NumericalError, match="no step left at t = 0"):
        carry(cells, lambda t, x, w: np.full(x.shape, np.nan), 0.0, 1.0)
    A, _ = matrix(2)
    monkeypatch.setattr("spherepde.adaptive.cells.MOST_NODES", 600)
    with pytest.raises(NumericalError, match="takes more than 600 nodes"):
        carry(cells, projective(A), 0.0, 40.0, Resolution(1e-10))
    shattering = replace(cells, images=np.random.default_rng(0).permutation(cells.points).reshape(cells.images.shape))
    monkeypatch.setattr("spherepde.adaptive.cells.MOST_NODES", 10**7)
    monkeypatch.setattr("spherepde.adaptive.cells.DEPTH", 5)
    with pytest.raises(NumericalError, match="the flow map is too rough"):
        shattering.refined(Resolution(1e-12, 1e-3))


# ---- peaked initial densities


def vmf_moments(dim, kappa):
    """⟨x, μ⟩ and the variance along a tangent, of a von Mises–Fisher density."""
    along = 1.0 / np.tanh(kappa) - 1.0 / kappa if dim == 3 else i1e(kappa) / i0e(kappa)
    return along, along / kappa


@pytest.mark.parametrize("kappa", [50.0, 1e3, 1e4, 1e6])
@pytest.mark.parametrize("dim", [2, 3])
def test_a_peaked_density_takes_nodes_for_its_peak_alone(dim, kappa):
    """Mean and variance of von Mises–Fisher densities in closed form; cells elsewhere need not be smooth on S²."""
    mean = np.array([1.0, 0.1, 0.05])[:dim]
    mean /= np.linalg.norm(mean)
    density = von_mises_fisher(mean, kappa)
    along, variance = vmf_moments(dim, kappa)
    across = np.linalg.svd(mean[None])[2][1]
    for tolerance in (1e-3, 1e-7):
        cells = initial_cells(density, dim, tolerance)
        assert cells.weights.size < {2: 2_000, 3: 30_000}[dim]
        name = f"S{dim - 1}, κ = {kappa:g}, tolerance {tolerance:g}"
        bounded(f"{name}: mass − 1", abs(cells.weights.sum() - 1.0), 1e-12)
        bounded(f"{name}: 1 − ⟨x, μ⟩", abs(cells.weights @ (cells.points @ mean) - along), tolerance)
        # in units of the variance itself: the cells at the peak must see its shape, not its mass alone
        error = abs(cells.weights @ (cells.points @ across) ** 2 / variance - 1.0)
        bounded(f"{name}: variance, relative", error, 10.0 * tolerance)


@pytest.mark.parametrize("dim", [2, 3])
def test_a_peak_in_a_sea_of_other_mass_is_found(dim):
    """Half the mass on 1e-3 of a radian, seen by no first node; two peaks far apart; and a peak at a pole."""
    mean, away = np.eye(dim)[0] + 0.1 * np.eye(dim)[1], np.array([-0.3, -1.0, 0.7])[:dim]
    mean, away = mean / np.linalg.norm(mean), away / np.linalg.norm(away)
    sea = mixture([(0.5, von_mises_fisher(mean, 1e6)), (0.5, uniform(dim))])
    cells = initial_cells(sea, dim, 1e-8)
    expected = 0.5 * vmf_moments(dim, 1e6)[0] * mean
    bounded(f"S{dim - 1}: mean, in a sea", np.abs(cells.weights @ cells.points - expected).max(), 1e-8)
    two = mixture([(0.3, von_mises_fisher(mean, 1e6)), (0.7, von_mises_fisher(away, 2e4))])
    cells = initial_cells(two, dim, 1e-8)
    expected = 0.3 * vmf_moments(dim, 1e6)[0] * mean + 0.7 * vmf_moments(dim, 2e4)[0] * away
    bounded(f"S{dim - 1}: mean, two peaks", np.abs(cells.weights @ cells.points - expected).max(), 1e-8)
    pole = np.eye(dim)[-1]
    cells = initial_cells(von_mises_fisher(pole, 1e6), dim, 1e-8)
    bounded(f"S{dim - 1}: mean, at a pole", abs(cells.weights @ cells.points @ pole - vmf_moments(dim, 1e6)[0]), 1e-8)


def test_peaks_are_where_and_as_wide_as_they_are():
    mean = np.array([0.3, -0.5, 0.8])
    mean /= np.linalg.norm(mean)
    found = sharp_peaks(von_mises_fisher(mean, 1e6), 3)
    assert found.tops.shape == (1, 3) and np.linalg.norm(found.tops[0] - mean) < 1e-7
    assert 0.5 < found.widths[0] / np.sqrt(2.0 * np.log(2.0) / 1e6) <= 1.0  # half its value there
    assert len(sharp_peaks(bump(3), 3).tops) == 0
    assert len(sharp_peaks(lambda x: np.zeros(len(x)), 2).tops) == 0


def test_more_nodes_than_are_followed_and_peaks_that_no_scan_sees_are_refused():
    with pytest.raises(InputError, match=r"takes \d+ nodes, more than the 1000 that are followed"):
        initial_cells(von_mises_fisher([1.0, 0.1, 0.0], 1e4), 3, 1e-7, most_nodes=1000)
    with pytest.raises(InputError, match="mass 0; expected 1, and no peaks too sharp to find"):
        initial_cells(von_mises_fisher([1.0, 0.1, 0.0], 1e12), 3, 1e-7)
    with pytest.raises(InputError, match="tolerance = '1e-3'; expected a number > 0"):
        initial_cells(uniform(3), 3, "1e-3")
