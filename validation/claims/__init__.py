"""What every script here shares: claims with error bars, fits that know their uncertainty, figures, and the report.

A script defines ``investigate(ask)`` and ends with ``run(investigate, __doc__)``::

    def investigate(ask: Inquiry) -> None:
        slope = line_fit(np.log(betas), [ask.part(turning_time, beta) for beta in betas])
        ask.equal("slope of t_turn in log β", 1 / (2 * c), slope, source="C7")
        ask.figure("turning", lambda: draw(...), "Turning times against β, theory dashed.")
"""

from .figures import canvas, with_bars
from .fits import limit_of, line_fit, order_fit, rate_fit
from .flows import followed
from .inquiry import Inquiry
from .lines import Claim, Measured
from .script import run

__all__ = [
    "Claim",
    "Inquiry",
    "Measured",
    "canvas",
    "followed",
    "limit_of",
    "line_fit",
    "order_fit",
    "rate_fit",
    "run",
    "with_bars",
]
