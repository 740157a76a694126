"""The fold: what a study becomes by each of its events.

`begin` gives the state before the first event, `apply` takes one event into it, and nothing else
changes a state (except `draw`, the first half of a handing out, which `Asked`, `Held` and `Drained`
repeat on replay).  The state is data and a driver whose state is data.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice, repeat
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.coroutine.constraints import has_rows, is_admitted
from optdriver.drivers import (
    Driver,
    create_driver,
    driver_factory,
    restore_driver,
    without_undo,
)
from optdriver.errors import InputError, ProtocolError
from optdriver.geometry.products import dot, transposed_times
from optdriver.leastsquares.profile import WithinBounds
from optdriver.multistart.records import Fill, Point, PointArrays
from optdriver.outstanding import Outstanding
from optdriver.study import deviations, gradient_check, outputs, parameters, profiling, soundness
from optdriver.study.events import (
    DRIVEN,
    NO_POINT,
    Added,
    Asked,
    Configured,
    Drained,
    Event,
    Failed,
    Held,
    Late,
    Parted,
    Profiled,
    Recalled,
    Released,
    Renewed,
    Resumed,
    RoundAsked,
    RoundTold,
    Stopped,
    Suspended,
    Told,
)
from optdriver.study.gradient_check import GradientCheck
from optdriver.study.ledger import KIND_CODE, KINDS, Ledger
from optdriver.study.outputs import Put
from optdriver.study.profiling import PROFILE, Profiling, UnderConstraints
from optdriver.study.runs import run_of
from optdriver.study.spec import VERSION, Spec, check_version

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


NUDGES: Final = 64
"""Within so many last digits a logarithmic or narrow parameter is moved onto the feasible set."""

CLOSE: Final = 1e-6
"""How far a replayed point may be from the recorded one, in the driver's coordinates."""

FOREIGN: Final = soundness.FOREIGN
"""The driver's id of a recorded point that the driver of this version did not ask for."""


@dataclass(slots=True, eq=False)
class Entry:
    """A point that is wanted: waiting to be handed out, or handed out and not told.

    `id` is -1 until it is handed out; `point` is the driver's id (`FOREIGN` for a point that it did
    not ask for; None for the gradient check, whose base and number of the parameter are `base` and
    `index`); `failures` counts its failed
    evaluations; `spent` says that its last evaluation has been counted; `due` is the run time at
    which its lease ends.  `here` (no part of the state) says that this very object handed it out,
    and not the one it was restored from.
    """

    id: int
    point: int | None
    run: int
    kind: str
    x: FloatArray
    base: int = 0
    index: int = 0
    failures: int = 0
    spent: bool = False
    due: float = math.inf
    here: bool = False


@dataclass(slots=True)
class Round:
    """Points that were handed out by one event; `due` and `here` as in `Entry`."""

    event: RoundAsked
    due: float
    rows: list[int]
    here: bool = False

    def one(self, row: int) -> Entry:
        """Return a point."""
        event = self.event
        point, run, kind = int(event.points[row]), int(event.runs[row]), KINDS[event.kinds[row]]
        return Entry(
            self.rows[row], point, run, kind, event.matrix[row], due=self.due, here=self.here
        )

    def without(self, row: int) -> Round:
        """Return all points but one."""
        event = self.event
        names = ("ids", "points", "runs", "kinds", "matrix")
        left = {name: np.delete(getattr(event, name), row, axis=0) for name in names}
        return replace(self, event=replace(event, **left), rows=left["ids"].tolist())


Line = tuple[deque[Entry], PointArrays | None]


@dataclass(slots=True)
class State:
    """A study at one moment: see the fields of the fold's documentation.

    `parameters` are the present ones; `out` what is handed out; `line` what is handed out
    before the driver is asked again, one by one, and behind it as columns; `spent` the evaluations
    of the objective that have ended; `failed_in_row` the iterates that failed since one succeeded
    or the study was resumed; `stop` kind and reason; `expired` the ids whose lease has ever run
    out; `adopted` (no part of the state) the recorded points that replaced those of a replay;
    `parted` that a replay has led to other points than the recorded ones, and no `Parted` has been
    recorded since; `sigma` the standard deviations of residuals, if they were told; `profile` the
    last profile that was wanted;
    `next_due` (no part of the state) a time before which no lease ends.
    """

    spec: Spec
    parameters: dict[str, Any]
    driver: Driver
    ledger: Ledger
    check: GradientCheck
    out: Outstanding[Entry, Round] = field(default_factory=Outstanding)
    line: Line = field(default_factory=lambda: (deque(), None))
    spent: int = 0
    failures: int = 0
    failed_in_row: int = 0
    stop: tuple[str, str] | None = None
    elapsed: float = 0.0
    expired: set[int] = field(default_factory=set)
    adopted: int = 0
    parted: bool = False
    sigma: FloatArray | None = None
    profile: Profiling | None = None
    next_due: float = math.inf

    @property
    def open(self) -> dict[int, Entry]:
        """What is handed out and not told, by id."""
        return self.out.by_id

    @property
    def queue(self) -> deque[Entry]:
        """What waits to be handed out."""
        waiting, drawn = self.line
        if drawn is not None:
            waiting = deque(waiting)
            waiting.extend(map(Entry, repeat(-1), *drawn))
            self.line = waiting, None
        return waiting

    @property
    def queued(self) -> int:
        """How many points wait to be handed out."""
        waiting, drawn = self.line
        return len(waiting) + (0 if drawn is None else len(drawn.ids))


def begin(spec: Spec) -> State:
    """Return the state of a study to which nothing has happened yet."""
    return State(
        spec=spec,
        parameters=dict(spec.parameters),
        driver=_driver(spec, spec.parameters),
        ledger=Ledger(spec.space.size, sign=spec.sign),
        check=GradientCheck(done=not spec.parameters["check_grad"]),
    )


def _driver(spec: Spec, given: Mapping[str, Any]) -> Driver:
    """Return a new driver; `given` are all parameters, as they are now."""
    options = parameters.owned_by("driver", given)
    samples = [spec.space.to_driver(np.array(sample)) for sample in options["initial_samples"]]
    options["initial_samples"] = samples
    if options["difference_rule"] > 1:  # before, a step was one of the driver's coordinates
        options["step_size"] = _driver_steps(spec, options["step_size"])
    if spec.compiled is not None:
        options["constraints"] = spec.inner_constraints().rescaled(spec.space.scale)
    if spec.limits is not None:
        options["inequalities"] = spec.limits.inequalities
        options["equalities"] = spec.limits.equalities
    return without_undo(create_driver(spec.driver, spec.space.driver_bounds, **options))


def _driver_steps(spec: Spec, given: Any) -> list[float | None] | None:
    """Return the given steps in the driver's coordinates, None where there is none.

    A parameter of a narrow type is never moved by less than it can be moved exactly enough.
    """
    space = spec.space
    if given is None and not space.narrow.any():
        return None
    steps = given if isinstance(given, Mapping) else dict.fromkeys(space.free, given)
    named = [steps.get(name) for name in space.free]
    least = np.sqrt(space.spacing).tolist()
    return [
        (small if narrow else None) if step is None else float(step / scale)
        for step, scale, narrow, small in zip(named, space.scale, space.narrow, least, strict=True)
    ]


FILLS: Final[tuple[Fill, ...]] = (False, "idle", True)
"""How a point is wanted, each after those before it have given none: see `MultiStart.ask`."""


def fills(state: State, *, everything: bool) -> tuple[Fill, ...]:
    """Return how points are wanted: `everything`, or only what places would stay free for.

    Where gradients are differenced a minimizer has points for several places, and others beside it
    would hold them up.
    """
    differenced = not state.parameters["jac"] and driver_factory(state.spec.driver).gradient
    return FILLS if everything else FILLS[:1] if differenced else FILLS[:2]


UNREACHABLE: Final = 100
"""Points in a row that may have no feasible one beside them among the user's numbers."""


def is_profiling(state: State) -> bool:
    """Return whether a profile is under way, whose points come before all others."""
    return state.profile is not None and not state.profile.done


def _draw_profile(state: State, profile: Profiling) -> Entry | None:
    """Get the points of a profile into the queue; return the first, or None if there is none."""
    first = len(state.queue)
    for turn, number, x in profile.ask(state.spec.space, user_box(state)):
        x.setflags(write=False)
        state.queue.append(Entry(-1, None, -1, PROFILE, x, turn, number))
    return state.queue[first] if len(state.queue) > first else None


def user_box(state: State) -> tuple[FloatArray, FloatArray]:
    """Return the bounds of the user's parameters, with those that constraints are."""
    space, compiled = state.spec.space, state.spec.compiled
    if compiled is None:
        return space.lower, space.upper
    return np.maximum(space.lower, compiled.lower), np.minimum(space.upper, compiled.upper)


def draw(state: State, fills: tuple[Fill, ...] = FILLS[:1]) -> Entry | None:
    """Get the next point of the driver into the queue; return it, or None if there is none."""
    if state.profile is not None and not state.profile.done:
        return _draw_profile(state, state.profile)
    refused = "no feasible point beside it, to rounding"
    for _ in range(UNREACHABLE):
        points: list[Point] = []
        for fill in fills:
            points = points or state.driver.ask(1, fill=fill)
        if not points:
            return None
        point = points[0]
        x = _user_point(state, point.x)
        if x is not None:
            x.setflags(write=False)
            entry = Entry(-1, point.id, point.run, point.kind, x)
            state.queue.append(entry)
            return entry
        state.driver.tell_failure(point.id, refused)
    state.driver.finish(
        f"{UNREACHABLE} points in a row had {refused}: an equality fixes a number that the scale "
        "or the type of a parameter cannot hold; give it as fixed, or allow a small width"
    )
    return None


def draw_round(state: State, wanted: int, fills: tuple[Fill, ...]) -> PointArrays | None:
    """Get points of the driver until there are `wanted`, or it has no more.

    They are put into the queue; but where they can be handed out as they are, since nothing is
    there before them and none of them may have to stay, they are returned.
    """
    if state.spec.space.inexact or is_profiling(state):
        while len(state.queue) < wanted and draw(state, fills) is not None:
            continue
        return None
    if not is_fresh(state):
        for fill in fills:
            while state.queued < wanted and (points := _drawn(state, wanted, fill)).ids:
                put_into_queue(state, _for_user(state, points))
        return None
    drawn = PointArrays([], [], [], np.empty((0, state.spec.space.size)))
    for fill in fills:
        if len(drawn.ids) < wanted:
            more = state.driver.ask_arrays(wanted - len(drawn.ids), fill=fill)
            drawn = drawn.followed_by(more) if drawn.ids else more
    return _for_user(state, drawn)


def is_fresh(state: State) -> bool:
    """Return whether all points that the driver gives now can be handed out as they are."""
    return not (state.queued or state.spec.space.inexact or state.parameters["eps"])


def _drawn(state: State, wanted: int, fill: Fill) -> PointArrays:
    return state.driver.ask_arrays(wanted - state.queued, fill=fill)


def _for_user(state: State, points: PointArrays) -> PointArrays:
    """Return points of the driver as the user sees them."""
    x = state.spec.space.to_user(points.x)
    x.setflags(write=False)
    return points._replace(x=x)


def put_into_queue(state: State, points: PointArrays) -> None:
    """Let points wait to be handed out."""
    waiting, drawn = state.line
    state.line = waiting, points if drawn is None else drawn.followed_by(points)


def first_drawn(state: State, count: int) -> PointArrays | None:
    """Return the first points that wait, if all that waits is new; None otherwise."""
    waiting, drawn = state.line
    return None if waiting or drawn is None else drawn.part(slice(count))


def _user_point(state: State, z: FloatArray) -> FloatArray | None:
    """Return what a point of the driver is for the user.

    A logarithmic or narrow parameter goes there and back to rounding only: so initial samples are
    handed out as they were given, and a point that rounding has put beyond a constraint is the
    nearest one that satisfies it; None if there is none within a few last digits.
    """
    space, compiled = state.spec.space, state.spec.compiled
    compiled = None if _leaves(state) else compiled
    x = space.to_user(z)
    if not space.inexact:
        return x
    for sample in state.parameters["initial_samples"]:
        given = np.array(sample)
        if np.array_equal(space.to_driver(given), z):
            x = given
            break
    if compiled is None or compiled.is_feasible(x):
        return x
    for digits in range(1, NUDGES):
        for sign in (1.0, -1.0):
            near = x * (1.0 + sign * digits * space.spacing)
            near = space.rounded(np.minimum(np.maximum(near, space.lower), space.upper))
            if compiled.is_feasible(near):
                return near
    return None


def find(state: State, id: int) -> Entry | None:
    """Return the entry of a suggestion that still wants a result, None if it does not."""
    entry = state.open.get(id)
    if entry is None:
        entry = next((waiting for waiting in state.line[0] if waiting.id == id), None)
    return entry


def apply(state: State, event: Event) -> None:
    """Take one event into the state."""
    _APPLY[type(event)](state, event)
    state.elapsed = event.time


def fold(spec: Spec, events: Any) -> State:
    """Return the state that `events` lead to."""
    return replay(begin(spec), events)


def replay(state: State, events: Any, *, part: bool = False) -> State:
    """Take recorded events into `state`, and return it.

    Parameters
    ----------
    part : bool
        Where the driver leads to another point than the recorded one (a later version stops, or
        steps, otherwise), keep the recorded evaluations as facts, up to the next `Parted`.
        Otherwise that is a `ProtocolError`.
    """
    for event in events:
        if state.parted and type(event) in DRIVEN:
            _keep_fact(state, event)
            continue
        try:
            _take_recorded(state, event)
        except ProtocolError:
            if not part or type(event) not in DRIVEN:
                raise
            state.parted = True
            _keep_fact(state, event)
    return state


def _take_recorded(state: State, event: Event) -> None:
    if type(event) is Held:
        _same(state, draw(state, FILLS), event)
        state.elapsed = event.time
    elif type(event) is Drained:
        if draw(state, FILLS[: event.fills]) is not None:
            raise ProtocolError(
                "the events do not fit this study: the driver has a point where it had none"
            )
        state.elapsed = event.time
    else:
        if type(event) is RoundAsked:
            fresh = draw_round(state, event.wanted, FILLS[: event.fills])
            if fresh is not None and len(event.ids) < len(fresh.ids):
                put_into_queue(state, fresh)
                fresh = None
            _same_round(state, event, fresh)
        apply(state, event)


def _keep_fact(state: State, event: Asked | RoundAsked | Held | Recalled | Drained) -> None:
    """Take an event of a driver that went another way: a point that was asked was asked."""
    state.elapsed = event.time
    if type(event) is RoundAsked:
        for single in _asked_ones(event):
            _keep_fact(state, single)
    if type(event) is not Asked:
        return
    entry = next((waiting for waiting in state.line[0] if waiting.id == event.id), None)
    if entry is None:
        x = event.x.copy()
        x.setflags(write=False)
        entry = Entry(-1, FOREIGN, -1, event.kind, x)
        state.queue.append(entry)
    _hand_out(state, entry, event)


# -- one function an event ----------------------------------------------------------------


def _asked(state: State, event: Asked) -> None:
    entry = state.queue[0] if state.queue else draw(state, FILLS)  # there was one
    _same(state, entry, event)
    _hand_out(state, state.queue[0], event)


def _hand_out(state: State, entry: Entry, event: Asked) -> None:
    state.queue.remove(entry)
    entry.spent = False
    if entry.id < 0:
        entry.id = state.ledger.open_row(entry.x, entry.kind, entry.run, event.time)
    else:
        state.ledger.reopen(entry.id)
    if entry.id != event.id:
        raise ProtocolError(f"the events hand out suggestion {event.id}, expected {entry.id}")
    entry.due = _due(state, event.time)
    state.open[entry.id] = entry


def _due(state: State, time: float) -> float:
    """Return when the lease ends of what is handed out now."""
    due = time + float(state.parameters["lease_seconds"])
    state.next_due = min(state.next_due, due)
    return due


def earliest_due(entries: Iterable[Entry]) -> float:
    """Return when the first of some leases ends."""
    return min((entry.due for entry in entries), default=math.inf)


def _same(state: State, entry: Entry | None, event: Asked | Held | Recalled) -> None:
    """Compare a point with the recorded one, bit for bit; the recorded one counts.

    Another version of a library may have rounded otherwise: then the point that was evaluated
    takes the place of the one found now, and this is noted.
    """
    if entry is not None and entry.point == event.point:
        if entry.x is event.x or entry.x.tobytes() == event.x.tobytes():
            return
        if _is_close(state, entry.x, event.x):
            entry.x = event.x
            state.adopted += 1
            return
    found = "no point" if entry is None else f"{entry.x.tolist()} (point {entry.point})"
    raise ProtocolError(
        f"the events do not fit this study: they hand out {event.x.tolist()} (point "
        f"{event.point}), but replaying them leads to {found}; they belong to another "
        "specification, or were recorded with another version of a library"
    )


def _is_close(state: State, x: FloatArray, recorded: FloatArray) -> bool:
    space = state.spec.space
    z, other = space.to_driver(x), space.to_driver(recorded)
    return z.shape == other.shape and bool(np.allclose(z, other, rtol=CLOSE, atol=CLOSE))


def _asked_ones(event: RoundAsked) -> list[Asked]:
    """Return the events for which a round stands."""
    columns = (event.ids, event.points, event.runs, event.kinds)
    return [
        Asked(
            id=id,
            point=None if point == NO_POINT else point,
            run=run,
            kind=KINDS[kind],
            x=x,
            time=event.time,
        )
        for id, point, run, kind, x in zip(
            *(column.tolist() for column in columns), event.matrix, strict=True
        )
    ]


def round_of(
    state: State,
    entries: list[Entry],
    fresh: PointArrays | None,
    *,
    wanted: int,
    fills: int,
    time: float,
) -> RoundAsked:
    """Return the event with which `fresh` points, or the first of the queue, are handed out."""
    if fresh is None:
        n = state.spec.space.size
        points = [NO_POINT if entry.point is None else entry.point for entry in entries]
        runs = [entry.run for entry in entries]
        kinds: Sequence[str] = [entry.kind for entry in entries]
        matrix = np.array([entry.x for entry in entries]).reshape(len(entries), n)
        matrix.setflags(write=False)
        ids = np.array([entry.id for entry in entries], dtype=np.int64)
    else:
        points, runs, kinds, matrix = fresh.ids, fresh.runs, fresh.kinds, fresh.x
        ids = np.full(len(points), -1)
    new = ids < 0
    ids[new] = state.ledger.size + np.arange(np.count_nonzero(new))
    return RoundAsked(
        ids=ids,
        points=np.array(points, dtype=np.int64),
        runs=np.array(runs, dtype=np.int64),
        kinds=np.fromiter(map(KIND_CODE.__getitem__, kinds), np.int64, len(points)),
        matrix=matrix,
        wanted=wanted,
        fills=fills,
        time=time,
    )


def _round_asked(state: State, event: RoundAsked) -> None:
    """Hand out fresh points, or the first of the queue where there is one."""
    ledger, ids = state.ledger, event.ids.tolist()
    due = _due(state, event.time)
    new = event.ids >= ledger.size
    ledger.open_rows(event.matrix[new], event.kinds[new], event.runs[new], event.time)
    waiting, drawn = state.line
    if not waiting:
        if drawn is not None:
            left = drawn.part(slice(len(ids), None))
            state.line = waiting, left if left.ids else None
        if ids:
            state.out.add(Round(event, due, ids))
        return
    for id in ids:
        entry = state.queue.popleft()
        if entry.id >= 0:
            ledger.reopen(id)
        entry.id, entry.spent, entry.due = id, False, due
        state.open[id] = entry


def _same_round(state: State, event: RoundAsked, fresh: PointArrays | None) -> None:
    """Compare what is handed out next with a recorded round, as `_same` does row by row."""
    count = len(event.ids)
    new = first_drawn(state, count) if fresh is None else fresh
    found = round_of(
        state,
        list(islice(state.queue, count)) if new is None else [],
        new,
        wanted=event.wanted,
        fills=event.fills,
        time=event.time,
    )
    if all(
        getattr(found, name).tobytes() == getattr(event, name).tobytes()
        for name in ("ids", "points", "matrix")
    ):
        return
    if fresh is not None:  # compared one by one, and where they differ the recorded ones count
        put_into_queue(state, fresh)
    entries: list[Entry | None] = [*islice(state.queue, count)]
    entries += [None] * (count - len(entries))
    for entry, single in zip(entries, _asked_ones(event), strict=True):
        _same(state, entry, single)
    if found.ids.tobytes() != event.ids.tobytes():
        raise ProtocolError(
            f"the events hand out suggestions {event.ids.tolist()}, expected {found.ids.tolist()}"
        )


def _take(state: State, id: int) -> Entry:
    entry = state.open.pop(id, None)
    if entry is None:
        entry = find(state, id)
        if entry is None:
            raise ProtocolError(f"the events give a result for suggestion {id}, which is not open")
        state.queue.remove(entry)
    return entry


def _look(state: State, row: int, entry: Entry | None, put: Put | None) -> None:
    """Note that a point violates limits on outputs, or constraints that the driver may leave."""
    if put is not None:
        driver: Any = state.driver
        point = None if entry is None else entry.point
        x = state.spec.space.to_driver(state.ledger.x[row])
        if not driver.satisfies(point, *put, x):
            state.ledger.outside.add(row)
    if not _leaves(state):
        return
    constraints: Any = getattr(state.driver, "constraints")  # noqa: B009  # not every driver's
    x = state.spec.space.to_driver(state.ledger.x[row])
    if not is_admitted(constraints, x, KINDS[state.ledger.kind[row]]):
        state.ledger.outside.add(row)


def _prefer_end(state: State) -> None:
    """Let the end of the run that asked for the best point be the best, where it has converged.

    A point on its way may be lower for the part of the tolerance by which it violates constraints;
    which of the two it is, the run has decided (see `CallbackMinimizer`).
    """
    ledger = state.ledger
    asked_by = int(ledger.run[ledger.best]) if ledger.best >= 0 else -1
    if asked_by < 0:
        return
    run = run_of(state.driver, asked_by)
    if run.state == "converged" and run.x is not None:
        row = ledger.find(state.spec.space.to_user(run.x))
        if row is not None and row not in ledger.outside:
            ledger.best, ledger.best_value = row, float(ledger.value[row])


def _admit_end(state: State, run: int) -> None:
    """Let the end of a run that has converged count, and be the best of what the run has asked.

    Before the derivatives at a point are complete it is not known how far a limit is violated
    there, and a point on the way may be lower by what is allowed.
    """
    end, ledger = run_of(state.driver, run), state.ledger
    if end.state != "converged" or end.x is None:
        return
    lowest = state.driver.minima[0]  # its own, or that of another run
    found = [ledger.find(state.spec.space.to_user(x)) for x in (end.x, lowest.x)]
    rows = [row for row in found if row is not None and row >= ledger.since]
    ledger.outside.difference_update(rows)
    if rows and (ledger.best < 0 or int(ledger.run[ledger.best]) == run):
        ledger.best_value = ledger.sign * math.inf
    for row in rows:
        ledger.compare(row)


def _leaves(state: State) -> bool:
    """Return whether the driver may ask points that violate constraints."""
    stays = state.parameters["must_stay_feasible"]
    return not stays and bool(getattr(state.driver, "leaves", False))


def _told(state: State, event: Told) -> None:
    entry = _take(state, event.id)
    if entry.kind == PROFILE:
        _told_profile(state, entry, event)
        return
    state.spent += not entry.spent
    put = None
    if state.spec.limits is not None:
        put = outputs.for_driver(
            state.spec, entry.x, event.value, event.gradient, event.outputs, event.slopes
        )
    if put is not None or _leaves(state):
        _look(state, event.id, entry, put)
    state.ledger.close(event.id, event.value, event.gradient, event.time, event.outputs)
    noise = 0.0 if event.uncertainty is None else _hear(state, event.id, event.uncertainty)
    gradient = event.gradient
    if gradient is not None:
        gradient = state.spec.space.gradient_to_driver(gradient, entry.x)
    value, gradient = _minimised(state, event.value, gradient)
    if entry.point is None:
        _told_check(state, entry, *_checked(state, value, gradient, put))
        return
    if entry.point == FOREIGN:
        _show(state, entry, value, gradient, put)
        return
    before = state.driver.failed_in_row
    if noise:
        state.driver.expect_noise(entry.point, noise)
    if put is not None:
        turns = state.driver.turns
        state.driver.tell(entry.point, *put)
        if state.driver.turns != turns:
            _admit_end(state, entry.run)
    elif event.residuals is None:
        state.driver.tell(entry.point, value, gradient)
    else:
        state.driver.tell(entry.point, *_fit_to_driver(state, entry, event))
    _count(state, before)
    if gradient is None or state.check.done or not np.isfinite(gradient).all():
        return  # what is too large in the driver's coordinates has failed there
    if gradient_check.wants_base(state.check):
        space = state.spec.space
        z = space.to_driver(entry.x)
        state.check.weights = None if put is None else outputs.weights(put)
        value, slope = _checked(state, value, gradient, put)
        points = gradient_check.begin(
            state.check,
            z,
            value,
            gradient if slope is None else slope,
            space.driver_bounds,
            _admitted(state),
        )
        _enqueue_check(state, points)


def _checked(
    state: State, value: float, gradient: FloatArray | None, put: Put | None
) -> tuple[float, FloatArray | None]:
    """Return what is compared with differences: the value, and with weights the limits' rows."""
    weights = state.check.weights
    if weights is None or put is None or put.slopes is None or weights.size != put.values.size:
        return value, gradient
    return dot(weights, put.values), np.asarray(transposed_times(put.slopes, weights))


def _minimised(
    state: State, value: float, gradient: FloatArray | None
) -> tuple[float, FloatArray | None]:
    """Return a value as the driver, which minimises, has it, and so its gradient."""
    if state.spec.sign > 0.0:
        return value, gradient
    return -value, None if gradient is None else -gradient


def _told_profile(state: State, entry: Entry, event: Told) -> None:
    """Take a result that a profile wants; it counts for the best value, not for `max_iter`."""
    state.ledger.close(event.id, event.value, event.gradient, event.time)
    _hear(state, event.id, event.uncertainty)
    profile, rows = state.profile, event.jacobian
    if profile is None or event.residuals is None:
        raise ProtocolError("the events do not fit this study: a profile is one of residuals")
    if rows is not None:
        rows = rows.reshape(-1, state.spec.space.size)
    told = deviations.weighted(event.residuals, rows, event.uncertainty)
    profile.tell(entry.index, entry.base, *told)
    _end_profile(state, profile)


def _end_profile(state: State, profile: Profiling) -> None:
    """Let the study stand where it stood before a profile that is complete."""
    if profile.done and state.stop is None:
        state.stop = profile.stop or (PROFILE, "the profile is complete")


def _hear(state: State, row: int, uncertainty: FloatArray | None) -> float:
    """Note the standard deviations that were told; return that of the value, 0 without one."""
    if uncertainty is None:
        return 0.0
    if driver_factory(state.spec.driver).fits:
        state.sigma = uncertainty
        return 0.0
    deviation = deviations.single(uncertainty)
    state.ledger.enter_uncertainty(row, deviation)
    return deviation


def _fit_to_driver(state: State, entry: Entry, event: Told) -> tuple[FloatArray, FloatArray | None]:
    """Return residuals, weighted, and their derivatives by the driver's coordinates, (m, n)."""
    rows = event.jacobian
    if rows is not None:
        rows = rows.reshape(-1, state.spec.space.size)
        rows = state.spec.space.gradient_to_driver(rows, entry.x)
    residuals: Any = event.residuals
    return deviations.weighted(residuals, rows, event.uncertainty)


def _round_told(state: State, event: RoundTold) -> None:
    limits = state.spec.limits
    if limits is not None and event.output_rows is None and np.isfinite(event.values).any():
        raise ProtocolError("the events do not fit this study: a round without outputs")
    usable = np.isfinite(event.values)
    if event.gradients is not None:
        usable &= np.isfinite(event.gradients).all(axis=1)
    if limits is not None:
        usable &= [_why_unusable_put(state, event, k) is None for k in range(len(event.ids))]
    for k in np.flatnonzero(~usable).tolist():
        _failed(state, _failed_row(state, event, k))
    ids = event.ids.tolist()
    columns = limits is None and state.check.done and bool(usable.all())
    whole = state.out.whole(ids) if columns else ()
    if len(whole) == 1 and (whole[0].event.points >= 0).all():
        state.out.drop(whole)
        state.spent += len(ids)
        _told_plain(state, event, whole[0].event.points)
        return
    rows = np.flatnonzero(usable).tolist()
    while rows and gradient_check.wants_base(state.check):
        _told(state, _told_row(event, rows.pop(0)))
    plain = [k for k in rows if limits is None and _is_plain(state.open.get(ids[k]))]
    if plain:
        entries = [state.open.pop(ids[k]) for k in plain]
        state.spent += sum(not entry.spent for entry in entries)
        points = np.array([entry.point for entry in entries], dtype=np.int64)
        _told_plain(state, _rows_of(event, plain), points)
    for k in sorted(set(rows).difference(plain)) if len(plain) < len(rows) else ():
        _told(state, _told_row(event, k))


def _rows_of(event: RoundTold, rows: list[int]) -> RoundTold:
    """Return a round of some of the rows of one."""

    def of(column: FloatArray | None) -> FloatArray | None:
        return None if column is None else column[rows]

    return replace(
        event,
        ids=event.ids[rows],
        values=event.values[rows],
        gradients=of(event.gradients),
        uncertainties=of(event.uncertainties),
        output_rows=None,  # without limits there are none
        slope_rows=None,
    )


def _is_plain(entry: Entry | None) -> bool:
    """Return whether a value is for the driver's own point."""
    return entry is not None and entry.point is not None and entry.point != FOREIGN


def _told_row(event: RoundTold, k: int) -> Told:
    gradient = None if event.gradients is None else event.gradients[k]
    put, slopes = _put_of(event, k)
    return Told(
        id=int(event.ids[k]),
        value=float(event.values[k]),
        gradient=gradient,
        time=event.time,
        outputs=put,
        slopes=slopes,
        uncertainty=_spread_of(event, k),
    )


def _put_of(event: RoundTold, k: int) -> tuple[FloatArray | None, FloatArray | None]:
    """Return the outputs of a row, and their derivatives, as one by itself is recorded."""
    rows = (event.output_rows, event.slope_rows)
    outputs, slopes = (None if each is None else each[k] for each in rows)
    return outputs, slopes


def _why_unusable_put(state: State, event: RoundTold, k: int) -> str | None:
    """Return what is not finite about the outputs of a row, None if they can be used."""
    limits, entry = state.spec.limits, find(state, int(event.ids[k]))
    values, slopes = _put_of(event, k)
    if limits is None or entry is None or values is None:
        return None
    n = state.spec.space.size
    if values.size != len(limits.names) or (slopes is not None and slopes.size != values.size * n):
        raise ProtocolError(f"the events do not fit this study: it has {len(limits.names)} outputs")
    put = Put(values, None if slopes is None else slopes.reshape(-1, n))
    return outputs.why_unusable(put, limits, entry.x, state.spec.space.free)


def _spread_of(event: RoundTold, k: int) -> FloatArray | None:
    """Return the standard deviation of a row, None where none was told."""
    known = event.uncertainties
    return None if known is None or math.isnan(known[k]) else known[k : k + 1]


def _failed_row(state: State, event: RoundTold, k: int) -> Failed:
    """Return the event of a row that is not finite, as it would have been told by itself."""
    id, value = int(event.ids[k]), float(event.values[k])
    gradient = None if event.gradients is None else event.gradients[k]
    observed = math.isfinite(value)
    entry = find(state, id)
    return Failed(
        id=id,
        reason=event.reason
        or why_unusable(value, gradient, state.spec.space.free)
        or _why_unusable_put(state, event, k)
        or "",
        retry=entry is not None and entry.failures < state.parameters["retries"],
        counted=True,
        time=event.time,
        value=value if observed else None,
        gradient=gradient if observed else None,
        outputs=_put_of(event, k)[0] if observed else None,
        uncertainty=_spread_of(event, k) if observed else None,
    )


def why_unusable(value: float, gradient: FloatArray | None, names: tuple[str, ...]) -> str:
    """Return what is not finite about a result; nothing of one that is."""
    if not math.isfinite(value):
        return f"the value is {value}"
    if gradient is None or np.isfinite(gradient).all():
        return ""
    bad = int(np.argmin(np.isfinite(gradient)))
    return f"the derivative by {names[bad]!r} is {gradient[bad]}"


def _told_plain(state: State, event: RoundTold, asked: IntArray) -> None:
    """Take a round of values of the driver's own points, which are called `asked` there."""
    ids, values, gradients = event.ids, event.values, event.gradients
    for id in ids.tolist() if _leaves(state) else ():
        _look(state, id, None, None)
    state.ledger.close_rows(ids, values, gradients, event.time)
    before, points = state.driver.failed_in_row, asked.tolist()
    if event.uncertainties is not None:
        state.ledger.enter_uncertainty(ids, event.uncertainties)
        for k in np.flatnonzero(event.uncertainties > 0.0).tolist():
            state.driver.expect_noise(points[k], float(event.uncertainties[k]))
    if gradients is not None:
        gradients = state.spec.space.gradient_to_driver(gradients, state.ledger.x[ids])
        finite = np.isfinite(gradients).all(axis=1)
        if not finite.all():  # too large in the driver's coordinates
            for k in np.flatnonzero(~finite).tolist():
                state.driver.tell(points[k], *_minimised(state, float(values[k]), gradients[k]))
            points, values, gradients = asked[finite].tolist(), values[finite], gradients[finite]
    if state.spec.sign < 0.0:
        values, gradients = -values, None if gradients is None else -gradients
    state.driver.tell_arrays(points, values, gradients)
    _count(state, before)


def known_at(state: State, entry: Entry) -> int | None:
    """Return the suggestion from which it is known what is wanted at a point, None if none is.

    A gradient that is wanted must be known too.  What has failed may succeed another time.
    """
    own = entry.point is not None and entry.point != FOREIGN and entry.id < 0
    if not own or state.ledger.find(entry.x) is None or not _remembers(state):
        return None
    return _source(state, entry.x, entry.kind)


def _remembers(state: State) -> bool:
    given = state.parameters
    kept = state.spec.limits is None or not given["jac"]  # derivatives of outputs are not
    known = kept and not driver_factory(state.spec.driver).fits
    return bool(given["memory"]) and given["noise"] == 0.0 and known


def _source(state: State, x: FloatArray, kind: str) -> int | None:
    source = state.ledger.find(x)
    if source is None or state.ledger.uncertainty_of(source):
        return None  # where values are noisy, another one is worth something
    if not _wants_gradient(state, kind):
        return source
    return None if state.ledger.gradient_of(source) is None else source


def any_known(state: State, fresh: PointArrays | None) -> bool:
    """Return whether memory answers one of the points that wait, or of `fresh` ones."""
    if not _remembers(state):
        return False
    fresh = first_drawn(state, state.queued) if fresh is None else fresh
    if fresh is None:
        return any(known_at(state, entry) is not None for entry in state.queue)
    rows = state.ledger.known_rows(fresh.x)
    return any(_source(state, fresh.x[k], fresh.kinds[k]) is not None for k in rows)


def may_be_known(state: State) -> list[Entry]:
    """Return points that wait, without those of which nothing is known."""
    drawn = first_drawn(state, state.queued)
    if drawn is None:
        return list(state.queue)
    ids, runs, kinds, x = drawn
    rows = state.ledger.known_rows(x)
    return [Entry(-1, ids[k], runs[k], kinds[k], x[k]) for k in rows]


def _wants_gradient(state: State, kind: str) -> bool:
    given = state.parameters["jac"] and kind == "iterate"
    return bool(given) and driver_factory(state.spec.driver).gradient


def _recalled(state: State, event: Recalled) -> None:
    """Tell the driver what is known."""
    entry = _take_recalled(state, event)
    ledger = state.ledger
    gradient = ledger.gradient_of(event.source) if _wants_gradient(state, entry.kind) else None
    if gradient is not None:
        gradient = state.spec.space.gradient_to_driver(gradient, entry.x)
    before, value = state.driver.failed_in_row, float(ledger.value[event.source])
    put = None if ledger.outputs is None else ledger.outputs[event.source]
    rows = outputs.for_driver(state.spec, entry.x, value, None, put, None)
    turns = state.driver.turns
    state.driver.tell(event.point, *(_minimised(state, value, gradient) if rows is None else rows))
    if rows is not None and state.driver.turns != turns:
        _admit_end(state, entry.run)
    _count(state, before)


def _take_recalled(state: State, event: Recalled) -> Entry:
    """Take the point that is recalled off those that wait."""
    waiting, drawn = state.line
    if not waiting and drawn is not None and event.point in drawn.ids:
        k = drawn.ids.index(event.point)
        entry = Entry(-1, event.point, drawn.runs[k], drawn.kinds[k], drawn.x[k])
        _check_recalled(state, entry, event)
        left = drawn.without(k)
        state.line = waiting, left if left.ids else None
        return entry
    while not any(each.point == event.point for each in state.queue):
        if draw(state, FILLS) is None:
            break
    found = next((each for each in state.queue if each.point == event.point), None)
    entry = _check_recalled(state, found, event)
    state.queue.remove(entry)
    return entry


def _check_recalled(state: State, entry: Entry | None, event: Recalled) -> Entry:
    _same(state, entry, event)
    if entry is None or entry.point is None or not 0 <= event.source < state.ledger.size:
        raise ProtocolError(f"the events recall suggestion {event.source}, which is not known")
    return entry


def _show(
    state: State, entry: Entry, value: float, gradient: FloatArray | None, put: Put | None
) -> None:
    """Show the driver a point that it did not ask for, if it can use it."""
    z = state.spec.space.to_driver(entry.x)
    with suppress(InputError):  # feasible by the rounding of another version, say
        state.driver.add_point(z, *((value, gradient) if put is None else put))


def _count(state: State, before: int, counted: bool = True) -> None:
    """Count the iterates that the driver has found to fail in a row, where there were `before`."""
    if _leaves(state):
        _prefer_end(state)
    after = state.driver.failed_in_row
    if after == 0:
        state.failed_in_row = 0
    elif counted:
        state.failed_in_row += max(0, after - before)


def _told_check(state: State, entry: Entry, value: float, gradient: FloatArray | None) -> None:
    if gradient is None:
        raise ProtocolError(f"the events give suggestion {entry.id} no gradient to check")
    if not np.isfinite(gradient).all():
        _failed_check(state, entry)
    elif entry.base == state.check.bases:  # not one of a base that was given up
        points = gradient_check.told(state.check, entry.index, value, gradient, _admitted(state))
        _enqueue_check(state, points)


def _admitted(state: State) -> Callable[[FloatArray], bool]:
    """Return what tells whether a point of the driver satisfies the constraints."""
    space, compiled = state.spec.space, state.spec.compiled
    if compiled is None or _leaves(state):
        return gradient_check.anywhere
    return lambda z: compiled.is_feasible(space.to_user(z))


def _enqueue_check(state: State, points: list[tuple[int, FloatArray]]) -> None:
    for index, z in points:
        x = state.spec.space.to_user(z)
        x.setflags(write=False)
        state.queue.append(Entry(-1, None, -1, "check", x, state.check.bases, index))


def _failed(state: State, event: Failed) -> None:
    entry = _take(state, event.id)
    counts = entry.kind != PROFILE
    state.spent += counts and not entry.spent
    state.failures += counts
    entry.failures += 1
    if event.expired:
        state.expired.add(event.id)
    if event.value is not None:
        put = outputs.for_driver(state.spec, entry.x, event.value, None, event.outputs, None)
        _look(state, event.id, entry, put)
        state.ledger.note(event.id, event.value, event.gradient, event.outputs)
        _hear(state, event.id, event.uncertainty)
    if event.retry:
        entry.spent = True
        state.queue.append(entry)
        state.ledger.wait(event.id, event.reason)
        return
    state.ledger.fail(event.id, event.reason, event.time)
    if not counts:
        if state.profile is not None:
            state.profile.fail(entry.index, entry.base, event.reason)
            _end_profile(state, state.profile)
        return
    if entry.point is None:
        _failed_check(state, entry)
        return
    if entry.point == FOREIGN:
        return
    before = state.driver.failed_in_row
    fits = driver_factory(state.spec.driver).fits
    if event.value is None or fits or state.spec.limits is not None:
        state.driver.tell_failure(entry.point, event.reason)
    else:
        gradient = event.gradient
        if gradient is not None:
            gradient = state.spec.space.gradient_to_driver(gradient, entry.x)
        state.driver.tell(entry.point, *_minimised(state, event.value, gradient))
    _count(state, before, event.counted)


def _failed_check(state: State, failed: Entry) -> None:
    if failed.base != state.check.bases:
        return
    gradient_check.failed(state.check)
    for entry in [waiting for waiting in state.queue if waiting.point is None and waiting.id < 0]:
        state.queue.remove(entry)


def _released(state: State, event: Released) -> None:
    entry = _take(state, event.id)
    state.spent += event.spent and entry.kind != PROFILE
    entry.spent = event.spent
    state.queue.append(entry)
    state.ledger.wait(event.id)


def _added(state: State, event: Added) -> None:
    row = state.ledger.open_row(event.x, "added", -1, event.time)
    if row != event.id:
        raise ProtocolError(f"the events add a point as {event.id}, expected {row}")
    put = outputs.for_driver(
        state.spec, event.x, event.value, event.gradient, event.outputs, event.slopes
    )
    _look(state, row, None, put)
    state.ledger.close(row, event.value, event.gradient, event.time, event.outputs)
    _hear(state, row, event.uncertainty)
    space, gradient = state.spec.space, event.gradient
    if gradient is not None:
        gradient = space.gradient_to_driver(gradient, event.x)
    known = _minimised(state, event.value, gradient) if put is None else put
    state.driver.add_point(space.to_driver(event.x), *known)


LIFTED: Final = {
    "failures": ("stop_after_failures",),
    "flat": ("stop_after_flat",),
    "max_time": ("max_time", "max_time_from"),
}
"""Kinds of stopping that have not the name of their limit alone, and what lifts them."""


def _configured(state: State, event: Configured) -> None:
    given = for_driver(state, event.parameters)
    if given:
        state.driver.configure(**given)
    state.parameters.update(event.parameters)
    if "initial_samples" in event.parameters:
        samples = event.parameters["initial_samples"]
        state.parameters["initial_samples"] = tuple(map(tuple, samples))
    if state.profile is not None and _is_lifted(state, state.profile.stop, event, given):
        state.profile.stop = None
    if _is_lifted(state, state.stop, event, given):
        state.stop = None  # this was the limit that stopped it


def _is_lifted(
    state: State, stop: tuple[str, str] | None, event: Configured, given: Mapping[str, Any]
) -> bool:
    """Return whether changed parameters take back what had stopped the study."""
    if stop is None:
        return False
    kind = stop[0]
    goes_on = kind == "driver" and bool(given) and not state.driver.done
    return goes_on or any(name in event.parameters for name in LIFTED.get(kind, (kind,)))


def for_driver(state: State, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the driver is to be told of changed parameters; of starts the new ones."""
    options = {name: given[name] for name in parameters.LATER if name in given}
    if "initial_samples" in options:
        new = options["initial_samples"][len(state.parameters["initial_samples"]) :]
        options["initial_samples"] = [state.spec.space.to_driver(np.array(each)) for each in new]
    return options


def _stopped(state: State, event: Stopped) -> None:
    state.stop = (event.kind, event.reason)


def _resumed(state: State, _event: Resumed) -> None:
    state.stop = None
    state.failed_in_row = 0


def _suspended(_state: State, _event: Suspended) -> None:
    """Only the time is taken, by `apply`."""


def _renewed(state: State, event: Renewed) -> None:
    """Begin anew, but for what was observed, the run time and the parameters."""
    entries = [*state.open.values(), *state.queue]
    _give_up(state, entries, "given up when the objective was changed", event.time)
    state.ledger.renew()
    before = state.parameters["initial_samples"]
    starts = [tuple(row) for row in event.starts.reshape(-1, state.spec.space.size).tolist()]
    fresh = tuple(row for row in dict.fromkeys(starts) if row not in before)
    state.parameters["initial_samples"] = fresh + before
    state.parameters["value_unit"] = None
    state.driver = _driver(state.spec, state.parameters)
    state.check = GradientCheck(done=not state.parameters["check_grad"])
    state.spent = state.failures = state.failed_in_row = 0
    state.stop, state.parted, state.sigma, state.profile = None, False, None, None


def _give_up(state: State, entries: list[Entry], why: str, time: float) -> None:
    """Give up points that are open or wait; a result that comes later has no effect."""
    for entry in entries:
        if entry.id >= 0:
            state.ledger.fail(entry.id, why, time)
            state.expired.add(entry.id)
        if state.open.pop(entry.id, None) is None:
            state.queue.remove(entry)


def _profiled(state: State, event: Profiled) -> None:
    """Begin a profile; one that is under way is given up."""
    entries = [*state.open.values(), *state.queue]
    former = [entry for entry in entries if entry.kind == PROFILE]
    _give_up(state, former, "given up when another profile began", event.time)
    stop = state.stop
    if is_profiling(state) and state.profile is not None:
        stop = state.profile.stop
    if not driver_factory(state.spec.driver).fits:
        raise ProtocolError("the events do not fit this study: a profile of what is no fit")
    jac = bool(state.parameters["jac"])
    fits = _fits_of(state.spec)
    state.profile = profiling.begin(event, user_box(state), jac=jac, stop=stop, fits=fits)
    state.stop = None
    _end_profile(state, state.profile)


def _parted(state: State, _event: Parted) -> None:
    state.parted = False


def _late(_state: State, _event: Late) -> None:
    """Nothing: the suggestion was settled without it."""


_APPLY: Final[dict[type[Any], Callable[[State, Any], None]]] = {
    Asked: _asked,
    Recalled: _recalled,
    Told: _told,
    Failed: _failed,
    RoundAsked: _round_asked,
    RoundTold: _round_told,
    Released: _released,
    Added: _added,
    Configured: _configured,
    Stopped: _stopped,
    Resumed: _resumed,
    Suspended: _suspended,
    Late: _late,
    Renewed: _renewed,
    Profiled: _profiled,
    Parted: _parted,
}


# -- snapshots: a cache of the fold -------------------------------------------------------

_ENTRY_FIELDS: Final = ("id", "point", "run", "kind", "base", "index", "failures", "spent", "due")
_COUNTERS: Final = ("spent", "failures", "failed_in_row", "elapsed")


def to_dict(state: State) -> dict[str, Any]:
    """Return a state as strings, numbers and arrays."""
    return {
        "version": VERSION,
        "spec": state.spec.to_dict(),
        "parameters": _present(state),
        "driver": state.driver.to_dict(),
        "ledger": state.ledger.to_dict(),
        "check": gradient_check.to_dict(state.check),
        "open": [_entry_to_dict(entry) for entry in state.open.values()],
        "queue": [_entry_to_dict(entry) for entry in state.queue],
        "stop": None if state.stop is None else list(state.stop),
        "expired": sorted(state.expired),
        **({} if state.sigma is None else {"sigma": state.sigma.copy()}),
        **({} if state.profile is None else {"profile": state.profile.to_dict()}),
        **{name: getattr(state, name) for name in _COUNTERS},
    }


def _present(state: State) -> dict[str, Any]:
    """Return the parameters that can have changed."""
    present = {name: state.parameters[name] for name in parameters.LATER}
    present["initial_samples"] = [list(each) for each in present["initial_samples"]]
    return parameters.owned_by("study", state.parameters) | present


def from_dict(data: Mapping[str, Any]) -> State:
    """Return the state of which `to_dict` made `data`."""
    check_version(data, "snapshot of a study")
    with stored.restoring("study"):
        state = _restored(data)
        soundness.check(state, data["driver"])
    return state


def _restored(data: Mapping[str, Any]) -> State:
    spec = Spec.from_dict(data["spec"])
    entries = [_entry_from_dict(entry) for entry in data["open"]]
    return State(
        spec=spec,
        parameters=dict(spec.with_parameters(data["parameters"]).parameters),
        driver=without_undo(restore_driver(spec.driver, data["driver"])),
        ledger=Ledger.from_dict(data["ledger"], spec.space.size, sign=spec.sign),
        check=gradient_check.from_dict(data["check"]),
        out=Outstanding({entry.id: entry for entry in entries}),
        line=(deque(_entry_from_dict(entry) for entry in data["queue"]), None),
        stop=None if data["stop"] is None else _stop(data["stop"]),
        expired={stored.whole("expired", id) for id in data["expired"]},
        elapsed=stored.real("elapsed", data["elapsed"], 0.0, 1e300),
        spent=stored.whole("spent", data["spent"]),
        failures=stored.whole("failures", data["failures"]),
        failed_in_row=stored.whole("failed_in_row", data["failed_in_row"]),
        sigma=_sigma(data.get("sigma")),
        profile=_profile(data.get("profile"), spec),
        next_due=earliest_due(entries),
    )


def _fits_of(spec: Spec) -> UnderConstraints | WithinBounds:
    """Return what the fits of a profile are made of."""
    compiled = spec.compiled
    if compiled is not None and has_rows(compiled):
        return UnderConstraints(compiled)
    return WithinBounds(secant=spec.parameters["convergence_rule"] > 7)


def _profile(data: Any, spec: Spec) -> Profiling | None:
    if data is None:
        return None
    made = stored.mapping("profile", data)
    return Profiling.from_dict(made, spec.space.size, _fits_of(spec))


def _sigma(data: Any) -> FloatArray | None:
    if data is None:
        return None
    made = stored.array("sigma", data, (len(data),), finite=True)
    if not made.size or not (made > 0.0).all():
        raise ValueError("a standard deviation of residuals is not above 0")
    return made


def _stop(data: Any) -> tuple[str, str]:
    kind, reason = stored.rows("stop", data)
    return stored.text("stop", kind), stored.text("stop", reason)


def copied(state: State) -> State:
    """Return an independent copy, without the way over data that is also text."""
    return replace(
        state,
        parameters=dict(state.parameters),
        driver=without_undo(copy.copy(state.driver)),
        ledger=Ledger.from_dict(
            state.ledger.to_dict(), state.spec.space.size, sign=state.spec.sign
        ),
        check=gradient_check.from_dict(gradient_check.to_dict(state.check)),
        out=Outstanding({id: copy.copy(entry) for id, entry in state.open.items()}),
        line=(deque(copy.copy(entry) for entry in state.queue), None),
        expired=set(state.expired),
        profile=None if state.profile is None else _profile(state.profile.to_dict(), state.spec),
    )


def _entry_to_dict(entry: Entry) -> dict[str, Any]:
    return {"x": entry.x.copy(), **{name: getattr(entry, name) for name in _ENTRY_FIELDS}}


def _entry_from_dict(data: Mapping[str, Any]) -> Entry:
    x = stored.array("x", data["x"], (len(data["x"]),), finite=True)
    x.setflags(write=False)
    point = data["point"]
    return Entry(
        x=x,
        id=stored.whole("id", data["id"], -1),
        point=None if point is None else stored.whole("point", point, FOREIGN),
        run=stored.whole("run", data["run"], -1),
        kind=stored.one_of("kind", data["kind"], KINDS),
        spent=stored.flag("spent", data["spent"]),
        due=stored.real("due", data["due"]),
        base=stored.whole("base", data["base"]),
        index=stored.whole("index", data["index"], -1),
        failures=stored.whole("failures", data["failures"]),
    )
