"""The feasible point nearest to a given one, under the exact constraints.

Weighted least distance ``|D^-1 (z - x)|``: restoration first, then steps along the set,

minimise 1/2 |D^-1 (z + d - x)|^2 + 1/2 d' (sum lambda Hess c) d  over the linearised constraints,

restored and damped until the distance falls: a local minimiser of the distance comes out, not
always the global one.  No evaluation of the objective is spent here.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.constraints.restoration import (
    STEPS,
    Arrival,
    Rows,
    clip,
    descend,
    project,
)
from optdriver.geometry.elementary import cosines
from optdriver.geometry.factors import Cholesky
from optdriver.geometry.least_distance import LeastDistance, least_distance
from optdriver.geometry.matrices import dense, scaled
from optdriver.geometry.products import norm, product, times, transposed_times

Array = NDArray[np.float64]

ROUNDS = 15
HALVINGS = 8
SETTLED = 1e-9
LARGEST = 200  # variables up to which the constraints' curvature is used
ELSEWHERE = 24
FAR = 1.0  # sizes of the variables
NO_NEARER = 1e-6  # of a distance: two sides of a symmetric set


def nearest(rows: Rows, start: Array, steps: int = STEPS, *, anywhere: bool = False) -> Arrival:
    """Move `start` to a nearest feasible point.

    Parameters
    ----------
    rows : Rows
    start : ndarray, shape (n,)
        May be outside of the box.
    steps : int
        Newton steps at most of each restoration.
    anywhere : bool
        Begin elsewhere too, wider and wider, if no feasible point is found near the start.
    """
    first = project(rows, start, steps)
    if first.alone:
        return first  # far away, and no step along the set is of use
    if first.strict:
        return _without_detour(rows, start, _nearer(rows, start, first, steps), steps)
    if anywhere and not first.feasible:
        found = (_from_beside(rows, start, k, steps) for k in range(ELSEWHERE))
        first = next((made for made in found if made.feasible), first)
    return _nearer(rows, start, first, steps) if first.strict else first


def distance(rows: Rows, x: Array, y: Array) -> float:
    """Return ``|D^-1 (x - y)|``."""
    return norm((x - y) / rows.scale)


def _without_detour(rows: Rows, start: Array, found: Arrival, steps: int) -> Arrival:
    """Return the nearest of what restoration finds from other points, if `found` is far away."""
    if distance(rows, found.x, start) <= FAR or len(start) > LARGEST:
        return found
    others = (_from_beside(rows, start, k, steps) for k in range(0, ELSEWHERE, 3))
    beside = min(
        (made for made in others if made.strict),
        key=lambda made: distance(rows, made.x, start),
        default=found,
    )
    nearer = _nearer(rows, start, beside, steps)
    least = (1.0 - NO_NEARER) * distance(rows, found.x, start)
    return nearer if distance(rows, nearer.x, start) < least else found


def _from_beside(rows: Rows, start: Array, k: int, steps: int) -> Arrival:
    """Restore from the k-th point around `start`, each farther away than the one before."""
    x = clip(rows, start)
    turns = np.arange(1, x.size + 1) * (1.0 + 0.7548776662 * (k + 1)) * 7.0
    angles = cosines(turns - 0.5 * math.pi)
    return descend(rows, x + 0.05 * 1.4**k * angles * rows.scale, steps)


def _nearer(rows: Rows, start: Array, found: Arrival, steps: int) -> Arrival:
    """Go along the set toward the start."""
    here = distance(rows, found.x, start)
    multipliers: tuple[Array, Array] | None = None
    for _ in range(ROUNDS):
        toward = _toward(rows, start, found.x, multipliers) if here > 0.0 else None
        if toward is None:
            break
        d, multipliers = toward
        moved = _damped(rows, start, found.x, d, steps)
        if moved is None:
            break
        found = replace(moved, steps=found.steps + moved.steps)
        before, here = here, distance(rows, found.x, start)
        if before - here <= SETTLED * max(1.0, here):
            break
    return found


def _damped(rows: Rows, start: Array, x: Array, d: Array, steps: int) -> Arrival | None:
    """Return the restored end of the step, halved until it is nearer to the start than x."""
    here = distance(rows, x, start)
    for halving in range(HALVINGS):
        made = descend(rows, clip(rows, x + 0.5**halving * d), steps)
        if made.strict and distance(rows, made.x, start) < here:
            return made
    return None


def _toward(
    rows: Rows, start: Array, x: Array, multipliers: tuple[Array, Array] | None
) -> tuple[Array, tuple[Array, Array]] | None:
    """Return a step along the set toward `start`, and multipliers for the curvature."""
    jacobian, equality = (scaled(m, columns=rows.scale) for m in rows.linearised(x))
    root = _curvature_root(rows, x, multipliers)
    if root is None:
        return _straight(rows, start, x, jacobian, equality)
    return _curved(rows, start, x, dense(jacobian), dense(equality), root)


def _curvature_root(rows: Rows, x: Array, multipliers: tuple[Array, Array] | None) -> Array | None:
    """Return R^-1 of R'R = I + D (sum lambda Hess c) D, or None to do without it."""
    if multipliers is None or x.size > LARGEST:
        return None
    bend = rows.hessian(x, *multipliers)
    matrix = np.eye(x.size) + rows.scale[:, None] * bend * rows.scale
    factor = Cholesky.of(matrix)
    return None if factor is None else factor.inverse_root()  # not convex: a straight step will do


def _straight(
    rows: Rows, start: Array, x: Array, jacobian: Any, equality: Any
) -> tuple[Array, tuple[Array, Array]] | None:
    c, e = rows.values(x)
    back = (start - x) / rows.scale
    lower, upper = (rows.lower - x) / rows.scale, (rows.upper - x) / rows.scale
    found = least_distance(jacobian, -c, equality, -e, lower, upper, toward=back)
    return _unless_failed(found, rows.scale * found.d)


def _curved(
    rows: Rows, start: Array, x: Array, jacobian: Array, equality: Array, inverse: Array
) -> tuple[Array, tuple[Array, Array]] | None:
    c, e = rows.values(x)
    middle = transposed_times(inverse, (start - x) / rows.scale)  # the step is R^-1 v
    up, down = np.isfinite(rows.upper), np.isfinite(rows.lower)
    sides = [((rows.upper - x) / rows.scale)[up], ((x - rows.lower) / rows.scale)[down]]
    a = np.vstack([product(jacobian, inverse), inverse[up], -inverse[down]])
    none = np.full(x.size, np.inf)
    found = least_distance(
        a, np.concatenate([-c, *sides]), product(equality, inverse), -e, -none, none, toward=middle
    )
    found = replace(found, inequalities=found.inequalities[: len(c)])
    return _unless_failed(found, rows.scale * times(inverse, found.d))


def _unless_failed(found: LeastDistance, d: Array) -> tuple[Array, tuple[Array, Array]] | None:
    if not found.feasible or not np.isfinite(d).all():
        return None
    return d, (found.inequalities, found.equalities)
