"""Which point is next, and what a told value sets off: the one writer of a multi-start's state.

`num_initial` runs share the places fairly: their points leave in the order in which they became
known.  Runs beyond these were opened for places that would have stayed free; they are served after
the others, and move up when one of those ends.  Tells arrive in any order.  A run is fed by its
own evaluations only, so the order of tells decides which starts are reached, and never where a
start leads.
"""

from __future__ import annotations

import math
import operator
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any, Concatenate, ParamSpec

import numpy as np
from numpy.typing import NDArray

from optdriver.coroutine.constraints import has_rows
from optdriver.coroutine.options import kept_start
from optdriver.errors import InputError, InternalWarning, ProtocolError, UnknownIdError, say
from optdriver.lbfgsb import LBFGSB, advance_lanes, compiled
from optdriver.lbfgsb.minimizer import pending_points
from optdriver.multistart import (
    barriers,
    completeness,
    differences,
    directions,
    gradients,
    heard,
    linkage,
    linked,
    local,
    start_rules,
    survey,
)
from optdriver.multistart import run as searches
from optdriver.multistart.barriers import Between
from optdriver.multistart.catalogue import NEW
from optdriver.multistart.differences import Pending
from optdriver.multistart.ledger import FAILED, TOLD
from optdriver.multistart.local import Minimizer
from optdriver.multistart.noise import Line
from optdriver.multistart.paths import Path
from optdriver.multistart.records import (
    Evaluation,
    Fill,
    Point,
    PointArrays,
    PointKind,
)
from optdriver.multistart.run import Search
from optdriver.multistart.state import (
    MultiStartState,
    drop_ready,
    hear,
    read_only,
    unit_coordinates,
)
from optdriver.multistart.stencil import BASE
from optdriver.multistart.survey import Survey
from optdriver.multistart.told import Vectors, is_usable
from optdriver.numerics import PASSING, is_numeric
from optdriver.space.sampling import take
from optdriver.sqp.told import violation

Vector = NDArray[np.float64]
P = ParamSpec("P")

STOPPED_PER_MINIMIZER = 10
"""Runs that may stop without converging, for each minimizer that is wanted to converge."""

BARREN = 20
"""Starts in a row that may end without an evaluation: nothing feasible to difference with."""

FLAT = "the value is that of an earlier start, which lies flat: no differences are asked for here"


# -- asking -----------------------------------------------------------------------------------


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
        waiting.append(search.minimizer if search.between is None else search.between)
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
        elif not _open_run(state, extra=True, fill=fill):
            break
    return wanted


def _fill_place(state: MultiStartState) -> bool:
    """Let an extra run move up, or else another begin; return False if there is none."""
    if not state.extra:
        return _open_run(state, extra=False)
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
    state.pending[id] = point
    return point


def _kind(search: Search, slot: int) -> PointKind:
    return "iterate" if slot == BASE and search.between is None else "difference"


def _place(search: Search, slot: int) -> Vector:
    """Return the point that a run wants, which may belong to it."""
    if search.stencil is not None:
        return differences.point(search.stencil, slot)
    if search.between is not None:
        return search.between.point()
    return search.x0 if search.minimizer is None else search.minimizer.ask()


# -- opening runs -----------------------------------------------------------------------------


def _open_run(state: MultiStartState, *, extra: bool, fill: Fill = False) -> bool:
    """Let one more run begin, or return False if none may or can."""
    options = state.options
    wanted = options.max_num_minimizers
    crowded = state.live + state.converged >= wanted and len(state.runs) >= options.num_initial
    beyond = fill is True or (fill == "idle" and max(state.live, state.converged) < wanted)
    if state.ended is not None or (crowded and not beyond):
        return False
    exhausted = _are_used(state)
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
        _contained(state, state.runs[waiting], _go_on)
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
        state.linkage, leaders=_may_descend(state), anyway=exhausted or impatient
    )
    if taken is None:
        return _next_doubtful(state)
    run, leads = taken
    state.runs[run].followed = not leads
    return run


def _next_doubtful(state: MultiStartState) -> int | None:
    """Take a run that waits though it is linked; it is paused once more at most."""
    rule = state.options.convergence_rule > 6 and state.linked
    if not rule or not linkage.may_doubt(state.linkage, _cost(state)):
        return None
    run = linkage.most_doubtful(state.linkage)
    if run is not None:
        state.runs[run].followed = state.runs[run].minimizer is not None
    return run


def _may_descend(state: MultiStartState) -> bool:
    return linkage.may_begin(state.linkage, _cost(state), state.options.num_initial)


def _cost(state: MultiStartState) -> int:
    """Return how many evaluations a point of a path takes."""
    differenced = state.options.gradients and not state.options.jac
    return 1 + state.lower.size * differenced


def _are_used(state: MultiStartState) -> bool:
    """Tell whether there are no more starts; a feasible set may be a few points."""
    return not state.linkage.offered and _sequence_is_used(state)


def _sequence_is_used(state: MultiStartState) -> bool:
    found = state.feasible_starts
    return state.next_start >= state.start_limit or (
        found is not None and not _has_sample(state) and found.are_used(state.sequence)
    )


def _has_sample(state: MultiStartState) -> bool:
    """Tell whether a start that the user gave has not been used."""
    return len(state.sample_starts) < len(state.initial_samples)


def _open_start(state: MultiStartState, start: int, x0: Vector, *, spare: bool = False) -> None:
    given = _has_sample(state)
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
    )
    state.runs.append(search)
    if state.sampled and not given:
        search.state = "sampling"
        if state.linked:
            linkage.place(state.linkage, search.index, unit_coordinates(state, x0))
        _line_up(state, search, (BASE,))
    else:
        _contained(state, search, _begin)


def _contained(
    state: MultiStartState,
    search: Search,
    drive: Callable[Concatenate[MultiStartState, Search, P], None],
    *args: P.args,
    **kwargs: P.kwargs,
) -> None:
    """Let a run go on; an exception in there ends this run, and nothing else.

    What set it off is recorded already, and must do the same whenever it is replayed.  That is so
    of everything but what the surroundings lack (memory, stack, a package), which is let through.
    """
    try:
        drive(state, search, *args, **kwargs)
    except PASSING:
        raise
    except Exception as error:
        if search.state not in searches.OPEN:
            raise
        _break_off(state, search, error)


def _break_off(state: MultiStartState, search: Search, error: Exception) -> None:
    """End a run that met an exception, and say what it was."""
    numeric = is_numeric(error)
    kind = "numeric error" if numeric else "internal error of optdriver"
    reason = f"{kind}: {type(error).__name__}: {error}"
    drop_ready(state, search.index)
    state.stopped += 1  # it counts as one that stopped, so that a study of such runs ends
    _close(state, search, "failed", reason)
    if not numeric:
        say(f"run {search.index} ended by an {reason}; please report it", InternalWarning)


def _begin(state: MultiStartState, search: Search) -> None:
    """Give a start its minimizer, which may move it by a few last digits onto an equality."""
    try:
        search.minimizer = minimizer_at(state, search, search.x0)
    except InputError as error:  # no feasible point was found at the start
        _close(state, search, "failed", _start_failed(str(error)))
        return
    search.x0 = search.minimizer.ask()
    _want_evaluation(state, search, search.minimizer)


def _start_point(state: MultiStartState) -> tuple[int, Vector] | None:
    """Return number and place of the next start.

    None where no other is found once something has been evaluated.
    """
    if _has_sample(state):
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
    """Return the best of the starts that are offered; the sequence offers a few more before."""
    known = state.linkage
    if state.linked and not (known.offered and _sequence_is_used(state)):
        first = state.next_start
        fresh = _next_starts(state, linkage.fresh(known))
        state.next_start += len(fresh)
        unit = unit_coordinates(state, fresh)
        linkage.offer(known, first, fresh, unit, from_faces=state.options.convergence_rule > 6)
    return linkage.choose(known)


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


def minimizer_at(
    state: MultiStartState,
    search: Search,
    x0: Vector,
    after: Minimizer | None = None,
    step: float | None = None,
) -> Minimizer:
    """Return a new minimizer with the options of all, or what is left of them `after` another.

    `step` is the length of its first step, where it is not given.
    """
    options = dict(state.options.minimizer)
    if search.learnt is not None:
        options["noise"] = search.learnt.noise
    if state.linked and options["initial_step"] is None:
        options["initial_step"] = linked.first_step(state, search) if after is None else step
    if after is not None:
        options["maxfun"] -= after.nfev
        options["maxiter"] -= after.nit
    method, own = state.options.method, state.options.method_options
    scipys = method not in local.OURS
    if scipys and state.options.difference_rule > 1:  # at first starts were moved
        own = kept_start(method, x0, state.bounds) | dict(own)
    made = local.create(
        x0,
        state.bounds,
        state.constraints,
        options,
        method,
        own,
        constraint_rule=state.options.constraint_rule,
        convergence_rule=state.options.convergence_rule,
        fit=state.options.of_fits(two_sided=search.two_sided),
        rows=state.options.of_rows(two_sided=search.two_sided),
    )
    if after is not None:
        local.go_on_from(made, after)
    return made


def _want_evaluation(state: MultiStartState, search: Search, minimizer: Minimizer) -> None:
    """Line up the points of the minimizer's pending evaluation.

    After a failure the iterate goes alone: its difference points are wanted only where it is good.
    So does a start where the objective may well be flat, and a point beside an end.
    """
    alone = state.options.jac or not state.options.gradients or _goes_alone(state, minimizer)
    if alone or not math.isnan(_flat_value(state, minimizer)):
        _line_up(state, search, (BASE,))
        return
    search.stencil = gradients.plan(state, search, minimizer.ask())
    if search.stencil is None:
        _iterate_failed(state, search, minimizer, directions.NO_DIRECTION)
    else:
        _line_up(state, search, range(BASE, len(search.stencil.values)))


def _goes_alone(state: MultiStartState, minimizer: Minimizer) -> bool:
    """Tell whether an iterate may well fail, or be of no use.

    Its run's last one has failed, or all since the last good one; or it lies beside an end.
    """
    doubtful = state.failed_in_row > 0 or minimizer.failures > 0
    return (doubtful and state.options.difference_rule > 1) or local.beside(minimizer) > 0


def _flat_value(state: MultiStartState, minimizer: Minimizer) -> float:
    """Return the value round which the first run to converge found nothing lower, else NaN.

    That is wanted of a run that is at its start: if it has the same value, f may well be flat.
    """
    told = state.options.convergence_rule > 3 and not state.options.row_names
    if told and not state.linked and minimizer.at_start:
        for run in state.runs:
            if run.state == "converged" and run.x is not None:
                return run.f if np.array_equal(run.x, run.x0) else math.nan
    return math.nan


def _line_up(state: MultiStartState, search: Search, slots: Iterable[int]) -> None:
    queue = state.spare if search.index in state.extra else state.ready
    queue.extend([(search.index, slot) for slot in slots])


def _want_differences(
    state: MultiStartState,
    search: Search,
    minimizer: Minimizer,
    f: float,
    vectors: Vectors | None = None,
) -> None:
    """Line up the points of a gradient where the value is known."""
    search.stencil = stencil = gradients.plan(state, search, minimizer.ask())
    if stencil is None:
        _iterate_failed(state, search, minimizer, directions.NO_DIRECTION)
        return
    differences.record(stencil, BASE, f)
    differences.keep(stencil, BASE, vectors)
    _line_up(state, search, range(len(stencil.values)))


# -- telling ----------------------------------------------------------------------------------


def tell(
    state: MultiStartState, id: Any, f: float, g: Vector | None, vectors: Vectors | None = None
) -> None:
    """Take a value (and gradient), or residuals and what they give, which may be a failure."""
    usable = is_usable(f, g)
    point = _pending(state, id)
    if point is None:
        _same_again(state, id, TOLD if usable else FAILED, f, g)
    elif usable:
        _observe(state, point, f, g, vectors)
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
    lowest = int(np.argmin(f))
    if state.leaves:
        for k in range(len(ids)):
            _note_row(state, points, k, f, g)
    elif state.best is None or f[lowest] < state.best.f:
        _note_row(state, points, lowest, f, g)
    told: list[tuple[int, Search, int]] = []
    for k, (id, run) in enumerate(zip(ids, points.runs, strict=True)):
        search = state.runs[run]
        search.nfev += 1
        slot = search.slots.pop(id, None)
        if slot is not None:  # else it is no longer wanted
            told.append((k, search, slot))
    for _, search, _ in told if state.noise and g is not None else ():
        if search.minimizer is not None:
            _allow_for_noise(state, search, search.minimizer)
    advanced = _advance(told, f, g) if g is not None and compiled() and not state.linked else {}
    extra = set(state.extra)
    for k, search, slot in told:
        done = advanced.get(k)
        if search.state not in searches.OPEN:
            continue  # an end before it in the round has ended it too
        if done is None:
            gradient = None if g is None else g[k]
            _contained(state, search, _take, slot, float(f[k]), gradient, None)
            continue
        state.failed_in_row = 0
        if not done:
            queue = state.spare if search.index in extra else state.ready
            queue.append((search.index, BASE))
        elif search.minimizer is not None:
            _after_success(state, search, search.minimizer)


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
        if type(search.minimizer) is LBFGSB and search.between is None
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
        _add_sample(state, x, f)


def expect_noise(state: MultiStartState, id: Any, noise: float) -> None:
    """Note the standard deviation of the value that is told next at a pending point."""
    point = state.out.get(id)
    if point is not None:
        known = state.runs[point.run].heard
        known.pending = max(known.pending, noise)
        hear(state, noise)


def _allow_for_noise(state: MultiStartState, search: Search, minimizer: Minimizer) -> None:
    """Let the line search know the noise of the value that a minimizer is told now."""
    if search.heard.pending:
        rule = state.options.constraint_rule
        local.allow(minimizer, search.heard.take(), state.options.minimizer["noise"], rule)


def _is_still(state: MultiStartState, search: Search, minimizer: Minimizer) -> bool:
    """Return whether the values of a run show nothing but noise any more."""
    if not search.heard.noise:
        return False
    at_work = local.at_work(minimizer)
    if at_work is not minimizer or not isinstance(minimizer, LBFGSB):
        known = isinstance(at_work, LBFGSB) or hasattr(at_work, "promised")
        if state.options.constraint_rule < local.HEEDS_NOISE or not known:
            return False
        if not local.is_feasible(minimizer):
            return False
    least, one_sided = _least_promise(state, search)
    heard.watch(search.heard, at_work, least)
    return heard.ends(search.heard, at_work, least, coarse=one_sided)


def _least_promise(state: MultiStartState, search: Search) -> tuple[float, bool]:
    """Return what a model may promise by noise alone, and whether differences are on one side."""
    one_sided = not (state.options.jac or search.two_sided)
    differenced = int(np.count_nonzero(state.lower < state.upper)) if one_sided else 0
    return heard.floor(search.heard, differenced), one_sided


def _why_converged(state: MultiStartState, search: Search, minimizer: Minimizer) -> str:
    """Return why a run has converged, and to what precision where its values are noisy."""
    if not search.heard.noise:
        return local.reason(minimizer)
    if math.isfinite(search.heard.surveyed):
        return f"converged {heard.as_surveyed(search.heard)}"
    if minimizer.converged and not heard.is_chance(search.heard, minimizer):
        return f"{local.reason(minimizer)}; {heard.words(search.heard)}"
    least, told = _least_promise(state, search)[0], state.options.jac
    return f"converged {heard.kept(search.heard, least, told=told)}"


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


def _observe(
    state: MultiStartState, point: Point, f: float, g: Vector | None, vectors: Vectors | None
) -> None:
    id = point.id
    if vectors is not None and state.options.fitting:
        state.residuals = vectors.values.size
    search = _settle(state, point, TOLD, f, g, vectors)
    slot = search.slots.pop(id, None)
    if slot is not None:  # else it is no longer wanted
        _contained(state, search, _take, slot, f, g, vectors)


def _take(
    state: MultiStartState,
    search: Search,
    slot: int,
    f: float,
    g: Vector | None,
    vectors: Vectors | None,
) -> None:
    minimizer, stencil = search.minimizer, search.stencil
    if minimizer is None:
        state.failed_in_row = 0
        _judge_sample(state, search, f, g)
    elif search.between is not None:
        _compared(state, search, search.between.after(f, _across(state, search.between, f, g)))
    elif stencil is not None:
        differences.keep(stencil, slot, vectors)
        if differences.record(stencil, slot, f):
            _assemble(state, search, minimizer, stencil)
    else:
        _take_iterate(state, search, minimizer, f, g, vectors)


def _take_iterate(
    state: MultiStartState,
    search: Search,
    minimizer: Minimizer,
    f: float,
    g: Vector | None,
    vectors: Vectors | None,
) -> None:
    """Tell the minimizer what it asked for, or ask what is missing for its gradient."""
    differenced = g is None and state.options.gradients
    if differenced and vectors is None:
        g = local.known_beside(minimizer, f)
    if g is not None or not differenced:
        state.failed_in_row = 0
        x = minimizer.ask() if state.linked else None
        _allow_for_noise(state, search, minimizer)
        local.tell(minimizer, f, g, vectors)
        _after_success(state, search, minimizer, x, f, g)
    elif f == _flat_value(state, minimizer):
        state.failed_in_row = 0
        _close(state, search, "stopped", FLAT)
    else:
        _want_differences(state, search, minimizer, f, vectors)


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
        _contained(state, search, _take_failure, slot, reason)


def _take_failure(state: MultiStartState, search: Search, slot: int, reason: str) -> None:
    minimizer, stencil = search.minimizer, search.stencil
    if minimizer is None:
        _count_failure(state, search)
        _close(state, search, "failed", _start_failed(reason))
    elif search.between is not None:
        _compared(state, search, search.between.near)
    elif stencil is None or slot == BASE:
        _count_failure(state, search)
        _iterate_failed(state, search, minimizer, reason)
    else:
        instead = differences.replace_failed(
            stencil,
            slot,
            state.lower,
            state.upper,
            state.constraints,
            once=state.options.difference_rule == 1,
        )
        if instead is None:
            _count_failure(state, search)
            _iterate_failed(state, search, minimizer, reason)
            return
        _line_up(state, search, instead)
        if not stencil.missing:
            _assemble(state, search, minimizer, stencil)


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
    if math.isfinite(f):  # a value counts where only the gradient failed, too
        _note_point(state, point, f, g if status == TOLD else None, vectors)
    return search


def _count_failure(state: MultiStartState, search: Search) -> None:
    """Count an iterate that failed; given starts do not count while nothing has succeeded."""
    if state.best is not None or search.start not in state.sample_starts:
        state.failed_in_row += 1


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


# -- what an evaluation sets off in its run ------------------------------------------------------


def _assemble(
    state: MultiStartState, search: Search, minimizer: Minimizer, stencil: Pending
) -> None:
    """Use a gradient of which all points are told, or ask what is wanted before it is used."""
    if isinstance(stencil, Survey):
        _surveyed(state, search, minimizer, stencil)
        return
    if isinstance(stencil, Line):
        wanted = gradients.measured(state, search, stencil)
        if wanted is None:  # the minimizer has not been told anything yet
            _begin_again(state, search, minimizer_at(state, search, stencil.x), stencil)
            return
        if wanted:
            _line_up(state, search, wanted)
            return
        stencil = stencil.before
    g = differences.gradient(stencil)
    if is_usable(stencil.f, g):
        if gradients.are_lost_in_noise(state, search, stencil):
            known = differences.vectors(stencil)
            at_base = None if known is None else Vectors(known.values, None)
            _want_differences(state, search, minimizer, stencil.f, at_base)
            return
        if wanted := gradients.more(state, search, stencil, g):
            _line_up(state, search, wanted)
            return
        gradients.told(state, search, stencil, g)
        search.stencil = None
        state.failed_in_row = 0
        x = minimizer.ask() if state.linked else None
        _allow_for_noise(state, search, minimizer)
        local.tell(minimizer, stencil.f, g, differences.vectors(stencil))
        _after_success(state, search, minimizer, x, stencil.f, g)
    else:
        _count_failure(state, search)
        _iterate_failed(state, search, minimizer, "the finite differences are not finite")


def _begin_again(state: MultiStartState, search: Search, minimizer: Minimizer, known: Line) -> None:
    """Let another minimizer begin at a point of which the value is known."""
    search.minimizer, search.stencil = minimizer, None
    if np.array_equal(minimizer.ask(), known.x):
        _want_differences(state, search, minimizer, known.f)
    else:  # it was moved by a few last digits
        _want_evaluation(state, search, minimizer)


def _after_success(
    state: MultiStartState,
    search: Search,
    minimizer: Minimizer,
    x: Vector | None = None,
    f: float = math.nan,
    g: Vector | None = None,
) -> None:
    """Let a run go on, or end, after an evaluation of its minimizer: that at `x`, if it is given.

    With a start rule that knows basins it may be paused there.
    """
    if x is not None and _stays(state, search, minimizer, x, f, g):
        return
    still = _is_still(state, search, minimizer)
    if not (minimizer.done or still):
        _want_evaluation(state, search, minimizer)
    elif _survey(state, search, minimizer, still=still) or _sharpen(
        state, search, minimizer, still=still
    ):
        return
    elif still or (minimizer.converged and not heard.is_chance(search.heard, minimizer)):
        _converged(state, search, minimizer)
    elif local.unbounded(minimizer):
        state.ended = f"the objective has no minimum: {local.reason(minimizer)}"
        _close(state, search, "stopped", local.reason(minimizer))
    else:
        _close(state, search, "stopped", local.reason(minimizer))


def _converged(state: MultiStartState, search: Search, minimizer: Minimizer) -> None:
    """Close a run, or first evaluate what lies between its end and a known minimum."""
    options, catalogue = state.options, state.catalogue
    if minimizer.best is not None and options.convergence_rule > 2 and not options.row_names:
        x, f, _ = minimizer.best
        near = catalogue.close(x, f) if _tells_close_ends_apart(state, search) else []
        search.between = _comparison(
            state, minimizer, near or _all_ends(state, catalogue.apart(x, f)), near=bool(near)
        )
    if search.between is None:
        _close(state, search, "converged", _why_converged(state, search, minimizer))
    else:
        _line_up(state, search, (BASE,))


def _tells_close_ends_apart(state: MultiStartState, search: Search) -> bool:
    """Tell whether values between ends that are close say something: with noise they do not."""
    measured = search.learnt is not None and search.learnt.noise > 0.0
    noisy = measured or search.heard.noise > 0.0 or state.options.minimizer["noise"] > 0.0
    return state.options.convergence_rule > 3 and not noisy


def _comparison(
    state: MultiStartState,
    minimizer: Minimizer,
    known: Sequence[tuple[int, Vector, float]],
    *,
    near: bool = False,
    joined: tuple[int, ...] = (),
    refused: Sequence[Vector] = (),
) -> Between | Path | None:
    """Return the comparison of the end of a run with the nearest of known minima."""
    if minimizer.best is None:
        return None
    x, f, _ = minimizer.best
    return barriers.comparison(
        x,
        f,
        known,
        state.catalogue.width(x),
        state.constraints,
        ftol=state.options.minimizer["ftol"],
        depth=_depth(state, minimizer, f),
        near=near,
        joined=joined,
        refused=refused,
        noise=barriers.BEYOND_DOUBT * state.catalogue.allowance,
        paths=state.options.convergence_rule > 4 and not has_rows(state.constraints),
    )


def _all_ends(
    state: MultiStartState, minima: list[tuple[int, Vector, float]]
) -> list[tuple[int, Vector, float]]:
    """Return all ends that are known to be one with minima, each with their number."""
    if state.options.convergence_rule < 4:
        return minima
    ends = list(minima)
    for index, _, _ in minima:
        for run in state.catalogue.runs(index):
            search = state.runs[run]
            if search.x is not None:
                ends.append((index, search.x, search.f))
    return ends


def _across(
    state: MultiStartState, between: Between | Path, f: float, g: Vector | None
) -> Vector | None:
    """Return where a point between two ends goes that is too high, None if it stays a barrier."""
    if state.options.convergence_rule < 4 or has_rows(state.constraints):
        return None
    if isinstance(between, Path):
        return between.moved(f, g, state.bounds)
    return between.moved(f, g, state.bounds, state.catalogue.width(between.here))


def _compared(state: MultiStartState, search: Search, outcome: Between | Path | bool) -> None:
    """Go on comparing an end with a known minimum, or close the run as the one or as another."""
    between, minimizer = search.between, search.minimizer
    if not isinstance(outcome, bool):
        search.between = outcome
        _line_up(state, search, (BASE,))
        return
    if between is None or minimizer is None or minimizer.best is None:
        return
    joined = (*between.joined, between.entry) if outcome else between.joined
    further = _further(state, minimizer, between, joined, refused=not outcome)
    if further is not None:
        search.between = further
        _line_up(state, search, (BASE,))
        return
    same = NEW if between.near else None
    if joined:
        same = _merged(state, joined)
    elif between.near and state.options.convergence_rule > 7:
        x, f, _ = minimizer.best
        nearer = state.catalogue.nearer(x, f, between.found[-1])  # listed since, by another run
        if nearer is not None and not state.catalogue.is_one(x, nearer[0]):
            further = _comparison(state, minimizer, [nearer], near=True)
            if further is not None:
                search.between = further
                _line_up(state, search, (BASE,))
                return
        same = NEW if nearer is None else nearer[0]
    _close(state, search, "converged", _why_converged(state, search, minimizer), same)


def _further(
    state: MultiStartState,
    minimizer: Minimizer,
    between: Between | Path,
    joined: tuple[int, ...],
    *,
    refused: bool,
) -> Between | Path | None:
    """Return the comparison with another known end where minima lie along a curve."""
    if minimizer.best is None:
        return None
    x, f, _ = minimizer.best
    level = state.catalogue.apart(x, f)
    others = [each for each in level if each[0] not in joined]
    if isinstance(between, Between):
        wanted = _all_ends(state, others) if between.curved and not refused else []
        return _comparison(state, minimizer, wanted, joined=joined)
    if between.near or not state.options.jac:
        return None
    if joined:  # an end that is higher than both would be a barrier itself
        known = max((g for index, _, g in level if index in joined), default=-math.inf)
        least = f - barriers.LEAST_NEAR * _depth(state, minimizer, f)
        others = [each for each in others if max(known, each[2]) >= least]
    spread = [each for each in others if state.catalogue.is_spread(each[0])]
    if not refused:
        ends = _all_ends(state, others if between.curved else spread)
        return _comparison(state, minimizer, ends, joined=joined)
    ends = between.elsewhere(_all_ends(state, spread))
    passed = [*between.refused, between.found[-1]]
    return _comparison(state, minimizer, ends, joined=joined, refused=passed)


def _depth(state: MultiStartState, minimizer: Minimizer, f: float) -> float:
    """Return how much lower than two ends a point between them may be."""
    return state.options.f_tolerance * max(abs(f), local.unit(minimizer))


def _merged(state: MultiStartState, entries: tuple[int, ...]) -> int:
    """Make known minima one, also where other runs are being compared with them; return which."""
    kept, *others = sorted(set(entries))
    for other in reversed(others):
        state.catalogue.merge(kept, other)
        for search in state.runs:
            if search.between is not None:
                search.between = search.between.renumbered(kept, other)
    return kept


def _sharpen(
    state: MultiStartState, search: Search, minimizer: Minimizer, *, still: bool = False
) -> bool:
    """Let a run that forward differences led astray go on from its best point, once.

    A line search fails where the error of the gradient is larger than what is left of it, and
    where values are noisy a run may seem to have converged for that.  A new minimizer with
    two-sided differences takes over, with what is left of the limits.
    """
    limits, best = state.options.minimizer, minimizer.best
    exact = state.options.jac or search.two_sided or not state.options.gradients
    noisy = search.learnt is not None and search.learnt.noise > 0.0
    doubted = noisy or local.takes_vectors(minimizer)
    coarse = not exact and (still or local.lost(minimizer) or (doubted and minimizer.converged))
    spent = limits["maxfun"] <= minimizer.nfev or limits["maxiter"] <= minimizer.nit
    if best is None or not coarse or spent:
        return False
    x, f, _ = best
    search.two_sided = True
    search.heard.still, search.heard.promised = 0, math.inf
    search.minimizer = minimizer_at(state, search, x, after=minimizer)
    if search.heard.noise:
        local.keep_model(search.minimizer, minimizer)
    known = local.vector(minimizer, x)
    if not np.array_equal(search.minimizer.ask(), x):
        _want_evaluation(state, search, search.minimizer)
    elif known is not None:
        _want_differences(state, search, search.minimizer, f, Vectors(known, None))
    elif not local.takes_vectors(minimizer):
        _want_differences(state, search, search.minimizer, f)
    else:
        _want_evaluation(state, search, search.minimizer)
    return True


def _survey(state: MultiStartState, search: Search, minimizer: Minimizer, *, still: bool) -> bool:
    """Let a run that noise led to its end be surveyed at its best point, if it can be."""
    if not (isinstance(minimizer, LBFGSB) and gradients.is_surveyed(state, search)):
        return False
    limits, best = state.options.minimizer, minimizer.best
    ended = still or local.lost(minimizer) or minimizer.converged
    spent = limits["maxfun"] <= minimizer.nfev or limits["maxiter"] <= minimizer.nit
    if best is None or not ended or spent:
        return False
    learnt = search.learnt
    search.stencil = pending = survey.begin(
        *best,
        search.heard.noise,
        None if learnt is None else learnt.curvature,
        state.lower,
        state.upper,
    )
    if pending is None:
        return False
    search.minimizer = minimizer_at(state, search, pending.x, after=minimizer)
    _line_up_survey(state, search, pending)
    return True


def _line_up_survey(state: MultiStartState, search: Search, pending: Survey) -> None:
    search.x, search.f = pending.x, pending.f
    _line_up(state, search, range(len(pending.ends)))


def _surveyed(state: MultiStartState, search: Search, minimizer: Minimizer, made: Survey) -> None:
    """Go on with a survey of which all points are told, or end the run with what it says."""
    state.failed_in_row = 0
    outcome = survey.go_on(made, state.lower, state.upper)
    if outcome == "ask":
        _line_up_survey(state, search, made)
        return
    search.stencil = None
    if not np.array_equal(minimizer.ask(), made.x):
        search.minimizer = minimizer = minimizer_at(state, search, made.x, after=minimizer)
    search.heard.surveyed = made.promised
    local.tell(minimizer, made.f, made.slope)
    if outcome == "ended":
        _converged(state, search, minimizer)
    else:
        _close(state, search, "stopped", heard.lost_in_noise(search.heard))


def _iterate_failed(
    state: MultiStartState, search: Search, minimizer: Minimizer, reason: str
) -> None:
    """Step back; give up a start at once, and a run after too many failures."""
    search.stencil = None
    search.slots.clear()
    drop_ready(state, search.index)
    minimizer.tell_failure(reason)
    if minimizer.at_start:
        _close(state, search, "failed", _start_failed(reason))
    elif minimizer.done and minimizer.converged:  # beside its end
        _after_success(state, search, minimizer)
    elif minimizer.done or minimizer.failures >= state.options.max_failures:
        said = f": {reason}" if reason else ""
        count = minimizer.failures
        _close(state, search, "failed", f"given up after {count} failures in a row{said}")
    else:
        _want_evaluation(state, search, minimizer)


def _start_failed(reason: str) -> str:
    return f"the start could not be evaluated{f': {reason}' if reason else ''}"


def _close(
    state: MultiStartState,
    search: Search,
    outcome: searches.State,
    reason: str,
    same: int | None = None,
) -> None:
    searches.end(search, outcome, reason, state)
    _leave_place(state, search)
    if outcome == "converged":
        _list(state, search, same)
    elif outcome == "stopped":
        state.stopped += 1
    if outcome != "converged" and state.linked:
        state.linkage.lost.append(search.index)
    end_if_over(state, reason)


def _list(state: MultiStartState, search: Search, same: int | None = None) -> None:
    """Enter the end of a run among the minima."""
    if search.x is None:
        return
    state.converged += 1
    state.catalogue.add(search.x, search.f, search.start, search.index, same)
    if state.linked:
        linked.enter(state, search.index, search.x, search.f, None)
    elif state.sampled:
        _add_sample(state, search.x, search.f)


def _leave_place(state: MultiStartState, search: Search) -> None:
    state.live -= 1
    if search.index in state.extra:
        state.extra.remove(search.index)


def end_if_over(state: MultiStartState, reason: str) -> None:
    """End it all where a limit is reached; `reason` is why the last run ended."""
    if state.ended is None:  # else what ended the run ends them all
        state.ended = _why_over(state, reason)
    if state.ended is None:
        return
    for search in state.runs:
        if search.minimizer is not None and search.minimizer.done:  # the last value told was its
            converged, said = search.minimizer.converged, local.reason(search.minimizer)
            outcome: searches.State = "converged" if converged else "stopped"
            searches.end(search, outcome, said, state)
            if converged:
                _list(state, search)
            else:
                state.stopped += 1
        elif search.state in searches.OPEN:
            searches.cut(search, state.ended, state)
    for queue in (state.ready, state.spare, state.extra):
        queue.clear()
    state.live = 0


def _why_over(state: MultiStartState, reason: str, *, fresh: bool = False) -> str | None:
    """Return why nothing more is to be asked; `fresh` says that starts were just added."""
    wanted = state.options.max_num_minimizers
    barren = state.runs[-BARREN:]
    if state.converged >= wanted and not _owes_given_starts(state):
        many = state.converged != 1
        return f"{state.converged} minimizer{'s have' if many else ' has'} converged"
    if state.stopped >= STOPPED_PER_MINIMIZER * wanted:
        return f"{state.stopped} minimizers stopped without converging, the last: {reason}"
    if state.options.stop_when is not None:
        likely = linked.probability(state)
        if likely >= completeness.LIKELY:
            return f"{completeness.ALL_LIKELY} ({len(state.catalogue)}; probability {likely:.3f})"
    empty = len(barren) == BARREN and all(s.state == "failed" and not s.nfev for s in barren)
    if empty and not fresh:
        return f"{BARREN} starts in a row could not be evaluated: {reason}"
    if not (state.live or state.samples.row_of or state.linkage.row_of) and _are_used(state):
        few = state.next_start < state.start_limit
        return "all starts are used" + few * f", the feasible set has no other: {reason}"
    return None


def _owes_given_starts(state: MultiStartState) -> bool:
    """Tell whether runs that only filled places have converged before the user's own starts."""
    return any(search.spare for search in state.runs) and any(
        search.state in searches.OPEN and not search.spare and search.start in state.sample_starts
        for search in state.runs
    )


def begin_again(state: MultiStartState, reason: str, *, fresh: bool) -> None:
    """Take back the end, which was for `reason`, unless there is still cause for it."""
    state.ended = None
    for search in state.runs:
        if search.index in state.samples.row_of or search.index in state.linkage.row_of:
            search.state, search.reason = "waiting", ""
            state.report.stale.add(search.index)
        elif search.state == "stopped" and search.minimizer is not None:  # it was cut short
            search.state, search.reason = "running", ""
            state.report.stale.add(search.index)
            if state.live >= state.options.num_initial:
                state.extra.append(search.index)
            state.live += 1
            _contained(state, search, _want_evaluation, search.minimizer)
    state.ended = _why_over(state, reason, fresh=fresh)
    if state.ended is not None:
        end_if_over(state, reason)


# -- multi-level single linkage ---------------------------------------------------------------


def _add_sample(state: MultiStartState, x: Vector, f: float) -> int:
    return start_rules.add(state.samples, unit_coordinates(state, x), f)


def _judge_sample(state: MultiStartState, search: Search, f: float, g: Vector | None) -> None:
    """Let the minimizer of an evaluated start go on, or put the start aside."""
    search.x, search.f, search.g = search.x0, f, None if g is None else g.copy()
    if state.linked:
        row = linked.settle(state, search, f, g)
        leads = linkage.leads(state.linkage, row)
        if leads and _may_descend(state):
            state.linkage.put_aside = 0
            _go_on(state, search)
        else:
            _wait(state, search)
            linkage.put_aside(state.linkage, search.index, row, counted=not leads)
            _end_if_complete(state)
        return
    row = _add_sample(state, search.x0, f)
    if start_rules.leads(state.samples, row):
        state.samples.put_aside = 0
        _go_on(state, search)
    else:
        _wait(state, search)
        start_rules.put_aside(state.samples, search.index, row)
        _end_if_complete(state)


def _wait(state: MultiStartState, search: Search) -> None:
    search.state = "waiting"
    _leave_place(state, search)


def _end_if_complete(state: MultiStartState) -> None:
    if state.options.stop_when is not None:
        end_if_over(state, "a start was put aside")


def _go_on(state: MultiStartState, search: Search) -> None:
    """Let a sample, or a paused run, go on; a sample is given its minimizer."""
    state.report.stale.add(search.index)
    search.state = "running"
    if search.minimizer is not None:
        search.reason = ""
        _want_evaluation(state, search, search.minimizer)
        return
    search.minimizer = minimizer = minimizer_at(state, search, search.x0)
    moved = not np.array_equal(minimizer.ask(), search.x0)  # by a few last digits
    if moved or local.takes_vectors(minimizer):  # the vectors of a start are not kept
        _want_evaluation(state, search, minimizer)
    elif search.g is not None or not state.options.gradients:
        _allow_for_noise(state, search, minimizer)
        local.tell(minimizer, search.f, search.g)
        search.g = None
        _after_success(state, search, minimizer)
    else:
        _want_differences(state, search, minimizer, search.f)


# -- known basins -----------------------------------------------------------------------------


def _stays(
    state: MultiStartState,
    search: Search,
    minimizer: Minimizer,
    x: Vector,
    f: float,
    g: Vector | None,
) -> bool:
    """Enter a point of a path; return whether the run does not go on from it.

    It is paused where another one leads, and begins again where it has leapt over a barrier.
    """
    row = linked.enter(state, search.index, x, f, g)
    settled = search.followed or search.start in state.sample_starts or minimizer.done
    best = minimizer.best
    if settled or g is None or best is None or best[1] < f:
        return False
    if _is_held_back(state, search, minimizer, x, f, g):
        return True
    search.x, search.f, search.g = x, f, g.copy()
    run = linkage.followed(state.linkage, row)
    if linkage.leads(state.linkage, row) or run in (linkage.NOBODY, search.index):
        return False
    if run in state.linkage.lost:
        return False
    _pause(state, search, run, row)
    return True


def _is_held_back(
    state: MultiStartState, search: Search, minimizer: Minimizer, x: Vector, f: float, g: Vector
) -> bool:
    """Begin again, with a shorter step, where a run has stepped across a barrier."""
    length = linked.leap(state, search, x, f, g)
    if length is None or search.held >= linkage.HELD or local.takes_vectors(minimizer):
        return False
    before, known, slope = search.x, search.f, search.g
    if before is None:
        return False
    step = linked.step_length(state, before, slope, linkage.SHORTER * length)
    again = minimizer_at(state, search, before, after=minimizer, step=step)
    if not np.array_equal(again.ask(), before):  # it is moved by a few last digits
        return False
    search.held += 1
    search.minimizer = again
    local.tell(again, known, slope)
    _after_success(state, search, again)
    return True


def _pause(state: MultiStartState, search: Search, run: int, row: int) -> None:
    """Let a run wait that would end where another one goes."""
    search.reason = f"paused: it has entered the basin of run {run}"
    _wait(state, search)
    linkage.pause(state.linkage, search.index, row)
    _end_if_complete(state)
