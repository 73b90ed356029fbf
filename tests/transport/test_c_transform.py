"""What the great-circle solver stands on: the shape of its costs, and the bound between nearby densities."""

from __future__ import annotations

import numpy as np
import pytest
from physics_helpers import number

from spherepde.transport.c_transform import _cost, cost_kind
from spherepde.transport.circle_series import circle_bound
from spherepde.transport.costs import Cost

COSTS = [Cost(p, ground) for p in (1.0, 2.0) for ground in ("geodesic", "chordal")]  # type: ignore[arg-type]


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_cost_and_its_slopes(cost: Cost) -> None:
    """Values against angles between points; one maximum of the slope, curvature falling before it, as relied on."""
    kind = cost_kind(cost)
    assert kind is not None
    delta = np.linspace(0.0, np.pi, 801)
    for latitude in np.geomspace(1e-3, 1.5, 25):
        rows = np.array([_cost(kind, (np.sin(latitude), np.cos(latitude)), d) for d in delta])
        point = np.array([np.cos(latitude), 0.0, np.sin(latitude)])
        circle = np.stack([np.cos(delta), np.sin(delta), np.zeros_like(delta)], axis=-1)
        np.testing.assert_allclose(rows[:, 0], cost.between(point, circle), atol=1e-13)
        middle = 0.5 * (delta[1:] + delta[:-1])
        slope = np.array([_cost(kind, (np.sin(latitude), np.cos(latitude)), d)[1] for d in middle])
        smooth = (middle > 0.5) & (middle < 2.6)
        np.testing.assert_allclose((np.diff(rows[:, 0]) / np.diff(delta))[smooth], slope[smooth], atol=1e-4)
        top = rows[:, 1].argmax()
        assert (np.diff(rows[: top + 1, 2]) < 1e-9).all()
        assert (np.diff(rows[: top + 1, 1]) >= -1e-13).all() and (np.diff(rows[top:, 1]) <= 1e-13).all()


def test_bound_along_the_circle() -> None:
    """Nearly equal densities: W1 of a tilt is 4·a; W2 of a small turn θ of f is θ if f is nearly uniform."""
    f = np.array([1.0, 0.0, 0.0], dtype=complex)
    g = np.array([1.0, np.pi * 1e-3, 0.0], dtype=complex)  # (1 + 2π·1e-3 cos φ)/2π: F − G = 1e-3 sin φ
    number("W1 of a tilt", circle_bound(g, f, Cost(1.0)), 4e-3, rtol=1e-3)
    first_order = np.sqrt(2.0) * np.pi * 1e-3
    number("W2 of a tilt", circle_bound(g, f, Cost(2.0)), first_order, rtol=1e-4)
