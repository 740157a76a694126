"""From an infeasible point to a feasible one without an evaluation of the objective.

Each step is the shortest one (in the weighted norm) that satisfies the linearised constraints
and the box; it is damped until the violation falls.  Inequalities are aimed at strictly, by a
margin that grows where rounding eats it, so that c <= 0 holds exactly at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from optdriver.constraints.least_distance import LeastDistance, least_distance
from optdriver.constraints.matrices import beside, dense, scaled

Array = NDArray[np.float64]

MARGIN = 1e-12
"""How far inside an inequality is aimed at, scaled."""
INTERIOR_FREE = 1e-9
"""What is accepted of an inequality, scaled, where the set has no interior."""
_HALVINGS = 25
_PATIENCE = 5
_BESIDE = (0.01, 0.05, 0.25)
_RESTARTS = len(_BESIDE)
_ELASTIC = 1e-3
_ROUND_BELOW = 1e-6
_NEAREST_ROUNDS = 15
_SETTLED = 1e-9


class Rows(Protocol):
    """What restoration needs of a set of constraints."""

    lower: Array
    upper: Array
    scales: Array
    n_inequalities: int

    def values(self, x: Array) -> Array:
        """Return the rows' values."""
        ...

    def linearised(self, x: Array) -> Any:
        """Return the Jacobian, dense or CSR."""
        ...

    def is_feasible(self, x: Array, slack: float = 0.0) -> bool:
        """Tell whether x satisfies all rows."""
        ...

    def worst(self, x: Array) -> tuple[str, float]:
        """Return the row that is violated most."""
        ...

    def hessian(self, x: Array, multipliers: Array) -> Array:
        """Return the weighted sum of the Hessians."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """Where a restoration ended.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The point, inside the box.
    feasible : bool
        Whether it satisfies the constraints; see `strict`.
    strict : bool
        Whether all inequalities hold exactly in floating point.  Where the set has no interior
        ``feasible`` can be True with violations up to 1e-9, scaled.
    violation : float
        The largest scaled violation that is left.
    resisting : str
        The name of the constraint with that violation, or ``""``.
    steps : int
        Newton steps taken.
    distance : float
        How far x is from where the restoration began, in the weighted norm.
    """

    x: Array
    feasible: bool
    strict: bool
    violation: float
    resisting: str
    steps: int
    distance: float


def restore(rows: Rows, start: Array, weights: Array, max_steps: int) -> Projection:
    """Move `start` onto the constraints by damped Newton steps of least weighted norm.

    Where that ends in a corner without interior, or where the violation is stationary, such as
    the middle of a hole, it begins again a little beside the start, up to three times.
    """
    best = _descended(rows, start, start, weights, max_steps)
    for attempt in range(_RESTARTS):
        if best.strict:
            break
        direction = np.cos(1.0 + (attempt + 2) * np.arange(start.size))
        beside = start + _BESIDE[attempt] * weights * direction
        made = _descended(rows, start, beside, weights, max_steps)
        if made.strict or (not best.feasible and made.violation < best.violation):
            best = made
    return best


def _descended(
    rows: Rows, start: Array, first: Array, weights: Array, max_steps: int
) -> Projection:
    """Take Newton steps from `first` until feasible; distances are counted from `start`."""
    x = best = np.minimum(np.maximum(first, rows.lower), rows.upper)
    margin, steps = MARGIN, 0
    merit = best_merit = _merit(rows, x)
    while steps < max_steps and not rows.is_feasible(x) and np.isfinite(merit):
        moved = _step(rows, x, weights, margin, merit, slow=steps >= _PATIENCE)
        if moved is None:
            break
        steps += 1
        x, merit = moved
        if merit < best_merit:
            best, best_merit = x, merit
        if merit < 1e3 * margin * max(1, rows.scales.size):
            margin = min(10.0 * margin, INTERIOR_FREE / 10.0)
    if not rows.is_feasible(x):
        x = _rounded(rows, best) if best_merit <= _ROUND_BELOW else best
    return _ended(rows, start, x, weights, steps)


def _rounded(rows: Rows, x: Array) -> Array:
    """Try round numbers nearby: a set without interior often lies on them, such as x = 0."""
    for digits in (10, 8, 6):
        trial = np.minimum(np.maximum(np.round(x, digits) + 0.0, rows.lower), rows.upper)
        if rows.is_feasible(trial):
            return trial
    return x


def _ended(rows: Rows, start: Array, x: Array, weights: Array, steps: int) -> Projection:
    strict = rows.is_feasible(x)
    name, violation = rows.worst(x)
    return Projection(
        x=x,
        feasible=strict or rows.is_feasible(x, slack=INTERIOR_FREE),
        strict=strict,
        violation=violation,
        resisting=name if violation > 0.0 else "",
        steps=steps,
        distance=float(np.linalg.norm((x - start) / weights)),
    )


def _scaled(rows: Rows, x: Array) -> Array:
    values: Array = rows.values(x) / rows.scales
    return values


def _merit(rows: Rows, x: Array) -> float:
    values = _scaled(rows, x)
    values[: rows.n_inequalities] = np.maximum(values[: rows.n_inequalities], 0.0)
    merit = float(np.linalg.norm(values))
    return np.inf if np.isnan(merit) else merit


def _step(
    rows: Rows, x: Array, weights: Array, margin: float, merit: float, slow: bool
) -> tuple[Array, float] | None:
    """Return the next point and its merit, or None if no step makes the violation fall."""
    for elastic in (False, True):
        d = _newton(rows, x, weights, margin, elastic)
        if d is None:
            continue
        for halving in range(_HALVINGS):
            trial = np.minimum(np.maximum(x + 0.5**halving * d, rows.lower), rows.upper)
            reached = _merit(rows, trial)
            if rows.is_feasible(trial):
                return trial, reached
            if reached < (1.0 - 0.1 * 0.5**halving) * merit:
                late = slow and not halving and reached > 0.2 * merit
                return _stretched(rows, x, d, trial, reached) if late else (trial, reached)
    return None


def _stretched(rows: Rows, x: Array, d: Array, trial: Array, reached: float) -> tuple[Array, float]:
    """Try multiples of the step: onto a root of order k, Newton goes 1/k of the way only."""
    best = trial, reached
    for factor in (2.0, 3.0, 4.0):
        further = np.minimum(np.maximum(x + factor * d, rows.lower), rows.upper)
        there = _merit(rows, further)
        if there < best[1]:
            best = further, there
    return best


def _system(rows: Rows, x: Array, weights: Array) -> tuple[Any, Array]:
    """Return the Jacobian in the weighted variables and the values, both scaled by row."""
    matrix = scaled(rows.linearised(x), rows=1.0 / rows.scales, columns=weights)
    return matrix, _scaled(rows, x)


def _newton(rows: Rows, x: Array, weights: Array, margin: float, elastic: bool) -> Array | None:
    """Return the shortest step onto the linearised constraints, or None if there is none."""
    matrix, values = _system(rows, x, weights)
    p, n = rows.n_inequalities, x.size
    lower, upper = (rows.lower - x) / weights, (rows.upper - x) / weights
    b, f = -margin - values[:p], -values[p:]
    if elastic:
        # Every row may be missed at a price: the linearisations contradict each other.
        matrix = beside(matrix, _ELASTIC * sparse.eye_array(values.size))
        slack = np.full(values.size, np.inf)
        lower, upper = np.concatenate([lower, -slack]), np.concatenate([upper, slack])
    found = least_distance(matrix[:p], b, matrix[p:], f, lower, upper)
    return weights * found.d[:n] if found.feasible and np.isfinite(found.d).all() else None


def nearest(rows: Rows, start: Array, weights: Array, max_steps: int) -> Projection:
    """Move `start` to a nearest feasible point: restoration, then steps along the set.

    The steps solve min 1/2 |(z + d - start) / weights|^2 + 1/2 d' (sum lambda Hess c) d over
    the linearised constraints, and are restored and damped until the distance falls: a local
    minimiser of the distance comes out, not always the global one.
    """
    first = restore(rows, start, weights, max_steps)
    if not first.feasible or not first.strict or first.distance == 0.0:
        return first
    x, distance, steps = first.x, first.distance, first.steps
    multipliers: Array | None = None
    for _ in range(_NEAREST_ROUNDS):
        found = _toward(rows, start, x, weights, multipliers)
        if found is None:
            break
        d, multipliers = found
        moved = _damped(rows, start, x, d, weights, max_steps)
        if moved is None:
            break
        gained = distance - moved.distance
        x, distance, steps = moved.x, moved.distance, steps + moved.steps
        if gained <= _SETTLED * max(1.0, distance):
            break
    return _ended(rows, start, x, weights, steps)


def _damped(
    rows: Rows, start: Array, x: Array, d: Array, weights: Array, max_steps: int
) -> Projection | None:
    """Return the restored end of the step, halved until it is nearer to the start than x."""
    here = float(np.linalg.norm((x - start) / weights))
    for halving in range(8):
        trial = np.minimum(np.maximum(x + 0.5**halving * d, rows.lower), rows.upper)
        made = _descended(rows, start, trial, weights, max_steps)
        if made.strict and made.distance < here:
            return made
    return None


def _toward(
    rows: Rows, start: Array, x: Array, weights: Array, multipliers: Array | None
) -> tuple[Array, Array] | None:
    """Return a step along the set toward `start`, and multipliers for the curvature."""
    matrix, values = _system(rows, x, weights)
    root = _curvature_root(rows, x, weights, multipliers)
    if root is None:
        return _straight(rows, start, x, weights, matrix, values)
    return _curved(rows, start, x, weights, matrix, values, root)


def _curvature_root(
    rows: Rows, x: Array, weights: Array, multipliers: Array | None
) -> Array | None:
    """Return the Cholesky factor of I + W (sum lambda Hess c) W, or None to do without it."""
    if multipliers is None or x.size > 200:
        return None
    bend = rows.hessian(x, multipliers / rows.scales)
    matrix = np.eye(x.size) + weights[:, None] * bend * weights
    try:
        return np.asarray(np.linalg.cholesky(matrix))
    except np.linalg.LinAlgError:  # not convex along the set: the straight step will do
        return None


def _straight(
    rows: Rows, start: Array, x: Array, weights: Array, matrix: Any, values: Array
) -> tuple[Array, Array] | None:
    p, back = rows.n_inequalities, (start - x) / weights
    target = -values - matrix @ back
    lower, upper = (rows.lower - start) / weights, (rows.upper - start) / weights
    found = least_distance(matrix[:p], target[:p], matrix[p:], target[p:], lower, upper)
    return _unless_failed(found, weights * (back + found.d))


def _curved(
    rows: Rows, start: Array, x: Array, weights: Array, matrix: Any, values: Array, root: Array
) -> tuple[Array, Array] | None:
    p, n = rows.n_inequalities, x.size
    plain = dense(matrix)
    inverse = np.linalg.inv(root).T  # step in weighted variables: inverse @ v + middle
    middle = inverse @ (inverse.T @ ((start - x) / weights))
    up, down = np.isfinite(rows.upper), np.isfinite(rows.lower)
    sides = [(rows.upper - x) / weights - middle, middle - (rows.lower - x) / weights]
    a = np.vstack([plain[:p] @ inverse, inverse[up], -inverse[down]])
    b = np.concatenate([-values[:p] - plain[:p] @ middle, sides[0][up], sides[1][down]])
    everywhere = np.full(n, np.inf)
    f = -values[p:] - plain[p:] @ middle
    found = least_distance(a, b, plain[p:] @ inverse, f, -everywhere, everywhere)
    made = _unless_failed(found, weights * (inverse @ found.d + middle))
    return None if made is None else (made[0], np.concatenate([made[1][:p], found.equalities]))


def _unless_failed(found: LeastDistance, d: Array) -> tuple[Array, Array] | None:
    if not found.feasible or not np.isfinite(d).all():
        return None
    return d, np.concatenate([found.inequalities, found.equalities])
