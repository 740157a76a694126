"""From an infeasible point to a feasible one without an evaluation of the objective.

minimise 1/2 |D^-1 d|^2  subject to  c + J d <= -margin,  e + E d = 0,  l <= x + d <= u,

repeated from x + d, each step shortened until the violation falls.  Only rows that were violated
get a margin: rows that hold may hold with equality, as they must where the set has no interior.
The margin grows when rounding keeps a row above zero, so that c(x) <= 0 holds exactly at the end,
wherever rounding can see such a point.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from optdriver.constraints.rows import EQUALITY
from optdriver.geometry import restoration, sparse
from optdriver.geometry.elementary import cosines
from optdriver.geometry.least_distance import SMALL, least_distance
from optdriver.geometry.least_norm import Linear
from optdriver.geometry.matrices import beside, dense, finite, is_sparse, row_norms, scaled
from optdriver.geometry.products import largest, largest_size
from optdriver.geometry.restoration import MARGIN

Array = NDArray[np.float64]
Values = tuple[Array, Array]
"""c and e at a point."""

TOLERANCE = 1e-9
"""Scaled violation that is accepted of an inequality where the set has no interior."""
STEPS = 15
ALONE = 8  # steps of one variable
BESIDE = (0.01, 0.05, 0.25)
ROUND_BELOW = 1e-6
DIGITS = (10, 8, 6, 4)


class Rows(Protocol):
    """A box, and rows scaled to about unit gradients: c(x) <= 0 and e(x) = 0."""

    @property
    def lower(self) -> Array:
        """Lower side of the box, shape (n,)."""

    @property
    def upper(self) -> Array:
        """Upper side of the box, shape (n,)."""

    @property
    def scale(self) -> Array:
        """D, the sizes of the variables, shape (n,)."""

    def values(self, x: Array) -> Values:
        """Return c(x) and e(x); not finite where a formula has no value."""

    def linearised(self, x: Array) -> tuple[Any, Any]:
        """Return the Jacobians of c and e, both dense or both CSR."""

    def hessian(self, x: Array, inequality: Array, equality: Array) -> Array:
        """Return the Hessian of multipliers times rows, shape (n, n)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Where a restoration ended: the feasible point, or the least violated one it met.

    Attributes
    ----------
    x : ndarray, shape (n,)
        In the box.
    feasible : bool
        Whether the rows hold to the tolerances.
    strict : bool
        Whether the inequalities hold exactly.
    steps : int
        Newton steps taken.
    alone : bool
        Whether a single variable was moved, since all together led nowhere.
    """

    x: Array
    feasible: bool
    strict: bool
    steps: int
    alone: bool = False


def clip(rows: Rows, x: Array) -> Array:
    """Return the point of the box nearest to `x`."""
    return np.asarray(np.minimum(np.maximum(x, rows.lower), rows.upper))


def violation(rows: Rows, x: Array) -> tuple[float, float]:
    """Return the largest violations at a point of the box, of c and of e."""
    c, e = rows.values(x)
    return largest(c), largest_size(e)


def restore(
    rows: Rows,
    x: Array,
    steps: int = STEPS,
    tolerance: float = TOLERANCE,
    margin: float = MARGIN,
) -> Array | None:
    """Return a feasible point near `x`, or None.

    Parameters
    ----------
    rows : Rows
    x : ndarray, shape (n,)
    steps : int
        Newton steps at most.
    tolerance : float
        Violation of c accepted in the end when no strictly feasible point was met.
    margin : float
        How far inside violated rows are aimed at first.
    """
    made: Array
    made, feasible, _, _ = restoration.descend(rows, _linear, x, steps, tolerance, margin, EQUALITY)
    return made if feasible else None


def project(rows: Rows, start: Array, steps: int = STEPS) -> Arrival:
    """Restore from `start`; where that ends in a corner, again from a little beside it.

    The violation can be stationary, as in the middle of a hole.  A set without interior often lies
    on round numbers, such as x = 0, which are tried first.
    """
    best = _rounded(rows, descend(rows, start, steps))
    if not best.strict:
        best = along_one(rows, start) or best
    for attempt, width in enumerate(BESIDE):
        if best.strict:
            return best
        direction = cosines(1.0 + (attempt + 2) * np.arange(start.size))
        made = descend(rows, start + width * rows.scale * direction, steps)
        if made.strict or (not best.feasible and _total(rows, made.x) < _total(rows, best.x)):
            best = _rounded(rows, made)
    return best


def along_one(rows: Rows, start: Array) -> Arrival | None:
    """Move one variable until all inequalities hold, the one that moves least; None if none can.

    Newton's steps of least norm move the variables of ``u >= exp(100 x)`` a little each, and come
    nowhere where x cannot follow.  To raise u alone is always right.
    """
    x = clip(rows, start)
    c, e = rows.values(x)
    wrong = c > 0.0
    if not (np.isfinite(c).all() and wrong.any()) or np.any(np.abs(e) > EQUALITY):
        return None
    slopes = dense(rows.linearised(x)[0])[wrong]
    if not np.isfinite(slopes).all():
        return None
    found: Arrival | None = None
    for i in np.flatnonzero((rows.lower < rows.upper) & np.all(slopes != 0.0, axis=0)):
        made = _moved_along(rows, x, int(i))
        if made is not None and (found is None or _moves(rows, x, made) < _moves(rows, x, found)):
            found = made
    return found


def _moves(rows: Rows, x: Array, made: Arrival) -> float:
    return float(np.max(np.abs(made.x - x) / rows.scale))


def _moved_along(rows: Rows, x: Array, i: int) -> Arrival | None:
    """Return where Newton's method for the worst row, in variable i alone, ends; None if it fails.

    It changes its mind about the direction where rows want different ones: then it fails.
    """
    z, way = x.copy(), 0.0
    for taken in range(1, ALONE + 1):
        c, _ = rows.values(z)
        slope = dense(rows.linearised(z)[0])[:, i]
        wrong = c > 0.0
        with np.errstate(all="ignore"):
            wanted = -c[wrong] / slope[wrong]
        if not np.isfinite(wanted).all() or np.any(wanted * (way or wanted[0]) <= 0.0):
            return None
        way = float(wanted[np.argmax(np.abs(wanted))])
        reached = z[i] + way * (1.0 + MARGIN)
        z[i] = min(max(reached, rows.lower[i]), rows.upper[i])
        above, off = violation(rows, z)
        if above <= 0.0 and off <= EQUALITY:
            return Arrival(x=z, feasible=True, strict=True, steps=taken, alone=True)
        if z[i] in (rows.lower[i], rows.upper[i]) or not np.isfinite(above + off):
            return None
    return None


def _total(rows: Rows, x: Array) -> float:
    return max(violation(rows, x))


def _rounded(rows: Rows, found: Arrival) -> Arrival:
    """Try round numbers nearby."""
    if found.strict or _total(rows, found.x) > ROUND_BELOW:
        return found
    for digits in DIGITS:
        trial = clip(rows, np.round(found.x, digits) + 0.0)
        above, off = violation(rows, trial)
        if above <= 0.0 and off <= EQUALITY:
            return replace(found, x=trial, feasible=True, strict=True)
    return found


def descend(
    rows: Rows,
    first: Array,
    steps: int,
    tolerance: float = TOLERANCE,
    margin: float = MARGIN,
) -> Arrival:
    """Take Newton steps from `first` until the rows hold, or no step makes the violation fall."""
    x, feasible, strict, taken = restoration.descend(
        rows, _linear, first, steps, tolerance, margin, EQUALITY
    )
    return Arrival(x=x, feasible=feasible, strict=strict, steps=taken)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Large:
    """The rows at x to first order, in d = D^-1 (z - x) over the variables that can move.

    As `optdriver.geometry.least_norm.Linear`, for many rows or variables, and sparse ones.
    """

    free: NDArray[np.bool_]
    jacobian: Any
    equality: Any
    lower: Array
    upper: Array
    scale: Array

    @classmethod
    def of(cls, rows: Rows, x: Array, slopes: tuple[Any, Any]) -> _Large:
        """Return the rows with these gradients by x."""
        free = rows.lower < rows.upper
        scale = rows.scale[free]
        jacobian, equality = (
            scaled(matrix if free.all() else matrix[:, free], columns=scale) for matrix in slopes
        )
        lower, upper = (rows.lower - x)[free] / scale, (rows.upper - x)[free] / scale
        return cls(
            free=free,
            jacobian=jacobian,
            equality=equality,
            lower=lower,
            upper=upper,
            scale=rows.scale,
        )

    def is_finite(self) -> bool:
        return finite(self.jacobian, self.equality)

    def weights(self, shortest: float) -> tuple[Array, Array]:
        first, second = (
            1.0 / np.maximum(row_norms(m), shortest) for m in (self.jacobian, self.equality)
        )
        return first, second

    def step(self, c: Array, e: Array, margins: Array, softness: float = 0.0) -> Array | None:
        keep = np.isfinite(c)
        jacobian = self.jacobian if keep.all() else self.jacobian[keep]
        equality, n = self.equality, self.lower.size
        levels, lower, upper = (-c - margins)[keep], self.lower, self.upper
        if softness:
            m, q = jacobian.shape[0], equality.shape[0]
            large = is_sparse(jacobian) or is_sparse(equality)
            give = softness * (sparse.eye_array(m + q, format="csr") if large else np.eye(m + q))
            jacobian, equality = beside(jacobian, -give[:m]), beside(equality, -give[m:])
            none = np.full(m + q, np.inf)
            lower, upper = np.concatenate([lower, -none]), np.concatenate([upper, none])
        found = least_distance(jacobian, levels, equality, -e, lower, upper)
        if not (found.feasible and np.isfinite(found.d).all()):
            return None
        step = np.zeros(self.free.size)
        step[self.free] = found.d[:n] * self.scale[self.free]
        return step


def _linear(rows: Rows, x: Array) -> Linear | _Large | None:
    """Return the linearised rows, or None where there are no derivatives."""
    slopes = jacobian, equality = rows.linearised(x)
    sizes = len(x) + 2 * (jacobian.shape[0] + equality.shape[0])
    at: Linear | _Large
    if sizes <= SMALL and not (is_sparse(jacobian) or is_sparse(equality)):
        at = Linear(jacobian, equality, x, rows.lower, rows.upper, rows.scale)
    else:
        at = _Large.of(rows, x, slopes)
    return at if at.is_finite() else None
