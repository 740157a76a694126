"""Options of the feasible minimizer and their checks."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

from optdriver.errors import InputError, InputTypeError, unknown_option
from optdriver.leastsquares.losses import LINEAR
from optdriver.leastsquares.options import XTOL, LeastSquaresOptions

FEW = 20
LARGE = 150  # variables from which on matrices are sparse


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a user can set.

    Attributes
    ----------
    gtol : float
        Success when the residual of `criticality` is at most this, in the unit of f, see
        `convergence`.
    ftol : float
        Success, too, when a trial has changed f by at most ``ftol max(|f|, unit)`` and the model,
        whose minimum lies within the trust region, promises no more than that for the next.  With
        0 the first-order conditions alone decide.
    maxfun : float
        Evaluations told at most, failures included; may be ``math.inf``.
    maxiter : float
        Accepted steps at most; may be ``math.inf``.
    maxcor : int
        Pairs kept; 0, the default, for as many as there are variables, at least 20, and for 20
        where there are 150 variables or more (see `pairs_kept`).
    initial_radius : float
        First trust region, in the scaled variables.
    smallest_radius : float
        A trust region below this ends the run as stalled.
    """

    gtol: float = 1e-6
    ftol: float = 2.220446049250313e-09
    maxfun: float = 15000
    maxiter: float = 15000
    maxcor: int = 0
    initial_radius: float = 1.0
    smallest_radius: float = 1e-9


NAMES = [field.name for field in fields(Options)]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What residuals cost, and when a fit has converged: see `LeastSquaresOptions`."""

    loss: str = LINEAR
    f_scale: float = 1.0
    xtol: float = XTOL

    def __post_init__(self) -> None:
        LeastSquaresOptions(loss=self.loss, f_scale=self.f_scale, xtol=self.xtol)


def checked(given: dict[str, Any]) -> Options:
    """Return the options, or say which one is wrong and what it should be.

    Raises
    ------
    UnknownOptionError, InputTypeError, InputError
    """
    for name, value in given.items():
        if name not in NAMES:
            raise unknown_option("option", name, NAMES)
        plain = type(value) is float or type(value) is int  # most are, and that is quickly seen
        if not plain and (isinstance(value, bool) or not isinstance(value, Real)):
            raise InputTypeError(f"{name} must be a number, not {value!r}")
        if math.isnan(value) or value < 0:
            raise InputError(f"{name} must not be negative or NaN, got {value!r}")
    options = Options(**given)
    _check_positive(options, "maxcor" in given)
    return options


def pairs_kept(n: int) -> int:
    """Return how many pairs are kept of n variables, if nothing else is said.

    Along a robot's path of 20 points in the plane 20 pairs take more than ten times the evaluations
    that 40 take.  From `LARGE` variables on more would cost more
    than they gain: every one of them is a column of the sparse system's border.
    """
    return max(FEW, n) if n < LARGE else FEW


def _check_positive(options: Options, given_pairs: bool) -> None:
    if options.maxcor != int(options.maxcor) or (given_pairs and options.maxcor < 1):
        raise InputError(f"maxcor must be a whole number, 1 or more, got {options.maxcor!r}")
    if not 0.0 < options.smallest_radius < options.initial_radius < math.inf:
        raise InputError(
            "0 < smallest_radius < initial_radius < inf is expected, got "
            f"{options.smallest_radius!r} and {options.initial_radius!r}"
        )
