"""Reading configurations: TOML, overrides, and one sentence for the first mistake."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from math import log
from typing import Any, get_args

import numpy as np
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from ..errors import InputError
from .base import MismatchError
from .model import resolve_layers
from .tables import RunConfig

LOG_BETA = re.compile(r"\s*(?:(\d+\.?\d*|\.\d+)\s*\*\s*)?log\(\s*beta\s*\)\s*")
"""The only formula allowed in time.until: an optional multiplier times log(beta)."""

ABSENT = object()
SHOWN = 60
"""Longest value quoted in a message, in characters."""


def load_config(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> RunConfig:
    """Read a TOML file, apply overrides such as "time.until=3", and check everything.

    The name of a file of layers is relative to the TOML file, in an override to the working directory.
    The value of an override is read as TOML, and is a string where that fails. Missing tables are made; entries of
    arrays of tables are numbered from 0, as in "model.head.0.beta=4".
    Raises InputError when the file cannot be read, is not TOML, or says something that cannot be used.
    """
    source = os.fspath(path)
    try:
        with open(path, "rb") as file:
            tables = tomllib.load(file)
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror}); expected a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{source}: is not TOML: {error}") from None
    model = tables.get("model")
    if isinstance(model, dict) and isinstance(model.get("layers"), str) and model["layers"]:
        model["layers"] = os.path.join(os.path.dirname(source), model["layers"])
    for override in overrides:
        _override(tables, override)
    return parse_config(tables, source + "".join(f" with {override}" for override in overrides))


def parse_config(tables: Mapping[str, Any], source: str = "configuration") -> RunConfig:
    """Check tables given as a dict, where arrays and tuples count as lists and None as absent.

    Raises InputError: one sentence about the first mistake, which begins with ``source``.
    """
    plain = _plain(tables)
    model = plain.get("model")
    if isinstance(model, dict) and isinstance(model.get("layers"), str | dict):
        try:
            plain["model"] = resolve_layers(model)
        except InputError as error:
            raise InputError(f"{source}: model.{error}") from None
    try:
        return RunConfig.model_validate(_evaluate_until(plain))
    except ValidationError as error:
        first = min(
            error.errors(), key=lambda found: found["type"] != "extra_forbidden"
        )  # a misspelt key also is missing
        raise InputError(f"{source}: {_sentence(dict(first), plain)}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _evaluate_until(tables: dict[str, Any]) -> dict[str, Any]:
    """Put a number for "2*log(beta)" in time.until; left as it is unless all heads share one beta > 1."""
    model, time = tables.get("model"), tables.get("time")
    if not (isinstance(model, dict) and isinstance(time, dict) and isinstance(time.get("until"), str)):
        return tables
    match = LOG_BETA.fullmatch(time["until"])
    heads = model.get("head", [model])
    betas: list[Any] = [head.get("beta") for head in heads if isinstance(head, dict)] if isinstance(heads, list) else []
    if not match or not betas or not all(isinstance(b, int | float) and b == betas[0] and b > 1 for b in betas):
        return tables
    return tables | {"time": time | {"until": float(match[1] or 1.0) * log(betas[0])}}


def _override(tables: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    names = key.strip().split(".")
    if not equals or not all(names):
        raise InputError(f"override {override!r}: expected the form table.key=value")
    try:
        parsed = tomllib.loads(f"value = {text}")
        value = parsed["value"] if len(parsed) == 1 else text
    except tomllib.TOMLDecodeError:
        value = text.strip()
    place: Any = tables
    for i, name in enumerate(names):
        last = i == len(names) - 1
        index: Any = int(name) if isinstance(place, list) and name.isdecimal() and int(name) < len(place) else name
        if not (isinstance(place, dict) or (isinstance(place, list) and isinstance(index, int))):
            raise InputError(
                f"override {override!r}: {'.'.join(names[:i])} is {_quote(place)}; expected a table with {name}"
            )
        if last:
            place[index] = value
        else:
            place = place.setdefault(index, {}) if isinstance(place, dict) else place[index]


def _quote(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _tables_in(annotation: Any) -> list[type[BaseModel]]:
    """All table classes inside a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [table for argument in get_args(annotation) for table in _tables_in(argument)]


def _keys(table: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a table by the keys that users write."""
    return {field.alias or name: field for name, field in table.model_fields.items()}


def _families(table: type[BaseModel]) -> tuple[str, ...]:
    return get_args(table.model_fields["family"].annotation) if "family" in table.model_fields else ()


def _near(word: str, known: Sequence[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(word, known, 1)
    return f" (did you mean {prefix}{near[0]}?)" if near else ""


def _sentence(error: Mapping[str, Any], tables: Any) -> str:
    """Say in one sentence what a pydantic error means, in terms of the keys the user wrote.

    Follows the error's location through the tables; what is neither a key nor an index there (the family of a density,
    a branch of a union of types) only narrows the choice of tables.
    """
    cause = error.get("ctx", {}).get("error")
    path = [*error["loc"], *(cause.key.split(".") if isinstance(cause, MismatchError) else ())]
    unknown = error["type"] == "extra_forbidden"
    value, expected, keys = tables, "", list[str]()
    inside: Sequence[type[BaseModel]] = [RunConfig]
    around = inside
    for position, part in enumerate(path, start=1):
        fields = [_keys(table)[part] for table in inside if part in _keys(table)]
        if isinstance(value, list) and str(part).isdecimal():
            keys.append(str(part))
            value = value[int(part)]
        elif isinstance(value, dict) and (fields or (unknown and position == len(path))):
            keys.append(part)
            value = value.get(part, ABSENT)
            around, inside = inside, _tables_in(fields[0].annotation) if fields else []
            expected = str(fields[0].description) if fields else ""
        else:
            inside = [table for table in inside if part in _families(table)] or inside
    name = ".".join(keys)
    if isinstance(cause, MismatchError):
        expected = cause.expected
    if unknown:
        known = sorted({key for table in around for key in _keys(table)})
        hint = _near(keys[-1], known, ".".join([*keys[:-1], ""]))
        return f"{name} is not a known key{hint}; expected one of {', '.join(known)}"
    hint = ""
    if error["type"].startswith("union_tag"):
        families = [family for table in inside for family in _families(table)]
        name, value, expected = f"{name}.family", value.get("family", ABSENT), f"one of {', '.join(families)}"
        hint = _near(str(value), families)
    return f"{name} is {'missing' if value is ABSENT else _quote(value)}{hint}; expected {expected}"
