"""The attention model that a configuration describes."""

from __future__ import annotations

from ..config import RunConfig
from ..heads import Head
from ..schedules import Layers
from . import Attention, attention_named


def attention_of(config: RunConfig) -> Attention:
    """The attention model of a configuration. Raises InputError for heads that it cannot take."""
    model = config.model
    heads: list[Head] | Layers
    if model.layers is None:
        heads = [Head(**arguments) for arguments in model.head_arguments()]
    else:
        arrays = model.layers.arrays()
        unused = 1.0 if model.attention == "hardmax" and "beta" not in arrays else None
        beta = unused if model.beta is None else model.beta
        heads = Layers.from_arrays(arrays, beta=beta, times=model.layer_times, interpolate=model.interpolate)
    return attention_named(model.attention)(heads, combine=model.combine)
