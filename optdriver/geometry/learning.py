"""What a trial teaches: the pair of step and change, and how well two models foresaw it.

A model is B = theta I + V diag(signs) V' in the scaled variables u = x / D, the columns of V as
rows one after the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import INFINITY, fabs, log
    from cython.cimports.optdriver.geometry.products import inner, size
    from cython.cimports.optdriver.geometry.quasi_newton import fill_times
    from cython.cimports.optdriver.lbfgsb.state import cut, numbers, reading
else:
    from math import fabs, log
    from math import inf as INFINITY

    from optdriver.geometry.products import inner, size
    from optdriver.geometry.quasi_newton import fill_times
    from optdriver.lbfgsb.state import cut, numbers, reading

from optdriver.geometry.products import flat, rows_of

MEMORY = 0.7
"""What an evaluation leaves of the scores before it."""

REJECTION = 2.0
"""What is added to the score of a model that promised a decrease by a step that was rejected."""


def differences(
    x: Any, z: Any, g: Any, h: Any, scale: Any
) -> tuple[Any, Any, float, float, float, float]:
    """Return the step and the change of the gradient between two points, and f's changes.

    Parameters
    ----------
    x, z, g, h : ndarray, shape (n,)
        Points, and the gradients at x and at z.
    scale : ndarray, shape (n,)
        D.

    Returns
    -------
    s, y : ndarray, shape (n,)
        z - x and h - g.
    slope, mean : float
        g's, and 1/2 (g + h)'s: the changes of f to first order, and by the trapezoidal rule.
    sizes, sigma : float
        |g|'|x|; the largest |s| / D, infinite if one is no number.
    """
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(x)
    part: cython.double
    most: cython.double = 0.0
    reals: Any = np.empty(5 * n)
    s: cython.p_double = numbers(reals)
    y: cython.p_double = cut(s, n, n)
    middle: cython.p_double = cut(s, 2 * n, n)
    slopes: cython.p_double = cut(s, 3 * n, n)
    extents: cython.p_double = cut(s, 4 * n, n)
    unit: cython.p_double = reading(scale)
    here: Any = flat(x)
    there: Any = flat(z)
    first: Any = flat(g)
    second: Any = flat(h)
    a: cython.p_double = reading(here)
    b: cython.p_double = reading(there)
    p: cython.p_double = reading(first)
    q: cython.p_double = reading(second)
    for i in range(n):
        s[i] = b[i] - a[i]
        y[i] = q[i] - p[i]
        middle[i] = 0.5 * (p[i] + q[i])
        slopes[i] = fabs(p[i])
        extents[i] = fabs(a[i])
        part = fabs(s[i]) / unit[i]
        if part > most:
            most = part
        elif part != part:
            most = INFINITY
    return (
        reals[:n],
        reals[n : 2 * n],
        inner(p, 0, s, 0, n),
        inner(middle, 0, s, 0, n),
        inner(slopes, 0, extents, 0, n),
        most,
    )


def are_usable(s: Any, y: Any, g: Any) -> bool:
    """Say whether there is a step, and the change y no longer than 1e8 times the gradient g."""
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(s)
    step: cython.p_double = reading(s)
    change: cython.p_double = reading(y)
    slopes: cython.p_double = reading(g)
    moved: cython.bint = False
    for i in range(n):
        if step[i] != 0.0:
            moved = True
    return bool(moved and size(change, 0, n) <= 1e8 * size(slopes, 0, n))


def appended(rows: Any, row: Any, keep: int) -> Any:
    """Return the newest `keep` of the rows, shape (k, n), and one more behind them."""
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(row)
    k: cython.Py_ssize_t = len(rows)
    first: cython.Py_ssize_t = k + 1 - keep if k + 1 > keep else 0
    given: Any = rows_of(rows)
    made: Any = np.empty((k + 1 - first, n))
    old: cython.p_double = reading(given)
    new: cython.p_double = reading(row)
    out: cython.p_double = reading(made)
    for i in range((k - first) * n):
        out[i] = old[first * n + i]
    for i in range(n):
        out[(k - first) * n + i] = new[i]
    return made


def learnt(
    scores: Any,
    models: Any,
    known: Any,
    pair: Any,
    left: Any,
    g: Any,
    scale: Any,
    unit: float,
    slope: float,
    accepted: bool,
    keep: int,
) -> tuple[Any, Any, Any]:
    """Return the scores after one more evaluation, and the pairs that are kept, in u.

    Parameters
    ----------
    scores, models, unit, accepted
        As for `rescored`.
    known : (steps, changes)
        The pairs, shape (k, n), oldest first.
    pair : (s, y)
        The new one, in x.
    left : ndarray, shape (n,), or None
        What is kept for y, if that is not y.
    g, scale : ndarray, shape (n,)
        The gradient before the step, and D.
    slope : float
        g's.
    keep : int
        The most pairs that are kept; 0 if the new one is not.
    """
    s, y = pair
    steps, changes = known
    step, change = scaled(s, y, scale)
    made: Any = rescored(scores, models, step, change, unit, slope / unit, accepted)
    if keep and are_usable(s, y, g):
        steps = appended(steps, step, keep)
        changes = appended(changes, change if left is None else left * scale, keep)
    return made, steps, changes


def scaled(s: Any, y: Any, scale: Any) -> tuple[Any, Any]:
    """Return the pair in u: s / D and y D."""
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(s)
    reals: Any = np.empty(2 * n)
    step: cython.p_double = reading(s)
    change: cython.p_double = reading(y)
    size: cython.p_double = reading(scale)
    u: cython.p_double = numbers(reals)
    v: cython.p_double = cut(u, n, n)
    for i in range(n):
        u[i] = step[i] / size[i]
        v[i] = change[i] * size[i]
    return reals[:n], reals[n:]


def rescored(
    scores: Any, models: Any, s: Any, y: Any, unit: float, slope: float, accepted: bool
) -> Any:
    """Return the scores of models after one more evaluation; the lower one is the better model.

    To that of each is added log clip(|y - B s| / |y|, 1e-3, 1e3), and more if it is to blame for a
    step that was rejected.  To blame only the one whose step it was lets the choice swing to and
    fro (on LUKVLI9, 80 evaluations for 29).

    Parameters
    ----------
    scores : ndarray, shape (k,)
    models : sequence of k tuples
        theta, V' and signs of each, for f / unit.
    s, y : ndarray, shape (n,)
        The pair in u, of f.
    unit, slope : float
        g's, of f / unit.
    accepted : bool
    """
    i: cython.Py_ssize_t
    at: cython.Py_ssize_t
    k: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(s)
    part: cython.double
    blame: cython.double
    divisor: cython.double = unit
    falls: cython.double = slope
    scratch: Any = np.empty(3 * n + 1)
    change: cython.p_double = numbers(scratch)
    bent: cython.p_double = cut(change, n, n)
    missed: cython.p_double = cut(change, 2 * n, n)
    made: Any = np.empty(len(scores))
    out: cython.p_double = numbers(made)
    before: cython.p_double = reading(scores)
    step: cython.p_double = reading(s)
    given: cython.p_double = reading(y)
    for i in range(n):
        change[i] = given[i] / divisor
    whole: cython.double = size(change, 0, n)
    if whole < 1e-300:
        whole = 1e-300
    for at, (theta, rows, signs) in enumerate(models):
        columns: Any = rows_of(rows)
        sign: Any = flat(signs)
        k = len(sign)
        fill_times(theta, reading(columns), reading(sign), k, step, bent, n)
        for i in range(n):
            missed[i] = change[i] - bent[i]
        part = size(missed, 0, n) / whole
        if part < 1e-3:
            part = 1e-3
        if part > 1e3:
            part = 1e3
        blame = 0.0
        if not accepted and falls + 0.5 * inner(step, 0, bent, 0, n) < 0.0:
            blame = 1.0
        out[at] = MEMORY * before[at] + log(part) + REJECTION * blame
    return made
