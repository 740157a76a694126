"""The nearest point of a small polyhedron, one active row at a time.

minimise 1/2 |d - p|^2  subject to  A d <= b,  E d = e

by the dual method of Goldfarb and Idnani, Math. Prog. 27 (1983) 1, for the identity matrix.  It
ends after finitely many steps and proves it when there is no such point.

The active rows are kept as N = Q R with orthonormal columns in Q, by Gram and Schmidt's process
done twice (Giraud, Langou, Rozloznik, Numer. Math. 101 (2005) 87).  A row that leaves has those
after it orthonormalised afresh: these problems are small, and accuracy is worth more than the time
of an update.
"""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import INFINITY, fabs, sqrt
    from cython.cimports.optdriver.geometry.products import add, inner, length, put
    from cython.cimports.optdriver.lbfgsb.state import cut, cut_integers, integers, numbers, reading
else:
    from math import fabs, inf, sqrt

    from optdriver.geometry.products import add, inner, length, put
    from optdriver.lbfgsb.state import cut, cut_integers, integers, numbers, reading

    INFINITY = inf

from optdriver.geometry.products import flat


class Polyhedron:
    """The problem and where its solution stands; all rows are of unit length.

    Attributes
    ----------
    n, k, q, plain : int
        Variables; rows; how many of the rows, the first ones, are equalities, and how many are no
        sides of variables.
    count : int
        Active rows.
    wish, point, normal, direction : (n,)
        p; d; the row that enters, oriented; its part outside the span of the active rows.
    unit, level, length : (plain, n), (k,), (k,)
        The rows, and how long they were before they were of unit length.
    place : (k - plain,)
        Of a side which variable it is of, i of an upper one and -1 - i of a lower one.
    status : (k,)
        What each row is: 0 out, 1 active, 2 not to be looked at, since it is nothing or said
        already by the active ones.
    rows : (n,)
        The active rows in the order in which they came.
    sign, dual : (n,)
        Their orientation, ``sign * row . d >= sign * level``, and multipliers.
    basis, upper : (n, n)
        Q', one row an active row; R by columns: ``upper[j, i]`` is R[i, j].
    inside, rates : (n,)
        Q' normal; R^-1 of it.
    """

    def __init__(self, n: int, k: int, equalities: int, plain: int) -> None:
        a: cython.Py_ssize_t = n
        b: cython.Py_ssize_t = k
        c: cython.Py_ssize_t = plain
        self.n = a
        self.k = b
        self.q = equalities
        self.plain = c
        self.count = 0
        self.reals = np.zeros(8 * a + c * a + 2 * b + 2 * a * a + 1)
        self.whole = np.zeros(2 * b - c + a + 1, dtype=np.intp)
        p: cython.p_double = numbers(self.reals)
        i: cython.p_Py_ssize_t = integers(self.whole)
        self.wish = cut(p, 0, a)
        self.point = cut(p, a, a)
        self.normal = cut(p, 2 * a, a)
        self.direction = cut(p, 3 * a, a)
        self.sign = cut(p, 4 * a, a)
        self.dual = cut(p, 5 * a, a)
        self.inside = cut(p, 6 * a, a)
        self.rates = cut(p, 7 * a, a)
        self.unit = cut(p, 8 * a, c * a)
        self.level = cut(p, 8 * a + c * a, b)
        self.length = cut(p, 8 * a + c * a + b, b)
        self.basis = cut(p, 8 * a + c * a + 2 * b, a * a)
        self.upper = cut(p, 8 * a + c * a + 2 * b + a * a, a * a)
        self.status = i
        self.rows = cut_integers(i, b, a)
        self.place = cut_integers(i, b + a, b - c)

    def solution(self) -> Any:
        """Return d."""
        return self.reals[self.n : 2 * self.n].copy()

    def multipliers(self) -> Any:
        """Return the multipliers of the rows, shape (k,), as they were given: ``A d <= b``."""
        made = np.zeros(self.k)
        found: cython.p_double = numbers(made)
        i: cython.Py_ssize_t
        for i in range(self.count):
            found[self.rows[i]] = -self.sign[i] * self.dual[i] / self.length[self.rows[i]]
        return made


def largest(x: cython.p_double, n: cython.Py_ssize_t) -> cython.double:
    """Return the largest size of n numbers."""
    i: cython.Py_ssize_t
    most: cython.double = 0.0
    for i in range(n):
        if fabs(x[i]) > most:
            most = fabs(x[i])
    return most


def gap(s: Polyhedron, row: cython.Py_ssize_t) -> cython.double:
    """Return how much a row is above its level at the point."""
    i: cython.Py_ssize_t
    if row < s.plain:
        return inner(s.unit, row * s.n, s.point, 0, s.n) - s.level[row]
    i = s.place[row - s.plain]  # 0 is added so that zero has the sign that it has in a sum
    return ((s.point[i] if i >= 0 else -s.point[-1 - i]) + 0.0) - s.level[row]


def extent(s: Polyhedron) -> cython.double:
    """Return how large the numbers of the problem are: the wish, and how far its rows are."""
    row: cython.Py_ssize_t
    above: cython.double
    most: cython.double = largest(s.wish, s.n)
    for row in range(s.k):
        above = gap(s, row)
        if row < s.q:
            above = fabs(above)
        if above > most:
            most = above
    return most


def most_violated(s: Polyhedron, tolerance: cython.double) -> cython.Py_ssize_t:
    """Return the row to enter, equalities first; -1 when none is violated."""
    row: cython.Py_ssize_t
    above: cython.double
    found: cython.Py_ssize_t = -1
    most: cython.double = tolerance
    for row in range(s.q):
        if s.status[row] == 0:
            return row
    for row in range(s.q, s.k):
        if s.status[row] == 0:
            above = gap(s, row)
            if above > most:
                most = above
                found = row
    return found


def split(s: Polyhedron) -> cython.void:
    """Split the normal into Q' normal and its part outside the span of the active rows."""
    i: cython.Py_ssize_t
    _turn: cython.Py_ssize_t
    n: cython.Py_ssize_t = s.n
    x: cython.double
    for i in range(n):
        s.direction[i] = s.normal[i]
        s.inside[i] = 0.0
    if s.count == 0:
        return
    for _turn in range(2):
        for i in range(s.count):
            x = inner(s.basis, i * n, s.direction, 0, n)
            s.inside[i] += x
            add(-x, s.basis, i * n, s.direction, 0, n)
    x = sqrt(inner(s.direction, 0, s.direction, 0, n))
    if s.count == n or x <= 1e-13:  # of its length 1: it depends on the active rows
        for i in range(n):
            s.direction[i] = 0.0


def back_substitute(s: Polyhedron, b: cython.p_double) -> cython.void:
    """B <- R^-1 b."""
    i: cython.Py_ssize_t
    for i in range(s.count - 1, -1, -1):
        b[i] /= s.upper[i * s.n + i]
        add(-b[i], s.upper, i * s.n, b, 0, i)


def append(s: Polyhedron, row: cython.Py_ssize_t, sign: cython.double) -> cython.bint:
    """Make the row, split before, active; False if it depends on those that are."""
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = s.n
    at: cython.Py_ssize_t = s.count
    length: cython.double = sqrt(inner(s.direction, 0, s.direction, 0, n))
    if at >= n or not length > 0.0:
        return False
    for i in range(n):
        s.basis[at * n + i] = s.direction[i] / length
    for i in range(at):
        s.upper[at * n + i] = s.inside[i]
    s.upper[at * n + at] = length
    s.rows[at] = row
    s.sign[at] = sign
    s.status[row] = 1
    s.count += 1
    return True


def orient(s: Polyhedron, row: cython.Py_ssize_t, sign: cython.double) -> cython.void:
    """Make the row the normal."""
    i: cython.Py_ssize_t
    for i in range(s.n):
        s.normal[i] = sign * (s.unit[row * s.n + i] if row < s.plain else 0.0)
    if row >= s.plain:
        i = s.place[row - s.plain]
        s.normal[i if i >= 0 else -1 - i] = sign if i >= 0 else -sign


def remove(s: Polyhedron, place: cython.Py_ssize_t) -> cython.void:
    """Let an active row go; those after it are orthonormalised again."""
    i: cython.Py_ssize_t
    last: cython.Py_ssize_t = s.count
    s.status[s.rows[place]] = 0
    s.count = place
    for i in range(place + 1, last):
        orient(s, s.rows[i], s.sign[i])
        split(s)
        if append(s, s.rows[i], s.sign[i]):
            s.dual[s.count - 1] = s.dual[i]
        else:
            s.status[s.rows[i]] = 0


def enter(s: Polyhedron, row: cython.Py_ssize_t, sign: cython.double) -> cython.bint:
    """Move until the row holds, dropping rows whose dual falls to zero; False if it cannot."""
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = s.n
    blocking: cython.Py_ssize_t
    own: cython.double = 0.0
    slope: cython.double
    primal: cython.double
    longest: cython.double
    step: cython.double
    ratio: cython.double
    while True:
        orient(s, row, sign)
        split(s)
        for i in range(s.count):
            s.rates[i] = s.inside[i]
        back_substitute(s, s.rates)
        blocking = -1
        longest = 1e300
        for i in range(s.count):
            if s.rows[i] >= s.q and s.rates[i] > 0.0:
                ratio = (s.dual[i] if s.dual[i] > 0.0 else 0.0) / s.rates[i]
                if ratio < longest:
                    longest = ratio
                    blocking = i
        slope = inner(s.direction, 0, s.normal, 0, n)
        primal = 1e300
        if slope > 1e-26:
            primal = (sign * s.level[row] - inner(s.normal, 0, s.point, 0, n)) / slope
        step = primal if primal <= longest else longest
        if not step < 1e300:
            return False
        if primal < 1e300:
            add(step, s.direction, 0, s.point, 0, n)
        for i in range(s.count):
            s.dual[i] -= step * s.rates[i]
        own += step
        if primal <= longest:
            s.dual[s.count] = own
            return append(s, row, sign)
        remove(s, blocking)


def refine(s: Polyhedron) -> cython.void:
    """Go to the nearest point on the active rows, free of the rounding that was gathered."""
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = s.n
    if s.count == 0:
        for i in range(n):
            s.point[i] = s.wish[i]
        return
    for i in range(s.count):  # R' w = what the rows lack
        s.rates[i] = -s.sign[i] * gap(s, s.rows[i])
    for i in range(s.count):
        s.rates[i] = (s.rates[i] - inner(s.upper, i * n, s.rates, 0, i)) / s.upper[i * n + i]
    for i in range(s.count):
        add(s.rates[i], s.basis, i * n, s.point, 0, n)
    for i in range(n):
        s.direction[i] = s.point[i] - s.wish[i]
    for i in range(s.count):
        s.dual[i] = inner(s.basis, i * n, s.direction, 0, n)
    back_substitute(s, s.dual)


def activate(s: Polyhedron, tolerance: cython.double) -> cython.bint:
    """Find the active rows and the nearest point; False where no point satisfies the rows."""
    row: cython.Py_ssize_t
    _turn: cython.Py_ssize_t
    limit: cython.double = tolerance * extent(s)
    sign: cython.double
    for _turn in range(20 + 10 * s.k):
        row = most_violated(s, limit)
        if row < 0:
            refine(s)
            return True
        sign = 1.0 if row < s.q and gap(s, row) <= 0.0 else -1.0
        if not enter(s, row, sign):
            if fabs(gap(s, row)) > 1e-10 * (1.0 + largest(s.point, s.n)):
                return False
            s.status[row] = 2  # said already by the active rows, but for rounding
    return False


def solve(s: Polyhedron, tolerance: float) -> bool:
    """Solve the problem; False where no point satisfies the rows.

    The tolerance is relative to the largest of the wish and of what it violates.
    """
    return s.n == 0 or bool(activate(s, tolerance))


# -- rows of any length, and a box ---------------------------------------------------------------


def nearest(
    wish: Any, a: Any, b: Any, e_rows: Any, e: Any, box: Any, tolerance: float = 1e-13
) -> tuple[Any, Any, Any, Any, bool]:
    """Project a point onto {d : a d <= b, e_rows d = e} in a box.

    Parameters
    ----------
    wish : ndarray, shape (n,)
    a, b : ndarrays, shapes (m, n), (m,)
    e_rows, e : ndarrays, shapes (q, n), (q,)
    box : (lower, upper)
        ndarrays of shape (n,); sides may be infinite.
    tolerance : float
        Violation that counts as none, relative to the largest of the wish and of what it violates.

    Returns
    -------
    point, inequality, equality, sides : ndarray
        The multipliers are of the rows as they are given; those of upper sides are positive.
    solved : bool
        Whether there is such a point.
    """
    n: cython.Py_ssize_t = len(wish)
    q: cython.Py_ssize_t = len(e)
    k: cython.Py_ssize_t = q + len(b)
    low: Any = flat(box[0])
    high: Any = flat(box[1])
    left: cython.p_double = reading(low)
    right: cython.p_double = reading(high)
    i: cython.Py_ssize_t
    count: cython.Py_ssize_t = k
    for i in range(n):
        count += (right[i] < INFINITY) + (left[i] > -INFINITY)
    s = Polyhedron(n, count, q, k)
    put(wish, s.wish, 0)
    put(wish, s.point, 0)
    put(e_rows, s.unit, 0)
    put(a, s.unit, q * n)
    put(e, s.level, 0)
    put(b, s.level, q)
    possible: cython.bint = prepare(s, k)
    add_sides(s, left, right, k, n)
    solved = bool(possible) and solve(s, tolerance)
    sides: Any = settle(s, left, right, k, n)
    duals: Any = s.multipliers()
    return s.solution(), duals[q:k], duals[:q], sides, solved


def prepare(s: Polyhedron, k: cython.Py_ssize_t) -> cython.bint:
    """Bring the first k rows to unit length; False if one without coefficients contradicts."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    n: cython.Py_ssize_t = s.n
    size: cython.double
    possible: cython.bint = True
    for i in range(k):
        size = length(s.unit, i * n, n)
        s.length[i] = size
        if size > 1e-100:
            s.level[i] /= size
            for j in range(n):
                s.unit[i * n + j] /= size
        else:
            s.length[i] = 1.0
            s.status[i] = 2
            if s.level[i] < 0.0 or (i < s.q and s.level[i] != 0.0):
                possible = False
    return possible


def add_sides(
    s: Polyhedron,
    left: cython.p_double,
    right: cython.p_double,
    first: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> cython.void:
    """Make rows of the finite sides of n variables, behind all others: upper ones, then lower."""
    i: cython.Py_ssize_t
    at: cython.Py_ssize_t = first
    for i in range(n):
        if right[i] < INFINITY:
            s.place[at - first] = i
            s.level[at] = right[i]
            s.length[at] = 1.0
            at += 1
    for i in range(n):
        if left[i] > -INFINITY:
            s.place[at - first] = -1 - i
            s.level[at] = -left[i]
            s.length[at] = 1.0
            at += 1


def settle(
    s: Polyhedron,
    left: cython.p_double,
    right: cython.p_double,
    first: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
) -> Any:
    """Put the point into its box, exactly at the sides that have a multiplier; return these.

    Those of upper sides are positive.
    """
    i: cython.Py_ssize_t
    at: cython.Py_ssize_t = first
    x: cython.p_double = s.point
    duals: Any = s.multipliers()
    made: Any = np.zeros(n)
    dual: cython.p_double = numbers(duals)
    side: cython.p_double = numbers(made)
    for i in range(n):
        if right[i] < INFINITY:
            side[i] += dual[at]
            at += 1
    for i in range(n):
        if left[i] > -INFINITY:
            side[i] -= dual[at]
            at += 1
    for i in range(n):
        if side[i] < 0.0 or (side[i] == 0.0 and x[i] < left[i]):
            x[i] = left[i]
        if side[i] > 0.0 or (side[i] == 0.0 and x[i] > right[i]):
            x[i] = right[i]
    return made
