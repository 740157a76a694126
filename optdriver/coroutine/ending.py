"""How the end of a leg is judged: a success, a doubt that a further leg settles, or a stop."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from optdriver.coroutine import constraints as walls
from optdriver.coroutine import optimality
from optdriver.coroutine.program import (
    Outcome,
    has_barrier,
    is_confirmed_by_another,
    is_confirming,
    is_doubted_more,
    leaves_room,
    looks_anew,
    looks_twice,
    method_of,
)
from optdriver.coroutine.scipy_methods import named
from optdriver.coroutine.state import Record, State, Stop
from optdriver.geometry.products import norm

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet

LEGS = 10
"""Further legs that a run may have."""

GTOL = 1e-5
"""The projected gradient that makes an end beyond doubt, where there is no option `gtol`."""

NO_WORSE = 1e-9
"""How much higher, relatively, the value at the point of success may be than the best one."""

SLOPES = 10.0
"""By what a row's gradient may be smaller than where it was scaled."""

CONFIRMED, CONFIRMED_GAIN = 1e-4, 1e-7
"""What a fresh leg may gain where it confirms a success: of f, and of all that was gained."""

EXCUSED = 1e-3
"""The part of all that was gained which excuses that f falls where a gradient is said to vanish."""

_LIMITS = (Stop.MAX_EVALUATIONS, Stop.MAX_ITERATIONS)


def judged(
    state: State, outcome: Outcome, left: ConstraintSet | None, *, troubled: bool
) -> tuple[Stop, str, int | None] | None:
    """Return how a run ends with a leg: why, what to say, and SciPy's status; None if it goes on.

    The best point is the one at which the method has converged then, if it is as good.

    Parameters
    ----------
    outcome : Outcome
        What the method says of its leg.
    left : ConstraintSet or None
        The constraints, if the method may have left them.
    troubled : bool
        Whether evaluations failed in this leg.
    """
    stop = _stop(outcome, state)
    by = f", and {method_of(state).name}" if is_confirming(state) else ""
    message = f"{state.method}{by}: {outcome.message}"
    room = leaves_room(state)
    again = state.best >= 0 and state.legs < LEGS and stop not in _LIMITS and room
    values_alone = state.cautious and state.best >= 0 and not named(state.method).gradient
    if stop is Stop.CONVERGED and left is not None:
        _prefer(state, outcome)
        if state.best < 0 or not is_feasible(state.records[state.best]):
            stop, message = Stop.ABNORMAL, f"{message}; {_violated(state, left)}"
    if stop is Stop.CONVERGED and values_alone and not _is_confirmed(state):
        if again:
            return None
        stop = Stop.ABNORMAL
        if not room:
            stop = Stop.MAX_EVALUATIONS
            message = f"{message}, and the limits leave nothing to confirm it"
    if state.best >= 0:
        f = state.records[state.best].f
        above = outcome.success and outcome.f - f > NO_WORSE * max(1.0, abs(f))
        above = above and not values_alone  # its best point is confirmed, or not
        lower = state.best >= state.leg and not np.array_equal(
            state.records[state.best].x, state.start
        )
        falls = outcome.success and state.cautious and _goes_on(state, left)
        optimal = (troubled or above or falls or state.legs > 0) and is_optimal(state, left)
        doubtful = (troubled or above or falls) and not optimal
        other = has_barrier(state) and state.legs % 2 == 1  # with a low barrier
        if again and doubtful and (lower or other):
            return None
        if optimal and stop is Stop.ABNORMAL:
            stop = Stop.CONVERGED
            message = f"the gradient vanishes at the best point, after {message}"
        if stop is Stop.CONVERGED and doubtful and (above or named(state.method).gradient):
            stop = Stop.ABNORMAL
    word = "CONVERGED" if stop is Stop.CONVERGED else "STOP"
    own = stop is Stop.CONVERGED or not outcome.success  # not zero where it is no success
    return stop, f"{word}: {message}", outcome.status if own else None


def _prefer(state: State, outcome: Outcome) -> None:
    """Take the point at which a method has converged for its best one, where it is feasible.

    A point on the way may be lower for the part of the tolerance by which it violates
    constraints.  One that is lower by more than that, or does not violate them, stays the best.
    """
    x = state.start if outcome.x is None else outcome.x
    found = [k for k, r in enumerate(state.records) if np.array_equal(r.x, x)]
    found = [k for k in found if state.records[k].wanted == "value"]
    if not found or state.best < 0:
        return
    end, best = state.records[found[-1]], state.records[state.best]
    if end.failed or not is_feasible(end):
        return
    clean = best.violation <= max(end.violation, walls.CLEAN)
    small = NO_WORSE * max(1.0, abs(end.f)) if clean else _explained(end, best.violation)
    if not is_feasible(best) or end.f - best.f <= small:
        state.best = found[-1]


def _violated(state: State, left: ConstraintSet) -> str:
    """Say which constraint is violated at the best point, and by how much."""
    if state.best < 0:
        return "no point was evaluated"
    name, size = left.worst(state.records[state.best].x)
    return f"no point was feasible, {name!r} is violated by {size:.3g} (scaled)"


def is_optimal(state: State, left: ConstraintSet | None) -> bool:
    """Return whether the projected gradient at the best point vanishes to `gtol`."""
    record = state.records[state.best]
    if record.g is None or not named(state.method).gradient or not is_feasible(record):
        return False
    gtol = float(state.options.get("gtol", GTOL))
    box = (state.lower, state.upper)
    if left is not None:
        at = optimality.under(left, record.x, record.g, *box)
        return optimality.is_stationary_under(at, gtol, scale(state))
    return optimality.is_stationary(record.x, record.g, *box, gtol, scale(state))


def _goes_on(state: State, left: ConstraintSet | None) -> bool:
    """Return whether f plainly falls from the best point, as far as gradients are told."""
    record = state.records[state.best]
    if record.g is None or not named(state.method).gradient:
        return False
    box = (state.lower, state.upper)
    ftol = float(state.options.get("ftol", 0.0))
    strict = is_doubted_more(state)
    size = np.maximum(np.abs(record.x), np.abs(record.x - state.x0))
    if strict:  # it may not have left a start in a corner, at zero
        size[size == 0.0] = min(1.0, float(np.max(size))) or 1.0
    by = scale(state, EXCUSED if has_barrier(state) else 1.0)
    if left is not None:
        unit = optimality.unit_within(record.g, size) if strict else 1.0
        at = optimality.under(left, record.x, record.g, *box, unit)
        return optimality.goes_on_under(at, size, by, ftol, at.near if strict else 0.0)
    return optimality.goes_on(record.x, record.g, *box, size, by, ftol)


def _is_confirmed(state: State) -> bool:
    """Return whether a fresh leg from the best point has found nothing better.

    Of some methods it is one of COBYQA; before that, of Powell's two were asked, the second one
    along directions of its own.
    """
    if is_confirmed_by_another(state) and not is_confirming(state):
        return False
    method = named(state.method)
    if looks_twice(method, state) and not looks_anew(method, state):
        return False
    before = [r.f for r in state.records[: state.leg] if not r.failed and is_feasible(r)]
    best = state.records[state.best].f
    gained = min(before, default=math.inf) - best
    first = next(r.f for r in state.records if not r.failed)
    return gained <= max(CONFIRMED * abs(best), CONFIRMED_GAIN * (first - best))


def scale(state: State, part: float = 1.0) -> float:
    """Return what a change of f is measured by: its size, or (a part of) what was gained."""
    records = state.records
    best = records[state.best].f
    first = next(r.f for r in records if r.wanted == "value" and not r.failed)
    return max(abs(best), part * abs(first - best))


def _stop(outcome: Outcome, state: State) -> Stop:
    if outcome.success:
        return Stop.CONVERGED
    method = method_of(state)
    if outcome.status in method.evaluations and not outcome.error:
        return Stop.MAX_EVALUATIONS
    if outcome.status in method.iterations and not outcome.error:
        return Stop.MAX_ITERATIONS
    return Stop.ABNORMAL


def is_feasible(record: Record) -> bool:
    """Return whether a point satisfies the constraints to the tolerance."""
    return record.violation <= walls.TOLERANCE


def _explained(end: Record, violation: float) -> float:
    """Return about how much lower than at `end` f may be at a point that violates constraints."""
    if end.g is None:
        return walls.TOLERANCE * abs(end.f)
    return SLOPES * norm(end.g) * violation  # a scaled row has a unit gradient


def rank(record: Record) -> tuple[bool, float]:
    """Return by what points are compared: feasible ones by value, before the less infeasible."""
    feasible = is_feasible(record)
    return not feasible, record.f if feasible else record.violation
