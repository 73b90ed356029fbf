"""The two ways a run can refuse: the input is wrong, or the numbers stopped meaning anything.

Both carry one sentence for a person. The command line prints that sentence and exits with
``exit_status``; a script may catch them like any other exception.
"""

from __future__ import annotations


class InputError(ValueError):
    """Something the user gave cannot be used: says what, where, and what was expected."""

    exit_status = 2


class NumericalError(ArithmeticError):
    """The computation can no longer be trusted: says when, and what was seen."""

    exit_status = 1
