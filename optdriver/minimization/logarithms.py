"""What is computed over logarithmic parameters: losses that JAX traces, and constraints.

A constraint is written over the parameters x.  Where minimizers see some of them by their
logarithm, it is one of t, with x(t) put in; its derivatives are those of the chain rule ::

    dc/dt = dc/dx diag(x'),    sum_j l_j d2c_j/dt2 = diag(x') (sum_j l_j d2c_j/dx2) diag(x')
                                                     + diag(l' dc/dx x'')

with x' = x'' = x for a logarithm, and 1 and 0 otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, NonlinearConstraint

from optdriver.space.coordinates import Coordinates

Vector = NDArray[np.float64]


def traced_outer(coordinates: Coordinates, t: Any) -> Any:
    """Return x for a traced t: at a bound and beyond the bound itself."""
    if not coordinates.logarithmic:
        return t
    numpy = import_module("jax.numpy")
    low, high = (np.asarray(side, t.dtype) for side in (coordinates.lower, coordinates.upper))
    below, above = np.asarray(coordinates.sides, t.dtype)
    inside = numpy.clip(numpy.exp(numpy.where(coordinates.log, t, 0.0)), low, high)
    inside = numpy.where(t <= below, low, numpy.where(t >= above, high, inside))
    return numpy.where(coordinates.log, inside, t)


def over_t(item: Any, coordinates: Coordinates) -> Any:
    """Return a constraint of SciPy's over x as one over t."""
    if isinstance(item, Bounds):
        low, high = (_side(side, coordinates) for side in (item.lb, item.ub))
        return Bounds(low, high)
    if isinstance(item, LinearConstraint):
        matrix: Any = item.A
        bending: Any = hessian(None, lambda _: matrix, coordinates)
        return NonlinearConstraint(
            lambda t: matrix @ coordinates.outer(t),
            item.lb,
            item.ub,
            jac=jacobian(lambda _: matrix, coordinates),
            hess=bending,
        )
    return item


def jacobian(jac: Callable[[Vector], Any], coordinates: Coordinates) -> Callable[[Vector], Any]:
    """Return derivatives by t for those by x."""

    def by_t(t: Vector) -> Any:
        x = coordinates.outer(t)
        return np.atleast_2d(_dense(jac(x))) * _slope(x, coordinates)

    return by_t


def hessian(
    hess: Callable[[Vector, Vector], Any] | None,
    jac: Callable[[Vector], Any],
    coordinates: Coordinates,
) -> Callable[[Vector, Vector], Any]:
    """Return second derivatives of a weighted sum by t for those by x, which None says are 0."""

    def by_t(t: Vector, weights: Vector) -> Any:
        x = coordinates.outer(t)
        slope = _slope(x, coordinates)
        bending = np.where(coordinates.log, x, 0.0) * (weights @ np.atleast_2d(_dense(jac(x))))
        made = np.diag(bending)
        return made if hess is None else made + np.outer(slope, slope) * _dense(hess(x, weights))

    return by_t


def _slope(x: Vector, coordinates: Coordinates) -> Vector:
    return np.where(coordinates.log, x, 1.0)


def _dense(matrix: Any) -> Any:
    return matrix.toarray() if hasattr(matrix, "toarray") else np.asarray(matrix)


def _side(side: Any, coordinates: Coordinates) -> Vector:
    """Return a bound of x as one of t; below a logarithmic parameter's reach there is none."""
    x = np.array(np.broadcast_to(side, coordinates.lower.shape), dtype=np.float64)
    reachable = ~coordinates.log | (x > 0.0)
    return np.where(reachable, coordinates.inner(np.where(reachable, x, 1.0)), -np.inf)
