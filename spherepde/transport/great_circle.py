r"""Distance on the 2-sphere from a density to a density on a great circle, by Newton on the circle's potential.

Points have latitude λ over the circle's plane and longitude φ in it; the cost :math:`c(\lambda,\Delta)` is even in λ,
so the two half spheres are folded into one. Of Kantorovich's dual

.. math:: W_p^p=\max_\psi D(\psi),\quad D=\int\psi^c\,d\rho+\int\psi\,d\nu,\qquad
          D'[\eta]=\int\eta\,d(\nu-T_\#\rho),\quad D''[\eta,\eta]\approx-\int w\,\eta'^2,\quad
          w=T_\#\frac{\rho}{c_{\Delta\Delta}-\psi''}

only ψ, one periodic function, is unknown; T is the foot of the minimum in :mod:`.c_transform`. Its Hessian is a
Toeplitz matrix of the Fourier coefficients of w, but for the mass that T tears apart near the circle's poles.
ψ = 0 is the maximiser exactly when ν is the image of ρ under the nearest-point map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi

import ducc0
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_toeplitz

from ..errors import InputError
from .c_transform import cost_kind, transform
from .circle_series import both_sides, checked_coefficients, circle_bound, paired, positive_part, quintic_table
from .costs import Cost, checked_cost
from .distance import Distance
from .measures import MASS_TOLERANCE, as_density, checked_mass, checked_numbers
from .projection import latitude_rule, orthonormal_plane

Array = NDArray[np.float64]
Modal = NDArray[np.complex128]

RESIDUAL_TOLERANCE = 1e-8
"""Newton stops when about this fraction of the distance is left to be transported along the circle."""
GAP_TOLERANCE = 1e-8
"""The bounds have met when they agree to this fraction."""
FIRST_DEGREE = 16
"""A cold start climbs over this many modes first."""
FALLBACK_DEGREES = (32, 64)
"""Tried when all modes at once fail: fewer of them fit less of the grid's noise near the poles."""
ROUGHLY = 0.03
LARGEST_TRANSFORMS = 25
PATIENCE = 3
"""Newton stops when its decrement has not halved this many times in a row."""
ROUNDING = 1e-13
"""Below this fraction of D its differences are rounding, and the gradient alone is watched."""
NODES_PER_LONGITUDE = 8


@dataclass(frozen=True, kw_only=True, repr=False)
class GreatCircleDistance(Distance):
    r"""A :class:`Distance` with the maximiser that proves it.

    ``potential`` (lmax+1,) Fourier coefficients :math:`\int\psi e^{-ik\varphi}d\varphi` of the circle's potential, to
    start the next solve from; ``iterations`` Newton steps; ``converged``; ``quadrature_error``, part of the bounds: the
    change of the dual value, as a distance, when every second longitude, or latitude, is left out. It is an
    overestimate of the error of all the points wherever half of them resolve the density at all.
    """

    potential: Modal
    iterations: int
    converged: bool
    quadrature_error: float


@dataclass
class _State:
    """One potential with everything the transform says about it, arrays on the grid."""

    psi: Modal
    steepest: float
    dual: float
    delta: Array
    value: Array
    cost: Array
    curvature: Array


class GreatCircle:
    r"""The unit circle of a plane in :math:`R^3`, with the grid on which distances to it are computed.

    Parameters
    ----------
    basis: (3, 2) orthonormal columns spanning the plane; longitudes are measured from the first to the second.
    lmax: band limit of densities and potentials (at least 8).
    width: the smallest latitude scale of the density, in radians, if it is finer than 1/lmax.

    ``points`` (n, 3) are the unit vectors at which densities are to be given. Raises InputError for anything else.
    """

    def __init__(self, basis: ArrayLike, lmax: int, width: float | None = None) -> None:
        self.basis = orthonormal_plane(basis)
        if not (width is None or (isinstance(width, int | float | np.integer | np.floating) and 0.0 < width < np.inf)):
            raise InputError(f"transport: great circle with width = {width!r}; expected a positive angle in radians")
        if isinstance(lmax, bool) or not isinstance(lmax, int | np.integer) or not 8 <= lmax <= 4096:
            raise InputError(f"transport: great circle with lmax = {lmax!r}; expected an integer from 8 to 4096")
        self.lmax = int(lmax)
        self.latitudes, weights, fewer = latitude_rule(self.lmax, width)
        self._every_second = (fewer / weights)[:, None]
        self.longitudes = 2.0 * pi * np.arange(2 * self.lmax + 32) / (2 * self.lmax + 32)
        self.weights = np.outer(weights, np.full(self.longitudes.size, 2.0 * pi / self.longitudes.size))
        plane = np.stack([np.cos(self.longitudes), np.sin(self.longitudes)], axis=-1) @ self.basis.T
        normal = np.cross(self.basis[:, 0], self.basis[:, 1])
        upper = np.cos(self.latitudes)[:, None, None] * plane + np.sin(self.latitudes)[:, None, None] * normal
        lower = upper - 2.0 * np.sin(self.latitudes)[:, None, None] * normal
        self.points: Array = np.stack([upper, lower]).reshape(-1, 3)

    def distance(
        self,
        values: ArrayLike,
        target: ArrayLike,
        cost: Cost | None = None,
        start: GreatCircleDistance | ArrayLike | None = None,
    ) -> GreatCircleDistance:
        r"""Distance from the density with these values at ``points`` to the density ν on the circle.

        ``values`` (n,); ``target`` (K+1,) coefficients :math:`\int\nu e^{-ik\varphi}d\varphi`; ``cost`` with p = 1 or
        2, geodesic p = 2 by default; ``start`` an earlier result, or its potential. Both measures are rescaled to mass
        1. ``value`` is the best dual value, ``lower`` the same less the quadrature error; ``upper`` is the cost of
        x → T(x) plus the distance from T♯ρ to ν along the circle plus that error. Raises
        InputError for wrong shapes, numbers that are not finite, masses not positive, another p.

        Negative values are set to zero, and the status says how much mass that was. This is a solver for ν near Π♯ρ,
        the image under the nearest-point map. Farther away it may not converge: when mass is torn apart near the
        poles, or p = 1 and ρ is far more concentrated than ν is off, where ψ′ tends to ±1 with jumps. The status then
        says so and ``value`` is midway between the bounds in :math:`W_p^p`.
        """
        cost = checked_cost(cost, (1.0, 2.0))
        kind = cost_kind(cost)
        assert kind is not None
        rho, notes = self._folded(values)
        nu, more = positive_part(checked_coefficients(target, "target"), 4 * self.lmax)
        notes += more
        psi = np.zeros(self.lmax + 1, dtype=np.complex128)
        if start is not None:
            given = checked_coefficients(start.potential if isinstance(start, GreatCircleDistance) else start, "start")
            psi[: given.size] = given[: self.lmax + 1] / (2.0 * pi)
            psi[0] = 0.0

        def evaluate(potential: Modal, near: Array) -> _State:
            return self._evaluate(kind, rho, nu, potential, near)

        state = evaluate(psi, np.zeros_like(rho))
        nearest = float(np.sum(rho * cost.of_angle(self.latitudes)[:, None]))
        if state.dual < nearest - ROUNDING * nearest and start is not None:
            state = evaluate(np.zeros_like(psi), np.zeros_like(rho))
        return self._refined(state, rho, nu, cost, nearest, notes, evaluate)

    def _refined(
        self,
        state: _State,
        rho: Array,
        nu: Modal,
        cost: Cost,
        nearest: float,
        notes: list[str],
        evaluate: Callable[[Modal, Array], _State],
    ) -> GreatCircleDistance:
        """Maximise roughly over few modes when cold, then over all; if that fails, over some; keep the best bounds."""
        lower, upper, steps, why = cost.distance(nearest), np.inf, 0, ""
        some = [(degree, RESIDUAL_TOLERANCE) for degree in FALLBACK_DEGREES if degree < self.lmax]
        goals = [(self.lmax, RESIDUAL_TOLERANCE), *some]
        if self.lmax > FIRST_DEGREE and not state.psi.any():
            goals.insert(0, (FIRST_DEGREE, ROUGHLY))
        for degree, tolerance in goals:
            trial, more, stopped = self._ascend(state, rho, nu, cost.p, (degree, tolerance), evaluate)
            steps += more
            left = circle_bound(self._images(trial, rho, self.lmax)[self.lmax :], nu, cost)
            lower = max(lower, cost.distance(trial.dual))
            upper = max(min(upper, cost.distance(float(np.sum(rho * trial.cost))) + left), lower)
            if degree == self.lmax:
                why = stopped
            if not stopped or trial.dual > state.dual:
                state = trial
            if upper - lower <= GAP_TOLERANCE * lower or (degree == self.lmax and not stopped):
                why = ""
                break
        coarse = [(rho[:, ::2], state.value[:, ::2]), (rho * self._every_second, state.value)]
        duals = [float(np.sum(r * v) / np.sum(r)) + paired(state.psi, nu) for r, v in coarse]
        doubt = sum(abs(other - state.dual) for other in duals)
        below, above = cost.distance(lower**cost.p - doubt), cost.distance(upper**cost.p + doubt)
        error = max(lower - below, above - upper)
        notes = [f"quadrature error about {error:.1e} in both bounds", *notes]
        done = f"not converged, {why}, midway between the bounds" if why else "converged"
        return GreatCircleDistance(
            value=cost.distance(0.5 * (lower**cost.p + upper**cost.p)) if why else lower,
            lower=below,
            upper=above,
            cost=cost,
            status="; ".join([f"{done} after {steps} Newton steps", *notes]),
            potential=state.psi * (2.0 * pi),
            iterations=steps,
            converged=not why,
            quadrature_error=error,
        )

    def _folded(self, values: ArrayLike) -> tuple[Array, list[str]]:
        rho = checked_numbers(values, "density values", f"({len(self.points)},)")
        if rho.shape != (len(self.points),):
            raise InputError(f"transport: density values have shape {rho.shape}; expected ({len(self.points)},)")
        if not np.isfinite(rho).all():
            raise InputError("transport: density values are not all finite; expected a number at each point")
        halves = rho.reshape(2, *self.weights.shape)
        mass = checked_mass(float((halves * self.weights).sum()))
        positive = np.maximum(halves, 0.0).sum(axis=0) * self.weights
        total = float(positive.sum())
        notes = []
        if total - mass > MASS_TOLERANCE * mass:
            notes.append(f"negative mass {(total - mass) / mass:.1e} of the density set to zero")
        return positive / total, notes

    def _evaluate(self, kind: int, rho: Array, nu: Modal, psi: Modal, near: Array) -> _State:
        table, bounds = quintic_table(psi, NODES_PER_LONGITUDE * self.longitudes.size)
        delta, value, paid, curvature = near.copy(), np.empty_like(rho), np.empty_like(rho), np.empty_like(rho)
        transform(kind, self.latitudes, table, bounds, delta, value, paid, curvature)
        dual = float(np.sum(rho * value)) + paired(psi, nu)
        return _State(psi, bounds[0], dual, delta, value, paid, curvature)

    def _images(self, state: _State, weights: Array, degree: int) -> Modal:
        """Fourier coefficients, degrees −degree to degree, of weights carried to φ + Δ."""
        feet = (self.longitudes + state.delta).reshape(-1, 1)
        out = np.zeros(2 * degree + 1, dtype=np.complex128)
        mass = weights.reshape(-1).astype(np.complex128)
        ducc0.nufft.nu2u(points=mass, coord=feet, forward=True, epsilon=3e-13, nthreads=1, out=out, periodicity=2 * pi)
        return out

    def _newton(self, state: _State, rho: Array, nu: Modal, degree: int) -> tuple[Modal, float]:
        """Newton's step in modes up to a degree, and its decrement ∫ step d(ν − T♯ρ) = −D″[step, step]."""
        K = degree
        order = np.arange(-K, K + 1)
        gradient = both_sides(nu, K) - self._images(state, rho, K)
        bend = np.maximum(state.curvature, 1e-6 * float(np.median(state.curvature[::4, ::4])))
        symbol = self._images(state, rho / bend, 2 * K)[2 * K :]
        symbol[0] *= 1.0 + 1e-10
        gradient[K] = 0.0
        right = np.zeros((2 * K + 1, 2), dtype=np.complex128)
        right[:, 0] = gradient / np.where(order == 0, 1, order)
        right[K, 1] = 1.0
        solved = solve_toeplitz((symbol, symbol.conj()), right)
        wave = solved[:, 0] - solved[:, 1] * (solved[K, 0] / solved[K, 1])
        step = wave / np.where(order == 0, 1, order)
        step[K] = 0.0
        return np.pad(step[K:], (0, self.lmax - K)), float(np.real(step @ gradient.conj()))

    def _ascend(
        self,
        state: _State,
        rho: Array,
        nu: Modal,
        p: float,
        goal: tuple[int, float],
        evaluate: Callable[[Modal, Array], _State],
    ) -> tuple[_State, int, str]:
        degree, tolerance = goal
        least, stalled, transforms = np.inf, 0, 0
        for iteration in range(LARGEST_TRANSFORMS):
            step, decrement = self._newton(state, rho, nu, degree)
            if decrement <= tolerance**2 * state.dual:
                return state, iteration, ""
            flat = decrement < 100.0 * ROUNDING * state.dual
            stalled = stalled + 1 if decrement > 0.5 * least else 0
            if stalled >= (1 if flat else PATIENCE):
                return state, iteration, "the gradient no longer falls"
            least, scale = min(least, decrement), 1.0
            while True:
                transforms += 1
                trial = evaluate(state.psi + scale * step, state.delta)
                slope_allowed = p > 1.0 or trial.steepest < 0.5 * (1.0 + state.steepest)
                if slope_allowed and (flat or trial.dual - state.dual >= 0.1 * scale * decrement):
                    break
                scale *= 0.5
                if transforms >= LARGEST_TRANSFORMS or scale < 1e-4:
                    return state, iteration, "Newton's direction gains nothing"
            state = trial
        return state, LARGEST_TRANSFORMS, "Newton steps used up"


def wasserstein_great_circle(
    density: Callable[[Array], Array] | ArrayLike,
    basis: ArrayLike,
    target: ArrayLike,
    cost: Cost | None = None,
    lmax: int = 64,
    width: float | None = None,
) -> GreatCircleDistance:
    """Distance from a density on the 2-sphere (callable, or harmonic coefficients) to one on a great circle.

    The arguments and the result are those of :class:`GreatCircle` and of its ``distance``, geodesic p = 2 and band
    limit 64 by default: a solver for targets near the image of the density under the nearest-point map.
    """
    circle = GreatCircle(basis, lmax, width)
    return circle.distance(as_density(density)(circle.points), target, cost)
