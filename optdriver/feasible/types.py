"""The array type that this package passes around, and what it asks of a set of constraints."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vector: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]
Data: TypeAlias = dict[str, Any]


class Constraints(Protocol):
    """Smooth constraints c_i(x) <= 0 or c_i(x) = 0 with exact derivatives."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def equality(self) -> Mask: ...

    def values(self, x: Vector) -> Vector: ...

    def jacobian(self, x: Vector) -> Vector: ...

    def hessian(self, x: Vector, multipliers: Vector) -> Vector: ...
