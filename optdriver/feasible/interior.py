"""The subproblem of a large problem, by a primal-dual interior point with sparse matrices.

It is a quadratic model under the exact constraints (dense ones: `optdriver.geometry.posing`):

minimise q(t) = phi (g't + 1/2 t'B t)  subject to  c(t) + s = 0, s >= 0, e(t) = 0, a <= t <= b,

in t = (z - x) / (Delta D), rows scaled to unit gradient.  Line search on the l1 merit function
with one second-order correction; the Hessian of the Lagrangian is raised by delta I until its
reduced matrix is positive definite.

Source: Nocedal, Wright, Numerical Optimization, ch. 19; Waechter, Biegler, Math. Prog. 106 (2006)
25 (fraction to boundary, scaling of the error, raising of the Hessian).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optdriver.feasible import sparse_newton
from optdriver.feasible.barrier import Point, Subproblem
from optdriver.feasible.sparse_newton import SparseFactor
from optdriver.feasible.types import Vector
from optdriver.geometry.matrices import finite, times, transposed_times
from optdriver.geometry.posing import INSET, ITERATIONS, TOLERANCE
from optdriver.geometry.products import dot, sum_of_logs

TO_BOUNDARY = 0.99
FIRST_SLACK = 1e-3
ARMIJO = 1e-4
SHORTEST = 1e-9
SETTLED = 1e-7  # below this error a large problem ends when it does not fall for some iterations
PATIENCE = 8
SHORT = 0.05  # steps shortened to less than this get a large problem nowhere
LARGEST_GUESS = 1e3  # multipliers beyond this are no guess worth starting from


@dataclass(frozen=True, kw_only=True)
class Solution:
    """Where the solver ended, and how well the optimality conditions hold."""

    t: Vector
    error: float
    iterations: int


@dataclass(frozen=True, kw_only=True)
class _Step:
    t: Vector
    s: Vector
    lam: Vector
    nu: Vector
    zl: Vector
    zu: Vector
    curvature: float


def solve(
    problem: Subproblem,
    barrier: float = 1e-4,
    tolerance: float = TOLERANCE,
    start: Vector | None = None,
) -> Solution:
    """Solve the subproblem.

    Parameters
    ----------
    problem : Subproblem
    barrier : float
        First barrier parameter.
    tolerance : float
        Wanted size of the scaled optimality conditions.
    start : ndarray, shape (n,), optional
        Where to begin, t = 0 by default; it need not be feasible.

    Returns
    -------
    Solution
        Whatever was reached; `error` says how good it is.
    """
    begin = np.zeros_like(problem.lower) if start is None else start
    point = _first_point(problem, barrier, begin)
    mu, penalty, raised = barrier, 1.0, 0.0
    error, least, patience, short, count = np.inf, np.inf, PATIENCE, 0, 0
    while count < ITERATIONS:
        error = _error(problem, point, 0.0)
        patience = PATIENCE if error < 0.9 * least else patience - 1
        least = min(least, error)
        settled = patience <= 0 and error <= SETTLED
        if error <= tolerance or settled or short >= PATIENCE:
            break
        while mu > tolerance / 20.0 and _error(problem, point, mu) <= 10.0 * mu:
            mu = max(tolerance / 20.0, min(0.2 * mu, mu**1.5))
            penalty = 1.0  # it may have grown too far
        factor = SparseFactor.of(problem, point, _raises(raised))
        if factor is None:
            break
        raised = factor.raised
        step = _newton(factor, problem, point, mu, point.c + point.s, point.e)
        moved, penalty = _search(problem, point, step, factor, mu, penalty)
        if moved is None:
            break
        whole = _size(moved.t - point.t) >= SHORT * _size(step.t)
        short = 0 if whole else short + 1
        point, count = moved, count + 1
    return Solution(t=point.t, error=error, iterations=count)


def _first_point(problem: Subproblem, mu: float, start: Vector) -> Point:
    width = problem.upper - problem.lower
    inset = np.minimum(INSET, INSET * width)
    t = np.clip(start, problem.lower + inset, problem.upper - inset)
    c, e = problem.values(t)
    jac, eq = problem.jacobians(t)
    if not finite(c, e, jac, eq):
        t = np.clip(start, problem.lower + 1e-9 * width, problem.upper - 1e-9 * width)
        c, e = problem.values(t)
        jac, eq = problem.jacobians(t)
    s = np.maximum(-c, FIRST_SLACK)
    point = Point(
        t=t,
        s=s,
        lam=mu / s,
        nu=np.zeros(len(e)),
        zl=mu / (t - problem.lower),
        zu=mu / (problem.upper - t),
        c=c,
        e=e,
        jac=jac,
        eq=eq,
    )
    if not len(e):
        return point
    residual = _dual_residual(problem, point)
    nu = sparse_newton.multipliers(eq, residual)
    return replace(point, nu=nu) if _size(nu) <= LARGEST_GUESS else point


def _dual_residual(problem: Subproblem, p: Point) -> Vector:
    gradient = problem.slope(p.t)
    rows = transposed_times(p.jac, p.lam) + transposed_times(p.eq, p.nu)
    return np.asarray(gradient + rows - p.zl + p.zu)


def _error(problem: Subproblem, p: Point, mu: float) -> float:
    """Return the scaled optimality error for barrier parameter `mu`."""
    duals = np.abs(np.concatenate([p.lam, p.nu, p.zl, p.zu]))
    scale = max(1.0, float(np.mean(duals)) / 100.0 if len(duals) else 1.0)
    products = np.concatenate(
        [p.s * p.lam, (p.t - problem.lower) * p.zl, (problem.upper - p.t) * p.zu]
    )
    return max(
        _size(_dual_residual(problem, p)) / scale,
        _size(p.c + p.s),
        _size(p.e),
        _size(products - mu) / scale,
    )


def _size(values: Vector) -> float:
    return float(np.max(np.abs(values), initial=0.0))


def _newton(
    factor: SparseFactor, problem: Subproblem, p: Point, mu: float, infeasible: Vector, off: Vector
) -> _Step:
    """Return the Newton step for the barrier problem with residuals `infeasible`, `off`."""
    below, above = p.t - problem.lower, problem.upper - p.t
    gradient = problem.slope(p.t) - mu / below + mu / above
    dt, dlam, dnu = factor.directions(p, gradient, mu, infeasible, off)
    ds = -infeasible - times(p.jac, dt)
    return _Step(
        t=dt,
        s=ds,
        lam=dlam,
        nu=dnu,
        zl=mu / below - p.zl - p.zl / below * dt,
        zu=mu / above - p.zu + p.zu / above * dt,
        curvature=factor.curvature(dt, ds),
    )


def _raises(last: float) -> list[float]:
    """Return what to add to the diagonal, in the order of trying."""
    first = max(1e-8, last / 3.0) if last > 0.0 else 1e-6
    return [0.0, *(first * 8.0**k for k in range(40))]


def _search(
    problem: Subproblem, p: Point, step: _Step, factor: SparseFactor, mu: float, penalty: float
) -> tuple[Point | None, float]:
    """Return the next point and the penalty; None when no step length helps."""
    slope = _barrier_slope(problem, p, step, mu)
    outside = _l1(p.c + p.s) + _l1(p.e)
    if outside > 0.0:
        needed = (slope + 0.5 * max(step.curvature, 0.0)) / (0.9 * outside)
        penalty = max(penalty, needed * 1.5) if needed > penalty else penalty
    descent = slope - penalty * outside
    merit = _merit(problem, p, mu, penalty)
    longest = _to_boundary(problem, p, step, mu)
    length = longest
    noise = 1e-12 * max(1.0, abs(merit)) + penalty * problem.rounding
    while length > SHORTEST:
        limit = merit + ARMIJO * length * descent + noise
        trial = _moved(problem, p, step, length, mu)
        if trial is not None:
            if _merit(problem, trial, mu, penalty) <= limit:
                complete = _completed(problem, trial)
                if complete is not None:
                    return complete, penalty
            elif length == longest:
                corrected = _corrected(problem, p, trial, step, factor, mu, length)
                if corrected is not None and _merit(problem, corrected, mu, penalty) <= limit:
                    complete = _completed(problem, corrected)
                    if complete is not None:
                        return complete, penalty
        length *= 0.5
    return None, penalty


def _completed(problem: Subproblem, p: Point) -> Point | None:
    """Return the point with the derivatives of the rows there; None if there are none."""
    jac, eq = problem.jacobians(p.t)
    return replace(p, jac=jac, eq=eq) if finite(jac, eq) else None


def _l1(values: Vector) -> float:
    return float(np.sum(np.abs(values)))


def _barrier_slope(problem: Subproblem, p: Point, step: _Step, mu: float) -> float:
    below, above = p.t - problem.lower, problem.upper - p.t
    gradient = problem.slope(p.t) - mu / below + mu / above
    return dot(gradient, step.t) - mu * float(np.sum(step.s / p.s))


def _merit(problem: Subproblem, p: Point, mu: float, penalty: float) -> float:
    logs = sum_of_logs(p.s) + sum_of_logs(p.t - problem.lower) + sum_of_logs(problem.upper - p.t)
    return problem.model(p.t) - mu * logs + penalty * (_l1(p.c + p.s) + _l1(p.e))


def _to_boundary(problem: Subproblem, p: Point, step: _Step, mu: float) -> float:
    keep = max(TO_BOUNDARY, 1.0 - mu)
    return min(
        _ratio(p.s, step.s, keep),
        _ratio(p.t - problem.lower, step.t, keep),
        _ratio(problem.upper - p.t, -step.t, keep),
    )


def _ratio(values: Vector, change: Vector, keep: float) -> float:
    falling = change < 0.0
    if not falling.any():
        return 1.0
    with np.errstate(over="ignore"):
        return min(1.0, keep * float(np.min(values[falling] / -change[falling])))


def _moved(problem: Subproblem, p: Point, step: _Step, length: float, mu: float) -> Point | None:
    """Return the point after `length` of the primal step and the longest dual step.

    The derivatives of its rows are still those at `p`.
    """
    t = p.t + length * step.t
    if np.any(t <= problem.lower) or np.any(t >= problem.upper):
        return None
    c, e = problem.values(t)
    if not finite(c, e):
        return None
    s = np.maximum(p.s + length * step.s, -c)
    keep = max(TO_BOUNDARY, 1.0 - mu)
    dual = min(
        _ratio(p.lam, step.lam, keep), _ratio(p.zl, step.zl, keep), _ratio(p.zu, step.zu, keep)
    )
    return Point(
        t=t,
        s=s,
        lam=_near(p.lam + dual * step.lam, s, mu),
        nu=p.nu + length * step.nu,
        zl=_near(p.zl + dual * step.zl, t - problem.lower, mu),
        zu=_near(p.zu + dual * step.zu, problem.upper - t, mu),
        c=c,
        e=e,
        jac=p.jac,
        eq=p.eq,
    )


def _near(dual: Vector, gap: Vector, mu: float) -> Vector:
    """Keep a multiplier within a factor 1e10 of mu / gap."""
    central = mu / gap
    return np.asarray(np.clip(dual, central / 1e10, central * 1e10))


def _corrected(
    problem: Subproblem,
    p: Point,
    trial: Point,
    step: _Step,
    factor: SparseFactor,
    mu: float,
    length: float,
) -> Point | None:
    """Return the point after one second-order correction of the constraints."""
    slack = p.s + length * step.s
    if np.any(slack <= 0.0):
        return None
    infeasible = length * (p.c + p.s) + trial.c + slack
    off = length * p.e + trial.e
    correction = _newton(factor, problem, p, mu, infeasible, off)
    return _moved(problem, p, correction, _to_boundary(problem, p, correction, mu), mu)
