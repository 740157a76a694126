"""Finite differences as data: which points give the gradient at x, and what they gave.

Forward differences unless a bound is nearer than the step; then backward ones; between two bounds
that are both nearer, the step to the farther bound.  Every point is inside the bounds.  The step
that divides is the difference of the two floating-point numbers, not the step that was wished for.
Two-sided differences, where asked for and where both sides fit, cost 2 n points instead of n.

A point that fails is replaced on the other side, then at an eighth of the step on either side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from optdriver import stored

Vector = NDArray[np.float64]

BASE = -1
"""The slot of x itself; the other slots count from 0."""

PROBE = -3
"""What stands for the coordinate of a point that shows whether there is noise."""

DROPPED = -math.inf
"""The value of a slot that was told, and is not used any more."""

_NEAR = 2.0**-4  # the probe, on the way to the middle of the points
_SHORTER = 2.0**-3

LEAST_STEP = 2.0**-49
"""Relative to x: at least eight units in its last place."""


class Slots(Protocol):
    """What differences of every kind keep of the values told."""

    f: float
    values: list[float]
    missing: int


@dataclass(slots=True)
class Stencil:
    """The pending finite-difference gradient of one iterate.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The iterate.
    f : float
        Its value; NaN until told.
    coordinate : list of int
        For each slot, the coordinate that is moved.
    moved : list of float
        For each slot, the value that this coordinate takes.
    values : list of float
        For each slot, the value told; NaN until told, infinite when it failed.
    missing : int
        How many of x and the slots have yet to be told.
    probe : ndarray or None
        The point of the slot whose coordinate is PROBE, if there is one.
    vectors : dict of int to ndarray
        Where residuals are told: those of the slots, and of x (BASE).
    """

    x: Vector
    f: float
    coordinate: list[int]
    moved: list[float]
    values: list[float]
    missing: int
    probe: Vector | None = None
    vectors: dict[int, Vector] = field(default_factory=dict)


def plan(
    x: Vector,
    lower: Vector,
    upper: Vector,
    step: float | Vector,
    two_sided: bool,
    probe: bool = False,
) -> Stencil:
    """Return the stencil at `x` for all coordinates that are not fixed, by steps of `step`."""
    step_here = np.maximum(step, LEAST_STEP * np.abs(x))
    with np.errstate(over="ignore"):
        up, down = x + step_here, x - step_here
        farther = np.where(upper - x >= x - lower, upper, lower)
    up_fits, down_fits = (up <= upper) & np.isfinite(up), (down >= lower) & np.isfinite(down)
    first = np.where(up_fits, up, np.where(down_fits, down, farther))
    coordinate = np.flatnonzero(lower < upper)
    moved = first[coordinate]
    if two_sided:
        both = np.flatnonzero((lower < upper) & up_fits & down_fits)
        coordinate = np.concatenate([coordinate, both])
        moved = np.concatenate([moved, down[both]])
    slots = len(coordinate)
    made = Stencil(x, math.nan, coordinate.tolist(), moved.tolist(), [math.nan] * slots, slots + 1)
    near = _near(x, first, lower < upper)
    if probe and np.any(near != x):
        made.probe = near
        _add(made, PROBE, math.nan)
        made.missing += 1
    return made


def _near(x: Vector, first: Vector, free: NDArray[np.bool_]) -> Vector:
    """Return the probe: on the way to the middle of one point for each coordinate, so inside."""
    near: Vector = x + np.where(
        free, _NEAR * (first - x) / max(1, int(np.count_nonzero(free))), 0.0
    )
    return near


def _add(stencil: Stencil, coordinate: int, moved: float) -> int:
    """Add a slot, not counted as missing; return it."""
    stencil.coordinate.append(coordinate)
    stencil.moved.append(moved)
    stencil.values.append(math.nan)
    return len(stencil.values) - 1


def point(stencil: Stencil, slot: int) -> Vector:
    """Return the point of a slot."""
    if slot != BASE and stencil.coordinate[slot] == PROBE and stencil.probe is not None:
        return stencil.probe.copy()
    x = stencil.x.copy()
    if slot != BASE:
        x[stencil.coordinate[slot]] = stencil.moved[slot]
    return x


def record(pending: Slots, slot: int, f: float) -> bool:
    """Note the value of a slot; return whether all are known now."""
    if slot == BASE:
        pending.f = f
    else:
        pending.values[slot] = f
    pending.missing -= 1
    return pending.missing == 0


def replace_failed(
    stencil: Stencil, slot: int, lower: Vector, upper: Vector
) -> tuple[int, ...] | None:
    """Make up for a slot that failed: return the slots to ask instead, or None if there is no way.

    The new point is on the other side of x, and if that fails too, or is out of bounds, at an
    eighth of the step, on one side and the other.  A coordinate that is differenced on both sides
    goes on with the side that is left.
    """
    i = stencil.coordinate[slot]
    stencil.values[slot] = math.inf
    same = [k for k, c in enumerate(stencil.coordinate) if c == i]
    if i == PROBE or any(not math.isinf(stencil.values[k]) for k in same):
        stencil.missing -= 1
        return ()
    x = float(stencil.x[i])
    tried = {stencil.moved[k] for k in same}
    h = stencil.moved[next(k for k in same if stencil.values[k] == math.inf)] - x
    for step in (-h, _SHORTER * h, -_SHORTER * h):
        if lower[i] <= x + step <= upper[i] and x + step != x and x + step not in tried:
            return (_add(stencil, i, x + step),)
    return None


def again(stencil: Stencil, i: int, step: float, lower: Vector, upper: Vector) -> tuple[int, ...]:
    """Take another step in a coordinate of a complete stencil: return the slot to ask."""
    for slot, coordinate in enumerate(stencil.coordinate):
        if coordinate == i:
            stencil.values[slot] = DROPPED
    x = float(stencil.x[i])
    farther = float(upper[i]) if upper[i] - x >= x - lower[i] else float(lower[i])
    sides = [end for end in (x + step, x - step) if lower[i] <= end <= upper[i] and end != x]
    stencil.missing += 1
    return (_add(stencil, i, sides[0] if sides else farther),)


def replace_once(
    stencil: Stencil, slot: int, lower: Vector, upper: Vector
) -> tuple[int, ...] | None:
    """Make up for a slot that failed as optdriver 0.1.0 did, for what it has recorded."""
    i = stencil.coordinate[slot]
    others = [k for k, c in enumerate(stencil.coordinate) if c == i and k != slot]
    if any(math.isinf(stencil.values[k]) for k in others):
        return None
    stencil.values[slot] = math.inf
    if others:
        stencil.missing -= 1
        return ()
    x = float(stencil.x[i])
    h = stencil.moved[slot] - x
    other = x - h if lower[i] <= x - h <= upper[i] else x + h / 2
    return None if other in (x, stencil.moved[slot]) else (_add(stencil, i, other),)


def gradient(stencil: Stencil) -> Vector:
    """Return the gradient of a complete stencil; fixed coordinates have zero."""
    g = np.zeros(stencil.x.size)
    ends: dict[int, list[tuple[float, float]]] = {}
    for i, moved, f in zip(stencil.coordinate, stencil.moved, stencil.values, strict=True):
        if math.isfinite(f) and i != PROBE:
            ends.setdefault(i, []).append((moved, f))
    for i, known in ends.items():
        (there, f_there), (here, f_here) = (*known, (float(stencil.x[i]), stencil.f))[:2]
        g[i] = (f_there - f_here) / (there - here)
    return g


def jacobian(stencil: Stencil) -> tuple[Vector, Vector]:
    """Return the residuals of a complete stencil, (m,), and their Jacobian, (m, n)."""
    base = stencil.vectors[BASE]
    made = np.zeros((base.size, stencil.x.size))
    ends: dict[int, list[tuple[float, Vector]]] = {}
    for slot, (i, moved) in enumerate(zip(stencil.coordinate, stencil.moved, strict=True)):
        if math.isfinite(stencil.values[slot]) and i != PROBE:
            ends.setdefault(i, []).append((moved, stencil.vectors[slot]))
    for i, known in ends.items():
        (there, r_there), (here, r_here) = (*known, (float(stencil.x[i]), base))[:2]
        made[:, i] = (r_there - r_here) / (there - here)
    return base, made


def to_dict(stencil: Stencil) -> dict[str, Any]:
    """Return the stencil as numbers and arrays."""
    return {
        "x": stencil.x.copy(),
        "f": stencil.f,
        "coordinate": np.array(stencil.coordinate, dtype=np.int64),
        "moved": np.array(stencil.moved),
        "values": np.array(stencil.values),
        "missing": stencil.missing,
        "probe": None if stencil.probe is None else stencil.probe.copy(),
        **vectors_to_dict(stencil.vectors),
    }


def vectors_to_dict(vectors: dict[int, Vector]) -> dict[str, Any]:
    """Return what was told in slots as arrays."""
    return {"vectors": [[slot, vector.copy()] for slot, vector in vectors.items()]}


def vectors_from_dict(data: dict[str, Any], count: int) -> dict[int, Vector]:
    """Return what `vectors_to_dict` made, of so many slots; there was none at first.

    Raises
    ------
    ValueError
        They are of different lengths.
    """
    made = {
        stored.whole("slot", slot, BASE, count): stored.array("vectors", v, (len(v),), nan=True)
        for slot, v in data.get("vectors", ())
    }
    if len({vector.size for vector in made.values()}) > 1:
        raise ValueError("vectors of different lengths")
    return made


def from_dict(data: dict[str, Any]) -> Stencil:
    """Return the stencil of which `to_dict` made `data`."""
    coordinate = [stored.whole("coordinate", i, PROBE) for i in data["coordinate"]]
    count, probe = len(coordinate), data.get("probe")
    return Stencil(
        stored.array("x", data["x"], (len(data["x"]),), finite=True),
        float(data["f"]),
        coordinate,
        stored.array("moved", data["moved"], (count,), nan=True).tolist(),
        stored.array("values", data["values"], (count,), nan=True).tolist(),
        stored.whole("missing", data["missing"], most=count + 1),
        None if probe is None else stored.array("probe", probe, (len(data["x"]),), finite=True),
        vectors_from_dict(data, count),
    )
