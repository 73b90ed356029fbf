"""The two ways to ask: an object with the numbers, or an exception in a test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..characteristics import Characteristics
from ..simulation import Simulation
from ..store import RunFile
from .comparison import SAMPLES, measured
from .report import Agreement
from .token_files import Trajectories, read_tokens

Against = str | Path | RunFile | Simulation | Characteristics
Tokens = str | Path | Mapping[str, Any]


def compare_tokens(
    tokens: Tokens,
    against: Against,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    interacting: bool = False,
    progress: bool = False,
) -> Agreement:
    r"""Hold tokens against the mean field ρ_t of a run: distances, the band of exact samples, a verdict.

    Parameters
    ----------
    tokens: an ``.npz`` file, or a mapping, of ``t`` (T,), ``x`` (T, N, d) or ``angles`` (T, N), and optionally
    ``weights`` (N,) or (T, N); see :func:`read_tokens`. Times lie in the run; equal numbers of tokens at all of them.
    against: a run file, its path, a finished simulation, or a :class:`Characteristics`.
    samples: R ≥ 99 exact samples. seed: theirs. progress: a bar on standard error.
    interacting: samples start as independent draws from ρ₀ and move by what they attend to themselves, as tokens of
    the model do, instead of being independent draws from ρ_t.

    At each time three statistics are taken, of the tokens and in the same way of R samples of N points: the geodesic W₁
    and W₂ to ρ_t, and

    .. math:: s^2=N\,(\hat m-m)^\top C^{+}(\hat m-m)

    for first and second moments m with their exact covariance C. On S¹ the distances are those to 4N quantiles of ρ_t
    (4096 at least); on S² those between the masses in cells that hold equal parts of ρ_t (128 for N = 2000, 256 at
    most), and ``rounding`` bounds what the cells may hide. The tokens are outside the band at a time, and as a whole,
    where no more than 1 % of exact samples are as far away (:class:`.band.Band`). Being closer than a sample
    (quantiles, Gauss nodes) is inside. Weighted tokens are held to the floor of :math:`1/\sum w^2` equal ones.

    Tokens that attend to each other are moved by their own sampling error: where the flow amplifies it, correct code
    leaves the band of independent samples, and only ``interacting`` ones (0.5 s each for N = 2000) tell it from an
    error. The verdict is as good as the run: a remark tells of times beyond its velocity horizon. Cost: R·T distances
    (5 ms on S¹ and on S², for N = 2000).
    Raises InputError for what :func:`read_tokens` refuses, another dimension, times outside the run, a run without
    velocity or with diffusion, and R < 99.
    """
    read = read_tokens(tokens)
    reference = against if isinstance(against, Characteristics) else Characteristics(against)
    comparison = measured(read, reference, samples, seed, interacting=interacting, progress=progress)
    remarks = _remarks(read, reference)
    return Agreement(read, comparison, _name(against), seed, interacting=interacting, remarks=remarks)


def assert_matches_reference(
    tokens: Tokens, against: Against, *, samples: int = SAMPLES, seed: int = 0, interacting: bool = False
) -> Agreement:
    """Raise AssertionError, with the whole table, if tokens are outside the band of exact samples of a run.

    For tests of particle codes; arguments, and InputErrors, are those of :func:`compare_tokens`, whose result it
    returns. Correct code fails for about one seed of its initial tokens in 100.
    """
    agreement = compare_tokens(tokens, against, samples=samples, seed=seed, interacting=interacting)
    if not agreement.inside:
        raise AssertionError(f"tokens do not match the reference\n\n{agreement}")
    return agreement


def _name(against: Against) -> str:
    if isinstance(against, str | Path):
        return Path(against).name
    if isinstance(against, RunFile):
        return against.path.name
    return "the run" if isinstance(against, Simulation) else "the reference"


def _remarks(tokens: Trajectories, reference: Characteristics) -> list[str]:
    """What to keep in mind about these tokens and this run."""
    remarks = []
    if tokens.weights is not None:
        counts = tokens.effective_counts()
        size = f"{counts[0]}" if np.ptp(counts) == 0 else f"{counts.min()} to {counts.max()}"
        remarks.append(f"weighted tokens: the samples are {size} equal ones, their effective number 1/Σw²")
    if tokens.t[-1] > reference.horizon:
        remarks.append(f"the run itself is not to be trusted beyond its velocity horizon, t = {reference.horizon:.4g}")
    return remarks
