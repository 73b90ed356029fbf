"""A run beyond its velocity horizon: the density goes on as weighted nodes that move by the velocity they induce.

The grid loses a density that concentrates below its spacing; the velocity it recorded is good for longer. So the
initial density is carried along that velocity, as the nodes of :mod:`spherepde.adaptive`, to where the run stands, and
from there on by its own attention (:mod:`spherepde.lagrangian`). A second, coarser set of nodes that left the grid
earlier, or was never there if nothing else tells how far the grid is off, gives the error bars.
"""

from .course import Continuation
from .handover import WITHOUT_BARS, Handover
from .readings import LOST, NodeReadings
from .tokens import Row, TokenContinuation

__all__ = ["LOST", "WITHOUT_BARS", "Continuation", "Handover", "NodeReadings", "Row", "TokenContinuation"]
