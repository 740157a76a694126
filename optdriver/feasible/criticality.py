"""How far a feasible point is from optimal, and the multipliers there.

residual = |argmin 1/2 |d + g|^2 over c + J d <= 0, E d = 0, l <= x + d <= u|_inf

This is the approximate gradient projection of Martinez and Svaiter, J. Optim. Theory Appl. 118
(2003) 117: it vanishes along some feasible sequence at every local minimiser, with no constraint
qualification.  The duals of the small problem are the multipliers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from optdriver.feasible.region import STEEP, Region
from optdriver.feasible.types import Indices, Mask, Vector
from optdriver.geometry import optimality
from optdriver.geometry.least_distance import SMALL, least_distance
from optdriver.geometry.matrices import finite, row_norms
from optdriver.geometry.products import are_finite, dot, flat
from optdriver.numerics import is_numeric

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
    found: Any = False
    pinned, cusps, rows = region.no_variable, region.no_row, len(c)
    if not region.large:
        found = optimality.judged(
            flat(c),
            jac,
            eq,
            flat(g),
            flat(x),
            region.box,
            region.moving,
            unit,
            region.scale,
            region.steep,
            SMALL,
        )
    if found is False:
        pinned, cusps, rows, found = _judged(region, c, (jac, eq), x, g, unit)
    if found is None:
        return unknown(region)
    left, room, sides, residual, near, far, duals, size = found
    slopes = _left_by_slopes(region, (jac, eq), duals, size / unit, rows)
    return Criticality(
        residual=residual,
        floor=ROUNDING * size + unit * slopes,
        left=left,
        room=room,
        near=unit * near,
        far=far,
        multipliers=unit * _in_their_places(region, duals) * region.row_scale,
        bound_multipliers=sides,
        pinned=pinned,
        cusps=_active(region, cusps, duals),
    )


def _judged(
    region: Region, c: Vector, slopes: tuple[Any, Any], x: Vector, g: Vector, unit: float
) -> tuple[Mask, Mask, int, tuple[Any, ...] | None]:
    """Return what is pinned, as `_pinned`, how many rows have a value, and what `judged` finds."""
    jac, eq = slopes
    if not finite(jac, eq):
        return region.no_variable, region.no_row, len(c), None
    pinned, cusps = _pinned(region, x, jac)
    free = region.moving
    if pinned is not region.no_variable:
        free = np.flatnonzero(region.free & ~pinned)
    rows = len(c) if are_finite(c) else int(np.count_nonzero(_levels(c) < np.inf))
    is_small = len(free) + rows + eq.shape[0] <= SMALL and not region.large
    project = optimality.project if is_small else _project
    found = project(flat(c), jac, eq, flat(g), flat(x), region.box, free, unit)
    return pinned, cusps, rows, found and (*found, optimality.largest(flat(g)))


def _levels(c: Vector) -> Vector:
    """Return how far each row may rise."""
    return np.asarray(np.maximum(np.where(np.isnan(c), np.inf, -c), 0.0))


def _project(
    c: Vector,
    jac: Any,
    eq: Any,
    g: Vector,
    x: Vector,
    box: tuple[Vector, Vector],
    moving: Indices,
    unit: float,
) -> tuple[Any, ...] | None:
    """Return what `optdriver.geometry.optimality.project` does, for many rows or sparse ones."""
    levels = _levels(c)
    keep = np.flatnonzero(np.isfinite(levels))
    used, held, across, toward = jac, levels, eq, -g / unit
    if len(keep) < len(levels):
        used, held = jac[keep], levels[keep]
    lower, upper = box[0] - x, box[1] - x
    if len(moving) < len(x):
        used, across = used[:, moving], eq[:, moving]
        lower, upper, toward = lower[moving], upper[moving], toward[moving]
    none = np.zeros(eq.shape[0])
    answer = least_distance(used, held, across, none, lower, upper, toward=toward)
    if not answer.feasible:
        return None
    *measures, near, far = optimality.measure(
        answer.d, answer.box, (lower, upper), flat(x), moving, unit
    )
    duals = np.zeros(len(levels) + len(none))
    duals[keep], duals[len(levels) :] = answer.inequalities, answer.equalities
    return *measures, dot(answer.inequalities, held) + near, far, duals


def _pinned(region: Region, x: Vector, jac: Any) -> tuple[Mask, Mask]:
    """Return the variables that an infinite slope holds at their bound, and the rows of these.

    Such as x in ``y <= 1 - sqrt(x)`` at x = 0: to leave the bound by t costs y more than any
    multiple of t.  To first order the variable is fixed, and there are no multipliers.  Infinite
    is what is beyond 1e10 and 1e10 times the other slopes of the row, whatever its unit.
    """
    none = region.no_variable, region.no_row
    if region.large or not len(jac):
        return none
    if optimality.steepest(jac, region.scale) <= region.steep:
        return none
    jac = jac * region.scale  # a unit alone makes no slope infinite
    sizes = np.abs(jac)
    small = STEEP * sizes < np.max(sizes, axis=1, initial=0.0)[:, None]
    rest = np.max(np.where(small, sizes, 0.0), axis=1, initial=0.0)
    least = STEEP * np.maximum(rest, region.row_scale[region.inequalities])
    if not np.any((rest > 0.0) & np.any(sizes > least[:, None], axis=1)):
        return none
    sides = np.where(x <= region.lower, 1.0, np.where(x >= region.upper, -1.0, 0.0))
    steep = (jac * sides > least[:, None]) & (rest > 0.0)[:, None]
    return steep.any(axis=0), steep.any(axis=1)


def _in_their_places(region: Region, duals: Vector) -> Vector:
    """Return the multipliers of all rows, in the order of the constraints."""
    if region.in_order:
        return duals
    made = np.zeros(len(region.row_scale))
    made[np.concatenate([region.inequalities, region.equalities])] = duals
    return made


def _active(region: Region, rows: Mask, duals: Vector) -> Indices:
    """Return which of these rows have a multiplier."""
    if rows is region.no_row or not rows.any():
        return region.inequalities[:0]
    return region.inequalities[rows & (duals[: len(rows)] > 0.0)]


def _left_by_slopes(region: Region, rows: Any, duals: Vector, size: float, used: int) -> float:
    """Return what errors in the rows' gradients leave, of which there are `used` with a value."""
    if region.has_exact_slopes:
        return 0.0
    errors, (jac, eq), m = (
        np.asarray(getattr(region.constraints, "slope_errors", 0.0)),
        rows,
        len(region.inequalities),
    )
    left = 0.0
    for which, matrix, multipliers in (
        (region.inequalities, jac, duals[:m]),
        (region.equalities, eq, duals[m:]),
    ):
        if matrix is eq or used == m:
            sizes = np.minimum(np.abs(multipliers) * row_norms(matrix), LARGEST_SHARE * size)
            left += dot(errors[which], sizes)
    return left


def without_rounding(region: Region, x: Vector, g: Vector, at: Criticality) -> Criticality:
    """Return `at` without what rounding may have left of each slope in what f would fall by."""
    reach = np.where(np.isfinite(at.room), at.room, np.abs(x))
    return replace(at, far=dot(beyond_rounding(region, x, g, at), reach))


def beyond_rounding(region: Region, x: Vector, g: Vector, at: Criticality) -> Vector:
    """Return the sizes of the slopes that are left, 0 where that may be rounding.

    A slope is what the multipliers leave of the gradient; what it is made of tells its last digits.
    One that nothing is taken from is exact, however small it is.
    """
    sizes = np.abs(g)
    for which, rows in zip(
        (region.inequalities, region.equalities), region.linearised(x), strict=True
    ):
        forces = np.abs(at.multipliers[which] / region.row_scale[which])
        sizes = sizes + np.asarray(abs(rows).T @ forces)
    slopes = np.abs(at.left)
    slopes[slopes <= ROUNDING * sizes] = 0.0
    return slopes


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
    """Return `criticality`, or what is said where its small problem cannot be solved.

    What texts gave for the same arguments before is not computed again.
    """
    known, key = region.work.judged, (x.tobytes(), g.tobytes(), unit)
    if known is not None and known[0] is region and known[1] == key:
        found: Criticality = known[2]
        return found
    try:
        made = criticality(region, x, g, unit)
    except Exception as error:
        if not is_numeric(error):
            raise
        return unknown(region)
    if not any(region.work.costs):
        region.work.judged = region, key, made
    return made


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
