"""optdriver: minimisation that is driven, not called.

Ask for the next point, tell the result, stop, store, and go on later as if nothing had happened.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from optdriver import outer
from optdriver.version import __version__ as __version__

if TYPE_CHECKING:  # what type checkers see of the names that are imported when they are first used
    from optdriver.batch import minimize_batch as minimize_batch
    from optdriver.config import show_config as show_config
    from optdriver.constraints import ConstraintSet as ConstraintSet
    from optdriver.coroutine import CallbackMinimizer as CallbackMinimizer
    from optdriver.errors import OptDriverError as OptDriverError
    from optdriver.feasible import FeasibleMinimizer as FeasibleMinimizer
    from optdriver.integrations.scipy_feasible_method import (
        scipy_feasible_method as scipy_feasible_method,
    )
    from optdriver.integrations.scipy_method import scipy_method as scipy_method
    from optdriver.lbfgsb import LBFGSB as LBFGSB
    from optdriver.leastsquares import LeastSquares as LeastSquares
    from optdriver.minimization import Minimizer as Minimizer
    from optdriver.minimization import minimize as minimize
    from optdriver.multistart import MultiStart as MultiStart
    from optdriver.objectives.study_objective import jax_objective as jax_objective
    from optdriver.objectives.subprocess import SubprocessObjective as SubprocessObjective
    from optdriver.remote import client as client
    from optdriver.space.pytree import Interval as Interval
    from optdriver.space.space import Space as Space
    from optdriver.sqp import SQP as SQP
    from optdriver.studies import create_study as create_study
    from optdriver.studies import import_study as import_study
    from optdriver.studies import load_study as load_study
    from optdriver.study import Observation as Observation
    from optdriver.study import Study as Study
    from optdriver.study import Suggestion as Suggestion

# Public names and where they live; a name is imported when it is first used.
_WHERE = {
    "CallbackMinimizer": "optdriver.coroutine",
    "ConstraintSet": "optdriver.constraints",
    "FeasibleMinimizer": "optdriver.feasible",
    "Interval": "optdriver.space.pytree",
    "LBFGSB": "optdriver.lbfgsb",
    "LeastSquares": "optdriver.leastsquares",
    "Minimizer": "optdriver.minimization",
    "OptDriverError": "optdriver.errors",
    "MultiStart": "optdriver.multistart",
    "Observation": "optdriver.study",
    "SQP": "optdriver.sqp",
    "Study": "optdriver.study",
    "SubprocessObjective": "optdriver.objectives.subprocess",
    "Suggestion": "optdriver.study",
    "Space": "optdriver.space.space",
    "client": "optdriver.remote",
    "create_study": "optdriver.studies",
    "import_study": "optdriver.studies",
    "jax_objective": "optdriver.objectives.study_objective",
    "load_study": "optdriver.studies",
    "minimize": "optdriver.minimization",
    "minimize_batch": "optdriver.batch",
    "scipy_feasible_method": "optdriver.integrations.scipy_feasible_method",
    "scipy_method": "optdriver.integrations.scipy_method",
    "show_config": "optdriver.config",
}

# What studies let outer rings do, and where it is.
outer.bind(
    {
        "add_gradients": "optdriver.execution.curvature",
        "export_study": "optdriver.storage",
        "run": "optdriver.execution",
        "verify": "optdriver.storage",
    }
)

__all__ = ["__version__", *sorted(_WHERE)]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'optdriver' has no attribute {name!r}")
    value = getattr(importlib.import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
