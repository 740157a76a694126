"""What is known is not evaluated again: a point at which a suggestion is, or was, to the bit.

Of one that was told the driver is told the same (`Recalled`), and of one that failed, its retries
spent, that it fails.  One that is open, or waits for its next try, is waited for (`Postponed`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from optdriver.drivers import driver_factory
from optdriver.errors import ProtocolError
from optdriver.multistart.records import PointArrays
from optdriver.numerics import row_bytes
from optdriver.study import outputs
from optdriver.study.drawing import FILLS, draw
from optdriver.study.events import Postponed, Recalled
from optdriver.study.handing_out import check_same
from optdriver.study.ledger import FAILED, OPEN, TOLD, WAITING
from optdriver.study.state import FOREIGN, Entry, State, first_drawn
from optdriver.study.telling import admit_end, count_failed, minimised

FloatArray = NDArray[np.float64]
Found = tuple[int, bool, int]
"""A suggestion at the same point, if its result is awaited, and the driver's id of this point."""

MOST_ASIDE: Final = 100
"""So many points are set aside at most, or as many as there are places."""


def at(state: State, entry: Entry) -> Found | None:
    """Return what is known of a point that waits, None if it is to be evaluated.

    A gradient that is wanted must be known too.
    """
    point = entry.point
    if point is None or point == FOREIGN or entry.id >= 0:
        return None
    rows = state.ledger.rows_at(entry.x)
    return _found(state, rows, entry.kind, point) if rows else None


def any_known(state: State, fresh: PointArrays | None) -> bool:
    """Return whether anything is known of one of the points that wait, or of `fresh` ones."""
    if not _remembers(state):
        return False
    fresh = first_drawn(state, state.queued) if fresh is None else fresh
    if fresh is None:
        return any(at(state, entry) is not None for entry in state.queue)
    ledger = state.ledger
    return any(
        _found(state, ledger.rows_at(fresh.x[k]), fresh.kinds[k], fresh.ids[k]) is not None
        for k in ledger.entered(row_bytes(fresh.x))
    )


def may_be_known(state: State) -> list[Entry]:
    """Return points that wait, without those of which nothing is known."""
    drawn = first_drawn(state, state.queued)
    if drawn is None:
        return list(state.queue)
    ids, runs, kinds, x = drawn
    rows = state.ledger.entered(row_bytes(x))
    return [Entry(-1, ids[k], runs[k], kinds[k], x[k]) for k in rows]


def different(state: State, x: FloatArray) -> int:
    """Return how many of these points, from the first on, are at different places."""
    if not _postpones(state):
        return len(x)
    keys = row_bytes(x)
    if len(set(keys)) == len(keys):
        return len(keys)
    return next(k for k, is_first in enumerate(_are_first(keys)) if not is_first)


def let_twins_come_last(state: State) -> None:
    """Put what is at the same place as a point before it in line behind all others."""
    if not _postpones(state):
        return
    drawn = first_drawn(state, state.queued)
    if drawn is None:
        keys = [entry.x.tobytes() if _is_own(entry) else None for entry in state.queue]
    else:
        keys = list(row_bytes(drawn.x))
    firsts = _are_first(keys)
    if all(firsts):
        return
    order = sorted(range(len(keys)), key=lambda k: not firsts[k])
    if drawn is None:
        entries = list(state.queue)
        state.line = deque(entries[k] for k in order), None
        return
    x = drawn.x[order]
    x.setflags(write=False)
    ids, runs = [drawn.ids[k] for k in order], [drawn.runs[k] for k in order]
    state.line = state.line[0], PointArrays(ids, runs, [drawn.kinds[k] for k in order], x)


def _are_first(keys: Sequence[bytes | None]) -> list[bool]:
    """Return of each key whether none before it is the same; None never is."""
    seen: set[bytes | None] = set()
    firsts = []
    for key in keys:
        firsts.append(key is None or key not in seen)
        seen.add(key)
    return firsts


def _is_own(entry: Entry) -> bool:
    """Return whether it is a point that the driver wants, and that was not handed out."""
    return entry.point is not None and entry.point != FOREIGN and entry.id < 0


def is_full(state: State) -> bool:
    """Return whether so many points are set aside that the driver is asked for no more."""
    if not state.aside:
        return False
    most = max(state.parameters["num_parallel"], MOST_ASIDE)
    return bool(sum(map(len, state.aside.values())) >= most)


def _remembers(state: State) -> bool:
    given = state.parameters
    return bool(given["memory"]) and given["noise"] == 0.0


def _keeps_values(state: State) -> bool:
    """Return whether what was told can be told again: residuals, say, are not kept."""
    kept = state.spec.limits is None or not state.parameters["jac"]  # derivatives of outputs
    return kept and not driver_factory(state.spec.driver).fits


def _postpones(state: State) -> bool:
    """Return whether a point waits while another suggestion is there: values must be certain."""
    if state.parameters["memory_rule"] < 2 or not (_remembers(state) and _keeps_values(state)):
        return False
    known = state.ledger.uncertainty
    return known is None or not bool((known > 0.0).any())


def _found(state: State, rows: list[int], kind: str, point: int) -> Found | None:
    """Return what is known from those rows that are at a point of the driver's."""
    if not _remembers(state):
        return None
    now = state.ledger.state
    told = next((row for row in rows if now[row] == TOLD), None)
    if told is not None and _keeps_values(state):
        if state.ledger.uncertainty_of(told):
            return None  # where values are noisy, another one is worth something
        if not _wants_gradient(state, kind) or state.ledger.gradient_of(told) is not None:
            return told, False, point
    if state.parameters["memory_rule"] < 2:
        return None
    awaited = next((row for row in rows if now[row] in (OPEN, WAITING)), None)
    if awaited is not None:
        return (awaited, True, point) if _postpones(state) else None
    lost = (row for row in rows if now[row] == FAILED and row not in state.pardoned)
    failed = next(lost, None)
    return None if failed is None else (failed, False, point)


def _wants_gradient(state: State, kind: str) -> bool:
    given = state.parameters["jac"] and kind == "iterate"
    return bool(given) and driver_factory(state.spec.driver).gradient


def pardon(state: State) -> None:
    """Let all points that have failed be tried once more, if they are wanted."""
    if state.parameters["memory_rule"] > 1:
        ledger = state.ledger
        failed = np.flatnonzero(ledger.state[ledger.since : ledger.size] == FAILED)
        state.pardoned.update((ledger.since + failed).tolist())


def postponed(state: State, event: Postponed) -> None:
    """Set a point aside until there is a result of the suggestion that is at the same point."""
    entry = _take_off_line(state, event)
    if state.ledger.state[event.source] not in (OPEN, WAITING):
        raise ProtocolError(f"the events wait for suggestion {event.source}, which is not open")
    state.aside.setdefault(event.source, []).append(entry)


def recalled(state: State, event: Recalled) -> None:
    """Tell the driver what is known."""
    entry = _take_off_line(state, event)
    ledger = state.ledger
    if ledger.state[event.source] == FAILED:
        _fail_again(state, event)
        return
    gradient = ledger.gradient_of(event.source) if _wants_gradient(state, entry.kind) else None
    before, value = state.driver.failed_in_row, float(ledger.value[event.source])
    put = None if ledger.outputs is None else ledger.outputs[event.source]
    rows = outputs.for_driver(state.spec, entry.x, value, None, put, None)
    turns = state.driver.turns
    told = minimised(state, entry.x, value, gradient) if rows is None else rows
    state.driver.tell(event.point, *told)
    if rows is not None and state.driver.turns != turns:
        admit_end(state, entry.run)
    count_failed(state, before)


def _fail_again(state: State, event: Recalled) -> None:
    """Tell the driver of a failure as the first time."""
    ledger, row = state.ledger, event.source
    before, value = state.driver.failed_in_row, float(ledger.value[row])
    gradient = None if ledger.gradient is None else ledger.gradient[row]
    if math.isnan(value) or gradient is None or not _keeps_values(state):
        state.driver.tell_failure(event.point, ledger.reasons.get(row, ""))
    else:  # only the gradient cannot be used
        state.driver.tell(event.point, *minimised(state, event.x, value, gradient))
    count_failed(state, before)


def _take_off_line(state: State, event: Recalled | Postponed) -> Entry:
    """Take the point of an event off those that wait."""
    waiting, drawn = state.line
    if not waiting and drawn is not None and event.point in drawn.ids:
        k = drawn.ids.index(event.point)
        entry = Entry(-1, event.point, drawn.runs[k], drawn.kinds[k], drawn.x[k])
        _check_known(state, entry, event)
        left = drawn.without(k)
        state.line = waiting, left if left.ids else None
        return entry
    while not any(each.point == event.point for each in state.queue):
        if draw(state, FILLS) is None:
            break
    found = next((each for each in state.queue if each.point == event.point), None)
    entry = _check_known(state, found, event)
    state.queue.remove(entry)
    return entry


def _check_known(state: State, entry: Entry | None, event: Recalled | Postponed) -> Entry:
    check_same(state, entry, event)
    if entry is None or entry.point is None or not 0 <= event.source < state.ledger.size:
        raise ProtocolError(f"the events recall suggestion {event.source}, which is not known")
    return entry
