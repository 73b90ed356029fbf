"""Densities rebuilt along characteristics, against closed forms and against resolved runs."""

import numpy as np
import pytest
from physics_helpers import bounded, space_of

from spherepde import (
    Characteristics,
    ContinuityEquation,
    Hardmax,
    Head,
    Layers,
    Simulation,
    Softmax,
    Unnormalised,
    fisher_bingham,
)
from spherepde.characteristics import RecordedVelocity
from spherepde.exact import hardmax_density, hardmax_flow
from spherepde.quadrature import sphere_rule

SKEW = np.array([[0.9, 0.3, -0.2], [-0.4, 0.5, 0.1], [0.2, 0.7, -0.6]])
TURN = np.linalg.qr(SKEW)[0]


def points_on(dim, count, seed=0):
    x = np.random.default_rng(seed).standard_normal((count, dim))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def bump(dim):
    return fisher_bingham([0.3, 0.8, 0.1][:dim], np.diag([0.0, 0.5, 0.2][:dim]))


def followed(model, initial, until, folder, **options):
    """Characteristics of a run of the solver, and its nodal density at the end."""
    simulation = Simulation(model, initial, folder / "run.h5", progress=False, wasserstein=False, **options)
    result = simulation.run(until)
    assert result.status == "done"
    return Characteristics(simulation), model.space.to_nodal(result.state)


CASES = {
    "S^1": (np.diag([1.0, 0.4]), 3e-10),
    "S^2": (np.diag([1.0, 0.4, -0.3]), 5e-10),
    "S^2, top eigenvalue double": (np.diag([0.7, 0.7, 0.2]), 5e-10),
    "S^2, skew axes": (TURN @ np.diag([1.0, 0.4, 0.4]) @ TURN.T, 1e-6),
}


@pytest.mark.parametrize("case", CASES)
def test_the_projective_density_is_rebuilt_at_width_2e_9(case):
    """C1 at gap·t = 20. With skew axes the rounding 1e-16 of a point itself is 5e-8 of the cluster's width."""
    V, tolerance = CASES[case]
    head, rho0 = Head(V), bump(len(V))
    values = np.unique(np.linalg.eigvalsh(V).round(12))
    until = 20.0 / (values[-1] - values[-2])
    characteristics = Characteristics(RecordedVelocity(Hardmax(head), [0.0, until]), rho0)
    start = points_on(len(V), 400)
    for name, x in (("drawn at the start", hardmax_flow(head, start, until)), ("drawn now", start)):
        exact = hardmax_density(head, rho0, until, x)
        rebuilt = characteristics.density(until, x)
        error = np.abs(rebuilt / exact - 1.0).max()
        bounded(f"C1, {case}, points {name}, largest relative error of the density", error, tolerance)
        print(f"NUMBER C1, {case}, points {name}: smallest density {rebuilt.min():.3e}, largest {rebuilt.max():.3e}")
        assert rebuilt.min() > 0.0


@pytest.mark.parametrize(("dim", "lmax", "until"), [(2, 255, 2.5), (3, 127, 0.6)])
def test_a_resolved_softmax_density_at_beta_100(dim, lmax, until, tmp_path):
    head = Head(np.diag([1.0, 0.4, -0.3][:dim]), beta=100.0)
    model = ContinuityEquation(space_of(dim, lmax), Softmax(head))
    characteristics, nodal = followed(model, bump(dim), until, tmp_path, rtol=1e-11)
    some = (slice(None, None, 13), slice(None, None, 29))[: dim - 1]
    x = model.space.points[some].reshape(-1, dim)
    rebuilt = characteristics.density(until, x)
    error = np.abs(rebuilt - nodal[some].ravel()).max() / nodal.max()
    bounded(f"beta = 100, S^{dim - 1}, t = {until}, rebuilt against the grid, over the largest density", error, 2e-8)
    bounded(
        f"beta = 100, S^{dim - 1}, interpolation in time of the velocity", characteristics.velocity.time_error(), 1e-13
    )

    back = characteristics.flow(x, until, 0.0)
    forth = characteristics.flow(back.points, 0.0, until)
    away = np.linalg.norm(forth.points - x, axis=1).max()
    bounded(f"beta = 100, S^{dim - 1}, back and forth, distance", away, 3e-11)
    bounded("the same, log J", np.abs(back.log_jacobian + forth.log_jacobian).max(), 1e-10)


@pytest.mark.parametrize(("dim", "tolerance"), [(2, 1e-9), (3, 1e-6)])
def test_the_measure_resolves_integrals_at_width_2e_9(dim, tolerance):
    """C1 at gap·t = 20, axes askew: moments of the exact density, in terms of where its mass began.

    With u = ⟨x, e⟩ at the start, mass at a distance of order 1 from ±e is of order e^{−20}: ∫f ρ_t is
    f(e)ρ₀{u > 0} + f(−e)ρ₀{u < 0} to 1e-7.
    """
    turn = np.linalg.qr(SKEW[:dim, :dim])[0]
    head, axis = Head(turn @ np.diag([1.0, 0.5, 0.2][:dim]) @ turn.T), turn[:, 0]
    rho0, until = bump(dim), 40.0
    measure = Characteristics(RecordedVelocity(Hardmax(head), [0.0, until]), rho0).measure(until, tolerance)
    name = f"C1, measure at gap·t = 20 on S^{dim - 1}, tolerance {tolerance:g}"
    print(f"NUMBER {name}: {measure.weights.size} nodes, least weight {measure.weights.min():.1e}")
    assert (measure.weights > 0.0).all()
    assert measure.weights.size < {2: 3_000, 3: 120_000}[dim]
    bounded(f"{name}: mass − 1", abs(measure.weights.sum() - 1.0), 1e-10)
    plus = side_mass(rho0, axis)
    mean = measure.weights @ measure.points
    bounded(f"{name}: mean", np.abs(mean - (2.0 * plus - 1.0) * axis).max(), max(tolerance, 1e-7))
    second = measure.points.T @ (measure.weights[:, None] * measure.points)
    bounded(f"{name}: second moment", np.abs(second - np.outer(axis, axis)).max(), max(tolerance, 1e-7))
    on_side = measure.weights[measure.points @ axis > 0.0].sum()
    bounded(f"{name}: mass on the side of e", abs(on_side - plus), tolerance)
    exact = hardmax_flow(head, measure.initial()[0].reshape(-1, dim), until)
    away = measure.weights @ np.linalg.norm(measure.points - exact, axis=1)
    bounded(f"{name}: mean distance of nodes from their exact images", away, tolerance)


def side_mass(density, axis):
    """∫_{x·e>0} ρ₀ by a Gauss rule in the height about e."""
    dim = len(axis)
    nodes, weights = np.polynomial.legendre.leggauss(60)
    if dim == 2:
        angle = np.arctan2(axis[1], axis[0]) + 0.5 * np.pi * nodes
        return float(0.5 * np.pi * weights @ density(np.stack([np.cos(angle), np.sin(angle)], axis=1)))
    others = np.linalg.svd(axis[None])[2][1:]
    height, phi = 0.5 * (1.0 + nodes)[:, None, None], 2.0 * np.pi * np.arange(100)[:, None] / 100
    ring = np.cos(phi) * others[0] + np.sin(phi) * others[1]
    values = density(height * axis + np.sqrt(1.0 - height**2) * ring).mean(axis=1)
    return float(np.pi * weights @ values)


def test_mass_is_kept_by_the_rebuilt_density(tmp_path):
    head = Head(np.diag([1.0, 0.4, -0.3]), beta=20.0)
    model = ContinuityEquation(space_of(3, 63), Softmax(head))
    characteristics, _ = followed(model, bump(3), 0.8, tmp_path, rtol=1e-10)
    points, weights = sphere_rule(3, 60)
    mass = weights @ characteristics.density(0.8, points)
    bounded("mass of the rebuilt density, S^2, beta = 20, by quadrature of degree 60", abs(mass - 1.0), 2e-12)


MODELS = ("softmax", "unnormalised", "hardmax", "singular", "heads", "layers", "interpolated")
QUICK = [(2, model) for model in MODELS] + [(3, "hardmax"), (3, "interpolated")]
SLOW = [pytest.param(3, model, marks=pytest.mark.slow) for model in MODELS if (3, model) not in QUICK]


@pytest.mark.parametrize(("dim", "model"), QUICK + SLOW)
def test_every_attention_model_is_followed(dim, model, tmp_path):
    V, turn = SKEW[:dim, :dim], np.linalg.qr(SKEW[:dim, :dim])[0]
    B = np.diag([1.0, 0.8, 0.7][:dim]) @ turn
    other, isotropic = Head(np.diag([0.8, 0.2, -0.3][:dim]), beta=5.0), Head(V, 0.8 * np.eye(dim), beta=6.0)
    flat = Head(V, np.diag([1.0, 0.0, 0.6][:dim]), beta=4.0)
    until = 0.4 if dim == 2 else 0.25
    attention = {
        "softmax": Softmax(Head(V, B, beta=8.0)),
        "unnormalised": Unnormalised(Head(V, B, beta=1.5)),
        "hardmax": Hardmax(Head(V, B)),
        "singular": Softmax(flat),
        "heads": Softmax([Head(V, B, beta=8.0), other], combine="mean"),
        "layers": Softmax(Layers([Head(V, B, beta=8.0), other], times=[0.0, 0.17, 0.3])),
        "interpolated": Softmax(Layers([isotropic, other], times=[0.0, 0.2], interpolate=True)),
    }[model]
    equation = ContinuityEquation(space_of(dim, 127 if dim == 2 else 63), attention)
    characteristics, nodal = followed(equation, bump(dim), until, tmp_path, rtol=1e-11)
    some = (slice(None, None, 11), slice(None, None, 23))[: dim - 1]
    rebuilt = characteristics.density(until, equation.space.points[some].reshape(-1, dim))
    error = np.abs(rebuilt / nodal[some].ravel() - 1.0).max()
    bounded(f"{model}, S^{dim - 1}, t = {until}, rebuilt against the grid, relative", error, 5e-9)


def test_turning_everything_turns_the_density(tmp_path):
    V, B = np.diag([1.0, 0.4, -0.3]), np.diag([1.0, 0.7, 0.8])
    model = ContinuityEquation(space_of(3, 47), Softmax(Head(V, B, beta=6.0)))
    characteristics, _ = followed(model, bump(3), 0.2, tmp_path, rtol=1e-9)
    velocity, space = characteristics.velocity, model.space
    degree = int(np.sqrt(2 * len(velocity.moments(0.0)))) - 1
    source = space.refined(degree)
    moments = np.array([source.rotate(velocity.moments(t), TURN) for t in velocity.t])
    turned_head = Head(TURN @ V @ TURN.T, TURN @ B @ TURN.T, beta=6.0)
    rho0 = fisher_bingham(TURN @ [0.3, 0.8, 0.1], TURN @ np.diag([0.0, 0.5, 0.2]) @ TURN.T)
    turned = Characteristics(RecordedVelocity(Softmax(turned_head), velocity.t, moments), rho0)
    x = points_on(3, 60)
    error = np.abs(turned.density(0.2, x @ TURN.T) / characteristics.density(0.2, x) - 1.0).max()
    bounded("equivariance of the rebuilt density, S^2, general B", error, 2e-13)
