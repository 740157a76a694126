"""The options of an SQP run, checked once."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from optdriver.errors import InputError
from optdriver.reading import check_count, check_real

RULE = 4
"""How steps are planned, and ends are believed: 1 as by 0.7.0; 2 as by 0.8.0."""

MOST_ROWS = 100_000
"""So many rows are told with a value at most: each has a gradient, and a model of its own."""


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
    rule : {4, 3, 2, 1}
        The default, or what an earlier version of optdriver recorded: see docs/reference/rules.md.
    maxfun, maxiter : int or math.inf
        Hard limits of evaluations and iterations.
    """

    gtol: float = 1e-6
    feasibility: float = 1e-8
    rule: int = RULE
    maxfun: float = math.inf
    maxiter: float = math.inf

    def __post_init__(self) -> None:
        for name in ("gtol", "feasibility"):
            check_real(name, getattr(self, name), above_zero=True)
        check_count("rule", self.rule, least=1)
        if self.rule > RULE:
            raise InputError(f"rule is a whole number from 1 to {RULE}, not {self.rule}")
        for name in ("maxfun", "maxiter"):
            check_count(name, getattr(self, name), least=1, infinite=True)

    def to_dict(self) -> dict[str, Any]:
        """Return the options as plain values; an infinite limit is None."""
        return {name: None if each == math.inf else each for name, each in asdict(self).items()}


def check_rows(name: str, value: Any) -> None:
    """Refuse what is no number of rows that are told with a value."""
    check_count(name, value, least=0)
    if value > MOST_ROWS:
        raise InputError(f"{name} is {value}, and at most {MOST_ROWS} rows are told with a value")
