"""How precisely a constraint that is a function is computed.

Functions in 32 bits, or with an iteration inside, have values that are exact to fewer digits than
the numbers that carry them.  A step of differences that suits 64 bits then gives noise for a
derivative, and a tolerance of 1e-10 can be met by no point at all.  So the noise is measured once,
and steps and tolerances follow it.

Source: Moré, Wild, "Estimating computational noise", SIAM J. Sci. Comput. 33 (2011) 1292.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optdriver.geometry.elementary import cosines

Array = NDArray[np.float64]

POINTS = 9
SPACINGS = (1e-5, 1e-4, 1e-3)  # of the sizes of the variables, one after the other
AGREEING = 4.0  # three estimates in a row within this factor are one
OF_RANGE = 0.1  # noise is at most so much of what the values change by along the line
GREATEST = 2e-3  # of the values: what varies more is no noise, but a function
UNIT = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class Precision:
    """The noise in the values of a vector function.

    Attributes
    ----------
    noise : ndarray, shape (k,)
        Its size in each value; 0 where none was found.
    relative : float
        The largest of them relative to the values; at least the unit roundoff of 64 bits.
    """

    noise: Array
    relative: float = UNIT

    @property
    def first_step(self) -> float:
        """The relative step of two-sided first differences."""
        return float(math.cbrt(self.relative))

    @property
    def second_step(self) -> float:
        """The relative step of differences of such differences."""
        coarse = self.relative > 16.0 * UNIT
        return float(self.relative**0.25) if coarse else self.first_step

    @property
    def slope_error(self) -> float:
        """What first differences leave of relative error in a slope."""
        return float(self.relative ** (2.0 / 3.0))


def measured(function: Callable[[Array], Array], x: Array) -> Precision:
    """Measure the noise of `function` around `x`, by values along a line.

    Parameters
    ----------
    function : callable
        From (n,) to (k,).
    x : ndarray, shape (n,)
    """
    line = cosines(1.0 + np.arange(x.size)) * np.maximum(1.0, np.abs(x))
    noise = parts = np.zeros(0)
    for spacing in SPACINGS:
        steps = spacing * (np.arange(POINTS) - POINTS // 2)
        values = np.array([function(x + step * line) for step in steps])
        noise = np.array([_noise(column) for column in values.T])
        with np.errstate(all="ignore"):
            sizes = np.maximum(np.abs(values).max(axis=0), np.ptp(values, axis=0) / spacing)
            parts = noise / sizes
        known = (noise > 0.0) & (parts <= GREATEST)
        noise, parts = np.where(known, noise, 0.0), np.where(known, parts, 0.0)
        if known.all():
            break
    return Precision(noise, max(UNIT, float(np.max(parts, initial=0.0))))


def _noise(values: Array) -> float:
    """Return the noise in equally spaced values by their difference table; 0 if none is seen."""
    if not np.isfinite(values).all():
        return 0.0
    least = _of_single(values)
    levels, turns, column, gamma = [], [], values, 1.0
    for k in range(1, POINTS - 1):
        column = np.diff(column)
        gamma *= 0.5 * k / (2 * k - 1)  # (k!)^2 / (2k)!
        levels.append(math.sqrt(gamma * math.fsum(v * v for v in column.tolist()) / column.size))
        turns.append(column.min() < 0.0 < column.max())
    for k in range(len(levels) - 2):
        near = levels[k : k + 3]
        if turns[k] and max(near) <= AGREEING * min(near):
            return max(least, levels[k]) if levels[k] <= OF_RANGE * np.ptp(values) else 0.0
    return least


def _of_single(values: Array) -> float:
    """Return the rounding of numbers of 32 bits where the values are such, and no integers."""
    with np.errstate(over="ignore"):
        single = np.array_equal(values.astype(np.float32), values)
    if single and np.any(values != np.rint(values)):
        return float(2.0**-24 * np.abs(values).max())
    return 0.0
