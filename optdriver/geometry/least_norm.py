"""The shortest step onto linearised rows, as restoration takes it.

minimise 1/2 |d|^2  subject to  c + J d <= -margin,  e + E d = 0,  in the box

in d = D^-1 (z - x) over the variables that can move.
"""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import INFINITY
    from cython.cimports.optdriver.geometry.active_set import Polyhedron, add_sides, prepare, settle
    from cython.cimports.optdriver.geometry.products import length
    from cython.cimports.optdriver.lbfgsb.linalg import all_finite, finite
    from cython.cimports.optdriver.lbfgsb.state import cut, integers, numbers, reading
else:
    from math import inf as INFINITY

    from optdriver.geometry.active_set import Polyhedron, add_sides, prepare, settle
    from optdriver.geometry.products import length
    from optdriver.lbfgsb.linalg import all_finite, finite
    from optdriver.lbfgsb.state import cut, integers, numbers, reading

from optdriver.geometry.active_set import solve
from optdriver.geometry.products import flat, rows_of

TOLERANCE = 1e-13
"""Violation that counts as none, relative to the largest number of the problem."""


class Linear:
    """Rows at x to first order.

    Parameters
    ----------
    jacobian, equality : ndarray, shapes (m, n) and (q, n)
        Gradients of c and e.
    x, lower, upper, scale : ndarray, shape (n,)
        The point in its box, and D.

    Attributes
    ----------
    k : int
        How many variables can move.
    rows : (m + q, k)
        The gradients of c, then of e, in d.
    lower, upper, scale : (k,)
        The box of d, and D.
    moving : (k,)
    """

    def __init__(
        self, jacobian: Any, equality: Any, x: Any, lower: Any, upper: Any, scale: Any
    ) -> None:
        n: cython.Py_ssize_t = len(x)
        m: cython.Py_ssize_t = jacobian.shape[0]
        q: cython.Py_ssize_t = equality.shape[0]
        i: cython.Py_ssize_t
        given: Any = flat(x)
        below: Any = flat(lower)
        above: Any = flat(upper)
        sizes: Any = flat(scale)
        at: cython.p_double = reading(given)
        low: cython.p_double = reading(below)
        high: cython.p_double = reading(above)
        size: cython.p_double = reading(sizes)
        self.n = n
        self.m = m
        self.q = q
        self.k = 0
        self.reals = np.empty((m + q) * n + 3 * n + 1)
        self.whole = np.empty(n + 1, dtype=np.intp)
        p: cython.p_double = numbers(self.reals)
        self.rows = cut(p, 0, (m + q) * n)
        self.lower = cut(p, (m + q) * n, n)
        self.upper = cut(p, (m + q) * n + n, n)
        self.scale = cut(p, (m + q) * n + 2 * n, n)
        self.moving = integers(self.whole)
        for i in range(n):
            if low[i] < high[i]:
                self.moving[self.k] = i
                self.scale[self.k] = size[i]
                self.lower[self.k] = (low[i] - at[i]) / size[i]
                self.upper[self.k] = (high[i] - at[i]) / size[i]
                self.k += 1
        self.take(jacobian, 0, m, size)
        self.take(equality, m, q, size)

    def take(
        self,
        matrix: Any,
        first: cython.Py_ssize_t,
        count: cython.Py_ssize_t,
        scale: cython.p_double,
    ) -> None:
        """Write the columns that move of a matrix, times D."""
        u: Any = rows_of(matrix)
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        k: cython.Py_ssize_t = self.k
        a: cython.p_double = reading(u)
        for i in range(count):
            for j in range(k):
                self.rows[(first + i) * k + j] = (
                    a[i * self.n + self.moving[j]] * scale[self.moving[j]]
                )

    def is_finite(self) -> bool:
        """Say whether all gradients are finite."""
        return bool(all_finite(self.rows, (self.m + self.q) * self.k))

    def weights(self, shortest: float) -> tuple[Any, Any]:
        """Return 1 / max(length, shortest) of the rows of c, and of those of e."""
        made = np.empty(self.m + self.q)
        out: cython.p_double = numbers(made)
        least: cython.double = shortest
        size: cython.double
        i: cython.Py_ssize_t
        for i in range(self.m + self.q):
            size = length(self.rows, i * self.k, self.k)
            out[i] = 1.0 / (size if not size < least else least)
        return made[: self.m], made[self.m :]

    def step(self, c: Any, e: Any, margins: Any, softness: float = 0.0) -> Any:
        """Return D d, shape (n,), or None where the rows contradict each other.

        Parameters
        ----------
        c, e, margins : ndarray, shapes (m,), (q,), (m,)
            Rows c that are not finite are left out.
        softness : float
            If positive, each row may give way at a price.
        """
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t = self.k
        kept: cython.Py_ssize_t = 0
        count: cython.Py_ssize_t
        above: cython.p_double = reading(c)
        off: cython.p_double = reading(e)
        margin: cython.p_double = reading(margins)
        for i in range(self.m):
            kept += finite(above[i])
        for i in range(k):
            if self.lower[i] > self.upper[i]:
                return None
        count = self.q + kept
        for i in range(k):
            count += (self.upper[i] < INFINITY) + (self.lower[i] > -INFINITY)
        extra: cython.Py_ssize_t = self.q + kept if softness else 0
        problem = Polyhedron(k + extra, count, self.q, self.q + kept)
        fill(self, problem, above, off, margin, softness)
        possible: cython.bint = prepare(problem, self.q + kept)
        add_sides(problem, self.lower, self.upper, self.q + kept, k)
        if not (possible and solve(problem, TOLERANCE)):
            return None
        settle(problem, self.lower, self.upper, self.q + kept, k)
        if not all_finite(problem.point, k + extra):
            return None
        made = np.zeros(self.n)
        out: cython.p_double = numbers(made)
        for i in range(k):
            out[self.moving[i]] = problem.point[i] * self.scale[i]
        return made


def fill(
    s: Linear,
    out: Polyhedron,
    c: cython.p_double,
    e: cython.p_double,
    margin: cython.p_double,
    softness: cython.double,
) -> cython.void:
    """Write the rows, e before c, behind each its own variable if they may give way."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    k: cython.Py_ssize_t = s.k
    n: cython.Py_ssize_t = out.n
    at: cython.Py_ssize_t = 0
    kept: cython.Py_ssize_t = n - k - s.q
    for i in range(s.q):
        for j in range(k):
            out.unit[at * n + j] = s.rows[(s.m + i) * k + j]
        if softness > 0.0:
            out.unit[at * n + k + kept + i] = -softness
        out.level[at] = -e[i]
        at += 1
    for i in range(s.m):
        if finite(c[i]):
            for j in range(k):
                out.unit[at * n + j] = s.rows[i * k + j]
            if softness > 0.0:
                out.unit[at * n + k + at - s.q] = -softness
            out.level[at] = -c[i] - margin[i]
            at += 1
