"""`minimize(..., residuals=True)`: a fit from many starts, as a study that runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult

from optdriver.errors import InputError
from optdriver.minimization import kept
from optdriver.minimization.problem import Given
from optdriver.minimization.starts import count
from optdriver.multistart.local import FITTING
from optdriver.objectives.jax_objective import traced
from optdriver.objectives.plain import check_call
from optdriver.space.pytree import Structure
from optdriver.space.space import Space
from optdriver.study.observation import split_fit
from optdriver.study.parameters import MINIMIZE

Vector = NDArray[np.float64]

OPTIONS = ("loss", "f_scale", "xtol")


def check(given: Given, method: str, options: Mapping[str, Any]) -> None:
    """Refuse what has no meaning for residuals.

    Raises
    ------
    InputError
    """
    if method not in (FITTING, "L-BFGS-B"):
        raise InputError(f"residuals=True is for the method {FITTING!r}, not {method!r}")
    for name in options:
        if name not in OPTIONS:
            raise InputError(f"options of a fit are {', '.join(OPTIONS)}, not {name!r}")
    if given.direction != MINIMIZE:
        raise InputError("residuals=True minimises what residuals cost: leave direction= out")
    if given.x64 is False:
        raise InputError("residuals are computed in 64 bits: leave x64 out, or give True")
    if given.jac not in (None, "2-point", "3-point"):
        raise InputError(f"jac is None, '2-point' or '3-point', not {given.jac!r}")


class Weighted:
    """Residuals as an objective of a study, told with their standard deviations."""

    def __init__(self, objective: Any, uncertainty: Vector) -> None:
        self._objective, self._uncertainty = objective, uncertainty

    def for_space(self, space: Space) -> Weighted:
        """Return the objective over these parameters."""
        bind = getattr(self._objective, "for_space", None)
        return self if bind is None else Weighted(bind(space), self._uncertainty)

    def evaluate_suggestion(self, id: int | None, numbers: Mapping[str, float]) -> Any:
        """Return residuals, their Jacobian if there is one, and the standard deviations."""
        residuals, jacobian = split_fit(self._objective.evaluate_suggestion(id, numbers))
        return {"residuals": residuals, "jacobian": jacobian, "uncertainty": self._uncertainty}

    def __call__(self, **numbers: Any) -> Any:
        """Say that it is called with numbers by name."""
        return self._objective(**numbers)


def minimize(
    given: Given,
    structure: Structure,
    keeping: kept.Keeping,
    *,
    first: Vector,
    n_iter: int | None,
    tol: Any,
    options: Mapping[str, Any],
    progress: bool | None,
    uncertainty: Vector | None = None,
) -> OptimizeResult:
    """Run a study of residuals to its end and return the result.

    Parameters
    ----------
    given : Given
        With the residuals as its loss.
    structure : Structure
    keeping, options, progress
        As for `optdriver.minimization.kept.minimize`.
    first : ndarray, shape (k, n)
        Starts of the user.
    n_iter : int, optional
        Starts altogether.
    tol : float or None
        The same as the option `xtol`.
    uncertainty : ndarray, optional
        Standard deviations of the data, of one or of each.
    """
    check_call(given.loss, structure)
    made = None
    if given.jac is None:
        made, _ = traced(given.loss, structure, units=given.units, x64=True, residuals=True)
    smooth = made is not None
    study, space, named = kept.of_vectors(
        given,
        structure,
        keeping,
        first,
        count(n_iter, len(first)),
        driver=FITTING,
        smooth=smooth,
        **({} if tol is None else {"xtol": tol}),
        **options,
    )
    with study:
        whole = replace(given, x64=True)
        kept.run(
            study,
            space,
            whole,
            keeping,
            smooth=smooth,
            made=made,
            progress=progress,
            residuals=True,
            wrap=None if uncertainty is None else partial(Weighted, uncertainty=uncertainty),
        )
        found = kept.result(study, named, units=given.units)
        found.update(uncertainty=study.uncertainty, seed=given.seed)
        return found
