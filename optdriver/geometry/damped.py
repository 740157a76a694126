"""Steps of a Gauss-Newton model within a box: damped, and of a length.

The model at an iterate is ``1/2 |q + R p|^2``, with R from the orthogonal factors of the Jacobian
and q the residuals in its range.  The damped step minimises it with ``1/2 damping |D p|^2`` added
(Levenberg 1944, Marquardt 1963), and the damping is chosen for the length that is wanted (More
1978).  With bounds in the way the same is minimised within them, exactly: the bounds are part of
the problem and not of the scaling, and a step may end on one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import NAN, fabs, sqrt
    from cython.cimports.optdriver.geometry.factors import (
        LeastSquares,
        make_least,
        solve_lower,
        triangularise,
    )
    from cython.cimports.optdriver.geometry.products import add, inner, multiply, size
    from cython.cimports.optdriver.lbfgsb.linalg import all_finite, copy
    from cython.cimports.optdriver.lbfgsb.state import cut, cut_integers, integers, numbers, reading
else:
    from math import fabs, sqrt
    from math import nan as NAN

    from optdriver.geometry.factors import LeastSquares, make_least, solve_lower, triangularise
    from optdriver.geometry.products import add, inner, multiply, size
    from optdriver.lbfgsb.linalg import all_finite, copy
    from optdriver.lbfgsb.state import cut, cut_integers, integers, numbers, reading

from optdriver.geometry.products import flat, rows_of

EPS = 2.220446049250313e-16

CLOSE = 0.1
"""How far, relatively, the length of a step may be from the one that is wanted."""

TRIES = 30
"""Values of the damping that are tried for a length; each at least halves what is left."""


class Damped:
    """The model of a step and its scratch, in units of the columns.

    Attributes
    ----------
    k, n : int
        Rows of R, and variables.
    m : int
        Rows of the damped model: k, and n more where there is damping.
    matrix : (n, m)
        Its columns, of length 1, one after the other.
    right : (m,)
        -q, and zeros.
    columns : (n,)
        How long the columns were; 1 for those that are zero.
    low, high, x, z : (n,)
        The box, the step in it, and the one that the free variables would take.
    status : (n,)
        What each variable is: 0 free, -1 and 1 at its lower and upper bound, 2 not to be moved.
    free : (n,)
        The free ones, first to last.
    barred : (n,)
        Variables at a bound that rounding alone would free.
    least : LeastSquares
    """

    def __init__(self, k: int, n: int) -> None:
        a: cython.Py_ssize_t = k + n
        b: cython.Py_ssize_t = n
        self.k = k
        self.n = b
        self.m = a
        self.least = LeastSquares(a, b)
        self.reals = np.zeros(a * b + 2 * a + 6 * b + 1)
        self.whole = np.zeros(3 * b + 1, dtype=np.intp)
        p: cython.p_double = numbers(self.reals)
        self.matrix = cut(p, 0, a * b)
        self.right = cut(p, a * b, a)
        self.left = cut(p, a * b + a, a)
        at: cython.Py_ssize_t = a * b + 2 * a
        self.columns = cut(p, at, b)
        self.low = cut(p, at + b, b)
        self.high = cut(p, at + 2 * b, b)
        self.x = cut(p, at + 3 * b, b)
        self.z = cut(p, at + 4 * b, b)
        self.p = cut(p, at + 5 * b, b)
        w: cython.p_Py_ssize_t = integers(self.whole)
        self.status = w
        self.free = cut_integers(w, b, b)
        self.barred = cut_integers(w, 2 * b, b)


def set_up(
    s: Damped,
    triangle: cython.p_double,
    q: cython.p_double,
    scale: cython.p_double,
    damping: cython.double,
) -> cython.bint:
    """Write the damped model; False if a number of it is not finite."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    n: cython.Py_ssize_t = s.n
    m: cython.Py_ssize_t = s.k + n if damping > 0.0 else s.k
    root: cython.double = sqrt(damping) if damping > 0.0 else 0.0
    long: cython.double
    s.m = m
    s.least.m = m
    for i in range(m):
        s.right[i] = -q[i] if i < s.k else 0.0
    for j in range(n):
        for i in range(m):
            s.matrix[j * m + i] = triangle[i * n + j] if i < s.k else 0.0
        if damping > 0.0:
            s.matrix[j * m + s.k + j] = root * scale[j]
        long = size(s.matrix, j * m, m)
        s.columns[j] = long if long != 0.0 else 1.0
        for i in range(m):
            s.matrix[j * m + i] /= s.columns[j]
    return all_finite(s.matrix, n * m) and all_finite(s.right, m)


def settle_free(s: Damped, tolerance: cython.double) -> cython.void:
    """Set z of the free variables to what makes the model least, the others where x has them."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    count: cython.Py_ssize_t = 0
    m: cython.Py_ssize_t = s.m
    copy(s.right, s.least.target, m)
    for j in range(s.n):
        if s.status[j] == 0:
            for i in range(m):
                s.least.columns[count * m + i] = s.matrix[j * m + i]
            s.free[count] = j
            count += 1
        elif s.x[j] != 0.0:
            add(-s.x[j], s.matrix, j * m, s.least.target, 0, m)
    s.least.n = count
    make_least(s.least, tolerance)
    for i in range(count):
        s.z[s.free[i]] = s.least.x[i] if m else 0.0


def settle(s: Damped, tolerance: cython.double) -> cython.void:
    """Set x to the step that makes the model least within the box (Stark and Parker's BVLS)."""
    j: cython.Py_ssize_t
    crossed: cython.bint = True
    for j in range(s.n):
        s.x[j] = 0.0
        s.status[j] = 0 if s.low[j] < s.high[j] else 2
        s.barred[j] = 0
    while crossed:  # what the free step crosses is taken to hold
        crossed = False
        settle_free(s, tolerance)
        for j in range(s.n):
            if s.status[j] == 0 and not s.low[j] <= s.z[j] <= s.high[j]:
                hold(s, j, -1 if s.z[j] < s.low[j] else 1)
                crossed = True
    for j in range(s.n):
        if s.status[j] == 0:
            s.x[j] = s.z[j]
        crossed = crossed or s.status[j] == -1 or s.status[j] == 1
    if crossed:
        improve(s, tolerance)


def hold(s: Damped, j: cython.Py_ssize_t, side: cython.Py_ssize_t) -> cython.void:
    """Hold a variable at a bound."""
    s.status[j] = side
    s.x[j] = s.low[j] if side == -1 else s.high[j]


def improve(s: Damped, tolerance: cython.double) -> cython.void:
    """Free the variables at bounds along which the model falls, one after the other."""
    _round: cython.Py_ssize_t
    j: cython.Py_ssize_t
    side: cython.Py_ssize_t
    level: cython.double = EPS
    level *= 4.0 * size(s.right, 0, s.m)
    for _round in range(10 * s.n):
        j = most_promising(s, level)
        if j < 0:
            return
        side = s.status[j]
        s.status[j] = 0
        settle_free(s, tolerance)
        if s.z[j] <= s.low[j] if side == -1 else s.z[j] >= s.high[j]:
            s.status[j] = side
            s.barred[j] = 1
            continue
        while advance(s):
            settle_free(s, tolerance)
        for j in range(s.n):
            s.barred[j] = 0


def most_promising(s: Damped, level: cython.double) -> cython.Py_ssize_t:
    """Return the variable at a bound along which the model falls most; -1 if there is none."""
    j: cython.Py_ssize_t
    best: cython.Py_ssize_t = -1
    slope: cython.double
    most: cython.double = level
    m: cython.Py_ssize_t = s.m
    for j in range(m):
        s.left[j] = -s.right[j]
    for j in range(s.n):
        if s.x[j] != 0.0:
            add(s.x[j], s.matrix, j * m, s.left, 0, m)
    for j in range(s.n):
        if (s.status[j] == -1 or s.status[j] == 1) and not s.barred[j]:
            slope = inner(s.matrix, j * m, s.left, 0, m)
            if s.status[j] == -1:
                slope = -slope
            if slope > most:
                most = slope
                best = j
    return best


def advance(s: Damped) -> cython.bint:
    """Go from x towards z until a bound is in the way; whether one was, which holds then."""
    j: cython.Py_ssize_t
    hit: cython.Py_ssize_t = -1
    part: cython.double = 1.0
    way: cython.double
    for j in range(s.n):
        if s.status[j] == 0 and not s.low[j] <= s.z[j] <= s.high[j]:
            way = (s.low[j] if s.z[j] < s.low[j] else s.high[j]) - s.x[j]
            way /= s.z[j] - s.x[j]
            if hit < 0 or way < part:
                part = way
                hit = j
    for j in range(s.n):
        if s.status[j] == 0:
            s.x[j] = s.x[j] + part * (s.z[j] - s.x[j]) if hit >= 0 else s.z[j]
            if s.x[j] < s.low[j]:
                s.x[j] = s.low[j]
            if s.x[j] > s.high[j]:
                s.x[j] = s.high[j]
    if hit >= 0:
        hold(s, hit, -1 if s.z[hit] < s.low[hit] else 1)
    return hit >= 0


def put_step(s: Damped, low: cython.p_double, high: cython.p_double) -> cython.void:
    """Set p to the step in the units of the variables; at a bound it is the bound."""
    j: cython.Py_ssize_t
    for j in range(s.n):
        s.p[j] = s.x[j] / s.columns[j]
        if s.status[j] == -1 or s.p[j] < low[j]:
            s.p[j] = low[j]
        elif s.status[j] == 1 or s.p[j] > high[j]:
            s.p[j] = high[j]


def solve_damped(
    s: Damped,
    triangle: cython.p_double,
    q: cython.p_double,
    scale: cython.p_double,
    damping: cython.double,
    low: cython.p_double,
    high: cython.p_double,
) -> cython.bint:
    """Set p to the damped step; False where the model is not finite."""
    j: cython.Py_ssize_t
    if not set_up(s, triangle, q, scale, damping):
        return False
    for j in range(s.n):
        s.low[j] = low[j] * s.columns[j]
        s.high[j] = high[j] * s.columns[j]
    tolerance: cython.double = EPS
    settle(s, tolerance * (s.m if s.m > s.n else s.n))
    put_step(s, low, high)
    return True


def scaled_length(s: Damped, scale: cython.p_double) -> cython.double:
    """Return |D p|."""
    j: cython.Py_ssize_t
    for j in range(s.n):
        s.z[j] = scale[j] * s.p[j]
    return size(s.z, 0, s.n)


def next_damping(
    s: Damped,
    scale: cython.p_double,
    length: cython.double,
    radius: cython.double,
    damping: cython.double,
) -> cython.double:
    """Return the next damping by Newton's method on ``1/|D p|`` (More 1978, eq. 5.4), or NaN."""
    j: cython.Py_ssize_t
    n: cython.Py_ssize_t = s.n
    m: cython.Py_ssize_t = s.m
    slope: cython.double
    if not length > 0.0:
        return NAN
    copy(s.matrix, s.least.columns, n * m)
    triangularise(s.least.columns, s.least.vectors, s.least.beta, s.least.order, n, m, False)
    for j in range(n):
        if not fabs(s.least.columns[j * m + j]) > 0.0:
            return NAN
        s.z[j] = scale[j] * scale[j] * s.p[j] / s.columns[j]
    solve_lower(s.least.columns, s.z, n, m)
    slope = inner(s.z, 0, s.z, 0, n) / length
    return damping + (length / radius) * (length - radius) / slope if slope > 0.0 else NAN


# -- on NumPy's arrays --------------------------------------------------------------------------


def damped(triangle: Any, q: Any, scale: Any, damping: float, low: Any, high: Any) -> Any:
    """Return the step that minimises the damped model for ``low <= p <= high``.

    Of steps that do equally well, without damping, it is the shortest in units of the columns.

    Parameters
    ----------
    triangle : ndarray, shape (k, n)
        The factor R; any matrix with the same ``R'R`` and ``R'q`` will do.
    q : ndarray, shape (k,)
    scale : ndarray, shape (n,)
        The diagonal D.
    damping : float
    low, high : ndarray, shape (n,)
        With ``low <= 0 <= high``.

    Raises
    ------
    numpy.linalg.LinAlgError
        A number of the model is not finite.
    """
    return of_length(triangle, q, scale, np.inf, low, high, damping)[0]


def of_length(
    triangle: Any, q: Any, scale: Any, radius: float, low: Any, high: Any, start: float = 0.0
) -> tuple[Any, float]:
    """Return the step of the model with ``|D p|`` of about `radius` at most, and its damping.

    Parameters
    ----------
    triangle, q, scale, low, high
        As in `damped`.
    radius : float
    start : float
        The damping of a step that is short enough.
    """
    k: cython.Py_ssize_t
    n: cython.Py_ssize_t
    k, n = triangle.shape
    s = Damped(k, n)
    a: Any = rows_of(triangle)
    b: Any = flat(q)
    sizes: Any = flat(scale)
    below: Any = flat(low)
    above: Any = flat(high)
    rows: cython.p_double = reading(a)
    right: cython.p_double = reading(b)
    d: cython.p_double = reading(sizes)
    under: cython.p_double = reading(below)
    over: cython.p_double = reading(above)
    limit: cython.double = radius
    damping: cython.double = start
    if not solve_damped(s, rows, right, d, damping, under, over):
        raise np.linalg.LinAlgError(UNUSABLE)
    if scaled_length(s, d) > (1.0 + CLOSE) * limit:
        damping = shortened(s, rows, right, d, limit, under, over)
        if damping < 0.0:
            raise np.linalg.LinAlgError(UNUSABLE)
    made = np.empty(n)
    if n:
        copy(s.p, numbers(made), n)
    return made, damping


UNUSABLE = "the model of the residuals has numbers that are not finite"


def shortened(
    s: Damped,
    triangle: cython.p_double,
    q: cython.p_double,
    scale: cython.p_double,
    radius: cython.double,
    low: cython.p_double,
    high: cython.p_double,
) -> cython.double:
    """Set p to the step of a length, and return its damping; -1 where a model is not finite."""
    _k: cython.Py_ssize_t
    j: cython.Py_ssize_t
    length: cython.double
    least: cython.double = 0.0
    close: cython.double = CLOSE
    for j in range(s.n):
        s.z[j] = 0.0
    for j in range(s.k):
        add(q[j], triangle, j * s.n, s.z, 0, s.n)
    for j in range(s.n):
        s.z[j] /= scale[j]
    most: cython.double = size(s.z, 0, s.n) / radius
    damping: cython.double = 1e-3 * most
    for _k in range(TRIES):
        if not solve_damped(s, triangle, q, scale, damping, low, high):
            return -1.0
        length = scaled_length(s, scale)
        if fabs(length - radius) <= close * radius:
            break
        if length > radius:
            least = damping
        else:
            most = damping
        damping = next_damping(s, scale, length, radius, damping)
        if not least < damping < most:
            damping = sqrt(least * most)
            if damping < 1e-3 * most:
                damping = 1e-3 * most
    return damping


def gain(triangle: Any, q: Any, p: Any) -> float:
    """Return by how much the model falls over a step."""
    k: cython.Py_ssize_t
    n: cython.Py_ssize_t
    k, n = triangle.shape
    a: Any = rows_of(triangle)
    b: Any = flat(q)
    step: Any = flat(p)
    scratch: Any = np.zeros(k + 1)
    moved: cython.p_double = numbers(scratch)
    fallen: cython.double
    multiply(reading(a), reading(step), moved, k, n)
    fallen = -inner(reading(b), 0, moved, 0, k) - 0.5 * inner(moved, 0, moved, 0, k)
    return float(fallen) if fallen > 0.0 else 0.0
