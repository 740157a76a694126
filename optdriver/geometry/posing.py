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
    from cython.cimports.optdriver.geometry.products import add_gram, inner, mirror, peak
    from cython.cimports.optdriver.geometry.quasi_newton import fill_times
    from cython.cimports.optdriver.lbfgsb.state import cut, integers, numbers, reading
else:
    from math import fabs
    from math import inf as INFINITY

    from optdriver.geometry.products import add_gram, inner, mirror, peak
    from optdriver.geometry.quasi_newton import fill_times
    from optdriver.lbfgsb.state import cut, integers, numbers, reading

from optdriver.geometry.products import flat, rows_of

SMALLEST = 1e-300


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
