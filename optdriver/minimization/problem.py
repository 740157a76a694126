"""What is minimised: a loss on structured parameters, as a function of a scaled vector z.

The minimizers see a vector z, as `optdriver.space.coordinates` says: in units that are powers of
two near to the widths of the bounds, so that a box in millivolts, picoamperes and seconds is about
a cube, and logarithmic parameters by their logarithm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial, update_wrapper
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from optdriver.constraints import ConstraintSet
from optdriver.errors import InputError, InputTypeError, say
from optdriver.minimization.constraints import boxed, compiled
from optdriver.minimization.logarithms import traced_outer
from optdriver.minimization.starts import feasible_points, points
from optdriver.numerics import quiet
from optdriver.objectives.differences import Differences, Scheme
from optdriver.objectives.feasible_differences import FeasibleDifferences
from optdriver.objectives.jax_objective import JaxObjective, traced, untraced
from optdriver.objectives.own_gradient import OwnGradientObjective, Paired
from optdriver.objectives.plain import PlainObjective, attempt
from optdriver.space.coordinates import Coordinates
from optdriver.space.narrow import representable
from optdriver.space.pytree import Leaf, Structure
from optdriver.space.units import Unit
from optdriver.study.parameters import MINIMIZE

Vector = NDArray[np.float64]
Objective: TypeAlias = JaxObjective | PlainObjective | OwnGradientObjective

COARSE = 1e-10
"""A loss whose numbers are spaced more widely than this cannot meet the usual tolerances."""

TRIED = 8
"""At so many starts a loss that cannot be compiled is tried until one has a value."""

LOOKED_AT = 4
"""At so many starts gradients are looked at to see how large they are."""


@quiet
def _to_driver(coordinates: Coordinates, gradient: Vector, x: Vector) -> Vector:
    """Return derivatives by x as those by z; no error state of a loss has a say in it."""
    return coordinates.gradient_to_driver(gradient, x)


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """A loss, its box and its constraints, over z.

    Attributes
    ----------
    structure : Structure
        The parameters, with the box of x.
    objective : JaxObjective or PlainObjective
        The loss over x.
    coordinates : Coordinates
        The way from x to z and back.
    lower, upper : ndarray, shape (n,)
        The box of z.
    constraints : ConstraintSet or None
        Over z.
    differences : Scheme or None
        Where the loss gives no gradient, how it is made of values.
    sign : float
        By which the loss as it was given is multiplied here: -1 where its greatest value is wanted.
    units : bool
        Whether the loss and the result have parameters with units, where the bounds have them.
    """

    structure: Structure
    objective: Objective
    coordinates: Coordinates
    lower: Vector
    upper: Vector
    constraints: ConstraintSet | None
    differences: Scheme | None = None
    sign: float = 1.0
    units: bool = True

    @property
    def bounds(self) -> Vector:
        """The box of z, (n, 2)."""
        return np.column_stack([self.lower, self.upper])

    @property
    def value_unit(self) -> Unit | None:
        """The unit that values of the result have."""
        return self.objective.unit if self.units else None

    @property
    def has_rows(self) -> bool:
        """Whether there are constraints beside the box."""
        return self.constraints is not None and len(self.constraints) > 0

    @property
    def bounded(self) -> bool:
        """Whether any variable has a bound."""
        return bool(np.any(np.isfinite(self.lower) | np.isfinite(self.upper)))

    def starts(self, given: Vector, number: int, seed: int) -> Vector:
        """Return `number` starts in z; `given` ones, in x, first."""
        inner = self.coordinates.to_driver(given)
        if self.constraints is not None and self.has_rows:
            return feasible_points(inner, number, seed, self.constraints, self.structure)
        first = np.clip(inner, self.lower, self.upper)
        return points(first, number, seed, self.lower, self.upper, self.structure)

    def violation(self, z: Vector) -> float:
        """Return by how much z violates the box or a constraint, scaled; NaN counts as inf."""
        outside = float(np.max(np.maximum(self.lower - z, z - self.upper), initial=0.0))
        rows = 0.0 if self.constraints is None else self.constraints.violation(z)
        return max(outside, rows)

    def without_feasible_differences(self) -> Problem:
        """Return the same problem with differences that keep to the box only."""
        made = self.differences
        if not isinstance(made, FeasibleDifferences):
            return self
        plain = Differences(scheme=made.scheme, lower=self.lower, upper=self.upper)
        return replace(self, differences=plain)

    # -- evaluating ---------------------------------------------------------------------------

    def to_user(self, z: Vector) -> Vector:
        """Return x for z, (n,) or (k, n)."""
        return self.coordinates.to_user(z)

    def value(self, z: Vector) -> float:
        """Return the loss."""
        return self.objective.value(self.to_user(z))

    def value_alone(self, z: Vector) -> tuple[float, None]:
        """Return the loss, and None for a gradient that nobody needs."""
        return self.value(z), None

    def many(self, points: Vector, width: int) -> tuple[Vector, Vector]:
        """Return losses and gradients at the points, (k, n), of a loss that JAX has compiled.

        The compiled function takes `width` points, of which the last ones are not used.
        """
        k = len(points)
        padded = np.concatenate([points, np.repeat(points[:1], width - k, axis=0)])
        x = self.to_user(padded)
        f, g = self.smooth.many(x)
        slopes = _to_driver(self.coordinates, g[:k], x[:k])
        return np.ascontiguousarray(f[:k]), np.ascontiguousarray(slopes)

    def value_and_grad(self, z: Vector) -> tuple[float, Vector]:
        """Return the loss and its gradient by z; differences where the loss gives none."""
        if isinstance(self.objective, JaxObjective | OwnGradientObjective):
            x = self.to_user(z)
            f, g = self.objective.value_and_grad(x)
            return f, _to_driver(self.coordinates, g, x)
        f = self.value(z)
        scheme = self.differences
        if scheme is None or not np.isfinite(f):
            return f, np.full(z.size, np.nan)
        values = [self.value(at) for at in scheme.points(z, f)]
        return f, scheme.gradient(z, f, values)

    def hessian(self, z: Vector) -> Vector:
        """Return the second derivatives by z, (n, n), of a loss that JAX differentiates."""
        x = self.to_user(z)
        slope = self.coordinates.slope(x)
        made = np.asarray(self.smooth.hessian(x) * np.outer(slope, slope))
        return made + np.diag(self._bending(x)) if self.coordinates.logarithmic else made

    def hessian_product(self, z: Vector, v: Vector) -> Vector:
        """Return the second derivatives by z times a vector."""
        x = self.to_user(z)
        slope = self.coordinates.slope(x)
        made = self.smooth.hessian_product(x, v * slope) * slope
        return made + self._bending(x) * v if self.coordinates.logarithmic else made

    def _bending(self, x: Vector) -> Vector:
        """Return the gradient times the second derivatives of x by z, which are diagonal."""
        gradient = self.smooth.value_and_grad(x)[1]
        slope = self.coordinates.slope(x)
        return np.where(self.coordinates.log, gradient * slope * self.coordinates.scale, 0.0)

    @cached_property
    def traceable(self) -> Callable[[Any], Any]:
        """The loss over a traced z, for JAX to compile; always the same function."""
        smooth, coordinates = self.smooth, self.coordinates

        def loss(z: Any) -> Any:
            t = z * np.asarray(coordinates.scale, dtype=z.dtype)
            return smooth.scalar(traced_outer(coordinates, t))

        return loss

    @property
    def smooth(self) -> JaxObjective:
        """The objective, if JAX differentiates it."""
        if not isinstance(self.objective, JaxObjective):
            raise InputError("second derivatives need a loss that JAX can differentiate")
        return self.objective


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What a user gave to make a problem of, as it was given."""

    loss: Callable[..., Any]
    constraints: Any = None
    units: bool = True
    x64: bool | None = None
    jac: Any = None
    scale: bool = True
    seed: int = 0
    direction: str = MINIMIZE

    @property
    def sign(self) -> float:
        """By which the loss is multiplied where it is minimised."""
        return 1.0 if self.direction == MINIMIZE else -1.0

    def minimised(self) -> Given:
        """Return the same with a loss of which the least value is wanted."""
        return self if self.sign > 0.0 else replace(self, loss=Negated(self.loss))


class Negated:
    """A loss times -1: what is minimised where the greatest value is wanted."""

    def __init__(self, loss: Callable[..., Any]) -> None:
        self._loss = loss
        update_wrapper(self, loss)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return minus the value; what is no number is refused where numbers are expected."""
        value = self._loss(*args, **kwargs)
        if value is None or isinstance(value, bool | str | tuple | list | Mapping):
            return value
        return -value


def own_gradient(given: Given) -> Callable[..., Any] | None:
    """Return a function that returns value and gradient, None where the user has given none.

    Raises
    ------
    InputError
        The gradient does not take the parameters.
    """
    if given.jac is True:
        return given.loss
    return Paired(given.loss, given.jac) if callable(given.jac) else None


def prepare(given: Given, structure: Structure, first: Vector) -> Problem:
    """Return the problem, with the loss compiled if it can be.

    Parameters
    ----------
    given : Given
    structure : Structure
    first : ndarray, shape (k, n)
        Starts of the user, where a loss that cannot be compiled is tried first.
    """
    own = own_gradient(given)
    if own is not None:
        made = OwnGradientObjective(own, structure, given.units, given.sign)
        return _problem(replace(given, loss=own, jac=None), structure, made)
    given = given.minimised()
    if given.jac in ("2-point", "3-point"):
        plain = PlainObjective(given.loss, structure, given.units)
        return _problem(given, structure, plain)
    if given.jac is not None:
        raise InputTypeError(
            "jac is None (JAX if it can, or else '3-point'), '2-point', '3-point', True (the loss "
            f"returns (value, gradient)) or a function that returns the gradient, not {given.jac!r}"
        )
    objective, reason = traced(given.loss, structure, units=given.units, x64=given.x64)
    if objective is not None:
        return _problem(given, structure, objective)
    plain = PlainObjective(given.loss, structure, given.units)
    problem = _problem(given, structure, plain)
    tried = problem.starts(first, len(first) or TRIED, given.seed)
    chosen = untraced(
        given.loss,
        structure,
        problem.to_user(tried),
        reason,
        units=given.units,
        x64=given.x64,
    )
    return problem if not chosen.gives_gradient else _problem(given, structure, chosen)


def _problem(given: Given, structure: Structure, objective: Objective) -> Problem:
    lower, upper = representable(structure, lambda leaf: _dtype(leaf, objective))
    if structure.log.any():  # whose bounds are met exactly, where they are known as bounds
        lower, upper = boxed(given.constraints, lower, upper)
    inside = structure.with_sides(lower, upper)
    coordinates = Coordinates.of(lower, upper, structure.log, scaled=given.scale)
    rows = compiled(given.constraints, inside, given.loss, given.units, coordinates)
    low, high = coordinates.bounds if rows is None else (rows.lower, rows.upper)
    scheme: Scheme | None = None
    if not objective.gives_gradient:
        kind = given.jac or "3-point"
        scheme = Differences(scheme=kind, lower=low, upper=high)
        if rows is not None and len(rows):
            scheme = FeasibleDifferences(scheme=kind, constraints=rows)
    return Problem(
        structure=inside,
        objective=objective,
        coordinates=coordinates,
        lower=low,
        upper=high,
        constraints=rows,
        differences=scheme,
        sign=given.sign,
        units=given.units,
    )


# -- narrow numbers -----------------------------------------------------------------------------


def _dtype(leaf: Leaf, objective: Objective) -> Any:
    if isinstance(objective, JaxObjective):
        return objective.dtype(leaf)
    return np.dtype(np.float64) if leaf.dtype is None else leaf.dtype


def tolerances(
    objective: Objective,
    tol: Any,
    options: Mapping[str, Any],
    usual: Mapping[str, float | None],
    rounded: float = 0.0,
) -> dict[str, float]:
    """Return the tolerances in force: what was asked for, as far as the loss can resolve it.

    Parameters
    ----------
    objective : Objective
    rounded : float
        The relative spacing of the points, where they are rounded to the types of the bounds.
    tol : float or None
        For all of them.
    options : mapping
        Which may have their own.
    usual : mapping of str to float or None
        Their names and defaults; None leaves it to the method.

    Warns
    -----
    ObjectiveWarning
        The loss computes in too few digits, and they were raised.
    """
    if tol is not None and (
        isinstance(tol, bool) or not isinstance(tol, int | float | np.number) or not tol >= 0
    ):
        raise InputError(f"tol is a tolerance, a number that is 0 or more, not {tol!r}")
    wanted = {k: options.get(k, default if tol is None else tol) for k, default in usual.items()}
    eps = max(objective.resolution, rounded)
    if eps <= COARSE:
        return {name: value for name, value in wanted.items() if value is not None}
    least = {name: _least(name, eps) for name in wanted}
    raised = {name: max(value or 0.0, least[name]) for name, value in wanted.items()}
    if raised != wanted:
        shown = ", ".join(f"{name}={value:.2g}" for name, value in raised.items())
        say(
            f"the loss computes with a relative spacing of {eps:.1g}, too coarse for the "
            f"tolerances, which are raised to {shown}; {_finer(objective)}, or ask for these with "
            "tol="
        )
    return raised


def _finer(objective: Objective) -> str:
    """Say what makes a loss compute in 64 bits."""
    if isinstance(objective, JaxObjective) and not objective.wide:
        return "give x64=True, or set jax.config.update('jax_enable_x64', True)"
    return "give the bounds as arrays of 64 bits"


def _least(name: str, eps: float) -> float:
    """Return the least tolerance that makes sense: of values, gradients or points."""
    if name in ("ftol", "fatol"):
        return 10.0 * eps
    return 100.0 * eps if name in ("gtol", "barrier_tol") else float(np.sqrt(eps))


def resolved(problem: Problem, starts: Vector, gtol: float) -> float:
    """Return a tolerance of gradients that the loss can resolve where these are large.

    Parameters
    ----------
    problem : Problem
    starts : ndarray, shape (k, n)
        The gradients at the first few of them say how large they are.
    gtol : float
        The tolerance wanted.
    """
    eps = problem.objective.resolution
    if eps <= COARSE:
        return gtol
    found = [attempt(partial(problem.value_and_grad, z))[0] for z in starts[:LOOKED_AT]]
    sizes = [float(np.max(np.abs(made[1]))) for made in found if made is not None]
    finite = [size for size in sizes if np.isfinite(size)]
    return max(gtol, 10.0 * eps * min(float(np.median(finite or [0.0])), 1000.0))
