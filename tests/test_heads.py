"""Heads: what their matrices imply, what they refuse, and the dominant eigenspace of A = V Bᵀ."""

import numpy as np
import pytest

from spherepde.errors import InputError
from spherepde.heads import DominantEigenspace, Head, as_heads, concentration_rate

EYE = np.eye(3)


def orthogonal(dim, seed, determinant=1.0):
    """A random orthogonal matrix of given determinant."""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, dim)))
    q = q * np.sign(np.diag(r))
    if np.linalg.det(q) * determinant < 0.0:
        q[:, 0] *= -1.0
    return q


def projector(basis):
    return basis @ basis.T


# ---- the matrices


def test_score_is_the_identity_unless_given():
    head = Head(np.diag([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(head.B, EYE)
    assert head.dim == 3
    assert head.beta == 1.0


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_query_and_key_give_the_score_matrix(rank):
    rng = np.random.default_rng(rank)
    Q, K = rng.normal(size=(2, rank, 3))
    head = Head(EYE, Q=Q, K=K, beta=2.0)
    x, y = rng.normal(size=(2, 3))
    assert x @ head.B @ y == pytest.approx((Q @ x) @ (K @ y), rel=1e-13)
    np.testing.assert_array_equal(head.B, Head(EYE, B=Q.T @ K).B)


def test_zero_temperature_matrix_is_value_times_transposed_score():
    rng = np.random.default_rng(0)
    V, B = rng.normal(size=(2, 3, 3))
    x = rng.normal(size=3)
    np.testing.assert_allclose(Head(V, B).A @ x, V @ (B.T @ x), rtol=1e-13)


def test_head_owns_its_matrices():
    V, B = np.eye(2), np.diag([1.0, 2.0])
    head = Head(V, B)
    V[0, 0] = B[0, 0] = 7.0
    assert head.V[0, 0] == head.B[0, 0] == 1.0
    for matrix in (head.V, head.B):
        with pytest.raises(ValueError, match="read-only"):
            matrix[0, 0] = 7.0


def test_configuration_rebuilds_the_head():
    head = Head(np.diag([1.0, 0.1]), [[0.1, 2.0], [1 / 3, 4.0]], beta=1e3)
    again = Head(**head.to_config())
    np.testing.assert_array_equal(again.V, head.V)
    np.testing.assert_array_equal(again.B, head.B)
    assert again.beta == head.beta


@pytest.mark.parametrize(
    ("B", "symmetric"),
    [
        (EYE, True),
        (np.zeros((3, 3)), True),
        ([[1, 2, 0], [2, 5, 0], [0, 0, 1]], True),
        ([[1, 2, 0], [2 + 1e-15, 5, 0], [0, 0, 1]], True),
        ([[1, 2, 0], [2 + 1e-9, 5, 0], [0, 0, 1]], False),
        ([[1e-9, 1e-9, 0], [0, 1e-9, 0], [0, 0, 1e-9]], False),
    ],
)
def test_symmetry_of_the_score_is_judged_relative_to_its_size(B, symmetric):
    assert Head(EYE, B).symmetric_score is symmetric


def test_representation_names_matrices_by_their_shape():
    assert repr(Head(EYE, beta=100.0)) == "Head(V=I, B=I, beta=100)"
    assert repr(Head(np.diag([1, 0.4, -0.3]), beta=1.5)) == "Head(V=diag(1, 0.4, -0.3), B=I, beta=1.5)"
    assert repr(Head([[1, 2], [3, 4]], -np.eye(2))) == "Head(V=[[1.0, 2.0], [3.0, 4.0]], B=diag(-1, -1), beta=1)"


# ---- scaled orthogonal scores


@pytest.mark.parametrize("scale", [1e-8, 0.7, 1.0, 300.0])
@pytest.mark.parametrize("dim", [2, 3, 7])
@pytest.mark.parametrize("kind", ["identity", "rotation", "reflection", "minus identity"])
def test_scaled_orthogonal_scores_are_recognised(kind, dim, scale):
    O = {
        "identity": np.eye(dim),
        "rotation": orthogonal(dim, 1),
        "reflection": orthogonal(dim, 2, -1.0),
        "minus identity": -np.eye(dim),
    }[kind]
    found = Head(np.eye(dim), scale * O).scaled_orthogonal()
    assert found is not None
    assert found[0] == pytest.approx(scale, rel=1e-14)
    np.testing.assert_allclose(found[1], O, rtol=0.0, atol=1e-14)


@pytest.mark.parametrize(
    "B",
    [
        np.diag([1.0, 1.0, 1.0 + 1e-9]),
        np.diag([1.0, 1.0, 0.0]),
        [[1.0, 1e-9, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        np.ones((3, 3)),
    ],
)
def test_other_scores_are_not_scaled_orthogonal(B):
    assert Head(EYE, B).scaled_orthogonal() is None


def test_the_zero_score_has_scale_zero():
    found = Head(EYE, np.zeros((3, 3))).scaled_orthogonal()
    assert found is not None
    assert found[0] == 0.0
    np.testing.assert_array_equal(found[1], EYE)


# ---- refusals


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        ({"V": "identity"}, "head matrix V: expected a matrix of real numbers, got 'identity'"),
        ({"V": [[1, 2], [3]]}, "head matrix V: expected a matrix of real numbers"),
        ({"V": 1.0}, r"head matrix V: expected two dimensions, got shape \(\)"),
        ({"V": [1.0, 2.0]}, r"head matrix V: expected two dimensions, got shape \(2,\)"),
        ({"V": [[1.0]]}, r"head matrix V: expected a square matrix of size >= 2, got shape \(1, 1\)"),
        ({"V": np.ones((2, 3))}, r"head matrix V: expected a square matrix of size >= 2, got shape \(2, 3\)"),
        ({"V": [[1.0, np.nan], [0.0, 1.0]]}, "head matrix V: expected finite numbers"),
        ({"V": [[1.0, np.inf], [0.0, 1.0]]}, "head matrix V: expected finite numbers"),
        ({"V": EYE, "B": np.eye(2)}, r"head matrix B: expected shape \(3, 3\) to fit V, got \(2, 2\)"),
        ({"V": EYE, "B": [[np.nan] * 3] * 3}, "head matrix B: expected finite numbers"),
        ({"V": EYE, "B": 2.0}, "head matrix B: expected two dimensions"),
        ({"V": EYE, "Q": EYE}, "head: Q is given without K; expected both"),
        ({"V": EYE, "K": EYE}, "head: K is given without Q; expected both"),
        ({"V": EYE, "B": EYE, "Q": EYE, "K": EYE}, "either B or the pair Q, K"),
        ({"V": EYE, "Q": np.ones((2, 3)), "K": np.ones((4, 3))}, r"expected both of shape \(k, 3\) to fit V"),
        ({"V": EYE, "Q": np.ones((2, 2)), "K": np.ones((2, 2))}, r"expected both of shape \(k, 3\) to fit V"),
        ({"V": EYE, "Q": [[np.inf] * 3], "K": [[1.0] * 3]}, "head matrix Q: expected finite numbers"),
        ({"V": EYE, "beta": 0.0}, "expected an inverse temperature beta > 0, got 0.0"),
        ({"V": EYE, "beta": -1.0}, "expected an inverse temperature beta > 0, got -1.0"),
        ({"V": EYE, "beta": np.inf}, "expected an inverse temperature beta > 0, got inf"),
        ({"V": EYE, "beta": np.nan}, "expected an inverse temperature beta > 0, got nan"),
    ],
)
def test_bad_heads_are_refused_in_a_sentence(arguments, fragment):
    with pytest.raises(InputError, match=fragment):
        Head(**arguments)


@pytest.mark.parametrize("beta", ["100", None, [1.0]])
def test_an_inverse_temperature_that_is_no_number_is_refused(beta):
    with pytest.raises(InputError, match="expected an inverse temperature"):
        Head(EYE, beta=beta)


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
def test_complex_matrices_are_refused():
    with pytest.raises(InputError, match="head matrix V"):
        Head(EYE * (1.0 + 1.0j))


def test_one_head_or_several_are_accepted():
    one, two = Head(EYE), Head(2 * EYE)
    assert as_heads(one) == (one,)
    assert as_heads([one, two]) == (one, two)


def test_no_head_and_mixed_dimensions_are_refused():
    with pytest.raises(InputError, match="expected at least one head"):
        as_heads([])
    with pytest.raises(InputError, match=r"heads of different dimensions \[2, 3\]"):
        as_heads([Head(np.eye(2)), Head(EYE)])


# ---- the dominant eigenspace


@pytest.mark.parametrize(
    ("values", "dim", "gap"),
    [
        ([1.0, 0.4, -0.3], 1, 0.6),
        ([1.0, 1.0, 0.5], 2, 0.5),
        ([2.0, 2.0, 2.0], 3, np.inf),
        ([-1.0, -2.0, -5.0], 1, 1.0),
        ([1.0, 1.0 - 1e-11, 0.0], 2, 1.0),
        ([1.0, 1.0 - 1e-7, 0.0], 1, 1e-7),
        ([0.0, 0.0, 0.0], 3, np.inf),
    ],
)
def test_eigenspace_of_a_symmetric_matrix(values, dim, gap):
    O = orthogonal(3, 5)
    space = DominantEigenspace(O @ np.diag(values) @ O.T)
    assert space.symmetric
    assert space.dim == dim
    assert space.top == pytest.approx(values[0], abs=1e-14)
    assert space.gap == pytest.approx(gap, rel=1e-4 if gap < 1e-3 else 1e-9)
    assert space.basis.T @ space.basis == pytest.approx(np.eye(dim), abs=1e-14)
    tolerance = 1e-8 if gap < 1e-3 else 1e-13  # eigenvectors are known to ε/gap
    np.testing.assert_allclose(projector(space.basis), projector(O[:, :dim]), rtol=0.0, atol=tolerance)


def test_the_largest_eigenvalue_counts_not_the_largest_modulus():
    space = DominantEigenspace(np.diag([1.0, -3.0]))
    np.testing.assert_allclose(projector(space.basis), np.diag([1.0, 0.0]), atol=1e-15)


def test_eigenspace_of_a_nonsymmetric_matrix_with_a_real_top():
    P = np.array([[1.0, 2.0, 0.5], [0.0, 1.0, -1.0], [0.3, 0.0, 1.0]])
    space = DominantEigenspace(P @ np.diag([2.0, 0.5, -1.0]) @ np.linalg.inv(P))
    assert not space.symmetric
    assert space.dim == 1
    assert space.top == pytest.approx(2.0, rel=1e-13)
    assert space.gap == pytest.approx(1.5, rel=1e-13)
    direction = P[:, 0] / np.linalg.norm(P[:, 0])
    np.testing.assert_allclose(projector(space.basis), np.outer(direction, direction), rtol=0.0, atol=1e-13)


def test_eigenspace_of_a_complex_pair_is_its_plane():
    P = orthogonal(3, 8) @ np.diag([1.0, 2.0, 1.0])
    pair = np.array([[0.5, -2.0, 0.0], [2.0, 0.5, 0.0], [0.0, 0.0, -1.0]])
    space = DominantEigenspace(P @ pair @ np.linalg.inv(P))
    assert not space.symmetric
    assert space.dim == 2
    assert space.top == pytest.approx(0.5, rel=1e-12)
    assert space.gap == pytest.approx(1.5, rel=1e-12)
    plane = np.linalg.qr(P[:, :2])[0]
    np.testing.assert_allclose(projector(space.basis), projector(plane), rtol=0.0, atol=1e-13)


def test_a_rotation_is_dominant_everywhere():
    space = DominantEigenspace([[0.0, -1.0], [1.0, 0.0]])
    assert space.dim == 2
    assert space.gap == np.inf
    assert not space.symmetric


def test_a_real_top_beside_a_lower_complex_pair():
    space = DominantEigenspace([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.25]])
    assert space.gap == pytest.approx(0.25, rel=1e-13)
    np.testing.assert_allclose(projector(space.basis), np.diag([0.0, 0.0, 1.0]), atol=1e-14)


def test_eigenspace_of_a_defective_matrix_is_the_generalised_one():
    P = np.random.default_rng(1).normal(size=(3, 3))
    jordan = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    space = DominantEigenspace(P @ jordan @ np.linalg.inv(P))
    assert space.dim == 2
    assert space.gap == pytest.approx(1.0, rel=1e-6)


def test_angles_to_the_eigenspace():
    line = DominantEigenspace(np.diag([1.0, 0.5, 0.0]))
    plane = DominantEigenspace(np.diag([1.0, 1.0, 0.0]))
    small, half = 1e-9, np.pi / 2
    x = [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, 0, -1], [np.cos(0.3), 0, np.sin(0.3)], [np.cos(small), small, 0]]
    np.testing.assert_allclose(line.angle(x), [0, 0, half, half, 0.3, small], rtol=1e-14, atol=1e-17)
    np.testing.assert_allclose(plane.angle(x), [0, 0, 0, half, 0.3, 0], rtol=1e-14, atol=1e-17)
    np.testing.assert_array_equal(DominantEigenspace(EYE).angle(x), np.zeros(6))


def test_eigenspace_representation():
    assert repr(DominantEigenspace(np.diag([1.0, 0.4, -0.3]))) == "DominantEigenspace(dim=1, gap=0.6)"
    assert repr(DominantEigenspace([[0, -1], [1, 0]])) == "DominantEigenspace(dim=2, gap=inf, A not symmetric)"


def test_axis_of_a_line_points_to_its_largest_positive_component():
    O = orthogonal(3, 5)
    axis = DominantEigenspace(O @ np.diag([1.0, 0.2, 0.0]) @ O.T).axis
    assert axis[np.argmax(np.abs(axis))] > 0.0
    np.testing.assert_allclose(np.outer(axis, axis), np.outer(O[:, 0], O[:, 0]), rtol=0.0, atol=1e-14)


# ---- the rate of concentration at zero temperature (literature C2)


@pytest.mark.parametrize(
    ("values", "score", "rate"),
    [
        ([1.0, 0.5], [1.0, 1.0], 0.25),  # mass leaving E⊥ sets the pace: half the gap
        ([1.0, 0.45], [1.0, 0.3], 0.55),  # W₂² ~ e^{−1.1 t} = 2κ∥
        ([1.0, 0.45], [1.0, 2.0], 0.1375),  # W₂² ~ e^{−0.275 t} = κ⊥
        ([1.0, 1.0, 0.4], [1.0, 1.0, 1.0], 0.6),  # a circle: the full gap
        ([1.0, 1.0, 0.4], [2.0, 1.0, 1.0], 0.3),  # the slowest point of the circle
        ([1.0, 0.4, -0.3], [1.0, 1.0, 1.0], 0.3),
        (
            [1.0, 0.4, -0.3],
            [1.0, 1.0, 9.0],
            1.0 / 9.0,
        ),  # a large |Bᵀw| keeps mass at the lowest eigenvector: 2/9, halved
    ],
)
def test_concentration_rate(values, score, rate):
    O = orthogonal(len(values), 3)
    B = O @ np.diag(score) @ O.T
    head = Head(O @ np.diag(values) @ O.T @ np.linalg.inv(B.T), B)
    assert concentration_rate(head) == pytest.approx(rate, rel=1e-10)


def test_no_concentration_rate_without_the_theorem():
    assert concentration_rate(Head(EYE)) is None
    assert concentration_rate(Head([[1.0, 2.0], [0.0, 0.5]])) is None


def test_concentration_rate_of_a_singular_score():
    """Where B maps E⊥ to zero nothing keeps mass there: the rate is the one near E."""
    assert concentration_rate(Head(np.eye(2), np.diag([1.0, 0.0]))) == pytest.approx(1.0)
