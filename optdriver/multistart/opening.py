"""How runs begin: which start is next, and which of those that wait go on."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError
from optdriver.multistart import beside, gradients, linkage, linked, start_rules
from optdriver.multistart.descent import go_on, minimizer_at, want_evaluation
from optdriver.multistart.endings import (
    are_used,
    close,
    contained,
    has_sample,
    sequence_is_used,
    start_failed,
)
from optdriver.multistart.linked import cost, may_descend
from optdriver.multistart.records import Fill
from optdriver.multistart.run import Search
from optdriver.multistart.state import MultiStartState, line_up, unit_coordinates
from optdriver.multistart.stencil import BASE
from optdriver.numerics import is_numeric
from optdriver.space.sampling import take

Vector = NDArray[np.float64]


def open_run(state: MultiStartState, *, extra: bool, fill: Fill = False) -> bool:
    """Let one more run begin, or return False if none may or can."""
    options = state.options
    wanted = options.max_num_minimizers
    crowded = state.live + state.converged >= wanted and len(state.runs) >= options.num_initial
    beyond = fill is True or (fill == "idle" and max(state.live, state.converged) < wanted)
    if state.ended is not None or (crowded and not beyond):
        return False
    exhausted = are_used(state)
    waiting = _next_waiting(state, exhausted=exhausted)
    if waiting is None and exhausted:
        return False
    start = _start_point(state) if waiting is None else None
    if waiting is None and start is None:
        return False
    state.live += 1
    if extra:
        state.extra.append(len(state.runs) if waiting is None else waiting)
    if start is not None:
        _open_start(state, *start, spare=crowded)
    elif waiting is not None:
        contained(state, state.runs[waiting], go_on)
    return True


def _next_waiting(state: MultiStartState, *, exhausted: bool) -> int | None:
    """Take a run from those that the start rule has put aside, if its turn has come."""
    if not (state.samples.row_of or state.linkage.row_of):
        return None
    waiting = start_rules.next_waiting(state.samples, last_resort=exhausted)
    if waiting is not None:
        return waiting
    counted = state.options.max_num_minimizers < math.inf or not state.linked
    impatient = counted and state.linkage.put_aside >= linkage.PATIENCE
    taken = linkage.next_waiting(
        state.linkage,
        leaders=may_descend(state),
        anyway=exhausted or impatient,
        by_slope=state.options.convergence_rule > 9,
    )
    if taken is None:
        return _next_doubtful(state)
    run, leads = taken
    state.runs[run].followed = not leads
    return run


def _next_doubtful(state: MultiStartState) -> int | None:
    """Take a run that waits though it is linked; it is paused once more at most."""
    rule = state.options.convergence_rule > 6 and state.linked
    if not rule or not linkage.may_doubt(state.linkage, cost(state)):
        return None
    run = linkage.most_doubtful(state.linkage)
    if run is not None:
        state.runs[run].followed = state.runs[run].minimizer is not None
    return run


def _open_start(state: MultiStartState, start: int, x0: Vector, *, spare: bool = False) -> None:
    given = has_sample(state)
    if given:
        state.sample_starts.append(start)
    search = Search(
        index=len(state.runs),
        start=start,
        x0=x0,
        state="running",
        two_sided=state.options.two_sided,
        spare=spare,
        learnt=gradients.beginner(state),
        rounded=gradients.digits_of(state),
    )
    state.runs.append(search)
    if state.sampled and not given:
        search.state = "sampling"
        if state.linked:
            linkage.place(state.linkage, search.index, unit_coordinates(state, x0))
        line_up(state, search, (BASE,))
    else:
        contained(state, search, _begin)


def _begin(state: MultiStartState, search: Search) -> None:
    """Give a start its minimizer, which may move it by a few last digits onto an equality."""
    try:
        search.minimizer = minimizer_at(state, search, search.x0)
    except InputError as error:  # no feasible point was found at the start
        close(state, search, "failed", start_failed(str(error)))
        return
    search.x0 = search.minimizer.ask()
    want_evaluation(state, search, search.minimizer)


def _start_point(state: MultiStartState) -> tuple[int, Vector] | None:
    """Return number and place of the next start.

    None where no other is found once something has been evaluated.
    """
    if has_sample(state):
        given: Vector = state.initial_samples[len(state.sample_starts)].copy()
        state.next_start += 1
        return state.next_start - 1, given
    try:
        return _chosen_start(state) if state.linked or state.linkage.offered else _numbered(state)
    except Exception as error:
        if not (state.runs and is_numeric(error)):
            raise
        if not state.live:
            state.ended = f"no further start was found: {error}"
        return None


def _numbered(state: MultiStartState) -> tuple[int, Vector]:
    x0 = _next_start(state)
    state.next_start += 1
    return state.next_start - 1, x0


def _chosen_start(state: MultiStartState) -> tuple[int, Vector]:
    """Return the best of the starts that are offered; the sequence offers a few more before.

    Or one on sides of the box, or beside the lowest minimum, where that is wanted.
    """
    known = state.linkage
    if linked.wants_look(state):
        return _look(state)
    if beside.is_wanted(state) and (place := beside.place(state)) is not None:
        number, _ = _numbered(state)  # a start of the sequence is passed over, and lends its number
        beside.begin(state)
        return number, place
    if state.linked and not (known.offered and sequence_is_used(state)):
        first = state.next_start
        fresh = _next_starts(state, linkage.fresh(known))
        state.next_start += len(fresh)
        unit = unit_coordinates(state, fresh)
        linkage.offer(known, first, fresh, unit, from_faces=state.options.convergence_rule > 6)
    return linkage.choose(known)


def _look(state: MultiStartState) -> tuple[int, Vector]:
    """Return a start on sides of the box: the best of a few with their outer coordinates there."""
    first = state.next_start
    fresh = _next_starts(state, linkage.fresh(state.linkage))
    state.next_start += len(fresh)
    outer = linkage.OUTER * (state.upper / 2 - state.lower / 2)
    low, high = state.lower + 2 * outer, state.upper - 2 * outer
    part = np.divide(fresh - low, high - low, out=np.zeros_like(fresh), where=high > low)
    inside = np.clip(state.lower * (1.0 - part) + state.upper * part, state.lower, state.upper)
    x = np.where(fresh < low, state.lower, np.where(fresh > high, state.upper, inside))
    unit = unit_coordinates(state, x)
    best, new = linkage.look(state.linkage, unit, len(state.catalogue))
    return first + best, (x if new else fresh)[best]


def _next_starts(state: MultiStartState, number: int) -> Vector:
    """Return up to so many starts, at least one."""
    if state.feasible_starts is not None:
        return np.array([_next_start(state)])
    points, state.sequence = take(state.sequence, number, state.lower, state.upper)
    return points


def _next_start(state: MultiStartState) -> Vector:
    if state.feasible_starts is not None:
        x0, state.sequence = state.feasible_starts.take(state.sequence)
        return x0
    points, state.sequence = take(state.sequence, 1, state.lower, state.upper)
    return np.asarray(points[0])
