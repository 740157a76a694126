"""What SciPy leaves to a method that is not its own, for all of ours.

`scipy.optimize.minimize` hands such a method the raw bounds, constraints and callback, and the
options as keywords.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from multiprocessing import Pool
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import OptimizeResult, OptimizeWarning

from optdriver.errors import InputError, InputTypeError, nearest, say
from optdriver.objectives.differences import SCHEMES, Floats
from optdriver.objectives.evaluations import Mapping

HALTED = "`callback` raised `StopIteration`."
"""SciPy's message when the callback ends the run."""

Told = Callable[[Floats, float], Any]
"""A callback of either convention: takes the iterate and its value."""


class Ending(Enum):
    """Who ended a run."""

    MINIMIZER = "a test or limit of the minimizer itself"
    CALLS = "the limit of calls"
    CALLBACK = "the callback"


def warn_unknown(unknown: Sequence[str], known: Sequence[str]) -> None:
    """Warn of options that have no meaning, as SciPy does, and name the nearest that have."""
    if unknown:
        text = ", ".join(name + nearest(name, known) for name in unknown)
        say(f"Unknown solver options: {text}", OptimizeWarning)


def warn_hessian(method: str, hess: Any, hessp: Any) -> None:
    """Warn of second derivatives that are given and not used."""
    if hess is not None or hessp is not None:
        text = f"Method {method} does not use Hessian information (hess, hessp)."
        say(text, RuntimeWarning)


def start(x0: ArrayLike) -> ArrayLike:
    """Let a number pass as a start in one dimension; the minimizer checks the rest."""
    return np.atleast_1d(np.asarray(x0))


def first(*values: float | None) -> float:
    """Return the first value that is given."""
    return next(value for value in values if value is not None)


def whole(name: str, value: float) -> float:
    """Round a limit up to a whole number; infinity is one."""
    try:
        return math.ceil(value) if math.isfinite(value) else value
    except TypeError:
        raise InputTypeError(f"{name} must be a number, got {value!r}") from None


def calls(name: str, value: float, least: int) -> float:
    """Check a limit of calls that must suffice for one evaluation."""
    if not whole(name, value) >= least:
        raise InputError(
            f"{name} must be at least {least}, the calls that one evaluation of the objective "
            f"with its gradient takes here, got {value!r}"
        )
    return value


def wanted_scheme(jac: Any, scheme: str | None) -> str | None:
    """Return the difference scheme that is named as `jac` or in an option, if one is."""
    if isinstance(jac, str):
        return jac
    if jac:
        raise InputTypeError(
            f"jac must be callable, True, False, None or one of {SCHEMES}, got {jac!r}"
        )
    return scheme


@contextmanager
def parallel_map(workers: int | Mapping | None) -> Iterator[Mapping]:
    """Yield a function like `map`; a number stands for a pool of processes, closed at the end."""
    if workers is None or workers == 1:
        yield map
    elif callable(workers):
        yield workers
    elif isinstance(workers, int) and (workers == -1 or workers > 0):
        with Pool(None if workers == -1 else workers) as pool:
            yield pool.map
    else:
        raise InputError(
            f"workers must be a map-like callable, a positive integer or -1, got {workers!r}"
        )


def as_told(callback: Callable[..., Any] | None) -> Told | None:
    """Bring both conventions of callbacks to one: a function of the iterate and its value."""
    if callback is None:
        return None
    if _wants_result(callback):
        return lambda x, f: callback(intermediate_result=_intermediate(x, f))
    return lambda x, _: callback(x)


def _wants_result(callback: Callable[..., Any]) -> bool:
    """Whether the only argument has the name that SciPy gives to its newer convention."""
    try:
        return set(inspect.signature(callback).parameters) == {"intermediate_result"}
    except ValueError:  # written in C, and does not say what it takes
        return False


def _intermediate(x: Floats, f: float) -> OptimizeResult:
    result = OptimizeResult()
    result.update(x=x, fun=f)
    return result


def goes_on(told: Told | None, x: Floats, f: float) -> bool:
    """Tell the callback, if there is one, of an iterate; False if it wants no more."""
    try:
        if told is not None:
            told(x, f)
    except StopIteration:
        return False
    return True
