"""What `Asked` and `RoundAsked` do: the points that come next are handed out.

On replay they are compared with the recorded ones, which count.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import ProtocolError
from optdriver.multistart.records import PointArrays
from optdriver.study.drawing import FILLS, draw
from optdriver.study.events import NO_POINT, Asked, Held, Postponed, Recalled, RoundAsked
from optdriver.study.ledger import KIND_CODE, KINDS
from optdriver.study.state import (
    Entry,
    Round,
    State,
    first_drawn,
    put_back_point,
    put_into_queue,
)

FloatArray = NDArray[np.float64]


CLOSE: Final = 1e-6
"""How far a replayed point may be from the recorded one, in the driver's coordinates."""


def asked(state: State, event: Asked) -> None:
    """Hand out the first point that waits, or one that was set aside."""
    if state.aside:
        put_back_point(state, event.point)
    queue = state.queue
    check_same(state, queue[0] if queue else draw(state, FILLS), event)  # there was one
    hand_out(state, queue.popleft(), event)


def hand_out(state: State, entry: Entry, event: Asked) -> None:
    """Hand out a point that waited; it gets its row in the ledger, if it has none."""
    entry.spent = False
    if entry.id < 0:
        entry.id = state.ledger.open_row(entry.x, entry.kind, entry.run, event.time)
    else:
        state.ledger.reopen(entry.id)
    if entry.id != event.id:
        raise ProtocolError(f"the events hand out suggestion {event.id}, expected {entry.id}")
    entry.due = _due(state, event.time)
    state.out.by_id[entry.id] = entry


def _due(state: State, time: float) -> float:
    """Return when the lease ends of what is handed out now."""
    due = time + float(state.parameters["lease_seconds"])
    state.next_due = min(state.next_due, due)
    return due


def check_same(
    state: State, entry: Entry | None, event: Asked | Held | Recalled | Postponed
) -> None:
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


def round_asked(state: State, event: RoundAsked) -> None:
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


def check_same_round(state: State, event: RoundAsked, fresh: PointArrays | None) -> None:
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
    for entry, single in zip(entries, asked_ones(event), strict=True):
        check_same(state, entry, single)
    if found.ids.tobytes() != event.ids.tobytes():
        raise ProtocolError(
            f"the events hand out suggestions {event.ids.tolist()}, expected {found.ids.tolist()}"
        )


def asked_ones(event: RoundAsked) -> list[Asked]:
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
