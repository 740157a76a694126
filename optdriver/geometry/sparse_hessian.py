"""Second derivatives of many rows as a sparse matrix and a few wide intermediates.

``sqrt(x1^2 + ... + x1000^2)`` has a dense Hessian, 8 n^2 bytes, but it is the sum of a diagonal
and one outer product: the curvature of sqrt times the gradient of the sum.  In general ::

    H = [I; U]' [[matrix, cross], [cross', corner]] [I; U]

with one row of U for each intermediate that depends on many parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.geometry import sparse
from optdriver.geometry.matrices import csr, dense, scaled

Array = NDArray[np.float64]

WIDE = 64
"""An intermediate of more parameters than this is kept apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseHessian:
    """A symmetric (n, n) matrix in parts.

    Attributes
    ----------
    matrix : CSR array, shape (n, n)
    inner : ndarray, shape (k, n)
        U.
    cross : ndarray, shape (n, k)
    corner : ndarray, shape (k, k)
    """

    matrix: Any
    inner: Array
    cross: Array
    corner: Array

    @staticmethod
    def of(second: Any, inner: Any) -> SparseHessian:
        """Take S and U as `Assembly.extended_hessian` returns them; narrow rows of U go in."""
        if inner is None:
            return _plain(csr(second))
        second, inner = csr(second), csr(inner)
        n = inner.shape[1]
        curved = np.diff(second.indptr)[n:] > 0
        wide = np.diff(inner.indptr) > WIDE
        narrow, wide = curved & ~wide, curved & wide
        apart = n + np.flatnonzero(wide)
        near = np.concatenate([np.arange(n), n + np.flatnonzero(narrow)])
        chain = csr(sparse.vstack([sparse.eye_array(n, format="csr"), inner[narrow]]))
        rows = second[near]
        return SparseHessian(
            matrix=csr(chain.T @ rows[:, near] @ chain),
            inner=dense(inner[wide]),
            cross=dense(chain.T @ rows[:, apart]),
            corner=dense(second[apart][:, apart]),
        )

    def scaled(self, units: Array) -> SparseHessian:
        """Return ``diag(units) H diag(units)``."""
        return SparseHessian(
            matrix=scaled(self.matrix, units, units),
            inner=self.inner * units,
            cross=units[:, None] * self.cross,
            corner=self.corner,
        )

    def among(self, chosen: NDArray[np.int64]) -> SparseHessian:
        """Return the rows and columns of the parameters with these indices."""
        return SparseHessian(
            matrix=self.matrix[chosen][:, chosen],
            inner=self.inner[:, chosen],
            cross=self.cross[chosen],
            corner=self.corner,
        )

    def __matmul__(self, v: Array) -> Array:
        """Return H v."""
        inside = self.inner @ v
        outside = self.cross.T @ v + self.corner @ inside
        made: Array = self.matrix @ v + self.cross @ inside + self.inner.T @ outside
        return made

    def plus(self, other: Any) -> SparseHessian:
        """Return H + `other`, an (n, n) matrix."""
        total = csr(self.matrix + csr(other))
        return SparseHessian(matrix=total, inner=self.inner, cross=self.cross, corner=self.corner)


def _plain(matrix: Any) -> SparseHessian:
    n = matrix.shape[0]
    return SparseHessian(
        matrix=matrix, inner=np.zeros((0, n)), cross=np.zeros((n, 0)), corner=np.zeros((0, 0))
    )
