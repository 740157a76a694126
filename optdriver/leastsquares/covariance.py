"""Covariances of fitted parameters: from the Jacobian of residuals, or from a Hessian.

Of a linear loss it is ``s^2 (J'J)^-1`` with the residual variance ``s^2 = 2 F / (m - p)``, p the
number of parameters that are free.  A robust loss makes an M-estimator, whose covariance is that of
the sandwich ``H^-1 (J' diag((rho' r)^2) J) H^-1 m / (m - p)`` (Huber 1981, section 7.6), with H the
curvature of the value.

What is held, at a bound or on an active constraint, does not vary: the covariance is that of what
is left to vary, and no more.  Directions in which nothing is determined are kept apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.geometry.factors import Orthogonal
from optdriver.geometry.products import product
from optdriver.geometry.singular import Singular
from optdriver.geometry.tall import Tall
from optdriver.leastsquares import losses
from optdriver.leastsquares.steps import lengths

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]

UNDETERMINED: Final = 1e-12
"""A direction in which the residuals change by less, relatively, is not determined by them."""

INVOLVED: Final = 1e-3
"""The least part that a parameter has in a direction to be named with it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Factors:
    """What a covariance is made of, without the many rows of a Jacobian.

    Attributes
    ----------
    m : int
        The number of residuals.
    triangle : ndarray, shape (k, n)
        The factor R of the (weighted) Jacobian: ``J'J = R'R``.
    score : ndarray, shape (k, n), or None
        With a robust loss that of the rows times what they pull with.
    """

    m: int
    triangle: Vector
    score: Vector | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as numbers and lists."""
        score = None if self.score is None else self.score.tolist()
        return {"m": self.m, "triangle": self.triangle.tolist(), "score": score}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], n: int | None = None) -> Factors:
        """Return what `to_dict` made `data` of; with `n` columns."""

        def table(name: str) -> Vector:
            rows = stored.rows(name, data[name])
            wide = len(rows[0]) if n is None and rows else n or 0
            return stored.array(name, rows, (len(rows), wide), finite=True)

        score = None if data["score"] is None else table("score")
        return cls(m=stored.whole("m", data["m"], 1), triangle=table("triangle"), score=score)


def factors(r: Vector, jacobian: Vector, loss: str, scale: float) -> Factors:
    """Return the factors of a Jacobian at residuals `r`."""
    weighted, weights = losses.weighted(r, loss, scale)
    rows = jacobian * weights[:, None]
    triangle = Tall(rows).upper
    if loss == losses.LINEAR:
        return Factors(m=r.size, triangle=triangle)
    return Factors(m=r.size, triangle=triangle, score=Tall(rows * weighted[:, None]).upper)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Spread:
    """How parameters vary.

    Attributes
    ----------
    covariance : ndarray, shape (n, n)
        Zero in the rows of what is held; infinite on the diagonal of what is not determined.
    together : tuple of tuples of int
        Parameters that are only determined together, or not at all where it is one.
    """

    covariance: Vector
    together: tuple[tuple[int, ...], ...]


class IndefiniteError(ValueError):
    """A Hessian with a negative curvature: the point is no minimum."""


def of_factors(made: Factors, free: Mask, normals: Vector) -> Spread:
    """Return the spread for a residual variance of 1, or that of a sandwich with a robust loss.

    Parameters
    ----------
    made : Factors
    free : ndarray of bool, shape (n,)
        Which parameters may vary.
    normals : ndarray, shape (c, n)
        Gradients of active constraints, along which nothing varies.
    """
    basis = directions(free, normals)
    matrix = product(made.triangle, basis)
    columns = lengths(matrix)
    parts = Singular(matrix / columns)
    sizes, rows = parts.sizes, parts.right
    known = sizes > UNDETERMINED * max(float(sizes[0]) if sizes.size else 0.0, 1e-300)
    inverse = product(basis / columns, rows[known].T) / sizes[known]
    covariance = product(inverse, inverse.T)
    if made.score is not None:
        middle = product(made.score, covariance)
        degrees = max(made.m - int(np.count_nonzero(known)), 1)
        covariance = product(middle.T, middle) * (made.m / degrees)
    return _spread(covariance, product(basis / columns, rows[~known].T))


def of_hessian(hessian: Vector, free: Mask, normals: Vector) -> Spread:
    """Return the spread whose inverse is a Hessian: ``H^-1``.

    Raises
    ------
    IndefiniteError
        It has a negative curvature.
    """
    basis = directions(free, normals)
    matrix = basis.T @ (0.5 * (hessian + hessian.T)) @ basis
    columns = np.sqrt(np.abs(np.diag(matrix)))
    columns[columns == 0.0] = 1.0
    sizes, vectors = np.linalg.eigh(matrix / np.outer(columns, columns))
    largest = float(np.max(np.abs(sizes), initial=0.0))
    if np.any(sizes < -HESSIAN_NOISE * largest):
        raise IndefiniteError
    known = sizes > HESSIAN_NOISE * largest
    half = basis / columns @ vectors[:, known] / np.sqrt(sizes[known])
    return _spread(half @ half.T, basis / columns @ vectors[:, ~known])


HESSIAN_NOISE: Final = 1e-7
"""Curvatures of a Hessian by differences that are smaller, relatively, are none."""


def directions(free: Mask, normals: Vector) -> Vector:
    """Return the directions in which parameters may vary, as columns, shape (n, k).

    Parameters
    ----------
    free : ndarray of bool, shape (n,)
        Which of them are not held.
    normals : ndarray, shape (c, n)
        What they must not vary along.
    """
    every = np.eye(free.size)[:, free]
    if not normals.size or not free.any():
        return every
    found = Orthogonal(normals[:, free], UNDETERMINED)
    return np.asarray(product(every, found.basis[found.rank :].T))


def _spread(covariance: Vector, loose: Vector) -> Spread:
    """Return a spread with the directions, as columns, that are not determined."""
    if not loose.size:
        return Spread(covariance=covariance, together=())
    scale = np.sqrt(np.sum(loose**2, axis=1))
    typical = np.sqrt(np.diag(covariance))
    size = np.where(typical > 0.0, typical, np.max(scale, initial=0.0))
    unit = loose / np.where(size > 0.0, size, 1.0)[:, None]
    unit = unit / np.linalg.norm(unit, axis=0)
    part = np.abs(np.linalg.qr(unit)[0])
    involved = np.max(part, axis=1) > INVOLVED
    covariance = covariance.copy()
    at = np.flatnonzero(involved)
    covariance[at, :] = covariance[:, at] = np.nan
    covariance[at, at] = np.inf
    return Spread(covariance=covariance, together=_groups(part > INVOLVED))


def _groups(part: Mask) -> tuple[tuple[int, ...], ...]:
    """Return which rows belong together, since they have a part in the same column."""
    groups: list[set[int]] = []
    for column in part.T:
        new = set(np.flatnonzero(column).tolist())
        for known in [group for group in groups if group & new]:
            new |= known
            groups.remove(known)
        groups.append(new)
    return tuple(tuple(sorted(group)) for group in groups if group)


def correlation(covariance: Vector) -> Vector:
    """Return the correlations: 1 on the diagonal, NaN where something does not vary."""
    sizes = np.sqrt(np.diag(covariance))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = covariance / np.outer(sizes, sizes)
    np.fill_diagonal(found, 1.0)
    return np.asarray(found)


def in_units(made: Factors, slope: Sequence[float] | Vector) -> Factors:
    """Return factors of derivatives by other parameters, `slope` of which make one of these."""
    divisor = np.asarray(slope)
    score = None if made.score is None else made.score / divisor
    return Factors(m=made.m, triangle=made.triangle / divisor, score=score)
