"""Entropic transport by stabilised Sinkhorn iterations with a falling regularisation, rounded to a plan.

Costs, kernel and plan are dense, 48 bytes for each pair of points in all: 20 000 × 20 000 points take 18 GiB, and every
iteration goes over all pairs. For more points than that there is nothing here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

Array = NDArray[np.float64]

GAP = 1e-2
"""Relative gap between the bounds at which the regularisation stops falling."""
ITERATIONS = 3000
PER_LEVEL = 400
MARGINAL = 1e-4
"""Marginals this close (in total variation) end a level."""
LARGEST_LOG = 50.0
"""Scalings whose logarithms exceed this are absorbed into the potentials."""


def entropic_plan(a: Array, b: Array, matrix: Array) -> tuple[Array, Array, str]:
    r"""A plan with marginals a, b, the potential of the rows, and how it went.

    .. math:: \min_\pi\sum\pi_{ij}\bigl(c_{ij}+\varepsilon\log\tfrac{\pi_{ij}}{a_ib_j}\bigr),
              \qquad\pi_{ij}=u_i\,e^{(f_i+g_j-c_{ij})/\varepsilon}\,v_j

    with ε halved from the largest cost on until the rounded plan costs at most 1 % more than the potentials' value.
    """
    epsilon = float(matrix.max()) or 1.0
    g = np.zeros(len(b))
    spent = 0
    while True:
        f = -epsilon * logsumexp((g - matrix) / epsilon + np.log(b), axis=1)
        f, g, plan, used = _level(a, b, matrix, f, g, epsilon)
        spent += used
        rounded = rounded_plan(plan, a, b)
        psi = np.min(matrix - f[:, None], axis=0)
        phi = np.min(matrix - psi, axis=1)
        lower, upper = float(phi @ a + psi @ b), float(np.sum(rounded * matrix))
        closed = upper - lower <= GAP * upper
        if closed or spent >= ITERATIONS or epsilon < 1e-14 * float(matrix.max()):
            end = "bounds agree to 1 %" if closed else f"stopped with a gap of {upper - lower:.2g} in the cost"
            return rounded, phi, f"Sinkhorn, {spent} iterations down to regularisation {epsilon:.2g}: {end}"
        epsilon *= 0.5


def _level(a: Array, b: Array, matrix: Array, f: Array, g: Array, epsilon: float) -> tuple[Array, Array, Array, int]:
    tiny = np.finfo(np.float64).tiny
    weighted = a[:, None] * b
    kernel = weighted * np.exp((f[:, None] + g - matrix) / epsilon)
    u, v = np.ones(len(a)), np.ones(len(b))
    count = 0
    for count in range(1, PER_LEVEL + 1):
        v = b / np.maximum(u @ kernel, tiny)
        row = kernel @ v
        if count % 10 == 0 and float(np.abs(u * row - a).sum()) <= MARGINAL:
            break
        u = a / np.maximum(row, tiny)
        if max(np.abs(np.log(u)).max(), np.abs(np.log(v)).max()) > LARGEST_LOG:
            f, g = f + epsilon * np.log(u), g + epsilon * np.log(v)
            kernel = weighted * np.exp((f[:, None] + g - matrix) / epsilon)
            u, v = np.ones(len(a)), np.ones(len(b))
    return f + epsilon * np.log(u), g + epsilon * np.log(v), u[:, None] * kernel * v, count


def rounded_plan(plan: Array, a: Array, b: Array) -> Array:
    """The plan scaled down to at most its marginals, what is missing spread as a product."""
    tiny = np.finfo(np.float64).tiny
    plan = plan * np.minimum(a / np.maximum(plan.sum(axis=1), tiny), 1.0)[:, None]
    plan *= np.minimum(b / np.maximum(plan.sum(axis=0), tiny), 1.0)
    missing_left, missing_right = a - plan.sum(axis=1), b - plan.sum(axis=0)
    total = float(missing_left.sum())
    if total > 0.0:
        plan += np.maximum(missing_left, 0.0)[:, None] * np.maximum(missing_right, 0.0) / total
    return plan
