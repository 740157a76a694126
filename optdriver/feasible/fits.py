"""Sums of squares: the Gauss-Newton model of residuals, and what it has left to gain.

Told residuals r and their Jacobian J, the machine knows the larger part of the Hessian, J'J, and
learns of pairs the rest only, the sum of each residual times its second derivatives: a structured
secant method (Dennis, Gay, Welsch, "An adaptive nonlinear least-squares algorithm", ACM TOMS 7
(1981) 348), with the rest by symmetric rank-one updates.  Both models, without the rest and with
it, are of the kind of `models`, and by its scores one of them is taken.  Where residuals stay large
the rest decides: from NIST's starts Thurber and ENSO take 24, 13 and 17, 12 evaluations with it,
and 73, 58 and 60, 54 without.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from optdriver.feasible import convergence
from optdriver.feasible.criticality import Criticality
from optdriver.feasible.models import QuadraticModel
from optdriver.feasible.options import Fit
from optdriver.feasible.region import Region
from optdriver.feasible.state import State
from optdriver.feasible.types import Mask, Vector
from optdriver.geometry import quasi_newton
from optdriver.geometry.factors import Orthogonal
from optdriver.geometry.least_distance import least_distance
from optdriver.geometry.matrices import dense
from optdriver.geometry.products import dot, norm, product, times
from optdriver.geometry.tall import Tall
from optdriver.leastsquares import losses
from optdriver.leastsquares.covariance import directions
from optdriver.leastsquares.steps import EPS
from optdriver.leastsquares.steps import lengths as column_lengths

SURE: Final = 1e-6
"""A relative offset below which an iterate that no step betters is an end and no stall."""

SMALLEST: Final = 1e-12
"""The least part of a variable's size that is taken for its length."""

HIDDEN: Final = 1e-14
"""The part of f below which a change of it is rounding."""

BETTER: Final = 0.95
"""By what factor the offset falls where rounding hides what f does."""

NOTHING: Final = 1e-14
"""Below this part of its unit a value may be rounding alone, and below the square of it, it is."""

LITTLE: Final = 1e3
"""How many such changes residuals may be that are rounding alone."""

ROUNDING: Final = 4.0
"""How many times what rounding of x changes the residuals by a step must change them."""


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What was told of a point: residuals, shape (m,), and their Jacobian, (m, n)."""

    r: Vector
    jacobian: Vector


def value(fit: Fit, told: Observed) -> tuple[float, Vector]:
    """Return what residuals cost, and its gradient; not finite where a square overflows."""
    f = losses.value(told.r, fit.loss, fit.f_scale)
    with np.errstate(over="ignore"):
        steep = dot(told.jacobian, told.jacobian)  # what the model is made of
    return (f if math.isfinite(steep) else math.inf), _pull(fit, told.r, told.jacobian)


def _pull(fit: Fit, r: Vector, rows: Vector) -> Vector:
    return losses.gradient(r, rows, fit.loss, fit.f_scale)


def _weighted(state: State) -> tuple[Vector, Vector]:
    """Return residuals and Jacobian of the quadratic model at the iterate."""
    if state.fit is None or state.r is None or state.jacobian is None:
        raise ValueError("there are no residuals")
    r, weights = losses.weighted(state.r, state.fit.loss, state.fit.f_scale)
    return r, state.jacobian * weights[:, None]


def left_of_change(state: State, told: Observed, *, accepted: bool) -> Vector:
    """Return what J'J leaves of the change of the gradient along a trial.

    That is (J_t - J)' times the residuals of the point from which the machine goes on.
    """
    if state.fit is None or state.r is None or state.jacobian is None:
        raise ValueError("there are no residuals")
    r = told.r if accepted else state.r
    return _pull(state.fit, r, told.jacobian - state.jacobian)


def sizes(state: State, scale: Vector) -> Vector:
    """Return the lengths of the variables in which the columns of J are alike; none above `scale`.

    Parameters are often of sizes many orders apart, and J'J squares that (More, "The
    Levenberg-Marquardt algorithm", 1978, section 6).
    """
    rows = _weighted(state)[1] * scale
    columns, used = column_lengths(rows), (rows != 0.0).any(axis=0)
    part = np.min(columns, initial=math.inf, where=used) / columns
    return np.asarray(np.where(used, np.maximum(part, SMALLEST), 1.0) * scale)


def build(
    state: State, scale: Vector, lengths: Vector, size: float
) -> tuple[QuadraticModel, QuadraticModel]:
    """Build the models of f / size in x / lengths: J'J, and J'J with the rest.

    `scale` is what the pairs are measured by.
    """
    rows = _weighted(state)[1] * (lengths / math.sqrt(size))
    if len(rows) > len(lengths):
        rows = Tall(rows).upper
    signs, part = np.ones(len(rows)), lengths / scale
    rest, bends = quasi_newton.correction(state.steps / part, state.changes * (part / size))
    return (
        QuadraticModel(theta=0.0, rows=rows, signs=signs),
        QuadraticModel(
            theta=0.0,
            rows=np.concatenate([rows, rest]),
            signs=np.concatenate([signs, bends]),
        ),
    )


def offset(state: State, region: Region, at: Criticality) -> float:
    """Return the relative offset of the iterate, whatever the variables are measured in.

    It is the length of the residuals' part that the Gauss-Newton step can take away, along what
    holds it, beside that of all residuals (Bates and Watts, Technometrics 23 (1981) 179); zero
    where that is rounding, infinite where a constraint is in the way that does not touch.
    """
    (r, rows), lengths = _weighted(state), sizes(state, region.scale)
    alike = rows * lengths
    held = _held(state, region, at, lengths, alike)
    if held is None:
        return math.inf
    along = Tall(product(alike, directions(*held)))
    parts = Orthogonal(along.upper.T, EPS * max(rows.shape))
    moved = norm(times(parts.basis[: parts.rank], along.reduced(r)))
    if not moved > 0.0 or state.f <= NOTHING**2 * state.unit:
        return 0.0
    found = moved / math.sqrt(2.0 * state.f)
    rounding = EPS * norm(times(np.abs(rows), np.abs(state.x)))
    sure = found <= SURE or state.f <= NOTHING * state.unit
    return 0.0 if sure and moved <= ROUNDING * rounding else found


def _held(
    state: State, region: Region, at: Criticality, lengths: Vector, alike: Vector
) -> tuple[Mask, Vector] | None:
    """Return which variables are free, and the gradients of the rows that hold steps.

    They are those that have a multiplier at the end of a steepest descent as long as a Gauss-Newton
    step, in the lengths in which the columns of J are alike.  None where one does not touch from
    which f would still fall on the way to it.
    """
    x, square = state.x, float(np.max(column_lengths(alike), initial=0.0)) ** 2 or 1.0
    c, _ = region.values(x)
    jac, eq = (dense(each) * lengths for each in region.linearised(x))
    lower, upper = (region.lower - x) / lengths, (region.upper - x) / lengths
    lower, upper = np.where(at.pinned, 0.0, lower), np.where(at.pinned, 0.0, upper)
    levels = np.maximum(-c, 0.0)
    if not (np.isfinite(jac).all() and np.isfinite(eq).all() and np.isfinite(levels).all()):
        return None
    toward = -lengths * state.g / square
    found = least_distance(jac, levels, eq, np.zeros(len(eq)), lower, upper, toward=toward)
    if not found.feasible:
        return None
    ends = np.where(found.box < 0.0, -lower, np.where(found.box > 0.0, upper, 0.0))
    near = square * (dot(found.inequalities, levels) + dot(np.abs(found.box), ends))
    if not near <= convergence.NEGLIGIBLE * convergence.scale(state):
        return None
    normals = np.concatenate([jac[found.inequalities > 0.0], eq])
    return region.free & ~at.pinned & (found.box == 0.0), _unit(normals)


def _unit(rows: Vector) -> Vector:
    """Return rows of length 1."""
    return rows / column_lengths(rows.T)[:, None]


def are_rounding(state: State) -> bool:
    """Return whether the residuals are what the last digits of x change them by, or little more."""
    r, rows = _weighted(state)
    return norm(r) <= LITTLE * EPS * norm(times(np.abs(rows), np.abs(state.x)))
