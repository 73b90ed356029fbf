r"""How much memory a run takes, from its description alone, before anything large is allocated.

Everything large is a nodal array of N = 8·nodes bytes or a modal array of M = 16·modes bytes, so that a run's peak is a
count of these, made from the code and checked against measured peaks (``tests/test_memory.py``). Two peaks compete:
setting up, where the initial density is sampled on a grid 3/2 as fine, and marching.

Measured on S² at lmax 255, 511 and 767 and on S¹ at 8191, apart from the libraries: what is said is 0.94 to 1.15 of the
peak. Not counted: an initial density so rough that it is sampled up to degree 1024 (some 0.6 GB on S², for a moment),
the temporary arrays of densities dearer than a Fisher–Bingham one, and distances along a great circle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .attention import Attention
from .heads import Head
from .kernels import LARGEST_KAPPA
from .memory import require_memory
from .schedules import Heads
from .spaces import grid_shape

Real = NDArray[np.float64]

LIBRARIES = 250e6
"""Bytes of the interpreter, the libraries and compiled code, whatever the run."""
BLOCKS = 2 * 64 * 2**20
"""Bytes of the blocks of exponentials in a sum by quadrature."""
SAMPLES = {2: 11.0, 3: 10.0}
"""Nodal arrays alive while the initial density is sampled, its points included."""


@dataclass(frozen=True)
class Footprint:
    """Bytes of a run: its two peaks ``setting_up`` and ``marching``, libraries apart; what it writes each time.

    ``snapshot``, ``step``: bytes that each of these adds to the file.
    """

    setting_up: float
    marching: float
    snapshot: float
    step: float

    @property
    def peak(self) -> float:
        """The most memory the process takes at any time, libraries included."""
        return LIBRARIES + max(self.setting_up, self.marching)


class _Sizes:
    """N and M of a space, and what the space itself keeps."""

    def __init__(self, dim: int, lmax: int, backend: str) -> None:
        self.dim, self.lmax = dim, lmax
        self.nodal = 8.0 * float(np.prod(grid_shape(dim, lmax), dtype=float))
        self.modal = 16.0 * modes(dim, lmax)
        work = 0.5 if backend == "ducc0" else 2.3
        self.space = 5.5 * self.nodal + 1.5 * self.modal if dim == 2 else (1.0 + work) * self.nodal + 1.5 * self.modal
        self.band = 4.5 * self.nodal if dim == 2 else 1.6 * self.nodal


def modes(dim: int, lmax: int) -> int:
    """Number of complex coefficients up to a degree."""
    return lmax + 1 if dim == 2 else (lmax + 1) * (lmax + 2) // 2


def _strengths(head: Head) -> Real:
    """β times the singular values of B, largest first, no larger than there are tables for: beyond, it is refused."""
    return np.minimum(head.beta * np.linalg.svd(head.B, compute_uv=False), LARGEST_KAPPA)


def _rank(head: Head) -> float:
    """Number of radial factors of a general score: by its condition number, or from κ = 0 on; right to a quarter."""
    values = _strengths(head)
    condition = values[0] / max(values[-1], 1e-300)
    return 10.0 + min(4.5 * np.log2(condition), 3.4 * np.log2(1.0 + values[0]))


def _grid_in_omega(head: Head, sizes: _Sizes) -> float:
    r"""Bytes kept for a general score on S²: its grid in ω, or the weights at the nodes where no grid is taken.

    The grid's degree, ≈ 23 σ₁/σ₃ + 0.6 L_K, fits what :func:`spherepde.kernel_sums.ellipsoid.smooth_degrees` finds to a
    fifth, for β from 10 to 400; the order is hardly more than L_K.
    """
    values = _strengths(head)
    bandwidth = 8.7 * np.sqrt(values[0]) + 12.0
    degree = max(bandwidth, 23.0 * values[0] / max(values[-1], 1e-300) + 0.6 * bandwidth)
    nodes = 2.0 * degree * bandwidth
    if nodes > 4.0 * sizes.nodal / 8.0:
        return 7.0 * _rank(head) * sizes.nodal
    return 8.0 * nodes * (6.0 * _rank(head) + 16.0)


def _head(attention: Attention, head: Head, sizes: _Sizes) -> tuple[float, float]:
    """Bytes one head keeps, and those it needs on top while it is prepared."""
    nodal, dim = sizes.nodal, sizes.dim
    method = attention.method_of(head)
    if method == "funk_hecke":
        return sizes.band + (1 + dim) * nodal, 0.0
    if method == "quadrature":
        return (2 * (1 + dim) + dim + 1) * nodal + BLOCKS, dim * nodal
    if dim == 2:
        return (3 * _rank(head) + 24) * nodal, 4 * _rank(head) * nodal
    return 8.0 * nodal + _grid_in_omega(head, sizes), 12.0 * nodal


def _heaviest(attention: Attention, sizes: _Sizes) -> Heads:
    """The heads that take most memory, layers and what lies half-way between; of a function of time, those at 0."""
    return max(
        attention.schedule.acting(0.0),
        key=lambda heads: sum(_head(attention, head, sizes)[0] for head in heads),
    )


def _field(attention: Attention, sizes: _Sizes) -> tuple[float, float]:
    """Bytes the velocity field keeps, and those it needs on top while it is prepared."""
    dim, nodal = sizes.dim, sizes.nodal
    if attention.name == "hardmax":
        return (dim + (dim - 1) * dim + 2 * dim) * nodal, 10.0 * nodal
    heads = _heaviest(attention, sizes)
    parts = [_head(attention, head, sizes) for head in heads]
    fields = 1 if attention.schedule.constant else 2
    points = dim == 3 and any(attention.method_of(head) != "funk_hecke" for head in heads)
    kept = (2 if points else 1) * dim * nodal + sum(part[0] for part in parts) * fields
    return kept, max(part[1] for part in parts)


def _march(attention: Attention, sizes: _Sizes, stages: int) -> tuple[float, float]:
    """Bytes of space, field and equation; bytes of a time step and of what is measured after it."""
    kept, _ = _field(attention, sizes)
    return sizes.space + kept + 3.5 * sizes.modal, (2 * stages + 9) * sizes.modal + 4.0 * sizes.nodal


def run_footprint(
    attention: Attention,
    lmax: int,
    *,
    backend: str = "auto",
    companion_lmax: int = 0,
    stages: int = 6,
    file: bool = True,
    density: bool = True,
    velocity: bool = True,
) -> Footprint:
    """The memory of a run of an attention model at a resolution; the keywords are those of a run, stages the stepper's.

    Of heads that change with time the heaviest count, twice.
    """
    dim = attention.dim
    sizes = _Sizes(dim, lmax, backend)
    fine = _Sizes(dim, max(lmax + lmax // 2, 32), backend)
    prepared, step = _march(attention, sizes, stages)
    untouched = sizes.nodal * (dim if attention.name == "hardmax" else dim + (1 + dim) * len(attention.heads))
    setting_up = (
        prepared
        - untouched
        + max(fine.space + SAMPLES[dim] * fine.nodal + 2.0 * fine.modal, _field(attention, sizes)[1])
    )
    marching = prepared + step
    if companion_lmax:
        marching += sum(_march(attention, _Sizes(dim, companion_lmax, backend), stages))
    source = attention.source_degree(0.0, 0.0)
    snapshot = sizes.modal + (sizes.nodal if density else 0.0)
    row = 16.0 * modes(dim, min(source, lmax)) if velocity and source else 0.0
    if file:
        marching += 4.0 * snapshot + 3.0 * sizes.modal
    return Footprint(setting_up, marching, snapshot, row + 8.0 * 60)


def require_run_memory(attention: Attention, lmax: int, **run: object) -> Footprint:
    """The footprint of a run, see :func:`run_footprint`; InputError, naming space.lmax, if the machine has less."""
    footprint = run_footprint(attention, lmax, **run)  # type: ignore[arg-type]
    companion = f" with companion_lmax = {run['companion_lmax']}" if run.get("companion_lmax") else ""
    heads = len(attention.heads)
    what = f"space.lmax = {lmax}{companion} and {heads} head{'s' if heads > 1 else ''}:"
    require_memory(footprint.peak, f"{what} the run", "space.lmax")
    return footprint
