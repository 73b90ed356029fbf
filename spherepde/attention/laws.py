r"""What is known of the interaction energy of several heads before any run: whether it exists, and which way it goes.

With :math:`E_h=\frac1{2\beta_h}\iint e^{\beta_h\langle x,B_hy\rangle}d\rho\,d\rho` and the weight a of each head in the
velocity (1, or 1/H for the mean) the energy is :math:`E=a\sum_hE_h`. If every B is symmetric, its first variation has
the gradient :math:`g=a\sum_hP_xB_hN_h`, and any velocity v changes it at the rate :math:`\int\langle g,v\rangle d\rho`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..heads import Head

Real = NDArray[np.float64]

ALIGNMENT_TOLERANCE = 1e-12


class EnergyLaw(NamedTuple):
    """What transport does to the energy, and why.

    ``exists``: whether there is an energy; ``sign`` +1 if transport never lowers it, −1 if it never raises it, 0 if it
    keeps it, None if nothing is guaranteed; ``sentence``: the same in words, with the reason.
    """

    exists: bool
    sign: int | None
    sentence: str


def _common_factor(groups: Sequence[Sequence[Head]]) -> float | None:
    """The c with V = cB in every group, V averaged over its heads; None if there is none."""
    scores = np.array([group[0].B for group in groups])
    values = np.array([np.mean([head.V for head in group], axis=0) for group in groups])
    if not scores.any():
        return None
    c = float(np.vdot(scores, values) / np.vdot(scores, scores))
    aligned = np.abs(values - c * scores).max() <= ALIGNMENT_TOLERANCE * np.abs(values).max()
    return c if aligned else None


def law_of(heads: Sequence[Head], *, normalise: bool) -> EnergyLaw:
    r"""Which law the energy of these heads obeys under their own transport, softmax if ``normalise``.

    * Unnormalised, V_h = cB_h with one c: v = c g, so :math:`\dot E=\frac1c\int|v|^2d\rho` (arXiv 2312.10794).
    * Softmax, all heads with the same B and β, V_h = cB_h on average: :math:`\dot E=\frac1c\int Z|v|^2d\rho`.
    * Softmax, different scores: :math:`\dot E=ca^2\int\sum_{h,k}Z_k^{-1}\langle P_xB_hN_h,P_xB_kN_k\rangle d\rho`
      has no sign, because each head has its own mobility 1/Z_k. A point mass shows it: it follows
      :math:`P_x\sum_hB_hx`, while the energy weighs each head by :math:`e^{\beta_h\langle x,B_hx\rangle}`.
    * Symmetric B but other V: no sign either. A B that is not symmetric: no energy.
    """
    skew = [index for index, head in enumerate(heads) if not head.symmetric_score]
    if skew:
        which = "B" if len(heads) == 1 else f"B of head {skew[0]} (counted from 0)"
        return EnergyLaw(False, None, f"no energy: {which} is not symmetric")
    groups: dict[tuple[bytes, float], list[Head]] = {}
    for head in heads:
        groups.setdefault(((head.B + 0.0).tobytes(), head.beta), []).append(head)
    c = _common_factor(list(groups.values()))
    several = "V_h = c B_h" if len(heads) > 1 else "V = c B"
    unknown = "an energy exists, but transport may raise or lower it: "
    if c is None:
        return EnergyLaw(True, None, f"{unknown}not {several}" + (" with one c" if len(heads) > 1 else ""))
    if c == 0.0:
        return EnergyLaw(True, 0, "constant: nothing moves")
    if normalise and sum(bool(group[0].B.any()) for group in groups.values()) > 1:
        return EnergyLaw(True, None, f"{unknown}{several}, but softmax divides each head by its own Z_h")
    rate, verb = ("Z |v|^2" if normalise else "|v|^2"), ("lowers" if c > 0.0 else "raises")
    flow = "" if normalise else "Wasserstein gradient flow, "
    sentence = f"transport never {verb} it: {flow}{several} with c = {c:.6g}, dE/dt = (1/c) int {rate} rho"
    return EnergyLaw(True, 1 if c > 0.0 else -1, sentence)
