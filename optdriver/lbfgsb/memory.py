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
        dot,
        solve,
        solve_transposed,
        zero,
    )
    from cython.cimports.optdriver.lbfgsb.state import Scratch, State, cut
else:
    from optdriver.lbfgsb.linalg import cholesky, dot, solve, solve_transposed, zero
    from optdriver.lbfgsb.state import Scratch, State, cut


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

    theta = y'y / s'y.
    """
    new: cython.Py_ssize_t
    if s.k < s.m:
        new = s.k
        s.k += 1
    else:
        new = s.head
        s.head = new + 1 if new + 1 < s.m else 0
    write(s.w, q.y, q.s, new, 2 * s.m, s.n)
    sweep(s, q)
    fill(s, q, new)
    s.dd[new] = sy
    s.theta = dot(q.y, q.y, s.n) / sy
    if not s.theta > 0.0:  # y'y below the smallest number
        forget(s)


def write(
    w: cython.p_double,
    y: cython.p_double,
    z: cython.p_double,
    new: cython.Py_ssize_t,
    m2: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.void:
    """Write the pair (z, y) into its columns."""
    i: cython.Py_ssize_t
    for i in range(n):
        w[m2 * i + 2 * new] = y[i]
        w[m2 * i + 2 * new + 1] = z[i]


def sweep(s: State, q: Scratch) -> cython.void:
    """Sum [Y S]'y and [Y S]'s over the free rows, and [Y S]'s over the others.

    They are the three parts of q.sums, 2m numbers each.  The rows of variables that have stayed
    where they are, mostly at a bound, are not met.
    """
    i: cython.Py_ssize_t
    k2: cython.Py_ssize_t = 2 * s.k
    m2: cython.Py_ssize_t = 2 * s.m
    free: cython.Py_ssize_t = 0
    moved: cython.Py_ssize_t = 0
    for i in range(s.n):
        q.index[free] = i
        q.order[moved] = i
        free += s.free[i]
        moved += (q.s[i] != 0.0) & (s.free[i] == 0)
    zero(q.sums, 3 * m2)
    gather_two(s.w, q.index, q.y, q.s, q.sums, cut(q.sums, m2, m2), k2, m2, free)
    gather(s.w, q.order, q.s, cut(q.sums, 2 * m2, m2), k2, m2, moved)


def fill(s: State, q: Scratch, new: cython.Py_ssize_t) -> cython.void:
    """Put the sums of the newest pair into the Gram blocks."""
    j: cython.Py_ssize_t
    m: cython.Py_ssize_t = s.m
    fs: cython.Py_ssize_t = 2 * m  # where the second and the third part of the sums begin
    az: cython.Py_ssize_t = 4 * m
    for j in range(s.k):
        s.lt[new * m + j] = 0.0
        s.lt[j * m + new] = q.sums[fs + 2 * j] + q.sums[az + 2 * j]
        s.ss[j * m + new] = q.sums[fs + 2 * j + 1] + q.sums[az + 2 * j + 1]
        s.ss[new * m + j] = s.ss[j * m + new]
        s.zyy[j * m + new] = q.sums[2 * j]
        s.zyy[new * m + j] = q.sums[2 * j]
        s.ass[j * m + new] = q.sums[az + 2 * j + 1]
        s.ass[new * m + j] = q.sums[az + 2 * j + 1]
        s.zc[j * m + new] = -q.sums[az + 2 * j]
        s.zc[new * m + j] = q.sums[2 * j + 1]
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
    list_all(s, q)
    zero(q.p, 2 * s.k)
    gather(s.w, q.index, s.g, q.p, 2 * s.k, 2 * s.m, s.n)
    first_loop(s, q)
    second_loop(s, q)
    spread(s.w, s.g, q.c, s.d, s.theta, 2 * s.k, 2 * s.m, s.n)


def list_all(s: State, q: Scratch) -> cython.void:
    """List all variables in q.index."""
    i: cython.Py_ssize_t
    for i in range(s.n):
        q.index[i] = i


def gather(
    w: cython.p_double,
    index: cython.p_Py_ssize_t,
    g: cython.p_double,
    p: cython.p_double,
    k2: cython.Py_ssize_t,
    m2: cython.Py_ssize_t,
    count: cython.Py_ssize_t,
) -> cython.void:
    """p <- p + [Y S]'g over the `count` rows listed, four at a time.

    Each column has a sum of its own, so that its order does not depend on how many a processor
    makes at once.
    """
    a: cython.Py_ssize_t
    j: cython.Py_ssize_t
    last: cython.Py_ssize_t = count - count % 4
    r: cython.Py_ssize_t
    r1: cython.Py_ssize_t
    r2: cython.Py_ssize_t
    r3: cython.Py_ssize_t
    g0: cython.double
    g1: cython.double
    g2: cython.double
    g3: cython.double
    for a in range(0, last, 4):
        g0 = g[index[a]]
        g1 = g[index[a + 1]]
        g2 = g[index[a + 2]]
        g3 = g[index[a + 3]]
        r = m2 * index[a]
        r1 = m2 * index[a + 1]
        r2 = m2 * index[a + 2]
        r3 = m2 * index[a + 3]
        for j in range(k2):
            p[j] += (w[r + j] * g0 + w[r1 + j] * g1) + (w[r2 + j] * g2 + w[r3 + j] * g3)
    for a in range(last, count):
        g0 = g[index[a]]
        r = m2 * index[a]
        for j in range(k2):
            p[j] += w[r + j] * g0


def gather_two(
    w: cython.p_double,
    index: cython.p_Py_ssize_t,
    g: cython.p_double,
    h: cython.p_double,
    p: cython.p_double,
    q: cython.p_double,
    k2: cython.Py_ssize_t,
    m2: cython.Py_ssize_t,
    count: cython.Py_ssize_t,
) -> cython.void:
    """p <- p + [Y S]'g and q <- q + [Y S]'h, as `gather` does, with the rows met once."""
    a: cython.Py_ssize_t
    j: cython.Py_ssize_t
    last: cython.Py_ssize_t = count - count % 4
    r: cython.Py_ssize_t
    r1: cython.Py_ssize_t
    r2: cython.Py_ssize_t
    r3: cython.Py_ssize_t
    g0: cython.double
    g1: cython.double
    g2: cython.double
    g3: cython.double
    h0: cython.double
    h1: cython.double
    h2: cython.double
    h3: cython.double
    for a in range(0, last, 4):
        g0 = g[index[a]]
        g1 = g[index[a + 1]]
        g2 = g[index[a + 2]]
        g3 = g[index[a + 3]]
        h0 = h[index[a]]
        h1 = h[index[a + 1]]
        h2 = h[index[a + 2]]
        h3 = h[index[a + 3]]
        r = m2 * index[a]
        r1 = m2 * index[a + 1]
        r2 = m2 * index[a + 2]
        r3 = m2 * index[a + 3]
        for j in range(k2):
            p[j] += (w[r + j] * g0 + w[r1 + j] * g1) + (w[r2 + j] * g2 + w[r3 + j] * g3)
            q[j] += (w[r + j] * h0 + w[r1 + j] * h1) + (w[r2 + j] * h2 + w[r3 + j] * h3)
    for a in range(last, count):
        g0 = g[index[a]]
        h0 = h[index[a]]
        r = m2 * index[a]
        for j in range(k2):
            p[j] += w[r + j] * g0
            q[j] += w[r + j] * h0


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
