"""Exit from metastability: how long the mean field stays on E, and how long tokens do.

On S¹ with V = diag(1.5, 1)·S and B = S⁻¹, S symmetric positive definite, VBᵀ = diag(1.5, 1) gathers everything on ±e₁,
while the leading eigenvector f of V points elsewhere. A cluster at e₁ would leave for f at once but for the depleted
zone, which it attends to as long as that outweighs its own mass: the wait grows with β. The exit time is when the
dominant axis of the second moment is half way between e₁ and f. Tokens have no depleted zone once it holds less than
one of them: they leave earlier, the more so the fewer they are.

    python validation/metastability.py                          # one S, β = 8 and 16, a minute
    python validation/metastability.py --full --figures out     # three S, β = 8 … 128, half an hour

The mean field is followed by adaptive weighted nodes at two tolerances, once with finer cells throughout and no light
one left aside, and at β = 64 by the spectral solver besides: exit status 1 if any two differ by more than 1e-3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from late_phase import Number, canvas, drawn, followed
from matplotlib.figure import Figure

from spherepde import (
    Circle,
    ContinuityEquation,
    Head,
    RunFile,
    Simulation,
    Softmax,
    fisher_bingham,
    token_attention,
)
from spherepde.adaptive import CellMeasure
from spherepde.config import script_parameters
from spherepde.errors import one_sentence
from spherepde.heads import DominantEigenspace
from spherepde.phases import halfway
from spherepde.plots.style import COMPONENTS, GUIDE
from spherepde.tokens import circle_quantiles, moments, sample_tokens, simulate_tokens

PARAMETERS = {"full": False, "figures": ""}

ALLOWED = 1e-3
VALUES = np.diag([1.5, 1.0])
DENSITY = fisher_bingham([0.1, 0.2])
E = np.array([1.0, 0.0])
BETAS = (8.0, 16.0, 32.0, 64.0, 128.0)
TOLERANCES = (1e-5, 1e-7)
FINER_UP_TO = 32.0
"""β up to which the flow is followed once more with finer cells everywhere."""
COUNTS = (512, 1024, 2048, 4096)
SEEDS = 2
LONG = 100.0
TOKEN_TIMES = 0.05
LATER = 1.25
"""How much longer than the density tokens are watched."""
SPECTRAL_BETA, SPECTRAL_LMAX = 64.0, (127, 255)


@dataclass(frozen=True)
class Shape:
    """A symmetric positive definite S = [[1, s], [s, r]]."""

    s: float
    r: float

    @property
    def matrix(self) -> np.ndarray:
        """S."""
        return np.array([[1.0, self.s], [self.s, self.r]])

    def head(self, beta: float) -> Head:
        """V = diag(1.5, 1)·S and B = S⁻¹ at one β."""
        return Head(VALUES @ self.matrix, B=np.linalg.inv(self.matrix), beta=beta)

    @property
    def final(self) -> np.ndarray:
        """The leading eigenvector f of V, on the side of e₁."""
        axis = DominantEigenspace(VALUES @ self.matrix).axis
        return np.asarray(axis * np.sign(axis[0]))

    def __str__(self) -> str:
        return f"S = [[1, {self.s:g}], [{self.s:g}, {self.r:g}]]"


SHAPES = (Shape(0.15, 0.8), Shape(0.3, 1.0), Shape(-0.5, 1.2))


@dataclass
class Exits:
    """Exit times for one S: of the mean field by β, and of tokens by (start, N, β); NaN where they never leave."""

    mean_field: dict[float, float] = field(default_factory=dict)
    tokens: dict[tuple[str, int, float], list[float]] = field(default_factory=dict)


def second_moment(measure: CellMeasure) -> list[float]:
    """∫x xᵀ, flattened."""
    return list(np.einsum("n,ni,nj->ij", measure.weights, measure.points, measure.points).ravel())


def lead(second: np.ndarray, final: np.ndarray) -> float:
    """⟨f,Mf⟩ − ⟨e,Me⟩: positive once the dominant axis has passed the bisector of e and f."""
    matrix = np.reshape(second, (2, 2))
    return float(final @ matrix @ final - E @ matrix @ E)


def mean_field_exit(shape: Shape, beta: float, tolerance: float, finer: bool = False) -> float:
    """Exit time of the density."""
    final = shape.final
    enough = partial(_left, final=final)
    t, values = followed(shape.head(beta), DENSITY, LONG, tolerance, second_moment, enough, finer=finer)
    return _halfway(t, values.reshape(-1, 2, 2), final)


def _left(second: np.ndarray, final: np.ndarray) -> bool:
    return lead(second, final) > 0.02


def _halfway(t: np.ndarray, second: np.ndarray, final: np.ndarray) -> float:
    found = halfway(t, second, E, final)
    return np.nan if found is None else found


def token_exit(shape: Shape, beta: float, start: np.ndarray, until: float) -> float:
    """Exit time of tokens of equal weight, if not later than ``until``."""
    attend = partial(token_attention, tolerance=1e-7)
    times = np.arange(0.0, until + TOKEN_TIMES, TOKEN_TIMES)
    path = simulate_tokens(shape.head(beta), start, times, rtol=1e-6, atol=1e-8, attend=attend)
    return _halfway(times, moments(path)[1], shape.final)


def token_exits(shape: Shape, beta: float, until: float, counts: tuple[int, ...]) -> dict[tuple[str, int, float], list]:
    """Exit times of tokens at quantiles and of independent ones, by (start, N, β)."""
    found = {}
    for count in counts:
        starts = {"quantiles": [circle_quantiles(DENSITY, count)]}
        starts["independent"] = [sample_tokens(DENSITY, 2, count, seed=k) for k in range(SEEDS)]
        for name, several in starts.items():
            found[name, count, beta] = [token_exit(shape, beta, start, until) for start in several]
    return found


def spectral_exit(shape: Shape, beta: float, lmax: int, until: float) -> float:
    """Exit time by the spectral solver, which shares neither cells nor sums with the above."""
    with TemporaryDirectory() as folder:
        out = Path(folder) / "run.h5"
        model = ContinuityEquation(Circle(lmax), Softmax(shape.head(beta)))
        Simulation(model, DENSITY, out=out, save_every=until, progress=False).run(until=until)
        with RunFile(out) as run:
            return _halfway(run.series["t"], run.series["second_moment"], shape.final)


def draw(found: dict[Shape, Exits]) -> Figure:
    """Exit time against β, one panel for each S: mean field solid, tokens by N."""
    figure = canvas(3.4 * len(found) + 0.6, 3.8)
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for ax, (shape, exits) in zip(panels, found.items(), strict=True):
        betas = np.array(list(exits.mean_field))
        ax.plot(betas, list(exits.mean_field.values()), "k-", marker="s", markersize=4, label="mean field", zorder=3)
        counts = sorted({count for _, count, _ in exits.tokens})
        for (k, count), (name, marker) in product(enumerate(counts), {"quantiles": "o", "independent": "x"}.items()):
            rows = [(beta, t) for beta in betas for t in exits.tokens.get((name, count, beta), [])]
            x, y = np.array(rows).T
            line = "--" if name == "quantiles" else "none"
            colour = (*COMPONENTS, GUIDE)[k % 4]
            ax.plot(x, y, marker=marker, linestyle=line, color=colour, markersize=4, label=f"{count} tokens, {name}")
        ax.set(xlabel=r"$\beta$", title=str(shape), xlim=(0.0, None), ylim=(0.0, None))
    panels[0].set_ylabel("exit time (dimensionless)")
    panels[0].legend(fontsize=6.5)
    return figure


def measure(shape: Shape, p, say) -> tuple[Exits, list[Number]]:
    """Everything for one S."""
    exits, numbers = Exits(), []
    angle = np.degrees(np.arctan2(shape.final[1], shape.final[0]))
    say(f"{shape}, f at {angle:.4g} degrees from e_1")

    def compare(what: str, reference: float, other: float) -> None:
        numbers.append(Number(f"exit at β = {beta:g}: {what}", reference, other, ALLOWED))
        say(numbers[-1])

    for beta in BETAS if p.full else BETAS[:2]:
        coarse, fine = (mean_field_exit(shape, beta, tolerance) for tolerance in TOLERANCES)
        exits.mean_field[beta] = fine
        compare("tolerance {1:g} | {0:g}".format(*TOLERANCES), fine, coarse)
        if beta <= FINER_UP_TO:
            compare("finer cells throughout, none left aside", fine, mean_field_exit(shape, beta, TOLERANCES[1], True))
        if beta == (SPECTRAL_BETA if p.full else BETAS[1]):
            for lmax in SPECTRAL_LMAX:
                compare(f"spectral solver, lmax {lmax}", fine, spectral_exit(shape, beta, lmax, 1.1 * fine))
        found = token_exits(shape, beta, LATER * fine, COUNTS if p.full else COUNTS[:1])
        exits.tokens |= found
        for (name, count, _), times in found.items():
            say(f"  exit at β = {beta:g}: {count:5d} tokens, {name:11s} " + ", ".join(f"{t:.4g}" for t in times))
    return exits, numbers


def main() -> None:
    """Measure, print as it comes, and draw what was asked for."""
    with one_sentence():
        p = script_parameters(PARAMETERS, __doc__)
        say = partial(print, flush=True)
        found, numbers = {}, []
        for shape in SHAPES if p.full else SHAPES[1:2]:
            found[shape], some = measure(shape, p, say)
            numbers += some
            if p.figures:
                say(drawn(lambda: draw(found), Path(p.figures) / "metastability.png"))
        raise SystemExit(0 if all(number.met for number in numbers) else 1)


if __name__ == "__main__":
    main()
