r"""Wasserstein distances on spheres, each with two-sided bounds: usable on its own, it imports nothing of the solver.

All functions take arrays or callables and a :class:`Cost` (p and the ground distance) and return a :class:`Distance`:
``value``, ``lower``, ``upper`` and a sentence on how it went.

* on the circle, exactly: :func:`wasserstein_circle` between densities (Fourier coefficients, distribution functions)
  and atoms;
* zonal measures on any sphere: :func:`wasserstein_zonal`;
* a density and atoms on S²: :func:`wasserstein_semidiscrete`, by damped Newton, quadrature following the cells;
* a density and two antipodes: :func:`wasserstein_antipodes`, and points instead of a density:
  :func:`wasserstein_cloud_antipodes`; a density and a great circle: :func:`wasserstein_great_circle`;
* two densities on S²: :func:`wasserstein_continuous`, by quantised targets extrapolated in the number of atoms;
* atoms and atoms on any sphere: :func:`wasserstein_discrete`, by linear programming or Sinkhorn's iteration (POT).

:func:`project_to_axis` and :func:`project_to_plane` push a density forward to the nearest points of a line or plane.
"""

from .antipodes import AntipodalTransport
from .caps import wasserstein_antipodes
from .circle import CircleMeasure, wasserstein_circle
from .cloud import wasserstein_cloud_antipodes
from .continuous import wasserstein_continuous
from .costs import Cost
from .discrete import wasserstein_discrete
from .distance import Distance
from .great_circle import GreatCircle, wasserstein_great_circle
from .laguerre import resolve
from .measures import HarmonicDensity
from .projection import project_to_axis, project_to_plane
from .semidiscrete import SemiDiscrete, wasserstein_semidiscrete
from .zonal import ZonalMeasure, wasserstein_zonal

__all__ = [
    "AntipodalTransport",
    "CircleMeasure",
    "Cost",
    "Distance",
    "GreatCircle",
    "HarmonicDensity",
    "SemiDiscrete",
    "ZonalMeasure",
    "project_to_axis",
    "project_to_plane",
    "resolve",
    "wasserstein_antipodes",
    "wasserstein_circle",
    "wasserstein_cloud_antipodes",
    "wasserstein_continuous",
    "wasserstein_discrete",
    "wasserstein_great_circle",
    "wasserstein_semidiscrete",
    "wasserstein_zonal",
]
