"""Finite differences of which every point is feasible, as data.

A coordinate is moved by the first feasible of h, -h, h/4, -h/4, h/16 and so on.  Where none is, as
in corners and on surfaces, x + h e_i is moved onto the feasible set (or x + h e_i a little
inwards), which gives a direction near to e_i.  The directions that add to what is spanned are
kept, and the derivatives by the coordinates without a step of their own are those of least size
that explain the values along them (least squares): on a surface, the gradient along it.

Where many rows meet such directions may be nearly dependent, though the set has an inside.  Then
the steps of these coordinates begin at a point inside, of which every row is a step away, to first
order, and which is evaluated too.

A point that fails is replaced: by the next feasible step, and then by shorter ones, or once by
half the direction.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.geometry.factors import least_squares
from optdriver.geometry.least_distance import least_distance
from optdriver.geometry.matrices import dense
from optdriver.geometry.products import norm, times, transposed_times
from optdriver.multistart import stencil
from optdriver.multistart.stencil import BASE, DROPPED, PROBE

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet

Vector = NDArray[np.float64]

NO_DIRECTION = "no feasible finite-difference step was found there, in any direction"

_SHORTENED = (1.0, 0.25, 0.0625, 0.015625)
_NEW = 0.01  # part of a direction that must be new
_SHORT, _LONG = 0.01, 8.0  # directions between these lengths, in steps
_PROBE_AT = 2.0**-4  # on the way to the middle of the points
_TIMES = 4  # so often a coordinate is tried
_NEAR = 8.0  # rows within so many steps of their boundary are pushed away from
_WELL = 0.05  # least singular value of unit directions that tell all derivatives well
_INSIDE = 256.0  # steps to a point inside at most: farther away the gradient is another
_APART = 1.0 + 2.0**-6  # of a step: rows are curved, and rounded


@dataclass(slots=True)
class Directions:
    """The pending finite-difference gradient of one iterate under constraints.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The iterate.
    f : float
        Its value; NaN until told.
    step : ndarray, shape (n,)
        The step wanted in each coordinate.
    coordinate : list of int
        For each slot, the coordinate that is moved, -1 for a direction, -2 for one in the place of
        another, or PROBE.
    ends : list of ndarray
        For each slot, its point.
    values : list of float
        For each slot, the value told; NaN until told, infinite when it failed.
    missing : int
        How many of x and the slots have yet to be told.
    vectors : dict of int to ndarray
        Where vectors are told: those of the slots, and of x (BASE).
    """

    x: Vector
    f: float
    step: Vector
    coordinate: list[int]
    ends: list[Vector]
    values: list[float]
    missing: int
    vectors: dict[int, Vector] = field(default_factory=dict)


def plan(
    x: Vector,
    constraints: ConstraintSet,
    step: float | Vector,
    two_sided: bool,
    probe: bool = False,
    *,
    inside: bool = True,
) -> Directions | None:
    """Return the differences at the feasible point `x`, or None where there are none.

    `inside`: where directions from `x` do not tell all derivatives, steps from a point inside are
    taken; optdriver 0.6.0 did not.
    """
    steps = np.maximum(step, stencil.LEAST_STEP * np.abs(x))
    made = Directions(x.copy(), math.nan, steps, [], [], [], 1)
    without = []
    for i in np.flatnonzero(constraints.lower < constraints.upper):
        ends = _coordinate_ends(constraints, x, int(i), float(steps[i]), two_sided)
        for end in ends:
            _add(made, int(i), end)
        if not ends:
            without.append(int(i))
    along = _directions(constraints, x, steps, without)
    if inside and not _tell_all(along, x, steps, without):
        along = _from_inside(constraints, x, steps, without) or along
    for end in along:
        _add(made, -1, end)
    if probe and made.ends:
        near = x + _PROBE_AT * (np.mean(_one_each(made), axis=0) - x)
        if np.any(near != x) and constraints.is_feasible(near):
            _add(made, PROBE, near)
    return made if made.values or not np.any(constraints.lower < constraints.upper) else None


def _one_each(made: Directions) -> list[Vector]:
    """Return a point for each coordinate, the first one, and those of directions."""
    first = dict(reversed(list(zip(made.coordinate, made.ends, strict=True))))
    along = [end for i, end in zip(made.coordinate, made.ends, strict=True) if i < 0]
    return [end for i, end in first.items() if i >= 0] + along


def _add(made: Directions, coordinate: int, end: Vector) -> None:
    made.coordinate.append(coordinate)
    made.ends.append(end)
    made.values.append(math.nan)
    made.missing += 1


def _coordinate_ends(
    constraints: ConstraintSet, x: Vector, i: int, step: float, two_sided: bool
) -> list[Vector]:
    """Return the first feasible point along coordinate i, or one on each side."""
    found = list(_feasible_ends(constraints, x, i, (step, -step))) if two_sided else []
    if len(found) == 2:
        return found
    return list(islice(_feasible_ends(constraints, x, i, _tried(step)), 1))


def _tried(step: float) -> Iterator[float]:
    for part in _SHORTENED:
        yield part * step
        yield -part * step


def _feasible_ends(constraints: ConstraintSet, x: Vector, i: int, steps: Any) -> Iterator[Vector]:
    for h in steps:
        end = x.copy()
        end[i] += h
        if end[i] != x[i] and constraints.is_feasible(end):
            yield end


# -- where a coordinate has no feasible step ----------------------------------------------------


def _directions(
    constraints: ConstraintSet, x: Vector, steps: Vector, without: list[int]
) -> list[Vector]:
    """Return feasible points whose directions span the coordinates `without` a step."""
    if not without:
        return []
    inward = _inward(constraints, x, steps)
    basis, ends = np.empty((0, len(without))), []
    for i in without:
        best, gain = None, _NEW
        for end in _candidates(constraints, x, steps, i, inward):
            d = (end - x) / steps
            size = norm(d)
            new = d[without] - transposed_times(basis, times(basis, d[without]))
            if _SHORT <= size <= _LONG and norm(new) > gain * size:
                best, gain = (end, new), norm(new) / size
            if gain > 0.5:
                break
        if best is not None:
            ends.append(best[0])
            basis = np.vstack([basis, best[1] / norm(best[1])])
    return ends


def _candidates(
    constraints: ConstraintSet, x: Vector, steps: Vector, i: int, inward: Vector
) -> Iterator[Vector]:
    for push in (0.0, 0.5, 2.0) if inward.any() else (0.0,):
        for sign in (1.0, -1.0):
            wish = x + push * inward
            wish[i] += sign * steps[i]
            wish = np.clip(wish, constraints.lower, constraints.upper)
            made = constraints.project(wish, steps)
            if made.feasible:
                yield made.x


def _tell_all(ends: list[Vector], x: Vector, steps: Vector, without: list[int]) -> bool:
    """Tell whether directions determine the derivatives by the coordinates `without` a step."""
    if len(ends) < len(without):
        return False
    if not without:
        return True
    rows = np.array([(end - x)[without] / steps[without] for end in ends])
    rows /= np.linalg.norm(rows, axis=1)[:, None]
    return float(np.linalg.svd(rows, compute_uv=False)[-1]) >= _WELL


def _from_inside(
    constraints: ConstraintSet, x: Vector, steps: Vector, without: list[int]
) -> list[Vector]:
    """Return a point inside and steps from there in coordinates `without` one; none if none fit."""
    middle = _inside(constraints, x, steps)
    if middle is None:
        return []
    ends = [middle]
    for i in without:
        found = _feasible_ends(constraints, middle, i, (steps[i], -steps[i]))
        if (end := next(found, None)) is None:
            return []
        ends.append(end)
    return ends


def _inside(constraints: ConstraintSet, x: Vector, steps: Vector) -> Vector | None:
    """Return the nearest feasible point, in steps, of which every row that is near is one away.

    None where there are equalities, or none that is close.
    """
    p = constraints.n_inequalities
    if constraints.n_equalities:
        return None
    values, rows = constraints.values(x)[:p], dense(constraints.jacobian(x))[:p] * steps
    sizes = np.linalg.norm(rows, axis=1)
    near = (sizes > 0.0) & (values > -_INSIDE * sizes) & np.isfinite(values)
    a, b = rows[near] / sizes[near, None], -_APART - values[near] / sizes[near]
    none = np.empty((0, x.size))
    sides = (constraints.lower - x) / steps, (constraints.upper - x) / steps
    found = least_distance(a, b, none, np.empty(0), *sides)
    middle = np.clip(x + found.d * steps, constraints.lower, constraints.upper)
    fits = found.feasible and float(np.max(np.abs(found.d))) <= _INSIDE and np.any(middle != x)
    return middle if fits and constraints.is_feasible(middle) else None


def _inward(constraints: ConstraintSet, x: Vector, steps: Vector) -> Vector:
    """Return a step that leads away from the inequalities that are near."""
    p = constraints.n_inequalities
    values, rows = constraints.values(x)[:p], constraints.jacobian(x)[:p] * steps
    sizes = np.linalg.norm(rows, axis=1)
    near = (sizes > 0.0) & (values > -_NEAR * sizes)
    away = -(rows[near] / sizes[near, None]).sum(axis=0)
    length = float(np.max(np.abs(away), initial=0.0))
    return np.asarray(away / length * steps if length > 0.0 else 0.0 * steps)


# -- telling ------------------------------------------------------------------------------------


def point(made: Directions, slot: int) -> Vector:
    """Return the point of a slot."""
    return (made.x if slot == BASE else made.ends[slot]).copy()


def replace_failed(
    made: Directions, slot: int, constraints: ConstraintSet
) -> tuple[int, ...] | None:
    """Return the slots to ask instead of one that failed, or None if there is no way."""
    i = made.coordinate[slot]
    made.values[slot] = math.inf
    made.missing -= 1
    same = [k for k, c in enumerate(made.coordinate) if c == i]
    if i == PROBE or (i >= 0 and any(not math.isinf(made.values[k]) for k in same)):
        return ()
    failed = [made.ends[k] for k in same if made.values[k] == math.inf]
    instead = None
    if i < 0:
        instead = _instead(made, slot, constraints)
    elif len(failed) < _TIMES:
        step = float(np.max(np.abs(failed[0] - made.x)))
        ends = _feasible_ends(constraints, made.x, i, _tried(step))
        instead = next((e for e in ends if all(e[i] != end[i] for end in failed)), None)
    if instead is None:
        return None
    _add(made, i if i >= 0 else -2, instead)
    return (len(made.values) - 1,)


def again(made: Directions, i: int, step: float, constraints: ConstraintSet) -> tuple[int, ...]:
    """Take another step in a coordinate of complete differences: return the slot to ask."""
    end = next(_feasible_ends(constraints, made.x, i, _tried(step)), None)
    if end is None:
        return ()
    for slot, coordinate in enumerate(made.coordinate):
        if coordinate == i:
            made.values[slot] = DROPPED
    _add(made, i, end)
    return (len(made.values) - 1,)


def replace_once(made: Directions, slot: int, constraints: ConstraintSet) -> tuple[int, ...] | None:
    """Make up for a slot that failed as optdriver 0.1.0 did, for what it has recorded."""
    i = made.coordinate[slot]
    others = [k for k, c in enumerate(made.coordinate) if c == i >= 0 and k != slot]
    if any(math.isinf(made.values[k]) for k in others):
        return None
    instead = _instead(made, slot, constraints) if not others else None
    if instead is None and not others:
        return None
    made.values[slot] = math.inf
    made.missing -= 1
    if instead is None:
        return ()
    _add(made, i if i >= 0 else -2, instead)
    return (len(made.values) - 1,)


def _instead(made: Directions, slot: int, constraints: ConstraintSet) -> Vector | None:
    i, failed = made.coordinate[slot], made.ends[slot]
    if i >= 0:
        tried = _feasible_ends(constraints, made.x, i, _tried(float(made.step[i])))
        return next((end for end in tried if end[i] != failed[i]), None)
    if i == -2:
        return None  # it is the replacement of another one
    half = constraints.project(0.5 * made.x + 0.5 * failed, made.step)
    return half.x if half.feasible and np.any(half.x != made.x) else None


def gradient(made: Directions) -> Vector:
    """Return the gradient of complete differences; zero where nothing is known."""
    g = np.zeros(made.x.size)
    ends: dict[int, list[tuple[float, float]]] = {}
    along: list[tuple[Vector, float]] = []
    for i, end, f in zip(made.coordinate, made.ends, made.values, strict=True):
        if math.isfinite(f) and i >= 0:
            ends.setdefault(i, []).append((float(end[i]), f))
        elif math.isfinite(f) and i != PROBE:
            along.append((end - made.x, f - made.f))
    for i, known in ends.items():
        (there, f_there), (here, f_here) = (*known, (float(made.x[i]), made.f))[:2]
        g[i] = (f_there - f_here) / (there - here)
    if along:
        _explain(g, made, [i for i in range(g.size) if i not in ends], along)
    return g


def jacobian(made: Directions) -> tuple[Vector, Vector]:
    """Return the vector of complete differences, (m,), and its Jacobian, (m, n)."""
    base = made.vectors[BASE]
    rows = np.zeros((base.size, made.x.size))
    for k in range(base.size):
        values = [
            float(made.vectors[slot][k]) if math.isfinite(value) else value
            for slot, value in enumerate(made.values)
        ]
        rows[k] = gradient(replace(made, f=float(base[k]), values=values))
    return base, rows


def _explain(g: Vector, made: Directions, unknown: list[int], along: Any) -> None:
    """Fill in the unknown derivatives by least squares."""
    moves = np.array([d for d, _ in along])
    changes = np.array([change for _, change in along]) - times(moves, g)
    rows = moves[:, unknown] / made.step[unknown]
    sizes = np.linalg.norm(rows, axis=1)
    solved = least_squares(rows / sizes[:, None], changes / sizes, 1e-3)
    g[unknown] = solved / made.step[unknown]


def to_dict(made: Directions) -> dict[str, Any]:
    """Return the differences as numbers and arrays."""
    return {
        "x": made.x.copy(),
        "f": made.f,
        "step": made.step.copy(),
        "coordinate": np.array(made.coordinate, dtype=np.int64),
        "ends": np.array(made.ends).reshape(-1, made.x.size),
        "values": np.array(made.values),
        "missing": made.missing,
        **stencil.vectors_to_dict(made.vectors),
    }


def from_dict(data: dict[str, Any]) -> Directions:
    """Return the differences of which `to_dict` made `data`."""
    x = stored.array("x", data["x"], (len(data["x"]),), finite=True)
    coordinate = [stored.whole("coordinate", i, PROBE, x.size - 1) for i in data["coordinate"]]
    count = len(coordinate)
    return Directions(
        x,
        float(data["f"]),
        stored.array("step", data["step"], x.shape, finite=True),
        coordinate,
        list(stored.array("ends", data["ends"], (count, x.size), finite=True)),
        stored.array("values", data["values"], (count,), nan=True).tolist(),
        stored.whole("missing", data["missing"], most=count + 1),
        stencil.vectors_from_dict(data, count),
    )
