"""What a user tells, checked: points, and whether values and gradients can be used."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError
from optdriver.reading import real_vector

Vector = NDArray[np.float64]


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
    return math.isfinite(f) and (g is None or bool(np.isfinite(g).all()))
