"""Whether two ends are one minimum: they are, if no barrier lies between them.

Where a minimum is flat, or a valley long, runs end far from each other at almost the same value.
So an end that would be listed as a new minimum is compared with the nearest one of the same level:
up to three points between them are evaluated, one after the other.  The first that is higher than
both ends is a barrier, and the ends are two minima.  So they are where a point is much lower, which
is another basin between them, where it fails, and where it violates a constraint.  Two minima cost
one evaluation as a rule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver import stored

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet

Vector = NDArray[np.float64]

FRACTIONS: Final = (0.5, 0.5 - math.sqrt(0.05), 0.5 + math.sqrt(0.05))
"""Where between two ends points are evaluated: the nodes of Lobatto's rule, of which the last two
are irrational, so that the minima of something periodic do not all lie at their distances."""

ROUNDING: Final = 10.0
"""How much higher than both ends a point may be, in units of `ftol` times the larger value."""

LEAST: Final = 1e-12
"""And beside that in units of `depth`: at a minimum of 0 rounding alone is a barrier otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class Between:
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
        How many points have been evaluated.
    """

    entry: int
    here: Vector
    there: Vector
    highest: float
    lowest: float
    asked: int = 0

    def point(self) -> Vector:
        """Return the next point."""
        return _point(self.here, self.there, FRACTIONS[self.asked])

    def after(self, f: float) -> Between | bool:
        """Return how it goes on after a value: True for one minimum, False for two."""
        if not self.lowest <= f <= self.highest:
            return False
        if self.asked + 1 == len(FRACTIONS):
            return True
        return replace(self, asked=self.asked + 1)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values and arrays."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any, n: int) -> Between:
        """Return the comparison of which `to_dict` made `data`."""
        return cls(
            stored.whole("entry", data["entry"]),
            stored.array("here", data["here"], (n,), finite=True),
            stored.array("there", data["there"], (n,), finite=True),
            stored.real("highest", data["highest"]),
            stored.real("lowest", data["lowest"]),
            stored.whole("asked", data["asked"], most=len(FRACTIONS) - 1),
        )


def _point(here: Vector, there: Vector, t: float) -> Vector:
    """Return a point between two, which rounding does not put beyond them."""
    x = (1.0 - t) * here + t * there
    made: Vector = np.clip(x, np.minimum(here, there), np.maximum(here, there))
    return made


def comparison(
    x: Vector,
    f: float,
    known: Sequence[tuple[int, Vector, float]],
    width: Vector,
    constraints: ConstraintSet | None,
    *,
    ftol: float,
    depth: float,
) -> Between | None:
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
    """
    if not known:
        return None
    index, y, g = min(known, key=lambda each: float(np.max(np.abs(each[1] - x) / width)))
    inside = constraints is None or all(constraints.is_feasible(_point(x, y, t)) for t in FRACTIONS)
    if not inside:
        return None
    highest = max(f, g) + ROUNDING * ftol * max(abs(f), abs(g)) + LEAST * depth
    return Between(index, x.copy(), y.copy(), highest, min(f, g) - depth)
