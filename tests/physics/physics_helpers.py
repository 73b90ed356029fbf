"""What the physics tests share: how a number is reported, and how a state is marched."""

import numpy as np

from spherepde.equation import ContinuityEquation
from spherepde.spaces import Circle, Sphere
from spherepde.steppers import TABLEAUX, FixedStep, imex_step, march


def number(name, measured, expected, *, atol=0.0, rtol=0.0):
    """Print a measured number beside the expected one, and assert |measured − expected| ≤ atol + rtol·|expected|."""
    error = abs(measured - expected)
    kind = " (relative)" if rtol else ""
    shown = error / abs(expected) if rtol else error
    print(f"NUMBER {name}: measured {measured:.10g}, expected {expected:.10g}, error {shown:.1e}{kind}")
    assert error <= atol + rtol * abs(expected), f"{name}: {measured!r}, expected {expected!r}"


def bounded(name, measured, limit):
    """Print an error beside what it may be at most, and assert it."""
    print(f"NUMBER {name}: measured {measured:.1e}, expected <= {limit:.1e}, error {measured:.1e}")
    assert measured <= limit, f"{name}: {measured!r} > {limit!r}"


def space_of(dim, lmax, backend="auto"):
    return Circle(lmax) if dim == 2 else Sphere(lmax, backend=backend)


def uniform_state(space):
    u = np.zeros(space.n_modal, complex)
    u[0] = 1.0 if space.dim == 2 else 1.0 / np.sqrt(4.0 * np.pi)
    return u


def perturbation(space, degrees, seed=0):
    """A random real function of the given degrees, every order excited, of size one in each coefficient."""
    rng = np.random.default_rng(seed)
    u = rng.uniform(0.5, 1.0, space.n_modal) * np.exp(2j * np.pi * rng.random(space.n_modal))
    if space.dim == 3:
        u[space.order == 0] = np.abs(u[space.order == 0])  # m = 0 coefficients are real
    return np.where(np.isin(space.degree, degrees), u, 0.0)


def evolve(equation: ContinuityEquation, u, time, steps, tableau="ark436", adapt=False):
    """The state after ``steps`` equal steps of the real stepper; ``adapt`` lets damping wake as in a run."""
    for accepted in march(imex_step(equation, TABLEAUX[tableau]), equation.norm, FixedStep(time / steps), u, 0.0, time):
        u = accepted.state
        if adapt:
            equation.adapt_damping(u)
    return u


def orders(errors, ratio=2.0):
    """Observed orders between consecutive errors on grids refined by ``ratio``."""
    errors = np.asarray(errors)
    return np.log(errors[:-1] / errors[1:]) / np.log(ratio)
