"""Points beside an end, where symmetry may have hidden that f falls: where they are, what they say.

The rule is that of `optdriver.lbfgsb.saddles`: variables that have stayed where the run began, with
no slope, are moved a little, and of variables that have been equal all the way one is moved up and
the other down.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.geometry.products import dot, largest

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]

PART = 2.0**-16
"""Of f, or of what a run has gained: small."""

SAME = 2.0**-13
"""Of a variable's size: closer values are the same."""

STEP = 2.0**-10
"""Of a variable's size, which it is moved by."""

ROUNDING = 2.0**-50
"""Of f, or of what a run has gained: a change that is none."""

FARTHER = 8.0
MOST_COMPARED = 2**20

MOST_LOOKED = 6
"""Points beside one end."""

MOST_LEFT = 10
"""Ends of a run that were none."""


class Level(NamedTuple):
    """What counts as no slope, and as no move: see `optdriver.lbfgsb.saddles`.

    `by_width` says that ways are compared as parts of the widths of the box, in which variables of
    any unit are alike.
    """

    slope: float
    change: float
    same: float
    by_width: bool = True

    def holds(self, slopes: Vector, size: Vector) -> Mask:
        """Return which slopes are small, or promise no change over the sizes of their variables."""
        steep = np.abs(slopes)
        return np.asarray((steep <= self.slope) | (steep * size <= self.change))


class Box(NamedTuple):
    """Both sides of what a run may ask."""

    lower: Vector
    upper: Vector

    @property
    def free(self) -> Mask:
        """Which variables can move."""
        return np.asarray(self.lower < self.upper)


def step(
    x: Vector,
    g: Vector,
    began: Vector,
    steps: Vector,
    box: Box,
    level: Level,
    *,
    alone: bool = False,
) -> Vector:
    """Return the step from the end `x` to where f may be lower, of zeros where there is none.

    Parameters
    ----------
    x, g : ndarray, shape (n,)
        The end, and the gradient there.
    began : ndarray, shape (n,)
        Where the run began.
    steps : ndarray, shape (k, n)
        Steps that are known of the run.
    box : Box
    level : Level
        What is no slope, and no move.
    alone : bool
        The box is all that bounds the run: what was moved alone goes to where there is room.
    """
    free, size = box.free, sizes(x, began, box, by_width=level.by_width)
    stays = free & level.holds(g, size) & (np.abs(x - began) <= level.same * size)
    stays &= (np.abs(steps) <= level.same * size).all(axis=0)  # else it has come back
    p = np.zeros(len(x))
    for k, i in enumerate(np.flatnonzero(stays).tolist()):
        p[i] = STEP * size[i] * (-1.0 if k.bit_count() % 2 else 1.0)
    if alone:
        p = inward(x, p, box)
    _exchange(p, x, g, began, steps, size, free & ~stays, level)
    return p


def sizes(x: Vector, began: Vector, box: Box, *, by_width: bool = True) -> Vector:
    """Return the sizes of the variables: see `optdriver.lbfgsb.saddles.size_of`."""
    gone, width = np.abs(x - began), box.upper - box.lower
    way: Any = largest(gone)
    if by_width:
        known = np.isfinite(width) & (width > 0.0)
        part = largest(gone[known] / width[known]) if known.any() else 0.0
        way = np.where(known, part * np.where(known, width, 0.0), way)
    size = np.maximum(np.abs(x), np.abs(began))
    size = np.where(began == 0.0, np.maximum(size, way), size)
    size = np.where(size == 0.0, np.where(np.isfinite(width), width, 1.0), size)
    return np.asarray(np.minimum(size, width))


def _exchange(
    p: Vector,
    x: Vector,
    g: Vector,
    began: Vector,
    steps: Vector,
    size: Vector,
    free: Mask,
    level: Level,
) -> None:
    """Move of each two variables that have been equal all the way one up and the other down."""
    n, least = len(x), level.same * largest(np.abs(x - began))
    open_to = _paired(x, began, free, least)
    window = 2 + MOST_COMPARED // n
    for i in np.flatnonzero(open_to).tolist():
        if not open_to[i]:
            continue
        j = np.arange(i + 1, min(n, i + window))
        same = open_to[j] & (began[j] == began[i]) & (np.abs(x[j] - x[i]) <= least)
        j = j[same & level.holds(g[j] - g[i], size[[i]])]
        together = np.abs(steps[:, j] - steps[:, [i]]) <= least
        j = j[together.all(axis=0)]
        if len(j):
            p[i], p[j[0]] = STEP * size[i], -STEP * size[i]
            open_to[i] = open_to[j[0]] = False


def _paired(x: Vector, began: Vector, free: Mask, least: float) -> Mask:
    """Return which of the `free` variables began where another did, and end near it."""
    places = np.flatnonzero(free)
    order = places[np.lexsort((x[places], began[places]))]
    near = (np.diff(began[order]) == 0.0) & (np.diff(x[order]) <= least)
    paired = np.zeros(len(x), dtype=bool)
    paired[order[1:][near]] = paired[order[:-1][near]] = True
    return paired


def inward(x: Vector, p: Vector, box: Box) -> Vector:
    """Return a step of which each part for which there is no room goes to the wider side."""
    above, below = box.upper - x, x - box.lower
    short = np.abs(p) > np.where(p < 0.0, below, above)
    turned = np.where(above >= below, np.abs(p), -np.abs(p))
    return np.where(short, turned, p)


def bent_down(p: Vector, change: Vector) -> tuple[Vector, float]:
    """Return the part of a step down whose slope f bends, and what a parabola promises along it.

    It is 0 where that is all of the step, or nothing: see
    `optdriver.lbfgsb.saddles.promised_aside`.
    """
    down = p * change < 0.0
    part = np.where(down, p, 0.0)
    hidden = bool(np.any((p != 0.0) & ~down))
    return part, -0.5 * dot(part, change) if hidden else 0.0


def following(looked: int, p: Vector, *, lower: bool, change: Vector, hidden: float) -> Vector:
    """Return the step from the end to the next point beside it, of zeros if there is none.

    One that is lower, but at an end itself, or by next to nothing, is followed farther out.  A
    first one that is not lower is followed along the part of it that the others may have hidden.

    Parameters
    ----------
    looked : int
        How many points were asked, this one among them.
    p : ndarray, shape (n,)
        The step to this one.
    lower : bool
    change : ndarray, shape (n,)
        What the gradient has changed by.
    hidden : float
        A change of f that is none.
    """
    if lower:
        return FARTHER * p
    if looked == 1:
        part, promised = bent_down(p, change)
        if promised > hidden:
            return part
    return np.zeros(len(p))


@dataclass(frozen=True, kw_only=True, slots=True)
class Aside:
    """What a run knows of points beside its ends.

    Attributes
    ----------
    began : ndarray, shape (n,), or None
        Where it began; None before it did, and where nothing is asked beside ends.
    first : float
        The value there.
    end : ndarray, shape (n,), or None
        The end beside which a point is asked now; None if none is.
    ending : str
        How the run ends there, if nothing lower is found; '' where f falls on from a lower point.
    looked : int
        How many points were asked beside this end.
    left : int
        How many ends were none.
    """

    began: Vector | None = None
    first: float = math.inf
    end: Vector | None = None
    ending: str = ""
    looked: int = 0
    left: int = 0

    @property
    def may_look(self) -> bool:
        """Whether an end is looked at that has not been yet."""
        return self.began is not None and not self.looked and self.left < MOST_LEFT

    def gone(self) -> Aside:
        """Return what is known where the run goes on from a lower point."""
        return Aside(began=self.began, first=self.first, left=self.left + 1)

    def kept(self) -> Aside:
        """Return what is known to a run that goes on from the end of this one."""
        looked = self.looked if self.end is None else 0
        return Aside(began=self.began, first=self.first, looked=looked, left=self.left)

    def moved(self, pending: Vector | None) -> int:
        """Return by how many variables the pending point lies beside an end; 0 if it does not."""
        return 0 if pending is None or self.end is None else int((pending != self.end).sum())

    def small(self, f: float) -> float:
        """Return a small part of `f`, or of what the run has gained."""
        return PART * max(abs(f), abs(self.first - f))

    def to_dict(self) -> dict[str, Any]:
        """Return it as numbers, strings and arrays."""
        return {
            "began": None if self.began is None else self.began.copy(),
            "first": self.first,
            "end": None if self.end is None else self.end.copy(),
            "ending": self.ending,
            "looked": self.looked,
            "left": self.left,
        }

    @classmethod
    def from_dict(cls, given: Any, low: Vector, high: Vector, endings: tuple[str, ...]) -> Aside:
        """Return that of which `to_dict` made `given`; None is that of a run that looks nowhere.

        Raises
        ------
        TypeError, ValueError, LookupError
            This is no such dict; `endings` are the names of the successes.
        """
        if given is None:
            return cls()
        data: Mapping[str, Any] = stored.mapping("aside", given)
        points = {
            name: None if data[name] is None else stored.inside(name, data[name], low, high)
            for name in ("began", "end")
        }
        made = cls(
            **points,
            first=stored.real("first", data["first"]),
            ending=stored.text("ending", data["ending"]),
            looked=stored.whole("looked", data["looked"], most=MOST_LOOKED + 1),
            left=stored.whole("left", data["left"], most=MOST_LEFT),
        )
        asked = made.end is not None
        if asked and (made.began is None or not made.looked):
            raise ValueError("a point is asked beside an end of a run that looks nowhere")
        if made.ending not in ("", *endings) or (asked and not made.ending and made.looked < 3):
            raise ValueError("it says nothing of the end beside which a point is asked")
        return made
