"""Newton's step for the barrier problem by dense matrices: the fastest way for a few variables.

The equalities are eliminated by a QR factorisation, and the matrix in their null space is raised
by delta I until Cholesky's factorisation succeeds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optdriver.constraints.matrices import finite
from optdriver.feasible.barrier import Point, Subproblem
from optdriver.feasible.types import Vector
from optdriver.geometry.factors import Cholesky, Orthogonal, least_squares
from optdriver.geometry.products import dot, gram, product, times, transposed_times

DEPENDENT = 1e-10  # of the largest pivot: an equality below it depends on the others


@dataclass(frozen=True, kw_only=True)
class DenseFactor:
    """Factors of the Newton matrix in the null space of the equalities.

    Attributes
    ----------
    matrix : ndarray, shape (n, n)
        K, raised.
    rows : Orthogonal or None
        Bases of the equalities' row space and of its complement; None where there are none.
    reduced : Cholesky
        Of K in the complement.
    raised : float
        What was added to the diagonal.
    """

    matrix: Vector
    rows: Orthogonal | None
    reduced: Cholesky
    raised: float

    @staticmethod
    def of(problem: Subproblem, p: Point, shifts: list[float]) -> DenseFactor | None:
        """Factorise at `p`, raised by the first of `shifts` that makes it positive definite."""
        below, above = p.t - problem.lower, problem.upper - p.t
        matrix = np.asarray(problem.curvature) + np.asarray(problem.hessian(p.t, p.lam, p.nu))
        matrix = matrix + gram(p.jac, p.lam / p.s)
        diagonal = np.diag_indices_from(matrix)
        matrix[diagonal] += p.zl / below + p.zu / above
        if not finite(matrix):
            return None
        rows = Orthogonal(p.eq, DEPENDENT) if len(p.e) else None
        reduced = matrix if rows is None else _among(matrix, rows.basis[rows.rank :])
        for raised in shifts:
            factor = Cholesky.of(reduced, raised)
            if factor is not None:
                matrix[diagonal] += raised
                return DenseFactor(matrix=matrix, rows=rows, reduced=factor, raised=raised)
        return None

    def directions(
        self, p: Point, gradient: Vector, mu: float, infeasible: Vector, off: Vector
    ) -> tuple[Vector, Vector, Vector]:
        """Return the steps of t, lambda and nu.

        Parameters
        ----------
        p : Point
        gradient : ndarray, shape (n,)
            Of the model and the barrier of the box.
        mu : float
        infeasible, off : ndarray
            Residuals of ``c + s = 0`` and ``e = 0``.
        """
        ratio = p.lam / p.s
        right = -(gradient + transposed_times(p.jac, ratio * infeasible + mu / p.s))
        if self.rows is None:
            dt, dnu = self.reduced.solve(right), np.zeros(0)
        else:
            dt, dnu = self._split(self.rows, right - transposed_times(p.eq, p.nu), off)
        return dt, mu / p.s - p.lam + ratio * (infeasible + times(p.jac, dt)), dnu

    def _split(self, rows: Orthogonal, right: Vector, off: Vector) -> tuple[Vector, Vector]:
        """Return the steps of t and nu: onto the equalities, then along them."""
        across, along = rows.basis[: rows.rank], rows.basis[rows.rank :]
        dt = transposed_times(across, rows.solve_transposed(-off))
        rest = times(along, right - times(self.matrix, dt))
        dt = dt + transposed_times(along, self.reduced.solve(rest))
        return dt, rows.solve(times(across, right - times(self.matrix, dt)))

    def curvature(self, dt: Vector, _ds: Vector) -> float:
        """Return dt' K dt, that of the condensed matrix: slacks count as moved by -J dt."""
        return dot(dt, times(self.matrix, dt))


def multipliers(eq: Vector, residual: Vector) -> Vector:
    """Return the nu that makes ``residual + E' nu`` least."""
    return np.asarray(least_squares(eq.T, -residual, DEPENDENT))


def _among(matrix: Vector, rows: Vector) -> Vector:
    """Return Z' K Z, the columns of Z given as rows."""
    return np.asarray(product(product(rows, matrix), rows.T))
