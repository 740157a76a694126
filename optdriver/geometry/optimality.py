"""What constraints leave of a step of steepest descent, and what f could fall by along it."""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import fabs
    from cython.cimports.optdriver.geometry.products import inner
    from cython.cimports.optdriver.lbfgsb.linalg import finite
    from cython.cimports.optdriver.lbfgsb.state import cut, integers, numbers, reading
else:
    from math import fabs

    from optdriver.geometry.products import inner
    from optdriver.lbfgsb.linalg import finite
    from optdriver.lbfgsb.state import cut, integers, numbers, reading


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
