r"""A probability measure on the circle or the sphere as weighted nodes that move and divide with a flow.

The initial sphere is cut into cells with a tensor Gauss–Legendre rule each. A flow carries the nodes; their weights,
:math:`\rho_0` times the rule's, stay what they are, so the measure is positive and of mass 1 for ever. On each cell the
flow map is a polynomial through the images of its nodes. A cell divides, its new nodes read off that polynomial, before
the polynomial fails or the image outgrows what a kernel of given width needs: near a separatrix this happens again and
again, and the depleted zone there keeps its *relative* accuracy (initial cells of size :math:`10^{-20}` are as good as
others, no coordinates are ever subtracted).
"""

from .antipodes import distances_to_antipodes, divided_between
from .cells import CellMeasure
from .initial import initial_cells
from .marching import CellStep, carry, march_cells
from .resolution import Resolution

__all__ = [
    "CellMeasure",
    "CellStep",
    "Resolution",
    "carry",
    "distances_to_antipodes",
    "divided_between",
    "initial_cells",
    "march_cells",
]
