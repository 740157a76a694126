"""In which terms points and results are put: names, structure, and units of a study elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError, InputTypeError, UnknownIdError
from optdriver.leastsquares.minimizer import read_residuals
from optdriver.messages import numbers
from optdriver.reading import real_array, real_number
from optdriver.remote.connection import Messages, listed
from optdriver.space.description import describe_unit, rebuilt_unit
from optdriver.space.space import Space
from optdriver.space.units import Unit, is_quantity, number_in, number_of, unit_of
from optdriver.storage import codec
from optdriver.study import Observation, Suggestion, observation
from optdriver.study.inputs import own_uncertainty, told_pair, value_and_gradient

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RemoteSpace:
    """The parameters of a study elsewhere: names of the continuous ones, and the fixed values."""

    free: tuple[str, ...]
    fixed: Mapping[str, Any]
    lower: FloatArray
    upper: FloatArray
    structure: ClassVar[None] = None
    handed: ClassVar[str] = "name"

    @property
    def names(self) -> tuple[str, ...]:
        """All names."""
        return (*self.free, *self.fixed)


class Terms:
    """The parameters of a study elsewhere, and what is known of its open points and its unit.

    Parameters
    ----------
    messages : Messages
        To ask for what is not known here.
    space : Space, optional
        The structure as its user made it; otherwise it is made from what the server says.
    """

    def __init__(
        self, messages: Messages, hello: Mapping[str, Any], space: Space | None = None
    ) -> None:
        self.messages = messages
        self.space: Space | RemoteSpace = _space(hello) if space is None else space
        self.fits = bool(hello.get("fits", False))
        self.outputs = tuple(hello.get("outputs", ()))
        self.unit: Unit | None = None
        self._points: dict[int, FloatArray] = {}

    # -- points ---------------------------------------------------------------------------

    def suggestions(self, answer: Mapping[str, Any]) -> list[Suggestion]:
        """Return the suggestions of an answer; where they are is remembered until they are told."""
        return [self._suggestion(row) for row in answer.get("suggestions", ())]

    def opened(self, rows: list[Mapping[str, Any]]) -> tuple[Suggestion, ...]:
        """Return the suggestions that are out; the others are forgotten."""
        self._points.clear()
        return tuple(self._suggestion(row) for row in rows)

    def _suggestion(self, row: Mapping[str, Any]) -> Suggestion:
        found = row.get("vector")
        if found is None:  # of a server that does not say it
            found = [row["params"][name] for name in self.space.free]
        x = np.array(found, dtype=float)
        x.setflags(write=False)
        if self.space.structure is not None:
            self._points[row["id"]] = x
        return Suggestion(
            id=row["id"],
            params=self.params(x, row["params"]),
            x=x,
            kind=row["kind"],
            run=row["run"],
        )

    def params(self, x: FloatArray, said: Any) -> Any:
        """Return the parameters of a point with their structure; `said` is what came."""
        space = self.space
        return said if isinstance(space, RemoteSpace) else space.params(x)

    def rebuilt(self, vectors: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters whose vectors came beside them, with their structure."""
        space, found = self.space, dict[str, Any]()
        if isinstance(space, RemoteSpace):
            return found
        for name, vector in vectors.items():
            array = np.array(vector, dtype=float)
            several = name == "starts"
            found[name] = tuple(map(space.params, array)) if several else space.params(array)
        return found

    def place(self, point: Any) -> Any:
        """Return a point of the user's as a message has it."""
        space = self.space
        if not isinstance(space, RemoteSpace):
            return space.vector(point).tolist()
        return dict(point) if isinstance(point, Mapping) else np.asarray(point).tolist()

    # -- results --------------------------------------------------------------------------

    def result(
        self,
        id: int | None,
        value: Any,
        gradient: Any,
        point: Any = None,
        outputs: Any = None,
        uncertainty: Any = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Return the value, None for a failure, and what a message says besides.

        In a fit these are the residuals, and their Jacobian in place of a gradient.  The point is
        that of suggestion `id`, or is given.

        Raises
        ------
        InputError
            If they are of the wrong kind.
        """
        if isinstance(value, Observation) and value.outputs:
            if outputs is not None:
                raise InputError("an Observation has outputs of its own: give none beside it")
            outputs = value.outputs
        spread = own_uncertainty(value, uncertainty)
        number, more = self._result(id, value, gradient, point)
        if spread is not None and number is not None:
            more["uncertainty"] = self._deviation(spread, more.get("unit"))
        if outputs is not None:
            more["outputs"] = self._put(id, outputs, point)
        return number, more

    def _deviation(self, given: Any, unit: Any) -> Any:
        """Return an uncertainty as a message has it, in the unit of the value."""
        if is_quantity(given):
            known = self.unit if unit is None else rebuilt_unit(unit["library"], unit["unit"])
            given = number_in(given, known, "the uncertainty")
        return real_array("the uncertainty", given).tolist()

    def _result(
        self, id: int | None, value: Any, gradient: Any, point: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Return the same without outputs."""
        space, more = self.space, dict[str, Any]()
        if self.fits:
            return _fit(value, gradient)
        if isinstance(space, RemoteSpace):
            number, gradient = value_and_gradient(value, gradient)
            return number, more if gradient is None else {"gradient": listed(gradient)}
        unit = self.unit
        if is_quantity(value) and id is not None:
            value, unit = self._in_unit(value)
            more = {"unit": describe_unit(unit)} if unit is not None else {}
        number, gradient = value_and_gradient(value, gradient)
        if gradient is not None and number is not None:
            x = self._where(id) if point is None else space.vector(point)
            more["gradient"] = observation.as_gradient(gradient, space, x, unit).tolist()
        return number, more

    def _put(self, id: int | None, outputs: Any, point: Any) -> dict[str, Any]:
        """Return outputs as a message has them; the study checks what they are."""
        if not isinstance(outputs, Mapping):
            raise InputTypeError(
                f"outputs are told by name, as {{'stress': 3.0}}, not {outputs!r:.80}"
            )
        return {str(name): self._one(id, name, each, point) for name, each in outputs.items()}

    def _one(self, id: int | None, name: Any, given: Any, point: Any) -> Any:
        """Return an output, a number or an object of value and gradient."""
        value, gradient = given, None
        if isinstance(given, Mapping):
            value, gradient = given.get("value"), given.get("gradient")
        elif isinstance(given, tuple | list) and len(given) == 2:
            value, gradient = given
        number = math.nan if value is None else real_number(f"the output {name!r}", value)
        if gradient is None:
            return number
        if isinstance(self.space, RemoteSpace):
            return {"value": number, "gradient": listed(gradient)}
        x = self._where(id) if point is None else self.space.vector(point)
        slopes = observation.as_gradient(gradient, self.space, x)
        return {"value": number, "gradient": slopes.tolist()}

    def told(self, id: int) -> None:
        """Forget where a suggestion was."""
        self._points.pop(id, None)

    def _in_unit(self, value: Any) -> tuple[float, Unit | None]:
        """Return a value in the unit of the study's values, which the first one decides."""
        if self.unit is None:
            known = self.messages.get("hello").get("value_unit")
            self.unit = known and rebuilt_unit(known["library"], known["unit"])
        if self.unit is None:
            return real_number("the value", number_of(value)), unit_of(value)
        return real_number("the value", number_in(value, self.unit, "the value")), self.unit

    def _where(self, id: int | None) -> FloatArray:
        if id not in self._points:
            self.opened(self.messages.get("open")["open"])
        found = None if id is None else self._points.get(id)
        if found is None:
            raise UnknownIdError(
                f"suggestion {id} is not open, so it is not known where its derivatives belong"
            )
        return found


def _fit(residuals: Any, jacobian: Any) -> tuple[Any, dict[str, Any]]:
    """Return residuals as a message has them, None for a failure, and their Jacobian."""
    residuals, jacobian = told_pair(residuals, jacobian)
    if residuals is None:
        return None, {}
    made = read_residuals(residuals).tolist()
    if jacobian is None:
        return made, {}
    if isinstance(jacobian, Mapping):
        columns = {name: real_array(f"the column {name!r}", c) for name, c in jacobian.items()}
        return made, {"gradient": {name: column.tolist() for name, column in columns.items()}}
    return made, {"gradient": real_array("the Jacobian", jacobian).tolist()}


def _space(hello: Mapping[str, Any]) -> Space | RemoteSpace:
    described = hello.get("space")
    if described is not None:
        return Space.from_dict(codec.from_json(codec.to_json(described)))
    return RemoteSpace(
        tuple(hello["parameters"]),
        hello["fixed"],
        np.array(numbers(hello["lower"]), dtype=float),
        np.array(numbers(hello["upper"]), dtype=float),
    )
