"""The inverse Hessian approximation as a linear operator."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from optdriver.lbfgsb.options import Vector


class InverseHessian(LinearOperator):
    """L-BFGS approximation of the inverse Hessian, H_0 = I / theta.

    Parameters
    ----------
    s, y : (k, n) arrays
        Steps and gradient differences, oldest first.
    theta : float
        y'y / s'y of the newest pair; H_0 = I / theta.

    Attributes
    ----------
    pairs : (S, Y)
        The pairs given.
    n_corrs, sk, yk, rho
        The pairs from which `scipy.optimize.LbfgsInvHessProduct`, which begins with the identity,
        makes the same operator: n pairs (e_i, theta e_i) that turn I into I / theta, then those
        given.  Made when asked for; O(n^2) numbers.

    Notes
    -----
    The two-loop recursion of Nocedal, Math. Comp. 35 (1980) 773.  The secant equation H y = s
    holds at the newest pair.

    This is no covariance of fitted parameters, and no part of one: it knows the curvature along the
    last steps only.  Standard errors from it were wrong by factors of 0.02 to 230 on NIST's set
    MGH09, and of 0.2 to 2.5 on Thurber.  See `optdriver.Study.uncertainty`.
    """

    def __init__(self, s: Vector, y: Vector, theta: float) -> None:
        n = s.shape[1]
        super().__init__(np.dtype(np.float64), (n, n))  # type: ignore[call-arg]  # stubs lack it
        self.pairs = s, y
        self.theta = theta

    @property
    def n_corrs(self) -> int:
        """Number of those pairs."""
        return len(self.sk)

    @property
    def sk(self) -> Vector:
        """Their steps, one a row."""
        return np.vstack([np.eye(self.shape[0]), self.pairs[0]])

    @property
    def yk(self) -> Vector:
        """Their gradient differences, one a row."""
        return np.vstack([self.theta * np.eye(self.shape[0]), self.pairs[1]])

    @property
    def rho(self) -> Vector:
        """Their 1 / s'y."""
        return _reciprocal_curvature(self.sk, self.yk)

    def _matvec(self, x: Any) -> Vector:
        s, y = self.pairs
        rho = _reciprocal_curvature(s, y)
        r = np.array(x, dtype=np.float64).reshape(-1)
        alpha = np.zeros(len(s))
        for i in range(len(s) - 1, -1, -1):
            alpha[i] = rho[i] * (s[i] @ r)
            r -= alpha[i] * y[i]
        r /= self.theta
        for i in range(len(s)):
            r += s[i] * (alpha[i] - rho[i] * (y[i] @ r))
        return r

    def _rmatvec(self, x: Any) -> Vector:
        return self._matvec(x)  # H is symmetric

    def todense(self) -> Vector:
        """Return H as an (n, n) array."""
        return np.array([self._matvec(e) for e in np.eye(self.shape[0])])


def _reciprocal_curvature(s: Vector, y: Vector) -> Vector:
    """Return 1 / s_i'y_i."""
    rho: Vector = 1.0 / np.einsum("ij,ij->i", s, y)
    return rho
