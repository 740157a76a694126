"""What a study is made of, before anything has happened: its specification."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from optdriver import stored
from optdriver.drivers import driver_factory, recorded_name
from optdriver.errors import ConstraintWarning, InputError, InputTypeError, unknown_option
from optdriver.space import Space
from optdriver.structures.spelling import spelled
from optdriver.study import parameters as table

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet

VERSION: Final = 1

_BEFORE: Final = {
    "difference_rule": 1,
    "constraint_rule": 1,
    "convergence_rule": 1,
    "memory": False,
}
"""What parameters have in the specifications of versions that did not know them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """The specification of a study.

    Attributes
    ----------
    space : Space
        The parameters.
    driver : str
        Name of the driver in the registry.
    parameters : dict
        All driver parameters, by their real names.
    constraints : tuple of (str, str)
        Name and text of each constraint; a name that was not given is empty.
    name, study_id : str
        Labels.
    compiled : ConstraintSet or None
        The constraints over the continuous parameters, in the user's numbers.
    """

    space: Space
    driver: str = "L-BFGS-B"
    parameters: Mapping[str, Any] = field(default_factory=table.defaults)
    constraints: tuple[tuple[str, str], ...] = ()
    name: str = ""
    study_id: str = ""
    compiled: ConstraintSet | None = field(default=None, compare=False, repr=False)

    def with_parameters(self, given: Mapping[str, Any]) -> Spec:
        """Return the specification with the (checked) parameters `given` changed."""
        parameters = {**self.parameters, **table.check_all(given)}
        samples = parameters["initial_samples"]
        parameters["initial_samples"] = tuple(
            tuple(self.space.vector(sample).tolist()) for sample in samples
        )
        if isinstance(parameters["step_size"], Mapping):
            for name in parameters["step_size"]:
                if name not in self.space.free:
                    raise unknown_option("parameter in step_size", name, self.space.free)
        if parameters["check_grad"] and "check_grad" in given and not parameters["jac"]:
            raise InputError(
                "check_grad=True checks the gradient that the objective supplies: it needs jac=True"
            )
        self._check_fit(parameters)
        self._check_direction(parameters)
        table.check_memory(self.space.size, parameters, table.MOST_BYTES)
        return replace(self, parameters=parameters)

    def _check_fit(self, parameters: Mapping[str, Any]) -> None:
        """Refuse what only fits have, of a driver that is told values."""
        for name in ("loss", "f_scale", "xtol"):
            changed = parameters[name] != table.TABLE[name].default
            if changed and not driver_factory(self.driver).fits:
                raise InputError(
                    f"driver parameter {name!r} is for driver='least-squares', and this is "
                    f"{self.driver!r}; options of a method of SciPy's are method_options"
                )

    def _check_direction(self, parameters: Mapping[str, Any]) -> None:
        """Refuse a direction that the driver has not, and the target of the other direction."""
        upward = parameters["direction"] == table.MAXIMIZE
        if upward and driver_factory(self.driver).fits:
            raise InputError(
                f"driver={self.driver!r} minimises what residuals cost: there is no "
                "direction='maximize' with it"
            )
        other = "min_val" if upward else "max_val"
        if parameters[other] != table.TABLE[other].default:
            raise InputError(
                f"{other!r} is for direction={table.MINIMIZE if upward else table.MAXIMIZE!r}, and "
                f"this study has direction={parameters['direction']!r}: the value at which to stop "
                f"is {'max_val' if upward else 'min_val'!r} here"
            )

    @property
    def sign(self) -> float:
        """By which values are multiplied for the driver, which minimises: -1 to maximise."""
        return -1.0 if self.parameters["direction"] == table.MAXIMIZE else 1.0

    def with_constraints(self, given: Any) -> Spec:
        """Return the specification with constraints: texts, alone or as {'name', 'constraint'}.

        Raises
        ------
        ConstraintError
            For one that cannot be used; the message says which, and where.
        """
        if given is None or (isinstance(given, list | tuple) and not given):
            return replace(self, constraints=(), compiled=None)
        from optdriver.constraints import ConstraintSet

        space = self.space
        bounds = np.column_stack([space.lower, space.upper])
        if space.structure is not None:
            given = spelled(given, space.structure)
        compiled = ConstraintSet(given, space.free, bounds, fixed=space.fixed)
        texts = tuple((name, text) for name, text in compiled.to_dict()["texts"])
        return replace(self, constraints=texts, compiled=compiled)

    def inner_constraints(self) -> ConstraintSet:
        """Return the constraints over what minimizers see but for factors: ``exp(D)`` for D.

        Their derivatives by a logarithm are those of the formula with the exponential in it.
        """
        if self.compiled is None:
            raise InputError("there are no constraints")
        space = self.space
        if not space.logarithmic:
            return self.compiled
        from optdriver.constraints import ConstraintSet
        from optdriver.constraints.logarithms import over_logarithms

        names = [space.free[i] for i in np.flatnonzero(space.log)]
        texts = [over_logarithms(name, text, names) for name, text in self.constraints]
        bounds = np.column_stack([space.inner(space.lower), space.inner(space.upper)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConstraintWarning)  # said of the texts as written
            return ConstraintSet(texts, space.free, bounds, fixed=space.fixed)

    def written_constraints(self) -> list[dict[str, str]]:
        """Return the constraints as ``{'name', 'constraint'}``."""
        return [
            {"name": name, "constraint": text} if name else {"constraint": text}
            for name, text in self.constraints
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the specification as strings and numbers."""
        parameters = dict(self.parameters)
        parameters["initial_samples"] = [list(s) for s in parameters["initial_samples"]]
        if parameters["value_unit"] is None:
            del parameters["value_unit"]  # it was unknown at first
        return {
            "version": VERSION,
            "space": self.space.to_dict(),
            "driver": self.driver,
            "parameters": parameters,
            "constraints": self.written_constraints(),
            "name": self.name,
            "study_id": self.study_id,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Spec:
        """Return the specification that `to_dict` described."""
        check_version(data, "specification of a study")
        with stored.restoring("specification of a study"):
            return cls._restored(data)

    @classmethod
    def _restored(cls, data: Mapping[str, Any]) -> Spec:
        spec = cls(
            space=Space.from_dict(stored.mapping("space", data["space"])),
            driver=recorded_name(stored.text("driver", data["driver"])),
            name=stored.text("name", data["name"]),
            study_id=stored.text("study_id", data["study_id"]),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConstraintWarning)  # they were said when it was made
            spec = spec.with_constraints(data["constraints"])
        return spec.with_parameters({**_BEFORE, **stored.mapping("parameters", data["parameters"])})


def check_version(data: Mapping[str, Any], what: str) -> None:
    """Refuse a dictionary that a later (or no) version of this library wrote."""
    if not isinstance(data, Mapping):
        raise InputTypeError(f"the {what} is a dictionary, not {type(data).__name__}")
    if data.get("version") != VERSION:
        raise InputError(
            f"this {what} has version {data.get('version')!r}; this library reads {VERSION}"
        )
