"""Which methods there are, and the minimizers that they make at a start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputTypeError, unknown_option
from optdriver.lbfgsb import Options
from optdriver.minimization.lanes import LocalMinimizer
from optdriver.minimization.problem import Problem, tolerances
from optdriver.multistart import local

Vector = NDArray[np.float64]
Create = Callable[[Vector], LocalMinimizer]

DEFAULT = "L-BFGS-B"

_ALIASES = {"lbfgsb": DEFAULT, "lbfgsboptimization": DEFAULT}


def known(method: Any) -> str:
    """Return the real name of a method, which may be written in another case.

    Raises
    ------
    InputError
        There is no such method; the message names the nearest one.
    """
    if method is None:
        return DEFAULT
    if not isinstance(method, str):
        raise InputTypeError(f"a method is chosen by its name, a string, not {method!r}")
    plain = "".join(c for c in method.lower() if c.isalnum())
    if plain in _ALIASES:
        return _ALIASES[plain]
    raise unknown_option("method", method, [DEFAULT])


def check_fits(method: str, problem: Problem) -> None:
    """Check that a method honours the bounds and the constraints of the problem."""


def factory(method: str, problem: Problem, tol: Any, options: Mapping[str, Any]) -> Create:
    """Return what makes a minimizer at a start.

    Raises
    ------
    InputError
        An option is unknown or has no meaning for the method.
    """
    names = local.COMMON_OPTIONS if problem.has_rows else tuple(Options.__dataclass_fields__)
    for name in options:
        if name not in names:
            raise unknown_option(f"option of {method}", name, names)
    usual = {"ftol": Options().ftol, "gtol": Options().gtol}
    if problem.has_rows:
        del usual["ftol"]
    wanted = {**options, **tolerances(problem.objective, tol, options, usual)}
    wanted = {**{name: getattr(Options(), name) for name in local.COMMON_OPTIONS}, **wanted}
    return lambda z: local.create(z, problem.bounds, problem.constraints, wanted)
