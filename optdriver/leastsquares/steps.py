"""Steps of a Gauss-Newton model within a box: damped, and of a length.

The model at an iterate is ``1/2 |q + R p|^2``, with R from the QR factors of the Jacobian and q the
residuals in its range.  The damped step minimises it with ``1/2 damping |D p|^2`` added (Levenberg
1944, Marquardt 1963), and the damping is chosen for the length that is wanted (More 1978).  With
bounds in the way the same is minimised within them, exactly: the bounds are part of the problem and
not of the scaling, and a step may end on one.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]

EPS: Final = float(np.finfo(np.float64).eps)

CLOSE: Final = 0.1
"""How far, relatively, the length of a step may be from the one that is wanted."""

TRIES: Final = 30
"""Values of the damping that are tried for a length; each at least halves what is left."""


def damped(
    triangle: Vector, q: Vector, scale: Vector, damping: float, low: Vector, high: Vector
) -> Vector:
    """Return the step that minimises the damped model for ``low <= p <= high``.

    Of steps that do equally well, without damping, it is the shortest in units of the columns.

    Parameters
    ----------
    triangle : ndarray, shape (k, n)
        The factor R.
    q : ndarray, shape (k,)
    scale : ndarray, shape (n,)
        The diagonal D.
    damping : float
    low, high : ndarray, shape (n,)
        With ``low <= 0 <= high``.
    """
    n = triangle.shape[1]
    matrix, right = triangle, -q
    if damping > 0.0:
        matrix = np.concatenate([triangle, math.sqrt(damping) * np.diag(scale)])
        right = np.concatenate([right, np.zeros(n)])
    columns = lengths(matrix)
    scaled = matrix / columns
    if not (np.isfinite(scaled).all() and np.isfinite(right).all()):
        raise np.linalg.LinAlgError("the model of the residuals has numbers that are not finite")
    free = low < high
    y: Vector = np.zeros(n)
    if free.all():
        y = np.asarray(np.linalg.lstsq(scaled, right, rcond=EPS * max(matrix.shape))[0], float)
    elif free.any():
        y[free] = np.linalg.lstsq(scaled[:, free], right, rcond=EPS * max(matrix.shape))[0]
    p: Vector = y / columns
    if ((low <= p) & (p <= high)).all():
        return p
    return _boxed(scaled, right, columns, low, high, free)


def _boxed(
    scaled: Vector, right: Vector, columns: Vector, low: Vector, high: Vector, free: Mask
) -> Vector:
    """Return the same where bounds are in the way (Stark and Parker's BVLS)."""
    from scipy.optimize import lsq_linear  # longer to import than all the rest

    y = np.zeros(columns.size)
    found = lsq_linear(
        scaled[:, free],
        right,
        bounds=(low[free] * columns[free], high[free] * columns[free]),
        method="bvls",
        tol=EPS,
        max_iter=10 * columns.size,
    )
    y[free] = found.x
    p: Vector = np.minimum(np.maximum(y / columns, low), high)
    at_low, at_high = np.zeros_like(free), np.zeros_like(free)
    at_low[free], at_high[free] = found.active_mask < 0, found.active_mask > 0
    p[at_low], p[at_high] = low[at_low], high[at_high]
    return p


def lengths(matrix: Vector) -> Vector:
    """Return the lengths of the columns, 1 for those that are zero."""
    largest = np.max(np.abs(matrix), axis=0, initial=0.0)
    largest[largest == 0.0] = 1.0
    found = largest * np.sqrt(np.sum((matrix / largest) ** 2, axis=0))
    found[found == 0.0] = 1.0
    return np.asarray(found)


def gain(triangle: Vector, q: Vector, p: Vector) -> float:
    """Return by how much the model falls over a step."""
    moved = triangle @ p
    return max(0.0, -float(q @ moved) - 0.5 * float(moved @ moved))


def of_length(
    triangle: Vector, q: Vector, scale: Vector, radius: float, low: Vector, high: Vector
) -> tuple[Vector, float]:
    """Return the step of the model with ``|D p|`` of about `radius` at most, and its damping."""
    p = damped(triangle, q, scale, 0.0, low, high)
    if not np.linalg.norm(scale * p) > (1.0 + CLOSE) * radius:
        return p, 0.0
    least, most = 0.0, float(np.linalg.norm((triangle.T @ q) / scale)) / radius
    damping = 1e-3 * most
    for _ in range(TRIES):
        p = damped(triangle, q, scale, damping, low, high)
        length = float(np.linalg.norm(scale * p))
        if abs(length - radius) <= CLOSE * radius:
            break
        least, most = (damping, most) if length > radius else (least, damping)
        damping = _newton(triangle, scale, p, length, radius, damping)
        if not least < damping < most:
            damping = max(math.sqrt(least * most), 1e-3 * most)
    return p, damping


def _newton(
    triangle: Vector, scale: Vector, p: Vector, length: float, radius: float, damping: float
) -> float:
    """Return the next damping by Newton's method on ``1/|D p|`` (More 1978, eq. 5.4)."""
    if not length > 0.0:
        return math.nan
    matrix = np.concatenate([triangle, math.sqrt(damping) * np.diag(scale)])
    columns = lengths(matrix)
    factor: Vector = np.asarray(np.linalg.qr(matrix / columns, mode="r"))
    try:
        w = np.linalg.solve(factor.T, scale**2 * p / columns)
    except np.linalg.LinAlgError:
        return math.nan
    slope = float(w @ w) / length
    return damping + (length / radius) * (length - radius) / slope if slope > 0.0 else math.nan
