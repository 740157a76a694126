"""What is said of all runs: rows, each made again only where something has happened since."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optdriver.multistart import run as searches
from optdriver.multistart.records import Run
from optdriver.multistart.run import Known, Search

Vector = NDArray[np.float64]


class Ends(NamedTuple):
    """The runs that have converged, where to, their values there, and the noise of these."""

    runs: list[int]
    x: list[Vector]
    f: Vector
    noise: Vector


class Report:
    """Rows of runs; made of the state, and no part of it.

    Attributes
    ----------
    stale : set of int
        The runs to which something has happened since their rows were made: whatever changes a
        run notes it here.
    converged : list of int
        The runs that have converged to a point, in that order.
    """

    __slots__ = ("_ends", "_rows", "converged", "stale")

    def __init__(self, runs: Sequence[Search] = ()):
        self.stale: set[int] = set()
        self.converged = [search.index for search in runs if searches.has_end(search)]
        self._rows: list[Run] = []
        self._ends = Ends([], [], np.empty(0), np.empty(0))

    def rows(self, runs: Sequence[Search], known: Known) -> list[Run]:
        """Return a row for each run."""
        rows = self._rows
        for search in runs[len(rows) :]:
            rows.append(searches.row(search, known))
            self.stale.discard(search.index)
        for index in self.stale:
            rows[index] = searches.row(runs[index], known)
        self.stale.clear()
        return rows.copy()

    def row(self, index: int, runs: Sequence[Search], known: Known) -> Run:
        """Return the row of a run."""
        if index < len(self._rows) and index not in self.stale:
            return self._rows[index]
        return searches.row(runs[index], known)

    def ends(self, runs: Sequence[Search]) -> Ends:
        """Return what is known of the runs that have converged."""
        known = self._ends
        new = [runs[index] for index in self.converged[len(known.runs) :]]
        if new:
            known = self._ends = Ends(
                [*known.runs, *[search.index for search in new]],
                [*known.x, *[search.x for search in new if search.x is not None]],
                np.concatenate([known.f, [search.f for search in new]]),
                np.concatenate([known.noise, [searches.noise(search) for search in new]]),
            )
        return known
