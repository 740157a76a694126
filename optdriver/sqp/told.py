"""What is told at a point, the objective and its rows, and by how much these are violated."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError
from optdriver.geometry.products import row_lengths
from optdriver.numerics import quiet
from optdriver.reading import real_array

Vector = NDArray[np.float64]

FLAT_ROW: Final = 1e-8
"""A row whose gradient is a smaller part of its value at the start is measured by that."""

LARGEST: Final = 2.0**1000
"""The largest slope of a row that is told from larger ones; its inverse is the smallest size."""


def read_values(values: Any, rows: int) -> Vector:
    """Return what was told at a point: the objective, then the rows.

    Raises
    ------
    InputError
    """
    numbers = real_array("the values", values)
    if numbers.shape != (rows,):
        raise InputError(
            f"the values have shape {numbers.shape}; expected ({rows},): the objective, then the "
            "inequalities, then the equalities"
        )
    return numbers


def read_slopes(jacobian: Any, rows: int, n: int) -> Vector:
    """Return the derivatives of what was told by the `n` variables.

    Raises
    ------
    InputError
    """
    slopes = real_array("the Jacobian", jacobian)
    if slopes.shape != (rows, n):
        swapped = ": is it transposed?" if slopes.shape == (n, rows) else ""
        raise InputError(
            f"the Jacobian has shape {slopes.shape}; expected ({rows}, {n}), a row for each value "
            f"and a column for each variable{swapped}"
        )
    return slopes


def row_sizes(values: Vector, jacobian: Vector, scale: Vector) -> Vector:
    """Return the same of variables of the sizes `scale`."""
    slopes = np.clip(jacobian[1:] * scale, -LARGEST, LARGEST)
    unit = np.max(np.abs(slopes), axis=1, initial=0.0)  # squares can overflow, or be nothing
    unit[unit == 0.0] = 1.0
    lengths = unit * row_lengths(slopes / unit[:, None])
    sizes = np.maximum(lengths, FLAT_ROW * np.abs(values[1:]))
    return np.where(sizes > 0.0, np.maximum(sizes, 1.0 / LARGEST), 1.0)


def violated(rows: Vector, inequalities: int) -> Vector:
    """Return by how much each row is violated, of which the first so many are ``c <= 0``."""
    p = inequalities
    return np.concatenate([np.maximum(rows[:p], 0.0), np.abs(rows[p:])])


@quiet
def violation(values: Vector, jacobian: Vector | None, scale: Vector, inequalities: int) -> float:
    """Return by how much told rows are violated at a point, by what they change by there.

    Without a Jacobian a row that is violated at all is so without measure.
    """
    rows = violated(values[1:], inequalities)
    if jacobian is None:
        return 0.0 if not rows.any() else math.inf
    sizes = row_sizes(values, jacobian, scale)
    return float(np.max(rows / sizes, initial=0.0))
