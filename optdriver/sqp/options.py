"""The options of an SQP run, checked once."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from optdriver.errors import InputError, InputTypeError


@dataclass(frozen=True, kw_only=True, slots=True)
class SQPOptions:
    """The options of `SQP`.

    Attributes
    ----------
    gtol : float
        Converged when what is left of the first-order conditions is at most this: by what part of
        itself f could still change, where the variables are moved by their sizes.
    feasibility : float
        A row counts as satisfied when it is violated by no more than this part of what it changes
        by where the variables are moved by their sizes.
    maxfun, maxiter : int or math.inf
        Hard limits of evaluations and iterations.
    """

    gtol: float = 1e-6
    feasibility: float = 1e-8
    maxfun: float = math.inf
    maxiter: float = math.inf

    def __post_init__(self) -> None:
        for name in ("gtol", "feasibility"):
            _check_real(name, getattr(self, name))
        for name in ("maxfun", "maxiter"):
            _check_limit(name, getattr(self, name))

    def to_dict(self) -> dict[str, Any]:
        """Return the options as plain values; an infinite limit is None."""
        return {name: None if each == math.inf else each for name, each in asdict(self).items()}


def _check_real(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise InputTypeError(f"{name} must be a number, not {value!r}")
    if not (math.isfinite(value) and value > 0.0):
        raise InputError(f"{name} must be finite and above 0, but is {value}")


def _check_limit(name: str, value: Any) -> None:
    if value == math.inf:
        return
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InputTypeError(f"{name} must be an integer or math.inf, not {value!r}")
    if value < 1:
        raise InputError(f"{name} must be at least 1, but is {value}")
