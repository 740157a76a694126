"""From the interior-point solution to the vertex or face it points at.

The rows and sides that the interior point leaves active are held as equations, and Newton's
method on the optimality conditions of what is left brings t from 1e-9 to rounding.  The result is
used only if it is a better answer to the same subproblem.
"""

from __future__ import annotations

import numpy as np

from optdriver.feasible.barrier import Subproblem
from optdriver.feasible.interior import Solution
from optdriver.feasible.models import QuadraticModel
from optdriver.feasible.types import Mask, Vector
from optdriver.geometry.factors import least_squares

STEPS = 3
LARGEST_MOVE = 1e-4
SLIGHT = 1e-9
LARGEST = 300  # variables: beyond, the dense system costs more than it gives


def cross_over(problem: Subproblem, solution: Solution) -> Vector:
    """Return the sharpened t, or the interior-point's own where sharpening does not help."""
    if len(solution.t) > LARGEST or isinstance(problem.curvature, QuadraticModel):
        return solution.t
    on_lower = solution.below > solution.t - problem.lower
    on_upper = solution.above > problem.upper - solution.t
    t = np.where(on_lower, problem.lower, solution.t)
    t = np.where(on_upper, problem.upper, t)
    moving = ~(on_lower | on_upper)
    active = solution.inequality > solution.slack
    duals = np.concatenate([solution.inequality[active], solution.equality])
    for _ in range(STEPS):
        newton = _newton(problem, t, duals, active, moving)
        if newton is None:
            return solution.t
        t, duals, size = newton
        if size > LARGEST_MOVE:
            return solution.t
        if size < 1e-15:
            break
    return t if _better(problem, t, duals, active, solution) else solution.t


def _newton(
    problem: Subproblem, t: Vector, duals: Vector, active: Mask, moving: Mask
) -> tuple[Vector, Vector, float] | None:
    """Return the next t, the next multipliers and the size of the move."""
    rows, gaps = _equations(problem, t, active)
    lam = np.zeros(len(active))
    lam[active] = duals[: int(active.sum())]
    bend = problem.hessian(t, lam, duals[int(active.sum()) :])
    matrix = np.asarray(problem.curvature) + np.asarray(bend)
    k, size = int(moving.sum()), len(gaps)
    system = np.zeros((k + size, k + size))
    system[:k, :k] = matrix[np.ix_(moving, moving)]
    system[:k, k:], system[k:, :k] = rows[:, moving].T, rows[:, moving]
    gradient = problem.slope(t)[moving]
    if not (np.all(np.isfinite(system)) and np.all(np.isfinite(gaps))):
        return None
    right = np.concatenate([-gradient, -gaps])
    answer = least_squares(system, right, 1e-13)
    following = t.copy()
    following[moving] += answer[:k]
    return following, answer[k:], float(np.max(np.abs(answer[:k]), initial=0.0))


def _equations(problem: Subproblem, t: Vector, active: Mask) -> tuple[Vector, Vector]:
    c, e = problem.values(t)
    jac, eq = problem.jacobians(t)
    return np.vstack([jac[active], eq]), np.concatenate([c[active], e])


def _better(
    problem: Subproblem, t: Vector, duals: Vector, active: Mask, solution: Solution
) -> bool:
    """Say whether t is feasible, the multipliers have the right signs, the model is no worse."""
    if np.any(t < problem.lower) or np.any(t > problem.upper):
        return False
    c, e = problem.values(t)
    if not (np.all(c <= SLIGHT) and np.all(np.abs(e) <= SLIGHT)):
        return False
    if np.any(duals[: int(active.sum())] < -SLIGHT):
        return False
    return problem.model(t) <= problem.model(solution.t) + SLIGHT
