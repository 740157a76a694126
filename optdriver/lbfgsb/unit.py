"""The unit of an objective, learnt from its first good evaluation."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

SMALL_PART = 2.0**-10
SMALLEST = 2.0**-100


def unit_of(
    f: float, g: Vector | None, x: Vector, lower: Vector, upper: Vector, rule: int = 4
) -> float:
    """Return what f is measured by where it is smaller: a power of two, 1 at most.

    The size of an objective is that of its value or, if larger, of what its gradient promises over
    the box (over |x|, 1 at least, where that has no side).  A size below 1 is taken to be in a
    small unit, whose first value may well be large: the smaller it is, the further below it lies
    the unit, down to a thousandth of it.  What the gradient promises over a wide box says little of
    the values to come: the unit is no more than the value, unless that is below a thousandth of
    the size.

    Parameters
    ----------
    f : float
        The first value.
    g : ndarray, shape (n,), or None
        The gradient there.
    x, lower, upper : ndarray, shape (n,)
        The point and the box.
    rule : int
        4, or less for the unit of optdriver 0.4.0, which heeds the size alone (1 if that is 1 or
        more), as `optdriver.lbfgsb.state.State.cautious` has it.
    """
    size = abs(f)
    if g is not None and g.size:
        room = np.where(g < 0.0, upper - x, x - lower)
        reach = np.where(np.isfinite(room), room, np.maximum(np.abs(x), 1.0))
        size = max(size, float(np.max(np.abs(g) * reach)))
    unit = size * max(size, SMALL_PART)
    if rule > 3:
        unit = min(unit, max(abs(f), size * SMALL_PART))
    part, exponent = math.frexp(min(max(unit, SMALLEST), 1.0))
    return math.ldexp(1.0, exponent - (part == 0.5))
