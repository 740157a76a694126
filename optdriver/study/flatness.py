"""Whether an objective looks as if it did not read its parameters: one value everywhere.

That can only be doubted, never known, from points where it has one value: so it takes many starts,
none of which has met another value or a slope, and the study can go on all the same.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from optdriver.population import PopulationDriver
from optdriver.study.ledger import Ledger
from optdriver.study.state import State

ENOUGH_AT_THE_END: Final = 3
"""Starts after which a study that is done anyway, or a call of `minimize`, is said to be flat."""


def why(state: State, *, at_the_end: bool) -> str | None:
    """Return what a flat objective is to be told about; None where it is not, or not yet."""
    if state.spec.limits is not None:
        return None  # of several points with one value it is what they put out that differs
    most: float = state.parameters["stop_after_flat"]
    wanted = min(most, ENOUGH_AT_THE_END) if at_the_end and most < np.inf else most
    since = state.ledger.since
    if state.ledger.size - since < wanted or _has_another_value(state.ledger, since):
        return None
    starts, points = _evaluated(state)
    if starts < wanted:
        return None
    value = state.ledger.best_value
    zero = ", with a gradient of zero," if state.ledger.gradient is not None else ""
    return (
        f"the objective returned {value:.6g}{zero} at all of {points} different points, from "
        f"{starts} starts: does it read its parameters?"
    )


def _has_another_value(ledger: Ledger, since: int) -> bool:
    if ledger.best < 0:
        return True
    first, best = ledger.value[since], ledger.best_value
    if math.isfinite(first) and first != best:  # most end here
        return True
    rows = ledger.present()
    seen = ledger.observed()[rows]
    values = ledger.value[rows][seen]
    if values.size == 0 or np.any(values != best):
        return True
    gradients = ledger.gradient
    return gradients is not None and bool(np.any(np.nan_to_num(gradients[rows]) != 0.0))


def _evaluated(state: State) -> tuple[int, int]:
    """Return from how many starts, and at how many different points, there is a value.

    A population is everywhere at once: each of its points counts as a start.
    """
    ledger = state.ledger
    rows = ledger.present()
    seen = ledger.observed()[rows]
    points = len(np.unique(ledger.x[rows][seen], axis=0))
    runs = ledger.run[rows][seen]
    everywhere = isinstance(state.driver, PopulationDriver)
    return (points if everywhere else len(np.unique(runs[runs >= 0]))), points
