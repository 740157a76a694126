"""The noise of an objective from a few of its values: ECnoise.

Seven values at equal distances on a line, which is so short that the objective itself is smooth on
it: differences of higher and higher order leave nothing of a smooth function, and of noise with the
standard deviation s they have the size ``s sqrt((2 k)!) / k!``.  Where three orders agree on s, and
the differences change their sign, that is the noise.  Where half of the values are equal, the line
was too short, as with results that are printed with a few digits: a longer one is taken.

References
----------
J. J. More, S. M. Wild, "Estimating computational noise", SIAM Journal on Scientific Computing 33
(2011) 1292.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver.multistart import directions, stencil
from optdriver.multistart.directions import Directions
from optdriver.multistart.stencil import Stencil

Vector = NDArray[np.float64]
Admitted = Callable[[Vector], bool]

PIECES: Final = 6
LONGER: Final = 128.0
TRIES: Final = 3

_AGREE: Final = 4.0
_SUSPICIOUS: Final = 4.0
_CHANGE: Final = 0.1
_BENDS: Final = 50.0
_EXPLAINS: Final = 0.1  # of the rest: a piece of the line is an n-th of a sixth of a difference
_ALIKE: Final = 30.0  # the orders of something smooth fall by more


@dataclass(slots=True)
class Line:
    """The pending values on a line, taken to measure the noise.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The iterate, at the beginning of the line.
    f : float
        Its value.
    ends : list of ndarray
        The other points.
    values : list of float
        What was told there, NaN until then, infinite when it failed.
    missing : int
        How many have yet to be told.
    tried : int
        Lines before this one.
    before : Stencil or Directions
        The complete differences with which it goes on if there is no noise.
    """

    x: Vector
    f: float
    ends: list[Vector]
    values: list[float]
    missing: int
    tried: int
    before: Stencil | Directions


def is_suspicious(told: Stencil | Directions, g: Vector, rounding: float) -> bool:
    """Tell whether the value near the iterate is not what the gradient says, or all are equal."""
    values = [f for f in told.values if math.isfinite(f)]
    if values and all(f == told.f for f in values):
        return True
    return rest(told, g) > _SUSPICIOUS * rounding * abs(told.f)


def rest(told: Stencil | Directions, g: Vector) -> float:
    """Return how far the value near the iterate is from what the gradient says; 0 if unknown."""
    for slot, i in enumerate(told.coordinate):
        if i == stencil.PROBE and math.isfinite(told.values[slot]):
            there = _point(told, slot)
            return abs(told.values[slot] - told.f - math.fsum((g * (there - told.x)).tolist()))
    return 0.0


def plan(
    told: Stencil | Directions, lower: Vector, upper: Vector, admitted: Admitted, tried: int = 0
) -> Line | None:
    """Return the line on which the noise is measured, or None where there is no room for it.

    It leads to the middle of the difference points, or further by `LONGER` with each try.
    """
    slots = [slot for slot, i in enumerate(told.coordinate) if i != stencil.PROBE]
    with np.errstate(over="ignore"):
        whole = np.mean([_point(told, slot) - told.x for slot in slots], axis=0) * LONGER**tried
        there = told.x + whole
        outside = (there < lower) | (there > upper)
        room = np.where(upper - told.x >= told.x - lower, upper - told.x, lower - told.x) / 2
    whole = np.where(outside, np.where(np.isfinite(room), room, 0.0), whole)
    ends = [told.x + k / PIECES * whole for k in range(1, PIECES + 1)]
    if not all(np.any(end != told.x) and admitted(end) for end in ends):
        return None
    return Line(told.x, told.f, ends, [math.nan] * PIECES, PIECES, tried, told)


def _point(told: Stencil | Directions, slot: int) -> Vector:
    if isinstance(told, Directions):
        return directions.point(told, slot)
    return stencil.point(told, slot)


def is_too_short(line: Line) -> bool:
    """Tell whether half of the neighbouring values are equal."""
    values = np.array([line.f, *line.values])
    return bool(2 * np.count_nonzero(np.diff(values) == 0.0) >= values.size)


def is_too_long(line: Line) -> bool:
    """Tell whether the objective itself changes by more than the noise may be looked for in."""
    values = [line.f, *line.values]
    low, high = min(values), max(values)
    return math.isfinite(high - low) and high - low > _CHANGE * max(abs(low), abs(high))


def at_most(line: Line) -> float:
    """Return what the noise is at most, if the highest orders of differences agree on it; else 0.

    Those of a smooth function fall from one order to the next.
    """
    values = np.array([line.f, *line.values])
    if is_too_long(line) or not np.isfinite(values).all():
        return 0.0
    found = _levels(values)[0][-3:]
    return max(found) if max(found) <= _ALIKE * min(found) else 0.0


def bends(line: Line, rest: float) -> bool:
    """Tell whether the objective itself bends so much that it may have left the `rest`."""
    shown = float(np.max(np.abs(np.diff([line.f, *line.values], 2)), initial=0.0))
    return shown > _BENDS * at_most(line) and shown >= _EXPLAINS * rest / line.x.size**2


def curvature(line: Line, most: float) -> Vector | None:
    """Return the curvature by each coordinate if all have a like part in that along the line.

    None where what bends may be noise, which is `most` at most.
    """
    bend = float(np.max(np.abs(np.diff([line.f, *line.values], 2)), initial=0.0))
    if not _BENDS * most < bend < math.inf:
        return None
    step = np.abs(line.ends[0] - line.x)
    moved = step > 0.0
    shown = (
        bend / (np.count_nonzero(moved) * np.where(moved, step, 1.0)) / np.where(moved, step, 1.0)
    )
    made: Vector = np.where(moved & np.isfinite(shown), shown, 0.0)
    return made


def of(line: Line) -> float | None:
    """Return the standard deviation of the noise on a complete line, None where it is unclear.

    Where values are equal, here or on shorter lines, they are rounded: the noise is at least that
    of rounding to their least distance.
    """
    values = [line.f, *line.values]
    found = level(values)
    apart = np.abs(np.diff(values))
    equal = line.tried > 0 or bool(np.any(apart == 0.0))
    if not (equal and np.isfinite(values).all() and np.any(apart > 0.0)):
        return found
    rounded = float(apart[apart > 0.0].min()) / math.sqrt(12.0)
    return rounded if found is None else max(found, rounded)


def level(values: Sequence[float]) -> float | None:
    """Return the standard deviation of the noise in values at equal distances, None if unclear."""
    table = np.array(values, dtype=np.float64)
    if not np.isfinite(table).all():
        return None
    low, high = float(table.min()), float(table.max())
    if high - low > _CHANGE * max(abs(low), abs(high)):
        return None
    levels, change = _levels(table)
    for k in range(table.size - 3):
        three = levels[k : k + 3]
        if max(three) <= _AGREE * min(three) and change[k]:
            return levels[k]
    return None


def _levels(table: Vector) -> tuple[list[float], list[bool]]:
    """Return the noise that differences of each order have, and whether these change their sign."""
    levels, change, gamma = [], [], 1.0
    for k in range(1, table.size):
        table = np.diff(table)
        gamma *= 0.5 * k / (2 * k - 1)
        levels.append(math.sqrt(gamma * math.fsum((table**2).tolist()) / table.size))
        change.append(bool(table.min() < 0.0 < table.max()))
    return levels, change


def to_dict(line: Line) -> dict[str, Any]:
    """Return a line as numbers and arrays, without what was before it."""
    return {
        "x": line.x.copy(),
        "f": line.f,
        "ends": np.array(line.ends),
        "values": np.array(line.values),
        "missing": line.missing,
        "tried": line.tried,
    }


def from_dict(data: dict[str, Any], before: Stencil | Directions) -> Line:
    """Return the line of which `to_dict` made `data`."""
    return Line(
        np.array(data["x"], dtype=np.float64),
        float(data["f"]),
        list(np.array(data["ends"], dtype=np.float64)),
        [float(f) for f in data["values"]],
        int(data["missing"]),
        int(data["tried"]),
        before,
    )
