"""What a test problem is: an objective with its gradient, a start, bounds, the known minimum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[Any]
Objective = Callable[[Vector], tuple[Any, Vector]]
Residuals = Callable[[Vector], tuple[Vector, Vector]]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A minimisation problem with simple bounds (or none).

    Parameters
    ----------
    name
        Short unique name, the paper's number first where it has one.
    fun
        ``fun(x) -> (f, g)``. Written so that it also takes complex `x`: the tests check the
        gradient by the complex step.
    x0
        The paper's standard start, shape (n,); it may lie outside the bounds.
    lower, upper
        Bounds, shape (n,), infinite where there is none; None for an unconstrained problem.
    f_star
        The least value known (full double precision), None if it is not on record.
    published
        The value as the source prints it; the tests check that `f_star` rounds to it.
    minima
        Values of other known local minima (or infima along a ray), accepted as solved too.
    x_star
        A minimiser in closed form, where there is one.
    smooth
        False where the complex step cannot be used (a modulus, a branch): central differences
        check the gradient there.
    source
        Where the statement comes from.
    """

    name: str
    fun: Objective
    x0: Vector
    lower: Vector | None = None
    upper: Vector | None = None
    f_star: float | None = None
    published: str | None = None
    minima: tuple[float, ...] = field(default=())
    x_star: Vector | None = None
    smooth: bool = True
    source: str

    @property
    def n(self) -> int:
        """Number of variables."""
        return int(self.x0.size)

    @property
    def bounds(self) -> Vector | None:
        """The bounds as an (n, 2) array, or None."""
        if self.lower is None or self.upper is None:
            return None
        return np.column_stack([self.lower, self.upper])

    @property
    def start(self) -> Vector:
        """The start, clipped into the bounds."""
        if self.lower is None or self.upper is None:
            return self.x0.copy()
        return np.clip(self.x0, self.lower, self.upper)

    def projected_gradient(self, x: Vector, g: Vector) -> float:
        """Infinity norm of P(x - g) - x, the first-order measure of the L-BFGS-B papers."""
        step = x - g
        if self.lower is not None and self.upper is not None:
            step = np.clip(step, self.lower, self.upper)
        return float(np.abs(step - x).max())


def vector(values: ArrayLike) -> Vector:
    """Return `values` as an array of floats."""
    return np.array(values, dtype=float)


def sum_of_squares(residuals: Residuals) -> Objective:
    """Turn ``residuals(x) -> (r, J)`` into ``fun(x) -> (r'r, 2 J'r)``."""

    def fun(x: Vector) -> tuple[Any, Vector]:
        r, jacobian = residuals(x)
        return r @ r, 2.0 * (r @ jacobian)

    return fun


def rows(*values: Any) -> Vector:
    """Stack the rows of a small Jacobian (or the residuals), whatever their type is."""
    return np.array(values)


def columns(*values: Any) -> Vector:
    """Stack the columns of a Jacobian; scalars are repeated down the column."""
    return np.stack(np.broadcast_arrays(*values), axis=-1)
