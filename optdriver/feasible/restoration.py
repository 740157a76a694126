"""Moving a point onto the feasible set: minimum-norm Newton steps on the linearised constraints.

minimise 1/2 |D^-1 d|^2  subject to  c + J d <= -margin,  e + E d = 0,  l <= x + d <= u,

repeated from x + d.  Only rows that were violated get a margin: rows that hold may hold with
equality, as they must where the set has no interior.  No evaluation of the objective is spent
here.  The result satisfies c(x) <= 0 in floating point, without tolerance, wherever rounding can
see such a point; the margin grows when rounding keeps a row above zero.
"""

from __future__ import annotations

import numpy as np

from optdriver.constraints.matrices import row_norms, scaled
from optdriver.feasible.barrier import finite
from optdriver.feasible.leastdistance import nearest, nearest_in_box
from optdriver.feasible.region import EQUALITY_TOLERANCE, TOLERANCE, Region
from optdriver.feasible.types import Vector

STEPS = 15
MARGIN = 1e-12
SHORTENINGS = 16
SUFFICIENT = 0.1  # part of the foreseen fall of the violation that must be seen
SHORTEST_ROW = 1e-6
SOFTNESS = 1e-6  # weight of a violated row once the linearised rows contradict each other


def restore(
    region: Region, x: Vector, steps: int = STEPS, tolerance: float = TOLERANCE
) -> Vector | None:
    """Return a feasible point near `x`, or None.

    Parameters
    ----------
    region : Region
    x : ndarray, shape (n,)
    steps : int
        Newton steps at most.
    tolerance : float
        Scaled violation accepted in the end when no strictly feasible point was met.
    """
    point = region.clip(x)
    margin, fallback = MARGIN, None
    marked = np.zeros(len(region.inequalities), dtype=bool)  # violated on the way
    for step in range(steps + 1):
        above, off = region.violation(point)
        if above <= 0.0 and off <= EQUALITY_TOLERANCE:
            return _tighten(region, point)
        if above <= tolerance and off <= EQUALITY_TOLERANCE:
            fallback = point
        if step == steps or not np.isfinite(above + off):
            break
        marked |= region.values(point)[0] > 0.0
        following = _newton_step(region, point, margin * marked)
        if following is None:
            break
        point = following
        if above <= 1e3 * margin:
            margin *= 4.0
    return fallback


def _tighten(region: Region, point: Vector) -> Vector:
    """Take one more Newton step on the equalities if it helps and costs no inequality."""
    _, off = region.violation(point)
    if off <= 1e-14:
        return point
    following = _newton_step(region, point, np.zeros(len(region.inequalities)))
    if following is None:
        return point
    above, after = region.violation(following)
    return following if above <= 0.0 and after < off else point


def _newton_step(region: Region, x: Vector, margins: Vector) -> Vector | None:
    """Return the next point: the least-norm step, shortened until the violation falls."""
    d = _least_norm(region, x, margins)
    if d is None:
        return None
    weights = _weights(region, x)
    before, length = _weighted(region, x, weights), 1.0
    small = 10.0 * float(np.max(margins, initial=MARGIN))
    for _ in range(SHORTENINGS):
        trial = region.clip(x + length * d)
        after = _weighted(region, trial, weights)
        if after <= (1.0 - SUFFICIENT * length) * before or after <= small:
            return trial
        length *= 0.5
    return None


def _weights(region: Region, x: Vector) -> tuple[Vector, Vector]:
    """Return what makes the rows' gradients, at x, unit vectors in the scaled variables."""
    lengths = [row_norms(scaled(rows, columns=region.scale)) for rows in region.linearised(x)]
    c, e = (1.0 / np.maximum(each, SHORTEST_ROW) for each in lengths)
    return np.asarray(c), np.asarray(e)


def _weighted(region: Region, x: Vector, weights: tuple[Vector, Vector]) -> float:
    """Return the root of the sum of squared violations, infinite where a row has no value."""
    c, e = region.values(x)
    total = np.sum((np.maximum(c, 0.0) * weights[0]) ** 2) + np.sum((e * weights[1]) ** 2)
    return float(np.sqrt(total)) if np.isfinite(total) else np.inf


def _least_norm(region: Region, x: Vector, margins: Vector) -> Vector | None:
    scale, free = region.scale, region.free
    c, e = region.values(x)
    levels = -c - margins
    jacobian, equality = (
        scaled(rows[:, free], columns=scale[free]) for rows in region.linearised(x)
    )
    if not finite(jacobian, equality):
        return None
    lower = ((region.lower - x) / scale)[free]
    upper = ((region.upper - x) / scale)[free]
    keep = np.isfinite(levels)
    none = np.zeros(int(free.sum()))
    answer = nearest_in_box(none, jacobian[keep], levels[keep], equality, -e, lower, upper)
    d = answer.point if answer.solved else _soft(jacobian, levels, equality, -e, lower, upper)
    full = np.zeros(region.n)
    full[free] = d * scale[free]
    return full


def with_box(rows: Vector, levels: Vector, lower: Vector, upper: Vector) -> tuple[Vector, Vector]:
    """Append the rows of a box, finite sides only, to ``rows d <= levels``."""
    eye = np.eye(len(lower))
    high, low = np.isfinite(upper), np.isfinite(lower)
    stacked = np.vstack([rows, eye[high], -eye[low]])
    return stacked, np.concatenate([levels, upper[high], -lower[low]])


def _soft(
    rows: Vector, levels: Vector, equality: Vector, e: Vector, lower: Vector, upper: Vector
) -> Vector:
    """Least-norm step when the rows contradict each other: each row may give way, at a price."""
    m, q, n = len(levels), len(e), len(lower)
    slack = np.sqrt(SOFTNESS) * np.eye(m + q)
    soft_rows = np.hstack([rows, -slack[:m]])
    boxed, boxed_levels = with_box(np.zeros((0, n)), np.zeros(0), lower, upper)
    all_rows = np.vstack([soft_rows, np.hstack([boxed, np.zeros((len(boxed), m + q))])])
    answer = nearest(
        np.zeros(n + m + q),
        all_rows,
        np.concatenate([levels, boxed_levels]),
        np.hstack([equality, -slack[m:]]),
        e,
    )
    return answer.point[:n]
