"""The unit of an objective, learnt from its first good evaluation."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

SMALL_PART = 2.0**-10
SMALLEST = 2.0**-100


def unit_of(f: float, g: Vector | None, x: Vector, lower: Vector, upper: Vector) -> float:
    """Return what f is measured by where it is smaller: a power of two, 1 at most.

    The size of an objective is that of its value or, if larger, of what its gradient promises over
    the box (over |x|, 1 at least, where that has no side).  The unit is 1 if the size is 1 or more.
    A smaller one is taken to be in a small unit, whose first value may well be large: the smaller
    it is, the further below it lies the unit, down to a thousandth of it.

    Parameters
    ----------
    f : float
        The first value.
    g : ndarray, shape (n,), or None
        The gradient there.
    x, lower, upper : ndarray, shape (n,)
        The point and the box.
    """
    size = abs(f)
    if g is not None and g.size:
        room = np.where(g < 0.0, upper - x, x - lower)
        reach = np.where(np.isfinite(room), room, np.maximum(np.abs(x), 1.0))
        size = max(size, float(np.max(np.abs(g) * reach)))
    part, exponent = math.frexp(min(max(size * max(size, SMALL_PART), SMALLEST), 1.0))
    return math.ldexp(1.0, exponent - (part == 0.5))
