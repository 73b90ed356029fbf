"""C1: zero-temperature densities against their closed form, converging exponentially in lmax while resolved."""

import numpy as np
import pytest
from physics_helpers import bounded, evolve, number, space_of
from scipy.linalg import expm

from spherepde import exact
from spherepde.attention import Hardmax
from spherepde.densities import fisher_bingham
from spherepde.equation import ContinuityEquation
from spherepde.filters import DAMPING_RATE, spectral_tail
from spherepde.heads import Head


def rotation(dim, angle):
    """A rotation by ``angle`` in a plane of no special position."""
    generator = np.zeros((dim, dim))
    generator[0, 1], generator[1, 0] = -1.0, 1.0
    if dim == 3:
        axis = np.array([2.0, -1.0, 2.0]) / 3.0
        generator = np.cross(np.eye(3), axis)
    return np.eye(dim) + np.sin(angle) * generator + (1.0 - np.cos(angle)) * generator @ generator


def reflection(dim):
    normal = np.arange(1.0, dim + 1.0) / np.linalg.norm(np.arange(1.0, dim + 1.0))
    return np.eye(dim) - 2.0 * np.outer(normal, normal)


def head(dim, kind):
    symmetric = np.diag([1.0, 0.4, -0.3][:dim])
    shear = np.array([[0.9, 0.5, -0.2], [-0.3, 0.4, 0.1], [0.2, 0.6, -0.5]])[:dim, :dim]
    return {
        "V symmetric, B=I": Head(symmetric),
        "V not symmetric, B=rotation": Head(shear, rotation(dim, 0.7)),
        "V not symmetric, B=1.3*reflection": Head(shear, 1.3 * reflection(dim)),
    }[kind]


def initial(dim):
    return fisher_bingham(
        [0.3, 0.8, -0.2][:dim], (np.array([[0.0, 0.2, 0.25], [0.2, 0.1, 0.0], [0.25, 0.0, 0.0]]))[:dim, :dim]
    )


def error(dim, kind, lmax, time, damping):
    """∫|ρ − ρ_exact| at the given time, and the spectral tail there."""
    space = space_of(dim, lmax)
    equation = ContinuityEquation(space, Hardmax(head(dim, kind)), damping=damping)
    rho0 = initial(dim)
    u = evolve(equation, space.project(rho0, resolved=None), time, round(240 * time), adapt=damping > 0.0)
    truth = exact.hardmax_density(head(dim, kind), rho0, time, space.points.reshape(-1, dim)).reshape(space.shape)
    return space.integrate(np.abs(space.to_nodal(u) - truth)), spectral_tail(space, u)


def predicted_decay(dim, kind, time):
    """Rate in e^{−rate·l}, up to factors e^{c√l} from the essential singularity of ρ₀(Mx/|Mx|) at the same place.

    |Mx|², M = e^{−τA}, vanishes at complex angles log((g+1)/(g−1))/2 off the real axis, g the condition number.
    """
    flow = head(dim, kind)
    scale = np.linalg.norm(flow.B, 2)
    g = np.linalg.cond(expm(time / scale * flow.A))
    return 0.5 * np.log((g + 1.0) / (g - 1.0))


CASES = [
    (2, "V symmetric, B=I", 1.0, (15, 23, 31, 39, 47, 63)),
    (2, "V not symmetric, B=rotation", 1.0, (15, 23, 31, 39, 47, 63)),
    (2, "V not symmetric, B=1.3*reflection", 1.0, (31, 47, 63, 79, 95, 127)),
    (3, "V symmetric, B=I", 0.6, (15, 23, 31, 39, 47, 55)),
    (3, "V not symmetric, B=rotation", 0.6, (15, 23, 31, 39, 47, 55)),
    (3, "V not symmetric, B=1.3*reflection", 0.6, (15, 23, 31, 39, 47, 55)),
]


@pytest.mark.parametrize(("dim", "kind", "time", "sizes"), CASES)
def test_convergence_in_lmax(dim, kind, time, sizes):
    """Without damping the error falls like e^{−rate·lmax}, at the rate the exact density's analyticity predicts."""
    errors = np.array([error(dim, kind, lmax, time, 0.0)[0] for lmax in sizes])
    name = f"hardmax S{dim - 1} {kind} t={time:g}"
    print(f"TABLE {name}: " + ", ".join(f"lmax {lmax}: {e:.1e}" for lmax, e in zip(sizes, errors, strict=True)))
    clear = errors > 1e-9  # above the error of the time steps
    rate = -np.polyfit(np.array(sizes)[clear], np.log(errors[clear]), 1)[0]
    number(f"{name}, decay per degree", rate, predicted_decay(dim, kind, time), rtol=0.15)
    bounded(f"{name}, lmax {sizes[-1]}: L1 error", errors[-1], 1e-10)


@pytest.mark.parametrize(("dim", "kind", "time", "sizes"), CASES)
def test_convergence_with_the_default_damping(dim, kind, time, sizes):
    """Damping wakes with the tail: the error stays near it, and both fall as fast as before."""
    small, large = (39, 79) if sizes[-1] < 100 else (79, 159)
    name = f"hardmax S{dim - 1} {kind} t={time:g}, default damping"
    unresolved, tail = error(dim, kind, small, time, DAMPING_RATE)
    bounded(f"{name}, lmax {small}: L1 error, unresolved", unresolved, min(20.0 * tail, 1e-5))
    resolved, _ = error(dim, kind, large, time, DAMPING_RATE)
    bounded(f"{name}, lmax {large}: L1 error", resolved, 1e-10)
