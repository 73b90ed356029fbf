"""Tokens of any code against a run: are they as close to the mean field as an exact sample of that size would be?

:func:`compare_tokens` returns an :class:`Agreement`, :func:`assert_matches_reference` raises AssertionError in a test.
Whatever is measured of the tokens is measured in the same way of exact samples, so the band needs no theory.
"""

from .comparison import SAMPLES
from .report import Agreement
from .token_files import Trajectories, read_tokens
from .verdicts import assert_matches_reference, compare_tokens

__all__ = ["SAMPLES", "Agreement", "Trajectories", "assert_matches_reference", "compare_tokens", "read_tokens"]
