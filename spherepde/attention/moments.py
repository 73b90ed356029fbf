r"""Kernel moments Z and N of a density at every node, three ways: Funk–Hecke, radial factors and direct quadrature.

.. math:: Z(x)=\int e^{\beta\langle x,By\rangle}\rho(y)dy,\qquad N(x)=\int e^{\beta\langle x,By\rangle}y\,\rho(y)dy

Both are returned scaled by :math:`e^{-\beta|B^\top x|}`, so nothing overflows at low temperature. Where an evaluator
is ``ambient``, ``first`` has the Cartesian components of N; otherwise those in the frame of the node,
``first[0]`` = ⟨N', x⟩, ``first[1:]`` = ⟨N', e_i⟩, with N = OᵀN' where O is the evaluator's ``turn``.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..heads import Head
from ..kernel_sums import kernel_sums
from ..kernels import funk_hecke, kernel_bandwidth
from ..spaces import Space
from ..spaces.sphere import LARGEST_DEGREE

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]

BLOCK_BYTES = 64 * 2**20


class KernelMoments(Protocol):
    """Evaluates the moments of one head on one space.

    ``partition`` (*shape) and ``first`` (d, *shape) are buffers, valid after :meth:`update`;
    ``turn`` (d, d); ``log_scale`` is β|Bᵀx|, a number or an array (*shape); ``source_degree`` is L_K;
    ``uniform_partition`` is the (largest, unscaled) Z of the uniform density.
    """

    head: Head
    partition: Real
    first: Real
    turn: Real
    ambient: bool
    log_scale: Real
    source_degree: int
    uniform_partition: float

    def update(self, u: Modal) -> None:
        """Fill the buffers for the density with coefficients u."""


def _largest_uniform(dim: int, exponent: float, space: Space) -> float:
    """Z of the uniform density, unscaled, where β|Bᵀx| has its largest value."""
    return float(funk_hecke(dim, exponent, 0).value[0] * np.exp(min(exponent, 700.0)) / space.area)


class FunkHeckeMoments:
    r"""Moments for B = sO by multipliers: three transforms of degree ≤ L_K, whatever the density's lmax.

    With :math:`\rho'(x)=\rho(O^\top x)`: Z and the radial part of N' multiply :math:`\rho'_l` by
    :math:`\lambda_l(\beta s)` and :math:`\lambda_l'(\beta s)`; the tangential part is the gradient of
    :math:`\lambda_l/(\beta s)`. Raises InputError if B is not a multiple of an orthogonal matrix.
    """

    ambient = False

    def __init__(self, head: Head, space: Space) -> None:
        factors = head.scaled_orthogonal()
        if factors is None:
            raise InputError(
                f"method 'funk_hecke' needs B = s*O with O orthogonal, got B = {head.B.tolist()}; expected 'quadrature'"
            )
        s, self.turn = factors
        kappa = head.beta * s
        self.head = head
        self.source_degree = kernel_bandwidth(head.dim, kappa)
        self._space = space
        self._band = space.band(max(2, self.source_degree))
        table = funk_hecke(head.dim, kappa, self._band.lmax)
        degree = self._band.degree
        self._value, self._radial, self._tangential = (
            multipliers[degree] + 0j  # complex, as the coefficients they scale: no conversion at every product
            for multipliers in (table.value, table.radial, table.tangential)
        )
        self._low, self._scaled = np.empty_like(self._value), np.empty_like(self._value)
        self.uniform_partition = _largest_uniform(head.dim, kappa, space)
        self._turned = not np.array_equal(self.turn, np.eye(head.dim))
        self.log_scale = np.array(kappa)
        self.partition = space.empty()
        self.first = space.empty(head.dim)

    def update(self, u: Modal) -> None:
        """Fill the buffers: two syntheses and one gradient."""
        low, scaled = self._space.restrict(u, self._band.lmax, self._low), self._scaled
        if self._turned:
            low = self._band.rotate(low, self.turn, scaled)
            low, scaled = scaled, self._low
        self._band.to_nodal(np.multiply(self._value, low, out=scaled), self.partition)
        self._band.to_nodal(np.multiply(self._radial, low, out=scaled), self.first[0])
        self._band.gradient(np.multiply(self._tangential, low, out=scaled), self.first[1:])


class FactorMoments:
    r"""Moments for any B, by :func:`~spherepde.kernel_sums.kernel_sums` planned once at the nodes.

    Errors are 1e-11 of the largest scaled Z or less (3e-11 for condition numbers beyond ten); cost: that of some ten to
    thirty small transforms, of 2K non-uniform ones for condition numbers that no affordable grid resolves. Raises
    InputError on S² for β‖B‖ > 2e5.
    """

    ambient = True

    def __init__(self, head: Head, space: Space) -> None:
        self.head = head
        self.turn = np.eye(head.dim)
        self._space = space
        nodes = space.flat(np.moveaxis(space.points, -1, 0)).T
        if space.dim == 3 and kernel_bandwidth(3, head.strength) > LARGEST_DEGREE:
            raise InputError(
                f"model.beta = {head.beta:g}: a general B on the sphere needs harmonics beyond degree "
                f"{LARGEST_DEGREE}; expected a lower beta*|B|"
            )
        self._sums = kernel_sums(
            head, nodes, threads=space.threads, backend="auto" if space.dim == 2 else space.backend
        )
        self.source_degree = self._sums.source_degree
        self.partition, self.first, self.log_scale = space.empty(), space.empty(head.dim), space.empty()
        space.flat(self.log_scale)[:] = self._sums.log_scale
        self.uniform_partition = _largest_uniform(head.dim, float(np.max(self.log_scale)), space)
        self._low = space.restrict(np.zeros(space.n_modal, complex), self.source_degree)

    def update(self, u: Modal) -> None:
        """Fill the buffers."""
        low = self._space.restrict(u, self.source_degree, self._low)
        self._sums.evaluate(low, self._space.flat(self.partition), self._space.flat(self.first))


class QuadratureMoments:
    r"""Moments for any B by summing over a quadrature grid, in blocks of bounded memory.

    The kernel has bandwidth :math:`L_K(\beta\|B\|)`, so a grid exact to twice that degree, and the density cut there,
    lose nothing. Exponents are shifted by :math:`\beta|B^\top x|`, their supremum over the sphere: no overflow
    for any B, singular ones included. Cost (nodes × sources) exponentials.
    """

    ambient = True

    def __init__(self, head: Head, space: Space) -> None:
        self.head = head
        self.turn = np.eye(head.dim)
        self.source_degree = kernel_bandwidth(head.dim, head.strength)
        self._space = space
        self._source = space.refined(max(2, self.source_degree))
        self._points = self._source.points.reshape(-1, head.dim)
        self._weights = self._source.weights.ravel()
        self._targets = space.points.reshape(-1, head.dim) @ head.B  # w = Bᵀx, row by row
        size = np.linalg.norm(self._targets, axis=1)
        self.log_scale = (head.beta * size).reshape(space.shape)
        self.uniform_partition = _largest_uniform(head.dim, float(np.max(self.log_scale)), space)
        self._block = max(1, BLOCK_BYTES // (8 * len(self._points)))
        self.partition = space.empty()
        self.first = space.empty(head.dim)

    def update(self, u: Modal) -> None:
        """Fill the buffers by blocked sums over the sources."""
        density = self._source.to_nodal(self._space.restrict(u, self._source.lmax)).ravel()
        mass = self._weights * density
        columns = np.column_stack([mass, mass[:, None] * self._points])
        shift = self.log_scale.ravel()
        partition, first = np.empty(len(shift)), np.empty((self.head.dim, len(shift)))
        for start in range(0, len(shift), self._block):
            rows = slice(start, start + self._block)
            exponent = self._targets[rows] @ self._points.T
            exponent *= self.head.beta
            exponent -= shift[rows, None]
            sums = np.exp(exponent, out=exponent) @ columns
            partition[rows] = sums[:, 0]
            first[:, rows] = sums[:, 1:].T
        self.partition[:] = partition.reshape(self._space.shape)
        self.first[:] = first.reshape(self.first.shape)
