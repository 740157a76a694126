"""How runs end, and when all is over: the one place that closes a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InternalWarning, say
from optdriver.multistart import beside, completeness, linked, local, start_rules
from optdriver.multistart import run as searches
from optdriver.multistart.run import Search
from optdriver.multistart.state import MultiStartState, drop_ready, unit_coordinates
from optdriver.numerics import PASSING, is_numeric

Vector = NDArray[np.float64]
P = ParamSpec("P")

STOPPED_PER_MINIMIZER = 10
"""Runs that may stop without converging, for each minimizer that is wanted to converge."""

BARREN = 20
"""Starts in a row that may end without an evaluation: nothing feasible to difference with."""


def contained(
    state: MultiStartState,
    search: Search,
    drive: Callable[Concatenate[MultiStartState, Search, P], None],
    *args: P.args,
    **kwargs: P.kwargs,
) -> None:
    """Let a run go on; an exception in there ends this run, and nothing else.

    What set it off is recorded already, and must do the same whenever it is replayed.  That is so
    of everything but what the surroundings lack (memory, stack, a package), which is let through.
    """
    try:
        drive(state, search, *args, **kwargs)
    except PASSING:
        raise
    except Exception as error:
        if search.state not in searches.OPEN:
            raise
        _break_off(state, search, error)


def _break_off(state: MultiStartState, search: Search, error: Exception) -> None:
    """End a run that met an exception, and say what it was."""
    numeric = is_numeric(error)
    kind = "numeric error" if numeric else "internal error of optdriver"
    reason = f"{kind}: {type(error).__name__}: {error}"
    drop_ready(state, search.index)
    state.stopped += 1  # it counts as one that stopped, so that a study of such runs ends
    close(state, search, "failed", reason)
    if not numeric:
        say(f"run {search.index} ended by an {reason}; please report it", InternalWarning)


def close(
    state: MultiStartState,
    search: Search,
    outcome: searches.State,
    reason: str,
    same: int | None = None,
) -> None:
    """End a run; where it has converged, at the minimum `same` if that is known."""
    searches.end(search, outcome, reason, state)
    _leave_place(state, search)
    if outcome == "converged":
        _enter_minimum(state, search, same)
    elif outcome == "stopped":
        state.stopped += 1
    if outcome != "converged":
        beside.note_end(state, search, new=False)
    if outcome != "converged" and state.linked:
        _note_lost(state, search)
    end_if_over(state, reason)


def _note_lost(state: MultiStartState, search: Search) -> None:
    """Note that a run has ended without a minimum, so that who waits for it leads again.

    Where another one has stopped at the same place it is an end all the same, such as a cusp, and
    nobody leads there again.
    """
    lost = state.linkage.lost
    if state.options.convergence_rule > 11 and search.state == "stopped":
        ends = [each.index for each in state.runs if _is_same_end(state, each, search)]
        if len(ends) > 1:
            state.linkage.lost = [run for run in lost if run not in ends]
            return
    lost.append(search.index)


def _is_same_end(state: MultiStartState, one: Search, other: Search) -> bool:
    """Tell whether two runs have stopped at one place."""
    if one.state != "stopped" or one.x is None or other.x is None:
        return False
    away = unit_coordinates(state, one.x) - unit_coordinates(state, other.x)
    return bool(np.max(np.abs(away), initial=0.0) <= state.options.x_tolerance)


def start_failed(reason: str) -> str:
    """Return what is said of a start that failed."""
    return f"the start could not be evaluated{f': {reason}' if reason else ''}"


def _enter_minimum(state: MultiStartState, search: Search, same: int | None = None) -> None:
    """Enter the end of a run among the minima."""
    if search.x is None:
        return
    state.converged += 1
    before = len(state.catalogue)
    state.catalogue.add(search.x, search.f, search.start, search.index, same)
    beside.note_end(state, search, new=len(state.catalogue) > before)
    if state.linked:
        linked.enter(state, search.index, search.x, search.f, None)
    elif state.sampled:
        add_sample(state, search.x, search.f)


def add_sample(state: MultiStartState, x: Vector, f: float) -> int:
    """Enter an evaluated point among those by which single linkage judges; return its row."""
    return start_rules.add(state.samples, unit_coordinates(state, x), f)


def _leave_place(state: MultiStartState, search: Search) -> None:
    state.live -= 1
    if search.index in state.extra:
        state.extra.remove(search.index)


def wait(state: MultiStartState, search: Search) -> None:
    """Put a run aside, which may go on later."""
    search.state = "waiting"
    _leave_place(state, search)


def end_if_complete(state: MultiStartState) -> None:
    """End it all where a start was put aside and all minima are likely found."""
    if state.options.stop_when is not None:
        end_if_over(state, "a start was put aside")


def end_if_over(state: MultiStartState, reason: str) -> None:
    """End it all where a limit is reached; `reason` is why the last run ended."""
    if state.ended is None:  # else what ended the run ends them all
        state.ended = why_over(state, reason)
    if state.ended is None:
        return
    for search in state.runs:
        if search.minimizer is not None and search.minimizer.done:  # the last value told was its
            converged, said = search.minimizer.converged, local.reason(search.minimizer)
            outcome: searches.State = "converged" if converged else "stopped"
            searches.end(search, outcome, said, state)
            if converged:
                _enter_minimum(state, search)
            else:
                state.stopped += 1
                beside.note_end(state, search, new=False)
        elif search.state in searches.OPEN:
            searches.cut(search, state.ended, state)
    for queue in (state.ready, state.spare, state.extra):
        queue.clear()
    state.live = 0


def why_over(state: MultiStartState, reason: str, *, fresh: bool = False) -> str | None:
    """Return why nothing more is to be asked; `fresh` says that starts were just added."""
    wanted = state.options.max_num_minimizers
    barren = state.runs[-BARREN:]
    if state.converged >= wanted and not _owes_given_starts(state):
        many = state.converged != 1
        return f"{state.converged} minimizer{'s have' if many else ' has'} converged"
    if state.stopped >= STOPPED_PER_MINIMIZER * wanted:
        return f"{state.stopped} minimizers stopped without converging, the last: {reason}"
    if state.options.stop_when is not None:
        likely = linked.probability(state)
        if likely >= completeness.LIKELY:
            return f"{completeness.ALL_LIKELY} ({len(state.catalogue)}; probability {likely:.3f})"
    empty = len(barren) == BARREN and all(s.state == "failed" and not s.nfev for s in barren)
    if empty and not fresh:
        return f"{BARREN} starts in a row could not be evaluated: {reason}"
    if not (state.live or state.samples.row_of or state.linkage.row_of) and are_used(state):
        few = state.next_start < state.start_limit
        return "all starts are used" + few * f", the feasible set has no other: {reason}"
    return None


def _owes_given_starts(state: MultiStartState) -> bool:
    """Tell whether runs that only filled places have converged before the user's own starts."""
    return any(search.spare for search in state.runs) and any(
        search.state in searches.OPEN and not search.spare and search.start in state.sample_starts
        for search in state.runs
    )


def has_sample(state: MultiStartState) -> bool:
    """Tell whether a start that the user gave has not been used."""
    return len(state.sample_starts) < len(state.initial_samples)


def are_used(state: MultiStartState) -> bool:
    """Tell whether there are no more starts; a feasible set may be a few points."""
    return not state.linkage.offered and sequence_is_used(state)


def sequence_is_used(state: MultiStartState) -> bool:
    """Tell whether neither the user nor the sequence has another start."""
    found = state.feasible_starts
    return state.next_start >= state.start_limit or (
        found is not None and not has_sample(state) and found.are_used(state.sequence)
    )
