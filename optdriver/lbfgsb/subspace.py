"""Subspace minimisation (Byrd, Lu, Nocedal and Zhu 1995, section 5.1, direct primal method).

With the projection of Morales and Nocedal (2011).

Over the variables that the Cauchy point left free, the model is minimised by

    d = r / theta + (1 / theta^2) Z'W K^-1 W'Z r,
    K = [ -D - Y'ZZ'Y / theta   L_A' - R_Z' ;  L_A - R_Z   theta S'AA'S ],

and the path from the Cauchy point is bent back into the box.
"""

from __future__ import annotations

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.optdriver.lbfgsb.linalg import (
        cholesky,
        clamp,
        dot,
        solve,
        solve_transposed,
        subtract,
    )
    from cython.cimports.optdriver.lbfgsb.memory import middle
    from cython.cimports.optdriver.lbfgsb.state import Scratch, State
else:
    from optdriver.lbfgsb.linalg import (
        cholesky,
        clamp,
        dot,
        solve,
        solve_transposed,
        subtract,
    )
    from optdriver.lbfgsb.memory import middle
    from optdriver.lbfgsb.state import Scratch, State


def update_free_set(s: State, q: Scratch) -> cython.void:
    """Bring s.free and the Gram blocks up to the Cauchy point; list the free variables in q.index.

    Each variable that enters or leaves the free set costs one outer product of its row.
    """
    i: cython.Py_ssize_t
    now: cython.Py_ssize_t
    count: cython.Py_ssize_t = 0
    for i in range(s.n):
        now = s.where[i] == 0
        if now != s.free[i]:
            s.free[i] = now
            move_row(s, q, i, 1.0 if now else -1.0)
        q.index[count] = i
        count += now
    q.nfree = count


def move_row(s: State, q: Scratch, i: cython.Py_ssize_t, sign: cython.double) -> cython.void:
    """Add variable i to the free blocks and take it from the active ones, or (-1) the reverse."""
    a: cython.Py_ssize_t
    b: cython.Py_ssize_t
    m: cython.Py_ssize_t = s.m
    r: cython.Py_ssize_t = 2 * m * i
    y: cython.double
    z: cython.double
    for a in range(s.k):
        q.a[a] = s.w[r + 2 * a]
        q.b[a] = s.w[r + 2 * a + 1]
    for a in range(s.k):
        y = sign * q.a[a]
        z = sign * q.b[a]
        for b in range(s.k):
            s.zyy[a * m + b] += y * q.a[b]
            s.zc[a * m + b] += y * q.b[b]
            s.ass[a * m + b] -= z * q.b[b]


def form_k(s: State, q: Scratch) -> cython.bint:
    """Factorise K by blocks; False if a block is not positive definite.

    With A = D + Y'ZZ'Y / theta and C = R_Z' - L_A' (so that K = [-A -C; -C' theta S'AA'S]):
    q.k11 = R_1 of A = R_1'R_1, q.k12 = R_1'^-1 C, q.k22 = R_2 of theta S'AA'S + k12'k12.
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    a: cython.Py_ssize_t
    x: cython.double = 1.0 / s.theta
    for i in range(s.k):
        for j in range(s.k):
            q.k11[i * s.m + j] = s.zyy[i * s.m + j] * x
            q.k12[i * s.m + j] = s.zc[i * s.m + j]
            q.k22[i * s.m + j] = s.theta * s.ass[i * s.m + j]
        q.k11[i * s.m + i] += s.dd[i]
    if not cholesky(q.k11, s.k, s.m):
        return False
    for a in range(s.k):
        for j in range(s.k):
            q.k12[a * s.m + j] *= q.k11[a * s.m + a]
        for i in range(a + 1, s.k):
            x = q.k11[a * s.m + i]
            for j in range(s.k):
                q.k12[i * s.m + j] -= x * q.k12[a * s.m + j]
        for i in range(s.k):
            x = q.k12[a * s.m + i]
            for j in range(i, s.k):
                q.k22[i * s.m + j] += x * q.k12[a * s.m + j]
    return cholesky(q.k22, s.k, s.m)


def solve_k(s: State, q: Scratch, v: cython.p_double) -> cython.void:
    """v <- K^-1 v."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    x: cython.double
    for i in range(s.k):
        q.a[i] = v[2 * i]
        q.b[i] = v[2 * i + 1]
    solve_transposed(q.k11, q.a, s.k, s.m)
    for i in range(s.k):
        x = q.a[i]
        for j in range(s.k):
            q.b[j] -= q.k12[i * s.m + j] * x
    solve_transposed(q.k22, q.b, s.k, s.m)
    solve(q.k22, q.b, s.k, s.m)
    for i in range(s.k):
        x = q.a[i]
        for j in range(s.k):
            x += q.k12[i * s.m + j] * q.b[j]
        q.a[i] = -x
    solve(q.k11, q.a, s.k, s.m)
    for i in range(s.k):
        v[2 * i] = q.a[i]
        v[2 * i + 1] = q.b[i]


def reduced_gradient(s: State, q: Scratch) -> cython.void:
    """q.mv <- M c and q.v <- W'Z r, with r = -Z'(g + theta (z - x) - W M c) (eq. 5.4).

    A free variable is at x + t d, with d = -g, so that r = (1 - theta t) d + Z'W M c and

        W'Z r = (1 - theta t) W'd + (W'ZZ'W) M c :

    the Cauchy point left the first product, and the Gram blocks are the second.
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    b: cython.Py_ssize_t
    y: cython.double
    z: cython.double
    cross: cython.double
    rest: cython.double = 1.0 - s.theta * q.time
    middle(s, q, q.c, q.mv)
    for i in range(2 * s.k):
        q.v[i] = rest * q.p[i]
    for j in range(s.k):
        y = q.mv[2 * j]
        z = s.theta * q.mv[2 * j + 1]
        for i in range(s.k):
            b = j * s.m + i
            cross = s.zc[i * s.m + j] + s.lt[i * s.m + j]  # y_i'ZZ's_j
            q.v[2 * i] += s.zyy[b] * y + cross * z
            q.v[2 * i + 1] += s.theta * ((s.zc[b] + s.lt[b]) * y + (s.ss[b] - s.ass[b]) * z)


def row_dot(
    w: cython.p_double, first: cython.Py_ssize_t, c: cython.p_double, k2: cython.Py_ssize_t
) -> cython.double:
    """Return the product of c and the row of w that begins at `first`, in four parts."""
    j: cython.Py_ssize_t
    last: cython.Py_ssize_t = k2 - k2 % 4
    y: cython.double = 0.0
    z: cython.double = 0.0
    b: cython.double = 0.0
    d: cython.double = 0.0
    for j in range(0, last, 4):
        y += w[first + j] * c[j]
        z += w[first + j + 1] * c[j + 1]
        b += w[first + j + 2] * c[j + 2]
        d += w[first + j + 3] * c[j + 3]
    if last < k2:
        y += w[first + last] * c[last]
        z += w[first + last + 1] * c[last + 1]
    return (y + b) + (z + d)


def newton_step(
    w: cython.p_double,
    index: cython.p_Py_ssize_t,
    d: cython.p_double,
    r: cython.p_double,
    c: cython.p_double,
    rest: cython.double,
    k2: cython.Py_ssize_t,
    m2: cython.Py_ssize_t,
    nfree: cython.Py_ssize_t,
) -> cython.void:
    """r <- rest d + Z'[Y S] c over the free variables."""
    a: cython.Py_ssize_t
    for a in range(nfree):
        r[a] = rest * d[index[a]] + row_dot(w, m2 * index[a], c, k2)


def subspace_minimum(s: State, q: Scratch) -> cython.bint:
    """Move s.z from the Cauchy point to the minimiser of the model in the free subspace.

    The way there is r / theta + Z'W K^-1 W'Z r / theta^2 (eq. 5.11), of which both terms have a
    product of the rows of W with 2k numbers: they are added first.  Returns False where K is
    singular: the memory is to be dropped.
    """
    j: cython.Py_ssize_t
    rest: cython.double
    if not form_k(s, q):
        return False
    reduced_gradient(s, q)
    solve_k(s, q, q.v)
    for j in range(s.k):
        q.v[2 * j] = (q.mv[2 * j] + q.v[2 * j] / s.theta) / s.theta
        q.v[2 * j + 1] = q.mv[2 * j + 1] + q.v[2 * j + 1] / s.theta
    rest = (1.0 - s.theta * q.time) / s.theta
    newton_step(s.w, q.index, s.d, q.r, q.v, rest, 2 * s.k, 2 * s.m, q.nfree)
    if project(s, q) and slope(s) > 0.0:
        truncate(s, q)
    return True


def project(s: State, q: Scratch) -> cython.bint:
    """z <- P(z + r) over the free variables; whether a bound was met (Morales, Nocedal 2011).

    Leaves in q.t where the free variables were.
    """
    a: cython.Py_ssize_t
    i: cython.Py_ssize_t
    met: cython.Py_ssize_t = 0
    x: cython.double
    for a in range(q.nfree):
        i = q.index[a]
        q.t[a] = s.z[i]
        x = min(max(s.z[i] + q.r[a], s.l[i]), s.u[i])
        s.z[i] = x
        met += (x == s.l[i]) | (x == s.u[i])
    return met > 0


def slope(s: State) -> cython.double:
    """Return (x_hat - x)'g for the projected point x_hat, which is s.z; s.d <- x_hat - x."""
    subtract(s.z, s.x, s.d, s.n)
    return dot(s.d, s.g, s.n)


def truncate(s: State, q: Scratch) -> cython.void:
    """z <- t + alpha r with the largest alpha <= 1 that stays in the box (1995, eq. 5.8)."""
    a: cython.Py_ssize_t
    i: cython.Py_ssize_t
    blocking: cython.Py_ssize_t = -1
    alpha: cython.double = 1.0
    room: cython.double
    for a in range(q.nfree):
        i = q.index[a]
        if q.r[a] < 0.0:
            room = s.l[i] - q.t[a]
            if q.r[a] * alpha < room:
                alpha = room / q.r[a]
                blocking = a
        elif q.r[a] > 0.0:
            room = s.u[i] - q.t[a]
            if q.r[a] * alpha > room:
                alpha = room / q.r[a]
                blocking = a
    for a in range(q.nfree):
        i = q.index[a]
        if a == blocking:
            s.z[i] = s.l[i] if q.r[a] < 0.0 else s.u[i]
        else:
            s.z[i] = clamp(q.t[a] + alpha * q.r[a], s.l[i], s.u[i])
