"""Curves along which cells divide on S²: level sets of their images, so that they follow the layers of a flow.

Near a separatrix the flow map is steep across a curve. Cells cut along straight lines would have to be as short as the
layer is thin, and their number grow like the stretch itself; along the layer they stay as long as it is smooth.
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial.legendre import legder, legvander
from numpy.typing import NDArray

from .resolution import Rule

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

SCAN = np.linspace(-0.85, 0.85, 35)
"""Where the level set is looked for on each line across a cell: not at its very sides."""
WHOLE = np.linspace(-0.999, 0.999, 41)
"""The same to its sides."""
NEWTON = 4
SHORT = 0.05
"""Images shorter along than this, of their length across, are cut straight."""
ROUGH = 1e-2
"""A curve whose last Legendre coefficients are above this, of 1, is not followed."""


def level_cut(rule: Rule, images: Array) -> tuple[Array, Mask]:
    """Where each line across cells meets a level set of their images (m, p, p, 3), and which cells had better be short.

    Positions (m, p) in (−1, 1). The level is half way between the mean images of the two sides, measured along the
    chord between them. Where the set leaves a cell by another side, or is rough, positions are 0: such a cell should be
    cut along first (a mask (m,)), unless it is already far shorter along than across.
    """
    coefficients = np.einsum("qp,...pd->...qd", rule.analysis, images)
    ends = legvander(np.array([-1.0, 1.0]), rule.order - 1) @ coefficients
    chord = np.mean(ends[..., 1, :] - ends[..., 0, :], axis=1)
    chord /= np.maximum(np.linalg.norm(chord, axis=1, keepdims=True), 1e-300)
    heights = np.einsum("...qd,...d->...q", coefficients, chord[:, None])
    heights[..., 0] -= np.einsum("med,md->me", ends.mean(axis=1), chord).mean(axis=1)[:, None]
    position, tail, _, crossed = crossings(rule, heights, SCAN)
    crossed &= tail < ROUGH
    along = np.linalg.norm(images[:, -1] - images[:, 0], axis=-1).max(axis=1)
    across = np.linalg.norm(images[:, :, -1] - images[:, :, 0], axis=-1).max(axis=1)
    return np.where(crossed[:, None], position, 0.0), ~crossed & (along > SHORT * across)


def plane_cut(rule: Rule, images: Array, normal: Array, level: float) -> tuple[Array, Mask, Mask]:
    """Where each line across cells meets the plane ⟨x, normal⟩ = level, which cells meet it, and which it cuts in two.

    Positions (m, j) in (−1, 1) and two masks (m,), for images (m, p, p, 3) or (m, p, 2). Between the lines the curve
    must stay inside the cell, and be the smoother the nearer it comes to a side: weights would be negative else.
    """
    heights = (images @ normal - level).reshape(len(images), -1, rule.order) @ rule.analysis.T
    position, tail, met, crossed = crossings(rule, heights, WHOLE)
    between = position @ (legvander(WHOLE, rule.order - 1) @ rule.analysis).T if images.ndim == 4 else position
    return position, met, crossed & (tail < ROUGH * (1.0 - np.abs(between).max(axis=1)))


def crossings(rule: Rule, heights: Array, scan: Array) -> tuple[Array, Array, Mask, Mask]:
    """First zeros (m, j) of Legendre series (m, j, p) on the lines across cells, between the points of ``scan``.

    With the size of their last Legendre coefficients along the cell (m,), whether heights of both signs were seen (m,),
    and whether there is a zero on every line (m,).
    """
    above = heights @ legvander(scan, rule.order - 1).T > 0.0
    crossed = above[..., :1] != above
    index = np.argmax(crossed, axis=-1)
    position = 0.5 * (scan[index] + scan[np.maximum(index - 1, 0)])
    slopes = legder(heights, axis=-1)
    for _ in range(NEWTON):
        basis = legvander(position, rule.order - 1)
        slope = np.sum(basis[..., :-1] * slopes, axis=-1)
        step = np.divide(np.sum(basis * heights, axis=-1), slope, out=np.zeros_like(slope), where=slope != 0.0)
        position = np.clip(position - step, scan[0], scan[-1])
    lines = position.shape[-1]
    tail: Array = np.zeros(len(position)) if lines == 1 else np.abs(position @ rule.tails.T).max(axis=1)
    met = above.any(axis=(1, 2)) & ~above.all(axis=(1, 2))
    return position, tail, np.asarray(met), crossed.any(axis=-1).all(axis=1)
