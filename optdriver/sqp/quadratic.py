"""The quadratic subproblem of a step: a convex model under linearised rows, always with a solution.

minimise  g'd + 1/2 d'B d   subject to  A d <= a,  E d = e,  low <= d <= high

With B = L L' it is the nearest point to ``-L^-1 g`` of a polyhedron over ``z = L'd``.  Where the
rows contradict each other or the box, the limits of those that may be missed are moved to what a
step of least violation reaches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from optdriver.feasible.convergence import power_of_two
from optdriver.geometry.factors import Cholesky
from optdriver.geometry.least_distance import SMALL, LeastDistance, least_distance, one_by_one
from optdriver.geometry.products import row_lengths, times

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]

SHORT: Final = 1e-4
"""What a step of unit length weighs beside a violation of one, where violations are least."""

ROUNDED: Final = 1e-6
"""The largest part of its diagonal that B is mended by."""

LEAST_MORE: Final = 1e-14
STIFFER: Final = 100.0
MOST_MORE: Final = 1e-6
"""Parts of its diagonal that B is given more, one after the other, where its condition is such that
a step that is to satisfy the rows does not."""

MISSED: Final = 1e-6
"""The part of its size by which a step misses a row then."""

MANY: Final = 4
"""Times as many inequalities, sides of the box among them, as there may be variables."""

ROOM: Final = 1e-12
"""By so much moved limits give way, for rounding."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Linearised rows ``A d <= a`` and ``E d = e``; `soft` are those of each that may be missed."""

    A: Vector
    a: Vector
    E: Vector
    e: Vector
    soft_a: Mask
    soft_e: Mask


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A solution: the step, the multipliers of both kinds of rows, and whether all rows hold."""

    d: Vector
    inequalities: Vector
    equalities: Vector
    consistent: bool


def solve(
    g: Vector, B: Vector, rows: Rows, low: Vector, high: Vector, *, checked: bool = True
) -> Step:
    """Return the step; B is positive definite.

    The model is divided by a power of two near its size, so that no unit of f decides anything.
    """
    unit = power_of_two(max(float(np.max(np.abs(g), initial=0.0)), float(np.max(np.diag(B)))))
    found = _solved(g / unit, B / unit, rows, low, high, checked=checked)
    return replace(
        found, inequalities=found.inequalities * unit, equalities=found.equalities * unit
    )


def _solved(g: Vector, B: Vector, rows: Rows, low: Vector, high: Vector, *, checked: bool) -> Step:
    factor, more = _factor(B), 0.0
    made = _nearest(g, factor, rows, low, high)
    while made.feasible:
        step = _step(factor, made, rows, consistent=True)
        more = max(STIFFER * more, LEAST_MORE * float(np.max(np.diag(B))))
        if not checked or _holds(rows, step.d) or more > MOST_MORE * float(np.max(np.diag(B))):
            return step
        factor = _factor(B, more)
        made = _nearest(g, factor, rows, low, high)
    least = least_violation(rows, low, high)
    moved = _moved(rows, least)
    made = _nearest(g, factor, moved, low, high)
    if made.feasible:
        return _step(factor, made, rows, consistent=False)
    nothing = np.zeros(rows.a.size), np.zeros(rows.e.size)
    return Step(d=least, inequalities=nothing[0], equalities=nothing[1], consistent=False)


def _holds(rows: Rows, d: Vector) -> bool:
    """Tell whether a step satisfies the rows, but for what rounding may be to blame for."""
    size = float(np.max(np.abs(d), initial=0.0))
    for A, a, missed in (
        (rows.A, rows.a, np.maximum(times(rows.A, d) - rows.a, 0.0)),
        (rows.E, rows.e, np.abs(times(rows.E, d) - rows.e)),
    ):
        sizes = np.abs(a) + row_lengths(A) * size
        if np.any(missed > MISSED * sizes):
            return False
    return True


def _factor(B: Vector, more: float = 0.0) -> Cholesky:
    """Return the factor of B, with a little more on the diagonal where rounding has spoilt B.

    Raises
    ------
    numpy.linalg.LinAlgError
        B is not even nearly positive definite.
    """
    eps = float(np.finfo(np.float64).eps)
    largest = float(np.max(np.diag(B)))
    while (made := Cholesky.of(B, more)) is None:
        more = max(4.0 * more, eps * largest)
        if not more <= ROUNDED * largest:
            raise np.linalg.LinAlgError("the matrix of the model is not positive definite")
    return made


def _nearest(g: Vector, factor: Cholesky, rows: Rows, low: Vector, high: Vector) -> LeastDistance:
    n = g.size
    sides = np.eye(n)
    above = np.vstack([rows.A, sides[np.isfinite(high)], -sides[np.isfinite(low)]])
    limits = np.concatenate([rows.a, high[np.isfinite(high)], -low[np.isfinite(low)]])
    endless = np.full(n, np.inf)
    return _least_distance(
        factor.rows(above), limits, factor.rows(rows.E), rows.e, -endless, endless, -factor.root(g)
    )


def _least_distance(
    A: Vector, a: Vector, E: Vector, e: Vector, low: Vector, high: Vector, toward: Vector
) -> LeastDistance:
    """Return the nearest point: one row at a time, in one order, unless the problem is large."""
    if low.size < SMALL and len(a) <= MANY * SMALL and len(e) <= SMALL:
        return one_by_one(toward, A, a, E, e, low, high)
    return least_distance(A, a, E, e, low, high, toward=toward)


def _step(factor: Cholesky, made: LeastDistance, rows: Rows, *, consistent: bool) -> Step:
    return Step(
        d=factor.root_transposed(made.d),
        inequalities=made.inequalities[: rows.a.size],
        equalities=made.equalities,
        consistent=consistent,
    )


def least_violation(rows: Rows, low: Vector, high: Vector) -> Vector:
    """Return the step that violates the soft rows least, in squares; the others hold."""
    n, p, q = low.size, int(rows.soft_a.sum()), int(rows.soft_e.sum())
    width = n + p + q
    A = np.zeros((rows.a.size, width))
    A[:, :n] = rows.A * (1.0 / SHORT)
    A[np.flatnonzero(rows.soft_a), n + np.arange(p)] = -1.0
    E = np.zeros((rows.e.size, width))
    E[:, :n] = rows.E * (1.0 / SHORT)
    E[np.flatnonzero(rows.soft_e), n + p + np.arange(q)] = -1.0
    below, above = np.full(width, -np.inf), np.full(width, np.inf)
    below[:n], above[:n], below[n : n + p] = SHORT * low, SHORT * high, 0.0
    found = _least_distance(A, rows.a, E, rows.e, below, above, np.zeros(width))
    d = found.d[:n] / SHORT if found.feasible else np.zeros(n)
    return np.minimum(np.maximum(d, low), high)


def _moved(rows: Rows, d: Vector) -> Rows:
    """Return the rows with the limits of the soft ones moved to where they are met at `d`."""
    there, equal = times(rows.A, d), times(rows.E, d)
    room = ROOM * (1.0 + np.abs(there))
    return Rows(
        A=rows.A,
        a=np.where(rows.soft_a, np.maximum(rows.a, there + room), rows.a),
        E=rows.E,
        e=np.where(rows.soft_e, equal, rows.e),
        soft_a=rows.soft_a,
        soft_e=rows.soft_e,
    )
