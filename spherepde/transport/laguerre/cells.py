r"""Laguerre cells on the 2-sphere: masses, moments, transport costs and the couplings between neighbours.

The cell of atom i is :math:`\{x: c(x,y_i)-\psi_i\le c(x,y_j)-\psi_j\ \forall j\}`. The quadtree of a density
(module ``patches``) is descended with the list of atoms that can win anywhere on the tile: an atom is dropped only when
a bound (of the distance, or of second order along geodesics) proves that another beats it on the whole tile, so no cell
is ever missed. Tiles with one atom left count whole; the others are integrated along the boundaries (module ``tiles``)
once they are small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from ...compiled import drop_stale
from ..costs import Cost
from .descent import descend
from .ground import CHORDAL_2, kind_of
from .patches import FACES, Patches, nodes_and_weights

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Cells:
    """Integrals over the cells of one set of potentials.

    ``mass`` (n,); ``coupling`` sparse (n, n), symmetric, zero diagonal: ∂mass_i/∂ψ_j = −coupling_ij, positive between
    neighbours; ``moment`` ∫xρ (n, 3); ``cost`` ∫c(x, y_i)ρ (n,), zeros unless asked for; ``doubt`` the mass on tiles
    too small to be told apart.
    """

    mass: Array
    coupling: csr_array
    moment: Array
    cost: Array
    doubt: float


def laguerre_cells(
    patches: Patches,
    atoms: Array,
    potentials: Array,
    cost: Cost,
    *,
    full: bool = False,
    nodes: int = 8,
    background: float = 0.0,
) -> Cells:
    """Masses and couplings of the cells of atoms (n, 3) with potentials ψ (n,); with ``full`` the costs too.

    ``nodes`` Gauss–Legendre nodes per direction and piece; ``background`` ε replaces ρ by (1−ε)ρ + ε × uniform.
    """
    kind = kind_of(cost)
    x, w = nodes_and_weights(nodes)
    blend = np.array([background, background * patches.total / (4.0 * np.pi)])
    sums, rows, columns, values, doubt = descend(
        kind, full, np.ascontiguousarray(atoms), np.ascontiguousarray(potentials, dtype=np.float64), FACES,
        patches.face, patches.center, patches.half, patches.child, patches.leaf, patches.mass, patches.moment,
        patches.area, patches.coefficients, x, w, blend,
    )  # fmt: skip
    n = len(atoms)
    upper = coo_array((values, (rows, columns)), shape=(n, n)).tocsr()
    moment = sums[:, 1:4]
    price = sums[:, 4]
    if full and kind == CHORDAL_2:
        price = 2.0 * (sums[:, 0] - np.einsum("ij,ij->i", moment, atoms))
    return Cells(sums[:, 0], (upper + upper.T).tocsr(), moment, price, float(doubt))


drop_stale(__file__, "ground", "envelope", "tiles", "descent", "cells")
