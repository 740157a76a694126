"""The desk of a study: decides what happens, and records it as events.

It knows no threads: `optdriver.study.study.Study` holds a lock round every call.  Every change goes
through `record`, which hands the event to the journal before it takes effect; what an event does
is written in `optdriver.study.fold`.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver.drivers import driver_factory
from optdriver.errors import InputError, OptDriverError, ProtocolError, UnknownIdError
from optdriver.multistart import admission
from optdriver.multistart.records import Fill, PointArrays
from optdriver.reading import real_number
from optdriver.space.description import describe_unit, rebuilt_unit
from optdriver.space.units import Unit, number_in, unit_of
from optdriver.study import (
    drawing,
    fold,
    handing_out,
    limits,
    memory,
    parameters,
    profiling,
    rounds,
    snapshots,
)
from optdriver.study.events import (
    RESULTS,
    Added,
    Asked,
    Configured,
    Drained,
    Event,
    Failed,
    Held,
    Journal,
    Keeper,
    Late,
    Parted,
    Profiled,
    Recalled,
    Released,
    Renewed,
    Resumed,
    RoundTold,
    Stopped,
    Suspended,
    Told,
)
from optdriver.study.ledger import FAILED, TOLD
from optdriver.study.observation import Where
from optdriver.study.recall import File, Memory
from optdriver.study.spec import Spec
from optdriver.study.state import (
    Entry,
    State,
    earliest_due,
    find,
    first_drawn,
    is_profiling,
    put_into_queue,
)

FloatArray = NDArray[np.float64]
Clock = Callable[[], float]
Point = tuple[
    FloatArray, float, FloatArray | None, FloatArray | None, FloatArray | None, FloatArray | None
]
"""Place, value, gradient, outputs, their derivatives, uncertainty where nothing was asked for."""

Observed = tuple[float | None, FloatArray | None, FloatArray | None, FloatArray | None]
"""Value, gradient, outputs and uncertainty of an evaluation that failed."""

NOTHING: Final[Observed] = (None, None, None, None)

Arrays = tuple[NDArray[np.int64], FloatArray]
"""Ids and points, a row each."""

FIXED = {"constraints": "constraints", "domain": "space", "design_space": "space"}
"""What is no driver parameter and cannot be changed, and where the specification has it."""

WHOLE, UNDECIDED, RECORDING, BROKEN = range(4)
"""What an interrupt would leave now: a state that all events have led to; one after whose last
event it is still to be decided whether to stop; one that lacks an event, perhaps; one to be made
again."""

DECISIVE = (*RESULTS, Configured)
"""Events after which the study may stop."""

RECALLED = 1000
"""So many points in a row are answered from memory in one call, and the next one is handed out."""

RESUMABLE = ("stop", "interrupt", "failures", "profile")
"""Kinds of stopping after which a study can simply go on."""


class Desk:
    """Asks the driver, checks the limits, books the results of one study.

    Attributes
    ----------
    spec : Spec
        What the study is of.
    handing : list of int
        What a call hands out; in the next one it comes first, if it was not received.
    fits : bool
        Whether residuals are told.
    unit : Unit or None
        That of the values, of parameters with a structure.
    """

    __slots__ = (
        "__weakref__", "_clock", "_journal", "_keeper", "_mark", "_record", "_since", "_state",
        "fits", "handing", "spec", "unit",
    )  # fmt: skip

    def __init__(
        self, spec: Spec, state: State | None, journal: Journal | None, clock: Clock
    ) -> None:
        self.spec = spec
        self._state = state
        self._journal = journal
        self._keeper = journal if isinstance(journal, Keeper) else None
        self._record = self._new_record()
        self._clock = clock
        self._since: float | None = None
        self._mark = WHOLE
        self.handing: list[int] = []
        self.fits = driver_factory(spec.driver).fits
        self.unit: Unit | None = None
        if self._keeper is not None and not self._keeper.read_only:
            self._keeper.attach(self.snapshot)

    def _new_record(self) -> Memory | File:
        """Return what the state can be restored from; it begins with the present one."""
        if self._keeper is not None:
            return File(self._keeper)
        return Memory(self._journal, self._state)

    @property
    def state(self) -> State:
        """The present state; made when it is first wanted, restored when a call was broken off."""
        if self._mark != WHOLE:
            self._settle()
        if self._state is None:
            self._state = fold.begin(self.spec)
        return self._state

    def _settle(self) -> None:
        """Do what a call that was broken off has left to be done.

        What was recorded has happened, and nothing else.
        """
        if self._mark != UNDECIDED:
            self._mark = BROKEN  # also while this goes on: it may be broken off itself
            self.spec, state, last = self._record.restored(self.spec)
            for id, entry in state.open.items():
                before = None if self._state is None else self._state.open.get(id)
                entry.here = id in self.handing or (before is not None and before.here)
            if type(last) is Suspended:
                self._since = None
            self._state = state
            self._mark = UNDECIDED if isinstance(last, DECISIVE) else WHOLE
        if self._mark == UNDECIDED:
            self._decide()

    @property
    def has_begun(self) -> bool:
        """True once something has happened that depends on the specification."""
        state = self._state
        return state is not None and bool(
            state.ledger.size or state.queue or state.stop or state.elapsed
        )

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The present driver parameters."""
        return self.spec.parameters if self._state is None else self._state.parameters

    def record_round(self, events: list[Event]) -> None:
        """Record events of which all happen, or none, and decide whether to stop.

        One by one where the user's journal is neither a list nor a file.
        """
        if self._record.at_once and events:
            self.record(*events)
        else:
            for event in events:
                self.record(event)
        if events:
            self._decide()

    def record(self, event: Event, *more: Event) -> None:
        """Journal an event, or several at once, then let them take effect.

        From here to the end, what an interrupt leaves is not trusted.
        """
        state = self._begun() if self._state is None else self._state
        if state.parted and type(event) is not Parted:
            self.record(Parted(time=state.elapsed))
        before = self._mark
        if before == WHOLE:
            self._record.rest(state)
        if before != BROKEN:
            self._mark = RECORDING
        try:
            self._record.append(event, *more)
        except OptDriverError:
            self._mark = BROKEN if self._record.in_doubt else before
            raise
        fold.apply(state, event)
        for another in more:
            fold.apply(state, another)
        if type(event) is Suspended:
            self._since = None
        self._mark = UNDECIDED if isinstance(event, DECISIVE) else WHOLE

    def _begun(self) -> State:
        """Return the present state as it is."""
        if self._state is None:
            self._state = fold.begin(self.spec)
        return self._state

    def snapshot(self) -> dict[str, Any] | None:
        """Return what the journal may keep; None where the state cannot be trusted."""
        if self._state is None or self._state.parted or self._mark == BROKEN:
            return None
        return snapshots.to_dict(self._state)

    # -- configuration and clock ----------------------------------------------------------

    def configure(self, given: Mapping[str, Any]) -> None:
        """Change driver parameters: all of them before anything happened, later the limits."""
        for name in FIXED:
            if name in given:
                raise ProtocolError(
                    f"{name!r} of an existing study cannot be changed (it has "
                    f"{self.spec.to_dict()[FIXED[name]]!r}); create a new study"
                )
        if not self.has_begun:
            spec = self.spec.with_parameters(given)
            if self._keeper is not None and spec.parameters != self.spec.parameters:
                fold.begin(spec)  # what the driver refuses is not kept
                self._mark = BROKEN
                self._keeper.respecify(spec.to_dict())
            self._state = None
            self.spec = spec
            self._record = self._new_record()
            self._mark = WHOLE
            return
        changed = self._changes(given)
        if changed:
            self.record(Configured(parameters=changed, time=self.now()))
            self._decide()

    def _changes(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters that are to be changed; refuse what cannot be, or not any more."""
        checked = self.spec.with_parameters(given).parameters
        state = self.state
        names = [parameters.ALIASES.get(name, name) for name in given]
        wanted = {name: checked[name] for name in names}
        if "initial_samples" in wanted:  # those that were given before stay
            before = state.parameters["initial_samples"]
            added = tuple(each for each in wanted["initial_samples"] if each not in before)
            wanted["initial_samples"] = before + added
        changed = {name: new for name, new in wanted.items() if new != state.parameters[name]}
        for name in changed:
            owner = parameters.TABLE[name].owner
            if (owner != "study" and name not in parameters.LATER) or name in parameters.FIXED:
                raise ProtocolError(
                    f"{name!r} cannot be changed once the study has begun; create a new study, and "
                    "take over what this one has evaluated with new.add_history(this)"
                )
        if for_driver := fold.for_driver(state, changed):
            copy.copy(state.driver).configure(**for_driver)  # what it refuses is not recorded
        if "initial_samples" in changed:
            changed["initial_samples"] = [list(each) for each in changed["initial_samples"]]
        return changed

    def start_clock(self, *, anew: bool = False) -> None:
        """Count run time from now on, and `max_time` too if `anew`."""
        if self._since is None or (anew and not self.has_begun):
            self._since = self._clock() - self.state.elapsed
        now = self.now()
        if anew and self.has_begun and now > self.parameters["max_time_from"]:
            self.configure({"max_time_from": now})

    def suspend(self) -> None:
        """Halt the clock."""
        now = self.now()
        if self._since is not None:
            event, self._since = Suspended(time=now), None
            self.record(event)

    @property
    def idle(self) -> bool:
        """Whether the study is only looked at, and no process goes on with it."""
        return self._keeper is not None and self._keeper.idle

    def now(self) -> float:
        """Return the run time in seconds."""
        return self._time(self.state)

    def _time(self, state: State) -> float:
        if self._since is None:
            return state.elapsed
        now, last = self._clock() - self._since, state.elapsed
        return now if now > last else last

    # -- asking ---------------------------------------------------------------------------

    def ask(self, place: int = 0, *, fill: bool = False) -> Entry | None:
        """Hand out the next point; None if there is none now.

        Parameters
        ----------
        fill : bool
            There is one as long as the study is not done: `num_parallel` and
            `max_num_minimizers` do not matter.
        place : int
            How many points the caller has got before in the same call.  Until it sets `handing`
            to an empty list it may not have received them: then they come first in its next call.
        """
        state = self.state
        if place < len(self.handing) and (again := self._handed(state, place)) is not None:
            return again
        if state.stop is None:
            self._expire(state)
        if state.stop is not None or limits.capped(state):
            return None
        if len(state.out) >= state.parameters["num_parallel"] and not fill:
            return None
        now = self._asking(state)
        if now is None:
            return None
        fills = drawing.fills(state, everything=fill)
        entry = self._next(state, now, fills)
        for _ in range(RECALLED):
            if entry is None or not self._recall(state, entry, now):
                break
            entry = None if state.stop is not None else self._next(state, now, fills)
        if entry is not None:
            id = state.ledger.size if entry.id < 0 else entry.id
            self.handing.append(id)
            entry.here = True
            self.record(
                Asked(id=id, point=entry.point, run=entry.run, kind=entry.kind, x=entry.x, time=now)
            )
        return entry

    def _asking(self, state: State) -> float | None:
        """Let the clock go, and return its time; None where a limit of time ends the study."""
        if self._since is None:
            self.start_clock()
        now = self._time(state)
        reason = limits.before_asking(state, now)
        if reason is None:
            return now
        self.stop(*reason)
        return None

    def ask_round(self, wanted: float, *, fill: bool = False) -> Arrays:
        """Hand out up to `wanted` points as one event; return ids and points.  See `ask`."""
        state = self.state
        if self._handed(state, 0) is not None:
            return self._handed_again(state, wanted)
        if state.stop is None:
            self._expire(state)
        room = wanted if fill else min(wanted, state.parameters["num_parallel"] - len(state.out))
        room = min(room, state.parameters["max_iter"] - state.spent - len(state.out))
        if state.stop is not None or room <= 0:
            return _no_points(state)
        if room == math.inf:
            raise InputError("say how many points are wanted: ask_arrays(n), or set num_parallel")
        now = self._asking(state)
        if now is None:
            return _no_points(state)
        return self._next_round(state, now, int(room), drawing.fills(state, everything=fill))

    def _handed_again(self, state: State, wanted: float) -> Arrays:
        """Return what was handed out by a call that was broken off."""
        self.handing = [id for id in self.handing if id in state.open]
        ids = np.array(self.handing[: int(min(wanted, len(self.handing)))], dtype=np.int64)
        return ids, state.ledger.x[ids]

    def _recall(self, state: State, entry: Entry, now: float) -> bool:
        """Answer a point from memory, if it is known; return whether it was."""
        source = memory.known_at(state, entry)
        if source is None or entry.point is None:
            return False
        self.record(
            Recalled(
                source=source,
                point=entry.point,
                run=entry.run,
                kind=entry.kind,
                x=entry.x,
                time=now,
            )
        )
        self._decide()
        return True

    def _next_round(self, state: State, now: float, room: int, fills: tuple[Fill, ...]) -> Arrays:
        """Hand out the first `room` points of the queue, drawn where they are not there."""
        fresh = self._unknown_round(state, now, room, fills)
        if state.stop is not None:
            return _no_points(state)
        if fresh is None and not state.parameters["eps"]:
            fresh = first_drawn(state, room)
        entries = [] if fresh is not None else list(itertools.islice(state.queue, room))
        if not entries and fresh is None:
            reason = limits.driver_ended(state)
            if reason is not None:
                self.stop(*reason)
            return _no_points(state)
        stopping = None
        if state.parameters["eps"] > 0.0:
            for count, entry in enumerate(entries):
                stopping = limits.too_close(state, entry.x, entry.kind)
                if stopping is not None:
                    entries = entries[:count]
                    break
        event = handing_out.round_of(state, entries, fresh, wanted=room, fills=len(fills), time=now)
        ids = event.ids.tolist()
        self.handing.extend(ids)
        self.record(event)
        for whole in state.out.whole(ids):
            whole.here = True
        for id in () if state.out.whole(ids) else ids:
            state.open[id].here = True
        if stopping is not None:
            self.stop(*stopping)
        return event.ids.copy(), event.matrix.copy()

    def _unknown_round(
        self, state: State, now: float, room: int, fills: tuple[Fill, ...]
    ) -> PointArrays | None:
        """Draw points until there are `room`, those not counted that memory answers.

        Return them as `_draw_round` does.
        """
        fresh, left = None, RECALLED
        while True:
            if state.queued < room:
                fresh = self._draw_round(state, now, room, fills)
            if not memory.any_known(state, fresh) or left <= 0:
                return fresh
            if fresh is not None:
                put_into_queue(state, fresh)
            self.record(
                handing_out.round_of(state, [], None, wanted=room, fills=len(fills), time=now)
            )
            for entry in memory.may_be_known(state):
                if state.stop is None and left > 0:
                    left -= self._recall(state, entry, now)
            if state.stop is not None:
                return None
            fresh = None

    def _draw_round(
        self, state: State, now: float, room: int, fills: tuple[Fill, ...]
    ) -> PointArrays | None:
        """Draw points until there are `room`; return what is not in the queue, see `_draw`."""
        self._record.rest(state)
        self._mark = BROKEN
        before = state.driver.turns
        fresh = drawing.draw_round(state, room, fills)
        if state.queued or (fresh is not None and fresh.ids):
            return fresh
        if state.driver.turns != before:
            self._record.append(Drained(fills=len(fills), time=now))
            state.elapsed = now
        self._mark = WHOLE
        return None

    def _handed(self, state: State, place: int) -> Entry | None:
        """Return what was handed out by a call that was broken off, None if nothing is left."""
        handing = self.handing
        while place < len(handing):
            entry = state.open.get(handing[place])
            if entry is not None:
                return entry
            del handing[place]
        return None

    def not_received(self, ids: list[int]) -> None:
        """Let these suggestions come first in the next call."""
        self.handing = list(dict.fromkeys([*ids, *self.handing]))

    def _expire(self, state: State) -> None:
        """Take note of leases that have run out."""
        if state.next_due == math.inf or not len(state.out):
            return
        if self._since is None:
            self.start_clock()
        now = self.now()
        if now < state.next_due:
            return
        for entry in [entry for entry in state.open.values() if entry.due <= now]:
            retry = entry.failures < state.parameters["worker_retries"]
            reason = f"its lease ended after {entry.due:g} s of run time without a report"
            self.record(
                Failed(
                    id=entry.id, reason=reason, retry=retry, counted=True, time=now, expired=True
                )
            )
            self._decide()
        state.next_due = earliest_due(state.open.values())

    def _next(self, state: State, now: float, fills: tuple[Fill, ...]) -> Entry | None:
        """Return the first entry of the queue, drawn if it is empty; None if there is none."""
        queue = state.queue
        drawn = not queue
        if drawn and self._draw(state, now, fills) is None:
            reason = limits.driver_ended(state)
            if reason is not None:
                self.stop(*reason)
            return None
        entry = queue[0]
        if state.parameters["eps"] > 0.0:
            reason = limits.too_close(state, entry.x, entry.kind)
            if reason is not None:
                if drawn:
                    self._record_held(state, entry, now)
                self.stop(*reason)
                return None
        return entry

    def _draw(
        self, state: State, now: float, fills: tuple[Fill, ...] = drawing.FILLS[:1]
    ) -> Entry | None:
        """Draw the next point; that there is none is a fact if finding out changed the driver."""
        self._record.rest(state)
        self._mark = BROKEN  # until it is recorded what was drawn
        before = state.driver.turns
        entry = drawing.draw(state, fills)
        if entry is None:
            if state.driver.turns != before:
                self._record.append(Drained(fills=len(fills), time=now))
                state.elapsed = now
            self._mark = WHOLE
        return entry

    def _record_held(self, state: State, entry: Entry, now: float) -> None:
        """Record a point that was drawn, which is the whole effect of the event."""
        if entry.point is not None:
            self._record.append(
                Held(point=entry.point, run=entry.run, kind=entry.kind, x=entry.x, time=now)
            )
        state.elapsed = now
        self._mark = WHOLE

    def is_done(self) -> bool:
        """Return whether no more points will be handed out; may find a reason to stop."""
        state = self.state
        if self.handing and self._handed(state, 0) is not None:
            return False
        if state.stop is not None or limits.capped(state):
            return True
        reason = limits.before_asking(state, self.now()) or limits.driver_ended(state)
        if reason is not None:
            self.stop(*reason)
        elif state.parameters["eps"] > 0.0 and not is_profiling(state):
            self._look_ahead()
        return state.stop is not None

    def _look_ahead(self) -> None:
        """Draw the next point to see whether it lies too close to the best one."""
        state, now = self.state, self.now()
        if not state.queue:
            if self._draw(state, now) is None:
                return
            self._record_held(state, state.queue[0], now)
        reason = limits.too_close(state, state.queue[0].x, state.queue[0].kind)
        if reason is not None:
            self.stop(*reason)

    def why_done(self) -> str:
        """Return why no more points will be handed out."""
        if self.state.stop is not None:
            return self.state.stop[1]
        return f"max_iter = {self.state.parameters['max_iter']} evaluations have ended or are open"

    def how_to_go_on(self) -> str:
        """Return what would let a study that is done go on."""
        stop = self.state.stop
        return limits.how_to_go_on("max_iter" if stop is None else stop[0])

    def stop(self, kind: str, reason: str) -> None:
        """Stop asking, if that has not happened yet."""
        if self.state.stop is None:
            self.record(Stopped(kind=kind, reason=_writable(reason), time=self.now()))

    def resume(self) -> None:
        """Go on after a stop that was no limit."""
        stop = self.state.stop
        if stop is not None and stop[0] in RESUMABLE:
            self.record(Resumed(time=self.now()))

    def renew(self, starts: FloatArray) -> None:
        """Keep what was observed as that of a former objective, and begin anew at `starts`."""
        if not self.has_begun:
            return
        self.record(Renewed(starts=starts, time=self.now()))
        self.handing.clear()
        self.unit = None

    def begin_profile(self, event: Profiled) -> None:
        """Begin a profile, unless it is the one that is under way or was made last."""
        if not profiling.is_same(self.state.profile, event):
            self.record(event)

    # -- results --------------------------------------------------------------------------

    def check_id(self, id: Any) -> None:
        """Refuse an id that was never handed out."""
        size = self.state.ledger.size
        known = type(id) is int or (isinstance(id, Integral) and not isinstance(id, bool))
        if not known or not 0 <= id < size:
            raise UnknownIdError(
                f"unknown suggestion id {id!r}: {size} have been handed out, counted from 0"
            )

    def check_ids(self, ids: list[int]) -> None:
        """Refuse ids of which one was never handed out."""
        if ids and not 0 <= min(ids) <= max(ids) < self.state.ledger.size:
            for id in ids:
                self.check_id(id)

    def check_point(self, id: int, given: Any) -> None:
        """Refuse a point that is not the one of suggestion `id`."""
        self.check_id(id)
        x = self.state.ledger.x[id]
        if not np.array_equal(self.spec.space.vector(given), x):
            raise InputError(
                f"suggestion {id} is at {x.tolist()}, but the point given is {given!r}"
            )

    def where(self, id: int) -> Where:
        """Return where derivatives of suggestion `id` belong."""
        space = self.spec.space
        if space.structure is None:
            return Where(space)
        return Where(space, self.state.ledger.x[id], self.unit)

    def value_in_unit(self, value: Any) -> float:
        """Return the number of a value with a unit, in the unit of the first one that had one.

        Raises
        ------
        InputError
            There are values without a unit, or the unit is one of another kind.
        """
        given, known = unit_of(value), self.parameters["value_unit"]
        if given is not None and known is None:
            if self.state.ledger.best >= 0:
                raise InputError(f"the value is {value!r}, and those told before have no unit")
            self.configure({"value_unit": describe_unit(given)})
            self.unit = given
        elif given is not None and self.unit is None:
            same = known == describe_unit(given)
            self.unit = given if same else rebuilt_unit(known["library"], known["unit"])
        return real_number("the value", number_in(value, self.unit, "the value"))

    def told(
        self,
        id: int,
        value: float,
        gradient: FloatArray | None,
        residuals: FloatArray | None = None,
        jacobian: FloatArray | None = None,
        outputs: FloatArray | None = None,
        slopes: FloatArray | None = None,
        uncertainty: FloatArray | None = None,
    ) -> None:
        """Book a result; accept a repeated one, refuse a different one."""
        state = self.state
        if id not in state.out.by_id and find(state, id) is None:
            self._check_same(id, value, gradient, outputs, uncertainty)
            return
        self.record(
            Told(
                id=id,
                value=value,
                gradient=gradient,
                time=self._time(state),
                residuals=residuals,
                jacobian=jacobian,
                outputs=outputs,
                slopes=slopes,
                uncertainty=uncertainty,
            )
        )
        self._decide()

    @property
    def residuals(self) -> int:
        """How many residuals are told at each point; 0 before the first."""
        return int(getattr(self.state.driver, "residuals", 0))

    def _check_same(
        self,
        id: int,
        value: float,
        gradient: FloatArray | None,
        outputs: FloatArray | None = None,
        uncertainty: FloatArray | None = None,
    ) -> None:
        ledger = self.state.ledger
        if id in self.state.expired:
            self.record(Late(id=id, value=value, gradient=gradient, time=self.now()))
            return
        if ledger.state[id] == FAILED:
            raise ProtocolError(
                f"suggestion {id} was reported as failed ({ledger.reasons[id]}); "
                f"the value {value!r} cannot be taken any more"
            )
        if ledger.value[id] != value or not _equal(ledger.gradient_of(id), gradient):
            raise ProtocolError(
                f"suggestion {id} has been told already, with another result "
                f"(the value {float(ledger.value[id])!r}, now {value!r})"
            )
        told = None if uncertainty is None or self.fits else float(uncertainty[0])
        if told != ledger.uncertainty_of(id):
            raise ProtocolError(
                f"suggestion {id} has been told already, with another uncertainty (the standard "
                f"deviation {ledger.uncertainty_of(id)!r}, now {told!r})"
            )
        if outputs is None or ledger.outputs is None:
            return
        known = ledger.outputs[id]
        if not np.array_equal(known, outputs, equal_nan=True):
            raise ProtocolError(
                f"suggestion {id} has been told already, with other outputs ({known.tolist()}, now "
                f"{outputs.tolist()})"
            )

    def failed(
        self,
        id: int,
        reason: str,
        retries: int,
        *,
        observed: Observed = NOTHING,
        expired: bool = False,
    ) -> None:
        """Book a failed evaluation; the point is tried again while it has failed `retries` times.

        A suggestion that waits for its next try is known to have failed.  A finite value that was
        `observed` with a gradient that cannot be used is kept.  A value that comes after all is
        recorded where the failure was only `expired`: that nothing was heard.
        """
        state = self.state
        entry = find(state, id)
        if entry is None:
            self._check_failed(id, reason)
            return
        waits_for_next_try = id not in state.open and entry.failures > 0
        if retries == 0 or not waits_for_next_try:
            value, gradient, outputs, uncertainty = observed
            if value is None or not math.isfinite(value):
                value, gradient, outputs, uncertainty = NOTHING
            self.record(
                Failed(
                    id=id,
                    reason=_writable(reason),
                    retry=entry.failures < retries,
                    counted=True,
                    time=self.now(),
                    value=value,
                    gradient=gradient,
                    outputs=outputs,
                    uncertainty=uncertainty,
                    expired=expired,
                )
            )
            self._decide()

    def _check_failed(self, id: int, reason: str) -> None:
        ledger = self.state.ledger
        if ledger.state[id] == TOLD:
            raise ProtocolError(
                f"suggestion {id} has been told already (the value {float(ledger.value[id])!r}); "
                f"it cannot fail any more ({reason})"
            )

    def told_round(
        self,
        ids: list[int],
        values: FloatArray,
        gradients: FloatArray | None,
        reason: str = "",
        uncertainties: FloatArray | None = None,
        put: tuple[FloatArray | None, FloatArray | None] = (None, None),
    ) -> None:
        """Book results, a row each, as one event; accept repeated ones, refuse different ones."""
        state, (outputs, slopes) = self.state, put
        if not state.out.whole(ids) and not all(map(state.open.__contains__, ids)):
            rows = [k for k, id in enumerate(ids) if find(state, id) is not None]
            for k in sorted(set(range(len(ids))).difference(rows)):
                gradient = None if gradients is None else gradients[k]
                known = None if uncertainties is None else uncertainties[k : k + 1]
                shown = None if outputs is None else outputs[k]
                self._check_repeated(ids[k], float(values[k]), gradient, known, shown)
            ids, values = [ids[k] for k in rows], values[rows]
            gradients = None if gradients is None else gradients[rows]
            uncertainties = None if uncertainties is None else uncertainties[rows]
            outputs = None if outputs is None else outputs[rows]
            slopes = None if slopes is None else slopes[rows]
        if ids:
            numbers = np.array(ids, dtype=np.int64)
            self.record(
                RoundTold(
                    ids=numbers,
                    values=values,
                    gradients=gradients,
                    reason=_writable(reason),
                    time=self.now(),
                    uncertainties=uncertainties,
                    output_rows=outputs,
                    slope_rows=slopes,
                )
            )
            self._decide()

    def _check_repeated(
        self,
        id: int,
        value: float,
        gradient: FloatArray | None,
        uncertainty: FloatArray | None,
        outputs: FloatArray | None,
    ) -> None:
        """Refuse another result than the one that is known of a suggestion."""
        reason = describe_failure(value, gradient, self.spec.space.free)
        if reason is None:
            told = None if uncertainty is None or np.isnan(uncertainty[0]) else uncertainty
            self._check_same(id, value, gradient, outputs, told)
        else:
            self._check_failed(id, reason)

    def clear(self, ids: list[int], reason: str) -> None:
        """Give open suggestions up, all or none; together they count as one failure in a row."""
        now, reason = self.now(), _writable(reason)
        self.record_round(
            [
                Failed(id=id, reason=reason, retry=False, counted=number == 0, time=now)
                for number, id in enumerate(ids)
            ]
        )

    def release(self, ids: list[int], *, spent: bool) -> None:
        """Take open suggestions back, all or none, to hand them out again."""
        for id in ids:
            if id not in self.state.open:
                raise ProtocolError(f"suggestion {id} is not open, so it cannot be released")
        now = self.now()
        self.record_round([Released(id=id, spent=spent, time=now) for id in ids])

    def add(self, points: list[Point]) -> list[int]:
        """Book evaluations that were not asked for, all or none; return their ids."""
        for x, *_ in points:
            admission.check_added(self.spec.compiled, x)
        first, now = self.state.ledger.size, self.now()
        self.record_round(
            [
                Added(
                    id=first + k,
                    x=x,
                    value=value,
                    gradient=gradient,
                    outputs=outputs,
                    slopes=slopes,
                    time=now,
                    uncertainty=uncertainty,
                )
                for k, (x, value, gradient, outputs, slopes, uncertainty) in enumerate(points)
            ]
        )
        return list(range(first, first + len(points)))

    def _decide(self) -> None:
        """Stop if the result just booked gives a reason."""
        state = self._begun() if self._state is None else self._state
        reason = limits.after_result(state) if state.stop is None else None
        if reason is not None:
            self.record(Stopped(kind=reason[0], reason=reason[1], time=self._time(state)))
        self._mark = WHOLE

    # -- suspension -----------------------------------------------------------------------

    @property
    def is_kept(self) -> bool:
        """Whether there is a file, or what is like one."""
        return self._keeper is not None

    @property
    def journal(self) -> Journal | None:
        """Where events go."""
        return self._journal

    def close(self) -> None:
        """Halt the clock, and end the journal."""
        keeper = self._keeper
        if keeper is not None:
            try:
                if not (keeper.closed or keeper.read_only):
                    self.suspend()
            finally:
                keeper.close()

    def to_dict(self) -> dict[str, Any]:
        """Return the state, with the run time of this moment."""
        return snapshots.to_dict(self.state) | {"elapsed": self.now()}


def _no_points(state: State) -> Arrays:
    return np.array([], dtype=np.int64), np.empty((0, state.spec.space.size))


def _writable(reason: str) -> str:
    """Return a text that can be written; names of files need not be Unicode."""
    return reason.encode("utf-8", "backslashreplace").decode()


def _equal(known: FloatArray | None, new: FloatArray | None) -> bool:
    if known is None or new is None:
        return known is new
    return np.array_equal(known, new)


def describe_failure(
    value: float | None, gradient: FloatArray | None, names: tuple[str, ...]
) -> str | None:
    """Return what is not finite about a result, None if it can be used."""
    if value is None:
        return "the evaluation reported no value"
    if not math.isfinite(value):
        return rounds.why_unusable(value, gradient, names)
    if gradient is None or (gradient.size < 50 and math.isfinite(sum(gradient.tolist()))):
        return None  # where gradients are short, the sum is the quickest way to see it
    finite = np.isfinite(gradient)
    if finite.all():
        return None
    return rounds.why_unusable(value, gradient, names)
