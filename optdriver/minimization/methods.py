"""Which methods there are, and the minimizers that they make at a start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver import coroutine
from optdriver.coroutine.options import TOLERANCES
from optdriver.errors import InputError, InputTypeError, unknown_option
from optdriver.lbfgsb import Options
from optdriver.minimization.lanes import LocalMinimizer
from optdriver.minimization.problem import Problem, tolerances
from optdriver.multistart import local
from optdriver.objectives.jax_objective import JaxObjective

Vector = NDArray[np.float64]
Create = Callable[[Vector], LocalMinimizer]

OURS = "L-BFGS-B"


def known(method: Any) -> str:
    """Return the real name of a method, which may be written in another case.

    Raises
    ------
    InputError
        There is no such method; the message names the nearest one.
    """
    if method is None:
        return OURS
    if not isinstance(method, str):
        raise InputTypeError(f"a method is chosen by its name, a string, not {method!r}")
    plain = method.strip().lower().replace("_", "-")
    names = {name.lower(): name for name in (OURS, *coroutine.method_names())}
    if plain not in names:
        raise unknown_option("method", method, names.values())
    return names[plain]


def check_fits(method: str, problem: Problem) -> None:
    """Check that a method honours the bounds and the constraints of the problem.

    Raises
    ------
    InputError
        It does not; the message names the methods that do.
    """
    if method == OURS:
        return
    if problem.has_rows:
        raise InputError(
            f"method {method!r} evaluates points that violate constraints; {OURS!r} never does, "
            "and is the one method that takes them"
        )
    finite = np.isfinite(problem.lower) | np.isfinite(problem.upper)
    bounded = np.flatnonzero(finite & (problem.lower < problem.upper))
    if bounded.size and not coroutine.named(method).bounds:
        i = int(bounded[0])
        structure = problem.structure
        names = ", ".join((OURS, *coroutine.method_names(bounds=True)))
        raise InputError(
            f"method {method!r} does not keep to bounds, and {structure.where(i)} has the bounds "
            f"({structure.lower[i]}, {structure.upper[i]}): use one that does ({names}), or the "
            "pair (None, None), and starts with x0="
        )


def factory(method: str, problem: Problem, tol: Any, options: Mapping[str, Any]) -> Create:
    """Return what makes a minimizer at a start.

    Raises
    ------
    InputError
        An option is unknown or has no meaning for the method.
    """
    if method == OURS:
        return _ours(problem, tol, options)
    return _suspended(method, problem, tol, options)


def _ours(problem: Problem, tol: Any, options: Mapping[str, Any]) -> Create:
    usual = Options()
    names = local.COMMON_OPTIONS if problem.has_rows else tuple(Options.__dataclass_fields__)
    for name in options:
        if name not in names:
            under = " under constraints" if problem.has_rows else ""
            raise unknown_option(f"option of {OURS}{under}", name, names)
    tests = [name for name in ("ftol", "gtol") if name in names]
    defaults: dict[str, float | None] = {name: getattr(usual, name) for name in tests}
    wanted = {name: getattr(usual, name) for name in local.COMMON_OPTIONS}
    wanted |= {**options, **tolerances(problem.objective, tol, options, defaults)}
    return lambda z: local.create(z, problem.bounds, problem.constraints, wanted)


def _suspended(method: str, problem: Problem, tol: Any, options: Mapping[str, Any]) -> Create:
    tests = TOLERANCES.get(method, ("gtol",))
    raised = tolerances(problem.objective, tol, options, dict.fromkeys(tests, None))
    wanted = {**options, **raised}
    forms = coroutine.named(method).hessian if isinstance(problem.objective, JaxObjective) else ()
    hessian = "product" if "product" in forms else "matrix" if forms else None

    def create(z: Vector) -> LocalMinimizer:
        return coroutine.CallbackMinimizer(method, z, problem.bounds, hessian=hessian, **wanted)

    return create
