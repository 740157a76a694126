"""Whether two ends are one minimum: they are, if no barrier lies between them.

Where a minimum is flat, or a valley long, runs end far from each other at almost the same value.
So an end that would be listed as a new minimum is compared with the nearest one of the same level:
up to three points between them are evaluated, one after the other.  The first that is higher than
both ends is a barrier, and the ends are two minima.  So they are where a point is much lower, which
is another basin between them, where it fails, and where it violates a constraint.  Two minima cost
one evaluation as a rule.

Minima may lie along a curve, and then the line between two of them does not.  So a point that is
higher is moved across the line by Newton's step for a double root, 2 (f - f*) / |g|^2 along the
gradient, as long as this takes most of what it is higher, and does not lead far: on a ring of
minima it falls to their level within a few evaluations.  An end that is one with a known minimum
along a curve is compared with others, too, and may so join arcs that were listed apart.

Ends that are close are one minimum without being compared, but for those farther from each other
than most ends of a minimum: there may be two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.multistart.paths import Comparison, Path, across, between

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet

Vector = NDArray[np.float64]

FRACTIONS: Final = (0.5, 0.5 - math.sqrt(0.05), 0.5 + math.sqrt(0.05))
"""Where between two ends points are evaluated: the nodes of Lobatto's rule, of which the last two
are irrational, so that the minima of something periodic do not all lie at their distances."""

ROUNDING: Final = 10.0
"""How much higher than both ends a point may be, in units of `ftol` times the larger value."""

BEYOND_DOUBT: Final = 2.0
"""So many times what values differ by for their noise a barrier is high: several are looked at."""

MOVES: Final = 6
"""How often a point is moved across the line."""

BENT: Final = 0.5
"""A move is no longer than this part of the line, in widths of the box."""

LEAST: Final = 1e-12
"""And beside that in units of `depth`: at a minimum of 0 rounding alone is a barrier otherwise."""

LEAST_NEAR: Final = 1e-3
"""The same between ends that are close: noise that nobody has told of is no barrier there."""


@dataclass(frozen=True, slots=True, eq=False)
class Between(Comparison):
    """Two ends that are being compared.

    Attributes
    ----------
    entry : int
        The known minimum in the catalogue.
    here, there : ndarray, shape (n,)
        The end of the run, and the known minimum when the comparison began.
    highest, lowest : float
        A point above the one is a barrier, below the other another basin.
    asked : int
        How many points have been found to be no barrier.
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
    """

    entry: int
    here: Vector
    there: Vector
    highest: float
    lowest: float
    asked: int = 0
    at: Vector | None = None
    moves: int = 0
    height: float = math.inf
    curved: bool = False
    near: bool = False
    joined: tuple[int, ...] = ()

    @property
    def found(self) -> tuple[Vector, Vector]:
        """The end of the run, and the known minimum."""
        return self.here, self.there

    def point(self) -> Vector:
        """Return the next point."""
        if self.at is not None:
            return self.at
        return between(self.here, self.there, FRACTIONS[self.asked])

    def after(self, f: float, move: Vector | None = None) -> Between | bool:
        """Return how it goes on after a value: True for one minimum, False for two.

        `move` is where the point goes if it is too high, None if it cannot be moved.
        """
        if self.lowest <= f <= self.highest:
            if self.asked + 1 == len(FRACTIONS):
                return True
            return replace(self, asked=self.asked + 1, at=None, moves=0, height=math.inf)
        return self._outside(f, move, MOVES)

    def moved(self, f: float, g: Vector | None, box: Vector, width: Vector) -> Vector | None:
        """Return where a point that is too high goes, across the line; None if that is far.

        Parameters
        ----------
        f, g : float, ndarray or None
            Value and gradient at the point.
        box : ndarray, shape (n, 2)
        width : ndarray, shape (n,)
            What distances are measured by.
        """
        if g is None or not np.all(np.isfinite(g)) or f <= self.highest:
            return None
        step = across(f - self.highest, g * width, (self.there - self.here) / width, BENT)
        if step is None:
            return None
        made: Vector = np.clip(self.point() + width * step, box[:, 0], box[:, 1])
        return made

    @classmethod
    def from_dict(cls, data: Any, n: int) -> Between:
        """Return the comparison of which `to_dict` made `data`."""
        at = data.get("at")  # 0.3.0 moved no point
        return cls(
            stored.whole("entry", data["entry"]),
            stored.array("here", data["here"], (n,), finite=True),
            stored.array("there", data["there"], (n,), finite=True),
            stored.real("highest", data["highest"]),
            stored.real("lowest", data["lowest"]),
            stored.whole("asked", data["asked"], most=len(FRACTIONS) - 1),
            None if at is None else stored.array("at", at, (n,), finite=True),
            stored.whole("moves", data.get("moves", 0), most=MOVES),
            float(data.get("height", math.inf)),
            stored.flag("curved", data.get("curved", False)),
            stored.flag("near", data.get("near", False)),
            tuple(stored.whole("joined", entry) for entry in data.get("joined", ())),
        )


def comparison(
    x: Vector,
    f: float,
    known: Sequence[tuple[int, Vector, float]],
    width: Vector,
    constraints: ConstraintSet | None,
    *,
    ftol: float,
    depth: float,
    near: bool = False,
    joined: tuple[int, ...] = (),
    refused: Sequence[Vector] = (),
    paths: bool = True,
    noise: float = 0.0,
) -> Between | Path | None:
    """Return the comparison of an end with the nearest known minimum; None if there is none.

    Parameters
    ----------
    x, f : ndarray, float
        The end, which is close to none that is known.
    known : sequence of (int, ndarray, float)
        Minima of the same level: number, place, value.
    width : ndarray, shape (n,)
        What distances are measured by.
    constraints : ConstraintSet or None
    ftol : float
        The relative decrease of the minimizers.
    depth : float
        How much lower than both ends a point may be.
    near : bool
        Whether the known one is close.
    joined : tuple of int
        Those that the end is known to be one with.
    refused : sequence of ndarray
        Those that it is known not to be one with.
    paths : bool
        Whether the gaps of a curve are closed one by one.
    noise : float
        By what values differ for their noise alone.
    """
    if not known:
        return None
    away = np.max(np.abs(np.array([place for _, place, _ in known]) - x) / width, axis=1)
    index, y, g = known[int(np.argmin(away))]
    inside = constraints is None or all(
        constraints.is_feasible(between(x, y, t)) for t in FRACTIONS
    )
    if not inside:
        return None
    least = (LEAST_NEAR if near else LEAST) * depth
    highest = max(f, g) + ROUNDING * ftol * max(abs(f), abs(g)) + least
    level = (highest + noise, min(f, g) - depth - noise)
    said: dict[str, Any] = {"near": near, "joined": joined, "curved": bool(joined)}
    if paths:
        passed = np.array(refused).reshape(-1, x.size)
        return Path(index, np.stack([x, y]), (True,), width.copy(), *level, **said, refused=passed)
    return Between(index, x.copy(), y.copy(), *level, **said)
