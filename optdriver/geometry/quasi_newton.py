"""Quadratic models from limited-memory pairs, by the recursion of the updates, oldest pair first.

B = theta I + V diag(signs) V', the columns of V as rows one after the other.

Sources: Conn, Gould, Toint, Math. Prog. 50 (1991) 177 (SR1); Powell, "A fast algorithm for
nonlinearly constrained optimization calculations" (1978) (damping).
"""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import fabs, sqrt
    from cython.cimports.optdriver.geometry.products import add, inner, size
    from cython.cimports.optdriver.lbfgsb.linalg import finite
    from cython.cimports.optdriver.lbfgsb.state import cut, numbers, reading
else:
    from math import fabs, sqrt

    from optdriver.geometry.products import add, inner, size
    from optdriver.lbfgsb.linalg import finite
    from optdriver.lbfgsb.state import cut, numbers, reading

from optdriver.geometry.products import flat, rows_of


def apply(
    v: cython.p_double,
    signs: cython.p_double,
    k: cython.Py_ssize_t,
    theta: cython.double,
    s: cython.p_double,
    a: cython.Py_ssize_t,
    out: cython.p_double,
    n: cython.Py_ssize_t,
) -> cython.void:
    """Out <- B s, s from `a` on."""
    i: cython.Py_ssize_t
    for i in range(n):
        out[i] = theta * s[a + i]
    for i in range(k):
        add(signs[i] * inner(v, i * n, s, a, n), v, i * n, out, 0, n)


def put(
    x: cython.p_double,
    factor: cython.double,
    sign: cython.double,
    v: cython.p_double,
    signs: cython.p_double,
    k: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.void:
    """Make factor x the column k of V."""
    i: cython.Py_ssize_t
    for i in range(n):
        v[k * n + i] = x[i] * factor
    signs[k] = sign


def rank_one(
    s: cython.p_double,
    y: cython.p_double,
    theta: cython.double,
    v: cython.p_double,
    signs: cython.p_double,
    r: cython.p_double,
    pairs: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.Py_ssize_t:
    """Update by SR1, leaving out a pair with |r's| <= 1e-8 |r||s|; return the columns of V."""
    p: cython.Py_ssize_t
    i: cython.Py_ssize_t
    k: cython.Py_ssize_t = 0
    bend: cython.double
    size: cython.double
    for p in range(pairs):
        apply(v, signs, k, theta, s, p * n, r, n)
        for i in range(n):
            r[i] = y[p * n + i] - r[i]
        bend = inner(r, 0, s, p * n, n)
        size = sqrt(inner(r, 0, r, 0, n)) * sqrt(inner(s, p * n, s, p * n, n))
        if fabs(bend) > 1e-8 * size:
            put(r, 1.0 / sqrt(fabs(bend)), 1.0 if bend > 0.0 else -1.0, v, signs, k, n)
            k += 1
    return k


def damped(
    s: cython.p_double,
    y: cython.p_double,
    theta: cython.double,
    v: cython.p_double,
    signs: cython.p_double,
    r: cython.p_double,
    z: cython.p_double,
    pairs: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.Py_ssize_t:
    """Update by BFGS with Powell's damping, s'y at least 0.2 s'Bs; return the columns of V."""
    p: cython.Py_ssize_t
    i: cython.Py_ssize_t
    k: cython.Py_ssize_t = 0
    old: cython.double
    new: cython.double
    weight: cython.double
    for p in range(pairs):
        apply(v, signs, k, theta, s, p * n, r, n)
        old = inner(s, p * n, r, 0, n)
        if not old > 0.0:
            continue
        new = inner(s, p * n, y, p * n, n)
        weight = 1.0 if new >= 0.2 * old else 0.8 * old / (old - new)
        for i in range(n):
            z[i] = weight * y[p * n + i] + (1.0 - weight) * r[i]
        new = inner(s, p * n, z, 0, n)
        if not new > 0.0:
            continue
        put(r, 1.0 / sqrt(old), -1.0, v, signs, k, n)
        put(z, 1.0 / sqrt(new), 1.0, v, signs, k + 1, n)
        k += 2
    return k


def low_base(
    s: cython.p_double,
    y: cython.p_double,
    first: cython.double,
    pairs: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.double:
    """Return |s'y| / s's of the newest pair: zero where f is linear along s, which is right."""
    p: cython.Py_ssize_t
    square: cython.double
    theta: cython.double
    for p in range(pairs - 1, -1, -1):
        square = inner(s, p * n, s, p * n, n)
        if square > 0.0:
            theta = fabs(inner(s, p * n, y, p * n, n)) / square
            if finite(theta):
                return theta
    return first


def high_base(
    s: cython.p_double,
    y: cython.p_double,
    first: cython.double,
    pairs: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.double:
    """Return y'y / s'y of the newest pair whose curvature is positive.

    A pair with s'y below 1e-8 |s||y| sets no base.
    """
    p: cython.Py_ssize_t
    bend: cython.double
    theta: cython.double
    for p in range(pairs - 1, -1, -1):
        bend = inner(s, p * n, y, p * n, n)
        if bend > 1e-8 * size(s, p * n, n) * size(y, p * n, n):
            theta = inner(y, p * n, y, p * n, n) / bend
            if finite(theta):
                return theta
    return first


def sr1(steps: Any, changes: Any, first: float) -> tuple[float, Any, Any]:
    """Return theta, V' and the signs of the symmetric rank-one model, with a low base.

    Parameters
    ----------
    steps, changes : ndarray, shape (k, n)
        Pairs s, y, oldest first.
    first : float
        The base while no pair is usable.
    """
    n: cython.Py_ssize_t = steps.shape[1]
    pairs: cython.Py_ssize_t = steps.shape[0]
    theta: cython.double = first
    if pairs and n:
        left: Any = rows_of(steps)
        right: Any = rows_of(changes)
        theta = low_base(reading(left), reading(right), theta, pairs, n)
    rows, signs = correction(steps, changes, theta)
    return float(theta), rows, signs


def correction(steps: Any, changes: Any, base: float = 0.0) -> tuple[Any, Any]:
    """Return V' and the signs of the symmetric rank-one updates of a base.

    A base of zero is for what a known matrix leaves: along no step is anything left that no pair
    tells of.

    Parameters
    ----------
    steps, changes : ndarray, shape (k, n)
        Pairs s, y, oldest first; y is what a known matrix leaves of the change of the gradient.
    base : float
        The multiple of the identity that is updated.
    """
    n: cython.Py_ssize_t = steps.shape[1]
    pairs: cython.Py_ssize_t = steps.shape[0]
    k: cython.Py_ssize_t = 0
    rows = np.zeros(pairs * n)
    signs = np.zeros(pairs)
    if pairs and n:
        left: Any = rows_of(steps)
        right: Any = rows_of(changes)
        scratch = np.zeros(n)
        s: cython.p_double = reading(left)
        y: cython.p_double = reading(right)
        k = rank_one(s, y, base, numbers(rows), numbers(signs), numbers(scratch), pairs, n)
    return rows[: k * n].reshape(k, n), signs[:k]


def damped_bfgs(steps: Any, changes: Any, first: float) -> tuple[float, Any, Any]:
    """Return theta, V' and the signs of the damped BFGS model (arguments as in `sr1`)."""
    n: cython.Py_ssize_t = steps.shape[1]
    pairs: cython.Py_ssize_t = steps.shape[0]
    k: cython.Py_ssize_t = 0
    theta: cython.double = first
    rows = np.zeros(2 * pairs * n)
    signs = np.zeros(2 * pairs)
    if pairs and n:
        left: Any = rows_of(steps)
        right: Any = rows_of(changes)
        scratch = np.zeros(2 * n)
        s: cython.p_double = reading(left)
        y: cython.p_double = reading(right)
        r: cython.p_double = numbers(scratch)
        theta = high_base(s, y, theta, pairs, n)
        k = damped(s, y, theta, numbers(rows), numbers(signs), r, cut(r, n, n), pairs, n)
    return float(theta), rows[: k * n].reshape(k, n), signs[:k]


def fill_times(
    theta: cython.double,
    v: cython.p_double,
    signs: cython.p_double,
    k: cython.Py_ssize_t,
    x: cython.p_double,
    out: cython.p_double,
    n: cython.Py_ssize_t,
) -> cython.void:
    """Out <- B x, the part of low rank first."""
    i: cython.Py_ssize_t
    w: cython.double
    for i in range(n):
        out[i] = 0.0
    for i in range(k):
        w = signs[i] * inner(v, i * n, x, 0, n)
        if w != 0.0:
            add(w, v, i * n, out, 0, n)
    for i in range(n):
        out[i] = theta * x[i] + out[i]


def times(theta: float, rows: Any, signs: Any, s: Any) -> Any:
    """Return B s, shape (n,), for V' as (k, n) rows."""
    k: cython.Py_ssize_t
    n: cython.Py_ssize_t
    k, n = rows.shape
    columns: Any = rows_of(rows)
    given: Any = flat(s)
    made = np.zeros(n)
    if not n:
        return made
    fill_times(theta, reading(columns), reading(signs), k, reading(given), numbers(made), n)
    return made
