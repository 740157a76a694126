"""Whether a point at which a method has stopped can be a minimum, whatever its units.

The rule is that of `optdriver.lbfgsb.stopping.is_stationary`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

NEGLIGIBLE = 2.220446049250313e-09  # of f
FAR = 100.0  # times gtol, of f
PLAIN = 1e-2  # of f: what nobody would overlook


def is_stationary(
    x: Vector, g: Vector, lower: Vector, upper: Vector, gtol: float, scale: float
) -> bool:
    """Return whether the projected gradient vanishes to `gtol`, and what it promises does too.

    Parameters
    ----------
    x, g, lower, upper : ndarray, shape (n,)
        The point, the gradient there, the bounds.
    gtol : float
    scale : float
        What a change of f is measured by.
    """
    moved = np.minimum(np.maximum(x - g, lower), upper)
    if np.max(np.abs(moved - x), initial=0.0) > gtol:
        return False
    room = _room(x, g, lower, upper)
    promise = np.abs(g) * np.where(np.isfinite(room), room, np.abs(x))
    near = np.abs(g) > gtol
    small = float(np.sum(promise[near])) <= NEGLIGIBLE * scale
    return small and float(np.sum(promise[~near])) <= FAR * gtol * scale


def goes_on(
    x: Vector,
    g: Vector,
    lower: Vector,
    upper: Vector,
    start: Vector,
    scale: float,
    ftol: float = 0.0,
) -> bool:
    """Return whether the gradient says that f still falls plainly.

    That is, by more than a hundredth of `scale` (or a hundred times `ftol`, if that is more), were
    every variable moved by its own size, or as far as it has come from the start, within the
    bounds.
    """
    plain = max(PLAIN, FAR * ftol)
    size = np.maximum(np.abs(x), np.abs(x - start))
    return float(np.abs(g) @ np.minimum(_room(x, g, lower, upper), size)) > plain * scale


def _room(x: Vector, g: Vector, lower: Vector, upper: Vector) -> Vector:
    """Return the distances to the bounds that the negative gradient points at."""
    return np.where(g < 0.0, upper - x, x - lower)
