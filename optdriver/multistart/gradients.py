"""The gradient of one run by differences: with which steps, and what is asked before it is used."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optdriver.coroutine.constraints import has_rows
from optdriver.multistart import (
    differences,
    directions,
    heard,
    local,
    noise,
    rounded,
    stencil,
    steps,
    survey,
)
from optdriver.multistart.differences import Differences
from optdriver.multistart.noise import Line
from optdriver.multistart.rounded import Rounded
from optdriver.multistart.steps import Learnt

if TYPE_CHECKING:
    from optdriver.multistart.run import Search
    from optdriver.multistart.state import MultiStartState

Vector = NDArray[np.float64]

IN_UNITS = 13
"""The `convergence_rule` from which on lost steps are seen where f is small, too."""

TOO_SHORT = 4.0
"""Steps that are so many times shorter than the noise of the values asks for are not left so."""

ROUNDED = (
    "step_size= is so short that differences are rounding errors of the values: give longer steps, "
    "or leave it out"
)

LEARNS_DIGITS = 13
"""The `convergence_rule` from which on fits learn to how many digits residuals are printed."""

_SPACING = 2.0**-52
_HIDDEN = 1e-4
"""Differences mean nothing where their rounding errors hide so large a part of the value."""

_ON_SURFACE = 2.0**-20
"""Least step in widths of the box where there are equalities, which hold to 1e-9 only."""


def beginner(state: MultiStartState) -> Learnt | None:
    """Return what a new run knows, None where it has nothing to learn."""
    options = state.options
    if options.jac or not options.gradients or not np.isnan(options.given_steps).any():
        return None
    valued = options.fitting and has_rows(state.constraints) and options.constraint_rule < 5
    if options.row_names or (options.fitting and not valued):
        return None  # the rule would learn of the value what is not so of the others
    told = float(options.minimizer["noise"])
    return Learnt(noise=told, checked=told > 0.0)


def digits_of(state: MultiStartState) -> Rounded | None:
    """Return what a new run knows of the digits of residuals, None where it is not to learn it."""
    options = state.options
    return Rounded() if options.fitting and options.convergence_rule >= LEARNS_DIGITS else None


def plan(state: MultiStartState, search: Search, x: Vector) -> Differences | None:
    """Return the differences at `x`, or None where there are none."""
    learnt, two_sided = search.learnt, search.two_sided
    step = state.options.given_steps
    known = learnt
    if known is None and state.options.vectors:
        known = _of_rows(state, search)
    if known is not None:
        rule = _rule(state, search, known, x)
        if has_rows(state.constraints) and state.constraints.n_equalities and not state.leaves:
            rule = np.maximum(rule, _ON_SURFACE * steps.widths(x, state.lower, state.upper))
        step = np.where(np.isnan(step), rule, step)
    probe = learnt is not None and not learnt.checked
    if has_rows(state.constraints) and not state.leaves:
        inside = state.options.difference_rule > 3
        if state.options.difference_rule > 4:
            step = np.minimum(step, state.upper - state.lower)
        return directions.plan(x, state.constraints, step, two_sided, probe, inside=inside)
    return stencil.plan(x, state.lower, state.upper, step, two_sided, probe)


def _rule(state: MultiStartState, search: Search, known: Learnt, x: Vector) -> Vector:
    """Return the steps by the rule, of a fit by what is known of its digits."""
    digits = search.rounded
    if digits is not None:
        if not digits.fresh:
            digits.noise = local.rounding(search.minimizer) or digits.noise
        if digits.noise and digits.count:
            return rounded.wanted(digits, x, state.lower, state.upper, search.two_sided)
    return steps.wanted(known, x, state.lower, state.upper, search.two_sided)


def more(state: MultiStartState, search: Search, made: Differences, g: Vector) -> tuple[int, ...]:
    """Return what is to be asked before the gradient `g` of complete differences is used.

    It is a line on which the noise is measured, which then is what is pending, or some of the
    differences with other steps.
    """
    learnt = search.learnt
    if search.rounded is not None:
        return _for_digits(state, search, search.rounded, made)
    if learnt is None:
        return ()
    if not learnt.checked:
        learnt.checked = True
        if noise.is_suspicious(made, g, steps.ROUNDING):
            return _measure(state, search, made, tried=int(all_equal(made)))
    if search.two_sided:
        return ()
    wanted = steps.too_long(
        learnt, made.x, made.f, g, differences.used(made), state.lower, state.upper
    )
    wanted[~np.isnan(np.broadcast_to(state.options.given_steps, wanted.shape))] = np.nan
    slots = differences.again(made, wanted, state.lower, state.upper, state.constraints)
    learnt.repeated = bool(slots)
    return slots


def _for_digits(
    state: MultiStartState, search: Search, digits: Rounded, made: Differences
) -> tuple[int, ...]:
    lower, upper = state.lower, state.upper
    free = np.isnan(np.broadcast_to(state.options.given_steps, lower.shape)) & (lower < upper)
    wanted = rounded.more(digits, made, free, lower, upper, search.two_sided, _before(search))
    if wanted is None:
        return ()
    return differences.again(made, wanted, lower, upper, state.constraints)


def _before(search: Search) -> tuple[Vector, Vector] | None:
    """Return the iterate of a fit and its Jacobian, None where there is none."""
    known: Any = getattr(search.minimizer, "iterate", None)
    return None if known is None else (known[0], known[2])


def are_lost_in_digits(state: MultiStartState, search: Search, minimizer: Any) -> bool:
    """Tell whether the residuals are in too few digits to show whether a fit is at its end."""
    digits, best = search.rounded, minimizer.best
    if digits is None or best is None or (made := minimizer.factors) is None:
        return False
    free = (state.lower < best[0]) & (best[0] < state.upper)
    return rounded.hidden(digits, made, free) > rounded.level(digits)


def are_rounding_errors(state: MultiStartState, search: Search, minimizer: Any) -> bool:
    """Tell whether the differences at the end of a run are of given steps that values do not show.

    By one of them at least the slope is uncertain by more than `gtol`, and what that may hide, were
    the variable moved by its size or as far as it has come, is no small part of the value.
    """
    options, best = state.options, minimizer.best
    exact = options.jac or not options.gradients or options.vectors
    if exact or options.difference_rule < 5 or best is None:
        return False
    lengths = np.maximum(options.given_steps, stencil.LEAST_STEP * np.abs(best[0]))
    return bool(np.any(_error(state, search, minimizer, lengths) > 0.0))  # NaN: by the rule


def are_lost(state: MultiStartState, search: Search, minimizer: Any) -> bool:
    """Tell the same of steps by the rule, and that a slope is no larger than its error.

    A wall that the run has met may have left them so short: their differences are zero, or rounding
    errors that look like the curvature of another wall.
    """
    learnt, best = search.learnt, minimizer.best
    if learnt is None or learnt.noise > 0.0 or best is None or best[2] is None:
        return False
    lengths = steps.wanted(learnt, best[0], state.lower, state.upper, search.two_sided)
    small = state.options.convergence_rule >= IN_UNITS
    error = _error(state, search, minimizer, lengths, min(1.0, abs(best[1])) if small else 1.0)
    return bool(np.any((error > 0.0) & (np.abs(best[2]) <= error)))


def _error(
    state: MultiStartState, search: Search, minimizer: Any, lengths: Vector, unit: float = 1.0
) -> Vector:
    """Return the rounding errors of slopes by steps that values do not show, 0 of others.

    `unit` is that of f, in which `gtol` is a small slope.
    """
    (x, f, _), small = minimizer.best, state.options.minimizer["gtol"]
    reach = np.maximum(np.abs(x), np.abs(x - search.x0))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        error = 2.0 * _SPACING * abs(f) / lengths
        hides = (error > unit * small) & (error * reach > _HIDDEN * abs(f))
    return np.where(hides & (state.lower < state.upper), error, 0.0)


def is_surveyed(state: MultiStartState, search: Search) -> bool:
    """Tell whether the end of a run is surveyed: with noise that was told.

    Before `difference_rule` 5 only within bounds, by values alone.
    """
    options = state.options
    if search.heard.noise == 0.0 or options.vectors or options.difference_rule < 4:
        return False
    few = int(np.count_nonzero(state.lower < state.upper)) <= most_surveyed(state)
    if options.difference_rule > 4:
        return few and options.method == local.PLAIN
    return few and options.gradients and not options.jac and not has_rows(state.constraints)


def most_surveyed(state: MultiStartState) -> float:
    """Return of how many variables an end may be to be surveyed."""
    if state.options.difference_rule < 5:
        return survey.LARGEST
    return math.inf if state.options.jac else survey.MOST


def are_lost_in_noise(state: MultiStartState, search: Search, made: Differences) -> bool:
    """Take in the noise that was told; tell whether complete differences are too short for it.

    Then they are made once more, with the steps that are right.  Given steps stay.
    """
    learnt, noise = search.learnt, search.heard.pending
    if noise and learnt is None and state.options.row_names and not search.heard.still:
        search.heard.still = 1  # once in a run
        return _are_short(state, made, _of_rows(state, search), search.two_sided)
    if noise == 0.0 or learnt is None:
        return False
    learnt.noise, learnt.checked, learnt.told = noise, True, True
    learnt.f, learnt.largest = made.f, max(learnt.largest, abs(made.f))
    if learnt.repeated:
        return False
    learnt.repeated = _are_short(state, made, learnt, search.two_sided)
    return learnt.repeated


def _are_short(state: MultiStartState, made: Differences, learnt: Learnt, two_sided: bool) -> bool:
    right = steps.wanted(learnt, made.x, state.lower, state.upper, two_sided)
    used, given = differences.used(made), state.options.given_steps
    free = np.isnan(np.broadcast_to(given, right.shape)) & (used > 0.0)
    return bool(np.any(free & (right > TOO_SHORT * used)))


def _of_rows(state: MultiStartState, search: Search) -> Learnt:
    """Return what is known for the steps of vectors: the noise of the value, and its size."""
    told = max(search.heard.noise, search.heard.pending)
    best = None if search.minimizer is None else search.minimizer.best
    size = abs(best[1]) if best is not None else 0.0
    noise = max(told, float(state.options.minimizer["noise"]))
    return Learnt(noise=noise, told=told > 0.0, f=size, largest=size if told else 0.0)


def all_equal(made: Differences) -> bool:
    """Tell whether no point has another value than the iterate."""
    return all(f == made.f for f in made.values)


def _measure(
    state: MultiStartState, search: Search, made: Differences, tried: int
) -> tuple[int, ...]:
    known = state.constraints
    admitted = known.is_feasible if has_rows(known) and not state.leaves else _anywhere
    line = noise.plan(made, state.lower, state.upper, admitted, tried)
    if line is None:
        return ()
    search.stencil = line
    return tuple(range(len(line.values)))


def _anywhere(_x: Vector) -> bool:
    return True


def measured(state: MultiStartState, search: Search, line: Line) -> tuple[int, ...] | None:
    """Take in a complete line.

    Returns
    -------
    slots : tuple of int or None
        Those of a longer line; none if the differences from before are good; None if they are to
        be made again, with the noise that is known now.
    """
    learnt = search.learnt
    search.stencil = line.before
    if learnt is None:
        return ()
    if noise.is_too_short(line) and 0 <= line.tried < noise.TRIES:
        return _measure(state, search, line.before, line.tried + 1)
    found, size = noise.of(line), abs(line.f)
    if state.options.difference_rule > 2 and line.tried <= 0:  # a shorter one was not too short
        bent = line.tried < 0 or noise.is_too_long(line)
        if bent or (found is None and noise.bends(line, _rest(line))):
            return _shortened(state, search, learnt, line)
    if found is None:  # not clear; then what has raised the suspicion, which is of two values
        found = _rest(line)
    if found <= steps.ROUNDING * size:
        return ()
    learnt.noise, learnt.largest = found, max(learnt.largest, size)
    return None


def _shortened(
    state: MultiStartState, search: Search, learnt: Learnt, line: Line
) -> tuple[int, ...] | None:
    """Take in a line on which the objective itself bends: the differences are far too long.

    It tells the curvature, and a shorter one is taken until the values on it are nearly equal.
    """
    most = noise.at_most(line)
    shown, known = noise.curvature(line, most), learnt.curvature
    if shown is not None:
        learnt.curvature = shown if known is None else np.maximum(shown, known)
    learnt.f, learnt.largest = line.f, max(learnt.largest, abs(line.f))
    if noise.is_too_long(line) and line.tried > -noise.TRIES:
        slots = _measure(state, search, line.before, line.tried - 1)
        if slots:
            return slots
    if (found := min(most, _rest(line))) > steps.ROUNDING * abs(line.f):
        learnt.noise = found
    return None


def _rest(line: Line) -> float:
    """Return what has raised the suspicion, as the noise of two values."""
    return noise.rest(line.before, differences.gradient(line.before)) / math.sqrt(2.0)


def told(state: MultiStartState, search: Search, made: Differences, g: Vector) -> None:
    """Learn from the gradient with which the run goes on."""
    reach = np.maximum(np.abs(made.x), np.abs(made.x - search.x0))
    heard.hide(search.heard, differences.used(made), reach, two_sided=search.two_sided)
    if search.learnt is not None:
        if search.learnt.told:
            used = differences.used(made)
            moved = np.where(used > 0.0, used, np.inf)
            search.learnt.error = 2.0 * search.learnt.noise / moved
        rule = state.options.difference_rule
        steps.learn(search.learnt, made.x, made.f, g, state.lower, state.upper, rule)
