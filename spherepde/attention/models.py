r"""The attention models: which velocity a density induces.

``Softmax`` :math:`v=P_xVN/Z`, ``Unnormalised`` :math:`v=P_xVN`, ``Hardmax`` :math:`v=P_xAx/|B^\top x|` (β = ∞,
positive density). Several heads are summed or averaged, and may change with time. A model is a description;
:meth:`Attention.on` prepares it for a space.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..heads import DominantEigenspace, Head
from ..kernels import LARGEST_KAPPA, kernel_bandwidth
from ..schedules import Heads, HeadsLike, Layers, Varying, as_schedule
from ..spaces import Space
from .fields import HardmaxField, KernelField, VelocityField
from .moments import FactorMoments, FunkHeckeMoments, KernelMoments, QuadratureMoments

Real = NDArray[np.float64]

METHODS = ("auto", "funk_hecke", "factors", "quadrature")
OVERFLOW_EXPONENT = 300.0
"""Largest β‖B‖ of unnormalised attention: norms square velocities of size e^{β‖B‖}."""
REAL_TOLERANCE = 1e-7
"""Imaginary part, as a fraction of the real one, below which round-off may have made it."""


class Attention(ABC):
    """A velocity law for one or several heads, or heads that change with time (:mod:`spherepde.schedules`).

    ``combine`` is "sum" or "mean" over heads; ``method`` is "funk_hecke" (B = sO), "factors" (any B),
    "quadrature" (any B, slow, nothing to go wrong) or "auto", the first of these that suits each head.
    Raises InputError for anything else.
    """

    name: str

    def __init__(self, heads: HeadsLike, *, combine: str = "sum", method: str = "auto") -> None:
        self.schedule = as_schedule(heads)
        if combine not in ("sum", "mean"):
            raise InputError(f"attention: expected combine 'sum' or 'mean', got {combine!r}")
        if method not in METHODS:
            raise InputError(f"attention: expected method one of {', '.join(METHODS)}, got {method!r}")
        self.combine = combine
        self.method = method

    @property
    def heads(self) -> Heads:
        """The heads at time 0, and ever after unless they change with time."""
        return self.schedule.heads_at(0.0)

    @property
    def dim(self) -> int:
        """Dimension d of the ambient space."""
        return self.heads[0].dim

    @property
    def head_weight(self) -> float:
        """Factor on each head's velocity: 1, or 1/H for the mean."""
        return 1.0 if self.combine == "sum" else 1.0 / len(self.heads)

    @property
    def limit_space(self) -> DominantEigenspace | None:
        """The eigenspace E on which a single head concentrates; None for several heads, or if it changes with time."""
        single = len(self.heads) == 1 and self.schedule.constant
        return DominantEigenspace(self.heads[0].A) if single else None

    def at(self, t: float) -> Self:
        """The same law with the heads of time t for ever."""
        if self.schedule.constant:
            return self
        return type(self)(self.schedule.heads_at(t), combine=self.combine, method=self.method)

    def on(self, space: Space) -> VelocityField:
        """Prepare the velocity field on a space (plans, tables and buffers), of the heads at time 0."""
        self._refuse(self.heads)
        return self._on(space)

    @abstractmethod
    def _on(self, space: Space) -> VelocityField:
        """The same, of heads that this law can take."""

    def strength(self, start: float, until: float) -> float:
        r"""The largest :math:`\beta\|B\|` between two times; of a function of time, at 129 of them.

        Raises InputError, saying where, for heads that this attention cannot take.
        """
        largest = 0.0
        for where, heads in self.schedule.samples(start, until).items():
            try:
                self._refuse(heads)
            except InputError as error:
                between = ", " if where and len(heads) > 1 else ": " if where else ""
                raise InputError(f"{where}{between}{error}") from None
            largest = max(largest, *(head.strength for head in heads))
        return largest

    def source_degree(self, start: float, until: float) -> int:
        """The largest degree of the density that influences the velocity between two times (as in strength)."""
        return kernel_bandwidth(self.dim, self.strength(start, until))

    @property
    def symmetric_scores(self) -> bool:
        """Whether every B is symmetric at all times; False for a function of time, of which that is not known."""
        known = not isinstance(self.schedule, Varying)
        return known and all(
            head.symmetric_score for heads in self.schedule.samples(0.0, 0.0).values() for head in heads
        )

    def _refuse(self, heads: Heads) -> None:
        """Raise InputError, naming which of several, for a head that this law cannot take."""
        for index, head in enumerate(heads):
            try:
                self._refuse_head(head)
            except InputError as error:
                raise InputError(f"head {index}: {error}" if len(heads) > 1 else str(error)) from None

    def _refuse_head(self, head: Head) -> None:
        """Raise InputError for a head that this law cannot take: here one beyond the tables of multipliers."""
        exponent = head.strength
        if exponent > LARGEST_KAPPA:
            raise InputError(
                f"model.beta = {head.beta:g} with |B| = {exponent / head.beta:g}: "
                f"expected beta*|B| <= {LARGEST_KAPPA:g}, or attention 'hardmax'"
            )

    def method_of(self, head: Head) -> str:
        """The method that evaluates a head: with "auto" the first that suits it."""
        if self.method != "auto":
            return self.method
        return "funk_hecke" if head.scaled_orthogonal() is not None else "factors"

    def _moments(self, space: Space) -> list[KernelMoments]:
        evaluators: dict[str, Callable[[Head, Space], KernelMoments]] = {
            "funk_hecke": FunkHeckeMoments,
            "factors": FactorMoments,
            "quadrature": QuadratureMoments,
        }
        return [evaluators[self.method_of(head)](head, space) for head in self.heads]

    def to_config(self) -> dict[str, Any]:
        """The model as the keys of a configuration file."""
        config: dict[str, Any] = {"attention": self.name, "dim": self.dim}
        if len(self.heads) > 1:
            config["combine"] = self.combine
        return config | self.schedule.to_config()

    def __repr__(self) -> str:
        several = f"{self.combine} of " if len(self.heads) > 1 else ""
        return f"{type(self).__name__}({several}{self.schedule!r})"


class Softmax(Attention):
    r"""Self-attention: :math:`v=P_xV\,N/Z`, Z floored at 1e-12 of its maximum and |N/Z| ≤ 1."""

    name = "softmax"

    def _on(self, space: Space) -> VelocityField:
        return KernelField(space, self._moments(space), self.head_weight, normalise=True)


class Unnormalised(Attention):
    r"""Attention without its denominator: :math:`v=P_xV\,N`, a Wasserstein gradient flow for V = B symmetric.

    Velocities grow like :math:`e^{\beta\|B\|}`: raises InputError where that overflows, β‖B‖ > 300.
    """

    name = "unnormalised"

    def _on(self, space: Space) -> VelocityField:
        return KernelField(space, self._moments(space), self.head_weight, normalise=False)

    def _refuse_head(self, head: Head) -> None:
        exponent = head.strength
        if exponent > OVERFLOW_EXPONENT:
            raise InputError(
                f"unnormalised attention with beta*|B| = {exponent:g}: velocities reach e^{exponent:g}; "
                f"expected beta*|B| <= {OVERFLOW_EXPONENT:g}, or attention 'softmax'"
            )


class Hardmax(Attention):
    r"""Zero temperature: :math:`v=P_xAx/|B^\top x|` with :math:`A=VB^\top`, for a density positive everywhere.

    Independent of the density. Source: arXiv 2509.25040, eq. (5). Raises InputError if B is singular.
    """

    name = "hardmax"

    def _on(self, space: Space) -> VelocityField:
        return HardmaxField(space, self.heads, self.head_weight)

    def _refuse_head(self, head: Head) -> None:
        if np.linalg.svd(head.B, compute_uv=False)[-1] <= 1e-12 * np.linalg.norm(head.B, 2):
            raise InputError(f"hardmax attention divides by |B'x|: expected an invertible B, got {head.B.tolist()}")

    def source_degree(self, start: float, until: float) -> int:
        """Zero: the density does not influence the velocity."""
        self.strength(start, until)
        if isinstance(self.schedule, Layers) and self.schedule.interpolate:
            self._refuse_singular_between(self.schedule.layers)
        return 0

    def _refuse_singular_between(self, layers: tuple[Heads, ...]) -> None:
        """(1 − s)B + sB' is singular for some 0 < s < 1 where B⁻¹B' has a negative eigenvalue."""
        for layer, pair in enumerate(pairwise(layers)):
            for index, (left, right) in enumerate(zip(*pair, strict=True)):
                values = np.linalg.eigvals(np.linalg.solve(left.B, right.B))
                if np.any((values.real < 0.0) & (np.abs(values.imag) <= REAL_TOLERANCE * np.abs(values.real))):
                    where = f"between layers {layer} and {layer + 1}" + (f", head {index}" if len(pair[0]) > 1 else "")
                    raise InputError(
                        f"{where}: hardmax attention divides by |B'x|, and the interpolated B is singular on the way; "
                        "expected layers without interpolation, or more of them"
                    )

    def to_config(self) -> dict[str, Any]:
        """The model as the keys of a configuration file: hardmax has no β."""
        config = super().to_config()
        for table in config.get("head", [config.get("layers", config)]):
            table.pop("beta", None)
        return config
