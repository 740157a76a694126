"""Nested records of strings, numbers and arrays as text and as bytes.  Nothing is unpickled.

The bytes are a strict JSON text, in which an array is the place where its bytes stand behind the
text.  Numbers are written so that they come back unchanged; infinite ones, which JSON does not
have, as ``{"float": "inf"}``; a dictionary that looks like one of these as ``{"dict": [...]}``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError

_LENGTH: Final = 8
_TAGS: Final = frozenset(("float", "array", "dict"))
_DTYPES: Final = ("<f8", "<f4", "<i8", "<i4", "<u8", "<u4", "|i1", "|u1", "|b1")

Seen = Callable[[NDArray[Any]], Any]


def to_json(data: Any) -> str:
    """Return a record as JSON; arrays become lists."""
    return json.dumps(_plain(data, _listed), separators=(",", ":"), ensure_ascii=False)


def from_json(text: str | bytes) -> Any:
    """Return the record that `to_json` wrote.

    Raises
    ------
    InputError
        If this is no such text.
    """
    try:
        return json.loads(text, object_hook=_special)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"this text is no record: {error!r}") from error


def _listed(array: NDArray[Any]) -> Any:
    return array.tolist()


def _special(found: dict[str, Any]) -> Any:
    if len(found) == 1:
        if "float" in found:
            return float(found["float"])
        if "dict" in found:
            return dict(found["dict"])
    return found


def _plain(data: Any, seen: Seen) -> Any:
    """Return `data` without what JSON cannot say; `seen` gives what stands for an array."""
    if isinstance(data, float) and not math.isfinite(data):
        return {"float": repr(float(data))}
    if isinstance(data, np.ndarray):
        found = seen(data)
        return found if isinstance(found, dict) else _plain(found, seen)
    if isinstance(data, np.generic):
        return _plain(data.item(), seen)
    if isinstance(data, Mapping):
        if len(data) == 1 and not _TAGS.isdisjoint(data):
            return {"dict": [[key, _plain(value, seen)] for key, value in data.items()]}
        return {key: _plain(value, seen) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(value, seen) for value in data]
    return data


def to_bytes(data: Any) -> bytes:
    """Return a record as bytes, arrays as they lie in memory (little-endian)."""
    arrays: list[bytes] = []
    start = 0

    def put(array: NDArray[Any]) -> dict[str, Any]:
        nonlocal start
        little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        arrays.append(little.tobytes())
        place = {"at": start, "dtype": little.dtype.str, "shape": list(array.shape)}
        start += len(arrays[-1])
        return {"array": place}

    text = json.dumps(_plain(data, put), separators=(",", ":")).encode()
    return b"".join([len(text).to_bytes(_LENGTH, "little"), text, *arrays])


def from_bytes(blob: bytes) -> Any:
    """Return the record that `to_bytes` wrote.

    Raises
    ------
    InputError
        If these are no such bytes.
    """
    start = _LENGTH + int.from_bytes(blob[:_LENGTH], "little")
    left = len(blob)

    def value(found: dict[str, Any]) -> Any:
        nonlocal left
        if len(found) != 1 or "array" not in found:
            return _special(found)
        array = _array(found["array"], blob, start)
        left -= array.nbytes
        if left < 0:  # many arrays of the same bytes would fill the memory
            raise InputError("these bytes are no record: its arrays are larger than they")
        return array

    try:
        return json.loads(blob[_LENGTH:start], object_hook=value)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"these bytes are no record: {error!r}") from error


def _array(place: Any, blob: bytes, start: int) -> NDArray[Any]:
    if place["dtype"] not in _DTYPES:
        raise InputError(f"an array of {place['dtype']!r} is not one of {', '.join(_DTYPES)}")
    shape = tuple(place["shape"])
    values = np.frombuffer(blob, place["dtype"], math.prod(shape), start + place["at"])
    return values.reshape(shape).astype(values.dtype.newbyteorder("="))
