"""An event as a row of the table `event`, and back, to the bit.

The numbers that count are in `payload`, eight little-endian bytes each: ``x`` of a point asked or
held; value and gradient of a told one; value, ``x`` and gradient of an added one; the columns of a
round one after the other, of which `note` tells the number of rows.  `value` and the point in
`note` of a single point are there for people who look into the file; they are never read back.
Where residuals were told, `note` says how many; they and their Jacobian are behind the gradient.
So are outputs and their derivatives, and behind all of them the uncertainty, if one was told.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError, StorageError
from optdriver.storage.codec import from_json, to_json
from optdriver.study.events import (
    Added,
    Asked,
    Event,
    Held,
    Late,
    Postponed,
    Recalled,
    RoundAsked,
    RoundTold,
    Told,
    pack,
    unpack,
)

FloatArray = NDArray[np.float64]

COLUMNS: Final = (
    "seq", "time", "kind", "id", "point", "run", "role", "value", "payload", "note", "crc",
)  # fmt: skip

_NAMES: Final = ", ".join(COLUMNS)
INSERT: Final = f"INSERT INTO event ({_NAMES}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608  # constants of this module only
SELECT: Final = f"SELECT {_NAMES} FROM event WHERE seq > ? ORDER BY seq"  # noqa: S608  # the same

CHECKSUM: Final = "SELECT crc FROM study WHERE ? = 0 UNION ALL SELECT crc FROM event WHERE seq = ?"
"""The checksum of an event; of the specification for number 0.  The number is given twice."""

SHOWN: Final = 16
"""Points of up to so many parameters are also written out for people to read."""

Row = tuple[
    float, str, int | None, int | None, int | None, str | None, float | None, bytes | None,
    str | None,
]  # fmt: skip
"""``time`` to ``note`` of the columns."""


def to_row(event: Event) -> Row:
    """Return an event as a row."""
    kind = type(event).__name__
    if isinstance(event, Asked | Held | Recalled | Postponed):
        id = event.id if isinstance(event, Asked) else None
        id = event.source if isinstance(event, Recalled | Postponed) else id
        x = event.x
        note = _shown(x)
        return event.time, kind, id, event.point, event.run, event.kind, None, _bytes(x), note
    if isinstance(event, Told | Late):
        data, note = _bytes(event.value) + _bytes(event.gradient), None
        if isinstance(event, Told):
            data, note = _with_more(data, event)
        return event.time, kind, event.id, None, None, None, event.value, data, note
    if isinstance(event, Added):
        before = _bytes(event.value) + _bytes(event.x) + _bytes(event.gradient)
        data, note = _with_more(before, event)
        return (
            event.time,
            kind,
            event.id,
            None,
            -1,
            "added",
            event.value,
            data,
            (note or _shown(event.x)),
        )
    if isinstance(event, RoundAsked | RoundTold):
        return event.time, kind, None, None, None, None, None, *_round_parts(event)
    rest = pack(event)
    del rest["event"]
    time, id = rest.pop("time"), rest.pop("id", None)
    return time, kind, id, None, None, None, None, None, to_json(rest)


def _with_more(data: bytes, event: Told | Added) -> tuple[bytes, str | None]:
    """Return the payload of a result with what stands behind its gradient, and the note on that."""
    counts: dict[str, int] = {}
    if isinstance(event, Told) and event.residuals is not None:
        data += _bytes(event.residuals) + _bytes(event.jacobian)
        counts["residuals"] = event.residuals.size
    elif event.outputs is not None:
        data += _bytes(event.outputs) + _bytes(event.slopes)
        counts["outputs"] = event.outputs.size
    if event.uncertainty is not None:
        data += _bytes(event.uncertainty)
        counts["uncertainty"] = event.uncertainty.size
    return data, json.dumps(counts) if counts else None


def _round_parts(event: RoundAsked | RoundTold) -> tuple[bytes, str]:
    """Return the payload and the note of a round."""
    note: dict[str, Any] = {"rows": len(event.ids)}
    if isinstance(event, RoundAsked):
        whole = (event.ids, event.points, event.runs, event.kinds)
        payload = b"".join(column.astype("<i8").tobytes() for column in whole)
        note |= {"wanted": event.wanted, "fills": event.fills}
        return payload + _bytes(event.matrix), to_json(note)
    note["reason"] = event.reason
    payload = event.ids.astype("<i8").tobytes() + _bytes(event.values)
    if event.uncertainties is not None:
        note["uncertainties"] = True
        payload += _bytes(event.uncertainties)
    if event.output_rows is not None:
        note["outputs"] = event.output_rows.shape[1]
        payload += _bytes(event.output_rows)
    if event.slope_rows is not None:
        note["slopes"] = event.slope_rows.shape[1]
        payload += _bytes(event.slope_rows)
    return payload + _bytes(event.gradients), to_json(note)


def _round_fields(kind: str, payload: bytes, note: Mapping[str, Any], n: int) -> dict[str, Any]:
    """Return the fields of a round; of a forged one, what `unpack` will refuse."""
    count = note["rows"]
    if type(count) is not int or not 0 <= count <= len(payload) // 8:
        raise InputError(f"not an event: it has {count!r:.80} rows")
    whole, real = np.frombuffer(payload, "<i8"), np.frombuffer(payload, "<f8")
    if kind == "RoundAsked":
        ids, points, runs, kinds = whole[: 4 * count].reshape(4, count)
        return {
            "ids": ids,
            "points": points,
            "runs": runs,
            "kinds": kinds,
            "matrix": real[4 * count :].reshape(count, n),
            "wanted": note["wanted"],
            "fills": note["fills"],
        }
    fields: dict[str, Any] = {"ids": whole[:count], "values": real[count : 2 * count]}
    start = 2 * count
    if note.get("uncertainties"):
        fields["uncertainties"] = real[start : start + count]
        start += count
    for name, column in (("outputs", "output_rows"), ("slopes", "slope_rows")):
        if (width := note.get(name)) is not None:
            if type(width) is not int or not 0 <= width * count <= real.size - start:
                raise InputError(f"not an event: it has {width!r:.80} {name} a row")
            fields[column] = real[start : start + width * count].reshape(count, width)
            start += width * count
    gradients = real[start:]
    fields["gradients"] = gradients.reshape(count, n) if gradients.size else None
    return {**fields, "reason": note["reason"]}


def _bytes(numbers: FloatArray | float | None) -> bytes:
    return b"" if numbers is None else np.asarray(numbers, dtype="<f8").tobytes()


def _shown(x: FloatArray) -> str | None:
    return json.dumps(x.tolist()) if x.size <= SHOWN else None


def from_row(row: Row, n: int) -> Event:
    """Return the event that a row keeps, of a study with `n` continuous parameters.

    Raises
    ------
    InputError
        If it is no such row.
    """
    time, kind, id, point, run, role, _, payload, note = row
    fields: dict[str, Any] = {"event": kind, "time": time}
    if payload is None:
        fields |= from_json(note or "{}") | ({} if id is None else {"id": id})
        return unpack(fields)
    if kind in ("RoundAsked", "RoundTold"):
        return unpack(fields | _round_fields(kind, payload, from_json(note or "{}"), n))
    numbers = np.frombuffer(payload, "<f8")
    if kind in ("Asked", "Held", "Recalled", "Postponed"):
        fields |= {"point": point, "run": run, "kind": role, "x": numbers}
        if kind != "Held":
            fields["id" if kind == "Asked" else "source"] = id
    elif kind in ("Told", "Late", "Added"):
        said = None if note is None else from_json(note)
        if isinstance(said, Mapping):
            numbers, deviations = _split_off(numbers, said)
            fields |= {} if deviations is None else {"uncertainty": deviations}
        if kind == "Told" and isinstance(said, Mapping) and said.keys() & {"outputs", "residuals"}:
            read = _put if "outputs" in said else _fit
            fields |= read(numbers[1:], n, said)
            return unpack(fields | {"id": id, "value": float(numbers[0])})
        if kind == "Added" and isinstance(said, Mapping) and "outputs" in said:
            fields |= {"x": numbers[1 : 1 + n]} | _put(numbers[1 + n :], n, said)
            return unpack(fields | {"id": id, "value": float(numbers[0])})
        values = [float(numbers[0]), *_parts(numbers[1:], n if kind == "Added" else 0)]
        fields |= {"id": id, "value": values[0], "gradient": values[-1]}
        if kind == "Added":
            fields["x"] = values[1]
    else:
        raise InputError(f"not an event: {kind!r}")
    return unpack(fields)


def _parts(numbers: FloatArray, n: int) -> list[FloatArray | None]:
    """Return the point of `n` numbers if there is one, and the gradient or None."""
    x, gradient = numbers[:n], numbers[n:]
    return [*([x] if n else []), gradient if gradient.size else None]


def _split_off(
    numbers: FloatArray, note: Mapping[str, Any]
) -> tuple[FloatArray, FloatArray | None]:
    """Return the numbers of a result without its uncertainty, and this or None."""
    count = note.get("uncertainty")
    if count is None:
        return numbers, None
    if type(count) is not int or not 0 < count < numbers.size:
        raise InputError(f"not an event: it has {count!r:.80} standard deviations")
    return numbers[:-count], numbers[-count:]


def _fit(numbers: FloatArray, n: int, note: Any) -> dict[str, FloatArray | None]:
    """Return gradient, residuals and Jacobian of a fit of `n` parameters."""
    m = note["residuals"]
    if numbers.size == m:
        return {"gradient": None, "residuals": numbers, "jacobian": None}
    if numbers.size != n + m + n * m:
        raise InputError(f"not an event: {numbers.size} numbers of {m} residuals")
    return {"gradient": numbers[:n], "residuals": numbers[n : n + m], "jacobian": numbers[n + m :]}


def _put(numbers: FloatArray, n: int, note: Any) -> dict[str, FloatArray | None]:
    """Return gradient, outputs and their derivatives of an evaluation at `n` parameters."""
    k = note["outputs"]
    if type(k) is not int or k < 1:
        raise InputError(f"not an event: it has {k!r:.80} outputs")
    if numbers.size in (k, n + k):
        before = numbers[: numbers.size - k]
        gradient = before if before.size else None
        return {"gradient": gradient, "outputs": numbers[before.size :], "slopes": None}
    if numbers.size != n + k + n * k:
        raise InputError(f"not an event: {numbers.size} numbers of {k} outputs")
    return {"gradient": numbers[:n], "outputs": numbers[n : n + k], "slopes": numbers[n + k :]}


def checksum(row: Row, before: int) -> int:
    """Return the CRC-32 of a row and of all rows before it, whose checksum is `before`."""
    time, kind, id, point, run, role, _, payload, note = row
    text = f"{kind}|{id}|{point}|{run}|{role}|{note}|".encode()
    return zlib.crc32(payload or b"", zlib.crc32(text + struct.pack("<d", time), before))


def stored_checksum(row: Sequence[Any], before: int) -> int:
    """Return the same for a row that was read.

    Raises
    ------
    StorageError
        If there is something in it that no event has.
    """
    try:
        return checksum(tuple(row), before)
    except (TypeError, ValueError, AttributeError, struct.error) as error:
        raise StorageError(f"an event is not as it was written: {error}") from error
