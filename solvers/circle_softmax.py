"""Softmax attention on the circle: concentration on ±e₁, with the density resolved up to t ≈ 5 and moments far beyond.

V = diag(1, 0.5), B = I, β = 100, from a density that favours neither pole, up to t = 2 log β. A few seconds.

    python solvers/circle_softmax.py --figures circle
    python solvers/circle_softmax.py --beta 10000 --lmax 4095 --companion-lmax 3071 --until 9.2
"""

from types import SimpleNamespace

import numpy as np

from spherepde import Circle, ContinuityEquation, Head, Result, Simulation, Softmax, fisher_bingham, run_script

# Parameters
PARAMETERS = {
    "V": np.diag([1.0, 0.5]),
    "B": np.eye(2),
    "beta": 100.0,
    "linear": [0.3, 0.8],
    "quadratic": [[0.0, 0.0], [0.0, 0.0]],
    "lmax": 511,
    "companion_lmax": 383,
    "until": None,  # 2 log β
    "save_every": 0.1,
    "rtol": 1e-8,
    "out": "circle_softmax.h5",
    "overwrite": False,
}


def solve(p: SimpleNamespace) -> Result:
    """Run the experiment with parameters p."""
    # Model
    space = Circle(p.lmax)
    head = Head(V=p.V, B=p.B, beta=p.beta)
    model = ContinuityEquation(space, Softmax(head))

    # Initial density
    rho0 = fisher_bingham(p.linear, p.quadratic)

    # Run
    sim = Simulation(
        model, rho0, p.out, save_every=p.save_every, rtol=p.rtol, companion_lmax=p.companion_lmax, overwrite=p.overwrite
    )
    return sim.run(until=p.until or 2.0 * np.log(p.beta))


if __name__ == "__main__":
    run_script(solve, PARAMETERS, __doc__)
