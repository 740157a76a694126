"""Sums, products and small triangular systems in a fixed order: the same bits everywhere.

Only + - * / and sqrt are used, each correctly rounded by IEEE 754, and every sum has one order.
"""

from __future__ import annotations

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import sqrt
else:
    from math import sqrt


def finite(a: cython.double) -> cython.bint:
    """Whether `a` is neither infinite nor NaN."""
    return a - a == 0.0


def clamp(a: cython.double, low: cython.double, high: cython.double) -> cython.double:
    """Return the number of [low, high] nearest to `a`."""
    if a < low:
        return low
    if a > high:
        return high
    return a


def ratio(a: cython.double, b: cython.double) -> cython.double:
    """Return a / b, and where b is zero the largest number of a's sign."""
    if b != 0.0:
        return a / b
    if a == 0.0:
        return 0.0
    return 1.7976931348623157e308 if a > 0.0 else -1.7976931348623157e308


def dot(x: cython.p_double, y: cython.p_double, n: cython.Py_ssize_t) -> cython.double:
    """Return x'y, summed in four interleaved parts so that a compiler can pipeline them."""
    i: cython.Py_ssize_t
    n4: cython.Py_ssize_t = n - n % 4
    a: cython.double = 0.0
    b: cython.double = 0.0
    c: cython.double = 0.0
    d: cython.double = 0.0
    for i in range(0, n4, 4):
        a += x[i] * y[i]
        b += x[i + 1] * y[i + 1]
        c += x[i + 2] * y[i + 2]
        d += x[i + 3] * y[i + 3]
    for i in range(n4, n):
        a += x[i] * y[i]
    return (a + b) + (c + d)


def copy(x: cython.p_double, y: cython.p_double, n: cython.Py_ssize_t) -> cython.void:
    """y <- x."""
    i: cython.Py_ssize_t
    for i in range(n):
        y[i] = x[i]


def zero(x: cython.p_double, n: cython.Py_ssize_t) -> cython.void:
    """x <- 0."""
    i: cython.Py_ssize_t
    for i in range(n):
        x[i] = 0.0


def subtract(
    x: cython.p_double,
    y: cython.p_double,
    z: cython.p_double,
    n: cython.Py_ssize_t,
) -> cython.void:
    """z <- x - y."""
    i: cython.Py_ssize_t
    for i in range(n):
        z[i] = x[i] - y[i]


def scale(
    x: cython.p_double, a: cython.double, y: cython.p_double, n: cython.Py_ssize_t
) -> cython.void:
    """y <- a x."""
    i: cython.Py_ssize_t
    for i in range(n):
        y[i] = a * x[i]


def all_finite(x: cython.p_double, n: cython.Py_ssize_t) -> cython.bint:
    """Whether every number of `x` is finite."""
    i: cython.Py_ssize_t
    bad: cython.Py_ssize_t = 0
    for i in range(n):
        if x[i] - x[i] != 0.0:  # NaN too
            bad += 1
    return bad == 0


def cholesky(a: cython.p_double, n: cython.Py_ssize_t, m: cython.Py_ssize_t) -> cython.bint:
    """Factorise the leading n x n block of a (rows of m) in place as R'R; upper triangle only.

    The diagonal of R is left as its reciprocals, for `solve` to multiply by.  Returns False, with
    the block half done, where it is not positive definite.

    Four rows of R are finished before what is below them is passed over once; each number has them
    taken off one after the other all the same.
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    q: cython.Py_ssize_t
    first: cython.Py_ssize_t
    last: cython.Py_ssize_t
    pivot: cython.double
    for first in range(0, n, 4):
        last = first + 4 if first + 4 < n else n
        for q in range(first, last):
            pivot = a[q * m + q]
            if not (pivot > 0.0 and pivot - pivot == 0.0):
                return False
            pivot = 1.0 / sqrt(pivot)
            a[q * m + q] = pivot
            for j in range(q + 1, n):
                a[q * m + j] *= pivot
            for i in range(q + 1, last):
                pivot = a[q * m + i]
                for j in range(i, n):
                    a[i * m + j] -= pivot * a[q * m + j]
        for i in range(last, n):
            j = first * m + i
            take_four(a[j], a[j + m], a[j + 2 * m], a[j + 3 * m], a, j, i * m + i, n - i, m)
    return True


def take_four(
    p: cython.double,
    q: cython.double,
    r: cython.double,
    s: cython.double,
    a: cython.p_double,
    rows: cython.Py_ssize_t,
    to: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
    m: cython.Py_ssize_t,
) -> cython.void:
    """Take four rows, from `rows` on and m numbers apart, times p to s off the n numbers at `to`.

    One after the other, as four passes would.
    """
    j: cython.Py_ssize_t
    for j in range(n):
        a[to + j] = (
            a[to + j]
            - p * a[rows + j]
            - q * a[rows + m + j]
            - r * a[rows + 2 * m + j]
            - s * a[rows + 3 * m + j]
        )


def solve_transposed(
    a: cython.p_double, b: cython.p_double, n: cython.Py_ssize_t, m: cython.Py_ssize_t
) -> cython.void:
    """b <- R'^-1 b, with R as `cholesky` left it."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    x: cython.double
    for i in range(n):
        x = b[i] * a[i * m + i]
        b[i] = x
        for j in range(i + 1, n):
            b[j] -= a[i * m + j] * x


def solve(
    a: cython.p_double, b: cython.p_double, n: cython.Py_ssize_t, m: cython.Py_ssize_t
) -> cython.void:
    """b <- R^-1 b, with R as `cholesky` left it."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    sum: cython.double
    for i in range(n - 1, -1, -1):
        sum = b[i]
        for j in range(i + 1, n):
            sum -= a[i * m + j] * b[j]
        b[i] = sum * a[i * m + i]
