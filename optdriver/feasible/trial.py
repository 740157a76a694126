"""The next point to ask: the model's minimiser in the trust region, on the exact feasible set.

The interior-point solution is polished onto feasibility by `restore`.  A trial must be feasible,
decrease the model and lie in the region; when the solver is in trouble simpler problems are tried
in turn: another first barrier, a multiple of D^-2 for B, a linearised step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from optdriver.constraints import ConstraintSet
from optdriver.constraints.restoration import restore
from optdriver.feasible import interior
from optdriver.feasible.barrier import Subproblem
from optdriver.feasible.criticality import measured, tangential_change
from optdriver.feasible.models import QuadraticModel
from optdriver.feasible.region import Region
from optdriver.feasible.trust import DROWNED
from optdriver.feasible.types import Vector
from optdriver.geometry import posing
from optdriver.geometry.least_distance import least_distance
from optdriver.geometry.matrices import finite, row_norms, scaled, times
from optdriver.geometry.posing import FLAT, ROUNDING, SMALLEST_ROW
from optdriver.geometry.products import largest_size, norm, span
from optdriver.geometry.sparse_hessian import SparseHessian
from optdriver.numerics import is_numeric

GOOD = 1e-6  # error of the subproblem below which its solution is taken without a second try
SLACK_OF_REGION = 1e-3  # how far, relatively, the polish may leave the trust region
NARROW = 1e-15  # rows moved by 1e-12, times their multipliers, cost more than the last steps gain
BARRIERS = (1e-4, 0.1)  # a small one keeps the solver on the iterate's side of obstacles


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A point to ask and the change of the model that is predicted there (negative)."""

    point: Vector
    predicted: float


class Local:
    """The iterate with what the subproblem is made of, in u = x / D over the free variables.

    Attributes
    ----------
    gradient : ndarray, shape (n,)
        D g.
    unit : float
        Of f.
    free : ndarray of int
        Indices of the variables that can move.
    whole : bool
        Whether all can.
    chords : bool
        See `optdriver.geometry.crossover.cross_over`.
    reach, step : ndarray
        Delta D, and that of the variables that can move.
    most : ndarray or None
        The sides of the trust region in t, 1 by default.
    box : (lower, upper)
        The box of t: bounds and trust region.
    weights : (ndarray, ndarray)
        Those by which the rows c and e are of unit length in t, once they are known.
    """

    weights: tuple[Vector, Vector]

    def __init__(
        self,
        *,
        region: Region,
        x: Vector,
        gradient: Vector,
        delta: float,
        tolerance: float,
        unit: float = 1.0,
        chords: bool = False,
        wider: Vector | None = None,
    ) -> None:
        self.region, self.x, self.gradient = region, x, gradient
        self.delta, self.tolerance, self.unit = delta, tolerance, unit
        self.chords, self.wider = chords, wider
        self.free = region.moving
        self.whole = len(self.free) == len(x)
        self.most = None if wider is None else self.among(wider)
        self.way = posing.sides(x, delta, region.scale, region.box, self.free, self.most)
        self.reach, self.step, *sides = self.way
        self.box: tuple[Vector, Vector] = sides[0], sides[1]

    @property
    def widths(self) -> Vector:
        """The sides of a trust region with delta = 1, shape (n,)."""
        return self.region.scale if self.wider is None else self.region.scale * self.wider

    def among(self, values: Vector) -> Vector:
        """Return those of the variables that can move."""
        return values if self.whole else values[self.free]

    def point(self, t: Vector) -> Vector:
        """Return x + Delta D t."""
        box = self.region.box
        return np.asarray(posing.point(self.x, t, self.step, self.box, self.most, box, self.free))

    def values(self, t: Vector) -> tuple[Vector, Vector]:
        """Return the rows c and e at t, weighted."""
        (c, e), (w, v) = self.region.values(self.point(t)), self.weights
        return c * w, e * v

    def jacobians(self, t: Vector) -> tuple[Any, Any]:
        """Return the gradients of the same by t."""
        c, e = self.region.linearised(self.point(t))
        w, v = self.weights
        return scaled(c[:, self.free], w, self.step), scaled(e[:, self.free], v, self.step)

    def hessian(self, t: Vector, lam: Vector, nu: Vector) -> Vector | SparseHessian:
        """Return the Hessian of multipliers times the same by t."""
        (w, v), free, step = self.weights, self.free, self.step
        full = self.region.curvature(self.point(t), lam * w, nu * v)
        if isinstance(full, SparseHessian):
            return full.among(free).scaled(step)
        return np.asarray(full[np.ix_(free, free)] * np.outer(step, step))

    @property
    def formulas(self) -> tuple[Any, ...] | None:
        """The rows for the compiled pages; None if they are functions."""
        region, constraints = self.region, self.region.constraints
        if not isinstance(constraints, ConstraintSet) or constraints.system is None:
            return None
        return constraints.system, region.unit, region.places, region.row_scale

    def change(self, model: QuadraticModel, z: Vector) -> tuple[float, float]:
        """Return m(z) - m(x), and |g|'|x|, by which it is seen whether it is rounding."""
        made: tuple[float, float] = posing.change(
            self.gradient, model, self.x, z, self.region.scale
        )
        return made

    def tangential_change(self, model: QuadraticModel, z: Vector) -> float:
        """Return the same, freed of the rounding of x and z."""
        scale = self.region.scale
        slope = (self.gradient + 0.5 * (model @ ((z - self.x) / scale))) / scale
        at = measured(self.region, self.x, self.gradient / scale, self.unit)
        return tangential_change(self.region, self.x, z, slope, at)


def propose(
    region: Region,
    x: Vector,
    g: Vector,
    model: QuadraticModel,
    delta: float,
    tolerance: float = 0.0,
    *,
    unit: float = 1.0,
    brief: bool = False,
    chords: bool = False,
    wider: Vector | None = None,
) -> Trial | None:
    """Return the next trial, or None when no try gives one that may be asked.

    Parameters
    ----------
    region : Region
    x, g : ndarray, shape (n,)
        Iterate (feasible) and gradient there.
    model : QuadraticModel
        In the scaled variables.
    delta : float
        Trust region: ``max |z - x| / D <= delta``.
    tolerance : float
        Scaled violation that is accepted: 0 unless the set has no interior.
    unit : float
        That of f.
    brief : bool
        Leave out the second barrier and the simpler model, which did not help in a larger region.
    chords : bool
        See `Local`.
    wider : ndarray, shape (n,), optional
        How many times as wide the trust region is in each variable: ``delta * wider`` in u.
    """
    local = Local(
        region=region,
        x=x,
        gradient=region.scale * g,
        delta=delta,
        tolerance=tolerance,
        unit=unit,
        chords=chords,
        wider=wider,
    )
    best, error = _tried(local, model, (model, BARRIERS[0]))
    if best is not None and error <= GOOD:
        return best
    for attempt in _further(model, local, brief):
        trial, error = _tried(local, model, attempt)
        if trial is not None and (best is None or trial.predicted < best.predicted):
            best = trial
        if best is not None and error <= GOOD:
            return best
    return best


def _tried(
    local: Local, model: QuadraticModel, attempt: tuple[QuadraticModel, float] | None
) -> tuple[Trial | None, float]:
    """Return what comes of one try, without `attempt` of the linearised step; and its error.

    A try whose numbers overflow, or whose matrix is singular, gives nothing.
    """
    try:
        z, error = (_linear(local), np.inf) if attempt is None else _solve(local, *attempt)
        return None if z is None else _checked(local, model, z), error
    except Exception as error:
        if not is_numeric(error):
            raise
        return None, np.inf


def _further(
    model: QuadraticModel, local: Local, brief: bool
) -> Iterator[tuple[QuadraticModel, float] | None]:
    """Yield what is tried where the first attempt does not do."""
    n = len(local.x)
    theta = max(model.theta, norm(local.gradient) / local.delta)
    plain = QuadraticModel(theta=theta, rows=np.zeros((0, n)), signs=np.zeros(0))
    if not brief:
        yield model, BARRIERS[1]
        yield plain, BARRIERS[0]
    yield None


def _checked(local: Local, model: QuadraticModel, z: Vector) -> Trial | None:
    """Polish `z`; return it as a trial if it is feasible, better and inside the region."""
    polished = restore(local.region, z, tolerance=local.tolerance, margin=NARROW)
    if polished is None:
        return None
    sigma = span(polished, local.x, local.widths)
    if sigma == 0.0 or sigma > (1.0 + SLACK_OF_REGION) * local.delta:
        return None
    predicted, size = local.change(model, polished)
    if abs(predicted) <= DROWNED * size:
        predicted = local.tangential_change(model, polished)
    return Trial(point=polished, predicted=predicted) if predicted < 0.0 else None


def _solve(local: Local, model: QuadraticModel, barrier: float) -> tuple[Vector | None, float]:
    """Return the solution of the subproblem in x, and its error."""
    region = local.region
    if not region.large:
        kept = model if local.whole else model.among(local.free)
        made: tuple[Vector | None, float] = posing.solved(
            local,
            region.linearised(local.x),
            local.x,
            local.delta,
            local.delta**2,
            local.way,
            region.box,
            local.free,
            local.most,
            (local.among(local.gradient), kept),
            barrier,
            local.chords,
        )
        return made
    problem = subproblem(local, model)
    if problem is None:
        return None, np.inf
    solution = interior.solve(problem, barrier)
    return local.point(solution.t), solution.error


def subproblem(local: Local, model: QuadraticModel) -> Subproblem | None:
    """Build the sparse subproblem in t; None when the constraints have no derivatives at x."""
    rows = _large_rows(local)
    if rows is None:
        return None
    w, v, rounding = rows
    local.weights = w, v
    gradient, curvature = _scaled_model(model, local)
    return Subproblem(
        gradient=gradient,
        curvature=curvature,
        lower=local.box[0],
        upper=local.box[1],
        values=local.values,
        jacobians=local.jacobians,
        hessian=local.hessian,
        counts=(len(w), len(v)),
        rounding=rounding,
    )


def _large_rows(local: Local) -> tuple[Vector, Vector, float] | None:
    """Return the weights of sparse rows c and e, and what rounding of x does to them in all."""
    free, step = local.free, local.step
    rows = [scaled(rows[:, free], columns=step) for rows in local.region.linearised(local.x)]
    w, v = (_weights(each, local.delta) for each in rows)
    if not finite(w, v):
        return None
    size = np.abs(local.x[free]) / step
    first, second = (
        float(ROUNDING * np.sum(weights * times(abs(each), size)))
        for each, weights in zip(rows, (w, v), strict=True)
    )
    return w, v, first + second


def _scaled_model(model: QuadraticModel, local: Local) -> tuple[Vector, QuadraticModel]:
    """Return phi Delta D g, and phi Delta^2 B, over the free variables; phi makes them about 1."""
    size, kept = local.delta**2, model if local.whole else model.among(local.free)
    gradient = local.delta * local.among(local.gradient)
    phi = 1.0 / max(_peak(gradient), FLAT * size * kept.peak(), 1e-300)
    return phi * gradient, kept.scaled(phi * size)


def _peak(values: Vector) -> float:
    return float(largest_size(values))


def _weights(rows: Any, delta: float) -> Vector:
    return np.asarray(1.0 / np.maximum(row_norms(rows), SMALLEST_ROW * delta))


def _linear(local: Local) -> Vector | None:
    """Return the end of the projected steepest-descent step on the linearised constraints."""
    region, free = local.region, local.free
    step = local.delta * region.scale[free]
    c, e = region.values(local.x)
    jac, eq = region.linearised(local.x)
    if not finite(jac, eq):
        return None
    lower, upper = local.box
    gradient = local.gradient[free]
    wish = -gradient / max(float(np.max(np.abs(gradient), initial=0.0)), 1e-300)
    answer = least_distance(
        scaled(jac[:, free], columns=step),
        -c,
        scaled(eq[:, free], columns=step),
        -e,
        0.5 * lower,
        0.5 * upper,
        toward=wish,
    )
    return local.point(answer.d) if answer.feasible else None
