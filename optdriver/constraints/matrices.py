"""The few operations that treat dense and CSR matrices alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

Array = NDArray[np.float64]


def is_sparse(matrix: Any) -> bool:
    """Tell whether the matrix is one of SciPy's sparse ones."""
    return bool(sparse.issparse(matrix))


def dense(matrix: Any) -> Array:
    """Return the matrix as an ndarray."""
    return np.asarray(matrix.toarray() if is_sparse(matrix) else matrix, dtype=np.float64)


def csr(matrix: Any) -> Any:
    """Return the matrix in compressed rows."""
    return sparse.csr_array(matrix)


def stacked(parts: Sequence[Any]) -> Any:
    """Put matrices below each other; sparse if one of them is."""
    if any(is_sparse(part) for part in parts):
        return csr(sparse.vstack([csr(part) for part in parts]))
    return np.vstack(parts)


def beside(left: Any, right: Any) -> Any:
    """Put matrices beside each other; sparse if the left one is."""
    if is_sparse(left):
        return csr(sparse.hstack([left, csr(right)]))
    return np.hstack([left, dense(right)])


def scaled(matrix: Any, rows: Any = None, columns: Any = None) -> Any:
    """Multiply the rows and the columns by numbers."""
    if not is_sparse(matrix):
        made = matrix if rows is None else np.asarray(rows)[:, None] * matrix
        return made if columns is None else made * columns
    if rows is not None:
        matrix = sparse.diags_array(np.asarray(rows)) @ matrix
    if columns is not None:
        matrix = matrix @ sparse.diags_array(np.asarray(columns))
    return csr(matrix)


def row_norms(matrix: Any) -> Array:
    """Return the Euclidean norms of the rows."""
    if is_sparse(matrix):
        return np.asarray(np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel()))
    return np.asarray(np.linalg.norm(np.asarray(matrix, dtype=np.float64), axis=1))
