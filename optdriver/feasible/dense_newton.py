"""Newton's step for the barrier problem by dense matrices: the fastest way for a few variables.

The equalities are eliminated by a QR factorisation, and the matrix in their null space is raised
by delta I until Cholesky's factorisation succeeds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, qr, solve_triangular

from optdriver.constraints.matrices import finite
from optdriver.feasible.barrier import Point, Subproblem
from optdriver.feasible.types import Indices, Vector


@dataclass(frozen=True, kw_only=True)
class DenseFactor:
    """Factors of the Newton matrix in the null space of the equalities."""

    matrix: Vector
    basis: Vector  # of the equalities' row space
    triangle: Vector
    order: Indices  # which equality each column of the triangle stands for
    null: Vector
    reduced: tuple[Vector, bool]
    raised: float

    @staticmethod
    def of(problem: Subproblem, p: Point, shifts: list[float]) -> DenseFactor | None:
        """Factorise at `p`, raised by the first of `shifts` that makes it positive definite."""
        below, above = p.t - problem.lower, problem.upper - p.t
        matrix = np.asarray(problem.curvature) + np.asarray(problem.hessian(p.t, p.lam, p.nu))
        matrix = matrix + (p.jac.T * (p.lam / p.s)) @ p.jac
        matrix = matrix + np.diag(p.zl / below + p.zu / above)
        if not finite(matrix):
            return None
        basis, triangle, order, null = _split(p.eq)
        reduced = null.T @ matrix @ null if len(p.e) else matrix
        for raised in shifts:
            try:
                factor = cho_factor(reduced + raised * np.eye(len(reduced)))
            except LinAlgError:
                continue
            return DenseFactor(
                matrix=matrix + raised * np.eye(len(matrix)),
                basis=basis,
                triangle=triangle,
                order=order,
                null=null,
                reduced=factor,
                raised=raised,
            )
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
        right = -(gradient + p.eq.T @ p.nu + p.jac.T @ (ratio * infeasible + mu / p.s))
        rank = self.triangle.shape[0]
        normal = solve_triangular(self.triangle, -off[self.order[:rank]], trans="T")
        dt = self.basis @ normal
        dt = dt + self._tangent(right - self.matrix @ dt, len(p.e))
        dnu = np.zeros(len(p.nu))
        dnu[self.order[:rank]] = solve_triangular(
            self.triangle, self.basis.T @ (right - self.matrix @ dt)
        )
        return dt, mu / p.s - p.lam + ratio * (infeasible + p.jac @ dt), dnu

    def _tangent(self, right: Vector, equalities: int) -> Vector:
        """Return the step along the equalities; without any, the null space is everything."""
        if not equalities:
            return np.asarray(cho_solve(self.reduced, right))
        return np.asarray(self.null @ cho_solve(self.reduced, self.null.T @ right))

    def curvature(self, dt: Vector, _ds: Vector) -> float:
        """Return dt' K dt, that of the condensed matrix: slacks count as moved by -J dt."""
        return float(dt @ self.matrix @ dt)


def multipliers(eq: Vector, residual: Vector) -> Vector:
    """Return the nu that makes ``residual + E' nu`` least."""
    return np.asarray(np.linalg.lstsq(eq.T, -residual, rcond=1e-10)[0], dtype=np.float64)


def _split(eq: Vector) -> tuple[Vector, Vector, Indices, Vector]:
    """Return range basis, triangle, order and null space of the equalities' gradients."""
    q, n = eq.shape
    if q == 0:
        return np.zeros((n, 0)), np.zeros((0, 0)), np.zeros(0, dtype=np.int64), np.eye(n)
    factors = qr(eq.T, pivoting=True)
    full, triangle = (np.asarray(each, dtype=np.float64) for each in factors[:2])
    order = np.asarray(factors[2], dtype=np.int64)
    diagonal = np.abs(np.diag(triangle))
    rank = int(np.sum(diagonal > 1e-10 * max(1.0, float(diagonal[0]))))
    return full[:, :rank], triangle[:rank, :rank], order, full[:, rank:]
