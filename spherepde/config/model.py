"""The table [model]: heads, one or several, a stack of layers, and how they act."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from ..errors import InputError
from ..layer_arrays import NAMES, check_layer_arrays, layer_edges, read_layer_arrays
from .base import BETA, MATRIX, Matrix, MismatchError, Rows, Table


class HeadTable(Table):
    """``[[model.head]]``: V and B (the identity when left out), or Q and K instead of B; beta."""

    V: Matrix | None = Field(default=None, description=MATRIX)
    B: Matrix | None = Field(default=None, description=MATRIX)
    Q: Rows | None = Field(default=None, description="a k x dim matrix of numbers")
    K: Rows | None = Field(default=None, description="a k x dim matrix of numbers")
    beta: float | None = Field(default=None, gt=0, description=BETA)

    def check(self, dim: int, needs_beta: bool, prefix: str = "") -> None:
        """Raise MismatchError if the matrices do not fit the dimension and each other, or beta is missing."""
        for key in "VBQK":
            value = getattr(self, key)
            rows = dim if key in "VB" else len(self.Q or value or ())
            if isinstance(value, list) and (len(value) != rows or {len(row) for row in value} != {dim}):
                raise MismatchError(
                    prefix + key, f"{rows or 'one or more'} rows of {dim} numbers, as model.dim = {dim}"
                )
        if (self.Q is None) != (self.K is None):
            raise MismatchError(prefix + ("Q" if self.Q is None else "K"), "Q and K together")
        if self.Q is not None and self.B is not None:
            raise MismatchError(prefix + "B", "either B or the pair Q, K")
        if needs_beta and self.beta is None:
            raise MismatchError(prefix + "beta", BETA)

    def arguments(self, dim: int) -> dict[str, Any]:
        """Keyword arguments of :class:`spherepde.heads.Head`: arrays for matrices, no beta if none is given."""

        def array(value: Matrix) -> Any:
            return np.eye(dim) if value == "identity" else np.array(value, dtype=np.float64)

        matrices = {key: getattr(self, key) for key in "VBQK" if getattr(self, key) is not None}
        beta = {} if self.beta is None else {"beta": self.beta}
        return {key: array(value) for key, value in ({"V": "identity"} | matrices).items()} | beta


Stack = list[list[Rows]]


class LayersTable(Table):
    """``model.layers``: arrays of shape (layers, heads, d, d), read and checked by :func:`resolve_layers`."""

    V: Stack
    B: Stack | None = None
    Q: Stack | None = None
    K: Stack | None = None
    beta: list[list[float]] | None = None

    def arrays(self) -> dict[str, Any]:
        """The arrays that are there, by name."""
        return self.model_dump(exclude_none=True)


def resolve_layers(model: Mapping[str, Any]) -> dict[str, Any]:
    """The [model] table with the arrays of its layers in place of the name of their file, and their times.

    Whatever says when layers act (an array times, layer_time, layer_times) becomes layer_times. Raises InputError,
    naming array, layer and head.
    """
    layers = model["layers"]
    if "function" in layers and not isinstance(layers, str):
        raise InputError(
            f"layers: the heads were a function of time, {layers['function']}, which no file can hold; "
            "only the program that made the run can go on with it"
        )
    arrays = _read_layers(layers)
    width = arrays["V"].shape[-1]
    if width not in (2, 3):
        raise InputError(f"layers: the matrices act on d = {width}; only d = 2 and d = 3 are available")
    if model.get("dim") in (2, 3) and model["dim"] != width:
        raise InputError(f"layers: the matrices act on d = {width}; expected d = model.dim = {model['dim']}")
    given = [times for times in (arrays.pop("times", None), model.get("layer_times")) if times is not None]
    if len(given) > 1:
        raise InputError("layer_times are given twice; expected them here or with the arrays")
    count, interpolate = len(arrays["V"]), model.get("interpolate") is True
    try:
        edges = layer_edges(given[0] if given else None, model.get("layer_time"), count, interpolate)
    except InputError as error:
        raise InputError(re.sub("^(layer )?times:", "layer_times:", str(error))) from None
    resolved = {key: value for key, value in model.items() if key != "layer_time"}
    return resolved | {
        "layers": {name: array.tolist() for name, array in arrays.items()},
        "layer_times": edges.tolist(),
    }


def _read_layers(layers: str | Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of a file or a table, every InputError beginning with "layers:"."""
    expected = "the name of an .npz or HDF5 file, or a table of arrays"
    if isinstance(layers, str) and not layers:
        raise InputError(f"layers is ''; expected {expected}")
    if not isinstance(layers, str):
        for key, value in layers.items():
            if key not in NAMES and isinstance(value, str):
                raise InputError(
                    f"layers is a table with {key} = {value!r}; expected {expected}: as a string, layers = {value!r}"
                )
    try:
        return read_layer_arrays(layers) if isinstance(layers, str) else check_layer_arrays(layers)
    except InputError as error:
        raise InputError(f"layers: {error}") from None


class ModelTable(HeadTable):
    """``[model]``: dimension, attention law, diffusion, and one head, ``[[model.head]]`` tables or layers."""

    dim: int = Field(ge=2, le=3, description="2 or 3 (the zonal solver for dim >= 4 is not available yet)")
    attention: Literal["softmax", "unnormalised", "hardmax"] = Field(
        default="softmax", description="'softmax', 'unnormalised' or 'hardmax'"
    )
    diffusion: float = Field(default=0.0, ge=0, description="a number >= 0")
    head: list[HeadTable] | None = Field(default=None, min_length=1, description="one or more [[model.head]] tables")
    combine: Literal["sum", "mean"] = Field(default="sum", description="'sum' or 'mean'")
    layers: LayersTable | None = Field(
        default=None, description="the name of an .npz or HDF5 file of arrays V, B or Q and K, or a table of them"
    )
    layer_time: float | None = Field(default=None, gt=0, description="a duration > 0")
    layer_times: list[float] | None = Field(default=None, description="a list of times that increase")
    interpolate: bool = Field(default=False, description="true or false")

    @model_validator(mode="after")
    def _check(self) -> ModelTable:
        needs_beta = self.attention != "hardmax"
        if self.layers is not None:
            return self._check_layers(self.layers, needs_beta)
        if self.interpolate or self.layer_time is not None or self.layer_times is not None:
            raise MismatchError("layers", "layers, since their times are given")
        if self.head is None:
            self.check(self.dim, needs_beta)
            return self
        for key in HeadTable.model_fields:
            if getattr(self, key) is not None:
                raise MismatchError(key, "this key inside the [[model.head]] tables, since there are some")
        for i, head in enumerate(self.head):
            head.check(self.dim, needs_beta, f"head.{i}.")
        return self

    def _check_layers(self, layers: LayersTable, needs_beta: bool) -> ModelTable:
        for key in ("head", "V", "B", "Q", "K"):
            if getattr(self, key) is not None:
                raise MismatchError(key, "either this key or layers")
        if layers.beta is not None and self.beta is not None:
            raise MismatchError("beta", "beta here or with the layers, not both")
        if layers.beta is None and self.beta is None and needs_beta:
            raise MismatchError("beta", f"{BETA}, here or as an array beta of the layers")
        return self

    def head_arguments(self) -> list[dict[str, Any]]:
        """One dict of :class:`spherepde.heads.Head` keywords for each head."""
        return [head.arguments(self.dim) for head in self.head or (self,)]
