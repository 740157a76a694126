"""The nearest point of a polyhedron: min 1/2 |d|^2 over linear constraints and a box.

First a primal-dual active set (Hintermüller, Ito and Kunisch 2002): guess the active rows,
solve, correct the whole guess at once; a few linear systems, sparse ones where the rows are.
Where that cycles, small problems go to the dual method of Goldfarb and Idnani (1983), which
changes one row at a time, ends after finitely many steps and proves it when there is no such
point; large ones to an interior-point method, whose active set is then sharpened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.sparse.linalg import splu

from optdriver.constraints.interior_point import interior_point
from optdriver.constraints.matrices import csr, dense, is_sparse, row_norms, scaled, stacked

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_DENSE = 400_000
_ROUNDS = 40
_SMALL = 60
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
        Multipliers of ``A d <= b``, not negative: ``d + A' inequalities + E' equalities +
        box = 0``.
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
) -> LeastDistance:
    """Minimise ``1/2 |d|^2`` subject to ``A d <= b``, ``E d = f``, ``lower <= d <= upper``.

    Parameters
    ----------
    A, E : ndarray or sparse array, shapes (p, n) and (q, n)
        The rows.
    b, f : ndarray, shapes (p,) and (q,)
        The right-hand sides.
    lower, upper : ndarray, shape (n,)
        The box; sides may be infinite.

    Returns
    -------
    LeastDistance
        The point and the multipliers.
    """
    problem = _Problem(A, b, E, f, lower, upper)
    if (lower > upper).any():
        return problem.failed()
    guessed = problem.guess_all(problem.b < -problem.tolerance, problem.sides())
    if guessed is not None:
        return guessed
    return problem.one_by_one() if problem.is_small() else problem.through_the_middle()


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
        size = self.n * (b.size + f.size)
        self.dense = size <= _DENSE or not (is_sparse(A) or is_sparse(E))
        self.norms_a, self.norms_e = _norms(A), _norms(E)
        self.A, self.E = self.unit_rows(A, self.norms_a), self.unit_rows(E, self.norms_e)
        self.b = b / np.where(np.isinf(self.norms_a), 1.0, self.norms_a)
        self.f = f / np.where(np.isinf(self.norms_e), 1.0, self.norms_e)
        self.lower, self.upper = lower, upper
        self.lengths = (self.f.size, self.b.size)
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
            d=np.select([box > 0.0, box < 0.0], [self.upper, self.lower], d),
            inequalities=ineq / self.norms_a,
            equalities=eq / self.norms_e,
            box=box,
            feasible=True,
        )

    def sides(self) -> NDArray[Any]:
        """Return the sides of the box that 0 violates: -1 lower, 1 upper, 0 none."""
        return np.where(self.lower > 0.0, -1, np.where(self.upper < 0.0, 1, 0))

    def is_small(self) -> bool:
        """Tell whether changing one row at a time is the fastest."""
        return self.n <= _SMALL and self.b.size + self.f.size <= 4 * _SMALL

    def guess_all(self, active: Mask, sides: NDArray[Any]) -> LeastDistance | None:
        """Correct the active set at once until it stays; None if it does not settle."""
        seen: set[bytes] = set()
        for _ in range(_ROUNDS):
            state = active.tobytes() + sides.tobytes()
            if state in seen:
                return None
            seen.add(state)
            d, ineq, eq = self.on(active, sides)
            box = -(d + self.A.T @ ineq + self.E.T @ eq)
            next_active = np.where(active, ineq > 0.0, self.A @ d > self.b + self.tolerance)
            next_sides = np.select(
                [d > self.upper + self.tolerance, d < self.lower - self.tolerance, sides * box > 0],
                [1, -1, sides],
                0,
            )
            if (next_active == active).all() and (next_sides == sides).all():
                if not self.meets(d, active):
                    return None
                return self.solution(d, ineq, eq, np.where(sides != 0, box, 0.0))
            active, sides = next_active, next_sides
        return None

    def meets(self, d: Array, active: Mask) -> bool:
        """Tell whether the equations were solvable: a dependent set may have no solution."""
        allowed = 1e-9 / _TINY * self.tolerance
        residual = np.concatenate([self.E @ d - self.f, (self.A @ d - self.b)[active]])
        return bool((np.abs(residual) <= allowed).all() if residual.size else True)

    def on(self, active: Mask, sides: NDArray[Any]) -> tuple[Array, Array, Array]:
        """Solve with the active rows as equations and the variables with a side fixed there."""
        free = sides == 0
        d = np.where(sides > 0, self.upper, np.where(sides < 0, self.lower, 0.0))
        rows = stacked([self.E, self.A[active]])
        target = np.concatenate([self.f, self.b[active]]) - rows @ d
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

    def one_by_one(self) -> LeastDistance:
        """Goldfarb and Idnani: add the row that is violated most, drop what hinders it."""
        rows, targets = self.as_rows()
        q = self.f.size
        limit = 10 * (rows.shape[0] + 10)
        active: list[int] = []
        signs = np.ones(rows.shape[0])
        dual = np.zeros(rows.shape[0])
        d = np.zeros(self.n)
        for _ in range(limit):
            excess = rows @ d - targets
            excess[:q] = np.abs(excess[:q])
            excess[active] = -np.inf
            if not excess.size or excess.max() <= 10.0 * self.tolerance:
                return self.from_rows(d, dual * signs)
            chosen = int(np.argmax(excess))
            if chosen < q and rows[chosen] @ d < targets[chosen]:
                signs[chosen] = -1.0
            moved = self.add(rows, targets, signs, active, dual, d, chosen)
            if moved is None:
                return self.failed()
            d = moved
        return self.failed()

    def as_rows(self) -> tuple[Array, Array]:
        """Return equalities, inequalities and the finite sides of the box as rows, dense."""
        up, down = np.flatnonzero(self.upper < np.inf), np.flatnonzero(self.lower > -np.inf)
        eye = np.eye(self.n)
        plain = [dense(m) for m in (self.E, self.A)]
        targets = [self.f, self.b, self.upper[up], -self.lower[down]]
        return np.vstack([*plain, eye[up], -eye[down]]), np.concatenate(targets)

    def from_rows(self, d: Array, dual: Array) -> LeastDistance:
        q, p = self.lengths
        return self.solution(d, dual[q : q + p], dual[:q], self.on_sides(dual[q + p :]))

    def add(
        self,
        rows: Array,
        targets: Array,
        signs: Array,
        active: list[int],
        dual: Array,
        d: Array,
        chosen: int,
    ) -> Array | None:
        """Raise the multiplier of row `chosen` until it holds; None if it cannot."""
        normal = signs[chosen] * rows[chosen]
        for _ in range(2 * len(active) + 2):
            basis = signs[active, None] * rows[active]
            weights = _coordinates(basis, normal)
            direction = normal - basis.T @ weights
            blocking = [i for i, w in enumerate(weights) if w > 0.0 and active[i] >= self.f.size]
            ratios = [dual[active[i]] / weights[i] for i in blocking]
            partial = min(ratios, default=np.inf)
            slope = float(direction @ normal)
            excess = float(normal @ d - signs[chosen] * targets[chosen])
            full = excess / slope if slope > 1e-12 else np.inf
            step = min(partial, full)
            if step == np.inf:
                return None
            dual[active] -= step * weights
            dual[chosen] += step
            if slope > 1e-12:
                d = d - step * direction
            if full <= partial:
                active.append(chosen)
                return d
            dropped = active.pop(blocking[int(np.argmin(ratios))])
            dual[dropped] = 0.0
        return None


def _norms(rows: Any) -> Array:
    """Return the lengths of the rows; infinite where a row is as good as zero."""
    norms = row_norms(rows)
    norms[norms < _NOTHING] = np.inf
    return norms


def _least_norm(rows: Any, target: Array, is_dense: bool) -> tuple[Array, Array]:
    """Return the d of least norm with ``rows d = target``, and l with ``d = -rows' l``."""
    if is_dense:
        d = np.linalg.lstsq(rows, target, rcond=1e-12)[0]
        return d, -np.linalg.lstsq(rows.T, d, rcond=1e-12)[0]
    gram = sparse.csc_array(rows @ rows.T + 1e-14 * sparse.eye_array(target.size))
    factors = splu(gram)
    weights = factors.solve(target)
    for _ in range(2):
        weights += factors.solve(target - rows @ (rows.T @ weights))
    return rows.T @ weights, -weights


def _coordinates(basis: Array, normal: Array) -> Array:
    if not basis.shape[0]:
        return np.zeros(0)
    return np.asarray(np.linalg.lstsq(basis.T, normal, rcond=1e-12)[0], dtype=np.float64)
