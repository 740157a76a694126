"""Whether a point is a minimum at a cusp whose sides are infinitely steep, as those of a root.

At the tip of ``y <= 1 - sqrt(abs(x - 0.3))`` the row rises beyond any slope on both sides of
x = 0.3: a step there costs more than f can gain, and to first order the variable is fixed, as it is
where such a slope meets a side of the box (see `criticality`).  The end counts as a minimum if

1. the first-order conditions hold with that variable fixed, the row having a multiplier;
2. the row, times that multiplier, rises on both sides faster than f and what else holds it may
   fall, at every distance over eight decades, and the steeper the nearer; no value is a wall, too;
3. along the other variables the row has the slopes that its gradient tells, on both sides.

One variable only: where a tip goes along a curve, two slopes are infinite, and f may fall along it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optdriver.feasible.criticality import Criticality, measured
from optdriver.feasible.region import STEEP, Region
from optdriver.feasible.types import Vector
from optdriver.geometry import optimality
from optdriver.geometry.elementary import cosines
from optdriver.geometry.matrices import finite

DISTANCES = np.array([10.0**-k for k in range(3, 12)])
SURELY = 4.0  # times what f may fall by
STEEPER = 30.0  # times as steep at the last distance as at the first
ASIDE = (1e-4, 1e-6)  # distances at which slopes along the other variables are compared
AGREED = 1e-2  # of a slope, or of the row's unit
LARGEST = 60  # variables


def wall(region: Region, x: Vector) -> tuple[int, int] | None:
    """Return which inequality is infinitely steep in which variable inside its bounds at `x`.

    None unless there is one of both.
    """
    if region.large or region.n > LARGEST or any(region.work.costs):
        return None
    jac, eq = region.linearised(x)
    if not len(jac) or optimality.steepest(jac, region.scale) <= region.steep:
        return None
    if not finite(jac, eq):
        return None
    sizes = np.abs(jac * region.scale)
    least = region.row_scale[region.inequalities]
    steep = sizes > STEEP * least[:, None]
    if not steep.any():
        return None
    k, i = (int(each[0]) for each in np.nonzero(steep))
    rest = np.delete(sizes[k], i)
    inside = region.lower[i] < x[i] < region.upper[i]
    if steep.sum() > 1 or not inside or sizes[k, i] <= STEEP * np.max(rest, initial=0.0):
        return None
    return k, i


def held(region: Region, x: Vector, i: int) -> Region:
    """Return the region with variable i fixed where it is."""
    here = np.arange(region.n) == i
    return region.within(np.where(here, x, region.lower), np.where(here, x, region.upper))


def between_walls(region: Region, x: Vector, g: Vector, unit: float) -> Criticality | None:
    """Return the first-order conditions at a cusp with infinitely steep sides; None if it is none.

    Parameters
    ----------
    region : Region
    x, g : ndarray, shape (n,)
        A feasible point, and the gradient there.
    unit : float
        That of f.
    """
    found = wall(region, x)
    if found is None:
        return None
    k, i = found
    at = measured(held(region, x, i), x, g, unit)
    forces = np.zeros(len(region.row_scale))
    np.divide(at.multipliers, region.row_scale, out=forces, where=at.multipliers != 0.0)
    force, others = forces[region.inequalities], forces[region.equalities]
    if not (np.isfinite(at.residual) and force[k] > 0.0 and _are_smooth(region, k, force)):
        return None
    jac, eq = region.linearised(x)
    besides = np.arange(len(jac)) != k
    slope = g[i] + force[besides] @ jac[besides, i] + others @ eq[:, i]
    if not (_rises(region, x, k, i, abs(slope) / force[k]) and _is_told(region, x, k, i, jac[k])):
        return None
    sides = at.bound_multipliers.copy()
    sides[i] = 0.0
    return replace(
        at,
        bound_multipliers=sides,
        pinned=region.no_variable,
        cusps=np.union1d(at.cusps, region.inequalities[[k]]),
    )


def _are_smooth(region: Region, k: int, force: Vector) -> bool:
    """Say whether every row with a multiplier but row k is smooth, and no union."""
    smooth = getattr(region.constraints, "smooth", None)
    unions = getattr(region.constraints, "unions", None)
    used = np.flatnonzero(force > 0.0)
    rows = [*region.inequalities[used[used != k]], *region.equalities]
    return (smooth is None or all(bool(smooth[row]) for row in rows)) and (
        unions is None or not any(bool(unions[row]) for row in rows)
    )


def _rises(region: Region, x: Vector, k: int, i: int, slope: float) -> bool:
    """Say whether row k rises faster than `slope` on both sides of x_i, the steeper the nearer."""
    here = region.values(x)[0][k]
    for sign in (1.0, -1.0):
        steepness = []
        for t in sign * region.scale[i] * DISTANCES:
            z = x.copy()
            z[i] += t
            rise = region.values(z)[0][k] - here
            if np.isfinite(rise):
                steepness.append(rise / abs(t))
        unlike = steepness and steepness[-1] < STEEPER * abs(steepness[0])
        if unlike or any(each <= SURELY * slope for each in steepness):
            return False
        if steepness and len(steepness) < len(DISTANCES):
            return False
    return True


def _is_told(region: Region, x: Vector, k: int, i: int, row: Vector) -> bool:
    """Say whether row k changes along the other variables as its gradient tells, both ways."""
    here = region.values(x)[0][k]
    others = [j for j in region.moving.tolist() if j != i]
    ways = [np.eye(region.n)[j] for j in others]
    for shift in range(4):
        way = cosines(1.0 + (shift + 2) * np.arange(1, region.n + 1, dtype=float))
        way[[j for j in range(region.n) if j not in others]] = 0.0
        ways.append(way)
    for way in ways:
        for t in ASIDE:
            for step in (t * region.scale * way, -t * region.scale * way):
                change = region.values(x + step)[0][k] - here
                expected = float(row @ step)
                if not abs(change - expected) <= AGREED * max(abs(expected), t):
                    return False
    return True
