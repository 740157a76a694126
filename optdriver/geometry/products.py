"""Products of vectors and matrices, summed in one order.

Matrices are rows one after the other.  The functions of the first part take addresses, those of the
second NumPy's arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import INFINITY, fabs, log, sqrt
    from cython.cimports.optdriver.lbfgsb.linalg import all_finite
    from cython.cimports.optdriver.lbfgsb.state import is_contiguous, numbers, reading
else:
    from math import fabs, log, sqrt
    from math import inf as INFINITY

    from optdriver.lbfgsb.linalg import all_finite
    from optdriver.lbfgsb.state import is_contiguous, numbers, reading


def peak(x: cython.p_double, n: cython.Py_ssize_t) -> cython.double:
    """Return the largest size of n numbers; infinite if one is NaN."""
    i: cython.Py_ssize_t
    most: cython.double = 0.0
    for i in range(n):
        if fabs(x[i]) > most:
            most = fabs(x[i])
        elif x[i] != x[i]:
            return INFINITY
    return most


def inner(
    x: cython.p_double,
    a: cython.Py_ssize_t,
    y: cython.p_double,
    b: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.double:
    """Return the product of n numbers of x from `a` on with n of y from `b` on, in four sums."""
    i: cython.Py_ssize_t
    n4: cython.Py_ssize_t = n - n % 4
    p: cython.double = 0.0
    q: cython.double = 0.0
    r: cython.double = 0.0
    s: cython.double = 0.0
    for i in range(0, n4, 4):
        p += x[a + i] * y[b + i]
        q += x[a + i + 1] * y[b + i + 1]
        r += x[a + i + 2] * y[b + i + 2]
        s += x[a + i + 3] * y[b + i + 3]
    for i in range(n4, n):
        p += x[a + i] * y[b + i]
    return (p + q) + (r + s)


def add(
    w: cython.double,
    x: cython.p_double,
    a: cython.Py_ssize_t,
    y: cython.p_double,
    b: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.void:
    """Y <- y + w x, for n numbers from `b` and from `a` on."""
    i: cython.Py_ssize_t
    for i in range(n):
        y[b + i] += w * x[a + i]


def multiply(
    a: cython.p_double,
    x: cython.p_double,
    out: cython.p_double,
    m: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.void:
    """Out <- A x, A of m rows and n columns."""
    i: cython.Py_ssize_t
    for i in range(m):
        out[i] = inner(a, i * n, x, 0, n)


def multiply_transposed(
    a: cython.p_double,
    x: cython.p_double,
    out: cython.p_double,
    m: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.void:
    """Out <- A' x, A of m rows and n columns."""
    i: cython.Py_ssize_t
    for i in range(n):
        out[i] = 0.0
    for i in range(m):
        if x[i] != 0.0:
            add(x[i], a, i * n, out, 0, n)


def multiply_matrices(
    a: cython.p_double,
    b: cython.p_double,
    out: cython.p_double,
    m: cython.Py_ssize_t,
    k: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.void:
    """Out <- A B, of (m, k) and (k, n)."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    for i in range(m * n):
        out[i] = 0.0
    for i in range(m):
        for j in range(k):
            if a[i * k + j] != 0.0:
                add(a[i * k + j], b, j * n, out, i * n, n)


def add_gram(
    a: cython.p_double,
    w: cython.p_double,
    out: cython.p_double,
    m: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.void:
    """Out <- out + A' diag(w) A, upper triangle only."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    x: cython.double
    for i in range(m):
        for j in range(n):
            x = w[i] * a[i * n + j]
            if x != 0.0:
                add(x, a, i * n + j, out, j * n + j, n - j)


def mirror(a: cython.p_double, n: cython.Py_ssize_t) -> cython.void:
    """Copy the upper triangle of an (n, n) matrix into the lower one."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    for i in range(n):
        for j in range(i):
            a[i * n + j] = a[j * n + i]


def add_logs(x: cython.p_double, n: cython.Py_ssize_t) -> cython.double:
    """Return the sum of the logarithms of n positive numbers."""
    i: cython.Py_ssize_t
    total: cython.double = 0.0
    for i in range(n):
        total += log(x[i])
    return total


def length(x: cython.p_double, a: cython.Py_ssize_t, n: cython.Py_ssize_t) -> cython.double:
    """Return the Euclidean length of n numbers from `a` on, also where squares overflow."""
    i: cython.Py_ssize_t
    most: cython.double = 0.0
    total: cython.double = 0.0
    for i in range(a, a + n):
        if fabs(x[i]) > most:
            most = fabs(x[i])
    if not 1e150 < most < 1e308:
        return sqrt(inner(x, a, x, a, n))
    for i in range(a, a + n):
        total += (x[i] / most) * (x[i] / most)
    return most * sqrt(total)


def size(x: cython.p_double, a: cython.Py_ssize_t, n: cython.Py_ssize_t) -> cython.double:
    """Return the Euclidean length of n numbers from `a` on, also where squares vanish; NaN of NaN.

    Unlike `length` it divides by the largest number wherever that is extreme.
    """
    i: cython.Py_ssize_t
    n4: cython.Py_ssize_t = n - n % 4
    peak: cython.double = 0.0
    p: cython.double = 0.0
    q: cython.double = 0.0
    r: cython.double = 0.0
    s: cython.double = 0.0
    for i in range(a, a + n):
        if x[i] != x[i]:
            return x[i]
        if fabs(x[i]) > peak:
            peak = fabs(x[i])
    if 1e-140 < peak < 1e140:
        return sqrt(inner(x, a, x, a, n))
    if peak == 0.0 or peak - peak != 0.0:
        return peak
    for i in range(a, a + n4, 4):
        p += (x[i] / peak) * (x[i] / peak)
        q += (x[i + 1] / peak) * (x[i + 1] / peak)
        r += (x[i + 2] / peak) * (x[i + 2] / peak)
        s += (x[i + 3] / peak) * (x[i + 3] / peak)
    for i in range(a + n4, a + n):
        p += (x[i] / peak) * (x[i] / peak)
    return peak * sqrt((p + q) + (r + s))


# -- on NumPy's arrays --------------------------------------------------------------------------


def flat(array: Any) -> Any:
    """Return the numbers of an array, row by row, as contiguous float64; a view where it can be."""
    if type(array) is np.ndarray and array.ndim == 1 and is_contiguous(array):
        return array
    return np.ascontiguousarray(array, dtype=np.float64).reshape(-1)


def rows_of(array: Any) -> Any:
    """Return an array as contiguous float64, itself if it is that."""
    if type(array) is np.ndarray and is_contiguous(array):
        return array
    return np.ascontiguousarray(array, dtype=np.float64)


def put(given: Any, out: cython.p_double, first: cython.Py_ssize_t) -> None:
    """Write the numbers of an array, row by row, from `first` on."""
    u: Any = rows_of(given)
    i: cython.Py_ssize_t
    x: cython.p_double = reading(u)
    n: cython.Py_ssize_t = u.size
    for i in range(n):
        out[first + i] = x[i]


def dot(x: Any, y: Any) -> float:
    """Return x'y."""
    u: Any = flat(x)
    v: Any = flat(y)
    n: cython.Py_ssize_t = len(u)
    if n != len(v):
        raise ValueError(f"vectors of {n} and {len(v)} numbers")
    return inner(reading(u), 0, reading(v), 0, n) if n else 0.0


def norm(x: Any) -> float:
    """Return the Euclidean length of a vector."""
    u: Any = flat(x)
    return float(size(reading(u), 0, len(u)))


def row_lengths(a: Any) -> Any:
    """Return the Euclidean lengths of the rows of a dense array, also where squares overflow."""
    m: cython.Py_ssize_t
    n: cython.Py_ssize_t
    i: cython.Py_ssize_t
    m, n = a.shape
    u: Any = rows_of(a)
    made = np.zeros(m)
    x: cython.p_double = reading(u)
    out: cython.p_double = numbers(made)
    for i in range(m):
        out[i] = length(x, i * n, n)
    return made


def are_finite(x: Any) -> bool:
    """Say whether all numbers of an array are finite."""
    u: Any = rows_of(x)
    return bool(all_finite(reading(u), u.size))


def largest(x: Any, least: float = 0.0) -> float:
    """Return the largest of numbers and `least`; infinite if one is NaN."""
    u: Any = flat(x)
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(u)
    most: cython.double = least
    v: cython.p_double = reading(u)
    for i in range(n):
        if v[i] > most:
            most = v[i]
        elif v[i] != v[i]:
            return float("inf")
    return float(most)


def largest_size(x: Any) -> float:
    """Return the largest size of numbers, 0 of none; infinite if one is NaN."""
    u: Any = flat(x)
    return float(peak(reading(u), len(u)))


def outside(c: Any, weights: Any, e: Any, others: Any) -> float:
    """Return the root of the sum of squared violations, weighted; infinite if one is no number.

    Parameters
    ----------
    c, e : ndarray
        Numbers that should be at most zero, and zero.
    weights, others : ndarray
    """
    u: Any = flat(c)
    w: Any = flat(weights)
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(u)
    total: cython.double = 0.0
    x: cython.p_double = reading(u)
    y: cython.p_double = reading(w)
    for i in range(n):
        if not x[i] <= 0.0:
            total += (x[i] * y[i]) * (x[i] * y[i])
    u = flat(e)
    w = flat(others)
    n = len(u)
    x = reading(u)
    y = reading(w)
    for i in range(n):
        total += (x[i] * y[i]) * (x[i] * y[i])
    return float(sqrt(total)) if total - total == 0.0 else float("inf")


def span(x: Any, y: Any, sizes: Any) -> float:
    """Return the largest |x - y| / size, 0 of none; infinite if one is NaN."""
    u: Any = flat(x)
    v: Any = flat(y)
    w: Any = flat(sizes)
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(u)
    part: cython.double
    most: cython.double = 0.0
    left: cython.p_double = reading(u)
    right: cython.p_double = reading(v)
    size: cython.p_double = reading(w)
    for i in range(n):
        part = fabs(left[i] - right[i]) / size[i]
        if part > most:
            most = part
        elif part != part:
            return float("inf")
    return float(most)


def moved(x: Any, step: Any, length: float, lower: Any, upper: Any) -> Any:
    """Return the point of the box that is nearest to x + length step."""
    u: Any = flat(x)
    v: Any = flat(step)
    a: Any = flat(lower)
    b: Any = flat(upper)
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(u)
    part: cython.double = length
    made: Any = np.empty(n)
    out: cython.p_double = numbers(made)
    here: cython.p_double = reading(u)
    way: cython.p_double = reading(v)
    low: cython.p_double = reading(a)
    high: cython.p_double = reading(b)
    for i in range(n):
        out[i] = here[i] + part * way[i]
        if out[i] < low[i]:
            out[i] = low[i]
        if out[i] > high[i]:
            out[i] = high[i]
    return made


def extent(x: cython.double, width: cython.double, narrow: cython.double) -> cython.double:
    """Return max(1, |x|), or the width where that is below the part `narrow` of it, and not 0."""
    made: cython.double = fabs(x)
    if made < 1.0:
        made = 1.0
    return width if 0.0 < width < narrow * made else made


def extents(x: Any, lower: Any, upper: Any, narrow: float) -> Any:
    """Return max(1, |x|) of each variable, or the width of its box where that is narrow.

    Parameters
    ----------
    x, lower, upper : ndarray, shape (n,)
    narrow : float
        Widths below this part of max(1, |x|), and above 0, are the size.
    """
    u: Any = flat(x)
    v: Any = flat(lower)
    w: Any = flat(upper)
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(u)
    part: cython.double = narrow
    made: Any = np.empty(n)
    out: cython.p_double = numbers(made)
    here: cython.p_double = reading(u)
    low: cython.p_double = reading(v)
    high: cython.p_double = reading(w)
    for i in range(n):
        out[i] = extent(here[i], high[i] - low[i], part)
    return made


def row_units(rows: Any, scale: Any, own: Any, coarsest: Any, smallest: float) -> Any:
    """Return what rows are multiplied by, shape (m,): 1 / length, or 1 / `own` where that is less.

    Parameters
    ----------
    rows : ndarray, shape (m, n)
        Gradients; those that vanish or are not finite count as of length 1.
    scale : ndarray, shape (n,)
        Lengths are measured in variables of these sizes.
    own, coarsest : ndarray, shape (m,)
        What the rows call a unit, and the least of what they are divided by.
    smallest : float
        A length below this part of the largest one counts as that.
    """
    m: cython.Py_ssize_t
    n: cython.Py_ssize_t
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    m, n = rows.shape
    u: Any = rows_of(rows)
    v: Any = flat(scale)
    w: Any = flat(own)
    given: Any = flat(coarsest)
    made: Any = np.empty(m)
    scratch: Any = np.empty(n + 1)
    part: cython.double = smallest
    most: cython.double = 0.0
    least: cython.double
    a: cython.p_double = reading(u)
    size: cython.p_double = reading(v)
    unit: cython.p_double = reading(w)
    coarse: cython.p_double = reading(given)
    out: cython.p_double = reading(made)
    row: cython.p_double = numbers(scratch)
    for i in range(m):
        for j in range(n):
            row[j] = a[i * n + j] * size[j]
        out[i] = length(row, 0, n)
        if out[i] - out[i] == 0.0 and out[i] > most:
            most = out[i]
    least = part * most
    for i in range(m):
        if out[i] - out[i] != 0.0 or not out[i] > 0.0:
            out[i] = 1.0
        elif out[i] < least:
            out[i] = least
        if unit[i] < out[i]:
            out[i] = unit[i]
        if coarse[i] > out[i]:
            out[i] = coarse[i]
        out[i] = 1.0 / out[i]
    return made


def growth(x: Any, box: Any, narrow: float, scale: Any) -> tuple[float, float]:
    """Return the least and the largest of what `extents` gives / scale; (1, 1) of none.

    Parameters
    ----------
    x, scale : ndarray, shape (n,)
    box : (lower, upper) or None
        Without any no width is narrow.
    narrow : float
    """
    u: Any = flat(x)
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(u)
    bounded: cython.bint = box is not None
    lower: Any = flat(box[0]) if bounded else u
    upper: Any = flat(box[1]) if bounded else u
    part: cython.double = narrow
    size: cython.double
    least: cython.double = 1.0
    most: cython.double = 1.0
    here: cython.p_double = reading(u)
    unit: cython.p_double = reading(scale)
    low: cython.p_double = reading(lower)
    high: cython.p_double = reading(upper)
    for i in range(n):
        size = extent(here[i], high[i] - low[i] if bounded else 0.0, part) / unit[i]
        if i == 0 or size < least:
            least = size
        if i == 0 or size > most:
            most = size
    return float(least), float(most)


def sum_of_logs(x: Any) -> float:
    """Return the sum of the logarithms of positive numbers, by the C library's logarithm.

    NumPy's own depends on the processor in its last bit.
    """
    u: Any = flat(x)
    n: cython.Py_ssize_t = len(u)
    return add_logs(reading(u), n) if n else 0.0


def times(a: Any, x: Any) -> Any:
    """Return A x, shape (m,), of a dense (m, n) array and n numbers."""
    m: cython.Py_ssize_t
    n: cython.Py_ssize_t
    m, n = a.shape
    u: Any = flat(x)
    if n != len(u):
        raise ValueError(f"a matrix of {n} columns and a vector of {len(u)} numbers")
    out = np.zeros(m)
    if m and n:
        b: Any = rows_of(a)
        multiply(reading(b), reading(u), numbers(out), m, n)
    return out


def transposed_times(a: Any, x: Any) -> Any:
    """Return A' x, shape (n,), of a dense (m, n) array and m numbers."""
    m: cython.Py_ssize_t
    n: cython.Py_ssize_t
    m, n = a.shape
    u: Any = flat(x)
    if m != len(u):
        raise ValueError(f"a matrix of {m} rows and a vector of {len(u)} numbers")
    out = np.zeros(n)
    if m and n:
        b: Any = rows_of(a)
        multiply_transposed(reading(b), reading(u), numbers(out), m, n)
    return out


def product(a: Any, b: Any) -> Any:
    """Return A B, shape (m, n), of dense arrays of shapes (m, k) and (k, n)."""
    m: cython.Py_ssize_t
    k: cython.Py_ssize_t
    n: cython.Py_ssize_t
    m, k = a.shape
    n = b.shape[1]
    if k != b.shape[0]:
        raise ValueError(f"matrices of {k} columns and of {b.shape[0]} rows")
    out = np.zeros(m * n)
    if m and k and n:
        left: Any = rows_of(a)
        right: Any = rows_of(b)
        multiply_matrices(reading(left), reading(right), numbers(out), m, k, n)
    return out.reshape(m, n)


def gram(a: Any, w: Any) -> Any:
    """Return A' diag(w) A, shape (n, n), of a dense (m, n) array and m numbers."""
    m: cython.Py_ssize_t
    n: cython.Py_ssize_t
    m, n = a.shape
    u: Any = flat(w)
    if m != len(u):
        raise ValueError(f"a matrix of {m} rows and {len(u)} weights")
    out = np.zeros(n * n)
    if m and n:
        b: Any = rows_of(a)
        add_gram(reading(b), reading(u), numbers(out), m, n)
        mirror(numbers(out), n)
    return out.reshape(n, n)
