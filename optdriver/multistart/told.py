"""What a user tells, checked: values and gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError, InputTypeError

Vector = NDArray[np.float64]


def as_value(f: Any) -> float:
    """Return `f` as a float; it may be infinite or NaN."""
    if isinstance(f, float):
        return float(f)
    array = np.asarray(f)
    if array.dtype.kind not in "iufb" or array.size != 1 or np.ma.is_masked(f):
        raise InputTypeError(f"a value must be one real number, not {f!r}")
    return float(array.item())


def as_gradient(g: Any, n: int) -> Vector:
    """Return `g` as an array of n floats; they may be infinite or NaN."""
    if type(g) is not np.ndarray or g.dtype != np.float64:
        if np.ma.is_masked(g):
            raise InputTypeError(f"a gradient must be {n} real numbers, not masked ones: {g!r}")
        try:
            g = np.asarray(g)
        except ValueError:
            raise InputError(f"a gradient must be {n} numbers, not {g!r}") from None
        if g.dtype.kind not in "iufb":
            raise InputTypeError(f"a gradient must be {n} real numbers, not {g!r}")
        g = g.astype(np.float64)
    if g.shape != (n,):
        raise InputError(
            f"the gradient has shape {g.shape}, expected ({n},): one number a variable"
        )
    vector: Vector = g
    return vector


def as_point(x: Any, lower: Vector, upper: Vector) -> Vector:
    """Return a fresh copy of `x`, which must be inside the bounds."""
    try:
        array = np.array(x)
    except ValueError:
        raise InputError(f"a point must be {lower.size} numbers, not {x!r}") from None
    if array.dtype.kind not in "iuf":
        raise InputTypeError(f"a point must be {lower.size} real numbers, not {x!r}")
    if array.shape != lower.shape:
        raise InputError(f"the point has shape {array.shape}, expected {lower.shape}")
    for i in np.flatnonzero(~((array >= lower) & (array <= upper) & np.isfinite(array))):
        raise InputError(
            f"the point has {array[i]} for variable {i}, whose bounds are ({lower[i]}, {upper[i]})"
        )
    point: Vector = array.astype(np.float64)
    return point


def is_usable(f: float, g: Vector | None) -> bool:
    """Return whether value and gradient are finite."""
    return math.isfinite(f) and (g is None or bool(np.isfinite(g).all()))
