"""Elementary functions of arrays by the C library, one number at a time.

NumPy's own are vectorised for each family of processors, with other last bits in each.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc import math as c
    from cython.cimports.optdriver.lbfgsb.state import numbers
else:
    from optdriver.lbfgsb.state import numbers

from optdriver.geometry.products import flat

NAMES = (
    "exp", "log", "log10", "log2", "sin", "cos", "tan", "asin", "acos", "atan",
    "sinh", "cosh", "tanh", "erf", "log1p",
)  # fmt: skip
"""The functions of one argument; a function's number is its place."""

_SPECIAL = (
    np.exp, np.log, np.log10, np.log2, np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan,
    np.sinh, np.cosh, np.tanh, math.erf, np.log1p,
)  # fmt: skip


def value(code: cython.Py_ssize_t, a: cython.double) -> cython.double:
    """Return the function of this number at `a`."""
    if cython.compiled:  # pragma: no cover - compiled code cannot be traced
        if code == 0:
            return c.exp(a)
        if code == 1:
            return c.log(a)
        if code == 2:
            return c.log10(a)
        if code == 3:
            return c.log2(a)
        if code == 4:
            return c.sin(a)
        if code == 5:
            return c.cos(a)
        if code == 6:
            return c.tan(a)
        if code == 7:
            return c.asin(a)
        if code == 8:
            return c.acos(a)
        if code == 9:
            return c.atan(a)
        if code == 10:
            return c.sinh(a)
        if code == 11:
            return c.cosh(a)
        if code == 12:
            return c.tanh(a)
        if code == 13:
            return c.erf(a)
        return c.log1p(a)
    else:  # noqa: RET505 - one of the two branches is not compiled
        return _checked(code, a)


def raised(a: cython.double, b: cython.double) -> cython.double:
    """Return a to the power of b: by products and roots where these are as exact."""
    if b == 2.0:
        return a * a
    if b == 1.0:
        return a
    if cython.compiled:  # pragma: no cover - compiled code cannot be traced
        if b == -1.0:
            return 1.0 / a
        if b == 0.5 and a >= 0.0:
            return c.sqrt(a)
        return c.pow(a, b)
    else:  # noqa: RET505 - one of the two branches is not compiled
        return _power(a, b)


def _checked(code: Any, a: Any) -> Any:
    """Return a function's value; NumPy knows what C has at poles and beyond the domain."""
    try:
        return getattr(math, NAMES[code])(a)
    except (ValueError, OverflowError):
        with np.errstate(all="ignore"):
            return float(_SPECIAL[code](np.float64(a)))


def _power(a: Any, b: Any) -> Any:
    try:
        if b == -1.0:
            return 1.0 / a
        if b == 0.5 and a >= 0.0:
            return math.sqrt(a)
        return math.pow(a, b)
    except (ValueError, OverflowError, ZeroDivisionError):
        with np.errstate(all="ignore"):
            return float(np.power(np.float64(a), np.float64(b)))


def fill(
    code: cython.Py_ssize_t, x: cython.p_double, out: cython.p_double, n: cython.Py_ssize_t
) -> cython.void:
    """Out <- function of x."""
    i: cython.Py_ssize_t
    for i in range(n):
        out[i] = value(code, x[i])


def fill_powers(
    x: cython.p_double, y: cython.p_double, out: cython.p_double, n: cython.Py_ssize_t
) -> cython.void:
    """Out <- x to the power of y."""
    i: cython.Py_ssize_t
    for i in range(n):
        out[i] = raised(x[i], y[i])


def applied(name: str, x: Any) -> Any:
    """Return the function of that name of each number, in the shape of x."""
    given: Any = np.asarray(x, dtype=np.float64)
    u: Any = flat(given)
    out = np.empty(len(u))
    code: cython.Py_ssize_t = NAMES.index(name)
    if len(u):
        fill(code, numbers(u), numbers(out), len(u))
    return out.reshape(given.shape)


def _alike(x: Any, y: Any) -> tuple[Any, Any]:
    """Return both as arrays of one shape."""
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if a.shape != b.shape:
        shape = np.broadcast_shapes(a.shape, b.shape)
        a, b = (np.array(np.broadcast_to(each, shape)) for each in (a, b))
    return a, b


def power(x: Any, y: Any) -> Any:
    """Return x to the power of y, elementwise."""
    a, b = _alike(x, y)
    u: Any = flat(a)
    v: Any = flat(b)
    out = np.empty(len(u))
    if len(u):
        fill_powers(numbers(u), numbers(v), numbers(out), len(u))
    return out.reshape(a.shape)


def powers(x: Any, y: Any) -> Any:
    """Return x to the power of y, elementwise, always by the C library's `pow`."""
    return pairwise(_pow, x, y)


def _pow(a: Any, b: Any) -> Any:
    try:
        return math.pow(a, b)
    except (ValueError, OverflowError):
        with np.errstate(all="ignore"):
            return float(np.power(np.float64(a), np.float64(b)))


def pairwise(function: Any, x: Any, y: Any) -> Any:
    """Return a function of two Python floats, elementwise."""
    a, b = _alike(x, y)
    made = [function(p, q) for p, q in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)]
    return np.array(made, dtype=np.float64).reshape(a.shape)


def arctan2(y: Any, x: Any) -> Any:
    """Return the angle of the points (x, y)."""
    return pairwise(math.atan2, y, x)


def hypot(x: Any, y: Any) -> Any:
    """Return the length of the vectors (x, y)."""
    return pairwise(math.hypot, x, y)
