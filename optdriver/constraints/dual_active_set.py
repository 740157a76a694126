"""The nearest point of a small polyhedron, one active row at a time.

minimise 1/2 |d - p|^2  subject to  A d <= b,  E d = e

by the dual method of Goldfarb and Idnani, Math. Prog. 27 (1983) 1, for the identity matrix.  It
ends after finitely many steps and proves it when there is no such point.  The factorisation of the
active rows is made afresh in every step: these problems are small, and the accuracy of a fresh one
is worth more than the time of an update.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from optdriver.constraints.matrices import row_norms

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]

NOTHING = 1e-100  # a row shorter than this is none
DEPENDENT = 1e-13  # a row counts as dependent on the active ones below this part of its length
REPEATED = 1e-10  # violation that a dependent row may keep


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """Nearest point and multipliers; `solved` is False when no point satisfies the rows."""

    point: Vector
    inequality: Vector
    equality: Vector
    solved: bool


@dataclass
class _Active:
    """The active rows, oriented so that each says ``normal . d >= level``."""

    rows: list[int]
    orientation: list[float]
    duals: Vector


def dual_active_set(
    p: Vector, a: Vector, b: Vector, e_rows: Vector, e: Vector, tolerance: float = 1e-13
) -> Nearest:
    """Project `p` onto {d : a d <= b, e_rows d = e}.

    Parameters
    ----------
    p : ndarray, shape (n,)
    a, b : ndarrays, shapes (m, n), (m,)
    e_rows, e : ndarrays, shapes (q, n), (q,)
    tolerance : float
        Violation that counts as none, relative to the largest of `p` and of what it violates.
    """
    rows = np.vstack([e_rows, a])
    lengths = row_norms(rows)
    usable = lengths > NOTHING
    safe = np.where(usable, lengths, 1.0)
    unit = rows / safe[:, None]
    levels = np.concatenate([e, b]) / safe
    if _impossible(levels[~usable], np.flatnonzero(~usable) < len(e)):
        return _answer(p, np.zeros(len(rows)), safe, len(e), solved=False)
    point, duals, solved = _activate(p, unit, levels, usable, len(e), tolerance)
    return _answer(point, duals, safe, len(e), solved=solved)


def _impossible(levels: Vector, equal: Mask) -> bool:
    """Say whether a row without coefficients contradicts its level."""
    return bool(np.any(levels < 0.0) or np.any(levels[equal] != 0.0))


def _answer(point: Vector, duals: Vector, lengths: Vector, q: int, *, solved: bool) -> Nearest:
    with np.errstate(over="ignore"):  # multipliers of rows that are next to nothing
        original = duals / lengths
    return Nearest(
        point=point,
        equality=original[:q],
        inequality=original[q:],
        solved=solved,
    )


def _activate(
    p: Vector, unit: Vector, levels: Vector, usable: Mask, q: int, tolerance: float
) -> tuple[Vector, Vector, bool]:
    active = _Active(rows=[], orientation=[], duals=np.zeros(0))
    point, solved = p.copy(), True
    tolerance *= _extent(p, unit, levels, q)
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


def _extent(p: Vector, unit: Vector, levels: Vector, q: int) -> float:
    """Return how large the numbers of the problem are: the wish, and how far its rows are."""
    gaps = unit @ p - levels
    gaps[:q] = np.abs(gaps[:q])
    return max(float(np.max(np.abs(p), initial=0.0)), float(np.max(gaps, initial=0.0)))


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
    if gaps[worst] <= tolerance:
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
