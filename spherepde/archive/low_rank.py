r"""Source moments as few numbers: what attention sees of them, to a stated error, in a basis of their own.

Attention multiplies the coefficient of degree l by :math:`\lambda_l(\kappa)` and, for the first moment, by
:math:`\lambda_l'` and the gradient of :math:`\lambda_l/\kappa`, so errors of a coefficient count by the weight

.. math:: w_l=\bigl(\lambda_l+(l+1)\lambda_l/\kappa\bigr)/\lambda_0,\qquad \kappa=\max\beta\|B\|.

Weighted, the matrix of moments (times, coefficients) has few singular values above any tolerance, because the velocity
changes smoothly; the two factors are rounded to what the tolerance leaves, which makes them short once packed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

from ..kernels import funk_hecke, sphere_area

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]
Integers = NDArray[np.int64]

SPLINE_DEGREE = 5
"""Of the interpolation in time that a coarser record must allow."""
ROUNDING_SHARE = 0.5
"""Of the tolerance; the rest is left to the rank."""


def kernel_weights(dim: int, strength: float, degree: Integers) -> Real:
    """The weights w_l (k,) of coefficients of these degrees, for heads with β‖B‖ ≤ ``strength``; at least 1e-16."""
    table = funk_hecke(dim, strength, int(degree.max()))
    seen = (table.value + (np.arange(len(table.value)) + 1) * table.tangential) / table.value[0]
    return np.asarray(np.maximum(seen, 1e-16)[degree])


def kernel_error(dim: int, degree: Integers, order: Integers, weighted: Modal) -> float:
    r"""Bound of :math:`\max_x|Z(x)|` over its mean on the sphere, for weighted coefficients (n, k): the largest of n.

    On S² the sum over orders of one degree is at most :math:`\sqrt{(2l+1)/4\pi}` times its length (the addition
    theorem and Cauchy–Schwarz); on S¹ each degree k > 0 counts twice, over 2π.
    """
    if dim == 2:
        return float(np.max(np.abs(weighted) @ np.where(degree > 0, 2.0, 1.0), initial=0.0))
    twice = np.where(order > 0, 2.0, 1.0)
    lengths = np.stack(
        [(np.abs(weighted[:, degree == l]) ** 2 @ twice[degree == l]) ** 0.5 for l in range(degree.max() + 1)]
    )
    largest = np.sqrt((2 * np.arange(len(lengths)) + 1) / (4.0 * np.pi)) @ lengths
    return float(np.max(largest, initial=0.0)) * sphere_area(3)


@dataclass(frozen=True)
class LowRank:
    """Moments as ``temporal`` (n, r) times ``spatial`` (r, k) over ``weights`` (k,), with a bound of their error.

    ``error`` is the bound of :func:`kernel_error`: what Z(x), or N(x), can be off, over the mean of Z on the sphere.
    """

    temporal: Real
    spatial: Modal
    weights: Real
    error: float

    @property
    def moments(self) -> Modal:
        """The moments (n, k) they stand for."""
        return np.asarray(self.temporal @ self.spatial / self.weights)


def _rounded(values: Real, step: Real | float) -> Real:
    """Multiples of a power of two just below ``step``: the bits behind it are zero."""
    unit = 2.0 ** np.floor(np.log2(step))
    return np.asarray(np.rint(values / unit) * unit)


def compress(
    dim: int, degree: Integers, order: Integers, moments: Modal, strength: float, tolerance: float = 1e-13
) -> LowRank:
    """Factors of the moments (n, k), n > 0, of the least rank and the fewest digits whose error stays below tolerance.

    ``strength`` is the largest β‖B‖. A tolerance below about 1e-14 is not reached; ``error`` says what was.
    """
    weights = kernel_weights(dim, strength, degree)
    seen = moments * weights
    left, values, right = np.linalg.svd(np.concatenate([seen.real, seen.imag], axis=1), full_matrices=False)
    temporal, spatial = left * values, right[:, : len(degree)] + 1j * right[:, len(degree) :]

    def error(rank: int, step: float) -> tuple[float, Real, Modal]:
        sizes = values[:rank, None]
        short = _rounded(temporal[:, :rank], step)
        parts = [_rounded(part, step / sizes) for part in (spatial[:rank].real, spatial[:rank].imag)]
        basis = parts[0] + 1j * parts[1]
        return kernel_error(dim, degree, order, short @ basis - seen), short, basis

    present = int(np.count_nonzero(values > np.finfo(float).tiny))
    low, high = 1, max(1, present)
    while low < high:  # the error falls with the rank
        middle = (low + high) // 2
        if kernel_error(dim, degree, order, temporal[:, :middle] @ spatial[:middle] - seen) > (
            (1.0 - ROUNDING_SHARE) * tolerance
        ):
            low = middle + 1
        else:
            high = middle
    step = tolerance
    found = error(low, step)
    while found[0] > tolerance and step > 1e-4 * tolerance:
        step *= 0.5
        found = error(low, step)
    return LowRank(found[1], found[2], weights, found[0])


def interpolation_error(
    dim: int, degree: Integers, order: Integers, t: Real, weighted: Modal, rows: NDArray[np.intp]
) -> float:
    """What a spline of degree 5 through these rows of weighted moments (n, k) misses of the others (kernel_error)."""
    out = np.setdiff1d(np.arange(len(t)), rows)
    if not out.size:
        return 0.0
    if len(rows) <= SPLINE_DEGREE:
        return np.inf
    packed = np.concatenate([weighted.real, weighted.imag], axis=1)
    missed = make_interp_spline(t[rows], packed[rows], SPLINE_DEGREE)(t[out]) - packed[out]
    size = weighted.shape[1]
    return kernel_error(dim, degree, order, missed[:, :size] + 1j * missed[:, size:])


def thinned_rows(
    dim: int, degree: Integers, order: Integers, t: Real, kept: Real, weighted: Modal, tolerance: float, least: int
) -> tuple[NDArray[np.intp], float]:
    """Rows of a record that say all of it: those at the times ``kept`` and every s-th other, s as large as it goes.

    A spline of degree 5 through them must meet the weighted moments (n, k) of the rows left out to ``tolerance``
    (:func:`kernel_error`), and at least ``least`` rows stay. Returns the rows and the error of that spline: at the rows
    left out, or if there are none 1/64 of what leaving out every other row would do (order 6).
    """
    everything = np.arange(len(t))
    sides = np.isin(everything, (0, len(t) - 1))
    best, error = (
        everything,
        interpolation_error(dim, degree, order, t, weighted, np.flatnonzero((everything % 2 == 0) | sides)),
    )
    error /= 2.0 ** (SPLINE_DEGREE + 1)
    for stride in range(2, max(2, len(t) // least) + 1):
        rows = np.flatnonzero(np.isin(t, kept) | (everything % stride == 0) | sides)
        found = interpolation_error(dim, degree, order, t, weighted, rows) if len(rows) >= least else np.inf
        if found > tolerance:
            break
        best, error = rows, found
    return best, error
