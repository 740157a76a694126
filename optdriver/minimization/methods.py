"""Which methods there are, and the minimizers that they make at a start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver import coroutine
from optdriver.coroutine import constraints as walls
from optdriver.coroutine.options import kept_start, tolerance_names
from optdriver.coroutine.scipy_methods import known_method
from optdriver.drivers import driver_factory, engine_name
from optdriver.errors import ConstraintWarning, InputError, InputTypeError, say, unknown_option
from optdriver.lbfgsb import Options
from optdriver.minimization.finished import Population
from optdriver.minimization.lanes import LocalMinimizer
from optdriver.minimization.problem import COARSE, Problem, resolved, tolerances
from optdriver.multistart import local
from optdriver.multistart.handover import COMMON_OPTIONS
from optdriver.multistart.precision import Precision
from optdriver.objectives.jax_objective import JaxObjective

Vector = NDArray[np.float64]

MEANT = {
    "maxfev": "maxfun is the limit of evaluations",
    "eps": "the steps of differences are chosen here; with a gradient there are none",
    "finite_diff_rel_step": "the steps of differences are chosen here",
    "xtol": "ftol and gtol are the tolerances",
    "fatol": "ftol and gtol are the tolerances",
    "xatol": "ftol and gtol are the tolerances",
    "workers": "num_parallel= and executor= are arguments of minimize",
}
"""Options of other methods of SciPy's, and what to write instead."""

OURS = "L-BFGS-B"
OWN_OPTIONS = tuple(name for name in Options.__dataclass_fields__ if name != "cautious")
"""Those of L-BFGS-B that can be set: `minimize` is always cautious."""


def known(method: Any) -> str:
    """Return the real name of a method; names are those of `optdriver.drivers.driver_factory`.

    Raises
    ------
    InputError
        There is no such method; the message names the nearest one.
    """
    if method is None:
        return OURS
    if not isinstance(method, str):
        raise InputTypeError(f"a method is chosen by its name, a string, not {method!r}")
    found = driver_factory(method, "method")
    if found.fits:
        raise InputError(
            f"method {found.name!r} is for residuals: minimize(..., residuals=True), with a "
            "function that returns them"
        )
    if found.limits:
        raise InputError(
            f"method {found.name!r} is for outputs: minimize(..., outputs={{'stress': '<= 250'}}), "
            "with a function that returns them beside its value"
        )
    return found.name


def check_fits(method: str, problem: Problem, *, must_stay_feasible: bool) -> None:
    """Check that a method honours the bounds, and takes the constraints, of the problem.

    Raises
    ------
    InputError
        It does not; the message names the methods that do.

    Warns
    -----
    ConstraintWarning
        It may evaluate points that violate constraints.
    """
    called = None if method == OURS else known_method(method)
    if called is None:
        return  # a population looks at its box itself
    local.check_constraints(method, problem.constraints, must_stay_feasible=must_stay_feasible)
    if leaves(method, problem):
        say(walls.leaving(method), ConstraintWarning)
    bounded = np.flatnonzero(walls.bounded(problem.lower, problem.upper))
    if bounded.size and not called.bounds:
        i = int(bounded[0])
        structure = problem.structure
        names = ", ".join((OURS, *coroutine.method_names(bounds=True)))
        raise InputError(
            f"method {method!r} does not keep to bounds, and {structure.where(i)} has the bounds "
            f"({structure.lower[i]}, {structure.upper[i]}): use one that does ({names}), or the "
            "pair (None, None), and starts with x0="
        )


def leaves(method: str, problem: Problem) -> bool:
    """Return whether a method may evaluate points that violate constraints."""
    return known_method(method) is not None and walls.may_leave(method, problem.constraints)


class Factory:
    """Makes the minimizers of a method.

    Parameters
    ----------
    method : str
    problem : Problem
    tol : float or None
    options : mapping

    Attributes
    ----------
    precision : Precision or None
        What its minimizers are to be told with each value; under constraints they know it.

    Raises
    ------
    InputError
        An option is unknown or has no meaning for the method.
    """

    def __init__(self, method: str, problem: Problem, tol: Any, options: Mapping[str, Any]) -> None:
        self._method, self._problem = method, problem
        self._ours, called = method == OURS, known_method(method)
        self._calls_back = called is not None
        defaults = _own_defaults(problem, options) if self._ours else {}
        tests: tuple[str, ...] = tuple(name for name in ("ftol", "gtol") if name in defaults)
        if called is not None:
            tests = tolerance_names(called)
        # of an interior point gtol is not raised: its gradient is small at a large barrier, too
        self._raises_gtol = "barrier_tol" not in tests
        raisable = tests if self._raises_gtol else tuple(name for name in tests if name != "gtol")
        usual = {name: defaults.get(name) for name in raisable}
        raised = tolerances(problem.objective, tol, options, usual)
        given = {} if tol is None else dict.fromkeys(tests, tol)
        self._options = {**defaults, **given, **options, **raised}
        self._coarse = self._precision(tol, options) if self._ours else None
        self.precision = None if problem.has_rows else self._coarse
        curved = called.hessian if called is not None else ()
        smooth = isinstance(problem.objective, JaxObjective)
        self._hessian = ("product" if "product" in curved else "matrix") if curved else None
        self._hessian = self._hessian if smooth else None

    def _precision(self, tol: Any, options: Mapping[str, Any]) -> Precision | None:
        """Return that of coarse values, and let `ftol` be what was wanted of it."""
        spacing = self._problem.objective.resolution
        if spacing <= COARSE:
            return None
        self._options["ftol"] = wanted = _wanted_ftol(tol, options)
        return Precision(spacing=spacing, ftol=wanted, noise=self._options.get("noise", 0.0))

    def at(self, starts: Vector, seed: int) -> list[LocalMinimizer]:
        """Return a minimizer for each start, (k, n); `seed` is for those that need chance."""
        options = self._options
        if "gtol" in options and self._raises_gtol:
            options = {**options, "gtol": resolved(self._problem, starts, options["gtol"])}
        return [self._create(z, options, seed + k) for k, z in enumerate(starts)]

    def _create(self, z: Vector, options: Mapping[str, Any], seed: int) -> LocalMinimizer:
        problem = self._problem
        if self._ours:
            return local.create(
                z, problem.bounds, problem.constraints, options, precision=self._coarse
            )
        if not self._calls_back:
            engine = engine_name(self._method)
            return Population(engine, z, problem.bounds, seed, options, problem.constraints)
        options = kept_start(self._method, z, problem.bounds) | dict(options)
        return coroutine.CallbackMinimizer(
            self._method,
            z,
            problem.bounds,
            constraints=problem.constraints,
            hessian=self._hessian,
            cautious=True,
            **options,
        )


def precise(
    method: str, problem: Problem, tol: Any, options: Mapping[str, Any]
) -> dict[str, float]:
    """Return what a study is told of a loss in few digits, in place of a raised `ftol`."""
    spacing = problem.objective.resolution
    if method != OURS or spacing <= COARSE:
        return {}
    return {"ftol": _wanted_ftol(tol, options), "value_spacing": spacing}


def _wanted_ftol(tol: Any, options: Mapping[str, Any]) -> float:
    usual = Options().ftol if tol is None else float(tol)
    wanted: float = options.get("ftol", usual)
    return wanted


def _own_defaults(problem: Problem, options: Mapping[str, Any]) -> dict[str, Any]:
    usual = Options()
    for name in options:
        if name not in OWN_OPTIONS:
            raise unknown_option(f"option of {OURS}", name, OWN_OPTIONS, MEANT.get(name, ""))
    names = COMMON_OPTIONS if problem.has_rows else OWN_OPTIONS
    return {name: getattr(usual, name) for name in names}
