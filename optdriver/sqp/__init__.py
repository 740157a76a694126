"""Constraints whose values are told with the objective, driven by ask and tell."""

from optdriver.sqp.minimizer import SQP
from optdriver.sqp.options import SQPOptions
from optdriver.sqp.state import Stop

__all__ = ["SQP", "SQPOptions", "Stop"]
