"""How far a feasible point is from optimal, and the multipliers there.

residual = |argmin 1/2 |d + g|^2 over c + J d <= 0, E d = 0, l <= x + d <= u|_inf

This is the approximate gradient projection of Martinez and Svaiter, J. Optim. Theory Appl. 118
(2003) 117: it vanishes along some feasible sequence at every local minimiser, with no constraint
qualification.  The duals of the small problem are the multipliers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from optdriver.feasible.region import STEEP, Region
from optdriver.feasible.types import Indices, Mask, Vector
from optdriver.geometry import optimality
from optdriver.geometry.least_distance import LeastDistance, least_distance
from optdriver.geometry.matrices import finite, row_norms
from optdriver.geometry.products import dot, flat, largest, largest_size
from optdriver.numerics import is_numeric

EXACT = 1e-9  # slopes with less than this of relative error are as good as exact
LARGEST_SHARE = 4.0  # times the gradient: what a row counts for, whatever its multiplier
ROUNDING = 64.0 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, kw_only=True)
class Criticality:
    """Residual and multipliers of the unscaled rows, in the order of the constraints.

    Attributes
    ----------
    residual : float
        The largest component of d, times the unit of f.
    floor : float
        What rounding alone can leave of the residual.
    left : ndarray, shape (n,)
        d, times the unit of f: what is left of the slopes.
    room : ndarray, shape (n,)
        How far each variable can move that way within its bounds; may be infinite.
    near : float
        What f would fall by, to first order, on the way to the rows and sides that hold d: the sum
        of multiplier times distance.
    far : float
        What f would fall by, to first order, if every variable moved that way as far as it can (by
        |x| where nothing ends it).
    multipliers : ndarray, shape (rows,)
        grad f + J' multipliers + bound_multipliers = -d.
    bound_multipliers : ndarray, shape (n,)
        Positive at an upper side, negative at a lower one.
    pinned : ndarray of bool, shape (n,)
        Variables that an infinite slope of a row holds at their bound: they have no multiplier.
    cusps : ndarray of int
        The rows with such a slope that are active: these have none either.
    """

    residual: float
    floor: float
    left: Vector
    room: Vector
    near: float
    far: float
    multipliers: Vector
    bound_multipliers: Vector
    pinned: Mask
    cusps: Indices


def criticality(region: Region, x: Vector, g: Vector, unit: float = 1.0) -> Criticality:
    """Measure the optimality of the feasible point `x`.

    Parameters
    ----------
    region : Region
    x, g : ndarray, shape (n,)
        The point and the gradient there.
    unit : float
        That of f, a power of two: d is the step for f divided by it.
    """
    c, _ = region.values(x)
    jac, eq = region.linearised(x)
    if not finite(jac, eq):
        return unknown(region)
    pinned, cusps = _pinned(region, x, jac)
    free, lower, upper = region.moving, region.lower - x, region.upper - x
    levels = np.maximum(-c, 0.0)
    used, held, across, toward = jac, levels, eq, -g / unit
    keep = None if finite(levels) else np.isfinite(levels)
    if keep is not None:
        used, held = jac[keep], levels[keep]
    if pinned is not region.no_variable:
        free = np.flatnonzero(region.free & ~pinned)
    if len(free) < region.n:
        used, across = used[:, free], eq[:, free]
        lower, upper, toward = lower[free], upper[free], toward[free]
    none = np.zeros(eq.shape[0])
    answer = least_distance(used, held, across, none, lower, upper, toward=toward)
    if not answer.feasible:
        return unknown(region)
    left, room, sides, residual, near, far = optimality.measure(
        answer.d, answer.box, (lower, upper), flat(x), free, unit
    )
    size = optimality.largest(flat(g))
    return Criticality(
        residual=residual,
        floor=ROUNDING * size + unit * _left_by_slopes(region, (jac, eq), answer, size / unit),
        left=left,
        room=room,
        near=unit * (dot(answer.inequalities, held) + near),
        far=far,
        multipliers=unit * _in_their_places(region, answer, keep) * region.row_scale,
        bound_multipliers=sides,
        pinned=pinned,
        cusps=_active(region, cusps, answer, keep),
    )


def _pinned(region: Region, x: Vector, jac: Any) -> tuple[Mask, Mask]:
    """Return the variables that an infinite slope holds at their bound, and the rows of these.

    Such as x in ``y <= 1 - sqrt(x)`` at x = 0: to leave the bound by t costs y more than any
    multiple of t.  To first order the variable is fixed, and there are no multipliers.  Infinite
    is what is beyond 1e10 and 1e10 times the other slopes of the row, whatever its unit.
    """
    none = region.no_variable, region.no_row
    if region.large or not len(jac):
        return none
    jac = jac * region.scale  # a unit alone makes no slope infinite
    if largest_size(jac) <= region.steep:
        return none
    sizes = np.abs(jac)
    small = STEEP * sizes < np.max(sizes, axis=1, initial=0.0)[:, None]
    rest = np.max(np.where(small, sizes, 0.0), axis=1, initial=0.0)
    least = STEEP * np.maximum(rest, region.row_scale[region.inequalities])
    if not np.any((rest > 0.0) & np.any(sizes > least[:, None], axis=1)):
        return none
    sides = np.where(x <= region.lower, 1.0, np.where(x >= region.upper, -1.0, 0.0))
    steep = (jac * sides > least[:, None]) & (rest > 0.0)[:, None]
    return steep.any(axis=0), steep.any(axis=1)


def _in_their_places(region: Region, answer: LeastDistance, keep: Mask | None) -> Vector:
    """Return the multipliers of all rows, in the order of the constraints."""
    duals = np.concatenate([answer.inequalities, answer.equalities])
    if keep is None and region.in_order:
        return duals
    rows = region.inequalities if keep is None else region.inequalities[keep]
    made = np.zeros(len(region.row_scale))
    made[np.concatenate([rows, region.equalities])] = duals
    return made


def _active(region: Region, rows: Mask, answer: LeastDistance, keep: Mask | None) -> Indices:
    """Return which of these rows have a multiplier."""
    if rows is region.no_row or not rows.any():
        return region.inequalities[:0]
    if keep is None:
        return region.inequalities[rows & (answer.inequalities > 0.0)]
    return region.inequalities[rows & (np.append(answer.inequalities, 0.0)[_places(keep)] > 0.0)]


def _places(keep: Mask) -> Indices:
    """Return for each row its place among those that are kept, or -1."""
    return np.where(keep, np.cumsum(keep) - 1, -1)


def _left_by_slopes(region: Region, rows: Any, answer: LeastDistance, size: float) -> float:
    """Return what errors in the rows' gradients leave; gradients of texts have none."""
    errors = getattr(region.constraints, "slope_errors", None)
    if errors is None or not largest(errors) > EXACT:
        return 0.0
    jac, eq = rows
    left = 0.0
    for which, matrix, duals in (
        (region.inequalities, jac, answer.inequalities),
        (region.equalities, eq, answer.equalities),
    ):
        if len(duals) == len(which):
            sizes = np.minimum(np.abs(duals) * row_norms(matrix), LARGEST_SHARE * size)
            left += dot(errors[which], sizes)
    return left


def tangential_change(
    region: Region, x: Vector, z: Vector, slope: Vector, at: Criticality
) -> float:
    """Return ``slope'(z - x)`` without what rounding of feasible points adds to it.

    Where the gradient is large and normal to the active rows, its product with the rounding of x
    and z drowns the change along them.  The Lagrangian changes as f does from one feasible point to
    another, by the trapezoidal rule, and its gradient has no such part.

    Parameters
    ----------
    region : Region
    x, z : ndarray, shape (n,)
        Feasible points.
    slope : ndarray, shape (n,)
        The mean gradient between them.
    at : Criticality
        Measured at x.
    """
    rows = 0.5 * (region.gradients(x, at.multipliers) + region.gradients(z, at.multipliers))
    change = dot(slope + rows + at.bound_multipliers, z - x)
    return change if np.isfinite(change) else dot(slope, z - x)


def measured(region: Region, x: Vector, g: Vector, unit: float = 1.0) -> Criticality:
    """Return `criticality`, or what is said where its small problem cannot be solved."""
    try:
        return criticality(region, x, g, unit)
    except Exception as error:
        if not is_numeric(error):
            raise
        return unknown(region)


def unknown(region: Region) -> Criticality:
    """Return what is said where there is no gradient."""
    return Criticality(
        residual=np.inf,
        floor=0.0,
        left=np.full(region.n, np.inf),
        room=np.full(region.n, np.inf),
        near=np.inf,
        far=np.inf,
        multipliers=np.full(len(region.row_scale), np.nan),
        bound_multipliers=np.full(region.n, np.nan),
        pinned=np.zeros(region.n, dtype=bool),
        cusps=np.zeros(0, dtype=np.int64),
    )
