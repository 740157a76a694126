"""What a residual costs: the losses of `scipy.optimize.least_squares`, by its names.

The value of residuals r is ``F = 1/2 sum(C^2 rho((r/C)^2))``, with C the scale `f_scale`, beyond
which a residual counts as an outlier; with the linear loss it is half of the sum of squares.

Sums have one order, and functions are those of the C library, so that every processor has the same
bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from optdriver.geometry.functions import applied
from optdriver.geometry.products import dot, transposed_times

Vector = NDArray[np.float64]
Rho = Callable[[Vector], tuple[Vector, Vector, Vector]]

LEAST_CURVATURE: Final = float(np.finfo(np.float64).eps)
"""What stands for a negative curvature of a loss, far out: there the model needs a positive one."""


def _soft_l1(z: Vector) -> tuple[Vector, Vector, Vector]:
    t = 1.0 + z
    root = np.sqrt(t)
    return 2.0 * (root - 1.0), 1.0 / root, -0.5 / (t * root)


def _huber(z: Vector) -> tuple[Vector, Vector, Vector]:
    far = z > 1.0
    t = np.where(far, z, 1.0)
    root = np.sqrt(t)
    return (
        np.where(far, 2.0 * root - 1.0, z),
        np.where(far, 1.0 / root, 1.0),
        np.where(far, -0.5 / (t * root), 0.0),
    )


def _cauchy(z: Vector) -> tuple[Vector, Vector, Vector]:
    t = 1.0 + z
    return applied("log1p", z), 1.0 / t, -1.0 / t**2


def _arctan(z: Vector) -> tuple[Vector, Vector, Vector]:
    t = 1.0 + z**2
    return applied("atan", z), 1.0 / t, -2.0 * z / t**2


LINEAR: Final = "linear"

_RHO: Final[dict[str, Rho]] = {
    "soft_l1": _soft_l1,
    "huber": _huber,
    "cauchy": _cauchy,
    "arctan": _arctan,
}
"""Value, first and second derivative of rho by z."""

LOSSES: Final = (LINEAR, *_RHO)


def value(r: Vector, loss: str = LINEAR, scale: float = 1.0) -> float:
    """Return what residuals cost, infinite where that overflows."""
    with np.errstate(over="ignore"):
        if loss == LINEAR:
            return 0.5 * dot(r, r)
        costs = _RHO[loss]((r / scale) ** 2)[0]
        return 0.5 * scale**2 * dot(costs, np.ones_like(costs))


def gradient(r: Vector, jacobian: Vector, loss: str = LINEAR, scale: float = 1.0) -> Vector:
    """Return the gradient of the value: ``J' (rho' r)``."""
    with np.errstate(over="ignore", invalid="ignore"):
        if loss == LINEAR:
            return np.asarray(transposed_times(jacobian, r))
        return np.asarray(transposed_times(jacobian, _RHO[loss]((r / scale) ** 2)[1] * r))


def weighted(r: Vector, loss: str, scale: float) -> tuple[Vector, Vector]:
    """Return the residuals of the quadratic model of a loss, and the weights of the rows of J.

    With ``w = sqrt(rho' + 2 z rho'')`` the model of the value is half of the sum of squares of
    ``rho' r / w + w J p``, whose gradient is that of the value, and whose curvature is that of the
    loss (Triggs et al., Bundle adjustment - a modern synthesis, 2000, section 4.3).
    """
    if loss == LINEAR:
        return r, np.ones_like(r)
    z = (r / scale) ** 2
    _, first, second = _RHO[loss](z)
    w = np.sqrt(np.maximum(first + 2.0 * z * second, LEAST_CURVATURE))
    return first * r / w, w
