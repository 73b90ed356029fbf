"""Tokens against a run, a file or a name, in the two ways to ask: an object with numbers, or an exception in a test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .agreement import SAMPLES, Agreement, Trajectories, measured, read_tokens, tokens_interact
from .archive import Reference, run_or_reference
from .characteristics import Characteristics
from .simulation import Simulation
from .store import RunFile

Against = str | Path | RunFile | Simulation | Reference | Characteristics
FEW = 30
"""Tokens that scatter by a fifth of what they measure."""
Tokens = str | Path | Mapping[str, Any]


def compare_tokens(
    tokens: Tokens,
    against: Against,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    interacting: bool | None = None,
    progress: bool = False,
) -> Agreement:
    r"""Hold tokens against the mean field ρ_t of a run: distances, the band of exact samples, a verdict.

    Parameters
    ----------
    tokens: an ``.npz`` file, or a mapping, of ``t`` (T,), ``x`` (T, N, d) or ``angles`` (T, N), and optionally
    ``weights`` (N,) or (T, N); see :func:`read_tokens`. Times lie in the run; equal numbers of tokens at all of them.
    against: a run file, its path, the name of a reference run, a :class:`Reference`, a finished simulation, or a
    :class:`Characteristics`.
    samples: R ≥ 99 exact samples. seed: theirs. progress: a bar on standard error.
    interacting: False: samples are independent draws from ρ_t. True: they start as independent draws from ρ₀ and move
    by what they attend to themselves, as tokens of the model do. None: independent ones first; tokens outside their
    band are held to R samples that interact, whose verdict counts (none do under hardmax).

    At each time three statistics are taken, of the tokens and in the same way of R samples of N points: the geodesic W₁
    and W₂ to ρ_t, and

    .. math:: s^2=N\,(\hat m-m)^\top C^{+}(\hat m-m)

    for first and second moments m with their exact covariance C. On S¹ the distances are those to 4N quantiles of ρ_t
    (4096 at least); on S² those between the masses in cells that hold equal parts of ρ_t (128 for N = 2000, 256 at
    most), and ``rounding`` bounds what the cells may hide. The tokens are outside the band at a time, and as a whole,
    where no more than 1 % of exact samples are as far away (:class:`.band.Band`). Being closer than a sample
    (quantiles, Gauss nodes) is inside. Weighted tokens are held to the floor of :math:`1/\sum w^2` equal ones.

    Tokens that attend to each other are moved by their own sampling error: where the flow amplifies it, correct code
    leaves the band of independent samples, more often than not where it settles (6 seeds of 8 for 200 tokens against
    ``circle_cluster``), and only samples that interact tell it from an error. They cost an integration of N tokens to
    the last time each (0.5 s for N = 2000 over a short run), and nothing where the first band is not left. An error
    smaller than the sampling error, as amplified, is not seen: 100 tokens with β = 3 for 1 are inside at t = 4 and 8 of
    ``circle_cluster``. More tokens and early times have more power; fewer than 30 tokens have none, says a remark.
    The verdict is as good as the run: another remark tells of times beyond its velocity horizon. Cost besides: R·T
    distances (5 ms on S¹ and on S², for N = 2000).
    Raises InputError for what :func:`read_tokens` refuses, a name of neither a file nor a reference run, another
    dimension, times outside the run, a run without velocity or with diffusion, and R < 99.
    """
    read = read_tokens(tokens)
    run = run_or_reference(against) if isinstance(against, str | Path) else against
    reference = _characteristics(run)
    comparisons = measured(read, reference, samples, seed, interacting=interacting, progress=progress)
    interacts, remarks = tokens_interact(reference), _remarks(read, reference)
    return Agreement(read, comparisons, _name(run), seed, interacts=interacts, remarks=remarks)


def assert_matches_reference(
    tokens: Tokens, against: Against, *, samples: int = SAMPLES, seed: int = 0, interacting: bool | None = None
) -> Agreement:
    """Raise AssertionError, with the whole table, if tokens are outside the band of exact samples of a run.

    For tests of particle codes; arguments, and InputErrors, are those of :func:`compare_tokens`, whose result it
    returns. Correct code fails for at most about one seed of its initial tokens in 100, unless ``interacting`` is
    False.
    """
    agreement = compare_tokens(tokens, against, samples=samples, seed=seed, interacting=interacting)
    if not agreement.inside:
        raise AssertionError(f"tokens do not match the reference\n\n{agreement}")
    return agreement


def _characteristics(run: Against) -> Characteristics:
    if isinstance(run, Characteristics):
        return run
    return run.characteristics() if isinstance(run, Reference) else Characteristics(run)


def _name(against: Against) -> str:
    if isinstance(against, str | Path):
        return Path(against).name
    if isinstance(against, RunFile):
        return against.path.name
    if isinstance(against, Reference):
        return against.name
    return "the run" if isinstance(against, Simulation) else "the reference"


def _remarks(tokens: Trajectories, reference: Characteristics) -> list[str]:
    """What to keep in mind about these tokens and this run."""
    remarks, counts = [], tokens.effective_counts()
    if counts.min() < FEW:
        remarks.append(f"fewer than {FEW} tokens have no power: almost any error is as small as their sampling error")
    if tokens.weights is not None:
        size = f"{counts[0]}" if np.ptp(counts) == 0 else f"{counts.min()} to {counts.max()}"
        remarks.append(f"weighted tokens: the samples are {size} equal ones, their effective number 1/Σw²")
    if tokens.t[-1] > reference.horizon:
        remarks.append(f"the run itself is not to be trusted beyond its velocity horizon, t = {reference.horizon:.4g}")
    return remarks
