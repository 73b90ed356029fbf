"""The measures transport works on, checked: weighted points, and densities on the 2-sphere."""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt
from typing import Any

import ducc0
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from ..errors import InputError

Array = NDArray[np.float64]
Function = Callable[[Array], Array]

UNIT_TOLERANCE = 1e-8
"""Points this close to unit length are taken to be rounded unit vectors."""
MASS_TOLERANCE = 1e-8
"""Total masses that agree to this fraction are taken to be equal, and rescaled."""
DUPLICATE_TOLERANCE = 1e-12
"""Atoms closer than this are the same point to floating-point arithmetic."""


def checked_numbers(values: ArrayLike, what: str, shape: str) -> Array:
    """A new array of real numbers, finite or not. Raises InputError naming ``what`` and the ``shape`` expected."""
    try:
        array = np.array(values)
        if array.dtype.kind not in "fiu":
            raise TypeError
        return array.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(f"transport: {what} are no array of real numbers; expected shape {shape}") from None


def checked_points(points: ArrayLike, dim: int | None = None, what: str = "atoms") -> Array:
    """Unit vectors (n, d), rescaled to length 1 exactly. Raises InputError with one sentence otherwise."""
    x = checked_numbers(points, what, f"(n, {dim or 'd'}), unit vectors")
    if x.ndim != 2 or x.shape[0] < 1 or x.shape[1] < 2 or (dim is not None and x.shape[1] != dim):
        raise InputError(f"transport: {what} have shape {x.shape}; expected (n, {dim or 'd'}) with n >= 1")
    if not np.isfinite(x).all():
        raise InputError(
            f"transport: {what}[{_first(np.asarray(~np.isfinite(x).all(axis=1)))}] is not finite; expected unit vectors"
        )
    length = np.linalg.norm(x, axis=1)
    off = np.abs(length - 1.0) > UNIT_TOLERANCE
    if off.any():
        worst = _first(off)
        raise InputError(
            f"transport: {what}[{worst}] has length {length[worst]:.9g}; expected points on the unit sphere"
        )
    return np.asarray(x / length[:, None])


def checked_weights(weights: ArrayLike | None, count: int, mass: float = 1.0, what: str = "weights") -> Array:
    """Weights (n,) ≥ 0 rescaled to the total ``mass``; equal ones by default. Raises InputError otherwise."""
    if weights is None:
        return np.full(count, mass / count)
    w = checked_numbers(weights, what, f"({count},)")
    if w.shape != (count,):
        raise InputError(f"transport: {what} have shape {w.shape}; expected ({count},), one for each atom")
    if not np.isfinite(w).all():
        raise InputError(f"transport: {what}[{_first(~np.isfinite(w))}] is not finite; expected numbers >= 0")
    if (w < 0.0).any():
        worst = _first(w < 0.0)
        raise InputError(f"transport: {what}[{worst}] = {w[worst]:.3g} is negative; expected numbers >= 0")
    total = float(w.sum())
    if not abs(total - mass) <= MASS_TOLERANCE * mass:
        raise InputError(f"transport: {what} sum to {total:.12g}; expected the mass to be moved, {mass:.12g}")
    return w * (mass / total)


def refuse_duplicates(points: Array, what: str = "atoms") -> None:
    """Raise InputError if two of the points (n, d) coincide."""
    pairs = cKDTree(points).query_pairs(DUPLICATE_TOLERANCE, output_type="ndarray")
    if len(pairs):
        i, j = pairs[0]
        raise InputError(f"transport: {what}[{i}] and {what}[{j}] are the same point; expected distinct points")


def checked_mass(mass: float, what: str = "density") -> float:
    """A total mass that is finite and positive. Raises InputError otherwise."""
    if not (np.isfinite(mass) and mass > 0.0):
        raise InputError(f"transport: the {what} has total mass {mass:.6g}; expected a positive finite number")
    return float(mass)


def _first(mask: NDArray[np.bool_]) -> int:
    return int(np.flatnonzero(mask)[0])


class HarmonicDensity:
    r"""A function on the 2-sphere given by its harmonic coefficients, callable at unit vectors (n, 3).

    Coefficients in SHTns packing (m-major, l ≥ m, complex, ((L+1)(L+2)/2,)) of orthonormal harmonics without
    Condon–Shortley phase: :math:`f=\sum_l c_{l0}Y_{l0}+2\,\mathrm{Re}\sum_{m>0}c_{lm}Y_{lm}`. Values are accurate to
    about 1e-13 of the largest. Raises InputError for an array that is no such set.
    """

    def __init__(self, coefficients: ArrayLike) -> None:
        try:
            c = np.asarray(coefficients, dtype=np.complex128)
        except (TypeError, ValueError):
            raise InputError(
                "transport: the density is neither a function of unit vectors nor an array of coefficients"
            ) from None
        lmax = (isqrt(8 * c.size + 1) - 3) // 2
        if c.ndim != 1 or (lmax + 1) * (lmax + 2) // 2 != c.size or lmax < 0:
            raise InputError(
                f"transport: density coefficients of shape {c.shape}; expected ((L+1)(L+2)/2,), m-major with l >= m"
            )
        if not np.isfinite(c).all():
            raise InputError("transport: density coefficients are not all finite; expected complex numbers")
        self.lmax = lmax
        self.coefficients = c
        order = np.repeat(np.arange(lmax + 1), np.arange(lmax + 1, 0, -1))
        self._ducc = (c * np.where(order % 2 == 0, 1.0, -1.0))[None]  # ducc0's harmonics carry (-1)^m

    def __call__(self, points: Array) -> Array:
        """Values (n,) at unit vectors (n, 3)."""
        x = np.asarray(points, dtype=np.float64)
        location = np.empty((len(x), 2))
        location[:, 0] = np.arctan2(np.hypot(x[:, 0], x[:, 1]), x[:, 2])
        location[:, 1] = np.arctan2(x[:, 1], x[:, 0]) % (2.0 * np.pi)
        plan: dict[str, Any] = {"lmax": self.lmax, "epsilon": 3e-13, "nthreads": 1}
        return np.asarray(ducc0.sht.synthesis_general(alm=self._ducc, spin=0, loc=location, **plan)[0])

    def __repr__(self) -> str:
        return f"HarmonicDensity(lmax={self.lmax})"


def as_density(density: Function | ArrayLike) -> Function:
    """A density on the 2-sphere as a checked function of unit vectors (n, 3): a callable, or harmonic coefficients.

    The function raises InputError when values of a wrong shape or not finite come out of the callable.
    """
    if not callable(density):
        return HarmonicDensity(density)
    given: Function = density

    def checked(points: Array) -> Array:
        values = checked_numbers(given(points), "values of the density", str(points.shape[:-1]))
        if values.shape != points.shape[:-1]:
            raise InputError(
                f"transport: the density returned shape {values.shape} for points {points.shape}; "
                f"expected {points.shape[:-1]}"
            )
        if not np.isfinite(values).all():
            where = points[~np.isfinite(values)][0]
            raise InputError(f"transport: the density is not finite at {where.tolist()}; expected numbers everywhere")
        return values

    return checked
