"""How much is done for one point: functions as constraints are called so often and no more.

A text costs next to nothing.  A function may take a second, has no second derivatives but by
differences of differences, and may be computed so coarsely that no step of Newton's method arrives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from optdriver.constraints.callables import Bends
from optdriver.feasible.models import QuadraticModel, build
from optdriver.feasible.types import Vector

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
    most, left : float
        The calls that one point may cost, and those that are left.
    bends : Bends
        Second derivatives of coarse functions near the present point.
    seen : dict
        Of each kind, what was computed last for the present point, and where.
    models : tuple
        The models that were built last, behind what they were built of.
    judged : tuple or None
        The criticality that was measured last, behind what it was measured for.
    """

    costs: tuple[int, int, int] = (0, 0, 0)
    most: float = field(default=0.0, init=False)
    left: float = field(default=0.0, init=False)
    bends: Bends = field(default_factory=Bends, init=False)
    seen: dict[str, tuple[bytes, Any]] = field(default_factory=dict, init=False)
    models: tuple[Any, ...] = field(default=(), init=False)
    judged: tuple[Any, ...] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.most = LEAST + ROUNDS * float(sum(self.costs))
        self.renew()

    @classmethod
    def of(cls, constraints: Any) -> Work:
        """Return the work that `constraints` may cost."""
        return cls(costs=getattr(constraints, "costs", (0, 0, 0)))

    def renew(self) -> None:
        """Begin with another point: what is known is forgotten, as if one had been restored."""
        self.seen.clear()
        if self.bends.made:
            self.bends = Bends()
        self.left = self.most

    def remembered(self, kind: str, x: Vector, make: Callable[[Vector], Any]) -> Any:
        """Return ``make(x)``, or what it was if it was made last for the same x."""
        key = x.tobytes()
        known = self.seen.get(kind)
        if known is None or known[0] != key:
            known = self.seen[kind] = key, make(x)
        return known[1]

    def built(
        self, steps: Vector, changes: Vector, theta: float, size: float
    ) -> tuple[QuadraticModel, QuadraticModel]:
        """Return both models of these pairs, for f / size; arrays of pairs are never changed."""
        known = self.models
        same = known and known[0] is steps and known[1] is changes and known[2:4] == (theta, size)
        if not same:
            made = build(steps, changes / size, theta / size)
            known = self.models = steps, changes, theta, size, made
        pair: tuple[QuadraticModel, QuadraticModel] = known[4]
        return pair

    def spend(self, what: int) -> None:
        """Take note of values (0), a Jacobian (1) or a Hessian (2).

        Raises
        ------
        TooMuchWork
        """
        self.left -= self.costs[what]
        if self.left < 0.0:
            raise TooMuchWork
