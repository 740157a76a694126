"""Points beside an end, where symmetry may have hidden that f falls: feasible ones.

The rule is that of `optdriver.lbfgsb.saddles`: variables that have stayed where the run began, with
no slope, are moved a little, and of variables that have been equal all the way one is moved up and
the other down.  The point is brought back to the constraints where it violates one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from optdriver.constraints.nearest import nearest
from optdriver.feasible.region import Region
from optdriver.feasible.types import Mask, Vector
from optdriver.feasible.work import TooMuchWork
from optdriver.geometry.products import dot, largest

PART = 2.0**-16
"""Of f, or of what a run has gained: small."""

SAME = 2.0**-13
"""Of a variable's size: closer values are the same; before the sixth rule `PART`."""

STEP = 2.0**-10
"""Of a variable's size, which it is moved by."""

LEFT_OF_STEP = 0.25
"""So much of the step has to be left where a point was brought back to the constraints."""

FARTHER = 8.0
ROUNDING = 2.0**-50  # of f
MOST_COMPARED = 2**20
SHORTER = (1.0, -1.0, 0.125, -0.125)


class Level(NamedTuple):
    """What counts as no slope, and as no move: see `optdriver.lbfgsb.saddles`."""

    slope: float
    change: float
    same: float

    def holds(self, slopes: Vector, size: Vector) -> Mask:
        """Return which slopes are small, or promise no change over the sizes of their variables."""
        steep = np.abs(slopes)
        return np.asarray((steep <= self.slope) | (steep * size <= self.change))


def step(
    x: Vector, g: Vector, began: Vector, steps: Vector, region: Region, level: Level
) -> Vector:
    """Return the step from the end `x` to where f may be lower, of zeros where there is none.

    Parameters
    ----------
    x, g : ndarray, shape (n,)
        The end, and the gradient there.
    began : ndarray, shape (n,)
        Where the run began.
    steps : ndarray, shape (k, n)
        Steps that are known of the run.
    region : Region
    level : Level
        What is no slope, and no move.
    """
    moved = np.abs(x - began)
    size = sizes(x, began, region)
    stays = region.free & level.holds(g, size) & (moved <= level.same * size)
    stays &= (np.abs(steps) <= level.same * size).all(axis=0)  # else it has come back
    p = np.zeros(len(x))
    for k, i in enumerate(np.flatnonzero(stays).tolist()):
        p[i] = STEP * size[i] * (-1.0 if k.bit_count() % 2 else 1.0)
    _exchange(p, x, g, began, steps, size, region.free & ~stays, level)
    return p


def sizes(x: Vector, began: Vector, region: Region) -> Vector:
    """Return the sizes of the variables: see `optdriver.lbfgsb.saddles.size_of`."""
    way = largest(np.abs(x - began))
    width = region.upper - region.lower
    size = np.maximum(np.abs(x), np.abs(began))
    size = np.where(began == 0.0, np.maximum(size, way), size)
    size = np.where(size == 0.0, np.where(np.isfinite(width), width, 1.0), size)
    return np.asarray(np.minimum(size, width))


def _exchange(
    p: Vector,
    x: Vector,
    g: Vector,
    began: Vector,
    steps: Vector,
    size: Vector,
    free: Mask,
    level: Level,
) -> None:
    """Move of each two variables that have been equal all the way one up and the other down."""
    n, least = len(x), level.same * largest(np.abs(x - began))
    open_to = _paired(x, began, free, least)
    window = 2 + MOST_COMPARED // n
    for i in np.flatnonzero(open_to).tolist():
        if not open_to[i]:
            continue
        j = np.arange(i + 1, min(n, i + window))
        same = open_to[j] & (began[j] == began[i]) & (np.abs(x[j] - x[i]) <= least)
        j = j[same & level.holds(g[j] - g[i], size[[i]])]
        together = np.abs(steps[:, j] - steps[:, [i]]) <= least
        j = j[together.all(axis=0)]
        if len(j):
            p[i], p[j[0]] = STEP * size[i], -STEP * size[i]
            open_to[i] = open_to[j[0]] = False


def _paired(x: Vector, began: Vector, free: Mask, least: float) -> Mask:
    """Return which `free` variables began where another did, and end at most `least` from it."""
    places = np.flatnonzero(free)
    order = places[np.lexsort((x[places], began[places]))]
    near = (np.diff(began[order]) == 0.0) & (np.diff(x[order]) <= least)
    paired = np.zeros(len(x), dtype=bool)
    paired[order[1:][near]] = paired[order[:-1][near]] = True
    return paired


def bent_down(p: Vector, change: Vector) -> tuple[Vector, float]:
    """Return the part of a step down whose slope f bends, and what a parabola promises along it.

    It is 0 where that is all of the step, or nothing: see
    `optdriver.lbfgsb.saddles.promised_aside`.
    """
    down = p * change < 0.0
    part = np.where(down, p, 0.0)
    hidden = bool(np.any((p != 0.0) & ~down))
    return part, -0.5 * dot(part, change) if hidden else 0.0


def feasible_point(region: Region, x: Vector, p: Vector, tolerance: float) -> Vector | None:
    """Return a feasible point at about ``x + p``, or about ``x - p``; None if there is none."""
    if not p.any():
        return None
    for part in SHORTER:
        try:
            z = _brought_back(region, x + part * p, tolerance)
        except TooMuchWork:
            return None
        length = abs(part) * largest(np.abs(p) / region.scale)
        if z is not None and largest(np.abs(z - x) / region.scale) >= LEFT_OF_STEP * length:
            return z
    return None


def _brought_back(region: Region, z: Vector, tolerance: float) -> Vector | None:
    z = region.clip(z)
    if not np.isfinite(z).all():
        return None
    if not region.is_feasible(z, tolerance):
        z = nearest(region, z).x
    return z if region.is_feasible(z, tolerance) else None
