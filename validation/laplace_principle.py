r"""Laplace principle: softmax velocity against hardmax velocity, order −1 in β for smooth densities, slower for others.

With w = Bᵀx, r = |w|, ω = w/r, theory (check C4) says for smooth positive densities

    v_β − v_∞ = (1/βr) P_x V [∇_S log ρ(ω) − (d−1)/2 ω] + O(β⁻²),

so the flows part like 1/β too. The same expansion at the scale l = β^{-1/2} of the kernel tells what roughness does. On
S¹ with B = I a token at θ* + l a sees the weights e^{−s²/2} g(a+s), g the density next to θ*; with E for their mean:

* jump from ρ₋ to ρ₊: sup|v_β − v_∞| ~ β^{-1/2} max_a (ρ₊−ρ₋) e^{−a²/2}/√2π / (ρ₊Φ(a) + ρ₋Φ(−a));
* cusp 1 + c|δ|^α, 0 < α < 1: ~ β^{-(1+α)/2} c max_a M_α'(a), M_α(a) = E|a+s|^α (Kummer's function);
* kink (α = 1): still β⁻¹, with the mean of both slopes at the kink; but C4 is off by β⁻¹ times half their jump there;
* zero like |δ|^k, however smooth: ~ β^{-1/2} max_a (log M_k)'(a), which is 1 for k = 2;
* zero on an arc: no decay. Inside, v_β tends to the pull P_xV(y−x) of the nearest point y that has mass, like 1/β.

Smooth: the solver's softmax field against its hardmax field, V and B general. Others: experiments/rough_velocities.py,
by quadrature, sup over θ by a scan in a. V = diag(1, 0.4), θ* = π/2.

    python validation/laplace_principle.py                   # 9 seconds
    python validation/laplace_principle.py --full --out out  # 13 seconds of processor time
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from claims import Inquiry, Measured, canvas, limit_of, order_fit, run
from claims.figures import SERIES, theory
from experiments.rough_velocities import (
    ARC,
    CUSPS,
    HEIGHT,
    HOLE,
    JUMP,
    KINK,
    PROFILES,
    SLOPE,
    SMOOTH,
    THETA,
    ZEROS,
    Profile,
    V,
    chord,
    cusp,
    cusp_shape,
    error_at,
    jump_shape,
    largest,
    pulled,
    rough_errors,
    zero,
    zero_shape,
)
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import erf

from spherepde import (
    Circle,
    ContinuityEquation,
    Density,
    Hardmax,
    Head,
    Simulation,
    Softmax,
    Sphere,
    fisher_bingham,
    from_callable,
)
from spherepde.transport import CircleMeasure, wasserstein_circle

Array = NDArray[np.float64]

LINEAR, QUADRATIC = np.array([0.3, 0.8, -0.2]), np.array([[0.0, 0.2, 0.25], [0.2, 0.1, 0.0], [0.25, 0.0, 0.0]])
SCORES = np.array([[1.0, 0.3, -0.2], [-0.2, 0.7, 0.1], [0.1, 0.2, 0.8]])
VALUES = np.array([[1.0, 0.2, 0.0], [-0.1, 0.4, 0.3], [0.0, 0.1, -0.3]])
LMAX = 47
"""The density needs no more, and the differences are taken at the nodes."""
LOCAL = "C4 at the scale of the kernel"
FLOW, UNTIL = np.diag([1.0, 0.5]), 1.0


class Smooth(NamedTuple):
    """Over β: sup|v_β − v_∞| and what C4 leaves of it, with sup|C4|."""

    betas: Array
    plain: list[float]
    rest: list[float]
    expected: float


class Rough(NamedTuple):
    """Over β: sup|v_β − v_∞| next to a singular point, and its law."""

    betas: Array
    errors: Array
    law: Array


# ---- smooth densities, by the solver


def smooth(dim: int) -> Density:
    """The smooth positive density."""
    return fisher_bingham(LINEAR[:dim], QUADRATIC[:dim, :dim])


def head_of(dim: int, general: bool, beta: float = 1.0) -> Head:
    """V general, and B = I or general."""
    return Head(VALUES[:dim, :dim], SCORES[:dim, :dim] if general else None, beta=beta)


def smooth_errors(
    dim: int, general: bool, betas: tuple[float, ...], lmax: int
) -> tuple[list[float], list[float], float]:
    """sup|v_β − v_∞| and sup|v_β − v_∞ − C4/β| by β at the nodes, and sup|C4|."""
    density, space = smooth(dim), Circle(lmax) if dim == 2 else Sphere(lmax)
    head = head_of(dim, general)
    x, u = space.points, space.project(density)
    w = x @ head.B
    r = np.linalg.norm(w, axis=-1, keepdims=True)
    omega = w / r
    gradient = LINEAR[:dim] + 2.0 * omega @ QUADRATIC[:dim, :dim]
    gradient -= omega * np.sum(gradient * omega, axis=-1, keepdims=True)
    pull = ((gradient - 0.5 * (dim - 1) * omega) / r) @ head.V.T
    correction = np.einsum("i...j,...j->i...", space.tangent_frame, pull)
    hard = ContinuityEquation(space, Hardmax(head)).field.velocity(u).copy()
    plain, rest = [], []
    for beta in betas:
        apart = ContinuityEquation(space, Softmax(head_of(dim, general, beta))).field.velocity(u) - hard
        plain.append(sup(apart))
        rest.append(sup(apart - correction / beta))
    return plain, rest, sup(correction)


def sup(field: Array) -> float:
    """Largest length of a field of tangential components (d−1, ...)."""
    return float(np.sqrt(np.sum(field**2, axis=0)).max())


# ---- claims


def power_law(ask: Inquiry, name: str, found: tuple[Array, Array], law: tuple[float, ...], source: str) -> None:
    """Order and constant of (β, errors): const·β^order·(1 + O(β^−next)), law = (order, const, next, rival order)."""
    (betas, errors), (order, const, following, rival) = found, law
    fitted = order_fit(betas**following, errors).times(following)
    ask.equal(f"{name}: order in β", order, fitted, excluded=rival, source=source)
    ratio = float(betas[1] / betas[0]) ** following
    ask.equal(f"{name}: constant", const, limit_of((errors * betas**-order).tolist(), ratio), source=source)


def of_smooth(ask: Inquiry) -> dict[str, Smooth]:
    """Order, constant and remainder of the smooth law on S¹ and S²."""
    ask.heading("smooth positive densities: the solver's softmax field against its hardmax field")
    shown = {}
    for dim in (2, 3):
        for general in (False, True):
            top = 7 if ask.full and (dim == 2 or not general) else 5
            betas = tuple((25.0 * 2.0 ** np.arange(top)).tolist())
            plain, rest, expected = ask.part(smooth_errors, dim, general, betas, LMAX)
            name = f"S^{dim - 1}, B " + ("general" if general else "= I")
            power_law(ask, name, (np.array(betas), np.array(plain)), (-1.0, expected, 1.0, -0.5), source="C4")
            ask.equal(f"{name}: order of what C4 leaves", -2.0, order_fit(betas, rest), source="C4", excluded=-1.5)
            shown[name] = Smooth(np.array(betas), plain, rest, expected)
    return shown


def of_rough(ask: Inquiry) -> dict[str, Rough]:
    """Orders and constants next to a jump, cusps, a kink, zeros; and where there is no mass at all."""
    ask.heading("rough and vanishing densities on S¹: quadrature")
    betas = 4.0 ** np.arange(4.0, 13.0 if ask.full else 10.0)
    laws = {JUMP: (-0.5, largest(jump_shape, -4.0, 4.0, 81), 1.0)}
    for alpha in CUSPS if ask.full else (0.5,):
        steepest = largest(partial(cusp_shape, alpha=alpha), -8.0, 8.0, 161)
        laws[cusp(alpha)] = (-0.5 * (1.0 + alpha), steepest, 0.5 * alpha)
    for k in ZEROS:
        laws[zero(k)] = (-0.5, largest(partial(zero_shape, k=k), -8.0, 8.0, 161), 1.0)
    shown = {}
    for profile, (order, const, following) in laws.items():
        errors = ask.part(rough_errors, profile.name, tuple(betas.tolist()))
        power_law(ask, profile.name, (betas, errors), (order, const, following, -1.0), source=LOCAL)
        shown[profile.name] = Rough(betas, errors, const * betas**order)
    shown["kink"] = kink(ask, betas)
    shown[ARC.name] = arc(ask, betas)
    return shown


def kink(ask: Inquiry, betas: Array) -> Rough:
    """A kink keeps the order, and spoils the first correction next to it."""
    errors = ask.part(rough_errors, KINK.name, tuple(betas.tolist()))
    ask.equal("kink: order in β", -1.0, order_fit(betas**0.5, errors).times(0.5), source=LOCAL, excluded=-0.5)
    at = [beta * error_at(KINK, beta, 0.0) for beta in betas]
    ask.equal(
        "kink: β⟨t, v_β − v_∞⟩ at it, the mean slope", SLOPE, limit_of(at, 2.0), source=LOCAL, excluded=SLOPE + HEIGHT
    )

    def left(beta: float, a: float) -> float:
        delta = a * beta**-0.5
        rho = 1.0 + HEIGHT * chord(delta) + SLOPE * np.sin(delta)
        slope = HEIGHT * np.sign(a) * np.cos(0.5 * delta) + SLOPE * np.cos(delta)
        return error_at(KINK, beta, delta) - pulled(delta, slope / rho, -0.5) / beta

    side = 0.5
    rest = np.array([abs(left(beta, side)) for beta in betas])
    const = HEIGHT * (1.0 - erf(side / np.sqrt(2.0)))
    power_law(ask, "kink: what C4 leaves at a = 0.5", (betas, rest), (-1.0, const, 0.5, -2.0), source=LOCAL)
    return Rough(betas, errors, (SLOPE + HEIGHT) / betas)


def arc(ask: Inquiry, betas: Array) -> Rough:
    """Without mass nearby the velocity is not the hardmax one at any β, but the pull of the nearest mass."""

    def pull(delta: float) -> float:
        distance = np.copysign(HOLE - abs(delta), delta)
        return pulled(delta, np.sin(distance), -2.0 * np.sin(0.5 * distance) ** 2)

    errors = ask.part(rough_errors, ARC.name, tuple(betas.tolist()))
    depth = largest(pull, -HOLE, HOLE, 4001)
    ask.equal(
        "zero on an arc: sup|v_β − v_∞| in the limit", depth, limit_of(errors.tolist(), 4.0), source=LOCAL, excluded=0.0
    )
    inside = 0.5 * HOLE
    rest = np.array([abs(error_at(ARC, beta, inside) - pull(inside)) for beta in betas])
    const = abs(pulled(inside, 1.0 / np.tan(HOLE - inside), -1.0))
    power_law(
        ask, "zero on an arc: distance to the nearest pull", (betas, rest), (-1.0, const, 1.0, -0.5), source=LOCAL
    )
    return Rough(betas, errors, depth * np.ones_like(betas))


def by_both(beta: float, lmax: int, name: str) -> float:
    """Largest difference of v_β − v_∞ by the solver and by quadrature at the solver's nodes."""
    profile = PROFILES[name]
    space = Circle(lmax)
    density = from_callable(lambda x: profile.of(np.arctan2(-x[:, 0], x[:, 1])), 2)
    u = space.project(density)
    soft, hard = (
        ContinuityEquation(space, law).field.velocity(u)[0].copy()
        for law in (Softmax(Head(V, beta=beta)), Hardmax(Head(V)))
    )
    delta = np.mod(space.theta - THETA + np.pi, 2.0 * np.pi) - np.pi
    other = [error_at(profile, beta, each) for each in delta]
    return float(np.abs(soft - hard - other).max())


# ---- flows


def apart(beta: float, lmax: int) -> float:
    """W₂ between softmax and hardmax flow at the fixed time, V = diag(1, ½), B = I."""

    def carried(law: Softmax | Hardmax) -> CircleMeasure:
        equation = ContinuityEquation(Circle(lmax), law)
        simulation = Simulation(equation, smooth(2), rtol=1e-11, wasserstein=False, progress=False)
        return CircleMeasure.from_fourier(simulation.run(until=UNTIL).state)

    return wasserstein_circle(carried(Softmax(Head(FLOW, beta=beta))), carried(Hardmax(Head(FLOW)))).value


def first_order_distance(count: int = 400, order: int = 40) -> float:
    r"""lim β W₂: with J = ∂X_t/∂θ₀ the hardmax flow's stretch, C4 moves a token by η = J_T∫c_s/J_s ds over β.

    The optimal plan is the flow's but for what may turn around the circle: ∫η²ρ − (∫η)²/∫ρ⁻¹ is W₂².
    """
    theta = 2.0 * np.pi * np.arange(count) / count
    x = np.stack([np.cos(theta), np.sin(theta)], axis=1)
    t0 = np.stack([-x[:, 1], x[:, 0]], axis=1)
    log_slope = np.sum(t0 * (LINEAR[:2] + 2.0 * x @ QUADRATIC[:2, :2]), axis=1)
    gap = FLOW[0, 0] - FLOW[1, 1]

    def stretched(time: float) -> tuple[Array, Array, Array]:
        """J, (log J)' in θ₀, and x at a time."""
        eps = np.exp(-gap * time)
        square = x[:, 0] ** 2 + eps**2 * x[:, 1] ** 2
        return (
            eps / square,
            2.0 * (1.0 - eps**2) * x[:, 0] * x[:, 1] / square,
            x * [1.0, eps] / np.sqrt(square)[:, None],
        )

    nodes, weights = np.polynomial.legendre.leggauss(order)
    total = np.zeros(count)
    for time, weight in zip(0.5 * UNTIL * (1.0 + nodes), 0.5 * UNTIL * weights, strict=True):
        J, slope, at = stretched(time)
        t = np.stack([-at[:, 1], at[:, 0]], axis=1)
        total += weight * np.sum((t @ FLOW) * (t * ((log_slope - slope) / J)[:, None] - 0.5 * at), axis=1) / J
    J, rho = stretched(UNTIL)[0], smooth(2)(x)
    moved = J * total
    return float(
        np.sqrt(np.mean(moved**2 * rho) * 2 * np.pi - 2 * np.pi * np.mean(moved * J) ** 2 / np.mean(J**2 / rho))
    )


def of_flows(ask: Inquiry) -> tuple[Array, Array, float]:
    """The two flows part like 1/β, with the constant of first-order perturbation."""
    ask.heading("W₂ between both flows at t = 1, smooth data on S¹")
    betas = np.array([25.0 * 2.0**k for k in range(7 if ask.full else 5)])
    fine, coarse = (np.array([ask.part(apart, float(beta), lmax) for beta in betas]) for lmax in (95, 63))
    const = first_order_distance()
    extra = ("lmax 63", float(np.abs(fine / coarse - 1.0).max()))
    ask.equal("order in β", -1.0, order_fit(betas, fine).plus(*extra), source="C4", excluded=-0.5)
    ask.equal("lim β W₂", const, limit_of((betas * fine).tolist()).plus(*extra), source="C4, first order in 1/β")
    return betas, fine, const


def draw_smooth(solid: Mapping[str, Smooth], flows: tuple[Array, Array, float]) -> Figure:
    """Smooth densities: fields and what C4 leaves of their difference, and the distance of the flows."""
    figure = canvas(9.0, 3.8)
    left, right = figure.subplots(1, 2)
    for k, (name, (betas, plain, rest, expected)) in enumerate(solid.items()):
        left.loglog(betas, plain, "o-", color=SERIES[k], label=f"${name[:3]}${name[3:]}")
        left.loglog(
            betas, rest, "s-", color=SERIES[k], markersize=3.5, label="less its first correction" if k == 0 else None
        )
        theory(left, betas, expected / betas, r"C4: sup|C4|$/\beta$, no fit" if k == 0 else None)
        square = rest[-1] * (betas[-1] / betas) ** 2
        theory(left, betas, square, r"slope $-2$" if k == 0 else None, linestyle=":")
    left.set(ylabel=r"sup$|v_\beta-v_\infty|$ (dimensionless)", ylim=(min(rest) / 300.0, None))
    betas, found, const = flows
    right.loglog(betas, found, "o-", color=SERIES[0], label=r"$W_2(\rho^\beta_t,\rho^\infty_t)$, $t=1$")
    theory(right, betas, const / betas, rf"first order, ${const:.4f}\,\beta^{{-1}}$")
    right.set(ylabel="distance (radians)", ylim=(0.3 * found.min(), 3.0 * found.max()))
    for ax in (left, right):
        ticks = ax.lines[0].get_xdata()
        ax.set_xticks(ticks, [f"{beta:g}" for beta in ticks])
        ax.minorticks_off()
        ax.set_xlabel(r"$\beta$ (dimensionless)")
        ax.legend(fontsize=7)
    return figure


def draw_rough(rough: Mapping[str, Rough]) -> Figure:
    """Rough and vanishing densities: sup over β, and the errors over the scaled distance to the singular point."""
    figure = canvas(10.0, 4.0)
    left, right = figure.subplots(1, 2)
    colours = [*SERIES, "0.45", "0.7"]
    for k, (name, (betas, errors, law)) in enumerate(rough.items()):
        left.loglog(betas, errors, "o", color=colours[k], markersize=4, label=name)
        theory(left, betas, law, "local Laplace analysis" if k == 0 else None, linewidth=0.9)
    left.set(
        xlabel=r"$\beta$ (dimensionless)", ylabel=r"sup$|v_\beta-v_\infty|$ near the singular point (dimensionless)"
    )
    left.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    beta, a = 4096.0, np.linspace(-5.0, 5.0, 41)
    fine = np.linspace(-5.0, 5.0, 401)
    shapes: dict[Profile, Callable[[float], float]] = {JUMP: jump_shape}
    shapes |= {zero(k): partial(zero_shape, k=k) for k in ZEROS}
    for profile, shape in shapes.items():
        found = [beta**0.5 * error_at(profile, beta, each * beta**-0.5) for each in a]
        right.plot(a, found, "o", markersize=3, color=colours[list(rough).index(profile.name)])
        theory(right, fine, [shape(each) for each in fine], None)
    right.set(xlabel=r"$a=\beta^{1/2}(\theta-\theta_*)$ (dimensionless)", title=rf"$\beta={beta:g}$, colours as left")
    right.set_ylabel(r"$\beta^{1/2}\langle t,v_\beta-v_\infty\rangle$ (dimensionless)")
    return figure


def investigate(ask: Inquiry) -> None:
    """Fields of smooth densities, of others, the quadrature against the solver, and flows."""
    solid, rough = of_smooth(ask), of_rough(ask)
    ask.heading("quadrature against the solver, β = 400")
    for name in (SMOOTH.name, "zero, k = 2"):
        fine, coarse = (ask.part(by_both, 400.0, lmax, name) for lmax in (63, 47))
        measured = Measured(fine, abs(fine - coarse) + 1e-13, "lmax 47; rounding of sums")
        ask.equal(f"{name}: largest difference of the velocities", 0.0, measured)
    flows = of_flows(ask)
    caption = "Softmax against hardmax for smooth data: velocities, what C4 leaves of their difference, and flows."
    ask.figure("smooth", lambda: draw_smooth(solid, flows), caption)
    caption = "Softmax against hardmax next to singular points: over β, and over the distance at the kernel's scale."
    ask.figure("rough", lambda: draw_rough(rough), caption)


if __name__ == "__main__":
    run(investigate, __doc__)
