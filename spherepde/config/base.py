"""What every table of a configuration has in common: strict keys and types, and errors that name the key to blame."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Rows = list[list[float]]
Matrix = Literal["identity"] | Rows

MATRIX = "'identity' or a dim x dim matrix of numbers"
VECTOR = "a list of dim numbers"
WEIGHT = "a weight > 0"
BETA = "an inverse temperature > 0"


class MismatchError(ValueError):
    """Keys that do not go together: the key to blame, relative to the table that noticed, and what was expected."""

    def __init__(self, key: str, expected: str) -> None:
        super().__init__(expected)
        self.key, self.expected = key, expected


class Table(BaseModel):
    """A table that takes no other keys and no other types than its own, and never changes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
