"""The subproblem: a quadratic model under the exact constraints, by a primal-dual interior point.

minimise q(t) = phi (g't + 1/2 t'B t)  subject to  c(t) + s = 0, s >= 0, e(t) = 0, a <= t <= b,

in t = (z - x) / (Delta D), rows scaled to unit gradient.  Line search on the l1 merit function
with one second-order correction; the Hessian of the Lagrangian is raised by delta I until its
reduced matrix is positive definite.

Source: Nocedal, Wright, Numerical Optimization, ch. 19; Waechter, Biegler, Math. Prog. 106 (2006)
25 (fraction to boundary, scaling of the error, raising of the Hessian).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, qr, solve_triangular
from scipy.sparse import csr_array

from optdriver.feasible.types import Indices, Vector

TOLERANCE = 1e-9
ITERATIONS = 60
TO_BOUNDARY = 0.99
FIRST_SLACK = 1e-3
INSET = 1e-3  # first point: at least this part of its interval away from a side
ARMIJO = 1e-4
SHORTEST = 1e-9
DENSE = 10_000  # entries of a Jacobian up to which nobody looks for zeros
SPARSE_PART = 0.1
LARGEST_GUESS = 1e3  # multipliers beyond this are no guess worth starting from


@dataclass(frozen=True, kw_only=True)
class Subproblem:
    """What the solver needs, in t.

    Attributes
    ----------
    gradient, curvature : ndarray, shapes (n,), (n, n)
        Of the model at t = 0.
    lower, upper : ndarray, shape (n,)
        Sides of the box, all finite (the trust region), lower < upper.
    values, jacobians : callable
        ``values(t) -> (c, e)``, ``jacobians(t) -> (J, E)``.
    hessian : callable
        ``hessian(t, lambda, nu) -> (n, n)`` of the constraints' part of the Lagrangian.
    """

    gradient: Vector
    curvature: Vector
    lower: Vector
    upper: Vector
    values: Callable[[Vector], tuple[Vector, Vector]]
    jacobians: Callable[[Vector], tuple[Vector, Vector]]
    hessian: Callable[[Vector, Vector, Vector], Vector]

    def model(self, t: Vector) -> float:
        """Return the change of the model at t."""
        return float(self.gradient @ t + 0.5 * t @ (self.curvature @ t))


@dataclass(frozen=True, kw_only=True)
class Solution:
    """Where the solver ended: point, slacks, multipliers and how well the conditions hold."""

    t: Vector
    slack: Vector
    inequality: Vector
    equality: Vector
    below: Vector
    above: Vector
    error: float
    iterations: int


@dataclass(frozen=True, kw_only=True)
class _Point:
    """Primal and dual variables, with the functions at t."""

    t: Vector
    s: Vector
    lam: Vector
    nu: Vector
    zl: Vector
    zu: Vector
    c: Vector
    e: Vector
    jac: Vector
    eq: Vector


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
    error, count = np.inf, 0
    while count < ITERATIONS:
        error = _error(problem, point, 0.0)
        if error <= tolerance:
            break
        while mu > tolerance / 20.0 and _error(problem, point, mu) <= 10.0 * mu:
            mu = max(tolerance / 20.0, min(0.2 * mu, mu**1.5))
        factor = _Factor.of(problem, point, raised)
        if factor is None:
            break
        raised = factor.raised
        step = factor.step(point, problem, mu, point.c + point.s, point.e)
        moved, penalty = _search(problem, point, step, factor, mu, penalty)
        if moved is None:
            break
        point, count = moved, count + 1
    return Solution(
        t=point.t,
        slack=point.s,
        inequality=point.lam,
        equality=point.nu,
        below=point.zl,
        above=point.zu,
        error=error,
        iterations=count,
    )


def _first_point(problem: Subproblem, mu: float, start: Vector) -> _Point:
    width = problem.upper - problem.lower
    inset = np.minimum(INSET, INSET * width)
    t = np.clip(start, problem.lower + inset, problem.upper - inset)
    c, e = problem.values(t)
    jac, eq = problem.jacobians(t)
    if not _finite(c, e, jac, eq):
        t = np.clip(start, problem.lower + 1e-9 * width, problem.upper - 1e-9 * width)
        c, e = problem.values(t)
        jac, eq = problem.jacobians(t)
    s = np.maximum(-c, FIRST_SLACK)
    point = _Point(
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
    nu = np.asarray(np.linalg.lstsq(eq.T, -residual, rcond=1e-10)[0], dtype=np.float64)
    return replace(point, nu=nu) if _size(nu) <= LARGEST_GUESS else point


def _finite(*arrays: Vector) -> bool:
    return all(bool(np.all(np.isfinite(array))) for array in arrays)


def _model_gradient(problem: Subproblem, t: Vector) -> Vector:
    return np.asarray(problem.gradient + problem.curvature @ t)


def _dual_residual(problem: Subproblem, p: _Point) -> Vector:
    gradient = _model_gradient(problem, p.t)
    return np.asarray(gradient + p.jac.T @ p.lam + p.eq.T @ p.nu - p.zl + p.zu)


def _error(problem: Subproblem, p: _Point, mu: float) -> float:
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


@dataclass(frozen=True, kw_only=True)
class _Factor:
    """Factors of the Newton matrix in the null space of the equalities."""

    matrix: Vector
    basis: Vector  # of the equalities' row space
    triangle: Vector
    order: Indices  # which equality each column of the triangle stands for
    null: Vector
    reduced: tuple[Vector, bool]
    raised: float

    @staticmethod
    def of(problem: Subproblem, p: _Point, last: float) -> _Factor | None:
        """Factorise at `p`, raising the matrix until it is positive definite where it matters."""
        below, above = p.t - problem.lower, problem.upper - p.t
        matrix = problem.curvature + problem.hessian(p.t, p.lam, p.nu)
        matrix = matrix + _weighted_square(p.jac, p.lam / p.s)
        matrix = matrix + np.diag(p.zl / below + p.zu / above)
        if not _finite(matrix):
            return None
        basis, triangle, order, null = _split(p.eq)
        reduced = null.T @ matrix @ null if len(p.e) else matrix
        for raised in _raises(last):
            try:
                factor = cho_factor(reduced + raised * np.eye(len(reduced)))
            except LinAlgError:
                continue
            return _Factor(
                matrix=matrix + raised * np.eye(len(matrix)),
                basis=basis,
                triangle=triangle,
                order=order,
                null=null,
                reduced=factor,
                raised=raised,
            )
        return None

    def _tangent(self, right: Vector, equalities: int) -> Vector:
        """Return the step along the equalities; without any, the null space is everything."""
        if not equalities:
            return np.asarray(cho_solve(self.reduced, right))
        return np.asarray(self.null @ cho_solve(self.reduced, self.null.T @ right))

    def step(
        self, p: _Point, problem: Subproblem, mu: float, infeasible: Vector, off: Vector
    ) -> _Step:
        """Return the Newton step for the barrier problem with residuals `infeasible`, `off`."""
        below, above = p.t - problem.lower, problem.upper - p.t
        ratio = p.lam / p.s
        gradient = _model_gradient(problem, p.t) - mu / below + mu / above
        right = -(gradient + p.eq.T @ p.nu + p.jac.T @ (ratio * infeasible + mu / p.s))
        rank = self.triangle.shape[0]
        normal = solve_triangular(self.triangle, -off[self.order[:rank]], trans="T")
        dt = self.basis @ normal
        dt = dt + self._tangent(right - self.matrix @ dt, len(p.e))
        dnu = np.zeros(len(p.nu))
        dnu[self.order[:rank]] = solve_triangular(
            self.triangle, self.basis.T @ (right - self.matrix @ dt)
        )
        ds = -infeasible - p.jac @ dt
        return _Step(
            t=dt,
            s=ds,
            lam=mu / p.s - p.lam - ratio * ds,
            nu=dnu,
            zl=mu / below - p.zl - p.zl / below * dt,
            zu=mu / above - p.zu + p.zu / above * dt,
            curvature=float(dt @ self.matrix @ dt),
        )


def _weighted_square(rows: Vector, weights: Vector) -> Vector:
    """Return rows' diag(weights) rows, by sparse products where few entries are not zero."""
    if rows.size > DENSE and np.count_nonzero(rows) < SPARSE_PART * rows.size:
        sparse = csr_array(rows)
        scaled = csr_array(sparse.multiply(weights[:, None]))
        return np.asarray((sparse.T @ scaled).toarray())
    return np.asarray((rows.T * weights) @ rows)


def _split(eq: Vector) -> tuple[Vector, Vector, Indices, Vector]:
    """Return range basis, triangle, order and null space of the equalities' gradients."""
    q, n = eq.shape
    if q == 0:
        return np.zeros((n, 0)), np.zeros((0, 0)), np.zeros(0, dtype=np.int64), np.eye(n)
    factors = qr(eq.T, pivoting=True)
    full, triangle = (np.asarray(each, dtype=np.float64) for each in factors[:2])
    order = np.asarray(factors[2], dtype=np.int64)
    diagonal = np.abs(np.diag(triangle))
    rank = int(np.sum(diagonal > 1e-10 * max(1.0, float(diagonal[0]))))
    return full[:, :rank], triangle[:rank, :rank], order, full[:, rank:]


def _raises(last: float) -> list[float]:
    """Return what to add to the diagonal, in the order of trying."""
    first = max(1e-8, last / 3.0) if last > 0.0 else 1e-6
    return [0.0, *(first * 8.0**k for k in range(40))]


def _search(
    problem: Subproblem, p: _Point, step: _Step, factor: _Factor, mu: float, penalty: float
) -> tuple[_Point | None, float]:
    """Return the next point and the penalty; None when no step length helps."""
    slope = _barrier_slope(problem, p, step, mu)
    outside = _l1(p.c + p.s) + _l1(p.e)
    if outside > 0.0:
        needed = (slope + 0.5 * max(step.curvature, 0.0)) / (0.9 * outside)
        penalty = max(penalty, needed * 1.5) if needed > penalty else penalty
    descent = slope - penalty * outside
    merit = _merit(problem, p, mu, penalty)
    longest = _to_boundary(problem, p, step, mu)
    length, noise = longest, 1e-12 * max(1.0, abs(merit))
    while length > SHORTEST:
        trial = _moved(problem, p, step, length, mu)
        if trial is not None:
            if _merit(problem, trial, mu, penalty) <= merit + ARMIJO * length * descent + noise:
                return trial, penalty
            if length == longest:
                corrected = _corrected(problem, p, trial, step, factor, mu, length)
                if (
                    corrected is not None
                    and _merit(problem, corrected, mu, penalty)
                    <= merit + ARMIJO * length * descent + noise
                ):
                    return corrected, penalty
        length *= 0.5
    return None, penalty


def _l1(values: Vector) -> float:
    return float(np.sum(np.abs(values)))


def _barrier_slope(problem: Subproblem, p: _Point, step: _Step, mu: float) -> float:
    below, above = p.t - problem.lower, problem.upper - p.t
    gradient = _model_gradient(problem, p.t) - mu / below + mu / above
    return float(gradient @ step.t) - mu * float(np.sum(step.s / p.s))


def _merit(problem: Subproblem, p: _Point, mu: float, penalty: float) -> float:
    logs = np.sum(np.log(p.s)) + np.sum(np.log(p.t - problem.lower))
    logs = logs + np.sum(np.log(problem.upper - p.t))
    return problem.model(p.t) - mu * float(logs) + penalty * (_l1(p.c + p.s) + _l1(p.e))


def _to_boundary(problem: Subproblem, p: _Point, step: _Step, mu: float) -> float:
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
    return min(1.0, keep * float(np.min(values[falling] / -change[falling])))


def _moved(problem: Subproblem, p: _Point, step: _Step, length: float, mu: float) -> _Point | None:
    """Return the point after `length` of the primal step and the longest dual step."""
    t = p.t + length * step.t
    if np.any(t <= problem.lower) or np.any(t >= problem.upper):
        return None
    c, e = problem.values(t)
    if not _finite(c, e):
        return None
    jac, eq = problem.jacobians(t)
    if not _finite(jac, eq):
        return None
    s = np.maximum(p.s + length * step.s, -c)
    keep = max(TO_BOUNDARY, 1.0 - mu)
    dual = min(
        _ratio(p.lam, step.lam, keep), _ratio(p.zl, step.zl, keep), _ratio(p.zu, step.zu, keep)
    )
    return _Point(
        t=t,
        s=s,
        lam=_near(p.lam + dual * step.lam, s, mu),
        nu=p.nu + length * step.nu,
        zl=_near(p.zl + dual * step.zl, t - problem.lower, mu),
        zu=_near(p.zu + dual * step.zu, problem.upper - t, mu),
        c=c,
        e=e,
        jac=jac,
        eq=eq,
    )


def _near(dual: Vector, gap: Vector, mu: float) -> Vector:
    """Keep a multiplier within a factor 1e10 of mu / gap."""
    central = mu / gap
    return np.asarray(np.clip(dual, central / 1e10, central * 1e10))


def _corrected(
    problem: Subproblem,
    p: _Point,
    trial: _Point,
    step: _Step,
    factor: _Factor,
    mu: float,
    length: float,
) -> _Point | None:
    """Return the point after one second-order correction of the constraints."""
    slack = p.s + length * step.s
    if np.any(slack <= 0.0):
        return None
    infeasible = length * (p.c + p.s) + trial.c + slack
    off = length * p.e + trial.e
    correction = factor.step(p, problem, mu, infeasible, off)
    return _moved(problem, p, correction, _to_boundary(problem, p, correction, mu), mu)
