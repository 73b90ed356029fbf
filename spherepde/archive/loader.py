"""A reference run as an object: its series, its configuration, and the measure itself at any time."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from textwrap import wrap
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..attention import Attention
from ..attention.configured import attention_of
from ..characteristics import Characteristics, RecordedVelocity
from ..config import RunConfig, parse_config
from ..densities import Density, density_from_config
from ..errors import InputError
from ..store.files import open_hdf5, root_attributes
from ..summary import horizon_of, model_in_words
from .checksums import array_digest, whole_digest
from .layout import FORMAT, FORMAT_VERSION, path_of, reference_paths

Real = NDArray[np.float64]
Modal = NDArray[np.complex128]

UNSIGNED = ("format", "format_version", "sha256")
"""Attributes outside the checksum of the whole."""


def _arrays(file: h5py.File, path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Every array of the file and its digest, which must be the one stored beside it."""
    arrays, digests = {}, {}
    for group in ("series", "velocity"):
        for item, stored in file[group].items():
            name = f"{group}/{item}"
            arrays[name], digests[name] = stored[()], str(stored.attrs["sha256"])
            if array_digest(arrays[name]) != digests[name]:
                raise InputError(f"{path} is damaged: the checksum of {name} does not fit its numbers")
    return arrays, digests


def _checked(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays and attributes of a file whose checksums fit. Raises InputError, one sentence, for any other."""
    with open_hdf5(path, FORMAT, FORMAT_VERSION) as file:
        try:
            arrays, digests = _arrays(file, path)
            attributes = root_attributes(file)
            signed = {name: value for name, value in attributes.items() if name not in UNSIGNED}
            if whole_digest(digests, signed) != attributes["sha256"]:
                raise InputError(f"{path} is damaged: its checksum does not fit what it holds")
        except InputError:
            raise
        except (OSError, KeyError, AttributeError, RuntimeError, TypeError, ValueError) as error:
            raise InputError(f"{path} is damaged: a part of it is missing or unreadable") from error
    return arrays, attributes


@dataclass(frozen=True, eq=False, repr=False)
class Reference:
    r"""One reference run: moments, distances, energies with error bars, and the velocity that carries any measure.

    Attributes
    ----------
    name, path; attributes: what the file says of itself (command, versions, commit, created, horizons, …);
    series: every recorded quantity by name, (n,), (n, d), (n, d, d) or (n, heads), ``series["t"]`` their times; bars by
    the names ``mean_error``, ``second_moment_error``, …
    arrays: everything in the file as stored.

    ``velocity_error`` bounds what packing may have added to Z(x), over its mean on the sphere, at a recorded time, and
    ``interpolation_error`` says what interpolation adds between them.
    """

    name: str
    path: Path
    attributes: dict[str, Any]
    series: dict[str, Real]
    arrays: dict[str, NDArray[Any]]

    @property
    def t(self) -> Real:
        """The recorded times (n,), those of :attr:`times` among them."""
        return self.series["t"]

    @property
    def times(self) -> Real:
        """The times of ``t`` at which the run saved: the multiples of ``time.save_every``, and the end."""
        every = self._parsed.time.save_every
        saved = np.abs(self.t - every * np.rint(self.t / every)) <= 1e-9 * every
        saved[-1] = True
        return self.t[saved]

    @property
    def toml(self) -> str:
        """The configuration file: save it and ``spherepde run`` makes the run again."""
        return str(self.attributes["toml"])

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of the run, everything in it."""
        config: dict[str, Any] = json.loads(self.attributes["config"])
        return config

    @property
    def purpose(self) -> str:
        """What the reference is good for: the comment that heads its configuration."""
        lines = self.toml.splitlines()
        length = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
        return " ".join(line.removeprefix("#").strip() for line in lines[:length])

    @cached_property
    def _parsed(self) -> RunConfig:
        return parse_config(self.config, str(self.path))

    @property
    def dim(self) -> int:
        """Dimension d of the ambient space."""
        return self._parsed.model.dim

    @property
    def initial(self) -> Density:
        """The initial density."""
        return density_from_config(self.dim, self.config["initial"])

    @property
    def attention(self) -> Attention:
        """The attention model."""
        return attention_of(self._parsed)

    @property
    def error_bar(self) -> float:
        """The largest error bar of a first or second moment over the whole run."""
        return float(max(np.max(self.series[name]) for name in ("mean_error", "second_moment_error")))

    @property
    def source_moments(self) -> Modal:
        """Coefficients (n, lm) of the density, up to the degree that attention sees, at the times ``t``."""
        spatial, size = self.arrays["velocity/spatial"], len(self.arrays["velocity/weights"])
        weighted = self.arrays["velocity/temporal"] @ (spatial[:, :size] + 1j * spatial[:, size:])
        return np.asarray(weighted / self.arrays["velocity/weights"])

    def characteristics(self) -> Characteristics:
        """The measure ρ_t itself: its density at any points, samples and weighted nodes, at any time of the run."""
        velocity = RecordedVelocity(self.attention, self.t, self.source_moments)
        measure = Characteristics(velocity, self.initial)
        measure.horizon = horizon_of(self.series, "velocity")
        return measure

    def verify(self) -> str:
        """Read the file again, check every checksum, and return that of the whole. Raises InputError if one is off."""
        return str(_checked(self.path)[1]["sha256"])

    def __repr__(self) -> str:
        density, velocity = (horizon_of(self.series, name) for name in ("field", "velocity"))
        model = model_in_words(self.config["model"]).replace("\N{NO-BREAK SPACE}", " ")
        resolved = "to the end" if density == float("inf") else f"until t = {density:.3g}"
        commit = self.attributes["commit"]
        trusted = "to the end" if velocity == float("inf") else f"until t = {velocity:.3g}"
        return "\n".join(
            [
                f"<Reference {self.name}: {model}",
                *wrap(self.purpose, 110, initial_indent="  ", subsequent_indent="  "),
                f"  t = 0 … {self.t[-1]:.6g}, {len(self.t)} rows; density on the grid {resolved}, moments {trusted}, "
                f"error bars ≤ {self.error_bar:.0e}",
                f"  made {self.attributes['created'][:10]}, commit {commit[:12]}{commit[40:]}, "
                f"sha256 {self.attributes['sha256'][:12]}…>",
            ]
        )


def read_reference(path: str | Path) -> Reference:
    """The reference run in a file. Raises InputError, one sentence, for a missing, foreign or damaged one."""
    path = Path(path)
    arrays, attributes = _checked(path)
    series = {name.removeprefix("series/"): array for name, array in arrays.items() if name.startswith("series/")}
    return Reference(str(attributes["name"]), path, attributes, series, arrays)


def references() -> list[str]:
    """The names of the reference runs that come with the code, in alphabetical order."""
    return list(reference_paths())


def reference(name: str) -> Reference:
    """The reference run ``name``, one of :func:`references`, its checksums verified.

    Raises InputError for another name, which lists them, and for a damaged file.
    """
    return read_reference(path_of(name))


def reference_meant(name: str | Path) -> Reference | None:
    """The reference run in the file with this path, or called so where no file is; None if it is neither.

    A folder of the same name, as ``validate`` may write one, hides nothing. Raises InputError for a damaged reference.
    """
    if Path(name).is_file():
        return read_reference(name) if _is_reference(Path(name)) else None
    return reference(str(name)) if str(name) in reference_paths() else None


def run_or_reference(name: str | Path) -> Path | Reference:
    """What a user means by a name: the reference run or the run file with this path, else the reference run called so.

    Raises InputError, which says all of them, if it is none.
    """
    found = reference_meant(name)
    if found is None and not Path(name).is_file():
        known = ", ".join(reference_paths())
        raise InputError(f"{name} is neither a file nor a reference run; expected RUN.h5 or one of {known}")
    return Path(name) if found is None else found


def _is_reference(path: Path) -> bool:
    """Whether a file calls itself a reference run; what cannot be opened does not."""
    with suppress(OSError, RuntimeError), h5py.File(path, "r") as file:
        return bool(root_attributes(file).get("format") == FORMAT)
    return False
