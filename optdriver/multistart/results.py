"""What a told value, or a failure, means to the run that asked for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optdriver.coroutine.constraints import has_rows
from optdriver.multistart import (
    beside,
    differences,
    gradients,
    heard,
    linkage,
    linked,
    local,
    start_rules,
    survey,
)
from optdriver.multistart.comparing import compared, converge, evaluated
from optdriver.multistart.descent import (
    after_success,
    flat_value,
    go_on,
    iterate_failed,
    line_up_survey,
    minimizer_at,
    tell,
    want_differences,
    want_evaluation,
)
from optdriver.multistart.differences import Pending
from optdriver.multistart.endings import add_sample, close, end_if_complete, start_failed, wait
from optdriver.multistart.linked import may_descend
from optdriver.multistart.local import Minimizer
from optdriver.multistart.noise import Line
from optdriver.multistart.run import Search
from optdriver.multistart.state import MultiStartState, line_up
from optdriver.multistart.stencil import BASE
from optdriver.multistart.survey import Survey
from optdriver.multistart.told import Vectors, is_usable

Vector = NDArray[np.float64]

FLAT = "the value is that of an earlier start, which lies flat: no differences are asked for here"


def take_value(
    state: MultiStartState,
    search: Search,
    slot: int,
    f: float,
    g: Vector | None,
    vectors: Vectors | None,
) -> None:
    """Take a value at the point that a run has asked as its `slot`."""
    minimizer, stencil = search.minimizer, search.stencil
    if minimizer is None:
        state.failed_in_row = 0
        _judge_sample(state, search, f, g)
    elif search.between is not None:
        evaluated(state, search, f, g)
    elif stencil is not None:
        differences.keep(stencil, slot, vectors)
        if isinstance(stencil, Survey):
            survey.keep(stencil, slot, g)
        if differences.record(stencil, slot, f):
            _assemble(state, search, minimizer, stencil)
    else:
        _take_iterate(state, search, minimizer, f, g, vectors)


def _take_iterate(
    state: MultiStartState,
    search: Search,
    minimizer: Minimizer,
    f: float,
    g: Vector | None,
    vectors: Vectors | None,
) -> None:
    """Tell the minimizer what it asked for, or ask what is missing for its gradient."""
    differenced = g is None and state.options.gradients
    if differenced:
        g, vectors = local.known_beside(minimizer, f, vectors)
    if g is not None or not differenced:
        state.failed_in_row = 0
        x = minimizer.ask() if state.linked else None
        tell(state, search, minimizer, f, g, vectors)
        after_success(state, search, minimizer, x, f, g)
    elif f == flat_value(state, minimizer):
        state.failed_in_row = 0
        close(state, search, "stopped", FLAT)
    else:
        want_differences(state, search, minimizer, f, vectors)


def _assemble(
    state: MultiStartState, search: Search, minimizer: Minimizer, stencil: Pending
) -> None:
    """Use a gradient of which all points are told, or ask what is wanted before it is used."""
    if isinstance(stencil, Survey):
        _surveyed(state, search, minimizer, stencil)
        return
    if isinstance(stencil, Line):
        wanted = gradients.measured(state, search, stencil)
        if wanted is None:  # the minimizer has not been told anything yet
            _begin_anew(state, search, minimizer_at(state, search, stencil.x), stencil)
            return
        if wanted:
            line_up(state, search, wanted)
            return
        stencil = stencil.before
    g = differences.gradient(stencil)
    if is_usable(stencil.f, g):
        if gradients.are_lost_in_noise(state, search, stencil):
            known = differences.vectors(stencil)
            at_base = None if known is None else Vectors(known.values, None)
            want_differences(state, search, minimizer, stencil.f, at_base)
            return
        if wanted := gradients.more(state, search, stencil, g):
            line_up(state, search, wanted)
            return
        gradients.told(state, search, stencil, g)
        search.stencil = None
        state.failed_in_row = 0
        x = minimizer.ask() if state.linked else None
        tell(state, search, minimizer, stencil.f, g, differences.vectors(stencil))
        after_success(state, search, minimizer, x, stencil.f, g)
    else:
        _count_failure(state, search)
        iterate_failed(state, search, minimizer, "the finite differences are not finite")


def _begin_anew(state: MultiStartState, search: Search, minimizer: Minimizer, known: Line) -> None:
    """Let another minimizer begin at a point of which the value is known."""
    search.minimizer, search.stencil = minimizer, None
    if np.array_equal(minimizer.ask(), known.x):
        want_differences(state, search, minimizer, known.f)
    else:  # it was moved by a few last digits
        want_evaluation(state, search, minimizer)


def _surveyed(state: MultiStartState, search: Search, minimizer: Minimizer, made: Survey) -> None:
    """Go on with a survey of which all points are told, or end the run with what it says."""
    state.failed_in_row = 0
    rows = state.constraints if has_rows(state.constraints) else None
    outcome = survey.go_on(made, state.lower, state.upper, rows)
    if outcome == "ask":
        line_up_survey(state, search, made)
        return
    search.stencil = None
    if not np.array_equal(minimizer.ask(), made.x):
        search.minimizer = minimizer = minimizer_at(state, search, made.x, after=minimizer)
    search.heard.surveyed = made.promised
    local.tell(minimizer, made.f, made.slope)  # its noise is known from before
    if outcome == "ended" and (state.options.difference_rule < 5 or survey.is_sure(made)):
        converge(state, search, minimizer)
    else:
        close(state, search, "stopped", heard.lost_in_noise(search.heard))


def _judge_sample(state: MultiStartState, search: Search, f: float, g: Vector | None) -> None:
    """Let the minimizer of an evaluated start go on, or put the start aside."""
    search.x, search.f, search.g = search.x0, f, None if g is None else g.copy()
    if state.linked:
        row = linked.settle(state, search, f, g)
        leads = linkage.leads(state.linkage, row)
        lowest = state.options.convergence_rule > 9 and linkage.is_lowest(state.linkage, row)
        look = linked.takes_looks(state) and linked.is_on_side(state, search.x0)
        hop = search.index in state.linkage.hops.base
        search.followed = search.followed or hop
        begins = leads and (lowest or look or may_descend(state))
        if begins or (hop and not beside.is_believed(state, row)):
            state.linkage.put_aside = 0
            go_on(state, search)
        else:
            wait(state, search)
            beside.note_linked(state, search, row)
            linkage.put_aside(state.linkage, search.index, row, counted=not (leads or hop))
            end_if_complete(state)
        return
    row = add_sample(state, search.x0, f)
    if start_rules.leads(state.samples, row):
        state.samples.put_aside = 0
        go_on(state, search)
    else:
        wait(state, search)
        start_rules.put_aside(state.samples, search.index, row)
        end_if_complete(state)


def take_failure(state: MultiStartState, search: Search, slot: int, reason: str) -> None:
    """Take a failure at the point that a run has asked as its `slot`."""
    minimizer, stencil = search.minimizer, search.stencil
    if minimizer is None:
        _count_failure(state, search)
        close(state, search, "failed", start_failed(reason))
    elif search.between is not None:
        compared(state, search, search.between.near)
    elif stencil is None or slot == BASE:
        _count_failure(state, search)
        iterate_failed(state, search, minimizer, reason)
    else:
        instead = differences.replace_failed(
            stencil,
            slot,
            state.lower,
            state.upper,
            state.constraints,
            once=state.options.difference_rule == 1,
        )
        if instead is None:
            _count_failure(state, search)
            iterate_failed(state, search, minimizer, reason)
            return
        line_up(state, search, instead)
        if not stencil.missing:
            _assemble(state, search, minimizer, stencil)


def _count_failure(state: MultiStartState, search: Search) -> None:
    """Count an iterate that failed; given starts do not count while nothing has succeeded."""
    if state.best is not None or search.start not in state.sample_starts:
        state.failed_in_row += 1
