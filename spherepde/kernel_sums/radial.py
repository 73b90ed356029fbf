r"""Low-rank factors of the kernel in degree and radius, for scores that are not isotropic.

With κ = β|Bᵀx| varying from target to target, the Funk–Hecke multipliers form a table over (l, κ). Its numerical rank
is small, 11 to 22 for condition numbers up to ten and about 35 down to κ = 0, whatever β:

.. math:: e^{-\kappa}\lambda_l(\kappa)\approx\sum_k u_k(l)\,w_k(\kappa),\qquad
          e^{-\kappa}\lambda_l'(\kappa)\approx\sum_k u_k(l)\,r_k(\kappa),\qquad
          e^{-\kappa}\frac{\lambda_l(\kappa)}{\kappa}\approx\sum_k u_k(l)\,t_k(\kappa)\quad(l\ge1)

with one orthonormal basis u_k for all three, the leading left singular vectors of the tables side by side. The
functions of κ are projections on that basis, kept as Chebyshev polynomials on intervals that halve towards 0.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from ..kernels import funk_hecke, kernel_bandwidth

Real = NDArray[np.float64]

PANEL_NODES = 28
"""Chebyshev nodes on each interval [κ/2, κ]: measured, 24 leave 1e-13 and 28 round-off."""
FIRST_PANEL = 2.0
"""Intervals stop halving at this κ: below, the kernel is a polynomial of low degree."""


class RadialFactors:
    r"""Basis ``degree_basis`` (K, L_K+1) and the weights of each target, see :meth:`weights`.

    Parameters: ``dim`` d; ``lowest`` ≤ ``highest``, the range of κ ≥ 0 (dimensionless); ``tolerance`` of the truncation
    relative to the zeroth multiplier at the same κ, gradients included. ``source_degree`` is L_K at the highest κ.
    """

    def __init__(self, dim: int, lowest: float, highest: float, tolerance: float = 1e-14) -> None:
        self.source_degree = degree = kernel_bandwidth(dim, highest)
        self._edges = _edges(lowest, highest)
        nodes = chebyshev.chebpts1(PANEL_NODES)
        inverse = np.linalg.inv(chebyshev.chebvander(nodes, PANEL_NODES - 1))
        tables = []
        for low, high in zip(self._edges[:-1], self._edges[1:], strict=True):
            rows = [funk_hecke(dim, 0.5 * (low + high) + 0.5 * (high - low) * x, degree) for x in nodes]
            tables.append(np.array([[row.value, row.radial, row.tangential] for row in rows]))
        relative = np.concatenate([table / table[:, :1, :1] for table in tables])
        relative[:, 2] *= degree
        basis, sizes, _ = np.linalg.svd(relative.reshape(-1, degree + 1).T, full_matrices=False)
        self.degree_basis: Real = np.ascontiguousarray(basis[:, sizes > tolerance * sizes[0]].T)
        columns = [(table @ self.degree_basis.T).swapaxes(1, 2).reshape(PANEL_NODES, -1) for table in tables]
        self._series = [inverse @ column for column in columns]

    @property
    def rank(self) -> int:
        """Number K of factors."""
        return len(self.degree_basis)

    def weights(self, kappa: Real) -> Real:
        """Weights (K, 3, n): w_k, r_k and t_k at each κ (n,) of the range."""
        found = np.empty((3 * self.rank, len(kappa)))
        panel = np.clip(np.searchsorted(self._edges, kappa, side="right") - 1, 0, len(self._series) - 1)
        for i, series in enumerate(self._series):
            inside = np.flatnonzero(panel == i)
            low, high = self._edges[i], self._edges[i + 1]
            position = np.clip((2.0 * kappa[inside] - low - high) / (high - low), -1.0, 1.0)
            found[:, inside] = series.T @ chebyshev.chebvander(position, PANEL_NODES - 1).T
        return found.reshape(self.rank, 3, len(kappa))

    def __repr__(self) -> str:
        return f"RadialFactors(rank {self.rank}, L_K = {self.source_degree}, κ ≤ {self._edges[-1]:g})"


def _edges(lowest: float, highest: float) -> Real:
    """Ends of the intervals: halving from the highest κ down, the last one reaching the lowest."""
    edges = [max(highest, lowest + 1e-9 * (1.0 + lowest))]
    while edges[-1] > max(2.0 * lowest, FIRST_PANEL):
        edges.append(0.5 * edges[-1])
    return np.array([*edges, lowest])[::-1]


@lru_cache(maxsize=16)
def radial_factors(dim: int, lowest: float, highest: float) -> RadialFactors:
    """Factors for a range of κ, remembered: heads that differ by a rotation share them."""
    return RadialFactors(dim, lowest, highest)
