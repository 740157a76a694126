"""The subproblem, and points of its barrier problem, as data.

    minimise   phi (g't + 1/2 t'Bt)   over  lower < t < upper
    subject to  c(t) + s = 0,  s > 0,  e(t) = 0

B and the second derivatives of the rows are arrays of shape (n, n), or, for large problems, a
`QuadraticModel` and a `SparseHessian`, which take no more memory than what they are made of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from optdriver.feasible.models import QuadraticModel
from optdriver.feasible.types import Vector
from optdriver.geometry.formulas import Formulas
from optdriver.geometry.products import dot, times
from optdriver.geometry.sparse_hessian import SparseHessian


@dataclass(frozen=True, kw_only=True)
class Subproblem:
    """What the solver needs, in t.

    Attributes
    ----------
    gradient : ndarray, shape (n,)
        Of the model at t = 0.
    curvature : ndarray of shape (n, n), or QuadraticModel
        B; the model makes the solver take sparse matrices.
    lower, upper : ndarray, shape (n,)
        Sides of the box, all finite (the trust region), lower < upper.
    values, jacobians : callable
        ``values(t) -> (c, e)``, ``jacobians(t) -> (J, E)``, dense or CSR.
    hessian : callable
        ``hessian(t, lambda, nu) -> (n, n)`` of the constraints' part of the Lagrangian: an array,
        or a `SparseHessian` beside a `QuadraticModel`.
    counts : (int, int)
        How many rows c and e there are.
    rounding : float
        What rounding does to the sum of all rows, about.
    formulas : Formulas, optional
        The same rows for the compiled pages, if they are formulas.
    chords : bool
        Whether the last steps of a dense solve take one factorisation, by elimination.
    """

    gradient: Vector
    curvature: Vector | QuadraticModel
    lower: Vector
    upper: Vector
    values: Callable[[Vector], tuple[Vector, Vector]]
    jacobians: Callable[[Vector], tuple[Any, Any]]
    hessian: Callable[[Vector, Vector, Vector], Vector | SparseHessian]
    counts: tuple[int, int]
    rounding: float = 0.0
    formulas: Formulas | None = None
    chords: bool = False

    def model(self, t: Vector) -> float:
        """Return the change of the model at t."""
        return dot(self.gradient, t) + 0.5 * dot(t, self._bent(t))

    def slope(self, t: Vector) -> Vector:
        """Return the gradient of the model at t."""
        return np.asarray(self.gradient + self._bent(t))

    def _bent(self, t: Vector) -> Vector:
        """Return B t."""
        b = self.curvature
        return b @ t if isinstance(b, QuadraticModel) else np.asarray(times(b, t))


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
