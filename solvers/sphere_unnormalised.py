"""Unnormalised attention on the sphere: a nearly uniform density grows clusters along the gradient of its energy.

V = B = I, β = 5: degree 3 grows fastest, at rate λ₃·12/β ≈ 9.98. A perturbation of 1 % of that degree clusters by
t ≈ 0.6; the energy rises all the way. About ten seconds.

    python solvers/sphere_unnormalised.py --figures unnormalised
    python solvers/sphere_unnormalised.py --beta 10 --degree 4 --until 0.01
"""

from types import SimpleNamespace

from spherepde import ContinuityEquation, Head, Result, Simulation, Sphere, Unnormalised, harmonics, run_script

# Parameters
PARAMETERS = {
    "V": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    "B": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    "beta": 5.0,
    "degree": 3,
    "order": 2,
    "amplitude": 0.01,
    "lmax": 127,
    "companion_lmax": 95,
    "backend": "auto",
    "threads": 1,
    "until": 0.6,
    "save_every": 0.02,
    "rtol": 1e-8,
    "out": "sphere_unnormalised.h5",
    "overwrite": False,
}


def solve(p: SimpleNamespace) -> Result:
    """Run the experiment with parameters p."""
    # Model
    space = Sphere(p.lmax, backend=p.backend, threads=p.threads)
    head = Head(V=p.V, B=p.B, beta=p.beta)
    model = ContinuityEquation(space, Unnormalised(head))

    # Initial density
    rho0 = harmonics(3, [{"degree": p.degree, "order": p.order, "amplitude": p.amplitude}])

    # Run
    sim = Simulation(
        model, rho0, p.out, save_every=p.save_every, rtol=p.rtol, companion_lmax=p.companion_lmax, overwrite=p.overwrite
    )
    return sim.run(until=p.until)


if __name__ == "__main__":
    run_script(solve, PARAMETERS, __doc__)
