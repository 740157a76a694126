"""Newton's steps from an infeasible point onto curved rows, each as short as it can be.

minimise 1/2 |D^-1 d|^2  subject to  c + J d <= -margin,  e + E d = 0,  l <= x + d <= u,

repeated from x + d, each step shortened until the violation falls.  Only rows that were violated
get a margin: rows that hold may hold with equality, as they must where the set has no interior.
The margin grows when rounding keeps a row above zero, so that c(x) <= 0 holds exactly at the end,
wherever rounding can see such a point.
"""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import INFINITY
    from cython.cimports.optdriver.lbfgsb.linalg import finite
    from cython.cimports.optdriver.lbfgsb.state import numbers, reading
else:
    from math import inf as INFINITY

    from optdriver.lbfgsb.linalg import finite
    from optdriver.lbfgsb.state import numbers, reading

from optdriver.geometry.products import flat, largest, largest_size, moved, outside

MARGIN = 1e-12
LARGEST_MARGIN = 1e-6
SHORTENINGS = 16
SUFFICIENT = 0.1
"""Part of the foreseen fall of the violation that must be seen."""
PATIENCE = 5
SLOW = 0.2
"""A fall by less than this factor, after so many steps, is slow."""
STRETCHES = (2.0, 3.0, 4.0)
SHORTEST_ROW = 1e-6
SOFTNESS = 1e-3
"""Of rows that may give way at a price, since the linearised ones contradict each other."""
EXACT = 1e-14


def total(values: Any, weights: Any) -> float:
    """Return the weighted violation of c and e together."""
    return outside(values[0], weights[0], values[1], weights[1])


def within(x: Any, lower: Any, upper: Any) -> Any:
    """Return the point of the box nearest to x."""
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(x)
    given: Any = flat(x)
    made: Any = np.empty(n)
    here: cython.p_double = reading(given)
    left: Any = flat(lower)
    right: Any = flat(upper)
    low: cython.p_double = reading(left)
    high: cython.p_double = reading(right)
    out: cython.p_double = numbers(made)
    for i in range(n):
        out[i] = here[i]
        if out[i] < low[i]:
            out[i] = low[i]
        if out[i] > high[i]:
            out[i] = high[i]
    return made


def mark(c: Any, margin: cython.double, marked: cython.p_double, margins: cython.p_double) -> None:
    """Mark the rows that are violated, and set the margins of those that were on the way."""
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(c)
    given: Any = flat(c)
    x: cython.p_double = reading(given)
    for i in range(n):
        if x[i] > 0.0:
            marked[i] = 1.0
        margins[i] = margin * marked[i]


def descend(
    rows: Any,
    linear: Any,
    first: Any,
    steps: int,
    tolerance: float,
    margin: float,
    equality: float,
) -> tuple[Any, bool, bool, int]:
    """Take steps from `first` until the rows hold, or none makes the violation fall.

    Parameters
    ----------
    rows : object
        ``lower``, ``upper`` and ``values(x) -> (c, e)``.
    linear : callable
        ``linear(rows, x)``: the rows to first order, as `optdriver.geometry.least_norm.Linear`, or
        None where there are no derivatives.
    first : ndarray, shape (n,)
    steps : int
    tolerance, equality : float
        Violations that are accepted in the end, of c (where no strictly feasible point is met) and
        of e.
    margin : float
        How far inside violated rows are aimed at first.

    Returns
    -------
    x : ndarray, shape (n,)
        The feasible point, or the least violated one.
    feasible, strict : bool
        Whether the rows hold to the tolerances; whether all of c hold exactly.
    taken : int
        Steps.
    """
    inside: cython.double = margin
    accepted: cython.double = tolerance
    same: cython.double = equality
    least: cython.double = INFINITY
    over: cython.double
    aside: cython.double
    taken: cython.Py_ssize_t = 0
    feasible: cython.bint = False
    arrived: cython.bint
    point: Any = within(first, rows.lower, rows.upper)
    best: Any = point
    values: Any = rows.values(point)
    marked: Any = np.zeros(len(values[0]) + 1)
    while True:
        over = largest(values[0])
        aside = largest_size(values[1])
        if over <= 0.0 and aside <= same:
            return tighten(rows, linear, point, values, aside), True, True, taken
        arrived = over <= accepted and aside <= same
        if arrived or (not feasible and (over if over > aside else aside) < least):
            best = point
            least = over if over > aside else aside
            feasible = arrived or feasible
        if taken == steps or not finite(over + aside):
            break
        margins: Any = np.zeros(len(values[0]))
        mark(values[0], inside, numbers(marked), reading(margins))
        found: Any = newton_step(rows, linear, point, values, margins, taken >= PATIENCE)
        if found is None:
            break
        point, values = found
        taken += 1
        if over <= 1e3 * inside:
            inside = 4.0 * inside
            if inside > LARGEST_MARGIN:
                inside = LARGEST_MARGIN
    return best, bool(feasible), False, taken


def tighten(rows: Any, linear: Any, point: Any, values: Any, aside: cython.double) -> Any:
    """Take one more Newton step on the equalities if it helps and costs no inequality."""
    if aside <= EXACT:
        return point
    found: Any = newton_step(rows, linear, point, values, np.zeros(len(values[0])), False)
    if found is None:
        return point
    made, (c, e) = found
    return made if largest(c) <= 0.0 and largest_size(e) < aside else point


def newton_step(
    rows: Any, linear: Any, x: Any, values: Any, margins: Any, slow: cython.bint
) -> Any:
    """Return the next point, with its values: the least-norm step, until the violation falls.

    Where the rows contradict each other they may give way, at a price.
    """
    at: Any = linear(rows, x)
    if at is None:
        return None
    _turn: cython.Py_ssize_t
    length: cython.double
    after: cython.double
    small: cython.double = 10.0 * largest(margins, MARGIN)
    lower: Any = rows.lower
    upper: Any = rows.upper
    weights: Any = at.weights(SHORTEST_ROW)
    before: cython.double = total(values, weights)
    for softness in (0.0, SOFTNESS):
        step: Any = at.step(values[0], values[1], margins, softness)
        if step is None:
            continue
        length = 1.0
        for _turn in range(SHORTENINGS):
            trial: Any = moved(x, step, length, lower, upper)
            found: Any = rows.values(trial)
            after = total(found, weights)
            if after <= (1.0 - SUFFICIENT * length) * before or after <= small:
                if slow and length == 1.0 and after > SLOW * before:
                    return stretched(rows, x, step, (trial, found), weights)
                return trial, found
            length *= 0.5
    return None


def stretched(rows: Any, x: Any, step: Any, full: Any, weights: Any) -> Any:
    """Try multiples of the step: onto a root of order k, Newton goes 1/k of the way only."""
    best: Any = full
    least: cython.double = total(full[1], weights)
    after: cython.double
    for factor in STRETCHES:
        trial: Any = moved(x, step, factor, rows.lower, rows.upper)
        found: Any = rows.values(trial)
        after = total(found, weights)
        if after < least:
            best = trial, found
            least = after
    return best
