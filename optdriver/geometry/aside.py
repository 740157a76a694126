"""Points beside an end, where symmetry may have hidden that f falls: where they are, what they say.

The rule is that of `optdriver.lbfgsb.saddles`: variables that have stayed where the run began, with
no slope, are moved a little, and of variables that have been equal all the way one is moved up and
the other down.  Where f is not lower there the next steps are conjugate to the first one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.geometry import stayed
from optdriver.geometry.products import dot, largest
from optdriver.reading import read_level

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

VARIED = 0.7320508075688772
"""sqrt(3) - 1: its multiples' fractions are all over (0, 1)."""

FARTHER = 8.0
MOST_COMPARED = 2**20

MOST_LOOKED = 6
"""Points beside one end."""

FOLLOWED = 3
"""What is counted at the first point beside an end that is asked after one that is lower."""

MOST_LEFT = 10
"""Ends of a run that were none."""

SPENT = 2.0**-7
"""Of the first step: a smaller residual of conjugate steps is none."""


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
    turning: bool = False,
) -> tuple[Vector, Turns | None]:
    """Return the step from the end `x` to where f may be lower, and the turns after it.

    It is of zeros where there is none.

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
    turning : bool
        Turn from there where that says nothing, if two variables have stayed: not before 0.10.0.
    """
    size = sizes(x, began, box, by_width=level.by_width)
    stays: Mask = stayed.stay(x, g, began, steps, size, box.lower, box.upper, level)
    p, lengths = np.zeros(len(x)), STEP * size
    for k, i in enumerate(stays.nonzero()[0].tolist()):
        p[i] = lengths[i] * (-1.0 if k.bit_count() % 2 else 1.0)
    if alone:
        p = inward(x, p, box)
    turns = Turns(p.copy()) if turning and np.count_nonzero(p) > 1 else None
    for i, j in _exchanged(x, g, began, steps, size, box.free & ~stays, level):
        p[i], p[j] = lengths[i], -lengths[i]
    return p, turns


def sizes(x: Vector, began: Vector, box: Box, *, by_width: bool = True) -> Vector:
    """Return the sizes of the variables: see `optdriver.lbfgsb.saddles.size_of`."""
    return np.asarray(stayed.sizes(x, began, box.lower, box.upper, by_width))


def _exchanged(
    x: Vector,
    g: Vector,
    began: Vector,
    steps: Vector,
    size: Vector,
    free: Mask,
    level: Level,
) -> Iterator[tuple[int, int]]:
    """Yield each two variables that have been equal all the way."""
    n, least = len(x), level.same * largest(np.abs(x - began))
    open_to = _paired(x, began, free, least)
    window = 2 + MOST_COMPARED // n
    for i in open_to.nonzero()[0].tolist():
        if not open_to[i]:
            continue
        j = np.arange(i + 1, min(n, i + window))
        same = open_to[j] & (began[j] == began[i]) & (np.abs(x[j] - x[i]) <= least)
        j = j[same & level.holds(g[j] - g[i], size[[i]])]
        together = np.abs(steps[:, j] - steps[:, [i]]) <= least
        j = j[together.all(axis=0)]
        if len(j):
            yield i, int(j[0])
            open_to[i] = open_to[j[0]] = False


def _paired(x: Vector, began: Vector, free: Mask, least: float) -> Mask:
    """Return which of the `free` variables began where another did, and end near it."""
    paired, places = np.zeros(len(x), dtype=bool), free.nonzero()[0]
    in_order = np.sort(began[places])
    if not (in_order[1:] == in_order[:-1]).any():
        return paired
    order = places[np.lexsort((x[places], began[places]))]
    near = (np.diff(began[order]) == 0.0) & (np.diff(x[order]) <= least)
    paired[order[1:][near]] = paired[order[:-1][near]] = True
    return paired


def inward(x: Vector, p: Vector, box: Box) -> Vector:
    """Return a step of which each part for which there is no room goes to the wider side."""
    above, below = box.upper - x, x - box.lower
    short = np.abs(p) > np.where(p < 0.0, below, above)
    turned = np.where(above >= below, np.abs(p), -np.abs(p))
    return np.where(short, turned, p)


def explained(looked: int, turns: Turns | None, g: Vector, p: Vector) -> float:
    """Return by how much f may fall along a step, says the gradient at the end, but bend nowhere.

    In turns what matters is the gradient in what has stayed: a step that was brought back to
    constraints is along these.
    """
    if looked > 1:
        if turns is None or turns.left is None:
            return 0.0
        g = np.where(turns.first != 0.0, g, 0.0)
    return 2.0 * abs(dot(g, p))


def bent_down(p: Vector, change: Vector) -> tuple[Vector, float]:
    """Return the part of a step down whose slope f bends, and what a parabola promises along it.

    It is 0 where that is all of the step, or nothing: see
    `optdriver.lbfgsb.saddles.promised_aside`.
    """
    down = p * change < 0.0
    part = np.where(down, p, 0.0)
    hidden = bool(np.any((p != 0.0) & ~down))
    return part, -0.5 * dot(part, change) if hidden else 0.0


class Turns(NamedTuple):
    """The first step beside an end, in what has stayed, and what is left, as parts of its sizes.

    `left` is the residual of conjugate directions, None before there was one: see
    `optdriver.lbfgsb.saddles.turn_aside`.  Both have shape (n,).
    """

    first: Vector
    left: Vector | None = None

    def turned(self, p: Vector, change: Vector, hidden: float) -> tuple[Vector, Turns] | None:
        """Return the next step, conjugate to the last ones, and the turns with it; None at an end.

        `p` is the step that was not lower, along which the gradient has changed by `change`, and
        `hidden` is a change of f that is none.
        """
        sizes = np.abs(self.first)
        moved = sizes > 0.0
        made = np.divide(p, sizes, out=np.zeros(p.size), where=moved)
        bent = sizes * change
        along = dot(made, bent)
        if not along > 2.0 * hidden:
            return None
        left = self._varied() if self.left is None else self.left
        left = left - dot(left, made) / along * bent
        if not largest(np.abs(left)) > SPENT:
            return None
        way = left - dot(left, bent) / along * made
        step = sizes * (way / largest(np.abs(way)))
        return (step, Turns(self.first, left)) if np.isfinite(step).all() else None

    def _varied(self) -> Vector:
        """Return parts of its sizes that are all different: 1/2 to 1 of them."""
        parts = np.sign(self.first)
        moved = np.flatnonzero(parts)
        parts[moved] *= 1.0 - 0.5 * (VARIED * np.arange(moved.size) % 1.0)
        return parts


def moved(p: Vector, turns: Turns | None) -> int:
    """Return by how many variables, or in how many together, points beside an end are asked."""
    most = 0 if turns is None else np.count_nonzero(turns.first)
    return int(max(np.count_nonzero(p), most))


def counted(looked: int, *, lower: bool, turns: Turns | None) -> int:
    """Return how many points count as asked beside an end with the next one."""
    first = lower and (turns is not None or looked < FOLLOWED)
    return FOLLOWED if first else looked + 1


def following(
    looked: int,
    p: Vector,
    *,
    lower: bool,
    change: Vector,
    hidden: float,
    turns: Turns | None = None,
) -> tuple[Vector, Turns | None]:
    """Return the step from the end to the next point beside it, of zeros if there is none.

    One that is lower, but at an end itself, or by next to nothing, is followed farther out.  A
    first one that is not lower is followed along the part of it that the others may have hidden,
    and then, as long as none is lower, in turns.

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
    turns : Turns, optional
        None before the rules that know them, and once a lower point was found.
    """
    if lower:
        return FARTHER * p, None
    if looked == 1:
        part, promised = bent_down(p, change)
        if promised > hidden:
            return part, turns
    if turns is not None and looked < MOST_LOOKED:
        made = turns.turned(p, change, hidden)
        if made is not None:
            return made
    return np.zeros(len(p)), None


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
    turning : bool
        Whether it turns beside ends: not before 0.10.0.
    turns : Turns or None
        What these are made of; None as soon as something lower was found beside this end.
    """

    began: Vector | None = None
    first: float = math.inf
    end: Vector | None = None
    ending: str = ""
    looked: int = 0
    left: int = 0
    turning: bool = False
    turns: Turns | None = None

    @property
    def may_look(self) -> bool:
        """Whether an end is looked at that has not been yet."""
        return self.began is not None and not self.looked and self.left < MOST_LEFT

    def gone(self) -> Aside:
        """Return what is known where the run goes on from a lower point."""
        return replace(self._begun(), left=self.left + 1)

    def kept(self) -> Aside:
        """Return what is known to a run that goes on from the end of this one."""
        looked = self.looked if self.end is None else 0
        return replace(self._begun(), looked=looked)

    def _begun(self) -> Aside:
        return replace(self, end=None, ending="", looked=0, turns=None)

    def at(self, end: Vector, ending: str, turns: Turns | None) -> Aside:
        """Return what is known where a first point beside an end is asked."""
        return replace(self, end=end, ending=ending, looked=1, turns=turns)

    def after(self, *, lower: bool, turns: Turns | None) -> Aside:
        """Return what is known after a point beside the end, if another is asked."""
        looked = counted(self.looked, lower=lower, turns=self.turns)
        return replace(self, looked=looked, turns=turns)

    def moved(self, pending: Vector | None) -> int:
        """Return by how many variables the pending point lies beside an end; 0 if it does not.

        As many as at first where derivatives may tell of further directions.
        """
        if pending is None or self.end is None:
            return 0
        return moved(pending - self.end, self.turns)

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
            "turning": self.turning,
            "turns": turns_as_rows(self.turns),
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
            turning=stored.flag("turning", data.get("turning", False)),
            turns=read_turns(data.get("turns"), len(low)),
        )
        asked = made.end is not None
        if asked and (made.began is None or not made.looked):
            raise ValueError("a point is asked beside an end of a run that looks nowhere")
        if made.ending not in ("", *endings) or (
            asked and not made.ending and made.looked < FOLLOWED
        ):
            raise ValueError("it says nothing of the end beside which a point is asked")
        return made


def read_looks(beside: Any) -> int:
    """Return how points beside ends are asked: 2 in turns, 1 in one direction, 0 not at all.

    Raises
    ------
    InputError, InputTypeError
    """
    return read_level("beside", beside, 2)


def turns_as_rows(turns: Turns | None) -> Vector | None:
    """Return turns as an array to be stored, shape (1, n), or (2, n) with what is left."""
    if turns is None:
        return None
    return np.array([turns.first] if turns.left is None else turns)


def read_turns(given: Any, n: int) -> Turns | None:
    """Return the turns of which `turns_as_rows` has made an array, or None.

    Raises
    ------
    ValueError
        They are none.
    """
    if given is None:
        return None
    if not 1 <= len(given) <= 2:
        raise ValueError("turns are a first step, and what is left of it")
    return Turns(*stored.array("turns", given, (len(given), n), finite=True))
