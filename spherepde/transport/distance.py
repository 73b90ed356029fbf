"""What every distance computation returns: a number, the bounds that hold it, and a sentence."""

from __future__ import annotations

from dataclasses import dataclass

from .costs import Cost


@dataclass(frozen=True, kw_only=True)
class Distance:
    r"""A Wasserstein distance :math:`W_p` with two-sided bounds.

    ``value`` the best estimate; ``lower`` the value of a dual feasible pair of potentials and ``upper`` the cost of an
    actual transport plan, both up to the quadrature error they include; ``cost`` which distance it is; ``status`` how
    the computation went, a sentence.
    """

    value: float
    lower: float
    upper: float
    cost: Cost
    status: str

    @property
    def gap(self) -> float:
        """upper − lower: the truth is known to this accuracy."""
        return self.upper - self.lower

    def __float__(self) -> float:
        return self.value

    def __repr__(self) -> str:
        bounds = f"[{self.lower:.12g}, {self.upper:.12g}]"
        return f"{type(self).__name__}({self.value:.12g} in {bounds}, {self.cost}; {self.status})"
