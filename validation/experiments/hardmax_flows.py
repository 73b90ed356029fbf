r"""Zero-temperature flows as weighted nodes, and what is known of them in closed form when VBᵀ is diagonal.

The flow :math:`\dot x=P_xAx/|B^\top x|` with A = VBᵀ symmetric carries everything to E, the dominant eigenspace of A.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from spherepde import (
    Circle,
    ContinuityEquation,
    Density,
    Hardmax,
    Head,
    LimitMeasure,
    Simulation,
    Sphere,
    exact,
    fisher_bingham,
    from_callable,
    limit_measure,
    uniform,
)
from spherepde.adaptive import CellMeasure, Resolution, initial_cells, march_cells
from spherepde.tokens import sample_tokens, simulate_tokens, token_velocity
from spherepde.transport import (
    CircleMeasure,
    Cost,
    Distance,
    wasserstein_circle,
    wasserstein_great_circle,
    wasserstein_semidiscrete,
)

Array = NDArray[np.float64]
Modal = NDArray[np.complex128]

COMPETING = (1.0, 0.45)
"""VBᵀ on S¹ where two rates compete."""
RTOL = (1e-11, 1e-12)
VALUES = (1.0, 0.4, -0.3)
SCORES = np.array([[0.9, 0.3, -0.2], [-0.4, 1.2, 0.1], [0.2, 0.5, 0.7]])
TURN = Rotation.from_rotvec([0.4, -0.7, 0.5]).as_matrix()
GENERAL = Head(TURN @ np.diag(VALUES) @ TURN.T @ np.linalg.inv(SCORES.T), SCORES)
"""A general B with VBᵀ symmetric, its eigenvectors along no axis."""
SKEW = np.array([[0.9, 0.5, -0.2], [-0.3, 0.4, 0.1], [0.2, 0.6, -0.5]])
INITIAL = fisher_bingham([0.3, 0.8, -0.2], [[0.0, 0.2, 0.25], [0.2, 0.1, 0.0], [0.25, 0.0, 0.0]])


@dataclass(frozen=True)
class Case:
    """A flow with VBᵀ = diag(``values``), descending, from ρ₀ ∝ |x₁|^``vanishing`` e^{⟨``tilt``,x⟩} (uniform).

    ``keys``: the rows of Bᵀ, empty for B = I. ``dominant``: dimension of E.
    """

    values: tuple[float, ...]
    keys: tuple[tuple[float, ...], ...] = ()
    vanishing: int = 0
    dominant: int = 1
    tilt: tuple[float, ...] = ()

    @property
    def dim(self) -> int:
        """Dimension d of the ambient space."""
        return len(self.values)

    @property
    def turned(self) -> Array:
        """Bᵀ."""
        return np.array(self.keys) if self.keys else np.eye(self.dim)

    @property
    def head(self) -> Head:
        """V = A B^{-T} and B."""
        return Head(np.diag(self.values) @ np.linalg.inv(self.turned), B=self.turned.T)

    @property
    def gap(self) -> float:
        """λ₁ − λ₂."""
        return self.values[0] - self.values[self.dominant]

    @cached_property
    def density(self) -> Density:
        """ρ₀."""
        tilt = np.array(self.tilt or (0.0,) * self.dim)
        return from_callable(lambda x: np.abs(x[:, 0]) ** self.vanishing * np.exp(x @ tilt), self.dim)

    @property
    def near(self) -> float:
        """κ∥, the rate at which distances to E shrink next to it; for dim E = 1."""
        return self.gap / float(np.linalg.norm(self.turned[:, 0]))

    @property
    def leaving(self) -> tuple[float, ...]:
        """κ_w for each eigenvector w of E^⊥: how fast the mass near it shrinks, a factor for each way out.

        On S¹ that is κ⊥ = (λ₁ − λ₂)/|Bᵀu|. A density ∝ |x₁|^m loses that mass faster by the factor 1 + m.
        """
        rates = []
        for j in range(self.dominant, self.dim):
            ways = [self.values[i] - self.values[j] for i in range(j)]
            ways[0] *= 1 + self.vanishing
            rates.append(sum(ways) / float(np.linalg.norm(self.turned[:, j])))
        return tuple(rates)

    def rates(self, power: int) -> tuple[float, float]:
        """Rate of W_p^p → 0 for dim E = 1, and by how much the next slower term is faster."""
        first, second = sorted((power * self.near, *self.leaving))[:2]
        return first, second - first


TILTED = {
    "S¹": Case((1.0, -0.2), ((1.0, 0.3), (-0.2, 0.8)), tilt=(0.3, 0.8)),
    "S², dim E = 1": Case((1.0, 0.3, 0.1), ((1.0, 0.2, 0.1), (0.0, 0.8, -0.2), (0.1, 0.0, 0.7)), tilt=(0.3, 0.8, -0.2)),
    "S², dim E = 2": Case(
        (1.0, 1.0, 0.2), ((1.0, 0.2, 0.1), (0.0, 0.8, -0.2), (0.1, 0.0, 0.7)), 0, 2, (0.3, 0.8, -0.2)
    ),
}


# ---- nodes


def whole(cells: CellMeasure) -> NDArray[np.bool_]:
    """Every cell counts, however light: the mass left near E^⊥ makes the distances at late times."""
    return np.ones(len(cells.along), dtype=bool)


def carried(case: Case, times: tuple[float, ...], tolerance: float) -> list[CellMeasure]:
    """The measure as weighted nodes at increasing times, from ρ₀; on S² the poles are on the axis of the flow."""
    head, pole = case.head, np.eye(case.dim)[0 if case.dominant == 1 else -1]
    cells = initial_cells(case.density, case.dim, tolerance, axis=pole)
    steps = march_cells(
        cells,
        lambda _, points, weights: token_velocity(head, points, weights, "hardmax"),
        0.0,
        times[-1],
        Resolution(tolerance),
        rtol=tolerance,
        breaks=times,
        seen=whole,
    )
    return [step.measure for step in steps if step.time in times]


def angles(case: Case, points: Array) -> Array:
    """Angle from each point (n, d) to E, in radians."""
    k = case.dominant
    return np.arctan2(np.linalg.norm(points[:, k:], axis=1), np.linalg.norm(points[:, :k], axis=1))


def distances(case: Case, times: tuple[float, ...], tolerance: float) -> Array:
    """∫dist, ∫dist² and ∫chord² to E, which are W₁, W₂² and its chordal W₂², at each time (n, 3)."""
    rows = []
    for cells in carried(case, times, tolerance):
        angle = angles(case, cells.points)
        rows.append(cells.integrate(np.stack([angle, angle**2, 4.0 * np.sin(0.5 * angle) ** 2], axis=1)))
    return np.array(rows)


def began(cells: CellMeasure) -> Array:
    """Where the nodes (n, d) were at time 0."""
    return cells.initial()[0].reshape(-1, cells.dim)


def circle_clock(case: Case, points: Array) -> Array:
    r"""F(u) at points (n, 2) of S¹, u = |tan θ|, for Bᵀ = diag(b₁, b₂): it falls by (λ₁ − λ₂)t in time t.

    :math:`\dot u=-(\lambda_1-\lambda_2)u/\psi` with :math:`\psi=|B^\top x|`, whose integral is elementary:
    :math:`F=\tfrac{b_2}2\ln\left|\frac{\psi+b_2}{\psi-b_2}\right|-\tfrac{b_1}2\ln\left|\frac{\psi+b_1}{\psi-b_1}\right|`.
    With c, s = cos θ, sin θ the differences are :math:`\psi^2-b_2^2=(b_1^2-b_2^2)c^2` and
    :math:`\psi^2-b_1^2=(b_2^2-b_1^2)s^2`, so that nothing cancels.
    """
    b1, b2 = np.diag(case.turned)
    c, s = np.abs(points.T)
    psi = np.hypot(b1 * c, b2 * s)
    spread = abs(b1**2 - b2**2)
    return 0.5 * b2 * np.log((psi + b2) ** 2 / (spread * c**2)) - 0.5 * b1 * np.log((psi + b1) ** 2 / (spread * s**2))


# ---- spectral solutions, and both against what is known


def states(
    head: Head, density: Density, lmax: int, times: tuple[float, ...], rtol: float
) -> tuple[Circle | Sphere, list[Modal]]:
    """Space and coefficients of the spectral solution at increasing times, undamped."""
    space = Circle(lmax) if head.dim == 2 else Sphere(lmax)
    equation = ContinuityEquation(space, Hardmax(head), damping=0.0)
    simulation = Simulation(equation, density, rtol=rtol, wasserstein=False, progress=False)
    return space, [simulation.run(until=t).state.copy() for t in times]


def l1_errors(dim: int, turned: bool, time: float, sizes: tuple[int, ...], rtol: float) -> list[float]:
    """∫|ρ − ρ_exact| by lmax: uniform data and V = diag; or general data, V not symmetric and B a rotation."""
    angle = Rotation.from_rotvec([0.0, 0.0, 0.7]).as_matrix()
    head = Head(SKEW[:dim, :dim], angle[:dim, :dim]) if turned else Head(np.diag(VALUES[:dim]))
    density = fisher_bingham([0.3, 0.8, -0.2][:dim]) if turned else uniform(dim)
    found = []
    for lmax in sizes:
        space, (u,) = states(head, density, lmax, (time,), rtol)
        truth = exact.hardmax_density(head, density, time, space.points.reshape(-1, dim)).reshape(space.shape)
        found.append(space.integrate(np.abs(space.to_nodal(u) - truth)))
    return found


def flow_deviation(tolerance: float) -> tuple[float, float]:
    """Mean error of nodes: in x on S² for B = I at Δt = 6; in Δt on S¹ for Bᵀ = diag(1, 0.3) at t = 12."""
    case, other = Case((1.0, 0.4, 0.0), tilt=(0.3, 0.8, -0.2)), Case(COMPETING, ((1.0, 0.0), (0.0, 0.3)))
    (cells,) = carried(case, (10.0,), 1e2 * tolerance)
    apart = np.linalg.norm(cells.points - exact.hardmax_flow(case.head, began(cells), 10.0), axis=1)
    (nodes,) = carried(other, (12.0,), tolerance)
    late = circle_clock(other, began(nodes)) - circle_clock(other, nodes.points) - 12.0 * other.gap
    return float(cells.integrate(apart)), float(nodes.integrate(np.abs(late)))


def balance(lmax: int, nodes: int, rtol: float) -> tuple[float, float, Array]:
    """R(1) − R(0), ∫₀¹Ṙ dt by Gauss' rule with so many times, and rows (t, R, Ṙ), of the general head on S²."""
    t, w = np.polynomial.legendre.leggauss(nodes)
    times = (*(0.5 * (1.0 + t)).tolist(), 1.0)
    space, solutions = states(GENERAL, INITIAL, lmax, times, rtol)
    pull = space.points @ GENERAL.A.T
    tangential = pull - space.points * np.sum(space.points * pull, axis=-1, keepdims=True)
    integrand = 2.0 * np.sum(tangential**2, axis=-1) / np.linalg.norm(space.points @ GENERAL.B, axis=-1)
    at_rest = space.project(INITIAL)
    R = [float(np.sum(GENERAL.A * space.moments(u)[2])) for u in (at_rest, *solutions)]
    rates = [space.integrate(integrand * space.to_nodal(u)) for u in solutions]
    return R[-1] - R[0], float(0.5 * w @ rates[:-1]), np.stack([times, R[1:], rates], axis=1)


def trajectories(rtol: float) -> tuple[Array, Array, Array]:
    """Times, and ⟨x,Ax⟩ and ln|P_⊥x|/|P_E x| (times, tokens) of 200 tokens of the general head."""
    times = np.linspace(0.0, 12.0, 61)
    start = sample_tokens(uniform(3), 3, 200, seed=1)
    paths = simulate_tokens(GENERAL, start, times, attention="hardmax", rtol=rtol, atol=1e-2 * rtol) @ TURN
    ratio = np.log(np.linalg.norm(paths[..., 1:], axis=-1) / np.abs(paths[..., 0]))
    return times, paths**2 @ np.array(VALUES), ratio


def atoms_of(limit: LimitMeasure) -> tuple[Array, Array]:
    """±e and their masses: the limit for dim E = 1."""
    assert limit.points is not None and limit.weights is not None
    return limit.points, limit.weights


def ring_of(limit: LimitMeasure) -> tuple[Array, Modal]:
    """Basis of E and Fourier coefficients on its circle: the limit for dim E = 2."""
    assert limit.basis is not None and limit.coefficients is not None
    return limit.basis, limit.coefficients


def transported(name: str, powers: tuple[float, ...], lmax: int, time: float) -> tuple[Array, list[Array]]:
    """Π♯ρ_t − Π♯ρ₀, and W_p(ρ_t, Π♯ρ₀) with the distance of its bounds by a solver of optimal transport for each p.

    The first is that of the mass at +e, or of the first four coefficients on the circle (real and imaginary parts).
    """
    case, solved = TILTED[name], []
    _, (u,) = states(case.head, case.density, lmax, (time,), RTOL[0])
    limit, now = (limit_measure(case.head, density) for density in (case.density, u))
    if case.dominant == 1:
        changes = atoms_of(now)[1][:1] - atoms_of(limit)[1][:1]
    else:
        changes = (ring_of(now)[1][1:5] - ring_of(limit)[1][1:5]).view(float)
    for p in powers:
        cost = Cost(p, "geodesic")
        found: Distance
        if case.dim == 2:
            atoms = CircleMeasure.from_atoms(*atoms_of(limit))
            found = wasserstein_circle(CircleMeasure.from_fourier(u), atoms, cost)
        elif case.dominant == 1:
            found = wasserstein_semidiscrete(u, *atoms_of(limit), cost)
        else:
            found = wasserstein_great_circle(u, *ring_of(limit), cost, lmax=lmax)
        solved.append(np.array([found.value, found.upper - found.lower]))
    return changes, solved


def late_images(name: str, time: float, tolerance: float) -> tuple[Array | Modal, float]:
    """Π♯ρ_t by nodes less Π♯ρ₀ by quadrature: the masses at ±e, or ∫e^{−ikφ} for k = 1 … 4; the quadrature's error."""
    case = TILTED[name]
    (cells,) = carried(case, (time,), tolerance)
    limit = limit_measure(case.head, case.density)
    if case.dominant == 1:
        points, masses = atoms_of(limit)
        return cells.integrate((cells.points @ points.T > 0.0).astype(float)) - masses, limit.error
    basis, coefficients = ring_of(limit)
    x, y = (cells.points @ basis).T
    waves = np.exp(-1j * np.outer(np.arctan2(y, x), [1, 2, 3, 4]))
    return np.tensordot(cells.weights, waves, axes=1) - coefficients[1:5], limit.error


def nearest(name: str, p: float, time: float, tolerance: float) -> float:
    """(∫dist(x,E)^p dρ_t)^{1/p} by nodes."""
    (cells,) = carried(TILTED[name], (time,), tolerance)
    return float(cells.integrate(angles(TILTED[name], cells.points) ** p) ** (1.0 / p))
