"""Factors of sparse symmetric matrices that are not definite."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.geometry import sparse
from optdriver.geometry.matrices import csr

Array = NDArray[np.float64]


def factorised(matrix: Any) -> Any:
    """Return SuperLU's factors, ordered symmetrically and with pivots from the diagonal.

    A pivot that is exactly zero is replaced by another one of its column: then ``perm_r`` and
    ``perm_c`` differ.

    Raises
    ------
    RuntimeError
        The matrix is singular.
    """
    return sparse.splu(
        sparse.csc_array(matrix),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )


def saddle(top: Any, rows: Any, dual: Array) -> Any:
    """Return ``[top, rows'; rows, -diag(dual)]``, whatever of it is sparse staying sparse."""
    if not len(dual):
        return sparse.csc_array(top)
    rows = csr(rows)
    return sparse.block_array([[top, rows.T], [rows, -sparse.diags_array(dual)]], format="csc")
