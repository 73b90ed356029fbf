"""Softmax attention on the sphere at low temperature: the density concentrates on the dominant eigenspace of VBᵀ.

The main experiment: V = diag(1, 0.4, −0.3), B = I, β = 100, up to t = 2 log β. Prints how far ρ_t is from the
limit measure Π♯ρ₀, with two-sided bounds and error bars. About half a minute.

    python solvers/sphere_softmax.py --out data/sphere_softmax.h5 --figures data/sphere_softmax
    python solvers/sphere_softmax.py --lmax 127 --companion-lmax 95 --beta 20
"""

from types import SimpleNamespace

import numpy as np

from spherepde import ContinuityEquation, Head, Result, Simulation, Softmax, Sphere, fisher_bingham, run_script

# Parameters
PARAMETERS = {
    "V": np.diag([1.0, 0.4, -0.3]),
    "B": np.eye(3),
    "beta": 100.0,
    "linear": [0.0, 0.8, 0.0],
    "quadratic": [[0.0, 0.0, 0.25], [0.0, 0.0, 0.0], [0.25, 0.0, 0.0]],
    "lmax": 191,
    "companion_lmax": 127,
    "backend": "auto",
    "threads": 1,
    "until": None,  # 2 log β
    "save_every": 0.1,
    "rtol": 1e-8,
    "out": "sphere_softmax.h5",
    "overwrite": False,
}


def solve(p: SimpleNamespace) -> Result:
    """Run the experiment with parameters p."""
    # Model
    space = Sphere(p.lmax, backend=p.backend, threads=p.threads)
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
