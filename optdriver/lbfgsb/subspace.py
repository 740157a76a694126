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
        solve,
        solve_transposed,
        zero,
    )
    from cython.cimports.optdriver.lbfgsb.memory import middle, scale_by_theta
    from cython.cimports.optdriver.lbfgsb.state import Scratch, State
else:
    from optdriver.lbfgsb.linalg import (
        cholesky,
        clamp,
        solve,
        solve_transposed,
        zero,
    )
    from optdriver.lbfgsb.memory import middle, scale_by_theta
    from optdriver.lbfgsb.state import Scratch, State


def update_free_set(s: State, q: Scratch) -> cython.void:
    """Bring s.free and the Gram blocks up to the Cauchy point; list the free variables in q.index.

    Each variable that enters or leaves the free set costs one outer product of its row.
    """
    i: cython.Py_ssize_t
    now: cython.Py_ssize_t
    q.nfree = 0
    for i in range(s.n):
        now = 1 if s.where[i] == 0 else 0
        if now != s.free[i]:
            s.free[i] = now
            move_row(s, i, 1.0 if now else -1.0)
        if now:
            q.index[q.nfree] = i
            q.nfree += 1


def move_row(s: State, i: cython.Py_ssize_t, sign: cython.double) -> cython.void:
    """Add variable i to the free blocks and take it from the active ones, or (-1) the reverse."""
    a: cython.Py_ssize_t
    b: cython.Py_ssize_t
    m: cython.Py_ssize_t = s.m
    r: cython.Py_ssize_t = 2 * m * i
    y: cython.double
    z: cython.double
    for a in range(s.k):
        y = sign * s.w[r + 2 * a]
        z = sign * s.w[r + 2 * a + 1]
        for b in range(s.k):
            s.zyy[a * m + b] += y * s.w[r + 2 * b]
            s.zc[a * m + b] += y * s.w[r + 2 * b + 1]
            s.ass[a * m + b] -= z * s.w[r + 2 * b + 1]


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
    """q.r <- -(g + theta (z - x) - W M c) over the free variables (eq. 5.4), q.v <- W'Z r."""
    middle(s, q, q.c, q.mv)
    scale_by_theta(s, q.mv)
    zero(q.v, 2 * s.k)
    residual(s.w, s.x, s.g, s.z, q.index, q.r, q.mv, q.v, s.theta, 2 * s.k, 2 * s.m, q.nfree)
    scale_by_theta(s, q.v)


def residual(
    w: cython.p_double,
    x: cython.p_double,
    g: cython.p_double,
    z: cython.p_double,
    index: cython.p_Py_ssize_t,
    r: cython.p_double,
    mc: cython.p_double,
    v: cython.p_double,
    theta: cython.double,
    k2: cython.Py_ssize_t,
    m2: cython.Py_ssize_t,
    nfree: cython.Py_ssize_t,
) -> cython.void:
    """Sweep the free rows once, two at a time: r by their dot products, then v += rows' r."""
    a: cython.Py_ssize_t
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    y: cython.double
    b: cython.double
    for a in range(0, nfree - 1, 2):
        i = index[a]
        j = index[a + 1]
        y = -theta * (z[i] - x[i]) - g[i] + row_dot(w, m2 * i, mc, k2)
        b = -theta * (z[j] - x[j]) - g[j] + row_dot(w, m2 * j, mc, k2)
        r[a] = y
        r[a + 1] = b
        add_rows(w, m2 * i, y, m2 * j, b, v, k2)
    if nfree % 2:
        a = nfree - 1
        i = index[a]
        y = -theta * (z[i] - x[i]) - g[i] + row_dot(w, m2 * i, mc, k2)
        r[a] = y
        add_rows(w, m2 * i, y, m2 * i, 0.0, v, k2)


def row_dot(
    w: cython.p_double, first: cython.Py_ssize_t, c: cython.p_double, k2: cython.Py_ssize_t
) -> cython.double:
    """Return the product of c and the row of w that begins at `first`."""
    j: cython.Py_ssize_t
    y: cython.double = 0.0
    b: cython.double = 0.0
    for j in range(0, k2, 2):
        y += w[first + j] * c[j]
        b += w[first + j + 1] * c[j + 1]
    return y + b


def add_rows(
    w: cython.p_double,
    first: cython.Py_ssize_t,
    a: cython.double,
    second: cython.Py_ssize_t,
    b: cython.double,
    v: cython.p_double,
    k2: cython.Py_ssize_t,
) -> cython.void:
    """v <- v + a (one row of w) + b (another)."""
    j: cython.Py_ssize_t
    for j in range(k2):
        v[j] += w[first + j] * a + w[second + j] * b


def newton_step(
    w: cython.p_double,
    index: cython.p_Py_ssize_t,
    r: cython.p_double,
    v: cython.p_double,
    theta: cython.double,
    k2: cython.Py_ssize_t,
    m2: cython.Py_ssize_t,
    nfree: cython.Py_ssize_t,
) -> cython.void:
    """r <- r / theta + Z'W v / theta^2 (eq. 5.11); v is K^-1 W'Z r with its Y half over theta."""
    a: cython.Py_ssize_t
    for a in range(nfree):
        r[a] = (r[a] + row_dot(w, m2 * index[a], v, k2)) / theta


def subspace_minimum(s: State, q: Scratch) -> cython.bint:
    """Move s.z from the Cauchy point to the minimiser of the model in the free subspace.

    Returns False where K is singular: the memory is to be dropped.
    """
    j: cython.Py_ssize_t
    if not form_k(s, q):
        return False
    reduced_gradient(s, q)
    solve_k(s, q, q.v)
    for j in range(s.k):
        q.v[2 * j] /= s.theta
    newton_step(s.w, q.index, q.r, q.v, s.theta, 2 * s.k, 2 * s.m, q.nfree)
    if project(s, q) and slope(s, q) > 0.0:
        truncate(s, q)
    else:
        take_projection(s, q)
    return True


def project(s: State, q: Scratch) -> cython.bint:
    """q.t <- P(z + r) over the free variables; whether a bound was met (Morales, Nocedal 2011)."""
    a: cython.Py_ssize_t
    i: cython.Py_ssize_t
    met: cython.bint = False
    for a in range(q.nfree):
        i = q.index[a]
        q.t[a] = min(max(s.z[i] + q.r[a], s.l[i]), s.u[i])
        if q.t[a] == s.l[i] or q.t[a] == s.u[i]:
            met = True
    return met


def slope(s: State, q: Scratch) -> cython.double:
    """Return (x_hat - x)'g for the projected point x_hat."""
    a: cython.Py_ssize_t
    i: cython.Py_ssize_t
    sum: cython.double = 0.0
    for i in range(s.n):
        if s.where[i] != 0:
            sum += (s.z[i] - s.x[i]) * s.g[i]
    for a in range(q.nfree):
        i = q.index[a]
        sum += (q.t[a] - s.x[i]) * s.g[i]
    return sum


def take_projection(s: State, q: Scratch) -> cython.void:
    """z <- the projected point."""
    a: cython.Py_ssize_t
    for a in range(q.nfree):
        s.z[q.index[a]] = q.t[a]


def truncate(s: State, q: Scratch) -> cython.void:
    """z <- z + alpha r with the largest alpha <= 1 that stays in the box (1995, eq. 5.8)."""
    a: cython.Py_ssize_t
    i: cython.Py_ssize_t
    blocking: cython.Py_ssize_t = -1
    alpha: cython.double = 1.0
    room: cython.double
    for a in range(q.nfree):
        i = q.index[a]
        if q.r[a] < 0.0:
            room = s.l[i] - s.z[i]
            if q.r[a] * alpha < room:
                alpha = room / q.r[a]
                blocking = a
        elif q.r[a] > 0.0:
            room = s.u[i] - s.z[i]
            if q.r[a] * alpha > room:
                alpha = room / q.r[a]
                blocking = a
    for a in range(q.nfree):
        i = q.index[a]
        if a == blocking:
            s.z[i] = s.l[i] if q.r[a] < 0.0 else s.u[i]
        else:
            s.z[i] = clamp(s.z[i] + alpha * q.r[a], s.l[i], s.u[i])
