"""What a user tells, checked: points, vectors, and whether values and gradients can be used."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError
from optdriver.reading import real_vector

Vector = NDArray[np.float64]


class Vectors(NamedTuple):
    """What is told in place of a value, shape (m,), and its Jacobian, (m, n), if that is told.

    Residuals; or the value and the rows of constraints behind it.
    """

    values: Vector
    jacobian: Vector | None


SHORT = 50
"""Numbers up to which their sum is the quickest way to see that they are finite."""


def as_point(x: Any, lower: Vector, upper: Vector) -> Vector:
    """Return a fresh copy of `x`, which must be inside the bounds."""
    point = real_vector("the point", x, lower.size).copy()
    for i in np.flatnonzero(~((point >= lower) & (point <= upper) & np.isfinite(point))):
        raise InputError(
            f"the point has {point[i]} for variable {i}, whose bounds are ({lower[i]}, {upper[i]})"
        )
    return point


def is_usable(f: float, g: Vector | None) -> bool:
    """Return whether value and gradient are finite."""
    if g is None or (g.size < SHORT and math.isfinite(sum(g.tolist()))):
        return math.isfinite(f)
    return math.isfinite(f) and bool(np.isfinite(g).all())
