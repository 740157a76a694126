"""The optimisers that optdriver is measured beside, each behind one small function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

Vector = NDArray[Any]
Objective = Callable[[Vector], tuple[Any, Vector]]

# scipy-stubs wants literal option dictionaries, and does not know the private kernel.
_minimize: Any = scipy.optimize.minimize


def scipy_minimize(fun: Objective, x0: Vector, bounds: Any = None, **options: Any) -> Any:
    """Run ``scipy.optimize.minimize(method='L-BFGS-B')`` with the gradient supplied."""
    return _minimize(fun, x0, jac=True, bounds=bounds, method="L-BFGS-B", options=options)


def setulb_arguments(x0: Vector, bounds: Vector | None, maxcor: int) -> list[Any]:
    """Return the workspace of SciPy's private kernel, laid out as SciPy 1.15 to 1.17 do.

    The order is that of ``_lbfgsb.setulb`` after its first argument: x, lower, upper, nbd, f, g,
    factr, pgtol, wa, iwa, task, lsave, isave, dsave, maxls, ln_task.
    """
    n, m = x0.size, maxcor
    lower, upper = np.zeros(n), np.zeros(n)
    nbd = np.zeros(n, dtype=np.int32)
    if bounds is not None:
        has_lower, has_upper = np.isfinite(bounds).T
        lower[has_lower], upper[has_upper] = bounds[has_lower, 0], bounds[has_upper, 1]
        nbd[has_lower], nbd[has_upper] = 1, 3
        nbd[has_lower & has_upper] = 2
    head = [x0.copy(), lower, upper, nbd, np.array(0.0), np.zeros(n)]
    tolerances = [2.220446049250313e-09 / np.finfo(float).eps, 1e-5]
    work = [np.zeros(2 * m * n + 5 * n + 11 * m * m + 8 * m), np.zeros(3 * n, dtype=np.int32)]
    sizes = ((2, np.int32), (4, np.int32), (44, np.int32), (29, np.float64))
    saved = [np.zeros(size, dtype=kind) for size, kind in sizes]
    return [*head, *tolerances, *work, *saved, 20, np.zeros(2, dtype=np.int32)]


def bare_kernel(
    fun: Objective, x0: Vector, bounds: Vector | None, maxcor: int, maxfun: int
) -> tuple[int, Vector]:
    """Loop over SciPy's private kernel and nothing else; return evaluations and the last point.

    For measurements only: the signature changes between SciPy's versions.
    """
    from scipy.optimize import _lbfgsb

    arguments = setulb_arguments(x0, bounds, maxcor)
    x, task = arguments[0], arguments[10]
    evaluations = 0
    while True:
        _lbfgsb.setulb(maxcor, *arguments)
        if task[0] == 3 and evaluations < maxfun:
            arguments[4], arguments[5] = fun(x)
            evaluations += 1
        elif task[0] != 1:
            return evaluations, x
