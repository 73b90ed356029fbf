"""Attention as a velocity law for densities: models, and their evaluation on a space."""

from ..errors import InputError
from .fields import Budget, VelocityField
from .models import Attention, Hardmax, Softmax, Unnormalised

__all__ = ["Attention", "Budget", "Hardmax", "Softmax", "Unnormalised", "VelocityField", "attention_named"]

_MODELS: dict[str, type[Attention]] = {model.name: model for model in (Softmax, Unnormalised, Hardmax)}


def attention_named(name: str) -> type[Attention]:
    """The model class called "softmax", "unnormalised" or "hardmax". Raises InputError otherwise."""
    if name not in _MODELS:
        raise InputError(f"model.attention = {name!r}: expected one of {', '.join(_MODELS)}")
    return _MODELS[name]
