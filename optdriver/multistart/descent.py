"""How a run goes on: its minimizer is made, its points are lined up, and what comes of each value.

After a value the run wants its next point; or it begins again with better differences, is surveyed,
held back or paused; or it has come to its end.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from optdriver.coroutine.constraints import has_rows
from optdriver.coroutine.options import kept_start
from optdriver.geometry.products import norm
from optdriver.lbfgsb import LBFGSB
from optdriver.multistart import (
    differences,
    directions,
    gradients,
    heard,
    linkage,
    linked,
    local,
    survey,
)
from optdriver.multistart.comparing import converge, least_promise
from optdriver.multistart.endings import close, end_if_complete, start_failed, wait
from optdriver.multistart.local import Minimizer
from optdriver.multistart.run import Search
from optdriver.multistart.state import MultiStartState, drop_ready, line_up, unit_coordinates
from optdriver.multistart.stencil import BASE
from optdriver.multistart.survey import Survey
from optdriver.multistart.told import Vectors

Vector = NDArray[np.float64]

SEES_STEPS: Final = 10
"""The `convergence_rule` from which on a fit whose differences are all 0 is no success."""

LOSES_STEPS: Final = 12
"""The one from which on an end by differences that values do not show is differenced anew."""

AWAITS_NEAR: Final = 12
"""The `convergence_rule` from which on a run whose failures lie far off is not given up at once."""

FAR: Final = 1e-2
"""Part of the size of a variable: a point that is farther than this from the best lies far off."""

IMPATIENT: Final = 4
"""The most `max_failures` that hold for failures far off, too; there more are `PATIENT` or more."""

PATIENT: Final = 20
"""Failures far off in a row that retire a run: what a line search of L-BFGS-B allows itself."""

ON_A_STEP: Final = (
    "no difference changes any residual: are they rounded to a few digits?  Then give steps that "
    "are long enough (step_size=)"
)


LOST = (
    "the residuals are printed with too few digits to show what each parameter does: print more, "
    "or give longer steps (step_size=)"
)


def minimizer_at(
    state: MultiStartState,
    search: Search,
    x0: Vector,
    after: Minimizer | None = None,
    step: float | None = None,
) -> Minimizer:
    """Return a new minimizer with the options of all, or what is left of them `after` another.

    `step` is the length of its first step, where it is not given.
    """
    options = dict(state.options.minimizer)
    if search.learnt is not None:
        options["noise"] = search.learnt.noise
    if state.linked and options["initial_step"] is None:
        options["initial_step"] = linked.first_step(state, search) if after is None else step
    if after is not None:
        options["maxfun"] -= after.nfev
        options["maxiter"] -= after.nit
    method, own = state.options.method, state.options.method_options
    scipys = method not in local.OURS
    if scipys and state.options.difference_rule > 1:  # at first starts were moved
        own = kept_start(method, x0, state.bounds) | dict(own)
    made = local.create(
        x0,
        state.bounds,
        state.constraints,
        options,
        method,
        own,
        constraint_rule=state.options.constraint_rule,
        convergence_rule=state.options.convergence_rule,
        fit=state.options.of_fits(two_sided=search.two_sided),
        rows=state.options.of_rows(two_sided=search.two_sided),
        precision=state.options.precision,
    )
    if after is not None:
        local.go_on_from(made, after)
    return made


def want_evaluation(state: MultiStartState, search: Search, minimizer: Minimizer) -> None:
    """Line up the points of the minimizer's pending evaluation.

    After a failure the iterate goes alone: its difference points are wanted only where it is good.
    So does a start where the objective may well be flat, and a point beside an end.
    """
    alone = state.options.jac or not state.options.gradients or _goes_alone(state, minimizer)
    if alone or not math.isnan(flat_value(state, minimizer)):
        line_up(state, search, (BASE,))
        return
    search.stencil = gradients.plan(state, search, minimizer.ask())
    if search.stencil is None:
        iterate_failed(state, search, minimizer, directions.NO_DIRECTION)
    else:
        line_up(state, search, range(BASE, len(search.stencil.values)))


def _goes_alone(state: MultiStartState, minimizer: Minimizer) -> bool:
    """Tell whether an iterate may well fail, or be of no use.

    Its run's last one has failed, or all since the last good one; or it lies beside an end.
    """
    doubtful = state.failed_in_row > 0 or minimizer.failures > 0
    return (doubtful and state.options.difference_rule > 1) or local.beside(minimizer) > 0


def flat_value(state: MultiStartState, minimizer: Minimizer) -> float:
    """Return the value round which the first run to converge found nothing lower, else NaN.

    That is wanted of a run that is at its start: if it has the same value, f may well be flat.
    """
    told = state.options.convergence_rule > 3 and not state.options.row_names
    if told and not state.linked and minimizer.at_start:
        for run in state.runs:
            if run.state == "converged" and run.x is not None:
                return run.f if np.array_equal(run.x, run.x0) else math.nan
    return math.nan


def want_differences(
    state: MultiStartState,
    search: Search,
    minimizer: Minimizer,
    f: float,
    vectors: Vectors | None = None,
) -> None:
    """Line up the points of a gradient where the value is known."""
    search.stencil = stencil = gradients.plan(state, search, minimizer.ask())
    if stencil is None:
        iterate_failed(state, search, minimizer, directions.NO_DIRECTION)
        return
    differences.record(stencil, BASE, f)
    differences.keep(stencil, BASE, vectors)
    line_up(state, search, range(len(stencil.values)))


def tell(
    state: MultiStartState,
    search: Search,
    minimizer: Minimizer,
    f: float,
    g: Vector | None,
    vectors: Vectors | None = None,
) -> None:
    """Tell a minimizer a value, and before it how exact that is, where it is not to all digits."""
    if search.heard.pending or state.options.value_spacing:
        allow_for_noise(state, search, minimizer, f)
    digits = search.rounded
    if digits is not None and digits.noise and (digits.fresh or not local.rounding(minimizer)):
        local.allow_for_rounding(minimizer, digits.noise)
        digits.fresh = False
    local.tell(minimizer, f, g, vectors)


def allow_for_noise(state: MultiStartState, search: Search, minimizer: Minimizer, f: float) -> None:
    """Let a minimizer know how exact the value is that it is told next."""
    least, precision = state.options.minimizer["noise"], state.options.precision
    if precision is not None and isinstance(minimizer, LBFGSB):
        precision.tell(minimizer, f)
        least = max(least, precision.doubt(f))
    if search.heard.pending:
        local.allow(minimizer, search.heard.take(), least, state.options.constraint_rule)


def _is_still(state: MultiStartState, search: Search, minimizer: Minimizer) -> bool:
    """Return whether the values of a run, which have noise, show nothing else any more."""
    at_work = local.at_work(minimizer)
    if at_work is not minimizer or not isinstance(minimizer, LBFGSB):
        known = isinstance(at_work, LBFGSB) or hasattr(at_work, "promised")
        if state.options.constraint_rule < local.HEEDS_NOISE or not known:
            return False
        if not local.is_feasible(minimizer):
            return False
    least, one_sided = least_promise(state, search)
    heard.watch(search.heard, at_work, least)
    return heard.ends(search.heard, at_work, least, coarse=one_sided)


def after_success(
    state: MultiStartState,
    search: Search,
    minimizer: Minimizer,
    x: Vector | None = None,
    f: float = math.nan,
    g: Vector | None = None,
) -> None:
    """Let a run go on, or end, after an evaluation of its minimizer: that at `x`, if it is given.

    With a start rule that knows basins it may be paused there.
    """
    if x is not None and _stays(state, search, minimizer, x, f, g):
        return
    still = search.heard.noise > 0.0 and _is_still(state, search, minimizer)
    if not (minimizer.done or still):
        want_evaluation(state, search, minimizer)
    elif _survey(state, search, minimizer, still=still) or _sharpen(
        state, search, minimizer, still=still
    ):
        return
    elif minimizer.converged and _is_on_a_step(state, minimizer):
        close(state, search, "stopped", ON_A_STEP)
    elif minimizer.converged and gradients.are_lost_in_digits(state, search, minimizer):
        close(state, search, "stopped", LOST)
    elif minimizer.converged and gradients.are_rounding_errors(state, search, minimizer):
        close(state, search, "stopped", gradients.ROUNDED)
    elif _is_unproved(state, search, minimizer, still=still):
        close(state, search, "stopped", heard.unproved(search.heard))
    elif still or (minimizer.converged and not heard.is_chance(search.heard, minimizer)):
        converge(state, search, minimizer)
    elif local.unbounded(minimizer):
        state.ended = f"the objective has no minimum: {local.reason(minimizer)}"
        close(state, search, "stopped", local.reason(minimizer))
    else:
        close(state, search, "stopped", local.reason(minimizer))


def _is_on_a_step(state: MultiStartState, minimizer: Minimizer) -> bool:
    """Tell whether a fit by differences ends where none of them has changed any residual.

    Residuals that are rounded to a few digits are steps, of which each point looks like a minimum.
    """
    options = state.options
    if options.jac or not options.gradients or options.convergence_rule < SEES_STEPS:
        return False
    at = getattr(minimizer, "iterate", None) if options.fitting else None
    if at is None or not np.any(state.lower < state.upper):
        return False
    _, residuals, jacobian = at
    return bool(np.any(residuals)) and not np.any(jacobian)


def _is_unproved(
    state: MultiStartState, search: Search, minimizer: Minimizer, *, still: bool
) -> bool:
    """Tell whether noise has led a run to an end that no test shows to be a minimum."""
    if not search.heard.noise or state.options.difference_rule < 5:
        return False
    if state.options.vectors:
        return False  # whose ends say what they hold to
    shown = state.options.jac and local.is_stationary(minimizer)
    return (still or minimizer.converged) and not shown


def _sharpen(
    state: MultiStartState, search: Search, minimizer: Minimizer, *, still: bool = False
) -> bool:
    """Let a run that forward differences led astray go on from its best point, once.

    A line search fails where the error of the gradient is larger than what is left of it, and
    where values are noisy, or steps so short that these do not show them, a run may seem to have
    converged for that.  A new minimizer with two-sided differences takes over, with what is left of
    the limits; where steps were too short, by nothing that was learnt before.
    """
    limits, best = state.options.minimizer, minimizer.best
    exact = state.options.jac or search.two_sided or not state.options.gradients
    noisy = search.learnt is not None and search.learnt.noise > 0.0
    ruled = state.options.convergence_rule >= LOSES_STEPS
    lost = ruled and gradients.are_lost(state, search, minimizer)
    doubted = noisy or lost or local.takes_vectors(minimizer)
    coarse = not exact and (still or local.lost(minimizer) or (doubted and minimizer.converged))
    spent = limits["maxfun"] <= minimizer.nfev or limits["maxiter"] <= minimizer.nit
    if best is None or not coarse or spent:
        return False
    x, f, _ = best
    search.two_sided = True
    if lost:
        search.learnt = gradients.beginner(state)
    search.heard.still, search.heard.promised = 0, math.inf
    search.minimizer = minimizer_at(state, search, x, after=minimizer)
    if search.heard.noise:
        local.keep_model(search.minimizer, minimizer)
    known = local.vector(minimizer, x)
    if not np.array_equal(search.minimizer.ask(), x):
        want_evaluation(state, search, search.minimizer)
    elif known is not None:
        want_differences(state, search, search.minimizer, f, Vectors(known, None))
    elif not local.takes_vectors(minimizer):
        want_differences(state, search, search.minimizer, f)
    else:
        want_evaluation(state, search, search.minimizer)
    return True


def _survey(state: MultiStartState, search: Search, minimizer: Minimizer, *, still: bool) -> bool:
    """Let a run that noise led to its end be surveyed at its best point, if it can be."""
    rows = state.constraints if has_rows(state.constraints) else None
    if not (isinstance(minimizer, LBFGSB) or rows) or not gradients.is_surveyed(state, search):
        return False
    limits, best = state.options.minimizer, minimizer.best
    ended = still or local.lost(minimizer) or minimizer.converged
    if state.options.jac and local.is_stationary(minimizer):
        return False
    spent = limits["maxfun"] <= minimizer.nfev or limits["maxiter"] <= minimizer.nit
    if best is None or not ended or spent:
        return False
    x, f, g = best
    if g is None:
        return False
    search.stencil = pending = survey.begin(
        x,
        f,
        g,
        search.heard.noise,
        _curvature(search, minimizer),
        state.lower,
        state.upper,
        rows,
        told=state.options.jac,
        corners=state.options.difference_rule > 4,
    )
    if pending is None:
        return False
    search.minimizer = minimizer_at(state, search, pending.x, after=minimizer)
    line_up_survey(state, search, pending)
    return True


def _curvature(search: Search, minimizer: Minimizer) -> Vector | None:
    """Return what is known of the curvature by each variable: of its differences, or its pairs."""
    if search.learnt is not None:
        return search.learnt.curvature
    if not isinstance(minimizer, LBFGSB) or not minimizer.state.k:
        return None
    moved, changes = minimizer.pairs
    longest = np.max(np.abs(moved), axis=1, keepdims=True)
    return np.asarray(np.max(np.abs(changes) / longest, axis=0))


def line_up_survey(state: MultiStartState, search: Search, pending: Survey) -> None:
    """Let the points of a survey be asked."""
    search.x, search.f = pending.x, pending.f
    line_up(state, search, range(len(pending.ends)))


def iterate_failed(
    state: MultiStartState, search: Search, minimizer: Minimizer, reason: str
) -> None:
    """Step back; give up a start at once, and a run after too many failures."""
    search.stencil = None
    search.slots.clear()
    drop_ready(state, search.index)
    most = _most_failures(state, minimizer)
    minimizer.tell_failure(reason)
    if minimizer.at_start:
        close(state, search, "failed", start_failed(reason))
    elif minimizer.done and minimizer.converged:  # beside its end
        after_success(state, search, minimizer)
    elif minimizer.done or minimizer.failures >= most:
        said = f": {reason}" if reason else ""
        count = minimizer.failures
        close(state, search, "failed", f"given up after {count} failures in a row{said}")
    else:
        want_evaluation(state, search, minimizer)


def _most_failures(state: MultiStartState, minimizer: Minimizer) -> float:
    """Return how many failures in a row retire a run whose pending point has failed.

    In a wide box the first steps are of its width: more are waited for until they have been cut to
    what the best point shows of the size of a variable. Methods that have values alone do not cut
    theirs so, and where they come to is not believed more for it.
    """
    options, best = state.options, minimizer.best
    most = options.max_failures
    ruled = options.convergence_rule >= AWAITS_NEAR and local.needs_gradient(options.method)
    if best is None or not ruled or not IMPATIENT < most < PATIENT:
        return most
    away = np.abs(minimizer.ask() - best[0])
    return PATIENT if np.any(away > FAR * np.abs(best[0])) else most


def go_on(state: MultiStartState, search: Search) -> None:
    """Let a sample, or a paused run, go on; a sample is given its minimizer."""
    state.report.stale.add(search.index)
    search.state = "running"
    if search.minimizer is not None:
        search.reason = ""
        want_evaluation(state, search, search.minimizer)
        return
    search.minimizer = minimizer = minimizer_at(state, search, search.x0)
    moved = not np.array_equal(minimizer.ask(), search.x0)  # by a few last digits
    if moved or local.takes_vectors(minimizer):  # the vectors of a start are not kept
        want_evaluation(state, search, minimizer)
    elif search.g is not None or not state.options.gradients:
        tell(state, search, minimizer, search.f, search.g)
        search.g = None
        after_success(state, search, minimizer)
    else:
        want_differences(state, search, minimizer, search.f)


def _stays(
    state: MultiStartState,
    search: Search,
    minimizer: Minimizer,
    x: Vector,
    f: float,
    g: Vector | None,
) -> bool:
    """Enter a point of a path; return whether the run does not go on from it.

    It is paused where another one leads, and begins again where it has leapt over a barrier.
    """
    row = linked.enter(state, search.index, x, f, g)
    settled = search.followed or search.start in state.sample_starts or minimizer.done
    best = minimizer.best
    if settled or g is None or best is None or best[1] < f:
        return False
    if _is_held_back(state, search, minimizer, x, f, g):
        return True
    far = _is_linked_afar(state, search, x, row)
    search.x, search.f, search.g = x, f, g.copy()
    run = linkage.followed(state.linkage, row)
    if far or linkage.leads(state.linkage, row) or run in (linkage.NOBODY, search.index):
        return False
    if run in state.linkage.lost:
        return False
    _pause(state, search, run, row)
    return True


def _is_linked_afar(state: MultiStartState, search: Search, x: Vector, row: int) -> bool:
    """Tell whether a descent that is linked at `x` has stepped too little to be going there."""
    if state.options.convergence_rule < 10:
        return False
    before = search.x0 if search.x is None else search.x
    step = norm(unit_coordinates(state, x) - unit_coordinates(state, before))
    return linkage.is_afar(state.linkage, row, step)


def _is_held_back(
    state: MultiStartState, search: Search, minimizer: Minimizer, x: Vector, f: float, g: Vector
) -> bool:
    """Begin again, with a shorter step, where a run has stepped across a barrier."""
    length = linked.leap(state, search, x, f, g)
    if length is None or search.held >= linkage.HELD or local.takes_vectors(minimizer):
        return False
    before, known, slope = search.x, search.f, search.g
    if before is None:
        return False
    step = linked.step_length(state, before, slope, linkage.SHORTER * length)
    again = minimizer_at(state, search, before, after=minimizer, step=step)
    if not np.array_equal(again.ask(), before):  # it is moved by a few last digits
        return False
    search.held += 1
    search.minimizer = again
    tell(state, search, again, known, slope)
    after_success(state, search, again)
    return True


def _pause(state: MultiStartState, search: Search, run: int, row: int) -> None:
    """Let a run wait that would end where another one goes."""
    search.reason = f"paused: it has entered the basin of run {run}"
    wait(state, search)
    linkage.pause(state.linkage, search.index, row)
    end_if_complete(state)
