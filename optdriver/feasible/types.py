"""The array type that this package passes around, and what it asks of a set of constraints."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vector: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]
Indices: TypeAlias = NDArray[np.int64]
Data: TypeAlias = dict[str, Any]


class Constraints(Protocol):
    """Smooth rows with exact derivatives: inequalities c(x) <= 0 first, then equalities."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the rows."""

    @property
    def n_inequalities(self) -> int:
        """How many rows are inequalities; they come first."""

    def values(self, x: Vector) -> Vector:
        """Return the rows at x, shape (m,); not finite where a formula has no value."""

    def jacobian(self, x: Vector) -> Vector:
        """Return the gradients of the rows, shape (m, n)."""

    def hessian(self, x: Vector, multipliers: Vector) -> Vector:
        """Return the Hessian of multipliers times rows, shape (n, n)."""
