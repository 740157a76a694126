"""A trust region's subproblem as it is solved, in t, and its solution as it is asked, in x.

x = x0 + Delta D t for the variables that can move; u = x / D.  The model is B = theta I +
V diag(signs) V' in u, the columns of V as rows one after the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import INFINITY, fabs
    from cython.cimports.optdriver.geometry.interior import Run
    from cython.cimports.optdriver.geometry.products import add_gram, inner, length, mirror, peak
    from cython.cimports.optdriver.geometry.quasi_newton import fill_times
    from cython.cimports.optdriver.lbfgsb.linalg import all_finite
    from cython.cimports.optdriver.lbfgsb.state import cut, integers, numbers, reading
else:
    from math import fabs
    from math import inf as INFINITY

    from optdriver.geometry.interior import Run
    from optdriver.geometry.products import add_gram, inner, length, mirror, peak
    from optdriver.geometry.quasi_newton import fill_times
    from optdriver.lbfgsb.linalg import all_finite
    from optdriver.lbfgsb.state import cut, integers, numbers, reading

from optdriver.geometry.crossover import cross_over
from optdriver.geometry.formulas import Formulas
from optdriver.geometry.interior import solve
from optdriver.geometry.products import flat, rows_of
from optdriver.geometry.subproblem import Subproblem

SMALLEST = 1e-300
TOLERANCE = 1e-9
ITERATIONS = 60
INSET = 1e-3
"""What part of its interval the first point of a solve keeps away from a side."""
SMALLEST_ROW = 1e-3
"""Rows shorter than this part of Delta are weighted as if they were that long."""
ROUNDING = 0.1 * float(np.finfo(np.float64).eps)
FLAT = 1e-8
"""A gradient below this part of the curvature does not set the scale of the model."""


def sides(x: Any, delta: float, scale: Any, box: Any, moving: Any, widths: Any) -> tuple[Any, ...]:
    """Return Delta D, the same of the variables that can move, and the sides of the box of t.

    Parameters
    ----------
    x, scale : ndarray, shape (n,)
    delta : float
    box : (lower, upper)
        That of x.
    moving : ndarray of intp, shape (k,)
        Which variables t is of.
    widths : ndarray, shape (k,), or None
        The sides of t that are those of the trust region, 1 by default.
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(x)
    k: cython.Py_ssize_t = len(moving)
    radius: cython.double = delta
    most: cython.double = 1.0
    reach: Any = np.empty(n)
    made: Any = np.empty(3 * k)
    way: cython.p_double = numbers(reach)
    step: cython.p_double = reading(made)
    left: cython.p_double = cut(step, k, k)
    right: cython.p_double = cut(step, 2 * k, k)
    here: cython.p_double = reading(x)
    size: cython.p_double = reading(scale)
    low: cython.p_double = reading(box[0])
    high: cython.p_double = reading(box[1])
    which: cython.p_Py_ssize_t = integers(moving)
    wide: Any = x if widths is None else widths
    width: cython.p_double = reading(wide)
    for i in range(n):
        way[i] = radius * size[i]
    for j in range(k):
        i = which[j]
        if widths is not None:
            most = width[j]
        step[j] = way[i]
        left[j] = (low[i] - here[i]) / step[j]
        if left[j] < -most:
            left[j] = -most
        right[j] = (high[i] - here[i]) / step[j]
        if right[j] > most:
            right[j] = most
    return reach, made[:k], made[k : 2 * k], made[2 * k :]


def total(x: cython.p_double, first: cython.Py_ssize_t, n: cython.Py_ssize_t) -> cython.double:
    """Return the sum of n numbers from `first` on: of 128 at a time, in eight sums each."""
    i: cython.Py_ssize_t
    half: cython.Py_ssize_t
    n8: cython.Py_ssize_t = n - n % 8
    made: cython.double = 0.0
    if n > 128:
        half = n // 2
        half -= half % 8
        return total(x, first, half) + total(x, first + half, n - half)
    if n8:
        a: cython.double = x[first]
        b: cython.double = x[first + 1]
        c: cython.double = x[first + 2]
        d: cython.double = x[first + 3]
        e: cython.double = x[first + 4]
        f: cython.double = x[first + 5]
        g: cython.double = x[first + 6]
        h: cython.double = x[first + 7]
        for i in range(first + 8, first + n8, 8):
            a += x[i]
            b += x[i + 1]
            c += x[i + 2]
            d += x[i + 3]
            e += x[i + 4]
            f += x[i + 5]
            g += x[i + 6]
            h += x[i + 7]
        made = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for i in range(first + n8, first + n):
        made += x[i]
    return made


def weighed(rows: Any, x: Any, reach: Any, moving: Any, shortest: float) -> tuple[Any, float]:
    """Return the weights by which rows are of unit length in t, and what rounding of x does.

    Parameters
    ----------
    rows : (jacobian, equality)
        Gradients of c and e, shapes (m, n) and (q, n).
    x, reach : ndarray, shape (n,)
        The iterate, and Delta D.
    moving : ndarray of intp, shape (k,)
        Which variables t is of.
    shortest : float
        Rows that are shorter count as of this length.

    Returns
    -------
    weights : ndarray, shape (m + q,)
        Those of c, then of e.
    rounding : float
        What becomes of the sum of all rows where each |x| changes by its rounding.
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    at: cython.Py_ssize_t = 0
    n: cython.Py_ssize_t = len(x)
    k: cython.Py_ssize_t = len(moving)
    m: cython.Py_ssize_t = len(rows[0])
    count: cython.Py_ssize_t = m + len(rows[1])
    least: cython.double = shortest
    size: cython.double
    made: Any = np.empty(count)
    scratch: Any = np.empty(3 * k + count + 1)
    weight: cython.p_double = reading(made)
    part: cython.p_double = numbers(scratch)
    row: cython.p_double = cut(part, k, k)
    extent: cython.p_double = cut(part, 2 * k, k)
    moved: cython.p_double = cut(part, 3 * k, count)
    here: cython.p_double = reading(x)
    way: cython.p_double = reading(reach)
    which: cython.p_Py_ssize_t = integers(moving)
    for j in range(k):
        part[j] = fabs(here[which[j]]) / way[which[j]]
    for gradients in rows:
        given: Any = rows_of(gradients)
        slope: cython.p_double = reading(given)
        for i in range(len(given)):
            for j in range(k):
                row[j] = slope[i * n + which[j]] * way[which[j]]
                extent[j] = fabs(row[j])
            size = length(row, 0, k)
            weight[at] = 1.0 / (size if not size < least else least)
            moved[at] = weight[at] * inner(extent, 0, part, 0, k)
            at += 1
    size = ROUNDING * total(moved, 0, m) if m else 0.0
    least = ROUNDING * total(moved, m, count - m) if count > m else 0.0
    return made, size + least


def solved(
    rows: Any,
    slopes: Any,
    x: Any,
    delta: float,
    square: float,
    way: Any,
    box: Any,
    moving: Any,
    widths: Any,
    objective: Any,
    barrier: float,
    chords: bool,
) -> tuple[Any, float]:
    """Return the solution of the subproblem as it is asked, in x, and its error.

    Parameters
    ----------
    rows : object
        ``values``, ``jacobians`` and ``hessian`` as `Subproblem` wants them, of rows times its
        ``weights``, which are set here; ``formulas``: None, or the rows as a `System`, the unit of
        its variables, the place of each variable and row, and the weights that all rows have.
    slopes : (jacobian, equality)
        Gradients of c and e at x.
    x : ndarray, shape (n,)
    delta, square : float
        Delta and its square.
    way : tuple
        What `sides` returns.
    box : (lower, upper)
        That of x.
    moving, widths
        As for `sides`.
    objective : (gradient, parts)
        Of the variables that can move, as `model` takes them.
    barrier : float
        First barrier parameter.
    chords : bool
        See `cross_over`.

    Returns
    -------
    z : ndarray, shape (n,), or None
        None where a gradient is not finite.
    error : float
    """
    reach, step, left, right = way
    weights, rounding = weighed(slopes, x, reach, moving, SMALLEST_ROW * delta)
    if not all_finite(reading(weights), len(weights)):
        return None, np.inf
    gradient, matrix = model(objective[0], objective[1], delta, square, FLAT)
    m: cython.Py_ssize_t = len(slopes[0])
    at: Any = left, right
    known: Any = rows.formulas
    made: Any = None
    rows.weights = weights[:m], weights[m:]
    if known is not None:
        system, unit, places, weight = known
        made = Formulas(system, x, reach, box, at, unit, places, weight, weights)
    s = Subproblem(gradient, matrix, at, (m, len(weights) - m), rows, made, rounding)
    r: Run = solve(s, np.zeros(len(step)), barrier, TOLERANCE, ITERATIONS, INSET)
    return point(x, cross_over(r, chords), step, at, widths, box, moving), r.error


def model(
    gradient: Any, parts: Any, delta: float, square: float, flatness: float
) -> tuple[Any, Any]:
    """Return the model in t, divided by the largest number of its gradient.

    Parameters
    ----------
    gradient : ndarray, shape (n,)
        That in u.
    parts : (theta, V', signs)
    delta, square : float
        Delta and its square.
    flatness : float
        Where the gradient is below this part of the largest number of the matrix, that is what is
        divided by.

    Returns
    -------
    gradient, matrix : ndarray, shapes (n,) and (n, n)
    """
    theta, rows, signs = parts
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(gradient)
    k: cython.Py_ssize_t = len(signs)
    base: cython.double = theta
    side: cython.double = delta
    area: cython.double = square
    phi: cython.double
    most: cython.double
    given: Any = flat(gradient)
    columns: Any = rows_of(rows)
    weights: Any = flat(signs)
    made: Any = np.empty(n)
    matrix: Any = np.zeros((n, n))
    slope: cython.p_double = reading(given)
    out: cython.p_double = numbers(made)
    b: cython.p_double = reading(matrix)
    if k:
        add_gram(reading(columns), reading(weights), b, k, n)
        mirror(b, n)
    for i in range(n):
        out[i] = side * slope[i]
        b[i * n + i] += base
    for i in range(n * n):
        b[i] *= area
    phi = peak(out, n)
    most = flatness * peak(b, n * n)
    if most > phi:
        phi = most
    phi = 1.0 / (phi if phi > SMALLEST else SMALLEST)
    for i in range(n):
        out[i] *= phi
    for i in range(n * n):
        b[i] *= phi
    return made, matrix


def point(x: Any, t: Any, step: Any, sides: Any, widths: Any, box: Any, moving: Any) -> Any:
    """Return x + step * t in the box, exactly at the sides of it where t is.

    Parameters
    ----------
    x : ndarray, shape (n,)
    t, step : ndarray, shape (k,)
    sides : (lower, upper)
        Those of t.
    widths : ndarray, shape (k,), or None
        The sides of t that are those of the trust region, 1 by default.
    box : (lower, upper)
        That of x.
    moving : ndarray of intp, shape (k,)
        Which variables t is of.
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(x)
    k: cython.Py_ssize_t = len(t)
    most: cython.double = 1.0
    made: Any = np.empty(n)
    out: cython.p_double = numbers(made)
    here: cython.p_double = reading(x)
    way: cython.p_double = reading(t)
    unit: cython.p_double = reading(step)
    left: cython.p_double = reading(sides[0])
    right: cython.p_double = reading(sides[1])
    low: cython.p_double = reading(box[0])
    high: cython.p_double = reading(box[1])
    which: cython.p_Py_ssize_t = integers(moving)
    wide: Any = sides[0] if widths is None else widths
    width: cython.p_double = reading(wide)
    for i in range(n):
        out[i] = here[i]
    for j in range(k):
        i = which[j]
        if widths is not None:
            most = width[j]
        out[i] += unit[j] * way[j]
        if way[j] <= left[j] and left[j] > -most:
            out[i] = -INFINITY
        if way[j] >= right[j] and right[j] < most:
            out[i] = INFINITY
    for i in range(n):
        if out[i] < low[i]:
            out[i] = low[i]
        if out[i] > high[i]:
            out[i] = high[i]
    return made


def change(gradient: Any, parts: Any, x: Any, z: Any, scale: Any) -> tuple[float, float]:
    """Return what the model changes by from x to z, and |g|'|x|.

    Parameters
    ----------
    gradient : ndarray, shape (n,)
        That in u, D g.
    parts : (theta, V', signs)
    x, z, scale : ndarray, shape (n,)
    """
    theta, rows, signs = parts
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(x)
    k: cython.Py_ssize_t = len(signs)
    columns: Any = rows_of(rows)
    weights: Any = flat(signs)
    scratch: Any = np.empty(4 * n + 1)
    u: cython.p_double = numbers(scratch)
    bent: cython.p_double = cut(u, n, n)
    slopes: cython.p_double = cut(u, 2 * n, n)
    sizes: cython.p_double = cut(u, 3 * n, n)
    slope: cython.p_double = reading(gradient)
    here: cython.p_double = reading(x)
    there: cython.p_double = reading(z)
    size: cython.p_double = reading(scale)
    for i in range(n):
        u[i] = (there[i] - here[i]) / size[i]
        slopes[i] = fabs(slope[i] / size[i])
        sizes[i] = fabs(here[i])
    fill_times(theta, reading(columns), reading(weights), k, u, bent, n)
    made: cython.double = inner(slope, 0, u, 0, n) + 0.5 * inner(u, 0, bent, 0, n)
    return made, inner(slopes, 0, sizes, 0, n)
