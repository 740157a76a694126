"""Which of many points of the unit box are near a place: by cells, with no look at the others.

The cells are cubes by the first three coordinates.  Points are sorted into them from time to time,
and those that have come since are looked at one and all.  Distances are the same as without cells.
"""

from __future__ import annotations

from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Numbers = NDArray[np.intp]

AXES: Final = 3
HELD: Final = 4
"""Points a cell, on the average, when they are sorted."""

FEW: Final = 64
"""So many, and a part of those that are sorted, may be unsorted."""
PART: Final = 32

WIDER: Final = 1e-9
"""By so much a radius is taken longer, so that no rounding leaves a point out."""


class Cells:
    """The numbers of points by the cells in which they are.

    Parameters
    ----------
    points : ndarray, shape (k, n)
        Points of the unit box; their numbers are those of their rows.
    """

    __slots__ = ("_axes", "_first", "_order", "_sides")

    def __init__(self, points: Vector):
        self._axes = min(points.shape[1], AXES)
        self._sort(points)

    def added(self, points: Vector) -> None:
        """Take note that there are more points than before: all of them."""
        known = len(self._order)
        if len(points) - known > FEW + known // PART:
            self._sort(points)

    def within(self, points: Vector, place: Vector, radius: float) -> Numbers:
        """Return, in their order, the points in all cells that a ball meets, and maybe others."""
        low, high = self._cells(place - (radius + WIDER)), self._cells(place + (radius + WIDER))
        part = np.prod((high + 1 - low) / self._sides)
        known, count = len(self._order), len(points)
        if part > 0.5 or not self._axes:
            return np.arange(count)
        *outer, (first, last) = zip(low.tolist(), high.tolist(), strict=True)
        made = [np.arange(known, count)]
        for cell in product(*(range(i, j + 1) for i, j in outer)):
            row = 0
            for i in cell:
                row = (row + i) * self._sides
            made.append(self._order[self._first[row + first] : self._first[row + last + 1]])
        rows = np.concatenate(made)
        rows.sort()
        return rows

    def gaps(self, points: Vector, places: Vector) -> Vector:
        """Return the distances from k places to the nearest point, infinite without any."""
        known = len(self._order)
        if not self._axes or not known:
            return _nearest(places, points)
        squares = _squares(places[:, None], points[known:]).min(axis=1, initial=np.inf)
        which, rows = self._beside(places)
        np.minimum.at(squares, which, _squares(places[which], points[rows]))
        gaps: Vector = np.sqrt(squares)
        far = np.flatnonzero(gaps > (1.0 - WIDER) / self._sides)  # others may be nearer
        if far.size:
            gaps[far] = _nearest(places[far], points)
        return gaps

    def _beside(self, places: Vector) -> tuple[Numbers, Numbers]:
        """Return pairs of places and points: all in the cells of the places, and beside these."""
        cell = self._cells(places)
        last = self._sides - 1
        row = np.zeros((len(places), 1), dtype=np.intp)
        for i in cell.T[:-1]:
            beside = np.clip(i[:, None] + [-1, 0, 1], 0, last)
            row = ((row[:, :, None] + beside[:, None]) * self._sides).reshape(len(places), -1)
        ends = [row + np.clip(cell[:, -1:] + step, 0, last) for step in (-1, 1)]
        begin, end = self._first[ends[0]].ravel(), self._first[ends[1] + 1].ravel()
        number = end - begin
        which = np.repeat(np.repeat(np.arange(len(places)), row.shape[1]), number)
        behind = np.cumsum(number) - number
        return which, self._order[np.repeat(begin - behind, number) + np.arange(len(which))]

    def _sort(self, points: Vector) -> None:
        """Sort all points into cells of a size that their number wants."""
        self._sides = 1
        while self._axes and len(points) > HELD * (2 * self._sides) ** self._axes:
            self._sides *= 2
        cells = np.zeros(len(points), dtype=np.intp)
        for i in self._cells(points).T:
            cells = cells * self._sides + i
        self._order = np.argsort(cells, kind="stable")
        numbers = np.arange(self._sides**self._axes + 1)
        self._first = np.searchsorted(cells[self._order], numbers)

    def _cells(self, places: Vector) -> Numbers:
        """Return in which cells places are, by each of the coordinates that count."""
        scaled = np.minimum(places[..., : self._axes] * self._sides, self._sides - 1.0)
        return np.maximum(scaled, 0.0).astype(np.intp)


def _nearest(places: Vector, points: Vector) -> Vector:
    made: Vector = np.sqrt(_squares(places[:, None], points).min(axis=1, initial=np.inf))
    return made


def _squares(places: Vector, points: Vector) -> Vector:
    """Return the squares of distances."""
    away = places - points
    made: Vector = np.einsum("...k,...k->...", away, away)
    return made
