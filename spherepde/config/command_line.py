"""The command line of the solver scripts: every entry of a PARAMETERS dict is an option."""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from math import isnan
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage, and exits with status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def script_parameters(
    defaults: Mapping[str, Any], description: str, argv: Sequence[str] | None = None
) -> SimpleNamespace:
    """Read command-line overrides of a script's parameters, by default from ``sys.argv``.

    Every entry ``some_name`` becomes ``--some-name`` (or ``--some_name``) and takes the type of its default: int,
    float, str, ``--name/--no-name`` for bool, a TOML or JSON value for lists, arrays and dicts; a TOML value, or else a
    string, where the default is None. A negative number in exponent form needs ``--name=-1e-3``.
    Returns the parameters as attributes. ``--help`` shows the defaults; a wrong value prints one sentence and exits
    with status 2.
    """
    parser = _Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    for name, default in defaults.items():
        flags = list(dict.fromkeys([f"--{name.replace('_', '-')}", f"--{name}"]))
        shown = np.array2string(default, separator=", ") if isinstance(default, np.ndarray) else str(default)
        told: dict[str, Any] = {
            "dest": name,
            "default": deepcopy(default),
            "help": f"default: {shown}".replace("%", "%%"),
        }
        if isinstance(default, bool):
            parser.add_argument(*flags, action=argparse.BooleanOptionalAction, **told)
        else:
            parser.add_argument(*flags, type=_reader(default), metavar=_metavar(default), **told)
    return SimpleNamespace(**vars(parser.parse_args(argv)))


def _metavar(default: Any) -> str:
    return "VALUE" if default is None else type(default).__name__.upper().replace("NDARRAY", "MATRIX")


def _toml_or_json(text: str) -> Any:
    try:
        tables = tomllib.loads(f"value = {text}")
        if len(tables) == 1:
            return tables["value"]
    except tomllib.TOMLDecodeError:
        pass
    return json.loads(text)


def _reader(default: Any) -> Callable[[str], Any]:
    """A function of the option's text that returns a value of the default's type or says what was expected."""

    def wrong(text: str, expected: str) -> argparse.ArgumentTypeError:
        return argparse.ArgumentTypeError(f"got {text!r}; expected {expected}")

    def whole(text: str) -> int:
        try:
            return int(text)
        except ValueError:
            raise wrong(text, "an integer") from None

    def real(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if isnan(value):
            raise wrong(text, "a number")
        return value

    def structured(text: str) -> Any:
        kind, expected = (dict, "a table like {a = 1}") if isinstance(default, dict) else (list, "a list like [1, 2]")
        try:
            value = _toml_or_json(text)
            if isinstance(value, kind):
                return np.array(value, dtype=default.dtype) if isinstance(default, np.ndarray) else type(default)(value)
        except ValueError:
            pass
        raise wrong(text, expected)

    def anything(text: str) -> Any:
        try:
            return _toml_or_json(text)
        except ValueError:
            return text

    if default is None:
        return anything
    if isinstance(default, list | tuple | dict | np.ndarray):
        return structured
    return {int: whole, float: real}.get(type(default), str)
