r"""The measure itself, positive and sharp at all times, from what a run recorded of its velocity.

The velocity of attention depends on few, smooth moments of the density, and stays known long after the density has
collapsed below any grid. Along its characteristics :math:`\dot X_t=v(t,X_t)` the density is exact at any zoom:

.. math:: \rho(t,x)=\rho_0\bigl(X_t^{-1}(x)\bigr)\exp\Bigl(-\int_0^t\operatorname{div}v\,ds\Bigr)>0

:class:`Characteristics` of a run answers in these terms; :class:`RecordedVelocity` and :func:`flow_map` are its parts.
"""

from .flow import FlowMap, flow_map
from .reconstruction import Characteristics, WeightedSample
from .velocity import RecordedVelocity, VelocityGradient

__all__ = ["Characteristics", "FlowMap", "RecordedVelocity", "VelocityGradient", "WeightedSample", "flow_map"]
