"""How large the variables are at an end, and which have stayed where the run began: `aside`."""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import INFINITY, fabs
    from cython.cimports.optdriver.lbfgsb.state import numbers, reading
else:
    from math import fabs
    from math import inf as INFINITY

    from optdriver.lbfgsb.state import numbers, reading

from optdriver.geometry.products import flat, rows_of


def sizes(x: Any, began: Any, lower: Any, upper: Any, by_width: bool) -> Any:
    """Return the sizes of the variables, shape (n,): see `optdriver.lbfgsb.saddles.size_of`.

    Parameters
    ----------
    x, began : ndarray, shape (n,)
        The end, and where the run began.
    lower, upper : ndarray, shape (n,)
    by_width : bool
        Ways are compared as parts of the widths of the box.
    """
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(x)
    gone: cython.double
    width: cython.double
    way: cython.double = 0.0
    part: cython.double = 0.0
    as_parts: cython.bint = by_width
    here: Any = flat(x)
    first: Any = flat(began)
    low: Any = flat(lower)
    high: Any = flat(upper)
    made: Any = np.empty(n)
    at: cython.p_double = reading(here)
    start: cython.p_double = reading(first)
    least: cython.p_double = reading(low)
    most: cython.p_double = reading(high)
    out: cython.p_double = reading(made)
    for i in range(n):
        gone, width = fabs(at[i] - start[i]), most[i] - least[i]
        if gone > way:
            way = gone
        if 0.0 < width < INFINITY and gone / width > part:
            part = gone / width
    for i in range(n):
        width = most[i] - least[i]
        out[i] = fabs(at[i]) if fabs(at[i]) > fabs(start[i]) else fabs(start[i])
        if start[i] == 0.0:
            gone = part * width if as_parts and 0.0 < width < INFINITY else way
            if gone > out[i]:
                out[i] = gone
        if out[i] == 0.0:
            out[i] = width if width < INFINITY else 1.0
        if width < out[i]:
            out[i] = width
    return made


def stay(
    x: Any, g: Any, began: Any, steps: Any, size: Any, lower: Any, upper: Any, level: Any
) -> Any:
    """Return which variables that can move are where they began, as good as, with no slope.

    Parameters
    ----------
    x, g, began, size, lower, upper : ndarray, shape (n,)
    steps : ndarray, shape (k, n)
        Those that are known of the run: a variable that one of them has moved has come back.
    level : Level
        Of `optdriver.geometry.aside`.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(x)
    k: cython.Py_ssize_t = len(steps)
    slope: cython.double = level.slope
    change: cython.double = level.change
    same: cython.double = level.same
    near: cython.double
    steep: cython.double
    stays: cython.bint
    here: Any = flat(x)
    slopes: Any = flat(g)
    first: Any = flat(began)
    known: Any = rows_of(steps)
    extent: Any = flat(size)
    low: Any = flat(lower)
    high: Any = flat(upper)
    scratch: Any = np.zeros(n + 1)
    at: cython.p_double = reading(here)
    fall: cython.p_double = reading(slopes)
    start: cython.p_double = reading(first)
    step: cython.p_double = reading(known)
    part: cython.p_double = reading(extent)
    least: cython.p_double = reading(low)
    most: cython.p_double = reading(high)
    out: cython.p_double = numbers(scratch)
    for i in range(n):
        near, steep = same * part[i], fabs(fall[i])
        stays = least[i] < most[i] and (steep <= slope or steep * part[i] <= change)
        stays = stays and fabs(at[i] - start[i]) <= near
        for j in range(k):
            stays = stays and fabs(step[j * n + i]) <= near
        out[i] = 1.0 if stays else 0.0
    return scratch[:n] > 0.0
