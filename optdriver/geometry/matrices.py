"""The few operations that treat dense and CSR matrices alike."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.geometry import products, sparse

Array = NDArray[np.float64]

FLOAT = np.dtype(np.float64)

_HUGE = 1e150


def is_sparse(matrix: Any) -> bool:
    """Tell whether the matrix is one of SciPy's sparse ones."""
    if type(matrix) is np.ndarray or "scipy.sparse" not in sys.modules:
        return False  # whoever has made one has imported it
    return bool(sparse.issparse(matrix))


def finite(*arrays: Any) -> bool:
    """Say whether all entries of all arrays, dense or CSR, are finite."""
    for each in arrays:  # noqa: SIM110 - a generator takes longer than what it looks at
        if not products.are_finite(each.data if is_sparse(each) else each):
            return False
    return True


def dense(matrix: Any) -> Array:
    """Return the matrix as an ndarray."""
    if type(matrix) is np.ndarray and matrix.dtype == FLOAT:
        return matrix
    return np.asarray(matrix.toarray() if is_sparse(matrix) else matrix, dtype=np.float64)


def csr(matrix: Any) -> Any:
    """Return the matrix in compressed rows."""
    return sparse.csr_array(matrix)


def times(matrix: Any, x: Array) -> Array:
    """Return the matrix times a vector, summed in one order whatever the processor."""
    return np.asarray(matrix @ x if is_sparse(matrix) else products.times(matrix, x))


def product(left: Any, right: Any) -> Any:
    """Return the product of two matrices, summed in one order."""
    if is_sparse(left) or is_sparse(right):
        return left @ right
    return products.product(left, right)


def transposed_times(matrix: Any, x: Array) -> Array:
    """Return the transposed matrix times a vector, summed in one order."""
    if is_sparse(matrix):
        return np.asarray(matrix.T @ x)
    return np.asarray(products.transposed_times(matrix, x))


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
    kept = matrix if matrix.format == "csr" else csr(matrix)
    data = kept.data
    if rows is not None:
        data = np.repeat(np.asarray(rows), np.diff(kept.indptr)) * data
    if columns is not None:
        data = data * np.asarray(columns)[kept.indices]
    return sparse.csr_array((data, kept.indices, kept.indptr), shape=kept.shape)


def chosen(matrix: Any, rows: NDArray[np.int64]) -> Any:
    """Return rows with rising indices, by a slice if they are next to each other."""
    if not len(rows):
        return matrix[:0]
    adjacent = int(rows[-1]) - int(rows[0]) + 1 == len(rows)
    return matrix[int(rows[0]) : int(rows[-1]) + 1] if adjacent else matrix[rows]


def row_norms(matrix: Any) -> Array:
    """Return the Euclidean norms of the rows."""
    if is_sparse(matrix):
        kept = csr(matrix)
        owner = np.repeat(np.arange(kept.shape[0]), np.diff(kept.indptr))
        data, size = _squarable(kept.data)
        return size * np.sqrt(np.bincount(owner, data**2, minlength=kept.shape[0]))
    return np.asarray(products.row_lengths(np.asarray(matrix, dtype=np.float64)))


def _squarable(entries: Array) -> tuple[Array, float]:
    """Return the entries divided by a size that is 1 unless their squares could overflow."""
    peak = float(np.max(np.abs(entries), initial=0.0))
    size = peak if _HUGE < peak < np.inf else 1.0
    return entries / size, size
