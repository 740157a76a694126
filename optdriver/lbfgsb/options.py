"""Options of the minimizer, bounds and starts: read and checked once, at the edge."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError, InputTypeError, unknown_option
from optdriver.lbfgsb.state import finite_sides
from optdriver.reading import check_flag, is_masked, real_array, short

Vector = NDArray[np.float64]


def check_real(name: str, value: Any) -> None:
    """Raise unless `value` is a real number, not NaN and not negative."""
    if type(value) is float and value >= 0.0:  # most are
        return
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        raise InputTypeError(f"{name} is {value!r}; expected a number")
    if isinstance(value, (complex, np.complexfloating)) or not value >= 0:
        raise InputError(f"{name} is {value!r}; expected a number that is 0 or more")


def check_integer(name: str, value: Any, least: int, *, infinite: bool = False) -> None:
    """Raise unless `value` is a whole number of at least `least` (or infinity, if it may be)."""
    if type(value) is int and value >= least:  # most are
        return
    check_real(name, value)
    if infinite and value == math.inf:
        return
    if value != value // 1 or value < least or value == math.inf:
        also = " or infinity" if infinite else ""
        raise InputError(f"{name} is {value!r}; expected a whole number >= {least}{also}")


NO_LIMIT = 2**62
"""The integer that stands for an infinite number of evaluations or iterations."""

MOST_PAIRS = 1000
"""So many pairs take 40 MB for themselves; more than 50 are of no use."""


class OptionArguments(TypedDict, total=False):
    """The fields of `Options` as keyword arguments."""

    maxcor: int
    ftol: float
    gtol: float
    maxfun: float
    maxiter: float
    maxls: int
    initial_step: float | None
    noise: float
    cautious: bool


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Options of L-BFGS-B, with SciPy's names and defaults.

    Attributes
    ----------
    maxcor : int
        Correction pairs kept (the paper's m), at least 1.
    ftol : float
        Stop when ``(f_k - f_{k+1}) / max(|f_k|, |f_{k+1}|, 1) <= ftol``.
    gtol : float
        Stop when the largest component of the projected gradient is at most this.
    maxfun : float
        Most evaluations, failed ones included; never exceeded.
    maxiter : float
        Most iterations.
    maxls : int
        Most evaluations in one line search; failed ones are counted apart, so many in a row.
    initial_step : float or None
        Length of the first step, ``|x_1 - x_0|``, and of the first after the memory was dropped,
        as far as the bounds allow.  Without it, 1 at most, or the minimiser of
        the first model where every variable has two bounds.
    noise : float
        Error to be expected in a value of f, beside rounding.
    cautious : bool
        Measure an objective whose first value and gradient are below 1 by their size, in place of 1
        (`gtol` and the 1 in the test of the reduction are parts of that), and believe a test that
        is passed only if the model promises no more than `ftol` and the next iterate agrees, or,
        after the memory was dropped, the next iterate passes as well; and only if f is not lower
        beside it, where symmetry may have led there.  Without it the tests are SciPy's.  No effect
        with ``ftol=0``, but for the unit and the latter.
    """

    maxcor: int = 10
    ftol: float = 2.220446049250313e-09
    gtol: float = 1e-5
    maxfun: float = 15000
    maxiter: float = 15000
    maxls: int = 20
    initial_step: float | None = None
    noise: float = 0.0
    cautious: bool = False

    def __post_init__(self) -> None:
        check_integer("maxcor", self.maxcor, 1)
        if self.maxcor > MOST_PAIRS:
            raise InputError(f"maxcor is {self.maxcor}; expected at most {MOST_PAIRS}")
        check_integer("maxls", self.maxls, 1)
        check_integer("maxfun", self.maxfun, 1, infinite=True)
        check_integer("maxiter", self.maxiter, 0, infinite=True)
        for name in ("ftol", "gtol", "noise"):
            check_real(name, getattr(self, name))
        check_flag("cautious", self.cautious)
        if self.initial_step is not None:
            check_real("initial_step", self.initial_step)
            if self.initial_step == 0 or math.isinf(self.initial_step):
                raise InputError(
                    f"initial_step is {self.initial_step!r}; expected a positive length, or None"
                )

    @classmethod
    def read(cls, options: OptionArguments) -> Options:
        """Make options from a dict; an unknown name is an error that names the nearest one."""
        for name in options:
            if name not in _NAMES:
                raise unknown_option("option", name, _NAMES)
        return cls(**options) if options else DEFAULTS


DEFAULTS = Options()
_NAMES = frozenset(field.name for field in dataclasses.fields(Options))


def limit(value: float) -> int:
    """Return a checked limit as an integer that the kernel can hold."""
    return NO_LIMIT if value >= NO_LIMIT else int(value)


def read_point(x0: Any) -> Vector:
    """Return the start as a fresh vector.

    Raises
    ------
    InputError
        If it is not one-dimensional, or not finite.
    """
    x = real_array("x0", x0)
    if x.ndim != 1:
        raise InputError(f"x0 has shape {x.shape}; expected a one-dimensional vector")
    if np.count_nonzero(np.isfinite(x)) != x.size:
        bad = int(np.flatnonzero(~np.isfinite(x))[0])
        raise InputError(f"x0[{bad}] is {x[bad]}; expected a finite number")
    return np.array(x)


def read_bounds(bounds: Any, n: int) -> tuple[Vector, Vector]:
    """Return lower and upper bounds, -inf and +inf where there is none.

    Parameters
    ----------
    bounds : None, sequence of n pairs, (n, 2) array, or scipy.optimize.Bounds
        None in a pair means no bound.
    n : int
        Number of variables.

    Raises
    ------
    InputError
        If the shape is wrong, a bound is NaN, or a lower bound exceeds its upper one.
    """
    if bounds is None:
        return np.full(n, -np.inf), np.full(n, np.inf)
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        lower = _broadcast("bounds.lb", bounds.lb, n)
        upper = _broadcast("bounds.ub", bounds.ub, n)
    else:
        lower, upper = _read_pairs(bounds, n)
    _check_bounds(lower, upper)
    return lower, upper


def _broadcast(name: str, side: Any, n: int) -> Vector:
    array = real_array(name, side)
    if array.shape not in ((), (1,), (n,)):
        raise InputError(f"{name} has shape {array.shape}; expected ({n},) or a single number")
    return np.array(np.broadcast_to(array, (n,)))


def _read_pairs(bounds: Any, n: int) -> tuple[Vector, Vector]:
    if type(bounds) is np.ndarray and bounds.dtype == np.float64 and bounds.shape == (n, 2):
        lower, upper = bounds.T.copy()
        return lower, upper
    given: Sequence[Any] = list(bounds) if isinstance(bounds, Iterator) else bounds
    if is_masked(given):
        raise InputTypeError("bounds has masked entries; expected None or infinity for no bound")
    if not hasattr(given, "__len__"):
        raise InputTypeError(f"bounds is {bounds!r}; expected pairs (lower, upper), or None")
    if len(given) != n:
        raise InputError(
            f"bounds has {len(given)} entries; expected one pair for each of the {n} variables"
        )
    if n == 0:
        return np.zeros(0), np.zeros(0)
    try:
        table = np.asarray(given)
        if table.dtype.kind == "O":  # None stands for a missing bound
            table = np.array([_without_none(pair) for pair in given])
        table = np.array(real_array("bounds", table))
    except (TypeError, ValueError) as error:
        raise InputTypeError(
            f"bounds is {short(given)}; expected pairs (lower, upper) of numbers or None"
        ) from error
    if table.shape != (n, 2):
        raise InputError(f"bounds has shape {table.shape}; expected ({n}, 2): pairs (lower, upper)")
    lower, upper = table.T.copy()
    return lower, upper


def _without_none(pair: Any) -> tuple[Any, Any]:
    low, high = pair
    return -np.inf if low is None else low, np.inf if high is None else high


def _check_bounds(lower: Vector, upper: Vector) -> None:
    if finite_sides(lower, upper) < 0:
        right = (lower <= upper) & (lower < np.inf) & (upper > -np.inf)
        i = int(np.flatnonzero(~right)[0])
        raise InputError(
            f"bounds of variable {i} are ({lower[i]}, {upper[i]}); expected lower <= upper, "
            "neither of them NaN, with some finite number between"
        )
