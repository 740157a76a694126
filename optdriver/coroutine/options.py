"""Options of a suspended method: checked once, and turned into plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver.coroutine.scipy_methods import Method, named
from optdriver.errors import InputError, InputTypeError, unknown_option
from optdriver.lbfgsb.options import check_integer

SHAPED = ("initial_simplex", "direc", "hess_inv0", "scale", "offset")
"""Options with an entry for every variable."""

LIMITS = ("maxiter", "maxfun", "maxfev")

TOLERANCES = {
    "Nelder-Mead": ("xatol", "fatol"),
    "Powell": ("xtol", "ftol"),
    "TNC": ("xtol", "ftol", "gtol"),
    "SLSQP": ("ftol",),
    "Newton-CG": ("xtol",),
    "COBYLA": ("tol",),
    "COBYQA": ("final_tr_radius",),
    "trust-constr": ("xtol", "gtol", "barrier_tol"),
}
"""What `tol` stands for, as in `scipy.optimize.minimize`; ``gtol`` where nothing is said."""

SMALLEST_RADIUS: Final = 1e-5
"""Ten times the radius at which COBYQA ends by default."""


def checked_options(
    method: Method, given: Mapping[str, Any], free: NDArray[np.bool_]
) -> dict[str, Any]:
    """Return SciPy's options as plain values: numbers, strings and lists.

    Raises
    ------
    InputError
        An option that the method does not have (the message names the nearest), or a value that is
        no data.
    """
    options, tests = dict(given), tolerance_names(method)
    tol = options.pop("tol", None) if tests and "tol" not in method.options else None
    for name, value in options.items():
        if name not in method.options:
            known = (*method.options, "tol") if tests else method.options
            raise unknown_option(f"option of {method.name}", name, known)
        if name in SHAPED and not (np.all(free) or np.ndim(value) == 0):
            raise InputError(
                f"option {name!r} has an entry for every variable, and some are fixed by their "
                "bounds: leave those variables out"
            )
        if name in LIMITS:
            check_integer(name, value, 1, infinite=True)
    if tol is not None:
        options = dict.fromkeys(tests, tol) | options
    return {name: _plain(name, value) for name, value in options.items()}


def tolerance_names(method: Method) -> tuple[str, ...]:
    """Return the options for which `tol` stands."""
    names = TOLERANCES.get(method.name, ("gtol",))
    return tuple(name for name in names if name in method.options)


def checked_hessian(method: Method, hessian: str | None) -> str:
    """Return the form in which second derivatives are told, '' for none."""
    if hessian is None:
        return ""
    if hessian in method.hessian:
        return hessian
    if not method.hessian:
        raise InputError(f"method {method.name!r} uses no Hessian; leave out hessian={hessian!r}")
    known = " or ".join(map(repr, (*method.hessian, None)))
    raise InputError(f"hessian of {method.name!r} is {known}, not {hessian!r}")


def checked_limit(maxfun: float | None) -> float | None:
    """Return the limit of evaluations."""
    if maxfun is None:
        return None
    check_integer("maxfun", maxfun, 1, infinite=True)
    return math.inf if maxfun == math.inf else int(maxfun)


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(name, item) for item in value]
    raise InputTypeError(f"option {name!r} is a number, a string or a list of them, not {value!r}")


def kept_start(method: str, x0: Any, bounds: Any) -> dict[str, Any]:
    """Return options with which a method evaluates its start first, and no point beside it.

    COBYQA moves a start that is nearer to a bound than its first trust region reaches onto the
    bound, or away from it: so the radius is that distance at most.
    """
    if named(method).name != "COBYQA":
        return {}
    x, (lower, upper) = np.asarray(x0), np.asarray(bounds).T
    free = lower < upper
    gaps = np.concatenate([x - lower, upper - x, (upper - lower) / 2])[np.tile(free, 3)]
    radius = float(np.min(gaps[gaps > 0.0], initial=1.0))
    return {"initial_tr_radius": max(radius, SMALLEST_RADIUS)}
