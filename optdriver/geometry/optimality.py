"""What constraints leave of a step of steepest descent, and what f could fall by along it."""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import INFINITY, fabs
    from cython.cimports.optdriver.geometry.active_set import (
        Polyhedron,
        activate,
        add_sides,
        prepare,
        settle,
    )
    from cython.cimports.optdriver.geometry.products import inner
    from cython.cimports.optdriver.lbfgsb.linalg import all_finite, finite
    from cython.cimports.optdriver.lbfgsb.state import cut, integers, numbers, reading
else:
    from math import fabs
    from math import inf as INFINITY

    from optdriver.geometry.active_set import Polyhedron, activate, add_sides, prepare, settle
    from optdriver.geometry.products import inner
    from optdriver.lbfgsb.linalg import all_finite, finite
    from optdriver.lbfgsb.state import cut, integers, numbers, reading

from optdriver.geometry.products import rows_of

TOLERANCE = 1e-13
"""Violation that counts as none, relative to the largest number of the problem."""


def longest(x: cython.p_double, n: cython.Py_ssize_t) -> cython.double:
    """Return the largest size of n numbers; NaN if one is."""
    i: cython.Py_ssize_t
    most: cython.double = 0.0
    for i in range(n):
        if fabs(x[i]) > most or x[i] != x[i]:
            most = fabs(x[i])
        if most != most:
            return most
    return most


def largest(x: Any) -> float:
    """Return the largest size of numbers; NaN if one is."""
    return float(longest(reading(x), x.size))


def steepest(rows: Any, scale: Any) -> float:
    """Return the largest size of the entries of a dense array, its columns times `scale`."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    m: cython.Py_ssize_t = len(rows)
    n: cython.Py_ssize_t = len(scale)
    most: cython.double = 0.0
    given: Any = rows_of(rows)
    a: cython.p_double = reading(given)
    size: cython.p_double = reading(scale)
    for i in range(m):
        for j in range(n):
            if fabs(a[i * n + j] * size[j]) > most:
                most = fabs(a[i * n + j] * size[j])
    return float(most)


def judged(
    c: Any,
    jac: Any,
    eq: Any,
    g: Any,
    x: Any,
    box: Any,
    moving: Any,
    unit: float,
    scale: Any,
    steep: float,
    most: int,
) -> Any:
    """Return what `project` does and the largest size of g, where nothing is out of the ordinary.

    Parameters
    ----------
    c, jac, eq, g, x, box, moving, unit
        As for `project`.
    scale : ndarray, shape (n,)
        The sizes of the variables.
    steep : float
        A slope of c, in these sizes, that may be infinite.
    most : int
        How many variables and rows are few.

    Returns
    -------
    tuple, bool or None
        None where a gradient is not finite, or there is no such step.  False where a row c has no
        value, a slope is steep, or they are not few.
    """
    across: Any = rows_of(jac)
    along: Any = rows_of(eq)
    if not (all_finite(reading(across), across.size) and all_finite(reading(along), along.size)):
        return None
    m: cython.Py_ssize_t = len(c)
    if len(moving) + m + len(along) > most or not all_finite(reading(c), m):
        return False
    if m and steepest(across, scale) > steep:
        return False
    found: Any = project(c, across, along, g, x, box, moving, unit)
    return None if found is None else (*found, largest(g))


def fall(left: Any, room: Any, x: Any, began: Any, part: float) -> tuple[float, bool]:
    """Return what f falls by where each variable moves by its size; whether one has not moved.

    That is within its room, to first order.

    Parameters
    ----------
    left, room : ndarray, shape (n,)
        The slopes, and how far each variable can move; may be infinite.
    x, began : ndarray, shape (n,)
        The point, and where the run began: a size is |x|, or the way from there where it is longer.
    part : float
        A variable has not moved whose size is less than this part of its room, if that is finite.
    """
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(x)
    least: cython.double = part
    extent: cython.double
    unmoved: cython.bint = False
    scratch: Any = np.empty(2 * n + 1)
    slope: cython.p_double = numbers(scratch)
    way: cython.p_double = cut(slope, n, n)
    given: cython.p_double = reading(left)
    free: cython.p_double = reading(room)
    here: cython.p_double = reading(x)
    first: cython.p_double = reading(began)
    for i in range(n):
        extent = fabs(here[i] - first[i])
        if fabs(here[i]) > extent:
            extent = fabs(here[i])
        slope[i] = fabs(given[i])
        way[i] = fabs(free[i] if free[i] < extent else extent)
        if finite(free[i]) and extent < least * free[i]:
            unmoved = True
    return inner(slope, 0, way, 0, n), bool(unmoved)


def take(
    s: Polyhedron, at: cython.Py_ssize_t, row: cython.p_double, which: cython.p_Py_ssize_t
) -> cython.void:
    """Make a row of the problem of these variables' entries of a row of all."""
    j: cython.Py_ssize_t
    for j in range(s.n):
        s.unit[at * s.n + j] = row[which[j]]


def project(c: Any, jac: Any, eq: Any, g: Any, x: Any, box: Any, moving: Any, unit: float) -> Any:
    """Project a step of steepest descent onto the rows to first order, and measure what is left.

    minimise 1/2 |d + g / unit|^2  over  c + J d <= 0,  E d = 0,  x + d in the box

    Parameters
    ----------
    c, jac, eq : ndarray, shapes (m,), (m, n) and (q, n)
        Values of c, of which those above zero are taken for zero and those that are not finite are
        left out; gradients of c and e.
    g, x : ndarray, shape (n,)
    box : (lower, upper)
    moving : ndarray of intp, shape (k,)
        Which variables d is of.
    unit : float

    Returns
    -------
    tuple or None
        What `measure` returns, with what the rows give in `near`; and the multipliers of c, then e,
        of f / unit, shape (m + q,).  None where there is no such step.
    """
    i: cython.Py_ssize_t
    m: cython.Py_ssize_t = len(c)
    q: cython.Py_ssize_t = len(eq)
    n: cython.Py_ssize_t = len(x)
    k: cython.Py_ssize_t = len(moving)
    kept: cython.Py_ssize_t = 0
    count: cython.Py_ssize_t
    f: cython.double = unit
    reals: Any = np.zeros(2 * k + 2 * m + 1)
    low: cython.p_double = numbers(reals)
    high: cython.p_double = cut(low, k, k)
    held: cython.p_double = cut(low, 2 * k, m)
    active: cython.p_double = cut(low, 2 * k + m, m)
    across: Any = rows_of(jac)
    along: Any = rows_of(eq)
    values: cython.p_double = reading(c)
    slopes: cython.p_double = reading(across)
    others: cython.p_double = reading(along)
    descent: cython.p_double = reading(g)
    here: cython.p_double = reading(x)
    lower: cython.p_double = reading(box[0])
    upper: cython.p_double = reading(box[1])
    which: cython.p_Py_ssize_t = integers(moving)
    for i in range(m):
        if level(values[i]) < INFINITY:
            held[kept] = level(values[i])
            kept += 1
    count = q + kept
    for i in range(k):
        low[i] = lower[which[i]] - here[which[i]]
        high[i] = upper[which[i]] - here[which[i]]
        count += (high[i] < INFINITY) + (low[i] > -INFINITY)
    s = Polyhedron(k, count, q, q + kept)
    for i in range(k):
        s.wish[i] = -descent[which[i]] / f
        s.point[i] = s.wish[i]
    for i in range(q):
        take(s, i, cut(others, i * n, n), which)
        s.level[i] = 0.0
    kept = 0
    for i in range(m):
        if level(values[i]) < INFINITY:
            take(s, q + kept, cut(slopes, i * n, n), which)
            s.level[q + kept] = held[kept]
            kept += 1
    possible: cython.bint = prepare(s, q + kept)
    add_sides(s, low, high, q + kept, k)
    if not (possible and (k == 0 or activate(s, TOLERANCE))):
        return None
    sides: Any = settle(s, low, high, q + kept, k)
    found: Any = s.multipliers()
    duals: Any = np.zeros(m + q)
    given: cython.p_double = numbers(found)
    out: cython.p_double = numbers(duals)
    kept = 0
    for i in range(m):
        if level(values[i]) < INFINITY:
            active[kept] = given[q + kept]
            out[i] = active[kept]
            kept += 1
    for i in range(q):
        out[m + i] = given[i]
    left, room, bounds, residual, near, far = measure(
        s.solution(), sides, (reals[:k], reals[k : 2 * k]), x, moving, unit
    )
    near = inner(active, 0, held, 0, kept) + near
    return left, room, bounds, residual, near, far, duals


def level(value: cython.double) -> cython.double:
    """Return how far a row may rise: not finite where it has no value, or none that matters."""
    if value != value:
        return INFINITY
    return -value if value < 0.0 else 0.0


def measure(d: Any, side: Any, box: Any, x: Any, moving: Any, unit: float) -> tuple[Any, ...]:
    """Return what a step of the variables that can move comes to.

    Parameters
    ----------
    d, side : ndarray, shape (k,)
        The step for f / unit; multipliers of the sides, positive at an upper one.
    box : (lower, upper)
        How far the variables are from their sides, shape (k,): d is in this box.
    x : ndarray, shape (n,)
    moving : ndarray of intp, shape (k,)
        Which variables d is of.
    unit : float

    Returns
    -------
    left, room, sides : ndarray, shape (n,)
        The step times the unit; how far each variable can move that way; the multipliers of f.
    residual, near, far : float
        The largest size of `left`; what f / unit falls by on the way to the sides that hold d; what
        f falls by where each variable moves as far as it can, or by |x|.
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    at: cython.Py_ssize_t = 0
    n: cython.Py_ssize_t = len(x)
    k: cython.Py_ssize_t = len(d)
    f: cython.double = unit
    reals: Any = np.zeros(3 * n)
    scratch: Any = np.zeros(2 * n + 2 * k + 1)
    left: cython.p_double = numbers(reals)
    room: cython.p_double = cut(left, n, n)
    bounds: cython.p_double = cut(left, 2 * n, n)
    reach: cython.p_double = numbers(scratch)
    sizes: cython.p_double = cut(reach, n, n)
    dual: cython.p_double = cut(reach, 2 * n, k)
    way: cython.p_double = cut(reach, 2 * n + k, k)
    step: cython.p_double = reading(d)
    sign: cython.p_double = reading(side)
    low: cython.p_double = reading(box[0])
    high: cython.p_double = reading(box[1])
    here: cython.p_double = reading(x)
    which: cython.p_Py_ssize_t = integers(moving)
    for i in range(k):
        j = which[i]
        left[j] = f * step[i]
        room[j] = -low[i] if step[i] < 0.0 else high[i]
        bounds[j] = f * sign[i]
        if sign[i] != 0.0:
            dual[at] = fabs(sign[i])
            way[at] = -low[i] if sign[i] < 0.0 else high[i]
            at += 1
    for i in range(n):
        sizes[i] = fabs(left[i])
        reach[i] = room[i] if finite(room[i]) else fabs(here[i])
    return (
        reals[:n],
        reals[n : 2 * n],
        reals[2 * n :],
        longest(left, n),
        inner(dual, 0, way, 0, at),
        inner(sizes, 0, reach, 0, n),
    )
