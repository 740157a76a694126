"""The subproblem of a large problem, and points of its barrier problem, as data.

    minimise   phi (g't + 1/2 t'Bt)   over  lower < t < upper
    subject to  c(t) + s = 0,  s > 0,  e(t) = 0

B and the second derivatives of the rows are a `QuadraticModel` and a `SparseHessian`, which take no
more memory than what they are made of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from optdriver.feasible.models import QuadraticModel
from optdriver.feasible.types import Vector
from optdriver.geometry.products import dot
from optdriver.geometry.sparse_hessian import SparseHessian


@dataclass(frozen=True, kw_only=True)
class Subproblem:
    """What the solver needs, in t.

    Attributes
    ----------
    gradient : ndarray, shape (n,)
        Of the model at t = 0.
    curvature : QuadraticModel
        B.
    lower, upper : ndarray, shape (n,)
        Sides of the box, all finite (the trust region), lower < upper.
    values, jacobians : callable
        ``values(t) -> (c, e)``, ``jacobians(t) -> (J, E)``, dense or CSR.
    hessian : callable
        ``hessian(t, lambda, nu) -> (n, n)`` of the constraints' part of the Lagrangian.
    counts : (int, int)
        How many rows c and e there are.
    rounding : float
        What rounding does to the sum of all rows, about.
    """

    gradient: Vector
    curvature: QuadraticModel
    lower: Vector
    upper: Vector
    values: Callable[[Vector], tuple[Vector, Vector]]
    jacobians: Callable[[Vector], tuple[Any, Any]]
    hessian: Callable[[Vector, Vector, Vector], Vector | SparseHessian]
    counts: tuple[int, int]
    rounding: float = 0.0

    def model(self, t: Vector) -> float:
        """Return the change of the model at t."""
        return dot(self.gradient, t) + 0.5 * dot(t, self.curvature @ t)

    def slope(self, t: Vector) -> Vector:
        """Return the gradient of the model at t."""
        return np.asarray(self.gradient + self.curvature @ t)


@dataclass(frozen=True, kw_only=True)
class Point:
    """Primal and dual variables, with the functions at t."""

    t: Vector
    s: Vector
    lam: Vector
    nu: Vector
    zl: Vector
    zu: Vector
    c: Vector
    e: Vector
    jac: Any
    eq: Any
