"""BoTorch: its batched L-BFGS-B, on optdriver's batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeResult

from optdriver.batch import Batch, drive
from optdriver.errors import InputError, say
from optdriver.integrations.batched import (
    EPSILON,
    Floats,
    doubled,
    iterations,
    positive,
    starts,
    tolerance,
)
from optdriver.integrations.conventions import Told, as_told, first, goes_on
from optdriver.integrations.swapping import Exchange
from optdriver.lbfgsb import Phase, State, Stop
from optdriver.lbfgsb.hessian import InverseHessian
from optdriver.lbfgsb.minimizer import stored_pairs

__all__ = ["fmin_l_bfgs_b_batched", "installed"]

HALTED = "STOP: CALLBACK REQUESTED HALT"
"""BoTorch's message for a start that the callback has ended."""


def fmin_l_bfgs_b_batched(
    func: Callable[..., tuple[Any, Any]],
    x0: ArrayLike,
    bounds: Any = None,
    maxcor: int = 10,
    factr: float | None = 1e7,
    ftol: float | None = None,
    pgtol: float = 1e-5,
    tol: float | None = None,
    maxiter: float = 15000,
    disp: Any = None,
    callback: Callable[..., Any] | None = None,
    maxls: int = 20,
    pass_batch_indices: bool = False,
) -> tuple[Floats, Floats, list[OptimizeResult]]:
    """Minimize from many starts at once, with the arguments of BoTorch's `fmin_l_bfgs_b_batched`.

    Parameters
    ----------
    func : callable
        ``func(X)`` returns the values (k,) and the gradients (k, n) at the rows of X (k, n), the
        pending points of the starts that have not ended, in their order.
    x0 : (b, n) array_like
        The starts; moved into the bounds where they lie outside.
    bounds : sequence of n pairs, optional
        None and infinities stand for no bound.
    maxcor : int
        Number of correction pairs kept.
    factr : float
        Stop when ``(f_k - f_{k+1}) / max(|f_k|, |f_{k+1}|, 1) <= factr * 2.2e-16``.
    ftol : float, optional
        The product itself; `factr` must then be None.
    pgtol : float
        Stop when no component of the projected gradient exceeds it.
    tol : float, optional
        Another name for `pgtol`; it goes before.
    maxiter : int
        Most iterations from one start; one is made in any case, as by BoTorch's.
    disp
        Without effect, and deprecated in BoTorch.
    callback : callable, optional
        Called after each iteration from each start, as ``callback(x)`` with a copy of the
        iterate, or with ``intermediate_result=OptimizeResult(x=..., fun=...)`` if that is its only
        argument.  By raising `StopIteration` it ends the run from that start, no other.
    maxls : int
        Most evaluations in one line search.
    pass_batch_indices : bool
        Whether to call ``func(X, batch_indices=[...])`` with the rows of `x0` that the rows of X
        belong to.

    Returns
    -------
    x : (b, n) array
        The best points evaluated.
    f : (b,) array
        Their values; NaN where no evaluation succeeded.
    results : list of scipy.optimize.OptimizeResult
        For each start ``x, fun, jac, nfev, njev (None), nit, status, success, message, hess_inv``;
        the status is 0 for convergence, 1 where `maxiter` was reached, else 2.

    Raises
    ------
    InputError
        (a ValueError) for unusable values.

    Warns
    -----
    DeprecationWarning
        If `disp` is given.

    See Also
    --------
    installed : BoTorch itself on this function.

    Notes
    -----
    Unlike BoTorch's, this takes infinite values and NaN for failed evaluations (the step goes
    back), takes no starts at all for an empty answer, and reports a start that converges in its
    last allowed iteration as converged.
    """
    if disp is not None:
        text = "the argument disp is deprecated in BoTorch and has no effect"
        say(text, DeprecationWarning)
    batch = Batch(
        starts("x0", x0),
        bounds,
        maxcor=positive("maxcor", maxcor),
        ftol=_reduction(factr, ftol),
        gtol=tolerance("pgtol" if tol is None else "tol", first(tol, pgtol)),
        maxfun=math.inf,
        maxiter=iterations("maxiter", maxiter),
        maxls=positive("maxls", maxls),
    )
    states = batch.states

    def objective(x: Floats, lanes: NDArray[np.intp]) -> Any:
        indices = {"batch_indices": lanes.tolist()} if pass_batch_indices else {}
        return doubled(func(x, **indices))

    told = as_told(callback)
    follow = None if told is None else _Follower(told=told, states=states)
    result = drive(batch, objective, follow)
    results = _by_start(result, states)
    for i in follow.halted if follow else ():
        results[i].update(_halt(results[i].nit >= maxiter))
    return result.x, result.fun, results


def _reduction(factr: float | None, ftol: float | None) -> float:
    """Return the tolerance of the reduction; one of the two must say it."""
    if ftol is None:
        return tolerance("factr", factr) * EPSILON
    if factr is not None:
        raise InputError(f"ftol is {ftol!r} and factr is {factr!r}; with ftol, give factr=None")
    return tolerance("ftol", ftol)


@dataclass(kw_only=True)
class _Follower:
    """Calls the callback for each iteration of a round, and ends what it wants ended."""

    told: Told
    states: tuple[State, ...]
    iterations: list[int] = field(init=False)
    halted: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.iterations = [0] * len(self.states)

    def __call__(self, batch: Batch) -> None:
        for i, state in enumerate(self.states):
            if state.nit > self.iterations[i]:
                self.iterations[i] = state.nit
                if not goes_on(self.told, state.vector("x").copy(), float(state.f)):
                    self._end(batch, i, state)

    def _end(self, batch: Batch, i: int, state: State) -> None:
        self.halted.append(i)
        if state.phase != Phase.DONE:
            batch.halt(lanes=[i])


def _halt(at_limit: bool) -> dict[str, Any]:
    """Return how BoTorch reports a start that the callback has ended, at the limit or before."""
    if at_limit:
        return {"status": 1, "success": False, "message": Stop.MAX_ITERATIONS.message}
    return {"status": 2, "success": False, "message": HALTED}


def _by_start(result: OptimizeResult, states: tuple[State, ...]) -> list[OptimizeResult]:
    """Return the results of the starts, one by one, with BoTorch's fields."""
    columns = {
        "fun": result.fun,
        "jac": result.jac.copy(),
        "nfev": result.nfev.tolist(),
        "njev": [None] * len(states),
        "nit": result.nit.tolist(),
        "status": np.minimum(result.status, 2).tolist(),
        "message": result.message,
        "x": result.x.copy(),
        "success": result.success.tolist(),
        "hess_inv": [InverseHessian(*stored_pairs(s), float(s.theta)) for s in states],
    }
    results = []
    for row in zip(*columns.values(), strict=True):
        one = OptimizeResult()
        one.update(zip(columns, row, strict=True))
        results.append(one)
    return results


EXCHANGE = Exchange(
    package="botorch",
    home="botorch.optim.batched_lbfgs_b",
    name="fmin_l_bfgs_b_batched",
    user=("botorch.generation.gen", "fmin_l_bfgs_b_batched"),
    ours=fmin_l_bfgs_b_batched,
)


def installed() -> AbstractContextManager[None]:
    """Let BoTorch use `fmin_l_bfgs_b_batched` of this module, while a block runs.

    ``with installed(): optimize_acqf(...)``.  BoTorch's function is exchanged in every module of
    BoTorch that holds it, in all threads, and restored at the end, whatever ends the block.

    Raises
    ------
    MissingExtraError
        If BoTorch is not installed (the extra ``botorch``).
    OptDriverError
        If this version of BoTorch has no such function, or one with other arguments, or does not
        use it with this version of SciPy.
    """
    return EXCHANGE.installed()
