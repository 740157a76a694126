"""Newton's step for the barrier problem by sparse matrices: work and memory linear in the texts.

The step solves the symmetric system ::

    [ W    J'        E'      F  ] [ dt      ]
    [ J  -diag(s/l)             ] [ dlambda ]
    [ E              -eps I     ] [ dnu     ]
    [ F'                     G  ] [ rest    ]

W is sparse: theta I, the box, and the sparse part of the rows' second derivatives.  The border
(F, G) holds what would fill W: the pairs of the quasi-Newton matrix, rows that depend on many
variables, and wide intermediates (see `SparseHessian`).  The core is factorised by SuperLU, the
border eliminated by its Schur complement, and the solution refined.

The step is one of descent along the equalities if the whole matrix has as many negative eigenvalues
as rows.  SuperLU does not say how many there are; but with symmetric ordering and diagonal pivots
its factors are those of L D L', whose D has the signs (Sylvester's law; Gould, "On practical
conditions for the existence and uniqueness of solutions to the general equality quadratic
programming problem", Math. Prog. 32 (1985) 90).  That diagonal pivots exist is not sure where W is
not positive definite (Vanderbei, "Symmetric quasidefinite matrices", SIAM J. Optim. 5 (1995) 100):
a pivot off the diagonal counts as a wrong sign, which raises W.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from optdriver.feasible.barrier import Point, Subproblem
from optdriver.feasible.models import QuadraticModel
from optdriver.feasible.types import Indices, Mask, Vector
from optdriver.geometry import sparse
from optdriver.geometry.matrices import csr, dense, finite
from optdriver.geometry.sparse_hessian import SparseHessian
from optdriver.geometry.symmetric import factorised, saddle

EPSILON = 1e-8  # what makes dependent equalities harmless
SLIGHT = 1e-12  # the same for those in the border, which needs no diagonal pivots
WIDE = 64  # a row with more entries belongs to the border
MOST_WIDE = 200  # rows in the border; if there are more, all stay in the core
REFINEMENTS = 3
HELPS = 0.5  # a refinement that leaves more of the residual is not worth it
FLAT = 1e-14  # relative size below which an eigenvalue of the Schur complement is zero


@dataclass(frozen=True, kw_only=True)
class _System:
    """The matrix in parts: core as sparse matrix, border F (with rows of zeros) and corner G."""

    core: Any
    border: Vector
    corner: Vector
    shifted: int  # the last so many rows of the core are equalities, with -eps on the diagonal


@dataclass(frozen=True, kw_only=True)
class SparseFactor:
    """Factors of the system above, and what is needed to refine solutions."""

    system: _System
    factors: Any
    reach: Vector  # core^-1 border
    values: Vector  # eigenvalues and vectors of the Schur complement
    vectors: Vector
    wide: Mask  # rows (J, then E) that are in the border
    model: QuadraticModel
    bend: SparseHessian
    diagonal: Vector
    ratio: Vector  # lambda / s
    raised: float

    @staticmethod
    def of(problem: Subproblem, p: Point, shifts: list[float]) -> SparseFactor | None:
        """Factorise at `p`, raised by the first of `shifts` that gives the right signs."""
        model, bend = problem.curvature, problem.hessian(p.t, p.lam, p.nu)
        if not (isinstance(model, QuadraticModel) and isinstance(bend, SparseHessian)):
            raise TypeError("a QuadraticModel goes with a SparseHessian")
        sides = p.zl / (p.t - problem.lower) + p.zu / (problem.upper - p.t)
        rows = csr(sparse.vstack([csr(p.jac), csr(p.eq)]))
        wide = _wide(rows)
        shift = np.where(wide[len(p.lam) :], SLIGHT, EPSILON)
        dual = np.concatenate([p.s / p.lam, shift])
        border, corner, negative = _border(model, bend, rows[wide], dual[wide])
        if not finite(bend.matrix, rows, border, corner, sides, dual):
            return None
        wanted = len(dual) - int(wide.sum()) + negative
        top = bend.matrix + sparse.diags_array(model.theta + sides)
        core = saddle(top, rows[~wide], dual[~wide])
        filled = np.vstack([border, np.zeros((core.shape[0] - len(border), len(corner)))])
        shifted = int(np.sum(~wide[len(p.lam) :]))
        for raised in shifts:
            lifted = _raised(core, len(sides), raised)
            system = _System(core=lifted, border=filled, corner=corner, shifted=shifted)
            found = _factorised(system, wanted)
            if found is not None:
                return SparseFactor(
                    system=system,
                    factors=found[0],
                    reach=found[1],
                    values=found[2],
                    vectors=found[3],
                    wide=wide,
                    model=model,
                    bend=bend,
                    diagonal=sides + raised,
                    ratio=p.lam / p.s,
                    raised=raised,
                )
        return None

    def directions(
        self, p: Point, gradient: Vector, mu: float, infeasible: Vector, off: Vector
    ) -> tuple[Vector, Vector, Vector]:
        """Return the steps of t, lambda and nu (arguments as for `DenseFactor.directions`)."""
        n, m = len(p.t), len(p.lam)
        top = -(gradient + p.jac.T @ p.lam + p.eq.T @ p.nu)
        below = np.concatenate([p.s - mu / p.lam - infeasible, -off])
        right = np.concatenate([top, below[~self.wide]])
        rest = np.zeros(len(self.system.corner))
        rest[: int(self.wide.sum())] = below[self.wide]
        x, inner = self._solved(right, rest)
        duals = np.empty(len(below))
        duals[~self.wide], duals[self.wide] = x[n:], inner[: int(self.wide.sum())]
        return x[:n], duals[:m], duals[m:]

    def _solved(self, right: Vector, rest: Vector) -> tuple[Vector, Vector]:
        """Return the solution, refined for eps = 0 as long as that helps.

        It does not where equalities depend on each other.
        """
        x, inner = self._once(right, rest)
        left, lacking = self._residual(x, inner, right, rest)
        for _ in range(REFINEMENTS):
            dx, dinner = self._once(left, lacking)
            after = self._residual(x + dx, inner + dinner, right, rest)
            if not _size(*after) < HELPS * _size(left, lacking):
                break
            x, inner, (left, lacking) = x + dx, inner + dinner, after
        return x, inner

    def _residual(
        self, x: Vector, inner: Vector, right: Vector, rest: Vector
    ) -> tuple[Vector, Vector]:
        system = self.system
        left = right - system.core @ x - system.border @ inner
        left[len(left) - system.shifted :] -= EPSILON * x[len(x) - system.shifted :]
        return left, rest - system.border.T @ x - system.corner @ inner

    def _once(self, right: Vector, rest: Vector) -> tuple[Vector, Vector]:
        x = self.factors.solve(right)
        behind = rest - self.system.border.T @ x
        inner = self.vectors @ ((self.vectors.T @ behind) / self.values)
        return x - self.reach @ inner, inner

    def curvature(self, dt: Vector, ds: Vector) -> float:
        """Return dt' W dt + ds' diag(lambda/s) ds."""
        own = self.model @ dt + self.bend @ dt + self.diagonal * dt
        return float(dt @ own + ds @ (self.ratio * ds))


def _diagonal(core: Any, n: int) -> Indices:
    """Return where the first n entries of the diagonal are stored, as far as they are."""
    column = np.repeat(np.arange(core.shape[1]), np.diff(core.indptr))
    return np.flatnonzero((core.indices == column) & (column < n)).astype(np.int64)


def _raised(core: Any, n: int, by: float) -> Any:
    """Return the core with `by` added to the first n entries of its diagonal."""
    if by == 0.0:
        return core
    own = _diagonal(core, n)
    if len(own) < n:  # one that is exactly zero is not stored
        return sparse.csc_array(core + sparse.diags_array(by * (np.arange(core.shape[0]) < n)))
    data = core.data.copy()
    data[own] += by
    return sparse.csc_array((data, core.indices, core.indptr), shape=core.shape)


def _size(*parts: Vector) -> float:
    return max(float(np.max(np.abs(part), initial=0.0)) for part in parts)


def _wide(rows: Any) -> Mask:
    wide = np.diff(rows.indptr) > WIDE
    return np.asarray(wide if wide.sum() <= MOST_WIDE else np.zeros_like(wide))


def _border(
    model: QuadraticModel, bend: SparseHessian, rows: Any, dual: Vector
) -> tuple[Vector, Vector, int]:
    """Return F, G and how many negative eigenvalues the border adds."""
    wide, k, pairs = len(dual), len(bend.corner), len(model.signs)
    columns = np.hstack([dense(rows).T, bend.cross, bend.inner.T, model.vectors])
    corner = np.zeros((columns.shape[1], columns.shape[1]))
    corner[:wide, :wide] = -np.diag(dual)
    u = slice(wide, wide + k)
    v = slice(wide + k, wide + 2 * k)
    corner[u, u], corner[u, v], corner[v, u] = bend.corner, -np.eye(k), -np.eye(k)
    if pairs:
        corner[-pairs:, -pairs:] = -np.diag(model.signs)
    return columns, corner, wide + k + int(np.sum(model.signs > 0.0))


def _factorised(system: _System, wanted: int) -> tuple[Any, Vector, Vector, Vector] | None:
    """Return factors and Schur complement; None unless `wanted` eigenvalues are negative."""
    factors = _symmetric(system.core)
    if factors is None:
        return None
    reach = factors.solve(system.border)
    schur = system.corner - system.border.T @ reach
    if not finite(schur):
        return None
    values, vectors = np.linalg.eigh(0.5 * (schur + schur.T))
    if np.any(np.abs(values) <= FLAT * _size(values)):
        return None
    negative = int(np.sum(factors.U.diagonal() < 0.0)) + int(np.sum(values < 0.0))
    return (factors, reach, values, vectors) if negative == wanted else None


def _symmetric(matrix: Any) -> Any:
    """Return the factors, or None if a pivot is zero."""
    try:
        factors = factorised(matrix)
    except RuntimeError:  # SuperLU's word for a singular matrix
        return None
    return factors if np.array_equal(factors.perm_r, factors.perm_c) else None


def multipliers(eq: Any, residual: Vector) -> Vector:
    """Return the nu that makes ``residual + E' nu`` least."""
    q, n = eq.shape
    factors = _symmetric(saddle(sparse.eye_array(n), eq, np.full(q, EPSILON)))
    if factors is None:
        return np.zeros(q)
    return np.asarray(factors.solve(np.concatenate([-residual, np.zeros(q)]))[n:])
