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
        solve,
        solve_transposed,
        zero,
    )
    from cython.cimports.optdriver.lbfgsb.state import Scratch, State
else:
    from optdriver.lbfgsb.linalg import cholesky, solve, solve_transposed, zero
    from optdriver.lbfgsb.state import Scratch, State


def forget(s: State) -> cython.void:
    """Drop all pairs: B = I, in the unit of f."""
    s.k = 0
    s.head = 0
    s.theta = s.unit


def slot(s: State, age: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Return the slot of the pair that is older than all but `age` of the stored ones."""
    i: cython.Py_ssize_t = s.head + age
    return i - s.m if i >= s.m else i


def remember(s: State, q: Scratch, sy: cython.double) -> cython.void:
    """Store the pair (q.s, q.y) with s'y = `sy` > 0, over the oldest if there is no room.

    theta = y'y / s'y.  One sweep over the rows writes the pair and makes its part of the Gram
    blocks.
    """
    new: cython.Py_ssize_t
    if s.k < s.m:
        new = s.k
        s.k += 1
    else:
        new = s.head
        s.head = new + 1 if new + 1 < s.m else 0
    sweep(s.w, s.free, q.s, q.y, q.sums, new, s.k, s.m, s.n)
    fill(s, q, new)
    s.dd[new] = sy
    s.theta = (q.sums[2 * new] + q.sums[4 * s.m + 2 * new]) / sy
    if not s.theta > 0.0:  # y'y below the smallest number
        forget(s)


def sweep(
    w: cython.p_double,
    free: cython.p_Py_ssize_t,
    s_new: cython.p_double,
    y_new: cython.p_double,
    sums: cython.p_double,
    new: cython.Py_ssize_t,
    k: cython.Py_ssize_t,
    m: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.void:
    """Write the new pair into its columns and sum W'y, W's over the free rows and the others.

    The four parts of `sums`, 2m numbers each, are W'y and W's over the free variables, then over
    the active ones.
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    a: cython.Py_ssize_t
    r: cython.Py_ssize_t
    y: cython.double
    z: cython.double
    b: cython.double
    c: cython.double
    zero(sums, 8 * m)
    for i in range(n):
        w[2 * m * i + 2 * new] = y_new[i]
        w[2 * m * i + 2 * new + 1] = s_new[i]
    i = 0
    while i < n:
        r = 2 * m * i
        a = 0 if free[i] else 4 * m
        y = y_new[i]
        z = s_new[i]
        if i + 1 < n and free[i + 1] == free[i]:  # two rows at a time halve the traffic of sums
            b = y_new[i + 1]
            c = s_new[i + 1]
            for j in range(2 * k):
                sums[a + j] += w[r + j] * y + w[r + 2 * m + j] * b
                sums[a + 2 * m + j] += w[r + j] * z + w[r + 2 * m + j] * c
            i += 2
        else:
            for j in range(2 * k):
                sums[a + j] += w[r + j] * y
                sums[a + 2 * m + j] += w[r + j] * z
            i += 1


def fill(s: State, q: Scratch, new: cython.Py_ssize_t) -> cython.void:
    """Put the sums of the newest pair into the Gram blocks."""
    j: cython.Py_ssize_t
    m: cython.Py_ssize_t = s.m
    fy: cython.Py_ssize_t = 0  # where each part of the sums begins
    fs: cython.Py_ssize_t = 2 * m
    az: cython.Py_ssize_t = 6 * m
    for j in range(s.k):
        s.lt[new * m + j] = 0.0
        s.lt[j * m + new] = q.sums[fs + 2 * j] + q.sums[az + 2 * j]
        s.ss[j * m + new] = q.sums[fs + 2 * j + 1] + q.sums[az + 2 * j + 1]
        s.ss[new * m + j] = s.ss[j * m + new]
        s.zyy[j * m + new] = q.sums[fy + 2 * j]
        s.zyy[new * m + j] = q.sums[fy + 2 * j]
        s.ass[j * m + new] = q.sums[az + 2 * j + 1]
        s.ass[new * m + j] = q.sums[az + 2 * j + 1]
        s.zc[j * m + new] = -q.sums[az + 2 * j]
        s.zc[new * m + j] = q.sums[fy + 2 * j + 1]
    s.lt[new * m + new] = 0.0


def form_middle(s: State, q: Scratch) -> cython.bint:
    """Factorise T = theta S'S + L D^-1 L' = J J' (Byrd et al. 1995, eq. 3.4); False if singular.

    Leaves J' in q.jt and 1 / D in q.di.
    """
    a: cython.Py_ssize_t
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    x: cython.double
    for i in range(s.k):
        q.di[i] = 1.0 / s.dd[i]
        for j in range(i, s.k):
            q.jt[i * s.m + j] = s.theta * s.ss[i * s.m + j]
    for a in range(s.k):
        for i in range(s.k):
            x = s.lt[a * s.m + i] * q.di[a]
            if x != 0.0:
                for j in range(i, s.k):
                    q.jt[i * s.m + j] += x * s.lt[a * s.m + j]
    return cholesky(q.jt, s.k, s.m)


def middle(s: State, q: Scratch, v: cython.p_double, out: cython.p_double) -> cython.void:
    """out <- M v, with the factors that `form_middle` left.

    From the rows of M^-1 [a; b] = v:  T b = v_S + L D^-1 v_Y,  a = D^-1 (L' b - v_Y).
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    x: cython.double
    for i in range(s.k):
        q.b[i] = v[2 * i + 1]
    for j in range(s.k):
        x = v[2 * j] * q.di[j]
        for i in range(s.k):
            q.b[i] += s.lt[j * s.m + i] * x
    solve_transposed(q.jt, q.b, s.k, s.m)
    solve(q.jt, q.b, s.k, s.m)
    for j in range(s.k):
        x = -v[2 * j]
        for i in range(s.k):
            x += s.lt[j * s.m + i] * q.b[i]
        out[2 * j] = x * q.di[j]
        out[2 * j + 1] = q.b[j]


def scale_by_theta(s: State, p: cython.p_double) -> cython.void:
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
    gather(s.w, s.g, q.p, 2 * s.k, 2 * s.m, s.n)
    first_loop(s, q)
    second_loop(s, q)
    spread(s.w, s.g, q.c, s.d, s.theta, 2 * s.k, 2 * s.m, s.n)


def gather(
    w: cython.p_double,
    g: cython.p_double,
    p: cython.p_double,
    k2: cython.Py_ssize_t,
    m2: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.void:
    """p <- p + [Y S]'g, skipping the rows where g is zero."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    r: cython.Py_ssize_t
    n4: cython.Py_ssize_t = n - n % 4
    a: cython.double
    b: cython.double
    c: cython.double
    d: cython.double
    for i in range(0, n4, 4):  # four rows at a time quarter the traffic of p
        if g[i] != 0.0 or g[i + 1] != 0.0 or g[i + 2] != 0.0 or g[i + 3] != 0.0:
            a = g[i]
            b = g[i + 1]
            c = g[i + 2]
            d = g[i + 3]
            r = m2 * i
            for j in range(k2):
                p[j] += (w[r + j] * a + w[r + m2 + j] * b) + (
                    w[r + 2 * m2 + j] * c + w[r + 3 * m2 + j] * d
                )
    for i in range(n4, n):
        a = g[i]
        for j in range(k2):
            p[j] += w[m2 * i + j] * a


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
            sum += q.c[2 * j] * s.zc[j * s.m + i]
        q.c[2 * i] = -(sum / s.dd[i])


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
            sum += q.c[2 * j] * s.zyy[i * s.m + j]
        sum /= s.theta
        for b in range(a):
            j = slot(s, b)
            sum += q.c[2 * j + 1] * s.zc[i * s.m + j]
        q.c[2 * i + 1] = -q.c[2 * i] - sum / s.dd[i]


def spread(
    w: cython.p_double,
    g: cython.p_double,
    c: cython.p_double,
    d: cython.p_double,
    theta: cython.double,
    k2: cython.Py_ssize_t,
    m2: cython.Py_ssize_t,
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
            y += w[m2 * i + j] * c[j]
            z += w[m2 * i + j + 1] * c[j + 1]
        d[i] = -(y / theta + z)
