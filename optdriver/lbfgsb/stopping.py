"""Convergence tests.

At a bound, and within `gtol` of one, a component of the gradient counts with the distance to the
bound; elsewhere with itself.  Both depend on the unit of the variables: in a narrow box every
point is near a bound, in a wide one every gradient is small.  So beside the norm of the projected
gradient it is asked what the gradient says that f could still fall by, which has the unit of f.
"""

from __future__ import annotations

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import fabs
    from cython.cimports.optdriver.lbfgsb.linalg import dot, finite
    from cython.cimports.optdriver.lbfgsb.state import State
else:
    from math import fabs

    from optdriver.lbfgsb.linalg import dot, finite
    from optdriver.lbfgsb.state import State


def projected_gradient_norm(s: State, x: cython.p_double, g: cython.p_double) -> cython.double:
    """Return |P(x - g) - x|_inf (Byrd et al. 1995, eq. 6.1)."""
    i: cython.Py_ssize_t
    last: cython.Py_ssize_t = s.n - s.n % 2
    norm: cython.double = 0.0
    other: cython.double = 0.0
    for i in range(0, last, 2):
        norm = max(norm, fabs(max(x[i] - s.u[i], min(x[i] - s.l[i], g[i]))))
        other = max(other, fabs(max(x[i + 1] - s.u[i + 1], min(x[i + 1] - s.l[i + 1], g[i + 1]))))
    for i in range(last, s.n):
        norm = max(norm, fabs(max(x[i] - s.u[i], min(x[i] - s.l[i], g[i]))))
    return max(norm, other)


def is_stationary(
    s: State, x: cython.p_double, g: cython.p_double, f: cython.double, norm: cython.double
) -> cython.bint:
    """Whether the `norm` of the projected gradient is at most gtol, and it promises nothing.

    A component above gtol is near its bound then: to go there must be a reduction that the test
    of the reduction calls small, measured by f, or by what the run has gained.  Of the components
    below gtol, the promise over all of the box (over |x| where that has no side) must be at most
    the part 100 gtol of the same.
    """
    i: cython.Py_ssize_t
    a: cython.double
    room: cython.double
    near: cython.double = 0.0
    far: cython.double = 0.0
    scale: cython.double = max(fabs(f), fabs(s.f_start - f))
    gtol: cython.double = s.gtol * s.unit
    if norm > gtol:
        return False
    for i in range(s.n):
        a = fabs(g[i])
        room = s.u[i] - x[i] if g[i] < 0.0 else x[i] - s.l[i]
        if a == 0.0 or room == 0.0:
            continue
        if a > gtol:
            near += a * room
        else:
            far += a * (room if finite(room) else fabs(x[i]))
    return near <= max(s.ftol, 8.881784197001252e-16) * scale and far <= 100.0 * s.gtol * scale


def reduction_is_small(s: State, before: cython.double, after: cython.double) -> cython.bint:
    """Whether (f_k - f_{k+1}) <= ftol max(|f_k|, |f_{k+1}|, 1), the 1 in the unit of f."""
    return before - after <= s.ftol * max(max(fabs(before), fabs(after)), s.unit)


def reach(s: State, i: cython.Py_ssize_t) -> cython.double:
    """Return how far a variable may go down its slope: its own size, within the bounds.

    The size is that of its value or, where that is near 0, of the way that it has come.
    """
    size: cython.double = max(fabs(s.x[i]), fabs(s.x[i] - s.xs[i]))
    return min(s.u[i] - s.x[i] if s.g[i] < 0.0 else s.x[i] - s.l[i], size)


def uneven(s: State) -> cython.bint:
    """Whether the sizes of the variables that f depends on differ by more than 1e3.

    The first model measures all of them alike.  What it promises says little then: it takes the
    memory many steps to learn that a variable may go far, and the walls are learnt before the
    floor.
    """
    i: cython.Py_ssize_t
    size: cython.double
    least: cython.double = 1.7976931348623157e308
    most: cython.double = 0.0
    for i in range(s.n):
        if s.g[i] != 0.0 and reach(s, i) > 0.0:
            size = max(fabs(s.x[i]), fabs(s.x[i] - s.xs[i]))
            least = min(least, size)
            most = max(most, size)
    return most * 1e-3 > least


def missed(s: State) -> cython.double:
    """Return what of f a run should not miss: a part of f, or of what it has gained."""
    return max(1e-3 * fabs(s.f), 1e-5 * fabs(s.f_start - s.f))


def promise(s: State) -> cython.double:
    """Return by how much f falls, says the gradient, over the reach of all variables."""
    i: cython.Py_ssize_t
    total: cython.double = 0.0
    for i in range(s.n):
        total += fabs(s.g[i]) * reach(s, i)
    return total


def objects(s: State) -> cython.bint:
    """Whether the gradient promises more than a run should miss.

    Where the variables are of uneven sizes, a tenth of that part of the gain: the walls have
    fallen first, and by much.
    """
    if s.cautious > 2 and uneven(s):
        return promise(s) > max(1e-3 * fabs(s.f), 1e-6 * fabs(s.f_start - s.f))
    return promise(s) > missed(s)


def falls_plainly(s: State) -> cython.bint:
    """Whether that is more than a hundredth of f, 1e-5 of the gain, and a part of the unit of f.

    That part is a hundredth, but outweighs no promise of all of f and a hundredth of the gain.
    Where the variables are of uneven sizes it is 1e-6.
    """
    gain: cython.double = fabs(s.f_start - s.f)
    least: cython.double = max(1e-2 * fabs(s.f), 1e-5 * gain)
    if s.cautious < 2:  # as in 0.2.0
        return promise(s) > 1e-2 * max(fabs(s.f), gain)
    if s.cautious < 3:  # as in 0.3.0
        return promise(s) > max(1e-2 * max(fabs(s.f), s.unit), 1e-4 * gain)
    if uneven(s):
        return promise(s) > max(least, 1e-6 * s.unit)
    return promise(s) > max(least, min(1e-2 * s.unit, max(fabs(s.f), 1e-2 * gain)))


def along_the_floor(s: State) -> cython.double:
    """Return what the gradient promises beside the change of it that the newest pair knows.

    In a narrow valley that change points up the walls: what is left of the gradient runs along the
    floor, where no wall takes back what it promises.  Each variable is measured by its reach.
    """
    i: cython.Py_ssize_t
    new: cython.Py_ssize_t
    r: cython.double
    y: cython.double
    gy: cython.double = 0.0
    yy: cython.double = 0.0
    total: cython.double = 0.0
    new = s.head - 1 if s.head > 0 else s.k - 1
    for i in range(s.n):
        r = reach(s, i)
        y = s.w[2 * s.m * i + 2 * new] * r
        gy += s.g[i] * r * y
        yy += y * y
    if not (yy > 0.0 and finite(yy) and finite(gy)):
        return promise(s)
    for i in range(s.n):
        y = s.w[2 * s.m * i + 2 * new]
        total += fabs(s.g[i] - y * (gy / yy)) * reach(s, i)
    return total


def falls_along(s: State, part: cython.double) -> cython.bint:
    """Whether the floor of a valley promises more than a thousandth of f, and a part of the gain.

    Where f has all but vanished, a hundredth of that; where no pair tells the floor from the walls,
    a hundredth of f, and 1e-4 of the gain.  Where values are noisy that says nothing.
    """
    gain: cython.double = fabs(s.f_start - s.f)
    if s.noise > 0.0:
        return False
    if s.k == 0:
        return promise(s) > max(1e-2 * fabs(s.f), 1e-4 * gain)
    if fabs(s.f) <= 1e-6 * gain:
        part = 1e-2
    return along_the_floor(s) > max(1e-3 * fabs(s.f), part * gain)


def learn_unit(s: State) -> cython.void:
    """Set the unit of f, from the size of the first value and of what its gradient promises.

    See `optdriver.lbfgsb.unit.unit_of`.
    """
    i: cython.Py_ssize_t
    room: cython.double
    least: cython.double
    size: cython.double = fabs(s.f)
    unit: cython.double = 1.0
    for i in range(s.n):
        room = s.u[i] - s.x[i] if s.g[i] < 0.0 else s.x[i] - s.l[i]
        size = max(size, fabs(s.g[i]) * (room if finite(room) else max(fabs(s.x[i]), 1.0)))
    least = max(fabs(s.f), size * 0.0009765625)
    size = size * max(size, 0.0009765625)
    if s.cautious > 3:
        size = min(size, least)
    while 0.5 * unit >= size and unit > 7.888609052210118e-31:  # 2^-100
        unit *= 0.5
    s.unit = unit
    if s.k == 0:
        s.theta = unit


def falls_without_end(s: State, after: cython.double) -> cython.bint:
    """Whether the step from the iterate to the trial, where f is `after`, shows no lower bound.

    It does where f has fallen 1e20 times as far as any size known of it, and falls on; and where
    the longest step that there is, 1e10 times the direction, was taken over a distance of 1e8, with
    no bound in the way and half of the slope or more left at its end: were f a parabola, its
    minimum would lie more than as far again beyond.
    """
    i: cython.Py_ssize_t
    size: cython.double = 1.0
    reach: cython.double = 0.0
    fall: cython.double = s.f_start - after
    known: cython.double = max(fabs(s.f_start), 1.0)
    if s.nit == 0:
        known = max(known, -s.slope0)  # what a step of the length of the gradient would gain
    if fall >= 1e20 * known and s.f - after >= 1e-3 * fall:
        return True
    if s.stp < 1e10 or dot(s.gt, s.d, s.n) > 0.5 * s.slope0:
        return False
    for i in range(s.n):
        size = max(size, fabs(s.x[i]))
        reach = max(reach, fabs(s.d[i]))
    return s.stp * reach >= 1e8 * size
