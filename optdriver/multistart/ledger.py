"""What became of every id that was handed out, in a few bytes each.

It is what makes a second, identical tell harmless and a different one an error.
"""

from __future__ import annotations

import math
import zlib
from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.numerics import row_bytes

Vector = NDArray[np.float64]

OPEN, TOLD, FAILED = 0, 1, 2


@dataclass(slots=True)
class Ledger:
    """Columns, one entry an id.

    Attributes
    ----------
    status : bytearray
        OPEN, TOLD or FAILED.
    f : array of float
        The value told, NaN where there is none.
    mark : array of int
        A checksum of the gradient told, 0 without one.
    """

    status: bytearray = field(default_factory=bytearray)
    f: array[float] = field(default_factory=lambda: array("d"))
    mark: array[int] = field(default_factory=lambda: array("L"))

    def new_id(self) -> int:
        """Hand out the next id."""
        self.status.append(OPEN)
        self.f.append(math.nan)
        self.mark.append(0)
        return len(self.status) - 1

    def new_ids(self, count: int) -> range:
        """Hand out the next ids."""
        first = len(self.status)
        self.status.extend(bytes([OPEN]) * count)
        self.f.extend([math.nan] * count)
        self.mark.extend([0] * count)
        return range(first, first + count)

    def close_told(self, ids: list[int], f: Vector, g: Vector | None) -> None:
        """Note what was told for ids, of which there is at least one."""
        marks = [0] * len(ids) if g is None else list(map(zlib.crc32, row_bytes(g)))
        first, end = ids[0], ids[0] + len(ids)
        if ids == list(range(first, end)):  # a whole round
            self.status[first:end] = bytes([TOLD]) * len(ids)
            self.f[first:end] = array("d", f.tolist())
            self.mark[first:end] = array("L", marks)
            return
        for id, value, mark in zip(ids, f.tolist(), marks, strict=True):
            self.status[id] = TOLD
            self.f[id] = value
            self.mark[id] = mark

    def close(self, id: int, status: int, f: float, g: Vector | None) -> None:
        """Note what was told for an id."""
        self.status[id] = status
        self.f[id] = f
        if g is not None:
            self.mark[id] = zlib.crc32(g.tobytes())

    def same(self, id: int, status: int, f: float, g: Vector | None) -> bool:
        """Return whether the same was told for this id before."""
        old = self.f[id]
        mark = 0 if g is None else zlib.crc32(g.tobytes())
        equal = old == f or (old != old and f != f)
        return self.status[id] == status and equal and self.mark[id] == mark

    def copy(self) -> Ledger:
        """Return an independent copy."""
        return Ledger(bytearray(self.status), self.f[:], self.mark[:])

    def to_dict(self) -> dict[str, Any]:
        """Return the columns as arrays."""
        return {
            "status": np.array(self.status, dtype=np.uint8),
            "f": np.array(self.f, dtype=np.float64),
            "mark": np.array(self.mark, dtype=np.uint32),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Ledger:
        """Return the ledger of which `to_dict` made `data`."""
        status = [stored.whole("status", s, most=FAILED) for s in data["status"]]
        values = stored.array("f", data["f"], (len(status),), nan=True).tolist()
        marks = [stored.whole("mark", mark, most=2**32 - 1) for mark in data["mark"]]
        if len(marks) != len(status):
            raise ValueError(f"{len(marks)} marks for {len(status)} ids")
        return cls(bytearray(status), array("d", values), array("L", marks))
