"""What a user gets who moves a point onto a `ConstraintSet`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from optdriver.constraints.restoration import TOLERANCE, Arrival, Rows, clip
from optdriver.geometry.products import norm
from optdriver.numerics import is_numeric

Array = NDArray[np.float64]
Move = Callable[[Rows, Array, int], Arrival]


class Set(Protocol):
    """What is needed of a set of constraints."""

    lower: Array
    upper: Array
    scales: Array
    n_inequalities: int

    def weighted(self, x: Array, weights: Array | None) -> Array:
        """Return the rows' values, each times its weight."""

    def weighted_slopes(self, x: Array, weights: Array | None) -> Any:
        """Return the Jacobian, dense or CSR, each row times its weight."""

    def hessian(self, x: Array, multipliers: Array) -> Array:
        """Return the weighted sum of the Hessians."""

    def is_feasible(self, x: Array, slack: float = 0.0) -> bool:
        """Tell whether x satisfies all rows."""

    def worst(self, x: Array) -> tuple[str, float]:
        """Return the row that is violated most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """Where a restoration ended.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The point, inside the box.
    feasible : bool
        Whether it satisfies the constraints; see `strict`.
    strict : bool
        Whether all inequalities hold exactly in floating point.  Where the set has no interior
        ``feasible`` can be True with violations up to 1e-9, scaled.
    violation : float
        The largest scaled violation that is left.
    resisting : str
        The name of the constraint with that violation, or ``""``.
    steps : int
        Newton steps taken.
    distance : float
        How far x is from where the restoration began, in the weighted norm.
    """

    x: Array
    feasible: bool
    strict: bool
    violation: float
    resisting: str
    steps: int
    distance: float


@dataclass(frozen=True, kw_only=True)
class ScaledRows:
    """The rows of a set divided by their scales, inequalities and equalities apart."""

    constraints: Set
    scale: Array

    @property
    def lower(self) -> Array:
        """Lower side of the box."""
        return self.constraints.lower

    @property
    def upper(self) -> Array:
        """Upper side of the box."""
        return self.constraints.upper

    def values(self, x: Array) -> tuple[Array, Array]:
        """Return c(x) and e(x)."""
        rows, p = self.constraints.weighted(x, self._weights), self._first
        return rows[:p], rows[p:]

    def linearised(self, x: Array) -> tuple[Any, Any]:
        """Return the Jacobians of c and e."""
        rows, p = self.constraints.weighted_slopes(x, self._weights), self._first
        return rows[:p], rows[p:]

    def hessian(self, x: Array, inequality: Array, equality: Array) -> Array:
        """Return the Hessian of multipliers times rows."""
        multipliers = np.concatenate([inequality, equality]) / self.constraints.scales
        return self.constraints.hessian(x, multipliers)

    @cached_property
    def _weights(self) -> Array:
        """Return the reciprocals of the scales, which are powers of two."""
        return np.asarray(1.0 / self.constraints.scales)

    @property
    def _first(self) -> int:
        return self.constraints.n_inequalities


@dataclass(frozen=True, kw_only=True)
class InsetRows(ScaledRows):
    """The rows in a box whose faces are moved inwards by a part of its widths."""

    part: float

    @cached_property
    def lower(self) -> Array:
        """Lower side of the smaller box."""
        return self.constraints.lower + self._margin

    @cached_property
    def upper(self) -> Array:
        """Upper side of the smaller box."""
        return self.constraints.upper - self._margin

    @property
    def _margin(self) -> Array:
        width = self.constraints.upper - self.constraints.lower
        return np.where(np.isfinite(width), self.part * width, 0.0)


def moved(constraints: Set, start: Array, weights: Array, steps: int, move: Move) -> Projection:
    """Return where `move` leads from `start`; nowhere if its numbers do not allow a step."""
    rows = ScaledRows(constraints=constraints, scale=weights)
    try:
        made = move(rows, start, steps)
    except Exception as error:
        if not is_numeric(error):
            raise
        made = Arrival(x=clip(rows, start), feasible=False, strict=False, steps=0)
    strict = constraints.is_feasible(made.x)
    name, violation = constraints.worst(made.x)
    return Projection(
        x=made.x,
        feasible=strict or constraints.is_feasible(made.x, slack=TOLERANCE),
        strict=strict,
        violation=violation,
        resisting=name if violation > 0.0 else "",
        steps=made.steps,
        distance=norm((made.x - start) / weights),
    )
