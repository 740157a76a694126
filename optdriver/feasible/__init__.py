"""The local minimizer under nonlinear constraints: it never asks an infeasible point."""

from optdriver.feasible.minimizer import FeasibleMinimizer
from optdriver.feasible.options import Options
from optdriver.feasible.state import Phase, State, Stop

__all__ = ["FeasibleMinimizer", "Options", "Phase", "State", "Stop"]
