"""Floating-point errors: the state in which optdriver computes, and which exceptions are numeric.

What an overflow does must not depend on the caller's ``np.seterr``: a study that was recorded
under one setting goes on under another.  So every entry point that computes is `quiet`: an
overflow gives an infinity, and code that cannot go on with one tests for it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")

_QUIET = dict.fromkeys(("divide", "over", "under", "invalid"), "ignore")


def _found() -> tuple[ContextVar[Any], Any] | None:
    """Return where NumPy keeps its error state and a quiet one, None where that is not known.

    A call inside a quiet call finds the very state that the outer one has set, and is through; to
    ask `numpy.geterr` takes as long as forty such looks.
    """
    try:
        from numpy._core import _ufunc_config  # NumPy 2

        own: Any = _ufunc_config
        variable = own._extobj_contextvar  # noqa: SLF001  # there is no public name for it
        with np.errstate(all="ignore"):
            quiet_state = variable.get()
            known = isinstance(variable, ContextVar) and np.geterr() == _QUIET
    except (ImportError, AttributeError):
        return None
    return (variable, quiet_state) if known else None


_STATE = _found()

_WORDS = ("infs or nans", "nan", "infinity", "infinite", "finite", "math domain error")


OFF_BY = 4.0
"""A value may be off by so many times the spacing of numbers of its size."""

RESOLVED = 10.0
"""A reduction is lost in rounding if it is smaller than so many times that spacing."""

PASSING = (MemoryError, RecursionError, ImportError, OSError, Warning)
"""Exceptions that are those of the surroundings: they would not come again on another replay."""


def quiet(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function compute in optdriver's own error state; the caller's is put back.

    Whether it is set already, by a call further out, is read from NumPy's state: a flag could be
    left behind by an interrupt.
    """
    if _STATE is None:
        return _asking(function)
    variable, state = _STATE
    now, enter, leave = variable.get, variable.set, variable.reset

    @wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        if now() is state:
            return function(*args, **kwargs)
        before = enter(state)
        try:
            return function(*args, **kwargs)
        finally:
            leave(before)

    return inside


def _asking(function: Callable[P, R]) -> Callable[P, R]:
    """Return what `quiet` does, by what NumPy says publicly."""

    @wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        if np.geterr() == _QUIET:
            return function(*args, **kwargs)
        with np.errstate(all="ignore"):
            return function(*args, **kwargs)

    return inside


def row_bytes(matrix: NDArray[np.float64]) -> list[bytes]:
    """Return the bytes of each row of an array of numbers."""
    width = matrix.shape[1] * matrix.itemsize
    if not width:
        return [b""] * len(matrix)
    found: list[bytes] = np.ascontiguousarray(matrix).view(f"V{width}").ravel().tolist()
    return found


def is_numeric(error: Exception) -> bool:
    """Tell whether numbers are to blame for an exception, rather than a fault in the program.

    Arithmetic errors, singular matrices (SuperLU says it by a bare RuntimeError), numbers that are
    not finite where a routine needs finite ones, and input that turned out to be unusable.
    """
    if isinstance(error, (ArithmeticError, np.linalg.LinAlgError, InputError)):
        return True
    text = str(error).lower()
    if type(error) is RuntimeError:
        return "singular" in text
    return type(error) is ValueError and any(word in text for word in _WORDS)
