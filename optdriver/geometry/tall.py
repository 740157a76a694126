"""Orthogonal factors of a matrix with many rows, A = Q R, in a fixed order.

The rows are taken a tile at a time.  Each tile is reduced, together with the triangle of those
before it, by Householder's reflections, so what is worked on stays in the cache (Golub, Plemmons
and Sameh, "Parallel block schemes for large-scale least-squares computations", 1988; Golub and Van
Loan, Matrix Computations, 5.1 and 5.2).
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
    from cython.cimports.optdriver.geometry.products import add, inner
    from cython.cimports.optdriver.lbfgsb.state import cut, numbers, reading
else:
    from math import fabs, sqrt

    from optdriver.geometry.products import add, inner
    from optdriver.lbfgsb.state import cut, numbers, reading

from optdriver.geometry.products import flat, rows_of

TILE = 256
"""Rows that are reduced at once: the order of the sums depends on it."""


def unit_of(a: cython.p_double, m: cython.Py_ssize_t, n: cython.Py_ssize_t) -> cython.double:
    """Return a power of two by which a column of an (m, n) matrix gets an ordinary size.

    It is 1 for nearly all columns: only there squares would overflow or vanish.
    """
    i: cython.Py_ssize_t
    most: cython.double = 0.0
    unit: cython.double = 1.0
    for i in range(m):
        if fabs(a[i * n]) > most:
            most = fabs(a[i * n])
    if most == 0.0 or most - most != 0.0:
        return unit
    while most * unit > 1.2676506002282294e30:  # 2^100
        unit *= 7.888609052210118e-31  # 2^-100
    while most * unit < 7.888609052210118e-31:
        unit *= 1.2676506002282294e30
    return unit


def reduce_tile(
    upper: cython.p_double,
    tile: cython.p_double,
    heads: cython.p_double,
    beta: cython.p_double,
    n: cython.Py_ssize_t,
    stride: cython.Py_ssize_t,
    count: cython.Py_ssize_t,
) -> cython.void:
    """Replace R by the triangle of R on top of a tile, whose `n` columns are `stride` apart.

    Leaves the vectors of the reflections in the tile, but for their first numbers, the `heads`.
    """
    j: cython.Py_ssize_t
    k: cython.Py_ssize_t
    total: cython.double
    size: cython.double
    head: cython.double
    s: cython.double
    for k in range(n):
        heads[k] = beta[k] = 0.0
        total = inner(tile, k * stride, tile, k * stride, count)
        if total == 0.0:
            continue
        head = upper[k * n + k]
        size = sqrt(head * head + total)
        if head > 0.0:
            size = -size
        upper[k * n + k] = size
        head -= size
        heads[k] = head
        beta[k] = 2.0 / (head * head + total)
        for j in range(k + 1, n):
            s = head * upper[k * n + j] + inner(tile, k * stride, tile, j * stride, count)
            s *= -beta[k]
            upper[k * n + j] += s * head
            add(s, tile, k * stride, tile, j * stride, count)


def reflect_tile(
    top: cython.p_double,
    part: cython.p_double,
    tile: cython.p_double,
    heads: cython.p_double,
    beta: cython.p_double,
    n: cython.Py_ssize_t,
    stride: cython.Py_ssize_t,
    count: cython.Py_ssize_t,
) -> cython.void:
    """Apply the reflections of a tile to a vector: the numbers of the triangle, and the tile's."""
    k: cython.Py_ssize_t
    s: cython.double
    for k in range(n):
        if beta[k] != 0.0:
            s = -beta[k] * (heads[k] * top[k] + inner(tile, k * stride, part, 0, count))
            top[k] += s * heads[k]
            add(s, tile, k * stride, part, 0, count)


# -- on NumPy's arrays --------------------------------------------------------------------------


class Tall:
    """The factors A = Q R of an (m, n) matrix; with m <= n, A itself is taken for R.

    Parameters
    ----------
    rows : ndarray, shape (m, n)

    Attributes
    ----------
    upper : ndarray, shape (min(m, n), n)
        R: ``R'R = A'A``, whatever the rank.
    """

    def __init__(self, rows: Any) -> None:
        m: cython.Py_ssize_t
        n: cython.Py_ssize_t
        m, n = rows.shape
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        self.m = m
        self.n = n
        given: Any = rows_of(rows)
        if m <= n:
            self.upper = given
            return
        stride: cython.Py_ssize_t = m if m < TILE else TILE
        tiles: cython.Py_ssize_t = (m + stride - 1) // stride
        self.stride = stride
        self.vectors = np.empty(tiles * stride * n)
        self.heads = np.zeros(2 * tiles * n)
        made: Any = np.zeros(n * n + n)
        if n == 0:
            self.upper = made.reshape(0, 0)
            return
        a: cython.p_double = reading(given)
        upper: cython.p_double = numbers(made)
        units: cython.p_double = cut(upper, n * n, n)
        tiled: cython.p_double = numbers(self.vectors)
        heads: cython.p_double = numbers(self.heads)
        first: cython.Py_ssize_t = 0
        count: cython.Py_ssize_t
        tile: cython.p_double
        head: cython.p_double
        for j in range(n):
            units[j] = unit_of(cut(a, j, (m - 1) * n + 1), m, n)
        while first < m:
            count = min(stride, m - first)
            tile = cut(tiled, first * n, stride * n)
            head = cut(heads, first // stride * 2 * n, 2 * n)
            for i in range(count):
                for j in range(n):
                    tile[j * stride + i] = a[(first + i) * n + j] * units[j]
            reduce_tile(upper, tile, head, cut(head, n, n), n, stride, count)
            first += stride
        for j in range(n):
            for i in range(j + 1):
                upper[i * n + j] /= units[j]
        self.upper = made[: n * n].reshape(n, n)

    def reduced(self, b: Any) -> Any:
        """Return what R belongs to: the first numbers of Q'b, shape (min(m, n),)."""
        m: cython.Py_ssize_t = self.m
        n: cython.Py_ssize_t = self.n
        rest: Any = flat(b)
        if len(rest) != m:
            raise ValueError(f"factors of {m} rows and a vector of {len(rest)} numbers")
        if m <= n:
            return rest
        made = np.zeros(n)
        if n == 0:
            return made
        rest = np.array(rest)
        stride: cython.Py_ssize_t = self.stride
        first: cython.Py_ssize_t = 0
        top: cython.p_double = numbers(made)
        part: cython.p_double = numbers(rest)
        tile: cython.p_double = numbers(self.vectors)
        heads: cython.p_double = numbers(self.heads)
        while first < m:
            reflect_tile(
                top,
                cut(part, first, m - first),
                cut(tile, first * n, stride * n),
                cut(heads, first // stride * 2 * n, n),
                cut(heads, first // stride * 2 * n + n, n),
                n,
                stride,
                min(stride, m - first),
            )
            first += stride
        return made
