"""What an evaluation gave: a value, and derivatives if there are any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError, InputTypeError, unknown_option
from optdriver.reading import real_array, real_number, real_vector, short
from optdriver.space.space import Space
from optdriver.space.units import Unit, is_quantity
from optdriver.study import deviations

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

    __slots__ = ("derivatives", "jacobian", "outputs", "residuals", "uncertainty", "value")

    def __init__(self) -> None:
        self.outputs: dict[str, dict[str, Any]] = {}
        self.value: Any = _MISSING
        self.derivatives: dict[str, float] = {}
        self.residuals: Any = None
        self.jacobian: Any = None
        self.uncertainty: Any = None

    def add(
        self,
        value: Any = _MISSING,
        derivative: Any = None,
        *,
        output: str | None = None,
        residuals: Any = None,
        jacobian: Any = None,
        uncertainty: Any = None,
    ) -> None:
        """Add the value of the objective, or its derivative by the parameter `derivative`.

        The `uncertainty` is the standard deviation of the value; of residuals one number, or one
        for each, shape (m,).  That of a derivative or an output is checked, and not used.

        With ``driver='least-squares'`` it is ``add(residuals=...)``, shape (m,), and
        ``add(jacobian=...)``, shape (m, n), alone or together.

        Of an output of the objective it is ``add(output='stress', value=...)``, and
        ``add(output='stress', derivative='x1', value=...)`` for its derivatives; or both at once,
        ``add(output='stress', value=..., derivative=gradient)``, the gradient as an array or by
        name.

        Raises
        ------
        InputError
            If there is one already, or if it is not a number.
        """
        if output is not None or derivative is not None:
            deviations.of_value(uncertainty)
            uncertainty = None
        if residuals is not None or jacobian is not None:
            self._add_fit(residuals, jacobian)
            if isinstance(value, _Missing) and derivative is None:
                self._add_uncertainty(uncertainty)
                return
        if output is not None:
            self._add_output(output, value, derivative)
            return
        if isinstance(value, _Missing):
            raise InputError(
                "observation.add needs a value: add(value) or add(derivative='x1', value=...)"
            )
        if derivative is None:
            self._add_value(value)
            self._add_uncertainty(uncertainty)
        else:
            self._add_derivative(derivative, value)

    def _add_value(self, value: Any) -> None:
        if not isinstance(self.value, _Missing):
            raise InputError(
                f"this observation has the value {self.value!r} already; an observation takes one "
                "value and one derivative a parameter (make a new one for each suggestion)"
            )
        self.value = None if value is None else real_number("the observed value", value)

    def _add_uncertainty(self, given: Any) -> None:
        if given is None:
            return
        if self.value is None:
            return  # the evaluation failed
        if self.uncertainty is not None:
            raise InputError(f"this observation has the uncertainty {self.uncertainty!r} already")
        if self.residuals is None:
            deviations.of_value(given)
        self.uncertainty = given

    def _add_fit(self, residuals: Any, jacobian: Any) -> None:
        for name, given in (("residuals", residuals), ("jacobian", jacobian)):
            if given is None:
                continue
            if getattr(self, name) is not None:
                raise InputError(f"this observation has {name} already")
            setattr(self, name, given if isinstance(given, Mapping) else real_array(name, given))

    def _add_output(self, name: Any, value: Any, derivative: Any) -> None:
        if not isinstance(name, str):
            raise InputTypeError(f"output= takes the name of an output, not {name!r}")
        if isinstance(value, _Missing):
            raise InputError(
                f"observation.add(output={name!r}) needs a value: add(output={name!r}, value=...)"
            )
        known = self.outputs.setdefault(name, {})
        if isinstance(derivative, str):
            slopes = known.setdefault("gradient", {})
            if not isinstance(slopes, dict) or derivative in slopes:
                raise InputError(
                    f"this observation has a derivative of the output {name!r} by {derivative!r} "
                    "already"
                )
            slopes[derivative] = np.nan if value is None else value
            return
        if "value" in known or (derivative is not None and "gradient" in known):
            raise InputError(f"this observation has the output {name!r} already")
        known["value"] = value
        if derivative is not None:
            known["gradient"] = dict(derivative) if isinstance(derivative, Mapping) else derivative

    def _add_derivative(self, name: str, value: Any) -> None:
        if not isinstance(name, str):
            raise InputTypeError(f"derivative= takes the name of a parameter, not {name!r}")
        if name in self.derivatives:
            raise InputError(f"this observation has a derivative by {name!r} already")
        number = (
            float("nan") if value is None else real_number(f"the derivative by {name!r}", value)
        )
        self.derivatives[name] = number

    def result(self) -> tuple[float | None, dict[str, float] | None]:
        """Return the value (None: the evaluation failed) and the derivatives by name or None."""
        if isinstance(self.value, _Missing):
            raise InputError(
                "the observation has no value: call observation.add(value), "
                "or observation.add(None) if the evaluation failed"
            )
        return self.value, self.derivatives or None

    def fit(self) -> tuple[Any, Any]:
        """Return the residuals (None: the evaluation failed) and their Jacobian or None."""
        if self.residuals is not None:
            return self.residuals, self.jacobian
        if self.value is None:
            return None, None
        raise InputError(
            "the observation has no residuals: call observation.add(residuals=...), "
            "or observation.add(None) if the evaluation failed"
        )

    def __repr__(self) -> str:
        if self.residuals is not None:
            return f"Observation(residuals={short(self.residuals)})"
        more = f", outputs={self.outputs!r}" if self.outputs else ""
        more += "" if self.uncertainty is None else f", uncertainty={self.uncertainty!r}"
        return f"Observation(value={self.value!r}, derivatives={self.derivatives!r}{more})"


def result_of(observed: Observation, gradient: Any) -> tuple[float | None, Any]:
    """Return what an observation says; a gradient given beside it is refused."""
    if gradient is not None:
        raise InputError("an Observation has derivatives of its own: give no gradient beside it")
    return observed.result()


def split_fit(result: Any) -> tuple[Any, Any]:
    """Return ``(residuals, Jacobian or None)`` of what an objective returned.

    It may be residuals, a pair of residuals and their Jacobian, or an `Observation`.
    """
    if isinstance(result, Observation):
        return result.fit()
    if result is None:
        raise InputTypeError(
            "the objective returned None: is a 'return' missing? It must return residuals, a pair "
            "(residuals, jacobian), or an Observation"
        )
    if isinstance(result, tuple) and len(result) == 2 and np.ndim(result[0]) > 0:
        return result
    return result, None


def split(result: Any, *, units: bool = False, fits: bool = False) -> tuple[Any, Any]:
    """Return ``(value, gradient or None)`` of what an objective returned; see `split_fit`.

    It may be a number, a pair ``(value, gradient)`` with the gradient as an array or by name, or
    an `Observation`; with `units` the value may be a quantity.
    """
    if fits:
        return split_fit(result)
    if isinstance(result, Observation):
        return result.result()
    if units and is_quantity(result):
        return result, None
    if isinstance(result, tuple | list):
        if len(result) != 2:
            raise InputTypeError(
                "the objective must return a number, a pair (value, gradient), or an Observation; "
                f"it returned {short(result)}, a {type(result).__name__} of length {len(result)}"
            )
        value, gradient = result
        if units and is_quantity(value):
            return value, gradient
        return real_number("the value of the objective", value), gradient
    if result is None:
        raise InputTypeError(
            "the objective returned None: is a 'return' missing? It must return a number, "
            "a pair (value, gradient), or an Observation"
        )
    return real_number("the value of the objective", result), None


def parts(
    result: Any, *, units: bool = False, fits: bool = False, outputs: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return what an objective returned as the arguments of `Study.tell`; see `split`.

    It may be a dict, too, with ``value`` and ``gradient``, or ``residuals`` and ``jacobian``, and
    ``uncertainty``.  With `outputs`, their names, it is a dict with ``value``, ``gradient`` if
    there is one, and the outputs by name (or all under ``outputs``); ``(value, outputs)`` or
    ``(value, gradient, outputs)``; or an `Observation`.
    """
    if isinstance(result, Observation):
        result.fit() if fits else result.result()  # refuses one without a value
        return {"value": result}
    if not outputs:
        if isinstance(result, Mapping):
            return _of_plain_mapping(result, units=units, fits=fits)
        value, gradient = split(result, units=units, fits=fits)
        return {"value": value, "gradient": gradient}
    put: Any = {}
    more: dict[str, Any] = {}
    if isinstance(result, Mapping):
        if "uncertainty" in result and "uncertainty" not in outputs:
            more = {"uncertainty": result["uncertainty"]}
            result = {name: each for name, each in result.items() if name != "uncertainty"}
        result, put = _of_mapping(result)
    elif isinstance(result, tuple) and len(result) == 3:
        *result, put = result
    elif isinstance(result, tuple) and len(result) == 2 and _are_outputs(result[1], outputs):
        result, put = result
    value, gradient = (None, None) if result is None else split(result, units=units)
    return {"value": value, "gradient": gradient, "outputs": put, **more}


def _of_plain_mapping(result: Mapping[Any, Any], *, units: bool, fits: bool) -> dict[str, Any]:
    """Return what a dict without outputs holds as the arguments of `Study.tell`."""
    known = ("residuals", "jacobian") if fits else ("value", "gradient")
    for name in result:
        if name not in (*known, "uncertainty"):
            raise unknown_option(
                "part of what the objective returned:", str(name), (*known, "uncertainty")
            )
    if known[0] not in result:
        raise InputTypeError(
            f"the objective returned a dict without {known[0]!r}: it returns {{{known[0]!r}: ..., "
            f"{known[1]!r}: ..., 'uncertainty': ...}}, and has {', '.join(map(repr, result))}"
        )
    value, slopes = result[known[0]], result.get(known[1])
    more = {"uncertainty": result["uncertainty"]} if "uncertainty" in result else {}
    if value is not None:
        value, slopes = split((value, slopes), units=units, fits=fits)
    return {"value": value, "gradient": slopes, **more}


def _are_outputs(given: Any, outputs: tuple[str, ...]) -> bool:
    return isinstance(given, Mapping) and bool(given) and given.keys() <= set(outputs)


def _of_mapping(result: Mapping[Any, Any]) -> tuple[Any, dict[Any, Any]]:
    """Return the value, or it and its gradient, and the outputs of a dict."""
    if "value" not in result:
        raise InputTypeError(
            "the objective returned a dict without 'value': it returns {'value': ..., 'gradient': "
            f"..., 'stress': ...}}, and has {', '.join(map(repr, result))}"
        )
    more = result.get("outputs", {})
    if not isinstance(more, Mapping):
        raise InputTypeError(f"'outputs' are given by name, not as {short(more)}")
    own = ("value", "gradient", "outputs")
    put = {name: value for name, value in result.items() if name not in own}
    for name in more:
        if name in put:
            raise InputError(f"the objective returned the output {name!r} twice")
    value, gradient = result["value"], result.get("gradient")
    if value is not None and gradient is not None:
        value = (value, gradient)
    return value, {**put, **more}


class Where(NamedTuple):
    """Where derivatives belong: the parameters, the point, and the unit of the objective.

    The last two matter where parameters have a structure.
    """

    space: Space
    x: FloatArray | None = None
    unit: Unit | None = None


def as_gradient(
    gradient: Any, space: Space, x: FloatArray | None = None, unit: Unit | None = None
) -> FloatArray:
    """Return the derivatives by the continuous parameters as a vector that nobody else holds.

    See `Where` for `x` and `unit`.

    Raises
    ------
    InputError
        If one is missing or unknown (it is named), or if the shape or the type is wrong.
    """
    if x is not None:
        made = space.gradient(gradient, x, unit)
        if made is not None:
            return made
    if type(gradient) not in (np.ndarray, list) and isinstance(gradient, Mapping):
        given = _by_name(gradient, space)
        return given if x is None else given + space.carried_on(gradient, x)
    array = real_array("the gradient", gradient)
    if array.shape != (space.size,):
        names = ", ".join(space.free[:6]) + (", ..." if space.size > 6 else "")
        which = f"one derivative for each continuous parameter, in the order {names}"
        array = real_vector("the gradient", array, space.size, which + " (or by name)")
    return array.copy()


def check_names(given: Mapping[str, Any], space: Space) -> None:
    """Refuse derivatives by what is no parameter, and where one is missing."""
    for name in given:
        if name not in space:
            raise _unknown(name, space)
    for name in space.free:
        if name not in given:
            raise missing_derivative(name)


def _by_name(gradient: Mapping[str, Any], space: Space) -> FloatArray:
    check_names(gradient, space)
    values = [gradient[name] for name in space.free]
    if all(type(value) is float for value in values):
        return np.array(values)
    return np.array(
        [
            real_number(f"the derivative by {name!r}", value)
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
