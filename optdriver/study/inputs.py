"""What users hand in, of which `Study` takes nothing unchecked: results, points, both together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError, InputTypeError
from optdriver.reading import real_number
from optdriver.space import Space
from optdriver.study import observation
from optdriver.study.desk import describe_failure
from optdriver.study.observation import Observation, Where

FloatArray = NDArray[np.float64]
Added = tuple[FloatArray, float, FloatArray | None]


def value_and_gradient(value: Any, gradient: Any) -> tuple[float | None, Any]:
    """Return the value as a number, None for a failure, and the gradient as it was given."""
    if isinstance(value, Observation):
        value, gradient = observation.result_of(value, gradient)
    return None if value is None else real_number("the value", value), gradient


def as_gradient(value: float | None, gradient: Any, where: Where, jac: bool) -> FloatArray | None:
    """Return the gradient as an array, None where differences are taken.

    Raises
    ------
    InputError
        It was promised (`jac`), the evaluation did not fail, and it is missing.
    """
    if gradient is None:
        if jac and value is not None and math.isfinite(value):
            raise observation.missing_derivative(where.space.free[0])
        return None
    array = observation.as_gradient(gradient, *where)
    return array if jac else None


def added(point: Any, value: Any, gradient: Any, space: Space) -> Added:
    """Return the place, value and gradient of a point to be added."""
    number, gradient = value_and_gradient(value, gradient)
    if number is None:
        raise InputError("an added point needs a value; a failed evaluation adds nothing")
    x = space.vector(point)
    at = None if space.structure is None else x
    array = None if gradient is None else observation.as_gradient(gradient, space, at)
    reason = describe_failure(number, array, space.free)
    if reason is not None:
        raise InputError(f"a point cannot be added: {reason}")
    return x, number, array


def many_added(observations: Sequence[Any], points: Sequence[Any], space: Space) -> list[Added]:
    """Return the places, values and gradients of many points to be added."""
    if len(observations) != len(points):
        raise InputError(f"{len(observations)} observations for {len(points)} points")
    return [added(p, o, None, space) for p, o in zip(points, observations, strict=True)]


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
