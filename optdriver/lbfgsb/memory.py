"""Correction pairs, Gram blocks, compact representation, two-loop recursion.

With W = [Y theta S] (n x 2k) the matrix of Byrd, Nocedal and Schnabel (1994) is

    B = theta I - W M W',    M = [ -D  L' ; L  theta S'S ]^-1.

A product with W' is a vector `p` of 2k numbers in the order of the rows of `State.w`:
p[2j] belongs to y_j and p[2j + 1] to s_j; the factor theta of the latter is put in by
`scale_by_theta`.
"""

from __future__ import annotations

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.optdriver.lbfgsb.linalg import (
        cholesky,
        solve_lower,
        solve_lower_transposed,
        zero,
    )
    from cython.cimports.optdriver.lbfgsb.state import Scratch, State
else:
    from optdriver.lbfgsb.linalg import cholesky, solve_lower, solve_lower_transposed, zero
    from optdriver.lbfgsb.state import Scratch, State


def forget(s: State) -> cython.void:
    """Drop all pairs: B = I."""
    s.k = 0
    s.head = 0
    s.theta = 1.0


def slot(s: State, age: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Return the slot of the pair that is older than all but `age` of the stored ones."""
    i: cython.Py_ssize_t = s.head + age
    return i - s.m if i >= s.m else i


def remember(s: State, q: Scratch, sy: cython.double) -> cython.void:
    """Store the pair (q.s, q.y) with s'y = `sy` > 0, over the oldest if there is no room; theta = y'y / s'y.

    One sweep over the rows writes the pair and makes its rows of the Gram blocks.
    """
    new: cython.Py_ssize_t
    if s.k < s.m:
        new = s.k
        s.k += 1
    else:
        new = s.head
        s.head = new + 1 if new + 1 < s.m else 0
    sweep(s.w, q.sums, s.free, q.s, q.y, new, s.k, s.n)
    fill(s, q, new)
    s.sy[new, new] = sy
    s.theta = (q.sums[0, 2 * new] + q.sums[2, 2 * new]) / sy


def sweep(
    w: cython.double[:, ::1],
    sums: cython.double[:, ::1],
    free: cython.Py_ssize_t[::1],
    s_new: cython.double[::1],
    y_new: cython.double[::1],
    new: cython.Py_ssize_t,
    k: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.void:
    """Write the new pair into its columns and sum W'y, W's over the free rows and the others.

    Rows 0 and 1 of `sums` are W'y and W's over the free variables, 2 and 3 over the active ones.
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    a: cython.Py_ssize_t
    y: cython.double
    z: cython.double
    for a in range(4):
        for j in range(2 * k):
            sums[a, j] = 0.0
    for i in range(n):
        y = y_new[i]
        z = s_new[i]
        w[i, 2 * new] = y
        w[i, 2 * new + 1] = z
        a = 0 if free[i] else 2
        for j in range(2 * k):
            sums[a, j] += w[i, j] * y
            sums[a + 1, j] += w[i, j] * z


def fill(s: State, q: Scratch, new: cython.Py_ssize_t) -> cython.void:
    """Put the sums of the newest pair into the Gram blocks."""
    j: cython.Py_ssize_t
    for j in range(s.k):
        s.sy[j, new] = q.sums[0, 2 * j + 1] + q.sums[2, 2 * j + 1]
        s.sy[new, j] = q.sums[1, 2 * j] + q.sums[3, 2 * j]
        s.ss[j, new] = s.ss[new, j] = q.sums[1, 2 * j + 1] + q.sums[3, 2 * j + 1]
        s.zyy[j, new] = s.zyy[new, j] = q.sums[0, 2 * j]
        s.ass[j, new] = s.ass[new, j] = q.sums[3, 2 * j + 1]
        s.msy[new, j] = q.sums[3, 2 * j]
        s.msy[j, new] = q.sums[0, 2 * j + 1]


def form_middle(s: State, q: Scratch) -> cython.bint:
    """Factorise T = theta S'S + L D^-1 L' = J J' (Byrd et al. 1995, eq. 3.4); False if singular.

    Leaves J in q.jt and L D^-1 in q.ld.
    """
    a: cython.Py_ssize_t
    b: cython.Py_ssize_t
    c: cython.Py_ssize_t
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    r: cython.Py_ssize_t
    sum: cython.double
    for a in range(s.k):
        i = slot(s, a)
        for b in range(a):
            j = slot(s, b)
            q.ld[i, j] = s.sy[i, j] / s.sy[j, j]
        for b in range(a + 1):
            j = slot(s, b)
            sum = s.theta * s.ss[i, j]
            for c in range(b):
                r = slot(s, c)
                sum += q.ld[i, r] * s.sy[j, r]
            q.jt[max(i, j), min(i, j)] = sum
    return cholesky(q.jt, s.k)


def middle(s: State, q: Scratch, v: cython.double[::1], out: cython.double[::1]) -> cython.void:
    """out <- M v, with the factors that `form_middle` left.

    From the rows of M^-1 [a; b] = v:  T b = v_S + L D^-1 v_Y,  a = D^-1 (L' b - v_Y).
    """
    a: cython.Py_ssize_t
    b: cython.Py_ssize_t
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    sum: cython.double
    for a in range(s.k):
        i = slot(s, a)
        sum = v[2 * i + 1]
        for b in range(a):
            j = slot(s, b)
            sum += q.ld[i, j] * v[2 * j]
        out[2 * i + 1] = sum
    solve_lower(q.jt, out, s.k, 1)
    solve_lower_transposed(q.jt, out, s.k, 1)
    for b in range(s.k):
        j = slot(s, b)
        sum = -v[2 * j] / s.sy[j, j]
        for a in range(b + 1, s.k):
            i = slot(s, a)
            sum += q.ld[i, j] * out[2 * i + 1]
        out[2 * j] = sum


def scale_by_theta(s: State, p: cython.double[::1]) -> cython.void:
    """Multiply the entries that belong to S by theta: W = [Y theta S]."""
    j: cython.Py_ssize_t
    for j in range(s.k):
        p[2 * j + 1] *= s.theta


def two_loop(s: State, q: Scratch) -> cython.void:
    """d <- -H g by the two-loop recursion (Nocedal 1980), H_0 = I / theta, without bounds.

    The recursion runs on the coefficients of g in the pairs, with the inner products taken from
    the Gram blocks: two sweeps over the pairs instead of 4k passes over vectors.
    """
    zero(q.p, 2 * s.k)
    gather(s.w, s.g, q.p, 2 * s.k, s.n)
    first_loop(s, q)
    second_loop(s, q)
    spread(s.w, s.g, q.c, s.d, s.theta, 2 * s.k, s.n)


def gather(
    w: cython.double[:, ::1],
    g: cython.double[::1],
    p: cython.double[::1],
    k2: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.void:
    """p <- p + [Y S]'g, skipping the rows where g is zero."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    a: cython.double
    for i in range(n):
        a = g[i]
        if a != 0.0:
            for j in range(k2):
                p[j] += w[i, j] * a


def first_loop(s: State, q: Scratch) -> cython.void:
    """From the newest pair to the oldest: alpha_i = s_i'r / s_i'y_i,  r <- r - alpha_i y_i.

    Leaves -alpha_i in q.c as the coefficient of y_i.
    """
    a: cython.Py_ssize_t
    b: cython.Py_ssize_t
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    sum: cython.double
    for a in range(s.k - 1, -1, -1):
        i = slot(s, a)
        sum = q.p[2 * i + 1]
        for b in range(a + 1, s.k):
            j = slot(s, b)
            sum += q.c[2 * j] * s.sy[i, j]
        q.c[2 * i] = -(sum / s.sy[i, i])


def second_loop(s: State, q: Scratch) -> cython.void:
    """From the oldest pair to the newest: r <- r + (alpha_i - y_i'r / s_i'y_i) s_i.

    The first r is (g + sum of the first loop's y) / theta; leaves the coefficient of s_i in q.c.
    """
    a: cython.Py_ssize_t
    b: cython.Py_ssize_t
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    sum: cython.double
    for a in range(s.k):
        i = slot(s, a)
        sum = q.p[2 * i]
        for j in range(s.k):
            sum += q.c[2 * j] * s.zyy[i, j]
        sum /= s.theta
        for b in range(a):
            j = slot(s, b)
            sum += q.c[2 * j + 1] * s.sy[j, i]
        q.c[2 * i + 1] = -q.c[2 * i] - sum / s.sy[i, i]


def spread(
    w: cython.double[:, ::1],
    g: cython.double[::1],
    c: cython.double[::1],
    d: cython.double[::1],
    theta: cython.double,
    k2: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.void:
    """d <- -((g + Y c_Y) / theta + S c_S)."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    y: cython.double
    z: cython.double
    for i in range(n):
        y = g[i]
        z = 0.0
        for j in range(0, k2, 2):
            y += w[i, j] * c[j]
            z += w[i, j + 1] * c[j + 1]
        d[i] = -(y / theta + z)
