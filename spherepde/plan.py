"""A configuration in words: one screen that says what a run would do and take, before it starts."""

from __future__ import annotations

from .attention import Attention
from .attention.configured import attention_of
from .config import RunConfig
from .continuation import WITHOUT_BARS
from .experiment import required_memory
from .memory import of_this_machine, readable
from .run_options import cut_density, snapshot_count
from .spaces import grid_shape
from .summary import model_in_words

METHODS = {
    "funk_hecke": "multipliers (B = s·O)",
    "factors": "radial factors (general B)",
    "quadrature": "quadrature",
}
LONGEST = 100
"""Characters that a list of heads may take."""


def describe_plan(config: RunConfig, source: str) -> str:
    """The screen that ``info`` prints of a configuration read from ``source``.

    Raises InputError if the run does not fit into the memory of the machine, or the attention cannot be prepared.
    """
    footprint = required_memory(config)
    attention = attention_of(config)
    space, time, output = config.space, config.time, config.output
    bandwidth = attention.source_degree(0.0, time.until)
    snapshots = snapshot_count(time.until, time.save_every)
    stepping = f"rtol {time.rtol:g}" if time.rtol is not None else f"dt {time.dt:g}"
    grid = " × ".join(map(str, grid_shape(config.model.dim, space.lmax)))
    companion = f"companion lmax {space.companion_lmax}" if space.companion_lmax else "no companion"
    words = model_in_words(attention.to_config() | {"diffusion": config.model.diffusion})
    lines = {
        "model": words.replace("\N{NO-BREAK SPACE}", " "),
        "initial": config.initial.family,
        "space": f"lmax {space.lmax}, {companion}, grid {grid}, {space.backend}, {space.threads} thread(s)"
        + (f", kernel bandwidth L_K = {bandwidth}" if bandwidth else ""),
        "time": f"0 … {time.until:g} ({time.stepper}, {stepping}), {snapshots} snapshots",
        "memory": of_this_machine(footprint.peak),
        "file": f"{output.file}: {snapshots} × {readable(footprint.snapshot)} = "
        f"{readable(snapshots * footprint.snapshot)}, and {readable(footprint.step)} a step",
    }
    lines["beyond"] = _beyond(config)
    if bandwidth:
        lines["attention"] = _methods(attention, time.until)
    warnings = [cut_density(bandwidth, space.lmax)] if bandwidth > space.lmax else []
    remark = attention.schedule.remark(time.until)
    if warnings or remark:
        lines["warning"] = "; ".join([*warnings, *([remark] if remark else [])])
    if not space.companion_lmax:
        lines["note"] = "no companion run, so moments will carry no error bar (space.companion_lmax)"
    width = max(map(len, lines))
    return "\n".join([f"{source} (not run yet)", *(f"  {name:<{width}}  {text}" for name, text in lines.items())])


def _beyond(config: RunConfig) -> str:
    """What the run does where its grid no longer carries the density."""
    if config.time.continuation == "none" or config.model.diffusion:
        return "stays on the grid"
    if config.space.companion_lmax:
        return "goes on with weighted nodes if the error bars foretell the velocity horizon before the end"
    if config.time.continuation == "tokens":
        return f"goes on with weighted nodes from {WITHOUT_BARS:g} times the field horizon on"
    return "stays on the grid: without a companion run nothing foretells the velocity horizon"


def _methods(attention: Attention, until: float) -> str:
    """Which method evaluates each head: one for all, by number from 0 or, of many or of layers, how often."""
    acting = [[METHODS[attention.method_of(head)] for head in heads] for heads in attention.schedule.acting(until)]
    found = list(dict.fromkeys(method for methods in acting for method in methods))
    anew = ", prepared anew at every stage" if attention.schedule.gradual else ""
    if len(found) == 1:
        several = f", all {len(acting[0])} heads" if len(acting[0]) > 1 else ""
        return found[0] + several + anew
    if attention.schedule.gradual:
        return " and ".join(found) + anew
    if len(acting) > 1:
        reached = {method: sum(method in methods for methods in acting) for method in found}
        return "; ".join(f"{method} in {count} of {len(acting)} layers" for method, count in reached.items())
    (methods,) = acting
    numbers = {method: [str(i) for i, other in enumerate(methods) if other == method] for method in found}
    named = "; ".join(f"head {', '.join(which)}: {method}" for method, which in numbers.items())
    if len(named) <= LONGEST:
        return named
    return "; ".join(f"{method}: {len(which)} heads" for method, which in numbers.items())
