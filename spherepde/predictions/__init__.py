"""What theory predicts for one softmax head (V, B, β) and a positive smooth initial density: rates, times, final state.

Every prediction is a number with a sentence that says where it is from, or a sentence that says why there is none.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..heads import Head
from .clusters import Escape, FinalState, TwoClusters, escape, final_state, two_clusters
from .concentrating import Decay, Prediction, leaving_rates, pointwise_decay, wasserstein_decay
from .turning import Turning, keeps_target, least_distance, turning

__all__ = [
    "Decay",
    "Escape",
    "FinalState",
    "Prediction",
    "Predictions",
    "Turning",
    "TwoClusters",
    "escape",
    "final_state",
    "keeps_target",
    "least_distance",
    "leaving_rates",
    "pointwise_decay",
    "predict",
    "turning",
    "two_clusters",
    "wasserstein_decay",
]


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """All predictions for one head: see :func:`predict`."""

    pointwise: Prediction
    wasserstein_1: Decay
    wasserstein_2: Decay
    escape: Escape
    turning: Turning
    least_distance: Prediction
    final: FinalState
    keeps_target: bool


def predict(head: Head, mass: float = 0.5) -> Predictions:
    """Everything predicted for a head, in any dimension; ``mass`` is that of the half-space of +e, e the axis of E.

    Raises InputError for a mass outside [0, 1].
    """
    leaving = escape(head, mass)
    turn = turning(head, leaving)
    return Predictions(
        pointwise=pointwise_decay(head),
        wasserstein_1=wasserstein_decay(head, 1),
        wasserstein_2=wasserstein_decay(head, 2),
        escape=leaving,
        turning=turn,
        least_distance=least_distance(head, leaving, turn),
        final=final_state(head),
        keeps_target=keeps_target(head),
    )
