"""What a study is made of, before anything has happened: its specification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from optdriver.errors import InputError, InputTypeError
from optdriver.space import Space
from optdriver.study import parameters as table

VERSION: Final = 1


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
    name, study_id : str
        Labels.
    """

    space: Space
    driver: str = "L-BFGS-B"
    parameters: Mapping[str, Any] = field(default_factory=table.defaults)
    name: str = ""
    study_id: str = ""

    def with_parameters(self, given: Mapping[str, Any]) -> Spec:
        """Return the specification with the (checked) parameters `given` changed."""
        parameters = {**self.parameters, **table.check_all(given)}
        samples = parameters["initial_samples"]
        parameters["initial_samples"] = tuple(
            tuple(self.space.vector(sample).tolist()) for sample in samples
        )
        if parameters["check_grad"] and "check_grad" in given and not parameters["jac"]:
            raise InputError(
                "check_grad=True checks the gradient that the objective supplies: it needs jac=True"
            )
        return replace(self, parameters=parameters)

    def to_dict(self) -> dict[str, Any]:
        """Return the specification as strings and numbers."""
        parameters = dict(self.parameters)
        parameters["initial_samples"] = [list(s) for s in parameters["initial_samples"]]
        return {
            "version": VERSION,
            "space": self.space.to_dict(),
            "driver": self.driver,
            "parameters": parameters,
            "constraints": [],
            "name": self.name,
            "study_id": self.study_id,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Spec:
        """Return the specification that `to_dict` described."""
        check_version(data, "specification of a study")
        check_constraints(data["constraints"])
        spec = cls(
            space=Space.from_dict(data["space"]),
            driver=data["driver"],
            name=data["name"],
            study_id=data["study_id"],
        )
        return spec.with_parameters(data["parameters"])


def check_version(data: Mapping[str, Any], what: str) -> None:
    """Refuse a dictionary that a later (or no) version of this library wrote."""
    if not isinstance(data, Mapping):
        raise InputTypeError(f"the {what} is a dictionary, not {type(data).__name__}")
    if data.get("version") != VERSION:
        raise InputError(
            f"this {what} has version {data.get('version')!r}; this library reads {VERSION}"
        )


def check_constraints(constraints: Any) -> None:
    """Refuse constraints, which this version cannot keep."""
    if constraints is None:
        return
    if isinstance(constraints, str | bytes) or not isinstance(constraints, Sequence):
        raise InputTypeError(
            f"constraints are a list of {{'name', 'constraint'}}, not {constraints!r}"
        )
    if len(constraints):
        raise InputError(
            f"constraints are not supported by this version, so {constraints[0]!r} would not be "
            "kept; leave the list empty, or write limits of one parameter as its domain"
        )
