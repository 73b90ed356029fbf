"""Cells of the initial sphere with the images of their nodes: what they weigh, when and how they divide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import NumericalError
from .charts import embed
from .cuts import level_cut, plane_cut
from .resolution import Resolution, Rule, rule_of

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Density = Callable[[Array], Array]
Seen = Callable[["CellMeasure"], Mask]
"""Which of some light cells still act on anything, a mask (m,)."""

DEPTH = 60
"""Rounds of division in one go after which a density or a flow is called rough."""
SHARE = 1e-2
"""A cell may take this fraction of the tolerance: a few hundred cells matter at a time."""
MOST_NODES = 600_000
"""Nodes of a measure beyond which it is given up."""
WITHIN = 0.25
"""A cell that holds a point has a node nearer to it than this fraction of its extent."""
FIELDS = ("along", "half_along", "across", "half_across", "images", "masses")


@dataclass(frozen=True, eq=False, repr=False)
class CellMeasure:
    """A measure on S^{d−1} of n = m·p^{d−1} weighted nodes in m cells, the image of an initial density.

    On S² a cell is a strip of the initial sphere over longitudes ``along`` ± ``half_along`` (m,), between colatitudes
    ``across`` ± ``half_across``, given at its p longitudes (m, p): its sides may follow a separatrix. On S¹ it is an
    interval ``across`` ± ``half_across`` (m, 1). ``images`` (m, [p,] p, d) are where its nodes are now, the last but
    one axis across, and ``masses`` (m, [p,] p) what they weigh. Frozen: motion and division make a new one.
    """

    density: Density
    frame: Array
    along: Array
    half_along: Array
    across: Array
    half_across: Array
    images: Array
    masses: Array
    factor: float = 1.0
    """What the density is multiplied with, so that the mass is 1."""

    @property
    def dim(self) -> int:
        """Dimension d of the ambient space."""
        return len(self.frame)

    @property
    def rule(self) -> Rule:
        """The rule of each direction."""
        return rule_of(self.images.shape[-2])

    @property
    def points(self) -> Array:
        """The nodes (n, d), unit vectors."""
        return self.images.reshape(-1, self.dim)

    @property
    def weights(self) -> Array:
        """Their weights (n,), positive; the sum is 1."""
        return self.masses.reshape(-1)

    @property
    def cell_masses(self) -> Array:
        """Mass of each cell (m,)."""
        return self.masses.reshape(len(self.along), -1).sum(axis=1)

    def integrate(self, values: Array) -> Array:
        """∫f of values (n, ...) at the nodes."""
        return np.asarray(np.tensordot(self.weights, values, axes=1))

    def at(self, points: Array) -> CellMeasure:
        """The same cells with their nodes at points (n, d), which are brought to unit length."""
        points = points.reshape(self.images.shape)
        return replace(self, images=points / np.linalg.norm(points, axis=-1, keepdims=True))

    def to_arrays(self) -> dict[str, Array]:
        """Everything but the initial density, for a checkpoint."""
        return {name: getattr(self, name) for name in ("frame", *FIELDS)} | {"factor": np.array(self.factor)}

    @classmethod
    def from_arrays(cls, density: Density, arrays: Mapping[str, Array]) -> CellMeasure:
        """What ``to_arrays`` described; ``density`` as for :func:`initial_cells`."""
        parts: dict[str, Any] = {name: np.asarray(arrays[name], dtype=np.float64) for name in ("frame", *FIELDS)}
        return cls(density, factor=float(arrays["factor"]), **parts)

    # ---- division

    def excess(self, resolution: Resolution, seen: Seen | None = None) -> Array:
        """How much too coarse each cell is, across and (on S²) along, (m, d−1): it should divide above 1.

        Cells that neither matter by their mass nor are ``seen`` (cells → a mask (m,)) never are.
        """
        rule, tolerance, mass = self.rule, resolution.tolerance, self.cell_masses
        excess = np.empty((len(mass), self.dim - 1))
        if resolution.most_nodes is not None and self.weights.size >= resolution.most_nodes:
            return np.where(np.isfinite(self.images).all(), np.zeros_like(excess), np.nan)
        longest = resolution.cell_length(rule.order)
        width = longest if resolution.kernel_width is None else resolution.kernel_width
        allowed = np.maximum(SHARE * tolerance / np.maximum(mass, 1e-300), tolerance * width)
        if seen is not None:
            allowed = np.minimum(allowed, tolerance**0.25 * width)
        for direction in range(self.dim - 1):
            lines = np.moveaxis(self.images, -2 - direction, 1)
            length = np.linalg.norm(np.diff(lines, axis=1), axis=-1).sum(axis=1)
            length = length.reshape(len(mass), -1).max(axis=1) / rule.covered
            tail = np.abs(np.einsum("kp,cp...->ck...", rule.tails, lines)).reshape(len(mass), -1).max(axis=1)
            excess[:, direction] = np.maximum(length / longest, np.sqrt(tail / allowed))
        light = mass < resolution.negligible_mass
        if light.any():
            excess[light if seen is None else ~self._seen_among(light, seen)] = 0.0
        return excess

    def _seen_among(self, light: Mask, seen: Seen) -> Mask:
        """The cells that count: heavy ones, and light ones that are seen."""
        counts = ~light
        counts[light] = seen(self._take(light))
        return counts

    def refined(self, resolution: Resolution, seen: Seen | None = None) -> CellMeasure:
        """Divide cells until none is too coarse. Raises NumericalError where that does not end."""
        return divided_until(self, lambda cells: cells.excess(resolution, seen), "the flow map", resolution.most_nodes)

    def divided_at(self, normal: Array, rounds: int, share: float | None = None) -> CellMeasure:
        """The same measure, its cells cut along a plane where an integrand jumps or has a kink.

        ⟨x, normal⟩ = 0, or with ``share`` the level above which there is that much mass, found anew in each of so many
        ``rounds``. A cell that the plane enters and leaves by neighbouring sides is halved first, either way in turn.
        """
        cells = self
        whole: list[CellMeasure] = []
        for round_ in range(rounds):
            level = 0.0 if share is None else _joined([*whole, cells])._level(normal, share)
            cut, met, crossed = plane_cut(self.rule, cells.images, normal, level)
            if not met.any():
                break
            whole.append(cells._take(~met))
            parts = cells._take(crossed)._across(cut[crossed]) if crossed.any() else []
            rest = cells._take(met & ~crossed)
            if len(rest.along) and self.dim == 3 and round_ % 2 == 0:
                parts += rest._along()
            elif len(rest.along):
                parts += rest._across(np.zeros(rest.across.shape))
            cells = _joined(parts)
        return _joined([*whole, cells]) if whole else cells

    def _level(self, normal: Array, share: float) -> float:
        """The ⟨x, normal⟩ above which there is that much mass, between nodes by interpolation."""
        height = -(self.points @ normal)
        order = np.argsort(height)
        weights = self.weights[order]
        return -float(np.interp(share, np.cumsum(weights) - 0.5 * weights, height[order]))

    def divided_about(self, point: Array, rounds: int) -> CellMeasure:
        """The same measure, its cells in two, or on S² in four, so often about a point where an integrand has a tip."""
        cells, whole = self, []
        for _ in range(rounds):
            nodes = cells.images.reshape(len(cells.along), -1, self.dim)
            span = np.linalg.norm(nodes.max(axis=1) - nodes.min(axis=1), axis=-1)
            near = np.linalg.norm(nodes - point, axis=-1).min(axis=1) < WITHIN * span
            if not near.any():
                break
            whole.append(cells._take(~near))
            cells = cells._take(near)
            cells = cells.divided(np.ones((len(cells.along), self.dim - 1), bool))
        return _joined([*whole, cells]) if whole else cells

    def divided(self, chosen: Mask) -> CellMeasure:
        """The chosen cells in two, across or along or both: a mask (m, d−1) as :meth:`excess` orders them."""
        cut, chosen = np.zeros(self.across.shape), np.array(chosen)
        if self.dim == 3 and chosen[:, 0].any():
            cut[chosen[:, 0]], tilted = level_cut(self.rule, self.images[chosen[:, 0]])
            chosen[np.flatnonzero(chosen[:, 0])[tilted]] = (False, True)
        across, along = chosen[:, 0], chosen[:, -1] & ~chosen[:, 0]
        parts = [self._take(~across & ~along)]
        if along.any():
            parts += self._take(along)._along()
        if across.any():
            parts += self._take(across)._across(cut[across])
        cells = _joined(parts)
        both = np.concatenate([np.zeros(parts[0].along.size + 2 * int(along.sum()), bool), *[chosen[across, -1]] * 2])
        if self.dim == 3 and both.any():
            cells = cells.divided(both[:, None] & np.array([False, True]))
        return cells

    def _along(self) -> list[CellMeasure]:
        """Both halves of every cell, cut at the middle longitude."""
        halves = []
        for side, matrix in zip((-0.5, 0.5), self.rule.halves, strict=True):
            halves.append(
                self._with(
                    along=self.along + side * self.half_along,
                    half_along=0.5 * self.half_along,
                    across=self.across @ matrix.T,
                    half_across=self.half_across @ matrix.T,
                    images=np.einsum("qp,cp...->cq...", matrix, self.images),
                )
            )
        return halves

    def _across(self, cut: Array) -> list[CellMeasure]:
        """Both parts of every cell, cut along a curve at positions (m, p) in (−1, 1) across, (m, 1) on S¹."""
        rule = self.rule
        coefficients = np.einsum("qp,...pd->...qd", rule.analysis, self.images)
        parts = []
        for side in (-1.0, 1.0):
            share = 0.5 * (1.0 - side * cut)
            middle = 0.5 * (cut + side)
            at = middle[..., None] + share[..., None] * rule.nodes
            values = np.polynomial.legendre.legvander(at, rule.order - 1)
            images = np.einsum("...jq,...qd->...jd", values.reshape((*self.masses.shape, -1)), coefficients)
            across = self.across + self.half_across * middle
            parts.append(self._with(across=across, half_across=self.half_across * share, images=images))
        return parts

    def _with(self, **fields: Array) -> CellMeasure:
        """These cells cut as told, their nodes weighed anew."""
        images = fields["images"]
        images /= np.linalg.norm(images, axis=-1, keepdims=True)
        cells = self._replaced(fields)
        return cells._replaced({"masses": cells.initial()[1]})

    def _replaced(self, fields: Mapping[str, Array]) -> CellMeasure:
        """These cells with some of their arrays replaced."""
        changes: dict[str, Any] = dict(fields)
        return replace(self, **changes)

    def initial(self) -> tuple[Array, Array]:
        """Where the nodes began, (m, [p,] p, d), and what they weigh."""
        rule = self.rule
        across = self.across[..., None] + self.half_across[..., None] * rule.nodes
        weights = self.half_across[..., None] * rule.weights
        along = np.zeros_like(across)
        if self.dim == 2:
            across, along, weights = across[:, 0], along[:, 0], weights[:, 0]
        else:
            along += (self.along[:, None] + self.half_along[:, None] * rule.nodes)[..., None]
            weights = weights * (self.half_along[:, None] * rule.weights)[..., None]
        points, area = embed(self.frame, along, across)
        values = np.asarray(self.density(points.reshape(-1, self.dim)), dtype=np.float64).reshape(area.shape)
        return points, self.factor * weights * area * values

    def _take(self, chosen: Mask) -> CellMeasure:
        return self._replaced({name: getattr(self, name)[chosen] for name in FIELDS})

    def __repr__(self) -> str:
        return (
            f"CellMeasure(S{'¹²'[self.dim - 2]}, {len(self.along)} cells, {self.weights.size} nodes, mass − 1 = "
            f"{self.weights.sum() - 1.0:.1e}, weights {self.weights.min():.1e} … {self.weights.max():.1e}, "
            f"smallest initial cell {2.0 * self.half_across.min():.1e})"
        )


def _joined(parts: list[CellMeasure]) -> CellMeasure:
    return parts[0]._replaced({name: np.concatenate([getattr(part, name) for part in parts]) for name in FIELDS})


def divided_until(
    cells: CellMeasure, excess: Callable[[CellMeasure], Array], what: str, most: int | None = None
) -> CellMeasure:
    """Divide in the worse direction whatever exceeds 1, until nothing does, or there are ``most`` nodes."""
    done: list[CellMeasure] = []
    for _ in range(DEPTH):
        count = sum(part.weights.size for part in (*done, cells))
        if most is not None and count >= most:
            return _joined([*done, cells])
        if count > MOST_NODES:
            raise NumericalError(f"cells: {what} takes more than {MOST_NODES} nodes")
        size = excess(cells)
        coarse = size.max(axis=1, initial=0.0) > 1.0
        if not coarse.any():
            return _joined([*done, cells]) if done else cells
        done.append(cells._take(~coarse))
        size = size[coarse]
        cells = cells._take(coarse).divided(np.arange(size.shape[1]) == size.argmax(axis=1)[:, None])
    raise NumericalError(f"cells: {what} is too rough, {len(cells.along)} cells are still too coarse")
