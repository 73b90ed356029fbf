"""Tokens against a run, a file or a name, in the two ways to ask: an object with numbers, or an exception in a test."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .agreement import MOST_NODES, SAMPLES, Agreement, Outcome, Trajectories, measured, read_tokens, tokens_interact
from .archive import Reference, run_or_reference
from .characteristics import Characteristics
from .errors import InputError, NumericalError
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
    interacting: None: pairs first, then both kinds of samples, as below. False: samples are independent draws from ρ_t,
    and nothing else decides. True: they start as independent draws from ρ₀ and move by what they attend to themselves.

    At each time five statistics are taken, of the tokens and in the same way of R samples of N points: the geodesic W₁
    and W₂ to ρ_t, |Δmean| and |ΔM₂| of first and second moments, and

    .. math:: s^2=N\,(\hat m-m)^\top C^{-1}(\hat m-m)

    for these moments m with their exact covariance C. On S¹ the distances are those to 4N quantiles of ρ_t (4096 at
    least). On S² samples are judged by distances *in cells*: between the masses in cells that hold equal parts of ρ_t
    (128 for N = 2000, 256 at most); ``distances`` are the true ones of the tokens, to 2048 fine cells, and ``rounding``
    bounds what these hide (up to 32768 tokens). Tokens are outside the band at a time, and as a whole, where no more
    than 1 % of exact samples are as far away (:class:`.band.Band`). Being closer than a sample (quantiles, Gauss nodes)
    is inside. Weighted tokens are held to the floor of :math:`1/\sum w^2` equal ones.

    Tokens that attend to each other are moved by their own sampling error, which the flow amplifies: correct code
    leaves the band, and errors of wrong code hide behind it. So tokens at later times are held to their own first ones
    moved by the model accurately, by what they attend to, or by ρ_t if they come nearer to that: the same sampling
    error, and what is left is the code's. W₁ between both clouds and differences of their moments may be a tenth of the
    99 % limit of an exact sample, 1.2 times what Euler steps of 0.02 make of the same tokens (shorter ones for a short
    run), or one token on the other side of the sphere, whichever is most (:mod:`.pairing`). The rows must be the same
    tokens at all times, in any order that keeps neighbours; if they are not, a pair too far apart decides nothing. The
    first time, and what no pair decides, is held to independent samples; if outside and tokens interact to R samples
    that interact, at an integration of N tokens each (0.5 s for N = 2000 over a short run). ``powerless`` says at which
    times tokens that never moved would be inside; fewer than 30 tokens have no power, says a remark. The verdict is as
    good as the run: another remark tells of times beyond its velocity horizon. Cost besides: R·T distances (5 ms on S¹
    and on S², for N = 2000), on S² two or three seconds of transport for each time, and the nodes of ρ_t, a minute late
    in ``sphere_terminal``.
    Raises InputError for what :func:`read_tokens` refuses, a name of neither a file nor a reference run, another
    dimension, times outside the run, a run without velocity or with diffusion, R < 99, and where a flow cannot be
    followed.
    """
    read = read_tokens(tokens)
    run = run_or_reference(against) if isinstance(against, str | Path) else against
    reference = _characteristics(run)
    try:
        outcome = measured(read, reference, samples, seed, interacting=interacting, progress=progress)
    except NumericalError as error:
        raise InputError(f"{read.source}: no comparison with {_name(run)}: {error}") from None
    interacts, remarks = tokens_interact(reference), _remarks(read, reference, outcome)
    return Agreement(read, outcome, _name(run), seed, interacts=interacts, remarks=remarks)


def assert_matches_reference(
    tokens: Tokens, against: Against, *, samples: int = SAMPLES, seed: int = 0, interacting: bool | None = None
) -> Agreement:
    """Raise AssertionError, with the whole table, if tokens are outside the band of exact samples of a run.

    For tests of particle codes; arguments, and InputErrors, are those of :func:`compare_tokens`, whose result it
    returns. Correct code fails for about one seed of its initial tokens in 100, unless ``interacting`` is False.
    """
    agreement = compare_tokens(tokens, against, samples=samples, seed=seed, interacting=interacting)
    if not agreement.inside:
        raise AssertionError(f"tokens do not match the reference\n\n{agreement}")
    return agreement


def out_folder(folder: Path) -> Path:
    """The same folder, if it can be written: asked before an expensive comparison. Raises InputError."""
    there = next(part for part in (folder, *folder.absolute().parents) if part.exists())
    if not there.is_dir():
        raise InputError(f"{folder}: {there} is a file; expected a folder for figure and JSON")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{folder}: nothing can be written to {there}; expected a folder for figure and JSON")
    return folder


def _characteristics(run: Against) -> Characteristics:
    if isinstance(run, Characteristics):
        return run
    if not isinstance(run, str | Path | RunFile | Simulation | Reference):
        raise InputError(f"against: got {type(run).__name__}; expected a run file, or the name of a reference run")
    return run.characteristics() if isinstance(run, Reference) else Characteristics(run)


def _name(against: Against) -> str:
    if isinstance(against, str | Path):
        return Path(against).name
    if isinstance(against, RunFile):
        return against.path.name
    if isinstance(against, Reference):
        return against.name
    return "the run" if isinstance(against, Simulation) else "the reference"


def _remarks(tokens: Trajectories, reference: Characteristics, outcome: Outcome) -> list[str]:
    """What to keep in mind about these tokens and this run."""
    remarks, counts = [], tokens.effective_counts()
    if counts.min() < FEW:
        what = "tokens have" if tokens.weights is None else f"effective tokens (here {counts.min()}) have"
        remarks.append(f"fewer than {FEW} {what} no power: almost any error is as small as their sampling error")
    if tokens.weights is not None:
        size = f"{counts[0]}" if np.ptp(counts) == 0 else f"{counts.min()} to {counts.max()}"
        remarks.append(f"weighted tokens: the samples are {size} equal ones, their effective number 1/Σw²")
    if tokens.t[-1] > reference.horizon:
        remarks.append(f"the run itself is not to be trusted beyond its velocity horizon, t = {reference.horizon:.4g}")
    if outcome.exhausted.any():
        since = tokens.t[outcome.exhausted][0]
        remarks.append(f"from t = {since:g} on the run has {MOST_NODES} nodes, as many as it may, and is less exact")
    if not np.isfinite(outcome.distances).all():
        remarks.append("too many tokens for true distances on S²: there are those between cells only")
    pair = outcome.pair
    if pair is not None and (unlike := ~pair.follows[1:]).any():
        when = ", ".join(f"{t:g}" for t in tokens.t[1:][unlike])
        remarks.append(f"tokens near each other at first are not at t = {when}: rows are no trajectories there")
    return remarks
