"""Finite differences, along coordinates or along feasible directions, lines, and surveys."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from optdriver.multistart import directions, noise, stencil, survey
from optdriver.multistart.directions import Directions
from optdriver.multistart.noise import Line
from optdriver.multistart.stencil import Stencil
from optdriver.multistart.stencil import record as record  # the same for all kinds
from optdriver.multistart.survey import Survey
from optdriver.multistart.told import Vectors

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet

Vector = NDArray[np.float64]
Differences: TypeAlias = Stencil | Directions
Pending: TypeAlias = Differences | Line | Survey


def point(pending: Pending, slot: int) -> Vector:
    """Return the point of a slot."""
    if isinstance(pending, Line | Survey):
        return pending.ends[slot].copy()
    if isinstance(pending, Directions):
        return directions.point(pending, slot)
    return stencil.point(pending, slot)


def replace_failed(
    pending: Pending,
    slot: int,
    lower: Vector,
    upper: Vector,
    constraints: ConstraintSet | None,
    *,
    once: bool,
) -> tuple[int, ...] | None:
    """Return the slots to ask instead of one that failed, or None if there is no way.

    `once`: a point is replaced once, as by optdriver 0.1.0.
    """
    if isinstance(pending, Line | Survey):
        record(pending, slot, math.inf)
        return ()
    if isinstance(pending, Stencil):
        replace = stencil.replace_once if once else stencil.replace_failed
        return replace(pending, slot, lower, upper)
    if constraints is None:
        return None
    return (directions.replace_once if once else directions.replace_failed)(
        pending, slot, constraints
    )


def again(
    pending: Differences,
    steps: Vector,
    lower: Vector,
    upper: Vector,
    constraints: ConstraintSet | None,
) -> tuple[int, ...]:
    """Take other steps where `steps` is not NaN, in complete differences: return what to ask."""
    slots: list[int] = []
    for i in np.flatnonzero(np.isfinite(steps)).tolist():
        if isinstance(pending, Stencil):
            slots += stencil.again(pending, i, float(steps[i]), lower, upper)
        elif constraints is not None:
            slots += directions.again(pending, i, float(steps[i]), constraints)
    return tuple(slots)


def keep(pending: Pending, slot: int, told: Vectors | None) -> None:
    """Note the vectors of a slot, where a Jacobian is made of them."""
    if told is not None and not isinstance(pending, Line | Survey):
        pending.vectors[slot] = told.values


def vectors(pending: Differences) -> Vectors | None:
    """Return what is told at x and its Jacobian, of complete differences; None for values."""
    if not pending.vectors:
        return None
    if isinstance(pending, Directions):
        return Vectors(*directions.jacobian(pending))
    return Vectors(*stencil.jacobian(pending))


def used(pending: Differences) -> Vector:
    """Return the step that each coordinate was moved by, the longest one; 0 where there is none."""
    steps = np.zeros(pending.x.size)
    for slot, i in enumerate(pending.coordinate):
        if i >= 0 and math.isfinite(pending.values[slot]):
            moved = pending.moved[slot] if isinstance(pending, Stencil) else pending.ends[slot][i]
            steps[i] = max(steps[i], abs(moved - pending.x[i]))
    return steps


def spans(pending: Differences) -> Vector:
    """Return how far apart the points are that each coordinate is differenced by; 0 without any."""
    low, high = pending.x.copy(), pending.x.copy()
    for slot, i in enumerate(pending.coordinate):
        if i >= 0 and math.isfinite(pending.values[slot]):
            moved = pending.moved[slot] if isinstance(pending, Stencil) else pending.ends[slot][i]
            low[i], high[i] = min(low[i], moved), max(high[i], moved)
    return np.asarray(high - low)


def gradient(pending: Differences) -> Vector:
    """Return the gradient of a complete set of differences."""
    if isinstance(pending, Directions):
        return directions.gradient(pending)
    return stencil.gradient(pending)


def to_dict(pending: Pending) -> dict[str, Any]:
    """Return the differences as numbers and arrays."""
    if isinstance(pending, Line):
        return {"kind": "line", "before": to_dict(pending.before)} | noise.to_dict(pending)
    if isinstance(pending, Survey):
        return {"kind": "survey"} | survey.to_dict(pending)
    if isinstance(pending, Directions):
        return {"kind": "directions"} | directions.to_dict(pending)
    return {"kind": "coordinates"} | stencil.to_dict(pending)


def from_dict(data: dict[str, Any]) -> Pending:
    """Return the differences of which `to_dict` made `data`."""
    if data["kind"] == "line":
        return noise.from_dict(data, _differences(data["before"]))
    if data["kind"] == "survey":
        return survey.from_dict(data)
    return _differences(data)


def _differences(data: dict[str, Any]) -> Differences:
    if data["kind"] == "directions":
        return directions.from_dict(data)
    return stencil.from_dict(data)
