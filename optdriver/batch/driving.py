"""The loop over a batch: ask, evaluate, tell."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Unpack

from scipy.optimize import OptimizeResult

from optdriver.batch.ask_tell import Batch
from optdriver.errors import InputTypeError
from optdriver.lbfgsb.options import OptionArguments
from optdriver.reading import short

Objective = Callable[..., tuple[Any, Any]]
Callback = Callable[[Batch], Any]


def minimize_batch(
    fun: Objective,
    x0s: Any = None,
    bounds: Any = None,
    *,
    total: int | None = None,
    lanes: int | None = None,
    seed: int = 0,
    callback: Callback | None = None,
    **options: Unpack[OptionArguments],
) -> OptimizeResult:
    """Minimise from many starts, with one call of the objective a round for all of them.

    Parameters
    ----------
    fun : callable
        ``fun(X) -> (f, G)``: from k points, (k, n), their values, (k,), and gradients, (k, n).  k
        shrinks as runs end.  What is not finite is a failed evaluation of that point only.  If it
        has a parameter called ``lanes``, it is given the index of each point's start there, (k,).
    x0s : (N, n) array_like, optional
        The starts; see `Batch`, also for `bounds`, `total`, `lanes`, `seed` and the options, of
        which `cautious` is True here: an end is doubted before it is called a success.
    callback : callable, optional
        Called as ``callback(batch)`` after every round; if it returns True or raises
        StopIteration, all runs end.

    Returns
    -------
    scipy.optimize.OptimizeResult
        Arrays with a row for each start; see `Batch.result`.

    Raises
    ------
    InputError
        If something given, or returned by `fun`, cannot be used.

    Notes
    -----
    An exception of `fun` is not caught.  To go on after one, make the `Batch` yourself and run it
    with `drive`: it is as it was before the call that failed.

    Examples
    --------
    >>> import numpy as np
    >>> def ripples(X):
    ...     return np.cos(X).sum(axis=1) + 0.01 * (X**2).sum(axis=1), 0.02 * X - np.sin(X)
    >>> result = minimize_batch(ripples, bounds=[(-9, 9)] * 2, total=100, lanes=32)
    >>> int(result.success.sum()), float(result.fun.min().round(4))
    (100, -1.8065)
    """
    options.setdefault("cautious", True)
    batch = Batch(x0s, bounds, total=total, lanes=lanes, seed=seed, **options)
    return drive(batch, fun, callback)


def drive(batch: Batch, fun: Objective, callback: Callback | None = None) -> OptimizeResult:
    """Run a batch to its end; see `minimize_batch`.

    After an exception, of `fun` or of `callback`, call it again with the same batch.
    """
    if not callable(fun):
        raise InputTypeError(f"fun is {short(fun)}; expected a function fun(X) -> (f, G)")
    offered = _wants_lanes(fun)
    while not batch.done:
        x = batch.ask()
        answer = fun(x, lanes=batch.lanes) if offered else fun(x)
        try:
            f, g = answer
        except (TypeError, ValueError) as error:
            raise InputTypeError(
                f"the objective returned {short(answer)}; expected values and gradients, (f, G)"
            ) from error
        batch.tell(f, g)
        if callback is not None and _stops(callback, batch) and not batch.done:
            batch.halt("the callback said so")
    return batch.result


def _wants_lanes(fun: Objective) -> bool:
    """Whether the objective has a parameter called ``lanes``."""
    try:
        found = inspect.signature(fun).parameters.get("lanes")
    except (TypeError, ValueError):  # built in: nothing is known of it
        return False
    return found is not None and found.kind in (found.POSITIONAL_OR_KEYWORD, found.KEYWORD_ONLY)


def _stops(callback: Callback, batch: Batch) -> bool:
    try:
        return bool(callback(batch))
    except StopIteration:
        return True
