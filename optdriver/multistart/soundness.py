"""Whether the scheduler can go on from a restored state: what refers to something must find it.

The states are those of `optdriver.multistart.state`, which imports this file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.multistart import local
from optdriver.multistart.differences import Pending
from optdriver.multistart.differences import point as difference_point
from optdriver.multistart.ledger import OPEN as UNTOLD
from optdriver.multistart.noise import Line
from optdriver.multistart.run import Search
from optdriver.multistart.survey import Survey

Vector = NDArray[np.float64]


def check(state: Any) -> None:
    """Refuse a state whose parts contradict each other.

    Raises
    ------
    ValueError
    """
    for sample in state.initial_samples:
        stored.inside("initial_samples", sample, state.lower, state.upper)
    if state.constraints is not None:
        _check_constraints(state, state.constraints)
    _check_points(state)
    for search in state.runs:
        _check_run(state, search)
    _check_counts(state)
    _check_queues(state)


def _check_constraints(state: Any, constraints: Any) -> None:
    if constraints.n != state.lower.size:
        raise ValueError("its constraints are those of other variables")
    if ((constraints.lower < state.lower) | (constraints.upper > state.upper)).any():
        raise ValueError("its constraints are those of a larger box")  # starts are drawn there


def _check_points(state: Any) -> None:
    status = state.ledger.status
    for id, point in state.pending.items():
        stored.inside("pending", point.x, state.lower, state.upper)
        if id >= len(status) or status[id] != UNTOLD or point.run >= len(state.runs):
            raise ValueError(f"point {id} was told, or belongs to nothing")
    if status.count(UNTOLD) != len(state.pending):
        raise ValueError("points that are neither told nor pending")
    if state.best is not None:
        stored.inside("best", state.best.x, state.lower, state.upper)
    for x in state.linkage.offered.x:
        stored.inside("an offered start", x, state.lower, state.upper)
    beside = state.linkage.hops.base
    if max((*beside, *beside.values()), default=-1) >= len(state.runs):
        raise ValueError("it has starts beside minima that are not there")
    for run in (*state.samples.row_of, *state.linkage.row_of):
        if run >= len(state.runs) or (state.ended is None and state.runs[run].state != "waiting"):
            raise ValueError(f"run {run} does not wait")


def _check_run(state: Any, search: Search) -> None:
    stored.inside("x0", search.x0, state.lower, state.upper)
    if search.x is not None:
        stored.inside("x", search.x, state.lower, state.upper)
    if search.minimizer is None and search.state == "running":
        raise ValueError(f"run {search.index} is running without a minimizer")
    if search.minimizer is not None:
        _check_minimizer(state, search)
    if search.state == "waiting" and (search.x is None or not np.isfinite(search.f)):
        raise ValueError(f"run {search.index} waits without a value")
    slots = _slots(search)
    for id, slot in search.slots.items():
        if slot not in slots or id not in state.pending or state.pending[id].run != search.index:
            raise ValueError(f"run {search.index} waits for what is not out")


def _check_minimizer(state: Any, search: Search) -> None:
    minimizer = search.minimizer
    running = search.state == "running"
    compared = search.between is not None
    if (
        minimizer is None
        or minimizer.n != state.lower.size
        or (running and minimizer.done and not compared)
        or (compared and not (minimizer.done or search.heard.noise > 0.0))  # noise ends it sooner
    ):
        raise ValueError(f"run {search.index} has a minimizer that does not belong to it")
    _check_rows(state, minimizer)
    box = local.box(minimizer)
    if box is not None and ((box[0] < state.lower) | (box[1] > state.upper)).any():
        raise ValueError(f"run {search.index} has a minimizer of a larger box")
    if not minimizer.done:
        stored.inside("the next point", minimizer.ask(), state.lower, state.upper)
    surveyed = isinstance(search.stencil, Survey)
    if (search.stencil is not None) > (surveyed or not state.options.jac):
        raise ValueError(f"run {search.index} has differences of a gradient that is told")
    if search.stencil is not None:
        _check_differences(state, search.stencil)
    if search.between is not None:
        if search.stencil is not None or search.between.entry >= len(state.catalogue):
            raise ValueError(f"run {search.index} is compared with nothing")
        moved = [] if search.between.at is None else [search.between.at]
        for end in (*search.between.found, *moved, *search.between.beside):
            stored.inside("a compared end", end, state.lower, state.upper)
        if max(search.between.joined, default=-1) >= len(state.catalogue):
            raise ValueError(f"run {search.index} is one with what is not there")


def _check_rows(state: Any, minimizer: Any) -> None:
    """Refuse a minimizer that is told other rows than the multi-start."""
    options = state.options
    wanted = len(options.inequalities), len(options.equalities)
    told = getattr(minimizer, "rows", None)  # of an SQP
    if (told is not None) != (options.method == local.LIMITED) or told not in (None, wanted):
        raise ValueError("a minimizer that is told other rows")


def _check_differences(state: Any, made: Pending) -> None:
    stored.inside("x", made.x, state.lower, state.upper)
    if isinstance(made, Line):
        _check_differences(state, made.before)
    elif isinstance(made, Survey):
        if made.missing != sum(map(math.isnan, made.values)):
            raise ValueError("a survey waits for other points than those it has")
        known = 0 if state.constraints is None else len(state.constraints)
        if max(made.rows, default=-1) >= known or made.told > state.options.jac:
            raise ValueError("a survey of other constraints, or by gradients that are not told")
    elif len(made.coordinate) != len(made.values) or (
        max(made.coordinate, default=-1) >= state.lower.size
    ):
        raise ValueError("its differences are those of other variables")
    for slot in range(len(made.values)):
        x = difference_point(made, slot)
        stored.inside("a difference point", x, state.lower, state.upper)


def _slots(search: Search) -> range:
    """Return the slots that a run can be asked for."""
    if search.stencil is not None:
        return range(-1, len(search.stencil.values))
    return range(-1, 0)


def _check_counts(state: Any) -> None:
    states = [search.state for search in state.runs]
    live = states.count("running") + states.count("sampling")
    if state.live != live or state.converged != states.count("converged"):
        raise ValueError(f"{live} runs are under way, and it counts {state.live}")
    if states.count("waiting") > len(state.samples.row_of) + len(state.linkage.row_of):
        raise ValueError("runs that wait for nothing")
    if not state.nfail <= state.nfev:
        raise ValueError("its counters contradict each other")
    used = state.sample_starts
    taken = state.next_start - len(used)
    if len(used) > len(state.initial_samples) or max(used, default=-1) >= state.next_start:
        raise ValueError("its initial samples are not those of its starts")
    if state.feasible_starts is None and state.sequence.count not in (0, taken):
        raise ValueError("its starts are not those of its runs")


def _check_queues(state: Any) -> None:
    if len(set(state.extra)) != len(state.extra):
        raise ValueError("an extra run is there twice")
    _check_live(state, state.extra)
    for queue in (state.ready, state.spare):
        if len(set(queue)) != len(queue):
            raise ValueError("a point is wanted twice")
        _check_live(state, (run for run, _ in queue))
        for run, slot in queue:
            search = state.runs[run]
            if slot not in _slots(search) or slot in search.slots.values():
                raise ValueError(f"run {run} wants a point that it has not")
    for run, _ in state.spare:
        if run not in state.extra:
            raise ValueError(f"run {run} is no extra one")


def _check_live(state: Any, numbers: Iterable[int]) -> None:
    for run in numbers:
        if run >= len(state.runs) or state.runs[run].state not in ("running", "sampling"):
            raise ValueError(f"run {run} is not under way")
