"""The point of a polyhedron that is nearest to a given point, with its multipliers.

minimise 1/2 |d - p|^2  subject to  A d <= b,  E d = e

by the dual active-set method of Goldfarb and Idnani, Math. Prog. 27 (1983) 1, for the identity
matrix.  The factorisation of the active rows is made afresh in every step: these problems are
small, and the accuracy of a fresh one is worth more than the time of an update.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.sparse import csr_array

from optdriver.constraints import least_distance
from optdriver.constraints.matrices import is_sparse
from optdriver.feasible.types import Mask, Vector

DEPENDENT = 1e-13  # a row counts as dependent on the active ones below this part of its length

DENSE = 10_000  # entries up to which nobody looks for zeros
SPARSE_PART = 0.1
SMALL = 150  # variables and rows: beyond, many rows change at once
REPEATED = 1e-10  # violation that a dependent row may keep


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """Nearest point and multipliers; `solved` is False when no point satisfies the rows."""

    point: Vector
    inequality: Vector
    equality: Vector
    box: Vector
    solved: bool


def nearest_in_box(
    p: Vector,
    a: Any,
    b: Vector,
    e_rows: Any,
    e: Vector,
    lower: Vector,
    upper: Vector,
) -> Nearest:
    """Project `p` onto {d : a d <= b, e_rows d = e, lower <= d <= upper}.

    Parameters
    ----------
    p : ndarray, shape (n,)
    a, b : ndarrays, shapes (m, n), (m,)
    e_rows, e : ndarrays, shapes (q, n), (q,)
    lower, upper : ndarrays, shape (n,)
        Sides, infinite where there is none.
    """
    if len(p) + len(b) + len(e) > SMALL:
        rows, equal = _thinned(a), _thinned(e_rows)
        found = least_distance(rows, b - a @ p, equal, e - e_rows @ p, lower - p, upper - p)
        return Nearest(
            point=p + found.d,
            inequality=found.inequalities,
            equality=found.equalities,
            box=found.box,
            solved=found.feasible,
        )
    high, low = np.flatnonzero(np.isfinite(upper)), np.flatnonzero(np.isfinite(lower))
    eye = np.eye(len(p))
    rows, levels = (
        np.vstack([a, eye[high], -eye[low]]),
        np.concatenate([b, upper[high], -lower[low]]),
    )
    answer = nearest(p, rows, levels, e_rows, e)
    box, sides = np.zeros(len(p)), answer.inequality[len(b) :]
    box[high] += sides[: len(high)]
    box[low] -= sides[len(high) :]
    return replace(answer, inequality=answer.inequality[: len(b)], box=box)


def _thinned(rows: Any) -> Any:
    """Return large rows with few entries as a sparse array."""
    if is_sparse(rows):
        return rows
    few = rows.size > DENSE and np.count_nonzero(rows) < SPARSE_PART * rows.size
    return csr_array(rows) if few else rows


@dataclass
class _Active:
    """The active rows, oriented so that each says ``normal . d >= level``."""

    rows: list[int]
    orientation: list[float]
    duals: Vector


def nearest(
    p: Vector, a: Vector, b: Vector, e_rows: Vector, e: Vector, tolerance: float = 1e-13
) -> Nearest:
    """Project `p` onto {d : a d <= b, e_rows d = e}.

    Parameters
    ----------
    p : ndarray, shape (n,)
    a, b : ndarrays, shapes (m, n), (m,)
    e_rows, e : ndarrays, shapes (q, n), (q,)
    tolerance : float
        Violation, in row lengths relative to the size of the point, that counts as none.
    """
    rows = np.vstack([e_rows, a])
    lengths = np.linalg.norm(rows, axis=1)
    usable = lengths > 0.0
    safe = np.where(usable, lengths, 1.0)
    unit = rows / safe[:, None]
    levels = np.concatenate([e, b]) / safe
    if _impossible(levels[~usable], np.flatnonzero(~usable) < len(e)):
        return _answer(p, np.zeros(len(rows)), safe, len(e), solved=False)
    point, duals, solved = _dual_active_set(p, unit, levels, usable, len(e), tolerance)
    return _answer(point, duals, safe, len(e), solved=solved)


def _impossible(levels: Vector, equal: Mask) -> bool:
    """Say whether a row without coefficients contradicts its level."""
    return bool(np.any(levels < 0.0) or np.any(levels[equal] != 0.0))


def _answer(point: Vector, duals: Vector, lengths: Vector, q: int, *, solved: bool) -> Nearest:
    original = duals / lengths
    return Nearest(
        point=point,
        equality=original[:q],
        inequality=original[q:],
        box=np.zeros_like(point),
        solved=solved,
    )


def _dual_active_set(
    p: Vector, unit: Vector, levels: Vector, usable: Mask, q: int, tolerance: float
) -> tuple[Vector, Vector, bool]:
    active = _Active(rows=[], orientation=[], duals=np.zeros(0))
    point, solved = p.copy(), True
    dropped: set[int] = set()
    for _ in range(20 + 10 * len(unit)):
        row, orientation = _most_violated(
            point, unit, levels, usable, active, q, tolerance, dropped
        )
        if row < 0:
            break
        moved = _enter(point, unit, levels, active, row, orientation, q)
        if moved is None:
            if abs(_gap(point, unit, levels, row)) <= REPEATED * _size(point):
                dropped.add(row)  # said already by the active rows, but for rounding
                continue
            solved = False
            break
        point = moved
    else:
        solved = False
    if solved:
        point = _refine(p, unit, levels, active, point)
    duals = np.zeros(len(unit))
    for row, orientation, dual in zip(active.rows, active.orientation, active.duals, strict=True):
        duals[row] = -orientation * dual
    return point, duals, solved


def _refine(p: Vector, unit: Vector, levels: Vector, active: _Active, point: Vector) -> Vector:
    """Return the nearest point on the active rows, free of the rounding that was gathered."""
    if not active.rows:
        return p.copy()
    oriented = (unit[active.rows].T * np.array(active.orientation)).astype(float)
    q_factor, r_factor = np.linalg.qr(oriented)
    gap = np.array(active.orientation) * levels[active.rows] - oriented.T @ point
    correction = q_factor @ solve_triangular(r_factor, gap, trans="T")
    active.duals = solve_triangular(r_factor, q_factor.T @ (point + correction - p))
    return np.asarray(point + correction)


def _size(point: Vector) -> float:
    return 1.0 + float(np.max(np.abs(point), initial=0.0))


def _gap(point: Vector, unit: Vector, levels: Vector, row: int) -> float:
    return float(unit[row] @ point - levels[row])


def _most_violated(
    point: Vector,
    unit: Vector,
    levels: Vector,
    usable: Mask,
    active: _Active,
    q: int,
    tolerance: float,
    dropped: set[int],
) -> tuple[int, float]:
    """Return the row to enter and its orientation; row -1 when none is violated."""
    for row in range(q):  # equalities first, each once
        if usable[row] and row not in active.rows and row not in dropped:
            return row, -1.0 if _gap(point, unit, levels, row) > 0.0 else 1.0
    gaps = unit[q:] @ point - levels[q:]
    gaps[~usable[q:]] = -np.inf
    gaps[[row - q for row in (*active.rows, *dropped) if row >= q]] = -np.inf
    if not len(gaps):
        return -1, 1.0
    worst = int(np.argmax(gaps))
    if gaps[worst] <= tolerance * _size(point):
        return -1, 1.0
    return q + worst, -1.0


def _enter(
    point: Vector,
    unit: Vector,
    levels: Vector,
    active: _Active,
    row: int,
    orientation: float,
    q: int,
) -> Vector | None:
    """Move until `row` holds, dropping rows whose dual falls to zero; None if it cannot."""
    normal, own = orientation * unit[row], 0.0
    while True:
        direction, rates = _directions(unit, active, normal)
        violation = orientation * levels[row] - float(normal @ point)
        blocking, dual_step = _blocking(active, rates, q)
        slope = float(direction @ normal)
        primal_step = violation / slope if slope > DEPENDENT**2 else np.inf
        step = min(dual_step, primal_step)
        if not np.isfinite(step):
            return None
        if np.isfinite(primal_step):
            point = point + step * direction
        active.duals = active.duals - step * rates
        own += step
        if primal_step <= dual_step:
            active.rows.append(row)
            active.orientation.append(orientation)
            active.duals = np.append(active.duals, own)
            return point
        del active.rows[blocking], active.orientation[blocking]
        active.duals = np.delete(active.duals, blocking)


def _directions(unit: Vector, active: _Active, normal: Vector) -> tuple[Vector, Vector]:
    """Return the part of `normal` outside the active rows' span, and its coordinates in them."""
    if not active.rows:
        return normal, np.zeros(0)
    oriented = (unit[active.rows].T * np.array(active.orientation)).astype(float)
    q_factor, r_factor = np.linalg.qr(oriented)
    inside = q_factor.T @ normal
    direction = normal - q_factor @ inside
    direction = direction - q_factor @ (q_factor.T @ direction)
    if float(np.linalg.norm(direction)) <= DEPENDENT:
        direction = np.zeros_like(normal)
    rates = solve_triangular(r_factor, inside)
    return direction, np.asarray(rates)


def _blocking(active: _Active, rates: Vector, q: int) -> tuple[int, float]:
    """Return the first inequality whose dual reaches zero, and after which step."""
    best, step = -1, np.inf
    for index, (row, rate) in enumerate(zip(active.rows, rates, strict=True)):
        if row >= q and rate > 0.0:
            ratio = max(float(active.duals[index]), 0.0) / float(rate)
            if ratio < step:
                best, step = index, ratio
    return best, step
