r"""spherepde: the reference solver for mean-field transformers.

Solves :math:`\partial_t\rho+\nabla\cdot(\rho\,v[\rho])=\kappa\Delta\rho` on the circle and the sphere, with v the
velocity that attention gives to a density of tokens::

    head = Head(V=np.diag([1, 0.4, -0.3]), beta=100.0)
    space = Sphere(lmax=255)
    model = ContinuityEquation(space, Softmax(head))
    rho0 = fisher_bingham(linear=[0, 0.8, 0], quadratic=[[0, 0, 0.25], [0, 0, 0], [0.25, 0, 0]])
    sim = Simulation(model, rho0, out="run.h5", save_every=0.1)
    result = sim.run(until=9.2)
"""

from .archive import reference, references
from .attention import Hardmax, Softmax, Unnormalised
from .characteristics import Characteristics
from .comparing import assert_matches_reference, compare_tokens
from .config import load_config
from .densities import (
    Density,
    fisher_bingham,
    from_callable,
    harmonics,
    mixture,
    poisson_kernel,
    polynomial,
    uniform,
    von_mises_fisher,
)
from .equation import ContinuityEquation
from .errors import InputError, NumericalError
from .experiment import build_simulation, resume_simulation
from .heads import DominantEigenspace, Head, concentration_rate
from .initial_density import density_from_run
from .limit import LimitMeasure, limit_measure
from .result import Result
from .schedules import Layers, load_layers
from .script import run_script
from .simulation import Simulation
from .spaces import Circle, Sphere
from .store import RunFile
from .token_sums import token_attention

__all__ = [
    "Characteristics",
    "Circle",
    "ContinuityEquation",
    "Density",
    "DominantEigenspace",
    "Hardmax",
    "Head",
    "InputError",
    "Layers",
    "LimitMeasure",
    "NumericalError",
    "Result",
    "RunFile",
    "Simulation",
    "Softmax",
    "Sphere",
    "Unnormalised",
    "assert_matches_reference",
    "build_simulation",
    "compare_tokens",
    "concentration_rate",
    "density_from_run",
    "fisher_bingham",
    "from_callable",
    "harmonics",
    "limit_measure",
    "load_config",
    "load_layers",
    "mixture",
    "poisson_kernel",
    "polynomial",
    "reference",
    "references",
    "resume_simulation",
    "run_script",
    "token_attention",
    "uniform",
    "von_mises_fisher",
]
