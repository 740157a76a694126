"""Finite differences of either kind: along coordinates, or along feasible directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from optdriver.multistart import directions, stencil
from optdriver.multistart.directions import Directions
from optdriver.multistart.stencil import Stencil
from optdriver.multistart.stencil import record as record  # the same for both kinds

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet

Vector = NDArray[np.float64]
Differences: TypeAlias = Stencil | Directions


def point(pending: Differences, slot: int) -> Vector:
    """Return the point of a slot."""
    if isinstance(pending, Directions):
        return directions.point(pending, slot)
    return stencil.point(pending, slot)


def replace_failed(
    pending: Differences,
    slot: int,
    lower: Vector,
    upper: Vector,
    constraints: ConstraintSet | None,
) -> tuple[int, ...] | None:
    """Return the slots to ask instead of one that failed, or None if there is no way."""
    if isinstance(pending, Stencil):
        return stencil.replace_failed(pending, slot, lower, upper)
    if constraints is None:
        return None
    return directions.replace_failed(pending, slot, constraints)


def gradient(pending: Differences) -> Vector:
    """Return the gradient of a complete set of differences."""
    if isinstance(pending, Directions):
        return directions.gradient(pending)
    return stencil.gradient(pending)


def to_dict(pending: Differences) -> dict[str, Any]:
    """Return the differences as numbers and arrays."""
    if isinstance(pending, Directions):
        return {"kind": "directions"} | directions.to_dict(pending)
    return {"kind": "coordinates"} | stencil.to_dict(pending)


def from_dict(data: dict[str, Any]) -> Differences:
    """Return the differences of which `to_dict` made `data`."""
    if data["kind"] == "directions":
        return directions.from_dict(data)
    return stencil.from_dict(data)
