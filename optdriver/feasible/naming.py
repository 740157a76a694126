"""By what names a result tells which constraints are active at a point, and with what forces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from optdriver.feasible.types import Vector

if TYPE_CHECKING:
    from optdriver.feasible.criticality import Criticality


def active_names(
    constraints: Any, rows: Sequence[int], x: Vector, lower: Vector, upper: Vector, near: Vector
) -> tuple[str, ...]:
    """Return the names of active `rows`, and of bounds that were written as constraints.

    Such a bound is active where x is no farther than `near` from that side of the box.
    """
    named = tuple(constraints.names[row] for row in rows)
    bounds = getattr(constraints, "bound_names", {})
    if not bounds:
        return named
    sides = {"lower": x <= lower + near, "upper": x >= upper - near}
    return (*named, *(name for (i, side), name in bounds.items() if sides[side][i]))


def certified(constraints: Any, rows: Sequence[int]) -> bool:
    """Return whether all active `rows` are smooth: then a residual means what it says."""
    smooth = getattr(constraints, "smooth", None)
    unions = getattr(constraints, "unions", None)
    kinked = smooth is not None and not all(bool(smooth[row]) for row in rows)
    joined = unions is not None and any(bool(unions[row]) for row in rows)
    return not (kinked or joined)


def forces(constraints: Any, at: Criticality) -> dict[str, Any]:
    """Return the residual and the multipliers, of the rows and the bounds that have one."""
    rows = zip(constraints.names, at.multipliers.tolist(), strict=True)
    return {
        "kkt": at.residual,
        "multipliers": {name: value for i, (name, value) in enumerate(rows) if i not in at.cusps},
        "bound_multipliers": np.where(at.pinned, math.nan, at.bound_multipliers),
    }
