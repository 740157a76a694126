"""Elementary functions of arrays by the C library: NumPy's own depend on the processor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def cosines(angles: NDArray[np.floating[Any]]) -> Array:
    """Return the cosine of each angle, shape (n,)."""
    return np.array([math.cos(angle) for angle in angles.tolist()])


def nearest_powers_of_two(sizes: Array) -> Array:
    """Return the power of two whose logarithm is nearest to that of each positive number.

    Halfway, as ``sqrt(2)`` is, it is the smaller one, whatever rounding did.
    """
    mantissa, exponent = np.frexp(sizes)
    low = mantissa <= math.sqrt(0.5) * (1.0 + 1e-14)
    return np.ldexp(1.0, np.where(low, exponent - 1, exponent))
