"""Optuna: its batched L-BFGS-B, on optdriver's batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optdriver.batch import Batch, drive
from optdriver.errors import InputError
from optdriver.integrations.batched import (
    EPSILON,
    Floats,
    doubled,
    iterations,
    limit,
    positive,
    starts,
    tolerance,
)
from optdriver.integrations.swapping import Exchange

__all__ = ["batched_lbfgsb", "installed"]


def batched_lbfgsb(
    func_and_grad: Callable[..., tuple[Any, Any]],
    x0_batched: ArrayLike,
    batched_args: Sequence[Sequence[Any]] = (),
    bounds: Any = None,
    m: int = 10,
    factr: float = 1e7,
    pgtol: float = 1e-5,
    max_evals: float = 15000,
    max_iters: float = 15000,
    max_line_search: int = 20,
) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Minimize from many starts at once, with the arguments of Optuna's `batched_lbfgsb`.

    Parameters
    ----------
    func_and_grad : callable
        ``func_and_grad(X, *args)`` returns the values (k,) and the gradients (k, dim) at the rows
        of X (k, dim), the pending points of the starts that have not ended, in their order.
    x0_batched : (B, dim) array_like
        The starts; moved into the bounds where they lie outside.
    batched_args : tuple of sequences, each of length B
        More arguments of `func_and_grad`, one of each for every start.  In every round they are
        lists of length k: those of the starts that have not ended.
    bounds : sequence of dim pairs, optional
        None and infinities stand for no bound.
    m : int
        Number of correction pairs kept.
    factr : float
        Stop when ``(f_k - f_{k+1}) / max(|f_k|, |f_{k+1}|, 1) <= factr * 2.2e-16``.
    pgtol : float
        Stop when no component of the projected gradient exceeds it.
    max_evals : int
        Most evaluations from one start, never exceeded.
    max_iters : int
        Most iterations from one start; one is made in any case, as by Optuna's.
    max_line_search : int
        Most evaluations in one line search.

    Returns
    -------
    x : (B, dim) array
        The best points evaluated.
    f : (B,) array
        Their values; NaN where no evaluation succeeded.
    iterations : (B,) array of int
        Iterations from each start.

    Raises
    ------
    InputError
        (a ValueError) for unusable values.

    See Also
    --------
    installed : Optuna itself on this function.

    Notes
    -----
    Unlike Optuna's, this needs no greenlet, and takes infinite values and NaN for failed
    evaluations (the step goes back).
    """
    x0 = starts("x0_batched", x0_batched)
    _check_arguments(batched_args, len(x0))
    batch = Batch(
        x0,
        bounds,
        maxcor=positive("m", m),
        ftol=tolerance("factr", factr) * EPSILON,
        gtol=tolerance("pgtol", pgtol),
        maxfun=limit("max_evals", max_evals),
        maxiter=iterations("max_iters", max_iters),
        maxls=positive("max_line_search", max_line_search),
    )

    def objective(x: Floats, lanes: NDArray[np.intp]) -> Any:
        rows = lanes.tolist()
        return doubled(func_and_grad(x, *([arg[i] for i in rows] for arg in batched_args)))

    result = drive(batch, objective)
    return result.x, result.fun, result.nit


def _check_arguments(batched_args: Sequence[Sequence[Any]], size: int) -> None:
    for j, arg in enumerate(batched_args):
        if len(arg) != size:
            raise InputError(
                f"batched_args[{j}] has length {len(arg)}; expected {size}: an entry for each start"
            )


EXCHANGE = Exchange(
    package="optuna",
    home="optuna._gp.batched_lbfgsb",
    name="batched_lbfgsb",
    user=("optuna._gp.optim_mixed", "batched_lbfgsb.batched_lbfgsb"),
    ours=batched_lbfgsb,
)


def installed() -> AbstractContextManager[None]:
    """Let Optuna's `GPSampler` use `batched_lbfgsb` of this module, while a block runs.

    ``with installed(): study.optimize(...)``.  Optuna's private function is exchanged in every
    module of Optuna that holds it, in all threads, and restored at the end, whatever ends the
    block.

    Raises
    ------
    MissingExtraError
        If Optuna is not installed (the extra ``optuna``).
    OptDriverError
        If this version of Optuna has no such function, or one with other arguments.
    """
    return EXCHANGE.installed()
