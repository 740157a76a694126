"""Points beside an end, where symmetry may have hidden that f falls.

A run that begins on a plane of symmetry stays there, and ends at a minimum within the plane: from
(1, 0), ``x^2 - y^2`` at its saddle.  The same happens where f is symmetric under the exchange of
two variables that begin equal, and at a start where all of the gradient vanishes, be it a maximum.
No gradient on the plane tells; a value beside it does.

Several such variables may be coupled, as in ``x^2 - 4 x y + y^2``, which falls along (1, 1) and
rises along (1, -1).  So where f is not lower beside the end, the next steps are the directions of
conjugate gradients (Hestenes and Stiefel 1952), of which the change of the gradient tells all that
is needed: the first one along which f bends down is met as soon as the directions so far span one
(Conn, Gould and Toint, "Trust-Region Methods", 2000, section 5.2), after as many as there are
variables at the latest.

Of variables in units far apart, one that has left its saddle may move next to nothing while the
others end: its slope is small in its unit, since it is near the saddle still.  If f is a parabola
about the start in it, one eight times as far from there is lower by more than twice what the slope
says.

What gradients are wrong by leads off a saddle, too, and grows along the direction down which f
falls: the way that coupled variables have drifted is a last direction to be asked.
"""

from __future__ import annotations

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import fabs, floor
    from cython.cimports.optdriver.lbfgsb.linalg import copy, dot, finite
    from cython.cimports.optdriver.lbfgsb.state import Scratch, State
else:
    from math import fabs, floor

    from optdriver.lbfgsb.linalg import copy, dot, finite
    from optdriver.lbfgsb.state import Scratch, State


def longest_way(s: State) -> cython.double:
    """Return how far any variable has come from the start to the end, which is in s.z."""
    i: cython.Py_ssize_t
    way: cython.double = 0.0
    for i in range(s.n):
        way = max(way, fabs(s.z[i] - s.xs[i]))
    return way


def size_of(s: State, i: cython.Py_ssize_t, way: cython.double) -> cython.double:
    """Return the size of a variable: that of its values, at most the width of its bounds.

    One that began at 0 is as large as the longest way of any, and where none has moved as wide as
    its bounds, or 1.
    """
    width: cython.double = s.u[i] - s.l[i]
    size: cython.double = max(fabs(s.z[i]), fabs(s.xs[i]))
    if s.xs[i] == 0.0:
        size = max(size, way)
    if size == 0.0:
        size = width if finite(width) else 1.0
    return min(size, width)


def same(s: State, size: cython.double) -> cython.double:
    """Return how close values of a variable of this size are where they count as the same.

    That is an eighth of the step aside: errors of differences lead off a plane of symmetry.
    """
    return size * (0.0001220703125 if s.cautious > 6 else 1.52587890625e-05)


def is_small_part(s: State, change: cython.double) -> cython.bint:
    """Whether a change is at most 2^-16 of f, or of what the run has gained."""
    gain: cython.double = fabs(s.f_start - s.best_f)
    return change <= 1.52587890625e-05 * max(fabs(s.best_f), gain)


def is_level(s: State, slope: cython.double, size: cython.double) -> cython.bint:
    """Whether a slope at the end counts as none: it is at most gtol, or promises nothing.

    Those by differences do not vanish: they are wrong by a part of what f is made of, however small
    f has become.  So one is none, too, that promises a small part over the size of its variable.
    """
    if fabs(slope) <= s.gtol * s.unit:
        return True
    return s.cautious > 6 and is_small_part(s, fabs(slope) * size)


def stays(s: State, i: cython.Py_ssize_t, way: cython.double) -> cython.bint:
    """Whether a variable is where it began, as good as, and f has no slope in it.

    Gradients by differences move it a little.  One that the pairs tell to have moved has come back.
    """
    k: cython.Py_ssize_t
    size: cython.double = size_of(s, i, way)
    most: cython.double = fabs(s.z[i] - s.xs[i])
    if s.l[i] == s.u[i] or not is_level(s, s.gb[i], size):
        return False
    for k in range(s.k):
        most = max(most, fabs(s.w[2 * s.m * i + 2 * k + 1]))
    return most <= same(s, size)


def slid(s: State, i: cython.Py_ssize_t) -> cython.bint:
    """Whether a variable has begun to slide from where it began, downhill as f bends down there.

    The slope leads on, and is to the way from the start what the pair with the longest step in this
    variable has learnt: f bends down as it did about the start.  Where no step was long enough to
    learn from, since it came there beside an end, the sign of the slope must do.  There must be
    room for four times the way.
    """
    k: cython.Py_ssize_t
    step: cython.double
    way: cython.double = s.z[i] - s.xs[i]
    room: cython.double = s.u[i] - s.z[i] if way > 0.0 else s.z[i] - s.l[i]
    slope: cython.double = 0.0
    most: cython.double = 0.0
    if s.cautious < 9 or not s.gb[i] * way < 0.0:
        return False
    if not (3.0 * fabs(way) <= room and finite(s.z[i] + 7.0 * way)):
        return False
    for k in range(s.k):
        step = s.w[2 * s.m * i + 2 * k + 1]
        if fabs(step) > most:
            most = fabs(step)
            slope = s.w[2 * s.m * i + 2 * k] / step * way
    if most <= 0.015625 * fabs(way):
        return s.left > 0
    return slope * way < 0.0 and 0.5 * fabs(slope) < fabs(s.gb[i]) < 2.0 * fabs(slope)


def equal(s: State, i: cython.Py_ssize_t, j: cython.Py_ssize_t, way: cython.double) -> cython.bint:
    """Whether two variables have been equal all the way, as good as, and one can go up, one down.

    How they came is what the pairs tell.
    """
    k: cython.Py_ssize_t
    most: cython.double = fabs(s.z[i] - s.z[j])
    first: cython.Py_ssize_t = 2 * s.m * i
    other: cython.Py_ssize_t = 2 * s.m * j
    if s.xs[i] != s.xs[j] or s.z[i] >= s.u[i] or s.z[j] <= s.l[j]:
        return False
    if not is_level(s, s.gb[i] - s.gb[j], size_of(s, i, way)):
        return False
    for k in range(s.k):
        most = max(most, fabs(s.w[first + 2 * k + 1] - s.w[other + 2 * k + 1]))
    return most <= same(s, way)


def partner(s: State, i: cython.Py_ssize_t, way: cython.double) -> cython.Py_ssize_t:
    """Return the next variable that has been equal to one and is not yet moved, or -1.

    Of very many variables only the nearest are compared, so that all comparisons take no longer
    than an iteration.
    """
    j: cython.Py_ssize_t
    last: cython.Py_ssize_t = min(s.n, i + 2 + 1048576 // s.n)
    for j in range(i + 1, last):
        if s.xt[j] == s.z[j] and equal(s, i, j, way) and not stays(s, j, way):
            return j
    return -1


def is_odd(number: cython.Py_ssize_t) -> cython.bint:
    """Whether a number has an odd number of bits (Thue and Morse's sequence)."""
    odd: cython.bint = False
    while number > 0:
        odd = not odd
        number &= number - 1
    return odd


def part_of(k: cython.Py_ssize_t) -> cython.double:
    """Return a part for the k-th variable, of 1/2 to 1, all different."""
    part: cython.double = 0.7320508075688772 * k
    return 1.0 - 0.5 * (part - floor(part))


def step_aside(s: State) -> cython.bint:
    """Leave in s.xt a point beside the end, which is put into s.z; False if there is none to ask.

    Each variable that has stayed where it was is moved by 2^-10 of its size: f falls visibly then
    where it bends down, and a ridge is not jumped over.  Signs follow Thue and Morse's sequence,
    so that sums of products of neighbours are small, or to where there is room.  Of variables that
    have been equal, one is moved up and the other down.
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    h: cython.double
    way: cython.double
    moved: cython.Py_ssize_t = 0
    copy(s.xb, s.z, s.n)
    copy(s.xb, s.xt, s.n)
    way = longest_way(s)
    for i in range(s.n):
        if s.xt[i] != s.z[i] or s.l[i] == s.u[i]:
            continue
        h = 0.0009765625 * size_of(s, i, way)
        if stays(s, i, way):
            s.xt[i] = aside(s, i, h, is_odd(moved))
            moved += s.xt[i] != s.z[i]
        elif slid(s, i):
            s.xt[i] = min(max(s.z[i] + 7.0 * (s.z[i] - s.xs[i]), s.l[i]), s.u[i])
            moved += 1
        else:
            j = partner(s, i, way)
            if j >= 0:
                h = min(min(h, s.u[i] - s.z[i]), s.z[j] - s.l[j])
                s.xt[i] = min(s.z[i] + h, s.u[i])
                s.xt[j] = max(s.z[j] - h, s.l[j])
                moved += 2 * (s.xt[i] != s.z[i])
    return moved > 0


def aside(s: State, i: cython.Py_ssize_t, h: cython.double, down: cython.bint) -> cython.double:
    """Return where a variable is moved by h, or by what there is room for on the wider side."""
    above: cython.double = s.u[i] - s.z[i]
    below: cython.double = s.z[i] - s.l[i]
    if h > (below if down else above):
        down = below > above
        h = min(h, max(below, above))
    return max(s.z[i] - h, s.l[i]) if down else min(s.z[i] + h, s.u[i])


def promised_aside(s: State) -> cython.double:
    """Return what is promised along the steps down whose slope f bends.

    That is minus half of the sum of the change of the gradient times the step (a parabola).  It
    is 0 where that are all of them, or none: f is not lower there, and nothing else is known.
    """
    i: cython.Py_ssize_t
    part: cython.double
    total: cython.double = 0.0
    left: cython.Py_ssize_t = 0
    for i in range(s.n):
        if s.xt[i] == s.z[i]:
            continue
        part = (s.gt[i] - s.gb[i]) * (s.xt[i] - s.z[i])
        if part < 0.0:
            total -= 0.5 * part
        else:
            left += 1
    return total if left > 0 else 0.0


def follow_bends(s: State) -> cython.void:
    """Leave in s.xt only the steps down whose slope f bends."""
    i: cython.Py_ssize_t
    for i in range(s.n):
        if not (s.gt[i] - s.gb[i]) * (s.xt[i] - s.z[i]) < 0.0:
            s.xt[i] = s.z[i]


def has_fallen(s: State) -> cython.bint:
    """Whether a lower point was found beside the end."""
    i: cython.Py_ssize_t
    fallen: cython.bint = False
    for i in range(s.n):
        fallen = fallen or s.xb[i] != s.z[i]
    return fallen


def turn_aside(s: State, q: Scratch, hidden: cython.double) -> cython.bint:
    """Leave in s.xt a point that lies from the end in a direction conjugate to the last ones.

    Those are of the variables that have stayed, which are measured by the first step.  What
    conjugate gradients would still have to solve for is kept in s.d, which nothing else needs here.
    It is another part of each at first: the first step itself may be an eigenvector, to which all
    that is to be found is conjugate.  False where nothing is left, or where f bends by no more than
    `hidden`, a change that is none.
    """
    i: cython.Py_ssize_t
    k: cython.Py_ssize_t = 0
    way: cython.double
    x: cython.double
    along: cython.double
    part: cython.double
    most: cython.double = 0.0
    moved: cython.bint = False
    for i in range(s.n):
        q.s[i] = s.xt[i] - s.z[i]
        q.y[i] = s.gt[i] - s.gb[i]
    step_aside(s)
    way = longest_way(s)
    for i in range(s.n):
        x = s.xt[i] - s.z[i] if stays(s, i, way) else 0.0
        q.t[i] = fabs(x)
        q.y[i] *= q.t[i]
        q.s[i] = q.s[i] / q.t[i] if x != 0.0 else 0.0
        if s.beside <= 4:
            s.d[i] = (part_of(k) if x > 0.0 else -part_of(k)) if x != 0.0 else 0.0
        k += x != 0.0
    if k < 2:
        return False
    along = dot(q.s, q.y, s.n)
    if not along > 2.0 * hidden:
        return False
    part = dot(s.d, q.s, s.n) / along
    for i in range(s.n):
        s.d[i] -= part * q.y[i]
        most = max(most, fabs(s.d[i]))
    if not most > 0.0078125:
        return False
    part = dot(s.d, q.y, s.n) / along
    most = 0.0
    for i in range(s.n):
        q.s[i] = s.d[i] - part * q.s[i]
        most = max(most, fabs(q.s[i]))
    if not (most > 0.0 and finite(most)):
        return False
    for i in range(s.n):
        x = s.z[i] + q.t[i] * (q.s[i] / most)
        s.xt[i] = min(max(x, s.l[i]), s.u[i]) if finite(x) else s.z[i]
        moved = moved or s.xt[i] != s.z[i]
    return moved


def slope_aside(s: State) -> cython.double:
    """Return what f changes by on the way to a point beside the end, to first order.

    It is 0 beyond the first point, but for turns.
    """
    i: cython.Py_ssize_t
    total: cython.double = 0.0
    for i in range(s.n):
        total += s.gb[i] * (s.xt[i] - s.z[i])
    return fabs(total) if s.beside <= 2 or s.beside > 4 else 0.0


def drift_aside(s: State) -> cython.bint:
    """Leave in s.xt a point beside the end, in s.z, along the way that several variables drifted.

    Errors of differences grow along the direction down which f falls, and lead there if they lead
    anywhere, in whatever variables.  They are those that are as good as where they began, but for
    this.  The one that has drifted farthest for its size is moved as far as it is by `step_aside`.
    """
    i: cython.Py_ssize_t
    drift: cython.double
    size: cython.double
    most: cython.double = 0.0
    moved: cython.Py_ssize_t = 0
    way: cython.double = longest_way(s)
    copy(s.z, s.xt, s.n)
    for i in range(s.n):
        size = size_of(s, i, way)
        drift = fabs(s.z[i] - s.xs[i])
        if 0.0 < drift <= same(s, size):
            most = max(most, drift / size)
            moved += 1
    if moved < 2:
        return False
    for i in range(s.n):
        drift = s.z[i] - s.xs[i]
        if fabs(drift) <= same(s, size_of(s, i, way)):
            s.xt[i] = min(max(s.z[i] + 0.0009765625 * (drift / most), s.l[i]), s.u[i])
    return True


def farther_aside(s: State) -> cython.bint:
    """Leave in s.xt a point eight times as far beside the end; False if bounds allow no other."""
    i: cython.Py_ssize_t
    x: cython.double
    moved: cython.bint = False
    for i in range(s.n):
        x = min(max(s.z[i] + 8.0 * (s.xt[i] - s.z[i]), s.l[i]), s.u[i])
        if x != s.xt[i] and finite(x):
            s.xt[i] = x
            moved = True
    return moved
