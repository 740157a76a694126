"""What `RoundTold` does: columns are told as such, and what is special row by row."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import ProtocolError
from optdriver.study import gradient_check, outputs
from optdriver.study.events import Failed, RoundTold, Told
from optdriver.study.outputs import Put
from optdriver.study.state import FOREIGN, Entry, State, find, put_back
from optdriver.study.telling import count_failed, failed, look, told

FloatArray = NDArray[np.float64]


IntArray = NDArray[np.int64]


def round_told(state: State, event: RoundTold) -> None:
    """Take the results of a round, those that cannot be used as failures."""
    limits = state.spec.limits
    if limits is not None and event.output_rows is None and np.isfinite(event.values).any():
        raise ProtocolError("the events do not fit this study: a round without outputs")
    usable = np.isfinite(event.values)
    if event.gradients is not None:
        usable &= np.isfinite(event.gradients).all(axis=1)
    if limits is not None:
        usable &= [_why_unusable_put(state, event, k) is None for k in range(len(event.ids))]
    for k in np.flatnonzero(~usable).tolist():
        failed(state, _failed_row(state, event, k))
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
        told(state, _told_row(event, rows.pop(0)))
    plain = [k for k in rows if limits is None and _is_plain(state.open.get(ids[k]))]
    if plain:
        entries = [state.open.pop(ids[k]) for k in plain]
        state.spent += sum(not entry.spent for entry in entries)
        points = np.array([entry.point for entry in entries], dtype=np.int64)
        _told_plain(state, event if len(plain) == len(ids) else _rows_of(event, plain), points)
    for k in sorted(set(rows).difference(plain)) if len(plain) < len(rows) else ():
        told(state, _told_row(event, k))


def _told_plain(state: State, event: RoundTold, asked: IntArray) -> None:
    """Take a round of values of the driver's own points, which are called `asked` there."""
    ids, values, gradients = event.ids, event.values, event.gradients
    for id in ids.tolist() if state.leaves else ():
        look(state, id, None, None)
    state.ledger.close_rows(ids, values, gradients, event.time)
    for id in reversed(ids.tolist()) if state.aside else ():
        put_back(state, id)
    before, points = state.driver.failed_in_row, asked.tolist()
    if event.uncertainties is not None:
        state.ledger.enter_uncertainty(ids, event.uncertainties)
        for k in np.flatnonzero(event.uncertainties > 0.0).tolist():
            state.driver.expect_noise(points[k], float(event.uncertainties[k]))
    if gradients is not None:
        gradients = state.spec.space.gradient_to_driver(gradients, state.ledger.x[ids])
    if state.spec.sign < 0.0:
        values, gradients = -values, None if gradients is None else -gradients
    if gradients is not None:
        finite = np.isfinite(gradients).all(axis=1)
        if not finite.all():  # too large in the driver's coordinates
            for k in np.flatnonzero(~finite).tolist():
                state.driver.tell(points[k], float(values[k]), gradients[k])
            points, values, gradients = asked[finite].tolist(), values[finite], gradients[finite]
    state.driver.tell_arrays(points, values, gradients)
    count_failed(state, before)


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


def _put_of(event: RoundTold, k: int) -> tuple[FloatArray | None, FloatArray | None]:
    """Return the outputs of a row, and their derivatives, as one by itself is recorded."""
    rows = (event.output_rows, event.slope_rows)
    outputs, slopes = (None if each is None else each[k] for each in rows)
    return outputs, slopes


def _spread_of(event: RoundTold, k: int) -> FloatArray | None:
    """Return the standard deviation of a row, None where none was told."""
    known = event.uncertainties
    return None if known is None or math.isnan(known[k]) else known[k : k + 1]


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


def why_unusable(value: float, gradient: FloatArray | None, names: tuple[str, ...]) -> str:
    """Return what is not finite about a result; nothing of one that is."""
    if not math.isfinite(value):
        return f"the value is {value}"
    if gradient is None or np.isfinite(gradient).all():
        return ""
    bad = int(np.argmin(np.isfinite(gradient)))
    return f"the derivative by {names[bad]!r} is {gradient[bad]}"
