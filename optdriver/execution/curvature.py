"""Gradients beside a minimum, evaluated for its second derivatives, and added to the study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import EvaluationError
from optdriver.execution.calling import Outcome, evaluate_all, prepare
from optdriver.study.observation import split

if TYPE_CHECKING:
    from optdriver.study import Study

FloatArray = NDArray[np.float64]


def add_gradients(
    study: Study,
    places: Sequence[FloatArray],
    objective: Callable[..., Any] | None,
    executor: Executor | None,
) -> None:
    """Evaluate the objective at points, all at once with an executor, and add what it returns.

    Raises
    ------
    EvaluationError
        An evaluation failed; those that did not were added.
    """
    prepared = prepare(study, objective, executor)
    outcomes = evaluate_all(prepared, study.space, places, executor)
    failures = [_add(study, x, each) for x, each in zip(places, outcomes, strict=True)]
    for reason in filter(None, failures):
        raise EvaluationError(f"an evaluation beside the minimum failed: {reason}")


def _add(study: Study, x: FloatArray, outcome: Outcome) -> str | None:
    """Add an evaluation to the study, or return why there is none."""
    if outcome.mistake is not None:
        raise outcome.mistake
    if outcome.failure is not None:
        return outcome.failure
    value, gradient = split(outcome.result, units=study.space.structure is not None)
    study.add_point(x, value, gradient)
    return None
