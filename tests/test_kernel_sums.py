"""Kernel sums for any score matrix against plain sums over a quadrature rule: accuracy, singular scores, the choice."""

import mpmath
import numpy as np
import pytest
from physics.physics_helpers import bounded

from spherepde.heads import Head
from spherepde.kernel_sums import kernel_sums
from spherepde.kernel_sums.ellipse import EllipseSums
from spherepde.kernel_sums.ellipsoid import EllipsoidSums, smooth_degrees
from spherepde.kernel_sums.radial import RadialFactors
from spherepde.kernel_sums.ring import CircleSums, PlaneSums
from spherepde.kernel_sums.sphere import IsotropicSums, ScatteredSums
from spherepde.spaces import Circle, Sphere

BETAS = (1.0, 10.0, 100.0, 1000.0)
RATIOS = (1.0, 0.5, 0.1, 0.0)


def degrees_of(head):
    return smooth_degrees(head, 1.2e6)


def turn(rng, dim):
    q = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    return q if rng.random() < 0.5 else q * np.sign(np.linalg.det(q))  # reflections as often as rotations


def score(ratio, dim, seed, middle=0.6):
    """A matrix with σ_max = 1 and σ_min = ratio between random orthogonal ones."""
    rng = np.random.default_rng([seed, dim, int(1000 * ratio)])
    sizes = [1.0, ratio] if dim == 2 else [1.0, max(middle, ratio), ratio]
    return turn(rng, dim) @ np.diag(sizes) @ turn(rng, dim)


def unit_vectors(count, dim, seed=0):
    x = np.random.default_rng(seed).normal(size=(count, dim))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def density(x):
    """Positive, smooth, without symmetry."""
    c = x[..., :2] @ [0.5, -0.4] + 0.3 * x[..., 0] * x[..., 1]
    return np.exp(c + (0.3 * x[..., 2] * (x[..., 0] - 1.0) if x.shape[-1] == 3 else 0.0)) / 8.0


def rule(dim, degree):
    """A quadrature of this file's own, finer than the kernel needs."""
    if dim == 2:
        angle = 2.0 * np.pi * (np.arange(2 * degree) + 0.3) / (2 * degree)
        return np.stack([np.cos(angle), np.sin(angle)], axis=-1), np.full(2 * degree, np.pi / degree)
    theta = np.pi * (np.arange(2 * degree) + 0.5) / (2 * degree)  # Fejér's rule: angles keep their digits at the poles
    k = np.arange(1, degree)
    w = (1.0 - 2.0 * np.cos(2.0 * np.outer(theta, k)) @ (1.0 / (4.0 * k**2 - 1.0))) / degree
    phi = np.pi * (np.arange(2 * degree) + 0.3) / degree
    theta, azimuth = (a.ravel() for a in np.meshgrid(theta, phi, indexing="ij"))
    points = np.stack([np.sin(theta) * np.cos(azimuth), np.sin(theta) * np.sin(azimuth), np.cos(theta)], axis=-1)
    return points, np.repeat(w, 2 * degree) * np.pi / degree


def plain_sums(head, targets, degree):
    """Z e^{−β|Bᵀx|} and m, one target after the other."""
    y, weights = rule(head.dim, degree)
    mass = weights * density(y)
    partition, mean = np.empty(len(targets)), np.empty_like(targets)
    for i, w in enumerate(head.beta * targets @ head.B):
        a = np.exp(y @ w - np.linalg.norm(w)) * mass
        partition[i] = a.sum()
        mean[i] = a @ y / partition[i]
    return partition, mean


def found_sums(sums, dim, count):
    space = (Circle if dim == 2 else Sphere)(max(sums.source_degree, 24))
    c = space.restrict(space.project(density), sums.source_degree)
    partition, first = np.empty(count), np.empty((dim, count))
    sums.evaluate(c, partition, first)
    return partition, (first / partition).T


def worst(sums, head, targets, sample=slice(None)):
    """Largest relative error of Z and error of m over the sampled targets."""
    partition, mean = found_sums(sums, head.dim, len(targets))
    expected, expected_mean = plain_sums(head, targets[sample], sums.source_degree + 40)
    return max(np.max(np.abs(partition[sample] / expected - 1.0)), np.max(np.abs(mean[sample] - expected_mean)))


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("dim", [2, 3])
def test_any_score_matches_plain_sums(dim, ratio, beta):
    head, targets = Head(np.eye(dim), score(ratio, dim, seed=int(beta)), beta=beta), unit_vectors(120, dim)
    kind = {1.0: IsotropicSums, 0.0: PlaneSums}.get(ratio, ScatteredSums) if dim == 3 else CircleSums
    options = {CircleSums: (), PlaneSums: (1, "auto")}.get(kind, (1,))
    sums = kind(head, targets, *options)
    error = worst(sums, head, targets)
    bounded(f"{kind.__name__} on S{dim - 1}, ratio {ratio:g}, beta {beta:g}: error of Z and m", error, 2e-12)
    chosen = kernel_sums(head, targets)
    assert isinstance(chosen, EllipsoidSums if kind is ScatteredSums and beta <= 10.0 else (kind, EllipsoidSums))
    assert worst(chosen, head, targets) < 1e-10


@pytest.mark.parametrize(
    ("ratio", "middle", "beta"),
    [(*sizes, beta) for sizes in [(0.5, 0.6), (0.1, 0.6), (0.1, 0.12)] for beta in BETAS]
    + [(0.03, 0.9, 100.0), (0.03, 0.04, 100.0)],
)
def test_the_ellipsoid_grid_matches_plain_sums(ratio, middle, beta):
    """Flat ellipsoids and long ones."""
    head, targets = Head(np.eye(3), score(ratio, 3, int(beta), middle), beta=beta), unit_vectors(120, 3)
    error = worst(EllipsoidSums(head, targets, degrees_of(head), 1, "auto"), head, targets)
    bounded(f"EllipsoidSums, ratios {middle:g}, {ratio:g}, beta {beta:g}: error of Z and m", error, 1e-10)


SHAPES = [(0.9, 0.7), (0.6, 0.1), (0.1, 0.1), (0.9, 0.03), (0.04, 0.03), (0.7, 0.0), (0.0, 0.0), (0.5, 1e-3)]


@pytest.mark.parametrize(
    ("middle", "smallest", "beta"), [(*shape, beta) for shape in SHAPES for beta in (0.1, 3.0, 30.0, 300.0)]
)
def test_a_point_source_is_seen_to_the_stated_floor(middle, smallest, beta):
    """The worst measure there is, in closed form: Z = e^{β⟨x,By⟩} and N = Zy, y on the principal axes and off them."""
    rng = np.random.default_rng(8)
    B = turn(rng, 3) @ np.diag([1.0, middle, smallest]) @ turn(rng, 3)
    head, targets = Head(np.eye(3), B, beta=beta), unit_vectors(4000, 3)
    sums = kernel_sums(head, targets)
    space = Sphere(max(sums.source_degree, 2))
    partition, first, worst_error = np.empty(4000), np.empty((3, 4000)), 0.0
    for y in [*np.linalg.svd(B)[2], *unit_vectors(2, 3, seed=9)]:
        sums.evaluate(space.restrict(space.point_mass(y), sums.source_degree), partition, first)
        expected = np.exp(beta * targets @ B @ y - sums.log_scale)
        error = max(np.abs(partition - expected).max(), np.linalg.norm(first - y[:, None] * expected, axis=0).max())
        worst_error = max(worst_error, error)
    name = f"{type(sums).__name__}, ratios {middle:g}, {smallest:g}, beta {beta:g}: error for a point source"
    bounded(name, worst_error, sums.floor)


@pytest.mark.parametrize("ratio", [0.7, 0.1, 0.01])
@pytest.mark.parametrize("beta", [0.1, 10.0, 1000.0])
def test_many_targets_on_the_circle_take_a_grid(ratio, beta):
    """A point source in closed form again, and the same sums as for few targets, which take none."""
    head, targets = Head(np.eye(2), score(ratio, 2, 6), beta=beta), unit_vectors(60_000, 2)
    many, few = kernel_sums(head, targets), kernel_sums(head, targets[:50])
    assert isinstance(many, EllipseSums) and isinstance(few, CircleSums)
    partition, first, worst_error = np.empty(60_000), np.empty((2, 60_000)), 0.0
    for y in [*np.linalg.svd(head.B)[2], *unit_vectors(2, 2, seed=9)]:
        c = np.exp(-1j * np.arange(many.source_degree + 1) * np.arctan2(y[1], y[0]))
        many.evaluate(c, partition, first)
        expected = np.exp(beta * targets @ head.B @ y - many.log_scale)
        error = max(np.abs(partition - expected).max(), np.linalg.norm(first - y[:, None] * expected, axis=0).max())
        worst_error = max(worst_error, error)
    bounded(f"EllipseSums, ratio {ratio:g}, beta {beta:g}: error for a point source", worst_error, many.floor)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("beta", [1.0, 300.0])
def test_a_score_of_rank_one(dim, beta):
    head = Head(np.eye(dim), np.outer(unit_vectors(1, dim, 3)[0], unit_vectors(1, dim, 4)[0]), beta=beta)
    targets = unit_vectors(100, dim)
    blind = np.cross(head.B[:, 0], [0.3, 0.2, 0.9]) if dim == 3 else np.array([-head.B[1, 0], head.B[0, 0]])
    targets[0] = blind / np.linalg.norm(blind)  # Bᵀx = 0: attention is the mean of the density
    sums = kernel_sums(head, targets)
    assert sums.log_scale[0] < 1e-12 * beta
    assert worst(sums, head, targets) < 2e-13


@pytest.mark.parametrize("beta", [1e-3, 0.3])
def test_weak_scores_keep_the_second_moment(beta):
    """The first-order term in β must survive: compare with sums of the same measure, to ε/β of it."""
    for dim in (2, 3):
        head, targets = Head(np.eye(dim), score(0.3, dim, 5), beta=beta), unit_vectors(60, dim)
        sums = CircleSums(head, targets) if dim == 2 else ScatteredSums(head, targets, 1)
        assert worst(sums, head, targets) < 1e-13


def test_almost_singular_scores_are_not_singular():
    """Between the plane (βσ₃ < 1e-13) and the grid lies every condition number: no digits may be lost there."""
    for ratio in (1e-2, 1e-5, 1e-9, 1e-15):
        head, targets = Head(np.eye(3), score(ratio, 3, 7), beta=40.0), unit_vectors(60, 3)
        sums = kernel_sums(head, targets)
        assert isinstance(sums, PlaneSums if ratio < 1e-14 else ScatteredSums)
        assert worst(sums, head, targets) < 2e-13


def test_many_targets_take_large_grids_and_few_do_not():
    head = Head(np.eye(3), score(0.05, 3, 2), beta=100.0)
    targets = unit_vectors(30_000, 3)
    many = kernel_sums(head, targets)
    assert isinstance(many, EllipsoidSums)
    assert worst(many, head, targets, sample=slice(0, 30_000, 300)) < 1e-10
    assert isinstance(kernel_sums(head, targets[:500]), ScatteredSums)
    thin = Head(np.eye(3), score(1e-3, 3, 2), beta=100.0)
    assert smooth_degrees(thin, 80_000) is None


def test_a_grid_too_coarse_is_seen():
    """Both are needed: at two thirds of the degree, or half of the order, the error is ten times the bound or more."""
    head, targets = Head(np.eye(3), score(0.1, 3, 1), beta=1.0), unit_vectors(100, 3)
    degree, order = degrees_of(head)
    assert worst(EllipsoidSums(head, targets, (2 * degree // 3, order), 1, "auto"), head, targets) > 3e-10
    assert order < degree // 2
    assert worst(EllipsoidSums(head, targets, (degree, order // 2), 1, "auto"), head, targets) > 3e-10


@pytest.mark.parametrize("dim", [2, 3])
def test_factors_reproduce_the_multipliers(dim):
    """Against Bessel functions in forty digits, over five decades of κ."""
    factors = RadialFactors(dim, 0.0, 900.0)
    kappa = np.array([0.0, 1e-4, 0.3, 1.7, 2.0, 14.0, 130.0, 450.0, 899.0])
    weights = factors.weights(kappa)
    degrees = [0, 1, 2, 7, 40, 150]
    table = np.einsum("kfn,kl->fnl", weights, factors.degree_basis[:, degrees])
    nu = mpmath.mpf(dim) / 2 - 1
    with mpmath.workdps(40):
        for i, k in enumerate(kappa[1:], start=1):
            k = mpmath.mpf(float(k))

            def multiplier(l, k=k):
                return (2 * mpmath.pi) ** (nu + 1) * k**-nu * mpmath.besseli(l + nu, k) * mpmath.exp(-k)

            zeroth = multiplier(0)
            for j, l in enumerate(degrees):
                value = multiplier(l)
                derivative = multiplier(l + 1) + l * value / k
                assert abs(table[0, i, j] - value) < 1e-12 * zeroth
                assert abs(table[1, i, j] - derivative) < 1e-12 * zeroth
                if l:
                    assert abs(table[2, i, j] - value / k) * l < 1e-12 * zeroth
    np.testing.assert_allclose(
        table[0, 0], [2.0 * np.pi ** (dim / 2) / (1.0 if dim == 2 else 0.5 * np.sqrt(np.pi)), 0, 0, 0, 0, 0], atol=1e-12
    )


def test_rank_hardly_depends_on_beta():
    ranks = [RadialFactors(3, 0.3 * beta, beta).rank for beta in (30.0, 100.0, 300.0, 1000.0)]
    assert max(ranks) <= 20
    assert max(ranks) - min(ranks) <= 3
