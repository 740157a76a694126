"""What the batched L-BFGS-B of other packages have in common, in their conventions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError
from optdriver.integrations.conventions import whole
from optdriver.lbfgsb.options import check_integer, check_real
from optdriver.reading import real_array

Floats = NDArray[np.float64]

EPSILON = 2.220446049250313e-16


def starts(name: str, x0: Any) -> Floats:
    """Return the starts, one a row."""
    x = real_array(name, x0)
    if x.ndim != 2:
        raise InputError(f"{name} has shape {x.shape}; expected (starts, variables): one row each")
    return x


def positive(name: str, value: Any) -> int:
    """Return a whole number, checked by the name that the package gives to it."""
    check_integer(name, value, 1)
    return int(value)


def limit(name: str, value: Any) -> float:
    """Return a limit of at least one, perhaps infinite, checked by the name it has there."""
    check_integer(name, value, 1, infinite=True)
    return float(value)


def tolerance(name: str, value: Any) -> float:
    """Return a tolerance, checked by the name that the package gives to it."""
    check_real(name, value)
    return float(value)


def iterations(name: str, value: float) -> float:
    """Return a limit of iterations: SciPy's kernel, which they call, makes one in any case."""
    return max(whole(name, value), 1)


def doubled(answer: Any) -> Any:
    """Return what the objective returned with float32 as float64, as silently as they take it."""
    if not isinstance(answer, tuple):
        return answer
    return tuple(
        part.astype(np.float64) if isinstance(part, np.ndarray) and part.dtype == "f" else part
        for part in answer
    )
