"""What an evaluation gave: a value, and derivatives if there are any."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError, InputTypeError
from optdriver.space import Space

FloatArray = NDArray[np.float64]


class _Missing:
    def __repr__(self) -> str:
        return "<not given>"


_MISSING: Final = _Missing()


class Observation:
    """Container for the result of one evaluation.

    ``add(None)`` says that the evaluation failed.

    >>> observation = Observation()
    >>> observation.add(2.5)
    >>> observation.add(derivative='x1', value=1.0)
    >>> observation
    Observation(value=2.5, derivatives={'x1': 1.0})
    """

    __slots__ = ("derivatives", "value")

    def __init__(self) -> None:
        self.value: Any = _MISSING
        self.derivatives: dict[str, float] = {}

    def add(self, value: Any = _MISSING, derivative: str | None = None) -> None:
        """Add the value of the objective, or its derivative by the parameter `derivative`.

        Raises
        ------
        InputError
            If there is one already, or if it is not a number.
        """
        if isinstance(value, _Missing):
            raise InputError(
                "observation.add needs a value: add(value) or add(derivative='x1', value=...)"
            )
        if derivative is None:
            self._add_value(value)
        else:
            self._add_derivative(derivative, value)

    def _add_value(self, value: Any) -> None:
        if not isinstance(self.value, _Missing):
            raise InputError(
                f"this observation has the value {self.value!r} already; an observation takes one "
                "value and one derivative a parameter (make a new one for each suggestion)"
            )
        self.value = None if value is None else as_number(value, "the observed value")

    def _add_derivative(self, name: str, value: Any) -> None:
        if not isinstance(name, str):
            raise InputTypeError(f"derivative= takes the name of a parameter, not {name!r}")
        if name in self.derivatives:
            raise InputError(f"this observation has a derivative by {name!r} already")
        number = float("nan") if value is None else as_number(value, f"the derivative by {name!r}")
        self.derivatives[name] = number

    def result(self) -> tuple[float | None, dict[str, float] | None]:
        """Return the value (None: the evaluation failed) and the derivatives by name or None."""
        if isinstance(self.value, _Missing):
            raise InputError(
                "the observation has no value: call observation.add(value), "
                "or observation.add(None) if the evaluation failed"
            )
        return self.value, self.derivatives or None

    def __repr__(self) -> str:
        return f"Observation(value={self.value!r}, derivatives={self.derivatives!r})"


def as_number(value: Any, what: str) -> float:
    """Return a real number as a float; NaN and infinite ones too."""
    if type(value) is float:
        return value
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(())[()]
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        kind = type(value).__name__
        raise InputTypeError(f"{what} must be one real number, not {_short(value)} ({kind})")
    try:
        return float(value)
    except OverflowError:
        raise InputError(f"{what} is too large for a float: {_short(value)}") from None


def split(result: Any) -> tuple[float | None, Any]:
    """Return ``(value, gradient or None)`` of what an objective returned.

    It may be a number, a pair ``(value, gradient)`` with the gradient as an array or by name, or
    an `Observation`.
    """
    if isinstance(result, Observation):
        return result.result()
    if isinstance(result, tuple | list):
        if len(result) != 2:
            raise InputTypeError(
                "the objective must return a number, a pair (value, gradient), or an Observation; "
                f"it returned {_short(result)}, a {type(result).__name__} of length {len(result)}"
            )
        value, gradient = result
        return as_number(value, "the value of the objective"), gradient
    if result is None:
        raise InputTypeError(
            "the objective returned None: is a 'return' missing? It must return a number, "
            "a pair (value, gradient), or an Observation"
        )
    return as_number(result, "the value of the objective"), None


def as_gradient(gradient: Any, space: Space) -> FloatArray:
    """Return the derivatives by the continuous parameters as a vector that nobody else holds.

    Raises
    ------
    InputError
        If one is missing or unknown (it is named), or if the shape or the type is wrong.
    """
    if type(gradient) is np.ndarray:
        array = gradient
    elif np.ma.is_masked(gradient):
        raise InputError(
            "the gradient has masked entries: give every derivative, NaN where one could not be "
            "computed (which reports a failed evaluation)"
        )
    elif isinstance(gradient, Mapping):
        return _by_name(gradient, space)
    else:
        array = np.asarray(gradient)
    if array.dtype.kind not in "fiu":
        raise InputTypeError(
            f"the gradient must hold real numbers, not {_short(gradient)} ({array.dtype})"
        )
    if array.shape != (space.size,):
        names = ", ".join(space.free[:6]) + (", ..." if space.size > 6 else "")
        raise InputError(
            f"the gradient has shape {array.shape}, expected ({space.size},): one derivative for "
            f"each continuous parameter, in the order {names} (or a dictionary by name)"
        )
    return array.astype(np.float64)


def _by_name(gradient: Mapping[str, Any], space: Space) -> FloatArray:
    for name in gradient:
        if name not in space:
            raise _unknown(name, space)
    for name in space.free:
        if name not in gradient:
            raise missing_derivative(name)
    values = [gradient[name] for name in space.free]
    if all(type(value) is float for value in values):
        return np.array(values)
    return np.array(
        [
            as_number(value, f"the derivative by {name!r}")
            for name, value in zip(space.free, values, strict=True)
        ]
    )


def _unknown(name: Any, space: Space) -> InputError:
    known = ", ".join(map(repr, space.free))
    return InputError(f"a derivative by {name!r} was given, but the parameters are {known}")


def missing_derivative(name: str) -> InputError:
    """Build the error for a derivative that ``jac=True`` promises and that is not there."""
    return InputError(
        f"the derivative by {name!r} is missing: jac=True says that the objective supplies its "
        "gradient; add it, or set jac=False for finite differences"
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
