"""From the interior-point solution to the vertex or face it points at.

The rows and sides that the interior point leaves active are held as equations, and Newton's
method on the optimality conditions of what is left,

    [ H  A' ] [ dt ]     [ g + B t ]
    [ A  0  ] [  y ] = - [ c(t)    ],      H = B + sum y Hess c,

brings t from 1e-9 to rounding.  The result is used only if it is a better answer to the same
subproblem.
"""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import fabs
    from cython.cimports.optdriver.geometry.factors import (
        LeastSquares,
        lower_upper,
        make_least,
        substitute,
    )
    from cython.cimports.optdriver.geometry.interior import Run
    from cython.cimports.optdriver.geometry.subproblem import (
        Point,
        Subproblem,
        array,
        set_bends,
        set_model,
        set_rows,
        set_slopes,
    )
    from cython.cimports.optdriver.lbfgsb.linalg import all_finite
    from cython.cimports.optdriver.lbfgsb.state import cut_integers, integers
else:
    from math import fabs

    from optdriver.geometry.factors import (
        LeastSquares,
        lower_upper,
        make_least,
        substitute,
    )
    from optdriver.geometry.interior import Run
    from optdriver.geometry.subproblem import (
        Point,
        Subproblem,
        array,
        set_bends,
        set_model,
        set_rows,
        set_slopes,
    )
    from optdriver.lbfgsb.linalg import all_finite
    from optdriver.lbfgsb.state import cut_integers, integers


class Face:
    """What the interior point leaves active.

    Attributes
    ----------
    moving : (k,)
        The variables that are not at a side.
    active : (size,)
        The rows of (c, e) that are equations: `held` of c, and e.
    system : LeastSquares
        Newton's, or the factors of its first matrix if `factored`; none if that was `singular`.
    """

    def __init__(self, r: Run) -> None:
        s: Subproblem = r.problem
        p: Point = r.here
        i: cython.Py_ssize_t
        self.k = 0
        self.size = 0
        self.whole = np.zeros(s.n + s.m + s.q + 1, dtype=np.intp)
        self.moving = integers(self.whole)
        self.active = cut_integers(self.moving, s.n, s.m + s.q)
        for i in range(s.n):
            r.trial.t[i] = p.t[i]
            if p.zl[i] > p.t[i] - s.lower[i]:
                r.trial.t[i] = s.lower[i]
            if p.zu[i] > s.upper[i] - p.t[i]:
                r.trial.t[i] = s.upper[i]
            elif not p.zl[i] > p.t[i] - s.lower[i]:
                self.moving[self.k] = i
                self.k += 1
        for i in range(s.m + s.q):
            r.trial.lam[i] = p.lam[i]
            if i < s.m and not p.lam[i] > p.s[i]:
                r.trial.lam[i] = 0.0
            else:
                self.active[self.size] = i
                self.size += 1
        self.held = self.size - s.q
        self.factored = False
        self.singular = False
        self.system = LeastSquares(self.k + self.size, self.k + self.size)


def newton(r: Run, face: Face) -> cython.double:
    """Make a step from the trial, which takes it; return its size, infinite where there is none."""
    s: Subproblem = r.problem
    p: Point = r.trial
    i: cython.Py_ssize_t
    k: cython.Py_ssize_t = face.k
    total: cython.Py_ssize_t = k + face.size
    size: cython.double = 0.0
    if not (set_rows(s, p) and set_slopes(s, p, r.others)):
        return 1e300
    set_model(s, p)
    set_bends(s, p, r.factor.matrix)
    w: LeastSquares = face.system
    fill(r, face)
    for i in range(k):
        w.target[i] = -p.slope[face.moving[i]]
    for i in range(face.size):
        w.target[k + i] = -p.rows[face.active[i]]
    if not all_finite(w.columns, total * total):
        return 1e300
    make_least(w, 1e-13)
    for i in range(k):
        p.t[face.moving[i]] += w.x[i]
        if not fabs(w.x[i]) <= size:
            size = fabs(w.x[i])
    for i in range(face.size):
        p.lam[face.active[i]] = w.x[k + i]
    return size


def fill(r: Run, face: Face) -> cython.void:
    """Write the matrix, column by column."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    n: cython.Py_ssize_t = r.problem.n
    k: cython.Py_ssize_t = face.k
    total: cython.Py_ssize_t = k + face.size
    a: cython.p_double = face.system.columns
    for i in range(total * total):
        a[i] = 0.0
    for i in range(k):
        for j in range(k):
            a[j * total + i] = r.factor.matrix[face.moving[i] * n + face.moving[j]]
    for i in range(face.size):
        for j in range(k):
            a[(k + i) * total + j] = r.others[face.active[i] * n + face.moving[j]]
            a[j * total + k + i] = a[(k + i) * total + j]


def eliminate(r: Run, face: Face) -> cython.bint:
    """Factorise the matrix at the trial; False if it is singular, or about that."""
    w: LeastSquares = face.system
    i: cython.Py_ssize_t
    total: cython.Py_ssize_t = face.k + face.size
    most: cython.double = 0.0
    least: cython.double = 1e300
    pivot: cython.double
    set_bends(r.problem, r.trial, r.factor.matrix)
    fill(r, face)
    if not all_finite(w.columns, total * total):
        return False
    if not lower_upper(w.columns, w.order, total):
        return False
    for i in range(total):
        pivot = fabs(w.columns[i * total + i])
        if pivot > most:
            most = pivot
        if pivot < least:
            least = pivot
    return least > 1e-13 * most


def chord(r: Run, face: Face) -> cython.double:
    """Make a step from the trial with the first matrix, for the residuals there; as `newton`."""
    s: Subproblem = r.problem
    p: Point = r.trial
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    n: cython.Py_ssize_t = s.n
    k: cython.Py_ssize_t = face.k
    w: LeastSquares = face.system
    size: cython.double = 0.0
    if not (set_rows(s, p) and set_slopes(s, p, r.others)):
        return 1e300
    set_model(s, p)
    if not face.factored:
        if not eliminate(r, face):
            face.singular = True
            return newton(r, face)
        face.factored = True
    for i in range(k):
        w.target[i] = -p.slope[face.moving[i]]
        for j in range(face.size):
            w.target[i] -= p.lam[face.active[j]] * r.others[face.active[j] * n + face.moving[i]]
    for i in range(face.size):
        w.target[k + i] = -p.rows[face.active[i]]
    for i in range(k + face.size):
        w.x[i] = w.target[w.order[i]]
    substitute(w.columns, w.x, k + face.size)
    for i in range(k):
        p.t[face.moving[i]] += w.x[i]
        if not fabs(w.x[i]) <= size:
            size = fabs(w.x[i])
    for i in range(face.size):
        p.lam[face.active[i]] += w.x[k + i]
    return size


def is_better(r: Run, face: Face) -> cython.bint:
    """Say whether the trial is feasible, its multipliers have the right signs, f is no worse."""
    s: Subproblem = r.problem
    p: Point = r.trial
    i: cython.Py_ssize_t
    for i in range(s.n):
        if not s.lower[i] <= p.t[i] <= s.upper[i]:
            return False
    if not set_rows(s, p):
        return False
    for i in range(s.m + s.q):
        if not (p.rows[i] <= 1e-9 if i < s.m else fabs(p.rows[i]) <= 1e-9):
            return False
    for i in range(face.held):
        if p.lam[face.active[i]] < -1e-9:
            return False
    set_model(s, p)
    return p.model <= r.here.model + 1e-9


def cross_over(r: Run, chords: bool = False) -> Any:
    """Return the sharpened t, or the interior point's own where sharpening does not help.

    With `chords` the matrix is factorised once, by elimination, unless it is singular.
    """
    s: Subproblem = r.problem
    _turn: cython.Py_ssize_t
    size: cython.double
    face = Face(r)
    for _turn in range(3):
        size = chord(r, face) if chords and not face.singular else newton(r, face)
        if not size <= 1e-4:
            return array(r.here.t, s.n)
        if size < 1e-15:
            break
    return array(r.trial.t if is_better(r, face) else r.here.t, s.n)
