"""The array type that this package passes around, and what it asks of a set of constraints."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vector: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]
Data: TypeAlias = dict[str, Any]


class Constraints(Protocol):
    """Smooth rows with exact derivatives: inequalities c(x) <= 0 first, then equalities."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def n_inequalities(self) -> int: ...

    def values(self, x: Vector) -> Vector: ...

    def jacobian(self, x: Vector) -> Vector: ...

    def hessian(self, x: Vector, multipliers: Vector) -> Vector: ...
