"""How a multi-start goes on after its end: limits are raised, starts are added.

The runs that the end cut short kept their minimizers, and are taken up again where they were; the
point for which they wait is asked anew.  Where a start leads still depends on its own evaluations
only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from optdriver.errors import unknown_option
from optdriver.multistart import admission
from optdriver.multistart.descent import want_evaluation
from optdriver.multistart.endings import contained, end_if_over, why_over
from optdriver.multistart.options import check_samples, start_limit
from optdriver.multistart.state import MultiStartState, Vector

CHANGEABLE: Final = (
    "num_initial", "max_num_minimizers", "start_rule", "max_failures", "stop_when",
)  # fmt: skip
SAMPLES: Final = "initial_samples"


def configure(state: MultiStartState, given: Mapping[str, Any]) -> None:
    """Change limits and add starts; nothing is changed if something cannot be used.

    Raises
    ------
    InputError
        An option that is fixed from the beginning on, or a value that cannot be used.
    """
    for name in given:
        if name not in (*CHANGEABLE, SAMPLES):
            raise unknown_option("option that can be changed", name, (*CHANGEABLE, SAMPLES))
    options = replace(state.options, **{key: given[key] for key in CHANGEABLE if key in given})
    new, moved = _admitted(state, given.get(SAMPLES, ()))
    samples = np.concatenate([state.initial_samples, new])
    limit = start_limit(options, samples, state.lower, state.upper)
    state.moved.extend(moved)
    state.options, state.initial_samples, state.start_limit = options, samples, limit
    if state.ended is not None:
        _begin_again(state, state.ended, fresh=len(new) > 0)
    else:
        end_if_over(state, "the limits were changed")


def _admitted(state: MultiStartState, given: Any) -> tuple[Vector, list[admission.Moved]]:
    """Return new starts, moved where they violate a constraint, and a record of the moves."""
    new, moved = admission.admit(
        state.constraints,
        check_samples(given, state.lower, state.upper),
        state.feasible_starts,
        state.options.project_starts,
    )
    before = len(state.initial_samples)
    return new, [replace(each, sample=each.sample + before) for each in moved]


def _begin_again(state: MultiStartState, reason: str, *, fresh: bool) -> None:
    """Take back the end, which was for `reason`, unless there is still cause for it."""
    state.ended = None
    for search in state.runs:
        if search.index in state.samples.row_of or search.index in state.linkage.row_of:
            search.state, search.reason = "waiting", ""
            state.report.stale.add(search.index)
        elif search.state == "stopped" and search.minimizer is not None:  # it was cut short
            search.state, search.reason = "running", ""
            state.report.stale.add(search.index)
            if state.live >= state.options.num_initial:
                state.extra.append(search.index)
            state.live += 1
            contained(state, search, want_evaluation, search.minimizer)
    state.ended = why_over(state, reason, fresh=fresh)
    if state.ended is not None:
        end_if_over(state, reason)
