"""The machine: which point comes next, and what residuals told there set off.

A Levenberg-Marquardt method in a trust region (More, "The Levenberg-Marquardt algorithm:
implementation and theory", 1978) with bounds.  Two things are added.

A trial shows, beside its value, by how much the residuals differ from their linear model along the
step.  The next step in about that direction, forward or shortened, is bent by it, as by the
geodesic acceleration of Transtrum and Sethna (arXiv 1201.5885), which pays an evaluation for what
is known here already.  In curved valleys this is several times as fast.

Near the end the value changes by less than it is rounded by.  There a trial is judged by whether
the test of convergence gets better, so that a run ends with the last digits of the parameters.

An end to which symmetry may have led is looked at from a point beside it
(`optdriver.geometry.aside`): two peaks that begin at one place stay there, and their gradients tell
nothing.

Where residuals stay large the model has what the Jacobian alone leaves of the Hessian, too
(`optdriver.leastsquares.rest`).

Residuals that are printed with few digits are recognised by those that do not change
(`optdriver.leastsquares.rounding`); what their rounding hides is more then.

This is the one file that assigns `stop` and `pending`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from optdriver.geometry import aside
from optdriver.geometry.aside import MOST_LOOKED, Aside, Box, Level
from optdriver.geometry.damped import damped, gain, of_length
from optdriver.geometry.products import dot, norm, times
from optdriver.geometry.tall import Tall
from optdriver.leastsquares import losses, rest, rounding
from optdriver.leastsquares.state import State, Stop
from optdriver.leastsquares.steps import EPS, lengths

Vector = NDArray[np.float64]

MOST_FAILURES: Final = 20
"""Failed evaluations in a row that end a run; at the start 2."""

ACCEPTED: Final = 1e-4
"""The part of the promised decrease from which on a trial is accepted."""

POOR: Final = 0.25
GOOD: Final = 0.75
"""Below the first part of the promise the radius shrinks, from the second on it grows."""

FADING: Final = 0.5
"""What an iteration leaves of a scale that was larger before."""

ALIGNED: Final = 0.8
"""The least cosine between a step and the one whose bend corrects it."""

LONGER: Final = 4.0
"""How much longer the step may be."""

MOST_BEND: Final = 0.75
"""The longest correction, in lengths of the step."""

WATCHED: Final = 100
"""Iterations over which the value must fall by `LEAST` of what one step promises at their end."""

LEAST: Final = 0.05
"""Less is a run that creeps along an edge where the model holds nowhere, a pole, say."""

SLACK: Final = 8.0
"""Errors of rounding in the value that may stand in the way of a decrease."""

DOUBT: Final = 4.0
"""The same in standard deviations of rounding errors that are independent: of printed digits."""

SURE: Final = 1e-6
"""A relative offset from which on a step that changes no digit is an end and no stall."""

INEXACT: Final = 1e4
"""Times `xtol`, up to `SURE_ENOUGH`: with derivatives by differences, whose `xtol` is larger, an
offset like that may be their error alone."""

SURE_ENOUGH: Final = 1e-5

BLIND: Final = 0.1
"""The part of what printed digits hide below which a step that gains nothing is not shortened."""

SHORT: Final = 0.2
"""The part of the undamped step down to which one that rounding hides is tried."""

BETTER: Final = 0.95
"""By what factor the offset falls where rounding hides what the value does."""


def begin(state: State) -> None:
    """Ask for the start again, once; a start that fails twice ends the run."""
    if state.failures > 1:
        _end(state, Stop.FAILED)


def advance(state: State, r: Vector, jacobian: Vector) -> None:
    """Take finite residuals and their derivatives at the pending point; find the next one."""
    options = state.options
    f = losses.value(r, options.loss, options.f_scale)
    gradient = losses.gradient(r, jacobian, options.loss, options.f_scale)
    steep = dot(jacobian, jacobian)  # what the model is made of
    if not (math.isfinite(f + steep) and np.isfinite(gradient).all()):
        advance_failure(state, "the squares of the residuals or the derivatives overflow")
        return
    state.nfev += 1
    state.failures = 0
    state.reason = ""
    if f < state.best_f:
        state.best_x, state.best_f, state.best_g = state.pending, f, gradient
    trials = state.steps
    if state.x is None:
        _take(state, r, jacobian, f)
        _set_up(state)
        _iterate(state)
    elif state.aside.end is not None:
        _take_beside(state, r, jacobian, f, gradient)
    elif _judge(state, r, jacobian, f):
        _iterate(state)
    else:
        _again(state)
    _look_beside(state, trials)


def advance_failure(state: State, reason: str) -> None:
    """Take the news that the evaluation at the pending point has failed, and find another."""
    state.nfev += 1
    state.nfail += 1
    state.failures += 1
    state.reason = reason
    if state.aside.end is not None:
        _end_beside(state)
    elif state.nfev >= state.options.maxfun:
        _end(state, Stop.MAX_EVALUATIONS)
    elif state.x is None:
        begin(state)
    elif state.failures >= MOST_FAILURES:
        _end(state, Stop.FAILED)
    else:
        state.bend = state.along = None
        state.radius = POOR * min(state.radius, _length(state, state.p))
        _try(state)


def give_up(state: State, reason: str) -> None:
    """End a run whose numbers allow no further step."""
    state.reason = reason
    _end(state, Stop.FAILED)


def halt(state: State, reason: str) -> None:
    """End the run from outside."""
    state.reason = reason
    _end(state, Stop.HALTED)


def _end(state: State, stop: Stop) -> None:
    state.stop, state.pending = stop, None
    state.p = state.bend = state.along = None
    state.steps, state.changes = state.steps[:0], state.changes[:0]
    if state.aside.end is not None:
        state.aside = replace(state.aside, end=None)


# -- an iterate -----------------------------------------------------------------------------------


class Model:
    """The Gauss-Newton model of the value at the iterate, of variables that are not fixed."""

    __slots__ = ("factors", "free", "high", "low", "noise", "q", "size", "triangle", "weights")

    def __init__(self, state: State, x: Vector, r: Vector, jacobian: Vector) -> None:
        options = state.options
        self.free = state.lower < state.upper
        weighted, self.weights = losses.weighted(r, options.loss, options.f_scale)
        rows = jacobian[:, self.free] * self.weights[:, None]
        self.factors = Tall(rows)
        self.triangle: Vector = self.factors.upper
        self.q: Vector = self.factors.reduced(weighted)
        self.low, self.high = (state.lower - x)[self.free], (state.upper - x)[self.free]
        rounding = EPS * norm(times(np.abs(rows), np.abs(x[self.free])))
        self.size = rounding if math.isfinite(rounding) else 0.0, norm(weighted)
        spread = norm(self.weights) / math.sqrt(r.size)
        self.noise = state.noise * spread if state.rounds else 0.0

    @property
    def rounding(self) -> float:
        """By how much the residuals change for the last digits of the parameters."""
        return max(self.size[0], 0.5 * self.noise * math.sqrt(self.low.size))

    def level(self, f: float, m: int) -> float:
        """Return a difference of values that rounding may be to blame for."""
        told = DOUBT * self.noise * self.size[1]
        return max(SLACK * (self.size[0] * self.size[1] + EPS * f * math.sqrt(m)), told)

    def step(self) -> Vector:
        """Return the Gauss-Newton step within the box."""
        return self._step(self.triangle, self.q)

    def _step(self, triangle: Vector, q: Vector) -> Vector:
        made: Vector = damped(triangle, q, np.ones(self.low.size), 0.0, self.low, self.high)
        return made

    def offset(self, f: float, other: tuple[Vector, Vector] | None = None) -> float:
        """Return the relative offset: the root of the part of f that the step would gain.

        With R and q of an `other` model that of its own step.
        """
        triangle, q = other or (self.triangle, self.q)
        promised = gain(triangle, q, self._step(triangle, q))
        return math.sqrt(promised / f) if f > 0.0 else 0.0


def _model(state: State) -> Model:
    if state.x is None or state.r is None or state.jacobian is None:
        raise ValueError("there is no iterate")
    return Model(state, state.x, state.r, state.jacobian)


def _take(state: State, r: Vector, jacobian: Vector, f: float) -> None:
    """Let the pending point be the iterate."""
    state.x, state.r, state.jacobian, state.f = state.pending, r, jacobian, f
    found = _columns(state, r, jacobian)
    if state.scale is None:
        state.scale = np.where(found > 0.0, found, 1.0)
    else:
        state.scale = np.where(found > 0.0, np.maximum(found, FADING * state.scale), state.scale)


def _columns(state: State, r: Vector, jacobian: Vector) -> Vector:
    weights = losses.weighted(r, state.options.loss, state.options.f_scale)[1]
    rows = jacobian * weights[:, None]
    found = lengths(rows)
    return np.where((rows != 0.0).any(axis=0), found, 0.0)


def _set_up(state: State) -> None:
    """Set the first radius: the length of the start, or else that of the residuals."""
    state.radius = _length(state, state.x)
    if not 0.0 < state.radius < math.inf and state.r is not None:
        size = norm(state.r)
        state.radius = size if 0.0 < size < math.inf else 1.0
    if state.options.beside and state.aside.began is None:
        state.aside = Aside(began=state.x, first=state.f, turning=state.options.beside > 1)


def _length(state: State, step: Vector | None) -> float:
    if step is None or state.scale is None:
        return 0.0
    return norm((state.scale * step)[state.lower < state.upper])


def _iterate(state: State) -> None:
    """End at the iterate, or try a step from it."""
    model = _model(state)
    promised, passes = _passes(state, model)
    if passes:
        _end(state, Stop.CONVERGED)
    elif state.nfev >= state.options.maxfun:
        _end(state, Stop.MAX_EVALUATIONS)
    elif state.nit >= state.options.maxiter:
        _end(state, Stop.MAX_ITERATIONS)
    elif _creeps(state, promised):
        _end(state, Stop.STALLED)
    else:
        _try(state, model)


def _passes(state: State, model: Model) -> tuple[float, bool]:
    """Return what the Gauss-Newton step promises, and whether that is next to nothing."""
    step = model.step()
    promised = gain(model.triangle, model.q, step)
    moved = norm(times(model.triangle, step))
    reached = not state.f > 0.0  # residuals may be left that a robust loss rounds to nothing
    small = promised <= state.options.xtol**2 * state.f or moved <= 4.0 * model.rounding
    return promised, reached or small


def _creeps(state: State, promised: float) -> bool:
    """Tell whether many iterations have gained next to nothing of what one promises."""
    if state.nit < state.marked + WATCHED and math.isfinite(state.mark):
        return False
    fallen = state.mark - state.f
    state.mark, state.marked = state.f, state.nit
    return fallen < LEAST * promised


# -- beside an end --------------------------------------------------------------------------------


def _look_beside(state: State, trials: Vector) -> None:
    """Ask a point beside an end with success to which symmetry may have led, once an end.

    Where residuals are rounding alone nothing is left to be gained.
    """
    if state.stop is None or not (state.stop.success and state.aside.may_look):
        return
    if state.nit >= state.options.maxiter or _hides(state) >= state.f:
        return
    began, g, box = state.aside.began, _gradient(state), Box(state.lower, state.upper)
    if state.x is None or began is None:
        return
    level = Level(slope=0.0, change=state.aside.small(state.f), same=aside.SAME)
    known = state.aside
    p, turns = aside.step(state.x, g, began, trials, box, level, alone=True, turning=known.turning)
    _ask_beside(state, known.at(state.x, str(state.stop), turns), p)


def _ask_beside(state: State, made: Aside, p: Vector) -> bool:
    """Ask for the point at this step from the end, if there is one that is not known."""
    if made.end is None or state.nfev >= state.options.maxfun:
        return False
    point = np.minimum(np.maximum(made.end + p, state.lower), state.upper)
    known = (made.end, state.x) if state.x is not None else (made.end,)
    if not np.isfinite(point).all() or any(np.array_equal(point, x) for x in known):
        return False
    state.aside, state.stop, state.pending = made, None, point
    return True


def _take_beside(state: State, r: Vector, jacobian: Vector, f: float, gradient: Vector) -> None:
    """Go on from a point beside the end that is lower than it; otherwise the end stands.

    See `optdriver.lbfgsb.machine.take_beside`.
    """
    made, g = state.aside, _gradient(state)
    if state.pending is None or made.end is None:
        raise ValueError("there is no point beside an end")
    p, fall, hidden = state.pending - made.end, state.f - f, _hides(state)
    lower = fall > hidden + aside.explained(made.looked, made.turns, g, p)
    following, turns = aside.following(
        made.looked, p, lower=lower, change=gradient - g, hidden=hidden, turns=made.turns
    )
    if lower:
        small = fall <= made.small(state.f)
        _take(state, r, jacobian, f)
        state.nit += 1
        state.radius = max(state.radius, _length(state, p))
        falls_on = not _passes(state, _model(state))[1]
        made = replace(made, ending="" if falls_on else str(Stop.CONVERGED))
        if falls_on and not small:
            following = np.zeros(p.size)
    state.aside = made.after(lower=lower, turns=turns)
    if state.aside.looked > MOST_LOOKED or not _ask_beside(state, state.aside, following):
        _end_beside(state)


def _end_beside(state: State) -> None:
    """Let the end stand, or go on from a lower point beside it from which the value falls on."""
    if state.aside.ending:
        _end(state, Stop(state.aside.ending))
        return
    state.aside = state.aside.gone()
    state.mark, state.marked = math.inf, state.nit
    _iterate(state)


def _gradient(state: State) -> Vector:
    if state.r is None or state.jacobian is None:
        raise ValueError("there is no iterate")
    return losses.gradient(state.r, state.jacobian, state.options.loss, state.options.f_scale)


def _hides(state: State) -> float:
    """Return a difference of values at the iterate that rounding may be to blame for."""
    return _model(state).level(state.f, 0 if state.r is None else state.r.size)


# -- a trial --------------------------------------------------------------------------------------


def _try(state: State, model: Model | None = None) -> None:
    """Ask for the point of a step that is no longer than the radius."""
    made = _model(state) if model is None else model
    if state.scale is None or state.x is None:
        raise ValueError("there is no iterate")
    free, scale = made.free, state.scale[made.free]
    radius = max(state.radius, np.finfo(np.float64).tiny)
    triangle, q = rest.whole(state, made.triangle, made.q, free) or (made.triangle, made.q)
    p, state.damping = of_length(triangle, q, scale, radius, made.low, made.high)
    state.promised = gain(triangle, q, p)
    correction = _correction(state, made, p)
    state.p = np.zeros_like(state.x)
    state.p[free] = p
    whole = state.p.copy()
    if correction is not None:
        whole[free] += correction
    if state.nit == 0:
        state.radius = min(state.radius, _length(state, state.p))
    point = np.minimum(np.maximum(state.x + whole, state.lower), state.upper)
    if np.isfinite(point).all() and not np.array_equal(point, state.x) and state.radius > 0.0:
        state.pending = point
    else:
        _end_short(state, made)


def _end_short(state: State, model: Model) -> None:
    """End where steps have become so short that they change no digit.

    Where the Jacobian has lost its rank its step may be endless, also at a minimum that what it
    leaves of the Hessian makes: then the model that has learnt of the steps tried there is asked.
    """
    sure = model.offset(state.f) <= _sure(state)
    if not sure and state.options.secant >= rest.AT_ENDS:
        made = rest.whole(state, model.triangle, model.q, model.free, clear=True)
        sure = made is not None and model.offset(state.f, made) <= SURE
    _end(state, Stop.ROUNDING if sure else Stop.STALLED)


def _sure(state: State) -> float:
    """Return the offset from which on a step that gains nothing is an end and no stall."""
    options = state.options
    return max(SURE, min(INEXACT * options.xtol, SURE_ENOUGH)) if options.secant else SURE


def _correction(state: State, model: Model, p: Vector) -> Vector | None:
    """Return what bends a step with the residuals, None where that is not known for it."""
    if state.bend is None or state.along is None or state.scale is None:
        return None
    scale = state.scale[model.free]
    new, old = scale * p, scale * state.along[model.free]
    sizes = norm(new), norm(old)
    if not min(sizes) > 0.0:
        return None
    part = dot(new, old / sizes[1]) / sizes[1]
    if abs(part) * sizes[1] < ALIGNED * sizes[0] or abs(part) > LONGER:
        return None
    bend = model.factors.reduced(model.weights * state.bend * part**2)
    low, high = model.low - p, model.high - p
    found: Vector = damped(model.triangle, bend, scale, state.damping, low, high)
    return found if norm(scale * found) <= MOST_BEND * sizes[0] else None


def _judge(state: State, r: Vector, jacobian: Vector, f: float) -> bool:
    """Accept the trial, or shorten the step; return whether there is a new iterate."""
    if state.x is None or state.r is None or state.jacobian is None or state.pending is None:
        raise ValueError("there is no trial")
    if state.options.rounded:
        rounding.learn(state, r, jacobian)
    hidden = _is_hidden(state, f)
    if hidden is None:
        accepted = state.f - f > ACCEPTED * state.promised
    else:
        accepted = Model(state, state.pending, r, jacobian).offset(f) < BETTER * hidden
    if hidden is None:
        _resize(state, f)
    elif accepted:
        state.radius = max(state.radius, 2.0 * _length(state, state.p))
    else:
        state.radius = 0.5 * min(state.radius, _length(state, state.p))
    moved = state.pending - state.x
    if state.options.secant:
        rest.learn(state, r, jacobian, accepted=accepted)
    if accepted:
        state.bend, state.along = state.r - r + times(jacobian, moved), -moved
        _take(state, r, jacobian, f)
        state.nit += 1
    else:
        state.bend, state.along = r - state.r - times(state.jacobian, moved), moved
    if hidden is not None or not np.isfinite(state.bend).all():
        state.bend = state.along = None
    if hidden is not None and not accepted and _is_short(state):
        _end(state, Stop.ROUNDING)
    return accepted


def _is_short(state: State) -> bool:
    """Tell whether the radius is a small part of the undamped step."""
    model = _model(state)
    whole = np.zeros_like(state.lower)
    whole[model.free] = model.step()
    return state.radius < SHORT * _length(state, whole)


def _is_hidden(state: State, f: float) -> float | None:
    """Return the offset of the iterate where rounding hides what the trial has gained."""
    model = _model(state)
    m = 0 if state.r is None else state.r.size
    level = model.level(state.f, m)
    promised = gain(model.triangle, model.q, model.step())
    if promised > level or abs(state.f - f) > level:
        return None
    offset = math.sqrt(promised / state.f)
    return offset if offset <= SURE or promised <= level else None


def _resize(state: State, f: float) -> None:
    """Set the radius for the next step, by how well the model has foretold the value."""
    gained, length = state.f - f, _length(state, state.p)
    ratio = gained / state.promised if state.promised > 0.0 else -1.0
    if ratio <= POOR:
        state.radius = _shorter(state, f) * min(state.radius, length)
    elif ratio >= GOOD or state.damping == 0.0:
        state.radius = 2.0 * length


def _shorter(state: State, f: float) -> float:
    """Return the part of a step at which a parabola through the values has its minimum."""
    gained = state.f - f
    if gained >= 0.0:
        return 0.5
    if f >= 100.0 * state.f or state.r is None or state.jacobian is None or state.p is None:
        return 0.1
    options = state.options
    gradient = losses.gradient(state.r, state.jacobian, options.loss, options.f_scale)
    slope = dot(gradient, state.p)
    if not slope + gained < 0.0:
        return 0.1
    return min(max(0.5 * slope / (slope + gained), 0.1), 0.5)


def _again(state: State) -> None:
    """Try a shorter step from the same iterate, unless the run has ended."""
    if state.stop is not None:
        return
    sure = _sure(state)
    if state.nfev >= state.options.maxfun:
        _end(state, Stop.MAX_EVALUATIONS)
    elif state.rounds and state.promised <= BLIND * _hides(state):
        model = _model(state)
        sees = gain(model.triangle, model.q, model.step()) > _hides(state)
        _end(state, Stop.STALLED if sees else Stop.ROUNDING)
    elif state.radius <= EPS**2 * _length(state, state.x):
        _end_short(state, _model(state))
    elif sure > SURE and _is_short(state) and _model(state).offset(state.f) <= sure:
        _end(state, Stop.ROUNDING)
    else:
        _try(state)
