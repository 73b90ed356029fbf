"""Optimal transport of weighted points onto two antipodal atoms, exact on every sphere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .antipodes import COSTS
from .costs import Cost, angle_between
from .distance import Distance
from .measures import checked_points, checked_weights

Array = NDArray[np.float64]


def wasserstein_cloud_antipodes(
    points: ArrayLike,
    axis: ArrayLike,
    mass_plus: float,
    weights: ArrayLike | None = None,
    costs: Sequence[Cost] = COSTS,
) -> dict[Cost, Distance]:
    """Distances from weighted points (n, d) to ``mass_plus`` at the unit vector e = ``axis`` and the rest at −e.

    The difference of the costs of the two atoms grows with the angle to e, so the points nearest to e go there until
    its mass is full, the last of them in part. ``weights`` (n,) by default 1/n. ``lower`` is the distance to the
    nearest measures on {±e}, ``upper`` adds what the masses of the two hemispheres lack. Sums of n terms, as exact as
    floats are; as an approximation of a density's distance, as good as the points are a quadrature rule, which the
    kinks at the right angle make hard where mass is left there. Raises InputError for points that are no unit vectors,
    weights that do not fit.
    """
    pole = checked_points(np.atleast_2d(np.asarray(axis, dtype=np.float64)), what="axis")[0]
    x = checked_points(points, len(pole), what="points")
    w = checked_weights(weights, len(x))
    angle = angle_between(x, pole)
    order = np.argsort(angle)
    angle, w = angle[order], w[order]
    reached = np.cumsum(w)
    share = np.clip((mass_plus - (reached - w)) / np.maximum(w, 1e-300), 0.0, 1.0)
    missing = abs(mass_plus - float(w[angle < 0.5 * np.pi].sum()))
    found = {}
    for cost in costs:
        here, there = cost.of_angle(angle), cost.of_angle(np.pi - angle)
        lower = cost.distance(float(w @ np.minimum(here, there)))
        upper = lower + cost.distance(cost.largest * missing)
        value = min(max(cost.distance(float(w @ (share * here + (1.0 - share) * there))), lower), upper)
        status = f"exact for {len(w)} points: the {np.count_nonzero(share)} nearest to +e go there"
        found[cost] = Distance(value=value, lower=lower, upper=upper, cost=cost, status=status)
    return found
