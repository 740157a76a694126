"""What the columns of a Jacobian come to."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from optdriver.geometry.products import norm

Vector = NDArray[np.float64]

EPS: Final = float(np.finfo(np.float64).eps)


def lengths(matrix: Vector) -> Vector:
    """Return the lengths of the columns, 1 for those that are zero."""
    found = np.array([norm(column) for column in matrix.T])
    found[found == 0.0] = 1.0
    return found
