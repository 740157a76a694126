"""The desk of a study: what happens is recorded here as events, and the state follows.

It knows no threads: `optdriver.study.study.Study` holds a lock round every call.  Every change goes
through `record`, which hands the event to the journal before it takes effect; what an event does
is written in `optdriver.study.fold`, what is handed out next in `optdriver.study.asking`, and what
is reported in `optdriver.study.results`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.drivers import driver_factory
from optdriver.errors import OptDriverError, ProtocolError
from optdriver.space.units import Unit
from optdriver.study import fold, limits, parameters, profiling, snapshots
from optdriver.study.events import (
    RESULTS,
    Configured,
    Drained,
    Event,
    Held,
    Journal,
    Keeper,
    Parted,
    Profiled,
    Renewed,
    Resumed,
    Stopped,
    Suspended,
    writable,
)
from optdriver.study.recall import File, Memory
from optdriver.study.spec import Spec
from optdriver.study.state import State

FloatArray = NDArray[np.float64]
Clock = Callable[[], float]

FIXED = {"constraints": "constraints", "domain": "space", "design_space": "space"}
"""What is no driver parameter and cannot be changed, and where the specification has it."""

WHOLE, UNDECIDED, RECORDING, BROKEN = range(4)
"""What an interrupt would leave now: a state that all events have led to; one after whose last
event it is still to be decided whether to stop; one that lacks an event, perhaps; one to be made
again."""

DECISIVE = (*RESULTS, Configured)
"""Events after which the study may stop."""

RESUMABLE = ("stop", "interrupt", "failures", "profile")
"""Kinds of stopping after which a study can simply go on."""


class Desk:
    """Records what happens to one study, and has the state to which that has led.

    Attributes
    ----------
    spec : Spec
        What the study is of.
    handing : list of int
        What a call hands out; in the next one it comes first, if it was not received.
    fits : bool
        Whether residuals are told.
    since : float or None
        When the clock would have shown no run time; None while it stands.
    unit : Unit or None
        That of the values, of parameters with a structure.
    """

    __slots__ = (
        "__weakref__", "_clock", "_journal", "_keeper", "_mark", "_record", "_state",
        "fits", "handing", "since", "spec", "unit",
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
        self.since: float | None = None
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
        return self._begun() if self._state is None else self._state

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
                self.since = None
            self._state = state
            self._mark = UNDECIDED if isinstance(last, DECISIVE) else WHOLE
        if self._mark == UNDECIDED:
            self.decide()

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

    @property
    def keeps_events(self) -> bool:
        """Whether events go into memory, a list or a file, and to no other journal."""
        return self._record.at_once

    def record_round(self, events: Sequence[Event]) -> None:
        """Record events of which all happen, or none, and decide whether to stop.

        One by one where the user's journal is neither a list nor a file.
        """
        self.record_all(events)
        if events:
            self.decide()

    def record_all(self, events: Sequence[Event]) -> None:
        """Record events, at once if the journal can."""
        if self.keeps_events and events:
            self.record(*events)
        else:
            for event in events:
                self.record(event)

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
            self.since = None
        self._mark = UNDECIDED if isinstance(event, DECISIVE) else WHOLE

    def _begun(self) -> State:
        """Return the present state as it is, made if it is wanted for the first time."""
        if self._state is None:
            self._state = fold.begin(self.spec)
        return self._state

    def begin_drawing(self, state: State) -> None:
        """Say that the driver will change before it can be recorded how."""
        self._record.rest(state)
        self._mark = BROKEN

    def end_drawing(self, state: State, event: Drained | Held | None) -> None:
        """Record what has changed the driver already; None where nothing has."""
        if event is not None:
            self._record.append(event)
            state.elapsed = event.time
        self._mark = WHOLE

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
            self.decide()

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
        if self.since is None or (anew and not self.has_begun):
            self.since = self._clock() - self.state.elapsed
        now = self.now()
        if anew and self.has_begun and now > self.parameters["max_time_from"]:
            self.configure({"max_time_from": now})

    def suspend(self) -> None:
        """Halt the clock."""
        now = self.now()
        if self.since is not None:
            event, self.since = Suspended(time=now), None
            self.record(event)

    @property
    def idle(self) -> bool:
        """Whether the study is only looked at, and no process goes on with it."""
        return self._keeper is not None and self._keeper.idle

    def now(self) -> float:
        """Return the run time in seconds."""
        return self.time(self.state)

    def time(self, state: State) -> float:
        """Return the run time in seconds, of the present state."""
        if self.since is None:
            return state.elapsed
        now, last = self._clock() - self.since, state.elapsed
        return now if now > last else last

    # -- the end, and after it ------------------------------------------------------------

    def stop(self, kind: str, reason: str) -> None:
        """Stop asking, if that has not happened yet."""
        if self.state.stop is None:
            self.record(Stopped(kind=kind, reason=writable(reason), time=self.now()))

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

    def decide(self) -> None:
        """Stop if the result just booked gives a reason."""
        state = self._begun() if self._state is None else self._state
        reason = limits.after_result(state) if state.stop is None else None
        if reason is not None:
            self.record(Stopped(kind=reason[0], reason=reason[1], time=self.time(state)))
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
