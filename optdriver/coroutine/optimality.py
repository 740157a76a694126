"""Whether a point at which a method has stopped can be a minimum, whatever its units.

Within bounds the rule is that of `optdriver.lbfgsb.stopping.is_stationary`, and under constraints
that of `optdriver.feasible.convergence`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet
    from optdriver.feasible.criticality import Criticality

Vector = NDArray[np.float64]

NEGLIGIBLE = 2.220446049250313e-09  # of f
FAR = 100.0  # times gtol, of f
ACTIVE = 1e-6  # a scaled row closer to zero than this is active
PLAIN = 1e-2  # of f: what nobody would overlook
LARGEST = 2.0**1000  # a unit of f


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
    size: Vector,
    scale: float,
    ftol: float = 0.0,
) -> bool:
    """Return whether the gradient says that f still falls plainly.

    That is, by more than a hundredth of `scale` (or a hundred times `ftol`, if that is more), were
    every variable moved by its `size` (its own, or as far as it has come from the start) within
    the bounds.
    """
    plain = max(PLAIN, FAR * ftol)
    return float(np.abs(g) @ np.minimum(_room(x, g, lower, upper), size)) > plain * scale


def under(
    constraints: ConstraintSet,
    x: Vector,
    g: Vector,
    lower: Vector,
    upper: Vector,
    unit: float = 1.0,
) -> Criticality:
    """Return how far `x`, feasible to a tolerance, is from optimal under constraints."""
    from optdriver.feasible.criticality import measured
    from optdriver.feasible.region import region

    return measured(region(constraints, lower, upper, x), x, g, unit)


def unit_within(g: Vector, size: Vector) -> float:
    """Return the unit of f, a power of two, in which a step by -g is one within the sizes of x.

    In another one rows and sides hold back a step that are far away, or none that is near.
    """
    with np.errstate(over="ignore"):
        largest = float(np.max(np.abs(g) / size, initial=0.0))
    return math.ldexp(1.0, math.frexp(largest)[1]) if 0.0 < largest < LARGEST else 1.0


def conditions(
    constraints: ConstraintSet, x: Vector, g: Vector | None, lower: Vector, upper: Vector
) -> dict[str, Any]:
    """Return what is known of constraints and bounds at `x`, as a result has it."""
    from optdriver.feasible.naming import active_names, certified, forces

    values, p = constraints.values(x) / constraints.scales, constraints.n_inequalities
    rows = [k for k, c in enumerate(values) if k >= p or c >= -ACTIVE]
    near = ACTIVE * np.maximum(1.0, np.abs(x))
    made: dict[str, Any] = {
        "maxcv": constraints.violation(x),
        "active": active_names(constraints, rows, x, lower, upper, near),
        "certified": certified(constraints, rows),
    }
    if g is None:
        none = np.full(x.size, math.nan)
        return made | {"kkt": math.nan, "multipliers": {}, "bound_multipliers": none}
    return made | forces(constraints, under(constraints, x, g, lower, upper))


def is_stationary_under(at: Criticality, gtol: float, scale: float) -> bool:
    """Return whether the first-order conditions hold to `gtol`, and promise nothing more."""
    small = at.near <= NEGLIGIBLE * scale and at.far <= FAR * gtol * scale
    return at.residual <= max(gtol, at.floor) and small


def goes_on_under(
    at: Criticality, size: Vector, scale: float, ftol: float = 0.0, near: float = 0.0
) -> bool:
    """Return whether the gradient says that f still falls plainly within the constraints.

    `near` is what it falls by on the way to what holds it.
    """
    if not math.isfinite(at.residual):
        return False  # nothing is known
    falls = near + float(np.abs(at.left) @ np.minimum(at.room, size))
    return falls > max(PLAIN, FAR * ftol) * scale


def _room(x: Vector, g: Vector, lower: Vector, upper: Vector) -> Vector:
    """Return the distances to the bounds that the negative gradient points at."""
    return np.where(g < 0.0, upper - x, x - lower)
