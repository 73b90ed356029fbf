"""The tables of a configuration and what each key takes.

The ``description`` of a field says what was expected when a value is refused, so that every field says it once. Checks
across keys raise :class:`~spherepde.config.base.MismatchError`, which names the key to blame. Everything is
dimensionless, seconds excepted.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from .base import VECTOR, WEIGHT, MismatchError, Rows, Table
from .model import ModelTable


class DensityTable(Table):
    """What all initial families share: a weight when the density is a component of a mixture."""

    weight: float | None = Field(default=None, gt=0, description=WEIGHT)

    def check(self, dim: int, key: str) -> None:
        """Raise MismatchError if values do not fit the dimension; ``key`` is where this table stands."""


def _check_length(key: str, dim: int, vector: list[float] | None) -> None:
    if vector is not None and len(vector) != dim:
        raise MismatchError(key, f"{dim} numbers, as model.dim = {dim}")


class Uniform(DensityTable):
    """The uniform density."""

    family: Literal["uniform"]


class VonMisesFisher(DensityTable):
    """A bump: its direction and concentration."""

    family: Literal["von_mises_fisher"]
    mean: list[float] = Field(description=VECTOR)
    concentration: float = Field(ge=0, description="a number >= 0")

    def check(self, dim: int, key: str) -> None:  # noqa: D102
        _check_length(f"{key}.mean", dim, self.mean)


class Quadratic(DensityTable):
    """A polynomial of degree 2, or its exponential: linear and quadratic parts, zero when left out."""

    family: Literal["fisher_bingham", "polynomial"]
    linear: list[float] | None = Field(default=None, description=VECTOR)
    quadratic: Rows | None = Field(default=None, description="a dim x dim matrix of numbers")

    def check(self, dim: int, key: str) -> None:  # noqa: D102
        _check_length(f"{key}.linear", dim, self.linear)
        if self.quadratic is not None and [len(row) for row in self.quadratic] != [dim] * dim:
            raise MismatchError(f"{key}.quadratic", f"{dim} rows of {dim} numbers, as model.dim = {dim}")


class PoissonKernel(DensityTable):
    """A conformal image of the uniform density: its offset from the centre, shorter than 1."""

    family: Literal["poisson_kernel"]
    offset: list[float] = Field(description=VECTOR)

    def check(self, dim: int, key: str) -> None:  # noqa: D102
        _check_length(f"{key}.offset", dim, self.offset)


class Mode(Table):
    """One harmonic: degree, order, amplitude on S^2; degree, cos, sin on S^1."""

    degree: int = Field(ge=1, description="an integer >= 1")
    order: int | None = Field(default=None, description="an integer")
    amplitude: float | None = Field(default=None, description="a number")
    cos: float | None = Field(default=None, description="a number")
    sin: float | None = Field(default=None, description="a number")

    def check(self, dim: int, key: str) -> None:
        """Raise MismatchError unless the keys are those of the dimension; one of cos and sin may be left out."""
        own = ("order", "amplitude") if dim == 3 else ("cos", "sin")
        for name in ("order", "amplitude", "cos", "sin"):
            given = getattr(self, name) is not None
            if (given and name not in own) or (dim == 3 and name in own and not given):
                raise MismatchError(f"{key}.{name}", f"the keys degree, {', '.join(own)}, as model.dim = {dim}")
        if abs(self.order or 0) > self.degree:
            raise MismatchError(f"{key}.order", f"an integer from -degree to degree = {self.degree}")


class Harmonics(DensityTable):
    """The uniform density plus modes, amplitudes relative to it."""

    family: Literal["harmonics"]
    modes: list[Mode] = Field(
        description="a list of {degree, order, amplitude} (dim = 3) or {degree, cos, sin} (dim = 2)"
    )

    def check(self, dim: int, key: str) -> None:  # noqa: D102
        for i, mode in enumerate(self.modes):
            mode.check(dim, f"{key}.modes.{i}")


class Mixture(DensityTable):
    """``[[initial.component]]`` tables: densities with weights, relative to their sum."""

    family: Literal["mixture"]
    component: list[Formula] = Field(min_length=1, description="one or more [[initial.component]] tables")

    def check(self, dim: int, key: str) -> None:  # noqa: D102
        for i, component in enumerate(self.component):
            if component.weight is None:
                raise MismatchError(f"{key}.component.{i}.weight", WEIGHT)
            component.check(dim, f"{key}.component.{i}")


class FromFile(DensityTable):
    """The snapshot of an earlier run nearest to ``time``; the last one when time is left out."""

    family: Literal["file"]
    path: str = Field(min_length=1, description="the name of a run file")
    time: float | None = Field(default=None, ge=0, description="a time >= 0")


Formula = Annotated[
    Uniform | VonMisesFisher | Quadratic | PoissonKernel | Harmonics | Mixture, Field(discriminator="family")
]
Initial = Annotated[
    Uniform | VonMisesFisher | Quadratic | PoissonKernel | Harmonics | Mixture | FromFile, Field(discriminator="family")
]

Mixture.model_rebuild()


class SpaceTable(Table):
    """``[space]``: resolution, transforms, and the lower resolution of the companion run (0: none).

    ``damping`` is the rate at the top degree in units of the speed scale (default: the equation's own).
    """

    lmax: int = Field(ge=3, description="an integer >= 3")
    backend: Literal["auto", "shtns", "ducc0", "fftw"] = Field(default="auto", description="'auto', 'shtns' or 'ducc0'")
    threads: int = Field(default=1, ge=1, description="an integer >= 1")
    companion_lmax: int = Field(default=0, ge=0, description="0 (none) or an integer >= 3 and < space.lmax")
    damping: float | None = Field(default=None, ge=0, description="a rate >= 0")

    @model_validator(mode="after")
    def _check(self) -> SpaceTable:
        if self.companion_lmax and not 3 <= self.companion_lmax < self.lmax:
            raise MismatchError("companion_lmax", f"0 (none) or an integer >= 3 and < space.lmax = {self.lmax}")
        return self


class TimeTable(Table):
    """``[time]``: end, interval between snapshots (until / 50), stepper; rtol (adaptive, 1e-8) or dt (fixed)."""

    until: float = Field(
        gt=0, description="a time > 0, or a multiple of log(beta) like '2*log(beta)' with one beta > 1"
    )
    save_every: float = Field(gt=0, description="an interval > 0")
    stepper: Literal["ark436", "ars443"] = Field(default="ark436", description="'ark436' or 'ars443'")
    rtol: float | None = Field(default=None, gt=0, lt=1, description="a relative tolerance between 0 and 1")
    dt: float | None = Field(default=None, gt=0, description="a time step > 0")
    continuation: Literal["auto", "tokens", "none"] = Field(
        default="auto", alias="continue", description="'auto', 'tokens' or 'none'"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, table: Any) -> Any:
        if not isinstance(table, dict):
            return table
        until = table.get("until")
        filled: dict[str, Any] = {"save_every": until / 50.0} if isinstance(until, int | float) else {}
        return filled | ({} if {"rtol", "dt"} & set(table) else {"rtol": 1e-8}) | table

    @model_validator(mode="after")
    def _check(self) -> TimeTable:
        if self.rtol is not None and self.dt is not None:
            raise MismatchError("dt", "either rtol (adaptive steps) or dt (fixed steps)")
        if self.stepper == "ars443" and self.dt is None:
            raise MismatchError("dt", "a fixed time step, since stepper ars443 estimates no error")
        return self


class OutputTable(Table):
    """``[output]``: the run file, what goes into it, and wall-clock seconds between checkpoints."""

    file: str = Field(default="run.h5", min_length=1, description="a file name")
    density: bool = Field(default=True, description="true or false")
    velocity: bool = Field(default=True, description="true or false")
    wasserstein: bool = Field(default=True, description="true or false")
    checkpoint_every: float = Field(default=60.0, gt=0, description="seconds > 0")


class RunConfig(Table):
    """A whole configuration; made by :func:`~spherepde.config.load_config` or ``parse_config``."""

    model: ModelTable = Field(description="a table [model]")
    initial: Initial = Field(description="a table [initial]")
    space: SpaceTable = Field(description="a table [space]")
    time: TimeTable = Field(description="a table [time]")
    output: OutputTable = Field(default_factory=OutputTable, description="a table [output]")

    @model_validator(mode="after")
    def _check(self) -> RunConfig:
        dim = self.model.dim
        if self.initial.weight is not None:
            raise MismatchError("initial.weight", "a weight in [[initial.component]] tables only")
        self.initial.check(dim, "initial")
        backends = ("auto", "fftw") if dim == 2 else ("auto", "shtns", "ducc0")
        if self.space.backend not in backends:
            raise MismatchError("space.backend", f"{' or '.join(backends)}, as model.dim = {dim}")
        return self

    def to_dict(self) -> dict[str, Any]:
        """JSON-able tables without the absent keys; ``parse_config`` makes an equal configuration of them."""
        return self.model_dump(mode="json", exclude_none=True, by_alias=True)
