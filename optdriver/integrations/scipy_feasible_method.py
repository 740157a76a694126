"""optdriver's feasible minimizer as a method of `scipy.optimize.minimize`."""

from __future__ import annotations

import math
from collections import UserDict
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import OptimizeResult

from optdriver.constraints import ConstraintSet
from optdriver.errors import InputError, InputTypeError
from optdriver.feasible import FeasibleMinimizer, Stop
from optdriver.feasible.minimizer import MESSAGES
from optdriver.integrations.conventions import (
    HALTED,
    Ending,
    Told,
    as_told,
    calls,
    first,
    goes_on,
    parallel_map,
    start,
    wanted_scheme,
    warn_hessian,
    warn_unknown,
    whole,
)
from optdriver.objectives.differences import Differences, Scheme
from optdriver.objectives.evaluations import Evaluator
from optdriver.objectives.evaluations import Mapping as MapLike
from optdriver.objectives.feasible_differences import FeasibleDifferences

OPTIONS = (
    *("gtol", "ftol", "maxfun", "maxiter", "maxcor", "initial_radius", "tol", "eps"),
    *("finite_diff_rel_step", "finite_diff_scheme", "workers", "names", "fixed", "project_starts"),
)

NO_STEP = "no feasible finite-difference step was found in any direction"


def scipy_feasible_method(
    fun: Callable[..., Any],
    x0: ArrayLike,
    args: Any = (),
    jac: Callable[..., Any] | bool | str | None = None,
    hess: Any = None,
    hessp: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    callback: Callable[..., Any] | None = None,
    *,
    tol: float | None = None,
    gtol: float | None = None,
    ftol: float = 2.220446049250313e-09,
    maxfun: float = 15000,
    maxiter: float = 15000,
    maxcor: int | None = None,
    initial_radius: float = 1.0,
    eps: ArrayLike | None = None,
    finite_diff_rel_step: ArrayLike | None = None,
    finite_diff_scheme: str | None = None,
    workers: int | MapLike | None = None,
    names: Sequence[str] | None = None,
    fixed: Mapping[str, float] | None = None,
    project_starts: bool = True,
    **unknown: Any,
) -> OptimizeResult:
    """Minimize under constraints without ever violating one, through `scipy.optimize.minimize`.

    Use it as ``minimize(fun, x0, jac=True, bounds=bounds, constraints=constraints,
    method=optdriver.scipy_feasible_method)``; the options go into ``options={...}``.

    Parameters
    ----------
    fun, x0, args, jac, bounds, callback
        As for `optdriver.scipy_method`.  `fun` is called at feasible points only, those of the
        finite differences included.
    hess, hessp
        Not used; a RuntimeWarning says so if they are given.
    constraints : constraint, or sequence of constraints
        SciPy's dictionaries (``'ineq'`` means ``fun(x) >= 0``), `NonlinearConstraint`,
        `LinearConstraint` and `Bounds`; texts over ``x1`` to ``xn`` such as ``"x1^2 + x2 <= 1"``,
        and dictionaries with ``name`` and ``constraint``; all of these mixed; or one
        `optdriver.constraints.ConstraintSet`, which then has the bounds too.
        `minimize` hands them all on as they are if `method` is given.
        The functions of constraints, unlike `fun`, are called anywhere in the box, and beside
        it for differences if they have no `jac`.
    tol : float, optional
        Sets `gtol` where it is not given.
    gtol : float, default 1e-6
        Success when the residual of the first-order conditions, `kkt`, is at most this, in the unit
        of `fun`: a sixteenth of its value, as a power of two, or what its start tells if its value
        is about 0.
    ftol : float
        Success, too, when a step changes `fun` by no more than this part of its value (of its unit,
        if that is larger), and the model, which must not be cut short by the trust region, promises
        no more than that for the next.  With 0 the first-order conditions alone decide.
    maxfun : int
        Greatest number of calls of `fun`, those for differences included: no call is made that
        could exceed it.
    maxiter : int
        Greatest number of iterations, which are accepted steps.
    maxcor : int
        Number of pairs kept; by default that of the variables, at least 20, and 20 where there are
        150 variables or more.
    initial_radius : float
        First trust region, relative to ``max(1, abs(x0))``.
    eps : float or (n,) array, optional
        Absolute step of the differences that stand in for a gradient when there is none.
    finite_diff_rel_step : float or (n,) array, optional
        Step of the differences relative to ``abs(x)``.  Without this and `eps` it is
        ``1.5e-8 * max(1, abs(x))``, or ``6e-6 * max(1, abs(x))`` for central differences.
    finite_diff_scheme : {'2-point', '3-point', 'cs'}, optional
        One-sided differences; central ones where both sides are feasible; or the complex step.
        `minimize` hides a `jac` of that name from methods that are not its own.
    workers : int or map-like callable, optional
        As for `optdriver.scipy_method`.
    names : sequence of str, optional
        Names of the variables in texts, instead of ``x1`` to ``xn``.
    fixed : mapping of str to float, optional
        Further names in texts, with their values.
    project_starts : bool
        Move a start that violates a constraint to the nearest feasible point found; `notes` and
        `message` of the result say how far.  False: it is an error.

    Returns
    -------
    scipy.optimize.OptimizeResult
        ``x, fun, jac, nfev, njev, nit, status, success, message`` as SciPy's methods give them,
        and ``active`` (names of the active constraints), ``multipliers`` (by the name of each
        constraint; not negative for inequalities), ``bound_multipliers``, ``kkt`` (what is left
        of the first-order conditions), ``certified``, ``maxcv`` (greatest violation, each
        constraint divided by the size of its gradient), ``stop``, ``nfail`` and ``notes``.
        ``x, fun, jac`` are the best point that was evaluated.

        By differences on an equality, `jac` is the gradient along it, from which no multiplier can
        be told: `multipliers` is empty and `bound_multipliers` are NaN then.

    Raises
    ------
    InputError
        (a ValueError) for unusable values, when no feasible point is found (it names the
        constraint that resists), and when a gradient by differences is wanted at a start that
        has no feasible point beside it.  Nothing has been evaluated then.

    Warns
    -----
    scipy.optimize.OptimizeWarning
        For an unknown option, with the nearest known one.
    """
    warn_unknown(list(unknown), OPTIONS)
    warn_hessian("scipy_feasible_method", hess, hessp)
    kept: dict[str, Any] = {} if maxcor is None else {"maxcor": maxcor}
    opt = FeasibleMinimizer(
        start(x0),
        _together(constraints, bounds, names, fixed),
        bounds,
        names=names,
        fixed=fixed,
        project_starts=project_starts,
        gtol=first(gtol, tol, 1e-6),
        ftol=ftol,
        maxfun=math.inf,  # the cap counts calls, differences included: `_run` keeps it
        maxiter=whole("maxiter", maxiter),
        **kept,
        initial_radius=initial_radius,
    )
    source = _gradient_source(opt, jac, finite_diff_scheme, finite_diff_rel_step, eps)
    with parallel_map(workers if isinstance(source, Scheme) else None) as mapping:
        arguments = args if isinstance(args, tuple) else (args,)
        evaluate = Evaluator(fun=fun, args=arguments, jac=source, mapping=mapping)
        cap = calls("maxfun", maxfun, evaluate.cost)
        ending = _run(opt, evaluate, cap, as_told(callback))
    return _report(opt, evaluate, ending)


def _together(constraints: Any, bounds: Any, names: Any, fixed: Any) -> Any:
    """Return constraints as the minimizer takes them: one, a list, or a set that is complete."""
    if isinstance(constraints, ConstraintSet):
        for name, value in (("bounds", bounds), ("names", names), ("fixed", fixed)):
            if value is not None:
                raise InputError(f"a ConstraintSet has its own {name}: give them to it instead")
        return constraints
    single = isinstance(constraints, str | Mapping) or hasattr(constraints, "lb")
    if constraints is None or single:
        return constraints
    try:
        return list(constraints)
    except TypeError:
        raise InputTypeError(
            "constraints are texts such as 'x1 + x2 <= 1' or constraints of SciPy's, not "
            f"{constraints!r}"
        ) from None


def _gradient_source(
    opt: FeasibleMinimizer,
    jac: Callable[..., Any] | bool | str | None,
    scheme: str | None,
    rel_step: ArrayLike | None,
    eps: ArrayLike | None,
) -> Callable[..., Any] | bool | Scheme:
    """Where gradients come from: the user's function, or differences between feasible values."""
    if callable(jac) or jac is True:
        return jac
    scheme = wanted_scheme(jac, scheme) or "2-point"
    known: Any = opt.constraints
    made = Differences(  # checks the name of the scheme and the steps
        scheme=scheme, lower=known.lower, upper=known.upper, abs_step=eps, rel_step=rel_step
    )
    if scheme == "cs":
        return made  # its points differ from x in their imaginary part alone
    return FeasibleDifferences(scheme=scheme, constraints=known, abs_step=eps, rel_step=rel_step)


def _run(opt: FeasibleMinimizer, evaluate: Evaluator, maxfun: float, told: Told | None) -> Ending:
    """Run to the end; return who ended it."""
    while not opt.done:
        x, nit = opt.ask(), opt.nit
        if not _differentiable(opt, evaluate, x):
            opt.tell_failure(NO_STEP)
            continue
        if evaluate.nfev + evaluate.cost > maxfun:
            return Ending.CALLS
        f, g = evaluate(x)
        if g is None:
            opt.tell_failure(f"the objective is {f}")
        else:
            opt.tell(f, g)
        if opt.nit > nit and not goes_on(told, x, f):
            return Ending.CALLBACK
    return Ending.MINIMIZER


def _differentiable(opt: FeasibleMinimizer, evaluate: Evaluator, x: Any) -> bool:
    """Whether a gradient can be had at `x`; an error if it cannot at the start."""
    if not isinstance(evaluate.jac, FeasibleDifferences) or evaluate.jac.possible(x):
        return True
    if opt.at_start:
        raise InputError(f"{NO_STEP} at the start {x}; give the gradient as jac")
    return False


def _report(opt: FeasibleMinimizer, evaluate: Evaluator, ending: Ending) -> OptimizeResult:
    """Make SciPy's result of the minimizer's."""
    result = opt.result
    result.update(
        nfev=evaluate.nfev, njev=evaluate.njev, multipliers=_multipliers(opt.constraints, result)
    )
    if isinstance(evaluate.jac, FeasibleDifferences) and evaluate.jac.constraints.n_equalities:
        unknown = np.full(len(result.x), math.nan)
        result.update(multipliers=UserDict(), bound_multipliers=unknown)
    if ending is Ending.CALLS:
        stop = Stop.MAX_EVALUATIONS
        result.update(stop=stop, status=1, success=False, message=MESSAGES[stop])
    elif ending is Ending.CALLBACK:
        result.update(stop=Stop.HALTED, status=99, success=False, message=HALTED)
    if opt.notes:
        result["message"] = "; ".join((result["message"], *opt.notes))
    return result


def _multipliers(constraints: Any, result: OptimizeResult) -> MutableMapping[str, float]:
    """Return the multipliers by name, those of constraints that were mere bounds too."""
    known = dict(result.multipliers)
    for (i, _), name in constraints.bound_names.items():
        if not math.isnan(result.bound_multipliers[i]):
            known.setdefault(name, float(abs(result.bound_multipliers[i])))
    return known or UserDict()  # SciPy cannot print a result with an empty dict in it
