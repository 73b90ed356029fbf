r"""Attention heads: the matrices of one head, its inverse temperature, and what they imply.

A head scores two tokens by :math:`\beta\langle Qx,Ky\rangle=\beta\langle x,By\rangle` with
:math:`B=Q^\top K` and moves a token along :math:`V`. The low-temperature limit is governed by
:math:`A=VB^\top` and its dominant eigenspace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import schur

from .errors import InputError

Array = NDArray[np.float64]

NUMBER = (int, float, np.integer, np.floating)

ORTHOGONALITY_TOLERANCE = 1e-14

DEFECTIVE_TOLERANCE = 1e-5
"""Round-off splits an eigenvalue of defect k by ε^{1/k} of the norm; for k ≤ 3, less than this."""


def _matrix(name: str, value: ArrayLike) -> Array:
    try:
        matrix = np.array(value)
        if np.iscomplexobj(matrix):
            raise TypeError
        matrix = matrix.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(f"head matrix {name}: expected a matrix of real numbers, got {value!r}") from None
    if matrix.ndim != 2:
        raise InputError(f"head matrix {name}: expected two dimensions, got shape {matrix.shape}")
    if not np.all(np.isfinite(matrix)):
        raise InputError(f"head matrix {name}: expected finite numbers, got {matrix.tolist()}")
    matrix.setflags(write=False)
    return matrix


class Head:
    r"""One attention head (Q, K, V, β) acting on unit vectors of :math:`R^d`.

    Parameters
    ----------
    V: (d, d) value matrix.
    B: (d, d) score matrix :math:`Q^\top K`; the identity if neither B nor Q, K are given.
    Q, K: (k, d) query and key matrices, instead of B (any k, the same for both).
    beta: inverse temperature β > 0 (dimensionless).

    Raises InputError if shapes do not fit, entries are not finite, or β ≤ 0.
    """

    def __init__(
        self,
        V: ArrayLike,
        B: ArrayLike | None = None,
        *,
        Q: ArrayLike | None = None,
        K: ArrayLike | None = None,
        beta: float = 1.0,
    ) -> None:
        self.V = _matrix("V", V)
        dim = self.V.shape[0]
        if self.V.shape != (dim, dim) or dim < 2:
            raise InputError(f"head matrix V: expected a square matrix of size >= 2, got shape {self.V.shape}")
        if (Q is None) != (K is None):
            raise InputError(
                f"head: {'Q' if K is None else 'K'} is given without {'K' if K is None else 'Q'}; expected both"
            )
        if Q is not None and K is not None:
            if B is not None:
                raise InputError("head: expected either B or the pair Q, K, got all three")
            query, key = _matrix("Q", Q), _matrix("K", K)
            if query.shape[1] != dim or key.shape != query.shape:
                raise InputError(
                    f"head matrices Q {query.shape} and K {key.shape}: expected both of shape (k, {dim}) to fit V"
                )
            B = query.T @ key
        self.B = _matrix("B", np.eye(dim) if B is None else B)
        if self.B.shape != (dim, dim):
            raise InputError(f"head matrix B: expected shape {(dim, dim)} to fit V, got {self.B.shape}")
        if not (isinstance(beta, NUMBER) and np.isfinite(beta) and beta > 0):
            raise InputError(f"head: expected an inverse temperature beta > 0, got {beta!r}")
        self.beta = float(beta)

    @property
    def dim(self) -> int:
        """Dimension d of the ambient space."""
        return int(self.V.shape[0])

    @property
    def A(self) -> Array:
        r"""The matrix :math:`A=VB^\top` of the zero-temperature flow."""
        return self.V @ self.B.T

    @property
    def strength(self) -> float:
        r"""The largest score of two tokens, :math:`\beta\|B\|` in the spectral norm."""
        return self.beta * float(np.linalg.norm(self.B, 2))

    @property
    def symmetric_score(self) -> bool:
        """Whether B is symmetric, so that the interaction energy exists."""
        return bool(np.allclose(self.B, self.B.T, rtol=0.0, atol=1e-14 * np.abs(self.B).max()))

    def scaled_orthogonal(self) -> tuple[float, Array] | None:
        """Return (s, O) with B = s·O, s > 0 and O orthogonal; None if B is not of that form."""
        s = float(np.linalg.norm(self.B) / np.sqrt(self.dim))
        if s == 0.0:
            return 0.0, np.eye(self.dim)
        O = self.B / s
        return (s, O) if np.allclose(O.T @ O, np.eye(self.dim), rtol=0.0, atol=ORTHOGONALITY_TOLERANCE) else None

    def to_config(self) -> dict[str, Any]:
        """The head as the keys of a configuration file."""
        return {"V": self.V.tolist(), "B": self.B.tolist(), "beta": self.beta}

    def __repr__(self) -> str:
        def show(matrix: Array) -> str:
            if np.array_equal(matrix, np.eye(self.dim)):
                return "I"
            if np.array_equal(matrix, np.diag(np.diag(matrix))):
                return "diag(" + ", ".join(f"{x:g}" for x in np.diag(matrix)) + ")"
            return str(matrix.tolist())

        return f"Head(V={show(self.V)}, B={show(self.B)}, beta={self.beta:g})"


class DominantEigenspace:
    r"""The dominant eigenspace E of :math:`A=VB^\top`: where low-temperature tokens gather.

    For symmetric A, E belongs to the largest eigenvalue (the theorem's case, arXiv 2605.10931). Otherwise
    E is spanned by the (generalised) eigenvectors of largest real part (arXiv 2509.25040, Prop. 3.4) and
    ``symmetric`` is False: the projection theorem does not apply.

    Attributes: ``basis`` (d, k) orthonormal columns; ``gap`` the distance from the leading real part to the next
    (inf if E is everything); ``symmetric``.
    """

    def __init__(self, A: ArrayLike, tolerance: float = 1e-9) -> None:
        matrix = np.asarray(A, dtype=np.float64)
        scale = max(float(np.abs(matrix).max()), 1e-300)
        self.symmetric = bool(np.allclose(matrix, matrix.T, rtol=0.0, atol=1e-12 * scale))
        if self.symmetric:
            values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
            leading = values >= values[-1] - tolerance * scale
            self.basis: Array = vectors[:, leading]
        else:
            values = np.linalg.eigvals(matrix).real
            lowest = values.max() - max(tolerance, DEFECTIVE_TOLERANCE) * scale
            leading = values >= lowest
            _, vectors, count = schur(matrix, sort=lambda re, im: bool(re >= lowest))
            self.basis = np.ascontiguousarray(vectors[:, : int(count)])
        self.top = float(values.max())
        rest = values[~leading]
        self.gap = float(self.top - rest.max()) if rest.size else float("inf")

    @property
    def dim(self) -> int:
        """Dimension k of E."""
        return int(self.basis.shape[1])

    @property
    def axis(self) -> Array:
        """The unit vector spanning a one-dimensional E, its largest component positive."""
        e = self.basis[:, 0]
        return e * np.sign(e[np.argmax(np.abs(e))])

    def angle(self, x: ArrayLike) -> Array:
        """Geodesic distance from unit vectors x (n, d) to the unit sphere of E, shape (n,), in radians."""
        points = np.asarray(x, dtype=np.float64)
        along = np.linalg.norm(points @ self.basis, axis=-1)
        across = np.linalg.norm(points - (points @ self.basis) @ self.basis.T, axis=-1)
        return np.arctan2(across, along)

    def __repr__(self) -> str:
        kind = "" if self.symmetric else ", A not symmetric"
        return f"DominantEigenspace(dim={self.dim}, gap={self.gap:g}{kind})"


def concentration_rate(head: Head) -> float | None:
    r"""Exponential rate of :math:`W_2(\rho_t,\Pi_\#\rho_0)` at zero temperature, from a positive initial density.

    With Δ the eigenvalue gap of a symmetric A, distances shrink near E at
    :math:`\kappa_\parallel=\Delta/\max_{e\in E}|B^\top e|`. The mass still near another eigenvector w shrinks at
    :math:`\kappa_w=\sum_{\lambda_i>\lambda_w}(\lambda_i-\lambda_w)/|B^\top w|`, one factor for each direction that
    leads away. Then :math:`W_2^2\sim e^{-\min(2\kappa_\parallel,\,\min_w\kappa_w)t}`, up to powers of t.
    None where that is not known: A not symmetric, or E everything. Derived from the projective-linear flow of
    :func:`spherepde.exact.hardmax_flow`; for B = I it is min(2, dim E)·Δ/2.
    """
    space = DominantEigenspace(head.A)
    if not space.symmetric or not np.isfinite(space.gap):
        return None
    values, vectors = np.linalg.eigh(0.5 * (head.A + head.A.T))
    same = 1e-9 * float(np.abs(values).max())
    with np.errstate(divide="ignore"):  # a direction that B ignores is left at once
        near = space.gap / np.linalg.norm(head.B.T @ space.basis, 2)
        leaving = [
            np.maximum(values - value, 0.0).sum()
            / np.linalg.norm(head.B.T @ vectors[:, np.abs(values - value) <= same], 2)
            for value in values[values < space.top - 0.5 * space.gap]
        ]
    return 0.5 * float(min(2.0 * near, *leaving))


def as_heads(heads: Head | Sequence[Head]) -> tuple[Head, ...]:
    """Accept one head or several; several must share the ambient dimension. Raises InputError otherwise."""
    several = (heads,) if isinstance(heads, Head) else tuple(heads)
    if not several:
        raise InputError("attention: expected at least one head, got none")
    if not all(isinstance(head, Head) for head in several):
        raise InputError(f"attention: expected a Head or several, got {type(heads).__name__}")
    if len({head.dim for head in several}) > 1:
        raise InputError(f"attention: heads of different dimensions {[head.dim for head in several]}; expected one")
    return several
