"""optdriver's L-BFGS-B as a method of `scipy.optimize.minimize`.

SciPy hands a method of one's own the raw bounds, the raw callback and the options as keywords, and
leaves to it what it does for its own methods: that is done here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import OptimizeResult

from optdriver.errors import say
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
from optdriver.lbfgsb import LBFGSB, Stop
from optdriver.objectives.differences import Differences, Floats
from optdriver.objectives.evaluations import Evaluator, Mapping

if TYPE_CHECKING:  # the stubs of SciPy accept no wider types of `x0` and the result of a method
    from scipy.optimize._minimize import OptimizeResult as MinimizeResult

DEPRECATED = ("disp", "iprint")
"""Options that SciPy 1.17 still takes and that do nothing."""

OPTIONS = (
    *("maxcor", "ftol", "gtol", "eps", "maxfun", "maxiter", "maxls", "finite_diff_rel_step"),
    *("workers", "tol", "finite_diff_scheme", "initial_step", "noise", "pairs"),
)


def scipy_method(
    fun: Callable[..., Any],
    x0: Any,
    args: Any = (),
    jac: Callable[..., Any] | bool | str | None = None,
    hess: Any = None,
    hessp: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    callback: Callable[..., Any] | None = None,
    *,
    tol: float | None = None,
    maxcor: int = 10,
    ftol: float | None = None,
    gtol: float | None = None,
    eps: ArrayLike = 1e-8,
    maxfun: float = 15000,
    maxiter: float = 15000,
    maxls: int = 20,
    finite_diff_rel_step: ArrayLike | None = None,
    workers: int | Mapping | None = None,
    finite_diff_scheme: str | None = None,
    initial_step: float | None = None,
    noise: float = 0.0,
    pairs: tuple[ArrayLike, ArrayLike] | None = None,
    **unknown: Any,
) -> MinimizeResult:
    """Minimize with optdriver's L-BFGS-B, through `scipy.optimize.minimize`.

    Use it as ``minimize(fun, x0, jac=True, bounds=bounds, method=optdriver.scipy_method)``; the
    options go into ``options={...}`` and have SciPy's names, meanings and defaults.

    Parameters
    ----------
    fun, x0, args, jac, bounds, callback
        As for `scipy.optimize.minimize`.  Bounds are a sequence of pairs (None and infinities
        stand for no bound), an (n, 2) array or `scipy.optimize.Bounds`.  The callback is called
        after each iteration with a copy of the iterate, or with
        ``intermediate_result=OptimizeResult(x=..., fun=...)`` if that is its only argument; it
        ends the run by raising `StopIteration`.
    hess, hessp, constraints
        Not used; a RuntimeWarning says so if they are given.
    tol : float, optional
        Sets `ftol` and `gtol` where they are not given.
    maxcor : int
        Number of correction pairs kept.
    ftol : float, default 2.220446049250313e-09
        Stop when ``(f_k - f_{k+1}) / max(|f_k|, |f_{k+1}|, 1) <= ftol``.
    gtol : float, default 1e-5
        Stop when no component of the projected gradient exceeds it.
    eps : float or (n,) array
        Absolute step of the forward differences that stand in for a gradient when there is none.
    maxfun : int
        Greatest number of calls of `fun`, those for differences included.  A hard limit, unlike
        SciPy's: no call is made that could exceed it.
    maxiter : int
        Greatest number of iterations.
    maxls : int
        Greatest number of trials in one line search.
    finite_diff_rel_step : float or (n,) array, optional
        Step of the differences relative to ``abs(x)``.
    workers : int or map-like callable, optional
        Evaluates the points of one gradient in parallel, as ``workers(fun, points)``; a number
        stands for a pool of so many processes, -1 for one on each processor.
    finite_diff_scheme : {'2-point', '3-point', 'cs'}, optional
        Difference scheme with relative steps.  `scipy.optimize.minimize` hides a `jac` of that
        name from methods that are not its own, so name the scheme in this option instead.
    initial_step, noise, pairs
        As for `optdriver.LBFGSB`, not known to SciPy's own method.

    Returns
    -------
    scipy.optimize.OptimizeResult
        With the fields ``x, fun, jac, nfev, njev, nit, status, success, message, hess_inv`` of
        SciPy's own L-BFGS-B, and `stop` and `nfail` of optdriver.  ``x, fun, jac`` are the best
        point that was evaluated.  With differences, `nfev` counts every call, `njev` the
        gradients, and `jac` is NaN where ``lb == ub``.

    Raises
    ------
    InputError
        (a ValueError) for unusable values, among them a `maxfun` that does not suffice for one
        gradient by differences.

    Warns
    -----
    scipy.optimize.OptimizeWarning
        For an unknown option, with the nearest known one.
    """
    warn_unknown([name for name in unknown if name not in DEPRECATED], OPTIONS)
    warn_hessian("scipy_method", hess, hessp)
    _warn_unused(unknown, constraints)
    if not isinstance(args, tuple):
        args = (args,)
    opt = LBFGSB(
        start(x0),
        bounds,
        maxcor=maxcor,
        ftol=first(ftol, tol, 2.220446049250313e-09),
        gtol=first(gtol, tol, 1e-5),
        maxfun=math.inf,  # the cap counts calls, differences included: `_run` keeps it
        maxiter=whole("maxiter", maxiter),
        maxls=maxls,
        initial_step=initial_step,
        noise=noise,
        pairs=pairs,
    )
    source = _gradient_source(opt, jac, finite_diff_scheme, finite_diff_rel_step, eps)
    with parallel_map(workers if isinstance(source, Differences) else None) as mapping:
        evaluate = Evaluator(fun=fun, args=args, jac=source, mapping=mapping)
        cap = calls("maxfun", maxfun, evaluate.cost)
        ending = _run(opt, evaluate, cap, as_told(callback))
    return cast("MinimizeResult", _report(opt, evaluate, ending))


def _warn_unused(unknown: dict[str, Any], constraints: Any) -> None:
    """Say what else is given and has no effect, as SciPy says it."""
    for name in (name for name in DEPRECATED if name in unknown):
        text = f"the option {name!r} of L-BFGS-B is deprecated in SciPy and has no effect"
        say(text, DeprecationWarning)
    if np.any(constraints):
        text = "Method scipy_method cannot handle constraints."
        say(text, RuntimeWarning)


def _gradient_source(
    opt: LBFGSB,
    jac: Callable[..., Any] | bool | str | None,
    scheme: str | None,
    rel_step: ArrayLike | None,
    eps: ArrayLike,
) -> Callable[..., Any] | bool | Differences:
    """Where gradients come from: the user's function, or differences between values."""
    if callable(jac) or jac is True:
        return jac
    scheme = wanted_scheme(jac, scheme)
    absolute = scheme is None and rel_step is None
    box = opt.state.arrays
    return Differences(
        scheme="2-point" if scheme is None else scheme,
        lower=box["l"].copy(),
        upper=box["u"].copy(),
        abs_step=eps if absolute else None,
        rel_step=rel_step,
    )


def _run(
    opt: LBFGSB,
    evaluate: Evaluator,
    maxfun: float,
    told: Told | None,
) -> Ending:
    """Run to the end; return who ended it."""
    while not opt.done:
        if evaluate.nfev + evaluate.cost > maxfun:
            return Ending.CALLS
        nit = opt.nit
        f, g = evaluate(opt.ask())
        if g is None:
            opt.tell_failure(f"the objective is {f}")
        else:
            opt.tell(f, g)
        if opt.nit > nit and not goes_on(told, *_iterate(opt)):
            return Ending.CALLBACK
    return Ending.MINIMIZER


def _iterate(opt: LBFGSB) -> tuple[Floats, float]:
    """Return the iterate and its value: there is one where an iteration has just ended."""
    at: Any = opt.iterate
    return at[0], at[1]


def _report(opt: LBFGSB, evaluate: Evaluator, ending: Ending) -> OptimizeResult:
    """Make SciPy's result of the minimizer's."""
    result = opt.result
    result.update(nfev=evaluate.nfev, njev=evaluate.njev)
    if ending is Ending.CALLS:
        result.update(_outcome(Stop.MAX_EVALUATIONS))
    elif ending is Ending.CALLBACK:
        result.update(_outcome(Stop.HALTED), message=HALTED)
    fixed = opt.state.arrays["l"] == opt.state.arrays["u"]
    if isinstance(evaluate.jac, Differences):
        result["jac"] = np.where(fixed, np.nan, result["jac"])
    if opt.converged and fixed.all():
        result["message"] = "All independent variables were fixed by bounds."
    if result["status"] == Stop.FAILED.status:
        result["status"] = 2  # SciPy's number for every other reason
    return result


def _outcome(stop: Stop) -> dict[str, Any]:
    return {
        "stop": stop,
        "status": stop.status,
        "message": stop.message,
        "success": stop.success,
    }
