r"""Attention of N arbitrary weighted points on S¹ and S² in O(N), safe in depleted zones.

.. math:: Z(x)=\sum_jw_je^{\beta\langle x,By_j\rangle},\qquad
          m(x)=\frac1{Z(x)}\sum_jw_je^{\beta\langle x,By_j\rangle}\,y_j
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..heads import Head
from ..kernels import kernel_bandwidth
from ..memory import require_memory
from .checks import beyond_harmonics, check_options, checked_points, checked_weights
from .dense import dense_sums
from .fast import fast_sums

__all__ = ["token_attention"]

Real = NDArray[np.float64]

DENSE_PAIRS = 300_000
DENSE_PAIRS_PER_MODE = {(2, True): 1000, (2, False): 6000, (3, True): 400, (3, False): 4000}
"""Pairs of target and source up to which dense sums take less time: the first number, plus the second for each degree
on S¹ and each degree squared on S², by dimension and by whether B is orthogonal up to a factor. Measured on one core,
4 ns for a pair against what the transforms cost for no token at all: S¹ 1.3 ms at L_K = 14 and 5 ms at 858, 4 and 7
ms (272) for general B; S² 2, 11, 100 and 1270 ms at L_K = 14, 87, 271 and 858, and 6, 70 and 600 ms at the first
three for general B."""

BYTES_FOR_A_POINT = 200
"""Memory for each source and each target (measured: 632 MB for a million of both, of which 250 MB are libraries)."""


def _faster(head: Head, pairs: int) -> str:
    """The method that takes less time for so many pairs of target and source, by the measured crossover."""
    if pairs <= DENSE_PAIRS or head.dim > 3 or beyond_harmonics(head):
        return "dense"
    modes = (kernel_bandwidth(head.dim, head.strength) + 1) ** (head.dim - 1)
    per_mode = DENSE_PAIRS_PER_MODE[head.dim, head.scaled_orthogonal() is not None]
    return "dense" if pairs <= DENSE_PAIRS + per_mode * modes else "fast"


def token_attention(
    head: Head,
    sources: ArrayLike,
    weights: ArrayLike | None = None,
    targets: ArrayLike | None = None,
    method: str = "auto",
    *,
    tolerance: float = 1e-9,
    threads: int = 1,
) -> tuple[Real, Real]:
    r"""Log partition :math:`\log Z(x_i)`, shape (n,), and mean token :math:`m(x_i)=N/Z`, shape (n, d), |m| ≤ 1.

    .. math:: Z(x)=\sum_jw_je^{\beta\langle x,By_j\rangle},\qquad
              m(x)=\frac1{Z(x)}\sum_jw_je^{\beta\langle x,By_j\rangle}\,y_j

    Parameters
    ----------
    head: any B and β > 0; its V is not used. sources: (m, d) unit vectors. weights: (m,) ≥ 0, by default 1/m.
    targets: (n, d) unit vectors, by default the sources.
    method: "dense", n·m exponentials, 4 ns each, any d, exact to the rounding 2e-16·β‖B‖ of the scores; "fast", O(n +
    m) on S¹ and S²; "auto", whichever is expected to take less time.
    tolerance: largest relative error of each target's *own* Z, and absolute error of its mean, with "fast" (the
    rounding of the scores comes on top), from 1e-12.
    threads: for the transforms and the dense sums.

    "fast" expands the sources in harmonics up to the degree that attention sees (ducc0), and gets e^{−β|Bᵀx|} Z(x) to
    ε = 4e-13 of the largest value it has on the sphere (8e-13 for a general B on S¹, 1e-11 and more on S², by its
    condition number). Targets in depleted zones, where it is below ε/tolerance of that, are summed directly, leaving
    out cells of sources that provably do not matter: up to 0.4 ms for each target and 10⁵ sources. So the cost is
    O(N) while few targets lie there; a larger tolerance leaves fewer.

    Source: the Funk–Hecke theorem, with ducc0's non-uniform transforms. Raises InputError for shapes that do not fit,
    vectors not of unit length (to 1e-8), weights that are negative, not finite or all zero, unknown methods,
    tolerances out of range, "fast" with d ≥ 4, and more points than the machine's memory holds.
    """
    check_options(head, method, tolerance, threads)
    y = checked_points("sources", sources, head.dim)
    w = checked_weights(weights, len(y))
    x = y if targets is None else checked_points("targets", targets, head.dim)
    require_memory(BYTES_FOR_A_POINT * (len(x) + len(y)), f"attention of {len(x)} targets to {len(y)} tokens", "number")
    present = w > 0.0
    if not present.all():
        y, w = y[present], w[present]
    if method == "auto":
        method = _faster(head, len(x) * len(y))
    if method == "fast":
        return fast_sums(head, y, w, x, tolerance, threads)[:2]
    return dense_sums(head.beta * x @ head.B, y, np.log(w), threads)
