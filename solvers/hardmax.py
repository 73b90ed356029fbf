"""Hardmax attention (zero temperature) against its exact solution, on the circle or the sphere.

The flow is projective-linear and its density known in closed form; prints the error of the solver while the density is
resolved. V decides the dimension. A few seconds.

    python solvers/hardmax.py
    python solvers/hardmax.py --V "[[1, 0], [0, 0.5]]" --linear "[0.3, 0.8]" --lmax 255
"""

from types import SimpleNamespace

import numpy as np

from spherepde import (
    Circle,
    ContinuityEquation,
    Hardmax,
    Head,
    Result,
    Simulation,
    Sphere,
    exact,
    fisher_bingham,
    run_script,
)

# Parameters
PARAMETERS = {
    "V": [[1.0, 0.0, 0.0], [0.0, 0.4, 0.0], [0.0, 0.0, -0.3]],
    "linear": [0.0, 0.8, 0.3],
    "lmax": 127,
    "companion_lmax": 95,
    "until": 1.2,
    "save_every": 0.05,
    "rtol": 1e-12,
    "out": "hardmax.h5",
    "overwrite": False,
}


def solve(p: SimpleNamespace) -> Result:
    """Run the experiment with parameters p and compare with the exact density."""
    # Model
    head = Head(V=p.V)
    space = Circle(p.lmax) if head.dim == 2 else Sphere(p.lmax)
    model = ContinuityEquation(space, Hardmax(head))

    # Initial density
    rho0 = fisher_bingham(p.linear, np.zeros((head.dim, head.dim)))

    # Run
    sim = Simulation(
        model, rho0, p.out, save_every=p.save_every, rtol=p.rtol, companion_lmax=p.companion_lmax, overwrite=p.overwrite
    )
    result = sim.run(until=p.until)

    # Error
    truth = exact.hardmax_density(head, rho0, result.time, space.points.reshape(-1, head.dim)).reshape(space.shape)
    error = space.integrate(np.abs(space.to_nodal(result.state) - truth))
    print(f"L¹ error against the exact density at t = {result.time:g}: {error:.2e}")
    return result


if __name__ == "__main__":
    run_script(solve, PARAMETERS, __doc__)
