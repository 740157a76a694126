"""How much is done for one point: functions as constraints are called so often and no more.

A text costs next to nothing.  A function may take a second, has no second derivatives but by
differences of differences, and may be computed so coarsely that no step of Newton's method arrives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

LEAST = 20_000
ROUNDS = 200
"""Calls for one point: `LEAST`, and so many times what one value with all derivatives takes."""


class TooMuchWork(Exception):
    """The calls that one point may cost are used up."""


@dataclass(kw_only=True, eq=False)
class Work:
    """The calls that are left.

    Attributes
    ----------
    costs : tuple of int
        How often values, a Jacobian and a Hessian call functions; zeros without any.
    left : float
    """

    costs: tuple[int, int, int] = (0, 0, 0)
    left: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.renew()

    @classmethod
    def of(cls, constraints: Any) -> Work:
        """Return the work that `constraints` may cost."""
        return cls(costs=getattr(constraints, "costs", (0, 0, 0)))

    def renew(self) -> None:
        """Begin with another point."""
        self.left = LEAST + ROUNDS * float(sum(self.costs))

    def spend(self, what: int) -> None:
        """Take note of values (0), a Jacobian (1) or a Hessian (2).

        Raises
        ------
        TooMuchWork
        """
        self.left -= self.costs[what]
        if self.left < 0.0:
            raise TooMuchWork
