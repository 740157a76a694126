"""Which point is next, and which run a told value is for: the way into a multi-start's state.

`num_initial` runs share the places fairly: their points leave in the order in which they became
known.  Runs beyond these were opened for places that would have stayed free; they are served after
the others, and move up when one of those ends.  Tells arrive in any order.  A run is fed by its
own evaluations only, so the order of tells decides which starts are reached, and never where a
start leads.

The pages behind it: how runs begin (`opening`), what a result means to its run (`results`), how a
run goes on (`descent`), whether its end is a known minimum (`comparing`), how it ends (`endings`).
"""

from __future__ import annotations

import math
import operator
from collections import deque
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import ProtocolError, UnknownIdError
from optdriver.lbfgsb import LBFGSB, advance_lanes, compiled
from optdriver.lbfgsb.minimizer import pending_points
from optdriver.multistart import differences, linkage, linked
from optdriver.multistart import run as searches
from optdriver.multistart.descent import after_success, allow_for_noise
from optdriver.multistart.endings import add_sample, contained
from optdriver.multistart.ledger import FAILED, TOLD
from optdriver.multistart.opening import open_run
from optdriver.multistart.records import Evaluation, Fill, Point, PointArrays, PointKind
from optdriver.multistart.results import take_failure, take_value
from optdriver.multistart.run import Search
from optdriver.multistart.state import MultiStartState, hear, read_only
from optdriver.multistart.stencil import BASE
from optdriver.multistart.survey import Survey
from optdriver.multistart.told import Vectors, is_usable
from optdriver.sqp.told import violation

Vector = NDArray[np.float64]


def ask(state: MultiStartState, number: int, fill: Fill = False) -> list[Point]:
    """Return up to `number` new points, or exactly so many: see `MultiStart.ask`."""
    return [_issue(state, run, slot) for run, slot in _in_line(state, number, fill)]


def ask_arrays(state: MultiStartState, number: int, fill: Fill = False) -> PointArrays:
    """Return the points that `ask` would return, as columns."""
    wanted = _in_line(state, number, fill)
    ids = list(state.ledger.new_ids(len(wanted)))
    kinds: list[PointKind] = []
    waiting: list[Any] = []
    for id, (run, slot) in zip(ids, wanted, strict=True):
        search = state.runs[run]
        search.slots[id] = slot
        waiting.append(search.stencil or search.between or search.minimizer)
        kinds.append(_kind(search, slot))
    if waiting and state.options.jac and all(type(each) is LBFGSB for each in waiting):
        x = pending_points(waiting)
    else:
        places = [_place(state.runs[run], slot) for run, slot in wanted]
        x = np.array(places).reshape(len(wanted), state.lower.size)
    x.setflags(write=False)
    points = PointArrays(ids, [run for run, _ in wanted], kinds, x)
    if ids:
        state.out.add(points)
    return points


def _in_line(state: MultiStartState, number: int, fill: Fill) -> list[tuple[int, int]]:
    """Return the next points to be asked, each a run and its slot, and take them off the queues."""
    wanted: list[tuple[int, int]] = []
    if state.ended is not None or state.halted is not None:
        return wanted
    while state.live - len(state.extra) < state.options.num_initial and _fill_place(state):
        continue
    while len(wanted) < number and state.ended is None:
        if queue := state.ready or state.spare:
            wanted.append(queue.popleft())
        elif not open_run(state, extra=True, fill=fill):
            break
    return wanted


def _fill_place(state: MultiStartState) -> bool:
    """Let an extra run move up, or else another begin; return False if there is none."""
    if not state.extra:
        return open_run(state, extra=False)
    run = state.extra.pop(0)
    state.ready.extend(entry for entry in state.spare if entry[0] == run)
    state.spare = deque(entry for entry in state.spare if entry[0] != run)
    return True


def _issue(state: MultiStartState, run: int, slot: int) -> Point:
    search = state.runs[run]
    id = state.ledger.new_id()
    kind = _kind(search, slot)
    point = Point(id=id, run=run, x=read_only(_place(search, slot).copy()), kind=kind)
    search.slots[id] = slot
    state.out.by_id[id] = point
    return point


def _kind(search: Search, slot: int) -> PointKind:
    if isinstance(search.stencil, Survey) and search.stencil.told:
        return "iterate"  # its gradient is wanted
    return "iterate" if slot == BASE and search.between is None else "difference"


def _place(search: Search, slot: int) -> Vector:
    """Return the point that a run wants, which may belong to it."""
    if search.stencil is not None:
        return differences.point(search.stencil, slot)
    if search.between is not None:
        return search.between.point()
    return search.x0 if search.minimizer is None else search.minimizer.ask()


def tell(
    state: MultiStartState, id: Any, f: float, g: Vector | None, vectors: Vectors | None = None
) -> None:
    """Take a value (and gradient), or residuals and what they give, which may be a failure."""
    usable = is_usable(f, g)
    point = _pending(state, id)
    if point is None:
        _same_again(state, id, TOLD if usable else FAILED, f, g)
    elif usable:
        if vectors is not None and state.options.fitting:
            state.residuals = vectors.values.size
        search = _settle(state, point, TOLD, f, g, vectors)
        slot = search.slots.pop(point.id, None)
        if slot is not None:  # else it is no longer wanted
            contained(state, search, take_value, slot, f, g, vectors)
    else:
        what = "gradient" if math.isfinite(f) else "value"
        _observe_failure(state, point, f, g, f"the {what} is not finite", vectors)


def tell_arrays(state: MultiStartState, ids: list[int], f: Vector, g: Vector | None) -> None:
    """Take finite values (and gradients) at pending points, before anything comes to its end.

    Runs of L-BFGS-B, each of which waits for one point, are advanced by one call.
    """
    if not ids:
        return
    points = _taken(state, ids)
    state.ledger.close_told(ids, f, g)
    state.nfev += len(ids)
    state.report.stale.update(points.runs)
    values = f.tolist()
    lowest = values.index(min(values))  # argmin would let other threads go first
    if state.leaves:
        for k in range(len(ids)):
            _note_row(state, points, k, f, g)
    elif state.best is None or f[lowest] < state.best.f:
        _note_row(state, points, lowest, f, g)
    constant = state.options.constant_noise
    told: list[tuple[int, Search, int]] = []
    for k, (id, run) in enumerate(zip(ids, points.runs, strict=True)):
        search = state.runs[run]
        search.nfev += 1
        if run in state.linkage.hops.base:
            state.linkage.hops.spend()
        if constant:
            _expect(state, search, constant)
        slot = search.slots.pop(id, None)
        if slot is not None:  # else it is no longer wanted
            told.append((k, search, slot))
    inexact = state.noise or state.options.value_spacing
    for k, search, _ in told if inexact and g is not None else ():
        if search.minimizer is not None and (search.heard.pending or state.options.value_spacing):
            allow_for_noise(state, search, search.minimizer, values[k])
    advanced = _advance(told, f, g) if g is not None and compiled() and not state.linked else {}
    extra = set(state.extra)
    for k, search, slot in told:
        done = advanced.get(k)
        if search.state not in searches.OPEN:
            continue  # an end before it in the round has ended it too
        if done is None:
            gradient = None if g is None else g[k]
            contained(state, search, take_value, slot, values[k], gradient, None)
            continue
        state.failed_in_row = 0
        noisy = search.heard.noise > 0.0 and state.options.difference_rule > 4
        if not (done or noisy):
            queue = state.spare if search.index in extra else state.ready
            queue.append((search.index, BASE))
        elif search.minimizer is not None:
            after_success(state, search, search.minimizer)


def _taken(state: MultiStartState, ids: list[int]) -> PointArrays:
    """Take points off those that are out, as columns."""
    whole = state.out.whole(ids)
    if whole:
        state.out.drop(whole)
        return reduce(PointArrays.followed_by, whole)
    points = [state.pending.pop(id) for id in ids]
    return PointArrays(
        ids,
        [point.run for point in points],
        [point.kind for point in points],
        np.array([point.x for point in points]),
    )


def _note_row(
    state: MultiStartState, points: PointArrays, k: int, f: Vector, g: Vector | None
) -> None:
    """Note the value at one point of a round, if it may be the best."""
    x = points.x[k]
    if state.counts(x, points.kinds[k]):
        gradient = None if g is None else g[k]
        _note_best(state, x, float(f[k]), gradient, points.ids[k], points.runs[k])


def _advance(told: list[tuple[int, Search, int]], f: Vector, g: Vector) -> dict[int, bool]:
    """Advance runs of L-BFGS-B by one call; return by row whether each of them is done."""
    lanes = [
        (k, search.minimizer.state)
        for k, search, _ in told
        if type(search.minimizer) is LBFGSB and search.between is None and search.stencil is None
    ]
    if not lanes:
        return {}
    rows = [k for k, _ in lanes]
    if len(rows) < len(f):
        f, g = f[rows], g[rows]
    ended = advance_lanes(tuple([state for _, state in lanes]), f, g, np.empty_like(g))
    done = dict.fromkeys(rows, False)
    done.update((rows[place], True) for place in ended)
    return done


def tell_failure(state: MultiStartState, id: Any, reason: str) -> None:
    """Take a failure."""
    point = _pending(state, id)
    if point is None:
        _same_again(state, id, FAILED, math.nan, None)
    else:
        _observe_failure(state, point, math.nan, None, reason)


def add_point(
    state: MultiStartState, x: Vector, f: float, g: Vector | None, vectors: Vectors | None = None
) -> None:
    """Take an evaluation that was not asked for."""
    if vectors is not None and not satisfies(state, None, x, vectors):
        return
    _note_best(state, x, f, g, None, None)
    if state.linked:
        linked.enter(state, linkage.NOBODY, x, f, g)
    elif state.sampled:
        add_sample(state, x, f)


def expect_noise(state: MultiStartState, id: Any, noise: float) -> None:
    """Note the standard deviation of the value that is told next at a pending point."""
    point = state.out.get(id)
    if point is not None:
        known = state.runs[point.run].heard
        known.pending = max(known.pending, noise)
        hear(state, noise)


def _expect(state: MultiStartState, search: Search, noise: float) -> None:
    """Take the noise that is the same for all values for that of one with which none was told."""
    if not search.heard.pending:
        search.heard.pending = noise
        hear(state, noise)


def halt(state: MultiStartState, reason: str | None) -> None:
    """Stop from outside, or go on for None."""
    state.halted = reason


def _pending(state: MultiStartState, id: Any) -> Point | None:
    """Return the point that is pending under `id`, or None if it has been told."""
    try:
        point = state.out.get(id)
        known = point is not None or 0 <= operator.index(id) < len(state.ledger.status)
    except TypeError:
        known = False
    if not known:
        raise UnknownIdError(f"no point with id {id!r} was asked; ids are those of ask()")
    return point


def _same_again(state: MultiStartState, id: int, status: int, f: float, g: Vector | None) -> None:
    if not state.ledger.same(id, status, f, g):
        before = "a failure" if state.ledger.status[id] == FAILED else f"f = {state.ledger.f[id]}"
        raise ProtocolError(
            f"point {id} was told before, with {before}: each id is told once "
            "(telling the same again does nothing)"
        )


def _observe_failure(
    state: MultiStartState,
    point: Point,
    f: float,
    g: Vector | None,
    reason: str,
    vectors: Vectors | None = None,
) -> None:
    search = _settle(state, point, FAILED, f, g, vectors)
    state.nfail += 1
    search.nfail += 1
    slot = search.slots.pop(point.id, None)
    if slot is not None:  # else it is no longer wanted
        contained(state, search, take_failure, slot, reason)


def _settle(
    state: MultiStartState,
    point: Point,
    status: int,
    f: float,
    g: Vector | None,
    vectors: Vectors | None,
) -> Search:
    """Book what was told; from here on nothing may be refused."""
    state.out.pop(point.id)
    state.ledger.close(point.id, status, f, g)
    state.nfev += 1
    state.report.stale.add(point.run)
    search = state.runs[point.run]
    search.nfev += 1
    if point.run in state.linkage.hops.base:
        state.linkage.hops.spend()
    if constant := state.options.constant_noise:
        _expect(state, search, constant)
    if math.isfinite(f) and (state.best is None or f < state.best.f):
        # a value counts where only the gradient failed, too
        _note_point(state, point, f, g if status == TOLD else None, vectors)
    return search


def satisfies(state: MultiStartState, search: Search | None, x: Vector, vectors: Vectors) -> bool:
    """Tell whether the rows that were told at a point are satisfied, to the tolerance.

    They are measured by their derivatives there, or else by those at the iterate of its run.
    """
    if not np.isfinite(vectors.values).all():
        return False
    slopes = vectors.jacobian
    if slopes is not None and not np.isfinite(slopes).all():
        slopes = None
    minimizer: Any = None if search is None else search.minimizer
    if minimizer is not None:
        worst = minimizer.worst(vectors.values, slopes)
    else:
        from optdriver.feasible.region import sizes  # longer to import than the rest

        scale = sizes(x, state.lower, state.upper)
        worst = violation(vectors.values, slopes, scale, len(state.options.inequalities))
    return bool(worst <= state.options.feasibility)


def _note_point(
    state: MultiStartState,
    point: Point,
    f: float,
    g: Vector | None,
    vectors: Vectors | None = None,
) -> None:
    """Note the value at a point that was asked for, if it may be the best."""
    rows = vectors if state.options.row_names else None
    if rows is not None and not satisfies(state, state.runs[point.run], point.x, rows):
        return
    if state.counts(point.x, point.kind):
        _note_best(state, point.x, f, g, point.id, point.run)


def _note_best(
    state: MultiStartState,
    x: Vector,
    f: float,
    g: Vector | None,
    id: int | None,
    run: int | None,
) -> None:
    if state.best is None or f < state.best.f:
        kept = None if g is None else read_only(g.copy())
        state.best = Evaluation(x=x, f=f, g=kept, id=id, run=run)
