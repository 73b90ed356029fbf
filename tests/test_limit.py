"""The limit measure against closed forms and against the exact zero-temperature flow that it is the limit of."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from spherepde import exact
from spherepde.errors import InputError
from spherepde.heads import Head
from spherepde.limit import limit_measure
from spherepde.quadrature import sphere_rule

sys.path.insert(0, str(Path(__file__).parent / "physics"))
from physics_helpers import bounded, number

Array = NDArray[np.float64]
TURN = Rotation.from_rotvec([0.7, -1.1, 0.4]).as_matrix()
S = np.array([[1.0, 0.3, 0.2], [0.1, 1.2, 0.4], [-0.2, 0.5, 0.9]])
MEAN = np.array([0.4, -0.3, 0.5])


def tilted(x: Array) -> Array:
    return (1.0 + x @ MEAN[: x.shape[1]]) / (4.0 * np.pi if x.shape[1] == 3 else 2.0 * np.pi)


def flow_masses(A: Array, axis: Array, time: float) -> Array:
    """Mass that the exact flow has carried to either side of an axis, from a fine quadrature."""
    points, weights = sphere_rule(len(A), 600)
    late = exact.hardmax_flow(Head(A), points, time) @ axis
    assert np.abs(np.abs(late) - 1.0).max() < 1e-2, "the flow has not arrived"
    mass = weights * tilted(points)
    return np.array([mass[late > 0.0].sum(), mass[late < 0.0].sum()])


def test_symmetric_axis() -> None:
    A = TURN @ np.diag([1.0, 0.5, 0.2]) @ TURN.T
    limit = limit_measure(A, tilted)
    assert limit.kind == "atoms" and limit.known and "2605.10931 applies" in limit.theorem
    assert limit.points is not None and limit.weights is not None
    number("atom of a tilted density", limit.weights[0], 0.5 + 0.25 * limit.points[0] @ MEAN, atol=2e-15)
    bounded("axis", np.abs(np.abs(limit.points[0] @ TURN[:, 0]) - 1.0), 5e-15)
    bounded("masses by the flow", np.abs(flow_masses(A, limit.points[0], 40.0) - limit.weights).max(), 2e-4)


def test_head_with_a_score_matrix_uses_v_b_transposed() -> None:
    B = np.array([[1.0, 0.4, 0.0], [0.0, 1.2, -0.3], [0.5, 0.0, 0.8]])
    A = np.diag([0.2, 1.0, 0.6])
    limit = limit_measure(Head(A @ np.linalg.inv(B.T), B), tilted)
    assert limit.points is not None and limit.weights is not None
    np.testing.assert_allclose(limit.points[0], [0.0, 1.0, 0.0], atol=1e-12)
    number("atom of the head", limit.weights[0], 0.5 - 0.25 * 0.3, atol=1e-12)


def test_axis_on_the_circle() -> None:
    limit = limit_measure(np.diag([0.5, 1.0]), tilted)
    assert limit.kind == "atoms" and limit.weights is not None
    number("half circle", limit.weights[0], 0.5 - 0.3 / np.pi, atol=2e-15)


def test_oblique_axis_is_where_the_flow_goes() -> None:
    """A not symmetric: points part at the hyperplane of the other eigenvectors, <left,x> = 0, not at e's equator."""
    A = S @ np.diag([1.0, 0.3, -0.4]) @ np.linalg.inv(S)
    limit = limit_measure(A, tilted)
    assert limit.kind == "atoms" and limit.known and "does not apply" in limit.theorem and "oblique" in limit.theorem
    assert limit.points is not None and limit.weights is not None
    left = np.linalg.inv(S)[0] * np.sign(S[:, 0] @ limit.points[0])
    truth = 0.5 + 0.25 * left @ MEAN / np.linalg.norm(left)
    number("oblique atom", limit.weights[0], truth, atol=1e-14)
    bounded("its direction", abs(abs(limit.points[0] @ S[:, 0]) / np.linalg.norm(S[:, 0]) - 1.0), 5e-15)
    bounded("oblique masses by the flow", np.abs(flow_masses(A, limit.points[0], 30.0) - limit.weights).max(), 2e-4)
    assert abs(0.5 + 0.25 * limit.points[0] @ MEAN - limit.weights[0]) > 0.01, "the straight projection must differ"


@pytest.mark.parametrize("oblique", [False, True], ids=["symmetric", "oblique"])
def test_circle_is_where_the_flow_goes(oblique: bool) -> None:
    A = (S if oblique else TURN) @ np.diag([1.0, 1.0, -1.0]) @ np.linalg.inv(S if oblique else TURN)
    limit = limit_measure(A, tilted)
    assert limit.kind == "circle" and limit.known
    assert limit.coefficients is not None and limit.basis is not None
    points, weights = sphere_rule(3, 400)
    late = exact.hardmax_flow(Head(A), points, 18.0)
    bounded("distance of the late flow to E", np.abs(limit.target.angle(late)).max(), 5e-13)
    along = late @ limit.basis
    for k in (0, 1, 2, 3):
        waves = (along[:, 0] - 1j * along[:, 1]) ** k
        error = abs(np.sum(weights * tilted(points) * waves) - limit.coefficients[k])
        bounded(f"c{k} by the flow", error, 1e-4)


def test_circle_of_a_tilted_density() -> None:
    """c₁ = (π/8)(a₁ − i a₂) for the components a of the mean direction in E."""
    limit = limit_measure(TURN @ np.diag([1.0, 1.0, 0.2]) @ TURN.T, tilted)
    assert limit.coefficients is not None and limit.basis is not None
    a = limit.basis.T @ MEAN
    bounded("c1 of the tilted density", abs(limit.coefficients[1] - np.pi / 8.0 * (a[0] - 1j * a[1])), 1e-13)
    number("its mass", limit.coefficients[0].real, 1.0, atol=1e-14)


def test_harmonic_coefficients_and_everything() -> None:
    c = np.zeros(10, dtype=complex)
    c[0], c[1] = 1.0 / np.sqrt(4.0 * np.pi), 0.2
    limit = limit_measure(np.diag([0.1, 0.2, 1.0]), c)
    assert limit.weights is not None
    number("atom at the pole", limit.weights[0], 0.5 + 0.2 * np.sqrt(3.0 / (4.0 * np.pi)) * np.pi, atol=2e-13)
    for d in (2, 3):
        still = limit_measure(np.eye(d), tilted)
        assert still.kind == "identity" and still.known and "multiple of the identity" in still.theorem


def test_nearly_degenerate_says_what_rules_meanwhile() -> None:
    limit = limit_measure(np.diag([1.0, 0.9995, 0.2]), tilted)
    assert limit.kind == "atoms" and limit.known
    for words in ("nearly degenerate", "5.0e-04", "1/gap = 2e+03", "of dimension 2"):
        assert words in limit.theorem
    assert "nearly" not in limit_measure(np.diag([1.0, 0.99, 0.2]), tilted).theorem


@pytest.mark.parametrize(
    ("A", "kind", "words"),
    [
        (np.array([[1.0, -1.0, 0.0], [1.0, 1.0, 0.2], [0.0, 0.0, 0.3]]), "circle", "rotate"),
        (np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.3]]), "circle", "Jordan block"),
        (np.array([[0.0, -1.0], [1.0, 0.0]]), "identity", "rotate"),
    ],
    ids=["rotation", "Jordan", "rotation of everything"],
)
def test_no_limit_is_said(A: Array, kind: str, words: str) -> None:
    limit = limit_measure(A, tilted)
    assert limit.kind == kind and not limit.known and words in limit.theorem and "does not apply" in limit.theorem


def test_repr_tells_the_story() -> None:
    assert "masses 0.6 and 0.4 at ±[1. 0. 0.]" in repr(limit_measure(np.diag([1.0, 0.5, 0.2]), tilted))
    assert "great circle" in repr(limit_measure(np.diag([1.0, 1.0, 0.2]), tilted))
    assert "initial density itself" in repr(limit_measure(np.eye(3), tilted))


@pytest.mark.parametrize("A", [np.eye(4), np.ones((2, 3)), np.full((3, 3), np.nan)])
def test_bad_matrices(A: Array) -> None:
    with pytest.raises(InputError, match="expected a finite"):
        limit_measure(A, tilted)


def test_bad_density() -> None:
    with pytest.raises(InputError, match="mass"):
        limit_measure(np.diag([1.0, 0.5, 0.2]), lambda x: -tilted(x))
