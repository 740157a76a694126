"""Singular values by rotations of the columns, in a fixed order: A V = U S.

Hestenes' one-sided Jacobi method: pairs of columns are rotated until all are orthogonal, to which
the singular values are the lengths (Golub and Van Loan, Matrix Computations, 8.6.3).  Small values
come out with the relative accuracy that the matrix allows (Demmel and Veselic, SIAM J. Matrix Anal.
Appl. 13 (1992) 1204).
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
    from cython.cimports.optdriver.geometry.tall import unit_of
    from cython.cimports.optdriver.lbfgsb.state import numbers, reading
else:
    from math import fabs, sqrt

    from optdriver.geometry.products import add, inner, size
    from optdriver.geometry.tall import unit_of
    from optdriver.lbfgsb.state import numbers, reading

from optdriver.geometry.products import flat, rows_of

SWEEPS = 40
"""Rounds of rotations at most; six to ten are enough."""


def rotate(
    a: cython.p_double,
    i: cython.Py_ssize_t,
    j: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
    cosine: cython.double,
    sine: cython.double,
) -> cython.void:
    """Rotate the n numbers from `i` on against those from `j` on."""
    k: cython.Py_ssize_t
    x: cython.double
    for k in range(n):
        x = cosine * a[i + k] - sine * a[j + k]
        a[j + k] = sine * a[i + k] + cosine * a[j + k]
        a[i + k] = x


def sweep(
    a: cython.p_double, v: cython.p_double, n: cython.Py_ssize_t, m: cython.Py_ssize_t
) -> cython.bint:
    """Rotate each pair of the n columns, m numbers each, and of those of v; whether one was."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    turned: cython.bint = False
    along: cython.double
    first: cython.double
    second: cython.double
    part: cython.double
    cosine: cython.double
    rounding: cython.double = 2.220446049250313e-16 * (4 + m // 4)
    for i in range(n - 1):
        for j in range(i + 1, n):
            along = inner(a, i * m, a, j * m, m)
            first = inner(a, i * m, a, i * m, m)
            second = inner(a, j * m, a, j * m, m)
            if not fabs(along) > rounding * sqrt(first) * sqrt(second):
                continue
            turned = True
            part = (second - first) / (2.0 * along)
            if part >= 0.0:
                part = 1.0 / (part + sqrt(1.0 + part * part))
            else:
                part = -1.0 / (sqrt(1.0 + part * part) - part)
            cosine = 1.0 / sqrt(1.0 + part * part)
            rotate(a, i * m, j * m, m, cosine, cosine * part)
            rotate(v, i * n, j * n, n, cosine, cosine * part)
    return turned


# -- on NumPy's arrays --------------------------------------------------------------------------


class Singular:
    """Singular values and vectors of an (m, n) matrix.

    Attributes
    ----------
    sizes : ndarray, shape (n,)
        The singular values, the largest first; with m < n, zeros or rounding behind the m-th.
    right : ndarray, shape (n, n)
        The right singular vectors as rows.
    images : ndarray, shape (n, m)
        The left ones as rows, each times its singular value.
    """

    def __init__(self, matrix: Any) -> None:
        m: cython.Py_ssize_t
        n: cython.Py_ssize_t
        m, n = matrix.shape
        _k: cython.Py_ssize_t
        given: Any = rows_of(matrix)
        unit: float = unit_of(reading(given), m * n, 1) if m and n else 1.0
        columns = np.array(given.T, order="C") * unit
        right = np.eye(n)
        if m and n:
            for _k in range(SWEEPS):
                if not sweep(numbers(columns.reshape(-1)), numbers(right.reshape(-1)), n, m):
                    break
        sizes = np.array([size(reading(row), 0, m) for row in columns]) / unit
        order = np.argsort(-sizes, kind="stable")
        self.sizes = sizes[order]
        self.right = right[order]
        self.images = columns[order] / unit

    def solve(self, target: Any, least: float) -> Any:
        """Return the x of least norm that makes |A x - target| least.

        Parameters
        ----------
        target : ndarray, shape (m,)
        least : float
            Singular values up to this part of the largest count as zero.
        """
        b: Any = flat(target)
        n: cython.Py_ssize_t = len(self.sizes)
        m: cython.Py_ssize_t = len(b)
        k: cython.Py_ssize_t
        made = np.zeros(n)
        if not (m and n):
            return made
        known: cython.double = float(self.sizes[0]) * least
        part: cython.double
        images: Any = flat(self.images)
        vectors: Any = flat(self.right)
        values: cython.p_double = reading(self.sizes)
        for k in range(n):
            if values[k] > known:
                part = inner(reading(images), k * m, reading(b), 0, m) / values[k] / values[k]
                add(part, reading(vectors), k * n, numbers(made), 0, n)
        return made
