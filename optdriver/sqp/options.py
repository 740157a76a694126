"""The options of an SQP run, checked once."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from optdriver.reading import check_limit, check_real


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
            check_real(name, getattr(self, name), above_zero=True)
        for name in ("maxfun", "maxiter"):
            check_limit(name, getattr(self, name))

    def to_dict(self) -> dict[str, Any]:
        """Return the options as plain values; an infinite limit is None."""
        return {name: None if each == math.inf else each for name, each in asdict(self).items()}
