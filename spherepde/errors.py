"""The ways a run can refuse: the input is wrong, the numbers stopped meaning anything, the disk is full.

Each carries one sentence for a person. The command line prints that sentence and exits with
``exit_status``; a script may catch them like any other exception.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Something the user gave cannot be used: says what, where, and what was expected."""

    exit_status = 2


class NumericalError(ArithmeticError):
    """The computation can no longer be trusted: says when, and what was seen."""

    exit_status = 1


class StorageError(OSError):
    """The file system refused to take data (disk full, quota, lost mount): says which file and why.

    What was flushed before stays readable; what was not is gone unless the caller still holds it.
    """

    exit_status = 1


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turn everything a user can cause into its sentence on standard error and its exit status."""
    try:
        yield
    except (InputError, NumericalError, StorageError) as error:
        print(f"spherepde: {error}", file=sys.stderr)
        raise SystemExit(error.exit_status) from None
