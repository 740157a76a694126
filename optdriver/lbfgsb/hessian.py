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
    sk, yk : (k, n) arrays
        Steps and gradient differences, oldest first.
    theta : float
        y'y / s'y of the newest pair; H_0 = I / theta.

    Notes
    -----
    The two-loop recursion of Nocedal, Math. Comp. 35 (1980) 773.  The secant equation H y = s
    holds at the newest pair.
    """

    def __init__(self, sk: Vector, yk: Vector, theta: float) -> None:
        n = sk.shape[1]
        super().__init__(dtype=np.dtype(np.float64), shape=(n, n))
        self.sk = sk
        self.yk = yk
        self.theta = theta
        self.n_corrs = sk.shape[0]
        self.rho = 1.0 / np.einsum("ij,ij->i", sk, yk)

    def _matvec(self, x: Any) -> Vector:
        r = np.array(x, dtype=np.float64).reshape(-1)
        alpha = np.zeros(self.n_corrs)
        for i in range(self.n_corrs - 1, -1, -1):
            alpha[i] = self.rho[i] * (self.sk[i] @ r)
            r -= alpha[i] * self.yk[i]
        r /= self.theta
        for i in range(self.n_corrs):
            r += self.sk[i] * (alpha[i] - self.rho[i] * (self.yk[i] @ r))
        return r

    def _rmatvec(self, x: Any) -> Vector:
        return self._matvec(x)  # H is symmetric

    def todense(self) -> Vector:
        """Return H as an (n, n) array."""
        dense: Vector = self.matmat(np.eye(self.shape[0]))
        return dense
