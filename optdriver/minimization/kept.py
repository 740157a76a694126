"""`minimize` as a study that runs: kept in a file, evaluated in parallel, limited, continued."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult

from optdriver.constraints import ConstraintSet
from optdriver.drivers import driver_factory
from optdriver.errors import InputError, ProtocolError
from optdriver.minimization import methods
from optdriver.minimization.constraints import positions
from optdriver.minimization.problem import Given, Problem, own_gradient, tolerances
from optdriver.minimization.watching import structured
from optdriver.objectives.jax_objective import JaxObjective
from optdriver.objectives.own_gradient import OwnGradientObjective
from optdriver.objectives.plain import PlainObjective
from optdriver.objectives.study_objective import JaxStudyObjective
from optdriver.space.description import rebuilt_unit
from optdriver.space.narrow import narrow_parts
from optdriver.space.pytree import Structure
from optdriver.space.space import Space
from optdriver.space.units import Unit
from optdriver.studies import create_study
from optdriver.study import Study

Vector = NDArray[np.float64]

STATUS: Final = {"max_iter": 1, "max_time": 1}
"""As SciPy has it: a limit was reached."""

NO_SUCCESS: Final = 2
"""Anything else without success."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Keeping:
    """What makes a study of a minimisation; None where it was not given."""

    storage: Any = None
    executor: Any = None
    max_iter: Any = None
    max_time: Any = None
    num_parallel: Any = None
    retries: Any = None
    name: Any = None
    study_id: Any = None

    def given(self) -> dict[str, Any]:
        """Return what was given."""
        named = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in named.items() if value is not None}

    @property
    def wanted(self) -> bool:
        """Whether anything was given."""
        return bool(self.given())

    def parameters(self) -> dict[str, Any]:
        """Return the driver parameters among them."""
        names = ("max_iter", "max_time", "num_parallel", "retries")
        found = {name: getattr(self, name) for name in names}
        workers = getattr(self.executor, "_max_workers", None)
        if found["num_parallel"] is None and isinstance(workers, int):
            found["num_parallel"] = workers
        return {name: value for name, value in found.items() if value is not None}


class PlainStudyObjective:
    """A loss that is called as it is, with quantities or without, as the objective of a study.

    With `residuals` it returns these, in arrays of any shapes; with `gradient` a value with it, or
    with outputs.
    """

    def __init__(
        self,
        loss: Callable[..., Any],
        units: bool,
        space: Space,
        *,
        residuals: bool = False,
        gradient: bool = False,
    ) -> None:
        self._loss, self._units, self._space, self._residuals = loss, units, space, residuals
        self._gradient = gradient

    def evaluate_suggestion(self, _id: int | None, numbers: Mapping[str, float]) -> Any:
        """Return the value at a point that is given by the names of its numbers."""
        structure = self._space.structure
        if structure is None:
            raise InputError("the parameters of a loss have a structure")
        objective = PlainObjective(self._loss, structure, self._units)
        x = np.array([numbers[name] for name in self._space.free])
        if self._gradient:
            return structure.call(self._loss, objective.params(x))
        if self._residuals:
            return objective.residuals(x)
        value = objective.value(x)
        return value if objective.unit is None else objective.unit.attach(value)

    def __call__(self, **_numbers: Any) -> Any:
        """Say that it is called with numbers by name."""
        raise InputError("a loss on a structure is evaluated by study.run")


def check(keeping: Keeping, given: Given, callback: Any, engine: Any) -> None:
    """Refuse what a study cannot do.

    Raises
    ------
    InputError
    """
    if callback is not None or engine not in (None, "serial"):
        what = "callback=" if callback is not None else f"engine={engine!r}"
        raise InputError(
            f"{what} goes with a minimisation in one call only; one with storage=, executor=, "
            "max_iter=, max_time=, num_parallel= or retries= is a study: look at res.history, and "
            "at the logger 'optdriver' meanwhile"
        )
    listed = given.constraints
    listed = listed if isinstance(listed, list | tuple) else [listed]
    for item in listed:
        text = item is None or isinstance(item, str)
        if not text and not (isinstance(item, Mapping) and "type" not in item):
            what = "a ConstraintSet" if isinstance(item, ConstraintSet) else "a function"
            raise InputError(
                f"{what} as a constraint cannot be kept in a study: write it as a text, such as "
                f"'x + y <= 1', or leave out {', '.join(f'{name}=' for name in keeping.given())}"
            )


def minimize(
    problem: Problem,
    given: Given,
    keeping: Keeping,
    *,
    method: str,
    first: Vector,
    number: int,
    tol: Any,
    options: Mapping[str, Any],
    progress: bool | None,
) -> OptimizeResult:
    """Run a study of the problem to its end, or on from where its file is, and return the result.

    Parameters
    ----------
    problem, given
        What is minimised, compiled and as it was given.
    keeping : Keeping
    method : str
        The driver of the study.
    first : ndarray, shape (k, n)
        Starts of the user.
    number : int
        Starts altogether.
    tol, options, progress
        As for `optdriver.Minimizer`.
    """
    structure = problem.structure.with_positions(positions(given.loss))
    space = Space.of(structure, scale=given.scale)
    compiled = isinstance(problem.objective, JaxObjective) and problem.objective.compiled
    smooth = compiled and driver_factory(method).gradient
    own = isinstance(problem.objective, OwnGradientObjective) and driver_factory(method).gradient
    usual = {"ftol": 2.220446049250313e-09, "gtol": 1e-5}
    raised = tolerances(problem.objective, tol, options, usual, _spacing(structure))
    parameters: dict[str, Any] = {
        "driver": method,
        "jac": smooth or own,
        "two_sided": not (smooth or own) and given.jac != "2-point",
        "must_stay_feasible": not methods.leaves(method, problem),
        **options,
        **raised,
    }
    precise = methods.precise(method, problem, tol, options) if smooth else {}
    try:
        study = created(given, keeping, space, first, number, **{**parameters, **precise})
    except ProtocolError:  # it has begun before there was a value_spacing
        if not precise:
            raise
        study = created(given, keeping, space, first, number, **parameters)
    with study:
        made = problem.objective if smooth and given.sign > 0.0 else None
        run(study, space, given, keeping, smooth=smooth, made=made, progress=progress)
        return result(study, structure, units=given.units)


def _spacing(structure: Structure) -> float:
    """Return the relative spacing of the points of a study, rounded to the types of the bounds."""
    return max((spacing for _, _, spacing in narrow_parts(structure)), default=0.0)


def created(
    given: Given, keeping: Keeping, space: Space, first: Vector, number: int, **parameters: Any
) -> Study:
    """Return the study of what is minimised, a new one or that of the file.

    `first`, shape (k, n), are starts of the user, of `number` altogether; `parameters` are the
    driver and those of its parameters that neither is in what was given.
    """
    return create_study(
        space,
        constraints=() if given.constraints is None else given.constraints,
        scale=given.scale,
        storage=keeping.storage,
        name=keeping.name,
        study_id=keeping.study_id,
        num_initial=number,
        max_num_minimizers=number,
        initial_samples=first.tolist(),
        seed=given.seed,
        direction=given.direction,
        **parameters,
        **keeping.parameters(),
    )


def of_vectors(
    given: Given,
    structure: Structure,
    keeping: Keeping,
    first: Vector,
    number: int,
    *,
    smooth: bool,
    **parameters: Any,
) -> tuple[Study, Space, Structure]:
    """Return the study of a loss that returns more than its value, its space and its structure.

    The parameters are those of `created`; `smooth` says that JAX differentiates what is given.
    """
    named = structure.with_positions(positions(given.loss))
    space = Space.of(named, scale=given.scale)
    two_sided = given.jac == "3-point"
    study = created(
        given, keeping, space, first, number, jac=smooth, two_sided=two_sided, **parameters
    )
    return study, space, named


def run(
    study: Study,
    space: Space,
    given: Given,
    keeping: Keeping,
    *,
    smooth: bool,
    made: Any = None,
    progress: bool | None,
    residuals: bool = False,
    outputs: bool = False,
    wrap: Callable[[Any], Any] | None = None,
) -> None:
    """Run a study that is not done; `smooth` says that JAX differentiates what is given.

    `made` is what it was traced to, where it was already; `wrap` adds to what it returns.

    `space` has the parameters as they were given: those of a file may have lost a class.
    """
    if study.is_done():
        return
    own = None if outputs else own_gradient(given)
    objective: Any = PlainStudyObjective(
        given.loss, given.units, space, residuals=residuals, gradient=outputs
    )
    if own is not None:
        objective = PlainStudyObjective(own, given.units, space, gradient=True)
    if smooth:
        objective = JaxStudyObjective(
            given.loss,
            units=given.units,
            x64=given.x64,
            residuals=residuals,
            outputs=outputs,
            made=made,
        )
    if wrap is not None:
        objective = wrap(objective)
    study.run(objective, executor=keeping.executor, progress=progress)


def result(study: Study, structure: Structure, *, units: bool) -> OptimizeResult:
    """Return where a study is as the result of a minimisation; `study` is the study itself."""
    info, best, compiled = study.info(), study.best, study.spec.compiled
    unit = _value_unit(study) if units else None
    slopes = None if best is None else best.gradient
    x = None if best is None else best.params if units else structure.build(best.x)
    made: OptimizeResult = OptimizeResult()
    made.update(
        x=x,
        fun=np.nan if best is None else best.value if unit is None else unit.attach(best.value),
        jac=None if slopes is None else structured(structure, slopes, unit, units=units),
        success=bool(info["success"]),
        status=0 if info["success"] else STATUS.get(str(study.stop_kind), NO_SUCCESS),
        message=study.stop_reason or "the study goes on when it is run again",
        nfev=study.num_evaluations,
        njev=study.num_evaluations if study.parameters["jac"] else 0,
        maxcv=0.0 if best is None or compiled is None else compiled.violation(best.x),
        active=info["active_constraints"],
        start=-1 if best is None else best.run,
        starts=study.runs,
        history=study.history,
        study=study,
        engine="study",
    )
    if info["multipliers"]:
        made["multipliers"] = info["multipliers"]
    return made


def _value_unit(study: Study) -> Unit | None:
    known = study.parameters["value_unit"]
    return None if known is None else rebuilt_unit(known["library"], known["unit"])
