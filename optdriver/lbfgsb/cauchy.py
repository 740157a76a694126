"""Generalized Cauchy point (Byrd, Lu, Nocedal and Zhu 1995, section 4, algorithm CP).

The first local minimiser of the quadratic model along the projected steepest-descent path
x(t) = P(x - t g, l, u), found segment by segment in the order of the breakpoints.
"""

from __future__ import annotations

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.optdriver.lbfgsb.linalg import dot, finite, zero
    from cython.cimports.optdriver.lbfgsb.memory import gather, middle, scale_by_theta
    from cython.cimports.optdriver.lbfgsb.state import Scratch, State
else:
    from optdriver.lbfgsb.linalg import dot, finite, zero
    from optdriver.lbfgsb.memory import gather, middle, scale_by_theta
    from optdriver.lbfgsb.state import Scratch, State


def cauchy_point(s: State, q: Scratch) -> cython.bint:
    """Leave the Cauchy point in s.z, the bounds it meets in s.where, W'(z - x) in q.c.

    The variables that no bound has stopped are at x + t d, with t = q.time, and q.p = W'd over
    them; s.d is overwritten.  Returns False where the model is not positive along the path (lost to
    rounding): the memory is to be dropped.
    """
    if s.k == 0:
        projected_gradient_step(s)
        return True
    return search_path(s, q)


def projected_gradient_step(s: State) -> cython.void:
    """z <- P(x - g / theta): the Cauchy point of B = theta I, where the path is separable."""
    i: cython.Py_ssize_t
    a: cython.double
    for i in range(s.n):
        s.where[i] = start_of(s, i)
        s.z[i] = s.x[i]
        if s.where[i] == 0:
            a = s.x[i] - s.g[i] / s.theta
            if a <= s.l[i]:
                s.z[i] = s.l[i]
                s.where[i] = 1
            elif a >= s.u[i]:
                s.z[i] = s.u[i]
                s.where[i] = 2
            else:
                s.z[i] = a


def start_of(s: State, i: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Return where variable i stands at t = 0: held by a bound (1, 2, 3) or free to move (0)."""
    low: cython.Py_ssize_t = (s.x[i] <= s.l[i]) & (s.g[i] >= 0.0)
    high: cython.Py_ssize_t = (s.x[i] >= s.u[i]) & (s.g[i] <= 0.0)
    return 3 if s.l[i] == s.u[i] else low + 2 * high


def set_out(s: State, q: Scratch) -> cython.Py_ssize_t:
    """Find d = -g on the variables free to move, p = W'd, and the breakpoints.

    Returns the number of finite breakpoints, whose times are q.t and whose variables q.order.
    """
    a: cython.Py_ssize_t
    i: cython.Py_ssize_t
    count: cython.Py_ssize_t = 0
    d: cython.double
    low: cython.double
    high: cython.double
    bound: cython.double
    for i in range(s.n):
        s.where[i] = start_of(s, i)
        s.z[i] = s.x[i]
        d = -s.g[i]
        s.d[i] = d if s.where[i] == 0 else 0.0
    along(s, q)
    for a in range(q.moving):
        i = q.index[a]
        d = s.d[i]
        low = s.l[i]
        high = s.u[i]
        bound = low if d < 0.0 else high
        q.t[count] = (bound - s.x[i]) / d  # eq. (4.1)
        q.order[count] = i
        count += bound - bound == 0.0
    return count


def along(s: State, q: Scratch) -> cython.void:
    """q.p <- W'd; leaves in q.index the q.moving variables that move."""
    i: cython.Py_ssize_t
    count: cython.Py_ssize_t = 0
    for i in range(s.n):
        q.index[count] = i
        count += s.d[i] != 0.0
    q.moving = count
    zero(q.p, 2 * s.k)
    gather(s.w, q.index, s.d, q.p, 2 * s.k, 2 * s.m, count)
    scale_by_theta(s, q.p)


def search_path(s: State, q: Scratch) -> cython.bint:
    """Walk the segments of the path until the model's derivative along it is not negative."""
    left: cython.Py_ssize_t = set_out(s, q)
    count: cython.Py_ssize_t = left
    bounded: cython.bint = left == q.moving
    i: cython.Py_ssize_t
    k2: cython.Py_ssize_t = 2 * s.k
    f1: cython.double = -dot(s.d, s.d, s.n)
    f2: cython.double
    floor: cython.double
    far: cython.double
    near: cython.Py_ssize_t
    first_far: cython.Py_ssize_t
    step: cython.double
    dt: cython.double
    d: cython.double
    t: cython.double = 0.0
    zero(q.c, k2)
    middle(s, q, q.p, q.mv)
    f2 = -s.theta * f1 - dot(q.p, q.mv, k2)
    if not (f2 > 0.0 and finite(f2)):
        return False
    floor = 2.220446049250313e-16 * f2
    step = -f1 / f2
    far = 2.0 * step  # most paths pass few breakpoints: only the near ones go into the heap
    near = split(q.t, q.order, left, far)
    first_far = near
    heapify(q.t, q.order, near)
    while True:
        if near == 0 and left > 0 and t + step >= far:  # the path goes on among the far ones
            move_up(q.t, q.order, first_far, left)
            near = left
            heapify(q.t, q.order, near)
        if near == 0 or q.t[0] - t > step:
            break
        dt = q.t[0] - t
        t = q.t[0]
        i = q.order[0]
        left -= 1
        near -= 1
        pop(q.t, q.order, near)
        d = s.d[i]
        s.d[i] = 0.0
        s.where[i] = 2 if d > 0.0 else 1
        s.z[i] = s.u[i] if d > 0.0 else s.l[i]
        add(q.p, dt, q.c, k2)
        if left == 0 and bounded:
            step = 0.0
            break
        load_row(s, i, q.row)
        middle(s, q, q.row, q.mv)
        f1 += dt * f2 + d * d - s.theta * d * (s.z[i] - s.x[i]) + d * dot(q.c, q.mv, k2)
        f2 += -s.theta * d * d + 2.0 * d * dot(q.p, q.mv, k2) - d * d * dot(q.row, q.mv, k2)
        f2 = max(f2, floor)
        add(q.row, -d, q.p, k2)
        step = -f1 / f2
    step = max(step, 0.0)
    add(q.p, step, q.c, k2)
    q.time = t + step
    go(s, q.time)
    if left < count:
        along(s, q)  # what is left of a sum of more is less exact
    return True


def go(s: State, t: cython.double) -> cython.void:
    """z <- x + t d for the variables still moving at the end of the path."""
    i: cython.Py_ssize_t
    a: cython.double
    b: cython.double
    for i in range(s.n):
        a = min(max(s.x[i] + t * s.d[i], s.l[i]), s.u[i])
        b = s.z[i]
        s.z[i] = a if s.d[i] != 0.0 else b


def load_row(s: State, i: cython.Py_ssize_t, row: cython.p_double) -> cython.void:
    """row <- row i of W = [Y theta S]."""
    j: cython.Py_ssize_t
    for j in range(0, 2 * s.k, 2):
        row[j] = s.w[2 * s.m * i + j]
        row[j + 1] = s.theta * s.w[2 * s.m * i + j + 1]


def add(
    x: cython.p_double, a: cython.double, y: cython.p_double, n: cython.Py_ssize_t
) -> cython.void:
    """y <- y + a x."""
    i: cython.Py_ssize_t
    for i in range(n):
        y[i] += a * x[i]


def split(
    t: cython.p_double, order: cython.p_Py_ssize_t, n: cython.Py_ssize_t, far: cython.double
) -> cython.Py_ssize_t:
    """Bring the breakpoints up to the time `far` before the others; return how many they are."""
    i: cython.Py_ssize_t
    near: cython.Py_ssize_t = 0
    time: cython.double
    which: cython.Py_ssize_t
    for i in range(n):
        time = t[i]
        if time <= far:
            which = order[i]
            t[i] = t[near]
            order[i] = order[near]
            t[near] = time
            order[near] = which
            near += 1
    return near


def move_up(
    t: cython.p_double, order: cython.p_Py_ssize_t, first: cython.Py_ssize_t, n: cython.Py_ssize_t
) -> cython.void:
    """Move the n breakpoints that begin at place `first` to the front."""
    i: cython.Py_ssize_t
    for i in range(n):
        t[i] = t[first + i]
        order[i] = order[first + i]


def heapify(t: cython.p_double, order: cython.p_Py_ssize_t, n: cython.Py_ssize_t) -> cython.void:
    """Arrange the first n breakpoints as a heap with the least time at its root."""
    i: cython.Py_ssize_t
    for i in range(n // 2 - 1, -1, -1):
        sift(t, order, i, n)


def pop(t: cython.p_double, order: cython.p_Py_ssize_t, n: cython.Py_ssize_t) -> cython.void:
    """Remove the root of a heap of n + 1 breakpoints."""
    t[0] = t[n]
    order[0] = order[n]
    sift(t, order, 0, n)


def sift(
    t: cython.p_double,
    order: cython.p_Py_ssize_t,
    i: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.void:
    """Let the breakpoint at place i of a heap of n sink to where it belongs."""
    child: cython.Py_ssize_t
    time: cython.double = t[i]
    which: cython.Py_ssize_t = order[i]
    while 2 * i + 1 < n:
        child = 2 * i + 1
        if child + 1 < n and t[child + 1] < t[child]:
            child += 1
        if t[child] >= time:
            break
        t[i] = t[child]
        order[i] = order[child]
        i = child
    t[i] = time
    order[i] = which
