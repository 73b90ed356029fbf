r"""Heads that change with time: one layer after the other, layers interpolated in time, or any function of time.

A transformer's depth is time: with residual branches scaled by τ, layer l of L acts on :math:`[l\tau,(l+1)\tau)`
(:class:`Layers` with ``layer_time`` τ). A schedule knows its breaks, the times where heads jump or bend, so that no
time step need ever cross one.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError
from .heads import Head, as_heads
from .layer_arrays import (
    SAME_TIME,
    check_layer_arrays,
    check_temperatures,
    layer_edges,
    read_layer_arrays,
    remark_on_layers,
)

Array = NDArray[np.float64]
Heads = tuple[Head, ...]

PROBES = 129
"""Times at which a function is tried before a run."""


class Schedule(ABC):
    """Heads as a function of time: always the same number of them, of the same dimension.

    ``breaks``: the times, increasing, where heads jump or bend. ``constant``: they never change. ``gradual``: they
    change during a step, so that the velocity field is prepared anew at every stage.
    """

    breaks: tuple[float, ...] = ()
    constant = False
    gradual = False

    @abstractmethod
    def heads_at(self, t: float) -> Heads:
        """The heads that act from time t on: at a jump those that begin."""

    @abstractmethod
    def moment(self, t: float, since: float) -> float:
        """A time whose heads act at t in a step begun at ``since``, both of whose ends belong to its layer.

        Equal moments have equal heads, so that what was prepared for one may be kept.
        """

    @abstractmethod
    def samples(self, start: float, until: float) -> dict[str, Heads]:
        """Heads to look at before a run over an interval, by where they act: all there are, or enough of them."""

    def acting(self, until: float) -> list[Heads]:
        """Heads as they act at some times up to ``until``: the kinds that a run will meet, or enough of them."""
        return list(self.samples(0.0, until).values())

    def remark(self, until: float) -> str | None:
        """A sentence about a run to ``until`` that ends before layers begin, or long after the last; None if fine."""
        return None

    @abstractmethod
    def to_config(self) -> dict[str, Any]:
        """The schedule as keys of the [model] table."""


class Constant(Schedule):
    """The same heads for ever."""

    constant = True

    def __init__(self, heads: Head | Sequence[Head]) -> None:
        self._heads = as_heads(heads)

    def heads_at(self, t: float) -> Heads:  # noqa: D102
        return self._heads

    def moment(self, t: float, since: float) -> float:  # noqa: D102
        return 0.0

    def samples(self, start: float, until: float) -> dict[str, Heads]:  # noqa: D102
        return {"": self._heads}

    def to_config(self) -> dict[str, Any]:  # noqa: D102
        if len(self._heads) == 1:
            return self._heads[0].to_config()
        return {"head": [head.to_config() for head in self._heads]}

    def __repr__(self) -> str:
        return repr(self._heads[0]) if len(self._heads) == 1 else ", ".join(map(repr, self._heads))


class Layers(Schedule):
    r"""A stack of L layers, each of one head or of H heads, layers and heads numbered from 0.

    Layer l acts on [times[l], times[l+1]), L + 1 edges. With ``interpolate`` it is reached at times[l], L times, and
    between two of them each head's V, B and β change linearly (B itself, not Q and K). Before its first and after its
    last layer a stack stays as it is there: the last layer goes on acting.

    ``layer_time`` τ instead of ``times`` puts them at multiples of τ, from 0. Raises InputError, naming the layer, if
    times do not increase or layers differ in the number or the dimension of their heads.
    """

    def __init__(
        self,
        layers: Sequence[Head | Sequence[Head]],
        *,
        times: ArrayLike | None = None,
        layer_time: float | None = None,
        interpolate: bool = False,
    ) -> None:
        if not isinstance(layers, Sequence) or not len(layers):
            raise InputError("layers: expected a list with the head or heads of each layer, at least one layer")
        self.layers = tuple(_heads(f"layer {index}", heads) for index, heads in enumerate(layers))
        for index, heads in enumerate(self.layers):
            _refuse_other(f"layer {index}", heads, "layer 0", self.layers[0])
        self.interpolate = self.gradual = bool(interpolate)
        self.times = layer_edges(times, layer_time, len(self.layers), self.interpolate)
        self.breaks = tuple((self.times if interpolate else self.times[1:-1]).tolist())

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, ArrayLike],
        *,
        beta: float | None = None,
        times: ArrayLike | None = None,
        layer_time: float | None = None,
        interpolate: bool = False,
    ) -> Layers:
        """Layers from arrays V, B or Q and K, beta, times (:func:`~spherepde.layer_arrays.check_layer_arrays`).

        β and times come from the arrays or from the arguments, never from both. Conventions such as
        :math:`\\beta=1/\\sqrt k` are not guessed. Raises InputError naming array, layer and head.
        """
        checked = check_layer_arrays(arrays)
        if ("beta" in checked) == (beta is not None):
            raise InputError(
                f"beta is given {'nowhere' if beta is None else 'twice'}; expected it with the arrays or beside them"
            )
        if "times" in checked:
            if times is not None or layer_time is not None:
                raise InputError("times are given twice; expected them with the arrays or beside them")
            times = checked["times"]
        names = [name for name in "VBQK" if name in checked]
        count, width = checked["V"].shape[:2]
        if beta is not None:
            checked["beta"] = check_temperatures(beta, count, width)

        def head(layer: int, index: int) -> Head:
            matrices = {name: checked[name][layer, index] for name in names}
            try:
                return Head(**matrices, beta=float(checked["beta"][layer, index]))
            except InputError as error:
                raise InputError(f"layer {layer}, head {index}: {error}") from None

        stack = [[head(layer, index) for index in range(width)] for layer in range(count)]
        return cls(stack, times=times, layer_time=layer_time, interpolate=interpolate)

    def _layer(self, t: float) -> int:
        """The layer that acts at t (or, interpolating, the last one reached: −1 before the first)."""
        reached = int(np.searchsorted(self.times, t + SAME_TIME * abs(t), side="right")) - 1
        return reached if self.interpolate else min(max(reached, 0), len(self.layers) - 1)

    def heads_at(self, t: float) -> Heads:  # noqa: D102
        layer = self._layer(t)
        if not self.interpolate:
            return self.layers[layer]
        if layer < 0 or layer == len(self.layers) - 1:
            return self.layers[max(layer, 0)]
        share = float((t - self.times[layer]) / (self.times[layer + 1] - self.times[layer]))
        share = min(max(share, 0.0), 1.0)
        pairs = zip(self.layers[layer], self.layers[layer + 1], strict=True)
        return tuple(_between(left, right, share) for left, right in pairs)

    def moment(self, t: float, since: float) -> float:  # noqa: D102
        if self.interpolate:
            return float(np.clip(t, self.times[0], self.times[-1]))
        return float(self.times[self._layer(since)])

    def samples(self, start: float, until: float) -> dict[str, Heads]:
        """Every layer; between two layers β‖B‖ may be larger than at both: also the larger β with the larger B."""
        found = {f"layer {index}": heads for index, heads in enumerate(self.layers)}
        if self.interpolate:
            for index, (left, right) in enumerate(zip(self.layers[:-1], self.layers[1:], strict=True)):
                found[f"between layers {index} and {index + 1}"] = tuple(map(_strongest, left, right))
        return found

    def acting(self, until: float) -> list[Heads]:
        """Every layer, reached or not, and half-way between two that are interpolated."""
        middles = (0.5 * (self.times[1:] + self.times[:-1])).tolist() if self.interpolate else []
        return [*self.layers, *map(self.heads_at, middles)]

    def remark(self, until: float) -> str | None:  # noqa: D102
        return remark_on_layers(self.times, len(self.layers), until)

    def to_config(self) -> dict[str, Any]:  # noqa: D102
        stack = [[head.to_config() for head in heads] for heads in self.layers]
        arrays = {key: [[head[key] for head in heads] for heads in stack] for key in stack[0][0]}
        return {"layers": arrays, "layer_times": self.times.tolist(), "interpolate": self.interpolate}

    def __repr__(self) -> str:
        between = ", interpolated" if self.interpolate else ""
        width = len(self.layers[0])
        depth = len(self.layers)
        counts = f"{depth} layer{'s' if depth > 1 else ''} × {width} head{'s' if width > 1 else ''}"
        return f"Layers({counts}, t = {self.times[0]:g} … {self.times[-1]:g}{between})"


class Varying(Schedule):
    """Heads given by a smooth function of time t ≥ 0 that returns a head or several; jumps are for :class:`Layers`."""

    gradual = True

    def __init__(self, function: Callable[[float], Head | Sequence[Head]]) -> None:
        self.function = function
        self._start = self._made(0.0)

    def heads_at(self, t: float) -> Heads:
        """The function's heads at t. Raises InputError, naming t, if they are none or unlike those at 0."""
        if t == 0.0:
            return self._start
        heads = self._made(t)
        _refuse_other(f"heads at t = {t:g}", heads, "t = 0", self._start)
        return heads

    def _made(self, t: float) -> Heads:
        where = f"heads at t = {t:g}"
        try:
            heads = self.function(t)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        return _heads(where, heads)

    def moment(self, t: float, since: float) -> float:  # noqa: D102
        return t

    def samples(self, start: float, until: float) -> dict[str, Heads]:  # noqa: D102
        return {f"heads at t = {t:g}": self.heads_at(float(t)) for t in np.linspace(start, until, PROBES)}

    def to_config(self) -> dict[str, Any]:
        """What can be said of it: the function's name. No file can hold the function."""
        name = getattr(self.function, "__name__", type(self.function).__name__)
        return {"layers": {"function": name, "heads": len(self._start)}}

    def __repr__(self) -> str:
        return f"{self.to_config()['layers']['function']}(t)"


HeadsLike = Head | Sequence[Head] | Schedule | Callable[[float], Head | Sequence[Head]]


def as_schedule(heads: HeadsLike) -> Schedule:
    """Accept a head, several, a schedule, or a function of time. Raises InputError for anything else."""
    if isinstance(heads, Schedule):
        return heads
    if not (callable(heads) or isinstance(heads, Head | Iterable)):
        raise InputError(f"attention: expected a Head, several, layers or a function of time, got {heads!r}")
    return Varying(heads) if callable(heads) else Constant(heads)


def load_layers(
    path: str | os.PathLike[str],
    *,
    beta: float | None = None,
    times: ArrayLike | None = None,
    layer_time: float | None = None,
    interpolate: bool = False,
) -> Layers:
    """The layers of an .npz or HDF5 file with arrays V, B or Q and K, and possibly beta and times.

    Shapes and arguments as for :meth:`Layers.from_arrays`. Raises InputError, which begins with the path.
    """
    arrays = read_layer_arrays(path)
    try:
        return Layers.from_arrays(arrays, beta=beta, times=times, layer_time=layer_time, interpolate=interpolate)
    except InputError as error:
        raise InputError(f"{os.fspath(path)}: {error}") from None


def _heads(where: str, heads: Any) -> Heads:
    """The heads that act at a place, which an InputError names."""
    if not isinstance(heads, Head | Iterable):
        raise InputError(f"{where}: expected a Head or several, got {heads!r}")
    try:
        return as_heads(heads if isinstance(heads, Head) else tuple(heads))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _refuse_other(where: str, heads: Heads, first: str, others: Heads) -> None:
    for what, mine, theirs in (("head(s)", len(heads), len(others)), ("dimensions", heads[0].dim, others[0].dim)):
        if mine != theirs:
            raise InputError(f"{where}: {mine} {what}, but {theirs} at {first}; expected the same at all times")


def _strongest(left: Head, right: Head) -> Head:
    """A head at least as strong, in β‖B‖, as any between two."""
    larger = max(left, right, key=lambda head: float(np.linalg.norm(head.B, 2)))
    return Head(larger.V, larger.B, beta=max(left.beta, right.beta))


def _between(left: Head, right: Head, share: float) -> Head:
    def mix(a: Any, b: Any) -> Any:
        return a + share * (b - a)

    return Head(mix(left.V, right.V), mix(left.B, right.B), beta=mix(left.beta, right.beta))
