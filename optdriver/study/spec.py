"""What a study is made of, before anything has happened: its specification."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from optdriver import stored
from optdriver.drivers import DEFAULT_DRIVER, driver_factory, recorded_name
from optdriver.errors import ConstraintWarning, InputError, InputTypeError, unknown_option
from optdriver.multistart.local import LIMITED
from optdriver.space.space import Space
from optdriver.space.spelling import spelled
from optdriver.study import parameters as table

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet
    from optdriver.constraints.outputs import OutputLimits

VERSION: Final = 1

RESERVED: Final = ("value", "gradient", "outputs", "residuals", "jacobian", "failed", "unit")
"""Names of parts of a result, which no output has."""

_BEFORE: Final = {
    "difference_rule": 1,
    "constraint_rule": 1,
    "convergence_rule": 1,
    "memory": False,
    "memory_rule": 1,
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
    outputs : tuple of (str, str)
        Name and text of each limit on outputs of the objective.
    recorded : tuple of str
        Outputs without a limit.
    compiled : ConstraintSet or None
        The constraints over the continuous parameters, in the user's numbers.
    limits : OutputLimits or None
        The limits on outputs, over these and the continuous parameters; None without outputs.
    """

    space: Space
    driver: str = "L-BFGS-B"
    parameters: Mapping[str, Any] = field(default_factory=table.defaults)
    constraints: tuple[tuple[str, str], ...] = ()
    name: str = ""
    study_id: str = ""
    outputs: tuple[tuple[str, str], ...] = ()
    recorded: tuple[str, ...] = ()
    compiled: ConstraintSet | None = field(default=None, compare=False, repr=False)
    limits: OutputLimits | None = field(default=None, compare=False, repr=False)

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

    def with_outputs(self, given: Any) -> Spec:
        """Return the specification with limits on outputs, see `create_study`.

        The default driver is changed to the one that keeps them.

        Raises
        ------
        ConstraintError
            For a limit that cannot be used; the message says which, and where.
        InputError
            For anything else, and for a driver that knows no outputs.
        """
        if given is None or (isinstance(given, list | tuple | Mapping) and not given):
            return self
        from optdriver.constraints.outputs import read_outputs

        texts, recorded = read_outputs(given)
        space = self.space
        if space.structure is not None:
            listed = [{"name": name, "constraint": text} if name else text for name, text in texts]
            texts, _ = read_outputs(spelled(listed, space.structure, whole=False))
        return self._with_limits(tuple(texts), tuple(recorded))

    def _with_limits(self, texts: tuple[tuple[str, str], ...], recorded: tuple[str, ...]) -> Spec:
        from optdriver.constraints.outputs import OutputLimits

        driver = self.driver
        if driver == DEFAULT_DRIVER:
            driver = LIMITED
        elif not driver_factory(driver).limits:
            raise InputError(
                f"driver={driver!r} knows no outputs; they are for driver={LIMITED!r}, which is "
                "taken where there are any and no driver is named"
            )
        space = self.space
        limits = OutputLimits(texts, recorded, space.free, space.fixed, space.names)
        for name in limits.names:
            if name in RESERVED:
                raise InputError(
                    f"the output {name!r} has a name that is taken in what an objective returns: "
                    f"{', '.join(RESERVED)}; rename it"
                )
        return replace(self, driver=driver, outputs=texts, recorded=recorded, limits=limits)

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
        from optdriver.formulas.logarithms import over_logarithms

        names = [space.free[i] for i in np.flatnonzero(space.log)]
        texts = [over_logarithms(name, text, names) for name, text in self.constraints]
        bounds = np.column_stack([space.inner(space.lower), space.inner(space.upper)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConstraintWarning)  # said of the texts as written
            return ConstraintSet(texts, space.free, bounds, fixed=space.fixed)

    def written_constraints(self) -> list[dict[str, str]]:
        """Return the constraints as ``{'name', 'constraint'}``."""
        return _written(self.constraints)

    def to_dict(self) -> dict[str, Any]:
        """Return the specification as strings and numbers."""
        parameters = dict(self.parameters)
        parameters["initial_samples"] = [list(s) for s in parameters["initial_samples"]]
        if parameters["value_unit"] is None:
            del parameters["value_unit"]  # it was unknown at first
        if parameters["max_time_from"] == 0.0:
            del parameters["max_time_from"]
        data = {
            "version": VERSION,
            "space": self.space.to_dict(),
            "driver": self.driver,
            "parameters": parameters,
            "constraints": self.written_constraints(),
            "name": self.name,
            "study_id": self.study_id,
        }
        if self.limits is not None:  # they were unknown at first
            data["outputs"] = self.written_outputs()
        return data

    def written_outputs(self) -> dict[str, Any]:
        """Return the limits on outputs, and the outputs that are only recorded."""
        return {"limits": _written(self.outputs), "recorded": list(self.recorded)}

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
            if "outputs" in data:
                spec = spec._with_limits(*_read_outputs(data["outputs"]))  # noqa: SLF001  # our own
        return spec.with_parameters({**_BEFORE, **stored.mapping("parameters", data["parameters"])})


def _written(texts: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [
        {"name": name, "constraint": text} if name else {"constraint": text} for name, text in texts
    ]


def _read_outputs(data: Any) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Return names and texts of limits, and outputs without one, of what was written."""
    given = stored.mapping("outputs", data)
    texts = [stored.mapping("a limit", each) for each in stored.rows("limits", given["limits"])]
    return (
        tuple(
            (stored.text("name", each.get("name", "")), stored.text("text", each["constraint"]))
            for each in texts
        ),
        tuple(stored.text("an output", name) for name in stored.rows("outputs", given["recorded"])),
    )


def check_version(data: Mapping[str, Any], what: str) -> None:
    """Refuse a dictionary that a later (or no) version of this library wrote."""
    if not isinstance(data, Mapping):
        raise InputTypeError(f"the {what} is a dictionary, not {type(data).__name__}")
    if data.get("version") != VERSION:
        raise InputError(
            f"this {what} has version {data.get('version')!r}; this library reads {VERSION}"
        )
