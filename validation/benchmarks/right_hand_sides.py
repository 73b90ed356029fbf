"""Right-hand sides against what they cannot do without, and against the one for B = I."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from reporting import Row, ratio_row
from timing import Timed, paired_milliseconds

from spherepde import (
    Circle,
    ContinuityEquation,
    Density,
    Hardmax,
    Head,
    InputError,
    Softmax,
    Sphere,
    Unnormalised,
    fisher_bingham,
)
from spherepde.kernels import kernel_bandwidth

Array = NDArray[np.float64]
Space = Circle | Sphere

RATIOS = (0.5, 0.3, 0.1, 0.03, 0.0)
"""Smallest over largest singular value of the general heads."""
SCALES = (1.0, 0.7, 0.5)
"""The s of three heads with B = sO."""


def value_matrix(dim: int) -> Array:
    """V of the main experiment."""
    return np.diag([1.0, 0.4, -0.3][:dim])


def initial_density(dim: int) -> Density:
    """ρ₀ of the main experiment, on S¹ its section."""
    quadratic = np.zeros((dim, dim))
    quadratic[0, -1] = quadratic[-1, 0] = 0.25
    return fisher_bingham(np.eye(dim)[1] * 0.8, quadratic)


def orthogonal(dim: int, seed: int) -> Array:
    """A random orthogonal matrix of determinant one."""
    frame = np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, dim)))[0]
    return frame * np.sign(np.linalg.det(frame)) if dim % 2 else frame @ np.diag([1.0, np.linalg.det(frame)])


def general_score(dim: int, ratio: float) -> Array:
    """B with singular values 1, (0.6,) ``ratio`` between two random rotations."""
    sizes = [1.0, 0.6, ratio] if dim == 3 else [1.0, ratio]
    return orthogonal(dim, 1) @ np.diag(sizes) @ orthogonal(dim, 2)


def softmax(space: Space, score: Array, beta: float) -> ContinuityEquation:
    """The equation of one head."""
    return ContinuityEquation(space, Softmax(Head(value_matrix(space.dim), score, beta=beta)))


def right_hand_side(model: ContinuityEquation) -> Timed:
    """One evaluation at ρ₀ into a buffer."""
    u = model.space.project(initial_density(model.space.dim))
    rate = np.empty_like(u)
    return lambda: model.explicit_terms(u, out=rate)


def bare_transforms(space: Space, strengths: Sequence[float]) -> list[Timed]:
    """The transforms that a softmax right-hand side of heads with B = sO cannot do without, buffers and all.

    ρ on the grid; for each head, of strength βs, Z, the radial part of N (degrees ≤ L_K) and one gradient; one
    divergence. No turning of coefficients, no product at the nodes.
    """
    u = space.project(initial_density(space.dim))
    density, partition, radial = space.empty(3)
    gradient, flux, rate = space.empty(space.dim - 1), space.empty(space.dim - 1), np.empty_like(u)
    flux[:] = 0.0
    parts: list[Timed] = [lambda: space.to_nodal(u, density)]
    for strength in strengths:
        band = space.band(max(2, kernel_bandwidth(space.dim, strength)))
        low = space.restrict(u, band.lmax)
        parts += [
            partial(band.to_nodal, low, partition),
            partial(band.to_nodal, low, radial),
            partial(band.gradient, low, gradient),
        ]
    return [*parts, lambda: space.divergence(flux, rate, overwrite=True)]


def isotropic_rows(lmaxes: Sequence[int], lmax: int, beta: float, repeats: int) -> list[Row]:
    """One head with B = I at several lmax, three with B = sO at ``lmax``, against their bare transforms."""
    rows = []
    for degree in lmaxes:
        space = Sphere(degree)
        ours = right_hand_side(softmax(space, np.eye(3), beta))
        timing = paired_milliseconds(ours, bare_transforms(space, [beta]), repeats)
        rows.append(ratio_row(f"B = I, lmax {degree}", timing, "its bare transforms", at_most=1.5))
    space = Sphere(lmax)
    heads = [Head(value_matrix(3), s * orthogonal(3, seed), beta=beta) for seed, s in enumerate(SCALES)]
    ours = right_hand_side(ContinuityEquation(space, Softmax(heads)))
    timing = paired_milliseconds(ours, bare_transforms(space, [beta * s for s in SCALES]), repeats)
    scales = ", ".join(f"{s:g}" for s in SCALES)
    name = f"three heads, B = sO, s = {scales}, lmax {lmax}"
    return [*rows, ratio_row(name, timing, "their bare transforms", at_most=1.5)]


def general_rows(lmax: int, beta: float, repeats: int, ratios: Sequence[float] = RATIOS) -> list[Row]:
    """Heads that are not isotropic against the B = I one."""
    space = Sphere(lmax)
    plain = right_hand_side(softmax(space, np.eye(3), beta))
    rows = []
    for ratio in ratios:
        general = right_hand_side(softmax(space, general_score(3, ratio), beta))
        timing = paired_milliseconds(general, [plain], repeats)
        name = f"general B, σ = 1, 0.6, {ratio:g}, lmax {lmax}"
        rows.append(ratio_row(name, timing, "B = I", at_most=20.0 if ratio >= 0.3 else None))
    return rows


def variant_rows(lmax: int, beta: float, repeats: int) -> list[Row]:
    """The other laws and the other transform library against softmax with B = I; quadrature against the factors."""
    space = Sphere(lmax)
    plain = right_hand_side(softmax(space, np.eye(3), beta))
    V = value_matrix(3)
    laws = {
        "B = rotation": Softmax(Head(V, orthogonal(3, 3), beta=beta)),
        "unnormalised": Unnormalised(Head(V, beta=beta)),
        "hardmax": Hardmax(Head(V)),
    }
    rows = [
        ratio_row(
            f"{name}, lmax {lmax}",
            paired_milliseconds(right_hand_side(ContinuityEquation(space, law)), [plain], repeats),
            "softmax, B = I",
        )
        for name, law in laws.items()
    ]
    try:
        Sphere(lmax, backend="shtns")
    except InputError:  # the comparison needs both libraries
        pass
    else:
        slower = right_hand_side(softmax(Sphere(lmax, backend="ducc0"), np.eye(3), beta))
        rows.append(
            ratio_row(f"transforms by ducc0, lmax {lmax}", paired_milliseconds(slower, [plain], repeats), "SHTns")
        )
    small, head = Sphere(31), Head(V, general_score(3, 0.3), beta=10.0)
    direct, fast = (
        right_hand_side(ContinuityEquation(small, Softmax(head, method=method))) for method in ("quadrature", "factors")
    )
    timing = paired_milliseconds(direct, [fast], max(2, repeats // 5))
    return [*rows, ratio_row("general B by quadrature, lmax 31, β = 10", timing, "by radial factors")]
