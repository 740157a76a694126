"""What users hand in, of which `Study` takes nothing unchecked: results, points, both together.

Whole rounds, as columns, are read by `optdriver.study.round_inputs`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError, InputTypeError
from optdriver.leastsquares import losses
from optdriver.leastsquares.minimizer import read_jacobian, read_residuals
from optdriver.multistart.admission import SLACK
from optdriver.reading import real_array, real_number
from optdriver.space.space import Space
from optdriver.study import deviations, observation, outputs, rounds
from optdriver.study.ledger import TOLD
from optdriver.study.observation import Observation, Where
from optdriver.study.spec import Spec
from optdriver.study.state import State

if TYPE_CHECKING:
    from optdriver.constraints.outputs import OutputLimits

FloatArray = NDArray[np.float64]
Added = tuple[
    FloatArray, float, FloatArray | None, FloatArray | None, FloatArray | None, FloatArray | None
]
"""Place, value, gradient, outputs with their derivatives, and uncertainty, where nothing was asked.
"""


def value_and_gradient(value: Any, gradient: Any) -> tuple[float | None, Any]:
    """Return the value as a number, None for a failure, and the gradient as it was given."""
    if isinstance(value, Observation):
        value, gradient = observation.result_of(value, gradient)
    return None if value is None else real_number("the value", value), gradient


def one_of(
    value: Any, gradient: Any, residuals: Any, jacobian: Any, *, fits: bool
) -> tuple[Any, Any]:
    """Return what was told, residuals and their Jacobian in place of value and gradient.

    Raises
    ------
    InputError
        Both were given, or residuals to a study that does not fit.
    """
    if residuals is None and jacobian is None:
        return value, gradient
    if not fits:
        raise InputError(
            "residuals are told to a study with driver='least-squares'; this one is told a value"
        )
    if (residuals is not None and value is not None) or (
        jacobian is not None and gradient is not None
    ):
        raise InputError("give residuals= and jacobian=, and no value and gradient beside them")
    return (
        value if residuals is None else residuals,
        gradient if jacobian is None else jacobian,
    )


def told_pair(residuals: Any, jacobian: Any) -> tuple[Any, Any]:
    """Return residuals, None for a failure, and their Jacobian or None, of what was told."""
    if not isinstance(residuals, Observation):
        return residuals, jacobian
    if jacobian is not None:
        raise InputError("an Observation has a Jacobian of its own: give none beside it")
    return residuals.fit()


@dataclass(kw_only=True, slots=True)  # not frozen: that takes a tenth of the time of a tell
class Told:
    """A result as it is recorded.

    Attributes
    ----------
    value : float or None
        None where there is none.
    gradient, residuals, jacobian : ndarray or None, shapes (n,), (m,) and (m * n,)
    outputs, slopes : ndarray or None, shapes (k,) and (k * n,)
    uncertainty : ndarray or None, shape (1,), or (m,) of residuals
    reason : str or None
        What cannot be used about it.
    """

    value: float | None
    gradient: FloatArray | None
    residuals: FloatArray | None = None
    jacobian: FloatArray | None = None
    outputs: FloatArray | None = None
    slopes: FloatArray | None = None
    uncertainty: FloatArray | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """What is to be known to read residuals.

    Attributes
    ----------
    parameters : mapping
        The driver parameters.
    before : int
        How many there were at each point; 0 before the first.
    sigma : ndarray or None
        Their standard deviations, if they were told.
    """

    parameters: Mapping[str, Any]
    before: int
    sigma: FloatArray | None


def own_uncertainty(value: Any, given: Any) -> Any:
    """Return the uncertainty that was told, that of an observation if it is one."""
    if isinstance(value, Observation):
        deviations.refuse_beside(given)
        return value.uncertainty
    return given


def plain_told(value: Any, gradient: Any, where: Where, jac: bool, uncertainty: Any = None) -> Told:
    """Return a value and a gradient as they are recorded, this only with `jac`.

    Raises
    ------
    InputError
        The gradient was promised (`jac`), the evaluation did not fail, and it is missing.
    """
    spread, number = uncertainty, value
    if type(value) is not float:  # as most are
        spread = own_uncertainty(value, uncertainty)
        number, gradient = value_and_gradient(value, gradient)
    array = None
    if gradient is not None:
        array = observation.as_gradient(gradient, *where)
    elif jac and number is not None and math.isfinite(number):
        raise observation.missing_derivative(where.space.free[0])
    if not jac:
        array = None
    reason = describe_failure(number, array, where.space.free)
    known = spread is not None and number is not None and math.isfinite(number)
    made = deviations.of_value(spread) if known else None
    return Told(value=number, gradient=array, uncertainty=made, reason=reason)


def describe_failure(
    value: float | None, gradient: FloatArray | None, names: tuple[str, ...]
) -> str | None:
    """Return what is not finite about a result, None if it can be used."""
    if value is None:
        return "the evaluation reported no value"
    if not math.isfinite(value):
        return rounds.why_unusable(value, gradient, names)
    if gradient is None or (gradient.size < 50 and math.isfinite(sum(gradient.tolist()))):
        return None  # where gradients are short, the sum is the quickest way to see it
    finite = np.isfinite(gradient)
    if finite.all():
        return None
    return rounds.why_unusable(value, gradient, names)


def output_told(
    value: Any,
    gradient: Any,
    given: Any,
    where: Where,
    limits: OutputLimits,
    x: FloatArray,
    *,
    jac: bool,
    uncertainty: Any = None,
) -> Told:
    """Return a value and what was put out beside it, at the parameters x, as they are recorded."""
    if isinstance(value, Observation):
        if given is not None:
            raise InputError("an Observation has outputs of its own: give none beside it")
        given = value.outputs
    made = plain_told(value, gradient, where, jac, uncertainty)
    if made.value is None or not math.isfinite(made.value):
        return made
    put = outputs.read(given, limits, where, jac=jac)
    reason = made.reason or outputs.why_unusable(put, limits, x, where.space.free)
    slopes = None if put.slopes is None else put.slopes.ravel()
    return replace(made, outputs=put.values, slopes=slopes, reason=reason)


def fit_told(
    residuals: Any, jacobian: Any, where: Where, fit: Fit, uncertainty: Any = None
) -> Told:
    """Return residuals and their Jacobian as they are recorded."""
    spread, parameters = own_uncertainty(residuals, uncertainty), fit.parameters
    residuals, jacobian = told_pair(residuals, jacobian)
    if residuals is None:
        return Told(value=None, gradient=None, reason="the evaluation reported no residuals")
    r = read_residuals(residuals, fit.before)
    sigma = deviations.of_residuals(spread, r.size, fit.sigma, first=fit.before == 0)
    loss = parameters["loss"], parameters["f_scale"]
    value = losses.value(deviations.weighted(r, None, sigma)[0], *loss)
    if not np.isfinite(r).all():
        bad = int(np.argmin(np.isfinite(r)))
        return Told(value=None, gradient=None, reason=f"residual {bad} is {r[bad]}")
    if not math.isfinite(value):
        return Told(value=None, gradient=None, reason="the sum of squares overflows")
    if not parameters["jac"]:
        return Told(value=value, gradient=None, residuals=r, uncertainty=sigma)
    if jacobian is None:
        raise InputError(
            "the Jacobian is missing: jac=True says that the objective supplies it; add it, or set "
            "jac=False for finite differences"
        )
    made = read_jacobian(_columns(jacobian, where.space), r.size, where.space.size)
    weighted, slopes = deviations.weighted(r, made, sigma)
    gradient = losses.gradient(weighted, made if slopes is None else slopes, *loss)
    if not np.isfinite(made).all():
        row, column = np.argwhere(~np.isfinite(made))[0].tolist()
        name = where.space.free[column]
        gradient = np.full(where.space.size, math.nan)
        reason = f"the derivative of residual {row} by {name!r} is {made[row, column]}"
        return Told(value=value, gradient=gradient, reason=reason)
    return Told(
        value=value,
        gradient=gradient,
        residuals=r,
        jacobian=made.ravel(),
        uncertainty=sigma,
        reason=describe_failure(value, gradient, where.space.free),
    )


def _columns(given: Any, space: Space) -> Any:
    """Return a Jacobian whose columns are given by name as an array."""
    if not isinstance(given, Mapping):
        return given
    observation.check_names(given, space)
    columns = [real_array(f"the column {name!r}", given[name]).ravel() for name in space.free]
    if len({column.size for column in columns}) > 1:
        raise InputError(
            "the columns of the Jacobian have different lengths, "
            f"{', '.join(str(column.size) for column in columns[:8])}: each is the derivative of "
            "all residuals by its parameter"
        )
    return np.stack(columns, axis=1)


def added(
    point: Any,
    value: Any,
    gradient: Any,
    space: Space,
    fit: Fit | None = None,
    put: Any = None,
    limits: OutputLimits | None = None,
    uncertainty: Any = None,
) -> Added:
    """Return the place, value and gradient of a point to be added.

    `put` are outputs, where there are `limits`.
    """
    if fit is not None:
        slopes = value.jacobian if isinstance(value, Observation) else gradient
        parameters = {**fit.parameters, "jac": slopes is not None}
        known = replace(fit, parameters=parameters)
        made = fit_told(value, gradient, Where(space), known, uncertainty)
        if made.value is None or made.reason is not None:
            raise InputError(f"a point cannot be added: {made.reason}")
        return space.vector(point), made.value, made.gradient, None, None, made.uncertainty
    uncertainty = own_uncertainty(value, uncertainty)
    if isinstance(value, Observation) and (limits is not None or value.outputs):
        put = value.outputs
    number, gradient = value_and_gradient(value, gradient)
    if number is None:
        raise InputError("an added point needs a value; a failed evaluation adds nothing")
    x = space.vector(point)
    at = None if space.structure is None else x
    array = None if gradient is None else observation.as_gradient(gradient, space, at)
    reason = describe_failure(number, array, space.free)
    if reason is not None:
        raise InputError(f"a point cannot be added: {reason}")
    spread = deviations.of_value(uncertainty)
    if limits is None:
        if put is not None:
            raise outputs.no_outputs()
        return x, number, array, None, None, spread
    sloped = array is not None and outputs.have_slopes(put)
    told = outputs.read(put, limits, Where(space, at), jac=sloped)
    reason = outputs.why_unusable(told, limits, x, space.free)
    if reason is not None:
        raise InputError(f"a point cannot be added: {reason}")
    slopes = None if told.slopes is None else told.slopes.ravel()
    return x, number, array, told.values, slopes, spread


def many_added(
    observations: Sequence[Any],
    points: Sequence[Any],
    space: Space,
    fit: Fit | None = None,
    limits: OutputLimits | None = None,
) -> list[Added]:
    """Return the places, values and gradients of many points to be added."""
    if len(observations) != len(points):
        raise InputError(f"{len(observations)} observations for {len(points)} points")
    return [
        added(p, o, None, space, fit, None, limits)
        for p, o in zip(points, observations, strict=True)
    ]


def taken_over(ledger: Mapping[str, Any], other: Spec, state: State) -> list[Added]:
    """Return the evaluations in the ledger of another study that a study can use.

    Raises
    ------
    InputError
        The studies have other parameters.
    """
    space, compiled, theirs = state.spec.space, state.spec.compiled, other.space
    same = theirs.fixed.keys() == space.fixed.keys() and all(
        np.array_equal(theirs.fixed[name], value) for name, value in space.fixed.items()
    )
    if sorted(theirs.free) != sorted(space.free) or not same:
        raise InputError(
            f"the other study has other parameters: {', '.join(theirs.names)}, fixed "
            f"{theirs.fixed}; here are {', '.join(space.names)}, fixed {space.fixed}"
        )
    known = state.spec.limits
    names = () if known is None else known.names
    put_out = () if other.limits is None else other.limits.names
    if known is not None and not set(names) <= set(put_out):
        raise InputError(
            f"the other study has other outputs: {', '.join(put_out) or 'none'}; here are "
            f"{', '.join(names)}"
        )
    columns = [put_out.index(name) for name in names]
    order = [theirs.free.index(name) for name in space.free]
    x = ledger["x"][:, order]
    gradients = None if ledger["gradient"] is None else ledger["gradient"][:, order]
    spreads = ledger.get("uncertainty")
    inside = ((space.lower <= x) & (x <= space.upper)).all(axis=1)
    found: list[Added] = []
    inside[: max(ledger.get("renewals", (0,)))] = False
    for row in np.flatnonzero((ledger["state"] == TOLD) & inside):
        point = space.rounded(x[row].copy())
        if state.ledger.find(point) is not None or not np.array_equal(point, x[row]):
            continue
        if compiled is None or compiled.is_feasible(point, SLACK):
            gradient = None if gradients is None else gradients[row].copy()
            usable = gradient is not None and np.isfinite(gradient).all()
            put = None if known is None else ledger["outputs"][row, columns]
            value = float(ledger["value"][row])
            spread = None if spreads is None or math.isnan(spreads[row]) else spreads[[row]]
            found.append((point, value, gradient if usable else None, put, None, spread))
    return found


def place_of(
    given: Any,
    suggestion_id: int | None,
    sample: Mapping[str, Any] | None,
    design_value: Sequence[Any] | None,
) -> Any:
    """Return the point at which an observation was made, None if only its id says so."""
    if not isinstance(given, Observation):
        raise InputTypeError(
            f"add_observation takes an Observation (study.new_observation()), not {given!r}"
        )
    listed = design_value if design_value is not None and len(design_value) else None
    if sample and listed is not None:
        raise InputError("give sample= or design_value=, not both")
    point = sample or listed
    if suggestion_id is None and point is None:
        raise InputError("add_observation needs suggestion_id=, sample= or design_value=")
    return point
