"""Newton's step for the barrier problem.

The slacks are eliminated, the equalities by a QR factorisation, and the matrix in their null space

K = B + sum lambda Hess c + sum nu Hess e + J' diag(lambda / s) J
      + diag(zl / (t - lower) + zu / (upper - t))

is raised by delta I until Cholesky's factorisation succeeds.

Source: Nocedal, Wright, Numerical Optimization, 2nd ed., sections 16.2 and 19.3.
"""

from __future__ import annotations

import numpy as np

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import fabs
    from cython.cimports.optdriver.geometry.factors import (
        rank_of,
        reflect,
        solve_lower,
        solve_upper,
        triangularise,
    )
    from cython.cimports.optdriver.geometry.products import (
        add,
        add_gram,
        inner,
        mirror,
        multiply,
        multiply_matrices,
        multiply_transposed,
    )
    from cython.cimports.optdriver.geometry.subproblem import Point, Subproblem, set_bends
    from cython.cimports.optdriver.lbfgsb.linalg import (
        all_finite,
        cholesky,
        copy,
        solve,
        solve_transposed,
    )
    from cython.cimports.optdriver.lbfgsb.state import cut, integers, numbers
else:
    from math import fabs

    from optdriver.geometry.factors import (
        rank_of,
        reflect,
        solve_lower,
        solve_upper,
        triangularise,
    )
    from optdriver.geometry.products import (
        add,
        add_gram,
        inner,
        mirror,
        multiply,
        multiply_matrices,
        multiply_transposed,
    )
    from optdriver.geometry.subproblem import Point, Subproblem, set_bends
    from optdriver.lbfgsb.linalg import all_finite, cholesky, copy, solve, solve_transposed
    from optdriver.lbfgsb.state import cut, integers, numbers


class Step:
    """A direction for every variable; `curvature` is dt' K dt."""

    def __init__(self, n: int, m: int, q: int) -> None:
        a: cython.Py_ssize_t = n
        b: cython.Py_ssize_t = m
        c: cython.Py_ssize_t = q
        self.reals = np.zeros(3 * a + 2 * b + c + 1)
        self.curvature = 0.0
        p: cython.p_double = numbers(self.reals)
        self.t = cut(p, 0, a)
        self.zl = cut(p, a, a)
        self.zu = cut(p, 2 * a, a)
        self.s = cut(p, 3 * a, b)
        self.lam = cut(p, 3 * a + b, b)
        self.nu = cut(p, 3 * a + 2 * b, c)


class Factor:
    """Factors of K in the null space of the equalities.

    Attributes
    ----------
    matrix : (n, n)
        K, raised.
    basis : (n, n)
        Orthonormal rows: the first `rank` span the equalities' rows, the others are normal to them.
    lower, vectors, beta, order
        Of the factorisation of the equalities' rows, see `factors`.
    reduced, upper : (n - rank, n - rank)
        K among the others, where there are equalities, and its Cholesky factor.
    raised : float
        delta.
    weights : (m,)
    right, rest : (n,)
        Scratch.
    """

    def __init__(self, n: int, m: int, q: int) -> None:
        a: cython.Py_ssize_t = n
        b: cython.Py_ssize_t = m
        c: cython.Py_ssize_t = q
        square: cython.Py_ssize_t = a * a
        only: cython.Py_ssize_t = square if q else 0
        self.rank = 0
        self.raised = 0.0
        self.reals = np.zeros(2 * square + 3 * only + 2 * c * a + c + b + 2 * a + 1)
        self.whole = np.zeros(c + 1, dtype=np.intp)
        p: cython.p_double = numbers(self.reals)
        self.matrix = cut(p, 0, square)
        self.upper = cut(p, square, square)
        self.weights = cut(p, 2 * square, b)
        self.right = cut(p, 2 * square + b, a)
        self.rest = cut(p, 2 * square + b + a, a)
        at: cython.Py_ssize_t = 2 * square + b + 2 * a
        self.basis = cut(p, at, only)
        self.product = cut(p, at + only, only)
        self.reduced = cut(p, at + 2 * only, only)
        self.lower = cut(p, at + 3 * only, c * a)
        self.vectors = cut(p, at + 3 * only + c * a, c * a)
        self.beta = cut(p, at + 3 * only + 2 * c * a, c)
        self.order = integers(self.whole)


def factorise(
    f: Factor, s: Subproblem, p: Point, slopes: cython.p_double, last: cython.double
) -> cython.bint:
    """Factorise K at the point; False if nothing makes it positive definite.

    `slopes` are the gradients of the rows there, `last` is the delta of the factorisation before.
    """
    i: cython.Py_ssize_t
    _k: cython.Py_ssize_t
    n: cython.Py_ssize_t = s.n
    size: cython.Py_ssize_t
    raised: cython.double = 0.0
    following: cython.double = 1e-6
    if last > 0.0:
        following = last / 3.0 if last / 3.0 > 1e-8 else 1e-8
    set_bends(s, p, f.matrix)
    for i in range(s.m):
        f.weights[i] = p.lam[i] / p.s[i]
    add_gram(slopes, f.weights, f.matrix, s.m, n)
    mirror(f.matrix, n)
    for i in range(n):
        f.matrix[i * n + i] += p.zl[i] / (p.t[i] - s.lower[i]) + p.zu[i] / (s.upper[i] - p.t[i])
    if not all_finite(f.matrix, n * n):
        return False
    reduce(f, s, slopes)
    size = n - f.rank
    for _k in range(41):
        copy(f.reduced if s.q else f.matrix, f.upper, size * size)
        for i in range(size):
            f.upper[i * size + i] += raised
        if cholesky(f.upper, size, size):
            f.raised = raised
            for i in range(n):
                f.matrix[i * n + i] += raised
            return True
        raised = following
        following *= 8.0
    return False


def reduce(f: Factor, s: Subproblem, slopes: cython.p_double) -> cython.void:
    """Set K in the null space of the equalities, and its basis."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    n: cython.Py_ssize_t = s.n
    q: cython.Py_ssize_t = s.q
    f.rank = 0
    if q == 0:
        return
    for i in range(q * n):
        f.lower[i] = slopes[s.m * n + i]
    triangularise(f.lower, f.vectors, f.beta, f.order, q, n, True)
    if fabs(f.lower[0]) > 0.0:
        f.rank = rank_of(f.lower, q, n, 1e-10 * fabs(f.lower[0]))  # below: depends on the others
    for i in range(n * n):
        f.basis[i] = 0.0
    for i in range(n):
        f.basis[i * n + i] = 1.0
        for j in range(min(q, n) - 1, -1, -1):
            reflect(f.vectors, f.beta[j], j, f.basis, i * n, n)
    i = n - f.rank
    multiply_matrices(cut(f.basis, f.rank * n, i * n), f.matrix, f.product, i, n, n)
    for i in range(n - f.rank):
        for j in range(n - f.rank):
            f.reduced[i * (n - f.rank) + j] = inner(f.product, i * n, f.basis, (f.rank + j) * n, n)


def solve_reduced(f: Factor, b: cython.p_double, n: cython.Py_ssize_t) -> cython.void:
    """B <- (Z'K Z)^-1 b, of n numbers."""
    solve_transposed(f.upper, b, n, n)
    solve(f.upper, b, n, n)


def newton(
    f: Factor,
    s: Subproblem,
    p: Point,
    slopes: cython.p_double,
    mu: cython.double,
    residual: cython.p_double,
    out: Step,
) -> cython.void:
    """Set the step for the barrier problem where ``(c + s, e)`` are the `residual`."""
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = s.n
    m: cython.Py_ssize_t = s.m
    for i in range(m):
        f.weights[i] = p.lam[i] / p.s[i] * residual[i] + mu / p.s[i]
    multiply_transposed(slopes, f.weights, f.right, m, n)
    for i in range(n):
        f.right[i] += p.slope[i] - mu / (p.t[i] - s.lower[i]) + mu / (s.upper[i] - p.t[i])
        f.right[i] = -f.right[i]
    if s.q == 0:
        copy(f.right, out.t, n)
        solve_reduced(f, out.t, n)
    else:
        split(f, s, p, slopes, residual, out)
    multiply(slopes, out.t, out.s, m, n)
    for i in range(m):
        out.lam[i] = mu / p.s[i] - p.lam[i] + p.lam[i] / p.s[i] * (residual[i] + out.s[i])
        out.s[i] = -residual[i] - out.s[i]
    for i in range(n):
        out.zl[i] = mu / (p.t[i] - s.lower[i]) - p.zl[i]
        out.zl[i] -= p.zl[i] / (p.t[i] - s.lower[i]) * out.t[i]
        out.zu[i] = mu / (s.upper[i] - p.t[i]) - p.zu[i]
        out.zu[i] += p.zu[i] / (s.upper[i] - p.t[i]) * out.t[i]
    multiply(f.matrix, out.t, f.rest, n, n)
    out.curvature = inner(out.t, 0, f.rest, 0, n)


def split(
    f: Factor,
    s: Subproblem,
    p: Point,
    slopes: cython.p_double,
    residual: cython.p_double,
    out: Step,
) -> cython.void:
    """Set the steps of t and nu: onto the equalities, then along them."""
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = s.n
    r: cython.Py_ssize_t = f.rank
    for i in range(s.q):
        add(-p.nu[i], slopes, (s.m + i) * n, f.right, 0, n)
    for i in range(r):
        f.product[i] = -residual[s.m + f.order[i]]
    solve_lower(f.lower, f.product, r, n)
    for i in range(n):
        out.t[i] = 0.0
    for i in range(r):
        add(f.product[i], f.basis, i * n, out.t, 0, n)
    multiply(f.matrix, out.t, f.rest, n, n)
    for i in range(n):
        f.rest[i] = f.right[i] - f.rest[i]
    for i in range(n - r):
        f.product[i] = inner(f.basis, (r + i) * n, f.rest, 0, n)
    solve_reduced(f, f.product, n - r)
    for i in range(n - r):
        add(f.product[i], f.basis, (r + i) * n, out.t, 0, n)
    multiply(f.matrix, out.t, f.rest, n, n)
    for i in range(n):
        f.rest[i] = f.right[i] - f.rest[i]
    for i in range(r):
        f.product[i] = inner(f.basis, i * n, f.rest, 0, n)
    solve_upper(f.lower, f.product, r, n)
    for i in range(s.q):
        out.nu[i] = 0.0
    for i in range(r):
        out.nu[f.order[i]] = f.product[i]
