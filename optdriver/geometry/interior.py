"""A primal-dual interior point: the model of a trust region under the exact constraints.

minimise   g't + 1/2 t'B t   over  lower < t < upper
subject to  c(t) + s = 0,  s > 0,  e(t) = 0

Line search on the l1 merit function with one second-order correction.

Source: Nocedal, Wright, Numerical Optimization, 2nd ed., ch. 19; Waechter, Biegler, Math. Prog. 106
(2006) 25 (fraction to boundary, scaling of the error, raising of the Hessian).
"""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import fabs, log, sqrt
    from cython.cimports.optdriver.geometry.newton import Factor, Step, factorise, newton
    from cython.cimports.optdriver.geometry.products import add, add_logs, inner
    from cython.cimports.optdriver.geometry.subproblem import (
        Point,
        Subproblem,
        array,
        set_model,
        set_rows,
        set_slopes,
    )
    from cython.cimports.optdriver.lbfgsb.linalg import copy
    from cython.cimports.optdriver.lbfgsb.state import cut, numbers
else:
    from math import fabs, log, sqrt

    from optdriver.geometry.newton import Factor, Step, factorise, newton
    from optdriver.geometry.products import add, add_logs, inner
    from optdriver.geometry.subproblem import (
        Point,
        Subproblem,
        array,
        set_model,
        set_rows,
        set_slopes,
    )
    from optdriver.lbfgsb.linalg import copy
    from optdriver.lbfgsb.state import cut, numbers

from optdriver.geometry.factors import least_squares


class Run:
    """A solve under way.

    Attributes
    ----------
    here, trial, corrected : Point
    step, correction : Step
    factor : Factor
    slopes, others : (m + q, n)
        Gradients of the rows at `here`, and at a point that may replace it.
    residual : (m + q,)
    mu, penalty : float
        The barrier's parameter; what a violation weighs in the merit function.
    error : float
        Size of the scaled optimality conditions.
    count : int
        Iterations.
    """

    def __init__(self, s: Subproblem) -> None:
        n: cython.Py_ssize_t = s.n
        rows: cython.Py_ssize_t = s.m + s.q
        self.problem = s
        self.here = Point(n, s.m, s.q)
        self.trial = Point(n, s.m, s.q)
        self.corrected = Point(n, s.m, s.q)
        self.step = Step(n, s.m, s.q)
        self.correction = Step(n, s.m, s.q)
        self.factor = Factor(n, s.m, s.q)
        self.reals = np.zeros(2 * rows * n + rows + n + 1)
        self.mu = 0.0
        self.penalty = 1.0
        self.error = np.inf
        self.count = 0
        p: cython.p_double = numbers(self.reals)
        self.slopes = cut(p, 0, rows * n)
        self.others = cut(p, rows * n, rows * n)
        self.residual = cut(p, 2 * rows * n, rows)
        self.dual = cut(p, 2 * rows * n + rows, n)

    def solution(self) -> Any:
        """Return t, s, lambda, nu, zl and zu as arrays."""
        s: Subproblem = self.problem
        p: Point = self.here
        return (
            array(p.t, s.n),
            array(p.s, s.m),
            array(p.lam, s.m),
            array(p.nu, s.q),
            array(p.zl, s.n),
            array(p.zu, s.n),
        )


def first_point(r: Run, start: cython.p_double, inset: cython.double) -> cython.bint:
    """Begin at `start`, off the sides by a part of their distance; False if no row is finite."""
    s: Subproblem = r.problem
    p: Point = r.here
    i: cython.Py_ssize_t
    off: cython.double
    for i in range(s.n):
        off = inset * (s.upper[i] - s.lower[i])
        if off > inset:
            off = inset
        p.t[i] = start[i]
        if p.t[i] < s.lower[i] + off:
            p.t[i] = s.lower[i] + off
        if p.t[i] > s.upper[i] - off:
            p.t[i] = s.upper[i] - off
    return set_rows(s, p) and set_slopes(s, p, r.slopes)


def first_duals(r: Run, mu: cython.double) -> cython.void:
    """Set the slacks, and multipliers in the middle; nu makes the dual residual least."""
    s: Subproblem = r.problem
    p: Point = r.here
    i: cython.Py_ssize_t
    x: cython.p_double
    set_model(s, p)
    for i in range(s.m):
        p.s[i] = -p.rows[i] if -p.rows[i] > 1e-3 else 1e-3
        p.lam[i] = mu / p.s[i]
    for i in range(s.n):
        p.zl[i] = mu / (p.t[i] - s.lower[i])
        p.zu[i] = mu / (s.upper[i] - p.t[i])
    if s.q == 0:
        return
    dual_residual(r)
    rows: Any = array(cut(r.slopes, s.m * s.n, s.q * s.n), s.q * s.n).reshape(s.q, s.n)
    guess: Any = least_squares(rows.T, -array(r.dual, s.n), 1e-10)
    if float(np.max(np.abs(guess))) <= 1e3:  # beyond, it is no guess worth starting from
        x = numbers(guess)
        copy(x, p.nu, s.q)


def dual_residual(r: Run) -> cython.void:
    """Set g + B t + J'lambda + E'nu - zl + zu."""
    s: Subproblem = r.problem
    p: Point = r.here
    i: cython.Py_ssize_t
    for i in range(s.n):
        r.dual[i] = p.slope[i] - p.zl[i] + p.zu[i]
    for i in range(s.m + s.q):
        add(p.lam[i], r.slopes, i * s.n, r.dual, 0, s.n)


def largest(x: cython.p_double, n: cython.Py_ssize_t) -> cython.double:
    """Return the largest size of n numbers; infinite if one is NaN."""
    i: cython.Py_ssize_t
    most: cython.double = 0.0
    for i in range(n):
        if not fabs(x[i]) <= most:
            most = fabs(x[i]) if x[i] == x[i] else 1e300
    return most


def sizes(x: cython.p_double, n: cython.Py_ssize_t) -> cython.double:
    """Return the sum of the sizes of n numbers."""
    i: cython.Py_ssize_t
    total: cython.double = 0.0
    for i in range(n):
        total += fabs(x[i])
    return total


def outside(s: Subproblem, p: Point) -> cython.double:
    """Return the l1 norm of (c + s, e)."""
    i: cython.Py_ssize_t
    total: cython.double = sizes(cut(p.rows, s.m, s.q), s.q)
    for i in range(s.m):
        total += fabs(p.rows[i] + p.s[i])
    return total


def scaled_error(r: Run, mu: cython.double) -> cython.double:
    """Return the scaled optimality error for the barrier parameter; `dual` is up to date."""
    s: Subproblem = r.problem
    p: Point = r.here
    i: cython.Py_ssize_t
    x: cython.double
    products: cython.double = 0.0
    most: cython.double = largest(cut(p.rows, s.m, s.q), s.q)
    count: cython.double = s.m + s.q + 2 * s.n
    scale: cython.double = sizes(p.lam, s.m + s.q) + sizes(p.zl, s.n) + sizes(p.zu, s.n)
    scale = scale / count / 100.0
    if scale < 1.0:
        scale = 1.0
    for i in range(s.m):
        x = fabs(p.s[i] * p.lam[i] - mu)
        if x > products:
            products = x
        x = fabs(p.rows[i] + p.s[i])
        if x > most:
            most = x
    for i in range(s.n):
        x = fabs((p.t[i] - s.lower[i]) * p.zl[i] - mu)
        if x > products:
            products = x
        x = fabs((s.upper[i] - p.t[i]) * p.zu[i] - mu)
        if x > products:
            products = x
    if products / scale > most:
        most = products / scale
    x = largest(r.dual, s.n) / scale
    return x if x > most else most


def merit(s: Subproblem, p: Point, mu: cython.double, penalty: cython.double) -> cython.double:
    """Return the l1 merit function of the barrier problem; the model is up to date."""
    i: cython.Py_ssize_t
    logs: cython.double = add_logs(p.s, s.m)
    for i in range(s.n):
        logs += log(p.t[i] - s.lower[i]) + log(s.upper[i] - p.t[i])
    return p.model - mu * logs + penalty * outside(s, p)


def fraction(
    values: cython.p_double,
    change: cython.p_double,
    n: cython.Py_ssize_t,
    keep: cython.double,
) -> cython.double:
    """Return how much of the change, at most 1, leaves of positive values a part of 1 - keep."""
    i: cython.Py_ssize_t
    ratio: cython.double
    least: cython.double = 1e300
    for i in range(n):
        if change[i] < 0.0:
            ratio = values[i] / -change[i]
            if ratio < least:
                least = ratio
    return keep * least if keep * least < 1.0 else 1.0


def kept(mu: cython.double) -> cython.double:
    """Return the fraction of the way to a side that is gone at most."""
    return 1.0 - mu if 1.0 - mu > 0.99 else 0.99


def to_boundary(r: Run, d: Step) -> cython.double:
    """Return the longest length of the primal step."""
    s: Subproblem = r.problem
    p: Point = r.here
    i: cython.Py_ssize_t
    ratio: cython.double
    keep: cython.double = kept(r.mu)
    longest: cython.double = fraction(p.s, d.s, s.m, keep)
    for i in range(s.n):
        ratio = 1.0
        if d.t[i] < 0.0:
            ratio = keep * ((p.t[i] - s.lower[i]) / -d.t[i])
        elif d.t[i] > 0.0:
            ratio = keep * ((s.upper[i] - p.t[i]) / d.t[i])
        if ratio < longest:
            longest = ratio
    return longest


def near(dual: cython.double, central: cython.double) -> cython.double:
    """Keep a multiplier within a factor 1e10 of the central one."""
    if dual < central / 1e10:
        return central / 1e10
    return central * 1e10 if dual > central * 1e10 else dual


def move(r: Run, d: Step, length: cython.double, out: Point) -> cython.bint:
    """Set the point after `length` of the primal step and the longest dual one; False if none."""
    s: Subproblem = r.problem
    p: Point = r.here
    i: cython.Py_ssize_t
    x: cython.double
    keep: cython.double = kept(r.mu)
    dual: cython.double
    for i in range(s.n):
        out.t[i] = p.t[i] + length * d.t[i]
        if not s.lower[i] < out.t[i] < s.upper[i]:
            return False
    if not set_rows(s, out):
        return False
    dual = fraction(p.lam, d.lam, s.m, keep)
    x = fraction(p.zl, d.zl, s.n, keep)
    if x < dual:
        dual = x
    x = fraction(p.zu, d.zu, s.n, keep)
    if x < dual:
        dual = x
    for i in range(s.m):
        x = p.s[i] + length * d.s[i]
        out.s[i] = x if x > -out.rows[i] else -out.rows[i]
        out.lam[i] = near(p.lam[i] + dual * d.lam[i], r.mu / out.s[i])
    for i in range(s.q):
        out.nu[i] = p.nu[i] + length * d.nu[i]
    for i in range(s.n):
        out.zl[i] = near(p.zl[i] + dual * d.zl[i], r.mu / (out.t[i] - s.lower[i]))
        out.zu[i] = near(p.zu[i] + dual * d.zu[i], r.mu / (s.upper[i] - out.t[i]))
    set_model(s, out)
    return True


def correct(r: Run, length: cython.double) -> cython.bint:
    """Set `corrected` after one second-order correction of the trial's rows; False if none."""
    s: Subproblem = r.problem
    p: Point = r.here
    i: cython.Py_ssize_t
    slack: cython.double
    for i in range(s.m):
        slack = p.s[i] + length * r.step.s[i]
        if slack <= 0.0:
            return False
        r.residual[i] = length * (p.rows[i] + p.s[i]) + r.trial.rows[i] + slack
    for i in range(s.m, s.m + s.q):
        r.residual[i] = length * p.rows[i] + r.trial.rows[i]
    newton(r.factor, s, p, r.slopes, r.mu, r.residual, r.correction)
    return move(r, r.correction, to_boundary(r, r.correction), r.corrected)


def slope_of_barrier(r: Run) -> cython.double:
    """Return the slope of the barrier function along the step."""
    s: Subproblem = r.problem
    p: Point = r.here
    d: Step = r.step
    i: cython.Py_ssize_t
    total: cython.double = inner(p.slope, 0, d.t, 0, s.n)
    for i in range(s.n):
        total += (r.mu / (s.upper[i] - p.t[i]) - r.mu / (p.t[i] - s.lower[i])) * d.t[i]
    for i in range(s.m):
        total -= r.mu * (d.s[i] / p.s[i])
    return total


def accept(r: Run, p: Point) -> cython.bint:
    """Go to the point; False if the derivatives of the rows are not finite there."""
    if not set_slopes(r.problem, p, r.others):
        return False
    copy(r.others, r.slopes, (r.problem.m + r.problem.q) * r.problem.n)
    if p is r.trial:
        r.trial = r.here
    else:
        r.corrected = r.here
    r.here = p
    return True


def search(r: Run) -> cython.bint:
    """Move along the step, shortened until the merit function falls; False if no length helps."""
    s: Subproblem = r.problem
    slope: cython.double = slope_of_barrier(r)
    off: cython.double = outside(s, r.here)
    needed: cython.double
    bend: cython.double = r.step.curvature if r.step.curvature > 0.0 else 0.0
    if off > 0.0:
        needed = (slope + 0.5 * bend) / (0.9 * off)
        if needed > r.penalty:
            r.penalty = needed * 1.5 if needed * 1.5 > r.penalty else r.penalty
    descent: cython.double = slope - r.penalty * off
    before: cython.double = merit(s, r.here, r.mu, r.penalty)
    longest: cython.double = to_boundary(r, r.step)
    length: cython.double = longest
    noise: cython.double = fabs(before) if fabs(before) > 1.0 else 1.0
    limit: cython.double
    noise = 1e-12 * noise + r.penalty * s.rounding
    while length > 1e-9:
        limit = before + 1e-4 * length * descent + noise
        if move(r, r.step, length, r.trial):
            if merit(s, r.trial, r.mu, r.penalty) <= limit:
                if accept(r, r.trial):
                    return True
            elif (
                length == longest
                and correct(r, length)
                and merit(s, r.corrected, r.mu, r.penalty) <= limit
                and accept(r, r.corrected)
            ):
                return True
        length *= 0.5
    return False


def iterate(r: Run, tolerance: cython.double, most: cython.Py_ssize_t) -> cython.void:
    """Iterate until the conditions hold, no step helps, or `most` iterations are done."""
    s: Subproblem = r.problem
    i: cython.Py_ssize_t
    smallest: cython.double = tolerance / 20.0
    following: cython.double
    raised: cython.double = 0.0
    while r.count < most:
        dual_residual(r)
        r.error = scaled_error(r, 0.0)
        if r.error <= tolerance:
            return
        while r.mu > smallest and scaled_error(r, r.mu) <= 10.0 * r.mu:
            following = r.mu * sqrt(r.mu)
            if 0.2 * r.mu < following:
                following = 0.2 * r.mu
            r.mu = following if following > smallest else smallest
            if s.q:
                r.penalty = 1.0  # it may have grown too far
        if not factorise(r.factor, s, r.here, r.slopes, raised):
            return
        raised = r.factor.raised
        for i in range(s.m):
            r.residual[i] = r.here.rows[i] + r.here.s[i]
        for i in range(s.m, s.m + s.q):
            r.residual[i] = r.here.rows[i]
        newton(r.factor, s, r.here, r.slopes, r.mu, r.residual, r.step)
        if not search(r):
            return
        r.count += 1


def solve(
    s: Subproblem, start: Any, barrier: float, tolerance: float, most: int, inset: float = 1e-3
) -> Run:
    """Solve the subproblem.

    Parameters
    ----------
    s : Subproblem
    start : ndarray, shape (n,)
        Where to begin; it need not be feasible.
    barrier : float
        First mu.
    tolerance : float
        Wanted size of the scaled optimality conditions.
    most : int
        Iterations at most.
    inset : float
        What part of its interval the first point keeps away from a side.

    Returns
    -------
    Run
        Whatever was reached.
    """
    r = Run(s)
    begin: Any = np.array(start, dtype=np.float64)
    r.mu = barrier
    if not first_point(r, numbers(begin), inset):
        first_point(r, numbers(begin), 1e-9)
    first_duals(r, barrier)
    iterate(r, tolerance, most)
    return r
