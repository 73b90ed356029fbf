"""Speed against the yardsticks: every row is a ratio of two times measured in turn in one process.

    python validation/benchmarks.py                 # about five minutes, one thread
    python validation/benchmarks.py --full          # with 10 000 atoms, a quarter of an hour more
    python validation/benchmarks.py --repeats 50 --json benchmarks.json

Absolute milliseconds are shown for orientation; quote the ratios, since machines are noisy.
"""

from __future__ import annotations

import numpy as np
from timing import Timed, paired_milliseconds
from transport_benchmarks import report

from spherepde import Circle, ContinuityEquation, Hardmax, Head, Softmax, Sphere, Unnormalised, fisher_bingham
from spherepde.config import script_parameters
from spherepde.errors import one_sentence
from spherepde.tokens import sample_tokens, token_velocity

PARAMETERS = {"lmax": 255, "beta": 100.0, "repeats": 30, "full": False, "json": ""}


def right_hand_side(lmax: int, beta: float, backend: str, repeats: int) -> tuple[float, float, float]:
    """Softmax right-hand side (B = I) against the bare transforms it cannot do without, buffers and all.

    Those are: ρ on the grid, Z and R (degrees ≤ L_K) on the grid, one gradient (≤ L_K), one vector analysis.
    """
    space = Sphere(lmax, backend=backend)
    model = ContinuityEquation(space, Softmax(Head(np.diag([1.0, 0.4, -0.3]), beta=beta)))
    u = space.project(fisher_bingham([0.0, 0.8, 0.0], np.diag([0.3, 0.0, 0.0])))
    band = space.band(model.field.source_degree)
    low = space.restrict(u, band.lmax)
    density, partition, radial, tangential = space.empty(), space.empty(), space.empty(), space.empty(2)
    flux = space.empty(2)
    flux[:] = 0.0
    transforms: list[Timed] = [
        lambda: space.to_nodal(u, density),
        lambda: band.to_nodal(low, partition),
        lambda: band.to_nodal(low, radial),
        lambda: band.gradient(low, tangential),
        lambda: space.divergence(flux, overwrite=True),
    ]
    return paired_milliseconds(lambda: model.explicit_terms(u), transforms, repeats)


def rows(p) -> list[dict[str, object]]:
    """Every benchmark as a dict with its name, times, ratio and the ratio asked for."""
    results: list[dict[str, object]] = []

    def add(name: str, measured: tuple[float, float, float], against: str, wanted: str = "") -> None:
        ours, theirs, ratio = measured
        results.append(
            {"work": name, "ms": ours, "yardstick": against, "yardstick_ms": theirs, "ratio": ratio, "wanted": wanted}
        )

    for lmax in sorted({127, p.lmax, 511}):
        measured = right_hand_side(lmax, p.beta, "auto", p.repeats)
        add(f"right-hand side, softmax, B = I, lmax {lmax}", measured, "its bare transforms", "≤ 1.5")
    space = Sphere(p.lmax)
    u = space.project(fisher_bingham([0.0, 0.8, 0.0], np.diag([0.3, 0.0, 0.0])))
    softmax = ContinuityEquation(space, Softmax(Head(np.diag([1.0, 0.4, -0.3]), beta=p.beta)))
    rotation = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]])
    for name, attention in {
        "softmax, B = rotation": Softmax(Head(np.eye(3), rotation, beta=p.beta)),
        "unnormalised": Unnormalised(Head(np.eye(3), beta=p.beta)),
        "hardmax": Hardmax(Head(np.diag([1.0, 0.4, -0.3]))),
        "softmax, three heads": Softmax([Head(np.eye(3), beta=p.beta * s) for s in (1.0, 0.5, 0.25)]),
    }.items():
        other = ContinuityEquation(space, attention)
        pair = paired_milliseconds(
            lambda other=other: other.explicit_terms(u), [lambda: softmax.explicit_terms(u)], p.repeats
        )
        add(f"right-hand side, {name}, lmax {p.lmax}", pair, "softmax, B = I")
    ducc = Sphere(p.lmax, backend="ducc0")
    slower = ContinuityEquation(ducc, softmax.attention)
    pair = paired_milliseconds(lambda: slower.explicit_terms(u), [lambda: softmax.explicit_terms(u)], p.repeats)
    add(f"right-hand side, ducc0, lmax {p.lmax}", pair, f"{space.backend}")
    small = Sphere(31)
    v = small.project(fisher_bingham([0.0, 0.8, 0.0], np.diag([0.3, 0.0, 0.0])))
    fast, direct = (
        ContinuityEquation(small, Softmax(Head(np.eye(3), beta=10.0), method=method))
        for method in ("funk_hecke", "quadrature")
    )
    pair = paired_milliseconds(lambda: direct.explicit_terms(v), [lambda: fast.explicit_terms(v)], 5)
    add("right-hand side by quadrature, lmax 31, β = 10", pair, "Funk–Hecke")
    tokens = sample_tokens(fisher_bingham([0.0, 0.8, 0.0], np.zeros((3, 3))), 3, 4000, seed=0)
    head = Head(np.diag([1.0, 0.4, -0.3]), beta=p.beta)
    pair = paired_milliseconds(lambda: token_velocity(head, tokens), [lambda: softmax.explicit_terms(u)], 5)
    add("velocity of 4000 tokens, dense sums", pair, f"right-hand side, lmax {p.lmax}")
    circle = Circle(1023)
    ring = ContinuityEquation(circle, Softmax(Head(np.diag([1.0, 0.5]), beta=1e4)))
    w = circle.project(fisher_bingham([0.3, 0.8], np.zeros((2, 2))))
    pair = paired_milliseconds(lambda: ring.explicit_terms(w), [lambda: softmax.explicit_terms(u)], p.repeats)
    add("right-hand side, circle, lmax 1023, β = 10⁴", pair, f"right-hand side, sphere, lmax {p.lmax}")
    return results


def main() -> None:
    """Measure, print the tables, write the JSON."""
    with one_sentence():
        p = script_parameters(PARAMETERS, __doc__)
        report(full=p.full, json_file=p.json, before=lambda: rows(p))


if __name__ == "__main__":
    main()
