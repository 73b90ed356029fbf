r"""What points attend to, and how that changes from point to point: mean tokens m(x) and their derivatives.

.. math:: \text{softmax: } m=\frac NZ,\quad\frac{\partial m}{\partial x}=\beta\,(E[yy^\top]-mm^\top)B^\top;\qquad
          \text{unnormalised: } m=N,\quad\frac{\partial m}{\partial x}=\beta\Bigl(\int e^{\beta\langle x,By\rangle}
          yy^\top d\rho\Bigr)B^\top;\qquad
          \text{hardmax: } m=\frac{B^\top x}{|B^\top x|},\quad\frac{\partial m}{\partial x}=
          \frac{(I-mm^\top)B^\top}{|B^\top x|}

Second moments are the kernel sums of the functions :math:`y_i\rho`. Softmax divides by
:math:`\max(Z,\varepsilon\max Z,|N|)`, as :mod:`spherepde.attention.pointwise` does; where that is not Z, the derivative
is that of the quotient which is used, but both are then made of rounding errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..attention.pointwise import PARTITION_FLOOR
from ..heads import Head
from ..kernel_sums import kernel_sums
from ..spaces import Space

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]

TINY = 1e-300


class MeanTokens(NamedTuple):
    """Mean tokens (n, d), their derivatives (n, d, d) if asked for, and the error (n,) kernel sums may have in them."""

    token: Real
    derivative: Real | None
    error: Real


@dataclass(frozen=True, eq=False)
class SourceMoments:
    """A density by its coefficients ``c`` on a ``space``; ``raised`` is the space of one degree more."""

    space: Space
    raised: Space
    c: Modal

    def density(self, degree: int) -> Modal:
        """Coefficients of ρ up to a degree."""
        return self.space.restrict(self.c, degree)

    def times_coordinates(self, degree: int) -> list[Modal]:
        """Coefficients of each y_i ρ up to a degree."""
        return [self.raised.restrict(product, degree) for product in self._products]

    @cached_property
    def _products(self) -> list[Modal]:
        raised = self.raised
        density = raised.to_nodal(self.space.restrict(self.c, raised.lmax))
        products = (np.multiply(density, raised.points[..., i], out=raised.empty()) for i in range(raised.dim))
        return [raised.to_modal(product) for product in products]


def largest_partition(head: Head, probes: Real, source: SourceMoments, threads: int = 1) -> float:
    """The largest Z, times exp(−β|Bᵀx|), at some points: what its floor is a fraction of."""
    sums = kernel_sums(head, probes, threads=threads)
    partition, first = np.empty(len(probes)), np.empty((head.dim, len(probes)))
    sums.evaluate(source.density(sums.source_degree), partition, first)
    return float(partition.max())


def hardmax_tokens(head: Head, points: Real, *, derivative: bool) -> MeanTokens:
    """Mean tokens at zero temperature, whatever the density."""
    w = points @ head.B
    length = np.linalg.norm(w, axis=1)
    token = w / length[:, None]
    slope = None
    if derivative:
        across = np.eye(head.dim) - token[:, :, None] * token[:, None, :]
        slope = across @ head.B.T / length[:, None, None]
    return MeanTokens(token, slope, np.zeros(len(points)))


def softmax_tokens(
    head: Head, points: Real, source: SourceMoments, largest: float, *, derivative: bool, threads: int = 1
) -> MeanTokens:
    """Mean tokens at points (n, d), ``largest`` being that of :func:`largest_partition`."""
    partition, first, second, _, error = _sums(head, points, source, derivative, threads)
    length = np.linalg.norm(first, axis=1)
    floor = max(PARTITION_FLOOR * largest, TINY)
    size = np.maximum(np.maximum(partition, floor), length)
    token = first / size[:, None]
    error *= largest / size
    if second is None:
        return MeanTokens(token, None, error)
    w = points @ head.B
    omega = w / np.maximum(np.linalg.norm(w, axis=1), TINY)[:, None]
    change = token  # −∇_w log(size)/β, and +ω for the factor exp(−β|w|) that both parts carry
    floored = (size > partition) & (size > length)
    change = np.where(floored[:, None], omega, change)
    slope = second / size[:, None, None] - token[:, :, None] * change[:, None, :]
    capped = (size > partition) & ~floored
    slope[capped] -= token[capped, :, None] * np.einsum("ni,nij->nj", token[capped], slope[capped])[:, None, :]
    return MeanTokens(token, head.beta * slope @ head.B.T, error)


def unnormalised_tokens(
    head: Head, points: Real, source: SourceMoments, largest: float, *, derivative: bool, threads: int = 1
) -> MeanTokens:
    """The vectors N at points (n, d)."""
    _, first, second, log_scale, error = _sums(head, points, source, derivative, threads)
    scale = np.exp(log_scale)
    slope = None if second is None else head.beta * (second * scale[:, None, None]) @ head.B.T
    return MeanTokens(first * scale[:, None], slope, error * largest * scale)


def _sums(
    head: Head, points: Real, source: SourceMoments, derivative: bool, threads: int
) -> tuple[Real, Real, Real | None, Real, Real]:
    """Z (n,), N (n, d), second moments (n, d, d) or None, all scaled; their log scale; their error over the largest Z.

    Raises nothing: what is out of the kernel's reach was refused by the attention model.
    """
    sums = kernel_sums(head, points, threads=threads)
    n, d = points.shape
    error = np.full(n, sums.floor)
    partition, first = np.empty(n), np.empty((d, n))
    if not derivative:
        sums.evaluate(source.density(sums.source_degree), partition, first)
        return partition, first.T, None, sums.log_scale, error
    tokens, second = np.empty((n, d)), np.empty((n, d, d))
    for i, c in enumerate(source.times_coordinates(sums.source_degree)):
        sums.evaluate(c, partition, first)
        tokens[:, i] = partition
        second[:, i] = first.T
    second = 0.5 * (second + second.swapaxes(1, 2))
    return np.trace(second, axis1=1, axis2=2), tokens, second, sums.log_scale, error
