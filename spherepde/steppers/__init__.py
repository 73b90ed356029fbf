"""Implicit–explicit Runge–Kutta: coefficient tables, one step in buffers, and marching with step-size control."""

from .controllers import FixedStep, StepController
from .imex import ImplicitExplicitODE, Step, imex_step
from .marching import Accepted, initial_step_size, march
from .tableaux import ARK436, ARS443, TABLEAUX, Tableau, tableau_named

__all__ = [
    "ARK436",
    "ARS443",
    "TABLEAUX",
    "Accepted",
    "FixedStep",
    "ImplicitExplicitODE",
    "Step",
    "StepController",
    "Tableau",
    "imex_step",
    "initial_step_size",
    "march",
    "tableau_named",
]
