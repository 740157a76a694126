"""The distinct local minima that converged minimizers have met.

Two converged points are the same minimum if they are close in every coordinate, measured by the
width of the box (by ``max(1, |x|)`` where that is infinite), and in value, measured by
``max(1, |f|)``.  A point that is close to several joins the one nearest to it, and one that is not
close may be found to be the same by what lies between them (`optdriver.multistart.barriers`).  The
best point of each minimum, with the value that was observed there, stands for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.multistart.records import Minimum, fixed

Vector = NDArray[np.float64]

NEW: Final = -1
"""The number of a minimum that is another than all that are known."""

LOOKED_AT: Final = 0.1
"""Ends that are close are looked at if they are farther apart than this part of `x_tolerance`."""


@dataclass(slots=True)
class Entry:
    """Which starts and runs led to a minimum, and how far apart they ended."""

    low: Vector
    high: Vector
    starts: list[int] = field(default_factory=list)
    runs: list[int] = field(default_factory=list)


class Catalogue:
    """The minima, in the order of their discovery.

    Parameters
    ----------
    lower, upper : ndarray, shape (n,)
        The box.
    x_tolerance, f_tolerance : float
        How close is the same.
    """

    __slots__ = (
        "_bounded", "_entries", "_f", "_f_tolerance", "_records", "_stale", "_width", "_x",
        "_x_tolerance", "allowance",
    )  # fmt: skip

    def __init__(self, lower: Vector, upper: Vector, x_tolerance: float, f_tolerance: float):
        with np.errstate(over="ignore"):
            width = upper - lower
        self._width = np.where(width > 0.0, width, 1.0)
        self._bounded = bool(np.isfinite(self._width).all())
        self._x_tolerance, self._f_tolerance = x_tolerance, f_tolerance
        self._entries: list[Entry] = []
        self._records: list[Minimum] = []  # of the entries; those of the stale ones are outdated
        self._stale: set[int] = set()
        self.allowance = 0.0  # by what values differ for their noise alone
        self._x, self._f = np.empty((8, lower.size)), np.empty(8)  # with room to grow

    def add(self, x: Vector, f: float, start: int, run: int, same: int | None = None) -> None:
        """Enter the point to which `run`, begun at `start`, converged.

        `same` is the number of a minimum that it is known to belong to, or `NEW`.
        """
        index = self._same(x, f) if same is None else same
        if index is None or index == NEW:
            index = len(self._entries)
            self._entries.append(Entry(x.copy(), x.copy()))
            if index == len(self._f):
                self._x = np.concatenate([self._x, np.empty_like(self._x)])
                self._f = np.concatenate([self._f, np.empty_like(self._f)])
            self._x[index], self._f[index] = x, f
        elif f < self._f[index]:
            self._x[index], self._f[index] = x, f
        entry = self._entries[index]
        entry.low, entry.high = np.minimum(entry.low, x), np.maximum(entry.high, x)
        entry.starts.append(start)
        entry.runs.append(run)
        self._stale.add(index)

    def __len__(self) -> int:
        return len(self._entries)

    def minima(self) -> list[Minimum]:
        """Return the minima, lowest first; equal ones in the order of their discovery."""
        records = self._records
        for index in range(len(records), len(self._entries)):
            records.append(self._minimum(index))
            self._stale.discard(index)
        for index in self._stale:
            records[index] = self._minimum(index)
        self._stale.clear()
        order = np.argsort(self._f[: len(records)], kind="stable")
        return [records[index] for index in order.tolist()]

    def _minimum(self, index: int) -> Minimum:
        entry = self._entries[index]
        return Minimum(
            x=fixed(self._x[index]),
            f=float(self._f[index]),
            low=fixed(entry.low),
            high=fixed(entry.high),
            times_found=len(entry.runs),
            starts=tuple(entry.starts),
            runs=tuple(entry.runs),
        )

    def is_on_sides(self, lower: Vector, upper: Vector) -> bool:
        """Tell whether a minimum is on a side of the box between whose sides it can vary."""
        x = self._x[: len(self._entries)]
        return bool(np.any(((x <= lower) | (x >= upper)) & (lower < upper)))

    def width(self, x: Vector) -> Vector:
        """Return what distances from a point are measured by."""
        if self._bounded:
            return self._width
        return np.where(np.isfinite(self._width), self._width, np.maximum(1.0, np.abs(x)))

    def apart(self, x: Vector, f: float) -> list[tuple[int, Vector, float]]:
        """Return number, place and value of the minima of the same level; none if one is close."""
        if self._same(x, f) is not None:
            return []
        return [(int(i), self._x[i].copy(), float(self._f[i])) for i in self._level(f)]

    def close(self, x: Vector, f: float) -> list[tuple[int, Vector, float]]:
        """Return the minimum that is close, if it is farther than ends of one minimum often are."""
        index = self._same(x, f)
        if index is None:
            return []
        if self.is_one(x, index):
            return []
        return [(index, self._x[index].copy(), float(self._f[index]))]

    def nearer(self, x: Vector, f: float, than: Vector) -> tuple[int, Vector, float] | None:
        """Return the minimum that is close to a point, if it is nearer than another place."""
        index = self._same(x, f)
        if index is None:
            return None
        width = self.width(x)
        away, other = (float(np.max(np.abs(y - x) / width)) for y in (self._x[index], than))
        return (index, self._x[index].copy(), float(self._f[index])) if away < other else None

    def is_one(self, x: Vector, index: int) -> bool:
        """Tell whether a point is as near to a minimum as ends of one minimum often are."""
        away = float(np.max(np.abs(self._x[index] - x) / self.width(x)))
        return away <= LOOKED_AT * self._x_tolerance

    def is_spread(self, index: int) -> bool:
        """Tell whether the ends of a minimum are farther from each other than close ones are."""
        entry = self._entries[index]
        extent = (entry.high - entry.low) / self.width(self._x[index])
        return bool(np.max(extent, initial=0.0) > self._x_tolerance)

    def lowest(self) -> tuple[int, Vector]:
        """Return the first run that led to the lowest minimum, and its place."""
        index = int(np.argmin(self._f[: len(self._entries)]))
        return self._entries[index].runs[0], self._x[index].copy()

    def is_found_by_both(self, run: int, other: int) -> bool:
        """Tell whether two runs have led to one minimum."""
        return any(run in entry.runs and other in entry.runs for entry in self._entries)

    def runs(self, index: int) -> list[int]:
        """Return the runs that led to a minimum."""
        return self._entries[index].runs

    def merge(self, kept: int, other: int) -> None:
        """Make two minima one; the numbers behind the `other` become less by one."""
        first, second = self._entries[kept], self._entries[other]
        if self._f[other] < self._f[kept]:
            self._x[kept], self._f[kept] = self._x[other], self._f[other]
        first.low, first.high = (
            np.minimum(first.low, second.low),
            np.maximum(first.high, second.high),
        )
        first.starts.extend(second.starts)
        first.runs.extend(second.runs)
        del self._entries[other], self._records[other : other + 1]
        self._stale = {index - (index > other) for index in self._stale - {other}} | {kept}
        count = len(self._entries)
        self._x[other:count] = self._x[other + 1 : count + 1]
        self._f[other:count] = self._f[other + 1 : count + 1]

    def _level(self, f: float) -> NDArray[np.intp]:
        known = self._f[: len(self._entries)]
        rise = np.maximum(np.abs(known - f) - self.allowance, 0.0)
        rise /= np.maximum(1.0, np.maximum(np.abs(known), abs(f)))
        return np.flatnonzero(rise <= self._f_tolerance)

    def _same(self, x: Vector, f: float) -> int | None:
        level = self._level(f)
        if not level.size:
            return None
        distance = np.max(np.abs(self._x[level] - x) / self.width(x), axis=1)
        nearest = int(np.argmin(distance))
        return int(level[nearest]) if distance[nearest] <= self._x_tolerance else None

    def to_dict(self) -> dict[str, Any]:
        """Return the minima as numbers and arrays."""
        count = len(self._entries)
        return {
            "x": self._x[:count].copy(),
            "f": self._f[:count].copy(),
            "low": np.reshape([entry.low for entry in self._entries], self._x[:count].shape),
            "high": np.reshape([entry.high for entry in self._entries], self._x[:count].shape),
            "starts": [list(entry.starts) for entry in self._entries],
            "runs": [list(entry.runs) for entry in self._entries],
        }

    def load(self, data: dict[str, Any]) -> None:
        """Take over the minima of which `to_dict` made `data`."""
        found = [
            (
                [stored.whole("start", start) for start in starts],
                [stored.whole("run", run) for run in runs],
            )
            for starts, runs in zip(data["starts"], data["runs"], strict=True)
        ]
        if not all(starts and runs for starts, runs in found):
            raise ValueError("a minimum that no run has found")
        self._entries, self._records = [], []
        self._stale.clear()
        if not found:
            return
        count = len(found)
        shape = count, self._width.size
        self._f = stored.array("f", data["f"], (count,), finite=True)
        self._x = stored.array("x", data["x"], shape, finite=True)
        low, high = (  # 0.2.0 kept none
            stored.array(name, data.get(name, self._x), shape, finite=True)
            for name in ("low", "high")
        )
        if not np.all((low <= self._x) & (self._x <= high)):
            raise ValueError("a minimum is not among its ends")
        self._entries = list(map(Entry, low, high, *zip(*found, strict=True)))
