"""Callback-style optimizers, suspended: SciPy's methods driven by ask and tell."""

from optdriver.coroutine.minimizer import CallbackMinimizer
from optdriver.coroutine.scipy_methods import METHODS, Method, method_names, named
from optdriver.coroutine.state import ReplayWarning, State, Stop

__all__ = [
    "METHODS",
    "CallbackMinimizer",
    "Method",
    "ReplayWarning",
    "State",
    "Stop",
    "method_names",
    "named",
]
