"""Points beside an end, where symmetry may have hidden that f falls: feasible ones.

The rule is that of `optdriver.geometry.aside`; the point is brought back to the constraints where
it violates one.
"""

from __future__ import annotations

import numpy as np

from optdriver.constraints.nearest import nearest
from optdriver.feasible.region import Region
from optdriver.feasible.types import Vector
from optdriver.feasible.work import TooMuchWork
from optdriver.geometry.aside import PART, Box
from optdriver.geometry.products import largest

SAME_BEFORE_LEVELS = PART
"""Of a variable's size: closer values were the same before the sixth rule."""

LEFT_OF_STEP = 0.25
"""So much of the step has to be left where a point was brought back to the constraints."""

SHORTER = (1.0, -1.0, 0.125, -0.125)


def box(region: Region) -> Box:
    """Return the sides of a region."""
    return Box(region.lower, region.upper)


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
