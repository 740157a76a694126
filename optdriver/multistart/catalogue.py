"""The distinct local minima that converged minimizers have met.

Two converged points are the same minimum if they are close in every coordinate, measured by the
width of the box (by ``max(1, |x|)`` where that is infinite), and in value, measured by
``max(1, |f|)``.  A point that is close to several joins the one nearest to it.  The best point of
each minimum, with the value that was observed there, stands for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.multistart.records import Minimum

Vector = NDArray[np.float64]


@dataclass(slots=True)
class Entry:
    """One minimum while the catalogue grows."""

    x: Vector
    f: float
    starts: list[int] = field(default_factory=list)
    runs: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Catalogue:
    """The minima, in the order of their discovery.

    Attributes
    ----------
    lower, upper : ndarray, shape (n,)
        The box.
    x_tolerance, f_tolerance : float
        How close is the same.
    entries : list of Entry
        The minima.
    """

    lower: Vector
    upper: Vector
    x_tolerance: float
    f_tolerance: float
    entries: list[Entry] = field(default_factory=list)

    def add(self, x: Vector, f: float, start: int, run: int) -> None:
        """Enter the point to which `run`, begun at `start`, converged."""
        entry = self._same(x, f)
        if entry is None:
            entry = Entry(x, f)
            self.entries.append(entry)
        elif f < entry.f:
            entry.x, entry.f = x, f
        entry.starts.append(start)
        entry.runs.append(run)

    def minima(self) -> list[Minimum]:
        """Return the minima, lowest first; equal ones in the order of their discovery."""
        return [
            Minimum(
                x=entry.x.copy(),
                f=entry.f,
                times_found=len(entry.runs),
                starts=tuple(entry.starts),
                runs=tuple(entry.runs),
            )
            for entry in sorted(self.entries, key=lambda entry: entry.f)
        ]

    def _same(self, x: Vector, f: float) -> Entry | None:
        if not self.entries:
            return None
        known_x = np.array([entry.x for entry in self.entries])
        known_f = np.array([entry.f for entry in self.entries])
        distance = np.max(np.abs(known_x - x) / self._scale(x), axis=1)
        rise = np.abs(known_f - f) / np.maximum(1.0, np.maximum(np.abs(known_f), abs(f)))
        distance[rise > self.f_tolerance] = np.inf
        nearest = int(np.argmin(distance))
        return self.entries[nearest] if distance[nearest] <= self.x_tolerance else None

    def _scale(self, x: Vector) -> Vector:
        with np.errstate(over="ignore"):
            width = self.upper - self.lower
        width = np.where(np.isfinite(width), width, np.maximum(1.0, np.abs(x)))
        return np.where(width > 0.0, width, 1.0)

    def to_list(self) -> list[dict[str, Any]]:
        """Return the entries as numbers and arrays."""
        return [
            {
                "x": entry.x.copy(),
                "f": entry.f,
                "starts": list(entry.starts),
                "runs": list(entry.runs),
            }
            for entry in self.entries
        ]

    def load(self, data: list[dict[str, Any]]) -> None:
        """Take over the entries of which `to_list` made `data`."""
        self.entries = [
            Entry(
                np.array(row["x"], dtype=np.float64),
                float(row["f"]),
                [int(start) for start in row["starts"]],
                [int(run) for run in row["runs"]],
            )
            for row in data
        ]
