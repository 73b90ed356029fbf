"""Laguerre cells on the 2-sphere: a density resolved on a cube, and integrals that follow the cells."""

from .cells import Cells, laguerre_cells
from .labels import cell_labels
from .patches import Patches, resolve
from .sampling import weighted_points

__all__ = ["Cells", "Patches", "cell_labels", "laguerre_cells", "resolve", "weighted_points"]
