r"""Finitely many interacting tokens, integrated directly: the cross-check that shares no code with the solver.

Weighted tokens :math:`(x_j,w_j)` on :math:`S^{d-1}` stand for the measure :math:`\mu=\sum_j w_j\delta_{x_j}` and
move by the same velocity as the density. Every sum is a plain dense one, so an evaluation costs n² exponentials per
head (n = 5000 on S²: about 0.1 s on one core), in blocks of rows that need 1 MB beside the tokens.

Starts: :func:`circle_quantiles` (error 1/n), :func:`sample_tokens` (error 1/√n), :func:`gauss_tokens` (spectral while
the flow stays smooth). Isolated tokens attend only to themselves: once neighbours are further apart than
:math:`\beta^{-1/2}`, or depleted zones hold less than one token, tokens no longer follow the density.
"""

from __future__ import annotations

from .motion import Attend, moments, simulate_tokens, token_velocity
from .starts import circle_quantiles, gauss_tokens, sample_tokens

__all__ = [
    "Attend",
    "circle_quantiles",
    "gauss_tokens",
    "moments",
    "sample_tokens",
    "simulate_tokens",
    "token_velocity",
]
