"""Factors of small dense matrices, in a fixed order.

Householder's reflections work on the rows of a matrix, which are the columns of the transpose that
is factorised (Golub and Van Loan, Matrix Computations, 5.1 to 5.5).  After step k row j holds
R[0..k, j], so that R' stands in the lower triangle.
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
    from cython.cimports.optdriver.lbfgsb.linalg import cholesky as factorise
    from cython.cimports.optdriver.lbfgsb.linalg import copy, solve, solve_transposed, take_four
    from cython.cimports.optdriver.lbfgsb.state import cut, integers, numbers, reading
else:
    from math import fabs, sqrt

    from optdriver.geometry.products import add, inner
    from optdriver.lbfgsb.linalg import cholesky as factorise
    from optdriver.lbfgsb.linalg import copy, solve, solve_transposed, take_four
    from optdriver.lbfgsb.state import cut, integers, numbers, reading

from optdriver.geometry.products import flat, rows_of


def reflect(
    v: cython.p_double,
    beta: cython.double,
    k: cython.Py_ssize_t,
    x: cython.p_double,
    a: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.void:
    """X <- (I - beta v v') x, for the n numbers of x from `a` on; v is row k of its matrix."""
    s: cython.double
    if beta != 0.0:
        s = -beta * inner(v, k * n + k, x, a + k, n - k)
        add(s, v, k * n + k, x, a + k, n - k)


def triangularise(
    a: cython.p_double,
    v: cython.p_double,
    beta: cython.p_double,
    order: cython.p_Py_ssize_t,
    q: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
    pivoting: cython.bint,
) -> cython.void:
    """Factorise the transpose of a, which has q rows of n, in place: A' P = Q R.

    Leaves R' in the lower triangle of a, the vectors of the reflections in the rows of v, and in
    `order` which row each one of a was.
    """
    j: cython.Py_ssize_t
    k: cython.Py_ssize_t
    best: cython.Py_ssize_t
    size: cython.double
    most: cython.double
    for j in range(q):
        order[j] = j
    for k in range(min(q, n)):
        best = k
        most = inner(a, k * n + k, a, k * n + k, n - k)
        if pivoting:
            for j in range(k + 1, q):
                size = inner(a, j * n + k, a, j * n + k, n - k)
                if size > most:
                    best = j
                    most = size
        if best != k:
            swap(a, order, k, best, n)
        size = sqrt(most)
        if a[k * n + k] > 0.0:
            size = -size
        for j in range(n):
            v[k * n + j] = a[k * n + j] if j >= k else 0.0
        v[k * n + k] -= size
        most = inner(v, k * n + k, v, k * n + k, n - k)
        beta[k] = 2.0 / most if most > 0.0 else 0.0
        a[k * n + k] = size
        for j in range(k + 1, n):
            a[k * n + j] = 0.0
        for j in range(k + 1, q):
            reflect(v, beta[k], k, a, j * n, n)


def swap(
    a: cython.p_double,
    order: cython.p_Py_ssize_t,
    i: cython.Py_ssize_t,
    j: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.void:
    """Exchange two rows."""
    k: cython.Py_ssize_t
    x: cython.double
    which: cython.Py_ssize_t = order[i]
    order[i] = order[j]
    order[j] = which
    for k in range(n):
        x = a[i * n + k]
        a[i * n + k] = a[j * n + k]
        a[j * n + k] = x


def rank_of(
    a: cython.p_double, q: cython.Py_ssize_t, n: cython.Py_ssize_t, least: cython.double
) -> cython.Py_ssize_t:
    """Return how many of the first diagonal elements of R are larger than `least` in size."""
    k: cython.Py_ssize_t = 0
    while k < min(q, n) and fabs(a[k * n + k]) > least:
        k += 1
    return k


def solve_lower(
    a: cython.p_double, b: cython.p_double, r: cython.Py_ssize_t, n: cython.Py_ssize_t
) -> cython.void:
    """B <- R'^-1 b with the leading r rows of R', which are n numbers apart."""
    j: cython.Py_ssize_t
    for j in range(r):
        b[j] = (b[j] - inner(a, j * n, b, 0, j)) / a[j * n + j]


def solve_upper(
    a: cython.p_double, b: cython.p_double, r: cython.Py_ssize_t, n: cython.Py_ssize_t
) -> cython.void:
    """B <- R^-1 b with the leading r rows of R', which are n numbers apart."""
    i: cython.Py_ssize_t
    for i in range(r - 1, -1, -1):
        b[i] /= a[i * n + i]
        add(-b[i], a, i * n, b, 0, i)


def lower_upper(
    a: cython.p_double, order: cython.p_Py_ssize_t, n: cython.Py_ssize_t
) -> cython.bint:
    """Factorise an (n, n) matrix in place as P'L U, with row pivoting; False if singular.

    Four columns of L are finished before what is right of them is passed over once; each number has
    the rows of U taken off one after the other all the same.
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    k: cython.Py_ssize_t
    best: cython.Py_ssize_t
    first: cython.Py_ssize_t
    last: cython.Py_ssize_t
    for i in range(n):
        order[i] = i
    for first in range(0, n, 4):
        last = first + 4 if first + 4 < n else n
        for k in range(first, last):
            best = k
            for i in range(k + 1, n):
                if fabs(a[i * n + k]) > fabs(a[best * n + k]):
                    best = i
            if best != k:
                swap(a, order, k, best, n)
            if not fabs(a[k * n + k]) > 0.0:
                return False
            for i in range(k + 1, n):
                if a[i * n + k] != 0.0:
                    a[i * n + k] /= a[k * n + k]
                    for j in range(k + 1, last):
                        a[i * n + j] -= a[i * n + k] * a[k * n + j]
        for i in range(first + 1, n):
            take_rows(a, i, first, last if last < i else i, last, n)
    return True


def take_rows(
    a: cython.p_double,
    i: cython.Py_ssize_t,
    first: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
    last: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.void:
    """Take the rows from `first` to `end` of U off row i, from column `last` on."""
    k: cython.Py_ssize_t
    at: cython.Py_ssize_t = i * n
    p: cython.double
    q: cython.double
    r: cython.double
    s: cython.double
    if end - first == 4:
        p = a[at + first]
        q = a[at + first + 1]
        r = a[at + first + 2]
        s = a[at + first + 3]
        if p != 0.0 and q != 0.0 and r != 0.0 and s != 0.0:
            take_four(p, q, r, s, a, first * n + last, at + last, n - last, n)
            return
    for k in range(first, end):
        if a[at + k] != 0.0:
            add(-a[at + k], a, k * n + last, a, at + last, n - last)


def substitute(a: cython.p_double, b: cython.p_double, n: cython.Py_ssize_t) -> cython.void:
    """B <- U^-1 L^-1 b, for the factors of an (n, n) matrix."""
    i: cython.Py_ssize_t
    for i in range(1, n):
        b[i] -= inner(a, i * n, b, 0, i)
    for i in range(n - 1, -1, -1):
        b[i] = (b[i] - inner(a, i * n + i + 1, b, i + 1, n - i - 1)) / a[i * n + i]


# -- on NumPy's arrays --------------------------------------------------------------------------


class Cholesky:
    """The factor of a symmetric positive definite matrix, A + shift I = R'R.

    Attributes
    ----------
    upper : ndarray, shape (n * n,)
        R, the diagonal as reciprocals; what is below it means nothing.
    n : int
    """

    def __init__(self, upper: Any, n: int) -> None:
        self.upper = upper
        self.n = n

    @staticmethod
    def of(matrix: Any, shift: float = 0.0) -> Cholesky | None:
        """Factorise the (n, n) array; None if it is not positive definite with the shift."""
        n: cython.Py_ssize_t = len(matrix)
        upper = flat(matrix).copy()
        if shift:
            upper[:: n + 1] += shift
        if n and not factorise(numbers(upper), n, n):
            return None
        return Cholesky(upper, n)

    def solve(self, b: Any) -> Any:
        """Return (A + shift I)^-1 b."""
        n: cython.Py_ssize_t = self.n
        x = np.array(b, dtype=np.float64)
        if n:
            solve_transposed(numbers(self.upper), numbers(x), n, n)
            solve(numbers(self.upper), numbers(x), n, n)
        return x

    def root(self, b: Any) -> Any:
        """Return R'^-1 b."""
        n: cython.Py_ssize_t = self.n
        x = np.array(b, dtype=np.float64)
        if n:
            solve_transposed(numbers(self.upper), numbers(x), n, n)
        return x

    def root_transposed(self, b: Any) -> Any:
        """Return R^-1 b."""
        n: cython.Py_ssize_t = self.n
        x = np.array(b, dtype=np.float64)
        if n:
            solve(numbers(self.upper), numbers(x), n, n)
        return x

    def rows(self, matrix: Any) -> Any:
        """Return A R^-1, shape (m, n), of a matrix of m rows."""
        n: cython.Py_ssize_t = self.n
        m: cython.Py_ssize_t = len(matrix)
        i: cython.Py_ssize_t
        made = np.array(matrix, dtype=np.float64, order="C").reshape(-1)
        if m and n:
            a: cython.p_double = numbers(made)
            for i in range(m):
                solve_transposed(numbers(self.upper), cut(a, i * n, n), n, n)
        return made.reshape(m, n)

    def inverse_root(self) -> Any:
        """Return R^-1, shape (n, n): upper triangular, and R^-1 R'^-1 is the inverse."""
        n: cython.Py_ssize_t = self.n
        rows = np.eye(n)  # row i becomes R'^-1 ... transposed: column i of R^-1
        i: cython.Py_ssize_t
        for i in range(n):
            row: Any = rows[i]
            solve(numbers(self.upper), numbers(row), n, n)
        return np.ascontiguousarray(rows.T)


class Orthogonal:
    """The factors A'P = Q R of the transpose of a (q, n) matrix, with pivoting.

    Attributes
    ----------
    lower : ndarray, shape (q, n)
        R' in the lower triangle.
    order : ndarray of int, shape (q,)
        Which row of A each one of `lower` belongs to.
    rank : int
    basis : ndarray, shape (n, n)
        The columns of Q as rows; the first `rank` span the rows of A, the others are normal to
        them.
    """

    def __init__(self, matrix: Any, tolerance: float) -> None:
        q: cython.Py_ssize_t
        n: cython.Py_ssize_t
        q, n = matrix.shape
        self.q = q
        self.n = n
        lower = flat(matrix).copy()
        vectors = np.zeros(q * n)
        beta = np.zeros(q)
        self.order = np.arange(q, dtype=np.intp)
        self.rank = 0
        self.basis = np.eye(n)
        self.lower = lower
        if not (q and n):
            return
        triangularise(
            numbers(lower), numbers(vectors), numbers(beta), integers(self.order), q, n, True
        )
        largest = abs(float(lower[0]))
        self.rank = rank_of(numbers(lower), q, n, tolerance * largest) if largest > 0.0 else 0
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        steps: cython.Py_ssize_t = min(q, n)
        rows: Any = self.basis.reshape(-1)
        for i in range(n):
            for k in range(steps - 1, -1, -1):
                reflect(numbers(vectors), beta[k], k, numbers(rows), i * n, n)

    def solve_transposed(self, b: Any) -> Any:
        """Return the w of `rank` numbers with R'w = (P'b) for the leading rows."""
        w = np.asarray(b, dtype=np.float64)[self.order[: self.rank]]
        if self.rank:
            solve_lower(numbers(self.lower), numbers(w), self.rank, self.n)
        return w

    def solve(self, c: Any) -> Any:
        """Return P R^-1 c, shape (q,); zero for the rows that depend on others."""
        y = np.array(c, dtype=np.float64)[: self.rank]
        if self.rank:
            solve_upper(numbers(self.lower), numbers(y), self.rank, self.n)
        x = np.zeros(self.q)
        x[self.order[: self.rank]] = y
        return x


class LeastSquares:
    """What makes |A x - b| least, and its scratch: A and b are written here, and x is read.

    Attributes
    ----------
    m, n : int
    columns : (n, m)
        The columns of A, one after the other; they are lost in the factorisation.
    target : (m,)
        b, which is lost too.
    x : (n,)
    vectors, beta, order, y : scratch
    """

    def __init__(self, m: int, n: int) -> None:
        a: cython.Py_ssize_t = m
        b: cython.Py_ssize_t = n
        self.m = a
        self.n = b
        self.reals = np.zeros(2 * a * b + a + 3 * b + 1)
        self.whole = np.zeros(b + 1, dtype=np.intp)
        p: cython.p_double = numbers(self.reals)
        self.columns = cut(p, 0, b * a)
        self.vectors = cut(p, b * a, b * a)
        self.target = cut(p, 2 * b * a, a)
        self.x = cut(p, 2 * b * a + a, b)
        self.beta = cut(p, 2 * b * a + a + b, b)
        self.y = cut(p, 2 * b * a + a + 2 * b, b)
        self.order = integers(self.whole)


def make_least(w: LeastSquares, tolerance: cython.double) -> cython.void:
    """Set x: a complete orthogonal factorisation (Golub and Van Loan, 5.5.2).

    What is below `tolerance` times the largest pivot counts as dependent.
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    m: cython.Py_ssize_t = w.m
    n: cython.Py_ssize_t = w.n
    if m == 0 or n == 0:
        return
    triangularise(w.columns, w.vectors, w.beta, w.order, n, m, True)
    largest: cython.double = fabs(w.columns[0])
    r: cython.Py_ssize_t = rank_of(w.columns, n, m, tolerance * largest) if largest > 0.0 else 0
    for i in range(r):
        reflect(w.vectors, w.beta[i], i, w.target, 0, m)
    for i in range(n):
        w.y[i] = w.target[i] if i < r else 0.0
    if r == n:
        solve_upper(w.columns, w.y, n, m)
    elif r:
        block: Any = np.empty(r * n)
        out: cython.p_double = numbers(block)
        for i in range(r):
            for j in range(n):
                out[i * n + j] = w.columns[j * m + i]
        shorten(out, w.y, r, n)
    for i in range(n):
        w.x[w.order[i]] = w.y[i]


def shorten(
    rows: cython.p_double, y: cython.p_double, r: cython.Py_ssize_t, n: cython.Py_ssize_t
) -> None:
    """Replace y, whose first r numbers are c, by the shortest y with [R11 R12] y = c."""
    k: cython.Py_ssize_t
    scratch: Any = np.zeros(r * n + r)
    order: Any = np.zeros(r, dtype=np.intp)
    vectors: cython.p_double = numbers(scratch)
    beta: cython.p_double = cut(vectors, r * n, r)
    triangularise(rows, vectors, beta, integers(order), r, n, False)
    solve_lower(rows, y, r, n)
    for k in range(r - 1, -1, -1):
        reflect(vectors, beta[k], k, y, 0, n)


def least_squares(matrix: Any, target: Any, tolerance: float) -> Any:
    """Return the x of least norm among those that make |A x - b| least.

    Parameters
    ----------
    matrix : ndarray, shape (m, n)
    target : ndarray, shape (m,)
    tolerance : float
        What is below this part of the largest pivot counts as dependent.
    """
    m: cython.Py_ssize_t
    n: cython.Py_ssize_t
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    m, n = matrix.shape
    w = LeastSquares(m, n)
    rows: Any = rows_of(matrix)
    right: Any = flat(target)
    a: cython.p_double = reading(rows)
    b: cython.p_double = reading(right)
    for i in range(m):
        w.target[i] = b[i]
        for j in range(n):
            w.columns[j * m + i] = a[i * n + j]
    make_least(w, tolerance)
    made = np.empty(n)
    if n:
        copy(w.x, numbers(made), n)
    return made


class LowerUpper:
    """The factors of a square matrix by Gaussian elimination with row pivoting."""

    def __init__(self, factors: Any, order: Any, n: int) -> None:
        self.factors = factors
        self.order = order
        self.n = n

    @staticmethod
    def of(matrix: Any) -> LowerUpper | None:
        """Factorise the (n, n) array; None if it is singular."""
        n: cython.Py_ssize_t = len(matrix)
        factors = flat(matrix).copy()
        order = np.arange(n, dtype=np.intp)
        if n and not lower_upper(numbers(factors), integers(order), n):
            return None
        return LowerUpper(factors, order, n)

    def solve(self, b: Any) -> Any:
        """Return A^-1 b."""
        n: cython.Py_ssize_t = self.n
        x = np.asarray(b, dtype=np.float64)[self.order]
        if n:
            substitute(numbers(self.factors), numbers(x), n)
        return x
