r"""The attention models: which velocity a density induces.

``Softmax`` :math:`v=P_xVN/Z`, ``Unnormalised`` :math:`v=P_xVN`, ``Hardmax`` :math:`v=P_xAx/|B^\top x|` (β = ∞,
positive density). Several heads are summed or averaged. A model is a description; :meth:`Attention.on`
prepares it for a space.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..heads import DominantEigenspace, Head, as_heads
from ..spaces import Space
from .fields import HardmaxField, KernelField, VelocityField
from .moments import FunkHeckeMoments, KernelMoments, QuadratureMoments

Real = NDArray[np.float64]

METHODS = ("auto", "funk_hecke", "quadrature")
OVERFLOW_EXPONENT = 300.0
"""Largest β‖B‖ of unnormalised attention: norms square velocities of size e^{β‖B‖}."""


class Attention(ABC):
    """A velocity law for one or several heads.

    ``combine`` is "sum" or "mean" over heads; ``method`` is "funk_hecke" (B = sO, fast), "quadrature" (any B) or
    "auto", which takes the fast path for each head that allows it. Raises InputError for anything else.
    """

    name: str

    def __init__(self, heads: Head | Sequence[Head], *, combine: str = "sum", method: str = "auto") -> None:
        self.heads = as_heads(heads)
        if combine not in ("sum", "mean"):
            raise InputError(f"attention: expected combine 'sum' or 'mean', got {combine!r}")
        if method not in METHODS:
            raise InputError(f"attention: expected method one of {', '.join(METHODS)}, got {method!r}")
        self.combine = combine
        self.method = method

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
        """The eigenspace E on which a single head concentrates; None for several heads."""
        return DominantEigenspace(self.heads[0].A) if len(self.heads) == 1 else None

    @abstractmethod
    def on(self, space: Space) -> VelocityField:
        """Prepare the velocity field on a space (plans, tables and buffers)."""

    def _moments(self, space: Space) -> list[KernelMoments]:
        def pick(head: Head) -> KernelMoments:
            fast = head.scaled_orthogonal() is not None if self.method == "auto" else self.method == "funk_hecke"
            return FunkHeckeMoments(head, space) if fast else QuadratureMoments(head, space)

        return [pick(head) for head in self.heads]

    def to_config(self) -> dict[str, Any]:
        """The model as the keys of a configuration file."""
        config: dict[str, Any] = {"attention": self.name, "dim": self.dim}
        if len(self.heads) == 1:
            return config | self.heads[0].to_config()
        return config | {"combine": self.combine, "head": [head.to_config() for head in self.heads]}

    def __repr__(self) -> str:
        heads = ", ".join(map(repr, self.heads))
        return (
            f"{type(self).__name__}({heads})"
            if len(self.heads) == 1
            else f"{type(self).__name__}({self.combine} of {heads})"
        )


class Softmax(Attention):
    r"""Self-attention: :math:`v=P_xV\,N/Z`, Z floored at 1e-12 of its maximum and |N/Z| ≤ 1."""

    name = "softmax"

    def on(self, space: Space) -> VelocityField:
        """Prepare the velocity field on a space."""
        return KernelField(space, self._moments(space), self.head_weight, normalise=True)


class Unnormalised(Attention):
    r"""Attention without its denominator: :math:`v=P_xV\,N`, a Wasserstein gradient flow for V = B symmetric.

    Velocities grow like :math:`e^{\beta\|B\|}`: raises InputError where that overflows, β‖B‖ > 300.
    """

    name = "unnormalised"

    def on(self, space: Space) -> VelocityField:
        """Prepare the velocity field on a space."""
        for head in self.heads:
            exponent = head.beta * float(np.linalg.norm(head.B, 2))
            if exponent > OVERFLOW_EXPONENT:
                raise InputError(
                    f"unnormalised attention with beta*|B| = {exponent:g}: velocities reach e^{exponent:g}; "
                    f"expected beta*|B| <= {OVERFLOW_EXPONENT:g}, or attention 'softmax'"
                )
        return KernelField(space, self._moments(space), self.head_weight, normalise=False)


class Hardmax(Attention):
    r"""Zero temperature: :math:`v=P_xAx/|B^\top x|` with :math:`A=VB^\top`, for a density positive everywhere.

    Independent of the density. Source: arXiv 2509.25040, eq. (5). Raises InputError if B is singular.
    """

    name = "hardmax"

    def on(self, space: Space) -> VelocityField:
        """Prepare the velocity field on a space."""
        return HardmaxField(space, self.heads, self.head_weight)

    def to_config(self) -> dict[str, Any]:
        """The model as the keys of a configuration file: hardmax has no β."""
        config = super().to_config()
        for table in config.get("head", [config]):
            table.pop("beta")
        return config
