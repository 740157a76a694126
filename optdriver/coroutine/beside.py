"""Points beside an end of a method, where symmetry may have hidden that f falls.

The rule is that of `optdriver.geometry.aside`.  Under constraints the point is brought back to
them, also where the method itself may leave them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optdriver.coroutine import constraints as walls
from optdriver.coroutine import ending
from optdriver.coroutine.state import Record, State, Vector
from optdriver.geometry import aside
from optdriver.geometry.aside import Box, Level, Turns

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet


def step(state: State, end: Record) -> tuple[Vector, Turns | None]:
    """Return the step from an end to where f may be lower, and turns: see `aside.step`."""
    size = ending.scale(state)
    gtol = float(state.options.get("gtol", ending.GTOL))
    level = Level(slope=gtol * min(1.0, size), change=aside.PART * size, same=aside.SAME)
    began = state.x0 if state.aside.began is None else state.aside.began
    asked = [r.x - began for r in state.records if r.wanted == "value" and not r.failed]
    box = Box(state.lower, state.upper)
    made, turning = np.array(asked), state.aside.turning
    return aside.step(end.x, _slope(end), began, made, box, level, alone=True, turning=turning)


def point(state: State, end: Vector, p: Vector, constraints: ConstraintSet | None) -> Vector | None:
    """Return the point at this step from an end, a feasible one; None if there is none."""
    if not p.any():
        return None
    if constraints is None or not walls.has_rows(constraints):
        made = np.minimum(np.maximum(end + p, state.lower), state.upper)
        return made if np.isfinite(made).all() else None
    from optdriver.constraints.restoration import TOLERANCE
    from optdriver.feasible.beside import feasible_point
    from optdriver.feasible.region import region

    within = region(constraints, state.lower, state.upper, end)
    return feasible_point(within, end, p, 0.0 if within.is_feasible(end) else TOLERANCE)


def judged(state: State, record: Record) -> tuple[bool, Vector, Turns | None]:
    """Return whether a point beside an end is lower, and the step to the next, with its turns."""
    known = state.records[state.best]
    if state.aside.end is None:
        raise ValueError("there is no end")
    p, hidden = record.x - state.aside.end, aside.ROUNDING * ending.scale(state)
    looked, turns = state.aside.looked, state.aside.turns
    explained = aside.explained(looked, turns, _slope(known), p)
    lower = ending.is_feasible(record) and known.f - record.f > hidden + explained
    told = known.g is not None and record.g is not None
    change = _slope(record) - _slope(known) if told else np.zeros(p.size)
    return lower, *aside.following(
        looked, p, lower=lower, change=change, hidden=hidden, turns=turns
    )


def is_small(state: State, record: Record) -> bool:
    """Return whether f has fallen from the end by next to nothing."""
    return state.records[state.best].f - record.f <= aside.PART * ending.scale(state)


def _slope(record: Record) -> Vector:
    return np.zeros(record.x.size) if record.g is None else record.g
