"""Whether two ends are one minimum: they are, if minima lie all the way between them.

The question and its first point are those of `optdriver.multistart.barriers`, and so is the move of
a point that is too high, across the line, by Newton's step for a double root.  What is found so
are points of the level of both ends, and between any two neighbours among them is a gap, which is
halved by a point near its middle.  Both halves are closed if that lay on the line already; or if
the gap was short, and the way to the curve was a small part of it.  Halves of others stay open, for
beside a curve there may be another one, on which a point was found that does not belong to the
first: a gap from one to the other has to be bridged by a point that no move leads to.  Only curves
that are nearer to each other than a short gap is long are taken for one.  The ends are one when
three points have been found at least, and no gap is open.

Where a minimum is known to lie along a curve, the nearest of its ends may be one across a bend.  So
an end that is not one with that is compared with the nearest that lies elsewhere, `OTHERS` times.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.geometry.products import norm

Vector = NDArray[np.float64]
End = tuple[int, Vector, float]
"""Number of a minimum, place and value."""

MIDDLE: Final = 0.5
ASIDE: Final = math.sqrt(0.2)
"""Where the point of the first gap lies, and those of the others: this is irrational, so that the
minima of something periodic do not all lie at their distances."""

MOVES: Final = 8
"""How often a point is moved across the line."""

PROBED: Final = 1 / 64
"""How long a step of a difference is at most where a point has been moved, in lengths of the last
move: near the curve the slope changes within them."""

FAR: Final = 1.5
"""A move is no longer than this part of the gap, in widths of the box."""

FALLS: Final = 0.25
"""What a move leaves of the height at most."""

SHORT: Final = 0.1
"""How long a short gap is at most in every coordinate, in widths of the box."""

BENT: Final = 0.25
"""How far from the line the curve is at most where a short gap is closed, in lengths of the gap."""

MOST: Final = 40
"""Points that are looked for, until the ends are taken for two minima."""

OTHERS: Final = 2
"""How many further ends of the known minima an end is compared with, in other directions."""

ELSEWHERE: Final = 0.5
"""The cosine between two directions that are others, at most."""


class Comparison:
    """What comparisons on a line and along a curve share: moves of a point, and known minima."""

    __slots__ = ()

    entry: int
    highest: float
    lowest: float
    at: Vector | None
    moves: int
    height: float
    curved: bool
    joined: tuple[int, ...]

    @property
    def beside(self) -> list[Vector]:
        """Where differences lead at most, if some are wanted."""
        return []

    def _outside(self, f: float, move: Vector | None, most: int) -> Self | Literal[False]:
        """Return how it goes on after a value that is not of the level, with at most so many moves.

        False if the point is a barrier, or in another basin.
        """
        height = f - self.highest
        if f < self.lowest or move is None or self.moves == most or height > FALLS * self.height:
            return False
        return self._with(at=move, moves=self.moves + 1, height=height, curved=True)

    def renumbered(self, kept: int, gone: int) -> Self:
        """Return the comparison after the known minimum `gone` has become one with `kept`."""

        def now(entry: int) -> int:
            return kept if entry == gone else entry - (entry > gone)

        return self._with(entry=now(self.entry), joined=tuple(map(now, self.joined)))

    def _with(self, **changed: Any) -> Self:
        found: Self = replace(self, **changed)  # type: ignore[type-var]
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values and arrays."""
        return asdict(self)  # type: ignore[call-overload,no-any-return]


def between(here: Vector, there: Vector, t: float) -> Vector:
    """Return a point between two, which rounding does not put beyond them."""
    x = (1.0 - t) * here + t * there
    made: Vector = np.clip(x, np.minimum(here, there), np.maximum(here, there))
    return made


def across(height: float, slope: Vector, along: Vector, far: float) -> Vector | None:
    """Return Newton's step for a double root across a line, None if that is farther than `far`.

    Parameters
    ----------
    height : float
        By how much the point is too high.
    slope, along : ndarray, shape (n,)
        The gradient there, and the line from end to end, in the same lengths.
    far : float
        In lengths of the line.
    """
    length = norm(along)
    slope = slope - (slope @ along) / length**2 * along
    size = float(slope @ slope)
    if not 0.0 < size < math.inf:
        return None
    step = -2.0 * height / size * slope
    return None if norm(step) > far * length else step


@dataclass(frozen=True, slots=True, eq=False)
class Path(Comparison):
    """Two ends that are being compared.

    Attributes
    ----------
    entry : int
        The known minimum in the catalogue.
    found : ndarray, shape (k, n)
        Points of one level in order: the end of the run, what has been found between, and the known
        minimum as it was when the comparison began.
    gaps : tuple of bool, length k - 1
        Whether each gap between neighbours is open.
    width : ndarray, shape (n,)
        What distances are measured by.
    highest, lowest : float
        A point above the one is a barrier, below the other another basin.
    at : ndarray or None, shape (n,)
        The point that is being evaluated, where it has been moved off the line.
    moves : int
        How often it has been moved.
    height : float
        How much higher than both ends it was before the last move.
    curved : bool
        Whether any point has been moved.
    near : bool
        Whether the ends are close, so that they are one if nothing is known.
    joined : tuple of int
        Known minima that the end is one with.
    refused : ndarray, shape (k, n)
        Ends that it has been compared with, and is not one with.
    base : float
        The value at the point, where its gradient is being found by differences, else NaN.
    steps, slope : ndarray, shape (n,)
        The steps of these, 0 where there are none, and what has been found (NaN before).
    step : ndarray, shape (n,) or (0,)
        The last move, if there was one.
    """

    entry: int
    found: Vector
    gaps: tuple[bool, ...]
    width: Vector
    highest: float
    lowest: float
    at: Vector | None = None
    moves: int = 0
    height: float = math.inf
    curved: bool = False
    near: bool = False
    joined: tuple[int, ...] = ()
    refused: Vector = field(default_factory=lambda: np.empty((0, 0)))
    base: float = math.nan
    steps: Vector = field(default_factory=lambda: np.empty(0))
    slope: Vector = field(default_factory=lambda: np.empty(0))
    step: Vector = field(default_factory=lambda: np.empty(0))

    def point(self) -> Vector:
        """Return the next point."""
        x = self._middle if self.at is None else self.at
        if not math.isnan(self.base):
            k = self._missing[0]
            x = x.copy()
            x[k] += self.steps[k]
        return x

    @property
    def beside(self) -> list[Vector]:
        """Where differences lead at most, if some are wanted."""
        x = self._middle if self.at is None else self.at
        return [] if math.isnan(self.base) else [x + self.steps]

    @property
    def _missing(self) -> list[int]:
        """The coordinates by which no difference is known."""
        return np.flatnonzero(np.isnan(self.slope)).tolist()

    def can_move(self, f: float) -> bool:
        """Tell whether a point with a value is moved if its gradient is known."""
        return self.moves < MOVES and 0.0 < f - self.highest <= FALLS * self.height

    def differenced(self, f: float, steps: Vector, box: Vector) -> Path:
        """Return it with the gradient at its point, where f has a value, wanted by differences.

        Parameters
        ----------
        f : float
        steps : ndarray, shape (n,)
            How long those are at most, on one side.
        box : ndarray, shape (n, 2)
        """
        x = self.point()
        moved = float(np.max(np.abs(self.step) / self.width)) if self.step.size else math.inf
        lengths = np.minimum(steps, PROBED * moved * self.width)
        room = box - x[:, None]
        ahead = room[:, 1] >= 2.0 * lengths  # rounding puts none of them outside
        made = np.where(ahead, lengths, -np.minimum(lengths, -0.5 * room[:, 0]))
        made = (x + made) - x
        slope = np.where(made == 0.0, 0.0, math.nan)
        return self if not np.isnan(slope).any() else replace(self, base=f, steps=made, slope=slope)

    def with_difference(self, f: float) -> Path:
        """Return it with a value beside its point."""
        slope, k = self.slope.copy(), self._missing[0]
        slope[k] = (f - self.base) / self.steps[k]
        return replace(self, slope=slope)

    @property
    def wants_differences(self) -> bool:
        """Whether the gradient at the point is being found, and not known yet."""
        return not math.isnan(self.base) and bool(self._missing)

    def with_gradient(self) -> tuple[Path, float, Vector]:
        """Return it at its point again, the value there and the gradient that was found."""
        none = np.empty(0)
        return replace(self, base=math.nan, steps=none, slope=none), self.base, self.slope

    @property
    def _gap(self) -> int:
        """The widest gap that is open."""
        lengths = np.linalg.norm(np.diff(self.found, axis=0) / self.width, axis=1)
        return int(np.argmax(np.where(self.gaps, lengths, -1.0)))

    @property
    def _middle(self) -> Vector:
        """The point of that gap, before any move; rounding does not put it beyond the gap."""
        here, there = self.found[self._gap : self._gap + 2]
        t = MIDDLE if len(self.gaps) == 1 else ASIDE
        return between(here, there, t)

    def after(self, f: float, move: Vector | None = None) -> Path | bool:
        """Return how it goes on after a value: True for one minimum, False for two.

        `move` is where the point goes if it is too high, None if it cannot be moved.
        """
        if self.lowest <= f <= self.highest:
            return self._halved()
        return self._outside(f, move, MOVES)

    def after_all(
        self, f: float, g: Vector | None, move: Vector | None, box: Vector
    ) -> Path | bool:
        """Return how it goes on, as `after` does, but after a move that went too far it is less.

        That is as far as the lowest point of the parabola that the move was made for, and that has
        the value where it led to.
        """
        made = self.after(f, move)
        if isinstance(made, Path) and made.moves > self.moves and move is not None:
            return replace(made, step=move - self.point())
        beyond = self.step.size and f > self.highest and self.moves < MOVES
        if made is False and beyond and (g is None or g @ self.step > 0.0):
            part = self.height / (self.height + f - self.highest)
            at = np.clip(self.point() - (1.0 - part) * self.step, box[:, 0], box[:, 1])
            return replace(self, at=at, moves=self.moves + 1, step=np.empty(0))
        return made

    def _halved(self) -> Path | bool:
        """Return it with the point between, or how the comparison has ended."""
        gap = self._gap
        still = len(self.gaps) == 1 or not self._is_bridged()
        gaps = (*self.gaps[:gap], still, still, *self.gaps[gap + 1 :])
        if not any(gaps):
            return True
        if len(gaps) > MOST:
            return False
        found = np.insert(self.found, gap + 1, self.point(), axis=0)
        return replace(
            self,
            found=found,
            gaps=gaps,
            at=None,
            moves=0,
            height=math.inf,
            step=np.empty(0),
        )

    def _is_bridged(self) -> bool:
        """Tell whether the point between closes the gap."""
        if self.at is None:
            return True
        here, there = self.found[self._gap : self._gap + 2]
        length = float(np.max(np.abs(there - here) / self.width))
        bend = float(np.max(np.abs(self.at - self._middle) / self.width))
        return length <= SHORT and bend <= BENT * length

    def moved(self, f: float, g: Vector | None, box: Vector) -> Vector | None:
        """Return where a point that is too high goes, across the line; None if that is far.

        Parameters
        ----------
        f, g : float, ndarray or None
            Value and gradient at the point.
        box : ndarray, shape (n, 2)
        """
        if g is None or not np.all(np.isfinite(g)) or f <= self.highest:
            return None
        x, (here, there) = self.point(), self.found[self._gap : self._gap + 2]
        blocked = np.where(g > 0.0, x <= box[:, 0], x >= box[:, 1])
        slope = np.where(blocked, 0.0, g * self.width)
        step = across(f - self.highest, slope, (there - here) / self.width, FAR)
        if step is None:
            return None
        made: Vector = np.clip(x + self.width * step, box[:, 0], box[:, 1])
        return made

    def passed(self) -> list[Vector]:
        """Return the ends that it has been compared with, if it is not one with the present."""
        return [*self.refused, self.found[-1]]

    @property
    def may_go_on(self) -> bool:
        """Whether it may be compared with another end, if it is not one with the present."""
        return len(self.refused) < OTHERS

    def elsewhere(self, ends: list[End]) -> list[End]:
        """Return those ends that lie in other directions than those that are no longer asked for.

        None of them where enough have been compared.
        """
        refused = self.passed()
        if not self.may_go_on:
            return []
        here = self.found[0]
        away = np.reshape([(x - here) / self.width for _, x, _ in ends], (len(ends), here.size))
        for x in refused:
            away_from = (x - here) / self.width
            length = np.linalg.norm(away, axis=1) * norm(away_from)
            apart = away @ away_from <= ELSEWHERE * length
            ends, away = [end for end, keep in zip(ends, apart, strict=True) if keep], away[apart]
        return ends

    @classmethod
    def from_dict(cls, data: Any, n: int) -> Path:
        """Return the comparison of which `to_dict` made `data`."""
        at, gaps = data["at"], tuple(stored.flag("gaps", gap) for gap in data["gaps"])
        width = stored.array("width", data["width"], (n,), finite=True)
        if not any(gaps) or len(gaps) > MOST or not (width > 0.0).all():
            raise ValueError("'gaps' or 'width' are those of no comparison")
        return cls(
            stored.whole("entry", data["entry"]),
            stored.array("found", data["found"], (len(gaps) + 1, n), finite=True),
            gaps,
            width,
            stored.real("highest", data["highest"]),
            stored.real("lowest", data["lowest"]),
            None if at is None else stored.array("at", at, (n,), finite=True),
            stored.whole("moves", data["moves"], most=MOVES),
            stored.real("height", data["height"], 0.0),
            stored.flag("curved", data["curved"]),
            stored.flag("near", data["near"]),
            tuple(stored.whole("joined", entry) for entry in data["joined"]),
            stored.array("refused", data["refused"], (len(data["refused"]), n), finite=True),
            **_of_differences(data, n),
        )


def _of_differences(data: Any, n: int) -> dict[str, Any]:
    """Return what is known of a gradient by differences; 0.8.0 and before had none."""
    step = np.array(data.get("step", ()), dtype=np.float64)
    if step.size:
        step = stored.array("step", step, (n,), finite=True)
    base = float(data.get("base", math.nan))
    if math.isnan(base):
        return {"step": step}
    steps = stored.array("steps", data["steps"], (n,), finite=True)
    slope = stored.array("slope", data["slope"], (n,), nan=True)
    if not np.isnan(slope).any() or not steps[np.isnan(slope)].all():
        raise ValueError("'steps' or 'slope' are those of no differences")
    return {"base": base, "steps": steps, "slope": slope, "step": step}
