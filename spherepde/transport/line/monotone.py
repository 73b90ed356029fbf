r"""Monotone plans between two laws on a line or a circle: cost, slope in the shift, and dual potentials.

The plan pairs :math:`x=q_\mu(u)` with :math:`y=q_\nu(u+s)`, u over [0, 1]. Between the merged panels of the two tables
both are smooth, so Gauss–Legendre rules on them integrate to rounding; displacements that change sign split a panel
where the cost is not smooth at zero, and fractional powers get nodes graded towards the ends of every panel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import eval_legendre

from ..costs import Cost
from .piecewise import Index, Piecewise

Array = NDArray[np.float64]

DUST = 3e-16
"""Panels narrower than this are a coincidence of jumps spoilt by rounding, and dropped."""
RESOLUTION = 2e-14
"""Error of the tabulated quantile functions."""
CERTIFIED = 1e-10
"""A plan is called optimal if making its potentials feasible costs at most this fraction of the largest cost."""
_ENDS = np.array([[-1.0], [1.0]])
SAMPLE = 1500
"""How many points of a plan are compared, each with each, to certify it."""


@dataclass(frozen=True, eq=False)
class Rule:
    """Quadrature on [-1, 1]: nodes, weights, and the matrix of integrals from −1 to each node."""

    nodes: Array
    weights: Array
    cumulative: Array


@lru_cache(maxsize=8)
def rule(count: int, graded: bool) -> Rule:
    r"""Gauss–Legendre in τ; graded: :math:`t=w(\tau)` with :math:`w'\propto(1-\tau^2)^5`, flat at both ends."""
    tau, weights = np.polynomial.legendre.leggauss(count)
    orders = np.arange(count + 1)[:, None]
    values = eval_legendre(orders, tau)
    integrals = np.concatenate([1.0 + tau[None], (values[2:] - values[:-2]) / (2 * orders[1:-1] + 1)])
    cumulative = integrals.T @ ((orders[:-1] + 0.5) * values[:-1] * weights)
    if not graded:
        return Rule(tau, weights, cumulative)
    density = np.polynomial.Polynomial([1.0, 0.0, -1.0]) ** 5
    primitive = density.integ()
    total = primitive(1.0)
    return Rule(primitive(tau) / total, weights * density(tau) / total, cumulative * density(tau) / total)


@njit(cache=True, error_model="numpy")
def chord_power(square: float, power: float) -> float:
    """square**power, fast for the powers 1 and 1/2."""
    if power == 1.0:
        return square
    return float(np.sqrt(square)) if power == 0.5 else float(square**power)


@njit(cache=True, error_model="numpy")
def _excess(phi: Array, psi: Array, x: Array, y: Array, power: float) -> Array:
    """For each i the largest phi_i + psi_j − |x_i − y_j|^(2·power) over j, at least 0; x (n, 2), y (m, 2)."""
    worst = np.zeros(len(phi))
    for i in range(len(phi)):
        for j in range(len(psi)):
            square = (x[i, 0] - y[j, 0]) ** 2 + (x[i, 1] - y[j, 1]) ** 2
            worst[i] = max(worst[i], phi[i] + psi[j] - chord_power(square, power))
    return worst


def lifted_cost(cost: Cost, displacement: Array) -> Array:
    """The cost of lifted displacements: convex on the line if geodesic, periodic if chordal."""
    size = np.abs(displacement)
    return cost.of_angle(size if cost.ground == "geodesic" else np.fmod(size, 2.0 * np.pi))


def _slope(cost: Cost, displacement: Array) -> Array:
    size = np.abs(displacement)
    size = size if cost.ground == "geodesic" else np.fmod(size, 2.0 * np.pi)
    return np.sign(displacement) * cost.slope_at(size)


def unit_vectors(angles: Array) -> Array:
    """Points (n, 2) on the unit circle at the angles, flattened."""
    flat = angles.ravel()
    return np.stack([np.cos(flat), np.sin(flat)], axis=-1)


class MonotonePlan:
    """The plan of one shift between two tabulated quantile functions; ``period`` 0 means a line and no shift."""

    def __init__(self, mu: Piecewise, nu: Piecewise, cost: Cost, shift: float = 0.0, period: float = 0.0) -> None:
        self.cost, self.period = cost, period
        self._mu, self._nu, self._shift = mu, nu, shift if period else 0.0
        nodes = nu.edges if not period else np.mod(nu.edges - shift, 1.0)
        edges = np.unique(np.concatenate([mu.edges, nodes, [0.0, 1.0]]))
        edges = edges[np.concatenate([[True], np.diff(edges) > DUST])]
        edges[-1] = 1.0
        self._cut(edges)
        fractional = cost.p != round(cost.p)
        if fractional or cost.p % 2.0 == 1.0:
            self._split_where_sign_changes()
        self._fine, self._coarse = (
            rule(48 if fractional else 20, fractional),
            rule(36 if fractional else 14, fractional),
        )

    def _cut(self, edges: Array) -> None:
        self._low, self._high = edges[:-1], edges[1:]
        middle = 0.5 * (self._low + self._high)
        self._ix = self._mu.locate(middle)
        turned = middle + self._shift
        self._turn = np.floor(turned) if self.period else np.zeros_like(turned)
        self._iy = self._nu.locate(turned - self._turn)

        self._tx = self._ends(self._mu, self._ix, self._low, self._high)
        self._ty = self._ends(self._nu, self._iy, *(u + self._shift - self._turn for u in (self._low, self._high)))

    @staticmethod
    def _ends(table: Piecewise, panel: Index, low: Array, high: Array) -> tuple[Array, Array]:
        """Middle and half length of the merged panels in the coordinate of the table's own: rounded once for all."""
        start, end = table.local(low, panel), table.local(high, panel)
        return 0.5 * (start + end), 0.5 * (end - start)

    def _pair(self, tau: Array, panel: Index) -> tuple[Array, Array, Array, Array]:
        """x, dx/dτ, y, dy/dτ at τ in [-1, 1] on the merged panels given (same shapes)."""
        x, dx = self._mu.at(self._ix[panel], self._tx[0][panel] + self._tx[1][panel] * tau)
        y, dy = self._nu.at(self._iy[panel], self._ty[0][panel] + self._ty[1][panel] * tau)
        return x, dx * self._tx[1][panel], y + self.period * self._turn[panel], dy * self._ty[1][panel]

    def _split_where_sign_changes(self) -> None:
        tau = np.concatenate([[-1.0], rule(16, False).nodes, [1.0]])
        panel = np.repeat(np.arange(len(self._low))[:, None], len(tau), axis=1)

        def sign(at: Array, where: Index) -> Array:
            x, _, y, _ = self._pair(at, where)
            return np.where(np.abs(x - y) > RESOLUTION, np.sign(np.sin(0.5 * (x - y)) if self._wraps else x - y), 0.0)

        side = sign(np.broadcast_to(tau, panel.shape), panel)
        k, i = np.nonzero(side[:, :-1] * side[:, 1:] < 0.0)
        if not k.size:
            return
        low, high, below = tau[i], tau[i + 1], side[k, i]
        for _ in range(60):
            middle = 0.5 * (low + high)
            left = sign(middle, k) == below
            low, high = np.where(left, middle, low), np.where(left, high, middle)
        roots = self._low[k] + 0.5 * (1.0 + low) * (self._high - self._low)[k]
        edges = np.unique(np.concatenate([self._low, [1.0], roots]))
        self._cut(edges[np.concatenate([np.diff(edges) > DUST, [True]])])

    def _of(self, displacement: Array) -> Array:
        return lifted_cost(self.cost, displacement)

    @property
    def _wraps(self) -> bool:
        return self.cost.ground == "chordal"

    def _at(self, quadrature: Rule) -> tuple[Array, Array, Array, Array, Array]:
        half = 0.5 * (self._high - self._low)[:, None]
        panel = np.repeat(np.arange(len(self._low))[:, None], len(quadrature.nodes), axis=1)
        return (half, *self._pair(np.broadcast_to(quadrature.nodes, panel.shape), panel))

    def total(self) -> tuple[float, float]:
        """The p-th power cost of the plan and its estimated error."""
        half, x, _, y, _ = self._at(self._fine)
        fine = float(np.sum(half * self._fine.weights * self._of(x - y)))
        slope = float(np.sum(half * self._fine.weights * np.abs(_slope(self.cost, x - y))))
        half, x, _, y, _ = self._at(self._coarse)
        coarse = float(np.sum(half * self._coarse.weights * self._of(x - y)))
        return fine, abs(fine - coarse) + RESOLUTION * slope + 4e-16 * fine

    def _jumps(self) -> tuple[Array, Array, Array, Array]:
        """x and y on either side of every merged edge; on a circle the last edge is the seam."""
        count = len(self._low)
        here = np.arange(count)
        x_left, _, y_left, _ = self._pair(np.ones(count), here)
        x_right, _, y_right, _ = self._pair(-np.ones(count), here)
        if not self.period:
            return x_left[:-1], x_right[1:], y_left[:-1], y_right[1:]
        lift = np.where(here == count - 1, self.period, 0.0)
        return x_left, np.roll(x_right, -1) + lift, y_left, np.roll(y_right, -1) + lift

    def slope_in_shift(self) -> tuple[float, float]:
        """Left and right derivative of the cost with respect to the shift; they differ where jumps coincide."""
        _, x, _, y, dy = self._at(self._fine)
        smooth = -float(np.sum(self._fine.weights * _slope(self.cost, x - y) * dy))
        xl, xr, yl, yr = self._jumps()
        h = self._of
        return smooth + float(np.sum(h(xr - yr) - h(xr - yl))), smooth + float(np.sum(h(xl - yr) - h(xl - yl)))

    def potentials(self) -> tuple[Array, Array, Array, Array]:
        r"""Points x, y of the plan and values there of :math:`\varphi,\psi` with :math:`\varphi(x)+\psi(y)=c(x,y)`.

        :math:`\varphi` integrates :math:`\partial_xc` along the plan. Where both quantile functions jump, either may
        jump first: the mixture of the two orders that closes on the circle is taken.
        """
        quadrature = self._fine
        _, x, dx, y, dy = self._at(quadrature)
        rate = _slope(self.cost, x - y) * dx
        inside = rate @ quadrature.cumulative.T
        across = rate @ quadrature.weights
        h, panels = self._of, np.arange(len(x))
        still = ~dy.any(axis=1)  # no quadrature where y stays
        first, last = (h(here[0] - here[2]) for here in (self._pair(end, panels) for end in _ENDS * np.ones(len(x))))
        inside[still], across[still] = (h(x - y) - first[:, None])[still], (last - first)[still]
        xl, xr, yl, yr = self._jumps()
        y_first, x_first = h(xr - yr) - h(xl - yr), h(xr - yl) - h(xl - yl)
        part = 0.5
        if self.period and y_first.sum() - x_first.sum() > 0.0:
            part = float(np.clip((-across.sum() - x_first.sum()) / (y_first.sum() - x_first.sum()), 0.0, 1.0))
        jump = part * y_first + (1.0 - part) * x_first
        start = np.concatenate([[0.0], np.cumsum(across[:-1] + jump[: len(across) - 1])])
        phi = start[:, None] + inside
        if self.period:  # what does not close, by rounding of the shift, goes where no atom is split
            moved = y if not dy.any() else x if not dx.any() else 0.5 * (x + y)
            phi -= (across.sum() + jump.sum()) * (moved - moved[0, 0]) / self.period
        return x, y, phi, h(x - y) - phi

    def violation(self) -> float:
        r"""What the dual value loses when the potentials are made feasible for the chordal cost.

        The integral over μ of :math:`\max_y\,(\varphi(x)+\psi(y)-c(x,y))_+`, x and y among at most 1500 points of the
        plan, or one for each panel. Zero means that the plan is optimal.
        """
        x, y, phi, psi = self.potentials()
        each = min(x.shape[1], max(1, SAMPLE // len(x)))
        chosen = np.unique(np.linspace(0, x.shape[1] - 1, each + 2).round().astype(int)[1:-1])
        if each == x.shape[1]:
            chosen = np.arange(each)
        start, end = unit_vectors(x[:, chosen]), unit_vectors(y[:, chosen])
        excess = _excess(phi[:, chosen].ravel(), psi[:, chosen].ravel(), start, end, 0.5 * self.cost.p)
        share = self._fine.weights[chosen] / self._fine.weights[chosen].sum()
        return float((self._high - self._low) @ (excess.reshape(-1, len(chosen)) @ share))
