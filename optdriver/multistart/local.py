"""Which local minimizer a run gets: L-BFGS-B, or under constraints one that hands over.

Where constraints have rows (bounds in disguise have none) every run is a `Handover`: L-BFGS-B while
it stays feasible, then a `FeasibleMinimizer`, for which `ftol`, `maxls`, `initial_step` and `noise`
have no meaning: they belong to a line search, which it has not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from optdriver.lbfgsb import LBFGSB, Stop

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet
    from optdriver.multistart.handover import Handover

Vector = NDArray[np.float64]
Minimizer: TypeAlias = "LBFGSB | Handover"


def has_rows(constraints: ConstraintSet | None) -> bool:
    """Return whether there is more than a box."""
    return constraints is not None and len(constraints) > 0


def create(
    x0: Vector, bounds: Vector, constraints: ConstraintSet | None, options: Mapping[str, Any]
) -> Minimizer:
    """Return a new minimizer at `x0`."""
    if constraints is None or not has_rows(constraints):
        return LBFGSB(x0, bounds, **options)
    from optdriver.multistart.handover import Handover

    return Handover(x0, constraints, **options)


def reason(minimizer: Minimizer) -> str:
    """Return why a minimizer ended, in words."""
    result = minimizer.result
    if minimizer.converged and not result.get("certified", True):
        return f"{result.message}; not certified, since an active constraint has a kink there"
    return str(result.message)


def lost(minimizer: Minimizer) -> bool:
    """Return whether a minimizer ended because its gradients did not fit the values."""
    if isinstance(minimizer, LBFGSB):
        return minimizer.stop == Stop.ABNORMAL
    return str(minimizer.stop) == "stalled"


def conditions(minimizer: Minimizer, constraints: ConstraintSet | None) -> dict[str, Any] | None:
    """Return what is known of the constraints at the best point; None without constraints.

    ``active``: their names.  ``multipliers``: by name, of the active ones.  ``residual``: of the
    first-order conditions, which `gtol` is compared with.
    """
    if isinstance(minimizer, LBFGSB) or minimizer.best is None or constraints is None:
        return None
    result = minimizer.result
    known = dict(result.multipliers)
    for (i, _), name in constraints.bound_names.items():
        known.setdefault(name, abs(result.bound_multipliers[i]))
    active = list(result.active)
    return {
        "active": active,
        "multipliers": {name: float(known[name]) for name in active},
        "residual": float(result.kkt),
    }


def to_dict(minimizer: Minimizer) -> dict[str, Any]:
    """Return a minimizer as data, without the constraints."""
    return minimizer.to_dict()


def from_dict(data: Mapping[str, Any], constraints: ConstraintSet | None) -> Minimizer:
    """Return the minimizer of which `to_dict` made `data`."""
    if constraints is None or not has_rows(constraints):
        return LBFGSB.from_dict(dict(data))
    from optdriver.multistart.handover import Handover

    return Handover.from_dict(data, constraints)
