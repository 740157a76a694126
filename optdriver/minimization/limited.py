"""`minimize(..., outputs=...)`: limits on what a loss puts out, from many starts, as a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult

from optdriver.errors import InputError
from optdriver.minimization import kept
from optdriver.minimization.problem import Given
from optdriver.minimization.starts import count
from optdriver.multistart.local import LIMITED
from optdriver.objectives.jax_objective import traced
from optdriver.objectives.plain import check_call
from optdriver.objectives.stacked import Stacked
from optdriver.space.pytree import Structure

Vector = NDArray[np.float64]


def check(given: Given, method: str) -> None:
    """Refuse what has no meaning for a loss with outputs.

    Raises
    ------
    InputError
    """
    if method not in (LIMITED, "L-BFGS-B"):
        raise InputError(f"outputs= are for the method {LIMITED!r}, not {method!r}")
    if given.x64 is False:
        raise InputError("a loss with outputs is computed in 64 bits: leave x64 out, or give True")
    if given.jac not in (None, "2-point", "3-point"):
        raise InputError(f"with outputs jac is None, '2-point' or '3-point', not {given.jac!r}")


def minimize(
    given: Given,
    structure: Structure,
    keeping: kept.Keeping,
    outputs: Any,
    *,
    first: Vector,
    n_iter: int | None,
    tol: Any,
    options: Mapping[str, Any],
    progress: bool | None,
) -> OptimizeResult:
    """Run a study of a loss with outputs to its end and return the result.

    The parameters are those of `optdriver.minimization.fits.minimize`, and the `outputs` as
    `optdriver.create_study` takes them; `tol` is ``gtol``.
    """
    check_call(given.loss, structure)
    smooth = False
    if given.jac is None:
        stacked = Stacked(given.loss)
        made, _ = traced(stacked, structure, units=given.units, x64=True, residuals=True)
        smooth = made is not None
    study, space, named = kept.of_vectors(
        given,
        structure,
        keeping,
        first,
        count(n_iter, len(first)),
        outputs=outputs,
        driver=LIMITED,
        smooth=smooth,
        **({} if tol is None else {"gtol": tol}),
        **options,
    )
    with study:
        whole = replace(given, x64=True)
        kept.run(study, space, whole, keeping, smooth=smooth, progress=progress, outputs=True)
        found = kept.result(study, named, units=False)
        best = study.best
        found.update(outputs=None if best is None else best.outputs, seed=given.seed)
        return found
