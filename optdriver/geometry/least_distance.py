"""The nearest point of a polyhedron: min 1/2 |d|^2 over linear constraints and a box.

Small problems go to a dual active-set method, which changes one row at a time.  Large ones first
to a primal-dual active set (Hintermüller, Ito and Kunisch 2002): guess the active rows, solve,
correct the whole guess at once; a few linear systems, sparse ones where the rows are.  Where that
cycles, an interior-point method finds the active set, which is then sharpened.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.geometry import sparse
from optdriver.geometry.active_set import nearest
from optdriver.geometry.factors import least_squares
from optdriver.geometry.interior_point import interior_point
from optdriver.geometry.matrices import (
    csr,
    dense,
    is_sparse,
    row_norms,
    scaled,
    stacked,
    times,
    transposed_times,
)
from optdriver.geometry.symmetric import factorised, saddle

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_SHIFT = 1e-10
_ROUNDS = 40
SMALL = 150
"""Variables and rows together of what goes to the active-set method."""
_TINY = 1e-13
_NOTHING = 1e-100
_DROWNED = 1e-15


@dataclass(frozen=True, slots=True, kw_only=True)
class LeastDistance:
    """A nearest point.

    Attributes
    ----------
    d : ndarray, shape (n,)
        The point; if not `feasible`, the last guess.
    inequalities : ndarray, shape (p,)
        Multipliers of ``A d <= b``, not negative: ``d - toward + A' inequalities +
        E' equalities + box = 0``.
    equalities : ndarray, shape (q,)
        Multipliers of ``E d = f``.
    box : ndarray, shape (n,)
        Multipliers of the box: positive at an upper side, negative at a lower one.
    feasible : bool
        Whether there is such a point.
    """

    d: Array
    inequalities: Array
    equalities: Array
    box: Array
    feasible: bool


def least_distance(
    A: Any,
    b: Array,
    E: Any,
    f: Array,
    lower: Array,
    upper: Array,
    *,
    toward: Array | None = None,
) -> LeastDistance:
    """Minimise ``1/2 |d - toward|^2`` under ``A d <= b``, ``E d = f``, ``lower <= d <= upper``.

    Parameters
    ----------
    A, E : ndarray or sparse array, shapes (p, n) and (q, n)
        The rows.
    b, f : ndarray, shapes (p,) and (q,)
        The right-hand sides.
    lower, upper : ndarray, shape (n,)
        The box; sides may be infinite.
    toward : ndarray, shape (n,), optional
        The wanted point; 0 by default.

    Returns
    -------
    LeastDistance
        The point and the multipliers.
    """
    wanted = np.zeros(lower.size) if toward is None else toward
    if lower.size + b.size + f.size <= SMALL and (lower <= upper).all():
        return one_by_one(wanted, dense(A), b, dense(E), f, lower, upper)
    problem = _Problem(
        A, b - times(A, wanted), E, f - times(E, wanted), lower - wanted, upper - wanted
    )
    if (lower > upper).any():
        return problem.failed()
    guessed = problem.guess_all(problem.b < -problem.tolerance, problem.sides())
    made = guessed or problem.through_the_middle()
    return replace(made, d=np.minimum(np.maximum(made.d + wanted, lower), upper))


def one_by_one(
    wanted: Array, A: Array, b: Array, E: Array, f: Array, lower: Array, upper: Array
) -> LeastDistance:
    """Return the nearest point by the active-set method, whatever the size."""
    point, inequalities, equalities, box, solved = nearest(wanted, A, b, E, f, (lower, upper))
    return LeastDistance(
        d=point, inequalities=inequalities, equalities=equalities, box=box, feasible=solved
    )


class _Problem:
    """The data, rows scaled to unit length so that one tolerance fits all."""

    def __init__(
        self,
        A: Any,
        b: Array,
        E: Any,
        f: Array,
        lower: Array,
        upper: Array,
    ) -> None:
        self.n = lower.size
        self.dense = not (is_sparse(A) or is_sparse(E))
        self.norms_a, self.norms_e = _norms(A), _norms(E)
        self.A, self.E = self.unit_rows(A, self.norms_a), self.unit_rows(E, self.norms_e)
        self.b = b / np.where(np.isinf(self.norms_a), 1.0, self.norms_a)
        self.f = f / np.where(np.isinf(self.norms_e), 1.0, self.norms_e)
        self.lower, self.upper = lower, upper
        rhs = [np.maximum(lower, 0.0), np.minimum(upper, 0.0), self.f, np.minimum(self.b, 0.0)]
        self.tolerance = _TINY * max((float(np.abs(r).max()) for r in rhs if r.size), default=0.0)

    def unit_rows(self, rows: Any, norms: Array) -> Any:
        """Scale the rows; entries that rounding would drown anyway are taken to be zero."""
        plain = dense(rows).reshape(-1, self.n) if self.dense else csr(rows)
        made = scaled(plain, rows=1.0 / norms)
        entries = made if self.dense else made.data
        entries[np.abs(entries) < _DROWNED] = 0.0
        return made

    def failed(self) -> LeastDistance:
        d = np.minimum(np.maximum(0.0, self.lower), self.upper)
        zeros = (np.zeros(self.b.size), np.zeros(self.f.size))
        return LeastDistance(
            d=d, inequalities=zeros[0], equalities=zeros[1], box=np.zeros(self.n), feasible=False
        )

    def solution(self, d: Array, ineq: Array, eq: Array, box: Array) -> LeastDistance:
        """Return the solution, exactly at the sides that have a multiplier."""
        d = np.minimum(np.maximum(d, self.lower), self.upper)
        return LeastDistance(
            d=np.where(box > 0.0, self.upper, np.where(box < 0.0, self.lower, d)),
            inequalities=ineq / self.norms_a,
            equalities=eq / self.norms_e,
            box=box,
            feasible=True,
        )

    def sides(self) -> NDArray[Any]:
        """Return the sides of the box that 0 violates: -1 lower, 1 upper, 0 none."""
        return np.where(self.lower > 0.0, -1, np.where(self.upper < 0.0, 1, 0))

    def guess_all(self, active: Mask, sides: NDArray[Any]) -> LeastDistance | None:
        """Correct the active set at once until it stays; None if it does not settle."""
        seen: set[bytes] = set()
        for _ in range(_ROUNDS):
            state = active.tobytes() + sides.tobytes()
            if state in seen:
                return None
            seen.add(state)
            d, ineq, eq = self.on(active, sides)
            box = -(d + transposed_times(self.A, ineq) + transposed_times(self.E, eq))
            next_active = np.where(active, ineq > 0.0, times(self.A, d) > self.b + self.tolerance)
            kept = np.where(sides * box > 0, sides, 0)
            below, above = self.lower - self.tolerance, self.upper + self.tolerance
            next_sides = np.where(d > above, 1, np.where(d < below, -1, kept))
            if (next_active == active).all() and (next_sides == sides).all():
                if not self.meets(d, active):
                    return None
                return self.solution(d, ineq, eq, np.where(sides != 0, box, 0.0))
            active, sides = next_active, next_sides
        return None

    def meets(self, d: Array, active: Mask) -> bool:
        """Tell whether the equations were solvable: a dependent set may have no solution."""
        allowed = 1e-9 / _TINY * self.tolerance
        residual = np.concatenate([times(self.E, d) - self.f, (times(self.A, d) - self.b)[active]])
        return bool((np.abs(residual) <= allowed).all() if residual.size else True)

    def on(self, active: Mask, sides: NDArray[Any]) -> tuple[Array, Array, Array]:
        """Solve with the active rows as equations and the variables with a side fixed there."""
        free = sides == 0
        d = np.where(sides > 0, self.upper, np.where(sides < 0, self.lower, 0.0))
        rows = stacked([self.E, self.A[active]])
        target = np.concatenate([self.f, self.b[active]]) - times(rows, d)
        multipliers = np.zeros(target.size)
        if target.size and free.any():
            step, multipliers = _least_norm(rows[:, free], target, self.dense)
            d[free] = step
        ineq = np.zeros(self.b.size)
        ineq[active] = multipliers[self.f.size :]
        return d, ineq, multipliers[: self.f.size]

    def through_the_middle(self) -> LeastDistance:
        """Take the active set from an interior-point solution, or that solution itself."""
        up, down = np.flatnonzero(self.upper < np.inf), np.flatnonzero(self.lower > -np.inf)
        eye = np.eye(self.n) if self.dense else csr(sparse.eye_array(self.n))
        rows = stacked([self.A, eye[up], -eye[down]])
        centre = interior_point(
            rows, np.concatenate([self.b, self.upper[up], -self.lower[down]]), self.E, self.f
        )
        if centre is None:
            return self.failed()
        p, active = self.b.size, centre.z > centre.s
        box = self.on_sides(np.where(active, centre.z, 0.0)[p:])
        sharpened = self.guess_all(active[:p], np.sign(box).astype(np.int64))
        return sharpened or self.solution(centre.d, centre.z[:p], centre.y, box)

    def on_sides(self, multipliers: Array) -> Array:
        """Return multipliers of upper, then lower finite sides as one signed array."""
        up, down = np.flatnonzero(self.upper < np.inf), np.flatnonzero(self.lower > -np.inf)
        box = np.zeros(self.n)
        box[up] += multipliers[: up.size]
        box[down] -= multipliers[up.size :]
        return box


def _norms(rows: Any) -> Array:
    """Return the lengths of the rows; infinite where a row is as good as zero."""
    norms = row_norms(rows)
    norms[norms < _NOTHING] = np.inf
    return norms


def _least_norm(rows: Any, target: Array, is_dense: bool) -> tuple[Array, Array]:
    """Return the d of least norm with ``rows d = target``, and l with ``d = -rows' l``."""
    if is_dense:
        d = least_squares(rows, target, 1e-12)
        return d, -least_squares(rows.T, d, 1e-12)
    n = rows.shape[1]
    shift = np.full(target.size, _SHIFT)
    factors = factorised(saddle(sparse.eye_array(n), rows, shift))
    d, dual = np.zeros(n), np.zeros(target.size)
    for _ in range(4):  # refined for a shift of zero
        left = np.concatenate([-d - rows.T @ dual, target - rows @ d])
        change = factors.solve(left)
        d, dual = d + change[:n], dual + change[n:]
    return d, dual
