"""What is handed out next: points that were asked before, those that wait, and new ones.

What decides whether there is a next point stands here; `optdriver.study.desk` records it.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError
from optdriver.multistart.records import Fill, PointArrays
from optdriver.study import drawing, handing_out, limits, memory
from optdriver.study.events import Asked, Drained, Failed, Held, Postponed, Recalled
from optdriver.study.state import (
    Entry,
    State,
    earliest_due,
    first_drawn,
    is_profiling,
    put_into_queue,
)

if TYPE_CHECKING:
    from optdriver.study.desk import Desk

Arrays = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Ids and points, a row each."""

RECALLED = 1000
"""So many points in a row are known in one call, and the next one is handed out."""


def ask(desk: Desk, place: int = 0, *, fill: bool = False) -> Entry | None:
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
    state = desk.state
    if place < len(desk.handing) and (again := _handed(desk, state, place)) is not None:
        return again
    if state.stop is None and state.next_due < math.inf:
        _expire(desk, state)
    if state.stop is not None or limits.capped(state):
        return None
    if len(state.out) >= state.parameters["num_parallel"] and not fill:
        return None
    now = _asking(desk, state)
    if now is None:
        return None
    fills = drawing.fills(state, everything=fill)
    entry = _next(desk, state, now, fills)
    for _ in range(RECALLED):
        if entry is None or (found := memory.at(state, entry)) is None:
            break
        _answer(desk, entry, found, now)
        entry = None if state.stop is not None else _next(desk, state, now, fills)
    if entry is None and fill:
        entry = _set_aside(state)
    return None if entry is None else _hand_out(desk, state, entry, now)


def _hand_out(desk: Desk, state: State, entry: Entry, now: float) -> Entry:
    """Hand out a point by itself."""
    id = state.ledger.size if entry.id < 0 else entry.id
    desk.handing.append(id)
    entry.here = True
    desk.record(
        Asked(id=id, point=entry.point, run=entry.run, kind=entry.kind, x=entry.x, time=now)
    )
    return entry


def _asking(desk: Desk, state: State) -> float | None:
    """Let the clock go, and return its time; None where a limit of time ends the study."""
    if desk.since is None:
        desk.start_clock()
    now = desk.time(state)
    reason = limits.before_asking(state, now)
    if reason is None:
        return now
    desk.stop(*reason)
    return None


def ask_round(desk: Desk, wanted: float, *, fill: bool = False) -> Arrays:
    """Hand out up to `wanted` points as one event; return ids and points.  See `ask`."""
    state = desk.state
    if _handed(desk, state, 0) is not None:
        return _handed_again(desk, state, wanted)
    if state.stop is None and state.next_due < math.inf:
        _expire(desk, state)
    room = wanted if fill else min(wanted, state.parameters["num_parallel"] - len(state.out))
    room = min(room, state.parameters["max_iter"] - state.spent - len(state.out))
    if state.stop is not None or room <= 0:
        return _no_points(state)
    if room == math.inf:
        raise InputError("say how many points are wanted: ask_arrays(n), or set num_parallel")
    now = _asking(desk, state)
    if now is None:
        return _no_points(state)
    return _next_rounds(desk, state, now, int(room), drawing.fills(state, everything=fill))


def _handed_again(desk: Desk, state: State, wanted: float) -> Arrays:
    """Return what was handed out by a call that was broken off."""
    desk.handing = [id for id in desk.handing if id in state.open]
    ids = np.array(desk.handing[: int(min(wanted, len(desk.handing)))], dtype=np.int64)
    return ids, state.ledger.x[ids]


def _answer(desk: Desk, entry: Entry, found: memory.Found, now: float) -> None:
    """Answer a point from memory, or set it aside."""
    desk.record(_known(entry, found, now))
    if not found[1]:
        desk.decide()


def _known(entry: Entry, found: memory.Found, now: float) -> Recalled | Postponed:
    """Return the event of a point of the driver's of which something is known."""
    source, awaited, point = found
    kind = Postponed if awaited else Recalled
    return kind(source=source, point=point, run=entry.run, kind=entry.kind, x=entry.x, time=now)


def _without_postponed(desk: Desk, state: State, entries: list[Entry], now: float) -> list[Entry]:
    """Set those points aside, at once, at which a suggestion is open; return the others."""
    events, others = [], []
    for entry in entries:
        found = memory.at(state, entry)
        if found is not None and found[1]:
            events.append(_known(entry, found, now))
        else:
            others.append(entry)
    desk.record_all(events)
    return others


def _set_aside(state: State) -> Entry | None:
    """Return the first point that is set aside, None if there is none or the study has stopped."""
    if state.stop is not None or not state.aside:
        return None
    return next(iter(state.aside.values()))[0]


def _next_rounds(
    desk: Desk, state: State, now: float, room: int, fills: tuple[Fill, ...]
) -> Arrays:
    """Hand out `room` points, as one round if they are all at different places."""
    ids, x = _next_round(desk, state, now, room, fills)
    while 0 < len(ids) < room and state.queued and state.stop is None:
        more, beside = _next_round(desk, state, now, room - len(ids), fills)
        if not len(more):
            break
        ids, x = np.concatenate([ids, more]), np.concatenate([x, beside])
    while len(ids) < room and True in fills and (entry := _set_aside(state)) is not None:
        again = _hand_out(desk, state, entry, now)
        ids, x = np.append(ids, again.id), np.vstack([x, again.x])
    return ids, x


def _next_round(desk: Desk, state: State, now: float, room: int, fills: tuple[Fill, ...]) -> Arrays:
    """Hand out the first `room` points of the queue, drawn where they are not there.

    They are fewer where two of them are at one place: the second one waits for the first.
    """
    fresh = _unknown_round(desk, state, now, room, fills)
    if state.stop is not None:
        return _no_points(state)
    if fresh is None and not state.parameters["eps"]:
        fresh = first_drawn(state, room)
        fresh = None if fresh is None else fresh.part(slice(memory.different(state, fresh.x)))
    entries = [] if fresh is not None else _different(state, room)
    if not entries and fresh is None:
        reason = limits.driver_ended(state)
        if reason is not None:
            desk.stop(*reason)
        return _no_points(state)
    stopping = None
    if state.parameters["eps"] > 0.0:
        for count, entry in enumerate(entries):
            stopping = limits.too_close(state, entry.x, entry.kind)
            if stopping is not None:
                entries = entries[:count]
                break
    wanted = min(room, state.queued) if memory.is_full(state) else room
    event = handing_out.round_of(state, entries, fresh, wanted=wanted, fills=len(fills), time=now)
    ids = event.ids.tolist()
    desk.handing.extend(ids)
    desk.record(event)
    for whole in state.out.whole(ids):
        whole.here = True
    for id in () if state.out.whole(ids) else ids:
        state.open[id].here = True
    if stopping is not None:
        desk.stop(*stopping)
    return event.ids.copy(), event.matrix.copy()


def _different(state: State, room: int) -> list[Entry]:
    """Return the first points of the queue, up to one where another of them is."""
    entries = list(itertools.islice(state.queue, room))
    new = [k for k, entry in enumerate(entries) if entry.id < 0 and entry.point is not None]
    if len(new) > 1:
        count = memory.different(state, np.array([entries[k].x for k in new]))
        return entries[: new[count] if count < len(new) else None]
    return entries


def _unknown_round(
    desk: Desk, state: State, now: float, room: int, fills: tuple[Fill, ...]
) -> PointArrays | None:
    """Draw points until there are `room`, those not counted that memory answers.

    Return them as `_draw_round` does.
    """
    fresh, left = None, RECALLED
    while True:
        draws = state.queued < room and not memory.is_full(state)
        if draws and left > 0 and state.queued and state.parameters["memory_rule"] > 1:
            draws = not memory.any_known(state, None)  # these first, as before an interruption
        if draws:
            fresh = _draw_round(desk, state, now, room, fills)
        twice = fresh is not None and memory.different(state, fresh.x) < len(fresh.ids)
        if not twice and (left <= 0 or not memory.any_known(state, fresh)):
            return fresh
        if fresh is not None:
            put_into_queue(state, fresh)
        if draws:
            nobody = handing_out.round_of(state, [], None, wanted=room, fills=len(fills), time=now)
            desk.record(nobody)
        waiting = memory.may_be_known(state)
        others = _without_postponed(desk, state, waiting, now)
        left -= len(waiting) - len(others)
        for entry in others:
            if state.stop is None and left > 0 and (found := memory.at(state, entry)) is not None:
                _answer(desk, entry, found, now)
                left -= 1
        if state.stop is not None:
            return None
        fresh = None


def _draw_round(
    desk: Desk, state: State, now: float, room: int, fills: tuple[Fill, ...]
) -> PointArrays | None:
    """Draw points until there are `room`; return what is not in the queue, see `_draw`."""
    desk.begin_drawing(state)
    before = state.driver.turns
    fresh = drawing.draw_round(state, room, fills)
    if state.queued or (fresh is not None and fresh.ids):
        return fresh
    found_out = state.driver.turns != before
    desk.end_drawing(state, Drained(fills=len(fills), time=now) if found_out else None)
    return None


def _handed(desk: Desk, state: State, place: int) -> Entry | None:
    """Return what was handed out by a call that was broken off, None if nothing is left."""
    handing = desk.handing
    while place < len(handing):
        entry = state.open.get(handing[place])
        if entry is not None:
            return entry
        del handing[place]
    return None


def not_received(desk: Desk, ids: list[int]) -> None:
    """Let these suggestions come first in the next call."""
    desk.handing = list(dict.fromkeys([*ids, *desk.handing]))


def _expire(desk: Desk, state: State) -> None:
    """Take note of leases that have run out."""
    if not len(state.out):
        return
    if desk.since is None:
        desk.start_clock()
    now = desk.now()
    if now < state.next_due:
        return
    for entry in [entry for entry in state.open.values() if entry.due <= now]:
        retry = entry.failures < state.parameters["worker_retries"]
        reason = f"its lease ended after {entry.due:g} s of run time without a report"
        desk.record(
            Failed(id=entry.id, reason=reason, retry=retry, counted=True, time=now, expired=True)
        )
        desk.decide()
    state.next_due = earliest_due(state.open.values())


def _next(desk: Desk, state: State, now: float, fills: tuple[Fill, ...]) -> Entry | None:
    """Return the first entry of the queue, drawn if it is empty; None if there is none."""
    queue = state.queue
    drawn = not queue
    full = drawn and state.aside and memory.is_full(state)
    entry = None if full else _draw(desk, state, now, fills) if drawn else queue[0]
    if entry is None:
        reason = limits.driver_ended(state)
        if reason is not None:
            desk.stop(*reason)
        return None
    if state.parameters["eps"] > 0.0:
        reason = limits.too_close(state, entry.x, entry.kind)
        if reason is not None:
            if drawn:
                _record_held(desk, state, entry, now)
            desk.stop(*reason)
            return None
    return entry


def _draw(
    desk: Desk, state: State, now: float, fills: tuple[Fill, ...] = drawing.FILLS[:1]
) -> Entry | None:
    """Draw the next point; that there is none is a fact if finding out changed the driver."""
    desk.begin_drawing(state)  # until it is recorded what was drawn
    before = state.driver.turns
    entry = drawing.draw(state, fills)
    if entry is None:
        found_out = state.driver.turns != before
        desk.end_drawing(state, Drained(fills=len(fills), time=now) if found_out else None)
    return entry


def _record_held(desk: Desk, state: State, entry: Entry, now: float) -> None:
    """Record a point that was drawn, which is the whole effect of the event."""
    if entry.point is None:
        desk.end_drawing(state, None)
        state.elapsed = now
    else:
        held = Held(point=entry.point, run=entry.run, kind=entry.kind, x=entry.x, time=now)
        desk.end_drawing(state, held)


def is_done(desk: Desk) -> bool:
    """Return whether no more points will be handed out; may find a reason to stop."""
    state = desk.state
    if desk.handing and _handed(desk, state, 0) is not None:
        return False
    if state.stop is not None or limits.capped(state):
        return True
    reason = limits.before_asking(state, desk.now()) or limits.driver_ended(state)
    if reason is not None:
        desk.stop(*reason)
    elif state.parameters["eps"] > 0.0 and not is_profiling(state):
        _look_ahead(desk)
    return state.stop is not None


def _look_ahead(desk: Desk) -> None:
    """Draw the next point to see whether it lies too close to the best one."""
    state, now = desk.state, desk.now()
    if not state.queue:
        if memory.is_full(state) or _draw(desk, state, now) is None:
            return
        _record_held(desk, state, state.queue[0], now)
    reason = limits.too_close(state, state.queue[0].x, state.queue[0].kind)
    if reason is not None:
        desk.stop(*reason)


def why_done(desk: Desk) -> str:
    """Return why no more points will be handed out, and what would let the study go on."""
    stop = desk.state.stop
    kind = "max_iter" if stop is None else stop[0]
    limit = desk.parameters["max_iter"]
    why = f"max_iter = {limit} evaluations have ended or are open" if stop is None else stop[1]
    return f"{why}; {limits.how_to_go_on(kind, why)}"


def _no_points(state: State) -> Arrays:
    return np.array([], dtype=np.int64), np.empty((0, state.spec.space.size))
