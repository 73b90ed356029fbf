"""A configuration in words: one screen that says what a run would do and take, before it starts."""

from __future__ import annotations

from .config import RunConfig
from .experiment import build_attention, required_memory
from .heads import Head
from .memory import of_this_machine, readable
from .run_options import save_times
from .spaces import grid_shape
from .summary import model_in_words

METHODS = {
    "funk_hecke": "multipliers (B = s·O)",
    "factors": "radial factors (general B)",
    "quadrature": "quadrature",
}


def describe_plan(config: RunConfig, source: str) -> str:
    """The screen that ``info`` prints of a configuration read from ``source``.

    Raises InputError if the run does not fit into the memory of the machine, or the attention cannot be prepared.
    """
    footprint = required_memory(config)
    attention = build_attention(config)
    space, time, output = config.space, config.time, config.output
    bandwidth = attention.source_degree(0.0, time.until)
    snapshots = 1 + sum(1 for _ in save_times(0.0, time.until, time.save_every))
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
    if bandwidth:
        lines["attention"] = _methods(attention.heads, [METHODS[attention.method_of(head)] for head in attention.heads])
    if bandwidth > space.lmax:
        lines["warning"] = (
            f"space.lmax = {space.lmax} is below the bandwidth L_K = {bandwidth} of the attention kernel, "
            "which sees a cut density"
        )
    if not space.companion_lmax:
        lines["note"] = "no companion run, so moments will carry no error bar (space.companion_lmax)"
    width = max(map(len, lines))
    return "\n".join([f"{source} (not run yet)", *(f"  {name:<{width}}  {text}" for name, text in lines.items())])


def _methods(heads: tuple[Head, ...], methods: list[str]) -> str:
    """Which method each head takes: one for all, or by number from 0."""
    if len(set(methods)) == 1:
        return methods[0] + (f", all {len(heads)} heads" if len(heads) > 1 else "")
    named = {method: [str(i) for i, other in enumerate(methods) if other == method] for method in methods}
    return "; ".join(f"head {', '.join(numbers)}: {method}" for method, numbers in named.items())
