"""The subproblem of a trust region, and points of its barrier problem.

minimise   g't + 1/2 t'B t   over  lower < t < upper
subject to  c(t) + s = 0,  s > 0,  e(t) = 0

The rows are formulas, which are evaluated here, or functions, which are called from here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.optdriver.geometry.formulas import (
        Formulas,
        add_bends,
        fill_slopes,
        fill_values,
    )
    from cython.cimports.optdriver.geometry.products import inner, put
    from cython.cimports.optdriver.lbfgsb.linalg import all_finite
    from cython.cimports.optdriver.lbfgsb.state import cut, numbers
else:
    from optdriver.geometry.formulas import Formulas, add_bends, fill_slopes, fill_values
    from optdriver.geometry.products import inner, put
    from optdriver.lbfgsb.linalg import all_finite
    from optdriver.lbfgsb.state import cut, numbers

from optdriver.geometry.products import flat


class Subproblem:
    """What is minimised, in t.

    Attributes
    ----------
    n, m, q : int
        Variables, rows c, rows e.
    gradient, curvature : (n,), (n, n)
        g, B.
    lower, upper : (n,)
        Sides of the box, all finite, lower < upper.
    formulas : Formulas or None
        The rows.
    functions : object
        ``values(t) -> (c, e)``, ``jacobians(t) -> (J, E)`` and ``hessian(t, lambda, nu)`` for what
        the formulas do not give: all of it without any, derivatives where these are not finite.
    rounding : float
        What rounding does to the sum of all rows, about.
    """

    def __init__(
        self,
        gradient: Any,
        curvature: Any,
        box: Any,
        counts: Any,
        functions: Any,
        formulas: Formulas | None = None,
        rounding: float = 0.0,
    ) -> None:
        n: cython.Py_ssize_t = len(gradient)
        self.n = n
        self.m, self.q = counts
        self.reals = np.empty(n * n + 3 * n + 1)
        self.functions = functions
        self.formulas = formulas
        self.rounding = rounding
        p: cython.p_double = numbers(self.reals)
        self.gradient = cut(p, 0, n)
        self.curvature = cut(p, n, n * n)
        self.lower = cut(p, n + n * n, n)
        self.upper = cut(p, 2 * n + n * n, n)
        put(gradient, p, 0)
        put(curvature, p, n)
        put(box[0], p, n + n * n)
        put(box[1], p, 2 * n + n * n)


class Point:
    """Primal and dual variables, with the rows, the model and its gradient there.

    Attributes
    ----------
    t, zl, zu, slope : (n,)
        zl and zu are the multipliers of the sides; slope is g + B t.
    s, lam : (m,)
        Slacks and multipliers of c.
    nu : (q,)
        Multipliers of e.
    rows : (m + q,)
        c and e.
    model : float
    """

    def __init__(self, n: int, m: int, q: int) -> None:
        a: cython.Py_ssize_t = n
        b: cython.Py_ssize_t = m
        c: cython.Py_ssize_t = q
        self.reals = np.zeros(4 * a + 3 * b + 2 * c + 1)
        self.model = 0.0
        p: cython.p_double = numbers(self.reals)
        self.t = cut(p, 0, a)
        self.zl = cut(p, a, a)
        self.zu = cut(p, 2 * a, a)
        self.slope = cut(p, 3 * a, a)
        self.s = cut(p, 4 * a, b)
        self.lam = cut(p, 4 * a + b, b + c)  # and nu behind them
        self.nu = cut(p, 4 * a + 2 * b, c)
        self.rows = cut(p, 4 * a + 2 * b + c, b + c)


def set_model(s: Subproblem, p: Point) -> cython.void:
    """Set the model and its gradient at the point."""
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = s.n
    for i in range(n):
        p.slope[i] = inner(s.curvature, i * n, p.t, 0, n)
    p.model = inner(s.gradient, 0, p.t, 0, n) + 0.5 * inner(p.t, 0, p.slope, 0, n)
    for i in range(n):
        p.slope[i] += s.gradient[i]


def set_rows(s: Subproblem, p: Point) -> cython.bint:
    """Set c and e at the point; False if one of them is not finite."""
    if s.formulas is not None:
        fill_values(s.formulas, p.t, p.rows)
    else:
        c, e = s.functions.values(array(p.t, s.n))
        put(c, p.rows, 0)
        put(e, p.rows, s.m)
    return all_finite(p.rows, s.m + s.q)


def set_slopes(s: Subproblem, p: Point, out: cython.p_double) -> cython.bint:
    """Out <- the gradients of c and e at the point; False if one is not finite."""
    if s.formulas is not None and fill_slopes(s.formulas, p.t, out, s.n):
        return True
    c, e = s.functions.jacobians(array(p.t, s.n))
    put(c, out, 0)
    put(e, out, s.m * s.n)
    return all_finite(out, (s.m + s.q) * s.n)


def set_bends(s: Subproblem, p: Point, out: cython.p_double) -> cython.void:
    """Out <- B and the second derivatives of the rows, times their multipliers."""
    i: cython.Py_ssize_t
    x: cython.p_double
    for i in range(s.n * s.n):
        out[i] = s.curvature[i]
    if s.formulas is not None and add_bends(s.formulas, p.t, p.lam, out, s.n):
        return
    bends: Any = flat(s.functions.hessian(array(p.t, s.n), array(p.lam, s.m), array(p.nu, s.q)))
    x = numbers(bends)
    for i in range(s.n * s.n):
        out[i] += x[i]


def array(x: cython.p_double, n: cython.Py_ssize_t) -> Any:
    """Return n numbers as an array of their own."""
    made = np.empty(n)
    i: cython.Py_ssize_t
    out: cython.p_double = numbers(made)
    for i in range(n):
        out[i] = x[i]
    return made
