"""What is known is not evaluated again: a point that was told before, to the bit (`Recalled`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optdriver.drivers import driver_factory
from optdriver.errors import ProtocolError
from optdriver.multistart.records import PointArrays
from optdriver.study import outputs
from optdriver.study.drawing import FILLS, draw
from optdriver.study.events import Recalled
from optdriver.study.handing_out import check_same
from optdriver.study.state import FOREIGN, Entry, State, first_drawn
from optdriver.study.telling import admit_end, count_failed, minimised

FloatArray = NDArray[np.float64]


def known_at(state: State, entry: Entry) -> int | None:
    """Return the suggestion from which it is known what is wanted at a point, None if none is.

    A gradient that is wanted must be known too.  What has failed may succeed another time.
    """
    own = entry.point is not None and entry.point != FOREIGN and entry.id < 0
    if not own or state.ledger.find(entry.x) is None or not _remembers(state):
        return None
    return _source(state, entry.x, entry.kind)


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


def _wants_gradient(state: State, kind: str) -> bool:
    given = state.parameters["jac"] and kind == "iterate"
    return bool(given) and driver_factory(state.spec.driver).gradient


def recalled(state: State, event: Recalled) -> None:
    """Tell the driver what is known."""
    entry = _take_recalled(state, event)
    ledger = state.ledger
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
    check_same(state, entry, event)
    if entry is None or entry.point is None or not 0 <= event.source < state.ledger.size:
        raise ProtocolError(f"the events recall suggestion {event.source}, which is not known")
    return entry
