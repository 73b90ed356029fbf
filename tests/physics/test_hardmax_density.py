"""C1: zero-temperature densities against their closed form, converging exponentially in lmax while resolved."""

import numpy as np
import pytest
from physics_helpers import bounded, evolve, number, space_of

from spherepde import exact
from spherepde.attention import Hardmax
from spherepde.densities import fisher_bingham
from spherepde.equation import ContinuityEquation
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
    return fisher_bingham([0.3, 0.8, -0.2][:dim], (np.array([[0.0, 0.2, 0.25], [0.2, 0.1, 0.0], [0.25, 0.0, 0.0]]))[:dim, :dim])


def error(dim, kind, lmax, time, damping):
    """∫|ρ − ρ_exact| at the given time, and the smallest exact density."""
    space = space_of(dim, lmax)
    equation = ContinuityEquation(space, Hardmax(head(dim, kind)), damping=damping)
    rho0 = initial(dim)
    u = evolve(equation, space.project(rho0, resolved=None), time, int(160 * time))
    truth = exact.hardmax_density(head(dim, kind), rho0, time, space.points.reshape(-1, dim)).reshape(space.shape)
    return space.integrate(np.abs(space.to_nodal(u) - truth))


KINDS = pytest.mark.parametrize(
    "kind", ["V symmetric, B=I", "V not symmetric, B=rotation", "V not symmetric, B=1.3*reflection"]
)


@KINDS
@pytest.mark.parametrize("dim", [2, 3])
def test_convergence_in_lmax(dim, kind):
    pass
