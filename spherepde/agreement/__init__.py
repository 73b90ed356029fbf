"""Tokens of any code against a run: are they as close to the mean field as an exact sample of that size would be?

:func:`measured` compares and judges, an :class:`Agreement` says it; :mod:`spherepde.comparing` puts both together.
Whatever is measured of the tokens is measured in the same way of exact samples, so the band needs no theory.
"""

from .comparison import MOST_NODES, SAMPLES, Comparison, Outcome, measured
from .interacting import tokens_interact
from .report import Agreement
from .token_files import Trajectories, read_tokens

__all__ = [
    "MOST_NODES",
    "SAMPLES",
    "Agreement",
    "Comparison",
    "Outcome",
    "Trajectories",
    "measured",
    "read_tokens",
    "tokens_interact",
]
