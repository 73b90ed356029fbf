"""SHA-256 of arrays and of a whole collection: what was written is what is read, on any machine."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..store.files import to_json


def array_digest(array: NDArray[Any]) -> str:
    """SHA-256 of an array as hexadecimal digits: of its number type, shape and little-endian bytes in C order."""
    portable = np.ascontiguousarray(array)
    portable = portable.astype(portable.dtype.newbyteorder("<"), copy=False)
    head = f"{portable.dtype.str} {array.shape} ".encode()
    return sha256(head + portable.tobytes()).hexdigest()


def whole_digest(digests: Mapping[str, str], attributes: Mapping[str, Any]) -> str:
    """SHA-256 of everything: the names and digests of the arrays, and the attributes, both in alphabetical order."""
    return sha256(to_json([sorted(digests.items()), sorted(attributes.items())]).encode()).hexdigest()
